//! A house in Git, a Home Assistant and a provider of accounts: what set-ups need.

use appcred::model::{
    Answers, ClientId, ConfigEntry, Domain, Implementation, Mark, Secret, SetUpOf,
};
use appcred::setup::Guide;
use appcred::setup::drive::SetUpTask;
use serde_json::{Value, json};

use crate::ha_apply::House;
use crate::real::{HomeAssistant, Provider, Release, visit};
use crate::shell::{Appcred, Ran};

/// All three, the provider known to HA's test integrations.
pub(crate) struct Linking {
    pub(crate) house: House,
    pub(crate) ha: HomeAssistant,
    pub(crate) provider: Provider,
}

impl Linking {
    #[track_caller]
    pub(crate) fn new(release: Release) -> Self {
        Self::with(HomeAssistant::start(release))
    }

    #[track_caller]
    pub(crate) fn with(ha: HomeAssistant) -> Self {
        let (house, provider) = (House::new(), Provider::start());
        ha.accounts_are_at(&provider);
        Self { house, ha, provider }
    }

    /// An entry, and its client at the provider.
    #[track_caller]
    pub(crate) fn entry(&self, domain: &str, name: &str, client_id: &str, secret: &str) -> String {
        self.provider.client(client_id, secret);
        self.house.entry_with_integration(domain, name, client_id, secret)
    }

    pub(crate) fn appcred(&self, args: &[&str]) -> Appcred {
        self.house.appcred(&self.ha).args(args)
    }

    #[track_caller]
    pub(crate) fn apply(&self) -> Ran {
        self.house.apply(&self.ha)
    }

    /// What JSON reports of the one target, with links where there are any.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let links = args.first().filter(|verb| **verb == "apply").map(|_| "--show-links");
        let ran = self.appcred(args).args(["--format", "json"]).args(links).run();
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["targets"][0].take()
    }

    /// How far an entry is set up, as `list` reports it.
    #[track_caller]
    pub(crate) fn set_up(&self, client_id: &str) -> Value {
        let listed = self.json(&["list"]);
        let all = listed["credentials"].as_array().unwrap();
        let found =
            all.iter().find(|one| one["client_id"] == client_id && !one["set_up"].is_null());
        found.unwrap_or_else(|| panic!("{listed:#}"))["set_up"].clone()
    }

    /// The one config entry of an integration.
    #[track_caller]
    pub(crate) fn account(&self, domain: &str) -> Value {
        let mut accounts = self.accounts(domain);
        assert_eq!(accounts.len(), 1, "{accounts:?}");
        accounts.remove(0)
    }

    #[track_caller]
    pub(crate) fn accounts(&self, domain: &str) -> Vec<Value> {
        self.ha.config_entries().into_iter().filter(|entry| entry["domain"] == domain).collect()
    }

    /// The client id of the credential that an account uses.
    #[track_caller]
    pub(crate) fn client_of(&self, account: &Value) -> String {
        let question = json!({
            "type": "application_credentials/config_entry", "config_entry_id": account["entry_id"]
        });
        let id = &self.ha.call(question).unwrap()["application_credentials_id"];
        let held = self.ha.credentials();
        let used = held.iter().find(|credential| credential["id"] == *id).unwrap();
        used["client_id"].as_str().unwrap().to_owned()
    }

    /// Consents as a person does, and lets the browser come back to where the provider sends it.
    #[track_caller]
    pub(crate) fn consent(&self, link: &str) {
        self.consent_as(link, "alice");
    }

    /// The same as somebody else.
    #[track_caller]
    pub(crate) fn consent_as(&self, link: &str, user: &str) {
        let back = self.provider.consent_as(link, user).location.unwrap();
        assert_eq!(visit(&back).text, "<script>window.close()</script>");
    }
}

/// The consent link of the first step that waits, of what `apply --format json` reported.
#[track_caller]
pub(crate) fn link(applied: &Value) -> String {
    let steps = applied["steps"].as_array().unwrap();
    let waiting = steps.iter().find(|step| step["outcome"] == "waiting");
    let waiting = waiting.unwrap_or_else(|| panic!("{applied:#}"));
    waiting["waits_for"]["link"].as_str().unwrap().to_owned()
}

/// The set-up of the entry `anna`, for tests that go on with it themselves.
pub(crate) struct AnnasSetUp {
    mark: Mark,
    domain: Domain,
    client_id: ClientId,
    answers: Answers,
    secret: Secret,
}

impl AnnasSetUp {
    pub(crate) fn new(domain: &str) -> Self {
        Self {
            mark: Mark::parse("appcred:default:anna").unwrap(),
            domain: Domain::new(domain),
            client_id: ClientId::new("anna"),
            answers: Answers::default(),
            secret: Secret::new("first"),
        }
    }

    /// What is to be done, of this account where one is linked.
    pub(crate) fn task<'a>(&'a self, account: Option<&'a ConfigEntry>) -> SetUpTask<'a> {
        SetUpTask {
            of: SetUpOf { mark: &self.mark, account: None },
            domain: &self.domain,
            guide: Guide {
                credential: "appcred:default:anna",
                client_id: &self.client_id,
                choice: Implementation::Credential,
                answers: &self.answers,
            },
            secret: &self.secret,
            account,
        }
    }
}
