//! Whether texts that a program made would do as manifests, before they are written.

use std::path::PathBuf;
use std::sync::Arc;

use super::mask::mask;
use super::{Entry, Project, checks, entry};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile, Spot};
use crate::integrations;

/// What is wrong with each of these manifests beside the entries that there are; the first error, none
/// where there is none. Of two that exclude each other the first is right.
pub fn refusals(
    texts: &[String],
    others: &[Arc<Entry>],
    project: &Project,
) -> Vec<Option<Diagnostic>> {
    let mut refused: Vec<Option<Diagnostic>> = vec![None; texts.len()];
    let mut files = Vec::with_capacity(texts.len());
    let mut entries = others.to_vec();
    for (text, refused) in texts.iter().zip(&mut refused) {
        let file = Arc::new(SourceFile::new(PathBuf::from("new.yaml"), text.as_str(), mask));
        let decoded = entry::decode(&file, project);
        let domains = decoded.entries.iter().map(|entry| &entry.domain);
        let (known, custom) = (integrations::known(), &project.policy.custom_integrations);
        let mut problems = decoded.problems;
        problems.append(checks::check_domains(domains, known, custom, "appcred"));
        *refused = problems
            .sorted()
            .into_iter()
            .find(|problem| problem.severity == Severity::Error)
            .cloned();
        if refused.is_none() {
            entries.extend(decoded.entries);
        }
        files.push(file);
    }
    let mut together = Diagnostics::default();
    for check in checks::CHECKS {
        check(&entries, &mut together);
    }
    for problem in together.sorted() {
        let spots = problem.spot.iter().chain(problem.related.iter().map(|(spot, _)| spot));
        let at = |spot: &Spot| files.iter().position(|file| Arc::ptr_eq(file, &spot.file));
        if let Some(at) = spots.filter_map(at).max() {
            refused[at].get_or_insert_with(|| problem.clone());
        }
    }
    refused
}
