//! Problems and plans as remarks on lines, for the formats of CI systems.

use sha2::{Digest, Sha256};

use crate::codes::{ActionCode, UnknownCode, WithheldCode};
use crate::diagnostic::{Diagnostic, ProblemCode, Severity, Spot};
use crate::model::{FileName, Place, Visible, hex};
use crate::plan::{Action, Reason, Step, Unknowable, Unknown, Why, Withheld};
use crate::reconcile::{StepOutcome, outcome_of};

use super::words::{self, Undone};
use super::{EntryPlaces, FileNames, Report, TargetReport};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It keeps something from being done.
    Error,
    /// Somebody should look.
    Warning,
    /// It is as wanted.
    Note,
}

/// What kind of remark it is. Programs know it by this name in the next report, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FindingCode {
    Problem(ProblemCode),
    Action(ActionCode),
    Withheld(WithheldCode),
    Unknown(UnknownCode),
    /// A target that nothing is known of.
    Target,
    /// How many are not shown.
    More,
    /// That it is not about everything.
    Selection,
}

impl FindingCode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Problem(code) => code.as_str(),
            Self::Action(code) => code.as_str(),
            Self::Withheld(code) => code.as_str(),
            Self::Unknown(code) => code.as_str(),
            Self::Target => "target",
            Self::More => "more",
            Self::Selection => "selection",
        }
    }
}

/// A range of a file.
pub(super) struct FileRange {
    /// The file, from the root of the repository.
    pub(super) file: FileName,
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
    /// Line and column after its last character, where they are known.
    pub(super) end: Option<(u32, u32)>,
}

/// One remark.
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) code: FindingCode,
    /// What is the matter, in one line.
    pub(super) message: String,
    /// Why, or what to do.
    pub(super) more: Vec<String>,
    /// Where; none where it is about no line that is there.
    pub(super) at: Option<FileRange>,
    /// Another place that matters, with what it is.
    pub(super) related: Option<(FileRange, String)>,
}

impl Finding {
    /// One without a place. Nothing in its lines is hidden or begins another line.
    pub(super) fn new(
        level: Level,
        code: FindingCode,
        message: &str,
        more: impl IntoIterator<Item = String>,
    ) -> Self {
        let message = message.visible().into_owned();
        let more = more.into_iter().map(|line| line.visible().into_owned()).collect();
        Self { level, code, message, more, at: None, related: None }
    }

    /// The same for the same remark in the next report, wherever its line has moved to. `nth` keeps
    /// apart what would be the same in one report.
    pub(super) fn fingerprint(&self, nth: usize) -> String {
        let file = self.at.as_ref().map_or("", |at| at.file.as_str());
        let mut hash = Sha256::new();
        for part in [self.code.as_str(), file, &self.message, &nth.to_string()] {
            hash.update(part);
            hash.update([0]);
        }
        hex(&hash.finalize()[..16])
    }
}

/// All remarks with their fingerprints: problems by their places, then what is selected and plans in their order.
pub(super) fn all(report: &Report<'_>) -> Vec<(Finding, String)> {
    let problems = report.problems.sorted();
    let mut findings: Vec<_> =
        problems.iter().map(|problem| of_problem(problem, report.names)).collect();
    if let Some(selected) = report.selected() {
        findings.push(Finding::new(Level::Note, FindingCode::Selection, &selected, []));
    }
    for target in report.targets {
        of_target(target, report.names, &mut findings);
    }
    let mut seen = std::collections::BTreeMap::new();
    findings
        .into_iter()
        .map(|finding| {
            let nth = seen.entry(finding.fingerprint(0)).and_modify(|nth| *nth += 1).or_insert(0);
            let fingerprint = finding.fingerprint(*nth);
            (finding, fingerprint)
        })
        .collect()
}

pub(super) fn of_problem(problem: &Diagnostic, names: &FileNames) -> Finding {
    let level = match problem.severity {
        Severity::Error => Level::Error,
        Severity::Warning => Level::Warning,
    };
    let more = problem.label.iter().chain(&problem.help).cloned();
    Finding {
        at: problem.spot.as_ref().map(|spot| range(spot, names)),
        related: problem.related.as_ref().map(|(spot, what)| (range(spot, names), what.clone())),
        ..Finding::new(level, FindingCode::Problem(problem.code), &problem.message, more)
    }
}

fn range(spot: &Spot, names: &FileNames) -> FileRange {
    let (span, text) = (&spot.span, spot.file.text());
    let inside = text.get(span.start..span.end.min(text.len())).unwrap_or_default().trim_end();
    let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let end = match inside.rsplit_once('\n') {
        None => (span.line, span.column + length(inside)),
        Some((before, last)) => {
            let breaks = before.matches('\n').count() + 1;
            (span.line + u32::try_from(breaks).unwrap_or(u32::MAX), length(last) + 1)
        }
    };
    let file = names.of(spot.file.path());
    FileRange { file, line: span.line, column: span.column, end: Some(end) }
}

fn of_target(target: &TargetReport<'_>, names: &FileNames, findings: &mut Vec<Finding>) {
    let plan = match target.plan {
        Ok(plan) => plan,
        Err(why) => {
            let message = format!("{}: {why}", target.name);
            findings.push(Finding::new(Level::Error, FindingCode::Target, &message, []));
            return;
        }
    };
    for step in &plan.steps {
        let outcome = outcome_of(target.outcomes, step.id);
        findings.push(match outcome {
            Some(outcome) => carried_out(target, names, step, outcome),
            None => planned(target, names, step),
        });
    }
    findings.extend(plan.withheld.iter().map(|withheld| not_done(target, names, withheld)));
    findings.extend(plan.unknown.iter().map(|unknown| not_known(target, names, unknown)));
}

fn planned(target: &TargetReport<'_>, names: &FileNames, step: &Step) -> Finding {
    let level = match step.action {
        Action::Delete { .. } | Action::RemoveAccount { .. } => Level::Warning,
        _ if step.reasons.contains(&Reason::ClientIdDiffers) => Level::Warning,
        _ => Level::Note,
    };
    let message = format!("{}: {}", target.name, step.action.summary());
    let mut more: Vec<String> =
        step.reasons.iter().map(|reason| words::reason(*reason).to_owned()).collect();
    more.extend(words::reloads(&step.reload));
    let at = place_of(target, &step.action, &step.reasons).map(|place| point(&place, names));
    let code = FindingCode::Action(step.action.code());
    Finding { at, ..Finding::new(level, code, &message, more) }
}

fn carried_out(
    target: &TargetReport<'_>,
    names: &FileNames,
    step: &Step,
    outcome: &StepOutcome,
) -> Finding {
    let finding = planned(target, names, step);
    let Some(Undone { word, why }) = words::undone(&outcome.outcome) else { return finding };
    let message = format!("{}: {word}: {}", target.name, step.action.summary());
    let is_failure = target.plan.is_ok_and(|plan| outcome.is_failure(plan));
    let level = if is_failure { Level::Error } else { Level::Note };
    Finding {
        at: finding.at,
        ..Finding::new(level, finding.code, &message, why.map(str::to_owned))
    }
}

fn not_done(target: &TargetReport<'_>, names: &FileNames, withheld: &Withheld) -> Finding {
    let level = match &withheld.why {
        _ if withheld.is_error() => Level::Error,
        Why::PruneOff | Why::Suspended => Level::Note,
        _ => Level::Warning,
    };
    let message = format!("{}: not done: {}", target.name, withheld.action.summary());
    let (why, help) = (withheld.why.to_string(), withheld.why.help());
    let at = match withheld.why {
        Why::UnknownIntegration { .. } => {
            places_of(target, &withheld.action).map(|places| places.domain.clone())
        }
        _ => place_of(target, &withheld.action, &[]),
    };
    let at = at.map(|place| point(&place, names));
    let code = FindingCode::Withheld(withheld.why.code());
    Finding { at, ..Finding::new(level, code, &message, [why, help.to_owned()]) }
}

fn not_known(target: &TargetReport<'_>, names: &FileNames, unknown: &Unknown) -> Finding {
    let Unknown { key, domain, name, what } = unknown;
    let message = format!("{}: unknown: {domain} \"{name}\"", target.name);
    let place = target.entries.get(key).map(|places| match what {
        Unknowable::Secret => places.client_secret.clone(),
        Unknowable::ClientId => places.client_id.clone(),
    });
    let (why, help) = words::unknowable(*what);
    let more = [why.to_owned(), help.to_owned()];
    let at = place.map(|place| point(&place, names));
    Finding {
        at,
        ..Finding::new(Level::Warning, FindingCode::Unknown(what.code()), &message, more)
    }
}

/// The line that a change comes from: of the field that differs, else of the entry.
fn place_of(target: &TargetReport<'_>, action: &Action, reasons: &[Reason]) -> Option<Place> {
    let places = places_of(target, action)?;
    Some(match reasons.first() {
        Some(Reason::SecretDiffers | Reason::SecretReencrypted) => places.client_secret.clone(),
        Some(Reason::ClientIdDiffers) => places.client_id.clone(),
        Some(Reason::NameDiffers) => places.name.clone(),
        _ => places.entry.clone(),
    })
}

fn places_of<'a>(target: &'a TargetReport<'_>, action: &Action) -> Option<&'a EntryPlaces> {
    target.entries.get(&action.for_entry()?.key)
}

fn point(place: &Place, names: &FileNames) -> FileRange {
    FileRange { file: names.of(&place.file), line: place.line, column: place.column, end: None }
}
