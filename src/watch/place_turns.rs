//! One round at a time in each place: what was another target until now may still be in the middle of its last one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

type PlaceTurn = Arc<tokio::sync::Mutex<()>>;

/// The places where rounds are, shared by all targets.
#[derive(Clone, Default)]
pub(super) struct PlaceTurns(Arc<Mutex<HashMap<PathBuf, PlaceTurn>>>);

/// A place that no other round is in.
pub(super) struct PlaceGuard {
    guard: Option<OwnedMutexGuard<()>>,
    place: PathBuf,
    turns: PlaceTurns,
}

impl PlaceTurns {
    /// Waits until no other round is in this place.
    pub(super) async fn take(&self, place: PathBuf) -> PlaceGuard {
        let turn = self.with(|turns| Arc::clone(turns.entry(place.clone()).or_default()));
        PlaceGuard { guard: Some(turn.lock_owned().await), place, turns: self.clone() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<PathBuf, PlaceTurn>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for PlaceGuard {
    fn drop(&mut self) {
        self.guard = None;
        self.turns.with(|turns| {
            // Others may wait for it.
            if turns.get(&self.place).is_some_and(|turn| Arc::strong_count(turn) == 1) {
                turns.remove(&self.place);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use futures_util::FutureExt;

    use super::PlaceTurns;

    #[tokio::test]
    async fn who_comes_to_a_place_waits_for_who_is_there() {
        let turns = PlaceTurns::default();
        let place = || PathBuf::from("http://home");
        let first = turns.take(place()).await;
        assert!(turns.take(place()).now_or_never().is_none());
        assert!(turns.take(PathBuf::from("http://other")).now_or_never().is_some());
        drop(first);
        assert!(turns.take(place()).now_or_never().is_some());
        assert_eq!(turns.with(|turns| turns.len()), 0, "none is kept");
    }
}
