//! An answer that is made once for each status, and shared by all who ask.

use std::sync::{Arc, Mutex, PoisonError};

use crate::status::Status;

/// What was made last, and of which status.
pub(super) struct Shared<T>(Mutex<Option<(Arc<Status>, T)>>);

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
            && Arc::ptr_eq(of, status)
        {
            return made.clone();
        }
        let made = make(status);
        *last = Some((Arc::clone(status), made.clone()));
        made
    }
}
