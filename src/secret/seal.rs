//! A text -> an age file.

use std::collections::HashSet;
use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};
use age::{EncryptError, Encryptor, Recipient, ssh, x25519};
use age_core::format::{FileKey, Stanza};
use thiserror::Error;

use super::recipients::mark;

/// Why nothing was encrypted.
#[derive(Debug, Error)]
pub enum Unsealed {
    /// There is nobody to encrypt to.
    #[error("there is no age recipient to encrypt to")]
    NoRecipient,
    /// Not a recipient that appcred can encrypt to.
    #[error("`{0}` is no age recipient")]
    Recipient(String),
    /// age does not encrypt to these together.
    #[error("age does not encrypt: {0}")]
    Age(String),
}

/// Encrypts a text to all recipients, each of whom can open it alone, as an armored age file.
///
/// # Errors
/// Where there is none, or one that is none.
pub fn seal(text: &[u8], recipients: &[String]) -> Result<String, Unsealed> {
    let bytes = seal_as(text, recipients, Format::AsciiArmor)?;
    String::from_utf8(bytes).map_err(|error| Unsealed::Age(error.to_string()))
}

/// The same without armor.
///
/// # Errors
/// Where there is none, or one that is none.
pub fn seal_binary(text: &[u8], recipients: &[String]) -> Result<Vec<u8>, Unsealed> {
    seal_as(text, recipients, Format::Binary)
}

fn seal_as(text: &[u8], recipients: &[String], format: Format) -> Result<Vec<u8>, Unsealed> {
    let mut all: Vec<Box<dyn Recipient>> =
        recipients.iter().map(|recipient| parse(recipient)).collect::<Result<_, _>>()?;
    if let Some(last) = all.pop() {
        all.push(Box::new(Marked { recipient: last, all: recipients.to_vec() }));
    }
    let all = all.iter().map(AsRef::as_ref);
    let encryptor = Encryptor::with_recipients(all).map_err(|error| match error {
        EncryptError::MissingRecipients => Unsealed::NoRecipient,
        other => Unsealed::Age(other.to_string()),
    })?;
    let sealed = || -> std::io::Result<Vec<u8>> {
        let armored = ArmoredWriter::wrap_output(Vec::new(), format)?;
        let mut writer = encryptor.wrap_output(armored)?;
        writer.write_all(text)?;
        writer.finish()?.finish()
    };
    sealed().map_err(|error| Unsealed::Age(error.to_string()))
}

/// A recipient with whom goes the mark that tells to whom all the file is encrypted.
struct Marked {
    recipient: Box<dyn Recipient>,
    all: Vec<String>,
}

impl Recipient for Marked {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (mut stanzas, labels) = self.recipient.wrap_file_key(file_key)?;
        stanzas.push(mark(&self.all));
        Ok((stanzas, labels))
    }
}

/// A recipient as it is compared: an SSH key without its comment.
pub(super) fn bare(recipient: &str) -> String {
    recipient.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn parse(recipient: &str) -> Result<Box<dyn Recipient>, Unsealed> {
    let own = x25519::Recipient::from_str(recipient).map(|found| Box::new(found) as _);
    own.or_else(|_| ssh::Recipient::from_str(recipient).map(|found| Box::new(found) as _))
        .map_err(|_| Unsealed::Recipient(recipient.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Unsealed, seal};
    use crate::model::{Reference, Secret};
    use crate::secret::env::IdentitySources;
    use crate::secret::{Grounds, Identities, Nobody, Vault, read};

    #[test]
    fn what_is_sealed_to_identities_they_open() {
        let key = |name: &str| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/keys").join(name)
        };
        let (ssh, _) =
            Identities::gather(&[key("ed25519"), key("rsa")], &IdentitySources::default(), Nobody);
        let own = age::x25519::Identity::generate();
        let text = age::secrecy::ExposeSecret::expose_secret(&own.to_string()).to_owned();
        let sources =
            IdentitySources { texts: vec![("X", Secret::new(&text))], files: vec![key("ed25519")] };
        let (both, _) = Identities::gather(&[], &sources, Nobody);
        assert_eq!((ssh.recipients().len(), both.recipients().len()), (2, 2));

        let sealed = seal(b"the token", both.recipients()).unwrap();

        for identities in [ssh, both] {
            let vault = Vault::new(identities, Grounds::default());
            let read = read(&Reference::Age(sealed.clone()), &vault).unwrap();
            assert_eq!(read.expose(), "the token");
        }
    }

    #[test]
    fn nobody_is_no_recipient() {
        assert!(matches!(seal(b"x", &[]), Err(Unsealed::NoRecipient)));
        assert!(matches!(seal(b"x", &["age1nobody".to_owned()]), Err(Unsealed::Recipient(_))));
    }
}
