//! Secrets in plain text in old versions of files.

use std::path::Path;
use std::sync::Arc;

use super::{folders, named_files};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::git::{self, OldContent, OldVersion};
use crate::manifest::{Entry, Project};
use crate::model::Visible;
use crate::secret::SecretResolver;

/// Secrets in plain text in old versions of the manifests, of files of targets, and of the files that secrets are read from.
pub fn check_history(
    folder: &Path,
    project: &Project,
    entries: &[Arc<Entry>],
    resolver: &SecretResolver,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let files = named_files(folder, project, entries, resolver);
    let repositories = match git::repositories(folders(folder, entries)) {
        // Git says why there is none.
        none if none.is_empty() => vec![folder],
        some => some,
    };
    for repository in repositories {
        let found = git::other_projects(repository).and_then(|others| {
            let mut found = git::plain_secrets(repository, &others, &files)?;
            found.append(&mut git::old_identities(repository, &others)?);
            Ok(found)
        });
        match found {
            Ok(found) => old_versions(found, &mut problems),
            Err(why) => {
                let message = format!("the history cannot be searched: {why}");
                problems.push(Diagnostic::error(ProblemCode::NoHistory, message).help(why.help()));
            }
        }
    }
    problems
}

fn old_versions(found: Vec<OldVersion>, problems: &mut Diagnostics) {
    for OldVersion { commit, file, content } in found {
        let file = file.visible();
        problems.push(match content {
            OldContent::Secret { line, field } => Diagnostic::warning(
                ProblemCode::PlainSecretInHistory,
                format!("`{field}` is in plain text in commit {commit}, {file}:{line}"),
            )
            .help("make a new one at the provider: whoever has the repository has this one"),
            OldContent::Exposed { line, field } => Diagnostic::warning(
                ProblemCode::PlainSecretInHistory,
                format!("`{field}` has a secret in plain text in commit {commit}, {file}:{line}"),
            )
            .help("replace it where it is from: whoever has the repository has this one"),
            OldContent::Name { line, field } => Diagnostic::warning(
                ProblemCode::PlainSecretInHistory,
                format!("what follows the tag of `{field}` in commit {commit}, {file}:{line} could be the secret itself"),
            )
            .help("if it is no name, make a new one at the provider: whoever has the repository has this one"),
            OldContent::PlainFile => Diagnostic::warning(
                ProblemCode::PlainSecretInHistory,
                format!("{file} is in plain text in commit {commit}"),
            )
            .help("replace the secrets at the providers, since everybody with the repository has them"),
            OldContent::Identity => Diagnostic::warning(
                ProblemCode::PlainSecretInHistory,
                format!("{file} contains an age identity in commit {commit}"),
            )
            .help("make a new one, encrypt to that, and replace the secrets at the providers: whoever has the repository can decrypt what was encrypted to it"),
            OldContent::Invalid => Diagnostic::warning(
                ProblemCode::UnreadableHistory,
                format!("{file} in commit {commit} is not valid YAML, and was not searched"),
            )
            .help("look at it with `git show COMMIT:FILE`"),
        });
    }
}
