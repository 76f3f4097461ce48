//! A repository that is fetched, and never written to.
//!
//! It is Git that fetches, as its users know it: with the settings of ssh, the helpers for credentials and the
//! formats of signatures that they have already.
//!
//! ```text
//!  STATE/git/NAME/
//!    lock                   held by who fetches
//!    repository.git/        bare: neither hooks nor settings of the repository that is fetched
//!    commits/ID/            a work tree for each commit, never changed once it is whole
//!    commits/ID.lock        there when it is; shared by who reads it, so that it is not removed meanwhile
//!    in-force/checkout      leads to the commit that a watcher keeps, and changes in one step
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::address::{GitPath, GitRef, GitUrl};
use super::checkout::remove;
use super::command::{RUN_NOTHING, TRACES, without_index};
use super::fetch_error::{FetchError, Hash};
use super::leftovers::remove_leftovers;
use super::limited::{self, Deadline};
use super::signature;
use super::transport::{GitAccess, readable};
use crate::files::{self, FileLock, wait_for};
use crate::model::{Visible, hex};

/// So many commits are fetched at most: enough to see whether a branch goes on from where it was.
const DEPTH: &str = "--depth=64";
/// Comes before what the commits say: no file is read or written through a program, such as that of LFS.
const NO_FILTERS: &str = "* -filter\n";
/// What was fetched last.
const FETCHED: &str = "refs/appcred/fetched";

/// Whose signature a commit must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signers {
    /// Of a key of ssh in this file of allowed signers.
    Ssh(PathBuf),
    /// Of a key of GnuPG in this file of public keys.
    Gpg(PathBuf),
}

/// What to fetch, and how.
#[derive(Clone, Debug)]
pub struct GitSource {
    /// The repository.
    pub url: GitUrl,
    /// The branch, tag or commit.
    pub reference: GitRef,
    /// The project's folder in it.
    pub path: GitPath,
    /// How it may be read.
    pub access: GitAccess,
    /// Who must have signed the commit, where that is asked for.
    pub signers: Option<Signers>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// Where all such repositories are kept.
    pub folder: PathBuf,
}

/// A commit on this machine, as a folder that does not change.
#[derive(Debug)]
pub struct FetchedCommit {
    /// Its whole id.
    pub id: String,
    /// Its files.
    pub root: PathBuf,
    /// The commit before, where the branch does not go on from it.
    pub rewritten_from: Option<String>,
    /// Keeps the folder from being removed.
    _reading: FileLock,
}

impl GitSource {
    /// Fetches the newest commit and checks it out beside those before. What is in force stays so.
    ///
    /// # Errors
    /// Where that fails in any way, or the commit may not be used.
    pub fn fetch(
        &self,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<FetchedCommit, FetchError> {
        let _lock = self.lock(is_stopped)?;
        self.fetch_alone(self.deadline(is_stopped))
    }

    /// Fetches the newest commit and puts it in force, where it has the project's folder. Nobody else does so meanwhile,
    /// or an older commit could come after a newer one.
    ///
    /// # Errors
    /// Where it has not, or cannot be fetched; what was in force stays so.
    pub fn fetch_into_force(
        &self,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<FetchedCommit, FetchError> {
        let _lock = self.lock(is_stopped)?;
        let commit = self.fetch_alone(self.deadline(is_stopped))?;
        self.folder_in(&commit)?;
        self.put_in_force(&commit)?;
        Ok(commit)
    }

    /// Fetches while nobody else does.
    fn fetch_alone(&self, deadline: Deadline<'_>) -> Result<FetchedCommit, FetchError> {
        self.access.check()?;
        match &self.signers {
            Some(Signers::Ssh(file)) => readable("--git-allowed-signers", file)?,
            Some(Signers::Gpg(file)) => readable("--git-gpg-keys", file)?,
            None => {}
        }
        let before = self.id_in_force();
        if let Err(why) = self.fetch_refs(Hash::Sha1, deadline) {
            let Some(hash) = self.needs_another(&why, deadline)? else { return Err(why) };
            self.fetch_anew(hash, deadline)?;
        }
        let newest = format!("{FETCHED}^{{commit}}");
        let id = succeeded(self.git(&[]).args(["rev-parse", "--verify", &newest]), deadline)?;
        let id = String::from_utf8_lossy(id.trim_ascii()).into_owned();
        self.verify(&id, deadline)?;
        // That before is still read by who has not yet seen the newest.
        self.remove_others([before.as_deref(), Some(&id)]);
        let rewritten_from = match before {
            Some(before) if before != id && !self.goes_on(&before, &id, deadline)? => Some(before),
            _ => None,
        };
        let reading = self.check_out(&id, deadline)?;
        let root = self.commits().join(&id);
        Ok(FetchedCommit { id, root, rewritten_from, _reading: reading })
    }

    /// Fetches what is asked for, whatever kind of name that is.
    fn fetch_refs(&self, hash: Hash, deadline: Deadline<'_>) -> Result<(), FetchError> {
        remove_leftovers(&self.repository());
        self.prepare(hash, deadline)?;
        let mut fetched = Err(FetchError::NoSuchRef);
        for name in self.reference.full_names() {
            fetched = self.fetch_ref(&name, deadline);
            if !matches!(fetched, Err(FetchError::NoSuchRef)) {
                break;
            }
        }
        if matches!(fetched, Err(FetchError::NoSuchRef)) {
            fetched = Err(self.no_such_ref(deadline));
        }
        // What came before it failed would fill the disk.
        fetched.inspect_err(|_| remove_leftovers(&self.repository()))
    }

    /// Whether the repository on this machine is what no fetch can succeed with: one with other ids than the server's, or
    /// one that lost something, as when the power fails.
    fn needs_another(
        &self,
        why: &FetchError,
        deadline: Deadline<'_>,
    ) -> Result<Option<Hash>, FetchError> {
        match why {
            FetchError::OtherHash(server) => Ok(Some(*server)),
            FetchError::Git(_) if !why.is_of_server() => {
                let mut check = self.git(&[]);
                check.args(["fsck", "--connectivity-only", "--no-dangling"]);
                let is_whole = limited::output(&check, deadline)?.status.success();
                Ok((!is_whole).then_some(Hash::Sha1))
            }
            _ => Ok(None),
        }
    }

    /// Fetches into a new repository, which takes the place of that of before where it succeeds.
    #[expect(clippy::disallowed_methods, reason = "it is a folder that gets another name")]
    fn fetch_anew(&self, hash: Hash, deadline: Deadline<'_>) -> Result<(), FetchError> {
        let (repository, before) = (self.repository(), self.replaced());
        let moved = remove(&before).and_then(|()| fs::rename(&repository, &before));
        moved.map_err(|why| not_written(&before, &why))?;
        let fetched = self.fetch_refs(hash, deadline);
        let put = match &fetched {
            Ok(()) => remove(&before),
            Err(_) => remove(&repository).and_then(|()| fs::rename(&before, &repository)),
        };
        put.map_err(|why| not_written(&repository, &why))?;
        fetched
    }

    fn fetch_ref(&self, name: &str, deadline: Deadline<'_>) -> Result<(), FetchError> {
        let refspec = format!("+{name}:{FETCHED}");
        let mut fetch = self.git(&self.access.settings(&self.url));
        // All in one file, so that the limit of one file is that of all.
        fetch.args([
            "-c",
            "fetch.unpackLimit=1",
            "fetch",
            "--quiet",
            DEPTH,
            "--no-tags",
            "--no-recurse-submodules",
        ]);
        fetch.args(["--no-write-fetch-head", "--", self.url.as_str(), &refspec]);
        self.access.prepare(&mut fetch, &self.url);
        succeeded(&mut fetch, deadline).map(drop)
    }

    fn put_in_force(&self, commit: &FetchedCommit) -> Result<(), FetchError> {
        // Who watches the link reads everything when it changes.
        if self.id_in_force().as_deref() == Some(&*commit.id) {
            return Ok(());
        }
        let link = self.link();
        let put = files::make_private_folder(files::folder_of(&link))
            .and_then(|()| files::put_link(&link, &Path::new("../commits").join(&commit.id)));
        put.map_err(|why| not_written(&link, &why))
    }

    /// The commit that was put in force last, if its signature is as is asked for now.
    ///
    /// # Errors
    /// Where it is not, or cannot be read.
    pub fn in_force(
        &self,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<String>, FetchError> {
        let (Some(id), deadline) = (self.id_in_force(), self.deadline(is_stopped)) else {
            return Ok(None);
        };
        // What is damaged is checked out again with the first fetch.
        if !self.is_unchanged(&id, deadline)? {
            return Ok(None);
        }
        self.verify(&id, deadline)?;
        Ok(Some(id))
    }

    /// The root of the commit that is in force.
    pub fn root_in_force(&self) -> PathBuf {
        self.link()
    }

    /// The project's folder in the commit that is in force.
    pub fn folder_in_force(&self) -> PathBuf {
        self.link().join(self.path.as_path())
    }

    /// The project's folder in a commit.
    ///
    /// # Errors
    /// Where the commit has none.
    pub fn folder_in(&self, commit: &FetchedCommit) -> Result<PathBuf, FetchError> {
        let folder = commit.root.join(self.path.as_path());
        // What a link leads to elsewhere is in no commit, and signed by nobody.
        let is_inside = folder
            .canonicalize()
            .is_ok_and(|real| commit.root.canonicalize().is_ok_and(|root| real.starts_with(root)));
        if is_inside && folder.is_dir() {
            return Ok(folder);
        }
        let path = self.path.as_path().visible().into_owned();
        Err(FetchError::NoFolder { id: signature::short(&commit.id), path })
    }

    fn deadline<'p>(&self, is_stopped: &'p (dyn Fn() -> bool + Sync)) -> Deadline<'p> {
        let until = Instant::now() + self.timeout;
        Deadline { until, seconds: self.timeout.as_secs(), is_stopped, is_of_server: true }
    }

    /// One folder for each repository, ref and folder in it, and for those whose signatures are asked for: what is in force
    /// for who asks for less is not for others.
    fn base(&self) -> PathBuf {
        let url = self.url.as_str().trim_end_matches('/').trim_end_matches(".git");
        let name = slug::slugify(url.rsplit(['/', ':']).next().unwrap_or_default());
        let signers = match &self.signers {
            None => String::new(),
            Some(Signers::Ssh(file)) => format!("\nssh {}", files::absolute(file).visible()),
            Some(Signers::Gpg(file)) => format!("\ngpg {}", files::absolute(file).visible()),
        };
        let path = match self.path.as_path().visible() {
            path if path.is_empty() => String::new(),
            path => format!("\npath {path}"),
        };
        let (url, reference) = (&self.url, self.reference.as_str());
        let whole = Sha256::digest(format!("{url}\n{reference}{path}{signers}"));
        self.folder.join(format!("{name}-{}", hex(&whole[..6])))
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.base().join("repository.git")
    }

    /// The repository of before, while one is fetched anew.
    pub(super) fn replaced(&self) -> PathBuf {
        self.base().join("repository.old")
    }

    pub(super) fn commits(&self) -> PathBuf {
        self.base().join("commits")
    }

    fn link(&self) -> PathBuf {
        self.base().join("in-force/checkout")
    }

    fn id_in_force(&self) -> Option<String> {
        let target = fs::read_link(self.link()).ok()?;
        let id = target.file_name()?.to_str()?.to_owned();
        self.is_whole(&id).then_some(id)
    }

    fn lock(&self, is_stopped: &(dyn Fn() -> bool + Sync)) -> Result<FileLock, FetchError> {
        let commits = self.commits();
        files::make_private_folder(&commits).map_err(|why| not_written(&commits, &why))?;
        let (file, holder) = (self.base().join("lock"), format!("process {}", std::process::id()));
        Ok(wait_for(self.timeout, is_stopped, || FileLock::file(&file, &holder))?)
    }

    /// Makes the repository where there is none. Its name is that of a clone's, so that the owner is too.
    fn prepare(&self, hash: Hash, deadline: Deadline<'_>) -> Result<(), FetchError> {
        let repository = self.repository();
        // Written last.
        let attributes = repository.join("info/attributes");
        if files::read(&attributes, files::TEXT_LIMIT)
            .is_ok_and(|text| *text == NO_FILTERS.as_bytes())
        {
            return Ok(());
        }
        let mut init = without_index();
        init.args(["init", "--quiet", "--bare", "--template="]);
        init.args(hash.argument()).arg("--").arg(&repository);
        succeeded(alone(&mut init), deadline)?;
        let mut name = self.git(&[]);
        succeeded(name.args(["config", "remote.origin.url", self.url.as_str()]), deadline)?;
        files::make_private_folder(files::folder_of(&attributes))
            .map_err(|why| not_written(&attributes, &why))?;
        files::write(&attributes, NO_FILTERS, 0o600)
            .map_err(|why| FetchError::NotWritten(format!("{}: {why}", attributes.visible())))
    }

    /// Git in the repository, whatever this process inherited.
    pub(super) fn git(&self, settings: &[String]) -> Command {
        let mut command = without_index();
        for variable in TRACES {
            command.env_remove(variable);
        }
        command.env("LC_ALL", "C");
        let mut git_dir = std::ffi::OsString::from("--git-dir=");
        git_dir.push(self.repository());
        command.arg("--no-replace-objects").arg(git_dir).args(RUN_NOTHING);
        // Garbage is collected before it ends, and not by a process that outlives it.
        command.args(["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"]);
        // What it has fetched is on the disk before that is said.
        command.args(["-c", "core.fsync=all"]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        command
    }

    fn verify(&self, id: &str, deadline: Deadline<'_>) -> Result<(), FetchError> {
        let Some(signers) = &self.signers else { return Ok(()) };
        signature::verify(signers, &self.base(), |settings| self.git(settings), id, deadline)
    }

    /// Whether a commit has another one before it, as far as that was fetched.
    fn goes_on(&self, before: &str, id: &str, deadline: Deadline<'_>) -> Result<bool, FetchError> {
        let mut ask = self.git(&[]);
        ask.args(["merge-base", "--is-ancestor", before, id]);
        Ok(limited::output(&ask, deadline)?.status.success())
    }
}

/// Without the settings of this machine and this person: what is checked out runs no filter of theirs, and is the
/// same everywhere.
pub(super) fn alone(command: &mut Command) -> &mut Command {
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_CONFIG_PARAMETERS");
    command.env("GIT_CONFIG_COUNT", "0").env("LC_ALL", "C")
}

pub(super) fn succeeded(
    command: &mut Command,
    deadline: Deadline<'_>,
) -> Result<Vec<u8>, FetchError> {
    let Output { status, stdout, stderr } = limited::output(command, deadline)?;
    if status.success() {
        return Ok(stdout);
    }
    match FetchError::of(&stderr) {
        // A signal leaves no message, such as that of a file that became too large.
        FetchError::Git(said) if said.is_empty() => Err(FetchError::Git(format!("git {status}"))),
        other => Err(other),
    }
}

pub(super) fn not_written(path: &Path, why: &io::Error) -> FetchError {
    FetchError::NotWritten(format!("{}: {}", path.visible(), files::reason(path, why)))
}
