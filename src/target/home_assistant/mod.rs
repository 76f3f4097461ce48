//! A running Home Assistant (HA), 2024.3 or newer.
//!
//! ```text
//!  mod.rs ──▶ credentials.rs, config_entries.rs, flows.rs ──▶ connection.rs ⇄ in_flight.rs   (WebSocket)
//!     │                                               └────▶ rest.rs                        (HTTP)
//!  connect.rs, address.rs, log_in.rs                           messages.rs, flow_response.rs = HA's words
//!  endpoint.rs = where it is and how to authenticate; network.rs = the way to it; session.rs = stored logins
//!  read.rs = what of these is read before it is connected to; batch.rs = changes that go side by side, present.rs = what is there before
//!  sign_in.rs = how to get a token; flow_notes.rs, account_notes.rs = what is noted in HA of flows and accounts
//!  administrators.rs = who may do everything in HA
//!  examine.rs = what is seen on the way to it, step by step
//!  unreachable.rs = why there is no answer there, and what to do
//! ```
//! A [`HomeAssistant`] is one connection; when that is lost, what is open ends in an error.

mod account_notes;
mod address;
mod administrators;
mod batch;
mod changes;
mod config_entries;
mod connect;
mod connection;
mod core_state;
mod credentials;
mod endpoint;
mod examine;
mod flow_notes;
mod flow_response;
mod flow_side;
mod flows;
mod in_flight;
mod json;
mod log_in;
mod messages;
mod named_by_id;
mod network;
mod notification;
mod present;
mod read;
mod rest;
mod services;
mod session;
mod sign_in;
mod turns;
mod unreachable;

pub use administrators::administrators;
pub use connect::{ConnectionSettings, connect};
pub use endpoint::{AuthMethod, HomeAssistantEndpoint, HomeAssistantInput, TokenCommand};
pub use examine::{Examination, NotWelcome, SeenServer, Welcome};
pub use flow_side::FlowSide;
pub use flows::FlowEvents;
pub use network::{ClientSettings, NetworkSettings};
pub use rest::FlowAnswer;
pub use session::{SessionError, SessionStore};
pub use sign_in::{LoginSession, SignIn, SignInError, canonical};
pub use turns::TurnOf;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use self::address::Address;
use self::connection::{CommandError, Connection};
use self::core_state::CoreState;
use self::json::{Accounts, Lenient};
use self::messages::{Command, UNKNOWN_COMMAND};
use self::rest::Rest;
use super::unreadable::UnreadableLog;
use super::{ChangeEvents, Denial, Done, Fence, LiveTarget, Observe, Refusal, TargetError};
use crate::integrations::{self, Release};
use crate::model::{ConfigEntry, Domain, EntryId, EntryState, KnownDomains, Live, Observed, RunId};

/// How long HA may take to set up its integrations when it starts, and how often it is asked.
const START_TIMEOUT_SECONDS: u64 = 60;
const START_CHECK_MILLISECONDS: u64 = 200;

/// A running HA that has accepted our token.
pub struct HomeAssistant {
    address: Address,
    version: Option<String>,
    release: Option<Release>,
    connection: Connection,
    rest: Rest,
    /// The integrations that take credentials: HA finds them out when it starts, and not again.
    domains: OnceCell<BTreeSet<Domain>>,
    /// Where browsers come back to after consent, unless they go through My Home Assistant.
    base: String,
    has_my: bool,
    unreadable: UnreadableLog,
    /// The integrations that HA was asked to install, as was logged.
    installing: Mutex<BTreeSet<Domain>>,
    /// By which other runs know this one.
    run: String,
}

impl HomeAssistant {
    /// Closes the connection. What is merely dropped does so too, if the runtime lives on.
    pub async fn close(self) {
        self.connection.close().await;
    }

    /// From now on nothing is sent once this fence is closed.
    pub fn change_only_within(&self, fence: Fence) {
        self.connection.fence.set(fence);
    }

    /// HA listens before it has all of its commands, and answers `unknown_command` to the others. What
    /// takes longer than this waits for fails as "starting" when it is asked for.
    async fn core_when_set_up(&self) -> Result<CoreState, CommandError> {
        let deadline = Instant::now() + Duration::from_secs(START_TIMEOUT_SECONDS);
        loop {
            let core = self.connection.ask::<CoreState>(Command::Configuration).await?;
            if !core.is_setting_up() || Instant::now() >= deadline {
                return Ok(core);
            }
            sleep(Duration::from_millis(START_CHECK_MILLISECONDS)).await;
        }
    }

    fn error(&self, fault: CommandError) -> TargetError {
        let address = self.address.to_string();
        match fault {
            CommandError::Refused { ref code, .. }
                if code == UNKNOWN_COMMAND && self.is_too_old() =>
            {
                let version = self.version.as_deref().unwrap_or_default();
                let why = format!(
                    "Home Assistant {version} is older than every release that appcred supports, and lacks what it needs: update it"
                );
                TargetError::Protocol { address, why }
            }
            CommandError::Refused { .. }
            | CommandError::NoSuchStep
            | CommandError::Unreadable(_) => {
                TargetError::Protocol { address, why: fault.to_string() }
            }
            CommandError::Denied(Denial::Token) => TargetError::Unauthorized { address },
            CommandError::Denied(Denial::Right) => TargetError::NotAdmin { address },
            CommandError::Denied(Denial::Machine | Denial::Proxy) => {
                TargetError::Forbidden { address, why: fault.to_string() }
            }
            CommandError::Stopped
            | CommandError::Unsent(_)
            | CommandError::Lost(_)
            | CommandError::TimedOut => TargetError::Lost { address, why: fault.to_string() },
        }
    }

    fn is_too_old(&self) -> bool {
        let oldest = integrations::read_of().map(|(oldest, _)| oldest);
        oldest.is_some_and(|oldest| self.release.is_some_and(|release| release < oldest))
    }

    async fn known_domains(&self) -> Result<&BTreeSet<Domain>, CommandError> {
        self.domains.get_or_try_init(|| credentials::domains(&self.connection)).await
    }

    async fn look(&self) -> Result<Observed, CommandError> {
        // All at once: HA takes them in one frame.
        let (credentials, domains, kept, asked, entries, core) = tokio::try_join!(
            credentials::list(&self.connection),
            self.known_domains(),
            flow_notes::kept(&self.connection),
            flows::reauth_flows(&self.connection),
            config_entries::list(&self.connection),
            self.connection.ask::<CoreState>(Command::Configuration),
        )?;
        let Lenient { items: credentials, unreadable } = credentials;
        let missed = entries.items.iter().filter(|entry| entry.misses_its_credential());
        let missed = missed.map(|entry| EntryId::new(entry.entry_id.clone())).collect();
        let is_starting = core.is_starting();
        let no_set_up = integrations::without_set_up(self.release, core.has("cloud"));
        let redirect_uri = self.redirect_uri();
        let (accounts, cloud_or_own) =
            config_entries::linked(&self.connection, entries, &credentials, &kept, self.release)
                .await?;
        let Accounts { items: config_entries, unreadable: unread } = accounts;
        self.unreadable.warn(self.address.frontend_base(), unreadable);
        let listed = flows::live(&kept, asked, self.release);
        let live = Live { is_starting, no_set_up, missed, redirect_uri, cloud_or_own, ..listed };
        Ok(Observed {
            version: self.version.clone(),
            is_new: false,
            domains: KnownDomains::Listed(domains.clone()),
            credentials,
            config_entries,
            unread_accounts: unread,
            live: Some(live),
        })
    }

    /// What HA holds at this moment.
    ///
    /// # Errors
    /// Where HA does not answer.
    pub async fn observed(&self) -> Result<Observed, Refusal> {
        Ok(self.look().await?)
    }

    /// Sets a linked account up afresh, and answers the state that it arrives at.
    ///
    /// # Errors
    /// Where HA does not answer, or has no such account.
    pub async fn reload(&self, account: &EntryId) -> Result<EntryState, Refusal> {
        Ok(config_entries::reload(&self.connection, &self.rest, account).await?)
    }

    /// Removes a linked account that still uses the credential that it used when that was planned.
    async fn remove_account(&self, account: &ConfigEntry) -> Result<Done, Refusal> {
        let now = self.accounts(&account.domain).await?;
        match now.iter().find(|now| now.id == account.id) {
            Some(now) if now.implementation == account.implementation => {
                self.rest.remove(&account.id).await?;
                Ok(Done::Removed)
            }
            None if !config_entries::is_there(&self.connection, &account.id).await? => {
                Ok(Done::Removed)
            }
            _ => Err(Refusal::Changed),
        }
    }

    /// HA has not all of its commands before it has started, and in recovery mode.
    async fn not_ready(&self, fault: &CommandError) -> Option<TargetError> {
        if !matches!(fault, CommandError::Refused { code, .. } if code == UNKNOWN_COMMAND) {
            return None;
        }
        let core = self.connection.ask::<CoreState>(Command::Configuration).await.ok()?;
        let (address, why) = (self.address.to_string(), core.not_ready()?.to_owned());
        Some(TargetError::Starting { address, why })
    }
}

impl LiveTarget for HomeAssistant {
    async fn ended(&self) {
        self.connection.ended().await;
    }

    async fn changes(&self) -> Result<Option<ChangeEvents>, TargetError> {
        self.subscribe_to_changes().await.map(Some)
    }

    fn home_assistant(&self) -> Option<&HomeAssistant> {
        Some(self)
    }

    async fn run_id(&self) -> Option<RunId> {
        self.rest.run_id().await
    }

    /// HA makes a link anew at each look.
    fn come_back_to(&mut self, base: String) {
        self.base = base;
    }
}

impl Observe for HomeAssistant {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        match self.look().await {
            Ok(observed) => Ok(observed),
            Err(fault) => Err(self.not_ready(&fault).await.unwrap_or_else(|| self.error(fault))),
        }
    }
}
