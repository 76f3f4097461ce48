//! A project that begins with what resources of a Kubernetes cluster declare.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};

use crate::files::{self, TEXT_LIMIT};
use crate::kubernetes::{
    ConvertedCredential, ConvertedInstance, RecoveredProject, SecretValueName, recovered,
};
use crate::model::{
    Adopt, Implementation, Integration, MaxDeletes, OnDelete, Owner, TargetName, Visible,
};
use crate::yaml_edit::{document, new_manifest};

use super::init::ProjectContent;

/// Where values of Secrets are expected.
const SECRETS: &str = "secrets";

/// What a project has that wants what the resources in this file do; `-` is standard input.
///
/// # Errors
/// Where they cannot be read, or are of several namespaces, whose credentials have different owners.
pub(super) fn content(file: &Path, has_owner: bool) -> anyhow::Result<ProjectContent> {
    let text = match file == Path::new("-") {
        true => files::read_stream(&mut std::io::stdin(), TEXT_LIMIT)
            .context("cannot read standard input")?,
        false => files::read_text(file, TEXT_LIMIT)
            .with_context(|| format!("cannot read {}", file.visible()))?,
    };
    let named = file.visible();
    let project = recovered(&text).map_err(|why| anyhow!("{named} is no YAML: {why}"))?;
    if project.instances.is_empty() && project.credentials.is_empty() {
        bail!(
            "{named} has no HomeAssistant and no ApplicationCredential that can be read: `kubectl get hass,acred -o yaml` prints those of a namespace"
        );
    }
    let namespaces: Vec<&str> = project.namespaces.iter().map(String::as_str).collect();
    let owner = match namespaces.as_slice() {
        [namespace] => Owner::new(&format!("kubernetes.{namespace}")),
        [] if has_owner => None,
        [] => bail!(
            "the resources have no namespace: name the owner of their credentials, as in --owner kubernetes.smart-home"
        ),
        several => bail!(
            "the resources are of {} namespaces, and the credentials of each have an owner of their own: make a project of each, as `kubectl get -n {}` prints them",
            several.len(),
            several[0]
        ),
    };
    let targets = project.instances.iter().map(|(name, of)| (name.as_str().into(), target(of)));
    let targets = Value::Mapping(targets.collect());
    let (policy, lost) = policy(&project);
    Ok(ProjectContent {
        owner,
        targets: (!project.instances.is_empty()).then_some(targets),
        policy,
        manifests: manifests(&project.credentials)?,
        ignored: &["secrets/"],
        said: Some(said(&project, lost)),
        is_whole: project.left_out.is_empty(),
    })
}

/// A reference to a value of a Secret, which somebody writes into this file; `above` leads to the project's folder.
fn secret(above: &str, (name, key): &SecretValueName) -> Value {
    let path = format!("{above}{SECRETS}/{name}/{key}");
    Value::Tagged(Box::new(TaggedValue { tag: Tag::new("file"), value: path.into() }))
}

fn target(
    (instance, token, authority): &(ConvertedInstance, SecretValueName, Option<SecretValueName>),
) -> Value {
    let mut fields = Fields::default();
    fields.put("url", instance.url.as_deref());
    fields.0.insert("token".into(), secret("", token));
    fields.put("ca_file", authority.as_ref().map(|(name, key)| format!("{SECRETS}/{name}/{key}")));
    fields.put("suspend", instance.suspend.then_some(true));
    let labels = instance.labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
    fields.put("labels", (!instance.labels.is_empty()).then(|| labels.collect::<BTreeMap<_, _>>()));
    Value::Mapping(fields.0)
}

/// What holds for all, where it does; and what does not.
fn policy(project: &RecoveredProject) -> (Option<Value>, Vec<String>) {
    let (mut fields, mut lost) = (Fields::default(), Vec::new());
    let limits: Vec<Option<MaxDeletes>> =
        project.instances.values().map(|(instance, ..)| instance.max_deletes).collect();
    match limits.as_slice() {
        [first, others @ ..] if others.iter().all(|limit| limit == first) => match first {
            Some(MaxDeletes::Count(count)) => fields.put("max_deletes", Some(count)),
            limit => fields.put("max_deletes", limit.map(|limit| limit.to_string())),
        },
        _ => {
            let limited = project.instances.iter().filter(|(_, (of, ..))| of.max_deletes.is_some());
            lost.extend(limited.map(|(name, _)| {
                format!("HomeAssistant {name}: maxDeletes, which is for all targets of a project")
            }));
        }
    }
    let kept = project.credentials.iter().filter(|(of, _)| of.is_kept);
    let kept: Vec<_> = kept.map(|(of, _)| &of.key).collect();
    if !kept.is_empty() && kept.len() == project.credentials.len() {
        fields.put("prune", Some("none"));
    } else {
        lost.extend(kept.into_iter().map(|key| {
            format!("ApplicationCredential {key}: deletionPolicy: Retain; `appcred forget` keeps its credential when the entry goes")
        }));
    }
    ((!fields.0.is_empty()).then_some(Value::Mapping(fields.0)), lost)
}

/// A manifest for each integration.
///
/// # Errors
/// Where an entry cannot be written.
fn manifests(
    credentials: &[(ConvertedCredential, SecretValueName)],
) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut by_domain: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (of, secret) in credentials {
        by_domain.entry(of.domain.as_str()).or_default().push(entry(of, secret));
    }
    // The comment that says where the schema is.
    let empty = new_manifest(&[])?;
    let head = empty.split_inclusive('\n').next().unwrap_or_default();
    let manifest = |(domain, entries): (&str, Vec<Value>)| {
        let list: Mapping =
            [("application_credentials".into(), Value::Sequence(entries))].into_iter().collect();
        let text = format!("{head}{}", document(&Value::Mapping(list))?);
        Ok((Path::new("credentials").join(format!("{domain}.yaml")), text))
    };
    by_domain.into_iter().map(manifest).collect()
}

fn entry(of: &ConvertedCredential, at: &SecretValueName) -> Value {
    let mut fields = Fields::default();
    fields.put("domain", Some(of.domain.as_str()));
    fields.put("name", (of.name != of.domain.as_str()).then_some(of.name.as_str()));
    fields.put("key", Some(of.key.as_str()));
    fields.put("client_id", of.client_id.as_deref());
    fields.0.insert("client_secret".into(), secret("../", at));
    fields.put("adopt", (of.adopt == Adopt::Only).then_some(true));
    fields.put("protect", of.protect.then_some(true));
    fields.put("suspend", of.suspend.then_some(true));
    let Integration { accounts, .. } = &of.integration;
    let accounts: Vec<&str> = accounts.iter().map(|name| name.as_str()).collect();
    fields.put("accounts", (!accounts.is_empty()).then_some(accounts));
    let integration = integration(&of.integration);
    fields.put("integration", (!integration.is_empty()).then_some(integration));
    match (&of.labels, &of.targets) {
        (Some(labels), _) => {
            let mut asked = Fields::default();
            for (label, values) in labels {
                let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
                match values.as_slice() {
                    [value] => asked.put(label, Some(value)),
                    _ => asked.put(label, Some(&values)),
                }
            }
            fields.put("targets", Some(BTreeMap::from([("match", asked.0)])));
        }
        (None, Some(names)) => {
            let names: Vec<&str> = names.iter().map(TargetName::as_str).collect();
            fields.put("targets", Some(names));
        }
        (None, None) => {}
    }
    Value::Mapping(fields.0)
}

fn integration(of: &Integration) -> Mapping {
    let Integration { setup, implementation, answers, on_delete, token_url, authorize_url, .. } =
        of;
    let mut fields = Fields::default();
    fields.put("setup", (!setup).then_some(false));
    let implementation = match implementation {
        Implementation::Credential => None,
        Implementation::Cloud => Some("cloud"),
        Implementation::Ask => Some("ask"),
    };
    fields.put("implementation", implementation);
    fields.put("answers", (!answers.is_empty()).then_some(answers));
    let removes = *on_delete == OnDelete::RemoveIntegration;
    fields.put("on_delete", removes.then_some("remove_integration"));
    fields.put("token_url", token_url.as_deref());
    fields.put("authorize_url", authorize_url.as_deref());
    fields.0
}

/// The fields of a mapping, in order.
#[derive(Default)]
struct Fields(Mapping);

impl Fields {
    /// Adds a field where it has a value. All that is put here can be YAML.
    fn put(&mut self, name: &str, value: Option<impl Serialize>) {
        if let Some(Ok(value)) = value.map(serde_yaml::to_value) {
            self.0.insert(name.into(), value);
        }
    }
}

/// What is said beside: what is not there, and which values are to be written into which files.
fn said(project: &RecoveredProject, lost: Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut list = |head: &str, all: &mut dyn Iterator<Item = String>| {
        let all: Vec<String> = all.map(|line| format!("  {}", line.visible())).collect();
        if !all.is_empty() {
            lines.push(head.to_owned());
            lines.extend(all);
        }
    };
    list("Became neither a target nor an entry:", &mut project.left_out.iter().cloned());
    list("No project says this:", &mut project.lost.iter().cloned().chain(lost));
    let of_instances = project.instances.values();
    let of_instances = of_instances.flat_map(|(_, token, ca)| std::iter::once(token).chain(ca));
    let mut secrets: Vec<&SecretValueName> =
        of_instances.chain(project.credentials.iter().map(|(_, secret)| secret)).collect();
    secrets.sort();
    secrets.dedup();
    let namespace = project.namespaces.first().map(String::as_str);
    let command = |(name, key): &SecretValueName| written(name, key, namespace);
    list(
        "Write the values of these Secrets into files, which Git ignores:",
        &mut secrets.into_iter().map(command),
    );
    lines
}

/// The command that writes a value into its file, to be copied into a shell.
fn written(name: &str, key: &str, namespace: Option<&str>) -> String {
    let folder = format!("{SECRETS}/{name}");
    let file = format!("{folder}/{key}");
    let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
    let mut get = vec!["kubectl", "get", "secret", name];
    get.extend(namespace.into_iter().flat_map(|namespace| ["--namespace", namespace]));
    get.extend(["-o", &template]);
    format!(
        "{} && {} >{}",
        shell_words::join(["mkdir", "-p", "-m", "700", &folder]),
        shell_words::join(get),
        shell_words::quote(&file)
    )
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn a_command_that_people_copy_has_each_name_as_one_word() {
        let line = written("x; touch P", "k' $(touch Q)", Some("n s"));
        let words = shell_words::split(&line).unwrap();
        assert!(words.contains(&"x; touch P".to_owned()), "{words:?}");
        assert!(words.contains(&"n s".to_owned()), "{words:?}");
        assert!(words.contains(&">secrets/x; touch P/k' $(touch Q)".to_owned()), "{words:?}");
        let plain = written("cabin", "token", Some("ns"));
        let expected = "mkdir -p -m 700 secrets/cabin && kubectl get secret cabin --namespace ns -o 'go-template={{index .data \"token\" | base64decode}}' >secrets/cabin/token";
        assert_eq!(plain, expected);
    }
}
