//! Peers that give wrong tokens are slowed: after a few, each next one has to wait twice as long.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong tokens that anybody may give without waiting.
const FREE_ATTEMPTS: u32 = 5;
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A peer that gives no wrong token for so long starts again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// More peers are not remembered; the one that has waited longest is forgotten.
const MAX_PEERS: usize = 1024;

/// The peers that gave wrong tokens lately.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Failures>>);

struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(&self) -> Duration {
        let Some(doublings) = self.count.checked_sub(FREE_ATTEMPTS) else { return Duration::ZERO };
        (FIRST_WAIT * 2_u32.saturating_pow(doublings.min(16))).min(LONGEST_WAIT)
    }
}

impl Throttle {
    /// How long a peer still has to wait before its next token is looked at.
    pub(super) fn wait(&self, peer: IpAddr) -> Option<Duration> {
        let peers = self.lock();
        let failures = peers.get(&peer)?;
        failures.wait().checked_sub(failures.last.elapsed()).filter(|wait| !wait.is_zero())
    }

    /// Notes a wrong token; answers how many there were.
    pub(super) fn failed(&self, peer: IpAddr) -> u32 {
        let now = Instant::now();
        let mut peers = self.lock();
        peers.retain(|_, it| now.duration_since(it.last) < FORGOTTEN_AFTER);
        if peers.len() >= MAX_PEERS
            && !peers.contains_key(&peer)
            && let Some(oldest) = peers.iter().min_by_key(|(_, it)| it.last).map(|(peer, _)| *peer)
        {
            peers.remove(&oldest);
        }
        let failures = peers.entry(peer).or_insert(Failures { count: 0, last: now });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        failures.count
    }

    /// Notes a right token.
    pub(super) fn succeeded(&self, peer: IpAddr) {
        self.lock().remove(&peer);
    }

    /// Nothing can panic while this is held, and if so the list would still be whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use tokio::time::advance;

    use super::{FORGOTTEN_AFTER, FREE_ATTEMPTS, LONGEST_WAIT, MAX_PEERS, Throttle};

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test(start_paused = true)]
    async fn each_wrong_token_doubles_the_wait_of_its_peer_alone() {
        let throttle = Throttle::default();
        for _ in 1..FREE_ATTEMPTS {
            throttle.failed(PEER);
            assert_eq!(throttle.wait(PEER), None);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            throttle.failed(PEER);
            let wait = throttle.wait(PEER).unwrap();
            waits.push(wait.as_secs());
            assert_eq!(throttle.wait(OTHER), None);
            advance(wait).await;
            assert_eq!(throttle.wait(PEER), None);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        throttle.failed(PEER);
        throttle.succeeded(PEER);
        assert_eq!(throttle.wait(PEER), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_in_time_and_number() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            throttle.failed(PEER);
        }
        assert_eq!(throttle.wait(PEER), Some(LONGEST_WAIT));
        advance(FORGOTTEN_AFTER).await;
        assert_eq!(throttle.failed(PEER), 1);
        advance(Duration::from_secs(1)).await;
        for nth in 0..MAX_PEERS as u32 {
            throttle.failed(IpAddr::V4(Ipv4Addr::from_bits(nth)));
        }
        assert_eq!(throttle.lock().len(), MAX_PEERS);
        assert!(!throttle.lock().contains_key(&PEER), "the oldest is forgotten");
    }
}
