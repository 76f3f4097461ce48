//! `man`

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::files;
use crate::model::Visible;

use super::Cli;
use super::exit::ExitStatus;

/// Write the man pages, one for each verb, into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// The folder, which is made where there is none
    #[arg(value_name = "DIR")]
    pages: PathBuf,
}

pub(super) fn run(verb: &ManArgs) -> anyhow::Result<ExitStatus> {
    std::fs::create_dir_all(&verb.pages).map_err(|why| {
        anyhow!("cannot create {}: {}", verb.pages.visible(), files::reason(&verb.pages, &why))
    })?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    for command in verbs.collect::<Vec<_>>().into_iter().chain([command]) {
        write(command, verb)
            .with_context(|| format!("cannot write the man pages to {}", verb.pages.visible()))?;
    }
    Ok(ExitStatus::Success)
}

fn write(command: Command, verb: &ManArgs) -> anyhow::Result<()> {
    let page = Man::new(command).manual("appcred");
    let mut text = Vec::new();
    page.render(&mut text)?;
    files::write(&verb.pages.join(page.get_filename()), text, 0o644)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::cli::Cli;
    use crate::cli::verb::VerbArgs;

    #[test]
    fn no_argument_of_a_verb_is_taken_for_a_global_one() {
        fn check(command: &clap::Command, global: &[clap::Id]) {
            for verb in command.get_subcommands() {
                for argument in verb.get_arguments() {
                    let (verb, id) = (verb.get_name(), argument.get_id());
                    assert!(!global.contains(id), "{verb} has an argument of the name {id}");
                }
                check(verb, global);
            }
        }
        let command = Cli::command();
        let global = command.get_arguments().filter(|argument| argument.is_global_set());
        let global: Vec<_> = global.map(|argument| argument.get_id().clone()).collect();
        assert!(global.len() > 4, "{global:?}");
        check(&VerbArgs::described(), &global);
    }
}
