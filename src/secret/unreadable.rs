//! Why secrets cannot be read.

use std::path::Path;

use thiserror::Error;

use super::{
    BrokenFile, IdentityProblem, SopsProblem, SourceProblem, age, files_of_secrets as of_secrets,
};
use crate::diagnostic::ProblemCode;
use crate::files::Replaced;
use crate::model::{MERGE_CONFLICT_HELP, ValueFault, counted, named};

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
    /// A value in a file of secrets that is a number, boolean, list or mapping.
    #[error("line {line}: it is {what}, and a secret is text")]
    NotText {
        /// Its line.
        line: u32,
        /// What it is.
        what: &'static str,
        /// What to do about it.
        help: &'static str,
    },
    /// Two values of one name, of which SOPS itself takes now this one and now the other.
    #[error("it is there twice, on lines {} and {}", lines[0], lines[1])]
    Twice {
        /// Their lines.
        lines: [u32; 2],
    },
    /// A file of secrets that is not valid YAML, or no mapping.
    #[error(transparent)]
    Broken(#[from] BrokenFile),
    /// A file that cannot be read.
    #[error("cannot read {file}: {why}")]
    File {
        /// The file.
        file: String,
        /// The reason.
        why: String,
        /// What that says of the project.
        fault: FileFault,
    },
    /// A file in whose place is something else.
    #[error("cannot read {file}: {}", found.what())]
    Replaced {
        /// The file.
        file: String,
        /// What.
        found: Replaced,
    },
    /// A file outside of the project.
    #[error("{0} is outside the project")]
    Outside(String),
    /// What holds age identities of this machine, in a project that was fetched.
    #[error("{0} is for age identities, and a project that was fetched may not read them")]
    Withheld(String),
    /// A name that no file of secrets has.
    #[error("{}", no_secret(name, looked, misnamed, near.as_deref()))]
    NoSecret {
        /// The name.
        name: String,
        /// The files that were looked into.
        looked: Box<[String]>,
        /// Files that are not looked into because of their names.
        misnamed: Box<[String]>,
        /// The name that was most likely meant.
        near: Option<Box<str>>,
    },
    /// A file has no value of a name.
    #[error("it has no {}{}", named("value", name), did_you_mean(near.as_deref()))]
    NoValue {
        /// The name.
        name: String,
        /// The name that was most likely meant.
        near: Option<Box<str>>,
    },
    /// What is wrong in another file.
    #[error("{file}: {why}")]
    Within {
        /// The file.
        file: String,
        /// What is wrong.
        why: Box<Self>,
    },
    /// It is an age file that was cut short or changed.
    #[error("the age file is damaged: {0}")]
    Damaged(&'static str),
    /// Git has left both versions in it.
    #[error("it has an unresolved merge conflict")]
    MergeConflict,
    /// A file with a value under a name, where one value alone is meant.
    #[error("it is {0}, and one value is needed")]
    NamedValue(&'static str),
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

/// What it says of a project that a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It is not there, and would be in the project.
    Missing,
    /// Another machine or user may read it.
    Elsewhere,
    /// The path begins with `~`, which is the home folder to shells alone.
    Tilde,
    /// Nobody can: it is a folder, a pipe, a socket or a device, or far too large.
    NoText,
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
    pub(super) fn within(file: String, why: Self) -> Self {
        match why {
            // These name their file themselves.
            Self::File { .. } | Self::Replaced { .. } | Self::Outside(_) | Self::Broken(_) => why,
            why => Self::Within { file, why: Box::new(why) },
        }
    }

    /// The reason itself, wherever it is.
    pub(super) fn innermost(&self) -> &Self {
        match self {
            Self::Within { why, .. } => why.innermost(),
            why => why,
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
            | Self::File { fault: FileFault::Missing | FileFault::Elsewhere, .. }
            | Self::NotSet(_) => true,
            // It comes first, and is what is most often elsewhere: where it is here, it is what is meant.
            Self::NoSecret { looked, .. } => {
                !looked.iter().any(|file| Path::new(file).ends_with(of_secrets::FIRST))
            }
            // Another clone has the file itself.
            Self::Replaced { found, .. } => found.is_of_clone(),
            Self::Within { why, .. } => why.is_lacking(),
            Self::Sops(SopsProblem::OtherKeys { has_age, .. }) => *has_age,
            Self::Source(_) => self.is_not_asked(),
            Self::TooMuchWork
            | Self::TooManyRecipients
            | Self::File { fault: FileFault::NoText | FileFault::Tilde, .. }
            | Self::Sops(_)
            | Self::WrongKind
            | Self::NotText { .. }
            | Self::Twice { .. }
            | Self::Broken(_)
            | Self::Outside(_)
            | Self::Withheld(_)
            | Self::Damaged(_)
            | Self::MergeConflict
            | Self::NamedValue(_)
            | Self::NotUtf8
            | Self::Unfit(_)
            | Self::NotOneValue
            | Self::NoValue { .. }
            | Self::UnknownTag(_) => false,
        }
    }

    /// Whether a program could give it that is not run here.
    pub fn is_not_asked(&self) -> bool {
        match self {
            Self::Source(problem) => {
                matches!(**problem, SourceProblem::NotAsked(_) | SourceProblem::NotRead)
            }
            Self::Within { why, .. } => why.is_not_asked(),
            _ => false,
        }
    }

    /// What kind of problem it is.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Replaced { found: Replaced::GitCrypt, .. } => ProblemCode::GitCrypt,
            Self::Replaced { found: Replaced::LfsPointer, .. } => ProblemCode::LfsPointer,
            Self::Replaced { found: Replaced::AnnexPointer, .. } => ProblemCode::AnnexPointer,
            Self::Replaced { .. } => ProblemCode::NotUtf8,
            Self::NoSecret { .. } | Self::File { fault: FileFault::Missing, .. } => {
                ProblemCode::MissingSecret
            }
            _ => ProblemCode::UnreadableSecret,
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
            Self::MergeConflict => MERGE_CONFLICT_HELP,
            Self::NamedValue(_) => {
                "write only the value into the file; `!file FILE#NAME` reads the value of a name from a YAML mapping"
            }
            Self::NotUtf8 => "store the client secret as the provider shows it, as UTF-8 text",
            Self::Unfit(fault) => fault.help(),
            Self::NotOneValue => {
                "name one of them, as in `!file FILE#client_secret`, or with `!secret NAME` in a secrets.sops.yaml"
            }
            Self::NoValue { .. } => {
                "correct the name behind `#`: one below another has a `/` between, as in `spotify/client_secret`"
            }
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
            Self::NotText { help, .. } => help,
            Self::Twice { .. } => {
                "remove one of the two with `sops edit FILE`: some commands of SOPS take the first, and others the last"
            }
            Self::WrongKind => "quote it; in a SOPS document with `sops edit FILE`",
            Self::Broken(_) => "correct the file",
            Self::Replaced { found, .. } => found.help(),
            Self::File { fault: FileFault::Tilde, .. } => {
                "write the path from the folder of this file on: only a shell takes `~` for your home folder"
            }
            Self::Withheld(_) | Self::File { fault: FileFault::NoText, .. } => {
                "write a file with the secret in its place, or name another one"
            }
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

pub(super) fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default()
}

fn no_secret(name: &str, looked: &[String], misnamed: &[String], near: Option<&str>) -> String {
    let secret = named("secret", name);
    let message = match looked {
        [] => format!("there is no secrets.yaml with the {secret}, here or above"),
        [only] => format!("{only} does not have the {secret}"),
        several => format!("none of {} has the {secret}", several.join(", ")),
    };
    match misnamed {
        [] => message + &did_you_mean(near),
        [only] => format!("{message}, and {only} is not read because of its name"),
        several => {
            format!("{message}, and {} are not read because of their names", several.join(", "))
        }
    }
}
