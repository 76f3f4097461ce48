//! Did you mean …? A leaf.

use std::collections::BTreeSet;

use crate::model::named;

/// The candidate that the word was most likely meant to be.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance < length && *distance <= (length.max(candidate.len()) / 3).max(1)
        })
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

/// That there is no such thing, with the one that was most likely meant, or all of them.
pub fn missing<'c>(kind: &str, name: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!(": did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    format!("there is no {kind} `{name}`{help}")
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
    use super::{listed, missing, nearest};

    #[test]
    fn the_nearest_is_near() {
        let domains = ["google", "netatmo", "spotify"];
        assert_eq!(nearest("spotfy", domains), Some("spotify"));
        assert_eq!(nearest("Spotify", domains), Some("spotify"));
        assert_eq!(nearest("withings", domains), None);
        assert_eq!(nearest("taget", ["key", "targets"]), Some("targets"));
        assert_eq!(nearest("ab", ["ac", "cd"]), Some("ac"));
        assert_eq!(nearest("a", ["b", "cd"]), None);
    }

    #[test]
    fn what_is_mistyped_is_guessed_or_all_are_listed() {
        let keys = ["my-cloud", "family"];
        assert_eq!(
            missing("target", "my-clowd", keys),
            "there is no target `my-clowd`: did you mean `my-cloud`?"
        );
        assert_eq!(
            missing("target", "x", keys),
            "there is no target `x`; there are: family, my-cloud"
        );
        assert_eq!(missing("target", "x", []), "there is no target `x`");
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
