//! Credentials as a target holds them.

use smol_str::SmolStr;

use super::{Claim, ClientId, CredentialId, Domain, KnownSecret, Mark, Secret, name_to_show};

/// A credential as HA holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// HA's id.
    pub id: CredentialId,
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// The OAuth2 client secret; a snapshot does not hold it.
    pub client_secret: KnownSecret,
    /// What HA shows; HA shows the client id where there is none.
    pub name: Option<SmolStr>,
    /// The key by which config entries find it; the id where there is none.
    pub auth_domain: Option<SmolStr>,
}

impl Credential {
    /// What a config entry stores to find this credential (`auth_implementation` in HA).
    pub fn implementation(&self) -> &str {
        self.auth_domain.as_deref().unwrap_or(self.id.as_str())
    }

    /// The mark that it carries.
    pub fn mark(&self) -> Option<Mark> {
        self.auth_domain.as_deref().and_then(Mark::parse)
    }

    /// The claim that it is.
    pub fn claim(&self) -> Option<Claim> {
        self.auth_domain.as_deref().and_then(Claim::parse)
    }

    /// The mark in its `auth_domain`, of the entry that it is for or that claims another one by it.
    pub fn own_mark(&self) -> Option<Mark> {
        self.mark().or_else(|| Some(self.claim()?.mark))
    }

    /// Whether its `auth_domain` begins like a mark and is neither a mark nor a claim: another version
    /// of appcred may have written it, or a person.
    pub fn has_unreadable_mark(&self) -> bool {
        self.auth_domain.as_deref().is_some_and(Mark::is_unreadable)
    }

    /// All of it but the secret.
    pub fn held(&self) -> Held {
        Held {
            id: self.id.clone(),
            domain: self.domain.clone(),
            client_id: self.client_id.clone(),
            name: self.name.clone(),
            auth_domain: self.auth_domain.clone(),
        }
    }
}

/// A credential without its secret: enough to see that an id still names the same one, since HA
/// gives ids out again after a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// HA's id.
    pub id: CredentialId,
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// What HA shows.
    pub name: Option<SmolStr>,
    /// The key by which config entries find it.
    pub auth_domain: Option<SmolStr>,
}

impl Held {
    /// What a config entry stores to find this credential (`auth_implementation` in HA).
    pub fn implementation(&self) -> &str {
        self.auth_domain.as_deref().unwrap_or(self.id.as_str())
    }

    /// What HA shows.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.client_id.as_str())
    }
}

/// A credential to be created.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// The OAuth2 client secret.
    pub client_secret: Secret,
    /// What HA shows.
    pub name: SmolStr,
    /// The mark, or the id that a shadow replaces.
    pub auth_domain: SmolStr,
}

impl NewCredential {
    /// Its name as it is observed afterwards.
    pub fn name_to_show(&self) -> SmolStr {
        name_to_show(self.name.clone(), &self.client_secret)
    }
}
