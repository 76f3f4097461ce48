//! The schemas are those of the code, are documented, and say the same as the reader.

use std::fs;
use std::path::Path;

use appcred::manifest::{LoadRequest, load, schema};
use appcred::report::explained::{explain, fields};
use appcred::report::problems::render;
use appcred::report::schema as reports;
use serde_json::{Value as Json, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn schemas() -> [(&'static str, Json); 14] {
    [
        ("schema/manifest.schema.json", schema::manifest().into()),
        ("schema/appcred.schema.json", schema::project().into()),
        ("schema/plan.schema.json", reports::plan().into()),
        ("schema/list.schema.json", reports::list().into()),
        ("schema/validate.schema.json", reports::validate().into()),
        ("schema/verify.schema.json", reports::verify().into()),
        ("schema/changes.schema.json", reports::changes().into()),
        ("schema/doctor.schema.json", reports::doctor().into()),
        ("schema/version.schema.json", reports::version().into()),
        ("schema/snapshot.schema.json", appcred::target::snapshot::schema().into()),
        ("schema/status.schema.json", reports::status().into()),
        ("schema/reconcile.schema.json", reports::reconcile().into()),
        ("schema/saved-plan.schema.json", appcred::plan_file::schema().into()),
        ("schema/notice.schema.json", appcred::watch::notice_schema().into()),
    ]
}

#[test]
fn the_schemas_are_those_of_the_code() {
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    let update = std::env::var_os("UPDATE_SCHEMA").is_some();
    for (name, schema) in schemas() {
        let path = Path::new(ROOT).join(name);
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if update {
            fs::write(&path, &text).unwrap();
        }
        let checked_in = fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == text, "{name} is stale: UPDATE_SCHEMA=1 cargo test schema");
    }
}

#[test]
fn what_is_said_of_a_field_has_an_example_its_values_or_its_fields() {
    let (manifest, project): (Json, Json) = (schema::manifest().into(), schema::project().into());
    for field in fields(&manifest, &project) {
        let said = explain(Some(&field), &manifest, &project).unwrap();
        let shows = ["`", "as in ", "\nValues:", "\nFields:"].iter().any(|of| said.contains(of));
        assert!(shows || field.ends_with("sops"), "{said}");
    }
    let body = explain(Some("notify.body"), &manifest, &project).unwrap();
    assert!(body.starts_with("notify.body: text, or mapping\n"), "{body}");
}

#[test]
fn every_field_is_described() {
    for (name, schema) in schemas() {
        let mut objects = vec![&schema];
        let definitions = schema["definitions"].as_object();
        objects.extend(definitions.into_iter().flat_map(|definitions| definitions.values()));
        for object in objects {
            let Some(properties) = object["properties"].as_object() else { continue };
            for (field, property) in properties {
                let described =
                    property["description"].as_str().is_some_and(|text| text.ends_with('.'));
                assert!(described, "{name}: {field} has no description");
            }
        }
    }
}

/// The documents of a file as an editor sees them: a tag is a hint, not a value.
fn instances(text: &str) -> Vec<Json> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let mut value =
                <serde_yaml::Value as serde::Deserialize>::deserialize(document).unwrap();
            value.apply_merge().unwrap();
            untagged(value)
        })
        .collect()
}

fn untagged(value: serde_yaml::Value) -> Json {
    match value {
        serde_yaml::Value::Tagged(tagged) => untagged(tagged.value),
        serde_yaml::Value::Sequence(items) => items.into_iter().map(untagged).collect(),
        serde_yaml::Value::Mapping(pairs) => pairs
            .into_iter()
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), untagged(value)))
            .collect(),
        plain => serde_json::to_value(plain).unwrap(),
    }
}

/// What the reader says of a file, in a project that forbids as little as can be.
fn read(name: &str, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    if name.starts_with("manifest") {
        write("credentials.yaml", text);
        let targets = "targets: {home: {config_dir: a}, cabin: {config_dir: b}}";
        write("appcred.yaml", &format!("{targets}\nallow_plaintext: true\n"));
    } else {
        write("appcred.yaml", text);
        fs::create_dir(folder.path().join("credentials")).unwrap();
        write("more.yaml", "");
    }
    let home = Some(Path::new("/home/somebody").to_owned());
    let problems =
        load(&LoadRequest { folder: folder.path().to_owned(), home, owner: None }).problems;
    if problems.has_errors() { Err(render(&problems, false)) } else { Ok(()) }
}

#[test]
fn schema_and_reader_agree() {
    let [(_, manifest), (_, project), ..] = schemas();
    assert_eq!(manifest["$schema"], json!("http://json-schema.org/draft-07/schema#"));
    let manifest = jsonschema::validator_for(&manifest).unwrap();
    let project = jsonschema::validator_for(&project).unwrap();
    for (folder, valid) in [("valid", true), ("invalid", false)] {
        let cases = Path::new(ROOT).join("tests/cases/schema").join(folder);
        let mut count = 0;
        for case in fs::read_dir(cases).unwrap() {
            let path = case.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            let schema = if name.starts_with("manifest") { &manifest } else { &project };
            let by_schema = instances(&text).iter().all(|instance| schema.is_valid(instance));
            let by_reader = read(&name, &text);
            assert_eq!(by_schema, valid, "{folder}/{name} to the schema");
            assert_eq!(by_reader.is_ok(), valid, "{folder}/{name} to the reader: {by_reader:?}");
            count += 1;
        }
        assert!(count > 5, "the cases were not found");
    }
}
