//! Signing in to a running Home Assistant as a person, and out again.
//!
//! HA's page of sign-in belongs to its frontend, which the tests do without. What that page does is
//! done here by HTTP: it asks HA's login flow for who it is, and sends the browser with what it got.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite;
use url::Url;

use crate::ha_proxy::RecordingProxy;
use crate::real::{HomeAssistant, Release, each_release, visit};
use crate::shell::{Appcred, Project, Ran, age_identity};

/// Somebody at a machine, with an age identity and a house that they may sign in to.
pub(crate) struct Person {
    home: TempDir,
    pub(crate) project: Project,
}

impl Person {
    fn new(ha: &HomeAssistant) -> Self {
        Self::of(&format!("{{url: \"{}/\"}}", ha.url()))
    }

    /// One whose project has this target.
    pub(crate) fn of(target: &str) -> Self {
        let home = tempfile::Builder::new().prefix("appcred-person-").tempdir().unwrap();
        let folder = home.path().join(".config/appcred");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("identity.txt"), age_identity().0).unwrap();
        let project = Project::new()
            .file("appcred.yaml", &format!("targets:\n  home: {target}\n"))
            .file("credentials.yaml", "application_credentials: []\n");
        Self { home, project }
    }

    pub(crate) fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("HOME", self.home.path())
    }

    fn sessions(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".local/state/appcred/sessions");
        let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
        files.map(|file| file.unwrap().path()).collect()
    }

    pub(crate) fn login(&self) -> Login {
        Login::start(self.home.path(), self.project.path(), &[])
    }
}

/// A `login` that waits for the browser.
pub(crate) struct Login {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
    link: Url,
}

impl Login {
    #[track_caller]
    fn start(home: &Path, project: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_appcred"))
            .args(["login", "--no-browser", "-vv"])
            .args(args)
            .current_dir(project)
            .env_clear()
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut link = None;
        while link.is_none() {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "it gave no link");
            link = line.trim().starts_with("http").then(|| line.trim().parse().unwrap());
        }
        Self { child, said, link: link.unwrap() }
    }

    fn asked(&self, name: &str) -> String {
        let found = self.link.query_pairs().find(|(key, _)| key == name);
        found.unwrap_or_else(|| panic!("{} has no {name}", self.link)).1.into_owned()
    }

    /// Where the browser is sent to after this person has signed in on the page of the link.
    #[track_caller]
    pub(crate) fn signed_in_as(&self, ha: &HomeAssistant, user: &str) -> String {
        assert!(self.link.path().ends_with("/auth/authorize"), "{}", self.link);
        assert_eq!(self.asked("response_type"), "code");
        assert_eq!(self.asked("code_challenge_method"), "S256");
        let (client_id, redirect) = (self.asked("client_id"), self.asked("redirect_uri"));
        let mut begin = json!({
            "client_id": client_id,
            "handler": ["homeassistant", null],
            "redirect_uri": redirect,
        });
        // Older releases know nothing of PKCE and refuse fields that they do not know.
        if ha.release() >= Release::Ha2026_11 {
            begin["code_challenge"] = self.asked("code_challenge").into();
            begin["code_challenge_method"] = "S256".into();
        }
        let (status, form) = ha.rest("POST", "/auth/login_flow", Some(&begin));
        assert_eq!((status, &form["type"]), (200, &json!("form")), "{form}");
        let path = format!("/auth/login_flow/{}", form["flow_id"].as_str().unwrap());
        let answers = json!({"client_id": client_id, "username": user, "password": "open sesame"});
        let (status, done) = ha.rest("POST", &path, Some(&answers));
        assert_eq!((status, &done["type"]), (200, &json!("create_entry")), "{done}");
        let mut back: Url = redirect.parse().unwrap();
        back.query_pairs_mut()
            .append_pair("code", done["result"].as_str().unwrap())
            .append_pair("state", &self.asked("state"))
            .append_pair("storeToken", "true");
        back.into()
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        drop(self.child.stdin.take());
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.said.read_to_string(&mut stderr).unwrap();
        Ran { status: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

/// Gives the users of the house passwords.
pub(crate) fn let_in(ha: &HomeAssistant) {
    let users = ha.call(json!({"type": "config/auth/list"})).unwrap();
    for user in users.as_array().unwrap().iter().filter(|user| user["system_generated"] == false) {
        ha.call(json!({
            "type": "config/auth_provider/homeassistant/create",
            "user_id": user["id"],
            "username": user["name"],
            "password": "open sesame",
        }))
        .unwrap();
    }
}

/// The sessions that HA knows of the owner, but for the one of the tests.
fn known(ha: &HomeAssistant) -> Vec<String> {
    let tokens = ha.call(json!({"type": "auth/refresh_tokens"})).unwrap();
    let clients = tokens.as_array().unwrap().iter().map(|token| &token["client_id"]);
    clients.filter_map(Value::as_str).map(str::to_owned).collect()
}

each_release!(ha_lets_a_person_in_and_out);
fn ha_lets_a_person_in_and_out(release: Release) {
    let ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    let ran = person.appcred().args(["list"]).status(1).run();
    assert!(ran.stdout.contains("sign in with `appcred login`"), "{}", ran.stdout);

    let login = person.login();
    let client = login.asked("client_id");
    let back = login.signed_in_as(&ha, "owner");
    let page = visit(&back);
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Thank you."), "{page:?}");
    let ran = login.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let said = format!("Signed in to home ({}). The session is kept in ", ha.url());
    assert!(ran.stdout.starts_with(&said), "{}", ran.stdout);

    assert_eq!(known(&ha), [client]);
    let [file] = &person.sessions()[..] else { panic!("{:?}", person.sessions()) };
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{text}");
    // Each run takes a new access token.
    person.appcred().args(["list"]).stdout("No credentials.\n").run();
    person.appcred().args(["plan", "--detailed-exitcode"]).run();
    let by_address =
        |appcred: Appcred| appcred.env("HASS_SERVER", ha.url()).args(["-C", "/", "list"]);
    by_address(person.appcred()).stdout("No credentials.\n").run();

    let said = format!("Signed out of home ({}).\n", ha.url());
    person.appcred().args(["logout"]).stdout(&said).run();
    assert!(known(&ha).is_empty() && person.sessions().is_empty());
    person.appcred().args(["list"]).status(1).run();
    let said = format!("Nothing to sign out of: no session of home ({}) is kept here.\n", ha.url());
    person.appcred().args(["logout"]).stdout(&said).run();
}

each_release!(ha_is_signed_in_to_by_what_belongs_to_the_sign_in_alone);
fn ha_is_signed_in_to_by_what_belongs_to_the_sign_in_alone(release: Release) {
    let ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    let login = person.login();
    let back: Url = login.signed_in_as(&ha, "owner").parse().unwrap();

    let mut forged = back.clone();
    forged.query_pairs_mut().clear().append_pair("code", "theirs").append_pair("state", "theirs");
    let page = visit(forged.as_str());
    assert!(
        page.status == 400 && page.text.contains("appcred is not waiting for this"),
        "{page:?}"
    );
    let mut without = back.clone();
    without.set_query(Some("code=theirs"));
    assert_eq!(visit(without.as_str()).status, 400);
    let mut elsewhere = back.clone();
    elsewhere.set_path("/other");
    assert_eq!(visit(elsewhere.as_str()).status, 404);
    assert!(person.sessions().is_empty());

    assert_eq!(visit(back.as_str()).status, 200);
    let ran = login.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    for secret in ["code", "state"] {
        let value = back.query_pairs().find(|(key, _)| key == secret).unwrap().1;
        assert!(!ran.stderr.contains(&*value) && !ran.stdout.contains(&*value), "{secret}");
    }
}

each_release!(ha_is_signed_in_to_and_out_of_through_the_proxy_that_the_project_names);
fn ha_is_signed_in_to_and_out_of_through_the_proxy_that_the_project_names(release: Release) {
    let ha = HomeAssistant::start(release);
    let_in(&ha);
    let proxy = RecordingProxy::start();
    let url = ha.url().replace("127.0.0.1", "ha.example");
    let person = Person::of(&format!("{{url: \"{url}\", proxy: \"{}\"}}", proxy.url()));
    let before = known(&ha);
    let login = person.login();
    let back = login.signed_in_as(&ha, "owner");
    visit(&back);
    let ran = login.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(proxy.seen().contains("/auth/token"), "{}", proxy.seen());
    person.appcred().args(["plan"]).run();
    let seen = proxy.seen().len();
    person.appcred().args(["logout", "--format", "json"]).run();
    assert!(proxy.seen()[seen..].contains("/auth/revoke"), "{}", &proxy.seen()[seen..]);
    assert_eq!(known(&ha), before);
}

each_release!(ha_is_signed_in_to_by_a_pasted_address);
fn ha_is_signed_in_to_by_a_pasted_address(release: Release) {
    let ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    let mut login = person.login();
    let back = login.signed_in_as(&ha, "owner");
    let stdin = login.child.stdin.as_mut().unwrap();
    writeln!(stdin, "what?\nhttp://127.0.0.1/?code=x&state=y\n  {back}").unwrap();
    let ran = login.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("is not part of the sign-in"), "{}", ran.stderr);
    person.appcred().args(["list"]).run();
}

each_release!(ha_lets_no_guest_stay);
fn ha_lets_no_guest_stay(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    let login = person.login();
    let page = visit(&login.signed_in_as(&ha, "guest"));
    assert_eq!(page.status, 502);
    assert!(page.text.contains("a user who is not an administrator"), "{page:?}");
    assert!(!page.text.contains("Thank you"), "{page:?}");
    let ran = login.finish();
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("a user who is not an administrator"), "{}", ran.stderr);
    assert!(person.sessions().is_empty());
    ha.stop();
    let users = ha.storage("auth").unwrap().to_string();
    assert!(users.contains("guest") && !users.contains("/appcred"), "the session was ended");
}

each_release!(ha_may_end_a_session_itself);
fn ha_may_end_a_session_itself(release: Release) {
    let ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    for _ in 0..2 {
        let login = person.login();
        visit(&login.signed_in_as(&ha, "owner"));
        assert_eq!(login.finish().status, Some(0));
    }
    assert_eq!(known(&ha).len(), 1, "the session before was ended");

    let tokens = ha.call(json!({"type": "auth/refresh_tokens"})).unwrap();
    let ours = tokens.as_array().unwrap().iter().find(|token| token["client_id"].is_string());
    let id = ours.unwrap()["id"].clone();
    ha.call(json!({"type": "auth/delete_refresh_token", "refresh_token_id": id})).unwrap();
    let ran = person.appcred().args(["list"]).status(1).run();
    assert!(
        ran.stdout.contains("is over") && ran.stdout.contains("appcred login"),
        "{}",
        ran.stdout
    );
    person.appcred().args(["logout"]).run();
    assert!(person.sessions().is_empty());
}

each_release!(ha_that_is_down_keeps_a_session_unless_forced);
fn ha_that_is_down_keeps_a_session_unless_forced(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let_in(&ha);
    let person = Person::new(&ha);
    let login = person.login();
    visit(&login.signed_in_as(&ha, "owner"));
    let ran = login.finish();
    assert_eq!(ran.status, Some(0));
    ha.stop();
    let known = ha.storage("auth").unwrap();
    for token in known["data"]["refresh_tokens"].as_array().unwrap() {
        let token = token["token"].as_str().unwrap();
        assert!(!ran.stderr.contains(token) && !ran.stdout.contains(token), "{}", ran.stderr);
    }
    let ran = person.appcred().args(["logout"]).status(1).run();
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    assert_eq!(person.sessions().len(), 1);
    person.appcred().args(["logout", "--force"]).run();
    assert!(person.sessions().is_empty());
}

#[test]
fn nobody_signs_in_without_an_identity_or_to_what_is_no_house() {
    let folder = Project::new().file(
        "appcred.yaml",
        "targets:\n  a: {url: \"http://127.0.0.1:9\"}\n  b: {url: \"http://127.0.0.1:10\"}\n  c: {config_dir: ha}\n",
    );
    let login = |args: &[&str]| {
        Appcred::new().in_dir(folder.path()).args(["login", "--no-browser"]).args(args)
    };
    let ran = login(&["a"]).status(1).run();
    assert!(ran.stderr.contains("`appcred keygen`"), "{}", ran.stderr);
    let ran = login(&[]).status(1).run();
    assert_eq!(ran.stderr, "error: there are several targets: name one of a, b\n");
    let ran = login(&["c"]).status(1).run();
    assert_eq!(ran.stderr, "error: cannot sign in to a configuration folder\n");
    let said = "Nothing to sign out of: a configuration folder has no session.\n";
    Appcred::new().in_dir(folder.path()).args(["logout", "c"]).stdout(said).run();
    let ran = login(&["d"]).status(1).run();
    assert_eq!(ran.stderr, "error: there is no target `d`; there are: a, b, c\n");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (identity, _) = age_identity();
    let ran = Appcred::new()
        .env("APPCRED_AGE_IDENTITY", identity)
        .env("HASS_SERVER", "http://127.0.0.1:9")
        .args(["login", "--no-browser", "--port", &port])
        .status(1)
        .run();
    assert!(ran.stderr.contains("choose another with --port"), "{}", ran.stderr);
}

#[test]
fn the_browser_is_opened_with_the_link_that_is_shown() {
    let folder = Project::new().file(
        "xdg-open",
        "#!/bin/sh\necho \"$1\" > \"$HOME/new\"\nmv \"$HOME/new\" \"$HOME/opened\"\n",
    );
    let program = folder.join("xdg-open");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let opened = folder.join("opened");
    let house = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", house.local_addr().unwrap());
    let looked_at = thread::spawn(move || tungstenite::accept(house.accept().unwrap().0).is_ok());
    let running = Appcred::new()
        .env("HOME", folder.path())
        .env("PATH", &path)
        .env("APPCRED_AGE_IDENTITY", age_identity().0)
        .env("HASS_SERVER", &url)
        .args(["login"])
        .spawn();
    while !opened.exists() {
        thread::sleep(Duration::from_millis(10));
    }
    running.signal(Signal::TERM);
    let link = fs::read_to_string(&opened).unwrap();
    assert!(running.finish().stderr.contains(link.trim()), "{link}");
    assert!(link.starts_with(&format!("{url}/auth/authorize?")), "{link}");
    assert!(looked_at.join().unwrap());
}

/// Where nobody can paste anything, nobody is asked to, and the wait has an end.
#[test]
fn without_a_terminal_a_login_ends() {
    let house = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", house.local_addr().unwrap());
    let looked_at = thread::spawn(move || {
        let accept = || tungstenite::accept(house.accept().unwrap().0).is_ok();
        accept() && accept()
    });
    let login = |arguments: &[&str]| {
        let appcred = Appcred::new()
            .env("PATH", "/nowhere")
            .env("APPCRED_AGE_IDENTITY", age_identity().0)
            .env("HASS_SERVER", &url);
        appcred.args(["login"]).args(arguments).status(1).run().stderr
    };
    let printed = login(&["--no-browser", "--timeout", "1s"]);
    assert!(
        printed.contains("nobody signed in within 1 second; --timeout waits longer"),
        "{printed}"
    );
    assert!(!printed.contains("paste"), "{printed}");
    let printed = login(&[]);
    assert!(printed.contains("no browser could be opened, and there is no terminal"), "{printed}");
    assert!(looked_at.join().unwrap());
}
