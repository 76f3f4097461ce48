//! A project that becomes resources: a cluster takes them, and its controller finds nothing to change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{
    NAMESPACE, cluster, condition, controller, credential, end, house, is_so, secret, wait_ready,
};
use crate::real::{HomeAssistant, Release};
use crate::shell::{Appcred, Project, Ran};
use crate::watch::arrives;

fn run(project: &Project, ha: &HomeAssistant, words: &[&str], status: i32) -> Ran {
    let appcred = Appcred::new().in_dir(project.path()).env("HASS_TOKEN", ha.token());
    appcred.env("SECRET", "m4rk3d-first").args(words).status(status).run()
}

fn project_file(ha: &HomeAssistant, owner: &str) -> String {
    format!(
        "{owner}\ntargets: {{cabin: {{url: \"{}\", token: !env_var HASS_TOKEN, labels: {{ring: canary}}}}}}\n",
        ha.url()
    )
}

/// The credentials without what is another one after each change.
fn held(ha: &HomeAssistant) -> BTreeSet<String> {
    ha.credentials().iter().map(Value::to_string).collect()
}

#[test]
fn a_project_becomes_resources_and_nothing_changes_in_the_house_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let entry = "application_credentials:\n  - {domain: spotify, key: family, name: Family, client_id: a, client_secret: !env_var SECRET, expires: 2099-01-01, integration: {setup: false}, targets: {match: {ring: canary}}}\n";
    let project = Project::new().file("credentials/spotify.yaml", entry);
    project.write("appcred.yaml", &project_file(&ha, "owner: house"));
    run(&project, &ha, &["apply", "--yes"], 0);
    arrives(&ha, &[("a", "m4rk3d-first")]);
    // The owner is another one in the cluster, and the project hands over to that.
    let owner = format!("owner: kubernetes.{NAMESPACE}\nprevious_owners: [house]");
    project.write("appcred.yaml", &project_file(&ha, &owner));
    run(&project, &ha, &["apply", "--yes"], 0);
    let exported = run(&project, &ha, &["export", "--namespace", NAMESPACE], 0);
    let said = "\
These fields are not in the resources:
  entry family: expires
  the project file: previous_owners
Make these Secrets in the same namespace:
  cabin-homeassistant-api-token, with the key token
  family, with the key client_secret
";
    assert!(exported.stderr.ends_with(said), "{}", exported.stderr);
    assert!(!exported.stdout.contains("m4rk3d") && !exported.stdout.contains(ha.token()));
    let tried = ["apply", "--dry-run=server", "--validate=false", "-f", "-"];
    cluster.try_kubectl(tried, &exported.stdout).unwrap();
    let before = held(&ha);
    let token = secret("cabin-homeassistant-api-token", "token", ha.token());
    cluster.apply(&(token + &secret("family", "client_secret", "m4rk3d-first")));
    cluster.apply(&exported.stdout);
    let running = controller(&cluster, &[]);
    wait_ready(&cluster, "acred/family");
    wait_ready(&cluster, "hass/cabin");
    assert_eq!(condition(&cluster, "acred/family", "Ready"), is_so("True", "Synced"));
    assert_eq!(held(&ha), before);
    end(running);
}

#[test]
fn what_a_house_holds_becomes_resources_without_its_secrets_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    ha.create_credential(json!({
        "domain": "spotify", "client_id": "a", "client_secret": "m4rk3d-first", "name": "By hand"
    }));
    let project = Project::new().file("appcred.yaml", &project_file(&ha, "owner: house"));
    let before = held(&ha);
    let imported = run(&project, &ha, &["import", "--format", "crd"], 0);
    assert_eq!(held(&ha), before);
    assert!(!project.join("credentials").exists());
    let all = imported.stdout.clone() + &imported.stderr;
    assert!(!all.contains("m4rk3d") && !all.contains(ha.token()), "{all}");
    run(&project, &ha, &["import", "--format", "crd", "--output", "resources.yaml"], 1);
    let tried = ["apply", "--dry-run=server", "--validate=false", "-f", "-"];
    cluster.try_kubectl(tried, &imported.stdout).unwrap();
    // Who makes the Secrets takes it over.
    let token = secret("cabin-homeassistant-api-token", "token", ha.token());
    cluster.apply(&token);
    assert!(imported.stderr.contains("by-hand, with the key client_secret"), "{}", imported.stderr);
    cluster.apply(&secret("by-hand", "client_secret", "m4rk3d-first"));
    cluster.apply(&imported.stdout);
    assert!(imported.stdout.contains("setup: false"));
    let running = controller(&cluster, &[]);
    wait_ready(&cluster, "acred/by-hand");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}

#[test]
fn resources_become_a_project_that_has_nothing_to_change_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let spec = "  name: Family\n  integration: {setup: false}\n  protect: true\n";
    let objects = house(&ha, "  maxDeletes: 3\n") + &credential("family", "spotify", "a", spec);
    cluster.apply(&(secret("family", "secret", "m4rk3d-first") + &objects));
    let running = controller(&cluster, &[]);
    wait_ready(&cluster, "acred/family");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
    let before = held(&ha);
    let project = Project::new();
    let resources = cluster.kubectl(["get", "hass,acred", "-o", "yaml"]);
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let words = ["init", "--recipient", recipient, "--resources", "-"];
    let begun = Appcred::new().in_dir(project.path()).args(words).stdin(&resources).run();
    assert_eq!(begun.stdout, "Created appcred.yaml, credentials/spotify.yaml, .gitignore.\n");
    let written = fs::read_to_string(project.join("appcred.yaml")).unwrap();
    let expected = format!(
        "\
owner: kubernetes.{NAMESPACE}
manifests:
- credentials
targets:
  cabin:
    url: {}
    token: !file secrets/cabin-homeassistant-api-token/token
    labels:
      ring: canary
policy:
  max_deletes: 3
age:
  recipients:
  - {recipient}
",
        ha.url()
    );
    assert_eq!(written.split_once('\n').unwrap().1, expected);
    // What it says to do is done by a shell.
    let commands = begun.stderr.lines().filter_map(|line| line.strip_prefix("  "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 2, "{}", begun.stderr);
    let kubectl = crate::real::program("kubectl");
    let path =
        format!("{}:{}", kubectl.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for command in commands {
        let mut shell = Command::new("sh");
        shell.args(["-ec", command]).current_dir(project.path()).env("PATH", &path);
        assert!(shell.env("KUBECONFIG", cluster.kubeconfig("admin")).status().unwrap().success());
    }
    let planned = run(&project, &ha, &["plan", "--detailed-exitcode"], 0);
    assert!(planned.stdout.contains("No changes"), "{}", planned.stdout);
    run(&project, &ha, &["apply", "--yes"], 0);
    assert_eq!(held(&ha), before);
    // And back again.
    let exported = run(&project, &ha, &["export", "--namespace", NAMESPACE], 0);
    let [was, is] = [&resources, &exported.stdout].map(|text| specs(text));
    assert_eq!(was, is);
    run(&project, &ha, &["init", "--resources", "none.yaml"], 1);
}

/// What the objects of a text want, without the names of their Secrets, which are those of the exporter.
fn specs(text: &str) -> BTreeSet<String> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let documents = documents.map(|of| Value::deserialize(of).unwrap());
    let objects = documents.flat_map(|of| match of["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![of],
    });
    let without_defaults = |mut object: Value| {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.retain(|field, value| {
            let is_default = value == &json!(false) || value == &json!([]) || value == "Retain";
            !is_default && value != "Delete" && !field.ends_with("Ref")
        });
        if let Some(integration) = spec.get_mut("integration").and_then(Value::as_object_mut) {
            integration.retain(|field, _| field == "setup");
        }
        let spec: BTreeMap<_, _> = object["spec"].as_object().unwrap().iter().collect();
        format!("{} {} {spec:?}", object["kind"], object["metadata"]["name"])
    };
    objects.map(without_defaults).collect()
}
