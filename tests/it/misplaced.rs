//! A secret that was typed where something else belongs: no output shows it, and `validate` warns.

use appcred::model::is_name;
use rustix::process::Signal;

use crate::real::{free_port, send};
use crate::shell::{Appcred, Project, Ran};
use crate::watch::eventually;

const SECRETS: &[&str] = &[
    "4f5c0a8812d04f5c9e21b7d3a6f0c4e1",
    "GOCSPX-a1b2_c3d4e5f6",
    "hunter2hunter2",
    "XkcdQwErTyUiOpAsDfGh",
    "qzkxwvbnmplkjhgfdsrt",
];
const FORMATS: &[&str] = &["text", "json", "markdown", "github", "gitlab", "junit", "sarif"];

/// Each has a secret for `@`.
const PLACES: &[&str] = &[
    "client_secret: !secret @",
    "client_secret: !secret '@'",
    "client_secret: !secret two @ words",
    "client_secret: !file @",
    "client_secret: !file ./@",
    "client_secret: !env_var @",
    "client_secret: !env_var NAME @",
    "client_secret: !sercet @",
    "client_secret: !@ x",
    "client_secret: {@: x}",
    "client_secret: [@]",
    "client_secret: x, '@': y",
    "client_secret: !secret x, integration: {token_url: '@'}",
    "client_secret: !secret x, integration: {setup: '@'}",
    "client_secret: !secret x, integration: {implementation: '@'}",
    "client_secret: !secret x, integration: {answers: {a: {'@': {[x]: y}}}}",
    "client_secret: !secret x, adopt: '@'",
    "client_secret: !secret x, targets: ['@']",
    "client_secret: !secret x, targets: '@'",
    "client_secret: !secret x, key: '@ @'",
    "client_secret: !secret x, formerly: ['@ @']",
    "client_secret: !secret x, domain: '@'",
];

fn project(place: &str) -> Project {
    let of = if place.contains("domain:") { "" } else { "domain: spotify, " };
    let manifest = format!("application_credentials:\n  - {{{of}client_id: i, {place}}}\n");
    Project::new()
        .file("appcred.yaml", "owner: house\ntargets: {home: {config_dir: ha}}\n")
        .file("credentials/all.yaml", &manifest)
        .file("ha/configuration.yaml", "")
}

#[track_caller]
fn run(project: &Project, arguments: &[&str], secret: &str) -> Ran {
    let ran = Appcred::new().in_dir(project.path()).args(arguments).spawn().finish();
    assert_hidden(&format!("{arguments:?}"), &ran, secret);
    ran
}

#[track_caller]
fn assert_hidden(what: &str, ran: &Ran, secret: &str) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.to_lowercase().contains(&secret.to_lowercase()), "{what}:\n{said}");
}

#[test]
fn no_format_shows_what_may_be_a_secret_and_validate_warns_of_it() {
    for (at, place) in PLACES.iter().enumerate() {
        let secret = SECRETS[at % SECRETS.len()];
        let project = project(&place.replace('@', secret));
        let ran = run(&project, &["validate", "--strict"], secret);
        assert!(ran.status == Some(1), "{place}: {}", ran.stderr);
        for format in FORMATS {
            run(&project, &["validate", "--format", format], secret);
            run(&project, &["plan", "--format", format], secret);
        }
    }
    let tag = |tag: &str, secret: &str| project(&format!("client_secret: !{tag} {secret}"));
    for secret in SECRETS {
        for source in ["secret", "file", "env_var"] {
            let project = tag(source, secret);
            let ran = run(&project, &["plan"], secret);
            let is_plain = ran.stderr.contains("which may be a secret in plain text");
            let is_said = ran.stderr.contains("not shown, since it could be a secret");
            assert!(is_said || is_plain, "{}", ran.stderr);
            let ran = run(&project, &["encrypt", "--recipient", RECIPIENT], secret);
            assert!(ran.status == Some(1), "{}", ran.stdout);
        }
    }
}

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn neither_the_log_nor_the_status_of_a_watcher_shows_it() {
    for place in
        ["client_secret: !secret @", "client_secret: !sercet @", "client_secret: !env_var @"]
    {
        let secret = SECRETS[0];
        let project = project(&place.replace('@', secret));
        let address = format!("127.0.0.1:{}", free_port());
        let watch = ["watch", "--listen", &address, "--log-format", "json"];
        let running = Appcred::new().in_dir(project.path()).args(watch).spawn();
        eventually("the problem is logged", || running.stderr().contains("client_secret"));
        for path in ["", "api/v1/status"] {
            let url = format!("http://{address}/{path}");
            let shows_problem = || {
                let answer = send("GET", &url, &[], None).map(|answer| answer.text);
                let text = answer.unwrap_or_default();
                assert!(!text.contains(secret), "{place}: {text}");
                text.contains("client_secret")
            };
            eventually("the problem is served", shows_problem);
        }
        running.signal(Signal::TERM);
        assert_hidden(place, &running.finish(), secret);
    }
}

#[test]
fn names_are_shown_and_what_a_store_has_is_a_name() {
    for name in ["spotify_client_secret", "spotify-secret", "SPOTIFY_SECRET_2"] {
        assert!(is_name(name));
        for (tag, store) in [("secret", "secrets.yaml"), ("env_var", ""), ("file", "")] {
            let project = project(&format!("client_secret: !{tag} {name}"));
            let ran = Appcred::new().in_dir(project.path()).args(["plan"]).spawn().finish();
            assert!(
                ran.stderr.contains(name) && !ran.stderr.contains("not shown"),
                "{}",
                ran.stderr
            );
            if store.is_empty() {
                continue;
            }
            project.write(store, &format!("{name}: hush\n"));
            Appcred::new().in_dir(project.path()).args(["validate"]).status(0).run();
        }
    }
    let odd = SECRETS[0];
    let project = project(&format!("client_secret: !secret {odd}"));
    project.write("secrets.yaml", &format!("{odd}: hush\n"));
    let ran = Appcred::new().in_dir(project.path()).args(["validate"]).spawn().finish();
    assert!(!ran.stderr.contains("could be the secret itself"), "{}", ran.stderr);
}

#[test]
fn a_token_in_the_place_of_its_file_is_refused_and_not_shown() {
    let web = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhYmNkZWYwMTIzNDU2Nzg5In0.c2lnbmF0dXJl";
    let long = "f4k3Xb91Q7zPk2mW0vR8sT6yU4nJ3hG5dL1cA9eB";
    for token in [web, long] {
        let project =
            Project::new().file("credentials.yaml", "application_credentials: []\n").file(
                "appcred.yaml",
                &format!("targets: {{home: {{url: 'https://ha.example', token_file: {token}}}}}\n"),
            );
        for verb in
            [&["validate"][..], &["plan"], &["list", "--format", "json"], &["edit", "appcred.yaml"]]
        {
            let ran = run(&project, verb, token);
            assert_eq!(ran.status, Some(1), "{verb:?}");
            assert!(
                verb[0] == "edit"
                    || (ran.stdout + &ran.stderr).contains("could be the token itself")
            );
        }
        let bare = Project::new()
            .file("credentials.yaml", "application_credentials: []\n")
            .file("appcred.yaml", "targets: {home: {config_dir: ha}}\n");
        let ran = run(&bare, &["watch", "--listen", "127.0.0.1:0", "--token-file", token], token);
        assert!(ran.stderr.contains("could be the token itself"), "{}", ran.stderr);
        let named = format!("./{token}");
        bare.write(token, "short");
        let ran = Appcred::new()
            .in_dir(bare.path())
            .args(["watch", "--listen", "127.0.0.1:0", "--token-file", &named])
            .spawn()
            .finish();
        assert!(ran.stderr.contains("is too short"), "{}", ran.stderr);
    }
}
