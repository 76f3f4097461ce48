//! Whether the watcher's main task still runs, for whoever restarts a process that does not.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two beats.
const INTERVAL: Duration = Duration::from_secs(5);
/// After so long without a beat it is dead. A busy machine may be late by seconds.
const DEAD: Duration = Duration::from_secs(60);

/// Beats as long as the watcher's main task runs.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Mutex<Instant>>);

impl Heartbeat {
    /// It beats now for the first time.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Whether it has beaten lately.
    pub fn is_alive(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < DEAD
    }

    /// Beats for as long as this is polled.
    pub(super) async fn run(&self) -> Infallible {
        loop {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            sleep(INTERVAL).await;
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::{DEAD, Heartbeat};

    #[tokio::test(start_paused = true)]
    async fn it_is_alive_while_it_runs_and_dead_some_time_after() {
        let heartbeat = Heartbeat::new();
        assert!(timeout(DEAD * 10, heartbeat.run()).await.is_err());
        assert!(heartbeat.is_alive());
        advance(DEAD).await;
        assert!(!heartbeat.is_alive());
    }
}
