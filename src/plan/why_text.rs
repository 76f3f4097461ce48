//! Why a plan does not do something, in words.

use std::fmt;

use crate::model::{ConfigEntry, Held, Key, Mark, Visible, counted};

use super::withheld::Why;

impl fmt::Display for Why {
    #[expect(clippy::too_many_lines, reason = "a table: a text for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { by } => write!(f, "used by {}", linked_accounts(by)),
            Self::MayBeCloud { by } => write!(
                f,
                "Home Assistant does not show whether {} uses it or Home Assistant Cloud",
                linked_accounts(by)
            ),
            Self::UnreadAccounts { unread } => {
                let unread: Vec<String> = unread.iter().map(ToString::to_string).collect();
                write!(f, "an account may use it: {}", unread.join(", "))
            }
            Self::Foreign { held, asked } => {
                write!(f, "{} is a credential of this client that was made by hand", held.id)?;
                asked.as_ref().map_or(Ok(()), |asked| {
                    write!(f, ", and `{}`, which `adopt` names, is none", asked.as_str().visible())
                })
            }
            Self::SeveralByHand { held } => {
                let (count, held) = (held.len(), listed(held.iter().map(described), ", "));
                write!(f, "{count} credentials of this client were made by hand: {held}")
            }
            Self::SeveralRenamed { keys } => write!(
                f,
                "the entry may have been renamed from any of these keys, which no entry has: {}",
                listed(keys.iter().map(with_ids), " and ")
            ),
            Self::ReusedName { reused, key, by } => write!(
                f,
                "{} uses `{reused}` with the client that the entry `{key}` has now",
                linked_accounts(by)
            ),
            Self::ReusedKey { reused, former, by, is_lost } => {
                let of = match former.owner == reused.owner {
                    true => String::new(),
                    false => format!(" of the owner `{}`", former.owner),
                };
                let with = if *is_lost { "a credential that is lost" } else { "another client" };
                write!(
                    f,
                    "{} was linked under `{}` with {with}, and by its client or its `formerly` this entry was `{}`{of} before",
                    linked_accounts(by),
                    reused.key,
                    former.key
                )
            }
            Self::UnreadableMark { held } => write!(
                f,
                "{} has a mark that cannot be read, `{}`, so it may be another owner's",
                held.id,
                held.auth_domain.as_deref().unwrap_or_default()
            ),
            Self::Disputed { by } => {
                let by = listed(by.iter().map(entry_of), " and ");
                write!(f, "{by} have claimed it: none of them changes it")
            }
            Self::OtherEntry { key } => write!(
                f,
                "the entry `{key}` has it: accounts that were linked under this key are now linked through that entry"
            ),
            Self::OtherOwner { by } => write!(f, "{} manages it", entry_of(by)),
            Self::OwnerDiffers { held, owner } => write!(
                f,
                "{} has the same key and client, and the owner `{owner}`; if this project made it, `previous_owners: [{owner}]` in appcred.yaml takes it over",
                held.id
            ),
            Self::PreviousOwner { held, owner, by } => write!(
                f,
                "{} uses {}, which has a key of this entry, another client, and the owner `{owner}`, which `previous_owners` names",
                linked_accounts(by),
                held.id
            ),
            Self::SeveralEntries { id, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                write!(
                    f,
                    "an account is linked with `{}`, which no credential has; it may have been of the entry {}",
                    id.visible(),
                    keys.join(" or ")
                )
            }
            Self::NotOwned => f.write_str(
                "internal error: the plan would have changed a credential that is not ours",
            ),
            Self::Emptied { places } => {
                let places =
                    listed(places.iter().map(|place| format!("`{}`", place.visible())), ", ");
                write!(f, "no entry is left in {places}")
            }
            Self::Protected { keys } => {
                let are = if keys.len() == 1 { "is" } else { "are" };
                let keys = listed(keys.iter().map(|key| format!("`{key}`")), " and ");
                write!(f, "{keys} {are} protected")
            }
            Self::Suspended => f.write_str("the entry is suspended"),
            Self::OutsideWindows { next } => {
                write!(f, "changes are made only in windows, the next of which begins on {next}")
            }
            Self::EarlierWave { wave, wait } => write!(f, "the target is in {wave}: {wait}"),
            Self::PruneOff => f.write_str("the policy says `prune: none`"),
            Self::TooManyDeletes { planned, allowed } => write!(
                f,
                "{} planned, {allowed} allowed: nothing of this plan is applied",
                counted(*planned, "delete")
            ),
            Self::NothingDesired => f.write_str("no entry is left for this target"),
            Self::LostBySlip { key, slip } => {
                write!(f, "the entry `{key}` {slip}")
            }
            Self::Unread => {
                f.write_str("an entry that could not be read or planned may want this one")
            }
            Self::Unidentified { keys } => {
                let keys = listed(keys.iter().map(|key| format!("`{key}`")), " and ");
                write!(
                    f,
                    "the client id of {keys} is not known here, and that entry may want this one"
                )
            }
            Self::NeedsCloud => f.write_str(
                "its set-up needs Home Assistant's integration `cloud`, which is not loaded there",
            ),
            Self::IgnoresClient => f.write_str(
                "the integration uses a client of its own, whatever this credential says",
            ),
            Self::SeveralAccounts { accounts } => write!(
                f,
                "it may be any of {} ({})",
                linked_accounts(accounts),
                listed(accounts.iter().map(|account| account.id.to_string()), ", ")
            ),
            Self::OneAccount => {
                f.write_str("this Home Assistant links only one account of the integration")
            }
            Self::UnknownIntegration { domain, suggestion, .. } => {
                let near = suggestion.iter().map(|near| format!(": did you mean `{near}`?"));
                write!(f, "unknown integration `{domain}`{}", near.collect::<String>())
            }
            Self::NotSelected { needed } => {
                write!(f, "it needs `{needed}`, which is not selected")
            }
        }
    }
}

fn listed(texts: impl Iterator<Item = String>, between: &str) -> String {
    texts.collect::<Vec<_>>().join(between)
}

/// `spotify_a "Family"`, with what else distinguishes it from others of its client.
fn described(held: &Held) -> String {
    let name = held.name.as_deref().unwrap_or("without a name");
    match &held.auth_domain {
        Some(auth_domain) => format!("{} \"{name}\" (auth_domain `{auth_domain}`)", held.id),
        None => format!("{} \"{name}\"", held.id),
    }
}

/// `the linked account "Anna"`, `the linked accounts "Anna" and "Ben"`.
pub fn linked_accounts(entries: &[ConfigEntry]) -> String {
    let titles: Vec<String> = entries.iter().map(|entry| format!("\"{}\"", entry.title)).collect();
    match titles.as_slice() {
        [] => "no linked account".to_owned(),
        [one] => format!("the linked account {one}"),
        [all @ .., last] => format!("the linked accounts {} and {last}", all.join(", ")),
    }
}

fn with_ids((key, held): (&Key, &Vec<Held>)) -> String {
    let ids: Vec<&str> = held.iter().map(|held| held.id.as_str()).collect();
    format!("`{key}` ({})", ids.join(", "))
}

fn entry_of(mark: &Mark) -> String {
    format!("entry `{}` of owner `{}`", mark.key, mark.owner)
}
