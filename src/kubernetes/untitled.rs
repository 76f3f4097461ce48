//! Leaves the titles of linked accounts out of texts. They are often e-mail addresses, and who may read an object need
//! not be who may open the status page. Pure.

use crate::status::TargetStatus;

/// What is written before titles in all texts; they are in quotes.
const BEFORE: &str = "linked account";
const QUOTE: char = '"';

/// A text with dots in the place of the titles of the accounts that are linked at a target: in quotes, as our own texts have
/// them, and of e-mail addresses anywhere, as in a text of Home Assistant.
pub(super) fn untitled_by(text: String, target: &TargetStatus) -> String {
    let titles = target.linked.iter().map(|(_, _, title)| title);
    titles.filter(|title| !title.is_empty()).fold(text, |text, title| {
        let text = text.replace(&format!("{QUOTE}{title}{QUOTE}"), "…");
        if title.contains('@') { text.replace(title, "…") } else { text }
    })
}

/// A text with dots in the place of the titles in it.
pub(super) fn untitled(text: &str) -> String {
    let Some(begin) = text.find(BEFORE).map(|at| at + BEFORE.len()) else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(begin);
    let Some(first) = rest.find(QUOTE) else { return text.to_owned() };
    // A title may have quotes of its own, so that all until the last one counts.
    let last = rest.rfind(QUOTE).unwrap_or(first);
    let after = rest.get(last + QUOTE.len_utf8()..).unwrap_or_default();
    let first = rest.get(..first).unwrap_or_default();
    format!("{before}{first}…{after}")
}

#[cfg(test)]
mod tests {
    use super::{untitled, untitled_by};
    use crate::model::{AccountName, ClientId, ConfigEntry, Domain, EntryId, EntryState};
    use crate::plan::linked_accounts;
    use crate::setup::accounts::belongs_to_another;
    use crate::status::{Mode, TargetStatus};
    use crate::target::Refusal;

    #[test]
    fn no_message_that_names_accounts_has_a_title_left() {
        let account = |title: &str| ConfigEntry {
            id: EntryId::new("1"),
            domain: Domain::new("spotify"),
            title: title.into(),
            state: EntryState::Loaded,
            reason: None,
            implementation: None,
        };
        let (a, b) = ("a@example.com", "b@example.com");
        let ann = AccountName::new("ann").unwrap();
        let named = |accounts: &[&str]| {
            let accounts = accounts.iter().map(|title| (*title).into()).collect();
            Refusal::NamedById { accounts }.to_string()
        };
        for text in [
            belongs_to_another("this account is linked already", &ann, [(a, Some(&ann))]),
            belongs_to_another(
                "this account is linked already",
                &ann,
                [(a, Some(&ann)), (b, None)],
            ),
            linked_accounts(&[account(a)]),
            linked_accounts(&[account(a), account(b)]),
            named(&[a]),
            named(&[a, b]),
        ] {
            assert!(!untitled(&text).contains("example.com"), "{}", untitled(&text));
        }
        let said = belongs_to_another("it is linked already", &ann, [(a, Some(&ann)), (b, None)]);
        let expected = "it is linked already, so it is not ann's; the linked accounts are …; try again, and log in at the provider as ann; or, if one of these is ann's, give it the title ann in Home Assistant";
        assert_eq!(untitled(&said), expected);
    }

    #[test]
    fn titles_that_are_known_remain_nowhere() {
        let mut target = TargetStatus::new("http://cabin".to_owned(), Mode::Repair);
        for title in ["a@example.com", "Anna", ""] {
            let of = (Domain::new("spotify"), ClientId::new("a"), title.to_owned());
            target.linked.insert(of);
        }
        let text = r#"a@example.com is taken, and "Anna" too: Annapolis"#;
        assert_eq!(untitled_by(text.to_owned(), &target), "… is taken, and … too: Annapolis");
    }

    #[test]
    fn no_title_of_an_account_remains() {
        for (text, expected) in [
            (r#"used by the linked account "a@example.com""#, "used by the linked account …"),
            (
                r#"used by the linked accounts "a "b"", "c" and "d""#,
                "used by the linked accounts …",
            ),
            (
                r#"the linked account "a" names it by its id; apply again"#,
                "the linked account … names it by its id; apply again",
            ),
            (
                r#"delete spotify "Family": a linked account of spotify still uses it"#,
                r#"delete spotify "Family": a linked account of spotify still uses it"#,
            ),
        ] {
            assert_eq!(untitled(text), expected);
        }
    }
}
