//! The blocks of a document, and what comments say of them.

use std::fs;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::root;

/// A fenced block, or a comment for tests.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) line: usize,
    /// `test` for a comment.
    pub(crate) language: String,
    pub(crate) text: String,
}

/// In their order.
pub(crate) fn parts(document: &Path) -> Vec<Part> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    parts_of(&text)
}

fn parts_of(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut is_open = false;
    for (event, range) in Parser::new(text).into_offset_iter() {
        let line = || text[..range.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let language = language.to_string();
                parts.push(Part { line: line(), language, text: String::new() });
                is_open = true;
            }
            Event::Start(Tag::HtmlBlock) => {
                parts.push(Part { line: line(), language: "html".to_owned(), text: String::new() });
                is_open = true;
            }
            Event::Text(more) | Event::Html(more) if is_open => {
                parts.last_mut().unwrap().text.push_str(&more);
            }
            Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock) => is_open = false,
            _ => {}
        }
    }
    parts.into_iter().filter_map(known).collect()
}

/// A comment without its frame; no other HTML.
fn known(part: Part) -> Option<Part> {
    if part.language != "html" {
        return Some(part);
    }
    let inner = part.text.trim().strip_prefix("<!-- test: ")?.strip_suffix("-->");
    let inner = inner.unwrap_or_else(|| panic!("line {}: the comment does not end", part.line));
    Some(Part { text: inner.trim().to_owned(), language: "test".to_owned(), ..part })
}

#[test]
fn blocks_and_comments_are_found_in_lists_too() {
    let text = "1. one\n\n   <!-- test: exits 2 -->\n   ```console\n   appcred\n     plan\n   ```\n\n<!-- not for tests -->\n\n~~~yaml\na: 1\n~~~\n";
    let found = parts_of(text);
    let found: Vec<_> = found.iter().map(|p| (p.language.as_str(), p.text.as_str())).collect();
    assert_eq!(found, [("test", "exits 2"), ("console", "appcred\n  plan\n"), ("yaml", "a: 1\n")]);
}
