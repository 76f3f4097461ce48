//! How a server is asked: without anybody to ask, with a known host key, and without a secret in an argument, an
//! address or a variable.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::address::{GitUrl, Transport};
use super::fetch_error::FetchError;
use crate::files::{self, TEXT_LIMIT};
use crate::model::Visible;

/// Which file the helper reads, and who is asked for.
const TOKEN_FILE: &str = "APPCRED_GIT_TOKEN_FILE";
const USER: &str = "APPCRED_GIT_USER";

/// Answers Git with the first line of the file of the token. Both words are built into the shell, so that the token
/// is no argument of any process.
const HELPER: &str = "!f() { test \"$1\" = get || exit 0; IFS= read -r t < \"$APPCRED_GIT_TOKEN_FILE\" || test -n \"$t\" || exit 0; printf 'username=%s\\npassword=%s\\n' \"$APPCRED_GIT_USER\" \"$t\"; }; f";

/// What Git may use for an address: it starts no other helper, so that no address can name a program, and no server can
/// lead it to one that is not encrypted. The settings of a person may lead from https to ssh.
fn protocols(url: &GitUrl) -> &'static str {
    match url.transport() {
        Transport::Https | Transport::Ssh => "https:ssh",
        Transport::Http => "https:ssh:http",
        Transport::File => "file",
    }
}

/// What a server is shown, and how it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitAccess {
    /// The private key for ssh; those of the person where there is none.
    pub key: Option<PathBuf>,
    /// The file of the host keys; those of the person and the machine where there is none.
    pub known_hosts: Option<PathBuf>,
    /// The file of the token for https; the helpers of the person where there is none.
    pub token: Option<PathBuf>,
    /// In whose name the token is given.
    pub user: String,
}

impl GitAccess {
    /// That the files which are named can be read: neither Git nor ssh says which one cannot.
    ///
    /// # Errors
    /// Where one cannot.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        let named = [
            ("--git-key", &self.key),
            ("--git-known-hosts", &self.known_hosts),
            ("--git-token-file", &self.token),
        ];
        named.into_iter().try_for_each(|(option, file)| match file {
            Some(file) => readable(option, file),
            None => Ok(()),
        })
    }

    /// Settings of Git for this server.
    pub(super) fn settings(&self, url: &GitUrl) -> Vec<String> {
        // Who hears nothing for a minute waits for nothing.
        let mut settings: Vec<String> =
            ["core.askPass=", "http.lowSpeedLimit=1", "http.lowSpeedTime=60"]
                .map(str::to_owned)
                .into();
        if self.token.is_some() && url.transport() == Transport::Https {
            // An empty one takes away those of the person.
            settings.push("credential.helper=".to_owned());
            settings.push(format!("credential.{}.helper={HELPER}", url.server()));
        }
        settings
    }

    /// What Git and ssh find in their environment.
    pub(super) fn prepare(&self, command: &mut Command, url: &GitUrl) {
        for variable in ["GIT_ASKPASS", "SSH_ASKPASS", "GIT_SSH", "GIT_PROXY_COMMAND"] {
            command.env_remove(variable);
        }
        command.env("GIT_ALLOW_PROTOCOL", protocols(url)).env("GIT_SSH_COMMAND", self.ssh());
        command.env("GIT_SSH_VARIANT", "ssh").env("SSH_ASKPASS_REQUIRE", "never");
        if let Some(token) = &self.token {
            command.env(TOKEN_FILE, files::absolute(token)).env(USER, &self.user);
        }
    }

    fn ssh(&self) -> String {
        let mut words = vec!["ssh".to_owned()];
        let mut option = |text: String| words.extend(["-o".to_owned(), text]);
        option("BatchMode=yes".to_owned());
        option("StrictHostKeyChecking=yes".to_owned());
        option("UpdateHostKeys=no".to_owned());
        option("ConnectTimeout=30".to_owned());
        option("ServerAliveInterval=15".to_owned());
        option("ServerAliveCountMax=3".to_owned());
        if let Some(file) = &self.known_hosts {
            option(format!("UserKnownHostsFile={}", path(file)));
            option("GlobalKnownHostsFile=/dev/null".to_owned());
        }
        if let Some(file) = &self.key {
            option(format!("IdentityFile={}", path(file)));
            option("IdentitiesOnly=yes".to_owned());
            option("IdentityAgent=none".to_owned());
        }
        shell_words::join(words)
    }
}

/// Whether a file can be read that this argument names.
///
/// # Errors
/// Where it cannot.
pub(super) fn readable(option: &'static str, file: &Path) -> Result<(), FetchError> {
    match files::read(file, TEXT_LIMIT) {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = files::reason(file, &error);
            Err(FetchError::NoFile { option, file: file.visible().to_string(), why })
        }
    }
}

/// A path as ssh reads it in a setting.
fn path(file: &Path) -> String {
    format!("\"{}\"", files::absolute(file).to_string_lossy().replace('%', "%%"))
}
