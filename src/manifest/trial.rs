//! What would be wrong if a file had another text.

use std::path::Path;
use std::sync::Arc;

use super::mask::mask;
use super::{
    Cache, LoadRequest, Project, checks, discover, entry, load_project, project, read_one,
    target_files,
};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile};
use crate::files;
use crate::yaml;

/// Whether secrets may be in plain text in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainSecrets {
    /// As the project says.
    AsUsual,
    /// They are meant to, for the moment.
    Allowed,
}

/// What is wrong with a text that is to be a file's: as the project file, as a file of its targets, as one of its manifests
/// together with the others, as another file of YAML, or nothing where it is none of these.
pub fn check(
    request: &LoadRequest,
    path: &Path,
    text: &str,
    plain_secrets: PlainSecrets,
) -> Diagnostics {
    let (mut project, _) = load_project(request);
    let is_here = |other: &Path| other == path || files::is_same(other, path);
    let source = Arc::new(SourceFile::new(path.to_owned(), text.to_owned(), mask));
    let problems = if project.file.as_deref().is_some_and(is_here) {
        check_project(request, path, text)
    } else if project.own_files().any(is_here) {
        let paths = project::Paths { folder: &request.folder, home: request.home.as_deref() };
        target_files::check(&source, &project, paths)
    } else {
        project.allow_plaintext |= plain_secrets == PlainSecrets::Allowed;
        let (manifests, _) = discover(request, &project);
        if manifests.iter().any(|manifest| is_here(manifest)) {
            let others = manifests.iter().filter(|manifest| !is_here(manifest));
            let others: Vec<&Path> = others.map(|manifest| manifest.as_path()).collect();
            as_manifest(&source, &others, &project)
        } else {
            let bare = path.with_extension("");
            let is_age = path.extension().is_some_and(|extension| extension == "age");
            let name = if is_age { bare.as_path() } else { path };
            as_yaml(&source, name)
        }
    };
    if plain_secrets == PlainSecrets::Allowed {
        problems.without(ProblemCode::PlainSecret)
    } else {
        problems
    }
}

/// What is wrong with a text that is to be the project file, where there is none yet.
pub fn check_project(request: &LoadRequest, path: &Path, text: &str) -> Diagnostics {
    let source = Arc::new(SourceFile::new(path.to_owned(), text.to_owned(), mask));
    let paths = project::Paths { folder: &request.folder, home: request.home.as_deref() };
    project::decode(&source, paths).1
}

fn as_manifest(source: &Arc<SourceFile>, others: &[&Path], project: &Project) -> Diagnostics {
    let decoded = entry::decode(source, project);
    let mut problems = Diagnostics::default();
    let domains = decoded.entries.iter().map(|entry| &entry.domain);
    problems.append(checks::check_known(domains.chain(&decoded.domains_of_broken), project));
    problems.append(decoded.problems);
    let mut entries = Vec::new();
    for other in others {
        let (_, decoded) = read_one(other, project, &Cache::default());
        entries.extend(decoded.entries.iter().cloned());
    }
    entries.extend(decoded.entries);
    let concerns =
        |problem: &Diagnostic| problem.spots().any(|spot| Arc::ptr_eq(&spot.file, source));
    problems.append(checks::together(&entries).only(concerns));
    problems
}

fn as_yaml(source: &Arc<SourceFile>, name: &Path) -> Diagnostics {
    let mut problems = Diagnostics::default();
    if discover::is_yaml(name) {
        for fault in yaml::parse(source.text()).faults {
            problems.push(fault.into_diagnostic(source));
        }
    }
    problems
}
