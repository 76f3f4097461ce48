//! Files that hold encrypted values: decrypted, and encrypted again, for other recipients, or with
//! another secret.
//!
//! Three forms, distinguished by their content: a SOPS document, a whole age file, and a text of
//! YAML in which single values are age files. What is not changed keeps its ciphertext, byte for byte.

mod entries;
mod rekey;
mod replace;

use std::str::Utf8Error;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use crate::secret::seal::{AgeEncryptError, seal, seal_binary};
use crate::secret::{
    OpenedSopsDocument, SecretResolver, SopsWriteError, Unreadable, is_age_file,
    is_armored_age_file,
};
use crate::yaml_edit::YamlEditError;

use entries::Entries;
pub use rekey::{Rekeyed, rekeyed};
pub use replace::{SecretPlace, replaced};

/// Why a file is not opened or not sealed.
#[derive(Debug, Error)]
pub enum EncryptedFileError {
    /// It cannot be decrypted.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A value of it cannot be decrypted.
    #[error("line {line}: {why}")]
    Value {
        /// Its line.
        line: u32,
        /// The reason.
        why: Unreadable,
    },
    /// It is a SOPS document that is not written.
    #[error(transparent)]
    Sops(#[from] SopsWriteError),
    /// It cannot be changed in place.
    #[error(transparent)]
    Unfit(#[from] YamlEditError),
    /// It cannot be encrypted.
    #[error(transparent)]
    Encrypt(#[from] AgeEncryptError),
    /// What is written would not be what is read.
    #[error("the new secret could not be read from it again: {why}")]
    NotReadBack {
        /// What would be read.
        why: String,
        /// Whether it is read by a name.
        has_name: bool,
    },
    /// All of it would be replaced, and that is not one secret.
    #[error("all of it would be replaced, and what it holds now is not one secret: {0}")]
    NotOneSecret(String),
    /// It is no text.
    #[error("it is not UTF-8 text")]
    NotText(#[from] Utf8Error),
}

impl EncryptedFileError {
    /// It in a line, with what to do about it where that is known.
    pub fn with_help(&self) -> String {
        let help = self.help().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{self}{help}")
    }

    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable(why)
            | Self::Value { why, .. }
            | Self::Sops(SopsWriteError::Unreadable(why)) => Some(why.help()),
            Self::Sops(SopsWriteError::OtherKeys(_)) => Some("run `sops edit FILE`"),
            Self::NotReadBack { has_name: true, .. } => {
                Some("write it into the manifest, where `appcred encrypt` encrypts it")
            }
            Self::NotReadBack { has_name: false, .. } => Some(
                "write it into the manifest, where `appcred encrypt` encrypts it, or give it a name, as `!file PATH#NAME` reads it",
            ),
            Self::NotOneSecret(_) => Some(
                "name the secret that the entry reads, as in `!file PATH#NAME`, or write that secret alone into the file",
            ),
            _ => None,
        }
    }
}

/// With what files are sealed.
#[derive(Clone, Copy)]
pub struct EncryptionContext<'s> {
    /// To whom, unless the file itself says.
    pub recipients: &'s [String],
    /// The time, as in `2026-11-24T10:00:00Z`.
    pub now: &'s str,
    /// Whether what was in plain text before stays so.
    pub keep_plain: bool,
}

/// A file that was opened.
pub struct Opened<'t> {
    form: FileFormat<'t>,
    bytes: &'t [u8],
    clear: Zeroizing<String>,
}

enum FileFormat<'t> {
    Sops(Box<OpenedSopsDocument<'t>>),
    Age { armored: bool },
    Entries(Entries),
}

impl<'t> Opened<'t> {
    /// Opens a file's content.
    ///
    /// # Errors
    /// Where it cannot be decrypted, or not be changed in place.
    pub fn new(bytes: &'t [u8], resolver: &SecretResolver) -> Result<Self, EncryptedFileError> {
        if is_age_file(bytes) {
            let plain = resolver.open(bytes)?;
            let clear = Zeroizing::new(std::str::from_utf8(&plain)?.to_owned());
            let armored = is_armored_age_file(bytes);
            return Ok(Self { form: FileFormat::Age { armored }, bytes, clear });
        }
        let text = std::str::from_utf8(bytes)?;
        if let Some(document) = OpenedSopsDocument::open(text, resolver)? {
            let clear = document.clear()?;
            return Ok(Self { form: FileFormat::Sops(Box::new(document)), bytes, clear });
        }
        let (entries, clear) = Entries::open(text, resolver)?;
        Ok(Self { form: FileFormat::Entries(entries), bytes, clear })
    }

    /// The text, with all that could be decrypted.
    pub fn clear(&self) -> &str {
        &self.clear
    }

    /// The lines of the text whose values could not be opened, and why; they stay as they are.
    pub fn closed(&self) -> &[(u32, Unreadable)] {
        match &self.form {
            FileFormat::Entries(entries) => &entries.closed,
            FileFormat::Sops(_) | FileFormat::Age { .. } => &[],
        }
    }

    /// Seals a text that came from [`Opened::clear`].
    ///
    /// # Errors
    /// Where it cannot be encrypted, or does not fit into its form.
    pub fn seal(
        &self,
        text: &str,
        with: EncryptionContext<'_>,
    ) -> Result<Vec<u8>, EncryptedFileError> {
        if text == *self.clear {
            return Ok(self.bytes.to_vec());
        }
        match &self.form {
            FileFormat::Sops(document) => Ok(document.seal(text, with.now)?.into_bytes()),
            FileFormat::Entries(entries) => {
                Ok(entries.seal(std::str::from_utf8(self.bytes)?, text, with)?.into_bytes())
            }
            FileFormat::Age { armored: true } => {
                Ok(seal(text.as_bytes(), with.recipients)?.into_bytes())
            }
            FileFormat::Age { armored: false } => {
                Ok(seal_binary(text.as_bytes(), with.recipients)?)
            }
        }
    }
}
