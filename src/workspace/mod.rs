//! A project and its targets, from files to plans: what every verb and the watcher start from.
//!
//! Nothing here prints, asks but through `Ask`, or knows how something was asked for on a command line.

mod against;
mod environment;
mod evaluate;
mod fetching;
mod import;
mod left_out;
mod limits;
mod notices;
mod offered;
mod reach;
mod reader;
mod saved;
mod selected;
mod targets;

use std::path::PathBuf;

use crate::diagnostic::Diagnostics;
use crate::manifest::{self, LoadRequest, Loaded, Project, check_lifetimes};
use crate::model::Owner;
use crate::secret::env::IdentitySources;
use crate::secret::{
    AllowedPaths, Ask, Identities, IdentityFile, IdentityProblem, Nobody, Plugins, SecretResolver,
};

pub use against::{Against, StaleSnapshot};
pub use environment::Environment;
pub use evaluate::{Comparison, Evaluation, EvaluationError, OnError, Resolution, TargetView};
pub use fetching::fetch_newest;
pub use import::{ImportDraft, ManifestDraft, begun, import_policy};
pub use limits::warnings as limit_warnings;
pub use offered::Offered;
pub use reach::{Reach, Reopened};
pub use reader::{ProjectReader, ReaderSettings};
pub use saved::{NotSaved, planned};
pub use selected::{NoSuchEntry, check_selection, find_entry};
pub use targets::{SelectionError, one_home_assistant, select, selected_names};

/// A project's folder, and the environment that it is used in.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// The folder, as it was named to us.
    pub folder: PathBuf,
    /// What the environment says.
    pub environment: Environment,
    /// Whether the project may name no programs, since others may write it.
    pub no_programs: bool,
    /// The repository that it was fetched with: its folder is replaced with each commit.
    pub fetched: Option<PathBuf>,
    /// The owner of the project where it names none; that of its folder where there is none.
    pub owner: Option<Owner>,
}

impl Workspace {
    /// What there is to read.
    pub fn request(&self) -> LoadRequest {
        LoadRequest {
            folder: self.folder.clone(),
            home: self.environment.home.clone(),
            owner: self.owner.clone(),
        }
    }

    /// Reads the project and its manifests.
    pub fn load(&self) -> Loaded {
        let mut loaded = manifest::load(&self.request());
        self.restrict(&mut loaded);
        self.hold_left_out(&mut loaded);
        let Loaded { project, entries, problems, .. } = &mut loaded;
        problems.append(check_lifetimes(project, entries, self.environment.today));
        loaded
    }

    /// Reads the project alone.
    pub fn load_project(&self) -> (Project, Diagnostics) {
        let (mut project, mut problems) = manifest::load_project(&self.request());
        problems.append(self.refused(&mut project));
        (project, problems)
    }

    /// Refuses what the project may not name.
    pub(super) fn restrict(&self, loaded: &mut Loaded) {
        let refused = self.refused(&mut loaded.project);
        loaded.project_problems.append(refused.clone());
        loaded.problems.append(refused);
    }

    fn refused(&self, project: &mut Project) -> Diagnostics {
        let mut refused = Diagnostics::default();
        if self.no_programs {
            refused.append(project.refuse_programs());
        }
        if let Some(root) = &self.fetched {
            refused.append(project.refuse_folders_in(root));
        }
        refused
    }

    /// What reads the secrets of a project. `person` is asked for passphrases.
    pub fn resolver(
        &self,
        project: &Project,
        person: impl Ask,
    ) -> (SecretResolver, Vec<IdentityProblem>) {
        self.resolver_with(project, &self.environment.identities, person, self.allowed(project))
    }

    /// The same without asking a person or running a program.
    pub fn non_interactive_resolver(
        &self,
        project: &Project,
    ) -> (SecretResolver, Vec<IdentityProblem>) {
        let sources = self.environment.identities.clone().without_programs();
        let allowed = AllowedPaths { no_programs: true, ..self.allowed(project) };
        self.resolver_with(project, &sources, Nobody, allowed)
    }

    /// The same without asking a person or starting a source's program; identities may come from programs.
    pub fn unattended_resolver(&self, project: &Project) -> (SecretResolver, Vec<IdentityProblem>) {
        let allowed = AllowedPaths { no_programs: true, ..self.allowed(project) };
        self.resolver_with(project, &self.environment.identities, Nobody, allowed)
    }

    fn resolver_with(
        &self,
        project: &Project,
        sources: &IdentitySources,
        person: impl Ask,
        allowed: AllowedPaths,
    ) -> (SecretResolver, Vec<IdentityProblem>) {
        // Whoever writes a fetched project must not choose a program by an identity either.
        let plugins_of = |file: &PathBuf| match self.no_programs {
            true if project.age.identities.contains(file) => Plugins::Refused,
            _ => Plugins::Allowed,
        };
        let files = self.identity_files(project).into_iter();
        let files: Vec<_> =
            files.map(|path| IdentityFile { plugins: plugins_of(&path), path }).collect();
        let (identities, problems) = Identities::gather(&files, sources, person);
        (SecretResolver::new(identities, allowed), problems)
    }

    /// Where secrets may come from.
    fn allowed(&self, project: &Project) -> AllowedPaths {
        AllowedPaths {
            project: self.folder.clone(),
            credentials: self.environment.credentials.clone(),
            allow_outside: project.allow_outside_files,
            allow_placeholders: project.allow_placeholders,
            sources: project.sources.clone(),
            sops_program: project.sops_program.clone(),
            lacks_programs: project.lacks_programs,
            no_programs: false,
            withheld: self.fetched.is_some().then(|| {
                let environment = &self.environment;
                let all =
                    environment.identity_files.iter().chain(environment.identities.all_files());
                all.filter_map(|file| file.canonicalize().ok()).collect()
            }),
        }
    }

    /// The identity files that the project names, and the usual ones that exist.
    pub fn identity_files(&self, project: &Project) -> Vec<PathBuf> {
        let mut files = project.age.identities.clone();
        for file in &self.environment.identity_files {
            if file.exists() && !files.contains(file) {
                files.push(file.clone());
            }
        }
        files
    }
}
