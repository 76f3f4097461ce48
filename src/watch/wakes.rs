//! Rounds that programs ask for: none is lost, and they do not come one on the heels of another.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::model::TargetName;

/// From one such round to the next: each reads all files and asks Home Assistant.
const PAUSE: Duration = Duration::from_secs(5);

/// Somebody asks for all files to be read again, and for these targets to be looked at.
#[derive(Debug)]
pub struct WakeRequest {
    /// The targets.
    pub targets: BTreeSet<TargetName>,
}

/// The rounds that were asked for and have not begun.
pub struct Wakes {
    requests: mpsc::Receiver<WakeRequest>,
    /// What the next one is to look at; none where nobody has asked.
    asked: Option<BTreeSet<TargetName>>,
    /// When the next one may begin.
    earliest: Instant,
}

impl Wakes {
    /// Where they come from.
    pub fn new(requests: mpsc::Receiver<WakeRequest>) -> Self {
        Self { requests, asked: None, earliest: Instant::now() }
    }

    /// Takes requests as they come, without end.
    pub(super) async fn take_all(&mut self) -> Infallible {
        while let Some(WakeRequest { targets }) = self.requests.recv().await {
            self.asked.get_or_insert_default().extend(targets);
        }
        std::future::pending().await
    }

    /// Waits for the next round; answers what it is to look at.
    pub(super) async fn next(&mut self) -> BTreeSet<TargetName> {
        loop {
            if self.asked.is_none() {
                match self.requests.recv().await {
                    Some(WakeRequest { targets }) => self.asked = Some(targets),
                    None => std::future::pending().await,
                }
            }
            let earliest = self.earliest;
            tokio::select! {
                never = self.take_all() => match never {},
                () = sleep_until(earliest) => {}
            }
            if let Some(targets) = self.asked.take() {
                self.earliest = Instant::now() + PAUSE;
                return targets;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::{PAUSE, WakeRequest, Wakes};
    use crate::model::TargetName;

    fn targets(names: &[&str]) -> BTreeSet<TargetName> {
        names.iter().map(|name| TargetName::new(*name)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_within_a_while_is_one_more_round_when_that_is_over() {
        let (sender, requests) = mpsc::channel(1);
        let mut wakes = Wakes::new(requests);
        let begun = Instant::now();
        sender.send(WakeRequest { targets: targets(&["home"]) }).await.unwrap();
        assert_eq!((wakes.next().await, begun.elapsed()), (targets(&["home"]), <_>::default()));

        // As many as come while the files are read.
        let asking = async {
            for name in ["home", "cabin", "home"] {
                sender.send(WakeRequest { targets: targets(&[name]) }).await.unwrap();
            }
        };
        tokio::select! {
            never = wakes.take_all() => match never {},
            () = asking => {}
        }
        // Nothing is lost where something else comes first.
        assert!(timeout(PAUSE / 2, wakes.next()).await.is_err());
        assert_eq!((wakes.next().await, begun.elapsed()), (targets(&["cabin", "home"]), PAUSE));
        assert!(timeout(PAUSE * 10, wakes.next()).await.is_err(), "one more, not several");
    }
}
