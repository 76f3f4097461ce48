//! What Git writes into a file that it could not merge.

use super::YamlFault;
use crate::diagnostic::Span;
use crate::model::{MARKS, conflict_marker_of, marker_lengths};

/// Where Git has left a merge to a person: the first line of each conflict that is there.
pub(super) fn conflicts(text: &str) -> Vec<YamlFault> {
    let lengths = marker_lengths(text);
    let mut found = Vec::new();
    let (mut start, mut number, mut is_open) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        number += 1;
        if let Some(marker) = conflict_marker_of(line, &lengths) {
            if !is_open || marker.starts_with(MARKS[0]) {
                let end = start + marker.len();
                found.push(YamlFault::merge_conflict(Span { start, end, line: number, column: 1 }));
            }
            is_open = !marker.starts_with(MARKS[3]);
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
            ("<<<<<<<<<<< a\na: 1\n===========\na: 2\n>>>>>>>>>>> b\n", 1),
            ("<<<<< a\na: 1\n=====\na: 2\n>>>>> b\n", 1),
            ("a: |\n  =======\n  <<<<<<< x\n", 0),
            ("# =======\n========\nb: >>>>>>>\n", 0),
            ("<<: *a\n<<<: x\n", 0),
        ] {
            assert_eq!(conflicts(text).len(), count, "{text}");
            assert_eq!(yaml::parse(text).faults.len().min(count), count, "{text}");
        }
    }

    #[test]
    fn an_indented_conflict_is_one_where_it_is_no_yaml() {
        let text = "a:\n  <<<<<<< HEAD\n  b: 1\n  =======\n  b: 2\n  >>>>>>> branch\n";
        let faults = yaml::parse(text).faults;
        assert_eq!(faults.iter().map(yaml::YamlFault::line).collect::<Vec<_>>(), [2]);
        assert!(format!("{:?}", faults[0]).contains("unresolved merge conflict"), "{faults:?}");
    }
}
