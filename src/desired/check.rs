//! What is wrong with the secrets of a project, as far as they can be read without asking anybody.

use std::sync::Arc;

use super::{resolve, same_texts};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, Severity, SourceFile};
use crate::manifest::{Entry, Loaded, Project, SecretValue, check_in_clear, secret_values};
use crate::model::{PlainText, Reference, Secret, TOKEN};
use crate::secret::{self, SecretResolver, token};

/// What another file could solve, and is worth a warning all the same: a name may be mistyped; a file that is locked
/// may be so on purpose, as in CI, where nothing is decrypted.
pub(super) const SUSPECT: &[ProblemCode] = &[
    ProblemCode::GitCrypt,
    ProblemCode::LfsPointer,
    ProblemCode::AnnexPointer,
    ProblemCode::MissingSecret,
];

/// Reports what would be wrong wherever the secrets can be read. What cannot be read here is skipped.
pub fn check_secrets(loaded: &Loaded, resolver: &SecretResolver) -> Diagnostics {
    let resolved = resolve(loaded, resolver);
    let mut problems = resolved.wrong;
    let mut known = Vec::new();
    for SecretValue { field, value } in secret_values(&loaded.project, &[]) {
        if matches!(value.value, Reference::Plain(_)) {
            continue;
        }
        let read = secret::read_document(&value.value, resolver);
        if let (true, Ok(secret)) = (field == TOKEN, &read) {
            check_token(value, secret).into_iter().for_each(|problem| problems.push(problem));
        }
        match read {
            Ok(secret) if field.plain_text != PlainText::Usual => known.push((&value.spot, secret)),
            Ok(_) => {}
            Err(why) if why.is_lacking() && !SUSPECT.contains(&why.code()) => {}
            Err(why) => {
                let message = format!("cannot read this {}: {why}", field.noun());
                let problem = Diagnostic::error(why.code(), message);
                let problem = problem.at(&value.spot.file, value.spot.span).help(why.help());
                let severity = if why.is_lacking() { Severity::Warning } else { problem.severity };
                problems.push(Diagnostic { severity, ..problem });
            }
        }
    }
    if !loaded.project.allow_plaintext {
        let known = known.iter().map(|(spot, secret)| (Some(*spot), secret));
        problems.append(check_in_clear(&loaded.files, known));
    }
    problems
}

/// Why the access token of a target is most likely refused.
fn check_token(value: &Located<Reference>, secret: &Secret) -> Option<Diagnostic> {
    let why = token::doubt(&token::from_text(secret.expose()))?;
    let problem = Diagnostic::warning(ProblemCode::UnfitValue, format!("this token {why}"));
    let help = "write a long-lived access token that an administrator has made in Home Assistant (profile, Long-lived access tokens)";
    Some(problem.at(&value.spot.file, value.spot.span).help(help))
}

/// Reports what would be wrong with the client that an entry gets, in a project with these files.
pub fn check_client(
    project: &Project,
    files: &[Arc<SourceFile>],
    entry: &Entry,
    client_id: &Secret,
    client_secret: &Secret,
) -> Diagnostics {
    if client_id == client_secret && !project.allow_placeholders {
        return same_texts(entry).problems;
    }
    // Some providers issue one text for both.
    if project.allow_plaintext || client_id == client_secret {
        return Diagnostics::default();
    }
    let found = check_in_clear(files, [(None, client_secret)]);
    let place = found.sorted().first().and_then(|found| Some(found.spot.as_ref()?.place()));
    let mut problems = Diagnostics::default();
    if let Some(place) = place {
        let message = format!("the client secret is in plain text as well ({place})");
        problems.push(Diagnostic::error(ProblemCode::PlainSecret, message).help("remove it there"));
    }
    problems
}
