//! The examples for CI systems, run as far as can be without those.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::forms::{annotations, check_code_quality, check_json};
use crate::ha_apply::House;
use crate::shell::{Appcred, Project};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn the_pipelines_are_valid() {
    let action = yaml("examples/github-actions/action.yml");
    check_json("github-actions.json", &action);
    check_json("github-workflows.json", &yaml("examples/github-actions/appcred.yml"));
    check_json("gitlab-ci.json", &yaml("examples/gitlab-ci/.gitlab-ci.yml"));
    // What others write into an input must not become part of a script.
    for step in action["runs"]["steps"].as_array().unwrap() {
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "{script}");
    }
}

#[test]
fn the_layout_for_flux_and_argo_is_whole() {
    let folder = root().join("examples/gitops");
    Appcred::new().in_dir(&folder).args(["validate", "--strict"]).stderr("").run();
    let kustomization = yaml("examples/gitops/kustomization.yaml");
    let mut named: Vec<&str> = Vec::new();
    named.extend(kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str));
    for map in kustomization["configMapGenerator"].as_array().unwrap() {
        named.extend(map["files"].as_array().unwrap().iter().filter_map(Value::as_str));
    }
    for file in &named {
        assert!(folder.join(file).exists(), "{file}");
    }
    for entry in fs::read_dir(folder.join("credentials")).unwrap() {
        let file = format!("credentials/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(named.contains(&file.as_str()), "{file} is in no ConfigMap");
    }
    let pod = &yaml("examples/gitops/deployment.yaml")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(arguments[0], "watch");
    let house = format!("--directory={}", folder.display());
    let here = |argument: &&str| argument.replace("--directory=/house", &house);
    // Probes come from beyond loopback, where a token is wanted: the cluster has it.
    let ran = Appcred::new().args(arguments.iter().map(here)).status(1).run();
    assert!(
        ran.stderr.contains("error: --token-file: cannot read /secrets/status-token"),
        "{}",
        ran.stderr
    );
    for (probe, path) in [("readinessProbe", "/healthz"), ("livenessProbe", "/healthz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
    }
    for path in ["flux/appcred.yaml", "argocd/application.yaml"] {
        let text = fs::read_to_string(folder.join(path)).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document =
                <serde_yaml::Value as serde::Deserialize>::deserialize(document).unwrap();
            assert!(document["apiVersion"].is_string() && document["kind"].is_string(), "{path}");
        }
    }
}

#[test]
fn the_hook_runs_what_there_is() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let used = yaml("examples/pre-commit/.pre-commit-config.yaml");
    assert_eq!(used["repos"][0]["hooks"][0]["id"], hooks[0]["id"]);
    let entry = hooks[0]["entry"].as_str().unwrap().strip_prefix("appcred ").unwrap();
    let project = Project::new().file("credentials.yaml", "application_credentials: []\n");
    let hook = || Appcred::new().in_dir(project.path()).args(entry.split_whitespace());
    hook().run();
    project.write("credentials.yaml", "application_credentials: 1\n");
    hook().status(1).run();
}

/// A machine as GitHub's runner makes it, with `appcred` and a `gh` that notes what it is asked.
struct Runner {
    house: House,
    tools: tempfile::TempDir,
}

impl Runner {
    fn new() -> Self {
        let tools = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_appcred"), tools.path().join("appcred"))
            .unwrap();
        let runner = Self { house: House::new(), tools };
        runner.tool("gh", "printf '%s\\n' \"$*\" >>\"$RUNNER_TEMP/asked\"\ncase $* in *--paginate*) cat \"$RUNNER_TEMP/found\" ;; esac\n");
        fs::write(runner.temporary("found"), "").unwrap();
        runner
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.tools.path().join(name);
        fs::write(&path, format!("#!/usr/bin/env bash\n{script}")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.tools.path().join(name)
    }

    /// Runs the script of one of the action's steps.
    fn step(&self, name: &str, inputs: &[(&str, &str)]) -> Output {
        let action = yaml("examples/github-actions/action.yml");
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == json!(name)).unwrap();
        let given = step["env"].as_object().unwrap();
        for (input, _) in inputs {
            assert!(given.contains_key(*input), "the step has no {input}");
        }
        let path = format!("{}:/usr/bin:/bin", self.tools.path().display());
        Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()])
            .current_dir(self.house.project.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.tools.path())
            .env("RUNNER_TEMP", self.tools.path())
            .env("GITHUB_ACTION_PATH", root().join("examples/github-actions"))
            .env("GITHUB_OUTPUT", self.temporary("output"))
            .env("GITHUB_PATH", self.temporary("path"))
            .env("GITHUB_STEP_SUMMARY", self.temporary("summary"))
            .env("GITHUB_WORKSPACE", self.house.project.path())
            .env("GITHUB_REPOSITORY", "me/house")
            .envs(inputs.iter().copied())
            .output()
            .unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.temporary(name)).unwrap_or_default()
    }
}

#[test]
fn the_action_plans_comments_and_fails_as_it_should() {
    let runner = Runner::new();
    let project = &runner.house.project;
    project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    let family = runner.house.entry("spotify", "Family", "family", "one");
    runner.house.declare(std::slice::from_ref(&family));
    let with_key = || runner.house.with_key(Appcred::new().in_dir(project.path()));
    with_key().args(["apply", "--yes"]).run();
    with_key().args(["snapshot", "-o", "snapshot.json"]).run();
    runner.house.declare(&[family, runner.house.entry("twitch", "Twitch", "t", "two")]);

    let plan = [
        ("COMMAND", "plan"),
        ("DIRECTORY", "."),
        ("ARGUMENTS", "--against snapshot.json --max-age 1h --fail-on delete"),
    ];
    let ran = runner.step("Run", &plan);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(runner.read("output"), "changes=true\n");
    assert!(runner.read("summary").contains("1 to create"), "{}", runner.read("summary"));
    let log = String::from_utf8(ran.stdout).unwrap();
    let commands: String =
        log.lines().filter(|line| line.starts_with("::")).map(|line| format!("{line}\n")).collect();
    assert_eq!(annotations(&commands)[0].properties["file"], "credentials/all.yaml");

    let comment =
        || assert!(runner.step("Comment", &[("NUMBER", "7"), ("GH_TOKEN", "t")]).status.success());
    comment();
    fs::write(runner.temporary("found"), "99\n100\n").unwrap();
    comment();
    let asked = runner.read("asked");
    assert!(
        asked.contains("--method POST repos/me/house/issues/7/comments --field body=@"),
        "{asked}"
    );
    assert!(
        asked.contains("--method PATCH repos/me/house/issues/comments/99 --field body=@"),
        "{asked}"
    );

    runner.house.declare(&[runner.house.entry("twitch", "Twitch", "t", "two")]);
    assert!(!runner.step("Run", &plan).status.success(), "a delete is not let through");
    project.write("credentials/all.yaml", "application_credentials: 1\n");
    let unclosed = [("COMMAND", "plan"), ("DIRECTORY", "."), ("ARGUMENTS", "--domain 'spotify")];
    assert!(!runner.step("Run", &unclosed).status.success(), "a quote is not closed");
    let validate = [("COMMAND", "validate"), ("DIRECTORY", "."), ("ARGUMENTS", "")];
    let ran = runner.step("Run", &validate);
    assert!(!ran.status.success());
    assert!(
        String::from_utf8(ran.stdout).unwrap().contains("::error file=credentials/all.yaml,line=1")
    );
    let other = [("COMMAND", "plan; id"), ("DIRECTORY", "."), ("ARGUMENTS", "")];
    assert!(!runner.step("Run", &other).status.success());
}

#[test]
fn arguments_in_quotes_reach_appcred_whole() {
    let runner = Runner::new();
    fs::remove_file(runner.tools.path().join("appcred")).unwrap();
    runner.tool("appcred", "printf '%s\\n' \"$@\" >\"$RUNNER_TEMP/given\"\n");
    let given = |arguments: &str| {
        let inputs = [("COMMAND", "plan"), ("DIRECTORY", "a b"), ("ARGUMENTS", arguments)];
        let ran = runner.step("Run", &inputs);
        assert!(ran.status.success(), "{ran:?}");
        let given = runner.read("given");
        let given: Vec<String> = given.lines().map(str::to_owned).collect();
        let end = given.iter().position(|word| word == "--detailed-exitcode").unwrap();
        assert_eq!(given[..3], ["-C", "a b", "plan"]);
        given[3..end].to_vec()
    };
    assert!(given("").is_empty());
    assert_eq!(given("--key 'a b' \"c 'd'\""), ["--key", "a b", "c 'd'"]);
    assert_eq!(given("$(id) `id` ; * $HOME"), ["$(id)", "`id`", ";", "*", "$HOME"]);
}

/// A `curl` that finds the files of the folder `release`, and a `cargo` that builds at once.
fn with_release() -> Runner {
    let runner = Runner::new();
    fs::remove_file(runner.tools.path().join("appcred")).unwrap();
    runner.tool(
        "curl",
        "while [ $# -gt 1 ]; do [ \"$1\" = --output ] && out=$2; shift; done\n\
         file=$RUNNER_TEMP/release/${1##*/}\n\
         if [ -e \"$file\" ]; then cp \"$file\" \"$out\"; printf 200; else printf 404; fi\n",
    );
    runner.tool(
        "cargo",
        "while [ $# -gt 1 ]; do [ \"$1\" = --root ] && root=$2; shift; done\n\
         mkdir -p \"$root/bin\"; echo built >\"$root/bin/appcred\"\n",
    );
    runner.tool("getconf", "echo glibc 2.34\n");
    fs::create_dir(runner.temporary("release")).unwrap();
    runner
}

#[test]
fn a_release_is_installed_only_with_its_checksum() {
    let runner = with_release();
    let install = |sha256: &str| {
        let _ = fs::remove_dir_all(runner.temporary("appcred-bin"));
        let ran = runner.step("Install", &[("VERSION", "1.2.3"), ("SHA256", sha256)]);
        let errors = String::from_utf8(ran.stderr).unwrap();
        (ran.status.success(), runner.read("appcred-bin/appcred"), errors)
    };
    assert_eq!(install(""), (true, "built\n".to_owned(), String::new()));
    let (is_installed, binary, errors) = install(&"0".repeat(64));
    assert!(!is_installed && binary.is_empty() && errors.contains("not installed"), "{errors}");
    assert_eq!(runner.read("path").trim(), runner.temporary("appcred-bin").to_str().unwrap());

    let name = format!("appcred-1.2.3-{}-unknown-linux-gnu", std::env::consts::ARCH);
    let make = format!(
        "mkdir {name}; echo released >{name}/appcred; tar -czf release/{name}.tar.gz {name}; \
         cd release; sha256sum {name}.tar.gz >SHA256SUMS; cut -c1-64 SHA256SUMS"
    );
    let made = Command::new("bash").args(["-ec", &make]).current_dir(runner.tools.path()).output();
    let sum = String::from_utf8(made.unwrap().stdout).unwrap();
    let released = (true, "released\n".to_owned(), String::new());
    assert_eq!(install(sum.trim()), released);
    assert_eq!(install(""), released);

    let wrong = "0".repeat(64);
    let (is_installed, _, errors) = install(&wrong);
    assert!(
        !is_installed && errors.contains(&wrong) && errors.contains("not installed"),
        "{errors}"
    );
    let sums = runner.temporary("release").join("SHA256SUMS");
    for text in ["", &format!("{wrong}  {name}.tar.gz\n")] {
        fs::write(&sums, text).unwrap();
        let (is_installed, binary, errors) = install("");
        assert!(!is_installed && binary.is_empty() && errors.contains("not installed"), "{errors}");
    }
    fs::remove_file(sums).unwrap();
    let (is_installed, _, errors) = install("");
    assert!(!is_installed && errors.contains("has no SHA256SUMS"), "{errors}");

    // Where a released binary would not start, as with musl, or an older glibc.
    for libraries in ["exit 1", "echo glibc 2.31", "echo glibc 2.4"] {
        runner.tool("getconf", libraries);
        assert_eq!(install(""), (true, "built\n".to_owned(), String::new()), "{libraries}");
        let (is_installed, _, errors) = install(sum.trim());
        assert!(!is_installed && errors.contains("no release 1.2.3 for this machine"), "{errors}");
    }
    runner.tool("getconf", "echo glibc 2.100");
    assert_eq!(install(sum.trim()), released);
}

#[test]
fn the_pipeline_for_gitlab_installs_a_release() {
    let pipeline = yaml("examples/gitlab-ci/.gitlab-ci.yml");
    let before = pipeline["default"]["before_script"].as_array().unwrap();
    let before: Vec<&str> = before.iter().filter_map(Value::as_str).collect();
    let installing = with_release();
    let scripts = installing.temporary(".gitlab");
    fs::create_dir(&scripts).unwrap();
    let script = root().join("examples/github-actions/install.sh");
    fs::copy(script, scripts.join("appcred-install.sh")).unwrap();
    let installed = Command::new("bash")
        .args(["-ec", &format!("{}\nbash -c 'command -v appcred'", before.join("\n"))])
        .current_dir(installing.tools.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", installing.tools.path().display()))
        .env("RUNNER_TEMP", installing.tools.path())
        .env("CI_PROJECT_DIR", installing.tools.path())
        .env("APPCRED_VERSION", "1.2.3")
        .output()
        .unwrap();
    assert!(installed.status.success(), "{installed:?}");
}

/// What a script prints where GitLab runs it: a commit and no branch is checked out, and the address with the token is
/// that of a bare repository here.
fn git_of_gitlab(runner: &Runner, origin: &Path, script: &str) -> String {
    let ran = Command::new("bash")
        .args(["-ec", script])
        .current_dir(runner.house.project.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", runner.tools.path())
        .env("ORIGIN", origin)
        .env("CI_SERVER_HOST", "git.example")
        .env("CI_PROJECT_PATH", "me/house")
        .env("CI_COMMIT_BRANCH", "main")
        .env("APPCRED_PUSH_TOKEN", "t0ken")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", origin.display()))
        .env("GIT_CONFIG_VALUE_0", "https://appcred:t0ken@git.example/me/house.git")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{script}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_scripts_for_gitlab_run() {
    let runner = Runner::new();
    let project = &runner.house.project;
    project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    runner.house.declare(&[runner.house.entry("spotify", "Family", "family", "one")]);
    let with_key = || runner.house.with_key(Appcred::new().in_dir(project.path()));
    with_key().args(["snapshot", "-o", "snapshot.json"]).run();
    let pipeline = yaml("examples/gitlab-ci/.gitlab-ci.yml");
    let origin = runner.temporary("house.git");
    let git = |script: &str| git_of_gitlab(&runner, &origin, script);
    git("git init --quiet --bare \"$ORIGIN\" && git init --quiet && git add appcred.yaml \
         && git -c user.name=a -c user.email=a@b commit --quiet -m one \
         && git push --quiet \"$ORIGIN\" HEAD:refs/heads/main && git checkout --quiet --detach");
    let run = |job: &str, status: i32| {
        let lines = pipeline[job]["script"].as_array().unwrap();
        for line in lines.iter().filter_map(Value::as_str) {
            let Some(arguments) = line.trim().strip_prefix("appcred ") else {
                git(line);
                continue;
            };
            with_key()
                .env("CI_PROJECT_DIR", project.path())
                .args(arguments.split_whitespace())
                .status(status)
                .run();
        }
    };
    run("validate", 0);
    let allowed = pipeline["plan"]["allow_failure"]["exit_codes"][0].as_i64().unwrap();
    run("plan", i32::try_from(allowed).unwrap());
    for report in ["validate.json", "plan.json"] {
        let text = fs::read_to_string(project.join(report)).unwrap();
        check_code_quality(&serde_json::from_str(&text).unwrap());
    }
    run("apply", 0);
    with_key().args(["plan", "--detailed-exitcode"]).status(0).run();
    let recorded = git("git --git-dir \"$ORIGIN\" show main:snapshot.json");
    assert_eq!(recorded, fs::read_to_string(project.join("snapshot.json")).unwrap());
    let against = ["plan", "--against", "snapshot.json", "--detailed-exitcode"];
    Appcred::new().in_dir(project.path()).args(against).status(0).run();
}
