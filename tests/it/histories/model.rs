//! Histories of a Home Assistant that is a model in this process: people create, link and delete, manifests change, and
//! runs are cut short after some operation. Thousands of them take seconds.
//!
//! The model is only worth what it has in common with Home Assistant, so some histories are replayed on both, and both
//! hold the same after each event, down to ids and order.
//!
//! `APPCRED_HISTORIES=100` are 100,000 histories of the model, and 100 on both.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use appcred::model::{
    Adopt, ClientId, Completeness, Credential, CredentialId, Desired, DesiredCredential, Domain,
    Integration, Key, Observed, Owner, Place, Policy, Secret,
};
use appcred::plan::{Plan, plan};
use appcred::reconcile::apply;
use appcred::target::home_assistant::{
    ConnectionSettings, HomeAssistant as ConnectedHomeAssistant, connect,
};
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::laws::{content, may_touch, mislinked};
use crate::real::{HomeAssistant, Release, each_release};
use crate::shelf::Shelf;

use super::{LINKED, Random, say, seeds};

/// What happens; numbers choose among what there is then.
#[derive(Debug)]
enum Event {
    /// Somebody creates a credential by hand.
    Create { domain: &'static str, client: &'static str, secret: String },
    /// Somebody links an account by one of the credentials.
    Link(usize),
    /// Somebody removes an account.
    Unlink(usize),
    /// Somebody deletes a credential; Home Assistant may refuse.
    Delete(usize),
    /// Manifests say this now, and a run is cut short after so many operations. The next one is not.
    Run { wanted: Desired, cut_after: usize },
    /// The same, and after so many operations somebody links an account by one of the credentials. The next run is
    /// undisturbed.
    RunBeside { wanted: Desired, number: usize, after: usize },
}

fn domain(random: &mut Random) -> &'static str {
    [LINKED, LINKED, "spotify"][random.below(3)]
}

fn client(random: &mut Random) -> &'static str {
    ["one", "two", "2", "one_2"][random.below(4)]
}

fn secret(random: &mut Random) -> String {
    format!("secret-{}", random.below(3))
}

fn desired(random: &mut Random) -> Desired {
    let mut credentials: Vec<DesiredCredential> = Vec::new();
    // An entry stays with its integration, and may get another one's client there.
    for (key, domain) in [("k1", LINKED), ("k2", LINKED), ("k3", "spotify")] {
        let (domain, client_id) = (Domain::new(domain), ClientId::new(client(random)));
        let client_secret = Secret::new(&secret(random)).into();
        let is_there = random.below(4) > 0;
        let same = |one: &DesiredCredential| one.domain == domain && one.client_id == client_id;
        if !is_there || credentials.iter().any(same) {
            continue;
        }
        let formerly = (random.below(5) == 0).then(|| ["k1", "k2", "k3", "k4"][random.below(4)]);
        credentials.push(DesiredCredential {
            key: Key::new(key).unwrap(),
            names_key: true,
            formerly: formerly.into_iter().map(|key| Key::new(key).unwrap()).collect(),
            domain,
            client_id,
            client_secret,
            name: ["N", "M"][random.below(2)].into(),
            adopt: if random.below(3) == 0 { Adopt::Only } else { Adopt::No },
            integration: Integration { setup: false, ..Integration::default() },
            place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
        });
    }
    Desired {
        owner: Owner::new(["house", "house", "house", "cabin"][random.below(4)]).unwrap(),
        previous_owners: Default::default(),
        credentials,
        unidentified: Vec::new(),
        elsewhere: BTreeMap::new(),
        completeness: Completeness::Whole,
    }
}

/// The history of a seed.
fn events(seed: u64) -> Vec<Event> {
    let mut random = Random(seed);
    let count = 3 + random.below(8);
    let mut events: Vec<_> = (0..count)
        .map(|_| match random.below(10) {
            0..=1 => Event::Create {
                domain: domain(&mut random),
                client: client(&mut random),
                secret: secret(&mut random),
            },
            2..=3 => Event::Link(random.below(8)),
            4 => Event::Unlink(random.below(8)),
            5 => Event::Delete(random.below(8)),
            6 => Event::RunBeside {
                wanted: desired(&mut random),
                number: random.below(8),
                after: random.below(5),
            },
            _ => Event::Run { wanted: desired(&mut random), cut_after: random.below(7) },
        })
        .collect();
    events.push(Event::Run { wanted: desired(&mut random), cut_after: random.below(7) });
    events
}

fn policy() -> Policy {
    Policy { allow_empty: true, ..Policy::default() }
}

/// A target that is gone after so many operations.
struct Cut<'t, T> {
    target: &'t mut T,
    left: usize,
}

impl<T: Execute + Send> Execute for Cut<'_, T> {
    async fn execute(
        &mut self,
        mut operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        let carried_out = operations.len().min(self.left);
        let lost = operations.split_off(carried_out).len();
        self.left -= carried_out;
        self.target.execute(operations, stop, done).await;
        for at in carried_out..carried_out + lost {
            done(at, Err(Refusal::Lost("cut short".to_owned())));
        }
    }
}

/// A target at which something else happens after so many operations.
struct Beside<'t, T, F> {
    target: &'t mut T,
    left: usize,
    happens: Option<F>,
}

impl<T: Execute + Send, F: FnOnce(&mut T) + Send> Execute for Beside<'_, T, F> {
    async fn execute(
        &mut self,
        mut operations: Vec<Operation>,
        stop: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        let before = operations.len().min(self.left);
        let rest = operations.split_off(before);
        self.left -= before;
        self.target.execute(operations, stop, done).await;
        if rest.is_empty() {
            return;
        }
        if let Some(happens) = self.happens.take() {
            happens(self.target);
        }
        self.left = usize::MAX;
        self.target.execute(rest, stop, &mut |at, ended| done(before + at, ended)).await;
    }
}

/// Plans from what is there without the parts that only a running Home Assistant tells, and applies.
async fn run(
    target: &mut (impl Observe + Execute + Send),
    wanted: &Desired,
    cut_after: usize,
) -> String {
    let planned = planned(target, wanted).await;
    let mut cut = Cut { target, left: cut_after };
    let outcomes = apply(&planned, wanted, &mut cut, &Stop::new(), &mut |_, _| {}).await;
    format!("{planned:?} {outcomes:?}")
}

async fn planned(target: &mut impl Observe, wanted: &Desired) -> Plan {
    let observed = Observed { live: None, version: None, ..target.observe().await.unwrap() };
    plan(wanted, &observed, &policy())
}

/// The same, whole, where this happens after so many operations, if there are so many.
async fn run_beside<T: Observe + Execute + Send>(
    target: &mut T,
    wanted: &Desired,
    after: usize,
    happens: impl FnOnce(&mut T) + Send,
) -> String {
    let planned = planned(target, wanted).await;
    let mut beside = Beside { target, left: after, happens: Some(happens) };
    let outcomes = apply(&planned, wanted, &mut beside, &Stop::new(), &mut |_, _| {}).await;
    format!("{planned:?} {outcomes:?}")
}

/// Which credential of how many a number chooses.
fn chosen(number: usize, count: usize) -> Option<usize> {
    number.checked_rem(count)
}

/// Those by which accounts of our own integration are linked.
fn linkable(credentials: &[Credential]) -> Vec<&Credential> {
    credentials.iter().filter(|held| held.domain == Domain::new(LINKED)).collect()
}

fn link(shelf: &mut Shelf, number: usize) {
    let by = linkable(&shelf.credentials);
    let Some(at) = chosen(number, by.len()) else { return };
    let (domain, implementation) = (by[at].domain.clone(), by[at].implementation().to_owned());
    shelf.link(&domain, &implementation);
}

/// One event in the model.
fn happen(shelf: &mut Shelf, event: &Event, history: &str) {
    match event {
        Event::Create { domain, client, secret } => {
            let (domain, client_id) = (Domain::new(*domain), ClientId::new(*client));
            shelf.credentials.push(Credential {
                id: shelf.next_id(&domain, &client_id),
                domain,
                client_id,
                client_secret: Secret::new(secret).into(),
                name: None,
                auth_domain: None,
            });
        }
        Event::Link(number) => link(shelf, *number),
        Event::Unlink(number) => {
            let Some(at) = chosen(*number, shelf.config_entries.len()) else { return };
            shelf.config_entries.remove(at);
        }
        Event::Delete(number) => {
            let Some(at) = chosen(*number, shelf.credentials.len()) else { return };
            // Home Assistant may refuse.
            drop(shelf.delete(at));
        }
        Event::RunBeside { wanted, number, after } => {
            let before = shelf.clone();
            let ran = run_beside(shelf, wanted, *after, |shelf| link(shelf, *number));
            let ran = ran.now_or_never().expect("a shelf never waits");
            for account in &shelf.config_entries {
                let is_new = !before.config_entries.contains(account);
                let is_linked = shelf.in_force(account).is_some();
                assert!(
                    is_linked || !is_new && before.in_force(account).is_none(),
                    "{history}: {account:?} by {ran}"
                );
            }
            lawful_run(shelf, wanted, usize::MAX, history);
            let again = plan(wanted, &shelf.observed(), &policy());
            assert_eq!(again.steps, [], "{history}");
        }
        Event::Run { wanted, cut_after } => {
            let mut undisturbed = shelf.clone();
            lawful_run(&mut undisturbed, wanted, usize::MAX, history);
            lawful_run(shelf, wanted, *cut_after, history);
            lawful_run(shelf, wanted, usize::MAX, history);
            let again = plan(wanted, &shelf.observed(), &policy());
            assert_eq!(again.steps, [], "{history}");
            let is_there = |wanted: &DesiredCredential| {
                let secret = wanted.client_secret.clear().unwrap().expose();
                shelf.credentials.iter().any(|one| {
                    one.client_id == wanted.client_id
                        && one.client_secret.clear().unwrap().expose() == secret
                })
            };
            let is_lost = again.withheld.is_empty() && !wanted.credentials.iter().all(is_there);
            assert!(!is_lost, "{history}: {:?}", content(shelf));
            assert_eq!(content(shelf), content(&undisturbed), "{history}");
        }
    }
}

/// A run that touches nothing foreign and takes no account's credential.
fn lawful_run(shelf: &mut Shelf, wanted: &Desired, cut_after: usize, history: &str) {
    let before = shelf.clone();
    let ran = run(shelf, wanted, cut_after).now_or_never().expect("a shelf never waits");
    for held in &before.credentials {
        let is_ours = may_touch(held, &before, wanted, &policy());
        assert!(is_ours || shelf.credentials.contains(held), "{history}: {held:?} by {ran}");
    }
    for account in &before.config_entries {
        let was_linked = before.in_force(account).is_some();
        assert!(
            !was_linked || shelf.in_force(account).is_some(),
            "{history}: {account:?} by {ran}"
        );
    }
    let mislinked = mislinked(&before, shelf, wanted);
    assert!(mislinked.is_empty(), "{history}: {mislinked:?} by {ran}");
}

fn empty() -> Shelf {
    Shelf::new(Vec::new(), Vec::new())
}

#[test]
fn histories_of_the_model_are_lawful() {
    let seeds = seeds(3);
    let seeds = match seeds.end - seeds.start {
        // One that is asked for alone.
        1 => seeds,
        count => 0..count * 1_000,
    };
    let (count, mut runs) = (seeds.end - seeds.start, 0);
    for seed in seeds {
        let (events, mut shelf) = (events(seed), empty());
        let history = format!("history {seed}, {events:?}");
        for event in &events {
            happen(&mut shelf, event, &history);
            runs += usize::from(matches!(event, Event::Run { .. })) * 3;
        }
    }
    say(&format!("{count} histories, {runs} runs"));
}

/// The model's event at a Home Assistant.
fn happen_there(ha: &HomeAssistant, runtime: &Runtime, event: &Event) {
    match event {
        Event::Create { domain, client, secret } => {
            ha.create_credential(
                json!({"domain": domain, "client_id": client, "client_secret": secret}),
            );
        }
        Event::Link(number) => link_there(ha, *number),
        Event::RunBeside { wanted, number, after } => runtime.block_on(async {
            let links = |_: &mut _| {
                thread::scope(|scope| scope.spawn(|| link_there(ha, *number)).join().unwrap());
            };
            let mut target = connected(ha).await;
            run_beside(&mut target, wanted, *after, links).await;
            run(&mut target, wanted, usize::MAX).await;
            target.close().await;
        }),
        Event::Unlink(number) => {
            let accounts = accounts(ha);
            let Some(at) = chosen(*number, accounts.len()) else { return };
            let id = accounts[at]["entry_id"].as_str().unwrap();
            ha.rest("DELETE", &format!("/api/config/config_entries/entry/{id}"), None);
        }
        Event::Delete(number) => {
            let held = ha.credentials();
            let Some(at) = chosen(*number, held.len()) else { return };
            // Home Assistant may refuse, as the model may.
            drop(delete(ha, &held[at]));
        }
        Event::Run { wanted, cut_after } => runtime.block_on(async {
            for cut_after in [*cut_after, usize::MAX] {
                let mut target = connected(ha).await;
                run(&mut target, wanted, cut_after).await;
                target.close().await;
            }
        }),
    }
}

fn link_there(ha: &HomeAssistant, number: usize) {
    let held = ha.credentials();
    let by: Vec<_> = held.iter().filter(|held| held["domain"] == LINKED).collect();
    let Some(at) = chosen(number, by.len()) else { return };
    let implementation = by[at]["auth_domain"].as_str().or(by[at]["id"].as_str());
    ha.link_by_hand(LINKED, implementation.unwrap());
}

async fn connected(ha: &HomeAssistant) -> ConnectedHomeAssistant {
    let settings = ConnectionSettings {
        url: ha.url(),
        token: Secret::new(ha.token()),
        network: Default::default(),
    };
    connect(settings).await.unwrap()
}

fn accounts(ha: &HomeAssistant) -> Vec<Value> {
    ha.config_entries().into_iter().filter(|entry| entry["domain"] == LINKED).collect()
}

fn delete(ha: &HomeAssistant, held: &Value) -> Result<Value, Value> {
    ha.call(json!({
        "type": "application_credentials/delete", "application_credentials_id": held["id"],
    }))
}

/// What the model holds, in Home Assistant's words.
fn told(shelf: &Shelf) -> Vec<String> {
    let told = |held: &Credential| {
        let (id, secret): (&CredentialId, _) = (&held.id, held.client_secret.clear().unwrap());
        let parts = [
            id.as_str(),
            held.domain.as_str(),
            held.client_id.as_str(),
            secret.expose(),
            held.name.as_deref().unwrap_or("-"),
            held.auth_domain.as_deref().unwrap_or("-"),
        ];
        parts.join(" ")
    };
    shelf.credentials.iter().map(told).collect()
}

fn told_there(ha: &HomeAssistant) -> Vec<String> {
    let fields = ["id", "domain", "client_id", "client_secret", "name", "auth_domain"];
    let told = |held: &Value| fields.map(|field| held[field].as_str().unwrap_or("-").to_owned());
    ha.credentials().iter().map(|held| told(held).join(" ")).collect()
}

each_release!(ha_histories_of_the_model_are_those_of_home_assistant);
fn ha_histories_of_the_model_are_those_of_home_assistant(release: Release) {
    let (ha, runtime) = (HomeAssistant::start(release), Runtime::new().unwrap());
    for seed in seeds(12) {
        for account in accounts(&ha) {
            let id = account["entry_id"].as_str().unwrap();
            ha.rest("DELETE", &format!("/api/config/config_entries/entry/{id}"), None);
        }
        for held in ha.credentials() {
            delete(&ha, &held).unwrap();
        }
        let mut shelf = empty();
        for (at, event) in events(seed).iter().enumerate() {
            let history = format!("history {seed}, event {at}, {event:?}");
            happen(&mut shelf, event, &history);
            happen_there(&ha, &runtime, event);
            assert_eq!(told(&shelf), told_there(&ha), "{history}");
            assert_eq!(shelf.config_entries.len(), accounts(&ha).len(), "{history}");
        }
    }
}
