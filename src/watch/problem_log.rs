//! What is wrong with the manifests, in the log: one line a problem, each told once and not at every
//! reading.

use crate::diagnostic::Severity;
use crate::status::Manifests;

/// What was told last.
#[derive(Default)]
pub(super) struct ProblemLog(Vec<String>);

impl ProblemLog {
    /// Tells what is new.
    pub(super) fn tell(&mut self, manifests: &Manifests) {
        let mut lines: Vec<(Severity, String)> = Vec::new();
        for problem in manifests.problems.sorted() {
            let place =
                problem.spot.as_ref().map(|spot| format!("{}: ", spot.place())).unwrap_or_default();
            let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            lines.push((problem.severity, format!("{place}{}{help}", problem.message)));
        }
        let hindrance = manifests.hindrance.iter();
        lines.extend(hindrance.map(|why| (Severity::Error, why.clone())));
        let mut told = Vec::with_capacity(lines.len());
        for (severity, line) in lines {
            if !self.0.contains(&line) {
                match severity {
                    Severity::Error => tracing::error!("{line}"),
                    Severity::Warning => tracing::warn!("{line}"),
                }
            }
            told.push(line);
        }
        let is_blocked = !manifests.are_in_force();
        if is_blocked && told != self.0 {
            tracing::warn!("nothing is changed until that is mended");
        } else if !is_blocked && !self.0.is_empty() && told.is_empty() {
            tracing::info!("the manifests are in order again");
        }
        self.0 = told;
    }
}
