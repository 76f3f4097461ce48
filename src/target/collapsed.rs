//! Integrations that look at no `auth_domain`: all their credentials collapse into the last one.

use std::collections::{BTreeMap, BTreeSet};

use crate::integrations::{Release, facts};
use crate::model::{Credential, Domain};

/// The credential in force of each such integration, by its implementation.
pub(super) struct Collapsed<'a>(BTreeMap<&'a Domain, (&'static str, &'a str)>);

impl<'a> Collapsed<'a> {
    pub(super) fn of(
        credentials: impl IntoIterator<Item = &'a Credential>,
        release: Option<Release>,
    ) -> Self {
        let mut in_force = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for held in credentials {
            let known = facts(&held.domain, release);
            let Some(name) = known.and_then(|facts| facts.implementation.as_deref()) else {
                continue;
            };
            // Of two with one `auth_domain`, HA keeps the place of the first.
            if seen.insert((&held.domain, held.implementation())) {
                in_force.insert(&held.domain, (name, held.implementation()));
            }
        }
        Self(in_force)
    }

    /// The one that an account uses which names this implementation, or of which it is not known what
    /// it names; `None` where it names another.
    pub(super) fn in_force(&self, domain: &Domain, named: Option<&str>) -> Option<&'a str> {
        let (name, implementation) = self.0.get(domain)?;
        named.is_none_or(|named| named == *name).then_some(*implementation)
    }
}

#[cfg(test)]
mod tests {
    use super::Collapsed;
    use crate::model::{ClientId, Credential, CredentialId, Domain, KnownSecret};

    fn held(domain: &str, id: &str, auth_domain: Option<&str>) -> Credential {
        Credential {
            id: CredentialId::new(id),
            domain: Domain::new(domain),
            client_id: ClientId::new(id),
            client_secret: KnownSecret::Unknown,
            name: None,
            auth_domain: auth_domain.map(Into::into),
        }
    }

    #[test]
    fn the_last_credential_is_in_force_in_the_place_of_the_first_of_its_kind() {
        let of = |held: &[Credential], named| {
            let smartthings = Domain::new("smartthings");
            Collapsed::of(held, None).in_force(&smartthings, named).map(str::to_owned)
        };
        let a = held("smartthings", "a", Some("appcred:house:a"));
        let b = held("smartthings", "b", Some("smartthings"));
        let other = held("spotify", "c", None);
        let both = [a.clone(), b.clone(), other.clone()];
        assert_eq!(of(&both, None).as_deref(), Some("smartthings"));
        assert_eq!(
            of(&[b.clone(), a.clone(), b], Some("smartthings")).as_deref(),
            Some("appcred:house:a")
        );
        assert_eq!(of(&[a], Some("cloud")), None);
        assert_eq!(of(&[other], None), None);
    }
}
