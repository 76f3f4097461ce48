//! Verbs that write what people keep in Git: nothing but what was meant, and nothing in plain text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::hygiene::git;
use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity};

/// A project whose age key is in the environment.
pub(crate) struct Kept {
    pub(crate) project: Project,
    pub(crate) identity: String,
    pub(crate) recipient: String,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let (identity, recipient) = age_identity();
        let recipient = recipient.to_string();
        let project = Project::new().file(
            "appcred.yaml",
            &format!("targets: {{lab: {{config_dir: ha}}}}\nage: {{recipients: [{recipient}]}}\n"),
        );
        Self { project, identity, recipient }
    }

    pub(crate) fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("SOPS_AGE_KEY", &self.identity)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.project.join(path)).unwrap()
    }

    /// What a new configuration folder holds after `apply`.
    pub(crate) fn applied(&self) -> String {
        self.appcred().args(["apply", "--yes"]).run();
        self.text("ha/.storage/application_credentials")
    }
}

#[test]
fn keygen_writes_once_and_never_into_a_repository() {
    let home = Project::new();
    let key = home.join("keys/identity.txt");
    let ran = Appcred::new().args(["keygen", "--output", key.to_str().unwrap()]).run();
    let recipient = ran.stdout.trim();
    assert!(recipient.starts_with("age1"), "{}", ran.stdout);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read_to_string(&key).unwrap();
    assert!(before.contains(recipient));
    let ran = Appcred::new().args(["keygen", "--output", key.to_str().unwrap()]).status(1).run();
    assert!(ran.stderr.contains("already exists and was not changed"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&key).unwrap(), before);

    let keygen = || Appcred::new().in_dir(home.path()).args(["keygen", "-o", "key.txt"]);
    keygen().run();
    fs::remove_file(home.join("key.txt")).unwrap();
    home.write("appcred.yaml", "owner: house\n");
    let ran = keygen().status(1).run();
    assert!(ran.stderr.contains("would be in the repository or project"), "{}", ran.stderr);
    fs::remove_file(home.join("appcred.yaml")).unwrap();

    fs::create_dir(home.join(".git")).unwrap();
    let inside = home.join("keys/other.txt");
    let ran = Appcred::new().args(["keygen", "--output", inside.to_str().unwrap()]).status(1).run();
    assert!(
        ran.stderr.contains("never put an identity into a repository") && !inside.exists(),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_project_begins_with_init_add_and_apply() {
    let project = Project::new().file(".gitignore", "*.log");
    let home = Project::new();
    let appcred = || Appcred::new().in_dir(project.path()).env("HOME", home.path());
    appcred().args(["init", "--owner", "house"]).run();
    let text = |path: &str| fs::read_to_string(project.join(path)).unwrap();
    assert_eq!(
        text(".gitignore"),
        "*.log\nsecrets.yaml\n.storage/\n*.plan\n.*.appcred-new\n*.unsaved*.age\n"
    );
    let identity = fs::read_to_string(home.join(".config/appcred/identity.txt")).unwrap();
    let recipient = identity.lines().next().unwrap().rsplit(' ').next().unwrap();
    assert!(text("appcred.yaml").contains(&format!("- {recipient}\n")));
    let ran = appcred().args(["init"]).status(1).run();
    assert!(ran.stderr.contains("already exists and was not changed"), "{}", ran.stderr);
    appcred().args(["validate"]).stdout("Valid: 0 entries.\n").stderr("").run();

    let add = ["add", "--domain", "spotify", "--client-id", "4f5c0a", "--secret-stdin"];
    let ran = appcred().args(add).args(["--name", "Family"]).stdin("h1dden-secret\n").run();
    assert_eq!(ran.stdout, "Added `family` to credentials/credentials.yaml.\n");
    let said = "with exactly this redirect URI\n  https://my.home-assistant.io/redirect/oauth";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let manifest = text("credentials/credentials.yaml");
    assert!(!manifest.contains("h1dden-secret") && manifest.starts_with("# yaml-language-server"));
    let ran = appcred().args(add).args(["--name", "Family"]).stdin("x\n").status(1).run();
    assert!(ran.stderr.contains("key `family` is already used by another entry"), "{}", ran.stderr);
    assert!(ran.stderr.contains("choose another with --key"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("Register an application"), "{}", ran.stderr);
    assert_eq!(text("credentials/credentials.yaml"), manifest);
    // A warning is not in the place of the error that comes with it.
    let withings = ["add", "--domain", "withings", "--secret-stdin", "--key", "family"];
    let withings = withings.into_iter().chain(["--client-id", "77aa01"]);
    let ran = appcred().args(withings).stdin("h1dden-secret\n").status(1).run();
    assert!(ran.stderr.contains("key `family` is already used by another entry"), "{}", ran.stderr);
    assert_eq!(text("credentials/credentials.yaml"), manifest);

    project.write(
        "appcred.yaml",
        &format!("{}targets: {{lab: {{config_dir: ha}}}}\n", text("appcred.yaml")),
    );
    appcred().args(["apply", "--yes"]).run();
    assert!(text("ha/.storage/application_credentials").contains("h1dden-secret"));
}

#[test]
fn encrypt_changes_all_files_or_none() {
    let kept = Kept::new();
    let entry = "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: first-secret}\n";
    kept.project.write("credentials/all.yaml", entry);
    kept.project.write("credentials/broken.yaml", "application_credentials: [\n");
    let ran = kept.appcred().args(["encrypt"]).status(1).stdout("").run();
    assert!(
        ran.stderr.contains("error: credentials/broken.yaml: it is not valid YAML"),
        "{}",
        ran.stderr
    );
    assert_eq!(kept.text("credentials/all.yaml"), entry);
    let ran = kept.appcred().args(["encrypt", "credentials/all.yaml"]).status(0).run();
    assert_eq!(ran.stdout, "credentials/all.yaml: 1 secret encrypted\n");
}

#[test]
fn encrypt_names_the_secrets_in_comments_which_stay() {
    let kept = Kept::new();
    let entry = "application_credentials:\n  # client_secret: 9a8B7c6D5e4F\n  - {domain: spotify, client_id: a, client_secret: first-secret}\n";
    kept.project.write("credentials/all.yaml", entry);
    for said in ["credentials/all.yaml: 1 secret encrypted\n", ""] {
        let ran = kept.appcred().args(["encrypt"]).stdout(said).run();
        let warned = "a comment has a `client_secret` in plain text\n --> credentials/all.yaml:2:3";
        assert!(ran.stderr.contains(warned) && !ran.stderr.contains("9a8B7c"), "{}", ran.stderr);
    }
}

#[test]
fn encrypt_refuses_what_validate_refuses_before_it_is_hidden() {
    let kept = Kept::new();
    let wrong = [
        "'!secret sp'",
        "YOUR_CLIENT_SECRET",
        "${X}",
        "<your client secret>",
        "op://a/b/c",
        "\"9f8a\\u200b7b6c5d\"",
        "'\"9f8a7b6c5d4e\"'",
        "Bearer 9f8a7b6c5d4e",
        "SPOTIFY_SECRET=9f8a7b6c5d4e",
        "1234567890",
        "' 9f8a7b6c5d4e'",
    ];
    let entry = |at: usize, secret: &str| {
        format!(
            "  - domain: spotify\n    name: N{at}\n    client_id: c{at}x\n    client_secret: {secret}\n"
        )
    };
    let entries: String = wrong.iter().enumerate().map(|(at, secret)| entry(at, secret)).collect();
    let all = format!("application_credentials:\n{entries}");
    let good = format!("application_credentials:\n{}", entry(99, "first-secret"));
    kept.project.write("credentials/all.yaml", &all);
    kept.project.write("credentials/good.yaml", &good);
    let said = kept.appcred().args(["encrypt"]).status(1).stdout("").run().stderr;
    for line in (0..wrong.len()).map(|at| 5 + 4 * at) {
        let place = format!("credentials/all.yaml:{line}:");
        assert_eq!(said.matches(&place).count(), 1, "{place} {said}");
    }
    assert!(said.ends_with("Nothing was changed: correct the errors above first.\n"), "{said}");
    assert_eq!(kept.text("credentials/all.yaml"), all);
    assert_eq!(kept.text("credentials/good.yaml"), good);
    // What else is wrong in a file keeps nobody from encrypting the secrets in it.
    kept.project.write("credentials/all.yaml", &good.replace("name: N99", "nmae: N"));
    let ran = kept.appcred().args(["encrypt", "credentials/all.yaml"]).run();
    assert_eq!(ran.stdout, "credentials/all.yaml: 1 secret encrypted\n");
}

#[test]
fn encrypt_changes_secrets_in_clear_and_nothing_else() {
    let kept = Kept::new();
    let before = "# mine\napplication_credentials:\n  - {domain: spotify, client_id: a, client_secret: first-secret}   # flow\n  -   domain: twitch\n      client_secret:  'second-secret' # keep me\n      client_id: b\n";
    kept.project.write("credentials/all.yaml", before);
    let ran = kept.appcred().args(["encrypt"]).run();
    assert_eq!(ran.stdout, "credentials/all.yaml: 2 secrets encrypted\n");
    let after = kept.text("credentials/all.yaml");
    assert!(!after.contains("first-secret") && !after.contains("second-secret"), "{after}");
    for line in ["# mine", "      client_secret:  | # keep me", "      client_id: b"] {
        assert!(after.lines().any(|there| there == line), "{after}");
    }
    let held = kept.applied();
    assert!(held.contains("first-secret") && held.contains("second-secret"), "{held}");
    kept.appcred().args(["encrypt"]).stdout("No secret is in plain text.\n").run();
    assert_eq!(kept.text("credentials/all.yaml"), after);
    let ran = kept.appcred().args(["encrypt", "-"]).stdin("piped\n").run();
    assert!(ran.stdout.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{}", ran.stdout);
    assert!(after.len() > before.len() && kept.recipient.starts_with("age1"));
}

#[test]
fn sops_manifests_take_new_entries() {
    let kept = Kept::new();
    kept.project.write("credentials/a.yaml", "# ours\napplication_credentials:\n    - domain: google\n      client_id: g\n      client_secret: first-secret\n");
    let rule = |rule: &str| {
        let fixed = ["--encrypt", "--age", &kept.recipient, "--encrypted-regex", rule];
        sops(kept.project.path(), &kept.identity, fixed.iter().chain(&["credentials/a.yaml"]))
    };
    let (before, careless) = (rule("^client_secret$"), rule("^nothing$"));
    let add = || {
        let add = ["add", "--domain", "spotify", "--client-id", "4f5c0a", "--secret-stdin"];
        kept.appcred().args(add).stdin("second-secret\n")
    };
    kept.project.write("credentials/a.yaml", &before);
    add().stdout("Added `spotify` to credentials/a.yaml.\n").run();
    let after = kept.text("credentials/a.yaml");
    let body = before.find("sops:\n").unwrap();
    assert!(after.starts_with(&before[..body]) && !after.contains("second-secret"), "{after}");
    let read = sops(kept.project.path(), &kept.identity, ["--decrypt", "credentials/a.yaml"]);
    assert!(read.contains("first-secret") && read.contains("second-secret"), "{read}");
    assert!(kept.applied().contains("second-secret"));
    kept.appcred().args(["encrypt"]).stdout("No secret is in plain text.\n").stderr("").run();

    kept.project
        .write("appcred.yaml", &format!("{}allow_plaintext: true\n", kept.text("appcred.yaml")));
    kept.project.write("credentials/a.yaml", &careless);
    add().run();
    kept.project
        .write("appcred.yaml", &kept.text("appcred.yaml").replace("allow_plaintext: true\n", ""));
    let ran = kept.appcred().args(["encrypt"]).status(1).run();
    assert!(
        ran.stderr.contains("a secret is in plain text in this SOPS document"),
        "{}",
        ran.stderr
    );
}

/// What is left of a run that failed does not stop the next.
#[test]
fn init_that_failed_half_way_is_completed_by_the_next() {
    for blocked in [".gitignore", "credentials"] {
        let project = Project::new();
        // Nothing can be written where a folder is, nor a folder where a file is.
        let in_the_way = project.join(blocked);
        match blocked {
            "credentials" => fs::write(&in_the_way, "").unwrap(),
            _ => fs::create_dir_all(&in_the_way).unwrap(),
        }
        let (_, recipient) = age_identity();
        let init = || {
            let args = ["init", "--owner", "house", "--recipient", &recipient.to_string()];
            Appcred::new().in_dir(project.path()).args(args)
        };
        let said = init().status(1).run().stderr;
        assert!(said.starts_with("error: cannot write "), "{blocked}: {said}");
        assert!(!project.join("appcred.yaml").exists(), "{blocked}");
        match blocked {
            "credentials" => fs::remove_file(&in_the_way).unwrap(),
            _ => fs::remove_dir(&in_the_way).unwrap(),
        }
        init().run();
        Appcred::new().in_dir(project.path()).args(["validate"]).run();
        let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
        assert_eq!(ignored.matches("secrets.yaml").count(), 1, "{ignored}");
    }
}

#[test]
fn init_writes_an_owner_of_its_own_and_refuses_what_is_no_address() {
    let project = Project::new();
    let home = Project::new();
    let appcred = || Appcred::new().in_dir(project.path()).env("HOME", home.path());
    let ran = appcred().args(["init", "--url", "ftp://a\"b"]).status(1).run();
    assert!(ran.stderr.contains("`url`"), "{}", ran.stderr);
    assert!(!project.join("appcred.yaml").exists());
    let quoted = ["-C", "quoted", "init", "--url", "http://a\"b"];
    appcred().args(quoted).run();
    appcred().args(["-C", "quoted", "validate", "--strict"]).run();
    appcred().args(["init", "--url", "https://ha.example:8123"]).run();
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    let owner = text.lines().find_map(|line| line.strip_prefix("owner: ")).unwrap();
    let (_, random) = owner.rsplit_once('-').unwrap();
    assert_eq!(random.len(), 5, "{owner}");
    assert!(text.contains("url: https://ha.example:8123\n") && !text.contains("token"), "{text}");
    appcred().args(["validate", "--strict"]).run();
    let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
    assert!(ignored.lines().any(|line| line == "*.plan"), "{ignored}");
}

#[test]
fn add_takes_the_file_of_a_console_and_the_name_that_people_know() {
    let project = Project::new();
    let home = Project::new();
    let appcred = || Appcred::new().in_dir(project.path()).env("HOME", home.path());
    appcred().args(["init"]).run();
    let json = r#"{"web":{"client_id":"12-a.apps.googleusercontent.com","project_id":"house","client_secret":"GOCSPX-w7rQm2cXbN5vKp9dLs3tYh","redirect_uris":["https://my.home-assistant.io/redirect/oauth"]}}"#;
    project.write("client_secret.json", json);
    let add = |domain: &str, file: &str, status: i32| {
        let add = ["add", "--domain", domain, "--from", file];
        let ran = appcred().args(add).status(status).run();
        assert!(!ran.stderr.contains("GOCSPX") && !ran.stdout.contains("GOCSPX"), "{}", ran.stderr);
        ran.stderr
    };
    let several = add("google", "client_secret.json", 0);
    assert!(!several.contains("error"), "a domain counts for more than a name: {several}");
    let several = add("Google", "client_secret.json", 1);
    assert!(several.contains("google (Google Calendar), google_assistant_sdk ("), "{several}");
    let almost = add("Google Calender", "client_secret.json", 1);
    assert!(almost.contains("did you mean google (Google Calendar)?"), "{almost}");
    add("YouTube", "client_secret.json", 0);
    let text = fs::read_to_string(project.join("credentials/credentials.yaml")).unwrap();
    assert!(text.contains("domain: youtube\n") && text.contains("BEGIN AGE"), "{text}");
    assert_eq!(text.matches("client_id: 12-a.apps.googleusercontent.com").count(), 2, "{text}");
    project.write("other.json", &json.replace("client_secret\"", "GOCSPX-typo\""));
    let said = add("spotify", "other.json", 1);
    assert!(said.contains("other.json is not JSON with a `client_id`"), "{said}");
    add("spotify", "no-such.json", 1);
    appcred().args(["validate", "--strict"]).run();
}

#[test]
fn a_secret_becomes_no_name() {
    let (identity, recipient) = crate::shell::age_identity();
    let project = format!("age: {{recipients: [{recipient}]}}\n");
    let project = Project::new().file("appcred.yaml", &project);
    for name in [
        &["--name", "m4rk3dOne"][..],
        &["--key", "m4rk3dOne"],
        &["--name", "My M4RK3DONE"],
        &["--account", "m4rk3dOne"],
        &["--name", "m4rk3d one"],
    ] {
        let secret = if name[1].contains(' ') && name[1].starts_with("m4") {
            "m4rk3d-One"
        } else {
            "m4rk3dOne"
        };
        let add = ["add", "--domain", "spotify", "--client-id", "4f5c0a", "--secret-stdin"];
        let add = Appcred::new()
            .in_dir(project.path())
            .env("SOPS_AGE_KEY", &identity)
            .args(add)
            .args(name);
        let said = add.stdin(secret).status(1).run().stderr;
        assert!(said.contains("of the entry would hold the client secret"), "{said}");
        assert!(!said.to_lowercase().contains("m4rk3d"), "{said}");
    }
    assert!(!project.join("credentials").exists());
}

/// A token in the project file would be in the way of the session that `login` opens.
#[test]
fn init_names_a_token_only_where_the_environment_has_one() {
    let project = Project::new();
    let home = Project::new();
    let init = |folder: &str, token: Option<&str>| {
        let appcred = Appcred::new().in_dir(project.path()).env("HOME", home.path());
        let appcred = appcred.env("HASS_SERVER", "http://127.0.0.1:9");
        let appcred = token.into_iter().fold(appcred, |of, token| of.env("HASS_TOKEN", token));
        let ran = appcred.args(["-C", folder, "init"]).run();
        (ran.stderr, fs::read_to_string(project.join(folder).join("appcred.yaml")).unwrap())
    };
    let (said, text) = init("signing-in", None);
    assert!(
        said.contains("`appcred -C signing-in login` signs in to http://127.0.0.1:9"),
        "{said}"
    );
    assert!(text.contains("url: http://127.0.0.1:9\n") && !text.contains("token"), "{text}");
    let (said, text) = init("with-a-token", Some("the-token"));
    assert!(
        !said.contains("signs in to") && text.contains("token: !env_var HASS_TOKEN\n"),
        "{said}{text}"
    );
}

/// What is above the repository may be somebody else's.
#[test]
fn a_project_is_found_from_below_in_its_repository_and_not_beyond() {
    let manifest =
        "application_credentials:\n  - {domain: spotify, client_id: i, client_secret: s}\n";
    let above = Project::new()
        .file("appcred.yaml", "manifests: [somebody-elses]\n")
        .file("house/appcred.yaml", "manifests: [credentials]\nallow_plaintext: true\n")
        .file("house/credentials/credentials.yaml", manifest)
        .file("house/deeper/down/secrets.txt", "")
        .file("alone/credentials.yaml", manifest);
    let validate = |from: &str, arguments: &[&str], status: i32| {
        let appcred = Appcred::new().in_dir(&above.join(from)).args(arguments).args(["validate"]);
        appcred.status(status).run()
    };
    // Without a repository the folder is the project.
    let said = validate("house/deeper", &[], 1).stderr;
    let project = above.join("house").canonicalize().unwrap();
    assert!(said.contains(&format!("a project begins in `{}`", project.display())), "{said}");
    for repository in ["house", "alone"] {
        git(&above.join(repository), &["init", "--quiet"]);
    }
    // The folder of manifests would be a project without a file, of another owner.
    for from in ["house", "house/credentials", "house/deeper/down"] {
        assert_eq!(validate(from, &[], 0).stdout, "Valid: 1 entry.\n");
    }
    validate("house/deeper", &["-C", "down"], 0);
    // In plain text, which only the other project allows.
    validate("alone", &[], 1);
    // A project can start programs.
    let nobody = 65534;
    std::os::unix::fs::chown(above.join("house/appcred.yaml"), Some(nobody), None).unwrap();
    let said = validate("house/deeper", &[], 1).stderr;
    assert!(said.contains("belongs to another user and is not used"), "{said}");
    validate("house", &[], 0);
    std::os::unix::fs::chown(above.join("house/appcred.yaml"), Some(0), None).unwrap();
    let broken = above.join("house/credentials/broken.yaml");
    fs::write(broken, "application_credentials: [{}]\n").unwrap();
    let said = validate("house/deeper", &[], 1).stderr;
    assert!(said.contains("--> ../credentials/broken.yaml:1:"), "{said}");
}

#[test]
fn encrypt_ends_with_an_error_beside_a_file_that_it_does_not_read() {
    let project = Project::new()
        .file("appcred.yaml", "targets: {home: {config_dir: ha}}\n")
        .file("credentials/a.yaml", "application_credentials: []\n")
        .file("credentials/b.json", "{\"application_credentials\": [{\"domain\": \"spotify\", \"client_id\": \"a\", \"client_secret\": \"m4rk3d-one\"}]}\n");
    let ran = Appcred::new().in_dir(project.path()).args(["encrypt"]).status(1).run();
    assert!(
        ran.stderr.contains("credentials/b.json` lists entries, and is not read"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stdout.contains("No secret is in plain text"), "{}", ran.stdout);
}

#[test]
fn a_file_of_secrets_with_capital_letters_is_named() {
    let entry =
        "application_credentials: [{domain: spotify, client_id: a, client_secret: !secret n}]\n";
    let project = Project::new()
        .file("appcred.yaml", "targets: {home: {config_dir: ha}}\n")
        .file("credentials.yaml", entry)
        .file("Secrets.yaml", "n: m4rk3d-one\n");
    let ran = Appcred::new().in_dir(project.path()).args(["plan"]).status(1).run();
    assert!(ran.stderr.contains("Secrets.yaml"), "{}", ran.stderr);
}

/// Who may not change a folder leaves nothing there that keeps out who may.
#[test]
fn a_refused_run_leaves_no_lock() {
    use std::os::unix::fs::chown;
    let (home_assistants, member) = (65534, 1234);
    let entry =
        "application_credentials: [{domain: spotify, client_id: a, client_secret: !env_var S}]\n";
    let project = Project::new()
        .file("appcred.yaml", "targets: {home: {config_dir: ha}}\n")
        .file("credentials.yaml", entry)
        .file("ha/.storage/core.uuid", "{}");
    fs::set_permissions(project.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for folder in ["ha", "ha/.storage"] {
        let folder = project.join(folder);
        chown(&folder, Some(home_assistants), Some(home_assistants)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o2777)).unwrap();
    }
    for file in ["appcred.yaml", "credentials.yaml", "ha/.storage/core.uuid"] {
        chown(project.join(file), Some(home_assistants), Some(home_assistants)).unwrap();
    }
    let apply = |user: u32| {
        let appcred = Appcred::new().in_dir(project.path()).env("S", "Zq7m4rk3dKx2");
        let state = project.join(&format!("state-{user}"));
        fs::create_dir_all(&state).unwrap();
        chown(&state, Some(user), None).unwrap();
        let appcred = appcred.env("XDG_STATE_HOME", state).args(["apply", "--yes"]);
        let ids = format!("--reuid={user}");
        appcred.under(Path::new("/usr/bin/setpriv"), &ids)
    };
    let said = apply(member).status(1).run().stdout;
    assert!(said.contains("it must belong to user 65534"), "{said}");
    let lock = project.join("ha/.storage/.appcred.lock");
    assert!(!lock.exists());
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
    let said = apply(home_assistants).status(1).run().stdout;
    assert!(said.contains("it belongs to user 0: remove it where no appcred runs"), "{said}");
    fs::remove_file(lock).unwrap();
    apply(home_assistants).run();
}

#[test]
fn a_key_and_a_client_may_be_on_targets_that_are_not_shared() {
    let project = Project::new();
    let home = Project::new();
    let appcred = || Appcred::new().in_dir(project.path()).env("HOME", home.path());
    appcred().args(["init"]).run();
    let text = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    let targets = "targets: {one: {config_dir: a}, two: {config_dir: b}}\n";
    project.write("appcred.yaml", &(text + targets));
    let add = |target: &str, status: i32| {
        let add = ["add", "--domain", "spotify", "--client-id", "a", "--secret-stdin", "--target"];
        appcred().args(add).args([target]).stdin("s\n").status(status).run()
    };
    add("one", 0);
    add("two", 0);
    add("two", 1);
    let said = add("onee", 1).stderr;
    assert!(said.contains("did you mean `one`? appcred.yaml has "), "{said}");
    appcred().args(["validate", "--strict"]).run();
}

#[test]
fn what_is_wrong_with_a_file_of_secrets_is_reported_once_and_where_it_is() {
    let entries = "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !secret a}\n  - {domain: twitch, client_id: b, client_secret: !secret b}\n";
    let project = Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {lab: {config_dir: ha}}\n")
        .file("credentials.yaml", entries);
    let plan = |status: i32| {
        let plan = Appcred::new().in_dir(project.path()).args(["plan"]).status(status).run();
        assert!(!plan.stderr.contains("m4rk3d"), "{}", plan.stderr);
        plan.stderr
    };
    project.write("secrets.yaml", "a: m4rk3d-a\nb: @m4rk3d-b\n");
    let said = plan(1);
    assert_eq!(said.matches("error: not valid YAML").count(), 1, "{said}");
    assert!(said.contains("secrets.yaml:2:4"), "{said}");
    project.write("secrets.yaml", "a: m4rk3d-a\nb: m4rk3d-b\na: m4rk3d-c\n");
    let said = plan(0);
    assert_eq!(said.matches("warning: `a` is given twice").count(), 1, "{said}");
    assert!(said.contains("secrets.yaml:3:1"), "{said}");
    for (text, what, at) in [
        ("# ours\na=m4rk3d-a\n", "not a YAML mapping of names", "2:1"),
        ("a: m4rk3d-a\n---\nb: m4rk3d-b\n", "a second document begins here", "3:1"),
    ] {
        project.write("secrets.yaml", text);
        let said = plan(1);
        assert_eq!(said.matches(what).count(), 1, "{said}");
        assert!(said.contains(&format!("secrets.yaml:{at}")), "{said}");
    }
    fs::rename(project.join("secrets.yaml"), project.join("secrets.yml")).unwrap();
    assert!(plan(1).contains("secrets.yml"));
    project.write("secrets.sops.yaml", "a: ENC[m4rk3d]\na: ENC[m4rk3d]\nsops: {version: 3.9.0}\n");
    let said = plan(1);
    assert_eq!(said.matches("error: `a` is given twice").count(), 1, "{said}");
    assert!(said.contains("secrets.sops.yaml:2:1"), "{said}");
}

#[test]
fn add_writes_nothing_where_the_project_does_not_read() {
    let project = Project::new()
        .file("appcred.yaml", "owner: house\nmanifests: [c]\ntargets: {home: {config_dir: ha}}\n")
        .file("c/a.yaml", "application_credentials: []\n")
        .file("other/x", "");
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = elsewhere.path().join("x.yaml");
    let absolute = absolute.to_str().unwrap();
    let above = format!("../{}/x.yaml", elsewhere.path().file_name().unwrap().to_str().unwrap());
    for file in ["other/x.yaml", "c/x.txt", "c/.hidden.yaml", "x.yaml", absolute, &above] {
        let ran = Appcred::new()
            .in_dir(project.path())
            .args(["add", "--domain", "spotify", "--client-id", "x", "--name", "A"])
            .args(["--secret-stdin", "--file", file])
            .stdin("sec12345abc")
            .spawn()
            .finish();
        assert_eq!(ran.status, Some(1), "{file}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("is not a place where appcred reads manifests"),
            "{file}: {}",
            ran.stderr
        );
        assert!(!project.path().join(file).exists(), "{file}");
    }
}

#[test]
fn encrypt_says_that_a_file_is_no_manifest() {
    let kept = Kept::new();
    let refused = "it has no `application_credentials`, and `encrypt` finds secrets in manifests";
    for (file, text) in [
        ("secrets.yaml", "spotify: m4rk3d\n"),
        ("house.yaml", "spotify: m4rk3d\n"),
        ("configuration.yaml", "http:\n  api_password: m4rk3d\n"),
    ] {
        kept.project.write(file, text);
        let ran = kept.appcred().args(["encrypt", file]).status(1).run();
        assert!(ran.stderr.contains(refused), "{file}: {}", ran.stderr);
        assert_eq!(kept.text(file), text);
    }
    for text in ["application_credentials: []\n", "application_credentials:\n", ""] {
        kept.project.write("empty.yaml", text);
        let encrypt = kept.appcred().args(["encrypt", "empty.yaml", "appcred.yaml"]);
        encrypt.stdout("No secret is in plain text.\n").run();
    }
}
