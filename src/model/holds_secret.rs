//! Texts that everybody may read, and that have a secret in them.

use secrecy::zeroize::Zeroizing;
use smol_str::SmolStr;

use super::{Key, Secret};

/// Nothing shorter is searched for: it may be a part of another text by chance.
pub const SHORTEST_SECRET: usize = 8;

/// Shown in the place of a credential's name that has its own secret in it.
pub const NAME_WITH_SECRET: &str = "(a name with a client secret in it)";

/// Whether a text that everybody may read is this secret or has it in it: as it is, in other letters, or as a key is made
/// of it.
pub fn holds_secret(text: &str, secret: &str) -> bool {
    if secret.is_empty() {
        return false;
    }
    let (text, secret) = (lower(text), lower(secret));
    // What a key is made of is compared one by one: keys are not wiped, and one of each secret would stay in memory. Only
    // what is not ASCII is written with other letters in it.
    let parts = |text| str::chars(text).filter(|character| character.is_alphanumeric());
    *text == *secret
        || secret.len() >= SHORTEST_SECRET && text.contains(secret.as_str())
        || parts(&secret).next().is_some() && parts(&text).eq(parts(&secret))
        || !secret.is_ascii() && Key::of_name(&secret).is_some_and(|key| key.as_str() == *text)
}

/// In small letters, in one place of memory, which is wiped.
fn lower(text: &str) -> Zeroizing<String> {
    // A letter has at most three small ones, and so many bytes for each.
    let mut lower = Zeroizing::new(String::with_capacity(text.len() * 4));
    lower.extend(text.chars().flat_map(char::to_lowercase));
    lower
}

/// The name of a credential as it may be shown and kept: without its own secret.
pub fn name_to_show(name: SmolStr, secret: &Secret) -> SmolStr {
    if holds_secret(&name, secret.expose()) { NAME_WITH_SECRET.into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::holds_secret;

    #[test]
    fn a_secret_is_found_in_other_letters_and_between_other_characters() {
        for (text, secret) in [
            ("My s3cr3t-Text-1 here", "S3cr3t-tExT-1"),
            ("geheimnis-oau1", "Geheimnis-öäü1"),
            ("секрет1 и другое", "СЕКРЕТ1"),
            ("s3cr3t-text-1", "s3cr3t/Text+1=="),
            ("s3cr3ttext1", "s3cr3t/Text+1=="),
            ("Straße-im-Norden", "straße im norden"),
            ("ab", "A-B"),
            ("!!!", "!!!"),
            ("x!!!!!!!!y", "!!!!!!!!"),
        ] {
            assert!(holds_secret(text, secret), "{secret} in {text}");
        }
        for (text, secret) in [
            ("", ""),
            ("Spotify", ""),
            ("???", "!!!"),
            ("abc", "ab"),
            ("s3cr3t-text", "s3cr3t-text-1"),
            ("Made 2024-01-01", "20240101"),
        ] {
            assert!(!holds_secret(text, secret), "{secret} in {text}");
        }
    }

    #[test]
    fn long_texts_take_no_time_by_their_square() {
        let (name, secret) = ("a".repeat(1_000_000), "a".repeat(500_000) + "b");
        assert!(!holds_secret(&name, &secret));
    }
}
