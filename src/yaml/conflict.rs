//! What Git writes into a file that it could not merge.

use super::YamlFault;
use crate::diagnostic::Span;
use crate::model::{CONFLICT_MARKERS, conflict_marker};

/// Where Git has left a merge to a person: the first line of each conflict that is there.
pub(super) fn conflicts(text: &str) -> Vec<YamlFault> {
    let mut found = Vec::new();
    let (mut start, mut number, mut is_open) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        number += 1;
        if let Some(marker) = conflict_marker(line) {
            if !is_open || marker == CONFLICT_MARKERS[0] {
                let end = start + marker.len();
                found.push(YamlFault::merge_conflict(Span { start, end, line: number, column: 1 }));
            }
            is_open = marker != CONFLICT_MARKERS[3];
        }
        start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::conflicts;
    use crate::yaml;

    #[test]
    fn each_conflict_is_found_whatever_is_left_of_it() {
        for (text, count) in [
            ("<<<<<<< HEAD\na: 1\n||||||| base\na: 0\n=======\na: 2\n>>>>>>> branch\n", 1),
            ("<<<<<<<\r\na: 1\r\n=======\r\n", 1),
            ("a: 1\n=======\na: 2\n", 1),
            ("a: 1\n||||||| 4f5c0a8\na: 2\n", 1),
            ("a: 1\n>>>>>>> branch\n", 1),
            ("=======\n>>>>>>> a\nb: 1\n=======\n", 2),
            ("<<<<<<< a\n<<<<<<< b\n", 2),
            ("a: |\n  =======\n  <<<<<<< x\n", 0),
            ("# =======\n========\nb: >>>>>>>\n", 0),
        ] {
            assert_eq!(conflicts(text).len(), count, "{text}");
            assert_eq!(yaml::parse(text).faults.len().min(count), count, "{text}");
        }
    }
}
