//! The build writes down of which commit the program is, from whatever it is built.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Appcred, Project};

/// The script, compiled as cargo does it.
fn script(folder: &Path) -> PathBuf {
    let program = folder.join("script");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
    let arguments = ["--edition", "2024", "-o", program.to_str().unwrap(), source];
    let rustc = Command::new("rustc").args(arguments).status().unwrap();
    assert!(rustc.success());
    program
}

/// The commit and the seconds that it writes down for a build of this folder.
fn built(script: &Path, folder: &Path, environment: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(script);
    for name in ["APPCRED_COMMIT", "SOURCE_DATE_EPOCH", "GIT_DIR", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    command.env("CARGO_MANIFEST_DIR", folder).env("PROFILE", "release");
    let output = command.envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let of = |name: &str| {
        let line = format!("cargo:rustc-env=APPCRED_BUILT_{name}=");
        text.lines().find_map(|given| given.strip_prefix(&line)).unwrap().to_owned()
    };
    (of("COMMIT"), of("SECONDS"))
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
    command.env("GIT_COMMITTER_DATE", "2025-11-26T00:00:00Z").current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_commit_comes_from_git_a_package_or_the_environment() {
    let tools = Project::new();
    let script = script(tools.path());
    let none = (String::new(), String::new());
    let folder = Project::new();
    assert_eq!(built(&script, folder.path(), &[]), none, "a tarball");

    let sha = "0123456789abcdef0123456789abcdef01234567";
    let info = format!("{{\n  \"git\": {{\n    \"sha1\": \"{sha}\"\n  }}\n}}\n");
    folder.write(".cargo_vcs_info.json", &info);
    assert_eq!(built(&script, folder.path(), &[]), (sha.to_owned(), String::new()));

    let checkout = Project::new().file("a", "");
    git(checkout.path(), &["init", "--quiet"]);
    git(checkout.path(), &["add", "a"]);
    git(checkout.path(), &["commit", "--quiet", "--no-gpg-sign", "-m", "a"]);
    let commit = git(checkout.path(), &["rev-parse", "HEAD"]);
    let of_git = (commit, "1764115200".to_owned());
    assert_eq!(built(&script, checkout.path(), &[]), of_git);
    // A test is not built anew for each commit.
    assert_eq!(built(&script, checkout.path(), &[("PROFILE", "debug")]), none);
    // What is unpacked in another repository is not of that.
    checkout.write("unpacked/b", "");
    assert_eq!(built(&script, &checkout.join("unpacked"), &[]), none);
    let said = [("APPCRED_COMMIT", "v1"), ("SOURCE_DATE_EPOCH", "0")];
    assert_eq!(built(&script, checkout.path(), &said), ("v1".to_owned(), "0".to_owned()));
}

#[test]
fn the_version_is_printed_for_people_and_programs() {
    let text = Appcred::new().args(["version"]).run().stdout;
    assert!(text.starts_with(&format!("appcred {}", env!("CARGO_PKG_VERSION"))), "{text}");
    Appcred::new().args(["--version"]).stdout(&text).run();
    let json = Appcred::new().args(["version", "--format", "json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    crate::forms::check_own("version.schema.json", &json);
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
}
