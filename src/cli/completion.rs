//! `completion`

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::exit::ExitStatus;
use super::{Cli, console};

/// Print a shell's completions
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
    let mut script = Vec::new();
    generate(verb.shell, &mut Cli::command(), "appcred", &mut script);
    console::print(&String::from_utf8(script)?)?;
    Ok(ExitStatus::Success)
}
