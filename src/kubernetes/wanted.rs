//! An ApplicationCredential -> the credential that it wants. Its texts mean what they mean in manifests.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::declared::ObjectName;
use super::fault::Fault;
use super::resources::{AccountFate, CredentialSpec, IntegrationSpec, LinkedThrough};
use crate::field::{FieldRefusal, Meaning, TokenUrl};
use crate::model::{
    AccountName, Adopt, ClientId, ClientPart, DesiredCredential, Domain, Implementation,
    Integration, Key, OnDelete, Place, Secret, client_fault,
};

/// What an object wants, or everything that is wrong with it.
pub(super) fn desired(
    name: &ObjectName,
    key: Key,
    spec: &CredentialSpec,
    secret: &Secret,
) -> Result<DesiredCredential, Fault> {
    let mut problems = Vec::new();
    let domain: Option<Domain> = meaning("domain", &spec.domain, &mut problems);
    let integration = integration(&spec.integration, &spec.accounts, &mut problems);
    if let Some(fault) = client_fault(spec.client_id(), ClientPart::Id, false) {
        problems.push(format!("clientId {fault}"));
    }
    if let Some(fault) = client_fault(secret.expose(), ClientPart::Secret, false) {
        let of = &spec.client_secret_ref;
        problems.push(format!(
            "the key `{}` of the Secret {} {fault}",
            of.key,
            name.beside(&of.name)
        ));
    }
    if spec.client_id() == secret.expose() {
        problems.push("the client secret is the same text as clientId".to_owned());
    }
    match domain {
        Some(domain) if problems.is_empty() => Ok(DesiredCredential {
            key,
            names_key: true,
            formerly: BTreeSet::new(),
            name: spec.name.as_deref().unwrap_or(&spec.domain).into(),
            domain,
            client_id: ClientId::new(spec.client_id()),
            client_secret: secret.clone().into(),
            adopt: if spec.adopt { Adopt::Only } else { Adopt::No },
            integration,
            place: Place { file: PathBuf::from(name.to_string()).into(), line: 1, column: 1 },
        }),
        _ => Err(Fault::invalid(problems.join("; "))),
    }
}

fn integration(
    spec: &IntegrationSpec,
    accounts: &[String],
    problems: &mut Vec<String>,
) -> Integration {
    let mut url = |field, text: &Option<String>| {
        let url: Option<TokenUrl> = meaning(field, text.as_deref()?, problems);
        url.map(|TokenUrl(url)| url)
    };
    let token_url = url("integration.tokenUrl", &spec.token_url);
    let authorize_url = url("integration.authorizeUrl", &spec.authorize_url);
    let accounts = accounts.iter().filter_map(|name| meaning("accounts", name, problems));
    let accounts: Vec<AccountName> = accounts.collect();
    if !accounts.is_empty() && !spec.setup {
        let why = "integration.setup is false, so no account is linked, and accounts names some";
        problems.push(why.to_owned());
    }
    Integration {
        setup: spec.setup,
        accounts,
        implementation: match spec.implementation {
            LinkedThrough::Credential => Implementation::Credential,
            LinkedThrough::Cloud => Implementation::Cloud,
            LinkedThrough::Ask => Implementation::Ask,
        },
        answers: spec.answers.clone(),
        on_delete: on_delete(spec),
        token_url,
        authorize_url,
    }
}

/// What happens to linked accounts with the object.
pub(super) fn on_delete(spec: &IntegrationSpec) -> OnDelete {
    match spec.on_delete {
        AccountFate::Keep => OnDelete::Keep,
        AccountFate::RemoveIntegration => OnDelete::RemoveIntegration,
    }
}

fn meaning<T: Meaning>(field: &str, text: &str, problems: &mut Vec<String>) -> Option<T> {
    let refused = |FieldRefusal { why, help, .. }: FieldRefusal| {
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        problems.push(format!("{field} {why}{help}"));
    };
    T::of(text).map_err(refused).ok()
}
