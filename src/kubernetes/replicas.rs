//! One replica acts at a time: the one that a Lease of the cluster names.
//!
//! Who holds the Lease sends a renewal every third of its duration. For two thirds of it after a renewal was sent that replica
//! acts, and no longer, by a clock of its own. Another one takes it over that has seen no renewal for all of the duration,
//! by its own clock too, so that no two clocks are compared; where there is no Lease, who had it is waited for as long,
//! whether or not this replica knows of one. Of two that write at once, the version decides.
//! All that is done in a thread of its own, with a connection of its own: however much work there is, the Lease is renewed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Config, ResourceExt};
use tokio::runtime::Builder;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::sleep;

use super::{ClusterError, error};
use crate::target::{Fence, Stop, uptime};
use crate::watch::Clock;

/// What the Lease is called.
const NAME: &str = "appcred";

/// Which Lease decides who acts.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Where it is.
    pub namespace: String,
    /// How long it lasts after a renewal.
    pub duration: Duration,
    /// What this machine is called; in a pod, the pod.
    pub host: String,
}

impl LeaseSettings {
    /// What it means that there is no Lease.
    pub(super) fn missing(&self) -> String {
        format!(
            "there is no Lease {}/{NAME}: whoever had one may act for {} seconds still",
            self.namespace,
            self.duration.as_secs()
        )
    }
}

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ActingReplica {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// This one, as long as the fence is open. Each term has a fence of its own, which is never opened again.
    This(Fence),
    /// That one.
    Other(String),
    /// There is no Lease: somebody may have deleted it, and whoever had it does not know yet.
    Missing,
    /// It cannot be found out, for this reason.
    Trouble(String),
}

/// Takes part in who acts.
pub struct Replicas {
    config: Config,
    settings: LeaseSettings,
    clock: Clock,
    /// What no other replica is called.
    identity: String,
    acting: watch::Sender<ActingReplica>,
    /// Notified whenever another replica acts.
    news: Arc<Notify>,
    /// The Lease as this replica wrote it last.
    held: Option<Lease>,
    /// The Lease of another one, as it was seen last.
    seen: Option<SeenLease>,
}

/// The Lease of another replica.
struct SeenLease {
    holder: String,
    /// None where it is not there any more.
    version: Option<String>,
    /// Since when it is so.
    since: Duration,
    lasts: Duration,
}

impl Replicas {
    pub(super) fn new(
        config: Config,
        settings: LeaseSettings,
        clock: Clock,
        news: Arc<Notify>,
    ) -> Self {
        Self {
            config,
            identity: format!("{}_{:016x}", settings.host, fastrand::u64(..)),
            settings,
            clock,
            acting: watch::Sender::new(ActingReplica::Unknown),
            news,
            held: None,
            seen: None,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ActingReplica> {
        self.acting.subscribe()
    }

    /// Takes part in a thread of its own until it is to end, and gives the Lease back then: nothing may be in flight
    /// any more. Answers when it has ended; there is no answer where it has crashed.
    pub fn start(self, end: Stop) -> oneshot::Receiver<Result<(), ClusterError>> {
        let (answer, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("lease".to_owned());
        // Without a thread there is no answer either.
        let spawned = thread.spawn(move || drop(answer.send(self.run_alone(end))));
        if let Err(why) = spawned {
            tracing::error!("cannot start a thread for the Lease: {why}");
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
        let Self { settings: LeaseSettings { duration, .. }, .. } = self;
        loop {
            let sent = uptime();
            // An attempt that gets no answer leaves time for another one before the term is over.
            let taken = error::within(duration / 6, self.take(api)).await;
            self.record(taken, sent);
            let pause = self.pause(sent, uptime());
            if end.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
        }
        if let Some(fence) = self.fence() {
            fence.close();
            if let Err(why) = error::within(duration / 3, self.give_back(api)).await {
                tracing::debug!("cannot give the Lease back: {}", error::in_words(&why));
            }
        }
    }

    /// How long to wait after an attempt that was sent then: a renewal follows the one before it, not the answer to that.
    fn pause(&self, sent: Duration, now: Duration) -> Duration {
        let Self { settings: LeaseSettings { duration, .. }, .. } = self;
        match (self.fence(), &self.held) {
            (Some(_), Some(_)) => (sent + *duration / 3).saturating_sub(now),
            // A renewal has failed, and there is little time.
            (Some(_), None) => *duration / 15,
            (None, _) => *duration / 8,
        }
    }

    /// The fence of this replica's term, where that is on.
    fn fence(&self) -> Option<Fence> {
        match &*self.acting.borrow() {
            ActingReplica::This(fence) => Some(fence.clone()),
            _ => None,
        }
    }

    /// Records what came of an attempt: none where this replica has the Lease, or else who has.
    fn record(&mut self, taken: kube::Result<Option<ActingReplica>>, sent: Duration) {
        if let (Err(_), Some(SeenLease { version: None, since, .. })) = (&taken, &mut self.seen) {
            // There may have been one since it was seen that there is none.
            *since = uptime();
        }
        let until = sent + self.settings.duration * 2 / 3;
        // A term that is over stays so, whatever is heard of it later.
        let term = self.fence().filter(Fence::is_open);
        let new = match (taken, term) {
            (Ok(None), term) => {
                let fence = term.unwrap_or_default();
                fence.open_until(until);
                ActingReplica::This(fence)
            }
            (Ok(Some(other)), _) => other,
            (Err(_), Some(fence)) => ActingReplica::This(fence),
            // Another one was faster; the next look says which.
            (Err(kube::Error::Api(status)), None) if status.code == 409 => ActingReplica::Unknown,
            (Err(why), None) => ActingReplica::Trouble(self.trouble(&why)),
        };
        let before = self.acting.borrow().clone();
        if before == new {
            return;
        }
        if let ActingReplica::This(fence) = &before {
            fence.close();
            tracing::warn!("this replica no longer acts");
        }
        match &new {
            ActingReplica::This(_) => tracing::info!("this replica acts: {}", self.identity),
            ActingReplica::Other(other) => tracing::info!("the replica {other} acts"),
            ActingReplica::Missing => tracing::info!("{}", self.settings.missing()),
            ActingReplica::Trouble(why) => tracing::error!("{why}"),
            ActingReplica::Unknown => {}
        }
        self.acting.send_replace(new);
        self.news.notify_one();
    }

    fn trouble(&self, why: &kube::Error) -> String {
        let help = match why {
            kube::Error::Api(status) if status.code == 403 => {
                ": give the service account the rights to get, create and update it, or run one replica with --no-lease"
            }
            _ => "",
        };
        let at = format!("{}/{NAME}", self.settings.namespace);
        let why = error::in_words(why);
        format!("nothing is done, since the Lease {at} cannot be taken: {why}{help}")
    }

    /// Takes or renews the Lease. Answers who else acts.
    async fn take(&mut self, api: &Api<Lease>) -> kube::Result<Option<ActingReplica>> {
        let lease = match self.held.take() {
            Some(lease) => Some(lease),
            None => api.get_opt(NAME).await?,
        };
        let Some(mut lease) = lease else {
            if self.is_waited_for() {
                return Ok(Some(ActingReplica::Missing));
            }
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(None)) };
            self.held = Some(api.create(&PostParams::default(), &lease).await?);
            self.seen = None;
            return Ok(None);
        };
        if let Some(other) = self.other(&lease) {
            return Ok(Some(ActingReplica::Other(other)));
        }
        lease.spec = Some(self.spec(lease.spec.take()));
        self.held = Some(api.replace(NAME, &PostParams::default(), &lease).await?);
        self.seen = None;
        Ok(None)
    }

    /// Who else has a Lease; nobody where it was given back, or not renewed for its duration.
    fn other(&mut self, lease: &Lease) -> Option<String> {
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_ref());
        let holder = holder.filter(|holder| !holder.is_empty() && **holder != self.identity);
        let Some((spec, holder)) = spec.zip(holder) else {
            self.seen = None;
            return None;
        };
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(self.settings.duration, Duration::from_secs);
        // Who is to act for longer than this one is waited for.
        let lasts = lasts.max(self.settings.duration);
        let version = Some(lease.resource_version().unwrap_or_default());
        self.waited_for(holder.clone(), version, lasts)
    }

    /// Whether somebody else may act still although there is no Lease. Within a term of this replica nobody does: who
    /// comes then waits.
    fn is_waited_for(&mut self) -> bool {
        if self.fence().is_some_and(|fence| fence.is_open()) {
            return false;
        }
        let seen = self.seen.as_ref();
        let (holder, lasts) = seen.map_or_else(
            || (String::new(), self.settings.duration),
            |of| (of.holder.clone(), of.lasts),
        );
        self.waited_for(holder, None, lasts).is_some()
    }

    /// That holder, as long as its Lease was not seen unchanged for its duration.
    fn waited_for(
        &mut self,
        holder: String,
        version: Option<String>,
        lasts: Duration,
    ) -> Option<String> {
        let now = uptime();
        let since = match &self.seen {
            Some(seen) if seen.version == version => seen.since,
            _ => now,
        };
        let is_over = now.saturating_sub(since) >= lasts;
        self.seen = Some(SeenLease { holder: holder.clone(), version, since, lasts });
        (!is_over).then_some(holder)
    }

    /// The Lease of this replica, after that of another one or an earlier one of its own.
    fn spec(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime((self.clock)());
        let before = before.unwrap_or_default();
        let is_ours = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.duration.as_secs()).ok(),
            acquire_time: before.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions.saturating_add(i32::from(!is_ours))),
            ..before
        }
    }

    async fn give_back(&mut self, api: &Api<Lease>) -> kube::Result<()> {
        let Some(mut lease) = self.held.take() else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        api.replace(NAME, &PostParams::default(), &lease).await?;
        tracing::info!("the Lease is given back");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
    use kube::Config;
    use tokio::sync::Notify;

    use super::{ActingReplica, LeaseSettings, Replicas};
    use crate::target::{Fence, uptime};

    const HOUR: Duration = Duration::from_secs(3600);

    fn replicas(duration: Duration) -> Replicas {
        let api = "http://127.0.0.1:9".parse().unwrap();
        let settings = LeaseSettings { namespace: "ns".into(), duration, host: "pod".into() };
        Replicas::new(Config::new(api), settings, || Timestamp::UNIX_EPOCH, Arc::new(Notify::new()))
    }

    fn lease(holder: &str, version: &str, seconds: i32) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.to_owned());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            ..LeaseSpec::default()
        });
        lease
    }

    #[tokio::test]
    async fn a_lease_is_over_once_it_was_seen_unchanged_for_its_duration() {
        let mut of = replicas(Duration::from_secs(15));
        let mut other = |holder, version, ago: Option<u64>| {
            if let (Some(seen), Some(ago)) = (&mut of.seen, ago) {
                seen.since = uptime() - Duration::from_secs(ago);
            }
            of.other(&lease(holder, version, 15))
        };
        let somebody = Some("b".to_owned());
        assert_eq!(other("b", "1", None), somebody, "however long ago it says it was renewed");
        assert_eq!(other("b", "1", Some(14)), somebody);
        assert_eq!(other("b", "2", Some(16)), somebody, "it was renewed");
        assert_eq!(other("b", "2", Some(16)), None);
        assert_eq!(other("", "3", None), None, "it was given back");
        let own = of.identity.clone();
        assert_eq!(of.other(&lease(&own, "4", 15)), None);
        of.other(&lease("b", "5", 60));
        of.seen.as_mut().unwrap().since = uptime() - Duration::from_secs(30);
        assert_eq!(of.other(&lease("b", "5", 60)), Some("b".to_owned()), "it acts for longer");
    }

    #[tokio::test]
    async fn a_lease_that_somebody_deletes_is_taken_once_its_holder_has_stopped() {
        let mut of = replicas(Duration::from_secs(15));
        let since = |of: &mut Replicas, ago: u64| {
            of.seen.as_mut().unwrap().since = uptime() - Duration::from_secs(ago);
        };
        assert!(of.is_waited_for(), "somebody may have had one whom nobody here has seen");
        since(&mut of, 14);
        assert!(of.is_waited_for());
        since(&mut of, 15);
        assert!(!of.is_waited_for());
        of.other(&lease("b", "1", 60));
        since(&mut of, 3600);
        assert!(of.is_waited_for(), "it was renewed just before, maybe");
        since(&mut of, 59);
        assert!(of.is_waited_for(), "that one acts for longer");
        since(&mut of, 60);
        let answers = [false, true].map(|is_lost| {
            if is_lost {
                of.record(Err(kube::Error::LinesCodecMaxLineLengthExceeded), uptime());
            }
            of.is_waited_for()
        });
        assert_eq!(answers, [false, true], "one may have come and gone while nobody looked");
        of.seen = None;
        of.record(Ok(None), uptime());
        assert!(!of.is_waited_for(), "within a term of its own");
        of.fence().unwrap().close();
        assert!(of.is_waited_for(), "another one may have begun since");
    }

    #[tokio::test]
    async fn a_renewal_is_sent_a_third_after_the_one_before_however_late_the_answer_was() {
        let mut of = replicas(Duration::from_secs(15));
        let sent = uptime();
        of.record(Ok(None), sent);
        of.held = Some(Lease::default());
        let pause = |of: &Replicas, answered| of.pause(sent, sent + Duration::from_secs(answered));
        assert_eq!(pause(&of, 0), Duration::from_secs(5));
        assert_eq!(pause(&of, 2), Duration::from_secs(3));
        assert_eq!(pause(&of, 6), Duration::ZERO);
        of.held = None;
        assert_eq!(pause(&of, 2), Duration::from_secs(1), "it has failed");
    }

    #[tokio::test]
    async fn a_term_that_is_over_is_never_opened_again() {
        let mut of = replicas(HOUR);
        let lost = || Err(kube::Error::LinesCodecMaxLineLengthExceeded);
        of.record(Ok(None), uptime());
        let first = of.fence().unwrap();
        assert!(first.is_open());
        of.record(lost(), uptime());
        assert_eq!(of.fence().as_ref(), Some(&first), "there is time left");
        // As after a long stop of the process: the renewal was sent before.
        first.open_until(uptime());
        of.record(lost(), uptime());
        assert!(matches!(&*of.acting.borrow(), ActingReplica::Trouble(_)));
        of.record(Ok(None), uptime());
        let second = of.fence().unwrap();
        assert!(second.is_open() && second != first && !first.is_open());
        of.record(Ok(Some(ActingReplica::Other("b".to_owned()))), uptime());
        assert!(!second.is_open() && of.fence().is_none());
        of.settings.duration = Duration::from_secs(1);
        of.record(Ok(None), Duration::ZERO);
        assert!(!of.fence().as_ref().is_some_and(Fence::is_open), "it was sent long ago");
    }
}
