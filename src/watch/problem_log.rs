//! What is wrong with the manifests, in the log: one line a problem, each logged once and not at every
//! reading.

use crate::diagnostic::Severity;
use crate::status::ManifestStatus;

/// What was logged last.
#[derive(Default)]
pub(super) struct ProblemLog(Vec<String>);

impl ProblemLog {
    /// Logs what is new.
    pub(super) fn log(&mut self, manifests: &ManifestStatus) {
        let mut lines: Vec<(Severity, String)> = Vec::new();
        for problem in manifests.problems.sorted() {
            lines.push((problem.severity, problem.line()));
        }
        let blocker = manifests.blocker.iter();
        lines.extend(blocker.map(|why| (Severity::Error, why.clone())));
        let mut logged = Vec::with_capacity(lines.len());
        for (severity, line) in lines {
            if !self.0.contains(&line) {
                match severity {
                    Severity::Error => tracing::error!("{line}"),
                    Severity::Warning => tracing::warn!("{line}"),
                }
            }
            logged.push(line);
        }
        let is_blocked = !manifests.are_in_force();
        if is_blocked && logged != self.0 {
            tracing::warn!("nothing is changed until this is fixed");
        } else if !is_blocked && !self.0.is_empty() && logged.is_empty() {
            tracing::info!("the manifests are valid again");
        }
        self.0 = logged;
    }
}
