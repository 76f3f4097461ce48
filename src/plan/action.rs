//! What a plan is made of. None of it holds a secret.

use std::collections::BTreeMap;

use smol_str::SmolStr;

pub use super::reason::Reason;
use super::state::Unknown;
pub use super::state::{
    ComparedCredential, CredentialState, EntrySetup, SetupState, UndeclaredAccount,
};
use super::withheld::{Why, Withheld};
use crate::model::{
    AccountName, ClientId, ConfigEntry, DesiredCredential, Domain, FlowId, Held, Key, OpenFlow,
    SetUpId,
};

/// The difference between what is wanted and what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What would be done but is not.
    pub withheld: Vec<Withheld>,
    /// Of what it is not known whether anything is to be done.
    pub unknown: Vec<Unknown>,
    /// Every credential of the target, in its order.
    pub credential_states: Vec<ComparedCredential>,
    /// How far every set-up is; empty at a target at rest.
    pub setup_states: Vec<EntrySetup>,
    /// The linked accounts that use the credential of an entry which names others.
    pub undeclared_accounts: Vec<UndeclaredAccount>,
}

/// A step's number in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(pub usize);

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// What.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The linked accounts to be reloaded so that they take what is in force then.
    pub reload: Vec<ConfigEntry>,
    /// The step without which this one is not done: what it creates must exist, and what it
    /// deletes must be gone before this one deletes anything.
    pub after: Option<StepId>,
    /// What is created first and deleted last: it says while the step is carried out that what is
    /// replaced is taken over, where that is not written already.
    pub claim: Option<Wanted>,
    /// Of the credentials that it deletes, those that nobody manages.
    pub foreign: Vec<Held>,
    /// The key under which the entry held what is replaced, where that was another one.
    pub old_key: Option<Key>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a credential.
    Create {
        /// The new one.
        wanted: Wanted,
    },
    /// Create a credential and then delete those that it replaces: HA has no update.
    Replace {
        /// The new one.
        wanted: Wanted,
        /// Those that go, in the target's order: the last was in force.
        old: Vec<Held>,
    },
    /// Take over what a person made by hand.
    Adopt {
        /// The new one.
        wanted: Wanted,
        /// Those made by hand, or their shadows.
        old: Vec<Held>,
        /// What becomes of them.
        how: Adoption,
    },
    /// Write whose the credentials of an implementation are that cannot say it themselves.
    Claim {
        /// The claim: a credential of the same client that an account can use as well.
        wanted: Wanted,
        /// The claims that it replaces.
        old: Vec<Held>,
    },
    /// Delete a credential.
    Delete {
        /// The one that goes.
        old: Held,
        /// The linked accounts that are removed before it.
        remove: Vec<ConfigEntry>,
    },
    /// Have an account linked with a credential; somebody will have to consent.
    SetUp {
        /// The credential that it is to use.
        wanted: Wanted,
        /// What the entry calls the account, where it names its accounts.
        name: Option<AccountName>,
        /// The account that needs consent again; none where a new one is to be linked.
        account: Option<ConfigEntry>,
        /// The config flow that goes on; where there is none, one is started.
        open: Option<FlowId>,
    },
    /// Set a linked account up afresh that does not run although its credential is right.
    Reload {
        /// The credential that it uses.
        wanted: Wanted,
        /// The account.
        account: ConfigEntry,
    },
    /// Note in HA whether the linked accounts go with the entry, for when that is gone.
    SetDeletePolicy {
        /// The entry.
        wanted: Wanted,
        /// Whether they go with it.
        removes: bool,
    },
    /// Note in HA which linked account is the one that an entry names, so that it is known again
    /// whatever its title is.
    NoteAccount {
        /// The entry.
        wanted: Wanted,
        /// The name.
        name: AccountName,
        /// The account.
        account: ConfigEntry,
    },
    /// Remove a linked account that its entry no longer names.
    RemoveAccount {
        /// The entry.
        wanted: Wanted,
        /// The name that it had there.
        name: AccountName,
        /// The account.
        account: ConfigEntry,
    },
    /// Abort a config flow that nobody needs any more.
    Abandon {
        /// That one.
        flow: OpenFlow,
    },
}

/// What becomes of a credential made by hand when it is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Nothing uses it: the new one carries the mark, the old one goes.
    TakeOver,
    /// A linked account uses it: the new one takes its place, the old one stays until HA allows to delete it.
    Shadow,
}

/// A credential to be created; its secret is found by the key in what is desired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The entry.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// As HA shows it.
    pub name: SmolStr,
    /// The mark, a claim, or what linked accounts name.
    pub auth_domain: SmolStr,
}

impl Wanted {
    /// What an entry wants, under this `auth_domain`.
    pub(super) fn of(entry: &DesiredCredential, auth_domain: SmolStr) -> Self {
        Self {
            key: entry.key.clone(),
            domain: entry.domain.clone(),
            client_id: entry.client_id.clone(),
            name: entry.name.clone(),
            auth_domain,
        }
    }
}

impl Step {
    /// A step that does only this, and for no reason yet.
    pub fn new(id: StepId, action: Action) -> Self {
        let (reasons, reload, foreign) = Default::default();
        Self { id, action, reasons, reload, after: None, claim: None, foreign, old_key: None }
    }

    /// Whether nobody asked for what it does: that it fails is no failure of a run.
    pub fn is_optional(&self) -> bool {
        self.reasons == [Reason::UnnamedAccountDown]
    }

    /// How many credentials it deletes with no other of this owner in their place, or that were
    /// not this owner's.
    pub fn deletes(&self) -> usize {
        match self.action {
            Action::Delete { .. } => 1,
            _ => self.foreign.len(),
        }
    }
}

impl Action {
    /// What it creates.
    pub fn created(&self) -> Option<&Wanted> {
        match self {
            Self::Create { wanted }
            | Self::Replace { wanted, .. }
            | Self::Adopt { wanted, .. }
            | Self::Claim { wanted, .. } => Some(wanted),
            _ => None,
        }
    }

    /// What the entry wants that it is done for; none where no entry wants it.
    pub fn for_entry(&self) -> Option<&Wanted> {
        match self {
            Self::SetUp { wanted, .. }
            | Self::Reload { wanted, .. }
            | Self::SetDeletePolicy { wanted, .. }
            | Self::NoteAccount { wanted, .. }
            | Self::RemoveAccount { wanted, .. } => Some(wanted),
            other => other.created(),
        }
    }

    /// What the entry calls the account that it is about.
    pub fn account_name(&self) -> Option<&AccountName> {
        match self {
            Self::SetUp { name, .. } => name.as_ref(),
            Self::NoteAccount { name, .. } | Self::RemoveAccount { name, .. } => Some(name),
            Self::Abandon { flow } => flow.purpose.account(),
            _ => None,
        }
    }

    /// The set-up that it carries on or ends; none where it is about a credential.
    pub fn set_up_id(&self) -> Option<SetUpId> {
        let key = match self {
            Self::Abandon { flow } => &flow.purpose.mark()?.key,
            _ => &self.for_entry().filter(|_| self.is_set_up())?.key,
        };
        Some(SetUpId { key: key.clone(), account: self.account_name().cloned() })
    }

    /// The credentials that it deletes or shadows.
    pub fn old(&self) -> &[Held] {
        match self {
            Self::Replace { old, .. } | Self::Adopt { old, .. } | Self::Claim { old, .. } => old,
            Self::Delete { old, .. } => std::slice::from_ref(old),
            _ => &[],
        }
    }

    /// What it deletes.
    pub fn outgoing(&self) -> &[Held] {
        match self {
            Self::Adopt { how: Adoption::Shadow, .. } => &[],
            other => other.old(),
        }
    }

    /// What it does in a word or two, as in `create`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Replace { .. } => "replace",
            Self::Adopt { how: Adoption::TakeOver, .. } => "adopt",
            Self::Adopt { how: Adoption::Shadow, .. } => "shadow",
            Self::Claim { .. } => "claim",
            Self::Delete { .. } => "delete",
            Self::SetUp { account: None, open: Some(_), .. } => "continue to set up",
            Self::SetUp { account: None, open: None, .. } => "set up",
            Self::SetUp { account: Some(_), .. } => "link again",
            Self::Reload { .. } => "reload",
            Self::SetDeletePolicy { removes: true, .. } => "set the delete policy of",
            Self::SetDeletePolicy { removes: false, .. } => "clear the delete policy of",
            Self::NoteAccount { .. } => "note the account of",
            Self::RemoveAccount { .. } => "remove the account of",
            Self::Abandon { .. } => "abandon the set-up of",
        }
    }

    /// What it does in a few words, as in `create spotify "Family"`, `set up spotify "Family" for Ann` or
    /// `abandon the set-up of spotify for family/Ann`.
    pub fn summary(&self) -> String {
        let mut summary = format!("{} {}", self.verb(), self.domain());
        if let (Self::Abandon { .. }, Some(id)) = (self, self.set_up_id()) {
            return format!("{summary} for {id}");
        }
        if let Some(name) = self.name() {
            summary += &format!(" \"{name}\"");
        }
        if let Some(account) = self.account_name() {
            summary += &format!(" for {account}");
        }
        summary
    }

    /// As HA shows what it is about.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Delete { old, .. } => Some(old.label()),
            other => other.for_entry().map(|wanted| wanted.name.as_str()),
        }
    }

    /// The linked accounts that it removes.
    pub fn removed(&self) -> &[ConfigEntry] {
        match self {
            Self::Delete { remove, .. } => remove,
            Self::RemoveAccount { account, .. } => std::slice::from_ref(account),
            _ => &[],
        }
    }

    /// Whether it concerns the set-up of an integration, not a credential.
    pub fn is_set_up(&self) -> bool {
        matches!(
            self,
            Self::SetUp { .. }
                | Self::Reload { .. }
                | Self::SetDeletePolicy { .. }
                | Self::NoteAccount { .. }
                | Self::RemoveAccount { .. }
                | Self::Abandon { .. }
        )
    }

    /// The integration.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Create { wanted }
            | Self::Replace { wanted, .. }
            | Self::Adopt { wanted, .. }
            | Self::Claim { wanted, .. }
            | Self::SetUp { wanted, .. }
            | Self::Reload { wanted, .. }
            | Self::SetDeletePolicy { wanted, .. }
            | Self::NoteAccount { wanted, .. }
            | Self::RemoveAccount { wanted, .. } => &wanted.domain,
            Self::Delete { old, .. } => &old.domain,
            Self::Abandon { flow } => &flow.domain,
        }
    }
}

impl Plan {
    /// The step with this number: they are in the order of their numbers.
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.get(self.steps.binary_search_by_key(&id, |step| step.id).ok()?)
    }

    /// Withholds the steps for which there is a reason, and those that come after them.
    pub(super) fn withhold_steps(&mut self, why: impl Fn(&Step, &[Step]) -> Option<Why>) {
        let mut reasons: BTreeMap<StepId, Why> = BTreeMap::new();
        for step in &self.steps {
            let before = step.after.and_then(|after| reasons.get(&after)).cloned();
            if let Some(why) = before.or_else(|| why(step, &self.steps)) {
                reasons.insert(step.id, why);
            }
        }
        self.steps.retain_mut(|step| match reasons.remove(&step.id) {
            Some(why) => {
                self.withheld.push(Withheld { action: step.action.clone(), why });
                false
            }
            None => true,
        });
    }
}
