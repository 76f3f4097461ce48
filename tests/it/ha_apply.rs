//! The main job on a running Home Assistant.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project, Ran, age_identity, encrypt};

/// A house in Git: its age key is in the environment, its target by `HASS_SERVER`.
pub(crate) struct House {
    pub(crate) project: Project,
    pub(crate) identity: String,
    recipient: age::x25519::Recipient,
}

impl House {
    pub(crate) fn new() -> Self {
        let (identity, recipient) = age_identity();
        let project = Project::new();
        project.write("appcred.yaml", "owner: default\n");
        Self { project, identity, recipient }
    }

    /// A project file with which secrets can be encrypted.
    pub(crate) fn project_file(&self) -> String {
        format!("owner: default\nage: {{recipients: [{}]}}\n", self.recipient)
    }

    /// An entry whose integration is left alone.
    pub(crate) fn entry(&self, domain: &str, name: &str, client_id: &str, secret: &str) -> String {
        self.entry_with_integration(domain, name, client_id, secret)
            + "    integration: {setup: false}\n"
    }

    /// An entry, as somebody writes it.
    pub(crate) fn entry_with_integration(
        &self,
        domain: &str,
        name: &str,
        client_id: &str,
        secret: &str,
    ) -> String {
        let armored = encrypt(secret, &self.recipient);
        let armored = armored.trim_end().replace('\n', "\n      ");
        format!(
            "  - domain: {domain}\n    name: {name}\n    client_id: {client_id}\n    client_secret: |\n      {armored}\n"
        )
    }

    pub(crate) fn declare(&self, entries: &[String]) {
        let list = if entries.is_empty() { " []\n" } else { "\n" };
        let text = format!("application_credentials:{list}{}", entries.concat());
        self.project.write("credentials/all.yaml", &text);
    }

    /// Gives the house's key to a run.
    pub(crate) fn with_key(&self, appcred: Appcred) -> Appcred {
        appcred.env("APPCRED_AGE_IDENTITY", &self.identity)
    }

    pub(crate) fn appcred(&self, ha: &HomeAssistant) -> Appcred {
        self.with_key(Appcred::new().in_dir(self.project.path()))
            .env("HASS_SERVER", ha.url())
            .env("HASS_TOKEN", ha.token())
    }

    #[track_caller]
    pub(crate) fn apply(&self, ha: &HomeAssistant) -> Ran {
        self.appcred(ha).args(["apply", "--yes"]).run()
    }
}

fn by_client<'a>(credentials: &'a [Value], client_id: &str) -> Vec<&'a Value> {
    credentials.iter().filter(|credential| credential["client_id"] == client_id).collect()
}

fn foreign(ha: &HomeAssistant) -> Value {
    ha.create_credential(json!({"domain": "spotify", "client_id": "by-hand", "client_secret": "theirs", "name": "Mine"}))
}

each_release!(ha_holds_what_git_wants_and_foreign_ones_stay);
fn ha_holds_what_git_wants_and_foreign_ones_stay(release: Release) {
    let ha = HomeAssistant::start(release);
    let foreign = foreign(&ha);
    let house = House::new();
    house.declare(&[house.entry("spotify", "Family", "family", "first")]);
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(2).run();
    house.apply(&ha);

    let held = ha.credentials();
    let [made] = by_client(&held, "family")[..] else { panic!("{held:?}") };
    assert_eq!((&made["client_secret"], &made["name"]), (&json!("first"), &json!("Family")));
    assert_eq!(made["auth_domain"], "appcred:default:family");
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();

    house.declare(&[house.entry("spotify", "Family", "family", "second")]);
    house.apply(&ha);
    let held = ha.credentials();
    let [made] = by_client(&held, "family")[..] else { panic!("{held:?}") };
    assert_eq!(made["client_secret"], "second");

    house.declare(&[house.entry("twitch", "Other", "other", "third")]);
    house.apply(&ha);
    let held = ha.credentials();
    assert!(by_client(&held, "family").is_empty(), "{held:?}");
    assert_eq!(by_client(&held, "other").len(), 1);

    house.declare(&[]);
    let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
    assert!(ran.stdout.contains("--allow-empty"), "{}", ran.stdout);
    assert_eq!(ha.credentials().len(), 2);
    house.appcred(&ha).args(["apply", "--yes", "--allow-empty"]).run();
    assert_eq!(ha.credentials(), [foreign]);
}

each_release!(ha_rotation_reloads_the_linked_account_and_keeps_it_loaded);
fn ha_rotation_reloads_the_linked_account_and_keeps_it_loaded(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("linked_account", "Anna", "anna", "first")]);
    house.apply(&ha);
    let entry = ha.link_by_hand("linked_account", "appcred:default:anna");
    assert_eq!(ha.state_of(&entry), "loaded");

    house.declare(&[house.entry("linked_account", "Anna", "anna", "second")]);
    let ran = house.apply(&ha);

    assert!(ran.stdout.contains("# reloads the linked account"), "{}", ran.stdout);
    assert_eq!(ha.state_of(&entry), "loaded");
    let held = ha.credentials();
    let [made] = by_client(&held, "anna")[..] else { panic!("{held:?}") };
    assert_eq!(made["client_secret"], "second");

    house.declare(&[house.entry("linked_account", "Ben", "ben", "third")]);
    let ran = house.apply(&ha);
    assert!(ran.stdout.contains("not done: delete linked_account \"Anna\""), "{}", ran.stdout);
    assert_eq!(by_client(&ha.credentials(), "anna").len(), 1, "it is in use");
}

each_release!(ha_credential_made_by_hand_is_shadowed_when_adopted);
fn ha_credential_made_by_hand_is_shadowed_when_adopted(release: Release) {
    let ha = HomeAssistant::start(release);
    let made = ha.create_credential(
        json!({"domain": "linked_account", "client_id": "anna", "client_secret": "old"}),
    );
    let id = made["id"].as_str().unwrap();
    let entry = ha.link_by_hand("linked_account", id);
    let house = House::new();
    house.declare(&[house.entry("linked_account", "Anna", "anna", "new")]);
    let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();
    assert!(ran.stdout.contains("--adopt"), "{}", ran.stdout);
    assert_eq!(ha.credentials(), slice(&made));

    house.appcred(&ha).args(["apply", "--yes", "--adopt"]).run();

    let held = ha.credentials();
    assert_eq!(held.len(), 3, "the one made by hand, the claim and the shadow: {held:?}");
    assert_eq!((&held[2]["auth_domain"], &held[2]["client_secret"]), (&json!(id), &json!("new")));
    assert_eq!(ha.state_of(&entry), "loaded");
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
    let list = house.appcred(&ha).args(["list"]).run().stdout;
    assert!(list.contains("shadowed") && list.contains("in sync"), "{list}");
}

fn slice(value: &Value) -> &[Value] {
    std::slice::from_ref(value)
}

/// Many entries, in plain text so that making them is quick.
fn many(house: &House, count: usize) {
    let mut text = "application_credentials:\n".to_owned();
    for number in 0..count {
        writeln!(text, "  - {{domain: spotify, name: Client {number}, client_id: client-{number}, client_secret: secret-{number}, integration: {{setup: false}}}}")
        .unwrap();
    }
    house.project.write("appcred.yaml", "owner: default\nallow_plaintext: true\n");
    house.project.write("credentials/all.yaml", &text);
}

each_release!(ha_apply_killed_at_any_time_is_finished_by_the_next);
fn ha_apply_killed_at_any_time_is_finished_by_the_next(release: Release) {
    let ha = HomeAssistant::start(release);
    let foreign = foreign(&ha);
    let house = House::new();
    many(&house, 3_000);
    for pause in [60, 90, 120, 150, 180] {
        let running = house.appcred(&ha).args(["apply", "--yes", "--format", "json"]).spawn();
        thread::sleep(Duration::from_millis(pause));
        running.signal(Signal::KILL);
        running.finish();
    }
    house.apply(&ha);

    let held = ha.credentials();
    assert_eq!(held.len(), 3_001, "each once, and the foreign one");
    assert_eq!(held[0], foreign);
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_two_applies_at_once_create_everything_once);
fn ha_two_applies_at_once_create_everything_once(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    many(&house, 500);
    let running: Vec<_> = (0..3)
        .map(|_| house.appcred(&ha).args(["apply", "--yes", "--format", "json"]).spawn())
        .collect();
    for running in running {
        let ran = running.finish();
        assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(ha.credentials().len(), 500);
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_credential_without_a_secret_is_named_and_the_others_go_on);
fn ha_credential_without_a_secret_is_named_and_the_others_go_on(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotify", "Family", "family", "first")]);
    foreign(&ha);
    house.apply(&ha);
    ha.stop();
    let file = ha.config_dir().join(".storage/application_credentials");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"theirs\"", "null")).unwrap();
    ha.start_again();
    let ran = house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
    assert!(ran.stderr.contains("spotify_by_hand has no secret"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("left alone"), "{}", ran.stderr);
    assert_eq!(ha.credentials()[0]["client_secret"], Value::Null);
}

each_release!(ha_apply_interrupted_tells_what_was_not_done);
fn ha_apply_interrupted_tells_what_was_not_done(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    many(&house, 20_000);
    let running = house.appcred(&ha).args(["apply", "--yes", "--format", "json"]).spawn();
    while ha.credentials().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::INT);
    let ran = running.finish();

    assert_eq!(ran.status, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("Interrupted"), "{}", ran.stderr);
    let held = ha.credentials().len();
    assert!(held < 20_000, "it was not interrupted");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let steps = report["targets"][0]["steps"].as_array().unwrap();
    let told = |outcome: &str| steps.iter().filter(|step| step["outcome"] == outcome).count();
    assert_eq!((told("done"), told("not_begun")), (held, 20_000 - held));
}

each_release!(ha_that_is_down_does_not_stop_the_others);
fn ha_that_is_down_does_not_stop_the_others(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    let targets = format!(
        "targets:\n  down: {{url: \"http://127.0.0.1:9\", token: !env_var HASS_TOKEN}}\n  \
         folder: {{config_dir: ha}}\n  up: {{url: \"{}\", token: !env_var HASS_TOKEN}}\n",
        ha.url()
    );
    house.project.write("appcred.yaml", &targets);
    house.declare(&[house.entry("spotify", "Family", "family", "first")]);

    let ran = house.appcred(&ha).args(["apply", "--yes"]).status(1).run();

    assert!(ran.stdout.contains("cannot reach http://127.0.0.1:9"), "{}", ran.stdout);
    assert_eq!(ha.credentials().len(), 1);
    assert!(house.project.join("ha/.storage/application_credentials").exists());
    house
        .appcred(&ha)
        .args(["plan", "--detailed-exitcode", "-t", "up", "-t", "folder"])
        .status(0)
        .run();
}

each_release!(ha_that_has_only_begun_to_start_is_waited_for);
fn ha_that_has_only_begun_to_start_is_waited_for(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotify", "Family", "family", "first")]);
    house.apply(&ha);
    ha.stop();
    ha.begin_again();
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_that_does_not_know_an_integration_is_told_with_its_line);
fn ha_that_does_not_know_an_integration_is_told_with_its_line(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotfy", "Family", "family", "first")]);
    let ran = house.appcred(&ha).args(["plan"]).status(1).run();
    assert!(ran.stdout.contains("did you mean `spotify`?"), "{}", ran.stdout);
    assert!(ran.stdout.contains("credentials/all.yaml:2:13"), "{}", ran.stdout);

    house.declare(&[house.entry("linked_account", "Known to it alone", "family", "first")]);
    house.appcred(&ha).args(["plan"]).run();
}

each_release!(ha_refuses_a_wrong_token_and_a_guest);
fn ha_refuses_a_wrong_token_and_a_guest(release: Release) {
    let ha = HomeAssistant::start(release);
    let house = House::new();
    house.declare(&[house.entry("spotify", "Family", "family", "first")]);
    let ran = house.appcred(&ha).env("HASS_TOKEN", "wrong").args(["plan"]).status(1).run();
    assert!(ran.stdout.contains("refused the access token; it is from "), "{}", ran.stdout);
    for words in ["plan", "apply --yes", "list", "doctor", "snapshot"] {
        let appcred = house.appcred(&ha).env("HASS_TOKEN", ha.guest_token());
        let ran = appcred.args(words.split(' ')).status(1).run();
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("is not an administrator's; it is from "), "{words}: {said}");
        assert!(said.contains("(profile, Long-lived access tokens)"), "{words}: {said}");
    }
}
