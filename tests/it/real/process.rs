//! A server's process, with all its children, that never outlives its test.

use std::io::{BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

const LONGEST_STOP: Duration = Duration::from_secs(60);

/// A process group. Its standard input stays open as long as this lives: the servers end with it,
/// should the test run be killed.
pub(crate) struct Process(Child);

impl Process {
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).process_group(0).spawn();
        Self(child.unwrap_or_else(|why| panic!("{command:?} does not start: {why}")))
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        // Not `wait`, which would close standard input.
        self.0.try_wait().unwrap()
    }

    /// Writes a line to its standard input.
    #[track_caller]
    pub(crate) fn write_line(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// What it prints, where the command had that piped.
    pub(crate) fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let begin = Instant::now();
        while self.ended().is_none() {
            assert!(begin.elapsed() < LONGEST_STOP, "the process does not stop");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The same, which is its group's as well.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group may be gone already.
        let _gone = kill_process_group(self.pid(), Signal::KILL);
        let _ended = self.0.wait();
    }
}
