//! HA's own sign-in, which is OAuth2 with IndieAuth's client ids: a client is the URL of its page, and
//! the browser comes back to the same host and port.
//!
//! HA gives one refresh token, which stays the same and is bound to the client id, and access tokens
//! for half an hour. No release up to 2026.2 looks at PKCE: what is sent of it is passed over, and
//! `state` is what ties the browser's return to this sign-in. It is sent all the same, as OAuth 2.1
//! asks of every client, and counts from the release on that looks at it.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::http::header::CONTENT_TYPE;
use oauth2::http::{Method, Request, StatusCode};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, TokenResponse, TokenUrl,
};
use reqwest::{Client, Url};
use thiserror::Error;
use url::form_urlencoded::Serializer;

use super::address::Address;
use super::log_in::open;
use super::unreachable::unreachable;
use crate::http::{Network, NoAnswer, exchange, innermost};
use crate::model::Secret;
use crate::target::TargetError;

/// What people see as the client in their HA profile, below the address that the browser returns to.
const CLIENT: &str = "/appcred";

/// A sign-in that a person has to finish in a browser.
pub struct SignIn {
    address: Address,
    line: Line,
    client_id: String,
    redirect: RedirectUrl,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    link: Url,
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct LoginSession {
    /// Where, as [`canonical`] has it.
    pub url: String,
    /// As which client.
    pub client_id: String,
    /// For new access tokens.
    pub refresh_token: Secret,
}

/// Why there is no session, or no longer.
#[derive(Debug, Error)]
pub enum SignInError {
    /// HA no longer has the session.
    #[error("the session at {address} is over: it was ended there, or not used for too long")]
    Over {
        /// The address.
        address: String,
    },
    /// HA does not let that person in.
    #[error("{address} refused the sign-in: {why}")]
    Refused {
        /// The address.
        address: String,
        /// HA's message.
        why: String,
    },
    /// HA is not reached or not understood.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// The address of a running HA in the one form that sessions go by.
///
/// # Errors
/// Where it is none.
pub fn canonical(url: &str) -> Result<String, TargetError> {
    Address::parse(url).map(|address| address.to_string())
}

impl SignIn {
    /// The path to which the browser comes back.
    pub const RETURN: &'static str = "/appcred/signed-in";

    /// Prepares a sign-in after which the browser comes back to `origin`.
    ///
    /// # Errors
    /// Where the address or the CA file is none.
    pub fn new(url: &str, network: &Network, origin: &str) -> Result<Self, SignInError> {
        let address = Address::parse(url)?;
        let line = Line::new(&address, network)?;
        let client_id = format!("{origin}{CLIENT}");
        let redirect = RedirectUrl::new(format!("{origin}{}", Self::RETURN))
            .map_err(|error| protocol(&address, error.to_string()))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (link, state) = oauth(&address, &client_id)
            .set_redirect_uri(redirect.clone())
            .authorize_url(CsrfToken::new_random)
            .set_pkce_challenge(challenge)
            .url();
        Ok(Self { address, line, client_id, redirect, state, verifier, link })
    }

    /// Makes sure that HA is there.
    ///
    /// # Errors
    /// Where it is not, before a person is sent to it.
    pub async fn look(&self) -> Result<(), SignInError> {
        open(&self.address, &self.line.network).await?;
        Ok(())
    }

    /// Where the person signs in.
    pub fn link(&self) -> &Url {
        &self.link
    }

    /// What an answer to this sign-in says.
    pub fn state(&self) -> &str {
        self.state.secret()
    }

    /// Takes the code that the browser came back with. Gives the session and a first access token. May
    /// be tried again where HA could not be asked.
    ///
    /// # Errors
    /// Where HA does not take the code, or cannot be asked.
    pub async fn finish(&self, code: &str) -> Result<(LoginSession, Secret), SignInError> {
        let Self { address, line, client_id, redirect, verifier, .. } = self;
        let send = line.sender();
        let granted = oauth(address, client_id)
            .set_redirect_uri(redirect.clone())
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.secret().clone()))
            .request_async(&send)
            .await;
        let granted: BasicTokenResponse = match granted {
            Ok(granted) => granted,
            Err(error) => return Err(line.fault(address, error).await),
        };
        let Some(refresh_token) = granted.refresh_token() else {
            return Err(protocol(address, "it gave no refresh token".to_owned()).into());
        };
        let session = LoginSession {
            url: address.to_string(),
            client_id: client_id.clone(),
            refresh_token: Secret::new(refresh_token.secret()),
        };
        Ok((session, Secret::new(granted.access_token().secret())))
    }
}

impl LoginSession {
    /// A new access token.
    ///
    /// # Errors
    /// Where the session is over, or HA cannot be asked.
    pub async fn access_token(&self, network: &Network) -> Result<Secret, SignInError> {
        let address = Address::parse(&self.url)?;
        let line = Line::new(&address, network)?;
        let send = line.sender();
        let granted: Result<BasicTokenResponse, _> = oauth(&address, &self.client_id)
            .exchange_refresh_token(&RefreshToken::new(self.refresh_token.expose().to_owned()))
            .request_async(&send)
            .await;
        match granted {
            Ok(granted) => Ok(Secret::new(granted.access_token().secret())),
            Err(error) => Err(line.fault(&address, error).await),
        }
    }

    /// Lets HA forget the session and all access tokens that came from it. `oauth2` revokes over https
    /// alone, which many homes do not have.
    ///
    /// # Errors
    /// Where HA cannot be asked.
    pub async fn revoke(&self, network: &Network) -> Result<(), SignInError> {
        let address = Address::parse(&self.url)?;
        let line = Line::new(&address, network)?;
        let form = Serializer::new(String::new())
            .append_pair("token", self.refresh_token.expose())
            .finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(address.auth("revoke").as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into_bytes())
            .map_err(|error| protocol(&address, error.to_string()))?;
        let answer = match exchange(&line.client, request).await {
            Ok(answer) => answer,
            Err(why) => return Err(line.lost(&address, why.to_string()).await.into()),
        };
        match answer.status() {
            StatusCode::OK => Ok(()),
            other => Err(protocol(&address, format!("it answers {other} to a revocation")).into()),
        }
    }
}

type OAuth = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn oauth(address: &Address, client_id: &str) -> OAuth {
    BasicClient::new(ClientId::new(client_id.to_owned()))
        .set_auth_uri(AuthUrl::from_url(address.auth("authorize")))
        .set_token_uri(TokenUrl::from_url(address.auth("token")))
}

type ResponseFuture = BoxFuture<'static, Result<HttpResponse, NoAnswer>>;

/// The HTTP client for HA.
struct Line {
    client: Client,
    network: Network,
}

impl Line {
    fn new(address: &Address, network: &Network) -> Result<Self, TargetError> {
        let client = network.client(address.url());
        let client = client.and_then(|client| client.build().map_err(innermost));
        let client = client.map_err(|why| unreachable(address, why))?;
        Ok(Self { client, network: network.clone() })
    }

    /// Sends a request. Its futures own what they need, so that whoever awaits them may be moved
    /// between threads.
    fn sender(&self) -> impl Fn(HttpRequest) -> ResponseFuture + use<> {
        let client = self.client.clone();
        move |request| {
            let client = client.clone();
            async move { exchange(&client, request).await }.boxed()
        }
    }

    async fn fault(
        &self,
        address: &Address,
        error: RequestTokenError<NoAnswer, BasicErrorResponse>,
    ) -> SignInError {
        match error {
            RequestTokenError::Request(why) => self.lost(address, why.to_string()).await.into(),
            RequestTokenError::ServerResponse(said) => match said.error() {
                BasicErrorResponseType::InvalidGrant => {
                    SignInError::Over { address: address.to_string() }
                }
                code => {
                    let code: &str = code.as_ref();
                    let why = said.error_description().map_or(code, String::as_str).to_owned();
                    SignInError::Refused { address: address.to_string(), why }
                }
            },
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                let why = "it is not the answer of a token endpoint".to_owned();
                self.lost(address, why).await.into()
            }
        }
    }

    /// A failed call says less than a new connection does.
    async fn lost(&self, address: &Address, why: String) -> TargetError {
        let looked = open(address, &self.network).await;
        looked.err().unwrap_or_else(|| unreachable(address, why))
    }
}

fn protocol(address: &Address, why: String) -> TargetError {
    TargetError::Protocol { address: address.to_string(), why }
}
