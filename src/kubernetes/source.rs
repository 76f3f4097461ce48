//! Watches the objects and the Secrets that they name, and says what is declared whenever that has changed.
//!
//! A cluster that does not answer takes nothing back: what was declared last stays in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::declared::{self, Declarations, ObjectName, SecretFault, SecretValues, is_object_name};
use super::error;
use super::freshness::{AsOf, FirstSeen, Versions};
use super::look_up::{self, LookedUp};
use super::object_watch::{Watched, keep_version, objects as watched_objects, watched};
use super::resources::{CredentialObject, InstanceObject};
use super::shards::ShardHolders;
use crate::model::Secret;
use crate::target::Stop;

/// Changes within this are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How soon a Secret is asked for again that could not be read: no event says that a right was given.
const RETRY: Duration = Duration::from_secs(15);
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
    pub(super) instances: Store<InstanceObject>,
    pub(super) credentials: Store<CredentialObject>,
    secrets: Store<PartialObjectMeta<SecretObject>>,
    /// Changes whenever one of them was seen to change.
    pub(super) seen: watch::Receiver<u64>,
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
    /// Of which state of the cluster all of this is.
    state: u64,
    /// Who acts for which shard; this process for all where there is nobody else.
    holders: Option<watch::Receiver<ShardHolders>>,
    changed: Arc<Notify>,
    first_seen: FirstSeen,
    /// As of which versions the objects are known.
    looked_up_instances: LookedUp,
    looked_up_credentials: LookedUp,
    known: BTreeMap<ObjectName, SecretValues>,
    declaring: watch::Sender<Declaring>,
    /// Notified whenever something else is declared.
    news: Arc<Notify>,
}

/// Begins to watch the cluster in this state; the tasks end when they are dropped.
pub(super) fn begin(
    (client, scope): (&Client, &ClusterScope),
    state: u64,
    holders: Option<watch::Receiver<ShardHolders>>,
    declaring: watch::Sender<Declaring>,
    news: Arc<Notify>,
) -> (Source, Objects, JoinSet<()>) {
    let (instances, instances_in) = store();
    let (credentials, credentials_in) = store();
    let (secrets, secrets_in) = store();
    let (seen, receiver) = watch::channel(0);
    let objects = Objects { instances, credentials, secrets, seen: receiver };
    let changed = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let of = |what| Watched {
        what,
        changed: Arc::clone(&changed),
        declaring: declaring.clone(),
        news: Arc::clone(&news),
        seen: seen.clone(),
        is_without_lease: holders.is_none(),
    };
    let api = scope.api(client);
    let begin = move || watched_objects::<InstanceObject>(&api);
    tasks.spawn(of("HomeAssistants").follow(begin, instances_in));
    let api = scope.api(client);
    let begin = move || watched_objects::<CredentialObject>(&api);
    tasks.spawn(of("ApplicationCredentials").follow(begin, credentials_in));
    // Of Secrets only the metadata: what one holds is asked for where an object names it.
    let api: Api<PartialObjectMeta<SecretObject>> = scope.api(client);
    tasks.spawn(
        of("Secrets").follow(move || watched(&api, |of| keep_version(of.meta_mut())), secrets_in),
    );
    let (api, store) = (scope.api(client), objects.instances.clone());
    let looked_up_instances =
        look_up::begin(api, store, of("Versions of HomeAssistants"), &mut tasks);
    let (api, store) = (scope.api(client), objects.credentials.clone());
    let looked_up_credentials =
        look_up::begin(api, store, of("Versions of ApplicationCredentials"), &mut tasks);
    let source = Source {
        client: client.clone(),
        objects: objects.clone(),
        state,
        holders,
        changed,
        first_seen: FirstSeen::default(),
        looked_up_instances,
        looked_up_credentials,
        known: BTreeMap::new(),
        declaring,
        news,
    };
    (source, objects, tasks)
}

impl Source {
    /// Says what is declared, again and again, until it is to stop.
    pub(super) async fn run(mut self, stop: Stop) {
        stop.run_until_cancelled(async {
            let (instances, credentials) = (&self.objects.instances, &self.objects.credentials);
            // They end only with the tasks that fill them.
            let ready = tokio::join!(instances.wait_until_ready(), credentials.wait_until_ready());
            if ready.0.is_err() || ready.1.is_err() {
                return;
            }
            loop {
                let (declared, again) = self.read().await;
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
                    match again {
                        Some(pause) => sleep(pause).await,
                        None => std::future::pending().await,
                    }
                };
                let term = async {
                    match &mut self.holders {
                        Some(holders) => news(holders).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = self.changed.notified() => sleep(DEBOUNCE).await,
                    () = term => {}
                    () = news(&mut self.looked_up_instances.as_of) => {}
                    () = news(&mut self.looked_up_credentials.as_of) => {}
                    () = retry => {}
                }
            }
        })
        .await;
    }

    /// What the objects declare, as they were seen last.
    fn declared(&self) -> Declarations {
        let instances = self.objects.instances.state();
        let credentials = self.objects.credentials.state();
        Declarations {
            instances: instances
                .iter()
                .map(|of| (declared::name_of(&**of), declared::instance(of)))
                .collect(),
            credentials: credentials
                .iter()
                .map(|of| (declared::name_of(&**of), declared::credential(of)))
                .collect(),
            ..Declarations::default()
        }
    }

    /// Notes since when statuses have what they have, and since when credentials are being deleted, and has looked up what
    /// must be known for that.
    fn note(&mut self) {
        let Objects { instances, credentials, .. } = &self.objects;
        self.first_seen.note(&instances.state(), &credentials.state());
        let term = self.term();
        let holders = self.holders.as_ref().map(watch::Receiver::borrow);
        let has = |uid: &str| holders.as_ref().is_none_or(|holders| holders.has(uid));
        let demanded = self.first_seen.demanded(has);
        self.looked_up_instances.demand(demanded.instances.max(term));
        self.looked_up_credentials.demand(demanded.credentials.max(term));
    }

    /// The version with which the latest term of this replica began.
    fn term(&mut self) -> u64 {
        let holders = self.holders.as_mut().map(watch::Receiver::borrow_and_update);
        let begun = holders.map(|holders| holders.begun()).unwrap_or_default();
        // One of another state needs other watches.
        if begun.state == self.state { begun.version } else { 0 }
    }

    /// Answers also after which pause something is to be asked for again.
    async fn read(&mut self) -> (Declarations, Option<Duration>) {
        // Who takes over waits for these lists: they begin before Secrets are read.
        let term = self.term();
        self.looked_up_instances.demand_at_least(term);
        self.looked_up_credentials.demand_at_least(term);
        // Before the objects are: these are at least as new.
        let as_of = Versions {
            instances: *self.looked_up_instances.as_of.borrow_and_update(),
            credentials: *self.looked_up_credentials.as_of.borrow_and_update(),
        };
        let mut declared = self.declared();
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
        declared.take_last_instance_secrets(&self.known);
        // What this process has written meanwhile counts, too.
        self.note();
        declared.listed = self.first_seen.listed(as_of);
        declared.as_of = AsOf { state: self.state, version: as_of.of_all() };
        let sought = declared.credentials.iter();
        let sought = sought.filter(|(_, of)| !self.first_seen.is_looked_up(&of.uid, as_of));
        declared.sought = sought.map(|(name, _)| name.clone()).collect();
        // What one was is remembered as long as an object names it.
        self.known.retain(|name, _| declared.secrets.contains_key(name));
        for (name, read) in &declared.secrets {
            if let Ok(read) = read {
                self.known.insert(name.clone(), read.clone());
            }
        }
        (declared, has_faults.then_some(RETRY))
    }
}

/// Waits until it has changed; for ever where it can change no more.
pub(super) async fn news<T>(of: &mut watch::Receiver<T>) {
    if of.changed().await.is_err() {
        std::future::pending::<()>().await;
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
    use kube::Client;
    use serde_json::json;
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::{ClusterScope, Declaring, begin, read_secret};
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::declared::{Listing, SecretFault};
    use crate::kubernetes::error::REQUEST_TIMEOUT;
    use crate::kubernetes::simulated_api::{ApiServer, NAMESPACE};
    use crate::target::Stop;

    fn receiver() -> (watch::Receiver<Declaring>, watch::Sender<Declaring>) {
        let declaring = watch::Sender::default();
        (declaring.subscribe(), declaring)
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_hangs_holds_up_nothing_that_does_not_need_it() {
        let server = ApiServer::new(0);
        server.state().loses_look_ups = true;
        server.apply("homeassistants", "cabin", |of| {
            of["spec"] =
                json!({"url": "http://cabin:8123", "tokenSecretRef": {"name": "t", "key": "t"}});
            let held = json!({"name": "a", "observedGeneration": 1, "state": "Pending"});
            of["status"] = json!({"observedGeneration": 1, "credentials": [held]});
        });
        let declare = |name: &str| {
            server.apply("applicationcredentials", name, |of| {
                of["spec"] = json!({"domain": "spotify", "clientId": name, "targetSelector": {},
                    "clientSecretRef": {"name": "s", "key": "s"}});
            });
        };
        declare("a");
        let scope = ClusterScope::Namespace(NAMESPACE.to_owned());
        let (mut declaring, declared) = receiver();
        let of = (&server.client(1), &scope);
        let (source, _objects, _tasks) = begin(of, 0, None, declared, Arc::default());
        let running = tokio::spawn(source.run(Stop::new()));
        let mut declared = async |is_so: &dyn Fn(Option<&Listing>, usize) -> bool| {
            let is_so = |Declaring { declared, .. }: &Declaring| {
                declared.as_ref().is_some_and(|of| {
                    let listed = of.listed.get(&name("cabin"));
                    is_so(listed.and_then(|of| of.get("a")), of.credentials.len())
                })
            };
            // No more than a request that gets no answer takes.
            let waiting = timeout(REQUEST_TIMEOUT, declaring.wait_for(is_so));
            waiting.await.is_ok_and(|there| there.is_ok())
        };
        assert!(declared(&|of, count| of == Some(&Listing::Announced) && count == 1).await);
        declare("b");
        assert!(declared(&|of, count| of == Some(&Listing::Announced) && count == 2).await);
        server.state().loses_look_ups = false;
        // Nobody has to ask for it again.
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(declared(&|of, _| of == Some(&Listing::Wanted)).await);
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_cannot_be_read_is_in_error_and_holds_up_no_other() {
        let server = ApiServer::new(0);
        let instance = |name: &str, max_deletes: u64| {
            server.apply("homeassistants", name, |of| {
                of["spec"] = json!({"url": "http://cabin:8123", "maxDeletes": max_deletes,
                    "tokenSecretRef": {"name": "t", "key": "t"}});
                let held = json!({"name": "a", "observedGeneration": 1, "state": "Pending"});
                of["status"] = json!({"observedGeneration": 1, "credentials": [held]});
            });
        };
        instance("cabin", 3);
        for (name, max_deletes) in [("a", 3), ("wide", 3_000_000_000_u64)] {
            server.apply("applicationcredentials", name, |of| {
                of["spec"] = json!({"domain": "spotify", "clientId": name, "targetSelector": {},
                    "maxDeletes": max_deletes, "clientSecretRef": {"name": "s", "key": "s"}});
            });
        }
        instance("wide", 3_000_000_000);
        let scope = ClusterScope::Namespace(NAMESPACE.to_owned());
        let (mut declaring, declared) = receiver();
        let of = (&server.client(1), &scope);
        let (source, _objects, _tasks) = begin(of, 0, None, declared, Arc::default());
        let running = tokio::spawn(source.run(Stop::new()));
        let is_looked_up = |Declaring { declared, .. }: &Declaring| {
            let of = declared.as_ref().and_then(|of| of.listed_as(&name("cabin"), "a"));
            of == Some(Listing::Wanted)
        };
        let waiting = timeout(REQUEST_TIMEOUT, declaring.wait_for(is_looked_up));
        let declaring = waiting.await.expect("it is looked up").unwrap().clone();
        assert!(declaring.troubles.is_empty(), "{:?}", declaring.troubles);
        let declared = declaring.declared.unwrap();
        let why = |of: &Option<String>| of.clone().unwrap();
        for why in [
            why(&declared.instances[&name("wide")].spec.unreadable),
            why(&declared.credentials[&name("wide")].spec.unreadable),
        ] {
            assert!(why.starts_with("maxDeletes: "), "{why}");
        }
        assert_eq!(declared.instances[&name("cabin")].spec.unreadable, None);
        assert_eq!(declared.listed_as(&name("wide"), "a"), Some(Listing::Wanted));
        running.abort();
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
}
