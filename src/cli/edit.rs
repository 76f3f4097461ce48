//! `edit`

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::manifest::{InClear, Request, check, load_project};
use crate::rewrite::save;
use crate::sealed::{NotSealed, Opened, Seals};

use super::desk::{Desk, confirm, is_in_memory, sweep};
use super::exit::ExitStatus;
use super::gather::{show, vault};
use super::{Global, console, environment};

/// Edit a file with its secrets in clear
///
/// Opens a manifest, appcred.yaml, a SOPS document of YAML or an age file in $VISUAL or $EDITOR (or
/// vi), decrypted. What changed is encrypted when the editor ends, and so are secrets that are new;
/// all else keeps its ciphertext, comments and layout included. What is wrong is told, and nothing is
/// saved then; on a terminal you can go on editing.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "The text in clear lies in a folder of your own in memory ($XDG_RUNTIME_DIR or \
/dev/shm), and goes with it, whatever the editor left there, even when appcred is killed. What an editor \
keeps elsewhere, as a history of undo, is its own affair; vim is told not to.

Examples:
  appcred edit credentials/spotify.yaml
  EDITOR='code --wait' appcred edit secrets.yaml.age"
)]
pub(super) struct Edit {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where no folder is in memory, use the folder for temporary files, which may be on a disk
    #[arg(long)]
    insecure_temp: bool,
}

pub(super) async fn run(global: &Global, verb: &Edit) -> anyhow::Result<ExitStatus> {
    let request = Request { folder: global.folder.clone(), home: environment::home() };
    // A project file in error is what may be edited just now.
    let (project, _) = load_project(&request);
    let (vault, identity_problems) = vault(global, &project);
    let file = verb.file.as_path();
    let before = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let opened = match Opened::new(&before, &vault) {
        Ok(opened) => opened,
        Err(why) => {
            for problem in identity_problems {
                console::tell(&format!("warning: {problem}\n"));
            }
            tell(&verb.file.display().to_string(), &why);
            return Ok(ExitStatus::Failure);
        }
    };
    for (line, why) in opened.closed() {
        console::tell(&format!("warning: line {line} stays encrypted: {why}\n"));
    }
    let base = base(verb)?;
    sweep(&base).with_context(|| format!("cannot clear {}", base.display()))?;
    let desk = Desk::new(&base, file, opened.clear())?;
    let editor = environment::editor();
    loop {
        let edited = desk.edit(&editor).await;
        edited.with_context(|| format!("{} stays as it was", file.display()))?;
        let text = desk.text()?;
        if *text == *opened.clear() {
            console::print("Nothing was changed.\n")?;
            return Ok(ExitStatus::Success);
        }
        let now = environment::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let keep_plain = project.allow_plaintext;
        let seals = Seals { recipients: &project.age.recipients, now: &now, keep_plain };
        let mut problems = check(&request, file, &text, InClear::Allowed);
        if !problems.has_errors() {
            match opened.seal(&text, seals) {
                Ok(after) => {
                    // What stands in clear now would stand so in Git.
                    if let Ok(text) = std::str::from_utf8(&after) {
                        problems = check(&request, file, text, InClear::AsUsual);
                    }
                    if !problems.has_errors() {
                        show(&problems);
                        save::replace(file, &before, &after)
                            .with_context(|| format!("cannot save {}", file.display()))?;
                        console::print(&format!("Saved {}.\n", file.display()))?;
                        return Ok(ExitStatus::Success);
                    }
                }
                Err(why) => tell("it cannot be saved", &why),
            }
        }
        show(&problems);
        if !console::can_ask() || !confirm("Edit it again? [y/N] ").await? {
            console::tell(&format!("{} stays as it was.\n", file.display()));
            return Ok(ExitStatus::Failure);
        }
    }
}

fn tell(what: &str, why: &NotSealed) {
    let help = why.help().map(|help| format!("; {help}")).unwrap_or_default();
    console::tell(&format!("error: {what}: {why}{help}\n"));
}

/// Where the text is to lie in clear.
fn base(verb: &Edit) -> anyhow::Result<PathBuf> {
    let found = environment::private_folders().into_iter().find(|folder| is_in_memory(folder));
    match found {
        Some(folder) => Ok(folder),
        None if verb.insecure_temp => Ok(std::env::temp_dir()),
        None => bail!(
            "neither $XDG_RUNTIME_DIR nor /dev/shm is a folder in memory: --insecure-temp uses the folder for temporary files, from which a disk may be read later"
        ),
    }
}
