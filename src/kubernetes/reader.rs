//! Reads what the cluster declares, as the watcher's tasks want it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::assignment::{ClusterAssignment, assign};
use super::replicas::ActingReplica;
use super::source::Declaring;
use super::writer::ClusterReading;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::model::Owner;
use crate::status::ManifestStatus;
use crate::watch::{Clock, ReadSpecs, Reading};

/// Reads what is declared; nothing before the cluster has answered.
pub struct ClusterReader {
    pub(super) owner: Owner,
    pub(super) declaring: watch::Receiver<Declaring>,
    pub(super) news: Arc<Notify>,
    pub(super) assigned: watch::Sender<Option<Arc<ClusterReading>>>,
    pub(super) clock: Clock,
    /// Who acts; this process where there is nobody else.
    pub(super) acting: Option<watch::Receiver<ActingReplica>>,
}

impl ClusterReader {
    /// Waits until it is known what is declared and who acts, or why that cannot be known.
    pub async fn answered(&mut self) {
        // An error means that nobody will answer, which the first reading reports.
        drop(self.declaring.wait_for(Declaring::is_answer).await);
        if let Some(acting) = &mut self.acting {
            drop(acting.wait_for(|acting| *acting != ActingReplica::Unknown).await);
        }
    }
}

impl ClusterReader {
    /// While another replica acts, nothing is done here, and nothing written.
    fn at_rest(&self, read_at: Option<Timestamp>, acting: ActingReplica) -> Reading {
        self.assigned.send_replace(None);
        let mut manifests = ManifestStatus { read_at, ..ManifestStatus::default() };
        let waits = match acting {
            ActingReplica::Trouble(why) => {
                manifests.blocker = Some(why);
                None
            }
            ActingReplica::Other(name) => {
                Some(format!("the replica {name} acts, and its status page has more"))
            }
            ActingReplica::Missing => {
                Some("there is no Lease: whoever had one may act still".to_owned())
            }
            ActingReplica::Unknown | ActingReplica::This(_) => None,
        };
        if let Some(message) = waits {
            let mut problems = Diagnostics::default();
            problems.push(Diagnostic::warning(ProblemCode::Unreadable, message));
            manifests.problems = Arc::new(problems);
        }
        Reading { specs: Some(BTreeMap::new()), manifests, ..Reading::default() }
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
        let fence = match self.acting.as_ref().map(|acting| acting.borrow().clone()) {
            None => None,
            Some(ActingReplica::This(fence)) => Some(fence),
            Some(other) => return self.at_rest(read_at, other),
        };
        let mut assignment = assign(&declared, &self.owner);
        assignment.specs.values_mut().for_each(|spec| spec.writing.fence.clone_from(&fence));
        let manifests = ManifestStatus {
            read_at,
            files: declared.houses.len() + declared.credentials.len(),
            entries: declared.credentials.len(),
            problems: Arc::new(problems(&assignment, troubles)),
            ..ManifestStatus::default()
        };
        let specs = std::mem::take(&mut assignment.specs);
        let reading = ClusterReading { declared, assignment, fence };
        self.assigned.send_replace(Some(Arc::new(reading)));
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
