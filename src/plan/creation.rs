//! The credential with an entry's own mark: created, or why not.

use std::collections::BTreeMap;

use crate::model::{Held, Key, Mark, Owner};

use super::action::{Action, Adoption, CredentialState, Reason, StepId, Wanted};
use super::case::{Adoptable, EntryCase};
use super::condition::Condition;
use super::draft::PlanDraft;
use super::guard;
use super::ownership::{OwnedBy, Proof};
use super::withheld::Why;

impl EntryCase<'_> {
    /// Creates the credential with the mark, in the place of what no account names any more.
    /// `is_linked`: an account uses something else that is the entry's, or becomes so now.
    pub(super) fn create_mark(
        &self,
        spare: &[usize],
        is_linked: bool,
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let wanted = self.wanted(&self.mark_text());
        let free: Vec<usize> =
            spare.iter().copied().filter(|at| !self.is_referenced_by_id(*at)).collect();
        if free.is_empty() || self.context.assignment.is_unsure(self.number) {
            let action = Action::Create { wanted };
            return match self.why_not_created(is_linked) {
                Some(why) => {
                    draft.withhold(action, why);
                    None
                }
                None => Some(draft.step(action, self.why_created(), after)),
            };
        }
        self.set_states(&free, &CredentialState::Differs(self.entry.key.clone()), draft);
        let has_mark = |at: &usize| {
            self.index.ownership(*at).is_some_and(|ownership| ownership.proof == Proof::Mark)
        };
        // With an id, `adopt` is as good later; a guess is not made again once the entry has something.
        let guessed = free.iter().find(|at| self.context.assignment.is_guessed(**at));
        let unwritten = guessed.or(free.iter().find(|at| self.index.is_nobodys(**at)));
        let claim = unwritten.map(|at| self.index.get(*at).implementation());
        let claim = claim.map(|implementation| self.wanted(&self.claim_text(implementation)));
        // What another owner has claimed becomes that owner's as soon as it is there.
        if let Some(claim) = &claim
            && let Some(why) = self.claim_of_others(&claim.auth_domain)
        {
            draft.withhold(Action::Create { wanted }, why);
            return None;
        }
        // An account that names the claim finds it as soon as it is there, so it has to stay.
        if let Some(Wanted { auth_domain, .. }) = &claim
            && self.index.is_used(&self.entry.domain, auth_domain)
        {
            let made = self.make_right(auth_domain, Condition::Missing, after, draft);
            return self.clear_away(free, made, draft).or(made);
        }
        let old = self.held(&free);
        let is_by_hand = free.iter().any(|at| self.index.is_nobodys(*at));
        let (action, reasons) = if free.iter().all(has_mark) {
            let in_force = free.iter().max().map(|at| self.differences(self.index.get(*at)));
            let differences = in_force.into_iter().flatten();
            let reasons = [self.renamed(free[0])].into_iter().chain(differences).collect();
            (Action::Replace { wanted, old }, reasons)
        } else {
            let reason = if is_by_hand { Reason::AdoptionAsked } else { Reason::LetGo };
            (Action::Adopt { wanted, old, how: Adoption::TakeOver }, vec![reason])
        };
        let step = draft.step_reloading(action, reasons, Vec::new(), after);
        draft.claim_meanwhile(step, claim);
        Some(step)
    }

    /// Why there is none that could be replaced.
    fn why_created(&self) -> Reason {
        if self.other_owner().is_some() {
            Reason::BesideOtherOwner
        } else if self.finds_nothing_to_adopt() {
            Reason::NothingToAdopt
        } else if self.of_previous_owner().next().is_some()
            && self.in_use_of_previous_owner().is_none()
        {
            Reason::BesidePreviousOwner
        } else {
            Reason::NotObserved
        }
    }

    /// What keeps the entry from a credential of its own.
    fn why_not_created(&self, is_linked: bool) -> Option<Why> {
        if self.context.assignment.is_unsure(self.number) {
            return guard::may_want(self.context.desired, &self.entry.domain);
        }
        if let doubtful @ [_, ..] = self.context.assignment.doubtful(self.number) {
            let mut keys: BTreeMap<Key, Vec<Held>> = BTreeMap::new();
            for at in doubtful {
                let key = self.index.ownership(*at)?.mark.key.clone();
                keys.entry(key).or_default().push(self.index.get(*at).held());
            }
            return Some(Why::SeveralRenamed { keys });
        }
        if let Adoptable::Unclear(candidates) = &self.adoption {
            return Some(Why::SeveralByHand { held: self.held(candidates) });
        }
        if let Some(at) = self.by_hand.first().filter(|_| !is_linked && self.owned.is_empty()) {
            return Some(self.why_by_hand(*at));
        }
        let of_client = self.index.of_client(&self.entry.domain, &self.entry.client_id);
        let claimed_by_other = |at: &usize| match self.index.owned_by(*at) {
            OwnedBy::One(of) if of.proof != Proof::Claimed => None,
            OwnedBy::Several(_) if self.is_claim(*at) => None,
            by => by.marks().find(|mark| !self.is_ours(mark)),
        };
        if let Some(by) = of_client.iter().find_map(claimed_by_other) {
            return Some(Why::OtherOwner { by: by.clone() });
        }
        // Whether the owner had that name, or another project has such an entry, only a person knows.
        let is_same_entry = |at: &usize| {
            let mark = &self.index.ownership(*at)?.mark;
            let is_same = mark.key == self.entry.key && !self.is_ours(mark);
            is_same.then(|| (self.index.get(*at).held(), mark.owner.clone()))
        };
        if let Some((held, owner)) = of_client.iter().find_map(is_same_entry) {
            return Some(Why::OwnerDiffers { held, owner });
        }
        if !is_linked
            && self.owned.is_empty()
            && let Some(why) = self.in_use_of_previous_owner()
        {
            return Some(why);
        }
        // A second one beside another owner's is not what adoption asks for.
        let is_unmet = self.wants_adoption && self.adopted().is_empty();
        let by = self.other_owner().filter(|_| is_unmet)?;
        Some(Why::OtherOwner { by: by.clone() })
    }

    /// Whether the entry asks to take something over and nothing is of its client, while an account uses another one of
    /// its integration that nobody manages, as after an older state of the target was restored.
    fn finds_nothing_to_adopt(&self) -> bool {
        let is_in_use = |at: usize| {
            let held = self.index.get(at);
            held.domain == self.entry.domain
                && self.index.is_nobodys(at)
                && self.index.is_used(&held.domain, held.implementation())
                && self.index.entry_of_client(&held.domain, &held.client_id).is_none()
        };
        self.wants_adoption
            && self.adoption.candidates().is_empty()
            && (0..self.index.all().len()).any(is_in_use)
    }

    /// What has a key of the entry and a previous owner, and is no entry's, since it is of another client.
    fn of_previous_owner(&self) -> impl Iterator<Item = (usize, &Owner)> {
        let EntryCase { entry, index, context, .. } = self;
        (0..index.all().len()).filter_map(move |at| {
            let of = &index.ownership(at)?.mark;
            let is_it = index.get(at).domain == entry.domain
                && context.desired.previous_owners.contains(&of.owner)
                && entry.keys().any(|key| *key == of.key)
                && !context.assignment.is_assigned(at);
            is_it.then_some((at, &of.owner))
        })
    }

    /// The first of these that an account uses: beside a new one, it would stay with what nobody manages any more.
    fn in_use_of_previous_owner(&self) -> Option<Why> {
        self.of_previous_owner().find_map(|(at, owner)| {
            let held = self.index.get(at);
            let by = self.index.users(&held.domain, held.implementation());
            (!by.is_empty()).then(|| Why::PreviousOwner {
                held: held.held(),
                owner: owner.clone(),
                by,
            })
        })
    }

    /// Another owner that has a credential of this client.
    fn other_owner(&self) -> Option<&Mark> {
        let of_client = self.index.of_client(&self.entry.domain, &self.entry.client_id);
        let mut marks = of_client.iter().filter_map(|at| Some(&self.index.ownership(*at)?.mark));
        marks.find(|mark| !self.is_ours(mark))
    }
}
