//! What a format of reports is.

use std::io;

use crate::model::Links;

use super::Report;

/// A format that reports are written in.
#[derive(Debug)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Writes a report.
    ///
    /// # Errors
    /// None in practice: reports are written to memory.
    pub write: fn(&Report<'_>, Links) -> io::Result<String>,
}

impl Format {
    /// The format with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        super::FORMATS.iter().find(|format| format.name == name)
    }
}
