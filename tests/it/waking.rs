//! Asking a watcher for a round: by a program with the token, and by a Git host with its signature.

use std::io::Write;
use std::process::{Command, Stdio};

use appcred::report::schema;
use appcred::status::{Link, TargetStatus};
use rustix::process::Signal;
use serde_json::json;

use crate::real::{Answer, free_port, send, visit};
use crate::serving::{Rules, Served, down, nothing, read, refused, up};
use crate::shell::{Appcred, Project};
use crate::watch::eventually;

const TOKEN: &str = "a-token-of-some-length";
const SECRET: &str = "a-secret-of-some-length";

fn post(served: &Served, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    send("POST", &served.url(path), headers, Some(body.to_owned())).unwrap()
}

/// A signature as a Git host makes it, by another implementation.
pub(crate) fn signature(secret: &str, body: &str) -> String {
    let program = "import hmac, sys; print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), 'sha256').hexdigest())";
    let mut child = Command::new("python3")
        .args(["-c", program, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_program_asks_for_a_round_of_one_target_or_of_all() {
    let status = read(vec![
        ("home", up(Vec::new())),
        ("cabin", down("no route")),
        ("barn", refused(Vec::new())),
        ("shed", TargetStatus { link: Link::Suspended, ..up(Vec::new()) }),
    ]);
    let mut served = Served::with(status, Rules { token: Some(TOKEN), ..Rules::default() });
    let bearer = format!("Bearer {TOKEN}");
    let with_token = [("Authorization", bearer.as_str())];
    let path = "/api/v1/reconcile";

    for headers in [&[][..], &[("Authorization", "Bearer another-token-of-length")]] {
        assert_eq!(post(&served, path, headers, "").status, 401);
    }
    let foreign = [with_token[0], ("Origin", "https://elsewhere.example")];
    assert_eq!(post(&served, path, &foreign, "").status, 403);
    assert_eq!(send("GET", &served.url(path), &with_token, None).unwrap().status, 405);
    let unknown = post(&served, "/api/v1/reconcile?target=barnn", &with_token, "");
    assert_eq!(unknown.status, 404, "{}", unknown.text);
    let misspelt = post(&served, "/api/v1/reconcile?targets=home", &with_token, "");
    assert_eq!(misspelt.status, 400, "{}", misspelt.text);
    assert_eq!(served.woken(), None);

    let one = post(&served, "/api/v1/reconcile?target=cabin", &with_token, "");
    assert_eq!((one.status, &one.value()["started"]), (202, &json!(["cabin"])), "{}", one.text);
    assert_eq!(served.woken().unwrap(), ["cabin"]);
    let all = post(&served, path, &with_token, "");
    assert_eq!((all.status, &all.value()["started"]), (202, &json!(["cabin", "home"])));
    let left_out = json!([
        {"target": "barn", "why": "it refuses the access, which is tried again when the access token changes, or what is wanted there"},
        {"target": "shed", "why": "it is suspended, so nothing is done there"},
    ]);
    assert_eq!(all.value()["left_out"], left_out);
    assert_eq!(served.woken().unwrap(), ["cabin", "home"]);
    let suspended = post(&served, "/api/v1/reconcile?target=shed", &with_token, "").value();
    assert_eq!(
        (&suspended["started"], suspended["left_out"].as_array().unwrap().len()),
        (&json!([]), 1)
    );
    assert_eq!(served.woken().unwrap(), [""; 0]);
    let validator = jsonschema::validator_for(&schema::reconcile().into()).unwrap();
    assert!(validator.is_valid(&all.value()), "{}", all.text);

    assert_eq!(post(&served, path, &with_token, "").status, 202, "also soon after another one");
    assert_eq!(served.woken().unwrap(), ["cabin", "home"]);
}

#[test]
fn a_git_host_wakes_by_its_signature_alone() {
    let rules = Rules { token: Some(TOKEN), hook: Some(SECRET), ..Rules::default() };
    let mut served = Served::with(read(vec![("home", up(Vec::new()))]), rules);
    let path = "/api/v1/hook";
    let body =
        format!("{{\"ref\": \"refs/heads/main\", \"commits\": \"{}\"}}", "x".repeat(100_000));
    let right = signature(SECRET, &body);
    let github = format!("sha256={right}");
    let of_another = format!("sha256={}", signature("another-secret-of-length", &body));
    let of_other_body = format!("sha256={}", signature(SECRET, "{}"));
    let bearer = format!("Bearer {TOKEN}");
    for headers in [
        &[][..],
        &[("X-Hub-Signature-256", of_another.as_str())],
        &[("X-Hub-Signature-256", of_other_body.as_str())],
        &[("Authorization", bearer.as_str())],
    ] {
        let answer = post(&served, path, headers, &body);
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text);
        assert!(!answer.text.contains(SECRET));
    }
    assert_eq!(served.woken(), None);
    let pushed = post(
        &served,
        path,
        &[("X-Hub-Signature-256", &github), ("Host", "appcred.example")],
        &body,
    );
    assert_eq!(
        (pushed.status, &pushed.value()["started"]),
        (202, &json!(["home"])),
        "{}",
        pushed.text
    );
    assert_eq!(served.woken().unwrap(), ["home"]);
    for header in [("X-Gitea-Signature", right.as_str()), ("X-Gitlab-Token", SECRET)] {
        assert_eq!(
            post(&served, path, &[header], &body).status,
            202,
            "also soon after another one"
        );
        assert_eq!(served.woken().unwrap(), ["home"]);
    }
    let wrong = || post(&served, path, &[("X-Gitlab-Token", "x")], &body).status;
    assert_eq!([(); 6].map(|()| wrong()), [401, 401, 401, 401, 401, 429]);
    let right = [("X-Gitlab-Token", SECRET)];
    assert_eq!(post(&served, path, &right, &body).status, 202, "the wrong ones shut nobody out");
    assert_eq!(wrong(), 401);
    let larger = "x".repeat(300_000);
    assert_eq!(post(&served, path, &[("X-Gitlab-Token", SECRET)], &larger).status, 413);

    let without = Served::start(nothing());
    let answer = post(&without, path, &[("X-Hub-Signature-256", &github)], &body);
    assert_eq!(answer.status, 404, "{}", answer.text);
}

#[test]
fn a_webhook_is_faster_than_the_next_look_at_files() {
    let stored = r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": []}}"#;
    let accounts = r#"{"version": 1, "key": "core.config_entries", "data": {"entries": []}}"#;
    let project = Project::new()
        .file("appcred.yaml", "targets:\n  house: {config_dir: ha}\n")
        .file("credentials/a.yaml", "application_credentials: []\n")
        .file("ha/.storage/application_credentials", stored)
        .file("ha/.storage/core.config_entries", accounts)
        .file("hook", SECRET);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let listen = format!("--listen=127.0.0.1:{port}");
    let watch = Appcred::new().in_dir(project.path()).env("S", "m4rk3d-secret");
    let arguments = ["watch", &listen, "--poll", "86400", "--resync", "86400"];
    let running = watch.args(arguments).args(["--hook-secret-file", "hook"]).spawn();
    let ready = format!("{url}/readyz");
    eventually("ready", || send("GET", &ready, &[], None).is_ok_and(|answer| answer.status == 200));
    let entry = "application_credentials:\n  - {domain: spotify, client_id: one, client_secret: !env_var S}\n";
    project.write("credentials/a.yaml", entry);
    let signed = format!("sha256={}", signature(SECRET, "{}"));
    let headers = [("X-Hub-Signature-256", signed.as_str()), ("Content-Type", "application/json")];
    let answer = send("POST", &format!("{url}/api/v1/hook"), &headers, Some("{}".into())).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let history = || visit(&format!("{url}/api/v1/status")).value()["history"].clone();
    eventually("it is created", || history()[0]["result"] == "done");
    running.signal(Signal::TERM);
    let ran = running.finish();
    assert_eq!(ran.status, Some(0));
    assert!(
        ran.stderr.contains("asked for a round") && !ran.stderr.contains(SECRET),
        "{}",
        ran.stderr
    );
}
