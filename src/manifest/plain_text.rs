//! Secrets in plain text where no field holds them: in comments, in the words of commands, and in answers to forms.

use std::sync::Arc;

use super::comments;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile};
use crate::yaml::{Exposure, Node, exposed_secrets};

/// Warns of each. What an address or a path has in it is reported by who reads that field.
pub(super) fn check(file: &Arc<SourceFile>, documents: &[Node<'_>]) -> Diagnostics {
    let mut problems = comments::check(file);
    for found in exposed_secrets(documents) {
        let (message, help) = match found.exposure {
            Exposure::Argument => (
                "this command has a secret in plain text",
                "let the program read it from a file of its own or from the environment; a secret that was committed must be replaced where it is from; `allow_plaintext: true` in appcred.yaml allows it",
            ),
            Exposure::Answer => (
                "this answer is a secret in plain text, as its field says",
                "leave it out: whoever links the account is asked for it; `allow_plaintext: true` in appcred.yaml allows it",
            ),
            Exposure::Address | Exposure::Path | Exposure::Name => continue,
        };
        let problem = Diagnostic::warning(ProblemCode::PlainSecret, message);
        problems.push(problem.at(file, found.span).help(help));
    }
    problems
}
