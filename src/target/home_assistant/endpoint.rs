//! Where a running HA is, how to authenticate there, and what the project file says of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::json;

use super::network::{NetworkInput, NetworkSettings};
use super::session::SessionStore;
use super::{ConnectionSettings, HomeAssistant, canonical, connect};
use crate::diagnostic::{Located, ProblemCode};
use crate::field::{BaseUrl, Field, FieldRefusal, Meaning, Pairs, Raw, SecretText, Text, Texts};
use crate::http::certificates;
use crate::model::{
    Key, Reference, Secret, SecretField, TOKEN, Visible, is_loopback, may_be_token,
};
use crate::secret::{self, SecretResolver, token};
use crate::target::{ConnectError, FieldContext, TargetError, TargetKind, meaning, meanings};

/// A running HA, and how to authenticate there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistantEndpoint {
    /// Its address, without a slash at the end.
    pub url: String,
    /// How it is reached.
    pub network: NetworkSettings,
    /// Where its access token comes from.
    pub auth: AuthMethod,
}

/// Where an access token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// It is known.
    Token {
        /// The token.
        token: Secret,
        /// Where it is from, for messages.
        from: String,
    },
    /// The project file holds or names it. A value that moved to another line is another value, or its
    /// errors would name the wrong line.
    Reference(Located<Reference>),
    /// It is all that a file holds.
    File(Located<PathBuf>),
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
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a target", deny_unknown_fields)]
#[schemars(rename = "HomeAssistantInput", transform = fields_together)]
pub struct HomeAssistantInput {
    /// Its address, as in `https://ha.example:8123`.
    url: Field<Text<BaseUrl>>,
    /// Whether nothing is changed there for now: it is not even connected to. Default: `false`.
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    suspend: Option<Field<bool>>,
    /// Names with a value each, by which entries and `--selector` choose targets, as in `{site: oslo, ring: "1"}`.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9._-]{1,100}$" }))]
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    labels: Option<Field<Pairs<Text<Key>>>>,
    /// A long-lived access token of an administrator: an armored age file behind `|`, or `!env_var
    /// NAME`, `!secret NAME`, `!file PATH` or `!from SOURCE WHAT`. Where no token is named, `appcred login`
    /// opens a session.
    token: Option<Field<Raw<SecretText>>>,
    /// A file that holds nothing but the access token, as in `/run/secrets/hass_token`; a path without `/` at its begin
    /// is from the folder of this file.
    token_file: Option<Field<Text<String>>>,
    /// A program that prints nothing but the access token, and its arguments, as in `[pass, show, hass]`. It is run in
    /// the folder of this file, without a shell.
    #[schemars(length(min = 1))]
    token_command: Option<Texts<String>>,
    /// A file of certificates (PEM) to trust beside the system's, as in `ca.pem`.
    ca_file: Option<Field<Text<String>>>,
    /// The file of a client certificate (PEM), as in `client.pem`, where a proxy in front of Home Assistant asks for one (mTLS).
    client_certificate: Option<Field<Text<String>>>,
    /// The key of the client certificate (PEM, without a passphrase): its file, which may be an age file,
    /// or the key itself as an armored age file behind `|`, or `!env_var NAME`, `!secret NAME`, `!file
    /// PATH` or `!from SOURCE WHAT`.
    client_key: Option<Field<Raw<SecretText>>>,
    /// Headers for all requests to Home Assistant, by name, where a proxy before it wants them, as in
    /// `{X-Api-Key: !secret proxy_key}`: in plain text, or as a token is given.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" }))]
    headers: Option<Field<Pairs<Raw<SecretText>>>>,
    /// The HTTP proxy through which all connections to Home Assistant go, as in `http://proxy.example:3128`. One that wants a user and a
    /// password is given as a token is. Without it, loopback and private addresses are reached directly,
    /// and others as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say.
    proxy: Option<Field<Raw<SecretText>>>,
}

/// A target has one token at most, and no certificate without its key.
fn fields_together(schema: &mut Schema) {
    let both = |one: &str, other: &str| json!({"required": [one, other]});
    let pairs = [
        both("token", "token_file"),
        both("token", "token_command"),
        both("token_file", "token_command"),
    ];
    schema.insert("not".to_owned(), json!({"anyOf": pairs}));
    let (certificate, key) = ("client_certificate", "client_key");
    schema.insert("dependencies".to_owned(), json!({certificate: [key], key: [certificate]}));
}

impl TargetKind for HomeAssistantEndpoint {
    const FIELD: &'static str = "url";
    const ABOUT: &'static str = "a running Home Assistant";
    type Input = HomeAssistantInput;
    type Target = HomeAssistant;

    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        let token = match &self.auth {
            AuthMethod::File(file) => Some(("access token", file.value.as_path())),
            _ => None,
        };
        let key = self.network.client.as_ref().and_then(|client| client.key_file.as_deref());
        token.into_iter().chain(key.map(|file| ("client key", file))).collect()
    }

    fn new(input: HomeAssistantInput, context: &dyn FieldContext) -> Option<Self> {
        let HomeAssistantInput {
            url,
            token,
            token_file,
            token_command,
            ca_file,
            client_certificate,
            client_key,
            headers,
            proxy,
            suspend: _,
            labels: _,
        } = input;
        let url = meaning(url, context).map(|BaseUrl(url)| url);
        let auth = auth(token, token_file, token_command, context);
        let network = NetworkInput { ca_file, client_certificate, client_key, headers, proxy };
        let is_encrypted = url.as_ref().is_none_or(|url| url.starts_with("https:"));
        let network = NetworkSettings::new(network, is_encrypted, context);
        Some(Self { url: url?, network: network?, auth: auth? })
    }

    fn address(&self) -> String {
        self.url.clone()
    }

    fn place(&self) -> String {
        let canonical = self.canonical_url();
        // This machine has several names.
        match Url::parse(&canonical) {
            Ok(url) if is_loopback(&url) => {
                canonical.replacen(url.host_str().unwrap_or_default(), "localhost", 1)
            }
            _ => canonical,
        }
    }

    fn secrets(&self) -> Vec<(SecretField, &Located<Reference>)> {
        let token = match &self.auth {
            AuthMethod::Reference(token) => Some((TOKEN, token)),
            _ => None,
        };
        token.into_iter().chain(self.network.secrets()).collect()
    }

    fn may_ask(&self) -> bool {
        matches!(self.auth, AuthMethod::Command(_))
    }

    fn files(&self, resolver: &SecretResolver, sessions: Option<&SessionStore>) -> Vec<PathBuf> {
        let mut files = self.network.files(resolver);
        match &self.auth {
            AuthMethod::Token { .. } => {}
            AuthMethod::Reference(token) => files.extend(secret::files_of(&token.value, resolver)),
            AuthMethod::File(file) => files.push(file.value.clone()),
            // A name without a slash is looked up in PATH each time.
            AuthMethod::Command(TokenCommand { program, folder, .. }) => {
                files.extend(program.contains('/').then(|| folder.join(program)));
            }
            AuthMethod::Session => {
                files.extend(sessions.map(|store| store.file(&self.canonical_url())));
            }
        }
        files
    }

    fn file_faults(&self, resolver: &SecretResolver) -> Vec<Located<String>> {
        let mut faults = self.network.file_faults(resolver);
        if let AuthMethod::File(Located { value: file, spot }) = &self.auth
            && file.exists()
        {
            let fault = match token::from_file(file) {
                Ok(token) => {
                    let why = token::doubt(&token);
                    why.map(|why| format!("the access token in {} {why}", file.visible()))
                }
                Err(why) => Some(why.to_string()),
            };
            faults.extend(fault.map(|value| Located { value, spot: spot.clone() }));
        }
        faults
    }

    async fn connect(
        &self,
        resolver: &Arc<SecretResolver>,
        sessions: Option<&SessionStore>,
    ) -> Result<HomeAssistant, ConnectError> {
        let (network, source) = self.read(resolver, sessions).await?;
        let token = self.token(source?, &network).await?;
        let url = self.url.clone();
        let settings = ConnectionSettings { url, token: token.clone(), network };
        connect(settings).await.map_err(|error| match error {
            TargetError::Unauthorized { .. } | TargetError::NotAdmin { .. } => {
                ConnectError::Rejected { error, advice: self.auth.advice(&token) }
            }
            other => other.into(),
        })
    }
}

impl AuthMethod {
    /// Where a token is from that was not accepted, whether it has expired, and what to do.
    pub(super) fn advice(&self, rejected: &Secret) -> String {
        let (expired, other) = match token::doubt(rejected) {
            Some(why) if token::other(rejected).is_some() => {
                (String::new(), format!("; this one {why}"))
            }
            Some(why) => (format!("{why}, and "), String::new()),
            None => Default::default(),
        };
        let from = match self {
            Self::Session => {
                return format!(
                    "it {expired}is from the session of `appcred login`: sign in again, as an administrator"
                );
            }
            Self::Token { from, .. } => from.clone(),
            Self::Reference(Located { value: Reference::Tagged { tag, argument, .. }, spot }) => {
                format!("`!{tag} {}` ({})", argument.visible(), spot.place())
            }
            Self::Reference(token) => token.spot.place().to_string(),
            Self::File(file) => format!("{} ({})", file.value.visible(), file.spot.place()),
            Self::Command(command) => format!("`{}`", command.program.as_str().visible()),
        };
        format!(
            "it {expired}is from {from}: replace it with one that an administrator has made in Home Assistant (profile, Long-lived access tokens){other}"
        )
    }
}

fn auth(
    token: Option<Field<Raw<SecretText>>>,
    file: Option<Field<Text<String>>>,
    command: Option<Texts<String>>,
    context: &dyn FieldContext,
) -> Option<AuthMethod> {
    let sites = [
        ("token", token.as_ref().map(|field| field.site)),
        ("token_file", file.as_ref().map(|field| field.site)),
        ("token_command", command.as_ref().map(|field| field.site)),
    ];
    let mut given = sites.into_iter().filter_map(|(name, site)| Some((name, site?)));
    if let (Some((first, _)), Some((_, second))) = (given.next(), given.next()) {
        let why =
            FieldRefusal::new(ProblemCode::UnfitField, format!("and `{first}` are both given"));
        let help = "a target has one of `token`, `token_file` and `token_command`";
        context.refuse_field(second, why.help(help));
        return None;
    }
    if let Some(token) = token {
        return context.secret(&token).map(AuthMethod::Reference);
    }
    if let Some(file) = file {
        if matches!(&file.value, Some(Text(Ok(path))) if may_be_token(path)) {
            let why = FieldRefusal::new(ProblemCode::PlainSecret, "could be the token itself");
            let help =
                "write the path of a file that holds the token, with `./` in front if this is one";
            context.refuse_field(file.site, why.help(help));
            return None;
        }
        return context.path(file).map(AuthMethod::File);
    }
    let Some(command) = command else { return Some(AuthMethod::Session) };
    let site = command.site;
    let mut words = meanings(command, context)?.into_iter();
    let Some(program) = words.next() else {
        let why = FieldRefusal::new(ProblemCode::EmptyValue, "names no program");
        let help = "write the program and each argument as an item, as in `[pass, show, home]`";
        context.refuse(site, why.help(help));
        return None;
    };
    let folder = context.folder().to_owned();
    Some(AuthMethod::Command(TokenCommand { program, arguments: words.collect(), folder }))
}

impl HomeAssistantEndpoint {
    fn canonical_url(&self) -> String {
        canonical(&self.url).unwrap_or_else(|_| self.url.clone())
    }

    /// One that is not in a file. What is wrong with its address is the end of a sentence, without the
    /// address, which may hold a password.
    ///
    /// # Errors
    /// Where a file could not have that address.
    pub fn unwritten(url: &str, auth: AuthMethod) -> Result<Self, String> {
        let url = BaseUrl::of(url.trim()).map_err(|refused| refused.why.into_owned())?.0;
        Ok(Self { url, network: NetworkSettings::default(), auth })
    }

    /// The same, which may identify itself by a certificate of these authorities (PEM) too.
    ///
    /// # Errors
    /// Where that is no certificate.
    pub fn trusting(mut self, pem: &str) -> Result<Self, String> {
        self.network.authorities = certificates(pem)?;
        Ok(self)
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
