//! Asks providers regularly whether they still accept clients.

use super::prove::Verdicts;
use crate::integrations::{LimitKind, Release, facts, limits};
use crate::model::{ClientAnswer, DesiredCredential};
use crate::verify::{Question, Verdict};

/// Why a provider is not asked regularly about the client of an entry; none where it is.
pub fn not_asked_regularly(entry: &DesiredCredential) -> Option<String> {
    let facts = facts(&entry.domain, None);
    if facts.is_some_and(|facts| facts.secret_in_authorize_url) {
        return Some("its consent link carries the client secret".to_owned());
    }
    if let Some(limit) = limits(&entry.domain).find(|limit| limit.kind == LimitKind::Quota) {
        return Some(format!("its provider counts requests: {}", limit.note()));
    }
    match Question::of(entry, None)?.blocker()? {
        Verdict::NoAddress => Some("no token endpoint is known".to_owned()),
        Verdict::Unclear(why) | Verdict::Unreachable(why) | Verdict::Wrong(why) => Some(why),
        Verdict::Right => None,
    }
}

/// What providers say of the clients of these entries, each at a target with this version of HA: one after
/// the other, and of equal ones once.
pub async fn ask_about_clients(
    entries: &[(&DesiredCredential, Option<String>)],
) -> Vec<ClientAnswer> {
    let (mut known, mut answers) = (Verdicts::default(), Vec::new());
    for (entry, version) in entries {
        let question = Question::of(entry, Release::of(version.as_deref()));
        let questions: Vec<&Question> = question.iter().collect();
        let said = known.about(&questions, None).await.pop();
        answers.push(said.map_or(ClientAnswer::NotAsked, ClientAnswer::from));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::not_asked_regularly;
    use crate::model::{DesiredCredential, Domain, Integration};

    #[test]
    fn who_counts_requests_or_shows_the_secret_is_not_asked_regularly() {
        let entry = |domain: &str, token_url: Option<&str>| DesiredCredential {
            domain: Domain::new(domain),
            integration: Integration {
                token_url: token_url.map(str::to_owned),
                ..Integration::default()
            },
            ..DesiredCredential::example("a")
        };
        let why = |domain, url| not_asked_regularly(&entry(domain, url)).unwrap_or_default();
        assert_eq!(why("netatmo", None), "");
        assert_eq!(why("a_custom_one", Some("https://id.example/token")), "");
        assert_eq!(why("a_custom_one", None), "no token endpoint is known");
        for domain in ["spotify", "home_connect", "volvo", "husqvarna_automower"] {
            assert!(why(domain, None).starts_with("its provider counts requests: "), "{domain}");
        }
        assert!(why("neato", Some("https://id.example/token")).contains("client secret"));
        assert!(why("a_custom_one", Some("http://id.example/token")).contains("not https"));
    }
}
