//! What files of secrets hold: each is read once a run, and in the next one only if it has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::Unreadable;
use super::once_map::OnceMap;
use crate::files::Stamp;

/// What a file held when it was like this.
struct CachedFile<V> {
    stamp: Option<Stamp>,
    content: Arc<Result<V, Unreadable>>,
}

impl<V> Clone for CachedFile<V> {
    fn clone(&self) -> Self {
        Self { stamp: self.stamp, content: Arc::clone(&self.content) }
    }
}

/// What files hold, by their real paths.
pub(super) struct FileCache<V> {
    read: OnceMap<PathBuf, CachedFile<V>>,
    earlier: BTreeMap<PathBuf, CachedFile<V>>,
}

impl<V> Default for FileCache<V> {
    fn default() -> Self {
        Self { read: OnceMap::default(), earlier: BTreeMap::new() }
    }
}

impl<V> FileCache<V> {
    /// What a file holds.
    pub(super) fn with<T>(
        &self,
        path: &Path,
        read: impl FnOnce() -> Result<V, Unreadable>,
        then: impl FnOnce(&Result<V, Unreadable>) -> T,
    ) -> T {
        let make = || {
            // Taken before reading: what changes in between has another stamp the next time.
            let stamp = Stamp::of(path);
            match self.earlier.get(path).filter(|known| known.stamp == stamp) {
                Some(known) => known.clone(),
                None => CachedFile { stamp, content: Arc::new(read()) },
            }
        };
        self.read.with(&path.to_owned(), make, |found| then(&found.content))
    }

    /// For the next run: all that was read in this one, but for what may have changed meanwhile.
    pub(super) fn renewed(&self, now: Timestamp) -> Self {
        let is_settled =
            |found: &CachedFile<V>| found.stamp.is_some_and(|stamp| stamp.is_settled(now));
        let earlier = self.read.made().into_iter().filter(|(_, found)| is_settled(found)).collect();
        Self { read: OnceMap::default(), earlier }
    }
}
