//! Did you mean …? A leaf.

use crate::model::named;

/// The candidate that the word was most likely meant to be.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (length.max(candidate.len()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// That there is no such thing, with the candidate that was most likely meant.
pub fn unknown<'c>(
    kind: &str,
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> String {
    let what = format!("unknown {kind}");
    let unknown = named(&what, name);
    match nearest(name, candidates) {
        Some(near) => format!("{unknown}: did you mean `{near}`?"),
        None => unknown.to_string(),
    }
}

/// `a`, `b` and `c`.
pub fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    let mut names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} and {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{listed, nearest};

    #[test]
    fn the_nearest_is_near() {
        let domains = ["google", "netatmo", "spotify"];
        assert_eq!(nearest("spotfy", domains), Some("spotify"));
        assert_eq!(nearest("Spotify", domains), Some("spotify"));
        assert_eq!(nearest("withings", domains), None);
        assert_eq!(nearest("taget", ["key", "targets"]), Some("targets"));
        assert_eq!(nearest("a", ["b", "cd"]), Some("b"));
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
