//! Plans from a snapshot: nothing is decrypted, no target is asked.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::task::spawn_blocking;
use url::Url;

use super::Workspace;
use super::evaluate::{Comparison, Evaluation, EvaluationError, Observation};
use super::limits;
use super::reach::Reach;
use super::selected::KnownKeys;
use super::targets::{pick, take_out_suspended};
use crate::desired;
use crate::diagnostic::Diagnostics;
use crate::http::Network;
use crate::manifest::{Loaded, Project};
use crate::model::{
    AccountName, ConfigEntry, Live, Observed, PolicyOverrides, SealedClients, Secret, SetUpId,
    TargetName, TargetSelection,
};
use crate::plan::{Action, Unknowable, plan};
use crate::secret::Ask;
use crate::target::home_assistant::HomeAssistantEndpoint;
use crate::target::snapshot::{self, Recorded, Snapshot, SnapshotLocation};
use crate::target::{ConnectError, Endpoint, TargetError};

/// Clocks of two machines may differ by so much.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What to plan from.
#[derive(Clone, Debug)]
pub struct Against {
    /// Where the snapshot is.
    pub source: SnapshotLocation,
    /// Sent to an address that asks for a token.
    pub token: Option<Secret>,
    /// How that place is reached.
    pub network: Network,
    /// How old the snapshot may be.
    pub max_age: Option<SignedDuration>,
    /// The time.
    pub now: Timestamp,
}

/// A snapshot that is not used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StaleSnapshot {
    /// It is too old.
    #[error(
        "{snapshot} is a snapshot of {taken_at}, {age}, and --max-age allows {allowed}: take a new one with `appcred snapshot`"
    )]
    TooOld {
        /// Where it is.
        snapshot: String,
        /// When it was taken.
        taken_at: String,
        /// How old it is.
        age: String,
        /// How old it may be.
        allowed: String,
    },
    /// It is from the future.
    #[error("{snapshot} is a snapshot of {taken_at}, which is in the future: set the clock")]
    InFuture {
        /// Where it is.
        snapshot: String,
        /// When it was taken.
        taken_at: String,
    },
}

impl Against {
    /// Fetches the snapshot.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn fetch(&self) -> Result<Snapshot, TargetError> {
        snapshot::load(&self.source, self.token.as_ref(), &self.network).await
    }

    fn refuse_stale(&self, taken_at: Timestamp) -> Result<(), StaleSnapshot> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        let old = self.now.duration_since(taken_at);
        let (snapshot, shown) = (self.source.to_string(), shown(taken_at));
        if old > max_age {
            let (age, allowed) = (age(taken_at, self.now), roughly(max_age));
            return Err(StaleSnapshot::TooOld { snapshot, taken_at: shown, age, allowed });
        }
        if old < -CLOCK_SKEW {
            return Err(StaleSnapshot::InFuture { snapshot, taken_at: shown });
        }
        Ok(())
    }
}

impl Workspace {
    /// How the place of a snapshot is reached: as the target at the same address, where there is one.
    ///
    /// # Errors
    /// Where a secret of that target cannot be read.
    pub fn snapshot_network(
        &self,
        source: &SnapshotLocation,
        person: impl Ask,
    ) -> Result<Network, ConnectError> {
        let SnapshotLocation::Web(url) = source else { return Ok(Network::default()) };
        // What is wrong with the project is shown when all of it is read.
        let (project, _) = self.load_project();
        let is_there = |other: &HomeAssistantEndpoint| {
            Url::parse(&other.url).is_ok_and(|other| other.origin() == url.origin())
        };
        let endpoint = project.targets.values().find_map(|target| match target {
            Endpoint::HomeAssistant(endpoint) if is_there(endpoint) => Some(endpoint),
            _ => None,
        });
        let Some(endpoint) = endpoint else { return Ok(Network::default()) };
        endpoint.network.read(&self.resolver(&project, person).0)
    }

    /// Plans for the selected targets, or for all, as a snapshot recorded them.
    ///
    /// # Errors
    /// Where the snapshot is too old, or there is no such target.
    pub async fn evaluate_snapshot(
        &self,
        loaded: Loaded,
        mut snapshot: Snapshot,
        selection: &TargetSelection,
        overrides: &PolicyOverrides,
        against: &Against,
    ) -> Result<Evaluation, EvaluationError> {
        let taken_at = snapshot.taken_at;
        against.refuse_stale(taken_at)?;
        let basis = format!("snapshot of {}, {}", shown(taken_at), age(taken_at, against.now));
        let completeness = loaded.completeness();
        let Loaded { project, entries, .. } = loaded;
        let elsewhere = entries.clone();
        let sealing = move || desired::seal(entries, completeness);
        let resolved = spawn_blocking(sealing).await?;
        let mut problems = Diagnostics::default();
        let mut targets = Vec::new();
        let mut selected = pick(targets_of(&project, &snapshot), &project, selection)?;
        let suspended = take_out_suspended(&project, &mut selected);
        for name in selected.into_keys() {
            let observation = recorded(name, &mut snapshot, &basis, against);
            let mut view = observation.compare(&project, &resolved, overrides, &mut problems);
            let is_folder = matches!(project.targets.get(&view.name), Some(Endpoint::ConfigDir(_)));
            if !is_folder {
                view.expected_set_ups =
                    view.comparison.as_ref().map_or(Vec::new(), expected_set_ups);
            }
            targets.push(view);
        }
        let elsewhere = if suspended.is_empty() { &[][..] } else { &elsewhere };
        if let Some(known) = KnownKeys::new(&targets, elsewhere) {
            known.check(overrides, &project.policy)?;
        }
        problems.append(suspended);
        problems.append(limits::check(&targets));
        let targets = Some(targets).filter(|_| !problems.has_errors());
        Ok(Evaluation { targets, problems, reach: Reach::default() })
    }
}

/// The set-ups that a run would begin of the entries that no account in the snapshot uses.
fn expected_set_ups(comparison: &Comparison) -> Vec<SetUpId> {
    let Comparison { desired, observed, policy, .. } = comparison;
    let running = Observed { live: Some(Live::default()), ..observed.clone() };
    let steps = plan(desired, &running, policy).steps.into_iter().map(|step| step.action);
    let begun = steps.filter(|action| matches!(action, Action::SetUp { .. }));
    let begun = begun.filter_map(|action| action.set_up_id());
    begun.chain(of_unknown_secrets(comparison)).collect()
}

/// The same of entries of which it is not known whether the secret is to be replaced: they are linked in any case.
fn of_unknown_secrets(comparison: &Comparison) -> Vec<SetUpId> {
    let Comparison { desired, plan, policy, .. } = comparison;
    let mut set_ups = Vec::new();
    let unknown = plan.unknown.iter().filter(|of| of.what == Unknowable::Secret);
    for entry in unknown.filter_map(|of| desired.credential(&of.key)) {
        let integration = &entry.integration;
        if policy.leave_integrations || !integration.setup {
            continue;
        }
        let held = plan.credential_states.iter().filter(|of| of.state.key() == Some(&entry.key));
        let users: Vec<&ConfigEntry> = held.flat_map(|of| &of.users).collect();
        let of_entry = |account| SetUpId { key: entry.key.clone(), account };
        if integration.accounts.is_empty() && users.is_empty() {
            set_ups.push(of_entry(None));
        }
        let is_linked = |name: &&AccountName| users.iter().any(|of| of.title == name.as_str());
        let missing = integration.accounts.iter().filter(|name| !is_linked(name));
        set_ups.extend(missing.map(|name| of_entry(Some(name.clone()))));
    }
    set_ups
}

/// The targets of the project, or of the snapshot where the project names none.
fn targets_of(project: &Project, snapshot: &Snapshot) -> BTreeMap<TargetName, ()> {
    if project.targets.is_empty() {
        snapshot.names().map(|name| (name.clone(), ())).collect()
    } else {
        project.targets.keys().map(|name| (name.clone(), ())).collect()
    }
}

fn recorded(
    name: TargetName,
    snapshot: &mut Snapshot,
    basis: &str,
    against: &Against,
) -> Observation {
    let Against { source, max_age, now, .. } = against;
    let mut basis = basis.to_owned();
    let (observed, clients) = match snapshot.take(&name) {
        Some(Recorded { observed, clients, unreachable_since: None }) => (Ok(observed), clients),
        Some(Recorded { observed, clients, unreachable_since: Some(since) }) => {
            let seen = format!("{}, {}", shown(since), age(since, *now));
            basis += &format!(", unreachable since {seen}");
            match max_age.filter(|allowed| now.duration_since(since) > *allowed) {
                None => (Ok(observed), clients),
                Some(allowed) => {
                    let allowed = roughly(allowed);
                    let why = format!(
                        "in {source} it is as it was before {seen}, since it could not be reached then; --max-age allows {allowed}"
                    );
                    (Err(why), SealedClients::new())
                }
            }
        }
        None => (Err(format!("{source} has no data for this target")), SealedClients::new()),
    };
    let (basis, address) = (Some(basis), source.to_string());
    Observation { name, address, basis, target: None, observed, clients }
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn age(taken_at: Timestamp, now: Timestamp) -> String {
    let old = now.duration_since(taken_at);
    if old < SignedDuration::ZERO {
        "just taken".to_owned()
    } else {
        format!("{} old", roughly(old))
    }
}

/// In the largest unit of which there are two, as in `47 hours`.
fn roughly(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let fitting = units.iter().find(|(length, _)| seconds >= 2 * length);
    let (length, unit) = fitting.copied().unwrap_or((1, "second"));
    let count = seconds / length;
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Against, SnapshotLocation, age};

    #[test]
    fn a_snapshot_is_as_old_as_is_said() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        assert_eq!(age(at(0), at(1)), "1 second old");
        assert_eq!(age(at(0), at(119)), "119 seconds old");
        assert_eq!(age(at(0), at(120)), "2 minutes old");
        assert_eq!(age(at(0), at(47 * 3_600)), "47 hours old");
        assert_eq!(age(at(0), at(48 * 3_600)), "2 days old");
        assert_eq!(age(at(9), at(0)), "just taken");
        let refused = |taken_at: i64, now: i64| {
            let source = SnapshotLocation::parse("s.json").unwrap();
            let max_age = Some(SignedDuration::from_hours(1));
            let (token, network) = Default::default();
            let against = Against { source, token, network, max_age, now: at(now) };
            against.refuse_stale(at(taken_at)).err().map(|error| error.to_string())
        };
        assert_eq!(refused(0, 3_600), None);
        let stale = refused(0, 3_601).unwrap();
        assert!(stale.contains("60 minutes old, and --max-age allows 60 minutes"), "{stale}");
        assert_eq!(refused(299, 0), None);
        assert!(refused(301, 0).is_some());
    }
}
