//! Wherever a file is read, a pipe, a socket, a device, a folder or an endless file is an error that names
//! it, and nothing waits or fills the memory.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::shell::{Appcred, Project, age_identity, encrypt};

/// What may be where a file is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Pipe,
    Socket,
    Device,
    Folder,
    Huge,
}

const ALL: [Odd; 5] = [Odd::Pipe, Odd::Socket, Odd::Device, Odd::Folder, Odd::Huge];

impl Odd {
    fn make(self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _nothing = fs::remove_file(path);
        match self {
            Self::Pipe => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            Self::Socket => drop(UnixListener::bind(path).unwrap()),
            Self::Device => symlink("/dev/zero", path).unwrap(),
            Self::Folder => fs::create_dir(path).unwrap(),
            Self::Huge => File::create(path).unwrap().set_len(8 << 30).unwrap(),
        }
    }

    fn reason(self, file: &str) -> &'static str {
        match self {
            Self::Huge if file == "token" => "holds more than an access token",
            Self::Pipe | Self::Socket | Self::Device => "it is not a regular file",
            Self::Folder => "it is a folder, not a file",
            Self::Huge => "larger than",
        }
    }
}

const IMPORT: &[&str] = &["import", "--no-adopt", "--yes", "--output", "credentials/b.yaml"];

/// What somebody has made by hand.
const HELD: &str = r#"{"version": 1, "minor_version": 1, "key": "application_credentials", "data": {"items": [
    {"id": "netatmo_c", "domain": "netatmo", "client_id": "c", "client_secret": "s"}]}}"#;

const FOLDER: &str = "targets: {lab: {config_dir: ha}}\n";

fn entry(secret: &str) -> String {
    format!(
        "application_credentials:\n  - {{domain: spotify, client_id: 4f5c0a, client_secret: {secret}}}\n"
    )
}

/// One place where a file is read.
struct Reader {
    file: &'static str,
    /// How the error names it, where not by its name.
    named: Option<&'static str>,
    project: String,
    secret: String,
    args: &'static [&'static str],
    variable: Option<&'static str>,
    /// It is only locked, whatever is in it.
    is_lock: bool,
}

impl Reader {
    fn new(file: &'static str, args: &'static [&'static str]) -> Self {
        let (project, secret) = (FOLDER.to_owned(), "!env_var S".to_owned());
        Self { file, named: None, project, secret, args, variable: None, is_lock: false }
    }

    fn check(&self, odd: Odd) {
        let mut project = Project::new()
            .file("credentials/a.yaml", &entry(&self.secret))
            .file("ha/.storage/application_credentials", HELD);
        if !self.project.is_empty() {
            project = project.file("appcred.yaml", &self.project);
        }
        odd.make(&project.join(self.file));
        let mut appcred = Appcred::new().in_dir(project.path()).env("S", "4f5c");
        if let Some(variable) = self.variable {
            appcred = appcred.env(variable, project.join(self.file));
        }
        let ran = appcred.env("EDITOR", "false").args(self.args).status(1).run();
        let said = ran.stdout + &ran.stderr;
        let file = self.named.unwrap_or(self.file);
        // The device is behind a link, and secrets must be inside the project.
        let is_outside = odd == Odd::Device && said.contains("is outside the project");
        let is_link = odd == Odd::Device && self.is_lock && said.contains("it is a symbolic link");
        let is_named =
            said.contains(file) && (said.contains(odd.reason(self.file)) || is_outside || is_link);
        assert!(is_named, "{odd:?} as {} of {:?}: {said}", self.file, self.args);
    }
}

fn readers() -> Vec<Reader> {
    let (_, recipient) = age_identity();
    let armored = serde_json::to_string(&encrypt("x", &recipient)).unwrap();
    let to_us = format!("{FOLDER}age: {{recipients: [{recipient}]}}\n");
    let new = Reader::new;
    let running =
        |rest: &str| format!("targets: {{home: {{url: 'https://127.0.0.1:1', {rest}}}}}\n");
    let mut readers = vec![
        Reader { secret: "!secret s".to_owned(), ..new("secrets.yaml", &["plan"]) },
        Reader { secret: "!secret s".to_owned(), ..new("secrets.sops.yaml", &["plan"]) },
        Reader { secret: "!file s.txt".to_owned(), ..new("credentials/s.txt", &["plan"]) },
        Reader { secret: "!secret s".to_owned(), ..new("secrets.yaml", &["validate"]) },
        Reader { secret: "!secret s".to_owned(), ..new("secrets.sops.yaml", &["validate"]) },
        Reader { secret: "!secret s".to_owned(), ..new("secrets.yaml.age", &["validate"]) },
        Reader { secret: "!file s.txt".to_owned(), ..new("credentials/s.txt", &["validate"]) },
        Reader { secret: "!file s.txt#a".to_owned(), ..new("credentials/s.txt", &["validate"]) },
        new("appcred.yaml", &["validate"]),
        new("credentials/b.yaml", &["validate"]),
        Reader { project: running("token_file: token"), ..new("token", &["plan"]) },
        Reader { project: running("token_file: token"), ..new("token", &["validate", "--strict"]) },
        Reader {
            project: running("token: !file token.txt"),
            ..new("token.txt", &["validate", "--strict"])
        },
        Reader {
            project: running("token: !env_var S, ca_file: ca.pem"),
            ..new("ca.pem", &["validate", "--strict"])
        },
        Reader {
            project: running("token: !env_var S, ca_file: ca.pem"),
            ..new("ca.pem", &["plan"])
        },
        new("ha/.storage/application_credentials", &["plan"]),
        new("saved.plan", &["apply", "--yes", "saved.plan"]),
        new("snapshot.json", &["plan", "--against", "snapshot.json"]),
        new("secrets.yaml.age", &["edit", "secrets.yaml.age"]),
        Reader { project: to_us.clone(), ..new("b.yaml", &["encrypt", "b.yaml"]) },
        Reader { project: to_us.clone(), ..new("b.yaml", &["rekey", "b.yaml"]) },
        Reader { project: to_us.clone(), ..new("credentials/b.yaml", IMPORT) },
        Reader { project: String::new(), ..new(".gitignore", &["init"]) },
        new("ha/.storage/core.config_entries", &["plan"]),
        new("ha/.HA_VERSION", &["plan"]),
        Reader { is_lock: true, ..new("ha/.storage/.appcred.lock", &["apply", "--yes"]) },
        Reader { is_lock: true, ..new("ha/.ha_run.lock", &["apply", "--yes"]) },
        Reader { project: to_us, ..new("credentials/b.yaml", ADD) },
    ];
    for verb in [&["plan"][..], &["validate", "--strict"]] {
        let encrypted = || Reader { secret: armored.clone(), ..new("keys", verb) };
        readers.push(Reader {
            project: format!("{FOLDER}age: {{identities: [keys]}}\n"),
            ..encrypted()
        });
        for variable in ["APPCRED_AGE_IDENTITY", "SOPS_AGE_KEY_FILE"] {
            readers.push(Reader { variable: Some(variable), named: Some(variable), ..encrypted() });
        }
    }
    readers
}

const ADD: &[&str] = &[
    "add",
    "--domain",
    "netatmo",
    "--client-id",
    "4f5c",
    "--secret-stdin",
    "--file",
    "credentials/b.yaml",
];

#[test]
fn what_is_no_file_is_an_error_at_every_place_where_a_file_is_read() {
    for reader in readers() {
        for odd in ALL {
            // A folder that is called like a manifest is a folder of manifests.
            let is_folder = odd == Odd::Folder && reader.file.ends_with("/b.yaml");
            let is_locked = odd == Odd::Huge && reader.is_lock;
            if !(is_folder || is_locked) {
                reader.check(odd);
            }
        }
    }
}

#[test]
fn an_identity_that_is_merely_not_here_is_no_problem_of_the_project() {
    let project = Project::new()
        .file("appcred.yaml", &format!("{FOLDER}age: {{identities: [nowhere.txt]}}\n"))
        .file("credentials/a.yaml", &entry("!env_var S"));
    let validate = Appcred::new().in_dir(project.path()).args(["validate", "--strict"]);
    validate.stderr("").run();
}

#[test]
fn where_few_files_may_be_open_there_is_an_error_and_no_panic() {
    let project = Project::new()
        .file("appcred.yaml", FOLDER)
        .file("credentials/a.yaml", &entry("!env_var S"));
    for verb in [
        &["validate"][..],
        &["plan"],
        &["apply", "--yes"],
        &["list"],
        &["verify"],
        &["snapshot", "-o", "-"],
        &["import"],
        &["encrypt"],
        &["rekey"],
        &["edit", "credentials/a.yaml"],
        &["keygen"],
        &["login"],
        &["logout"],
        &["authorize", "spotify"],
        ADD,
    ] {
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 6; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_appcred")])
            .args(verb)
            .current_dir(project.path())
            .env_clear()
            .env("HOME", project.path())
            .env("APPCRED_LISTEN", "off")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{verb:?}: {said}");
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "{verb:?}: {:?} {said}",
            output.status
        );
    }
}

#[test]
fn a_manifest_whose_name_is_not_utf_8_is_in_documents_too() {
    let project = Project::new().file("appcred.yaml", "targets: {home: {config_dir: ha}}\n");
    fs::create_dir(project.join("credentials")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"K\xfcche.yaml");
    let entry =
        "application_credentials: [{domain: spotify, client_id: a, client_secret: !env_var S}]\n";
    fs::write(project.join("credentials").join(name), entry).unwrap();
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        for format in ["json", "yaml", "sarif", "github", "gitlab", "junit", "markdown"] {
            let appcred = Appcred::new().in_dir(project.path()).env("S", "Zq7m4rk3dKx2");
            let ran = appcred.args(verb).args(["--format", format]).run();
            assert!(!ran.stderr.contains("UTF-8"), "{format}: {}", ran.stderr);
            if format == "json" {
                let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
                let text = document.to_string();
                assert!(!verb.contains(&"plan") || text.contains("K\u{fffd}che.yaml"), "{text}");
            }
        }
    }
}
