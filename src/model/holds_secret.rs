//! Texts that everybody may read, and that have a secret in them.

use secrecy::zeroize::Zeroizing;
use smol_str::SmolStr;

use super::{Key, Secret};

/// Nothing shorter is searched for: it may be a part of another text by chance.
pub const SHORTEST_SECRET: usize = 8;

/// Shown in the place of a credential's name that has its own secret in it.
pub const NAME_WITH_SECRET: &str = "(a name with a client secret in it)";

/// Whether a text that everybody may read is this secret or has it in it: as it is, in other letters, or as a key has it.
pub fn holds_secret(text: &str, secret: &str) -> bool {
    let (text, secret) =
        (Zeroizing::new(text.to_lowercase()), Zeroizing::new(secret.to_lowercase()));
    *text == *secret
        || secret.len() >= SHORTEST_SECRET && text.contains(secret.as_str())
        || Key::of_name(&secret).is_some_and(|key| key.as_str() == *text)
}

/// The name of a credential as it may be shown and kept: without its own secret.
pub fn name_to_show(name: SmolStr, secret: &Secret) -> SmolStr {
    let secret = secret.expose();
    if !secret.is_empty() && holds_secret(&name, secret) { NAME_WITH_SECRET.into() } else { name }
}
