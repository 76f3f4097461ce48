//! Clients of which a real provider is asked regularly. Its answers take real time, so tokio's is not paused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use appcred::http::HeaderMap;
use appcred::model::{
    ClientAnswer, DesiredCredential, Domain, Integration, Key, Secret, TargetName, WebhookMethod,
};
use appcred::status::ClientCheck;
use appcred::watch::{Notices, StatusStore, TargetSpec, WatchSettings, Webhook};
use jiff::Timestamp;
use tokio::task::block_in_place;

use super::{Engine, HOME, Houses, SETTINGS, entry, project, spec, spec_at};
use crate::forms::check_own;
use crate::listener::Listener;
use crate::real::Provider;

/// An entry of another integration, whose token endpoint is the provider's.
fn asked(provider: &Provider, key: &str, client_id: &str, secret: &str) -> DesiredCredential {
    let token_url = Some(format!("{}/token", provider.url()));
    DesiredCredential {
        domain: Domain::new("linked_account"),
        integration: Integration { token_url, ..Integration::default() },
        ..entry(key, client_id, secret)
    }
}

fn notifying(spec: TargetSpec, listener: &Listener) -> TargetSpec {
    let webhooks = vec![Webhook {
        address: Secret::new(&listener.url()),
        body: None,
        method: WebhookMethod::Post,
        headers: HeaderMap::new(),
    }];
    TargetSpec { notices: Notices { home_assistant: false, actions: Vec::new(), webhooks }, ..spec }
}

fn start(specs: &[(&str, TargetSpec)], every: Duration) -> Engine {
    let (folder, project) = project(specs);
    let statuses = StatusStore::new(Timestamp::now);
    let settings = WatchSettings { verify_every: Some(every), ..SETTINGS };
    Engine::run_with(folder, project, Arc::new(Houses::default()), statuses, settings)
}

impl Engine {
    /// Waits until the clients of a target are like this.
    async fn until_clients(
        &self,
        target: &str,
        is_it: impl Fn(&BTreeMap<Key, ClientCheck>) -> bool,
    ) {
        let mut status = self.statuses.subscribe();
        let is_so = status.wait_for(|status| {
            let target = status.targets.get(&TargetName::new(target));
            target.is_some_and(|target| is_it(&target.clients))
        });
        let is_so = tokio::time::timeout(Duration::from_secs(60), is_so).await;
        is_so.expect("the clients become so").unwrap();
    }
}

fn is_accepted(clients: &BTreeMap<Key, ClientCheck>, key: &str) -> Option<bool> {
    clients.get(&Key::new(key).unwrap())?.is_accepted()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_becomes_wrong_and_right_again_is_notified_of_once_each() {
    let (provider, listener) = block_in_place(|| (Provider::start(), Listener::start(200)));
    provider.client("anna", "first");
    provider.client("ben", "second");
    let anna = asked(&provider, "anna", "anna", "first");
    let ben = asked(&provider, "ben", "ben", "second");
    let home = notifying(spec(vec![anna.clone(), ben]), &listener);
    let cabin = notifying(spec_at("cabin", vec![anna]), &listener);
    let engine = start(&[(HOME, home), ("cabin", cabin)], Duration::from_secs(1));
    let are_right = |all: &BTreeMap<_, _>| {
        is_accepted(all, "anna") == Some(true) && is_accepted(all, "ben") == Some(true)
    };
    engine.until_clients(HOME, are_right).await;

    provider.client("anna", "another");
    let notice = block_in_place(|| listener.next_of("client_rejected"));
    check_own("notice.schema.json", &notice);
    let message = notice["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "the provider rejects the client of `anna` at cabin, home (invalid_client"
        ),
        "{message}"
    );
    assert_eq!(notice["target"], serde_json::Value::Null);
    engine.until_clients("cabin", |all| is_accepted(all, "anna") == Some(false)).await;
    engine.until_clients(HOME, |all| is_accepted(all, "ben") == Some(true)).await;

    // Of a provider that is down nothing follows.
    provider.fail(Some(503));
    let asked = provider.token_log().len();
    while provider.token_log().len() < asked + 4 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    provider.fail(None);
    provider.client("anna", "first");
    let notice = block_in_place(|| listener.next());
    assert_eq!(notice["event"], "client_accepted", "{notice:#}");
    engine.until_clients(HOME, are_right).await;
    for client in ["anna", "ben"] {
        let log = provider.token_log();
        assert!(log.iter().any(|asked| asked.client_id.as_deref() == Some(client)), "{log:?}");
    }
    engine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_starts_asks_nobody_before_the_moment_of_the_client() {
    let provider = block_in_place(Provider::start);
    provider.client("anna", "first");
    provider.client("ben", "second");
    let entries = vec![asked(&provider, "anna", "anna", "first"), entry("b", "b", "s")];
    let often = start(
        &[(HOME, spec(vec![asked(&provider, "ben", "ben", "second")]))],
        Duration::from_secs(1),
    );
    let asked_about = |client: &str| {
        let log = provider.token_log().into_iter();
        log.filter(|asked| asked.client_id.as_deref() == Some(client)).count()
    };
    // Far enough away that no test sees the moment.
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    for _ in 0..2 {
        let engine = start(&[(HOME, spec(entries.clone()))], ten_years);
        let is_left_out = |all: &BTreeMap<Key, ClientCheck>| {
            matches!(all.get(&Key::new("b").unwrap()), Some(ClientCheck::LeftOut(_)))
        };
        engine.until_clients(HOME, is_left_out).await;
        // Meanwhile the other watcher asks, each time a second later.
        let before = asked_about("ben");
        while asked_about("ben") < before + 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        engine.end().await;
    }
    assert_eq!(asked_about("anna"), 0);
    often.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_the_provider_does_not_answer_about_is_unclear() {
    let provider = block_in_place(Provider::start);
    provider.fail(Some(503));
    let engine = start(
        &[(HOME, spec(vec![asked(&provider, "anna", "anna", "first")]))],
        Duration::from_secs(1),
    );
    let is_unclear = |all: &BTreeMap<Key, ClientCheck>| {
        let said = all.get(&Key::new("anna").unwrap());
        matches!(said, Some(ClientCheck::Said { answer: ClientAnswer::Unclear(_), .. }))
    };
    engine.until_clients(HOME, is_unclear).await;
    engine.end().await;
}
