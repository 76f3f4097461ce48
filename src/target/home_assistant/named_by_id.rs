//! An account that names a credential by its id although that has an `auth_domain`, as after a restore
//! of one of two storage files. It finds no credential.
//!
//! HA reports which credential an account finds, not which one it names. Only a refused delete shows
//! that some account of an integration names an id. Where one account alone can be meant, that is noted
//! in HA, so that later runs know it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use smol_str::SmolStr;

use super::connection::{CommandError, Connection};
use super::flow_notes::UserDataFields;
use super::messages::Command;
use crate::model::{ConfigEntry, Credential, Domain, Held};
use crate::target::Refusal;

/// Before the id in the key of a note.
const NAMED: &str = "appcred#named_by_id.";

/// Who names the credential whose id is in the key. HA may give that id to another one later.
#[derive(Serialize, Deserialize)]
struct AccountNote {
    account: String,
    domain: String,
    auth_domain: SmolStr,
}

/// Gives each account of which that is noted the id that it names. Where a credential has that id as
/// its `auth_domain`, HA's own answers say who finds it.
pub(super) fn resolve(
    accounts: &mut [ConfigEntry],
    credentials: &[Credential],
    kept: &UserDataFields,
) {
    let found: BTreeSet<(&Domain, &str)> =
        credentials.iter().map(|held| (&held.domain, held.implementation())).collect();
    for held in credentials {
        let id = held.id.as_str();
        let noted = kept.get(&key(id)).map(AccountNote::deserialize);
        let Some(Ok(note)) = noted.filter(|_| !found.contains(&(&held.domain, id))) else {
            continue;
        };
        let is_same = note.domain == held.domain.as_str()
            && held.auth_domain.as_ref() == Some(&note.auth_domain);
        let mut lost = accounts.iter_mut().filter(|account| finds_nothing(account, &held.domain));
        if let Some(account) = lost.find(|account| is_same && account.id.as_str() == note.account) {
            account.implementation = Some(id.into());
        }
    }
}

fn finds_nothing(account: &ConfigEntry, domain: &Domain) -> bool {
    account.domain == *domain && account.implementation.is_none()
}

/// Why HA refused to delete a credential that some account names; `accounts` are those of now. None
/// where it is known which account that is.
pub(super) async fn explain(
    connection: &Connection,
    held: &Held,
    accounts: &[ConfigEntry],
) -> Result<Option<Refusal>, CommandError> {
    let id = held.id.as_str();
    let names_it = |account: &ConfigEntry| {
        account.domain == held.domain && account.implementation.as_deref() == Some(id)
    };
    let Some(auth_domain) = held.auth_domain.clone() else { return Ok(None) };
    if accounts.iter().any(names_it) {
        return Ok(None);
    }
    let lost = accounts.iter().filter(|account| finds_nothing(account, &held.domain));
    let lost: Vec<&ConfigEntry> = lost.collect();
    if let [account] = lost[..] {
        let (account, domain) = (account.id.to_string(), held.domain.to_string());
        let value = json!(AccountNote { account, domain, auth_domain });
        connection.ask::<()>(Command::WriteUserData { key: key(id), value }).await?;
    }
    let accounts = lost.into_iter().map(|account| account.title.clone()).collect();
    Ok(Some(Refusal::NamedById { accounts }))
}

fn key(id: &str) -> String {
    format!("{NAMED}{id}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{UserDataFields, key, resolve};
    use crate::model::{
        ClientId, ConfigEntry, Credential, CredentialId, Domain, EntryId, EntryState, Secret,
    };

    const MARK: &str = "appcred:house:a";

    fn credential(id: &str, auth_domain: &str) -> Credential {
        Credential {
            id: CredentialId::new(id),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("s").into(),
            name: None,
            auth_domain: Some(auth_domain.into()),
        }
    }

    fn account(id: &str, implementation: Option<&str>) -> ConfigEntry {
        ConfigEntry {
            id: EntryId::new(id),
            domain: Domain::new("spotify"),
            title: "Anna".into(),
            state: EntryState::SetupError,
            reason: None,
            implementation: implementation.map(Into::into),
        }
    }

    #[test]
    fn the_account_that_is_noted_names_the_id_as_long_as_both_are_the_same() {
        let resolved = |credentials: &[Credential], noted: Value| {
            let mut accounts =
                [account("cloud", None), account("e", None), account("f", Some(MARK))];
            resolve(&mut accounts, credentials, &UserDataFields::from([(key("x"), noted)]));
            accounts.map(|account| account.implementation.map(String::from))
        };
        let noted = json!({"account": "e", "domain": "spotify", "auth_domain": MARK});
        let (x, mark) = ([credential("x", MARK)], Some(MARK.to_owned()));
        assert_eq!(resolved(&x, noted.clone()), [None, Some("x".to_owned()), mark.clone()]);
        let unresolved = [None, None, mark];
        let shadowed = [credential("x", MARK), credential("y", "x")];
        assert_eq!(resolved(&shadowed, noted.clone()), unresolved, "HA would say so");
        assert_eq!(resolved(&[credential("x", "appcred:house:b")], noted), unresolved);
        for other in
            [Value::Null, json!({"account": "f", "domain": "spotify", "auth_domain": MARK})]
        {
            assert_eq!(resolved(&x, other), unresolved);
        }
    }
}
