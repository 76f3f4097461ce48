//! Links lead somewhere: within the repository to a file and a heading, elsewhere to an address that can be one.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag};
use url::Url;

use super::{documents, of_repository, root};

/// The repository, as pages of the book link to what is no page.
const REPOSITORY: [&str; 2] = [
    "https://github.com/appcred/appcred/blob/main/",
    "https://github.com/appcred/appcred/tree/main/",
];

/// What GitHub and mdBook call the parts of a document in addresses.
fn headings(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let name = |title: &str| {
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let kept: String = title.trim_start_matches('#').trim().chars().filter(kept).collect();
        kept.to_lowercase().replace(' ', "-")
    };
    titles.map(name).collect()
}

fn links(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let links =
        Parser::new_ext(&text, pulldown_cmark::Options::ENABLE_TABLES).filter_map(|event| {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some(dest_url.to_string())
                }
                _ => None,
            }
        });
    links.collect()
}

/// Why a link leads nowhere.
fn fault(document: &Path, link: &str) -> Option<String> {
    let (address, part) = link.split_once('#').unwrap_or((link, ""));
    let within = REPOSITORY.iter().find_map(|begin| address.strip_prefix(begin));
    let file = match within {
        Some(path) => root().join(path),
        None if link.contains("://") => {
            let is_address = Url::parse(link)
                .is_ok_and(|url| url.scheme() == "https" || url.host_str() == Some("127.0.0.1"));
            return (!is_address).then(|| "no address to link to".to_owned());
        }
        None if address.is_empty() => root().join(document),
        None => root().join(document).parent().unwrap().join(address),
    };
    let is_page = file.parent() == Some(&root().join("docs")) || document == Path::new("README.md");
    if !file.exists() {
        Some("there is no such file".to_owned())
    } else if within.is_none() && document.starts_with("docs") && !is_page && !is_in_book(&file) {
        Some(format!("it is no page of the book: link to {}…", REPOSITORY[0]))
    } else if !part.is_empty() && !headings(&file).iter().any(|name| name == part) {
        Some("there is no such heading".to_owned())
    } else {
        None
    }
}

fn is_in_book(file: &Path) -> bool {
    file.components().collect::<PathBuf>().starts_with(root().join("docs"))
        && !file.components().any(|part| part.as_os_str() == "..")
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut faults = Vec::new();
    let mut count = 0;
    for document in documents().into_iter().chain(of_repository()) {
        for link in links(&document) {
            count += 1;
            let fault = fault(&document, &link);
            faults.extend(fault.map(|why| format!("{}: {link}: {why}", document.display())));
        }
    }
    assert!(count >= 40, "only {count} links are found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let found = |link| fault(Path::new("docs/ci.md"), link).is_some();
    assert!(!found("install.md#cargo") && !found("https://getsops.io"));
    for link in ["instal.md", "install.md#carg", "http://getsops.io", "../examples/README.md"] {
        assert!(found(link), "{link}");
    }
}
