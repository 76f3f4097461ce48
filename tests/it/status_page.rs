//! The status page, as somebody sees it in a real browser.

use std::fs;
use std::path::Path;

use appcred::model::{
    Commit, ConsentLink, DeviceCode, FieldKind, FlowField, FlowForm, FlowStep, Secret,
};
use appcred::plan::{SetupState, Why};
use appcred::status::{EntryStatus, Holding, Link, Mode, SetUpStatus, Status};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::real::{Browser, visit};
use crate::serving::{
    Rules, Served, broken, consent, difference, down, entry, nothing, read, refused, set_up, step,
    up, waiting,
};

const ESCAPE: char = '\u{e00c}';
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// A house with something of everything.
fn busy() -> Status {
    let hidden = ConsentLink::new(Secret::new("https://p.example/?secret=m4rk3d-link"), true);
    let code = DeviceCode {
        url: "https://microsoft.com/devicelogin".to_owned(),
        code: "ABCD-EFGH".to_owned(),
    };
    let link = "https://accounts.spotify.com/authorize?client_id=4f5c0a&redirect_uri=https%3A%2F%2Fha.example%3A8123%2Fauth%2Fexternal%2Fcallback&state=eyJhbGciOiJIUzI1NiIs";
    let form = FlowForm {
        step: "home".to_owned(),
        fields: vec![FlowField {
            name: "home".to_owned(),
            kind: FieldKind::Choice(vec![json!("Cabin"), json!("House")]),
            required: true,
        }],
        errors: Default::default(),
    };
    let mut home = up(vec![
        entry("google", "Google Calendar"),
        entry("netatmo", "Netatmo"),
        EntryStatus {
            set_ups: vec![SetUpStatus {
                error: Some("the provider refused the client: its secret is wrong".to_owned()),
                ..set_up(SetupState::NotSetUp, None)
            }],
            ..entry("withings", "Scales")
        },
        waiting("spotify", "Spotify (family)", consent(link)),
        waiting("home_connect", "Oven", FlowStep::Consent(hidden)),
        waiting("microsoft_graph", "Mail", FlowStep::Progress(Some(code))),
        waiting("geocaching", "Caches", FlowStep::Form(form)),
        EntryStatus {
            holding: Holding::Withheld(Why::TooManyDeletes { planned: 12, allowed: 3 }),
            set_ups: Vec::new(),
            ..entry("twitch", "Live")
        },
    ]);
    home.differences = vec![
        difference("delete spotify \"Old account\"", Some(Why::PruneOff), false),
        difference("create twitch \"Live\"", None, true),
    ];
    home.foreign = 2;
    let mut lab = up((1..=6).map(|nth| entry("lyric", &format!("Thermostat {nth}"))).collect());
    lab.address = "./ha-config".to_owned();
    lab.mode = Mode::Report;
    lab.link = Link::Up { version: None, since: lab.last_reconcile.unwrap() };
    for entry in &mut lab.entries {
        entry.set_ups = Vec::new();
    }
    let why = "cannot reach https://cabin.example:8123: dns error: failed to look up address information: Name or service not known";
    let mut cabin = down(why);
    cabin.entries = vec![entry("netatmo", "Weather"), waiting("spotify", "Den", consent(link))];
    let barn = refused(vec![entry("google", "Barn calendar")]);
    with_history(broken(read(vec![("home", home), ("lab", lab), ("cabin", cabin), ("barn", barn)])))
}

/// A step that was done and one that failed, from a commit and beyond it.
fn with_history(mut status: Status) -> Status {
    status.manifests.commit = Some(Commit { id: "4f5c0a9b21d3".into(), is_modified: true });
    for (what, error) in [
        ("create spotify \"Family\"", None),
        ("create twitch \"Live\"", Some("Home Assistant answered 500")),
    ] {
        status.history.record(step(what, error, Some("4f5c0a9b21d3")));
    }
    status
}

/// Several houses with hundreds of entries, few of which need attention.
fn many() -> Status {
    let house = |name: &str| {
        let entries = (0..200).map(|nth| match nth % 50 {
            7 => EntryStatus {
                holding: Holding::Differs,
                ..entry("netatmo", &format!("{name} {nth}"))
            },
            _ => entry("spotify", &format!("{name} {nth}")),
        });
        up(entries.collect())
    };
    read(["alpha", "beta", "gamma", "delta"].map(|name| (name, house(name))).to_vec())
}

fn calm(count: usize) -> Status {
    read(vec![(
        "home",
        up((0..count).map(|nth| entry("spotify", &format!("Account {nth}"))).collect()),
    )])
}

fn screen(browser: &Browser, width: u32, scheme: &str) {
    let size =
        json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
    browser.devtools("Emulation.setDeviceMetricsOverride", size);
    let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    browser.devtools("Emulation.setEmulatedMedia", feature);
}

/// Keeps what is seen where somebody asks for it, to be looked at.
fn picture(browser: &Browser, name: &str) {
    #[expect(clippy::disallowed_methods, reason = "how a test is told to keep what it sees")]
    let Some(folder) = std::env::var_os("APPCRED_PICTURES") else { return };
    let wanted = json!({"captureBeyondViewport": true, "format": "png"});
    let taken = browser.devtools("Page.captureScreenshot", wanted);
    let bytes = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
    fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
}

#[track_caller]
fn assert_fits(browser: &Browser, what: &str) {
    let wide = "[...document.querySelectorAll('body *')].filter(it => it.getBoundingClientRect().right > innerWidth + 1 && !it.closest('pre')).map(it => it.outerHTML.slice(0, 80))";
    assert_eq!(browser.value(wide), json!([]), "{what}");
    assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true, "{what}");
}

#[test]
fn it_fits_every_screen_and_breaks_no_rule() {
    let served = Served::start(nothing());
    let browser = Browser::start();
    for (name, status) in [
        ("fresh", nothing()),
        ("empty", read(Vec::new())),
        ("calm", calm(6)),
        ("hundred", calm(100)),
        ("busy", busy()),
        ("many", many()),
    ] {
        served.show(status);
        browser.go_to(&served.url("/"));
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
            screen(&browser, width, scheme);
            assert_fits(&browser, &format!("{name} at {width}"));
            picture(&browser, &format!("{name}-{width}-{scheme}"));
        }
    }
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_redirect_uri_is_copied() {
    let served = Served::start(busy());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    let uri = "https://ha.example:8123/auth/external/callback";
    browser.value("document.querySelector('#waiting details').open = true");
    let permission = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    browser.devtools("Browser.grantPermissions", permission);
    browser.click("#waiting .copy");
    browser.page_with("Copied.");
    assert_eq!(browser.value("String(getSelection())"), uri);
    assert_eq!(browser.value("navigator.clipboard.readText()"), uri);
}

/// The number of elements that were ever loaded tells a page that was loaded anew.
const MARK: &str = "(window.seen ??= Math.random())";

#[test]
fn it_follows_without_being_loaded_anew() {
    let served = Served::start(calm(3));
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("Everything is in sync.");
    // What was to come and has passed is not said to be past.
    let due = "[...document.querySelectorAll('time[data-due]')].map(it => it.textContent)";
    assert_eq!(browser.value(due), json!(["now"]));
    let seen = browser.value(MARK);
    browser.value("document.getElementById('target-home').open = false");
    browser.value("document.querySelector('#target-home > summary').focus()");

    served.show(busy());

    browser.page_with("1 target cannot be reached");
    browser.page_with("Consent at accounts.spotify.com");
    assert_eq!(browser.value("document.getElementById('words').role"), "status");
    assert_eq!(browser.value("document.activeElement.id"), "target-home-summary");
    assert_eq!(browser.value("document.getElementById('target-home').open"), false);
    assert_eq!(browser.value("document.querySelectorAll('.target').length"), 4);
    browser.value("document.querySelector('#waiting a.button').focus()");
    let focused = browser.value("document.activeElement.id");

    let mut calmer = busy();
    calmer.manifests = calm(1).manifests;
    calmer.targets.retain(|name, _| name.as_str() == "home");
    served.show(calmer);

    browser.wait_until("document.querySelectorAll('.target').length == 1");
    assert_eq!(browser.value("document.activeElement.id"), focused);
    assert_eq!(browser.value("document.querySelectorAll('pre').length"), 0);
    assert_eq!(browser.value(MARK), seen);
    assert_eq!(browser.console(), Vec::<String>::new());

    let order = "[...document.querySelectorAll('tbody tr')].map(it => it.id)";
    let shown = browser.value(order);
    browser.go_to(&served.url("/"));
    assert_eq!(browser.value(order), shown, "what was changed in place is what is made anew");
    served.end();
    browser.page_with("appcred does not answer; this is how it was.");
}

#[test]
fn it_works_without_a_script() {
    let served = Served::start(busy());
    let browser = Browser::with(&["--blink-settings=scriptEnabled=false"]);
    browser.go_to(&served.url("/"));
    browser.page_with("Consent at accounts.spotify.com");
    browser.page_with("2026-11-24 17:05:00 UTC");
    served.show(calm(3));
    browser.page_with("Everything is in sync.");
}

#[test]
fn what_was_done_is_on_the_page_the_newest_first() {
    let served = Served::start(busy());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("2 steps, the last one");
    browser.value("document.getElementById('history').open = true");
    let steps =
        browser.value("[...document.querySelectorAll('#history li')].map(it => it.innerText)");
    let steps: Vec<&str> = steps.as_array().unwrap().iter().filter_map(|it| it.as_str()).collect();
    let [failed, done] = steps[..] else { panic!("{steps:?}") };
    for text in ["create twitch \"Live\"", "Home Assistant answered 500"] {
        assert!(failed.contains(text), "{failed}");
    }
    for text in ["create spotify \"Family\"", "commit 4f5c0a9b21d3"] {
        assert!(done.contains(text), "{done}");
    }
}

#[test]
fn the_keyboard_reaches_consent_and_folds() {
    let served = Served::start(nothing());
    let link = served.url("/nowhere?state=s");
    let target = up(vec![waiting("spotify", "Family", consent(&link))]);
    served.show(read(vec![("home", target)]));
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("Consent at 127.0.0.1");
    browser.press(TAB);
    let href = browser.value("document.activeElement.getAttribute('href')");
    assert_eq!(href, "consent?target=home&key=family");
    let outline = browser.value("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "where one is can be seen");
    browser.press(TAB);
    browser.press(ENTER);
    assert_eq!(browser.value("document.getElementById('target-home').open"), false);
    browser.click("#waiting a.button");
    browser.go_on_in(1);
    browser.page_with("There is nothing here.");
}

#[test]
fn the_title_and_the_icon_say_how_it_is() {
    let served = Served::start(nothing());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    let icon = "document.querySelector('link[rel=icon]').getAttribute('href')";
    let waits = |name: &str| waiting("spotify", name, consent("https://a.example/?state=s"));
    let mut icons = std::collections::BTreeSet::new();
    for (status, title) in [
        (nothing(), "Starting · appcred"),
        (calm(3), "In sync · appcred"),
        (read(vec![("home", up(vec![waits("A"), waits("B")]))]), "2 waiting · appcred"),
        (read(vec![("home", refused(Vec::new()))]), "1 problem · appcred"),
        (busy(), "5 problems, 4 waiting · appcred"),
    ] {
        served.show(status);
        browser.wait_until(&format!("document.title == '{title}'"));
        let followed = browser.value(icon);
        icons.insert(followed.to_string());
        browser.go_to(&served.url("/"));
        assert_eq!(browser.value("document.title"), title, "without the script");
        assert_eq!(browser.value(icon), followed, "{title}");
    }
    assert_eq!(icons.len(), 4, "one for each tone: {icons:?}");
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_target_that_is_not_reached_is_grey_and_says_so_once() {
    let entries = (0..12).map(|nth| entry("spotify", &format!("Account {nth}"))).collect();
    let mut away = down("cannot reach it: no route to host");
    away.entries = entries;
    let served = Served::start(read(vec![("cabin", away)]));
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("12 entries, as last seen");
    let said =
        "document.querySelector('#targets').innerText.match(/unreachable|reach it/gi).length";
    assert_eq!(browser.value(said), 3, "the state, since when, and why");
    let rows =
        "[...document.querySelectorAll('tbody tr')].filter(row => row.checkVisibility()).length";
    assert_eq!(browser.value(rows), 0);
    let colour = |selector: &str, of: &str| {
        browser.value(&format!("getComputedStyle(document.querySelector('{selector}')).{of}"))
    };
    let grey = colour(".soft", "color");
    assert_eq!(colour(".target > summary .badge", "color"), grey);
    browser.click(".inner > summary");
    assert_eq!(browser.value(rows), 12);
    assert_eq!(colour("td .badge", "color"), grey);
}

#[test]
fn hundreds_of_entries_are_filtered_by_the_keyboard_alone() {
    let served = Served::start(many());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("196 more entries in sync, and nothing to be done");
    let rows =
        "[...document.querySelectorAll('tbody tr')].filter(row => row.checkVisibility()).length";
    assert_eq!(browser.value(rows), 16, "what is well is folded");
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.id"), "filter-words");
    "beta 11".chars().for_each(|key| browser.press(key));
    browser.page_with("11 of 800 entries");
    assert_eq!(browser.value(rows), 11);
    let targets =
        "[...document.querySelectorAll('.target')].filter(it => it.checkVisibility()).length";
    assert_eq!(browser.value(targets), 1);

    // What is shown anew is filtered too, and nobody is thrown out of the field.
    let mut changed = many();
    changed.targets.retain(|name, _| name.as_str() != "delta");
    served.show(changed);
    browser.page_with("11 of 600 entries");
    assert_eq!(browser.value("document.activeElement.id"), "filter-words");
    assert_eq!(browser.value(rows), 11);

    browser.press(ESCAPE);
    browser.wait_until(&format!("{rows} == 12"));
    browser.press(TAB);
    browser.press(' ');
    browser.page_with("12 of 600 entries");
    assert_eq!(browser.console(), Vec::<String>::new());
}

/// Asserts that axe finds no fault in what a browser shows.
#[track_caller]
fn assert_accessible(browser: &Browser, what: &str) {
    let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/target/axe/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(axe).unwrap();
    // As an extension does it, past the page's own policy.
    browser.devtools("Runtime.evaluate", json!({"expression": axe}));
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light")] {
        screen(browser, width, scheme);
        let run = "axe.run().then(ran => JSON.stringify(ran.violations.map(it => [it.id, it.nodes.map(node => node.html)])))";
        let asked = json!({"expression": run, "awaitPromise": true});
        let found = browser.devtools("Runtime.evaluate", asked);
        assert_eq!(found["result"]["value"], "[]", "{what} at {width}, {scheme}");
    }
}

#[test]
fn the_other_pages_look_and_read_like_it() {
    let rules = Rules { token: Some("a-token-of-some-length"), ..Rules::default() };
    let link = "https://a.example/authorize?state=the-state";
    let target = up(vec![waiting("spotify", "Family", consent(link))]);
    let served = Served::with(read(vec![("home", target)]), rules);
    let browser = Browser::start();
    for (path, said) in [
        ("/", "Token"),
        ("/auth/external/callback?state=the-state&code=c", "That was me"),
        ("/auth/external/callback?state=other&code=c", "Not expected"),
        ("/auth/external/callback?state=the-state", "Incomplete"),
    ] {
        browser.go_to(&served.url(path));
        browser.page_with(said);
        assert_fits(&browser, path);
        let headings = "document.querySelectorAll('h1').length + ' ' + document.querySelectorAll('header.top img').length";
        assert_eq!(browser.value(headings), "1 1", "{path}");
        assert_accessible(&browser, path);
        picture(&browser, &format!("other-{}", said.replace(' ', "-")));
    }
}

#[test]
fn a_screen_reader_finds_its_way() {
    let served = Served::start(nothing());
    let browser = Browser::start();
    for (name, status) in [("empty", read(Vec::new())), ("busy", busy())] {
        served.show(status);
        browser.go_to(&served.url("/"));
        let fold = "document.querySelectorAll('details').forEach(it => it.open = true)";
        browser.value(fold);
        assert_accessible(&browser, name);
    }
    let tree = browser.devtools("Accessibility.getFullAXTree", json!({}));
    let seen: Vec<(&str, &str)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| Some((node["role"]["value"].as_str()?, node["name"]["value"].as_str()?)))
        .collect();
    for expected in [
        ("main", ""),
        ("banner", ""),
        ("heading", "Waiting for you"),
        ("heading", "cabin"),
        ("link", "Consent at accounts.spotify.com for Spotify (family) at home, in a new tab"),
        ("table", "Entries of home"),
        ("columnheader", "Credential"),
        ("rowheader", "Scales scales"),
        ("cell", "in sync"),
    ] {
        assert!(seen.contains(&expected), "{expected:?} in {seen:?}");
    }
}

#[test]
fn one_logs_in_by_the_form() {
    let rules = Rules { token: Some("a-token-of-some-length"), ..Rules::default() };
    let served = Served::with(busy(), rules);
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("Token");
    picture(&browser, "login");
    for (token, expected) in [
        ("wrong", "That is not the token."),
        ("a-token-of-some-length", "1 target cannot be reached"),
    ] {
        browser.value(&format!("document.getElementById('token').value = '{token}'"));
        browser.click("button[type=submit]");
        browser.page_with(expected);
    }
    browser.click(".quiet");
    browser.page_with("Token");
    assert_eq!(served.url("/"), browser.page_with("Token"));
}

#[test]
fn ten_thousand_entries_are_shown_in_part() {
    let many = |count| {
        read(vec![(
            "home",
            up((0..count).map(|nth| entry("spotify", &format!("Account {nth}"))).collect()),
        )])
    };
    let served = Served::start(many(10_000));
    let page = visit(&served.url("/"));
    assert!(page.text.len() < 200_000, "{} bytes", page.text.len());
    let browser = Browser::start();
    browser.go_to(&served.url("/"));
    browser.page_with("… and 9800 more, none of which needs attention");
    assert_eq!(browser.value("document.querySelectorAll('tbody tr').length"), 200);
    let houses: Vec<(String, _)> = (0..1_000)
        .map(|nth| {
            (format!("house-{nth:04}"), up(vec![entry("spotify", "A"), entry("netatmo", "B")]))
        })
        .collect();
    served.show(read(houses.iter().map(|(name, house)| (name.as_str(), house.clone())).collect()));
    browser.page_with("… and 800 more targets");
    picture(&browser, "fleet");
}
