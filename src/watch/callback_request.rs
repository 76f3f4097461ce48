//! A provider's answer that a browser brought to us instead of to Home Assistant.

use tokio::sync::oneshot;

use crate::model::{HandOverError, TargetName};

/// What a provider answered, for the target whose set-up waits for it.
#[derive(Debug)]
pub struct CallbackRequest {
    /// The target.
    pub target: TargetName,
    /// The query of the address, with the code in it: never to be logged.
    pub query: String,
    /// For what becomes of it.
    pub taken: oneshot::Sender<Result<(), HandOverError>>,
}
