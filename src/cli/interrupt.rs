//! Ctrl-C and SIGTERM: the first ends a run once what is in flight is finished, the second at once.

use tokio::signal::unix::{SignalKind, signal};

use crate::target::Stop;

use super::console;

/// Cancels on the first Ctrl-C or SIGTERM, and is over on the second.
pub(super) fn stop_on_signal(stop: Stop) -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if !stop.is_cancelled() {
                console::print_error(
                    "\nInterrupted: finishing what is in flight; press Ctrl-C again to leave at once.\n",
                );
                stop.cancel();
            }
        }
    })
}
