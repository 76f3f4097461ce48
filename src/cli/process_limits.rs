//! What the operating system lets this process have.

use std::sync::Mutex;

use anyhow::{Context, bail};
use tokio::runtime::{Builder, Runtime};

/// Makes sure that there may be as many open files as any verb needs: libraries panic where they cannot
/// open theirs.
pub(super) fn raise_open_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Home Assistant, files, signals, and room for what starts them.
    const NEEDED: u64 = 64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= NEEDED) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < NEEDED) {
        bail!("too few files may be open at once (`ulimit -n`): at least {NEEDED} are needed");
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(NEEDED), maximum })
        .context("cannot raise the number of files that may be open at once")
}

/// The threads of a runtime. One is enough for a verb that ends: it waits for one thing at a time, and what
/// computes starts its own. That this process may have them is made sure of: libraries panic where they cannot start theirs.
pub(super) fn runtime(is_daemon: bool) -> anyhow::Result<Runtime> {
    /// What reads files, and what waits for an answer that is typed.
    const FOR_WHAT_BLOCKS: usize = 2;
    /// Also for what waits for changes of files and for programs.
    const MORE_OF_A_DAEMON: usize = 2;
    let (mut builder, count) = match is_daemon {
        false => (Builder::new_current_thread(), FOR_WHAT_BLOCKS),
        true => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (Builder::new_multi_thread(), cores + FOR_WHAT_BLOCKS + MORE_OF_A_DAEMON)
        }
    };
    check_threads(count)?;
    Ok(builder.enable_all().build()?)
}

fn check_threads(count: usize) -> anyhow::Result<()> {
    let gate = Mutex::new(());
    // All of them are there at once.
    std::thread::scope(|scope| {
        let _closed = gate.lock();
        let wait = || drop(gate.lock());
        (0..count).try_for_each(|_| {
            std::thread::Builder::new().spawn_scoped(scope, wait).map(drop)
        })
    })
    .with_context(|| {
        format!(
            "cannot start {count} threads: allow this user or container more processes (`ulimit -u`, the limit of pids)"
        )
    })
}

/// Keeps the operating system from writing the memory of this process to disk, and other processes of this
/// user from reading it.
pub(super) fn refuse_core_dumps() -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
