//! What is counted over a watcher's life.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::codes::{ActionCode, OutcomeCode};

/// The upper bounds of the durations' buckets, in seconds.
pub const BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// What happened at one target.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Rounds that succeeded.
    pub succeeded: u64,
    /// Looks that did not.
    pub failed: u64,
    /// How long they took.
    pub durations: Durations,
    /// Steps by their kind, as in `create`, and by how they ended, as in `done`.
    pub steps: BTreeMap<(ActionCode, OutcomeCode), u64>,
    /// How often the target was found changed though no manifest was.
    pub drifts: u64,
}

impl Totals {
    /// Counts a step.
    pub fn count(&mut self, action: ActionCode, outcome: OutcomeCode) {
        *self.steps.entry((action, outcome)).or_default() += 1;
    }
}

/// Durations, as a histogram.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    /// How many were at most as long as each of [`BUCKETS`], and longer than the one before; those
    /// longer than all of them come last.
    pub counts: [u64; BUCKETS.len() + 1],
    /// All together, in seconds.
    pub sum: f64,
}

impl Durations {
    /// Adds one.
    pub fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(BUCKETS.len())] += 1;
        self.sum += seconds;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Durations;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let mut durations = Durations::default();
        for milliseconds in [0, 10, 11, 60_000, 60_001] {
            durations.add(Duration::from_millis(milliseconds));
        }
        assert_eq!(durations.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(durations.count(), 5);
        assert!((durations.sum - 120.022).abs() < 1e-9);
    }
}
