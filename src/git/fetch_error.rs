//! Why nothing new was fetched.

use std::io;

use thiserror::Error;

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
    ("File too large", FetchError::NoSpace),
    ("Disk quota exceeded", FetchError::NoSpace),
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

/// Why the newest commit is not used.
#[derive(Debug, Error)]
pub enum FetchError {
    /// There is no program `git`, or it cannot be started.
    #[error("cannot run git: {0}")]
    NotRun(io::Error),
    /// The server does not answer, or not soon enough.
    #[error("the server did not answer within {0} seconds")]
    TooSlow(u64),
    /// Nobody waits for it any more.
    #[error("interrupted")]
    Stopped,
    /// Another appcred works in the same folder.
    #[error("the folder of the repository is locked: {0}")]
    Locked(#[from] NotLocked),
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
    /// The repository on this machine belongs to another user.
    #[error("the repository belongs to another user")]
    OtherOwner,
    /// The disk is full.
    #[error("nothing more can be written on this machine: {0}")]
    NoSpace(String),
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

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotRun(_) => "install git",
            Self::TooSlow(_) => {
                "see whether the server can be reached, or allow more by --git-timeout"
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
            Self::OtherOwner => {
                "allow it: `git config --global --add safe.directory FOLDER`, where FOLDER is the whole path of the repository"
            }
            Self::Unverified { .. } => {
                "have the commit signed by somebody whose key is in the file"
            }
            Self::NoFolder { .. } => "name another folder by --git-path",
            Self::Git(_) => "`git ls-remote URL` as this user shows whether Git can read it",
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
