//! Targets in a sentence.

use std::fmt;

use crate::model::{TargetName, counted};

/// Of more than this, three are named and the rest counted.
pub(super) const MOST_NAMED: usize = 8;

/// Targets that are alike. Of many only the first are named.
#[derive(Default)]
pub struct Names<'a>(pub Vec<&'a TargetName>);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.0.len() > MOST_NAMED { 3 } else { self.0.len() };
        let names: Vec<&str> = self.0[..shown].iter().map(|name| name.as_str()).collect();
        f.write_str(&names.join(", "))?;
        match self.0.len() - shown {
            0 => Ok(()),
            rest => write!(f, " and {}", counted(rest, "other")),
        }
    }
}
