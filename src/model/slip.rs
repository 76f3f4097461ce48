//! How a target most likely lost an entry by a slip.

use std::fmt;
use std::path::PathBuf;

use smol_str::SmolStr;

use super::Visible;

/// What of a target is almost what an entry chooses targets by, or where its entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slip {
    /// Its name is almost one that the entry's pattern means, and no entry names it.
    Name {
        /// The name.
        name: SmolStr,
        /// The pattern.
        pattern: SmolStr,
    },
    /// It has a label or a value for which no entry asks, and which is almost what the entry asks for.
    Label {
        /// As in `rign` or `ring: 10`.
        written: SmolStr,
        /// As in `ring` or `ring: 1`.
        meant: SmolStr,
    },
    /// It lacks a label that the entry asks for, and that all other targets have.
    LabelMissing {
        /// As in `ring`.
        label: SmolStr,
    },
    /// It has no label at all, and the entry chooses by labels.
    NoLabels,
    /// Its entry is in a file that is not read.
    NotRead {
        /// The file.
        file: PathBuf,
    },
}

/// As the end of a sentence that begins with the entry.
impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, pattern } => {
                write!(
                    f,
                    "is for targets of names like `{pattern}`; `{name}` is almost one, and no entry names it"
                )
            }
            Self::Label { written, meant } => write!(
                f,
                "is for targets with the label `{meant}`; this one has `{written}`, for which no entry asks"
            ),
            Self::LabelMissing { label } => write!(
                f,
                "is for targets with certain values of the label `{label}`, which all targets but this one have"
            ),
            Self::NoLabels => {
                f.write_str("is for targets with certain labels, and this one has no label")
            }
            Self::NotRead { file } => {
                write!(f, "is in `{}`, which is not read", file.visible())
            }
        }
    }
}
