//! `plan`

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::SignedDuration;

use crate::diagnostic::{Diagnostics, ProblemCode, Spot};
use crate::model::{Selection, counted};
use crate::plan::Plan;
use crate::report::{Format, Report, Verb};
use crate::target::snapshot::SnapshotLocation;
use crate::workspace::{Against, TargetView};

use super::ask::Terminal;
use super::exit::ExitStatus;
use super::gather::{
    Gathered, ask_about_troubles, gather, gather_snapshot, reported, show_unknown, workspace,
};
use super::inputs::{OutputKind, refuse_inputs};
use super::links::LinkArgs;
use super::output::{Outputs, names};
use super::selection::{EntryArgs, PolicyArgs, TargetArgs};
use super::source_args::SourceArgs;
use super::times::duration;
use super::{Global, console, environment, plan_file};

/// Show what `apply` would do, and change nothing
///
/// Reads the manifests, decrypts their secrets, looks at each target, and reports what would be
/// created, replaced, adopted or deleted there, what would not, and why. A long plan has a line for each
/// change, and what several targets have alike once; --verbose shows all of each.
///
/// Before each change: `+` create, `-/+` replace, `~` adopt, claim or record, `-` delete or unlink,
/// `>` set up, `^` reload, `x` end a set-up, `!` not done, `?` unknown.
///
/// With --key, --domain or --exclude everything is planned, and then what is not selected is left out:
/// it is neither created, changed nor deleted. An entry is selected by its key or an earlier one in `formerly`, and left
/// out also by one that a target has of it. What no entry declares any more is deleted where its own key and
/// integration are selected, as `list` shows them; what an entry had for another integration goes with the entry;
/// what nobody manages has no key. Limits such as
/// `max_deletes` count all. What must be done after a step that is left out is not done.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred plan
  appcred plan --target home --format json
  appcred plan --key 'spotify-*' --exclude spotify-kids
  appcred plan --against snapshot.json --max-age 7d
  appcred plan --out house.plan && appcred apply house.plan
  appcred plan --detailed-exitcode   # 0 in sync, 1 error, 2 changes
  appcred plan --fail-on delete --format text --format markdown=plan.md --format junit=plan.xml")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    pub(super) outputs: Outputs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Save the plan, for an `apply FILE` of exactly that; not possible for secrets that are not encrypted in
    /// the manifest
    #[arg(short, long, value_name = "FILE", conflicts_with = "against", value_parser = plan_path)]
    out: Option<PathBuf>,
    /// Plan from a snapshot instead of the targets: neither a key nor a token is needed
    ///
    /// What a snapshot does not contain is shown as unknown. An address that asks for a token, as the status
    /// page of `appcred watch` may, is sent that of APPCRED_SNAPSHOT_TOKEN.
    #[arg(long, value_name = "FILE|URL|-", value_parser = SnapshotLocation::parse)]
    against: Option<SnapshotLocation>,
    /// Refuse a snapshot that is older, as in 30m, 24h or 7d
    #[arg(long, value_name = "AGE", requires = "against", value_parser = duration)]
    max_age: Option<SignedDuration>,
    /// End with 2 where a target is not in sync, as terraform does
    #[arg(long)]
    detailed_exitcode: bool,
    /// End with 1 where the plan has something of this kind; several with commas between
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
}

/// A file for the plan, and not what other tools mean by `-o`.
fn plan_path(text: &str) -> Result<PathBuf, String> {
    if Format::named(text).is_some() || matches!(text, "yaml" | "wide" | "name") {
        return Err(format!(
            "`--format` chooses the format; to save the plan in a file of this name write ./{text}"
        ));
    }
    if text == "-" {
        return Err("a plan is saved in a file: `--format json` prints one for programs".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// What a plan must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A credential that is deleted without another in its place, or that nobody manages; a linked account
    /// that is removed
    Delete,
    /// A credential that nobody manages, or that was made by hand for a client of an entry
    Foreign,
    /// A credential of ours that is not as its entry wants it, whether that was edited or the target; only `watch` can
    /// say which. One that was deleted is to be created, since one run cannot know that it was there
    Differs,
    /// An entry whose `expires` has passed or is near, or whose `rotate_after` has passed
    Expiring,
}

impl FailOn {
    fn count(
        self,
        view: &TargetView,
        plan: &Plan,
        problems: &Diagnostics,
        selection: &Selection,
    ) -> usize {
        match self {
            Self::Delete => plan.deletes() + plan.removed_accounts() + plan.deferred_deletes(),
            Self::Foreign => plan.unmanaged(),
            Self::Differs => plan.differing(),
            Self::Expiring => due(view, problems, selection),
        }
    }

    fn message(self, count: usize, plan: &Plan) -> String {
        let (name, what) = match self {
            Self::Delete => return format!("--fail-on delete: {}", deletes(plan)),
            Self::Foreign => ("foreign", "that no repository manages"),
            Self::Differs if count == 1 => ("differs", "that is not as its entry wants it"),
            Self::Differs => ("differs", "that are not as their entries want them"),
            Self::Expiring => ("expiring", "to renew"),
        };
        format!("--fail-on {name}: {} {what}", counted(count, "credential"))
    }
}

/// What a plan deletes, and what it would delete if nothing held that back.
fn deletes(plan: &Plan) -> String {
    let parts = [
        (plan.deletes(), "credential", "to delete"),
        (plan.removed_accounts(), "linked account", "to delete"),
        (plan.deferred_deletes(), "credential", "to delete once nothing holds that back"),
    ];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<_> =
        parts.map(|(count, noun, what)| format!("{} {what}", counted(count, noun))).collect();
    parts.join(", ")
}

/// How many of the selected entries of a target are reported because of their dates.
fn due(view: &TargetView, problems: &Diagnostics, selection: &Selection) -> usize {
    let codes = [ProblemCode::Expired, ProblemCode::Expiring, ProblemCode::RotationDue];
    let problems = problems.sorted();
    let due = problems.iter().filter(|problem| codes.contains(&problem.code));
    let spots: Vec<&Spot> = due.filter_map(|problem| problem.spot.as_ref()).collect();
    let entries = view.entries.values();
    let selected = entries.filter(|entry| selection.includes(entry.keys(), &entry.domain.value));
    let dates = selected.flat_map(|entry| [&entry.expires, &entry.rotate_after]);
    dates.flatten().filter(|date| spots.contains(&&date.spot)).count()
}

pub(super) async fn run(global: &Global, verb: &PlanArgs) -> anyhow::Result<ExitStatus> {
    let reports = verb.outputs.files()?.map(|file| (OutputKind::Report, file));
    refuse_inputs(global, reports.chain(verb.out.as_deref().map(|file| (OutputKind::Plan, file))))?;
    let policy = verb.policy.overrides(&verb.entries);
    let mut gathered = match &verb.against {
        None => gather(global, &verb.selection.selection(), &policy).await?,
        Some(source) => {
            let against = Against {
                source: source.clone(),
                token: environment::snapshot_token(),
                network: workspace(global).snapshot_network(source, Terminal)?,
                max_age: verb.max_age,
                now: environment::now(),
            };
            gather_snapshot(global, &verb.selection.selection(), &policy, &against).await?
        }
    };
    ask_about_troubles(&mut gathered.targets).await;
    let Gathered { manifests, problems, targets, .. } = &gathered;
    let shown = reported(targets.as_deref().unwrap_or_default());
    let names = names(global);
    let report = Report {
        verb: Verb::Plan,
        manifests,
        problems,
        targets: &shown,
        names: &names,
        selection: &policy.selection,
        commit: global.commit(),
        details: global.details(),
        undone: None,
    };
    verb.outputs.write(&report, &LinkArgs::default())?;
    say_selected(&policy.selection);
    let failed = || {
        if let Some(file) = &verb.out {
            plan_file::say_unsaved(file);
        }
        Ok(ExitStatus::Failure)
    };
    let Some(views) = targets else { return failed() };
    if !verb.outputs.print_text() {
        show_unknown(views);
    }
    if is_refused(views, &verb.fail_on, problems, &policy.selection) {
        return failed();
    }
    if let Some(file) = &verb.out {
        plan_file::write(views, &policy, file).inspect_err(|_| plan_file::say_unsaved(file))?;
    }
    Ok(status(views, verb.detailed_exitcode))
}

/// Whether a plan has what it must not have, and reports it.
fn is_refused(
    views: &[TargetView],
    fail_on: &[FailOn],
    problems: &Diagnostics,
    selection: &Selection,
) -> bool {
    let mut refused = false;
    for view in views {
        let Ok(comparison) = &view.comparison else { continue };
        for kind in fail_on {
            let count = kind.count(view, &comparison.plan, problems, selection);
            if count > 0 {
                refused = true;
                console::error(format_args!(
                    "{}: {}",
                    view.name,
                    kind.message(count, &comparison.plan)
                ));
            }
        }
    }
    refused
}

/// Says that the result is not about everything.
pub(super) fn say_selected(selection: &Selection) {
    if !selection.is_whole() {
        let arguments = selection.arguments().join(" ");
        console::message(format_args!("Only what is selected was planned: {arguments}"));
    }
}

fn status(views: &[TargetView], detailed: bool) -> ExitStatus {
    let plans: Option<Vec<_>> = views
        .iter()
        .map(|view| view.comparison.as_ref().ok().map(|comparison| &comparison.plan))
        .collect();
    match plans {
        None => ExitStatus::Failure,
        Some(plans) if plans.iter().any(|plan| plan.has_unknown_integration()) => {
            ExitStatus::Failure
        }
        Some(plans) if detailed && !plans.iter().all(|plan| plan.is_in_sync()) => {
            ExitStatus::Changes
        }
        Some(_) => ExitStatus::Success,
    }
}
