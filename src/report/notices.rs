//! What people are to know of set-ups and linked accounts.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::change::Change;
use super::names::Names;
use super::set_up::of_entry;
use super::text::{DIM, line};
use crate::model::{
    ConfigEntry, Domain, EntryId, EntryState, Key, Mark, Observed, SetUpId, TargetName,
};
use crate::plan::{
    Action, EntrySetup, Plan, Reason, SetupState, Step, Trouble, UndeclaredAccount, Why, Withheld,
};

/// The same of a plan whose steps are shown: what one of them continues needs no notice.
pub(super) fn beside_steps(plan: &Plan) -> Vec<Change> {
    let continued = |id: &SetUpId| {
        let steps = plan.steps.iter().map(|step| &step.action);
        let set_ups = steps.filter(|action| matches!(action, Action::SetUp { .. }));
        set_ups.filter_map(Action::set_up_id).any(|of| of == *id)
    };
    let in_progress = in_progress(plan).filter(|of| !continued(&of.id));
    let in_progress: Vec<_> = in_progress.map(being_set_up).collect();
    in_progress.into_iter().chain(others(plan, |_| true)).collect()
}

fn being_set_up(EntrySetup { id, .. }: &EntrySetup) -> Change {
    let help =
        format!("`appcred authorize {}` continues it and shows what it waits for", id.argument());
    Change::notice(format!("{id}: it is being set up"), Some(help))
}

/// Every set-up that is in progress, every account that does not run, and those that no entry names.
pub(super) fn notices(plan: &Plan, is_meant: impl Fn(&Key) -> bool) -> Vec<Change> {
    let in_progress = in_progress(plan).filter(|of| is_meant(&of.id.key));
    let in_progress: Vec<_> = in_progress.map(being_set_up).collect();
    in_progress.into_iter().chain(others(plan, is_meant)).collect()
}

/// What is to know but for set-ups that are in progress.
fn others(plan: &Plan, is_meant: impl Fn(&Key) -> bool) -> Vec<Change> {
    let troubled = troubled(plan).filter(|(id, _)| is_meant(&id.key)).map(|(id, trouble)| {
        let of = id.account.as_ref().map(|_| format!(" ({})", account(&trouble.account)));
        let title = format!("{id}{}: {}", of.unwrap_or_default(), trouble.seen());
        Change::notice(title, Some(trouble.help(id)))
    });
    let kept = kept_undeclared(plan).filter(|account| is_meant(&account.key));
    let undeclared = kept.map(|account| Change::notice(undeclared(account), None));
    let renamed = perhaps_renamed(plan).into_iter().filter(|(new, _)| is_meant(new));
    let renamed = renamed.map(|(new, old)| {
        let title = format!("{new}: it is new, and `{old}` of the same integration is gone");
        let help = format!(
            "if the entry was renamed, `formerly: [{old}]` in it replaces its client, and its linked accounts stay with it"
        );
        Change::notice(title, Some(help))
    });
    troubled.chain(undeclared).chain(renamed).collect()
}

/// The set-ups that a run would begin, of which a plan against a snapshot has no steps.
pub(super) fn expected_set_ups(expected: &[SetUpId]) -> Option<Change> {
    let all: Vec<String> = expected.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        let title = format!("not linked in the snapshot: {}", all.join(", "));
        let help = "`apply` begins the set-up of these, unless it is in progress: somebody must consent to it then";
        Change::notice(title, Some(help.to_owned()))
    })
}

/// The new entries of integrations of which just one other is gone: by its client, an entry is found again that was
/// renamed, unless that is another one as well.
fn perhaps_renamed(plan: &Plan) -> Vec<(&Key, Key)> {
    let mut new: IndexMap<&Domain, BTreeSet<&Key>> = IndexMap::new();
    let mut gone: IndexMap<&Domain, BTreeSet<Key>> = IndexMap::new();
    let mut declared: BTreeSet<&Key> =
        plan.credential_states.iter().filter_map(|of| of.state.key()).collect();
    for step in &plan.steps {
        if let Action::Create { wanted } = &step.action
            && step.reasons.contains(&Reason::NotObserved)
        {
            new.entry(&wanted.domain).or_default().insert(&wanted.key);
        }
    }
    // A rename is the likeliest reason why deletes are too many.
    let is_stopped = |of: &&Withheld| matches!(of.why, Why::TooManyDeletes { .. });
    for withheld in plan.withheld.iter().filter(is_stopped) {
        if let Action::Create { wanted } = &withheld.action {
            new.entry(&wanted.domain).or_default().insert(&wanted.key);
        }
    }
    let held_back = plan.withheld.iter().map(|withheld| &withheld.action);
    let actions = || plan.steps.iter().map(|step| &step.action).chain(held_back.clone());
    declared.extend(actions().filter_map(Action::for_entry).map(|wanted| &wanted.key));
    for action in actions() {
        if let Action::Delete { old, .. } = action
            && let Some(mark) = old.auth_domain.as_deref().and_then(Mark::of_text)
            && !declared.contains(&mark.key)
        {
            gone.entry(&old.domain).or_default().insert(mark.key);
        }
    }
    let mut pairs = Vec::new();
    for (domain, new) in new {
        if let Some(gone) = gone.get(domain)
            && let (1, 1, Some(new), Some(gone)) =
                (new.len(), gone.len(), new.first(), gone.first())
        {
            pairs.push((*new, gone.clone()));
        }
    }
    pairs
}

/// The set-ups that wait for something, but for those that the plan ends.
pub(super) fn in_progress(plan: &Plan) -> impl Iterator<Item = &EntrySetup> {
    let abandons = |step: &&Step| matches!(step.action, Action::Abandon { .. });
    let abandoned = plan.steps.iter().filter(abandons);
    let abandoned: BTreeSet<SetUpId> =
        abandoned.filter_map(|step| step.action.set_up_id()).collect();
    plan.setup_states
        .iter()
        .filter(move |of| of.state == SetupState::InProgress && !abandoned.contains(&of.id))
}

/// The accounts that do not run.
pub(super) fn troubled(plan: &Plan) -> impl Iterator<Item = (&SetUpId, &Trouble)> {
    let is_other = |of: &&EntrySetup| of.state != SetupState::InProgress;
    let states = plan.setup_states.iter().filter(is_other);
    states.filter_map(|of| Some((&of.id, of.trouble.as_ref()?)))
}

/// The linked accounts that no entry names and that stay.
pub(super) fn kept_undeclared(plan: &Plan) -> impl Iterator<Item = &UndeclaredAccount> {
    let removed: BTreeSet<&EntryId> = plan
        .steps
        .iter()
        .flat_map(|step| step.action.removed())
        .map(|account| &account.id)
        .collect();
    plan.undeclared_accounts.iter().filter(move |of| !removed.contains(&of.account.id))
}

/// Which linked accounts could not be read, each with all targets where that is so.
pub fn unread_accounts<'a>(
    targets: impl Iterator<Item = (&'a TargetName, &'a Observed)>,
) -> Vec<String> {
    let mut of: IndexMap<String, Vec<&TargetName>> = IndexMap::new();
    for (name, observed) in targets {
        for unread in &observed.unread_accounts {
            of.entry(unread.to_string()).or_default().push(name);
        }
    }
    let line = |(unread, names): (String, Vec<&TargetName>)| {
        format!("{}: {unread}, so no credential that it may use is deleted", Names(names))
    };
    of.into_iter().map(line).collect()
}

/// A linked account by its title and id.
pub fn account(ConfigEntry { title, id, .. }: &ConfigEntry) -> String {
    format!("\"{title}\", {id}")
}

/// Which account is linked under each name of an entry.
pub(super) fn named(out: &mut String, plan: &Plan, keys: &BTreeSet<Key>) {
    let is_listed = |of: &&EntrySetup| of.id.account.is_some() && keys.contains(&of.id.key);
    let named = plan.setup_states.iter().filter(is_listed);
    let linked = named.filter_map(|of| Some((&of.id, of_entry(of).account?)));
    for (nth, (id, linked)) in linked.enumerate() {
        if nth == 0 {
            out.push('\n');
        }
        line(out, DIM, &format!("  {id} is the linked account {}", account(linked)));
    }
}

/// What is to be known of a linked account that its entry does not name.
fn undeclared(UndeclaredAccount { key, name, account: of }: &UndeclaredAccount) -> String {
    let (mut title, state) = (account(of), &of.state);
    if *state != EntryState::Loaded {
        title += &format!(" ({state})");
    }
    match name {
        Some(name) => format!(
            "{key}: the linked account {title} was {name} and is no longer named: it stays; --remove-integrations removes it"
        ),
        None => format!(
            "{key}: the linked account {title} is not one that the entry names, so it stays; to manage it, add its name to `accounts`, or give it alone the right name as its title in Home Assistant"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::perhaps_renamed;
    use crate::model::{ClientId, CredentialId, Domain, Held, Key};
    use crate::plan::{
        Action, ComparedCredential, CredentialState, Plan, Reason, Step, StepId, Wanted,
    };

    /// `new` is created, and a claim of `old` deleted.
    fn plan(state: CredentialState) -> Plan {
        let domain = Domain::new("spotify");
        let held = Held {
            id: CredentialId::new("spotify_one"),
            domain: domain.clone(),
            client_id: ClientId::new("one"),
            name: None,
            auth_domain: Some("appcred:house:old:appcred:house:older".into()),
        };
        let wanted = Wanted {
            key: Key::new("new").unwrap(),
            domain,
            client_id: ClientId::new("two"),
            name: "N".into(),
            auth_domain: "appcred:house:new".into(),
        };
        let create = Step::new(StepId(0), Action::Create { wanted });
        let delete = Action::Delete { old: held.clone(), remove: Vec::new() };
        let of_old = ComparedCredential {
            held,
            owned_by: None,
            state,
            users: Vec::new(),
            is_protected: false,
            is_suspended: false,
        };
        Plan {
            steps: vec![
                Step { reasons: vec![Reason::NotObserved], ..create },
                Step::new(StepId(1), delete),
            ],
            credential_states: vec![of_old],
            ..Plan::default()
        }
    }

    #[test]
    fn a_key_whose_claim_goes_is_not_gone_as_long_as_an_entry_has_it() {
        let old = || Key::new("old").unwrap();
        assert_eq!(perhaps_renamed(&plan(CredentialState::Superseded(old()))), []);
        let (new, gone) = (Key::new("new").unwrap(), plan(CredentialState::Undeclared));
        assert_eq!(perhaps_renamed(&gone), [(&new, old())]);
    }
}
