//! Which targets are changed in which wave, and what will stop that.

use std::collections::BTreeMap;

use super::TargetReport;
use super::names::Names;
use crate::model::{TargetProgress, UndoneWave, Wave, WhyUndone, counted};
use crate::status;

/// Which targets are changed in which wave; none where there are no waves, or nothing is to be changed.
pub(super) fn waves(targets: &[TargetReport<'_>]) -> Option<String> {
    let mut waves: BTreeMap<Wave, Names<'_>> = BTreeMap::new();
    let to_do = |target: &&TargetReport<'_>| target.plan.is_ok_and(|plan| !plan.steps.is_empty());
    for target in targets.iter().filter(to_do) {
        waves.entry(target.wave?).or_default().0.push(target.name);
    }
    let of =
        |(wave, names): (&Wave, &Names<'_>)| format!("{} of {}: {names}", wave.number, wave.of);
    let waves: Vec<String> = waves.iter().map(of).collect();
    (!waves.is_empty()).then(|| format!("Waves: {}.", waves.join("; ")))
}

/// The wave that will not be done by what is planned, so that those after it do not begin; none where all will be, or
/// nothing is to be changed in those after it.
pub(super) fn stop(targets: &[TargetReport<'_>]) -> Option<UndoneWave> {
    let mut waves: BTreeMap<Wave, Vec<_>> = BTreeMap::new();
    for target in targets {
        waves.entry(target.wave?).or_default().push((target.name, expected(target)));
    }
    let (wave, why) = waves.into_iter().find_map(|(wave, known)| {
        let why = WhyUndone::of(known.iter().map(|(name, progress)| (*name, progress)))?;
        Some((wave, why))
    })?;
    let is_left = |of: &TargetReport<'_>| {
        of.wave > Some(wave) && of.plan.is_ok_and(|plan| !plan.steps.is_empty())
    };
    targets.iter().any(is_left).then_some(UndoneWave { wave, why })
}

/// The same in words.
pub(super) fn stop_line(targets: &[TargetReport<'_>]) -> Option<String> {
    stop(targets).as_ref().map(will_stop)
}

pub(super) fn will_stop(stop: &UndoneWave) -> String {
    in_words(stop, "will not begin")
}

/// The same of a run that was stopped by it.
pub(super) fn left_line(undone: &UndoneWave) -> String {
    in_words(undone, "did not begin")
}

fn in_words(UndoneWave { wave, why }: &UndoneWave, what: &str) -> String {
    let why = match why {
        WhyUndone::Failed { target, why, count } => {
            let others = match count - 1 {
                0 => String::new(),
                others => {
                    format!("; {} in it also wait for a decision", counted(others, "other target"))
                }
            };
            format!("at `{target}`, {why}{others}")
        }
        why => why.to_string(),
    };
    format!("The waves after {wave} {what}: {why}.")
}

/// How far a target will be once its plan is carried out.
fn expected(target: &TargetReport<'_>) -> TargetProgress {
    let Ok(plan) = target.plan else { return TargetProgress::Unreachable };
    let place = |key: &_| target.entries.get(key).map(|places| &places.entry);
    status::undecided(plan, place).map_or(TargetProgress::Done, TargetProgress::Failed)
}
