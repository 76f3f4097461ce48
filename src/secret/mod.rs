//! A reference in a file -> the secret itself. One file a source; `source.rs` has the list.

mod age;
mod ask;
mod broken_file;
pub mod env;
mod file;
mod file_cache;
mod files_of_secrets;
mod from;
mod hybrid;
mod identities;
mod key_text;
mod locked;
mod named;
mod once_map;
mod own_recipients;
mod program;
mod recipient_mismatch;
mod recipients;
mod remembered;
#[cfg(test)]
mod reversed;
pub mod seal;
mod sops;
mod source;
mod ssh_key;
pub mod token;
mod unreadable;

mod resolver;
mod said;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::path::{Path, PathBuf};

use crate::cores;
use crate::model::{Reference, Seal, Secret, header_fault, value_fault};

pub use ask::{Ask, Nobody};
pub use broken_file::BrokenFile;
pub use env::holds_identity;
pub use from::{ASKED, SecretProgram, SecretPrograms, SourceProblem, is_from_program};
pub use hybrid::HybridIdentity;
pub use identities::{Identities, IdentityFile, IdentityProblem, Plugins};
pub use recipient_mismatch::{RecipientMismatch, file_mismatch, sops_mismatch};
pub use recipients::RecipientComparison;
pub use resolver::{AllowedPaths, SecretResolver};
pub use sops::{
    BadRules, OpenedSopsDocument, RuleRecipients, SopsProblem, SopsWriteError,
    is_changed_by_sops_alone, rule_recipients, rules_for,
};
pub use source::{StoredAt, is_argument, tags};
pub use unreadable::{FileFault, Unreadable};

/// Whether reading a reference runs a program: that of a source, or SOPS for a document that no age identity can open.
pub fn asks_program(reference: &Reference) -> bool {
    match reference {
        Reference::Sops { document, .. } => sops::is_for_program(document),
        _ => is_from_program(reference),
    }
}

/// Reads one reference.
///
/// # Errors
/// Where the secret cannot be read, or is more than one value.
pub fn read(reference: &Reference, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    checked(unchecked(reference, resolver)?, resolver)
}

/// Reads one reference to a header of HTTP.
///
/// # Errors
/// Where it cannot be read, or is no header.
pub fn read_header(reference: &Reference, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let header = read_document(reference, resolver)?;
    match header_fault(header.expose(), resolver.allowed.allow_placeholders) {
        Some(fault) => Err(Unreadable::Unfit(fault)),
        None => Ok(header),
    }
}

/// Reads one reference to a document of several lines, such as a key in PEM form.
///
/// # Errors
/// Where it cannot be read.
pub fn read_document(
    reference: &Reference,
    resolver: &SecretResolver,
) -> Result<Secret, Unreadable> {
    match reference {
        Reference::Tagged { tag, argument, base } if tag == file::SOURCE.tag => {
            file::read_document(argument, base, resolver)
        }
        _ => unchecked(reference, resolver),
    }
}

fn unchecked(reference: &Reference, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    match reference {
        Reference::Plain(secret) => Ok(secret.clone()),
        Reference::Age(armored) => decrypt(armored, &resolver.identities),
        Reference::Sops { document, at } => resolver.value(document, *at),
        Reference::Tagged { tag, argument, base } => {
            let source = source::source(tag).ok_or_else(|| Unreadable::UnknownTag(tag.clone()))?;
            (source.read)(argument, base, resolver)
        }
    }
}

/// The secret, where it can be one: wherever it comes from, it is checked here.
fn checked(secret: Secret, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    match value_fault(secret.expose(), resolver.allowed.allow_placeholders) {
        Some(fault) => Err(Unreadable::Unfit(fault)),
        None => Ok(secret),
    }
}

/// Why what a tag names, which has not the form of a name, could be the secret itself; none where
/// something has that name.
pub fn may_be_secret(reference: &Reference, resolver: &SecretResolver) -> Option<&'static str> {
    use Unreadable::{File, NoSecret, NoValue, NotSet, NotText, Unfit};
    match reference {
        Reference::Tagged { argument, .. } if is_argument(argument) => return None,
        // What is asked of a program has a form of its own, and no program runs for a warning.
        Reference::Tagged { .. } if !is_from_program(reference) => {}
        _ => return None,
    }
    let Err(why) = read(reference, resolver) else { return None };
    match why.innermost() {
        // What is no secret has been found there.
        Unfit(_) | NotText { .. } => None,
        NoSecret { .. } | NoValue { .. } | NotSet(_) | File { .. } => Some("nothing has that name"),
        _ => Some("where it would be found cannot be read here"),
    }
}

/// Whether a text in this file is the name of a secret in a file of secrets, where that is seen without asking anybody.
pub fn is_name_of_secret(text: &str, base: &Path, resolver: &SecretResolver) -> bool {
    named::is_known(text, base, resolver)
}

/// The recipient whose key of SSH this is; none where it is under a passphrase, or age cannot use it.
pub fn ssh_recipient(text: &str) -> Option<String> {
    ssh_key::open_recipient(text)
}

/// Whether this is an age file, whole or not.
pub fn is_age_file(bytes: &[u8]) -> bool {
    age::is_file(bytes)
}

/// Whether this is an age file in armor, whole or not.
pub fn is_armored_age_file(bytes: &[u8]) -> bool {
    age::is_armored(bytes)
}

/// Whether this is a SOPS document, whole or not.
pub fn is_sops_document(text: &str) -> bool {
    sops::is_document(text)
}

/// Where inside the project the secret of a reference may be stored; nowhere where it is in the manifest itself.
pub fn places_of<'r>(reference: &'r Reference, resolver: &SecretResolver) -> Vec<StoredAt<'r>> {
    match reference {
        Reference::Tagged { tag, argument, base } => source::source(tag)
            .map(|source| (source.places)(argument, base, resolver))
            .unwrap_or_default(),
        Reference::Plain(_) | Reference::Age(_) | Reference::Sops { .. } => Vec::new(),
    }
}

/// The files of these places.
pub fn files_of(reference: &Reference, resolver: &SecretResolver) -> Vec<PathBuf> {
    places_of(reference, resolver).into_iter().map(|place| place.file).collect()
}

/// Where inside the project the secret of a reference is stored in plain text.
pub fn plain_place<'r>(
    reference: &'r Reference,
    resolver: &SecretResolver,
) -> Option<StoredAt<'r>> {
    places_of(reference, resolver).into_iter().find(StoredAt::is_plain)
}

/// Whether a file of secrets has any value in plain text.
pub fn is_plain_store(file: &Path) -> bool {
    named::holds_plain(file, None)
}

fn decrypt(armored: &str, identities: &Identities) -> Result<Secret, Unreadable> {
    let bytes = age::decrypt(armored.as_bytes(), identities)?;
    std::str::from_utf8(&bytes).map(Secret::new).map_err(|_| Unreadable::NotUtf8)
}

/// What replaces a reference where nothing is decrypted: a digest of its ciphertext, if that itself is
/// in the file. What is in plain text, or kept elsewhere, has none.
pub fn seal(reference: &Reference) -> Option<Seal> {
    match reference {
        Reference::Age(armored) => Some(Seal::of_ciphertext(armored)),
        // Unchanged values keep their ciphertext when SOPS writes the document again.
        Reference::Sops { document, at } => {
            sops::ciphertext(document, *at).map(Seal::of_ciphertext)
        }
        Reference::Plain(_) | Reference::Tagged { .. } => None,
    }
}

/// The same for many, on all cores; the answers are in their order.
pub fn seal_all(references: &[&Reference]) -> Vec<Option<Seal>> {
    cores::map(references, |reference| seal(reference))
}

/// Reads many references on all cores; each file, once. The answers are in their order.
pub fn read_all(
    references: &[&Reference],
    resolver: &SecretResolver,
) -> Vec<Result<Secret, Unreadable>> {
    from::ask_all(references, resolver);
    cores::map(references, |reference| read(reference, resolver))
}
