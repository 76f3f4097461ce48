//! A snapshot is read or refused; it never panics.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use appcred::http::Network;
use appcred::target::snapshot::{SnapshotLocation, load};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir_in("/dev/shm").unwrap());
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
static NETWORK: LazyLock<Network> = LazyLock::new(Network::default);

fuzz_target!(|text: &str| {
    let file = FOLDER.path().join("snapshot.json");
    fs::write(&file, text).unwrap();
    let read = RUNTIME.block_on(load(&SnapshotLocation::File(file), None, &NETWORK));
    if let Ok(mut snapshot) = read {
        let names: Vec<_> = snapshot.names().cloned().collect();
        assert!(names.iter().all(|name| snapshot.take(name).is_some()));
    }
});
