//! age files, armored or not.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor, Identity};
use age_core::format::{FileKey, Stanza};
use secrecy::zeroize::Zeroizing;

use crate::files;

use super::locked::with_passphrase;
use super::{Identities, Unreadable};

/// How many recipients an age file may have: each is tried with each identity.
pub(super) const MAX_RECIPIENTS: usize = 500;
/// How age files begin.
const ARMORED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const BINARY: &[u8] = b"age-encryption.org/";

/// Whether this is an age file, whole or not.
pub(super) fn is_file(bytes: &[u8]) -> bool {
    bytes.starts_with(BINARY) || bytes.trim_ascii_start().starts_with(ARMORED)
}

/// Whether an age file has more recipients than are tried. They are counted before age reads the header,
/// which takes it a time that grows with the square of their number.
pub(super) fn has_too_many_recipients(file: &[u8]) -> bool {
    let file = if file.starts_with(BINARY) { file } else { file.trim_ascii() };
    let size = file.len() as u64;
    // What is damaged is reported by whoever opens it.
    let Ok(binary) = files::read_bytes(&mut ArmoredReader::new(file), size, size) else {
        return false;
    };
    let end = binary.windows(5).position(|part| part.starts_with(b"\n--- "));
    let header = &binary[..end.unwrap_or(binary.len())];
    header.windows(4).filter(|part| part.starts_with(b"\n-> ")).count() > MAX_RECIPIENTS
}

/// What is wrong with an armored age file, as far as can be seen without a key.
pub fn age_damage(armored: &str) -> Option<Unreadable> {
    if has_too_many_recipients(armored.as_bytes()) {
        return Some(Unreadable::TooManyRecipients);
    }
    let mut armor = ArmoredReader::new(armored.trim().as_bytes());
    let opened = files::read_bytes(&mut armor, 0, armored.len() as u64)
        .map_err(DecryptError::Io)
        .and_then(|binary| Decryptor::new_buffered(binary.as_slice()).map(drop));
    opened.err().map(|error| unreadable(&error, &Identities::default()))
}

/// Decrypts an age file.
pub(super) fn decrypt(
    bytes: &[u8],
    identities: &Identities,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    if !is_file(bytes) {
        return Err(Unreadable::Damaged("it does not start with the header of one"));
    }
    if has_too_many_recipients(bytes) {
        return Err(Unreadable::TooManyRecipients);
    }
    // White space around an armored file is none of it.
    let bytes = if bytes.starts_with(BINARY) { bytes } else { bytes.trim_ascii() };
    let unreadable = |error: &DecryptError| unreadable(error, identities);
    let file =
        Decryptor::new_buffered(ArmoredReader::new(bytes)).map_err(|error| unreadable(&error))?;
    let mut plain = if file.is_scrypt() {
        let passphrase = identities.passphrase().ok_or(Unreadable::Passphrase)?;
        let key = with_passphrase(passphrase);
        file.decrypt([&key as &dyn Identity].into_iter()).map_err(|error| match error {
            DecryptError::DecryptionFailed => Unreadable::WrongPassphrase,
            error => unreadable(&error),
        })?
    } else {
        let counter = StanzaCounter::default();
        let limit = StanzaLimit::default();
        let tried = [&limit as &dyn Identity].into_iter().chain(identities.all());
        match file.decrypt(tried.chain([&counter as &dyn Identity])) {
            Ok(plain) => plain,
            Err(_) if limit.is_exceeded() => return Err(Unreadable::TooManyRecipients),
            Err(DecryptError::NoMatchingKeys) => return Err(no_match(&counter, identities)),
            Err(error) => return Err(unreadable(&error)),
        }
    };
    let most = bytes.len() as u64;
    files::read_bytes(&mut plain, most, most)
        .map_err(|_| Unreadable::Damaged("its content fails its integrity check"))
}

fn no_match(counter: &StanzaCounter, identities: &Identities) -> Unreadable {
    let recipients = counter.0.load(Ordering::Relaxed);
    if identities.is_empty() {
        Unreadable::NoIdentity { recipients }
    } else {
        Unreadable::NotForUs { recipients, identities: identities.len() }
    }
}

fn unreadable(error: &DecryptError, identities: &Identities) -> Unreadable {
    Unreadable::Damaged(match error {
        DecryptError::InvalidHeader => "its header is incomplete",
        DecryptError::InvalidMac => "its header was changed after it was made",
        DecryptError::UnknownFormat => "its version is not supported",
        DecryptError::Io(_) => "its armor is incomplete",
        DecryptError::ExcessiveWork { .. } => return Unreadable::TooMuchWork,
        DecryptError::KeyDecryptionFailed if identities.went_unanswered() => {
            return Unreadable::Unanswered;
        }
        DecryptError::KeyDecryptionFailed => return Unreadable::WrongPassphrase,
        DecryptError::Plugin(_) if identities.went_unanswered() => return Unreadable::Unanswered,
        DecryptError::Plugin(errors) => {
            let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
            return Unreadable::Plugin(all.join("; "));
        }
        _ => "it cannot be decrypted",
    })
}

/// An identity that opens nothing, asked first: it refuses a file whose recipients would take long to try.
#[derive(Default)]
pub(super) struct StanzaLimit(AtomicBool);

impl StanzaLimit {
    fn is_exceeded(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Identity for StanzaLimit {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        None
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        if stanzas.len() <= MAX_RECIPIENTS {
            return None;
        }
        self.0.store(true, Ordering::Relaxed);
        Some(Err(DecryptError::NoMatchingKeys))
    }
}

/// An identity that opens nothing and counts the recipients; asked last, so only when no other fits.
#[derive(Default)]
struct StanzaCounter(AtomicUsize);

impl Identity for StanzaCounter {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        // age adds a stanza with a random name so that readers learn to ignore what they don't know.
        if !stanza.tag.ends_with("-grease") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        None
    }
}
