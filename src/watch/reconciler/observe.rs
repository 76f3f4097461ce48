//! Looks at the target, over the connection that there is or a new one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Observed;
use crate::status::Link;
use crate::target::Observe;

use super::super::TargetSpec;
use super::super::connection::{Connect, LiveConnection, WatchedTarget};
use super::super::error::RoundError;
use super::TargetReconciler;

/// What was seen ahead of a round is good for so long; the wait for quiet is a quarter of that.
const FRESH: Duration = Duration::from_secs(1);

impl<C: Connect> TargetReconciler<C> {
    /// Observes the target before a round that is about to come. The round uses that if the target has
    /// reported no change since, so it is of no use where none is reported.
    pub(in crate::watch) async fn look_ahead(&mut self) {
        let stop = self.stop.clone();
        let Some(connection) = &mut self.connection else { return };
        if !connection.target.reports_changes() {
            return;
        }
        let asked = Instant::now();
        // Where it fails, the round reports it.
        let observed = stop.run_until_cancelled(connection.target.observe()).await;
        self.ahead = observed.and_then(Result::ok).map(|observed| (asked, observed));
    }

    /// Records how the target is after a round, and changes nothing. What it has reported meanwhile wakes the next round still.
    pub(super) async fn look_again(&mut self, spec: &TargetSpec) {
        let stop = self.stop.clone();
        let Some(connection) = &mut self.connection else { return };
        // Where it fails, the next round reports it.
        if let Some(Ok(observed)) = stop.run_until_cancelled(connection.target.observe()).await {
            drop(self.look(spec, &observed).await);
        }
    }

    /// Over the connection that there is, or a new one.
    pub(super) async fn observe(&mut self, spec: &Arc<TargetSpec>) -> Result<Observed, RoundError> {
        let stop = self.stop.clone();
        // What only reads can be left at any time.
        let connected = stop.run_until_cancelled(self.observe_connected(spec)).await;
        let observed = match connected.ok_or(RoundError::Stopped)? {
            Some(observed) => observed,
            None => self.observe_anew(spec).await?,
        };
        self.run_ids.ask(&self.name, self.connection.as_ref()).await;
        Ok(observed)
    }

    async fn observe_connected(&mut self, spec: &TargetSpec) -> Option<Observed> {
        let ahead = self.ahead.take();
        let connection = self.connection.as_mut()?;
        if !connection.spec.is_reached_the_same_way(spec) {
            return None;
        }
        // What was reported until now is seen by the next look.
        let has_changed = connection.take_events();
        if let Some((asked, observed)) = ahead
            && !has_changed
            && asked.elapsed() < FRESH
        {
            return Some(observed);
        }
        // Where it fails, another connection is tried.
        connection.target.observe().await.ok()
    }

    async fn observe_anew(&mut self, spec: &Arc<TargetSpec>) -> Result<Observed, RoundError> {
        if self.connection.is_some() {
            self.disconnect();
        }
        let connecting = async {
            let mut target = self.connector.connect(spec).await?;
            let observed = target.observe().await?;
            Ok::<_, RoundError>((target, observed))
        };
        let connected = self.stop.run_until_cancelled(connecting).await;
        let (target, observed) = match connected.unwrap_or(Err(RoundError::Stopped)) {
            Ok(connected) => connected,
            Err(error) => {
                self.run_ids.set(&self.name, None);
                self.statuses.not_connected(&self.name, spec, error.access_fault());
                if let Some(snapshots) = &self.snapshots {
                    snapshots.unreachable(&self.name, self.statuses.now());
                }
                return Err(error);
            }
        };
        let since = Instant::now();
        self.run_ids.forget(&self.name);
        self.connection = Some(LiveConnection { target, spec: Arc::clone(spec), since });
        let link = Link::Up { version: observed.version.clone(), since: self.statuses.now() };
        self.statuses.target(&self.name, |target| target.link = link);
        self.log.connected(observed.version.as_deref());
        Ok(observed)
    }
}
