//! Reading a project file never panics, and what is wrong with it is said with a place in it.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use appcred::manifest::{LoadRequest, load};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir_in("/dev/shm").unwrap());

fuzz_target!(|text: &str| {
    // What names a folder of manifests is not to read the machine's.
    if text.contains("/") || text.contains("..") || text.contains("~") {
        return;
    }
    fs::write(FOLDER.path().join("appcred.yaml"), text).unwrap();
    let request = LoadRequest { folder: FOLDER.path().to_owned(), home: None, owner: None };
    let loaded = load(&request);
    let again = load(&request);
    assert_eq!(loaded.problems.has_errors(), again.problems.has_errors());
    assert_eq!(loaded.project.owner, again.project.owner);
    assert!(loaded.project.targets.keys().eq(again.project.targets.keys()));
});
