//! Home Assistant where people have it: behind nginx or Caddy, which want TLS, a header, a client
//! certificate, a path of their own.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::ha_apply::House;
use crate::ha_login::{Person, let_in};
use crate::ha_proxy::RecordingProxy;
use crate::real::{
    CONFIGURATION, HomeAssistant, PASS, Provider, Release, ReverseProxy, each_release, free_port,
    visit,
};
use crate::shell::{Appcred, Project};
use crate::watch::{arrives, eventually};

const SECRET: &str = "m4rk3d-cf-secret";

/// Certificates for one test, in files.
struct Certificates(TempDir);

impl Certificates {
    /// `ca.pem` made `server.pem`, for this machine, and `client.pem`; `other.pem` is of somebody else.
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("appcred-pki-").tempdir().unwrap();
        let made = Self(folder);
        let ours = made.authority("ca");
        made.certificate("server", &ours, ExtendedKeyUsagePurpose::ServerAuth);
        made.certificate("client", &ours, ExtendedKeyUsagePurpose::ClientAuth);
        let theirs = made.authority("other-ca");
        made.certificate("other", &theirs, ExtendedKeyUsagePurpose::ClientAuth);
        made
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        fs::write(self.file(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem())
            .unwrap();
        Issuer::new(params, key)
    }

    fn certificate(
        &self,
        name: &str,
        issuer: &Issuer<'_, KeyPair>,
        usage: ExtendedKeyUsagePurpose,
    ) {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// What nginx needs of them, client certificates demanded.
    fn nginx(&self) -> String {
        let [ca, server, key] = ["ca.pem", "server.pem", "server.key"].map(|name| self.file(name));
        format!(
            "ssl_certificate {server};\nssl_certificate_key {key};\nssl_client_certificate {ca};\nssl_verify_client on;\n"
        )
    }

    /// The fields of a target.
    fn fields(&self, client: &str) -> String {
        format!(
            "ca_file: {}, client_certificate: {}, client_key: {}",
            self.file("ca.pem"),
            self.file(&format!("{client}.pem")),
            self.file(&format!("{client}.key"))
        )
    }
}

/// A HA that trusts a proxy of this machine.
fn trusting(release: Release, folder: &Path) -> HomeAssistant {
    let trust =
        "  use_x_forwarded_for: true\n  trusted_proxies: [127.0.0.1, \"::1\"]\nlinked_account:";
    fs::write(folder.join("configuration.yaml"), CONFIGURATION.replace("linked_account:", trust))
        .unwrap();
    HomeAssistant::start_in(release, folder)
}

/// What nginx passes on below a path that HA knows nothing of.
fn below(path: &str, ha: &HomeAssistant) -> String {
    format!(
        "location {path} {{ {PASS} proxy_set_header X-Forwarded-For $remote_addr; proxy_pass {}/; }}\n",
        ha.url()
    )
}

/// nginx on `[::1]` as strict as it can be: TLS, a client certificate, a header, a path.
fn strict_nginx(ha: &HomeAssistant, certificates: &Certificates) -> (ReverseProxy, String) {
    let port = free_port();
    let servers = format!(
        "server {{ listen 127.0.0.1:{port} ssl; listen [::1]:{port} ssl; {}\n\
         if ($http_cf_access_client_secret != {SECRET}) {{ return 403; }}\n\
         location = /ha/local/moved.json {{ return 302 https://[::1]:{port}/ha/local/snapshot.json; }}\n{} }}\n",
        certificates.nginx(),
        below("/ha/", ha)
    );
    (ReverseProxy::nginx(port, &servers), format!("https://[::1]:{port}/ha"))
}

fn target(url: &str, fields: &str) -> String {
    format!(
        "{{url: \"{url}/\", headers: {{CF-Access-Client-Id: anna, CF-Access-Client-Secret: !secret cf}}, {fields}}}"
    )
}

/// A house whose target is reached so.
fn house_at(target: &str, secret: &str) -> House {
    let house = House::new();
    house.project.write("appcred.yaml", &format!("owner: default\ntargets:\n  home: {target}\n"));
    house.project.write("secrets.yaml", &format!("cf: {secret}\n"));
    house
}

fn with_token(target: &str) -> String {
    target.replacen('{', "{token: !env_var HASS_TOKEN, ", 1)
}

each_release!(ha_behind_a_strict_proxy_is_used_as_any_other);
fn ha_behind_a_strict_proxy_is_used_as_any_other(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("www")).unwrap();
    let ha = trusting(release, folder.path());
    let provider = Provider::start();
    ha.accounts_are_at(&provider);
    provider.client("anna", "first");
    let certificates = Certificates::new();
    let (_nginx, url) = strict_nginx(&ha, &certificates);
    let target = target(&url, &certificates.fields("client"));
    let house = house_at(&with_token(&target), SECRET);
    house.declare(&[house.entry_with_integration("linked_account", "Anna", "anna", "first")]);

    let ran = house.apply(&ha);
    assert_eq!(ha.credentials().len(), 1);
    let redirect = format!("{url}/auth/external/callback");
    assert!(ran.stdout.contains(&redirect), "{}", ran.stdout);
    house.appcred(&ha).args(["plan", "--detailed-exitcode", "--no-setup"]).run();

    let port = free_port().to_string();
    let authorize = ["authorize", "--no-browser", "--show-links", "--port", &port];
    let mut running = house.appcred(&ha).args(authorize).spawn();
    visit(&provider.consent(&running.line_with("/authorize?")).location.unwrap());
    running.line_with("\"Anna\": linked");
    assert_eq!(running.finish().status, Some(0));

    let snapshot = folder.path().join("www/snapshot.json");
    house.appcred(&ha).args(["snapshot", "-o", snapshot.to_str().unwrap()]).run();
    for file in ["snapshot.json", "moved.json"] {
        let address = format!("{url}/local/{file}");
        house.appcred(&ha).args(["plan", "--against", &address]).run();
    }

    let_in(&ha);
    let person = Person::of(&target);
    person.project.write("secrets.yaml", &format!("cf: {SECRET}\n"));
    let login = person.login();
    visit(&login.signed_in_as(&ha, "owner"));
    let ran = login.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    person.appcred().args(["list"]).run();
    person.appcred().args(["logout"]).run();
}

each_release!(a_proxy_of_the_network_sees_no_header_of_a_target);
/// The way to a proxy of the network is no way to HA: no header goes to it.
fn a_proxy_of_the_network_sees_no_header_of_a_target(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    let ha = trusting(release, folder.path());
    let certificates = Certificates::new();
    let (_nginx, url) = strict_nginx(&ha, &certificates);
    let url = url.replace("[::1]", "localhost");
    let proxy = RecordingProxy::start();
    let with_password = proxy.url().replace("http://", "http://joe:m4rk3d-pw@");
    let fields = format!("{}, proxy: !env_var MY_PROXY", certificates.fields("client"));
    let house = house_at(&with_token(&target(&url, &fields)), SECRET);
    house.declare(&[house.entry_with_integration("linked_account", "Anna", "anna", "first")]);

    let apply = house.appcred(&ha).env("MY_PROXY", with_password).args(["apply", "--yes", "-vvv"]);
    let ran = apply.run();
    assert_eq!(ha.credentials().len(), 1);
    let all = ran.stdout + &ran.stderr;
    assert!(!all.contains("m4rk3d"), "{all}");
    let seen = proxy.seen().to_lowercase();
    assert!(seen.contains("proxy-authorization: basic"), "{seen}");
    assert!(!seen.contains("cf-access") && !seen.contains(SECRET), "{seen}");

    let apply = house.appcred(&ha).env("MY_PROXY", "http://joe:m4rk3d-pw@").args(["list"]);
    let said = apply.status(1).run().stdout;
    let why = "its proxy (appcred.yaml:3:";
    assert!(said.contains(why) && said.contains("is not the address of a proxy"), "{said}");
    assert!(!said.contains("m4rk3d"), "{said}");
}

each_release!(caddy_passes_everything_on);
fn caddy_passes_everything_on(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    let ha = trusting(release, folder.path());
    let certificates = Certificates::new();
    let port = free_port();
    let [ca, server, key] =
        ["ca.pem", "server.pem", "server.key"].map(|name| certificates.file(name));
    let site = format!(
        "https://localhost:{port} {{\ntls {server} {key} {{\nclient_auth {{\nmode require_and_verify\ntrusted_ca_cert_file {ca}\n}}\n}}\nreverse_proxy {}\n}}\n",
        ha.url()
    );
    let _caddy = ReverseProxy::caddy(port, &site);
    let url = format!("https://localhost:{port}");
    let house = house_at(&with_token(&target(&url, &certificates.fields("client"))), SECRET);
    house.declare(&[house.entry_with_integration("linked_account", "Anna", "anna", "first")]);
    house.apply(&ha);
    assert_eq!(ha.credentials().len(), 1);

    let none = format!("{{token: x, url: \"{url}\", ca_file: {ca}}}");
    check_list(&ha, &none, SECRET, "wants a client certificate (mTLS)");
    let other = with_token(&target(&url, &certificates.fields("other")));
    check_list(&ha, &other, SECRET, "does not accept our client certificate");
}

/// What `list` says of a target that cannot be used.
#[track_caller]
fn check_list(ha: &HomeAssistant, target: &str, secret: &str, why: &str) {
    let house = house_at(target, secret);
    let text = fs::read_to_string(house.project.join("appcred.yaml")).unwrap();
    house.project.write("appcred.yaml", &format!("allow_plaintext: true\n{text}"));
    let ran = house.appcred(ha).args(["list"]).status(1).run();
    let all = ran.stdout + &ran.stderr;
    assert!(all.contains(why), "{target}\n{why}\n{all}");
    assert!(!all.contains("m4rk3d") && !all.contains("make a new one"), "{all}");
}

/// What a `server` block of nginx does wrong, and what is said of it: where the target has nothing for a
/// proxy, and where it has the wrong things.
struct Fault {
    server: String,
    without: &'static str,
    wrong: &'static str,
}

/// Faults of proxies without TLS.
fn faults(ha: &HomeAssistant) -> Vec<Fault> {
    let pass = format!("{PASS} proxy_pass {};", ha.url());
    let fault = |server: String, without, wrong| Fault { server, without, wrong };
    let at_root = |does: String, why| fault(format!("location / {{ {does} }}"), why, why);
    let guarded = |check: &str, why| {
        let server = format!("{check} location / {{ {pass} }}");
        fault(server, why, "does not accept the `headers`")
    };
    let unless = format!("if ($http_cf_access_client_secret != {SECRET})");
    let to_sign_in = "return 302 https://team.example/cdn-cgi/access/login;";
    vec![
        guarded(
            &format!("{unless} {{ return 401; }}"),
            "it answers 401 Unauthorized before any token was sent",
        ),
        guarded(&format!("{unless} {{ return 403; }}"), "so the token is not the reason"),
        guarded(
            &format!("{unless} {{ {to_sign_in} }}"),
            "it redirects to https://team.example before any token was sent",
        ),
        guarded("auth_basic Home; auth_basic_user_file /dev/null;", "asks for a user and password"),
        at_root(format!("proxy_pass {};", ha.url()), "does not pass WebSockets on"),
        at_root(
            format!("{pass} proxy_set_header X-Forwarded-For $remote_addr;"),
            "`trusted_proxies`",
        ),
        at_root(
            format!("proxy_pass http://127.0.0.1:{};", free_port()),
            "502 Bad Gateway; wait until",
        ),
        fault(
            format!("location /ha/ {{ {pass} }}"),
            "write the address at which a browser shows",
            "write the address at which a browser shows",
        ),
    ]
}

each_release!(what_a_proxy_does_wrong_is_explained);
fn what_a_proxy_does_wrong_is_explained(release: Release) {
    let ha = HomeAssistant::start(release);
    let certificates = Certificates::new();
    let mut cases: Vec<_> =
        faults(&ha).into_iter().map(|fault| ("http", String::new(), fault)).collect();
    let tls = Fault {
        server: format!("location / {{ {PASS} proxy_pass {}; }}", ha.url()),
        without: "wants a client certificate (mTLS)",
        wrong: "does not accept our client certificate",
    };
    cases.push(("https", certificates.nginx(), tls));
    let ports: Vec<u16> = cases.iter().map(|_| free_port()).collect();
    let servers: String = cases
        .iter()
        .zip(&ports)
        .map(|((scheme, tls, Fault { server, .. }), port)| {
            let ssl = if *scheme == "https" { " ssl" } else { "" };
            format!("server {{ listen 127.0.0.1:{port}{ssl}; {tls} {server} }}\n")
        })
        .collect();
    let _nginx = ReverseProxy::nginx(ports[0], &servers);
    let ca = certificates.file("ca.pem");
    for ((scheme, _, fault), port) in cases.iter().zip(&ports) {
        let url = format!("{scheme}://localhost:{port}");
        let bare = format!("{{token: !env_var HASS_TOKEN, url: \"{url}\", ca_file: {ca}}}");
        check_list(&ha, &bare, "", fault.without);
        let fields = match *scheme {
            "https" => certificates.fields("other"),
            _ => format!("ca_file: {ca}"),
        };
        check_list(&ha, &with_token(&target(&url, &fields)), "m4rk3d-wrong", fault.wrong);
    }
}

each_release!(a_call_that_a_proxy_refuses_is_explained);
/// The WebSocket gets through, and a call by HTTP does not.
fn a_call_that_a_proxy_refuses_is_explained(release: Release) {
    let ha = HomeAssistant::start(release);
    let cases = [
        ("return 401;", "refuses the call (401); the token is not the reason"),
        ("return 403;", "a proxy may refuse it"),
        ("return 302 https://team.example/login;", "redirects this call"),
        ("return 504;", "a proxy answers 504 Gateway Timeout"),
        ("client_max_body_size 1; proxy_pass http://127.0.0.1:9;", "accepts no request as large"),
    ];
    let ports: Vec<u16> = cases.iter().map(|_| free_port()).collect();
    let servers: String = cases
        .iter()
        .zip(&ports)
        .map(|((calls, _), port)| {
            format!(
                "server {{ listen 127.0.0.1:{port}; location / {{ {PASS} proxy_pass {}; }} location /api/config {{ {calls} }} }}\n",
                ha.url()
            )
        })
        .collect();
    let _nginx = ReverseProxy::nginx(ports[0], &servers);
    for ((calls, why), port) in cases.iter().zip(&ports) {
        let house = House::new();
        house.declare(&[house.entry_with_integration("linked_account", "Anna", "anna", "first")]);
        let apply = house.appcred(&ha).env("HASS_SERVER", format!("http://127.0.0.1:{port}"));
        let ran = apply.args(["apply", "--yes"]).status(1).run();
        let all = ran.stdout + &ran.stderr;
        assert!(all.contains(why), "{calls}: {all}");
    }
}

each_release!(a_watcher_stands_what_its_proxy_does);
fn a_watcher_stands_what_its_proxy_does(release: Release) {
    let folder = tempfile::tempdir().unwrap();
    let mut ha = trusting(release, folder.path());
    let certificates = Certificates::new();
    let (mut nginx, url) = strict_nginx(&ha, &certificates);
    let with_files = |client: &str| {
        for kind in ["pem", "key"] {
            let from = certificates.file(&format!("{client}.{kind}"));
            fs::copy(from, certificates.file(&format!("current.{kind}"))).unwrap();
        }
    };
    with_files("other");
    let house =
        house_at(&with_token(&target(&url, &certificates.fields("current"))), "m4rk3d-wrong");
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    let running = house.appcred(&ha).args(["watch"]).spawn();
    eventually("the certificate is refused", || {
        running.stderr().contains("does not accept our client certificate")
    });
    with_files("client");
    eventually("the header is refused", || {
        running.stderr().contains("does not accept the `headers`")
    });
    house.project.write("secrets.yaml", &format!("cf: {SECRET}\n"));
    arrives(&ha, &[("a", "first")]);

    nginx.stop();
    eventually("it is missed", || {
        running.stderr().contains("nothing listens there any more: is Home Assistant running?")
    });
    nginx.start_again();
    house.declare(&[house.entry("spotify", "A", "a", "second")]);
    arrives(&ha, &[("a", "second")]);

    ha.stop();
    eventually("it is waited for", || running.stderr().contains("502 Bad Gateway; wait until"));
    ha.start_again();
    house.declare(&[house.entry("spotify", "A", "a", "third")]);
    arrives(&ha, &[("a", "third")]);
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("m4rk3d"), "{}", ran.stderr);
}

each_release!(a_watcher_outlives_a_proxy_that_ends_idle_connections);
/// What nothing is sent on for five seconds is ended, again and again.
fn a_watcher_outlives_a_proxy_that_ends_idle_connections(release: Release) {
    let ha = HomeAssistant::start(release);
    let port = free_port();
    let _nginx = ReverseProxy::nginx(
        port,
        &format!(
            "server {{ listen 127.0.0.1:{port}; location / {{ {PASS} proxy_read_timeout 5s; proxy_pass {}; }} }}",
            ha.url()
        ),
    );
    let house = House::new();
    house.declare(&[house.entry("spotify", "A", "a", "first")]);
    // The first look of all takes Home Assistant long, and nothing is sent meanwhile.
    house.appcred(&ha).args(["list"]).run();
    let watch = house.appcred(&ha).env("HASS_SERVER", format!("http://127.0.0.1:{port}"));
    let running = watch.args(["watch"]).spawn();
    arrives(&ha, &[("a", "first")]);
    eventually("the connection is ended", || running.stderr().contains("closed the connection"));
    house.declare(&[house.entry("spotify", "A", "a", "second")]);
    arrives(&ha, &[("a", "second")]);
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}

/// Headers for a snapshot go to the place of the target, and not where that redirects to.
#[test]
fn headers_for_a_snapshot_go_to_the_place_of_the_target_alone() {
    let elsewhere =
        Listening::start(|_| "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned());
    let to = elsewhere.url.clone();
    let place = Listening::start(move |_| {
        format!("HTTP/1.1 302 Found\r\nlocation: {to}/s.json\r\ncontent-length: 0\r\n\r\n")
    });
    let project = Project::new()
        .file(
            "appcred.yaml",
            &format!("targets:\n  home: {}\n", target(&place.url, "")).replace(", }", "}"),
        )
        .file("secrets.yaml", &format!("cf: {SECRET}\n"))
        .file("credentials.yaml", "application_credentials: []\n");
    let plan = |url: &str| {
        let address = format!("{url}/s.json");
        let plan = Appcred::new().in_dir(project.path()).args(["plan", "--against", &address]);
        plan.status(1).run()
    };
    plan(&place.url);
    assert!(place.seen().contains(SECRET), "{}", place.seen());
    assert!(elsewhere.seen().contains("GET /s.json"), "{}", elsewhere.seen());
    plan(&elsewhere.url);
    let seen = elsewhere.seen().to_lowercase();
    assert!(!seen.contains(SECRET) && !seen.contains("cf-access"), "{seen}");
}

/// A server that answers every request in one way, and keeps all that it is sent.
struct Listening {
    url: String,
    seen: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Listening {
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        use std::io::{Read, Write};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = std::sync::Arc::<std::sync::Mutex<String>>::default();
        let kept = std::sync::Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                kept.lock().unwrap().push_str(&head);
                client.write_all(answer(&head).as_bytes()).unwrap();
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }
}
