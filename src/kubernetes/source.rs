//! Watches the objects and the Secrets that they name, and says what is declared whenever that has changed.
//!
//! A cluster that does not answer takes nothing back: what was declared last stays in force.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::declared::{self, Declarations, ObjectName, SecretFault, SecretValues};
use super::error;
use super::resources::{CredentialObject, HouseObject};
use crate::model::Secret;
use crate::target::Stop;

/// Changes within this are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How soon a Secret is asked for again that could not be read: no event says that a right was given.
const RETRY: Duration = Duration::from_secs(15);
/// How long one Secret may take.
const SECRET_TIMEOUT: Duration = Duration::from_secs(10);
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

/// What is declared; nothing before the cluster has answered, which has why not.
pub(super) type Declaring = Result<Arc<Declarations>, String>;

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
    let (declaring, receiver) = watch::channel(Err("the cluster has not answered yet".to_owned()));
    let mut tasks = JoinSet::new();
    let config = watcher::Config::default;
    let of = |what| Watched { what, changed: Arc::clone(&changed), failure: declaring.clone() };
    let stream = watcher(scope.api(client), config()).default_backoff().reflect(houses_in);
    tasks.spawn(of("HomeAssistants").follow(stream));
    let stream = watcher(scope.api(client), config()).default_backoff().reflect(credentials_in);
    tasks.spawn(of("ApplicationCredentials").follow(stream));
    // Of Secrets only the metadata: what one holds is asked for where an object names it.
    let secrets: Api<PartialObjectMeta<SecretObject>> = scope.api(client);
    let stream = watcher(secrets, config()).default_backoff().reflect(secrets_in);
    tasks.spawn(of("Secrets").follow(stream));
    let (client, known) = (client.clone(), BTreeMap::new());
    let source = Source { client, objects: objects.clone(), changed, known, declaring, news };
    (source, objects, receiver, tasks)
}

/// One kind of objects.
struct Watched {
    what: &'static str,
    changed: Arc<Notify>,
    failure: watch::Sender<Declaring>,
}

impl Watched {
    async fn follow<K: Debug>(
        self,
        events: impl stream::Stream<Item = watcher::Result<watcher::Event<K>>>,
    ) {
        let mut events = std::pin::pin!(events);
        let mut failed: Option<String> = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if failed.take().is_some() {
                        tracing::info!("{} are watched again", self.what);
                    }
                    // A list is taken as a whole.
                    if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                        self.changed.notify_one();
                    }
                }
                Err(why) => self.failed(&mut failed, error::of_watch(self.what, &why)),
            }
        }
    }

    fn failed(&self, failed: &mut Option<String>, why: String) {
        if failed.as_ref() == Some(&why) {
            return;
        }
        tracing::error!("{why}; what was read before stays in force");
        self.failure.send_if_modified(|declaring| {
            let is_begin = declaring.is_err();
            if is_begin {
                *declaring = Err(why.clone());
            }
            is_begin
        });
        *failed = Some(why);
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
                let declared = self.read().await;
                let has_faults = declared.secrets.values().any(Result::is_err);
                let is_news = self.declaring.send_if_modified(|last| {
                    let is_news = last.as_ref().ok().is_none_or(|last| **last != declared);
                    if is_news {
                        *last = Ok(Arc::new(declared));
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

    async fn read(&mut self) -> Declarations {
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
            secrets: BTreeMap::new(),
        };
        let named = declared.named_secrets();
        let (client, objects, known) = (&self.client, &self.objects, &self.known);
        let reading = stream::iter(named).map(|name| async move {
            let version = objects.version(&name);
            let last = known.get(&name);
            let read = match last {
                Some(last) if version.as_ref() == Some(&last.version) => Ok(last.clone()),
                _ => read_secret(client, &name, last).await,
            };
            (name, read)
        });
        declared.secrets = reading.buffer_unordered(READ_AT_ONCE).collect().await;
        let read = declared.secrets.iter();
        let read =
            read.filter_map(|(name, read)| Some((name.clone(), read.as_ref().ok()?.clone())));
        self.known = read.collect();
        declared
    }
}

impl Objects {
    /// The version of a Secret that was seen last.
    fn version(&self, name: &ObjectName) -> Option<String> {
        let of = ObjectRef::new(&name.name).within(&name.namespace);
        self.secrets.get(&of)?.resource_version()
    }
}

/// Reads a Secret. Where the cluster does not answer, it is what it was.
async fn read_secret(
    client: &Client,
    name: &ObjectName,
    last: Option<&SecretValues>,
) -> Result<SecretValues, SecretFault> {
    let api: Api<SecretObject> = Api::namespaced(client.clone(), &name.namespace);
    let unreadable = |why: String| SecretFault::Unreadable(name.clone(), why);
    let why = match timeout(SECRET_TIMEOUT, api.get_opt(&name.name)).await {
        Ok(Ok(Some(secret))) => return Ok(values(&secret)),
        Ok(Ok(None)) => return Err(SecretFault::Missing(name.clone())),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            return Err(unreadable(status.message.clone()));
        }
        Ok(Err(why)) => error::in_words(&why),
        Err(_) => "the cluster does not answer".to_owned(),
    };
    last.cloned().ok_or_else(|| unreadable(why))
}

/// What is text in a Secret.
fn values(secret: &SecretObject) -> SecretValues {
    let data = secret.data.iter().flatten();
    let values = data.filter_map(|(key, value)| {
        Some((key.clone(), Secret::new(std::str::from_utf8(&value.0).ok()?)))
    });
    SecretValues {
        version: secret.resource_version().unwrap_or_default(),
        values: values.collect(),
    }
}
