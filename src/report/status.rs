//! The state of a watcher's targets, in words and codes: as JSON for programs, and as values for the
//! status page, so that both agree.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::{ClientCode, DueCode, EntryCode, LinkCode, ModeCode, TargetCode};
use crate::integrations::too_many_accounts;
use crate::model::{
    AccountName, ClientId, Domain, Due, Key, Labels, Place, SetUpId, TargetName, to_json,
};
use crate::status::{
    AccessFault, EntryStatus, Holding, Link, Mode, Status, TargetStatus, wait_line,
};

use super::FileNames;
use super::accounts::{self, NamedAccount};
use super::client::ReportedClient;
use super::differing::{Differing, ReportedForgotten, WithheldReason};
use super::history::{ReportedCommit, ReportedStep, history};
use super::json::{Problem, problems_of};
use super::moment::Moment;
use super::rollout::ReportedRollout;
use super::selection::ReportedSelection;
use super::set_up::{SetUp, WaitsFor};

const FORMAT_VERSION: u32 = 1;

/// The clients through which too many accounts are linked, each with a message.
type LimitMessages<'a> = BTreeMap<(&'a Domain, &'a ClientId), String>;

/// What `appcred watch` serves at `/api/v1/status`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred status")]
pub(crate) struct StatusReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// The version of appcred.
    pub(crate) appcred_version: &'static str,
    /// Since when it watches.
    pub(crate) since: Moment,
    /// The manifests.
    pub(crate) manifests: ReportedManifests<'a>,
    /// The repository or cluster that they are fetched from; left out where they are files of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<super::source::ReportedSource<'a>>,
    /// The targets, by name.
    pub(crate) targets: Vec<TargetState<'a>>,
    /// The wave that is being changed, where targets are changed in waves and some are not done; left out where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rollout: Option<ReportedRollout<'a>>,
    /// What was done lately, the newest first; kept in memory.
    pub(crate) history: Vec<ReportedStep<'a>>,
}

/// How the manifests were found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedManifests<'a> {
    /// When they were read last; null before the first time.
    pub(crate) read_at: Option<Moment>,
    /// Whether what was read last is applied; if not, what was read before still is.
    pub(crate) in_force: bool,
    /// The commit that was checked out then; left out outside of a repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<ReportedCommit<'a>>,
    /// How many files.
    pub(crate) files: usize,
    /// How many entries, for whatever targets.
    pub(crate) entries: usize,
    /// What is watched, where that is not all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selection: Option<ReportedSelection<'a>>,
    /// What else keeps them from being applied, such as a missing target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) blocker: Option<&'a str>,
    /// What is wrong with them, by file and line.
    pub(crate) problems: Vec<Problem>,
}

/// The state of one target.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TargetState<'a> {
    /// Its name in the project file.
    pub(crate) name: &'a TargetName,
    /// Its address or folder.
    pub(crate) address: &'a str,
    /// Its labels in the project file.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) labels: Labels,
    /// Its state as a whole.
    pub(crate) state: TargetCode,
    /// What is done about differences.
    pub(crate) mode: ModeCode,
    /// Whether it can be reached.
    pub(crate) link: LinkCode,
    /// Since when it can or cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link_since: Option<Moment>,
    /// The version of Home Assistant there, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) home_assistant_version: Option<&'a str>,
    /// Why the last round failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
    /// When it was last compared.
    pub(crate) last_reconcile: Option<Moment>,
    /// When it was last found, or made, as wanted.
    pub(crate) last_success: Option<Moment>,
    /// When it is compared again, if nothing happens before.
    pub(crate) next_reconcile: Option<Moment>,
    /// Its entries, by key.
    pub(crate) entries: Vec<ReportedEntry<'a>>,
    /// What is not as wanted there, and stays so for now.
    pub(crate) differences: Vec<Differing<'a>>,
    /// How many of these wait for a window or a wave, in words.
    #[serde(skip)]
    pub(crate) postponed: Option<String>,
    /// The credentials that stay there although no entry wants them: `forget` noted their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) forgotten: Vec<ReportedForgotten<'a>>,
    /// How many credentials of no owner it holds.
    pub(crate) foreign: usize,
    /// How many of other owners.
    pub(crate) of_other_owners: usize,
}

/// The state of one entry at a target.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportedEntry<'a> {
    /// Its key.
    pub(crate) key: &'a Key,
    /// The integration.
    pub(crate) domain: &'a Domain,
    /// As Home Assistant shows it.
    pub(crate) name: &'a str,
    /// The OAuth2 client id.
    pub(crate) client_id: &'a ClientId,
    /// Where it is written, from the root of the repository.
    pub(crate) declared_at: Place,
    /// The day on which its client expires, as in `2027-03-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// The day from which on its secret is to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_after: Option<String>,
    /// What of that is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<DueCode>,
    /// The same in words.
    #[serde(skip)]
    pub(crate) due_notice: Option<String>,
    /// What its provider says of the client; left out where it is not asked regularly, or was not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<ReportedClient<'a>>,
    /// That more accounts are linked through its client than the provider allows, at all targets together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<String>,
    /// How the target holds its credential.
    pub(crate) credential: EntryCode,
    /// Why it is withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<WithheldReason>,
    /// How far its integration is set up; left out at a target at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) set_up: Option<SetUp<'a>>,
    /// The accounts that it names; `set_up` is left out where it names any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accounts: Vec<NamedAccount<'a>>,
}

/// A set-up of an entry that waits for a person.
#[derive(Clone, Copy)]
pub(crate) struct WaitingSetUp<'a> {
    /// The entry.
    pub(crate) entry: &'a ReportedEntry<'a>,
    /// The account, where the entry names its accounts.
    pub(crate) account: Option<&'a AccountName>,
    /// What the last try said.
    pub(crate) reason: Option<&'a str>,
    /// What it waits for.
    pub(crate) what: &'a WaitsFor<'a>,
}

impl WaitingSetUp<'_> {
    /// Which it is.
    pub(crate) fn id(&self) -> SetUpId {
        SetUpId { key: self.entry.key.clone(), account: self.account.cloned() }
    }

    /// Whether that is somebody's consent.
    pub(crate) fn is_consent(&self) -> bool {
        matches!(self.what, WaitsFor::Consent { .. } | WaitsFor::DeviceCode { .. })
    }
}

impl ReportedEntry<'_> {
    /// Its set-ups, each with the account where it names its accounts.
    pub(crate) fn set_ups(&self) -> impl Iterator<Item = (Option<&AccountName>, &SetUp<'_>)> {
        let named = self.accounts.iter().map(|account| (Some(account.name), &account.set_up));
        self.set_up.iter().map(|set_up| (None, set_up)).chain(named)
    }

    /// Those that wait for something that a person does.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = WaitingSetUp<'_>> {
        self.set_ups().filter_map(|(account, set_up)| {
            let (reason, what) = (set_up.reason.as_deref(), set_up.waits_for.as_ref()?);
            Some(WaitingSetUp { entry: self, account, reason, what })
        })
    }

    /// Whether its provider rejects the client.
    pub(crate) fn is_rejected(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.verdict == ClientCode::Rejected)
    }

    /// What it waits for until it is changed, as in `window`.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        self.withheld.as_ref().and_then(WithheldReason::waits_for)
    }

    /// Whether a person should look at it.
    pub(crate) fn needs_attention(&self) -> bool {
        let is_at_rest = self.credential == EntryCode::Suspended;
        let is_as_wanted = is_at_rest || self.credential == EntryCode::InSync;
        !(is_as_wanted || self.waits_for().is_some())
            || self.due.is_some()
            || self.is_rejected()
            || self.limit.is_some()
            || (!is_at_rest && self.set_ups().any(|(_, set_up)| !set_up.state.is_well()))
    }
}

/// The status as a report.
pub(crate) fn report<'a>(status: &'a Status, names: &FileNames) -> StatusReport<'a> {
    let manifests = &status.manifests;
    let limits = too_many_accounts(status.linked());
    let is_whole = manifests.selection.is_none();
    let of = |(name, target)| of_target(name, (target, is_whole), &limits, names);
    let targets = status.targets.iter().map(of);
    StatusReport {
        format_version: FORMAT_VERSION,
        appcred_version: env!("CARGO_PKG_VERSION"),
        since: Moment(status.since),
        manifests: ReportedManifests {
            read_at: manifests.read_at.map(Moment),
            in_force: manifests.are_in_force(),
            commit: manifests.commit.as_ref().map(ReportedCommit::from),
            files: manifests.files,
            entries: manifests.entries,
            selection: manifests.selection.as_ref().map(ReportedSelection::from),
            blocker: manifests.blocker.as_deref(),
            problems: problems_of(&status.problems(), names),
        },
        source: status.source.as_ref().map(Into::into),
        targets: targets.collect(),
        rollout: status.rollout.as_ref().map(ReportedRollout::from),
        history: history(&status.history),
    }
}

/// The same as JSON.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn json(status: &Status, names: &FileNames) -> serde_json::Result<String> {
    to_json(&report(status, names))
}

fn of_target<'a>(
    name: &'a TargetName,
    (target, is_whole): (&'a TargetStatus, bool),
    limits: &LimitMessages<'_>,
    names: &FileNames,
) -> TargetState<'a> {
    let (link, link_since, version) = match &target.link {
        Link::Connecting => (LinkCode::Connecting, None, None),
        Link::Up { version, since } => (LinkCode::Up, Some(*since), version.as_deref()),
        Link::Down { since } => (LinkCode::Down, Some(*since), None),
        Link::NoAccess { since, .. } => (LinkCode::NoAccess, Some(*since), None),
        Link::Suspended => (LinkCode::Suspended, None, None),
    };
    TargetState {
        name,
        address: &target.address,
        labels: target.labels.clone(),
        state: state(target, is_whole),
        mode: match target.mode {
            Mode::Repair => ModeCode::Repair,
            Mode::Report => ModeCode::Report,
            Mode::ReportDrift => ModeCode::ReportDrift,
        },
        link,
        link_since: link_since.map(Moment),
        home_assistant_version: version,
        error: target.error.as_deref(),
        last_reconcile: target.last_reconcile.map(Moment),
        last_success: target.last_success.map(Moment),
        next_reconcile: target.next_reconcile.map(Moment),
        entries: target
            .entries
            .iter()
            .map(|entry| of_entry((target, entry), limits, names))
            .collect(),
        differences: target.differences.iter().map(Differing::of).collect(),
        postponed: target.postponed().map(|(count, why)| wait_line(count, why)),
        forgotten: target.forgotten.iter().map(ReportedForgotten::from).collect(),
        foreign: target.foreign,
        of_other_owners: target.of_other_owners,
    }
}

fn state(target: &TargetStatus, is_whole: bool) -> TargetCode {
    match target.link {
        Link::Suspended => TargetCode::Suspended,
        Link::Down { .. } => TargetCode::Unreachable,
        Link::NoAccess { why: AccessFault::TokenRefused, .. } => TargetCode::TokenRefused,
        Link::NoAccess { why: AccessFault::NotAdministrator, .. } => TargetCode::NotAdministrator,
        Link::NoAccess { why: AccessFault::Other, .. } => TargetCode::NoAccess,
        _ if target.error.is_some() => TargetCode::Failed,
        Link::Connecting => TargetCode::Connecting,
        Link::Up { .. } if !target.differences.is_empty() => TargetCode::Differs,
        Link::Up { .. } if target.pending_consents().next().is_some() => {
            TargetCode::WaitingForConsent
        }
        Link::Up { .. } if target.waiting().next().is_some() => TargetCode::WaitingForAnswers,
        Link::Up { .. } if target.is_in_sync() && !is_whole && target.entries.is_empty() => {
            TargetCode::NothingSelected
        }
        Link::Up { .. } if target.is_in_sync() => TargetCode::InSync,
        Link::Up { .. } => TargetCode::Connecting,
    }
}

fn of_entry<'a>(
    (target, entry): (&'a TargetStatus, &'a EntryStatus),
    limits: &LimitMessages<'_>,
    names: &FileNames,
) -> ReportedEntry<'a> {
    let is_suspended = target.link == Link::Suspended;
    let withheld = match &entry.holding {
        Holding::Withheld(why) if !is_suspended => Some(WithheldReason::of(why)),
        _ => None,
    };
    let place = &entry.place;
    let set_ups = entry.set_ups.iter().filter(|_| !is_suspended).map(|of| {
        let id = SetUpId { key: entry.key.clone(), account: of.account.clone() };
        let waits_for = of.waits_for.as_deref().filter(|_| target.is_connected());
        let set_up = SetUp::of(&of.state, waits_for)
            .with(of.trouble.as_ref(), &id)
            .after_failure(of.error.as_deref());
        (of.account.as_ref(), set_up)
    });
    let (set_up, accounts) = accounts::split(set_ups);
    ReportedEntry {
        key: &entry.key,
        domain: &entry.domain,
        name: &entry.name,
        client_id: &entry.client_id,
        declared_at: Place {
            file: Path::new(names.of(&place.file).as_str()).into(),
            line: place.line,
            column: place.column,
        },
        expires: entry.lifetime.expires.map(|day| day.to_string()),
        rotate_after: entry.lifetime.rotate_after.map(|day| day.to_string()),
        due: entry.lifetime.due.map(due_code),
        due_notice: entry.lifetime.notice(),
        client: target.clients.get(&entry.key).map(ReportedClient::from),
        limit: limits.get(&(&entry.domain, &entry.client_id)).cloned(),
        credential: if is_suspended { EntryCode::Suspended } else { entry.holding.code() },
        withheld,
        set_up,
        accounts,
    }
}

fn due_code(due: Due) -> DueCode {
    match due {
        Due::Rotation => DueCode::Rotation,
        Due::Expiring => DueCode::Expiring,
        Due::Expired => DueCode::Expired,
    }
}
