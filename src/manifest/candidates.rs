//! Whether texts that a program made would do as manifests, before they are written.

use std::path::PathBuf;
use std::sync::Arc;

use super::mask::mask;
use super::{Entry, Project, checks, entry};
use crate::diagnostic::{Diagnostic, Severity, SourceFile, Spot};

/// The entries of each of these manifests, as they are read beside the entries that there are, or the
/// first error in it. Of two that exclude each other the first is right.
pub fn try_out(
    texts: &[String],
    others: &[Arc<Entry>],
    project: &Project,
) -> Vec<Result<Vec<Arc<Entry>>, Diagnostic>> {
    let mut tried = Vec::with_capacity(texts.len());
    let mut files = Vec::with_capacity(texts.len());
    let mut entries = others.to_vec();
    for text in texts {
        let file = Arc::new(SourceFile::new(PathBuf::from("new.yaml"), text.as_str(), mask));
        let decoded = entry::decode(&file, project);
        let domains = decoded.entries.iter().map(|entry| &entry.domain);
        let mut problems = decoded.problems;
        problems.append(checks::check_known(domains, project));
        let error = problems.sorted().into_iter().find(|one| one.severity == Severity::Error);
        tried.push(match error.cloned() {
            Some(error) => Err(error),
            None => {
                entries.extend(decoded.entries.iter().cloned());
                Ok(decoded.entries)
            }
        });
        files.push(file);
    }
    let problems = checks::together(&entries);
    for problem in problems.sorted().into_iter().filter(|one| one.severity == Severity::Error) {
        let at = |spot: &Spot| files.iter().position(|file| Arc::ptr_eq(file, &spot.file));
        if let Some(at) = problem.spots().filter_map(at).max()
            && tried[at].is_ok()
        {
            tried[at] = Err(problem.clone());
        }
    }
    tried
}
