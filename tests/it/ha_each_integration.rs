//! What each integration of a real Home Assistant does at the first step of its set-up. Run by
//! `tests/real/integrations/start_each`, which brings what they need.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::ha_apply::House;
use crate::real::{CONFIGURATION, HomeAssistant, Release};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What HA says where a library or another integration is missing that one needs.
const NOT_LOADED: [&str; 2] =
    ["cannot load this integration", "cannot set up what the integration depends on"];

fn facts(release: Release) -> BTreeMap<String, Map<String, Value>> {
    let text = fs::read_to_string(Path::new(ROOT).join("src/integrations/facts.json")).unwrap();
    let mut all: BTreeMap<String, _> = serde_json::from_str(&text).unwrap();
    all.remove(release.name()).unwrap()
}

/// What it did, in a few words.
fn done(step: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (&step["outcome"], &step["waits_for"]["kind"]) {
        (outcome, Value::Null) => format!("{}: {}", text(outcome), text(&step["error"])),
        (_, kind) => {
            format!("{} {}", text(kind), text(&step["waits_for"]["step"])).trim().to_owned()
        }
    }
}

#[test]
#[ignore = "it needs what start_each brings"]
fn the_first_step_of_each_is_as_the_facts_say() {
    begin_each(Release::Ha2026_11);
}

#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn begin_each(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    let (house, facts) = (House::new(), facts(release));
    let configuration = format!("{CONFIGURATION}recorder:\ncloud:\n");
    fs::write(folder.path().join("configuration.yaml"), configuration).unwrap();
    let libraries = Path::new(ROOT).join("target/integrations").join(release.name()).join("needed");
    let ha = HomeAssistant::start_with(release, folder.path(), Some(&libraries));
    let entries = facts.keys().map(|domain| {
        house.entry_with_integration(domain, domain, &format!("id-of-{domain}"), "h7-Kq2-zz81-pv")
    });
    house.declare(&entries.collect::<Vec<_>>());
    let applied = house.appcred(&ha).args(["apply", "--yes", "--format", "json"]).status(1).run();
    let report: Value = serde_json::from_str(&applied.stdout).unwrap();
    let target = &report["targets"][0];
    assert!(target["withheld"].is_array(), "{report:#}\n{}", applied.stderr);

    let mut wrong = Vec::new();
    let mut begun = 0;
    println!("{} {}", release.name(), target["home_assistant_version"]);
    for withheld in target["withheld"].as_array().unwrap() {
        println!("  {}: {}", withheld["domain"], withheld["why"]);
    }
    for step in target["steps"].as_array().unwrap() {
        let (domain, said) = (step["domain"].as_str().unwrap(), done(step));
        if step["action"] != "set_up" && step["outcome"] == "done" {
            continue;
        }
        println!("  {domain}: {said}");
        let asks = facts[domain].get("asks_before_consent").and_then(Value::as_array);
        let is_as_said = match said.split_once(' ') {
            None => {
                said == "consent"
                    && asks.is_none_or(|steps| domain == "lametric" || steps.is_empty())
            }
            Some(("answers" | "choice", step)) => {
                asks.is_some_and(|steps| steps.contains(&step.into()))
            }
            // It asks Google for a code before its first step, and there may be no way there.
            _ if domain == "google" => said.contains("HTTP 500"),
            _ => {
                NOT_LOADED.iter().any(|why| said.contains(why))
                    || said.contains("its credential is not there")
            }
        };
        begun += usize::from(step["waits_for"].is_object());
        if !is_as_said {
            wrong.push(format!("{domain}: {said}"));
        }
    }
    println!("  {begun} of {} were begun", facts.len());
    assert!(wrong.is_empty(), "facts.json says otherwise:\n{}", wrong.join("\n"));
    assert!(begun * 2 > facts.len(), "only {begun} were begun");
}
