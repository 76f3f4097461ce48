//! A home of one's own in which the blocks of a document run, one after the other.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;
use tempfile::TempDir;

use crate::real::{HomeAssistant, free_port};
use crate::shell::read_until;

use super::root;

/// What documents call the things that each session has of its own.
const HOME_ASSISTANT: &str = "http://homeassistant.local:8123";
const STATUS_PAGE: &str = "127.0.0.1:8099";
/// How a question ends whose answer is not shown.
const HIDDEN: &str = "(not shown): ";

/// `watch` goes on beside the blocks that follow it, and has begun when its block ends.
const BEFORE: &str = r#"
appcred() {
  if [ "${1-}" != watch ]; then command appcred "$@"; return; fi
  command appcred "$@" >"$SESSION/watch.log" 2>&1 &
  echo $! >"$SESSION/watch.pid"
  until curl --silent --fail --output /dev/null "http://$APPCRED_LISTEN/readyz"; do
    kill -0 $! 2>/dev/null || { cat "$SESSION/watch.log"; return 1; }
    sleep 0.05
  done
}
if [ -e "$SESSION/variables" ]; then . "$SESSION/variables"; fi
cd "$(cat "$SESSION/folder" 2>/dev/null || echo ~)"
trap 'export -p >"$SESSION/variables"; pwd >"$SESSION/folder"' EXIT
set -e
"#;

pub(super) struct Session {
    home: TempDir,
    state: TempDir,
    port: u16,
    /// The address and the token of a running Home Assistant.
    access: Option<(String, String)>,
}

/// All that a block has printed, and how it ended.
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) status: Option<i32>,
}

impl Session {
    pub(super) fn new(ha: Option<&HomeAssistant>) -> Self {
        let folder = |name: &str| tempfile::Builder::new().prefix(name).tempdir().unwrap();
        Self {
            home: folder("appcred-home-"),
            state: folder("appcred-session-"),
            port: free_port(),
            access: ha.map(|ha| (ha.url(), ha.token().to_owned())),
        }
    }

    /// Where a block leaves off is where the next one begins.
    fn folder(&self) -> PathBuf {
        let written = fs::read_to_string(self.state.path().join("folder"));
        written.map_or_else(|_| self.home.path().to_owned(), |text| PathBuf::from(text.trim()))
    }

    #[track_caller]
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.as_here(text)).unwrap();
    }

    #[track_caller]
    pub(super) fn read(&self, path: &str) -> String {
        self.as_documented(&fs::read_to_string(self.folder().join(path)).unwrap())
    }

    /// Runs a script of bash; where something is typed, on a terminal.
    #[track_caller]
    pub(super) fn run(&self, script: &str, typed: Option<&str>) -> Printed {
        let file = self.state.path().join("block.sh");
        fs::write(&file, format!("{BEFORE}\n{}", self.as_here(script))).unwrap();
        let mut command = match typed {
            None => Command::new("bash"),
            Some(_) => {
                let mut command = Command::new("script");
                command.args(["-qec", &format!("bash {}", file.display()), "/dev/null"]);
                command
            }
        };
        if typed.is_none() {
            command.arg(&file);
        }
        let program = Path::new(env!("CARGO_BIN_EXE_appcred")).parent().unwrap();
        let sops = root().join("target/sops/current/bin").display().to_string();
        let (mut output, writer) = std::io::pipe().unwrap();
        command
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("SESSION", self.state.path())
            .env("PATH", format!("{}:{sops}:/usr/local/bin:/usr/bin:/bin", program.display()))
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1")
            .env("APPCRED_LISTEN", format!("127.0.0.1:{}", self.port))
            // No provider of the world is asked: this proxy is not there.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        if let Some((_, token)) = &self.access {
            command.env("HASS_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut stdin = child.stdin.take().unwrap();
        let mut text = String::new();
        if let Some(typed) = typed {
            // What is typed before the program asks is thrown away with the echo.
            read_until(&mut output, &mut text, HIDDEN);
            writeln!(stdin, "{typed}").unwrap();
        } else {
            drop(stdin);
        }
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).unwrap();
        text.push_str(&String::from_utf8(rest).unwrap());
        let status = child.wait().unwrap().code();
        Printed { text: self.as_documented(&text), status }
    }

    fn as_here(&self, text: &str) -> String {
        let url = self.access.as_ref().map_or(HOME_ASSISTANT, |(url, _)| url);
        let page = format!("127.0.0.1:{}", self.port);
        let root = format!("{}/", root().display());
        text.replace(HOME_ASSISTANT, url).replace(STATUS_PAGE, &page).replace("CHECKOUT/", &root)
    }

    fn as_documented(&self, text: &str) -> String {
        // What moves the cursor of a terminal, and keys, which are new each time.
        static MOVES: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\r|\x1b\[[0-9;?]*[a-zA-Z]").unwrap());
        static KEYS: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\b(age1(?:pq1)?)[0-9a-z]{16,}…?").unwrap());
        let text = MOVES.replace_all(text, "");
        let text = KEYS.replace_all(&text, "$1...");
        let text: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        let mut text = text.replace(self.home.path().to_str().unwrap(), "~");
        if let Some((url, token)) = &self.access {
            assert!(!text.contains(token.as_str()), "a token is printed");
            text = text.replace(url.as_str(), HOME_ASSISTANT);
        }
        text.replace(&format!("127.0.0.1:{}", self.port), STATUS_PAGE)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Ok(id) = fs::read_to_string(self.state.path().join("watch.pid")) else { return };
        let Some(id) = id.trim().parse().ok().and_then(rustix::process::Pid::from_raw) else {
            return;
        };
        // It may be over.
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap_or_default();
    }
}
