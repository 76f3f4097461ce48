//! How a file is laid out: line breaks, indentation, flow style.

use std::ops::Range;

use crate::yaml::{Node, Style, Value};

/// The line break that the file uses.
pub(crate) fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Behind the line break of the line that this place is in; the end where it has none.
pub(crate) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |found| at + found + 1)
}

/// The beginning of the line that this place is in.
pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |found| found + 1)
}

/// Behind the last line of a block scalar whose content begins here. The reader takes what follows,
/// empty lines and comments, for a part of it.
pub(crate) fn block_end(text: &str, start: usize) -> usize {
    let indent = start - line_start(text, start);
    let mut end = line_start(text, start);
    let mut at = end;
    for line in text[end..].split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        let lead = line.len() - line.trim_start_matches(' ').len();
        if !is_blank && lead < indent {
            break;
        }
        at += line.len();
        if !is_blank {
            end = at;
        }
    }
    end
}

/// The `|` or `>` of a block scalar whose content begins here, with what belongs to it; found backwards,
/// over empty lines that belong to the content.
pub(crate) fn block_header(text: &str, start: usize) -> Option<Range<usize>> {
    let above = text[..line_start(text, start)].trim_end();
    let line = line_start(text, above.len());
    let header = &above[line..];
    let is_mark = |at: usize| {
        let before = &header[..at];
        let rest = header[at + 1..].trim_start_matches(|character: char| {
            character.is_ascii_digit() || matches!(character, '+' | '-')
        });
        let stands_alone = before.is_empty() || before.ends_with([' ', '\t']);
        let is_last =
            rest.is_empty() || rest.trim_start().starts_with('#') && rest.starts_with(' ');
        (stands_alone && is_last).then(|| line + at..line + header.len() - rest.len())
    };
    header.match_indices(['|', '>']).find_map(|(at, _)| is_mark(at))
}

/// Behind the last line of a value.
pub(crate) fn value_end(node: &Node<'_>, text: &str) -> usize {
    let last = match &node.value {
        Value::Sequence(items) if !is_flow(node, text) && !node.alias => items.last(),
        Value::Mapping(pairs) if !is_flow(node, text) && !node.alias => {
            pairs.iter().rev().find(|pair| !pair.merged).map(|pair| &pair.value)
        }
        _ => None,
    };
    match (last, &node.value) {
        (Some(last), _) => value_end(last, text),
        (None, Value::Scalar(scalar)) if scalar.style == Style::Block && !node.alias => {
            block_end(text, node.span.start)
        }
        _ => next_line(text, node.span.end),
    }
}

/// The column of a list's dashes.
pub(crate) fn dash_column(items: &[Node<'_>], text: &str) -> Option<usize> {
    let first = items.first()?.span.start;
    let before = text[..first].trim_end();
    let dash = if before.ends_with('-') {
        before.len() - 1
    } else {
        let start = line_start(text, first);
        start + text[start..first].find(|character| character != ' ')?
    };
    text[dash..].starts_with('-').then(|| dash - line_start(text, dash))
}

/// Whether a collection is written as `{…}` or `[…]`.
pub(crate) fn is_flow(node: &Node<'_>, text: &str) -> bool {
    let opening = match node.value {
        Value::Sequence(_) => '[',
        Value::Mapping(_) => '{',
        Value::Null | Value::Invalid | Value::Scalar(_) => return false,
    };
    text[node.span.start..].starts_with(opening)
}
