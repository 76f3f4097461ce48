//! Watches the objects and the Secrets that they name, and says what is declared whenever that has changed.
//!
//! A cluster that does not answer takes nothing back: what was declared last stays in force.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::declared::{self, Declarations, ObjectName, SecretFault, SecretValues, is_object_name};
use super::resources::{CredentialObject, HouseObject};
use super::{READ_TIMEOUT, error};
use crate::model::Secret;
use crate::target::Stop;

/// Changes within this are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How soon a Secret is asked for again that could not be read: no event says that a right was given.
const RETRY: Duration = Duration::from_secs(15);
/// A watch that has failed is on again where it has not failed for so long, although no object has changed: that is the
/// longest request, and the longest pause before it, which is up to twice of 30 seconds.
const QUIET: Duration = Duration::from_secs(READ_TIMEOUT.as_secs() + 70);
/// The pause before all is listed anew since a watch begins too late, which doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many Secrets are read at once.
const READ_AT_ONCE: usize = 8;

/// Which objects are looked after.
#[derive(Clone, Debug)]
pub enum ClusterScope {
    /// Those of one namespace.
    Namespace(String),
    /// All.
    Cluster,
}

impl ClusterScope {
    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(
        &self,
        client: &Client,
    ) -> Api<K> {
        match self {
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
            Self::Cluster => Api::all(client.clone()),
        }
    }
}

/// The objects, as they were seen last.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) houses: Store<HouseObject>,
    pub(super) credentials: Store<CredentialObject>,
    secrets: Store<PartialObjectMeta<SecretObject>>,
}

/// What is declared, and what keeps that from being news.
#[derive(Clone, Debug, Default)]
pub(super) struct Declaring {
    /// Nothing before the cluster has answered.
    pub(super) declared: Option<Arc<Declarations>>,
    /// Why objects are not watched, by kind.
    pub(super) troubles: BTreeMap<&'static str, String>,
}

impl Declaring {
    /// Whether something is to be said of it.
    pub(super) fn is_answer(&self) -> bool {
        self.declared.is_some() || !self.troubles.is_empty()
    }
}

/// Watches the cluster.
pub(super) struct Source {
    client: Client,
    objects: Objects,
    changed: Arc<Notify>,
    known: BTreeMap<ObjectName, SecretValues>,
    declaring: watch::Sender<Declaring>,
    /// Notified whenever something else is declared.
    news: Arc<Notify>,
}

/// Begins to watch; the tasks end when they are dropped.
pub(super) fn begin(
    client: &Client,
    scope: &ClusterScope,
    news: Arc<Notify>,
) -> (Source, Objects, watch::Receiver<Declaring>, JoinSet<()>) {
    let (houses, houses_in) = store();
    let (credentials, credentials_in) = store();
    let (secrets, secrets_in) = store();
    let objects = Objects { houses, credentials, secrets };
    let changed = Arc::new(Notify::new());
    let (declaring, receiver) = watch::channel(Declaring::default());
    let mut tasks = JoinSet::new();
    let of = |what| Watched {
        what,
        changed: Arc::clone(&changed),
        declaring: declaring.clone(),
        news: Arc::clone(&news),
    };
    let api = scope.api(client);
    let begin = move || watched(&api, |of: &mut HouseObject| of.meta_mut().managed_fields = None);
    tasks.spawn(of("HomeAssistants").follow(begin, houses_in));
    let api = scope.api(client);
    let begin =
        move || watched(&api, |of: &mut CredentialObject| of.meta_mut().managed_fields = None);
    tasks.spawn(of("ApplicationCredentials").follow(begin, credentials_in));
    // Of Secrets only the metadata: what one holds is asked for where an object names it.
    let api: Api<PartialObjectMeta<SecretObject>> = scope.api(client);
    tasks.spawn(
        of("Secrets").follow(move || watched(&api, |of| keep_version(of.meta_mut())), secrets_in),
    );
    let (client, known) = (client.clone(), BTreeMap::new());
    let source = Source { client, objects: objects.clone(), changed, known, declaring, news };
    (source, objects, receiver, tasks)
}

/// Watches objects of one kind.
fn watched<K>(
    api: &Api<K>,
    tidy: fn(&mut K),
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + use<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(api.clone(), watcher::Config::default()).default_backoff().modify(tidy)
}

/// Keeps what says that a Secret has changed. The annotations of one that was applied have all its values.
fn keep_version(of: &mut ObjectMeta) {
    *of = ObjectMeta {
        name: of.name.take(),
        namespace: of.namespace.take(),
        resource_version: of.resource_version.take(),
        ..ObjectMeta::default()
    };
}

/// One kind of objects.
struct Watched {
    what: &'static str,
    changed: Arc<Notify>,
    declaring: watch::Sender<Declaring>,
    news: Arc<Notify>,
}

impl Watched {
    async fn follow<K, S>(self, mut begin: impl FnMut() -> S, mut store: Writer<K>)
    where
        K: Resource<DynamicType = ()> + Clone,
        S: Stream<Item = watcher::Result<watcher::Event<K>>>,
    {
        let mut events = std::pin::pin!(begin());
        let (mut has_failed, mut pause) = (false, FIRST_PAUSE);
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
                    if is_too_old(&why) {
                        // The watcher would ask for the same version again and again.
                        sleep(pause).await;
                        pause = (2 * pause).min(LONGEST_PAUSE);
                        events.set(begin());
                    }
                    continue;
                }
            };
            store.apply_watcher_event(&event);
            match event {
                // A list is taken as a whole; that it is asked for says nothing.
                watcher::Event::Init | watcher::Event::InitApply(_) => continue,
                watcher::Event::InitDone => {}
                watcher::Event::Apply(_) | watcher::Event::Delete(_) => pause = FIRST_PAUSE,
            }
            has_failed = false;
            self.succeeded();
            self.changed.notify_one();
        }
    }

    fn succeeded(&self) {
        let is_news = self
            .declaring
            .send_if_modified(|declaring| declaring.troubles.remove(self.what).is_some());
        if is_news {
            tracing::info!("{} are watched again", self.what);
            self.news.notify_one();
        }
    }

    fn failed(&self, why: String) {
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

impl Source {
    /// Says what is declared, again and again, until it is to stop.
    pub(super) async fn run(mut self, stop: Stop) {
        stop.run_until_cancelled(async {
            let (houses, credentials) = (&self.objects.houses, &self.objects.credentials);
            // They end only with the tasks that fill them.
            let ready = tokio::join!(houses.wait_until_ready(), credentials.wait_until_ready());
            if ready.0.is_err() || ready.1.is_err() {
                return;
            }
            loop {
                let (declared, has_faults) = self.read().await;
                let is_news =
                    self.declaring.send_if_modified(|Declaring { declared: last, .. }| {
                        let is_news = last.as_ref().is_none_or(|last| **last != declared);
                        if is_news {
                            *last = Some(Arc::new(declared));
                        }
                        is_news
                    });
                if is_news {
                    self.news.notify_one();
                }
                let retry = async {
                    match has_faults {
                        true => sleep(RETRY).await,
                        false => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = self.changed.notified() => sleep(DEBOUNCE).await,
                    () = retry => {}
                }
            }
        })
        .await;
    }

    /// Answers also whether a Secret is to be asked for again.
    async fn read(&mut self) -> (Declarations, bool) {
        let houses = self.objects.houses.state();
        let credentials = self.objects.credentials.state();
        let mut declared = Declarations {
            houses: houses
                .iter()
                .map(|of| (declared::name_of(&**of), declared::house(of)))
                .collect(),
            credentials: credentials
                .iter()
                .map(|of| (declared::name_of(&**of), declared::credential(of)))
                .collect(),
            listed: houses
                .iter()
                .filter_map(|of| Some((declared::name_of(&**of), of.status.as_ref()?.listed())))
                .collect(),
            ..Declarations::default()
        };
        let named = declared.named_secrets();
        let (client, objects, known) = (&self.client, &self.objects, &self.known);
        let reading = stream::iter(named).map(|name| async move {
            let version = objects.version(&name);
            let last = known.get(&name);
            let read = match last {
                Some(last) if version.as_ref() == Some(&last.version) => (Ok(last.clone()), false),
                _ => read_secret(client, &name, last).await,
            };
            (name, read)
        });
        let read: Vec<_> = reading.buffer_unordered(READ_AT_ONCE).collect().await;
        let has_faults = read.iter().any(|(_, (_, has_failed))| *has_failed);
        declared.secrets = read.into_iter().map(|(name, (read, _))| (name, read)).collect();
        declared.take_last_house_secrets(&self.known);
        // What one was is remembered as long as an object names it.
        self.known.retain(|name, _| declared.secrets.contains_key(name));
        for (name, read) in &declared.secrets {
            if let Ok(read) = read {
                self.known.insert(name.clone(), read.clone());
            }
        }
        (declared, has_faults)
    }
}

impl Objects {
    /// The version of a Secret that was seen last.
    fn version(&self, name: &ObjectName) -> Option<String> {
        let of = ObjectRef::new(&name.name).within(&name.namespace);
        self.secrets.get(&of)?.resource_version()
    }
}

/// Reads a Secret, and whether that has failed. Where the cluster does not answer, it is what it was.
async fn read_secret(
    client: &Client,
    name: &ObjectName,
    last: Option<&SecretValues>,
) -> (Result<SecretValues, SecretFault>, bool) {
    if !is_object_name(&name.name) {
        return (Err(SecretFault::Missing(name.clone())), false);
    }
    let api: Api<SecretObject> = Api::namespaced(client.clone(), &name.namespace);
    let unreadable = |why: String| SecretFault::Unreadable(name.clone(), why);
    let why = match error::within(error::REQUEST_TIMEOUT, api.get_opt(&name.name)).await {
        Ok(Some(secret)) => return (Ok(values(&secret)), false),
        Ok(None) => return (Err(SecretFault::Missing(name.clone())), true),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return (Err(unreadable(status.message.clone())), true);
        }
        Err(why) => error::in_words(&why),
    };
    (last.cloned().ok_or_else(|| unreadable(why)), true)
}

/// Whether a watch was refused since the cluster no longer knows what has changed after the version that it names.
fn is_too_old(why: &watcher::Error) -> bool {
    matches!(why, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

/// What is text in a Secret.
fn values(secret: &SecretObject) -> SecretValues {
    let data = secret.data.iter().flatten();
    // One that was made of a file ends as lines do.
    let values = data.filter_map(|(key, value)| {
        let text = std::str::from_utf8(&value.0).ok()?;
        Some((key.clone(), Secret::new(text.trim_end_matches(['\r', '\n']))))
    });
    SecretValues {
        version: secret.resource_version().unwrap_or_default(),
        values: values.collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use axum::Router;
    use axum::http::StatusCode;
    use futures_util::{StreamExt, stream};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::Client;
    use kube::core::Status;
    use kube::runtime::reflector::store;
    use kube::runtime::watcher;
    use serde_json::json;
    use tokio::sync::watch;

    use super::{Declaring, QUIET, Watched, keep_version, read_secret};
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::declared::SecretFault;
    use crate::kubernetes::resources::HouseObject;

    fn failed(why: kube::Error) -> watcher::Result<watcher::Event<HouseObject>> {
        Err(watcher::Error::WatchStartFailed(why))
    }

    fn watched() -> (Watched, watch::Receiver<Declaring>) {
        let (declaring, seen) = watch::channel(Declaring::default());
        let (changed, news) = (Arc::default(), Arc::default());
        (Watched { what: "Secrets", changed, declaring, news }, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_with_a_watch_ends_when_nothing_more_is_heard_of_it() {
        let (watched, seen) = watched();
        let refused = || failed(kube::Error::LinesCodecMaxLineLengthExceeded);
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
    async fn a_watch_that_begins_too_late_is_begun_anew_and_ever_more_seldom() {
        let (watched, seen) = watched();
        let (begun, count) = (Arc::new(AtomicUsize::new(0)), 12);
        let counting = Arc::clone(&begun);
        let begin = move || {
            let gone = Status { code: 410, ..Status::default() };
            let last = match counting.fetch_add(1, Ordering::SeqCst) {
                number if number < count => failed(kube::Error::Api(gone.boxed())),
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

    #[tokio::test]
    async fn a_secret_of_a_name_that_none_can_have_is_not_asked_for() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&asked);
        let answer = move || {
            counting.fetch_add(1, Ordering::SeqCst);
            async { (StatusCode::NOT_FOUND, "{}") }
        };
        let client = Client::new(Router::new().fallback(answer), "ns");
        for of in ["../../other/secrets/token", "token/..", "token?watch=true", "Token", "-a", ""] {
            let (read, is_asked_again) = read_secret(&client, &name(of), None).await;
            assert_eq!(read, Err(SecretFault::Missing(name(of))));
            assert!(!is_asked_again, "{of}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        drop(read_secret(&client, &name("token.of-1"), None).await);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
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
