//! The lines that Git writes into a file that it could not merge.

/// What to do about a conflict.
pub(crate) const MERGE_CONFLICT_HELP: &str = "keep one of the two versions, and remove the lines that begin with `<<<<<<<`, `=======` and `>>>>>>>`";

/// How many characters a marker has, where `.gitattributes` says nothing else.
const USUAL: usize = 7;
/// Nothing shorter is one.
const SHORTEST: usize = 4;

/// What a marker is made of: before the first version, before that of both, between two, and after the last one.
pub(crate) const MARKS: [char; 4] = ['<', '|', '=', '>'];

/// The marker with which a line of a conflict begins. One may be left of a conflict that was resolved by
/// hand, and no YAML of ours has such a line. The one between two versions is one only
/// where it is as long as usual.
pub(crate) fn conflict_marker(line: &str) -> Option<&str> {
    let (marker, mark) = run(line)?;
    (mark != '=' || marker.len() == USUAL).then_some(marker)
}

/// The same in a text that may have longer or shorter ones.
pub(crate) fn conflict_marker_of<'l>(line: &'l str, lengths: &[usize]) -> Option<&'l str> {
    let (marker, _) = run(line)?;
    (conflict_marker(line).is_some() || lengths.contains(&marker.len())).then_some(marker)
}

/// How long the markers of a text are.
pub(crate) fn marker_lengths(text: &str) -> Vec<usize> {
    let may_be = text.contains("<<<<") || text.contains(">>>>");
    let lines = text.lines().filter(|_| may_be);
    lines.filter_map(run).filter(|(_, mark)| "<>".contains(*mark)).map(|(of, _)| of.len()).collect()
}

/// One character again and again, with nothing or a name behind it.
fn run(line: &str) -> Option<(&str, char)> {
    let mark = line.chars().next().filter(|mark| MARKS.contains(mark))?;
    let rest = line.trim_start_matches(mark);
    let marker = &line[..line.len() - rest.len()];
    let rest = rest.trim_end_matches(['\r', '\n']);
    let is_marker = rest.is_empty() || mark != '=' && rest.starts_with(' ');
    (is_marker && marker.len() >= SHORTEST).then_some((marker, mark))
}

/// Whether a text has such a line, indented or not.
pub(crate) fn has_merge_conflict(text: &str) -> bool {
    text.lines().any(|line| conflict_marker(line.trim_start()).is_some())
}
