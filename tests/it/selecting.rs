//! Entries are addressed as people think of them: what is selected is done and nothing else.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::forms::check_own;
use crate::real::{free_port, send};
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

const PROJECT: &str = "owner: house\nallow_plaintext: true\ntargets: {home: {config_dir: ha}}\n";
const ACCOUNTS: &str = "ha/.storage/core.config_entries";
const STORAGE: &str = "ha/.storage/application_credentials";

fn entry(domain: &str, name: &str) -> String {
    format!(
        "  - {{domain: {domain}, name: {name}, client_id: id-{name}, client_secret: secret-{name}}}\n"
    )
}

fn house() -> Project {
    let project = Project::new()
        .file("appcred.yaml", PROJECT)
        .file(ACCOUNTS, r#"{"version": 1, "data": {"entries": []}}"#);
    declare(&project, &[("spotify", "family"), ("spotify", "kids"), ("twitch", "stream")]);
    project
}

fn declare(project: &Project, entries: &[(&str, &str)]) {
    let entries: Vec<String> = entries.iter().map(|(domain, name)| entry(domain, name)).collect();
    project.write("credentials.yaml", &format!("application_credentials:\n{}", entries.concat()));
}

fn appcred(project: &Project, arguments: &str) -> Appcred {
    Appcred::new().in_dir(project.path()).args(arguments.split(' '))
}

fn held(project: &Project) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(project.join(STORAGE)) else { return Vec::new() };
    let stored: Value = serde_json::from_str(&text).unwrap();
    let items = stored["data"]["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// Something made by hand.
fn by_hand(project: &Project) {
    let text = std::fs::read_to_string(project.join(STORAGE)).unwrap();
    let mut stored: Value = serde_json::from_str(&text).unwrap();
    let item = json!({"id": "spotify_mine", "domain": "spotify", "client_id": "mine", "client_secret": "s", "name": "mine", "auth_domain": null});
    stored["data"]["items"].as_array_mut().unwrap().push(item);
    project.write(STORAGE, &stored.to_string());
}

#[test]
fn only_what_is_selected_is_created_and_deleted() {
    let project = house();
    let ran = appcred(&project, "apply --yes --key family").run();
    assert!(
        ran.stderr.contains("Only what is selected was planned: --key=family"),
        "{}",
        ran.stderr
    );
    assert_eq!(held(&project), ["family"]);
    appcred(&project, "apply --yes --domain spotify --exclude k*").run();
    assert_eq!(held(&project), ["family"]);
    appcred(&project, "apply --yes --domain t?itch,spot* --exclude kids").run();
    assert_eq!(held(&project), ["family", "stream"]);
    appcred(&project, "apply --yes").run();
    assert_eq!(held(&project), ["family", "stream", "kids"]);

    by_hand(&project);
    declare(&project, &[("spotify", "family")]);
    appcred(&project, "plan --detailed-exitcode --key family").run();
    appcred(&project, "apply --yes --key kids").run();
    assert_eq!(held(&project), ["family", "stream", "mine"]);
    // What nobody manages has no key.
    appcred(&project, "apply --yes --prune all --key *").run();
    assert_eq!(held(&project), ["family", "mine"]);
    appcred(&project, "apply --yes --prune all --domain spotify").run();
    assert_eq!(held(&project), ["family"]);
}

#[test]
fn the_limits_are_those_of_the_whole() {
    let project = house();
    appcred(&project, "apply --yes").run();
    declare(&project, &[("spotify", "family")]);
    let ran = appcred(&project, "apply --yes --max-deletes 1 --key kids").status(1).run();
    assert!(ran.stdout.contains("2 deletes planned, 1 allowed"), "{}", ran.stdout);
    // An entry of an integration that nothing has may be any of them.
    declare(&project, &[("spotify", "family"), ("spotfy", "stream")]);
    let ran = appcred(&project, "apply --yes --key kids").status(1).run();
    assert!(ran.stdout.contains("not done: delete spotify \"kids\""), "{}", ran.stdout);
    assert_eq!(held(&project), ["family", "kids", "stream"]);
}

#[test]
fn a_saved_plan_remembers_what_was_selected() {
    let project = house();
    let save = "plan --key family --out house.plan";
    let ran = appcred(&project, save).status(1).run();
    assert!(ran.stderr.contains("`family`") && !ran.stderr.contains("`kids`"), "{}", ran.stderr);
    appcred(&project, "apply --yes").run();
    declare(&project, &[("spotify", "family")]);
    appcred(&project, "plan --key kids --out house.plan").run();
    for also in ["--key stream", "--domain spotify", "--exclude stream"] {
        let ran = appcred(&project, &format!("apply house.plan {also}")).status(1).run();
        assert!(ran.stderr.contains("leave the selection out"), "{}", ran.stderr);
    }
    appcred(&project, "apply house.plan").run();
    assert_eq!(held(&project), ["family", "stream"]);
    let ran = appcred(&project, "apply house.plan").status(1).run();
    assert!(ran.stderr.contains("there is no entry with the key `kids`"), "{}", ran.stderr);
}

#[test]
fn what_means_nothing_is_an_error_with_what_there_is() {
    let project = house();
    for (arguments, expected) in [
        ("plan --key famly", "there is no entry with the key `famly`: did you mean `family`?"),
        ("plan --key x*", "there is no entry with the key `x*`; there are: family, kids, stream"),
        ("apply --yes --exclude kds", "there is no entry with the key `kds`: did you mean `kids`?"),
        (
            "list --domain spotfy",
            "there is no entry of the integration `spotfy`: did you mean `spotify`?",
        ),
        ("watch --key famly", "there is no entry with the key `famly`: did you mean `family`?"),
        ("verify famly", "there is no entry with the key `famly`: did you mean `family`?"),
        ("verify --domain netatmo", "there is no entry of the integration `netatmo`"),
        ("authorize famly", "there is no entry with the key `famly`: did you mean `family`?"),
        (
            "apply family",
            "`family` is an entry, not a saved plan: `appcred apply --key family` applies it alone",
        ),
        ("apply spotify_id_kids", "`kids` is an entry, not a saved plan"),
        ("apply none.plan", "cannot read none.plan: there is no such file"),
        ("plan --key=", "it is empty: give a name, or a pattern such as `spotify-*`"),
        ("list --state difers", "'differs'"),
    ] {
        let ran = appcred(&project, arguments).status(1).run();
        assert!(ran.stderr.contains(expected), "{arguments}: {}", ran.stderr);
        assert!(held(&project).is_empty(), "{arguments}");
    }
}

/// An earlier key selects an entry still, and nobody is led to it.
#[test]
fn earlier_keys_are_not_offered() {
    let project = house();
    let entries = "  - {domain: spotify, key: family, formerly: [famille], client_id: a, client_secret: s3cr3t9x}\n";
    project.write("credentials.yaml", &format!("application_credentials:\n{entries}"));
    appcred(&project, "plan --key famille").run();
    for (key, expected) in
        [("famile", "`famile`: did you mean `family`?"), ("x", "`x`; there are: family\n")]
    {
        let said = appcred(&project, &format!("plan --key {key}")).status(1).run().stderr;
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn several_of_one_name_are_listed() {
    let project = house();
    let entries = "  - {domain: spotify, name: Ours, key: a, client_id: a, client_secret: s}\n  - {domain: twitch, name: ours, key: b, client_id: b, client_secret: s}\n";
    project.write("credentials.yaml", &format!("application_credentials:\n{entries}"));
    let ran = appcred(&project, "verify ours").status(1).run();
    assert!(
        ran.stderr.contains("`ours` may be each of `a` and `b`: name one of these keys"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_list_has_keys_and_what_is_missing_and_can_be_filtered() {
    let project = house();
    appcred(&project, "apply --yes --key family,kids").run();
    by_hand(&project);
    declare(&project, &[("spotify", "family"), ("twitch", "stream")]);
    let list = |arguments: &str| {
        let ran = appcred(&project, &format!("list --format json {arguments}")).run().stdout;
        let listed: Value = serde_json::from_str(&ran).unwrap();
        check_own("list.schema.json", &listed);
        let target = &listed["targets"][0];
        let rows = |name: &str| target[name].as_array().unwrap().clone();
        let row = |row: Value| {
            format!("{} {}", row["key"].as_str().unwrap_or("-"), row["state"].as_str().unwrap())
        };
        let all = rows("credentials").into_iter().chain(rows("missing"));
        all.map(row).collect::<Vec<_>>()
    };
    assert_eq!(
        list("-t home"),
        ["family in_sync", "kids undeclared", "- foreign", "stream missing"]
    );
    assert_eq!(list("--state missing,foreign"), ["- foreign", "stream missing"]);
    assert_eq!(list("--owner h*"), ["family in_sync", "kids undeclared", "stream missing"]);
    for of_twitch in ["--domain twitch", "--domain Twitch", "--domain tw* -t h?me"] {
        assert_eq!(list(of_twitch), ["stream missing"]);
    }
    assert_eq!(list("--key kids"), ["kids undeclared"]);
    let text = appcred(&project, "list").run().stdout;
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("KEY").contains("STATE"), "{text}");
    assert!(line("stream").ends_with("missing") && line("family").ends_with("in sync"), "{text}");
    assert!(line("-").contains("foreign"), "{text}");
    appcred(&project, "list --state shadowed").stdout("No such credentials.\n").run();
}

#[test]
fn a_list_says_what_is_wrong_with_the_manifests() {
    let project = house();
    let list = |status| {
        let ran = appcred(&project, "list --format json").status(status).run().stdout;
        let listed: Value = serde_json::from_str(&ran).unwrap();
        check_own("list.schema.json", &listed);
        listed
    };
    let whole = list(0);
    assert!(whole["error"].is_null() && whole["problems"].is_null(), "{whole}");
    project.write("credentials.yaml", "application_credentials:\n  - {domain: spotfy}\n");
    let broken = list(1);
    assert!(broken["error"].as_str().unwrap().contains("`problems`"), "{broken}");
    assert_eq!(broken["problems"][0]["severity"], "error", "{broken}");
    assert_eq!(broken["problems"][0]["at"]["file"], "credentials.yaml", "{broken}");
    assert!(broken["targets"].is_array(), "{broken}");
}

#[test]
fn reports_say_that_they_are_of_a_selection() {
    let project = house();
    let json = appcred(&project, "plan --key family --format json").run().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["selection"], json!(["--key=family"]));
    let markdown = appcred(&project, "plan --key family --format markdown").run().stdout;
    assert!(markdown.contains("Only what is selected: `--key=family`"), "{markdown}");
    for format in ["text", "github", "gitlab", "junit", "sarif"] {
        let of = |selection: &str| {
            appcred(&project, &format!("plan --format {format}{selection}")).run().stdout
        };
        let (part, whole) = (of(" --key family"), of(""));
        assert!(part.contains("only what is selected: --key=family"), "{part}");
        assert!(!whole.contains("select"), "{whole}");
    }
    let applied = appcred(&project, "apply --yes --key family --format text=applied").run();
    assert!(applied.stdout.contains("1 created"), "{}", applied.stdout);
    let written = std::fs::read_to_string(project.join("applied")).unwrap();
    assert!(written.starts_with("# only what is selected: --key=family\n"), "{written}");
    let whole = appcred(&project, "plan --format json").run().stdout;
    assert!(!whole.contains("selection"), "{whole}");
}

/// Terraform's options have one dash, and kubectl's `-o` is a format.
#[test]
fn what_other_tools_mean_by_an_option_writes_no_file() {
    let project = house();
    for (arguments, expected) in [
        ("plan -out=tfplan", "two dashes here: --out"),
        ("plan -o json", "--format"),
        ("plan -o yaml", "--format"),
        ("plan -target=home", "two dashes here: --target"),
    ] {
        let ran = appcred(&project, arguments).status(1).run();
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let files = std::fs::read_dir(project.path()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(
        !files.iter().any(|file| ["ut=tfplan", "json", "yaml"].iter().any(|name| file == name))
    );
}

/// A watcher that watches a part never looks like one that watches all, and says when the part is gone.
#[test]
fn a_watcher_says_what_is_selected_and_when_nothing_is() {
    let project = house();
    let port = free_port();
    let listen = format!("--listen=127.0.0.1:{port}");
    let arguments = ["watch", "--key", "family", "--poll", "1", &listen];
    let running = Appcred::new()
        .in_dir(project.path())
        .env("XDG_STATE_HOME", project.join("state"))
        .args(arguments)
        .spawn();
    let logged = |text: &str| eventually(text, || running.stderr().contains(text));
    let get = |path: &str| send("GET", &format!("http://127.0.0.1:{port}{path}"), &[], None);
    let status = || {
        let status = serde_json::from_str(&get("/api/v1/status").unwrap().text).unwrap();
        check_own("status.schema.json", &status);
        status
    };
    let is_page = |text: &str| eventually(text, || get("/").unwrap().text.contains(text));
    logged("only what is selected is watched: --key=family (1 of 3 entries)");
    logged("what is selected is in sync");
    let now: Value = status();
    let selection = json!({"arguments": ["--key=family"], "entries": 1});
    assert_eq!(now["manifests"]["selection"], selection);
    is_page("Everything that is selected is in sync.");
    is_page("<code>--key=family</code>");
    let metrics = get("/metrics").unwrap().text;
    assert!(
        metrics.contains("appcred_selected_entries{selection=\"--key=family\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("appcred_selection_unmatched{selection=\"--key=family\"} 0"));

    // The entry is known by its former key.
    appcred(&project, "rename family ours").run();
    eventually("it is followed", || {
        let now: Value = status();
        now["targets"][0]["entries"][0]["key"] == "ours" && now["targets"][0]["state"] == "in_sync"
    });
    assert!(!running.stderr().contains("does not match"), "{}", running.stderr());

    appcred(&project, "rm ours").run();
    logged("WARN the selection does not match: there is no entry with the key `family`");
    eventually("nothing is watched", || {
        let now: Value = status();
        now["targets"][0]["state"] == "nothing_selected"
    });
    let now: Value = status();
    assert_eq!(now["manifests"]["problems"][0]["code"], "unmatched-selection");
    assert!(now["manifests"]["selection"]["unmatched"].is_string(), "{now}");
    is_page("A part of the selection matches no entry.");
    is_page("No entry for this target is selected.");
    assert!(
        get("/metrics")
            .unwrap()
            .text
            .contains("appcred_selection_unmatched{selection=\"--key=family\"} 1")
    );
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

/// As git does it: what fits is printed, and so is everything where there is no terminal or no such program.
#[test]
fn what_is_longer_than_the_terminal_goes_through_the_pager() {
    let project = house();
    let plan = |rows: &str, pager: &str, more: &str| {
        let run = Appcred::new().in_dir(project.path()).env("APPCRED_PAGER", pager);
        let run = run.args(format!("plan{more}").split(' '));
        run.on_terminal_after(&format!("stty {rows} cols 100; ")).run().stdout
    };
    let paged = |text: &str| text.contains("PAGED") && text.contains("3 to create");
    let pager = "echo PAGED; cat";
    assert!(paged(&plan("rows 5", pager, "")));
    for (rows, pager, more) in [
        ("rows 200", pager, ""),
        ("rows 5", pager, " --no-pager"),
        ("rows 5", "no-such-program", ""),
        ("rows 5", pager, " --format json"),
    ] {
        let text = plan(rows, pager, more);
        assert!(!paged(&text) && text.contains("family"), "{text}");
    }
    let ran = appcred(&project, "plan").env("APPCRED_PAGER", pager).run();
    assert!(!paged(&ran.stdout), "{}", ran.stdout);
    assert!(paged(&plan("rows 5", "test $LESS = FRX && echo PAGED; cat", "")));
    // It gets no variable that holds a secret of the project.
    let more = "sources: {vault: {command: [vault, \"{}\"], environment: [SAFE_TOKEN]}}\n";
    project.write("appcred.yaml", &format!("{PROJECT}{more}"));
    let entries: String = ["a", "b", "c"].map(|name| entry("spotify", name)).concat();
    let from_variable = entries.replacen("secret-a", "!env_var OWN_SECRET", 1);
    project.write("credentials.yaml", &format!("application_credentials:\n{from_variable}"));
    let run = Appcred::new().in_dir(project.path()).args(["plan"]);
    let run = run.env("OWN_SECRET", "m4rk3d").env("SAFE_TOKEN", "m4rk3d").env("OTHER", "left");
    let run = run.env("APPCRED_PAGER", "env").on_terminal_after("stty rows 5 cols 100; ");
    let printed = run.run().stdout;
    assert!(printed.contains("OTHER=left") && !printed.contains("m4rk3d"), "{printed}");
}

#[test]
fn addresses_are_links_where_the_terminal_has_them() {
    let folder = Project::new();
    let init = |name: &str, force: &str| {
        let run = Appcred::new().in_dir(folder.path()).env("FORCE_HYPERLINK", force);
        let run = run.env("APPCRED_AGE_IDENTITY", crate::shell::age_identity().0);
        run.args(["-C", name, "init"]).on_terminal().run().stdout
    };
    let link = "\x1b]8;;https://ha.example:8123\x1b\\https://ha.example:8123\x1b]8;;\x1b\\";
    let (with, without) = (init("a", "1"), init("b", "0"));
    assert!(with.contains(link), "{with:?}");
    assert!(!without.contains("\x1b]8") && without.contains("https://ha.example:8123"));
}

#[test]
fn nothing_is_created_beside_what_a_selection_leaves_though_prune_all_would_delete_it() {
    let project = house();
    appcred(&project, "apply --yes --key family").run();
    by_hand(&project);
    project.write(
        "credentials.yaml",
        "application_credentials:\n  - {domain: spotify, key: mine, client_id: mine, client_secret: secret-m}\n",
    );
    let ran = appcred(&project, "apply --yes --prune all --key mine").status(1).run();
    let needed = "it needs `delete spotify \"mine\"`, which is not selected";
    assert!(ran.stdout.contains(needed), "{}", ran.stdout);
    assert_eq!(held(&project), ["family", "mine"]);
    appcred(&project, "apply --yes --prune all --domain spotify").run();
    assert_eq!(held(&project), ["spotify"]);
}
