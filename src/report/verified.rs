//! What providers said of clients, as a table and as JSON.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::codes::{RegistrationCode, VerdictCode};
use crate::model::{ClientId, Domain, Key, Place, Visible, to_json};
use crate::verify::{Checked, Verdict};

use super::table;
use super::text::{BOLD, DIM, RED, YELLOW};

const FORMAT_VERSION: u32 = 1;

/// What `appcred verify --format json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "appcred verify")]
pub(super) struct VerifiedReport<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    /// Why the run failed before it had more to report; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// How many clients have each verdict.
    summary: VerifiedTally,
    /// How many redirect URIs have each verdict.
    registrations: RegistrationTally,
    /// The entries that were asked about.
    entries: Vec<VerifiedEntry<'a>>,
}

/// One entry.
#[derive(Serialize, JsonSchema)]
struct VerifiedEntry<'a> {
    /// Its key.
    key: &'a Key,
    /// The integration.
    domain: &'a Domain,
    /// The OAuth2 client id.
    client_id: &'a ClientId,
    /// Where the entry is written.
    declared_at: &'a Place,
    /// Where it was asked; null where that is not known.
    token_url: Option<&'a str>,
    /// What the provider said.
    verdict: VerdictCode,
    /// The same in words; left out where the client is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// Whether the provider knows the client and its redirect URI.
    registration: VerifiedRegistration<'a>,
}

/// A client and its redirect URI.
#[derive(Serialize, JsonSchema)]
struct VerifiedRegistration<'a> {
    /// What is to be registered with the client.
    redirect_uri: &'a str,
    /// Where it was asked; null where it was not.
    authorize_url: Option<&'a str>,
    /// What the provider said.
    verdict: RegistrationCode,
    /// The same in words.
    message: &'a str,
}

/// How many clients have each verdict.
#[derive(Default, Serialize, JsonSchema)]
struct VerifiedTally {
    /// Accepted.
    right: usize,
    /// Rejected.
    wrong: usize,
    /// Not answered.
    unreachable: usize,
    /// Answered, and nothing follows.
    unclear: usize,
    /// Not asked, since the address is not known.
    no_address: usize,
}

/// How many redirect URIs have each verdict.
#[derive(Default, Serialize, JsonSchema)]
struct RegistrationTally {
    /// The provider knows client and redirect URI.
    registered: usize,
    /// It does not (yet) accept the redirect URI.
    not_registered: usize,
    /// It does not (yet) know the client id.
    unknown_client: usize,
    /// It knows the client id alone, as far as is known.
    client_known: usize,
    /// No answer came.
    unreachable: usize,
    /// Nothing follows from its answer.
    unclear: usize,
    /// It was not asked.
    not_asked: usize,
}

/// A table of all, what to do about those that are not right, and a summary.
pub fn text(all: &[Checked], width: Option<u16>) -> String {
    if all.is_empty() {
        return "No entries.\n".to_owned();
    }
    let columns = ["KEY", "INTEGRATION", "CLIENT ID", "CLIENT", "REDIRECT URI", "WHY"];
    let row = |one: &Checked| {
        vec![
            one.key.to_string(),
            one.question.domain.to_string(),
            one.question.client_id.to_string(),
            one.verdict.code().words().to_owned(),
            one.registration.code.words().to_owned(),
            reasons(one),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let mut out = table::fitted(&columns, &rows, &["CLIENT ID"], width).join("\n") + "\n";
    use VerdictCode::{NoAddress, Unclear, Unreachable, Wrong};
    for kind in [Wrong, Unreachable, Unclear, NoAddress] {
        let such: Vec<_> = all.iter().filter(|one| one.verdict.code() == kind).collect();
        let Some(help) = such.first().and_then(|_| help(kind)) else { continue };
        let style = if kind == Wrong { RED } else { YELLOW };
        let _ = writeln!(out, "\n{style}{}{style:#}: {help}", kind.words());
        for one in such {
            let asked = one
                .question
                .token_url
                .as_deref()
                .map(|url| format!(", asked at {}", shown(url).visible()));
            let asked = asked.unwrap_or_default();
            let _ = writeln!(out, "  {} {DIM}({}{asked}){DIM:#}", one.key, one.place);
        }
    }
    for kind in [RegistrationCode::NotRegistered, RegistrationCode::UnknownClient] {
        to_register(&mut out, kind, all);
    }
    let _ = writeln!(out, "\n{BOLD}{}{BOLD:#}", summary(all));
    out
}

/// JSON for programs.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub fn json(all: &[Checked]) -> serde_json::Result<String> {
    let entries = all
        .iter()
        .map(|one| VerifiedEntry {
            key: &one.key,
            domain: &one.question.domain,
            client_id: &one.question.client_id,
            declared_at: &one.place,
            token_url: one.question.token_url.as_deref().map(shown),
            verdict: one.verdict.code(),
            message: why(&one.verdict),
            registration: VerifiedRegistration {
                redirect_uri: &one.authorize.redirect_uri.uri,
                authorize_url: one.authorize.authorize_url.as_deref().ok().map(shown),
                verdict: one.registration.code,
                message: &one.registration.why,
            },
        })
        .collect();
    let report = VerifiedReport {
        format_version: FORMAT_VERSION,
        error: None,
        summary: VerifiedTally::of(all),
        registrations: RegistrationTally::of(all),
        entries,
    };
    to_json(&report)
}

/// The report of a run that failed before it had one.
///
/// # Errors
/// None in practice: all of it can be written as JSON.
pub(super) fn failed(why: &str) -> serde_json::Result<String> {
    let (summary, registrations, entries) = Default::default();
    let (format_version, error) = (FORMAT_VERSION, Some(why));
    to_json(&VerifiedReport { format_version, error, summary, registrations, entries })
}

impl VerifiedTally {
    fn of(all: &[Checked]) -> Self {
        let mut tally = Self::default();
        for one in all {
            *match one.verdict.code() {
                VerdictCode::Right => &mut tally.right,
                VerdictCode::Wrong => &mut tally.wrong,
                VerdictCode::Unreachable => &mut tally.unreachable,
                VerdictCode::Unclear => &mut tally.unclear,
                VerdictCode::NoAddress => &mut tally.no_address,
            } += 1;
        }
        tally
    }
}

impl RegistrationTally {
    fn of(all: &[Checked]) -> Self {
        let mut tally = Self::default();
        for one in all {
            *match one.registration.code {
                RegistrationCode::Registered => &mut tally.registered,
                RegistrationCode::NotRegistered => &mut tally.not_registered,
                RegistrationCode::UnknownClient => &mut tally.unknown_client,
                RegistrationCode::ClientKnown => &mut tally.client_known,
                RegistrationCode::Unreachable => &mut tally.unreachable,
                RegistrationCode::Unclear => &mut tally.unclear,
                RegistrationCode::NotAsked => &mut tally.not_asked,
            } += 1;
        }
        tally
    }

    fn counts(&self) -> [(usize, RegistrationCode); 7] {
        [
            (self.registered, RegistrationCode::Registered),
            (self.not_registered, RegistrationCode::NotRegistered),
            (self.unknown_client, RegistrationCode::UnknownClient),
            (self.client_known, RegistrationCode::ClientKnown),
            (self.unreachable, RegistrationCode::Unreachable),
            (self.unclear, RegistrationCode::Unclear),
            (self.not_asked, RegistrationCode::NotAsked),
        ]
    }
}

/// What is to be done about redirect URIs and client ids that a provider does not accept.
fn to_register(out: &mut String, kind: RegistrationCode, all: &[Checked]) {
    let such: Vec<_> = all.iter().filter(|one| one.registration.code == kind).collect();
    if such.is_empty() {
        return;
    }
    let (what, help) = match kind {
        RegistrationCode::UnknownClient => (
            "unknown client",
            "compare the client id with what the provider shows; a new one may take a while to work",
        ),
        _ => (
            "redirect URI not (yet) accepted",
            "register exactly this one for the client; a change may take a while to work",
        ),
    };
    let _ = writeln!(out, "\n{RED}{what}{RED:#}: {help}");
    for Checked { key, place, authorize, .. } in such {
        let asked = authorize.authorize_url.as_deref().map(shown).unwrap_or_default();
        let uri = match kind {
            RegistrationCode::NotRegistered => format!(": {}", authorize.redirect_uri.uri),
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "  {key}{} {DIM}({place}, asked at {}){DIM:#}",
            uri.visible(),
            asked.visible()
        );
    }
}

fn summary(all: &[Checked]) -> String {
    let tally = VerifiedTally::of(all);
    let mut parts = vec![format!("{} right", tally.right), format!("{} wrong", tally.wrong)];
    let more = [
        (tally.unreachable, VerdictCode::Unreachable),
        (tally.unclear, VerdictCode::Unclear),
        (tally.no_address, VerdictCode::NoAddress),
    ];
    let more = more.iter().filter(|(number, _)| *number > 0);
    parts.extend(more.map(|(number, code)| format!("{number} {}", code.words())));
    let counts = RegistrationTally::of(all).counts();
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let uris: Vec<String> =
        counts.map(|(number, code)| format!("{number} {}", code.words())).collect();
    format!("Clients: {}. Redirect URIs: {}.", parts.join(", "), uris.join(", "))
}

/// Why client and redirect URI have their verdicts; what is as it should be needs no words.
fn reasons(one: &Checked) -> String {
    let has_reason = one.registration.code != RegistrationCode::Registered;
    let of_uri = has_reason.then_some(one.registration.why.as_str());
    let mut reasons: Vec<&str> = why(&one.verdict).into_iter().chain(of_uri).collect();
    reasons.dedup();
    if reasons.is_empty() { "-".to_owned() } else { reasons.join("; ") }
}

fn why(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Right => None,
        Verdict::Wrong(why) | Verdict::Unreachable(why) | Verdict::Unclear(why) => Some(why),
        Verdict::NoAddress => Some("no token endpoint is known"),
    }
}

fn help(verdict: VerdictCode) -> Option<&'static str> {
    match verdict {
        VerdictCode::Right => None,
        VerdictCode::Wrong => Some(
            "compare client id and secret with what the provider shows: the secret may have been replaced there",
        ),
        VerdictCode::Unreachable => Some("the client could not be checked: try again later"),
        VerdictCode::Unclear => Some(
            "the provider's answer does not say whether the client is right: consent will show it",
        ),
        VerdictCode::NoAddress => Some(
            "name the provider's token endpoint as `integration: {token_url: https://...}` in the entry",
        ),
    }
}

/// An address without its query.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}
