//! What is logged of one target: each state once, and not at every round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::integrations::{TOO_MANY_ACCOUNTS_HELP, too_many_accounts};
use crate::model::{
    Desired, DesiredCredential, Key, Selection, TargetName, UnreadAccounts, Visible,
};
use crate::plan::{Action, Plan, Step};
use crate::reconcile::{Outcome, StepOutcome, Unchecked, unchecked_line};
use crate::status::{Difference, Status, wait_line};

use super::conflict::{StepIdentity, identity};
use super::error::RoundError;

/// What was logged last of a target.
pub(super) struct RoundLog {
    target: TargetName,
    last: String,
    /// The linked accounts that could not be read.
    unread: Vec<UnreadAccounts>,
    /// Why steps failed that have not succeeded since.
    failing: BTreeMap<StepIdentity, String>,
    /// The entries with whose client too many accounts are linked.
    limits: BTreeMap<Key, String>,
    /// What is wrong with entries by what the target knows.
    problems: BTreeSet<String>,
}

impl RoundLog {
    pub(super) fn new(target: TargetName) -> Self {
        let (last, unread, failing, limits, problems) = Default::default();
        Self { target, last, unread, failing, limits, problems }
    }

    pub(super) fn connected(&mut self, version: Option<&str>) {
        self.last.clear();
        tracing::info!(target = %self.target, version, "connected");
    }

    pub(super) fn waits_for_writer(&self, holder: &str, place: &str) {
        tracing::info!(target = %self.target, "waiting for {holder}, which is changing {place}");
    }

    /// Logs what is wrong with entries by what the target knows, each problem once.
    pub(super) fn problems(&mut self, problems: &Diagnostics) {
        let lines: BTreeSet<String> = problems.sorted().into_iter().map(Diagnostic::line).collect();
        for line in lines.difference(&self.problems) {
            tracing::error!(target = %self.target, "{line}");
        }
        self.problems = lines;
    }

    /// Logs what was found. What is about to be done is logged when it is done.
    pub(super) fn found(
        &mut self,
        differences: &[Difference],
        repairing: &[&str],
        plan: &Plan,
        selection: &Selection,
    ) {
        // What need not be done any more does not fail any more.
        let steps: BTreeSet<StepIdentity> =
            plan.steps.iter().map(|step| exact_identity(&step.action)).collect();
        self.failing.retain(|step, _| steps.contains(step));
        if !repairing.is_empty() {
            let steps = repairing.join("; ");
            tracing::info!(target = %self.target, "drift, to do: {steps}");
        }
        let (waiting, rest): (Vec<_>, Vec<_>) =
            differences.iter().partition(|difference| difference.wait().is_some());
        let mut lines = each_reason_once(&rest);
        lines.extend(postponed(&waiting));
        if lines.is_empty() && !plan.steps.iter().all(|step| step.action.is_set_up()) {
            return;
        }
        let (is_as_wanted, accounts) = (lines.is_empty(), accounts(plan));
        if is_as_wanted {
            let rest = match (accounts.is_empty(), selection.is_whole()) {
                (true, true) => "in sync",
                (true, false) => "what is selected is in sync",
                (false, true) => "the credentials are in sync",
                (false, false) => "the selected credentials are in sync",
            };
            lines.push(rest.to_owned());
        }
        lines.extend(accounts);
        self.once(lines.join("; "));
    }

    /// Logs which linked accounts cannot be read, each once.
    pub(super) fn unread(&mut self, unread: &[UnreadAccounts]) {
        for what in unread.iter().filter(|what| !self.unread.contains(what)) {
            tracing::warn!(target = %self.target, "{what}, so no credential that it may use is deleted");
        }
        if unread.is_empty() && !self.unread.is_empty() {
            tracing::info!(target = %self.target, "all linked accounts can be read again");
        }
        self.unread = unread.to_owned();
    }

    fn once(&mut self, state: String) {
        if self.last != state {
            tracing::info!(target = %self.target, "{state}");
            self.last = state;
        }
    }

    /// Whether it is news that a step has ended so.
    pub(super) fn is_news(&mut self, step: &Step, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Done | Outcome::Waits(_) => {
                self.failing.remove(&exact_identity(&step.action));
                true
            }
            // It follows from what failed before it, which was logged.
            Outcome::NotBegun(_) if step.action.is_set_up() => false,
            Outcome::Unfinished(why)
            | Outcome::Failed(why)
            | Outcome::Denied(why)
            | Outcome::NotBegun(why) => {
                // The end of what is no set-up is logged, whatever was logged before.
                if !step.action.is_set_up() {
                    self.last.clear();
                }
                let last = self.failing.insert(exact_identity(&step.action), why.clone());
                last.as_ref() != Some(why)
            }
        }
    }

    /// Logs how a step ended.
    pub(super) fn outcome(&self, step: &Step, StepOutcome { outcome, linked, .. }: &StepOutcome) {
        let what = step.action.summary();
        let linked = linked.as_ref().map(|of| format!(" (\"{}\", {})", of.title, of.id));
        let linked = linked.unwrap_or_default();
        match outcome {
            Outcome::Done => {
                let done = match step.action {
                    Action::SetUp { .. } => "the account is linked",
                    _ => "done",
                };
                tracing::info!(target = %self.target, "{what}: {done}{linked}");
            }
            Outcome::Waits(step) => {
                tracing::info!(target = %self.target, "{what}: {}", step.awaits());
            }
            Outcome::Unfinished(why)
            | Outcome::Failed(why)
            | Outcome::Denied(why)
            | Outcome::NotBegun(why) => match step.action.is_set_up() {
                false => tracing::error!(target = %self.target, "{what}: {why}"),
                true => tracing::warn!(target = %self.target, "{what}: {why}"),
            },
        }
    }

    /// Logs through which clients of entries more accounts are linked, at all targets, than their providers allow.
    pub(super) fn limits(&mut self, status: &Status, desired: &Desired) {
        let limits = too_many_accounts(status.linked());
        let of_entry = |entry: &DesiredCredential| {
            let message = limits.get(&(&entry.domain, &entry.client_id))?;
            Some((entry.key.clone(), message.clone()))
        };
        let limits: BTreeMap<Key, String> =
            desired.credentials.iter().filter_map(of_entry).collect();
        for (key, message) in limits.iter().filter(|(key, why)| self.limits.get(*key) != Some(*why))
        {
            tracing::warn!(target = %self.target, "`{key}`: {message} ({TOO_MANY_ACCOUNTS_HELP})");
        }
        for key in self.limits.keys().filter(|key| !limits.contains_key(*key)) {
            tracing::info!(target = %self.target, "`{key}`: no more accounts are linked than its provider allows");
        }
        self.limits = limits;
    }

    /// Logs which secrets in use are replaced without having been checked.
    pub(super) fn unchecked(&self, unchecked: &[Unchecked]) {
        if let Some(line) = unchecked_line(unchecked) {
            tracing::warn!(target = %self.target, "{line}");
        }
    }

    /// Logs why a round failed; what steps failed was logged already.
    pub(super) fn failed(&mut self, error: &RoundError, next: Option<Duration>) {
        let why = error.to_string();
        if self.last == why || matches!(error, RoundError::Steps(_)) {
            return;
        }
        match next {
            Some(pause) => {
                let seconds = pause.as_secs_f64().ceil();
                tracing::warn!(target = %self.target, "{why}; trying again in {seconds:.0} s");
            }
            None => tracing::error!(
                target = %self.target,
                "{why}; not trying again before that is changed (SIGHUP tries at once)"
            ),
        }
        self.last = why;
    }
}

/// The kind of a step and the very thing that it is about: two credentials of one entry may be to be deleted.
fn exact_identity(action: &Action) -> StepIdentity {
    match action {
        Action::Delete { old, .. } => (action.code(), old.id.to_string()),
        _ => identity(action).unwrap_or_else(|| (action.code(), action.summary())),
    }
}

/// Which accounts are not linked, and which do not run.
fn accounts(plan: &Plan) -> Vec<String> {
    let unlinked = plan.steps.iter().filter_map(|step| match &step.action {
        Action::SetUp { account: None, .. } => Some(step.action.set_up_id()?.to_string()),
        _ => None,
    });
    let unlinked: Vec<String> = unlinked.collect();
    let mut lines = Vec::new();
    if !unlinked.is_empty() {
        lines.push(format!("not linked yet: {}", unlinked.join(", ")));
    }
    // While HA starts, nothing is known.
    let troubles = plan.setup_states.iter().filter_map(|of| Some((&of.id, of.trouble.as_ref()?)));
    let troubles = troubles.filter(|(_, trouble)| !trouble.is_starting);
    lines.extend(troubles.map(|(id, trouble)| format!("{id}: {}", trouble.seen().visible())));
    lines
}

/// What waits for a window or a wave, in one line.
fn postponed(waiting: &[&Difference]) -> Option<String> {
    let why = waiting.iter().find_map(|difference| difference.wait())?;
    let what = waiting.iter().map(|difference| match difference.is_drift {
        true => format!("{} (drift)", difference.what),
        false => difference.what.clone(),
    });
    let what: Vec<String> = what.collect();
    Some(format!("{}: {}", wait_line(waiting.len(), why), what.join(", ")))
}

/// What is to be done and what is not done, with each reason once.
fn each_reason_once(differences: &[&Difference]) -> Vec<String> {
    let (mut lines, mut not_done): (Vec<String>, IndexMap<String, Vec<&str>>) = Default::default();
    for Difference { what, why, is_drift } in differences {
        match why {
            None if *is_drift => lines.push(format!("drift, to do: {what}")),
            None => lines.push(format!("to do: {what}")),
            Some(why) => not_done.entry(why.to_string()).or_default().push(what),
        }
    }
    let line = |(why, what): (String, Vec<&str>)| format!("not done: {}: {why}", what.join(", "));
    lines.extend(not_done.into_iter().map(line));
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::RoundLog;
    use crate::model::{
        ClientId, CredentialId, DesiredCredential, Domain, Glob, Held, Selection, TargetName,
    };
    use crate::plan::{Action, Plan, Step, StepId, Wanted, Why};
    use crate::reconcile::{Outcome, StepOutcome};
    use crate::status::Difference;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile: a line for each message, with its level.
    pub(crate) fn logged(work: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = tracing_subscriber::fmt()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, work);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn plan(creates: &[&str]) -> Plan {
        let step = |(number, key): (usize, &&str)| {
            let example = DesiredCredential::example(key);
            let wanted = Wanted {
                key: example.key,
                domain: example.domain,
                client_id: example.client_id,
                name: example.name,
                auth_domain: format!("appcred:house:{key}").into(),
            };
            Step::new(StepId(number), Action::Create { wanted })
        };
        Plan { steps: (0..).zip(creates).map(step).collect(), ..Plan::default() }
    }

    #[test]
    fn what_waits_for_a_window_is_one_line() {
        let mut log = RoundLog::new(TargetName::new("home"));
        let why = || Some(Why::OutsideWindows { next: "Sat 02:00".into() });
        let waits = |what: &str| Difference { what: what.to_owned(), why: why(), is_drift: false };
        let drifted = Difference { is_drift: true, ..waits("delete b") };
        let waiting = [waits("create a"), drifted];
        let line = "INFO 2 changes wait for the window that begins on Sat 02:00: create a, delete b (drift) target=home";
        let mut found = || logged(|| log.found(&waiting, &[], &plan(&[]), &Selection::default()));
        assert_eq!(found(), [line]);
        assert_eq!(found(), [""; 0]);
    }

    #[test]
    fn what_is_not_done_for_one_reason_is_logged_with_that_once() {
        let mut log = RoundLog::new(TargetName::new("home"));
        let many = || Some(Why::TooManyDeletes { planned: 2, allowed: 1 });
        let of = |what: &str, why| Difference { what: what.to_owned(), why, is_drift: false };
        let differences = [
            of("delete a", many()),
            of("replace c", Some(Why::Suspended)),
            of("delete b", many()),
            of("create d", None),
        ];
        let found = logged(|| log.found(&differences, &[], &plan(&[]), &Selection::default()));
        let line = "INFO to do: create d; not done: delete a, delete b: 2 deletes planned, 1 allowed: nothing of this plan is applied; not done: replace c: the entry is suspended target=home";
        assert_eq!(found, [line]);
    }

    #[test]
    fn the_end_of_a_failure_is_logged_and_so_is_its_return() {
        let mut log = RoundLog::new(TargetName::new("home"));
        let mut round = |plan: &Plan| {
            logged(|| {
                log.found(&[], &[], plan, &Selection::default());
                for step in &plan.steps {
                    let failed = Outcome::Failed("no".to_owned());
                    if log.is_news(step, &failed) {
                        log.outcome(step, &StepOutcome::new(step.id, failed));
                    }
                }
            })
        };
        let (failing, nothing) = (plan(&["a"]), plan(&[]));
        let in_sync = "INFO in sync target=home";
        assert_eq!(round(&nothing), [in_sync]);
        assert_eq!(round(&nothing), [""; 0]);
        let failed = round(&failing);
        assert!(failed[0].starts_with("ERROR create"), "{failed:?}");
        assert_eq!(round(&failing), [""; 0], "once");
        assert_eq!(round(&nothing), [in_sync]);
        assert_eq!(round(&failing), failed);
    }

    #[test]
    fn each_of_two_deletes_of_one_entry_is_logged_once_and_so_is_a_failing_set_up() {
        let held = |id: &str| Held {
            id: CredentialId::new(id),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("a"),
            name: None,
            auth_domain: Some("appcred:house:a".into()),
        };
        let delete = |id| Action::Delete { old: held(id), remove: Vec::new() };
        let Action::Create { wanted } = plan(&["a"]).steps.remove(0).action else { panic!() };
        let policy = Action::SetDeletePolicy { wanted, removes: true };
        let steps = [(delete("1"), "not seen"), (delete("2"), "not begun"), (policy, "refused")];
        let steps = steps.map(|(action, why)| (Step::new(StepId(0), action), why));
        let of_steps = steps.iter().map(|(step, _)| step.clone()).collect();
        let plan = Plan { steps: of_steps, ..Plan::default() };
        let mut log = RoundLog::new(TargetName::new("home"));
        let mut news = || {
            log.found(&[], &[], &plan, &Selection::default());
            steps.each_ref().map(|(step, why)| log.is_news(step, &Outcome::Failed((*why).into())))
        };
        assert_eq!(news(), [true; 3]);
        assert_eq!(news(), [false; 3]);
    }

    #[test]
    fn a_set_up_whose_credential_failed_is_not_logged_beside_that() {
        let mut log = RoundLog::new(TargetName::new("home"));
        let Action::Create { wanted } = plan(&["a"]).steps.remove(0).action else { panic!() };
        let action = Action::SetUp { wanted, name: None, account: None, open: None };
        let step = Step::new(StepId(1), action);
        let outcome = Outcome::NotBegun("its credential is not there".to_owned());
        assert!(!log.is_news(&step, &outcome));
    }

    #[test]
    fn what_is_in_sync_is_what_is_selected() {
        let mut log = RoundLog::new(TargetName::new("home"));
        let selection =
            Selection { keys: Glob::new("a").into_iter().collect(), ..Default::default() };
        let found = logged(|| log.found(&[], &[], &plan(&[]), &selection));
        assert_eq!(found, ["INFO what is selected is in sync target=home"]);
    }
}
