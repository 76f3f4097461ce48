//! `verify`

use std::collections::BTreeSet;

use anyhow::bail;

use crate::manifest::Entry;
use crate::model::{DesiredCredential, Key, Place, TargetName};
use crate::report::verified::{self, Verified};
use crate::verify::{Question, Verdict, verify};
use crate::workspace::{TargetView, is_target};

use super::apply::has_work;
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
    let asked: Vec<Asked> = resolved
        .clients()
        .filter(|(entry, ..)| verb.wants(entry))
        .map(|(entry, client_id, secret)| Asked {
            key: entry.key.value.clone(),
            place: entry.place.clone(),
            question: Question {
                domain: entry.domain.value.clone(),
                client_id: client_id.clone(),
                client_secret: secret.clone(),
                token_url: entry.integration.token_url.clone(),
            },
        })
        .collect();
    let verdicts = ask(&asked).await;
    let verified = verified(&asked, &verdicts);
    console::print(&match verb.format {
        OutputFormat::Text => verified::text(&verified),
        OutputFormat::Json => verified::json(&verified)?,
    })?;
    Ok(if passes(&verdicts, verb.strict) { ExitStatus::Success } else { ExitStatus::Failure })
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

/// Asks about all that plans would create, and reports the answers. Whether they may be applied.
pub(super) async fn plans(views: &[TargetView], strict: bool) -> bool {
    let mut asked: Vec<Asked> =
        views.iter().filter(|view| has_work(view)).flat_map(new_ones).collect();
    // An entry that is new on several targets is one client.
    let mut seen = BTreeSet::new();
    asked.retain(|asked| seen.insert(asked.place.clone()));
    if asked.is_empty() {
        return true;
    }
    let verdicts = ask(&asked).await;
    console::print_error(&verified::text(&verified(&asked, &verdicts)));
    passes(&verdicts, strict)
}

fn new_ones(view: &TargetView) -> Vec<Asked> {
    let Ok(comparison) = &view.comparison else { return Vec::new() };
    let keys = comparison.plan.steps.iter().filter_map(|step| step.action.wanted());
    let wanted = |key: &Key| comparison.desired.credentials.iter().find(|one| one.key == *key);
    let asked = |credential: &DesiredCredential| {
        let entry = view.entries.get(&credential.key);
        Some(Asked {
            key: credential.key.clone(),
            place: credential.place.clone(),
            question: Question {
                domain: credential.domain.clone(),
                client_id: credential.client_id.clone(),
                client_secret: credential.client_secret.clear()?.clone(),
                token_url: entry.and_then(|entry| entry.integration.token_url.clone()),
            },
        })
    };
    keys.filter_map(|new| wanted(&new.key)).filter_map(asked).collect()
}

/// An entry that is asked about.
struct Asked {
    key: Key,
    place: Place,
    question: Question,
}

async fn ask(asked: &[Asked]) -> Vec<Verdict> {
    let questions: Vec<_> = asked.iter().map(|asked| asked.question.clone()).collect();
    verify(&questions).await
}

fn verified<'a>(asked: &'a [Asked], verdicts: &'a [Verdict]) -> Vec<Verified<'a>> {
    asked
        .iter()
        .zip(verdicts)
        .map(|(Asked { key, place, question }, verdict)| Verified {
            key,
            domain: &question.domain,
            client_id: &question.client_id,
            place,
            address: question.address(),
            verdict,
        })
        .collect()
}

fn passes(verdicts: &[Verdict], strict: bool) -> bool {
    verdicts.iter().all(|verdict| match verdict {
        Verdict::Right => true,
        Verdict::Wrong(_) => false,
        Verdict::Unreachable(_) | Verdict::Unclear(_) | Verdict::NoAddress => !strict,
    })
}
