//! How Git is asked, and how long it may take: it is led to no other repository, runs nothing of the repository that it
//! reads, and asks nobody.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use super::GitError;
use super::limited::{Deadline, RunningGit};
use crate::files;

/// Variables by which hooks and others point Git at another repository, or at none, or change what paths and objects mean.
const NOT_INHERITED: [&str; 20] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DEFAULT_HASH",
    "GIT_DEFAULT_REF_FORMAT",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Variables by which Git writes more than its errors, which are read here.
pub(super) const TRACES: [&str; 16] = [
    "GIT_CURL_VERBOSE",
    "GIT_TRACE",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_TRACE_BARE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_FSMONITOR",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_PACKFILE",
    "GIT_TRACE_PACK_ACCESS",
    "GIT_TRACE_PERFORMANCE",
    "GIT_TRACE_REDACT",
    "GIT_TRACE_REFS",
    "GIT_TRACE_SETUP",
    "GIT_TRACE_SHALLOW",
];

/// Names the index that a commit is made of, for its hooks.
pub(super) const INDEX_FILE: &str = "GIT_INDEX_FILE";

/// Settings by which a repository runs programs of its own when it is only read.
pub(super) const RUN_NOTHING: [&str; 8] = [
    "-c",
    "core.fsmonitor=false",
    "-c",
    "log.showSignature=false",
    "-c",
    "core.hooksPath=/dev/null",
    // A folder of a commit can look like a repository with settings of its own.
    "-c",
    "safe.bareRepository=explicit",
];

/// How long Git may take to answer a question about the work tree.
pub(super) const QUESTION: Duration = Duration::from_secs(30);

/// How long it may take to go through all versions.
pub(super) const HISTORY: Duration = Duration::from_secs(600);

/// No list of files or versions is longer.
pub(super) const LONGEST: u64 = 64 * 1024 * 1024;

pub(super) fn git(folder: &Path) -> Command {
    let mut command = inheriting_index(folder);
    command.env_remove(INDEX_FILE);
    command
}

/// Git, led to no other repository by what this process inherited.
fn program() -> Command {
    let mut command = Command::new("git");
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    // Nobody is there to answer.
    command.env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// The same without the index that it inherited: in a hook it is that of the commit that is being made.
pub(super) fn without_index() -> Command {
    let mut command = program();
    command.env_remove(INDEX_FILE);
    command
}

pub(super) fn inheriting_index(folder: &Path) -> Command {
    let here = files::folder(folder);
    let mut command = program();
    // What `git replace` puts in the place of a version is not what others clone.
    command.arg("--no-replace-objects");
    command.arg("-C").arg(here).args(RUN_NOTHING);
    // Its messages are read, so they must not be translated; and a partial clone must not fetch.
    command.env("LC_ALL", "C").env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
    command
}

/// Waits for Git so long, whoever asks.
pub(super) fn within(time: Duration) -> Deadline<'static> {
    Deadline {
        until: Instant::now() + time,
        seconds: time.as_secs(),
        is_stopped: &|| false,
        is_of_server: false,
    }
}

/// All that a command writes, and how it ends.
pub(super) fn output(time: Duration, command: &Command) -> Result<Output, GitError> {
    let not_ended = |why| GitError::not_ended(command, why);
    let mut running = RunningGit::start(command, None, within(time)).map_err(not_ended)?;
    let mut stdout = Vec::new();
    io::copy(&mut running.by_ref().take(LONGEST + 1), &mut stdout)
        .map_err(|why| not_ended(why.into()))?;
    if stdout.len() as u64 > LONGEST {
        return Err(GitError::TooMuch { command: shown(command) });
    }
    let (status, stderr) = running.end().map_err(not_ended)?;
    Ok(Output { status, stdout, stderr })
}

/// A command as it is named in messages: without what comes before its verb.
pub(super) fn shown(command: &Command) -> String {
    let mut arguments = command.get_args().map(OsStr::to_string_lossy);
    while let Some(argument) = arguments.next() {
        match argument.as_ref() {
            "-c" | "-C" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            verb => return format!("`git {verb}`"),
        }
    }
    "`git`".to_owned()
}

/// What a command writes, where it succeeds.
pub(super) fn answer(command: &Command) -> Result<Vec<u8>, GitError> {
    answer_in(QUESTION, command)
}

/// The same of one that may take so long.
pub(super) fn answer_in(time: Duration, command: &Command) -> Result<Vec<u8>, GitError> {
    let Output { status, stdout, stderr } = output(time, command)?;
    if status.success() { Ok(stdout) } else { Err(refused(status, &stderr)) }
}

pub(super) fn refused(status: ExitStatus, stderr: &[u8]) -> GitError {
    let message = String::from_utf8_lossy(stderr);
    // Before 2.36 it was called so.
    if message.contains("dubious ownership") || message.contains("unsafe repository") {
        return GitError::OtherOwner;
    }
    let is_missing = ["unable to read", "bad object", "missing object", "could not fetch"];
    if is_missing.iter().any(|text| message.contains(text)) {
        return GitError::Incomplete;
    }
    let mut lines = message.lines().map(|line| line.trim_start_matches("fatal: ").trim());
    match lines.find(|line| !line.is_empty()) {
        Some(line) => GitError::Refused(line.to_owned()),
        // A signal leaves no message, and neither does a program that is not Git.
        None => GitError::Refused(format!("it ended with {status} and said nothing")),
    }
}
