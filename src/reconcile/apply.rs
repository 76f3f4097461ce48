//! Waves of steps, each of which creates, reloads, removes and deletes in this order.

use std::collections::BTreeMap;

use crate::model::{ConfigEntry, Desired, EntryState, Held, Key, NewCredential, Secret};
use crate::plan::{Action, Plan, Reason, Step, StepId, Wanted};
use crate::target::{Done, Execute, Operation, Refusal, Stop};

use super::outcome::{Outcome, StepOutcome};
use super::reload::{Reload, is_proof};
use super::step_progress::StepProgress;

/// Called as things move on: so many operations of so many are over.
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

struct ApplyRun<'a, T> {
    tasks: Vec<StepProgress<'a>>,
    target: &'a mut T,
    stop: &'a Stop,
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
        Self { tasks, target, stop, progress, over: 0, total }
    }

    /// Begins the steps whose turn it is, those that create something first; `false` where there are
    /// none left.
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
                (Err(refusal), _) => task.outcome = Some(refusal.into()),
            }
        }
    }

    async fn reload_created(&mut self) {
        let reloads = self.reload(|task| task.created.is_some()).await;
        let mut fallen = BTreeMap::new();
        for (at, reload) in reloads {
            match reload {
                Reload::Stays(why) => self.tasks[at].outcome = Some(Outcome::Unfinished(why)),
                Reload::Fell(why) => {
                    fallen.entry(at).or_insert(why);
                }
                Reload::Runs => {}
            }
        }
        // Where one account keeps the new credential from being judged, nothing is put back.
        fallen.retain(|at, _| self.tasks[*at].outcome.is_none());
        self.put_back(fallen).await;
    }

    /// Deletes new credentials with which accounts do not run, so that the old ones are in force
    /// again, and makes sure of that.
    async fn put_back(&mut self, fallen: BTreeMap<usize, String>) {
        let new = |at: usize| Some((at, Operation::Delete(self.tasks[at].created.clone()?)));
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
        let mut down = BTreeMap::new();
        for (at, entry, result) in self.reload_all(accounts).await {
            if entry.state == EntryState::Loaded && result != Ok(Done::Reloaded(EntryState::Loaded))
            {
                let state = match result {
                    Ok(Done::Reloaded(state)) => state.to_string(),
                    Ok(_) => "unknown".to_owned(),
                    Err(refusal) => refusal.to_string(),
                };
                down.insert(at, format!(
                    "the new credential was removed, and the linked account \"{}\" does not run yet ({state}); the next run reloads it",
                    entry.title
                ));
            }
        }
        for (at, why) in fallen {
            self.tasks[at].outcome = Some(match kept.remove(&at).or_else(|| down.remove(&at)) {
                Some(rest) => Outcome::Unfinished(format!("{why}; {rest}")),
                None => Outcome::Failed(format!("{why}; the old credential is in force again")),
            });
        }
    }

    /// Accounts go before the credential that they use; where one stays, so does the credential.
    async fn remove_accounts(&mut self) {
        let mut operations = Vec::new();
        for (at, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.is_open()) {
            let removed = task.step.action.removed().iter();
            operations
                .extend(removed.map(|entry| (at, Operation::RemoveAccount(entry.id.clone()))));
        }
        for (at, result) in self.execute(operations).await {
            if let Err(refusal) = result {
                self.tasks[at].outcome = Some(refusal.into());
            }
        }
    }

    /// What claims an old one goes after that.
    async fn delete(&mut self) {
        self.keep_what_is_unproven().await;
        for (at, result) in self.delete_of_each(|task| task.step.action.outgoing()).await {
            if let (Err(refusal), task) = (result, &mut self.tasks[at]) {
                task.outcome.get_or_insert(match task.step.action {
                    Action::Delete { .. } => refusal.into(),
                    _ => {
                        Outcome::Unfinished(format!("the old credential is still there: {refusal}"))
                    }
                });
            }
        }
        for (at, result) in self.delete_of_each(|task| task.claim.as_slice()).await {
            match result {
                // It got a free id that an account names. A later plan deletes it, once that
                // account is gone.
                Ok(_) | Err(Refusal::InUse { .. }) => {}
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
            operations.extend(of(task).iter().map(|old| (at, Operation::Delete(old.clone()))));
        }
        self.execute(operations).await
    }

    /// A run that was cut off may have left a new credential with which no account was seen to
    /// run. The old one beside it goes only after that; one that is in force itself says nothing of the new one.
    async fn keep_what_is_unproven(&mut self) {
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

    async fn reload_deleted(&mut self) {
        for (at, reload) in self.reload(|task| task.created.is_none()).await {
            if let Reload::Stays(why) | Reload::Fell(why) = reload {
                self.tasks[at].outcome = Some(Outcome::Unfinished(why));
            }
        }
    }

    /// Reloads the accounts of the open tasks that are meant.
    async fn reload(
        &mut self,
        is_meant: impl Fn(&StepProgress<'_>) -> bool,
    ) -> Vec<(usize, Reload)> {
        let mut accounts = Vec::new();
        for (at, task) in self.tasks.iter().enumerate() {
            if task.is_open() && is_meant(task) {
                accounts.extend(task.step.reload.iter().map(|entry| (at, entry)));
            }
        }
        let results = self.reload_all(accounts).await;
        let judged = results.into_iter().map(|(at, entry, result)| {
            let needs_consent = self.tasks[at].step.reasons.contains(&Reason::ClientIdDiffers);
            (at, Reload::judge(entry, result, needs_consent))
        });
        judged.collect()
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
        self.target.execute(operations, self.stop, &mut done).await;
        for (at, result) in owners.iter().zip(&results) {
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
                StepOutcome::new(task.step.id, outcome)
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
