//! A project that is in a Git repository elsewhere: which one, and how it is read.

use std::path::{Path, PathBuf};
#[cfg(feature = "kubernetes")]
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use clap::{ArgGroup, Args};

use crate::files::fetched;
use crate::git::{
    FetchError, FetchedCommit, GitAccess, GitPath, GitRef, GitSource, GitUrl, Signers, Transport,
};
#[cfg(feature = "kubernetes")]
use crate::kubernetes::ClusterProject;
use crate::model::Owner;
use crate::target::Stop;
use crate::workspace::fetch_newest;

#[cfg(feature = "kubernetes")]
use super::private_folder::PrivateFolder;
use super::times::seconds;
use super::{console, environment};

/// Between two attempts to fetch a project that was never fetched.
const PAUSE: Duration = Duration::from_secs(10);
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Read the project from a Git repository elsewhere
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Git")]
#[group(skip)]
#[command(group(ArgGroup::new("signers").args(["git_allowed_signers", "git_gpg_keys"]).multiple(false)))]
pub(super) struct GitArgs {
    /// Read the project from this repository, which is fetched into the state folder of appcred and never
    /// written to
    ///
    /// As https://host/me/house.git, ssh://git@host/me/house.git, git@host:me/house.git or /srv/house.git. Git
    /// fetches it, with the settings for ssh, the known hosts and the credential helpers of this user; nobody is
    /// asked for anything, and a host whose key is not known is refused. Submodules, hooks and filters such as
    /// LFS are not used.
    #[arg(long, value_name = "URL")]
    git: Option<GitUrl>,
    /// The branch, tag or whole commit id; default: the default branch
    #[arg(long, value_name = "REF", requires = "git")]
    git_ref: Option<GitRef>,
    /// The project's folder in the repository
    #[arg(long, value_name = "DIR", requires = "git")]
    git_path: Option<GitPath>,
    /// The private key for ssh, such as a deploy key, instead of those of this user
    #[arg(long, value_name = "FILE", requires = "git")]
    git_key: Option<PathBuf>,
    /// The host keys that ssh accepts, instead of those that are known to this user and machine
    #[arg(long, value_name = "FILE", requires = "git")]
    git_known_hosts: Option<PathBuf>,
    /// The token for https, in a file, instead of what credential helpers of this user give
    #[arg(long, value_name = "FILE", requires = "git")]
    git_token_file: Option<PathBuf>,
    /// The user that the token is of, which most hosts do not ask for
    #[arg(
        long,
        value_name = "NAME",
        default_value = "git",
        requires = "git_token_file",
        hide_default_value = true
    )]
    git_user: String,
    /// Use only commits that are signed by a key of ssh in this file, in the format of `ssh-keygen`
    #[arg(long, value_name = "FILE", requires = "git")]
    git_allowed_signers: Option<PathBuf>,
    /// Use only commits that are signed by a key of GnuPG in this file of public keys
    #[arg(long, value_name = "FILE", requires = "git")]
    git_gpg_keys: Option<PathBuf>,
    /// How long a fetch may take: seconds, or as in 1m
    #[arg(long, value_name = "TIME", default_value_t = 60, requires = "git", value_parser = seconds)]
    git_timeout: u64,
    /// Let the project name programs that print secrets, such as `sources`
    ///
    /// Without it a project that does so is refused: whoever writes to the repository could run any program on this
    /// machine.
    #[arg(long, requires = "git")]
    git_allow_programs: bool,
}

/// A project that was fetched.
#[derive(Debug)]
pub(super) struct FetchedProject {
    /// The root of the repository.
    pub(super) root: PathBuf,
    /// The project's folder.
    pub(super) folder: PathBuf,
    /// Whether it may name programs.
    pub(super) may_run: bool,
    /// The whole id of its commit.
    pub(super) commit: String,
    /// Why no newer one was fetched.
    pub(super) error: Option<String>,
    /// Its owner where it names none; that of its folder where there is none.
    pub(super) owner: Option<Owner>,
    /// What is kept as long as it is read.
    pub(super) kept: KeptSource,
}

/// What is kept as long as a project is read.
#[derive(Debug)]
pub(super) enum KeptSource {
    /// Nothing: what is in force stays where it is.
    InForce,
    /// The commit.
    Commit(#[expect(dead_code, reason = "it is only kept")] FetchedCommit),
    /// What reads it from a cluster, and the folder that it is written into.
    #[cfg(feature = "kubernetes")]
    Cluster(Arc<ClusterProject>, #[expect(dead_code, reason = "it is only kept")] PrivateFolder),
}

fn not_fetched(source: &GitSource, why: &FetchError) -> anyhow::Error {
    anyhow!("cannot fetch {}: {why}; {}", source.url, why.help())
}

impl GitArgs {
    /// Whether a repository is named.
    pub(super) fn is_given(&self) -> bool {
        self.git.is_some()
    }

    /// What to fetch; none where no repository is named.
    ///
    /// # Errors
    /// Where that would not be safe, or there is no place for it.
    pub(super) fn source(&self) -> anyhow::Result<Option<GitSource>> {
        let Some(url) = self.git.clone() else { return Ok(None) };
        let signers = self.git_allowed_signers.clone().map(Signers::Ssh);
        let signers = signers.or_else(|| self.git_gpg_keys.clone().map(Signers::Gpg));
        if url.transport() == Transport::Http
            && (signers.is_none() || self.git_token_file.is_some())
        {
            bail!(
                "what comes through http:// may have been changed on its way, and a token could be read there: use https:// or ssh, or without a token commits that are signed (--git-allowed-signers)"
            );
        }
        let Some(state) = environment::state_folder() else {
            bail!("there is no folder for the repository: set HOME or XDG_STATE_HOME");
        };
        Ok(Some(GitSource {
            url,
            reference: self.git_ref.clone().unwrap_or_default(),
            path: self.git_path.clone().unwrap_or_default(),
            access: GitAccess {
                key: self.git_key.clone(),
                known_hosts: self.git_known_hosts.clone(),
                token: self.git_token_file.clone(),
                user: self.git_user.clone(),
            },
            signers,
            timeout: Duration::from_secs(self.git_timeout),
            folder: environment::folder().join(state).join("git"),
        }))
    }

    /// Fetches the project once, where a repository is named. `folder` is that of `--directory`.
    ///
    /// # Errors
    /// Where it cannot be fetched, or both are named.
    pub(super) fn fetch(&self, folder: &Path) -> anyhow::Result<Option<FetchedProject>> {
        let Some(source) = self.source_instead_of(folder)? else { return Ok(None) };
        let fetched = source.fetch(&|| false).and_then(|commit| {
            let folder = source.folder_in(&commit)?;
            Ok((folder, commit))
        });
        let (folder, commit) = fetched.map_err(|why| not_fetched(&source, &why))?;
        let short = commit.id.get(..12).unwrap_or(&commit.id);
        console::message(format_args!("Read from {}, commit {short}.", source.url));
        fetched::call(&[&commit.root], &format!("{}@{short}", source.url));
        Ok(Some(FetchedProject {
            root: commit.root.clone(),
            folder,
            may_run: self.git_allow_programs,
            commit: commit.id.clone(),
            error: None,
            owner: None,
            kept: KeptSource::Commit(commit),
        }))
    }

    /// Fetches the project for who keeps it: what was in force stays so where that fails, and where nothing was, it
    /// is tried again as long as that may help.
    ///
    /// # Errors
    /// Where nothing can be put in force, or both are named.
    pub(super) fn keep(
        &self,
        folder: &Path,
        stop: &Stop,
    ) -> anyhow::Result<Option<FetchedProject>> {
        let Some(source) = self.source_instead_of(folder)? else { return Ok(None) };
        let is_stopped = || stop.is_cancelled();
        let (commit, error) = loop {
            let why = match fetch_newest(&source, &is_stopped) {
                Ok(newest) => break (newest.id, None),
                Err(why) => why,
            };
            if let Ok(Some(id)) = source.in_force(&is_stopped) {
                let why = format!("{why} ({})", why.help());
                tracing::error!(
                    "cannot fetch {}: {why}; commit {id}, which was fetched last, is read",
                    source.url
                );
                break (id, Some(why));
            }
            if !why.is_passing() || is_stopped() {
                return Err(not_fetched(&source, &why));
            }
            tracing::error!("cannot fetch {}: {why}; it is tried again", source.url);
            let since = Instant::now();
            while since.elapsed() < PAUSE && !is_stopped() {
                thread::sleep(STOP_CHECK_INTERVAL);
            }
        };
        let (root, folder) = (source.root_in_force(), source.folder_in_force());
        fetched::call(&[&root], &source.url.to_string());
        let may_run = self.git_allow_programs;
        let (owner, kept) = (None, KeptSource::InForce);
        Ok(Some(FetchedProject { root, folder, may_run, commit, error, owner, kept }))
    }

    /// The source, which is instead of a folder on this machine.
    ///
    /// # Errors
    /// As of [`Self::source`], and where a folder is named as well.
    pub(super) fn source_instead_of(&self, folder: &Path) -> anyhow::Result<Option<GitSource>> {
        if self.is_given() && folder != Path::new(".") {
            bail!(
                "--git reads the project from a repository: name its folder there by --git-path instead of --directory"
            );
        }
        self.source()
    }
}
