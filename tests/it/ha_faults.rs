//! What Home Assistant, or the line to it, does wrong. A fake injects the faults and counts what is asked:
//! a real one cannot.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use appcred::model::{
    ClientId, Credential, CredentialId, Domain, EntryId, EntryState, FlowId, FlowStep, Held,
    NewCredential, Secret,
};
use appcred::target::home_assistant::{ConnectionSettings, FlowSide, HomeAssistant, connect};
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop, TargetError};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const TOKEN: &str = "the-good-token";

/// How the fake behaves. It answers only when no command has come for a while, so that it sees how
/// many a client dares to leave open.
#[derive(Clone, Default)]
struct Script {
    /// Answers go out last first, all in one frame.
    backwards: bool,
    items: Vec<Value>,
    entries: Vec<Value>,
    /// After so many creates were carried out …
    creates_until: Option<usize>,
    /// … this happens.
    then: Then,
    release: Option<&'static str>,
    /// It refuses a command of this name with this code.
    refuses: Option<(&'static str, &'static str)>,
    /// What it answers to calls over HTTP: a status, and a text.
    http: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Default)]
enum Then {
    #[default]
    Cut,
    Garbage,
    Silence,
}

#[derive(Default)]
struct Seen {
    creates: usize,
    deletes: Vec<String>,
    asked_entries: Vec<String>,
    most_in_flight: usize,
    most_in_frame: usize,
    longest_frame: usize,
}

struct Fake {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Fake {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            if let Some((status, text)) = script.http {
                tokio::spawn(answer_calls(listener, status, text));
            }
            greet(&mut socket, script.release.unwrap_or("2024.3.3")).await;
            serve(socket, script, shared).await;
        });
        Self { url, seen }
    }

    async fn connect(&self) -> HomeAssistant {
        open(&self.url, TOKEN).await.ok().unwrap()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

pub(crate) async fn open(url: &str, token: &str) -> Result<HomeAssistant, TargetError> {
    connect(ConnectionSettings {
        url: url.to_owned(),
        token: Secret::new(token),
        network: Default::default(),
    })
    .await
}

async fn answer_calls(listener: TcpListener, status: &str, text: &str) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        // An answer before any question would be an error.
        stream.read_u8().await.unwrap();
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // A close with something unread would take back what was sent.
        stream.shutdown().await.unwrap();
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap();
    }
}

async fn greet(socket: &mut WebSocketStream<TcpStream>, release: &str) {
    let hello = json!({"type": "auth_required", "ha_version": release});
    socket.send(Message::text(hello.to_string())).await.unwrap();
    let log_in = socket.next().await.unwrap().unwrap().into_text().unwrap();
    let log_in: Value = serde_json::from_str(&log_in).unwrap();
    assert_eq!(log_in, json!({"type": "auth", "access_token": TOKEN}));
    socket.send(Message::text(json!({"type": "auth_ok"}).to_string())).await.unwrap();
}

async fn serve(mut socket: WebSocketStream<TcpStream>, mut script: Script, seen: Arc<Mutex<Seen>>) {
    let mut open: Vec<Value> = Vec::new();
    let mut last_id = 0;
    loop {
        let quiet = Duration::from_millis(if open.is_empty() { 3_600_000 } else { 20 });
        match timeout(quiet, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                let frame: Vec<Value> = serde_json::from_str(&text).unwrap();
                let mut seen = seen.lock().unwrap();
                seen.most_in_frame = seen.most_in_frame.max(frame.len());
                seen.longest_frame = seen.longest_frame.max(text.len());
                seen.most_in_flight = seen.most_in_flight.max(open.len() + frame.len());
                for command in frame {
                    let id = command["id"].as_u64().unwrap();
                    assert!(id > last_id, "ids must increase");
                    last_id = id;
                    open.push(command);
                }
            }
            Ok(_) => return,
            Err(_) => {
                let (answers, broken) = carry_out(&mut open, &mut script, &seen);
                for frame in frames(answers, script.backwards) {
                    socket.send(Message::text(frame)).await.unwrap();
                }
                match (broken, script.then) {
                    (false, _) => {}
                    (true, Then::Cut) => {
                        // A close with something unread would take back what was sent.
                        socket.get_mut().shutdown().await.unwrap();
                        while let Some(Ok(_)) = socket.next().await {}
                        return;
                    }
                    (true, Then::Garbage) => {
                        socket.send(Message::text("<html>hush</html>")).await.unwrap();
                    }
                    (true, Then::Silence) => std::future::pending().await,
                }
            }
        }
    }
}

fn frames(mut answers: Vec<Value>, backwards: bool) -> Vec<String> {
    if backwards {
        answers.reverse();
        vec![Value::Array(answers).to_string()]
    } else {
        answers.iter().map(Value::to_string).collect()
    }
}

const IN_USE: &str = "Cannot delete credential in use by integration spotify";

/// The answers to all open commands, and whether the fault of the script is due.
fn carry_out(open: &mut Vec<Value>, script: &mut Script, seen: &Mutex<Seen>) -> (Vec<Value>, bool) {
    let mut answers = Vec::new();
    let mut seen = seen.lock().unwrap();
    for command in open.drain(..) {
        let ok = |result: Value| json!({"id": command["id"], "type": "result", "success": true, "result": result});
        let error = |code: &str, message: &str| {
            json!({"id": command["id"], "type": "result", "success": false,
                   "error": {"code": code, "message": message}})
        };
        match command["type"].as_str().unwrap() {
            name if script.refuses.is_some_and(|(refused, _)| refused == name) => {
                answers.push(error(script.refuses.unwrap().1, "refused, as the test wants"));
            }
            "supported_features" => answers.push(ok(Value::Null)),
            "auth/current_user" => answers.push(ok(json!({"is_admin": true}))),
            "get_config" => answers.push(ok(json!({"state": "RUNNING"}))),
            "application_credentials/list" => answers.push(ok(json!(script.items))),
            "application_credentials/config" => answers.push(ok(json!({"domains": ["spotify"]}))),
            "config_entries/get" => answers.push(ok(json!(script.entries))),
            "config_entries/flow/progress" => answers.push(ok(json!([]))),
            "frontend/get_user_data" => answers.push(ok(json!({"value": {}}))),
            "application_credentials/config_entry" => {
                let id = command["config_entry_id"].as_str().unwrap();
                seen.asked_entries.push(id.to_owned());
                answers.push(match id {
                    "linked" => ok(json!({"application_credentials_id": "spotify_a"})),
                    "bare" => ok(json!({})),
                    _ => error("invalid_config_entry_id", "Config entry not found"),
                });
            }
            "application_credentials/create" if command["client_id"] == "refused" => {
                let secret = command["client_secret"].as_str().unwrap();
                let said = format!("{secret} is no good. Got '{secret}'");
                answers.push(error("invalid_format", &said));
            }
            "application_credentials/create" => {
                if script.creates_until == Some(seen.creates) {
                    return (answers, true);
                }
                seen.creates += 1;
                let id = format!("spotify_{}", command["client_id"].as_str().unwrap());
                answers.push(ok(json!({"id": id, "client_secret": command["client_secret"]})));
            }
            "application_credentials/delete" => {
                let id = command["application_credentials_id"].as_str().unwrap();
                seen.deletes.push(id.to_owned());
                match id {
                    "spotify_used" => answers.push(error("home_assistant_error", IN_USE)),
                    "spotify_vanished" => {
                        answers.extend([error("not_found", "Unable to find it"), ok(Value::Null)]);
                    }
                    _ => answers.push(ok(Value::Null)),
                }
            }
            other => panic!("the fake does not know {other}"),
        }
    }
    (answers, false)
}

#[tokio::test]
async fn a_release_that_is_too_old_is_named_and_to_be_updated() {
    for (release, is_said) in [("2021.12.1", true), ("2024.3.3", false)] {
        let refuses = Some(("application_credentials/list", "unknown_command"));
        let script = Script { release: Some(release), refuses, ..Script::default() };
        let fake = Fake::start(script).await;
        let refused = fake.connect().await.observe().await.err().unwrap().to_string();
        let said = format!("Home Assistant {release} is older than every release");
        assert_eq!(refused.contains(&said) && refused.contains("update it"), is_said, "{refused}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_empty() {
    for (code, is_read) in [("unknown_command", true), ("unknown_error", false)] {
        let refuses = Some(("frontend/get_user_data", code));
        let fake = Fake::start(Script { refuses, ..Script::default() }).await;
        let observed = fake.connect().await.observe().await.map_err(|why| why.to_string());
        assert_eq!(observed.is_ok(), is_read, "{observed:?}");
        let why = observed.err().unwrap_or_default();
        assert_eq!(why.contains("cannot read what it keeps for the user of the token"), !is_read);
    }
}

#[tokio::test]
async fn a_refusal_that_says_nothing_of_a_set_up_does_not_end_it() {
    let (flow, account) = (FlowId::new("f"), EntryId::new("e"));
    let domain = Domain::new("spotify");
    let side = FlowSide { domain: &domain, base: "http://ha", secrets: &[] };
    for (status, text, is_broken, has_no_step) in [
        ("500 Internal Server Error", "500 Internal Server Error", true, false),
        ("400 Bad Request", r#"{"message":"Handler X doesn't support step y"}"#, false, true),
        ("400 Bad Request", "Failed dependencies recorder", false, false),
        ("400 Bad Request", "<h1>Request Header Or Cookie Too Large</h1>", false, false),
        ("429 Too Many Requests", "later", false, false),
    ] {
        let (release, http) = (Some("2026.11.0"), Some((status, text)));
        let ha = Fake::start(Script { release, http, ..Script::default() }).await.connect().await;
        let looked = ha.look_at_flow(&flow, &side).await;
        assert_eq!(looked == Ok(Some(FlowStep::Broken)), is_broken, "{looked:?}");
        let started = ha.start_reconfigure_flow(&account, &side).await;
        assert_eq!(started == Ok(None), has_no_step, "{started:?}");
        assert!(looked.is_err() || is_broken);
        assert!(started.is_err() || has_no_step);
    }
}

fn new(client_id: &str) -> NewCredential {
    NewCredential {
        domain: Domain::new("spotify"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new("hush"),
        name: "Spotify".into(),
        auth_domain: format!("appcred:home:{client_id}").into(),
    }
}

fn creates(count: usize) -> Vec<Operation> {
    (0..count).map(|number| Operation::Create(new(&number.to_string()))).collect()
}

fn created(client_id: &str) -> Result<Done, Refusal> {
    Ok(Done::Created(CredentialId::new(format!("spotify_{client_id}"))))
}

fn held(id: &str) -> Held {
    Held {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new("c"),
        name: None,
        auth_domain: None,
    }
}

fn item(id: &str) -> Value {
    json!({"id": id, "domain": "spotify", "client_id": "c", "client_secret": "hush"})
}

/// Runs operations; every one has exactly one outcome.
async fn run(
    ha: &mut HomeAssistant,
    operations: Vec<Operation>,
    stop: &Stop,
    mut each: impl FnMut() + Send,
) -> Vec<Result<Done, Refusal>> {
    let mut outcomes = vec![None; operations.len()];
    ha.execute(operations, stop, &mut |index, outcome| {
        each();
        assert!(outcomes[index].replace(outcome).is_none(), "{index} is told twice");
    })
    .await;
    outcomes.into_iter().map(Option::unwrap).collect()
}

async fn run_all(ha: &mut HomeAssistant, operations: Vec<Operation>) -> Vec<Result<Done, Refusal>> {
    run(ha, operations, &Stop::new(), || {}).await
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = open(&format!("http://{free}"), TOKEN).await.err().unwrap();
    assert!(matches!(error, TargetError::NotListening { .. }), "{error}");
}

#[tokio::test]
async fn whoever_never_answers_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::time::pause();
    let error = open(&url, TOKEN).await.err().unwrap();
    assert!(matches!(error, TargetError::NotConnected { .. }), "{error}");
    assert!(error.to_string().contains("no answer within"), "{error}");
}

#[tokio::test]
async fn entries_are_asked_for_their_credential_only_where_there_can_be_one() {
    let entry = |id: &str, domain: &str| json!({"entry_id": id, "domain": domain, "title": id, "state": "loaded"});
    let mut marked = item("spotify_a");
    marked["auth_domain"] = json!("appcred:home:a");
    let script = Script {
        items: vec![marked, item("spotify_b")],
        entries: vec![
            entry("linked", "spotify"),
            entry("sun", "sun"),
            entry("gone", "spotify"),
            entry("bare", "spotify"),
        ],
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let observed = fake.connect().await.observe().await.unwrap();
    let ids: Vec<_> = observed.credentials.iter().map(|held| held.id.as_str()).collect();
    assert_eq!(ids, ["spotify_a", "spotify_b"]);
    let entries: Vec<_> = observed
        .config_entries
        .iter()
        .map(|entry| (entry.id.as_str(), entry.implementation.as_deref()))
        .collect();
    assert_eq!(entries, [("linked", Some("appcred:home:a")), ("sun", None), ("bare", None)]);
    assert_eq!(observed.config_entries[0].state, EntryState::Loaded);
    assert_eq!(fake.seen().asked_entries, ["linked", "gone", "bare"]);
}

#[tokio::test]
async fn two_answers_to_one_delete_confuse_nobody() {
    let items = ["spotify_vanished", "spotify_used", "spotify_other", "spotify_plain"];
    let script = Script { items: items.map(item).to_vec(), ..Script::default() };
    let fake = Fake::start(script).await;
    let mut ha = fake.connect().await;
    let changed = Held { name: Some("was another".into()), ..held("spotify_other") };
    let operations = vec![
        Operation::Delete(held("spotify_vanished")),
        Operation::Create(new("a")),
        Operation::Delete(held("spotify_used")),
        Operation::Delete(changed),
        Operation::Delete(held("spotify_long_gone")),
        Operation::Delete(held("spotify_plain")),
        Operation::Create(new("b")),
    ];
    let outcomes = run_all(&mut ha, operations).await;
    let in_use = Refusal::InUse { domain: Domain::new("spotify") };
    let expected = [
        Ok(Done::Deleted),
        created("a"),
        Err(in_use),
        Err(Refusal::Changed),
        Ok(Done::Deleted),
        Ok(Done::Deleted),
        created("b"),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(fake.seen().deletes, ["spotify_vanished", "spotify_used", "spotify_plain"]);
    assert_eq!(run_all(&mut ha, creates(1)).await, [created("0")]);
}

#[tokio::test]
async fn many_share_frames_and_never_more_than_512_are_open() {
    for backwards in [false, true] {
        let fake = Fake::start(Script { backwards, ..Script::default() }).await;
        let outcomes = run_all(&mut fake.connect().await, creates(2000)).await;
        for (number, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome, created(&number.to_string()));
        }
        let seen = fake.seen();
        assert!((401..=512).contains(&seen.most_in_flight), "{}", seen.most_in_flight);
        assert_eq!(seen.most_in_frame, 100);
    }
}

#[tokio::test]
async fn frames_stay_below_what_closes_the_socket() {
    let fake = Fake::start(Script::default()).await;
    let with_name = |number: usize, length: usize| {
        Operation::Create(NewCredential {
            name: "n".repeat(length).into(),
            ..new(&number.to_string())
        })
    };
    let mut operations: Vec<_> = (0..100).map(|number| with_name(number, 100_000)).collect();
    operations.push(with_name(100, 5_000_000));
    let outcomes = run_all(&mut fake.connect().await, operations).await;
    assert!(outcomes[..100].iter().all(Result::is_ok));
    assert!(matches!(outcomes[100], Err(Refusal::Failed(_))), "{:?}", outcomes[100]);
    assert!(fake.seen().longest_frame < 2 * 1024 * 1024);
}

/// Carries out 1,000 creates on a connection that breaks after 600; returns all outcomes.
async fn broken(then: Then) -> Vec<Result<Done, Refusal>> {
    let script = Script { creates_until: Some(600), then, ..Script::default() };
    let fake = Fake::start(script).await;
    let mut ha = fake.connect().await;
    let mut told = 0;
    let each = || {
        told += 1;
        if told == 600 && matches!(then, Then::Silence) {
            // All that will come has come: from here on the clock may run ahead.
            tokio::time::pause();
        }
    };
    let outcomes = run(&mut ha, creates(1000), &Stop::new(), each).await;
    let error = ha.observe().await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { .. }), "{error}");
    assert!(!format!("{error} {outcomes:?}").contains("hush"));
    outcomes
}

/// What was answered is done, what was sent without an answer is lost, the rest was never begun.
fn check_broken(outcomes: &[Result<Done, Refusal>]) {
    let count = |matching: fn(&Result<Done, Refusal>) -> bool| {
        outcomes.iter().filter(|outcome| matching(outcome)).count()
    };
    assert_eq!(count(|outcome| outcome.is_ok()), 600);
    let lost = count(|outcome| matches!(outcome, Err(Refusal::Lost(_))));
    let unsent = count(|outcome| matches!(outcome, Err(Refusal::Failed(_))));
    assert!(lost > 0, "{outcomes:?}");
    assert_eq!(lost + unsent, 400);
}

#[tokio::test]
async fn a_cut_tells_done_from_lost() {
    check_broken(&broken(Then::Cut).await);
}

#[tokio::test]
async fn a_frame_that_is_no_message_ends_the_connection() {
    check_broken(&broken(Then::Garbage).await);
}

#[tokio::test]
async fn silence_is_not_waited_for_without_end() {
    check_broken(&broken(Then::Silence).await);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_the_rest_goes_on() {
    let mut without_secret = item("spotify_null");
    without_secret["client_secret"] = Value::Null;
    let mut wrong = item("spotify_wrong");
    wrong["client_secret"] = json!(["hush"]);
    let nameless = json!({"domain": "spotify", "client_id": "c", "client_secret": "hush"});
    let items = vec![without_secret, wrong, nameless, json!(7), Value::Null, item("spotify_a")];
    let entries = vec![
        json!({"entry_id": "half", "domain": "spotify"}),
        json!(null),
        json!({"entry_id": "linked", "domain": "spotify", "title": "t", "state": "loaded"}),
    ];
    let fake = Fake::start(Script { items, entries, ..Script::default() }).await;
    let observed = fake.connect().await.observe().await.unwrap();
    let held: Vec<_> = observed
        .credentials
        .iter()
        .map(|held| (held.id.as_str(), held.client_secret.clear().unwrap().expose()))
        .collect();
    assert_eq!(held, [("spotify_null", ""), ("spotify_a", "hush")]);
    let accounts: Vec<_> = observed.config_entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(accounts, ["linked"]);
}

#[tokio::test]
async fn what_another_run_has_created_meanwhile_is_not_created_again() {
    let mut theirs = item("spotify_a_2");
    theirs["client_id"] = json!("a");
    theirs["name"] = json!("Spotify");
    theirs["auth_domain"] = json!("appcred:home:a");
    let fake = Fake::start(Script { items: vec![theirs], ..Script::default() }).await;
    let mut ha = fake.connect().await;
    let outcomes = run_all(&mut ha, vec![Operation::Create(new("a"))]).await;
    assert_eq!(outcomes, [Ok(Done::Created(CredentialId::new("spotify_a_2")))]);
    assert_eq!(fake.seen().creates, 0);
    let other = NewCredential { client_secret: Secret::new("another"), ..new("a") };
    assert_eq!(run_all(&mut ha, vec![Operation::Create(other)]).await, [created("a")]);
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_is_in_flight() {
    let fake = Fake::start(Script::default()).await;
    let mut ha = fake.connect().await;
    let stop = Stop::new();
    let outcomes = run(&mut ha, creates(3000), &stop, || stop.cancel()).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let stopped = outcomes.iter().filter(|outcome| **outcome == Err(Refusal::Stopped)).count();
    assert_eq!(done, fake.seen().creates);
    assert!((1..=1024).contains(&done), "{done}");
    assert_eq!(done + stopped, 3000);
}

#[tokio::test]
async fn what_home_assistant_quotes_is_not_passed_on() {
    let fake = Fake::start(Script::default()).await;
    let refused = vec![Operation::Create(new("refused"))];
    let outcomes = run_all(&mut fake.connect().await, refused).await;
    let said = "invalid_format: (sensitive) is no good".to_owned();
    assert_eq!(outcomes, [Err(Refusal::Failed(said))]);
}

#[tokio::test]
async fn a_list_holds_all_that_a_credential_has() {
    let mut full = item("spotify_a");
    full["name"] = json!("Family");
    full["auth_domain"] = json!("appcred:home:a");
    full["from_the_future"] = json!({});
    let bare = json!({"id": "spotify_b", "domain": "spotify", "client_id": "c"});
    let fake = Fake::start(Script { items: vec![full, bare], ..Script::default() }).await;
    let observed = fake.connect().await.observe().await.unwrap();
    let credential = |id: &str, secret: &str| Credential {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new("c"),
        client_secret: Secret::new(secret).into(),
        name: None,
        auth_domain: None,
    };
    let expected = Credential {
        name: Some("Family".into()),
        auth_domain: Some("appcred:home:a".into()),
        ..credential("spotify_a", "hush")
    };
    assert_eq!(observed.credentials, [expected, credential("spotify_b", "")]);
    assert_eq!(observed.version.as_deref(), Some("2024.3.3"));
}
