//! An answer that is made once for each status, and shared by all who ask.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::status::Status;

/// What was made last, and of which status. That one is not kept: it may hold links for consent that lead nowhere now.
pub(super) struct Shared<T>(Mutex<Option<(Weak<Status>, T)>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Shared<T> {
    /// What `make` makes of this status, made only if it is not the last one.
    pub(super) fn of(&self, status: &Arc<Status>, make: impl FnOnce(&Arc<Status>) -> T) -> T {
        // Nothing that panics leaves it half made.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, made)) = &*last
            // No other status takes its place in memory while this is there.
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(status))
        {
            return made.clone();
        }
        let made = make(status);
        *last = Some((Arc::downgrade(status), made.clone()));
        made
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::Shared;
    use crate::status::Status;
    use crate::watch::StatusStore;

    fn status() -> Arc<Status> {
        StatusStore::new(|| Timestamp::UNIX_EPOCH).subscribe().borrow().clone()
    }

    #[test]
    fn what_was_made_is_shared_as_long_as_the_status_is_the_same_and_keeps_no_old_one() {
        let shared = Shared::default();
        let (one, mut made) = (status(), 0);
        let mut make = |status: &Arc<Status>| {
            shared.of(status, |_| {
                made += 1;
                made
            })
        };
        assert_eq!([make(&one), make(&one), make(&status())], [1, 1, 2]);
        assert_eq!(make(&one), 3);
        let seen = Arc::downgrade(&one);
        drop(one);
        assert!(seen.upgrade().is_none(), "the old status is still there");
        assert_eq!(make(&status()), 4);
    }
}
