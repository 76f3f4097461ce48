//! The lines that Git writes into a file that it could not merge.

/// The lines around the versions of a conflict. Each has its mark and maybe a name behind it, but for the
/// line between two versions.
pub(crate) const CONFLICT_MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What to do about a conflict.
pub(crate) const MERGE_CONFLICT_HELP: &str = "keep one of the two versions, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`";

/// The mark with which a line of a conflict begins. One may be left of a conflict that was resolved by
/// hand, and no YAML of ours has such a line.
pub(crate) fn conflict_marker(line: &str) -> Option<&'static str> {
    let (marker, rest) = CONFLICT_MARKERS.into_iter().find_map(|marker| {
        Some((marker, line.strip_prefix(marker)?.trim_end_matches(['\r', '\n'])))
    })?;
    let is_marker = rest.is_empty() || marker != "=======" && rest.starts_with(' ');
    is_marker.then_some(marker)
}

/// Whether a text has such a line, indented or not.
pub(crate) fn has_merge_conflict(text: &str) -> bool {
    text.lines().any(|line| conflict_marker(line.trim_start()).is_some())
}
