//! Every field that may hold a secret is handled by every verb: the webhook as well as
//! a token or a client secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::real::{free_port, send};
use crate::shell::{Appcred, Project, age_identity, encrypt};
use crate::watch::{Folder, eventually};

/// Addresses in the forms that a project file takes them.
const ONE: &str = "https://hooks.example/one-m4rk3d";
const TWO: &str = "https://hooks.example/two-m4rk3d";

fn project(recipient: &str, fields: &str) -> Project {
    let targets =
        if fields.contains("targets:") { "" } else { "targets: {lab: {config_dir: ha}}\n" };
    let file = format!("{targets}age: {{recipients: [{recipient}]}}\n{fields}");
    Project::new()
        .file("appcred.yaml", &file)
        .file("credentials/a.yaml", "application_credentials: []\n")
}

fn text(project: &Project) -> String {
    fs::read_to_string(project.join("appcred.yaml")).unwrap()
}

#[test]
fn the_address_of_a_webhook_is_encrypted_reencrypted_and_edited() {
    check_handled(
        "webhook",
        &[
            format!("notify: {{webhook: \"{ONE}\"}}\n"),
            format!("notify:\n  webhook: {ONE}   # mine\n"),
            format!(
                "notify:\n  - home_assistant\n  - webhook: {ONE}\n  - {{webhook: \"{TWO}\"}}\n"
            ),
        ],
    );
}

#[test]
fn the_headers_of_a_target_are_encrypted_reencrypted_and_edited() {
    let home = "targets:\n  home:\n    url: https://ha.example\n";
    check_handled(
        "header",
        &[
            format!("{home}    headers: {{X-Id: one-m4rk3d, X-Key: \"two-m4rk3d\"}}\n"),
            format!(
                "{home}    headers:\n      X-Id: one-m4rk3d   # mine\n      name: two-m4rk3d\n"
            ),
            "targets: {home: {url: 'https://ha.example', headers: {X: one-m4rk3d}}}\n".to_owned(),
        ],
    );
}

#[track_caller]
fn check_handled(noun: &str, forms: &[String]) {
    let [ours, theirs] = [(); 2].map(|()| age_identity());
    for notify in forms {
        let project = project(&ours.1.to_string(), notify);
        let appcred =
            |identity: &str| Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", identity);
        let count = notify.matches("m4rk3d").count();
        let told = |what: &str| {
            let noun = if count == 1 { "secret" } else { "secrets" };
            format!("appcred.yaml: {count} {noun} {what}\n")
        };

        appcred(&ours.0).args(["encrypt"]).stdout(&told("encrypted")).run();
        assert!(!text(&project).contains("m4rk3d"), "{notify}");

        let to_both = text(&project)
            .replace(&format!("[{}]", ours.1), &format!("[{}, {}]", ours.1, theirs.1));
        project.write("appcred.yaml", &to_both);
        let said = appcred(&ours.0).args(["validate"]).run().stderr;
        let warned = format!("this {noun} is encrypted to 1 `age1…` recipient");
        assert_eq!(said.matches(&warned).count(), count, "{said}");

        appcred(&ours.0).args(["rekey"]).stdout(&told("encrypted again")).run();
        appcred(&theirs.0).args(["validate"]).stderr("").run();

        let editor = project.join("editor.sh");
        fs::write(&editor, "#!/bin/sh\nsed -i s/one-m4rk3d/new-m4rk3d/ \"$1\"\n").unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        appcred(&theirs.0)
            .args(["edit", "appcred.yaml"])
            .env("PATH", "/usr/bin:/bin")
            .env("EDITOR", &editor)
            .stdout("Saved appcred.yaml.\n")
            .run();
        assert!(!text(&project).contains("m4rk3d"), "{}", text(&project));
        appcred(&theirs.0).args(["rekey"]).stderr("").run();
    }
}

#[test]
fn an_address_in_plain_text_stays_so_while_something_else_is_edited() {
    let (_, recipient) = age_identity();
    let project = project(&recipient.to_string(), &format!("notify: {{webhook: \"{ONE}\"}}\n"));
    let editor = project.join("editor.sh");
    fs::write(&editor, "#!/bin/sh\necho '# more' >> \"$1\"\n").unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let edit = Appcred::new().in_dir(project.path()).args(["edit", "appcred.yaml"]);
    edit.env("PATH", "/usr/bin:/bin").env("EDITOR", &editor).run();
    assert!(text(&project).contains(ONE) && text(&project).ends_with("# more\n"));
}

#[test]
fn the_file_that_a_webhook_names_is_encrypted_again() {
    let [ours, theirs] = [(); 2].map(|()| age_identity());
    let both = format!("{}, {}", ours.1, theirs.1);
    let project = project(&both, "notify: {webhook: !file hook.age}\n")
        .file("hook.age", &encrypt(ONE, &ours.1));
    let appcred = || Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", &ours.0);
    let said = appcred().args(["validate"]).run().stderr;
    assert!(said.contains("this file `hook.age` is encrypted to 1 `age1…` recipient"), "{said}");
    appcred().args(["rekey"]).stdout("hook.age: 1 secret encrypted again\n").run();
}

#[test]
fn a_damaged_address_of_a_webhook_is_an_error() {
    let (_, recipient) = age_identity();
    let whole = encrypt(ONE, &recipient);
    let damaged = whole.replace("-----END AGE ENCRYPTED FILE-----", "");
    let project = project(&recipient.to_string(), &format!("notify: {{webhook: {damaged:?}}}\n"));
    let said = Appcred::new().in_dir(project.path()).args(["validate"]).status(1).run().stderr;
    assert!(said.contains("cannot read this webhook: the age file is damaged"), "{said}");
}

const HOOK: &str =
    "https://joe:m4rk3d-pw@hooks.example/T0/m4rk3d-path/4f5c0a?key=m4rk3d-query#m4rk3d-end";

/// Wherever it is written, and whatever is wrong around it.
#[test]
fn the_address_of_a_webhook_is_shown_nowhere() {
    let address = HOOK.replace("joe:m4rk3d-pw@", "");
    for form in [
        "notify: {webhook: 'HOOK'}\nunknown: 1\n",
        "notify: [{url: 'HOOK'}]\n",
        "notify: {url: 'HOOK', webhook: 'HOOK', name: 'HOOK'}\n",
        "notify: ['HOOK']\n",
        "notify: 'HOOK'\n",
        "notfy: [{url: 'HOOK'}]\n",
        "webhook: 'HOOK'\n",
        "url: 'HOOK'\n",
        "notify:\n  - name: HOOK\n  - url: HOOK\n  - client_id: HOOK\n  - token_url: HOOK\n",
        "notify:\n  - url: HOOK\n    broken: [\n",
        "notify:\n  - name: HOOK\n    broken: [\n",
        "notify: [{url: 'HOOK',\n  broken\n",
        "notify: {webhook: ['HOOK']}\n",
        "notify: {webhook: !secret 'HOOK'}\n",
        "notify: {webhook: !file 'HOOK'}\n",
        "notify: {webhook: !secrt 'HOOK'}\n",
        "notify: {'HOOK': x}\n",
        "notify: {webhook: HOOK HOOK}\n",
        "manifests: ['HOOK']\n",
        "custom_integrations: ['HOOK']\n",
        "policy: {max_deletes: 'HOOK'}\n",
        "age: {recipients: ['HOOK'], identities: ['HOOK']}\n",
        "application_credentials: [{domain: spotify, name: 'HOOK'}]\n",
        "unknown: 1 # notify: HOOK\n",
    ] {
        for hook in [HOOK, &address] {
            let text =
                format!("targets: {{lab: {{config_dir: ha}}}}\n{}", form.replace("HOOK", hook));
            let project = Project::new()
                .file("appcred.yaml", &text)
                .file("credentials/a.yaml", "application_credentials: []\n");
            for verb in ["validate", "plan", "apply --yes", "list", "validate --format json"] {
                let appcred = Appcred::new().in_dir(project.path()).args(verb.split(' '));
                let ran = appcred.env("RUST_LOG", "trace").env("NO_COLOR", "1").spawn().finish();
                let all = ran.stdout + &ran.stderr;
                for secret in ["m4rk3d", "T0", "4f5c0a"] {
                    assert!(!all.contains(secret), "{verb}: {text}{all}");
                }
            }
        }
    }
}

/// Addresses that are no secrets are what a message is about.
#[test]
fn other_addresses_stay_readable() {
    let project = Project::new()
        .file("appcred.yaml", "targets:\n  lab: {url: 'http://ha.example/house/a1b2', tokn: x}\n")
        .file(
            "credentials/a.yaml",
            "application_credentials:\n  - {domain: spotify, client_id: a, client_secret: !secret s,\n     integration: {token_url: 'http://p.example/oauth/v2/a1b2/token',\n       authorize_url: 'http://p.example/oauth/v2/a1b2'}}\n",
        );
    let said = Appcred::new().in_dir(project.path()).args(["validate"]).status(1).run().stderr;
    for address in ["/house/a1b2", "/oauth/v2/a1b2/token'", "/oauth/v2/a1b2'"] {
        assert!(said.contains(address), "{said}");
    }
}

#[test]
fn a_watcher_shows_no_address_of_a_webhook() {
    let scene = Folder::new();
    let hook = HOOK.replace("https", "http").replace("hooks.example", "127.0.0.1:9");
    let project = format!(
        "targets: {{lab: {{config_dir: ha}}}}\nnotify: [{{webhook: '{hook}'}}, {{webhook: 'ftp://m4rk3d-path'}}]\n"
    );
    // A file in the place of the folder is an error, of which webhooks are notified.
    scene.project.write("ha", "");
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    for text in [project.replace(", {webhook: 'ftp://m4rk3d-path'}", ""), project] {
        scene.project.write("appcred.yaml", &text);
        let listen = format!("--listen=127.0.0.1:{port}");
        let watch = scene.appcred(&["watch", &listen, "-vv"]).env("RUST_LOG", "trace");
        let running = watch.spawn();
        let is_tried = || running.stderr().contains("webhook 1 did not accept");
        let is_refused = || running.stderr().contains("nothing new is applied until this is fixed");
        eventually("the webhook is tried or refused", || is_tried() || is_refused());
        for path in ["/", "/metrics", "/api/v1/status", "/readyz"] {
            // Where the watcher has ended, there is no page.
            let page = send("GET", &format!("{url}{path}"), &[], None);
            let page = page.map(|page| page.text).unwrap_or_default();
            assert!(!page.contains("m4rk3d"), "{path}: {page}");
        }
        running.signal(Signal::TERM);
        let ran = running.finish();
        let all = ran.stdout + &ran.stderr;
        assert!(!all.contains("m4rk3d"), "{all}");
    }
}

#[test]
fn an_encrypted_client_key_stays_whole() {
    let [ours, theirs] = [(); 2].map(|()| age_identity());
    let key = "-----BEGIN PRIVATE KEY-----\none-m4rk3d\ntwo-m4rk3d\n-----END PRIVATE KEY-----";
    let sealed = encrypt(key, &ours.1).trim_end().replace('\n', "\n      ");
    let target = format!(
        "targets:\n  home:\n    url: https://ha.example\n    client_certificate: a.pem\n    client_key: |\n      {sealed}\n"
    );
    let project = project(&format!("{}, {}", ours.1, theirs.1), &target);
    let appcred =
        |identity: &str| Appcred::new().in_dir(project.path()).env("SOPS_AGE_KEY", identity);
    appcred(&ours.0).args(["rekey"]).stdout("appcred.yaml: 1 secret encrypted again\n").run();
    let editor = project.join("editor.sh");
    let script =
        "#!/bin/sh\ngrep -q 'two-m4rk3d' \"$1\" && sed -i s/one-m4rk3d/new-m4rk3d/ \"$1\"\n";
    fs::write(&editor, script).unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let edit = appcred(&theirs.0).args(["edit", "appcred.yaml"]).env("PATH", "/usr/bin:/bin");
    edit.env("EDITOR", &editor).stdout("Saved appcred.yaml.\n").run();
    assert!(!text(&project).contains("m4rk3d"), "{}", text(&project));
    let said = appcred(&theirs.0).args(["validate"]).run().stderr;
    assert!(said.contains("client certificate a.pem") && !said.contains("encrypted to"), "{said}");
}

#[test]
fn a_path_of_a_client_key_is_no_secret() {
    let (_, recipient) = age_identity();
    let target = "targets: {home: {url: 'https://a', client_certificate: a.pem, client_key: a.key, proxy: 'http://b'}}\n";
    let project = project(&recipient.to_string(), target);
    let appcred = || Appcred::new().in_dir(project.path());
    let before = text(&project);
    appcred().args(["encrypt"]).run();
    assert_eq!(text(&project), before);
    let said = appcred().args(["validate"]).run().stderr;
    assert!(said.contains("1 warning") && !said.contains("plain text"), "{said}");
}
