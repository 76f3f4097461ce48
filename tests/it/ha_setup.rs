//! What `apply` does about integrations: as far as the consent link, and on from there.

use serde_json::json;

use crate::forms::check_own;
use crate::linking::{Linking, link};
use crate::real::{Release, each_release};

const APPLY: &[&str] = &["apply", "--yes"];

each_release!(ha_set_up_stops_at_consent_and_the_next_run_finds_the_account_linked);
fn ha_set_up_stops_at_consent_and_the_next_run_finds_the_account_linked(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);

    let applied = linking.json(APPLY);

    let consent = link(&applied);
    let redirect = format!("{}/auth/external/callback", linking.ha.url());
    assert_eq!(applied["steps"][1]["waits_for"]["redirect_uri"], redirect);
    assert_eq!(linking.set_up("anna"), json!({"state": "in_progress"}));
    let list = linking.appcred(&["list"]).run().stdout;
    assert!(list.contains("`appcred authorize anna` continues it"), "{list}");
    let plan = linking.appcred(&["plan", "--detailed-exitcode"]).status(2).run().stdout;
    assert!(plan.contains("> continue to set up") && !plan.contains("continues it"), "{plan}");
    let without = ["plan", "--no-setup", "--detailed-exitcode"];
    let plan = linking.appcred(&without).status(0).run().stdout;
    assert!(plan.contains("`appcred authorize anna` continues it"), "{plan}");
    let tests = linking.appcred(&["plan", "--format", "junit"]).run().stdout;
    assert_eq!(tests.matches("name=\"anna\"").count(), 1, "one entry is one test: {tests}");

    let again = linking.appcred(&["apply", "--yes", "--show-links"]).run();
    assert!(again.stdout.contains(&consent), "the same flow goes on\n{}", again.stdout);
    linking.consent(&consent);
    // What only reads does not finish it: the code may be another's to take.
    for verb in ["plan", "list", "snapshot"] {
        linking.appcred(&[verb]).run();
    }
    assert!(linking.accounts("linked_account").is_empty());
    assert!(linking.provider.token_log().is_empty());
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();

    assert_eq!(linking.provider.token_log().len(), 1, "the code is taken once");
    assert_eq!(linking.account("linked_account")["state"], "loaded");
    assert_eq!(linking.set_up("anna"), json!({"state": "loaded"}));
    let list = linking.appcred(&["list"]).run().stdout;
    let is_linked = |line: &str| line.trim_end().ends_with(" linked");
    assert!(list.lines().any(is_linked) && !list.contains(&consent), "{list}");
    assert_eq!(linking.apply().stdout.lines().count(), 2, "nothing is left to do");
}

each_release!(ha_two_accounts_of_one_integration_are_each_bound_to_their_own_credential);
fn ha_two_accounts_of_one_integration_are_each_bound_to_their_own_credential(release: Release) {
    let linking = Linking::new(release);
    let entries = [
        linking.entry("linked_account", "Anna", "anna", "first"),
        linking.entry("linked_account", "Ben", "ben", "second"),
    ];
    linking.house.declare(&entries);
    let applied = linking.json(APPLY);
    for step in
        applied["steps"].as_array().unwrap().iter().filter(|step| step["action"] == "set_up")
    {
        linking.consent(step["waits_for"]["link"].as_str().unwrap());
    }
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();

    let accounts = linking.accounts("linked_account");
    let bound: Vec<_> = accounts
        .iter()
        .map(|account| (account["title"].as_str().unwrap(), linking.client_of(account)))
        .collect();
    let mut bound: Vec<_> = bound.iter().map(|(title, client)| (*title, client.as_str())).collect();
    bound.sort_unstable();
    assert_eq!(bound, [("Anna", "anna"), ("Ben", "ben")]);
}

each_release!(ha_keeps_no_more_notes_than_there_are_set_ups_at_once);
fn ha_keeps_no_more_notes_than_there_are_set_ups_at_once(release: Release) {
    let linking = Linking::new(release);
    let anna = linking.entry("linked_account", "Anna", "anna", "first");
    let without = format!("{anna}    integration: {{setup: false}}\n");
    for _ in 0..3 {
        linking.house.declare(std::slice::from_ref(&anna));
        link(&linking.json(APPLY));
        linking.house.declare(std::slice::from_ref(&without));
        linking.apply();
    }
    let kept = linking.ha.call(json!({"type": "frontend/get_user_data"})).unwrap();
    let notes: Vec<_> = kept["value"].as_object().unwrap().iter().collect();
    // Home Assistant deletes no key.
    let of_flows = notes.iter().filter(|(key, _)| key.contains("#flow"));
    assert_eq!(of_flows.clone().count(), 1, "{kept}");
    assert!(of_flows.clone().all(|(_, value)| value.is_null()), "{kept}");
}

// As after a way back to an older release.
each_release!(ha_notes_that_home_assistant_cannot_read_are_not_taken_for_none);
fn ha_notes_that_home_assistant_cannot_read_are_not_taken_for_none(release: Release) {
    let mut linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.ha.stop();
    let files = linking.ha.config_dir().join(".storage").read_dir().unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    let notes = files.find(|file| file.to_str().unwrap().contains("frontend.user_data_")).unwrap();
    let written = std::fs::read_to_string(&notes).unwrap();
    let newer = written.replacen("\"version\": 1", "\"version\": 9", 1);
    assert_ne!(newer, written);
    std::fs::write(&notes, newer).unwrap();
    linking.ha.start_again();
    for verb in [&["plan"][..], APPLY] {
        let ran = linking.appcred(verb).status(1).run();
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("cannot read what it keeps for the user of the token"), "{said}");
    }
    assert_eq!(linking.open_flows(), [] as [serde_json::Value; 0]);
    linking.ha.stop();
    std::fs::write(&notes, written).unwrap();
    linking.ha.start_again();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_entry_that_wants_no_set_up_never_asks_for_consent);
fn ha_entry_that_wants_no_set_up_never_asks_for_consent(release: Release) {
    let linking = Linking::new(release);
    let anna = linking.entry("linked_account", "Anna", "anna", "first");
    let without = format!("{anna}    integration: {{setup: false}}\n");
    linking.house.declare(std::slice::from_ref(&without));
    linking.apply();
    assert_eq!(linking.open_flows(), [] as [serde_json::Value; 0]);
    assert_eq!(linking.set_up("anna")["state"], "not_wanted");

    linking.house.declare(std::slice::from_ref(&anna));
    linking.consent(&link(&linking.json(APPLY)));
    linking.apply();
    linking.house.declare(&[without]);
    let account = linking.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
    linking.ha.ask_again(&account);
    let asked = linking.open_flows();
    assert_eq!(linking.json(APPLY)["steps"], json!([]), "Home Assistant alone asks");
    let ran = linking.appcred(&["authorize", "anna", "--no-browser"]).status(1).run();
    let why = format!(
        "home: anna is linked (\"Anna\", {account}): Home Assistant asks for consent again"
    );
    assert!(ran.stdout.starts_with(&why), "{}", ran.stdout);
    assert!(ran.stdout.contains("the entry says `setup: false`"), "{}", ran.stdout);
    assert_eq!(linking.open_flows(), asked);
    assert_eq!(linking.set_up("anna")["state"], "needs_consent_again");
}

each_release!(ha_form_after_consent_is_answered_from_the_entry_or_shown);
fn ha_form_after_consent_is_answered_from_the_entry_or_shown(release: Release) {
    let linking = Linking::new(release);
    let entry = linking.entry("linked_account_form", "Cabin", "cabin", "first");
    linking.house.declare(std::slice::from_ref(&entry));
    linking.consent(&link(&linking.json(APPLY)));

    let asked = linking.appcred(APPLY).status(1).run().stdout;
    for expected in ["home: one of \"Cabin\", \"House\", \"Sold\"", "nickname: text, optional"] {
        assert!(asked.contains(expected), "{asked}");
    }

    let answer = |home: &str| {
        format!("{entry}    integration: {{answers: {{home: {{home: {home}, nickname: Hut}}}}}}\n")
    };
    linking.house.declare(&[answer("Barn")]);
    let asked = linking.appcred(APPLY).status(1).run().stdout;
    assert!(asked.contains("home: it must be one of those offered"), "{asked}");
    linking.house.declare(&[answer("Sold")]);
    let asked = linking.appcred(APPLY).status(1).run().stdout;
    assert!(asked.contains("home: not_yours"), "{asked}");
    linking.house.declare(&[answer("Cabin")]);
    linking.apply();

    assert_eq!(linking.account("linked_account_form")["title"], "Cabin");
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_device_code_is_shown);
fn ha_device_code_is_shown(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account_device", "Tv", "tv", "first")]);
    let applied = linking.json(APPLY);
    let code = &applied["steps"][1]["waits_for"];
    assert_eq!(code["url"], format!("{}/device", linking.provider.url()), "{applied:#}");
    let code = code["code"].as_str().unwrap().to_owned();
    let shown = linking.appcred(&["apply", "--yes", "--show-links"]).run().stdout;
    assert!(shown.contains(&format!("type in {code}")), "{shown}");

    linking.provider.consent(&linking.provider.device_link(&code));

    crate::watch::eventually("it is linked", || {
        linking.apply();
        linking.json(&["plan"])["in_sync"] == true
    });
    assert_eq!(linking.account("linked_account_device")["state"], "loaded");
}

each_release!(ha_never_has_more_than_one_flow_of_an_entry_and_none_left_over);
fn ha_never_has_more_than_one_flow_of_an_entry_and_none_left_over(release: Release) {
    let mut linking = Linking::new(release);
    let anna = linking.entry("linked_account", "Anna", "anna", "first");
    let ben = linking.entry("linked_account", "Ben", "ben", "second");
    linking.house.declare(std::slice::from_ref(&anna));
    let first = link(&linking.json(APPLY));
    assert_eq!(link(&linking.json(APPLY)), first);

    let anna = linking.entry("linked_account", "Anna", "anna", "changed");
    linking.house.declare(std::slice::from_ref(&anna));
    let applied = linking.json(APPLY);
    let second = link(&applied);
    assert_ne!(second, first, "the flow holds the old secret");
    assert!(is_void(&linking, &first));

    linking.house.declare(&[ben]);
    let applied = linking.apply().stdout;
    assert!(applied.contains("abandon the set-up of linked_account"), "{applied}");
    assert!(is_void(&linking, &second));

    linking.house.declare(&[anna]);
    let third = link(&linking.json(APPLY));
    linking.ha.restart();
    let fourth = link(&linking.json(APPLY));
    assert_ne!(third, fourth, "it died with Home Assistant");
    linking.consent(&fourth);
    linking.apply();
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

/// Whether a consent comes too late.
fn is_void(linking: &Linking, link: &str) -> bool {
    let back = linking.provider.consent(link).location.unwrap();
    crate::real::visit(&back).status >= 400
}

each_release!(ha_refused_consent_and_a_wrong_secret_are_reported_in_words);
fn ha_refused_consent_and_a_wrong_secret_are_reported_in_words(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let refused = linking.provider.refuse(&link(&linking.json(APPLY))).location.unwrap();
    crate::real::visit(&refused);
    let applied = linking.appcred(APPLY).status(1).run().stdout;
    let why = "consent was refused at the provider (user_rejected_authorize)";
    assert!(applied.contains(why), "{applied}");

    let consent = link(&linking.json(APPLY));
    linking.provider.client("anna", "another");
    linking.consent(&consent);
    let applied = linking.appcred(APPLY).status(1).run().stdout;
    assert!(applied.contains("client id or secret is wrong"), "{applied}");
    let applied = linking.apply().stdout;
    assert!(applied.contains("waiting for consent"), "it is tried again\n{applied}");
    assert!(linking.accounts("linked_account").is_empty());
}

each_release!(ha_links_and_codes_are_in_no_log_unless_asked_for);
fn ha_links_and_codes_are_in_no_log_unless_asked_for(release: Release) {
    let linking = Linking::new(release);
    let device = linking.entry("linked_account_device", "Tv", "tv", "first");
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first"), device]);
    let applied = linking.json(APPLY);
    let steps = applied["steps"].as_array().unwrap();
    let code = steps.iter().find_map(|step| step["waits_for"]["code"].as_str()).unwrap();
    let shows = |text: &str| text.contains("state=") || text.contains(code);

    let file = linking.house.project.join("report");
    let in_file = format!("={}", file.display());
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        for format in ["text", "json", "markdown", "github", "gitlab", "junit", "sarif"] {
            let to_file = format!("{format}{in_file}");
            let ran = linking.appcred(verb).args(["--format", format, "--format", &to_file]).run();
            for text in [&ran.stdout, &ran.stderr, &std::fs::read_to_string(&file).unwrap()] {
                assert!(!shows(text), "{verb:?} {format}: {text}");
            }
        }
    }
    let asked = linking.appcred(APPLY).args(["--show-links"]).env("CI", "true");
    assert!(shows(&asked.run().stdout));
    for format in ["text", "json"] {
        let ran = linking.appcred(&["list", "--format", format]).run();
        assert!(!shows(&ran.stdout), "{}", ran.stdout);
    }
    let applied = linking.appcred(APPLY).args(["--format", "json"]).run().stdout;
    assert!(applied.contains("\"hidden\": \"not_asked\""), "{applied}");
    check_own("plan.schema.json", &serde_json::from_str(&applied).unwrap());

    let port = crate::real::free_port().to_string();
    for ci in ["true", "false"] {
        let authorize = linking.appcred(&["authorize", "--no-browser", "--port", &port]);
        let ran = authorize.env("CI", ci).status(1).run();
        assert!(!shows(&ran.stdout) && ran.stdout.contains("--show-links"), "{}", ran.stdout);
    }
}

each_release!(ha_links_are_shown_on_a_terminal_and_not_in_ci_nor_to_whoever_is_not_logged_in);
fn ha_links_are_shown_on_a_terminal_and_not_in_ci_nor_to_whoever_is_not_logged_in(
    release: Release,
) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry("linked_account", "Anna", "anna", "first")]);
    let shown = linking.appcred(APPLY).on_terminal().run().stdout;
    assert!(shown.contains("/authorize?") && shown.contains("state="), "{shown}");
    let in_ci = linking.appcred(APPLY).on_terminal().env("CI", "true").run().stdout;
    assert!(in_ci.contains("waiting for consent") && !in_ci.contains("state="), "{in_ci}");
    for verb in ["plan", "list"] {
        let shown = linking.appcred(&[verb]).on_terminal().run().stdout;
        assert!(shown.contains("being set up") && !shown.contains("state="), "{shown}");
    }

    linking.house.project.write("token", "0123456789abcdef\n");
    let url = format!("http://127.0.0.1:{}", crate::real::free_port());
    let listen = format!("--listen={}", url.trim_start_matches("http://"));
    let running = linking.appcred(&["watch", &listen, "--token-file", "token"]).spawn();
    let bearer = [("Authorization", "Bearer 0123456789abcdef")];
    let page = |headers: &[(&str, &str)]| {
        let page = crate::real::send("GET", &format!("{url}/api/v1/status"), headers, None);
        page.map(|page| page.text).unwrap_or_default()
    };
    crate::watch::eventually("it waits", || page(&bearer).contains("waiting_for_consent"));
    assert!(page(&bearer).contains("state="));
    for path in ["", "/api/v1/status", "/metrics", "/api/v1/snapshot", "/readyz"] {
        let answer = crate::real::visit(&format!("{url}{path}"));
        assert!(!answer.text.contains("state="), "{path}: {}", answer.text);
    }
    running.signal(rustix::process::Signal::TERM);
    let ran = running.finish();
    assert!(!ran.stderr.contains("state="), "{}", ran.stderr);
}
