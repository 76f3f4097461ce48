//! Ownership, written into HA's `auth_domain`.
//!
//! A credential of an entry carries the *mark* `appcred:<owner>:<key>`. One whose `auth_domain`
//! must be another text, because a linked account names that text, cannot carry it. A *claim* says
//! whose it is: a second credential of the same client with `appcred:<owner>:<key>:<that text>`.
//! Versions that do not know claims do not read one as a mark, since a key has no colon.

use std::fmt;

use smol_str::SmolStr;

use super::text::text_type;

const PREFIX: &str = "appcred";

/// What may be in an owner or a key: not the character between them.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        text_type! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// `None` where the text is empty, longer than 100 bytes, or has a character other than
            /// ASCII letters, digits, `-`, `_` and `.`.
            pub fn new(text: &str) -> Option<Self> {
                is_name(text).then(|| Self(text.into()))
            }
        }
    };
}

name_type! {
    /// The Git repository that manages a credential.
    Owner
}

impl Default for Owner {
    /// Who owns what a project without a name declares.
    fn default() -> Self {
        Self("default".into())
    }
}

name_type! {
    /// An entry's stable name, unique per owner.
    Key
}

impl Key {
    /// The key of an entry that has this name and no key of its own; `None` where none can be made
    /// from it.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::new(&slug::slugify(name))
    }
}

/// Who manages a credential, and as which entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The repository.
    pub owner: Owner,
    /// The entry.
    pub key: Key,
}

impl Mark {
    /// Reads an `auth_domain`; `None` where it is no mark of ours.
    pub fn parse(auth_domain: &str) -> Option<Self> {
        let mut parts = auth_domain.splitn(3, ':');
        let (prefix, owner, key) = (parts.next()?, parts.next()?, parts.next()?);
        (prefix == PREFIX).then_some(())?;
        Some(Self { owner: Owner::new(owner)?, key: Key::new(key)? })
    }
}

impl Mark {
    /// The mark that a text is, or claims under.
    pub fn of_text(auth_domain: &str) -> Option<Self> {
        Self::parse(auth_domain).or_else(|| Some(Claim::parse(auth_domain)?.mark))
    }

    /// Whether a text begins like a mark, and is neither one nor a claim.
    pub fn is_unreadable(auth_domain: &str) -> bool {
        let begin = auth_domain.trim_start().get(..PREFIX.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(PREFIX))
            && Self::of_text(auth_domain).is_none()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}:{}:{}", self.owner, self.key)
    }
}

/// Who manages all credentials of an integration that carry an `auth_domain` which is not theirs to
/// choose, or that have this id and no `auth_domain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The owner and the entry.
    pub mark: Mark,
    /// What linked accounts name: an id, a word that Home Assistant chose, or an earlier mark.
    pub implementation: SmolStr,
}

impl Claim {
    /// Reads an `auth_domain`; `None` where it is no claim, or one of a mark that cannot be read.
    pub fn parse(auth_domain: &str) -> Option<Self> {
        let (at, _) = auth_domain.match_indices(':').nth(2)?;
        let (mark, implementation) = (auth_domain.get(..at)?, auth_domain.get(at + 1..)?);
        (!implementation.is_empty() && !Mark::is_unreadable(implementation)).then_some(())?;
        Some(Self { mark: Mark::parse(mark)?, implementation: implementation.into() })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.mark, self.implementation)
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Key, Mark, Owner};

    #[test]
    fn a_claim_reads_back_and_is_no_mark() {
        let mark = Mark::parse("appcred:house:a").unwrap();
        for implementation in ["spotify_a_2", "fitbit", "appcred:house:old", "a:b:c:d"] {
            let claim = Claim { mark: mark.clone(), implementation: implementation.into() };
            let text = claim.to_string();
            assert_eq!(Claim::parse(&text), Some(claim));
            assert_eq!(Mark::parse(&text), None);
        }
        for text in [
            "appcred:house:a",
            "appcred:house:a:",
            "appcred:house::x",
            "appcred:house:a:appcred:house:x y",
            "other:a:b:c",
            ":::",
        ] {
            assert_eq!(Claim::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_mark_reads_back() {
        let mark = Mark {
            owner: Owner::new("home-gitops").unwrap(),
            key: Key::new("spotify.family").unwrap(),
        };
        assert_eq!(Mark::parse(&mark.to_string()), Some(mark));
    }

    #[test]
    fn what_is_no_mark_is_nobodys() {
        for text in [
            "",
            "cloud",
            "spotify_cid",
            "appcred",
            "appcred:a",
            "appcred::k",
            "appcred:a:",
            "appcred:a:b:c",
        ] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
