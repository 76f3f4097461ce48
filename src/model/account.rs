//! The accounts that an entry names.

use std::collections::BTreeSet;
use std::fmt;

use super::text::text_type;
use super::{EntryId, Key, Mark, Owner, hidden_character};

/// HA shows no longer title whole.
const MAX_CHARACTERS: usize = 100;

text_type! {
    /// What an entry calls one of its accounts.
    AccountName
}

impl AccountName {
    /// `None` where the text is empty or too long, or has white space around it or hidden characters.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty()
            && text.trim() == text
            && text.chars().count() <= MAX_CHARACTERS
            && hidden_character(text).is_none();
        fits.then(|| Self(text.into()))
    }

    /// Whether a title, or another name, is the same but for upper and lower case.
    pub fn is_called(&self, title: &str) -> bool {
        self.0.to_lowercase() == title.trim().to_lowercase()
    }
}

/// What is noted in HA: which linked account an entry's name is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotedAccount {
    /// The entry.
    pub mark: Mark,
    /// The name.
    pub name: AccountName,
    /// The account.
    pub account: EntryId,
}

impl NotedAccount {
    /// Whether an owner has noted it, under its present name or an earlier one.
    pub fn is_of(&self, owner: &Owner, previous: &BTreeSet<Owner>) -> bool {
        self.mark.owner == *owner || previous.contains(&self.mark.owner)
    }

    /// What an account is called by the notes of one owner; none where nothing is noted, or where notes differ.
    /// Those of the entry itself come first: an account has its note from an earlier key or owner too.
    pub fn name_of<'n>(
        notes: impl IntoIterator<Item = &'n Self>,
        account: &EntryId,
        mark: &Mark,
    ) -> Option<&'n AccountName> {
        let of_account = notes.into_iter().filter(|note| note.account == *account);
        let (own, others): (Vec<&Self>, Vec<&Self>) = of_account.partition(|of| of.mark == *mark);
        let (first, rest) = if own.is_empty() { &others } else { &own }.split_first()?;
        rest.iter().all(|other| other.name == first.name).then_some(&first.name)
    }
}

/// One set-up of an entry: that of one of the accounts it names, or the only one where it names none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetUpId {
    /// The entry.
    pub key: Key,
    /// The account, where the entry names its accounts.
    pub account: Option<AccountName>,
}

impl SetUpId {
    /// As a shell takes it.
    pub fn argument(&self) -> String {
        shell_words::quote(&self.to_string()).into_owned()
    }
}

/// As `authorize` takes it: `spotify-family`, `spotify-family/Ann`.
impl fmt::Display for SetUpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.account {
            Some(account) => write!(f, "{}/{account}", self.key),
            None => self.key.fmt(f),
        }
    }
}

/// The same by its entry's mark.
#[derive(Clone, Copy, Debug)]
pub struct SetUpOf<'a> {
    /// The entry.
    pub mark: &'a Mark,
    /// The account, where the entry names its accounts.
    pub account: Option<&'a AccountName>,
}

impl fmt::Display for SetUpOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account {
            Some(account) => write!(f, "{} ({account})", self.mark),
            None => self.mark.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AccountName;

    #[test]
    fn a_name_can_be_read_and_is_a_title_in_whatever_case() {
        for wrong in ["", " ", " Ann", "Ann\n", "A\u{200b}nn", &"a".repeat(101)] {
            assert_eq!(AccountName::new(wrong), None, "{wrong:?}");
        }
        let ann = AccountName::new("Änn@example.com").unwrap();
        assert!(ann.is_called(" änn@Example.com") && !ann.is_called("änn"));
        assert!(AccountName::new(&"ü".repeat(100)).is_some());
    }
}
