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
use tokio::time::{Instant, sleep};

use super::declared::{self, Declarations, ObjectName, SecretFault, SecretValues, is_object_name};
use super::error;
use super::freshness::{FirstSeen, Versions, known_as_of};
use super::object_watch::{Watched, keep_version, watched};
use super::resources::{CredentialObject, HouseObject};
use super::shards::ShardHolders;
use crate::model::Secret;
use crate::target::Stop;

/// Changes within this are one.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How soon a Secret is asked for again that could not be read: no event says that a right was given.
const RETRY: Duration = Duration::from_secs(15);
/// How soon versions are looked up again that were not seen yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
    scope: ClusterScope,
    objects: Objects,
    /// Who acts for which shard; this process for all where there is nobody else.
    holders: Option<watch::Receiver<ShardHolders>>,
    changed: Arc<Notify>,
    first_seen: FirstSeen,
    /// As of which versions the objects are known.
    as_of: Versions,
    /// The last look at what versions there are.
    looks: Watched,
    /// Until when nobody asks again, since it has failed.
    rests_until: Option<Instant>,
    known: BTreeMap<ObjectName, SecretValues>,
    declaring: watch::Sender<Declaring>,
    /// Notified whenever something else is declared.
    news: Arc<Notify>,
}

/// Begins to watch; the tasks end when they are dropped.
pub(super) fn begin(
    client: &Client,
    scope: &ClusterScope,
    holders: Option<watch::Receiver<ShardHolders>>,
    news: Arc<Notify>,
) -> (Source, Objects, watch::Receiver<Declaring>, JoinSet<()>) {
    let (houses, houses_in) = store();
    let (credentials, credentials_in) = store();
    let (secrets, secrets_in) = store();
    let (seen, receiver) = watch::channel(0);
    let objects = Objects { houses, credentials, secrets, seen: receiver };
    let changed = Arc::new(Notify::new());
    let (declaring, receiver) = watch::channel(Declaring::default());
    let mut tasks = JoinSet::new();
    let of = |what| Watched {
        what,
        changed: Arc::clone(&changed),
        declaring: declaring.clone(),
        news: Arc::clone(&news),
        seen: seen.clone(),
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
    let looks = of("Versions of objects");
    let source = Source {
        client: client.clone(),
        scope: scope.clone(),
        objects: objects.clone(),
        holders,
        changed,
        first_seen: FirstSeen::default(),
        as_of: Versions::default(),
        looks,
        rests_until: None,
        known: BTreeMap::new(),
        declaring,
        news,
    };
    (source, objects, receiver, tasks)
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
                    let changed = match &mut self.holders {
                        Some(holders) => holders.changed().await.is_ok(),
                        None => false,
                    };
                    // An error means that nobody will act any more.
                    if !changed {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = self.changed.notified() => sleep(DEBOUNCE).await,
                    () = term => {}
                    () = retry => {}
                }
            }
        })
        .await;
    }

    /// What the objects declare, as they were seen last.
    fn declared(&self) -> Declarations {
        let houses = self.objects.houses.state();
        let credentials = self.objects.credentials.state();
        Declarations {
            houses: houses
                .iter()
                .map(|of| (declared::name_of(&**of), declared::house(of)))
                .collect(),
            credentials: credentials
                .iter()
                .map(|of| (declared::name_of(&**of), declared::credential(of)))
                .collect(),
            ..Declarations::default()
        }
    }

    /// Notes since when statuses have what they have, and since when credentials are being deleted.
    fn note(&mut self) {
        let Objects { houses, credentials, .. } = &self.objects;
        self.first_seen.note(&houses.state(), &credentials.state());
    }

    /// Looks up which versions there are, where something is to be known as of a later one. Answers whether it is.
    async fn look_up(&mut self) -> bool {
        let mut demanded = self.first_seen.demanded();
        let holders = self.holders.as_mut().map(|holders| holders.borrow_and_update().clone());
        let term = holders.map(|holders| holders.begun()).unwrap_or_default();
        demanded.houses = demanded.houses.max(term);
        if self.rests_until.is_none_or(|until| until <= Instant::now()) {
            match self.look_up_versions(demanded).await {
                Ok(()) => self.looks.succeeded(),
                Err(why) => {
                    self.rests_until = Some(Instant::now() + LOOK_AGAIN);
                    self.looks.failed(error::of_list("objects", &why));
                }
            }
        }
        self.as_of.houses >= demanded.houses && self.as_of.credentials >= demanded.credentials
    }

    async fn look_up_versions(&mut self, demanded: Versions) -> kube::Result<()> {
        let Objects { houses, credentials, .. } = &self.objects;
        if self.as_of.houses < demanded.houses {
            let api = self.scope.api(&self.client);
            let known = known_as_of(&api, houses, demanded.houses).await?;
            self.as_of.houses = known.unwrap_or(self.as_of.houses);
        }
        if self.as_of.credentials < demanded.credentials {
            let api = self.scope.api(&self.client);
            let known = known_as_of(&api, credentials, demanded.credentials).await?;
            self.as_of.credentials = known.unwrap_or(self.as_of.credentials);
        }
        Ok(())
    }

    /// Answers also after which pause something is to be asked for again.
    async fn read(&mut self) -> (Declarations, Option<Duration>) {
        self.note();
        let is_known = self.look_up().await;
        // What was so before the look-up may be no longer.
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
        declared.take_last_house_secrets(&self.known);
        // What this process has written meanwhile counts at once.
        self.note();
        declared.listed = self.first_seen.listed(self.as_of);
        declared.as_of = self.as_of.houses;
        let sought = declared.credentials.iter();
        let sought = sought.filter(|(_, of)| !self.first_seen.is_looked_up(&of.uid, self.as_of));
        declared.sought = sought.map(|(name, _)| name.clone()).collect();
        // What one was is remembered as long as an object names it.
        self.known.retain(|name, _| declared.secrets.contains_key(name));
        for (name, read) in &declared.secrets {
            if let Ok(read) = read {
                self.known.insert(name.clone(), read.clone());
            }
        }
        let pause = match has_faults {
            _ if !is_known => Some(LOOK_AGAIN),
            true => Some(RETRY),
            false => None,
        };
        (declared, pause)
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

    use axum::Router;
    use axum::http::StatusCode;
    use kube::Client;

    use super::read_secret;
    use crate::kubernetes::assignment::tests::name;
    use crate::kubernetes::declared::SecretFault;

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
