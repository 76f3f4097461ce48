//! The server of `watch` by itself, with a status made by hand.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use appcred::codes::{ActionCode, OutcomeCode};
use appcred::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span};
use appcred::model::{
    ClientId, Commit, ConfigEntry, ConsentLink, Domain, EntryId, EntryState, FlowStep,
    HandOverError, Key, Lifetime, Place, Secret, TargetName,
};
use appcred::plan::{Reason, SetupState, Why};
use appcred::report::FileNames;
use appcred::server::{Access, Ingress, Serving, TokenFile, serve};
use appcred::status::{
    AccessFault, Difference, EntryStatus, Holding, Link, ManifestStatus, Mode, RecordedStep,
    SetUpStatus, Status, TargetStatus, WantedDigest,
};
use appcred::target::Stop;
use appcred::target::home_assistant::ConnectionSettings;
use appcred::watch::{
    AdministratorQuery, AdministratorsTask, CallbackRequest, Heartbeat, WakeRequest,
};
use jiff::Timestamp;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Who may ask.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) token: Option<&'static str>,
    /// Where the Supervisor asks from.
    pub(crate) ingress: Option<IpAddr>,
    /// Who knows the administrators; where it is none, `anna` is one, `ben` is not, and of others nothing is said.
    pub(crate) house: Option<ConnectionSettings>,
    pub(crate) hosts: &'static [&'static str],
    /// What a Git host signs with.
    pub(crate) hook: Option<&'static str>,
}

/// A running server. Gone when dropped.
pub(crate) struct Served {
    pub(crate) port: u16,
    status: watch::Sender<Arc<Status>>,
    snapshot: watch::Sender<Option<Arc<str>>>,
    consents: mpsc::Receiver<CallbackRequest>,
    wakes: mpsc::Receiver<WakeRequest>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    runtime: Runtime,
    token: NamedTempFile,
    _hook: NamedTempFile,
}

impl Served {
    pub(crate) fn start(status: Status) -> Self {
        Self::with(status, Rules::default())
    }

    pub(crate) fn with(first: Status, rules: Rules) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener =
            runtime.block_on(async { TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap() });
        let port = listener.local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let hosts = rules.hosts.iter().map(|host| (*host).to_owned()).collect();
        let token = NamedTempFile::new().unwrap();
        fs::write(token.path(), rules.token.unwrap_or_default()).unwrap();
        let token_file = rules.token.map(|_| TokenFile::new(token.path().to_owned()).unwrap());
        let (administrators, mut queries) = mpsc::channel::<AdministratorQuery>(4);
        let ingress = rules.ingress.map(|supervisor| Ingress { supervisor, administrators });
        if let Some(house) = rules.house {
            runtime.spawn(AdministratorsTask { house, queries, stop: Stop::new() }.run());
        } else {
            runtime.spawn(async move {
                while let Some(query) = queries.recv().await {
                    let known = matches!(&*query.user, "anna" | "ben");
                    query.answer.send(known.then_some(query.user == "anna")).unwrap();
                }
            });
        }
        let access = Access::new(address, token_file, ingress, hosts);
        let (status, seen) = watch::channel(Arc::new(first));
        let (snapshot, newest) = watch::channel(None);
        let (taker, consents) = mpsc::channel(4);
        let (waker, wakes) = mpsc::channel(4);
        let hook = NamedTempFile::new().unwrap();
        fs::write(hook.path(), rules.hook.unwrap_or_default()).unwrap();
        let hook_file = rules.hook.map(|_| TokenFile::of_hook(hook.path().to_owned()).unwrap());
        let names = FileNames::new("/house".into(), "/house".into(), ".".into());
        let serving = Serving {
            heartbeat: Heartbeat::new(),
            status: seen,
            snapshot: newest,
            callbacks: taker,
            wakes: waker,
            hook: hook_file,
            names: Arc::new(names),
            access: access.unwrap(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = async { drop(stopped.await) };
        let task = runtime.spawn(serve(listener, serving, ended));
        Self {
            port,
            status,
            snapshot,
            consents,
            wakes,
            stop: Some(stop),
            task,
            runtime,
            token,
            _hook: hook,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn show(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }

    /// Writes another token into the file.
    pub(crate) fn change_token(&self, token: &str) {
        fs::write(self.token.path(), token).unwrap();
    }

    pub(crate) fn show_snapshot(&self, text: &str) {
        self.snapshot.send_replace(Some(text.into()));
    }

    /// What was passed on, if anything.
    pub(crate) fn passed_on(&mut self) -> Option<CallbackRequest> {
        self.consents.try_recv().ok()
    }

    /// The targets of a round that was asked for, if any was.
    pub(crate) fn woken(&mut self) -> Option<Vec<String>> {
        let wake = self.wakes.try_recv().ok()?;
        Some(wake.targets.iter().map(ToString::to_string).collect())
    }

    /// Takes whatever is passed on, with this answer, beside the test. What is accepted links the account,
    /// or fails to with this reason.
    pub(crate) fn take_all(&mut self, answer: Result<(), HandOverError>, failure: Option<&str>) {
        let (_, none) = mpsc::channel(1);
        let mut consents = std::mem::replace(&mut self.consents, none);
        let (status, failure) = (self.status.clone(), failure.map(str::to_owned));
        self.runtime.spawn(async move {
            while let Some(consent) = consents.recv().await {
                consent.answer.taken(answer.clone());
                if answer.is_ok() {
                    status.send_modify(|status| end_set_ups(Arc::make_mut(status), &failure));
                }
            }
        });
    }

    /// Ends it, and waits until it has.
    pub(crate) fn end(mut self) {
        drop(self.stop.take());
        let task = &mut self.task;
        self.runtime.block_on(task).unwrap();
    }
}

/// What waits for consent is linked, or has failed.
fn end_set_ups(status: &mut Status, failure: &Option<String>) {
    let entries = status.targets.values_mut().flat_map(|target| &mut target.entries);
    let waiting = entries
        .flat_map(|entry| &mut entry.set_ups)
        .filter(|set_up| matches!(set_up.waits_for.as_deref(), Some(FlowStep::Consent(_))));
    for set_up in waiting {
        set_up.waits_for = None;
        set_up.error = failure.clone();
        if failure.is_none() {
            set_up.state = SetupState::Linked(Vec::new());
        }
    }
}

pub(crate) fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A house with nothing in it, as it is found first.
pub(crate) fn nothing() -> Status {
    Status {
        since: moment("2026-11-24T17:00:00Z"),
        manifests: ManifestStatus::default(),
        targets: Default::default(),
        source: None,
        rollout: None,
        history: Default::default(),
    }
}

/// One whose manifests were read.
pub(crate) fn read(targets: Vec<(&str, TargetStatus)>) -> Status {
    let entries = targets.iter().map(|(_, target)| target.entries.len()).sum();
    let targets =
        targets.into_iter().map(|(name, target)| (TargetName::new(name), target)).collect();
    let read_at = Some(moment("2026-11-24T17:00:01Z"));
    let manifests = ManifestStatus { read_at, files: 2, entries, ..ManifestStatus::default() };
    Status { manifests, targets, ..nothing() }
}

/// A running HA that was looked at and is as wanted.
pub(crate) fn up(entries: Vec<EntryStatus>) -> TargetStatus {
    let mut target = TargetStatus::new("https://ha.example:8123".to_owned(), Mode::Repair);
    let since = moment("2026-11-24T17:00:02Z");
    target.link = Link::Up { version: Some("2026.11.0".to_owned()), since };
    target.entries = entries;
    target.last_reconcile = Some(moment("2026-11-24T17:05:00Z"));
    target.last_success = target.last_reconcile;
    target.next_reconcile = Some(moment("2026-11-24T17:10:00Z"));
    target.totals.succeeded = 1;
    target
}

/// One that nobody answers at.
pub(crate) fn down(error: &str) -> TargetStatus {
    let mut target = up(Vec::new());
    target.link = Link::Down { since: moment("2026-11-24T17:06:00Z") };
    target.error = Some(error.to_owned());
    target
}

/// A target that refuses the access token.
pub(crate) fn refused(entries: Vec<EntryStatus>) -> TargetStatus {
    let since = moment("2026-11-24T17:06:00Z");
    TargetStatus {
        link: Link::NoAccess { since, why: AccessFault::TokenRefused },
        entries,
        ..down("http://ha refused the access token")
    }
}

/// A step that was carried out at the target `home`, or failed.
pub(crate) fn step(what: &str, error: Option<&str>, commit: Option<&str>) -> RecordedStep {
    RecordedStep {
        at: moment("2026-11-24T17:04:00Z"),
        target: TargetName::new("home"),
        action: ActionCode::Create,
        what: what.to_owned(),
        reasons: vec![Reason::NotObserved],
        outcome: if error.is_some() { OutcomeCode::Failed } else { OutcomeCode::Done },
        error: error.map(str::to_owned),
        commit: commit.map(|id| Commit { id: id.into(), is_modified: false }),
    }
}

/// An entry that is held and linked.
pub(crate) fn entry(domain: &str, name: &str) -> EntryStatus {
    let account = ConfigEntry {
        id: EntryId::new("e1"),
        domain: Domain::new(domain),
        title: name.into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: None,
    };
    let plain = |sign: char| if sign.is_ascii_alphanumeric() { sign } else { '-' };
    let key: String = name.to_lowercase().chars().map(plain).collect();
    EntryStatus {
        lifetime: Lifetime::default(),
        key: Key::new(&key).unwrap(),
        domain: Domain::new(domain),
        name: name.into(),
        client_id: ClientId::new(format!("{domain}-client")),
        wanted: WantedDigest::default(),
        place: Place { file: Path::new("credentials/media.yaml").into(), line: 12, column: 5 },
        holding: Holding::InSync,
        set_ups: vec![set_up(SetupState::Linked(vec![account]), None)],
    }
}

/// An entry that waits for what a step shows.
pub(crate) fn waiting(domain: &str, name: &str, step: FlowStep) -> EntryStatus {
    let set_ups = vec![set_up(SetupState::InProgress, Some(step))];
    EntryStatus { set_ups, ..entry(domain, name) }
}

/// The only set-up of an entry.
pub(crate) fn set_up(state: SetupState, waits_for: Option<FlowStep>) -> SetUpStatus {
    let waits_for = waits_for.map(Box::new);
    SetUpStatus { account: None, state, trouble: None, waits_for, error: None }
}

/// A step that waits for consent there.
pub(crate) fn consent(url: &str) -> FlowStep {
    FlowStep::Consent(ConsentLink::new(Secret::new(url), false))
}

/// Something at a target that is not as wanted.
pub(crate) fn difference(what: &str, why: Option<Why>, is_drift: bool) -> Difference {
    Difference { what: what.to_owned(), why, is_drift }
}

/// One problem in a manifest that has a secret beside it.
pub(crate) fn broken(status: Status) -> Status {
    let text = "application_credentials:\n  - {domain: spotfy, client_secret: m4rk3d-plain}\n";
    let mask = |text: &str| {
        let start = text.find("m4rk3d").unwrap();
        std::iter::once(start..start + "m4rk3d-plain".len()).collect()
    };
    let file = SourceFile::new("credentials/media.yaml".into(), text.to_owned(), mask);
    let start = text.find("spotfy").unwrap();
    let span = Span { start, end: start + 6, line: 2, column: 14 };
    let mut problems = Diagnostics::default();
    let unknown =
        Diagnostic::error(ProblemCode::UnknownIntegration, "unknown integration `spotfy`");
    problems.push(unknown.at(&Arc::new(file), span).help("did you mean `spotify`?"));
    let manifests = ManifestStatus { problems: Arc::new(problems), ..status.manifests };
    Status { manifests, ..status }
}
