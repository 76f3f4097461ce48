//! What Git writes into a file that it could not merge.

use super::YamlFault;
use crate::diagnostic::Span;

/// How the first of two versions begins where Git could not merge them.
pub(crate) const CONFLICT: &str = "<<<<<<<";

/// Where Git has left a merge to a person.
pub(super) fn conflicts(text: &str) -> Vec<YamlFault> {
    let mut found = Vec::new();
    let (mut start, mut number) = (0, 0);
    for line in text.split_inclusive('\n') {
        number += 1;
        let body = line.trim_end();
        if body == CONFLICT || body.starts_with(CONFLICT) && body[CONFLICT.len()..].starts_with(' ')
        {
            let end = start + CONFLICT.len();
            found.push(YamlFault::merge_conflict(Span { start, end, line: number, column: 1 }));
        }
        start += line.len();
    }
    found
}
