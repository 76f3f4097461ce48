//! Files that list entries and are not read: most likely manifests that were moved or renamed by a slip.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::discover::{entries_of, is_other, is_yaml, lists_entries, would_find};
use super::{Project, entry, file};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::files;
use crate::model::{Key, PROJECT_FILE, Visible};
use crate::suggest::nearest;

/// Whether a file of this name may have been meant as a manifest. `.disabled`, `.bak`, `~` and the like say that it was not.
fn may_be_meant(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let stem = Path::new(name.strip_suffix(".txt").unwrap_or(&name));
    let end = stem.extension().map(|end| end.to_string_lossy());
    !is_other(&name)
        && !name.ends_with('~')
        && end.is_none_or(|end| nearest(&end, ["yaml", "yml", "json"]).is_some())
}

/// The files in a folder that list entries, by their names and as far as can be seen without reading them as YAML.
fn listing(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let inside = entries_of(folder).unwrap_or_default().into_iter().map(|(path, _)| path);
    inside.filter(|path| may_be_meant(path) && path.is_file() && lists_entries(path))
}

/// Files beside the manifests, and in the folders beside them, that list entries and are not read. Folders of
/// other projects are passed over.
fn beside(folder: &Path, project: &Project) -> Vec<PathBuf> {
    let is_of_other = |path: &Path| path.join(PROJECT_FILE).exists() || path.join(".git").exists();
    let inner = entries_of(files::folder(folder)).unwrap_or_default().into_iter();
    let inner = inner.map(|(path, _)| path.strip_prefix(".").unwrap_or(&path).to_owned());
    let inner = inner.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !is_other(&name) && path.is_dir() && !is_of_other(path)
    });
    let folders = std::iter::once(files::folder(folder).to_owned()).chain(inner);
    let found = folders.flat_map(|folder| listing(&folder).collect::<Vec<_>>());
    let found = found.map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
    found.filter(|path| !would_find(folder, project, path)).collect()
}

/// The keys of entries in files that are not read, each with its file, where no manifest has such an entry; and says
/// so. `passed_over` are files in the folders of the manifests.
pub(super) fn keys_not_read(
    folder: &Path,
    project: &Project,
    declared: &BTreeSet<&Key>,
    passed_over: Vec<PathBuf>,
    problems: &mut Diagnostics,
) -> BTreeMap<Key, PathBuf> {
    let mut keys = BTreeMap::new();
    let mut tolerant = project.clone();
    (tolerant.allow_plaintext, tolerant.allow_placeholders) = (true, true);
    let inside = passed_over.into_iter().filter(|path| may_be_meant(path));
    let files: BTreeSet<PathBuf> = inside.chain(beside(folder, project)).collect();
    for path in files {
        let Ok(source) = file::read(&path) else { continue };
        let entries = entry::decode(&source, &tolerant).entries;
        let is_new = |key: &&Key| !declared.contains(key);
        let found: Vec<Key> =
            entries.iter().map(|entry| &entry.key.value).filter(is_new).cloned().collect();
        let Some(first) = found.first() else { continue };
        let message = format!(
            "`{}` lists the entry `{first}`, which no manifest has, and is not read",
            path.visible()
        );
        let how = match is_yaml(&path) {
            true => "name it under `manifests` in appcred.yaml or move it to the manifests",
            false => "let its name end with `.yaml`",
        };
        problems.push(Diagnostic::warning(ProblemCode::NotAManifest, message).help(format!(
            "{how}; if it is meant not to be read, add `.disabled` to its name: until then nothing that it lists is deleted"
        )));
        keys.extend(found.into_iter().map(|key| (key, path.clone())));
    }
    keys
}
