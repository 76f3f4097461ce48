//! Create, reload, remove, delete: in this order. What does not wait for anything else goes on side
//! by side.

use std::collections::BTreeMap;

use crate::model::{ConfigEntry, Desired, EntryState, Held, Key, NewCredential, Secret};
use crate::plan::{Action, Plan, Reason, Step, StepId, Wanted};
use crate::target::{Done, Execute, Operation, Refusal, Stop};

use super::outcome::{Outcome, StepOutcome};

/// Told as things move on: so many operations of so many are over.
pub type Progress<'a> = &'a mut (dyn FnMut(usize, usize) + Send);

/// Carries out a plan's steps that concern credentials and tells what each came to, in their order.
///
/// # Flow
/// 1. New credentials are created, each after the step that it waits for.
/// 2. Linked accounts of those are reloaded. One that ran before and does not run with a changed
///    secret puts the old credential back in force: the new one is deleted, the account reloaded.
/// 3. What is replaced or no longer wanted is deleted, after the accounts that are to go with it and
///    after what the step waits for is deleted; then accounts that used it are reloaded.
///
/// # Guarantees
/// A step that fails stops only what depends on it. Killed at any point, the next plan goes on
/// from there: what a step deletes is deleted after what it creates exists.
pub async fn apply<T: Execute>(
    plan: &Plan,
    desired: &Desired,
    target: &mut T,
    stop: &Stop,
    progress: Progress<'_>,
) -> Vec<StepOutcome> {
    let mut run = Run::new(plan, target, stop, progress);
    run.create_all(desired).await;
    run.remove_accounts().await;
    run.delete().await;
    run.reload_deleted().await;
    run.finish()
}

/// Why a step is not done.
const BLOCKED: &str = "the step that it waits for was not done";

/// A step on its way.
struct Task<'a> {
    step: &'a Step,
    created: Option<Held>,
    /// Whether all that it deletes is gone.
    is_deleted: bool,
    outcome: Option<Outcome>,
}

struct Run<'a, T> {
    tasks: Vec<Task<'a>>,
    target: &'a mut T,
    stop: &'a Stop,
    progress: Progress<'a>,
    over: usize,
    total: usize,
}

impl<'a, T: Execute> Run<'a, T> {
    fn new(plan: &'a Plan, target: &'a mut T, stop: &'a Stop, progress: Progress<'a>) -> Self {
        let of_credentials = plan.steps.iter().filter(|step| !step.action.is_set_up());
        let tasks: Vec<_> = of_credentials
            .map(|step| Task { step, created: None, is_deleted: false, outcome: None })
            .collect();
        let operations = |step: &Step| {
            usize::from(step.action.wanted().is_some())
                + step.action.outgoing().len()
                + step.action.removed().len()
                + step.reload.len()
        };
        let total = tasks.iter().map(|task| operations(task.step)).sum();
        Self { tasks, target, stop, progress, over: 0, total }
    }

    /// Creates, and reloads what uses the new ones, until nothing waits any more.
    async fn create_all(&mut self, desired: &Desired) {
        let secrets: BTreeMap<&Key, &Secret> = desired
            .credentials
            .iter()
            .filter_map(|credential| Some((&credential.key, credential.client_secret.clear()?)))
            .collect();
        let mut waiting: Vec<usize> = (0..self.tasks.len())
            .filter(|at| self.tasks[*at].step.action.wanted().is_some())
            .collect();
        while !waiting.is_empty() {
            let ids: Vec<StepId> = waiting.iter().map(|at| self.tasks[*at].step.id).collect();
            let (later, ready): (Vec<usize>, Vec<usize>) = waiting.iter().partition(|at| {
                self.tasks[**at].step.after.is_some_and(|after| ids.contains(&after))
            });
            if ready.is_empty() {
                break;
            }
            self.create(&ready, &secrets).await;
            self.reload_created(&ready).await;
            waiting = later;
        }
    }

    async fn create(&mut self, ready: &[usize], secrets: &BTreeMap<&Key, &Secret>) {
        let mut operations = Vec::new();
        for at in ready.iter().copied() {
            let Some(wanted) = self.tasks[at].step.action.wanted() else { continue };
            let blocked = self.not_created(self.tasks[at].step.after);
            match secrets.get(&wanted.key).map(|secret| (*secret).clone()) {
                _ if blocked => {
                    self.tasks[at].outcome = Some(Outcome::NotBegun(BLOCKED.to_owned()))
                }
                Some(secret) => {
                    operations.push((at, Operation::Create(new_credential(wanted, secret))))
                }
                None => {
                    let why = format!("no secret for `{}`", wanted.key);
                    self.tasks[at].outcome = Some(Outcome::NotBegun(why));
                }
            }
        }
        for (at, result) in self.execute(operations).await {
            let task = &mut self.tasks[at];
            match (result, task.step.action.wanted()) {
                (Ok(Done::Created(id)), Some(wanted)) => {
                    task.created = Some(Held {
                        id,
                        domain: wanted.domain.clone(),
                        client_id: wanted.client_id.clone(),
                        name: Some(wanted.name.clone()),
                        auth_domain: Some(wanted.auth_domain.clone()),
                    });
                }
                (Ok(_), _) => {
                    task.outcome = Some(Outcome::Failed("the target created nothing".to_owned()))
                }
                (Err(refusal), _) => task.outcome = Some(refused(&refusal)),
            }
        }
    }

    async fn reload_created(&mut self, ready: &[usize]) {
        let fallen = self.reload(|at, task| ready.contains(&at) && task.created.is_some()).await;
        if fallen.is_empty() {
            return;
        }
        let back: Vec<_> = fallen
            .iter()
            .filter_map(|(at, _)| Some((*at, Operation::Delete(self.tasks[*at].created.clone()?))))
            .collect();
        let deleted = self.execute(back).await;
        for (at, result) in deleted {
            let why =
                fallen.iter().find(|(fallen, _)| *fallen == at).map_or("", |(_, why)| why.as_str());
            let entries = self.tasks[at].step.reload.clone();
            let again =
                entries.into_iter().map(|entry| (at, Operation::Reload(entry.id))).collect();
            self.execute(again).await;
            self.tasks[at].outcome = Some(match result {
                Ok(_) => Outcome::Failed(format!("{why}; the old credential is in force again")),
                Err(refusal) => Outcome::Unfinished(format!(
                    "{why}; the new credential could not be removed: {refusal}"
                )),
            });
        }
    }

    /// Accounts go before the credential that they use; where one stays, so does the credential.
    async fn remove_accounts(&mut self) {
        let mut operations = Vec::new();
        for at in 0..self.tasks.len() {
            if self.tasks[at].outcome.is_some() {
                continue;
            }
            if self.not_created(self.tasks[at].step.after) {
                self.tasks[at].outcome = Some(Outcome::NotBegun(BLOCKED.to_owned()));
                continue;
            }
            let removed = self.tasks[at].step.action.removed().iter();
            operations
                .extend(removed.map(|entry| (at, Operation::RemoveAccount(entry.id.clone()))));
        }
        for (at, result) in self.execute(operations).await {
            if let Err(refusal) = result {
                self.tasks[at].outcome = Some(refused(&refusal));
            }
        }
    }

    async fn delete(&mut self) {
        let is_on_its_way = |task: &Task<'_>| task.outcome.is_none() && !task.is_deleted;
        loop {
            let mut operations = Vec::new();
            let mut ready = Vec::new();
            for at in 0..self.tasks.len() {
                let task = &self.tasks[at];
                let before =
                    self.tasks.iter().find(|task| Some(task.step.id) == self.tasks[at].step.after);
                if !is_on_its_way(task) || before.is_some_and(is_on_its_way) {
                    continue;
                }
                if before.is_some_and(|before| before.outcome.is_some()) {
                    let why = BLOCKED.to_owned();
                    let is_begun = task.created.is_some();
                    let outcome =
                        if is_begun { Outcome::Unfinished(why) } else { Outcome::NotBegun(why) };
                    self.tasks[at].outcome = Some(outcome);
                    continue;
                }
                ready.push(at);
                let outgoing = task.step.action.outgoing().iter();
                operations.extend(outgoing.map(|old| (at, Operation::Delete(old.clone()))));
            }
            if ready.is_empty() {
                // What was blocked just now may block others.
                match self.tasks.iter().any(|task| self.is_blocked(task)) {
                    true => continue,
                    false => return,
                }
            }
            for (at, result) in self.execute(operations).await {
                let task = &mut self.tasks[at];
                if let (Err(refusal), None) = (result, &task.outcome) {
                    task.outcome = Some(match task.step.action {
                        Action::Delete { .. } => refused(&refusal),
                        _ => Outcome::Unfinished(format!(
                            "the old credential is still there: {refusal}"
                        )),
                    });
                }
            }
            for at in ready {
                self.tasks[at].is_deleted = self.tasks[at].outcome.is_none();
            }
        }
    }

    async fn reload_deleted(&mut self) {
        let fallen = self.reload(|_, task| task.created.is_none()).await;
        for (at, why) in fallen {
            self.tasks[at].outcome = Some(Outcome::Unfinished(why));
        }
    }

    /// Reloads the accounts of the tasks that are meant and on their way; answers those tasks
    /// of which an account that ran before runs no more, though its client is the same.
    async fn reload(
        &mut self,
        is_meant: impl Fn(usize, &Task<'_>) -> bool,
    ) -> Vec<(usize, String)> {
        let mut operations = Vec::new();
        let mut entries: Vec<&ConfigEntry> = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            if task.outcome.is_none() && is_meant(at, task) {
                operations.extend(
                    task.step.reload.iter().map(|entry| (at, Operation::Reload(entry.id.clone()))),
                );
                entries.extend(&task.step.reload);
            }
        }
        let mut fallen: Vec<(usize, String)> = Vec::new();
        for ((at, result), entry) in self.execute(operations).await.into_iter().zip(entries) {
            let needs_consent = self.tasks[at].step.reasons.contains(&Reason::ClientIdDiffers);
            let why = match result {
                Ok(Done::Reloaded(state)) if runs_no_more(entry, &state) && !needs_consent => {
                    format!("the linked account \"{}\" does not run with it ({state})", entry.title)
                }
                Err(refusal) if refusal != Refusal::Stopped => {
                    format!(
                        "the linked account \"{}\" could not be reloaded: {refusal}",
                        entry.title
                    )
                }
                _ => continue,
            };
            if fallen.iter().all(|(other, _)| *other != at) {
                fallen.push((at, why));
            }
        }
        fallen
    }

    /// Whether a step should have created something and did not.
    fn not_created(&self, step: Option<StepId>) -> bool {
        let before = self.tasks.iter().find(|task| Some(task.step.id) == step);
        before.is_some_and(|before| {
            before.step.action.wanted().is_some()
                && (before.created.is_none() || before.outcome.is_some())
        })
    }

    /// Whether a task waits for one that did not come to its end.
    fn is_blocked(&self, task: &Task<'_>) -> bool {
        let before = self.tasks.iter().find(|before| Some(before.step.id) == task.step.after);
        task.outcome.is_none()
            && !task.is_deleted
            && before.is_some_and(|before| before.outcome.is_some())
    }

    /// Runs one wave; the results are in the order of the operations.
    async fn execute(
        &mut self,
        operations: Vec<(usize, Operation)>,
    ) -> Vec<(usize, Result<Done, Refusal>)> {
        let (owners, operations): (Vec<usize>, Vec<Operation>) = operations.into_iter().unzip();
        if operations.is_empty() {
            return Vec::new();
        }
        let mut results: Vec<Result<Done, Refusal>> =
            vec![Err(Refusal::Lost("the target said nothing of it".to_owned())); operations.len()];
        let (over, total) = (&mut self.over, self.total);
        let progress = &mut self.progress;
        let mut done = |at: usize, result| {
            results[at] = result;
            *over += 1;
            progress(*over, total.max(*over));
        };
        self.target.execute(operations, self.stop, &mut done).await;
        owners.into_iter().zip(results).collect()
    }

    fn finish(self) -> Vec<StepOutcome> {
        self.tasks
            .into_iter()
            .map(|task| StepOutcome {
                step: task.step.id,
                outcome: task.outcome.unwrap_or(Outcome::Done),
            })
            .collect()
    }
}

fn refused(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::Stopped => Outcome::NotBegun(refusal.to_string()),
        _ => Outcome::Failed(refusal.to_string()),
    }
}

fn runs_no_more(before: &ConfigEntry, after: &EntryState) -> bool {
    before.state == EntryState::Loaded
        && matches!(after, EntryState::SetupError | EntryState::SetupRetry)
}

fn new_credential(wanted: &Wanted, client_secret: Secret) -> NewCredential {
    NewCredential {
        domain: wanted.domain.clone(),
        client_id: wanted.client_id.clone(),
        client_secret,
        name: wanted.name.clone(),
        auth_domain: wanted.auth_domain.clone(),
    }
}
