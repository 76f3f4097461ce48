//! What reasons and refusals are called, in prose and in JSON.

use crate::model::{FlowStep, Held};
use crate::plan::{Action, CredentialState, Reason, Unknowable};

use crate::reconcile::Outcome;

pub(super) use crate::plan::linked_accounts as accounts;

pub(super) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotObserved => "the target has none yet",
        Reason::SecretDiffers => "the client secret differs",
        Reason::SecretReencrypted => "the client secret was encrypted anew",
        Reason::ClientIdDiffers => "the client id differs: linked accounts will need consent again",
        Reason::NameDiffers => "the name differs",
        Reason::NotDesired => "no entry wants it any more",
        Reason::IntegrationDiffers => "its entry is for another integration now",
        Reason::Superseded => "a newer one of the same entry is there",
        Reason::AdoptionAsked => "made by hand, taken over as asked for",
        Reason::LetGo => "no linked account uses the one made by hand any more",
        Reason::Unclaimed => "it claimed what is gone now, or has another claim",
        Reason::Renamed => {
            "the entry had another key, or its owner another name: nothing needs consent again. `formerly` with the old key, or the old `key`, makes that explicit"
        }
        Reason::OldShadow => {
            "an older version of appcred shadowed it without writing whose it is: this writes it"
        }
        Reason::ReferencedById => {
            "a linked account names an id of this client, where Home Assistant finds no credential"
        }
        Reason::NotSetUp => "no account is linked with it",
        Reason::AccountDown => "the linked account does not run although its credential is right",
        Reason::ConsentLost => "Home Assistant asks for consent again",
        Reason::OnDeleteDiffers => "notes what `on_delete` says, for when the entry is gone",
        Reason::LeftOver => "nobody needs this set-up any more",
    }
}

pub(super) fn reason_code(reason: Reason) -> &'static str {
    match reason {
        Reason::NotObserved => "not_observed",
        Reason::SecretDiffers => "secret_differs",
        Reason::SecretReencrypted => "secret_encrypted_anew",
        Reason::ClientIdDiffers => "client_id_differs",
        Reason::NameDiffers => "name_differs",
        Reason::NotDesired => "not_desired",
        Reason::IntegrationDiffers => "integration_differs",
        Reason::Superseded => "superseded",
        Reason::AdoptionAsked => "adoption_asked",
        Reason::LetGo => "let_go",
        Reason::Unclaimed => "unclaimed",
        Reason::Renamed => "renamed",
        Reason::OldShadow => "old_shadow",
        Reason::ReferencedById => "referenced_by_id",
        Reason::NotSetUp => "not_set_up",
        Reason::ConsentLost => "consent_lost",
        Reason::AccountDown => "account_down",
        Reason::OnDeleteDiffers => "on_delete_differs",
        Reason::LeftOver => "left_over",
    }
}

/// `replace spotify "Family"`.
pub(super) fn headline(action: &Action) -> String {
    let verb = action.verb();
    match (action.entry(), action.outgoing().first()) {
        (Some(wanted), _) => format!("{verb} {} \"{}\"", wanted.domain, wanted.name),
        (None, Some(old)) => format!("{verb} {} \"{}\"", old.domain, name(old)),
        (None, None) => format!("{verb} {}", action.domain()),
    }
}

/// What HA shows.
pub(super) fn name(held: &Held) -> &str {
    held.name.as_deref().unwrap_or(held.client_id.as_str())
}

/// What a step came to, where it is not done.
pub(super) fn undone(outcome: &Outcome) -> Option<(&'static str, &str)> {
    match outcome {
        Outcome::Done => None,
        Outcome::Waits(FlowStep::Consent(_) | FlowStep::Progress(_)) => {
            Some(("waiting", "somebody must consent"))
        }
        Outcome::Waits(_) => {
            Some(("waiting", "the entry does not answer what Home Assistant asks"))
        }
        Outcome::Unfinished(why) => Some(("unfinished", why)),
        Outcome::Failed(why) => Some(("failed", why)),
        Outcome::NotBegun(why) => Some(("not done", why)),
    }
}

pub(super) fn outcome_code(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Waits(_) => "waiting",
        Outcome::Unfinished(_) => "unfinished",
        Outcome::Failed(_) => "failed",
        Outcome::NotBegun(_) => "not_begun",
    }
}

pub(super) fn state(state: &CredentialState) -> &'static str {
    match state {
        CredentialState::InSync(_) => "in sync",
        CredentialState::Drifted(_) => "drifted",
        CredentialState::Unknown(_) => "unknown",
        CredentialState::Shadowed(_) => "shadowed",
        CredentialState::Claim(_) => "claim",
        CredentialState::Superseded(_) => "superseded",
        CredentialState::Undeclared => "undeclared",
        CredentialState::OtherOwner(_) | CredentialState::Foreign => "foreign",
    }
}

/// What is not known of an entry, and how it could be.
pub(super) fn unknowable(what: Unknowable) -> (&'static str, &'static str) {
    match what {
        Unknowable::Secret => (
            "whether the target holds its client secret cannot be told without the key",
            "a snapshot tells it of entries that are age-encrypted and were in sync when it was taken",
        ),
        Unknowable::ClientId => (
            "its client id is not in the manifest in clear, and nothing is known of this ciphertext",
            "a client id is no secret: write it in clear, or take a new snapshot once it is applied",
        ),
    }
}

pub(super) fn unknowable_code(what: Unknowable) -> &'static str {
    match what {
        Unknowable::Secret => "secret_unknown",
        Unknowable::ClientId => "client_id_unknown",
    }
}
