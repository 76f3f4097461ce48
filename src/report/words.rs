//! Reasons and states, as people read them.

use std::fmt;

use crate::model::{ConfigEntry, EntryState};
use crate::plan::{Reason, Unknowable};
use crate::reconcile::Outcome;

pub(super) use crate::plan::linked_accounts as accounts;

pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotObserved => "the target has none yet",
        Reason::NothingToAdopt => {
            "the target has none of this client, so `adopt` takes nothing over: a linked account goes on with another one of the integration, which nobody manages"
        }
        Reason::DeletedThere => "somebody has deleted it at the target",
        Reason::BesideOtherOwner => {
            "the target's credential for this client belongs to another owner: this one is created beside it"
        }
        Reason::BesidePreviousOwner => {
            "the target's credential with a key of this entry and an owner that `previous_owners` names is of another client, and stays: if no other project has it, delete it in Home Assistant"
        }
        Reason::SecretDiffers => "the client secret differs",
        Reason::SecretReencrypted => "the client secret was encrypted again",
        Reason::ClientIdDiffers => "the client id differs: linked accounts need consent again",
        Reason::NameDiffers => "the name differs",
        Reason::NotDesired => "no entry declares it",
        Reason::NotForTarget => "its entry is for other targets",
        Reason::IntegrationDiffers => "its entry is now for another integration",
        Reason::Superseded => "a newer one of the same entry exists",
        Reason::TakenBack => "it is in force, but the entry wants the earlier one",
        Reason::AdoptionAsked => "made by hand, and to be taken over",
        Reason::LetGo => "no linked account uses the earlier one now",
        Reason::Unclaimed => "what it claimed is gone or has another claim",
        Reason::Renamed => "the entry had another key",
        Reason::OwnerRenamed => "its owner had another name",
        Reason::TakenForRenamed => {
            "taken for the same entry under a new key, since the client is the same: `formerly` with the old key, or the old `key`, makes that explicit"
        }
        Reason::OldShadow => {
            "another credential of this client and secret shadows it, and no claim says whose that is: this records it"
        }
        Reason::ReferencedById => {
            "a linked account names an id of this client, where Home Assistant finds no credential"
        }
        Reason::NotSetUp => "no account is linked with it",
        Reason::PerhapsLinked => {
            "a linked account of the integration does not find its credential: if it was this one, the account runs again once that is created, and nothing is set up"
        }
        Reason::AccountNotLinked => {
            "this account is not linked yet: somebody must consent with it at the provider"
        }
        Reason::AccountNotNoted => {
            "this account has the name as its title: records that, for when the title changes"
        }
        Reason::AccountUndeclared => "the entry no longer names this account",
        Reason::UnnamedAccountDown => {
            "this account does not run, and the entry does not name it: it is reloaded once, and may stay so"
        }
        Reason::AccountDown => "the linked account does not run although its credential is right",
        Reason::ConsentLost => "Home Assistant asks for consent again",
        Reason::OnDeleteDiffers => "records `on_delete` of the entry, for when it is removed",
        Reason::LeftOver => {
            "its entry or credential has changed since it was started, or is linked by now"
        }
    }
}

/// Which accounts a step reloads; none where Home Assistant does not run.
pub(super) fn reloads(of_step: &[ConfigEntry]) -> Option<String> {
    let is_loaded = |account: &&ConfigEntry| account.state != EntryState::AtRest;
    let reloaded: Vec<ConfigEntry> = of_step.iter().filter(is_loaded).cloned().collect();
    (!reloaded.is_empty()).then(|| format!("reloads {}", accounts(&reloaded)))
}

/// Why a step is not done.
pub(super) fn undone(outcome: &Outcome) -> Option<Undone<'_>> {
    let (word, why) = match outcome {
        Outcome::Done => return None,
        Outcome::Waits(step) => (step.awaits(), None),
        Outcome::Unfinished(why) => ("unfinished", Some(why)),
        Outcome::Failed(why) | Outcome::Denied(why) => ("failed", Some(why)),
        Outcome::NotBegun(why) => ("skipped", Some(why)),
    };
    Some(Undone { word, why: why.map(String::as_str) })
}

/// Why a step is not done: in a word, and the reason where the word does not say it.
pub(super) struct Undone<'a> {
    pub(super) word: &'static str,
    pub(super) why: Option<&'a str>,
}

impl fmt::Display for Undone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        self.why.map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// What is not known of an entry, and how it could be.
pub(super) fn unknowable(what: Unknowable) -> (&'static str, &'static str) {
    match what {
        Unknowable::Secret => (
            "whether the target has this client secret cannot be determined without the key",
            "a snapshot shows it for entries that are age-encrypted and were in sync when the snapshot was taken",
        ),
        Unknowable::ClientId => (
            "its client id is not in plain text in the manifest, and the snapshot has no record of it",
            "a client id is not a secret: write it in plain text, or take a new snapshot after it is applied",
        ),
    }
}
