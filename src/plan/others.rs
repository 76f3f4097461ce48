//! What belongs to others, and so keeps an entry from something.

use std::collections::BTreeSet;

use crate::model::{Adopt, Claim, Mark};

use super::case::EntryCase;
use super::guard;
use super::ownership::OwnedBy;
use super::withheld::Why;

impl EntryCase<'_> {
    /// Who else has claimed an implementation for this client. Another entry of this owner gives up
    /// what it has claimed for a client that is not its own any more, as far as Home Assistant lets it.
    pub(super) fn claim_of_others(&self, implementation: &str) -> Option<Why> {
        let EntryCase { entry, index, .. } = self;
        let claims = index.claims(&entry.domain, implementation, &entry.client_id);
        let by = claims.clone().flat_map(|at| index.owned_by(at).marks());
        let marks: BTreeSet<Mark> = by.cloned().collect();
        if let Some(by) = marks.iter().find(|mark| !self.is_ours(mark)).cloned() {
            let is_disputed = marks.iter().any(|mark| self.is_ours(mark));
            return Some(if is_disputed {
                Why::Disputed { by: marks }
            } else {
                Why::OtherOwner { by }
            });
        }
        let is_given_up = |at: usize| {
            self.context.assignment.client_of(at).is_some_and(|client| {
                // Where an account names the claim, it is replaced, unless that is another owner's.
                let text = index.get(at).implementation();
                let mut replaced = index.claims(&entry.domain, text, client);
                let is_ours = |at| index.owned_by(at).marks().all(|of| self.is_ours(of));
                !self.is_referenced_by_id(at)
                    && (!index.is_used(&entry.domain, text) || replaced.all(is_ours))
            })
        };
        if claims.clone().any(|at| self.owned.contains(&at)) {
            return None;
        }
        let kept = claims.clone().find(|at| !is_given_up(*at))?;
        Some(self.why_marked(&index.ownership(kept)?.mark))
    }

    /// A credential of this client that a claim of the implementation would cover, though it is
    /// somebody else's and nobody asked for its adoption.
    fn not_ours_to_claim(&self, implementation: &str) -> Option<usize> {
        let members = self.index.implementing(&self.entry.domain, implementation).iter();
        let is_others = |at: &usize| {
            let is_asked_for = self.adopted().contains(at)
                || self.index.is_nobodys(*at) && self.old_shadows.contains(implementation);
            // What `prune: all` deletes is in nobody's way, unless it stays for now.
            let is_pruned = self.index.is_nobodys(*at)
                && !self.by_hand.contains(at)
                && guard::unread(self.context, &self.entry.domain).is_none();
            self.index.get(*at).client_id == self.entry.client_id
                && !self.owned.contains(at)
                && !is_asked_for
                && !is_pruned
                && !self.is_released(*at)
        };
        members.copied().find(is_others)
    }

    /// Whether another entry of this owner deletes or replaces it anyway: it is for a client that is not that
    /// entry's any more, and no account uses it.
    fn is_released(&self, at: usize) -> bool {
        let client = self.context.assignment.client_of(at);
        let is_of_other = client.is_some_and(|client| *client != self.index.get(at).client_id);
        is_of_other && !self.index.is_in_use(at)
    }

    /// What is somebody else's and would be changed if what an account names were made right.
    pub(super) fn in_the_way(&self, name: &str, members: &[usize]) -> Option<usize> {
        let in_force = self.index.implementing(&self.entry.domain, name).last().copied();
        in_force
            .filter(|in_force| !members.contains(in_force))
            .or_else(|| self.not_ours_to_claim(name))
            .or_else(|| self.newly_claimed(name, members))
    }

    /// Why what an account names is not claimed and kept: another owner has claimed its claim, or what it would claim
    /// itself where it has the form of a claim.
    pub(super) fn why_not_kept(&self, name: &str, members: &[usize]) -> Option<Why> {
        let others = self.claim_of_others(&self.claim_text(name));
        others.or_else(|| self.newly_disputed(name, members))
    }

    /// Why a claim is not written with the client that the entry wants, beside `claims` with the same text.
    pub(super) fn why_no_claim(&self, text: &str, claims: &[usize]) -> Option<Why> {
        let foreign = self.newly_claimed(text, claims).map(|at| self.why_foreign(at));
        foreign.or_else(|| self.newly_disputed(text, claims))
    }

    /// Who has claimed for the client that the entry wants what its claim gets as well: writing it
    /// would begin a dispute.
    fn newly_disputed(&self, text: &str, claims: &[usize]) -> Option<Why> {
        let is_same = |at: &usize| self.index.get(*at).client_id == self.entry.client_id;
        let claim = Claim::parse(text).filter(|_| !claims.iter().any(is_same))?;
        self.claim_of_others(&claim.implementation)
    }

    /// What is not the entry's and would be, since a claim gets the client that the entry wants. For
    /// the same client a claim covers nothing that it does not cover now.
    fn newly_claimed(&self, text: &str, claims: &[usize]) -> Option<usize> {
        let is_same = |at: &usize| self.index.get(*at).client_id == self.entry.client_id;
        let claim = Claim::parse(text).filter(|_| !claims.iter().any(is_same))?;
        self.not_ours_to_claim(&claim.implementation)
    }

    /// Who keeps the entry from its mark: whoever has claimed it, or another entry of this owner that
    /// had this key and whose account names the mark since then.
    pub(super) fn claim_of_mark(&self, mark: &str) -> Option<Why> {
        let EntryCase { entry, index, .. } = self;
        let in_use = index.implementing(&entry.domain, mark).last();
        let in_use = in_use.filter(|_| index.is_used(&entry.domain, mark));
        let others = in_use.filter(|at| !self.owned.contains(at));
        let others = others.copied().or_else(|| self.claim_of_lost_mark(mark));
        self.claim_of_others(mark).or_else(|| Some(self.why_foreign(others?)))
    }

    /// Another entry's or owner's claim of a mark that accounts name and no credential has: for that
    /// one it is created again, and the accounts are of its client.
    fn claim_of_lost_mark(&self, mark: &str) -> Option<usize> {
        let EntryCase { entry, index, .. } = self;
        if !index.is_used(&entry.domain, mark)
            || !index.implementing(&entry.domain, mark).is_empty()
        {
            return None;
        }
        let is_of_other = |at: &usize| match self.context.assignment.entry_of(*at) {
            Some(number) => number != self.number,
            None => index.owned_by(*at).marks().any(|mark| !self.is_ours(mark)),
        };
        index.all_claims(&entry.domain, mark).iter().copied().find(is_of_other)
    }

    fn why_marked(&self, by: &Mark) -> Why {
        match by.owner == self.mark.owner {
            true => Why::OtherEntry { key: by.key.clone() },
            false => Why::OtherOwner { by: by.clone() },
        }
    }

    pub(super) fn why_foreign(&self, at: usize) -> Why {
        match self.index.owned_by(at) {
            OwnedBy::One(ownership) => self.why_marked(&ownership.mark),
            OwnedBy::Several(by) => Why::Disputed { by: by.clone() },
            OwnedBy::Nobody => self.why_by_hand(at),
            OwnedBy::Unreadable => Why::UnreadableMark { held: self.index.get(at).held() },
        }
    }

    /// Why what somebody made by hand is left alone.
    pub(super) fn why_by_hand(&self, at: usize) -> Why {
        let held = self.index.get(at).held();
        let asked = match &self.entry.adopt {
            Adopt::Id(id) if *id != held.id => Some(id.clone()),
            _ => None,
        };
        Why::Foreign { held, asked }
    }
}
