//! What the environment says of the target, of the person's folders, and of the CI system around.

use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::http::Network;
use crate::model::{Secret, Visible, day};
use crate::secret::{env, token};
use crate::target::Endpoint;
use crate::target::home_assistant::{AuthMethod, ConnectionSettings, HomeAssistantEndpoint};
use crate::workspace::Environment;

const HASS_SERVER: &str = "HASS_SERVER";
const HASS_TOKEN: &str = "HASS_TOKEN";
const SUPERVISOR_TOKEN: &str = "SUPERVISOR_TOKEN";
const SNAPSHOT_TOKEN: &str = "APPCRED_SNAPSHOT_TOKEN";
const SUPERVISOR: &str = "http://supervisor/core";

/// All that a workspace needs of the environment.
pub(super) fn read() -> Environment {
    Environment {
        folder: folder(),
        today: day(now()),
        home: home(),
        target: target(),
        identity_files: identity_files(),
        identities: env::identities(),
        credentials: env::credentials_directory(),
        time_zone: variable("TZ"),
        state_folder: state_folder(),
    }
}

/// `HASS_SERVER` with `HASS_TOKEN`, as for hass-cli; inside an app (add-on) the supervisor's.
fn target() -> Option<Result<Endpoint, String>> {
    let (url, auth) = match (variable(HASS_SERVER), variable(HASS_TOKEN)) {
        (Some(url), Some(token)) => (url, from_environment(&token)),
        (Some(url), None) => (url, AuthMethod::Session),
        (None, _) => {
            let token = variable(SUPERVISOR_TOKEN)?;
            (SUPERVISOR.to_owned(), from_environment(&token))
        }
    };
    let endpoint = HomeAssistantEndpoint::unwritten(&url, auth).map(Endpoint::HomeAssistant);
    Some(endpoint.map_err(|why| format!("the environment variable {HASS_SERVER} {why}")))
}

fn from_environment(token: &str) -> AuthMethod {
    let from = format!("the environment ({HASS_TOKEN} or {SUPERVISOR_TOKEN})");
    AuthMethod::Token { token: token::from_text(token), from }
}

/// The Home Assistant that runs this as an app (add-on).
pub(super) fn supervisor() -> Option<ConnectionSettings> {
    let token = token::from_text(&variable(SUPERVISOR_TOKEN)?);
    Some(ConnectionSettings { url: SUPERVISOR.to_owned(), token, network: Network::default() })
}

/// The address in `HASS_SERVER`.
pub(super) fn server() -> Option<String> {
    variable(HASS_SERVER)
}

/// Whether `HASS_TOKEN` is set.
pub(super) fn has_token() -> bool {
    variable(HASS_TOKEN).is_some()
}

/// To whom SOPS encrypts what no rule is for.
pub(super) fn sops_recipients() -> Option<String> {
    variable("SOPS_AGE_RECIPIENTS")
}

/// The person's home folder.
pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

/// Where identities are looked for: appcred's own `appcred/identity.txt`, and SOPS'
/// `sops/age/keys.txt`, both in the folder of configurations.
pub(super) fn identity_files() -> Vec<PathBuf> {
    let config =
        variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".config")));
    let sops = match variable("XDG_CONFIG_HOME") {
        None if cfg!(target_os = "macos") => {
            home().map(|home| home.join("Library/Application Support"))
        }
        _ => config.clone(),
    };
    let own = config.map(|folder| folder.join("appcred/identity.txt"));
    own.into_iter().chain(sops.map(|folder| folder.join("sops/age/keys.txt"))).collect()
}

/// What the clock says.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The same as SOPS writes it, as in `2026-11-23T22:41:48Z`.
pub(super) fn timestamp() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Folders that may lie in memory, the person's own first.
pub(super) fn private_folders() -> Vec<PathBuf> {
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    own.into_iter().chain([PathBuf::from("/dev/shm")]).collect()
}

/// The person's editor, as a command of the shell, where they chose one.
pub(super) fn editor() -> Option<String> {
    variable("VISUAL").or_else(|| variable("EDITOR"))
}

/// Where a program is that a shell would run.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    program_folders().into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The folders in which a shell looks for programs.
pub(super) fn program_folders() -> Vec<PathBuf> {
    variable("PATH").iter().flat_map(std::env::split_paths).collect()
}

/// The names of variables that hold a secret whatever the project says.
pub(super) fn secret_variables() -> impl Iterator<Item = &'static str> {
    [HASS_TOKEN, SUPERVISOR_TOKEN, SNAPSHOT_TOKEN].into_iter().chain(env::SECRET_VARIABLES)
}

/// The token for a snapshot on the web, as of a status page that asks for one.
pub(super) fn snapshot_token() -> Option<Secret> {
    variable(SNAPSHOT_TOKEN).map(|token| Secret::new(&token))
}

/// The command line.
pub(super) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// The command line, with hidden characters escaped, and without what may be secret in addresses.
pub(super) fn visible_arguments() -> impl Iterator<Item = String> {
    arguments().map(|argument| without_secrets(&argument.to_string_lossy().visible()))
}

/// Of an address neither the user nor the query is shown. It stays as wrong as it was.
fn without_secrets(argument: &str) -> String {
    let Some((scheme, address)) = argument.split_once("://") else { return argument.to_owned() };
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let (place, query) = address.split_at(end);
    let place = match place.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => place.to_owned(),
    };
    let query = query.get(..1).map_or(String::new(), |mark| format!("{mark}..."));
    format!("{scheme}://{place}{query}")
}

/// The folder that the command runs in; empty where that is unknown.
pub(super) fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_default()
}

/// The pager that the person has chosen; an empty one is none, as in git.
pub(super) fn pager() -> Option<String> {
    text_of("APPCRED_PAGER").or_else(|| text_of("PAGER"))
}

/// Whether a variable is set.
pub(super) fn has(name: &str) -> bool {
    variable(name).is_some()
}

/// Whether a CI system runs this and keeps what is printed.
pub(super) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| !matches!(value.trim(), "false" | "0"))
}

/// The root of the checkout, as GitHub Actions and GitLab CI name it.
pub(super) fn checkout() -> Option<PathBuf> {
    variable("GITHUB_WORKSPACE").or_else(|| variable("CI_PROJECT_DIR")).map(PathBuf::from)
}

/// The file whose Markdown GitHub Actions shows as the job's summary.
pub(super) fn job_summary() -> Option<PathBuf> {
    variable("GITHUB_STEP_SUMMARY").map(PathBuf::from)
}

/// What outlives a run and is no configuration: systemd's `$STATE_DIRECTORY`, else
/// `$XDG_STATE_HOME/appcred`.
pub(super) fn state_folder() -> Option<PathBuf> {
    let of_service = variable("STATE_DIRECTORY");
    if let Some(first) = of_service.as_deref().and_then(|folders| folders.split(':').next()) {
        return Some(PathBuf::from(first));
    }
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|state| state.is_absolute());
    let state = state.or_else(|| Some(home()?.join(".local/state")))?;
    Some(state.join("appcred"))
}

/// What a variable says that is not empty.
fn variable(name: &str) -> Option<String> {
    text_of(name).filter(|value| !value.trim().is_empty())
}

#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
fn text_of(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (argument, shown) in [
            ("--url=http://u:hush@h:1/p?t=hush", "--url=http://...@h:1/p?..."),
            ("http://u:hu/sh@h#hush", "http://...@h#..."),
            ("http://h", "http://h"),
            ("--against", "--against"),
        ] {
            assert_eq!(without_secrets(argument), shown);
        }
    }
}
