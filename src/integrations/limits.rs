//! What providers allow a client, in `limits.json`, each with its source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{ClientId, Domain};

/// What to do about too many accounts of a client.
pub const TOO_MANY_ACCOUNTS_HELP: &str =
    "link the others through another client, with an entry of its own";

/// Something that a provider allows a client, or wants for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    integrations: BTreeSet<String>,
    /// What it is about.
    pub kind: LimitKind,
    number: Option<usize>,
    /// It, in words.
    pub text: String,
    known: LimitKnown,
    source: String,
}

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// How many accounts may be linked through one client.
    Accounts,
    /// How many days consent lasts while the client is being tested.
    Testing,
    /// After how many days a client that is not used is deleted.
    Unused,
    /// After how many months a secret expires at the latest.
    Secret,
    /// How many requests a client may send.
    Quota,
    /// What it costs.
    Payment,
    /// How long a change takes to work.
    Delay,
}

/// How a limit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitKnown {
    Documented,
    Reported,
}

/// What the provider of an integration allows.
pub fn limits(domain: &Domain) -> impl Iterator<Item = &'static Limit> {
    LIMITS.iter().filter(|limit| limit.integrations.contains(domain.as_str()))
}

impl Limit {
    /// How many accounts may be linked through one client of an integration, where that is limited.
    pub fn of_accounts(domain: &Domain) -> Option<(&'static Self, usize)> {
        let mut limits = limits(domain).filter(|limit| limit.kind == LimitKind::Accounts);
        limits.find_map(|limit| Some((limit, limit.number?)))
    }

    /// It in words, and how it is known where nobody documents it.
    pub fn note(&self) -> String {
        match self.known {
            LimitKnown::Documented => self.text.clone(),
            LimitKnown::Reported => format!("{} (as users report)", self.text),
        }
    }
}

/// The clients through which more accounts are linked than their providers allow, each with a message. What is
/// linked is a client and the title of an account: one account may be linked at several targets.
pub fn too_many_accounts<'a>(
    linked: impl IntoIterator<Item = (&'a Domain, &'a ClientId, &'a str)>,
) -> BTreeMap<(&'a Domain, &'a ClientId), String> {
    let mut titles: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for (domain, client_id, title) in linked {
        titles.entry((domain, client_id)).or_default().insert(title);
    }
    let message = |((domain, client_id), titles): ((&'a Domain, &'a ClientId), BTreeSet<&str>)| {
        let (limit, most) = Limit::of_accounts(domain)?;
        let (count, note) = (titles.len(), limit.note());
        let message =
            format!("{count} accounts of {domain} are linked through this client: {note}");
        (count > most).then_some(((domain, client_id), message))
    };
    titles.into_iter().filter_map(message).collect()
}

/// The built-in file does not change after the build, and a test reads it: the empty list that
/// would replace an unreadable one is never seen.
static LIMITS: LazyLock<Vec<Limit>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> Result<Vec<Limit>, serde_json::Error> {
    #[derive(Deserialize)]
    struct File {
        limits: Vec<Limit>,
    }
    Ok(serde_json::from_str::<File>(include_str!("limits.json"))?.limits)
}

#[cfg(test)]
mod tests {
    use super::{Limit, LimitKind, limits, read, too_many_accounts};
    use crate::integrations::known;
    use crate::model::{ClientId, Domain};

    #[test]
    fn every_limit_is_of_integrations_that_home_assistant_has_and_has_a_source() {
        let limits = read().unwrap();
        assert!(limits.len() > 10);
        for limit in limits {
            assert!(!limit.integrations.is_empty() && !limit.source.is_empty(), "{limit:?}");
            for domain in &limit.integrations {
                assert!(known().contains(&Domain::new(domain)), "no integration `{domain}`");
            }
            let is_counted = matches!(
                limit.kind,
                LimitKind::Accounts | LimitKind::Testing | LimitKind::Unused | LimitKind::Secret
            );
            assert!(!is_counted || limit.number.is_some(), "{limit:?}");
        }
    }

    #[test]
    fn an_account_at_several_targets_is_one_and_each_client_is_counted_alone() {
        let (spotify, google) = (Domain::new("spotify"), Domain::new("google"));
        let [one, other] = ["one", "other"].map(ClientId::new);
        let titles = ["1", "2", "3", "4", "5", "1"];
        let of = |client| titles.map(|title| (&spotify, client, title));
        let many = |more: &[&'static str]| {
            let more = more.iter().map(|title| (&spotify, &one, *title));
            let unlimited = titles.iter().map(|title| (&google, &one, *title));
            let found = too_many_accounts(
                of(&one).into_iter().chain(of(&other)).chain(more).chain(unlimited),
            );
            found
                .into_iter()
                .map(|((_, client), message)| (client.clone(), message))
                .collect::<Vec<_>>()
        };
        assert_eq!(many(&[]), []);
        let found = many(&["6"]);
        assert_eq!((found.len(), &found[0].0), (1, &one));
        assert!(found[0].1.starts_with("6 accounts of spotify are linked"), "{found:?}");
    }

    #[test]
    fn an_integration_has_its_own_limits() {
        let kinds =
            |domain| limits(&Domain::new(domain)).map(|limit| limit.kind).collect::<Vec<_>>();
        assert_eq!(kinds("google"), [LimitKind::Testing, LimitKind::Unused]);
        assert_eq!(kinds("netatmo"), []);
        let accounts = |domain| Limit::of_accounts(&Domain::new(domain)).map(|(_, number)| number);
        assert_eq!((accounts("spotify"), accounts("google")), (Some(5), None));
        let notes = |domain| limits(&Domain::new(domain)).map(Limit::note).collect::<Vec<_>>();
        let reported = |note: &String| note.ends_with(" (as users report)");
        assert!(notes("husqvarna_automower").iter().all(reported));
        assert!(!notes("spotify").iter().any(reported));
    }
}
