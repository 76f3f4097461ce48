//! Did you mean …? A leaf.

use std::collections::BTreeSet;

use indexmap::IndexSet;

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

/// So many are listed where nothing is near.
const MOST_LISTED: usize = 10;

/// That there is no such thing, with the ones that were most likely meant, or some of all.
pub fn missing<'c>(kind: &str, name: &str, known: impl IntoIterator<Item = &'c str>) -> String {
    let known: BTreeSet<&str> = known.into_iter().collect();
    let nearest = || nearest(name, known.iter().copied()).map(str::to_owned);
    let near: Vec<String> = match begun(name, &known) {
        // A pattern was meant as one.
        pattern if name.ends_with('*') && !pattern.is_empty() => pattern,
        begun => nearest().map_or(begun, |near| vec![near]),
    };
    let help = match &near[..] {
        [] if known.is_empty() => String::new(),
        [] => {
            let some: Vec<&str> = known.iter().copied().take(MOST_LISTED).collect();
            let more = match known.len() - some.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; there are: {}{more}", some.join(", "))
        }
        [only] => format!(": did you mean `{only}`?"),
        some => format!(": did you mean one of {}?", listed(some.iter().map(String::as_str))),
    };
    format!("there is no {kind} `{name}`{help}")
}

/// What begins with the name, or, for a pattern such as `spotfy-*`, the pattern for what begins almost so.
fn begun(name: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let Some(begin) = name.strip_suffix('*') else {
        let begun = known.iter().filter(|known| !name.is_empty() && known.starts_with(name));
        let begun: Vec<String> = begun.map(|known| (*known).to_owned()).collect();
        return if begun.len() > MOST_LISTED { vec![format!("{name}*")] } else { begun };
    };
    let begun: Vec<_> = known.iter().filter(|known| known.starts_with(begin)).collect();
    if (1..=MOST_LISTED).contains(&begun.len()) {
        return begun.into_iter().map(|known| (*known).to_owned()).collect();
    }
    let length = begin.chars().count();
    let begins = known.iter().flat_map(|known| {
        let lengths = length.saturating_sub(1)..=length + 1;
        lengths.filter_map(|end| Some(&known[..known.char_indices().nth(end)?.0]))
    });
    nearest(begin, begins).map(|near| format!("{near}*")).into_iter().collect()
}

/// `a`, `b` and `c`, each once: fields of several forms may have one name.
pub fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    let names: IndexSet<&str> = names.into_iter().collect();
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
            missing("target", "fam*", keys),
            "there is no target `fam*`: did you mean `family`?"
        );
        assert_eq!(
            missing("target", "x", keys),
            "there is no target `x`; there are: family, my-cloud"
        );
        assert_eq!(missing("target", "x", []), "there is no target `x`");
        let many: Vec<String> = (10..40).map(|at| format!("k{at}-spotify")).collect();
        let of = |name| missing("key", name, many.iter().map(String::as_str));
        let listed: Vec<_> = many.iter().take(10).map(String::as_str).collect();
        let all = format!("there is no key `k05`; there are: {} and 20 more", listed.join(", "));
        assert_eq!(of("k05"), all);
        assert_eq!(of("k12"), "there is no key `k12`: did you mean `k12-spotify`?");
        assert_eq!(of("k"), "there is no key `k`: did you mean `k*`?");
        let of = |name| missing("key", name, ["spotify-anna", "spotify-bert", "twitch"]);
        assert!(of("spotfy-*").ends_with("`spotfy-*`: did you mean `spotify-*`?"));
        assert!(of("spotify").ends_with("one of `spotify-anna` and `spotify-bert`?"));
        assert!(of("x*").ends_with("; there are: spotify-anna, spotify-bert, twitch"));
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        assert_eq!(listed([]), "");
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
