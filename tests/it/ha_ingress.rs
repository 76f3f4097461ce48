//! Who sees the status page through Home Assistant's ingress: its Supervisor says who is signed in.

use std::net::{IpAddr, Ipv4Addr};

use appcred::http::Network;
use appcred::model::Secret;
use appcred::target::home_assistant::ConnectionSettings;
use serde_json::{Value, json};

use crate::real::{HomeAssistant, Release, each_release, send};
use crate::serving::{Rules, Served, nothing};
use crate::watch::eventually;

each_release!(ha_only_administrators_see_the_page_by_ingress);
fn ha_only_administrators_see_the_page_by_ingress(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let users = ha.call(json!({"type": "config/auth/list"})).unwrap();
    let id_of = |name: &str| {
        let user = users.as_array().unwrap().iter().find(|user| user["name"] == name);
        user.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (owner, guest) = (id_of("owner"), id_of("guest"));
    let house = ConnectionSettings {
        url: ha.url(),
        token: Secret::new(ha.token()),
        network: Network::default(),
    };
    let ingress = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    let served = Served::with(nothing(), Rules { ingress, house: Some(house), ..Rules::default() });
    let status_for = |id: &str| {
        let user = ("X-Remote-User-Id", id);
        send("GET", &served.url("/api/v1/status"), &[user], None).unwrap().status
    };
    assert_eq!((status_for(&owner), status_for(&guest), status_for("0")), (200, 403, 403));

    // Who becomes one is let in; whoever may not sign in any more is not, whatever the group.
    let change = |what: Value| {
        let mut update = json!({"type": "config/auth/update", "user_id": guest});
        update.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        ha.call(update).unwrap();
    };
    change(json!({"group_ids": ["system-admin"]}));
    eventually("the guest is let in", || status_for(&guest) == 200);
    change(json!({"is_active": false}));
    eventually("the guest is refused", || status_for(&guest) == 403);
    ha.stop();
    eventually("nobody is let in", || status_for(&owner) == 503);
}
