//! Writes back how objects are: status, events, and the mark that keeps an object until what it represents is gone.
//!
//! A status is written when it differs, and never on a timer: a cluster at rest is not written to. What is refused is
//! tried again for that object alone; all wait where the cluster does not answer. A replica that no longer acts writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::assignment::ClusterAssignment;
use super::declared::{Declarations, Declared, ObjectName, name_of};
use super::event_recorders::EventRecorders;
use super::finalizer::{DeletionWaits, Finalizer};
use super::object_write::{ObjectWrite, Written};
use super::resources::{CredentialObject, InstanceObject};
use super::shards::Acting;
use super::source::Objects;
use super::verdict::{ClusterMoment, Reported, judge};
use crate::status::Status;
use crate::target::{Fence, Stop};
use crate::watch::Clock;

/// Changes within this are written at once.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// So much of the time at most goes into finding out what differs: one part in this many.
const SHARE: u32 = 10;
/// How soon what was written must be seen, before it is written again.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// The pause after a failure, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether an object was waited for long enough.
const LOOK: Duration = Duration::from_secs(1);
/// So many objects are written at once.
const WRITTEN_AT_ONCE: usize = 8;
/// So many are written before it is looked again: what others wait for, as for a finalizer, comes first.
const WRITTEN_IN_A_ROW: usize = 500;

/// One reading of the cluster.
#[derive(Debug)]
pub(super) struct ClusterReading {
    pub(super) declared: Arc<Declarations>,
    /// What became of it.
    pub(super) assignment: ClusterAssignment,
    /// For which objects this replica acts.
    pub(super) acting: Acting,
}

/// Writes back how objects are.
pub(super) struct Writer {
    client: Client,
    objects: Objects,
    assigned: watch::Receiver<Option<Arc<ClusterReading>>>,
    status: watch::Receiver<Arc<Status>>,
    recorders: EventRecorders,
    deletion_timeout: Duration,
    clock: Clock,
    awaited: DeletionWaits,
    /// What came of the last write of each object, by uid, as long as that is of interest.
    last: BTreeMap<String, LastWrite>,
    /// Whether something was refused just now, which is to be said.
    is_refused: bool,
}

/// What came of the last write of an object.
#[derive(Debug, PartialEq)]
enum LastWrite {
    /// It is to be seen; this is the version that was there before.
    Unseen { over: Option<String>, at: Instant },
    /// It was refused, or lost to somebody else's where there is no reason, and is tried again then.
    Rests { why: Option<String>, pause: Duration, next: Instant },
}

/// A write that is to be begun.
struct Job {
    /// Whether the last one of this object has failed.
    is_again: bool,
    write: BoxFuture<'static, (WrittenObject, Written)>,
}

/// Which object was written.
struct WrittenObject {
    kind: String,
    name: ObjectName,
    uid: String,
    version: Option<String>,
    /// Whether all that is written is why its mark could not be set.
    is_resting: bool,
}

/// What differs.
#[derive(Default)]
struct WritesDue {
    jobs: Vec<Job>,
    /// When something is to be looked at again, whatever happens.
    next: Option<Instant>,
}

impl WritesDue {
    /// No more than may be written in a row. What has failed comes last: it holds up nothing that may succeed.
    fn limited(mut self, now: Instant) -> Self {
        self.jobs.sort_by_key(|job| job.is_again);
        if self.jobs.len() > WRITTEN_IN_A_ROW {
            self.jobs.truncate(WRITTEN_IN_A_ROW);
            self.look_at(now);
        }
        self
    }

    fn look_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Writer {
    pub(super) fn new(
        (client, objects): (&Client, Objects),
        assigned: watch::Receiver<Option<Arc<ClusterReading>>>,
        status: watch::Receiver<Arc<Status>>,
        deletion_timeout: Duration,
        clock: Clock,
    ) -> Self {
        Self {
            client: client.clone(),
            objects,
            assigned,
            status,
            recorders: EventRecorders::new(client.clone()),
            deletion_timeout,
            clock,
            awaited: DeletionWaits::default(),
            last: BTreeMap::new(),
            is_refused: false,
        }
    }

    /// Writes until it is to stop.
    pub(super) async fn run(mut self, stop: Stop) {
        stop.run_until_cancelled(async {
            let mut silence: Option<(String, Duration)> = None;
            loop {
                let begun = Instant::now();
                let WritesDue { jobs, next, .. } = self.look();
                let took = begun.elapsed();
                silence = match (self.write(jobs).await, silence) {
                    (None, None) => None,
                    (None, Some(_)) => {
                        tracing::info!("the cluster is written to again");
                        None
                    }
                    (Some(why), last) => {
                        if last.as_ref().is_none_or(|(last, _)| *last != why) {
                            tracing::error!("cannot write back to the cluster: {why}");
                        }
                        let pause = last.map_or(FIRST_PAUSE, |(_, pause)| 2 * pause);
                        Some((why, pause.min(LONGEST_PAUSE)))
                    }
                };
                match &silence {
                    Some((_, pause)) => sleep(*pause).await,
                    None if !self.is_due(begun, next).await => return,
                    None => sleep(DEBOUNCE.max(took * SHARE)).await,
                }
            }
        })
        .await;
    }

    /// Waits until something may differ; false where nothing can come any more.
    async fn is_due(&mut self, looked: Instant, next: Option<Instant>) -> bool {
        if std::mem::take(&mut self.is_refused) {
            return true;
        }
        let rests = self.last.values().filter_map(|last| match last {
            LastWrite::Rests { next, .. } => Some(*next),
            LastWrite::Unseen { .. } => None,
        });
        let next = rests.filter(|next| *next > looked).chain(next).min();
        let later = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.assigned.changed() => changed.is_ok(),
            changed = self.status.changed() => changed.is_ok(),
            changed = self.objects.seen.changed() => changed.is_ok(),
            () = later => true,
        }
    }

    /// Finds out what differs.
    fn look(&mut self) -> WritesDue {
        let mut found = WritesDue::default();
        let Some(assigned) = self.assigned.borrow_and_update().clone() else {
            // Nobody looks meanwhile: such time is no part of what an object waits for.
            self.awaited = DeletionWaits::default();
            return found;
        };
        let ClusterReading { declared, assignment, acting } = &*assigned;
        let instant = Instant::now();
        // Nobody here looks at what is another replica's, either.
        self.awaited.look(declared.deleted().filter(|uid| acting.includes(uid)), instant);
        // It is not held during the writes: whoever changes it would have to copy it.
        let status = self.status.borrow_and_update().clone();
        self.objects.seen.mark_unchanged();
        let stored = self.objects.instances.state();
        let moment = ClusterMoment {
            declared,
            assignment,
            targets: ClusterMoment::targets(declared, &status),
            instances: stored.iter().map(|of| (name_of(&**of), Arc::clone(of))).collect(),
            awaited: &self.awaited,
            deletion_timeout: self.deletion_timeout,
            instant,
            now: (self.clock)(),
        };
        let uids = declared.uids();
        self.last.retain(|uid, _| uids.contains(uid.as_str()));
        self.recorders.retain(&uids);
        self.look_at_kind::<CredentialObject>(&moment, acting, &mut found);
        self.look_at_kind::<InstanceObject>(&moment, acting, &mut found);
        found.limited(instant)
    }

    fn look_at_kind<K: Reported>(
        &self,
        moment: &ClusterMoment<'_>,
        acting: &Acting,
        found: &mut WritesDue,
    ) {
        for (name, of) in K::all(moment.declared) {
            let Some(term) = acting.for_object(&of.uid) else { continue };
            let fence = term.map(|term| term.fence);
            let at = ObjectRef::new(&name.name).within(&name.namespace);
            let Some(object) = K::stored(&self.objects).get(&at) else { continue };
            // Another one of this name: what is known is not about that.
            if object.uid().as_ref() != Some(&of.uid) {
                continue;
            }
            self.look_at_object((name, of), (object, fence), moment, found);
        }
    }

    fn look_at_object<K: Reported>(
        &self,
        (name, of): (&ObjectName, &Declared<K::Declaration>),
        (object, fence): (Arc<K>, Option<Fence>),
        moment: &ClusterMoment<'_>,
        found: &mut WritesDue,
    ) {
        let last = self.last.get(&of.uid);
        let (refused, is_resting) = match last {
            Some(LastWrite::Rests { why, next, .. }) => (why.as_deref(), *next > moment.instant),
            _ => (None, false),
        };
        let Some(mut verdict) = judge(name, of, &*object, moment, refused) else { return };
        if matches!(verdict.finalizer, Finalizer::Waits(_)) {
            found.look_at(moment.instant + LOOK);
        }
        if is_resting && verdict.finalizer == Finalizer::Add {
            // Why it is not marked is said meanwhile.
            verdict.finalizer = Finalizer::Stays;
        } else if is_resting {
            return;
        }
        if matches!(verdict.finalizer, Finalizer::Stays | Finalizer::Waits(_))
            && verdict.status.is_none()
        {
            return;
        }
        if let Some(LastWrite::Unseen { over, at }) = last
            && *over == object.resource_version()
            && at.elapsed() < SEEN_WITHIN
        {
            found.look_at(moment.instant + LOOK);
            return;
        }
        let named = WrittenObject {
            kind: K::kind(&()).into_owned(),
            name: name.clone(),
            uid: of.uid.clone(),
            version: object.resource_version(),
            is_resting,
        };
        let write = ObjectWrite {
            client: self.client.clone(),
            recorders: self.recorders.clone(),
            fence,
            name: name.clone(),
            object,
            verdict,
        };
        let is_again = matches!(last, Some(LastWrite::Rests { .. }));
        let write = async move { (named, write.run().await) }.boxed();
        found.jobs.push(Job { is_again, write });
    }

    /// Writes what differs; answers why the cluster does not answer. Where it answers at all, what gets no answer is a
    /// failure of that object alone, as where a webhook of its namespace hangs.
    async fn write(&mut self, jobs: Vec<Job>) -> Option<String> {
        let writes = stream::iter(jobs).map(|job| job.write);
        let mut writing = writes.buffer_unordered(WRITTEN_AT_ONCE);
        let (mut unanswered, mut is_answered) = (Vec::new(), false);
        while let Some((of, written)) = writing.next().await {
            match written {
                Written::NoAnswer(why) => unanswered.push((of, why)),
                written => {
                    is_answered = true;
                    self.written(of, written);
                }
            }
            if !is_answered && unanswered.len() == WRITTEN_AT_ONCE {
                break;
            }
        }
        let silence = unanswered.first().filter(|_| !is_answered).map(|(_, why)| why.clone());
        for (of, why) in unanswered {
            // Of a cluster that does not answer, that is said once.
            let written = if is_answered { Written::Refused(why) } else { Written::Conflict };
            self.written(of, written);
        }
        silence
    }

    /// Notes what came of a write.
    fn written(&mut self, of: WrittenObject, written: Written) {
        let WrittenObject { kind, name, uid, version, is_resting } = of;
        if is_resting {
            return;
        }
        let now = Instant::now();
        let rests = |why, pause| LastWrite::Rests { why, pause, next: now + pause };
        let new = match (written, self.last.get(&uid)) {
            (Written::Same, _) => {
                self.last.remove(&uid);
                return;
            }
            (Written::Done, last) => {
                if let Some(LastWrite::Rests { why: Some(_), .. }) = last {
                    tracing::info!("{kind} {name} is written again");
                }
                LastWrite::Unseen { over: version, at: now }
            }
            (Written::Conflict | Written::TermIsOver, last) => rests(None, pause_after(last, None)),
            (Written::Refused(why) | Written::NoAnswer(why), last) => {
                let pause = pause_after(last, Some(&why));
                if pause == FIRST_PAUSE {
                    tracing::error!("cannot write {kind} {name}: {why}");
                    self.is_refused = true;
                }
                rests(Some(why), pause)
            }
        };
        self.last.insert(uid, new);
    }
}

/// The pause after a failure: twice that before where it has failed so then too.
fn pause_after(last: Option<&LastWrite>, why: Option<&str>) -> Duration {
    match last {
        Some(LastWrite::Rests { why: last, pause, .. }) if last.as_deref() == why => {
            (2 * *pause).min(LONGEST_PAUSE)
        }
        _ => FIRST_PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use jiff::Timestamp;
    use serde_json::json;
    use tokio::sync::{Notify, watch};
    use tokio::time::Instant;

    use super::{
        Acting, ClusterReading, Job, LastWrite, Writer, WritesDue, Written, WrittenObject,
    };
    use crate::kubernetes::assignment::tests::{assigned, declarations, name};
    use crate::kubernetes::source::{self, ClusterScope};
    use crate::watch::StatusStore;

    /// A writer that was given this, and how long objects wait.
    fn writer(assigned: watch::Receiver<Option<Arc<ClusterReading>>>) -> (Writer, Duration) {
        let api = "http://127.0.0.1:9".parse().unwrap();
        let client = kube::Client::try_from(kube::Config::new(api)).unwrap();
        let (of, declaring, news) =
            ((&client, &ClusterScope::Cluster), watch::Sender::default(), Arc::new(Notify::new()));
        let (_source, objects, _tasks) = source::begin(of, 0, None, declaring, news);
        let statuses = StatusStore::new(|| Timestamp::UNIX_EPOCH);
        let limit = Duration::from_secs(600);
        let now = || Timestamp::UNIX_EPOCH;
        let status = statuses.subscribe();
        (Writer::new((&client, objects), assigned, status, limit, now), limit)
    }

    fn job(uid: &str, is_again: bool, written: Written) -> Job {
        let of = WrittenObject {
            kind: "HomeAssistant".to_owned(),
            name: name(uid),
            uid: uid.to_owned(),
            version: None,
            is_resting: false,
        };
        Job { is_again, write: std::future::ready((of, written)).boxed() }
    }

    fn hung() -> Written {
        Written::NoAnswer("no answer".to_owned())
    }

    #[tokio::test]
    async fn what_gets_no_answer_holds_up_nothing_else() {
        let (mut writer, _) = writer(watch::channel(None).1);
        let hanging = (0..20).map(|number| job(&format!("hangs-{number}"), false, hung()));
        let mut jobs = vec![job("first", false, Written::Done)];
        jobs.extend(hanging);
        jobs.push(job("last", false, Written::Done));
        assert_eq!(writer.write(jobs).await, None);
        assert_eq!(writer.last.len(), 22);
        assert!(matches!(&writer.last["last"], LastWrite::Unseen { .. }));
        let why = |last: &LastWrite| match last {
            LastWrite::Rests { why, .. } => why.clone(),
            LastWrite::Unseen { .. } => None,
        };
        assert_eq!(why(&writer.last["hangs-19"]).as_deref(), Some("no answer"));
    }

    /// It would be waited for in vain, and its status with it.
    #[tokio::test]
    async fn what_was_written_already_is_not_waited_for() {
        let (mut writer, _) = writer(watch::channel(None).1);
        writer.write(vec![job("a", false, Written::Done), job("b", false, Written::Done)]).await;
        writer.write(vec![job("a", false, Written::Same)]).await;
        assert_eq!(writer.last.keys().collect::<Vec<_>>(), ["b"]);
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_answer_is_asked_for_other_objects_next() {
        let (mut writer, _) = writer(watch::channel(None).1);
        let job_of = |writer: &Writer, uid: &str, written| {
            job(uid, matches!(writer.last.get(uid), Some(LastWrite::Rests { .. })), written)
        };
        let uids: Vec<String> = (0..9).map(|number| format!("{number}")).collect();
        let all = |writer: &Writer, of_last: fn() -> Written| {
            let written = |uid: &String| if uid == "8" { of_last() } else { hung() };
            let jobs = uids.iter().map(|uid| job_of(writer, uid, written(uid))).collect();
            WritesDue { jobs, next: None }.limited(Instant::now()).jobs
        };
        let jobs = all(&writer, hung);
        assert_eq!(writer.write(jobs).await.as_deref(), Some("no answer"));
        assert_eq!(writer.last.len(), 8, "more would get no answer, either");
        let jobs = all(&writer, || Written::Done);
        assert_eq!(writer.write(jobs).await, None);
        assert!(matches!(writer.last["8"], LastWrite::Unseen { .. }));
    }

    #[tokio::test]
    async fn while_a_replica_does_not_act_no_object_waits() {
        let mut all = declarations(&[("a", json!({}))]);
        all.credentials.get_mut(&name("a")).unwrap().deleted = Some(Timestamp::UNIX_EPOCH);
        let assignment = assigned(&all);
        let acting = Acting::Alone;
        let reading = ClusterReading { declared: Arc::new(all), assignment, acting };
        let (assign, assigned_in) = watch::channel(Some(Arc::new(reading)));
        let (mut writer, limit) = writer(assigned_in);
        writer.look();
        assert!(writer.awaited.is_over("uid", limit, Instant::now() + limit));
        assign.send_replace(None);
        writer.look();
        assert!(!writer.awaited.is_over("uid", limit, Instant::now() + limit));
    }
}
