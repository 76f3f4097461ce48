//! What of an entry a run reads.

use std::collections::HashSet;
use std::sync::Arc;

use crate::manifest::Entry;
use crate::model::sops::ParsedSops;
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
    pub(super) fn includes(
        self,
        reference: &Reference,
        part: ClientPart,
        opened: &OpenedDocuments,
    ) -> bool {
        match self {
            Self::Client => true,
            Self::IdAlone => {
                let asks = || secret::asks_program(reference) && !opened.have(reference);
                part == ClientPart::Id && !asks()
            }
            Self::Nothing => false,
        }
    }
}

/// The SOPS documents that are opened for clients; what else is in them costs nothing.
pub(super) struct OpenedDocuments(HashSet<*const ParsedSops>);

impl OpenedDocuments {
    pub(super) fn of(entries: &[Arc<Entry>], needed: &dyn Fn(&Entry) -> Needed) -> Self {
        let selected = entries.iter().filter(|entry| needed(entry) == Needed::Client);
        let clients =
            selected.flat_map(|entry| [&entry.client_id.value, &entry.client_secret.value]);
        Self(clients.filter_map(document).collect())
    }

    fn have(&self, reference: &Reference) -> bool {
        document(reference).is_some_and(|document| self.0.contains(&document))
    }
}

fn document(reference: &Reference) -> Option<*const ParsedSops> {
    match reference {
        Reference::Sops { document, .. } => Some(Arc::as_ptr(document)),
        _ => None,
    }
}
