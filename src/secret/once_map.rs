//! What is made once a run, whoever asks for it first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Values by key; two who ask for one key at the same time wait for one making.
pub(super) struct OnceMap<K, V>(Mutex<BTreeMap<K, Arc<OnceLock<V>>>>);

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, V> OnceMap<K, V> {
    /// Makes the value of a key if it is not there, and uses it.
    pub(super) fn with<T>(
        &self,
        key: &K,
        make: impl FnOnce() -> V,
        then: impl FnOnce(&V) -> T,
    ) -> T {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key.clone()).or_default())
        };
        then(slot.get_or_init(make))
    }

    /// All that was made so far, by key.
    pub(super) fn made(&self) -> Vec<(K, V)>
    where
        V: Clone,
    {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.iter().filter_map(|(key, slot)| Some((key.clone(), slot.get()?.clone()))).collect()
    }
}
