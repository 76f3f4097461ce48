//! `verify`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::desired::{self, Needed};
use crate::integrations::Release;
use crate::manifest::Entry;
use crate::model::{Key, TargetName, TargetSelection};
use crate::reconcile::Verdicts;
use crate::report::verified;
use crate::verify::{Checked, RedirectUri, check, confirm};
use crate::workspace::{
    Offered, TargetView, check_selection, find_entry, limit_warnings, selected_names,
};

use super::exit::ExitStatus;
use super::gather::{load, resolved, show, workspace};
use super::selection::{EntryArgs, TargetArgs};
use super::source_args::SourceArgs;
use super::{Global, OutputFormat, candidates, console};

/// When a provider is asked again that did not accept a redirect URI or a client id.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Ask the providers whether clients are right and redirect URIs registered
///
/// Sends each client to its provider's token endpoint, with an authorization code that cannot be
/// valid: a provider that then refuses the code has taken the client. Nothing is granted and no consent
/// is needed. Then it opens the page where somebody would consent, as a browser does that nobody is
/// logged in with: most providers show there whether they know the client id and the redirect URI.
/// The targets are asked for that URI alone. A provider that does not accept one is asked again after
/// 30 seconds. Where a provider cannot be reached, or its answer is unclear, that is reported and is no
/// failure.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred verify
  appcred verify spotify-family netatmo
  appcred verify --domain google
  appcred verify --strict --format json   # 1 also where it is not clear")]
pub(super) struct Verify {
    /// Only these entries, by key, name or the id of their credential
    #[arg(value_name = "KEY", add = candidates::keys())]
    named: Vec<String>,
    #[command(flatten)]
    selection: TargetArgs,
    #[command(flatten)]
    entries: EntryArgs,
    /// End with 1 also where it does not become clear whether client id and secret are right
    #[arg(long)]
    strict: bool,
    /// How to write what the providers said
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: OutputFormat,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

pub(super) async fn run(global: &Global, verb: &Verify) -> anyhow::Result<ExitStatus> {
    let loaded = load(global);
    show(&loaded.problems);
    if loaded.problems.has_errors() {
        return Ok(ExitStatus::Failure);
    }
    let project = loaded.project.clone();
    let selected = verb.selection.selection();
    let targets = selected_names(&project, &selected)?;
    let is_everywhere = selected == TargetSelection::default();
    let entries = || loaded.entries.iter().map(Arc::as_ref);
    let named = verb.named.iter().map(|name| find_entry(name, entries()));
    let named: BTreeSet<Key> = named.collect::<Result<_, _>>()?;
    let selection = verb.entries.selection();
    check_selection(&selection, entries().map(|entry| (entry.keys(), &entry.domain.value)))?;
    // Entries for other targets may have the same key.
    let needed = move |entry: &Entry| {
        let is_named = named.is_empty() || named.contains(&entry.key.value);
        if !is_everywhere && !entry.targets.include_any(&targets) {
            Needed::Nothing
        } else if is_named && selection.includes(entry.keys(), &entry.domain.value) {
            Needed::Client
        } else {
            Needed::IdAlone
        }
    };
    let Some(resolved) = resolved(global, loaded, needed).await? else {
        return Ok(ExitStatus::Failure);
    };
    let Offered { redirect_uris, linked, .. } =
        workspace(global).offered(&project, &selected).await;
    let spots = resolved.clients();
    let spots = spots.map(|(entry, id, _)| ((&entry.domain.value, id), &entry.client_id.spot));
    let linked = linked.iter().map(|(domain, id, title)| (domain, id, title.as_str()));
    show(&limit_warnings(linked, spots));
    let wanted = resolved.clients().flat_map(|(entry, client_id, secret)| {
        let wanted = desired::wanted(entry, client_id.clone(), secret.clone().into());
        let uris = redirect_uris_of(entry, &redirect_uris);
        uris.into_iter().map(move |uri| (wanted.clone(), None, uri))
    });
    let checked = confirmed(check(wanted).await).await;
    let text = || verified::text(&checked, console::width());
    verb.format.print(text, || verified::json(&checked))?;
    Ok(if passes(&checked, verb.strict) { ExitStatus::Success } else { ExitStatus::Failure })
}

/// The redirect URIs of an entry's targets, as far as these say them.
fn redirect_uris_of(entry: &Entry, of: &BTreeMap<TargetName, String>) -> Vec<RedirectUri> {
    let own = of.iter().filter(|(name, _)| entry.targets.include(name));
    let mut uris: Vec<RedirectUri> =
        own.map(|(_, uri)| RedirectUri::of(Some(uri.as_str()))).collect();
    uris.sort();
    uris.dedup();
    if uris.is_empty() {
        uris.push(RedirectUri::of(None));
    }
    uris
}

async fn confirmed(mut checked: Vec<Checked>) -> Vec<Checked> {
    if checked.iter().any(|one| one.registration.is_refused()) {
        console::message(
            "A redirect URI or client id is not accepted; asking again in 30 seconds.",
        );
    }
    confirm(&mut checked, ASKED_AGAIN_AFTER).await;
    checked
}

/// Asks about all that plans would create, and reports the answers; none where a plan may not be applied.
pub(super) async fn plans(views: &[TargetView], strict: bool) -> Option<Verdicts> {
    let new_entries = views.iter().flat_map(|view| {
        let release = Release::of(view.version());
        let uri = RedirectUri::of(view.redirect_uri());
        view.new_entries().map(move |entry| (entry.clone(), release, uri.clone()))
    });
    let checked = confirmed(check(new_entries).await).await;
    if !checked.is_empty() {
        console::print_error(&verified::text(&checked, console::width()));
    }
    passes(&checked, strict).then(|| Verdicts::of(&checked))
}

fn passes(checked: &[Checked], strict: bool) -> bool {
    checked.iter().all(|one| one.passes(strict))
}
