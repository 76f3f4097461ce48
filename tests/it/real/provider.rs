//! A provider of accounts: a real OAuth2 server on loopback.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use super::port::free_port;
use super::process::Process;
use super::web::{self, Answer};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const START_ATTEMPTS: usize = 3;
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A provider with no clients yet; whoever signs in is `alice`, unless a test says who. Gone when dropped.
pub(crate) struct Provider {
    port: u16,
    talk: Mutex<(Process, BufReader<ChildStdout>)>,
}

/// One request for a token, or for a device's code (`grant` is `device` then).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    pub(crate) grant: String,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    /// How the client said who it is: `basic` or `post`.
    pub(crate) method: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
}

impl Provider {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let python = Path::new(ROOT).join("target/provider/current/bin/python");
        assert!(python.exists(), "there is no OAuth2 provider to test with: run tests/run");
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            let mut process = Process::spawn(
                Command::new(&python)
                    .arg("-P")
                    .arg(Path::new(ROOT).join("tests/real/provider/provider.py"))
                    .arg(port.to_string())
                    .env_clear()
                    .env("LANG", "C.UTF-8")
                    .stdout(Stdio::piped()),
            );
            let mut output = process.output();
            // An early end means that somebody took the port meanwhile.
            let mut line = String::new();
            if output.read_line(&mut line).unwrap() > 0 {
                assert_eq!(line, "\"up\"\n");
                return Self { port, talk: Mutex::new((process, output)) };
            }
        }
        panic!("the provider does not start; its standard error says why");
    }

    /// Where it listens, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Registers a client, or gives it another secret and refuses the old one from then on.
    #[track_caller]
    pub(crate) fn client(&self, id: &str, secret: &str) {
        self.order(json!({"order": "client", "id": id, "secret": secret}));
    }

    /// Accepts redirect URIs that begin with one of these alone; or, with none, all that HA may use.
    #[track_caller]
    pub(crate) fn accept_redirects(&self, prefixes: &[&str]) {
        self.order(json!({"order": "redirects", "prefixes": prefixes}));
    }

    /// Lets tokens given from now on live so long. HA takes one with less than 20 seconds left as
    /// out of date, so that with 1 each set-up is a refresh.
    #[track_caller]
    pub(crate) fn tokens_live(&self, seconds: u32) {
        self.order(json!({"order": "lifetime", "seconds": seconds}));
    }

    /// Takes back all consent: refreshes get `invalid_grant`.
    #[track_caller]
    pub(crate) fn forget_consent(&self) {
        self.order(json!({"order": "forget"}));
    }

    /// Answers every request for a token with this status, or properly again.
    #[track_caller]
    pub(crate) fn fail(&self, status: Option<u16>) {
        self.order(json!({"order": "fail", "status": status}));
    }

    /// Listens no more; what it knows is kept.
    #[track_caller]
    pub(crate) fn go_down(&self) {
        self.order(json!({"order": "down"}));
    }

    /// Listens again, at the same address.
    #[track_caller]
    pub(crate) fn come_up(&self) {
        self.order(json!({"order": "up"}));
    }

    /// Every request for a token so far.
    #[track_caller]
    pub(crate) fn token_log(&self) -> Vec<TokenRequest> {
        serde_json::from_value(self.order(json!({"order": "log"}))).unwrap()
    }

    /// Follows a consent link as a person would, and allows. The answer's `location` leads back to
    /// where the link came from; a device's link ends here, with a page.
    #[track_caller]
    pub(crate) fn consent(&self, link: &str) -> Answer {
        self.consent_as(link, "alice")
    }

    /// The same as somebody else, who has no blank or sign in the name.
    #[track_caller]
    pub(crate) fn consent_as(&self, link: &str, user: &str) -> Answer {
        self.decide(link, user, "allow")
    }

    /// Follows a consent link as a person would, and denies.
    #[track_caller]
    pub(crate) fn refuse(&self, link: &str) -> Answer {
        self.decide(link, "alice", "deny")
    }

    /// The link to follow for a code that a device shows.
    pub(crate) fn device_link(&self, user_code: &str) -> String {
        format!("{}/device?user_code={user_code}", self.url())
    }

    #[track_caller]
    fn decide(&self, link: &str, user: &str, decision: &str) -> Answer {
        let stranger = web::send("GET", link, &[], None).unwrap();
        let Some(sign_in) = stranger.location else {
            return stranger;
        };
        let sign_in = format!("{}{sign_in}", self.url());
        let page = web::send("GET", &sign_in, &[], None).unwrap();
        assert!(page.text.contains("id=\"sign-in\""), "{page:?}");
        let signed_in = web::send("POST", &sign_in, &[FORM], Some(format!("user={user}"))).unwrap();
        let cookie = signed_in.cookie.expect("somebody who signed in is known");
        let page = web::send("GET", link, &[("Cookie", &cookie)], None).unwrap();
        assert!(page.text.contains("id=\"allow\""), "{page:?}");
        let decision = format!("decision={decision}");
        web::send("POST", link, &[("Cookie", &cookie), FORM], Some(decision)).unwrap()
    }

    #[track_caller]
    fn order(&self, order: Value) -> Value {
        let mut talk = self.talk.lock().unwrap();
        let (process, output) = &mut *talk;
        process.write_line(&order.to_string());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).expect("the provider answers")
    }
}
