//! Replicas of the controller through random faults of an API server, of Home Assistants and of themselves, in simulated hours.
//! Nobody writes without the Lease, and when all is well again, everything is as declared, written back, and at rest.
//!
//! Faults, their order and pauses come from a seed, as does all that is done then. `APPCRED_HISTORY=7` runs the one of that
//! seed, `APPCRED_HISTORIES=1000` so many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Config};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::replicas::LeaseSettings;
use super::simulated::{come_from_their_seeds, elapsed, simulate_histories, simulated};
use super::simulated_api::{ApiServer, DELETION_TIMEOUT, LEASE, NAMESPACE, lease_name};
use super::simulated_home::{HomeConnector, SimulatedHome};
use super::source::ClusterScope;
use super::{Cluster, ClusterParts, ControllerSettings, begin};
use crate::model::{ClientId, Credential, CredentialId, Domain, EntryState, Owner, Secret};
use crate::target::Stop;
use crate::watch::{self, ChangeDetection, Channels, Heartbeat, StatusStore, Wakes, WatchSettings};

const INSTANCES: [&str; 2] = ["cabin", "barn"];
/// The first one's account is linked in both instances.
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const RESYNC: Duration = Duration::from_secs(300);
/// Of what a replica may hear late.
const LATE: [&[&str]; 3] = [
    &["homeassistants"],
    &["applicationcredentials"],
    &["homeassistants", "applicationcredentials"],
];
const BY_HAND: &str = "by-hand";

fn clock() -> Timestamp {
    Timestamp::from_second(24 * 3600).unwrap() + elapsed()
}

fn address(instance: &str) -> String {
    format!("http://{instance}:8123")
}

/// The replicas, and all around them.
struct World {
    server: ApiServer,
    homes: BTreeMap<String, SimulatedHome>,
    replicas: BTreeMap<usize, Replica>,
    begun: usize,
    /// How many shards there are for who begins.
    shards: usize,
    /// What was deleted while it was suspended: nothing of that is changed.
    left: BTreeSet<String>,
}

/// A process, as it were.
struct Replica {
    shards: usize,
    /// They end only when they are dropped.
    _tasks: JoinSet<()>,
    engine: JoinSet<()>,
    lease: JoinSet<()>,
    stop: Stop,
    end: Stop,
}

impl Replica {
    async fn end(mut self) {
        self.stop.cancel();
        while self.engine.join_next().await.is_some() {}
        self.end.cancel();
        while self.lease.join_next().await.is_some() {}
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let server = ApiServer::new(seed);
        let mut homes = BTreeMap::new();
        server.apply("secrets", "token", |of| of["data"] = json!({"token": "dG9rZW4="}));
        for instance in INSTANCES {
            let token = json!({"name": "token", "key": "token"});
            server.apply("homeassistants", instance, |of| {
                of["metadata"]["labels"] = json!({"house": instance});
                of["spec"] = json!({"url": address(instance), "tokenSecretRef": token});
            });
            let home = SimulatedHome::default();
            let by_hand = Credential {
                id: CredentialId::new(format!("spotify_{BY_HAND}")),
                domain: Domain::new("spotify"),
                client_id: ClientId::new(BY_HAND),
                client_secret: Secret::new("theirs").into(),
                name: None,
                auth_domain: None,
            };
            home.state().shelf.credentials.push(by_hand);
            home.state().shelf.link(&Domain::new("spotify"), &mark("a"));
            homes.insert(address(instance), home);
        }
        let (replicas, left) = (BTreeMap::new(), BTreeSet::new());
        Self { server, homes, replicas, begun: 0, shards: 1, left }
    }

    fn begin(&mut self) {
        self.begun += 1;
        let (number, stop, end) = (self.begun, Stop::new(), Stop::new());
        self.server.state().shards_of.insert(number, self.shards);
        let client = self.server.client(number);
        let config = Config::new("http://127.0.0.1:9".parse().unwrap());
        let cluster = Cluster { client: client.clone(), config, namespace: NAMESPACE.to_owned() };
        let lease = LeaseSettings {
            namespace: NAMESPACE.to_owned(),
            duration: LEASE,
            host: format!("replica-{number}"),
            shards: self.shards,
        };
        let settings = ControllerSettings {
            scope: ClusterScope::Namespace(NAMESPACE.to_owned()),
            owner: Owner::new("kubernetes").unwrap(),
            deletion_timeout: DELETION_TIMEOUT,
            clock,
            lease: Some(lease),
        };
        let statuses = StatusStore::new(clock);
        let ClusterParts { mut reader, tasks, replicas } =
            begin(&cluster, settings, &statuses, &stop);
        let (mut lease, mut engine) = (JoinSet::new(), JoinSet::new());
        let (replicas, ended) = (replicas.unwrap(), end.clone());
        lease.spawn(async move {
            replicas.run(&Api::namespaced(client, NAMESPACE), ended).await;
        });
        let (homes, server) = (self.homes.clone(), self.server.clone());
        let connector = HomeConnector { homes, server, replica: number };
        let until = stop.clone();
        engine.spawn(async move {
            let settings = WatchSettings {
                resync: RESYNC,
                detection: ChangeDetection::Events,
                verify_every: None,
            };
            let (_callbacks, callbacks) = mpsc::channel(1);
            let (_wakes, wakes) = mpsc::channel(1);
            let channels = Channels {
                statuses,
                snapshots: None,
                callbacks,
                wakes: Wakes::new(wakes),
                reload: Arc::new(Notify::new()),
                heartbeat: Heartbeat::new(),
                stop: until.clone(),
            };
            until.run_until_cancelled(reader.answered()).await;
            watch::run(settings, reader, connector, channels).await;
        });
        let shards = self.shards;
        self.replicas.insert(number, Replica { shards, _tasks: tasks, engine, lease, stop, end });
    }

    fn any_replica(&self, random: &mut fastrand::Rng) -> Option<usize> {
        random.choice(self.replicas.keys().copied())
    }

    /// As `kubectl apply` of one credential and its Secret, unless it is just being deleted.
    fn declare(&mut self, key: &'static str, random: &mut fastrand::Rng) {
        let before = self.server.get("applicationcredentials", key);
        if before.is_some_and(|before| !before["metadata"]["deletionTimestamp"].is_null()) {
            return;
        }
        let is_everywhere = key == "a" || random.bool();
        self.declare_for(key, is_everywhere, random);
    }

    fn declare_for(&self, key: &'static str, is_everywhere: bool, random: &mut fastrand::Rng) {
        let client = if key == "a" { 0 } else { random.u8(0..2) };
        let secret = random.u8(0..3);
        let is_suspended = key != "a" && random.u8(0..6) == 0;
        self.server.apply("secrets", key, |of| of["data"] = json!({"secret": encoded(secret)}));
        self.server.apply("applicationcredentials", key, |of| {
            let selector = if is_everywhere { json!({}) } else { json!({"house": INSTANCES[0]}) };
            of["spec"] = json!({
                "domain": "spotify",
                "clientId": format!("{key}-{client}"),
                "clientSecretRef": {"name": key, "key": "secret"},
                "targetSelector": {"matchLabels": selector},
                "integration": {"setup": false},
                "suspend": is_suspended,
                "maxDeletes": "100%",
            });
        });
    }

    /// As labels that are taken off what has come there just before all replicas were killed.
    async fn take_off_in_a_crash(&mut self, random: &mut fastrand::Rng) -> String {
        let key = KEYS[random.usize(1..KEYS.len())];
        let is_alive = |of: &Value| of["metadata"]["deletionTimestamp"].is_null();
        if !self.server.get("applicationcredentials", key).is_none_or(|of| is_alive(&of)) {
            return "nothing".to_owned();
        }
        self.declare_for(key, true, random);
        self.wait_for(500, |world| world.is_held(INSTANCES[1], key)).await;
        self.replicas.clear();
        self.declare_for(key, false, random);
        format!("{key} is taken off as it comes, all are killed")
    }

    fn delete(&mut self, key: &'static str) {
        let Some(object) = self.server.get("applicationcredentials", key) else { return };
        if object["spec"]["suspend"] == true {
            self.left.insert(key.to_owned());
        }
        self.server.delete("applicationcredentials", key);
    }

    /// As a resource that is deleted as soon as a status says that it is wanted.
    async fn come_and_go(&mut self, random: &mut fastrand::Rng) -> String {
        let key = KEYS[random.usize(1..KEYS.len())];
        if self.server.get("applicationcredentials", key).is_none() {
            self.declare_for(key, true, random);
            let is_in_one = |world: &Self| INSTANCES.iter().any(|of| world.is_in_status(of, key));
            self.wait_for(500, is_in_one).await;
        }
        self.delete(key);
        format!("{key} goes as it comes")
    }

    fn is_in_status(&self, instance: &str, key: &str) -> bool {
        let instance = self.server.get("homeassistants", instance).unwrap_or_default();
        let held = instance["status"]["credentials"].as_array();
        held.is_some_and(|held| held.iter().any(|of| of["name"] == key))
    }

    /// Waits until this is so, and for so many looks at most.
    async fn wait_for(&self, looks: usize, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..looks {
            if is_so(self) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_held_somewhere(&self, key: &str) -> bool {
        INSTANCES.iter().any(|instance| self.is_held(instance, key))
    }

    fn is_held(&self, instance: &str, key: &str) -> bool {
        let (state, mark) = (self.homes[&address(instance)].state(), mark(key));
        state.shelf.credentials.iter().any(|of| of.auth_domain.as_deref() == Some(&*mark))
    }

    /// As a credential that comes and goes while a replica hears late of it, which then may be the only one that is left.
    async fn go_unheard(&mut self, random: &mut fastrand::Rng) -> String {
        let key = KEYS[random.usize(1..KEYS.len())];
        if self.replicas.len() < 2 {
            self.begin();
        }
        self.delete(key);
        sleep(2 * LEASE).await;
        if self.server.get("applicationcredentials", key).is_some() {
            return format!("{key} is deleted");
        }
        let Some(late) = self.any_replica(random) else { return "nothing".to_owned() };
        let kinds = LATE[random.usize(0..LATE.len())];
        self.server.state().lag = Some((late, kinds));
        self.declare_for(key, true, random);
        self.wait_for(random.usize(0..500), |world| world.is_held_somewhere(key)).await;
        self.delete(key);
        let mut what = format!("{key} comes and goes, late is {late} of {kinds:?}");
        if random.bool() {
            sleep(Duration::from_millis(1 << random.u8(0..13))).await;
            what += &format!(", {}", self.leave_alone(late, random).await);
        }
        what
    }

    /// As a credential that goes while others act for all that a replica acted for, which then is the only one that is left,
    /// and hears late of what was done.
    async fn take_over_late(&mut self, random: &mut fastrand::Rng) -> String {
        let Some(late) = self.any_replica(random) else { return "nothing".to_owned() };
        let key = KEYS[random.usize(1..KEYS.len())];
        if self.replicas.len() == 1 {
            self.begin();
        }
        self.server.state().cut_off.insert(late);
        sleep(2 * LEASE).await;
        if random.bool() {
            self.delete(key);
        } else {
            self.declare(key, random);
        }
        sleep(Duration::from_millis(random.u64(0..8000))).await;
        self.server.state().lag = Some((late, LATE[2]));
        self.server.state().cut_off.remove(&late);
        let alone = self.leave_alone(late, random).await;
        format!("{key} changes while {late} is cut off, which hears late of it, and {alone}")
    }

    /// All other replicas end, or are killed.
    async fn leave_alone(&mut self, number: usize, random: &mut fastrand::Rng) -> String {
        let all = std::mem::take(&mut self.replicas);
        let (alone, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(other, _)| *other == number);
        self.replicas = alone;
        let is_killed = random.bool();
        for other in others.into_values() {
            if !is_killed {
                other.end().await;
            }
        }
        format!("{number} is alone, the others {}", if is_killed { "are killed" } else { "end" })
    }

    /// What may have stayed although it was deleted.
    fn given_up(&self) -> BTreeSet<String> {
        &self.server.state().given_up | &self.left
    }

    fn strike_home(&self, random: &mut fastrand::Rng) -> String {
        let (instance, home) = random.choice(&self.homes).unwrap();
        let what = match random.u8(0..8) {
            0 => {
                home.state().is_down = true;
                home.disconnect();
                "goes down"
            }
            1..=2 => {
                home.state().is_down = false;
                "comes up"
            }
            3 => {
                home.disconnect();
                "ends its connections"
            }
            4 => {
                home.state().refuses = true;
                "refuses everything"
            }
            5 => {
                home.state().refuses = false;
                "refuses no more"
            }
            6 => {
                home.state().slow = Duration::from_secs(random.u64(0..20));
                "is slow"
            }
            _ => {
                let lost = format!("{}-0", KEYS[random.usize(1..KEYS.len())]);
                let mut state = home.state();
                state.shelf.credentials.retain(|held| held.client_id != ClientId::new(&*lost));
                drop(state);
                home.report();
                "loses a credential"
            }
        };
        format!("{instance} {what}")
    }

    fn strike_server(&self, random: &mut fastrand::Rng) -> String {
        match random.u8(0..11) {
            9..=10 => {
                let number = self.any_replica(random).filter(|_| random.u8(0..4) > 0);
                let lag = number.map(|number| (number, LATE[random.usize(0..LATE.len())]));
                self.server.state().lag = lag;
                format!("late is {lag:?}")
            }
            8 => {
                let mut state = self.server.state();
                state.loses_look_ups = !state.loses_look_ups;
                format!("look-ups are lost: {}", state.loses_look_ups)
            }
            0..=1 => {
                let faults = [0, 20, 60, 100][random.usize(0..4)];
                self.server.state().faults = faults;
                format!("{faults} of 100 requests fail")
            }
            2 => {
                self.server.compact();
                "watches are too old".to_owned()
            }
            3 => {
                self.server.end_watches();
                "watches end".to_owned()
            }
            4 => {
                let name = lease_name(random.usize(0..self.shards));
                self.server.delete("leases", &name);
                format!("somebody deletes the Lease {name}")
            }
            5..=6 => {
                let Some(number) = self.any_replica(random) else { return "nothing".to_owned() };
                self.server.state().cut_off.insert(number);
                format!("replica {number} is cut off")
            }
            _ => {
                self.server.state().cut_off.clear();
                "nobody is cut off".to_owned()
            }
        }
    }

    async fn strike_replica(&mut self, random: &mut fastrand::Rng) -> String {
        let number = self.any_replica(random);
        match (random.u8(0..4), number) {
            (0, Some(number)) => {
                self.replicas.remove(&number);
                format!("replica {number} is killed")
            }
            (1, Some(number)) => {
                self.replicas.remove(&number).unwrap().end().await;
                format!("replica {number} ends")
            }
            _ if self.replicas.len() < 3 => {
                self.begin();
                format!("replica {} begins", self.begun)
            }
            _ => "nothing".to_owned(),
        }
    }

    async fn happen(&mut self, random: &mut fastrand::Rng) -> String {
        let key = KEYS[random.usize(0..KEYS.len())];
        match random.u8(0..23) {
            22 => self.take_over_late(random).await,
            20..=21 => self.go_unheard(random).await,
            18..=19 => self.come_and_go(random).await,
            17 => {
                self.shards = [1, 2, 4][random.usize(0..3)];
                format!("{} shards for who begins", self.shards)
            }
            0..=4 => {
                self.declare(key, random);
                format!("{key} is declared")
            }
            5..=6 if key != "a" => {
                self.delete(key);
                format!("{key} is deleted")
            }
            5..=9 => self.strike_home(random),
            10..=12 => self.strike_server(random),
            13 => self.take_off_in_a_crash(random).await,
            _ => self.strike_replica(random).await,
        }
    }

    /// All is well from now on.
    fn heal(&mut self, random: &mut fastrand::Rng) {
        let mut state = self.server.state();
        state.faults = 0;
        (state.loses_look_ups, state.lag) = (false, None);
        state.cut_off.clear();
        drop(state);
        for home in self.homes.values() {
            let mut state = home.state();
            (state.is_down, state.refuses, state.slow) = (false, false, Duration::ZERO);
        }
        // Those that disagree are ended.
        self.replicas.retain(|_, replica| replica.shards == self.shards);
        if self.replicas.is_empty() {
            self.begin();
        }
        for key in KEYS {
            self.declare(key, random);
        }
    }

    #[track_caller]
    fn keeps_accounts(&self, history: &str) {
        for (instance, home) in &self.homes {
            let state = home.state();
            for account in &state.shelf.config_entries {
                assert!(
                    state.shelf.in_force(account).is_some(),
                    "{history}: {instance} {account:?}"
                );
            }
        }
    }

    /// What an instance holds is in its status, and its object is there: otherwise nobody would ever delete it.
    #[track_caller]
    fn loses_track_of_nothing(&self, history: &str) {
        let given_up = self.given_up();
        for (instance, key) in
            INSTANCES.into_iter().flat_map(|instance| KEYS.map(|key| (instance, key)))
        {
            if self.is_held(instance, key) && !given_up.contains(key) {
                let is_there = self.server.get("applicationcredentials", key).is_some();
                assert!(
                    is_there && self.is_in_status(instance, key),
                    "{history}: {instance} {key} is lost"
                );
            }
        }
    }

    /// Each instance holds what is declared for it, once, and what was made by hand.
    #[track_caller]
    fn is_as_declared(&self, history: &str) {
        let given_up = self.given_up();
        self.keeps_accounts(history);
        for instance in INSTANCES {
            let state = self.homes[&address(instance)].state();
            let mut held: Vec<String> = state.shelf.credentials.iter().map(told).collect();
            let mut wanted = vec![format!("{BY_HAND} theirs -")];
            let mut free = Vec::new();
            for key in KEYS {
                let object = self.server.get("applicationcredentials", key).unwrap_or_default();
                let spec = &object["spec"];
                let label = &spec["targetSelector"]["matchLabels"]["house"];
                if spec["suspend"] == true {
                    free.push(mark(key));
                } else if spec.is_object() && (label.is_null() || *label == instance) {
                    let client = spec["clientId"].as_str().unwrap();
                    wanted.push(format!("{client} {} {}", self.secret(key), mark(key)));
                } else if given_up.contains(key) {
                    free.push(mark(key));
                }
            }
            // What is suspended may be there in any state, and so may what was given up.
            held.retain(|held| !free.iter().any(|mark| held.ends_with(mark)));
            held.sort();
            wanted.sort();
            assert_eq!(held, wanted, "{history}: {instance}");
            for account in &state.shelf.config_entries {
                assert_ne!(account.state, EntryState::SetupError, "{history}: {instance}");
            }
        }
    }

    fn secret(&self, key: &str) -> String {
        let object = self.server.get("secrets", key).unwrap();
        let texts = (0..3).map(|number| (encoded(number), format!("secret-{number}")));
        let texts: BTreeMap<String, String> = texts.collect();
        texts[object["data"]["secret"].as_str().unwrap()].clone()
    }

    /// Each object says how it is, and none is left that is being deleted.
    #[track_caller]
    fn is_written_back(&self, history: &str) {
        let all = KEYS.iter().map(|key| ("applicationcredentials", *key));
        for (plural, name) in all.chain(INSTANCES.map(|instance| ("homeassistants", instance))) {
            let Some(object) = self.server.get(plural, name) else { continue };
            let (metadata, status) = (&object["metadata"], &object["status"]);
            assert!(metadata["deletionTimestamp"].is_null(), "{history}: {object:#}");
            assert_eq!(
                status["observedGeneration"], metadata["generation"],
                "{history}: {object:#}"
            );
            let is_ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
            let is_suspended = object["spec"]["suspend"] == true;
            let conditions = status["conditions"].as_array().unwrap();
            assert!(is_suspended || conditions.iter().any(is_ready), "{history}: {object:#}");
        }
    }
}

fn encoded(secret: u8) -> String {
    // `secret-0` and so on in Base64.
    ["c2VjcmV0LTA=", "c2VjcmV0LTE=", "c2VjcmV0LTI="][usize::from(secret)].to_owned()
}

fn mark(key: &str) -> String {
    format!("appcred:kubernetes.{NAMESPACE}:{key}")
}

fn told(held: &Credential) -> String {
    let secret = held.client_secret.clear().unwrap().expose();
    format!("{} {secret} {}", held.client_id, held.auth_domain.as_deref().unwrap_or("-"))
}

async fn simulate(seed: u64) {
    let mut world = World::new(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    KEYS.iter().for_each(|key| world.declare(key, &mut random));
    world.shards = random.usize(1..4);
    (0..=random.u8(0..2)).for_each(|_| world.begin());
    sleep(Duration::from_secs(60)).await;
    let mut history = format!("history {seed}");
    world.is_as_declared(&history);
    for _ in 0..6 + random.u8(0..20) {
        history += &format!(", {}", world.happen(&mut random).await);
        tracing::info!("{history}");
        // Much happens within a second.
        let pause = Duration::from_millis(1 << random.u8(6..19));
        sleep(pause).await;
        history += &format!(", {} s", pause.as_secs_f64());
        world.keeps_accounts(&history);
        world.loses_track_of_nothing(&history);
        assert_eq!(world.server.state().violations, [""; 0], "{history}");
    }
    world.heal(&mut random);
    sleep(DELETION_TIMEOUT * 2 + 4 * RESYNC).await;
    world.is_as_declared(&history);
    world.is_written_back(&history);
    is_at_rest(&world, &history).await;
    assert_eq!(world.server.state().violations, [""; 0], "{history}");
}

/// Nothing is written any more, and nobody asks without need.
async fn is_at_rest(world: &World, history: &str) {
    let writes = || world.server.state().writes;
    let requests = || world.server.state().requests;
    let looks = || world.homes.values().map(|home| home.state().looks).collect::<Vec<_>>();
    let before = (writes(), requests(), looks(), Instant::now());
    sleep(Duration::from_secs(1200)).await;
    assert_eq!(writes(), before.0, "{history}: it writes at rest");
    // A look at the Leases every ninth of their duration, a renewal of each every third; and three watches.
    let renewals = world.shards * 1200 * 3 / 15;
    let most = world.replicas.len() * (1200 * 9 / 15 + 3 * 8) + renewals;
    let asked = requests() - before.1;
    assert!(asked <= most, "{history}: {asked} requests, and not {most}");
    for (now, before) in looks().iter().zip(before.2) {
        let looked = now - before;
        assert!((3..=8).contains(&looked), "{history}: {looked} looks");
    }
}

#[test]
fn replicas_arrive_whatever_came_before() {
    simulate_histories(10, simulate);
}

#[test]
#[cfg_attr(not(tokio_unstable), ignore = "without `--cfg tokio_unstable`, tokio takes no seed")]
fn what_replicas_do_comes_from_the_seed_alone() {
    come_from_their_seeds(2, "kubernetes::simulation::replicas_arrive_whatever_came_before");
}

#[test]
fn who_takes_over_loses_track_of_nothing_that_others_have_created_whatever_it_hears_late_of() {
    for (seed, kinds) in (0..).zip(LATE) {
        simulated(seed, async {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut world = World::new(seed);
            world.begin();
            sleep(2 * LEASE).await;
            world.begin();
            world.server.state().cut_off.insert(1);
            sleep(2 * LEASE).await;
            KEYS.iter().for_each(|key| world.declare_for(key, true, &mut random));
            sleep(2 * LEASE).await;
            assert!(world.is_held("barn", "a"), "{kinds:?}");
            world.server.state().lag = Some((1, kinds));
            world.server.state().cut_off.clear();
            world.replicas.remove(&2).unwrap().end().await;
            for _ in 0..600 {
                sleep(Duration::from_millis(100)).await;
                world.loses_track_of_nothing(&format!("late is 1 of {kinds:?}"));
            }
        });
    }
}

#[test]
fn what_goes_while_a_replica_hears_late_is_lost_nowhere() {
    let replicas = |world: &mut World| (world.replicas.len()..2).for_each(|_| world.begin());
    for (seed, kinds) in (0..).zip(LATE) {
        simulated(seed, async {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut world = World::new(seed);
            world.shards = 2;
            for (key, are_killed) in KEYS[1..].iter().flat_map(|key| [(*key, false), (*key, true)])
            {
                replicas(&mut world);
                sleep(4 * LEASE).await;
                let late = world.any_replica(&mut random).unwrap();
                world.server.state().lag = Some((late, kinds));
                world.declare_for(key, true, &mut random);
                world.wait_for(500, |world| world.is_held_somewhere(key)).await;
                world.delete(key);
                if are_killed {
                    world.replicas.retain(|number, _| *number == late);
                }
                for _ in 0..600 {
                    sleep(Duration::from_millis(100)).await;
                    world.loses_track_of_nothing(&format!(
                        "{key} goes, late is {late} of {kinds:?}"
                    ));
                }
                world.server.state().lag = None;
            }
        });
    }
}

#[test]
fn a_cluster_that_was_emptied_and_filled_again_is_read_anew() {
    for (seed, shards) in [(0, 1), (1, 3)] {
        simulated(seed, async {
            let history = format!("{shards} shards");
            let mut random = fastrand::Rng::with_seed(seed);
            let mut world = World::new(seed);
            world.shards = shards;
            (0..2).for_each(|_| world.begin());
            KEYS.iter().for_each(|key| world.declare_for(key, true, &mut random));
            // So many versions of Leases that the server does not come that far again.
            sleep(60 * LEASE).await;
            world.is_as_declared(&history);
            world.server.empty();
            for key in KEYS {
                world.server.apply("applicationcredentials", key, |of| {
                    of["spec"]["suspend"] = json!(false)
                });
                world.server.apply("secrets", key, |of| of["data"] = json!({"secret": encoded(2)}));
            }
            sleep(8 * LEASE).await;
            world.is_as_declared(&history);
            world.is_written_back(&history);
            assert_eq!(world.server.state().violations, [""; 0], "{history}");
        });
    }
}
