//! `controller` with a real API server and real Home Assistants: what is declared there arrives, and comes back as status.

mod configmaps;
mod disturbed;
mod exported;
mod kubeconfig;
mod replicas;
mod shards;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::real::{
    Cluster, HomeAssistant, Provider, Release, ReverseProxy, each_release, free_port, program,
};
use crate::shell::{Appcred, Running};
use crate::watch::{arrives, eventually};

const NAMESPACE: &str = "smart-home";

/// What `packaging/kubernetes` has in a file, with the rights given to the user of the test.
fn packaged(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes").join(name);
    let account = "kind: ServiceAccount\n    name: appcred";
    let user = "kind: User\n    apiGroup: rbac.authorization.k8s.io\n    name: appcred";
    fs::read_to_string(file).unwrap().replace(account, user)
}

/// A cluster with the resources' definitions, and the rights that are shipped.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    cluster.kubectl(["create", "namespace", NAMESPACE]);
    cluster.apply(&packaged("crds.yaml"));
    cluster.apply(&packaged("rights.yaml"));
    // As one that was given back: nobody waits for whoever may have had one that is gone.
    let lease = format!(
        "---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {{name: appcred, namespace: {NAMESPACE}}}
"
    );
    cluster.apply(&lease);
    eventually("the definitions are in force", || {
        cluster.try_kubectl(["get", "appcred"], "").is_ok()
    });
    cluster
}

fn controller(cluster: &Cluster, arguments: &[&str]) -> Running {
    controller_by(&cluster.kubeconfig("appcred"), arguments)
}

fn controller_by(kubeconfig: &Path, arguments: &[&str]) -> Running {
    let words = ["controller", "--kubeconfig", kubeconfig.to_str().unwrap()];
    Appcred::new().args(words).args(arguments).spawn()
}

fn secret(name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{{key}: \"{value}\"}}\n---\n"
    )
}

/// A HomeAssistant and its token.
fn house(ha: &HomeAssistant, rest: &str) -> String {
    // As `kubectl create secret --from-file` makes it.
    let token = secret("cabin-homeassistant-api-token", "token", &format!("{}\\n", ha.token()));
    let url = ha.url();
    format!(
        "{token}
apiVersion: appcred.io/v1alpha1
kind: HomeAssistant
metadata: {{name: cabin, labels: {{ring: canary}}}}
spec:
  url: {url}
  tokenSecretRef: {{name: cabin-homeassistant-api-token, key: token}}
{rest}---
"
    )
}

/// An ApplicationCredential of this name, domain and client id.
fn credential(name: &str, domain: &str, client_id: &str, rest: &str) -> String {
    format!(
        "\
apiVersion: appcred.io/v1alpha1
kind: ApplicationCredential
metadata: {{name: {name}}}
spec:
  domain: {domain}
  clientId: {client_id}
  clientSecretRef: {{name: {name}, key: secret}}
  targetSelector: {{matchLabels: {{ring: canary}}}}
{rest}---
"
    )
}

const LEFT_ALONE: &str = "  integration: {setup: false}\n";

#[track_caller]
fn wait_ready(cluster: &Cluster, object: &str) {
    let waiting = ["wait", "--for=condition=Ready", object, "--timeout=60s"];
    if let Err(why) = cluster.try_kubectl(waiting, "") {
        panic!("{why}\n{:#}", cluster.get(object)["status"]);
    }
}

/// The reason of a condition, and whether that is so; none where it is not there.
fn condition(cluster: &Cluster, object: &str, kind: &str) -> Option<(String, String)> {
    let object = cluster.get(object);
    let all = object["status"]["conditions"].as_array()?;
    let found = all.iter().find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    Some((text("status"), text("reason")))
}

fn is_so(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.to_owned(), reason.to_owned()))
}

/// What `kubectl get` prints, without the age.
fn columns(cluster: &Cluster, what: &str) -> String {
    let printed = cluster.kubectl(["get", what]);
    let mut text = String::new();
    for line in printed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        writeln!(text, "{}", words[..words.len() - 1].join(" ")).unwrap();
    }
    text
}

fn end(running: Running) -> String {
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    ran.stderr
}

each_release!(ha_follows_resources_from_their_creation_to_their_end);
fn ha_follows_resources_from_their_creation_to_their_end(release: Release) {
    let (cluster, ha) = (cluster(), HomeAssistant::start(release));
    let running = controller(&cluster, &["--resync", "1"]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    wait_ready(&cluster, "hass/cabin");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    let version = cluster.get("hass/cabin")["status"]["version"].as_str().unwrap().to_owned();
    assert!(version.starts_with(release.name()), "{version}");
    let url = ha.url();
    let expected = format!("NAME URL VERSION READY REASON\ncabin {url} {version} True Synced\n");
    assert_eq!(columns(&cluster, "hass"), expected);
    let expected =
        "NAME INTEGRATION TARGETS SYNCED CONSENT READY REASON\nfamily spotify 1 1 0 True Synced\n";
    assert_eq!(columns(&cluster, "acred"), expected);
    // Nothing is written while nothing changes, however often Home Assistant is looked at.
    let versions = || {
        let path = "-ojsonpath={.items[*].metadata.resourceVersion}";
        cluster.kubectl(["get", "hass,acred", path])
    };
    let before = versions();
    // The secret that somebody writes is taken.
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    assert_eq!(versions(), before);

    let patch = |object: &str, patch: &str| {
        cluster.kubectl(["patch", object, "--type=merge", "-p", patch]);
    };
    patch("acred/family", r#"{"spec": {"suspend": true}}"#);
    eventually("it is suspended", || {
        cluster.get("hass/cabin")["status"]["credentials"][0]["state"] == "Suspended"
    });
    cluster.apply(&secret("family", "secret", "m4rk3d-third"));
    // What is declared after that arrives, so that this would have arrived too.
    cluster.apply(&secret("other", "secret", "m4rk3d-other"));
    cluster.apply(&credential("other", "twitch", "b", LEFT_ALONE));
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-other")]);
    patch("acred/family", r#"{"spec": {"suspend": false}}"#);
    arrives(&ha, &[("a", "m4rk3d-third"), ("b", "m4rk3d-other")]);

    patch("hass/cabin", r#"{"metadata": {"annotations": {"appcred.io/reconcile-at": "now"}}}"#);
    eventually("it was looked at", || {
        cluster.get("hass/cabin")["status"]["lastHandledReconcileAt"] == "now"
    });
    // What selects another house leaves this one, as what is deleted does.
    let garage = house(&ha, "  suspend: true\n").replace("cabin", "garage");
    cluster.apply(&garage.replace("ring: canary", "ring: stable"));
    patch("acred/family", r#"{"spec": {"targetSelector": {"matchLabels": {"ring": "stable"}}}}"#);
    arrives(&ha, &[("b", "m4rk3d-other")]);
    cluster.kubectl(["delete", "hass/garage", "--timeout=60s"]);
    eventually("it has none", || {
        condition(&cluster, "acred/family", "Ready") == is_so("False", "NoTargets")
    });
    patch("acred/other", r#"{"spec": {"deletionPolicy": "Retain"}}"#);
    cluster.kubectl(["delete", "acred/other", "--timeout=60s"]);
    cluster.kubectl(["delete", "acred/family", "--timeout=60s"]);
    cluster.apply(&secret("last", "secret", "m4rk3d-last"));
    cluster.apply(&credential("last", "fitbit", "c", LEFT_ALONE));
    arrives(&ha, &[("b", "m4rk3d-other"), ("c", "m4rk3d-last")]);
    cluster.kubectl(["delete", "acred/last", "--timeout=60s"]);
    arrives(&ha, &[("b", "m4rk3d-other")]);

    let log = end(running);
    let all = cluster.kubectl(["get", "hass,acred,events", "-o", "yaml"]) + &log;
    assert!(!all.contains("m4rk3d") && !all.contains(ha.token()), "{all}");
}

#[test]
fn labels_delete_no_more_than_is_allowed_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = controller(&cluster, &["--resync", "1"]);
    let garage = house(&ha, "  suspend: true\n").replace("cabin", "garage");
    let mut all = house(&ha, "") + &garage;
    for (name, client) in [("first", "a"), ("second", "b"), ("third", "c")] {
        all += &secret(name, "secret", &format!("m4rk3d-{name}"));
        all += &credential(name, "spotify", client, LEFT_ALONE);
    }
    cluster.apply(&all);
    let (a, b, c) = (("a", "m4rk3d-first"), ("b", "m4rk3d-second"), ("c", "m4rk3d-third"));
    arrives(&ha, &[a, b, c]);
    wait_ready(&cluster, "hass/cabin");
    let withheld = |why: &str| {
        eventually("it is withheld", || {
            let is_withheld =
                condition(&cluster, "hass/cabin", "Stalled") == is_so("True", "Withheld");
            is_withheld && cluster.get("hass/cabin")["status"].to_string().contains(why)
        });
        arrives(&ha, &[a, b, c]);
    };
    let label = |label: &str| {
        cluster.kubectl(["label", "hass/cabin", "--overwrite", label]);
    };
    let limit = |limit: &str| {
        let patch = format!(r#"{{"spec": {{"maxDeletes": {limit}}}}}"#);
        cluster.kubectl(["patch", "hass/cabin", "--type=merge", "-p", &patch]);
    };
    label("ring-");
    withheld("nothing selects this HomeAssistant any more");
    limit("2");
    withheld("3 deletes planned, 2 allowed");
    label("ring=canary");
    wait_ready(&cluster, "hass/cabin");
    // A selector that selects nobody deletes nothing.
    let select = |ring: &str| {
        let patch =
            format!(r#"{{"spec": {{"targetSelector": {{"matchLabels": {{"ring": "{ring}"}}}}}}}}"#);
        cluster.kubectl(["patch", "acred/first", "--type=merge", "-p", &patch]);
    };
    select("canray");
    eventually("it has none", || {
        condition(&cluster, "acred/first", "Ready") == is_so("False", "NoTargets")
    });
    arrives(&ha, &[a, b, c]);
    // Within the limit it is done.
    cluster.kubectl(["label", "hass/garage", "--overwrite", "ring=canray"]);
    arrives(&ha, &[b, c]);
    cluster.kubectl(["label", "hass/garage", "--overwrite", "ring=canary"]);
    limit("\"100%\"");
    label("ring-");
    arrives(&ha, &[]);
    end(running);
}

#[test]
fn an_object_that_cannot_be_read_is_in_error_and_holds_up_no_other_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let wide = house(&ha, "  maxDeletes: 3000000000\n").replace("cabin", "wide");
    let applied = || cluster.try_kubectl(["apply", "--validate=false", "-f", "-"], &wide);
    let refused = applied().unwrap_err();
    assert!(refused.contains("should be less than or equal to 2147483647"), "{refused}");
    // As a definition that was in force before allowed it.
    let most =
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/maxDeletes/maximum";
    let patch = json!([{"op": "remove", "path": most}]).to_string();
    cluster.kubectl(["patch", "crd", "homeassistants.appcred.io", "--type=json", "-p", &patch]);
    eventually("it is allowed", || applied().is_ok());
    let running = controller(&cluster, &[]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    arrives(&ha, &[("a", "m4rk3d-first")]);
    wait_ready(&cluster, "hass/cabin");
    eventually("it is in error", || {
        condition(&cluster, "hass/wide", "Stalled") == is_so("True", "InvalidSpec")
    });
    let status = cluster.get("hass/wide")["status"].to_string();
    assert!(status.contains("maxDeletes: a 32-bit integer is expected"), "{status}");
    cluster.kubectl(["delete", "hass/wide", "--timeout=60s"]);
    end(running);
}

#[test]
fn a_selector_takes_a_credential_off_few_houses_at_once_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let begin = || controller(&cluster, &["--resync", "1"]);
    let running = begin();
    let dead = |name: &str, ring: &str| {
        let house = house(&ha, "").replace(&ha.url(), &format!("http://127.0.0.1:{}", free_port()));
        house.replace("cabin", name).replace("ring: canary", &format!("ring: {ring}"))
    };
    let houses = house(&ha, "") + &dead("garage", "canary") + &dead("shed", "canary");
    cluster.apply(&(houses + &dead("attic", "stable")));
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&credential("family", "spotify", "a", LEFT_ALONE));
    let listed = |house: &str| cluster.get(house)["status"]["credentials"].to_string();
    eventually("all are to have it", || {
        ["hass/cabin", "hass/garage", "hass/shed"].iter().all(|of| listed(of).contains("family"))
    });
    arrives(&ha, &[("a", "m4rk3d-first")]);
    let patch = |spec: &str| {
        let patch = format!(r#"{{"spec": {spec}}}"#);
        cluster.kubectl(["patch", "acred/family", "--type=merge", "-p", &patch]);
    };
    let is_withheld =
        || condition(&cluster, "acred/family", "Stalled") == is_so("True", "Withheld");
    patch(r#"{"targetSelector": {"matchLabels": {"ring": "stable"}}}"#);
    eventually("it is withheld", is_withheld);
    let status = cluster.get("acred/family")["status"].to_string();
    assert!(status.contains("labels take it off 3 of the 3 HomeAssistants"), "{status}");
    assert!(listed("hass/cabin").contains("Withheld") && listed("hass/attic") == "[]");
    end(running);
    // Whoever begins knows it too. What is declared after that arrives, so that the delete would have arrived too.
    let running = begin();
    cluster.apply(&secret("other", "secret", "m4rk3d-other"));
    cluster.apply(&credential("other", "twitch", "b", LEFT_ALONE));
    arrives(&ha, &[("a", "m4rk3d-first"), ("b", "m4rk3d-other")]);
    assert!(is_withheld());
    patch(r#"{"targetSelector": {"matchLabels": {"ring": "canary"}}}"#);
    eventually("it is selected again", || !is_withheld());
    patch(r#"{"maxDeletes": 3, "targetSelector": {"matchLabels": {"ring": "stable"}}}"#);
    arrives(&ha, &[("b", "m4rk3d-other")]);
    eventually("its status forgets it", || !listed("hass/cabin").contains("family"));
    eventually("the new one is to have it", || listed("hass/attic").contains("family"));
    assert!(listed("hass/garage").contains("Deleting"), "{}", listed("hass/garage"));
    end(running);
}

#[test]
fn consent_is_no_part_of_ready_and_its_link_is_in_no_object_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let provider = Provider::start();
    ha.accounts_are_at(&provider);
    let running = controller(&cluster, &[]);
    cluster.apply(&secret("account", "secret", "m4rk3d-secret"));
    cluster.apply(&(house(&ha, "") + &credential("account", "linked_account", "a", "")));
    let consent = || condition(&cluster, "acred/account", "ConsentRequired");
    eventually("consent is required", || consent() == is_so("True", "ConsentRequired"));
    wait_ready(&cluster, "acred/account");
    wait_ready(&cluster, "hass/cabin");
    assert_eq!(consent(), is_so("True", "ConsentRequired"));
    let status = cluster.get("hass/cabin")["status"].clone();
    assert_eq!(status["credentials"][0]["state"], "ConsentRequired");
    let all = cluster.kubectl(["get", "hass,acred,events", "-o", "yaml"]);
    assert!(!all.contains("/authorize") && !all.contains("state="), "{all}");
    end(running);
}

#[test]
fn a_dead_house_keeps_no_resource_for_ever_ha_2026_11() {
    let (cluster, mut ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = controller(&cluster, &["--deletion-timeout", "3", "--resync", "1"]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    // Home Assistant writes what it holds when it stops.
    ha.stop();
    eventually("it is missed", || {
        condition(&cluster, "hass/cabin", "Ready") == is_so("False", "Unreachable")
    });
    cluster.kubectl(["delete", "acred/family", "--timeout=60s"]);
    let events = cluster.kubectl(["get", "events"]);
    let left = "what it represents stays in Home Assistant: smart-home/cabin: cannot reach http://";
    assert!(events.contains(left), "{events}");

    // What stayed there stays, since no object says that it is to be deleted.
    ha.start_again();
    cluster.apply(&house(&ha, ""));
    wait_ready(&cluster, "hass/cabin");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}

#[test]
fn what_a_missing_right_keeps_from_being_read_is_a_condition_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let remove = r#"[{"op": "remove", "path": "/rules/2"}]"#;
    cluster.kubectl(["patch", "role/appcred", "--type=json", "-p", remove, "-n", NAMESPACE]);
    let running = controller(&cluster, &[]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    for object in ["hass/cabin", "acred/family"] {
        eventually("it is reported", || {
            condition(&cluster, object, "Ready") == is_so("False", "SecretUnreadable")
        });
    }
    let status = cluster.get("hass/cabin")["status"].to_string();
    assert!(status.contains("cannot get resource"), "{status}");
    cluster.apply(&packaged("rights.yaml"));
    wait_ready(&cluster, "acred/family");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}

#[test]
fn a_house_with_a_certificate_of_ones_own_is_trusted_by_its_secret_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let certificate = file("ca.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let port = free_port();
    let server = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
        location / {{ proxy_pass {}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade; }} }}\n",
        ha.url()
    );
    let _nginx = ReverseProxy::nginx(port, &server);
    let running = controller(&cluster, &["--resync", "1"]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    let url = format!("https://localhost:{port}");
    let wrong = secret("authority", "ca.crt", "none");
    let of = "  caSecretRef: {name: authority, key: ca.crt}\n";
    cluster.apply(&(wrong + &house(&ha, of).replace(&ha.url(), &url)));
    cluster.apply(&credential("family", "spotify", "a", LEFT_ALONE));
    eventually("it is refused", || {
        condition(&cluster, "hass/cabin", "Ready") == is_so("False", "SecretInvalid")
    });
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let authority = |pem: &str| secret("authority", "ca.crt", &pem.replace('\n', "\\n"));
    cluster.apply(&authority(&other.cert.pem()));
    eventually("it is not trusted", || {
        condition(&cluster, "hass/cabin", "Ready") == is_so("False", "Unreachable")
    });
    arrives(&ha, &[]);
    cluster.apply(&authority(&made.cert.pem()));
    wait_ready(&cluster, "hass/cabin");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}

#[test]
fn an_object_that_cannot_be_written_holds_up_no_other_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let only = r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch"]},
        {"op": "add", "path": "/rules/-", "value": {"apiGroups": ["appcred.io"],
        "resources": ["homeassistants"], "verbs": ["patch"]}}]"#;
    cluster.kubectl(["patch", "role/appcred", "--type=json", "-p", only, "-n", NAMESPACE]);
    let running = controller(&cluster, &[]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&credential("family", "spotify", "a", LEFT_ALONE));
    eventually("it says why it is not begun", || {
        condition(&cluster, "acred/family", "Ready") == is_so("False", "FinalizerRefused")
    });
    cluster.apply(&house(&ha, "  deletionPolicy: Delete\n"));
    wait_ready(&cluster, "hass/cabin");
    arrives(&ha, &[]);
    // No event says that the right is there again, and its annotations have changed meanwhile.
    cluster.kubectl(["annotate", "acred/family", "somebody=else"]);
    cluster.apply(&packaged("rights.yaml"));
    wait_ready(&cluster, "acred/family");
    arrives(&ha, &[("a", "m4rk3d-first")]);
    // An object that is created again at once says nothing of the one before it.
    let again = secret("family", "secret", "m4rk3d-second")
        + &credential("family", "spotify", "b", LEFT_ALONE);
    cluster.kubectl(["delete", "acred/family", "--timeout=60s"]);
    cluster.apply(&again);
    wait_ready(&cluster, "acred/family");
    arrives(&ha, &[("b", "m4rk3d-second")]);
    let log = end(running);
    assert_eq!(
        log.matches("cannot write ApplicationCredential smart-home/family").count(),
        1,
        "{log}"
    );
}

#[test]
fn nothing_is_created_before_a_status_has_it_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let only = r#"[{"op": "replace", "path": "/rules/1/resources", "value": ["applicationcredentials/status"]}]"#;
    let may_not_write_it =
        || cluster.kubectl(["patch", "role/appcred", "--type=json", "-p", only, "-n", NAMESPACE]);
    may_not_write_it();
    let running = controller(&cluster, &["--resync", "1"]);
    let apply = |name: &str, client: &str| {
        cluster.apply(&secret(name, "secret", "m4rk3d-first"));
        cluster.apply(&credential(name, "spotify", client, LEFT_ALONE));
    };
    cluster.apply(&house(&ha, ""));
    apply("family", "a");
    let refused = "cannot write HomeAssistant smart-home/cabin";
    eventually("its status cannot be written", || running.stderr().contains(refused));
    cluster.apply(&packaged("rights.yaml"));
    arrives(&ha, &[("a", "m4rk3d-first")]);
    wait_ready(&cluster, "hass/cabin");
    may_not_write_it();
    apply("other", "b");
    eventually("it is refused again", || running.stderr().matches(refused).count() == 2);
    // What it has already is kept as it should be: it is looked at, and the other one is not created.
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    cluster.apply(&packaged("rights.yaml"));
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-first")]);
    wait_ready(&cluster, "hass/cabin");
    end(running);
}

#[test]
fn while_the_api_server_is_down_what_it_said_stays_in_force_ha_2026_11() {
    let (mut cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = controller(&cluster, &["--resync", "1", "--no-lease"]);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    cluster.stop();
    eventually("it is missed", || running.stderr().contains("stays in force"));
    let id = ha.credentials()[0]["id"].clone();
    let delete = serde_json::json!({"type": "application_credentials/delete", "application_credentials_id": id});
    ha.call(delete).unwrap();
    arrives(&ha, &[("a", "m4rk3d-first")]);
    cluster.start_again();
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    end(running);
}

#[test]
fn an_object_in_error_says_so_and_holds_up_no_other_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = controller(&cluster, &[]);
    for name in ["family", "twin", "broken"] {
        cluster.apply(&secret(name, "secret", &format!("m4rk3d-{name}")));
    }
    cluster.apply(&house(&ha, ""));
    cluster.apply(&credential("broken", "spotify", "YOUR_CLIENT_ID", LEFT_ALONE));
    cluster.apply(&credential("family", "spotify", "a", LEFT_ALONE));
    cluster.apply(&credential("twin", "spotify", "a", LEFT_ALONE));
    wait_ready(&cluster, "acred/family");
    for (object, reason) in [("acred/broken", "InvalidSpec"), ("acred/twin", "SameClient")] {
        eventually("it is refused", || {
            condition(&cluster, object, "Stalled") == is_so("True", reason)
        });
    }
    arrives(&ha, &[("a", "m4rk3d-family")]);
    end(running);
}

#[test]
fn the_definitions_that_are_shipped_are_those_of_the_program() {
    let printed = Appcred::new().args(["schema", "crd"]).run().stdout;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes/crds.yaml");
    #[expect(clippy::disallowed_methods, reason = "how a test is told to rewrite what it compares")]
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    let shipped = fs::read_to_string(file).unwrap();
    assert!(shipped == printed, "crds.yaml is stale: UPDATE_SCHEMA=1 cargo test definitions");
}

#[test]
fn argo_cd_shows_what_waits_for_a_person_as_suspended() {
    let check = |conditions: &str, generation: usize| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"));
        let script = script.join("packaging/kubernetes/argocd_health.lua");
        let object = format!(
            "obj = {{metadata = {{generation = {generation}}}, spec = {{}}, status = {{observedGeneration = 2, conditions = {{{conditions}}}}}}}"
        );
        let print = format!("print(dofile('{}').status)", script.display());
        let ran = Command::new(program("lua5.4")).args(["-e", &object, "-e", &print]).output();
        let ran = ran.unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        printed.trim().to_owned()
    };
    let ready = r#"{type = "Ready", status = "True", message = "m"}"#;
    let not_ready = r#"{type = "Ready", status = "False", message = "m"}"#;
    let consent = r#"{type = "ConsentRequired", status = "True", message = "c"}"#;
    let stalled = r#"{type = "Stalled", status = "True", message = "s"}"#;
    assert_eq!(check(ready, 2), "Healthy");
    assert_eq!(check(ready, 3), "Progressing");
    assert_eq!(check(not_ready, 2), "Progressing");
    assert_eq!(check(&format!("{ready}, {consent}"), 2), "Suspended");
    assert_eq!(check(&format!("{not_ready}, {stalled}"), 2), "Degraded");
}

#[test]
fn a_cluster_takes_all_that_is_packaged() {
    let cluster = cluster();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes");
    cluster.apply(&cluster.kubectl(["kustomize", folder.to_str().unwrap()]));
    let deployment = cluster.get("deployment/appcred");
    assert_eq!(deployment["spec"]["replicas"], 1);
    let folder = folder.join("configmaps");
    cluster.apply(&cluster.kubectl(["kustomize", folder.to_str().unwrap()]));
    assert_eq!(cluster.get("deployment/appcred-watch")["spec"]["strategy"]["type"], "Recreate");
    let may = |verb: &str, what: &str| {
        let who = "--as=system:serviceaccount:smart-home:appcred-watch";
        cluster
            .try_kubectl(["auth", "can-i", verb, what, "--namespace", NAMESPACE, who], "")
            .is_ok()
    };
    assert!(may("list", "configmaps") && may("watch", "secrets"));
    assert!(!may("create", "configmaps") && !may("get", "pods"));
}

/// What the chart makes, with these values.
fn charted(arguments: &[&str]) -> String {
    try_charted(arguments).unwrap_or_else(|why| panic!("{why}"))
}

/// The same, or what Helm says.
fn try_charted(arguments: &[&str]) -> Result<String, String> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes/chart");
    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/helm/current/bin/helm");
    let mut command = Command::new(helm);
    command.args(["template", "appcred", chart.to_str().unwrap(), "--namespace", NAMESPACE]);
    let ran = command.args(arguments).output().unwrap();
    let said = |text| String::from_utf8(text).unwrap();
    if ran.status.success() { Ok(said(ran.stdout)) } else { Err(said(ran.stderr)) }
}

/// The objects in YAML documents, by kind and name.
fn objects(yaml: &str) -> BTreeMap<String, Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let objects = documents.map(|of| Value::deserialize(of).unwrap()).filter(|of| !of.is_null());
    objects.map(|of| (format!("{}/{}", of["kind"], of["metadata"]["name"]), of)).collect()
}

#[test]
fn the_chart_and_the_kustomization_say_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes");
    let ran = Command::new(program("kubectl")).arg("kustomize").arg(folder).output().unwrap();
    let kustomized = objects(&String::from_utf8(ran.stdout).unwrap());
    assert_eq!(objects(&charted(&[])), kustomized);
    // The definitions are no part of either, but the chart brings them when it is installed first.
    let with_definitions = objects(&charted(&["--include-crds"]));
    let definitions = objects(&packaged("crds.yaml"));
    assert_eq!(with_definitions.len(), kustomized.len() + definitions.len());
    assert!(definitions.iter().all(|(name, of)| with_definitions.get(name) == Some(of)));
}

#[test]
fn a_cluster_takes_what_the_chart_makes() {
    let cluster = cluster();
    // This server is older than the version of the budget; nobody brings the kind of the Prometheus operator.
    let made = charted(&["--set", "replicas=3,allNamespaces=true"]);
    cluster.apply(&made.replace("policy/v1", "policy/v1beta1"));
    assert_eq!(cluster.get("deployment/appcred")["spec"]["replicas"], 3);
    assert_eq!(cluster.get("pdb/appcred")["spec"]["maxUnavailable"], 1);
    let may = |verb: &str, what: &str, namespace: &str| {
        let who = "--as=system:serviceaccount:smart-home:appcred";
        let asked = ["auth", "can-i", verb, what, "--namespace", namespace, who];
        cluster.try_kubectl(asked, "").is_ok()
    };
    assert!(may("watch", "homeassistants.appcred.io", "other"));
    assert!(may("update", "leases.coordination.k8s.io/appcred", NAMESPACE));
    assert!(!may("update", "leases.coordination.k8s.io/appcred", "other"));
    assert!(!may("update", "leases.coordination.k8s.io/other", NAMESPACE));
    assert!(!may("create", "secrets", NAMESPACE));
    let more = objects(&charted(&["--set", "serviceMonitor=true,networkPolicy=false"]));
    assert!(more.contains_key("\"ServiceMonitor\"/\"appcred\""), "{:?}", more.keys());
    assert!(!more.contains_key("\"NetworkPolicy\"/\"appcred\""));
}

#[test]
fn the_network_policy_of_the_chart_lets_in_the_prometheus_of_a_service_monitor() {
    let from = |values: &str| {
        let mut made = objects(&charted(&["--set", values]));
        made.remove("\"NetworkPolicy\"/\"appcred\"").unwrap()["spec"]["ingress"][0]["from"].take()
    };
    let here = json!({"podSelector": {}});
    assert_eq!(from("serviceMonitor=false,prometheusNamespace=monitoring"), json!([here]));
    let everywhere = json!({"namespaceSelector": {}});
    assert_eq!(from("serviceMonitor=true"), json!([here, everywhere]));
    let labels = json!({"kubernetes.io/metadata.name": "monitoring"});
    let there = json!({"namespaceSelector": {"matchLabels": labels}});
    assert_eq!(from("serviceMonitor=true,prometheusNamespace=monitoring"), json!([here, there]));
}

#[test]
fn without_a_lease_the_chart_makes_one_replica_that_ends_before_the_next_begins() {
    let strategy = |made: &str| {
        let mut made = objects(made);
        made.remove("\"Deployment\"/\"appcred\"").unwrap()["spec"]["strategy"].take()
    };
    assert_eq!(strategy(&charted(&[])), Value::Null);
    let no_lease = ["--set", "extraArgs={--no-lease}"];
    assert_eq!(strategy(&charted(&no_lease)), json!({"type": "Recreate"}));
    let two = try_charted(&["--set", "extraArgs={--no-lease},replicas=2"]).unwrap_err();
    assert!(two.contains("every replica would act"), "{two}");
}

/// With a ConfigMap in place of what Argo CD publishes.
#[test]
fn the_kustomization_that_the_documentation_shows_builds() {
    let blocks = crate::documents::blocks("docs/kubernetes.md", "yaml");
    let shown = blocks.iter().find(|block| block.contains("configMapGenerator:")).unwrap();
    let published = shown.lines().find_map(|line| line.trim().strip_prefix("- https://")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("kustomization.yaml", &shown.replace(&format!("https://{published}"), "install.yaml"));
    write("install.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm}}\n");
    write("argocd_health.lua", &packaged("argocd_health.lua"));
    let ran =
        Command::new(program("kubectl")).arg("kustomize").arg(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let made = objects(&String::from_utf8(ran.stdout).unwrap());
    let [map] = &made.values().collect::<Vec<_>>()[..] else { panic!("{made:?}") };
    for kind in ["HomeAssistant", "ApplicationCredential"] {
        let check = &map["data"][format!("resource.customizations.health.appcred.io_{kind}")];
        assert_eq!(check.as_str(), Some(packaged("argocd_health.lua").as_str()));
    }
}

/// What the page of documentation shows is taken by a cluster as it is.
#[test]
fn a_cluster_takes_what_the_documentation_shows() {
    let cluster = cluster();
    let blocks = crate::documents::blocks("docs/kubernetes.md", "yaml");
    let mut count = 0;
    for block in blocks.iter().filter(|block| block.contains("appcred.io/")) {
        cluster.apply(block);
        count += 1;
    }
    assert!(count > 0, "{blocks:?}");
    let list: Value = cluster.get("hass,acred");
    assert!(list["items"].as_array().unwrap().len() > 1, "{list}");
}
