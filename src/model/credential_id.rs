//! Ids as HA makes them: a slug of the integration and the client id, then `_2`, `_3` and so on.
//!
//! Some client ids that no provider gives out get another id than HA would make. That does no harm, since HA
//! takes any id that it finds in the folder; and what HA calls by such an id is not recognised by it.

use std::collections::BTreeMap;

use super::{ClientId, CredentialId, Domain};

/// The id that HA gives a new credential: the first that is not taken, so that the hole of a
/// deleted one is filled again (`IDManager.generate_id` in `helpers/collection.py`).
pub fn generate_id(
    domain: &Domain,
    client_id: &ClientId,
    lowest: &mut LowestNumbers,
    taken: impl Fn(&CredentialId) -> bool,
) -> CredentialId {
    let base = base_id(domain, client_id);
    let number = lowest.entry(base.clone()).or_insert(1);
    loop {
        let id = CredentialId::new(match *number {
            1 => base.clone(),
            number => format!("{base}_{number}"),
        });
        if !taken(&id) {
            return id;
        }
        *number += 1;
    }
}

/// From which number on the ids of some clients may be free, by the id without its number. What is deleted may free a
/// lower one.
pub type LowestNumbers = BTreeMap<String, u64>;

/// The id of a client's first credential.
fn base_id(domain: &Domain, client_id: &ClientId) -> String {
    match slugify(&format!("{}.{}", domain.as_str(), client_id.as_str())) {
        slug if slug.is_empty() => "unknown".to_owned(),
        slug => slug,
    }
}

/// Whether HA itself gives this id to a credential of this client, and could not mean anything
/// else by the text.
pub fn is_id_of_client(id: &str, domain: &Domain, client_id: &ClientId) -> bool {
    first_id(domain, client_id).is_some_and(|first| first_ids(id).any(|id| id == first))
}

/// The id of a client's first credential; none where HA may make another one, or gives it to other
/// clients too: a client id without a single letter or digit says nothing.
pub fn first_id(domain: &Domain, client_id: &ClientId) -> Option<String> {
    let base = base_id(domain, client_id);
    let says_nothing = base == "unknown" || base == slugify(domain.as_str());
    (has_same_slug(client_id) && !says_nothing).then_some(base)
}

/// What the first id of a client may be that has this id: the same, or the same without its number.
pub fn first_ids(id: &str) -> impl Iterator<Item = &str> {
    let is_number = |number: &str| {
        !number.starts_with('0') && number.parse::<u64>().is_ok_and(|number| number >= 2)
    };
    let unnumbered = id.rsplit_once('_').filter(|(_, number)| is_number(number));
    std::iter::once(id).chain(unnumbered.map(|(first, _)| first))
}

/// Whether two names differ in no more than HA leaves out of ids: capitals, spaces, accents.
pub fn is_alike(one: &str, other: &str) -> bool {
    one == other || slugify(one) == slugify(other)
}

fn slugify(text: &str) -> String {
    slug::slugify(text).replace('-', "_")
}

/// Whether HA is known to make the same slug: it reads HTML's references, takes the commas out of numbers,
/// and has a table of its own for what is not ASCII.
fn has_same_slug(client_id: &ClientId) -> bool {
    let id = client_id.as_str();
    id.is_ascii() && !id.contains(['&', ',', '\''])
}

#[cfg(test)]
mod tests {
    use super::{LowestNumbers, generate_id, has_same_slug, is_alike, is_id_of_client};
    use crate::model::{ClientId, CredentialId, Domain};

    /// Made by the original in Python.
    const MADE_BY_HA: &str = include_str!("../../tests/cases/ids.json");

    #[test]
    fn ids_are_those_of_home_assistant() {
        let cases: Vec<[String; 3]> = serde_json::from_str(MADE_BY_HA).unwrap();
        let mut same = 0;
        for [domain, client_id, id] in cases {
            let (domain, client_id) = (Domain::new(domain), ClientId::new(client_id));
            if has_same_slug(&client_id) {
                same += 1;
                let made = generate_id(&domain, &client_id, &mut LowestNumbers::new(), |_| false);
                assert_eq!(made.as_str(), id, "{domain}.{client_id:?}");
            } else {
                assert!(!is_id_of_client(&id, &domain, &client_id), "{domain}.{client_id:?}");
            }
        }
        assert!(same > 80, "cases were lost: {same}");
    }

    #[test]
    fn a_taken_id_is_numbered_and_a_hole_filled() {
        let taken = ["spotify_a", "spotify_a_2", "spotify_a_4"].map(CredentialId::new);
        let id = |client: &str| {
            let mut lowest = LowestNumbers::new();
            let (domain, client) = (Domain::new("spotify"), ClientId::new(client));
            let first = generate_id(&domain, &client, &mut lowest, |id| taken.contains(id));
            let again = generate_id(&domain, &client, &mut lowest, |id| taken.contains(id));
            assert_eq!(first, again);
            first
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
        for not in ["spotify_a", "spotify_a_2_02", "spotify_a_2_x", "spotify_a_2_"] {
            assert!(!is_id(not, "spotify", "a.2"), "{not}");
        }
        assert!(is_id("spotify_a_2_3", "spotify", "a.2"));
        assert!(!is_id("fitbit", "fitbit", "--"));
        assert!(!is_id("fitbit_2", "fitbit", "--"));
    }

    #[test]
    fn names_are_alike_whatever_their_case_spaces_and_accents() {
        for odd in
            ["Home_Connect", " home_connect\n", "HOME CONNECT", "ｈome＿connect", "hömé_connect"]
        {
            assert!(is_alike(odd, "home_connect"), "{odd}");
        }
        for other in ["home_connect_2", "homeconnect", "home", ""] {
            assert!(!is_alike(other, "home_connect"), "{other}");
        }
    }
}
