//! Whether a client is right, asked of a real OAuth2 provider, and of one that says what a test wants.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use appcred::integrations::ClientAuth;
use appcred::model::{ClientId, Domain, Secret};
use appcred::verify::{Question, Verdict, verify};
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::ha_apply::House;
use crate::real::{HomeAssistant, Provider, Release, each_release};
use crate::shell::{Appcred, Project};

/// Clients of our own provider, of which `drill` has a secret that somebody mistyped.
fn project(provider: &Provider) -> Project {
    provider.client("anna", "first");
    provider.client("ben", "second");
    let url = provider.url();
    let manifest = format!(
        "\
application_credentials:
  - {{domain: linked_account, key: anna, client_id: anna, client_secret: first, integration: {{token_url: '{url}/token'}}}}
  - {{domain: fitbit, key: ben, client_id: ben, client_secret: second, integration: {{token_url: '{url}/token', authorize_url: '{url}/authorize'}}}}
  - {{domain: linked_account, key: drill, client_id: ben, client_secret: mistyped, integration: {{token_url: '{url}/token'}}}}
  - {{domain: linked_account, key: nowhere, client_id: x, client_secret: y}}
"
    );
    Project::new()
        .file(
            "appcred.yaml",
            "allow_plaintext: true\ncustom_integrations: [linked_account]\ntargets: {folder: {config_dir: ha}}\n",
        )
        .file("credentials/all.yaml", &manifest)
}

fn appcred(project: &Project) -> Appcred {
    Appcred::new().in_dir(project.path())
}

#[test]
fn a_right_client_is_told_from_a_wrong_one() {
    let provider = Provider::start();
    let project = project(&provider);
    let url = provider.url();
    let expected = format!(
        "\
KEY      INTEGRATION     CLIENT ID  CLIENT     REDIRECT URI  WHY
anna     linked_account  anna       right      not asked     no authorize endpoint is known
ben      fitbit          ben        right      unclear       it redirects to another page, which proves nothing
drill    linked_account  ben        wrong      not asked     invalid_client: The client cannot authenticate with methods: ['client_secret_basic', 'client_secret_post']; no authorize endpoint is known
nowhere  linked_account  x          not asked  not asked     no token endpoint is known; no authorize endpoint is known

wrong: compare client id and secret with what the provider shows: the secret may have been replaced there
  drill (credentials/all.yaml:4:6, asked at {url}/token)

not asked: name the provider's token endpoint as `integration: {{token_url: https://...}}` in the entry
  nowhere (credentials/all.yaml:5:6)

Clients: 2 right, 1 wrong, 1 not asked. Redirect URIs: 1 unclear, 3 not asked.
"
    );
    appcred(&project).args(["verify"]).status(1).stdout(&expected).stderr("").run();

    let mut log = provider.token_log();
    log.sort_by(|a, b| a.client_secret.cmp(&b.client_secret));
    let told: Vec<_> = log
        .iter()
        .map(|asked| (asked.client_secret.as_deref().unwrap(), asked.method.as_str()))
        .collect();
    assert_eq!(told, [("first", "post"), ("mistyped", "post"), ("second", "basic")]);
    assert!(log.iter().all(|asked| asked.grant == "authorization_code"));
}

#[test]
fn only_what_is_asked_for_is_asked() {
    let provider = Provider::start();
    let project = project(&provider);
    appcred(&project).args(["verify", "anna", "-t", "folder"]).run();
    appcred(&project).args(["verify", "nowhere"]).run();
    appcred(&project).args(["verify", "--strict", "anna"]).run();
    assert_eq!(provider.token_log().len(), 2);
    appcred(&project).args(["verify", "--strict", "nowhere"]).status(1).run();
    let ran = appcred(&project).args(["verify", "nobody"]).status(1).run();
    assert_eq!(
        ran.stderr,
        "error: there is no entry with the key `nobody`; there are: anna, ben, drill, nowhere\n"
    );
    let ran = appcred(&project).args(["verify", "-t", "cabin"]).status(1).run();
    let printed = "error: there is no target `cabin`; there are: ";
    assert!(ran.stderr.starts_with(printed), "{}", ran.stderr);
}

#[test]
fn a_provider_that_is_down_proves_nothing() {
    let provider = Provider::start();
    let project = project(&provider);
    provider.fail(Some(503));
    let verdict = |strict: &[&str], status| {
        let args = ["verify", "drill", "--format", "json"];
        let ran = appcred(&project).args(args).args(strict).status(status).run();
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        check_own("verify.schema.json", &report);
        report
    };
    let told = verdict(&[], 0);
    assert_eq!(told["format_version"], 1);
    assert_eq!(told["summary"]["unreachable"], 1);
    let entry = &told["entries"][0];
    assert_eq!((&entry["key"], &entry["verdict"]), (&json!("drill"), &json!("unreachable")));
    assert_eq!(entry["message"], "it answers 503 Service Unavailable");
    assert_eq!(entry["token_url"], format!("{}/token", provider.url()));
    provider.go_down();
    let told = verdict(&["--strict"], 1);
    assert_eq!(told["entries"][0]["verdict"], "unreachable");
    assert!(told["entries"][0]["message"].as_str().unwrap().contains("refused"), "{told}");
}

each_release!(ha_is_not_touched_when_apply_verifies_a_wrong_secret);
fn ha_is_not_touched_when_apply_verifies_a_wrong_secret(release: Release) {
    let provider = Provider::start();
    provider.client("anna", "right");
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let entry = |name: &str, client_id: &str, secret: &str| {
        let url = provider.url();
        let asked_at = format!("    integration: {{token_url: '{url}/token', setup: false}}\n");
        house.entry_with_integration("linked_account", name, client_id, secret) + &asked_at
    };
    house.declare(&[entry("Anna", "anna", "wrong"), entry("Ben", "anna-too", "right")]);
    let apply = || house.appcred(&ha).args(["apply", "--yes", "--verify"]);

    let ran = apply().status(1).run();
    assert!(
        ran.stderr.ends_with("2 wrong. Redirect URIs: 2 not asked.\nNothing was changed.\n"),
        "{}",
        ran.stderr
    );
    assert!(ha.credentials().is_empty());

    provider.client("anna-too", "right");
    house.declare(&[entry("Anna", "anna", "right"), entry("Ben", "anna-too", "right")]);
    apply().run();
    assert_eq!(ha.credentials().len(), 2);

    // What stays as it is is not asked about again.
    let asked = provider.token_log().len();
    house.declare(&[entry("Anna", "anna", "right"), entry("Ben", "anna-too", "rotated")]);
    apply().status(1).run();
    assert_eq!(provider.token_log().len(), asked + 1);
    let held = ha.credentials();
    assert!(held.iter().all(|held| held["client_secret"] == "right"), "{held:?}");

    provider.go_down();
    apply().args(["--strict"]).status(1).run();
    assert_eq!(ha.credentials(), held);
    apply().run();
    assert_eq!(ha.credentials().last().unwrap()["client_secret"], "rotated");
}

/// A provider that answers each path in its own way, and keeps what it was told.
struct Canned {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    fn start(answers: &[(&'static str, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (Arc::clone(&asked), answers.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let from = head.len();
                    if stream.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                    if let Some(value) = head[from..].strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let body = String::from_utf8(body).unwrap();
                kept.lock().unwrap().push(format!("{head}{body}"));
                let answer = answers.iter().find(|(known, _)| *known == path);
                let answer = answer.map_or("HTTP/1.1 404 Not Found\r\n\r\n", |(_, text)| text);
                // Somebody who has read enough may be gone.
                let _gone = stream.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { url, asked }
    }

    fn question(&self, path: &str) -> Question {
        Question {
            domain: Domain::new("linked_account"),
            client_id: ClientId::new("id"),
            client_secret: Secret::new("hush=1"),
            token_url: Some(format!("{}{path}", self.url)),
            client_auth: ClientAuth::Body,
            is_ignored: false,
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

const JSON: &str = "content-type: application/json\r\n";

/// A path, what is answered there, and what follows.
type Row = (&'static str, String, Verdict);

fn wrong(why: &str) -> Verdict {
    Verdict::Wrong(why.to_owned())
}

fn unclear(why: &str) -> Verdict {
    Verdict::Unclear(why.to_owned())
}

fn answers_with_a_code() -> Vec<Row> {
    vec![
        ("/grant", answer("400 Bad Request", JSON, r#"{"error":"invalid_grant"}"#), Verdict::Right),
        (
            "/ask",
            answer("400 Bad Request", JSON, r#"{"error":"invalid_request"}"#),
            unclear("it says invalid_request"),
        ),
        (
            "/client",
            answer(
                "401 Unauthorized",
                JSON,
                r#"{"error":"invalid_client","error_description":"No\u001b[31m such\nclient"}"#,
            ),
            wrong("invalid_client: No [31m such client"),
        ),
        (
            "/unauthorized",
            answer("400 Bad Request", JSON, r#"{"error":"unauthorized_client"}"#),
            wrong("unauthorized_client"),
        ),
        (
            "/echo",
            answer(
                "401 Unauthorized",
                JSON,
                r#"{"error":"invalid_client","error_description":"hush=1 is wrong"}"#,
            ),
            wrong("invalid_client"),
        ),
        (
            "/as-success",
            answer("200 OK", JSON, r#"{"error":"invalid_client"}"#),
            wrong("invalid_client"),
        ),
        (
            "/scope",
            answer("400 Bad Request", JSON, r#"{"error":"redirect_uri_mismatch"}"#),
            unclear("it says redirect_uri_mismatch"),
        ),
    ]
}

fn answers_of_another_kind() -> Vec<Row> {
    vec![
        (
            "/own-words",
            answer("403 Forbidden", JSON, r#"{"status":403,"message":"invalid client secret"}"#),
            unclear(
                "it answers 403 Forbidden without an error code of OAuth2, but says: invalid client secret",
            ),
        ),
        (
            "/page",
            answer("200 OK", "content-type: text/html\r\n", "<html>hush=1</html>"),
            unclear("it answers 200 OK without an error code of OAuth2"),
        ),
        (
            "/all",
            answer("200 OK", JSON, r#"{"access_token":"t","token_type":"bearer"}"#),
            unclear("it grants whatever it is asked for"),
        ),
        (
            "/moved",
            answer("307 Temporary Redirect", "location: /client\r\n", ""),
            unclear(
                "it redirects to another address, which is not followed (307 Temporary Redirect)",
            ),
        ),
        (
            "/none",
            answer("404 Not Found", "", ""),
            unclear("there is no token endpoint (404 Not Found)"),
        ),
        (
            "/often",
            answer("429 Too Many Requests", JSON, r#"{"error":"invalid_client"}"#),
            Verdict::Unreachable("it answers 429 Too Many Requests".to_owned()),
        ),
        (
            "/down",
            answer("502 Bad Gateway", "", "<html>"),
            Verdict::Unreachable("it answers 502 Bad Gateway".to_owned()),
        ),
        (
            "/endless",
            answer("200 OK", JSON, &" ".repeat(70_000)),
            unclear("its answer is larger than 64 KiB"),
        ),
    ]
}

#[tokio::test]
async fn a_secret_that_an_integration_does_not_use_is_not_sent() {
    let granted = answer("400 Bad Request", JSON, r#"{"error":"invalid_grant"}"#);
    let provider = Canned::start(&[("/a", granted.clone()), ("/b", granted)]);
    let without = Question { client_auth: ClientAuth::None, ..provider.question("/a") };
    let ignored = Question { is_ignored: true, ..provider.question("/b") };
    let verdicts = verify(&[without, ignored], None).await;
    let unused = unclear("the integration uses a client of its own");
    assert_eq!(verdicts, [Verdict::Right, unused]);
    let asked = provider.asked.lock().unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("client_id=id") && !asked[0].contains("hush"), "{asked:?}");
}

#[tokio::test]
async fn each_answer_has_its_verdict() {
    let table = [answers_with_a_code(), answers_of_another_kind()].concat();
    let answers: Vec<_> = table.iter().map(|(path, text, _)| (*path, text.clone())).collect();
    let provider = Canned::start(&answers);

    for (path, _, expected) in &table {
        let question = provider.question(path);
        let verdicts = verify(&[question.clone(), question], None).await;
        assert_eq!(verdicts, [expected.clone(), expected.clone()], "{path}");
    }
    let asked = provider.asked.lock().unwrap();
    assert_eq!(asked.len(), table.len(), "each once, and no redirect followed");
    for request in asked.iter() {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("hush"), "{head}");
        assert!(body.contains("client_secret=hush%3D1"), "{body}");
        assert!(body.contains("redirect_uri=https%3A%2F%2Fmy.home-assistant.io"), "{body}");
    }
}

fn clients(provider: &Canned, path: &str, count: usize) -> Vec<Question> {
    let client =
        |n| Question { client_id: ClientId::new(format!("id-{n}")), ..provider.question(path) };
    (0..count).map(client).collect()
}

/// Each of these says nothing about any client, so that all others would be asked in vain.
#[tokio::test]
async fn a_host_that_does_not_answer_is_asked_once() {
    for status in ["500 Oops", "503 Service Unavailable", "429 Too Many Requests"] {
        let down = Canned::start(&[("/token", answer(status, "", ""))]);
        let granted = answer("400 Bad Request", JSON, r#"{"error":"invalid_grant"}"#);
        let up = Canned::start(&[("/token", granted)]);
        let questions = [clients(&down, "/token", 300), clients(&up, "/token", 20)].concat();
        let verdicts = verify(&questions, None).await;
        assert_eq!(down.asked.lock().unwrap().len(), 1, "{status}");
        assert_eq!(verdicts[300..], vec![Verdict::Right; 20], "another host is asked");
        let skipped = format!("not asked, since asking {} failed before: it answers", down.url);
        let has_said = |verdict: &&Verdict| match verdict {
            Verdict::Unreachable(why) => why.starts_with(&skipped),
            _ => false,
        };
        assert_eq!(verdicts[..300].iter().filter(has_said).count(), 299, "{verdicts:?}");
    }
}

#[tokio::test]
async fn a_host_that_goes_down_meanwhile_is_asked_no_more() {
    let granted = answer("400 Bad Request", JSON, r#"{"error":"invalid_grant"}"#);
    let provider =
        Canned::start(&[("/a", granted), ("/b", answer("503 Service Unavailable", "", ""))]);
    let questions = [clients(&provider, "/a", 1), clients(&provider, "/b", 300)].concat();
    let verdicts = verify(&questions, None).await;
    assert_eq!(verdicts[0], Verdict::Right);
    let asked = provider.asked.lock().unwrap().len();
    assert!((2..=9).contains(&asked), "{asked}: one first, then eight at once");
}

/// The clock goes on as soon as nothing else is to do: a timeout costs the test nothing.
#[tokio::test(start_paused = true)]
async fn a_host_that_accepts_and_never_answers_costs_one_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mute = Canned { url, asked: Arc::default() };
    let verdicts = verify(&clients(&mute, "/token", 300), None).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Unreachable(_))));
    let connections = std::iter::from_fn(|| listener.accept().ok()).count();
    assert!(connections <= 1, "{connections}");
}

#[tokio::test]
async fn who_does_not_answer_in_time_takes_no_answer_of_another_away() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let silent = Canned { url, asked: Arc::default() };
    let granted = answer("400 Bad Request", JSON, r#"{"error":"invalid_grant"}"#);
    let up = Canned::start(&[("/token", granted)]);
    let questions = [silent.question("/token"), up.question("/token")];
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    let verdicts = verify(&questions, Some(until)).await;
    let late = Verdict::Unreachable("it did not answer in time".to_owned());
    assert_eq!(verdicts, [late, Verdict::Right]);
}

#[tokio::test]
async fn no_secret_goes_over_http_to_another_machine() {
    let mut question = Canned::start(&[]).question("/");
    for url in ["http://192.0.2.1/token", "http://localhost.example/token", "ftp://127.0.0.1/token"]
    {
        question.token_url = Some(url.to_owned());
        let verdicts = verify(&[question.clone()], None).await;
        let expected = "its address is not https, so no secret is sent there";
        assert_eq!(verdicts, [Verdict::Unclear(expected.to_owned())], "{url}");
    }
}

#[test]
fn a_provider_that_repeats_the_secret_makes_nobody_tell_it() {
    let said = r#"{"error":"m4rk3d","error_description":"m4rk3d","message":"m4rk3d"}"#;
    let (unknown, known) = (
        answer("400 Bad Request", JSON, said),
        answer("401 Unauthorized", JSON, &said.replacen("m4rk3d", "invalid_client", 1)),
    );
    let provider = Canned::start(&[("/unknown", unknown), ("/known", known)]);
    let entry = |path: &str| {
        format!(
            "  - {{domain: linked_account, key: {path}, client_id: {path}, client_secret: m4rk3d, \
             integration: {{token_url: '{}/{path}'}}}}\n",
            provider.url
        )
    };
    let project = Project::new()
        .file(
            "appcred.yaml",
            "allow_plaintext: true\ncustom_integrations: [linked_account]\ntargets: {folder: {config_dir: ha}}\n",
        )
        .file(
            "credentials.yaml",
            &format!("application_credentials:\n{}{}", entry("unknown"), entry("known")),
        );
    for verb in [
        &["verify"][..],
        &["verify", "--format", "json"],
        &["apply", "--yes", "--verify"],
        &["apply", "--yes", "--verify", "--format", "json"],
    ] {
        let ran = appcred(&project)
            .args(verb)
            .args(["-vv", "--log-format", "json"])
            .env("RUST_LOG", "trace")
            .status(1)
            .run();
        assert!(!ran.stdout.contains("m4rk3d"), "{}", ran.stdout);
        assert!(!ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
    }
    assert_eq!(provider.asked.lock().unwrap().len(), 8);
    assert!(!project.join("ha/.storage/application_credentials").exists());
}

#[test]
fn apply_asks_a_provider_once() {
    let refused = answer("400 Bad Request", JSON, r#"{"error": "invalid_grant"}"#);
    let provider = Canned::start(&[("/token", refused)]);
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan/replace-secret-linked");
    let storage = |name: &str| fs::read_to_string(case.join("ha/.storage").join(name)).unwrap();
    let url = &provider.url;
    let project = Project::new()
        .file("appcred.yaml", "owner: house\nallow_plaintext: true\ntargets: {folder: {config_dir: ha}}\n")
        .file(
            "credentials.yaml",
            &format!("application_credentials: [{{domain: spotify, name: Family, client_id: family, client_secret: new, integration: {{token_url: '{url}/token'}}}}]\n"),
        )
        .file("ha/.storage/application_credentials", &storage("application_credentials"))
        .file("ha/.storage/core.config_entries", &storage("core.config_entries"));
    appcred(&project).args(["apply", "--yes", "--verify", "--max-deletes", "9"]).run();
    assert_eq!(provider.asked.lock().unwrap().len(), 1);
}
