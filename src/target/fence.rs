//! Until when this process may change what another one may change later.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

#[cfg(not(test))]
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::interval;

use crate::http::Stream;

/// Why nothing is sent.
pub(super) const CLOSED: &str = "another replica may act by now";

/// How soon it is seen that a fence was closed while something is on its way.
const LOOK: Duration = Duration::from_millis(100);

/// Until when something may be changed. It is asked right before each command that leaves, so that a process that was
/// stopped for a while changes nothing when it goes on.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<AtomicU64>);

impl PartialEq for Fence {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Fence {}

impl Fence {
    /// Lets changes pass until then, by [`uptime`].
    pub fn open_until(&self, until: Duration) {
        self.0.store(milliseconds(until), Ordering::SeqCst);
    }

    /// Lets nothing pass any more.
    pub fn close(&self) {
        self.open_until(Duration::ZERO);
    }

    /// Whether changes pass now.
    pub fn is_open(&self) -> bool {
        milliseconds(uptime()) < self.0.load(Ordering::SeqCst)
    }

    /// Waits until nothing passes any more. Whenever it is polled it asks the fence, not a timer, which may be late.
    pub async fn ended(&self) {
        let mut looks = interval(LOOK);
        poll_fn(|context| {
            while self.is_open() {
                ready!(looks.poll_tick(context));
            }
            Poll::Ready(())
        })
        .await;
    }
}

fn milliseconds(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

/// The clock of tokio, which passes as a test wants it.
#[cfg(test)]
pub fn uptime() -> Duration {
    static BEGUN: OnceLock<tokio::time::Instant> = OnceLock::new();
    let now = tokio::time::Instant::now();
    let day = Duration::from_secs(24 * 3600);
    day + now.saturating_duration_since(*BEGUN.get_or_init(|| now))
}

/// For how long the machine is up. Unlike other clocks, this one goes on while it sleeps.
#[cfg(not(test))]
pub fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// Where the fence of a connection is set, once. All passes where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct FenceSlot(Arc<OnceLock<Fence>>);

impl FenceSlot {
    /// From now on only what this one lets pass leaves.
    pub(super) fn set(&self, fence: Fence) {
        // A connection is made for one spec, which has one fence.
        drop(self.0.set(fence));
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.get().is_none_or(Fence::is_open)
    }

    /// Waits until nothing passes any more.
    pub(super) async fn ended(&self) {
        match self.0.get() {
            Some(fence) => fence.ended().await,
            None => std::future::pending().await,
        }
    }
}

/// Bytes that leave as long as a fence lets them pass: what a full connection has held back does not leave later.
pub(super) struct FencedStream {
    pub(super) stream: Stream,
    pub(super) fence: FenceSlot,
}

impl AsyncRead for FencedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for FencedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.fence.is_open() {
            return Poll::Ready(Err(io::Error::other(CLOSED)));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Fence, FenceSlot, uptime};

    #[test]
    fn what_was_closed_lets_nothing_pass() {
        let slot = FenceSlot::default();
        assert!(slot.is_open());
        let fence = Fence::default();
        slot.set(fence.clone());
        assert!(!slot.is_open(), "nobody has opened it");
        let hour = Duration::from_secs(3600);
        fence.open_until(uptime() + hour);
        assert!(slot.is_open());
        fence.open_until(uptime());
        assert!(!slot.is_open(), "its time is over");
        fence.open_until(uptime() + hour);
        fence.close();
        assert!(!slot.is_open());
    }
}
