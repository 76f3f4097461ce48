//! Waves of steps, each of which creates, reloads, removes and deletes in this order.

use std::collections::BTreeMap;

use crate::model::{Desired, Held, Key, NewCredential, Secret};
use crate::plan::{Action, Plan, Reason, Step, StepId, Wanted};
use crate::target::{Done, Execute, Operation, Refusal, Stop};

use super::outcome::{Outcome, StepOutcome};
use super::step_progress::StepProgress;

/// Called after each operation with how many are done, and how many there are.
pub type Progress<'a> = &'a mut (dyn FnMut(usize, usize) + Send);

/// Carries out a plan's steps that concern credentials. Answers the result of each, in their order.
///
/// Steps go in waves: a step is begun when the one that it names as `after` is done, and what
/// creates something goes before what does not. In each wave
/// 1. all new credentials are created;
/// 2. linked accounts of those are reloaded. One that ran before and does not run with a changed
///    secret puts the old credential back in force: the new one is deleted, the account reloaded;
/// 3. what is replaced or no longer wanted is deleted, after the accounts that go with it, and its users reloaded.
///
/// - A step that fails stops only what depends on it.
/// - When `stop` is cancelled, what is in flight is finished, and what an account does not run with is put back.
/// - The old credential of a linked account stays until the account was seen to run with the new
///   one, unless a changed client id asks for consent again anyway.
/// - Killed at any point, the next plan goes on from there, and an account that is left down is reloaded.
pub async fn apply<T: Execute>(
    plan: &Plan,
    desired: &Desired,
    target: &mut T,
    stop: &Stop,
    progress: Progress<'_>,
) -> Vec<StepOutcome> {
    let secrets: BTreeMap<&Key, &Secret> = desired
        .credentials
        .iter()
        .filter_map(|credential| Some((&credential.key, credential.client_secret.clear()?)))
        .collect();
    let mut run = ApplyRun::new(plan, target, stop, progress);
    while run.begin_wave() {
        run.create(&secrets, |step| step.claim.as_ref(), |task| &mut task.claim).await;
        run.create(&secrets, |step| step.action.created(), |task| &mut task.created).await;
        run.reload_created().await;
        run.remove_accounts().await;
        run.delete().await;
        run.reload_deleted().await;
        run.end_wave();
    }
    run.finish()
}

pub(super) struct ApplyRun<'a, T> {
    pub(super) tasks: Vec<StepProgress<'a>>,
    target: &'a mut T,
    pub(super) stop: Stop,
    progress: Progress<'a>,
    over: usize,
    total: usize,
}

impl<'a, T: Execute> ApplyRun<'a, T> {
    fn new(plan: &'a Plan, target: &'a mut T, stop: &'a Stop, progress: Progress<'a>) -> Self {
        let of_credentials = plan.steps.iter().filter(|step| !step.action.is_set_up());
        let tasks: Vec<_> = of_credentials
            .map(|step| StepProgress {
                step,
                is_begun: false,
                created: None,
                claim: None,
                is_changed: false,
                is_denied: false,
                outcome: None,
            })
            .collect();
        let operations = |step: &Step| {
            usize::from(step.action.created().is_some())
                + usize::from(step.claim.is_some()) * 2
                + step.action.outgoing().len()
                + step.action.removed().len()
                + step.reload.len()
        };
        let total = tasks.iter().map(|task| operations(task.step)).sum();
        Self { tasks, target, stop: stop.clone(), progress, over: 0, total }
    }

    /// Starts the steps that can run now, those that create something first; `false` where none is left.
    fn begin_wave(&mut self) -> bool {
        let (mut ready, mut is_any_blocked) = (Vec::new(), false);
        for at in 0..self.tasks.len() {
            let before = self.tasks[at].step.after.and_then(|after| self.task_of(after));
            let is_ready = before.is_none_or(|before| before.outcome == Some(Outcome::Done));
            let is_blocked = !is_ready && before.is_some_and(|before| before.outcome.is_some());
            if self.tasks[at].outcome.is_some() {
                continue;
            }
            if is_blocked {
                let why = "a step that it depends on was not done".to_owned();
                self.tasks[at].outcome = Some(Outcome::NotBegun(why));
                is_any_blocked = true;
            } else if is_ready {
                ready.push(at);
            }
        }
        let creates = |at: &usize| self.tasks[*at].step.action.created().is_some();
        if ready.iter().any(creates) {
            ready.retain(creates);
        }
        for at in &ready {
            self.tasks[*at].is_begun = true;
        }
        !ready.is_empty() || is_any_blocked
    }

    /// The steps of a plan are in the order of their ids.
    fn task_of(&self, id: StepId) -> Option<&StepProgress<'a>> {
        self.tasks.get(self.tasks.binary_search_by_key(&id, |task| task.step.id).ok()?)
    }

    fn end_wave(&mut self) {
        for task in self.tasks.iter_mut().filter(|task| task.is_open()) {
            task.outcome = Some(Outcome::Done);
        }
    }

    /// Creates what each step wants of it, and keeps that in its place.
    async fn create(
        &mut self,
        secrets: &BTreeMap<&Key, &Secret>,
        of: fn(&'a Step) -> Option<&'a Wanted>,
        place: for<'t> fn(&'t mut StepProgress<'a>) -> &'t mut Option<Held>,
    ) {
        let mut operations = Vec::new();
        for (at, task) in self.tasks.iter_mut().enumerate().filter(|(_, task)| task.is_open()) {
            let Some(wanted) = of(task.step) else { continue };
            match secrets.get(&wanted.key).map(|secret| (*secret).clone()) {
                Some(secret) => {
                    operations.push((at, Operation::Create(new_credential(wanted, secret))))
                }
                None => {
                    task.outcome =
                        Some(Outcome::NotBegun(format!("no secret for `{}`", wanted.key)))
                }
            }
        }
        for (at, result) in self.execute(operations).await {
            let task = &mut self.tasks[at];
            match (result, of(task.step)) {
                (Ok(Done::Created(id)), Some(wanted)) => {
                    let held = Held {
                        id,
                        domain: wanted.domain.clone(),
                        client_id: wanted.client_id.clone(),
                        name: Some(wanted.name.clone()),
                        auth_domain: Some(wanted.auth_domain.clone()),
                    };
                    *place(task) = Some(held);
                }
                (Ok(_), _) => {
                    task.outcome = Some(Outcome::Failed("the target created nothing".to_owned()))
                }
                (Err(refusal), _) => task.outcome = Some(task.refused(refusal)),
            }
        }
    }

    /// Accounts go before the credential that they use; where one stays, so does the credential.
    async fn remove_accounts(&mut self) {
        let mut operations = Vec::new();
        for (at, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.is_open()) {
            let removed = task.step.action.removed().iter();
            operations
                .extend(removed.map(|account| (at, Operation::RemoveAccount(account.clone()))));
        }
        for (at, result) in self.execute(operations).await {
            if let (Err(refusal), task) = (result, &mut self.tasks[at]) {
                task.outcome = Some(task.refused(refusal));
            }
        }
    }

    /// What claims an old one goes after that.
    async fn delete(&mut self) {
        self.keep_what_is_unproven().await;
        for (at, result) in self.delete_of_each(|task| task.step.action.outgoing()).await {
            if let (Err(refusal), task) = (result, &mut self.tasks[at]) {
                let refused = match task.step.action {
                    Action::Delete { .. } => task.refused(refusal),
                    _ => {
                        Outcome::Unfinished(format!("the old credential is still there: {refusal}"))
                    }
                };
                task.outcome.get_or_insert(refused);
            }
        }
        for (at, result) in self.delete_of_each(|task| task.claim.as_slice()).await {
            match result {
                // It got a free id that an account names, or an account was linked by it. A later plan
                // deletes it, once that account is gone.
                Ok(_) | Err(Refusal::InUse { .. } | Refusal::UsedByNow { .. }) => {}
                Err(refusal) => {
                    let why = format!("what was to claim the old one is still there: {refusal}");
                    self.tasks[at].outcome = Some(Outcome::Unfinished(why));
                }
            }
        }
    }

    async fn delete_of_each(
        &mut self,
        of: for<'t> fn(&'t StepProgress<'a>) -> &'t [Held],
    ) -> Vec<(usize, Result<Done, Refusal>)> {
        let mut operations = Vec::new();
        for (at, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.is_open()) {
            let is_taken_back = task.step.reasons.contains(&Reason::TakenBack);
            let leave = if is_taken_back { Operation::TakeBack } else { Operation::Delete };
            operations.extend(of(task).iter().map(|old| (at, leave(old.clone()))));
        }
        self.execute(operations).await
    }

    /// Runs one wave; the results are in the order of the operations.
    pub(super) async fn execute(
        &mut self,
        operations: Vec<(usize, Operation)>,
    ) -> Vec<(usize, Result<Done, Refusal>)> {
        let (owners, operations): (Vec<usize>, Vec<Operation>) = operations.into_iter().unzip();
        if operations.is_empty() {
            return Vec::new();
        }
        let mut results: Vec<Result<Done, Refusal>> =
            vec![
                Err(Refusal::Lost("the target did not report on it".to_owned()));
                operations.len()
            ];
        let (over, total) = (&mut self.over, self.total);
        let progress = &mut self.progress;
        let mut done = |at: usize, result| {
            results[at] = result;
            *over += 1;
            progress(*over, total.max(*over));
        };
        self.target.execute(operations, &self.stop, &mut done).await;
        for (at, result) in owners.iter().zip(&results) {
            let changes = matches!(result, Ok(Done::Created(_) | Done::Deleted | Done::Removed));
            self.tasks[*at].is_changed |= changes;
            self.tasks[*at].is_denied |= matches!(result, Err(Refusal::Denied(_)));
        }
        owners.into_iter().zip(results).collect()
    }

    fn finish(self) -> Vec<StepOutcome> {
        self.tasks
            .into_iter()
            .map(|task| {
                let outcome = match task.outcome {
                    Some(Outcome::Unfinished(why) | Outcome::Failed(why)) if task.is_denied => {
                        Outcome::Denied(why)
                    }
                    Some(outcome) => outcome,
                    None => Outcome::NotBegun(
                        "internal error: steps depend on each other in a circle".to_owned(),
                    ),
                };
                let done = StepOutcome::new(task.step.id, outcome);
                StepOutcome { is_changed: done.is_changed || task.is_changed, ..done }
            })
            .collect()
    }
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
