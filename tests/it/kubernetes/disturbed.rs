//! What lies between a replica and the API server does harm: nothing is done that must not be, and all arrives in the end.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use rustix::process::Signal;

use super::shards::{has_shards, sharded};
use super::{
    LEFT_ALONE, condition, controller, controller_by, credential, end, house, is_so, secret,
    wait_ready,
};
use crate::real::{Cluster, HomeAssistant, Release, ReverseProxy, free_port};
use crate::shell::Running;
use crate::watch::{arrives, eventually};

/// A line to the API server on which nothing moves while it is held.
pub(super) struct Line {
    pub(super) url: String,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Line {
    pub(super) fn to(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let held = Arc::<(Mutex<bool>, Condvar)>::default();
        let (server, gate) = (cluster.url().replace("https://", ""), Arc::clone(&held));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let ends = || (client.try_clone().unwrap(), server.try_clone().unwrap());
                let ((from, to), (back, again)) = (ends(), ends());
                for (from, to) in [(from, to), (again, back)] {
                    let gate = Arc::clone(&gate);
                    thread::spawn(move || carry(from, to, &gate));
                }
            }
        });
        Self { url, held }
    }

    pub(super) fn hold(&self, is_held: bool) {
        *self.held.0.lock().unwrap() = is_held;
        self.held.1.notify_all();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, (held, changed): &(Mutex<bool>, Condvar)) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        drop(changed.wait_while(held.lock().unwrap(), |held| *held).unwrap());
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// A replica does nothing while another one takes over, changes a secret and is gone. Then it goes on by what it knew.
fn one_that_goes_on(arguments: &[&str]) -> (Cluster, HomeAssistant, Running, Line) {
    let (cluster, ha) = (sharded(3), HomeAssistant::start(Release::Ha2026_11));
    let line = Line::to(&cluster);
    let arguments = [&["--resync", "1"], arguments].concat();
    let first = controller_by(&cluster.kubeconfig_at("appcred", &line.url), &arguments);
    cluster.apply(&secret("family", "secret", "m4rk3d-first"));
    cluster.apply(&(house(&ha, "") + &credential("family", "spotify", "a", LEFT_ALONE)));
    wait_ready(&cluster, "acred/family");
    first.signal(Signal::STOP);
    // From here on it hears nothing of the cluster, and does not know that it hears nothing.
    line.hold(true);
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    let second = controller(&cluster, &arguments);
    arrives(&ha, &[("a", "m4rk3d-second")]);
    second.signal(Signal::KILL);
    first.signal(Signal::CONT);
    (cluster, ha, first, line)
}

#[test]
fn without_a_lease_a_replica_that_goes_on_undoes_what_another_one_did_ha_2026_11() {
    let (_cluster, ha, _first, _line) = one_that_goes_on(&["--no-lease"]);
    arrives(&ha, &[("a", "m4rk3d-first")]);
}

#[test]
fn with_a_lease_a_replica_that_goes_on_changes_nothing_before_it_knows_more_ha_2026_11() {
    // It hears for two seconds of no answer about its Lease, and looks at Home Assistant each second.
    let arguments = ["--lease-duration", "12", "--shards", "3"];
    let (cluster, ha, first, line) = one_that_goes_on(&arguments);
    eventually("it says that it does not act", || {
        let credentials = ha.credentials();
        assert_eq!(credentials[0]["client_secret"], "m4rk3d-second", "{}", first.stderr());
        first.stderr().contains("this replica no longer acts")
    });
    line.hold(false);
    eventually("it acts for all again", || has_shards(&cluster, &first, 3));
    arrives(&ha, &[("a", "m4rk3d-second")]);
    end(first);
}

/// All watches are refused as too old, one of them within its answer, and all writes but those of the Lease as conflicts.
const STORM: &str = r#"
    set $way "$request_method";
    if ($arg_watch) { set $way "watch"; }
    if ($uri ~ "/secrets$") { set $way "${way} secrets"; }
    if ($way = "watch") {
        return 410 '{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}';
    }
    if ($way = "watch secrets") {
        return 200 '{"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}}\n';
    }
    if ($way ~ "^P(ATCH|OST)$") {
        return 409 '{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409}';
    }
"#;

/// Is between the replica and the API server with these rules, and writes each request down.
fn before(cluster: &Cluster, port: u16, log: &Path, rules: &str) -> ReverseProxy {
    let file = |name: &str| cluster.kubeconfig("appcred").with_file_name(name);
    let (certificate, key) = (file("appcred.crt"), file("appcred.key"));
    let server = format!(
        "log_format short '$request_method $status $request_uri';
        server {{ listen 127.0.0.1:{port}; access_log {} short; default_type application/json;
        location / {{ {rules} proxy_pass {}; proxy_ssl_certificate {}; proxy_ssl_certificate_key {};
        proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 400s; }} }}\n",
        log.display(),
        cluster.url(),
        certificate.display(),
        key.display()
    );
    ReverseProxy::nginx(port, &server)
}

#[test]
fn storms_of_gone_and_conflict_delete_nothing_and_are_no_storm_of_requests_ha_2026_11() {
    let (cluster, ha) = (sharded(3), HomeAssistant::start(Release::Ha2026_11));
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let log = folder.path().join("log");
    let calm = before(&cluster, port, &log, "");
    let kubeconfig = cluster.kubeconfig_at("appcred", &format!("http://127.0.0.1:{port}"));
    let arguments = ["--resync", "1", "--lease-duration", "6", "--shards", "3"];
    let running = controller_by(&kubeconfig, &arguments);
    let mut all = house(&ha, "");
    for (name, client) in [("family", "a"), ("kept", "b"), ("last", "c")] {
        all += &secret(name, "secret", &format!("m4rk3d-{name}"));
        all += &credential(name, "spotify", client, LEFT_ALONE);
    }
    cluster.apply(&all);
    for name in ["acred/family", "acred/kept", "acred/last"] {
        wait_ready(&cluster, name);
    }
    drop(calm);
    fs::remove_file(&log).unwrap();
    let storm = before(&cluster, port, &log, STORM);
    // What somebody changes meanwhile arrives, although nothing of that can be written back.
    cluster.apply(&secret("family", "secret", "m4rk3d-second"));
    cluster.kubectl(["delete", "acred/last", "--wait=false"]);
    cluster.kubectl(["annotate", "acred/kept", "somebody=else"]);
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-kept")]);
    let requests = || fs::read_to_string(&log).unwrap();
    let refused = |status: &str| requests().matches(status).count();
    eventually("both are seen", || refused(" 410 ") > 2 && refused("PATCH 409 ") > 2);
    // The Leases are what counts the time: each of three is renewed every two seconds.
    let renewed = refused("PUT 200 ");
    let before_them = requests().lines().count();
    eventually("it goes on", || refused("PUT 200 ") >= renewed + 15);
    let meanwhile = requests().lines().count() - before_them;
    assert!(meanwhile < 100, "{meanwhile} requests: {}", requests());
    arrives(&ha, &[("a", "m4rk3d-second"), ("b", "m4rk3d-kept")]);
    assert!(cluster.get("acred/last")["metadata"]["deletionTimestamp"].is_string());
    drop(storm);
    let _calm = before(&cluster, port, &log, "");
    cluster.kubectl(["wait", "--for=delete", "acred/last", "--timeout=60s"]);
    // What is declared after that is read, and written back.
    cluster.apply(&secret("family", "secret", "m4rk3d-third"));
    cluster.kubectl([
        "patch",
        "acred/kept",
        "--type=merge",
        "-p",
        r#"{"spec": {"suspend": true}}"#,
    ]);
    arrives(&ha, &[("a", "m4rk3d-third"), ("b", "m4rk3d-kept")]);
    eventually("it is written back", || {
        let kept = cluster.get("acred/kept");
        kept["status"]["observedGeneration"] == kept["metadata"]["generation"]
    });
    assert_eq!(condition(&cluster, "acred/kept", "Ready"), is_so("True", "Synced"));
    end(running);
}
