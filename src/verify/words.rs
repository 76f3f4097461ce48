//! Providers' words.

/// As much of them as fits on a line.
const LONGEST: usize = 160;

/// The words on one line, without control characters.
pub(super) fn one_line(words: &str) -> String {
    let words: String = words
        .chars()
        .map(|c| if c.is_ascii_graphic() || c.is_alphanumeric() { c } else { ' ' })
        .take(LONGEST)
        .collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
