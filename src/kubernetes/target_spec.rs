//! A HomeAssistant -> the target that it is, and how that is reached.

use std::collections::BTreeMap;

use super::assignment::max_deletes;
use super::declared::{Declarations, Declared, ObjectName};
use super::departure;
use super::fault::Fault;
use super::resources::InstanceSpec;
use crate::lock::{TargetLock, WriteLock};
use crate::model::{Desired, Labels, Policy, Secret};
use crate::status::{Mode, Revisions};
use crate::target::Endpoint;
use crate::target::home_assistant::{AuthMethod, HomeAssistantEndpoint};
use crate::watch::{Notices, TargetSpec};

/// What an object says whose Home Assistant another one looks after.
pub(super) const SAME_ADDRESS: &str = "SameAddress";

fn same_address(first: &ObjectName) -> Fault {
    let message =
        format!("the HomeAssistant {first} has the same address: keep one of the two objects");
    Fault { reason: SAME_ADDRESS, message, is_final: true }
}

/// Whether anything may be done at a Home Assistant.
fn is_active(instance: &Declared<InstanceSpec>) -> bool {
    !instance.spec.suspend && !instance.is_released()
}

/// Which object each Home Assistant is looked after by: the first one that was there. Neither a Secret nor an error changes
/// that, since one replica may see those and another one not yet.
pub(super) fn first_of_places(declared: &Declarations) -> BTreeMap<String, &ObjectName> {
    let active = declared.instances.iter().filter(|(_, instance)| is_active(instance));
    let mut active: Vec<_> = active.collect();
    active.sort_by_key(|(_, instance)| instance.created);
    let mut first_of = BTreeMap::new();
    for (name, instance) in active {
        if let Some(place) = place(instance) {
            first_of.entry(place).or_insert(name);
        }
    }
    first_of
}

/// How a Home Assistant is reached, or why nothing is done there.
pub(super) fn endpoint(
    (name, instance): (&ObjectName, &Declared<InstanceSpec>),
    declared: &Declarations,
    first_of: &BTreeMap<String, &ObjectName>,
) -> Result<Endpoint, Fault> {
    if let Some(why) = &instance.spec.unreadable {
        return Err(Fault::invalid(departure::unreadable(why)));
    }
    // Two tasks, maybe of two replicas, would undo each other's work.
    let place = place(instance).filter(|_| is_active(instance));
    if let Some(first) = place.and_then(|place| first_of.get(&place)).filter(|of| **of != name) {
        return Err(same_address(first));
    }
    max_deletes(instance)?;
    reached(name, instance, declared)
}

/// How it is reached, by its Secrets.
fn reached(
    name: &ObjectName,
    instance: &Declared<InstanceSpec>,
    all: &Declarations,
) -> Result<Endpoint, Fault> {
    let of = &instance.spec.token_secret_ref;
    let secret = name.beside(&of.name);
    let (token, _) = all.secret(&secret, &of.key)?;
    let from = format!("the key `{}` of the Secret {secret}", of.key);
    let auth = AuthMethod::Token { token: token.clone(), from };
    let endpoint = HomeAssistantEndpoint::unwritten(&instance.spec.url, auth)
        .map_err(|why| Fault::invalid(format!("url {why}")))?;
    let Some(of) = &instance.spec.ca_secret_ref else {
        return Ok(Endpoint::HomeAssistant(endpoint));
    };
    let secret = name.beside(&of.name);
    let (pem, _) = all.secret(&secret, &of.key)?;
    // It becomes right when the Secret does.
    let endpoint = endpoint.trusting(pem.expose()).map_err(|why| Fault {
        reason: "SecretInvalid",
        message: format!("the key `{}` of the Secret {secret}: {why}", of.key),
        is_final: false,
    })?;
    Ok(Endpoint::HomeAssistant(endpoint))
}

/// Which Home Assistant it is by its address, whatever its Secrets are; none where `url` is no address.
fn place(instance: &Declared<InstanceSpec>) -> Option<String> {
    let auth = AuthMethod::Token { token: Secret::new(""), from: String::new() };
    let endpoint = HomeAssistantEndpoint::unwritten(&instance.spec.url, auth).ok()?;
    Some(Endpoint::HomeAssistant(endpoint).place())
}

/// What is to be done there.
pub(super) fn spec(
    instance: &Declared<InstanceSpec>,
    endpoint: Endpoint,
    desired: Desired,
    policy: Policy,
    revisions: Revisions,
) -> TargetSpec {
    let labels = instance.labels.iter().map(|(name, value)| (name.into(), value.into()));
    TargetSpec {
        writing: WriteLock::of(&endpoint, None),
        // Other replicas are kept away by a fence, and what is on other machines by no file.
        lock: TargetLock { file: None, holder: String::new() },
        endpoint,
        labels: labels.collect::<Labels>(),
        inputs: BTreeMap::new(),
        revisions,
        desired,
        seals: BTreeMap::default(),
        lifetimes: BTreeMap::new(),
        domains: BTreeMap::new(),
        policy,
        is_suspended: instance.spec.suspend,
        mode: Mode::Repair,
        notices: Notices::default(),
    }
}
