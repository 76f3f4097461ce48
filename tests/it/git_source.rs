//! A project that is in a Git repository elsewhere, from real servers.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::hygiene::git;
use crate::listener::Listener;
use crate::real::{
    GitHttps, HomeAssistant, Release, SshServer, each_release, free_port, send, visit,
};
use crate::shell::{Appcred, Project, Ran, Running, age_identity, encrypt};
use crate::waking::signature;
use crate::watch::{arrives, eventually};

const TOKEN: &str = "t0k3n-that-nobody-may-see";

/// A repository on a server, a clone of somebody who writes to it, and a machine with an age key that reads it.
struct Scene {
    clone: Project,
    server: TempDir,
    state: TempDir,
    identity: String,
    recipient: age::x25519::Recipient,
}

impl Scene {
    fn new() -> Self {
        let (identity, recipient) = age_identity();
        let server = tempfile::Builder::new().prefix("appcred-server-").tempdir().unwrap();
        let state = tempfile::Builder::new().prefix("appcred-state-").tempdir().unwrap();
        let storage = state.path().join("ha/.storage");
        fs::create_dir_all(&storage).unwrap();
        let none = r#"{"version":1,"minor_version":1,"key":"application_credentials","data":{"items":[]}}"#;
        fs::write(storage.join("application_credentials"), none).unwrap();
        let scene = Self { clone: Project::new(), server, state, identity, recipient };
        git(scene.server.path(), &["init", "--quiet", "--bare", "me/house.git"]);
        git(scene.clone.path(), &["init", "--quiet"]);
        let origin = scene.repository().display().to_string();
        git(scene.clone.path(), &["remote", "add", "origin", &origin]);
        let target = scene.state.path().join("ha");
        let project = format!("targets: {{lab: {{config_dir: {}}}}}\n", target.display());
        scene.clone.write("appcred.yaml", &project);
        scene.declare("First");
        scene.push();
        scene
    }

    fn repository(&self) -> PathBuf {
        self.server.path().join("me/house.git")
    }

    /// One entry of this name.
    fn declare(&self, name: &str) {
        let armored = encrypt("m4rk3d-secret", &self.recipient);
        let armored = armored.trim_end().replace('\n', "\n      ");
        let text = format!(
            "application_credentials:\n  - domain: spotify\n    name: {name}\n    client_id: c-{name}\n    client_secret: |\n      {armored}\n    integration: {{setup: false}}\n"
        );
        self.clone.write("credentials/all.yaml", &text);
    }

    fn commit(&self) {
        git(self.clone.path(), &["add", "--all"]);
        git(self.clone.path(), &["commit", "--quiet", "--allow-empty", "-m", "x"]);
    }

    fn push(&self) {
        self.commit();
        git(self.clone.path(), &["push", "--quiet", "--force", "origin", "HEAD:main"]);
    }

    /// The beginning of the id of the newest commit.
    fn id(&self) -> String {
        let mut command = Command::new("git");
        command.args(["rev-parse", "HEAD"]).current_dir(self.clone.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()[..12].to_owned()
    }

    fn appcred(&self) -> Appcred {
        let appcred = Appcred::new().env("PATH", std::env::var_os("PATH").unwrap());
        appcred
            .env("NO_PROXY", "localhost")
            .env("XDG_STATE_HOME", self.state.path())
            .env("APPCRED_AGE_IDENTITY", &self.identity)
    }

    /// A run with the repository by ssh.
    fn by_ssh(&self, ssh: &SshServer, verb: &str) -> Appcred {
        let appcred = self.appcred().args([verb, "--git", &ssh.url(&self.repository())]);
        let appcred = appcred.args(["--git-key"]).args([ssh.join("key")]);
        appcred.args(["--git-known-hosts"]).args([ssh.join("known_hosts")])
    }

    /// A run with the repository as a folder of this machine.
    fn by_path(&self, verb: &str) -> Appcred {
        self.appcred().args([verb, "--git"]).args([self.repository()])
    }

    /// What is kept of the repository.
    fn source(&self) -> PathBuf {
        let mut sources = fs::read_dir(self.state.path().join("appcred/git")).unwrap();
        sources.next().unwrap().unwrap().path()
    }

    /// The work trees that are kept, by the ids of their commits.
    fn kept(&self) -> Vec<String> {
        let sources = fs::read_dir(self.state.path().join("appcred/git")).unwrap();
        let mut ids = Vec::new();
        for source in sources {
            let commits = fs::read_dir(source.unwrap().path().join("commits")).unwrap();
            let names = commits.map(|commit| commit.unwrap().file_name().into_string().unwrap());
            ids.extend(
                names.filter(|name| !name.ends_with(".lock")).map(|name| name[..12].to_owned()),
            );
        }
        ids
    }
}

/// A watcher that reports what differs.
struct Watched {
    running: Running,
    port: u16,
}

impl Watched {
    fn start(appcred: Appcred) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let appcred = appcred.args(["--dry-run", "--git-interval", "1", "--listen", &listen]);
        Self { running: appcred.spawn(), port }
    }

    /// Waits until it says this.
    #[track_caller]
    fn says(&self, text: &str) {
        eventually(&format!("{text:?} in {}", self.running.stderr()), || {
            self.running.stderr().contains(text)
        });
    }

    fn status(&self) -> Value {
        visit(&format!("http://127.0.0.1:{}/api/v1/status", self.port)).value()
    }

    fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn stop(self) -> Ran {
        self.running.signal(Signal::TERM);
        let ran = self.running.finish();
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran
    }
}

#[test]
fn a_command_that_is_named_is_for_the_repository_that_was_given() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{}age: {{recipients: [{}]}}\n",
        fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap(),
        scene.recipient
    );
    scene.clone.write("appcred.yaml", &text);
    scene.push();
    let plan = scene.by_path("plan").args(["--git-ref=main", "--git-timeout=50", "--out=a.plan"]);
    let said = plan.in_dir(folder.path()).run().stderr;
    let (_, command) = said.split_once("Saved the plan: `appcred ").unwrap();
    let (command, _) = command.split_once('`').unwrap();
    let repository = scene.repository().display().to_string();
    let source = format!("--git={repository} --git-ref=main --git-timeout=50");
    assert_eq!(command, format!("apply {source} a.plan"));
    let pasted = shell_words::split(command).unwrap();
    scene.appcred().in_dir(folder.path()).args(&pasted).run();
    let again = scene.appcred().in_dir(folder.path()).args(&pasted).status(1).run();
    let next = format!("Plan again with `appcred plan {source} --out a.plan`.");
    assert!(again.stderr.contains(&next), "{}", again.stderr);
}

#[test]
fn a_project_is_read_from_a_server_of_ssh() {
    let (scene, mut ssh) = (Scene::new(), SshServer::start());
    let planned = scene.by_ssh(&ssh, "plan").run();
    assert!(planned.stdout.contains("create spotify \"First\""), "{}", planned.stdout);
    let listed = scene.by_ssh(&ssh, "list").args(["--format", "json"]).run();
    assert!(listed.stdout.contains("\"missing\""), "{}", listed.stdout);
    scene.by_ssh(&ssh, "validate").args(["--strict"]).run();
    let applied = scene.by_ssh(&ssh, "apply").args(["--yes", "--format", "json"]).run();
    // Who works in a clone has the same owner.
    let clone = scene.appcred().in_dir(scene.clone.path());
    assert!(clone.args(["plan"]).run().stdout.contains("in sync"), "{}", applied.stdout);
    assert_eq!(scene.kept(), [scene.id()]);

    let unknown =
        scene.appcred().args(["plan", "--git", &ssh.url(&scene.repository())]).status(1).run();
    assert!(
        unknown.stderr.contains("the host key of the server is not known"),
        "{}",
        unknown.stderr
    );
    ssh.new_host_key();
    let changed = scene.by_ssh(&ssh, "plan").status(1).run();
    assert!(
        changed.stderr.contains("the host key of the server has changed"),
        "{}",
        changed.stderr
    );
    ssh.know_again();
    scene.by_ssh(&ssh, "plan").run();
    fs::write(ssh.join("authorized"), "").unwrap();
    let refused = scene.by_ssh(&ssh, "plan").status(1).run();
    assert!(refused.stderr.contains("the server refuses access"), "{}", refused.stderr);
}

#[test]
fn a_branch_a_tag_a_commit_and_a_folder_can_be_named() {
    let scene = Scene::new();
    let first = scene.id();
    git(scene.clone.path(), &["tag", "v1"]);
    git(scene.clone.path(), &["push", "--quiet", "origin", "v1"]);
    scene.declare("Second");
    scene.clone.write("houses/cabin/appcred.yaml", "targets: {}\n");
    scene.clone.write("houses/cabin/credentials/all.yaml", "application_credentials: []\n");
    scene.push();
    let plan = |arguments: &[&str]| scene.by_path("plan").args(arguments).run().stdout;
    assert!(plan(&[]).contains("\"Second\""));
    assert!(plan(&["--git-ref", "main"]).contains("\"Second\""));
    assert!(plan(&["--git-ref", "v1"]).contains("\"First\""));
    // Who may only make tags cannot put a commit in the place of a branch.
    git(scene.clone.path(), &["tag", "main", "v1"]);
    git(scene.clone.path(), &["push", "--quiet", "origin", "refs/tags/main"]);
    assert!(plan(&["--git-ref", "main"]).contains("\"Second\""));
    git(&scene.repository(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let mut whole = Command::new("git");
    whole.args(["rev-parse", &first]).current_dir(scene.clone.path());
    let whole = String::from_utf8(whole.output().unwrap().stdout).unwrap();
    assert!(plan(&["--git-ref", whole.trim()]).contains("\"First\""));
    let cabin = scene.by_path("validate").args(["--git-path", "houses/cabin"]).run();
    assert!(cabin.stdout.contains('0'), "{}", cabin.stdout);
    for (arguments, why) in [
        (["--git-ref", "gone"], "no such branch, tag or commit"),
        (["--git-path", "gone"], "has no folder gone"),
        (["--git-path", "../.."], "name a folder of the repository"),
        (["--git-ref", "--upload-pack=touch /tmp/x"], "write the name of a branch"),
    ] {
        let joined = format!("{}={}", arguments[0], arguments[1]);
        let refused = scene.by_path("plan").args([joined]).status(1).run();
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
}

#[test]
fn a_repository_without_its_default_branch_says_what_it_has() {
    let scene = Scene::new();
    git(scene.clone.path(), &["push", "--quiet", "origin", "main:refs/heads/other"]);
    git(&scene.repository(), &["symbolic-ref", "HEAD", "refs/heads/gone"]);
    let refused = scene.by_path("validate").status(1).run().stderr;
    let said = "the default branch of the repository does not exist; it has `main`, `other`";
    assert!(refused.contains(said) && refused.contains("--git-ref"), "{refused}");
    scene.by_path("validate").args(["--git-ref", "other"]).run();
    for branch in ["main", "other"] {
        git(&scene.repository(), &["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }
    for arguments in [&[] as &[&str], &["--git-ref", "main"]] {
        let refused = scene.by_path("validate").args(arguments).status(1).run().stderr;
        assert!(refused.contains("the repository is empty"), "{refused}");
        assert!(refused.contains("push a commit") && !refused.contains("--git-ref"), "{refused}");
    }
}

#[test]
fn output_names_the_commit_and_files_by_it_and_not_where_they_are_kept() {
    let scene = Scene::new();
    let markdown = scene.state.path().join("plan.md");
    let with_markdown = format!("--format=markdown={}", markdown.display());
    let plan = |status| scene.by_path("plan").args([&with_markdown]).status(status).run();
    let commit = scene.id();
    assert!(plan(0).stdout.starts_with(&format!("# commit {commit}\n")), "{}", plan(0).stdout);
    let written = fs::read_to_string(&markdown).unwrap();
    assert!(written.contains(&format!("Commit `{commit}`")), "{written}");

    scene.declare("Second");
    scene
        .clone
        .write("credentials/more.yaml", "application_credentials: [{domain: spotfy, colour: x}]\n");
    scene.push();
    let kept = scene.source().display().to_string();
    let place =
        format!("{}@{}: credentials/more.yaml:1:", scene.repository().display(), scene.id());
    for verb in ["validate", "plan", "apply", "list", "verify"] {
        let failed = scene.by_path(verb).status(1).run();
        assert!(failed.stderr.contains(&place), "{verb}: {}", failed.stderr);
        assert!(!failed.stderr.contains(&kept), "{verb}: {}", failed.stderr);
    }
    plan(1);
    let written = fs::read_to_string(&markdown).unwrap();
    assert!(written.contains(&place) && !written.contains(&kept), "{written}");

    // A watcher reads what is in force, whatever commit that is.
    let watched = Watched::start(scene.by_path("watch"));
    watched.says(&format!("{}: credentials/more.yaml:1:", scene.repository().display()));
    let logged = watched.running.stderr();
    assert!(!logged.contains(&kept), "{logged}");
    watched.stop();
}

#[test]
fn the_pod_of_the_example_watches_a_repository() {
    let scene = Scene::new();
    let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
    scene.clone.write("gitops/appcred.yaml", &project);
    scene.clone.write("gitops/credentials/all.yaml", "application_credentials: []\n");
    scene.push();
    let secrets = scene.state.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    for name in ["git-token", "status-token"] {
        fs::write(secrets.join(name), TOKEN).unwrap();
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops/fetching.yaml");
    let pod: Value = serde_yaml::from_str(&fs::read_to_string(example).unwrap()).unwrap();
    let container = &pod["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["appcred"]));
    let port = free_port();
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| {
        let argument = argument.as_str().unwrap();
        let argument = argument.replace("0.0.0.0:8099", &format!("127.0.0.1:{port}"));
        let argument = argument.replace("/secrets", secrets.to_str().unwrap());
        argument.replace("https://git.example/me/house.git", scene.repository().to_str().unwrap())
    });
    let watched = Watched { running: scene.appcred().args(arguments).spawn(), port };
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        let url = format!("http://127.0.0.1:{port}{path}");
        eventually(&format!("{url} answers"), || {
            send("GET", &url, &[], None).is_ok_and(|answer| answer.status == 200)
        });
    }
    watched.stop();
}

#[test]
fn a_token_opens_a_server_of_https_and_is_never_seen() {
    let scene = Scene::new();
    let https = GitHttps::start(scene.server.path(), TOKEN);
    let token = scene.state.path().join("token");
    let run = |held: &str, status| {
        fs::write(&token, held).unwrap();
        let appcred = scene.appcred().args(["plan", "-vv", "--git", &https.url("me/house.git")]);
        let appcred = appcred.env("GIT_SSL_CAINFO", https.certificate()).env("GIT_TRACE", "1");
        let ran = appcred
            .env("GIT_TRACE_CURL", "1")
            .args(["--git-token-file"])
            .args([&token])
            .status(status)
            .run();
        assert!(!ran.stderr.contains("t0k3n") && !ran.stdout.contains("t0k3n"), "{}", ran.stderr);
        ran
    };
    assert!(run(&format!("{TOKEN}\n"), 0).stdout.contains("\"First\""));
    assert!(run(TOKEN, 0).stdout.contains("\"First\""), "a file without a line break");
    let refused = run("t0k3n-of-another", 1);
    assert!(refused.stderr.contains("the server refuses access"), "{}", refused.stderr);
    let kept =
        Command::new("grep").args(["-r", "t0k3n"]).arg(scene.state.path().join("appcred")).output();
    assert!(kept.unwrap().stdout.is_empty(), "it is written nowhere");

    let without = scene.appcred().args(["plan", "--git", &https.url("me/house.git")]);
    let without = without.env("GIT_SSL_CAINFO", https.certificate()).status(1).run();
    assert!(without.stderr.contains("the server refuses access"), "{}", without.stderr);
    let untrusted =
        scene.appcred().args(["plan", "--git", &https.url("me/house.git")]).status(1).run();
    assert!(untrusted.stderr.contains("certificate"), "{}", untrusted.stderr);
    let hidden = format!("https://me:{TOKEN}@localhost/house.git");
    let refused = scene.appcred().args(["plan", "--git", &hidden]).status(1).run();
    assert!(!refused.stderr.contains("t0k3n"), "{}", refused.stderr);
}

#[test]
fn a_watcher_follows_its_branch_whatever_becomes_of_it() {
    let (scene, mut ssh) = (Scene::new(), SshServer::start());
    let watched = Watched::start(scene.by_ssh(&ssh, "watch"));
    watched.says("create spotify \"First\"");

    scene.declare("Second");
    scene.push();
    watched.says("create spotify \"Second\"");
    let second = scene.id();
    eventually("the commit is in the status", || {
        watched.status()["manifests"]["commit"]["id"] == second.as_str()
    });
    let source = watched.status()["source"].clone();
    assert!(source["commit"].as_str().unwrap().starts_with(&second), "{source}");
    assert_eq!(source["ref"], "HEAD");
    let metrics = visit(&format!("http://127.0.0.1:{}/metrics", watched.port)).text;
    assert!(metrics.contains("appcred_source_failed{url=\"ssh://"), "{metrics}");
    assert!(metrics.contains(&format!("commit=\"{second}")), "{metrics}");

    git(scene.clone.path(), &["commit", "--quiet", "--amend", "-m", "y"]);
    scene.declare("Third");
    scene.push();
    watched.says("was rewritten");
    watched.says(&format!("commit {second}, which was used before, is not among those up to"));
    watched.says("create spotify \"Third\"");

    scene.clone.write("credentials/all.yaml", "application_credentials: [");
    scene.push();
    watched.says("nothing new is applied until this is fixed");
    scene.declare("Fourth");
    scene.push();
    watched.says("create spotify \"Fourth\"");

    let fourth = scene.id();
    git(&scene.repository(), &["update-ref", "-d", "refs/heads/main"]);
    watched.says("the repository is empty");
    eventually("it is in the status", || watched.status()["source"]["error"].is_string());
    let page = visit(&format!("http://127.0.0.1:{}/", watched.port)).text;
    assert!(page.contains("It cannot be fetched: the repository is empty"), "{page}");
    assert!(page.contains("The repository cannot be fetched"), "{page}");
    ssh.stop();
    watched.says("Connection refused");
    assert!(watched.status()["source"]["commit"].as_str().unwrap().starts_with(&fourth));
    assert_eq!(watched.status()["manifests"]["in_force"], true);
    ssh.start_again();
    scene.declare("Fifth");
    scene.push();
    // What failed is tried again after a pause, and at once where somebody asks.
    let reconcile = format!("{}api/v1/reconcile", watched.page());
    assert_eq!(send("POST", &reconcile, &[], None).unwrap().status, 202);
    watched.says("create spotify \"Fifth\"");

    ssh.stop();
    let stopped = watched.stop();
    assert!(!stopped.stderr.contains("m4rk3d"), "{}", stopped.stderr);
    let again = Watched::start(scene.by_ssh(&ssh, "watch"));
    again.says("which was fetched last, is read");
    again.says("create spotify \"Fifth\"");
    again.stop();
    let none = Scene::new();
    let first = Watched::start(none.by_ssh(&ssh, "watch"));
    first.says("it is tried again");
    ssh.start_again();
    first.says("create spotify \"First\"");
    first.stop();
}

#[test]
fn a_commit_that_is_not_in_force_is_said_to_be_so_and_its_place_on_this_machine_is_not_shown() {
    let (scene, mut ssh) = (Scene::new(), SshServer::start());
    let watched = Watched::start(scene.by_ssh(&ssh, "watch"));
    watched.says("create spotify \"First\"");
    fs::remove_dir_all(scene.clone.join("credentials")).unwrap();
    scene.push();
    eventually("what is missing is in the status", || {
        watched.status()["manifests"]["problems"][0]["message"].is_string()
    });
    let (status, page) = (watched.status(), visit(&watched.page()).text);
    for shown in [status.to_string(), page, watched.running.stderr()] {
        assert!(!shown.contains("in-force/checkout"), "{shown}");
    }
    ssh.stop();
    watched.says("is not in force, since it has errors");
    eventually("the page says so", || {
        visit(&watched.page()).text.contains("is not in force, since it has errors")
    });
    watched.stop();
}

/// A container's first process is ended by no signal that it does not listen to.
#[test]
fn a_watcher_ends_while_it_cannot_fetch_for_the_first_time() {
    let (scene, mut ssh) = (Scene::new(), SshServer::start());
    ssh.stop();
    let watched = Watched::start(scene.by_ssh(&ssh, "watch"));
    watched.says("it is tried again");
    watched.stop();
}

#[test]
fn sighup_does_not_end_a_watcher_that_fetches_for_the_first_time_and_ctrl_c_ends_it_with_0() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://git@127.0.0.1:{}/house.git", listener.local_addr().unwrap().port());
    let appcred = scene.appcred().args(["watch", "--listen", "off", "--git", &url]);
    // Whoever started the tests may ignore some signals, and what they start would as well.
    let running = appcred.under(Path::new("/usr/bin/env"), "--default-signal").spawn();
    let _fetching = listener.accept().unwrap();
    running.signal(Signal::HUP);
    running.signal(Signal::INT);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
}

#[test]
fn a_server_that_says_nothing_is_waited_for_no_longer_than_is_allowed() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ssh://git@127.0.0.1:{}/house.git", listener.local_addr().unwrap().port());
    let silent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // It is over when ssh is.
        let mut said = Vec::new();
        stream.read_to_end(&mut said).map(|_| said)
    });
    let ran = scene.appcred().args(["plan", "--git", &url, "--git-timeout", "2"]).status(1).run();
    assert!(ran.stderr.contains("the fetch did not end within 2 seconds"), "{}", ran.stderr);
    assert!(silent.join().unwrap().unwrap().starts_with(b"SSH-2.0"), "ssh has ended with it");
}

#[test]
fn only_a_commit_with_a_known_signature_is_used() {
    let scene = Scene::new();
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let file = keys.path().join(name);
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file);
        assert!(keygen.status().unwrap().success());
        file
    };
    let (ours, other) = (key("ours"), key("other"));
    let signers = keys.path().join("allowed_signers");
    let public = fs::read_to_string(ours.with_extension("pub")).unwrap();
    fs::write(&signers, format!("me@example.org namespaces=\"git\" {public}")).unwrap();
    let sign = |key: &Path| {
        let key = format!("user.signingkey={}", key.display());
        git(
            scene.clone.path(),
            &[
                "-c",
                "gpg.format=ssh",
                "-c",
                &key,
                "commit",
                "--quiet",
                "--allow-empty",
                "-S",
                "-am",
                "x",
            ],
        );
        git(scene.clone.path(), &["push", "--quiet", "--force", "origin", "HEAD:main"]);
    };
    let run = |status| {
        scene.by_path("plan").args(["--git-allowed-signers"]).args([&signers]).status(status).run()
    };
    assert!(run(1).stderr.contains("has no signature"), "{}", run(1).stderr);
    sign(&other);
    assert!(run(1).stderr.contains("is not used"), "{}", run(1).stderr);
    scene.declare("Signed");
    sign(&ours);
    assert!(run(0).stdout.contains("\"Signed\""));

    let strict =
        || Watched::start(scene.by_path("watch").args(["--git-allowed-signers"]).args([&signers]));
    let watched = strict();
    watched.says("create spotify \"Signed\"");
    let signed = scene.id();
    scene.declare("Unsigned");
    scene.push();
    watched.says("is not used");
    // What is in force for who asks for no signature is not for who does.
    let lax = Watched::start(scene.by_path("watch"));
    lax.says("create spotify \"Unsigned\"");
    lax.stop();
    assert!(watched.status()["source"]["commit"].as_str().unwrap().starts_with(&signed));
    let ran = watched.stop();
    assert!(!ran.stderr.contains("create spotify \"Unsigned\""), "{}", ran.stderr);
    let again = strict();
    again.says("is not used");
    again.says("create spotify \"Signed\"");
    let ran = again.stop();
    assert!(!ran.stderr.contains("create spotify \"Unsigned\""), "{}", ran.stderr);
}

#[test]
fn signers_that_cannot_be_read_are_an_error() {
    let scene = Scene::new();
    let missing = scene.by_path("plan").args(["--git-allowed-signers", "gone"]).status(1).run();
    assert!(missing.stderr.contains("cannot read gone"), "{}", missing.stderr);
}

#[test]
fn a_file_of_the_access_that_is_missing_is_named() {
    let scene = Scene::new();
    scene.declare("a");
    scene.push();
    for option in ["--git-key", "--git-known-hosts", "--git-token-file", "--git-allowed-signers"] {
        let ran = scene.by_path("validate").args([option, "none/file"]).status(1).run();
        let said =
            format!("cannot read none/file, which {option} names: there is no such file or folder");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
        assert!(!ran.stderr.contains("refuses access"), "{}", ran.stderr);
    }
}

#[test]
fn a_repository_runs_no_program_of_its_own_or_of_this_machine() {
    let scene = Scene::new();
    let ran = scene.state.path().join("ran");
    let home = tempfile::tempdir().unwrap();
    let touch = format!("touch {}", ran.display());
    let settings = format!(
        "[filter \"x\"]\n\tsmudge = {touch}\n\tclean = {touch}\n\tprocess = {touch}\n\trequired = true\n[core]\n\thooksPath = {}\n",
        home.path().display()
    );
    fs::write(home.path().join(".gitconfig"), settings).unwrap();
    let hook = home.path().join("post-checkout");
    fs::write(&hook, format!("#!/bin/sh\n{touch}\n")).unwrap();
    Command::new("chmod").arg("+x").arg(&hook).status().unwrap();
    scene.clone.write(".gitattributes", "*.yaml filter=x\n");
    scene.clone.write(
        ".gitmodules",
        &format!("[submodule \"a\"]\n\tpath = a\n\turl = {}\n", scene.repository().display()),
    );
    // A folder that looks like a repository of its own.
    for (file, text) in [
        ("HEAD", "ref: refs/heads/main\n"),
        ("objects/x", ""),
        ("refs/x", ""),
        (
            "config",
            &format!(
                "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = {touch}\n[filter \"x\"]\n\tclean = {touch}\n"
            ),
        ),
    ] {
        scene.clone.write(&format!("house/{file}"), text);
    }
    fs::copy(scene.clone.join("appcred.yaml"), scene.clone.join("house/appcred.yaml")).unwrap();
    scene.clone.write(
        "house/credentials/all.yaml",
        &fs::read_to_string(scene.clone.join("credentials/all.yaml")).unwrap(),
    );
    scene.push();
    for path in [".", "house"] {
        for verb in ["validate", "plan"] {
            let appcred = scene.by_path(verb).env("HOME", home.path()).args(["--git-path", path]);
            let shown = appcred.run();
            assert!(!ran.exists(), "{path}: {}", shown.stderr);
        }
        let watch = scene.by_path("watch").env("HOME", home.path()).args(["--git-path", path]);
        let watched = Watched::start(watch);
        watched.says("create spotify \"First\"");
        watched.stop();
        assert!(!ran.exists(), "{path}");
    }
}

#[test]
fn a_fetched_project_names_programs_only_where_this_machine_allows_it() {
    let scene = Scene::new();
    let ran = scene.state.path().join("ran");
    let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
    let source = format!(
        "sources: {{pass: {{command: [sh, -c, 'touch {}; echo printed-by-it', sh, \"{{}}\"]}}}}\n",
        ran.display()
    );
    scene.clone.write("appcred.yaml", &format!("{project}{source}"));
    scene.clone.write("credentials/more.yaml", "application_credentials:\n  - {domain: twitch, client_id: m, client_secret: !from pass house/twitch}\n");
    scene.push();
    let refused = scene.by_path("plan").status(1).run();
    assert!(
        refused.stderr.contains("appcred.yaml:2:1")
            && refused.stderr.contains("--git-allow-programs"),
        "{}",
        refused.stderr
    );
    let watched = Watched::start(scene.by_path("watch"));
    watched.says("may start none here");
    watched.stop();
    assert!(!ran.exists());
    let allowed = scene.by_path("plan").args(["--git-allow-programs"]).run();
    assert!(ran.exists() && allowed.stdout.contains("twitch"), "{}", allowed.stdout);
}

/// Whoever can push could have it sent to an address of theirs, and decrypt whatever was encrypted to it.
#[test]
fn a_fetched_project_reads_no_age_identity_as_a_secret() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let (identity, _) = age_identity();
    let file = folder.path().join("key.txt");
    fs::write(&file, &identity).unwrap();
    let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
    scene.clone.write("appcred.yaml", &format!("{project}allow_outside_files: true\n"));
    let entry = |(at, secret): (usize, String)| {
        format!("  - {{domain: twitch, client_id: m{at}, key: m{at}, client_secret: {secret}}}\n")
    };
    let secrets = ["!env_var SOPS_AGE_KEY", "!env_var OTHER", &format!("!file {}", file.display())];
    let entries: String = secrets.iter().map(ToString::to_string).enumerate().map(entry).collect();
    scene.clone.write("credentials/more.yaml", &format!("application_credentials:\n{entries}"));
    scene.push();
    let planning = scene.by_path("plan").env("SOPS_AGE_KEY", &identity).env("OTHER", &identity);
    let said = planning.env("SOPS_AGE_KEY_FILE", &file).status(1).run().stderr;
    let refused = said.matches("a project that was fetched may not read them").count();
    assert_eq!(refused, 3, "{said}");
    assert!(!said.contains(identity.trim()), "{said}");
}

/// What is written there would be gone with the next commit.
#[test]
fn a_fetched_project_has_no_configuration_folder_in_its_repository() {
    let scene = Scene::new();
    scene.clone.write("appcred.yaml", "targets:\n  lab: {config_dir: ha}\n");
    scene.push();
    for verb in ["plan", "apply", "validate"] {
        let refused = scene.by_path(verb).status(1).run();
        assert!(
            refused.stderr.contains("appcred.yaml:2:3")
                && refused.stderr.contains("`config_dir` of the target `lab` is in the project"),
            "{verb}: {}",
            refused.stderr
        );
    }
    let watched = Watched::start(scene.by_path("watch"));
    watched.says("is in the project that was fetched");
    watched.stop();
}

#[test]
fn identities_of_a_fetched_project_start_no_plugin() {
    let scene = Scene::new();
    let programs = scene.state.path().join("bin");
    fs::create_dir(&programs).unwrap();
    let plugin = programs.join("age-plugin-foo");
    let ran = scene.state.path().join("ran");
    fs::write(&plugin, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
    scene.clone.write("appcred.yaml", &format!("{project}age: {{identities: [id.txt]}}\n"));
    scene.clone.write("id.txt", "AGE-PLUGIN-FOO-1QQQSYQCYQ5RQWZQF0Q7ZT6\n");
    scene.push();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let refused = || scene.by_path("plan").env("PATH", &path).status(1).run().stderr;
    assert!(refused().contains("are for a plugin of age"), "{}", refused());
    // A letter that is not UTF-8 is before it.
    fs::write(scene.clone.join("id.txt"), b"# caf\xe9\nAGE-PLUGIN-FOO-1QQQSYQCYQ5RQWZQF0Q7ZT6\n")
        .unwrap();
    scene.push();
    assert!(refused().contains("are for a plugin of age"), "{}", refused());
    assert!(!ran.exists());
}

/// Also where nothing is read for hours.
#[test]
fn a_repository_that_cannot_be_fetched_is_notified_at_once_and_so_is_its_end() {
    let scene = Scene::new();
    let listener = Listener::start(200);
    let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
    let notify = format!("{project}notify: {{webhook: {:?}}}\n", listener.url());
    scene.clone.write("appcred.yaml", &notify);
    scene.push();
    let watched = Watched::start(scene.by_path("watch").args(["--resync", "86400"]));
    watched.says("create spotify \"First\"");
    let (here, away) = (scene.repository(), scene.server.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let event = |name: &str| {
        let events = std::iter::repeat_with(|| listener.next()).take(5);
        events.map(|notice| notice["event"].clone()).find(|event| event == name).unwrap()
    };
    event("source_failed");
    fs::rename(&away, &here).unwrap();
    event("source_fetched");
    watched.stop();
}

/// As file systems leave it where the power fails.
#[test]
fn a_copy_of_the_repository_that_is_damaged_is_made_anew() {
    let scene = Scene::new();
    scene.by_path("validate").run();
    let repository = scene.source().join("repository.git");
    let empty = |name: &str| fs::write(repository.join(name), "").unwrap();
    let damages: [&dyn Fn(); 4] = [
        &|| empty("refs/appcred/fetched"),
        &|| empty("HEAD"),
        &|| fs::write(repository.join("shallow"), "garbage").unwrap(),
        &|| {
            let found = Command::new("find")
                .arg(repository.join("objects"))
                .args(["-type", "f"])
                .output()
                .unwrap();
            for file in String::from_utf8(found.stdout).unwrap().lines() {
                fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
                fs::write(file, "").unwrap();
            }
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        damage();
        scene.declare(&format!("Number {number}"));
        scene.push();
        let planned = scene.by_path("plan").run();
        assert!(
            planned.stdout.contains(&format!("\"Number {number}\"")),
            "{number} {}",
            planned.stdout
        );
    }
    let replaced = scene.source().join("repository.old");
    assert!(!replaced.exists());
    // As one leaves it that is killed meanwhile.
    fs::create_dir(&replaced).unwrap();
    scene.by_path("validate").run();
    assert!(!replaced.exists());
}

#[test]
fn a_commit_that_lost_a_file_on_this_machine_is_checked_out_again() {
    let scene = Scene::new();
    scene.by_path("apply").args(["--yes"]).run();
    let commits = fs::read_dir(scene.source().join("commits")).unwrap();
    let mut commits = commits.map(|commit| commit.unwrap().path()).filter(|path| path.is_dir());
    let file = commits.next().unwrap().join("credentials/all.yaml");
    fs::remove_file(&file).unwrap();
    let planned = scene.by_path("plan").run();
    assert!(planned.stdout.contains("No changes"), "{}", planned.stdout);
    assert!(file.exists());
}

#[test]
fn a_commit_that_is_too_large_or_leads_elsewhere_is_not_used() {
    let scene = Scene::new();
    let refused = || scene.by_path("validate").status(1).run().stderr;
    for number in 0..14 {
        scene.clone.write(&format!("large/{number}"), &"a".repeat(20_000_000));
    }
    scene.push();
    assert!(refused().contains("16 files of 267 MB"), "{}", refused());
    fs::remove_dir_all(scene.clone.join("large")).unwrap();
    fs::create_dir(scene.clone.join("more")).unwrap();
    std::os::unix::fs::symlink("/", scene.clone.join("more/all")).unwrap();
    scene.push();
    assert!(refused().contains("leads out of the repository: more/all"), "{}", refused());
    fs::remove_file(scene.clone.join("more/all")).unwrap();
    std::os::unix::fs::symlink("../credentials/all.yaml", scene.clone.join("more/one.yaml"))
        .unwrap();
    scene.push();
    scene.by_path("validate").run();
}

#[test]
fn ids_of_sha256_are_ids_as_well() {
    let scene = Scene::new();
    let other = scene.server.path().join("sha256");
    fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--object-format=sha256"]);
    for file in ["appcred.yaml", "credentials/all.yaml"] {
        let to = other.join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(scene.clone.join(file), to).unwrap();
    }
    git(&other, &["add", "--all"]);
    git(&other, &["commit", "--quiet", "-m", "x"]);
    for _ in 0..2 {
        let planned = scene.appcred().args(["plan", "--git"]).args([&other]).run();
        assert!(planned.stdout.contains("\"First\""), "{}", planned.stdout);
    }
    // What a person's settings say of new repositories is nothing to this one.
    scene.by_path("validate").env("GIT_DEFAULT_HASH", "sha256").run();
}

#[test]
fn one_name_of_a_file_of_signers_in_two_folders_is_two_files() {
    let scene = Scene::new();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        fs::write(folder.path().join("signers"), "").unwrap();
        let run = scene.by_path("validate").args(["--git-allowed-signers", "signers"]);
        run.in_dir(folder.path()).status(1).run();
    }
    assert_eq!(fs::read_dir(scene.state.path().join("appcred/git")).unwrap().count(), 2);
}

/// Two projects of one repository: what has one of them need not have the other.
#[test]
fn what_one_folder_has_in_force_is_not_for_another() {
    let scene = Scene::new();
    for folder in ["a", "b"] {
        let project = fs::read_to_string(scene.clone.join("appcred.yaml")).unwrap();
        scene.clone.write(&format!("{folder}/appcred.yaml"), &project);
        scene
            .clone
            .write(&format!("{folder}/credentials/all.yaml"), "application_credentials: []\n");
    }
    scene.push();
    let of = |folder: &str| Watched::start(scene.by_path("watch").args(["--git-path", folder]));
    let (a, b) = (of("a"), of("b"));
    a.says("the status page is at");
    b.says("the status page is at");
    let first = scene.id();
    fs::remove_dir_all(scene.clone.join("a")).unwrap();
    scene.push();
    let second = scene.id();
    a.says("has no folder a");
    let commit = |of: &Watched| of.status()["source"]["commit"].as_str().unwrap()[..12].to_owned();
    eventually("b follows", || commit(&b) == second);
    assert_eq!(commit(&a), first);
    a.stop();
    let again = of("a");
    again.says("has no folder a");
    again.says("the status page is at");
    assert_eq!(commit(&again), first);
    again.stop();
    b.stop();
}

#[test]
fn what_a_killed_git_has_left_is_in_nobodys_way() {
    let scene = Scene::new();
    scene.by_path("validate").run();
    let repository = scene.source();
    let left: Vec<PathBuf> =
        ["shallow.lock", "refs/appcred/fetched.lock", "objects/pack/tmp_pack_1"]
            .map(|name| repository.join("repository.git").join(name))
            .into();
    left.iter().for_each(|file| fs::write(file, "").unwrap());
    scene.declare("Second");
    scene.push();
    let planned = scene.by_path("plan").run();
    assert!(planned.stdout.contains("\"Second\""), "{}", planned.stdout);
    assert!(left.iter().all(|file| !file.exists()));
}

/// As in a hook of a commit.
#[test]
fn the_index_of_whoever_runs_it_stays_as_it_is() {
    let scene = Scene::new();
    let index = scene.state.path().join("index");
    scene.by_path("validate").env("GIT_INDEX_FILE", &index).run();
    assert!(!index.exists());
    git(scene.clone.path(), &["add", "--all"]);
    let before = fs::read(scene.clone.join(".git/index")).unwrap();
    scene.declare("Second");
    scene.push();
    let index = scene.clone.join(".git/index");
    let pushed = fs::read(&index).unwrap();
    scene.by_path("validate").env("GIT_INDEX_FILE", &index).run();
    assert!(fs::read(&index).unwrap() == pushed && before != pushed);
}

#[test]
fn files_of_the_repository_are_read_in_the_commit_that_is_in_force() {
    let scene = Scene::new();
    let manifest = |id: &str| {
        format!(
            "application_credentials:\n  - {{domain: spotify, name: {id}, client_id: {id}, client_secret: !file s.age, integration: {{setup: false}}}}\n"
        )
    };
    scene.clone.write("credentials/s.age", &encrypt("m4rk3d-secret", &scene.recipient));
    scene.clone.write("credentials/all.yaml", &manifest("Uno"));
    scene.push();
    let watched = Watched::start(scene.by_path("watch"));
    watched.says("create spotify \"Uno\"");
    for id in ["Due", "Tre"] {
        scene.clone.write("credentials/all.yaml", &manifest(id));
        scene.push();
        watched.says(&format!("create spotify \"{id}\""));
    }
    let ran = watched.stop();
    assert!(!ran.stderr.contains("outside"), "{}", ran.stderr);
}

/// Nobody may be left with a Git that waits for ever, and that works in the repository while another one begins.
#[test]
fn git_ends_with_appcred_however_that_ends() {
    let scene = Scene::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/me/house.git", silent.local_addr().unwrap());
    let signers = scene.state.path().join("signers");
    fs::write(&signers, "me@example.org ssh-ed25519 AAAA\n").unwrap();
    let running = scene.appcred().args(["validate", "--git", &url, "--git-allowed-signers"]);
    let running = running.args([&signers]).spawn();
    let is_at_work = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let commands = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
        let mut commands = commands.map(|line| String::from_utf8_lossy(&line).into_owned());
        commands.any(|line| line.contains(&url) && line.starts_with("git"))
    };
    eventually("Git waits for the server", is_at_work);
    running.signal(Signal::KILL);
    running.finish();
    eventually("Git has ended", || !is_at_work());
}

#[test]
fn what_fills_the_disk_leaves_the_last_commit_in_force() {
    let scene = Scene::new();
    let watched = Watched::start(scene.by_path("watch"));
    watched.says("create spotify \"First\"");
    let first = scene.id();
    // No file may become larger than this for what it starts.
    let limit = rustix::process::Rlimit { current: Some(100_000), maximum: Some(100_000) };
    let pid = rustix::process::Pid::from_raw(i32::try_from(watched.running.id()).unwrap());
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
    let noise: String =
        (0..200_000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
    scene.clone.write("noise", &noise);
    scene.declare("Second");
    scene.push();
    watched.says("cannot fetch");
    assert!(watched.status()["source"]["commit"].as_str().unwrap().starts_with(&first));
    fs::remove_file(scene.clone.join("noise")).unwrap();
    git(scene.clone.path(), &["reset", "--quiet", "--soft", &first]);
    scene.declare("Third");
    scene.push();
    let reconcile = format!("http://127.0.0.1:{}/api/v1/reconcile", watched.port);
    assert_eq!(send("POST", &reconcile, &[], None).unwrap().status, 202);
    watched.says("create spotify \"Third\"");
    watched.stop();
}

#[test]
fn two_watchers_and_a_plan_share_one_folder_of_ten_thousand_files() {
    let scene = Scene::new();
    for number in 0..10_000 {
        let file = format!("notes/{}/{number}.md", number % 100);
        scene.clone.write(&file, &format!("{number}\n"));
    }
    scene.push();
    let watchers = [(); 2].map(|()| Watched::start(scene.by_path("watch")));
    scene.declare("Second");
    scene.push();
    let planned = scene.by_path("plan").args(["--format", "json"]).run();
    assert!(
        planned.stdout.contains(&format!("\"commit\": \"{}", scene.id())),
        "{}",
        planned.stdout
    );
    for watched in &watchers {
        watched.says("create spotify \"Second\"");
    }
    for watched in watchers {
        let ran = watched.stop();
        assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    }
    assert!(scene.kept().len() <= 2, "{:?}", scene.kept());
}

#[test]
fn a_state_folder_that_was_moved_changes_no_owner() {
    let scene = Scene::new();
    let watch = || scene.by_path("watch");
    let watched = Watched::start(watch());
    watched.says("create spotify \"First\"");
    watched.stop();
    scene.by_path("apply").args(["--yes"]).run();
    let moved = tempfile::tempdir().unwrap();
    let state = moved.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::rename(scene.state.path().join("appcred"), state.join("appcred")).unwrap();
    let watched = Watched::start(watch().env("XDG_STATE_HOME", &state));
    watched.says("the status page is at");
    eventually("it is in sync", || watched.status()["targets"][0]["state"] == "in_sync");
    let ran = watched.stop();
    assert!(!ran.stderr.contains("to do"), "{}", ran.stderr);
}

#[test]
fn a_commit_may_be_signed_by_a_key_of_gnupg() {
    let scene = Scene::new();
    let keys = tempfile::tempdir().unwrap();
    let gpg = |arguments: &[&str]| {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
        let output = command.args(arguments).env("GNUPGHOME", keys.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let public = |name: &str| {
        gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"]);
        let file = keys.path().join(name);
        fs::write(&file, gpg(&["--armor", "--export", name])).unwrap();
        file
    };
    let (ours, other) = (public("a@example.org"), public("b@example.org"));
    let mut commit = Command::new("git");
    commit.args([
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "-c",
        "user.signingkey=a@example.org",
    ]);
    commit
        .args(["commit", "--quiet", "--allow-empty", "-S", "-m", "x"])
        .current_dir(scene.clone.path());
    assert!(commit.env("GNUPGHOME", keys.path()).status().unwrap().success());
    git(scene.clone.path(), &["push", "--quiet", "origin", "HEAD:main"]);
    let run = |keys: &Path, status| {
        scene.by_path("plan").args(["--git-gpg-keys"]).args([keys]).status(status).run()
    };
    run(&ours, 0);
    let refused = run(&other, 1).stderr;
    assert!(refused.contains("is not used"), "{refused}");
    // Where it is not installed, that is said, and not that git is missing.
    let only_git = tempfile::tempdir().unwrap();
    let paths = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("git"));
    std::os::unix::fs::symlink(
        found.into_iter().find(|git| git.exists()).unwrap(),
        only_git.path().join("git"),
    )
    .unwrap();
    let without = scene.by_path("plan").env("PATH", only_git.path());
    let said = without.args(["--git-gpg-keys"]).args([&ours]).status(1).run().stderr;
    assert!(said.contains("cannot run gpg: ") && said.contains("install GnuPG"), "{said}");
    let stop =
        Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", keys.path()).status();
    assert!(stop.unwrap().success());
}

each_release!(ha_follows_a_push_that_a_git_host_reports);
fn ha_follows_a_push_that_a_git_host_reports(release: Release) {
    let (ha, scene, ssh) = (HomeAssistant::start(release), Scene::new(), SshServer::start());
    scene.clone.write("appcred.yaml", "owner: default\n");
    scene.push();
    let (port, secret) = (free_port(), scene.state.path().join("hook"));
    fs::write(&secret, "a-secret-of-some-length").unwrap();
    let appcred = scene.by_ssh(&ssh, "watch").args(["--git-interval", "3600"]);
    let appcred = appcred.args(["--listen", &format!("127.0.0.1:{port}"), "--hook-secret-file"]);
    let appcred =
        appcred.args([&secret]).env("HASS_SERVER", ha.url()).env("HASS_TOKEN", ha.token());
    let running = appcred.spawn();
    arrives(&ha, &[("c-First", "m4rk3d-secret")]);

    scene.declare("Second");
    scene.push();
    let signed = format!("sha256={}", signature("a-secret-of-some-length", "{}"));
    let hook = format!("http://127.0.0.1:{port}/api/v1/hook");
    let headers = [("X-Hub-Signature-256", signed.as_str())];
    assert_eq!(send("POST", &hook, &headers, Some("{}".to_owned())).unwrap().status, 202);
    arrives(&ha, &[("c-Second", "m4rk3d-secret")]);
    let id = scene.id();
    eventually("the step has its commit", || {
        let status = visit(&format!("http://127.0.0.1:{port}/api/v1/status")).value();
        status["history"][0]["commit"]["id"] == id.as_str()
    });
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
}
