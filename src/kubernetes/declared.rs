//! What a cluster declares at one moment: plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use kube::ResourceExt;
use thiserror::Error;

use super::freshness::AsOf;
use super::resources::{
    CredentialObject, CredentialSpec, DeletionPolicy, FINALIZER, InstanceObject, InstanceSpec,
    RECONCILE_AT,
};
use crate::model::{Secret, TargetName};

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// An object of a kind that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ObjectName {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ObjectName {
    /// Another one of the same namespace.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// What a HomeAssistant is called as a target.
    pub(super) fn target(&self) -> TargetName {
        TargetName::new(self.to_string())
    }
}

/// What of an object decides what is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared<S> {
    pub(super) uid: String,
    pub(super) generation: i64,
    /// Since when it is there.
    pub(super) created: Option<Timestamp>,
    pub(super) labels: BTreeMap<String, String>,
    /// The value by which somebody asks for a look at once.
    pub(super) reconcile_at: Option<String>,
    /// Since when it is to be deleted.
    pub(super) deleted: Option<Timestamp>,
    pub(super) has_finalizer: bool,
    pub(super) spec: S,
}

impl<S> Declared<S> {
    /// Whether it is being deleted, and kept by us until what it represents is gone.
    pub(super) fn is_awaited(&self) -> bool {
        self.deleted.is_some() && self.has_finalizer
    }
}

impl Declared<InstanceSpec> {
    /// Whether it is being deleted, and what it holds stays as it is.
    pub(super) fn is_released(&self) -> bool {
        let is_emptied = self.spec.deletion_policy == DeletionPolicy::Delete && self.has_finalizer;
        self.deleted.is_some() && !is_emptied
    }
}

/// What the cluster declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Declarations {
    pub(super) instances: BTreeMap<ObjectName, Declared<InstanceSpec>>,
    pub(super) credentials: BTreeMap<ObjectName, Declared<CredentialSpec>>,
    /// The Secrets that these name.
    pub(super) secrets: BTreeMap<ObjectName, Result<SecretValues, SecretFault>>,
    /// The credentials that the statuses of HomeAssistants have, by name.
    pub(super) listed: BTreeMap<ObjectName, BTreeMap<String, Listing>>,
    /// The ApplicationCredentials that are being deleted, and of which it is not known yet where they are.
    pub(super) sought: BTreeSet<ObjectName>,
    /// As of which version all objects are known.
    pub(super) as_of: AsOf,
}

/// As what the status of a HomeAssistant has a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// It is wanted there, and its object may be gone since that was written.
    Announced,
    /// It is wanted there, and may be created.
    Wanted,
    /// It is not, or cannot be now, and may be there.
    Unsettled,
}

/// What one Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretValues {
    /// Its resource version.
    pub(super) version: String,
    pub(super) values: BTreeMap<String, Secret>,
}

/// Why a value of a Secret is not known.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum SecretFault {
    /// There is none of this name.
    #[error("there is no Secret {0}")]
    Missing(ObjectName),
    /// It has no such key.
    #[error("the Secret {0} has no key `{1}`, or no text in it")]
    NoKey(ObjectName, String),
    /// It cannot be read.
    #[error("cannot read the Secret {0}: {1}")]
    Unreadable(ObjectName, String),
}

impl Declarations {
    /// As what the status of a HomeAssistant has a credential, as it was read last.
    pub(super) fn listed_as(&self, instance: &ObjectName, credential: &str) -> Option<Listing> {
        self.listed.get(instance)?.get(credential).copied()
    }

    /// A value of a Secret, and the version of that.
    pub(super) fn secret(
        &self,
        name: &ObjectName,
        key: &str,
    ) -> Result<(&Secret, &str), SecretFault> {
        match self.secrets.get(name) {
            None => Err(SecretFault::Missing(name.clone())),
            Some(Err(fault)) => Err(fault.clone()),
            Some(Ok(SecretValues { version, values })) => {
                let value = values.get(key).map(|value| (value, version.as_str()));
                value.ok_or_else(|| SecretFault::NoKey(name.clone(), key.to_owned()))
            }
        }
    }

    /// The HomeAssistants of the same namespace.
    pub(super) fn instances_beside(
        &self,
        name: &ObjectName,
    ) -> impl Iterator<Item = (&ObjectName, &Declared<InstanceSpec>)> {
        let first = name.beside("");
        self.instances
            .range(first.clone()..)
            .take_while(move |(of, _)| of.namespace == first.namespace)
    }

    /// The uids of all objects.
    pub(super) fn uids(&self) -> BTreeSet<&str> {
        let instances = self.instances.values().map(|of| of.uid.as_str());
        instances.chain(self.credentials.values().map(|of| of.uid.as_str())).collect()
    }

    /// The uids of what is being deleted.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &str> {
        let instances = self.instances.values().filter(|of| of.deleted.is_some());
        let credentials = self.credentials.values().filter(|of| of.deleted.is_some());
        instances.map(|of| of.uid.as_str()).chain(credentials.map(|of| of.uid.as_str()))
    }

    /// Has the Secrets of instances that are missing be what they were last, where something that is being deleted needs
    /// them: an instance, its credentials, its token and its authority are often removed together.
    pub(super) fn take_last_instance_secrets(&mut self, last: &BTreeMap<ObjectName, SecretValues>) {
        let going = self.credentials.iter().filter(|(_, of)| of.is_awaited());
        let namespaces: BTreeSet<String> = going.map(|(name, _)| name.namespace.clone()).collect();
        for (name, instance) in &self.instances {
            if !instance.is_awaited() && !namespaces.contains(&name.namespace) {
                continue;
            }
            for secret in instance_secrets(name, instance) {
                let read = self.secrets.get(&secret);
                let is_missing = matches!(read, Some(Err(SecretFault::Missing(_))));
                if let Some(last) = last.get(&secret).filter(|_| is_missing) {
                    self.secrets.insert(secret, Ok(last.clone()));
                }
            }
        }
    }

    /// The Secrets that objects name, each once and in order.
    pub(super) fn named_secrets(&self) -> Vec<ObjectName> {
        let instances = self.instances.iter();
        let of_instances = instances.flat_map(|(name, of)| instance_secrets(name, of));
        let secrets = self.credentials.iter();
        let secrets = secrets.map(|(name, of)| name.beside(&of.spec.client_secret_ref.name));
        let mut all: Vec<ObjectName> = of_instances.chain(secrets).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The Secrets that a HomeAssistant names.
fn instance_secrets(
    name: &ObjectName,
    of: &Declared<InstanceSpec>,
) -> impl Iterator<Item = ObjectName> {
    let named = std::iter::once(&of.spec.token_secret_ref).chain(&of.spec.ca_secret_ref);
    named.map(|of| name.beside(&of.name))
}

/// Whether an object can have this name. In a request, any other one may lead to something else.
pub(super) fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_of = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(is_of)
    };
    name.len() <= LONGEST_NAME && name.split('.').all(is_part)
}

/// An object's name.
pub(super) fn name_of(object: &impl ResourceExt) -> ObjectName {
    ObjectName { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

/// What of a HomeAssistant decides what is done.
pub(super) fn instance(object: &InstanceObject) -> Declared<InstanceSpec> {
    declared(object, object.spec.clone())
}

/// What of an ApplicationCredential decides what is done.
pub(super) fn credential(object: &CredentialObject) -> Declared<CredentialSpec> {
    declared(object, object.spec.clone())
}

fn declared<S>(object: &impl ResourceExt, spec: S) -> Declared<S> {
    Declared {
        uid: object.uid().unwrap_or_default(),
        generation: object.meta().generation.unwrap_or_default(),
        created: object.meta().creation_timestamp.as_ref().map(|time| time.0),
        labels: object.labels().clone(),
        reconcile_at: object.annotations().get(RECONCILE_AT).cloned(),
        deleted: object.meta().deletion_timestamp.as_ref().map(|time| time.0),
        has_finalizer: object.finalizers().iter().any(|finalizer| finalizer == FINALIZER),
        spec,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use serde_json::json;

    use super::SecretFault;
    use crate::kubernetes::assignment::tests::{declarations, name};

    #[test]
    fn a_token_that_goes_together_with_what_needs_it_is_what_it_was() {
        let mut all = declarations(&[("a", json!({}))]);
        let token = name("all");
        let last = BTreeMap::from([(token.clone(), all.secrets[&token].clone().unwrap())]);
        let missing = Err(SecretFault::Missing(token.clone()));
        all.secrets.insert(token.clone(), missing.clone());
        all.take_last_instance_secrets(&last);
        assert_eq!(all.secrets[&token], missing, "nothing is being deleted");
        let mut of_credential = all.clone();
        let of = of_credential.credentials.get_mut(&name("a")).unwrap();
        of.deleted = Some(Timestamp::UNIX_EPOCH);
        let of = all.instances.get_mut(&name("cabin")).unwrap();
        of.deleted = Some(Timestamp::UNIX_EPOCH);
        for mut all in [of_credential, all] {
            all.take_last_instance_secrets(&last);
            assert_eq!(all.secrets[&token].as_ref().ok(), last.get(&token));
            let refused = Err(SecretFault::Unreadable(token.clone(), "forbidden".to_owned()));
            all.secrets.insert(token.clone(), refused.clone());
            all.take_last_instance_secrets(&last);
            assert_eq!(all.secrets[&token], refused);
        }
    }

    #[test]
    fn an_authority_that_goes_together_with_its_instance_is_what_it_was() {
        let mut all = declarations(&[]);
        let ca = name("ca");
        let last = BTreeMap::from([(ca.clone(), all.secrets[&name("all")].clone().unwrap())]);
        let instance = all.instances.get_mut(&name("cabin")).unwrap();
        instance.spec.ca_secret_ref =
            Some(serde_json::from_value(json!({"name": "ca", "key": "pem"})).unwrap());
        instance.deleted = Some(Timestamp::UNIX_EPOCH);
        all.secrets.insert(ca.clone(), Err(SecretFault::Missing(ca.clone())));
        all.take_last_instance_secrets(&last);
        assert_eq!(all.secrets[&ca].as_ref().ok(), last.get(&ca));
    }
}
