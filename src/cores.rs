//! Work that is divided among all cores.

use rayon::prelude::*;

/// So many are done sooner by one thread than others have started.
const FEW: usize = 16;

/// What becomes of each item, in their order.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if items.len() <= FEW {
        return items.iter().map(work).collect();
    }
    items.par_iter().map(work).collect()
}
