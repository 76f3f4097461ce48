//! `apply`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use futures_util::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::plan::Plan;
use crate::reconcile::{self, Unchecked, Verdicts};
use crate::report::{Report, Verb, json, text};
use crate::target::{Stop, Target};

use super::exit::ExitStatus;
use super::gather::{Gathered, OnError, Site, gather, report, tell_unknown};
use super::links::LinkArgs;
use super::output::{Outputs, names};
use super::selection::{PolicyArgs, Selection};
use super::{Global, console, plan_file, verify};

/// Fewer operations than this are over before a bar is seen.
const WORTH_A_BAR: usize = 20;

/// Make targets hold what the manifests want
///
/// Shows the plan, asks, and carries it out: new credentials first, then linked accounts are
/// reloaded where their secret changed, then what is replaced or no longer wanted is deleted. Then
/// the set-up of each integration that is not linked yet is started, as far as it goes without a
/// person, and the link shown where somebody must consent. Before a secret in use is replaced, its
/// provider is asked whether the new one is right, where its token endpoint is known. What fails stops only what depends on
/// it. After Ctrl-C what is in flight is finished and the rest told.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred apply
  appcred apply --yes --target home
  appcred apply --yes --max-deletes 3
  appcred apply house.plan       # of `appcred plan --out house.plan`
  appcred apply --yes --verify   # a wrong secret changes nothing")]
pub(super) struct Apply {
    /// Apply exactly this saved plan, or nothing, without asking
    ///
    /// Plans anew, and goes on only if that comes to what `plan --out FILE` saved. Arguments that
    /// shaped the plan are given here as well.
    #[arg(value_name = "FILE", conflicts_with = "targets")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
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
    outputs: Outputs,
    #[command(flatten)]
    links: LinkArgs,
}

pub(super) async fn run(global: &Global, verb: &Apply) -> anyhow::Result<ExitStatus> {
    let policy = |project: &_| verb.policy.over(project);
    let saved = verb.plan.as_deref().map(plan_file::read).transpose()?;
    let selection = match &saved {
        None => &verb.selection,
        Some(saved) => &Selection { targets: saved.targets().map(str::to_owned).collect() },
    };
    let gathered = gather(global, selection, policy, OnError::Stop).await?;
    let Gathered { manifests, problems, sites } = gathered;
    let write = |sites: &[Site]| {
        report(sites, |houses| {
            let names = names(global);
            let report = Report {
                verb: Verb::Apply,
                manifests: &manifests,
                problems: &problems,
                houses,
                names: &names,
            };
            verb.outputs.write(
                &report,
                &verb.links,
                &|links| text::outcomes(houses, links),
                &|links| json::plan(&report, links),
            )
        })
    };
    let Some(mut sites) = sites else {
        write(&[])?;
        return Ok(ExitStatus::Failure);
    };
    if verb.outputs.print_text() {
        console::print(&report(&sites, |houses| text::plan(houses, verb.links.printed())))?;
    } else {
        tell_unknown(&sites);
    }
    if let Some(saved) = &saved
        && !plan_file::still_holds(saved, &sites)?
    {
        return Ok(ExitStatus::Failure);
    }
    if sites.iter().any(has_work) {
        if verb.outputs.print_text() {
            console::print("\n")?;
        }
        if verb.verify && !verify::plans(&sites, verb.strict).await {
            console::tell("Nothing was changed.\n");
            return Ok(ExitStatus::Failure);
        }
        // A saved plan was seen by whoever saved it.
        let is_agreed = verb.yes || saved.is_some();
        if !is_agreed && !agreed("Apply these changes?", "--yes to apply without asking").await? {
            console::tell("Nothing was changed.\n");
            return Ok(ExitStatus::Failure);
        }
        carry_out(&mut sites).await?;
    }
    write(&sites)?;
    Ok(if sites.iter().all(arrived) { ExitStatus::Success } else { ExitStatus::Failure })
}

pub(super) fn has_work(site: &Site) -> bool {
    site.sides.as_ref().is_ok_and(|sides| !sides.plan.is_stopped() && !sides.plan.steps.is_empty())
}

/// Whether somebody agrees to what was shown.
///
/// # Errors
/// Where there is nobody to ask; `instead` says what to pass then.
pub(super) async fn agreed(question: &str, instead: &str) -> anyhow::Result<bool> {
    if !console::can_ask() {
        bail!("there is no terminal to ask on, so nothing was changed: pass {instead}");
    }
    let question = format!("{question} [y/N] ");
    Ok(tokio::task::spawn_blocking(move || console::confirm(&question)).await??)
}

/// Carries out the plans of all sites.
///
/// # Errors
/// Where it is interrupted twice.
pub(super) async fn carry_out(sites: &mut [Site]) -> anyhow::Result<()> {
    let stop = Stop::new();
    let bars = MultiProgress::with_draw_target(if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    });
    let told_twice = stop_on_signal(stop.clone())?;
    let work = join_all(
        sites
            .iter_mut()
            .filter(|site| has_work(site))
            .map(|site| carry_out_one(site, &stop, &bars)),
    );
    tokio::select! {
        _ = work => Ok(()),
        () = told_twice => bail!("interrupted twice: what was in flight may be done or not, `appcred plan` tells"),
    }
}

async fn carry_out_one(site: &mut Site, stop: &Stop, bars: &MultiProgress) {
    let (Ok(sides), Some(target)) = (&site.sides, &mut site.target) else { return };
    let mut bar = None;
    let name = site.name.clone();
    let mut progress = |over: usize, total: usize| {
        if total >= WORTH_A_BAR {
            let bar = bar.get_or_insert_with(|| bars.add(new_bar(&name.to_string(), total)));
            bar.set_position(over as u64);
        }
    };
    let proven = reconcile::prove(&sides.plan, &sides.desired, &mut Verdicts::default()).await;
    for Unchecked { key, why } in &proven.unchecked {
        console::tell(&format!(
            "warning: {name}: the new secret of `{key}` is in use and could not be checked: {why}\n"
        ));
    }
    site.outcomes =
        reconcile::apply(&proven.plan, &sides.desired, target, stop, &mut progress).await;
    site.outcomes.extend(proven.refused);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if let Target::HomeAssistant(ha) = target {
        reconcile::set_up(&proven.plan, &sides.desired, ha, stop, &mut site.outcomes).await;
    }
    for outcome in &site.outcomes {
        tracing::info!(target = %site.name, step = outcome.step.0, outcome = ?outcome.outcome, "step");
    }
}

fn new_bar(name: &str, total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::new(total as u64).with_style(style).with_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Cancels on the first Ctrl-C or SIGTERM, and is over on the second.
fn stop_on_signal(stop: Stop) -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if !stop.is_cancelled() {
                console::tell(
                    "\nInterrupted: finishing what is in flight; once more to leave at once.\n",
                );
                stop.cancel();
            }
        }
    })
}

/// Whether the target holds what is wanted now, as far as it is appcred's to say.
pub(super) fn arrived(site: &Site) -> bool {
    let Ok(sides) = &site.sides else { return false };
    site.outcomes.iter().all(|outcome| outcome.outcome.is_well()) && !is_hindered(&sides.plan)
}

/// Whether the plan leaves something undone that waits for a person's word.
fn is_hindered(plan: &Plan) -> bool {
    plan.withheld.iter().any(|withheld| withheld.why.is_error())
}
