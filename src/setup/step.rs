//! What to do about what HA shows: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::model::{
    Answers, ClientId, ConsentLink, EntryId, FieldKind, FlowAbort, FlowField, FlowForm, FlowStep,
    Implementation,
};

use super::reasons;

/// Where HA asks which credential; also a menu's item in some integrations.
const PICK: &str = "pick_implementation";
/// The one field of that form.
const IMPLEMENTATION: &str = "implementation";
/// HA Cloud, as HA calls it there.
const CLOUD: &str = "cloud";
/// What a menu is answered with.
const NEXT_STEP: &str = "next_step_id";

/// How a flow is reported that HA cannot go on with.
pub(super) const BROKEN: &str = "Home Assistant failed to process this set-up; its log may say why";

/// What an entry says to HA's questions.
#[derive(Clone, Copy, Debug)]
pub struct Guide<'a> {
    /// By what HA offers the entry's credential.
    pub credential: &'a str,
    /// Its client id.
    pub client_id: &'a ClientId,
    /// What is chosen where HA offers several.
    pub choice: Implementation,
    /// The entry's answers to forms and menus.
    pub answers: &'a Answers,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Move {
    /// Fill in the form, or choose from the menu.
    Answer(Map<String, Value>),
    /// Look again at once.
    Look,
    /// Look again after a while: HA is at work.
    Pause,
    /// A person is needed for what this step shows.
    Wait(FlowStep),
    /// The account is linked; its config entry, where it is a new one.
    Done(Option<EntryId>),
    /// HA ended it.
    Aborted(FlowAbort),
    /// It cannot go on.
    Failed(String),
}

/// Decides. `answered` are the steps that were answered since a person was last needed.
pub(super) fn next(step: FlowStep, guide: &Guide<'_>, answered: &BTreeSet<String>) -> Move {
    match step {
        FlowStep::Form(form) if answered.contains(&form.step) => Move::Wait(FlowStep::Form(form)),
        FlowStep::Form(form) if form.step == PICK && !guide.answers.contains_key(PICK) => {
            pick(form, guide)
        }
        FlowStep::Form(form) => fill_in(form, guide.answers),
        FlowStep::Menu { step, options } => choose(step, options, guide, answered),
        FlowStep::Consent(link) => consent(link, guide),
        FlowStep::Progress(None) => Move::Pause,
        waiting @ FlowStep::Progress(Some(_)) => Move::Wait(waiting),
        FlowStep::Advancing => Move::Look,
        FlowStep::Created(linked) => Move::Done(Some(linked)),
        FlowStep::Aborted(abort) if reasons::is_success(&abort.reason) => Move::Done(None),
        FlowStep::Aborted(abort) => Move::Aborted(abort),
        FlowStep::Broken => Move::Failed(BROKEN.to_owned()),
    }
}

fn pick(form: FlowForm, guide: &Guide<'_>) -> Move {
    let wanted = match guide.choice {
        Implementation::Credential => guide.credential,
        Implementation::Cloud => CLOUD,
        Implementation::Ask => return Move::Wait(FlowStep::Form(form)),
    };
    let is_offered = form.fields.iter().any(|field| match &field.kind {
        FieldKind::Choice(options) => options.iter().any(|option| option == wanted),
        _ => false,
    });
    if is_offered {
        return Move::Answer(Map::from_iter([(IMPLEMENTATION.to_owned(), wanted.into())]));
    }
    Move::Failed(match guide.choice {
        Implementation::Cloud => not_offered("Home Assistant Cloud"),
        Implementation::Credential | Implementation::Ask => not_offered("this credential"),
    })
}

fn not_offered(what: &str) -> String {
    format!("Home Assistant does not offer {what} for it")
}

fn fill_in(mut form: FlowForm, answers: &Answers) -> Move {
    if form.fields.is_empty() {
        return Move::Answer(Map::new());
    }
    let Some(answer) = answers.get(&form.step) else { return Move::Wait(FlowStep::Form(form)) };
    let problems = unfit(&form.fields, answer);
    if !problems.is_empty() {
        form.errors = problems;
        return Move::Wait(FlowStep::Form(form));
    }
    Move::Answer(answer.iter().map(|(field, value)| (field.clone(), value.clone())).collect())
}

/// What is wrong with an answer, by field.
fn unfit(fields: &[FlowField], answer: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let mut problems = BTreeMap::new();
    for name in answer.keys().filter(|name| fields.iter().all(|field| field.name != **name)) {
        problems.insert(name.clone(), "the form has no such field".to_owned());
    }
    for field in fields {
        let problem = match answer.get(&field.name) {
            None if field.required => Some("it must be answered".to_owned()),
            None => None,
            Some(value) => mismatch(&field.kind, value),
        };
        problems.extend(problem.map(|problem| (field.name.clone(), problem)));
    }
    problems
}

fn mismatch(kind: &FieldKind, value: &Value) -> Option<String> {
    let (fits, wanted) = match kind {
        FieldKind::Choice(options) => (options.contains(value), "one of those offered"),
        FieldKind::Choices(options) => (
            value.as_array().is_some_and(|all| all.iter().all(|one| options.contains(one))),
            "a list of some of those offered",
        ),
        FieldKind::Text => (value.is_string(), "text"),
        FieldKind::Integer => (value.is_i64() || value.is_u64(), "a whole number"),
        FieldKind::Number => (value.is_number(), "a number"),
        FieldKind::Flag => (value.is_boolean(), "true or false"),
        FieldKind::Other => (true, ""),
    };
    (!fits).then(|| format!("it must be {wanted}"))
}

/// A menu may lead to where HA asks which credential: that way is ours by default.
fn choose(
    step: String,
    options: Vec<String>,
    guide: &Guide<'_>,
    answered: &BTreeSet<String>,
) -> Move {
    let answer = guide.answers.get(&step).and_then(|answer| answer.get(NEXT_STEP)?.as_str());
    let wanted = answer.unwrap_or(PICK);
    if options.iter().any(|option| option == wanted) && !answered.contains(&step) {
        Move::Answer(Map::from_iter([(NEXT_STEP.to_owned(), wanted.into())]))
    } else {
        Move::Wait(FlowStep::Menu { step, options })
    }
}

/// With one implementation HA does not ask which, so the link must be seen to be for the right one.
fn consent(link: ConsentLink, guide: &Guide<'_>) -> Move {
    let is_ours = link.parameter("client_id").map(|id| id == guide.client_id.as_str());
    match (guide.choice, is_ours) {
        (Implementation::Credential, Some(false)) => Move::Failed(not_offered("this credential")),
        (Implementation::Cloud, Some(true)) => Move::Failed(not_offered("Home Assistant Cloud")),
        _ => Move::Wait(FlowStep::Consent(link)),
    }
}

/// Where the provider sends the browser back to, which must be registered with it.
pub fn redirect_uri(link: &ConsentLink) -> Option<String> {
    link.parameter("redirect_uri")
}

/// By what the provider's answer to this link is known.
pub fn state(link: &ConsentLink) -> Option<String> {
    link.parameter("state")
}
