//! What a kind of target may ask of the project file.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Located, ProblemCode};
use crate::model::Reference;

/// The fields of one target in the project file. `Ok(None)` is a field that is not there.
pub trait ReadSettings {
    /// Whether a field is there.
    fn has(&self, field: &str) -> bool;

    /// A text that is not empty.
    ///
    /// # Errors
    /// Where it is none, as below.
    fn text(&mut self, field: &str) -> Result<Option<String>, Reported>;

    /// The base of web addresses, without a slash at its end.
    ///
    /// # Errors
    /// Where it is none.
    fn base_url(&mut self, field: &str) -> Result<Option<String>, Reported>;

    /// A path, from the folder of the project file.
    ///
    /// # Errors
    /// Where it is none.
    fn path(&mut self, field: &str) -> Result<Option<PathBuf>, Reported>;

    /// A list of texts.
    ///
    /// # Errors
    /// Where it is none, or an item is no text.
    fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, Reported>;

    /// A secret, in plain text only where the project allows that.
    ///
    /// # Errors
    /// Where it is none.
    fn secret(&mut self, field: &str) -> Result<Option<Located<Reference>>, Reported>;

    /// The folder of the project file.
    fn folder(&self) -> &Path;

    /// Reports a problem of a field.
    fn refuse(&mut self, field: &str, problem: SettingProblem) -> Reported;
}

/// What is wrong with a field.
pub struct SettingProblem {
    /// The stable name of the kind of problem.
    pub code: ProblemCode,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<&'static str>,
    /// Whether the field should not be there, rather than have another value.
    pub is_field: bool,
}

/// A problem that was reported where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported;
