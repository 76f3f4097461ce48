//! Two targets that are one Home Assistant by addresses which do not show that: each would delete what the other wants.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release, free_port, visit};
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

/// Another address of what is at a port.
struct OtherAddress {
    url: String,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl OtherAddress {
    fn of(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let kept = Arc::clone(&streams);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                kept.lock().unwrap().push(near.try_clone().unwrap());
                for (mut from, mut to) in [
                    (near.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), near.try_clone().unwrap()),
                ] {
                    thread::spawn(move || {
                        let _cut = io::copy(&mut from, &mut to);
                        let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                }
            }
        });
        Self { url, streams }
    }

    /// Ends all connections.
    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }
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
    // Each house has more than its own zone.
    let sensor = json!({"state": "1"});
    assert_eq!(ha.rest("POST", "/api/states/sensor.one", Some(&sensor)).0, 201);
    let port = ha.url().rsplit(':').next().unwrap().parse().unwrap();
    let listener = Listener::start(200);
    let other = OtherAddress::of(port);
    let (here, there) = (ha.url(), &other.url);
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

    let port = free_port();
    let running = appcred(&["watch", &format!("--listen=127.0.0.1:{port}")]).spawn();
    let notice = listener.next_of("error");
    assert!(notice.to_string().contains("is the same Home Assistant"), "{notice}");
    // Somebody comes home, and one of both is asked again.
    let status = || visit(&format!("http://127.0.0.1:{port}/api/v1/status")).value();
    let connected = || {
        let log = running.stderr();
        log.lines().filter(|line| line.contains(" connected ") && line.contains("target=b")).count()
    };
    eventually("the one that is to be changed is refused", || {
        status()["targets"][1]["error"].to_string().contains("the same Home Assistant")
    });
    let before = connected();
    let (set, _) = ha.rest("POST", "/api/states/zone.home", Some(&json!({"state": "1"})));
    assert_eq!(set, 200);
    other.cut();
    eventually("it is connected to again", || connected() > before);
    running.signal(Signal::HUP);
    eventually("it was looked at", || running.stderr().contains("read again: 2 entries"));
    running.signal(Signal::TERM);
    running.finish();
    assert_eq!(names(&ha), ["of-a"]);
}
