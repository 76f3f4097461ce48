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
    /// The time zone of this machine; UTC where it is not known.
    pub time_zone: Option<TimeZone>,
    /// What should be the time zone of this machine and names none.
    pub unknown_time_zone: Option<String>,
    /// Where to keep what outlives a run and is no configuration.
    pub state_folder: Option<PathBuf>,
}

impl Environment {
    /// The windows of a project, in the time zone of this machine where they name none.
    pub(crate) fn windows(&self, project: &Project) -> Windows {
        let zone = self.time_zone.clone().unwrap_or(TimeZone::UTC);
        project.policy.windows.in_zone(&zone)
    }

    /// Reports windows in the time zone of this machine where that is not known.
    pub(crate) fn unknown_zone(&self, project: &Project) -> Diagnostics {
        let mut problems = Diagnostics::default();
        let mut windows = project.policy.windows.0.iter();
        if let Some(zone) = &self.unknown_time_zone
            && windows.any(|window| window.zone.is_none())
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

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::Environment;
    use crate::manifest::Project;
    use crate::model::{Window, Windows};

    #[test]
    fn an_unknown_time_zone_is_an_error_where_a_window_needs_it() {
        let unknown_time_zone = Some("Europe/Berln".to_owned());
        let environment = Environment { unknown_time_zone, ..Environment::default() };
        let mut project = Project::default();
        assert!(!environment.unknown_zone(&project).has_errors());
        let (from, to) = (time(2, 0, 0, 0), time(3, 0, 0, 0));
        let mut in_zone = |zone| {
            project.policy.windows = Windows(vec![Window { days: Vec::new(), from, to, zone }]);
            environment.unknown_zone(&project).has_errors()
        };
        assert!(in_zone(None));
        assert!(!in_zone(Some(TimeZone::UTC)));
    }
}
