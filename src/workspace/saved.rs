//! What a saved plan holds of the targets.

use std::collections::BTreeMap;

use thiserror::Error;

use super::TargetView;
use crate::model::{Key, Seal, TargetName};
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
        let (name, seals) = (&view.name, secret_seals(view));
        match &view.comparison {
            Ok(comparison) => planned.push(TargetPlan { name, plan: &comparison.plan, seals }),
            Err(why) => {
                return Err(NotSaved::Unknown { name: name.clone(), why: why.clone() });
            }
        }
    }
    Ok(PlanFile::of(&planned)?)
}

/// The digests of the ciphertexts of a target's secrets.
fn secret_seals(view: &TargetView) -> BTreeMap<Key, Seal> {
    let seal = |key: &Key| Some((key.clone(), view.seals(key)?.client_secret?));
    view.entries.keys().filter_map(seal).collect()
}
