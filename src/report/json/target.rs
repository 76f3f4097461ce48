//! A target, and what is said of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Labels;
use crate::plan::Plan;
use crate::report::TargetReport;

/// One target.
#[derive(Serialize, JsonSchema)]
pub(super) struct ReportedTarget<T> {
    /// Its name in the project file.
    name: String,
    /// Its labels in the project file.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    labels: Labels,
    /// Its address or folder.
    address: String,
    /// What was looked at instead of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<String>,
    /// The number of the wave in which it is changed, from 1 on; left out where all targets are changed at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<usize>,
    /// The version of Home Assistant there, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    home_assistant_version: Option<String>,
    /// The redirect URI that must be registered with providers, where Home Assistant runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_uri: Option<String>,
    /// The set-ups that a run would begin, where a snapshot was looked at: it has none that is in progress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expected_set_ups: Vec<String>,
    #[serde(flatten)]
    content: ReportedContent<T>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ReportedContent<T> {
    Known(T),
    Unknown {
        /// Why nothing is known of it.
        error: String,
    },
}

pub(super) fn target_reports<'a, T>(
    targets: &'a [TargetReport<'a>],
    content: impl Fn(&'a TargetReport<'a>, &'a Plan) -> T,
) -> Vec<ReportedTarget<T>> {
    targets
        .iter()
        .map(|target| ReportedTarget {
            name: target.name.to_string(),
            labels: target.labels.clone(),
            address: target.address.to_owned(),
            basis: target.basis.map(str::to_owned),
            wave: target.wave.map(|wave| wave.number),
            home_assistant_version: target.version.map(str::to_owned),
            redirect_uri: target.redirect_uri.map(str::to_owned),
            expected_set_ups: target.expected_set_ups.iter().map(ToString::to_string).collect(),
            content: match target.plan {
                Ok(plan) => ReportedContent::Known(content(target, plan)),
                Err(why) => ReportedContent::Unknown { error: why.to_owned() },
            },
        })
        .collect()
}
