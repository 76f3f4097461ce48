//! Asks providers, before anybody consents, whether client id and secret are right, and whether the
//! redirect URI is registered.
//!
//! A provider's token endpoint looks at the client first and at the authorization code then. Asked
//! with a code that cannot be valid, it says `invalid_grant` where the client is right and
//! `invalid_client` where it is not. Nothing is granted and nothing is kept. `registration/` asks the
//! authorize endpoint.

mod ask;
mod hosts;
mod judge;
mod registration;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use oauth2::AuthType;
use tokio::time::Instant;

use self::hosts::Hosts;
use crate::codes::VerdictCode;
use crate::integrations::{ClientAuth, Facts, Release, facts};
use crate::model::{ClientAnswer, ClientId, DesiredCredential, Domain, Key, Place, Secret};

pub use self::registration::{AuthorizeQuestion, RedirectUri, Registration};

/// Hosts that are asked at once.
const OPEN_HOSTS: usize = 16;
/// How long an answer of an authorize endpoint is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client to ask about.
#[derive(Clone, Debug)]
pub struct Question {
    /// The integration.
    pub domain: Domain,
    /// The OAuth2 client id.
    pub client_id: ClientId,
    /// The OAuth2 client secret.
    pub client_secret: Secret,
    /// Where it is asked: where the entry says, else where the integration would.
    pub token_url: Option<String>,
    /// How the integration says who it is.
    pub client_auth: ClientAuth,
    /// Whether the integration uses another client.
    pub is_ignored: bool,
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
    /// What was asked about the redirect URI.
    pub authorize: AuthorizeQuestion,
    /// What came of that.
    pub registration: Registration,
}

impl Checked {
    /// Whether an account can be linked, as far as is known; with `strict` the client must be known to be
    /// right. Many providers do not say whether a redirect URI is registered.
    pub fn passes(&self, strict: bool) -> bool {
        self.verdict.passes(strict) && !self.registration.is_refused()
    }
}

impl Verdict {
    /// Whether the client may be used; with `strict` it must be known to be right.
    fn passes(&self, strict: bool) -> bool {
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

impl From<Verdict> for ClientAnswer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Right => Self::Accepted,
            Verdict::Wrong(why) => Self::Rejected(why),
            Verdict::Unreachable(why) | Verdict::Unclear(why) => Self::Unclear(why),
            Verdict::NoAddress => Self::NotAsked,
        }
    }
}

impl Question {
    /// The one about an entry, for a release of Home Assistant (the newest where that is not known);
    /// none where its secret is not known.
    pub fn of(entry: &DesiredCredential, release: Option<Release>) -> Option<Self> {
        let Facts { token_url, client_auth, ignores_client, .. } =
            facts(&entry.domain, release).cloned().unwrap_or_default();
        Some(Self {
            domain: entry.domain.clone(),
            client_id: entry.client_id.clone(),
            client_secret: entry.client_secret.clear()?.clone(),
            token_url: entry.integration.token_url.clone().or(token_url),
            client_auth,
            is_ignored: ignores_client,
        })
    }

    /// Why it cannot be asked.
    pub fn blocker(&self) -> Option<Verdict> {
        ask::address(self).err()
    }

    fn auth_type(&self) -> AuthType {
        match self.client_auth {
            ClientAuth::Basic => AuthType::BasicAuth,
            ClientAuth::Body | ClientAuth::None => AuthType::RequestBody,
        }
    }

    fn identity(&self) -> (&Domain, Option<&str>, ClientAuth, bool, &str, &str) {
        let Self { domain, client_id, client_secret, token_url, client_auth, is_ignored } = self;
        let (id, secret) = (client_id.as_str(), client_secret.expose());
        (domain, token_url.as_deref(), *client_auth, *is_ignored, id, secret)
    }
}

/// Asks about entries, each for the release and the redirect URI of its target. One that is wanted at
/// several targets is one client, unless these differ in what is asked.
pub async fn check(
    entries: impl IntoIterator<Item = (DesiredCredential, Option<Release>, RedirectUri)>,
) -> Vec<Checked> {
    let mut seen = BTreeSet::new();
    let mut asked: Vec<(DesiredCredential, Question, AuthorizeQuestion)> = Vec::new();
    for (entry, release, redirect_uri) in entries {
        let Some(question) = Question::of(&entry, release) else { continue };
        let authorize = AuthorizeQuestion::of(&entry, release, redirect_uri);
        let Question { token_url, client_auth, is_ignored, .. } = &question;
        let asked_there = (token_url.clone(), *client_auth, *is_ignored, authorize.clone());
        if seen.insert((entry.place.clone(), asked_there)) {
            asked.push((entry, question, authorize));
        }
    }
    let questions: Vec<Question> = asked.iter().map(|(_, question, _)| question.clone()).collect();
    let authorize: Vec<&AuthorizeQuestion> = asked.iter().map(|(.., asked)| asked).collect();
    let (verdicts, registrations) =
        tokio::join!(verify(&questions, None), registration::ask(&authorize, TIMEOUT));
    let said = verdicts.into_iter().zip(registrations);
    let checked = asked.into_iter().zip(said).map(|((entry, question, authorize), said)| Checked {
        key: entry.key,
        place: entry.place,
        question,
        verdict: said.0,
        authorize,
        registration: said.1,
    });
    checked.collect()
}

/// Asks again, after a while, where a provider did not accept a redirect URI or a client id: what was
/// registered a moment ago may not be known everywhere yet.
pub async fn confirm(checked: &mut [Checked], after: Duration) {
    let questions: Vec<AuthorizeQuestion> =
        checked.iter().map(|one| one.authorize.clone()).collect();
    let questions: Vec<&AuthorizeQuestion> = questions.iter().collect();
    let said = checked.iter().map(|one| one.registration.clone()).collect();
    let said = ask_again(&questions, said, after, TIMEOUT).await;
    for (one, said) in checked.iter_mut().zip(said) {
        one.registration = said;
    }
}

/// Asks whether redirect URIs are registered, and again after a while where one is not. No answer is
/// waited for longer than `within`.
pub async fn registrations(
    questions: &[&AuthorizeQuestion],
    after: Duration,
    within: Duration,
) -> Vec<Registration> {
    let said = registration::ask(questions, within).await;
    ask_again(questions, said, after, within).await
}

async fn ask_again(
    questions: &[&AuthorizeQuestion],
    mut said: Vec<Registration>,
    after: Duration,
    within: Duration,
) -> Vec<Registration> {
    let refused: Vec<usize> = (0..said.len()).filter(|at| said[*at].is_refused()).collect();
    if refused.is_empty() {
        return said;
    }
    tokio::time::sleep(after).await;
    let again: Vec<&AuthorizeQuestion> = refused.iter().map(|at| questions[*at]).collect();
    for (at, second) in refused.into_iter().zip(registration::ask(&again, within).await) {
        said[at] = said[at].clone().confirmed_by(second);
    }
    said
}

/// Asks all questions, several at once and equal ones once; who has not answered by `until` is silent. The verdicts
/// are in their order.
pub async fn verify(questions: &[Question], until: Option<Instant>) -> Vec<Verdict> {
    let mut verdicts: BTreeMap<_, Verdict> = BTreeMap::new();
    let mut hosts: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
    for question in questions {
        match ask::address(question) {
            Ok(url) => {
                let of_host = hosts.entry(hosts::name(&url)).or_default();
                of_host.insert(question.identity(), (question, url));
            }
            Err(verdict) => drop(verdicts.insert(question.identity(), verdict)),
        }
    }
    let known = Hosts::default();
    let mut asked: Vec<BoxFuture<'_, Vec<(&Question, Verdict)>>> = Vec::new();
    for questions in hosts.into_values() {
        asked.push(ask::ask_host(&known, questions.into_values().collect(), until).boxed());
    }
    let asked: Vec<_> = stream::iter(asked).buffer_unordered(OPEN_HOSTS).concat().await;
    verdicts.extend(asked.into_iter().map(|(question, verdict)| (question.identity(), verdict)));
    questions.iter().map(|question| verdicts[&question.identity()].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Question, Verdict, verify};
    use crate::integrations::{ClientAuth, Release};
    use crate::model::{ClientId, DesiredCredential, Domain, Integration, Secret};

    fn entry(domain: &str, token_url: Option<&str>) -> DesiredCredential {
        DesiredCredential {
            domain: Domain::new(domain),
            client_id: ClientId::new("id"),
            client_secret: Secret::new("secret").into(),
            integration: Integration {
                token_url: token_url.map(str::to_owned),
                ..Integration::default()
            },
            ..DesiredCredential::example("a")
        }
    }

    #[test]
    fn a_secret_goes_where_the_release_of_the_target_sends_it() {
        let asked = |domain, release: &str| {
            Question::of(&entry(domain, None), Release::of(Some(release)))
                .unwrap()
                .token_url
                .unwrap()
        };
        let (old, new) = ("id.senzthermostat.nvent.com", "id.senzthermostat.chemelex.com");
        for (release, host) in
            [("2024.3.3", old), ("2025.12.5", new), ("2026.11.0", new), ("", new)]
        {
            assert!(asked("senz", release).contains(host), "{release}");
        }
        assert!(asked("lyric", "2024.3.3").contains("//api.honeywell.com/"));
        assert!(asked("lyric", "2026.11.0").contains("//api.honeywellhome.com/"));
        let own = Question::of(&entry("senz", Some("https://own")), None).unwrap();
        assert_eq!(own.token_url.as_deref(), Some("https://own"));
    }

    #[tokio::test]
    async fn what_an_integration_ignores_is_no_question_to_where_another_release_uses_it() {
        let used = Question {
            is_ignored: false,
            ..Question::of(&entry("spotify", Some("http://127.0.0.1:9/token")), None).unwrap()
        };
        let ignored = Question { is_ignored: true, ..used.clone() };
        let verdicts = verify(&[ignored.clone(), used], None).await;
        assert_eq!(Some(&verdicts[0]), ignored.blocker().as_ref());
        assert!(matches!(verdicts[1], Verdict::Unreachable(_)), "{verdicts:?}");
    }

    #[test]
    fn a_client_is_named_as_its_integration_does() {
        let asked = |domain| {
            let question =
                Question::of(&entry(domain, None), Release::of(Some("2026.11.0"))).unwrap();
            (question.client_auth, question.is_ignored)
        };
        assert_eq!(asked("smartthings"), (ClientAuth::Basic, false));
        assert_eq!(asked("overkiz"), (ClientAuth::None, false));
        assert_eq!(asked("gentex_homelink"), (ClientAuth::None, true));
        assert_eq!(asked("a_custom_one"), (ClientAuth::Body, false));
    }
}
