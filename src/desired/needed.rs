//! What of an entry a run reads.

use crate::model::{ClientPart, Reference};
use crate::secret;

/// What of an entry a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The client.
    Client,
    /// Its id, where no program is asked for that: whose the credentials of a target are can be seen only with
    /// the ids of all its entries. An entry whose id cannot be read is left alone, with a warning.
    IdAlone,
    /// Nothing, as where it is for other targets.
    Nothing,
}

impl Needed {
    pub(super) fn includes(self, reference: &Reference, part: ClientPart) -> bool {
        match self {
            Self::Client => true,
            Self::IdAlone => part == ClientPart::Id && !secret::is_from_program(reference),
            Self::Nothing => false,
        }
    }
}
