//! Work that is divided among all cores.

use std::sync::LazyLock;

use rayon::ThreadPool;
use rayon::prelude::*;

/// So many are done sooner by one thread than others have started.
const FEW: usize = 16;

/// A thread for each core; none where the operating system lets this process have no more.
static THREADS: LazyLock<Option<ThreadPool>> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().build().ok());

/// What becomes of each item, in their order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if items.len() > FEW
        && let Some(threads) = &*THREADS
    {
        return threads.install(|| items.par_iter().map(work).collect());
    }
    items.iter().map(work).collect()
}
