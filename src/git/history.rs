//! Secrets in plain text in old versions of manifests and project files, wherever in the repository
//! these were: folders move, and projects too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use super::blobs::each_text;
use super::command::{answer, git};
use super::old_version::{NamedFiles, NamedSecret, OldContent, OldVersion};
use super::versions::{SECRETS_FILES, Version, committed, staged};
use super::{GitError, OtherProjects, root};
use crate::files::{self, TEXT_LIMIT};
use crate::model::{
    CLIENT_SECRET, PROJECT_FILE, SECRET_FIELDS, Secret, WEBHOOK, is_of_this_machine,
};
use crate::yaml_edit::{
    ClearValue, ExposedSecret, Exposure, SecretsNamed, SlotValue, YamlEditError, all_slots,
    clear_values, commented_secrets, exposed_secrets, is_empty, is_sealed, secrets_in_lines,
    secrets_named, slots,
};

/// Searches all versions, on all branches, of all manifests, of their copies and of all project files of the repository
/// that the folder is in; those of other projects are left out. Each secret is found once in each file. A
/// file of secrets, what Home Assistant stores, each of the files that secrets are read from, and each
/// that an old version reads one from, is found where it was in plain text.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn plain_secrets(
    folder: &Path,
    others: &OtherProjects,
    files: &NamedFiles,
) -> Result<Vec<OldVersion>, GitError> {
    let shallow = answer(git(folder).args(["rev-parse", "--is-shallow-repository"]))?;
    if shallow.trim_ascii() == b"true" {
        return Err(GitError::Shallow);
    }
    search_versions(folder, others, files, committed, |_| Vec::new())
}

/// Searches what is staged and differs from the work tree in the same way: the next commit has it, whatever
/// the work tree has by now.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn staged_plain_secrets(
    folder: &Path,
    others: &OtherProjects,
    files: &NamedFiles,
) -> Result<Vec<OldVersion>, GitError> {
    let root = root(folder).unwrap_or_default();
    // What the file still has is reported of the file itself, and staging it again would not help.
    search_versions(folder, others, files, staged, |file| plain_now(&root.join(file)))
}

/// The sections of the project file that have commands and no secrets.
const OF_PROGRAMS: [&str; 2] = ["sources", "sops_program"];

fn search_versions(
    folder: &Path,
    others: &OtherProjects,
    NamedFiles { of_secrets, of_targets }: &NamedFiles,
    versions: impl Fn(&Path, &BTreeSet<PathBuf>) -> Result<Vec<Version>, GitError>,
    known: impl Fn(&Path) -> Vec<PlainSecret>,
) -> Result<Vec<OldVersion>, GitError> {
    let root = root(folder).unwrap_or_default();
    let mut files: BTreeSet<PathBuf> =
        of_secrets.iter().filter_map(|NamedSecret { file, .. }| from_root(&root, file)).collect();
    let targets: BTreeSet<PathBuf> =
        of_targets.iter().filter_map(|file| from_root(&root, file)).collect();
    loop {
        let mut versions = versions(folder, &files)?;
        versions.retain(|version| !others.have(&version.file));
        // Mostly nothing is staged, and Git need not be asked for nothing.
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let of_stores = versions.iter().filter(|version| is_store(&version.file, &files));
        let stores: BTreeSet<&str> = of_stores.map(|version| version.blob.as_str()).collect();
        let blobs: BTreeSet<&str> = versions.iter().map(|version| version.blob.as_str()).collect();
        let searched = search(folder, &blobs, &stores)?;
        // Old versions name files that no entry names now.
        let before = files.len();
        files.extend(versions.iter().flat_map(|version| named_in(version, &searched)));
        if files.len() == before {
            let known = versions.iter().map(|version| (&version.file, known(&version.file)));
            let is_of_project = |file: &Path| {
                file.file_name().is_some_and(|name| name == PROJECT_FILE)
                    || targets.iter().any(|place| file.starts_with(place))
            };
            let now = of_secrets.iter().filter_map(|secret| secret.name.as_deref());
            let old = searched.values().flat_map(|blob| &blob.named.names).map(String::as_str);
            let stores = Stores { files: &files, names: now.chain(old).collect() };
            return Ok(findings(&versions, &stores, &searched, &known.collect(), is_of_project));
        }
    }
}

/// What secrets are read from.
struct Stores<'f> {
    files: &'f BTreeSet<PathBuf>,
    /// The names of secrets in files of several.
    names: BTreeSet<&'f str>,
}

impl Stores<'_> {
    /// Whether a secret is read from this value, which a document of SOPS has in plain text.
    fn read(&self, value: &ClearSecret, file: &Path) -> bool {
        let is_whole = value.is_only && self.files.contains(file);
        is_whole || self.names.contains(value.secret.field.as_str())
    }
}

fn is_store(file: &Path, files: &BTreeSet<PathBuf>) -> bool {
    files.contains(file) || SECRETS_FILES.iter().any(|known| file.ends_with(known))
}

/// The files that secrets of a version are read from, from the root of the repository.
fn named_in<'s>(
    version: &'s Version,
    searched: &'s BTreeMap<String, Blob>,
) -> impl Iterator<Item = PathBuf> + 's {
    let blob = searched.get(&version.blob);
    let folder = version.file.parent().unwrap_or(Path::new(""));
    blob.into_iter()
        .flat_map(|blob| &blob.named.files)
        .filter_map(|name| within(&folder.join(name)))
}

/// A path without `.` and `..`; none where it leads out of the repository.
fn within(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir if inside.pop() => {}
            _ => return None,
        }
    }
    Some(inside).filter(|inside| !inside.as_os_str().is_empty())
}

fn findings(
    versions: &[Version],
    stores: &Stores<'_>,
    searched: &BTreeMap<String, Blob>,
    known: &BTreeMap<&PathBuf, Vec<PlainSecret>>,
    is_of_project: impl Fn(&Path) -> bool,
) -> Vec<OldVersion> {
    let mut found = Vec::new();
    let known = known.iter().flat_map(|(file, secrets)| secrets.iter().map(|one| (*file, one)));
    let known = known.map(|(file, secret)| (file, secret.field.as_str(), secret.digest));
    let mut seen: BTreeSet<_> = known.collect();
    for Version { commit, blob, file } in versions {
        let is_project = is_of_project(file);
        let add = |content| OldVersion { commit: commit.clone(), file: file.clone(), content };
        let Some(blob) = searched.get(blob) else { continue };
        if is_store(file, stores.files) {
            if blob.is_plain && seen.insert((file, "", [0; 32])) {
                found.push(add(OldContent::PlainFile));
            }
            for ClearSecret { secret, .. } in
                blob.clear.iter().filter(|clear| stores.read(clear, file))
            {
                if seen.insert((file, secret.field.as_str(), secret.digest)) {
                    let (line, field) = (secret.line, secret.field.clone());
                    found.push(add(OldContent::Secret { line, field }));
                }
            }
            continue;
        }
        let secrets = match &blob.searched {
            Some(Searched::Invalid { names_credentials })
                if is_project || *names_credentials && is_yaml(file) =>
            {
                found.push(add(OldContent::Invalid));
                continue;
            }
            Some(Searched::Plain(secrets)) if !secrets.is_empty() => secrets,
            _ => &blob.in_lines,
        };
        for secret in secrets.iter().filter(|secret| is_project || secret.is_of_entry) {
            if seen.insert((file, secret.field.as_str(), secret.digest)) {
                let (line, field) = (secret.line, secret.field.clone());
                found.push(add(match secret.exposure {
                    None => OldContent::Secret { line, field },
                    Some(Exposure::Name) => OldContent::Name { line, field },
                    Some(_) => OldContent::Exposed { line, field },
                }));
            }
        }
    }
    found
}

fn is_yaml(file: &Path) -> bool {
    let is = |end: &str| file.extension().is_some_and(|other| other.eq_ignore_ascii_case(end));
    is("yaml") || is("yml")
}

/// A file as Git names it, from the root of the repository.
fn from_root(root: &Path, file: &Path) -> Option<PathBuf> {
    within(file.strip_prefix(root).ok()?)
}

/// A version of a file.
struct Blob {
    /// What was found in it as in a manifest.
    searched: Option<Searched>,
    /// What was found in it as in a text of any kind.
    in_lines: Vec<PlainSecret>,
    /// Whether it is of a file of secrets and says something that is not encrypted.
    is_plain: bool,
    /// What SOPS left in plain text, if it is of a file of secrets.
    clear: Vec<ClearSecret>,
    /// What it reads secrets from.
    named: SecretsNamed,
}

/// What was found in a version.
enum Searched {
    Plain(Vec<PlainSecret>),
    Invalid { names_credentials: bool },
}

/// A value that SOPS left in plain text.
struct ClearSecret {
    secret: PlainSecret,
    /// Whether the document has no other value.
    is_only: bool,
}

struct PlainSecret {
    field: String,
    line: u32,
    /// Whether it can be in a manifest, and not in a project file alone.
    is_of_entry: bool,
    /// Where it is, if its field holds no secret.
    exposure: Option<Exposure>,
    /// By which it is known again, and not shown.
    digest: [u8; 32],
}

impl PlainSecret {
    fn new(field: String, line: u32, secret: &Secret) -> Self {
        let is_of_entry = SECRET_FIELDS
            .iter()
            .any(|known| known.name == field && known.section == CLIENT_SECRET.section);
        let digest = Sha256::digest(secret.expose()).into();
        Self { field, line, is_of_entry, exposure: None, digest }
    }

    fn exposed(found: ExposedSecret) -> Self {
        let ExposedSecret { exposure, field, is_of_entry, secret, span } = found;
        let exposure = Some(exposure);
        Self { is_of_entry, exposure, ..Self::new(field, span.line, &secret) }
    }
}

/// Searches blobs, one after the other; those that are no text or too large are left out. Some are of
/// files that hold nothing but secrets.
fn search(
    folder: &Path,
    blobs: &BTreeSet<&str>,
    stores: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Blob>, GitError> {
    let mut searched = BTreeMap::new();
    each_text(folder, blobs, |blob, text| {
        let is_plain = stores.contains(blob.as_str()) && is_plain(&text);
        let clear = if stores.contains(blob.as_str()) { clear(&text) } else { Vec::new() };
        let (found, named) = search_text(&text).unzip();
        let named = named.unwrap_or_default();
        let found = found.flatten();
        // What was found as in a manifest has its field and is not looked for again.
        let in_lines = match &found {
            Some(Searched::Plain(secrets)) if !secrets.is_empty() => Vec::new(),
            _ => secrets_in_lines(&text),
        };
        let in_lines = in_lines.into_iter();
        let in_lines = in_lines
            .map(|(line, secret)| PlainSecret::new(CLIENT_SECRET.name.to_owned(), line, &secret));
        let in_lines = in_lines.collect();
        searched.insert(blob, Blob { searched: found, in_lines, is_plain, clear, named });
    })?;
    Ok(searched)
}

/// Whether a file of secrets has something that is not encrypted.
fn is_plain(text: &str) -> bool {
    if is_sealed(text.trim_start()) || clear_values(text).is_some() {
        return false;
    }
    match all_slots(text) {
        Ok(slots) if slots.is_empty() => !is_empty(text),
        Ok(slots) => slots.iter().any(|slot| !matches!(slot.held, SlotValue::Age(_))),
        Err(_) => true,
    }
}

/// What SOPS left in plain text.
fn clear(text: &str) -> Vec<ClearSecret> {
    let values = clear_values(text).unwrap_or_default().into_iter();
    let clear = values.map(|ClearValue { name, is_only, line, value }| ClearSecret {
        secret: PlainSecret::new(name, line, &value),
        is_only,
    });
    clear.collect()
}

/// The secrets in plain text that a file has now.
fn plain_now(file: &Path) -> Vec<PlainSecret> {
    // What cannot be read is reported by who reads it.
    let Ok(text) = files::read_text(file, TEXT_LIMIT) else { return Vec::new() };
    match search_text(&text).and_then(|(found, _)| found) {
        Some(Searched::Plain(secrets)) => secrets,
        _ => clear(&text).into_iter().map(|clear| clear.secret).collect(),
    }
}

/// What is found in a text as in a manifest, and the secrets that it names; none where it is no manifest.
fn search_text(text: &str) -> Option<(Option<Searched>, SecretsNamed)> {
    // Most YAML files of a repository are no manifests.
    let names_credentials = text.contains(CLIENT_SECRET.section);
    let sections = SECRET_FIELDS.iter().map(|field| field.section).chain(OF_PROGRAMS);
    if !{ sections }.any(|section| text.contains(section)) {
        return None;
    }
    let searched = match slots(text) {
        Ok(slots) => {
            let plain = slots.into_iter().filter_map(|slot| {
                let (SlotValue::Plain(secret) | SlotValue::Default(secret)) = slot.held else {
                    return None;
                };
                // As `validate` judges the file itself: no other machine takes what is sent to this one.
                if slot.field == WEBHOOK.name && is_of_this_machine(secret.expose()) {
                    return None;
                }
                Some(PlainSecret::new(slot.field, slot.span.line, &secret))
            });
            let commented = commented_secrets(text).into_iter();
            let commented = commented
                .map(|one| PlainSecret::new(one.field.to_owned(), one.span.line, &one.secret));
            let exposed = exposed_secrets(text).into_iter().map(PlainSecret::exposed);
            Some(Searched::Plain(plain.chain(commented).chain(exposed).collect()))
        }
        Err(YamlEditError::Sops) => None,
        Err(_) => Some(Searched::Invalid { names_credentials }),
    };
    Some((searched, secrets_named(text)))
}
