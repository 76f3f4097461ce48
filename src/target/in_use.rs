//! Who uses a credential right before it is deleted: an account may have been linked since the plan was made.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::unreadable::Accounts;
use super::{Operation, Refusal};
use crate::model::{ConfigEntry, Credential, CredentialId, Domain, Held, UnreadAccounts, is_alike};

/// By what linked accounts find credentials: of those with one name the last is in force.
#[derive(Default)]
pub(super) struct ByName(BTreeMap<(Domain, SmolStr), Vec<CredentialId>>);

impl ByName {
    /// These credentials, in the target's order.
    pub(super) fn of<'c>(credentials: impl IntoIterator<Item = &'c Credential>) -> Self {
        let mut by_name: BTreeMap<_, Vec<CredentialId>> = BTreeMap::new();
        for held in credentials {
            let name = (held.domain.clone(), held.implementation().into());
            by_name.entry(name).or_default().push(held.id.clone());
        }
        Self(by_name)
    }

    /// The one that accounts find by a name.
    pub(super) fn in_force(&self, domain: &Domain, name: &str) -> Option<&CredentialId> {
        self.0.get(&(domain.clone(), name.into()))?.last()
    }

    /// Whether an operation takes from linked accounts what they use, if there are any.
    pub(super) fn is_taken_by(&self, operation: &Operation) -> bool {
        let Some(held) = operation.deleted() else { return false };
        let same_name = self.0.get(&(held.domain.clone(), held.implementation().into()));
        let same_name = same_name.map_or(&[][..], Vec::as_slice);
        match operation {
            Operation::TakeBack(_) => *same_name == [held.id.clone()],
            _ => same_name.last() == Some(&held.id),
        }
    }
}

/// Refuses to delete what one of these linked accounts uses, or may use.
///
/// # Errors
/// Where one does.
pub(super) fn refuse_used(held: &Held, accounts: &Accounts<ConfigEntry>) -> Result<(), Refusal> {
    let uses = |account: &&ConfigEntry| {
        account.domain == held.domain
            && account.implementation.as_deref() == Some(held.implementation())
    };
    let by: Vec<_> =
        accounts.items.iter().filter(uses).map(|account| account.title.clone()).collect();
    if !by.is_empty() {
        return Err(Refusal::UsedByNow { by });
    }
    // Where the whole list is missing, the plan says what may go all the same.
    let may_use = |unread: &&UnreadAccounts| match unread {
        UnreadAccounts::One { domain, .. } => {
            domain.as_ref().is_none_or(|of| is_alike(of.as_str(), held.domain.as_str()))
        }
        UnreadAccounts::All => false,
    };
    match accounts.unreadable.iter().find(may_use) {
        Some(unread) => Err(Refusal::MayBeUsed { by: unread.clone() }),
        None => Ok(()),
    }
}
