//! A text -> an age file.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};
use age::plugin::{self, RecipientPluginV1};
use age::{EncryptError, Encryptor, Recipient, ssh, x25519};
use age_core::format::{FileKey, Stanza};
use thiserror::Error;

use super::Nobody;
use super::ask::Person;
use super::recipients::mark;

/// Why nothing was encrypted.
#[derive(Debug, Error)]
pub enum AgeEncryptError {
    /// There is no recipient.
    #[error("there is no age recipient to encrypt to")]
    NoRecipient,
    /// Not a recipient that appcred can encrypt to.
    #[error("`{0}` is not an age recipient")]
    Recipient(String),
    /// The program that encrypts to it is missing.
    #[error("`{recipient}` needs the program {program}, which is not in PATH")]
    NoPlugin {
        /// The recipient.
        recipient: String,
        /// The program.
        program: String,
    },
    /// age does not encrypt to these together.
    #[error("age cannot encrypt: {0}")]
    Age(String),
}

/// Encrypts a text to all recipients, each of whom can open it alone, as an armored age file.
///
/// # Errors
/// Where there is none, or one that is none or whose plugin is missing or refuses.
pub fn seal(text: &[u8], recipients: &[String]) -> Result<String, AgeEncryptError> {
    let bytes = seal_as(text, recipients, Format::AsciiArmor)?;
    String::from_utf8(bytes).map_err(|error| AgeEncryptError::Age(error.to_string()))
}

/// The same without armor.
///
/// # Errors
/// Where there is none, or one that is none or whose plugin is missing or refuses.
pub fn seal_binary(text: &[u8], recipients: &[String]) -> Result<Vec<u8>, AgeEncryptError> {
    seal_as(text, recipients, Format::Binary)
}

fn seal_as(text: &[u8], recipients: &[String], format: Format) -> Result<Vec<u8>, AgeEncryptError> {
    let mut all = parse_all(recipients)?;
    if let Some(last) = all.pop() {
        all.push(Box::new(Marked { recipient: last, all: recipients.to_vec() }));
    }
    let all = all.iter().map(AsRef::as_ref);
    let encryptor = Encryptor::with_recipients(all).map_err(|error| match error {
        EncryptError::MissingRecipients => AgeEncryptError::NoRecipient,
        other => AgeEncryptError::Age(other.to_string()),
    })?;
    let sealed = || -> std::io::Result<Vec<u8>> {
        let armored = ArmoredWriter::wrap_output(Vec::new(), format)?;
        let mut writer = encryptor.wrap_output(armored)?;
        writer.write_all(text)?;
        writer.finish()?.finish()
    };
    sealed().map_err(|error| AgeEncryptError::Age(error.to_string()))
}

/// A recipient, with the mark that says to whom the whole file is encrypted.
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

/// Whether this is a recipient; of a plugin's, its program may be missing.
pub fn is_recipient(text: &str) -> bool {
    x25519::Recipient::from_str(text).is_ok()
        || ssh::Recipient::from_str(text).is_ok()
        || plugin::Recipient::from_str(text).is_ok()
}

/// A recipient as it is compared: an SSH key without its comment.
pub(super) fn bare(recipient: &str) -> String {
    recipient.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// What encrypts to these recipients; those of one plugin are one, so that it is started once.
pub(super) fn parse_all(recipients: &[String]) -> Result<Vec<Box<dyn Recipient>>, AgeEncryptError> {
    let mut parsed: Vec<Box<dyn Recipient>> = Vec::new();
    let mut of_plugins: Vec<plugin::Recipient> = Vec::new();
    for recipient in recipients {
        if let Ok(own) = x25519::Recipient::from_str(recipient) {
            parsed.push(Box::new(own));
        } else if let Ok(ssh) = ssh::Recipient::from_str(recipient) {
            parsed.push(Box::new(ssh));
        } else {
            let of_plugin = plugin::Recipient::from_str(recipient);
            of_plugins.push(of_plugin.map_err(|_| AgeEncryptError::Recipient(recipient.clone()))?);
        }
    }
    let names: BTreeSet<&str> = of_plugins.iter().map(plugin::Recipient::plugin).collect();
    for name in names {
        // What is public can be encrypted to without a passphrase.
        let started = RecipientPluginV1::new(name, &of_plugins, &[], Person::new(Nobody));
        parsed.push(Box::new(started.map_err(|_| no_plugin(name, &of_plugins))?));
    }
    Ok(parsed)
}

fn no_plugin(name: &str, recipients: &[plugin::Recipient]) -> AgeEncryptError {
    let recipient = recipients.iter().find(|recipient| recipient.plugin() == name);
    AgeEncryptError::NoPlugin {
        recipient: recipient.map(ToString::to_string).unwrap_or_default(),
        program: format!("age-plugin-{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{AgeEncryptError, seal};
    use crate::model::{Reference, Secret};
    use crate::secret::env::IdentitySources;
    use crate::secret::{AllowedPaths, Identities, Nobody, SecretResolver, read};

    #[test]
    fn what_is_sealed_to_identities_they_open() {
        let key = |name: &str| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/keys").join(name)
        };
        let (ssh, _) =
            Identities::gather(&[key("ed25519"), key("rsa")], &IdentitySources::default(), Nobody);
        let own = age::x25519::Identity::generate();
        let text = age::secrecy::ExposeSecret::expose_secret(&own.to_string()).to_owned();
        let sources = IdentitySources {
            texts: vec![("X", Secret::new(&text))],
            ..IdentitySources::default()
        };
        let (both, _) = Identities::gather(&[key("ed25519")], &sources, Nobody);
        assert_eq!((ssh.recipients().len(), both.recipients().len()), (2, 2));

        let sealed = seal(b"the token", both.recipients()).unwrap();

        for identities in [ssh, both] {
            let resolver = SecretResolver::new(identities, AllowedPaths::default());
            let read = read(&Reference::Age(sealed.clone()), &resolver).unwrap();
            assert_eq!(read.expose(), "the token");
        }
    }

    #[test]
    fn nobody_is_no_recipient() {
        assert!(matches!(seal(b"x", &[]), Err(AgeEncryptError::NoRecipient)));
        assert!(matches!(
            seal(b"x", &["age1nobody".to_owned()]),
            Err(AgeEncryptError::Recipient(_))
        ));
    }
}
