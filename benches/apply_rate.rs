//! `apply` of 1,000 creates to a real Home Assistant, over a bare client that sends the same
//! creates in arrays of 100 with coalesced answers.
//!
//! `tests/run --no-run && cargo bench --bench apply_rate [-- 1000]`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

#[allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "the fixture of the tests, of which a bench needs a part"
)]
#[path = "../tests/it/real/mod.rs"]
mod real;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use appcred::model::{
    Adopt, ClientId, Completeness, Desired, DesiredCredential, Domain, Integration, Key, Owner,
    Place, Policy, Secret,
};
use appcred::plan::plan;
use appcred::reconcile::apply;
use appcred::target::{Observe, Stop, home_assistant};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use real::{HomeAssistant, Release};

/// The share of the bare client's rate that `apply` must reach.
const LIMIT: f64 = 0.8;
const ROUNDS: usize = 7;

fn main() {
    let count = std::env::args().skip(1).find_map(|count| count.parse().ok()).unwrap_or(1_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ha = HomeAssistant::start(Release::Ha2024_3);
    ha.create_credential(json!({"domain": "spotify", "client_id": "first", "client_secret": "x"}));
    let (mut bare, mut ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        bare = bare.min(runtime.block_on(bare_client(&ha, count)));
        clear(&ha);
        ours = ours.min(runtime.block_on(apply_all(&ha, count)));
        clear(&ha);
    }
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let ratio = rate(ours) / rate(bare);
    let verdict = if ratio >= LIMIT { "ok" } else { "TOO SLOW" };
    println!(
        "{count} creates, best of {ROUNDS} rounds in turn: bare client {:.0}/s, apply {:.0}/s, ratio {ratio:.2} (limit {LIMIT}) {verdict}",
        rate(bare),
        rate(ours),
    );
}

async fn apply_all(ha: &HomeAssistant, count: usize) -> Duration {
    let settings = home_assistant::ConnectionSettings {
        url: ha.url(),
        token: Secret::new(ha.token()),
        network: Default::default(),
    };
    let mut target = home_assistant::connect(settings).await.unwrap();
    let desired = desired(count);
    let observed = target.observe().await.unwrap();
    let start = Instant::now();
    let plan = plan(&desired, &observed, &Policy::default());
    let outcomes = apply(&plan, &desired, &mut target, &Stop::new(), &mut |_, _| {}).await;
    let time = start.elapsed();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.outcome.is_done()).count(), count);
    target.close().await;
    time
}

fn desired(count: usize) -> Desired {
    let credential = |number: usize| DesiredCredential {
        key: Key::new(&format!("key-{number}")).unwrap(),
        names_key: true,
        formerly: BTreeSet::new(),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(format!("client-{number}")),
        client_secret: Secret::new(&format!("secret-{number}")).into(),
        name: format!("Client {number}").into(),
        adopt: Adopt::No,
        integration: Integration { setup: false, ..Integration::default() },
        place: Place { file: Path::new("a.yaml").into(), line: 1, column: 1 },
    };
    let credentials = (0..count).map(credential).collect();
    Desired {
        owner: Owner::new("bench").unwrap(),
        previous_owners: BTreeSet::new(),
        credentials,
        unidentified: Vec::new(),
        elsewhere: Default::default(),
        completeness: Completeness::Whole,
    }
}

/// Nothing but the protocol: arrays of 100, never more than 500 unanswered.
async fn bare_client(ha: &HomeAssistant, count: usize) -> Duration {
    let address = format!("{}/api/websocket", ha.url().replacen("http", "ws", 1));
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let auth = json!({"type": "auth", "access_token": ha.token()});
    let features =
        json!({"type": "supported_features", "id": 1, "features": {"coalesce_messages": 1}});
    socket.next().await.unwrap().unwrap();
    for hello in [auth, features] {
        socket.send(Message::text(hello.to_string())).await.unwrap();
        socket.next().await.unwrap().unwrap();
    }
    let create = |number: usize| {
        json!({"type": "application_credentials/create", "id": number + 2, "domain": "spotify",
            "client_id": format!("client-{number}"), "client_secret": format!("secret-{number}"),
            "name": format!("Client {number}"), "auth_domain": format!("appcred:bench:key-{number}")})
    };
    let start = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered <= 400 {
            let array: Vec<Value> = (sent..count.min(sent + 100)).map(create).collect();
            sent += array.len();
            socket.send(Message::text(Value::from(array).to_string())).await.unwrap();
        }
        let answer: Value =
            serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        answered += answer.as_array().map_or(1, Vec::len);
    }
    let time = start.elapsed();
    socket.close(None).await.unwrap();
    time
}

fn clear(ha: &HomeAssistant) {
    for credential in ha.credentials() {
        if credential["auth_domain"].is_string() {
            let delete = json!({"type": "application_credentials/delete", "application_credentials_id": credential["id"]});
            ha.call(delete).unwrap();
        }
    }
}
