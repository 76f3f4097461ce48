//! One question to one provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use oauth2::basic::BasicClient;
use oauth2::{AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, TokenUrl};
use reqwest::{Client, Url};

use super::{Question, Verdict, judge};
use crate::http::{self, Network, NoAnswer, exchange};
use crate::integrations::ClientAuth;
use crate::model::{MY_REDIRECT_URI, is_loopback};

/// No provider gives out such a code.
const NO_CODE: &str = "appcred-asks-whether-the-client-is-right";

/// The clients by provider, each made when it is first needed.
#[derive(Default)]
pub(super) struct ProviderClients {
    clients: Mutex<BTreeMap<String, Result<Client, String>>>,
}

impl ProviderClients {
    pub(super) async fn ask(&self, question: &Question) -> Verdict {
        if question.is_ignored {
            return Verdict::Unclear("the integration uses a client of its own".to_owned());
        }
        let Some(address) = &question.token_url else { return Verdict::NoAddress };
        let Ok(url) = Url::parse(address) else {
            return Verdict::Unclear("its address is not a URL".to_owned());
        };
        match self.client_for(&url) {
            Ok(client) => ask(client, question, url).await,
            Err(verdict) => verdict,
        }
    }

    /// The client that may carry a secret to this address.
    fn client_for(&self, url: &Url) -> Result<Client, Verdict> {
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
            return Err(Verdict::Unclear(
                "its address is not https, so no secret is sent there".to_owned(),
            ));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let made = clients.entry(url.origin().ascii_serialization()).or_insert_with(|| make(url));
        made.clone().map_err(Verdict::Unreachable)
    }
}

fn make(url: &Url) -> Result<Client, String> {
    Network::default().client(url)?.build().map_err(http::innermost)
}

async fn ask(client: Client, question: &Question, url: Url) -> Verdict {
    let status = Arc::new(OnceLock::new());
    // It owns what it needs: with borrowed parts, the compiler does not see that it may change threads.
    let send = {
        let status = Arc::clone(&status);
        move |request: HttpRequest| {
            let (client, status) = (client.clone(), Arc::clone(&status));
            async move {
                let answer = exchange(&client, request).await?;
                status.get_or_init(|| answer.status());
                Ok::<HttpResponse, NoAnswer>(answer)
            }
        }
    };
    let mut oauth = BasicClient::new(ClientId::new(question.client_id.as_str().to_owned()));
    if question.client_auth != ClientAuth::None {
        let secret = question.client_secret.expose().to_owned();
        oauth = oauth.set_client_secret(ClientSecret::new(secret));
    }
    let granted = oauth
        .set_auth_type(question.auth_type())
        .set_token_uri(TokenUrl::from_url(url))
        .exchange_code(AuthorizationCode::new(NO_CODE.to_owned()))
        // Some providers look at nothing without one, and most clients are registered with this.
        .add_extra_param("redirect_uri", MY_REDIRECT_URI)
        .request_async(&send)
        .await;
    judge::judge(status.get().copied(), granted.map(drop), &question.client_secret)
}
