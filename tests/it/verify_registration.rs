//! Whether a client and its redirect URI are registered, asked of real authorization servers, beside what a
//! browser sees there; and how often a provider is asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use appcred::codes::RegistrationCode;
use appcred::codes::RegistrationCode::{
    NotRegistered, Registered, Unclear, UnknownClient, Unreachable,
};
use appcred::model::{
    ClientId, DesiredCredential, Domain, Integration, Key, KnownSecret, Place, Secret,
};
use appcred::report::verified;
use appcred::verify::{
    AuthorizeQuestion, RedirectUri, Registration, check, confirm, registrations,
};
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::ha_apply::House;
use crate::real::{
    AuthorizationServer, Browser, HomeAssistant, Provider, Release, each_release, free_port,
};

const LONG: Duration = Duration::from_secs(60);
const ELSEWHERE: &str = "https://elsewhere.example/back";

fn entry(client_id: &str, authorize_url: &str) -> DesiredCredential {
    DesiredCredential {
        key: Key::new("anna").unwrap(),
        names_key: true,
        formerly: [].into(),
        domain: Domain::new("linked_account"),
        client_id: ClientId::new(client_id),
        client_secret: KnownSecret::Clear(Secret::new("hush")),
        name: "Anna".into(),
        adopt: Default::default(),
        integration: Integration {
            authorize_url: Some(authorize_url.to_owned()),
            ..Integration::default()
        },
        place: Place { file: Path::new("all.yaml").into(), line: 1, column: 5 },
    }
}

fn question(client_id: &str, authorize_url: &str, redirect_uri: &str) -> AuthorizeQuestion {
    let redirect_uri = RedirectUri::of(Some(redirect_uri));
    AuthorizeQuestion::of(&entry(client_id, authorize_url), None, redirect_uri)
}

async fn ask(question: &AuthorizeQuestion) -> Registration {
    registrations(&[question], Duration::ZERO, LONG).await.remove(0)
}

/// A page at which a browser arrives that was sent back.
struct Back {
    uri: String,
}

impl Back {
    fn start() -> Self {
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\nwelcome !";
        Self { uri: format!("{}/back", answering(move |_| answer.to_owned()).0) }
    }
}

/// A server that answers each path as this says, and all that it was asked.
fn answering(
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|n| n > 0) {}
            let answered = answer(head.split(' ').nth(1).unwrap_or_default());
            kept.lock().unwrap().push(head);
            // Whoever has read enough may be gone.
            let _gone = stream.get_mut().write_all(answered.as_bytes());
        }
    });
    (url, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// HA's link, as somebody follows it.
fn link(question: &AuthorizeQuestion) -> String {
    let url = question.authorize_url.as_ref().unwrap();
    let separator = if url.contains('?') { '&' } else { '?' };
    format!(
        "{url}{separator}response_type=code&client_id={}&redirect_uri={}&state=a-state-of-ours",
        question.client_id, question.redirect_uri.uri
    )
}

/// With which client and redirect URI, what `verify` says, what a browser's user clicks, and what that
/// person sees then.
type Row<'a> = (&'a str, &'a str, RegistrationCode, &'a [&'a str], &'a str);

async fn beside_a_browser(url: &str, rows: &[Row<'_>]) {
    for (client_id, redirect_uri, code, clicks, seen) in rows {
        let question = question(client_id, url, redirect_uri);
        let said = ask(&question).await;
        assert_eq!(said.code, *code, "{client_id} {redirect_uri}: {}", said.why);
        let browser = Browser::start();
        browser.go_to(&link(&question));
        clicks.iter().for_each(|selector| browser.click(selector));
        browser.page_with(seen);
    }
}

#[tokio::test]
async fn oidc_provider_tells_before_login() {
    let back = Back::start().uri;
    let server = AuthorizationServer::oidc_provider(&back);
    let rows: [Row; 3] = [
        ("known", &back, Registered, &[], "Sign-in"),
        ("known", ELSEWHERE, NotRegistered, &[], "redirect_uri did not match"),
        ("nobody", &back, UnknownClient, &[], "client is invalid"),
    ];
    beside_a_browser(&server.url, &rows).await;
}

#[tokio::test]
async fn node_oauth2_server_refuses_before_login() {
    let back = Back::start().uri;
    let server = AuthorizationServer::node_oauth2_server(&back);
    let rows: [Row; 3] = [
        ("known", &back, Unclear, &["#sign-in"], "welcome"),
        ("known", ELSEWHERE, NotRegistered, &[], "does not match client value"),
        ("nobody", &back, UnknownClient, &[], "client credentials are invalid"),
    ];
    beside_a_browser(&server.url, &rows).await;
}

#[tokio::test]
async fn authlib_refuses_before_login() {
    let back = Back::start().uri;
    let server = Provider::start();
    server.client("known", "secret");
    let rows: [Row; 3] = [
        ("known", &back, Unclear, &["#sign-in", "#allow"], "welcome"),
        ("known", ELSEWHERE, NotRegistered, &[], "is not supported by client"),
        ("nobody", &back, UnknownClient, &[], "there is no such client"),
    ];
    beside_a_browser(&format!("{}/authorize", server.url()), &rows).await;
}

#[tokio::test]
async fn django_toolkit_tells_nothing_before_login() {
    let back = Back::start().uri;
    let server = AuthorizationServer::django_toolkit(&back);
    let rows: [Row; 3] = [
        ("known", &back, Unclear, &["#sign-in", "[name=allow]"], "welcome"),
        ("known", ELSEWHERE, Unclear, &["#sign-in"], "Mismatching redirect URI"),
        ("nobody", &back, Unclear, &["#sign-in"], "Invalid client_id"),
    ];
    beside_a_browser(&server.url, &rows).await;
}

#[tokio::test]
async fn only_a_no_is_asked_twice_and_equal_questions_once() {
    let (url, asked) = answering(|path| match path.split('?').next().unwrap() {
        "/no" => answer("400 Bad Request", "", "Client not found"),
        "/page" => answer("200 OK", "", "Log in"),
        "/error" => answer("200 OK", "", "Unknown client"),
        "/hop" => answer("302 Found", "location: /error?errorId=1\r\n", ""),
        _ => answer("302 Found", "location: /page?error=x\r\n", ""),
    });
    let paths = ["/no", "/no", "/page", "/hop", "/moved"];
    let questions: Vec<_> =
        paths.map(|path| question("known", &format!("{url}{path}"), ELSEWHERE)).into();
    let questions: Vec<_> = questions.iter().collect();
    let said = registrations(&questions, Duration::ZERO, LONG).await;
    let codes: Vec<_> = said.iter().map(|said| said.code).collect();
    assert_eq!(codes, [UnknownClient, UnknownClient, Unclear, UnknownClient, Unclear]);

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for head in asked.lock().unwrap().iter() {
        let path = head.split([' ', '?']).nth(1).unwrap();
        *times.entry(path.to_owned()).or_default() += 1;
        let head = head.to_lowercase();
        assert!(!head.contains("cookie") && !head.contains("hush"), "{head}");
    }
    let expected = [("/error", 2), ("/hop", 2), ("/moved", 1), ("/no", 2), ("/page", 1)];
    assert_eq!(times, expected.map(|(path, number)| (path.to_owned(), number)).into());
}

#[tokio::test]
async fn a_no_that_is_not_repeated_is_none() {
    let asked = Mutex::new(0);
    let (url, _) = answering(move |_| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        match *asked {
            1 => answer("400 Bad Request", "", "Client not found"),
            _ => answer("503 Service Unavailable", "", ""),
        }
    });
    let said = ask(&question("known", &url, ELSEWHERE)).await;
    assert_eq!(
        (said.code, said.why.as_str()),
        (Unclear, "it said \"Client not found\", and then: it answers 503")
    );
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let question = question("known", &url, ELSEWHERE);
    let said = registrations(&[&question], LONG, Duration::from_millis(20)).await.remove(0);
    assert_eq!((said.code, said.why.as_str()), (Unreachable, "no answer within 0.02 seconds"));
    drop(silent);
    assert_eq!(ask(&question).await.code, Unreachable);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_not_asked_by_each_client() {
    let (url, asked) = answering(|_| String::new());
    let questions: Vec<_> =
        (0..300).map(|at| question(&format!("client-{at}"), &url, ELSEWHERE)).collect();
    let questions: Vec<_> = questions.iter().collect();
    let said = registrations(&questions, LONG, LONG).await;
    assert!(said.iter().all(|said| said.code == Unreachable));
    assert!(asked.lock().unwrap().len() < 100);
    let last = said.last().unwrap();
    assert!(last.why.starts_with(&format!("not asked, since asking {url} failed")), "{}", last.why);
}

#[tokio::test]
async fn the_report_says_what_to_register() {
    let back = Back::start().uri;
    let server = AuthorizationServer::oidc_provider(&back);
    let own = |uri: &str| RedirectUri::of(Some(uri));
    let usual = RedirectUri::of(None);
    let asked = |client_id, uri, line| {
        let mut entry = entry(client_id, &server.url);
        entry.place.line = line;
        (entry, None, uri)
    };
    let mut checked = check([
        asked("known", own(&back), 1),
        asked("known", own(ELSEWHERE), 2),
        asked("nobody", own(&back), 3),
        // Nobody has said that this is the one.
        asked("known", usual, 4),
    ])
    .await;
    confirm(&mut checked, Duration::ZERO).await;

    let url = server.url.split('?').next().unwrap();
    let text = anstream::adapter::strip_str(&verified::text(&checked, None)).to_string();
    for expected in [
        format!(
            "redirect URI not (yet) accepted: register exactly this one for the client; a change may take a while to work\n  anna: {ELSEWHERE} (all.yaml:2:5, asked at {url})\n"
        ),
        format!(
            "unknown client: compare the client id with what the provider shows; a new one may take a while to work\n  anna (all.yaml:3:5, asked at {url})\n"
        ),
        "Redirect URIs: 1 registered, 1 not (yet) accepted, 1 unknown client, 1 unclear.\n"
            .to_owned(),
        "no target says whether it uses that".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\n---\n{text}");
    }
    let passes: Vec<_> = checked.iter().map(|one| one.passes(false)).collect();
    assert_eq!(passes, [true, false, false, true]);

    let report: Value = serde_json::from_str(&verified::json(&checked).unwrap()).unwrap();
    check_own("verify.schema.json", &report);
    let verdict = |at: usize| report["entries"][at]["registration"]["verdict"].as_str().unwrap();
    assert_eq!(
        [0, 1, 2, 3].map(verdict),
        ["registered", "not_registered", "unknown_client", "unclear"]
    );
    assert_eq!(report["registrations"]["not_registered"], 1);
    assert_eq!(report["entries"][1]["registration"]["redirect_uri"], json!(ELSEWHERE));
}

each_release!(ha_starts_no_set_up_that_its_provider_would_refuse);
fn ha_starts_no_set_up_that_its_provider_would_refuse(release: Release) {
    let provider = Provider::start();
    let ha = HomeAssistant::start(release);
    ha.accounts_are_at(&provider);
    let house = House::new();
    let url = provider.url();
    let entry = house.entry_with_integration("linked_account", "Anna", "anna", "right")
        + &format!("    integration: {{authorize_url: '{url}/authorize'}}\n");
    house.declare(&[entry]);
    let apply = |status| house.appcred(&ha).args(["apply", "--yes"]).status(status).run().stdout;
    let open_flows = || {
        let asked = ha.call(json!({
            "type": "call_service", "domain": "linked_account", "service": "flows", "return_response": true,
        }));
        asked.unwrap()["response"]["flows"].clone()
    };

    let authorize = |more: &[&str]| {
        let authorize = house.appcred(&ha).args(["authorize", "--no-browser", "--timeout", "5"]);
        authorize.args(more).status(1).run().stdout
    };

    let told = apply(1);
    assert!(told.contains("does not (yet) accept the client id (invalid_client"), "{told}");
    let told = authorize(&[]);
    assert!(told.contains("does not (yet) accept the client id (invalid_client"), "{told}");
    assert_eq!((ha.credentials().len(), open_flows()), (1, json!([])));

    provider.client("anna", "right");
    provider.accept_redirects(&["https://elsewhere.example/"]);
    let told = apply(1);
    assert!(told.contains("does not (yet) accept the redirect URI (invalid_request"), "{told}");
    assert!(told.contains("register exactly http"), "{told}");
    assert_eq!(open_flows(), json!([]));

    let told = authorize(&[]);
    assert!(told.contains("does not (yet) accept the redirect URI (invalid_request"), "{told}");

    // What counts is where this browser comes back to.
    provider.accept_redirects(&[&ha.url()]);
    let port = free_port();
    let told = authorize(&["--port", &port.to_string()]);
    let here = format!("register exactly http://127.0.0.1:{port}/auth/external/callback");
    assert!(told.contains(&here), "{told}");
    assert_eq!(open_flows(), json!([]));

    provider.accept_redirects(&[]);
    apply(0);
    assert_eq!(open_flows().as_array().unwrap().len(), 1);
}
