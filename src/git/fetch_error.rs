//! Why nothing new was fetched.

use std::io;

use thiserror::Error;

use super::checkout::{MOST_FILES, MOST_MEGABYTES};
use super::limited::{NotEnded, NotRun};

use crate::files::NotLocked;
use crate::model::Visible;

/// What Git writes begins an error of itself like this.
const FATAL: [&str; 3] = ["fatal: ", "error: ", "remote: "];
/// No more of a message is shown.
const LONGEST: usize = 300;

/// Makes an error of what Git says.
type ErrorOf = fn(String) -> FetchError;

/// What Git or ssh says in a case that has an answer of its own, in the order in which they are looked for.
const KNOWN: &[(&str, ErrorOf)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", |_| FetchError::OtherHostKey),
    ("Host key verification failed", |_| FetchError::UnknownHostKey),
    ("UNPROTECTED PRIVATE KEY FILE", |_| FetchError::OpenKey),
    ("find remote ref", |_| FetchError::NoSuchRef),
    ("No space left on device", FetchError::NoSpace),
    ("File too large", FetchError::TooMuch),
    ("Disk quota exceeded", FetchError::NoSpace),
    ("unable to write", FetchError::NoSpace),
    ("failed to write", FetchError::NoSpace),
    ("failed writing", FetchError::NoSpace),
    ("mismatched algorithms: client sha1; server sha256", |_| FetchError::OtherHash(Hash::Sha256)),
    ("mismatched algorithms: client sha256; server sha1", |_| FetchError::OtherHash(Hash::Sha1)),
    ("dubious ownership", |_| FetchError::OtherOwner),
    ("unsafe repository", |_| FetchError::OtherOwner),
    ("Permission denied", FetchError::Refused),
    ("Authentication failed", FetchError::Refused),
    ("could not read Username", FetchError::Refused),
    ("could not read Password", FetchError::Refused),
    ("The requested URL returned error: 401", FetchError::Refused),
    ("The requested URL returned error: 403", FetchError::Refused),
    ("certificate", FetchError::Certificate),
];

/// What Git says of a server, or of the way to it. The repository on this machine is not the reason.
const OF_SERVER: [&str; 9] = [
    "Connection ",
    "Could not read from remote repository",
    "Could not resolve host",
    "does not appear to be a git repository",
    "early EOF",
    "hung up",
    "connect to ",
    "unable to access ",
    "not found",
];

/// How a repository names what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// By 40 digits, as nearly all do.
    Sha1,
    /// By 64 digits.
    Sha256,
}

impl Hash {
    /// Makes a repository of this kind. A Git that is older than the others knows no such argument.
    pub(super) fn argument(self) -> Option<&'static str> {
        match self {
            Self::Sha1 => None,
            Self::Sha256 => Some("--object-format=sha256"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// Why the newest commit is not used.
#[derive(Debug, Error)]
pub enum FetchError {
    /// There is no program `git`, or none that it needs.
    #[error(transparent)]
    NotRun(NotRun),
    /// The server does not answer soon enough, or this machine is slow.
    #[error("the fetch did not end within {0} seconds")]
    TooSlow(u64),
    /// Nobody waits for it any more.
    #[error("interrupted")]
    Stopped,
    /// Another appcred works in the same folder.
    #[error("the folder of the repository is locked: {0}")]
    Locked(NotLocked),
    /// There is no folder for what is fetched, or nothing can be written there.
    #[error("cannot write {0}")]
    NotWritten(String),
    /// A file that is named for it cannot be read.
    #[error("cannot read {file}, which {option} names: {why}")]
    NoFile {
        /// The argument that names it.
        option: &'static str,
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// Other users may read the private key.
    #[error("ssh does not use the private key, since other users may read it")]
    OpenKey,
    /// The host has another key than the one that is known.
    #[error("the host key of the server has changed")]
    OtherHostKey,
    /// No key of the host is known.
    #[error("the host key of the server is not known")]
    UnknownHostKey,
    /// The server does not let this machine read the repository.
    #[error("the server refuses access: {0}")]
    Refused(String),
    /// Its certificate is not trusted.
    #[error("{0}")]
    Certificate(String),
    /// There is no such branch, tag or commit.
    #[error("the repository has no such branch, tag or commit")]
    NoSuchRef,
    /// There is no commit at all.
    #[error("the repository is empty")]
    Empty,
    /// There is no such branch as it gives who asks for none.
    #[error("the default branch of the repository does not exist; it has {0}")]
    NoDefault(String),
    /// The repository on this machine belongs to another user.
    #[error("the repository belongs to another user")]
    OtherOwner,
    /// The disk is full.
    #[error("nothing more can be written on this machine: {0}")]
    NoSpace(String),
    /// The server sends more than is taken.
    #[error("the repository is larger than 2 GB, and so is not fetched: {0}")]
    TooMuch(String),
    /// The commit has no signature that is asked for.
    #[error("commit {id} is not used: {why}")]
    Unverified {
        /// Its id.
        id: String,
        /// What is wrong with its signature.
        why: String,
    },
    /// The commit has no such folder.
    #[error("commit {id} has no folder {path}")]
    NoFolder {
        /// Its id.
        id: String,
        /// The folder.
        path: String,
    },
    /// The commit is larger than what is checked out.
    #[error(
        "commit {id} has {files} files of {megabytes} MB, and at most {MOST_FILES} files of {MOST_MEGABYTES} MB are checked out"
    )]
    TooLarge {
        /// Its id.
        id: String,
        /// How many files it has.
        files: usize,
        /// How large they are.
        megabytes: u64,
    },
    /// A symbolic link of the commit leads elsewhere.
    #[error("commit {id} has a symbolic link that leads out of the repository: {path}")]
    LinkOut {
        /// Its id.
        id: String,
        /// The link.
        path: String,
    },
    /// The server's repository has another object format than the copy on this machine.
    #[error("the repository has the object format {}", .0.name())]
    OtherHash(Hash),
    /// Whatever else Git says.
    #[error("{0}")]
    Git(String),
}

impl FetchError {
    /// What Git says of a failure.
    pub(super) fn of(stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let known = KNOWN.iter().find_map(|(words, error)| {
            let line = text.lines().find(|line| line.contains(words))?;
            Some(error(shown(line)))
        });
        known.unwrap_or_else(|| {
            let said = || text.lines().map(str::trim).filter(|line| !line.is_empty());
            // What ssh says is before the advice of Git.
            let line = said().find(|line| !line.starts_with("Warning: ")).unwrap_or_default();
            Self::Git(shown(line))
        })
    }

    /// Whether it may be over soon without anybody's doing.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::TooSlow(_) | Self::Locked(_) | Self::NoSpace(_) | Self::Git(_))
    }

    /// Whether Git says this of the server, or of the way to it.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(self, Self::Git(said) if OF_SERVER.iter().any(|words| said.contains(words)))
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotRun(why) => why.help(),
            Self::TooSlow(_) => {
                "see whether the server can be reached and the disk is not too slow, or allow more by --git-timeout"
            }
            Self::Stopped => "run it again",
            Self::Locked(_) => "wait until the other appcred is done",
            Self::NotWritten(_) | Self::NoSpace(_) => "make room or give the right to write there",
            Self::NoFile { .. } => "correct the path, or let this user read it",
            Self::OpenKey => "`chmod 600` makes it readable for its owner alone",
            Self::OtherHostKey => {
                "make sure that this is your server; if it was set up anew, put its new key into the file of known hosts"
            }
            Self::UnknownHostKey => {
                "put its key into a file, as `ssh-keyscan HOST` prints it, compare that with what the host publishes, and name the file by --git-known-hosts"
            }
            Self::Refused(_) => {
                "give a key that may read it by --git-key, or for https:// a token by --git-token-file"
            }
            Self::Certificate(_) => "name the certificate of its authority by GIT_SSL_CAINFO",
            Self::NoSuchRef => "name another one by --git-ref",
            Self::Empty => "push a commit with the project to it",
            Self::NoDefault(_) => {
                "name a branch by --git-ref, or set the default branch at the server"
            }
            Self::OtherOwner => {
                "allow it: `git config --global --add safe.directory FOLDER`, where FOLDER is the whole path of the repository"
            }
            Self::Unverified { .. } => {
                "have the commit signed by somebody whose key is in the file"
            }
            Self::NoFolder { .. } => "name another folder by --git-path",
            Self::TooLarge { .. } | Self::TooMuch(_) => {
                "keep the project in a repository of its own"
            }
            Self::LinkOut { .. } => "remove the link, or put what it leads to into the repository",
            Self::OtherHash(_) => {
                "install a git that knows this object format, as 2.29 and newer do"
            }
            Self::Git(_) => "`git ls-remote URL` as this user shows whether Git can read it",
        }
    }
}

impl From<NotEnded> for FetchError {
    fn from(why: NotEnded) -> Self {
        match why {
            NotEnded::NotRun(why) => Self::NotRun(why),
            NotEnded::TooSlow(seconds) => Self::TooSlow(seconds),
            NotEnded::Stopped => Self::Stopped,
        }
    }
}

impl From<NotLocked> for FetchError {
    fn from(why: NotLocked) -> Self {
        match why {
            NotLocked::Io(why) if why.kind() == io::ErrorKind::StorageFull => {
                Self::NoSpace(why.to_string())
            }
            NotLocked::Io(why) => Self::NotWritten(format!("a lock: {why}")),
            NotLocked::Stopped => Self::Stopped,
            why @ NotLocked::Held { .. } => Self::Locked(why),
        }
    }
}

/// A line of Git, without its beginning and hidden characters.
fn shown(line: &str) -> String {
    let line = line.trim();
    let line = FATAL.iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    line.trim_end_matches('.').chars().take(LONGEST).collect::<String>().visible().to_string()
}

#[cfg(test)]
mod tests {
    use super::FetchError;

    #[test]
    fn what_git_says_becomes_an_error_with_an_answer() {
        let of = |text: &str| FetchError::of(text.as_bytes());
        let changed = "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\nfatal: Could not read from remote repository.";
        assert!(matches!(of(changed), FetchError::OtherHostKey));
        assert!(matches!(of("fatal: couldn't find remote ref main"), FetchError::NoSuchRef));
        let refused = of("git@h: Permission denied (publickey).\nfatal: Could not read");
        assert_eq!(
            refused.to_string(),
            "the server refuses access: git@h: Permission denied (publickey)"
        );
        assert_eq!(of("fatal: odd\u{1b}[2J\nmore").to_string(), "odd\\u{1b}[2J");
        assert_eq!(of("").to_string(), "");
    }
}
