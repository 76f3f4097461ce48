//! Manifests and the project file: what people wrote, each value with its place.
//!
//! Every problem of every file is found in one run. A secret that is not in plain text stays
//! a [`Reference`](crate::model::Reference) until `secret` resolves it.

mod cache;
mod candidates;
mod checks;
mod comments;
mod decode;
mod deserialize;
mod discover;
mod entry;
mod file;
mod in_clear;
mod integration;
mod kept;
mod lifetime;
mod mask;
mod mistyped;
mod notify;
mod owner;
mod plain_text;
mod programs;
mod project;
mod project_folder;
mod reference;
mod rollout;
pub mod schema;
mod secret_values;
mod shown;
mod sources;
mod strays;
mod tags;
mod target;
mod target_files;
mod targets;
#[cfg(test)]
mod tests;
mod trial;
mod windows;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use crate::diagnostic::Located;
pub use cache::Cache;
pub use candidates::try_out;
pub use checks::{check_domains, check_known, check_loaded, check_names};
pub use entry::Entry;
pub use in_clear::{SecretFinder, check_in_clear};
pub use lifetime::check_lifetimes;
pub use mask::mask;
pub use notify::{Notify, WebhookSetting};
pub use owner::project_name;
pub use project::{AgeConfig, Project};
pub use project_folder::{misnamed_project, project_folder};
pub use secret_values::{SecretValue, secret_values};
pub use targets::{AskedLabels, Targets};
pub use trial::{PlainSecrets, check, check_project};

use crate::cores;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile};
use crate::files::Stamp;
use crate::model::{Completeness, Domain, Owner, PROJECT_FILE, Visible};
use discover::Discovered;
use entry::Decoded;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The project's folder. Files are named as they are reached from it.
    pub folder: PathBuf,
    /// The home folder, for `~`.
    pub home: Option<PathBuf>,
    /// The owner of a project that names none; that of its folder where there is none.
    pub owner: Option<Owner>,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The project; its defaults where there is no project file.
    pub project: Project,
    /// The manifests that were found.
    pub manifests: Vec<PathBuf>,
    /// The entries of all manifests that could be understood, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The project file, the files of targets and the manifests that could be read.
    pub files: Vec<Arc<SourceFile>>,
    /// The integrations of entries that could not be understood otherwise.
    pub domains_of_broken: Vec<Located<Domain>>,
    /// The manifests and folders of manifests that are empty without saying so.
    pub emptied: BTreeSet<PathBuf>,
    /// Whether a manifest that is not read has errors, so that it may have any entry.
    pub is_unclear: bool,
    /// What is wrong with the project file.
    pub project_problems: Diagnostics,
    /// What is wrong, that included. While there is an error, an entry may be missing.
    pub problems: Diagnostics,
}

/// The manifests of a project, in order, unread.
pub fn discover(request: &LoadRequest, project: &Project) -> (Vec<PathBuf>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let found = discover::discover(folder, project, &mut problems);
    (found.manifests, problems)
}

/// The project file and where targets and manifests are looked for, from the project's folder.
pub fn places(project: &Project) -> Vec<PathBuf> {
    let own = PathBuf::from(PROJECT_FILE);
    let of_targets = project.target_places.iter().cloned();
    std::iter::once(own).chain(of_targets).chain(discover::places(project)).collect()
}

/// Whether a file of this path is a manifest of the project, or would be one if it were written.
pub fn is_manifest(request: &LoadRequest, project: &Project, path: &Path) -> bool {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    discover::would_find(folder, &discover::places(project), path)
}

/// Whether a file of this path would be read as a manifest, the project file or a file of targets.
pub fn would_read(request: &LoadRequest, project: &Project, path: &Path) -> bool {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    discover::would_find(folder, &places(project), path)
}

/// The entries of one manifest's text, and what is wrong with it, without the checks over all
/// manifests.
pub fn entries(path: &Path, text: &str, project: &Project) -> (Vec<Arc<Entry>>, Diagnostics) {
    let file = Arc::new(SourceFile::new(path.to_owned(), text.to_owned(), mask));
    let decoded = entry::decode(&file, project);
    (decoded.entries, decoded.problems)
}

impl Loaded {
    /// Whether the entries are all that the manifests hold.
    pub fn completeness(&self) -> Completeness {
        if self.problems.has_errors() || self.is_unclear {
            Completeness::Partial
        } else if self.emptied.is_empty() {
            Completeness::Whole
        } else {
            Completeness::Emptied(self.emptied.clone())
        }
    }

    /// The integrations of all entries, at their places.
    pub fn domains(&self) -> impl Iterator<Item = &Located<Domain>> {
        self.entries.iter().map(|entry| &entry.domain).chain(&self.domains_of_broken)
    }
}

/// Reads the project file alone.
pub fn load_project(request: &LoadRequest) -> (Project, Diagnostics) {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let mut problems = Diagnostics::default();
    let (project, _) = read_project(folder, request, &mut problems);
    (project, problems)
}

/// Reads the project file and all manifests.
pub fn load(request: &LoadRequest) -> Loaded {
    // Nothing is known before, so the time does not matter.
    load_again(request, &mut Cache::default(), Timestamp::UNIX_EPOCH)
}

/// The same, but of the manifests only what has changed since `cache` was filled. An entry of a file
/// that was not read again is the same [`Arc`].
pub fn load_again(request: &LoadRequest, cache: &mut Cache, now: Timestamp) -> Loaded {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let mut problems = Diagnostics::default();
    let (mut project, file) = read_project(folder, request, &mut problems);
    let mut files: Vec<_> = file.into_iter().chain(project.target_files.iter().cloned()).collect();
    cache.renew(&files);
    let project_problems = problems.clone();
    let Discovered { manifests, mut emptied, passed_over } =
        discover::discover(folder, &project, &mut problems);
    let read = read_all(&manifests, &project, cache);
    let found = manifests.iter().zip(&read);
    cache.keep(found.map(|(path, (stamp, decoded))| (path, *stamp, decoded)), now);
    let mut entries = Vec::new();
    let mut domains_of_broken = Vec::new();
    for (path, (_, decoded)) in manifests.iter().zip(&read) {
        if decoded.is_emptied {
            emptied.insert(path.clone());
        }
        files.extend(decoded.file.iter().cloned());
        entries.extend(decoded.entries.iter().cloned());
        domains_of_broken.extend(decoded.domains_of_broken.iter().cloned());
        problems.append(decoded.problems.clone());
    }
    problems.append(checks::together(&entries));
    project.keep_entries(&entries);
    let mut is_unclear = false;
    if !problems.has_errors() {
        let declared = entries.iter().flat_map(|entry| entry.keys()).collect();
        let found = strays::strays(folder, &project, &declared, passed_over, &mut problems);
        is_unclear = found.is_unclear;
        (project.not_read, project.set_aside) = (found.not_read, found.set_aside);
    }
    problems.append(mistyped::check_labels(&project));
    problems.append(project.check_forgotten(&entries));
    Loaded {
        project,
        manifests,
        entries,
        files,
        domains_of_broken,
        emptied,
        is_unclear,
        project_problems,
        problems,
    }
}

/// The project, as its file says, or as it is without one.
fn read_project(
    folder: &Path,
    request: &LoadRequest,
    problems: &mut Diagnostics,
) -> (Project, Option<Arc<SourceFile>>) {
    let (mut project, file) = read_project_file(folder, request.home.as_deref(), problems);
    if !project.names_owner {
        // Before, every such project had the same owner.
        project.previous_owners.insert(std::mem::take(&mut project.owner));
        project.owner = request.owner.clone().unwrap_or_else(|| owner::derived_owner(folder));
    }
    (project, file)
}

fn read_project_file(
    folder: &Path,
    home: Option<&Path>,
    problems: &mut Diagnostics,
) -> (Project, Option<Arc<SourceFile>>) {
    let path = folder.join(PROJECT_FILE);
    if path.symlink_metadata().is_err() {
        if let Some(misnamed) = misnamed_project(folder) {
            let message = format!("`{}` is not read", misnamed.visible());
            problems.push(
                Diagnostic::error(ProblemCode::MisnamedProject, message)
                    .help("name it `appcred.yaml`"),
            );
        }
        return (Project::default(), None);
    }
    match file::read(&path) {
        Ok(file) => {
            let (project, wrong) = project::decode(&file, project::Paths { folder, home });
            problems.append(wrong);
            (project, Some(file))
        }
        Err(problem) => {
            problems.push(*problem);
            (Project { file: Some(path), ..Project::unread() }, None)
        }
    }
}

/// A file as it was when it was read, and what it holds.
type StampedManifest = (Option<Stamp>, Arc<Decoded>);

/// Reads files on all cores; what comes back is in their order.
fn read_all(paths: &[PathBuf], project: &Project, cache: &Cache) -> Vec<StampedManifest> {
    cores::map(paths, |path| read_one(path, project, cache))
}

fn read_one(path: &Path, project: &Project, cache: &Cache) -> StampedManifest {
    // Taken before reading: what changes in between has another stamp the next time.
    let stamp = Stamp::of(path);
    if let Some(known) = cache.get(path, stamp) {
        return (stamp, known);
    }
    let decoded = match file::read(path) {
        Ok(file) => entry::decode(&file, project),
        Err(problem) => {
            let mut decoded = Decoded::default();
            decoded.problems.push(*problem);
            decoded
        }
    };
    (stamp, Arc::new(decoded))
}
