//! A file of secrets that is not valid YAML.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostics, SourceFile};
use crate::model::is_name;

/// What is wrong with a file of secrets, at its places. It is reported once, however many secrets are in
/// the file.
#[derive(Clone, Debug)]
pub struct BrokenFile(pub(super) Arc<Diagnostics>);

impl BrokenFile {
    /// Its problems.
    pub fn problems(&self) -> &Diagnostics {
        &self.0
    }
}

impl PartialEq for BrokenFile {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for BrokenFile {}

impl std::error::Error for BrokenFile {}

impl fmt::Display for BrokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.sorted().first() {
            Some(first) => match &first.spot {
                Some(spot) => write!(f, "{}: {}", spot.place(), first.message),
                None => f.write_str(&first.message),
            },
            None => f.write_str("it is not valid YAML"),
        }
    }
}

/// A file of secrets whose values are masked.
pub(super) fn source(path: &Path, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile::new(path.to_owned(), text.to_owned(), mask))
}

/// Everything but the names at the beginning of a line.
fn mask(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let name = line.split_once(": ").map(|(name, _)| name).filter(|name| is_name(name));
        ranges.push(start + name.map_or(0, |name| name.len() + 2)..start + line.len());
        start += line.len();
    }
    ranges
}
