//! Text for people, in the form that readers of terraform's plans expect. It is always styled;
//! whoever prints it strips the styles where there is no terminal.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use crate::model::{Claim, Held, Links, Visible, counted};
use crate::plan::{
    Action, Adoption, CredentialState, Plan, Reason, Step, Unknown, Wanted, Why, Withheld,
};
use crate::reconcile::{Outcome, StepOutcome};

use super::words::{self, Undone};
use super::{Count, Format, Tally, TargetReport, Verb, set_up};

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const RED: Style = AnsiColor::Red.on_default();

/// The format. Problems of the manifests are shown on stderr, so it leaves them out.
pub(super) const FORMAT: Format = Format {
    name: "text",
    about: "for people",
    write: |report, links| {
        Ok(match report.verb {
            Verb::Validate { .. } if report.problems.has_errors() => String::new(),
            Verb::Validate { entries } => {
                format!("Valid: {}.\n", counted(entries, "entry"))
            }
            Verb::Plan => plan(report.targets),
            Verb::Apply => outcomes(report.targets, links),
        })
    },
};

/// What is to be done, target by target, and what set-ups wait for.
pub fn plan(targets: &[TargetReport<'_>]) -> String {
    let mut out = String::new();
    for target in targets {
        if !out.is_empty() {
            out.push('\n');
        }
        head(&mut out, target);
        match target.plan {
            Ok(plan) => one_plan(&mut out, target, plan),
            Err(why) => line(&mut out, RED, &format!("  error: {why}")),
        }
    }
    out
}

pub(super) fn head(out: &mut String, target: &TargetReport<'_>) {
    let version =
        target.version.map(|version| format!(", Home Assistant {version}")).unwrap_or_default();
    let place = target.basis.unwrap_or(target.address);
    // A misspelt path is seen before the folder is made.
    let new = if target.is_new { ", a new folder" } else { "" };
    line(out, BOLD, &format!("{} ({place}{new}{version})", target.name));
}

fn one_plan(out: &mut String, target: &TargetReport<'_>, plan: &Plan) {
    let begin = out.len();
    for step in &plan.steps {
        out.push('\n');
        one_step(out, target, step);
    }
    for withheld in &plan.withheld {
        out.push('\n');
        one_withheld(out, target, withheld);
    }
    for unknown in &plan.unknown {
        out.push('\n');
        one_unknown(out, target, unknown);
    }
    set_up::notices(out, plan);
    let links_new = |step: &Step| matches!(step.action, Action::SetUp { account: None, .. });
    if plan.steps.iter().any(links_new) {
        redirect_uri(out, target);
    }
    let states = plan.credential_states.iter();
    let in_sync = states.filter(|of| matches!(of.state, CredentialState::InSync(_))).count();
    if out.len() > begin {
        out.push('\n');
    }
    // What is not done is a change too.
    let mut summary = if !plan.steps.is_empty() || !plan.withheld.is_empty() {
        format!("Plan: {}.", tally(&Tally::of(plan.steps.iter()), |of| of.to_do))
    } else if plan.unknown.is_empty() {
        "No changes.".to_owned()
    } else {
        "No changes are known.".to_owned()
    };
    let counts = [
        (in_sync, "in sync"),
        (plan.withheld.len(), "not done"),
        (plan.unknown.len(), "unknown"),
        (plan.foreign(), "foreign, left alone"),
        (plan.of_other_owners(), "of other owners"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if !counts.is_empty() {
        let _ = write!(summary, " {}.", counts.join(", "));
    }
    line(out, BOLD, &summary);
}

/// What must be registered with providers before anybody consents.
pub(super) fn redirect_uri(out: &mut String, target: &TargetReport<'_>) {
    if let Some(uri) = target.redirect_uri {
        out.push('\n');
        line(out, DIM, &format!("  redirect URI to register with providers: {uri}"));
    }
}

fn tally(tally: &Tally, word: fn(&Count) -> &'static str) -> String {
    let counts = tally.counts();
    let named = counts.iter().filter(|of| of.number > 0 || of.is_usual);
    named.map(|of| format!("{} {}", of.number, word(of))).collect::<Vec<_>>().join(", ")
}

fn one_step(out: &mut String, target: &TargetReport<'_>, step: &Step) {
    let (symbol, style) = symbol(&step.action);
    line(out, style, &format!("{symbol} {}", step.action.summary()));
    match &step.action {
        Action::Delete { old, remove } => {
            field(out, "id", old.id.as_str());
            if !remove.is_empty() {
                line(out, RED, &format!("      # removes {} first", words::accounts(remove)));
            }
        }
        Action::SetUp { wanted, account, .. } => {
            field(out, "key", wanted.key.as_str());
            if let Some(account) = account {
                field(out, "account", &format!("\"{}\"", account.title));
            }
        }
        Action::NoteAccount { wanted, account, .. }
        | Action::RemoveAccount { wanted, account, .. } => {
            field(out, "key", wanted.key.as_str());
            field(out, "account", &format!("\"{}\"", account.title));
        }
        Action::Reload { wanted, account } => {
            field(out, "key", wanted.key.as_str());
            field(out, "account", &format!("\"{}\" ({})", account.title, account.state));
        }
        Action::SetDeletePolicy { wanted, .. } => field(out, "key", wanted.key.as_str()),
        Action::Abandon { flow } => {
            if let Some(mark) = flow.purpose.mark() {
                field(out, "key", mark.key.as_str());
            }
        }
        Action::Create { wanted }
        | Action::Replace { wanted, .. }
        | Action::Adopt { wanted, .. }
        | Action::Claim { wanted, .. } => {
            let changed = [Reason::SecretDiffers, Reason::SecretReencrypted];
            let is_rotated = step.reasons.iter().any(|reason| changed.contains(reason));
            fields(out, wanted, step, is_rotated);
            if let Some(written) = target.entries.get(&wanted.key) {
                line(out, DIM, &format!("      at {}", written.entry));
            }
        }
    }
    step_notes(out, step);
}

fn step_notes(out: &mut String, step: &Step) {
    for reason in &step.reasons {
        line(out, DIM, &format!("      # {}", words::reason(*reason)));
    }
    let is = |meant: &[Reason]| step.reasons.iter().any(|reason| meant.contains(reason));
    if is(&[Reason::Renamed, Reason::TakenForRenamed]) && !is(&[Reason::ClientIdDiffers]) {
        line(out, DIM, "      # linked accounts stay linked: no new consent is needed");
    }
    if let Action::Claim { wanted, .. } = &step.action
        && let Some(claim) = Claim::parse(&wanted.auth_domain)
    {
        line(
            out,
            DIM,
            &format!(
                "      # a second credential of this client, which says whose {} is",
                claim.implementation
            ),
        );
    }
    if let Action::Adopt { how: Adoption::Shadow, old, .. } = &step.action {
        let ids: Vec<&str> = old.iter().map(|old| old.id.as_str()).collect();
        let ids = ids.join(", ");
        line(
            out,
            DIM,
            &format!(
                "      # takes the place of {ids}, which Home Assistant does not delete while an account uses it"
            ),
        );
    }
    for old in step.foreign.iter().filter(|_| step.action.created().is_some()) {
        line(out, RED, &format!("      # deletes {}, which was made by hand", old.id));
    }
    if !step.reload.is_empty() {
        line(out, DIM, &format!("      # reloads {}", words::accounts(&step.reload)));
    }
}

fn symbol(action: &Action) -> (&'static str, Style) {
    match action {
        Action::Create { .. } => ("  +", GREEN),
        Action::Replace { .. } => ("-/+", YELLOW),
        Action::Adopt { .. } => ("  ~", YELLOW),
        Action::Claim { .. } => ("  ~", YELLOW),
        Action::Delete { .. } => ("  -", RED),
        Action::SetUp { .. } => ("  >", GREEN),
        Action::Reload { .. } => ("  ^", YELLOW),
        Action::SetDeletePolicy { .. } | Action::NoteAccount { .. } => ("  ~", YELLOW),
        Action::RemoveAccount { .. } => ("  -", RED),
        Action::Abandon { .. } => ("  x", YELLOW),
    }
}

/// The previous one, for `old -> new`.
fn replaced(action: &Action) -> Option<&Held> {
    match action {
        Action::Replace { old, .. } | Action::Adopt { old, .. } | Action::Claim { old, .. } => {
            old.last()
        }
        Action::Create { .. }
        | Action::Delete { .. }
        | Action::SetUp { .. }
        | Action::Reload { .. }
        | Action::SetDeletePolicy { .. }
        | Action::NoteAccount { .. }
        | Action::RemoveAccount { .. }
        | Action::Abandon { .. } => None,
    }
}

fn fields(out: &mut String, wanted: &Wanted, step: &Step, is_rotated: bool) {
    let old = replaced(&step.action);
    let change = |old: Option<&str>, new: &str| match old {
        Some(old) if old != new => format!("\"{old}\" -> \"{new}\""),
        _ => format!("\"{new}\""),
    };
    match &step.old_key {
        None => field(out, "key", wanted.key.as_str()),
        Some(old) => field(out, "key", &change(Some(old.as_str()), wanted.key.as_str())),
    }
    let old_name = old.map(Held::label);
    if old_name.is_some_and(|name| name != wanted.name) {
        field(out, "name", &change(old_name, &wanted.name));
    }
    field(
        out,
        "client_id",
        &change(old.map(|old| old.client_id.as_str()), wanted.client_id.as_str()),
    );
    field(
        out,
        "client_secret",
        if is_rotated { "(sensitive) -> (sensitive)" } else { "(sensitive)" },
    );
}

fn field(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "      {name:<13} = {}", value.visible());
}

fn one_withheld(out: &mut String, target: &TargetReport<'_>, withheld: &Withheld) {
    let (why, help) = (withheld.why.to_string(), withheld.why.help());
    let style = if withheld.is_error() { RED } else { YELLOW };
    line(out, style, &format!("  ! not done: {}", withheld.action.summary()));
    let entry = withheld.action.created();
    if let Some(written) = entry.and_then(|wanted| target.entries.get(&wanted.key)) {
        let place = match withheld.why {
            Why::UnknownIntegration { .. } => &written.domain,
            _ => &written.entry,
        };
        line(out, DIM, &format!("      at {place}"));
    }
    line(out, DIM, &format!("      # {why}"));
    line(out, DIM, &format!("      # {help}"));
}

fn one_unknown(out: &mut String, target: &TargetReport<'_>, unknown: &Unknown) {
    line(out, YELLOW, &format!("  ? unknown: {} \"{}\"", unknown.domain, unknown.name));
    field(out, "key", unknown.key.as_str());
    if let Some(written) = target.entries.get(&unknown.key) {
        line(out, DIM, &format!("      at {}", written.entry));
    }
    let (what, help) = words::unknowable(unknown.what);
    line(out, DIM, &format!("      # {what}"));
    line(out, DIM, &format!("      # {help}"));
}

/// The outcomes, target by target: what is not done, in order, then a summary.
pub fn outcomes(targets: &[TargetReport<'_>], links: Links) -> String {
    let mut out = String::new();
    for target in targets {
        let Ok(plan) = target.plan else { continue };
        if target.outcomes.is_empty() {
            continue;
        }
        for outcome in target.outcomes.iter().filter(|outcome| !outcome.outcome.is_done()) {
            one_outcome(&mut out, target, plan, outcome, links);
        }
        let is_done = |step: &&Step| {
            target.outcomes.iter().any(|other| other.step == step.id && other.outcome.is_done())
        };
        let done = Tally::of(plan.steps.iter().filter(is_done));
        let undone = target.outcomes.iter().filter(|outcome| !outcome.outcome.is_well()).count();
        let mut summary = format!("{}: {}", target.name, tally(&done, |of| of.done));
        for (awaits, number) in unfinished(target.outcomes) {
            let _ = write!(summary, ", {number} {awaits}");
        }
        if undone > 0 {
            let _ = write!(summary, ", {undone} not done");
        }
        line(&mut out, if undone > 0 { RED.bold() } else { BOLD }, &format!("{summary}."));
    }
    if out.is_empty() {
        return out;
    }
    // The plan has named them, and may be far above.
    for target in targets {
        if let Err(why) = target.plan {
            line(&mut out, RED.bold(), &format!("{}: nothing was done: {why}", target.name));
        }
    }
    out
}

/// How many steps go on later, by what they wait for.
fn unfinished(outcomes: &[StepOutcome]) -> BTreeMap<&'static str, usize> {
    let mut numbers = BTreeMap::new();
    for outcome in outcomes {
        let awaits = match &outcome.outcome {
            Outcome::Waits(step) => step.awaits(),
            Outcome::Unfinished(_) => "unfinished",
            Outcome::Done | Outcome::Failed(_) | Outcome::Denied(_) | Outcome::NotBegun(_) => {
                continue;
            }
        };
        *numbers.entry(awaits).or_default() += 1;
    }
    numbers
}

fn one_outcome(
    out: &mut String,
    target: &TargetReport<'_>,
    plan: &Plan,
    outcome: &StepOutcome,
    links: Links,
) {
    let Some(step) = plan.steps.iter().find(|step| step.id == outcome.step) else { return };
    let what = step.action.summary();
    if let Outcome::Waits(waits) = &outcome.outcome {
        let id = step.action.set_up_id();
        return set_up::waits(out, &format!("{}: {what}", target.name), id.as_ref(), waits, links);
    }
    let Some(Undone { word, why }) = words::undone(&outcome.outcome) else { return };
    let why = why.unwrap_or_default();
    line(out, RED, &format!("{}: {word}: {what}: {why}", target.name));
}

pub(super) fn line(out: &mut String, style: Style, text: &str) {
    let _ = writeln!(out, "{style}{}{style:#}", text.visible());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{outcomes, plan};
    use crate::model::{
        Domain, FlowId, Key, Links, Mark, OpenFlow, Owner, Purpose, SetUpId, TargetName,
    };
    use crate::plan::{Action, EntrySetup, Plan, Reason, SetupState, Step, StepId};
    use crate::reconcile::{Outcome, StepOutcome};
    use crate::report::TargetReport;

    /// A plan that ends the set-up of an entry.
    fn abandons(key: &str) -> Plan {
        let key = Key::new(key).unwrap();
        let owner = Owner::new("house").unwrap();
        let flow = OpenFlow {
            id: FlowId::new("flow"),
            domain: Domain::new("spotify"),
            purpose: Purpose::Entry(Mark { owner, key: key.clone() }),
        };
        let step = Step {
            id: StepId(0),
            action: Action::Abandon { flow },
            reasons: vec![Reason::LeftOver],
            reload: Vec::new(),
            after: None,
            claim: None,
            foreign: Vec::new(),
            old_key: None,
        };
        Plan {
            steps: vec![step],
            withheld: Vec::new(),
            unknown: Vec::new(),
            credential_states: Vec::new(),
            undeclared_accounts: Vec::new(),
            setup_states: vec![EntrySetup {
                id: SetUpId { key, account: None },
                state: SetupState::InProgress,
                trouble: None,
            }],
        }
    }

    fn report<'a>(
        name: &'a TargetName,
        plan: Result<&'a Plan, &'a str>,
        outcomes: &'a [StepOutcome],
    ) -> TargetReport<'a> {
        TargetReport {
            name,
            address: "http://ha",
            version: None,
            is_new: false,
            redirect_uri: None,
            plan,
            outcomes,
            basis: None,
            entries: BTreeMap::new(),
        }
    }

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_set_up_that_is_ended_is_named_by_its_entry_counted_and_not_carried_on() {
        let (name, abandons) = (TargetName::new("home"), abandons("family"));
        let text = stripped(&plan(&[report(&name, Ok(&abandons), &[])]));
        assert!(
            text.contains("x abandon the set-up of spotify\n      key           = family\n"),
            "{text}"
        );
        assert!(text.contains("1 to abandon."), "{text}");
        assert!(!text.contains("in progress"), "{text}");
    }

    #[test]
    fn a_target_that_is_not_reached_is_named_again_at_the_end() {
        let (home, cabin, abandons) =
            (TargetName::new("home"), TargetName::new("cabin"), abandons("family"));
        let done = [StepOutcome { step: StepId(0), outcome: Outcome::Done }];
        let cabin = report(&cabin, Err("cannot reach http://cabin: no route"), &[]);
        let text =
            stripped(&outcomes(&[cabin, report(&home, Ok(&abandons), &done)], Links::Hidden));
        assert_eq!(
            text,
            "home: 0 created, 0 replaced, 0 deleted, 1 abandoned.\ncabin: nothing was done: cannot reach http://cabin: no route\n"
        );
    }
}
