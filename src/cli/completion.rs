//! `completion`

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};

use super::exit::ExitStatus;
use super::{Cli, console, environment};

/// What a shell's script sets when it asks what may come next.
const VARIABLE: &str = "APPCRED_COMPLETE";

/// Print what lets a shell complete targets, keys and all else
///
/// The shell then asks appcred itself while a command line is typed, which reads the manifests of the project
/// and no secret.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred completion bash > ~/.local/share/bash-completion/completions/appcred
  appcred completion zsh > ~/.zfunc/_appcred
  appcred completion fish > ~/.config/fish/completions/appcred.fish")]
pub(super) struct CompletionArgs {
    /// Of which shell
    shell: Shell,
}

pub(super) fn run(verb: &CompletionArgs) -> anyhow::Result<ExitStatus> {
    let shells = Shells::builtins();
    let name = verb.shell.to_string();
    let shell = shells.completer(&name).with_context(|| format!("{name} cannot be completed"))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "appcred", "appcred", "appcred", &mut script)?;
    console::print(&String::from_utf8(script)?)?;
    Ok(ExitStatus::Success)
}

/// Answers a shell that asks what may come next; none where this is no such question.
pub(super) fn answer() -> Option<ExitStatus> {
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    match asked.try_complete(environment::arguments(), Some(&environment::folder())) {
        Ok(true) => Some(ExitStatus::Success),
        Ok(false) => None,
        Err(_) => Some(ExitStatus::Failure),
    }
}
