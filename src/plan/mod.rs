//! What to do so that a target holds what Git wants: a pure function of both sides.
//!
//! A credential is an owner's only where that is written at the target: in its mark
//! (`appcred:<owner>:<key>` as its `auth_domain`) or in a *claim* beside it.
//!
//! Where a person had made the credential by hand and an account is linked through it, HA lets
//! nobody delete it; it is *shadowed* instead: a second credential whose `auth_domain` is the first
//! one's id takes its place in HA's look-up. A linked account may also name an earlier mark, of an
//! entry or an owner that was renamed. So an entry may be held under several *implementations*, and
//! each that a linked account uses must be right. For each but the mark a claim is written first,
//! and it goes last.

mod accounts;
mod action;
mod case;
mod codes;
mod condition;
mod context;
mod creation;
mod draft;
mod entry;
mod guard;
mod help;
mod import;
mod index;
mod kept;
mod left_out;
mod lost;
mod others;
mod owned_only;
mod ownership;
mod reason;
mod reload;
mod reused_key;
mod reused_name;
mod same;
mod secret_comparison;
mod selected;
mod set_up;
mod state;
mod summary;
mod trouble;
mod undeclared;
mod unread;
mod why_text;
mod withheld;

#[cfg(test)]
mod tests;

pub use accounts::linked_account;
pub use action::{
    Action, Adoption, ComparedCredential, CredentialState, EntrySetup, Plan, Reason, SetupState,
    Step, StepId, UndeclaredAccount, Wanted,
};
pub use state::{Unknowable, Unknown};
pub use why_text::linked_accounts;
pub use withheld::{Why, Withheld};

pub use import::{ImportPlan, Imported, Scope, import};
pub use left_out::{LeftOut, WhyLeftOut};
pub use secret_comparison::found_same;
pub use trouble::Trouble;

use crate::model::{Desired, Observed, Policy, Prune};

use context::PlanContext;
use draft::{PlanDraft, WholePlan};

/// Decides everything that is to be done, and everything that is not, each with its reason.
///
/// Where the policy selects some entries, all is planned first and the rest is left out then: owners,
/// claims, renames and the limits of deletes are those of the whole.
///
/// The result does not depend on the order of the entries. Guarantees: nothing is deleted before
/// what replaces it exists; nothing without this owner's mark or claim is touched unless its
/// adoption or `prune: all` was asked for; nothing protected is deleted or replaced, and no suspended entry
/// is in a step; nothing that a linked account uses, or may use as it could
/// not be read, is deleted.
pub fn plan(desired: &Desired, observed: &Observed, policy: &Policy) -> Plan {
    let context = PlanContext::new(desired, observed, policy);
    let whole_plan = whole(&context);
    let mut plan = if policy.selection.is_whole() {
        whole_plan.into_plan()
    } else {
        let unpruned = Policy { prune: Prune::Managed, ..policy.clone() };
        let unpruned = || whole(&PlanContext::new(desired, observed, &unpruned)).into_plan();
        selected::keep(&context, unpruned, whole_plan)
    };
    unread::keep(observed, &mut plan);
    owned_only::keep(&context, &mut plan);
    guard::stop(&mut plan);
    plan
}

fn whole(context: &PlanContext<'_>) -> WholePlan {
    let PlanContext { desired, live, .. } = context;
    let mut draft = PlanDraft::new(&context.index);
    for (number, entry) in context.entries.iter().enumerate() {
        entry::decide(entry, number, context, &mut draft);
    }
    for entry in &context.of_unknown_integrations {
        draft.withhold_unknown(entry, &desired.mark(&entry.key));
    }
    for entry in &desired.unidentified {
        draft.leave_unidentified(entry, &desired.mark(&entry.key));
    }
    if let Some(live) = live {
        set_up::decide(live, context, &mut draft);
        reload::decide(live, context, &mut draft);
    }
    undeclared::decide(context, &mut draft);
    guard::decide(context, &mut draft);
    let mut plan = draft.finish();
    kept::keep(context, &mut plan);
    reused_name::keep(context, &mut plan);
    plan
}
