//! Config flows: how HA sets an integration up, step by step.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::{AccountName, ConsentLink, Domain, EntryId, FlowId, Mark, SetUpOf};

/// A flow in progress, as far as that is known without going on with it: to ask HA how far it is does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFlow {
    /// HA's id.
    pub id: FlowId,
    /// The integration.
    pub domain: Domain,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a flow is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// An account is linked, or linked again, for this entry; appcred started it.
    Entry(Mark),
    /// The same for one of the accounts that the entry names.
    Account(Mark, AccountName),
    /// HA asks for consent again for this account.
    Again(EntryId),
}

impl Purpose {
    /// The entry that it was started for.
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Entry(mark) | Self::Account(mark, _) => Some(mark),
            Self::Again(_) => None,
        }
    }

    /// Which of the accounts that the entry names it links.
    pub fn account(&self) -> Option<&AccountName> {
        match self {
            Self::Account(_, account) => Some(account),
            Self::Entry(_) | Self::Again(_) => None,
        }
    }

    /// Whether it was started for this set-up.
    pub fn is_of(&self, of: SetUpOf<'_>) -> bool {
        self.mark() == Some(of.mark) && self.account() == of.account
    }
}

/// What HA shows of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Something to fill in.
    Form(FlowForm),
    /// Something to choose.
    Menu {
        /// The step.
        step: String,
        /// What may be chosen.
        options: Vec<String>,
    },
    /// Somebody must consent at the provider.
    Consent(ConsentLink),
    /// Somebody must type a code in at the provider, or HA is working on it.
    Progress(Option<DeviceCode>),
    /// HA goes on when it is looked at again.
    Advancing,
    /// The account is linked: its config entry.
    Created(EntryId),
    /// It ended without a new account; that may be a success.
    Aborted(FlowAbort),
    /// HA failed to process it.
    Broken,
}

impl FlowStep {
    /// Whether a person must do something. A form without fields shows only that HA has asked.
    pub fn needs_person(&self) -> bool {
        match self {
            Self::Form(form) => !form.fields.is_empty(),
            Self::Menu { .. } => true,
            other => other.needs_consent(),
        }
    }

    /// What it waits for, in a few words.
    pub fn awaits(&self) -> &'static str {
        if self.needs_consent() {
            "waiting for consent"
        } else if self.needs_person() {
            "waiting for answers"
        } else {
            "in progress in Home Assistant"
        }
    }

    /// Whether HA has ended the flow with it.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Aborted(_))
    }

    /// Whether that is done at the provider.
    pub fn needs_consent(&self) -> bool {
        matches!(self, Self::Consent(_) | Self::Progress(Some(_)))
    }
}

/// Something to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowForm {
    /// The step.
    pub step: String,
    /// Its fields.
    pub fields: Vec<FlowField>,
    /// What HA refuses, by field, in its words.
    pub errors: BTreeMap<String, String>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowField {
    /// Its name.
    pub name: String,
    /// What may be in it.
    pub kind: FieldKind,
    /// Whether it must be filled in.
    pub required: bool,
}

/// What may be in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One of these.
    Choice(Vec<Value>),
    /// Some of these.
    Choices(Vec<Value>),
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// Something that HA alone can judge.
    Other,
}

/// A code to be typed in at the provider.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// Where.
    pub url: String,
    /// The code.
    pub code: String,
}

/// Whoever has it can consent, as with a [`ConsentLink`].
impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(device code)")
    }
}

/// How a flow ended without a new account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowAbort {
    /// HA's word for the reason.
    pub reason: String,
    /// What belongs in the places that HA's message for it leaves open.
    pub placeholders: BTreeMap<String, String>,
}

/// Why Home Assistant did not take a provider's answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandOverError {
    /// It may take it later: the flow may still wait.
    #[error("{0}")]
    NotNow(String),
    /// It has no such flow any more.
    #[error("{0}")]
    Refused(String),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{DeviceCode, FlowForm, FlowStep};

    #[test]
    fn only_what_a_provider_asks_waits_for_consent() {
        let code = DeviceCode { url: "https://a".to_owned(), code: "B".to_owned() };
        assert_eq!(format!("{code:?}"), "(device code)");
        let form = FlowForm { step: "s".to_owned(), fields: Vec::new(), errors: BTreeMap::new() };
        let menu = FlowStep::Menu { step: "s".to_owned(), options: vec!["a".to_owned()] };
        let awaited =
            [FlowStep::Progress(Some(code)), menu, FlowStep::Form(form), FlowStep::Progress(None)]
                .map(|step| step.awaits());
        assert_eq!(
            awaited,
            [
                "waiting for consent",
                "waiting for answers",
                "in progress in Home Assistant",
                "in progress in Home Assistant",
            ]
        );
    }
}
