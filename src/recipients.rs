//! Whether what is encrypted in a project is whole, and is so to the project's recipients.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Spot};
use crate::files::{self, TEXT_LIMIT};
use crate::manifest::{Entry, Located, Project, SecretValue, secret_values};
use crate::model::Reference;
use crate::secret::{
    RecipientMismatch, SecretResolver, Unreadable, age_damage, file_misfit, files_of, sops_misfit,
};

/// Finds each secret of the project that is damaged, and warns of each, and of each file that
/// they name, that some of the project's recipients certainly cannot open, or somebody else can. What cannot
/// be told is passed over.
pub fn check(project: &Project, entries: &[Arc<Entry>], vault: &SecretResolver) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let recipients = &project.age.recipients;
    let mut seen = BTreeSet::new();
    for SecretValue { field, value: Located { value, spot } } in secret_values(project, entries) {
        let field = field.name;
        let found = match value {
            Reference::Age(armored) => match age_damage(armored) {
                Some(damage) => {
                    problems.push(damaged(&damage, field, spot));
                    None
                }
                None => file_misfit(armored.as_bytes(), recipients, vault)
                    .map(|misfit| (misfit, field.to_owned())),
            },
            // All of a document has the same recipients.
            Reference::Sops { document, .. }
                if !recipients.is_empty() && seen.insert(spot.file.path().to_owned()) =>
            {
                sops_misfit(document, recipients).map(|misfit| (misfit, "SOPS document".to_owned()))
            }
            _ => None,
        };
        if let Some((misfit, what)) = found {
            problems.push(told(&misfit, &what, spot));
        }
        for file in files_of(value, vault) {
            if recipients.is_empty() || !seen.insert(file.clone()) {
                continue;
            }
            // What cannot be read is told by who reads it.
            let Ok(bytes) = files::read(&file, TEXT_LIMIT) else { continue };
            if let Some(misfit) = file_misfit(&bytes, recipients, vault) {
                problems.push(told(&misfit, &format!("file `{}`", vault.shown(&file)), spot));
            }
        }
    }
    problems
}

fn damaged(damage: &Unreadable, what: &str, spot: &Spot) -> Diagnostic {
    Diagnostic::error("unreadable-secret", format!("cannot read this {what}: {damage}"))
        .at(&spot.file, spot.span)
        .help(damage.help())
}

fn told(misfit: &RecipientMismatch, what: &str, spot: &Spot) -> Diagnostic {
    let (code, message) = match misfit {
        RecipientMismatch::Nobody => (
            "not-to-recipients",
            format!("this {what} is encrypted to none of the project's recipients"),
        ),
        RecipientMismatch::Missing(all) => {
            let all: Vec<_> = all.iter().map(|recipient| shown(recipient)).collect();
            ("not-to-all-recipients", format!("this {what} is not encrypted to {}", all.join(", ")))
        }
        RecipientMismatch::TooFew { stanzas, recipients } => (
            "not-to-all-recipients",
            format!(
                "this {what} is encrypted to {stanzas} of age's own recipients, and the project has {recipients}: not all of them can decrypt it"
            ),
        ),
        RecipientMismatch::Others => (
            "not-to-recipients",
            format!("this {what} is encrypted to recipients other than the project's"),
        ),
        RecipientMismatch::TooMany { stanzas, recipients } => (
            "to-strangers",
            format!(
                "this {what} is encrypted to {stanzas} of age's own recipients, and the project has {recipients}: another recipient can decrypt it"
            ),
        ),
    };
    Diagnostic::warning(code, message)
        .at(&spot.file, spot.span)
        .help("`appcred rekey` encrypts it again to those under `age: recipients:` in appcred.yaml")
}

/// The beginning is enough to know it again.
fn shown(recipient: &str) -> String {
    match recipient.char_indices().nth(24) {
        Some((end, _)) => format!("`{}…`", &recipient[..end]),
        None => format!("`{recipient}`"),
    }
}
