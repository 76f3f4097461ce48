//! Questions to one provider.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use oauth2::basic::BasicClient;
use oauth2::{AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, TokenUrl};
use reqwest::{Client, Url};
use tokio::time::{Instant, timeout_at};

use super::{Question, Verdict, judge};
use crate::http::{self, Network, NoAnswer, exchange};
use crate::integrations::ClientAuth;
use crate::model::{MY_REDIRECT_URI, is_loopback};

/// No provider gives out such a code.
const NO_CODE: &str = "appcred-asks-whether-the-client-is-right";
/// Concurrent requests to one host.
const OPEN_QUESTIONS: usize = 8;

/// Where a question is asked, if a secret may be sent there.
pub(super) fn address(question: &Question) -> Result<Url, Verdict> {
    let unclear = |why: &str| Verdict::Unclear(why.to_owned());
    if question.is_ignored {
        return Err(unclear("the integration uses a client of its own"));
    }
    let address = question.token_url.as_deref().ok_or(Verdict::NoAddress)?;
    let url = Url::parse(address).map_err(|_| unclear("its address is not a URL"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(unclear("its address is not https, so no secret is sent there"));
    }
    Ok(url)
}

/// Asks one host. One question goes first, and once the host does not answer a question it is asked no
/// more: each would take as long as a timeout.
pub(super) async fn ask_host(
    host: String,
    questions: Vec<(&Question, Url)>,
    until: Option<Instant>,
) -> Vec<(&Question, Verdict)> {
    let host = Host { name: host, until, client: OnceLock::new(), silent: OnceLock::new() };
    let asked: Vec<BoxFuture<'_, _>> =
        questions.into_iter().map(|(question, url)| host.ask(question, url).boxed()).collect();
    let mut asked = asked.into_iter();
    let mut verdicts = Vec::new();
    if let Some(first) = asked.next() {
        verdicts.push(first.await);
    }
    let others: Vec<_> = stream::iter(asked).buffer_unordered(OPEN_QUESTIONS).collect().await;
    verdicts.extend(others);
    verdicts
}

struct Host {
    name: String,
    /// How long anybody waits for it, where that is less than for any provider.
    until: Option<Instant>,
    client: OnceLock<Result<Client, String>>,
    /// Why it does not answer, once that was seen.
    silent: OnceLock<String>,
}

impl Host {
    async fn ask<'q>(&self, question: &'q Question, url: Url) -> (&'q Question, Verdict) {
        if let Some(why) = self.silent.get() {
            let why = format!("not asked, since {} did not answer before: {why}", self.name);
            return (question, Verdict::Unreachable(why));
        }
        let verdict = match self.client.get_or_init(|| make(&url)) {
            Ok(client) => {
                let asking = ask(client.clone(), question, url);
                match self.until {
                    None => asking.await,
                    Some(until) => timeout_at(until, asking).await.unwrap_or_else(|_| {
                        Verdict::Unreachable("it did not answer in time".to_owned())
                    }),
                }
            }
            Err(why) => Verdict::Unreachable(why.clone()),
        };
        if let Verdict::Unreachable(why) = &verdict {
            self.silent.get_or_init(|| why.clone());
        }
        (question, verdict)
    }
}

pub(super) fn make(url: &Url) -> Result<Client, String> {
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
