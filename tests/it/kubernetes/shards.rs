//! Several replicas that share Home Assistants between them, by shards with a Lease each.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    LEFT_ALONE, NAMESPACE, charted, cluster, condition, controller, credential, end, house, is_so,
    objects, secret, try_charted, wait_ready,
};
use crate::real::{Cluster, HomeAssistant, Release};
use crate::shell::Running;
use crate::watch::{arrives, eventually};

const SHARDS: usize = 8;

/// A cluster with the rights that the chart gives for so many shards.
fn sharded(shards: usize) -> Cluster {
    let cluster = cluster();
    let made = charted(&["--set", &format!("shards={shards}")]);
    let role = &objects(&made)["\"Role\"/\"appcred\""];
    cluster.apply(&role.to_string());
    cluster
}

fn replica(cluster: &Cluster, shards: usize) -> Running {
    let shards = shards.to_string();
    controller(cluster, &["--resync", "1", "--lease-duration", "6", "--shards", &shards])
}

/// How many shards each replica holds, by its identity.
fn holders(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for lease in cluster.get("lease")["items"].as_array().unwrap() {
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        *counts.entry(holder.to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn shared(cluster: &Cluster, expected: &[usize]) {
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
    let mut replicas = vec![replica(&cluster, SHARDS)];
    let mut all = secret("family", "secret", "m4rk3d-1");
    for (ha, name) in houses.iter().zip(["barn", "cabin", "lodge"]) {
        all += &named(ha, name);
    }
    cluster.apply(&(all + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    all_have(&houses, "m4rk3d-1");
    assert_eq!(cluster.get("acred/family")["status"]["targets"]["synced"], 3);
    shared(&cluster, &[8]);

    // Four more come, and a secret changes while they are given their share.
    replicas.extend((0..4).map(|_| replica(&cluster, SHARDS)));
    cluster.apply(&secret("family", "secret", "m4rk3d-2"));
    all_have(&houses, "m4rk3d-2");
    shared(&cluster, &[1, 1, 2, 2, 2]);

    // Three are killed, and the secret changes at once.
    let stays = replicas.split_off(3);
    replicas.iter().for_each(|replica| replica.signal(Signal::KILL));
    cluster.apply(&secret("family", "secret", "m4rk3d-3"));
    all_have(&houses, "m4rk3d-3");
    shared(&cluster, &[4, 4]);

    // One ends, and what it gives back is taken at once. One that is deleted goes everywhere, and what is not ours stays.
    let mut stays = stays.into_iter();
    let log = end(stays.next().unwrap());
    assert!(log.contains("4 Leases are given back"), "{log}");
    shared(&cluster, &[8]);
    cluster.kubectl(["delete", "acred/family", "--timeout=60s"]);
    for (ha, theirs) in houses.iter().zip(&theirs) {
        assert_eq!(ha.credentials(), std::slice::from_ref(theirs));
    }
    end(stays.next().unwrap());
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
