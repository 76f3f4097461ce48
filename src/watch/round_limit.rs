//! How many rounds run at once. A round frees its memory, but malloc keeps the most that was ever in use: a thousand
//! rounds at once would raise that for good.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// More at once are no faster: they share the cores.
const MOST: usize = 64;
/// Work that takes longer waits for its target, and others need not wait for it.
const LONGEST: Duration = Duration::from_secs(2);

/// The limit, shared by all targets.
#[derive(Clone)]
pub(super) struct RoundLimit(Arc<Semaphore>);

impl Default for RoundLimit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl RoundLimit {
    /// Does work of a round once there is a place for it, in the order of asking. The place is given up
    /// when the work has ended or takes long.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        // It is an error only once the semaphore is closed, which nobody does.
        let place = self.0.acquire().await.ok();
        let mut work = pin!(work);
        if let Ok(result) = timeout(LONGEST, &mut work).await {
            return result;
        }
        drop(place);
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn spawn(limit: &RoundLimit, work: impl Future<Output = ()> + Send + 'static) {
        let limit = limit.clone();
        tokio::spawn(async move { limit.run(work).await });
    }

    /// The clock goes on once all that was spawned waits.
    async fn begin() {
        sleep(Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_that_take_long_hold_up_no_other() {
        let limit = RoundLimit::default();
        let begun = Instant::now();
        for _ in 0..MOST {
            spawn(&limit, pending());
        }
        begin().await;
        limit.run(ready(())).await;
        assert_eq!(begun.elapsed().as_secs(), LONGEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_waits_where_the_most_run() {
        let limit = RoundLimit::default();
        let short = Duration::from_millis(10);
        for _ in 0..MOST {
            spawn(&limit, sleep(short));
        }
        begin().await;
        assert!(timeout(short / 2, limit.run(ready(()))).await.is_err());
        limit.run(ready(())).await;
    }
}
