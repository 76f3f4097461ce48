//! Home Assistants and credentials that a Kubernetes cluster declares, kept by the same tasks as those of a project.
//!
//! ```text
//!  API server ─▶ source.rs ─Declarations─▶ reader.rs ─specs─▶ watch/ ─Status─▶ writer.rs ─▶ API server
//!                declared.rs               │ assignment.rs (pure)              │ object_state.rs, finalizer.rs,
//!                                          ▼ wanted.rs, departure.rs           ▼ verdict.rs, conditions.rs (pure)
//!  resources.rs, definitions.rs = the custom resources; conversion.rs = those that declare what a project does,
//!  recovery.rs = the way back
//! ```
//!
//! Each object is in a shard (shards.rs), and one replica acts for each of these: election.rs (pure) decides which,
//! replicas.rs asks and writes the Leases for it. None acts by what was so before: freshness.rs (pure) says as of which version
//! objects must be known, and look_up.rs finds out whether they are. What is known of a cluster is forgotten where that was put back
//! to an earlier state: replicas.rs sees that, and cluster_tasks.rs begins anew.
//!
//! project.rs needs none of this: it makes ConfigMaps and Secrets the files of a project, which is watched as a folder is.

mod as_stored;
mod assignment;
mod cluster_tasks;
mod conditions;
mod conversion;
mod declared;
mod definitions;
mod departure;
mod election;
mod error;
mod event_recorders;
mod fault;
mod finalizer;
mod freshness;
mod lease_log;
mod listed;
mod look_up;
mod object_state;
mod object_watch;
mod object_write;
mod project;
mod reader;
mod recovery;
mod replicas;
mod resources;
mod shards;
#[cfg(test)]
#[path = "../../tests/it/shelf.rs"]
#[allow(dead_code, reason = "the integration tests use all of it")]
mod shelf;
#[cfg(test)]
#[path = "../../tests/it/simulated.rs"]
mod simulated;
#[cfg(test)]
mod simulated_api;
#[cfg(test)]
mod simulated_home;
#[cfg(test)]
mod simulation;
mod source;
mod target_spec;
mod untitled;
mod verdict;
mod wanted;
mod writer;

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::model::Owner;
use crate::target::Stop;
use crate::watch::{Clock, StatusStore};

use cluster_tasks::ClusterTasks;

pub use conversion::{ConvertedCredential, ConvertedInstance, ConvertedProject, resources};
pub use definitions::definitions;
pub use project::{ClusterProject, PROJECT_LABEL};
pub use reader::ClusterReader;
pub use recovery::{RecoveredProject, SecretValueName, recovered};
pub use replicas::{LeaseSettings, Replicas};
pub use source::ClusterScope;

/// How long to wait for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long nothing may come. A watch that is at rest is ended by the API server after 290 seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(320);

/// The cluster cannot be connected to.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// It is not known where it is.
    #[error(
        "no Kubernetes cluster: {0}; name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod with a service account"
    )]
    Unknown(String),
    /// What is said of it cannot be used.
    #[error("cannot connect to the Kubernetes cluster: {0}")]
    Unusable(String),
}

/// Why there is no cluster where none is named.
fn no_kubeconfig(why: &InferConfigError) -> String {
    let of_file = why.source().and_then(|why| why.downcast_ref());
    of_file.map_or_else(|| why.to_string(), error::of_kubeconfig)
}

/// A cluster, and the namespace that is meant where none is named.
pub struct Cluster {
    client: Client,
    /// How it is connected to, for a connection that nothing else holds up.
    config: Config,
    /// That namespace.
    pub namespace: String,
}

impl Cluster {
    /// Finds the cluster: that of a file, or as kubectl would, or that of this pod. Nothing is sent yet.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn find(
        kubeconfig: Option<PathBuf>,
        context: Option<String>,
    ) -> Result<Self, ClusterError> {
        let unknown = |why: KubeconfigError| ClusterError::Unknown(error::of_kubeconfig(&why));
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let config = match kubeconfig {
            Some(file) => {
                let file = Kubeconfig::read_from(file).map_err(unknown)?;
                Config::from_custom_kubeconfig(file, &options).await.map_err(unknown)
            }
            None if options.context.is_some() => {
                Config::from_kubeconfig(&options).await.map_err(unknown)
            }
            None => Config::infer().await.map_err(|why| ClusterError::Unknown(no_kubeconfig(&why))),
        };
        let mut config = config?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        // Proxies are for what is outside: in a pod, none is asked either.
        config.proxy_url = None;
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config.clone());
        let client = client.map_err(|why| ClusterError::Unusable(error::in_words(&why)))?;
        Ok(Self { client, config, namespace })
    }
}

/// How to look after a cluster.
pub struct ControllerSettings {
    /// Which objects.
    pub scope: ClusterScope,
    /// What the owners of all credentials begin with.
    pub owner: Owner,
    /// How long an object that is being deleted waits for Home Assistants.
    pub deletion_timeout: Duration,
    /// The clock.
    pub clock: Clock,
    /// Which Leases decide who acts; this process does where there are none.
    pub lease: Option<LeaseSettings>,
}

/// What looks after a cluster.
pub struct ClusterParts {
    /// What the watcher is to read.
    pub reader: ClusterReader,
    /// The tasks that keep up with the cluster.
    pub tasks: JoinSet<()>,
    /// What takes part in who acts, until nothing is in flight any more.
    pub replicas: Option<Replicas>,
}

/// Begins to look after a cluster.
pub fn begin(
    cluster: &Cluster,
    settings: ControllerSettings,
    statuses: &StatusStore,
    stop: &Stop,
) -> ClusterParts {
    let ControllerSettings { scope, owner, deletion_timeout, clock, lease } = settings;
    let client = &cluster.client;
    let news = Arc::new(Notify::new());
    let config = cluster.config.clone();
    let replicas = lease.map(|lease| Replicas::new(config, lease, clock, Arc::clone(&news), stop));
    let holders = replicas.as_ref().map(Replicas::subscribe);
    let declaring = watch::Sender::default();
    let (assigned, assigned_in) = watch::channel(None);
    let of_cluster = ClusterTasks {
        client: client.clone(),
        scope,
        states: replicas.as_ref().map(Replicas::states),
        holders: holders.clone(),
        declaring: declaring.clone(),
        news: Arc::clone(&news),
        assigned: assigned_in,
        status: statuses.subscribe(),
        deletion_timeout,
        clock,
    };
    let declaring = declaring.subscribe();
    let reader = ClusterReader { owner, declaring, news, assigned, clock, holders };
    let mut tasks = JoinSet::new();
    tasks.spawn(of_cluster.run(stop.clone()));
    ClusterParts { reader, tasks, replicas }
}
