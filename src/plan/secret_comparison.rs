//! Which ciphertexts were found to hold what a target holds.

use std::collections::BTreeMap;

use crate::model::{Desired, DesiredCredential, Key, Observed, Seals, SecretComparison};

use super::Plan;

/// For each credential of a target, in its order, the ciphertexts of its entry that were found to hold
/// what it has. `sealed` gives the digests of an entry's ciphertexts.
pub fn found_same(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    sealed: impl Fn(&Key) -> Seals,
) -> Vec<Seals> {
    let wanted: BTreeMap<&Key, &DesiredCredential> =
        desired.credentials.iter().map(|wanted| (&wanted.key, wanted)).collect();
    let held = observed.credentials.iter();
    held.zip(&plan.credential_states)
        .map(|(held, compared)| {
            let Some(wanted) = compared.state.holder().and_then(|key| wanted.get(key)) else {
                return Seals::default();
            };
            let same_secret =
                held.client_secret.compare(&wanted.client_secret) == SecretComparison::Same;
            let seals = sealed(&wanted.key);
            Seals {
                client_id: seals.client_id.filter(|_| held.client_id == wanted.client_id),
                client_secret: seals.client_secret.filter(|_| same_secret),
            }
        })
        .collect()
}
