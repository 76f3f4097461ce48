//! `import`

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::diagnostic::ProblemCode;
use crate::integrations;
use crate::manifest::{self, LoadRequest, Loaded, Project, load_project};
use crate::model::{Domain, Held, Key, Observed, TargetName, TargetSelection, Visible};
use crate::plan::{self, ImportPlan, Scope, Withheld};
use crate::report::Names;
use crate::report::changes::MadeChange;
use crate::report::import::{NewEntries, preview};
use crate::secret::{SecretResolver, is_sops_document};
use crate::suggest;
use crate::workspace::{
    Comparison, ImportDraft, ManifestDraft, OnError, TargetView, begun, import_policy, select,
};
use crate::yaml_edit::new_manifest;

use super::add::{manifest_for, text_of};
use super::exit::ExitStatus;
#[cfg(feature = "kubernetes")]
use super::export;
use super::gather::{gather_loaded, load, request, resolver, show};
use super::init::FIRST_MANIFEST;
use super::locks::{lock_project, lock_targets};
use super::new_entries::with_entries;
use super::output_format::ImportFormat;
use super::recipients::{Recipients, recipients, refuse_name_of_sops};
use super::selection::TargetArgs;
use super::take_over::{TakeOver, take_over};
use super::{ChangesArgs, Global, OutputFormat, candidates, console, environment};

/// Write manifests for what targets hold, and take it over
///
/// Each credential without an entry becomes an entry: its secret is encrypted to the
/// project's recipients before anything is written, and the entry goes to the end of
/// credentials/DOMAIN.yaml, or of the manifest that -o names. Then the credentials made by hand are
/// taken over, so that the next plan has nothing to do. One that a linked account uses stays as it
/// is, and is shadowed once its secret changes. Integrations stay as they are. Where there are several targets, those
/// that are meant are named; what they hold alike becomes one entry.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred import
  appcred import --target home --domain spotify --domain netatmo
  appcred import --target 'oslo-*'       # one entry for what several hold alike
  appcred import --foreign --output credentials/found.yaml
  appcred import --no-adopt --output -   # the manifest alone, to standard output")]
pub(super) struct ImportArgs {
    #[command(flatten)]
    selection: TargetArgs,
    /// Only this integration; may be given several times
    #[arg(long = "domain", value_name = "DOMAIN", add = candidates::known_domains())]
    domains: Vec<String>,
    /// Only what has no owner
    #[arg(long)]
    foreign: bool,
    /// Also what other owners manage; theirs stays, and this project gets one of its own
    #[arg(long, conflicts_with = "foreign")]
    other_owners: bool,
    /// Write all entries into this manifest; `-` is standard output. Else one for each integration
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only write manifests: the next `apply` takes over the credentials of their entries
    #[arg(long)]
    pub(super) no_adopt: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// How to write what was done; messages for people go to standard error where this is not text
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: ImportFormat,
}

impl ImportArgs {
    /// How it is written what was done.
    pub(super) fn changes(&self) -> ChangesArgs {
        ChangesArgs { format: self.format.of_changes() }
    }

    /// Whether resources are printed, and nothing else is done.
    fn makes_resources(&self) -> bool {
        #[cfg(feature = "kubernetes")]
        return self.format == ImportFormat::Crd;
        #[cfg(not(feature = "kubernetes"))]
        false
    }

    fn scope(&self, project: &Project) -> Scope {
        Scope {
            domains: self.domains.iter().map(|domain| Domain::new(domain.trim())).collect(),
            only_foreign: self.foreign,
            other_owners: self.other_owners,
            custom: project.policy.custom_integrations.clone(),
            forgotten: project.policy.forgotten.clone(),
        }
    }
}

pub(super) async fn run(
    global: &Global,
    verb: &ImportArgs,
    changes: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let selection = verb.selection.selection();
    let is_taken_over = !verb.no_adopt && !verb.makes_resources();
    let _targets =
        if is_taken_over { lock_targets(global, &selection).await?.2 } else { Vec::new() };
    let _project = lock_project(global)?;
    let Some(loaded) = loaded(global) else { return Ok(ExitStatus::Failure) };
    let project = loaded.project.clone();
    let (resolver, _) = resolver(global, &project);
    let recipients = recipients_for(global, verb, &project, &resolver)?;
    let is_printed = verb.output.as_deref() == Some(Path::new("-"));
    refuse(verb, &request(global), &project, is_printed)?;
    let (entries, sources) = (loaded.entries.clone(), loaded.files.clone());
    let taken = entries.iter().map(|entry| entry.key.value.clone()).collect();
    named_targets(&project, &selection)?;
    let policy = import_policy();
    let gathered = gather_loaded(global, loaded, &selection, &policy, OnError::Stop).await?;
    let Some(mut views) = gathered.targets else { return Ok(ExitStatus::Failure) };
    let scope = verb.scope(&project);
    let found = found(&views, &taken, &scope)?;
    let names = recipients.as_ref().map(|recipients| recipients.names.clone());
    let beside = (&project, entries.as_slice(), sources.as_slice());
    let draft = ImportDraft::new(found, beside, names.as_deref())?;
    say_recipients(recipients.filter(|_| !draft.made.is_empty()), &resolver);
    let pruned = pruned(&views);
    #[cfg(feature = "kubernetes")]
    if verb.makes_resources() {
        console::print_error(&preview(&[], &draft.left_out, &pruned));
        return export::print_found(&project, &selection, &draft);
    }
    if is_printed {
        return print_manifest(&draft, &pruned);
    }
    let file_of = |domain: &Domain| match &verb.output {
        Some(file) => file.clone(),
        None => manifest_for(global, &project, domain),
    };
    let files = files(global, &draft, file_of, &resolver)?;
    console::say(&shown(&draft, &files, &pruned))?;
    // A run that was cut short has declared what it has not taken over.
    let begun: Vec<_> = views.iter().map(|view| begun(view, &scope)).collect();
    begun.iter().flat_map(|begun| &begun.left).for_each(console::warning);
    let is_begun = begun.iter().any(|begun| !begun.keys.is_empty());
    if files.is_empty() && (!is_begun || verb.no_adopt) {
        let left = if !is_begun {
            ""
        } else {
            "`appcred apply` takes over what manifests declare already.\n"
        };
        console::say(&format!("Nothing to import.\n{left}"))?;
        return Ok(ExitStatus::Success);
    }
    let begun = begun.into_iter().map(|begun| begun.keys);
    let declare = |(view, begun)| match verb.no_adopt {
        true => begun,
        false => draft.declare(view, &files, &project, begun),
    };
    let keys = views.iter_mut().zip(begun).map(declare).collect();
    let taken = TakeOver { views, keys, reach: gathered.reach, recipients: names };
    take_over(global, verb, taken, (&files, &draft), changes).await
}

/// Reads the project, which may have no manifest yet; none where its own file is in error, which is shown.
fn loaded(global: &Global) -> Option<Loaded> {
    let mut loaded = load(global);
    loaded.problems = loaded.problems.without(ProblemCode::NoManifest);
    if loaded.project_problems.has_errors() {
        show(&loaded.problems);
        return None;
    }
    Some(loaded)
}

/// What of each target becomes entries.
///
/// # Errors
/// Where one of them is not known, or an integration is none.
fn found<'v>(
    views: &'v [TargetView],
    taken: &BTreeSet<Key>,
    scope: &Scope,
) -> anyhow::Result<Vec<(TargetName, ImportPlan, &'v Observed)>> {
    let mut found = Vec::with_capacity(views.len());
    for TargetView { name, comparison, .. } in views {
        let Comparison { desired, observed, .. } = match comparison {
            Ok(comparison) => comparison,
            Err(why) => bail!("{name}: {why}"),
        };
        found.push((name.clone(), plan::import(desired, observed, taken, scope), observed));
    }
    refuse_unknown(scope, found.iter().map(|(_, _, observed)| *observed))?;
    Ok(found)
}

/// What the next run would delete.
fn pruned(views: &[TargetView]) -> Vec<&Held> {
    let plans = views.iter().filter_map(|view| view.comparison.as_ref().ok());
    let withheld = plans.flat_map(|comparison| &comparison.plan.withheld);
    withheld.filter_map(Withheld::kept_by_policy).collect()
}

fn say_recipients(recipients: Option<Recipients>, resolver: &SecretResolver) {
    if let Some(recipients) = recipients {
        recipients.warn_of_lockout(resolver);
        recipients.say();
    }
}

fn print_manifest(draft: &ImportDraft, pruned: &[&Held]) -> anyhow::Result<ExitStatus> {
    console::print_error(&preview(&[], &draft.left_out, pruned));
    let entries: Vec<_> = draft.made.iter().map(|(_, entry)| entry.clone()).collect();
    console::print(&new_manifest(&entries)?)?;
    Ok(ExitStatus::Success)
}

/// Refuses what could not end well.
fn refuse(
    verb: &ImportArgs,
    request: &LoadRequest,
    project: &Project,
    is_printed: bool,
) -> anyhow::Result<()> {
    if is_printed && verb.changes().format != OutputFormat::Text {
        bail!("with `--output -` the result is a manifest, which has one form: leave out --format");
    }
    if verb.makes_resources() {
        return match verb.output {
            Some(_) => bail!("with `--format crd` resources are printed: leave out --output"),
            None => Ok(()),
        };
    }
    let Some(file) = verb.output.as_deref().filter(|_| !verb.no_adopt) else { return Ok(()) };
    if is_printed {
        bail!("what is only printed cannot be taken over: pass --no-adopt, or name a file");
    }
    if !manifest::is_manifest(request, project, file) {
        bail!(
            "{} is not a place where appcred reads manifests, so the next apply would delete what it declares: name a file that `manifests` in appcred.yaml includes, or pass --no-adopt",
            file.visible()
        );
    }
    Ok(())
}

/// Refuses a domain that neither integrations nor credentials there have: it is mistyped.
fn refuse_unknown<'o>(
    scope: &Scope,
    observed: impl Iterator<Item = &'o Observed>,
) -> anyhow::Result<()> {
    let held = observed.flat_map(|observed| &observed.credentials);
    let held = held.map(|credential| &credential.domain);
    let known: BTreeSet<&Domain> =
        integrations::known().iter().chain(&scope.custom).chain(held).collect();
    match scope.domains.iter().find(|domain| !known.contains(domain)) {
        None => Ok(()),
        Some(domain) => {
            let known = known.iter().map(|domain| domain.as_str());
            bail!(suggest::unknown("integration", domain.as_str(), known))
        }
    }
}

/// Refuses several targets that nobody has named.
fn named_targets(project: &Project, selection: &TargetSelection) -> anyhow::Result<()> {
    let targets = select(project, &environment::read(), selection)?;
    if targets.len() > 1 && *selection == TargetSelection::default() {
        bail!(
            "there are several targets: name one with --target, or several, as in --target '*': {}",
            Names(targets.keys().collect())
        );
    }
    Ok(())
}

/// Those to whom the new entries are encrypted; a SOPS document encrypts them by its own rules. Resources have no secret.
fn recipients_for(
    global: &Global,
    verb: &ImportArgs,
    project: &Project,
    resolver: &SecretResolver,
) -> anyhow::Result<Option<Recipients>> {
    if verb.makes_resources() {
        return Ok(None);
    }
    let named = verb.output.as_deref().map(text_of).transpose()?.flatten();
    if named.is_some_and(|text| is_sops_document(&text)) {
        return Ok(Some(resolver.recipients().to_vec().into()));
    }
    verb.output.as_deref().map_or(Ok(()), refuse_name_of_sops)?;
    let usual = global.folder.join(FIRST_MANIFEST);
    recipients(global, project, &[], verb.output.as_deref().unwrap_or(&usual)).map(Some)
}

/// Refuses to write what is encrypted to others than the project has by now.
pub(super) fn check_recipients(
    global: &Global,
    verb: &ImportArgs,
    names: Option<Vec<String>>,
) -> anyhow::Result<()> {
    let (project, _) = load_project(&request(global));
    let now = recipients_for(global, verb, &project, &resolver(global, &project).0)?;
    if now.map(|now| now.names) != names {
        bail!(
            "nothing was changed: to whom the project encrypts was changed meanwhile; run `appcred import` again"
        );
    }
    Ok(())
}

/// All files with their new text, before any of them is written.
fn files(
    global: &Global,
    draft: &ImportDraft,
    file_of: impl Fn(&Domain) -> PathBuf,
    resolver: &SecretResolver,
) -> anyhow::Result<Vec<ManifestDraft>> {
    let mut by_path: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (at, (imported, _)) in draft.made.iter().enumerate() {
        by_path.entry(file_of(&imported.of.domain)).or_default().push(at);
    }
    let draft_of = |(path, entries): (PathBuf, Vec<usize>)| {
        let sealed = || Ok(entries.iter().map(|at| draft.made[*at].1.clone()).collect());
        let plain = || draft.unsealed(entries.iter().copied());
        let file = with_entries(global, path, resolver, sealed, plain)?;
        Ok(ManifestDraft { entries, ..file })
    };
    by_path.into_iter().map(draft_of).collect()
}

fn shown(draft: &ImportDraft, files: &[ManifestDraft], pruned: &[&Held]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| NewEntries {
            file: &file.path,
            exists: file.before.is_some(),
            entries: file.entries.iter().map(|at| &draft.made[*at].0).collect(),
        })
        .collect();
    preview(&files, &draft.left_out, pruned)
}
