//! From a folder to one plan for each target: reading, decrypting and observing go on side by side.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::connect::Endpoint;
use crate::desired::{self, Resolved};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::manifest::{self, Entry, Loaded, Project, Request};
use crate::model::{Desired, Key, Observed, Policy, SealedClients, TargetName};
use crate::plan::{Plan, plan};
use crate::reconcile::StepOutcome;
use crate::report::{self, Written, problems};
use crate::secret::env::IdentitySources;
use crate::secret::{AllowedPaths, Ask, Identities, IdentityProblem, Nobody, SecretResolver, env};
use crate::session::Store;
use crate::target::{Observe, Target};
use crate::workspace::select;

use super::ask::Terminal;
use super::selection::Selection;
use super::{Global, console, environment};

/// One target with all that is known of it.
pub(super) struct Site {
    pub(super) name: TargetName,
    pub(super) address: String,
    /// What stands for the target where it was not looked at itself.
    pub(super) basis: Option<String>,
    pub(super) target: Option<Target>,
    /// Both sides, or why they are not known.
    pub(super) sides: Result<Sides, String>,
    /// Its entries, as they are written.
    pub(super) entries: HashMap<Key, Arc<Entry>>,
    pub(super) outcomes: Vec<StepOutcome>,
}

/// What is wanted, what is there, and the difference.
pub(super) struct Sides {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    pub(super) plan: Plan,
}

/// What to do about manifests that are in error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// Tell, and do nothing.
    Stop,
    /// Tell, and go on with what could be read.
    GoOn,
}

/// Reads the project and its manifests.
pub(super) fn load(global: &Global) -> Loaded {
    manifest::load(&request(global))
}

/// What there is to read.
pub(super) fn request(global: &Global) -> Request {
    Request { folder: global.folder.clone(), home: environment::home() }
}

/// Reads the project alone; `None` where it is in error, which has been told.
pub(super) fn project(global: &Global) -> Option<Project> {
    let (project, problems) = manifest::load_project(&request(global));
    show(&problems);
    (!problems.has_errors()).then_some(project)
}

/// Shows problems to a person.
pub(super) fn show(problems: &Diagnostics) {
    if !problems.is_empty() {
        console::tell(&problems::render(problems, console::has_color()));
    }
}

/// Tells which targets are not known and why, where no text is printed that does.
pub(super) fn tell_unknown(sites: &[Site]) {
    for site in sites {
        if let Err(why) = &site.sides {
            console::tell(&format!("error: {}: {why}\n", site.name));
        }
    }
}

/// Plans for the chosen targets; `None` where the manifests are in error, which has been told.
///
/// # Errors
/// Where no target is known, or one that is asked for.
pub(super) async fn sites(
    global: &Global,
    selection: &Selection,
    policy: impl Fn(&Policy) -> Policy,
    on_error: OnError,
) -> anyhow::Result<Option<Vec<Site>>> {
    Ok(gather(global, selection, policy, on_error).await?.sites)
}

/// All that one run found out.
pub(super) struct Gathered {
    pub(super) manifests: Vec<PathBuf>,
    /// What is wrong with the manifests, which has been told.
    pub(super) problems: Diagnostics,
    /// The plans; none where the manifests are in error.
    pub(super) sites: Option<Vec<Site>>,
}

/// Plans for the chosen targets, and keeps what is wrong with the manifests for reports.
///
/// # Errors
/// Where no target is known, or one that is asked for.
pub(super) async fn gather(
    global: &Global,
    selection: &Selection,
    policy: impl Fn(&Policy) -> Policy,
    on_error: OnError,
) -> anyhow::Result<Gathered> {
    gather_loaded(global, load(global), selection, policy, on_error).await
}

/// The same for what was read already.
///
/// # Errors
/// Where no target is known, or one that is asked for.
pub(super) async fn gather_loaded(
    global: &Global,
    loaded: Loaded,
    selection: &Selection,
    policy: impl Fn(&Policy) -> Policy,
    on_error: OnError,
) -> anyhow::Result<Gathered> {
    let unread = loaded.problems.has_errors();
    let completeness = loaded.completeness();
    show(&loaded.problems);
    let mut gathered =
        Gathered { manifests: loaded.manifests, problems: loaded.problems, sites: None };
    if unread && on_error == OnError::Stop {
        return Ok(gathered);
    }
    let project = loaded.project;
    let (vault, identity_problems) = vault(global, &project);
    let environment = environment::read();
    let selected = select(&project, &environment, &selection.targets)?;
    let sessions = environment.sessions();
    let entries = loaded.entries;
    let vault = Arc::new(vault);
    let shared = Arc::clone(&vault);
    let reading =
        tokio::task::spawn_blocking(move || desired::resolve(entries, &shared, completeness));
    let observing = join_all(
        selected
            .into_iter()
            .map(|(name, endpoint)| observe(name, endpoint, &vault, sessions.as_ref())),
    );
    let (resolved, observed) = tokio::join!(reading, observing);
    let mut resolved = resolved?;
    let mut problems = problems_of(&mut resolved, identity_problems);
    let policy = policy(&project.policy);
    let sites: Vec<Site> = observed
        .into_iter()
        .map(|observed| compare(observed, &project, &resolved, &policy, &mut problems))
        .collect();
    show(&problems);
    if !problems.has_errors() || on_error == OnError::GoOn {
        gathered.sites = Some(sites);
    }
    gathered.problems.append(problems);
    Ok(gathered)
}

/// Reads all entries with their secrets; `None` where something is in error, which has been told.
///
/// # Errors
/// Where reading could not come to its end.
pub(super) async fn entries(global: &Global) -> anyhow::Result<Option<(Project, Resolved)>> {
    let loaded = load(global);
    let completeness = loaded.completeness();
    let Loaded { project, entries, problems, .. } = loaded;
    show(&problems);
    if problems.has_errors() {
        return Ok(None);
    }
    let (vault, identity_problems) = vault(global, &project);
    let reading = move || desired::resolve(entries, &vault, completeness);
    let mut resolved = tokio::task::spawn_blocking(reading).await?;
    let problems = problems_of(&mut resolved, identity_problems);
    show(&problems);
    Ok((!problems.has_errors()).then_some((project, resolved)))
}

/// What could not be read; identities matter only then.
fn problems_of(resolved: &mut Resolved, identities: Vec<IdentityProblem>) -> Diagnostics {
    let mut problems = std::mem::take(&mut resolved.problems);
    if !problems.is_empty() {
        for problem in identities {
            problems.push(Diagnostic::warning("identity", problem.to_string()));
        }
    }
    problems
}

/// The way to those secrets of a project for which nobody need be asked.
pub(super) fn silent_vault(global: &Global, project: &Project) -> SecretResolver {
    vault_for(global, project, env::identities().without_programs(), Nobody).0
}

/// Where the project says that identities are, and where they usually are.
fn identity_files(project: &Project) -> Vec<PathBuf> {
    let mut files = project.age.identities.clone();
    for file in environment::identity_files() {
        if file.exists() && !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// The way to all secrets of a project.
pub(super) fn vault(global: &Global, project: &Project) -> (SecretResolver, Vec<IdentityProblem>) {
    vault_for(global, project, env::identities(), Terminal)
}

fn vault_for(
    global: &Global,
    project: &Project,
    sources: IdentitySources,
    person: impl Ask,
) -> (SecretResolver, Vec<IdentityProblem>) {
    let files = identity_files(project);
    let (identities, problems) = Identities::gather(&files, &sources, person);
    let grounds = AllowedPaths {
        project: global.folder.clone(),
        credentials: env::credentials_directory(),
        allow_outside: project.allow_outside_files,
    };
    (SecretResolver::new(identities, grounds), problems)
}

/// A target as it was found.
pub(super) struct Found {
    pub(super) name: TargetName,
    pub(super) address: String,
    pub(super) basis: Option<String>,
    pub(super) target: Option<Target>,
    pub(super) observed: Result<Observed, String>,
    pub(super) clients: SealedClients,
}

impl Found {
    fn itself(
        name: TargetName,
        address: String,
        target: Option<Target>,
        observed: Result<Observed, String>,
    ) -> Self {
        Self { name, address, basis: None, target, observed, clients: SealedClients::new() }
    }
}

async fn observe(
    name: TargetName,
    endpoint: Endpoint,
    vault: &SecretResolver,
    sessions: Option<&Store>,
) -> Found {
    let address = endpoint.address();
    match endpoint.connect(vault, sessions).await {
        Ok(mut target) => {
            let observed = target.observe().await.map_err(|error| error.to_string());
            Found::itself(name, address, Some(target), observed)
        }
        Err(why) => Found::itself(name, address, None, Err(why.to_string())),
    }
}

pub(super) fn compare(
    found: Found,
    project: &Project,
    resolved: &Resolved,
    policy: &Policy,
    problems: &mut Diagnostics,
) -> Site {
    let Found { name, address, basis, target, observed, clients } = found;
    let sides = observed.map(|observed| {
        let (desired, same_client) = resolved.for_target(project, &name, &clients);
        problems.append(same_client);
        let plan = plan(&desired, &observed, policy);
        Sides { desired, observed, plan }
    });
    let entries = resolved.entries_of(&name);
    let entries = entries.map(|entry| (entry.key.value.clone(), Arc::clone(entry))).collect();
    Site { name, address, basis, target, sides, entries, outcomes: Vec::new() }
}

fn written(entry: &Entry) -> Written {
    Written {
        entry: entry.place.clone(),
        domain: entry.domain.spot.place(),
        name: entry.name.spot.place(),
        client_id: entry.client_id.spot.place(),
        client_secret: entry.client_secret.spot.place(),
    }
}

/// Hands sites to a report.
pub(super) fn report<T>(sites: &[Site], render: impl FnOnce(&[report::House<'_>]) -> T) -> T {
    let lookups: Vec<_> = sites
        .iter()
        .map(|site| move |key: &Key| site.entries.get(key).map(|entry| written(entry)))
        .collect();
    let houses: Vec<_> = sites
        .iter()
        .zip(&lookups)
        .map(|(site, lookup)| report::House {
            name: &site.name,
            address: &site.address,
            version: site.sides.as_ref().ok().and_then(|sides| sides.observed.version.as_deref()),
            basis: site.basis.as_deref(),
            plan: site.sides.as_ref().map(|sides| &sides.plan).map_err(String::as_str),
            outcomes: &site.outcomes,
            written: lookup,
        })
        .collect();
    render(&houses)
}
