//! Reading a manifest never panics, and each value of one that is taken is what another YAML reader finds in its place.
//! What that reader refuses is refused.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use appcred::manifest::{self, Entry, LoadRequest, Project, Targets, load_project};
use appcred::model::{Adopt, Implementation, Integration, OnDelete, Reference};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use yaml_serde::{Deserializer, Value};

/// It takes all that a manifest can say.
const PROJECT: &str = "\
owner: fuzzed
allow_plaintext: true
allow_placeholders: true
targets:
  cabin: {url: 'http://cabin:8123', token: !env_var TOKEN, labels: {ring: one}}
  house: {url: 'http://house:8123', token: !env_var TOKEN, labels: {ring: two}}
";

static PROJECTS: LazyLock<[Project; 2]> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("appcred.yaml"), PROJECT).unwrap();
    let request = LoadRequest { folder: folder.path().to_owned(), home: None, owner: None };
    let (project, problems) = load_project(&request);
    assert!(!problems.has_errors());
    [Project::default(), project]
});

fuzz_target!(|text: &str| {
    let taken = PROJECTS.each_ref().map(|project| {
        let (entries, problems) = manifest::entries(Path::new("a.yaml"), text, project);
        (!problems.has_errors()).then_some(entries)
    });
    if taken.iter().all(Option::is_none) {
        return;
    }
    let documents = match documents(text) {
        Ok(documents) => documents,
        Err(why) if is_libyaml_alone(text, &why.to_string()) => return,
        Err(why) => panic!("{text:?} was taken: {why}"),
    };
    let lists = documents.iter().filter_map(|document| document.get("application_credentials"));
    let all: Vec<&Value> = lists.filter_map(Value::as_sequence).flatten().collect();
    for entries in taken.into_iter().flatten() {
        assert_eq!(entries.len(), all.len(), "{text:?}");
        for (entry, value) in entries.iter().zip(&all) {
            compare(entry, value).unwrap_or_else(|what| panic!("{what} of {entry:?} in {text:?}"));
        }
    }
});

/// It takes tabs in fewer places than YAML 1.2 does, and fewer names of anchors: some characters end one for it. It
/// takes no end of a document before the first one.
fn is_libyaml_alone(text: &str, why: &str) -> bool {
    let is_part = |one: char| one.is_ascii_alphanumeric() || "-_".contains(one);
    let is_ended = |(at, _): (usize, &str)| {
        text[at + 1..].trim_start_matches(is_part).starts_with(['?', ':', '%', '@', '`'])
    };
    let mut lines = text.split(['\r', '\n']).map(|line| line.trim_start_matches([' ', '\u{feff}']));
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    text.contains('\t')
        || first.is_some_and(|line| line.starts_with("..."))
        || why.contains("while scanning an anchor")
        || why.contains("while scanning an alias")
        || text.match_indices(['&', '*']).any(is_ended)
}

fn documents(text: &str) -> Result<Vec<Value>, yaml_serde::Error> {
    let read = |document| {
        let mut value = Value::deserialize(document)?;
        value.apply_merge()?;
        Ok(value)
    };
    Deserializer::from_str(text).map(read).collect()
}

/// Names the field that differs.
fn compare(entry: &Entry, value: &Value) -> Result<(), &'static str> {
    let of = |field: &str| value.get(field);
    let is = |field, ours: &str| is_text(of(field), ours).then_some(()).ok_or(field);
    is("domain", entry.domain.value.as_str())?;
    if of("name").is_some() {
        is("name", &entry.name.value)?;
    }
    if of("key").is_some() {
        is("key", entry.key.value.as_str())?;
    }
    let ok = |holds: bool, field| if holds { Ok(()) } else { Err(field) };
    let formerly = texts(of("formerly"));
    ok(entry.formerly.iter().map(|key| key.as_str()).eq(formerly), "formerly")?;
    ok(is_reference(of("client_id"), &entry.client_id.value), "client_id")?;
    ok(is_reference(of("client_secret"), &entry.client_secret.value), "client_secret")?;
    let adopt = match &entry.adopt {
        Adopt::No => boolean(of("adopt")) != Some(true),
        Adopt::Only => boolean(of("adopt")) == Some(true),
        Adopt::Id(id) => is_text(of("adopt"), id.as_str()),
    };
    ok(adopt, "adopt")?;
    ok(boolean(of("protect")).unwrap_or(false) == entry.protect, "protect")?;
    ok(boolean(of("suspend")).unwrap_or(false) == entry.suspend, "suspend")?;
    for (field, date) in [("expires", &entry.expires), ("rotate_after", &entry.rotate_after)] {
        match date {
            Some(date) => is(field, &date.value.to_string())?,
            None => ok(of(field).is_none_or(Value::is_null), field)?,
        }
    }
    let mut accounts: Vec<String> = texts(of("accounts"));
    let mut ours: Vec<&str> = entry.integration.accounts.iter().map(|name| name.as_str()).collect();
    accounts.sort();
    ours.sort();
    ok(ours == accounts, "accounts")?;
    ok(is_targets(of("targets"), &entry.targets), "targets")?;
    compare_integration(&entry.integration, of("integration").unwrap_or(&Value::Null))
}

fn compare_integration(ours: &Integration, value: &Value) -> Result<(), &'static str> {
    let of = |field: &str| value.get(field);
    let ok = |holds: bool, field| if holds { Ok(()) } else { Err(field) };
    ok(boolean(of("setup")).unwrap_or(true) == ours.setup, "setup")?;
    let implementation = match ours.implementation {
        Implementation::Credential => of("implementation").is_none(),
        Implementation::Cloud => is_text(of("implementation"), "cloud"),
        Implementation::Ask => is_text(of("implementation"), "ask"),
    };
    ok(implementation, "implementation")?;
    let on_delete = match ours.on_delete {
        OnDelete::Keep => of("on_delete").is_none(),
        OnDelete::RemoveIntegration => is_text(of("on_delete"), "remove_integration"),
    };
    ok(on_delete, "on_delete")?;
    for (field, url) in [("token_url", &ours.token_url), ("authorize_url", &ours.authorize_url)] {
        match url {
            Some(url) => ok(is_text(of(field), url), field)?,
            None => ok(of(field).is_none(), field)?,
        }
    }
    let steps = of("answers").and_then(Value::as_mapping);
    ok(steps.map_or(0, |steps| steps.len()) == ours.answers.len(), "answers")?;
    for (step, fields) in &ours.answers {
        let form = of("answers").and_then(|answers| answers.get(step)).and_then(Value::as_mapping);
        ok(form.map_or(0, |form| form.len()) == fields.len(), "a step of answers")?;
        for (field, answer) in fields {
            let value = form.and_then(|form| form.get(field));
            ok(value.is_some_and(|value| is_json(value, answer)), "an answer")?;
        }
    }
    Ok(())
}

/// Whether it is this text. The line break that ends a block is no part of a value.
fn is_text(value: Option<&Value>, ours: &str) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| text.trim_end_matches('\n') == ours)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_sequence).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Home Assistant reads YAML 1.1, in which there are more words for both.
fn boolean(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(value) => Some(*value),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "yes" | "on" => Some(true),
            "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_reference(value: Option<&Value>, ours: &Reference) -> bool {
    match (ours, value) {
        (Reference::Plain(secret), value) => is_text(value, secret.expose()),
        (Reference::Age(armored), Some(Value::String(text))) => text.trim() == armored.trim(),
        (Reference::Sops { .. }, Some(Value::String(text))) => text.starts_with("ENC["),
        (Reference::Tagged { tag, argument, .. }, Some(Value::Tagged(tagged))) => {
            tagged.tag == tag.as_str() && is_text(Some(&tagged.value), argument)
        }
        _ => false,
    }
}

/// Of what names targets, not of what chooses them by labels or patterns, what is meant is compared.
fn is_targets(value: Option<&Value>, ours: &Targets) -> bool {
    match (value, ours) {
        (None, Targets::All) => true,
        (Some(Value::Sequence(_)), Targets::Only(names)) => {
            let named = texts(value);
            named.iter().any(|name| name.contains(['*', '?', '[', '{']))
                || names.iter().all(|name| named.iter().any(|other| other == name.as_str()))
                    && named.len() >= names.len()
        }
        (Some(_), _) => true,
        (None, Targets::Only(_)) => false,
    }
}

fn is_json(value: &Value, ours: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (value, ours) {
        (Value::Null, Json::Null) => true,
        (_, Json::Bool(ours)) => boolean(Some(value)) == Some(*ours),
        (Value::Number(number), Json::Number(ours)) => number.as_f64() == ours.as_f64(),
        (Value::String(text), Json::String(ours)) => text == ours,
        (Value::Sequence(items), Json::Array(ours)) => {
            items.len() == ours.len() && items.iter().zip(ours).all(|(item, ours)| is_json(item, ours))
        }
        (Value::Mapping(pairs), Json::Object(ours)) => {
            let has = |(key, ours): (&String, _)| pairs.get(key).is_some_and(|of| is_json(of, ours));
            pairs.len() == ours.len() && ours.iter().all(has)
        }
        _ => false,
    }
}
