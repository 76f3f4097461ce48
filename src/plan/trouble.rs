//! Why a linked account does not run, as far as that is seen, and what to do.

use crate::codes::CauseCode;
use crate::model::{ClientAnswer, ConfigEntry, EntryState, Live, Purpose, SetUpId};

/// A linked account that does not run or that HA asks for consent to again, and all that is seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The account.
    pub account: ConfigEntry,
    /// Whether HA asks for consent again.
    pub asks_again: bool,
    /// Whether HA did not find its credential.
    pub misses_credential: bool,
    /// Whether HA has not finished starting.
    pub is_starting: bool,
    /// What its provider says of the client.
    pub client: ClientAnswer,
}

/// What providers say of a client that is gone or whose secret is over, in lower case.
const SAID: &[(&str, CauseCode)] = &[
    // Google, "OAuth 2.0 for Web Server Applications", authorization errors.
    ("deleted_client", CauseCode::ClientDeleted),
    // Entra ID, "Microsoft Entra authentication and authorization error codes", as are the next two.
    ("aadsts700016", CauseCode::ClientDeleted),
    ("aadsts7000222", CauseCode::SecretExpired),
    ("aadsts7000215", CauseCode::WrongClient),
];

/// Words of HA's reasons, in lower case, that speak of too many requests.
const TOO_MANY: &[&str] = &["429", "too many requests", "rate limit", "ratelimit", "quota"];

/// HA's reason where a package that the integration needs is missing or does not load.
const IMPORT_ERROR: &str = "Import error";

impl Trouble {
    /// That of an account, where there is any. `is_held` says whether the target holds its credential.
    pub(super) fn of(account: &ConfigEntry, live: &Live, is_held: bool) -> Option<Self> {
        let again = Purpose::Again(account.id.clone());
        let misses_credential = !is_held || live.missed.contains(&account.id);
        let asks_again = live.flows.iter().any(|flow| flow.purpose == again)
            && !live.has_credential_again(account);
        let is_well = matches!(account.state, EntryState::Loaded | EntryState::SetupInProgress);
        (!is_well || asks_again).then(|| Self {
            account: account.clone(),
            asks_again,
            misses_credential,
            is_starting: live.is_starting,
            client: ClientAnswer::NotAsked,
        })
    }

    /// Whether its provider can say more.
    pub fn is_of_client(&self) -> bool {
        use CauseCode::{ClientUnproven, Unknown};
        matches!(self.cause(), ClientUnproven | Unknown) && self.client == ClientAnswer::NotAsked
    }

    /// The most likely cause.
    pub fn cause(&self) -> CauseCode {
        let reason = self.account.reason.as_deref().unwrap_or_default();
        let lower = reason.to_lowercase();
        if self.is_starting {
            return CauseCode::Starting;
        }
        if self.account.state == EntryState::Disabled {
            return CauseCode::Disabled;
        }
        if self.misses_credential {
            return CauseCode::CredentialMissing;
        }
        if let ClientAnswer::Rejected(said) = &self.client {
            let said = said.to_lowercase();
            let known = SAID.iter().find(|(words, _)| said.contains(words));
            return known.map_or(CauseCode::WrongClient, |(_, cause)| *cause);
        }
        match self.account.state {
            _ if TOO_MANY.iter().any(|words| lower.contains(words)) => CauseCode::TooManyRequests,
            _ if reason == IMPORT_ERROR => CauseCode::RequirementMissing,
            _ if self.asks_again && self.client == ClientAnswer::Accepted => CauseCode::ConsentLost,
            _ if self.asks_again => CauseCode::ClientUnproven,
            EntryState::SetupRetry => CauseCode::TriedAgain,
            _ => CauseCode::Unknown,
        }
    }

    /// Whether its client or credential is most likely wrong.
    pub fn is_clients_fault(&self) -> bool {
        use CauseCode::{
            ClientDeleted, ClientUnproven, CredentialMissing, SecretExpired, WrongClient,
        };
        let faults = [ClientDeleted, ClientUnproven, CredentialMissing, SecretExpired, WrongClient];
        faults.contains(&self.cause())
    }

    /// What is seen.
    pub fn seen(&self) -> String {
        if self.is_starting {
            return "Home Assistant is still starting".to_owned();
        }
        let mut seen = Vec::new();
        let ConfigEntry { state, reason, .. } = &self.account;
        match (state, reason) {
            (EntryState::Loaded, _) => {}
            (EntryState::Disabled, _) => seen.push("it is disabled in Home Assistant".to_owned()),
            (_, Some(reason)) => seen.push(format!("Home Assistant says {state}: {reason}")),
            (_, None) => seen.push(format!("Home Assistant says {state}, without a reason")),
        }
        if self.misses_credential {
            seen.push("it did not find the account's credential".to_owned());
        }
        if self.asks_again {
            seen.push("Home Assistant asks for consent again".to_owned());
        }
        match &self.client {
            ClientAnswer::NotAsked => {}
            ClientAnswer::Accepted => seen.push("the provider accepts the client".to_owned()),
            ClientAnswer::Rejected(why) => {
                seen.push(format!("the provider rejects the client ({why})"));
            }
            ClientAnswer::Unclear(why) => {
                seen.push(format!("whether the provider accepts the client is not known: {why}"));
            }
        }
        seen.join("; ")
    }

    /// What to do about the account of this set-up.
    pub fn help(&self, id: &SetUpId) -> String {
        let (argument, key) = (id.argument(), &id.key);
        match self.cause() {
            CauseCode::Starting => {
                "wait: whether it runs is seen once Home Assistant has started".to_owned()
            }
            CauseCode::Disabled => "enable it there, if it is to run".to_owned(),
            CauseCode::CredentialMissing => {
                "`appcred apply` creates what is missing and reloads the account".to_owned()
            }
            CauseCode::ClientDeleted => {
                "make a new client at the provider and put its id and secret into the entry; the account needs consent then".to_owned()
            }
            CauseCode::SecretExpired => {
                "make a new secret at the provider and put it into the entry".to_owned()
            }
            CauseCode::WrongClient => {
                "compare client id and secret with what the provider shows, correct the entry and apply".to_owned()
            }
            CauseCode::ConsentLost => format!(
                "consent was withdrawn, has expired, or was given to another client: `appcred authorize {argument}` links the account again"
            ),
            CauseCode::ClientUnproven => format!(
                "the client may be wrong, or consent lost: `appcred verify {key}` asks the provider, `appcred authorize {argument}` links the account again"
            ),
            CauseCode::TooManyRequests => {
                "wait, the provider limits requests; a client of your own, or fewer accounts on it, may help".to_owned()
            }
            CauseCode::RequirementMissing => {
                "a package that the integration needs is missing: Home Assistant's log names it; restart it with access to the internet".to_owned()
            }
            CauseCode::TriedAgain => {
                "wait: Home Assistant tries again; if it stays so, its log says more".to_owned()
            }
            CauseCode::Unknown => "Home Assistant's log says more".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;
    use crate::codes::CauseCode;
    use crate::model::{
        AccountName, ClientAnswer, Domain, EntryId, EntryState, FlowId, Key, Live, OpenFlow,
        Purpose, SetUpId,
    };
    use crate::plan::tests::linked;

    fn trouble(
        state: EntryState,
        reason: Option<&str>,
        change: impl FnOnce(&mut Trouble),
    ) -> Trouble {
        let mut account = linked("appcred:house:a");
        (account.state, account.reason) = (state, reason.map(str::to_owned));
        let mut trouble = Trouble {
            account,
            asks_again: false,
            misses_credential: false,
            is_starting: false,
            client: ClientAnswer::NotAsked,
        };
        change(&mut trouble);
        trouble
    }

    fn rejected(said: &str) -> Trouble {
        trouble(EntryState::SetupError, None, |seen| {
            seen.asks_again = true;
            seen.client = ClientAnswer::Rejected(said.to_owned());
        })
    }

    #[test]
    fn the_cause_follows_from_what_is_seen() {
        use EntryState::{Disabled, Loaded, NotLoaded, SetupError, SetupRetry};
        let plain = |state, reason| trouble(state, reason, |_| {});
        let asked = |client| {
            trouble(SetupError, Some("401"), |seen| (seen.asks_again, seen.client) = (true, client))
        };
        for (seen, expected) in [
            (trouble(SetupError, None, |seen| seen.is_starting = true), CauseCode::Starting),
            (plain(Disabled, None), CauseCode::Disabled),
            (
                trouble(SetupError, None, |seen| seen.misses_credential = true),
                CauseCode::CredentialMissing,
            ),
            (rejected("invalid_client: no such client"), CauseCode::WrongClient),
            (rejected("deleted_client: The OAuth client was deleted."), CauseCode::ClientDeleted),
            (rejected("unauthorized_client: AADSTS700016: not found"), CauseCode::ClientDeleted),
            (rejected("invalid_client: AADSTS7000222: expired"), CauseCode::SecretExpired),
            (rejected("invalid_client: AADSTS7000215: invalid"), CauseCode::WrongClient),
            (asked(ClientAnswer::Accepted), CauseCode::ConsentLost),
            (asked(ClientAnswer::NotAsked), CauseCode::ClientUnproven),
            (asked(ClientAnswer::Unclear("it answers 500".into())), CauseCode::ClientUnproven),
            (trouble(Loaded, None, |seen| seen.asks_again = true), CauseCode::ClientUnproven),
            (plain(SetupRetry, Some("429, message='Too Many'")), CauseCode::TooManyRequests),
            (plain(SetupError, Some("Quota exceeded")), CauseCode::TooManyRequests),
            (plain(SetupError, Some("Import error")), CauseCode::RequirementMissing),
            (plain(SetupRetry, Some("cannot connect")), CauseCode::TriedAgain),
            (plain(SetupError, None), CauseCode::Unknown),
            (plain(NotLoaded, None), CauseCode::Unknown),
        ] {
            assert_eq!(seen.cause(), expected, "{seen:?}");
        }
    }

    #[test]
    fn all_that_is_seen_is_said_and_nothing_else() {
        let seen = trouble(EntryState::SetupError, Some("token refused"), |seen| {
            (seen.asks_again, seen.client) = (true, ClientAnswer::Accepted);
        });
        assert_eq!(
            seen.seen(),
            "Home Assistant says setup_error: token refused; Home Assistant asks for consent again; the provider accepts the client"
        );
        let id = |account| SetUpId { key: Key::new("family").unwrap(), account };
        let help = seen.help(&id(AccountName::new("Ann B")));
        assert!(help.contains("`appcred authorize 'family/Ann B'`"), "{help}");
        assert!(seen.help(&id(None)).contains("`appcred authorize family`"));
        let silent = trouble(EntryState::SetupError, None, |_| {});
        assert_eq!(silent.seen(), "Home Assistant says setup_error, without a reason");
    }

    #[test]
    fn an_account_that_runs_is_in_trouble_only_where_consent_is_asked_for_again() {
        let mut account = linked("appcred:house:a");
        account.state = EntryState::Loaded;
        let again = |id: &EntryId| OpenFlow {
            id: FlowId::new("f"),
            domain: Domain::new("spotify"),
            purpose: Purpose::Again(id.clone()),
        };
        let live = Live { flows: vec![again(&account.id)], ..Live::default() };
        assert!(Trouble::of(&account, &live, true).unwrap().asks_again);
        assert_eq!(Trouble::of(&account, &Live::default(), true), None);
        // Its credential is there again: a reload is all that it needs.
        let live = Live { missed: [account.id.clone()].into(), ..live };
        assert_eq!(Trouble::of(&account, &live, true), None);
        account.state = EntryState::SetupInProgress;
        assert_eq!(Trouble::of(&account, &Live::default(), true), None, "it is on its way");
    }
}
