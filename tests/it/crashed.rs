//! What becomes of the process when a part of it crashes, seen from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::real::{free_port, send};
use crate::watch::{Folder, eventually};

/// A clock that is wrong by thousands of years once a file is there: no timestamp can hold that, so
/// whatever asks for the time crashes.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && access(getenv("BROKEN_CLOCK"), F_OK) == 0) now->tv_sec = 1L << 40;
    return result;
}
"#;

/// Builds the library with that clock.
fn clock(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, CLOCK).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(compiler.status().unwrap().success());
    library
}

#[test]
fn a_watcher_whose_engine_crashes_ends_with_1_and_answers_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let scene = Folder::new();
    let port = free_port();
    let running = scene
        .appcred(&["watch", "--poll", "1", "--listen", &format!("127.0.0.1:{port}")])
        .env("LD_PRELOAD", clock(folder.path()))
        .env("BROKEN_CLOCK", &broken)
        .spawn();
    let health = format!("http://127.0.0.1:{port}/healthz");
    let is_alive = || send("GET", &health, &[], None).is_ok_and(|answer| answer.status == 200);
    eventually("it is alive", || scene.storage().exists() && is_alive());
    fs::write(&broken, "").unwrap();
    scene.declare(&["a", "b"]);
    let ran = running.finish();
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("a task of the watcher crashed"), "{}", ran.stderr);
}

#[test]
fn a_watcher_whose_log_nobody_reads_goes_on() {
    let scene = Folder::new();
    let running = scene.appcred(&["watch", "--poll", "1"]).errors_are_lost().spawn();
    eventually("a is created", || scene.storage().exists() && scene.holds(1));
    scene.declare(&["a", "b"]);
    eventually("b is created", || scene.holds(2));
    running.signal(Signal::TERM);
    assert_eq!(running.finish().status, Some(0));
}
