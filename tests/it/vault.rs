//! Secrets behind Vault: SOPS documents whose key only its transit engine opens, and its own secrets by `!from`.

use std::fs;
use std::process::Command;

use crate::real::{OpenBao, SOPS};
use crate::shell::{Appcred, Project};

const MANIFEST: &str = "application_credentials:
  - {domain: spotify, client_id: client-1, client_secret: hunter1}
";

/// A project whose manifest is encrypted to the transit key `house`.
struct Scene {
    project: Project,
    server: OpenBao,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { project: Project::new(), server: OpenBao::start() };
        scene.server.run(&["write", "-f", "transit/keys/house"]);
        scene.project.write("credentials.yaml", MANIFEST);
        let key = format!("{}/v1/transit/keys/house", scene.server.address());
        let made = Command::new(SOPS)
            .args(["--disable-version-check", "encrypt", "--in-place", "--hc-vault-transit", &key])
            .args(["--encrypted-regex", "^client_secret$", "credentials.yaml"])
            .current_dir(scene.project.path())
            .env("VAULT_TOKEN", scene.server.root_token())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let encrypted = fs::read_to_string(scene.project.join("credentials.yaml")).unwrap();
        assert!(encrypted.contains("hc_vault:") && !encrypted.contains("hunter1"), "{encrypted}");
        scene
    }

    fn allow(&self, environment: &str) {
        let text = format!(
            "targets: {{lab: {{config_dir: ha}}}}\nsops_program: {{command: ['{SOPS}']{environment}}}\n"
        );
        self.project.write("appcred.yaml", &text);
    }

    fn appcred(&self, arguments: &str, token: &str) -> Appcred {
        let appcred = Appcred::new().in_dir(self.project.path()).args(arguments.split(' '));
        appcred.env("PATH", "/usr/bin:/bin").env("VAULT_TOKEN", token)
    }

    #[track_caller]
    fn refused(&self, token: &str) -> String {
        let said = self.appcred("plan", token).status(1).run().stderr;
        assert!(!said.contains(token) && !said.contains("hunter1"), "{said}");
        said
    }
}

fn held(project: &Project) -> String {
    fs::read_to_string(project.join("ha/.storage/application_credentials")).unwrap()
}

#[test]
fn a_document_whose_key_vaults_transit_engine_has_is_decrypted_by_sops() {
    let scene = Scene::new();
    let token = scene.server.token("transit/decrypt/house", "update");
    scene.project.write("appcred.yaml", "targets: {lab: {config_dir: ha}}\n");
    let said = scene.refused(&token);
    assert!(said.contains("it is encrypted to HashiCorp Vault and to no age recipient"), "{said}");
    assert!(said.contains("write `sops_program: {command: [sops]}` in appcred.yaml"), "{said}");

    // Without the token in its environment SOPS cannot ask the server.
    scene.allow("");
    let said = scene.refused(&token);
    assert!(said.contains("list them under `environment` of `sops_program`"), "{said}");

    scene.allow(", environment: [VAULT_TOKEN]");
    scene.appcred("apply --yes", &token).run();
    assert!(held(&scene.project).contains("\"hunter1\""), "{}", held(&scene.project));
    let again = scene.appcred("plan --detailed-exitcode", &token).run().stdout;
    assert!(!again.contains("hunter1") && !again.contains(&token), "{again}");
}

#[test]
fn why_vault_does_not_open_a_document_is_said() {
    let scene = Scene::new();
    scene.allow(", environment: [VAULT_TOKEN]");
    let token = scene.server.token("transit/encrypt/house", "update");
    let said = scene.refused(&token);
    assert!(said.contains("Code: 403") && said.contains("permission denied"), "{said}");
    assert!(said.contains("transit/decrypt/house"), "it says what was asked for: {said}");

    let token = scene.server.token("transit/decrypt/house", "update");
    scene.server.run(&["write", "-f", "transit/keys/house/rotate"]);
    scene.appcred("plan", &token).run();
    let newest = ["write", "transit/keys/house/config", "min_decryption_version=2"];
    scene.server.run(&newest);
    let said = scene.refused(&token);
    assert!(said.contains("ciphertext or signature version is disallowed by policy"), "{said}");

    scene.server.run(&["operator", "seal"]);
    let said = scene.refused(&token);
    assert!(said.contains("Code: 503") && said.contains("sealed"), "{said}");
}

#[test]
fn a_source_reads_secrets_from_vault() {
    let server = OpenBao::start();
    for number in 1..=2 {
        let value = format!("value=hunter{number}");
        server.run(&["kv", "put", "-mount=secret", &format!("house/{number}"), &value]);
    }
    let token = server.token("secret/data/house/*", "read");
    let entries = |second: &str| {
        format!(
            "application_credentials:
  - {{domain: spotify, client_id: client-1, client_secret: !from vault house/1}}
  - {{domain: twitch, client_id: client-2, client_secret: !from vault {second}}}
"
        )
    };
    let program = OpenBao::program();
    let project = Project::new()
        .file("appcred.yaml", &format!("targets: {{lab: {{config_dir: ha}}}}\nsources:\n  vault: {{command: ['{program}', kv, get, -mount=secret, -field=value, '{{}}'], environment: [BAO_ADDR, BAO_TOKEN]}}\n"))
        .file("credentials.yaml", &entries("house/2"));
    let appcred = |arguments: &str| {
        let appcred = Appcred::new().in_dir(project.path()).args(arguments.split(' '));
        appcred.env("BAO_ADDR", server.address()).env("BAO_TOKEN", &token)
    };
    appcred("apply --yes").run();
    assert!((1..=2).all(|number| held(&project).contains(&format!("\"hunter{number}\""))));

    // What Vault has anew is applied the next time.
    server.run(&["kv", "put", "-mount=secret", "house/2", "value=hunter3"]);
    appcred("apply --yes").run();
    let now = held(&project);
    assert!(now.contains("\"hunter3\"") && !now.contains("\"hunter2\""), "{now}");

    for (asked, why) in [("house/none", "No value found"), ("other/1", "exit status: 2")] {
        project.write("credentials.yaml", &entries(asked));
        let said = appcred("plan").status(1).run().stderr;
        assert!(said.contains("credentials.yaml:3:") && said.contains(why), "{said}");
        assert!(!said.contains(&token) && !said.contains("hunter1"), "{said}");
    }
}
