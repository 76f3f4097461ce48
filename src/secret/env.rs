//! The environment: secrets kept in it, and age identities.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::source::SecretSource;
use super::{SecretResolver, Unreadable};
use crate::model::{Reference, Secret};

pub(super) const SOURCE: SecretSource =
    SecretSource { tag: "env_var", read, places: |_, _, _| Vec::new() };

/// Variables that hold identities, or say how to get one.
pub const SECRET_VARIABLES: [&str; 3] =
    ["APPCRED_AGE_IDENTITY", "SOPS_AGE_KEY", "SOPS_AGE_KEY_CMD"];

/// The variable that a secret is in, if it is in one.
pub fn variable_of(reference: &Reference) -> Option<&str> {
    match reference {
        Reference::Tagged { tag, argument, .. } if tag == "env_var" => {
            argument.split_whitespace().next()
        }
        _ => None,
    }
}

/// Reads `NAME` or `NAME default`, as HA's `!env_var` does.
fn read(argument: &str, _: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let (name, default) = match argument.trim().split_once(char::is_whitespace) {
        Some((name, default)) => (name, Some(default.trim())),
        None => (argument.trim(), None),
    };
    let withheld = || Unreadable::Withheld(format!("the variable {name}"));
    let is_restricted = resolver.allowed.withheld.is_some();
    if is_restricted && (IDENTITIES.contains(&name) || name == IDENTITY_PROGRAM) {
        return Err(withheld());
    }
    match variable(name).map(OsString::into_string) {
        Some(Ok(text)) => match Zeroizing::new(text) {
            text if is_restricted && holds_identity(&text) => Err(withheld()),
            text => Ok(Secret::new(&text)),
        },
        Some(Err(_)) => Err(Unreadable::NotUtf8),
        None => default.map(Secret::new).ok_or_else(|| Unreadable::NotSet(name.to_owned())),
    }
}

/// The variables that hold age identities or name files of them: appcred's own and those of SOPS.
const IDENTITIES: &[&str] =
    &[SOPS_AGE_KEY, "APPCRED_AGE_IDENTITY", "SOPS_AGE_KEY_FILE", SOPS_AGE_SSH_PRIVATE_KEY_FILE];
/// This one always holds identities.
const SOPS_AGE_KEY: &str = "SOPS_AGE_KEY";
/// Where it is not set, SOPS tries the usual SSH keys.
const SOPS_AGE_SSH_PRIVATE_KEY_FILE: &str = "SOPS_AGE_SSH_PRIVATE_KEY_FILE";
/// The variable that names a program which prints age identities.
const IDENTITY_PROGRAM: &str = "SOPS_AGE_KEY_CMD";
/// The usual SSH keys, below the home folder.
const SSH_KEYS: &[&str] = &[".ssh/id_ed25519", ".ssh/id_rsa"];

/// Where the environment says that age identities are, each with the variable's name: a value may be
/// an identity by mistake, so messages never repeat it.
#[derive(Clone, Debug, Default)]
pub struct IdentitySources {
    /// Identities themselves.
    pub texts: Vec<(&'static str, Secret)>,
    /// Files that hold identities.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Programs that print identities, with their arguments.
    pub programs: Vec<(&'static str, Secret)>,
    /// SSH keys that are tried, but that nothing is encrypted to without being asked for.
    pub ssh_keys: Vec<PathBuf>,
}

impl IdentitySources {
    /// The same, but for programs, which may ask a person for something.
    #[must_use]
    pub fn without_programs(self) -> Self {
        Self { programs: Vec::new(), ..self }
    }

    /// The files that identities are read from.
    pub fn all_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().map(|(_, file)| file).chain(&self.ssh_keys)
    }
}

/// Asks the environment for age identities, all that SOPS would find and those of
/// `APPCRED_AGE_IDENTITY`. Whether a value is an identity or a path is seen by the value.
pub fn identities() -> IdentitySources {
    let mut sources = IdentitySources::default();
    for name in IDENTITIES.iter().copied() {
        let Some(value) = variable(name) else { continue };
        let text = Zeroizing::new(value.to_string_lossy().into_owned());
        if name == SOPS_AGE_KEY || holds_identity(&text) {
            sources.texts.push((name, Secret::new(&text)));
        } else {
            sources.files.push((name, value.into()));
        }
    }
    if let Some(command) = variable(IDENTITY_PROGRAM) {
        let command = Zeroizing::new(command.to_string_lossy().into_owned());
        sources.programs.push((IDENTITY_PROGRAM, Secret::new(&command)));
    }
    if variable(SOPS_AGE_SSH_PRIVATE_KEY_FILE).is_none()
        && let Some(home) = std::env::home_dir().filter(|home| home.is_absolute())
    {
        let keys = SSH_KEYS.iter().map(|key| home.join(key));
        sources.ssh_keys = keys.filter(|key| key.is_file()).collect();
    }
    sources
}

/// Whether a text holds an identity, so that it is no path and must not be shown.
pub fn holds_identity(text: &str) -> bool {
    let is_identity = |word: &str| {
        let word = word.trim_matches(['"', '\'']).to_ascii_uppercase();
        (word.starts_with("AGE-SECRET-KEY-") || word.starts_with("AGE-PLUGIN-"))
            && word.contains("-1")
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let parts = ["AGE-SECRET-KEY-", "AGE-PLUGIN-", "PRIVATE KEY-----", "AGE ENCRYPTED FILE-----"];
    parts.iter().any(|part| text.contains(part)) || text.split_whitespace().any(is_identity)
}

/// What a source's program gets of the environment beside what is named for it.
const USUAL: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// The environment of a source's program: the usual variables and the named ones, where they are set.
pub(super) fn passed(named: &[String]) -> Vec<(String, OsString)> {
    let names = USUAL.iter().copied().chain(named.iter().map(String::as_str));
    names.filter_map(|name| Some((name.to_owned(), variable(name)?))).collect()
}

/// Where systemd has put credentials for this process.
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::holds_identity;

    #[test]
    fn an_identity_is_told_from_a_path() {
        for identity in [
            "AGE-SECRET-KEY-1QQQ",
            "age-secret-key-1qqq",
            "AGE-SECRET-KEY-PQ-1QQQ",
            "AGE-PLUGIN-YUBIKEY-1QQQ",
            " # mine\nage-plugin-se-1qqq",
            "\"AGE-PLUGIN-TPM-1QQQ\"",
            "x=AGE-SECRET-KEY-1QQQ",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "-----BEGIN AGE ENCRYPTED FILE-----",
        ] {
            assert!(holds_identity(identity), "{identity}");
        }
        for path in [
            "/home/me/age-plugin-yubikey-identity.txt",
            "age-plugin-yubikey-identity",
            "keys/age-secret-key-1.txt",
            "identity.txt",
            "~/.config/sops/age/keys.txt",
        ] {
            assert!(!holds_identity(path), "{path}");
        }
    }
}
