//! `appcred` as somebody at a shell has it: the built program, a project folder, age keys.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The longest that a run may take after all that a test has done to it.
const NEVER: Duration = Duration::from_secs(180);

/// One run of the program, in an environment that holds nothing but what is given here.
#[must_use = "nothing runs before `run` or `spawn`"]
pub(crate) struct Appcred {
    command: Command,
    stdin: String,
    status: i32,
    stdout: Option<String>,
    stderr: Option<String>,
    home: TempDir,
}

/// What a run came to.
pub(crate) struct Ran {
    /// The exit code; none after a signal.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Appcred {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("appcred-home-").tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_appcred"));
        command
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("APPCRED_LISTEN", "off")
            // No test asks a provider of the world: this proxy is not there.
            .env("HTTPS_PROXY", "http://127.0.0.1:9");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, stdin: String::new(), status: 0, stdout: None, stderr: None, home }
    }

    /// Runs in a folder; else in an empty home.
    pub(crate) fn in_dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What is typed into it; else nothing.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.to_owned();
        self
    }

    /// The exit code it must end with; else 0.
    pub(crate) fn status(mut self, code: i32) -> Self {
        self.status = code;
        self
    }

    /// All that it must print.
    pub(crate) fn stdout(mut self, text: &str) -> Self {
        self.stdout = Some(text.to_owned());
        self
    }

    /// All that it must say on standard error.
    pub(crate) fn stderr(mut self, text: &str) -> Self {
        self.stderr = Some(text.to_owned());
        self
    }

    /// Nobody reads its standard error any more.
    pub(crate) fn errors_are_lost(mut self) -> Self {
        let (_, errors) = std::io::pipe().unwrap();
        self.command.stderr(errors);
        self
    }

    /// Has a terminal for its input and output; what it prints there is all on standard output.
    pub(crate) fn on_terminal(self) -> Self {
        self.on_terminal_after("")
    }

    /// The same where this is done to the terminal first.
    pub(crate) fn on_terminal_after(mut self, first: &str) -> Self {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut command = Command::new("env");
        let words = format!("{first}{}", words.join(" "));
        command.args(["--default-signal=INT", "script", "-qec", &words, "/dev/null"]).env_clear();
        let set = self.command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(set).env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
        command.current_dir(self.command.get_current_dir().unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// Is run by another program, which gets this first.
    pub(crate) fn under(mut self, program: &Path, first: &str) -> Self {
        let mut command = Command::new(program);
        command.arg(first).arg(self.command.get_program()).args(self.command.get_args());
        let set = self.command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.env_clear().envs(set).current_dir(self.command.get_current_dir().unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// Runs it to its end and checks what was asked for.
    #[track_caller]
    pub(crate) fn run(mut self) -> Ran {
        let asked = format!("{:?}", self.command);
        let arguments = self.command.get_args();
        let arguments: Vec<_> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
        let (status, stdout, stderr) = (self.status, self.stdout.take(), self.stderr.take());
        let ran = self.spawn().finish();
        let as_expected = ran.status == Some(status)
            && stdout.as_ref().is_none_or(|text| *text == ran.stdout)
            && stderr.as_ref().is_none_or(|text| *text == ran.stderr);
        assert!(
            as_expected,
            "{asked}\nended with {:?}, expected {status}\n\
            --- stdout\n{}--- expected\n{}--- stderr\n{}--- expected\n{}",
            ran.status,
            ran.stdout,
            stdout.as_deref().unwrap_or("(anything)\n"),
            ran.stderr,
            stderr.as_deref().unwrap_or("(anything)\n"),
        );
        assert_of_schema(&arguments, &ran.stdout);
        ran
    }

    /// Starts it and lets the test go on beside it; nothing is checked. On standard output it must not
    /// print more than a pipe holds before the test waits for its end.
    #[track_caller]
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read may be gone by now.
        let _unread = stdin.write_all(self.stdin.as_bytes());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // Read as it comes, or a daemon that says much would wait for ever.
        let errors = child.stderr.take();
        let stderr = Arc::new(Mutex::new(String::new()));
        let read = Arc::clone(&stderr);
        let reader = thread::spawn(move || {
            let Some(mut errors) = errors.map(BufReader::new) else { return };
            let mut line = String::new();
            while errors.read_line(&mut line).unwrap() > 0 {
                read.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Running {
            child: Guarded(child),
            stdout,
            stderr,
            reader,
            said: String::new(),
            _home: self.home,
        }
    }
}

/// The verbs that print what they have changed.
const CHANGING: [&str; 13] = [
    "init",
    "keygen",
    "add",
    "encrypt",
    "rotate",
    "forget",
    "rename",
    "rm",
    "rekey",
    "authorize",
    "import",
    "login",
    "logout",
];

/// What a verb prints as JSON is as its schema says, whatever test runs it.
#[track_caller]
fn assert_of_schema(arguments: &[String], printed: &str) {
    let is_json = arguments.windows(2).any(|pair| pair == ["--format", "json"]);
    if !is_json || printed.is_empty() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let file_of = |word: &String| {
        let verb = match word.as_str() {
            "apply" | "diff" => "plan",
            word if CHANGING.contains(&word) => "changes",
            word => word,
        };
        Some(folder.join(format!("{verb}.schema.json"))).filter(|file| file.exists())
    };
    let file = arguments.iter().find_map(file_of).expect("what a verb prints has a schema");
    let schema = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let printed = serde_json::from_str(printed).unwrap();
    let errors = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = errors.iter_errors(&printed).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{arguments:?} prints what its schema forbids: {errors:?}");
}

/// Reads what a terminal shows until that has this text.
#[track_caller]
pub(crate) fn read_until(shown: &mut impl Read, said: &mut String, text: &str) {
    let from = said.len();
    let mut byte = [0];
    while !said[from..].contains(text) {
        let read = shown.read(&mut byte).unwrap();
        assert!(read > 0, "it ended without saying {text:?}: {said}");
        said.push(char::from(byte[0]));
    }
}

/// A terminal at which somebody sits.
pub(crate) struct Terminal {
    // Dropped before the child.
    keys: Option<ChildStdin>,
    shown: ChildStdout,
    child: Guarded,
    /// What it has shown.
    pub(crate) said: String,
}

impl Terminal {
    /// Runs a line of `sh` there, in an environment that holds nothing but what is given here.
    #[track_caller]
    pub(crate) fn run<'e>(
        line: &str,
        folder: &Path,
        environment: impl IntoIterator<Item = (&'e str, &'e str)>,
    ) -> Self {
        // A shell that began the tests in the background has them ignore Ctrl-C, and whatever they start.
        let mut child = Command::new("env")
            .args(["--default-signal=INT", "script", "-qec", line, "/dev/null"])
            .current_dir(folder)
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, shown) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { keys, shown, child: Guarded(child), said: String::new() }
    }

    /// Waits until it shows this.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        read_until(&mut self.shown, &mut self.said, text);
    }

    #[track_caller]
    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Types these keys until it ends, and gives all that it has shown: a program loses those that it was typed while
    /// it dealt with Ctrl-C.
    #[track_caller]
    pub(crate) fn left_with(mut self, keys: &str) -> String {
        while self.child.0.try_wait().unwrap().is_none() {
            self.type_in(keys);
            thread::sleep(Duration::from_millis(50));
        }
        self.finish()
    }

    /// Waits for its end and gives all that it has shown.
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        drop(self.keys.take());
        let mut rest = Vec::new();
        self.shown.read_to_end(&mut rest).unwrap();
        self.child.0.wait().unwrap();
        self.said + &String::from_utf8_lossy(&rest)
    }
}

/// A process that ends with its test, also with one that fails.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Mostly it is over already.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// A run that is not over.
pub(crate) struct Running {
    child: Guarded,
    stdout: BufReader<ChildStdout>,
    stderr: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    said: String,
    _home: TempDir,
}

impl Running {
    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Sends a signal: `INT` is Ctrl-C, `KILL` is the end.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_some()
    }

    /// What it has written on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until it prints a line with this text, and gives that line.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        loop {
            let from = self.said.len();
            let read = self.stdout.read_line(&mut self.said).unwrap();
            assert!(read > 0, "it ended without saying {text:?}:\n{}", self.said);
            if self.said[from..].contains(text) {
                return self.said[from..].trim().to_owned();
            }
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ran {
        // Both at once, or a full pipe would hold it for ever.
        let mut rest = self.stdout;
        let reading = thread::spawn(move || {
            rest.read_to_string(&mut self.said).unwrap();
            self.said
        });
        let pid = Pid::from_child(&self.child.0);
        let (over, ended) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            // What hangs fails its own test, and does not hold all others.
            let hangs = ended.recv_timeout(NEVER) == Err(RecvTimeoutError::Timeout);
            if hangs {
                kill_process(pid, Signal::KILL).unwrap();
            }
            hangs
        });
        let status = self.child.0.wait().unwrap();
        drop(over);
        let hangs = guard.join().unwrap();
        let ran = Ran {
            status: status.code(),
            stdout: reading.join().unwrap(),
            stderr: {
                self.reader.join().unwrap();
                std::mem::take(&mut *self.stderr.lock().unwrap())
            },
        };
        assert!(!hangs, "it does not end: {}{}", ran.stdout, ran.stderr);
        ran
    }
}

/// A folder of files, as somebody keeps in Git.
pub(crate) struct Project(TempDir);

impl Project {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("appcred-project-").tempdir().unwrap())
    }

    /// Writes a file, with the folders above it.
    #[track_caller]
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file anew.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Where a file of it is.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A new age identity, as a line of an identity file, and its recipient.
pub(crate) fn age_identity() -> (String, Recipient) {
    let identity = Identity::generate();
    (identity.to_string().expose_secret().to_owned(), identity.to_public())
}

/// A secret as a manifest holds it: armored age.
#[track_caller]
pub(crate) fn encrypt(secret: &str, recipient: &Recipient) -> String {
    age::encrypt_and_armor(recipient, secret.as_bytes()).unwrap()
}
