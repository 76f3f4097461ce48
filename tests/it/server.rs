//! What `watch` serves, and to whom.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use appcred::codes::{ActionCode, OutcomeCode};
use appcred::model::{
    ClientAnswer, ClientId, ConsentLink, DeviceCode, Domain, EntryState, FieldKind, FlowField,
    FlowForm, FlowStep, HandOverError, Key, Lifetime, Secret, TargetName,
};
use appcred::plan::{SetupState, Trouble, Why};
use appcred::report::schema;
use appcred::server::Access;
use appcred::status::{
    AccessFault, ClientCheck, EntryStatus, ForgottenCredential, Holding, Link, Status, TargetStatus,
};
use jiff::civil::date;
use serde_json::{Value, json};

use crate::real::{Answer, send, visit};
use crate::serving::{
    Rules, Served, broken, consent, difference, down, entry, moment, nothing, read, refused,
    set_up, step, up, waiting,
};

const LINK: &str = "https://provider.example/authorize?client_id=c&state=the-state&redirect_uri=https%3A%2F%2Fx%2Fauth%2Fexternal%2Fcallback";
const CALLBACK: &str = "/auth/external/callback";
const TOKEN: &str = "a-token-of-some-length";

/// Until when a client could be used.
fn expired() -> Lifetime {
    let dates = Lifetime {
        expires: Some(date(2026, 11, 23)),
        rotate_after: Some(date(2026, 11, 1)),
        due: None,
    };
    dates.on(date(2026, 11, 24), 14)
}

/// An entry whose account somebody has disabled.
fn disabled(mut entry: EntryStatus) -> EntryStatus {
    for set_up in &mut entry.set_ups {
        let SetupState::Linked(accounts) = &mut set_up.state else { continue };
        accounts[0].state = EntryState::Disabled;
        set_up.trouble = Some(Trouble {
            account: accounts[0].clone(),
            asks_again: false,
            misses_credential: false,
            is_starting: false,
            client: ClientAnswer::NotAsked,
        });
    }
    entry
}

/// A house with something of everything.
pub(crate) fn busy() -> Status {
    let hidden = ConsentLink::new(Secret::new("https://p.example/?secret=m4rk3d-link"), true);
    let code =
        DeviceCode { url: "https://p.example/device".to_owned(), code: "ABCD-EFGH".to_owned() };
    let mut home = up(vec![
        EntryStatus { lifetime: expired(), ..disabled(entry("spotify", "Family")) },
        waiting("netatmo", "Climate", consent(LINK)),
        waiting("google", "Calendar", FlowStep::Consent(hidden)),
        waiting("home_connect", "Oven", FlowStep::Progress(Some(code))),
    ]);
    home.differences = vec![
        difference("delete spotify \"Old\"", Some(Why::PruneOff), false),
        difference("create twitch \"Live\"", None, true),
    ];
    let answer = ClientAnswer::Rejected("invalid_client".to_owned());
    let rejected = ClientCheck::Said { answer, at: moment("2026-11-24T17:05:00Z") };
    let left_out = ClientCheck::LeftOut("its provider counts requests".to_owned());
    home.clients = [("family", rejected), ("climate", left_out)]
        .map(|(key, check)| (Key::new(key).unwrap(), check))
        .into();
    let client = (Domain::new("spotify"), ClientId::new("spotify-client"));
    let of = |title: u8| (client.0.clone(), client.1.clone(), title.to_string());
    home.linked = (1..=5).map(of).collect();
    home.totals.count(ActionCode::Create, OutcomeCode::Done);
    home.totals.durations.add(Duration::from_millis(30));
    home.totals.durations.add(Duration::from_secs(100));
    home.foreign = 2;
    let barn = refused(vec![entry("netatmo", "Stable")]);
    let mut cabin = down("cannot reach it: no route");
    // One of them is linked at both.
    cabin.linked = (5..=6).map(of).collect();
    let mut status = broken(read(vec![("home", home), ("cabin \"\\é", cabin), ("barn", barn)]));
    status.history.record(step("create spotify \"Family\"", None, Some("4f5c0a")));
    status.history.record(step("create twitch \"Live\"", Some("it answered 500"), None));
    status
}

/// Entries that a target holds in every way.
fn every_holding() -> Status {
    let holdings = [
        Holding::InSync,
        Holding::Differs,
        Holding::Missing,
        Holding::Unknown,
        Holding::Withheld(Why::PruneOff),
    ];
    let entries = holdings.into_iter().enumerate();
    let entries = entries
        .map(|(nth, holding)| EntryStatus { holding, ..entry("spotify", &format!("e{nth}")) });
    read(vec![("home", up(entries.collect()))])
}

#[test]
fn what_must_be_answered_is_no_target_that_is_as_wanted() {
    let field = FlowField { name: "home".to_owned(), kind: FieldKind::Text, required: true };
    let form = FlowForm { step: "which".to_owned(), fields: vec![field], ..FlowForm::default() };
    let menu = FlowStep::Menu { step: "way".to_owned(), options: vec!["a".to_owned()] };
    let asks = |nth: usize| waiting("netatmo", &format!("e{nth}"), FlowStep::Form(form.clone()));
    let many = (0..50).map(asks).chain([waiting("netatmo", "way", menu.clone())]).collect();
    for (entries, count, more) in [
        (vec![waiting("netatmo", "way", menu)], "1 set-up waits for your answer.", ""),
        (many, "51 set-ups wait for your answers.", "… and 1 more, shown as these are done."),
    ] {
        let served = Served::start(read(vec![("home", up(entries))]));
        let page = visit(&served.url("/")).text;
        assert!(page.contains(count) && page.contains(more), "{page}");
        let status = visit(&served.url("/api/v1/status")).text;
        assert!(status.contains("\"state\": \"waiting_for_answers\""), "{status}");
    }
}

#[test]
fn an_entry_whose_client_has_expired_comes_first() {
    let expired = EntryStatus { lifetime: expired(), ..entry("twitch", "Second") };
    let home = up(vec![entry("spotify", "First"), expired]);
    let served = Served::start(read(vec![("home", home)]));
    let page = visit(&served.url("/")).text;
    assert!(page.find("twitch").unwrap() < page.find("spotify").unwrap(), "{page}");
}

#[test]
fn why_the_last_try_failed_is_shown_where_the_next_one_waits() {
    let why = "the provider refused the client";
    let mut refused = waiting("netatmo", "Climate", consent(LINK));
    refused.set_ups[0].error = Some(why.to_owned());
    let served = Served::start(read(vec![("home", up(vec![refused]))]));
    let page = visit(&served.url("/")).text;
    let (before, after) = page.split_once("Consent at provider.example").unwrap();
    assert!(
        before.contains(&format!("the last attempt failed: {why}")),
        "above the button: {page}"
    );
    assert!(after.contains(&format!("the last attempt failed: {why}")), "in the table: {page}");
    let status = visit(&served.url("/api/v1/status")).value();
    let set_up = &status["targets"][0]["entries"][0]["set_up"];
    assert_eq!(set_up["state"], "waiting_for_consent");
    assert_eq!(set_up["reason"], format!("the last attempt failed: {why}"));
}

#[test]
fn a_target_that_gives_no_access_is_not_called_unreachable() {
    let waits = || vec![waiting("netatmo", "Climate", consent(LINK))];
    let served = Served::start(nothing());
    for (why, state, said) in [
        (AccessFault::TokenRefused, "token_refused", "1 target refuses its access token"),
        (AccessFault::NotAdministrator, "not_administrator", "that is not an administrator"),
        (AccessFault::Other, "no_access", "1 target denies access"),
    ] {
        let since = moment("2026-11-24T17:06:00Z");
        let refused = TargetStatus { link: Link::NoAccess { since, why }, ..refused(waits()) };
        served.show(read(vec![("home", refused)]));
        let page = visit(&served.url("/")).text;
        assert!(page.contains(said), "{page}");
        assert!(page.contains("No access since") && !page.contains("nreachable"), "{page}");
        let status = visit(&served.url("/api/v1/status")).value();
        let target = &status["targets"][0];
        assert_eq!((&target["state"], &target["link"]), (&json!(state), &json!("no_access")));
    }
    assert_eq!(visit(&served.url("/readyz")).status, 200);
}

#[test]
fn consent_is_offered_only_where_the_target_is_connected() {
    let mut target = up(vec![waiting("netatmo", "Climate", consent(LINK))]);
    let (up, since) = (target.link.clone(), moment("2026-11-24T17:06:00Z"));
    let no_access = Link::NoAccess { since, why: AccessFault::Other };
    let served = Served::start(nothing());
    for (link, offered) in [(up, 1), (Link::Down { since }, 0), (no_access, 0)] {
        target.link = link.clone();
        served.show(read(vec![("home", target.clone())]));
        let page = visit(&served.url("/")).text;
        assert_eq!(page.matches("Consent at provider.example").count(), offered, "{link:?}");
        let status = visit(&served.url("/api/v1/status")).text;
        assert_eq!(status.matches(LINK).count(), offered, "{link:?}: {status}");
        let begun = visit(&served.url("/consent?target=home&key=climate")).status;
        assert_eq!(begun, if offered == 1 { 303 } else { 404 }, "{link:?}");
        let metrics = visit(&served.url("/metrics")).text;
        let pending = format!("appcred_pending_consents{{target=\"home\"}} {offered}");
        assert!(metrics.contains(&pending), "{link:?}: {metrics}");
    }
}

#[test]
fn what_is_not_known_is_no_error_on_the_page() {
    let served = Served::start(every_holding());
    let page = visit(&served.url("/")).text;
    let badge = |tone: &str, words: &str| format!("<span class=\"badge {tone}\">{words}</span>");
    for (tone, words) in [
        ("ok", "in sync"),
        ("wait", "differs"),
        ("wait", "missing"),
        ("idle", "not known yet"),
        ("bad", "withheld"),
    ] {
        assert!(page.contains(&badge(tone, words)), "{words}: {page}");
    }
}

#[test]
fn what_waits_for_a_window_or_is_suspended_needs_nobody() {
    let why = || Why::OutsideWindows { next: "Sat 2026-11-28 02:00 CET".into() };
    let withheld = EntryStatus { holding: Holding::Withheld(why()), ..entry("spotify", "Waits") };
    let suspended = EntryStatus {
        holding: Holding::Suspended,
        set_ups: vec![set_up(SetupState::InProgress, None)],
        ..entry("netatmo", "Rests")
    };
    let mut home = up(vec![withheld, suspended]);
    let waits = ["create spotify \"Waits\"", "delete twitch \"Live\""];
    home.differences = waits.map(|what| difference(what, Some(why()), false)).into();
    let unseen = EntryStatus { holding: Holding::Unknown, ..entry("twitch", "Shed") };
    let shed = TargetStatus { link: Link::Suspended, ..up(vec![unseen]) };
    home.forgotten = vec![ForgottenCredential {
        key: Key::new("old").unwrap(),
        domain: Domain::new("fitbit"),
        name: "Old".into(),
    }];
    let served = Served::start(read(vec![("home", home.clone()), ("shed", shed)]));
    let page = visit(&served.url("/")).text;
    for said in [
        "1 waiting · appcred",
        "1 target waits for its window.",
        "2 changes wait for the window that begins on Sat 2026-11-28 02:00 CET",
        "waits for its window</span>",
        "Forgotten, and left alone: Old (fitbit, <code>old</code>).",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    for unsaid in
        ["data-restless", "changes are made only in windows", "badge bad", "not known yet"]
    {
        assert!(!page.contains(unsaid), "{unsaid}: {page}");
    }
    let status = visit(&served.url("/api/v1/status")).value();
    assert_eq!(status["targets"][1]["entries"][0]["credential"], "suspended");
    assert_eq!(status["targets"][0]["forgotten"][0]["key"], "old");

    // What is withheld for another reason is still a problem.
    home.differences.push(difference("delete fitbit \"Old\"", Some(Why::NotOwned), false));
    served.show(read(vec![("home", home)]));
    let page = visit(&served.url("/")).text;
    assert!(page.contains("1 problem · appcred"), "{page}");
}

#[test]
fn of_suspended_targets_nothing_is_said_to_be_in_sync() {
    let away = || TargetStatus { link: Link::Suspended, ..up(vec![entry("spotify", "Family")]) };
    let fresh = TargetStatus { last_reconcile: None, last_success: None, ..up(Vec::new()) };
    let served = Served::start(nothing());
    let all = "All targets are suspended, and nothing is done there.";
    for (targets, title, tone, words) in [
        (
            vec![("a", away())],
            "Suspended",
            "idle",
            "The target is suspended, and nothing is done there.",
        ),
        (vec![("a", away()), ("b", away())], "Suspended", "idle", all),
        (
            vec![("a", away()), ("b", up(Vec::new()))],
            "In sync",
            "ok",
            "Everything is in sync, but 1 target is suspended and was not looked at.",
        ),
        (
            vec![("a", away()), ("b", away()), ("c", up(Vec::new()))],
            "In sync",
            "ok",
            "Everything is in sync, but 2 targets are suspended and were not looked at.",
        ),
        (
            vec![("a", away()), ("b", fresh)],
            "Starting",
            "idle",
            "1 target has not been checked yet.",
        ),
    ] {
        served.show(read(targets));
        let page = visit(&served.url("/")).text;
        assert!(page.contains(&format!("<title>{title} · appcred</title>")), "{title}: {page}");
        assert!(page.contains(&format!("class=\"verdict {tone}\"")), "{tone}: {page}");
        assert!(page.contains(&format!(">{words}</p>")), "{words}: {page}");
    }
}

#[test]
fn whatever_entry_needs_attention_is_counted_above() {
    let in_state = |state: EntryState| {
        let mut entry = entry("spotify", "Family");
        let SetupState::Linked(accounts) = &mut entry.set_ups[0].state else { unreachable!() };
        accounts[0].state = state;
        entry
    };
    let with = |state| EntryStatus { set_ups: vec![set_up(state, None)], ..entry("spotify", "A") };
    let mut crowded = up(vec![entry("spotify", "Family")]);
    let client = ClientId::new("spotify-client");
    let account = |title: u8| (Domain::new("spotify"), client.clone(), title.to_string());
    crowded.linked = (1..=6).map(account).collect();
    let served = Served::start(nothing());
    let one = |entry| up(vec![entry]);
    for (target, title, words) in [
        (one(disabled(entry("spotify", "A"))), "1 problem", "1 account is not loaded."),
        (one(in_state(EntryState::NotLoaded)), "1 problem", "1 account is not loaded."),
        (
            one(in_state(EntryState::from_word("migration_error"))),
            "1 problem",
            "1 account is not loaded.",
        ),
        (
            one(in_state(EntryState::from_word("failed_unload"))),
            "1 problem",
            "1 account is not loaded.",
        ),
        (one(with(SetupState::NeedsConsent)), "1 problem", "1 account needs consent again."),
        (one(with(SetupState::InProgress)), "1 waiting", "1 set-up is not finished yet."),
        (one(with(SetupState::NotSetUp)), "1 waiting", "1 set-up is not finished yet."),
        (
            up(vec![with(SetupState::InProgress), with(SetupState::InProgress)]),
            "2 waiting",
            "2 set-ups are not finished yet.",
        ),
        (
            one(EntryStatus { holding: Holding::Missing, ..entry("spotify", "A") }),
            "1 problem",
            "1 entry is not in sync.",
        ),
        (
            one(EntryStatus { holding: Holding::Missing, ..with(SetupState::NotSetUp) }),
            "1 problem",
            "1 entry is not in sync.",
        ),
        (crowded, "1 problem", "1 client has more accounts than its provider allows."),
    ] {
        served.show(read(vec![("home", target)]));
        let page = visit(&served.url("/")).text;
        assert!(page.contains("data-restless"), "{words}: {page}");
        assert!(page.contains(&format!("<title>{title} · appcred</title>")), "{title}: {page}");
        assert!(page.contains(&format!(">{words}</p>")), "{words}: {page}");
        assert!(page.contains("class=\"verdict wait\""), "{words}: {page}");
    }
    // Nobody asks for it, so that its row is not marked either.
    let resting = EntryStatus { holding: Holding::Suspended, ..in_state(EntryState::SetupError) };
    served.show(read(vec![("home", up(vec![resting]))]));
    let page = visit(&served.url("/")).text;
    assert!(page.contains(">Everything is in sync.</p>") && !page.contains("data-restless"));
}

#[test]
fn entries_that_are_folded_are_said_to_be_as_they_are() {
    let why = || Why::OutsideWindows { next: "Sat 2026-11-28 02:00 CET".into() };
    let of = |count: usize, holding: Holding| {
        (0..count).map(move |nth| EntryStatus {
            holding: holding.clone(),
            ..entry("spotify", &format!("{} {nth}", holding.code()))
        })
    };
    let in_sync = || of(20, Holding::InSync);
    let served = Served::start(nothing());
    for (entries, said) in [
        (
            in_sync().chain(of(1, Holding::InSync)).collect::<Vec<_>>(),
            "21 entries in sync, and nothing to be done",
        ),
        (
            in_sync()
                .chain(of(2, Holding::Suspended))
                .chain(of(3, Holding::Withheld(why())))
                .collect(),
            "25 entries for which nothing is to be done: 20 in sync, 2 suspended, 3 waiting for a window or a wave",
        ),
        (of(21, Holding::Suspended).collect(), "21 entries suspended, and nothing to be done"),
    ] {
        served.show(read(vec![("home", up(entries))]));
        let page = visit(&served.url("/")).text;
        assert!(page.contains(said), "{said}: {page}");
    }
}

fn get(served: &Served, path: &str, headers: &[(&str, &str)]) -> Answer {
    send("GET", &served.url(path), headers, None).unwrap()
}

fn log_in(served: &Served, token: &str, headers: &[(&str, &str)]) -> Answer {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let headers: Vec<_> = form.iter().chain(headers).copied().collect();
    send("POST", &served.url("/login"), &headers, Some(format!("token={token}"))).unwrap()
}

#[test]
fn the_labels_of_a_target_are_in_its_status_and_on_the_page() {
    let labels = [("ring".into(), "1".into())].into();
    let served = Served::start(read(vec![("home", TargetStatus { labels, ..up(Vec::new()) })]));
    let value = visit(&served.url("/api/v1/status")).value();
    assert_eq!(value["targets"][0]["labels"], json!({"ring": "1"}));
    assert!(visit(&served.url("/")).text.contains(" · ring=1"));
}

#[test]
fn the_status_is_as_its_schema_says() {
    let served = Served::start(busy());
    let schema = jsonschema::validator_for(&schema::status().into()).unwrap();
    for status in [nothing(), busy(), every_holding()] {
        served.show(status);
        let answer = visit(&served.url("/api/v1/status"));
        assert_eq!(answer.status, 200);
        let value = answer.value();
        let problems: Vec<String> =
            schema.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}\n{value:#}");
    }
    served.show(busy());
    let value = visit(&served.url("/api/v1/status")).value();
    let [_, cabin, home] = value["targets"].as_array().unwrap().as_slice() else {
        panic!("{value}")
    };
    assert_eq!((&cabin["state"], &home["state"]), (&json!("unreachable"), &json!("differs")));
    assert_eq!(home["last_reconcile"], "2026-11-24T17:05:00Z");
    let dates = ["expires", "rotate_after", "due"].map(|name| &home["entries"][0][name]);
    assert_eq!(dates, ["2026-11-23", "2026-11-01", "expired"]);
    let page = visit(&served.url("/")).text;
    assert!(page.contains("the client expired on 2026-11-23"), "{page}");
    let client = |at: usize| &home["entries"][at]["client"];
    assert_eq!(
        (&client(0)["verdict"], &client(0)["message"]),
        (&json!("rejected"), &json!("invalid_client"))
    );
    assert_eq!(client(1)["verdict"], "not_asked");
    for said in [
        "1 client is rejected by its provider; 1 client has expired",
        "6 accounts of spotify are linked through this client: a client in Development Mode",
        "the provider is not asked regularly about the client: its provider counts requests",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let place = json!({"file": "credentials/media.yaml", "line": 12, "column": 5});
    assert_eq!(home["entries"][1]["declared_at"], place);
    assert_eq!(home["entries"][1]["set_up"]["waits_for"]["link"], LINK);
    assert_eq!(home["entries"][2]["set_up"]["waits_for"]["link"], Value::Null);
    assert_eq!(home["differences"][0]["withheld"]["why"], "prune_off");
    assert_eq!(value["manifests"]["problems"][0]["at"]["line"], 2);
    assert_eq!(value["manifests"]["in_force"], false);
}

#[test]
fn nothing_that_is_served_tells_a_secret() {
    let served = Served::start(busy());
    for path in ["/", "/fragment", "/api/v1/status", "/metrics", "/readyz"] {
        let text = visit(&served.url(path)).text;
        assert!(!text.contains("m4rk3d"), "{path}: {text}");
    }
    assert!(visit(&served.url("/")).text.contains("client_secret: ********"));
}

#[test]
fn what_is_alive_is_ready_once_all_was_looked_at() {
    let served = Served::start(nothing());
    let ready = || {
        let answer = visit(&served.url("/readyz"));
        (answer.status, answer.text.trim_end().to_owned())
    };
    assert_eq!(visit(&served.url("/healthz")).status, 200);
    assert_eq!(ready(), (503, "the manifests were not read yet".to_owned()));
    let mut fresh = up(Vec::new());
    fresh.link = Link::Connecting;
    fresh.last_reconcile = None;
    served.show(read(vec![("a", fresh), ("b", up(Vec::new()))]));
    assert_eq!(ready(), (503, "1 target has not been checked yet".to_owned()));
    let mut broken = read(vec![("a", up(Vec::new()))]);
    broken.manifests.blocker = Some("no target".to_owned());
    served.show(broken.clone());
    assert_eq!(ready(), (503, "the manifests are not applied".to_owned()));
    served.show(self::broken(broken));
    assert_eq!(ready(), (503, "the manifests are in error".to_owned()));
    served.show(read(vec![("a", down("no route")), ("b", up(Vec::new()))]));
    assert_eq!(ready(), (200, "ready".to_owned()));
}

#[test]
fn the_newest_snapshot_is_served() {
    let served = Served::start(nothing());
    let none = visit(&served.url("/api/v1/snapshot"));
    assert_eq!(none.status, 404);
    assert!(none.text.contains("no snapshot yet"), "{}", none.text);
    served.show_snapshot("{\"format_version\": 1}\n");
    assert_eq!(visit(&served.url("/api/v1/snapshot")).value(), json!({"format_version": 1}));
}

/// What Prometheus' own parser of a format makes of the text: samples by name and labels.
fn parsed(text: &str) -> Value {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/target/prometheus/current/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/prometheus/samples.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}\n{text}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

#[test]
fn prometheus_reads_the_metrics() {
    let mut status = busy();
    let mut attic = refused(vec![entry("twitch", "Live")]);
    attic.link = Link::Suspended;
    status.targets.insert(TargetName::new("attic"), attic);
    let served = Served::start(status);
    let samples = parsed(&get(&served, "/metrics", &[]).text);
    let number = |name: &str, labels: &[(&str, &str)]| {
        let labels: serde_json::Map<_, _> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let found = samples.as_array().unwrap().iter();
        let mut found = found.filter(|it| it["name"] == name && it["labels"] == json!(labels));
        let one = found.next().unwrap_or_else(|| panic!("no {name} {labels:?} in {samples:#}"));
        assert!(found.next().is_none(), "{name} is there twice");
        one["value"].as_f64().unwrap()
    };
    let home = ("target", "home");
    let dated = [home, ("key", "family"), ("domain", "spotify")];
    let commit = env!("APPCRED_BUILT_COMMIT");
    let version = [("version", env!("CARGO_PKG_VERSION")), ("commit", commit)];
    for (name, labels, expected) in [
        ("appcred_build_info", &version[..], 1.0),
        ("process_start_time_seconds", &[], 1_795_539_600.0),
        ("appcred_reconciles_total", &[home, ("result", "success")], 1.0),
        ("appcred_reconciles_total", &[home, ("result", "failure")], 0.0),
        ("appcred_actions_total", &[home, ("action", "create"), ("result", "done")], 1.0),
        ("appcred_drift_detected_total", &[home], 0.0),
        ("appcred_differences", &[home], 2.0),
        ("appcred_manifest_problems", &[("severity", "error")], 1.0),
        ("appcred_manifest_problems", &[("severity", "warning")], 0.0),
        ("appcred_pending_consents", &[home], 3.0),
        ("appcred_last_success_timestamp_seconds", &[home], 1_795_539_900.0),
        ("appcred_credential_expiration_timestamp_seconds", &dated, 1_795_392_000.0),
        ("appcred_credential_rotation_timestamp_seconds", &dated, 1_793_491_200.0),
        ("appcred_client_accepted", &dated, 0.0),
        ("appcred_client_checked_timestamp_seconds", &dated, 1_795_539_900.0),
        ("appcred_accounts_down", &[home, ("cause", "disabled")], 1.0),
        ("appcred_entries", &[home, ("credential", "in_sync")], 4.0),
        ("appcred_entries", &[home, ("credential", "differs")], 0.0),
        ("appcred_unmanaged_credentials", &[home, ("owner", "none")], 2.0),
        ("appcred_unmanaged_credentials", &[home, ("owner", "other")], 0.0),
        ("appcred_token_refused", &[home], 0.0),
        ("appcred_token_refused", &[("target", "barn")], 1.0),
        ("appcred_target_up", &[home], 1.0),
        ("appcred_target_up", &[("target", "cabin \"\\é")], 0.0),
        ("appcred_target_suspended", &[home], 0.0),
        ("appcred_target_suspended", &[("target", "attic")], 1.0),
        ("appcred_reconcile_duration_seconds_count", &[], 2.0),
        ("appcred_reconcile_duration_seconds_sum", &[], 100.03),
        ("appcred_reconcile_duration_seconds_bucket", &[("le", "0.025")], 0.0),
        ("appcred_reconcile_duration_seconds_bucket", &[("le", "0.05")], 1.0),
        ("appcred_reconcile_duration_seconds_bucket", &[("le", "0.5")], 1.0),
        ("appcred_reconcile_duration_seconds_bucket", &[("le", "+Inf")], 2.0),
    ] {
        assert_eq!(number(name, labels), expected, "{name} {labels:?}");
    }
}

#[test]
fn on_loopback_only_names_of_this_machine_are_heard() {
    let served = Served::with(busy(), Rules { hosts: &["appcred.lan"], ..Rules::default() });
    let port = served.port;
    let status = |host: &str, origin: Option<&str>| {
        let mut headers = vec![("Host", host)];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        let (page, api) = (get(&served, "/", &headers), get(&served, "/api/v1/status", &headers));
        let (metrics, back) =
            (get(&served, "/metrics", &headers), get(&served, CALLBACK, &headers));
        assert_eq!((page.status, api.status), (metrics.status, metrics.status), "{host}");
        assert_eq!(back.status == 403, page.status == 403, "{host} {origin:?}");
        for path in ["/healthz", "/readyz"] {
            let status = get(&served, path, &headers).status;
            assert!(matches!(status, 200 | 503), "{host}: {path} is for probes: {status}");
        }
        page.status
    };
    let own = format!("127.0.0.1:{port}");
    for host in [&*own, &format!("localhost:{port}"), &format!("[::1]:{port}"), "appcred.lan"] {
        assert_eq!(status(host, None), 200, "{host}");
        assert_eq!(status(host, Some(&format!("http://{host}"))), 200, "{host}");
    }
    for host in [
        "127.0.0.1",
        "localhost:1",
        "evil.example",
        &format!("evil.example:{port}"),
        &format!("127.0.0.1.evil.example:{port}"),
        &format!("10.0.0.1:{port}"),
        &format!("appcred.lan.evil.example:{port}"),
    ] {
        assert_eq!(status(host, None), 403, "{host}");
    }
    for origin in
        ["https://evil.example", "null", "http://127.0.0.1:1", &format!("http://x:{port}")]
    {
        assert_eq!(status(&own, Some(origin)), 403, "{origin}");
    }
}

#[test]
fn a_token_lets_in_from_wherever() {
    let served = Served::with(busy(), Rules { token: Some(TOKEN), ..Rules::default() });
    let bearer = |token: &str| format!("Bearer {token}");
    for path in ["/", "/fragment", "/metrics", "/api/v1/status", "/api/v1/snapshot"] {
        let mut answers = vec![get(&served, path, &[])];
        for wrong in ["", "x", "a-token-of-some-lengti", "a-token-of-some-length-and-more"] {
            answers.push(get(&served, path, &[("Authorization", &bearer(wrong))]));
        }
        answers.push(get(&served, path, &[("Cookie", "appcred_session=")]));
        answers.push(get(&served, path, &[("Cookie", &format!("appcred_session={TOKEN}"))]));
        for answer in answers {
            assert_eq!(answer.status, 401, "{path}");
            assert!(!answer.text.contains("Family"), "{path}: {}", answer.text);
        }
        let elsewhere = ("Host", "appcred.example");
        let known = get(&served, path, &[("Authorization", &bearer(TOKEN)), elsewhere]);
        assert!(known.status == 200 || path.ends_with("snapshot"), "{path}: {}", known.status);
    }
    for path in ["/healthz", "/readyz"] {
        let status = get(&served, path, &[]).status;
        assert!(matches!(status, 200 | 503), "{path}: {status}");
    }
}

#[test]
fn a_browser_logs_in_by_a_form() {
    let served = Served::with(busy(), Rules { token: Some(TOKEN), ..Rules::default() });
    assert!(get(&served, "/", &[]).text.contains("type=\"password\""));
    let wrong = log_in(&served, "x", &[]);
    assert_eq!((wrong.status, wrong.cookie), (403, None));
    assert_eq!(log_in(&served, TOKEN, &[("Origin", "https://evil.example")]).status, 403);
    let own = served.url("");
    let right = log_in(&served, TOKEN, &[("Origin", &own)]);
    assert_eq!((right.status, right.location.as_deref()), (303, Some("./")));
    let cookie = right.cookie.unwrap();
    assert!(!cookie.contains(TOKEN));
    let page = get(&served, "/", &[("Cookie", &format!("other=1; {cookie}"))]);
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Log out"), "{}", page.text);
    let out = send("POST", &served.url("/logout"), &[("Cookie", &cookie)], Some(String::new()));
    assert_eq!(out.unwrap().cookie.as_deref(), Some("appcred_session="));
    assert_eq!(get(&served, "/", &[("Cookie", &cookie)]).status, 401, "the server ended it");
    let huge = log_in(&served, &"x".repeat(100_000), &[]);
    assert_eq!(huge.status, 413);
}

#[test]
fn a_changed_token_file_counts_at_once() {
    const NEXT: &str = "another-token-of-some-length";
    let served = Served::with(busy(), Rules { token: Some(TOKEN), ..Rules::default() });
    let cookie = log_in(&served, TOKEN, &[]).cookie.unwrap();
    let status = |header: (&str, &str)| get(&served, "/metrics", &[header]).status;
    let bearer = |token: &str| status(("Authorization", &format!("Bearer {token}")));
    assert_eq!((status(("Cookie", &cookie)), bearer(TOKEN)), (200, 200));
    served.change_token(NEXT);
    assert_eq!((status(("Cookie", &cookie)), bearer(TOKEN), bearer(NEXT)), (401, 401, 200));
    for unusable in ["", "short", "two words in a token file"] {
        served.change_token(unusable);
        assert_eq!((bearer(unusable), bearer(NEXT)), (401, 401), "{unusable}");
        served.change_token(NEXT);
        assert_eq!(bearer(NEXT), 200, "{unusable}");
    }
    served.change_token(TOKEN);
    assert_eq!(status(("Cookie", &cookie)), 401, "a session that ended does not come back");
}

#[test]
fn wrong_tokens_slow_their_peer_and_nobody_else() {
    let served = Served::with(busy(), Rules { token: Some(TOKEN), ..Rules::default() });
    let cookie = log_in(&served, TOKEN, &[]).cookie.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(log_in(&served, "a-wrong-token-of-length", &[]).status);
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
    // Behind a reverse proxy, all are one peer.
    let bearer = format!("Bearer {TOKEN}");
    let right = get(&served, "/metrics", &[("Authorization", &bearer)]);
    assert_eq!(right.status, 200);
    assert_eq!(get(&served, "/metrics", &[("Cookie", &cookie)]).status, 200);
    assert_eq!(get(&served, "/healthz", &[]).status, 200);
    let answer = raw_from(
        Ipv4Addr::new(127, 0, 0, 2),
        &served,
        &format!("GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\r\n"),
    );
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn the_supervisor_alone_may_ask_by_its_ingress() {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let path = ("X-Ingress-Path", "/api/hassio_ingress/t0k-en_1");
    let served = Served::with(busy(), Rules { ingress: Some(here), ..Rules::default() });
    let anna = ("X-Remote-User-Id", "anna");
    let page = get(&served, "/", &[path, anna, ("Host", "ha.example:8123")]);
    assert_eq!(page.status, 200);
    for link in ["api/v1/status", "fragment", "metrics"] {
        let link = format!("\"/api/hassio_ingress/t0k-en_1/{link}\"");
        assert!(page.text.contains(&link), "{link} in {}", page.text);
    }
    let forged = get(&served, "/", &[anna, ("X-Ingress-Path", "//evil.example/\"><script>")]);
    assert!(!forged.text.contains("evil"), "{}", forged.text);

    let elsewhere = Some(IpAddr::from([172, 30, 32, 2]));
    let served = Served::with(busy(), Rules { ingress: elsewhere, ..Rules::default() });
    for path in ["/", "/metrics", CALLBACK] {
        let refused = get(&served, path, &[]);
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text.contains("through Home Assistant"), "{}", refused.text);
    }
    let rules = Rules { ingress: elsewhere, token: Some(TOKEN), ..Rules::default() };
    let served = Served::with(busy(), rules);
    let links = get(&served, "/", &[("Authorization", &format!("Bearer {TOKEN}")), path]);
    assert!(links.text.contains("\"./fragment\""), "a path is taken from the Supervisor alone");
}

#[test]
fn whom_the_supervisor_lets_in_sees_nothing_unless_an_administrator() {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    // A token is no way around it, as from elsewhere.
    let rules = Rules { ingress: Some(here), token: Some(TOKEN), ..Rules::default() };
    let mut served = Served::with(busy(), rules);
    let paths = ["/", "/fragment", "/consent?target=home&key=climate", "/metrics", "/readyz"];
    let programs = ["/api/v1/status", "/api/v1/snapshot", "/login", "/nowhere", CALLBACK];
    let bearer = format!("Bearer {TOKEN}");
    for path in paths.into_iter().chain(programs) {
        for (users, status, why) in [
            (&["ben"][..], 403, "shown to administrators only"),
            (&[], 403, "does not say who you are"),
            (&[""], 403, "does not say who you are"),
            (&["anna", "ben"], 403, "does not say who you are"),
            (&["ben", "anna"], 403, "does not say who you are"),
            (&["cleo"], 503, "could not be asked whether you are"),
        ] {
            let mut headers: Vec<_> =
                users.iter().map(|user| ("X-Remote-User-Id", *user)).collect();
            headers.extend([("Authorization", &*bearer), ("X-Remote-User-Name", "anna")]);
            let refused = get(&served, path, &headers);
            assert_eq!(refused.status, status, "{path} {users:?}");
            assert!(refused.text.contains(why), "{path} {users:?}: {}", refused.text);
            assert!(!refused.text.contains("limate"), "{path} {users:?}: {}", refused.text);
        }
    }
    let ben = ("X-Remote-User-Id", "ben");
    let wake = send("POST", &served.url("/api/v1/reconcile"), &[ben], None).unwrap();
    assert_eq!((wake.status, served.woken()), (403, None));
    let anna = ("X-Remote-User-Id", "anna");
    let wake = send("POST", &served.url("/api/v1/reconcile"), &[anna], None).unwrap();
    assert_eq!((wake.status, served.woken().is_some()), (202, true));
    assert_eq!(get(&served, "/healthz", &[]).status, 200, "the Supervisor's watchdog has no user");
}

#[test]
fn nobody_is_let_in_from_elsewhere_without_a_token() {
    for open in ["0.0.0.0:8099", "[::]:8099", "192.168.1.2:8099"] {
        let tried = Access::new(open.parse().unwrap(), None, None, Vec::new());
        assert!(tried.is_err(), "{open}");
    }
    for closed in ["127.0.0.1:8099", "[::1]:8099", "[::ffff:127.0.0.1]:8099"] {
        assert!(Access::new(closed.parse().unwrap(), None, None, Vec::new()).is_ok(), "{closed}");
    }
}

/// Head and body as they come over the wire.
fn raw(served: &Served, request: &str) -> String {
    raw_from(Ipv4Addr::LOCALHOST, served, request)
}

/// The same for a peer with this address.
fn raw_from(peer: Ipv4Addr, served: &Served, request: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((peer, 0).into()).unwrap();
        let stream = socket.connect((Ipv4Addr::LOCALHOST, served.port).into()).await.unwrap();
        stream.into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    let mut stream: TcpStream = stream;
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_answer_is_hardened() {
    let asked = |served: &Served, path: &str| {
        let host = format!("127.0.0.1:{}", served.port);
        raw(served, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    let served = Served::start(busy());
    for path in ["/", "/fragment", "/metrics", "/healthz", "/api/v1/snapshot", "/nowhere", CALLBACK]
    {
        let head = asked(&served, path).split("\r\n\r\n").next().unwrap().to_lowercase();
        for header in [
            "cache-control: no-store",
            "referrer-policy: same-origin",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "frame-ancestors 'none'",
            "default-src 'none'",
        ] {
            assert!(head.contains(header), "{path} without {header}: {head}");
        }
        assert!(!head.contains("unsafe-inline"), "{head}");
    }
    let ingress = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    let served = Served::with(busy(), Rules { ingress, ..Rules::default() });
    let head = asked(&served, "/").to_lowercase();
    assert!(head.contains("frame-ancestors 'self'"), "{head}");
    assert!(head.contains("x-frame-options: sameorigin"), "{head}");
}

#[test]
fn what_names_say_is_no_markup() {
    let name = "<script>alert(1)</script>\"'&";
    let mut target = up(vec![
        waiting("spotify", name, consent("javascript:alert(1)//?state=x")),
        waiting("netatmo", "b", consent("data:text/html,x?state=y")),
    ]);
    target.error = Some("<img src=x onerror=alert(1)>".to_owned());
    let served = Served::start(read(vec![(name, target)]));
    let page = visit(&served.url("/")).text;
    for markup in ["<script>alert", "<img src=x", "href=\"javascript", "href=\"data:text"] {
        assert!(!page.contains(markup), "{markup} in {page}");
    }
    assert_eq!(page.matches("is not an https address").count(), 2);
}

/// The cookie of a browser that begins the consent of `Climate`.
fn begin(served: &Served) -> String {
    let answer = visit(&served.url("/consent?target=home&key=climate"));
    assert_eq!((answer.status, answer.location.as_deref()), (303, Some(LINK)), "{}", answer.text);
    answer.cookie.unwrap()
}

#[test]
fn one_answer_for_each_pending_link_is_passed_on() {
    let mut served = Served::start(busy());
    let cookie = begin(&served);
    let bring = |served: &Served, query: &str| {
        get(served, &format!("{CALLBACK}{query}"), &[("Cookie", &cookie)])
    };
    for (query, status) in [
        ("", 400),
        ("?code=c", 400),
        ("?code=c&state=", 400),
        ("?code=c&state=forged", 400),
        ("?code=c&state=the-stat", 400),
        ("?code=c&state=the-state&state=the-state", 400),
        ("?code=c&code=d&state=the-state", 400),
        ("?state=the-state", 400),
    ] {
        let answer = bring(&served, query);
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        assert!(served.passed_on().is_none(), "{query} was passed on");
        assert!(answer.text.contains("<p class=\"words\""), "in words: {}", answer.text);
    }
    served.take_all(Ok(()), None);
    let whole = "?state=the-state&code=c%26d";
    let taken = bring(&served, whole);
    assert_eq!(taken.status, 200, "{}", taken.text);
    assert!(taken.text.contains("Thank you"), "{}", taken.text);
    assert!(!taken.text.contains("c&amp;d") && !taken.text.contains("the-state"), "{}", taken.text);
    assert_eq!(bring(&served, whole).status, 410);
    served.show(read(vec![("home", up(vec![entry("netatmo", "Climate")]))]));
    assert_eq!(bring(&served, whole).status, 410);
}

#[test]
fn who_consented_is_not_thanked_where_the_account_was_not_linked() {
    let mut served = Served::start(busy());
    let cookie = begin(&served);
    let why = "the provider refused the client: its secret is wrong";
    served.take_all(Ok(()), Some(why));
    let whole = format!("{CALLBACK}?state=the-state&code=c");
    for _ in 0..2 {
        let answer = get(&served, &whole, &[("Cookie", &cookie)]);
        assert_eq!(answer.status, 502, "{}", answer.text);
        assert!(answer.text.contains(why) && !answer.text.contains("Thank"), "{}", answer.text);
    }
}

#[test]
fn what_was_done_is_shown_with_its_commit() {
    let served = Served::start(busy());
    let page = visit(&served.url("/")).text;
    let (newer, older) = page.split_once("create spotify").unwrap();
    assert!(newer.contains("it answered 500"), "the newest first: {page}");
    assert!(older.contains("the target has none yet · commit <code>4f5c0a</code>"), "{page}");
    let status = visit(&served.url("/api/v1/status")).value();
    let [failed, done] = status["history"].as_array().unwrap().as_slice() else {
        panic!("{status}")
    };
    assert_eq!(
        (&failed["result"], &failed["error"]),
        (&json!("failed"), &json!("it answered 500"))
    );
    assert_eq!(done["commit"], json!({"id": "4f5c0a", "modified": false}));
    assert_eq!(done["reasons"], json!(["not_observed"]));
}

#[test]
fn an_answer_is_passed_on_as_it_came() {
    let mut served = Served::start(busy());
    let url = served.url(&format!("{CALLBACK}?state=the-state&error=access_denied"));
    let cookie = begin(&served);
    let browser =
        std::thread::spawn(move || send("GET", &url, &[("Cookie", &cookie)], None).unwrap());
    let passed = loop {
        if let Some(passed) = served.passed_on() {
            break passed;
        }
        std::thread::yield_now();
    };
    assert_eq!(passed.target.as_str(), "home");
    assert_eq!(passed.answer.query, "state=the-state&error=access_denied");
    passed.answer.taken(Err(HandOverError::Refused("it was <too> late".to_owned())));
    let answer = browser.join().unwrap();
    assert_eq!(answer.status, 502);
    assert!(answer.text.contains("it was &lt;too&gt; late"), "{}", answer.text);
}

/// Brings an answer by the form that asks whose it is.
fn vouch(served: &Served, token: &str, headers: &[(&str, &str)]) -> Answer {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let headers: Vec<_> = form.iter().chain(headers).copied().collect();
    let body = format!("query=state%3Dthe-state%26code%3Dc&token={token}");
    send("POST", &served.url(CALLBACK), &headers, Some(body)).unwrap()
}

#[test]
fn an_answer_belongs_to_the_browser_that_began_its_consent() {
    let mut served = Served::with(busy(), Rules { token: Some(TOKEN), ..Rules::default() });
    assert_eq!(get(&served, "/consent?target=home&key=climate", &[]).status, 401);
    let session = log_in(&served, TOKEN, &[]).cookie.unwrap();
    let began = |key: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = [("Cookie", &*session)].iter().chain(headers).copied().collect();
        get(&served, &format!("/consent?target=home&key={key}"), &headers)
    };
    let own = began("climate", &[("Sec-Fetch-Site", "same-origin")]);
    assert_eq!((own.status, own.location.as_deref()), (303, Some(LINK)));
    for site in ["cross-site", "same-site"] {
        let lured = began("climate", &[("Sec-Fetch-Site", site)]);
        assert_eq!((lured.status, lured.cookie), (403, None), "{site}");
    }
    for (key, status) in [("calendar", 404), ("family", 404), ("nobody", 404)] {
        assert_eq!(began(key, &[]).status, status, "{key}");
    }

    let answer = format!("{CALLBACK}?state=the-state&code=c");
    let forged = own.cookie.as_ref().unwrap().split('=').next().unwrap().to_owned() + "=forged";
    for headers in [&[][..], &[("Cookie", "other=1")], &[("Cookie", &*forged)]] {
        let asked = get(&served, &answer, headers);
        assert_eq!(asked.status, 403, "{}", asked.text);
        assert!(asked.text.contains("That was me") && asked.text.contains("Climate"));
    }
    let evil = [("Origin", "https://evil.example"), ("Cookie", &session)];
    assert_eq!(vouch(&served, "", &evil).status, 403);
    assert_eq!(vouch(&served, "", &[]).status, 401);
    assert_eq!(vouch(&served, "a-wrong-token-of-length", &[]).status, 401);
    assert!(served.passed_on().is_none());

    served.take_all(Ok(()), None);
    let vouched = vouch(&served, "", &[("Cookie", &session)]);
    assert_eq!(vouched.location.as_deref(), Some("callback?state=the-state&code=c"));
    let bound = [("Cookie", vouched.cookie.as_deref().unwrap())];
    assert_eq!(get(&served, &answer, &bound).status, 200);
    let again = get(&served, &answer, &[("Cookie", own.cookie.as_deref().unwrap())]);
    assert_eq!(again.status, 410);
}

#[test]
fn it_ends_though_somebody_holds_on() {
    let served = Served::start(busy());
    let address = (Ipv4Addr::LOCALHOST, served.port);
    let idle = TcpStream::connect(address).unwrap();
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(b"GET / HTT").unwrap();
    served.end();
    assert!(TcpStream::connect(address).is_err());
    drop((idle, slow));
}
