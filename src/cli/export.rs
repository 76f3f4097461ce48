//! `export`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::kubernetes::{self, ConvertedCredential, ConvertedInstance, ConvertedProject};
use crate::manifest::{Entry, Project, Targets};
use crate::model::{
    Integration, Key, OnDrift, Policy, Prune, Reference, Rollout, TargetName, TargetSelection,
};
use crate::plan::Imported;
use crate::target::Endpoint;
use crate::workspace::{ImportDraft, select};
use crate::yaml_edit::NewEntry;

use super::exit::ExitStatus;
use super::gather::{load, show};
use super::{Global, console, environment};

/// Print the project as resources of a Kubernetes cluster
///
/// Each target becomes a HomeAssistant and each entry an ApplicationCredential of `appcred controller`. No secret is
/// printed or read: resources refer to Secrets. Standard error lists which Secrets to create, and what resources
/// cannot express. If a target or an entry does not become a resource, the exit status is 1.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred export --namespace smart-home > resources.yaml
  appcred export | kubectl apply --dry-run=server -f -")]
pub(super) struct ExportArgs {
    /// The namespace of the resources; default: the one that kubectl uses
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
}

fn namespace(text: &str) -> Result<String, String> {
    let is_part = |of: u8| of.is_ascii_lowercase() || of.is_ascii_digit() || of == b'-';
    match (1..=63).contains(&text.len()) && text.bytes().all(is_part) {
        true => Ok(text.to_owned()),
        false => {
            Err("a namespace has small letters, digits and `-`, at most 63 of them".to_owned())
        }
    }
}

pub(super) fn run(global: &Global, verb: &ExportArgs) -> anyhow::Result<ExitStatus> {
    let loaded = load(global);
    show(&loaded.problems);
    if loaded.problems.has_errors() {
        return Ok(ExitStatus::Failure);
    }
    let project = &loaded.project;
    let instances = instances(project, &TargetSelection::default())?;
    let credentials: Vec<_> =
        loaded.entries.iter().map(|entry| credential(entry, project)).collect();
    let mut made = kubernetes::resources(&instances, &credentials, verb.namespace.as_deref())?;
    made.lost.extend(of_project(project, &loaded.entries));
    print(&made)
}

/// The targets that are meant, as resources see them.
///
/// # Errors
/// Where there is none.
pub(super) fn instances(
    project: &Project,
    selection: &TargetSelection,
) -> anyhow::Result<BTreeMap<TargetName, ConvertedInstance>> {
    let targets = select(project, &environment::read(), selection)?;
    let instance = |(name, endpoint): (TargetName, Endpoint)| {
        let mut instance = ConvertedInstance {
            labels: project.labels.get(&name).cloned().unwrap_or_default(),
            suspend: project.suspended.contains_key(&name),
            max_deletes: project.policy.max_deletes,
            ..ConvertedInstance::default()
        };
        if let Endpoint::HomeAssistant(endpoint) = endpoint {
            let network = &endpoint.network;
            instance.has_authority = network.ca_file.is_some();
            let lost = [
                ("client_certificate", network.client.is_some()),
                ("headers", !network.headers.is_empty()),
                ("proxy", network.proxy.is_some()),
            ];
            instance.lost = said(lost);
            instance.url = Some(endpoint.url);
        }
        (name, instance)
    };
    Ok(targets.into_iter().map(instance).collect())
}

/// An entry, as a resource sees it.
fn credential(entry: &Entry, project: &Project) -> ConvertedCredential {
    let policy = &project.policy;
    let lost = [
        ("formerly", !entry.formerly.is_empty()),
        ("expires", entry.expires.is_some()),
        ("rotate_after", entry.rotate_after.is_some()),
    ];
    ConvertedCredential {
        key: entry.key.value.clone(),
        domain: entry.domain.value.clone(),
        name: entry.name.value.clone(),
        client_id: match &entry.client_id.value {
            Reference::Plain(id) => Some(id.expose().to_owned()),
            _ => None,
        },
        adopt: entry.adopt.clone(),
        protect: entry.protect || policy.protected.contains(&entry.key.value),
        suspend: entry.suspend,
        is_kept: policy.prune == Prune::Nothing,
        integration: entry.integration.clone(),
        labels: entry.asked_labels().cloned(),
        targets: match &entry.targets {
            Targets::All => None,
            Targets::Only(names) => Some(names.clone()),
        },
        lost: said(lost),
    }
}

/// Prints the resources for what an import found.
///
/// # Errors
/// Where they cannot be printed.
pub(super) fn print_found(
    project: &Project,
    selection: &TargetSelection,
    draft: &ImportDraft,
) -> anyhow::Result<ExitStatus> {
    let found = |(imported, entry): &(Imported, NewEntry)| ConvertedCredential {
        key: imported.key.clone(),
        domain: imported.of.domain.clone(),
        name: imported.name.as_deref().unwrap_or(imported.of.domain.as_str()).into(),
        client_id: Some(imported.of.client_id.as_str().to_owned()),
        adopt: imported.adopt.clone(),
        protect: false,
        suspend: false,
        is_kept: false,
        integration: Integration {
            setup: imported.is_linked,
            accounts: imported.accounts.clone(),
            ..Integration::default()
        },
        labels: None,
        targets: match entry.targets.as_slice() {
            [] => None,
            names => Some(names.iter().map(|name| TargetName::new(name.as_str())).collect()),
        },
        lost: Vec::new(),
    };
    let credentials: Vec<_> = draft.made.iter().map(found).collect();
    print(&kubernetes::resources(&instances(project, selection)?, &credentials, None)?)
}

/// What the project says beside, and no resource does.
fn of_project(project: &Project, entries: &[Arc<Entry>]) -> Option<String> {
    let Policy { prune, adopt_all, leave_integrations, remove_integrations, .. } = &project.policy;
    let Policy { allow_empty, windows, on_drift, forgotten, .. } = &project.policy;
    let mut lost = said([
        ("policy.prune: all", *prune == Prune::All),
        ("policy.allow_empty", *allow_empty),
        ("policy.adopt_all", *adopt_all),
        ("policy.leave_integrations", *leave_integrations),
        ("policy.remove_integrations", *remove_integrations),
        ("policy.windows", *windows != Default::default()),
        ("policy.on_drift", *on_drift != OnDrift::Repair),
        ("policy.forgotten", !forgotten.is_empty()),
        ("policy.rollout", project.rollout != Rollout::default()),
        ("notify", project.notify.is_any()),
        ("previous_owners", !project.previous_owners.is_empty()),
    ]);
    // What of an entry that is there is said by its resource.
    let keys: BTreeSet<&Key> = entries.iter().map(|entry| &entry.key.value).collect();
    let gone: Vec<_> = project.policy.protected.iter().filter(|key| !keys.contains(key)).collect();
    let protected = gone.iter().map(|key| format!("policy.protect: {key}")).collect::<Vec<_>>();
    lost.extend(protected.iter().map(String::as_str));
    (!lost.is_empty()).then(|| format!("the project file: {}", lost.join(", ")))
}

fn said<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter_map(|(field, is_said)| is_said.then_some(field)).collect()
}

/// Prints resources, and says what they do not.
///
/// # Errors
/// Where they cannot be printed.
pub(super) fn print(made: &ConvertedProject) -> anyhow::Result<ExitStatus> {
    console::print(&made.yaml)?;
    let list = |head: &str, lines: &mut dyn Iterator<Item = String>| {
        let lines = lines.map(|line| format!("  {line}")).collect::<Vec<_>>();
        let head = (!lines.is_empty()).then(|| head.to_owned());
        head.into_iter().chain(lines).for_each(console::message);
    };
    list("No resource was made of these:", &mut made.left_out.iter().cloned());
    list("These fields are not in the resources:", &mut made.lost.iter().cloned());
    let secrets = made.secrets.iter().map(|(name, key)| format!("{name}, with the key {key}"));
    list("Make these Secrets in the same namespace:", &mut secrets.into_iter());
    Ok(if made.left_out.is_empty() { ExitStatus::Success } else { ExitStatus::Failure })
}

#[cfg(test)]
mod tests {
    use super::of_project;
    use crate::manifest::Project;
    use crate::model::Key;

    #[test]
    fn what_is_protected_and_has_no_entry_is_named() {
        let mut project = Project::default();
        assert_eq!(of_project(&project, &[]), None);
        project.policy.protected = [Key::new("gone").unwrap()].into();
        let said = of_project(&project, &[]).unwrap();
        assert_eq!(said, "the project file: policy.protect: gone");
    }
}
