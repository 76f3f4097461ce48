//! Writes back how objects are: status, events, and the mark that keeps an object until what it represents is gone.
//!
//! A status is written when it differs, and never on a timer: a cluster at rest is not written to.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::core::object::HasStatus;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::assignment::ClusterAssignment;
use super::conditions::{conditions, find};
use super::declared::{Declarations, ObjectName};
use super::error;
use super::farewell::{self, DeletionWaits, Finalizer};
use super::resources::{CredentialObject, CredentialStatus, FINALIZER, HouseObject, HouseStatus};
use super::source::Objects;
use super::standing::{self, ObjectStanding};
use crate::status::{Link, Status, TargetStatus};
use crate::target::Stop;
use crate::watch::Clock;

/// Changes within this are written at once.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How soon what was written must be seen, before it is written again.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// The pause after a failure, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether an object was waited for long enough.
const LOOK: Duration = Duration::from_secs(1);

/// What was declared, and what became of it: of one reading.
pub(super) type Assigned = Arc<(Arc<Declarations>, ClusterAssignment)>;

/// Writes back how objects are.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) objects: Objects,
    pub(super) assigned: watch::Receiver<Option<Assigned>>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) recorder: Recorder,
    /// How long an object that is being deleted waits.
    pub(super) patience: Duration,
    pub(super) clock: Clock,
    pub(super) awaited: DeletionWaits,
    /// What was written to each object last, and when, by uid.
    pub(super) written: BTreeMap<String, (Instant, String)>,
}

/// Who reports events.
pub(super) fn recorder(client: &Client) -> Recorder {
    let reporter = Reporter { controller: "appcred".to_owned(), instance: None };
    Recorder::new(client.clone(), reporter)
}

/// What is to become of one object.
struct ObjectVerdict<S> {
    finalizer: Finalizer,
    status: Option<S>,
}

/// A status that has conditions.
trait HasConditions {
    fn conditions(&self) -> &[Condition];
}

impl HasConditions for HouseStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl HasConditions for CredentialStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// What the two kinds have in common.
trait Reported:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + HasStatus<Status: Serialize + PartialEq + HasConditions>
    + Clone
    + Debug
    + DeserializeOwned
{
}

impl Reported for HouseObject {}
impl Reported for CredentialObject {}

impl Writer {
    /// Writes until it is to stop.
    pub(super) async fn run(mut self, stop: Stop) {
        stop.run_until_cancelled(async {
            let mut pause = FIRST_PAUSE;
            let mut last: Option<String> = None;
            loop {
                let (failed, waits) = self.write().await;
                match &failed {
                    Some(why) if last.as_ref() != Some(why) => {
                        tracing::error!("cannot write back to the cluster: {why}");
                    }
                    None if last.is_some() => tracing::info!("the cluster is written to again"),
                    _ => {}
                }
                let next = match (&failed, waits) {
                    (Some(_), _) => Some(pause),
                    (None, true) => Some(LOOK),
                    (None, false) => None,
                };
                pause = if failed.is_some() { (2 * pause).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                let is_failing = failed.is_some();
                last = failed;
                let later = async {
                    match next {
                        Some(next) => sleep(next).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    changed = self.assigned.changed(), if !is_failing => if changed.is_err() { return },
                    changed = self.status.changed(), if !is_failing => if changed.is_err() { return },
                    () = later => {}
                }
                sleep(DEBOUNCE).await;
            }
        })
        .await;
    }

    /// Writes what differs. Answers why something could not be written, and whether an object is waited for.
    async fn write(&mut self) -> (Option<String>, bool) {
        let Some(assigned) = self.assigned.borrow_and_update().clone() else {
            return (None, false);
        };
        let status = self.status.borrow_and_update().clone();
        let (declared, assignment) = &*assigned;
        let target = |name: &ObjectName| status.targets.get(&name.target());
        let now = (self.clock)();
        let (patience, instant) = (self.patience, Instant::now());
        self.awaited.look(declared.deleted(), instant);
        let mut failed = None;
        let mut waits = false;
        for (name, of) in &declared.houses {
            let Some(of_house) = assignment.houses.get(name) else { continue };
            let Some(object) = find_in(&self.objects.houses, name) else { continue };
            let is_over = self.awaited.is_over(&of.uid, patience, instant);
            let finalizer = farewell::of_house(name, of, of_house, target(name), is_over);
            waits |= matches!(finalizer, Finalizer::Waits(_));
            let standing = standing::of_house(of_house, target(name));
            let is_deleted = of.deleted.is_some();
            let standing = standing::unless_deleted(standing, is_deleted, &finalizer, target);
            let before = object.status.clone().unwrap_or_default();
            let new =
                standing.or_else(|| first(object.status.is_none())).map(|standing| HouseStatus {
                    observed_generation: Some(of.generation),
                    last_handled_reconcile_at: of.reconcile_at.clone(),
                    version: version(target(name)).or_else(|| before.version.clone()),
                    credentials: standing::held(of_house, target(name)),
                    conditions: conditions(&standing, of.generation, &before.conditions, now),
                });
            let verdict = ObjectVerdict { finalizer, status: new };
            failed = failed.or(self.settle(&*object, name, verdict).await.err());
        }
        let targets: BTreeMap<ObjectName, &TargetStatus> =
            declared.houses.keys().filter_map(|name| Some((name.clone(), target(name)?))).collect();
        for (name, of) in &declared.credentials {
            let Some(of_credential) = assignment.credentials.get(name) else { continue };
            let Some(object) = find_in(&self.objects.credentials, name) else { continue };
            let is_over = self.awaited.is_over(&of.uid, patience, instant);
            let finalizer =
                farewell::of_credential(name, of, (declared, assignment), target, is_over);
            waits |= matches!(finalizer, Finalizer::Waits(_));
            let (standing, targets) =
                standing::of_credential(name, of_credential, assignment, &targets);
            let is_deleted = of.deleted.is_some();
            let standing = standing::unless_deleted(standing, is_deleted, &finalizer, target);
            let before = object.status.clone().unwrap_or_default();
            let standing = standing.or_else(|| first(object.status.is_none()));
            let new = standing.map(|standing| CredentialStatus {
                observed_generation: Some(of.generation),
                last_handled_reconcile_at: of.reconcile_at.clone(),
                targets,
                conditions: conditions(&standing, of.generation, &before.conditions, now),
            });
            let verdict = ObjectVerdict { finalizer, status: new };
            failed = failed.or(self.settle(&*object, name, verdict).await.err());
        }
        (failed, waits)
    }

    /// Writes what is to become of one object.
    async fn settle<K: Reported>(
        &mut self,
        object: &K,
        name: &ObjectName,
        verdict: ObjectVerdict<K::Status>,
    ) -> Result<(), String> {
        let api: Api<K> = Api::namespaced(self.client.clone(), &name.namespace);
        let ObjectVerdict { finalizer, status } = verdict;
        let failed =
            |why: kube::Error| format!("{} {name}: {}", K::kind(&()), error::in_words(&why));
        if !matches!(finalizer, Finalizer::Stays | Finalizer::Waits(_)) {
            let mut all = object.finalizers().to_vec();
            all.retain(|one| one != FINALIZER);
            if finalizer == Finalizer::Add {
                all.push(FINALIZER.to_owned());
            }
            if let Finalizer::GiveUp(houses) = &finalizer {
                let houses: Vec<String> = houses.iter().map(ToString::to_string).collect();
                let note = format!(
                    "what it represents stays on {}: it could not be reached, or an account uses it",
                    houses.join(", ")
                );
                tracing::warn!("{} {name} is deleted, and {note}", K::kind(&()));
                self.report(object, EventType::Warning, "Left", note).await;
            }
            // With the version, so that what others write meanwhile is not lost.
            let metadata = json!({"resourceVersion": object.resource_version(), "finalizers": all});
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            let params = PatchParams::default();
            let patched = api.patch(&name.name, &params, &patch);
            return match error::within(error::REQUEST_TIMEOUT, patched).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                Err(why) => Err(failed(why)),
            };
        }
        let Some(status) = status.filter(|status| object.status() != Some(status)) else {
            return Ok(());
        };
        let Ok(text) = serde_json::to_string(&status) else { return Ok(()) };
        let key = object.uid().unwrap_or_default();
        let is_lagging =
            |(at, last): &(Instant, String)| *last == text && at.elapsed() < SEEN_WITHIN;
        if self.written.get(&key).is_some_and(is_lagging) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        let patched = api.patch_status(&name.name, &params, &patch);
        match error::within(error::REQUEST_TIMEOUT, patched).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(why) => return Err(failed(why)),
        }
        self.written.insert(key, (Instant::now(), text));
        let before = object.status().map(HasConditions::conditions).unwrap_or_default();
        self.report_change(object, before, status.conditions()).await;
        Ok(())
    }

    /// An event where Ready has another reason, or consent is required.
    async fn report_change<K: Reported>(
        &self,
        object: &K,
        before: &[Condition],
        now: &[Condition],
    ) {
        for kind in ["Ready", "ConsentRequired"] {
            let (was, is) = (find(before, kind), find(now, kind));
            let Some(is) = is.filter(|is| was.is_none_or(|was| was.reason != is.reason)) else {
                continue;
            };
            if is.reason == "Progressing" {
                continue;
            }
            let type_ = if is.status == "True" || is.reason == standing::DELETING {
                EventType::Normal
            } else {
                EventType::Warning
            };
            self.report(object, type_, &is.reason, is.message.clone()).await;
        }
    }

    /// That events cannot be written holds nothing up.
    async fn report<K: Reported>(&self, object: &K, type_: EventType, reason: &str, note: String) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(cut(note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let object = object.object_ref(&());
        let published = self.recorder.publish(&event, &object);
        if let Err(why) = error::within(error::REQUEST_TIMEOUT, published).await {
            tracing::debug!("cannot write an event: {}", error::in_words(&why));
        }
    }
}

/// An object that nothing is known of yet says so; one that had a status before keeps it until more is known.
fn first(is_first: bool) -> Option<ObjectStanding> {
    is_first.then(ObjectStanding::begun)
}

fn version(target: Option<&TargetStatus>) -> Option<String> {
    match &target?.link {
        Link::Up { version, .. } => version.clone(),
        _ => None,
    }
}

fn find_in<K: Resource<DynamicType = ()> + Clone + 'static>(
    store: &Store<K>,
    name: &ObjectName,
) -> Option<Arc<K>> {
    store.get(&ObjectRef::new(&name.name).within(&name.namespace))
}

/// A note of an event has a kilobyte at most.
fn cut(mut note: String) -> String {
    const LONGEST: usize = 1000;
    if note.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| note.is_char_boundary(*at)).unwrap_or_default();
        note.truncate(end);
        note.push('…');
    }
    note
}
