//! What is wrong with the secrets of a project, as far as they can be read without asking anybody.

use super::resolve;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::manifest::{Loaded, SecretValue, check_in_clear, secret_values};
use crate::model::{PlainText, Reference};
use crate::secret::{self, SecretResolver};

/// Reports what would be wrong wherever the secrets can be read. What cannot be read here is skipped.
pub fn check_secrets(loaded: &Loaded, resolver: &SecretResolver) -> Diagnostics {
    let mut problems = resolve(loaded, resolver).wrong;
    let mut known = Vec::new();
    for SecretValue { field, value } in secret_values(&loaded.project, &[]) {
        if matches!(value.value, Reference::Plain(_)) {
            continue;
        }
        match secret::read_document(&value.value, resolver) {
            Ok(secret) if field.plain_text != PlainText::Usual => known.push((&value.spot, secret)),
            Ok(_) => {}
            Err(why) if why.is_lacking() => {}
            Err(why) => {
                let message = format!("cannot read this {}: {why}", field.noun());
                let problem = Diagnostic::error(ProblemCode::UnreadableSecret, message);
                problems.push(problem.at(&value.spot.file, value.spot.span).help(why.help()));
            }
        }
    }
    if !loaded.project.allow_plaintext {
        let known = known.iter().map(|(spot, secret)| (Some(*spot), secret));
        problems.append(check_in_clear(&loaded.files, known));
    }
    problems
}
