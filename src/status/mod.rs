//! The status of a watcher and its targets: plain values, written by `watch`, read by `report` and `server`.
//!
//! None of it holds a secret but consent links and device codes, which are there to be used. Some integrations write
//! the client secret into their links; such a link is never shown, and is wiped when dropped.

mod client;
mod entry;
mod history;
mod revisions;
mod rollout;
mod source;
mod totals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use smol_str::SmolStr;

pub use client::ClientCheck;
pub use entry::{
    EntryStatus, Holding, SetUpStatus, Waiting, WantedDigest, entries, held, named, unseen,
};
pub use history::{History, MOST_RECORDED, RecordedStep};
pub use revisions::Revisions;
pub use rollout::{RolloutStatus, place_of, progress, undecided};
pub use source::SourceStatus;
pub use totals::{BUCKETS, Durations, Totals};

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Spot};
use crate::model::{
    ClientId, Commit, Domain, Held, Key, Labels, Mark, TargetName, TargetProgress, counted,
};
use crate::plan::{Action, Plan, StepId, Why, Withheld};

/// What a watcher knows, and what it is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// When it began to watch.
    pub since: Timestamp,
    /// The manifests.
    pub manifests: ManifestStatus,
    /// The repository that they are fetched from, where they are.
    pub source: Option<SourceStatus>,
    /// Each target, on its own.
    pub targets: BTreeMap<TargetName, TargetStatus>,
    /// The wave that is being changed, where targets are changed in waves and some are not done.
    pub rollout: Option<RolloutStatus>,
    /// What was done lately at all of them.
    pub history: History,
}

impl Status {
    /// All that is wrong with the manifests, also by what targets know.
    pub fn problems(&self) -> Diagnostics {
        let mut problems = Diagnostics::clone(&self.manifests.problems);
        self.targets.values().for_each(|target| problems.merge(&target.problems));
        problems
    }

    /// The accounts that are linked at all targets: each client, and the title of an account.
    pub fn linked(&self) -> impl Iterator<Item = (&Domain, &ClientId, &str)> {
        let linked = self.targets.values().flat_map(|target| &target.linked);
        linked.map(|(domain, client_id, title)| (domain, client_id, title.as_str()))
    }
}

/// How the manifests were found.
#[derive(Clone, Debug, Default)]
pub struct ManifestStatus {
    /// When they were read last; none before the first time.
    pub read_at: Option<Timestamp>,
    /// The commit that was checked out then; none outside of a repository.
    pub commit: Option<Commit>,
    /// How many files.
    pub files: usize,
    /// How many entries, for whatever targets.
    pub entries: usize,
    /// What is watched, where that is not all of them.
    pub selection: Option<SelectionStatus>,
    /// What is wrong with them, whatever targets hold. While there is an error, what was read before stays in force.
    pub problems: Arc<Diagnostics>,
    /// What else keeps them from being applied, such as a missing target.
    pub blocker: Option<String>,
}

/// Which entries are watched, where not all are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionStatus {
    /// The arguments that ask for them, such as `--key=family`.
    pub arguments: Vec<String>,
    /// How many entries that are.
    pub entries: usize,
    /// Which part of it matches nothing.
    pub unmatched: Option<String>,
}

impl ManifestStatus {
    /// Whether what was read last is in force.
    pub fn are_in_force(&self) -> bool {
        self.read_at.is_some() && self.blocker.is_none() && !self.problems.has_errors()
    }
}

/// What is done about differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are repaired.
    Repair,
    /// What manifests change is done; what somebody else changed at the target is reported.
    ReportDrift,
    /// They are reported, and nothing is changed.
    Report,
}

/// The status of one target.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Its address or folder.
    pub address: String,
    /// Its labels.
    pub labels: Labels,
    /// What is done about differences there.
    pub mode: Mode,
    /// Whether it can be reached.
    pub link: Link,
    /// Of which versions of what declares it the last round was.
    pub revisions: Revisions,
    /// Its entries, by key.
    pub entries: Vec<EntryStatus>,
    /// The keys of which it held something of the owner's when it was looked at last; none where that was never.
    pub held: Option<BTreeSet<Key>>,
    /// What is known of their clients; empty where providers are not asked regularly.
    pub clients: BTreeMap<Key, ClientCheck>,
    /// The accounts that are linked there: each client, and the title of an account.
    pub linked: BTreeSet<(Domain, ClientId, String)>,
    /// What is not as wanted there, and stays so for now.
    pub differences: Vec<Difference>,
    /// What of it keeps targets of later waves from being changed, with the reason.
    pub undecided: Option<String>,
    /// What is wrong with entries by what the target knows. All else is done.
    pub problems: Diagnostics,
    /// The credentials that stay there although no entry wants them.
    pub forgotten: Vec<ForgottenCredential>,
    /// How many credentials of no owner it holds.
    pub foreign: usize,
    /// How many of other owners.
    pub of_other_owners: usize,
    /// Why the last round failed.
    pub error: Option<String>,
    /// When it was looked at last.
    pub last_reconcile: Option<Timestamp>,
    /// When it was last found, or made, as wanted.
    pub last_success: Option<Timestamp>,
    /// When it is looked at again, if nothing happens before.
    pub next_reconcile: Option<Timestamp>,
    /// The counters since the watcher started.
    pub totals: Totals,
}

impl TargetStatus {
    /// A target of which nothing is known yet.
    pub fn new(address: String, mode: Mode) -> Self {
        Self {
            address,
            labels: Labels::new(),
            mode,
            link: Link::Connecting,
            revisions: Revisions::default(),
            entries: Vec::new(),
            held: None,
            clients: BTreeMap::new(),
            linked: BTreeSet::new(),
            differences: Vec::new(),
            undecided: None,
            problems: Diagnostics::default(),
            forgotten: Vec::new(),
            foreign: 0,
            of_other_owners: 0,
            error: None,
            last_reconcile: None,
            last_success: None,
            next_reconcile: None,
            totals: Totals::default(),
        }
    }

    /// Whether it is as wanted, as far as that needs no person.
    pub fn is_in_sync(&self) -> bool {
        self.is_connected()
            && self.error.is_none()
            && self.differences.is_empty()
            && self.last_success.is_some()
    }

    /// The set-ups that wait for a person. None where the target is not connected: what was given now
    /// would reach nobody.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting<'_>> {
        let is_connected = self.is_connected();
        self.entries.iter().filter(move |_| is_connected).flat_map(EntryStatus::waiting)
    }

    /// Those among these that wait for somebody's consent.
    pub fn pending_consents(&self) -> impl Iterator<Item = Waiting<'_>> {
        self.waiting().filter(|waiting| waiting.step.needs_consent())
    }

    /// How many differences wait for a window or a wave, and for which; none where none do.
    pub fn postponed(&self) -> Option<(usize, &Why)> {
        let mut waits = self.differences.iter().filter_map(Difference::wait);
        let first = waits.next()?;
        Some((1 + waits.count(), first))
    }

    /// How far it is in a rollout, after a round that has ended.
    pub fn progress(&self) -> TargetProgress {
        match &self.link {
            Link::Down { .. } | Link::NoAccess { .. } => return TargetProgress::Unreachable,
            Link::Suspended => return TargetProgress::Unknown,
            Link::Connecting | Link::Up { .. } => {}
        }
        match &self.error {
            Some(why) => TargetProgress::Failed(why.clone()),
            None if self.link == Link::Connecting => TargetProgress::Unknown,
            None => progress(self.undecided.clone(), &self.differences, &self.entries),
        }
    }

    /// What waits for earlier waves does so for another reason now.
    pub fn waits_for_waves(&mut self, why: &Why) {
        let of_differences = self.differences.iter_mut().filter_map(|of| of.why.as_mut());
        let of_entries = self.entries.iter_mut().filter_map(|entry| match &mut entry.holding {
            Holding::Withheld(why) => Some(why),
            _ => None,
        });
        let is_it = |why: &&mut Why| matches!(why, Why::EarlierWave { .. });
        of_differences.chain(of_entries).filter(is_it).for_each(|of| of.clone_from(why));
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }
}

/// Whether a target can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The first attempt has not ended yet.
    Connecting,
    /// It can.
    Up {
        /// HA's version, where it is known.
        version: Option<String>,
        /// Since when.
        since: Timestamp,
    },
    /// It cannot; the target's error says why.
    Down {
        /// Since when.
        since: Timestamp,
    },
    /// Not known: the target is suspended, and nothing is done there.
    Suspended,
    /// It gives no access; the target's error says more.
    NoAccess {
        /// Since when.
        since: Timestamp,
        /// Why.
        why: AccessFault,
    },
}

/// Why a target denies access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFault {
    /// It refuses the access token.
    TokenRefused,
    /// The access token is of a user who is not an administrator.
    NotAdministrator,
    /// There is no access token, or this machine is refused.
    Other,
}

/// A credential of a key that the policy says is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenCredential {
    /// The key.
    pub key: Key,
    /// The integration.
    pub domain: Domain,
    /// As HA shows it.
    pub name: SmolStr,
}

/// Those of a plan.
pub fn forgotten(plan: &Plan) -> Vec<ForgottenCredential> {
    let of = |held: &Held| {
        let (domain, name) = (held.domain.clone(), held.label().into());
        let key = Mark::of_text(held.auth_domain.as_deref()?)?.key;
        Some(ForgottenCredential { key, domain, name })
    };
    let mut all: Vec<ForgottenCredential> = Vec::new();
    for forgotten in plan.forgotten().filter_map(of) {
        // One of a key may have a claim beside its mark.
        if !all.contains(&forgotten) {
            all.push(forgotten);
        }
    }
    all
}

/// Something at a target that is not as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What would be done about it, as in `create spotify "Family"`.
    pub what: String,
    /// Why it is not done; none where nothing is to be changed at all.
    pub why: Option<Why>,
    /// Whether somebody has changed the target, and no manifest.
    pub is_drift: bool,
}

/// That so many changes wait for a window or a wave.
pub fn wait_line(count: usize, why: &Why) -> String {
    let wait = if count == 1 { "waits" } else { "wait" };
    let changes = counted(count, "change");
    match why {
        Why::OutsideWindows { next } => {
            format!("{changes} {wait} for the window that begins on {next}")
        }
        other => format!("{changes} {wait}: {other}"),
    }
}

impl Difference {
    /// Why it is done later, without anyone's action; none where it is not done later.
    pub fn wait(&self) -> Option<&Why> {
        self.why.as_ref().filter(|why| why.is_wait())
    }
}

/// The linked accounts of a plan's credentials: each client, and the title of an account.
pub fn linked(plan: &Plan) -> BTreeSet<(Domain, ClientId, String)> {
    let linked = plan.linked_accounts();
    linked.map(|(domain, id, title)| (domain.clone(), id.clone(), title.to_owned())).collect()
}

/// What of a plan is not done now. `left` are its steps that are not, `is_drift` says whether an action is about what
/// somebody has changed at the target.
pub fn differences(
    plan: &Plan,
    left: &BTreeSet<StepId>,
    is_drift: impl Fn(&Action) -> bool,
) -> Vec<Difference> {
    let steps = plan.steps.iter().filter(|step| left.contains(&step.id)).map(|step| Difference {
        what: step.action.summary(),
        why: None,
        is_drift: is_drift(&step.action),
    });
    let is_meant = |why: &Why| matches!(why, Why::PruneOff | Why::Suspended);
    let withheld = plan.withheld.iter().filter(|withheld| !is_meant(&withheld.why));
    let withheld = withheld.map(|Withheld { action, why }| Difference {
        what: action.summary(),
        why: Some(why.clone()),
        is_drift: why.is_wait() && is_drift(action),
    });
    steps.chain(withheld).collect()
}

/// The entries whose integration the target does not have, each where that is written.
pub fn unknown_integrations(
    target: &TargetName,
    plan: &Plan,
    domains: &BTreeMap<Key, Spot>,
) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for Withheld { action, why } in &plan.withheld {
        let spot = action.for_entry().and_then(|wanted| domains.get(&wanted.key));
        if let (Why::UnknownIntegration { .. }, Some(spot)) = (why, spot) {
            let problem = Diagnostic::error(ProblemCode::UnknownIntegration, why.to_string());
            let problem = problem.at(&spot.file, spot.span).help(why.help());
            problems.push(problem.label(format!("not known to target `{target}`")));
        }
    }
    problems
}
