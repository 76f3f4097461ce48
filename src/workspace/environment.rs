//! What the process's environment says, as a plain value: the program reads it once.

use std::path::PathBuf;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::manifest::Project;
use crate::model::{Visible, Windows};
use crate::secret::env::IdentitySources;
use crate::target::Endpoint;
use crate::target::home_assistant::SessionStore;

/// What the process's environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The folder that the process runs in.
    pub folder: PathBuf,
    /// The folder that `~` means.
    pub home: Option<PathBuf>,
    /// The target, where the environment names one, or why that cannot be one.
    pub target: Option<Result<Endpoint, String>>,
    /// Where this person's age identities usually are.
    pub identity_files: Vec<PathBuf>,
    /// The age identities that variables hold or name.
    pub identities: IdentitySources,
    /// Where systemd has put credentials for this process.
    pub credentials: Option<PathBuf>,
    /// The day, in UTC.
    pub today: Date,
    /// What the variable `TZ` says.
    pub time_zone: Option<String>,
    /// Where to keep what outlives a run and is no configuration.
    pub state_folder: Option<PathBuf>,
}

impl Environment {
    /// The windows of a project, in the time zone of this machine where they name none; in UTC where that is not known.
    pub(crate) fn windows(&self, project: &Project) -> Windows {
        let zone = if needs_zone(project) { TimeZone::try_system().ok() } else { None };
        project.policy.windows.in_zone(&zone.unwrap_or(TimeZone::UTC))
    }

    /// Reports windows in the time zone of this machine where that is not known.
    pub(crate) fn unknown_zone(&self, project: &Project) -> Diagnostics {
        let mut problems = Diagnostics::default();
        if let Some(zone) = &self.time_zone
            && needs_zone(project)
            && TimeZone::try_system().is_err()
        {
            let message = format!(
                "the environment variable TZ is `{}`, which names no time zone, so it is not known when windows begin",
                zone.visible()
            );
            let problem = Diagnostic::error(ProblemCode::BadValue, message);
            problems
                .push(problem.help(
                    "correct it, as in `Europe/Berlin`, or write `time_zone` in each window",
                ));
        }
        problems
    }

    /// The sessions of `appcred login`; none where there is no place to keep them.
    pub fn sessions(&self) -> Option<SessionStore> {
        Some(SessionStore::new(self.state_folder.as_ref()?.join("sessions")))
    }
}

/// Whether the time zone of this machine counts. It is not looked up otherwise: that reads the names of all zones.
fn needs_zone(project: &Project) -> bool {
    project.policy.windows.0.iter().any(|window| window.zone.is_none())
}
