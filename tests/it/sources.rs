//! Secrets as repositories keep them, read by the program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use crate::real::sops;
use crate::shell::{Appcred, Project, age_identity, encrypt};

/// A project whose target is a folder.
struct Scene {
    project: Project,
    identity: String,
    recipient: age::x25519::Recipient,
}

impl Scene {
    fn new() -> Self {
        let (identity, recipient) = age_identity();
        let project = Project::new().file("appcred.yaml", "targets: {home: {config_dir: ha}}\n");
        Self { project, identity, recipient }
    }

    /// Declares one client, with its id and secret as they are written.
    fn declare(&self, id: &str, secret: &str) {
        let text = format!(
            "application_credentials:\n  - domain: spotify\n    client_id: {id}\n    client_secret: {secret}\n"
        );
        self.project.write("credentials/music/all.yaml", &text);
    }

    fn appcred(&self) -> Appcred {
        Appcred::new().in_dir(self.project.path()).env("SOPS_AGE_KEY", &self.identity)
    }

    /// The client ids and secrets that the target gets.
    #[track_caller]
    fn applied(&self, appcred: Appcred) -> Vec<(String, String)> {
        appcred.args(["apply", "--yes"]).run();
        let held = fs::read(self.project.join("ha/.storage/application_credentials")).unwrap();
        let held: Json = serde_json::from_slice(&held).unwrap();
        let text = |item: &Json, field: &str| item[field].as_str().unwrap().to_owned();
        held["data"]["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (text(item, "client_id"), text(item, "client_secret")))
            .collect()
    }

    /// What a person is told where it cannot be read.
    #[track_caller]
    fn told(&self, appcred: Appcred) -> String {
        appcred.args(["plan"]).status(1).run().stderr
    }

    #[track_caller]
    fn gives(&self, id: &str, secret: &str) {
        assert_eq!(self.applied(self.appcred()), [(id.to_owned(), secret.to_owned())]);
    }

    #[track_caller]
    fn is_refused(&self, because: &str) {
        let told = self.told(self.appcred());
        assert!(told.contains(because), "{told}");
    }

    #[track_caller]
    fn sops(&self, file: &str, options: &[&str]) {
        let recipient = self.recipient.to_string();
        let fixed = ["--encrypt", "--in-place", "--age", &recipient];
        let arguments: Vec<_> = fixed.iter().chain(options).copied().chain([file]).collect();
        sops(self.project.path(), &self.identity, arguments);
    }

    /// Encrypts with Debian's age, to a binary file.
    #[track_caller]
    fn age(&self, file: &str, secret: &str) {
        self.project.write(file, secret);
        let (plain, output) = (self.project.join(file), self.project.join("age.tmp"));
        run_age(&["-r", &self.recipient.to_string(), "-o", &shown(&output), &shown(&plain)], None);
        fs::rename(output, plain).unwrap();
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[track_caller]
fn run_age(arguments: &[&str], path: Option<&str>) {
    let mut command = Command::new("age");
    command.args(arguments);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().expect("`tests/run` brings age");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const ONLY_SECRETS: &[&str] = &["--encrypted-regex", "^(client_id|client_secret|token)$"];

#[test]
fn sops_manifest_is_read_and_its_clear_parts_are_guarded_too() {
    let scene = Scene::new();
    let entry = |name: &str| {
        format!(
            "  - {{domain: spotify, name: {name}, client_id: \"1{name}\", client_secret: s-{name}}}\n"
        )
    };
    let manifest = "credentials/music/all.sops.yaml";
    let text = format!("# music\napplication_credentials:\n{}{}", entry("a"), entry("b"));
    scene.project.write(manifest, &text);
    scene.sops(manifest, ONLY_SECRETS);
    let both =
        [("1a", "s-a"), ("1b", "s-b")].map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    assert_eq!(scene.applied(scene.appcred()), both);
    scene.appcred().args(["validate"]).stdout("Valid: 2 entries.\n").run();

    let sealed = fs::read_to_string(scene.project.join(manifest)).unwrap();
    scene.project.write(manifest, &sealed.replace("domain: spotify", "domain: twitch"));
    scene.is_refused("cannot read the client_id of `a`: the SOPS document is refused: it was changed after it was encrypted: its MAC does not match");
    scene
        .project
        .write(manifest, &sealed.replace("client_secret: ENC", "client_secret: !!str ENC"));
    scene.gives_all(&both);
}

#[test]
fn sops_manifest_that_is_encrypted_whole_says_how_to_encrypt_less() {
    let scene = Scene::new();
    scene.declare("a", "b");
    scene.sops("credentials/music/all.yaml", &[]);
    let told = scene.told(scene.appcred());
    assert!(told.contains("`domain` is encrypted by SOPS"), "{told}");
    assert!(told.contains("encrypted_regex"), "{told}");
}

#[test]
fn sops_numbers_are_not_taken_for_text() {
    let scene = Scene::new();
    scene.declare("0123", "b");
    scene.sops("credentials/music/all.yaml", ONLY_SECRETS);
    scene.is_refused("`client_id` must be text, and was none when SOPS encrypted it");
}

impl Scene {
    #[track_caller]
    fn gives_all(&self, all: &[(String, String)]) {
        assert_eq!(self.applied(self.appcred()), all);
    }
}

#[test]
fn the_nearest_secrets_file_that_has_the_name_is_taken() {
    let scene = Scene::new();
    scene.declare("!secret id", "!secret shared");
    scene.is_refused("there is no secrets.yaml with the secret `id`, here or above");
    scene.project.write("secrets.yaml", "id: root\nshared: \"far\\n\"\n");
    scene.gives("root", "far");
    scene.project.write("credentials/secrets.yaml", "id: near\n");
    scene.gives("near", "far");
    scene.project.write("credentials/music/secrets.yaml", "other: x\nnumber: 12\n");
    scene.gives("near", "far");
    scene.declare("!secret number", "!secret gone");
    let told = scene.told(scene.appcred());
    assert!(
        told.contains(
            "credentials/music/secrets.yaml: line 2: it is a number, and a secret is text"
        ),
        "{told}"
    );
    assert!(
        told.contains("none of credentials/music/secrets.yaml, credentials/secrets.yaml, secrets.yaml has the secret `gone`"),
        "{told}"
    );
}

#[test]
fn a_secrets_file_that_cannot_be_meant_is_named_by_what_it_is() {
    let scene = Scene::new();
    scene.declare("!secret id", "!secret key");
    for (held, printed) in [
        (
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
            "it is a value that Ansible encrypted, and is not read",
        ),
        ("-----BEGIN PGP MESSAGE-----\n\nx\n", "it is a file that GPG encrypted, and is not read"),
        ("/annex/objects/SHA256E-s3--x\n", "it is a git-annex pointer"),
        (
            "id: a\nspotify: {key: x}\n",
            "does not have the secret `key`: did you mean `spotify/key`?",
        ),
    ] {
        scene.project.write("secrets.yaml", held);
        scene.is_refused(printed);
    }
}

#[test]
fn secrets_files_may_be_encrypted_in_every_way() {
    let scene = Scene::new();
    scene.declare("!secret id", "!secret key");
    let plain = "id: a\nkey: hunter2\n";
    scene.project.write("secrets.yaml", plain);
    scene.sops("secrets.yaml", &[]);
    scene.gives("a", "hunter2");
    fs::rename(scene.project.join("secrets.yaml"), scene.project.join("secrets.sops.yaml"))
        .unwrap();
    scene.gives("a", "hunter2");
    fs::remove_file(scene.project.join("secrets.sops.yaml")).unwrap();
    scene.age("secrets.yaml.age", plain);
    scene.gives("a", "hunter2");
    fs::remove_file(scene.project.join("secrets.yaml.age")).unwrap();
    let armored = encrypt("hunter2", &scene.recipient).replace('\n', "\n  ");
    scene.project.write("secrets.yaml", &format!("id: a\nkey: |\n  {armored}\n"));
    scene.gives("a", "hunter2");
    let lost = scene.told(Appcred::new().in_dir(scene.project.path()));
    assert!(
        lost.contains("secrets.yaml: it is encrypted to 1 recipient, and no age identity"),
        "{lost}"
    );
}

#[test]
fn secrets_are_not_looked_for_above_the_project() {
    let outer = Project::new().file("secrets.yaml", "id: a\nkey: b\n");
    let scene = Scene::new();
    scene.declare("!secret id", "!secret key");
    let inner = outer.join("house");
    fs::rename(scene.project.path(), &inner).unwrap();
    let told = Appcred::new().in_dir(&inner).args(["plan"]).status(1).run().stderr;
    fs::rename(&inner, scene.project.path()).unwrap();
    assert!(told.contains("there is no secrets.yaml"), "{told}");
}

#[test]
fn files_are_read_beside_the_manifest_and_decrypted_by_their_end() {
    let scene = Scene::new();
    scene.project.write("credentials/music/id.txt", "a\n");
    scene.age("keys/key.age", "hunter2\n");
    scene.declare("!file id.txt", "!file ../../keys/key.age");
    scene.gives("a", "hunter2");
    scene.project.write("keys/key.age", &encrypt("hunter3", &scene.recipient));
    scene.gives("a", "hunter3");
    scene.project.write("keys/key.age", "hunter4\n");
    scene.is_refused("keys/key.age: the age file is damaged");
    scene.declare("!file gone.txt", "!file id.txt");
    scene.is_refused("cannot read credentials/music/gone.txt: there is no such file");
    scene.project.write("credentials/music/id.txt", "\n");
    scene.is_refused("credentials/music/id.txt: it is empty");
    scene.declare("!file ../music", "!file id.txt");
    scene.is_refused("it is a folder, not a file");
}

#[test]
fn no_way_out_of_the_project_is_taken_unless_allowed() {
    let scene = Scene::new();
    let outside =
        Project::new().file("key.txt", "hunter2\n").file("secrets.yaml", "key: hunter2\n");
    symlink(outside.join("key.txt"), scene.project.join("link.txt")).unwrap();
    fs::create_dir_all(scene.project.join("credentials/music")).unwrap();
    symlink(outside.join("secrets.yaml"), scene.project.join("credentials/secrets.yaml")).unwrap();
    let absolute = shown(&outside.join("key.txt"));
    let up = format!("{}{absolute}", "../".repeat(20));
    let ways = [
        format!("!file {absolute}"),
        format!("!file {up}"),
        "!file ../../link.txt".to_owned(),
        "!secret key".to_owned(),
    ];
    for way in &ways {
        scene.declare("a", way);
        scene.is_refused("is outside the project");
    }
    let allowed = "allow_outside_files: true\ntargets: {home: {config_dir: ha}}\n";
    scene.project.write("appcred.yaml", allowed);
    for way in &ways {
        scene.declare("a", way);
        scene.gives("a", "hunter2");
    }
}

#[test]
fn credentials_of_systemd_are_known() {
    let scene = Scene::new();
    let credentials = Project::new().file("key", "hunter2\n");
    let outside = Project::new().file("key", "hunter3\n");
    scene.declare("a", "!file ${CREDENTIALS_DIRECTORY}/key");
    scene.is_refused("the environment variable `CREDENTIALS_DIRECTORY` is not set");
    let with = || scene.appcred().env("CREDENTIALS_DIRECTORY", credentials.path());
    assert_eq!(scene.applied(with()), [("a".to_owned(), "hunter2".to_owned())]);
    let way = format!("../{}/key", outside.path().file_name().unwrap().display());
    scene.declare("a", &format!("!file ${{CREDENTIALS_DIRECTORY}}/{way}"));
    let told = scene.told(with());
    assert!(told.contains("is outside the project"), "{told}");
}

#[test]
fn tokens_of_targets_come_from_the_same_sources() {
    let scene = Scene::new();
    let targets = "targets: {home: {url: \"http://127.0.0.1:1\", token: !secret token}}\n";
    scene.project.write("appcred.yaml", targets);
    scene.project.write("credentials/all.yaml", "application_credentials: []\n");
    let told = |scene: &Scene| {
        let ran = scene.appcred().args(["plan"]).status(1).run();
        ran.stdout + &ran.stderr
    };
    assert!(told(&scene).contains("no secrets.yaml with the secret `token`"), "{}", told(&scene));
    scene.project.write("secrets.yaml", "token: hunter2\n");
    assert!(told(&scene).contains("refused"), "{}", told(&scene));
}

#[test]
fn plugins_of_age_decrypt() {
    let scene = Scene::new();
    let plugins = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/plugins"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", plugins.display());
    let identity = age::plugin::Identity::default_for_plugin("open").unwrap().to_string();
    scene.project.write("plugin.txt", &format!("{identity}\n"));
    scene.project.write("plain.txt", "hunter2");
    let (keys, plain) = (scene.project.join("plugin.txt"), scene.project.join("plain.txt"));
    let sealed = scene.project.join("credentials/music/key.age");
    scene.declare("a", "!file key.age");
    run_age(&["-e", "-i", &shown(&keys), "-o", &shown(&sealed), &shown(&plain)], Some(&path));
    let with = |path: &str| {
        Appcred::new()
            .in_dir(scene.project.path())
            .env("SOPS_AGE_KEY_FILE", "plugin.txt")
            .env("PATH", path)
    };
    assert_eq!(scene.applied(with(&path)), [("a".to_owned(), "hunter2".to_owned())]);
    fs::remove_dir_all(scene.project.join("ha")).unwrap();
    let told = scene.told(with("/usr/bin:/bin"));
    assert!(told.contains("needs the program age-plugin-open, which is not in PATH"), "{told}");
    let told = scene.told(with(&path).env("PLUGIN_ASKS", "1"));
    assert!(told.contains("needs input, and none was entered on a terminal"), "{told}");
}

#[test]
fn a_document_behind_a_file_is_decrypted_to_its_one_value_or_refused() {
    let scene = Scene::new();
    let is_refused = |file: &str, text: &str, because: &str| {
        scene.project.write(&format!("keys/{file}"), text);
        scene.declare("a", &format!("!file ../../keys/{file}"));
        scene.is_refused(&format!("keys/{file}: it is {because}"));
    };
    // SOPS takes the form from the name.
    for (file, text) in [
        ("one.yaml", "client_secret: hunter2\n"),
        ("one.json", "{\"deep\": {\"client_secret\": \"hunter2\"}}\n"),
        ("one.bin", "hunter2\n"),
        ("one.env", "# a comment\nCLIENT_SECRET=hunter2\n"),
        ("one.ini", "; a comment\n[spotify]\nclient_secret = hunter2\n"),
    ] {
        let path = format!("keys/{file}");
        scene.project.write(&path, text);
        scene.sops(&path, &[]);
        scene.declare("a", &format!("!file ../../keys/{file}"));
        scene.gives("a", "hunter2");
    }
    for (file, text, because) in [
        ("two.yaml", "client_id: a\nclient_secret: b\n", "a SOPS document with several values"),
        ("list.yaml", "keys: [a, b]\n", "a SOPS document with several values"),
        ("two.json", "{\"client_id\": \"a\", \"client_secret\": \"b\"}", "a SOPS document with"),
        ("two.env", "CLIENT_ID=a\nCLIENT_SECRET=b\n", "a SOPS document with several values"),
        ("two.ini", "[a]\nb = c\n[d]\nb = e\n", "a SOPS document with several values"),
    ] {
        let path = format!("keys/{file}");
        scene.project.write(&path, text);
        scene.sops(&path, &[]);
        scene.declare("a", &format!("!file ../../keys/{file}"));
        scene.is_refused(&format!("{path}: it is {because}"));
    }
    let download = "{\"installed\":{\"client_id\":\"a\",\"client_secret\":\"m4rk3d\"}}";
    is_refused(
        "client_secret_1.json",
        download,
        "the JSON file that a provider offers for download",
    );
    is_refused("plain.yaml", "client_id: a\nclient_secret: m4rk3d\n", "a YAML document");
    is_refused(
        "plain.env",
        "export CLIENT_SECRET=m4rk3d\n",
        "an environment variable with its name",
    );
    is_refused("lines.txt", "m4rk3d\nm4rk3d\n", "a text of several lines");
    scene.project.write("keys/bom.txt", "\u{feff}hunter2\r\n");
    scene.declare("a", "!file ../../keys/bom.txt");
    scene.gives("a", "hunter2");
}

#[test]
fn a_name_behind_a_file_is_one_of_its_values() {
    let scene = Scene::new();
    for (file, text, name) in [
        ("two.yaml", "a: {secret: hunter2}\nb: other\n", "a/secret"),
        ("two.json", "{\"a\": {\"secret\": \"hunter2\"}, \"b\": \"other\"}", "a/secret"),
        ("two.env", "A=other\nCLIENT_SECRET=hunter2\nX_unencrypted=y\n", "CLIENT_SECRET"),
        ("two.ini", "[a]\nsecret = hunter2\nb_unencrypted = x\n[b]\nsecret = other\n", "a/secret"),
    ] {
        let path = format!("keys/{file}");
        scene.project.write(&path, text);
        scene.sops(&path, &[]);
        scene.declare("a", &format!("!file ../../{path}#{name}"));
        scene.gives("a", "hunter2");
        scene.declare("a", &format!("!file ../../{path}#missing"));
        scene.is_refused(&format!("{path}: it has no value `missing`"));
        // A value that was changed is refused, whichever is asked for.
        let encrypted = fs::read_to_string(scene.project.join(&path)).unwrap();
        scene.project.write(&path, &encrypted.replacen("data:", "data:A", 1));
        scene.declare("a", &format!("!file ../../{path}#{name}"));
        scene.is_refused("was changed or moved after it was encrypted");
    }
    // In plain text, as in secrets.yaml; and a file may be called so.
    scene.project.write("keys/plain.yaml", "a: {secret: hunter2}\n");
    scene.declare("a", "!file ../../keys/plain.yaml#a/secret");
    scene.gives("a", "hunter2");
    scene.project.write("keys/a#b", "hunter3");
    scene.declare("a", "!file '../../keys/a#b'");
    scene.gives("a", "hunter3");
}

#[test]
fn a_change_of_a_dotenv_file_without_its_mac_is_refused() {
    let scene = Scene::new();
    scene.project.write("keys/a.env", "A=hunter2\nB_unencrypted=one\n");
    scene.sops("keys/a.env", &[]);
    let encrypted = fs::read_to_string(scene.project.join("keys/a.env")).unwrap();
    scene.project.write("keys/a.env", &encrypted.replace("=one", "=two"));
    scene.declare("a", "!file ../../keys/a.env#A");
    scene.is_refused("its MAC does not match");
}

#[test]
fn names_lead_into_nested_files_of_secrets() {
    let scene = Scene::new();
    let text = "home:\n  spotify: {client_secret: hunter2}\n  other: x\nhome/other: hunter3\n";
    scene.project.write("secrets.yaml", text);
    scene.declare("a", "!secret home/spotify/client_secret");
    scene.gives("a", "hunter2");
    scene.declare("a", "!secret home/other");
    scene.gives("a", "hunter3");
    scene.declare("a", "!secret home/spotify");
    scene.is_refused("secrets.yaml: line 2: it is a mapping, and a secret is text");
    fs::remove_file(scene.project.join("secrets.yaml")).unwrap();
    scene.project.write("secrets.sops.yaml", "home:\n  spotify: {client_secret: hunter4}\n");
    scene.sops("secrets.sops.yaml", &[]);
    scene.declare("a", "!secret home/spotify/client_secret");
    scene.gives("a", "hunter4");
}

#[test]
fn a_file_of_secrets_with_another_name_is_named_in_the_error() {
    let scene = Scene::new();
    scene.declare("a", "!secret key");
    for file in ["secrets.yml", "secrets.enc.yaml", "secret.sops.yaml"] {
        scene.project.write(file, "key: hunter2\n");
        scene.is_refused(&format!("and {file} is not read because of its name"));
        fs::remove_file(scene.project.join(file)).unwrap();
    }
}

#[test]
fn a_list_in_a_sops_document_is_no_secret() {
    let Scene { project, identity, recipient } = Scene::new();
    let text = "list: [m4rk3d-x1, m4rk3d-y2]\none: [m4rk3d-z3]\nmaps:\n  - in: m4rk3d-w4\nright: Zq7m4rk3dKx2\n";
    project.write("secrets.sops.yaml", text);
    let recipient = recipient.to_string();
    let encrypt = ["--encrypt", "--in-place", "--age", &recipient, "secrets.sops.yaml"];
    sops(project.path(), &identity, encrypt);
    let apply = |name: &str| {
        let entry = format!("{{domain: spotify, client_id: a, client_secret: !secret {name}}}");
        project.write("credentials.yaml", &format!("application_credentials: [{entry}]\n"));
        let appcred = Appcred::new().in_dir(project.path()).args(["apply", "--yes"]);
        appcred.env("APPCRED_AGE_IDENTITY", &identity)
    };
    for name in ["list", "one", "maps/in"] {
        let said = apply(name).status(1).run().stderr;
        assert!(said.contains("it is in a list, and a secret is text"), "{name}: {said}");
        assert!(!said.contains("m4rk3d"), "{said}");
    }
    apply("right").run();
}
