//! What a saved plan holds of the targets.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Comparison, TargetView};
use crate::model::{Key, PolicyOverrides, Seal, TargetName};
use crate::plan::{Plan, Wanted};
use crate::plan_file::{PlanFile, SecretsNotEncrypted, TargetPlan};

/// Why a plan cannot be saved.
#[derive(Debug, Error)]
pub enum NotSaved {
    /// A target is not known.
    #[error("{name}: {why}")]
    Unknown {
        /// The target.
        name: TargetName,
        /// The reason.
        why: String,
    },
    /// Secrets have no digest.
    #[error(transparent)]
    Secret(#[from] SecretsNotEncrypted),
}

/// What is planned for all targets, and the arguments that shaped that.
///
/// # Errors
/// Where a target is not known, or secrets have no digest.
pub fn planned(views: &[TargetView], policy: &PolicyOverrides) -> Result<PlanFile, NotSaved> {
    let mut planned = Vec::new();
    for view in views {
        let (name, wave) = (&view.name, view.wave);
        match &view.comparison {
            Ok(Comparison { plan, .. }) => {
                planned.push(TargetPlan { name, wave, plan, seals: secret_seals(view, plan) });
            }
            Err(why) => {
                return Err(NotSaved::Unknown { name: name.clone(), why: why.clone() });
            }
        }
    }
    Ok(PlanFile::of(&planned, policy.arguments())?)
}

/// The digests of the ciphertexts of the secrets that a plan writes.
fn secret_seals(view: &TargetView, plan: &Plan) -> BTreeMap<Key, Seal> {
    let wanted = plan.steps.iter().filter_map(|step| step.action.created());
    let seal =
        |wanted: &Wanted| Some((wanted.key.clone(), view.seals(&wanted.key)?.client_secret?));
    wanted.filter_map(seal).collect()
}
