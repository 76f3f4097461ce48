//! Manifests from what a target holds: afterwards the plan has nothing to do, another house gets the
//! same, and nothing in plain text was ever written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::real::{HomeAssistant, Release, each_release, sops};
use crate::shell::{Appcred, Project, Ran, age_identity};

/// How every secret here begins.
const MARK: &str = "m4rk3d-";

/// A project without an entry, whose age key is in the environment.
struct Empty {
    project: Project,
    identity: String,
    recipient: String,
}

impl Empty {
    fn new(targets: &str) -> Self {
        let (identity, recipient) = age_identity();
        let recipient = recipient.to_string();
        let text =
            format!("owner: house\ntargets: {targets}\nage: {{recipients: [{recipient}]}}\n");
        Self { project: Project::new().file("appcred.yaml", &text), identity, recipient }
    }

    /// One whose target is a folder that holds this.
    fn with_folder(items: &[Value]) -> Self {
        let empty = Self::new("{lab: {config_dir: ha}}");
        empty.hold(items);
        empty
    }

    fn hold(&self, items: &[Value]) {
        let accounts = json!({"version": 1, "data": {"entries": []}});
        self.project.write("ha/.storage/core.config_entries", &accounts.to_string());
        let stored = json!({
            "version": 1, "minor_version": 1, "key": "application_credentials",
            "data": {"items": items},
        });
        self.project.write("ha/.storage/application_credentials", &stored.to_string());
    }

    fn appcred(&self) -> Appcred {
        Appcred::new()
            .in_dir(self.project.path())
            .env("SOPS_AGE_KEY", &self.identity)
            .env("HASS_TOKEN", "none")
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.appcred().args(arguments).run()
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.project.join(file)).unwrap()
    }
}

/// The second file is larger than a file may be here.
#[test]
fn an_import_that_cannot_write_one_file_writes_none_and_the_next_completes_it() {
    let mut items = vec![item("spotify_a", "spotify", "a", None)];
    items.extend((0..12).map(|n| item(&format!("twitch_{n}"), "twitch", &format!("b{n}"), None)));
    let empty = Empty::with_folder(&items);
    let limited = "trap '' XFSZ; ulimit -f 4; exec \"$0\" import --yes";
    let ran = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_appcred")])
        .current_dir(empty.project.path())
        .env_clear()
        .env("HOME", empty.project.path())
        .env("SOPS_AGE_KEY", &empty.identity)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    let printed = "error: nothing was taken over: run `appcred import` again: cannot write credentials/twitch.yaml: ";
    assert!(said.contains(printed), "{said}");
    assert!(!empty.project.join("credentials/spotify.yaml").exists());
    assert!(!empty.project.join("credentials/twitch.yaml").exists());
    empty.run(&["import", "--yes"]);
    assert_eq!(empty.text("credentials/twitch.yaml").matches("domain: twitch").count(), 12);
    empty.run(&["plan", "--detailed-exitcode"]);
    search(empty.project.path(), false);
}

fn item(id: &str, domain: &str, client_id: &str, name: Option<&str>) -> Value {
    let mut item = json!({
        "id": id, "domain": domain, "client_id": client_id,
        "client_secret": format!("{MARK}{client_id}"),
    });
    if let Some(name) = name {
        item["name"] = name.into();
    }
    item
}

/// Fails where a file below a folder holds a secret in plain text. HA's own may, and what was to replace it
/// when a run was killed.
fn search(folder: &Path, is_killed: bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        let is_own = path.ends_with(".storage/application_credentials")
            || is_killed && name.starts_with(".application_credentials.");
        if path.is_dir() {
            search(&path, is_killed);
        } else if !is_own {
            let text = fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&text).contains(MARK), "{}", path.display());
        }
    }
}

/// What a house has, HA's own ids aside.
fn content(credentials: &[Value]) -> BTreeSet<String> {
    let told = |held: &Value| {
        // What had none has that of the integration, which Home Assistant shows where an entry has none.
        let name = held["name"].as_str().or(held["domain"].as_str());
        format!("{} {} {} {name:?}", held["domain"], held["client_id"], held["client_secret"])
    };
    credentials.iter().map(told).collect()
}

/// Thirty, as years leave them behind: names twice, none, odd ones, ids that look like numbers, one
/// that HA took from YAML, another owner's, one whose manifest is lost.
fn thirty() -> Vec<Value> {
    let mut all: Vec<Value> = (0..22)
        .map(|number| {
            let domain = ["spotify", "twitch", "linked_account"][number % 3];
            let name = format!("Client {}", number / 6);
            item("", domain, &format!("client-{number}"), Some(&name))
        })
        .collect();
    all.extend([
        item("", "spotify", "0123", Some("# \"odd\": {näme}, !secret 🏠")),
        item("", "spotify", "1e3", Some("true")),
        item("", "spotify", "a: b #c", Some("- x")),
        item("", "twitch", "nameless", None),
        item("", "linked_account", "anna", Some("Anna")),
        item("", "linked_account", "yaml", Some("Import from configuration.yaml")),
        item("", "twitch", "cabin", Some("Cabin")),
        item("", "twitch", "lost", Some("Lost")),
    ]);
    let count = all.len();
    for (at, auth_domain) in
        [(3, "linked_account"), (2, "appcred:cabin:t"), (1, "appcred:house:lost-one")]
    {
        all[count - at]["auth_domain"] = auth_domain.into();
    }
    all
}

fn made_in(ha: &HomeAssistant, mut item: Value) -> Value {
    item.as_object_mut().unwrap().remove("id");
    ha.create_credential(item)
}

each_release!(ha_import_of_thirty_leaves_nothing_to_plan_and_makes_an_equal_house);
fn ha_import_of_thirty_leaves_nothing_to_plan_and_makes_an_equal_house(release: Release) {
    let ha = HomeAssistant::start(release);
    let made: Vec<Value> = thirty().into_iter().map(|item| made_in(&ha, item)).collect();
    let id_of = |client: &str| {
        let held = made.iter().find(|held| held["client_id"] == client).unwrap();
        held["id"].as_str().unwrap().to_owned()
    };
    let accounts = [
        ha.link_by_hand("linked_account", &id_of("anna")),
        ha.link_by_hand("linked_account", "linked_account"),
    ];
    let house =
        Empty::new(&format!("{{home: {{url: \"{}\", token: !env_var HASS_TOKEN}}}}", ha.url()));
    // Without this, `validate` would refuse the entries of that integration.
    let declared = house.text("appcred.yaml") + "custom_integrations: [linked_account]\n";
    house.project.write("appcred.yaml", &declared);
    let appcred = || house.appcred().env("HASS_TOKEN", ha.token());
    let ran = appcred().args(["import"]).status(1).run();
    assert!(ran.stderr.contains("pass --yes"), "{}", ran.stderr);
    assert_eq!(ha.credentials(), made);
    assert!(!house.project.join("credentials").exists());

    let ran = appcred().args(["import", "--yes", "-vv"]).run();

    assert!(
        ran.stdout.contains("Wrote 29 entries to credentials/linked_account.yaml, "),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("`cabin` manages it"), "{}", ran.stdout);
    assert!(!(ran.stdout + &ran.stderr).contains(MARK));
    search(house.project.path(), false);
    appcred().args(["plan", "--detailed-exitcode"]).status(0).run();
    let held = ha.credentials();
    assert_eq!(content(&held), content(&made));
    for (account, client) in accounts.iter().zip(["anna", "yaml"]) {
        let before = made.iter().find(|made| made["client_id"] == client).unwrap();
        assert!(held.contains(before), "it is in use and stays");
        assert_eq!(ha.state_of(account), "loaded");
    }
    let ours = held.iter().filter_map(|held| {
        held["auth_domain"].as_str().filter(|ours| ours.starts_with("appcred:house:"))
    });
    let (claims, marks): (Vec<&str>, Vec<&str>) =
        ours.partition(|ours| ours.matches(':').count() > 2);
    assert_eq!((claims.len(), marks.len()), (accounts.len(), 27), "{claims:?}");
    let ran = appcred().args(["import", "--yes"]).run();
    assert!(ran.stdout.ends_with("Nothing to import.\n"), "{}", ran.stdout);

    let fresh = HomeAssistant::start(release);
    let project = house.text("appcred.yaml").replace(&ha.url(), &fresh.url());
    house.project.write("appcred.yaml", &project);
    let appcred = || house.appcred().env("HASS_TOKEN", fresh.token());
    appcred().args(["apply", "--yes", "--no-setup"]).run();
    let without_cabin: Vec<Value> =
        made.into_iter().filter(|made| made["client_id"] != "cabin").collect();
    assert_eq!(content(&fresh.credentials()), content(&without_cabin));
    house.run(&["validate"]);
}

each_release!(ha_import_of_several_houses_becomes_entries_for_those_that_have_them);
fn ha_import_of_several_houses_becomes_entries_for_those_that_have_them(release: Release) {
    let other = if release == Release::Ha2024_3 { Release::Ha2026_11 } else { Release::Ha2024_3 };
    let houses = [release, other, release].map(HomeAssistant::start);
    let [first, second, third] = &houses;
    let client = |client: &str, secret: &str| {
        let mut item = item("", "linked_account", client, Some("Anna"));
        item["client_secret"] = format!("{MARK}{secret}").into();
        item
    };
    let of_first = made_in(first, client("anna", "one"));
    let of_second = made_in(second, client("anna", "one"));
    made_in(third, client("anna", "two"));
    for ha in &houses {
        made_in(ha, item("", "fitbit", "everywhere", Some("Steps")));
    }
    let account = |ha: &HomeAssistant, of: &Value| {
        ha.link_by_hand("linked_account", of["id"].as_str().unwrap())
    };
    let accounts = [account(first, &of_first), account(second, &of_second)];
    let target = |name: &str, ha: &HomeAssistant| {
        format!("{name}: {{url: \"{}\", token: !env_var {name}}}", ha.url())
    };
    let house = Empty::new(&format!(
        "{{{}, {}, {}}}",
        target("FIRST", first),
        target("SECOND", second),
        target("THIRD", third)
    ));
    let declared = house.text("appcred.yaml") + "custom_integrations: [linked_account]\n";
    house.project.write("appcred.yaml", &declared);
    let appcred = |arguments: &[&str]| {
        let appcred = house.appcred().env("FIRST", first.token()).env("SECOND", second.token());
        appcred.env("THIRD", third.token()).args(arguments)
    };
    let held: Vec<_> = houses.iter().map(HomeAssistant::credentials).collect();
    appcred(&["import", "--no-adopt", "--target=*"]).run();
    assert_eq!(houses.iter().map(HomeAssistant::credentials).collect::<Vec<_>>(), held);
    let written = house.text("credentials/linked_account.yaml");
    assert_eq!(written.matches("domain: ").count(), 2, "{written}");
    assert!(written.contains("targets:\n    - FIRST\n    - SECOND\n"), "{written}");
    assert!(written.contains("targets:\n    - THIRD\n"), "{written}");
    assert!(!house.text("credentials/fitbit.yaml").contains("targets:"));
    fs::remove_dir_all(house.project.join("credentials")).unwrap();

    let ran = appcred(&["import", "--yes", "--target=*"]).run();
    assert!(!(ran.stdout + &ran.stderr).contains(MARK));
    search(house.project.path(), false);
    appcred(&["plan", "--detailed-exitcode"]).status(0).run();
    for (ha, account) in houses.iter().zip(&accounts) {
        assert_eq!(ha.state_of(account), "loaded");
    }
    for (ha, before) in houses.iter().zip(&held) {
        assert_eq!(content(&ha.credentials()), content(before));
    }
    let ran = appcred(&["import", "--yes", "--target=*"]).run();
    assert!(ran.stdout.ends_with("Nothing to import.\n"), "{}", ran.stdout);
}

#[test]
fn entries_go_behind_those_that_are_there_and_every_byte_stays() {
    let house = Empty::with_folder(&[
        item("spotify_a", "spotify", "a", Some("Family")),
        item("spotify_b", "spotify", "b", Some("Family")),
    ]);
    house.run(&["import", "--yes", "--output", "credentials/all.yaml"]);
    let first = house.text("credentials/all.yaml").replace("# yaml", "# mine\n# yaml") + "# end\n";
    house.project.write("credentials/all.yaml", &first);
    house.hold(&[item("spotify_c", "spotify", "c", Some("Family"))]);
    let ran = house.run(&["import", "--yes", "--output", "credentials/all.yaml"]);
    let after = house.text("credentials/all.yaml");
    let (entries, end) = first.split_at(first.len() - "# end\n".len());
    assert!(after.starts_with(entries) && after.ends_with(end), "{after}");
    assert!(after.contains("key: spotify-family-2\n"), "{after}");
    assert!(ran.stdout.contains("Wrote 1 entry to credentials/all.yaml.\n"), "{}", ran.stdout);
}

#[test]
fn manifests_alone_leave_the_target_as_it_is_and_the_next_apply_adopts() {
    let house = Empty::with_folder(&[item("spotify_a", "spotify", "a", Some("Family"))]);
    let before = house.text("ha/.storage/application_credentials");
    let ran = house.run(&["import", "--no-adopt", "--output", "-"]);
    assert!(ran.stdout.starts_with("# yaml-language-server"), "{}", ran.stdout);
    assert!(!house.project.join("credentials").exists());
    house.run(&["import", "--no-adopt"]);
    assert_eq!(house.text("ha/.storage/application_credentials"), before);
    assert!(house.text("credentials/spotify.yaml").contains("adopt: true"));
    let ran = house.appcred().args(["plan", "--detailed-exitcode"]).status(2).run();
    assert!(ran.stdout.contains("Plan: 0 to create, 0 to replace, 1 to adopt"), "{}", ran.stdout);
    let ran = house.run(&["import", "--no-adopt"]);
    assert!(
        ran.stdout.contains("`appcred apply` takes over what manifests declare"),
        "{}",
        ran.stdout
    );
    house.run(&["apply", "--yes"]);
    house.run(&["plan", "--detailed-exitcode"]);
}

#[test]
fn what_a_run_cut_short_has_declared_is_taken_over_by_the_next() {
    let [one, other] = [("spotify", "a"), ("twitch", "b")]
        .map(|(domain, client)| item(&format!("{domain}_{client}"), domain, client, None));
    let house = Empty::with_folder(&[one, other]);
    house.run(&["import", "--no-adopt"]);
    let declared = house.text("credentials/spotify.yaml");
    let ran = house.run(&["import", "--yes", "--domain", "spotify"]);
    assert!(ran.stdout.contains("~ adopt spotify"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("Wrote") && !ran.stdout.contains("twitch"), "{}", ran.stdout);
    house.run(&["import", "--yes"]);
    house.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(house.text("credentials/spotify.yaml"), declared);
}

/// An import changes no secret: which of both is the newer one it cannot know.
#[test]
fn what_is_declared_with_another_secret_stays_as_it_is() {
    let house = Empty::with_folder(&[item("spotify_a", "spotify", "a", None)]);
    house.run(&["import", "--no-adopt"]);
    let file = "ha/.storage/application_credentials";
    let by_hand = house.text(file).replace("m4rk3d-a", "m4rk3d-by-hand");
    house.project.write(file, &by_hand);
    let ran = house.run(&["import", "--yes"]);
    assert!(ran.stdout.contains("Nothing to import."), "{}", ran.stdout);
    let said =
        "`spotify` stays as it is in `lab`, where its secret is another one than in its entry";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(house.text(file), by_hand);
}

#[test]
fn a_sops_manifest_takes_what_is_imported_by_its_own_rules() {
    let house = Empty::with_folder(&[item("spotify_a", "spotify", "a", Some("Family"))]);
    // Who keeps all under SOPS names no recipients to appcred.
    house.project.write("appcred.yaml", "owner: house\ntargets: {lab: {config_dir: ha}}\n");
    house.project.write("credentials/all.yaml", "# ours\napplication_credentials:\n    - domain: google\n      client_id: g\n      client_secret: m4rk3d-g\n");
    let rule = ["--encrypt", "--age", &house.recipient, "--encrypted-regex", "^client_secret$"];
    let rule = rule.iter().chain(&["credentials/all.yaml"]);
    let before = sops(house.project.path(), &house.identity, rule);
    house.project.write("credentials/all.yaml", &before);
    house.run(&["import", "--yes", "--output", "credentials/all.yaml"]);
    let after = house.text("credentials/all.yaml");
    search(house.project.path(), false);
    assert!(after.starts_with(&before[..before.find("sops:\n").unwrap()]), "{after}");
    let decrypt = ["--decrypt", "credentials/all.yaml"];
    let read = sops(house.project.path(), &house.identity, decrypt);
    assert!(read.contains("client_secret: m4rk3d-a"), "{read}");
    house.run(&["apply", "--yes"]);
    house.run(&["plan", "--detailed-exitcode"]);
}

#[test]
fn what_could_not_end_well_is_refused_before_anything_is_written() {
    let house = Empty::with_folder(&[item("spotify_a", "spotify", "a", None)]);
    let refused = |house: &Empty, arguments: &[&str]| {
        let all = ["import", "--yes"].iter().chain(arguments);
        let said = house.appcred().args(all).status(1).run().stderr;
        assert!(!house.project.join("credentials").exists(), "{said}");
        said
    };
    for file in ["elsewhere.yaml", "credentials/a.txt", "credentials/.a.yaml", "appcred.yaml"] {
        let said = refused(&house, &["--output", file]);
        assert!(said.contains("is not a place where appcred reads manifests"), "{said}");
    }
    assert!(refused(&house, &["--output", "-"]).contains("pass --no-adopt"));
    let no_recipient = house.text("appcred.yaml").replace(&house.recipient, "");
    house.project.write("appcred.yaml", &no_recipient);
    assert!(refused(&house, &[]).contains("there is no recipient"));
    let several = Empty::new("{lab: {config_dir: ha}, other: {config_dir: other}}");
    several.hold(&[item("spotify_a", "spotify", "a", None)]);
    assert!(refused(&several, &[]).contains("as in --target '*': lab, other"));
    several.run(&["import", "--yes", "--target", "lab"]);
    assert!(several.text("credentials/spotify.yaml").contains("targets:\n    - lab\n"));
    several.run(&["plan", "--detailed-exitcode"]);
}

/// Three houses of which two hold a client alike.
#[test]
fn what_several_targets_hold_alike_becomes_one_entry_for_them() {
    let house = Empty::new("{a: {config_dir: a}, b: {config_dir: b}, c: {config_dir: c}}");
    let hold = |target: &str, items: &[Value]| {
        let stored = json!({"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": items}});
        let accounts = json!({"version": 1, "data": {"entries": []}});
        house
            .project
            .write(&format!("{target}/.storage/core.config_entries"), &accounts.to_string());
        house
            .project
            .write(&format!("{target}/.storage/application_credentials"), &stored.to_string());
    };
    let netatmo = |id: &str| item(id, "netatmo", "n", Some("Weather"));
    let spotify = |client: &str| item("spotify_x", "spotify", client, Some("Family"));
    hold("a", &[netatmo("netatmo_n"), spotify("one")]);
    hold("b", &[netatmo("other_id"), spotify("one")]);
    hold("c", &[netatmo("netatmo_n"), spotify("two")]);
    house.run(&["import", "--yes", "--target", "*"]);
    let everywhere = house.text("credentials/netatmo.yaml");
    assert_eq!(everywhere.matches("domain: ").count(), 1, "{everywhere}");
    assert!(!everywhere.contains("targets:"), "{everywhere}");
    let spotify = house.text("credentials/spotify.yaml");
    assert_eq!(spotify.matches("domain: ").count(), 2, "{spotify}");
    assert!(spotify.contains("targets:\n    - a\n    - b\n"), "{spotify}");
    assert!(spotify.contains("targets:\n    - c\n"), "{spotify}");
    house.run(&["plan", "--detailed-exitcode"]);
    let again = house.run(&["import", "--yes", "--target", "*"]).stdout;
    assert!(again.ends_with("Nothing to import.\n"), "{again}");
}

#[test]
fn what_validate_would_refuse_is_left_out_with_the_reason() {
    let mut spaced = item("netatmo_e", "netatmo", "e", None);
    spaced["client_secret"] = " s ".into();
    let house = Empty::with_folder(&[
        spaced,
        item("spotify_a", "spotify", "a", Some("Family")),
        item("twitch_b", "twitch", "your-client-id", None),
        item("from_hacs_c", "from_hacs", "c", None),
        item("spotify_d", "spotify", "d", Some("two\u{200b}words")),
    ]);
    house.project.write("ha/custom_components/from_hacs/application_credentials.py", "");
    let ran = house.run(&["import", "--yes"]);
    assert!(ran.stdout.contains("Wrote 1 entry to credentials/spotify.yaml.\n"), "{}", ran.stdout);
    for why in [
        "placeholder",
        "`custom_integrations` in appcred.yaml",
        "hidden character U+200B",
        "begins or ends with white space",
    ] {
        assert!(ran.stdout.contains(why), "{why}: {}", ran.stdout);
    }
    house.run(&["validate"]);
    house.run(&["plan", "--detailed-exitcode"]);
}

#[test]
fn what_is_left_out_and_deleted_by_the_next_apply_is_said_to_be() {
    let mut marked = item("twitch_b", "twitch", "your-client-id", None);
    marked["auth_domain"] = "appcred:house:lost".into();
    let by_hand = item("spotify_c", "spotify", "your-client-id", None);
    let house = Empty::with_folder(&[item("spotify_a", "spotify", "a", None), marked, by_hand]);
    for import in [["import", "--yes"], ["import", "--yes"]] {
        let said = house.run(&import).stdout;
        let (_, twitch) = said.split_once("left out: twitch").unwrap();
        assert!(twitch.contains("the next `apply` deletes it"), "{said}");
        assert_eq!(said.matches("deletes it").count(), 1, "{said}");
    }
    let said = house.appcred().args(["plan", "--detailed-exitcode"]).status(2).run().stdout;
    assert!(said.contains("1 to delete"), "{said}");
    let kept = house.run(&["plan", "--prune", "none"]).stdout;
    assert!(kept.contains("not done: delete twitch"), "{kept}");
}

#[test]
fn another_owners_is_copied_only_when_asked_for() {
    let mut theirs = item("twitch_t", "twitch", "t", Some("Theirs"));
    theirs["auth_domain"] = "appcred:cabin:t".into();
    let house = Empty::with_folder(std::slice::from_ref(&theirs));
    assert!(house.run(&["import", "--yes"]).stdout.ends_with("Nothing to import.\n"));
    house.run(&["import", "--yes", "--other-owners"]);
    let held: Value =
        serde_json::from_str(&house.text("ha/.storage/application_credentials")).unwrap();
    let items = held["data"]["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]), (2, &theirs));
    assert_eq!(items[1]["auth_domain"], "appcred:house:theirs");
    house.run(&["plan", "--detailed-exitcode"]);
}

#[test]
fn killed_at_any_moment_files_are_whole_and_the_next_run_arrives() {
    let domains = ["spotify", "twitch", "netatmo", "fitbit", "google", "xbox", "withings"];
    let items: Vec<Value> = (0..70)
        .map(|number| {
            let domain = domains[number % domains.len()];
            item(&format!("{domain}_{number}"), domain, &number.to_string(), None)
        })
        .collect();
    let mut was_cut = 0;
    for pause in (0..400).step_by(16) {
        let house = Empty::with_folder(&items);
        let before = "application_credentials: []  # mine\n";
        house.project.write("credentials/google.yaml", before);
        let running = house.appcred().args(["import", "--yes"]).spawn();
        thread::sleep(Duration::from_millis(pause));
        running.signal(Signal::KILL);
        let ran = running.finish();
        search(house.project.path(), true);
        house.run(&["validate"]);
        let google = house.text("credentials/google.yaml");
        assert!(google == before || google.matches("- domain: google").count() == 10, "{google}");
        // What was declared before the kill is taken over too.
        house.run(&["import", "--yes"]);
        house.run(&["plan", "--detailed-exitcode"]);
        search(house.project.path(), false);
        was_cut += usize::from(ran.status.is_none());
        if ran.status.is_some() {
            break;
        }
    }
    assert!(was_cut > 0, "no run was cut short");
}

#[test]
fn a_secret_in_a_name_is_neither_written_nor_printed() {
    let items = [
        json!({"id": "a", "domain": "fitbit", "client_id": "x2", "client_secret": "x2S3cret0", "name": "x1S3cret0"}),
        json!({"id": "b", "domain": "fitbit", "client_id": "x1", "client_secret": "x1S3cret0", "name": "my x1S3cret0 app"}),
        json!({"id": "c", "domain": "spotify", "client_id": "x3", "client_secret": "p/q+S3cret9", "name": "p q s3cret9"}),
        json!({"id": "d", "domain": "twitch", "client_id": "x4", "client_secret": "d1ff3rent-one", "name": "Twitch"}),
    ];
    let empty = Empty::with_folder(&items);
    let ran = empty.run(&["import", "--yes"]);
    let said = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!(said.matches("would hold a client secret").count(), 3, "{said}");
    let files = fs::read_dir(empty.project.join("credentials")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["twitch.yaml"]);
    assert!(!empty.text("credentials/twitch.yaml").to_lowercase().contains("s3cret"));
    empty.appcred().args(["validate"]).run();
}

#[test]
fn a_secret_in_a_name_is_in_nothing_that_is_printed_or_kept_of_a_target() {
    let items = [
        json!({"id": "a", "domain": "fitbit", "client_id": "x1", "client_secret": "x1S3cret0", "name": "my x1S3CRET0 app"}),
        json!({"id": "b", "domain": "spotify", "client_id": "x2", "client_secret": "x2S3cret0", "name": "x2S3cret0"}),
    ];
    let empty = Empty::with_folder(&items);
    let entry = "application_credentials:\n  - {domain: fitbit, name: App, adopt: true, client_id: x1, client_secret: !file ../secret}\n";
    empty.project.write("credentials/fitbit.yaml", entry);
    empty.project.write("secret", "x1S3cret0");
    let hidden = "(a name with a client secret in it)";
    for verb in [
        &["list"] as &[&str],
        &["list", "--format", "json"],
        &["plan", "-v"],
        &["plan", "--format", "json"],
        &["plan", "--format", "markdown"],
        &["snapshot", "--output", "snapshot.json"],
        &["apply", "--yes"],
    ] {
        let ran = empty.run(verb);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.to_lowercase().contains("s3cret"), "{verb:?}: {said}");
        assert!(verb[0] != "list" || said.contains(hidden), "{verb:?}: {said}");
    }
    let snapshot = empty.text("snapshot.json");
    assert!(snapshot.contains(hidden) && !snapshot.to_lowercase().contains("s3cret"), "{snapshot}");
    // It is taken over with the name of its entry, and then nothing is left to do.
    empty.run(&["plan", "--detailed-exitcode"]);
}

#[test]
fn a_project_file_in_error_is_what_an_import_reports() {
    let empty = Empty::with_folder(&[]);
    empty.project.write("appcred.yaml", "x: [\n");
    let ran = empty.appcred().args(["import", "--yes"]).status(1).run();
    assert!(
        ran.stderr.contains("never closed") && !ran.stderr.contains("recipient"),
        "{}",
        ran.stderr
    );
}
