//! `doctor`: what is there, what is not, and what to do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use appcred::files::FileLock;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::real::{HomeAssistant, Release, each_release};
use crate::shell::{Appcred, Project, age_identity, encrypt};

const TOKEN: &str = "HASS_TOKEN";

/// The result of a check, what was seen, and what to do.
type Seen = (String, String, String);

/// All checks of this code.
fn seen(report: &Value, code: &str) -> Vec<Seen> {
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    checks
        .filter(|check| check["check"] == code)
        .map(|check| (text(check, "result"), text(check, "seen"), text(check, "help")))
        .collect()
}

/// The only check of this code: its result, and what was seen.
#[track_caller]
fn only(report: &Value, code: &str) -> (String, String) {
    let [(result, seen, _)] = &seen(report, code)[..] else { panic!("{code}: {report:#}") };
    (result.clone(), seen.clone())
}

#[track_caller]
fn examined(appcred: Appcred, status: i32) -> Value {
    let ran = appcred.args(["doctor", "--format", "json"]).status(status).run();
    serde_json::from_str(&ran.stdout).unwrap()
}

fn house(url: &str, fields: &str) -> Project {
    Project::new()
        .file("appcred.yaml", &format!("owner: us\ntargets:\n  home: {{url: \"{url}\", token: !env_var {TOKEN}{fields}}}\n"))
        .file("credentials.yaml", "application_credentials:\n  - {domain: spotify, client_id: one, client_secret: !env_var A_SECRET}\n")
}

fn doctor(project: &Project, token: &str) -> Appcred {
    let appcred = Appcred::new().in_dir(project.path());
    appcred.env(TOKEN, token).env("A_SECRET", "m4rk3d-secret")
}

/// TLS before a server on this machine, with a certificate that ends then, and a clock that is ahead.
struct TlsProxy {
    url: String,
    ca_file: PathBuf,
    _folder: TempDir,
}

impl TlsProxy {
    fn start(to: &str, ends: Timestamp, ahead: SignedDuration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let day = ends.to_zoned(TimeZone::UTC).date();
        let [month, day_of_month] = [day.month(), day.day()].map(|part| part.try_into().unwrap());
        params.not_after = rcgen::date_time_ymd(day.year().into(), month, day_of_month);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let ca_file = folder.path().join("ca.pem");
        fs::write(&ca_file, certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config =
            ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
        let listener = std::net::TcpListener::bind("localhost:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let to = to.trim_start_matches("http://").to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        thread::spawn(move || {
            runtime.block_on(serve(listener, TlsAcceptor::from(Arc::new(config)), to, ahead));
        });
        Self { url, ca_file, _folder: folder }
    }

    fn fields(&self) -> String {
        format!(", ca_file: \"{}\"", self.ca_file.display())
    }
}

async fn serve(
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    to: String,
    ahead: SignedDuration,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((client, _)) = listener.accept().await {
        let (acceptor, to) = (acceptor.clone(), to.clone());
        // A client that does not accept the certificate goes away.
        tokio::spawn(async move { drop(carry(acceptor, client, &to, ahead).await) });
    }
}

/// Carries one connection, whose first answer gets another date.
async fn carry(
    acceptor: TlsAcceptor,
    client: TcpStream,
    to: &str,
    ahead: SignedDuration,
) -> std::io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(to).await?;
    let mut head = vec![0; 16 * 1024];
    let length = client.read(&mut head).await?;
    server.write_all(&head[..length]).await?;
    let length = server.read(&mut head).await?;
    let answer = String::from_utf8_lossy(&head[..length]).into_owned();
    let at = answer.find("Date: ").expect("Home Assistant says what time it is") + "Date: ".len();
    let end = at + answer[at..].find('\r').unwrap();
    let date = (Timestamp::now() + ahead).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    client.write_all(&head[..at]).await?;
    client.write_all(date.as_bytes()).await?;
    client.write_all(&head[end..length]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

each_release!(a_house_is_examined);
fn a_house_is_examined(release: Release) {
    let mut ha = HomeAssistant::start(release);
    let project = house(&ha.url(), "");
    let ran = doctor(&project, ha.token()).args(["doctor"]).run();
    assert!(ran.stdout.contains("\n0 errors, 0 warnings, "), "{}", ran.stdout);
    for secret in [ha.token(), "m4rk3d-secret"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));
    }
    let report = examined(doctor(&project, ha.token()), 0);
    for code in ["reach", "clock", "token", "administrator", "release", "running", "redirect_uri"] {
        assert_eq!(only(&report, code).0, "ok", "{report:#}");
    }
    let (_, version) = only(&report, "release");
    assert!(version.starts_with(&format!("Home Assistant {}.", release.name())), "{version}");
    let uri = format!("{}/auth/external/callback, to be registered for 1 entry", ha.url());
    assert_eq!(only(&report, "redirect_uri").1, uri);

    let report = examined(doctor(&project, ha.guest_token()), 1);
    assert_eq!(only(&report, "token").0, "ok");
    assert_eq!(only(&report, "administrator").0, "error");
    assert_eq!(only(&report, "running").0, "skipped");

    let report = examined(doctor(&project, "n0t-a-token"), 1);
    assert_eq!(only(&report, "reach").0, "ok");
    let (result, why) = only(&report, "token");
    assert!(result == "error" && why.contains("appcred.yaml:3:"), "{why}");
    assert!(!report.to_string().contains("n0t-a-token"));
    assert_eq!(only(&report, "administrator").0, "skipped");

    let tls = TlsProxy::start(&ha.url(), in_days(5), SignedDuration::from_hours(1));
    let behind_tls = house(&tls.url, &tls.fields());
    let report = examined(doctor(&behind_tls, ha.token()), 0);
    assert_eq!(only(&report, "certificate").0, "warning", "{report:#}");
    let (result, why) = only(&report, "clock");
    assert!(result == "warning" && why.contains("ahead of"), "{why}");
    assert_eq!(only(&report, "administrator").0, "ok");
    doctor(&behind_tls, ha.token()).args(["doctor", "--strict"]).status(1).run();

    let tls = TlsProxy::start(&ha.url(), in_days(60), SignedDuration::from_hours(-1));
    // Without its authority the certificate is unknown; the token is not sent.
    let report = examined(doctor(&house(&tls.url, ""), ha.token()), 1);
    assert!(only(&report, "reach").1.contains("UnknownIssuer"), "{report:#}");
    let report = examined(doctor(&house(&tls.url, &tls.fields()), ha.token()), 0);
    assert_eq!(only(&report, "certificate").0, "ok");
    assert!(only(&report, "clock").1.contains("behind"), "{report:#}");

    let tls = TlsProxy::start(&ha.url(), in_days(-5), SignedDuration::ZERO);
    let report = examined(doctor(&house(&tls.url, &tls.fields()), ha.token()), 1);
    assert!(only(&report, "reach").1.contains("certificate has expired"), "{report:#}");

    ha.kill();
    let ran = doctor(&project, ha.token()).args(["doctor"]).status(1).run();
    let (_, house) = ran.stdout.split_once("\nhome\n").unwrap();
    let lines: Vec<&str> = house.lines().take_while(|line| !line.is_empty()).collect();
    let [down, watcher] = lines[..] else { panic!("{house}") };
    assert!(down.starts_with("error    reach: ") && watcher.contains("watcher"), "{house}");
    let sum = ran.stdout.lines().last().unwrap();
    assert!(sum.contains(" skipped (") && sum.contains("token, "), "{sum}");
    let all = doctor(&project, ha.token()).args(["doctor", "-v"]).status(1).run().stdout;
    assert!(all.contains("skipped  token: it is not reached"), "{all}");
}

/// A project with a folder as its target, and a secret for this recipient.
fn encrypted(recipient: &age::x25519::Recipient) -> Project {
    let armored = encrypt("m4rk3d-secret", recipient).replace('\n', "\n      ");
    let project = "owner: us\ntargets: {lab: {config_dir: lab}}\nage: {recipients: [RECIPIENT], identities: [key.txt]}\n";
    let manifest = format!(
        "application_credentials:\n  - domain: spotify\n    client_id: one\n    client_secret: |\n      {armored}\n"
    );
    Project::new()
        .file("appcred.yaml", &project.replace("RECIPIENT", &recipient.to_string()))
        .file("credentials.yaml", &manifest)
}

#[test]
fn identities_are_found_and_open_what_is_encrypted_or_not() {
    let (identity, recipient) = age_identity();
    let project = encrypted(&recipient);
    let appcred = || Appcred::new().in_dir(project.path());
    let report = examined(appcred(), 1);
    let [(missing, why, _)] = &seen(&report, "identities")[..] else { panic!("{report:#}") };
    assert!(missing == "warning" && why.contains("key.txt"), "{why}");
    let [(result, why, help)] = &seen(&report, "secrets")[..] else { panic!("{report:#}") };
    assert!(result == "error" && why.starts_with("credentials.yaml:5:"), "{why}");
    assert!(help.contains("APPCRED_AGE_IDENTITY"), "{help}");

    project.write("key.txt", &identity);
    fs::set_permissions(project.join("key.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    let report = examined(appcred(), 0);
    let (result, found) = only(&report, "identities");
    assert!(result == "warning" && found.contains("others on this machine may read"), "{found}");
    fs::set_permissions(project.join("key.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    let report = examined(appcred(), 0);
    let (result, found) = only(&report, "identities");
    assert!(result == "ok" && found.contains("(mode 600) holds 1 identity: `age1"), "{found}");
    assert_eq!(only(&report, "secrets").1, "1 secret can be read");
    let named = "appcred.yaml names 1 recipient, 1 of them with an identity found here";
    assert_eq!(only(&report, "recipients").1, named);

    let (other, _) = age_identity();
    project.write("key.txt", &other);
    let report = examined(appcred(), 1);
    assert_eq!(only(&report, "recipients").0, "warning", "{report:#}");
    assert!(!report.to_string().contains(&other) && !report.to_string().contains("m4rk3d"));
}

#[test]
fn the_project_its_manifests_and_its_programs_are_looked_at_without_starting_any() {
    let report = examined(Appcred::new(), 1);
    let [(result, _, help)] = &seen(&report, "project")[..] else { panic!("{report:#}") };
    assert!(result == "warning" && help.contains("appcred init"), "{report:#}");
    assert_eq!(only(&report, "targets").0, "error");

    let project = Project::new()
        .file("appcred.yaml", "owner: us\ntargets: {lab: {config_dir: lab}}\nsources: {here: {command: [./ask, \"{}\"]}, gone: {command: [no-such-program, \"{}\"]}}\n")
        .file("ask", "#!/bin/sh\ntouch was-run\n")
        .file("credentials.yaml", "application_credentials:\n  - {domain: spotfy, client_id: one, client_secret: !from here x}\n");
    fs::set_permissions(project.join("ask"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(project.join("deep")).unwrap();
    fs::create_dir(project.join(".git")).unwrap();
    let report = examined(Appcred::new().in_dir(&project.join("deep")), 1);
    let file = project.path().canonicalize().unwrap().join("appcred.yaml");
    assert_eq!(only(&report, "project").1, format!("{}, of the owner us", file.display()));
    let (result, seen_of_manifests) = only(&report, "manifests");
    assert_eq!(seen_of_manifests, "1 entry in 1 manifest: 1 error, 0 warnings");
    assert_eq!(result, "error");
    let sources = seen(&report, "sources");
    let [(gone, _, _), (here, _, _)] = &sources[..] else { panic!("{sources:?}") };
    assert_eq!((gone.as_str(), here.as_str()), ("error", "ok"));
    assert_eq!(only(&report, "secrets").0, "skipped");
    assert!(!project.join("was-run").exists(), "a source's program was started");
    assert_eq!(only(&report, "storage").0, "ok");
    assert!(!project.join("lab").exists(), "the target was changed");

    Appcred::new().in_dir(project.path()).args(["doctor", "-t", "lob"]).status(1).stdout("").run();
}

#[test]
fn what_holds_a_target_is_named() {
    let (identity, recipient) = age_identity();
    let project =
        encrypted(&recipient).file("key.txt", &identity).file("lab/configuration.yaml", "");
    let state = tempfile::tempdir().unwrap();
    let appcred = || {
        let state = state.path().display().to_string();
        Appcred::new().in_dir(project.path()).env("XDG_STATE_HOME", state)
    };
    let watching = state.path().join("appcred/watching");
    let report = examined(appcred(), 0);
    assert_eq!(only(&report, "watcher").1, "nobody on this machine watches it");
    assert!(!watching.exists(), "looking made a folder");
    assert!(only(&report, "state_folder").1.ends_with("will be made when it is needed"));

    let watcher = appcred().args(["watch", "--log-format", "json"]).spawn();
    let process = format!("it is watched by process {} since ", watcher.id());
    crate::watch::eventually("it watches", || {
        only(&examined(appcred(), 0), "watcher").1.starts_with(&process)
    });
    watcher.signal(rustix::process::Signal::TERM);
    let _ = watcher.finish();
}

#[test]
fn a_folder_on_which_home_assistant_runs_cannot_be_written() {
    let (identity, recipient) = age_identity();
    let project = encrypted(&recipient).file("key.txt", &identity);
    project.write("lab/.ha_run.lock", "{\"pid\": 7, \"ha_version\": \"2026.11.0\"}\n");
    assert_eq!(only(&examined(Appcred::new().in_dir(project.path()), 0), "running").0, "ok");
    let _running = FileLock::existing(&project.join("lab/.ha_run.lock")).unwrap().unwrap();
    let (result, why) = only(&examined(Appcred::new().in_dir(project.path()), 1), "running");
    assert!(result == "error" && why.contains("2026.11.0, process 7"), "{why}");
}
