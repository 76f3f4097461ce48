//! Asks providers, once in every interval, whether they still accept the clients of entries.
//!
//! Each client has a moment of its own in the interval, which follows from the client and the clock alone:
//! a watcher that starts again asks nobody at once. One client is asked about after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::codes::EventCode;
use crate::model::{ClientAnswer, ClientId, DesiredCredential, Domain, Key, TargetName};
use crate::reconcile::{ask_about_clients, not_asked_regularly};
use crate::status::{ClientCheck, Link};
use crate::target::Stop;

use super::notice::{Notice, post};
use super::webhook::{Webhook, WebhookSender};
use super::{StatusStore, TargetSpec};

/// The clock is looked at this often: it may be set, and a machine may sleep.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// A client that was rejected and has changed is asked about after this.
const RECHECK: SignedDuration = SignedDuration::from_secs(60);

/// A client at whatever targets.
type ClientOf = (Domain, ClientId);
/// An entry at a target.
type EntryAt = (TargetName, Key);

/// The clients of all entries, and who is notified.
#[derive(Default)]
pub(super) struct Clients {
    uses: BTreeMap<ClientOf, Vec<(TargetName, DesiredCredential)>>,
    webhooks: Vec<Webhook>,
}

impl Clients {
    pub(super) fn of(specs: &BTreeMap<TargetName, TargetSpec>) -> Self {
        let mut clients = Self::default();
        for (target, spec) in specs {
            for entry in &spec.desired.credentials {
                if !spec.policy.selection.includes(entry.keys(), &entry.domain) {
                    continue;
                }
                let client = (entry.domain.clone(), entry.client_id.clone());
                clients.uses.entry(client).or_default().push((target.clone(), entry.clone()));
            }
            for webhook in &spec.notices.webhooks {
                if !clients.webhooks.contains(webhook) {
                    clients.webhooks.push(webhook.clone());
                }
            }
        }
        clients
    }

    fn entries(&self) -> BTreeMap<EntryAt, &DesiredCredential> {
        let uses = self.uses.values().flatten();
        uses.map(|(target, entry)| ((target.clone(), entry.key.clone()), entry)).collect()
    }
}

/// Asks about each client once in every interval, until all stops.
pub(super) async fn keep_asking(
    every: Duration,
    mut inbox: watch::Receiver<Arc<Clients>>,
    statuses: StatusStore,
    stop: Stop,
) {
    let mut checks = ClientChecks::new(every, statuses, stop.clone());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = inbox.changed() => {
                if changed.is_err() {
                    return;
                }
                checks.take_over(Arc::clone(&inbox.borrow_and_update()));
            }
            () = sleep(checks.pause()) => {
                let asked = stop.run_until_cancelled(checks.ask_if_due());
                if asked.await.is_none() {
                    return;
                }
            }
        }
    }
}

struct ClientChecks {
    every: Duration,
    statuses: StatusStore,
    webhooks: WebhookSender,
    clients: Arc<Clients>,
    due: BTreeMap<ClientOf, Timestamp>,
    /// The entries whose clients were rejected last.
    rejected: BTreeSet<EntryAt>,
    /// What was logged of those that are not asked about.
    logged: BTreeMap<Key, String>,
}

impl ClientChecks {
    fn new(every: Duration, statuses: StatusStore, stop: Stop) -> Self {
        Self {
            every,
            statuses,
            webhooks: WebhookSender::new(None, stop),
            clients: Arc::default(),
            due: BTreeMap::new(),
            rejected: BTreeSet::new(),
            logged: BTreeMap::new(),
        }
    }

    /// The manifests have other clients from now on.
    fn take_over(&mut self, clients: Arc<Clients>) {
        let now = self.statuses.now();
        let before = std::mem::replace(&mut self.clients, clients);
        let (before, entries) = (before.entries(), self.clients.entries());
        let is_same = |at: &EntryAt| {
            let client = |entry: &&DesiredCredential| {
                let token_url = entry.integration.token_url.clone();
                let (domain, id) = (entry.domain.clone(), entry.client_id.clone());
                (domain, id, entry.client_secret.clone(), token_url)
            };
            before.get(at).map(client) == entries.get(at).map(client)
        };
        let left_out: BTreeMap<EntryAt, String> = entries
            .iter()
            .filter_map(|(at, entry)| Some((at.clone(), not_asked_regularly(entry)?)))
            .collect();
        self.due.retain(|client, _| self.clients.uses.contains_key(client));
        self.rejected.retain(|at| entries.contains_key(at));
        for (client, uses) in &self.clients.uses {
            let at = |(target, entry): &(TargetName, DesiredCredential)| {
                (target.clone(), entry.key.clone())
            };
            if uses.iter().map(at).all(|at| left_out.contains_key(&at)) {
                self.due.remove(client);
                continue;
            }
            let moment = self.due.entry(client.clone());
            let moment = moment.or_insert_with(|| next_moment(client, now, self.every));
            if uses.iter().map(at).any(|at| self.rejected.contains(&at) && !is_same(&at)) {
                *moment = (*moment).min(now.checked_add(RECHECK).unwrap_or(now));
            }
        }
        self.statuses.edit(|status| {
            for (name, target) in &mut status.targets {
                target.clients.retain(|key, _| is_same(&(name.clone(), key.clone())));
            }
            for ((name, key), why) in &left_out {
                if let Some(target) = status.targets.get_mut(name) {
                    target.clients.insert(key.clone(), ClientCheck::LeftOut(why.clone()));
                }
            }
        });
        let left_out: BTreeMap<Key, String> =
            left_out.into_iter().map(|((_, key), why)| (key, why)).collect();
        for (key, why) in left_out.iter().filter(|(key, why)| self.logged.get(*key) != Some(*why)) {
            tracing::info!("--verify-every leaves out `{key}`: {why}");
        }
        self.logged = left_out;
    }

    /// How long nothing is due, as far as the clock is trusted.
    fn pause(&self) -> Duration {
        let now = self.statuses.now();
        let next = self.due.values().min().map(|moment| moment.duration_since(now));
        let next = next.map(|until| Duration::try_from(until).unwrap_or_default());
        next.map_or(CLOCK_CHECK, |until| until.min(CLOCK_CHECK))
    }

    /// Asks about the client that is due first, if any is.
    async fn ask_if_due(&mut self) {
        let now = self.statuses.now();
        let first = self.due.iter().min_by_key(|(_, moment)| **moment);
        let Some((client, _)) = first.filter(|(_, moment)| **moment <= now) else { return };
        let client = client.clone();
        let clients = Arc::clone(&self.clients);
        let uses = clients.uses.get(&client).into_iter().flatten();
        let uses: Vec<_> = uses.filter(|(_, entry)| not_asked_regularly(entry).is_none()).collect();
        let version = |target: &TargetName| match self.statuses.of(target)?.link {
            Link::Up { version, .. } => version,
            _ => None,
        };
        let entries: Vec<_> = uses.iter().map(|(target, of)| (of, version(target))).collect();
        let answers = ask_about_clients(&entries).await;
        let now = self.statuses.now();
        self.due.insert(client.clone(), next_moment(&client, now, self.every));
        let uses = uses.into_iter().map(|(target, entry)| (target.clone(), entry.key.clone()));
        for (event, message) in self.record(uses.zip(answers), now) {
            match event {
                EventCode::ClientRejected => tracing::warn!("{message}"),
                _ => tracing::info!("{message}"),
            }
            let commit = self.statuses.commit();
            let notice = Notice::new(event, message, now).at_commit(commit.as_ref());
            post(&mut self.webhooks, &clients.webhooks, &notice);
        }
    }

    /// Records answers; answers what is new. Where one is unclear, the last clear one holds.
    fn record(
        &mut self,
        answers: impl IntoIterator<Item = (EntryAt, ClientAnswer)>,
        now: Timestamp,
    ) -> Vec<(EventCode, String)> {
        let mut news: BTreeMap<(EventCode, String), ClientUses> = BTreeMap::new();
        for (at, answer) in answers {
            let (target, key) = &at;
            let is_unclear = matches!(answer, ClientAnswer::NotAsked | ClientAnswer::Unclear(_));
            self.statuses.target(target, |target| {
                let last = target.clients.get(key);
                if !is_unclear || last.is_none_or(|last| !last.is_clear()) {
                    let check = ClientCheck::Said { answer: answer.clone(), at: now };
                    target.clients.insert(key.clone(), check);
                }
            });
            let new = match answer {
                ClientAnswer::Rejected(why) if self.rejected.insert(at.clone()) => {
                    (EventCode::ClientRejected, why)
                }
                ClientAnswer::Accepted if self.rejected.remove(&at) => {
                    (EventCode::ClientAccepted, String::new())
                }
                _ => continue,
            };
            news.entry(new).or_default().insert(at);
        }
        let in_words = |((event, why), uses): ((EventCode, String), ClientUses)| {
            let keys: BTreeSet<_> = uses.iter().map(|(_, key)| key).collect();
            let targets: BTreeSet<_> = uses.iter().map(|(target, _)| target).collect();
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            let of = format!("{} at {}", keys.join(", "), targets.join(", "));
            let message = match event {
                EventCode::ClientRejected => format!(
                    "the provider rejects the client of {of} ({why}): compare client id and secret with what the provider shows"
                ),
                _ => format!("the provider accepts the client of {of} again"),
            };
            (event, message)
        };
        news.into_iter().map(in_words).collect()
    }
}

/// Where a client is used.
type ClientUses = BTreeSet<EntryAt>;

/// When a client is asked about next: always after `now`.
fn next_moment((domain, client_id): &ClientOf, now: Timestamp, every: Duration) -> Timestamp {
    let digest = Sha256::digest(format!("{domain}\0{}", client_id.as_str()));
    let number = digest.iter().take(7).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    let since = (now.as_second() - number % every).rem_euclid(every);
    now.checked_add(SignedDuration::from_secs(every - since)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use std::sync::Arc;
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::{ClientChecks, ClientOf, Clients, RECHECK, next_moment};
    use crate::codes::EventCode;
    use crate::model::{
        ClientAnswer, ClientId, DesiredCredential, Domain, Key, Labels, Secret, TargetName,
    };
    use crate::status::{ClientCheck, Mode};
    use crate::target::Stop;
    use crate::watch::StatusStore;

    const DAY: Duration = Duration::from_secs(86_400);

    fn client(id: &str) -> ClientOf {
        (Domain::new("netatmo"), ClientId::new(id))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn home() -> TargetName {
        TargetName::new("home")
    }

    fn key(key: &str) -> Key {
        Key::new(key).unwrap()
    }

    /// Each entry is its key, integration, client id and secret.
    fn clients(entries: &[(&str, &str, &str, &str)]) -> Arc<Clients> {
        let mut uses: BTreeMap<ClientOf, Vec<_>> = BTreeMap::new();
        for (name, domain, id, secret) in entries {
            let entry = DesiredCredential {
                domain: Domain::new(*domain),
                client_id: ClientId::new(*id),
                client_secret: Secret::new(secret).into(),
                ..DesiredCredential::example(name)
            };
            let client = (entry.domain.clone(), entry.client_id.clone());
            uses.entry(client).or_default().push((home(), entry));
        }
        Arc::new(Clients { uses, webhooks: Vec::new() })
    }

    fn checks() -> ClientChecks {
        let statuses = StatusStore::new(|| at(0));
        statuses.begin(&home(), "http://home", (Mode::Repair, &Labels::new()));
        ClientChecks::new(DAY, statuses, Stop::new())
    }

    impl ClientChecks {
        fn say(&mut self, key_of: &str, answer: ClientAnswer) -> Vec<EventCode> {
            let answers = [((home(), key(key_of)), answer)];
            self.record(answers, at(0)).into_iter().map(|(event, _)| event).collect()
        }

        fn check_of(&self, key_of: &str) -> Option<ClientCheck> {
            self.statuses.of(&home()).unwrap().clients.get(&key(key_of)).cloned()
        }
    }

    fn wrong() -> ClientAnswer {
        ClientAnswer::Rejected("invalid_client".to_owned())
    }

    #[test]
    fn a_client_is_asked_about_once_in_every_interval_whenever_the_watcher_starts() {
        let first = next_moment(&client("a"), at(0), DAY);
        assert!(first > at(0) && first <= at(86_400));
        let day = SignedDuration::from_hours(24);
        for started in [0, 1, 40_000, 86_399] {
            let next = next_moment(&client("a"), at(started), DAY);
            let expected = if at(started) < first { first } else { first + day };
            assert_eq!(next, expected, "{started}");
        }
        assert_eq!(next_moment(&client("a"), first, DAY), first + day);
    }

    #[test]
    fn clients_of_one_provider_are_asked_about_at_different_moments() {
        let moments: BTreeSet<Timestamp> =
            (0..20).map(|nth| next_moment(&client(&nth.to_string()), at(0), DAY)).collect();
        assert_eq!(moments.len(), 20);
        let (first, last) = (moments.first().unwrap(), moments.last().unwrap());
        assert!(last.duration_since(*first) > SignedDuration::from_hours(12), "{moments:?}");
    }

    #[test]
    fn a_client_that_is_rejected_is_news_once_and_so_is_one_that_is_accepted_again() {
        let mut checks = checks();
        checks.take_over(clients(&[("a", "netatmo", "id", "s")]));
        let unclear = || ClientAnswer::Unclear("it answers 503".to_owned());
        assert_eq!(checks.say("a", unclear()), []);
        assert_eq!(checks.say("a", ClientAnswer::Accepted), []);
        assert_eq!(checks.say("a", wrong()), [EventCode::ClientRejected]);
        assert_eq!(checks.say("a", wrong()), []);
        assert_eq!(checks.say("a", unclear()), []);
        let held = ClientCheck::Said { answer: wrong(), at: at(0) };
        assert_eq!(checks.check_of("a"), Some(held), "the last clear answer holds");
        assert_eq!(checks.say("a", wrong()), [], "it was rejected before");
        assert_eq!(checks.say("a", ClientAnswer::Accepted), [EventCode::ClientAccepted]);
        assert_eq!(checks.say("a", ClientAnswer::Accepted), []);
    }

    #[test]
    fn entries_of_one_client_are_one_notice() {
        let mut checks = checks();
        let answers = ["a", "b"].map(|name| ((home(), key(name)), wrong()));
        let news = checks.record(answers, at(0));
        let [(EventCode::ClientRejected, message)] = news.as_slice() else { panic!("{news:?}") };
        let of = "the client of `a`, `b` at home (invalid_client)";
        assert!(message.contains(of), "{message}");
    }

    #[tokio::test]
    async fn nobody_is_asked_before_the_moment_of_a_client_whatever_the_manifests_say() {
        let mut checks = checks();
        let one = [("a", "netatmo", "id", "s")];
        checks.take_over(clients(&one));
        let moment = next_moment(&client("id"), at(0), DAY);
        assert_eq!(checks.due[&client("id")], moment);
        checks.ask_if_due().await;
        assert_eq!(checks.check_of("a"), None);
        // A secret that was not rejected may be changed without a question.
        checks.take_over(clients(&[("a", "netatmo", "id", "s2")]));
        assert_eq!(checks.due[&client("id")], moment);
    }

    #[test]
    fn a_rejected_client_is_asked_about_soon_after_it_has_changed_and_not_before() {
        let mut checks = checks();
        checks.take_over(clients(&[("a", "netatmo", "id", "s")]));
        checks.say("a", wrong());
        checks.take_over(clients(&[("a", "netatmo", "id", "s"), ("b", "netatmo", "other", "s")]));
        assert_eq!(checks.due[&client("id")], next_moment(&client("id"), at(0), DAY));
        assert!(checks.check_of("a").is_some());
        checks.take_over(clients(&[("a", "netatmo", "new", "s")]));
        assert_eq!(checks.due[&client("new")], at(0) + RECHECK);
        assert_eq!(checks.check_of("a"), None, "nothing was said of the new one");
        assert_eq!(checks.say("a", ClientAnswer::Accepted), [EventCode::ClientAccepted]);
    }

    #[test]
    fn who_is_not_asked_is_never_due_and_that_is_in_the_status() {
        let mut checks = checks();
        checks.take_over(clients(&[("a", "spotify", "id", "s"), ("b", "neato", "id", "s")]));
        assert!(checks.due.is_empty());
        for name in ["a", "b"] {
            assert!(matches!(checks.check_of(name), Some(ClientCheck::LeftOut(_))), "{name}");
        }
        checks.take_over(clients(&[]));
        assert_eq!(checks.check_of("a"), None);
    }
}
