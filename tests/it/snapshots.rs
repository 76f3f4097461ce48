//! Pull requests planned from a snapshot of a real Home Assistant, in an environment without key, token
//! or network, and again with all of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde_json::{Value, json};
use sha2::Digest;

use crate::forms::{annotations, check_own};
use crate::ha_apply::House;
use crate::real::{HomeAssistant, Release, each_release, sops};
use crate::shell::{Appcred, Project, Ran};
use crate::sops::Scene;

const SECRETS: &[&str] =
    &["m4rk3d-first", "m4rk3d-second", "m4rk3d-third", "m4rk3d-new", "m4rk3d-theirs"];

/// What is checked in at first: three entries, of which an account goes by the second.
fn house(ha: &HomeAssistant) -> (House, [String; 3]) {
    let house = House::new();
    let entries = [
        house.entry("spotify", "Family", "family", SECRETS[0]),
        house.entry("linked_account", "Anna", "anna", SECRETS[1]),
        house.entry("twitch", "Twitch", "t", SECRETS[2]),
    ];
    house.declare(&entries);
    house.apply(ha);
    ha.link_by_hand("linked_account", "appcred:default:anna");
    let by_hand = json!({"domain": "spotify", "client_id": "x", "client_secret": SECRETS[4]});
    ha.create_credential(by_hand);
    (house, entries)
}

/// A pull request, and what must be said of it.
struct Request {
    name: &'static str,
    entries: Vec<String>,
    status: i32,
    /// Each as `level kind at: the text of the line`.
    annotations: &'static [&'static str],
    /// A line of the plan.
    told: &'static str,
}

fn requests(house: &House, entries: &[String; 3]) -> Vec<Request> {
    let [family, anna, twitch] = entries.clone();
    let new = house.entry("netatmo", "Climate", "climate", SECRETS[3]);
    let changed = house.entry("spotify", "Family", "family", SECRETS[3]);
    let renamed =
        anna.replace("name: Anna", "name: Anna\n    key: anna").replacen("Anna", "Annika", 1);
    let broken = family.replace("client_id: family", "client_id: 12345");
    vec![
        Request {
            name: "none",
            entries: vec![family.clone(), anna.clone(), twitch.clone()],
            status: 0,
            annotations: &[],
            told: "No changes. 3 in sync, 1 foreign, left alone.",
        },
        Request {
            name: "new entry",
            entries: vec![family.clone(), anna.clone(), twitch.clone(), new],
            status: 2,
            annotations: &["notice create at: - domain: netatmo"],
            told: "+ create netatmo \"Climate\"",
        },
        Request {
            name: "changed secret",
            entries: vec![changed, anna.clone(), twitch.clone()],
            status: 2,
            annotations: &["notice replace at: -----BEGIN AGE ENCRYPTED FILE-----"],
            told: "-/+ replace spotify \"Family\"",
        },
        Request {
            name: "changed name",
            entries: vec![family.clone(), renamed, twitch.clone()],
            status: 2,
            annotations: &["notice replace at: name: Annika"],
            told: "-/+ replace linked_account \"Annika\"",
        },
        Request {
            name: "removed entry in use",
            entries: vec![family, twitch.clone()],
            status: 2,
            annotations: &["warning in_use at: "],
            told: "! not done: delete linked_account \"Anna\"",
        },
        Request {
            name: "broken manifest",
            entries: vec![broken, anna, twitch],
            status: 1,
            annotations: &[
                "error wrong-kind at: client_id: 12345",
                "error unknown-integration at: - domain: linked_account",
            ],
            told: "",
        },
    ]
}

const FORMATS: &[&str] = &["json", "markdown", "github", "gitlab", "junit", "sarif"];

#[track_caller]
fn plan(appcred: Appcred, request: &Request, more: &[&str]) -> Ran {
    let formats = FORMATS.iter().map(|name| format!("--format={name}=out.{name}"));
    let ran = appcred
        .args(["plan", "--detailed-exitcode"])
        .args(more)
        .args(formats)
        .status(request.status)
        .run();
    assert!(ran.stdout.contains(request.told), "{}:\n{}", request.name, ran.stdout);
    ran
}

#[track_caller]
fn check(folder: &Path, request: &Request) {
    let github = fs::read_to_string(folder.join("out.github")).unwrap();
    let manifest = fs::read_to_string(folder.join("credentials/all.yaml")).unwrap();
    let text_of = |line: &str| {
        let line = line.parse::<usize>().map_or("", |line| manifest.lines().nth(line - 1).unwrap());
        line.trim().to_owned()
    };
    let told: Vec<String> = annotations(&github)
        .iter()
        .map(|one| {
            let of = |name: &str| one.properties.get(name).map_or("", String::as_str);
            assert!(["", "credentials/all.yaml"].contains(&of("file")), "{one:?}");
            let kind = of("title").strip_prefix("appcred: ").unwrap();
            format!("{} {kind} at: {}", one.command, text_of(of("line")))
        })
        .collect();
    assert_eq!(told, request.annotations, "{}", request.name);
}

/// A plan as a program reads it, without what tells where it came from.
fn plan_of(folder: &Path) -> Value {
    let mut plan: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("out.json")).unwrap()).unwrap();
    check_own("plan.schema.json", &plan);
    for target in plan["targets"].as_array_mut().unwrap() {
        let target_fields = target.as_object_mut().unwrap();
        target_fields.remove("basis");
        // What only a running Home Assistant says is not in a snapshot.
        target_fields.remove("integrations");
        target_fields.remove("redirect_uri");
        target["address"] = json!("");
        for step in target["steps"].as_array_mut().unwrap() {
            for reason in step["reasons"].as_array_mut().unwrap() {
                if *reason == "secret_reencrypted" {
                    *reason = json!("secret_differs");
                }
            }
        }
    }
    plan
}

/// Every way in which a guessed secret could be confirmed, as far as one can think of it.
fn traces(secret: &str) -> Vec<String> {
    let mut traces = vec![secret.to_owned()];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for text in
        [secret.to_owned(), format!("{secret}\n"), format!("appcred ciphertext 1\0{secret}\n")]
    {
        let sha256 = sha2::Sha256::digest(&text);
        let sha512 = sha2::Sha512::digest(&text);
        traces.extend([
            hex(&sha256)[..16].to_owned(),
            hex(&sha512)[..16].to_owned(),
            hex(text.as_bytes()),
        ]);
    }
    traces
}

#[track_caller]
fn search(what: &str, text: &str) {
    for secret in SECRETS {
        for trace in traces(secret) {
            assert!(!text.contains(&trace), "{what} has a trace of {secret}:\n{text}");
        }
    }
}

fn sorted<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    texts
}

/// All digests of a snapshot are of ciphertexts that stand in the manifest.
fn check_digests(snapshot: &Value, manifest: &str) {
    let mut seals = Vec::new();
    for part in manifest.split("client_secret: |\n").skip(1) {
        let lines = part.lines().map(str::trim);
        let end = "-----END AGE ENCRYPTED FILE-----";
        let mut armored: Vec<&str> = lines.take_while(|line| *line != end).collect();
        armored.push(end);
        seals.push(appcred::model::Seal::of_ciphertext(&armored.join("\n")).to_string());
    }
    let credentials = snapshot["targets"][0]["credentials"].as_array().unwrap();
    let found: Vec<&str> =
        credentials.iter().filter_map(|one| one["client_secret_ciphertext"].as_str()).collect();
    seals.sort();
    assert_eq!(sorted(&found), seals, "{snapshot:#}");
    let text = snapshot.to_string();
    let long = text.split(|sign: char| !sign.is_ascii_hexdigit()).filter(|run| run.len() >= 33);
    assert_eq!(long.collect::<Vec<_>>(), found, "no other digest");
}

each_release!(ha_pull_requests_are_planned_alike_with_and_without_keys);
fn ha_pull_requests_are_planned_alike_with_and_without_keys(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let (house, entries) = house(&ha);
    let folder = house.project.path().to_owned();
    house
        .appcred(&ha)
        .args(["snapshot", "-o", "snapshot.json"])
        .stdout("")
        .stderr("Wrote the snapshot of 1 target to snapshot.json.\n")
        .run();
    let text = fs::read_to_string(folder.join("snapshot.json")).unwrap();
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    check_own("snapshot.schema.json", &snapshot);
    check_digests(&snapshot, &fs::read_to_string(folder.join("credentials/all.yaml")).unwrap());
    search("the snapshot", &text);
    assert!(!text.contains(ha.token()) && !text.contains(&ha.url()), "{text}");
    let target = &snapshot["targets"][0];
    assert_eq!(
        target["home_assistant_version"],
        json!(ha.call(json!({"type": "get_config"})).unwrap()["version"])
    );
    assert_eq!(target["config_entries"][0]["state"], "loaded");
    assert_eq!(target["credentials"][0]["owner"], "default");
    assert_eq!(
        target["credentials"][0]["used_by"],
        json!([target["config_entries"][0]["entry_id"]])
    );

    let requests = requests(&house, &entries);
    let mut with_keys = Vec::new();
    for request in &requests {
        house.declare(&request.entries);
        plan(house.appcred(&ha), request, &[]);
        check(&folder, request);
        with_keys.push(plan_of(&folder));
    }
    ha.stop();
    for (request, with_keys) in requests.iter().zip(with_keys) {
        house.declare(&request.entries);
        let ran = plan(Appcred::new().in_dir(&folder), request, &["--against", "snapshot.json"]);
        check(&folder, request);
        assert_eq!(plan_of(&folder), with_keys, "{}", request.name);
        assert!(
            request.status == 1 || ran.stdout.starts_with("home (snapshot of 20"),
            "{}",
            ran.stdout
        );
        for format in FORMATS {
            let text = fs::read_to_string(folder.join(format!("out.{format}"))).unwrap();
            search(&format!("{}: {format}", request.name), &text);
        }
        search(request.name, &format!("{}{}", ran.stdout, ran.stderr));
    }
}

#[test]
fn what_a_snapshot_cannot_tell_is_shown_as_unknown() {
    let house = House::new();
    let project = &house.project;
    project.write("appcred.yaml", "allow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n");
    let sealed = house.entry_with_integration("spotify", "Family", "family", SECRETS[0]);
    let sealed_client = sealed.replace("Family", "Hidden").replace(
        "client_id: family",
        &house
            .entry("", "", "", "hidden")
            .split_once("client_secret: ")
            .unwrap()
            .1
            .trim_end()
            .to_owned()
            .replacen('|', "client_id: |", 1),
    );
    let plain = format!(
        "  - domain: twitch\n    name: Plain\n    client_id: t\n    client_secret: {}\n",
        SECRETS[3]
    );
    let named = "  - domain: netatmo\n    name: Named\n    client_id: n\n    client_secret: !env_var SECRET\n";
    let all = [sealed.clone(), plain.clone(), named.to_owned(), sealed_client.clone()];
    house.declare(&all);
    let with_keys = |verb: &[&str]| {
        house.with_key(Appcred::new().in_dir(project.path())).env("SECRET", SECRETS[2]).args(verb)
    };
    with_keys(&["apply", "--yes"]).run();
    with_keys(&["plan", "--detailed-exitcode"]).status(0).run();
    with_keys(&["snapshot", "-o", "snapshot.json"]).run();
    let text = fs::read_to_string(project.join("snapshot.json")).unwrap();
    search("the snapshot", &text);

    let without = |status: i32| {
        let plan = Appcred::new().in_dir(project.path()).status(status);
        plan.args(["plan", "--detailed-exitcode", "--against", "snapshot.json"]).run()
    };
    let told = without(2).stdout;
    assert!(
        told.contains("? unknown: twitch \"Plain\"")
            && told.contains("? unknown: netatmo \"Named\""),
        "{told}"
    );
    assert!(told.ends_with("No changes are known. 2 in sync, 2 unknown.\n"), "{told}");

    house.declare(&[sealed.clone(), sealed_client.clone()]);
    let told = without(2).stdout;
    assert!(told.ends_with("Plan: 0 to create, 0 to replace, 2 to delete. 2 in sync.\n"), "{told}");

    let other_client = sealed_client.replacen("client_id: |", "client_id: !env_var CLIENT #", 1);
    assert!(other_client.contains("!env_var CLIENT"), "{other_client}");
    let armored = other_client.find("-----BEGIN").unwrap();
    let end = other_client.find("    client_secret").unwrap();
    let other_client = format!("{}\n{}", &other_client[..armored].trim_end(), &other_client[end..]);
    house.declare(&[other_client]);
    let told = without(2).stdout;
    assert!(told.contains("? unknown: spotify \"Hidden\""), "{told}");
    assert!(told.contains("! not done: delete spotify \"Family\""), "it may want that: {told}");
    assert!(told.contains("# the client id of `hidden` is not known here"), "{told}");
    assert!(told.contains("- delete twitch \"Plain\""), "it is of another integration: {told}");
}

#[test]
fn a_snapshot_that_is_old_or_none_is_refused() {
    let house = House::new();
    let project = &house.project;
    project.write("appcred.yaml", "targets: {lab: {config_dir: ha}, cabin: {config_dir: b}}\n");
    house.declare(&[house.entry("spotify", "Family", "family", SECRETS[0])]);
    let snapshot = |arguments: &[&str]| {
        house.with_key(Appcred::new().in_dir(project.path())).args(["snapshot"]).args(arguments)
    };
    let text = snapshot(&["--target", "lab"]).run().stdout;
    let plan = |arguments: &[&str], status: i32| {
        let plan = Appcred::new().in_dir(project.path()).status(status);
        plan.args(["plan", "--against", "s.json"]).args(arguments).run()
    };
    assert!(plan(&[], 1).stderr.contains("cannot read s.json"));
    project.write("s.json", &text);
    assert!(plan(&["--target", "lab", "--max-age", "1h"], 0).stdout.contains("+ create spotify"));
    assert!(plan(&[], 1).stdout.contains("s.json has no data for this target"), "the cabin");
    let year = text.find("\"taken_at\": \"20").unwrap() + 15;
    project.write("s.json", &format!("{}19{}", &text[..year - 2], &text[year..]));
    let told = plan(&["--target", "lab", "--max-age", "7d"], 1).stderr;
    assert!(told.contains("and --max-age allows 7 days: take a new one"), "{told}");
    // A target may be older than the snapshot.
    let name = "\"name\": \"lab\",";
    let down = format!("{name} \"unreachable_since\": \"2026-01-01T00:00:00Z\",");
    project.write("s.json", &text.replacen(name, &down, 1));
    let lab = ["--target", "lab", "--max-age", "1h"];
    let shown = plan(&lab[..2], 0).stdout;
    assert!(shown.contains("unreachable since 2026-01-01 00:00:00 UTC, "), "{shown}");
    let refused = plan(&lab, 1);
    let why = "since it could not be reached then; --max-age allows 60 minutes";
    assert!((refused.stdout + &refused.stderr).contains(why));
    project.write("s.json", "{\"client_secret\": \"m4rk3d-new\"}");
    let told = plan(&[], 1).stderr;
    assert!(told.contains("it is not a snapshot"), "{told}");
    search("the refusal", &told);

    project.write("b", "a file where a folder should be");
    let ran = snapshot(&["-o", "new.json"]).status(1).run();
    assert!(ran.stderr.contains("No snapshot was written"), "{}", ran.stderr);
    assert!(!project.join("new.json").exists());
}

each_release!(ha_saved_plan_is_applied_or_refused_with_what_has_changed);
fn ha_saved_plan_is_applied_or_refused_with_what_has_changed(release: Release) {
    let ha = HomeAssistant::start(release);
    let (house, entries) = house(&ha);
    let file = house.project.join("house.plan");
    let save = || {
        house.appcred(&ha).args(["plan", "--out", "house.plan"]).run();
        let text = fs::read_to_string(&file).unwrap();
        check_own("saved-plan.schema.json", &serde_json::from_str(&text).unwrap());
        search("the saved plan", &text);
        text
    };
    let refused = || {
        let before = ha.credentials();
        let apply = house.appcred(&ha).args(["apply", "house.plan", "--yes"]).status(1);
        let told = apply.run().stderr;
        assert_eq!(ha.credentials(), before, "{told}");
        told
    };
    let climate = house.entry("linked_account_form", "Climate", "climate", SECRETS[3]);
    let [family, anna, twitch] = entries;
    house.declare(&[family.clone(), anna.clone(), climate.clone()]);
    let text = save();

    house.declare(&[
        family.clone(),
        anna.clone(),
        house.entry("linked_account_form", "Climate", "climate", "x"),
    ]);
    let told = refused();
    assert_eq!(
        told.matches("create linked_account_form").count(),
        2,
        "the secret is another one: {told}"
    );
    house.declare(&[family.clone(), anna.clone(), twitch, climate.clone()]);
    assert!(refused().contains("was planned: home: delete twitch"), "the manifest is another one");
    house.declare(&[family, anna, climate]);

    let replaced = text.replace("climate", "mine");
    fs::write(&file, replaced).unwrap();
    assert!(
        refused().contains("is needed now: home: create linked_account_form"),
        "it was tampered with"
    );
    fs::write(&file, text.replace("\"delete\"", "\"create\"")).unwrap();
    refused();
    fs::write(&file, text.replacen("[", "[,", 1)).unwrap();
    assert!(refused().contains("it is not a saved plan, or it was changed"));
    fs::write(&file, &text).unwrap();

    let twitch =
        ha.credentials().iter().find(|one| one["domain"] == "twitch").unwrap()["id"].clone();
    ha.call(
        json!({"type": "application_credentials/delete", "application_credentials_id": twitch}),
    )
    .unwrap();
    assert!(
        refused().contains("was planned: home: delete twitch"),
        "Home Assistant is another one"
    );

    save();
    house.appcred(&ha).args(["apply", "house.plan"]).run();
    house.appcred(&ha).args(["plan", "--detailed-exitcode"]).status(0).run();
    refused();
}

#[test]
fn a_snapshot_on_the_web_is_fetched_with_a_token() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {lab: {config_dir: ha}}\nallow_plaintext: true\n")
        .file(
            "credentials/all.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: MARKED}\n",
        );
    let appcred = || Appcred::new().in_dir(project.path());
    let snapshot = appcred().args(["snapshot"]).run().stdout;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/snapshot", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut request).unwrap() > 2 {}
            let is_let_in = request.to_lowercase().contains("authorization: bearer marked-token");
            let (status, body) =
                if is_let_in { ("200 OK", snapshot.as_str()) } else { ("401 Unauthorized", "") };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        }
    });
    let plan = || appcred().args(["plan", "--against", &url, "--detailed-exitcode"]);
    let refused = plan().status(1).run().stderr;
    assert!(refused.contains("401"), "{refused}");
    let ran = plan().env("APPCRED_SNAPSHOT_TOKEN", "MARKED-TOKEN").status(2).run();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("MARKED"), "{}", ran.stdout);
    serving.join().unwrap();
}

/// Two entries, encrypted by the real SOPS; a target that holds them, and a snapshot of it.
fn under_sops() -> (Scene, String) {
    let scene = Scene::new();
    let project = &scene.project;
    project.write("appcred.yaml", "targets: {house: {config_dir: ha}}\n");
    let entry = |name: &str, secret: &str| {
        format!(
            "  - domain: spotify\n    name: {name}\n    client_id: id-of-{name}\n    client_secret: {secret}\n"
        )
    };
    let entries = [entry("one", SECRETS[0]), entry("two", SECRETS[1])].concat();
    let file = "credentials/all.yaml";
    project.write(file, &format!("application_credentials:\n{entries}"));
    scene.encrypt(file, &["--encrypted-regex", "^(client_id|client_secret)$"]);
    let run = |args: &[&str]| drop(with_key(&scene).args(args).run());
    run(&["apply", "--yes"]);
    run(&["snapshot", "-o", "snapshot.json"]);
    (scene, file.to_owned())
}

fn with_key(scene: &Scene) -> Appcred {
    Appcred::new().in_dir(scene.project.path()).env("SOPS_AGE_KEY", &scene.identity)
}

#[test]
fn a_document_of_sops_is_planned_without_its_key() {
    let (scene, file) = under_sops();
    let folder = scene.project.path();
    search("the snapshot", &fs::read_to_string(folder.join("snapshot.json")).unwrap());
    let against = |status| {
        let args = ["plan", "--detailed-exitcode", "--against", "snapshot.json"];
        Appcred::new().in_dir(folder).args(args).status(status).run().stdout
    };
    assert!(against(0).contains("No changes. 2 in sync."));
    let place = r#"["application_credentials"][1]["client_secret"]"#;
    sops(folder, &scene.identity, ["set", &file, place, &format!("\"{}\"", SECRETS[2])]);
    let told = against(2);
    assert!(told.contains("-/+ replace spotify \"two\"") && told.contains("1 in sync"), "{told}");
    let place = r#"["application_credentials"][0]["client_id"]"#;
    sops(folder, &scene.identity, ["set", &file, place, "\"another\""]);
    let told = against(2);
    assert!(told.contains("2 unknown") || told.contains("1 unknown"), "{told}");
}

#[test]
fn a_plan_of_a_document_of_sops_is_saved_and_holds_no_longer_than_its_ciphertext() {
    let (scene, file) = under_sops();
    let set = |secret: &str| {
        let place = r#"["application_credentials"][1]["client_secret"]"#;
        let secret = format!("\"{secret}\"");
        sops(scene.project.path(), &scene.identity, ["set", &file, place, &secret])
    };
    set(SECRETS[2]);
    with_key(&scene).args(["plan", "--out", "house.plan"]).run();
    search("the plan", &fs::read_to_string(scene.project.path().join("house.plan")).unwrap());
    set(SECRETS[3]);
    let refused = with_key(&scene).args(["apply", "house.plan"]).status(1).run();
    assert!(refused.stderr.contains("the saved plan is out of date"), "{}", refused.stderr);
    with_key(&scene).args(["plan", "--out", "house.plan"]).run();
    let applied = with_key(&scene).args(["apply", "house.plan"]).run();
    assert!(applied.stdout.contains("1 replaced"), "{}", applied.stdout);
}

#[test]
fn a_plan_from_a_snapshot_names_the_set_ups_that_a_run_would_begin() {
    let entries = "application_credentials:
  - {domain: spotify, key: family, client_id: a, client_secret: xyzzy-a}
  - {domain: netatmo, key: climate, client_id: b, client_secret: xyzzy-b, integration: {setup: false}}
";
    let of = |target: &str| {
        format!("owner: house\nallow_plaintext: true\ntargets: {{home: {{{target}}}}}\n")
    };
    let project = Project::new().file("appcred.yaml", &of("config_dir: ha"));
    project.write("credentials.yaml", entries);
    let appcred = |words: &[&str]| Appcred::new().in_dir(project.path()).args(words);
    appcred(&["apply", "--yes"]).run();
    appcred(&["snapshot", "--output", "house.json"]).run();
    let planned = |words: &[&str]| appcred(&[&["plan", "--against", "house.json"], words].concat());
    // No account is linked through a folder.
    let folder = planned(&[]).run().stdout;
    assert!(!folder.contains("not linked"), "{folder}");
    project.write("appcred.yaml", &of("url: 'http://127.0.0.1:9', token: !env_var NOWHERE"));
    let new = "  - {domain: twitch, key: stream, client_id: c, client_secret: xyzzy-c}\n";
    project.write("credentials.yaml", &format!("{entries}{new}"));
    let text = planned(&[]).run().stdout;
    assert!(text.contains("    not linked in the snapshot: stream, family\n"), "{text}");
    assert!(text.contains("Plan: 1 to create, 0 to replace, 0 to delete."), "{text}");
    let json = planned(&["--format", "json"]).run().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["targets"][0]["expected_set_ups"], json!(["stream", "family"]));
}
