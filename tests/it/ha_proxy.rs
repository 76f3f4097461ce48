//! Which connections go through a proxy, seen by a real one that records every byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ha_apply::House;
use crate::listener::Listener;
use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project, Running};
use crate::watch::eventually;

/// Every name that somebody asks it for is this machine.
pub(crate) struct RecordingProxy {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl RecordingProxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recorder = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming() {
                let recorder = Arc::clone(&recorder);
                thread::spawn(move || serve(client.unwrap(), &recorder));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that any client has sent to it.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// With the variables by which a proxy is usually named.
    pub(crate) fn variables(&self) -> [(&'static str, String); 6] {
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|name| (name, self.url()))
    }
}

fn serve(mut client: TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).unwrap_or_default() == 0 {
            return;
        }
        head.push(byte[0]);
    }
    // At once: those of several connections would mix otherwise.
    seen.lock().unwrap().extend_from_slice(&head);
    let text = String::from_utf8(head).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let [method, place, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let (authority, path) = match place.strip_prefix("http://") {
        Some(url) => {
            let end = url.find('/').unwrap_or(url.len());
            (&url[..end], &url[end..])
        }
        None => (place, ""),
    };
    let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    } else {
        write!(server, "{method} {path} {version}\r\n{rest}").unwrap();
    }
    let (mut answers, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        // Either side may be gone.
        let _ = std::io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        seen.lock().unwrap().extend_from_slice(&bytes[..count]);
        if server.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn by_variables(appcred: Appcred, proxy: &RecordingProxy) -> Appcred {
    proxy.variables().into_iter().fold(appcred, |run, (name, value)| run.env(name, value))
}

/// The address of a HA under a name that looks public; only the proxy finds it.
fn public(ha: &HomeAssistant) -> String {
    ha.url().replace("127.0.0.1", "ha.example")
}

/// Declares an account to be linked, so that both kinds of connection are needed.
fn house_at(url: &str, more: &str) -> House {
    let house = House::new();
    let target = format!(
        "owner: house\ntargets:\n  home: {{url: \"{url}\", token: !env_var HASS_TOKEN{more}}}\n"
    );
    house.project.write("appcred.yaml", &target);
    house.declare(&[house.entry_with_integration("linked_account", "Anna", "anna", "first")]);
    house
}

each_release!(ha_of_this_machine_is_never_reached_through_the_environments_proxy);
fn ha_of_this_machine_is_never_reached_through_the_environments_proxy(release: Release) {
    let ha = HomeAssistant::start(release);
    let proxy = RecordingProxy::start();
    let house = house_at(&ha.url(), "");
    let apply = house.appcred(&ha).args(["apply", "--yes"]);
    by_variables(apply, &proxy).run();
    assert_eq!(ha.credentials().len(), 1);
    assert_eq!(proxy.seen(), "");
}

each_release!(ha_with_a_proxy_of_its_own_is_reached_through_it_alone);
fn ha_with_a_proxy_of_its_own_is_reached_through_it_alone(release: Release) {
    let ha = HomeAssistant::start(release);
    let (proxy, other) = (RecordingProxy::start(), RecordingProxy::start());
    for url in [ha.url(), public(&ha)] {
        let house = house_at(&url, &format!(", proxy: \"{}\"", proxy.url()));
        let apply = house.appcred(&ha).args(["apply", "--yes"]).env("NO_PROXY", "*");
        by_variables(apply, &other).run();
    }
    let seen = proxy.seen();
    assert_eq!(other.seen(), "");
    let port = ha.url().rsplit_once(':').unwrap().1.to_owned();
    assert!(seen.contains(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n")), "{seen}");
    assert!(seen.contains(&format!("CONNECT ha.example:{port} HTTP/1.1\r\n")), "{seen}");
    assert!(seen.contains("/api/config/config_entries/flow"), "{seen}");
}

each_release!(ha_elsewhere_follows_the_environment_for_every_connection);
fn ha_elsewhere_follows_the_environment_for_every_connection(release: Release) {
    let ha = HomeAssistant::start(release);
    let proxy = RecordingProxy::start();
    let house = house_at(&public(&ha), "");
    by_variables(house.appcred(&ha).args(["apply", "--yes"]), &proxy).run();
    assert!(proxy.seen().contains("CONNECT ha.example:"), "{}", proxy.seen());
    let before = proxy.seen().len();
    for no_proxy in ["*", "ha.example", ".example", "a.example, *.example"] {
        let plan = house.appcred(&ha).args(["plan"]).env("NO_PROXY", no_proxy).status(1);
        let ran = by_variables(plan, &proxy).run();
        assert!(ran.stdout.contains("the name `ha.example` is not found"), "{}", ran.stdout);
    }
    assert_eq!(proxy.seen().len(), before);
    let plan = house.appcred(&ha).args(["plan"]).env("NO_PROXY", "ha.example:1");
    by_variables(plan, &proxy).run();
    assert!(proxy.seen().len() > before);
}

#[test]
fn a_snapshot_from_this_machine_is_fetched_without_the_environments_proxy() {
    let proxy = RecordingProxy::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        let count = client.read(&mut bytes).unwrap();
        client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    });
    let project = Project::new().file("credentials.yaml", "application_credentials: []\n");
    let plan = Appcred::new()
        .in_dir(project.path())
        .args(["plan", "--against", &format!("http://{address}/snapshot.json")])
        .env("APPCRED_SNAPSHOT_TOKEN", "m4rk3d-token")
        .status(1);
    let ran = by_variables(plan, &proxy).run();
    assert!(ran.stderr.contains("it answers 404"), "{}", ran.stderr);
    assert!(server.join().unwrap().contains("m4rk3d-token"));
    assert_eq!(proxy.seen(), "");
}

#[test]
fn a_proxy_that_does_not_serve_us_is_named_with_its_reason() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let list = |proxy: &str| {
        Appcred::new()
            .env("HASS_SERVER", "https://ha.example:8123")
            .env("HASS_TOKEN", "m4rk3d-token")
            .env("HTTPS_PROXY", proxy)
            .args(["list"])
            .status(1)
            .run()
            .stdout
    };
    let error = list(&format!("http://user:hush@{free}"));
    assert!(error.contains(&format!("the proxy http://{free} cannot be reached")), "{error}");
    assert!(!error.contains("hush"), "{error}");
    let error = list("socks5://proxy.example");
    assert!(error.contains("SOCKS, are not supported"), "{error}");
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = refusing.local_addr().unwrap();
    thread::spawn(move || {
        let (mut client, _) = refusing.accept().unwrap();
        let mut bytes = [0; 4096];
        let _ = client.read(&mut bytes);
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        client.write_all(answer).unwrap();
    });
    let error = list(&format!("http://{address}"));
    assert!(error.contains("asks for a user and password (407)"), "{error}");
}

#[test]
fn what_is_asked_of_others_follows_the_environment_too() {
    let proxy = RecordingProxy::start();
    let entry = "application_credentials:\n  - {domain: fitbit, client_id: c, client_secret: m4rk3d-s, integration: {token_url: 'https://provider.example/token', authorize_url: 'https://provider.example/authorize'}}\n";
    let project = Project::new()
        .file("appcred.yaml", "allow_plaintext: true\ntargets: {lab: {config_dir: ha}}\n")
        .file("credentials.yaml", entry);
    let run = |arguments: &[&str], no_proxy: &str| {
        let run = Appcred::new().in_dir(project.path()).args(arguments);
        let run = run.env("APPCRED_SNAPSHOT_TOKEN", "m4rk3d-t").env("NO_PROXY", no_proxy);
        by_variables(run, &proxy)
    };
    for (arguments, host) in [
        (["verify", "--strict"].as_slice(), "provider.example"),
        (&["plan", "--against", "https://snap.example/s.json"], "snap.example"),
    ] {
        let before = proxy.seen().len();
        for no_proxy in ["*", host, ".example", "other, *.example", &format!("{host}:443")] {
            run(arguments, no_proxy).status(1).run();
            assert_eq!(proxy.seen().len(), before, "{host} with NO_PROXY={no_proxy}");
        }
        for no_proxy in ["", "example.org", &format!("{host}:8443"), "10.0.0.0/8", "[::1]"] {
            let before = proxy.seen().len();
            run(arguments, no_proxy).status(1).run();
            let connect = format!("CONNECT {host}:443 HTTP/1.1\r\n");
            assert!(proxy.seen()[before..].contains(&connect), "{host} with NO_PROXY={no_proxy}");
        }
    }
    assert!(!proxy.seen().contains("m4rk3d"), "{}", proxy.seen());
}

#[test]
fn a_user_and_password_of_a_projects_proxy_are_refused_and_not_repeated() {
    let target =
        "targets:\n  home: {url: 'https://ha.example', proxy: 'http://user:m4rk3d@p.example'}\n";
    let project = Project::new()
        .file("appcred.yaml", target)
        .file("credentials.yaml", "application_credentials: []\n");
    for verb in [["plan"].as_slice(), &["validate"], &["plan", "--format", "json"]] {
        let ran = Appcred::new().in_dir(project.path()).args(verb).status(1).run();
        let all = ran.stdout + &ran.stderr;
        assert!(all.contains("`proxy` must not contain a user or password"), "{all}");
        assert!(!all.contains("m4rk3d"), "{all}");
    }
}

/// Watches a target that cannot be used, which is an error that webhooks are notified of.
fn notify(hook: &str, no_proxy: &str, proxy: &RecordingProxy) -> (Running, Project) {
    let project = Project::new()
        .file(
            "appcred.yaml",
            &format!("targets: {{lab: {{config_dir: ha}}}}\nnotify: {{webhook: {hook:?}}}\n"),
        )
        .file("ha", "")
        .file("credentials.yaml", "application_credentials: []\n");
    let watch = Appcred::new().in_dir(project.path()).args(["watch", "-v", "--listen=off"]);
    (by_variables(watch.env("NO_PROXY", no_proxy), proxy).spawn(), project)
}

#[test]
fn a_webhook_goes_by_the_environments_proxy_unless_it_is_near_or_excepted() {
    let proxy = RecordingProxy::start();
    let listener = Listener::start(200);
    let near = listener.url();
    let far = near.replace("127.0.0.1", "hook.example");
    for hook in [&near, &near.replace("127.0.0.1", "localhost")] {
        let _running = notify(hook, "", &proxy);
        listener.next_of("error");
        assert_eq!(proxy.seen(), "", "{hook}");
    }
    for no_proxy in ["*", "hook.example", ".example"] {
        let (running, _project) = notify(&far, no_proxy, &proxy);
        eventually("it is not found", || running.stderr().contains("webhook 1 did not accept"));
        assert_eq!(proxy.seen(), "", "NO_PROXY={no_proxy}");
    }
    let _running = notify(&far, "", &proxy);
    listener.next_of("error");
    assert!(proxy.seen().contains("POST http://hook.example:"), "{}", proxy.seen());

    let before = proxy.seen().len();
    let port = near.split([':', '/']).nth(4).unwrap();
    let connect = format!("CONNECT hook.example:{port} HTTP/1.1");
    let (running, _project) = notify(&far.replace("http://", "https://"), "", &proxy);
    eventually("it is asked for", || proxy.seen()[before..].contains(&connect));
    assert!(!proxy.seen()[before..].contains("MARKED-HOOK"), "{}", proxy.seen());
    assert!(!running.stderr().contains("MARKED-HOOK"), "{}", running.stderr());
}
