//! How far integrations are set up, for people and for programs.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::codes::{CauseCode, SetupCode, TakesCode};
use crate::model::{
    AccountName, ConfigEntry, EntryState, FieldKind, FlowField, FlowForm, FlowStep, HiddenLink,
    Key, Links, SetUpId,
};
use crate::plan::{CredentialState, EntrySetup, Plan, SetupState, Trouble};
use crate::setup::redirect_uri;

use super::accounts::LinkedAccount;
use super::text::{DIM, YELLOW, line};

/// How far an entry's integration is set up, as JSON.
#[derive(Serialize, JsonSchema)]
pub(super) struct IntegrationOf<'a> {
    /// The entry.
    key: &'a Key,
    /// What the entry calls the account; left out where it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a AccountName>,
    /// The linked account that has that name; left out where none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked: Option<LinkedAccount<'a>>,
    #[serde(flatten)]
    set_up: SetUp<'a>,
}

impl<'a> IntegrationOf<'a> {
    pub(super) fn of(entry: &'a EntrySetup) -> Self {
        let SetUpId { key, account } = &entry.id;
        let (account, set_up) = (account.as_ref(), of_entry(entry));
        let linked = account.and(set_up.account).map(LinkedAccount::from);
        Self { key, account, linked, set_up }
    }
}

/// What a set-up waits for, as JSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum WaitsFor<'a> {
    /// Somebody's consent.
    Consent {
        /// Where; null where it is not shown.
        link: Option<&'a str>,
        /// Why it is not shown.
        #[serde(skip_serializing_if = "Option::is_none")]
        hidden: Option<HiddenLink>,
        /// Where the provider sends the browser back to, which it must know.
        redirect_uri: Option<String>,
    },
    /// Somebody to type in a code.
    DeviceCode {
        /// Where.
        url: &'a str,
        /// The code; null where others may read this report.
        code: Option<&'a str>,
    },
    /// Answers in the manifest, under `integration.answers`.
    Answers {
        /// The step.
        step: &'a str,
        /// What it asks.
        fields: Vec<FormField<'a>>,
        /// What was rejected.
        errors: Vec<String>,
    },
    /// A choice in the manifest, under `integration.answers`.
    Choice {
        /// The step.
        step: &'a str,
        /// What may be its `next_step_id`.
        options: &'a [String],
    },
    /// Home Assistant.
    HomeAssistant,
}

/// One field of a form.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FormField<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Whether it must be answered.
    pub(crate) required: bool,
    /// What it takes.
    pub(crate) takes: TakesCode,
    /// What may be chosen.
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    pub(crate) options: &'a [Value],
}

impl<'a> WaitsFor<'a> {
    pub(super) fn of(step: &'a FlowStep, links: Links) -> Self {
        match step {
            FlowStep::Consent(link) => {
                let shown = link.shown(links);
                Self::Consent {
                    link: shown.ok(),
                    hidden: shown.err(),
                    redirect_uri: redirect_uri(link),
                }
            }
            FlowStep::Progress(Some(code)) => Self::DeviceCode {
                url: &code.url,
                code: (links == Links::Shown).then_some(&code.code),
            },
            FlowStep::Form(form) => Self::Answers {
                step: &form.step,
                fields: form.fields.iter().map(form_field).collect(),
                errors: problems(form),
            },
            FlowStep::Menu { step, options } => Self::Choice { step, options },
            _ => Self::HomeAssistant,
        }
    }
}

/// Why a link is not shown, for people.
fn why_hidden(why: HiddenLink) -> &'static str {
    match why {
        HiddenLink::HoldsSecret => "the link contains the client secret, so it is not shown",
        HiddenLink::Unsafe => {
            "the link is not an https address, so it is not shown: finish the set-up in Home Assistant"
        }
        HiddenLink::NotAsked => {
            "the link is not shown here, since anyone who reads it could use it: pass --show-links to see it"
        }
    }
}

fn form_field(field: &FlowField) -> FormField<'_> {
    let (takes, options) = takes(&field.kind);
    FormField { name: &field.name, required: field.required, takes, options }
}

fn takes(kind: &FieldKind) -> (TakesCode, &[Value]) {
    match kind {
        FieldKind::Choice(options) => (TakesCode::OneOf, options),
        FieldKind::Choices(options) => (TakesCode::ListOf, options),
        FieldKind::Text => (TakesCode::Text, &[]),
        FieldKind::Integer => (TakesCode::Integer, &[]),
        FieldKind::Number => (TakesCode::Number, &[]),
        FieldKind::Flag => (TakesCode::Flag, &[]),
        FieldKind::Other => (TakesCode::Other, &[]),
    }
}

fn problems(form: &FlowForm) -> Vec<String> {
    form.errors.iter().map(|(field, error)| format!("{field}: {error}")).collect()
}

/// How far an entry is set up, as JSON.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SetUp<'a> {
    /// The account, where one is linked; of several, the first that does not run, or else the first.
    #[serde(skip)]
    pub(super) account: Option<&'a ConfigEntry>,
    /// How far.
    pub(crate) state: SetupCode,
    /// What more there is to say, such as why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Why its account does not run, as far as that is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<CauseCode>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits_for: Option<WaitsFor<'a>>,
}

impl<'a> SetUp<'a> {
    /// `waiting` is what it waits for, where that is known.
    pub(super) fn of(setup_state: &'a SetupState, waiting: Option<&'a FlowStep>) -> Self {
        let (mut state, reason) = described(setup_state);
        let waiting = waiting.filter(|step| step.needs_person());
        let waits_for = waiting.map(|step| WaitsFor::of(step, Links::Shown));
        if let (SetupCode::NotSetUp | SetupCode::InProgress, Some(waits_for)) = (state, &waits_for)
        {
            state = match waits_for {
                WaitsFor::Consent { .. } | WaitsFor::DeviceCode { .. } => {
                    SetupCode::WaitingForConsent
                }
                _ => SetupCode::WaitingForAnswers,
            };
        }
        let account = setup_state.linked().first();
        Self { account, state, reason, cause: None, help: None, waits_for }
    }

    /// The same, with what is wrong with the account of this set-up.
    pub(super) fn with(self, trouble: Option<&'a Trouble>, id: &SetUpId) -> Self {
        let Some(trouble) = trouble else { return self };
        Self {
            account: Some(&trouble.account),
            reason: Some(trouble.seen()),
            cause: Some(trouble.cause()),
            help: Some(trouble.help(id)),
            ..self
        }
    }

    /// The same, where the last try is known to have failed for this reason. What waits is another try.
    pub(super) fn after_failure(self, why: Option<&str>) -> Self {
        let is_unlinked = matches!(
            self.state,
            SetupCode::NotSetUp
                | SetupCode::InProgress
                | SetupCode::WaitingForConsent
                | SetupCode::WaitingForAnswers
                | SetupCode::NeedsConsentAgain
        );
        match why.filter(|_| is_unlinked) {
            None => self,
            Some(why) if self.waits_for.is_some() => {
                Self { reason: Some(format!("the last attempt failed: {why}")), ..self }
            }
            Some(why) => Self { state: SetupCode::Failed, reason: Some(why.to_owned()), ..self },
        }
    }
}

/// The state in one word, and what more there is to say.
fn described(setup_state: &SetupState) -> (SetupCode, Option<String>) {
    match setup_state {
        SetupState::NotSetUp => (SetupCode::NotSetUp, None),
        SetupState::InProgress => (SetupCode::InProgress, None),
        SetupState::Linked(accounts) => of_accounts(SetupCode::Loaded, accounts),
        SetupState::Cloud(accounts) => of_accounts(SetupCode::Cloud, accounts),
        SetupState::NeedsConsent => (SetupCode::NeedsConsentAgain, None),
        SetupState::NotWanted => (SetupCode::NotWanted, None),
    }
}

fn of_accounts(well: SetupCode, accounts: &[ConfigEntry]) -> (SetupCode, Option<String>) {
    let is_failed = |account: &&ConfigEntry| {
        matches!(account.state, EntryState::SetupError | EntryState::SetupRetry)
    };
    if let Some(failed) = accounts.iter().find(is_failed) {
        let why = failed.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return (SetupCode::Failed, Some(format!("{}{why}", failed.state)));
    }
    match accounts.iter().find(|account| account.state != EntryState::Loaded) {
        Some(idle) => (SetupCode::NotLoaded, Some(idle.state.to_string())),
        None => (well, None),
    }
}

/// How far a set-up is, with what is wrong with its account.
pub(super) fn of_entry(of: &EntrySetup) -> SetUp<'_> {
    SetUp::of(&of.state, None).with(of.trouble.as_ref(), &of.id)
}

/// How far the entry of a current credential is set up.
pub(super) fn setup_states_of<'a>(
    plan: &'a Plan,
    state: &CredentialState,
) -> impl Iterator<Item = &'a EntrySetup> {
    let key = state.entry().cloned();
    plan.setup_states.iter().filter(move |of| Some(&of.id.key) == key.as_ref())
}

/// The same for a table.
pub(super) fn state_of(plan: &Plan, state: &CredentialState) -> String {
    let in_words = |of: &EntrySetup| {
        let state = match of_entry(of).state {
            SetupCode::NotWanted => return None,
            state => state.words(),
        };
        let account = of.id.account.as_ref();
        Some(account.map_or(state.to_owned(), |account| format!("{account} {state}")))
    };
    setup_states_of(plan, state).filter_map(in_words).collect::<Vec<_>>().join(", ")
}

/// Whether nothing is to be done about the set-ups of a credential's entry.
pub(super) fn are_well(plan: &Plan, state: &CredentialState) -> bool {
    setup_states_of(plan, state).all(|of| of_entry(of).state.is_well())
}

/// What a set-up waits for, and how to go on.
pub fn waits(
    out: &mut String,
    what: &str,
    id: Option<&SetUpId>,
    step: &FlowStep,
    links: Links,
    known: &mut BTreeSet<String>,
) {
    line(out, YELLOW, &format!("{what}: {}", step.awaits()));
    if let Some(account) = id.and_then(|id| id.account.as_ref()).filter(|_| step.needs_consent()) {
        line(out, DIM, &format!("    log in at the provider as {account}"));
    }
    let id = id.map(SetUpId::argument).unwrap_or_default();
    let details = match step {
        FlowStep::Consent(link) => {
            let shown = link.shown(links).map_err(why_hidden);
            let mut details = vec![shown.unwrap_or_else(|why| why).to_owned()];
            if let Some(uri) = redirect_uri(link).filter(|uri| known.insert(uri.clone())) {
                details
                    .push(format!("the redirect URI {uri} must be registered with the provider"));
            }
            details.push(format!(
                "`appcred authorize {id}` links it with the browser of this machine"
            ));
            details
        }
        FlowStep::Progress(Some(code)) => {
            let detail = match links {
                Links::Shown => format!("open {} and type in {}", code.url, code.code),
                Links::Hidden => "the code is not shown here, since anyone who reads it could use it: pass --show-links to see it".to_owned(),
            };
            vec![detail]
        }
        FlowStep::Form(form) => how_to_answer(form),
        FlowStep::Menu { step, options } => vec![
            format!("choose one of {}", options.join(", ")),
            format!("answer under `integration: {{answers: {{{step}: {{next_step_id: …}}}}}}`"),
        ],
        _ => Vec::new(),
    };
    for detail in details {
        line(out, DIM, &format!("    {detail}"));
    }
}

fn how_to_answer(form: &FlowForm) -> Vec<String> {
    let mut details: Vec<String> =
        problems(form).into_iter().map(|problem| format!("rejected: {problem}")).collect();
    for field in &form.fields {
        let (takes, options) = takes(&field.kind);
        let options: Vec<String> = options.iter().map(Value::to_string).collect();
        let need = if field.required { "" } else { ", optional" };
        let takes = format!("{} {}", takes.words(), options.join(", "));
        details.push(format!("{}: {}{need}", field.name, takes.trim_end()));
    }
    let names = form.fields.iter().map(|field| format!("{}: …", field.name));
    let names = names.collect::<Vec<_>>().join(", ");
    details.push(format!(
        "answer under `integration: {{answers: {{{}: {{{names}}}}}}}` and apply again",
        form.step
    ));
    details
}
