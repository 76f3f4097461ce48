//! Follows the watch of one kind of objects, whatever becomes of it: a store has them as they were seen last.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::Api;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::as_stored::{AsStored, unwrapped};
use super::freshness::version;
use super::source::Declaring;
use super::{READ_TIMEOUT, error};

/// A watch that has failed is on again where it has not failed for so long, although no object has changed: that is the
/// longest request, and the longest pause before it, which is up to twice of 30 seconds.
const QUIET: Duration = Duration::from_secs(READ_TIMEOUT.as_secs() + 70);
/// The pause before all is listed anew since a watch could not be begun, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Watches objects of one kind.
pub(super) fn watched<K>(
    api: &Api<K>,
    tidy: fn(&mut K),
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + use<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(api.clone(), watcher::Config::default()).default_backoff().modify(tidy)
}

/// Watches objects of which all is wanted but who has written what.
pub(super) fn objects<K>(
    api: &Api<AsStored<K>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + use<K>
where
    K: Resource + Clone + Debug + Send + 'static,
    AsStored<K>: DeserializeOwned,
{
    watched(api, |of| of.meta_mut().managed_fields = None).map_ok(unwrapped)
}

/// Keeps what says that a Secret has changed. The annotations of one that was applied have all its values.
pub(super) fn keep_version(of: &mut ObjectMeta) {
    *of = ObjectMeta {
        name: of.name.take(),
        namespace: of.namespace.take(),
        resource_version: of.resource_version.take(),
        ..ObjectMeta::default()
    };
}

/// One kind of objects.
pub(super) struct Watched {
    pub(super) what: &'static str,
    pub(super) changed: Arc<Notify>,
    pub(super) declaring: watch::Sender<Declaring>,
    pub(super) news: Arc<Notify>,
    /// Changes whenever one of them was seen to change.
    pub(super) seen: watch::Sender<u64>,
    /// Whether no Lease shows that the cluster has another state than before.
    pub(super) is_without_lease: bool,
}

impl Watched {
    pub(super) async fn follow<K, S>(self, mut begin: impl FnMut() -> S, mut store: Writer<K>)
    where
        K: Resource<DynamicType = ()> + Clone,
        S: Stream<Item = watcher::Result<watcher::Event<K>>>,
    {
        let mut events = std::pin::pin!(begin());
        let (mut has_failed, mut pause) = (false, FIRST_PAUSE);
        let (known, mut is_older) = (store.as_reader(), false);
        loop {
            let event = match has_failed {
                false => events.next().await,
                true => match timeout(QUIET, events.next()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.succeeded();
                        (has_failed, pause) = (false, FIRST_PAUSE);
                        continue;
                    }
                },
            };
            let Some(event) = event else { return };
            has_failed = event.is_err() || has_failed;
            let event = match event {
                Ok(event) => event,
                Err(why) => {
                    self.failed(error::of_watch(self.what, &why));
                    if is_refused(&why) {
                        // The watcher would ask for the same version again and again, also of a cluster that was restored
                        // from a backup meanwhile and has not come that far. And where a right was given again, nothing but
                        // a list says so.
                        sleep(pause).await;
                        pause = (2 * pause).min(LONGEST_PAUSE);
                        events.set(begin());
                    }
                    continue;
                }
            };
            if let watcher::Event::InitApply(object) = &event {
                is_older |= is_older_than_known(object, &known);
            }
            store.apply_watcher_event(&event);
            match event {
                // A list is taken as a whole; that it is asked for says nothing.
                watcher::Event::Init | watcher::Event::InitApply(_) => continue,
                watcher::Event::InitDone if std::mem::take(&mut is_older) => self.say_older(),
                watcher::Event::InitDone => {}
                watcher::Event::Apply(_) | watcher::Event::Delete(_) => pause = FIRST_PAUSE,
            }
            has_failed = false;
            self.succeeded();
            self.changed.notify_one();
            self.seen.send_modify(|number| *number += 1);
        }
    }

    fn say_older(&self) {
        if self.is_without_lease {
            tracing::warn!(
                "the cluster has another state than before, as after a restore from a backup: {} were read again",
                self.what
            );
        }
    }

    pub(super) fn succeeded(&self) {
        let is_news = self
            .declaring
            .send_if_modified(|declaring| declaring.troubles.remove(self.what).is_some());
        if is_news {
            tracing::info!("{} are read again", self.what);
            self.news.notify_one();
        }
    }

    pub(super) fn failed(&self, why: String) {
        let is_news = self.declaring.send_if_modified(|declaring| {
            let is_news = declaring.troubles.get(self.what) != Some(&why);
            if is_news && declaring.declared.is_some() {
                tracing::error!("{why}; what was read before stays in force");
            } else if is_news {
                tracing::error!("{why}");
            }
            declaring.troubles.insert(self.what, why);
            is_news
        });
        if is_news {
            self.news.notify_one();
        }
    }
}

/// Whether an object is as it was before it became what is known of it.
fn is_older_than_known<K>(object: &K, known: &Store<K>) -> bool
where
    K: Resource<DynamicType = ()> + Clone,
{
    let of = |object: &K| version(object.meta().resource_version.as_deref());
    let before = known.get(&ObjectRef::from_obj(object)).and_then(|before| of(&before));
    before.zip(of(object)).is_some_and(|(before, now)| now < before)
}

/// Whether a watch could not be begun for another reason than that the cluster has too much to do.
fn is_refused(why: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(why) = why else { return false };
    !matches!(why, kube::Error::Api(status) if status.code == 429 || status.code >= 500)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt, stream};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::core::Status;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;
    use serde_json::json;
    use tokio::sync::watch;

    use super::{QUIET, Watched, keep_version};
    use crate::kubernetes::resources::InstanceObject;
    use crate::kubernetes::source::Declaring;
    use crate::watch::logged;

    fn failed(why: kube::Error) -> watcher::Result<watcher::Event<InstanceObject>> {
        Err(watcher::Error::WatchStartFailed(why))
    }

    fn watched() -> (Watched, watch::Receiver<Declaring>) {
        let (declaring, seen) = watch::channel(Declaring::default());
        let (changed, news) = (Arc::default(), Arc::default());
        let what = "Secrets";
        let (changes, is_without_lease) = (watch::Sender::new(0), true);
        let watched = Watched { what, changed, declaring, news, seen: changes, is_without_lease };
        (watched, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_with_a_watch_ends_when_nothing_more_is_heard_of_it() {
        let (watched, seen) = watched();
        let busy = || Status { code: 429, ..Status::default() }.boxed();
        let refused = move || failed(kube::Error::Api(busy()));
        let begin = move || {
            let events = stream::iter([refused(), Ok(watcher::Event::Init), refused()]);
            events.chain(stream::pending())
        };
        let following = tokio::spawn(watched.follow(begin, store().1));
        tokio::time::sleep(QUIET - Duration::from_secs(1)).await;
        assert!(seen.borrow().troubles.contains_key("Secrets"));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(seen.borrow().troubles.is_empty());
        following.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_cannot_be_begun_is_begun_anew_with_a_list_and_ever_more_seldom() {
        let (watched, seen) = watched();
        let (begun, count) = (Arc::new(AtomicUsize::new(0)), 12);
        let counting = Arc::clone(&begun);
        let begin = move || {
            let refused = |code| kube::Error::Api(Status { code, ..Status::default() }.boxed());
            let last = match counting.fetch_add(1, Ordering::SeqCst) {
                number if number < count => failed(match number % 3 {
                    0 => refused(410),
                    1 => refused(403),
                    _ => kube::Error::LinesCodecMaxLineLengthExceeded,
                }),
                _ => Ok(watcher::Event::InitDone),
            };
            let events = stream::iter([Ok(watcher::Event::InitDone), last]);
            events.chain(stream::pending())
        };
        let following = tokio::spawn(watched.follow(begin, store().1));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(begun.load(Ordering::SeqCst), 6);
        assert!(seen.borrow().troubles["Secrets"].starts_with("cannot watch Secrets"));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(begun.load(Ordering::SeqCst), count + 1);
        assert!(seen.borrow().troubles.is_empty());
        following.abort();
    }

    /// What is logged where lists of an object in these versions come one after the other.
    fn logged_of(versions: &[&str], is_without_lease: bool) -> String {
        let list = |version: &&str| {
            let token = json!({"name": "all", "key": "token"});
            let spec = json!({"url": "http://cabin:8123", "tokenSecretRef": token});
            let mut instance = InstanceObject::new("cabin", serde_json::from_value(spec).unwrap());
            instance.metadata.resource_version = Some(version.to_string());
            let apply = watcher::Event::InitApply(instance);
            [watcher::Event::Init, apply, watcher::Event::InitDone].map(Ok)
        };
        let mut events = Some(versions.iter().flat_map(list).collect::<Vec<_>>());
        let (watched, _seen) = watched();
        let watched = Watched { is_without_lease, ..watched };
        let following = watched.follow(|| stream::iter(events.take().unwrap()), store().1);
        logged(|| assert!(following.now_or_never().is_some())).join("\n")
    }

    #[test]
    fn an_object_that_is_as_it_was_before_is_of_another_state_of_the_cluster() {
        let line = "the cluster has another state than before";
        assert!(!logged_of(&["7", "7", "9"], true).contains(line));
        assert_eq!(logged_of(&["7", "9", "3", "4"], true).matches(line).count(), 1);
        assert!(!logged_of(&["9", "3"], false).contains(line), "its Lease shows that");
    }

    #[test]
    fn of_a_secret_that_was_applied_its_version_alone_is_kept() {
        let applied = json!({"kubectl.kubernetes.io/last-applied-configuration": "s3cr3t"});
        let bare = json!({"name": "a", "namespace": "ns", "resourceVersion": "7"});
        let mut whole = bare.clone();
        whole["annotations"] = applied;
        whole["managedFields"] = json!([{"manager": "kubectl"}]);
        let mut of: ObjectMeta = serde_json::from_value(whole).unwrap();
        keep_version(&mut of);
        assert_eq!(serde_json::to_value(of).unwrap(), bare);
    }
}
