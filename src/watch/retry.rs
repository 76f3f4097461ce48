//! When a target is looked at again: pure, the time and the chance come as arguments.

use std::time::Duration;

use tokio::time::Instant;

use super::error::ErrorKind;

/// A connection that lived for so long is none that the target drops at once.
const STABLE: Duration = Duration::from_secs(60);
/// So long after the last conflict it is over.
const CONFLICT_OVER: Duration = Duration::from_secs(2 * 3600);
/// In this part of a pause after a failure, events of the target count for nothing: a step that fails
/// may cause some itself.
const DEAF_PART: u32 = 10;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// Until the next round; none where that comes when its spec changes, and not before.
    pub(super) next: Option<Duration>,
    /// Until an event of the target counts.
    pub(super) deaf: Duration,
}

/// The first pause and the longest one of each kind, between which they double; none where it is not tried again.
fn limits(kind: ErrorKind) -> Option<(Duration, Duration)> {
    let (first, longest) = match kind {
        ErrorKind::Permanent => return None,
        ErrorKind::Unreachable | ErrorKind::Failed => (1, 120),
        ErrorKind::Locked => (1, 60),
        // To ask then is cheap, and people wait for what has just started.
        ErrorKind::NotConnected => (1, 10),
        ErrorKind::Starting => (1, 2),
        ErrorKind::Internal => (1, 300),
        ErrorKind::Conflict => (60, 1800),
    };
    Some((Duration::from_secs(first), Duration::from_secs(longest)))
}

/// The pause after a failure of this kind that follows on so many. `chance` (0 to 1) takes up to half
/// of it away, so that many targets that went down together are not tried again together.
fn pause(kind: ErrorKind, failures: u32, chance: f64) -> Pause {
    let Some((first, longest)) = limits(kind) else {
        return Pause { next: None, deaf: Duration::MAX };
    };
    let pause = first.saturating_mul(2_u32.saturating_pow(failures)).min(longest);
    let pause = pause.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
    let deaf = if kind == ErrorKind::Failed { pause / DEAF_PART } else { pause };
    Pause { next: Some(pause), deaf }
}

/// How the rounds of a target have ended lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    failures: u32,
    /// The rounds in a row in which it was not there yet. They are no reason to wait longer once it is.
    waits: u32,
    /// The connections in a row that ended soon.
    drops: u32,
    /// The conflicts in a row, and when the last one was.
    conflicts: Option<(u32, Instant)>,
}

impl Schedule {
    /// The round succeeded: the next one is a resync. `chance` (0 to 1) takes up to a tenth of the time until then away, so
    /// that many targets that were begun together are not looked at again together.
    pub(super) fn succeeded(&mut self, resync: Duration, chance: f64) -> Pause {
        (self.failures, self.waits) = (0, 0);
        let next = resync.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0);
        Pause { next: Some(next), deaf: Duration::ZERO }
    }

    /// The round failed.
    pub(super) fn failed(&mut self, kind: ErrorKind, now: Instant, chance: f64) -> Pause {
        if kind == ErrorKind::Conflict {
            let earlier = match self.conflicts {
                Some((count, last)) if now.duration_since(last) < CONFLICT_OVER => count,
                _ => 0,
            };
            self.conflicts = Some((earlier.saturating_add(1), now));
            return pause(kind, earlier, chance);
        }
        let count = match kind {
            ErrorKind::NotConnected | ErrorKind::Starting => &mut self.waits,
            _ => &mut self.failures,
        };
        let pause = pause(kind, *count, chance);
        *count = count.saturating_add(1);
        pause
    }

    /// The target closed a connection that had lived for so long; the second value counts how often in
    /// a row it did so soon.
    pub(super) fn disconnected(&mut self, lived: Duration, chance: f64) -> (Pause, u32) {
        if lived >= STABLE {
            self.drops = 0;
        }
        let pause = pause(ErrorKind::Unreachable, self.drops, chance);
        self.drops = self.drops.saturating_add(1);
        (pause, self.drops)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{CONFLICT_OVER, Pause, STABLE, Schedule};
    use crate::watch::error::ErrorKind;

    /// The pauses after so many failures in a row, in seconds; none where there is none.
    fn pauses(kind: ErrorKind, count: usize) -> Vec<Option<u64>> {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        let failed = |_| schedule.failed(kind, now, 0.0).next.map(|pause| pause.as_secs());
        (0..count).map(failed).collect()
    }

    #[test]
    fn each_kind_has_its_pauses() {
        let table: [(ErrorKind, &[u64]); 6] = [
            (ErrorKind::Unreachable, &[1, 2, 4, 8, 16, 32, 64, 120, 120]),
            (ErrorKind::Failed, &[1, 2, 4, 8, 16, 32, 64, 120, 120]),
            (ErrorKind::Locked, &[1, 2, 4, 8, 16, 32, 60, 60]),
            (ErrorKind::NotConnected, &[1, 2, 4, 8, 10, 10]),
            (ErrorKind::Starting, &[1, 2, 2]),
            (ErrorKind::Conflict, &[60, 120, 240, 480, 960, 1800, 1800]),
        ];
        for (kind, expected) in table {
            let expected: Vec<_> = expected.iter().copied().map(Some).collect();
            assert_eq!(pauses(kind, expected.len()), expected, "{kind:?}");
        }
        assert_eq!(pauses(ErrorKind::Permanent, 2), [None, None]);
    }

    #[test]
    fn a_success_begins_anew() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.failed(ErrorKind::Unreachable, now, 0.0);
        let resync = Duration::from_secs(300);
        let pause = schedule.succeeded(resync, 0.0);
        assert_eq!(pause, Pause { next: Some(resync), deaf: Duration::ZERO });
        assert_eq!(schedule.succeeded(resync, 1.0).next, Some(resync * 9 / 10));
        let again = schedule.failed(ErrorKind::Unreachable, now, 0.0);
        assert_eq!(again.next, Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_was_away_for_long_is_looked_at_soon_once_it_starts() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        let mut failed = |kind| schedule.failed(kind, now, 0.0).next.unwrap().as_secs();
        assert_eq!([ErrorKind::Unreachable; 2].map(&mut failed), [1, 2]);
        assert_eq!([ErrorKind::NotConnected; 9].map(&mut failed)[4..], [10; 5]);
        assert_eq!([ErrorKind::Starting; 9].map(&mut failed), [2; 9]);
        assert_eq!(failed(ErrorKind::Unreachable), 4, "it fails for the third time");
    }

    #[test]
    fn chance_takes_at_most_half() {
        let now = Instant::now();
        let pause = |chance| {
            let mut schedule = Schedule { failures: 1_000, ..Schedule::default() };
            schedule.failed(ErrorKind::Unreachable, now, chance).next.unwrap().as_secs()
        };
        assert_eq!([pause(0.0), pause(0.5), pause(1.0)], [120, 90, 60]);
    }

    #[test]
    fn only_what_failed_on_a_target_that_answers_listens_to_its_events_early() {
        let deaf = |kind| {
            let pause = Schedule::default().failed(kind, Instant::now(), 0.0);
            pause.deaf.as_secs_f64() / pause.next.unwrap().as_secs_f64()
        };
        assert_eq!(deaf(ErrorKind::Failed), 0.1);
        assert_eq!(deaf(ErrorKind::Conflict), 1.0);
    }

    #[test]
    fn a_conflict_is_counted_over_successes_until_it_is_over() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        let seconds = |schedule: &mut Schedule, now| {
            schedule.succeeded(Duration::from_secs(300), 0.0);
            schedule.failed(ErrorKind::Conflict, now, 0.0).next.unwrap().as_secs()
        };
        assert_eq!(seconds(&mut schedule, now), 60);
        assert_eq!(seconds(&mut schedule, now), 120);
        assert_eq!(seconds(&mut schedule, now + CONFLICT_OVER), 60);
    }

    #[test]
    fn connections_that_end_soon_are_counted_over_successes() {
        let mut schedule = Schedule::default();
        let mut disconnected = |lived| {
            schedule.succeeded(Duration::from_secs(300), 0.0);
            let (pause, drops) = schedule.disconnected(lived, 0.0);
            (pause.next.unwrap().as_secs(), drops)
        };
        assert_eq!(disconnected(Duration::ZERO), (1, 1));
        assert_eq!(disconnected(STABLE / 2), (2, 2));
        assert_eq!(disconnected(Duration::ZERO), (4, 3));
        assert_eq!(disconnected(STABLE), (1, 1));
    }
}
