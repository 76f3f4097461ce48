//! The alerts and the dashboard in `examples/prometheus`: what they ask for exists, and Prometheus takes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use appcred::model::{UndoneWave, Wave, WhyUndone};
use appcred::status::{RolloutStatus, SelectionStatus, SourceStatus, Status};
use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::real::visit;
use crate::server::busy;
use crate::serving::Served;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus")
}

#[track_caller]
fn promtool(arguments: &[&str], folder: &Path) {
    let promtool =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/promtool/current/usr/bin/promtool");
    let ran = Command::new(promtool).args(arguments).current_dir(folder).output().unwrap();
    let [said, errors] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(ran.status.success(), "{arguments:?}: {said}{errors}");
}

/// The queries of all panels, as they are when the dashboard is opened.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(examples().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$target", ".*").replace("$__rate_interval", "5m")).collect()
}

#[test]
fn prometheus_takes_the_alerts_and_each_is_raised_when_it_should() {
    promtool(&["check", "rules", "--lint-fatal", "alerts.yml"], &examples());
    promtool(&["test", "rules", "alerts_test.yml"], &examples());
    let name = Regex::new(r"alert(?:name)?: (\w+)").unwrap();
    let names = |file: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(examples().join(file)).unwrap();
        name.captures_iter(&text).map(|found| found[1].to_owned()).collect()
    };
    assert_eq!(names("alerts.yml"), names("alerts_test.yml"), "each alert is tested");
}

#[test]
fn prometheus_takes_every_query_of_the_dashboard() {
    let rules: Vec<Value> = queries()
        .into_iter()
        .enumerate()
        .map(|(nth, query)| json!({"record": format!("query:{nth}"), "expr": query}))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    let folder = TempDir::new().unwrap();
    let all = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(folder.path().join("rules.yml"), all.to_string()).unwrap();
    promtool(&["check", "rules", "rules.yml"], folder.path());
}

/// A house with something of everything that is fetched, selected and changed in waves.
pub(crate) fn with_all_metrics() -> Status {
    let wave = Wave { number: 1, of: 2 };
    let undone = UndoneWave { wave, why: WhyUndone::Unreached };
    let mut status = busy();
    status.rollout = Some(RolloutStatus { undone, is_unread: false, begins: None, window: None });
    status.source = Some(SourceStatus {
        url: "https://git.example/house.git".to_owned(),
        reference: "main".to_owned(),
        commit: "4f5c0a8812d04f5c9e21b7d3a6f0c4e1b2a39487".to_owned(),
        fetched_at: Some(status.since),
        error: None,
    });
    let arguments = vec!["--domain=spotify".to_owned()];
    status.manifests.selection = Some(SelectionStatus { arguments, entries: 1, unmatched: None });
    status
}

#[test]
fn each_metric_that_is_asked_for_is_served_with_its_labels() {
    let served = Served::start(with_all_metrics());
    let text = visit(&served.url("/metrics")).text;
    let alerts = fs::read_to_string(examples().join("alerts.yml")).unwrap();
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let asked: Vec<String> = queries().into_iter().chain(expressions.map(str::to_owned)).collect();
    let metric = Regex::new(r"(appcred_\w+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r"(\w+)(?:=~|!=|=)").unwrap();
    let mut seen = BTreeSet::new();
    for expression in &asked {
        for found in metric.captures_iter(expression) {
            let name = &found[1];
            let is_of_it = |line: &&str| line.split(['{', ' ']).next() == Some(name);
            let samples: Vec<&str> = text.lines().filter(is_of_it).collect();
            assert!(!samples.is_empty(), "there is no {name}, for which `{expression}` asks");
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            for label in label.captures_iter(labels) {
                let label = format!("{}=\"", &label[1]);
                let has_label = samples.iter().any(|sample| sample.contains(&label));
                assert!(has_label, "{name} has no label {label}: {samples:?}");
            }
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.len() > 12, "{seen:?}");
}
