//! One run at a time goes on with the set-up of an entry. Runs on several machines share no lock but
//! what HA keeps for its user.
//!
//! HA has no "set if it is unset". So a run writes its id where none is, and has the turn if the id is
//! still there after [`HESITATION`]: of all that found none, the last to write. A run takes far less
//! than that from reading to writing. Where one is slower, two may go on with one set-up; how that ends
//! is seen by the linked accounts.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::HomeAssistant;
use super::connection::CommandError;
use super::flow_notes::kept;
use super::messages::Command;
use crate::model::Mark;
use crate::target::Refusal;

/// Behind the mark in the key of the run that has the turn.
const TURN: &str = "#turn";
pub(super) const HESITATION: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// A run that has had the turn for longer was cut off.
const LONGEST_TURN: Duration = Duration::from_secs(30);

impl HomeAssistant {
    /// Waits until no other run is at this entry's set-up, and takes the turn.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn take_turn(&self, mark: &Mark) -> Result<(), Refusal> {
        let mut other = None;
        loop {
            let holder = self.holder(mark).await?;
            if holder.is_none() || is_cut_off(&mut other, holder) {
                self.write_turn(mark, self.run.clone().into()).await?;
                sleep(HESITATION).await;
                if self.holder(mark).await?.is_none_or(|holder| holder == self.run) {
                    return Ok(());
                }
            } else {
                sleep(CHECK_INTERVAL).await;
            }
        }
    }

    /// Takes the turn for a flow that no other run can know yet.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub(super) async fn take_first_turn(&self, mark: &Mark) -> Result<(), Refusal> {
        Ok(self.write_turn(mark, self.run.clone().into()).await?)
    }

    /// Gives the turn back.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn end_turn(&self, mark: &Mark) -> Result<(), Refusal> {
        Ok(self.write_turn(mark, Value::Null).await?)
    }

    async fn holder(&self, mark: &Mark) -> Result<Option<String>, CommandError> {
        let kept = kept(&self.connection).await?;
        Ok(kept.get(&key(mark)).and_then(Value::as_str).map(str::to_owned))
    }

    async fn write_turn(&self, mark: &Mark, value: Value) -> Result<(), CommandError> {
        let key = key(mark);
        self.connection.ask(Command::WriteUserData { key, value }).await
    }
}

/// Whether the same run has had the turn for too long; `since` is who has it, and since when.
fn is_cut_off(since: &mut Option<(String, Instant)>, holder: Option<String>) -> bool {
    let Some(holder) = holder else { return false };
    match since {
        Some((known, since)) if *known == holder => since.elapsed() > LONGEST_TURN,
        _ => {
            *since = Some((holder, Instant::now()));
            false
        }
    }
}

fn key(mark: &Mark) -> String {
    format!("{mark}{TURN}")
}
