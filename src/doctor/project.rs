//! The project file, the manifests, and what is to be seen of them without a target.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DoctorRequest, HealthCheck, machine, secrets};
use crate::codes::CheckCode;
use crate::diagnostic::{Diagnostics, Severity};
use crate::files;
use crate::manifest::{Loaded, Project, check_loaded};
use crate::model::{Visible, counted};
use crate::repository;
use crate::secret::SecretResolver;
use crate::workspace::Workspace;

const SHOWN_BY_VALIDATE: &str = "`appcred validate` shows each with its place";

/// What was seen of the project, for those who look at its targets.
pub(super) struct SeenProject {
    pub(super) project: Project,
    /// For how many entries each of them is looked at.
    pub(super) loaded: Loaded,
    pub(super) resolver: Arc<SecretResolver>,
    pub(super) checks: Vec<HealthCheck>,
}

pub(super) fn look(request: &DoctorRequest) -> SeenProject {
    let DoctorRequest { workspace, program_folders, .. } = request;
    let loaded = workspace.load();
    let project = loaded.project.clone();
    let (resolver, unusable) = workspace.unattended_resolver(&project);
    let mut checks = vec![project_file(workspace, &loaded), manifests(&loaded, &resolver)];
    checks.extend(secrets::look(workspace, &loaded, &resolver, &unusable));
    checks.extend(in_git(workspace, &loaded, &resolver));
    checks.extend(sources(&project, &workspace.folder, program_folders));
    checks.extend(machine::look(workspace, &project));
    SeenProject { project, loaded, resolver: Arc::new(resolver), checks }
}

fn project_file(workspace: &Workspace, loaded: &Loaded) -> HealthCheck {
    let (code, folder) = (CheckCode::Project, &workspace.folder);
    let real = |path: &Path| files::real_path(path).unwrap_or_else(|_| path.to_owned());
    if let Some(file) = &loaded.project.file {
        let file = real(file);
        let file = file.visible();
        if loaded.project_problems.has_errors() {
            return HealthCheck::error(code, format!("{file} has errors")).help(SHOWN_BY_VALIDATE);
        }
        return HealthCheck::ok(code, format!("{file}, of the owner {}", loaded.project.owner));
    }
    let none = format!("there is no appcred.yaml in {}", real(folder).visible());
    match workspace.environment.target {
        Some(_) => HealthCheck::ok(code, format!("{none}; the environment names the target")),
        None => HealthCheck::warning(code, none)
            .help("write one with `appcred init`, or name the project's folder with -C"),
    }
}

fn manifests(loaded: &Loaded, resolver: &SecretResolver) -> HealthCheck {
    let problems = check_loaded(loaded, resolver);
    let all = problems.sorted();
    let seen = format!(
        "{} in {}",
        counted(loaded.entries.len(), "entry"),
        counted(loaded.manifests.len(), "manifest")
    );
    let count = |of: Severity| all.iter().filter(|problem| problem.severity == of).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let code = CheckCode::Manifests;
    let wrong =
        || format!("{seen}: {}, {}", counted(errors, "error"), counted(warnings, "warning"));
    let help = SHOWN_BY_VALIDATE;
    match (errors, warnings) {
        (0, 0) => HealthCheck::ok(code, seen),
        (0, _) => HealthCheck::warning(code, wrong()).help(help),
        _ => HealthCheck::error(code, wrong()).help(help),
    }
}

/// What Git keeps in plain text.
fn in_git(workspace: &Workspace, loaded: &Loaded, resolver: &SecretResolver) -> Vec<HealthCheck> {
    let code = CheckCode::Repository;
    let found = repository::check(&workspace.folder, loaded, resolver);
    let real = workspace.folder.canonicalize();
    let is_in_one = real.is_ok_and(|folder| files::repository_of(&folder).is_some());
    match (found.is_empty(), is_in_one) {
        (false, _) => each(code, &found),
        (true, true) => {
            vec![HealthCheck::ok(code, "Git keeps no secret of the project in plain text")]
        }
        (true, false) => vec![HealthCheck::skipped(code, "the project is in no Git repository")],
    }
}

/// A check of each problem.
pub(super) fn each(code: CheckCode, problems: &Diagnostics) -> Vec<HealthCheck> {
    let all = problems.sorted().into_iter().map(|problem| {
        let place = problem.spot.as_ref().map(|spot| format!("{}: ", spot.place()));
        let seen = format!("{}{}", place.unwrap_or_default(), problem.message);
        let check = match problem.severity {
            Severity::Error => HealthCheck::error(code, seen),
            Severity::Warning => HealthCheck::warning(code, seen),
        };
        HealthCheck { help: problem.help.clone(), ..check }
    });
    all.collect()
}

/// Whether the programs are there that are asked for secrets. None is started.
fn sources(project: &Project, folder: &Path, program_folders: &[PathBuf]) -> Vec<HealthCheck> {
    let code = CheckCode::Sources;
    let sources = project.sources.iter();
    let sources = sources.map(|(name, source)| (format!("the source {name}"), "sources", source));
    let sops = project.sops_program.iter();
    let sops = sops.map(|sops| ("`sops_program`".to_owned(), "sops_program", sops));
    let checks = sources.chain(sops).filter_map(|(name, field, program)| {
        let program = program.command.first()?;
        let found = files::program(program, folder, program_folders.iter().cloned());
        Some(match found {
            Some(file) => HealthCheck::ok(code, format!("{name} is {}", file.visible())),
            None => {
                let seen = format!("the program {program} of {name} is not found");
                let help =
                    format!("install it, or correct `command` under `{field}` in appcred.yaml");
                HealthCheck::error(code, seen).help(help)
            }
        })
    });
    checks.collect()
}
