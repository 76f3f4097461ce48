//! What a saved plan holds of the targets.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Comparison, TargetView};
use crate::model::{Key, Seal, TargetName};
use crate::plan::{Plan, Wanted};
use crate::plan_file::{PlanFile, SecretNotEncrypted, TargetPlan};

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
    /// A secret has nothing to stand for it.
    #[error(transparent)]
    Secret(#[from] SecretNotEncrypted),
}

/// What is planned for all targets.
///
/// # Errors
/// Where a target is not known, or a secret has nothing to stand for it.
pub fn planned(views: &[TargetView]) -> Result<PlanFile, NotSaved> {
    let mut planned = Vec::new();
    for view in views {
        let name = &view.name;
        match &view.comparison {
            Ok(Comparison { plan, .. }) => {
                planned.push(TargetPlan { name, plan, seals: secret_seals(view, plan) });
            }
            Err(why) => {
                return Err(NotSaved::Unknown { name: name.clone(), why: why.clone() });
            }
        }
    }
    Ok(PlanFile::of(&planned)?)
}

/// The digests of the ciphertexts of the secrets that a plan writes.
fn secret_seals(view: &TargetView, plan: &Plan) -> BTreeMap<Key, Seal> {
    let wanted = plan.steps.iter().filter_map(|step| step.action.wanted());
    let seal =
        |wanted: &Wanted| Some((wanted.key.clone(), view.seals(&wanted.key)?.client_secret?));
    wanted.filter_map(seal).collect()
}
