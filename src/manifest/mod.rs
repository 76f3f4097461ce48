//! Manifests and the project file: what people wrote, each value with its place.
//!
//! Every problem of every file is found in one run. Nothing here knows a secret that is not written
//! in clear: it is a [`Reference`](crate::model::Reference) until `secret` reads it.

mod address;
mod checks;
mod discover;
mod entry;
mod fields;
mod file;
mod integration;
mod mask;
mod nearest;
mod project;
mod reference;
pub mod schema;
mod shown;
mod targets;
#[cfg(test)]
mod tests;
mod token;
mod trial;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub use checks::check_domains;
pub use entry::Entry;
pub use fields::Located;
pub use mask::mask;
pub use project::{Age, Project, Target};
pub use targets::Targets;
pub use token::{Command, Token};
pub use trial::{InClear, check};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Domain, Key};
use entry::Decoded;

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The project's folder. Files are named as they are reached from it.
    pub folder: PathBuf,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The project; its defaults where there is no project file.
    pub project: Project,
    /// The manifests that were found.
    pub manifests: Vec<PathBuf>,
    /// The entries of all manifests that could be understood, in order.
    pub entries: Vec<Entry>,
    /// The integrations of entries that could not be understood otherwise.
    pub domains_of_broken: Vec<Located<Domain>>,
    /// What is wrong. While there is an error, an entry may be missing.
    pub problems: Diagnostics,
}

/// The manifests of a project, in order, unread.
pub fn discover(request: &Request, project: &Project) -> (Vec<PathBuf>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let found = discover::discover(folder, project, &mut problems);
    (found, problems)
}

/// The key of an entry that has this name and no key of its own.
pub fn key_of(name: &str) -> Option<Key> {
    Key::new(&slug::slugify(name))
}

impl Loaded {
    /// The integrations of all entries, at their places.
    pub fn domains(&self) -> impl Iterator<Item = &Located<Domain>> {
        self.entries.iter().map(|entry| &entry.domain).chain(&self.domains_of_broken)
    }
}

/// Reads the project file alone.
pub fn load_project(request: &Request) -> (Project, Diagnostics) {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let mut problems = Diagnostics::default();
    let project = read_project(folder, request.home.as_deref(), &mut problems);
    (project, problems)
}

/// Reads the project file and all manifests.
pub fn load(request: &Request) -> Loaded {
    let folder = request.folder.strip_prefix(".").unwrap_or(&request.folder);
    let mut problems = Diagnostics::default();
    let project = read_project(folder, request.home.as_deref(), &mut problems);
    let manifests = discover::discover(folder, &project, &mut problems);
    let mut entries = Vec::new();
    let mut domains_of_broken = Vec::new();
    for decoded in read_all(&manifests, &project) {
        entries.extend(decoded.entries);
        domains_of_broken.extend(decoded.domains_of_broken);
        problems.append(decoded.problems);
    }
    for check in checks::CHECKS {
        check(&entries, &mut problems);
    }
    Loaded { project, manifests, entries, domains_of_broken, problems }
}

fn read_project(folder: &Path, home: Option<&Path>, problems: &mut Diagnostics) -> Project {
    let path = folder.join(discover::PROJECT_FILE);
    if path.symlink_metadata().is_err() {
        let misnamed = folder.join("appcred.yml");
        if misnamed.exists() {
            let message = format!("`{}` is not read", misnamed.display());
            problems.push(
                Diagnostic::error("misnamed-project", message).help("name it `appcred.yaml`"),
            );
        }
        return Project::default();
    }
    match file::read(&path) {
        Ok(file) => {
            let (project, wrong) = project::decode(&file, project::Paths { folder, home });
            problems.append(wrong);
            project
        }
        Err(problem) => {
            problems.push(*problem);
            Project::broken()
        }
    }
}

/// Reads files side by side; what comes back is in their order.
fn read_all(paths: &[PathBuf], project: &Project) -> Vec<Decoded> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(paths.len());
    if workers <= 1 {
        return paths.iter().map(|path| read_one(path, project)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { return done };
            done.push((at, read_one(path, project)));
        }
    };
    let mut all: Vec<(usize, Decoded)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, decoded)| decoded).collect()
}

fn read_one(path: &Path, project: &Project) -> Decoded {
    match file::read(path) {
        Ok(file) => entry::decode(&file, project),
        Err(problem) => {
            let mut decoded = Decoded::default();
            decoded.problems.push(*problem);
            decoded
        }
    }
}
