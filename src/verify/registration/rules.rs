//! What is known of providers' answers: `rules.json`, with where each rule comes from.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::codes::RegistrationCode;
use crate::model::Domain;

/// All rules.
#[derive(Default, Deserialize)]
pub(super) struct Rules {
    /// What a text means; the first that is found decides.
    pub(super) texts: Vec<TextRule>,
    /// What has another sender than the authorize endpoint.
    not_an_answer: Option<Pattern>,
    /// The path of a page about an error.
    error_page: Option<Pattern>,
    pub(super) providers: Vec<Provider>,
    /// Integrations whose providers are not asked, and why.
    pub(super) not_asked: BTreeMap<String, String>,
}

/// What a text means.
#[derive(Deserialize)]
pub(super) struct TextRule {
    text: Pattern,
    pub(super) verdict: RegistrationCode,
    /// The integrations for which it holds; all where it names none.
    #[serde(default)]
    pub(super) only: Vec<String>,
    /// Whether it means the same in a script.
    #[serde(default)]
    in_script: bool,
}

/// How the server of some integrations answers.
#[derive(Deserialize)]
pub(super) struct Provider {
    pub(super) integrations: Vec<String>,
    /// What it checks before it shows its login.
    pub(super) checks: Checks,
    /// Whether it answers without a page where it is asked to.
    #[serde(default)]
    pub(super) prompt_none: bool,
    /// Where it is asked instead of at the integration's own address, and for what.
    pub(super) ask_at: Option<String>,
    pub(super) scope: Option<String>,
    /// By which its login is known: the address that it redirects to, or the page.
    login_address: Option<Pattern>,
    login_page: Option<Pattern>,
    /// Other hosts that it may redirect to for its answer.
    #[serde(default)]
    pub(super) hop_hosts: Vec<String>,
    /// Whether a page about an error may have the status 200.
    #[serde(default)]
    pub(super) errors_with_200: bool,
    /// Whether a page has its error in a script.
    #[serde(default)]
    pub(super) error_in_script: bool,
    /// The integrations that can be linked without a redirect URI.
    #[serde(default)]
    may_need_no_redirect_uri: Vec<String>,
}

/// What a server checks before it shows its login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Checks {
    All,
    Client,
    Nothing,
}

impl Rules {
    /// What is known of an integration's server.
    pub(super) fn provider(&self, domain: &Domain) -> Option<&Provider> {
        self.providers.iter().find(|provider| has(&provider.integrations, domain))
    }

    /// Why an integration's provider is not asked.
    pub(super) fn reason_not_to_ask(&self, domain: &Domain) -> Option<&str> {
        self.not_asked.get(domain.as_str()).map(String::as_str)
    }

    /// What a text of an integration's server means, and the words that say it.
    pub(super) fn meaning<'t>(
        &self,
        text: &'t str,
        domain: &Domain,
        is_script: bool,
    ) -> Option<(RegistrationCode, &'t str)> {
        let holds = |rule: &&TextRule| {
            (rule.only.is_empty() || has(&rule.only, domain)) && (rule.in_script || !is_script)
        };
        self.texts.iter().filter(holds).find_map(|rule| {
            let found = rule.text.0.find(text)?;
            Some((rule.verdict, sentence(text, found.range())))
        })
    }

    pub(super) fn is_not_an_answer(&self, page: &str) -> bool {
        is_match(&self.not_an_answer, page)
    }

    pub(super) fn is_error_page(&self, path: &str) -> bool {
        is_match(&self.error_page, path)
    }
}

impl Provider {
    pub(super) fn is_login_address(&self, address: &str) -> bool {
        is_match(&self.login_address, address)
    }

    pub(super) fn is_login_page(&self, page: &str) -> bool {
        is_match(&self.login_page, page)
    }

    pub(super) fn needs_redirect_uri(&self, domain: &Domain) -> bool {
        !has(&self.may_need_no_redirect_uri, domain)
    }
}

fn has(integrations: &[String], domain: &Domain) -> bool {
    integrations.iter().any(|one| one == domain.as_str())
}

fn is_match(pattern: &Option<Pattern>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.0.is_match(text))
}

/// Characters of a sentence before the words that decide.
const MOST_BEFORE: usize = 60;

/// As much of a text around what was found as belongs to its sentence.
fn sentence(text: &str, found: std::ops::Range<usize>) -> &str {
    let before = &text[..found.start];
    let near = before.char_indices().rev().nth(MOST_BEFORE).map_or(0, |(at, _)| at);
    let begin = before[near..].rfind(['.', '!', '?', '{', '\n']).map_or(near, |at| near + at + 1);
    let end = text[found.end..].find(['.', '!', '?', '}', '\n']);
    text[begin..end.map_or(text.len(), |at| found.end + at)].trim()
}

/// A regular expression without regard to case.
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let built = RegexBuilder::new(&text).case_insensitive(true).build();
        built.map(Self).map_err(D::Error::custom)
    }
}

/// The built-in file does not change after the build, and a test reads it: the empty rules that would
/// replace an unreadable one are never seen.
pub(super) fn built_in() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(|| read().unwrap_or_default());
    &RULES
}

/// Puts a rule back.
#[cfg(test)]
type PutBack = Box<dyn FnOnce(&mut Rules)>;

#[cfg(test)]
impl Rules {
    /// Takes a rule out: its name, and what puts it back.
    pub(super) fn take(&mut self, at: usize) -> (String, PutBack) {
        if at < self.texts.len() {
            let rule = self.texts.remove(at);
            (rule.text.0.to_string(), Box::new(move |rules| rules.texts.insert(at, rule)))
        } else {
            let at = at - self.texts.len();
            let one = self.providers.remove(at);
            (one.integrations.join(" "), Box::new(move |rules| rules.providers.insert(at, one)))
        }
    }
}

pub(super) fn read() -> Result<Rules, serde_json::Error> {
    serde_json::from_str(include_str!("rules.json"))
}
