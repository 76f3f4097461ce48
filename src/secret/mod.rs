//! A reference in a file -> the secret itself. One file a source; `source.rs` has the list.

mod age;
mod ask;
mod broken_file;
pub mod env;
mod file;
mod file_cache;
mod from;
mod hybrid;
mod identities;
mod key_text;
mod locked;
mod named;
mod once_map;
mod program;
mod recipient_mismatch;
mod recipients;
#[cfg(test)]
mod reversed;
pub mod seal;
mod sops;
mod source;
pub mod token;

mod resolver;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use thiserror::Error;

use crate::model::{
    Reference, Seal, Secret, ValueFault, counted, header_fault, named, value_fault,
};

pub use ask::{Ask, Nobody};
pub use broken_file::BrokenFile;
pub use env::holds_identity;
pub use from::{ASKED, SecretProgram, SecretPrograms, SourceProblem, is_from_program};
pub use hybrid::HybridIdentity;
pub use identities::{Identities, IdentityProblem};
pub use recipient_mismatch::{RecipientMismatch, file_mismatch, sops_mismatch};
pub use recipients::RecipientComparison;
pub use resolver::{AllowedPaths, SecretResolver};
pub use sops::{
    BadRules, OpenedSopsDocument, RuleRecipients, SopsProblem, SopsWriteError,
    is_changed_by_sops_alone, rule_recipients,
};
pub use source::{is_argument, tags};

/// Why a secret could not be read. None of it repeats the secret or its ciphertext.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no age identity to try.
    #[error("it is encrypted to {}, and no age identity was found", counted(*.recipients, "recipient"))]
    NoIdentity {
        /// To how many it is encrypted.
        recipients: usize,
    },
    /// None of the identities fits.
    #[error("it is encrypted to {}, and none of the age identities found can decrypt it ({identities} tried)", counted(*.recipients, "recipient"))]
    NotForUs {
        /// To how many it is encrypted.
        recipients: usize,
        /// How many were tried.
        identities: usize,
    },
    /// It asks for a passphrase.
    #[error("it is encrypted with a passphrase, and none was entered on a terminal")]
    Passphrase,
    /// Its identity asks for something.
    #[error("an age identity needs input, and none was entered on a terminal")]
    Unanswered,
    /// None of the identities fits, and an encrypted file of them has a line that is none.
    #[error("{0}")]
    Identity(IdentityProblem),
    /// Somebody mistyped.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// It would take the machine down.
    #[error("the work factor of its passphrase is too high")]
    TooMuchWork,
    /// An age file with so many recipients that it would take long to try them.
    #[error("it is encrypted to more than {} recipients", age::MAX_RECIPIENTS)]
    TooManyRecipients,
    /// What a plugin of age says.
    #[error("{0}")]
    Plugin(String),
    /// A SOPS document that is not as SOPS wrote it, or not for age.
    #[error("the SOPS document is refused: {0}")]
    Sops(SopsProblem),
    /// A number, boolean, list or mapping.
    #[error("it is not text")]
    WrongKind,
    /// A file of secrets that is not valid YAML.
    #[error(transparent)]
    Broken(#[from] BrokenFile),
    /// A file of secrets that is no mapping.
    #[error("it is not a YAML mapping of names to secrets")]
    NotNames,
    /// A file that cannot be read.
    #[error("cannot read {file}: {why}")]
    File {
        /// The file.
        file: String,
        /// The reason.
        why: String,
    },
    /// A file outside of the project.
    #[error("{0} is outside the project")]
    Outside(String),
    /// A name that no file of secrets has.
    #[error("{}", no_secret(name, looked, misnamed))]
    NoSecret {
        /// The name.
        name: String,
        /// The files that were looked into.
        looked: Vec<String>,
        /// Files that are not looked into because of their names.
        misnamed: Vec<String>,
    },
    /// What is wrong in another file.
    #[error("{file}: {why}")]
    Within {
        /// The file.
        file: String,
        /// What is wrong.
        why: Box<Self>,
    },
    /// It is no whole age file.
    #[error("the age file is damaged: {0}")]
    Damaged(&'static str),
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotUtf8,
    /// It cannot be a value.
    #[error("it {0}")]
    Unfit(ValueFault),
    /// A SOPS document for one secret that has another number of them.
    #[error("it is a SOPS document with several values, or none, and one value is needed")]
    NotOneValue,
    /// An environment variable that is not there.
    #[error("{} is not set, or empty", named("the environment variable", .0))]
    NotSet(String),
    /// A program gave no secret.
    #[error(transparent)]
    Source(Box<SourceProblem>),
    /// A tag that no source reads.
    #[error("!{0} is not a source of secrets")]
    UnknownTag(String),
}

impl From<SopsProblem> for Unreadable {
    fn from(problem: SopsProblem) -> Self {
        Self::Sops(problem)
    }
}

impl From<SourceProblem> for Unreadable {
    fn from(problem: SourceProblem) -> Self {
        Self::Source(Box::new(problem))
    }
}

impl Unreadable {
    fn within(file: String, why: Self) -> Self {
        match why {
            // These name their file themselves.
            Self::File { .. } | Self::Outside(_) | Self::Broken(_) => why,
            why => Self::Within { file, why: Box::new(why) },
        }
    }

    /// Whether another identity, variable or file could give the secret; it may be elsewhere.
    pub fn is_lacking(&self) -> bool {
        match self {
            Self::NoIdentity { .. }
            | Self::NotForUs { .. }
            | Self::Passphrase
            | Self::Unanswered
            | Self::Identity(_)
            | Self::WrongPassphrase
            | Self::Plugin(_)
            | Self::File { .. }
            | Self::NoSecret { .. }
            | Self::NotSet(_) => true,
            Self::Within { why, .. } => why.is_lacking(),
            Self::Source(problem) => matches!(**problem, SourceProblem::NotAsked(_)),
            Self::TooMuchWork
            | Self::TooManyRecipients
            | Self::Sops(_)
            | Self::WrongKind
            | Self::Broken(_)
            | Self::NotNames
            | Self::Outside(_)
            | Self::Damaged(_)
            | Self::NotUtf8
            | Self::Unfit(_)
            | Self::NotOneValue
            | Self::UnknownTag(_) => false,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoIdentity { .. } => {
                "name an identity file under `age: identities:` in appcred.yaml, or set APPCRED_AGE_IDENTITY, SOPS_AGE_KEY or SOPS_AGE_KEY_FILE"
            }
            Self::NotForUs { .. } => {
                "encrypt it again to a recipient whose identity is here, or bring that identity"
            }
            Self::Passphrase => {
                "run it on a terminal, or encrypt it to a recipient instead (`age -a -r age1...`)"
            }
            Self::Damaged(_) => {
                "paste the whole file, from its BEGIN line to its END line, or encrypt it again"
            }
            Self::NotUtf8 => "store the client secret as the provider shows it, as UTF-8 text",
            Self::Unfit(fault) => fault.help(),
            Self::NotOneValue => "name one of them with `!secret NAME`, in a secrets.sops.yaml",
            Self::NotSet(_) => "set it",
            Self::UnknownTag(_) => "use an inline age file, !secret, !file, !from or !env_var",
            Self::Unanswered => "run it on a terminal, or use an identity that needs no input",
            Self::Identity(_) => {
                "correct the line (`age -d` decrypts the file), or bring an identity that fits"
            }
            Self::WrongPassphrase => "run it again and type the right one",
            Self::TooMuchWork | Self::TooManyRecipients => {
                "do not trust this file; encrypt the secret again"
            }
            Self::Plugin(_) => "check that the plugin and its key are available",
            Self::Sops(problem) => problem.help(),
            Self::Source(problem) => problem.help(),
            Self::WrongKind => "quote it; in a SOPS document with `sops edit FILE`",
            Self::Broken(_) => "correct the file",
            Self::NotNames => "write one `name: secret` a line",
            Self::File { .. } => "check that the file exists and can be read",
            Self::Outside(_) => {
                "move it into the project, use ${CREDENTIALS_DIRECTORY}, or set `allow_outside_files: true` in appcred.yaml"
            }
            Self::NoSecret { .. } => {
                "add it to secrets.yaml or secrets.sops.yaml beside the file or above it"
            }
            Self::Within { why, .. } => why.help(),
        }
    }
}

fn no_secret(name: &str, looked: &[String], misnamed: &[String]) -> String {
    let secret = named("secret", name);
    let message = match looked {
        [] => format!("there is no secrets.yaml with the {secret}, here or above"),
        [only] => format!("{only} does not have the {secret}"),
        several => format!("none of {} has the {secret}", several.join(", ")),
    };
    match misnamed {
        [] => message,
        [only] => format!("{message}, and {only} is not read because of its name"),
        several => {
            format!("{message}, and {} are not read because of their names", several.join(", "))
        }
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
    use Unreadable::{File, NoSecret, NotSet};
    match reference {
        Reference::Tagged { argument, .. } if is_argument(argument) => return None,
        // What is asked of a program has a form of its own, and no program runs for a warning.
        Reference::Tagged { .. } if !is_from_program(reference) => {}
        _ => return None,
    }
    match read(reference, resolver) {
        Ok(_) => None,
        Err(NoSecret { .. } | NotSet(_) | File { .. }) => Some("nothing has that name"),
        Err(_) => Some("where it would be found cannot be read here"),
    }
}

/// Whether this is an age file, whole or not.
pub fn is_age_file(bytes: &[u8]) -> bool {
    age::is_file(bytes)
}

/// Whether this is a SOPS document, whole or not.
pub fn is_sops_document(text: &str) -> bool {
    sops::is_document(text)
}

/// The files inside the project that a reference may be read from.
pub fn files_of(reference: &Reference, resolver: &SecretResolver) -> Vec<PathBuf> {
    match reference {
        Reference::Tagged { tag, argument, base } => source::source(tag)
            .map(|source| (source.files)(argument, base, resolver))
            .unwrap_or_default(),
        Reference::Plain(_) | Reference::Age(_) | Reference::Sops { .. } => Vec::new(),
    }
}

/// The file inside the project that holds the secret of a reference in plain text.
pub fn plain_file(reference: &Reference, resolver: &SecretResolver) -> Option<PathBuf> {
    let Reference::Tagged { tag, argument, base } = reference else { return None };
    (source::source(tag)?.plain_file)(argument, base, resolver)
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
/// in the file. What is in clear, or kept elsewhere, has none.
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
    references.par_iter().map(|reference| seal(reference)).collect()
}

/// Reads many references on all cores; each file, once. The answers are in their order.
pub fn read_all(
    references: &[&Reference],
    resolver: &SecretResolver,
) -> Vec<Result<Secret, Unreadable>> {
    from::ask_all(references, resolver);
    references.par_iter().map(|reference| read(reference, resolver)).collect()
}
