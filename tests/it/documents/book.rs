//! mdBook makes a book of the pages, with all of them and no link that leads nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use tempfile::TempDir;

use super::{documents, root};

fn build() -> TempDir {
    let mdbook = root().join("target/mdbook/current/bin/mdbook");
    assert!(mdbook.exists(), "mdBook is missing: run tests/run or tests/real/mdbook/set_up");
    let folder = TempDir::new().unwrap();
    let ran = Command::new(mdbook)
        .args(["build", "docs", "--dest-dir"])
        .arg(folder.path())
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    folder
}

/// Each address within the book that a page leads to, or shows.
fn addresses(html: &str) -> Vec<String> {
    let body = html.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0;
    let address = Regex::new(r#"(?:href|src)="([^"]+)""#).unwrap();
    let all = address.captures_iter(body).map(|found| found[1].to_owned());
    all.filter(|address| !address.contains("://")).collect()
}

fn is_there(book: &Path, page: &str, address: &str) -> bool {
    let (file, part) = address.split_once('#').unwrap_or((address, ""));
    let file = book.join(if file.is_empty() { page } else { file });
    let has_part = || fs::read_to_string(&file).unwrap().contains(&format!("id=\"{part}\""));
    file.exists() && (part.is_empty() || has_part())
}

#[test]
fn every_page_is_in_the_book_and_leads_on() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let pages: Vec<PathBuf> = documents()
        .into_iter()
        .filter(|page| page.starts_with("docs") && !page.ends_with("SUMMARY.md"))
        .collect();
    let book = build();
    let mut count = 0;
    let mut nowhere = BTreeSet::new();
    for page in &pages {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert_eq!(summary.matches(&format!("({name})")).count(), 1, "{name} in SUMMARY.md");
        let name = name.replace(".md", ".html");
        let html = fs::read_to_string(book.path().join(&name)).unwrap();
        for address in addresses(&html) {
            count += 1;
            if !is_there(book.path(), &name, &address) {
                nowhere.insert(format!("{name}: {address}"));
            }
        }
    }
    assert!(count > 100, "only {count} addresses are found");
    assert!(nowhere.is_empty(), "{nowhere:#?}");
    assert!(!is_there(book.path(), "ci.html", "install.html#no-such-part"));
}
