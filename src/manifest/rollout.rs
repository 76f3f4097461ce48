//! The waves in which targets are changed.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::decode::{Amount, Decoder, Site, amount};
use super::project::Project;
use super::schema::LabelValuesInput;
use super::targets::TargetChoice;
use crate::diagnostic::{Diagnostic, ProblemCode};
use crate::field::{Field, FieldRefusal, Interval, Pairs, Raw, Text};
use crate::model::{Rollout, TargetName};
use crate::yaml::Node;

/// The order in which targets are changed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "`rollout`", deny_unknown_fields)]
#[schemars(rename = "RolloutInput")]
pub(super) struct RolloutInput {
    /// The waves. Each begins once those before it are done; targets in no wave form the last one.
    #[schemars(length(min = 1))]
    pub(super) waves: Field<Raw<Vec<WaveInput>>>,
    /// How long the waves before one must have been done before it begins, as in `30s`, `10m` or `2h`. Default: `0s`,
    /// at once.
    pub(super) pause: Option<Field<Text<Interval>>>,
}

/// Targets that are changed together. A target is in the first wave that takes it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a wave", deny_unknown_fields)]
#[schemars(rename = "WaveInput")]
pub(super) struct WaveInput {
    /// The value that each of these labels must have, or several of which it must have one, as in `{ring: canary}`.
    /// Default: any target.
    #[schemars(length(min = 1))]
    pub(super) r#match: Option<Field<Pairs<Raw<LabelValuesInput>>>>,
    /// How many of these targets, the first by their names that are not suspended, as in `3`, or `10%` of all targets.
    /// Default: all of them.
    pub(super) max: Option<Field<Raw<WaveSizeInput>>>,
}

/// How many targets a wave may have.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum WaveSizeInput {
    /// So many.
    Count(#[schemars(range(min = 1))] usize),
    /// So many percent of all targets, rounded up.
    Percent(#[schemars(regex(pattern = "^(100|[1-9][0-9]?)%$"))] String),
}
const LAST: &str = "the targets that no wave takes are the last wave in any case";

impl<'n> Decoder<'n> {
    /// The waves, once all targets of the project are known.
    pub(super) fn rollout(&self, input: RolloutInput, project: &Project) -> Rollout {
        let pause = input.pause.and_then(|pause| self.text(pause));
        let pause = pause.map_or(SignedDuration::ZERO, |pause| pause.value.0);
        let mut rollout = Rollout { pause, ..Rollout::default() };
        let Some(list) = self.raw(&input.waves) else { return rollout };
        let mut left: BTreeSet<TargetName> = project.target_spots.keys().cloned().collect();
        let items: Vec<Site<'n>> = match list.list() {
            Ok(items) => items.collect(),
            Err(refusal) => {
                self.refuse(list, refusal);
                return rollout;
            }
        };
        if items.is_empty() {
            let refusal =
                FieldRefusal::new(ProblemCode::BadValue, "is empty, so there are no waves");
            let help = "leave `rollout` out if all targets are to be changed at once";
            self.refuse(list, refusal.help(help));
        }
        for item in items {
            let Some(wave) = self.wave(item, project, &left) else { continue };
            left.retain(|name| !wave.contains(name));
            rollout.waves.push(wave);
        }
        if !left.is_empty() {
            rollout.waves.push(left);
        }
        rollout
    }

    /// The targets of a wave, of those that are left.
    fn wave(
        &self,
        site: Site<'n>,
        project: &Project,
        left: &BTreeSet<TargetName>,
    ) -> Option<BTreeSet<TargetName>> {
        let WaveInput { r#match, max } = self.read(site)?;
        if r#match.is_none() && max.is_none() {
            let why = "has neither `match` nor `max`, so it would be all targets that are left";
            self.refuse(
                site,
                FieldRefusal::new(ProblemCode::BadValue, why).of("a wave").help(LAST),
            );
            return None;
        }
        let choice = TargetChoice { decoder: self, project };
        let mut wave = match r#match {
            Some(labels) => choice.matching(labels, LAST)?.0,
            None => left.clone(),
        };
        wave.retain(|name| left.contains(name));
        let max = match max {
            Some(max) => {
                // Nothing is changed at a suspended one, which would show nobody what a change does.
                let is_changed = |name: &TargetName| !project.suspended.contains_key(name);
                if wave.iter().any(is_changed) {
                    wave.retain(is_changed);
                }
                let max = self.raw(&max)?;
                self.accept(max, size(max.node, project.target_spots.len()))?.value
            }
            None => wave.len(),
        };
        if wave.is_empty() && project.knows_targets() && project.unread_labels.is_empty() {
            let why = "has no target: all that it could take are in the waves before it";
            let help = "remove it, or put it before those waves";
            self.refuse(
                site,
                FieldRefusal::new(ProblemCode::NoTarget, why).of("this wave").help(help),
            );
            return None;
        }
        let wave: BTreeSet<TargetName> = wave.into_iter().take(max).collect();
        if !wave.is_empty() && wave.iter().all(|name| project.suspended.contains_key(name)) {
            let message =
                "all targets of this wave are suspended, so the next one begins without it";
            let problem = Diagnostic::warning(ProblemCode::SuspendedTarget, message);
            let help = "remove `suspend: true` from one of them, or add a target to the wave";
            self.report(problem.at(self.file, site.span()).help(help));
        }
        Some(wave)
    }
}

/// How many targets a wave may have, of so many in all.
fn size(node: &Node<'_>, all: usize) -> Result<usize, FieldRefusal> {
    let untagged = Some(node).filter(|node| node.tag.is_none());
    let size = untagged.and_then(amount).map(|amount| match amount {
        Amount::Count(count) => count,
        Amount::Percent(percent) => (all.max(1) * usize::from(percent)).div_ceil(100),
    });
    size.filter(|size| *size > 0).ok_or_else(|| {
        FieldRefusal::new(ProblemCode::BadLimit, "must be a number from 1 on, or 1% to 100%")
            .help("write `3` without quotes, or `10%` of all targets; leave it out for all that `match` takes")
    })
}
