//! To whom an age file is encrypted, as far as that can be determined.
//!
//! age does not say: a recipient of its own kind leaves no trace, an SSH key a short one. So what is
//! encrypted here carries a mark, a digest of all its recipients, in a place where every reader of
//! age files passes over what it does not know, and under the file's own check. The digest names nobody,
//! but whoever guesses all of the recipients can see by it that the guess is right.

use age::{DecryptError, Identity};
use age_core::format::{FileKey, Stanza};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};

use super::age::NotOpened;
use super::seal::bare;
use super::{Identities, Unreadable, age as age_file};

/// How the mark is called. age calls so what is there to be passed over.
const MARK: &str = "appcred-recipients-grease";

/// To whom an age file is encrypted, compared with who it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientComparison {
    /// To just those.
    Same,
    /// To others, or it cannot be determined.
    Other,
    /// To a passphrase.
    Passphrase,
}

/// The mark for these recipients, in whatever order.
pub(super) fn mark(recipients: &[String]) -> Stanza {
    let names = sorted(recipients);
    let digest = Sha256::digest(format!("appcred recipients\n{}\n", names.join("\n")));
    let digest_text = STANDARD_NO_PAD.encode(&digest[..16]);
    Stanza { tag: MARK.to_owned(), args: vec![digest_text], body: Vec::new() }
}

/// How an age file names an SSH key among its recipients.
pub(super) fn ssh_mark(recipient: &str) -> Option<String> {
    let key = STANDARD.decode(recipient.split(' ').nth(1)?).ok()?;
    Some(STANDARD_NO_PAD.encode(&Sha256::digest(key)[..4]))
}

fn sorted(recipients: &[String]) -> Vec<String> {
    let mut names: Vec<String> = recipients.iter().map(|name| bare(name)).collect();
    names.sort();
    names.dedup();
    names
}

/// Compares those whom an age file is encrypted to with those who are wanted: by the mark, and where
/// there is none by whom of them each part is for, if the identities found can show it.
pub(super) fn compare(
    bytes: &[u8],
    wanted: &[String],
    identities: &Identities,
) -> Result<RecipientComparison, Unreadable> {
    let file = age_file::open(bytes).map_err(|error| match error {
        NotOpened::TooManyRecipients => Unreadable::TooManyRecipients,
        NotOpened::Damaged(_) => Unreadable::Damaged("its header is incomplete"),
    })?;
    if !age_file::is_file(bytes) {
        return Err(Unreadable::Damaged("it does not start with the header of one"));
    }
    if file.is_scrypt() {
        return Ok(RecipientComparison::Passphrase);
    }
    let recorder = StanzaRecorder::default();
    // It opens nothing, so that every part is shown to it.
    if file.decrypt([&recorder as &dyn Identity].into_iter()).is_ok() {
        return Ok(RecipientComparison::Other);
    }
    let stanzas = recorder.seen();
    let is_same = match is_marked_for(&stanzas, wanted) {
        Some(is_same) => is_same,
        None => {
            let keys = stanzas.iter().filter(|stanza| !is_grease(stanza));
            let found: Option<Vec<String>> =
                keys.map(|stanza| recipient_of(stanza, wanted, identities)).collect();
            found.is_some_and(|found| sorted(&found) == sorted(wanted))
        }
    };
    Ok(if is_same { RecipientComparison::Same } else { RecipientComparison::Other })
}

/// Whether an age file's mark is that of these recipients; `None` where it has none.
pub(super) fn is_marked_for(stanzas: &[Stanza], recipients: &[String]) -> Option<bool> {
    let found = stanzas.iter().find(|stanza| stanza.tag == MARK)?;
    Some(found.args == mark(recipients).args)
}

/// Whose part of a file this is; `None` where that cannot be determined.
fn recipient_of(stanza: &Stanza, wanted: &[String], identities: &Identities) -> Option<String> {
    if stanza.tag.starts_with("ssh-") {
        let is_its = |name: &&String| ssh_mark(name).as_ref() == stanza.args.first();
        return wanted.iter().find(is_its).cloned();
    }
    identities.recipient_of(stanza)
}

/// Whether a part is for nobody: age adds one with a random name, so that readers learn to ignore what they
/// do not know.
pub(super) fn is_grease(stanza: &Stanza) -> bool {
    stanza.tag.ends_with("-grease")
}

/// An identity that opens nothing and records the parts that it is shown.
#[derive(Default)]
pub(super) struct StanzaRecorder(Mutex<Vec<Stanza>>);

impl StanzaRecorder {
    /// Those parts.
    pub(super) fn seen(self) -> Vec<Stanza> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity for StanzaRecorder {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        });
        None
    }
}
