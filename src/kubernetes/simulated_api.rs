//! An API server of a simulated cluster, in this process: lists, watches and writes as Kubernetes means them, and what goes
//! wrong between it and who asks. It knows who has which Lease, and notes each write of a replica that must not write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::READ_TIMEOUT;
use super::replicas::LeaseSettings;
use super::shards::shard_of;

pub(super) const NAMESPACE: &str = "ns";
/// How long a Lease lasts.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How long an object that is being deleted waits.
pub(super) const DELETION_TIMEOUT: Duration = Duration::from_secs(600);
/// A watch ends by itself after this.
const WATCHED: Duration = Duration::from_secs(290);

/// The server.
#[derive(Clone)]
pub(super) struct ApiServer(Arc<Mutex<ApiState>>);

pub(super) struct ApiState {
    random: fastrand::Rng,
    version: u64,
    /// By their kind's plural and their name.
    objects: BTreeMap<(String, String), Value>,
    history: Vec<Change>,
    /// From where on changes are known.
    known_from: u64,
    /// Of so many in a hundred requests something becomes that their sender does not want.
    pub(super) faults: u32,
    /// Replicas of which nothing arrives, and who hear nothing.
    pub(super) cut_off: BTreeSet<usize>,
    /// Whether nobody is answered who looks up the versions of objects.
    pub(super) loses_look_ups: bool,
    /// A replica that hears late of objects of these kinds.
    pub(super) lag: Option<(usize, &'static [&'static str])>,
    /// Since when credentials' objects are being deleted, by name.
    deleted: BTreeMap<String, Instant>,
    /// Those of them that have waited for so long that what they represent may have stayed.
    pub(super) given_up: BTreeSet<String>,
    /// Who wrote each Lease last for itself, and when.
    terms: BTreeMap<String, (usize, Instant)>,
    /// How many shards there are by the first Lease, and since when.
    shards: (String, Instant),
    /// The number that was said last before that, and until when.
    shards_before: Option<(String, Instant)>,
    /// How many shards there are by each replica.
    pub(super) shards_of: BTreeMap<usize, usize>,
    pub(super) requests: usize,
    /// Of all but Leases.
    pub(super) writes: usize,
    /// What must not have happened.
    pub(super) violations: Vec<String>,
    changed: watch::Sender<u64>,
    /// Changes whenever all watches end.
    ended: watch::Sender<u64>,
}

/// What a watch is told.
#[derive(Clone)]
struct Change {
    version: u64,
    plural: String,
    what: &'static str,
    object: Value,
}

/// What becomes of a request.
enum Fate {
    /// It takes so long until it arrives, and the answer so long.
    Answered(Duration, Duration),
    Refused(StatusCode),
    /// It is carried out, and the answer breaks off.
    Lost,
    /// Nothing arrives.
    Vanishes,
}

/// What a request is about.
struct Asked {
    method: Method,
    plural: String,
    name: Option<String>,
    is_status: bool,
    is_partial: bool,
    watched_from: Option<u64>,
    body: Value,
}

impl Asked {
    fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// Of Secrets, all that is ever listed are the metadata.
    fn is_look_up(&self) -> bool {
        let is_list = self.name.is_none() && self.watched_from.is_none() && !self.is_write();
        is_list && self.is_partial && self.plural != "secrets"
    }

    /// In words. kube names events by the machine's clock, and has their moments from there.
    fn told(&self, uri: &Uri) -> String {
        let Self { method, plural, body, .. } = self;
        match plural.as_str() {
            "events" => format!("{method} {plural} {} {}", body["reason"], body["note"]),
            _ => format!("{method} {uri} {body}"),
        }
    }

    fn key(&self) -> (String, String) {
        let of_body = || self.body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (self.plural.clone(), self.name.clone().unwrap_or_else(of_body))
    }
}

fn asked(method: Method, uri: &Uri, is_partial: bool, body: Value) -> Asked {
    let mut parts = uri.path().split('/').skip_while(|part| *part != "namespaces").skip(2);
    let [plural, name, sub] = std::array::from_fn(|_| parts.next().map(str::to_owned));
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query: BTreeMap<_, _> = query.into_owned().collect();
    let version = || query.get("resourceVersion").and_then(|version| version.parse().ok());
    let watched_from = query.get("watch").map(|_| version().unwrap_or_default());
    let is_status = sub.is_some_and(|sub| sub == "status");
    Asked { method, plural: plural.unwrap(), name, is_status, is_partial, watched_from, body }
}

fn refusal(code: StatusCode) -> Value {
    let reason = match code {
        StatusCode::CONFLICT => "Conflict",
        StatusCode::GONE => "Expired",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        _ => "InternalError",
    };
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("simulated: {reason}"), "reason": reason, "code": code.as_u16()})
}

fn refused(code: StatusCode) -> Response {
    (code, refusal(code).to_string()).into_response()
}

fn broken() -> Response {
    let lost = std::io::Error::other("simulated: the connection is lost");
    Body::from_stream(stream::iter([Err::<Bytes, _>(lost)])).into_response()
}

impl ApiServer {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ApiState {
            random: fastrand::Rng::with_seed(seed),
            version: 1,
            objects: BTreeMap::new(),
            history: Vec::new(),
            known_from: 0,
            faults: 0,
            cut_off: BTreeSet::new(),
            loses_look_ups: false,
            lag: None,
            deleted: BTreeMap::new(),
            given_up: BTreeSet::new(),
            terms: BTreeMap::new(),
            shards: (String::new(), Instant::now()),
            shards_before: None,
            shards_of: BTreeMap::new(),
            requests: 0,
            writes: 0,
            violations: Vec::new(),
            changed: watch::Sender::new(1),
            ended: watch::Sender::new(0),
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ApiState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a replica reaches the server by.
    pub(super) fn client(&self, replica: usize) -> Client {
        let server = self.clone();
        let answer = move |request: Request| server.clone().answer(replica, request);
        Client::new(Router::new().fallback(answer), NAMESPACE)
    }

    async fn answer(self, replica: usize, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let accept = parts.headers.get("accept").and_then(|accept| accept.to_str().ok());
        let is_partial = accept.is_some_and(|accept| accept.contains("PartialObjectMetadata"));
        let asked = asked(parts.method, &parts.uri, is_partial, body);
        tracing::trace!(replica, "{}", asked.told(&parts.uri));
        let fate = {
            let mut state = self.state();
            state.requests += 1;
            if asked.is_write() && asked.plural != "leases" {
                state.writes += 1;
                let uid = asked.body["metadata"]["uid"].as_str().map(str::to_owned);
                // Of an event, the object is what counts.
                let about = asked.body["regarding"]["uid"].as_str().map(str::to_owned);
                let what = format!("{} {:?}", asked.method, asked.key());
                match about.or(uid) {
                    Some(uid) => state.check(replica, &what, &uid),
                    // One that goes on has no more in it than that.
                    None => assert_eq!(asked.plural, "events", "{what}"),
                }
            }
            match state.loses_look_ups && asked.is_look_up() {
                true => Fate::Vanishes,
                false => state.fate(replica),
            }
        };
        let (before, after) = match fate {
            Fate::Refused(code) => return refused(code),
            Fate::Vanishes => {
                sleep(READ_TIMEOUT).await;
                return broken();
            }
            Fate::Answered(before, after) => (before, after),
            Fate::Lost => (Duration::ZERO, Duration::ZERO),
        };
        if let Some(from) = asked.watched_from {
            sleep(before).await;
            return self.watch(replica, &asked, from);
        }
        // What was sent arrives, whether or not its sender still waits.
        let server = self.clone();
        let acted = tokio::spawn(async move {
            sleep(before).await;
            let response = server.state().act(replica, &asked);
            tracing::trace!(replica, "{} {} {}", asked.method, asked.plural, response.status());
            response
        });
        let response = acted.await.unwrap();
        sleep(after).await;
        if matches!(fate, Fate::Lost) { broken() } else { response }
    }

    fn watch(&self, replica: usize, asked: &Asked, from: u64) -> Response {
        let state = self.state();
        if from < state.known_from {
            let is_late = state.version.is_multiple_of(2);
            drop(state);
            let error = json!({"type": "ERROR", "object": refusal(StatusCode::GONE)});
            return if is_late {
                format!("{error}\n").into_response()
            } else {
                refused(StatusCode::GONE)
            };
        }
        let watching = Watching {
            server: self.clone(),
            replica,
            plural: asked.plural.clone(),
            is_partial: asked.is_partial,
            from,
            changed: state.changed.subscribe(),
            ended: state.ended.subscribe(),
            until: Instant::now() + WATCHED,
        };
        drop(state);
        Body::from_stream(stream::unfold(watching, Watching::next)).into_response()
    }

    /// Somebody applies an object.
    pub(super) fn apply(&self, plural: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let key = (plural.to_owned(), name.to_owned());
        let before = state.objects.get(&key).cloned();
        let uid = format!("uid-{}-{}", name, state.version);
        let kind = match plural {
            "homeassistants" => "HomeAssistant",
            "applicationcredentials" => "ApplicationCredential",
            _ => "Secret",
        };
        let version = if kind == "Secret" { "v1" } else { "appcred.io/v1alpha1" };
        let mut new = before.clone().unwrap_or_else(|| {
            json!({"apiVersion": version, "kind": kind,
                "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid, "generation": 0}})
        });
        edit(&mut new);
        if before.as_ref() == Some(&new) {
            return;
        }
        let generation = new["metadata"]["generation"].as_u64().unwrap();
        new["metadata"]["generation"] = json!(generation + 1);
        state.store(key, new);
    }

    /// Somebody deletes an object.
    pub(super) fn delete(&self, plural: &str, name: &str) {
        let mut state = self.state();
        let key = (plural.to_owned(), name.to_owned());
        let Some(mut object) = state.objects.get(&key).cloned() else { return };
        if object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty()) {
            object["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
            if plural == "applicationcredentials" {
                state.deleted.entry(name.to_owned()).or_insert_with(Instant::now);
            }
            state.store(key, object);
        } else {
            state.remove(&key);
        }
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.state().objects.get(&(plural.to_owned(), name.to_owned())).cloned()
    }

    /// Forgets what changed so far, so that watches must begin anew.
    pub(super) fn compact(&self) {
        let mut state = self.state();
        state.known_from = state.version;
        state.ended.send_modify(|number| *number += 1);
    }

    /// As etcd that was emptied, and all resources that are in Git applied again: versions begin anew, uids are others, and no
    /// Lease, status or finalizer is there any more.
    pub(super) fn empty(&self) {
        let mut state = self.state();
        (state.version, state.known_from) = (1, 0);
        state.history.clear();
        state.objects.retain(|(plural, _), _| plural != "leases");
        for (number, object) in (2..).zip(state.objects.values_mut()) {
            object.as_object_mut().unwrap().remove("status");
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("finalizers");
            metadata.insert("uid".to_owned(), json!(format!("uid-{number}-anew")));
            metadata.insert("generation".to_owned(), json!(1));
            metadata.insert("resourceVersion".to_owned(), json!(number.to_string()));
        }
        state.version += u64::try_from(state.objects.len()).unwrap();
        state.ended.send_modify(|number| *number += 1);
    }

    pub(super) fn end_watches(&self) {
        self.state().ended.send_modify(|number| *number += 1);
    }
}

impl ApiState {
    /// Notes a write of a replica that must know that it may not write any more.
    pub(super) fn check(&mut self, replica: usize, what: &str, uid: &str) {
        let latest = LEASE * 2 / 3;
        let shards = self.shards_of[&replica];
        let term = self.terms.get(&lease_name(shard_of(uid, shards)));
        let is_on = term.is_some_and(|(acting, at)| *acting == replica && at.elapsed() <= latest);
        let (number, since) = &self.shards;
        let is_late = *number != shards.to_string() && since.elapsed() > latest;
        // In its number's first moments, whoever acted by another one may go on.
        let is_early = self
            .shards_before
            .as_ref()
            .is_some_and(|(before, at)| *before != shards.to_string() && at.elapsed() < latest);
        if !is_on || is_late || is_early {
            let state =
                format!("{term:?} of {shards} shards, {number} since {:?}", since.elapsed());
            self.violations.push(format!("replica {replica} {what} in the term {state}"));
        }
    }

    fn fate(&mut self, replica: usize) -> Fate {
        if self.cut_off.contains(&replica) {
            return Fate::Vanishes;
        }
        let mut soon = || Duration::from_millis(self.random.u64(0..30));
        let (before, after) = (soon(), soon());
        if self.random.u32(0..100) >= self.faults {
            return Fate::Answered(before, after);
        }
        let mut late = || Duration::from_millis(self.random.u64(0..40_000));
        match late().as_millis() % 8 {
            0 => Fate::Refused(StatusCode::CONFLICT),
            1 => Fate::Refused(StatusCode::INTERNAL_SERVER_ERROR),
            2 => Fate::Refused(StatusCode::TOO_MANY_REQUESTS),
            3 => Fate::Refused(StatusCode::GONE),
            4 => Fate::Lost,
            5 => Fate::Vanishes,
            6 => Fate::Answered(late() / 8, late() / 8),
            _ => Fate::Answered(late(), late()),
        }
    }

    fn store(&mut self, key: (String, String), mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let is_new = self.objects.insert(key.clone(), object.clone()).is_none();
        self.tell(key.0, if is_new { "ADDED" } else { "MODIFIED" }, object);
    }

    fn remove(&mut self, key: &(String, String)) {
        let Some(mut object) = self.objects.remove(key) else { return };
        if *key == ("leases".to_owned(), lease_name(0)) {
            self.say_shards(String::new());
        }
        if key.0 == "applicationcredentials"
            && self.deleted.remove(&key.1).is_some_and(|since| since.elapsed() >= DELETION_TIMEOUT)
        {
            self.given_up.insert(key.1.clone());
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(key.0.clone(), "DELETED", object);
    }

    fn tell(&mut self, plural: String, what: &'static str, object: Value) {
        let version = self.version;
        self.history.push(Change { version, plural, what, object });
        self.changed.send_replace(version);
    }

    fn act(&mut self, replica: usize, asked: &Asked) -> Response {
        let key = asked.key();
        let held = self.objects.get(&key).cloned();
        match (&asked.method, &asked.name, held) {
            (&Method::GET, None, _) => self.list(asked).to_string().into_response(),
            (&Method::GET, Some(_), Some(held)) => held.to_string().into_response(),
            (&Method::POST, _, None) => {
                let mut object = asked.body.clone();
                object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
                self.store(key.clone(), object);
                self.written(replica, &key);
                (StatusCode::CREATED, self.objects[&key].to_string()).into_response()
            }
            (&Method::POST, _, Some(_)) => refused(StatusCode::CONFLICT),
            (&Method::PUT | &Method::PATCH, _, Some(held)) => self.replace(replica, asked, &held),
            _ => refused(StatusCode::NOT_FOUND),
        }
    }

    fn list(&self, asked: &Asked) -> Value {
        let of_kind = self.objects.iter().filter(|((plural, _), _)| *plural == asked.plural);
        let items: Vec<Value> = of_kind.map(|(_, object)| seen(object, asked.is_partial)).collect();
        let version = self.version.to_string();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items})
    }

    fn replace(&mut self, replica: usize, asked: &Asked, held: &Value) -> Response {
        let key = asked.key();
        for field in ["uid", "resourceVersion"] {
            let expected = &asked.body["metadata"][field];
            if !expected.is_null() && *expected != held["metadata"][field] {
                return refused(StatusCode::CONFLICT);
            }
        }
        let mut new = held.clone();
        match (asked.method == Method::PUT, asked.is_status) {
            (true, _) => {
                new["spec"] = asked.body["spec"].clone();
                new["metadata"]["annotations"] = asked.body["metadata"]["annotations"].clone();
            }
            (_, true) => merge(&mut new["status"], &asked.body["status"]),
            (_, false) => merge(&mut new, &asked.body),
        }
        // As in Kubernetes, what changes nothing is no new version.
        if new != *held {
            let is_over = !new["metadata"]["deletionTimestamp"].is_null()
                && new["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
            self.store(key.clone(), new.clone());
            if is_over {
                self.remove(&key);
            }
        }
        self.written(replica, &key);
        let new = self.objects.get(&key).unwrap_or(&new);
        new.to_string().into_response()
    }

    /// From now on the first Lease says another number of shards, or none.
    fn say_shards(&mut self, number: String) {
        let (before, _) = std::mem::replace(&mut self.shards, (number, Instant::now()));
        if before.parse::<usize>().is_ok() {
            self.shards_before = Some((before, Instant::now()));
        }
    }

    fn written(&mut self, replica: usize, key: &(String, String)) {
        if key.0 != "leases" {
            return;
        }
        let lease = &self.objects[key];
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let is_its_own = holder.starts_with(&format!("replica-{replica}_"));
        if is_its_own {
            self.terms.insert(key.1.clone(), (replica, Instant::now()));
        } else if self.terms.get(&key.1).is_some_and(|(acting, _)| *acting == replica) {
            // It is given back, or handed over.
            self.terms.remove(&key.1);
        }
        let number = lease["metadata"]["annotations"]["appcred.io/shards"].as_str();
        let number = number.unwrap_or_default().to_owned();
        if key.1 == lease_name(0) && self.shards.0 != number {
            self.say_shards(number);
        }
    }
}

/// What the Lease of a shard is called.
pub(super) fn lease_name(shard: usize) -> String {
    let (namespace, host) = (String::new(), String::new());
    LeaseSettings { namespace, host, duration: LEASE, shards: 1 }.name(shard)
}

/// As JSON Merge Patch (RFC 7386) has it.
fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name], value);
        }
    }
}

/// An object, or of it what the metadata are.
fn seen(object: &Value, is_partial: bool) -> Value {
    if is_partial {
        let metadata = &object["metadata"];
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
    } else {
        object.clone()
    }
}

/// A watch.
struct Watching {
    server: ApiServer,
    replica: usize,
    plural: String,
    is_partial: bool,
    from: u64,
    changed: watch::Receiver<u64>,
    ended: watch::Receiver<u64>,
    until: Instant,
}

impl Watching {
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        let mut silent_since = Instant::now();
        loop {
            let (next, is_cut_off, wait) = {
                let mut state = self.server.state();
                let from = state.history.partition_point(|one| one.version <= self.from);
                let is_next = |one: &&Change| one.plural == self.plural;
                let next = state.history[from..].iter().find(is_next).cloned();
                // One that was begun at a version which the server has not reached hears nothing before that.
                self.from = next.as_ref().map_or(state.version.max(self.from), |_| self.from);
                let lags = state.lag.is_some_and(|(replica, kinds)| {
                    replica == self.replica && kinds.contains(&self.plural.as_str())
                });
                let most = match state.faults {
                    _ if lags => 20_000,
                    0 => 30,
                    _ => 3000,
                };
                let wait = Duration::from_millis(state.random.u64(0..most));
                (next, state.cut_off.contains(&self.replica), wait)
            };
            if is_cut_off {
                sleep(Duration::from_secs(1)).await;
                if silent_since.elapsed() > READ_TIMEOUT {
                    return Some((Err(std::io::Error::other("simulated: silence")), self));
                }
                continue;
            }
            if let Some(change) = next {
                sleep(wait).await;
                self.from = change.version;
                let object = seen(&change.object, self.is_partial);
                let line = format!("{}\n", json!({"type": change.what, "object": object}));
                tracing::trace!(self.replica, "is told {}", line.trim_end());
                return Some((Ok(line.into()), self));
            }
            silent_since = Instant::now();
            tokio::select! {
                _ = self.changed.changed() => {}
                _ = self.ended.changed() => return None,
                () = sleep_until(self.until) => return None,
            }
        }
    }
}
