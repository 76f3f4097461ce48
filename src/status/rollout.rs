//! Where targets are changed in waves: the wave that is being changed, and how far a target is.

use std::fmt;

use jiff::Timestamp;
use smol_str::SmolStr;

use super::{Difference, EntryStatus};
use crate::model::{Key, Place, TargetProgress, UndoneWave};
use crate::plan::{Plan, Withheld};

/// The first wave that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStatus {
    /// It, and why it is not done.
    pub undone: UndoneWave,
    /// Whether none of its targets that may have something left was read yet.
    pub is_unread: bool,
    /// When it begins or goes on, where it waited then for the pause between waves to be over, or for a window.
    pub begins: Option<Timestamp>,
    /// When the window begins that it waits for, as people read it.
    pub window: Option<SmolStr>,
}

impl fmt::Display for RolloutStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { undone: UndoneWave { wave, why }, is_unread, begins, window } = self;
        match (begins, window) {
            _ if why.is_stop() => write!(f, "{wave} has stopped the rollout: {why}"),
            (_, Some(window)) => {
                write!(f, "{wave} waits for the window that begins on {window}: {why}")
            }
            (Some(begins), None) => {
                let begins = begins.strftime("%Y-%m-%d %H:%M:%S UTC");
                write!(f, "{wave} begins at {begins}: {why}")
            }
            (None, None) if *is_unread => write!(f, "{wave} was not read yet"),
            (None, None) => write!(f, "{wave} is being changed: {why}"),
        }
    }
}

/// How far a target is that has these differences and entries.
pub fn progress(
    undecided: Option<String>,
    differences: &[Difference],
    entries: &[EntryStatus],
) -> TargetProgress {
    // An account that does not run stops nothing where its credential is kept as it is on purpose.
    let entries = entries.iter().filter(|entry| !entry.holding.is_kept_on_purpose());
    let failed = || entries.clone().find_map(EntryStatus::fault_of_client);
    match undecided.or_else(failed) {
        Some(why) => TargetProgress::Failed(why),
        None if differences.iter().any(|difference| difference.wait().is_some()) => {
            TargetProgress::Waits
        }
        None => TargetProgress::Done,
    }
}

/// Where the entry of a key is written.
pub fn place_of<'e>(entries: &'e [EntryStatus], key: &Key) -> Option<&'e Place> {
    entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.place)
}

/// What of a plan keeps targets of later waves from being changed, where its entry is written, and what ends that.
pub fn undecided<'p>(plan: &Plan, place: impl Fn(&Key) -> Option<&'p Place>) -> Option<String> {
    let Withheld { action, why } = plan.stop_of_waves()?;
    let place = action.for_entry().and_then(|wanted| place(&wanted.key));
    let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
    Some(format!("{}{place} is not done: {why} ({})", action.summary(), why.help()))
}
