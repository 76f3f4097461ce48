//! The environment: secrets kept in it, and age identities.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::Secret;

use super::Unreadable;

/// Reads `NAME` or `NAME default`, as HA's `!env_var` does.
pub(super) fn read(argument: &str) -> Result<Secret, Unreadable> {
    let (name, default) = match argument.trim().split_once(char::is_whitespace) {
        Some((name, default)) => (name, Some(default.trim())),
        None => (argument.trim(), None),
    };
    match variable(name).map(OsString::into_string) {
        Some(Ok(text)) => Ok(Secret::new(&text)),
        Some(Err(_)) => Err(Unreadable::NotText),
        None => default.map(Secret::new).ok_or_else(|| Unreadable::NotSet(name.to_owned())),
    }
}

/// Where the environment says that age identities are.
#[derive(Clone, Debug, Default)]
pub struct IdentitySources {
    /// Identities themselves, with the variable's name.
    pub texts: Vec<(&'static str, Secret)>,
    /// Files that hold identities.
    pub files: Vec<PathBuf>,
}

/// Asks the environment for age identities: `APPCRED_AGE_IDENTITY` (an identity or a file's path),
/// and SOPS' own `SOPS_AGE_KEY`, `SOPS_AGE_KEY_FILE` and `SOPS_AGE_SSH_PRIVATE_KEY_FILE`.
pub fn identities() -> IdentitySources {
    let mut sources = IdentitySources::default();
    let mut text = |name: &'static str, value: OsString| {
        sources.texts.push((name, Secret::new(&value.to_string_lossy())));
    };
    if let Some(value) = variable("SOPS_AGE_KEY") {
        text("SOPS_AGE_KEY", value);
    }
    if let Some(value) = variable("APPCRED_AGE_IDENTITY") {
        if value.to_string_lossy().contains("SECRET-KEY-")
            || value.to_string_lossy().contains("PRIVATE KEY")
        {
            text("APPCRED_AGE_IDENTITY", value);
        } else {
            sources.files.push(value.into());
        }
    }
    let files =
        ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"].into_iter().filter_map(variable);
    sources.files.extend(files.map(PathBuf::from));
    sources
}

/// Where systemd has put credentials for this process.
pub fn credentials_directory() -> Option<PathBuf> {
    variable("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
