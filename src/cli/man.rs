//! `man`

use std::path::PathBuf;

use anyhow::Context;
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
    folder: PathBuf,
}

pub(super) fn run(verb: &ManArgs) -> anyhow::Result<ExitStatus> {
    std::fs::create_dir_all(&verb.folder)
        .with_context(|| format!("cannot create {}", verb.folder.visible()))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    for command in verbs.collect::<Vec<_>>().into_iter().chain([command]) {
        write(command, verb)
            .with_context(|| format!("cannot write the man pages to {}", verb.folder.visible()))?;
    }
    Ok(ExitStatus::Success)
}

fn write(command: Command, verb: &ManArgs) -> anyhow::Result<()> {
    let page = Man::new(command).manual("appcred");
    let mut text = Vec::new();
    page.render(&mut text)?;
    files::write(&verb.folder.join(page.get_filename()), text, 0o644)?;
    Ok(())
}
