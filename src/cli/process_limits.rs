//! What the operating system lets this process have.

use std::sync::Mutex;

use anyhow::{Context, bail};

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

/// Makes sure that this process may have as many threads as each verb needs: libraries panic where they cannot start
/// theirs.
pub(super) fn check_threads() -> anyhow::Result<()> {
    /// Beside one for each core: for what waits for files, signals and programs.
    const MORE: usize = 4;
    let count = std::thread::available_parallelism().map_or(1, usize::from) + MORE;
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
