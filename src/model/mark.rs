//! Ownership, written into HA's `auth_domain`: `appcred:<owner>:<key>`.

use std::fmt;

use super::text::text_type;

const PREFIX: &str = "appcred";

/// What may stand in an owner or a key: the sign between them must not.
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
            /// `None` where the text is empty, longer than 100 bytes, or has a sign other than
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

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}:{}:{}", self.owner, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Mark, Owner};

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
