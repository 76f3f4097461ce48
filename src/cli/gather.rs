//! What verbs share: reading a workspace and showing its problems to a person.

use std::path::PathBuf;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;

use crate::desired::{Needed, Resolved};
use crate::diagnostic::Diagnostics;
use crate::manifest::{Entry, LoadRequest, Loaded, Project, check_known, secret_values};
use crate::model::{PolicyOverrides, Rollout, TargetSelection, Windows};
use crate::reconcile::{self, Verdicts};
use crate::report::{EntryPlaces, TargetReport, notices, problems};
use crate::repository;
use crate::secret::{IdentityProblem, SecretResolver, env};
use crate::target::Target;
use crate::workspace::{
    Against, Comparison, Evaluation, OnError, Reach, Resolution, TargetView, Workspace,
};

use super::ask::Terminal;
use super::{Global, console, environment, pager};

/// The workspace that the command runs in.
pub(super) fn workspace(global: &Global) -> Workspace {
    Workspace {
        folder: global.folder.clone(),
        environment: environment::read(),
        fetched: global.fetched.as_ref().map(|fetched| fetched.root.clone()),
        no_programs: global.fetched.as_ref().is_some_and(|fetched| !fetched.may_run),
        owner: global.fetched.as_ref().and_then(|fetched| fetched.owner.clone()),
    }
}

/// Reads the project and its manifests.
pub(super) fn load(global: &Global) -> Loaded {
    workspace(global).load()
}

/// What there is to read.
pub(super) fn request(global: &Global) -> LoadRequest {
    workspace(global).request()
}

/// Reads the project alone; `None` where it is in error, which is shown.
pub(super) fn project(global: &Global) -> Option<Project> {
    let (project, problems) = workspace(global).load_project();
    show(&problems);
    (!problems.has_errors()).then_some(project)
}

/// The variables of the environment that hold secrets, those of a project as far as it can be read.
pub(super) fn variables_with_secrets(loaded: &Loaded) -> Vec<String> {
    let project = &loaded.project;
    let values = secret_values(project, &loaded.entries);
    let named = values.filter_map(|found| env::variable_of(&found.value.value).map(str::to_owned));
    let programs = project.sources.values().chain(&project.sops_program);
    let passed = programs.flat_map(|program| program.environment.iter().cloned());
    let own = environment::secret_variables().map(str::to_owned);
    own.chain(named).chain(passed).collect()
}

/// Shows problems to a person.
pub(super) fn show(problems: &Diagnostics) {
    if problems.has_errors() {
        console::note_failure(
            "the project has errors: `appcred validate --format json` lists them",
        );
    }
    if !problems.is_empty() {
        console::print_error(&problems::render(problems, console::has_color()));
    }
}

/// Shows which targets are not known and why, where no text is printed that does.
pub(super) fn show_unknown(targets: &[TargetView]) {
    for target in targets {
        if let Err(why) = &target.comparison {
            console::error(format_args!("{}: {why}", target.name));
        }
    }
}

/// All that one run found out.
pub(super) struct Gathered {
    pub(super) manifests: Vec<PathBuf>,
    /// What is wrong, which was shown.
    pub(super) problems: Diagnostics,
    /// When a watcher may change something.
    pub(super) windows: Windows,
    /// In which order targets are changed.
    pub(super) rollout: Rollout,
    /// How targets are reached.
    pub(super) reach: Reach,
    /// The targets; none where the manifests are in error.
    pub(super) targets: Option<Vec<TargetView>>,
}

/// Plans for the selected targets.
///
/// # Errors
/// Where there is no such target.
pub(super) async fn gather(
    global: &Global,
    selection: &TargetSelection,
    policy: &PolicyOverrides,
) -> anyhow::Result<Gathered> {
    let mut loaded = load(global);
    let project = loaded.project.clone();
    loaded.problems.append(spawn_blocking(move || repository::check_stored(&project)).await?);
    gather_loaded(global, loaded, selection, policy, OnError::Stop).await
}

/// The same for what was read already.
///
/// # Errors
/// Where there is no such target.
pub(super) async fn gather_loaded(
    global: &Global,
    mut loaded: Loaded,
    selection: &TargetSelection,
    policy: &PolicyOverrides,
    on_error: OnError,
) -> anyhow::Result<Gathered> {
    if on_error == OnError::Stop {
        add_unknown_integrations(&mut loaded);
    }
    show(&loaded.problems);
    pager::keep_from(variables_with_secrets(&loaded));
    let (manifests, problems) = (loaded.manifests.clone(), loaded.problems.clone());
    let workspace = workspace(global);
    let windows = workspace.environment.windows(&loaded.project);
    let rollout = loaded.project.rollout.clone();
    let evaluation = workspace.evaluate(loaded, selection, policy, on_error, Terminal).await?;
    warn_of_running(evaluation.targets.iter().flatten()).await?;
    Ok(Gathered { windows, rollout, ..gathered(manifests, problems, evaluation) })
}

/// Adds the integrations that appcred does not know, where no target is asked for its own since something is in error.
fn add_unknown_integrations(loaded: &mut Loaded) {
    if loaded.problems.has_errors() {
        let unknown = check_known(loaded.domains(), &loaded.project);
        loaded.problems.append(unknown);
    }
}

/// Plans for the selected targets as a snapshot recorded them.
///
/// # Errors
/// Where the snapshot cannot be read or is too old, or there is no such target.
pub(super) async fn gather_snapshot(
    global: &Global,
    selection: &TargetSelection,
    policy: &PolicyOverrides,
    against: &Against,
) -> anyhow::Result<Gathered> {
    let (workspace, shared) = (workspace(global), workspace(global));
    let reading = spawn_blocking(move || shared.load());
    let (loaded, snapshot) = tokio::join!(reading, against.fetch());
    let mut loaded = loaded?;
    add_unknown_integrations(&mut loaded);
    show(&loaded.problems);
    pager::keep_from(variables_with_secrets(&loaded));
    let (manifests, problems) = (loaded.manifests.clone(), loaded.problems.clone());
    if problems.has_errors() {
        let evaluation = Evaluation::default();
        return Ok(gathered(manifests, problems, evaluation));
    }
    let evaluation =
        workspace.evaluate_snapshot(loaded, snapshot?, selection, policy, against).await?;
    Ok(gathered(manifests, problems, evaluation))
}

/// Warns of folders on which a Home Assistant runs: nothing is written there.
async fn warn_of_running<'v>(views: impl Iterator<Item = &'v TargetView>) -> anyhow::Result<()> {
    for view in views {
        if let Some(Target::ConfigDir(folder)) = &view.target {
            let folder = folder.clone();
            if let Some(why) = spawn_blocking(move || folder.running()).await? {
                console::warning(format_args!("{}: {why}", view.name));
            }
        }
    }
    Ok(())
}

fn gathered(
    manifests: Vec<PathBuf>,
    mut problems: Diagnostics,
    mut evaluation: Evaluation,
) -> Gathered {
    show(&evaluation.problems);
    let targets = evaluation.targets.iter().flatten();
    let known = targets.filter_map(|of| Some((&of.name, &of.comparison.as_ref().ok()?.observed)));
    notices::unread_accounts(known).into_iter().for_each(console::warning);
    problems.append(std::mem::take(&mut evaluation.problems));
    let (windows, rollout) = Default::default();
    let Evaluation { targets, reach, .. } = evaluation;
    Gathered { manifests, problems, windows, rollout, reach, targets }
}

/// Asks the providers about the clients of accounts that do not run.
pub(super) async fn ask_about_troubles(targets: &mut Option<Vec<TargetView>>) {
    let views = targets.iter_mut().flatten().filter(|view| view.target.is_some());
    let known = views.filter_map(|view| view.comparison.as_mut().ok());
    let asked = known.map(|Comparison { desired, observed, plan, .. }| async move {
        reconcile::ask_about_troubles(plan, desired, observed, &mut Verdicts::default()).await;
    });
    join_all(asked).await;
}

/// Reads what is needed of each entry; `None` where something is in error, which is shown.
///
/// # Errors
/// Where reading crashes.
pub(super) async fn resolved(
    global: &Global,
    loaded: Loaded,
    needed: impl Fn(&Entry) -> Needed + Send + 'static,
) -> anyhow::Result<Option<Resolved>> {
    let Resolution { resolved, problems } =
        workspace(global).resolve(loaded, needed, Terminal).await?;
    show(&problems);
    Ok((!problems.has_errors()).then_some(resolved))
}

/// What reads the secrets of a project for which nobody must be asked.
pub(super) fn non_interactive_resolver(
    global: &Global,
    project: &Project,
) -> (SecretResolver, Vec<IdentityProblem>) {
    workspace(global).non_interactive_resolver(project)
}

/// What reads all secrets of a project.
pub(super) fn resolver(
    global: &Global,
    project: &Project,
) -> (SecretResolver, Vec<IdentityProblem>) {
    workspace(global).resolver(project, Terminal)
}

fn places(entry: &Entry) -> EntryPlaces {
    EntryPlaces {
        entry: entry.place.clone(),
        domain: entry.domain.spot.place(),
        name: entry.name.spot.place(),
        client_id: entry.client_id.spot.place(),
        client_secret: entry.client_secret.spot.place(),
        lifetime: entry.dates(),
    }
}

/// What reports say of targets.
pub(super) fn reported(targets: &[TargetView]) -> Vec<TargetReport<'_>> {
    let reported = targets.iter().map(|target| {
        let observed = target.comparison.as_ref().ok().map(|known| &known.observed);
        let live = observed.and_then(|observed| observed.live.as_ref());
        TargetReport {
            name: &target.name,
            labels: &target.labels,
            address: &target.address,
            version: observed.and_then(|observed| observed.version.as_deref()),
            basis: target.basis.as_deref(),
            wave: target.wave,
            is_new: observed.is_some_and(|observed| observed.is_new),
            redirect_uri: live.map(|live| live.redirect_uri.as_str()),
            plan: target.comparison.as_ref().map(|known| &known.plan).map_err(String::as_str),
            outcomes: &target.outcomes,
            expected_set_ups: &target.expected_set_ups,
            entries: target
                .entries
                .iter()
                .map(|(key, entry)| (key.clone(), places(entry)))
                .collect(),
            elsewhere: &target.elsewhere,
        }
    });
    reported.collect()
}
