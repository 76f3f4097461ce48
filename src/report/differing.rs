//! What at a target is not as wanted, and why that is so; and what stays there by intention.

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::WithheldCode;
use crate::model::{Domain, Key};
use crate::plan::Why;
use crate::status::{Difference, ForgottenCredential};

/// Something at a target that is not as wanted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Differing<'a> {
    /// What would be done about it, as in `create spotify "Family"`.
    pub(crate) what: &'a str,
    /// Why it is not done; left out where nothing is to be changed at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<WithheldReason>,
    /// Whether somebody has changed the target, and no manifest.
    pub(crate) is_drift: bool,
}

impl<'a> Differing<'a> {
    pub(super) fn of(difference: &'a Difference) -> Self {
        Self {
            what: &difference.what,
            withheld: difference.why.as_ref().map(WithheldReason::of),
            is_drift: difference.is_drift,
        }
    }

    /// What it waits for until it is changed, as in `window`.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        self.withheld.as_ref().and_then(WithheldReason::waits_for)
    }
}

/// Why something is not done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WithheldReason {
    /// As programs read it.
    why: WithheldCode,
    /// The same in words.
    pub(crate) message: String,
    /// What would change that.
    pub(crate) help: &'static str,
}

impl WithheldReason {
    pub(super) fn of(why: &Why) -> Self {
        Self { why: why.code(), message: why.to_string(), help: why.help() }
    }

    /// What ends it without anybody's doing, as in `window`.
    pub(super) fn waits_for(&self) -> Option<&'static str> {
        match self.why {
            WithheldCode::OutsideWindows => Some("window"),
            WithheldCode::EarlierWave => Some("wave"),
            _ => None,
        }
    }
}

/// A credential that stays although no entry wants it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedForgotten<'a> {
    /// The key that it was made for.
    pub(crate) key: &'a Key,
    /// The integration.
    pub(crate) domain: &'a Domain,
    /// As Home Assistant shows it.
    pub(crate) name: &'a str,
}

impl<'a> From<&'a ForgottenCredential> for ReportedForgotten<'a> {
    fn from(of: &'a ForgottenCredential) -> Self {
        Self { key: &of.key, domain: &of.domain, name: &of.name }
    }
}
