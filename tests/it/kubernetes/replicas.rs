//! Several replicas: one of them acts, whatever becomes of the others.

use std::collections::BTreeSet;
use std::time::Duration;

use appcred::kubernetes::{
    self, ClusterParts, ClusterScope, ControllerSettings, LeaseSettings, begin,
};
use appcred::model::Owner;
use appcred::target::Stop;
use appcred::watch::StatusStore;
use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;
use tokio::runtime::Builder;

use super::shards::{self, acting, has_shards, sharded, shared};
use super::{
    LEFT_ALONE, NAMESPACE, cluster, condition, controller, credential, end, house, is_so, packaged,
    secret, wait_ready,
};
use crate::real::{Cluster, HomeAssistant, Provider, Release, each_release};
use crate::shell::Running;
use crate::watch::{arrives, eventually};

const ACTS: &str = "this replica acts";

fn replica(cluster: &Cluster) -> Running {
    controller(cluster, &["--resync", "1", "--lease-duration", "6"])
}

/// Starts one, and waits until it knows that another one acts.
#[track_caller]
fn second(cluster: &Cluster) -> Running {
    let second = replica(cluster);
    eventually("it knows who acts", || second.stderr().contains("the replica"));
    assert!(!second.stderr().contains(ACTS), "{}", second.stderr());
    second
}

#[track_caller]
fn acts(replica: &Running, times: usize) {
    eventually("it acts", || replica.stderr().matches(ACTS).count() == times);
}

fn declare(cluster: &Cluster, ha: &HomeAssistant) {
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(cluster, "acred/family");
}

each_release!(ha_hears_nothing_of_a_replica_that_goes_on_after_another_took_over);
fn ha_hears_nothing_of_a_replica_that_goes_on_after_another_took_over(release: Release) {
    let (cluster, ha) = (sharded(3), HomeAssistant::start(release));
    let mut replicas = vec![shards::replica(&cluster, 3)];
    declare(&cluster, &ha);
    replicas.push(shards::replica(&cluster, 3));
    shared(&cluster, &[1, 2]);
    let first = replicas.remove(acting(&cluster, "hass/cabin", &replicas));
    first.signal(Signal::STOP);
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    shared(&cluster, &[3]);
    // Nobody undoes now what the first one may do by what it knew.
    replicas[0].signal(Signal::KILL);
    first.signal(Signal::CONT);
    eventually("it acts for all, once it may", || {
        let credentials = ha.credentials();
        assert_eq!(credentials[0]["client_secret"], "m4rk3d-second", "{}", first.stderr());
        has_shards(&cluster, &first, 3)
    });
    cluster.apply(&secret("family", "secret", "m4rk3d-third"));
    arrives(&ha, &[("a", "m4rk3d-third")]);
    end(first);
}

#[test]
fn replicas_come_and_go_and_all_is_done_once_ha_2026_11() {
    let (cluster, ha) = (sharded(3), HomeAssistant::start(Release::Ha2026_11));
    let mut replicas = vec![shards::replica(&cluster, 3)];
    declare(&cluster, &ha);
    replicas.extend((0..2).map(|_| shards::replica(&cluster, 3)));
    shared(&cluster, &[1, 1, 1]);
    // Killed in the middle of what it writes.
    let mut expected = vec![("a".to_owned(), "m4rk3d-first".to_owned())];
    let mut many = secret("all", "secret", "m4rk3d-all");
    for number in 0..40 {
        let name = format!("c{number:02}");
        let of = credential(&name, "twitch", &name, LEFT_ALONE);
        many += &of.replace(&format!("{{name: {name}, key"), "{name: all, key");
        expected.push((name, "m4rk3d-all".to_owned()));
    }
    let first = replicas.remove(acting(&cluster, "hass/cabin", &replicas));
    cluster.apply(&many);
    eventually("it writes", || ha.credentials().len() > 1);
    first.signal(Signal::KILL);
    let all: Vec<(&str, &str)> = expected.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    arrives(&ha, &all);
    shared(&cluster, &[1, 2]);
    // One that ends gives its Leases back, so that nobody waits until they are over.
    let log = end(replicas.remove(acting(&cluster, "hass/cabin", &replicas)));
    assert!(log.contains("given back"), "{log}");
    shared(&cluster, &[3]);
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    let changed = |(id, secret)| if id == "a" { (id, "m4rk3d-second") } else { (id, secret) };
    arrives(&ha, &all.into_iter().map(changed).collect::<Vec<_>>());
    replicas.into_iter().for_each(|last| drop(end(last)));
}

#[test]
fn a_set_up_that_a_killed_replica_has_begun_goes_on_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let provider = Provider::start();
    ha.accounts_are_at(&provider);
    let first = replica(&cluster);
    cluster.apply(&secret("account", "secret", "m4rk3d-secret"));
    cluster.apply(&(house(&ha, "") + &credential("account", "linked_account", "a", "")));
    let consent = || condition(&cluster, "acred/account", "ConsentRequired");
    eventually("consent is required", || consent() == is_so("True", "ConsentRequired"));
    let second = second(&cluster);
    first.signal(Signal::KILL);
    acts(&second, 1);
    cluster.kubectl(["annotate", "hass/cabin", "appcred.io/reconcile-at=now"]);
    eventually("it was looked at", || {
        cluster.get("hass/cabin")["status"]["lastHandledReconcileAt"] == "now"
    });
    assert_eq!(consent(), is_so("True", "ConsentRequired"));
    arrives(&ha, &[("a", "m4rk3d-secret")]);
    assert_eq!(second.stderr().matches("failed").count(), 0, "{}", second.stderr());
    end(second);
}

#[test]
fn a_lease_is_renewed_while_nothing_else_gets_a_turn() {
    let cluster = cluster();
    let duration = Duration::from_secs(3);
    let (namespace, host) = (NAMESPACE.to_owned(), "pod".to_owned());
    let lease = LeaseSettings { namespace, duration, host, shards: 1 };
    let settings = ControllerSettings {
        scope: ClusterScope::Namespace(NAMESPACE.into()),
        owner: Owner::new("kubernetes").unwrap(),
        deletion_timeout: duration,
        clock: Timestamp::now,
        lease: Some(lease),
    };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let kubeconfig = Some(cluster.kubeconfig("appcred"));
        let found = kubernetes::Cluster::find(kubeconfig, None).await.unwrap();
        let ClusterParts { replicas, .. } =
            begin(&found, settings, &StatusStore::new(Timestamp::now), &Stop::new());
        let end = Stop::new();
        let ended = replicas.unwrap().start(end.clone());
        // This blocks the thread that all tasks of the runtime share.
        let mut versions = BTreeSet::new();
        eventually("it is renewed for longer than it lasts", || {
            let Ok(lease) = cluster.try_kubectl(["get", "lease/appcred", "-ojson"], "") else {
                return false;
            };
            let lease: serde_json::Value = serde_json::from_str(&lease).unwrap();
            assert_eq!(lease["spec"]["leaseTransitions"], 1);
            versions.insert(lease["metadata"]["resourceVersion"].to_string());
            versions.len() > 4
        });
        end.cancel();
        ended.await.unwrap().unwrap();
    });
    assert_eq!(cluster.get("lease/appcred")["spec"]["holderIdentity"], "");
}

#[test]
fn without_the_cluster_a_replica_stops_to_act_ha_2026_11() {
    let (mut cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = replica(&cluster);
    declare(&cluster, &ha);
    cluster.stop();
    eventually("it does not act", || running.stderr().contains("this replica no longer acts"));
    let id = ha.credentials()[0]["id"].clone();
    let delete =
        json!({"type": "application_credentials/delete", "application_credentials_id": id});
    ha.call(delete).unwrap();
    cluster.start_again();
    // It has had nobody to look at it meanwhile.
    let acts_again = || running.stderr().matches(ACTS).count() > 1;
    assert!(ha.credentials().is_empty() || acts_again(), "{}", running.stderr());
    arrives(&ha, &[("a", "m4rk3d-first")]);
    eventually("it says so", acts_again);
    end(running);
}

#[test]
fn a_replica_without_the_right_to_a_lease_says_so_and_does_nothing_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let rules = r#"[{"op": "remove", "path": "/rules/4"}, {"op": "remove", "path": "/rules/3"}]"#;
    cluster.kubectl(["patch", "role/appcred", "--type=json", "-p", rules, "-n", NAMESPACE]);
    let running = replica(&cluster);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    eventually("it says so", || running.stderr().contains("the Lease smart-home/appcred cannot"));
    assert!(ha.credentials().is_empty());
    cluster.apply(&packaged("rights.yaml"));
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}
