//! Secrets read from manifests and decrypted, over the bare cryptography of the same secrets on the
//! same cores; beside it what people have now: `age` and `sops` in loops of the shell, and sops-age in
//! one Node.
//!
//! `tests/run --no-run && cargo bench --bench secrets`
#![allow(clippy::disallowed_methods, reason = "a bench makes and reads files in its own way")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at what it cannot do"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use age::Decryptor;
use age::armor::ArmoredReader;
use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use appcred::manifest::{LoadRequest, Loaded, load};
use appcred::secret::env::IdentitySources;
use appcred::secret::{AllowedPaths, Identities, Nobody, SecretResolver};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use sha2::{Digest, Sha512};
use tempfile::TempDir;

/// How much longer reading and decrypting may take than the cryptography alone.
const LIMIT: f64 = 1.3;
/// How many times faster than `age` in a loop appcred has to be.
const LOOP_LIMIT: f64 = 50.0;
const ROUNDS: usize = 15;
const SOPS_FILES: usize = 1_000;
const SECRETS_A_DOCUMENT: usize = 10;
const INLINE: usize = 10_000;
const INLINE_A_FILE: usize = 100;
/// How many secrets, or documents, the loops go over.
const LOOPED: usize = 1_000;
/// `sops` takes its time: it goes over so many of the documents.
const LOOPED_BY_SOPS: usize = 100;

const SOPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sops/current/bin/sops");
const SOPS_AGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sops_age/current");

fn main() {
    let identity = Identity::generate();
    let cores = thread::available_parallelism().unwrap().get();
    println!("{cores} cores, best of {ROUNDS} rounds, both sides in turn");

    let inline = Project::inline(&identity, INLINE);
    let secrets = inline.age_files();
    let decrypt = |secret: &String| drop(std::hint::black_box(unwrap(&identity, secret)));
    inline.compare("inline age secrets", INLINE, || on_all_cores(&secrets, cores, decrypt));

    let sops = Project::sops(&identity, SOPS_FILES, cores);
    let documents = sops.documents();
    let open = |document: &Document| document.open(&identity);
    let title = format!("SOPS files of {SECRETS_A_DOCUMENT} secrets");
    sops.compare(&title, SOPS_FILES, || on_all_cores(&documents, cores, open));

    let small = Project::inline(&identity, LOOPED);
    let plan = best(|| small.plan(LOOPED));
    println!("{LOOPED} inline age secrets: `appcred plan`, cold, {}", told(plan));
    let age = small.age_in_a_loop();
    let faster = age.as_secs_f64() / plan.as_secs_f64();
    let verdict = if faster >= LOOP_LIMIT { "ok" } else { "TOO SLOW" };
    println!(
        "  `age -d` in a loop {}: {faster:.0} times as long (limit {LOOP_LIMIT}) {verdict}",
        told(age)
    );

    let plan = best(|| sops.plan(SOPS_FILES * SECRETS_A_DOCUMENT));
    println!("{SOPS_FILES} SOPS files: `appcred plan`, cold, {}", told(plan));
    let times = |other: Duration| other.as_secs_f64() / plan.as_secs_f64();
    let each = sops.sops_in_a_loop(LOOPED_BY_SOPS) / u32::try_from(LOOPED_BY_SOPS).unwrap();
    let all = each * u32::try_from(SOPS_FILES).unwrap();
    println!(
        "  `sops -d` in a loop {}, reckoned from {LOOPED_BY_SOPS} files of {} each: {:.0} times as long",
        told(all),
        told(each),
        times(all)
    );
    let node = sops.sops_age();
    println!("  sops-age in one Node {}: {:.0} times as long", told(node), times(node));
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn best(work: impl Fn()) -> Duration {
    (0..ROUNDS).map(|_| timed(&work)).min().unwrap()
}

fn told(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Does a part for each of the items; the cores take them by turns, so that they end together.
fn on_all_cores<T: Sync>(items: &[T], cores: usize, part: impl Fn(&T) + Sync) {
    let part = &part;
    thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || items.iter().skip(core).step_by(cores).for_each(part));
        }
    });
}

/// What an age file holds.
fn unwrap(identity: &Identity, armored: &str) -> Vec<u8> {
    let file = Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).unwrap();
    let mut plain = Vec::new();
    let mut reader = file.decrypt(std::iter::once(identity as &dyn age::Identity)).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    plain
}

/// A folder with manifests, and a target at rest that holds nothing.
struct Project(TempDir);

impl Project {
    fn new(identity: &Identity) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("identity.txt", identity.to_string().expose_secret());
        project.write(
            "appcred.yaml",
            "targets: {house: {config_dir: ha}}\nage: {identities: [identity.txt]}\n",
        );
        fs::create_dir(project.folder().join("credentials")).unwrap();
        project
    }

    /// With secrets as age files in the manifests.
    fn inline(identity: &Identity, secrets: usize) -> Self {
        let project = Self::new(identity);
        let recipient = identity.to_public();
        for first in (0..secrets).step_by(INLINE_A_FILE) {
            let text = manifest(first..(first + INLINE_A_FILE).min(secrets), |secret| {
                let armored = age::encrypt_and_armor(&recipient, secret.as_bytes()).unwrap();
                format!("|\n      {}", armored.trim_end().replace('\n', "\n      "))
            });
            project.write(&format!("credentials/{first:06}.yaml"), &text);
        }
        project
    }

    /// With manifests that the real `sops` encrypted.
    fn sops(identity: &Identity, files: usize, cores: usize) -> Self {
        let project = Self::new(identity);
        let recipient = identity.to_public().to_string();
        let numbers: Vec<usize> = (0..files).collect();
        on_all_cores(&numbers, cores, |number| {
            let first = number * SECRETS_A_DOCUMENT;
            let text = manifest(first..first + SECRETS_A_DOCUMENT, str::to_owned);
            let name = format!("credentials/{number:06}.yaml");
            project.write(&name, &text);
            let mut sops = project.command(SOPS);
            sops.args(["--disable-version-check", "encrypt", "--in-place", "--age", &recipient]);
            run(sops.args(["--encrypted-regex", "^client_secret$", &name]));
        });
        project
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder()).env_clear().env("HOME", self.folder());
        command
    }

    fn manifests(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder().join("credentials")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// What stands in each manifest, by the reader of somebody else.
    fn trees(&self) -> impl Iterator<Item = Value> {
        let files = self.manifests().into_iter();
        files.map(|file| serde_yaml::from_str(&fs::read_to_string(file).unwrap()).unwrap())
    }

    fn age_files(&self) -> Vec<String> {
        let entries = self.trees().flat_map(|tree| list(&tree["application_credentials"]).to_vec());
        entries.map(|entry| word(&entry["client_secret"]).to_owned()).collect()
    }

    fn documents(&self) -> Vec<Document> {
        self.trees().map(|tree| Document::new(&tree)).collect()
    }

    fn load(&self) -> Loaded {
        load(&LoadRequest { folder: self.folder().to_owned(), home: None })
    }

    /// Decrypts the secrets of all entries as every run of appcred does.
    fn resolve(&self, loaded: Loaded) {
        let files = [self.folder().join("identity.txt").into()];
        let (identities, problems) =
            Identities::gather(&files, &IdentitySources::default(), Nobody);
        assert!(problems.is_empty());
        let grounds = AllowedPaths { project: self.folder().to_owned(), ..AllowedPaths::default() };
        let resolver = SecretResolver::new(identities, grounds);
        let entries = loaded.entries.len();
        let resolved = appcred::desired::resolve(&loaded, &resolver);
        assert!(!resolved.problems.has_errors());
        assert_eq!(resolved.clients().count(), entries);
    }

    /// Prints how appcred's library does, over the bare work.
    fn compare(&self, title: &str, count: usize, bare: impl Fn()) {
        let (mut alone, mut read, mut decrypted) = (Duration::MAX, Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            alone = alone.min(timed(&bare));
            let start = Instant::now();
            let loaded = self.load();
            assert!(!loaded.problems.has_errors());
            let took = start.elapsed();
            self.resolve(loaded);
            let both = start.elapsed();
            read = read.min(took);
            decrypted = decrypted.min(both - took);
        }
        let ratio = decrypted.as_secs_f64() / alone.as_secs_f64();
        let verdict = if ratio <= LIMIT { "ok" } else { "TOO SLOW" };
        println!(
            "{count} {title}: cryptography alone {}, decrypted {}, ratio {ratio:.2} (limit {LIMIT}) {verdict}; manifests read before that in {}, both together ratio {:.2}",
            told(alone),
            told(decrypted),
            told(read),
            (read + decrypted).as_secs_f64() / alone.as_secs_f64(),
        );
    }

    /// The whole command, cold.
    fn plan(&self, entries: usize) {
        let out =
            run(self.command(env!("CARGO_BIN_EXE_appcred")).args(["plan", "--format", "json"]));
        assert!(
            out.contains(&format!("\"create\": {entries}")),
            "the plan is not what was measured"
        );
    }

    /// A file for each secret, and a loop.
    fn age_in_a_loop(&self) -> Duration {
        fs::create_dir(self.folder().join("age")).unwrap();
        for (number, secret) in self.age_files().iter().enumerate() {
            self.write(&format!("age/{number:06}.age"), secret);
        }
        self.shell("for file in age/*.age; do age -d -i identity.txt \"$file\" || exit 1; done")
    }

    fn sops_in_a_loop(&self, files: usize) -> Duration {
        self.shell(&format!(
            "export SOPS_AGE_KEY_FILE=identity.txt
            for file in $(ls credentials/*.yaml | head -n {files}); do
                {SOPS} --disable-version-check decrypt \"$file\" || exit 1
            done"
        ))
    }

    fn shell(&self, script: &str) -> Duration {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.folder());
        timed(|| drop(run(&mut command)))
    }

    fn sops_age(&self) -> Duration {
        const READ: &str = "import('sops-age').then(async ({decryptSops}) => {
            for (const path of process.argv.slice(1)) {
                const read = await decryptSops({path, secretKey: process.env.KEY});
                if (!read.application_credentials[0].client_secret.startsWith('the-secret'))
                    process.exit(1);
            }
        })";
        let key = fs::read_to_string(self.folder().join("identity.txt")).unwrap();
        let mut command = Command::new("node");
        command.args(["-e", READ]).args(self.manifests()).current_dir(SOPS_AGE).env("KEY", key);
        timed(|| drop(run(&mut command)))
    }
}

fn manifest(numbers: std::ops::Range<usize>, written: impl Fn(&str) -> String) -> String {
    let mut text = "application_credentials:\n".to_owned();
    for number in numbers {
        let secret = written(&format!("the-secret-of-client-number-{number}"));
        write!(text, "  - domain: spotify\n    name: Client {number}\n    client_id: client-{number}\n    client_secret: {secret}\n").unwrap();
    }
    text
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; `tests/run` brings it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_sequence().unwrap()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A SOPS document taken apart beforehand, so that nothing but cryptography is left to do.
struct Document {
    key: String,
    values: Vec<Part>,
    mac: Sealed,
    time: String,
}

enum Part {
    Clear(String),
    Sealed(Sealed),
}

struct Sealed {
    data: Vec<u8>,
    nonce: Vec<u8>,
    tag: Vec<u8>,
}

impl Document {
    fn new(tree: &Value) -> Self {
        let sops = &tree["sops"];
        let entries = list(&tree["application_credentials"]).iter();
        let values = entries.flat_map(|entry| entry.as_mapping().unwrap().values());
        Self {
            key: word(&list(&sops["age"])[0]["enc"]).to_owned(),
            values: values.map(|value| part(word(value))).collect(),
            mac: Sealed::parse(word(&sops["mac"])).unwrap(),
            time: word(&sops["lastmodified"]).to_owned(),
        }
    }

    fn open(&self, identity: &Identity) {
        let key = unwrap(identity, &self.key);
        let cipher = AesGcm::<Aes256, U32>::new_from_slice(&key).unwrap();
        let mut hash = Sha512::new();
        for value in &self.values {
            match value {
                Part::Clear(text) => hash.update(text),
                Part::Sealed(sealed) => {
                    let plain = sealed.open(&cipher, b"application_credentials:client_secret:");
                    hash.update(&plain);
                    std::hint::black_box(plain);
                }
            }
        }
        let mac = self.mac.open(&cipher, self.time.as_bytes());
        let hash = format!("{:X}", hash.finalize());
        assert_eq!(mac, hash.as_bytes(), "the bare work is not what SOPS does");
    }
}

fn part(text: &str) -> Part {
    Sealed::parse(text).map_or_else(|| Part::Clear(text.to_owned()), Part::Sealed)
}

impl Sealed {
    fn parse(text: &str) -> Option<Self> {
        let parts = text.strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
        let mut parts = parts.split(',').map(|part| part.split_once(':').unwrap().1);
        let mut part = || STANDARD.decode(parts.next().unwrap()).unwrap();
        Some(Self { data: part(), nonce: part(), tag: part() })
    }

    fn open(&self, cipher: &AesGcm<Aes256, U32>, place: &[u8]) -> Vec<u8> {
        let mut plain = self.data.clone();
        let (nonce, tag) = (Nonce::from_slice(&self.nonce), Tag::from_slice(&self.tag));
        cipher.decrypt_in_place_detached(nonce, place, &mut plain, tag).unwrap();
        plain
    }
}
