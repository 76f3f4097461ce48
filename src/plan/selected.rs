//! What is left of a plan where only some entries are selected.

use std::collections::BTreeMap;

use crate::model::{Held, Key};

use super::action::{Action, ComparedCredential, Plan, StepId};
use super::context::PlanContext;
use super::withheld::{Why, Withheld};

/// Leaves out what is not selected. What must be done after a step that is left out is withheld.
pub(super) fn keep(context: &PlanContext<'_>, plan: &mut Plan) {
    let selection = &context.policy.selection;
    if selection.is_whole() {
        return;
    }
    let states = plan.credential_states.iter();
    let keys: Vec<Option<Key>> = states.map(|of| key_of(of, context).cloned()).collect();
    let is_old = |old: &Held| {
        let at = context.index.position(old);
        let key = at.and_then(|at| keys.get(at)?.as_ref());
        selection.includes(key, &old.domain)
    };
    let is_meant = |action: &Action| match (action.for_entry(), action) {
        (Some(wanted), _) => selection.includes(Some(&wanted.key), &wanted.domain),
        (None, Action::Delete { old, .. }) => is_old(old),
        (None, Action::Abandon { flow }) => {
            selection.includes(flow.purpose.mark().map(|mark| &mark.key), &flow.domain)
        }
        (None, _) => false,
    };
    let mut left_out: BTreeMap<StepId, String> = BTreeMap::new();
    let mut withheld = Vec::new();
    plan.steps.retain(|step| {
        let is_selected = is_meant(&step.action);
        let before = step.after.and_then(|after| left_out.get(&after)).cloned();
        if is_selected && before.is_none() {
            return true;
        }
        left_out.insert(step.id, step.action.summary());
        if let Some(before) = before.filter(|_| is_selected) {
            let action = step.action.clone();
            withheld.push(Withheld { action, why: Why::NotSelected { before } });
        }
        false
    });
    plan.withheld.retain(|withheld| is_meant(&withheld.action));
    plan.withheld.append(&mut withheld);
    plan.unknown.retain(|of| selection.includes(Some(&of.key), &of.domain));
    let is_entry = |key: &Key| {
        let entry = context.desired.credential(key);
        entry.is_some_and(|entry| selection.includes(Some(key), &entry.domain))
    };
    plan.setup_states.retain(|of| is_entry(&of.id.key));
    plan.undeclared_accounts.retain(|of| is_entry(&of.key));
    let mut keys = keys.iter();
    plan.credential_states
        .retain(|of| selection.includes(keys.next().and_then(Option::as_ref), &of.held.domain));
}

/// The entry that a credential is of, or was when its mark was written.
fn key_of<'k>(of: &'k ComparedCredential, context: &'k PlanContext<'_>) -> Option<&'k Key> {
    let marked = || {
        let at = context.index.position(&of.held)?;
        context.index.ownership(at).map(|ownership| &ownership.mark.key)
    };
    of.state.key().or_else(marked)
}
