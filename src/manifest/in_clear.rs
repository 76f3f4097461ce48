//! Secrets that a project keeps elsewhere, and that are in plain text in one of its files as well.

use std::iter;
use std::sync::Arc;

use aho_corasick::{
    AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, BuildError, Match, MatchKind,
};
use secrecy::zeroize::Zeroizing;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span, Spot};
use crate::model::{Key, SHORTEST_SECRET, Secret};

/// Nothing shorter that consists of words.
const SHORTEST_OF_WORDS: usize = 16;

/// Reports each place where one of these secrets is in plain text, with the place of the field that has it where
/// that is known.
pub fn check_in_clear<'s>(
    files: &[Arc<SourceFile>],
    secrets: impl IntoIterator<Item = (Option<&'s Spot>, &'s Secret)>,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let secrets: Vec<_> = secrets.into_iter().filter(|(_, secret)| is_telling(secret)).collect();
    if secrets.is_empty() {
        return problems;
    }
    let matcher = match matcher(&secrets) {
        Ok(matcher) => matcher,
        Err(why) => {
            let message = format!("cannot search for secrets in plain text: {why}");
            problems.push(Diagnostic::warning(ProblemCode::PlainSecret, message));
            return problems;
        }
    };
    let found = files.iter().filter_map(|file| {
        let found: Vec<_> = matcher.find_iter(file.text().as_bytes()).collect();
        if found.is_empty() {
            return None;
        }
        let hidden = Arc::new(file.hiding(found.iter().map(Match::range).collect()));
        Some(FileWithSecrets { file, hidden, found })
    });
    let found: Vec<_> = found.collect();
    for FileWithSecrets { hidden, found: places, .. } in &found {
        for place in places {
            let field = secrets.get(place.pattern().as_usize()).and_then(|(field, _)| *field);
            problems.push(problem(hidden, place, field, &found));
        }
    }
    problems
}

/// Finds any of many secrets in texts that everybody may read, however they are written there: a key has small letters
/// and few other characters.
pub struct SecretFinder(AhoCorasick);

impl SecretFinder {
    /// One that finds each of these that is no word.
    ///
    /// # Errors
    /// Where they are too many.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Result<Self, String> {
        let secrets = secrets.into_iter().filter(|secret| is_telling(secret));
        let forms = secrets.flat_map(|secret| {
            let key = Key::of_name(secret.expose()).map(|key| Zeroizing::new(key.to_string()));
            let key = key.filter(|key| key.len() >= SHORTEST_SECRET);
            iter::once(Zeroizing::new(secret.expose().to_owned())).chain(key)
        });
        let forms: Vec<Zeroizing<String>> = forms.collect();
        let matcher =
            builder().ascii_case_insensitive(true).build(forms.iter().map(|form| form.as_bytes()));
        matcher.map(Self).map_err(|why| why.to_string())
    }

    /// Whether one of them is in this text.
    pub fn is_in(&self, text: &str) -> bool {
        let as_key = Key::of_name(text);
        self.0.is_match(text) || as_key.is_some_and(|key| self.0.is_match(key.as_str()))
    }
}

/// A file with secrets in plain text.
struct FileWithSecrets<'f> {
    file: &'f Arc<SourceFile>,
    /// The same without them, for messages.
    hidden: Arc<SourceFile>,
    found: Vec<Match>,
}

/// Whether a text is a secret wherever it is, and no word.
fn is_telling(secret: &Secret) -> bool {
    let text = secret.expose();
    let is_of_words = |byte: u8| byte.is_ascii_lowercase() || b" -_.".contains(&byte);
    text.len() >= SHORTEST_SECRET
        && (text.len() >= SHORTEST_OF_WORDS || !text.bytes().all(is_of_words))
}

/// A builder of what is as large as the secrets. The automaton that is built for few texts otherwise takes time by the
/// square of a long text that repeats itself.
fn builder() -> AhoCorasickBuilder {
    let mut builder = AhoCorasick::builder();
    builder.kind(Some(AhoCorasickKind::ContiguousNFA));
    builder
}

fn matcher(secrets: &[(Option<&Spot>, &Secret)]) -> Result<AhoCorasick, BuildError> {
    // Where one secret begins with another, the longer one is found.
    builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(secrets.iter().map(|(_, secret)| secret.expose()))
}

fn problem(
    hidden: &Arc<SourceFile>,
    place: &Match,
    field: Option<&Spot>,
    found: &[FileWithSecrets<'_>],
) -> Diagnostic {
    let problem = Diagnostic::error(ProblemCode::PlainSecret, "a secret is in plain text here")
        .at(hidden, Span::of(hidden.text(), place.range()))
        .help("remove it here, since only the values of fields are encrypted; a secret that was committed must be replaced at the provider");
    let Some(Spot { file, span }) = field else { return problem };
    // Its line may have the secret as well.
    let shown = found.iter().find(|other| Arc::ptr_eq(other.file, file));
    let file = Arc::clone(shown.map_or(file, |other| &other.hidden));
    problem.related(Spot { file, span: *span }, "it is the value of this field")
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasickKind;

    use super::{SecretFinder, matcher};
    use crate::model::Secret;

    #[test]
    fn a_long_secret_that_repeats_itself_takes_no_time_by_its_square() {
        let secret = Secret::new(&"b1c".repeat(100_000));
        let finder = SecretFinder::new([&secret]).unwrap();
        let matcher = matcher(&[(None, &secret)]).unwrap();
        assert!(finder.is_in(&format!("x{}", secret.expose())));
        assert!(matcher.is_match(secret.expose()));
        let kinds = [finder.0.kind(), matcher.kind()];
        assert_eq!(kinds, [AhoCorasickKind::ContiguousNFA; 2]);
    }

    #[test]
    fn of_two_secrets_that_begin_alike_the_longer_one_is_found() {
        let secrets = ["abcdefgh12", "abcdefgh12345678"].map(Secret::new);
        let matcher = matcher(&secrets.each_ref().map(|secret| (None, secret))).unwrap();
        let found = matcher.find("name: abcdefgh12345678").unwrap();
        assert_eq!(found.range(), 6..22);
    }
}
