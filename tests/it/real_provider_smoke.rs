//! What tests of set-up and rotation stand on: Home Assistant and a real OAuth2 provider together.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::real::{HomeAssistant, Provider, Release, each_release, visit};

const FLOWS: &str = "/api/config/config_entries/flow";

/// A house with one credential of this integration, known at the provider, and its id.
fn house(release: Release, domain: &str) -> (HomeAssistant, Provider, String) {
    let provider = Provider::start();
    provider.client("house", "first secret");
    let ha = HomeAssistant::start(release);
    ha.accounts_are_at(&provider);
    let made = ha.create_credential(
        json!({"domain": domain, "client_id": "house", "client_secret": "first secret"}),
    );
    let id = made["id"].as_str().unwrap().to_owned();
    (ha, provider, id)
}

#[track_caller]
fn start_flow(ha: &HomeAssistant, domain: &str) -> Value {
    let (status, flow) = ha.rest("POST", FLOWS, Some(&json!({"handler": domain})));
    assert_eq!(status, 200, "{flow}");
    flow
}

/// What became of a flow after the browser came back from the provider.
#[track_caller]
fn come_back(ha: &HomeAssistant, flow: &Value, callback: &str) -> Value {
    assert!(callback.starts_with(&format!("{}/auth/external/callback?", ha.url())), "{callback}");
    assert_eq!(visit(callback).text, "<script>window.close()</script>");
    look_at(ha, flow)
}

#[track_caller]
fn look_at(ha: &HomeAssistant, flow: &Value) -> Value {
    let path = format!("{FLOWS}/{}", flow["flow_id"].as_str().unwrap());
    let (status, flow) = ha.rest("GET", &path, None);
    assert_eq!(status, 200, "{flow}");
    flow
}

each_release!(consent_links_an_account);
fn consent_links_an_account(release: Release) {
    let (ha, provider, id) = house(release, "linked_account");
    let flow = start_flow(&ha, "linked_account");
    assert_eq!(flow["type"], "external", "{flow}");

    let answer = provider.consent(flow["url"].as_str().unwrap());
    let done = come_back(&ha, &flow, &answer.location.unwrap());

    assert_eq!(done["type"], "create_entry", "{done}");
    assert_eq!(done["result"]["state"], "loaded", "{done}");
    let entry = done["result"]["entry_id"].as_str().unwrap();
    let used = json!({"type": "application_credentials/config_entry", "config_entry_id": entry});
    assert_eq!(ha.call(used).unwrap()["application_credentials_id"], id);
    let log = provider.token_log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].grant, "authorization_code");
    assert_eq!(log[0].client_id.as_deref(), Some("house"));
    assert_eq!(log[0].client_secret.as_deref(), Some("first secret"));
    assert_eq!((log[0].method.as_str(), log[0].status, &log[0].error), ("post", 200, &None));
    let redirect = format!("{}/auth/external/callback", ha.url());
    assert_eq!(log[0].redirect_uri, Some(redirect));
}

each_release!(a_person_may_refuse_and_a_provider_too);
fn a_person_may_refuse_and_a_provider_too(release: Release) {
    let (ha, provider, _) = house(release, "linked_account");
    let flow = start_flow(&ha, "linked_account");
    let answer = provider.refuse(flow["url"].as_str().unwrap());
    let refused = come_back(&ha, &flow, &answer.location.unwrap());
    assert_eq!(
        (&refused["type"], &refused["reason"]),
        (&json!("abort"), &json!("user_rejected_authorize"))
    );

    provider.client("house", "second secret");
    let flow = start_flow(&ha, "linked_account");
    let answer = provider.consent(flow["url"].as_str().unwrap());
    let refused = come_back(&ha, &flow, &answer.location.unwrap());
    assert_eq!(
        (&refused["type"], &refused["reason"]),
        (&json!("abort"), &json!("oauth_unauthorized"))
    );
    assert_eq!(provider.token_log().last().unwrap().error.as_deref(), Some("invalid_client"));

    let stranger = provider.url() + "/authorize?response_type=code&client_id=nobody&state=s";
    assert_eq!(provider.consent(&stranger).status, 400);
}

each_release!(a_refresh_shows_what_the_provider_thinks_of_the_secret);
fn a_refresh_shows_what_the_provider_thinks_of_the_secret(release: Release) {
    let (ha, provider, _) = house(release, "linked_account");
    provider.tokens_live(1);
    let flow = start_flow(&ha, "linked_account");
    let answer = provider.consent(flow["url"].as_str().unwrap());
    let done = come_back(&ha, &flow, &answer.location.unwrap());
    let entry = done["result"]["entry_id"].as_str().unwrap();
    assert_eq!(ha.state_of(entry), "loaded");
    assert!(ha.use_account(entry));

    provider.client("house", "second secret");
    assert_eq!(ha.reload(entry), "setup_error");
    let last = provider.token_log().pop().unwrap();
    assert_eq!((last.grant.as_str(), last.status), ("refresh_token", 401));
    assert_eq!(last.client_secret.as_deref(), Some("first secret"));
    let flows = ha.call(json!({"type": "config_entries/flow/progress"})).unwrap();
    assert_eq!(flows[0]["context"]["source"], "reauth", "{flows}");

    provider.client("house", "first secret");
    assert_eq!(ha.reload(entry), "loaded");
    provider.go_down();
    assert_eq!(ha.reload(entry), "setup_retry");
    provider.come_up();
    assert_eq!(ha.reload(entry), "loaded");
    provider.fail(Some(503));
    assert_eq!(ha.reload(entry), "setup_retry");
    provider.fail(None);
    provider.forget_consent();
    assert_eq!(ha.reload(entry), "setup_error");
    assert_eq!(provider.token_log().pop().unwrap().error.as_deref(), Some("invalid_grant"));
}

each_release!(a_question_may_follow_consent);
fn a_question_may_follow_consent(release: Release) {
    let (ha, provider, _) = house(release, "linked_account_form");
    let flow = start_flow(&ha, "linked_account_form");
    let answer = provider.consent(flow["url"].as_str().unwrap());
    let form = come_back(&ha, &flow, &answer.location.unwrap());
    assert_eq!((&form["type"], &form["step_id"]), (&json!("form"), &json!("home")));
    let path = format!("{FLOWS}/{}", form["flow_id"].as_str().unwrap());

    let (_, again) = ha.rest("POST", &path, Some(&json!({"home": "Sold"})));
    assert_eq!(again["errors"], json!({"home": "not_yours"}));

    let (_, done) = ha.rest("POST", &path, Some(&json!({"home": "Cabin", "nickname": "Hut"})));
    assert_eq!((&done["type"], &done["title"]), (&json!("create_entry"), &json!("Cabin")));
}

each_release!(a_device_code_is_typed_in_at_the_provider);
fn a_device_code_is_typed_in_at_the_provider(release: Release) {
    let (ha, provider, _) = house(release, "linked_account_device");
    for (allow, end) in [(false, "abort"), (true, "create_entry")] {
        let flow = start_flow(&ha, "linked_account_device");
        assert_eq!(flow["type"], "progress", "{flow}");
        let shown = &flow["description_placeholders"];
        assert_eq!(shown["url"], provider.url() + "/device");
        let link = provider.device_link(shown["user_code"].as_str().unwrap());
        assert_eq!(look_at(&ha, &flow)["type"], "progress");

        let page = if allow { provider.consent(&link) } else { provider.refuse(&link) };

        assert!(page.text.contains("You may close this page"), "{page:?}");
        let done = (0..600).find_map(|_| {
            let now = look_at(&ha, &flow);
            let waits = now["type"] == "progress" || now["type"] == "progress_done";
            thread::sleep(Duration::from_millis(if waits { 50 } else { 0 }));
            (!waits).then_some(now)
        });
        let done = done.expect("the flow ends");
        assert_eq!(done["type"], end, "{done}");
        assert!(allow || done["reason"] == "access_denied", "{done}");
    }
}
