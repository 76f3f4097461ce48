//! The engine of `watch` without Home Assistant: targets in memory, and tokio's paused time, so that an
//! hour passes in a millisecond.

mod callbacks;
mod clients;
mod conflicts;
mod failures;
mod house;
mod rounds;
mod set_ups;
mod simulation;
mod snapshots;
mod specs;
mod supervision;
mod waves;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appcred::callback::Delivery;
use appcred::lock::{TargetLock, WriteLock};
use appcred::model::{
    Adopt, ClientId, Completeness, Desired, DesiredCredential, Domain, HandOverError, Integration,
    Key, Labels, Owner, Place, Policy, Rollout, Secret, TargetName,
};
use appcred::status::{ManifestStatus, Mode, Revisions, Status, TargetStatus};
use appcred::target::Stop;
use appcred::target::config_dir::ConfigDirEndpoint;
use appcred::target::{ConnectError, Endpoint};
use appcred::watch::{
    self, CallbackRequest, ChangeDetection, Channels, Connect, Heartbeat, Notices, ReadSpecs,
    Reading, SnapshotStore, StatusStore, TargetSpec, WakeRequest, Wakes, WatchSettings,
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

pub(crate) use house::House;

/// The target that most tests have.
const HOME: &str = "home";
/// How often everything is looked at, in seconds.
const RESYNC: u64 = 300;
/// How most tests watch.
const SETTINGS: WatchSettings = WatchSettings {
    resync: Duration::from_secs(RESYNC),
    detection: ChangeDetection::Polling(Duration::from_secs(2)),
    verify_every: None,
};

/// A running engine.
struct Engine {
    project: Arc<Project>,
    houses: Arc<Houses>,
    reload: Arc<Notify>,
    stop: Stop,
    statuses: StatusStore,
    snapshots: SnapshotStore,
    heartbeat: Heartbeat,
    wakes: mpsc::Sender<WakeRequest>,
    callbacks: mpsc::Sender<CallbackRequest>,
    task: JoinHandle<()>,
    folder: TempDir,
}

/// What the reader reads.
struct Project {
    specs: Mutex<Option<BTreeMap<TargetName, TargetSpec>>>,
    rollout: Mutex<Rollout>,
    crashes: AtomicUsize,
    restarts: AtomicUsize,
    readings: AtomicUsize,
    /// A file that is written whenever the project changes.
    manifest: PathBuf,
}

struct Reader(Arc<Project>);

impl ReadSpecs for Reader {
    fn read(&mut self) -> Reading {
        self.0.readings.fetch_add(1, Ordering::Relaxed);
        tracing::trace!("reads");
        let left = self.0.crashes.load(Ordering::Relaxed);
        if left > 0 {
            self.0.crashes.store(left - 1, Ordering::Relaxed);
            panic!("the reader crashes, as the test wants");
        }
        let specs = self.0.specs.lock().unwrap().clone();
        let blocker = specs.is_none().then(|| "a manifest is in error".to_owned());
        let manifests = ManifestStatus {
            read_at: Some(Timestamp::UNIX_EPOCH),
            blocker,
            ..ManifestStatus::default()
        };
        let rollout = self.0.rollout.lock().unwrap().clone();
        Reading { specs, rollout, places: BTreeSet::from([self.0.manifest.clone()]), manifests }
    }

    fn restart(&mut self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

/// The targets that there are, by their addresses.
#[derive(Default)]
struct Houses(Mutex<BTreeMap<String, House>>);

impl Houses {
    fn at(&self, address: &str) -> House {
        self.0.lock().unwrap().entry(address.to_owned()).or_default().clone()
    }
}

struct Connector(Arc<Houses>);

impl Connect for Connector {
    type Target = house::Connected;

    async fn connect(&self, spec: &TargetSpec) -> Result<house::Connected, ConnectError> {
        let address = spec.endpoint.address();
        self.0.at(&address).connect(address).await
    }
}

impl Engine {
    /// Watches targets that should hold this.
    async fn start(specs: &[(&str, TargetSpec)]) -> Self {
        Self::start_with(specs, |_| {}).await
    }

    /// The same, after something was done to the target named home.
    async fn start_with(specs: &[(&str, TargetSpec)], prepare: impl FnOnce(&House)) -> Self {
        let houses = Arc::new(Houses::default());
        prepare(&houses.at(HOME));
        Self::start_at(houses, specs).await
    }

    /// The same, at targets that are there already.
    async fn start_at(houses: Arc<Houses>, specs: &[(&str, TargetSpec)]) -> Self {
        let (folder, project) = project(specs);
        let engine = Self::run(folder, project, houses);
        engine.pass(5).await;
        engine
    }

    fn run(folder: TempDir, project: Arc<Project>, houses: Arc<Houses>) -> Self {
        let statuses = StatusStore::new(|| Timestamp::UNIX_EPOCH);
        Self::run_with(folder, project, houses, statuses, SETTINGS)
    }

    fn run_with(
        folder: TempDir,
        project: Arc<Project>,
        houses: Arc<Houses>,
        statuses: StatusStore,
        settings: WatchSettings,
    ) -> Self {
        let (callbacks, receiver) = mpsc::channel(8);
        let (wakes, wake_receiver) = mpsc::channel(8);
        let (reload, stop, heartbeat) = (Arc::new(Notify::new()), Stop::new(), Heartbeat::new());
        let snapshots = SnapshotStore::default();
        let channels = Channels {
            statuses: statuses.clone(),
            snapshots: Some(snapshots.clone()),
            callbacks: receiver,
            wakes: Wakes::new(wake_receiver),
            reload: Arc::clone(&reload),
            heartbeat: heartbeat.clone(),
            stop: stop.clone(),
        };
        let reader = Reader(Arc::clone(&project));
        let connector = Connector(Arc::clone(&houses));
        let task = tokio::spawn(watch::run(settings, reader, connector, channels));
        Self {
            project,
            houses,
            reload,
            stop,
            statuses,
            snapshots,
            heartbeat,
            callbacks,
            wakes,
            task,
            folder,
        }
    }

    fn home(&self) -> House {
        self.houses.at(HOME)
    }

    /// Lets so many seconds pass.
    async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// The project says this from now on, and the engine has had the time to see it.
    async fn declare(&self, specs: &[(&str, TargetSpec)]) {
        self.say(Some(by_name(specs))).await;
    }

    /// A manifest is in error from now on.
    async fn break_manifests(&self) {
        self.say(None).await;
    }

    async fn say(&self, specs: Option<BTreeMap<TargetName, TargetSpec>>) {
        *self.project.specs.lock().unwrap() = specs;
        self.touch();
        self.pass(5).await;
    }

    /// The manifest is written once more.
    fn touch(&self) {
        let manifest = &self.project.manifest;
        let text = fs::read_to_string(manifest).unwrap() + "0";
        fs::write(manifest, text).unwrap();
    }

    async fn reload(&self) {
        self.reload.notify_one();
        self.pass(5).await;
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.statuses.subscribe().borrow())
    }

    #[track_caller]
    fn target(&self, name: &str) -> TargetStatus {
        let status = self.status();
        status.targets.get(&TargetName::new(name)).cloned().unwrap()
    }

    /// Why the last round at home failed.
    fn error(&self) -> Option<String> {
        self.target(HOME).error
    }

    /// A provider's answer arrives for a target.
    async fn call_back(&self, target: &str) -> Result<(), HandOverError> {
        let target = TargetName::new(target);
        let addressed = |answer| CallbackRequest { target, answer };
        Delivery::hand_over("code=c&state=s".to_owned(), &self.callbacks, addressed).await
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.path().join("watching/home.lock")
    }

    /// Stops, and waits for the end.
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// A project that says this.
fn project(specs: &[(&str, TargetSpec)]) -> (TempDir, Arc<Project>) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("manifest");
    fs::write(&manifest, "0").unwrap();
    let project = Project {
        specs: Mutex::new(Some(by_name(specs))),
        rollout: Mutex::new(Rollout::default()),
        crashes: AtomicUsize::new(0),
        restarts: AtomicUsize::new(0),
        readings: AtomicUsize::new(0),
        manifest,
    };
    (folder, Arc::new(project))
}

fn by_name(specs: &[(&str, TargetSpec)]) -> BTreeMap<TargetName, TargetSpec> {
    specs.iter().map(|(name, spec)| (TargetName::new(*name), spec.clone())).collect()
}

/// A spec for the target at this address.
fn spec_at(address: &str, credentials: Vec<DesiredCredential>) -> TargetSpec {
    TargetSpec {
        lifetimes: BTreeMap::new(),
        endpoint: Endpoint::ConfigDir(ConfigDirEndpoint(PathBuf::from(address))),
        inputs: BTreeMap::new(),
        revisions: Revisions::default(),
        desired: Desired {
            owner: Owner::new("house").unwrap(),
            previous_owners: BTreeSet::new(),
            credentials,
            unidentified: Vec::new(),
            elsewhere: BTreeMap::new(),
            completeness: Completeness::Whole,
        },
        seals: BTreeMap::default(),
        domains: BTreeMap::new(),
        policy: Policy::default(),
        labels: Labels::new(),
        is_suspended: false,
        mode: Mode::Repair,
        notices: Notices::default(),
        lock: TargetLock { file: None, holder: "test".to_owned() },
        writing: WriteLock {
            file: None,
            place: address.to_owned(),
            address: address.to_owned(),
            fence: None,
        },
    }
}

/// A spec for the target named home.
fn spec(credentials: Vec<DesiredCredential>) -> TargetSpec {
    spec_at(HOME, credentials)
}

/// An entry of Spotify whose key, client id and secret are these.
fn entry(key: &str, client_id: &str, secret: &str) -> DesiredCredential {
    DesiredCredential {
        key: Key::new(key).unwrap(),
        names_key: true,
        formerly: BTreeSet::new(),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new(secret).into(),
        name: key.into(),
        adopt: Adopt::No,
        integration: Integration::default(),
        place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
    }
}

/// The entry that most tests have.
fn one() -> DesiredCredential {
    entry("a", "client", "first")
}
