//! A provider's answer that a browser brought to us instead of to Home Assistant.

use crate::callback::Delivery;
use crate::model::TargetName;

/// What a provider answered, for the target whose set-up waits for it.
#[derive(Debug)]
pub struct CallbackRequest {
    /// The target.
    pub target: TargetName,
    /// The answer.
    pub answer: Delivery,
}
