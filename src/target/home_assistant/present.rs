//! What HA holds right before something is changed, so that two runs at the same moment do not
//! create a credential twice. HA itself takes any number of the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Credential, CredentialId, Domain, Held, NewCredential};
use crate::target::in_use::ByName;

/// The credentials, arranged for look-up.
#[derive(Default)]
pub(super) struct Present {
    pub(super) all: Vec<Credential>,
    by_id: BTreeMap<CredentialId, usize>,
    pub(super) by_name: ByName,
}

impl Present {
    pub(super) fn new(all: Vec<Credential>) -> Self {
        let by_id = all.iter().enumerate().map(|(at, held)| (held.id.clone(), at)).collect();
        let by_name = ByName::of(&all);
        Self { all, by_id, by_name }
    }

    pub(super) fn get(&self, id: &CredentialId) -> Option<&Credential> {
        self.by_id.get(id).map(|at| &self.all[*at])
    }

    /// The credential that is in force in the place of a new one, where it is exactly that: another
    /// run was faster.
    pub(super) fn same_in_force(&self, new: &NewCredential) -> Option<&Credential> {
        let in_force = self.by_name.in_force(&new.domain, &new.auth_domain)?;
        self.get(in_force).filter(|held| {
            held.client_id == new.client_id
                && held.name == Some(new.name_to_show())
                && held.auth_domain.as_deref() == Some(new.auth_domain.as_str())
                && held.client_secret.clear() == Some(&new.client_secret)
        })
    }

    /// Those of `created` that another run has created as well since: all but the first in HA's
    /// list, so that both runs keep the same one.
    pub(super) fn doubles(
        &self,
        now: &[Credential],
        created: &BTreeSet<CredentialId>,
    ) -> Vec<Held> {
        let mut first: BTreeMap<(&Domain, Option<&str>), &Credential> = BTreeMap::new();
        let mut doubles = Vec::new();
        for held in now {
            if self.get(&held.id).is_some_and(|before| before.held() == held.held()) {
                continue;
            }
            let name = (&held.domain, held.auth_domain.as_deref());
            match first.get(&name) {
                Some(other) if created.contains(&held.id) && is_same(other, held) => {
                    doubles.push(held.held());
                }
                Some(_) => {}
                None => {
                    first.insert(name, held);
                }
            }
        }
        doubles
    }
}

fn is_same(one: &Credential, other: &Credential) -> bool {
    one.client_id == other.client_id
        && one.name == other.name
        && one.client_secret == other.client_secret
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Present;
    use crate::model::{ClientId, Credential, CredentialId, Domain, NewCredential, Secret};

    fn held(id: &str, secret: &str) -> Credential {
        Credential {
            id: CredentialId::new(id),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new(secret).into(),
            name: Some("n".into()),
            auth_domain: Some("appcred:house:c".into()),
        }
    }

    fn new(secret: &str) -> NewCredential {
        NewCredential {
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new(secret),
            name: "n".into(),
            auth_domain: "appcred:house:c".into(),
        }
    }

    #[test]
    fn only_the_credential_in_force_stands_for_a_new_one() {
        let present = Present::new(vec![held("a", "new"), held("b", "old")]);
        assert!(present.same_in_force(&new("new")).is_none());
        assert_eq!(present.same_in_force(&new("old")).unwrap().id.as_str(), "b");
        let foreign = Credential { auth_domain: None, ..held("appcred:house:c", "new") };
        assert!(Present::new(vec![foreign]).same_in_force(&new("new")).is_none());
    }

    #[test]
    fn of_two_runs_that_create_the_same_the_first_in_the_list_stays() {
        let before = Present::new(vec![held("old", "new")]);
        let now = [held("old", "new"), held("a", "new"), held("b", "new"), held("c", "other")];
        let doubles = |ids: &[&str]| -> Vec<String> {
            let created: BTreeSet<_> = ids.iter().map(|id| CredentialId::new(*id)).collect();
            let doubles = before.doubles(&now, &created);
            doubles.iter().map(|held| held.id.to_string()).collect()
        };
        assert!(doubles(&["a"]).is_empty());
        assert_eq!(doubles(&["b"]), ["b"]);
        assert_eq!(doubles(&["a", "b", "c"]), ["b"]);
    }
}
