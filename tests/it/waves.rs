//! Targets are changed in waves.

use std::fs;

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use serde_json::Value;

use crate::linking::{Linking, link};
use crate::real::{HomeAssistant, Release, each_release, free_port, send};
use crate::shell::{Appcred, Project, age_identity};
use crate::watch::{arrives, eventually};

const HOUSES: &str = "owner: house
allow_plaintext: true
targets:
  canary-1: {config_dir: canary-1, labels: {ring: canary}}
  canary-2: {config_dir: canary-2, labels: {ring: canary}}
  home-1: {config_dir: home-1}
  home-2: {config_dir: home-2}
  home-3: {config_dir: home-3}
policy:
  rollout:
    waves: [{match: {ring: canary}}, {max: 20%}]
";
const ENTRIES: &str = "application_credentials:
  - {domain: spotify, key: a, client_id: a, client_secret: xyzzy-a}
";
const NAMES: [&str; 5] = ["canary-1", "canary-2", "home-1", "home-2", "home-3"];

fn houses() -> Project {
    Project::new().file("appcred.yaml", HOUSES).file("credentials.yaml", ENTRIES)
}

fn appcred(project: &Project, arguments: &[&str]) -> Appcred {
    Appcred::new().in_dir(project.path()).args(arguments)
}

/// The houses that hold something of ours.
fn changed(project: &Project) -> Vec<&'static str> {
    let holds = |name: &&str| {
        let path = project.join(&format!("{name}/.storage/application_credentials"));
        fs::read_to_string(path).is_ok_and(|text| text.contains("appcred:house:a"))
    };
    NAMES.into_iter().filter(holds).collect()
}

/// Somebody has made a credential of the client by hand, so that a person must decide what becomes of it.
fn by_hand(project: &Project, house: &str) {
    let stored = r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": [
        {"id": "spotify_a", "domain": "spotify", "client_id": "a", "client_secret": "other", "name": "by hand"}]}}"#;
    let folder = project.join(&format!("{house}/.storage"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("application_credentials"), stored).unwrap();
}

#[test]
fn the_plan_shows_the_waves_and_apply_makes_them_one_after_the_other() {
    let project = houses();
    let plan = appcred(&project, &["plan"]).run();
    let waves = "Waves: 1 of 3: canary-1, canary-2; 2 of 3: home-1; 3 of 3: home-2, home-3.\n";
    assert!(plan.stdout.contains(waves), "{}", plan.stdout);
    let markdown = appcred(&project, &["plan", "--format=markdown"]).run();
    assert!(markdown.stdout.contains("Waves: 1 of 3: "), "{}", markdown.stdout);
    let json = appcred(&project, &["plan", "--format=json"]).run();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let waves: Vec<_> =
        json["targets"].as_array().unwrap().iter().map(|target| target["wave"].as_u64()).collect();
    assert_eq!(waves, [1, 1, 2, 3, 3].map(Some));
    let ran = appcred(&project, &["apply", "--yes"]).run();
    let done = "wave 1 of 3 is done (canary-1, canary-2).\nwave 2 of 3 is done (home-1).\n";
    assert!(ran.stderr.contains(done), "{}", ran.stderr);
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn what_goes_wrong_in_a_wave_keeps_those_after_it_as_they_are() {
    let project = houses();
    by_hand(&project, "canary-2");
    let ran = appcred(&project, &["apply", "--yes"]).status(1).run();
    assert_eq!(changed(&project), ["canary-1"]);
    let why = "create spotify \"spotify\" (credentials.yaml:2:6) is not done: spotify_a is a credential of this client that was made by hand (`adopt: true` in the entry, or --adopt, takes it over)";
    let said = format!(
        "error: wave 1 of 3 is not done: `canary-2` has failed: {why}; nothing was changed in 3 targets of the waves after it (home-1, home-2, home-3). Correct what is wrong, then apply again: what is done already stays."
    );
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    // Whoever plans or is asked knows that before anything is changed.
    let stop = format!("The waves after wave 1 of 3 will not begin: at `canary-2`, {why}.");
    assert!(ran.stdout.contains(&stop), "{}", ran.stdout);
    let plan = |format: &str| appcred(&project, &["plan", "--format", format]).run().stdout;
    assert!(plan("text").contains(&stop), "{}", plan("text"));
    assert!(plan("markdown").contains("The waves after wave 1 of 3 will not begin: "));
    let json: Value = serde_json::from_str(&plan("json")).unwrap();
    assert_eq!((&json["rollout"]["wave"], &json["rollout"]["message"]), (&1.into(), &stop.into()));
    assert_eq!(json["rollout"]["failed_target"], "canary-2");

    // Whoever names targets is asked for no wave that they are not about.
    appcred(&project, &["apply", "--yes", "--target=home-2"]).run();
    assert_eq!(changed(&project), ["canary-1", "home-2"]);

    fs::remove_dir_all(project.join("canary-2")).unwrap();
    let ran = appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(changed(&project), NAMES);
    assert!(!ran.stdout.contains("canary-1: 1 created"), "{}", ran.stdout);
}

#[test]
fn an_apply_that_a_wave_stops_says_so_in_its_reports() {
    let project = houses();
    by_hand(&project, "canary-2");
    let files = ["--format=markdown=said.md", "--format=junit=said.xml"];
    let apply = ["apply", "--yes", "--format=json", files[0], files[1]];
    let ran = appcred(&project, &apply).status(1).run();
    let said = |name: &str| fs::read_to_string(project.join(name)).unwrap();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rollout = &json["rollout"];
    assert_eq!((&rollout["wave"], &rollout["stopped"]), (&1.into(), &true.into()), "{json}");
    assert_eq!(rollout["failed_target"], "canary-2");
    let message = rollout["message"].as_str().unwrap();
    let line = "The waves after wave 1 of 3 did not begin: at `canary-2`, create spotify";
    assert!(message.starts_with(line), "{message}");
    let markdown = said("said.md");
    assert!(markdown.contains("The waves after wave 1 of 3 did not begin: "), "{markdown}");
    let junit = said("said.xml");
    let test = "the target is in wave 2 of 3: wave 1 is not done: `canary-2` has failed";
    assert!(junit.contains(test), "{junit}");

    fs::remove_dir_all(project.join("canary-2")).unwrap();
    let ran = appcred(&project, &apply).run();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(json["rollout"].is_null(), "{json}");
    assert!(!said("said.md").contains("did not begin"));
}

#[test]
fn what_is_kept_on_purpose_stops_no_wave() {
    let project = houses();
    appcred(&project, &["apply", "--yes"]).run();
    let entry = |secret: &str, rest: &str| {
        format!("  - {{domain: spotify, key: a, client_id: a, client_secret: {secret}, {rest}}}\n")
    };
    let entries = |secret: &str, rest: &str| {
        let canaries = entry(secret, &format!("targets: [canary-*]{rest}"));
        format!("application_credentials:\n{canaries}{}", entry(secret, "targets: [home-*]"))
    };
    let held = |house: &str| {
        fs::read_to_string(project.join(&format!("{house}/.storage/application_credentials")))
    };
    for (secret, rest, status) in
        [("xyzzy-b", ", protect: true", 1), ("xyzzy-c", ", suspend: true", 0)]
    {
        project.write("credentials.yaml", &entries(secret, rest));
        let plan = appcred(&project, &["plan"]).run();
        assert!(!plan.stdout.contains("will not begin"), "{}", plan.stdout);
        let ran = appcred(&project, &["apply", "--yes"]).status(status).run();
        assert!(!ran.stderr.contains("is not done: "), "{}", ran.stderr);
        assert!(held("canary-1").unwrap().contains("xyzzy-a"));
        assert!(held("home-3").unwrap().contains(secret), "{}", ran.stderr);
    }
}

#[test]
fn a_wave_of_suspended_targets_alone_is_warned_of() {
    let project = houses();
    let suspended =
        HOUSES.replace("labels: {ring: canary}}", "labels: {ring: canary}, suspend: true}");
    project.write("appcred.yaml", &suspended);
    let ran = appcred(&project, &["validate"]).run();
    let warning =
        "warning: all targets of this wave are suspended, so the next one begins without it";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    assert!(ran.stderr.contains("appcred.yaml:11:"), "{}", ran.stderr);
}

#[test]
fn in_a_pause_other_runs_may_change_a_target_and_what_they_change_is_seen() {
    let project = houses();
    project.write("appcred.yaml", &HOUSES.replace("{max: 20%}]", "{max: 20%}]\n    pause: 8s"));
    let running = appcred(&project, &["apply", "--yes"]).spawn();
    eventually("the first pause", || running.stderr().contains("wave 1 of 3 is done"));
    let urgent = appcred(&project, &["apply", "--yes", "--target=home-1,home-2"]).run();
    assert!(!urgent.stderr.contains("Waiting for"), "{}", urgent.stderr);
    assert_eq!(changed(&project), ["canary-1", "canary-2", "home-1", "home-2"]);
    let ran = running.finish();
    assert!(ran.stdout.contains("was changed while the waves before it"), "{}", ran.stdout);
    let stopped = "wave 2 of 3 is not done: `home-1` has failed";
    assert!(ran.stderr.contains(stopped), "{}", ran.stderr);
    assert!(!changed(&project).contains(&"home-3"));
    appcred(&project, &["apply", "--yes"]).run();
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn a_wave_without_work_stops_none_of_those_after_it() {
    let project = houses();
    let paused = HOUSES.replace("{max: 20%}]", "{max: 20%}]\n    pause: 1s");
    project.write("appcred.yaml", &paused);
    appcred(&project, &["apply", "--yes", "--target=home-1"]).run();
    assert_eq!(changed(&project), ["home-1"]);
    let ran = appcred(&project, &["apply", "--yes"]).run();
    assert!(ran.stderr.contains("wave 1 of 3 is done"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("wave 2 of 3"), "{}", ran.stderr);
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn after_a_pause_a_target_is_locked_that_the_project_no_longer_names() {
    let project = houses();
    let paused = HOUSES.replace("{max: 20%}]", "{max: 20%}]\n    pause: 3s");
    project.write("appcred.yaml", &paused);
    let state = tempfile::tempdir().unwrap();
    let running =
        appcred(&project, &["apply", "--yes"]).env("XDG_STATE_HOME", state.path()).spawn();
    eventually("the first pause", || running.stderr().contains("wave 1 of 3 is done"));
    project.write("appcred.yaml", &paused.replace("  home-1: {config_dir: home-1}\n", ""));
    let files = fs::read_dir(state.path().join("appcred/applying")).unwrap();
    let files: Vec<_> = files.map(|file| fs::File::open(file.unwrap().path()).unwrap()).collect();
    for file in &files {
        flock(file, FlockOperation::LockExclusive).unwrap();
    }
    eventually("it waits", || running.stderr().contains("Waiting for another appcred"));
    assert_eq!(changed(&project), ["canary-1", "canary-2"]);
    drop(files);
    running.finish();
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn an_interruption_while_another_run_holds_a_target_ends_the_wait() {
    let project = houses();
    project.write("appcred.yaml", &HOUSES.replace("{max: 20%}]", "{max: 20%}]\n    pause: 3s"));
    let state = tempfile::tempdir().unwrap();
    let running =
        appcred(&project, &["apply", "--yes"]).env("XDG_STATE_HOME", state.path()).spawn();
    eventually("the first pause", || running.stderr().contains("wave 1 of 3 is done"));
    let files = fs::read_dir(state.path().join("appcred/applying")).unwrap();
    let files: Vec<_> = files.map(|file| fs::File::open(file.unwrap().path()).unwrap()).collect();
    for file in &files {
        flock(file, FlockOperation::LockExclusive).unwrap();
    }
    eventually("it waits", || running.stderr().contains("Waiting for another appcred"));
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.stdout.matches("interrupted").count(), 3, "{}", ran.stdout);
    assert_eq!(changed(&project), ["canary-1", "canary-2"]);
}

#[test]
fn a_saved_plan_is_applied_in_the_waves_that_it_was_made_with() {
    let (identity, recipient) = age_identity();
    let age = format!("age: {{recipients: [{recipient}]}}\n");
    let with_waves = HOUSES.replace("allow_plaintext: true\n", &age);
    let without = with_waves.split("policy:").next().unwrap();
    let project =
        Project::new().file("appcred.yaml", &with_waves).file("credentials.yaml", ENTRIES);
    let appcred =
        |arguments: &[&str]| appcred(&project, arguments).env("APPCRED_AGE_IDENTITY", &identity);
    appcred(&["encrypt"]).run();
    let refused = |saved: &str, applied: &str, difference: &str| {
        project.write("appcred.yaml", saved);
        appcred(&["plan", "--out", "saved.plan"]).run();
        project.write("appcred.yaml", applied);
        let ran = appcred(&["apply", "saved.plan"]).status(1).run();
        assert!(ran.stderr.contains("the saved plan is out of date"), "{}", ran.stderr);
        assert!(ran.stderr.contains(difference), "{}", ran.stderr);
        assert!(changed(&project).is_empty());
    };
    refused(
        &with_waves,
        without,
        "home-2 and 1 other target: was planned in wave 3, and would be changed without waves now",
    );
    refused(
        without,
        &with_waves,
        "canary-1 and 1 other target: was planned without waves, and would be changed in wave 1 now",
    );
    project.write("appcred.yaml", &with_waves);
    appcred(&["plan", "--out", "saved.plan"]).run();
    appcred(&["apply", "saved.plan"]).run();
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn a_saved_plan_that_a_wave_has_stopped_needs_a_new_one() {
    let (identity, recipient) = age_identity();
    let age = format!("age: {{recipients: [{recipient}]}}\n");
    let with_waves = HOUSES.replace("allow_plaintext: true\n", &age);
    let project =
        Project::new().file("appcred.yaml", &with_waves).file("credentials.yaml", ENTRIES);
    by_hand(&project, "canary-2");
    let appcred =
        |arguments: &[&str]| appcred(&project, arguments).env("APPCRED_AGE_IDENTITY", &identity);
    appcred(&["encrypt"]).run();
    appcred(&["plan", "--out", "saved.plan"]).run();
    let stopped = appcred(&["apply", "saved.plan"]).status(1).run();
    let next = "Correct what is wrong, then save a new plan with `appcred plan --out saved.plan`, and apply that: what is done already stays.";
    assert!(stopped.stderr.contains(next), "{}", stopped.stderr);
    assert_eq!(changed(&project), ["canary-1"]);
    fs::remove_dir_all(project.join("canary-2/.storage")).unwrap();
    let again = appcred(&["apply", "saved.plan"]).status(1).run();
    assert!(again.stderr.contains("the saved plan is out of date"), "{}", again.stderr);
    appcred(&["plan", "--out", "saved.plan"]).run();
    appcred(&["apply", "saved.plan"]).run();
    assert_eq!(changed(&project), NAMES);
}

#[test]
fn a_suspended_target_takes_nobody_s_place_in_a_wave() {
    let project = houses();
    let suspended = HOUSES.replace("{config_dir: home-1}", "{config_dir: home-1, suspend: true}");
    project.write("appcred.yaml", &suspended);
    let plan = appcred(&project, &["plan"]).run();
    let waves = "2 of 3: home-2; 3 of 3: home-3.\n";
    assert!(plan.stdout.contains(waves), "{}", plan.stdout);
}

#[test]
fn an_interruption_in_a_pause_is_no_failure() {
    let project = houses();
    project.write("appcred.yaml", &HOUSES.replace("{max: 20%}]", "{max: 20%}]\n    pause: 1h"));
    let running = appcred(&project, &["apply", "--yes"]).spawn();
    eventually("the pause", || running.stderr().contains("the next one begins in 1 hour"));
    running.signal(Signal::INT);
    let ran = running.finish();
    assert!(!ran.stderr.contains("has failed"), "{}", ran.stderr);
    assert!(ran.stdout.contains("home-3: "), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("interrupted").count(), 3, "{}", ran.stdout);
    assert_eq!(changed(&project), ["canary-1", "canary-2"]);
}

/// A canary with a linked account, and a second Home Assistant whose wave is the next one.
struct Rings {
    canary: Linking,
    far: HomeAssistant,
    account: String,
}

impl Rings {
    fn new(release: Release) -> Self {
        let (canary, far) = (Linking::new(release), HomeAssistant::start(release));
        canary.provider.tokens_live(1);
        let project = format!(
            "{}targets:
  canary: {{url: \"{}\", token: !env_var CANARY, labels: {{ring: canary}}}}
  far: {{url: \"{}\", token: !env_var FAR}}
  folder: {{config_dir: folder}}
policy: {{rollout: {{waves: [{{match: {{ring: canary}}}}], pause: 1s}}}}
custom_integrations: [linked_account]
",
            canary.house.project_file(),
            canary.ha.url(),
            far.url()
        );
        canary.house.project.write("appcred.yaml", &project);
        let rings = Self { canary, far, account: String::new() };
        rings.declare("first");
        rings.canary.provider.client("anna", "first");
        let applied =
            rings.appcred(&["apply", "--yes", "--format=json", "--show-links"]).run().stdout;
        let applied: Value = serde_json::from_str(&applied).unwrap();
        rings.canary.consent(&link(&applied["targets"][0]));
        rings.appcred(&["apply", "--yes"]).run();
        let account =
            rings.canary.account("linked_account")["entry_id"].as_str().unwrap().to_owned();
        assert_eq!(rings.far.credentials()[0]["client_secret"], "first");
        Self { account, ..rings }
    }

    /// The entry is everywhere, and is set up in the canary alone.
    fn declare(&self, secret: &str) {
        let house = &self.canary.house;
        let entry = |key: &str, targets: &str| {
            house.entry_with_integration("linked_account", "Anna", "anna", secret)
                + &format!("    key: {key}\n    targets: [{targets}]\n")
        };
        let beyond = entry("beyond", "far, folder") + "    integration: {setup: false}\n";
        house.declare(&[entry("canary", "canary"), beyond]);
    }

    fn appcred(&self, arguments: &[&str]) -> Appcred {
        let house = &self.canary.house;
        let appcred = house.with_key(Appcred::new().in_dir(house.project.path()));
        let appcred = appcred.env("CANARY", self.canary.ha.token());
        appcred.env("FAR", self.far.token()).args(arguments)
    }

    fn folder(&self) -> String {
        let project = &self.canary.house.project;
        fs::read_to_string(project.join("folder/.storage/application_credentials")).unwrap()
    }
}

each_release!(ha_wrong_secret_stops_in_the_canary_and_nothing_beyond_is_touched);
fn ha_wrong_secret_stops_in_the_canary_and_nothing_beyond_is_touched(release: Release) {
    let rings = Rings::new(release);
    let (held, folder) = (rings.far.credentials(), rings.folder());
    rings.declare("wrong");
    let ran = rings.appcred(&["apply", "--yes"]).status(1).run();
    assert!(
        ran.stderr.contains("wave 1 of 2 is not done: `canary` has failed: "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("nothing was changed in 2 targets"), "{}", ran.stderr);
    assert_eq!((rings.far.credentials(), rings.folder()), (held, folder));
    assert_eq!(rings.canary.ha.state_of(&rings.account), "loaded");

    rings.canary.provider.client("anna", "second");
    rings.declare("second");
    let ran = rings.appcred(&["apply", "--yes"]).run();
    assert!(
        ran.stderr.contains("wave 1 of 2 is done (canary); the next one begins in 1 second"),
        "{}",
        ran.stderr
    );
    assert_eq!(rings.far.credentials()[0]["client_secret"], "second");
    assert_eq!(rings.canary.ha.state_of(&rings.account), "loaded");
    rings.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

each_release!(ha_watcher_that_starts_again_goes_on_with_the_waves);
fn ha_watcher_that_starts_again_goes_on_with_the_waves(release: Release) {
    let rings = Rings::new(release);
    let (held, folder) = (rings.far.credentials(), rings.folder());
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let watch = || rings.appcred(&["watch", "--listen", &listen]).spawn();
    let status = || {
        let answer = send("GET", &format!("http://{listen}/api/v1/status"), &[], None);
        answer.map_or(Value::Null, |answer| serde_json::from_str(&answer.text).unwrap_or_default())
    };
    let is_stopped = || status()["rollout"]["stopped"] == true;
    rings.declare("wrong");
    for _ in 0..2 {
        let running = watch();
        eventually("the rollout has stopped", is_stopped);
        assert_eq!(status()["rollout"]["failed_target"], "canary");
        let metrics = send("GET", &format!("http://{listen}/metrics"), &[], None).unwrap().text;
        assert!(metrics.contains("appcred_rollout_stopped{waves=\"2\"} 1"), "{metrics}");
        let page = send("GET", &format!("http://{listen}/"), &[], None).unwrap().text;
        assert!(page.contains("wave 1 of 2 has stopped the rollout"), "{page}");
        running.signal(Signal::TERM);
        let ran = running.finish();
        assert!(ran.stderr.contains("wave 1 of 2 has stopped the rollout: `canary` has failed"));
        assert_eq!((&rings.far.credentials(), &rings.folder()), (&held, &folder));
    }

    rings.canary.provider.client("anna", "second");
    rings.declare("second");
    // Interrupted between the waves, as soon as the first one is done.
    let running = watch();
    eventually("the canary is done", || {
        rings.canary.ha.credentials()[0]["client_secret"] == "second"
    });
    running.signal(Signal::KILL);
    running.finish();
    let canary = rings.canary.ha.credentials();
    let running = watch();
    arrives(&rings.far, &[("anna", "second")]);
    eventually("all waves are done", || {
        let status = status();
        status["rollout"].is_null() && rings.folder().contains("second")
    });
    assert_eq!(rings.canary.ha.credentials(), canary, "what is done already is not done again");
    running.signal(Signal::TERM);
    running.finish();
}

/// The words of the command that is named behind a text.
#[track_caller]
fn named_command(said: &str, before: &str) -> Vec<String> {
    let (_, command) = said.split_once(before).unwrap_or_else(|| panic!("no {before:?}: {said}"));
    let (command, _) = command.split_once('`').unwrap();
    shell_words::split(command).unwrap()
}

#[test]
fn a_command_that_is_named_is_for_the_folder_that_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let house = folder.path().join("my house");
    fs::create_dir_all(house.join("ha")).unwrap();
    let (identity, recipient) = age_identity();
    let text = format!(
        "owner: house\ntargets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{recipient}]}}\n"
    );
    fs::write(house.join("appcred.yaml"), text).unwrap();
    let run = |words: &[String]| {
        let appcred = Appcred::new().in_dir(folder.path()).env("APPCRED_AGE_IDENTITY", &identity);
        appcred.args(words)
    };
    let typed = |line: &str| shell_words::split(line).unwrap();
    let add = typed("add -C 'my house' --domain fitbit --client-id x --secret-stdin");
    run(&add).stdin("m4rk3dKx2").run();
    let rotate = typed("rotate -C 'my house' fitbit --secret-stdin");
    let rotated = run(&rotate).stdin("m4rk3dKx3").run();
    let apply = named_command(&rotated.stderr, "`appcred ");
    assert_eq!(apply, typed("-C 'my house' apply --key fitbit"));

    let plan = typed("plan --directory='my house' --key fitbit --out 'my house.plan'");
    let saved = run(&plan).run();
    let apply_saved = named_command(&saved.stderr, "Saved the plan: `appcred ");
    assert_eq!(apply_saved, typed("-C 'my house' apply 'my house.plan'"));
    run(&apply_saved).run();
    let again = run(&apply_saved).status(1).run();
    let plan_again = named_command(&again.stderr, "Plan again with `appcred ");
    assert_eq!(plan_again, typed("-C 'my house' plan --out 'my house.plan' --key fitbit"));
    run(&plan_again).run();
    run(&apply_saved).run();

    // What has no place in a text of JSON is not put there.
    fs::rename(&house, folder.path().join("my \"house")).unwrap();
    let plan = typed("-C 'my \"house' list --format json");
    serde_json::from_str::<serde_json::Value>(&run(&plan).run().stdout).unwrap();
}

#[test]
fn a_saved_plan_that_is_out_of_date_is_made_anew_with_the_same_selection() {
    let (identity, recipient) = age_identity();
    let age = format!("age: {{recipients: [{recipient}]}}\n");
    let project = Project::new()
        .file("appcred.yaml", &HOUSES.replace("allow_plaintext: true\n", &age))
        .file("credentials.yaml", ENTRIES);
    let appcred =
        |arguments: &[&str]| appcred(&project, arguments).env("APPCRED_AGE_IDENTITY", &identity);
    appcred(&["encrypt"]).run();
    for (selection, arguments) in [
        (&["--selector=ring=canary", "--key=a*"][..], " --target canary-1,canary-2 --key 'a*'"),
        (&["--target=home-3"], " --target home-3"),
        (&[], ""),
    ] {
        appcred(&[&["plan", "--out", "saved.plan"], selection].concat()).run();
        appcred(&["apply", "saved.plan"]).run();
        let again = appcred(&["apply", "saved.plan"]).status(1).run();
        let next = format!("\nPlan again with `appcred plan --out saved.plan{arguments}`.\n");
        assert!(again.stderr.contains(&next), "{}", again.stderr);
    }
    by_hand(&project, "canary-2");
    fs::remove_dir_all(project.join("canary-1/.storage")).unwrap();
    fs::remove_dir_all(project.join("home-1/.storage")).unwrap();
    appcred(&["plan", "--out", "saved.plan", "--target=canary-*,home-1"]).run();
    let stopped = appcred(&["apply", "saved.plan"]).status(1).run();
    let next =
        "save a new plan with `appcred plan --out saved.plan --target canary-1,canary-2,home-1`";
    assert!(stopped.stderr.contains(next), "{}", stopped.stderr);
}
