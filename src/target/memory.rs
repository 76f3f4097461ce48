//! A kind of target for tests alone: it shows that a new one is one file and one line in a list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::watch;

use super::home_assistant::SessionStore;
use super::{
    ChangeEvents, ConnectError, Done, Execute, FieldContext, LiveTarget, Observe, Operation,
    Refusal, Stop, TargetError, TargetKind, meaning,
};
use crate::field::{Field, Pairs, Text};
use crate::model::{Credential, Domain, Key, KnownDomains, LowestNumbers, Observed, generate_id};
use crate::secret::SecretResolver;

type Stored = watch::Sender<Vec<Credential>>;

/// What is stored at each name.
static STORES: LazyLock<Mutex<BTreeMap<String, Stored>>> = LazyLock::new(Mutex::default);

/// The name of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEndpoint(String);

/// A store in memory.
#[derive(Deserialize, JsonSchema)]
#[serde(rename = "a target", deny_unknown_fields)]
#[schemars(rename = "MemoryInput")]
pub struct MemoryInput {
    /// Its name.
    memory: Field<Text<String>>,
    /// Whether nothing is changed there for now: it is not even connected to. Default: `false`.
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    suspend: Option<Field<bool>>,
    /// Names with a value each, by which entries and `--selector` choose targets, as in `{site: oslo, ring: "1"}`.
    #[expect(dead_code, reason = "the manifest reads it for targets of all kinds")]
    labels: Option<Field<Pairs<Text<Key>>>>,
}

/// A store that is open.
pub struct Memory(Stored);

impl TargetKind for MemoryEndpoint {
    const FIELD: &'static str = "memory";
    const ABOUT: &'static str = "a store of the tests";
    type Input = MemoryInput;
    type Target = Memory;

    fn new(input: MemoryInput, context: &dyn FieldContext) -> Option<Self> {
        meaning(input.memory, context).map(Self)
    }

    fn address(&self) -> String {
        self.0.clone()
    }

    fn place(&self) -> String {
        self.0.clone()
    }

    async fn connect(
        &self,
        _: &Arc<SecretResolver>,
        _: Option<&SessionStore>,
    ) -> Result<Memory, ConnectError> {
        Ok(Memory(stored(&self.0)))
    }
}

fn stored(name: &str) -> Stored {
    STORES.lock().unwrap().entry(name.to_owned()).or_default().clone()
}

impl LiveTarget for Memory {
    async fn changes(&self) -> Result<Option<ChangeEvents>, TargetError> {
        let events = stream::unfold(self.0.subscribe(), async |mut stored| {
            stored.changed().await.ok()?;
            Some(((), stored))
        });
        Ok(Some(Box::pin(events)))
    }
}

impl Observe for Memory {
    async fn observe(&mut self) -> Result<Observed, TargetError> {
        Ok(Observed {
            version: None,
            is_new: false,
            domains: KnownDomains::Listed(BTreeSet::from([Domain::new("spotify")])),
            credentials: self.0.borrow().clone(),
            config_entries: Vec::new(),
            unread_accounts: Vec::new(),
            live: None,
        })
    }
}

impl Execute for Memory {
    async fn execute(
        &mut self,
        operations: Vec<Operation>,
        _: &Stop,
        done: &mut (dyn FnMut(usize, Result<Done, Refusal>) + Send),
    ) {
        for (index, operation) in operations.into_iter().enumerate() {
            let mut outcome = Err(Refusal::Unsupported);
            self.0.send_modify(|held| match operation {
                Operation::Create(new) => {
                    let id =
                        generate_id(&new.domain, &new.client_id, &mut LowestNumbers::new(), |id| {
                            held.iter().any(|other| other.id == *id)
                        });
                    outcome = Ok(Done::Created(id.clone()));
                    held.push(Credential {
                        id,
                        domain: new.domain,
                        client_id: new.client_id,
                        client_secret: new.client_secret.into(),
                        name: Some(new.name),
                        auth_domain: Some(new.auth_domain),
                    });
                }
                Operation::Delete(gone) | Operation::TakeBack(gone) => {
                    held.retain(|held| held.id != gone.id);
                    outcome = Ok(Done::Deleted);
                }
                Operation::RemoveAccount(_) | Operation::Reload(_) => {}
            });
            done(index, outcome);
        }
    }
}

mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::sync::{Notify, mpsc};

    use super::stored;
    use crate::model::{PolicyOverrides, TargetSelection};
    use crate::reconcile;
    use crate::secret::Nobody;
    use crate::target::Stop;
    use crate::watch::{
        self, ChangeDetection, Channels, Connector, Heartbeat, StatusStore, Wakes, WatchSettings,
    };
    use crate::workspace::{OnError, ProjectReader, ReaderSettings, TargetView, Workspace};

    /// A project with one entry and a target of the tests' own kind.
    fn project(folder: &Path, store: &str) -> Workspace {
        let file =
            format!("owner: house\nallow_plaintext: true\ntargets:\n  home: {{memory: {store}}}\n");
        std::fs::write(folder.join("appcred.yaml"), file).unwrap();
        let entry = "application_credentials:\n  - domain: spotify\n    key: k\n    client_id: id\n    client_secret: hush\n";
        std::fs::write(folder.join("credentials.yaml"), entry).unwrap();
        Workspace { folder: folder.to_owned(), ..Workspace::default() }
    }

    async fn view(workspace: &Workspace) -> TargetView {
        let policy = PolicyOverrides::default();
        let loaded = workspace.load();
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let evaluated = workspace
            .evaluate(loaded, &TargetSelection::default(), &policy, OnError::Stop, Nobody)
            .await;
        evaluated.unwrap().targets.unwrap().pop().unwrap()
    }

    #[tokio::test]
    async fn a_kind_in_the_list_is_planned_for_and_applied_to() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = project(folder.path(), "applied");
        let mut view = view(&workspace).await;
        assert_eq!((view.name.as_str(), view.address.as_str()), ("home", "applied"));
        let (comparison, target) = (view.comparison.unwrap(), view.target.as_mut().unwrap());
        let (stop, mut progress) = (Stop::new(), |_: usize, _: usize| {});
        let outcomes =
            reconcile::apply(&comparison.plan, &comparison.desired, target, &stop, &mut progress)
                .await;
        assert!(outcomes.len() == 1 && outcomes[0].outcome.is_well(), "{outcomes:?}");
        assert_eq!(stored("applied").borrow()[0].auth_domain.as_deref(), Some("appcred:house:k"));
        let after = self::view(&workspace).await.comparison.unwrap();
        assert!(after.plan.steps.is_empty());
    }

    #[tokio::test]
    async fn a_kind_in_the_list_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = project(folder.path(), "watched");
        let reader = ProjectReader::new(
            ReaderSettings {
                workspace,
                targets: TargetSelection::default(),
                policy: PolicyOverrides::default(),
                is_dry_run: false,
                clock: Timestamp::now,
            },
            Nobody,
        );
        let connector = Connector {
            resolver: reader.resolvers(),
            sessions: None,
            consent_base: None,
            reached: Default::default(),
        };
        let (_callbacks, callbacks) = mpsc::channel(1);
        let (_wakes, wakes) = mpsc::channel(1);
        let channels = Channels {
            statuses: StatusStore::new(Timestamp::now),
            snapshots: None,
            callbacks,
            wakes: Wakes::new(wakes),
            reload: Arc::new(Notify::new()),
            heartbeat: Heartbeat::new(),
            stop: Stop::new(),
        };
        let stop = channels.stop.clone();
        let day = Duration::from_secs(86_400);
        let settings = WatchSettings {
            resync: day,
            detection: ChangeDetection::Polling(day),
            verify_every: None,
        };
        let running = tokio::spawn(watch::run(settings, reader, connector, channels));

        let mut held = stored("watched").subscribe();
        held.wait_for(|held| held.len() == 1).await.unwrap();
        // The store reports the change, since nothing else would be looked at for a day.
        stored("watched").send_modify(Vec::clear);
        held.wait_for(|held| held.len() == 1).await.unwrap();
        stop.cancel();
        running.await.unwrap();
    }
}
