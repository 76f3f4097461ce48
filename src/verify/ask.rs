//! Questions to one provider.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use oauth2::basic::BasicClient;
use oauth2::{AuthorizationCode, ClientId, ClientSecret, HttpRequest, HttpResponse, TokenUrl};
use reqwest::{Client, Url};
use tokio::time::{Instant, timeout_at};

use super::hosts::Hosts;
use super::{Question, Verdict, judge};
use crate::http::{NoAnswer, exchange};
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

/// Asks one host. One question goes first, and where that fails, the others are not asked.
pub(super) async fn ask_host<'q>(
    hosts: &Hosts,
    questions: Vec<(&'q Question, Url)>,
    until: Option<Instant>,
) -> Vec<(&'q Question, Verdict)> {
    let asked: Vec<BoxFuture<'_, _>> = questions
        .into_iter()
        .map(|(question, url)| ask_one(hosts, question, url, until).boxed())
        .collect();
    let mut asked = asked.into_iter();
    let mut verdicts = Vec::new();
    if let Some(first) = asked.next() {
        verdicts.push(first.await);
    }
    let others: Vec<_> = stream::iter(asked).buffer_unordered(OPEN_QUESTIONS).collect().await;
    verdicts.extend(others);
    verdicts
}

/// It is waited for no longer than `until`, where that is less than for any provider.
async fn ask_one<'q>(
    hosts: &Hosts,
    question: &'q Question,
    url: Url,
    until: Option<Instant>,
) -> (&'q Question, Verdict) {
    let client = match hosts.client(&url) {
        Ok(client) => client,
        Err(why) => return (question, Verdict::Unreachable(why)),
    };
    let asking = ask(client, question, url.clone());
    let verdict = match until {
        None => asking.await,
        Some(until) => timeout_at(until, asking)
            .await
            .unwrap_or_else(|_| Verdict::Unreachable("it did not answer in time".to_owned())),
    };
    if let Verdict::Unreachable(why) = &verdict {
        hosts.give_up(&url, why);
    }
    (question, verdict)
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
