//! What Git tracks of a folder's files, and repositories that are fetched. All of it is asked of the `git` program,
//! which reads a repository however that is kept, and reaches a server as its user does.

mod address;
mod blobs;
mod checkout;
mod command;
mod copies;
mod fetch_error;
mod history;
mod identities;
mod leftovers;
mod limited;
mod no_such_ref;
mod old_version;
mod signature;
mod source;
mod transport;
mod variables;
mod versions;
mod work_tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use smol_str::SmolStr;
use thiserror::Error;

use self::command::{
    INDEX_FILE, LONGEST, QUESTION, answer, git, inheriting_index, output, refused, shown,
};
use self::limited::{NotEnded, NotRun};
use crate::files;
use crate::model::{Commit, PROJECT_FILE, encrypted_file};

pub use address::{GitPath, GitRef, GitUrl, Transport};
pub use copies::copies;
pub use fetch_error::FetchError;
pub use history::{plain_secrets, staged_plain_secrets};
pub use identities::{PrivateKey, identities, old_identities};
pub use old_version::{NamedFiles, NamedSecret, OldContent, OldVersion};
pub use source::{FetchedCommit, GitSource, Signers};
pub use transport::GitAccess;
pub use variables::variables;
pub use work_tree::{left_out, unmerged};

/// Why Git says nothing.
#[derive(Debug, Error)]
pub enum GitError {
    /// There is no program `git`.
    #[error(transparent)]
    NotRun(NotRun),
    /// It waits for something, or for a lock.
    #[error("{command} did not end within {seconds} seconds")]
    TooSlow {
        /// The command.
        command: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// It prints more than any repository has.
    #[error("{command} printed more than {} MB", LONGEST >> 20)]
    TooMuch {
        /// The command.
        command: String,
    },
    /// The clone begins in the middle.
    #[error("this clone is shallow, so old versions are missing")]
    Shallow,
    /// The clone was made without all files of all versions, or has lost some.
    #[error("this clone does not have all files of old versions")]
    Incomplete,
    /// Git does not read a repository that belongs to another user.
    #[error("git: the repository belongs to another user")]
    OtherOwner,
    /// The folder is in no repository, or in a damaged one.
    #[error("git: {0}")]
    Refused(String),
}

impl GitError {
    fn not_ended(command: &Command, why: NotEnded) -> Self {
        match why {
            NotEnded::NotRun(why) => Self::NotRun(why),
            NotEnded::TooSlow(seconds) => Self::TooSlow { command: shown(command), seconds },
            NotEnded::Stopped => Self::Refused(why.to_string()),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotRun(why) => why.help(),
            Self::TooSlow { .. } | Self::TooMuch { .. } => {
                "run `git status` in the project's folder to see what it waits for or prints: the disk may be a network drive that does not answer, or `git` another program of that name"
            }
            Self::Shallow => "fetch the rest with `git fetch --unshallow`; in CI, `fetch-depth: 0`",
            Self::Incomplete => {
                "fetch the rest with `git fetch --refetch --no-filter`, or clone without `--filter`; if it is a full clone, `git fsck` says what is lost"
            }
            Self::OtherOwner => {
                "allow it, as is usual in CI containers: `git config --global --add safe.directory FOLDER`, where FOLDER is the whole path of the repository"
            }
            Self::Refused(_) => {
                "run it in a clone of the repository; where its folder was moved, `git worktree repair` may help"
            }
        }
    }
}

/// Whether a folder is in a repository, even one that git refuses to read.
pub fn is_repository(folder: &Path) -> bool {
    std::path::absolute(files::folder(folder))
        .is_ok_and(|folder| folder.ancestors().any(|above| above.join(".git").exists()))
}

/// The folder that the work tree of a repository begins in.
pub fn root(folder: &Path) -> Option<PathBuf> {
    let whole = files::folder(folder).canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}

/// A folder of each repository that one of the folders is in, as of a submodule and what it is in.
pub fn repositories<'f>(folders: impl IntoIterator<Item = &'f Path>) -> Vec<&'f Path> {
    let mut found: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for folder in folders {
        if seen.insert(folder)
            && let Some(root) = root(folder)
        {
            found.entry(root).or_insert(folder);
        }
    }
    found.into_values().collect()
}

/// The commit that a folder is checked out at; none where the repository has no commit yet.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn commit(folder: &Path) -> Result<Option<Commit>, GitError> {
    let mut head = git(folder);
    head.args(["rev-parse", "--verify", "--quiet", "--short=12", "HEAD"]);
    let Output { status, stdout, stderr } = output(QUESTION, &head)?;
    let id = match status.code() {
        Some(0) => SmolStr::new(String::from_utf8_lossy(stdout.trim_ascii())),
        Some(1) => return Ok(None),
        _ => return Err(refused(status, &stderr)),
    };
    let changed = answer(git(folder).args(["status", "--porcelain", "--", "."]))?;
    Ok(Some(Commit { id, is_modified: !changed.is_empty() }))
}

/// The folders of other projects that Git tracks now, from the root of the repository.
pub struct OtherProjects(Vec<PathBuf>);

impl OtherProjects {
    /// Whether a file is in one of them.
    fn have(&self, file: &Path) -> bool {
        self.0.iter().any(|other| file.starts_with(other))
    }
}

/// The other projects of the repository that a folder is in.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn other_projects(folder: &Path) -> Result<OtherProjects, GitError> {
    let pattern = format!(":(top,glob)**/{PROJECT_FILE}");
    let files = answer(git(folder).args(["ls-files", "-z", "--full-name", "--", &pattern]))?;
    let prefix = answer(git(folder).args(["rev-parse", "--show-prefix"]))?;
    let own = PathBuf::from(String::from_utf8_lossy(prefix.trim_ascii()).into_owned());
    let folders = names(&files).filter_map(|file| Some(Path::new(&file).parent()?.to_owned()));
    // What a project is in is not another one.
    Ok(OtherProjects(folders.filter(|other| !own.starts_with(other)).collect()))
}

/// The files of this name that Git tracks, in a folder and below it.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn tracked(folder: &Path, name: &str) -> Result<Vec<PathBuf>, GitError> {
    let pattern = format!(":(glob)**/{name}");
    let tracked = answer(git(folder).args(["ls-files", "-z", "--", &pattern]))?;
    Ok(names(&tracked).map(|file| folder.join(file)).collect())
}

/// Whether a file is in a work tree and is not ignored there.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn would_take(file: &Path) -> Result<bool, GitError> {
    let arguments = ["check-ignore", "--quiet", "--"];
    ask(file, &arguments).map(|answer| answer == GitAnswer::No)
}

/// Whether Git tracks a file, and stores it as it is: not encrypted by a filter such as git-crypt.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn stores_as_it_is(file: &Path) -> Result<bool, GitError> {
    Ok(is_tracked(file)? && (!is_filtered(file)? || is_committed_as_it_is(file)?))
}

fn is_tracked(file: &Path) -> Result<bool, GitError> {
    Ok(ask(file, &["ls-files", "--error-unmatch", "--"])? == GitAnswer::Yes)
}

/// How a value begins that SOPS encrypted.
const SOPS_VALUE: &[u8] = b"ENC[AES256_GCM,";

/// Whether the index has a file in plain text, whatever filter it has by now: it may have been taken in before, or where
/// the filter was not set up.
fn is_committed_as_it_is(file: &Path) -> Result<bool, GitError> {
    let (folder, name) = parts(file);
    let mut path = std::ffi::OsString::from(":./");
    path.push(name);
    let text = answer(git(folder).args(["cat-file", "blob"]).arg(path))?;
    let has_value_of_sops = || text.windows(SOPS_VALUE.len()).any(|part| part == SOPS_VALUE);
    Ok(!text.contains(&0) && encrypted_file(&text).is_none() && !has_value_of_sops())
}

/// Whether a file is in a work tree, is tracked or not ignored there, and would be stored as it is.
///
/// # Errors
/// Where git cannot be run, or refuses.
pub fn would_store_as_it_is(file: &Path) -> Result<bool, GitError> {
    if !is_repository(parts(file).0) || !would_take(file)? {
        return Ok(false);
    }
    Ok(!is_filtered(file)? || is_tracked(file)? && is_committed_as_it_is(file)?)
}

/// Whether a filter such as git-crypt encrypts it.
fn is_filtered(file: &Path) -> Result<bool, GitError> {
    let (folder, name) = parts(file);
    let output = output(QUESTION, git(folder).args(["check-attr", "filter", "--"]).arg(name))?;
    let attribute = String::from_utf8_lossy(&output.stdout);
    let filter = attribute.trim_end().rsplit(' ').next().unwrap_or_default();
    Ok(["crypt", "sops", "age"].iter().any(|part| filter.contains(part)))
}

#[derive(PartialEq, Eq)]
enum GitAnswer {
    Yes,
    No,
}

/// Asks a command that ends with 0 for yes and 1 for no about a file.
fn ask(file: &Path, arguments: &[&str]) -> Result<GitAnswer, GitError> {
    let (folder, name) = parts(file);
    let Output { status, stderr, .. } = output(QUESTION, git(folder).args(arguments).arg(name))?;
    match status.code() {
        Some(0) => Ok(GitAnswer::Yes),
        Some(1) => Ok(GitAnswer::No),
        _ => Err(refused(status, &stderr)),
    }
}

/// The nearest folder that exists, and the file as it is named from there.
fn parts(file: &Path) -> (&Path, &Path) {
    let mut above = file.ancestors().skip(1);
    let folder = above.find(|above| files::folder(above).is_dir()).unwrap_or(Path::new(""));
    (folder, file.strip_prefix(folder).unwrap_or(file))
}

/// The index of the commit that runs us as a hook, where it is one of this repository.
fn index_of_commit(folder: &Path) -> Result<Option<PathBuf>, GitError> {
    let path = |command: &mut Command| {
        let output = answer(command)?;
        Ok::<_, GitError>(PathBuf::from(String::from_utf8_lossy(output.trim_ascii()).into_owned()))
    };
    let index = path(inheriting_index(folder).args(["rev-parse", "--git-path", "index"]))?;
    let own = path(git(folder).args(["rev-parse", "--absolute-git-dir"]))?;
    Ok(Some(index).filter(|index| index.parent() == Some(&own)))
}

/// Git with this index; with its own where there is none.
fn with_index(folder: &Path, index: Option<&Path>) -> Command {
    let mut command = git(folder);
    command.envs(index.map(|index| (INDEX_FILE, index)));
    command
}

fn names(output: &[u8]) -> impl Iterator<Item = String> {
    output
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
}
