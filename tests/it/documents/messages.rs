//! The messages of the page on troubleshooting are messages of the program.

use std::fs;
use std::path::{Path, PathBuf};

use super::root;

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            all.push(path);
        }
    }
}

#[test]
fn each_message_that_is_explained_is_one() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let plain = |text: &str| text.replace('`', "");
    let texts: Vec<String> =
        files.iter().map(|file| plain(&fs::read_to_string(file).unwrap())).collect();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let explained = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<&str> = explained.map(|(message, _)| message).collect();
    assert!(explained.len() > 15, "{explained:?}");
    let gone: Vec<_> = explained
        .iter()
        .filter(|message| !texts.iter().any(|text| text.contains(**message)))
        .collect();
    assert!(gone.is_empty(), "no message has these words: {gone:?}");
}
