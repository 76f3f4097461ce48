//! What is read before HA is connected to: the way to it, and the access token.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::endpoint::{AuthMethod, HomeAssistantEndpoint, TokenCommand};
use super::session::SessionStore;
use super::sign_in::{LoginSession, canonical};
use crate::diagnostic::Located;
use crate::http::Network;
use crate::model::{Secret, TOKEN};
use crate::secret::token::NoToken;
use crate::secret::{self, SecretResolver, token};
use crate::target::ConnectError;

/// Where the access token is got from.
pub(super) enum TokenSource {
    /// It is read.
    Known(Secret),
    /// HA gives it.
    Session(LoginSession),
    /// A program prints it.
    Program(TokenCommand),
}

impl HomeAssistantEndpoint {
    /// Reads the way to HA and where the access token is got from. To read a secret may ask a person or wait for a program: what else goes
    /// on, as connections to other targets, goes on meanwhile.
    pub(super) async fn read(
        &self,
        resolver: &Arc<SecretResolver>,
        sessions: Option<&SessionStore>,
    ) -> Result<(Network, Result<TokenSource, ConnectError>), ConnectError> {
        let (endpoint, resolver, sessions) =
            (self.clone(), Arc::clone(resolver), sessions.cloned());
        let reading = spawn_blocking(move || {
            let network = endpoint.network.read(&resolver)?;
            Ok::<_, ConnectError>((network, endpoint.source(&resolver, sessions.as_ref())))
        });
        reading.await?
    }

    fn source(
        &self,
        resolver: &SecretResolver,
        sessions: Option<&SessionStore>,
    ) -> Result<TokenSource, ConnectError> {
        let token = match &self.auth {
            AuthMethod::Token { token, from } => {
                token::checked(token::from_text(token.expose()), || from.clone())
                    .map_err(|why| self.no_token(why))?
            }
            AuthMethod::Reference(Located { value, spot }) => {
                let read =
                    secret::read(value, resolver).map_err(|why| ConnectError::Reference {
                        what: TOKEN.name.to_owned(),
                        place: spot.place(),
                        why,
                    })?;
                let name = || format!("`{}` ({})", TOKEN.name, spot.place());
                token::checked(token::from_text(read.expose()), name)
                    .map_err(|why| self.no_token(why))?
            }
            AuthMethod::File(Located { value: file, spot }) => {
                token::from_file(file).map_err(|why| ConnectError::TokenFile {
                    url: self.url.clone(),
                    place: spot.place(),
                    why,
                })?
            }
            AuthMethod::Command(command) => return Ok(TokenSource::Program(command.clone())),
            AuthMethod::Session => {
                let address = canonical(&self.url)?;
                let session = match sessions {
                    Some(store) => store.load(&address, resolver)?,
                    None => None,
                };
                let url = || self.url.clone();
                let session = session.ok_or_else(|| ConnectError::NotSignedIn { url: url() })?;
                return Ok(TokenSource::Session(session));
            }
        };
        Ok(TokenSource::Known(token))
    }

    pub(super) async fn token(
        &self,
        source: TokenSource,
        network: &Network,
    ) -> Result<Secret, ConnectError> {
        match source {
            TokenSource::Known(token) => Ok(token),
            TokenSource::Session(session) => Ok(session.access_token(network).await?),
            TokenSource::Program(TokenCommand { program, arguments, folder }) => {
                let token = token::from_command(&program, &arguments, &folder).await;
                token.map_err(|why| self.no_token(why))
            }
        }
    }

    fn no_token(&self, why: NoToken) -> ConnectError {
        ConnectError::Token { url: self.url.clone(), why }
    }
}
