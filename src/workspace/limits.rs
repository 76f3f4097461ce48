//! Warnings of clients through which more accounts are linked than their providers allow.

use std::collections::BTreeMap;

use super::TargetView;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Spot};
use crate::integrations::{TOO_MANY_ACCOUNTS_HELP, too_many_accounts};
use crate::model::{ClientId, Domain};

/// Warns of each client of an entry, by what targets hold.
pub(super) fn check(views: &[TargetView]) -> Diagnostics {
    let plans =
        || views.iter().filter_map(|view| Some((view, &view.comparison.as_ref().ok()?.plan)));
    let spots = plans().flat_map(|(view, plan)| {
        plan.credential_states.iter().filter_map(|of| {
            let entry = view.entries.get(of.state.entry()?)?;
            Some(((&of.held.domain, &of.held.client_id), &entry.client_id.spot))
        })
    });
    warnings(plans().flat_map(|(_, plan)| plan.linked_accounts()), spots)
}

/// The same of any linked accounts; `spots` are where entries name clients.
pub fn warnings<'a>(
    linked: impl IntoIterator<Item = (&'a Domain, &'a ClientId, &'a str)>,
    spots: impl IntoIterator<Item = ((&'a Domain, &'a ClientId), &'a Spot)>,
) -> Diagnostics {
    let mut first: BTreeMap<_, &Spot> = BTreeMap::new();
    for (client, spot) in spots {
        first.entry(client).or_insert(spot);
    }
    let mut problems = Diagnostics::default();
    for (client, message) in too_many_accounts(linked) {
        let Some(spot) = first.get(&client) else { continue };
        let problem = Diagnostic::warning(ProblemCode::ProviderLimit, message);
        problems.push(problem.at(&spot.file, spot.span).help(TOO_MANY_ACCOUNTS_HELP));
    }
    problems
}
