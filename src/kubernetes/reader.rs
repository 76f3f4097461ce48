//! Reads what the cluster declares, as the watcher's tasks want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::format_smolstr;
use tokio::sync::{Notify, watch};

use super::assignment::{ClusterAssignment, assign};
use super::freshness::AsOf;
use super::shards::{Acting, ShardHolder, ShardHolders};
use super::source::Declaring;
use super::writer::ClusterReading;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::model::{Owner, counted};
use crate::status::ManifestStatus;
use crate::watch::{Clock, ReadSpecs, Reading};

/// Reads what is declared; nothing before the cluster has answered.
pub struct ClusterReader {
    pub(super) owner: Owner,
    pub(super) declaring: watch::Receiver<Declaring>,
    pub(super) news: Arc<Notify>,
    pub(super) assigned: watch::Sender<Option<Arc<ClusterReading>>>,
    pub(super) clock: Clock,
    /// Who acts for which shard; this process for all where there is nobody else.
    pub(super) holders: Option<watch::Receiver<ShardHolders>>,
}

impl ClusterReader {
    /// Waits until it is known what is declared and who acts, or why that cannot be known.
    pub async fn answered(&mut self) {
        // An error means that nobody will answer, which the first reading reports.
        drop(self.declaring.wait_for(Declaring::is_answer).await);
        if let Some(holders) = &mut self.holders {
            drop(holders.wait_for(ShardHolders::are_known).await);
        }
    }
}

impl ReadSpecs for ClusterReader {
    fn read(&mut self) -> Reading {
        let Declaring { declared, troubles } = self.declaring.borrow().clone();
        let read_at = Some((self.clock)());
        let Some(declared) = declared else {
            let whys: Vec<String> = troubles.into_values().collect();
            let why = match whys.is_empty() {
                true => "the cluster has not answered yet".to_owned(),
                false => whys.join("; "),
            };
            let manifests =
                ManifestStatus { read_at, blocker: Some(why), ..ManifestStatus::default() };
            // Nor what was known of another state of the cluster.
            let was_known = self.assigned.send_replace(None).is_some();
            let specs = was_known.then(BTreeMap::new);
            return Reading { specs, manifests, ..Reading::default() };
        };
        let holders = self.holders.as_ref().map(|holders| holders.borrow().clone());
        let of = |holders| Acting::of(holders, declared.as_of);
        let acting = holders.as_ref().map_or(Acting::Alone, of);
        let mut manifests = ManifestStatus { read_at, ..ManifestStatus::default() };
        let mut problems = Diagnostics::default();
        holders.iter().flat_map(whys).for_each(|why| problems.push(why));
        if acting.is_nothing() {
            // While only others act, nothing is done here, and nothing written.
            self.assigned.send_replace(None);
            manifests.blocker = holders.as_ref().and_then(trouble).map(str::to_owned);
            // What it is to act for rests until it knows enough of that.
            if holders.iter().flat_map(|of| &of.0).any(|of| matches!(of, ShardHolder::This(_))) {
                for why in troubles.into_values() {
                    let message = format!("{why}; nothing is done before that");
                    problems.push(Diagnostic::warning(ProblemCode::Unreadable, &message));
                    manifests.blocker.get_or_insert(message);
                }
            }
            manifests.problems = Arc::new(problems);
            return Reading { specs: Some(BTreeMap::new()), manifests, ..Reading::default() };
        }
        let mut assignment = assign(&declared, &self.owner);
        let mut specs = std::mem::take(&mut assignment.specs);
        let mut shared = BTreeMap::new();
        for (name, instance) in &declared.instances {
            let (Some(term), Some(mut spec)) =
                (acting.for_object(&instance.uid), specs.remove(&name.target()))
            else {
                continue;
            };
            // What an earlier term's round finds is not about this one.
            if let (Some(term), Some(of)) = (term, assignment.instances.get_mut(name)) {
                let revision = &mut of.revisions.target;
                let AsOf { state, version } = term.begun;
                *revision = format_smolstr!("{revision} {state} {version}");
                spec.revisions.target.clone_from(revision);
                spec.writing.fence = Some(term.fence);
            }
            shared.insert(name.target(), spec);
        }
        add_problems(&assignment, troubles, &mut problems);
        manifests.files = declared.instances.len() + declared.credentials.len();
        manifests.entries = declared.credentials.len();
        manifests.problems = Arc::new(problems);
        let reading = ClusterReading { declared, assignment, acting };
        self.assigned.send_replace(Some(Arc::new(reading)));
        Reading { specs: Some(shared), manifests, ..Reading::default() }
    }

    fn changes(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.news))
    }

    fn restart(&mut self) {}
}

/// Objects in error: no other is held up by them, so they are warnings here. So is what keeps changes from being seen:
/// what was declared before stays in force.
fn add_problems(
    assignment: &ClusterAssignment,
    troubles: BTreeMap<&'static str, String>,
    problems: &mut Diagnostics,
) {
    let instances =
        assignment.instances.iter().map(|(name, of)| ("HomeAssistant", name, &of.fault));
    let credentials = assignment.credentials.iter();
    let credentials = credentials.map(|(name, of)| ("ApplicationCredential", name, &of.fault));
    for why in troubles.into_values() {
        let message = format!("{why}; what was read before stays in force");
        problems.push(Diagnostic::warning(ProblemCode::Unreadable, message));
    }
    for (kind, name, fault) in instances.chain(credentials) {
        if let Some(fault) = fault {
            let message = format!("{kind} {name}: {}", fault.message);
            let code =
                if fault.is_final { ProblemCode::BadValue } else { ProblemCode::UnreadableSecret };
            problems.push(Diagnostic::warning(code, message));
        }
    }
}

/// Why it cannot be found out who acts, where that is so for some shard.
fn trouble(holders: &ShardHolders) -> Option<&str> {
    holders.0.iter().find_map(|holder| match holder {
        ShardHolder::Trouble(why) => Some(why.as_str()),
        _ => None,
    })
}

/// Why this replica does not act for all shards.
fn whys(holders: &ShardHolders) -> Vec<Diagnostic> {
    let mut whys: BTreeMap<String, usize> = BTreeMap::new();
    for holder in &holders.0 {
        let why = match holder {
            ShardHolder::Trouble(why) | ShardHolder::Nobody(why) => why.clone(),
            ShardHolder::Other(name) => {
                format!("the replica {name} acts, and its status page has more")
            }
            ShardHolder::Unknown | ShardHolder::This(_) | ShardHolder::Leaving(_) => continue,
        };
        *whys.entry(why).or_default() += 1;
    }
    let of = |(why, count)| match holders.0.len() {
        1 => why,
        all => format!("for {count} of {}: {why}", counted(all, "shard")),
    };
    let problem = |why| Diagnostic::warning(ProblemCode::Unreadable, of(why));
    whys.into_iter().map(problem).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;
    use tokio::sync::watch;

    use super::ClusterReader;
    use crate::kubernetes::assignment::tests::{declarations, name};
    use crate::kubernetes::freshness::AsOf;
    use crate::kubernetes::shards::{ShardHolder, ShardHolders, Term};
    use crate::kubernetes::source::Declaring;
    use crate::model::Owner;
    use crate::target::Fence;
    use crate::watch::ReadSpecs;

    /// A reader of one instance that is known as of the version 9, with trouble about a kind.
    fn reader(holder: ShardHolder) -> ClusterReader {
        let mut declared = declarations(&[("a", json!({}))]);
        declared.as_of = as_of(9);
        let troubles = [("Versions of HomeAssistants", "cannot list objects".to_owned())].into();
        let declaring = Declaring { declared: Some(Arc::new(declared)), troubles };
        ClusterReader {
            owner: Owner::new("cluster").unwrap(),
            declaring: watch::channel(declaring).1,
            news: Arc::default(),
            assigned: watch::Sender::new(None),
            clock: || Timestamp::UNIX_EPOCH,
            holders: Some(watch::channel(ShardHolders(vec![holder])).1),
        }
    }

    fn as_of(version: u64) -> AsOf {
        AsOf { state: 0, version }
    }

    fn term(begun: u64) -> ShardHolder {
        ShardHolder::This(Term { fence: Fence::default(), begun: as_of(begun) })
    }

    #[test]
    fn a_replica_that_does_nothing_yet_says_why() {
        let said = |holder| {
            let read = reader(holder).read();
            assert_eq!(read.specs.map(|specs| specs.len()), Some(0));
            let problems = read.manifests.problems.sorted();
            let problems = problems.into_iter().map(|problem| problem.message.clone());
            (read.manifests.blocker, problems.collect::<Vec<_>>())
        };
        let why = "cannot list objects; nothing is done before that";
        assert_eq!(said(term(10)), (Some(why.to_owned()), vec![why.to_owned()]));
        let (blocker, problems) = said(ShardHolder::Other("b".to_owned()));
        assert!(blocker.is_none() && !problems[0].contains("cannot list"), "{problems:?}");
    }

    #[test]
    fn what_was_known_of_another_state_of_the_cluster_is_acted_on_no_more() {
        let mut reader = reader(term(8));
        assert_eq!(reader.read().specs.map(|specs| specs.len()), Some(1));
        reader.declaring = watch::channel(Declaring::default()).1;
        let read = reader.read();
        assert_eq!(read.specs.map(|specs| specs.len()), Some(0));
        assert!(read.manifests.blocker.is_some() && reader.assigned.borrow().is_none());
    }

    #[test]
    fn a_round_of_an_earlier_term_is_not_about_this_one() {
        let revisions = |begun| {
            let mut reader = reader(term(begun));
            let specs = reader.read().specs.unwrap();
            let of_spec = specs[&name("cabin").target()].revisions.clone();
            let reading = reader.assigned.borrow().clone().unwrap();
            assert_eq!(reading.assignment.instances[&name("cabin")].revisions, of_spec);
            of_spec
        };
        assert_eq!(revisions(8), revisions(8));
        assert_ne!(revisions(8), revisions(9));
    }
}
