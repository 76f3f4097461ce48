//! Runs Git where it may wait for a server: it is ended, with all that it has started, when its time is over or
//! nobody waits for it any more.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::fetch_error::FetchError;

/// How often it is asked whether somebody still waits.
const LOOK: Duration = Duration::from_millis(100);

/// How much of an output is kept: what Git says, and no more of what a server makes it say.
const KEPT: u64 = 256 * 1024;

/// How long to wait for Git, and whether to go on.
#[derive(Clone, Copy)]
pub(super) struct Patience<'p> {
    pub(super) until: Instant,
    /// In seconds, for who reads the error.
    pub(super) seconds: u64,
    pub(super) is_stopped: &'p (dyn Fn() -> bool + Sync),
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
/// Where it cannot be started, takes too long, or is to stop.
pub(super) fn output(command: &mut Command, patience: Patience<'_>) -> Result<Output, FetchError> {
    output_up_to(KEPT, command, patience)
}

/// The same of a command that prints more.
///
/// # Errors
/// As above.
pub(super) fn output_up_to(
    kept: u64,
    command: &mut Command,
    patience: Patience<'_>,
) -> Result<Output, FetchError> {
    // It and what it starts are one group, so that ssh does not outlive it.
    let mut child = guarded(command).process_group(0).spawn().map_err(FetchError::NotRun)?;
    let guard = child.stdin.take();
    let group = Pid::from_child(&child);
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || drop(sender.send(read(child, kept))));
    let why = loop {
        match ended.recv_timeout(LOOK) {
            Ok(output) => {
                drop(guard);
                return output.map_err(FetchError::NotRun);
            }
            Err(RecvTimeoutError::Disconnected) => break FetchError::Stopped,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if (patience.is_stopped)() {
            break FetchError::Stopped;
        }
        if Instant::now() >= patience.until {
            break FetchError::TooSlow(patience.seconds);
        }
    };
    // None is left where all have just ended.
    let _ended = kill_process_group(group, Signal::KILL);
    drop(ended.recv());
    Err(why)
}

/// The same command, which ends with this process, however that ends: a process beside it waits for the end of the
/// input, and then kills the group.
fn guarded(command: &Command) -> Command {
    // A server may make it keep a message without an end: it gets two gigabytes.
    const GUARD: &str = "exec 3<&0 </dev/null
ulimit -v 2097152 2>/dev/null
( ( trap '' HUP INT TERM; read -r _ <&3; kill -s KILL -- \"-$$\" ) >/dev/null 2>&1 & )
exec \"$@\" 3<&-";
    let mut guarded = Command::new("/bin/sh");
    guarded.args(["-c", GUARD, "sh"]).arg(command.get_program()).args(command.get_args());
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

/// Waits for a program, and reads all that it prints: the beginning is kept.
fn read(mut child: Child, kept: u64) -> io::Result<Output> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || beginning(stderr, KEPT));
    let stdout = beginning(stdout, kept)?;
    let stderr = errors.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok(Output { status: child.wait()?, stdout, stderr })
}

fn beginning(output: Option<impl Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut output) = output {
        io::copy(&mut output.by_ref().take(most), &mut kept)?;
        io::copy(&mut output, &mut io::sink())?;
    }
    Ok(kept)
}
