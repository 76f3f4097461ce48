//! What was typed into an editor and is not saved: kept, but never in clear.

use std::path::{Path, PathBuf};

use crate::files::{self, NotWritten};
use crate::manifest::Project;
use crate::model::Visible;
use crate::secret::SecretResolver;
use crate::secret::seal::seal;

use super::{console, environment};

/// Nobody leaves this many behind.
const MOST: usize = 1000;

/// Keeps a text beside the file that it was meant for, as an age file, and reports where.
pub(super) fn rescue(file: &Path, text: &[u8], project: &Project, resolver: &SecretResolver) {
    match sealed(text, project, resolver).and_then(|sealed| keep(file, &sealed)) {
        Ok(kept) => console::message(format_args!(
            "What you typed is kept in {}, encrypted: continue with `appcred edit --unsaved {}`. List `*.unsaved*.age` in .gitignore to keep it out of Git.",
            kept.visible(),
            file.visible()
        )),
        Err(error) => console::error(format_args!("what you typed is lost: {error:#}")),
    }
}

/// For the project's recipients; where there are none, as with SOPS alone, for the person's own.
fn sealed(text: &[u8], project: &Project, resolver: &SecretResolver) -> anyhow::Result<String> {
    let of_project = seal(text, &project.age.recipients);
    Ok(of_project.or_else(|_| seal(text, resolver.recipients()))?)
}

/// Writes beside the file; where that cannot be, to where this person keeps what outlives a run.
fn keep(file: &Path, sealed: &str) -> anyhow::Result<PathBuf> {
    let beside = write(file, sealed);
    match elsewhere(file) {
        Some(elsewhere) => Ok(beside.or_else(|_| write(&elsewhere, sealed))?),
        None => Ok(beside?),
    }
}

fn elsewhere(file: &Path) -> Option<PathBuf> {
    let name = file.file_name().unwrap_or(file.as_os_str());
    Some(environment::state_folder()?.join("unsaved").join(name))
}

/// Where the newest text is that was kept for a file.
pub(super) fn newest(file: &Path) -> Option<PathBuf> {
    [Some(file.to_owned()), elsewhere(file)].into_iter().flatten().find_map(|place| {
        (1..MOST).map(|number| numbered(&place, number)).take_while(|path| path.is_file()).last()
    })
}

fn numbered(file: &Path, number: usize) -> PathBuf {
    let number = if number == 1 { String::new() } else { format!("-{number}") };
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".unsaved{number}.age"));
    PathBuf::from(path)
}

fn write(file: &Path, sealed: &str) -> Result<PathBuf, NotWritten> {
    for number in 1..MOST {
        let path = numbered(file, number);
        match files::create(&path, sealed, 0o600) {
            Err(NotWritten::Exists) => {}
            other => return other.map(|()| path),
        }
    }
    Err(NotWritten::Exists)
}
