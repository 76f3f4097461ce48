//! `verify`

use anyhow::bail;

use crate::desired;
use crate::integrations::Release;
use crate::manifest::Entry;
use crate::model::TargetName;
use crate::reconcile::Verdicts;
use crate::report::verified;
use crate::verify::{Checked, check};
use crate::workspace::{TargetView, is_target};

use super::exit::ExitStatus;
use super::gather::entries;
use super::selection::TargetArgs;
use super::{Global, OutputFormat, console};

/// Ask the providers whether client ids and secrets are right
///
/// Sends each client to its provider's token endpoint, with an authorization code that cannot be
/// valid: a provider that then refuses the code has taken the client. Nothing is granted, no consent
/// is needed, and Home Assistant is not asked. Where a provider cannot be reached, or its answer
/// is unclear, that is reported and is no failure.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred verify
  appcred verify spotify-family netatmo
  appcred verify --strict --format json   # 1 also where it is not clear")]
pub(super) struct Verify {
    /// Only the entries with these keys
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    selection: TargetArgs,
    /// End with 1 also where it does not become clear whether a client is right
    #[arg(long)]
    strict: bool,
    /// How to write what the providers said
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: OutputFormat,
}

pub(super) async fn run(global: &Global, verb: &Verify) -> anyhow::Result<ExitStatus> {
    let Some((project, resolved)) = entries(global).await? else {
        return Ok(ExitStatus::Failure);
    };
    for name in &verb.selection.targets {
        if !is_target(&project, name) {
            bail!("there is no target `{name}`");
        }
    }
    for key in &verb.keys {
        if !resolved.clients().any(|(entry, ..)| entry.key.value.as_str() == key) {
            bail!("there is no entry with the key `{key}`");
        }
    }
    let wanted = resolved.clients().filter(|(entry, ..)| verb.wants(entry));
    let wanted = wanted.map(|(entry, client_id, secret)| {
        (desired::wanted(entry, client_id.clone(), secret.clone().into()), None)
    });
    let checked = check(wanted).await;
    console::print(&match verb.format {
        OutputFormat::Text => verified::text(&checked),
        OutputFormat::Json => verified::json(&checked)?,
    })?;
    Ok(if passes(&checked, verb.strict) { ExitStatus::Success } else { ExitStatus::Failure })
}

impl Verify {
    fn wants(&self, entry: &Entry) -> bool {
        let key = entry.key.value.as_str();
        let targets = &self.selection.targets;
        (self.keys.is_empty() || self.keys.iter().any(|wanted| wanted == key))
            && (targets.is_empty()
                || targets.iter().any(|name| entry.targets.include(&TargetName::new(name.clone()))))
    }
}

/// Asks about all that plans would create, and reports the answers; none where a plan may not be applied.
pub(super) async fn plans(views: &[TargetView], strict: bool) -> Option<Verdicts> {
    let new_entries = views.iter().flat_map(|view| {
        let release = Release::of(view.version());
        view.new_entries().map(move |entry| (entry.clone(), release))
    });
    let checked = check(new_entries).await;
    if !checked.is_empty() {
        console::print_error(&verified::text(&checked));
    }
    passes(&checked, strict).then(|| Verdicts::of(&checked))
}

fn passes(checked: &[Checked], strict: bool) -> bool {
    checked.iter().all(|one| one.verdict.passes(strict))
}
