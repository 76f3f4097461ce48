//! Several replicas that share Home Assistants between them, by shards with a Lease each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::disturbed::Line;
use super::{
    LEFT_ALONE, NAMESPACE, charted, cluster, condition, controller, controller_by, credential, end,
    house, is_so, objects, secret, try_charted, wait_ready,
};
use crate::real::{Cluster, HomeAssistant, Release, free_port, send};
use crate::shell::Running;
use crate::watch::{arrives, eventually};

const SHARDS: usize = 8;

/// A cluster with the rights that the chart gives for so many shards, and their Leases, as after replicas that have given
/// all of them back.
pub(super) fn sharded(shards: usize) -> Cluster {
    let cluster = cluster();
    let made = charted(&["--set", &format!("shards={shards}")]);
    let role = &objects(&made)["\"Role\"/\"appcred\""];
    let lease = |shard| {
        let annotations = match shard {
            0 => json!({"appcred.io/shards": shards.to_string()}),
            _ => json!({}),
        };
        let metadata = json!({"name": lease_name(shard), "annotations": annotations});
        let lease =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata});
        format!("---\n{lease}\n")
    };
    cluster.apply(&format!("---\n{role}\n{}", (0..shards).map(lease).collect::<String>()));
    cluster
}

fn lease_name(shard: usize) -> String {
    if shard == 0 { "appcred".to_owned() } else { format!("appcred-{shard}") }
}

pub(super) fn replica(cluster: &Cluster, shards: usize) -> Running {
    replica_by(&cluster.kubeconfig("appcred"), shards, &[])
}

fn replica_by(kubeconfig: &Path, shards: usize, arguments: &[&str]) -> Running {
    let shards = shards.to_string();
    let all = ["--resync", "1", "--lease-duration", "6", "--shards", &shards];
    controller_by(kubeconfig, &[&all[..], arguments].concat())
}

/// Whether a replica has so many shards.
pub(super) fn has_shards(cluster: &Cluster, replica: &Running, expected: usize) -> bool {
    let holders = holders(cluster);
    let its_own = holders.iter().find(|(holder, _)| is_called(replica, holder));
    its_own.is_some_and(|(_, count)| *count == expected)
}

/// Whether a replica that acts calls itself so.
fn is_called(replica: &Running, holder: &str) -> bool {
    let log = replica.stderr();
    let is_said = |line: &str| line.contains("this replica acts") && line.ends_with(holder);
    !holder.is_empty() && log.lines().any(is_said)
}

/// Which of these replicas acts for an object, by its shard: a range of the FNV-1a hashes of uids.
pub(super) fn acting(cluster: &Cluster, object: &str, replicas: &[Running]) -> usize {
    let uid = cluster.get(object)["metadata"]["uid"].as_str().unwrap().to_owned();
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let shards = cluster.get("lease")["items"].as_array().unwrap().len();
    let shard = usize::try_from((u128::from(hash) * shards as u128) >> 64).unwrap();
    let mut acting = None;
    // It has the Lease a moment before it says so.
    eventually("one of them says that it acts", || {
        let lease = cluster.get(&format!("lease/{}", lease_name(shard)));
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        acting = replicas.iter().position(|replica| is_called(replica, holder));
        acting.is_some()
    });
    acting.unwrap()
}

/// How many shards each replica holds, by its identity.
pub(super) fn holders(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for lease in cluster.get("lease")["items"].as_array().unwrap() {
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        *counts.entry(holder.to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
pub(super) fn shared(cluster: &Cluster, expected: &[usize]) {
    eventually("each replica has its share", || {
        let mut counts: Vec<usize> = holders(cluster).into_values().collect();
        counts.sort_unstable();
        counts == expected
    });
}

/// The house of a Home Assistant, by this name.
fn named(ha: &HomeAssistant, name: &str) -> String {
    house(ha, "").replace("cabin", name)
}

#[track_caller]
fn all_have(houses: &[HomeAssistant], secret: &str) {
    houses.iter().for_each(|ha| arrives(ha, &[("a", secret), ("by-hand", "theirs")]));
}

/// What somebody created by hand, and what nobody else may touch.
fn by_hand(ha: &HomeAssistant) -> Value {
    ha.call(json!({
        "type": "application_credentials/create",
        "domain": "spotify",
        "client_id": "by-hand",
        "client_secret": "theirs",
    }))
    .unwrap()
}

#[test]
fn replicas_share_houses_and_each_takes_over_what_another_one_had_ha_2026_11() {
    let cluster = sharded(SHARDS);
    let houses: Vec<_> = (0..3).map(|_| HomeAssistant::start(Release::Ha2026_11)).collect();
    let theirs: Vec<_> = houses.iter().map(by_hand).collect();
    let lines: Vec<_> = (0..3).map(|_| Line::to(&cluster)).collect();
    let begin = |line: &Line| replica_by(&cluster.kubeconfig_at("appcred", &line.url), SHARDS, &[]);
    let mut replicas = vec![begin(&lines[0])];
    let mut all = secret("family", "secret", "m4rk3d-1");
    for (ha, name) in houses.iter().zip(["barn", "cabin", "lodge"]) {
        all += &named(ha, name);
    }
    cluster.apply(&(all + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    all_have(&houses, "m4rk3d-1");
    assert_eq!(cluster.get("acred/family")["status"]["targets"]["synced"], 3);
    shared(&cluster, &[8]);

    // Two more come, and a secret changes while they are given their share.
    replicas.extend(lines[1..].iter().map(begin));
    cluster.apply(&secret("family", "secret", "m4rk3d-2"));
    all_have(&houses, "m4rk3d-2");
    shared(&cluster, &[2, 3, 3]);

    // One is cut off from the cluster, and not from the cabin, at which it looks each second by what it knew.
    let cut_off = acting(&cluster, "hass/cabin", &replicas);
    lines[cut_off].hold(true);
    cluster.apply(&secret("family", "secret", "m4rk3d-3"));
    all_have(&houses, "m4rk3d-3");
    let held = || houses.iter().map(HomeAssistant::credentials).collect::<Vec<_>>();
    let before = held();
    shared(&cluster, &[4, 4]);
    let cut_off_log = || replicas[cut_off].stderr();
    eventually("it stops to act", || cut_off_log().contains("this replica no longer acts"));
    lines[cut_off].hold(false);
    shared(&cluster, &[2, 3, 3]);
    assert_eq!(held(), before, "not even what is the same was written again");

    let replicas = rolled_out(&cluster, replicas, &houses);
    cluster.kubectl(["delete", "acred/family", "--timeout=60s"]);
    for (ha, theirs) in houses.iter().zip(&theirs) {
        assert_eq!(ha.credentials(), std::slice::from_ref(theirs));
    }
    replicas.into_iter().for_each(|replica| drop(end(replica)));
}

/// Does what a Deployment does for a new version, where it says nothing of that: one more replica than there should be at
/// most, and none fewer that are ready. A secret changes at each step, and each house has each credential once all the time.
fn rolled_out(cluster: &Cluster, old: Vec<Running>, houses: &[HomeAssistant]) -> Vec<Running> {
    let (mut new, mut ended) = (Vec::new(), Vec::new());
    // One that replaces another one is there for a moment beside it.
    let secrets = |ha: &HomeAssistant| {
        let all = ha.credentials();
        let ours = all.iter().filter(|of| of["client_id"] == "a");
        let secrets: Vec<_> = ours.map(|of| of["client_secret"].to_string()).collect();
        let different: BTreeSet<_> = secrets.iter().cloned().collect();
        assert_eq!(different.len(), secrets.len(), "{all:?}");
        different
    };
    for (number, one) in old.into_iter().enumerate() {
        let port = free_port();
        let listen = format!("--listen=127.0.0.1:{port}");
        new.push(replica_by(&cluster.kubeconfig("appcred"), SHARDS, &[listen.as_str()]));
        let secret_now = format!("m4rk3d-rolled-{number}");
        cluster.apply(&secret("family", "secret", &secret_now));
        // That of the Deployment.
        let ready = format!("http://127.0.0.1:{port}/readyz");
        let is_ready = || send("GET", &ready, &[], None).is_ok_and(|answer| answer.status == 200);
        eventually("it is ready", || {
            houses.iter().for_each(|ha| drop(secrets(ha)));
            is_ready()
        });
        // Its end is not waited for: one that ends counts no more.
        one.signal(Signal::TERM);
        ended.push(one);
        eventually("all have the secret of now", || {
            houses.iter().all(|ha| secrets(ha) == [json!(secret_now).to_string()].into())
        });
    }
    for one in ended {
        let ran = one.finish();
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        // So nobody waits until a Lease is over.
        assert!(ran.stderr.contains("given back"), "{}", ran.stderr);
    }
    shared(cluster, &[2, 3, 3]);
    new
}

#[test]
fn replicas_that_disagree_about_shards_do_not_act_together_ha_2026_11() {
    let (cluster, ha) = (sharded(4), HomeAssistant::start(Release::Ha2026_11));
    let first = replica(&cluster, 4);
    cluster.apply(&secret("family", "secret", "m4rk3d-1"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    let second = replica(&cluster, 2);
    eventually("it says why it waits", || {
        second.stderr().contains("says that the number of shards is 4, and this one has --shards 2")
    });
    cluster.apply(&secret("family", "secret", "m4rk3d-2"));
    arrives(&ha, &[("a", "m4rk3d-2")]);
    assert!(!second.stderr().contains("this replica acts"), "{}", second.stderr());
    // With the one that disagrees gone, it says itself how many there are, once nobody can act by another number.
    end(first);
    cluster.apply(&secret("family", "secret", "m4rk3d-3"));
    arrives(&ha, &[("a", "m4rk3d-3")]);
    let log = end(second);
    assert!(log.contains("the number of shards changes to 2"), "{log}");
}

#[test]
fn a_replica_without_the_right_to_list_leases_says_so_and_does_nothing_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = replica(&cluster, 2);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    eventually("it says so", || {
        running.stderr().contains("the rights to list, create and update Leases")
    });
    assert!(ha.credentials().is_empty());
    let made = charted(&["--set", "shards=2"]);
    cluster.apply(&objects(&made)["\"Role\"/\"appcred\""].to_string());
    arrives(&ha, &[("a", "m4rk3d-first")]);
    end(running);
}

#[test]
fn of_two_objects_for_one_address_one_is_acted_for_ha_2026_11() {
    let (cluster, ha) = (cluster(), HomeAssistant::start(Release::Ha2026_11));
    let running = controller(&cluster, &["--resync", "1"]);
    cluster.apply(&secret("family", "secret", "m4rk3d-1"));
    let both = named(&ha, "barn") + &named(&ha, "cabin");
    cluster.apply(&(both + &credential("family", "spotify", "a", LEFT_ALONE)));
    eventually("it is said", || {
        condition(&cluster, "hass/cabin", "Stalled") == is_so("True", "SameAddress")
    });
    arrives(&ha, &[("a", "m4rk3d-1")]);
    wait_ready(&cluster, "hass/barn");
    cluster.kubectl(["delete", "hass/barn", "--timeout=60s"]);
    wait_ready(&cluster, "hass/cabin");
    end(running);
}

#[test]
fn the_chart_gives_the_rights_that_shards_need() {
    let made = charted(&["--set", "shards=3,replicas=3"]);
    let objects = objects(&made);
    let names = &objects["\"Role\"/\"appcred\""]["rules"][4]["resourceNames"];
    assert_eq!(*names, json!(["appcred", "appcred-1", "appcred-2"]));
    let container =
        &objects["\"Deployment\"/\"appcred\""]["spec"]["template"]["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap();
    assert!(arguments.ends_with(&[json!("--shards"), json!("3")]), "{arguments:?}");
    let alone = try_charted(&["--set", "extraArgs={--no-lease},shards=2"]).unwrap_err();
    assert!(alone.contains("there are no shards"), "{alone}");
    assert_eq!(objects["\"Role\"/\"appcred\""]["metadata"]["namespace"], NAMESPACE);
}
