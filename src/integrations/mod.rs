//! What is known beforehand of the integrations that take application credentials. A leaf.
//!
//! `facts.json` has it by HA's release, read from HA itself: see CONTRIBUTING.md. A running HA knows
//! better which integrations it has. `limits.json` has what their providers allow a client.

mod limits;
mod release;

pub use limits::{Limit, LimitKind, TOO_MANY_ACCOUNTS_HELP, limits, too_many_accounts};
pub use release::Release;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Domain, NoSetUp};
use crate::suggest::nearest;

/// What is known of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// What HA calls it.
    pub name: String,
    /// Where its provider hands out clients, where the integration itself says so.
    pub console_url: Option<String>,
    /// Its provider's authorize endpoint, unless that is made at run time.
    pub authorize_url: Option<String>,
    /// What its consent link has beside what OAuth2 wants in each, as far as it is known.
    pub authorize_parameters: BTreeMap<String, String>,
    /// Whether its consent link proves the code (PKCE).
    pub pkce: bool,
    /// Its provider's token endpoint, unless that is made at run time.
    pub token_url: Option<String>,
    /// How it says who it is at that endpoint.
    pub client_auth: ClientAuth,
    /// The name that its accounts have for the credential they use, whatever `auth_domain` that has:
    /// all its credentials collapse into the last one.
    pub implementation: Option<String>,
    /// Whether it uses a client of its own in the place of the credential's.
    pub ignores_client: bool,
    /// Whether it makes a credential of a client of its own.
    pub brings_client: bool,
    /// Whether it writes the client secret into the consent link.
    pub secret_in_authorize_url: bool,
    /// Whether its set-up needs HA's integration `cloud`.
    pub needs_cloud: bool,
    /// Whether only one account can be linked.
    pub one_account: bool,
    /// The steps of its set-up that may ask something, before consent.
    pub asks_before_consent: Vec<String>,
    /// The same, after consent.
    pub asks_after_consent: Vec<String>,
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the form's body.
    #[default]
    Body,
    /// In the header, by HTTP's basic authentication.
    Basic,
    /// By its id alone: the secret is not used.
    None,
}

type Integrations = BTreeMap<Domain, LazyFacts>;

/// Facts that are read where they are asked for: a run asks for few, and to read all takes longer than a small plan.
type LazyFacts = LazyLock<Facts, Box<dyn FnOnce() -> Facts + Send>>;

/// Every integration of HA itself that takes application credentials in some release.
pub fn known() -> &'static BTreeSet<Domain> {
    static KNOWN: LazyLock<BTreeSet<Domain>> =
        LazyLock::new(|| RELEASES.values().flat_map(BTreeMap::keys).cloned().collect());
    &KNOWN
}

/// What the newest HA that has an integration calls it.
pub fn name(domain: &Domain) -> Option<&'static str> {
    RELEASES.values().rev().find_map(|of| of.get(domain)).map(|facts| facts.name.as_str())
}

/// The integrations that people call so: that whose name it is, or else those whose names have all of its
/// words.
pub fn called(text: &str) -> Vec<&'static Domain> {
    let asked = words(text);
    if let Some((exactly, _)) = with_words().find(|(_, name)| *name == asked) {
        return vec![exactly];
    }
    let has_all =
        |name: &[String]| asked.iter().all(|word| name.iter().any(|of| of.contains(word)));
    with_words()
        .filter(|(_, name)| !asked.is_empty() && has_all(name))
        .map(|(domain, _)| domain)
        .collect()
}

/// The one integration that people call so, or almost so: by a name that is mistyped, shortened as in `gcal` for
/// Google Calendar, or has more words, as in "Microsoft OneDrive".
pub fn meant(text: &str) -> Option<&'static Domain> {
    match called(text)[..] {
        [only] => return Some(only),
        [] => {}
        _ => return None,
    }
    if let Some(near) = nearest(text, names()) {
        return known().iter().find(|domain| name(domain) == Some(near));
    }
    let asked = words(text);
    let is_short = |name: &[String]| asked.len() == 1 && is_shortened(&asked[0], name);
    let has_more = |name: &[String]| name.iter().all(|word| asked.contains(word));
    let mut meant = with_words().filter(|(_, name)| is_short(name) || has_more(name));
    let (only, _) = meant.next()?;
    meant.next().is_none().then_some(only)
}

/// All with the words of their names.
fn with_words() -> impl Iterator<Item = (&'static Domain, Vec<String>)> {
    known().iter().filter_map(|domain| Some((domain, words(name(domain)?))))
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether a word is made of the beginnings of these, each of which has its part.
fn is_shortened(word: &str, of: &[String]) -> bool {
    let Some((first, rest)) = of.split_first() else { return word.is_empty() };
    let begins = word.char_indices().map(|(at, letter)| word.split_at(at + letter.len_utf8()));
    let mut begins = begins.take_while(|(begin, _)| first.starts_with(begin));
    begins.any(|(_, behind)| is_shortened(behind, rest))
}

/// What HA calls all of them.
fn names() -> impl Iterator<Item = &'static str> {
    known().iter().filter_map(name)
}

/// Those that a release has; of one that is not known, all.
pub fn known_in(release: Option<Release>) -> BTreeSet<Domain> {
    match release {
        Some(release) => of(Some(release)).keys().cloned().collect(),
        None => known().clone(),
    }
}

/// The oldest and the newest release that was read.
pub fn read_of() -> Option<(Release, Release)> {
    let (oldest, newest) = (RELEASES.keys().next()?, RELEASES.keys().next_back()?);
    Some((*oldest, *newest))
}

/// Those of which a running HA, with its integration `cloud` or without, is to begin no set-up, and why.
pub fn without_set_up(release: Option<Release>, has_cloud: bool) -> BTreeMap<Domain, NoSetUp> {
    let why = |facts: &Facts| {
        let needs_cloud = facts.needs_cloud && !has_cloud;
        let ignores = facts.ignores_client.then_some(NoSetUp::IgnoresClient);
        needs_cloud.then_some(NoSetUp::NeedsCloud).or(ignores)
    };
    of(release).iter().filter_map(|(domain, facts)| Some((domain.clone(), why(facts)?))).collect()
}

/// Whether all credentials of an integration collapse into the last one, in any release.
pub fn collapses(domain: &Domain) -> bool {
    let facts = RELEASES.values().filter_map(|integrations| integrations.get(domain));
    facts.into_iter().any(|facts| facts.implementation.is_some())
}

/// Those of which HA links one account only.
pub fn with_one_account(release: Option<Release>) -> BTreeSet<Domain> {
    let single = of(release).iter().filter(|(_, facts)| facts.one_account);
    single.map(|(domain, _)| domain.clone()).collect()
}

/// Whether HA links one account only, in each release that has the integration.
pub fn has_always_one_account(domain: &Domain) -> bool {
    let mut known = RELEASES.values().filter_map(|of| of.get(domain)).peekable();
    known.peek().is_some() && known.all(|facts| facts.one_account)
}

/// What is known of an integration of HA itself in a release, of the newest where that is not known;
/// `None` where HA has no such integration then.
pub fn facts(domain: &Domain, release: Option<Release>) -> Option<&'static Facts> {
    of(release).get(domain).map(LazyLock::force)
}

/// The facts of a release. Of one that was not read they are those of the next that was: a provider
/// that has moved meanwhile is asked at its new address.
fn of(release: Option<Release>) -> &'static Integrations {
    static NONE: Integrations = Integrations::new();
    let next = release.and_then(|release| RELEASES.range(release..).next());
    next.or_else(|| RELEASES.last_key_value()).map_or(&NONE, |(_, integrations)| integrations)
}

/// The built-in file does not change after the build, and a test reads it: what would replace an
/// unreadable part is never seen.
static RELEASES: LazyLock<BTreeMap<Release, Integrations>> =
    LazyLock::new(|| read().unwrap_or_default());

const FILE: &str = include_str!("facts.json");

fn read() -> Result<BTreeMap<Release, Integrations>, serde_json::Error> {
    type Written = BTreeMap<&'static str, &'static RawValue>;
    let releases: BTreeMap<Release, Written> = serde_json::from_str(FILE)?;
    let lazy = |text: &'static RawValue| -> LazyFacts {
        LazyLock::new(Box::new(|| serde_json::from_str(text.get()).unwrap_or_default()))
    };
    let typed = |facts: Written| {
        facts.into_iter().map(|(domain, text)| (Domain::new(domain), lazy(text))).collect()
    };
    Ok(releases.into_iter().map(|(release, facts)| (release, typed(facts))).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        ClientAuth, FILE, Facts, Release, has_always_one_account, known, known_in, read,
        with_one_account,
    };
    use crate::model::Domain;

    fn facts(domain: &str, release: &str) -> Option<&'static Facts> {
        super::facts(&Domain::new(domain), Release::of(Some(release)))
    }

    fn whole() -> BTreeMap<Release, BTreeMap<String, Facts>> {
        serde_json::from_str(FILE).unwrap()
    }

    #[test]
    fn the_built_in_file_reads() {
        let releases = read().unwrap();
        let whole = whole();
        let facts = whole.iter().flat_map(|(release, of)| of.iter().map(move |of| (release, of)));
        for (release, (domain, facts)) in facts {
            assert_eq!(&*releases[release][&Domain::new(domain)], facts, "{release} {domain}");
        }
        assert!(releases.len() >= 2 && releases.values().all(|known| known.len() >= 24));
        assert!(known().len() >= 54, "integrations were lost: {}", known().len());
    }

    #[test]
    fn an_integration_is_found_by_what_people_call_it() {
        let called =
            |text: &str| super::called(text).into_iter().map(Domain::as_str).collect::<Vec<_>>();
        assert_eq!(called("Google Calendar"), ["google"]);
        assert_eq!(called(" google  calendar "), ["google"]);
        assert_eq!(called("calendar"), ["google"]);
        let meant = |text: &str| super::meant(text).map(Domain::as_str);
        assert_eq!(meant("Google Calender"), Some("google"));
        assert_eq!((meant("Google"), meant("no such thing")), (None, None));
        assert_eq!((meant("gcal"), meant("Gmail")), (Some("google"), Some("google_mail")));
        assert_eq!(meant("Microsoft OneDrive"), Some("onedrive"));
        assert_eq!((meant("g"), meant("gx"), meant("spot")), (None, None, Some("spotify")));
        assert_eq!(called("Spotify"), ["spotify"]);
        assert!(called("google").len() > 3, "{:?}", called("google"));
        assert_eq!((called(""), called("--"), called("no such thing")), (vec![], vec![], vec![]));
        assert!(
            known().iter().all(|domain| super::name(domain).is_some_and(|name| !name.is_empty()))
        );
    }

    #[test]
    fn the_release_decides() {
        let token_url = |release| facts("senz", release).unwrap().token_url.as_deref().unwrap();
        let (old, new) = (
            "https://id.senzthermostat.nvent.com/connect/token",
            "https://id.senzthermostat.chemelex.com/connect/token",
        );
        for (release, expected) in [
            ("2024.2", old),
            ("2024.3.3", old),
            ("2024.4.0", new),
            ("2025.12.5", new),
            ("2026.11.0", new),
            ("2027.1.0b2", new),
            ("dev", new),
        ] {
            assert_eq!(token_url(release), expected, "{release}");
        }
        let lyric = |release| &facts("lyric", release).unwrap().token_url;
        assert_ne!(lyric("2025.12.5"), lyric("2026.1.0"));
        assert_eq!(facts("smartthings", "2024.3.3"), None);
        assert!(facts("smartthings", "2025.12.5").is_some());
        assert_eq!(facts("spotfy", "dev"), None);
    }

    #[test]
    fn one_account_only_is_a_fact_of_a_release() {
        let [google, miele, spotify, xbox] =
            ["google_assistant_sdk", "miele", "spotify", "xbox"].map(Domain::new);
        assert!(has_always_one_account(&google) && has_always_one_account(&miele));
        assert!(!has_always_one_account(&spotify) && !has_always_one_account(&xbox));
        assert!(!has_always_one_account(&Domain::new("from_hacs")));
        let of = |release| with_one_account(Release::of(Some(release)));
        assert!(of("2024.3.3").contains(&xbox) && !of("2026.11.0").contains(&xbox));
    }

    #[test]
    fn a_release_has_its_own_integrations() {
        let (dropbox, spotify) = (Domain::new("dropbox"), Domain::new("spotify"));
        let old = known_in(Release::of(Some("2024.3.3")));
        assert!(old.contains(&spotify) && !old.contains(&dropbox));
        assert!(known_in(Release::of(Some("2026.11.0"))).contains(&dropbox));
        assert_eq!(known_in(None), *known());
    }

    #[test]
    fn token_endpoints_are_addresses_that_may_be_told_a_secret() {
        for (release, integrations) in whole() {
            for (domain, Facts { token_url, .. }) in integrations {
                let is_safe = token_url.is_none_or(|url| url.starts_with("https://"));
                assert!(is_safe, "{release:?} {domain}");
            }
        }
        let auth = |domain| facts(domain, "2026.11.0").unwrap().client_auth;
        assert_eq!(auth("spotify"), ClientAuth::Body);
        assert_eq!(auth("fitbit"), ClientAuth::Basic);
        assert_eq!(auth("vicare"), ClientAuth::None);
        assert_eq!(facts("mcp", "2026.11.0").unwrap().token_url, None);
    }
}
