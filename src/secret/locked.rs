//! Identities that need a person before they open anything. Each asks once, and only when no other
//! identity fits.

use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use age::plugin::{self, IdentityPluginV1};
use age::{Callbacks, DecryptError, Identity, scrypt, ssh, x25519};
use age_core::format::{FileKey, Stanza};

use crate::files;

use super::age::{self as age_file, NotOpened};
use super::ask::Person;
use super::env::holds_identity;
use super::hybrid::HybridIdentity;
use super::identities::{IdentityProblem, Plugins};
use super::key_text::identity_fault;
use super::recipients::ssh_mark;

/// The most work that a passphrase may cost: a gibibyte of memory, and seconds.
const MAX_WORK: u8 = 20;

/// The first line of an encrypted identity file that is no identity, once one was found.
pub(super) type BadLine = Arc<OnceLock<IdentityProblem>>;

type DecryptedIdentities = Result<Vec<Box<dyn Identity + Send + Sync>>, DecryptError>;

/// An OpenSSH key under a passphrase.
pub(super) struct LockedSsh {
    key: ssh::EncryptedKey,
    /// How a file names the key among its recipients.
    mark: String,
    name: String,
    person: Person,
    unlocked: OnceLock<DecryptedIdentities>,
}

impl LockedSsh {
    /// `None` where its public half cannot be determined.
    pub(super) fn new(key: ssh::EncryptedKey, name: &str, person: &Person) -> Option<Self> {
        let public = ssh::Recipient::try_from(ssh::Identity::Encrypted(key.clone())).ok()?;
        let mark = ssh_mark(&public.to_string())?;
        let unlocked = OnceLock::new();
        Some(Self { key, mark, name: name.to_owned(), person: person.clone(), unlocked })
    }
}

impl Identity for LockedSsh {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let is_ours = stanza.tag.starts_with("ssh-") && stanza.args.first() == Some(&self.mark);
        if !is_ours {
            return None;
        }
        let unlocked = self.unlocked.get_or_init(|| {
            let question = format!("Passphrase for the SSH key ({})", self.name);
            let passphrase = self.person.request_passphrase(&question);
            let passphrase = passphrase.ok_or(DecryptError::KeyDecryptionFailed)?;
            let key = ssh::Identity::Unencrypted(self.key.decrypt(passphrase)?);
            Ok(vec![Box::new(key)])
        });
        try_each(unlocked, stanza)
    }
}

/// A file of identities under a passphrase.
pub(super) struct LockedFile {
    bytes: Vec<u8>,
    name: String,
    person: Person,
    plugins: Plugins,
    bad_line: BadLine,
    unlocked: OnceLock<DecryptedIdentities>,
}

impl LockedFile {
    /// `None` where it is no age file under a passphrase.
    pub(super) fn new(
        bytes: &[u8],
        name: &str,
        person: &Person,
        plugins: Plugins,
        bad_line: &BadLine,
    ) -> Option<Self> {
        let file = age_file::open(bytes).ok()?;
        file.is_scrypt().then(|| Self {
            bytes: bytes.to_vec(),
            name: name.to_owned(),
            person: person.clone(),
            plugins,
            bad_line: Arc::clone(bad_line),
            unlocked: OnceLock::new(),
        })
    }

    fn unlock(&self) -> DecryptedIdentities {
        let question = format!("Passphrase for the identity file ({})", self.name);
        let passphrase = self.person.request_passphrase(&question);
        let key = with_passphrase(passphrase.ok_or(DecryptError::KeyDecryptionFailed)?);
        let file = age_file::open(&self.bytes).map_err(|error| match error {
            NotOpened::Damaged(error) => error,
            NotOpened::TooManyRecipients => DecryptError::InvalidHeader,
        })?;
        let mut plain =
            file.decrypt([&key as &dyn Identity].into_iter()).map_err(wrong_passphrase)?;
        let text = files::read_stream(&mut plain, self.bytes.len() as u64)?;
        let mut keys = Vec::new();
        for (line, word) in words(&text) {
            match parse(word, &self.person, self.plugins) {
                Ok(IdentityLine::Free { key, .. } | IdentityLine::Asking(key)) => keys.push(key),
                // The others may do.
                Err(why) => drop(self.bad_line.set(why.at(&self.name, line))),
            }
        }
        Ok(keys)
    }
}

impl Identity for LockedFile {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        try_each(self.unlocked.get_or_init(|| self.unlock()), stanza)
    }
}

fn try_each(
    unlocked: &DecryptedIdentities,
    stanza: &Stanza,
) -> Option<Result<FileKey, DecryptError>> {
    match unlocked {
        Ok(keys) => keys.iter().find_map(|key| key.unwrap_stanza(stanza)),
        Err(error) => Some(Err(error.clone())),
    }
}

/// One line of an identity file.
pub(super) enum IdentityLine {
    /// Needs no input.
    Free {
        /// The identity.
        key: Box<dyn Identity + Send + Sync>,
        /// To whom is encrypted what it opens.
        recipient: String,
    },
    /// May ask.
    Asking(Box<dyn Identity + Send + Sync>),
}

/// The identities of a file, each with its line, from 1. Where line breaks were lost, as in a variable,
/// several are in one line.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().flat_map(|(at, line)| {
        let words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        words.map(move |word| (at + 1, word))
    })
}

/// Why a text without such words gives nothing. Where the lines of a file were folded into one, as in a variable of a CI,
/// all of it is the comment that its first line was.
pub(super) fn nothing_in(text: &str, name: &str) -> IdentityProblem {
    let name = name.to_owned();
    let why = "the identity is behind a `#`, in a comment: write it into a line of its own";
    match text.lines().position(holds_identity) {
        Some(at) => IdentityProblem::Line { name, line: at + 1, why: Some(why) },
        None => IdentityProblem::Empty { name },
    }
}

/// Why a line of an identity file is not taken.
pub(super) enum NotTaken {
    /// It is no identity, and why, where that can be seen.
    NoIdentity(Option<&'static str>),
    /// The program that keeps it is not there.
    NoPlugin(String),
    /// The program that keeps it may not be started.
    PluginRefused,
}

impl NotTaken {
    /// The problem as it is reported.
    pub(super) fn at(self, name: &str, line: usize) -> IdentityProblem {
        let name = name.to_owned();
        match self {
            Self::NoIdentity(why) => IdentityProblem::Line { name, line, why },
            Self::NoPlugin(program) => IdentityProblem::Plugin { name, line, program },
            Self::PluginRefused => IdentityProblem::PluginRefused { name, line },
        }
    }
}

/// Reads one line of an identity file.
pub(super) fn parse(
    line: &str,
    person: &Person,
    plugins: Plugins,
) -> Result<IdentityLine, NotTaken> {
    if let Ok(key) = x25519::Identity::from_str(line) {
        let recipient = key.to_public().to_string();
        return Ok(IdentityLine::Free { key: Box::new(key), recipient });
    }
    if let Ok(key) = HybridIdentity::from_str(line) {
        let recipient = key.to_public().to_string();
        return Ok(IdentityLine::Free { key: Box::new(key), recipient });
    }
    let none = |_| NotTaken::NoIdentity(identity_fault(line));
    let key = plugin::Identity::from_str(line).map_err(none)?;
    if plugins == Plugins::Refused {
        return Err(NotTaken::PluginRefused);
    }
    let plugin = IdentityPluginV1::new(key.plugin(), std::slice::from_ref(&key), person.clone())
        .map_err(|_| NotTaken::NoPlugin(format!("age-plugin-{}", key.plugin())))?;
    Ok(IdentityLine::Asking(Box::new(Plugin { plugin, busy: Mutex::default() })))
}

/// An identity that a plugin keeps, as one on a hardware key. It is asked one question at a time.
struct Plugin {
    plugin: IdentityPluginV1<Person>,
    busy: Mutex<()>,
}

impl Identity for Plugin {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let _one_at_a_time = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        self.plugin.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let _one_at_a_time = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Identity::unwrap_stanzas(&self.plugin, stanzas)
    }
}

/// What opens files under this passphrase, but none that would take ages.
pub(super) fn with_passphrase(passphrase: secrecy::SecretString) -> scrypt::Identity {
    let mut key = scrypt::Identity::new(passphrase);
    key.set_max_work_factor(MAX_WORK);
    key
}

fn wrong_passphrase(error: DecryptError) -> DecryptError {
    match error {
        DecryptError::DecryptionFailed => DecryptError::KeyDecryptionFailed,
        other => other,
    }
}
