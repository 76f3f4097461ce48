//! Asks providers, before anybody consents, whether client id and secret are right.
//!
//! A provider's token endpoint looks at the client first and at the authorization code then. Asked
//! with a code that cannot be valid, it says `invalid_grant` where the client is right and
//! `invalid_client` where it is not. Nothing is granted and nothing is kept.

mod ask;
mod judge;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use oauth2::AuthType;

use crate::codes::VerdictCode;
use crate::integrations::{ClientAuth, Facts, facts};
use crate::model::{ClientId, DesiredCredential, Domain, Key, Place, Secret};

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

/// The client of an entry, and what came of asking about it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The entry.
    pub key: Key,
    /// Where the entry is written.
    pub place: Place,
    /// What was asked.
    pub question: Question,
    /// What came of it.
    pub verdict: Verdict,
}

impl Verdict {
    /// Whether the client may be used; with `strict` it must be known to be right.
    pub fn passes(&self, strict: bool) -> bool {
        match self {
            Self::Right => true,
            Self::Wrong(_) => false,
            Self::Unreachable(_) | Self::Unclear(_) | Self::NoAddress => !strict,
        }
    }

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
    /// The one about an entry; none where its secret is not known.
    pub fn of(entry: &DesiredCredential) -> Option<Self> {
        Some(Self {
            domain: entry.domain.clone(),
            client_id: entry.client_id.clone(),
            client_secret: entry.client_secret.clear()?.clone(),
            token_url: entry.integration.token_url.clone(),
        })
    }

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

/// Asks about entries. One that is wanted at several targets is one client.
pub async fn check(entries: impl IntoIterator<Item = DesiredCredential>) -> Vec<Checked> {
    let mut seen = BTreeSet::new();
    let (entries, questions): (Vec<DesiredCredential>, Vec<Question>) = entries
        .into_iter()
        .filter(|entry| seen.insert(entry.place.clone()))
        .filter_map(|entry| Question::of(&entry).map(|question| (entry, question)))
        .unzip();
    let verdicts = verify(&questions).await;
    let asked = entries.into_iter().zip(questions).zip(verdicts);
    let checked = asked.map(|((entry, question), verdict)| Checked {
        key: entry.key,
        place: entry.place,
        question,
        verdict,
    });
    checked.collect()
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
