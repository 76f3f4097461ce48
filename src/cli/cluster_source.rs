//! A project that is in ConfigMaps and Secrets of a Kubernetes cluster: which one, and how it is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::files::fetched;
use crate::kubernetes::{Cluster, ClusterProject, PROJECT_LABEL};
use crate::model::Visible;
use crate::status::SourceStatus;
use crate::target::Stop;
use crate::watch::{SourceTask, StatusStore};

use super::git_source::{FetchedProject, KeptSource};
use super::private_folder::{PrivateFolder, in_memory, remove_abandoned};
use super::{console, environment};

/// With this the names of the folders begin that files of a cluster are written into.
const PREFIX: &str = "appcred-cluster-";
/// How often it is listed although nothing has changed: a watch may have lost something.
const INTERVAL: Duration = Duration::from_secs(300);
/// Between two attempts to read a project that was never read.
const PAUSE: Duration = Duration::from_secs(10);

/// Read the project from a Kubernetes cluster
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Kubernetes")]
#[group(skip)]
pub(super) struct ClusterArgs {
    /// Read the project from the ConfigMaps and Secrets of a namespace that have the label appcred.io/manifest=true
    ///
    /// No custom resource is needed. Each key that ends with .yaml is a manifest, and the key appcred.yaml the project
    /// file. `!secret NAME/KEY` is the value of a Secret. Their contents are written only to memory.
    #[arg(long, conflicts_with = "git")]
    kubernetes: bool,
    /// The namespace; default: that of the pod, or of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubernetes")]
    namespace: Option<String>,
    /// Find the cluster in this file, and not as kubectl does
    #[arg(long, value_name = "FILE", requires = "kubernetes")]
    kubeconfig: Option<PathBuf>,
    /// Take this context of the kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubernetes")]
    context: Option<String>,
}

/// Reads the project, where a cluster is named. `folder` is that of `--directory`.
///
/// # Errors
/// Where it cannot be read, or both are named.
pub(super) async fn fetch(
    args: &ClusterArgs,
    is_watched: bool,
    folder: &Path,
    stop: &Stop,
) -> anyhow::Result<Option<FetchedProject>> {
    if !args.kubernetes {
        return Ok(None);
    }
    if folder != Path::new(".") {
        bail!("--kubernetes reads the project from a cluster: leave out --directory");
    }
    let cluster = Cluster::find(args.kubeconfig.clone(), args.context.clone()).await?;
    let namespace = args.namespace.as_ref().unwrap_or(&cluster.namespace);
    let Some(base) = in_memory() else {
        bail!(
            "neither $XDG_RUNTIME_DIR nor /dev/shm is a folder in memory, and Secrets are written to no disk: mount one, as an emptyDir with `medium: Memory`, and name it in XDG_RUNTIME_DIR"
        );
    };
    remove_abandoned(&base, PREFIX)
        .with_context(|| format!("cannot look through {}", base.visible()))?;
    let private = PrivateFolder::new(&base, PREFIX)?;
    let project = Arc::new(ClusterProject::new(&cluster, namespace, private.path()));
    let commit = match is_watched {
        true => match stop.run_until_cancelled(first_version(&project)).await {
            Some(version) => version,
            None => bail!("interrupted"),
        },
        false => {
            let fetched = project.fetch().await;
            fetched.map_err(|why| anyhow!("cannot read {}: {why}", project.address()))?.id
        }
    };
    let root = project.folder_in_force();
    if !is_watched {
        console::message(format_args!("Read from {}.", project.address()));
    }
    fetched::call(&[&root.join("credentials"), &root], &project.address());
    Ok(Some(FetchedProject {
        folder: root.clone(),
        root,
        may_run: false,
        commit,
        error: None,
        owner: project.owner(),
        kept: KeptSource::Cluster(project, private),
    }))
}

/// What is in force first: nothing is done before the cluster has answered.
async fn first_version(project: &ClusterProject) -> String {
    loop {
        match project.fetch().await {
            Ok(newest) => return newest.id,
            Err(why) => {
                let address = project.address();
                tracing::error!("cannot read {address}: {why}; it is tried again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// What keeps a project as the cluster has it, after it was read first.
pub(super) fn fetching(
    project: &Arc<ClusterProject>,
    commit: &str,
    (statuses, stop): (StatusStore, Stop),
    tasks: &mut JoinSet<()>,
) -> SourceTask<ClusterProject> {
    let begin = SourceStatus {
        url: project.address(),
        reference: PROJECT_LABEL.to_owned(),
        commit: commit.to_owned(),
        fetched_at: Some(environment::now()),
        error: None,
    };
    let changed = Arc::new(Notify::new());
    tasks.spawn(Arc::clone(project).follow(Arc::clone(&changed), stop.clone()));
    SourceTask {
        source: Arc::clone(project),
        noun: "version",
        begin,
        interval: INTERVAL,
        changed,
        statuses,
        stop,
    }
}
