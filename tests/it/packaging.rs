//! What is shipped beside the program, as far as a second is enough; `packaging/try` does the rest.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use regex::Regex;
use serde_json::Value;

use crate::forms::check_json;
use crate::serving::{Served, nothing};
use crate::shell::Appcred;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// The words after an instruction of the Dockerfile that end it as a JSON array.
fn words(dockerfile: &str, instruction: &str) -> Vec<String> {
    let mut lines = dockerfile.lines().filter(|line| line.starts_with(instruction));
    let line = lines.next_back().unwrap();
    serde_json::from_str(&line[line.find('[').unwrap()..]).unwrap()
}

#[test]
fn health_asks_the_watcher_of_this_machine() {
    let health = |address: &str| Appcred::new().args(["health", "--listen", address]);
    let served = Served::start(nothing());
    let port = served.port;
    health(&format!("127.0.0.1:{port}")).stdout("").stderr("").run();
    health(&format!("0.0.0.0:{port}")).run();
    Appcred::new().args(["health"]).env("APPCRED_LISTEN", format!("localhost:{port}")).run();
    served.end();
    let ran = health(&format!("127.0.0.1:{port}")).status(1).run();
    assert!(ran.stderr.contains("nothing listens at "), "{}", ran.stderr);
    let ran = health("off").status(1).run();
    assert!(ran.stderr.contains("serves no /healthz"), "{}", ran.stderr);
}

#[test]
fn health_fails_where_the_watcher_does_not_work() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stopped = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        let length = peer.read(&mut asked).unwrap();
        peer.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let ran = Appcred::new().args(["health", "--listen", &address]).status(1).run();
    assert!(ran.stderr.contains("/healthz answers 503"), "{}", ran.stderr);
    assert!(stopped.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
}

#[test]
fn what_the_image_and_compose_run_is_understood() {
    let dockerfile = fs::read_to_string(root().join("packaging/container/Dockerfile")).unwrap();
    let program = &words(&dockerfile, "ENTRYPOINT")[..];
    assert_eq!(program, ["/usr/bin/appcred"]);
    let [checked, health @ ..] = &words(&dockerfile, "HEALTHCHECK")[..] else { panic!() };
    assert_eq!(checked, &program[0]);
    let ran = Appcred::new().env("APPCRED_LISTEN", "127.0.0.1:1").args(health).status(1).run();
    assert!(ran.stderr.contains("nothing listens at 127.0.0.1:1"), "{}", ran.stderr);

    let compose = yaml("packaging/container/compose.yaml");
    check_json("compose-spec.json", &compose);
    let service = &compose["services"]["appcred"];
    let version = env!("CARGO_PKG_VERSION");
    assert!(service["image"].as_str().unwrap().ends_with(&format!(":{version}")), "{service}");
    let command = service["command"].as_array().unwrap().iter().filter_map(Value::as_str);
    let ran = Appcred::new().args(command).status(1).run();
    assert!(ran.stderr.contains("cannot read /secrets/status-token"), "{}", ran.stderr);
    Appcred::new().args(words(&dockerfile, "CMD")).args(["--help"]).run();
}

#[test]
fn what_packages_start_gives_freed_memory_back() {
    let files = ["container/Dockerfile", "app/Dockerfile", "systemd/appcred.service"];
    for file in files {
        let text = fs::read_to_string(root().join("packaging").join(file)).unwrap();
        assert!(text.contains("MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072\n"), "{file}");
    }
}

#[test]
fn what_the_packages_take_from_here_is_there() {
    let packages = yaml("packaging/nfpm.yaml");
    let scripts = packages["scripts"].as_object().unwrap().values();
    let contents = packages["contents"].as_array().unwrap().iter().map(|file| &file["src"]);
    let files = scripts.chain(contents).filter_map(Value::as_str);
    for file in files.filter(|file| !file.starts_with("${FILES}/")) {
        assert!(root().join(file).is_file(), "{file}");
    }
}

/// All values of a key, however deep.
fn values<'v>(value: &'v Value, key: &str) -> Vec<&'v Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| if name == key { vec![value] } else { values(value, key) })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|value| values(value, key)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_workflow_of_a_release_runs_scripts_that_are_here_and_actions_that_cannot_change() {
    let workflow = yaml(".github/workflows/release.yml");
    check_json("github-workflows.json", &workflow);
    let scripts = values(&workflow, "run");
    let script = Regex::new(r"packaging/[\w/]+").unwrap();
    let named: Vec<&str> = scripts
        .iter()
        .filter_map(|script| script.as_str())
        .inspect(|script| assert!(!script.contains("${{"), "{script}"))
        .flat_map(|text| script.find_iter(text).map(|found| found.as_str()))
        .collect();
    for needed in ["notes", "release", "container/build", "app/build", "collect", "container/push"]
    {
        assert!(named.contains(&format!("packaging/{needed}").as_str()), "{needed}: {named:?}");
    }
    for named in named {
        assert!(root().join(named).is_file(), "{named}");
    }
    let text = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    let pinned = Regex::new(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d").unwrap();
    for line in text.lines().filter(|line| line.contains("uses:")) {
        assert!(pinned.is_match(line), "{line}");
    }
}

#[test]
fn what_downloads_a_release_names_this_version() {
    let action = yaml("examples/github-actions/action.yml");
    let pipeline = yaml("examples/gitlab-ci/.gitlab-ci.yml");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(action["inputs"]["version"]["default"], version);
    assert_eq!(pipeline["variables"]["APPCRED_VERSION"], version);
    let names = fs::read_to_string(root().join("packaging/names.sh")).unwrap();
    let install = fs::read_to_string(root().join("examples/github-actions/install.sh")).unwrap();
    let glibc = names.lines().find_map(|line| line.strip_prefix("GLIBC=")).unwrap();
    assert!(install.contains(&format!("'%s\\n' {glibc} ")), "install.sh asks for another glibc");
}

fn script(root: &Path, name: &str, arguments: &[&str]) -> Output {
    Command::new(root.join("packaging").join(name)).args(arguments).output().unwrap()
}

#[test]
fn the_notes_of_a_release_are_its_part_of_the_changelog() {
    let project = tempfile::tempdir().unwrap();
    for file in ["Cargo.toml", "packaging/notes", "packaging/names.sh", "tests/real/python.sh"] {
        fs::create_dir_all(project.path().join(file).parent().unwrap()).unwrap();
        fs::copy(root().join(file), project.path().join(file)).unwrap();
    }
    let version = env!("CARGO_PKG_VERSION");
    let notes = |changelog: &str, tag: &str| {
        fs::write(project.path().join("CHANGELOG.md"), changelog).unwrap();
        let ran = script(project.path(), "notes", &[tag]);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ran.status.success(), text(ran.stdout), text(ran.stderr))
    };
    let tag = format!("v{version}");
    let changelog = format!(
        "# Changelog\n\n## Unreleased\n\n- later\n\n## {version} - 2026-12-01\n\n### Added\n- this\n\n## 0.0.1\n- old\n"
    );
    assert_eq!(notes(&changelog, &tag), (true, "\n### Added\n- this\n".into(), String::new()));
    let (is_released, _, why) = notes("# Changelog\n\n## Unreleased\n\n- this\n", &tag);
    assert!(!is_released && why.contains("CHANGELOG.md has no section"), "{why}");
    let (is_released, _, why) = notes(&changelog, "v0.0.1");
    assert!(!is_released && why.contains("the tag is v0.0.1"), "{why}");
}

#[test]
fn the_files_of_all_machines_are_checked_when_they_are_collected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for machine in ["one", "two"] {
        fs::create_dir_all(path("made").join(machine)).unwrap();
        let make = format!(
            "echo {machine} >{machine}.tar.gz; sha256sum {machine}.tar.gz >SHA256SUMS; echo other >unlisted"
        );
        let ran = Command::new("bash")
            .args(["-ec", &make])
            .current_dir(path("made").join(machine))
            .status();
        assert!(ran.unwrap().success());
    }
    let collect = |to: &str| {
        let arguments = [path("made"), path(to)];
        script(root(), "collect", &arguments.each_ref().map(|path| path.to_str().unwrap()))
    };
    assert!(collect("all").status.success());
    let mut names: Vec<_> =
        fs::read_dir(path("all")).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["SHA256SUMS", "one.tar.gz", "two.tar.gz"]);
    assert_eq!(fs::read_to_string(path("all/SHA256SUMS")).unwrap().lines().count(), 2);
    fs::write(path("made/two/two.tar.gz"), "changed").unwrap();
    assert!(!collect("again").status.success());
}
