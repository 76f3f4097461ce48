//! `controller`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::sync::{Notify, watch as channel};
use tokio::task::JoinSet;

use crate::kubernetes::{
    self, Cluster, ClusterParts, ClusterReader, ClusterScope, ControllerSettings, LeaseSettings,
};
use crate::model::Owner;
use crate::target::Stop;
use crate::watch::{
    self, ChangeDetection, Channels, Connector, Heartbeat, StatusStore, Wakes, WatchSettings,
};

use super::exit::ExitStatus;
use super::interrupt::ProcessSignals;
use super::listen::ListenArgs;
use super::output::names;
use super::served::Served;
use super::times::seconds;
use super::watch::{all, snapshots};
use super::{Global, environment, service};

/// An owner has 100 characters at most, and the namespace takes up to 63 of them, after a dot.
const LONGEST_OWNER: usize = 36;

/// Keep Home Assistants as the resources of a Kubernetes cluster want them, until stopped
///
/// The custom resources HomeAssistant and ApplicationCredential, which `appcred schema crd` defines, say what is
/// wanted; their status says what is there. Of several replicas one acts, the one that has the Lease `appcred`; with
/// `--shards`, each acts for its part.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  appcred schema crd | kubectl apply -f -
  appcred controller
  appcred controller --namespace smart-home
  appcred controller --all-namespaces --owner west --listen 0.0.0.0:8099 --token-file /run/secrets/status_token")]
pub(super) struct ControllerArgs {
    /// Look after the resources of this namespace; default: that of the pod, or of the kubeconfig
    #[arg(long, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Look after the resources of all namespaces
    #[arg(long)]
    all_namespaces: bool,
    /// What the owner of all credentials begins with, before a dot and the namespace; another cluster for the same
    /// Home Assistants needs another one
    #[arg(long, value_name = "NAME", default_value = "kubernetes", value_parser = owner)]
    owner: Owner,
    /// Give up a deleted resource after so long, where a Home Assistant still holds what it represents: seconds, or as in
    /// 10m
    #[arg(long, value_name = "TIME", default_value_t = 600, value_parser = seconds)]
    deletion_timeout: u64,
    /// Look at each Home Assistant this often: seconds, or as in 5m
    #[arg(long, value_name = "TIME", default_value_t = 300, value_parser = seconds)]
    resync: u64,
    /// Have another replica act once this one has not renewed the Lease for so long; this one stops after two thirds
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(3..=3600))]
    lease_duration: u64,
    /// Share the resources between the replicas, in so many shards with a Lease each; the same number for all replicas
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// Act without a Lease, also while the cluster does not answer: there is no other replica
    #[arg(long, conflicts_with_all = ["lease_duration", "shards"])]
    no_lease: bool,
    /// Find the cluster in this file, and not as kubectl does
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Take this context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
}

fn owner(text: &str) -> Result<Owner, String> {
    Owner::new(text).filter(|_| text.len() <= LONGEST_OWNER).ok_or_else(|| {
        format!("it consists of letters, digits, `-`, `_` and `.`, at most {LONGEST_OWNER} of them")
    })
}

pub(super) async fn run(global: &Global, verb: ControllerArgs) -> anyhow::Result<ExitStatus> {
    let cluster = Cluster::find(verb.kubeconfig.clone(), verb.context.clone()).await?;
    let (ingress, house) = verb.listen.ingress()?.unzip();
    if house.is_some() {
        return Err(anyhow!("--ingress is for an app (add-on) of Home Assistant, not for a pod"));
    }
    let served = verb.listen.bind(ingress).await?;
    let hook = verb.listen.hook()?;
    let stop = Stop::new();
    let (reload, heartbeat) = (Arc::new(Notify::new()), Heartbeat::new());
    let over = service::listen(ProcessSignals::new()?, stop.clone(), Arc::clone(&reload));
    let statuses = StatusStore::new(environment::now);
    let settings = settings(&verb, &cluster);
    let ClusterParts { reader, tasks: cluster_tasks, replicas } =
        kubernetes::begin(&cluster, settings, &statuses, &stop);
    let drained = Stop::new();
    let until_drained = drained.clone();
    let acting = async move {
        match replicas {
            Some(replicas) => {
                let ended = replicas.start(until_drained).await;
                ended.context("the thread that renews the Lease is gone")??;
            }
            None => until_drained.cancelled().await,
        }
        anyhow::Ok(())
    };
    let mut acting = tokio::spawn(acting);
    // All end when the controller is to stop.
    let mut tasks = JoinSet::new();
    tasks.spawn(while_running(cluster_tasks, stop.clone()));
    tasks.spawn(service::report(statuses.subscribe(), heartbeat.clone(), stop.clone()));
    let (snapshots, snapshot) = snapshots(&mut tasks, None, served.is_some(), &stop);
    let served = Served { at: served, hook, names: Arc::new(names(global)), snapshot };
    let (callbacks, wakes) = served.begin(&mut tasks, (&statuses, &heartbeat, &stop));
    let wakes = Wakes::new(wakes);
    let channels = Channels { statuses, snapshots, callbacks, wakes, reload, heartbeat, stop };
    tasks.spawn(keep(verb, reader, channels));
    tokio::select! {
        ended = all(tasks) => {
            ended?;
            // Nothing is in flight any more: another replica may begin at once.
            drained.cancel();
            acting.await??;
        }
        // Without it, nothing would be done for ever.
        crashed = &mut acting => crashed??,
        () = over => {}
    }
    Ok(ExitStatus::Success)
}

fn settings(verb: &ControllerArgs, cluster: &Cluster) -> ControllerSettings {
    let scope = match (verb.all_namespaces, &verb.namespace) {
        (true, _) => ClusterScope::Cluster,
        (false, Some(namespace)) => ClusterScope::Namespace(namespace.clone()),
        (false, None) => ClusterScope::Namespace(cluster.namespace.clone()),
    };
    let namespace = match &scope {
        ClusterScope::Namespace(namespace) => namespace.clone(),
        ClusterScope::Cluster => cluster.namespace.clone(),
    };
    let duration = Duration::from_secs(verb.lease_duration);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let shards = usize::from(verb.shards);
    let lease = LeaseSettings { namespace, duration, host, shards };
    ControllerSettings {
        lease: (!verb.no_lease).then_some(lease),
        scope,
        owner: verb.owner.clone(),
        deletion_timeout: Duration::from_secs(verb.deletion_timeout),
        clock: environment::now,
    }
}

/// Keeps Home Assistants as they should be, once the cluster has said how that is.
async fn keep(verb: ControllerArgs, mut reader: ClusterReader, channels: Channels) {
    let connector = Connector {
        resolver: channel::channel(Arc::default()).1,
        sessions: None,
        consent_base: verb.listen.consent_base(),
        reached: Default::default(),
    };
    let settings = WatchSettings {
        resync: Duration::from_secs(verb.resync),
        detection: ChangeDetection::Events,
        verify_every: None,
    };
    channels.stop.run_until_cancelled(reader.answered()).await;
    watch::run(settings, reader, connector, channels).await;
}

/// What keeps up with the cluster ends with the controller. Where one of it crashes, so does this.
async fn while_running(mut tasks: JoinSet<()>, stop: Stop) {
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Err(why)) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
                Some(_) => {}
                None => return,
            },
            () = stop.cancelled() => return,
        }
    }
}
