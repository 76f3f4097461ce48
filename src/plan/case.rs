//! One entry, and what is asked about it again and again.

use std::collections::BTreeSet;

use crate::model::{
    Adopt, Claim, ConfigEntry, Credential, Desired, DesiredCredential, Held, Mark, Policy, Prune,
    SecretComparison, is_id_of_client,
};

use super::action::{Action, CredentialState, Reason, StepId, Wanted};
use super::context::PlanContext;
use super::draft::PlanDraft;
use super::index::Index;

/// Everything that concerns one entry.
pub(super) struct EntryCase<'a> {
    pub(super) entry: &'a DesiredCredential,
    /// Its number among the entries.
    pub(super) number: usize,
    pub(super) mark: Mark,
    pub(super) context: &'a PlanContext<'a>,
    pub(super) index: &'a Index<'a>,
    /// The credentials that belong to it.
    pub(super) owned: &'a [usize],
    /// Those of its client that belong to nobody.
    pub(super) by_hand: Vec<usize>,
    /// What linked accounts name of that and an older version of appcred shadowed.
    pub(super) old_shadows: BTreeSet<&'a str>,
    pub(super) adoption: Adoptable,
    /// Whether it says that it takes something over, and has not done so yet.
    pub(super) wants_adoption: bool,
}

/// What of that is taken over.
pub(super) enum Adoptable {
    /// These, which linked accounts find by one text.
    These(Vec<usize>),
    /// One of these, and nothing says which.
    Unclear(Vec<usize>),
}

impl Adoptable {
    /// What the entry asks to take over, whether it can or not.
    pub(super) fn candidates(&self) -> &[usize] {
        match self {
            Self::These(these) | Self::Unclear(these) => these,
        }
    }
}

impl<'a> EntryCase<'a> {
    pub(super) fn new(
        entry: &'a DesiredCredential,
        number: usize,
        context: &'a PlanContext<'a>,
    ) -> Self {
        let PlanContext { desired, policy, index, assignment, lost_ids, .. } = context;
        let of_client = index.of_client(&entry.domain, &entry.client_id).iter().copied();
        let mut by_hand: Vec<usize> = of_client.filter(|at| index.is_nobodys(*at)).collect();
        let owned = assignment.of_entry(number);
        let old_shadows = old_shadows(entry, desired, &by_hand, index);
        let is_lost = |name: &str| index.implementing(&entry.domain, name).is_empty();
        // A claim says nothing alone, also where Home Assistant gave it an id that an account names.
        let is_of_account = |at: &usize| match index.get(*at).claim() {
            None => true,
            Some(Claim { implementation: claimed, .. }) => {
                index.is_used(&entry.domain, index.get(*at).implementation())
                    || index.is_used(&entry.domain, &claimed) && is_lost(&claimed)
            }
        };
        // With what an account names it gets a credential in any case.
        let is_held = !old_shadows.is_empty()
            || lost_ids.own(entry).next().is_some()
            || owned.iter().any(is_of_account);
        let adoption = adoptable(entry, policy, is_held, &by_hand, index);
        // What `prune: all` deletes without its being taken over is in nobody's way.
        by_hand.retain(|at| {
            policy.prune != Prune::All || index.is_in_use(*at) || adoption.candidates().contains(at)
        });
        Self {
            entry,
            number,
            mark: desired.mark(&entry.key),
            context,
            index,
            owned,
            old_shadows,
            adoption,
            by_hand,
            wants_adoption: entry.adopt != Adopt::No && !is_held,
        }
    }

    pub(super) fn adopted(&self) -> &[usize] {
        match &self.adoption {
            Adoptable::These(these) => these,
            Adoptable::Unclear(_) => &[],
        }
    }

    pub(super) fn mark_text(&self) -> String {
        self.mark.to_string()
    }

    pub(super) fn is_ours(&self, mark: &Mark) -> bool {
        *self.context.desired.present_name(&mark.owner) == self.mark.owner
    }

    /// The claim of an implementation.
    pub(super) fn claim_text(&self, implementation: &str) -> String {
        Claim { mark: self.mark.clone(), implementation: implementation.into() }.to_string()
    }

    pub(super) fn is_claim(&self, at: usize) -> bool {
        self.index.get(at).claim().is_some()
    }

    /// Whether a text is a claim under the present key.
    pub(super) fn is_own_claim(&self, text: &str) -> bool {
        Claim::parse(text).is_some_and(|claim| claim.mark == self.mark)
    }

    pub(super) fn is_referenced_by_id(&self, at: usize) -> bool {
        self.index.is_referenced_by_id(self.index.get(at))
    }

    /// The accounts to reload: a new name changes nothing for them.
    pub(super) fn users_if_changed(&self, name: &str, reasons: &[Reason]) -> Vec<ConfigEntry> {
        match reasons {
            [Reason::NameDiffers] => Vec::new(),
            _ => self.index.users(&self.entry.domain, name),
        }
    }

    pub(super) fn members(&self, name: &str) -> Vec<usize> {
        self.index.implementing(&self.entry.domain, name).to_vec()
    }

    pub(super) fn with_text(&self, group: &[usize], auth_domain: &str) -> Vec<usize> {
        let has_text = |at: &usize| self.index.get(*at).auth_domain.as_deref() == Some(auth_domain);
        group.iter().copied().filter(has_text).collect()
    }

    /// Whether a claim says whose something of the entry is that Home Assistant does not release, or whose
    /// another claim is that does so. The entry's own claims say that of themselves, and others for its
    /// client are replaced by these.
    pub(super) fn covers_what_stays(&self, claim: usize) -> bool {
        let claim = self.index.get(claim);
        let Some(Claim { implementation, .. }) = claim.claim() else { return false };
        let mut covered = self.index.implementing(&claim.domain, &implementation).iter();
        covered.any(|at| {
            self.index.get(*at).client_id == claim.client_id
                && self.owned.contains(at)
                && (self.is_referenced_by_id(*at)
                    || claim.client_id != self.entry.client_id
                        && !self.is_own_claim(self.index.get(*at).implementation())
                        && self.covers_what_stays(*at))
        })
    }

    /// Whether a claim covers what stays for a client that is not the entry's: replaced by one for that, it
    /// would cover nothing. Another with its text is put beside it.
    pub(super) fn covers_with_other_client(&self, claim: usize) -> bool {
        self.index.get(claim).client_id != self.entry.client_id && self.covers_what_stays(claim)
    }

    /// The claims that cover nothing which stays, and that no account names themselves. What this
    /// entry claims itself has no need of an earlier name's claim.
    pub(super) fn unneeded(&self, claims: Vec<usize>) -> Vec<usize> {
        let is_unneeded = |at: &usize| {
            let claim = self.index.get(*at);
            let is_replaced = claim.client_id == self.entry.client_id
                && !self.is_own_claim(claim.implementation());
            (is_replaced || !self.covers_what_stays(*at))
                && !self.index.is_used(&claim.domain, claim.implementation())
        };
        let mut unneeded: Vec<usize> = claims.into_iter().filter(is_unneeded).collect();
        // A claim of a claim is longer than that, and goes after it.
        unneeded.sort_by_key(|at| self.index.get(*at).implementation().len());
        unneeded
    }

    /// Deletes one after the other what can be deleted; answers the last step.
    pub(super) fn clear_away(
        &self,
        group: Vec<usize>,
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        self.clear_away_for(group, Reason::Superseded, &[], after, draft)
    }

    /// Deletes what is beside the right one: first what is in force over it, so that accounts which do not run get the
    /// right one, and then what it supersedes.
    pub(super) fn clear_spare(
        &self,
        right: usize,
        spare: Vec<usize>,
        users: &[ConfigEntry],
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let (over, under) = spare.into_iter().partition(|at| *at > right);
        let last = self.clear_away_for(over, Reason::TakenBack, users, after, draft);
        self.clear_away_for(under, Reason::Superseded, users, last.or(after), draft).or(last)
    }

    fn clear_away_for(
        &self,
        group: Vec<usize>,
        why: Reason,
        users: &[ConfigEntry],
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let mut last = None;
        for at in group {
            if self.is_referenced_by_id(at) {
                continue;
            }
            draft.set_state(at, CredentialState::Superseded(self.entry.key.clone()));
            let is_unclaimed = self.is_claim(at) && why == Reason::Superseded;
            let reason = if is_unclaimed { Reason::Unclaimed } else { why };
            let action = Action::Delete { old: self.index.get(at).held(), remove: Vec::new() };
            let after = last.or(after);
            last = Some(draft.step_reloading(action, vec![reason], users.to_vec(), after));
        }
        last
    }

    pub(super) fn set_states(
        &self,
        group: &[usize],
        state: &CredentialState,
        draft: &mut PlanDraft<'_>,
    ) {
        for at in group {
            draft.set_state(*at, state.clone());
        }
    }

    pub(super) fn held(&self, group: &[usize]) -> Vec<Held> {
        group.iter().map(|at| self.index.get(*at).held()).collect()
    }

    pub(super) fn wanted(&self, auth_domain: &str) -> Wanted {
        Wanted::of(self.entry, auth_domain.into())
    }
}

/// What older versions shadowed without a claim: ids of this client that a linked account
/// names and that another credential of this client has as its `auth_domain`. Its shape does not
/// say who wrote it. That it holds the secret of this entry does: nothing changes by the claim.
fn old_shadows<'a>(
    entry: &DesiredCredential,
    desired: &Desired,
    by_hand: &[usize],
    index: &Index<'a>,
) -> BTreeSet<&'a str> {
    let of_client = index.of_client(&entry.domain, &entry.client_id);
    let is_ours = |at: &usize| {
        let ownership = index.ownership(*at);
        ownership.is_some_and(|of| *desired.present_name(&of.mark.owner) == desired.owner)
    };
    if of_client.iter().any(|at| !index.is_nobodys(*at) && !is_ours(at)) {
        return BTreeSet::new();
    }
    let holds_our_secret = |credential: &&Credential| {
        credential.client_secret.compare(&entry.client_secret) == SecretComparison::Same
    };
    let shadows = by_hand.iter().map(|at| index.get(*at)).filter(holds_our_secret);
    shadows
        .filter_map(|credential| credential.auth_domain.as_deref())
        .filter(|id| is_id_of_client(id, &entry.domain, &entry.client_id))
        .filter(|id| index.is_used(&entry.domain, id))
        .collect()
}

/// What an entry takes over: the one that it names, or the only one, until it holds a credential of
/// its own. With `prune: all`, what accounts use is taken over unasked.
fn adoptable(
    entry: &DesiredCredential,
    policy: &Policy,
    is_held: bool,
    by_hand: &[usize],
    index: &Index<'_>,
) -> Adoptable {
    let name = |at: &usize| index.get(*at).implementation();
    let is_asked_for = |at: &usize| match &entry.adopt {
        // What accounts find by the same text cannot be parted from it.
        Adopt::Id(id) => by_hand.iter().any(|of| index.get(*of).id == *id && name(of) == name(at)),
        Adopt::Only => !is_held,
        Adopt::No => {
            let is_kept = || policy.prune == Prune::All && index.is_in_use(*at);
            !is_held && (policy.adopt_all || is_kept())
        }
    };
    let candidates: Vec<usize> = by_hand.iter().copied().filter(is_asked_for).collect();
    let names: BTreeSet<&str> = candidates.iter().map(name).collect();
    let can_go = |at: &&usize| !index.is_referenced_by_id(index.get(**at));
    if names.len() > 1 || candidates.iter().filter(can_go).count() > 1 {
        Adoptable::Unclear(candidates)
    } else {
        Adoptable::These(candidates)
    }
}
