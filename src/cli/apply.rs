//! `apply`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::{Key, Selection, TargetSelection, UndoneWave, Windows, counted};
use crate::plan_file::PlanFile;
use crate::reconcile::{self, Verdicts, unchecked_line};
use crate::report::{Report, Verb, text};
use crate::target::Stop;
use crate::workspace::{Comparison, TargetView, find_entry};

use super::exit::ExitStatus;
use super::gather::{Gathered, ask_about_troubles, gather, load, reported, show_unknown};
use super::inputs::{OutputKind, refuse_inputs};
use super::interrupt::{confirm, stop_on_signal};
use super::links::LinkArgs;
use super::locks::lock_targets;
use super::look_again::look_again;
use super::output::{Outputs, names};
use super::plan::say_selected;
use super::selection::{EntryArgs, PolicyArgs, TargetArgs};
use super::source_args::SourceArgs;
use super::waves::RunInWaves;
use super::{Global, console, environment, plan_file, verify};

/// Fewer operations than this are over before a bar is seen.
const WORTH_A_BAR: usize = 20;

/// Make targets hold what the manifests want
///
/// Shows the plan, asks, and carries it out: new credentials first, then linked accounts are
/// reloaded where their secret changed, then what is replaced or no longer wanted is deleted. Then
/// the set-up of each integration that is not linked yet is started, as far as it goes without a
/// person, and the link shown where somebody must consent. Before a secret in use is replaced, its
/// provider is asked whether the new one is right, and before a set-up is started, whether the redirect
/// URI is registered, as far as its endpoints are known. What fails stops only what depends on it. After Ctrl-C what is in flight is finished and the rest reported.
/// `plan --help` says what --key, --domain and --exclude leave out.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = "Examples:
  appcred apply
  appcred apply --yes --target home
  appcred apply --key spotify-family
  appcred apply --yes --max-deletes 3
  appcred apply house.plan       # of `appcred plan --out house.plan`
  appcred apply --yes --verify   # a wrong secret changes nothing")]
pub(super) struct ApplyArgs {
    /// Apply exactly this saved plan, or nothing, without asking
    ///
    /// Plans again, and continues only if the result is what `plan --out FILE` saved. The file remembers
    /// what was selected, `--no-setup` and `--prune none`; arguments that allow more are given here as well.
    #[arg(value_name = "FILE", conflicts_with_all = ["targets", "selector", "keys", "domains", "excluded"])]
    plan: Option<PathBuf>,
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Ask the providers first whether new client ids and secrets are right, and change nothing if
    /// one is wrong
    #[arg(long)]
    verify: bool,
    /// With --verify, change nothing either if it does not become clear whether one is right
    #[arg(long, requires = "verify")]
    strict: bool,
    #[command(flatten)]
    pub(super) outputs: Outputs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    links: LinkArgs,
    /// Whether another verb has selected the entries, which it has changed.
    #[arg(skip)]
    follows_change: bool,
}

impl ApplyArgs {
    /// Whether somebody must agree to the plan. A saved one was seen by whoever saved it.
    fn asks(&self) -> bool {
        !self.yes && self.plan.is_none()
    }

    /// What applies these entries alone, which were changed just now.
    pub(super) fn of(keys: &[Key], yes: bool) -> Self {
        Self { entries: EntryArgs::of(keys), yes, follows_change: true, ..Self::default() }
    }
}

pub(super) async fn run(global: &Global, verb: &ApplyArgs) -> anyhow::Result<ExitStatus> {
    refuse_inputs(global, verb.outputs.files()?.map(|file| (OutputKind::Report, file)))?;
    let saved = verb.plan.as_deref().map(|file| saved_plan(global, file)).transpose()?;
    let earlier = saved.as_ref().map_or(&[][..], PlanFile::arguments);
    let policy = verb.policy.overrides(&verb.entries).held_back_by(earlier);
    let selection = match &saved {
        None => &verb.selection.selection(),
        Some(saved) => &TargetSelection::of_names(saved.targets().map(str::to_owned).collect()),
    };
    // Two runs that plan at once would both create what is missing.
    let (project, write_locks, locks) = lock_targets(global, selection).await?;
    let mut gathered = gather(global, selection, &policy).await?;
    ask_about_troubles(&mut gathered.targets).await;
    let Gathered { manifests, problems, windows, rollout, reach, targets } = gathered;
    let saved_by = saved.as_ref().zip(verb.plan.as_deref());
    let saved_by = saved_by.map(|(saved, file)| plan_file::command(saved, file, &project));
    let mut waves = RunInWaves { rollout, reach, write_locks, locks, saved_by, undone: None };
    // Nobody typed what selects a change that was made just now.
    let selected = if verb.follows_change { &Selection::default() } else { &policy.selection };
    let write = |views: &[TargetView], undone: Option<&UndoneWave>| {
        let (targets, names) = (reported(views), names(global));
        let report = Report {
            verb: Verb::Apply,
            manifests: &manifests,
            problems: &problems,
            targets: &targets,
            names: &names,
            selection: selected,
            commit: global.commit(),
            details: global.details(),
            undone,
        };
        verb.outputs.write(&report, &verb.links)
    };
    let Some(mut views) = targets else {
        write(&[], None)?;
        return Ok(ExitStatus::Failure);
    };
    show_plan(global, verb, &views, selected)?;
    if let (Some(saved), Some(command)) = (&saved, &waves.saved_by)
        && !plan_file::is_up_to_date(saved, &views, &policy, command)?
    {
        return Ok(ExitStatus::Failure);
    }
    if views.iter().any(TargetView::has_work) {
        if verb.outputs.print_text() {
            console::print("\n")?;
        }
        say_window(&windows);
        let Some(verdicts) = agreed_to(verb, &views).await? else {
            console::message("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        };
        if verb.asks() {
            look_again(&mut views, &waves.reach, |_, plan| plan).await?;
        }
        carry_out(&mut views, verdicts, Some(&mut waves)).await?;
    }
    write(&views, waves.undone.as_ref())?;
    Ok(ended(&views))
}

/// What providers say of new secrets; none where that or whoever applies is against it.
async fn agreed_to(verb: &ApplyArgs, views: &[TargetView]) -> anyhow::Result<Option<Verdicts>> {
    let verdicts = match verb.verify {
        true => verify::plans(views, verb.strict).await,
        false => Some(Verdicts::default()),
    };
    if verdicts.is_none() || !verb.asks() {
        return Ok(verdicts);
    }
    let is_agreed = agreed("Apply these changes?", "--yes to apply without asking").await?;
    Ok(verdicts.filter(|_| is_agreed))
}

/// Says that no window is open. Whoever applies decides that.
fn say_window(windows: &Windows) {
    let now = environment::now();
    if !windows.are_open(now) {
        console::message(format_args!(
            "No maintenance window is open before {}: `watch` waits for it, `apply` does not.",
            windows.next_in_words(now)
        ));
    }
}

fn show_plan(
    global: &Global,
    verb: &ApplyArgs,
    views: &[TargetView],
    selection: &Selection,
) -> anyhow::Result<()> {
    say_selected(selection);
    if verb.outputs.print_text() {
        console::print(&text::plan(&reported(views), global.details()))?;
    } else {
        show_unknown(views);
    }
    Ok(())
}

/// The saved plan in a file; what is no file may be an entry that somebody meant.
fn saved_plan(global: &Global, file: &Path) -> anyhow::Result<PlanFile> {
    if !file.exists()
        && let Some(word) = file.to_str()
        && let Ok(key) = find_entry(word, load(global).entries.iter().map(Arc::as_ref))
    {
        bail!(
            "`{key}` is an entry, not a saved plan: `appcred apply --key {key}` applies it alone"
        );
    }
    plan_file::read(file)
}

/// The exit status, after a message about what a person must decide.
fn ended(views: &[TargetView]) -> ExitStatus {
    let blocked: usize = views.iter().map(blocked).sum();
    if blocked > 0 {
        let known = views.iter().filter_map(|view| view.comparison.as_ref().ok());
        let all: usize = known.map(|comparison| comparison.plan.withheld.len()).sum();
        let some = if all > blocked { format!(", {blocked} of them") } else { String::new() };
        console::error(format_args!(
            "{} not done{some}, since a person must decide: the plan has the reasons under `not done`",
            counted(all, "step")
        ));
    }
    if views.iter().all(arrived) { ExitStatus::Success } else { ExitStatus::Failure }
}

/// Whether somebody agrees to what was shown.
///
/// # Errors
/// Where there is nobody to ask; `instead` says what to pass then.
pub(super) async fn agreed(question: &str, instead: &str) -> anyhow::Result<bool> {
    if !console::can_ask() {
        bail!("there is no terminal to ask on, so nothing was changed: pass {instead}");
    }
    confirm(format!("{question} [y/N] ")).await
}

/// Carries out the plans of all views, in waves where there are any.
///
/// # Errors
/// Where it is interrupted twice.
pub(super) async fn carry_out(
    views: &mut [TargetView],
    mut verdicts: Verdicts,
    waves: Option<&mut RunInWaves>,
) -> anyhow::Result<()> {
    let stop = Stop::new();
    let bars = MultiProgress::with_draw_target(if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    });
    let interrupted_twice = stop_on_signal(stop.clone())?;
    let work = async {
        let planned = views.iter().filter(|view| view.has_work()).filter_map(TargetView::planned);
        verdicts.learn_about_set_ups(planned).await;
        let worker = Worker { verdicts, stop: &stop, bars };
        match waves {
            Some(waves) => waves.carry_out(views, &worker).await,
            None => worker.work(views.iter_mut()).await,
        }
    };
    tokio::select! {
        () = work => Ok(()),
        () = interrupted_twice => bail!("interrupted twice: steps in flight may or may not be done; `appcred plan` shows which"),
    }
}

/// What plans are carried out with.
pub(super) struct Worker<'s> {
    verdicts: Verdicts,
    pub(super) stop: &'s Stop,
    bars: MultiProgress,
}

impl Worker<'_> {
    /// Carries out the plans of these views, side by side.
    pub(super) async fn work<'v>(&self, views: impl Iterator<Item = &'v mut TargetView>) {
        let working = views.filter(|view| view.has_work());
        join_all(working.map(|view| self.carry_out(view))).await;
    }

    async fn carry_out(&self, view: &mut TargetView) {
        let (Ok(comparison), Some(target)) = (&view.comparison, &mut view.target) else { return };
        let mut bar = None;
        let name = view.name.clone();
        let mut progress = |over: usize, total: usize| {
            if total >= WORTH_A_BAR {
                let bar = bar.get_or_insert_with(|| {
                    let bar = self.bars.add(new_bar(&name.to_string(), total));
                    bar.tick();
                    bar.enable_steady_tick(Duration::from_millis(100));
                    bar
                });
                bar.set_position(over as u64);
            }
        };
        let Comparison { desired, observed, plan, .. } = comparison;
        let (of, stop) = ((plan, desired, observed), self.stop);
        let carried_out =
            reconcile::carry_out(of, target, &mut self.verdicts.clone(), stop, &mut progress).await;
        if let Some(line) = unchecked_line(&carried_out.unchecked) {
            console::warning(format_args!("{name}: {line}"));
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        view.outcomes = carried_out.outcomes;
        for done in &view.outcomes {
            let Some(step) = plan.step(done.step) else { continue };
            let (outcome, why) = (done.outcome.code().as_str(), done.outcome.why());
            tracing::info!(target = %view.name, outcome, why, "{}", step.action.summary());
        }
    }
}

/// A line that fits into the terminal, whatever the name: those of all targets are below each other.
fn new_bar(name: &str, total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:16!} [{wide_bar}] {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(total as u64).with_style(style).with_message(name.to_owned())
}

/// Whether everything that was wanted is done, or waits for consent.
pub(super) fn arrived(view: &TargetView) -> bool {
    view.comparison.as_ref().is_ok_and(|Comparison { plan, .. }| {
        !view.outcomes.iter().any(|outcome| outcome.is_failure(plan)) && !plan.waits_for_wave()
    }) && blocked(view) == 0
}

/// How much the plan leaves undone that a person must decide.
fn blocked(view: &TargetView) -> usize {
    view.comparison.as_ref().map_or(0, |comparison| comparison.plan.blocked())
}
