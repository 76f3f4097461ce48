//! What HA reports unasked: changed credentials and linked accounts, reauthentications, browsers that
//! come back.

use futures_util::stream::{Stream, StreamExt, pending, poll_fn, select_all};
use tokio::sync::mpsc::UnboundedReceiver;

use super::HomeAssistant;
use super::connection::CommandError;
use super::flows::PROGRESSED;
use super::messages::{Command, UNKNOWN_COMMAND};
use crate::target::{ChangeEvents, TargetError};

/// One after another; `begins` says whether the first only reports the current state.
fn stream(
    mut changes: UnboundedReceiver<()>,
    begins: bool,
) -> impl Stream<Item = ()> + Send + Sync {
    poll_fn(move |context| changes.poll_recv(context)).skip(usize::from(begins))
}

impl HomeAssistant {
    /// From now on, reports when something changes. Older releases report nothing of credentials and of
    /// flows.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub(super) async fn subscribe_to_changes(&self) -> Result<ChangeEvents, TargetError> {
        let mut streams = Vec::new();
        let wanted = [
            (Command::SubscribeCredentials, true),
            (Command::SubscribeConfigEntries, true),
            (Command::SubscribeFlows, true),
            (Command::SubscribeEvents { event_type: PROGRESSED }, false),
        ];
        for (command, begins) in wanted {
            match self.connection.subscribe_to_changes(command).await {
                Ok(events) => streams.push(Box::pin(stream(events, begins))),
                Err(CommandError::Refused { code, .. }) if code == UNKNOWN_COMMAND => {}
                Err(fault) => return Err(self.error(fault)),
            }
        }
        Ok(Box::pin(select_all(streams).chain(pending())))
    }
}
