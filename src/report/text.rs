//! Text for people, in the form that readers of terraform's plans expect. It is always styled;
//! whoever prints it strips the styles where there is no terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use indexmap::{IndexMap, IndexSet};

use crate::model::{Visible, counted};
use crate::plan::{Action, Plan, Reason, Step};

use super::change::{Change, Detail, DetailKind, changes};
use super::names::Names;
use super::outcomes::outcomes;
use super::source;
use super::summary::PlanSummary;
use super::waves::{stop_line, waves};
use super::{Details, Format, Report, TargetReport, Verb};

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
            Verb::Plan => about(report, plan(report.targets, report.details)),
            Verb::Apply => about(report, outcomes(report.targets, links)),
        })
    },
    is_report,
};

/// Whether a text begins and sums up as plans and outcomes do. What quotes one, as a page of documentation, has a
/// heading first.
fn is_report(text: &str) -> bool {
    let begins = |line: &str, starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let first = text.lines().next().unwrap_or_default();
    let is_sum = |line: &str| {
        begins(line, &["Valid: ", "Plan: ", "No changes", "Total of ", "  error: "])
            || [" created, ", ": nothing was done: "].iter().any(|of| line.contains(of))
    };
    let is_page = begins(first, &["#", "<", "-", "=", "[", "!", "{"])
        && !begins(first, &["# commit ", "# only what is selected: "]);
    !is_page && text.lines().any(is_sum)
}

/// First of which commit it is, and what is selected, so that no summary reads as that of everything.
fn about(report: &Report<'_>, body: String) -> String {
    if body.is_empty() {
        return body;
    }
    let mut out = String::new();
    if let Some(commit) = report.commit {
        line(&mut out, DIM, &format!("# commit {}", source::short(commit)));
    }
    if let Some(selected) = report.selected() {
        line(&mut out, YELLOW, &format!("# {selected}"));
    }
    out + &body
}

/// Above this many changes and targets, each change has one line, if nobody asked for more.
const MOST_IN_FULL: usize = 24;

/// What is to be done, and what set-ups wait for: target by target, or, where that would be long and `details`
/// allows it, a line for each change, and what is the same in several targets once.
pub fn plan(targets: &[TargetReport<'_>], details: Details) -> String {
    let mut changes: Vec<Vec<Change>> = targets
        .iter()
        .map(|target| target.plan.map_or_else(|_| Vec::new(), |plan| changes(target, plan)))
        .collect();
    let number = targets.len() + changes.iter().map(Vec::len).sum::<usize>();
    let is_brief = details == Details::WhereShort && number > MOST_IN_FULL;
    if is_brief {
        changes.iter_mut().for_each(join_set_ups);
    }
    let mut out = match is_brief {
        true => in_brief(targets, &changes),
        false => by_target(targets, &changes),
    };
    if targets.len() > 1 {
        if !out.ends_with("\n\n") {
            out.push('\n');
        }
        line(&mut out, BOLD, &total(targets));
        waves(targets).into_iter().for_each(|waves| line(&mut out, BOLD, &waves));
        stop_line(targets).into_iter().for_each(|stop| line(&mut out, RED, &stop));
    }
    if is_brief {
        line(&mut out, DIM, "--verbose shows every change in full.");
    }
    out
}

fn by_target(targets: &[TargetReport<'_>], changes: &[Vec<Change>]) -> String {
    let mut out = String::new();
    for (target, changes) in targets.iter().zip(changes) {
        if !out.is_empty() {
            out.push('\n');
        }
        head(&mut out, target);
        let plan = match target.plan {
            Ok(plan) => plan,
            Err(why) => {
                line(&mut out, RED, &format!("  error: {why}"));
                continue;
            }
        };
        for change in changes {
            out.push('\n');
            in_full(&mut out, change);
        }
        redirect_uris(&mut out, std::slice::from_ref(target));
        if !changes.is_empty() {
            out.push('\n');
        }
        line(&mut out, BOLD, &PlanSummary::of(&[plan]).to_string());
    }
    out
}

/// A change with all that is known of it.
pub(super) fn in_full(out: &mut String, change: &Change) {
    line(out, change.style, &format!("{} {}", change.symbol, change.title));
    for detail in &change.details {
        let hash = if detail.kind == DetailKind::Field { "" } else { "# " };
        line(out, detail.style, &format!("      {hash}{}", detail.text));
    }
}

/// A line for each change. What is the same in several targets is written once; what only few have comes first.
fn in_brief(targets: &[TargetReport<'_>], changes: &[Vec<Change>]) -> String {
    let mut out = String::new();
    for target in targets {
        if let Err(why) = target.plan {
            head(&mut out, target);
            line(&mut out, RED, &format!("  error: {why}"));
            out.push('\n');
        }
    }
    for (of, lines) in alike(changes) {
        match of[..] {
            [only] => head(&mut out, &targets[only]),
            _ => {
                let of: Vec<_> = of.iter().map(|&at| &targets[at]).collect();
                line(&mut out, BOLD, &format!("In {}", named(&of)));
            }
        }
        out.push('\n');
        let mut helps = IndexSet::new();
        for alike in lines {
            let change = alike.change;
            line(&mut out, change.style, &alike.brief());
            helps.extend(
                change.details.iter().filter(|of| of.kind == DetailKind::Help).map(|of| &of.text),
            );
        }
        for help in helps {
            line(&mut out, DIM, &format!("      # {help}"));
        }
        out.push('\n');
    }
    let unchanged: Vec<_> = targets
        .iter()
        .zip(changes)
        .filter(|(target, changes)| changes.is_empty() && target.plan.is_ok())
        .map(|(target, _)| target)
        .collect();
    if !unchanged.is_empty() {
        line(&mut out, BOLD, &format!("No changes in {}", named(&unchanged)));
    }
    // What is before ends with an empty line already.
    let mut uris = String::new();
    redirect_uris(&mut uris, targets);
    if !uris.is_empty() {
        out.push_str(uris.trim_start_matches('\n'));
        out.push('\n');
    }
    if let [TargetReport { plan: Ok(plan), .. }] = targets {
        line(&mut out, BOLD, &PlanSummary::of(&[plan]).to_string());
    }
    out
}

/// How often each text was there.
#[derive(Default)]
pub(super) struct Times(BTreeMap<String, usize>);

impl Times {
    /// A text with how often it was there before.
    pub(super) fn count(&mut self, text: String) -> (String, usize) {
        let times = self.0.entry(text.clone()).or_default();
        *times += 1;
        (text, *times - 1)
    }
}

/// What several targets have alike.
struct Alike<'a> {
    /// That of the first of them.
    change: &'a Change,
    /// Where its entries are written.
    places: IndexSet<&'a str>,
}

impl Alike<'_> {
    /// Its line. Entries at several places may want different clients.
    fn brief(&self) -> String {
        let mut places = self.places.iter().copied();
        let of_entries = (places.len() > 1).then(|| {
            let first: Vec<_> = places.by_ref().take(MOST_PLACES).collect();
            let others = if places.len() > 0 { ", …" } else { "" };
            format!("{} ({}{others})", counted(self.places.len(), "entry"), first.join(", "))
        });
        let notes = notes_of(self.change).chain(of_entries.as_deref());
        brief(self.change, notes)
    }
}

/// So many places are named where entries are written in several.
const MOST_PLACES: usize = 3;

/// The changes by the targets that have them, fewest targets first.
fn alike(changes: &[Vec<Change>]) -> Vec<(Vec<usize>, Vec<Alike<'_>>)> {
    let mut by_line: IndexMap<_, (Vec<usize>, Alike<'_>)> = IndexMap::new();
    for (at, changes) in changes.iter().enumerate() {
        // What is to be done twice at one target has two lines.
        let mut times = Times::default();
        for change in changes {
            let line = times.count(brief(change, notes_of(change)));
            let new = || (Vec::new(), Alike { change, places: IndexSet::new() });
            let (of, alike) = by_line.entry(line).or_insert_with(new);
            of.push(at);
            alike.places.extend(change.place.as_deref());
        }
    }
    let mut by_targets: IndexMap<Vec<usize>, Vec<Alike<'_>>> = IndexMap::new();
    for (of, change) in by_line.into_values() {
        by_targets.entry(of).or_default().push(change);
    }
    let mut alike: Vec<_> = by_targets.into_iter().collect();
    alike.sort_by_key(|(of, _)| of.len());
    alike
}

/// What is created and then set up is one line, where there is nothing else to say of the set-up.
fn join_set_ups(changes: &mut Vec<Change>) {
    let usual = |of: &Detail| matches!(of.kind, DetailKind::Field | DetailKind::Expected);
    let set_up = |change: &Change| {
        let of = change.title.strip_prefix("set up ")?;
        change.details.iter().all(usual).then(|| (change.key.clone(), of.to_owned()))
    };
    let set_ups: BTreeSet<_> = changes.iter().filter_map(set_up).collect();
    let mut joined = BTreeSet::new();
    for change in changes.iter_mut() {
        let Some(of) = change.title.strip_prefix("create ") else { continue };
        let id = (change.key.clone(), of.to_owned());
        if set_ups.contains(&id) {
            change.title = format!("create and set up {of}");
            joined.insert(id);
        }
    }
    changes.retain(|change| set_up(change).is_none_or(|id| !joined.contains(&id)));
}

fn notes_of(change: &Change) -> impl Iterator<Item = &str> {
    let notes = change.details.iter().filter(|of| of.kind == DetailKind::Note);
    notes.map(|of| of.text.as_str())
}

fn brief<'a>(change: &Change, notes: impl Iterator<Item = &'a str>) -> String {
    let key = change.key.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
    let notes: Vec<&str> = notes.collect();
    let notes = if notes.is_empty() { String::new() } else { format!("  # {}", notes.join("; ")) };
    format!("{} {}{key}{notes}", change.symbol, change.title)
}

/// How many targets these are, and the names of some of them.
pub(super) fn named(targets: &[&TargetReport<'_>]) -> String {
    let names = Names(targets.iter().map(|target| target.name).collect());
    // A misspelt path is seen before the folder is made.
    let new = match targets.iter().filter(|target| target.is_new).count() {
        0 => String::new(),
        number => format!(", {}", counted(number, "new folder")),
    };
    format!("{} ({names}){new}", counted(targets.len(), "target"))
}

/// How many targets there are, and what is to be done at all of them.
pub(super) fn total(targets: &[TargetReport<'_>]) -> String {
    let of = counted(targets.len(), "target");
    let plans: Vec<&Plan> = targets.iter().filter_map(|target| target.plan.ok()).collect();
    if plans.is_empty() {
        return format!("Total of {of}: none could be read.");
    }
    let unread = targets.len() - plans.len();
    let summary = PlanSummary::of(&plans).beside_unread(unread > 0).to_string();
    let summary = summary.strip_prefix("Plan: ").unwrap_or(&summary);
    let unread = match unread {
        0 => String::new(),
        _ => format!(" {} could not be read.", counted(unread, "target")),
    };
    format!("Total of {of}: {summary}{unread}")
}

pub(super) fn head(out: &mut String, target: &TargetReport<'_>) {
    let version =
        target.version.map(|version| format!(", Home Assistant {version}")).unwrap_or_default();
    let place = target.basis.unwrap_or(target.address);
    // A misspelt path is seen before the folder is made.
    let new = if target.is_new { ", a new folder" } else { "" };
    line(out, BOLD, &format!("{} ({place}{new}{version})", target.name));
}

/// What must be registered with providers before anybody consents, where somebody is to consent.
fn redirect_uris(out: &mut String, targets: &[TargetReport<'_>]) {
    let links_new = |target: &&TargetReport<'_>| {
        let is_link = |step: &Step| {
            matches!(step.action, Action::SetUp { account: None, .. })
                && step.reasons != [Reason::PerhapsLinked]
        };
        target.plan.is_ok_and(|plan| plan.steps.iter().any(is_link))
    };
    let uris = targets.iter().filter(links_new).map(|target| target.redirect_uri);
    for uri in uris.collect::<IndexSet<_>>() {
        redirect_uri(out, uri);
    }
}

pub(super) fn redirect_uri(out: &mut String, uri: Option<&str>) {
    if let Some(uri) = uri {
        out.push('\n');
        line(out, DIM, &format!("  redirect URI to register with providers: {uri}"));
    }
}

pub(super) fn line(out: &mut String, style: Style, text: &str) {
    let _ = writeln!(out, "{style}{}{style:#}", text.visible());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Details, plan};
    use crate::codes::CredentialCode;
    use crate::diagnostic::Diagnostics;
    use crate::model::{
        AccountName, ClientId, ConfigEntry, ConsentLink, CredentialId, Domain, EntryId, EntryState,
        FlowId, FlowStep, Held, Key, Labels, Links, Mark, OpenFlow, Owner, Purpose, Secret,
        Selection, SetUpId, TargetName,
    };
    use crate::plan::{
        Action, ComparedCredential, CredentialState, EntrySetup, Plan, Reason, SetupState, Step,
        StepId, Wanted, Why, Withheld,
    };
    use crate::reconcile::{Outcome, StepOutcome};
    use crate::report::list::{self, RowState, Rows};
    use crate::report::outcomes::outcomes;
    use crate::report::{FileNames, Format, Report, TargetReport, Verb};

    /// A plan that ends the set-up of an entry.
    fn abandons(key: &str) -> Plan {
        let key = Key::new(key).unwrap();
        let owner = Owner::new("house").unwrap();
        let flow = OpenFlow {
            id: FlowId::new("flow"),
            domain: Domain::new("spotify"),
            purpose: Purpose::Entry(Mark { owner, key: key.clone() }),
        };
        let step = Step::new(StepId(0), Action::Abandon { flow });
        Plan {
            steps: vec![Step { reasons: vec![Reason::LeftOver], ..step }],
            setup_states: vec![EntrySetup {
                id: SetUpId { key, account: None },
                state: SetupState::InProgress,
                trouble: None,
            }],
            ..Plan::default()
        }
    }

    static NO_LABELS: Labels = Labels::new();
    static NOWHERE: BTreeMap<Key, crate::model::Place> = BTreeMap::new();

    fn report<'a>(
        name: &'a TargetName,
        plan: Result<&'a Plan, &'a str>,
        outcomes: &'a [StepOutcome],
    ) -> TargetReport<'a> {
        TargetReport {
            name,
            labels: &NO_LABELS,
            address: "http://ha",
            version: None,
            is_new: false,
            redirect_uri: None,
            plan,
            outcomes,
            basis: None,
            wave: None,
            expected_set_ups: &[],
            entries: BTreeMap::new(),
            elsewhere: &NOWHERE,
        }
    }

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_set_up_that_is_ended_is_named_by_its_entry_counted_and_not_carried_on() {
        let (name, abandons) = (TargetName::new("home"), abandons("family"));
        let text = stripped(&plan(&[report(&name, Ok(&abandons), &[])], Details::All));
        assert!(text.contains("x abandon the set-up of spotify for family\n"), "{text}");
        assert!(text.contains("1 to abandon."), "{text}");
        assert!(!text.contains("in progress"), "{text}");
    }

    #[test]
    fn a_set_up_that_goes_on_is_no_new_one() {
        let name = TargetName::new("home");
        let key = Key::new("family").unwrap();
        let wanted = Wanted {
            key: key.clone(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            name: "Family".into(),
            auth_domain: "appcred:house:family".into(),
        };
        let open = Some(FlowId::new("flow"));
        let step = Action::SetUp { wanted, name: None, account: None, open };
        let goes_on = Plan { steps: vec![Step::new(StepId(0), step)], ..abandons("family") };
        let text = stripped(&plan(&[report(&name, Ok(&goes_on), &[])], Details::All));
        assert!(text.contains("continue to set up spotify \"Family\""), "{text}");
        assert!(text.ends_with("0 to delete. 1 being set up.\n"), "{text}");
    }

    #[test]
    fn an_account_that_was_linked_is_named_and_an_optional_step_fails_nothing() {
        let (name, domain) = (TargetName::new("home"), Domain::new("spotify"));
        let account = ConfigEntry {
            id: EntryId::new("e1"),
            domain: domain.clone(),
            title: "ann@example.com".into(),
            state: EntryState::SetupError,
            reason: None,
            implementation: None,
        };
        let wanted = Wanted {
            key: Key::new("family").unwrap(),
            domain,
            client_id: ClientId::new("c"),
            name: "Family".into(),
            auth_domain: "appcred:house:family".into(),
        };
        let mut plan = abandons("family");
        plan.steps[0].action = Action::SetUp {
            wanted: wanted.clone(),
            name: AccountName::new("Ann"),
            account: None,
            open: None,
        };
        let linked = StepOutcome {
            linked: Some(account.clone()),
            ..StepOutcome::new(StepId(0), Outcome::Done)
        };
        let said = |plan: &Plan, done: StepOutcome| {
            stripped(&outcomes(&[report(&name, Ok(plan), &[done])], Links::Hidden))
        };
        let text = said(&plan, linked);
        assert!(text.contains(" for Ann: linked: \"ann@example.com\", e1\n"), "{text}");

        plan.steps[0].action = Action::Reload { wanted, account };
        let failed = || StepOutcome::new(StepId(0), Outcome::Failed("it stays down".to_owned()));
        assert!(said(&plan, failed()).contains(", 1 failed."));
        plan.steps[0].reasons = vec![Reason::UnnamedAccountDown];
        let text = said(&plan, failed());
        assert!(text.contains("it stays down") && !text.contains("1 failed"), "{text}");
    }

    #[test]
    fn what_was_withheld_is_in_the_result_line() {
        let (name, mut plan) = (TargetName::new("home"), abandons("family"));
        let action = plan.steps[0].action.clone();
        plan.withheld.push(Withheld { action, why: Why::PruneOff });
        let done = [StepOutcome::new(StepId(0), Outcome::Done)];
        let text = stripped(&outcomes(&[report(&name, Ok(&plan), &done)], Links::Hidden));
        let expected = "home: 0 created, 0 replaced, 0 deleted, 1 abandoned, 1 not done.\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_target_that_is_not_reached_is_named_again_at_the_end() {
        let (home, cabin, abandons) =
            (TargetName::new("home"), TargetName::new("cabin"), abandons("family"));
        let done = [StepOutcome::new(StepId(0), Outcome::Done)];
        let cabin = report(&cabin, Err("cannot reach http://cabin: no route"), &[]);
        let text =
            stripped(&outcomes(&[cabin, report(&home, Ok(&abandons), &done)], Links::Hidden));
        assert_eq!(
            text,
            "home: 0 created, 0 replaced, 0 deleted, 1 abandoned.\ncabin: nothing was done: cannot reach http://cabin: no route\n"
        );
    }

    /// Each with the same first entry and more of its own.
    fn creates(keys: &[&str]) -> Plan {
        let mut plan = abandons("family");
        let of_key = |(number, key): (usize, &&str)| {
            let wanted = Wanted {
                key: Key::new(key).unwrap(),
                domain: Domain::new("spotify"),
                client_id: ClientId::new("client"),
                name: "Anna".into(),
                auth_domain: format!("appcred:house:{key}").into(),
            };
            let action = Action::Create { wanted };
            Step {
                id: StepId(number),
                action,
                reasons: vec![Reason::NotObserved],
                ..plan.steps[0].clone()
            }
        };
        plan.steps = (0..).zip(keys).map(of_key).collect();
        plan.setup_states.clear();
        plan
    }

    fn names(number: usize) -> Vec<TargetName> {
        (1..=number).map(|at| TargetName::new(format!("house-{at}"))).collect()
    }

    fn in_format(format: &str, targets: &[TargetReport<'_>]) -> String {
        let names = FileNames::new("/house".into(), "/house".into(), "/house".into());
        let report = Report {
            verb: Verb::Apply,
            manifests: &[],
            problems: &Diagnostics::default(),
            targets,
            names: &names,
            commit: None,
            selection: &Selection::default(),
            details: Details::All,
            undone: None,
        };
        (Format::named(format).unwrap().write)(&report, Links::Hidden).unwrap()
    }

    fn account() -> ConfigEntry {
        ConfigEntry {
            id: EntryId::new("e1"),
            domain: Domain::new("spotify"),
            title: "Ann".into(),
            state: EntryState::SetupError,
            reason: None,
            implementation: None,
        }
    }

    /// What a plan creates first, to be done something else with.
    fn created(plan: &Plan) -> Wanted {
        let Action::Create { wanted } = plan.steps[0].action.clone() else { panic!() };
        wanted
    }

    #[test]
    fn an_optional_step_that_fails_is_an_error_in_no_format() {
        let (name, mut plan) = (TargetName::new("home"), creates(&["a"]));
        plan.steps[0].action = Action::Reload { wanted: created(&plan), account: account() };
        let failed = [StepOutcome::new(StepId(0), Outcome::Failed("it stays down".to_owned()))];
        let report = |plan: &Plan| {
            let report = [report(&name, Ok(plan), &failed)];
            ["github", "gitlab", "junit", "sarif", "markdown"].map(|of| in_format(of, &report))
        };
        let marks =
            ["::error", "critical", "<failure", "\"level\": \"error\"", "1 of 1 steps not done"];
        for (text, mark) in report(&plan).iter().zip(marks) {
            assert!(text.contains(mark), "{mark}: {text}");
        }
        plan.steps[0].reasons = vec![Reason::UnnamedAccountDown];
        for (text, mark) in report(&plan).iter().zip(marks) {
            assert!(!text.contains(mark) && text.contains("it stays down"), "{mark}: {text}");
        }
    }

    #[test]
    fn each_test_of_an_entry_has_a_name_of_its_own() {
        let (name, mut plan) = (TargetName::new("home"), creates(&["a", "b"]));
        let wanted = created(&plan);
        let set_up = Action::SetUp { wanted, name: None, account: None, open: None };
        plan.steps.push(Step::new(StepId(2), set_up));
        let text = in_format("junit", &[report(&name, Ok(&plan), &[])]);
        for test in ["name=\"a (create)\"", "name=\"a (set_up)\"", "name=\"b\""] {
            assert_eq!(text.matches(test).count(), 1, "{test}: {text}");
        }
    }

    #[test]
    fn what_waits_for_a_consent_is_counted_as_that() {
        let (name, plan) = (TargetName::new("home"), creates(&["a"]));
        let link = ConsentLink::new(Secret::new("http://provider/?state=s"), false);
        let waits = [StepOutcome::new(StepId(0), Outcome::Waits(FlowStep::Consent(link)))];
        let text = in_format("markdown", &[report(&name, Ok(&plan), &waits)]);
        assert!(text.contains("applied, 1 waiting for consent**"), "{text}");
    }

    #[test]
    fn accounts_that_are_removed_are_in_the_summary_for_programs() {
        let (name, mut plan) = (TargetName::new("home"), creates(&["a"]));
        let (wanted, called) = (created(&plan), AccountName::new("Ann").unwrap());
        plan.steps[0].action =
            Action::RemoveAccount { wanted: wanted.clone(), name: called, account: account() };
        let open = Some(FlowId::new("flow"));
        let goes_on = Action::SetUp { wanted, name: None, account: None, open };
        plan.steps.push(Step::new(StepId(1), goes_on));
        let text = in_format("json", &[report(&name, Ok(&plan), &[])]);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let summary = &document["targets"][0]["summary"];
        assert_eq!((&summary["remove"], &summary["set_up"]), (&1.into(), &0.into()), "{text}");
    }

    #[test]
    fn what_is_to_be_done_twice_at_one_target_has_two_lines() {
        let (name, twice) = (TargetName::new("home"), creates(&["a"; 30]));
        let text = stripped(&plan(&[report(&name, Ok(&twice), &[])], Details::WhereShort));
        assert_eq!(text.matches("  + create spotify").count(), 30, "{text}");
        assert!(!text.contains("targets"), "{text}");
        let failed = |id| StepOutcome::new(StepId(id), Outcome::Failed("no".to_owned()));
        let text = stripped(&outcomes(
            &[report(&name, Ok(&twice), &[failed(0), failed(1)])],
            Links::Hidden,
        ));
        assert_eq!(text.matches("home: failed: create spotify").count(), 2, "{text}");
    }

    #[test]
    fn what_has_an_entry_is_not_taken_for_gone() {
        let (name, mut plan_of) = (TargetName::new("home"), creates(&["a"]));
        let old = Held {
            id: CredentialId::new("id"),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("other"),
            name: None,
            auth_domain: Some("appcred:house:b".into()),
        };
        let delete = Action::Delete { old: old.clone(), remove: Vec::new() };
        plan_of.steps.push(Step::new(StepId(1), delete));
        let said = |of: &Plan| stripped(&plan(&[report(&name, Ok(of), &[])], Details::All));
        assert!(said(&plan_of).contains("`formerly: [b]`"), "{}", said(&plan_of));
        plan_of.credential_states.push(ComparedCredential {
            held: old,
            owned_by: None,
            state: CredentialState::InSync(Key::new("b").unwrap()),
            users: Vec::new(),
            is_protected: false,
            is_suspended: false,
        });
        assert!(!said(&plan_of).contains("formerly"), "{}", said(&plan_of));
    }

    #[test]
    fn nothing_is_said_of_changes_at_targets_that_cannot_be_read() {
        let (names, nothing) = (names(2), creates(&[]));
        let mut targets: Vec<_> =
            names.iter().map(|name| report(name, Err("no route"), &[])).collect();
        let text = stripped(&plan(&targets, Details::WhereShort));
        assert!(text.contains("Total of 2 targets: none could be read."), "{text}");
        targets[0].plan = Ok(&nothing);
        let text = stripped(&plan(&targets, Details::WhereShort));
        let known = "Total of 2 targets: No changes are known. 1 target could not be read.";
        assert!(text.contains(known), "{text}");
    }

    #[test]
    fn what_many_targets_have_is_written_once_after_what_few_have() {
        let (usual, other, nothing) = (creates(&["a", "b"]), creates(&["a", "c"]), creates(&[]));
        let names = names(13);
        let mut targets: Vec<_> = names.iter().map(|name| report(name, Ok(&usual), &[])).collect();
        targets[4].plan = Ok(&other);
        targets[5].plan = Ok(&nothing);
        targets[6].plan = Err("no route");
        targets[7].is_new = true;
        let text = stripped(&plan(&targets, Details::WhereShort));
        assert_eq!(
            text,
            r#"house-7 (http://ha)
  error: no route

house-5 (http://ha)

  + create spotify "Anna" (c)

In 10 targets (house-1, house-2, house-3 and 7 others), 1 new folder

  + create spotify "Anna" (b)

In 11 targets (house-1, house-2, house-3 and 8 others), 1 new folder

  + create spotify "Anna" (a)

No changes in 1 target (house-6)

Total of 13 targets: 22 to create, 0 to replace, 0 to delete. 1 target could not be read.
--verbose shows every change in full.
"#
        );
        let full = stripped(&plan(&targets, Details::All));
        assert_eq!(full.matches("at http").count() + full.matches("+ create").count(), 22);
        assert!(full.contains("\nTotal of 13 targets:"), "{full}");
    }

    #[test]
    fn a_long_plan_of_one_target_has_a_line_for_each_change() {
        let keys: Vec<String> = (0..40).map(|at| format!("k{at}")).collect();
        let long = creates(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let name = TargetName::new("home");
        let text = stripped(&plan(&[report(&name, Ok(&long), &[])], Details::WhereShort));
        assert_eq!(text.lines().count(), 40 + 5, "{text}");
        assert!(text.contains("  + create spotify \"Anna\" (k39)\n\nPlan: 40 to create"), "{text}");
    }

    #[test]
    fn a_list_says_nothing_of_what_it_does_not_list() {
        let (name, mut wanted) = (TargetName::new("home"), creates(&["a"]));
        wanted.setup_states = abandons("family").setup_states;
        let of = |states| {
            let rows = Rows { owners: Vec::new(), states };
            stripped(&list::text(&[report(&name, Ok(&wanted), &[])], &rows, None, Details::All))
        };
        let text = of(vec![RowState::Is(CredentialCode::Missing)]);
        assert!(text.contains("missing") && !text.contains("family"), "{text}");
    }

    #[test]
    fn a_long_list_on_a_terminal_counts_what_is_in_sync() {
        let credential = |at: usize| ComparedCredential {
            held: Held {
                id: CredentialId::new(format!("id-{at}")),
                domain: Domain::new("spotify"),
                client_id: ClientId::new("client"),
                name: None,
                auth_domain: None,
            },
            owned_by: None,
            state: match at {
                0 => CredentialState::Differs(Key::new("changed").unwrap()),
                _ => CredentialState::InSync(Key::new(&format!("key-{at}")).unwrap()),
            },
            users: Vec::new(),
            is_protected: false,
            is_suspended: at == 1,
        };
        let name = TargetName::new("home");
        let of = |length, width, details| {
            let credential_states = (0..length).map(credential).collect();
            let plan = Plan { credential_states, ..Plan::default() };
            stripped(&list::text(
                &[report(&name, Ok(&plan), &[])],
                &Rows::default(),
                width,
                details,
            ))
        };
        let folded = of(201, Some(200), Details::WhereShort);
        assert!(
            folded.contains("(199 credentials in sync: `--verbose` lists them too)"),
            "{folded}"
        );
        assert!(folded.contains("changed") && folded.contains("suspended"), "{folded}");
        assert!(folded.lines().count() < 8, "{folded}");
        for (length, width, details) in [
            (200, Some(200), Details::WhereShort),
            (201, None, Details::WhereShort),
            (201, Some(200), Details::All),
        ] {
            assert!(
                of(length, width, details).contains("key-199"),
                "{length} {width:?} {details:?}"
            );
        }
    }

    #[test]
    fn what_is_created_and_set_up_is_one_line_of_a_long_plan() {
        let keys: Vec<String> = (0..20).map(|at| format!("k{at}")).collect();
        let mut long = creates(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let set_up = |step: &Step| {
            let Action::Create { wanted } = step.action.clone() else { panic!() };
            let action = Action::SetUp { wanted, name: None, account: None, open: None };
            Step { action, reasons: vec![Reason::NotSetUp], ..step.clone() }
        };
        let set_ups: Vec<Step> = long.steps.iter().skip(1).map(set_up).collect();
        long.steps.extend(set_ups);
        let name = TargetName::new("home");
        let text = stripped(&plan(&[report(&name, Ok(&long), &[])], Details::WhereShort));
        assert_eq!(text.matches("  + create and set up spotify").count(), 19, "{text}");
        assert!(text.contains("  + create spotify \"Anna\" (k0)\n"), "{text}");
        assert!(!text.contains("  > "), "{text}");
        assert!(text.contains("Plan: 20 to create, 0 to replace, 0 to delete, 19 to set up."));
    }

    #[test]
    fn what_failed_in_many_targets_is_written_once() {
        let usual = creates(&["a"]);
        let names = names(12);
        let of = |outcome: Outcome| [StepOutcome::new(StepId(0), outcome)];
        let (done, failed) = (of(Outcome::Done), of(Outcome::Failed("no rights".to_owned())));
        let outcome = |at: usize| if at < 9 { &failed[..] } else { &done[..] };
        let targets: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(at, name)| report(name, Ok(&usual), outcome(at)))
            .collect();
        assert_eq!(
            stripped(&outcomes(&targets, Links::Hidden)),
            r#"house-1, house-2, house-3 and 6 others: failed: create spotify "Anna": no rights
house-1, house-2, house-3 and 6 others: 0 created, 0 replaced, 0 deleted, 1 failed.
house-10, house-11, house-12: 1 created, 0 replaced, 0 deleted.
Total of 12 targets: 3 created, 0 replaced, 0 deleted, 9 failed.
"#
        );
    }
}
