//! Other programs' formats, by the schemas that they publish (brought by `tests/run`), and by their
//! documented grammar where they publish none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn schema_file(name: &str) -> PathBuf {
    let path = Path::new(ROOT).join("target/published/current/schemas").join(name);
    assert!(path.exists(), "there are no published schemas to test with: run tests/run");
    path
}

/// Checks a value by a published JSON Schema.
#[track_caller]
pub(crate) fn check_json(schema: &str, value: &Value) {
    check_by(&fs::read_to_string(schema_file(schema)).unwrap(), value);
}

/// Checks a value by a schema of our own.
#[track_caller]
pub(crate) fn check_own(schema: &str, value: &Value) {
    let path = Path::new(ROOT).join("schema").join(schema);
    check_by(&fs::read_to_string(path).unwrap(), value);
}

#[track_caller]
fn check_by(schema: &str, value: &Value) {
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{value:#}", errors.join("\n"));
}

/// Checks JUnit files by the XML Schema of Jenkins' xunit plugin.
#[track_caller]
pub(crate) fn check_junit(files: &[PathBuf]) {
    let output = Command::new(Path::new(ROOT).join("target/published/current/bin/python"))
        .arg(Path::new(ROOT).join("tests/real/published/check_xml.py"))
        .arg(schema_file("junit-10.xsd"))
        .args(files)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let failed = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.is_empty(), "{told}{failed}");
}

/// An annotation as GitHub's runner reads it.
#[derive(Debug)]
pub(crate) struct Annotation {
    pub(crate) command: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) message: String,
}

/// Reads workflow commands as the runner does (`::name key=value,…::message`).
#[track_caller]
pub(crate) fn annotations(text: &str) -> Vec<Annotation> {
    text.lines()
        .map(|line| {
            let (head, message) =
                line.strip_prefix("::").and_then(|rest| rest.split_once("::")).unwrap();
            let (command, properties) = head.split_once(' ').unwrap();
            assert!(["error", "warning", "notice"].contains(&command), "{line}");
            let properties = properties.split(',').map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                let known =
                    ["file", "line", "endLine", "col", "endColumn", "title"].contains(&name);
                assert!(known && !value.is_empty(), "{line}");
                (name.to_owned(), decoded(&decoded(value, "%3A", ":"), "%2C", ","))
            });
            let properties: BTreeMap<_, _> =
                properties.map(|(name, value)| (name, plain(&value))).collect();
            Annotation { command: command.to_owned(), properties, message: plain(message) }
        })
        .collect()
}

fn plain(text: &str) -> String {
    decoded(&decoded(&decoded(text, "%0A", "\n"), "%0D", "\r"), "%25", "%")
}

fn decoded(text: &str, code: &str, sign: &str) -> String {
    text.replace(code, sign)
}

/// Checks GitLab's code quality format, as its manual has it: each remark with a description, a name,
/// a fingerprint of its own, one of five severities, a path in the repository and a line.
#[track_caller]
pub(crate) fn check_code_quality(report: &Value) {
    let mut fingerprints = std::collections::BTreeSet::new();
    for remark in report.as_array().unwrap() {
        for field in ["description", "check_name", "fingerprint"] {
            assert!(remark[field].as_str().is_some_and(|text| !text.is_empty()), "{remark:#}");
        }
        assert!(fingerprints.insert(remark["fingerprint"].as_str().unwrap()), "twice: {remark:#}");
        let severities = ["info", "minor", "major", "critical", "blocker"];
        assert!(severities.contains(&remark["severity"].as_str().unwrap()), "{remark:#}");
        let path = remark["location"]["path"].as_str().unwrap();
        assert!(!path.starts_with('/') && !path.starts_with("./"), "{remark:#}");
        assert!(remark["location"]["lines"]["begin"].as_u64().unwrap() >= 1, "{remark:#}");
    }
}

/// What Markdown becomes on a page.
pub(crate) fn html(markdown: &str) -> String {
    let options = pulldown_cmark::Options::ENABLE_TABLES;
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new_ext(markdown, options));
    html
}
