//! Which identity opened a file last: it opens the next one most likely, so it is tried first.

use std::sync::atomic::{AtomicUsize, Ordering};

use age::{DecryptError, Identity};
use age_core::format::{FileKey, Stanza};

/// The number of an identity among several.
#[derive(Default)]
pub(super) struct OpenedLast(AtomicUsize);

impl OpenedLast {
    /// All of these, beginning with the one that opened a file last.
    pub(super) fn first<'i>(
        &'i self,
        identities: impl ExactSizeIterator<Item = &'i dyn Identity>,
    ) -> Vec<Remembered<'i>> {
        let remembered = |(number, identity)| Remembered { identity, number, last: self };
        let mut all: Vec<_> = identities.enumerate().map(remembered).collect();
        let last = self.0.load(Ordering::Relaxed);
        if let Some(before) = all.get_mut(..=last) {
            before.rotate_right(1);
        }
        all
    }
}

/// An identity that notes that it opened a file.
pub(super) struct Remembered<'i> {
    identity: &'i dyn Identity,
    number: usize,
    last: &'i OpenedLast,
}

impl Identity for Remembered<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.identity.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let opened = self.identity.unwrap_stanzas(stanzas);
        if matches!(opened, Some(Ok(_))) {
            self.last.0.store(self.number, Ordering::Relaxed);
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use age::Identity;
    use age::x25519;

    use super::OpenedLast;

    fn seal(to: &x25519::Identity) -> Vec<u8> {
        age::encrypt(&to.to_public(), b"hush").unwrap()
    }

    #[test]
    fn what_opened_a_file_last_is_tried_first_and_all_are_tried_still() {
        let keys: Vec<_> = (0..4).map(|_| x25519::Identity::generate()).collect();
        let last = OpenedLast::default();
        let mut numbers = Vec::new();
        for key in [2, 2, 0, 3, 1] {
            let all = last.first(keys.iter().map(|key| key as &dyn Identity));
            numbers.push(all.iter().map(|one| one.number).collect::<Vec<_>>());
            let sealed = seal(&keys[key]);
            let file = age::Decryptor::new(&sealed[..]).unwrap();
            assert!(file.decrypt(all.iter().map(|one| one as &dyn Identity)).is_ok());
        }
        let order = [[0, 1, 2, 3], [2, 0, 1, 3], [2, 0, 1, 3], [0, 1, 2, 3], [3, 0, 1, 2]];
        assert_eq!(numbers, order);
    }
}
