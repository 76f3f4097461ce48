//! One replica acts for each shard: the one that a Lease of the cluster names.
//!
//! Who holds a Lease sends a renewal every third of its duration. That replica acts for two thirds of it, counted from the
//! request before the renewal, and no longer, by a clock of its own. Another one takes it over that has seen no
//! renewal for all of the duration, by its own clock too, so that no two clocks are compared; where there is no Lease, who
//! had it is waited for as long, whether or not this replica knows of one. Of two that write at once, the version decides.
//! All that is done in a thread of its own, with a connection of its own: however much work there is, Leases are renewed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, Config, ResourceExt};
use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use super::election::{Election, HeldShard, LeaseStep, Leases};
use super::freshness::{AsOf, since, version};
use super::shards::{ShardHolder, ShardHolders, Term};
use super::{ClusterError, error, lease_log};
use crate::model::counted;
use crate::target::{Fence, Stop, uptime};
use crate::watch::Clock;

/// What the first Lease is called, and all others before a number.
const NAME: &str = "appcred";
/// How often Leases are looked at while one lasts.
const LOOKS: u32 = 9;
/// So many Leases are written at once.
const WRITTEN_AT_ONCE: usize = 16;

/// Which Leases decide who acts.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Where they are.
    pub namespace: String,
    /// How long one lasts after a renewal.
    pub duration: Duration,
    /// What this machine is called; in a pod, the pod.
    pub host: String,
    /// How many shards there are, each with a Lease; one at least.
    pub shards: usize,
}

impl LeaseSettings {
    /// What the Lease of a shard is called.
    pub(super) fn name(&self, shard: usize) -> String {
        match shard {
            0 => NAME.to_owned(),
            _ => format!("{NAME}-{shard}"),
        }
    }

    /// What it means that there is no Lease of a shard.
    pub(super) fn missing(&self) -> String {
        let (namespace, seconds) = (&self.namespace, self.duration.as_secs());
        let lease = match self.shards {
            1 => format!("no Lease {namespace}/{NAME}"),
            _ => format!("no such Lease in {namespace}"),
        };
        format!("there is {lease}: whoever had one may act for {seconds} seconds still")
    }
}

/// Takes part in who acts.
pub struct Replicas {
    config: Config,
    settings: LeaseSettings,
    clock: Clock,
    election: Election,
    holders: watch::Sender<ShardHolders>,
    /// Notified whenever another replica acts for a shard.
    news: Arc<Notify>,
    /// How often the cluster was seen to have another state than before, and the uid and version of each Lease in this one.
    states: watch::Sender<u64>,
    seen: Vec<Option<(Option<String>, u64)>>,
    /// Whether some Lease may have been its own.
    has_taken: bool,
    /// When the Lease of each shard was renewed last.
    renewed: Vec<Duration>,
    /// From when on no shard is taken.
    stop: Stop,
}

impl Replicas {
    pub(super) fn new(
        config: Config,
        settings: LeaseSettings,
        clock: Clock,
        news: Arc<Notify>,
        stop: &Stop,
    ) -> Self {
        let holders = ShardHolders(vec![ShardHolder::Unknown; settings.shards]);
        Self {
            config,
            has_taken: false,
            states: watch::Sender::new(0),
            seen: vec![None; settings.shards],
            renewed: vec![Duration::ZERO; settings.shards],
            election: Election::new(settings.clone()),
            settings,
            clock,
            holders: watch::Sender::new(holders),
            news,
            stop: stop.clone(),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ShardHolders> {
        self.holders.subscribe()
    }

    /// Changes whenever the cluster is seen to have another state than before.
    pub(super) fn states(&self) -> watch::Receiver<u64> {
        self.states.subscribe()
    }

    /// Takes part in a thread of its own until it is to end, and gives the Leases back then: nothing may be in flight
    /// any more. From the stop of the controller on, it keeps what it has, and takes nothing more. Answers when it has ended; there is no answer where it has crashed.
    pub fn start(self, end: Stop) -> oneshot::Receiver<Result<(), ClusterError>> {
        let (answer, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("lease".to_owned());
        // Without a thread there is no answer either.
        let spawned = thread.spawn(move || drop(answer.send(self.run_alone(end))));
        if let Err(why) = spawned {
            tracing::error!("cannot start a thread for the Leases: {why}");
        }
        ended
    }

    fn run_alone(self, end: Stop) -> Result<(), ClusterError> {
        let unusable = |why: &dyn std::error::Error| ClusterError::Unusable(why.to_string());
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(|why| unusable(&why))?.block_on(async {
            // A client sends all by the runtime that it was made in.
            let client = Client::try_from(self.config.clone()).map_err(|why| unusable(&why))?;
            let api = Api::namespaced(client, &self.settings.namespace);
            self.run(&api, end).await;
            Ok(())
        })
    }

    pub(super) async fn run(mut self, api: &Api<Lease>, end: Stop) {
        loop {
            let asked = uptime();
            let is_done = self.round(api, asked).await;
            let pause = self.pause(is_done, asked, uptime());
            if end.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
        }
        self.give_back(api).await;
    }

    /// Looks at all Leases, and writes those that are to be written. Answers whether all of that was done.
    async fn round(&mut self, api: &Api<Lease>, asked: Duration) -> bool {
        // An attempt that gets no answer leaves time for another one before a term is over.
        let limit = self.settings.duration / 6;
        let leases = match error::within(limit, self.read(api)).await {
            Ok(leases) => leases,
            Err(why) => {
                self.election.not_read(uptime());
                let holders = (0..self.settings.shards).map(|shard| self.failed(shard, &why));
                let holders = ShardHolders(holders.collect());
                self.record(holders);
                return false;
            }
        };
        leases.iter().for_each(|(shard, lease)| self.see(*shard, lease));
        let now = uptime();
        let held: Vec<HeldShard> =
            (0..self.settings.shards).map(|shard| self.held(shard, now)).collect();
        let steps =
            self.election.steps(&leases, &held, (now, (self.clock)()), self.stop.is_cancelled());
        for (shard, step) in steps.iter().enumerate() {
            if let (LeaseStep::HandOver(..), Some(term)) = (step, self.term(shard)) {
                // The other one may act as soon as that is written.
                term.fence.close();
            }
        }
        let is_taken =
            |step: &LeaseStep| matches!(step, LeaseStep::Take(_) | LeaseStep::Reserve(..));
        self.has_taken |= steps.iter().any(is_taken);
        let writes: Vec<(usize, Option<Lease>)> =
            steps.iter().map(|step| step.lease().cloned()).enumerate().collect();
        let written = stream::iter(writes).map(|(shard, lease)| async move {
            let lease = lease?;
            Some((shard, error::within(limit, write(api, &lease)).await))
        });
        let mut written = written.buffer_unordered(WRITTEN_AT_ONCE);
        let mut steps: Vec<Option<LeaseStep>> = steps.into_iter().map(Some).collect();
        let (mut ended, mut is_done) = (BTreeMap::new(), true);
        // A term goes on as soon as its own Lease is renewed, whatever becomes of the others.
        while let Some(one) = written.next().await {
            let Some((shard, written)) = one else { continue };
            let Some(step) = steps[shard].take() else { continue };
            is_done &= written.is_ok();
            ended.insert(shard, self.ended(shard, step, Some(written), asked));
        }
        for (shard, step) in steps.into_iter().enumerate() {
            if let Some(step) = step {
                ended.insert(shard, self.ended(shard, step, None, asked));
            }
        }
        self.record(ShardHolders(ended.into_values().collect()));
        is_done
    }

    /// What there is of the Leases.
    async fn read(&self, api: &Api<Lease>) -> kube::Result<Leases> {
        let number = |lease: &Lease| {
            (0..self.settings.shards).find(|shard| self.settings.name(*shard) == lease.name_any())
        };
        let all = match self.settings.shards {
            1 => api.get_opt(NAME).await?.into_iter().collect(),
            _ => api.list(&ListParams::default()).await?.items,
        };
        Ok(all.into_iter().filter_map(|lease| Some((number(&lease)?, lease))).collect())
    }

    /// Sees as of which version a Lease is. One that is older than what was seen of it, or another object, is of another
    /// state of the cluster, as after etcd was restored from a backup: nothing is done any more by what is known of the
    /// one before. Versions alone do not show it where those of the new state have passed the old ones already.
    fn see(&mut self, shard: usize, lease: &Lease) {
        let Some(new) = version(lease.metadata.resource_version.as_deref()) else { return };
        let uid = lease.metadata.uid.clone();
        if self.seen[shard].as_ref().is_some_and(|(of, old)| *of != uid || new < *old) {
            self.holders.borrow().close();
            self.seen.fill(None);
            self.states.send_modify(|number| *number += 1);
            tracing::warn!(
                "the cluster was restored from a backup, or the Lease was deleted: all resources are read again before anything is changed"
            );
        }
        self.seen[shard] = Some((uid, new));
    }

    fn holder(&self, shard: usize) -> ShardHolder {
        self.holders.borrow().0[shard].clone()
    }

    /// The term of this replica, where that is on.
    fn term(&self, shard: usize) -> Option<Term> {
        // One that is over stays so, whatever is heard of it later.
        self.holder(shard).term().filter(|term| term.fence.is_open()).cloned()
    }

    fn held(&self, shard: usize, now: Duration) -> HeldShard {
        let duration = self.settings.duration;
        HeldShard {
            is_on: self.term(shard).is_some(),
            is_due: now + duration / LOOKS / 2 >= self.renewed[shard] + duration / 3,
            is_leaving: matches!(self.holder(shard), ShardHolder::Leaving(_)),
        }
    }

    /// Whose a shard is after a step.
    fn ended(
        &mut self,
        shard: usize,
        step: LeaseStep,
        written: Option<kube::Result<Lease>>,
        asked: Duration,
    ) -> ShardHolder {
        let lease = match written {
            Some(Err(why)) => return self.failed(shard, &why),
            Some(Ok(lease)) => Some(lease),
            None => None,
        };
        lease.iter().for_each(|lease| self.see(shard, lease));
        let term = self.term(shard);
        match step {
            LeaseStep::Take(_) => {
                let of = lease.and_then(|lease| lease.metadata.resource_version);
                let begun = AsOf { state: *self.states.borrow(), version: since(of.as_deref()) };
                let new = || Term { fence: Fence::default(), begun };
                let term = term.unwrap_or_else(new);
                self.renewed[shard] = asked;
                term.fence.open_until(asked + self.settings.duration * 2 / 3);
                ShardHolder::This(term)
            }
            LeaseStep::Reserve(_, why) => {
                self.election.reserved(uptime());
                ShardHolder::Nobody(why)
            }
            LeaseStep::Keep => term.map_or(ShardHolder::Unknown, ShardHolder::This),
            LeaseStep::Leave => term.map_or(ShardHolder::Unknown, ShardHolder::Leaving),
            LeaseStep::HandOver(_, other) | LeaseStep::Other(other) | LeaseStep::Ask(_, other) => {
                ShardHolder::Other(other)
            }
            LeaseStep::Nobody(why) => ShardHolder::Nobody(why),
        }
    }

    /// Whose a shard is after an attempt that failed.
    fn failed(&self, shard: usize, why: &kube::Error) -> ShardHolder {
        match why {
            _ if self.term(shard).is_some() => self.holder(shard),
            // Another one was faster; the next look says which.
            kube::Error::Api(status) if status.code == 409 => ShardHolder::Unknown,
            _ => ShardHolder::Trouble(self.trouble(why)),
        }
    }

    fn trouble(&self, why: &kube::Error) -> String {
        let verbs = match self.settings.shards {
            1 => "get, create and update it",
            _ => "list, create and update Leases",
        };
        let help = match why {
            kube::Error::Api(status) if status.code == 403 => {
                format!(
                    ": give the service account the rights to {verbs}, or run one replica with --no-lease"
                )
            }
            _ => String::new(),
        };
        let (namespace, why) = (&self.settings.namespace, error::in_words(why));
        match self.settings.shards {
            1 => format!(
                "nothing is done, since the Lease {namespace}/{NAME} cannot be taken: {why}{help}"
            ),
            _ => format!("a Lease in {namespace} cannot be taken: {why}{help}"),
        }
    }

    /// How long to wait after a round that asked then: a renewal follows the one before it, not the answer to that.
    fn pause(&self, is_done: bool, asked: Duration, now: Duration) -> Duration {
        let LeaseSettings { duration, shards, .. } = self.settings;
        let is_on = |shard| self.term(shard).is_some();
        let on = (0..shards).filter(|shard| is_on(*shard)).count();
        match is_done {
            // There is little time.
            false if on > 0 => duration / 15,
            // Nobody else can do anything meanwhile.
            true if shards == 1 && on == 1 => (asked + duration / 3).saturating_sub(now),
            _ => duration / LOOKS,
        }
    }

    /// Records who acts, and ends the terms that are over.
    fn record(&self, new: ShardHolders) {
        let before = self.holders.borrow().clone();
        if before == new {
            return;
        }
        for (before, new) in before.0.iter().zip(&new.0) {
            if let Some(term) = before.term().filter(|term| new.term() != Some(*term)) {
                term.fence.close();
            }
        }
        lease_log::log(&before, &new, self.election.identity());
        self.holders.send_replace(new);
        self.news.notify_one();
    }

    async fn give_back(&self, api: &Api<Lease>) {
        self.holders.borrow().close();
        if !self.has_taken {
            return;
        }
        let given_back = async {
            let mut leases = self.read(api).await?;
            let (mut count, mut failed) = (0, None);
            for lease in leases.values_mut() {
                let Some(spec) = lease.spec.as_mut() else { continue };
                // Also where its term has not begun, or nobody knows whether it has: no fence is open any more.
                if spec.holder_identity.as_deref() == Some(self.election.identity()) {
                    spec.holder_identity = Some(String::new());
                    // One that somebody has asked for just now holds up no other.
                    match write(api, lease).await {
                        Ok(_) => count += 1,
                        Err(why) => failed = Some(why),
                    }
                }
            }
            failed.map_or(Ok(count), Err)
        };
        match error::within(self.settings.duration / 3, given_back).await {
            Ok(0) => {}
            Ok(1) => tracing::info!("the Lease is given back"),
            Ok(count) => tracing::info!("{} are given back", counted(count, "Lease")),
            Err(why) => tracing::debug!("cannot give back a Lease: {}", error::in_words(&why)),
        }
    }
}

async fn write(api: &Api<Lease>, lease: &Lease) -> kube::Result<Lease> {
    let parameters = PostParams::default();
    match lease.metadata.resource_version {
        None => api.create(&parameters, lease).await,
        Some(_) => api.replace(&lease.name_any(), &parameters, lease).await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{AsOf, LeaseSettings, Replicas};
    use crate::kubernetes::election::LeaseStep;
    use crate::kubernetes::shards::{ShardHolder, ShardHolders};
    use crate::target::{Fence, Stop, uptime};
    use axum::Router;
    use axum::extract::Request;
    use axum::http::Method;
    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::Lease;
    use kube::{Api, Client, Config};
    use serde_json::json;

    const HOUR: Duration = Duration::from_secs(3600);

    fn replicas(duration: Duration) -> Replicas {
        let api = "http://127.0.0.1:9".parse().unwrap();
        let settings =
            LeaseSettings { namespace: "ns".into(), duration, host: "pod".into(), shards: 1 };
        Replicas::new(
            Config::new(api),
            settings,
            || Timestamp::UNIX_EPOCH,
            Arc::default(),
            &Stop::new(),
        )
    }

    fn lost() -> kube::Error {
        kube::Error::LinesCodecMaxLineLengthExceeded
    }

    /// What is recorded after its only Lease was written, or that has failed.
    fn record(of: &mut Replicas, written: kube::Result<Lease>, asked: Duration) {
        let holder = match written {
            Ok(lease) => of.ended(0, LeaseStep::Take(Box::default()), Some(Ok(lease)), asked),
            Err(why) => of.failed(0, &why),
        };
        of.record(ShardHolders(vec![holder]));
    }

    fn fence(of: &Replicas) -> Option<Fence> {
        of.term(0).map(|term| term.fence)
    }

    #[tokio::test]
    async fn a_renewal_is_sent_a_third_after_the_one_before_however_late_the_answer_was() {
        let mut of = replicas(Duration::from_secs(15));
        let asked = uptime();
        record(&mut of, Ok(Lease::default()), asked);
        let pause =
            |is_done, answered| of.pause(is_done, asked, asked + Duration::from_secs(answered));
        assert_eq!(pause(true, 0), Duration::from_secs(5));
        assert_eq!(pause(true, 2), Duration::from_secs(3));
        assert_eq!(pause(true, 6), Duration::ZERO);
        assert_eq!(pause(false, 2), Duration::from_secs(1), "it has failed");
    }

    #[tokio::test]
    async fn a_term_that_is_over_is_never_opened_again() {
        let mut of = replicas(HOUR);
        record(&mut of, Ok(Lease::default()), uptime());
        let first = fence(&of).unwrap();
        assert!(first.is_open());
        record(&mut of, Err(lost()), uptime());
        assert_eq!(fence(&of).as_ref(), Some(&first), "there is time left");
        // As after a long stop of the process: the renewal was sent before.
        first.open_until(uptime());
        record(&mut of, Err(lost()), uptime());
        assert!(matches!(of.holder(0), ShardHolder::Trouble(_)));
        record(&mut of, Ok(Lease::default()), uptime());
        let second = fence(&of).unwrap();
        assert!(second.is_open() && second != first && !first.is_open());
        of.record(ShardHolders(vec![ShardHolder::Other("b".to_owned())]));
        assert!(!second.is_open() && fence(&of).is_none());
        of.settings.duration = Duration::from_secs(1);
        record(&mut of, Ok(Lease::default()), Duration::ZERO);
        assert!(fence(&of).is_none(), "it was sent long ago");
    }

    /// The versions of a cluster that was emptied may be past those of before when it is looked at again.
    #[tokio::test]
    async fn a_lease_that_is_another_object_ends_what_was_begun_before() {
        let lease = |uid: &str, version: &str| {
            let metadata = json!({"name": "appcred", "uid": uid, "resourceVersion": version});
            serde_json::from_value::<Lease>(json!({"metadata": metadata})).unwrap()
        };
        let mut of = replicas(HOUR);
        record(&mut of, Ok(lease("a", "980")), uptime());
        let first = of.term(0).unwrap();
        record(&mut of, Ok(lease("a", "985")), uptime());
        assert!(first.fence.is_open());
        record(&mut of, Ok(lease("b", "1200")), uptime());
        assert!(!first.fence.is_open());
        let second = of.term(0).unwrap();
        assert_eq!((second.begun, *of.states.borrow()), (AsOf { state: 1, version: 1200 }, 1));
    }

    #[tokio::test]
    async fn a_lease_of_an_earlier_version_ends_what_was_begun_before() {
        let lease = |version: &str| {
            let lease = json!({"metadata": {"name": "appcred", "resourceVersion": version}});
            serde_json::from_value::<Lease>(lease).unwrap()
        };
        let mut of = replicas(HOUR);
        record(&mut of, Ok(lease("980")), uptime());
        record(&mut of, Ok(lease("985")), uptime());
        let first = of.term(0).unwrap();
        assert_eq!((first.begun, *of.states.borrow()), (AsOf { state: 0, version: 980 }, 0));
        record(&mut of, Ok(lease("243")), uptime());
        let second = of.term(0).unwrap();
        assert_eq!((second.begun, *of.states.borrow()), (AsOf { state: 1, version: 243 }, 1));
        assert!(!first.fence.is_open() && second.fence.is_open());
        of.see(0, &lease("244"));
        assert!(second.fence.is_open());
        of.see(0, &lease("99"));
        assert!(!second.fence.is_open() && of.term(0).is_none() && *of.states.borrow() == 2);
    }

    #[tokio::test]
    async fn a_lease_of_its_own_is_given_back_although_no_term_has_begun() {
        let given_back = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&given_back);
        let stored = Arc::new(std::sync::Mutex::new(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "appcred", "resourceVersion": "7",
                "annotations": {"appcred.io/shards": "4"}},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 3600},
        })));
        let answer = move |request: Request| {
            let (counting, stored) = (Arc::clone(&counting), Arc::clone(&stored));
            async move {
                if request.method() == Method::PUT {
                    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
                    let lease: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    if lease["spec"]["holderIdentity"] == "" {
                        counting.fetch_add(1, Ordering::SeqCst);
                    }
                    *stored.lock().unwrap() = lease;
                }
                stored.lock().unwrap().to_string()
            }
        };
        let client = Client::new(Router::new().fallback(answer), "ns");
        let api = Api::namespaced(client, "ns");
        let mut of = replicas(HOUR);
        of.give_back(&api).await;
        assert_eq!(given_back.load(Ordering::SeqCst), 0, "it never had one");
        of.round(&api, uptime()).await;
        assert!(matches!(of.holder(0), ShardHolder::Nobody(_)), "{:?}", of.holder(0));
        of.give_back(&api).await;
        assert_eq!(given_back.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_term_is_over_before_its_lease_is_handed_over() {
        let mut of = replicas(HOUR);
        record(&mut of, Ok(Lease::default()), uptime());
        let held = fence(&of).unwrap();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "appcred", "resourceVersion": "7",
                "annotations": {"appcred.io/wanted-by": "b"}},
            "spec": {"holderIdentity": of.election.identity(), "leaseDurationSeconds": 3600},
        });
        let open_at_put = Arc::new(AtomicUsize::new(0));
        let (count, asked) = (Arc::clone(&open_at_put), held.clone());
        let answer = move |request: Request| {
            if request.method() == Method::PUT {
                count.fetch_add(if asked.is_open() { 100 } else { 1 }, Ordering::SeqCst);
            }
            let lease = lease.to_string();
            async move { lease }
        };
        let client = Client::new(Router::new().fallback(answer), "ns");
        let api = Api::namespaced(client, "ns");
        of.round(&api, uptime()).await;
        assert!(held.is_open() && matches!(of.holder(0), ShardHolder::Leaving(_)));
        of.round(&api, uptime()).await;
        assert_eq!(open_at_put.load(Ordering::SeqCst), 1);
        assert_eq!(of.holder(0), ShardHolder::Other("b".to_owned()));
    }
}
