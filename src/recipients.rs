//! Whether what is encrypted in a project is so to the project's recipients.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Spot};
use crate::files::{self, TEXT_LIMIT};
use crate::manifest::{Entry, Located, Project, SecretValue, secret_values};
use crate::model::{Reference, counted};
use crate::secret::seal::shown;
use crate::secret::{
    RecipientMismatch, SecretResolver, file_mismatch, files_of, is_changed_by_sops_alone,
    sops_mismatch,
};

const REKEY: &str =
    "`appcred rekey` encrypts it again to those under `age: recipients:` in appcred.yaml";
/// What changes the recipients of a document that is not written here.
pub const UPDATE_KEYS: &str =
    "name the project's recipients in .sops.yaml, and run `sops updatekeys FILE`";

/// Warns of each secret, and each file that entries name, which some of the project's recipients certainly cannot decrypt, or which others
/// can. What cannot be determined is skipped.
pub fn check(project: &Project, entries: &[Arc<Entry>], resolver: &SecretResolver) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let recipients = &project.age.recipients;
    if project.age.lacks_recipients {
        return problems;
    }
    let mut seen = BTreeSet::new();
    for SecretValue { field, value: Located { value, spot } } in secret_values(project, entries) {
        let field = field.noun();
        let found = match value {
            Reference::Age(armored) => file_mismatch(armored.as_bytes(), recipients, resolver)
                .map(|mismatch| (mismatch, field.to_owned(), REKEY)),
            // All of a document has the same recipients.
            Reference::Sops { document, .. }
                if !recipients.is_empty() && seen.insert(spot.file.path().to_owned()) =>
            {
                sops_mismatch(document, recipients).map(|mismatch| {
                    (mismatch, "SOPS document".to_owned(), rekeyed_by(spot.file.text()))
                })
            }
            _ => None,
        };
        if let Some((mismatch, what, help)) = found {
            problems.push(report(&mismatch, &what, spot).help(help));
        }
        for file in files_of(value, resolver) {
            if recipients.is_empty() || !seen.insert(file.clone()) {
                continue;
            }
            // What cannot be read is reported by its reader.
            let Ok(bytes) = files::read(&file, TEXT_LIMIT) else { continue };
            if let Some(mismatch) = file_mismatch(&bytes, recipients, resolver) {
                let what = format!("file `{}`", resolver.shown(&file));
                let help = std::str::from_utf8(&bytes).map_or(REKEY, rekeyed_by);
                problems.push(report(&mismatch, &what, spot).help(help));
            }
        }
    }
    problems
}

/// What encrypts a file again to the project's recipients.
fn rekeyed_by(text: &str) -> &'static str {
    if is_changed_by_sops_alone(text) { UPDATE_KEYS } else { REKEY }
}

fn report(mismatch: &RecipientMismatch, what: &str, spot: &Spot) -> Diagnostic {
    let (code, message) = match mismatch {
        RecipientMismatch::NoRecipient => (
            ProblemCode::NotToRecipients,
            format!("this {what} is not encrypted to any of the project's recipients"),
        ),
        RecipientMismatch::Missing(all) => {
            let all: Vec<_> = all.iter().map(|recipient| shown(recipient)).collect();
            (
                ProblemCode::NotToAllRecipients,
                format!("this {what} is not encrypted to {}", all.join(", ")),
            )
        }
        RecipientMismatch::Strangers(all) => {
            let all: Vec<_> = all.iter().map(|recipient| shown(recipient)).collect();
            let message = format!(
                "this {what} is also encrypted to {}, and the project does not have that recipient",
                all.join(", ")
            );
            (ProblemCode::ToStrangers, message)
        }
        RecipientMismatch::TooFew { stanzas, recipients } => (
            ProblemCode::NotToAllRecipients,
            format!(
                "this {what} is encrypted to {}, and the project has {recipients}: not all of them can decrypt it",
                of_age(*stanzas)
            ),
        ),
        RecipientMismatch::Others => (
            ProblemCode::NotToRecipients,
            format!("this {what} is encrypted to recipients other than the project's"),
        ),
        RecipientMismatch::TooMany { stanzas, recipients } => (
            ProblemCode::ToStrangers,
            format!(
                "this {what} is encrypted to {}, and the project has {recipients}: another recipient can decrypt it",
                of_age(*stanzas)
            ),
        ),
    };
    Diagnostic::warning(code, message).at(&spot.file, spot.span)
}

/// So many recipients of the kind that age makes itself.
fn of_age(count: usize) -> String {
    counted(count, "`age1…` recipient")
}
