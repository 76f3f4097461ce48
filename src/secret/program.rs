//! Programs that print a secret.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, IsTerminal};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::select;
use tokio::time::timeout;

use super::env;
use crate::files;
use crate::model::Visible;

/// A program may have to ask a person to unlock something.
const TIMEOUT_SECONDS: u64 = 60;
/// After this it is said what is waited for.
const WARN_AFTER: Duration = Duration::from_secs(3);
/// What a program started may keep its output open after it has ended.
const REST: Duration = Duration::from_millis(500);
/// How much of its standard error is kept.
const STDERR: usize = 4 * 1024;

/// What a program reads that is to read nothing.
const NOTHING: &str = "/dev/null";

/// Becomes the program, once a process beside it waits for the end of its input: that ends with this process,
/// however it ends, and then it kills the program and what that started, as far as it is in the program's group
/// or, on a terminal, as the operating system shows what it started. What it reads is to be added.
const START: &str = "exec 3<&0
end() {
  for child in $(cat /proc/\"$1\"/task/*/children); do end \"$child\"; done
  kill -s KILL \"$1\"
}
( (
  trap '' HUP INT TERM
  read -r _ <&3 || case $0 in group) kill -s KILL -- \"-$$\" ;; *) end \"$$\" ;; esac
) >/dev/null 2>&1 & )
exec \"$@\" 3<&- <";

/// Why a program gave nothing. The program is named by whoever reports this.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("cannot be run: {0}")]
    NotRun(#[from] std::io::Error),
    /// It says that it failed.
    #[error("ended with {0}")]
    Failed(ExitStatus),
    /// It does not end.
    #[error("did not end within {0} seconds")]
    TooSlow(u64),
}

/// Runs a program in a folder, without a shell, and gives what it prints: `limit` bytes, or one more
/// where it prints more than that. What it writes to standard error goes to the person, whom it may ask where
/// there is a terminal.
pub(super) async fn output(
    program: &str,
    arguments: &[String],
    folder: &Path,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    let has_terminal = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    printed((program, arguments), folder, limit, has_terminal).await
}

async fn printed(
    (program, arguments): (&str, &[String]),
    folder: &Path,
    limit: usize,
    has_terminal: bool,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    let path = env::variable("PATH");
    find(program, folder, path.as_deref())?;
    let mut command = guarded(program, arguments, folder, NOTHING, !has_terminal)?;
    let (mut child, guard) = start(&mut command, !has_terminal)?;
    // With all of its room from the start, so that no copy is left behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let output = child.stdout.take();
    let ended = {
        let output = beginning(output, &mut bytes, limit + 1, false);
        let run = ended(&mut child, output, guard);
        let mut run = pin!(timeout(Duration::from_secs(TIMEOUT_SECONDS), run));
        if let Ok(ended) = timeout(WARN_AFTER, &mut run).await {
            ended
        } else {
            tracing::warn!("waiting for the program `{}`", program.visible());
            run.await
        }
    };
    let status = ended.map_err(|_| ProgramError::TooSlow(TIMEOUT_SECONDS))??;
    // A program that prints on and on is ended by the closed pipe.
    if !status.success() && bytes.len() <= limit {
        return Err(ProgramError::Failed(status));
    }
    Ok(bytes)
}

/// The same for who cannot wait for a task.
pub(super) fn output_blocking(
    program: &str,
    arguments: &[String],
    folder: &Path,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ProgramError> {
    on_a_runtime(|| output(program, arguments, folder, limit))
}

/// A thread of its own: the caller's may belong to a runtime already, which forbids to block on it.
fn on_a_runtime<T: Send, F: Future<Output = Result<T, ProgramError>>>(
    run: impl FnOnce() -> F + Send,
) -> Result<T, ProgramError> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run())
    };
    // Where the operating system gives no thread, that is an error as of a program that it does not start.
    std::thread::scope(|scope| {
        let running = std::thread::Builder::new().spawn_scoped(scope, run)?;
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A program that is run apart from this terminal.
pub(super) struct Capture<'c> {
    pub(super) program: &'c str,
    pub(super) arguments: &'c [String],
    pub(super) folder: &'c Path,
    /// What it reads on its standard input, where it reads anything; nothing secret.
    pub(super) input: Option<&'c [u8]>,
    /// How much of its output is read; one byte more where it prints more than that.
    pub(super) limit: usize,
    pub(super) timeout: Duration,
    /// All of its environment.
    pub(super) environment: Vec<(String, OsString)>,
}

/// What it printed, and how it ended.
pub(super) struct Captured {
    pub(super) stdout: Zeroizing<Vec<u8>>,
    /// The beginning.
    pub(super) stderr: Zeroizing<Vec<u8>>,
    pub(super) status: ExitStatus,
}

/// Runs a program without a shell, in a session of its own: it has no terminal, and those of its processes
/// that stay in its group do not outlive it.
pub(super) fn capture(asked: Capture<'_>) -> Result<Captured, ProgramError> {
    on_a_runtime(|| async {
        let folder = files::folder(asked.folder);
        let path = asked.environment.iter().find(|(name, _)| name == "PATH");
        find(asked.program, folder, path.map(|(_, path)| path.as_os_str()))?;
        let input = asked.input.map(files::inherited).transpose()?;
        let from = input.as_ref().map(|input| format!("/dev/fd/{}", input.as_raw_fd()));
        let from = from.as_deref().unwrap_or(NOTHING);
        let mut command = guarded(asked.program, asked.arguments, folder, from, true)?;
        command.env_clear().envs(asked.environment).stderr(Stdio::piped());
        let (mut child, guard) = start(&mut command, true)?;
        let mut stdout = Zeroizing::new(Vec::with_capacity(asked.limit + 1));
        let mut stderr = Zeroizing::new(Vec::with_capacity(STDERR));
        let outputs = (child.stdout.take(), child.stderr.take());
        let read = async {
            tokio::try_join!(
                beginning(outputs.0, &mut stdout, asked.limit + 1, false),
                beginning(outputs.1, &mut stderr, STDERR, true)
            )?;
            Ok(())
        };
        // What it left behind may hold its output open.
        let status = timeout(asked.timeout, ended(&mut child, read, guard))
            .await
            .map_err(|_| ProgramError::TooSlow(asked.timeout.as_secs()))??;
        Ok(Captured { stdout, stderr, status })
    })
}

/// Waits until a program has ended and its output was read. Once it has ended, what it started may keep the
/// output open for [`REST`] more.
async fn ended(
    child: &mut Child,
    read: impl Future<Output = std::io::Result<()>>,
    guard: ProgramGuard,
) -> std::io::Result<ExitStatus> {
    let mut read = pin!(read);
    select! {
        done = &mut read => {
            done?;
            let ended = child.wait().await?;
            guard.let_go();
            Ok(ended)
        }
        ended = child.wait() => {
            let ended = ended?;
            guard.let_go();
            timeout(REST, read).await.unwrap_or(Ok(()))?;
            Ok(ended)
        }
    }
}

/// Reads the first bytes of an output. The rest is read too, or the program is ended by the closed pipe.
async fn beginning(
    output: Option<impl AsyncRead + Unpin>,
    bytes: &mut Vec<u8>,
    limit: usize,
    is_rest_read: bool,
) -> std::io::Result<()> {
    if let Some(output) = output {
        let mut output = output.take(limit as u64);
        output.read_to_end(bytes).await?;
        if is_rest_read {
            tokio::io::copy(&mut output.into_inner(), &mut tokio::io::sink()).await?;
        }
    }
    Ok(())
}

/// Reports a program that is not there; the shell that becomes it would only print that.
fn find(program: &str, folder: &Path, path: Option<&OsStr>) -> std::io::Result<()> {
    // Where there is none, the operating system looks here as well.
    let folders = std::env::split_paths(path.unwrap_or(OsStr::new("/bin:/usr/bin")));
    match files::program(program, folder, folders) {
        Some(_) => Ok(()),
        None => Err(std::io::Error::new(ErrorKind::NotFound, "there is no such program")),
    }
}

/// A command that reads this file and does not outlive this process, in a session of its own where it is to be `apart`.
fn guarded(
    program: &str,
    arguments: &[String],
    folder: &Path,
    input: &str,
    apart: bool,
) -> std::io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("{START}{input}"), if apart { "group" } else { "terminal" }, program])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if apart {
        // The hook alone: `CommandWrap` itself would wait for all processes of the group.
        ProcessSession.pre_spawn(&mut command, &CommandWrap::from(Command::new("")))?;
    }
    Ok(command)
}

fn start(command: &mut Command, apart: bool) -> std::io::Result<(Child, ProgramGuard)> {
    let mut child = command.spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let input = child.stdin.take().map(ChildStdin::into_owned_fd).transpose()?;
    Ok((child, ProgramGuard { group: id.filter(|_| apart), input }))
}

/// Keeps a program from outliving it. Dropped, it kills what is left of the program's group, or has the process beside the
/// program kill that and what it started.
struct ProgramGuard {
    group: Option<Pid>,
    /// That of the process that waits beside the program.
    input: Option<OwnedFd>,
}

impl ProgramGuard {
    /// The program has ended: nothing but the rest of its group is killed, since another process may have its number.
    fn let_go(self) {
        if let (None, Some(input)) = (self.group, &self.input) {
            let _ended = rustix::io::write(input, b"\n");
        }
    }
}

impl Drop for ProgramGuard {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // There is none any more where all have ended.
            let _ended = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;
    use std::{fs, thread};

    use tokio::time;

    use super::{ProgramError, TIMEOUT_SECONDS, output, printed};

    #[tokio::test]
    async fn what_a_program_started_is_not_waited_for() {
        let arguments = ["-c", "sleep 300 & echo token"].map(str::to_owned);
        let bytes = output("sh", &arguments, Path::new("."), 100).await.unwrap();
        assert_eq!(bytes.as_slice(), b"token\n");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_ends_with_all_that_it_started_at_a_terminal_too() {
        for has_terminal in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let started = folder.path().join("started");
            let script = "sh -c 'sleep 5000 & echo $! >new; mv new started; wait' & wait";
            let arguments = ["-c", script].map(str::to_owned);
            let printed = printed(("sh", &arguments), folder.path(), 100, has_terminal);
            let too_long = async {
                while !started.exists() {
                    time::sleep(Duration::from_millis(10)).await;
                }
                time::pause();
                time::advance(Duration::from_secs(TIMEOUT_SECONDS + 1)).await;
                time::resume();
            };
            let (ended, ()) = tokio::join!(printed, too_long);
            assert!(matches!(ended, Err(ProgramError::TooSlow(_))));
            let stat = format!("/proc/{}/stat", fs::read_to_string(&started).unwrap().trim());
            // What nobody collects is a zombie.
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                thread::yield_now();
            }
        }
    }
}
