//! JSON for programs. `format_version` changes when a field changes its meaning or goes; new
//! fields may be added at any time.

mod list;
mod problems;
mod target;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub(super) use list::ListReport;
pub(super) use list::failed_list;
pub use list::list;
pub(crate) use problems::Problem;
pub(super) use problems::Validated;
pub(super) use problems::{failed_validation, of as problems_of};
use target::{ReportedTarget, target_reports};

use crate::codes::{ActionCode, OutcomeCode, ReasonCode, UnknownCode, WithheldCode};
use crate::model::{
    AccountName, ClientId, ConfigEntry, CredentialId, Domain, EntryId, Key, Links, Place, to_json,
};
use crate::plan::{Action, Plan, Step, UndeclaredAccount, Unknown, Why, Withheld};
use crate::reconcile::{Outcome, outcome_of};

use super::rollout::ReportedRollout;
use super::set_up::{IntegrationOf, WaitsFor};
use super::summary::is_new;
use super::{Format, Report, Tally, TargetReport, Verb, key_of, waves, words};

const FORMAT_VERSION: u32 = 1;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "json",
    about: "for programs; `appcred schema` prints its form",
    write: |report, links| {
        Ok(match report.verb {
            Verb::Validate { .. } => problems::validated(report)?,
            Verb::Plan | Verb::Apply => plan(report, links)?,
        })
    },
    is_report: |text| serde_json::from_str(text).is_ok_and(|report| is_report(&report)),
};

/// Whether this is what a verb reports, in JSON or YAML.
pub(super) fn is_report(report: &Value) -> bool {
    let has = |name| report.get(name).is_some_and(Value::is_array);
    report.get("format_version").is_some_and(Value::is_u64)
        && report.get("kind").is_none()
        && (has("targets") || has("problems"))
}

/// What `appcred plan --format json` and `appcred apply --format json` print.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred plan")]
pub(super) struct PlanReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// The whole id of the commit that was fetched; left out without `--git`.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    /// What is wrong with the manifests; left out where nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// The arguments that selected what it is about, such as `--key=family`; left out where that is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    selection: Vec<String>,
    /// Why the run failed before it had more to report; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The wave that will not be done by what is planned, where targets of later waves are to be changed, or that `apply`
    /// found not to be done, so that it left those after it; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<ReportedRollout<'a>>,
    /// The targets; none where the manifests are in error.
    targets: Vec<ReportedTarget<ReportedPlan<'a>>>,
}

/// What is to be done at a target.
#[derive(Serialize, JsonSchema)]
struct ReportedPlan<'a> {
    /// Whether there is nothing to do and nothing in the way; of `apply`, whether that is so at its end.
    in_sync: bool,
    /// Whether the policy forbids to apply any of it.
    stopped: bool,
    /// How much of each kind.
    summary: Summary,
    /// What is done, in order.
    steps: Vec<PlannedStep<'a>>,
    /// What would be done but is not.
    withheld: Vec<NotDone<'a>>,
    /// Entries of which it is not known whether anything is to be done; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<NotKnown<'a>>,
    /// How far each entry's integration is set up; left out where nothing runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    integrations: Vec<IntegrationOf<'a>>,
    /// The linked accounts that use the credential of an entry which names others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    undeclared_accounts: Vec<UnnamedAccount<'a>>,
}

/// How much of each kind.
#[derive(Serialize, JsonSchema)]
struct Summary {
    /// Credentials that are new.
    create: usize,
    /// Credentials that take the place of others.
    replace: usize,
    /// Credentials made by hand that are taken over.
    adopt: usize,
    /// Credentials that take the place of some made by hand and in use; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<usize>,
    /// Claims that are written or renewed; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<usize>,
    /// Credentials that go with no other in their place.
    delete: usize,
    /// Integrations whose set-up is started.
    set_up: usize,
    /// Linked accounts that are reloaded for themselves; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reload: Option<usize>,
    /// What is recorded of linked accounts, for when their entries are gone; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<usize>,
    /// Linked accounts that are removed, with all that Home Assistant keeps of them; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<usize>,
    /// Set-ups that are ended; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    abandon: Option<usize>,
    /// What would be done but is not.
    withheld: usize,
}

/// One thing to do.
#[derive(Serialize, JsonSchema)]
struct PlannedStep<'a> {
    #[serde(flatten)]
    what: What<'a>,
    /// Why it is done.
    reasons: Vec<ReasonCode>,
    /// The linked accounts that are reloaded.
    reloads: Vec<Account<'a>>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeCode>,
    /// The account that was linked by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked: Option<Account<'a>>,
    /// What a set-up that waits is waiting for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<WaitsFor<'a>>,
    /// Why it did not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// A linked account that its entry does not name.
#[derive(Serialize, JsonSchema)]
struct UnnamedAccount<'a> {
    /// The entry.
    key: &'a Key,
    /// What the entry called it before; left out where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a AccountName>,
    #[serde(flatten)]
    account: Account<'a>,
}

/// An action and the credential that it is about.
#[derive(Serialize, JsonSchema)]
struct What<'a> {
    /// What is done.
    action: ActionCode,
    /// The integration.
    domain: &'a Domain,
    /// The entry. Of what is deleted, the one for which it was made; left out where nobody manages it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    /// As Home Assistant shows it.
    name: Option<&'a str>,
    /// What the entry calls the account that it is about; left out where that has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a AccountName>,
    /// The OAuth2 client id; none where it is about a set-up alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a ClientId>,
    /// The credentials that go, or that are shadowed.
    ids: Vec<&'a CredentialId>,
    /// The accounts that are removed, or that need consent again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<Account<'a>>,
    /// Where the entry is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_at: Option<Place>,
}

/// Something that is not done.
#[derive(Serialize, JsonSchema)]
struct NotDone<'a> {
    #[serde(flatten)]
    what: What<'a>,
    /// The reason.
    why: WithheldCode,
    /// The reason in words.
    message: String,
    /// What would change that.
    help: &'static str,
    /// The linked accounts that are in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    used_by: Vec<Account<'a>>,
}

/// An entry of which it is not known whether anything is to be done.
#[derive(Serialize, JsonSchema)]
struct NotKnown<'a> {
    /// The integration.
    domain: &'a Domain,
    /// The entry.
    key: &'a Key,
    /// As Home Assistant shows it.
    name: &'a str,
    /// What is not known.
    what: UnknownCode,
    /// The same in words.
    message: &'static str,
    /// How it could be known.
    help: &'static str,
    /// Where the entry is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    declared_at: Option<Place>,
}

/// A linked account.
#[derive(Serialize, JsonSchema)]
struct Account<'a> {
    /// Home Assistant's id of its config entry.
    entry_id: &'a EntryId,
    /// As Home Assistant shows it.
    title: &'a str,
    /// What Home Assistant says of it, such as `loaded`.
    state: String,
}

/// What is to be done, and what became of it where it was tried.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
fn plan(report: &Report<'_>, links: Links) -> serde_json::Result<String> {
    let targets = target_reports(report.targets, |target, plan| ReportedPlan {
        in_sync: plan.is_in_sync_once(|step| {
            outcome_of(target.outcomes, step).is_some_and(|of| of.outcome.is_done())
        }),
        stopped: plan.is_stopped(),
        summary: summary(plan),
        steps: plan.steps.iter().map(|step| planned_step(target, step, links)).collect(),
        withheld: plan.withheld.iter().map(|withheld| not_done(target, withheld)).collect(),
        unknown: plan.unknown.iter().map(|unknown| not_known(target, unknown)).collect(),
        integrations: plan.setup_states.iter().map(IntegrationOf::of).collect(),
        undeclared_accounts: plan.undeclared_accounts.iter().map(unnamed).collect(),
    });
    let problems = problems::problems(report);
    let selection = report.selection.arguments();
    let commit = report.commit;
    let format_version = FORMAT_VERSION;
    let (error, stop) = (None, waves::stop(report.targets));
    let rollout = match (report.undone, &stop) {
        (Some(undone), _) => Some(ReportedRollout::of(undone, waves::left_line(undone))),
        (None, Some(stop)) => Some(ReportedRollout::of(stop, waves::will_stop(stop))),
        (None, None) => None,
    };
    to_json(&PlanReport { format_version, commit, problems, selection, error, rollout, targets })
}

/// The report of a run that failed before it had one.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(super) fn failed_plan(why: &str) -> serde_json::Result<String> {
    let (format_version, error) = (FORMAT_VERSION, Some(why));
    let (commit, problems, selection, rollout, targets) = Default::default();
    to_json(&PlanReport { format_version, commit, problems, selection, error, rollout, targets })
}

fn summary(plan: &Plan) -> Summary {
    let tally = Tally::of(plan.steps.iter().filter(|step| is_new(step)));
    let unusual = |number: usize| (number > 0).then_some(number);
    Summary {
        create: tally.create,
        replace: tally.replace,
        adopt: tally.adopt,
        shadow: unusual(tally.shadow),
        claim: unusual(tally.claim),
        delete: tally.delete,
        set_up: tally.set_up,
        reload: unusual(tally.reload),
        note: unusual(tally.note),
        remove: unusual(tally.remove),
        abandon: unusual(tally.abandon),
        withheld: plan.withheld.len(),
    }
}

fn planned_step<'a>(target: &TargetReport<'a>, step: &'a Step, links: Links) -> PlannedStep<'a> {
    let ended = outcome_of(target.outcomes, step.id);
    let outcome = ended.map(|ended| &ended.outcome);
    let waits_for = match outcome {
        Some(Outcome::Waits(step)) => Some(WaitsFor::of(step, links)),
        _ => None,
    };
    let undone = outcome.filter(|_| waits_for.is_none()).and_then(words::undone);
    PlannedStep {
        what: what(target, &step.action),
        reasons: step.reasons.iter().map(|reason| reason.code()).collect(),
        reloads: accounts(&step.reload),
        outcome: outcome.map(Outcome::code),
        linked: ended.and_then(|ended| ended.linked.as_ref()).map(account),
        waits_for,
        error: undone.and_then(|undone| undone.why),
    }
}

fn not_done<'a>(target: &TargetReport<'a>, withheld: &'a Withheld) -> NotDone<'a> {
    let (message, help) = (withheld.why.to_string(), withheld.why.help());
    let used_by = match &withheld.why {
        Why::InUse { by }
        | Why::MayBeCloud { by }
        | Why::ReusedName { by, .. }
        | Why::ReusedKey { by, .. }
        | Why::PreviousOwner { by, .. } => accounts(by),
        _ => Vec::new(),
    };
    NotDone {
        what: what(target, &withheld.action),
        why: withheld.why.code(),
        message,
        help,
        used_by,
    }
}

fn not_known<'a>(target: &TargetReport<'a>, unknown: &'a Unknown) -> NotKnown<'a> {
    let (message, help) = words::unknowable(unknown.what);
    NotKnown {
        domain: &unknown.domain,
        key: &unknown.key,
        name: &unknown.name,
        what: unknown.what.code(),
        message,
        help,
        declared_at: target.entries.get(&unknown.key).map(|places| places.entry.clone()),
    }
}

fn what<'a>(target: &TargetReport<'a>, action: &'a Action) -> What<'a> {
    let entry = action.for_entry();
    let old = action.old();
    let touched = match action {
        Action::SetUp { account: Some(account), .. }
        | Action::Reload { account, .. }
        | Action::NoteAccount { account, .. } => std::slice::from_ref(account),
        other => other.removed(),
    };
    let first = old.first();
    What {
        action: action.code(),
        domain: action.domain(),
        key: key_of(action),
        name: entry
            .map(|wanted| wanted.name.as_str())
            .or_else(|| first.and_then(|held| held.name.as_deref())),
        account: action.account_name(),
        client_id: entry
            .map(|wanted| &wanted.client_id)
            .or_else(|| first.map(|held| &held.client_id)),
        ids: old.iter().map(|held| &held.id).collect(),
        accounts: accounts(touched),
        declared_at: entry
            .and_then(|wanted| target.entries.get(&wanted.key))
            .map(|places| places.entry.clone()),
    }
}

fn accounts(entries: &[ConfigEntry]) -> Vec<Account<'_>> {
    entries.iter().map(account).collect()
}

fn account(entry: &ConfigEntry) -> Account<'_> {
    Account { entry_id: &entry.id, title: &entry.title, state: entry.state.to_string() }
}

fn unnamed(UndeclaredAccount { key, name, account: of }: &UndeclaredAccount) -> UnnamedAccount<'_> {
    UnnamedAccount { key, name: name.as_ref(), account: account(of) }
}
