//! The wave that is on, where targets are changed in waves.

use std::fmt;

use jiff::Timestamp;

use crate::model::UndoneWave;

/// The first wave that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStatus {
    /// It, and why it is not done.
    pub undone: UndoneWave,
    /// When it begins, where it waited then for the pause between waves to be over.
    pub begins: Option<Timestamp>,
}

impl fmt::Display for RolloutStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UndoneWave { wave, why } = &self.undone;
        match &self.begins {
            _ if why.is_stop() => write!(f, "{wave} has stopped the rollout: {why}"),
            Some(begins) => {
                let begins = begins.strftime("%Y-%m-%d %H:%M:%S UTC");
                write!(f, "{wave} begins at {begins}: {why}")
            }
            None => write!(f, "{wave} is on: {why}"),
        }
    }
}
