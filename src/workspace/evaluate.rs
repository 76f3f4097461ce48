//! From what was read to one plan for each target: decrypting and observing go on side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use super::against::StaleSnapshot;
use super::reach::Reach;
use super::selected::{EntrySelection, KnownKeys, NoSuchEntry};
use super::targets::{SelectionError, select, take_out_suspended};
use super::{Workspace, limits};
use crate::desired::{self, Needed, Resolved};
use crate::diagnostic::Diagnostics;
use crate::manifest::{Entry, Loaded, Project, check_known};
use crate::model::{
    Desired, DesiredCredential, Key, Labels, Observed, Place, Policy, PolicyOverrides, RunId,
    SealedClients, Seals, SetUpId, TargetName, TargetSelection, Wave,
};
use crate::plan::{Plan, Step, plan};
use crate::reconcile::{Outcome, StepOutcome};
use crate::secret::{Ask, IdentityProblem};
use crate::target::{LiveTarget as _, Target, TargetError};

/// One target with all that a run knows of it.
pub struct TargetView {
    /// Its name in the project file.
    pub name: TargetName,
    /// Its labels.
    pub labels: Labels,
    /// Its address or folder.
    pub address: String,
    /// What was looked at instead of the target, such as a snapshot.
    pub basis: Option<String>,
    /// The wave in which it is changed; none where all targets are changed at once.
    pub wave: Option<Wave>,
    /// The target, where it was connected to.
    pub target: Option<Target>,
    /// Both sides and their difference, or why they are not known.
    pub comparison: Result<Comparison, String>,
    /// Its entries, as they are written.
    pub entries: BTreeMap<Key, Arc<Entry>>,
    /// Where the entries are written that are for other targets alone, where it loses one of them.
    pub elsewhere: BTreeMap<Key, Place>,
    /// What was done there; empty before.
    pub outcomes: Vec<StepOutcome>,
    /// The set-ups that a run would begin, where a snapshot was looked at, which has none that is in progress.
    pub expected_set_ups: Vec<SetUpId>,
}

/// What a target should hold, what it holds, and the difference.
pub struct Comparison {
    /// What it should hold.
    pub desired: Desired,
    /// What it holds.
    pub observed: Observed,
    /// What may be changed there.
    pub policy: Policy,
    /// The difference.
    pub plan: Plan,
}

impl TargetView {
    /// Begins nothing of its plan, for this reason.
    pub fn leave(&mut self, why: &str) {
        let Ok(Comparison { plan, .. }) = &self.comparison else { return };
        let left = |step: &Step| StepOutcome::new(step.id, Outcome::NotBegun(why.to_owned()));
        self.outcomes = plan.steps.iter().map(left).collect();
    }

    /// Whether there is something to do.
    pub fn has_work(&self) -> bool {
        self.comparison.as_ref().is_ok_and(|comparison| !comparison.plan.steps.is_empty())
    }

    /// Home Assistant's version there, where it is known.
    pub fn version(&self) -> Option<&str> {
        self.comparison.as_ref().ok()?.observed.version.as_deref()
    }

    /// What is to be done, and of what it was made; none where that is not known.
    pub fn planned(&self) -> Option<(&Plan, &Desired, &Observed)> {
        let known = self.comparison.as_ref().ok()?;
        Some((&known.plan, &known.desired, &known.observed))
    }

    /// Where providers are to send browsers after consent, where it is known.
    pub fn redirect_uri(&self) -> Option<&str> {
        let live = self.comparison.as_ref().ok()?.observed.live.as_ref()?;
        Some(live.redirect_uri.as_str())
    }

    /// The entries whose credentials would be created.
    pub fn new_entries(&self) -> impl Iterator<Item = &DesiredCredential> {
        let known = self.comparison.as_ref().ok().filter(|_| self.has_work()).into_iter();
        known.flat_map(|Comparison { plan, desired, .. }| {
            let entries = desired.credentials.iter();
            let by_key: BTreeMap<_, _> = entries.map(|entry| (&entry.key, entry)).collect();
            let wanted = plan.steps.iter().filter_map(|step| step.action.created());
            wanted.filter_map(move |wanted| by_key.get(&wanted.key).copied())
        })
    }

    /// What represents an entry's texts in a file that anybody may read.
    pub fn seals(&self, key: &Key) -> Option<Seals> {
        self.entries.get(key).map(|entry| desired::seals(entry))
    }
}

/// What to do about manifests that are in error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// No target is looked at.
    Stop,
    /// What could be read is compared.
    Continue,
}

/// What one run found out about the targets.
#[derive(Default)]
pub struct Evaluation {
    /// What is wrong, beside what was found when the manifests were read.
    pub problems: Diagnostics,
    /// The targets; none where something is in error, and that stops the run.
    pub targets: Option<Vec<TargetView>>,
    /// How they are reached.
    pub reach: Reach,
}

/// Entries with their secrets.
pub struct Resolution {
    /// The entries.
    pub resolved: Resolved,
    /// What could not be read.
    pub problems: Diagnostics,
}

/// Why nothing could be found out.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// A target that does not exist.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// An entry that does not exist.
    #[error(transparent)]
    Entry(#[from] NoSuchEntry),
    /// The snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] TargetError),
    /// The snapshot is too old.
    #[error(transparent)]
    Stale(#[from] StaleSnapshot),
    /// A bug.
    #[error("internal error: reading the entries crashed: {0}")]
    Crashed(#[from] JoinError),
}

impl Workspace {
    /// Plans for the selected targets, or for all.
    ///
    /// # Errors
    /// Where there is no such target.
    pub async fn evaluate(
        &self,
        loaded: Loaded,
        selection: &TargetSelection,
        overrides: &PolicyOverrides,
        on_error: OnError,
        person: impl Ask,
    ) -> Result<Evaluation, EvaluationError> {
        let is_stopped =
            |problems: &Diagnostics| problems.has_errors() && on_error == OnError::Stop;
        if is_stopped(&loaded.problems) {
            return Ok(Evaluation::default());
        }
        let project = loaded.project.clone();
        let mut endpoints = select(&project, &self.environment, selection)?;
        let suspended = take_out_suspended(&project, &mut endpoints);
        let (resolver, identity_problems) = self.resolver(&project, person);
        let (resolver, sessions) = (Arc::new(resolver), self.environment.sessions());
        let reach = Reach { endpoints, resolver: Some(Arc::clone(&resolver)), sessions };
        let run = Arc::new(EntrySelection {
            targets: reach.endpoints.keys().cloned().collect(),
            selection: overrides.selection.clone(),
        });
        let loaded = Arc::new(loaded);
        let resolving = {
            let (loaded, resolver, run) =
                (Arc::clone(&loaded), Arc::clone(&resolver), Arc::clone(&run));
            spawn_blocking(move || {
                desired::resolve_needed(&loaded, &resolver, |entry| run.needed(entry))
            })
        };
        let observing = join_all(reach.endpoints.keys().map(|name| reach.observe(name)));
        let (resolved, observations) = tokio::join!(resolving, observing);
        let mut resolved = resolved?;
        let mut observations: Vec<Observation> = observations.into_iter().flatten().collect();
        refuse_same(&mut observations, &project).await;
        let mut problems = problems_of(&mut resolved, &identity_problems);
        // By a setting that could not be read, no secret is judged.
        if loaded.project_problems.has_errors() {
            problems = Diagnostics::default();
        }
        let compare = |observation: Observation| {
            observation.compare(&project, &resolved, overrides, &mut problems)
        };
        let targets = in_order_of_waves(observations.into_iter().map(compare));
        let elsewhere = if suspended.is_empty() { &[][..] } else { &loaded.entries };
        if let Some(known) = KnownKeys::new(&targets, elsewhere)
            && !is_stopped(&problems)
        {
            known.check(overrides, &project.policy)?;
            if *selection == TargetSelection::default() && suspended.is_empty() {
                problems.append(known.check_protected(&project));
            }
        }
        problems.append(suspended);
        problems.append(limits::check(&targets));
        if is_stopped(&problems) {
            return Ok(stopped(problems, &loaded, reach));
        }
        Ok(Evaluation { targets: Some(targets), problems, reach })
    }

    /// Reads what is needed of each entry.
    ///
    /// # Errors
    /// Where reading crashes.
    pub async fn resolve(
        &self,
        loaded: Loaded,
        needed: impl Fn(&Entry) -> Needed + Send + 'static,
        person: impl Ask,
    ) -> Result<Resolution, EvaluationError> {
        let (resolver, identity_problems) = self.resolver(&loaded.project, person);
        let reading = move || desired::resolve_needed(&loaded, &resolver, needed);
        let mut resolved = spawn_blocking(reading).await?;
        let problems = problems_of(&mut resolved, &identity_problems);
        Ok(Resolution { resolved, problems })
    }
}

/// Without plans, which would have said what integrations are not known.
fn stopped(mut problems: Diagnostics, loaded: &Loaded, reach: Reach) -> Evaluation {
    problems.append(check_known(loaded.domains(), &loaded.project));
    Evaluation { targets: None, problems, reach }
}

/// In the order in which they are changed.
fn in_order_of_waves(targets: impl Iterator<Item = TargetView>) -> Vec<TargetView> {
    let mut targets: Vec<TargetView> = targets.collect();
    targets.sort_by_key(|target| target.wave);
    targets
}

/// What could not be read. Problems of identities matter only then.
fn problems_of(resolved: &mut Resolved, identities: &[IdentityProblem]) -> Diagnostics {
    let mut problems = std::mem::take(&mut resolved.problems);
    if !problems.is_empty() {
        for problem in identities {
            problems.push(problem.warning());
        }
    }
    problems
}

/// A target as it was found, or as a snapshot recorded it.
pub(super) struct Observation {
    pub(super) name: TargetName,
    pub(super) address: String,
    pub(super) basis: Option<String>,
    pub(super) target: Option<Target>,
    pub(super) observed: Result<Observed, String>,
    pub(super) clients: SealedClients,
}

/// Refuses targets that turn out to be one Home Assistant, whatever their addresses: each would delete what the other
/// wants.
async fn refuse_same(observations: &mut [Observation], project: &Project) {
    let run_id = async |observation: &Observation| match &observation.target {
        Some(target) => target.run_id().await,
        None => None,
    };
    if observations.iter().filter(|of| of.target.is_some()).nth(1).is_none() {
        return;
    }
    let ids = join_all(observations.iter().map(run_id)).await;
    let ids = observations.iter().zip(ids).filter_map(|(of, id)| Some((of.name.clone(), id?)));
    let ids: BTreeMap<TargetName, RunId> = ids.collect();
    for observation in observations {
        let Some(own) = ids.get(&observation.name) else { continue };
        let is_same = |(name, id): &(&TargetName, &RunId)| {
            **name != observation.name && id.is_of_same_run(own)
        };
        if let Some((other, _)) = ids.iter().find(is_same) {
            observation.observed = Err(same_home_assistant(&observation.name, other, project));
        }
    }
}

/// That two targets are one, and where they are named.
fn same_home_assistant(target: &TargetName, other: &TargetName, project: &Project) -> String {
    let place = |name| project.target_place(name).map(|place| format!(" ({place})"));
    let (here, there) = (place(target).unwrap_or_default(), place(other).unwrap_or_default());
    format!(
        "`{target}`{here} is the same Home Assistant as the target `{other}`{there}, by another address, and each would delete what the other wants: remove one of them"
    )
}

impl Observation {
    pub(super) fn compare(
        self,
        project: &Project,
        resolved: &Resolved,
        overrides: &PolicyOverrides,
        problems: &mut Diagnostics,
    ) -> TargetView {
        let Self { name, address, basis, target, observed, clients } = self;
        let comparison = observed.map(|observed| {
            let (desired, same_client) = resolved.for_target(project, &name, &clients);
            problems.append(same_client);
            let policy = project.policy_at(&name).with(overrides);
            let plan = plan(&desired, &observed, &policy);
            Comparison { desired, observed, policy, plan }
        });
        let losing = comparison.as_ref().ok().filter(|known| known.plan.loses_entries());
        let mut elsewhere = losing.map_or_else(BTreeMap::new, |known| {
            resolved.places_of(|key| known.desired.elsewhere.contains_key(key))
        });
        elsewhere.extend(project.set_aside.clone());
        let entries = resolved.entries_of(&name);
        let entries = entries.map(|entry| (entry.key.value.clone(), Arc::clone(entry))).collect();
        let labels = project.labels.get(&name).cloned().unwrap_or_default();
        let wave = project.rollout.wave_of(&name);
        let (outcomes, expected_set_ups) = Default::default();
        TargetView {
            name,
            labels,
            address,
            basis,
            wave,
            target,
            comparison,
            entries,
            elsewhere,
            outcomes,
            expected_set_ups,
        }
    }
}
