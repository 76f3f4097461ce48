//! Secrets that an edit would leave in plain text beside the values that are encrypted: in a comment, or in
//! another field.

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError};

use super::{Slot, SlotValue, YamlEditError};
use crate::model::Secret;

/// A shorter value may be a part of another text by chance.
const SHORTEST: usize = 8;

impl Slot {
    /// The secret that it holds in plain text.
    pub fn plain(&self) -> Option<&Secret> {
        match &self.held {
            SlotValue::Plain(secret) => Some(secret),
            SlotValue::Age(_) | SlotValue::Default(_) => None,
        }
    }
}

/// Checks that no secret is in plain text in `after` more often than it was in `before`. `clear` is what
/// was edited, whose lines the error names.
///
/// # Errors
/// Where one is.
pub fn check_none_in_clear<'s>(
    secrets: impl IntoIterator<Item = &'s str>,
    before: &str,
    clear: &str,
    after: &str,
) -> Result<(), YamlEditError> {
    let secrets: Vec<&str> = secrets.into_iter().filter(|one| one.len() >= SHORTEST).collect();
    if secrets.is_empty() {
        return Ok(());
    }
    // All at once: a file may have thousands.
    let matcher = matcher(&secrets).map_err(|_| YamlEditError::unfit(clear, 0..0))?;
    let counts = |text: &str| {
        let mut counts = vec![0_usize; secrets.len()];
        matcher.find_overlapping_iter(text).for_each(|found| counts[found.pattern()] += 1);
        counts
    };
    let (counts_before, counts_after) = (counts(before), counts(after));
    for ((secret, before_count), after_count) in secrets.iter().zip(counts_before).zip(counts_after)
    {
        if after_count > before_count {
            let known: Vec<&str> = before.lines().collect();
            let is_new = |line: &&str| line.contains(*secret) && !known.contains(line);
            let line = after.lines().find(is_new).unwrap_or_default();
            // What is not encrypted is the same line in both.
            let here = clear.lines().position(|other| other == line);
            let here = here.or_else(|| clear.lines().position(|other| other.contains(*secret)));
            let line = u32::try_from(here.unwrap_or_default()).unwrap_or_default() + 1;
            return Err(YamlEditError::InClear(line));
        }
    }
    Ok(())
}

/// As large as the secrets: the automaton that is built for few texts otherwise takes time by the square of a long text
/// that repeats itself.
fn matcher(secrets: &[&str]) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(secrets)
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasickKind;

    use super::{YamlEditError, check_none_in_clear, matcher};

    #[test]
    fn a_long_secret_that_repeats_itself_takes_no_time_by_its_square() {
        let secret = "b1c".repeat(100_000);
        assert_eq!(check_none_in_clear([&*secret], "", "", ""), Ok(()));
        assert_eq!(matcher(&[&secret]).unwrap().kind(), AhoCorasickKind::ContiguousNFA);
    }

    fn line(secret: &str, before: &str, clear: &str, after: &str) -> Option<u32> {
        match check_none_in_clear([secret], before, clear, after) {
            Ok(()) => None,
            Err(YamlEditError::InClear(line)) => Some(line),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_secret_that_is_new_in_clear_is_found_on_its_line() {
        let (before, after) = ("a: |\n  AGE\nb: 1\n", "a: |\n  AGE\n# was 4f5c0A7d2b9E\n");
        assert_eq!(line("4f5c0A7d2b9E", before, "a: new\n# was 4f5c0A7d2b9E\n", after), Some(2));
        let clear = "a: 4f5c0A7d2b9E # 4f5c0A7d2b9E\n";
        let after = "a: | # 4f5c0A7d2b9E\n  AGE\n";
        assert_eq!(line("4f5c0A7d2b9E", "a: x\n", clear, after), Some(1));
        assert_eq!(line("4f5c0A7d2b9E", after, clear, after), None);
    }

    #[test]
    fn a_short_value_is_everywhere_by_chance() {
        assert_eq!(line("abc", "x\n", "d abc.\n", "d abc.\n"), None);
    }
}
