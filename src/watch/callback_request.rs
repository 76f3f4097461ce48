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
    /// Gets the result: that Home Assistant has accepted the answer, or why it has not.
    pub taken: oneshot::Sender<Result<(), HandOverError>>,
}

/// The same, on its way to the task of its target.
pub(super) struct CallbackDelivery {
    pub(super) query: String,
    pub(super) taken: oneshot::Sender<Result<(), HandOverError>>,
}
