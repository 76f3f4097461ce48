//! A text -> an age file.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};
use age::plugin::{self, RecipientPluginV1};
use age::{EncryptError, Encryptor, Recipient, ssh, tag, tagpq, x25519};
use age_core::format::{FileKey, Stanza};
use thiserror::Error;

use super::Nobody;
use super::ask::Person;
use super::env::holds_identity;
use super::hybrid::{self, HybridRecipient};
pub use super::key_text::recipient_fault;
use super::recipients::mark;

/// What to do about recipients that age does not combine.
pub const MIXED: &str = "age encrypts to both kinds in no file, which would be as weak as the weaker one: \
name recipients of one kind (`appcred keygen --pq` makes a post-quantum one)";

/// Why nothing was encrypted.
#[derive(Debug, Error)]
pub enum AgeEncryptError {
    /// There is no recipient.
    #[error(
        "there is no age recipient to encrypt to: `appcred keygen` makes an identity and prints its recipient, which `age: recipients:` in appcred.yaml or a rule in .sops.yaml names"
    )]
    NoRecipient,
    /// Not a recipient that appcred can encrypt to.
    #[error("{} is not an age recipient: {}", shown(.0), recipient_fault(.0))]
    Recipient(String),
    /// A secret in the place of a recipient, which is not repeated.
    #[error("an identity, which is secret, was given in the place of a recipient")]
    Identity,
    /// Recipients that age does not combine.
    #[error("{other} is not post-quantum, and {post_quantum} is; {MIXED}")]
    Mixed {
        /// One that is.
        post_quantum: String,
        /// One that is not.
        other: String,
    },
    /// The program that encrypts to it is missing.
    #[error("{} needs the program {program}, which is not in PATH", shown(recipient))]
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
    if let Some((post_quantum, other)) = mixture(recipients) {
        return Err(AgeEncryptError::Mixed {
            post_quantum: shown(post_quantum),
            other: shown(other),
        });
    }
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
    native(text).is_some() || of_plugin(text).is_some()
}

/// A recipient that needs no plugin.
fn native(text: &str) -> Option<Box<dyn Recipient>> {
    fn of<R: Recipient + FromStr + 'static>(text: &str) -> Option<Box<dyn Recipient>> {
        text.parse::<R>().ok().map(|recipient| Box::new(recipient) as _)
    }
    // age itself and SOPS refuse one in upper case, which is Bech32 all the same.
    let is_upper = text.starts_with("AGE1");
    of::<x25519::Recipient>(text)
        .filter(|_| !is_upper)
        .or_else(|| of::<HybridRecipient>(text))
        .or_else(|| of::<ssh::Recipient>(text))
        .or_else(|| of::<tag::Recipient>(text))
        .or_else(|| of::<tagpq::Recipient>(text))
}

/// A recipient of a plugin. Those that age itself has are none.
fn of_plugin(text: &str) -> Option<plugin::Recipient> {
    let recipient = plugin::Recipient::from_str(text).ok()?;
    (!["pq", "tag", "tagpq"].contains(&recipient.plugin())).then_some(recipient)
}

/// A recipient that a quantum computer does not break and one that it does; a plugin says itself what its
/// own can be combined with.
pub fn mixture(recipients: &[String]) -> Option<(&str, &str)> {
    let all = || recipients.iter().map(String::as_str);
    let is_safe =
        |text: &&str| text.starts_with(hybrid::RECIPIENT) || text.starts_with("age1tagpq1");
    let is_other = |text: &&str| !is_safe(text) && native(text).is_some();
    all().find(is_safe).zip(all().find(is_other))
}

/// The beginning is enough to recognise it.
pub fn shown(recipient: &str) -> String {
    match recipient.char_indices().nth(24) {
        Some((end, _)) => format!("`{}…`", &recipient[..end]),
        None => format!("`{recipient}`"),
    }
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
        if let Some(native) = native(recipient) {
            parsed.push(native);
        } else if let Some(of_plugin) = of_plugin(recipient) {
            of_plugins.push(of_plugin);
        } else if holds_identity(recipient) {
            return Err(AgeEncryptError::Identity);
        } else {
            return Err(AgeEncryptError::Recipient(recipient.clone()));
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

    use bech32::{Bech32, Hrp};

    use super::{AgeEncryptError, bare, is_recipient, mixture, seal, seal_binary, shown};
    use crate::model::{Reference, Secret};
    use crate::secret::env::IdentitySources;
    use crate::secret::{AllowedPaths, Identities, Nobody, SecretResolver, read};

    #[test]
    fn a_recipient_is_in_lower_case() {
        let own = age::x25519::Identity::generate().to_public().to_string();
        assert!(is_recipient(&own) && !is_recipient(&own.to_uppercase()));
    }

    #[test]
    fn what_is_sealed_to_identities_they_open() {
        let key = |name: &str| {
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/keys").join(name)
        };
        let (ssh, _) = Identities::gather(
            &[key("ed25519").into(), key("rsa").into()],
            &IdentitySources::default(),
            Nobody,
        );
        let own = age::x25519::Identity::generate();
        let text = age::secrecy::ExposeSecret::expose_secret(&own.to_string()).to_owned();
        let sources = IdentitySources {
            texts: vec![("X", Secret::new(&text))],
            ..IdentitySources::default()
        };
        let (both, _) = Identities::gather(&[key("ed25519").into()], &sources, Nobody);
        assert_eq!((ssh.recipients().len(), both.recipients().len()), (2, 2));

        let sealed = seal(b"the token", both.recipients()).unwrap();
        let binary = seal_binary(b"the token", both.recipients()).unwrap();

        for identities in [ssh, both] {
            let resolver = SecretResolver::new(identities, AllowedPaths::default());
            let read = read(&Reference::Age(sealed.clone()), &resolver).unwrap();
            assert_eq!(read.expose(), "the token");
            assert_eq!(resolver.open(&binary).unwrap().as_slice(), b"the token");
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

    fn of(kind: &str) -> String {
        bech32::encode::<Bech32>(Hrp::parse_unchecked(kind), b"whatever it is").unwrap()
    }

    fn own() -> String {
        age::x25519::Identity::generate().to_public().to_string()
    }

    #[test]
    fn a_recipient_is_of_age_of_ssh_or_of_a_plugin() {
        let ssh = include_str!("../../tests/cases/keys/ed25519.pub");
        for text in [&own(), ssh, &of("age1aaa")] {
            assert!(is_recipient(text), "{text}");
        }
        for text in [&of("age1tag"), &of("age1tagpq"), &of("age1pq"), "age1aaa1", "ssh-rsa AAAA"] {
            assert!(!is_recipient(text), "{text}");
        }
    }

    #[test]
    fn a_post_quantum_recipient_is_combined_with_its_kind_and_with_plugins() {
        let (own, of_plugin) = (own(), of("age1aaa"));
        let mixture = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(|&text| text.to_owned()).collect();
            mixture(&all).map(|(safe, other)| (safe.to_owned(), other.to_owned()))
        };
        for safe in ["age1pq1a", "age1tagpq1a"] {
            let both = Some((safe.to_owned(), own.clone()));
            assert_eq!(mixture(&[safe, &of_plugin, &own]), both);
            assert_eq!(mixture(&[&own, safe]), both);
            assert_eq!(mixture(&[safe, "age1pq1b", "age1tagpq1b", &of_plugin]), None);
        }
        assert_eq!(mixture(&[&own, &of_plugin]), None);
    }

    #[test]
    fn a_recipient_is_shown_by_its_beginning_and_compared_without_its_comment() {
        assert_eq!(shown("age1short"), "`age1short`");
        assert_eq!(shown(&format!("{}x", "a".repeat(24))), format!("`{}…`", "a".repeat(24)));
        assert_eq!(bare("ssh-ed25519  AAAA ann@house"), "ssh-ed25519 AAAA");
    }

    #[test]
    fn a_plugin_that_is_missing_is_named_with_its_recipient() {
        let recipients = [of("age1zzz"), own(), of("age1aaa")];
        let Err(AgeEncryptError::NoPlugin { recipient, program }) = seal(b"x", &recipients) else {
            panic!("there is no such plugin")
        };
        assert_eq!((recipient, program.as_str()), (recipients[2].clone(), "age-plugin-aaa"));
        let identity = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
        assert!(matches!(seal(b"x", &[identity]), Err(AgeEncryptError::Identity)));
    }
}
