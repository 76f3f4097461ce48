//! Config flows: starting, answering and ending them, and finding those of ours again.
//!
//! To ask HA how far a flow is, is to go on with it: after consent that takes the provider's code,
//! which holds once. So whoever only reads looks at no flow, and whoever writes at those of its owner.
//! HA lists only the flows that it started. What we start is noted in HA, in what it keeps for the
//! user whose token we have. A run with another user's token does not find it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::account_notes::account_notes;
use super::connection::{CommandError, Connection, Events};
use super::flow_notes::{UserDataFields, kept, notes, removed_with_entry};
use super::flow_side::FlowSide;
use super::json::Lenient;
use super::messages::{Command, FlowEvent, ListedFlow};
use super::rest::{FAILED, FlowAnswer, Rest};
use super::{HomeAssistant, config_entries, credentials};
use crate::integrations::{self, Release};
use crate::model::{
    CALLBACK_PATH, ConfigEntry, Domain, EntryId, EntryState, FlowId, FlowStep, HandOverError, Live,
    MY_REDIRECT_URI, OpenFlow, Purpose,
};
use crate::target::Refusal;

/// How HA says why a flow was started.
const REAUTH: &str = "reauth";
/// What HA reports when a browser has come back.
pub(super) const PROGRESSED: &str = "data_entry_flow_progressed";
/// Where a browser finds HA if HA itself has none.
pub(super) const DEFAULT_BASE: &str = "http://homeassistant.local:8123";
const NO_WAY_BACK: &str = "behind the Supervisor, Home Assistant cannot ask for consent without the integration `my`: add `my:` to configuration.yaml and restart Home Assistant";
/// The release from which on every flow with an account's id links that account again.
const RECONFIGURES_SINCE: Release = Release::new(2024, 11);

/// Reports when a browser has come back to HA.
pub struct FlowEvents(Events);

impl FlowEvents {
    /// Waits until this flow has moved on; `false` where the connection was lost before.
    pub async fn moved_on(&mut self, flow: &FlowId) -> bool {
        while let Some(event) = self.0.next::<FlowEvent>().await {
            if event.is_ok_and(|event| event.data.flow_id == flow.as_str()) {
                return true;
            }
        }
        false
    }
}

/// HA's own texts, by their place: `component.spotify.config.abort.unknown`.
#[derive(Deserialize)]
struct Translations {
    resources: BTreeMap<String, String>,
}

/// HA installs what an integration needs before the first step of a flow.
pub(super) async fn start_and_abort(rest: &Rest, domain: &Domain) -> Result<(), CommandError> {
    let step = rest.start_flow(domain, None, DEFAULT_BASE).await?;
    rest.abort_flow(&step.id()).await
}

impl HomeAssistant {
    /// Where a browser comes back to after consent: this HA, as far as is known how to reach it.
    pub fn frontend_base(&self) -> &str {
        &self.base
    }

    /// The name by which HA offers a credential of an integration: its implementation, unless the
    /// integration gives all of them one of its own.
    pub fn offered_as<'a>(&self, domain: &Domain, implementation: &'a str) -> &'a str {
        let facts = integrations::facts(domain, self.release);
        facts.and_then(|facts| facts.implementation.as_deref()).unwrap_or(implementation)
    }

    /// Where providers send browsers after consent.
    pub fn redirect_uri(&self) -> String {
        if self.has_my {
            MY_REDIRECT_URI.to_owned()
        } else {
            format!("{}{CALLBACK_PATH}", self.base)
        }
    }

    /// Starts a flow that links a new account.
    ///
    /// # Errors
    /// Where HA cannot start it.
    pub async fn start_flow(&self, side: &FlowSide<'_>) -> Result<(FlowId, FlowStep), Refusal> {
        let step = self.rest.start_flow(side.domain, None, side.base).await;
        let step = step.map_err(|fault| self.flow_refusal(fault))?;
        Ok((step.id(), side.read(step, self.release)))
    }

    /// Starts a flow that links an account again; none where this HA or the integration does not support
    /// that.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn start_reconfigure_flow(
        &self,
        account: &EntryId,
        side: &FlowSide<'_>,
    ) -> Result<Option<(FlowId, FlowStep)>, Refusal> {
        if self.release.is_none_or(|release| release < RECONFIGURES_SINCE) {
            return Ok(None);
        }
        match self.rest.start_flow(side.domain, Some(account), side.base).await {
            Ok(step) => Ok(Some((step.id(), side.read(step, self.release)))),
            Err(CommandError::NoSuchStep) => Ok(None),
            Err(fault) => Err(self.flow_refusal(fault)),
        }
    }

    /// Where a flow is; none where HA no longer has it. After consent, HA goes on with it by this.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn look_at_flow(
        &self,
        flow: &FlowId,
        side: &FlowSide<'_>,
    ) -> Result<Option<FlowStep>, Refusal> {
        match self.rest.look_at_flow(flow, side.base).await {
            Ok(step) => Ok(step.map(|step| side.read(step, self.release))),
            Err(CommandError::Refused { code, .. }) if code == FAILED => Ok(Some(FlowStep::Broken)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Fills in a form or chooses from a menu. Never to be called where consent is waited for: HA
    /// would take it for the provider's answer.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn answer_flow(
        &self,
        flow: &FlowId,
        answers: &Map<String, Value>,
        side: &FlowSide<'_>,
    ) -> Result<FlowAnswer, Refusal> {
        let answered = self.rest.answer_flow(flow, answers, side.base).await;
        Ok(match answered.map_err(|fault| self.flow_refusal(fault))? {
            FlowAnswer::Step(step) => FlowAnswer::Step(side.read(*step, self.release)),
            FlowAnswer::Invalid(errors) => FlowAnswer::Invalid(errors),
            FlowAnswer::Gone => FlowAnswer::Gone,
        })
    }

    /// The Supervisor does not pass on where browsers come back to, without which HA fails at the first link.
    fn flow_refusal(&self, fault: CommandError) -> Refusal {
        match &fault {
            CommandError::Refused { code, .. }
                if code == FAILED && self.address.is_supervisor() && !self.has_my =>
            {
                Refusal::Failed(NO_WAY_BACK.to_owned())
            }
            _ => fault.into(),
        }
    }

    /// Ends a flow.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn abort_flow(&self, flow: &FlowId) -> Result<(), Refusal> {
        Ok(self.rest.abort_flow(flow).await?)
    }

    /// HA's own message for why a flow of an integration ended; none where it has none.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn abort_message(
        &self,
        domain: &Domain,
        reason: &str,
    ) -> Result<Option<String>, Refusal> {
        let integration = domain.clone();
        let command = Command::Translations { language: "en", category: "config", integration };
        let Translations { mut resources } = self.connection.ask(command).await?;
        Ok(resources.remove(&format!("component.{}.config.abort.{reason}", domain.as_str())))
    }

    /// The flow by which HA asks for consent again for an account, if it does.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn reauth_flow(&self, account: &EntryId) -> Result<Option<FlowId>, Refusal> {
        let flows = reauth_flows(&self.connection).await?;
        let found = flows.into_iter().find(|(of, _)| of == account);
        Ok(found.map(|(_, flow)| FlowId::new(flow.flow_id)))
    }

    /// Hands on to HA what a provider's redirect brought: the query of its address.
    ///
    /// # Errors
    /// Where HA does not answer, or does not know what it is about.
    pub async fn hand_over(&self, query: &str) -> Result<(), HandOverError> {
        self.rest.hand_over(query).await
    }

    /// From now on, reports when a browser has come back to HA.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn flow_events(&self) -> Result<FlowEvents, Refusal> {
        let command = Command::SubscribeEvents { event_type: PROGRESSED };
        Ok(FlowEvents(self.connection.subscribe(command).await?))
    }

    /// Waits until a linked account runs or has failed, and answers its state.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn settled(&self, account: &EntryId) -> Result<EntryState, Refusal> {
        let is_over = |state: &EntryState| {
            !matches!(state, EntryState::SetupInProgress | EntryState::NotLoaded)
        };
        Ok(config_entries::wait_for_state(&self.connection, account, is_over).await?)
    }

    /// Waits until a linked account runs, and answers its state; HA may be about to set it up.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn running(&self, account: &EntryId) -> Result<EntryState, Refusal> {
        let runs = |state: &EntryState| *state == EntryState::Loaded;
        Ok(config_entries::wait_for_state(&self.connection, account, runs).await?)
    }

    /// The linked accounts of an integration as they are now.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn accounts(&self, domain: &Domain) -> Result<Vec<ConfigEntry>, Refusal> {
        let connection = &self.connection;
        let (credentials, kept, mut entries) = tokio::try_join!(
            credentials::list(connection),
            kept(connection),
            config_entries::list(connection),
        )?;
        entries.items.retain(|entry| entry.domain == domain.as_str());
        let (credentials, release) = (&credentials.items, self.release);
        let linked = config_entries::linked(connection, entries, credentials, &kept, release);
        Ok(linked.await?.0.items)
    }
}

/// The set-ups that HA knows of, by what it keeps for its user and the flows that it lists.
pub(super) fn live(
    kept: &UserDataFields,
    asked: Vec<(EntryId, ListedFlow)>,
    release: Option<Release>,
) -> Live {
    let noted = notes(kept).into_iter().map(|(_, purpose, note)| OpenFlow {
        id: FlowId::new(note.flow_id),
        domain: Domain::new(note.domain),
        purpose,
    });
    let asked = asked.into_iter().map(|(account, flow)| OpenFlow {
        id: FlowId::new(flow.flow_id),
        domain: Domain::new(flow.handler),
        purpose: Purpose::Again(account),
    });
    Live {
        flows: noted.chain(asked).collect(),
        removed_with_entry: kept.iter().filter_map(removed_with_entry).collect(),
        accounts: account_notes(kept).collect(),
        one_account: integrations::with_one_account(release),
        ..Live::default()
    }
}

/// The flows by which HA asks for consent again, each with its account.
pub(super) async fn reauth_flows(
    connection: &Connection,
) -> Result<Vec<(EntryId, ListedFlow)>, CommandError> {
    // Nothing follows from a flow that cannot be read but that HA asks for no consent by it.
    let listed: Lenient<ListedFlow> = connection.ask(Command::ListFlows).await?;
    let asks_again = |mut flow: ListedFlow| {
        let account = flow.context.entry_id.take()?;
        (flow.context.source == REAUTH).then(|| (EntryId::new(account), flow))
    };
    Ok(listed.items.into_iter().filter_map(asks_again).collect())
}

#[cfg(test)]
mod tests {
    use super::RECONFIGURES_SINCE;
    use crate::integrations::Release;

    #[test]
    fn a_release_that_does_not_reconfigure_would_link_a_second_account() {
        let reconfigures =
            |version: &&str| Release::of(Some(version)).is_some_and(|it| it >= RECONFIGURES_SINCE);
        let known: Vec<_> =
            ["2024.3.3", "2024.10.4", "2024.11.0", "2024.12.0b1", "2026.1", "dev", ""]
                .into_iter()
                .filter(reconfigures)
                .collect();
        assert_eq!(known, ["2024.11.0", "2024.12.0b1", "2026.1"]);
    }
}
