//! What was typed into an editor and is not saved: kept, but never in plain text.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use crate::encrypted_file::Opened;
use crate::files::{self, NotWritten, TEXT_LIMIT};
use crate::manifest::Project;
use crate::model::{Visible, hex};
use crate::secret::SecretResolver;
use crate::secret::seal::seal;

use super::{console, environment};

/// What Git is to ignore of it.
pub(super) const UNSAVED: &str = "*.unsaved*.age";
/// So much of a file's name is in that of what is kept elsewhere, however long its characters are.
const LONGEST_NAME: usize = 40;
/// So much of what was typed is kept; what is saved has a lower limit.
const LONGEST_TEXT: u64 = 256 * 1024 * 1024;
/// Nobody leaves this many behind.
const MOST: usize = 1000;

/// What is in the file that somebody has typed into; none where there is none. Where it cannot be read, that is reported.
pub(super) fn typed(file: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let typed = files::optional(files::read_unchecked(file, LONGEST_TEXT));
    let typed = typed.unwrap_or_else(|why| {
        console::error(format_args!("what you typed is lost: it cannot be read: {why}"));
        None
    })?;
    Some(files::from_utf16(&typed).map_or(typed, |text| Zeroizing::new(text.as_bytes().to_owned())))
}

/// What an earlier edit could not save.
pub(super) struct Unsaved {
    typed: Zeroizing<String>,
    /// What the file held when that was typed, as far as it was kept.
    before: Option<Zeroizing<String>>,
}

impl Unsaved {
    /// Reads what was kept in this file, which is encrypted.
    ///
    /// # Errors
    /// Where it cannot be read or decrypted.
    pub(super) fn read(kept: &Path, resolver: &SecretResolver) -> anyhow::Result<Self> {
        let clear = |path: &Path| {
            let sealed = files::read(path, 2 * LONGEST_TEXT)
                .with_context(|| format!("cannot read {}", path.visible()))?;
            let opened = Opened::new(&sealed, resolver)
                .map_err(|why| anyhow!("{}: {}", path.visible(), why.with_help()))?;
            anyhow::Ok(Zeroizing::new(opened.clear().to_owned()))
        };
        let before = before(kept);
        let before = before.is_file().then(|| clear(&before)).transpose()?;
        Ok(Self { typed: clear(kept)?, before })
    }

    /// It with what has changed in the file since; where both changed the same lines, with both, between marks. Reports
    /// that.
    pub(super) fn with_changes(&self, file: &Path, now: &str) -> Zeroizing<String> {
        let Some(before) = self.before.as_deref() else {
            console::warning(format_args!(
                "it is not known what {} held when this was typed: saving it undoes what has changed there since",
                file.visible()
            ));
            return self.typed.clone();
        };
        if before == now {
            return self.typed.clone();
        }
        console::message(format_args!(
            "{} was changed since this was typed: the text has both changes.",
            file.visible()
        ));
        merged(before, &self.typed, now)
    }
}

/// A text as it was `before` with both changes; where these are of the same lines, with both, between marks.
pub(super) fn merged(before: &str, mine: &str, theirs: &str) -> Zeroizing<String> {
    let both = diffy::merge(before, mine, theirs);
    Zeroizing::new(both.unwrap_or_else(|clash| clash))
}

/// Removes what was kept in this file.
///
/// # Errors
/// Where it cannot be removed.
pub(super) fn remove(kept: &Path) -> anyhow::Result<()> {
    for path in [kept, &before(kept)] {
        files::optional(fs::remove_file(path))
            .with_context(|| format!("cannot remove {}", path.visible()))?;
    }
    Ok(())
}

/// Where that is kept which the file held before.
fn before(kept: &Path) -> PathBuf {
    kept.with_extension("before.age")
}

/// Keeps a text beside the file that it was meant for, as an age file, and reports where. Beside it is what that file
/// held before it was typed.
pub(super) fn rescue(
    file: &Path,
    text: &[u8],
    held_before: &str,
    project: &Project,
    resolver: &SecretResolver,
) {
    match sealed(text, project, resolver).and_then(|sealed| keep(file, &sealed)) {
        Ok(kept) => {
            let known = sealed(held_before.as_bytes(), project, resolver)
                .and_then(|sealed| Ok(files::write(&before(&kept), &sealed, 0o600)?));
            if let Err(why) = known {
                console::warning(format_args!(
                    "what {} held before could not be kept beside it: {why:#}",
                    file.visible()
                ));
            }
            // What is kept elsewhere is in no repository of the file.
            let ignore = match kept.parent() != file.parent() || is_ignored(&kept) {
                true => String::new(),
                false => format!(" List `{UNSAVED}` in .gitignore to keep it out of Git."),
            };
            console::message(format_args!(
                "What you typed is kept in {}, encrypted: {}{ignore}",
                kept.visible(),
                how_to_go_on(file)
            ));
        }
        Err(error) => console::error(format_args!("what you typed is lost: {error:#}")),
    }
}

/// Whether a `.gitignore` above it has the line that `init` writes.
fn is_ignored(kept: &Path) -> bool {
    let has_line = |folder: &Path| {
        let ignored = files::read_text(&folder.join(".gitignore"), TEXT_LIMIT);
        ignored.is_ok_and(|text| text.lines().any(|line| line.trim() == UNSAVED))
    };
    files::resolved(kept).ancestors().skip(1).any(has_line)
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

/// The place there, which is of this file alone: files of the same name are in many folders.
fn elsewhere(file: &Path) -> Option<PathBuf> {
    let whole = Sha256::digest(files::resolved(file).as_os_str().as_bytes());
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let name: String = name.chars().take(LONGEST_NAME).collect();
    let name = format!("{name}-{}", hex(&whole[..16]));
    Some(environment::state_folder()?.join("unsaved").join(name))
}

/// Where the newest text is that was kept for a file.
pub(super) fn newest(file: &Path) -> Option<PathBuf> {
    all(file).into_iter().next()
}

/// What to do about the newest text that was kept for a file, and what becomes of those before.
pub(super) fn how_to_go_on(file: &Path) -> String {
    let quoted = file.visible();
    let quoted = shell_words::quote(&quoted);
    let older = match all(file).len() {
        0 | 1 => String::new(),
        all => format!(
            " Of the {all} texts that are kept this is the newest; what is older stays until it was saved or removed."
        ),
    };
    format!("continue with `appcred edit --unsaved {quoted}`, or remove it.{older}")
}

/// All texts that were kept for a file, the newest first.
fn all(file: &Path) -> Vec<PathBuf> {
    let places = [Some(file.to_owned()), elsewhere(file)].into_iter().flatten();
    let each = places.flat_map(|place| {
        let paths = (1..MOST).map(|number| numbered(&place, number));
        let mut there: Vec<PathBuf> = paths.take_while(|path| path.is_file()).collect();
        there.reverse();
        there
    });
    each.collect()
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
