//! Whether the credentials of one implementation are what their entry wants, and what it takes.

use crate::model::{Credential, SecretComparison};

use super::action::{Action, Adoption, CredentialState, Reason, StepId};
use super::case::EntryCase;
use super::draft::PlanDraft;

/// How far the credentials of one implementation are what the entry wants.
pub(super) enum Condition {
    /// There is none.
    Missing,
    /// The one in force is right; the others may go.
    Right { right: usize, spare: Vec<usize> },
    /// Whether the one in force is right cannot be known.
    Unknown,
    /// A new one is needed.
    Wrong { reasons: Vec<Reason>, free: Vec<usize>, referenced: Vec<usize> },
}

impl EntryCase<'_> {
    /// The one in force must be right, and alone but for what Home Assistant does not release.
    pub(super) fn condition(&self, group: &[usize]) -> Condition {
        let Some(in_force) = group.last() else { return Condition::Missing };
        let (referenced, free): (Vec<usize>, Vec<usize>) =
            group.iter().partition(|at| self.is_referenced_by_id(**at));
        let is_like = |at: &usize| self.differences(self.index.get(*at)).is_empty();
        let can_be_last = |at: &&usize| referenced.last().is_none_or(|last| last <= *at);
        let is_right = |at: &&usize| is_like(at) && !self.is_secret_unknown(**at);
        if let Some(right) = group.iter().rev().filter(can_be_last).find(is_right).copied() {
            let spare = group.iter().copied().filter(|at| *at != right).collect();
            return Condition::Right { right, spare };
        }
        let may_be_right = |at: &usize| is_like(at) && self.is_secret_unknown(*at);
        if group.iter().filter(can_be_last).any(may_be_right) {
            return Condition::Unknown;
        }
        let reasons = self.differences(self.index.get(*in_force));
        Condition::Wrong { reasons, free, referenced }
    }

    /// Makes an implementation right; answers the last step that this takes.
    pub(super) fn make_right(
        &self,
        name: &str,
        condition: Condition,
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        let key = || self.entry.key.clone();
        match condition {
            Condition::Missing => {
                let reload = self.index.users(&self.entry.domain, name);
                let action = Action::Create { wanted: self.wanted(name) };
                Some(draft.step_reloading(action, vec![Reason::NotObserved], reload, after))
            }
            Condition::Right { right, spare } => {
                draft.set_state(right, CredentialState::InSync(key()));
                let (referenced, free): (Vec<usize>, Vec<usize>) =
                    spare.into_iter().partition(|at| self.is_referenced_by_id(*at));
                self.set_states(&referenced, &CredentialState::Shadowed(key()), draft);
                let users = self.index.users(&self.entry.domain, name);
                self.clear_spare(right, free, &users, after, draft)
            }
            Condition::Unknown => {
                draft.secret_is_unknown(self.entry);
                self.set_states(&self.members(name), &CredentialState::Unknown(key()), draft);
                None
            }
            Condition::Wrong { reasons, free, referenced } => {
                if let Some(in_force) = self.members(name).last()
                    && self.is_secret_unknown(*in_force)
                {
                    draft.secret_is_unknown(self.entry);
                }
                let drifted = CredentialState::Differs(key());
                self.set_states(&free, &drifted, draft);
                self.set_states(&referenced, &drifted, draft);
                let reload = self.users_if_changed(name, &reasons);
                let wanted = self.wanted(name);
                let action = match free.is_empty() {
                    true => {
                        Action::Adopt { wanted, old: self.held(&referenced), how: Adoption::Shadow }
                    }
                    false => Action::Replace { wanted, old: self.held(&free) },
                };
                Some(draft.step_reloading(action, reasons, reload, after))
            }
        }
    }

    /// Has a claim hold what the entry wants: it can be chosen in Home Assistant as well.
    pub(super) fn refresh_claim(
        &self,
        text: &str,
        claims: &[usize],
        after: Option<StepId>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<StepId> {
        for at in claims {
            draft.set_state(*at, CredentialState::Claim(self.entry.key.clone()));
        }
        match self.condition(claims) {
            Condition::Missing | Condition::Unknown => after,
            Condition::Right { right, spare } => {
                let is_over = spare.iter().any(|at| *at > right);
                let users = is_over.then(|| self.index.users(&self.entry.domain, text));
                let users = users.unwrap_or_default();
                self.clear_spare(right, spare, &users, after, draft).or(after)
            }
            Condition::Wrong { reasons, free, .. } => {
                let action = Action::Claim { wanted: self.wanted(text), old: self.held(&free) };
                let others = self.claim_of_others(text);
                if let Some(why) = others.or_else(|| self.why_no_claim(text, claims)) {
                    draft.withhold(action, why);
                    return after;
                }
                let reload = self.users_if_changed(text, &reasons);
                Some(draft.step_reloading(action, reasons, reload, after))
            }
        }
    }

    fn is_secret_unknown(&self, at: usize) -> bool {
        let held = &self.index.get(at).client_secret;
        held.compare(&self.entry.client_secret) == SecretComparison::Unknown
    }

    /// The name of a credential made by hand is whatever somebody has typed.
    pub(super) fn differences(&self, held: &Credential) -> Vec<Reason> {
        let secret = held.client_secret.compare(&self.entry.client_secret);
        let is_other_name = held.name.as_ref() != Some(&self.entry.name_to_show());
        let checks = [
            (held.client_id != self.entry.client_id, Reason::ClientIdDiffers),
            (secret == SecretComparison::Different, Reason::SecretDiffers),
            (secret == SecretComparison::Reencrypted, Reason::SecretReencrypted),
            (is_other_name && held.auth_domain.is_some(), Reason::NameDiffers),
        ];
        checks.into_iter().filter(|(differs, _)| *differs).map(|(_, reason)| reason).collect()
    }
}
