//! Runs Git: it is ended, with all that it has started, when its time is over or nobody waits for it any more. No
//! other file of this room starts a program.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{
    Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio,
};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::Timespec;
use thiserror::Error;

use crate::files;

/// How often it is asked whether somebody still waits.
const LOOK: Duration = Duration::from_millis(100);

/// How much of an output is kept: what Git says, and no more of what a server makes it say.
const KEPT: u64 = 256 * 1024;

/// What the shell that becomes a program ends with where there is none.
const NO_PROGRAM: i32 = 127;

/// How long to wait for Git, and whether to go on.
#[derive(Clone, Copy)]
pub(super) struct Deadline<'p> {
    pub(super) until: Instant,
    /// In seconds, for who reads the error.
    pub(super) seconds: u64,
    pub(super) is_stopped: &'p (dyn Fn() -> bool + Sync),
    /// Whether a server says how much memory it takes, and how large files become: then it gets two gigabytes.
    pub(super) is_of_server: bool,
}

impl Deadline<'_> {
    fn check(&self) -> Result<(), NotEnded> {
        if (self.is_stopped)() {
            return Err(NotEnded::Stopped);
        }
        if Instant::now() >= self.until {
            return Err(NotEnded::TooSlow(self.seconds));
        }
        Ok(())
    }
}

/// A program that cannot be started.
#[derive(Debug, Error)]
#[error("cannot run {program}: {why}")]
pub struct NotRun {
    program: String,
    why: String,
}

impl NotRun {
    fn new(program: &OsStr, why: io::Error) -> Self {
        let why = match why.kind() {
            io::ErrorKind::NotFound => "there is no such program".to_owned(),
            _ => files::reason(program.as_ref(), &why),
        };
        Self { program: program.to_string_lossy().into_owned(), why }
    }

    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        if self.program == "gpg" {
            "install GnuPG, or name keys of SSH by --git-allowed-signers"
        } else {
            "install git"
        }
    }
}

/// Why a program has not come to its end.
#[derive(Debug, Error)]
pub(super) enum NotEnded {
    #[error(transparent)]
    NotRun(NotRun),
    #[error("git did not end within {0} seconds")]
    TooSlow(u64),
    #[error("interrupted")]
    Stopped,
}

impl From<io::Error> for NotEnded {
    fn from(why: io::Error) -> Self {
        why.downcast().unwrap_or_else(|why| Self::NotRun(NotRun::new("git".as_ref(), why)))
    }
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
/// Where it cannot be started, takes too long, or is to stop.
pub(super) fn output(command: &Command, deadline: Deadline<'_>) -> Result<Output, NotEnded> {
    output_up_to(KEPT, command, deadline)
}

/// The same of a command that prints more.
///
/// # Errors
/// As above.
pub(super) fn output_up_to(
    kept: u64,
    command: &Command,
    deadline: Deadline<'_>,
) -> Result<Output, NotEnded> {
    let mut running = RunningGit::start(command, None, deadline)?;
    let stdout = beginning(&mut running, kept)?;
    let (status, stderr) = running.end()?;
    Ok(Output { status, stdout, stderr })
}

/// A program that prints, which is read from here: its errors are read beside. Dropped, it is killed with all that it
/// has started.
pub(super) struct RunningGit<'p> {
    group: Pid,
    /// Kills the group when it is closed, which the end of this process does too.
    _guard: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    ended: Receiver<io::Result<(ExitStatus, Vec<u8>)>>,
    has_ended: bool,
    deadline: Deadline<'p>,
    program: OsString,
}

impl<'p> RunningGit<'p> {
    /// Starts a command, which reads this file where there is one.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(super) fn start(
        command: &Command,
        input: Option<&OwnedFd>,
        deadline: Deadline<'p>,
    ) -> Result<Self, NotEnded> {
        // It and what it starts are one group, so that ssh does not outlive it.
        let program = command.get_program();
        let not_run = |why| NotEnded::NotRun(NotRun::new(program, why));
        let mut command = guarded(command, input, deadline.is_of_server);
        #[expect(clippy::disallowed_methods, reason = "this file has the limits")]
        let mut child = command.process_group(0).spawn().map_err(not_run)?;
        let (group, stdout, stderr) =
            (Pid::from_child(&child), child.stdout.take(), child.stderr.take());
        let (sender, ended) = mpsc::channel();
        let guard = child.stdin.take();
        let program = program.to_owned();
        let running =
            Self { group, _guard: guard, stdout, ended, has_ended: false, deadline, program };
        // Nobody waits for the end of what was given up.
        let waiting = move || drop(sender.send(end_of(child, stderr)));
        thread::Builder::new().spawn(waiting).map_err(not_run)?;
        Ok(running)
    }

    /// Waits for its end, once its output was read.
    ///
    /// # Errors
    /// Where that takes too long, or nobody waits any more.
    pub(super) fn end(mut self) -> Result<(ExitStatus, Vec<u8>), NotEnded> {
        loop {
            match self.ended.recv_timeout(LOOK) {
                Ok(ended) => {
                    self.has_ended = true;
                    let (status, stderr) = ended?;
                    if status.code() == Some(NO_PROGRAM) {
                        let missing = io::ErrorKind::NotFound.into();
                        return Err(NotEnded::NotRun(NotRun::new(&self.program, missing)));
                    }
                    return Ok((status, stderr));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(NotEnded::Stopped),
                Err(RecvTimeoutError::Timeout) => self.deadline.check()?,
            }
        }
    }
}

impl Read for RunningGit<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else { return Ok(0) };
        let look = Timespec::try_from(LOOK).map_err(io::Error::other)?;
        loop {
            self.deadline.check().map_err(io::Error::other)?;
            let polled = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&look));
            match polled {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return stdout.read(buffer),
                Err(why) => return Err(why.into()),
            }
        }
    }
}

impl Drop for RunningGit<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            // None is left where all have just ended.
            let _ended = kill_process_group(self.group, Signal::KILL);
        }
    }
}

/// The same command, which ends with this process, however that ends: a process beside it waits for the end of the
/// input, and then kills the group.
fn guarded(command: &Command, input: Option<&OwnedFd>, is_of_server: bool) -> Command {
    const GUARD: &str = "exec 3<&0 <\"$0\"
( ( trap '' HUP INT TERM; read -r _ <&3; kill -s KILL -- \"-$$\" ) >/dev/null 2>&1 & )
exec \"$@\" 3<&-";
    // A server may make it keep a message without an end, or write a file without one: the first is counted in kilobytes,
    // the second in blocks of half of one. What is too large for a file is an error that it reports.
    const LIMITED: &str =
        "ulimit -v 2097152 2>/dev/null\ntrap '' XFSZ\nulimit -f 4194304 2>/dev/null\n";
    let script = format!("{}{GUARD}", if is_of_server { LIMITED } else { "" });
    let reads =
        input.map_or("/dev/null".to_owned(), |file| format!("/dev/fd/{}", file.as_raw_fd()));
    let mut guarded = Command::new("/bin/sh");
    guarded.args(["-c", &script, &reads]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        guarded.current_dir(folder);
    }
    guarded.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    guarded
}

/// Waits for a program, and reads all of its errors: the beginning is kept.
fn end_of(mut child: Child, stderr: Option<ChildStderr>) -> io::Result<(ExitStatus, Vec<u8>)> {
    let stderr = stderr.map_or_else(|| Ok(Vec::new()), |stderr| beginning(stderr, KEPT))?;
    Ok((child.wait()?, stderr))
}

fn beginning(mut output: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    io::copy(&mut output.by_ref().take(most), &mut kept)?;
    io::copy(&mut output, &mut io::sink())?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};
    use std::time::{Duration, Instant};

    use super::super::fetch_error::FetchError;
    use super::{Deadline, NotEnded, output};

    const SHORT: Duration = Duration::from_millis(300);

    /// A script that is run for a short time.
    fn run(script: &str) -> Result<String, NotEnded> {
        let output = run_for(SHORT, false, script)?;
        Ok(format!("{} {}", String::from_utf8_lossy(&output.stdout), output.status))
    }

    fn run_for(time: Duration, is_of_server: bool, script: &str) -> Result<Output, NotEnded> {
        let until = Instant::now() + time;
        let deadline = Deadline { until, seconds: 7, is_stopped: &|| false, is_of_server };
        output(Command::new("sh").args(["-c", script]), deadline)
    }

    #[test]
    fn what_a_server_sends_makes_no_file_without_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pack");
        // A byte behind a hole.
        let write = |megabytes: u32| {
            let script = format!(
                "LC_ALL=C dd if=/dev/zero of={} bs=1048576 count=1 seek={megabytes}",
                file.display()
            );
            let ended = run_for(Duration::from_secs(60), true, &script).unwrap();
            (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
        };
        assert!(write(1000).0);
        let (is_written, said) = write(5000);
        assert!(!is_written && said.contains("File too large"), "{said}");
        assert!(matches!(FetchError::of(said.as_bytes()), FetchError::TooMuch(_)), "{said}");
    }

    #[test]
    fn what_does_not_end_is_given_up_whatever_keeps_its_output_open() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let hangs = format!("echo $$ >{}; sleep 300", pid.display());
        for script in [hangs.as_str(), "yes", "exec >&-; sleep 300", "setsid sleep 20 & sleep 300"]
        {
            assert!(matches!(run(script), Err(NotEnded::TooSlow(7))), "{script}");
        }
        // It does not go on: a killed process may still be shown until it is waited for.
        let pid = std::fs::read_to_string(pid).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        let runs = || state().is_ok_and(|state| !state.contains(") Z"));
        let until = Instant::now() + Duration::from_secs(20);
        while runs() && Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(!runs());
        assert_eq!(run("echo said").unwrap(), "said\n exit status: 0");
    }
}
