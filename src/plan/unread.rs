//! What linked accounts may use that could not be read is neither deleted nor replaced.

use std::collections::BTreeSet;

use crate::model::{Domain, Held, Observed, UnreadAccounts, is_alike};

use super::action::{Action, Plan, Step};
use super::withheld::Why;

/// Withholds each step that deletes what such an account may use. Creating goes on. A house that was not
/// started yet has no list of accounts either: where that is missing, what is replaced may go.
pub(super) fn keep(observed: &Observed, plan: &mut Plan) {
    if observed.unread_accounts.is_empty() {
        return;
    }
    let names = names_that_stay(observed, plan);
    let stays = |old: &Held| names.contains(&(old.domain.clone(), old.implementation().into()));
    plan.withhold_steps(|step, _| {
        let outgoing = step.action.outgoing();
        let may_use = |unread: &&UnreadAccounts| match unread {
            UnreadAccounts::One { domain, .. } => {
                let is_of =
                    |domain: &Domain, old: &Held| is_alike(domain.as_str(), old.domain.as_str());
                outgoing.iter().any(|old| domain.as_ref().is_none_or(|domain| is_of(domain, old)))
            }
            UnreadAccounts::All => {
                matches!(&step.action, Action::Delete { old, .. } if !stays(old))
            }
        };
        let unread: Vec<_> = observed.unread_accounts.iter().filter(may_use).cloned().collect();
        (!unread.is_empty()).then_some(Why::UnreadAccounts { unread })
    });
}

/// By what accounts find some credential when all is done.
fn names_that_stay(observed: &Observed, plan: &Plan) -> BTreeSet<(Domain, String)> {
    let outgoing = plan.steps.iter().flat_map(|step| step.action.outgoing());
    let outgoing: BTreeSet<_> = outgoing.map(|old| &old.id).collect();
    let kept = observed.credentials.iter().filter(|held| !outgoing.contains(&held.id));
    let kept = kept.map(|held| (held.domain.clone(), held.implementation().into()));
    let created = plan.steps.iter().filter_map(|step: &Step| step.action.created());
    let created = created.map(|new| (new.domain.clone(), new.auth_domain.to_string()));
    kept.chain(created).collect()
}
