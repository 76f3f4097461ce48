//! What is built in about Home Assistant's integrations, beside what an installed one does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use appcred::model::FlowAbort;
use appcred::setup::reasons;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::real::{Release, each_release};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Facts by integration.
type Facts = BTreeMap<String, Map<String, Value>>;

/// What `facts.py` finds in an installed Home Assistant.
#[derive(Deserialize)]
struct Installed {
    release: String,
    integrations: Facts,
    reasons: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

#[track_caller]
fn installed(release: Release) -> Installed {
    let libraries = format!("{ROOT}/target/integrations/{}/current", release.name());
    assert!(
        PathBuf::from(&libraries).exists(),
        "{libraries} is missing: run tests/run or tests/real/integrations/set_up"
    );
    let read = Command::new(release.python())
        .args(["-B", "-W", "ignore"])
        .arg(format!("{ROOT}/tests/real/integrations/facts.py"))
        .env_clear()
        .env("LANG", "C.UTF-8")
        .env("PYTHONPATH", libraries)
        .output()
        .unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

fn file() -> PathBuf {
    PathBuf::from(ROOT).join("src/integrations/facts.json")
}

fn built_in() -> BTreeMap<String, Facts> {
    serde_json::from_str(&fs::read_to_string(file()).unwrap()).unwrap()
}

/// Each field that is not the same, with what it is on each side.
fn differences(release: &str, ours: &Facts, of_ha: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let domains: BTreeSet<&String> = ours.keys().chain(of_ha.keys()).collect();
    for domain in domains {
        let (Some(ours), Some(of_ha)) = (ours.get(domain), of_ha.get(domain)) else {
            let whose = if ours.contains_key(domain) { "no such integration" } else { "one more" };
            found.push(format!("{domain}: Home Assistant {release} has {whose}"));
            continue;
        };
        let fields: BTreeSet<&String> = ours.keys().chain(of_ha.keys()).collect();
        for field in fields.into_iter().filter(|field| ours.get(*field) != of_ha.get(*field)) {
            let shown = |side: &Map<String, Value>| {
                side.get(field).map_or("-".to_owned(), Value::to_string)
            };
            found.push(format!(
                "{domain}: {field} is {} in Home Assistant {release}, {} in facts.json",
                shown(of_ha),
                shown(ours)
            ));
        }
    }
    found
}

/// One line for each integration, so that a difference shows which it is.
fn written(releases: &BTreeMap<String, Facts>) -> String {
    let releases: Vec<String> = releases
        .iter()
        .map(|(release, facts)| {
            let line = |(domain, facts): (&String, &Map<String, Value>)| {
                format!("    \"{domain}\": {}", serde_json::to_string(facts).unwrap())
            };
            let lines: Vec<String> = facts.iter().map(line).collect();
            format!("  \"{release}\": {{\n{}\n  }}", lines.join(",\n"))
        })
        .collect();
    format!("{{\n{}\n}}\n", releases.join(",\n"))
}

each_release!(what_is_built_in_is_what_home_assistant_does);
fn what_is_built_in_is_what_home_assistant_does(release: Release) {
    let Installed { release, integrations, .. } = installed(release);
    let ours = built_in().remove(&release).unwrap_or_default();
    let found = differences(&release, &ours, &integrations);
    assert!(
        found.is_empty(),
        "tests/real/integrations/renew writes the facts anew:\n{}",
        found.join("\n")
    );
}

/// Writes the file; run by `tests/real/integrations/renew`.
#[test]
#[ignore = "it changes a file of the source"]
fn renew() {
    let read = Release::ALL.map(installed);
    let releases = read.map(|read| (read.release, read.integrations));
    fs::write(file(), written(&BTreeMap::from(releases))).unwrap();
}

#[test]
fn a_difference_names_integration_and_field() {
    let ours = built_in().remove("2026.11").unwrap();
    let mut of_ha = ours.clone();
    of_ha.get_mut("smartthings").unwrap().remove("implementation");
    of_ha.get_mut("senz").unwrap().insert("token_url".to_owned(), "https://elsewhere".into());
    of_ha.remove("yoto");
    of_ha.insert("zoom".to_owned(), Map::new());
    assert_eq!(
        differences("2026.11", &ours, &of_ha),
        [
            "senz: token_url is \"https://elsewhere\" in Home Assistant 2026.11, \"https://id.senzthermostat.chemelex.com/connect/token\" in facts.json",
            "smartthings: implementation is - in Home Assistant 2026.11, \"smartthings\" in facts.json",
            "yoto: Home Assistant 2026.11 has no such integration",
            "zoom: Home Assistant 2026.11 has one more",
        ]
    );
    assert_eq!(written(&built_in()), fs::read_to_string(file()).unwrap());
}

each_release!(no_reason_for_the_end_of_a_set_up_is_a_bare_code);
fn no_reason_for_the_end_of_a_set_up_is_a_bare_code(release: Release) {
    let Installed { reasons, .. } = installed(release);
    let mut bare = Vec::new();
    let mut seen = 0;
    for (domain, reasons) in reasons {
        for (reason, of_ha) in reasons {
            if reasons::is_success(&reason) {
                continue;
            }
            seen += 1;
            let abort = FlowAbort { reason: reason.clone(), ..FlowAbort::default() };
            let message = reasons::message(&abort, of_ha.as_deref());
            let words = message.split_once(&format!(" ({reason})")).map_or("", |(words, _)| words);
            if !words.contains(' ') || words.contains("common::") {
                bare.push(format!("{domain}: {message}"));
            }
        }
    }
    assert!(seen > 100, "{seen} reasons were found");
    assert!(bare.is_empty(), "{}", bare.join("\n"));
}
