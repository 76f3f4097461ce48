//! What Git writes into a file that it could not merge.

use super::YamlFault;
use crate::diagnostic::Span;

/// The lines around the versions of a conflict. Each has its mark and maybe a name behind it, but for the
/// line between two versions.
const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// The mark with which a line of a conflict begins. One may be left of a conflict that was resolved by
/// hand, and no YAML of ours has such a line.
pub(crate) fn conflict_marker(line: &str) -> Option<&'static str> {
    let (marker, rest) = MARKERS.into_iter().find_map(|marker| {
        Some((marker, line.strip_prefix(marker)?.trim_end_matches(['\r', '\n'])))
    })?;
    let is_marker = rest.is_empty() || marker != "=======" && rest.starts_with(' ');
    is_marker.then_some(marker)
}

/// Where Git has left a merge to a person: the first line of each conflict that is there.
pub(super) fn conflicts(text: &str) -> Vec<YamlFault> {
    let mut found = Vec::new();
    let (mut start, mut number, mut is_open) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        number += 1;
        if let Some(marker) = conflict_marker(line) {
            if !is_open || marker == MARKERS[0] {
                let end = start + marker.len();
                found.push(YamlFault::merge_conflict(Span { start, end, line: number, column: 1 }));
            }
            is_open = marker != MARKERS[3];
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
