//! What a program says of its failure, as on a login that is over: without what it printed or was given and without
//! what could be a secret. Where in doubt, less is shown.

use std::collections::BTreeSet;

use super::env::holds_identity;
use super::from::ProgramRole;
use crate::model::{Visible, is_name, may_be_token};

/// How much is shown.
const SHOWN: usize = 500;
/// The same of SOPS, which gives its reason after a list of keys.
const SHOWN_OF_SOPS: usize = 1500;
/// What is shown in place of what may be secret.
const MASK: &str = "********";
/// What a secret may follow, in lower case.
const SECRETS: [&str; 7] = ["password", "passphrase", "passwd", "token", "secret", "key", "bearer"];
/// What is between the name of a secret and the secret.
const SIGNS: [char; 2] = ['=', ':'];
/// What programs say of a secret. Behind its name nothing else is shown on that line: a secret may be of words too.
#[rustfmt::skip]
const SAID: &[&str] = &[
    "a", "access", "an", "and", "are", "as", "at", "auth", "authentication", "be", "been", "but", "bw", "by", "calling", "can",
    "can't", "cannot", "code", "could", "couldn't", "current", "currently", "decrypt", "denied", "did", "didn't", "does",
    "doesn't", "empty", "error", "exist", "expired", "failed", "file", "for", "found", "from", "given", "has", "have",
    "in", "included", "incorrect", "invalid", "is", "isn't", "it", "item", "its", "line", "login", "match", "missing",
    "must", "need", "needed", "no", "none", "not", "of", "on", "operation", "or", "permission", "please", "problem",
    "provided", "read", "reauthentication", "refreshing", "refused", "rejected", "request", "required", "revoked", "run",
    "security", "session", "set", "signin", "such", "that", "the", "there", "this", "to", "too", "try", "unknown",
    "unlock", "user", "was", "when", "with", "wrong", "you", "your",
];
/// A code of a few digits, as in `403`, says what is wrong; a secret has more.
const CODE: usize = 3;

/// The beginning of it. What follows the name of a secret and a sign is masked to the end of the line; once there was
/// such a name, or a sign, only what looks like words is shown, and behind a name only what is said of secrets.
pub(super) fn masked(stderr: &[u8], stdout: &[u8], given: &[String], role: &ProgramRole) -> String {
    // SOPS speaks of keys all the time, and never says what they are.
    let is_sops = *role == ProgramRole::Sops;
    let longest = if is_sops { SHOWN_OF_SOPS } else { SHOWN };
    let (mut stderr, stdout) =
        (String::from_utf8_lossy(stderr).into_owned(), String::from_utf8_lossy(stdout));
    for value in given.iter().filter(|value| value.len() > 3 && !value.contains("://")) {
        stderr = stderr.replace(value.as_str(), MASK);
    }
    let parts = stdout.split(|mark: char| !mark.is_alphanumeric());
    let printed: BTreeSet<&str> =
        stdout.split_whitespace().chain(parts).filter(|part| !part.is_empty()).collect();
    let mut shown = String::new();
    // Whether the secret is on the next line, and whether there may be one from here on.
    let (mut is_next, mut may_follow) = (false, false);
    for line in stderr.lines().filter(|line| !line.trim().is_empty()) {
        let line = line.trim_start_matches([' ', '-', '|']);
        let end = match is_next {
            true => Some(0),
            false => announced(line).filter(|_| !is_sops),
        };
        let (clear, secret) = line.split_at(end.unwrap_or(line.len()));
        let names = |word: &str| !is_sops && names_secret(word);
        let is_asked = clear.trim_end().ends_with(SIGNS) && clear.split_whitespace().any(names);
        is_next =
            !is_next && (end.is_some() || is_asked) && !secret.contains(char::is_alphanumeric);
        let secret = Some(MASK.into()).filter(|_| !secret.trim().is_empty());
        let mut is_named = false;
        let words = clear.split_whitespace().map(|word| {
            may_follow |= !is_sops && may_announce(word);
            let is_shown = !is_secret(word, &printed, is_sops)
                && (!may_follow || is_plain(word))
                && (!is_named || is_said(word));
            is_named |= names(word);
            if is_shown { word.visible() } else { MASK.into() }
        });
        for word in words.chain(secret) {
            if shown.len() + word.len() > longest {
                shown.push('…');
                return shown;
            }
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(&word);
        }
    }
    shown
}

/// Whether a word is a secret, or has a part of what the program printed.
fn is_secret(word: &str, printed: &BTreeSet<&str>, is_sops: bool) -> bool {
    let bare = word.trim_matches(|mark: char| !mark.is_alphanumeric());
    let is_printed = |one: &&str| word.contains(*one) || (bare.len() > 3 && one.contains(bare));
    // An address without a password may be shown: it says which server did not answer.
    let has_password = word.find("://").is_some_and(|at| word[at..].contains('@'));
    let is_fingerprint =
        is_sops && bare.len() == 40 && bare.bytes().all(|of| of.is_ascii_hexdigit());
    (may_be_token(bare) && !is_fingerprint)
        || holds_identity(word)
        || has_password
        || word.contains(MASK)
        || printed.iter().any(is_printed)
}

/// Where on a line a secret may begin: after the name of one and a sign, as in `api_key = x` or `Bearer x`.
fn announced(line: &str) -> Option<usize> {
    // In ASCII alone, so that the places stay the same.
    let lower = line.to_ascii_lowercase();
    let begins = |name: &str, at: usize| {
        let end = at + name.len();
        let rest = lower[end..].trim_start_matches(|of: char| {
            of.is_ascii_alphanumeric() || matches!(of, '_' | '-' | '"' | '\'' | '`')
        });
        // What is spoken of in the plural is mostly said to be wrong.
        let is_plural = lower[end..].starts_with("s:");
        let rest = rest.trim_start();
        let sign = rest.strip_prefix(SIGNS).filter(|_| !is_plural);
        match sign {
            Some(after) => Some(line.len() - after.len()),
            None => (name == "bearer").then_some(end),
        }
    };
    let of_name = |name: &'static str| {
        let mut found = lower.match_indices(name);
        found.find_map(|(at, _)| begins(name, at))
    };
    SECRETS.into_iter().filter_map(of_name).min()
}

/// Whether what follows a word may be a secret.
fn may_announce(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    word.contains(SIGNS) || SECRETS.iter().any(|name| lower.contains(name))
}

/// Whether a word is the name of a secret, or has one in it, as in `api_key`. A path or an address is none.
fn names_secret(word: &str) -> bool {
    let bare = word.trim_matches(|mark: char| !mark.is_alphanumeric()).to_ascii_lowercase();
    !bare.contains(['/', '.']) && SECRETS.iter().any(|name| bare.contains(name))
}

/// Whether programs say this word of a secret.
fn is_said(word: &str) -> bool {
    let bare = word.trim_matches(|mark: char| !mark.is_alphanumeric()).to_ascii_lowercase();
    let single = bare.strip_suffix('s').unwrap_or(&bare);
    // A mark between two words.
    (bare.is_empty() && word.len() <= 2) || SAID.contains(&&*bare) || SECRETS.contains(&single)
}

/// Whether this looks like words, a code, a time or an address, and not like a secret.
fn is_plain(word: &str) -> bool {
    let bare = word.trim_matches(|mark: char| !mark.is_alphanumeric());
    let of_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = bare.split([':', '/', '-', '.']).count() > 2
        && bare.split([':', '/', '-', '.']).all(|part| part.len() <= 4 && of_digits(part));
    let is_address = bare.contains("://") && !bare.contains(['@', '?', '=', '#']);
    let parts = || bare.split(SIGNS).filter(|part| !part.is_empty());
    is_time
        || is_address
        || parts().all(|part| is_name(part) || (part.len() <= CODE && of_digits(part)))
}

#[cfg(test)]
mod tests {
    use super::masked;
    use crate::secret::from::ProgramRole;

    /// Words of a dictionary, which nobody could tell from what a program says.
    const WORDS: [&str; 4] = ["swordfish", "correct-horse-battery-staple", "letmein", "Dragon"];

    #[test]
    fn a_secret_that_is_a_word_is_not_shown_behind_its_name() {
        for word in WORDS {
            for said in [
                "invalid password WORD",
                "password 'WORD' is wrong",
                "Password for anna: WORD",
                "password is: WORD",
                "passwords: WORD",
                "tokens: WORD",
                "error: the secrets are WORD and WORD",
                "Password for anna:\nWORD",
                "wrong api_key (WORD)",
                "the token was \"WORD\", which is expired",
                "Bearer WORD",
                "key WORD. secret, WORD",
            ] {
                let said = said.replace("WORD", word);
                let role = ProgramRole::Source("safe".to_owned());
                let shown = masked(said.as_bytes(), b"", &[], &role);
                assert!(!shown.contains(word), "{said}: {shown}");
            }
        }
        let role = ProgramRole::Source("safe".to_owned());
        let shown = masked(b"password 'swordfish' is wrong\nno such item", b"", &[], &role);
        assert_eq!(shown, "password ******** is wrong no such item");
    }
}
