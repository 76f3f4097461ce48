//! Keeps up with the cluster, and begins that anew where the cluster has another state than before, as after etcd was restored from
//! a backup: a watch that goes on from a version which the cluster has not reached again hears nothing.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::shards::ShardHolders;
use super::source::{self, ClusterScope, Declaring, news};
use super::writer::{ClusterReading, Writer};
use crate::status::Status;
use crate::target::Stop;
use crate::watch::Clock;

/// What keeps up with the cluster.
pub(super) struct ClusterTasks {
    pub(super) client: Client,
    pub(super) scope: ClusterScope,
    /// How often the cluster was seen to have another state; nobody sees that where there is no Lease.
    pub(super) states: Option<watch::Receiver<u64>>,
    pub(super) holders: Option<watch::Receiver<ShardHolders>>,
    pub(super) declaring: watch::Sender<Declaring>,
    pub(super) news: Arc<Notify>,
    pub(super) assigned: watch::Receiver<Option<Arc<ClusterReading>>>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) deletion_timeout: Duration,
    pub(super) clock: Clock,
}

impl ClusterTasks {
    /// Keeps up until it is to stop.
    pub(super) async fn run(mut self, stop: Stop) {
        stop.run_until_cancelled(async {
            loop {
                let state = self.states.as_mut().map(|states| *states.borrow_and_update());
                let mut tasks = self.begin(state.unwrap_or_default(), &stop);
                let another = async {
                    match &mut self.states {
                        Some(states) => news(states).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = all(&mut tasks) => return,
                    () = another => {}
                }
                tasks.shutdown().await;
                // What was known is of another state.
                self.declaring.send_replace(Declaring::default());
                self.news.notify_one();
            }
        })
        .await;
    }

    fn begin(&self, state: u64, stop: &Stop) -> JoinSet<()> {
        let of = (&self.client, &self.scope);
        let (holders, news) = (self.holders.clone(), Arc::clone(&self.news));
        let (source, objects, mut tasks) =
            source::begin(of, state, holders, self.declaring.clone(), news);
        let (assigned, status) = (self.assigned.clone(), self.status.clone());
        let writer = Writer::new(
            (&self.client, objects),
            assigned,
            status,
            self.deletion_timeout,
            self.clock,
        );
        tasks.spawn(source.run(stop.clone()));
        tasks.spawn(writer.run(stop.clone()));
        tasks
    }
}

/// Waits for all; what has crashed has them crash.
async fn all(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(why) = ended
            && why.is_panic()
        {
            std::panic::resume_unwind(why.into_panic());
        }
    }
}
