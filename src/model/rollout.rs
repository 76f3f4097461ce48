//! In which order targets are changed: in waves, each once those before it are done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;

use super::{TargetName, counted};

/// In which order targets are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The targets of each wave; all are changed at once where there is none.
    pub waves: Vec<BTreeSet<TargetName>>,
    /// How long waves must have been done before the next one begins.
    pub pause: SignedDuration,
}

/// One of the waves of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wave {
    /// Its number, from 1 on.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wave {} of {}", self.number, self.of)
    }
}

/// How far a target is in a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetProgress {
    /// It was not looked at since what it should hold has changed.
    Unknown,
    /// It is as wanted, as far as that needs no consent.
    Done,
    /// Something is to be changed there later.
    Waits,
    /// Something went wrong there.
    Failed(String),
    /// It cannot be reached.
    Unreachable,
}

/// The first wave that is not done, so that those after it do not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneWave {
    /// The wave.
    pub wave: Wave,
    /// Why.
    pub why: WhyUndone,
}

/// Why a wave is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyUndone {
    /// Something went wrong.
    Failed {
        /// At this target first.
        target: TargetName,
        /// What.
        why: String,
        /// At so many in all.
        count: usize,
    },
    /// So many targets are not as wanted yet.
    NotYet(usize),
    /// None of its targets can be reached.
    Unreached,
}

impl Rollout {
    /// The wave of a target; none where all targets are changed at once.
    pub fn wave_of(&self, target: &TargetName) -> Option<Wave> {
        let at = self.waves.iter().position(|wave| wave.contains(target))?;
        Some(Wave { number: at + 1, of: self.waves.len() })
    }

    /// Each wave, with why it is not done. Targets of which nothing is said are part of none.
    pub fn judged(
        &self,
        progress: &BTreeMap<TargetName, TargetProgress>,
    ) -> impl Iterator<Item = (Wave, Option<WhyUndone>)> {
        let of = self.waves.len();
        self.waves.iter().zip(1..).map(move |(names, number)| {
            let known = names.iter().filter_map(|name| Some((name, progress.get(name)?)));
            (Wave { number, of }, WhyUndone::of(known))
        })
    }

    /// The first wave that is not done.
    pub fn first_undone(
        &self,
        progress: &BTreeMap<TargetName, TargetProgress>,
    ) -> Option<UndoneWave> {
        self.judged(progress).find_map(|(wave, why)| Some(UndoneWave { wave, why: why? }))
    }
}

impl UndoneWave {
    /// The same without what went wrong, as in "wave 1 is not done: `cabin` has failed".
    pub fn in_short(&self) -> String {
        let number = self.wave.number;
        match &self.why {
            WhyUndone::NotYet(_) => format!("wave {number} is not done yet"),
            why => format!("wave {number} is not done: {}", why.in_short()),
        }
    }
}

impl WhyUndone {
    /// Why a wave of these targets is not done. One that cannot be reached keeps it from being done only where that is so
    /// of all.
    pub fn of<'a>(
        known: impl Iterator<Item = (&'a TargetName, &'a TargetProgress)> + Clone,
    ) -> Option<Self> {
        let mut failed = known.clone().filter_map(|(name, progress)| match progress {
            TargetProgress::Failed(why) => Some((name, why)),
            _ => None,
        });
        if let Some((target, why)) = failed.next() {
            let (target, why) = (target.clone(), why.clone());
            return Some(Self::Failed { target, why, count: 1 + failed.count() });
        }
        let is_open = |progress: &TargetProgress| {
            matches!(progress, TargetProgress::Unknown | TargetProgress::Waits)
        };
        let open = known.clone().filter(|(_, progress)| is_open(progress)).count();
        let is_any_done = known.clone().any(|(_, progress)| *progress == TargetProgress::Done);
        let is_empty = known.count() == 0;
        match open {
            0 if is_any_done || is_empty => None,
            0 => Some(Self::Unreached),
            open => Some(Self::NotYet(open)),
        }
    }

    /// Whether somebody has to do something before the waves after it begin.
    pub fn is_stop(&self) -> bool {
        !matches!(self, Self::NotYet(_))
    }

    fn in_short(&self) -> String {
        match self {
            Self::Failed { target, count: 1, .. } => format!("`{target}` has failed"),
            Self::Failed { target, count, .. } => {
                format!("`{target}` and {} have failed", counted(count - 1, "other target"))
            }
            Self::NotYet(1) => "1 target is not as wanted yet".to_owned(),
            Self::NotYet(count) => format!("{count} targets are not as wanted yet"),
            Self::Unreached => "none of its targets can be reached".to_owned(),
        }
    }
}

impl fmt::Display for WhyUndone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_short())?;
        match self {
            Self::Failed { why, .. } => write!(f, ": {why}"),
            Self::NotYet(_) | Self::Unreached => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Rollout, TargetProgress, WhyUndone};
    use crate::model::TargetName;

    fn names(names: &[&str]) -> BTreeSet<TargetName> {
        names.iter().map(|name| TargetName::new(*name)).collect()
    }

    /// Waves of `a` and `b`, of `c`, and of the rest; with how far the targets are, the first that is not done.
    fn undone(progress: &[(&str, TargetProgress)]) -> Option<(usize, WhyUndone)> {
        let waves = vec![names(&["a", "b"]), names(&["c"]), names(&["d", "e"])];
        let progress: BTreeMap<_, _> = progress
            .iter()
            .map(|(name, progress)| (TargetName::new(*name), progress.clone()))
            .collect();
        let undone = Rollout { waves, ..Rollout::default() }.first_undone(&progress)?;
        Some((undone.wave.number, undone.why))
    }

    #[test]
    fn a_wave_is_done_when_its_targets_are_and_those_that_cannot_be_reached_are_left_out() {
        use TargetProgress::{Done, Unknown, Unreachable, Waits};
        assert_eq!(undone(&[]), None);
        let all = |a, b, c, d, e| undone(&[("a", a), ("b", b), ("c", c), ("d", d), ("e", e)]);
        assert_eq!(all(Done, Done, Done, Done, Done), None);
        assert_eq!(all(Done, Unknown, Waits, Waits, Waits), Some((1, WhyUndone::NotYet(1))));
        assert_eq!(all(Done, Done, Waits, Waits, Waits), Some((2, WhyUndone::NotYet(1))));
        assert_eq!(all(Done, Done, Done, Waits, Unknown), Some((3, WhyUndone::NotYet(2))));
        assert_eq!(all(Done, Unreachable, Done, Done, Waits), Some((3, WhyUndone::NotYet(1))));
        assert_eq!(
            all(Unreachable, Unreachable, Waits, Waits, Waits),
            Some((1, WhyUndone::Unreached))
        );
        // Nothing is said of those that a run is not about.
        assert_eq!(undone(&[("d", Waits)]), Some((3, WhyUndone::NotYet(1))));
    }

    #[test]
    fn a_failure_comes_before_what_is_not_done_yet() {
        let failed = |why: &str| TargetProgress::Failed(why.to_owned());
        let (wave, why) = undone(&[
            ("a", TargetProgress::Waits),
            ("b", failed("wrong secret")),
            ("c", TargetProgress::Waits),
        ])
        .unwrap();
        assert_eq!((wave, why.to_string().as_str()), (1, "`b` has failed: wrong secret"));
        let (_, why) = undone(&[("a", failed("no")), ("b", failed("wrong secret"))]).unwrap();
        assert_eq!(why.to_string(), "`a` and 1 other target have failed: no");
    }
}
