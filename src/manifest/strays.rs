//! Files that list entries and are not read: most likely manifests that were moved or renamed by a slip.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::discover::{entries_of, is_other, is_yaml, places, would_find};
use super::mask::mask;
use super::{Project, entry};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile};
use crate::files::{self, TEXT_LIMIT};
use crate::model::{CLIENT_SECRET, Key, PROJECT_FILE, Place, Visible};
use crate::suggest::nearest;

/// What the name of a backup or a template ends with.
const SET_ASIDE: &[&str] =
    &["bak", "orig", "old", "save", "copy", "tmp", "off", "dist", "tmpl", "tpl", "j2"];
/// A word in the name of what shows others how to write one.
const EXAMPLE: &[&str] = &["example", "examples", "sample", "samples", "template", "templates"];

/// So deep in the project's folder is looked.
const DEPTH: usize = 2;

/// What is in files that are not read.
#[derive(Default)]
pub(super) struct Strays {
    /// The keys of entries that no manifest has, each with its file.
    pub(super) not_read: BTreeMap<Key, PathBuf>,
    /// The same in backups, which are meant not to be read.
    pub(super) set_aside: BTreeMap<Key, Place>,
    /// Whether one has errors, so that it may have any entry.
    pub(super) is_unclear: bool,
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".txt").unwrap_or(&name).to_owned()
}

fn end_of(name: &str) -> Option<&str> {
    Path::new(name).extension()?.to_str()
}

/// Whether a name says that this is no manifest, or is not to be read.
fn is_disabled(path: &Path) -> bool {
    let name = name_of(path);
    is_other(&name) || end_of(&name) == Some("disabled") || name == "configuration.yaml"
}

fn is_set_aside(name: &str) -> bool {
    let is_example = name.split(['.', '-', '_']).any(|word| EXAMPLE.contains(&word));
    name.ends_with('~') || is_example || end_of(name).is_some_and(|end| SET_ASIDE.contains(&end))
}

/// Whether a name is almost that of a manifest.
fn is_named_so(name: &str) -> bool {
    let is_near = |end: &str| nearest(end, ["yaml", "yml", "json"]).is_some();
    name.contains(".yaml") || name.contains(".yml") || end_of(name).is_none_or(is_near)
}

/// The text of a file, in whatever encoding an editor has saved it.
fn text_of(path: &Path) -> Option<Zeroizing<String>> {
    let bytes = files::read_unchecked(path, TEXT_LIMIT).ok()?;
    let utf8 = || Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    let text = files::from_utf16(&bytes).unwrap_or_else(utf8);
    Some(match text.strip_prefix('\u{feff}') {
        Some(rest) => Zeroizing::new(rest.to_owned()),
        None => text,
    })
}

fn begins_list(line: &str) -> bool {
    let rest = line.trim_start_matches(['{', ' ']).trim_start_matches('"');
    let rest = rest.strip_prefix(CLIENT_SECRET.section).map(|rest| rest.trim_start_matches('"'));
    rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
}

/// Whether a text is one of a manifest, even where it is no YAML. What is indented may be part of something else.
fn is_plainly_manifest(text: &str) -> bool {
    let begins_entry = |line: &str| {
        let rest = line.trim_start();
        let item = rest.strip_prefix('-').filter(|_| line.len() - rest.len() <= 2);
        item.is_some_and(|item| item.trim_start_matches([' ', '{']).starts_with("domain:"))
    };
    let begins = |line: &str| !line.starts_with(' ') && begins_list(line) || begins_entry(line);
    text.contains("client_id") && text.lines().any(begins)
}

/// Whether a file has a list of entries, as far as can be seen without reading it as YAML.
pub(super) fn lists_entries(path: &Path) -> bool {
    // What cannot be read is no manifest that somebody has renamed.
    text_of(path).is_some_and(|text| text.lines().any(begins_list))
}

/// The same, or what is left of such a list.
pub(super) fn may_list_entries(path: &Path) -> bool {
    text_of(path).is_some_and(|text| text.lines().any(begins_list) || is_plainly_manifest(&text))
}

/// The files in a folder that may be manifests by their names, and list entries.
fn listing(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let inside = entries_of(folder).unwrap_or_default().into_iter().map(|(path, _)| path);
    let is_named = |path: &Path| {
        let name = name_of(path);
        is_named_so(&name) || is_set_aside(&name) || end_of(&name) == Some("md")
    };
    inside.filter(move |path| {
        is_named(path) && !is_disabled(path) && path.is_file() && may_list_entries(path)
    })
}

/// The folders in one, but those of Git, of Home Assistant's own store and of other projects.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let is_of_other = |path: &Path| path.join(PROJECT_FILE).exists() || path.join(".git").exists();
    let inside = entries_of(folder).unwrap_or_default().into_iter().map(|(path, _)| path);
    let is_meant = |path: &PathBuf| {
        let name = name_of(path);
        ![".git", ".storage"].contains(&&*name) && end_of(&name) != Some("disabled")
    };
    inside.filter(is_meant).filter(|path| path.is_dir() && !is_of_other(path)).collect()
}

/// Files beside the manifests, and in the folders beside them, that list entries and are not read. Hidden folders
/// are looked into, but not those in them: they may be of any program.
fn beside(folder: &Path, project: &Project) -> Vec<PathBuf> {
    let mut folders = vec![files::folder(folder).to_owned()];
    let mut last = folders.clone();
    for _ in 0..DEPTH {
        last.retain(|path| path == files::folder(folder) || !name_of(path).starts_with('.'));
        last = last.iter().flat_map(|folder| folders_in(folder)).collect();
        folders.extend(last.iter().cloned());
    }
    let found = folders.iter().flat_map(|folder| listing(folder));
    let found = found.map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
    let places = places(project);
    found.filter(|path| !would_find(folder, &places, path)).collect()
}

/// Looks for entries in files that are not read where no manifest has such an entry, and says so. `passed_over` are
/// files in the folders of the manifests.
pub(super) fn strays(
    folder: &Path,
    project: &Project,
    declared: &BTreeSet<&Key>,
    passed_over: Vec<PathBuf>,
    problems: &mut Diagnostics,
) -> Strays {
    let mut strays = Strays::default();
    let mut tolerant = project.clone();
    (tolerant.allow_plaintext, tolerant.allow_placeholders) = (true, true);
    let inside = passed_over.into_iter().filter(|path| !is_disabled(path));
    let files: BTreeSet<PathBuf> = inside.chain(beside(folder, project)).collect();
    for path in files {
        let Some(text) = text_of(&path) else { continue };
        let file = Arc::new(SourceFile::new(path.clone(), text.to_string(), mask));
        let decoded = entry::decode(&file, &tolerant);
        let found = decoded.entries.iter().filter(|entry| !declared.contains(&entry.key.value));
        let found = found.map(|entry| (entry.key.value.clone(), entry.place.clone()));
        let found: Vec<(Key, Place)> = found.collect();
        let name = name_of(&path);
        if is_set_aside(&name) {
            strays.set_aside.extend(found);
            continue;
        }
        let has_errors = decoded.problems.has_errors();
        let is_unclear = has_errors && is_named_so(&name) && is_plainly_manifest(&text);
        strays.is_unclear |= is_unclear;
        let first = found.first().map(|(key, _)| key);
        if let Some(what) = what_is_wrong(first, is_unclear) {
            problems.push(not_read(&path, &what, is_unclear));
        }
        strays.not_read.extend(found.into_iter().map(|(key, _)| (key, path.clone())));
    }
    strays
}

fn what_is_wrong(first: Option<&Key>, is_unclear: bool) -> Option<String> {
    if is_unclear {
        return Some("is a manifest with errors, so that its entries are not known".into());
    }
    first.map(|key| format!("lists the entry `{key}`, which no manifest has"))
}

fn not_read(path: &Path, what: &str, is_unclear: bool) -> Diagnostic {
    let message = format!("`{}` {what}, and is not read", path.visible());
    let how = match is_yaml(path) {
        true => "name it under `manifests` in appcred.yaml or move it to the manifests",
        false => "let its name end with `.yaml`",
    };
    let kept = if is_unclear { "nothing" } else { "nothing that it lists" };
    Diagnostic::warning(ProblemCode::NotAManifest, message).help(format!(
        "{how}; if it is meant not to be read, add `.disabled` to its name: until then {kept} is deleted"
    ))
}
