//! Notifying webhooks that the manifests are in error or cannot be fetched, and that this is over.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::codes::EventCode;
use crate::diagnostic::Severity;
use crate::model::counted;
use crate::status::{ManifestStatus, SourceStatus, Status};
use crate::target::Stop;

use super::notice::{Notice, post};
use super::webhook::{Webhook, WebhookSender};

/// What was reported of the manifests.
pub(super) struct ManifestNotifier {
    webhooks: WebhookSender,
    are_in_error: bool,
    is_source_failing: bool,
}

impl ManifestNotifier {
    pub(super) fn new(stop: Stop) -> Self {
        Self {
            webhooks: WebhookSender::new(None, stop),
            are_in_error: false,
            is_source_failing: false,
        }
    }

    /// Sends what is new.
    pub(super) fn report(&mut self, status: &Status, webhooks: &[Webhook], now: Timestamp) {
        let commit = status.manifests.commit.as_ref();
        // To a webhook that is there later, it is still new.
        let of_manifests = if webhooks.is_empty() { None } else { self.news(&status.manifests) };
        let news = of_manifests.into_iter().chain(self.of_source(status));
        for (event, message) in news {
            let notice = Notice::new(event, message, now).at_commit(commit);
            post(&mut self.webhooks, webhooks, &notice);
        }
    }

    /// Waits until fetching fails or succeeds as it did not when that was last reported.
    pub(super) async fn source_changed(
        &self,
        statuses: &mut watch::Receiver<Arc<Status>>,
    ) -> Arc<Status> {
        let is_failing =
            |status: &Status| status.source.as_ref().is_some_and(|source| source.error.is_some());
        let is_new = |status: &Arc<Status>| is_failing(status) != self.is_source_failing;
        let found = statuses.wait_for(is_new).await.ok().map(|status| Arc::clone(&status));
        match found {
            Some(status) => status,
            None => std::future::pending().await,
        }
    }

    fn of_source(&mut self, status: &Status) -> Option<(EventCode, String)> {
        let source = status.source.as_ref()?;
        let was_failing = std::mem::replace(&mut self.is_source_failing, source.error.is_some());
        match (was_failing, &source.error) {
            (false, Some(why)) => {
                let message = format!(
                    "the repository {} cannot be fetched, and the last commit {}: {why}",
                    source.url,
                    SourceStatus::rest(status.manifests.are_in_force())
                );
                Some((EventCode::SourceFailed, message))
            }
            (true, None) => {
                let message = format!("the repository {} can be fetched again", source.url);
                Some((EventCode::SourceFetched, message))
            }
            _ => None,
        }
    }

    fn news(&mut self, manifests: &ManifestStatus) -> Option<(EventCode, String)> {
        let were_in_error = std::mem::replace(&mut self.are_in_error, !manifests.are_in_force());
        match (were_in_error, self.are_in_error) {
            (false, true) => Some((EventCode::ManifestsInError, in_error(manifests))),
            (true, false) => {
                Some((EventCode::ManifestsValid, "the manifests are valid again".to_owned()))
            }
            _ => None,
        }
    }
}

fn in_error(manifests: &ManifestStatus) -> String {
    let problems = manifests.problems.sorted();
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut lines: Vec<String> = errors.map(|error| error.line()).collect();
    lines.extend(manifests.blocker.clone());
    let more = match lines.len() {
        0 | 1 => String::new(),
        count => format!("; {}", counted(count - 1, "more problem")),
    };
    let first = lines.into_iter().next().unwrap_or_default();
    format!("nothing new is applied until this is fixed: {first}{more}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::ManifestNotifier;
    use crate::codes::EventCode;
    use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
    use crate::status::{History, ManifestStatus, Status};
    use crate::target::Stop;

    fn read(problems: &[Diagnostic], blocker: Option<&str>) -> ManifestStatus {
        let mut all = Diagnostics::default();
        problems.iter().for_each(|problem| all.push(problem.clone()));
        ManifestStatus {
            read_at: Some(Timestamp::UNIX_EPOCH),
            problems: Arc::new(all),
            blocker: blocker.map(str::to_owned),
            ..ManifestStatus::default()
        }
    }

    #[test]
    fn an_error_in_manifests_is_reported_once_and_so_is_its_end() {
        let mut notifier = ManifestNotifier::new(Stop::new());
        let unknown = Diagnostic::error(ProblemCode::UnknownField, "unknown field `client_idd`");
        let unknown = unknown.help("did you mean `client_id`?");
        let warning = Diagnostic::warning(ProblemCode::UnknownField, "only a warning");
        assert_eq!(notifier.news(&read(std::slice::from_ref(&warning), None)), None);
        let broken = read(&[warning.clone(), unknown], Some("no target"));
        let status = Status {
            since: Timestamp::UNIX_EPOCH,
            manifests: broken.clone(),
            source: None,
            targets: BTreeMap::new(),
            rollout: None,
            history: History::default(),
        };
        notifier.report(&status, &[], Timestamp::UNIX_EPOCH);
        let (event, message) = notifier.news(&broken).unwrap();
        assert_eq!(event, EventCode::ManifestsInError);
        assert_eq!(
            message,
            "nothing new is applied until this is fixed: unknown field `client_idd` (did you mean `client_id`?); 1 more problem"
        );
        assert_eq!(notifier.news(&broken), None);
        let (event, _) = notifier.news(&read(&[warning], None)).unwrap();
        assert_eq!(event, EventCode::ManifestsValid);
        assert_eq!(notifier.news(&read(&[], None)), None);
    }
}
