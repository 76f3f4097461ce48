//! What one entry needs.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::model::{Claim, DesiredCredential, Key, Mark};

use super::action::{Action, Adoption, CredentialState, Reason, StepId};
use super::case::EntryCase;
use super::condition::Condition;
use super::context::PlanContext;
use super::draft::PlanDraft;
use super::ownership::{Ownership, Proof};
use super::withheld::Why;

/// What linked accounts name, beside the mark, that belongs to the entry or may be adopted.
#[derive(Default)]
struct LinkedBeside {
    /// The credentials that have it.
    members: Vec<usize>,
    /// Those that claim it.
    claims: Vec<usize>,
    /// Why it must be claimed even if nothing else changes.
    reason: Option<Reason>,
}

/// A claim that a linked account names.
struct ClaimInUse {
    name: SmolStr,
    implementation: LinkedBeside,
    /// The step that claims it in its turn.
    claimed: Option<StepId>,
}

pub(super) fn decide(
    entry: &DesiredCredential,
    number: usize,
    context: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let case = EntryCase::new(entry, number, context);
    case.decide(draft);
    for at in case.owned.iter().copied().filter(|at| draft.is_undecided(*at)).collect::<Vec<_>>() {
        let key = entry.key.clone();
        draft.set_state(
            at,
            match case.is_claim(at) {
                true => CredentialState::Claim(key),
                false => CredentialState::Superseded(key),
            },
        );
    }
    // Nobody prunes what the entry asks to adopt, also where that cannot be done.
    for at in case.adoption.candidates().iter().copied() {
        if draft.is_undecided(at) {
            draft.set_state(at, CredentialState::Foreign);
        }
    }
}

impl EntryCase<'_> {
    /// Each implementation that a linked account names is made right. Where there is none the mark
    /// is, and what it replaces goes: first the credentials, then their claims.
    fn decide(&self, draft: &mut PlanDraft<'_>) {
        if !self.context.assignment.doubtful(self.number).is_empty() {
            self.create_mark(&[], false, None, draft);
            return;
        }
        self.withhold_shared_ids(draft);
        let mut left: Vec<LinkedBeside> = Vec::new();
        let mut linked: Vec<(SmolStr, LinkedBeside)> = Vec::new();
        let (mut is_linked, mut is_blocked) = (false, false);
        let mark = self.mark_text();
        for (name, implementation) in self.implementations() {
            let is_used = self.index.is_used(&self.entry.domain, &name);
            let others = self.claim_of_others(&name);
            if let Some(why @ Why::Disputed { .. }) = others {
                // Of the mark that is said below.
                if name != mark {
                    is_linked |= is_used;
                    is_blocked = true;
                    self.withhold(&name, &implementation, why, draft);
                }
                continue;
            }
            // The mark and the entry's own claims say themselves whose they are.
            if name == mark || self.is_own_claim(&name) {
                let is_lost = self.index.implementing(&self.entry.domain, &name).is_empty();
                if name != mark && is_used && is_lost {
                    is_linked = true;
                    if let Some(why) = self.why_no_claim(&name, &[]) {
                        self.withhold(&name, &implementation, why, draft);
                        continue;
                    }
                    self.make_right(&name, Condition::Missing, None, draft);
                }
                left.push(LinkedBeside { members: Vec::new(), ..implementation });
                continue;
            }
            if !is_used {
                left.push(implementation);
                continue;
            }
            let why = others.or_else(|| self.why_not_kept(&name, &implementation.members));
            if let Some(why) = why {
                is_linked = true;
                self.withhold(&name, &implementation, why, draft);
                continue;
            }
            match self.in_the_way(&name, &implementation.members) {
                None => {
                    is_linked = true;
                    linked.push((name, implementation));
                }
                // What is in force is somebody else's, so that no account uses this entry's.
                Some(_) if implementation.members.is_empty() => left.push(implementation),
                Some(foreign) => {
                    is_linked = true;
                    self.withhold(&name, &implementation, self.why_foreign(foreign), draft);
                }
            }
        }
        // A guess is not made again once the entry has something, so it is written down first.
        let claimed = self.claim_what_stays(&left, draft);
        let (claims_in_use, kept) = self.keep_linked(linked, draft);
        let last = self.decide_mark(&left, claimed, is_linked, is_blocked, draft);
        self.keep_claims(claims_in_use, kept, last, draft);
    }

    /// Claims all that accounts name and makes it right, but for claims, which it answers, with the last
    /// step of each of the others.
    fn keep_linked(
        &self,
        mut linked: Vec<(SmolStr, LinkedBeside)>,
        draft: &mut PlanDraft<'_>,
    ) -> (Vec<ClaimInUse>, BTreeMap<SmolStr, Option<StepId>>) {
        // Also here a guess comes first.
        linked.sort_by_key(|(_, of)| of.reason != Some(Reason::TakenForRenamed));
        let (mut claims_in_use, mut kept) = (Vec::new(), BTreeMap::new());
        let claimed: Vec<_> = linked.iter().map(|(name, of)| self.claim(name, of, draft)).collect();
        for ((name, mut implementation), claimed) in linked.into_iter().zip(claimed) {
            if implementation.members.iter().any(|at| self.is_claim(*at)) {
                implementation.members.retain(|at| !self.covers_with_other_client(*at));
                claims_in_use.push(ClaimInUse { name, implementation, claimed });
            } else {
                let last = self.keep(&name, &implementation, claimed, draft);
                kept.insert(name, last);
            }
        }
        (claims_in_use, kept)
    }

    /// Accounts can name a claim as well. What it says is needed until what it claims is right or
    /// gone; `last` is the step after which all is gone that no account names.
    fn keep_claims(
        &self,
        mut claims_in_use: Vec<ClaimInUse>,
        mut kept: BTreeMap<SmolStr, Option<StepId>>,
        last: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) {
        // A claim of a claim is longer than that.
        claims_in_use.sort_by_key(|claim| claim.name.len());
        for ClaimInUse { name, implementation, claimed } in claims_in_use {
            let of = Claim::parse(&name).map(|claim| claim.implementation);
            let after = of.and_then(|of| kept.get(&of).copied()).unwrap_or(last);
            let last = self.keep(&name, &implementation, after.or(claimed), draft);
            kept.insert(name, last);
        }
    }

    /// All implementations but the mark, by name.
    fn implementations(&self) -> BTreeMap<SmolStr, LinkedBeside> {
        let mut all: BTreeMap<SmolStr, LinkedBeside> = BTreeMap::new();
        for at in self.owned.iter().copied() {
            let credential = self.index.get(at);
            let own = credential.implementation();
            if let Some(Ownership { proof: Proof::Claim(of), .. }) = self.index.ownership(at) {
                let claimed = all.entry(of.clone()).or_default();
                claimed.claims.push(at);
                claimed.reason.get_or_insert(self.renamed(at));
            }
            // What an account names, or Home Assistant keeps for one, must stay as it is named.
            let must_stay = || !self.is_own_claim(own) && self.index.is_in_use(at);
            if own != self.mark_text() && (!self.is_claim(at) || must_stay()) {
                let former = all.entry(own.into()).or_default();
                former.members.push(at);
                former.reason.get_or_insert(self.renamed(at));
            }
        }
        for id in self.context.lost_ids.own(self.entry) {
            let lost = all.entry(id.into()).or_default();
            let reason = match Mark::parse(id) {
                Some(mark) => self.renamed_from(&mark.key),
                None => Reason::ReferencedById,
            };
            lost.reason.get_or_insert(reason);
        }
        for at in self.by_hand.iter().copied() {
            let name = self.index.get(at).implementation();
            let is_old_shadow = self.old_shadows.contains(name);
            let is_adopted = self.adopted().contains(&at);
            if is_adopted || is_old_shadow {
                let joined = all.entry(name.into()).or_default();
                joined.members.push(at);
                joined.members.sort_unstable();
                let reason = if is_old_shadow { Reason::OldShadow } else { Reason::AdoptionAsked };
                joined.reason.get_or_insert(reason);
            }
        }
        all
    }

    /// Whether a manifest says so, or only the client.
    pub(super) fn renamed(&self, at: usize) -> Reason {
        match self.context.assignment.is_guessed(at) {
            true => Reason::TakenForRenamed,
            false => match self.index.ownership(at) {
                Some(ownership) => self.renamed_from(&ownership.mark.key),
                None => Reason::Renamed,
            },
        }
    }

    fn renamed_from(&self, key: &Key) -> Reason {
        if *key == self.entry.key { Reason::OwnerRenamed } else { Reason::Renamed }
    }

    /// Writes whose an implementation is that a linked account names, where that is not written yet.
    fn claim(
        &self,
        name: &str,
        implementation: &LinkedBeside,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let text = self.claim_text(name);
        let (current, stale) = self.current_claims(&text, implementation);
        let is_other_client = !self.with_text(&stale, &text).is_empty();
        let reason =
            if is_other_client { Some(Reason::ClientIdDiffers) } else { implementation.reason };
        reason.filter(|_| current.is_empty()).map(|reason| {
            let action = Action::Claim { wanted: self.wanted(&text), old: Vec::new() };
            draft.step(action, reason, None)
        })
    }

    /// The claims of an implementation with this text and for the entry's client, and the others.
    fn current_claims(&self, text: &str, of: &LinkedBeside) -> (Vec<usize>, Vec<usize>) {
        let is_current = |at: &usize| {
            let claim = self.index.get(*at);
            claim.auth_domain.as_deref() == Some(text) && claim.client_id == self.entry.client_id
        };
        of.claims.iter().copied().partition(is_current)
    }

    /// Makes an implementation right that a linked account names, behind a step if there is one; answers
    /// the step after which it is. Claims that are not needed go after it.
    fn keep(
        &self,
        name: &str,
        implementation: &LinkedBeside,
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let text = self.claim_text(name);
        let (current, stale) = self.current_claims(&text, implementation);
        let condition = self.condition(&implementation.members);
        let mut last = self.make_right(name, condition, after, draft).or(after);
        last = self.refresh_claim(&text, &current, last, draft);
        self.clear_away(self.unneeded(stale), last, draft);
        last
    }

    /// What no account finds, and Home Assistant does not release since an account names its id,
    /// must be claimed under the present owner and key all the same; answers the last step.
    fn claim_what_stays(
        &self,
        unused: &[LinkedBeside],
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let mut last = None;
        for implementation in unused {
            let is_old = |at: &usize| {
                let ownership = self.index.ownership(*at);
                self.is_referenced_by_id(*at)
                    && self.index.get(*at).client_id == self.entry.client_id
                    && ownership.is_some_and(|ownership| ownership.mark != self.mark)
            };
            let Some(at) = implementation.members.iter().copied().find(is_old) else { continue };
            let wanted = self.wanted(&self.claim_text(self.index.get(at).implementation()));
            let others = self.claim_of_others(&wanted.auth_domain);
            let action = Action::Claim { wanted, old: Vec::new() };
            if let Some(why) = others {
                draft.withhold(action, why);
                continue;
            }
            last = Some(draft.step(action, self.renamed(at), last));
        }
        last
    }

    /// The mark is needed where no account names anything else, or where one names it; `claimed` is the
    /// step by which what stays is claimed. Answers the last step.
    fn decide_mark(
        &self,
        unused: &[LinkedBeside],
        claimed: Option<StepId>,
        is_linked: bool,
        is_blocked: bool,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let mark = self.mark_text();
        let claims = unused.iter().flat_map(|implementation| implementation.claims.iter().copied());
        // A claim can be chosen in Home Assistant as well.
        let chosen: BTreeSet<&str> = claims
            .map(|at| self.index.get(at).implementation())
            .filter(|text| self.is_own_claim(text) && self.index.is_used(&self.entry.domain, text))
            .collect();
        let is_linked = is_linked || !chosen.is_empty();
        let marks = self.with_text(self.owned, &mark);
        let members = unused.iter().flat_map(|implementation| implementation.members.iter());
        let mut spare: Vec<usize> = members.copied().collect();
        // A shadow goes before what it shadows.
        spare.sort_unstable_by_key(|at| (self.index.get(*at).auth_domain.is_none(), *at));
        let claims = unused.iter().flat_map(|implementation| implementation.claims.iter().copied());
        let mut claims: Vec<usize> = claims.collect();
        let mut last = if is_linked && !self.index.is_used(&self.entry.domain, &mark) {
            let all = marks.into_iter().chain(spare.iter().copied()).collect();
            self.clear_away(all, claimed, draft).or(claimed)
        } else if is_blocked && marks.is_empty() {
            self.drop_claims_of(&spare, &mut claims);
            None
        } else if let Some(why) = self.claim_of_mark(&mark) {
            draft.withhold(Action::Create { wanted: self.wanted(&mark) }, why);
            self.drop_claims_of(&spare, &mut claims);
            None
        } else if marks.is_empty() {
            let created = self.create_mark(&spare, is_linked, claimed, draft);
            if created.is_none() {
                self.drop_claims_of(&spare, &mut claims);
            }
            created
        } else {
            let condition = self.condition(&marks);
            let made = self.make_right(&mark, condition, claimed, draft).or(claimed);
            self.clear_away(spare.clone(), made, draft).or(made)
        };
        for text in chosen {
            let mut group = self.with_text(&claims, text);
            group.retain(|at| !self.covers_with_other_client(*at));
            last = self.refresh_claim(text, &group, last, draft);
        }
        self.clear_away(self.unneeded(claims), last, draft).or(last)
    }

    /// Leaves out the claims of what stays, and the claims of those.
    fn drop_claims_of(&self, stay: &[usize], claims: &mut Vec<usize>) {
        let mut stay: BTreeSet<usize> = stay.iter().copied().collect();
        let claims_one = |at: &usize, stay: &BTreeSet<usize>| {
            self.index.get(*at).claim().is_some_and(|claim| {
                let covered = self.index.implementing(&self.entry.domain, &claim.implementation);
                covered.iter().any(|at| stay.contains(at))
            })
        };
        // A claim of a claim is longer than that.
        claims.sort_by_key(|at| self.index.get(*at).implementation().len());
        claims.retain(|at| {
            let stays = claims_one(at, &stay);
            if stays {
                stay.insert(*at);
            }
            !stays
        });
    }

    fn withhold(&self, name: &str, of: &LinkedBeside, why: Why, draft: &mut PlanDraft<'_>) {
        let action = Action::Adopt {
            wanted: self.wanted(name),
            old: self.held(&of.members),
            how: Adoption::Shadow,
        };
        let owned: Vec<usize> =
            of.members.iter().copied().filter(|at| self.owned.contains(at)).collect();
        self.set_states(&owned, &CredentialState::Differs(self.entry.key.clone()), draft);
        draft.withhold(action, why);
    }
}
