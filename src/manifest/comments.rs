//! Secrets in the comments of a file.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile};
use crate::yaml::commented_secrets;

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
