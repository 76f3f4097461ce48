//! Secrets in the comments of a file, and what makes a comment look like something else.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span};
use crate::model::is_hidden;
use crate::yaml::{commented_secrets, comments};

/// Warns of each secret that a comment has in plain text.
pub(super) fn check(file: &Arc<SourceFile>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for found in commented_secrets(file.text()) {
        let message = format!("a comment has a `{}` in plain text", found.field);
        let problem = Diagnostic::warning(ProblemCode::PlainSecret, message)
            .at(file, found.span)
            .help("remove it, since comments are not encrypted; a secret that was committed must be replaced at the provider");
        problems.push(problem);
    }
    problems
}

/// Warns of each comment with a character by which a file reads otherwise than it looks, as those do that turn the
/// direction of a text. Those that join letters are part of some scripts.
pub(super) fn check_hidden(file: &Arc<SourceFile>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let text = file.text();
    let is_unusual = |part: char| {
        !matches!(part, '\t' | '\r' | '\n' | '\u{200c}' | '\u{200d}' | '\u{ad}' | '\u{fe0f}')
            && is_hidden(part)
    };
    // To find comments a text is parsed once more.
    if text.is_ascii() || !text.contains(is_unusual) {
        return problems;
    }
    for comment in comments(text) {
        let written = &text[comment.start..comment.end];
        let Some((at, hidden)) = written.char_indices().find(|(_, part)| is_unusual(*part)) else {
            continue;
        };
        let start = comment.start + at;
        let message = format!("a comment has the hidden character U+{:04X}", u32::from(hidden));
        let problem = Diagnostic::warning(ProblemCode::HiddenCharacter, message)
            .at(file, Span::of(text, start..start + hidden.len_utf8()))
            .help("remove it: with it the file may look like another one");
        problems.push(problem);
    }
    problems
}
