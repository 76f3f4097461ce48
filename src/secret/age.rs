//! age files, armored or not.

use std::io::{BufRead, BufReader};

use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor, Identity};
use secrecy::zeroize::Zeroizing;

use crate::files;
use crate::model::{AGE_HEADER, has_merge_conflict};

use super::locked::with_passphrase;
use super::recipients::{StanzaRecorder, is_grease};
use super::{Identities, Unreadable};

/// How many recipients an age file may have: each is tried with each identity.
pub(super) const MAX_RECIPIENTS: usize = 500;
const INCOMPLETE: &str = "its armor is incomplete";
/// How age files begin that are not armored.
const BINARY: &[u8] = b"age-encryption.org/";

/// Whether this is an age file, whole or not.
pub(super) fn is_file(bytes: &[u8]) -> bool {
    bytes.starts_with(BINARY) || is_armored(bytes)
}

/// Whether this is an armored age file, whole or not.
pub(super) fn is_armored(bytes: &[u8]) -> bool {
    trimmed(bytes).starts_with(AGE_HEADER.as_bytes())
}

/// White space around an armored file is none of it, and neither is the byte order mark that editors of
/// Windows put first.
pub(super) fn trimmed(file: &[u8]) -> &[u8] {
    match file {
        binary if binary.starts_with(BINARY) => binary,
        text => text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text).trim_ascii(),
    }
}

/// An age file whose header is read.
pub(super) type OpenedFile<'b> = Decryptor<ArmoredReader<BufReader<&'b [u8]>>>;

/// Why the header of an age file is not read.
pub(super) enum NotOpened {
    /// It has more recipients than are tried.
    TooManyRecipients,
    /// It cannot be read.
    Damaged(DecryptError),
}

/// Reads the header of an age file. Its recipients are counted before age reads it, which takes a time that grows
/// with the square of their number: nothing else makes a `Decryptor` of what may be anything.
#[expect(clippy::disallowed_methods, reason = "the recipients are counted here")]
pub(super) fn open(file: &[u8]) -> Result<OpenedFile<'_>, NotOpened> {
    let file = trimmed(file);
    // What is damaged is reported by age.
    let lines = ArmoredReader::new(file).split(b'\n').map_while(Result::ok);
    let header = lines.take_while(|line| !line.starts_with(b"--- "));
    if header.filter(|line| line.starts_with(b"-> ")).nth(MAX_RECIPIENTS).is_some() {
        return Err(NotOpened::TooManyRecipients);
    }
    Decryptor::new_buffered(ArmoredReader::new(file)).map_err(NotOpened::Damaged)
}

/// Whether the armor of an age file ends too early. Its header, which is read first, may be whole.
fn is_cut(file: &[u8]) -> bool {
    files::read_bytes(&mut ArmoredReader::new(file), 0, file.len() as u64).is_err()
}

/// Decrypts an age file.
pub(super) fn decrypt(
    bytes: &[u8],
    identities: &Identities,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    if !bytes.starts_with(BINARY) && has_merge_conflict(&String::from_utf8_lossy(bytes)) {
        return Err(Unreadable::MergeConflict);
    }
    if !is_file(bytes) {
        return Err(Unreadable::Damaged("it does not start with the header of one"));
    }
    let bytes = trimmed(bytes);
    let unreadable = |error: &DecryptError| unreadable(error, identities);
    let file = open(bytes).map_err(|error| match error {
        NotOpened::TooManyRecipients => Unreadable::TooManyRecipients,
        NotOpened::Damaged(error) => unreadable(&error),
    })?;
    let mut plain = if file.is_scrypt() {
        let passphrase = identities.passphrase().ok_or(Unreadable::Passphrase)?;
        let key = with_passphrase(passphrase);
        file.decrypt([&key as &dyn Identity].into_iter()).map_err(|error| match error {
            DecryptError::DecryptionFailed => Unreadable::WrongPassphrase,
            error => unreadable(&error),
        })?
    } else {
        // Asked last, so only when no other fits.
        let recorder = StanzaRecorder::default();
        let free = identities.free();
        let free = free.iter().map(|identity| identity as &dyn Identity);
        let opened =
            file.decrypt(free.chain(identities.asking()).chain([&recorder as &dyn Identity]));
        match opened {
            Ok(plain) => plain,
            Err(DecryptError::NoMatchingKeys) if is_cut(bytes) => {
                return Err(Unreadable::Damaged(INCOMPLETE));
            }
            Err(DecryptError::NoMatchingKeys) => return Err(no_match(recorder, identities)),
            Err(error) => return Err(unreadable(&error)),
        }
    };
    let most = bytes.len() as u64;
    files::read_bytes(&mut plain, most, most)
        .map_err(|_| Unreadable::Damaged("its content fails its integrity check"))
}

/// The same by identities that need no input; `None` where none of them opens it.
pub(super) fn decrypt_without_asking(
    bytes: &[u8],
    identities: &Identities,
) -> Option<Zeroizing<Vec<u8>>> {
    let file = open(bytes).ok()?;
    let free = identities.free();
    let mut plain = file.decrypt(free.iter().map(|identity| identity as &dyn Identity)).ok()?;
    let most = bytes.len() as u64;
    files::read_bytes(&mut plain, most, most).ok()
}

fn no_match(recorder: StanzaRecorder, identities: &Identities) -> Unreadable {
    let seen = recorder.seen();
    let recipients = seen.iter().filter(|stanza| !is_grease(stanza)).count();
    if let Some(problem) = identities.bad_line() {
        return Unreadable::Identity(problem);
    }
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
        DecryptError::Io(_) => INCOMPLETE,
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
