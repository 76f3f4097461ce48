//! Problems that show only when all entries are compared.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::Entry;
use super::{Loaded, Project, SecretValue, secret_values};

use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, Severity};
use crate::files;
use crate::integrations::{self, Limit};
use crate::model::{
    Domain, Key, PlainText, Reference, Visible, WEBHOOK, is_of_this_machine, without_number,
};
use crate::secret::{self, SecretResolver};
use crate::suggest;
use crate::target::Endpoint;
use crate::target::config_dir::ConfigDirEndpoint;

/// A check over all entries of a project.
type Check = fn(&[Arc<Entry>], &mut Diagnostics);

/// All checks; a new one is a function and a line here.
const CHECKS: &[Check] = &[
    one_entry_a_key,
    one_entry_a_client,
    one_heir_a_former_key,
    one_in_force,
    rotation_before_expiry,
    accounts_within_limit,
];

/// Problems that show only when all entries are compared.
pub(super) fn together(entries: &[Arc<Entry>]) -> Diagnostics {
    let mut problems = Diagnostics::default();
    CHECKS.iter().for_each(|check| check(entries, &mut problems));
    problems
}

fn one_entry_a_key(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    for (entry, first) in rivals(entries, |entry| Some(&entry.key.value)) {
        let both = for_both(entry, first);
        let message = format!("key `{}` is already used by another entry{both}", entry.key.value);
        let help =
            "give one of them a `key` of its own: where it is left out, it is made from the name";
        problems.push(
            twice(ProblemCode::DuplicateEntryKey, message, &entry.key, &first.key).help(help),
        );
    }
}

fn one_entry_a_client(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    fn client(entry: &Entry) -> Option<(&Domain, &str)> {
        match &entry.client_id.value {
            Reference::Plain(client_id) => Some((&entry.domain.value, client_id.expose())),
            _ => None,
        }
    }
    for (entry, first) in rivals(entries, client) {
        let (domain, both) = (&entry.domain.value, for_both(entry, first));
        let message = format!("two entries of `{domain}` have the same client id{both}");
        let help = "keep one of them: Home Assistant could not distinguish the two";
        let problem =
            twice(ProblemCode::DuplicateClient, message, &entry.client_id, &first.client_id);
        problems.push(problem.help(help));
    }
}

/// A former key belongs to one entry, and is the present key of none.
fn one_heir_a_former_key(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    let mut heirs: HashMap<&Key, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        heirs.entry(&entry.key.value).or_default().push(entry);
    }
    for entry in entries {
        for former in &entry.formerly {
            let others = heirs.entry(former).or_default();
            if let Some(other) = others.iter().find(|other| other.targets.overlap(&entry.targets)) {
                let both = for_both(entry, other);
                let (message, help) = if entry.key.value == *former {
                    (
                        format!("`formerly` has the entry's own key `{former}`"),
                        "remove it there".to_owned(),
                    )
                } else if other.key.value == *former {
                    (
                        format!("the former key `{former}` is the key of another entry now{both}"),
                        format!(
                            "give that one another `key`: without `formerly`, the accounts that were linked under `{former}` would get its client"
                        ),
                    )
                } else {
                    (
                        format!("the former key `{former}` also belongs to another entry{both}"),
                        "a former key belongs to one entry: remove it under `formerly` of all others".to_owned(),
                    )
                };
                let problem =
                    twice(ProblemCode::DuplicateFormerKey, message, &entry.key, &other.key);
                problems.push(problem.help(help));
            }
            others.push(entry);
        }
    }
}

/// Warns of several entries of an integration for which Home Assistant uses only one credential.
fn one_in_force(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    fn domain(entry: &Entry) -> Option<&Domain> {
        Some(&entry.domain.value).filter(|domain| integrations::collapses(domain))
    }
    for (entry, first) in rivals(entries, domain) {
        let message = format!(
            "of all credentials of `{}`, Home Assistant uses only the last that was created{}",
            entry.domain.value,
            for_both(entry, first)
        );
        let problem = twice(ProblemCode::OneInForce, message, &entry.domain, &first.domain)
            .help("keep one entry on each target: all linked accounts use its client there");
        problems.push(Diagnostic { severity: Severity::Warning, ..problem });
    }
}

fn rotation_before_expiry(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    for entry in entries {
        if let (Some(expires), Some(rotate_after)) = (&entry.expires, &entry.rotate_after)
            && rotate_after.value >= expires.value
        {
            let message = "`rotate_after` is not before `expires`";
            let spot = &rotate_after.spot;
            let problem = Diagnostic::error(ProblemCode::UnfitField, message)
                .at(&spot.file, spot.span)
                .related(expires.spot.clone(), "the client expires");
            problems.push(problem.help("choose an earlier day, or leave one of them out"));
        }
    }
}

/// Warns of each client for which more accounts are named than its provider allows.
fn accounts_within_limit(entries: &[Arc<Entry>], problems: &mut Diagnostics) {
    // An account may be wanted at several targets, where another entry has its client.
    let mut named: BTreeMap<(&Domain, Result<&str, usize>), BTreeSet<String>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let client = match &entry.client_id.value {
            Reference::Plain(client_id) => Ok(client_id.expose()),
            _ => Err(at),
        };
        let names = named.entry((&entry.domain.value, client)).or_default();
        let before = names.len();
        names.extend(entry.integration.accounts.iter().map(|name| name.as_str().to_lowercase()));
        let Some((limit, most)) = Limit::of_accounts(&entry.domain.value) else { continue };
        if names.len() > most.max(before) {
            let (count, domain, note) = (names.len(), &entry.domain.value, limit.note());
            let message = format!("{count} accounts of {domain} are named for this client: {note}");
            let spot = &entry.client_id.spot;
            problems.push(
                Diagnostic::warning(ProblemCode::ProviderLimit, message)
                    .at(&spot.file, spot.span)
                    .help("link the others through another client, with an entry of its own"),
            );
        }
    }
}

/// Entries that have something in common with one before them, each with the first such that is wanted
/// on a target where it is wanted too.
fn rivals<'e, K: Copy + Eq + Hash>(
    entries: &'e [Arc<Entry>],
    of: impl Fn(&'e Entry) -> Option<K>,
) -> Vec<(&'e Entry, &'e Entry)> {
    let mut first: HashMap<K, &Entry> = HashMap::with_capacity(entries.len());
    let mut others: HashMap<K, Vec<&Entry>> = HashMap::new();
    let mut found = Vec::new();
    for entry in entries {
        let Some(common) = of(entry) else { continue };
        match first.entry(common) {
            Vacant(place) => {
                place.insert(entry);
            }
            Occupied(first) => {
                let others = others.entry(common).or_insert_with(|| vec![*first.get()]);
                let rival = others.iter().find(|other| other.targets.overlap(&entry.targets));
                found.extend(rival.map(|rival| (&**entry, *rival)));
                others.push(entry);
            }
        }
    }
    found
}

/// For which targets two entries are, where that is not for all.
fn for_both(one: &Entry, other: &Entry) -> String {
    let said = one.targets.said_common(&other.targets);
    said.map(|targets| format!(" for {targets}")).unwrap_or_default()
}

fn twice<T>(
    code: ProblemCode,
    message: String,
    second: &Located<T>,
    first: &Located<T>,
) -> Diagnostic {
    let spot = &second.spot;
    Diagnostic::error(code, message)
        .at(&spot.file, spot.span)
        .related(first.spot.clone(), "first here")
}

/// All that was found while reading, and what can be said of it without a target.
pub fn check_loaded(loaded: &Loaded, resolver: &SecretResolver) -> Diagnostics {
    let (project, entries) = (&loaded.project, &loaded.entries);
    let mut problems = check_known(loaded.domains(), project);
    problems.append(loaded.problems.clone());
    problems.append(check_names(project, entries, resolver));
    problems.append(check_plain(project, entries));
    problems.append(check_ids(project, entries));
    problems.append(check_target_files(project, resolver));
    problems.append(check_new_folders(project));
    problems
}

/// Warns of each tag whose argument could be the secret itself.
pub fn check_names(
    project: &Project,
    entries: &[Arc<Entry>],
    resolver: &SecretResolver,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for SecretValue { field, value } in secret_values(project, entries) {
        let names = names_integration(&value.value);
        if let Some(why) = secret::may_be_secret(&value.value, resolver).filter(|_| !names) {
            let message = format!(
                "what follows the tag of `{}` could be the secret itself: it does not look like a name, and {why}",
                field.noun()
            );
            let problem = Diagnostic::warning(ProblemCode::PlainSecret, message)
                .at(&value.spot.file, value.spot.span)
                .help("keep the secret where the tag reads it, and write its name here; a secret that was committed must be replaced at the provider");
            problems.push(problem);
        }
    }
    problems
}

/// Warns of each value that should be encrypted although the project accepts it in plain text.
fn check_plain(project: &Project, entries: &[Arc<Entry>]) -> Diagnostics {
    let mut problems = Diagnostics::default();
    if project.allow_plaintext {
        return problems;
    }
    for SecretValue { field, value: Located { value, spot } } in secret_values(project, entries) {
        let is_plain = match value {
            // What is sent to this machine does not leave it.
            Reference::Plain(text) if field == WEBHOOK => !is_of_this_machine(text.expose()),
            Reference::Plain(_) => true,
            _ => false,
        };
        if field.plain_text == PlainText::Accepted && is_plain {
            let message = format!("this {} is in plain text, and may be a secret", field.noun());
            problems.push(
                Diagnostic::warning(ProblemCode::PlainSecret, message)
                    .at(&spot.file, spot.span)
                    .help("`appcred encrypt` encrypts it in place; or name it by a tag, as in `!env_var NAME`; `allow_plaintext: true` in appcred.yaml allows it"),
            );
        }
    }
    problems
}

/// Warns of each client id of several words: people may choose one, and providers issue none.
fn check_ids(project: &Project, entries: &[Arc<Entry>]) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for entry in entries.iter().filter(|_| !project.allow_placeholders) {
        let Located { value: Reference::Plain(id), spot } = &entry.client_id else { continue };
        if id.expose().contains(' ') {
            let message = "`client_id` has white space in it, and what a provider issues has none";
            let problem = Diagnostic::warning(ProblemCode::UnfitValue, message)
                .at(&spot.file, spot.span)
                .help("remove what is not part of it; if it is like this, `allow_placeholders: true` in appcred.yaml accepts it");
            problems.push(problem);
        }
    }
    problems
}

/// Warns of each file that a target names and that cannot be what it is for. Of those that hold a token, only
/// what is there is checked: they may be on another machine.
fn check_target_files(project: &Project, resolver: &SecretResolver) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for (name, target) in &project.targets {
        for Located { value: why, spot } in target.file_faults(resolver) {
            let message = format!("target `{name}`: {why}");
            let problem = Diagnostic::warning(ProblemCode::Unreadable, message);
            problems.push(problem.at(&spot.file, spot.span));
        }
    }
    problems
}

/// Warns of each configuration folder that would be made beside one that is there: its name may be mistyped.
fn check_new_folders(project: &Project) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let folders = || {
        project.targets.iter().filter_map(|(name, target)| match target {
            Endpoint::ConfigDir(ConfigDirEndpoint(folder)) => Some((name, folder.as_path())),
            _ => None,
        })
    };
    for (name, folder) in folders().filter(|(_, folder)| !folder.exists()) {
        let above = files::folder(folder.parent().unwrap_or(folder));
        let beside = above.read_dir().into_iter().flatten().filter_map(Result::ok);
        let beside: Vec<PathBuf> = beside.map(|entry| entry.path()).collect();
        let is_of_target = |path: &PathBuf| folders().any(|(_, of)| files::is_same(of, path));
        let holds = |path: &&PathBuf| {
            let has = |file: &str| path.join(file).exists();
            (has("configuration.yaml") || has(".storage")) && !is_of_target(path)
        };
        let Some(other) = beside.iter().find(holds) else { continue };
        let message = format!(
            "target `{name}`: there is no folder {}, and `apply` would make it; {} is a configuration folder that no target has",
            folder.visible(),
            other.visible()
        );
        let problem = Diagnostic::warning(ProblemCode::Unreadable, message)
            .help("correct `config_dir`, or make the folder if it is meant");
        problems.push(match project.target_spots.get(name) {
            Some(spot) => problem.at(&spot.file, spot.span),
            None => problem,
        });
    }
    problems
}

/// Whether a tag names an integration, perhaps with a number, as in `!secret netatmo2`.
fn names_integration(reference: &Reference) -> bool {
    let Reference::Tagged { argument, .. } = reference else { return false };
    integrations::known().contains(&Domain::new(without_number(argument)))
}

/// Finds integrations that neither appcred knows nor the project names.
pub fn check_known<'d>(
    domains: impl IntoIterator<Item = &'d Located<Domain>>,
    project: &Project,
) -> Diagnostics {
    if project.lacks_integrations {
        return Diagnostics::default();
    }
    check_domains(domains, integrations::known(), &project.policy.custom_integrations, "appcred")
}

/// Finds integrations that `who`, as in "target `home`", does not know and that are not
/// among the project's custom ones.
pub fn check_domains<'d>(
    domains: impl IntoIterator<Item = &'d Located<Domain>>,
    known: &BTreeSet<Domain>,
    custom: &BTreeSet<Domain>,
    who: &str,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for Located { value: domain, spot } in domains {
        if known.contains(domain) || custom.contains(domain) {
            continue;
        }
        let names = known.union(custom).map(Domain::as_str);
        let message = suggest::unknown("integration", domain.as_str(), names);
        let problem = Diagnostic::error(ProblemCode::UnknownIntegration, message)
            .at(&spot.file, spot.span)
            .label(format!("not known to {who}"));
        problems.push(problem.help(match integrations::known().contains(domain) {
            true => "other releases of Home Assistant have it: update Home Assistant, give the entry other `targets`, or remove it",
            false => "only integrations that use application credentials have entries: list a custom one under `custom_integrations` in appcred.yaml",
        }));
    }
    problems
}
