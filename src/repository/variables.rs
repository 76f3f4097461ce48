//! Variables that a project reads, with their values in files that Git tracks.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::PLAIN_FILE_HELP;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::git::{self, GitError, OtherProjects};
use crate::manifest::{Entry, Project, secret_values};
use crate::model::{PlainText, Visible, is_name};
use crate::secret::env::variable_of;

/// Files that Git tracks with the secret of a variable that the project reads.
pub(super) fn check(
    repositories: &[(&Path, &OtherProjects)],
    project: &Project,
    entries: &[Arc<Entry>],
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    if project.allow_plaintext {
        return Ok(());
    }
    let secrets = secret_values(project, entries)
        .filter(|secret| secret.field.plain_text != PlainText::Usual)
        .filter_map(|secret| variable_of(&secret.value.value));
    let names: BTreeSet<&str> = secrets.filter(|name| is_name(name)).collect();
    for (folder, others) in repositories {
        for (file, given) in git::variables(folder, others, &names)? {
            let given: Vec<_> = given.iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "{} has {} in plain text, and Git tracks it",
                file.visible(),
                given.join(", ")
            );
            let problem = Diagnostic::warning(ProblemCode::PlainFileInRepository, message);
            problems.push(problem.help(PLAIN_FILE_HELP));
        }
    }
    Ok(())
}
