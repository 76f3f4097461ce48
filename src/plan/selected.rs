//! What is left of a plan where only some entries are selected.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{CredentialId, DesiredCredential, Domain, Held, Key};

use super::action::{Action, Plan, StepId};
use super::context::PlanContext;
use super::draft::WholePlan;
use super::withheld::{Why, Withheld};

/// Leaves out what is not selected. What must be done after a step that is left out is withheld, and so is what
/// only `prune: all` makes room for by a deletion that is left out: it is not in the plan `without_prune_all`.
/// What is written down for an excluded entry stays, also where another entry would take it for its client.
pub(super) fn keep(
    context: &PlanContext<'_>,
    without_prune_all: impl FnOnce() -> Plan,
    whole: WholePlan,
) -> Plan {
    let mut plan = whole.into_plan();
    let selection = &context.policy.selection;
    let keys = AllKeys::new(context, &plan);
    let includes_entry = |key: &Key, domain: &Domain| {
        selection.includes(keys.declared(key), domain) && !selection.excludes(keys.of_entry(key))
    };
    let includes_held = |held: &Held| {
        // What an entry had for another integration goes with what it has now.
        match keys.entry_of(held).and_then(|key| context.desired.credential(key)) {
            Some(entry) => includes_entry(&entry.key, &entry.domain),
            None => selection.includes(keys.of_held(held), &held.domain),
        }
    };
    let is_meant = |action: &Action| match (action.for_entry(), action) {
        (Some(wanted), _) => includes_entry(&wanted.key, &wanted.domain),
        (None, Action::Delete { old, .. }) => includes_held(old),
        (None, Action::Abandon { flow }) => match flow.purpose.mark() {
            Some(mark) => includes_entry(&mark.key, &flow.domain),
            None => selection.includes(None, &flow.domain),
        },
        (None, _) => false,
    };
    let left_prunes: Vec<Action> = plan
        .steps
        .iter()
        .filter(|step| !step.foreign.is_empty() && step.action.for_entry().is_none())
        .map(|step| step.action.clone())
        .filter(|action| !is_meant(action))
        .collect();
    let possible = (!left_prunes.is_empty()).then(without_prune_all);
    let needs = |action: &Action| needed_prune(action, &left_prunes, possible.as_ref()?);
    let mut left_out: BTreeMap<StepId, String> = BTreeMap::new();
    let mut withheld = Vec::new();
    plan.steps.retain(|step| {
        let is_selected = is_meant(&step.action);
        let needed = step.after.and_then(|after| left_out.get(&after)).cloned();
        let needed = needed.or_else(|| needs(&step.action));
        let needed =
            needed.or_else(|| Some(keys.excluded_owner(&step.action, context)?.to_string()));
        if is_selected && needed.is_none() {
            return true;
        }
        left_out.insert(step.id, step.action.summary());
        if let Some(needed) = needed.filter(|_| is_selected) {
            let action = step.action.clone();
            withheld.push(Withheld { action, why: Why::NotSelected { needed } });
        }
        false
    });
    plan.withheld.retain(|withheld| is_meant(&withheld.action));
    plan.withheld.append(&mut withheld);
    plan.unknown.retain(|of| includes_entry(&of.key, &of.domain));
    let is_entry = |key: &Key| {
        let entry = context.desired.credential(key);
        entry.is_some_and(|entry| includes_entry(key, &entry.domain))
    };
    plan.setup_states.retain(|of| is_entry(&of.id.key));
    plan.undeclared_accounts.retain(|of| is_entry(&of.key));
    plan.credential_states.retain(|of| includes_held(&of.held));
    plan
}

/// The deletion for the client of what an action creates, where that is not in the plan of what is `possible`
/// without it.
fn needed_prune(action: &Action, left: &[Action], possible: &Plan) -> Option<String> {
    let wanted = action.created()?;
    let is_of_client =
        |old: &Held| old.domain == wanted.domain && old.client_id == wanted.client_id;
    let prune = left.iter().find(|prune| prune.outgoing().iter().any(is_of_client))?;
    let is_possible = possible.steps.iter().any(|step| step.action == *action);
    (!is_possible).then(|| prune.summary())
}

/// The keys by which an entry and what is held of it can be meant. One is asked for by the keys in its manifest, and
/// what is held of it goes with that, so that a rename is never done by half; one is excluded also by a key that a
/// target has of it.
#[derive(Default)]
struct AllKeys {
    /// The key of each entry and its earlier ones.
    declared: BTreeMap<Key, BTreeSet<Key>>,
    of_entries: BTreeMap<Key, BTreeSet<Key>>,
    of_held: BTreeMap<CredentialId, BTreeSet<Key>>,
    /// The one key of the entry that it is of, or was.
    entries_of_held: BTreeMap<CredentialId, Key>,
    /// The one key of the entry under whose present or former key it is written down.
    written_for: BTreeMap<CredentialId, Key>,
}

impl AllKeys {
    fn new(context: &PlanContext<'_>, plan: &Plan) -> Self {
        let mut keys = Self::default();
        for entry in &context.desired.credentials {
            let declared: BTreeSet<Key> = entry.keys().cloned().collect();
            keys.declared.insert(entry.key.clone(), declared.clone());
            keys.of_entries.insert(entry.key.clone(), declared);
        }
        let marked = |held: &Held| {
            let at = context.index.position(held)?;
            context.index.ownership(at).map(|ownership| ownership.mark.key.clone())
        };
        for of in &plan.credential_states {
            if let (Some(entry), Some(old)) = (of.state.key(), marked(&of.held)) {
                keys.of_entries.entry(entry.clone()).or_default().insert(old);
            }
        }
        // A key that no entry has is of the entry that had it, also where that was for another integration.
        let entry_of = |key: Key| {
            let is_former = |entry: &&DesiredCredential| entry.formerly.contains(&key);
            let mut entries = context.desired.credentials.iter();
            let former = match context.desired.credential(&key) {
                Some(_) => None,
                None => entries.find(is_former).map(|entry| entry.key.clone()),
            };
            former.unwrap_or(key)
        };
        for of in &plan.credential_states {
            let written_for = marked(&of.held).map(entry_of);
            keys.written_for.extend(written_for.clone().map(|key| (of.held.id.clone(), key)));
            let Some(entry) = of.state.key().cloned().or(written_for) else { continue };
            let marked = marked(&of.held).into_iter().chain([entry.clone()]);
            let all = keys.of_entries.get(&entry).cloned().unwrap_or_else(|| marked.collect());
            keys.of_held.insert(of.held.id.clone(), all);
            keys.entries_of_held.insert(of.held.id.clone(), entry);
        }
        keys
    }

    /// Those that the manifest has of an entry; of a key that none has, those of the entry that had it.
    fn declared<'k>(&'k self, key: &'k Key) -> impl Iterator<Item = &'k Key> + Clone {
        of_entry(&self.declared, key)
    }

    /// The same with those that a target has of it.
    fn of_entry<'k>(&'k self, key: &'k Key) -> impl Iterator<Item = &'k Key> + Clone {
        of_entry(&self.of_entries, key)
    }

    /// The excluded entry for which something is written down that an action for another entry would change.
    fn excluded_owner(&self, action: &Action, context: &PlanContext<'_>) -> Option<&Key> {
        let wanted = action.for_entry()?;
        let mut owners = action.old().iter().filter_map(|held| self.written_for.get(&held.id));
        owners.find(|owner| {
            let entry = context.desired.credential(owner);
            let is_excluded =
                |entry: &DesiredCredential| context.policy.selection.excludes(entry.keys());
            **owner != wanted.key && entry.is_some_and(is_excluded)
        })
    }

    fn entry_of(&self, held: &Held) -> Option<&Key> {
        self.entries_of_held.get(&held.id)
    }

    fn of_held(&self, held: &Held) -> impl Iterator<Item = &Key> + Clone {
        self.of_held.get(&held.id).into_iter().flatten()
    }
}

fn of_entry<'k>(
    entries: &'k BTreeMap<Key, BTreeSet<Key>>,
    key: &'k Key,
) -> impl Iterator<Item = &'k Key> + Clone {
    let own = entries.get(key);
    let had = own.is_none().then(|| entries.values());
    let had = had.into_iter().flatten().filter(move |keys| keys.contains(key));
    own.into_iter().chain(had).flatten().chain(std::iter::once(key))
}
