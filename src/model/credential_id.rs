//! Ids as HA makes them: python-slugify 8.0.4 over text-unidecode 1.3, then `_2`, `_3` and so on.
//!
//! Compared with the originals over every character of Unicode's basic plane. Known to differ only where
//! it does no harm, since HA takes any id that it finds in the folder: a character that Unicode assigned
//! after the Unicode data of HA's Python was made, and a hexadecimal reference whose digits are
//! themselves made by decimal references to non-ASCII digits. An HA that has the rarer package
//! `Unidecode` beside it makes other ids from some non-ASCII client ids.

use unicode_normalization::UnicodeNormalization;
use unidecode::unidecode_char;

use super::{ClientId, CredentialId, Domain};

/// The id that HA gives a new credential: the first that is not taken, so that the hole of a
/// deleted one is filled again (`IDManager.generate_id` in `helpers/collection.py`).
pub fn generate_id(
    domain: &Domain,
    client_id: &ClientId,
    taken: impl Fn(&CredentialId) -> bool,
) -> CredentialId {
    let base = base_id(domain, client_id);
    let numbered = (2_u64..).map(|attempt| CredentialId::new(format!("{base}_{attempt}")));
    let first = CredentialId::new(base.as_str());
    std::iter::once(first.clone()).chain(numbered).find(|id| !taken(id)).unwrap_or(first)
}

/// The id of a client's first credential.
fn base_id(domain: &Domain, client_id: &ClientId) -> String {
    match slugify(&format!("{}.{}", domain.as_str(), client_id.as_str())) {
        slug if slug.is_empty() => "unknown".to_owned(),
        slug => slug,
    }
}

/// Whether HA itself gives this id to a credential of this client, and could not mean anything
/// else by the text: a client id without a single letter or digit says nothing.
pub fn is_id_of_client(id: &str, domain: &Domain, client_id: &ClientId) -> bool {
    let base = base_id(domain, client_id);
    if base == "unknown" || base == slugify(domain.as_str()) {
        return false;
    }
    let is_number = |number: &str| {
        !number.starts_with('0') && number.parse::<u64>().is_ok_and(|number| number >= 2)
    };
    match id.strip_prefix(&base) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('_').is_some_and(is_number),
        None => false,
    }
}

/// `slugify(text, separator="_")`, in the steps of the original.
fn slugify(text: &str) -> String {
    let quotes_parted = text.replace('\'', "-");
    let ascii: String = quotes_parted.nfkd().map(transliterate).collect();
    let plain = resolve_hexadecimal(&resolve_decimal(&resolve_names(&ascii)));
    let lower = plain.nfkd().collect::<String>().to_ascii_lowercase().replace('\'', "");
    let joined = join_digit_groups(&lower);
    let words = joined.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

/// text-unidecode's table. The crate's is a later edition of it; here are the characters that were added
/// since, as far as the difference survives in a slug.
fn transliterate(character: char) -> &'static str {
    match character {
        '\u{80}'..='\u{9f}' | '\u{2e5}'..='\u{2eb}' => "",
        '\u{25f4}'..='\u{25f7}' => "#",
        '\u{2ef}'..='\u{2ff}'
        | '\u{3f6}'..='\u{3ff}'
        | '\u{6ff}'
        | '\u{af0}'..='\u{aff}'
        | '\u{13f5}'..='\u{13ff}'
        | '\u{1efa}'..='\u{1eff}'
        | '\u{25f8}'..='\u{25ff}'
        | '\u{fdfd}'..='\u{fdff}' => "[?]",
        _ => unidecode_char(character),
    }
}

/// What a character reference stands for.
enum Referent {
    Character(char),
    /// It is no reference, and stays.
    Nothing,
    /// A number beyond Unicode: the original fails there and leaves the whole text as it was.
    Impossible,
}

impl Referent {
    fn of_number(digits: &str, radix: u32) -> Self {
        match u32::from_str_radix(digits, radix) {
            Ok(code) if code <= u32::from(char::MAX) => {
                Self::Character(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => Self::Impossible,
        }
    }
}

/// HTML 4's named references, as `&amp;`.
fn resolve_names(text: &str) -> String {
    const NAMES: &str = include_str!("entities.txt");
    resolve(text, "&", char::is_ascii_alphanumeric, |name| {
        let mut known = NAMES.lines().filter_map(|line| line.split_once(' '));
        known
            .find(|(known, _)| *known == name)
            .map_or(Referent::Nothing, |(_, code)| Referent::of_number(code, 16))
    })
}

/// References as `&#38;`.
fn resolve_decimal(text: &str) -> String {
    resolve(text, "&#", char::is_ascii_digit, |digits| Referent::of_number(digits, 10))
}

/// References as `&#x26;`.
fn resolve_hexadecimal(text: &str) -> String {
    resolve(text, "&#x", char::is_ascii_hexdigit, |digits| Referent::of_number(digits, 16))
}

/// Puts characters in the place of references: an opening, a body of certain characters, a `;`.
fn resolve(
    text: &str,
    opening: &str,
    in_body: fn(&char) -> bool,
    referent: impl Fn(&str) -> Referent,
) -> String {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(opening) {
        resolved.push_str(before);
        let body = &inside[..inside.find(|character| !in_body(&character)).unwrap_or(inside.len())];
        let behind = inside[body.len()..].strip_prefix(';').filter(|_| !body.is_empty());
        match behind.map(|behind| (behind, referent(body))) {
            Some((_, Referent::Impossible)) => return text.to_owned(),
            Some((behind, Referent::Character(character))) => {
                resolved.push(character);
                rest = behind;
            }
            Some((_, Referent::Nothing)) | None => {
                resolved.push_str(opening);
                rest = inside;
            }
        }
    }
    resolved.push_str(rest);
    resolved
}

/// Takes the comma out of `1,000`.
fn join_digit_groups(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut after_digit = false;
    while let Some(character) = characters.next() {
        if character != ',' || !after_digit || !characters.peek().is_some_and(char::is_ascii_digit)
        {
            joined.push(character);
        }
        after_digit = character.is_ascii_digit();
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{generate_id, is_id_of_client};
    use crate::model::{ClientId, CredentialId, Domain};

    /// Made by the original in Python.
    const MADE_BY_HA: &str = include_str!("../../tests/cases/ids.json");

    #[test]
    fn ids_are_those_of_home_assistant() {
        let cases: Vec<[String; 3]> = serde_json::from_str(MADE_BY_HA).unwrap();
        assert!(cases.len() > 300, "cases were lost: {}", cases.len());
        for [domain, client_id, id] in cases {
            let made = generate_id(&Domain::new(&*domain), &ClientId::new(&*client_id), |_| false);
            assert_eq!(made.as_str(), id, "{domain}.{client_id:?}");
        }
    }

    #[test]
    fn a_taken_id_is_numbered_and_a_hole_filled() {
        let taken = ["spotify_a", "spotify_a_2", "spotify_a_4"].map(CredentialId::new);
        let id = |client: &str| {
            generate_id(&Domain::new("spotify"), &ClientId::new(client), |id| taken.contains(id))
        };
        assert_eq!(id("a").as_str(), "spotify_a_3");
        assert_eq!(id("a.2").as_str(), "spotify_a_2_2");
        assert_eq!(id("b").as_str(), "spotify_b");
    }

    #[test]
    fn an_id_of_a_client_is_exactly_what_home_assistant_makes() {
        let is_id = |id: &str, domain: &str, client: &str| {
            is_id_of_client(id, &Domain::new(domain), &ClientId::new(client))
        };
        assert!(is_id("fitbit_12345", "fitbit", "12345"));
        assert!(is_id("fitbit_12345_2", "fitbit", "12345"));
        assert!(is_id("spotify_a_2", "spotify", "a.2"));
        for not in ["fitbit", "fitbit_12345_1", "fitbit_12345_02", "fitbit_1234", "fitbit_123456"] {
            assert!(!is_id(not, "fitbit", "12345"), "{not}");
        }
        assert!(!is_id("fitbit", "fitbit", "--"));
        assert!(!is_id("fitbit_2", "fitbit", "--"));
    }
}
