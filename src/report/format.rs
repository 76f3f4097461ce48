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
    /// Whether a text is a report in this format, as far as it shows that.
    pub is_report: fn(&str) -> bool,
}

impl Format {
    /// The format with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        super::FORMATS.iter().find(|format| format.name == name)
    }

    /// Whether a text is a report in one of the formats.
    pub fn any_wrote(text: &str) -> bool {
        super::FORMATS.iter().any(|format| (format.is_report)(text))
    }
}
