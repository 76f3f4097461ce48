//! `authorize`: from a pending entry to a loaded account, and whatever may come between.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use appcred::files::FileLock;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answering_proxy::RefusingProxy;
use crate::linking::{Linking, link};
use crate::real::{Browser, HomeAssistant, Provider, Release, each_release, free_port, visit};
use crate::shell::{Appcred, Ran, Running};
use crate::watch::eventually;

/// `authorize` on its way to one consent.
struct Authorizing {
    running: Running,
    port: u16,
    link: String,
}

/// One entry of `linked_account`, applied.
fn anna(release: Release) -> Linking {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.apply();
    linking
}

fn authorize(linking: &Linking, port: u16, more: &[&str]) -> Appcred {
    let port = port.to_string();
    linking.appcred(&["authorize", "--no-browser", "--show-links", "--port", &port]).args(more)
}

/// Starts it and waits for the consent link.
#[track_caller]
fn begin(linking: &Linking, more: &[&str]) -> Authorizing {
    let port = free_port();
    let mut running = authorize(linking, port, more).spawn();
    let link = running.line_with("/authorize?");
    Authorizing { running, port, link }
}

impl Authorizing {
    /// The address that the browser is sent back to after consent.
    #[track_caller]
    fn consent(&self, provider: &Provider) -> String {
        let back = provider.consent(&self.link).location.unwrap();
        assert!(back.starts_with(&self.callback()), "{back}");
        back
    }

    fn callback(&self) -> String {
        format!("http://127.0.0.1:{}/auth/external/callback", self.port)
    }

    #[track_caller]
    fn fails(self, why: &str) -> Ran {
        let ran = self.running.finish();
        let status = if why.starts_with("interrupted") { 130 } else { 1 };
        assert_eq!(ran.status, Some(status), "{}", ran.stdout);
        assert!(ran.stdout.contains(why), "{}\n{}", ran.stdout, ran.stderr);
        ran
    }
}

/// Nothing is linked and nothing is pending.
#[track_caller]
fn is_clean(linking: &Linking) {
    assert_eq!(linking.set_up("anna"), json!({"state": "not_set_up"}));
    assert!(linking.accounts("linked_account").is_empty());
}

each_release!(ha_account_is_linked_by_the_browser_of_this_machine);
fn ha_account_is_linked_by_the_browser_of_this_machine(release: Release) {
    let linking = anna(release);
    let mut authorizing = begin(&linking, &[]);

    let page = visit(&authorizing.consent(&linking.provider));

    assert_eq!(page.status, 200);
    assert!(page.text.contains("You can close this page"), "{}", page.text);
    authorizing.running.line_with("\"Anna\": linked");
    let uri = authorizing.callback();
    let ran = authorizing.running.finish();
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains(&format!("redirect URI {uri}")), "{}", ran.stdout);
    assert_eq!(linking.account("linked_account")["state"], "loaded");
    assert_eq!(linking.provider.token_log()[0].redirect_uri, Some(uri));
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    let again = authorize(&linking, free_port(), &[]).run();
    assert!(again.stdout.starts_with("home: anna is linked already: \""), "{}", again.stdout);
    let again = authorize(&linking, free_port(), &["--format", "json"]).run();
    assert!(again.stderr.starts_with("home: anna is linked already: \""), "{}", again.stderr);
}

each_release!(ha_ctrl_c_ends_the_wait_for_another_run);
fn ha_ctrl_c_ends_the_wait_for_another_run(release: Release) {
    let linking = anna(release);
    let state = tempfile::tempdir().unwrap();
    let here = |appcred: Appcred| appcred.env("XDG_STATE_HOME", state.path());
    here(linking.appcred(&["apply", "--yes"])).run();
    let locks = fs::read_dir(state.path().join("appcred/applying")).unwrap();
    let lock = locks.map(|file| file.unwrap().path()).next().unwrap();
    let _held = FileLock::file(&lock, "somebody else").unwrap();
    let running = here(authorize(&linking, free_port(), &[])).spawn();
    eventually("it waits", || running.stderr().contains("Waiting for somebody else"));
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!(ran.status, Some(130), "{}", ran.stderr);
    assert!(ran.stdout.contains("failed: not begun: interrupted"), "{}", ran.stdout);
}

each_release!(ha_answer_that_cannot_be_taken_once_is_taken_when_the_page_reloads);
fn ha_answer_that_cannot_be_taken_once_is_taken_when_the_page_reloads(release: Release) {
    let linking = anna(release);
    let proxy = RefusingProxy::before(&linking.ha);
    let port = free_port();
    let mut running = authorize(&linking, port, &[]).env("HASS_SERVER", proxy.url()).spawn();
    let link = running.line_with("/authorize?");
    let back = linking.provider.consent(&link).location.unwrap();

    let page = visit(&back);
    assert_eq!((page.status, proxy.refused()), (503, 1), "{}", page.text);
    assert!(page.text.contains("http-equiv=\"refresh\""), "{}", page.text);
    running.line_with("still waiting");
    let page = visit(&back);
    assert_eq!(page.status, 200, "{}", page.text);

    running.line_with("\"Anna\": linked");
    assert_eq!(running.finish().status, Some(0));
    assert_eq!(linking.account("linked_account")["state"], "loaded");
}

each_release!(ha_link_to_anything_but_a_web_page_is_not_opened);
fn ha_link_to_anything_but_a_web_page_is_not_opened(release: Release) {
    const UNSAFE: &str = "x-evil:run";
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let token_url = format!("{}/token", linking.provider.url());
    let addresses = json!({"authorize_url": UNSAFE, "token_url": token_url});
    fs::write(linking.ha.config_dir().join("linked_account.json"), addresses.to_string()).unwrap();
    for verb in [&["apply", "--yes"][..], &["list"], &["plan"]] {
        let links = (verb[0] == "apply").then_some("--show-links");
        let shown = linking.appcred(verb).args(links).run().stdout;
        assert!(!shown.contains(UNSAFE), "{verb:?}: {shown}");
    }
    let browser = browser();
    let port = free_port().to_string();
    let ran = linking
        .appcred(&["authorize", "--port", &port, "--show-links"])
        .env("PATH", format!("{}:/usr/bin:/bin", browser.path().display()))
        .status(1)
        .run();
    assert!(ran.stdout.contains("not an https address"), "{}", ran.stdout);
    assert!(!ran.stdout.contains(UNSAFE), "{}", ran.stdout);
    assert!(!browser.path().join("visited").exists(), "{UNSAFE} was opened");
}

each_release!(ha_two_accounts_are_authorized_one_after_another);
fn ha_two_accounts_are_authorized_one_after_another(release: Release) {
    let linking = Linking::new(release);
    let entries = [
        linking.entry("linked_account", "Anna", "anna", "first"),
        linking.entry("linked_account", "Ben", "ben", "second"),
    ];
    linking.house.declare(&entries);
    linking.apply();
    let mut authorizing = begin(&linking, &[]);
    visit(&authorizing.consent(&linking.provider));
    authorizing.running.line_with(": linked");
    authorizing.link = authorizing.running.line_with("/authorize?");
    visit(&authorizing.consent(&linking.provider));
    assert_eq!(authorizing.running.finish().status, Some(0));

    let mut bound: Vec<_> = linking
        .accounts("linked_account")
        .iter()
        .map(|account| (account["title"].as_str().unwrap().to_owned(), linking.client_of(account)))
        .collect();
    bound.sort();
    let expected = [("Anna", "anna"), ("Ben", "ben")];
    assert_eq!(bound, expected.map(|(title, client)| (title.to_owned(), client.to_owned())));
}

each_release!(ha_account_is_linked_from_an_empty_house_by_clicks_in_a_real_browser);
fn ha_account_is_linked_from_an_empty_house_by_clicks_in_a_real_browser(release: Release) {
    let linking = Linking::new(release);
    assert!(linking.ha.credentials().is_empty());
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.apply();
    let mut authorizing = begin(&linking, &[]);

    let browser = Browser::start();
    browser.go_to(&authorizing.link);
    browser.click("#sign-in");
    browser.click("#allow");
    let page = browser.page_with("You can close this page");

    assert!(page.starts_with(&authorizing.callback()), "{page}");
    authorizing.running.line_with("\"Anna\": linked");
    assert_eq!(authorizing.running.finish().status, Some(0));
    assert_eq!(linking.account("linked_account")["state"], "loaded");
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(no_log_tells_a_link_a_code_or_a_secret);
fn no_log_tells_a_link_a_code_or_a_secret(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "m4rk3d-secret")]);
    const LOUD: [&str; 3] = ["-vv", "--log-format", "json"];
    let applied = linking.appcred(&["apply", "--yes"]).args(LOUD).env("RUST_LOG", "trace").run();
    let port = free_port();
    let mut running = authorize(&linking, port, &LOUD).env("RUST_LOG", "trace").spawn();
    let link = running.line_with("/authorize?");
    let back = linking.provider.consent(&link).location.unwrap();
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    visit(&back);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    assert!(applied.stderr.contains(r#""outcome":"waiting""#), "it is loud: {}", applied.stderr);
    for text in [&applied.stdout, &applied.stderr, &ran.stdout, &ran.stderr] {
        assert!(!text.contains("m4rk3d-secret") && !text.contains(&code), "{text}");
    }
    for log in [applied.stderr, ran.stderr] {
        assert!(!log.contains("state=") && !log.contains("/authorize?"), "{log}");
    }
}

/// A folder with a browser that notes where it was sent.
fn browser() -> TempDir {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("xdg-open");
    fs::write(&program, "#!/bin/sh\necho \"$1\" >> \"${0%/*}/visited\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

each_release!(ha_link_that_holds_the_secret_is_opened_and_not_shown);
fn ha_link_that_holds_the_secret_is_opened_and_not_shown(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "long-secret")]);
    let provider = linking.provider.url();
    let addresses = json!({
        "authorize_url": format!("{provider}/authorize#long-secret"),
        "token_url": format!("{provider}/token"),
    });
    fs::write(linking.ha.config_dir().join("linked_account.json"), addresses.to_string()).unwrap();
    let applied = linking.json(&["apply", "--yes"]);
    assert_eq!(applied["steps"][1]["waits_for"]["link"], json!(null), "{applied:#}");
    let printed = linking.apply().stdout;
    assert!(
        printed.contains("appcred authorize anna") && !printed.contains("long-secret"),
        "{printed}"
    );
    let ran = authorize(&linking, free_port(), &[]).status(1).run();
    assert!(ran.stdout.contains("leave out --no-browser"), "{}", ran.stdout);

    let browser = browser();
    let port = free_port().to_string();
    let mut running = linking
        .appcred(&["authorize", "--port", &port])
        .env("PATH", format!("{}:/usr/bin:/bin", browser.path().display()))
        .spawn();
    running.line_with("so it is not shown");
    let visited = browser.path().join("visited");
    let link = (0..600).find_map(|_| {
        thread::sleep(std::time::Duration::from_millis(50));
        fs::read_to_string(&visited).ok().filter(|link| link.ends_with('\n'))
    });
    let link = link.expect("a browser is opened");
    visit(&linking.provider.consent(link.trim()).location.unwrap());
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stdout);
    assert!(
        !ran.stdout.contains("long-secret") && !ran.stderr.contains("long-secret"),
        "{}",
        ran.stdout
    );
}

each_release!(ha_link_is_not_in_what_is_said_where_no_browser_opens);
fn ha_link_is_not_in_what_is_said_where_no_browser_opens(release: Release) {
    let linking = anna(release);
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("xdg-open");
    fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let port = free_port().to_string();
    for format in ["text", "json"] {
        let ran = linking
            .appcred(&["authorize", "--port", &port, "--format", format])
            .env("PATH", folder.path().display().to_string())
            .env("CI", "true")
            .status(1)
            .run();
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains("no browser could be opened here: pass --no-browser"), "{all}");
        assert!(!all.contains("state=") && !all.contains("/authorize?"), "{all}");
        if format == "json" {
            let document: Value = serde_json::from_str(&ran.stdout).unwrap();
            let why = document["error"].as_str().unwrap();
            assert!(why.contains("\"Anna\": no browser could be opened"), "{why}");
        }
    }
}

each_release!(ha_link_that_apply_gave_goes_on_here);
fn ha_link_that_apply_gave_goes_on_here(release: Release) {
    let linking = anna(release);
    let given = link(&linking.json(&["apply", "--yes"]));
    let authorizing = begin(&linking, &["anna"]);
    let flow = |link: &str| link.split("state=").nth(1).unwrap().split('.').next().unwrap().len();
    assert_eq!(flow(&given), flow(&authorizing.link));
    linking.consent(&given);
    let ran = authorizing.running.finish();
    assert_eq!(ran.status, Some(0), "the browser went to Home Assistant itself: {}", ran.stdout);
    assert_eq!(linking.account("linked_account")["state"], "loaded");
}

each_release!(ha_refused_consent_a_wrong_secret_and_a_provider_that_is_down_are_reported);
fn ha_refused_consent_a_wrong_secret_and_a_provider_that_is_down_are_reported(release: Release) {
    let linking = anna(release);
    let authorizing = begin(&linking, &[]);
    let page = visit(&linking.provider.refuse(&authorizing.link).location.unwrap());
    assert!(page.text.contains("consent was refused at the provider"), "{}", page.text);
    authorizing.fails("consent was refused at the provider");
    is_clean(&linking);

    let authorizing = begin(&linking, &[]);
    let back = authorizing.consent(&linking.provider);
    linking.provider.go_down();
    visit(&back);
    authorizing.fails("the provider gave no token: it may be down");
    linking.provider.come_up();
    is_clean(&linking);

    let authorizing = begin(&linking, &[]);
    let back = authorizing.consent(&linking.provider);
    linking.provider.client("anna", "another");
    visit(&back);
    authorizing.fails("client id or secret is wrong");
    is_clean(&linking);
}

each_release!(ha_forged_answers_and_second_ones_are_refused);
fn ha_forged_answers_and_second_ones_are_refused(release: Release) {
    let linking = anna(release);
    let mut authorizing = begin(&linking, &[]);
    let callback = authorizing.callback();
    let state = authorizing.link.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for (forged, status) in [
        ("?code=c&state=forged".to_owned(), 400),
        ("?code=c".to_owned(), 400),
        (format!("?code=c&state={state}&state=other"), 400),
        (format!("?state={state}"), 400),
        ("/../other?code=c".to_owned(), 404),
    ] {
        assert_eq!(visit(&format!("{callback}{forged}")).status, status, "{forged}");
    }
    authorizing.running.line_with("wrong state was refused");
    assert_eq!(visit(&format!("http://127.0.0.1:{}/", authorizing.port)).status, 404);

    let back = authorizing.consent(&linking.provider);
    let answers: Vec<u16> = thread::scope(|scope| {
        let visits: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    crate::real::send("GET", &back, &[], None).map_or(0, |page| page.status)
                })
            })
            .collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(authorizing.running.finish().status, Some(0));
    linking.account("linked_account");
}

each_release!(ha_taken_port_is_reported_and_nothing_begun);
fn ha_taken_port_is_reported_and_nothing_begun(release: Release) {
    let linking = anna(release);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = authorize(&linking, port, &[]).status(1).run();
    assert!(
        ran.stderr.contains(&format!("port {port} of this machine is taken")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("--port"), "{}", ran.stderr);
}

each_release!(ha_consent_that_comes_too_late_is_void);
fn ha_consent_that_comes_too_late_is_void(release: Release) {
    let linking = anna(release);
    let authorizing = begin(&linking, &["--timeout", "1"]);
    let link = authorizing.link.clone();
    authorizing.fails("no consent within 1 s; the link is no longer valid");
    is_clean(&linking);
    let back = linking.provider.consent(&link).location.unwrap();
    let query = back.split_once('?').unwrap().1;
    let late = visit(&format!("{}/auth/external/callback?{query}", linking.ha.url()));
    assert!(late.status >= 400, "{late:?}");

    let authorizing = begin(&linking, &[]);
    authorizing.running.signal(rustix::process::Signal::INT);
    authorizing.fails("interrupted; the link is no longer valid");
    is_clean(&linking);
}

each_release!(ha_that_restarts_while_consent_is_pending_is_reported);
fn ha_that_restarts_while_consent_is_pending_is_reported(release: Release) {
    let mut linking = anna(release);
    let authorizing = begin(&linking, &[]);
    linking.ha.restart();
    authorizing.fails("start again when it is back");
    assert!(linking.accounts("linked_account").is_empty());
    let authorizing = begin(&linking, &[]);
    visit(&authorizing.consent(&linking.provider));
    assert_eq!(authorizing.running.finish().status, Some(0));
}

each_release!(ha_question_after_consent_and_a_device_code_are_followed);
fn ha_question_after_consent_and_a_device_code_are_followed(release: Release) {
    let linking = Linking::new(release);
    let form = linking.entry("linked_account_form", "Cabin", "cabin", "first");
    linking.house.declare(&[linking.entry("linked_account_device", "Tv", "tv", "first"), form]);
    linking.apply();
    let mut running = authorize(&linking, free_port(), &["tv"]).spawn();
    let code = running.line_with("type in");
    linking.provider.consent(&linking.provider.device_link(code.rsplit(' ').next().unwrap()));
    running.line_with("\"Tv\": linked");
    assert_eq!(running.finish().status, Some(0));

    let authorizing = begin(&linking, &["cabin"]);
    visit(&authorizing.consent(&linking.provider));
    authorizing.fails("home: one of \"Cabin\", \"House\", \"Sold\"");
}

each_release!(ha_my_integration_fixes_the_redirect_and_that_is_reported);
fn ha_my_integration_fixes_the_redirect_and_that_is_reported(release: Release) {
    let folder = TempDir::new().unwrap();
    let configuration = "http:\n  server_host: 127.0.0.1\n  server_port: !env_var APPCRED_TEST_PORT\nlinked_account:\nmy:\n";
    fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
    let linking = Linking::with(HomeAssistant::start_in(release, folder.path()));
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.apply();
    let mut running = authorize(&linking, free_port(), &[]).spawn();
    running.line_with("redirect URI https://my.home-assistant.io/redirect/oauth");
    running.line_with(&format!("set {} at https://my.home-assistant.io", linking.ha.url()));
    let link = running.line_with("/authorize?");

    let back = linking.provider.consent(&link).location.unwrap();
    let query = back.strip_prefix("https://my.home-assistant.io/redirect/oauth?").unwrap();
    visit(&format!("{}/auth/external/callback?{query}", linking.ha.url()));

    running.line_with(": linked");
    assert_eq!(running.finish().status, Some(0));
}

each_release!(ha_one_redirect_uri_is_named_everywhere);
fn ha_one_redirect_uri_is_named_everywhere(release: Release) {
    let folder = TempDir::new().unwrap();
    let configuration = "http:\n  server_host: 127.0.0.1\n  server_port: !env_var APPCRED_TEST_PORT\nhomeassistant:\n  external_url: http://localhost:28199\nlinked_account:\n";
    fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
    let linking = Linking::with(HomeAssistant::start_in(release, folder.path()));
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let uri = "http://localhost:28199/auth/external/callback";

    let plan = linking.appcred(&["plan"]).run().stdout;
    assert!(plan.contains(&format!("register with providers: {uri}")), "{plan}");
    for verb in ["plan", "list"] {
        let reported = linking.json(&[verb]);
        assert_eq!(reported["redirect_uri"], uri, "{reported:#}");
    }
    let applied = linking.apply().stdout;
    assert!(applied.contains(&format!("redirect URI {uri}")), "{applied}");
    let list = linking.appcred(&["list"]).run().stdout;
    assert!(list.contains(uri), "{list}");

    let arguments = ["authorize", "--no-browser", "--show-links"];
    let mut running = linking.appcred(&arguments).spawn();
    running.line_with(&format!("redirect URI {uri}"));
    running.line_with("the browser must reach http://localhost:28199");
    let link = running.line_with("/authorize?");
    let back = linking.provider.consent(&link).location.unwrap();
    let query = back.strip_prefix(&format!("{uri}?")).unwrap();
    visit(&format!("{}/auth/external/callback?{query}", linking.ha.url()));
    running.line_with(": linked");
    assert_eq!(running.finish().status, Some(0));
    assert_eq!(linking.provider.token_log()[0].redirect_uri.as_deref(), Some(uri));
}

each_release!(keys_that_are_not_there_are_refused);
fn keys_that_are_not_there_are_refused(release: Release) {
    let linking = anna(release);
    let ran = authorize(&linking, free_port(), &["ann"]).status(1).run();
    assert!(ran.stderr.contains("no entry with the key `ann`"), "{}", ran.stderr);
    let entries = [
        linking.entry("linked_account", "Anna", "anna", "first"),
        linking.entry("linked_account", "Ben", "ben", "second"),
    ];
    linking.house.declare(&entries);
    let ran = authorize(&linking, free_port(), &["ben"]).status(1).run();
    let why = "its credential is not there yet: run `appcred apply` first";
    assert!(ran.stdout.contains(why), "{}", ran.stdout);
}
