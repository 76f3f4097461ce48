//! Which values of a document are encrypted.

use std::rc::Rc;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;

use super::SopsProblem;
use crate::secret::once::Once;

/// What SOPS encrypts where nothing else is said: all but keys with this end.
const UNENCRYPTED: &str = "_unencrypted";

/// The rules, as they are written; SOPS lets a document have one of them.
#[derive(Default, Deserialize)]
pub(super) struct Rules {
    encrypted_regex: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<String>,
    unencrypted_suffix: Option<String>,
    encrypted_comment_regex: Option<String>,
    unencrypted_comment_regex: Option<String>,
}

/// Regular expressions that were met, each made once: documents of one project have the same, and
/// to make one takes about as long as to decrypt a document.
#[derive(Default)]
pub(in crate::secret) struct Patterns(Once<String, Option<Arc<Regex>>>);

impl Patterns {
    /// `None` where it cannot be understood.
    fn regex(&self, text: &String) -> Option<Arc<Regex>> {
        self.0.with(text, || Regex::new(text).ok().map(Arc::new), Clone::clone)
    }
}

/// A key on the way to a value that decides whether the value is encrypted.
pub(super) struct Selection {
    key: Key,
    /// What a match means.
    encrypts: bool,
}

enum Key {
    Ends(String),
    Matches(Arc<Regex>),
}

impl Selection {
    pub(super) fn new(rules: &Rules, patterns: &Patterns) -> Result<Self, SopsProblem> {
        let given = |rule: &Option<String>| rule.clone().filter(|text| !text.is_empty());
        let regex = |text: String| {
            patterns
                .regex(&text)
                .map(Key::Matches)
                .ok_or(SopsProblem::Metadata("has a regular expression that cannot be understood"))
        };
        let by_comment = [&rules.encrypted_comment_regex, &rules.unencrypted_comment_regex];
        if by_comment.into_iter().any(|rule| given(rule).is_some()) {
            return Err(SopsProblem::Metadata(
                "chooses values by their comments, which appcred cannot: choose them by their keys",
            ));
        }
        let mut found = Vec::new();
        if let Some(text) = given(&rules.encrypted_regex) {
            found.push(Self { key: regex(text)?, encrypts: true });
        }
        if let Some(text) = given(&rules.encrypted_suffix) {
            found.push(Self { key: Key::Ends(text), encrypts: true });
        }
        if let Some(text) = given(&rules.unencrypted_regex) {
            found.push(Self { key: regex(text)?, encrypts: false });
        }
        if let Some(text) = given(&rules.unencrypted_suffix) {
            found.push(Self { key: Key::Ends(text), encrypts: false });
        }
        let first = found.pop();
        match first {
            _ if !found.is_empty() => {
                Err(SopsProblem::Metadata("has two rules for what is encrypted"))
            }
            Some(only) => Ok(only),
            None => Ok(Self { key: Key::Ends(UNENCRYPTED.to_owned()), encrypts: false }),
        }
    }

    /// Whether the value at the end of these keys is encrypted.
    pub(super) fn encrypts(&self, path: &[Rc<str>]) -> bool {
        let decides = |key: &Rc<str>| match &self.key {
            Key::Ends(suffix) => key.ends_with(suffix),
            Key::Matches(regex) => regex.is_match(key),
        };
        path.iter().any(decides) == self.encrypts
    }
}
