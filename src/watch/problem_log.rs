//! What is wrong with the manifests, in the log: one line a problem, each logged once and not at every
//! reading, and the end of it.

use crate::diagnostic::Severity;
use crate::status::ManifestStatus;

/// What was logged last.
#[derive(Default)]
pub(super) struct ProblemLog {
    lines: Vec<String>,
    is_blocked: bool,
}

impl ProblemLog {
    /// Logs what is new.
    pub(super) fn log(&mut self, manifests: &ManifestStatus) {
        let mut lines: Vec<(Severity, String)> = Vec::new();
        for problem in manifests.problems.sorted() {
            lines.push((problem.severity, problem.line()));
        }
        let blocker = manifests.blocker.iter();
        lines.extend(blocker.map(|why| (Severity::Error, why.clone())));
        for (severity, line) in &lines {
            if !self.lines.contains(line) {
                match severity {
                    Severity::Error => tracing::error!("{line}"),
                    Severity::Warning => tracing::warn!("{line}"),
                }
            }
        }
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        let was_blocked = std::mem::replace(&mut self.is_blocked, !manifests.are_in_force());
        let before = std::mem::replace(&mut self.lines, lines);
        if self.is_blocked && self.lines != before {
            tracing::warn!("nothing new is applied until this is fixed");
        } else if was_blocked && !self.is_blocked {
            tracing::info!("no error is left, so changes are applied again");
        } else if !before.is_empty() && self.lines.is_empty() {
            tracing::info!("no warning is left");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::ProblemLog;
    use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
    use crate::status::ManifestStatus;
    use crate::watch::round_log::tests::logged;

    #[test]
    fn the_end_of_an_error_is_logged_though_a_warning_remains() {
        let error = Diagnostic::error(ProblemCode::YamlSyntax, "no YAML");
        let warning = Diagnostic::warning(ProblemCode::Expiring, "it expires soon");
        let read = |problems: &[&Diagnostic], blocker: Option<&str>| {
            let mut all = Diagnostics::default();
            problems.iter().for_each(|&problem| all.push(problem.clone()));
            let read_at = Some(Timestamp::UNIX_EPOCH);
            let blocker = blocker.map(str::to_owned);
            ManifestStatus {
                read_at,
                problems: Arc::new(all),
                blocker,
                ..ManifestStatus::default()
            }
        };
        let mut log = ProblemLog::default();
        let mut of = |manifests: ManifestStatus| logged(|| log.log(&manifests));
        let stopped = "WARN nothing new is applied until this is fixed";
        let valid = "INFO no error is left, so changes are applied again";
        assert_eq!(of(read(&[&warning], None)), ["WARN it expires soon"]);
        assert_eq!(of(read(&[&error, &warning], None)), ["ERROR no YAML", stopped]);
        assert_eq!(of(read(&[&warning], None)), [valid]);
        assert_eq!(of(read(&[], None)), ["INFO no warning is left"]);
        assert_eq!(of(read(&[&error], None)), ["ERROR no YAML", stopped]);
        assert_eq!(of(read(&[], Some("it crashed"))), ["ERROR it crashed", stopped]);
        assert_eq!(of(read(&[], None)), [valid]);
    }
}
