//! Many references, parted for the cores.

use std::ops::Range;
use std::sync::Arc;

use super::sops::DecryptedDocument;
use super::{SecretResolver, Unreadable, checked, read};
use crate::model::sops::ParsedSops;
use crate::model::{Reference, Secret};

/// What each core takes at a time.
#[derive(Default)]
pub(super) struct WorkBatches<'r> {
    pub(super) all: Vec<WorkBatch<'r>>,
    /// The last one of a document.
    last: Option<usize>,
}

/// References that are read by one core, each by its number.
pub(super) enum WorkBatch<'r> {
    Single(usize),
    /// The values of a document among these, so that it is opened once for them and forgotten.
    Document(&'r Arc<ParsedSops>, Range<usize>),
}

impl<'r> WorkBatches<'r> {
    /// Adds the next reference. Those of one document are thought to follow each other, maybe with
    /// others between them.
    pub(super) fn add(&mut self, number: usize, reference: &'r Reference) {
        let Reference::Sops { document, .. } = reference else {
            self.all.push(WorkBatch::Single(number));
            return;
        };
        match self.last.and_then(|last| self.all.get_mut(last)) {
            Some(WorkBatch::Document(last, among)) if Arc::ptr_eq(last, document) => {
                among.end = number + 1;
            }
            _ => {
                self.last = Some(self.all.len());
                self.all.push(WorkBatch::Document(document, number..number + 1));
            }
        }
    }
}

impl WorkBatch<'_> {
    /// Reads them and answers each.
    pub(super) fn read(
        &self,
        references: &[&Reference],
        resolver: &SecretResolver,
        mut answer: impl FnMut(usize, Result<Secret, Unreadable>),
    ) {
        let (document, among) = match self {
            Self::Single(number) => return answer(*number, read(references[*number], resolver)),
            Self::Document(document, among) => (document, among),
        };
        let opened = DecryptedDocument::of(document, resolver);
        for number in among.clone() {
            let at = match references[number] {
                Reference::Sops { document: other, at } if Arc::ptr_eq(other, document) => *at,
                _ => continue,
            };
            let value = match &opened {
                Ok(opened) => opened.at(at, document).and_then(|secret| checked(secret, resolver)),
                Err(why) => Err(why.clone()),
            };
            answer(number, value);
        }
    }
}
