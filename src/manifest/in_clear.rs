//! Secrets that a project keeps elsewhere, and that are in plain text in one of its files as well.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError, Match};

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span, Spot};
use crate::model::Secret;

/// Nothing shorter is searched for: it may be a part of another text by chance.
const SHORTEST: usize = 8;
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
    text.len() >= SHORTEST && (text.len() >= SHORTEST_OF_WORDS || !text.bytes().all(is_of_words))
}

fn matcher(secrets: &[(Option<&Spot>, &Secret)]) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::new(secrets.iter().map(|(_, secret)| secret.expose()))
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
