//! When a target is looked at again: pure, the time and the chance come as arguments.

use std::time::Duration;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(120);

/// How a target has fared lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    failures: u32,
}

impl Schedule {
    /// All went well: the next look is a resync.
    pub(super) fn succeeded(&mut self, resync: Duration) -> Duration {
        self.failures = 0;
        resync
    }

    /// It failed: pauses double up to a cap, and `chance` (0 to 1) takes up to half of each away,
    /// so that many targets that went down together are not knocked at together.
    pub(super) fn failed(&mut self, chance: f64) -> Duration {
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LONGEST, Schedule};

    #[test]
    fn pauses_double_up_to_a_cap_and_begin_anew_after_a_success() {
        let mut schedule = Schedule::default();
        let pauses: Vec<u64> = (0..9).map(|_| schedule.failed(0.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(schedule.succeeded(Duration::from_secs(300)), Duration::from_secs(300));
        assert_eq!(schedule.failed(0.0), Duration::from_secs(1));
    }

    #[test]
    fn chance_takes_at_most_half() {
        let mut schedule = Schedule { failures: 1_000 };
        assert_eq!(schedule.failed(1.0), LONGEST / 2);
        assert_eq!(schedule.failed(0.5), LONGEST.mul_f64(0.75));
    }
}
