//! `validate`

use crate::desired;
use crate::manifest::{check_loaded, secret_values};
use crate::model::{Selection, counted};
use crate::recipients;
use crate::report::{Report, Verb};
use crate::repository;
use crate::secret::is_from_program;

use super::exit::ExitStatus;
use super::gather::{load, non_interactive_resolver, show};
use super::inputs::{OutputKind, refuse_inputs};
use super::links::LinkArgs;
use super::output::{Outputs, names};
use super::source_args::SourceArgs;
use super::{Global, console};

/// Check the project file and all manifests, offline and without any key
///
/// Shows every problem in every file in one run, each with its place and what to do. Integrations
/// are checked against the built-in list; one of your own is named under `custom_integrations`.
///
/// Secrets, certificates and keys are checked as far as they can be read here: what needs an identity,
/// a variable or a file outside the project is skipped. A name that secrets.yaml does not have is an error, and a
/// warning where there is no secrets.yaml, which may be on another machine; so is a `!file` that is not there.
///
/// Warns where a secret is not encrypted to the project's recipients, as far as the identities show
/// that are found and need no input. Warns also of age identities, and of files
/// with secrets in plain text, that Git keeps. With --history the old versions of all manifests in the
/// repository are searched for secrets in plain text, wherever they were, and those of secrets.yaml
/// and of the files that entries name, even if Git no longer tracks them, and what Home Assistant stores.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred validate
  appcred -C house validate --strict
  appcred validate --history
  appcred validate --format github --format sarif=appcred.sarif")]
pub(super) struct Validate {
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Search Git's history of the manifests, on all branches, for secrets in plain text
    #[arg(long, conflicts_with = "git")]
    history: bool,
    #[command(flatten)]
    pub(super) outputs: Outputs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

pub(super) async fn run(global: &Global, verb: &Validate) -> anyhow::Result<ExitStatus> {
    refuse_inputs(global, verb.outputs.files()?.map(|file| (OutputKind::Report, file)))?;
    let loaded = load(global);
    let (resolver, unusable) = non_interactive_resolver(global, &loaded.project);
    let mut problems = check_loaded(&loaded, &resolver);
    for problem in unusable.iter().filter(|problem| !problem.is_absence()) {
        problems.push(problem.warning());
    }
    problems.append(desired::check_secrets(&loaded, &resolver));
    problems.append(recipients::check(&loaded.project, &loaded.entries, &resolver));
    problems.append(repository::check(&global.folder, &loaded, &resolver));
    if verb.history {
        problems.append(repository::check_history(
            &global.folder,
            &loaded.project,
            &loaded.entries,
            &resolver,
        ));
    }
    if verb.strict {
        problems = problems.into_strict();
    }
    show(&problems);
    let values = secret_values(&loaded.project, &loaded.entries);
    let asked = values.filter(|secret| is_from_program(&secret.value.value)).count();
    if asked > 0 {
        let values = counted(asked, "value");
        console::message(format_args!(
            "Not checked: {values} that a program prints, since `validate` runs no programs."
        ));
    }
    let valid = !problems.has_errors();
    let report = Report {
        verb: Verb::Validate { entries: loaded.entries.len() },
        manifests: &loaded.manifests,
        problems: &problems,
        targets: &[],
        names: &names(global),
        selection: &Selection::default(),
        commit: global.commit(),
        details: global.details(),
        undone: None,
    };
    verb.outputs.write(&report, &LinkArgs::default())?;
    Ok(if valid { ExitStatus::Success } else { ExitStatus::Failure })
}
