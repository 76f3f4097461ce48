//! Linked accounts are reloaded; what their state means for the credential, and what follows.

use std::collections::BTreeMap;
use std::mem;

use super::apply::ApplyRun;
use super::outcome::Outcome;
use super::step_progress::StepProgress;
use crate::model::{ConfigEntry, EntryState};
use crate::plan::{Action, Reason};
use crate::target::{Done, Execute, Operation, Refusal};

impl<'a, T: Execute> ApplyRun<'a, T> {
    pub(super) async fn reload_created(&mut self) {
        let judged = self.reload(|task| task.created.is_some(), "the new credential").await;
        // An account that ran is not left down for another one, whatever that one's state says.
        let mut fallen = BTreeMap::new();
        for (at, Judged { is_any_fallen, why }) in judged {
            if is_any_fallen {
                fallen.insert(at, why);
            } else {
                self.tasks[at].outcome = Some(Outcome::Unfinished(why));
            }
        }
        // Who stops the run wants no account down: to put back what ran before is finished.
        let stop = mem::take(&mut self.stop);
        self.put_back(fallen).await;
        self.stop = stop;
    }

    /// Deletes new credentials with which accounts do not run, so that the old ones are in force
    /// again, and makes sure of that.
    async fn put_back(&mut self, fallen: BTreeMap<usize, String>) {
        let new = |at: usize| Some((at, Operation::TakeBack(self.tasks[at].created.clone()?)));
        let deletes: Vec<_> = fallen.keys().filter_map(|at| new(*at)).collect();
        let mut kept = BTreeMap::new();
        for (at, result) in self.execute(deletes).await {
            if let Err(refusal) = result {
                kept.insert(at, format!("the new credential could not be removed: {refusal}"));
            }
        }
        let mut accounts = Vec::new();
        for at in fallen.keys().filter(|at| !kept.contains_key(at)) {
            accounts.extend(self.tasks[*at].step.reload.iter().map(|entry| (*at, entry)));
        }
        let mut down: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (at, entry, result) in self.reload_all(accounts).await {
            if entry.state == EntryState::Loaded && result != Ok(Done::Reloaded(EntryState::Loaded))
            {
                let state = match result {
                    Ok(Done::Reloaded(state)) => state.to_string(),
                    Ok(_) => "unknown".to_owned(),
                    Err(refusal) => refusal.to_string(),
                };
                down.entry(at).or_default().push(format!(
                    "the new credential was removed, and the linked account \"{}\" does not run yet ({state}); the next run reloads it",
                    entry.title
                ));
            }
        }
        for (at, why) in fallen {
            self.tasks[at].outcome =
                Some(match kept.remove(&at).or_else(|| Some(down.remove(&at)?.join("; "))) {
                    Some(rest) => Outcome::Unfinished(format!("{why}; {rest}")),
                    None => Outcome::Failed(format!("{why}; the old credential is in force again")),
                });
        }
    }

    /// A run that was cut off may have left a new credential with which no account was seen to
    /// run. The old one beside it goes only after that; one that is in force itself says nothing of the new one.
    pub(super) async fn keep_what_is_unproven(&mut self) {
        let mut accounts = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            let is_in_force = task.step.reasons.contains(&Reason::TakenBack);
            let is_delete = matches!(task.step.action, Action::Delete { .. });
            if task.is_open() && is_delete && !is_in_force {
                let unproven = task.step.reload.iter().filter(|entry| !is_proof(&entry.state));
                accounts.extend(unproven.map(|entry| (at, entry)));
            }
        }
        for (at, entry, result) in self.reload_all(accounts).await {
            let why = match result {
                Ok(Done::Reloaded(state)) if is_proof(&state) => continue,
                Ok(Done::Reloaded(state)) => state.to_string(),
                Ok(_) => continue,
                Err(refusal) => refusal.to_string(),
            };
            self.tasks[at].outcome = Some(Outcome::Unfinished(format!(
                "the linked account \"{}\" does not run with the new credential ({why}), so the old one stays",
                entry.title
            )));
        }
    }

    pub(super) async fn reload_deleted(&mut self) {
        let in_force = "the credential that is in force now";
        for (at, judged) in self.reload(|task| task.created.is_none(), in_force).await {
            self.tasks[at].outcome = Some(Outcome::Unfinished(judged.why));
        }
    }

    /// Reloads the accounts of the open tasks that are meant, which are to use this credential. Answers of which tasks
    /// not all were seen to run.
    async fn reload(
        &mut self,
        is_meant: impl Fn(&StepProgress<'_>) -> bool,
        credential: &str,
    ) -> BTreeMap<usize, Judged> {
        let mut accounts = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            if task.is_open() && is_meant(task) {
                accounts.extend(task.step.reload.iter().map(|entry| (at, entry)));
            }
        }
        let results = self.reload_all(accounts).await;
        let mut judged: BTreeMap<usize, Judged> = BTreeMap::new();
        for (at, entry, result) in results {
            let needs_consent = self.tasks[at].step.reasons.contains(&Reason::ClientIdDiffers);
            let reload = Reload::judge(entry, result, credential, needs_consent);
            let is_fallen = matches!(reload, Reload::Fell(_));
            if let Reload::Stays(why) | Reload::Fell(why) = reload {
                let of_task = judged.entry(at).or_default();
                of_task.is_any_fallen |= is_fallen;
                of_task.why += if of_task.why.is_empty() { "" } else { "; " };
                of_task.why += &why;
            }
        }
        judged
    }

    async fn reload_all(
        &mut self,
        accounts: Vec<(usize, &'a ConfigEntry)>,
    ) -> Vec<(usize, &'a ConfigEntry, Result<Done, Refusal>)> {
        let operations =
            accounts.iter().map(|(at, entry)| (*at, Operation::Reload(entry.id.clone()))).collect();
        let results = self.execute(operations).await.into_iter();
        results.zip(accounts).map(|((at, result), (_, entry))| (at, entry, result)).collect()
    }
}

/// What the reloads of one step say.
#[derive(Default)]
struct Judged {
    /// Whether an account ran before that does not run now.
    is_any_fallen: bool,
    /// Of each account that was not seen to run, why.
    why: String,
}

/// What a reload says of the credential that the account is to use.
enum Reload {
    /// The account runs, or its state says nothing about the credential.
    Runs,
    /// It is not known yet whether the account runs: the old credential stays.
    Stays(String),
    /// The account ran before and does not run with it.
    Fell(String),
}

impl Reload {
    fn judge(
        before: &ConfigEntry,
        result: Result<Done, Refusal>,
        credential: &str,
        needs_consent: bool,
    ) -> Self {
        let title = &before.title;
        let ran = before.state == EntryState::Loaded;
        match result {
            Ok(Done::Reloaded(EntryState::SetupInProgress)) => Self::Stays(format!(
                "the linked account \"{title}\" is still being set up; the next run goes on"
            )),
            Ok(Done::Reloaded(EntryState::UnloadInProgress)) => Self::Stays(format!(
                "Home Assistant is still unloading the linked account \"{title}\"; the next run goes on"
            )),
            Ok(Done::Reloaded(EntryState::FailedUnload)) => Self::Stays(format!(
                "Home Assistant could not unload the linked account \"{title}\": restart it, and the next run goes on"
            )),
            Ok(Done::Reloaded(state)) if is_down(&state) && !needs_consent => {
                let why = format!(
                    "the linked account \"{title}\" does not run with {credential} ({state})"
                );
                if ran { Self::Fell(why) } else { Self::Stays(why) }
            }
            Ok(_) => Self::Runs,
            Err(refusal @ (Refusal::Stopped | Refusal::Lost(_) | Refusal::Denied(_))) => {
                Self::Stays(format!(
                    "the linked account \"{title}\" was not seen to run: {refusal}"
                ))
            }
            Err(refusal) => {
                let why =
                    format!("the linked account \"{title}\" could not be reloaded: {refusal}");
                if ran { Self::Fell(why) } else { Self::Stays(why) }
            }
        }
    }
}

/// Whether a state says that the account runs with what is in force, or nothing about it.
fn is_proof(state: &EntryState) -> bool {
    use EntryState::{FailedUnload, SetupInProgress, UnloadInProgress};
    !is_down(state) && !matches!(state, SetupInProgress | UnloadInProgress | FailedUnload)
}

fn is_down(state: &EntryState) -> bool {
    matches!(state, EntryState::SetupError | EntryState::SetupRetry | EntryState::NotLoaded)
}
