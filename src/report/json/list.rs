//! What `list` prints.

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::CredentialCode;
use crate::diagnostic::Diagnostics;
use crate::model::{ClientId, CredentialId, Domain, Key, to_json};
use crate::plan::{ComparedCredential, Plan, Wanted};
use crate::report::accounts::{self, NamedAccount};
use crate::report::list::{Rows, key_of, owner_of};
use crate::report::set_up::{self, SetUp};
use crate::report::{FileNames, TargetReport};

use super::{
    Account, FORMAT_VERSION, Problem, ReportedTarget, accounts as users_of, problems_of,
    target_reports,
};

/// What `appcred list --format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred list")]
pub(in crate::report) struct ListReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// What is wrong with the manifests; left out where nothing is. Entries in error are in no target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// Why the run failed, where no target says it; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The targets.
    targets: Vec<ReportedTarget<Listed<'a>>>,
}

/// What a target holds.
#[derive(Serialize, JsonSchema)]
struct Listed<'a> {
    /// The credentials, in the target's order.
    credentials: Vec<ListedCredential<'a>>,
    /// The entries of which the target holds nothing.
    missing: Vec<MissingCredential<'a>>,
}

/// What an entry wants and the target does not hold.
#[derive(Serialize, JsonSchema)]
struct MissingCredential<'a> {
    /// The entry.
    key: &'a Key,
    /// The integration.
    domain: &'a Domain,
    /// As Home Assistant will show it.
    name: &'a str,
    /// The OAuth2 client id.
    client_id: &'a ClientId,
    /// `missing`.
    state: CredentialCode,
}

/// One credential.
#[derive(Serialize, JsonSchema)]
struct ListedCredential<'a> {
    /// Home Assistant's id.
    id: &'a CredentialId,
    /// The integration.
    domain: &'a Domain,
    /// As Home Assistant shows it.
    name: Option<&'a str>,
    /// The OAuth2 client id.
    client_id: &'a ClientId,
    /// The repository that manages it.
    owner: Option<String>,
    /// Its entry, or the one that it was made for.
    key: Option<Key>,
    /// The linked accounts that use it.
    used_by: Vec<Account<'a>>,
    /// How it compares with the manifests.
    state: CredentialCode,
    /// Whether it is protected: it is neither deleted nor replaced.
    protected: bool,
    /// Whether its entry is suspended: it stays as it is.
    suspended: bool,
    /// The day on which its client expires, as its entry says, as in `2027-03-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// The day from which on its secret is to be replaced, as its entry says.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_after: Option<String>,
    /// How far its entry's integration is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_up: Option<SetUp<'a>>,
    /// The accounts that the entry names; `set_up` is left out where it names any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<NamedAccount<'a>>,
}

const IN_ERROR: &str = "the project has errors, which `problems` lists";

/// Every credential and its state, and what is wrong with the manifests.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn list(
    targets: &[TargetReport<'_>],
    rows: &Rows,
    problems: &Diagnostics,
    names: &FileNames,
) -> serde_json::Result<String> {
    let targets = target_reports(targets, |target, plan| {
        let (held, missing) = rows.of(plan);
        Listed {
            credentials: held.into_iter().map(|of| listed(of, plan, target)).collect(),
            missing: missing.into_iter().map(missing_credential).collect(),
        }
    });
    let error = problems.has_errors().then_some(IN_ERROR);
    let problems = problems_of(problems, names);
    to_json(&ListReport { format_version: FORMAT_VERSION, problems, error, targets })
}

/// The list of a run that failed before it had one.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(in crate::report) fn failed_list(why: &str) -> serde_json::Result<String> {
    let (problems, error, targets) = (Vec::new(), Some(why), Vec::new());
    to_json(&ListReport { format_version: FORMAT_VERSION, problems, error, targets })
}

fn listed<'a>(
    of: &'a ComparedCredential,
    plan: &'a Plan,
    target: &TargetReport<'_>,
) -> ListedCredential<'a> {
    let ComparedCredential { held, state, users, is_protected, is_suspended, .. } = of;
    let written = state.entry().and_then(|key| target.entries.get(key));
    let lifetime = written.map(|written| written.lifetime).unwrap_or_default();
    let set_ups = set_up::setup_states_of(plan, state);
    let (set_up, accounts) =
        accounts::split(set_ups.map(|of| (of.id.account.as_ref(), set_up::of_entry(of))));
    ListedCredential {
        id: &held.id,
        domain: &held.domain,
        name: held.name.as_deref(),
        client_id: &held.client_id,
        owner: owner_of(of, plan).map(|owner| owner.to_string()),
        key: key_of(of),
        used_by: users_of(users),
        state: state.code(),
        protected: *is_protected,
        suspended: *is_suspended,
        expires: lifetime.expires.map(|day| day.to_string()),
        rotate_after: lifetime.rotate_after.map(|day| day.to_string()),
        set_up,
        accounts,
    }
}

fn missing_credential(wanted: &Wanted) -> MissingCredential<'_> {
    MissingCredential {
        key: &wanted.key,
        domain: &wanted.domain,
        name: &wanted.name,
        client_id: &wanted.client_id,
        state: CredentialCode::Missing,
    }
}
