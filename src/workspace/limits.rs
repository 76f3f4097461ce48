//! What targets hold, compared with what providers allow a client.

use std::collections::{BTreeMap, BTreeSet};

use super::TargetView;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Spot};
use crate::integrations::Limit;
use crate::model::{ClientId, Domain};
use crate::plan::CredentialState;

/// The accounts that are linked through one client, at all targets.
#[derive(Default)]
struct Linked<'v> {
    /// Their titles: one account may be linked at several targets.
    titles: BTreeSet<&'v str>,
    /// Where an entry names the client.
    spot: Option<&'v Spot>,
}

/// Warns of each client of an entry through which more accounts are linked than its provider allows.
pub(super) fn check(views: &[TargetView]) -> Diagnostics {
    let mut clients: BTreeMap<(&Domain, &ClientId), Linked<'_>> = BTreeMap::new();
    for view in views {
        let plan = view.comparison.as_ref().ok().map(|known| &known.plan);
        for compared in plan.iter().flat_map(|plan| &plan.credential_states) {
            let client = (&compared.held.domain, &compared.held.client_id);
            let linked = clients.entry(client).or_default();
            linked.titles.extend(compared.users.iter().map(|account| account.title.as_str()));
            if let CredentialState::InSync(key) | CredentialState::Drifted(key) = &compared.state {
                let entry = view.entries.get(key);
                linked.spot = linked.spot.or(entry.map(|entry| &entry.client_id.spot));
            }
        }
    }
    let mut problems = Diagnostics::default();
    for ((domain, _), Linked { titles, spot }) in clients {
        let Some((limit, most)) = Limit::of_accounts(domain) else { continue };
        if let Some(spot) = spot.filter(|_| titles.len() > most) {
            let (count, note) = (titles.len(), limit.note());
            let message =
                format!("{count} accounts of {domain} are linked through this client: {note}");
            let problem =
                Diagnostic::warning(ProblemCode::ProviderLimit, message).at(&spot.file, spot.span);
            problems.push(
                problem.help("link the others through another client, with an entry of its own"),
            );
        }
    }
    problems
}
