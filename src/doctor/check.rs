//! The result of one look.

use crate::codes::{CheckCode, HealthCode};
use crate::model::{TargetName, Visible};

/// The result of one look. Neither text has a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What was looked at.
    pub code: CheckCode,
    /// The target that it is about; none where it is about the project or this machine.
    pub target: Option<TargetName>,
    /// What came of it.
    pub health: HealthCode,
    /// What was seen.
    pub seen: String,
    /// What to do; none where nothing is to be done.
    pub help: Option<String>,
}

impl HealthCheck {
    pub(super) fn ok(code: CheckCode, seen: impl AsRef<str>) -> Self {
        Self::new(code, HealthCode::Ok, seen)
    }

    pub(super) fn skipped(code: CheckCode, why: impl AsRef<str>) -> Self {
        Self::new(code, HealthCode::Skipped, why)
    }

    pub(super) fn warning(code: CheckCode, seen: impl AsRef<str>) -> Self {
        Self::new(code, HealthCode::Warning, seen)
    }

    pub(super) fn error(code: CheckCode, seen: impl AsRef<str>) -> Self {
        Self::new(code, HealthCode::Error, seen)
    }

    /// Says what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn of(self, target: &TargetName) -> Self {
        Self { target: Some(target.clone()), ..self }
    }

    /// What is seen may be in the words of a server, or have the name of a file.
    fn new(code: CheckCode, health: HealthCode, seen: impl AsRef<str>) -> Self {
        let seen = seen.as_ref().visible().into_owned();
        Self { code, target: None, health, seen, help: None }
    }
}
