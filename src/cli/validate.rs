//! `validate`

use std::path::Path;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{self, TEXT_LIMIT};
use crate::git::{self, Found, NoHistory, What};
use crate::integrations;
use crate::manifest::{self, Project, check_domains};
use crate::recipients;
use crate::report::{Report, Verb, json};

use super::Global;
use super::exit::ExitStatus;
use super::gather::{load, show, silent_vault};
use super::links::LinkArgs;
use super::output::{Outputs, names};

/// Check the project file and all manifests, offline and without any key
///
/// Shows every problem in every file in one run, each with its place and what to do. Integrations
/// are checked against the built-in list; one of your own is named under `custom_integrations`.
///
/// Warns where a secret is not encrypted to the project's recipients, as far as that can be told:
/// identities that are at hand and need nobody are tried. Warns also of age identities that Git would
/// take in. With --history all old versions of the manifests are searched for secrets in clear.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred validate
  appcred -C house validate --strict
  appcred validate --history
  appcred validate --format github --format sarif=appcred.sarif")]
pub(super) struct Validate {
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Search Git's history of the manifests, on all branches, for secrets in clear
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    outputs: Outputs,
}

pub(super) async fn run(global: &Global, verb: &Validate) -> anyhow::Result<ExitStatus> {
    let loaded = load(global);
    let custom = &loaded.project.policy.custom_integrations;
    let mut problems = check_domains(loaded.domains(), integrations::known(), custom, "appcred");
    problems.append(loaded.problems);
    let vault = silent_vault(global, &loaded.project);
    problems.append(recipients::check(&loaded.project, &loaded.entries, &vault));
    problems.append(kept_identities(&global.folder, &loaded.project));
    if verb.history {
        problems.append(old_versions(&global.folder, &loaded.project));
    }
    if verb.strict {
        problems = problems.into_strict();
    }
    show(&problems);
    let valid = !problems.has_errors();
    let entries = loaded.entries.len();
    let noun = if entries == 1 { "entry" } else { "entries" };
    // What is wrong has been told beside what is printed.
    let text = || if valid { format!("Valid: {entries} {noun}.\n") } else { String::new() };
    let report = Report {
        verb: Verb::Validate,
        manifests: &loaded.manifests,
        problems: &problems,
        targets: &[],
        names: &names(global),
    };
    verb.outputs
        .write(&report, &LinkArgs::default(), &|_| text(), &|_| json::validated(&report))?;
    Ok(if valid { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Identities that Git would take in. Where there is no Git, it takes in nothing.
fn kept_identities(folder: &Path, project: &Project) -> Diagnostics {
    let mut found = git::identities(folder).unwrap_or_default();
    found.iter_mut().for_each(|file| *file = folder.join(&*file));
    for file in &project.age.identities {
        let is_there = found.iter().any(|other| is_same(other, file));
        // An age file of identities, under a passphrase, is kept in Git on purpose.
        if !is_there && is_key(file) && git::would_take(file).unwrap_or_default() {
            found.push(file.clone());
        }
    }
    let mut problems = Diagnostics::default();
    for file in found {
        let shown = file.strip_prefix(".").unwrap_or(&file).display();
        let message = format!("{shown} holds an age identity, and Git takes it in");
        let problem = Diagnostic::warning("identity-in-repository", message);
        problems.push(problem.help("move it out of the repository; if it was committed, make a new one, encrypt to that, and make new secrets at the providers"));
    }
    problems
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Whether a file holds an identity of age, or a private key of SSH.
fn is_key(file: &Path) -> bool {
    let Ok(text) = files::read(file, TEXT_LIMIT) else { return false };
    let text = String::from_utf8_lossy(&text);
    let is_ssh = text.trim_start().starts_with("-----BEGIN") && text.contains("PRIVATE KEY-----");
    is_ssh || text.contains("AGE-SECRET-KEY-")
}

/// Secrets that stand in old versions of the manifests in clear.
fn old_versions(folder: &Path, project: &Project) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let found = match git::plain_secrets(folder, &manifest::places(project)) {
        Ok(found) => found,
        Err(why) => {
            let help = match why {
                NoHistory::NotRun(_) => "install git",
                NoHistory::Shallow => {
                    "fetch the rest by `git fetch --unshallow`; in CI, `fetch-depth: 0`"
                }
                NoHistory::Refused(_) => "run it in a clone of the repository",
            };
            let message = format!("the history cannot be searched: {why}");
            problems.push(Diagnostic::error("no-history", message).help(help));
            return problems;
        }
    };
    for Found { commit, file, what } in found {
        let file = file.display();
        problems.push(match what {
            What::Secret { line, field } => Diagnostic::warning(
                "plain-secret-in-history",
                format!("`{field}` stands in clear in commit {commit}, {file}:{line}"),
            )
            .help("make a new one at the provider: whoever has the repository has this one"),
            What::Unreadable => Diagnostic::warning(
                "unreadable-history",
                format!("{file} in commit {commit} is no valid YAML, and was not searched"),
            )
            .help("look at it by `git show COMMIT:FILE`"),
        });
    }
    problems
}
