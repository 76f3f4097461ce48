//! All verbs.

use clap::{Command, Subcommand};

use super::late::Late;
use super::{
    add, apply, authorize, completion, doctor, edit, encrypt, explain, forget, health, import,
    init, keygen, list, login, logout, man, plan, rekey, rename, rm, rotate, schema, snapshot,
    validate, verify, version, watch,
};
#[cfg(feature = "kubernetes")]
use super::{controller, export};

/// A verb, with what is read of the command line for it. Each is described as its own arguments describe it.
#[derive(Debug, Subcommand)]
pub(super) enum VerbArgs {
    /// Begin a project: its file, an age identity, a first folder
    Init(Late<init::Init>),
    /// Make an age identity, and print the recipient that belongs to it
    Keygen(Late<keygen::Keygen>),
    /// Add an entry to a manifest, its secret encrypted
    Add(Late<add::Add>),
    /// Encrypt the plain-text secrets of manifests
    Encrypt(Late<encrypt::Encrypt>),
    /// Edit a file with its secrets in plain text
    Edit(Late<edit::Edit>),
    /// Replace the client secret of an entry
    Rotate(Late<rotate::Rotate>),
    /// Give an entry another key
    Rename(Late<rename::Rename>),
    /// Remove entries from their manifests
    Rm(Late<rm::Rm>),
    /// Stop managing credentials without deleting them
    Forget(Late<forget::Forget>),
    /// Encrypt secrets again, to the recipients that the project has now
    Rekey(Late<rekey::Rekey>),
    /// Check the project file and all manifests, offline and without any key
    Validate(Late<validate::Validate>),
    /// Show what `apply` would do, and change nothing
    #[command(visible_alias = "diff")]
    Plan(Late<plan::PlanArgs>),
    /// Make targets hold what the manifests want
    Apply(Late<apply::ApplyArgs>),
    /// Link the accounts that wait for consent, with the browser of this machine
    Authorize(Late<authorize::Authorize>),
    /// Write manifests for what targets hold, and take it over
    Import(Late<import::ImportArgs>),
    /// List what targets hold and what entries want, each with the KEY that other verbs take
    List(Late<list::ListArgs>),
    /// Record what targets hold, without any secret, for plans in CI
    Snapshot(Late<snapshot::SnapshotArgs>),
    /// Say what a field of a manifest or of appcred.yaml means
    Explain(Late<explain::Explain>),
    /// Print the JSON Schema of a file or report
    Schema(Late<schema::SchemaArgs>),
    /// Print what lets a shell complete commands, targets and keys
    Completion(Late<completion::CompletionArgs>),
    /// Write the man pages, one for each verb, into a folder
    Man(Late<man::ManArgs>),
    /// Keep targets as the manifests want them, until stopped
    Watch(Late<watch::WatchArgs>),
    /// Keep Home Assistants as the resources of a Kubernetes cluster want them, until stopped
    #[cfg(feature = "kubernetes")]
    Controller(Late<controller::ControllerArgs>),
    /// Print the project as resources of a Kubernetes cluster
    #[cfg(feature = "kubernetes")]
    Export(Late<export::ExportArgs>),
    /// Ask the watcher on this machine whether it works
    Health(Late<health::Health>),
    /// Ask the providers whether clients are right and redirect URIs registered
    Verify(Late<verify::Verify>),
    /// Check whether everything that is needed is there, and say what to do about the rest
    Doctor(Late<doctor::Doctor>),
    /// Sign in to a running Home Assistant in the browser, instead of making a token by hand
    Login(Late<login::Login>),
    /// End the session that `login` opened
    Logout(Late<logout::Logout>),
    /// Print the version, with the commit and the day that it is of
    Version(Late<version::VersionArgs>),
}

impl VerbArgs {
    /// All verbs with their own arguments.
    pub(super) fn described() -> Command {
        let program = Command::new("").disable_help_flag(true).disable_help_subcommand(true);
        let mut program = Self::augment_subcommands(program);
        program.build();
        program
    }

    /// Whether it runs until it is stopped.
    pub(super) fn is_daemon(&self) -> bool {
        match self {
            Self::Watch(_) => true,
            #[cfg(feature = "kubernetes")]
            Self::Controller(_) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;

    #[test]
    fn a_verb_is_called_in_the_list_what_its_own_help_says() {
        let listed = Cli::command();
        let mut described = Cli::command();
        described.build();
        for verb in listed.get_subcommands() {
            let own = described.find_subcommand(verb.get_name()).unwrap();
            assert_eq!(verb.get_about(), own.get_about(), "{}", verb.get_name());
        }
        assert!(listed.get_subcommands().all(|verb| verb.get_arguments().count() == 0));
    }
}
