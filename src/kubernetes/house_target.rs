//! A HomeAssistant -> the target that it is, and how that is reached.

use std::collections::BTreeMap;

use super::assignment::Fault;
use super::declared::{Declarations, Declared, ObjectName};
use super::resources::HouseSpec;
use crate::lock::{TargetLock, WriteLock};
use crate::model::{Desired, Labels, Policy};
use crate::status::{Mode, Revisions};
use crate::target::Endpoint;
use crate::target::home_assistant::{AuthMethod, HomeAssistantEndpoint};
use crate::watch::{Notices, TargetSpec};

/// How it is reached.
pub(super) fn endpoint(
    name: &ObjectName,
    house: &Declared<HouseSpec>,
    all: &Declarations,
) -> Result<Endpoint, Fault> {
    let of = &house.spec.token_secret_ref;
    let secret = name.beside(&of.name);
    let (token, _) = all.secret(&secret, &of.key)?;
    let from = format!("the key `{}` of the Secret {secret}", of.key);
    let auth = AuthMethod::Token { token: token.clone(), from };
    let endpoint = HomeAssistantEndpoint::unwritten(&house.spec.url, auth)
        .map_err(|why| Fault::invalid(format!("url {why}")))?;
    let Some(of) = &house.spec.ca_secret_ref else {
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

/// What is to be done there.
pub(super) fn spec(
    house: &Declared<HouseSpec>,
    endpoint: Endpoint,
    desired: Desired,
    policy: Policy,
    revisions: Revisions,
) -> TargetSpec {
    let labels = house.labels.iter().map(|(name, value)| (name.into(), value.into()));
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
        is_suspended: house.spec.suspend,
        mode: Mode::Repair,
        notices: Notices::default(),
    }
}
