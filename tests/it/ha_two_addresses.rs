//! Two targets that are one Home Assistant by addresses which do not show that: each would delete what the other wants.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project};

/// Another address of what is at this port.
fn another_address(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for (mut from, mut to) in [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far.try_clone().unwrap(), near.try_clone().unwrap()),
            ] {
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    url
}

fn names(ha: &HomeAssistant) -> Vec<String> {
    let held = ha.credentials();
    held.iter().map(|held| held["name"].as_str().unwrap().to_owned()).collect()
}

const ENTRIES: &str = "application_credentials:
  - {domain: spotify, name: of-a, client_id: a, client_secret: xyzzy-a, targets: [a], integration: {setup: false}}
  - {domain: spotify, name: of-b, client_id: b, client_secret: xyzzy-b, targets: [b], integration: {setup: false}}
";

each_release!(ha_two_targets_at_one_home_assistant_are_refused);
fn ha_two_targets_at_one_home_assistant_are_refused(release: Release) {
    let ha = HomeAssistant::start(release);
    let port = ha.url().rsplit(':').next().unwrap().parse().unwrap();
    let listener = Listener::start(200);
    let (here, there) = (ha.url(), another_address(port));
    let project = |policy: &str| {
        format!(
            "owner: house\nallow_plaintext: true\nnotify: {{webhook: {:?}}}\n{policy}targets:\n  a: {{url: {here:?}, token: !env_var HASS_TOKEN}}\n  b: {{url: {there:?}, token: !env_var HASS_TOKEN}}\n",
            listener.url()
        )
    };
    let house = Project::new().file("appcred.yaml", &project(""));
    house.write("credentials/all.yaml", ENTRIES);
    let appcred = |arguments: &[&str]| {
        Appcred::new().in_dir(house.path()).env("HASS_TOKEN", ha.token()).args(arguments)
    };
    appcred(&["apply", "--yes", "--target=a"]).run();
    assert_eq!(names(&ha), ["of-a"]);

    let ran = appcred(&["apply", "--yes", "--format=json"]).status(1).run();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    for (at, name, place, other) in [(0, "a", "5:3", "b"), (1, "b", "6:3", "a")] {
        let error = report["targets"][at]["error"].as_str().unwrap();
        let said = format!(
            "`{name}` (appcred.yaml:{place}) is the same Home Assistant as the target `{other}`"
        );
        assert!(error.contains(&said), "{error}");
    }
    assert_eq!(names(&ha), ["of-a"]);

    let running = appcred(&["watch", "--listen=off"]).spawn();
    let notice = listener.next_of("error");
    assert!(notice.to_string().contains("is the same Home Assistant"), "{notice}");
    running.signal(Signal::TERM);
    running.finish();
    assert_eq!(names(&ha), ["of-a"]);
}
