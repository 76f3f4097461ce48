//! Where a target is, how to authenticate there, and the connection itself.

mod error;

use std::path::{Path, PathBuf};

use crate::http::Network;
use crate::manifest::{self, Token, TokenCommand};
use crate::model::{Place, Reference, Secret};
use crate::secret::{self, SecretResolver, token};
use crate::session::SessionStore;
use crate::target::config_dir::ConfigDir;
use crate::target::{Target, home_assistant};

pub use error::ConnectError;

/// Where a target is. A plain value: nothing is read or run before [`Endpoint::connect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A running HA.
    HomeAssistant(HomeAssistantEndpoint),
    /// The configuration folder of an HA that does not run.
    ConfigDir(PathBuf),
}

/// A running HA, and how to authenticate there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistantEndpoint {
    /// Its address, without a slash at the end.
    pub url: String,
    /// How it is reached.
    pub network: Network,
    /// Where its access token comes from.
    pub auth: AuthMethod,
}

/// Where an access token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// The environment holds it.
    Token(Secret),
    /// The project file holds or names it. The place is for errors: a value that moved to another
    /// line is another value, or its errors would name the wrong line.
    Reference(Reference, Place),
    /// It is all that a file holds.
    File(PathBuf),
    /// It is all that a program prints.
    Command(TokenCommand),
    /// `appcred login` stored a session.
    Session,
}

impl From<&manifest::TargetConfig> for Endpoint {
    fn from(target: &manifest::TargetConfig) -> Self {
        match target {
            manifest::TargetConfig::ConfigDir(folder) => Self::ConfigDir(folder.clone()),
            manifest::TargetConfig::HomeAssistant { url, token, network } => {
                Self::HomeAssistant(HomeAssistantEndpoint {
                    url: url.clone(),
                    network: (**network).clone(),
                    auth: token.into(),
                })
            }
        }
    }
}

impl From<&Token> for AuthMethod {
    fn from(token: &Token) -> Self {
        match token {
            Token::Written(written) => Self::Reference(written.value.clone(), written.spot.place()),
            Token::File(file) => Self::File(file.clone()),
            Token::Command(command) => Self::Command(command.clone()),
            Token::Session => Self::Session,
        }
    }
}

impl Endpoint {
    /// Its address or folder, as a person knows it.
    pub fn address(&self) -> String {
        match self {
            Self::HomeAssistant(endpoint) => endpoint.url.clone(),
            Self::ConfigDir(folder) => folder.display().to_string(),
        }
    }

    /// One name for one place, however it is written.
    pub fn place(&self) -> String {
        match self {
            Self::HomeAssistant(endpoint) => {
                home_assistant::canonical(&endpoint.url).unwrap_or_else(|_| endpoint.url.clone())
            }
            Self::ConfigDir(folder) => real(folder).display().to_string(),
        }
    }

    /// Whether connecting may ask a person for something, as a program for a token may.
    pub fn may_ask(&self) -> bool {
        let Self::HomeAssistant(endpoint) = self else { return false };
        matches!(endpoint.auth, AuthMethod::Command(_))
    }

    /// Every file that connecting reads or runs: where one changes, the connection is another one.
    pub fn files(
        &self,
        resolver: &SecretResolver,
        sessions: Option<&SessionStore>,
    ) -> Vec<PathBuf> {
        let Self::HomeAssistant(endpoint) = self else { return Vec::new() };
        let mut files: Vec<PathBuf> = endpoint.network.ca_file.iter().cloned().collect();
        match &endpoint.auth {
            AuthMethod::Token(_) => {}
            AuthMethod::Reference(reference, _) => {
                files.extend(secret::files_of(reference, resolver));
            }
            AuthMethod::File(file) => files.push(file.clone()),
            // A name without a slash is looked up in PATH each time.
            AuthMethod::Command(TokenCommand { program, folder, .. }) => {
                files.extend(program.contains('/').then(|| folder.join(program)));
            }
            AuthMethod::Session => {
                let url = home_assistant::canonical(&endpoint.url).ok();
                files.extend(sessions.zip(url).map(|(store, url)| store.file(&url)));
            }
        }
        files
    }

    /// Connects to the target.
    ///
    /// # Errors
    /// Where there is no token, nobody answers, or the token is not accepted.
    pub async fn connect(
        &self,
        resolver: &SecretResolver,
        sessions: Option<&SessionStore>,
    ) -> Result<Target, ConnectError> {
        match self {
            Self::ConfigDir(folder) => Ok(Target::ConfigDir(ConfigDir::new(folder.clone()))),
            Self::HomeAssistant(endpoint) => {
                let token = endpoint.token(resolver, sessions).await?;
                let HomeAssistantEndpoint { url, network, .. } = endpoint.clone();
                let settings = home_assistant::ConnectionSettings { url, token, network };
                Ok(Target::HomeAssistant(Box::new(home_assistant::connect(settings).await?)))
            }
        }
    }
}

impl HomeAssistantEndpoint {
    async fn token(
        &self,
        resolver: &SecretResolver,
        sessions: Option<&SessionStore>,
    ) -> Result<Secret, ConnectError> {
        let url = &self.url;
        let unread = |why| ConnectError::Token { url: url.clone(), why };
        match &self.auth {
            AuthMethod::Token(token) => Ok(token.clone()),
            AuthMethod::Reference(reference, place) => secret::read(reference, resolver)
                .map(|secret| token::from_text(secret.expose()))
                .map_err(|why| ConnectError::Reference { place: place.clone(), why }),
            AuthMethod::File(file) => token::from_file(file).map_err(unread),
            AuthMethod::Command(TokenCommand { program, arguments, folder }) => {
                token::from_command(program, arguments, folder).await.map_err(unread)
            }
            AuthMethod::Session => from_session(url, &self.network, resolver, sessions).await,
        }
    }
}

/// An access token of the stored session.
async fn from_session(
    url: &str,
    network: &Network,
    resolver: &SecretResolver,
    sessions: Option<&SessionStore>,
) -> Result<Secret, ConnectError> {
    let address = home_assistant::canonical(url)?;
    let session = match sessions {
        Some(store) => store.load(&address, resolver)?,
        None => None,
    };
    let session = session.ok_or_else(|| ConnectError::NotSignedIn { url: url.to_owned() })?;
    Ok(session.access_token(network).await?)
}

/// Where a path really leads, as far as that is there yet.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match found {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path,
    }
}

#[cfg(test)]
mod tests;
