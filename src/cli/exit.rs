//! The exit status.

use std::process::ExitCode;

/// The outcome of a verb, in terraform's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All went well.
    Success,
    /// Something is wrong, and was reported.
    Failure,
    /// With `--detailed-exitcode`: all went well, and there are changes to make.
    Changes,
    /// Somebody pressed Ctrl-C before all was done.
    Interrupted,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Success => Self::SUCCESS,
            ExitStatus::Failure => Self::FAILURE,
            ExitStatus::Changes => Self::from(2),
            // As a shell says it of a process that SIGINT has ended.
            ExitStatus::Interrupted => Self::from(130),
        }
    }
}
