//! Many references, parted for the cores.

use std::collections::HashMap;
use std::sync::Arc;

use super::sops::Unlocked;
use super::{Unreadable, Vault, not_empty, read};
use crate::model::sops::Document;
use crate::model::{Reference, Secret};

/// What each core takes at a time.
#[derive(Default)]
pub(super) struct Portions<'r> {
    pub(super) all: Vec<Portion<'r>>,
    /// The portion of a document, by where it is in memory: a file is read into one place.
    of: HashMap<*const Document, usize>,
}

/// References that are read by one core, each by its number.
pub(super) enum Portion<'r> {
    Single(usize),
    /// All values of a document, which is opened once for them and forgotten.
    Document(&'r Arc<Document>, Vec<(usize, usize)>),
}

impl<'r> Portions<'r> {
    pub(super) fn add(&mut self, number: usize, reference: &'r Reference) {
        let Reference::Sops { document, at } = reference else {
            self.all.push(Portion::Single(number));
            return;
        };
        let all = &mut self.all;
        let portion = *self.of.entry(Arc::as_ptr(document)).or_insert_with(|| {
            all.push(Portion::Document(document, Vec::new()));
            all.len() - 1
        });
        if let Some(Portion::Document(_, values)) = all.get_mut(portion) {
            values.push((number, *at));
        }
    }
}

impl Portion<'_> {
    /// Reads them and answers each.
    pub(super) fn read(
        &self,
        references: &[&Reference],
        vault: &Vault,
        mut answer: impl FnMut(usize, Result<Secret, Unreadable>),
    ) {
        let (document, values) = match self {
            Self::Single(number) => return answer(*number, read(references[*number], vault)),
            Self::Document(document, values) => (document, values),
        };
        let opened = Unlocked::of(document, vault);
        for (number, at) in values {
            let value = match &opened {
                Ok(opened) => opened.at(*at, document).and_then(not_empty),
                Err(why) => Err(why.clone()),
            };
            answer(*number, value);
        }
    }
}
