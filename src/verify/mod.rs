//! Asks providers, before anybody consents, whether client id and secret are right.
//!
//! A provider's token endpoint looks at the client first and at the authorization code then. Asked
//! with a code that cannot be valid, it says `invalid_grant` where the client is right and
//! `invalid_client` where it is not. Nothing is granted and nothing is kept.

mod ask;
mod judge;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use oauth2::AuthType;

use crate::codes::VerdictCode;
use crate::integrations::{ClientAuth, Facts, facts};
use crate::model::{ClientId, Domain, Secret};

use self::ask::ProviderClients;

/// Concurrent requests.
const OPEN_QUESTIONS: usize = 8;

/// A client to ask about.
#[derive(Clone, Debug)]
pub struct Question {
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// The OAuth2 client secret.
    pub client_secret: Secret,
    /// Where the entry says to ask; else it is asked where the integration would.
    pub token_url: Option<String>,
}

/// What came of a question. No text in it holds the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider accepts the client and its secret.
    Right,
    /// The provider rejects the client: with its message.
    Wrong(String),
    /// The provider said nothing: why not.
    Unreachable(String),
    /// The provider said something from which nothing follows.
    Unclear(String),
    /// It is not known where to ask.
    NoAddress,
}

impl Verdict {
    /// As programs read it.
    pub fn code(&self) -> VerdictCode {
        match self {
            Self::Right => VerdictCode::Right,
            Self::Wrong(_) => VerdictCode::Wrong,
            Self::Unreachable(_) => VerdictCode::Unreachable,
            Self::Unclear(_) => VerdictCode::Unclear,
            Self::NoAddress => VerdictCode::NoAddress,
        }
    }
}

impl Question {
    /// Where it is asked.
    pub fn address(&self) -> Option<&str> {
        let built_in = || facts(&self.domain).and_then(|facts| facts.token_url.as_deref());
        self.token_url.as_deref().or_else(built_in)
    }

    /// As Home Assistant will say who it is: in the form, unless the integration is known to do otherwise.
    fn auth_type(&self) -> AuthType {
        match facts(&self.domain).map(|Facts { client_auth, .. }| client_auth) {
            Some(ClientAuth::Basic) => AuthType::BasicAuth,
            Some(ClientAuth::Body) | None => AuthType::RequestBody,
        }
    }

    fn identity(&self) -> (&Domain, Option<&str>, &str, &str) {
        (&self.domain, self.address(), self.client_id.as_str(), self.client_secret.expose())
    }
}

/// Asks all questions, several at once and equal ones once. The verdicts are in their order.
pub async fn verify(questions: &[Question]) -> Vec<Verdict> {
    let mut first: BTreeMap<_, usize> = BTreeMap::new();
    let source: Vec<usize> = questions
        .iter()
        .enumerate()
        .map(|(at, question)| *first.entry(question.identity()).or_insert(at))
        .collect();
    let asker = ProviderClients::default();
    let distinct = (0..questions.len()).filter(|at| source[*at] == *at);
    let asked: Vec<BoxFuture<'_, (usize, Verdict)>> = distinct
        .map(|at| {
            let verdict = asker.ask(&questions[at]);
            async move { (at, verdict.await) }.boxed()
        })
        .collect();
    let verdicts: BTreeMap<usize, Verdict> =
        stream::iter(asked).buffer_unordered(OPEN_QUESTIONS).collect().await;
    source.iter().map(|at| verdicts[at].clone()).collect()
}
