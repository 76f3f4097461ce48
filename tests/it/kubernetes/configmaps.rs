//! `--kubernetes`: ConfigMaps and Secrets with a label are a project, in a cluster without any custom resource.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{NAMESPACE, end, packaged};
use crate::killed::holding;
use crate::real::{Cluster, HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Running};
use crate::watch::{arrives, eventually};

/// A cluster without the resources' definitions, and the rights that are shipped.
fn plain_cluster() -> Cluster {
    let cluster = Cluster::start();
    cluster.kubectl(["create", "namespace", NAMESPACE]);
    give_rights(&cluster);
    assert!(cluster.try_kubectl(["get", "appcred"], "").is_err());
    cluster
}

fn give_rights(cluster: &Cluster) {
    let user = "apiGroup: rbac.authorization.k8s.io\n    name: appcred";
    let rights = packaged("configmaps/rights.yaml");
    cluster.apply(&rights.replace(&format!("{user}-watch"), user));
}

/// An object with the label.
fn labelled(kind: &str, name: &str, data: &[(&str, &str)]) -> String {
    let of_kind = if kind == "Secret" { "stringData" } else { "data" };
    let data: serde_json::Map<_, _> =
        data.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
    let metadata = json!({"name": name, "labels": {"appcred.io/manifest": "true"}});
    json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, of_kind: data}).to_string()
        + "\n---\n"
}

fn entry(domain: &str, client_id: &str) -> String {
    format!(
        "application_credentials:\n  - {{domain: {domain}, client_id: {client_id}, client_secret: !secret {domain}/client_secret, integration: {{setup: false}}}}\n"
    )
}

fn client_secret(domain: &str, value: &str) -> String {
    // As `kubectl create secret --from-file` makes it.
    labelled("Secret", domain, &[("client_secret", &format!("{value}\n"))])
}

/// The project file in one ConfigMap, and the token in a Secret.
fn house(ha: &HomeAssistant, policy: &str) -> String {
    let url = ha.url();
    let project = format!(
        "targets: {{cabin: {{url: \"{url}\", token: !secret cabin/token}}}}\npolicy: {{{policy}}}\n"
    );
    labelled("ConfigMap", "house", &[("appcred.yaml", &project)])
        + &labelled("Secret", "cabin", &[("token", ha.token())])
}

fn by(cluster: &Cluster, verb: &[&str]) -> Appcred {
    let kubeconfig = cluster.kubeconfig("appcred");
    Appcred::new().args(verb).args(["--kubernetes", "--kubeconfig", kubeconfig.to_str().unwrap()])
}

fn watcher(cluster: &Cluster) -> Running {
    by(cluster, &["watch", "--resync", "1"]).spawn()
}

fn delete(cluster: &Cluster, what: &str) {
    cluster.kubectl(["delete", what, "--timeout=60s"]);
}

each_release!(ha_follows_configmaps_and_secrets);
fn ha_follows_configmaps_and_secrets(release: Release) {
    let (mut cluster, ha) = (plain_cluster(), HomeAssistant::start(release));
    let (first, second) = (entry("spotify", "a"), entry("twitch", "b"));
    cluster.apply(&house(&ha, ""));
    cluster.apply(&client_secret("spotify", "m4rk3d-first"));
    cluster.apply(&labelled("ConfigMap", "music", &[("spotify.yaml", &first)]));
    // What has no label is nothing to us.
    let other = labelled("ConfigMap", "other", &[("fitbit.yaml", &entry("fitbit", "z"))]);
    cluster.apply(&other.replace("appcred.io/manifest", "other"));
    let planned = by(&cluster, &["plan"]).run();
    assert!(planned.stdout.contains("spotify"), "{} {}", planned.stdout, planned.stderr);
    let running = watcher(&cluster);
    arrives(&ha, &[("a", "m4rk3d-first")]);
    let auth_domain = ha.credentials()[0]["auth_domain"].to_string();
    assert!(auth_domain.contains("appcred:configmaps.smart-home:spotify"), "{auth_domain}");
    cluster.apply(&client_secret("spotify", "m4rk3d-second"));
    arrives(&ha, &[("a", "m4rk3d-second")]);

    // What is in error holds up what is new, and takes nothing away.
    cluster.apply(&client_secret("twitch", "m4rk3d-twitch"));
    let broken = second.replace("client_id: b,", "client_idd: b,");
    cluster.apply(&labelled("ConfigMap", "games", &[("twitch.yaml", &broken)]));
    let place = "kubernetes:smart-home: configmap/games/twitch.yaml:2:";
    eventually("the error is said", || running.stderr().contains(place));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    cluster.apply(&labelled("ConfigMap", "games", &[("twitch.yaml", &second)]));
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-twitch")]);

    // What one ConfigMap loses and another one gets a moment later is where it was.
    cluster.apply(&labelled(
        "ConfigMap",
        "music",
        &[("spotify.yaml", "application_credentials: []\n")],
    ));
    thread::sleep(Duration::from_millis(500));
    cluster.apply(&labelled("ConfigMap", "moved", &[("spotify.yaml", &first)]));
    cluster.apply(&client_secret("twitch", "m4rk3d-after"));
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-after")]);

    // Whoever removes a ConfigMap wants that.
    delete(&cluster, "configmap/moved");
    arrives(&ha, &[("b", "m4rk3d-after")]);

    // A cluster that does not answer takes nothing back.
    cluster.stop();
    eventually("it is said", || running.stderr().contains("cannot fetch kubernetes:smart-home"));
    arrives(&ha, &[("b", "m4rk3d-after")]);
    cluster.start_again();
    cluster.apply(&client_secret("twitch", "m4rk3d-again"));
    arrives(&ha, &[("b", "m4rk3d-again")]);
    let log = end(running);
    assert!(!log.contains("m4rk3d") && !log.contains(ha.token()), "{log}");
}

#[test]
fn what_cannot_be_read_deletes_nothing_ha_2026_11() {
    let (cluster, ha) = (plain_cluster(), HomeAssistant::start(Release::Ha2026_11));
    cluster.apply(&house(&ha, "max_deletes: 0"));
    cluster.apply(&client_secret("spotify", "m4rk3d-first"));
    let music = labelled("ConfigMap", "music", &[("spotify.yaml", &entry("spotify", "a"))]);
    cluster.apply(&music);
    cluster.apply(&client_secret("twitch", "m4rk3d-other"));
    cluster.apply(&labelled("ConfigMap", "games", &[("twitch.yaml", &entry("twitch", "b"))]));
    let running = watcher(&cluster);
    let other = ("b", "m4rk3d-other");
    arrives(&ha, &[("a", "m4rk3d-first"), other]);
    // Others write theirs there too, each with the address of another house.
    let made = holding(Path::new("/dev/shm"), &ha.url());
    let stays = |what: &str, said: &str| {
        eventually(what, || running.stderr().contains(said));
        arrives(&ha, &[("a", "m4rk3d-first"), other]);
    };
    delete(&cluster, "rolebinding/appcred-watch");
    cluster.apply(&client_secret("spotify", "m4rk3d-second"));
    stays("the right is gone", "give the service account the rights to list and watch them");
    give_rights(&cluster);
    arrives(&ha, &[("a", "m4rk3d-second"), other]);
    cluster.apply(&client_secret("spotify", "m4rk3d-first"));
    arrives(&ha, &[("a", "m4rk3d-first"), other]);
    // A limit of the project holds as it does for files.
    delete(&cluster, "configmap/music");
    stays("it is withheld", "1 delete planned, 0 allowed");
    cluster.apply(&music);
    // A project has one file, and without any it has no target.
    let two = labelled("ConfigMap", "second", &[("appcred.yaml", "owner: other\n")]);
    cluster.apply(&two);
    stays("there are two", "configmap/house and configmap/second both have the key appcred.yaml");
    cluster.kubectl(["label", "configmap", "--all", "appcred.io/manifest-"]);
    cluster.kubectl(["label", "secret", "--all", "appcred.io/manifest-"]);
    stays("there is nothing", "no manifests in");
    let log = end(running);
    assert!(!log.contains("m4rk3d") && !log.contains(ha.token()), "{log}");
    assert!(!made.is_empty() && made.iter().all(|file| !file.exists()), "{made:?}");
}

#[test]
fn without_a_cluster_it_is_said_how_to_name_one() {
    let empty = tempfile::tempdir().unwrap();
    let kubeconfig = empty.path().join("none");
    let plan = Appcred::new().args(["plan", "--kubernetes"]).env("KUBECONFIG", &kubeconfig);
    let said = format!(
        "error: no Kubernetes cluster: there is no {}; name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a pod with a service account\n",
        kubeconfig.display()
    );
    assert_eq!(plan.status(1).run().stderr, said);
}
