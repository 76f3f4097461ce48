//! Which targets of one project are the same Home Assistant, by addresses that do not show it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::connection::{LiveConnection, WatchedTarget};
use super::error::RoundError;
use crate::model::{RunId, TargetName};

/// So long the first change of a target waits for the others to be looked at for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What each target had that no other has, when it was connected to last.
#[derive(Clone, Debug, Default)]
pub(super) struct RunIds(Arc<watch::Sender<BTreeMap<TargetName, RunAsked>>>);

/// What is known of what a target has that no other has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum RunAsked {
    /// Nobody has asked it yet.
    #[default]
    NotAsked,
    /// It does not say, or cannot be reached.
    Unknown,
    Known(RunId),
}

impl RunIds {
    /// These are the targets now.
    pub(super) fn keep<'t>(&self, names: impl Iterator<Item = &'t TargetName>) {
        self.0.send_modify(|ids| {
            let mut before = std::mem::take(ids);
            ids.extend(names.map(|name| (name.clone(), before.remove(name).unwrap_or_default())));
        });
    }

    /// Asks a target that is connected to and was not asked before, where it could be the same as another.
    pub(super) async fn ask<T: WatchedTarget>(
        &self,
        name: &TargetName,
        connection: Option<&LiveConnection<T>>,
    ) {
        let is_asked = |ids: &BTreeMap<TargetName, RunAsked>| {
            ids.len() < 2 || ids.get(name).is_none_or(|id| *id != RunAsked::NotAsked)
        };
        if let Some(connection) = connection.filter(|_| !is_asked(&self.0.borrow())) {
            self.set(name, connection.target.run_id().await);
        }
    }

    /// A target is asked the next time that it is connected to.
    pub(super) fn forget(&self, name: &TargetName) {
        self.0.send_if_modified(|ids| {
            ids.get_mut(name).is_some_and(|id| std::mem::take(id) != RunAsked::NotAsked)
        });
    }

    /// A target has this, or it is not known.
    pub(super) fn set(&self, name: &TargetName, id: Option<RunId>) {
        let id = id.map_or(RunAsked::Unknown, RunAsked::Known);
        self.0.send_if_modified(|ids| match ids.get_mut(name) {
            Some(known) if *known != id => {
                *known = id;
                true
            }
            _ => false,
        });
    }

    /// Whether each other target was asked, or is not waited for.
    pub(super) fn are_others_asked(&self, name: &TargetName) -> bool {
        are_asked(&self.0.borrow(), name)
    }

    /// Waits until they are, and not for long.
    pub(super) async fn others_are_asked(&self, name: &TargetName) {
        let mut ids = self.0.subscribe();
        if timeout(FIRST_LOOK, ids.wait_for(|ids| are_asked(ids, name))).await.is_err() {
            // Nobody waits for those again.
            self.0.send_modify(|ids| {
                let not_asked = ids.values_mut().filter(|id| **id == RunAsked::NotAsked);
                not_asked.for_each(|id| *id = RunAsked::Unknown);
            });
        }
    }

    /// Refuses to change a target that is the same as another one: each would undo what is done for the other.
    pub(super) fn refuse_same(&self, name: &TargetName) -> Result<(), RoundError> {
        let same = same_as(&self.0.borrow(), name);
        same.map_or(Ok(()), |other| Err(RoundError::SameTarget(other)))
    }

    /// Whether a target is the same as another one.
    pub(super) fn is_same(&self, name: &TargetName) -> bool {
        same_as(&self.0.borrow(), name).is_some()
    }

    /// Waits until it no longer is: the other one is gone, or is another Home Assistant now.
    pub(super) async fn differs(&self, name: &TargetName) {
        let mut ids = self.0.subscribe();
        // It is an error only once no target is left.
        let _differs = ids.wait_for(|ids| same_as(ids, name).is_none()).await;
    }
}

fn are_asked(ids: &BTreeMap<TargetName, RunAsked>, name: &TargetName) -> bool {
    ids.iter().all(|(other, id)| other == name || *id != RunAsked::NotAsked)
}

/// The first other target that has what this one has.
fn same_as(ids: &BTreeMap<TargetName, RunAsked>, name: &TargetName) -> Option<TargetName> {
    let Some(RunAsked::Known(own)) = ids.get(name) else { return None };
    let is_same = |(other, asked): &(&TargetName, &RunAsked)| {
        *other != name && matches!(asked, RunAsked::Known(id) if id.is_of_same_run(own))
    };
    ids.iter().find(is_same).map(|(other, _)| other.clone())
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::same_as as same;
    use super::{FIRST_LOOK, RunIds};
    use crate::model::{RunId, TargetName};

    fn id(states: &str) -> Option<RunId> {
        RunId::new(states.split(' ').map(Into::into))
    }

    #[test]
    fn ids_of_one_run_that_were_asked_for_at_different_times_have_some_states_alike() {
        let same = |one: &str, other: &str| id(one).unwrap().is_of_same_run(&id(other).unwrap());
        assert!(same("1 2 3", "2 4 5"));
        assert!(!same("1 2 3", "4 5 6"));
        assert_eq!(RunId::new([]), None);
    }

    #[test]
    fn two_targets_are_the_same_until_one_of_them_is_gone_or_another_one() {
        let names = ["a", "b", "c"].map(TargetName::new);
        let [a, b, c] = &names;
        let ids = RunIds::default();
        ids.keep(names.iter());
        ids.set(a, id("1"));
        ids.set(b, id("1"));
        let same_as = |name: &TargetName| same(&ids.0.borrow(), name);
        assert_eq!((same_as(a), same_as(b)), (Some(b.clone()), Some(a.clone())));
        // Nothing is said of one that does not say.
        assert_eq!(same_as(c), None);
        ids.set(c, None);
        ids.set(b, None);
        assert_eq!((same_as(a), same_as(b)), (None, None));
        ids.set(b, id("1"));
        ids.keep([a, c].into_iter());
        assert_eq!(same_as(a), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_to_be_the_only_one_is_woken_when_the_other_is_gone() {
        let names = ["a", "b"].map(TargetName::new);
        let [a, b] = &names;
        let ids = RunIds::default();
        ids.keep(names.iter());
        ids.set(a, id("1"));
        ids.set(b, id("1"));
        let waits = timeout(FIRST_LOOK, ids.differs(a)).await;
        assert!(ids.is_same(a) && waits.is_err());
        let gone = async { ids.keep([a].into_iter()) };
        let (woken, ()) = tokio::join!(timeout(FIRST_LOOK, ids.differs(a)), gone);
        assert!(woken.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_change_waits_until_the_others_were_looked_at_and_not_for_ever() {
        let names = ["a", "b", "c"].map(TargetName::new);
        let [a, b, c] = &names;
        let ids = RunIds::default();
        ids.keep(names.iter());
        ids.set(a, id("1"));
        let others = async {
            ids.set(c, None);
            tokio::task::yield_now().await;
            ids.set(b, id("1"));
        };
        tokio::join!(ids.others_are_asked(a), others);
        assert!(ids.refuse_same(a).is_err());
        // One that is never looked at holds nobody up for long.
        let d = TargetName::new("d");
        ids.keep([a, c, &d].into_iter());
        ids.others_are_asked(a).await;
        assert!(ids.refuse_same(a).is_ok() && ids.are_others_asked(c));
    }
}
