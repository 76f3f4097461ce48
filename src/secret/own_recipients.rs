//! The recipients of the identities that were found.

use super::seal::bare;

/// The recipients of all identities that were found, as far as these are known without asking.
#[derive(Default)]
pub(super) struct OwnRecipients {
    known: Vec<String>,
    /// Whether there is an identity whose recipient is not known: a plugin's, or one in an encrypted file.
    has_unknown: bool,
}

impl OwnRecipients {
    /// Adds that of an identity; none where it is not known.
    pub(super) fn add(&mut self, recipient: Option<String>) {
        self.has_unknown |= recipient.is_none();
        self.known.extend(recipient);
    }

    /// Whether it is one of these; comments do not count.
    pub(super) fn has(&self, recipient: &str) -> bool {
        self.known.iter().any(|own| bare(own) == bare(recipient))
    }

    /// Whether none of the identities opens what is encrypted to these. Who has none encrypts for others.
    pub(super) fn are_locked_out_by(&self, recipients: &[String]) -> bool {
        let is_own = |recipient: &String| self.has(recipient);
        !self.has_unknown
            && !self.known.is_empty()
            && !recipients.is_empty()
            && !recipients.iter().any(is_own)
    }
}
