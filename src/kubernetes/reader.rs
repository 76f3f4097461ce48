//! Reads what the cluster declares, as the watcher's tasks want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::assignment::{ClusterAssignment, assign};
use super::source::Declaring;
use super::writer::Assigned;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::model::Owner;
use crate::status::ManifestStatus;
use crate::watch::{Clock, ReadSpecs, Reading};

/// Reads what is declared; nothing before the cluster has answered.
pub struct ClusterReader {
    pub(super) owner: Owner,
    pub(super) declaring: watch::Receiver<Declaring>,
    pub(super) news: Arc<Notify>,
    pub(super) assigned: watch::Sender<Option<Assigned>>,
    pub(super) clock: Clock,
}

impl ClusterReader {
    /// Waits until it is known what is declared, or why that cannot be known.
    pub async fn answered(&mut self) {
        // An error means that nobody will answer, which the first reading reports.
        drop(self.declaring.wait_for(Declaring::is_answer).await);
    }
}

impl ReadSpecs for ClusterReader {
    fn read(&mut self) -> Reading {
        let Declaring { declared, troubles } = self.declaring.borrow().clone();
        let read_at = Some((self.clock)());
        let Some(declared) = declared else {
            let whys: Vec<String> = troubles.into_values().collect();
            let why = match whys.is_empty() {
                true => "the cluster has not answered yet".to_owned(),
                false => whys.join("; "),
            };
            let manifests =
                ManifestStatus { read_at, blocker: Some(why), ..ManifestStatus::default() };
            return Reading { manifests, ..Reading::default() };
        };
        let mut assignment = assign(&declared, &self.owner);
        let manifests = ManifestStatus {
            read_at,
            files: declared.houses.len() + declared.credentials.len(),
            entries: declared.credentials.len(),
            problems: Arc::new(problems(&assignment, troubles)),
            ..ManifestStatus::default()
        };
        let specs = std::mem::take(&mut assignment.specs);
        self.assigned.send_replace(Some(Arc::new((declared, assignment))));
        Reading { specs: Some(specs), manifests, ..Reading::default() }
    }

    fn changes(&self) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.news))
    }

    fn restart(&mut self) {}
}

/// Objects in error: no other is held up by them, so they are warnings here. So is what keeps changes from being seen:
/// what was declared before stays in force.
fn problems(
    assignment: &ClusterAssignment,
    troubles: BTreeMap<&'static str, String>,
) -> Diagnostics {
    let houses = assignment.houses.iter().map(|(name, of)| ("HomeAssistant", name, &of.fault));
    let credentials = assignment.credentials.iter();
    let credentials = credentials.map(|(name, of)| ("ApplicationCredential", name, &of.fault));
    let mut problems = Diagnostics::default();
    for why in troubles.into_values() {
        let message = format!("{why}; what was read before stays in force");
        problems.push(Diagnostic::warning(ProblemCode::Unreadable, message));
    }
    for (kind, name, fault) in houses.chain(credentials) {
        if let Some(fault) = fault {
            let message = format!("{kind} {name}: {}", fault.message);
            let code =
                if fault.is_final { ProblemCode::BadValue } else { ProblemCode::UnreadableSecret };
            problems.push(Diagnostic::warning(code, message));
        }
    }
    problems
}
