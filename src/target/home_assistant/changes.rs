//! What HA tells by itself: credentials and linked accounts that change, browsers that come back.

use serde::de::IgnoredAny;

use super::HomeAssistant;
use super::connection::{CommandError, Events};
use super::flows::PROGRESSED;
use super::messages::{Command, UNKNOWN_COMMAND};
use crate::target::TargetError;

/// Reports that something may have changed at a HA, not what.
pub struct ChangeEvents {
    streams: Vec<EventStream>,
}

struct EventStream {
    events: Events,
    /// Whether the next event only reports the current state.
    begins: bool,
}

impl EventStream {
    async fn next(&mut self) -> Option<()> {
        loop {
            // What cannot be read is a change as well.
            drop(self.events.next::<IgnoredAny>().await?);
            if !std::mem::take(&mut self.begins) {
                return Some(());
            }
        }
    }
}

impl ChangeEvents {
    /// Waits for the next one; for ever once the connection is lost.
    pub async fn next(&mut self) {
        if self.streams.is_empty() {
            return std::future::pending().await;
        }
        let waiting = self.streams.iter_mut().map(|stream| Box::pin(stream.next()));
        let (next, ..) = futures_util::future::select_all(waiting).await;
        if next.is_none() {
            std::future::pending().await
        }
    }
}

impl HomeAssistant {
    /// From now on, reports when something changes. Older releases tell nothing of credentials.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn changes(&self) -> Result<ChangeEvents, TargetError> {
        let mut streams = Vec::new();
        let wanted = [
            (Command::SubscribeCredentials, true),
            (Command::SubscribeConfigEntries, true),
            (Command::SubscribeEvents { event_type: PROGRESSED }, false),
        ];
        for (command, begins) in wanted {
            match self.connection.subscribe(command).await {
                Ok(events) => streams.push(EventStream { events, begins }),
                Err(CommandError::Refused { code, .. }) if code == UNKNOWN_COMMAND => {}
                Err(fault) => return Err(self.error(fault)),
            }
        }
        Ok(ChangeEvents { streams })
    }
}
