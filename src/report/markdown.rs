//! Markdown for job summaries and for comments on pull requests.
//!
//! The first line is a hidden marker, the same for every report of one project, so that a bot finds
//! its comment again and replaces it. Names that others chose are written as code, where neither
//! Markdown nor a mention counts. GitHub takes 65,536 characters in a comment, so each part has its
//! own limit and says how much it leaves out.

use std::collections::BTreeSet;
use std::fmt::Write;

use indexmap::IndexMap;

use crate::diagnostic::Severity;
use crate::model::{Key, Visible, counted};
use crate::plan::{Action, Plan};

use super::names::Names;
use super::waves::{left_line, stop_line, waves};
use super::{
    Details, Format, Report, Tally, TargetReport, Verb, key_of, problems, source, text, words,
};
use crate::reconcile::{Outcome, StepOutcome, outcome_of};

/// How many characters problems, tables and folded details may have, for all targets together.
const PROBLEMS: usize = 12_000;
const TABLES: usize = 25_000;
const DETAILS: usize = 20_000;
/// No name and no reason is shown longer than this.
const LONGEST_CELL: usize = 300;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "markdown",
    about: "for job summaries and comments",
    write: |report, _| Ok(summary(report)),
    is_report: |text| text.starts_with("<!-- appcred:"),
};

/// Verdict, changes and details of each target, once for those that are alike; or what is wrong with the manifests.
pub fn summary(report: &Report<'_>) -> String {
    let folder = report.names.project_folder();
    let place = match folder.as_str() {
        "." => String::new(),
        name => format!(" in {}", code(name)),
    };
    let marker: String = folder
        .to_string()
        .chars()
        .map(|character| if matches!(character, '-' | '>') { '_' } else { character })
        .collect();
    let mut out = format!("<!-- appcred:{}:{marker} -->\n", report.verb.word());
    let _ = writeln!(out, "### appcred {}{place}\n", report.verb.word());
    if let Some(commit) = report.commit {
        let _ = writeln!(out, "Commit {}\n", code(source::short(commit)));
    }
    if !report.selection.is_whole() {
        let arguments = report.selection.arguments().join(" ");
        let _ = writeln!(out, "Only what is selected: {}\n", code(&arguments));
    }
    problems_of(&mut out, report);
    if report.verb == Verb::Plan && report.targets.len() > 1 {
        let _ = writeln!(out, "{}\n", prose(&text::total(report.targets)));
        let lines = [waves(report.targets), stop_line(report.targets)];
        for line in lines.into_iter().flatten() {
            let _ = writeln!(out, "{}\n", prose(&line));
        }
    }
    if let Some(undone) = report.undone {
        let _ = writeln!(out, "{}\n", prose(&left_line(undone)));
    }
    let mut budget = TABLES;
    let mut unsaid = 0;
    for (section, targets) in alike(report.targets) {
        let head = head(&section, &targets);
        if take(&mut budget, &head) {
            out.push_str(&head);
            table(&mut out, &section.rows, &mut budget);
        } else {
            unsaid += targets.len();
        }
    }
    if unsaid > 0 {
        let _ = writeln!(out, "and {}\n", counted(unsaid, "more target"));
    }
    details(&mut out, report.targets);
    out
}

/// Takes a text from the budget; whether it fits.
fn take(budget: &mut usize, text: &str) -> bool {
    let left = budget.checked_sub(text.chars().count());
    *budget = left.unwrap_or(*budget);
    left.is_some()
}

fn problems_of(out: &mut String, report: &Report<'_>) {
    let sorted = report.problems.sorted();
    let errors = sorted.iter().filter(|one| one.severity == Severity::Error).count();
    let verdict = match (errors, sorted.len()) {
        (0, 0) if matches!(report.verb, Verb::Validate { .. }) => "**Valid.**",
        (0, 0) => return,
        (0, _) if matches!(report.verb, Verb::Validate { .. }) => "**Valid**, with warnings.",
        (0, _) => "The manifests have warnings.",
        _ if report.targets.is_empty() && !matches!(report.verb, Verb::Validate { .. }) => {
            "**The manifests are in error.** Nothing was planned."
        }
        _ => "**The manifests are in error.**",
    };
    let _ = writeln!(out, "{verdict}\n");
    if !sorted.is_empty() {
        fenced(out, &problems::render(report.problems, false), PROBLEMS);
    }
}

/// What there is to say of a target.
#[derive(PartialEq, Eq, Hash)]
struct Section {
    urgency: Urgency,
    verdict: String,
    rows: Vec<String>,
}

/// What comes first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Urgency {
    Failed,
    Changes,
    InSync,
}

/// Sections with the targets that have them: what is not as it should be comes first, and what few have before what
/// many have.
fn alike<'a>(targets: &'a [TargetReport<'a>]) -> Vec<(Section, Vec<&'a TargetReport<'a>>)> {
    let mut alike: IndexMap<Section, Vec<&TargetReport<'_>>> = IndexMap::new();
    for target in targets {
        alike.entry(Section::of(target)).or_default().push(target);
    }
    let mut alike: Vec<_> = alike.into_iter().collect();
    alike.sort_by_key(|(section, targets)| (section.urgency, targets.len()));
    alike
}

impl Section {
    fn of(target: &TargetReport<'_>) -> Self {
        let plan = match target.plan {
            Ok(plan) => plan,
            Err(why) => {
                let verdict = format!("not known.** {}", prose(why));
                return Self { urgency: Urgency::Failed, verdict, rows: Vec::new() };
            }
        };
        let rows = rows(target, plan);
        let is_undone = target.outcomes.iter().any(|outcome| outcome.is_failure(plan));
        let urgency = match () {
            () if plan.is_stopped() || is_undone || plan.blocked() > 0 => Urgency::Failed,
            () if rows.is_empty() => Urgency::InSync,
            () => Urgency::Changes,
        };
        Self { urgency, verdict: format!("{}**", verdict(target, plan)), rows }
    }
}

fn head(section: &Section, targets: &[&TargetReport<'_>]) -> String {
    let names = match targets {
        [only] => code(only.name.as_str()),
        _ => {
            let names = Names(targets.iter().map(|target| target.name).collect());
            format!("{} ({})", counted(targets.len(), "target"), prose(&names.to_string()))
        }
    };
    let bases: BTreeSet<String> = targets.iter().map(|target| basis(target)).collect();
    // Where they differ, nobody wants to read all of them.
    let basis = bases.first().filter(|_| bases.len() == 1).map_or("", String::as_str);
    format!("**{names}: {}{basis}\n\n", section.verdict)
}

fn rows(target: &TargetReport<'_>, plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| {
        let mut why: Vec<String> =
            step.reasons.iter().map(|reason| prose(words::reason(*reason))).collect();
        why.extend(words::reloads(&step.reload).as_deref().map(prose));
        let outcome = outcome_of(target.outcomes, step.id);
        match outcome.map(|outcome| words::undone(&outcome.outcome)) {
            Some(Some(undone)) => why.push(prose(&undone.to_string())),
            Some(None) => why.push("done".to_owned()),
            None => {}
        }
        row(target, symbol(&step.action), step.action.verb(), &step.action, &why)
    });
    let withheld = plan.withheld.iter().map(|withheld| {
        let (why, help) = (withheld.why.to_string(), withheld.why.help());
        let what = format!("{}, not done", withheld.action.verb());
        row(target, "❗", &what, &withheld.action, &[prose(&why), prose(help)])
    });
    let unknown = plan.unknown.iter().map(|unknown| {
        let (domain, name) = (code(unknown.domain.as_str()), code(&unknown.name));
        let (why, place) = (prose(words::unknowable(unknown.what).0), place(target, &unknown.key));
        format!("| ❔ unknown | {domain} | {name} | {why} | {place} |\n")
    });
    withheld.chain(unknown).chain(steps).collect()
}

fn table(out: &mut String, rows: &[String], budget: &mut usize) {
    if rows.is_empty() {
        return;
    }
    out.push_str("| | | Name | Why | Where |\n| --- | --- | --- | --- | --- |\n");
    let mut unsaid = 0;
    for row in rows {
        if unsaid == 0 && take(budget, row) {
            out.push_str(row);
        } else {
            unsaid += 1;
        }
    }
    if unsaid > 0 {
        let _ = writeln!(out, "\nand {unsaid} more");
    }
    out.push('\n');
}

/// What the target was read from.
fn basis(target: &TargetReport<'_>) -> String {
    match (target.basis, target.version) {
        (Some(basis), _) => format!(" ({})", prose(basis)),
        (None, Some(version)) => format!(" (Home Assistant {})", prose(version)),
        (None, None) => String::new(),
    }
}

fn verdict(target: &TargetReport<'_>, plan: &Plan) -> String {
    let count = |is_meant: fn(&StepOutcome, &Plan) -> bool| {
        target.outcomes.iter().filter(|outcome| is_meant(outcome, plan)).count()
    };
    let failed = count(StepOutcome::is_failure);
    let waiting = count(|of, _| of.outcome.is_well() && matches!(of.outcome, Outcome::Waits(_)));
    if plan.is_stopped() {
        return "stopped by the policy".to_owned();
    }
    if !target.outcomes.is_empty() {
        if failed > 0 {
            return format!("{failed} of {} steps not done", target.outcomes.len());
        }
        let rest = [(waiting, "waiting for consent"), (plan.withheld.len(), "not done")];
        let rest = rest.iter().filter(|(number, _)| *number > 0);
        let rest: String = rest.map(|(number, what)| format!(", {number} {what}")).collect();
        return format!("applied{rest}");
    }
    let counts: Vec<String> = Tally::of(plan.steps.iter())
        .counts()
        .into_iter()
        .map(|of| (of.number, of.to_do))
        .chain([(plan.withheld.len(), "not done"), (plan.unknown.len(), "unknown")])
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if counts.is_empty() { "in sync".to_owned() } else { counts.join(", ") }
}

fn symbol(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "➕",
        Action::Replace { .. } => "🔁",
        Action::Adopt { .. } => "🤝",
        Action::Claim { .. } => "📝",
        Action::Delete { .. } => "➖",
        Action::SetUp { .. } => "🔗",
        Action::Reload { .. } => "🔄",
        Action::SetDeletePolicy { .. } | Action::NoteAccount { .. } => "📌",
        Action::RemoveAccount { .. } => "➖",
        Action::Abandon { .. } => "✖️",
    }
}

fn row(
    target: &TargetReport<'_>,
    symbol: &str,
    what: &str,
    action: &Action,
    why: &[String],
) -> String {
    let account = action.account_name().map(|name| format!(" for {}", code(name.as_str())));
    let named = match action.for_entry() {
        Some(wanted) => code(&wanted.name) + &account.unwrap_or_default(),
        None => {
            let label = action.outgoing().first().map(|old| code(old.label()));
            let key = key_of(action).map(|key| format!("key {}", code(key.as_str())));
            label.into_iter().chain(key).collect::<Vec<_>>().join(", ")
        }
    };
    let place = action.for_entry().map(|wanted| place(target, &wanted.key)).unwrap_or_default();
    let domain = code(action.domain().as_str());
    format!("| {symbol} {what} | {domain} | {named} | {} | {place} |\n", why.join("; "))
}

fn place(target: &TargetReport<'_>, key: &Key) -> String {
    target
        .entries
        .get(key)
        .map(|written| code(&format!("{}:{}", written.entry.file.visible(), written.entry.line)))
        .unwrap_or_default()
}

fn details(out: &mut String, targets: &[TargetReport<'_>]) {
    let worth_it = targets.iter().any(|target| {
        target.plan.is_ok_and(|plan| !plan.is_in_sync() || !plan.withheld.is_empty())
    });
    if !worth_it {
        return;
    }
    let plans = text::plan(targets, Details::WhereShort);
    out.push_str("<details><summary>As text</summary>\n\n");
    fenced(out, &anstream::adapter::strip_str(&plans).to_string(), DETAILS);
    out.push_str("</details>\n");
}

/// A code block of so many characters at most; nothing in the text can end it.
fn fenced(out: &mut String, text: &str, budget: usize) {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(out, "{fence}text");
    let mut left = budget;
    let mut rest = 0;
    for line in text.trim_matches('\n').lines() {
        let length = line.chars().count() + 1;
        if rest == 0 && length <= left {
            left -= length;
            out.push_str(line);
            out.push('\n');
        } else {
            rest += 1;
        }
    }
    let _ = writeln!(out, "{fence}");
    if rest > 0 {
        let _ = writeln!(out, "\nand {}", counted(rest, "more line"));
    }
    out.push('\n');
}

/// A name that somebody chose, in a table or in a line.
fn code(text: &str) -> String {
    let text = one_line(text);
    if text.trim().is_empty() {
        return String::new();
    }
    if text.contains(['`', '|', '\\']) {
        return format!("<code>{}</code>", entities(&text));
    }
    format!("`{text}`")
}

/// A sentence with names in it.
fn prose(text: &str) -> String {
    entities(&one_line(text))
}

fn one_line(text: &str) -> String {
    let text = text.visible();
    let mut line: String = text.chars().take(LONGEST_CELL).collect();
    if text.chars().nth(LONGEST_CELL).is_some() {
        line.push('…');
    }
    line
}

/// Every character that means something to Markdown or to GitHub, as an entity.
fn entities(text: &str) -> String {
    let is_plain =
        |character: char| character.is_alphanumeric() || " .,;:'()/?%\"=+-".contains(character);
    text.chars()
        .map(|character| match character {
            character if is_plain(character) || !character.is_ascii() => character.to_string(),
            character => format!("&#{};", u32::from(character)),
        })
        .collect()
}
