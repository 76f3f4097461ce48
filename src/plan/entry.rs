//! What one entry needs.

use std::collections::BTreeSet;

use crate::model::{Credential, DesiredCredential, Held, Mark, Policy, Prune, SecretComparison};

use super::action::{Action, Adoption, CredentialState, Reason, Wanted};
use super::draft::Draft;
use super::index::Index;
use super::withheld::Why;

/// Everything that concerns one entry.
struct Case<'a> {
    entry: &'a DesiredCredential,
    mark: String,
    index: &'a Index<'a>,
    /// Shadows of this client, used or not.
    shadows: Vec<usize>,
    /// Those of this client that a person made.
    by_hand: Vec<usize>,
    adopt: bool,
}

pub(super) fn decide(
    entry: &DesiredCredential,
    mark: &Mark,
    policy: &Policy,
    index: &Index<'_>,
    draft: &mut Draft<'_>,
) {
    let of_client = index.of_client(&entry.domain, &entry.client_id);
    let case = Case {
        entry,
        mark: mark.to_string(),
        index,
        shadows: of_client.iter().copied().filter(|at| index.is_shadow(index.get(*at))).collect(),
        by_hand: of_client.iter().copied().filter(|at| index.is_by_hand(index.get(*at))).collect(),
        adopt: entry.adopt || policy.adopt_all || policy.prune == Prune::All,
    };
    let stood_for = case.stood_for();
    if stood_for.is_empty() {
        case.hold_by_mark(draft);
    } else {
        case.hold_by_shadow(&stood_for, draft);
    }
}

impl<'a> Case<'a> {
    /// The implementations made by hand, most of them ids, that linked accounts still name and that
    /// this entry stands for.
    fn stood_for(&self) -> BTreeSet<&'a str> {
        let shadowed =
            self.shadows.iter().filter_map(|at| self.index.get(*at).auth_domain.as_deref());
        let by_hand = self
            .by_hand
            .iter()
            .filter(|_| self.adopt)
            .map(|at| self.index.get(*at).implementation());
        shadowed.chain(by_hand).filter(|id| self.index.is_used(&self.entry.domain, id)).collect()
    }

    /// Linked accounts name credentials made by hand: each gets a right shadow.
    fn hold_by_shadow(&self, stood_for: &BTreeSet<&str>, draft: &mut Draft<'_>) {
        for id in stood_for {
            let group: Vec<usize> =
                self.of(&self.shadows, |credential| credential.auth_domain.as_deref() == Some(*id));
            let original = self.of(&self.by_hand, |credential| credential.implementation() == *id);
            let has_own_name = original.iter().any(|at| self.index.get(*at).auth_domain.is_some());
            if group.is_empty() && has_own_name {
                // Home Assistant lets go of what is named by an `auth_domain`.
                self.settle(id, &original, draft);
            } else if group.is_empty() {
                self.shadow_if_needed(id, &original, draft);
            } else {
                self.settle(id, &group, draft);
                self.stand(&original, &CredentialState::Shadowed(self.entry.key.clone()), draft);
            }
        }
        let marked = self.index.carrying(&self.entry.domain, &self.mark);
        if self.index.is_used(&self.entry.domain, &self.mark) {
            self.settle(&self.mark, marked, draft);
        } else {
            self.clear_away(marked, Reason::Superseded, draft);
        }
        self.clear_away(&self.spare(), Reason::Superseded, draft);
    }

    /// A credential made by hand, in use and without a shadow: right as it is, or to be shadowed.
    fn shadow_if_needed(&self, id: &str, original: &[usize], draft: &mut Draft<'_>) {
        let Some(at) = original.first() else { return };
        let old = self.index.get(*at);
        let reason = match old.client_secret.compare(&self.entry.client_secret) {
            SecretComparison::Same => {
                draft.stand(*at, CredentialState::InSync(self.entry.key.clone()));
                return;
            }
            SecretComparison::Unknown => {
                draft.stand(*at, CredentialState::Unknown(self.entry.key.clone()));
                draft.secret_is_unknown(self.entry);
                return;
            }
            SecretComparison::Different => Reason::SecretDiffers,
            SecretComparison::Reencrypted => Reason::SecretReencrypted,
        };
        draft.stand(*at, CredentialState::Drifted(self.entry.key.clone()));
        let action =
            Action::Adopt { wanted: self.wanted(id), old: vec![old.held()], how: Adoption::Shadow };
        let users = self.index.users(&self.entry.domain, id);
        draft.step(action, vec![reason], users);
    }

    /// The common case: the mark finds the credential.
    fn hold_by_mark(&self, draft: &mut Draft<'_>) {
        let marked = self.index.carrying(&self.entry.domain, &self.mark);
        let spare = self.spare();
        if !marked.is_empty() {
            self.settle(&self.mark, marked, draft);
            self.clear_away(&spare, Reason::Superseded, draft);
        } else if !spare.is_empty() {
            self.take_over(&spare, draft);
        } else if let Some(at) = self.by_hand.first() {
            let held = self.index.get(*at).held();
            draft.withhold(
                Action::Create { wanted: self.wanted(&self.mark) },
                Why::Foreign { held },
            );
        } else {
            draft.step(
                Action::Create { wanted: self.wanted(&self.mark) },
                vec![Reason::NotObserved],
                Vec::new(),
            );
        }
    }

    fn take_over(&self, spare: &[usize], draft: &mut Draft<'_>) {
        let was_shadowed = spare.iter().any(|at| self.shadows.contains(at));
        let reason = if was_shadowed { Reason::LetGo } else { Reason::AdoptionAsked };
        let old: Vec<Held> = spare.iter().map(|at| self.index.get(*at).held()).collect();
        self.stand(spare, &CredentialState::Drifted(self.entry.key.clone()), draft);
        let wanted = self.wanted(&self.mark);
        draft.step(
            Action::Adopt { wanted, old, how: Adoption::TakeOver },
            vec![reason],
            Vec::new(),
        );
    }

    /// One implementation of the entry: the one in force must be right, and alone but for what HA
    /// does not let go.
    fn settle(&self, auth_domain: &str, group: &[usize], draft: &mut Draft<'_>) {
        let (referenced_by_id, free): (Vec<usize>, Vec<usize>) =
            group.iter().partition(|at| self.is_referenced_by_id(**at));
        let last_referenced = referenced_by_id.last();
        let is_right = |at: &&usize| {
            self.differences(self.index.get(**at)).is_empty() && !self.is_secret_unknown(**at)
        };
        let can_be_last =
            |at: &&usize| last_referenced.is_none_or(|referenced_by_id| referenced_by_id <= *at);
        let users = self.index.users(&self.entry.domain, auth_domain);
        if let Some(right) = group.iter().rev().filter(can_be_last).find(is_right) {
            self.stand(
                &referenced_by_id,
                &CredentialState::Shadowed(self.entry.key.clone()),
                draft,
            );
            draft.stand(*right, CredentialState::InSync(self.entry.key.clone()));
            for at in free.iter().filter(|at| *at != right) {
                draft.clear_away(*at, &self.entry.key, Reason::Superseded, users.clone());
            }
            return;
        }
        let Some(in_force) = group.last() else { return };
        let reasons = self.differences(self.index.get(*in_force));
        let may_be_right = |at: &usize| {
            self.differences(self.index.get(*at)).is_empty() && self.is_secret_unknown(*at)
        };
        let is_open = group.iter().filter(can_be_last).any(may_be_right);
        if is_open || self.is_secret_unknown(*in_force) {
            draft.secret_is_unknown(self.entry);
        }
        if is_open {
            self.stand(group, &CredentialState::Unknown(self.entry.key.clone()), draft);
            return;
        }
        let reload = if reasons == [Reason::NameDiffers] { Vec::new() } else { users };
        self.stand(group, &CredentialState::Drifted(self.entry.key.clone()), draft);
        let wanted = self.wanted(auth_domain);
        let held = |group: &[usize]| group.iter().map(|at| self.index.get(*at).held()).collect();
        let action = if free.is_empty() {
            Action::Adopt { wanted, old: held(&referenced_by_id), how: Adoption::Shadow }
        } else {
            Action::Replace { wanted, old: held(&free) }
        };
        draft.step(action, reasons, reload);
    }

    fn is_referenced_by_id(&self, at: usize) -> bool {
        self.index.is_referenced_by_id(self.index.get(at))
    }

    fn is_secret_unknown(&self, at: usize) -> bool {
        let held = &self.index.get(at).client_secret;
        held.compare(&self.entry.client_secret) == SecretComparison::Unknown
    }

    fn differences(&self, held: &Credential) -> Vec<Reason> {
        let secret = held.client_secret.compare(&self.entry.client_secret);
        let checks = [
            (held.client_id != self.entry.client_id, Reason::ClientIdDiffers),
            (secret == SecretComparison::Different, Reason::SecretDiffers),
            (secret == SecretComparison::Reencrypted, Reason::SecretReencrypted),
            (held.name.as_deref() != Some(self.entry.name.as_str()), Reason::NameDiffers),
        ];
        checks.into_iter().filter(|(differs, _)| *differs).map(|(_, reason)| reason).collect()
    }

    /// Those made by hand that this entry may change: all where adoption is asked for, else those
    /// that it shadows already.
    fn adopted(&self) -> impl Iterator<Item = usize> {
        self.by_hand.iter().copied().filter(|at| {
            let id = self.index.get(*at).id.as_str();
            let shadows =
                |shadow: &usize| self.index.get(*shadow).auth_domain.as_deref() == Some(id);
            self.adopt || self.shadows.iter().any(shadows)
        })
    }

    /// What this entry may delete because no linked account names it: what was made by hand and is
    /// adopted, then shadows, since a shadow is what tells that its original is adopted.
    fn spare(&self) -> Vec<usize> {
        let all = self.shadows.iter().copied().chain(self.adopted());
        let mut spare: Vec<usize> = all
            .filter(|at| {
                !self.index.is_used(&self.entry.domain, self.index.get(*at).implementation())
            })
            .collect();
        spare.sort_unstable_by_key(|at| (self.shadows.contains(at), *at));
        spare
    }

    fn clear_away(&self, group: &[usize], reason: Reason, draft: &mut Draft<'_>) {
        for at in group {
            if self.is_referenced_by_id(*at) {
                draft.stand(*at, CredentialState::Superseded(self.entry.key.clone()));
            } else {
                draft.clear_away(*at, &self.entry.key, reason, Vec::new());
            }
        }
    }

    fn stand(&self, group: &[usize], state: &CredentialState, draft: &mut Draft<'_>) {
        for at in group {
            draft.stand(*at, state.clone());
        }
    }

    fn of(&self, group: &[usize], is_meant: impl Fn(&Credential) -> bool) -> Vec<usize> {
        group.iter().copied().filter(|at| is_meant(self.index.get(*at))).collect()
    }

    fn wanted(&self, auth_domain: &str) -> Wanted {
        Wanted::of(self.entry, auth_domain.into())
    }
}
