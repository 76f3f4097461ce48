//! What is done about each thing that HA may show.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::step::{Guide, Move, next};
use crate::model::{
    Answers, ClientId, ConsentLink, DeviceCode, FieldKind, FlowAbort, FlowField, FlowForm,
    FlowStep, Implementation, Secret,
};

fn answers(answers: Value) -> Answers {
    serde_json::from_value(answers).unwrap()
}

fn moved(step: FlowStep, choice: Implementation, said: Value, answered: &[&str]) -> Move {
    let (answers, client_id) = (answers(said), ClientId::new("ours"));
    let guide =
        Guide { credential: "appcred:house:a", client_id: &client_id, choice, answers: &answers };
    let answered: BTreeSet<String> = answered.iter().map(|step| (*step).to_owned()).collect();
    next(step, &guide, &answered)
}

fn form(step: &str, fields: Vec<FlowField>) -> FlowStep {
    FlowStep::Form(FlowForm { step: step.to_owned(), fields, errors: BTreeMap::new() })
}

fn field(name: &str, kind: FieldKind, required: bool) -> FlowField {
    FlowField { name: name.to_owned(), kind, required }
}

fn pick(options: &[&str]) -> FlowStep {
    let options = options.iter().map(|option| json!(option)).collect();
    form("pick_implementation", vec![field("implementation", FieldKind::Choice(options), true)])
}

fn link(client_id: &str) -> FlowStep {
    let url = format!("http://provider/authorize?client_id={client_id}&state=s");
    FlowStep::Consent(ConsentLink::new(Secret::new(&url), false))
}

#[track_caller]
fn answered_with(step: FlowStep, choice: Implementation, said: Value, expected: Value) {
    match moved(step, choice, said, &[]) {
        Move::Answer(answer) => assert_eq!(Value::Object(answer), expected),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(step: FlowStep, choice: Implementation) -> String {
    match moved(step, choice, json!({}), &[]) {
        Move::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

/// The errors of the form that is shown to a person.
#[track_caller]
fn shown(step: FlowStep, said: Value, answered: &[&str]) -> BTreeMap<String, String> {
    match moved(step, Implementation::Credential, said, answered) {
        Move::Wait(FlowStep::Form(form)) => form.errors,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_entrys_credential_is_chosen_or_cloud_or_nothing() {
    let both = || pick(&["cloud", "appcred:house:a"]);
    let own = json!({"implementation": "appcred:house:a"});
    answered_with(both(), Implementation::Credential, json!({}), own);
    answered_with(both(), Implementation::Cloud, json!({}), json!({"implementation": "cloud"}));
    let asked = moved(both(), Implementation::Ask, json!({}), &[]);
    assert!(matches!(asked, Move::Wait(FlowStep::Form(_))), "{asked:?}");
    let said = json!({"pick_implementation": {"implementation": "cloud"}});
    answered_with(both(), Implementation::Ask, said, json!({"implementation": "cloud"}));
    assert!(failed(pick(&["cloud"]), Implementation::Credential).contains("this credential"));
    assert!(failed(pick(&["other"]), Implementation::Cloud).contains("Home Assistant Cloud"));
}

#[test]
fn consent_is_asked_only_for_the_right_client() {
    let ours = moved(link("ours"), Implementation::Credential, json!({}), &[]);
    assert_eq!(ours, Move::Wait(link("ours")));
    failed(link("theirs"), Implementation::Credential);
    failed(link("ours"), Implementation::Cloud);
    let cloud = moved(link("theirs"), Implementation::Cloud, json!({}), &[]);
    assert_eq!(cloud, Move::Wait(link("theirs")));
}

#[test]
fn a_form_is_filled_in_from_the_entry_or_shown() {
    let home = || {
        let homes = FieldKind::Choice(vec![json!("Cabin"), json!("House")]);
        form("home", vec![field("home", homes, true), field("nickname", FieldKind::Text, false)])
    };
    let right = json!({"home": {"home": "Cabin"}});
    answered_with(home(), Implementation::Credential, right, json!({"home": "Cabin"}));
    assert!(shown(home(), json!({}), &[]).is_empty());
    let wrong = json!({"home": {"home": "Barn", "nickname": 3, "floor": 1}});
    let problems = shown(home(), wrong, &[]);
    let fields: Vec<_> = problems.keys().map(String::as_str).collect();
    assert_eq!(fields, ["floor", "home", "nickname"]);
    assert_eq!(shown(home(), json!({"home": {}}), &[])["home"], "it must be answered");
    shown(home(), json!({"home": {"home": "Cabin"}}), &["home"]);
}

#[test]
fn every_kind_of_field_is_checked() {
    let cases = [
        (FieldKind::Choices(vec![json!("a")]), json!(["a"]), json!(["b"])),
        (FieldKind::Text, json!("a"), json!(1)),
        (FieldKind::Integer, json!(-1), json!(1.5)),
        (FieldKind::Integer, json!(u64::MAX), json!("1")),
        (FieldKind::Number, json!(1.5), json!("1")),
        (FieldKind::Flag, json!(true), json!("true")),
    ];
    for (kind, right, wrong) in cases {
        let step = || form("s", vec![field("f", kind.clone(), true)]);
        let said = json!({"s": {"f": right}});
        answered_with(step(), Implementation::Credential, said, json!({"f": right}));
        assert_eq!(shown(step(), json!({"s": {"f": wrong}}), &[]).len(), 1, "{kind:?}");
    }
}

#[test]
fn a_form_without_fields_is_confirmed_once() {
    let confirm = || form("reauth_confirm", Vec::new());
    answered_with(confirm(), Implementation::Credential, json!({}), json!({}));
    shown(confirm(), json!({}), &["reauth_confirm"]);
}

#[test]
fn a_menu_leads_to_the_credential_or_where_the_entry_says() {
    let menu = || FlowStep::Menu {
        step: "choose".to_owned(),
        options: vec!["manual".to_owned(), "pick_implementation".to_owned()],
    };
    let own = json!({"next_step_id": "pick_implementation"});
    answered_with(menu(), Implementation::Credential, json!({}), own);
    let said = json!({"choose": {"next_step_id": "manual"}});
    answered_with(menu(), Implementation::Credential, said, json!({"next_step_id": "manual"}));
    let unknown = json!({"choose": {"next_step_id": "moon"}});
    assert_eq!(moved(menu(), Implementation::Credential, unknown, &[]), Move::Wait(menu()));
}

#[test]
fn what_needs_no_answer_is_waited_for() {
    let check = |step: FlowStep| moved(step, Implementation::Credential, json!({}), &[]);
    assert_eq!(check(FlowStep::Advancing), Move::Look);
    assert_eq!(check(FlowStep::Progress(None)), Move::Pause);
    let code = DeviceCode { url: "u".to_owned(), code: "c".to_owned() };
    let waiting = FlowStep::Progress(Some(code));
    assert_eq!(check(waiting.clone()), Move::Wait(waiting));
    let ended = |reason: &str| {
        FlowStep::Aborted(FlowAbort { reason: reason.to_owned(), ..FlowAbort::default() })
    };
    assert_eq!(check(ended("reauth_successful")), Move::Done(None));
    assert!(matches!(check(ended("oauth_unauthorized")), Move::Aborted(_)));
    assert!(matches!(check(FlowStep::Broken), Move::Failed(_)));
}
