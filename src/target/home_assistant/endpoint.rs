//! Where a running HA is, how to authenticate there, and what the project file says of both.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::session::SessionStore;
use super::{ConnectionSettings, HomeAssistant, canonical, connect};
use crate::diagnostic::{Located, ProblemCode};
use crate::http::{Network, ProxyAddress};
use crate::model::{Reference, Secret};
use crate::secret::{self, SecretResolver, token};
use crate::target::{ConnectError, ReadSettings, Reported, SettingProblem, TargetKind};

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
    /// The project file holds or names it. A value that moved to another line is another value, or its
    /// errors would name the wrong line.
    Reference(Located<Reference>),
    /// It is all that a file holds.
    File(PathBuf),
    /// It is all that a program prints.
    Command(TokenCommand),
    /// `appcred login` stored a session.
    Session,
}

/// A program that is run without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCommand {
    /// The program: a name that is looked up in `PATH`, or a path.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder where it runs: that of the project file.
    pub folder: PathBuf,
}

/// A running Home Assistant.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = one_token)]
pub struct HomeAssistantInput {
    /// Its address, as in `https://ha.example:8123`.
    #[schemars(regex(pattern = r"^https?://[^\s?#@]+$"))]
    pub url: String,
    /// A long-lived access token of an administrator: an armored age file behind `|`, or `!env_var
    /// NAME`, `!secret NAME` or `!file PATH`. Where no token is named, `appcred login` opens a session.
    #[schemars(regex(pattern = r"^\S([\s\S]*\S)?\n*$"))]
    pub token: Option<String>,
    /// A file that holds nothing but the access token.
    #[schemars(regex(pattern = r"\S"))]
    pub token_file: Option<String>,
    /// A program that prints nothing but the access token, and its arguments. It is run in the folder
    /// of this file, without a shell.
    #[schemars(length(min = 1), inner(regex(pattern = r"\S")))]
    pub token_command: Option<Vec<String>>,
    /// A file of certificates to trust beside the system's.
    #[schemars(regex(pattern = r"\S"))]
    pub ca_file: Option<String>,
    /// The HTTP proxy through which all connections to Home Assistant go. Without it, loopback and
    /// private addresses are reached directly, and others as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
    /// NO_PROXY say.
    #[schemars(regex(pattern = r"\S"))]
    pub proxy: Option<String>,
}

/// A target has one token at most.
fn one_token(schema: &mut Schema) {
    let both = |one: &str, other: &str| json!({"required": [one, other]});
    let pairs = [
        both("token", "token_file"),
        both("token", "token_command"),
        both("token_file", "token_command"),
    ];
    schema.insert("not".to_owned(), json!({"anyOf": pairs}));
}

/// The fields that name a token; a target has one of them at most.
const TOKEN_FIELDS: [&str; 3] = ["token", "token_file", "token_command"];

impl TargetKind for HomeAssistantEndpoint {
    const FIELD: &'static str = "url";
    const ABOUT: &'static str = "a running Home Assistant";
    type Input = HomeAssistantInput;
    type Target = HomeAssistant;

    fn decode(settings: &mut dyn ReadSettings) -> Result<Self, Reported> {
        let url = settings.base_url(Self::FIELD);
        let auth = auth(settings);
        let ca_file = settings.path("ca_file");
        let proxy = proxy(settings);
        let network = Network { ca_file: ca_file?, proxy: proxy? };
        Ok(Self { url: url?.ok_or(Reported)?, network, auth: auth? })
    }

    fn address(&self) -> String {
        self.url.clone()
    }

    fn place(&self) -> String {
        canonical(&self.url).unwrap_or_else(|_| self.url.clone())
    }

    fn token(&self) -> Option<&Located<Reference>> {
        match &self.auth {
            AuthMethod::Reference(token) => Some(token),
            _ => None,
        }
    }

    fn may_ask(&self) -> bool {
        matches!(self.auth, AuthMethod::Command(_))
    }

    fn files(&self, resolver: &SecretResolver, sessions: Option<&SessionStore>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.network.ca_file.iter().cloned().collect();
        match &self.auth {
            AuthMethod::Token(_) => {}
            AuthMethod::Reference(token) => files.extend(secret::files_of(&token.value, resolver)),
            AuthMethod::File(file) => files.push(file.clone()),
            // A name without a slash is looked up in PATH each time.
            AuthMethod::Command(TokenCommand { program, folder, .. }) => {
                files.extend(program.contains('/').then(|| folder.join(program)));
            }
            AuthMethod::Session => {
                files.extend(sessions.map(|store| store.file(&self.place())));
            }
        }
        files
    }

    async fn connect(
        &self,
        resolver: &SecretResolver,
        sessions: Option<&SessionStore>,
    ) -> Result<HomeAssistant, ConnectError> {
        let token = self.token(resolver, sessions).await?;
        let (url, network) = (self.url.clone(), self.network.clone());
        Ok(connect(ConnectionSettings { url, token, network }).await?)
    }
}

fn auth(settings: &mut dyn ReadSettings) -> Result<AuthMethod, Reported> {
    let mut given = TOKEN_FIELDS.into_iter().filter(|field| settings.has(field));
    let (first, second) = (given.next(), given.next());
    drop(given);
    if let (Some(first), Some(second)) = (first, second) {
        return Err(settings.refuse(
            second,
            SettingProblem {
                code: ProblemCode::UnfitField,
                message: format!("`{second}` and `{first}` are both given"),
                help: Some("a target has one of `token`, `token_file` and `token_command`"),
                is_field: true,
            },
        ));
    }
    if let Some(token) = settings.secret("token")? {
        return Ok(AuthMethod::Reference(token));
    }
    if let Some(file) = settings.path("token_file")? {
        return Ok(AuthMethod::File(file));
    }
    let Some(words) = settings.texts("token_command")? else { return Ok(AuthMethod::Session) };
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        return Err(settings.refuse(
            "token_command",
            SettingProblem {
                code: ProblemCode::EmptyValue,
                message: "`token_command` names no program".to_owned(),
                help: Some(
                    "write the program and each argument as an item, as in `[pass, show, home]`",
                ),
                is_field: false,
            },
        ));
    };
    let folder = settings.folder().to_owned();
    Ok(AuthMethod::Command(TokenCommand { program, arguments: words.collect(), folder }))
}

/// The address of a proxy, which must hold no password.
fn proxy(settings: &mut dyn ReadSettings) -> Result<Option<ProxyAddress>, Reported> {
    let Some(text) = settings.text("proxy")? else { return Ok(None) };
    ProxyAddress::parse(&text).map(Some).map_err(|why| {
        let (code, message) = (ProblemCode::BadUrl, format!("`proxy` {why}"));
        settings.refuse("proxy", SettingProblem { code, message, help: None, is_field: false })
    })
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
            AuthMethod::Token(token) => {
                token::checked(token.clone(), || "the environment".to_owned()).map_err(unread)
            }
            AuthMethod::Reference(Located { value, spot }) => secret::read(value, resolver)
                .map(|secret| token::from_text(secret.expose()))
                .map_err(|why| ConnectError::Reference { place: spot.place(), why }),
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
    let address = canonical(url)?;
    let session = match sessions {
        Some(store) => store.load(&address, resolver)?,
        None => None,
    };
    let session = session.ok_or_else(|| ConnectError::NotSignedIn { url: url.to_owned() })?;
    Ok(session.access_token(network).await?)
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
