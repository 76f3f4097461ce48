//! Texts that everybody may read, and that have a secret in them.

use smol_str::SmolStr;

use super::Secret;

/// Nothing shorter is searched for: it may be a part of another text by chance.
pub const SHORTEST_SECRET: usize = 8;

/// Shown in the place of a credential's name that has its own secret in it.
pub const NAME_WITH_SECRET: &str = "(a name with a client secret in it)";

/// Whether a text that everybody may read is this secret or has it in it: as it is, in other letters, or as a key has
/// it, which is with other characters between the letters and digits.
pub fn holds_secret(text: &str, secret: &str) -> bool {
    // Characters are compared one by one: a copy of the secret would stay in memory.
    let whole = |text| str::chars(text).flat_map(char::to_lowercase);
    let parts = |text| whole(text).filter(|character| character.is_alphanumeric());
    holds(whole(text), whole(secret)) || holds(parts(text), parts(secret))
}

/// Whether characters are these, or have them among them where they are long enough.
fn holds<C: Iterator<Item = char> + Clone>(mut text: C, secret: C) -> bool {
    let mut characters = secret.clone().peekable();
    if characters.peek().is_none() {
        return false;
    }
    if characters.count() < SHORTEST_SECRET {
        return text.eq(secret);
    }
    loop {
        let mut here = text.clone();
        if secret.clone().all(|character| here.next() == Some(character)) {
            return true;
        }
        if text.next().is_none() {
            return false;
        }
    }
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
        ] {
            assert!(!holds_secret(text, secret), "{secret} in {text}");
        }
    }
}
