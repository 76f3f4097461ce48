//! A configuration folder at rest, through its two traits.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use appcred::model::{
    ClientId, Credential, CredentialId, Domain, EntryId, EntryState, KnownDomains, NewCredential,
    Observed, Secret,
};
use appcred::target::config_dir::ConfigDir;
use appcred::target::{Done, Execute, Observe, Operation, Refusal, Stop, TargetError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A house with one credential that somebody made by hand, used by a linked account.
struct House {
    folder: TempDir,
}

impl House {
    fn unborn() -> (TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("ha");
        (above, folder)
    }

    fn lived_in() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(house.path(".storage")).unwrap();
        fs::set_permissions(house.path(".storage"), Permissions::from_mode(0o755)).unwrap();
        house.write(".HA_VERSION", "2024.3.3");
        house.write(
            ".storage/application_credentials",
            &json!({
                "version": 1, "minor_version": 1, "key": "application_credentials",
                "data": {"items": [{
                    "id": "spotify_mine", "domain": "spotify", "client_id": "mine",
                    "client_secret": "FOREIGN", "x_extra": {"kept": true},
                }]},
            })
            .to_string(),
        );
        house.write(
            ".storage/core.config_entries",
            &json!({"version": 1, "data": {"entries": [{
                "entry_id": "e1", "domain": "spotify", "title": "Me",
                "data": {"auth_implementation": "spotify_mine", "token": {}},
            }]}})
            .to_string(),
        );
        house
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        fs::write(self.path(inside), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.path(".storage/application_credentials")
    }

    fn execute(&self, operations: Vec<Operation>) -> Vec<Result<Done, Refusal>> {
        execute(self.folder.path(), operations, &Stop::new())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn execute(
    folder: &Path,
    operations: Vec<Operation>,
    stop: &Stop,
) -> Vec<Result<Done, Refusal>> {
    let mut outcomes: Vec<_> = operations.iter().map(|_| None).collect();
    let mut done = |index: usize, outcome| {
        assert!(outcomes[index].replace(outcome).is_none(), "told twice");
    };
    ConfigDir::new(folder).execute(operations, stop, &mut done).await;
    outcomes.into_iter().map(Option::unwrap).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn observe(folder: &Path) -> Result<Observed, TargetError> {
    ConfigDir::new(folder).observe().await
}

fn create(client_id: &str) -> Operation {
    Operation::Create(NewCredential {
        domain: Domain::new("netatmo"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new("OURS"),
        name: "Weather".into(),
        auth_domain: format!("appcred:home:{client_id}").into(),
    })
}

fn delete(credential: &Credential) -> Operation {
    Operation::Delete(credential.held())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn reason(outcomes: &[Result<Done, Refusal>]) -> &str {
    match outcomes {
        [Err(Refusal::Failed(reason)), ..] if outcomes.iter().all(|o| *o == outcomes[0]) => reason,
        other => panic!("not all refused: {other:?}"),
    }
}

#[test]
fn an_unborn_house_is_empty_and_is_made() {
    let (_above, folder) = House::unborn();
    let observed = observe(&folder).unwrap();
    assert_eq!((observed.version, observed.is_new), (None, true));
    assert!(observed.credentials.is_empty() && observed.config_entries.is_empty());
    assert!(!folder.exists(), "looking made something");

    let outcomes = execute(&folder, vec![create("a"), create("A"), create("a")], &Stop::new());
    let ids = outcomes.into_iter().map(|outcome| match outcome {
        Ok(Done::Created(id)) => id.as_str().to_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        ids.collect::<Vec<_>>(),
        ["netatmo_a", "netatmo_a_2", "netatmo_a"],
        "one is not made twice"
    );
    assert_eq!(mode(&folder.join(".storage")), 0o700);
    assert_eq!(mode(&folder.join(".storage/application_credentials")), 0o600);
    let observed = observe(&folder).unwrap();
    assert!(!observed.is_new);
    let credentials = observed.credentials;
    assert_eq!(credentials.len(), 2);
    assert_eq!(credentials[1].client_secret.clear().unwrap().expose(), "OURS");
    assert_eq!(credentials[1].auth_domain.as_deref(), Some("appcred:home:A"));
}

#[test]
fn a_house_is_read_as_home_assistant_left_it() {
    let house = House::lived_in();
    for (name, file) in [
        ("mine", "application_credentials.py"),
        ("packed", "application_credentials/__init__.py"),
        ("other", "sensor.py"),
    ] {
        let path = house.path("custom_components").join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let observed = observe(house.folder.path()).unwrap();
    assert_eq!(observed.version.as_deref(), Some("2024.3.3"));
    let KnownDomains::Assumed(domains) = &observed.domains else { panic!("nobody has told") };
    for (domain, expected) in [("mine", true), ("packed", true), ("other", false), ("xbox", true)] {
        assert_eq!(domains.contains(&Domain::new(domain)), expected, "{domain}");
    }
    let user = observed.users(&Domain::new("spotify"), "spotify_mine").next().unwrap();
    assert_eq!((user.id.as_str(), user.title.as_str()), ("e1", "Me"));
    assert_eq!(user.state.to_string(), "at rest");
}

#[test]
fn an_account_that_names_its_integration_uses_the_last_credential() {
    let house = House::lived_in();
    let held = |id: &str, auth_domain: &str| {
        json!({"id": id, "domain": "withings", "client_id": id, "client_secret": "s",
            "auth_domain": auth_domain})
    };
    let account = |id: &str, named: &str| json!({"entry_id": id, "domain": "withings", "title": id, "data": {"auth_implementation": named}});
    let items = [held("withings_a", "appcred:house:a"), held("withings_b", "appcred:house:b")];
    let text = json!({"version": 1, "data": {"items": items}}).to_string();
    house.write(".storage/application_credentials", &text);
    let entries = [account("own", "withings"), account("by cloud", "cloud")];
    let text = json!({"version": 1, "data": {"entries": entries}}).to_string();
    house.write(".storage/core.config_entries", &text);

    let observed = observe(house.folder.path()).unwrap();

    let withings = Domain::new("withings");
    let users = |name: &str| -> Vec<&str> {
        let users = observed.users(&withings, name);
        users.map(|account| account.id.as_str()).collect()
    };
    assert_eq!(users("appcred:house:b"), ["own"]);
    assert_eq!(users("cloud"), ["by cloud"]);
    assert!(users("appcred:house:a").is_empty());
}

#[test]
fn a_folder_has_the_integrations_of_its_release() {
    let house = House::lived_in();
    let has_dropbox = || {
        let KnownDomains::Assumed(domains) = observe(house.folder.path()).unwrap().domains else {
            panic!("nobody has told")
        };
        domains.contains(&Domain::new("dropbox"))
    };
    assert!(!has_dropbox());
    house.write(".HA_VERSION", "2026.11.0");
    assert!(has_dropbox());
}

#[test]
fn a_batch_keeps_what_is_not_ours() {
    let house = House::lived_in();
    let before = observe(house.folder.path()).unwrap().credentials;
    let reload = Operation::Reload(EntryId::new("e1"));
    let outcomes = house.execute(vec![create("a"), delete(&before[0]), reload]);
    assert!(matches!(outcomes[0], Ok(Done::Created(_))));
    assert_eq!(outcomes[1], Err(Refusal::InUse { domain: Domain::new("spotify") }));
    assert_eq!(outcomes[2], Ok(Done::Reloaded(EntryState::AtRest)));

    let file: Value = serde_json::from_str(&fs::read_to_string(house.file()).unwrap()).unwrap();
    let items = file["data"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0]["client_secret"], "FOREIGN");
    assert_eq!(items[0]["x_extra"], json!({"kept": true}));
    assert_eq!(mode(&house.file()), 0o600);
    assert_eq!(mode(&house.path(".storage")), 0o755, "the folder was there before us");

    let after = observe(house.folder.path()).unwrap().credentials;
    assert_eq!(house.execute(vec![delete(&after[1])]), [Ok(Done::Deleted)]);
    assert_eq!(observe(house.folder.path()).unwrap().credentials, before);
}

/// Home Assistant ran meanwhile, and somebody linked an account.
#[test]
fn what_an_account_uses_by_now_is_not_deleted() {
    let house = House::lived_in();
    let twice = |secret: &str| match create("a") {
        Operation::Create(new) => {
            Operation::Create(NewCredential { client_secret: Secret::new(secret), ..new })
        }
        other => other,
    };
    house.execute(vec![create("free"), twice("first"), twice("second")]);
    let planned = observe(house.folder.path()).unwrap().credentials;
    let account = |id: &str, data: Value| json!({"entry_id": id, "domain": "netatmo", "title": "Ann", "data": data});
    let link = |accounts: &[Value]| {
        let entries = json!({"version": 1, "data": {"entries": accounts}});
        house.write(".storage/core.config_entries", &entries.to_string());
    };
    let uses = account("e2", json!({"auth_implementation": "appcred:home:a"}));
    link(std::slice::from_ref(&uses));
    let one = |operation: Operation| house.execute(vec![operation]).remove(0);
    let take_back = |at: usize| one(Operation::TakeBack(planned[at].held()));
    let used = Err(Refusal::UsedByNow { by: vec!["Ann".into()] });

    assert_eq!(one(delete(&planned[3])), used, "it is in force");
    assert_eq!(take_back(3), Ok(Done::Deleted), "the account finds the earlier one");
    assert_eq!(one(delete(&planned[2])), used);
    assert_eq!(take_back(2), used, "there is no other one");
    link(&[uses, account("e3", json!(null))]);
    let unread = one(delete(&planned[1])).unwrap_err().to_string();
    assert_eq!(unread, "the config entry e3 cannot be read, and may use it");
    link(&[]);
    assert_eq!(one(delete(&planned[2])), Ok(Done::Deleted));
    assert_eq!(one(delete(&planned[1])), Ok(Done::Deleted));
}

#[test]
fn where_nothing_changes_nothing_is_written() {
    let house = House::lived_in();
    let mut gone = observe(house.folder.path()).unwrap().credentials.remove(0);
    gone.id = CredentialId::new("gone");
    let inode = fs::metadata(house.file()).unwrap().ino();
    assert_eq!(house.execute(vec![delete(&gone)]), [Ok(Done::Deleted)]);
    assert_eq!(fs::metadata(house.file()).unwrap().ino(), inode);
}

#[test]
fn who_stops_in_time_changes_nothing() {
    let (_above, folder) = House::unborn();
    let stop = Stop::new();
    stop.cancel();
    assert_eq!(execute(&folder, vec![create("a")], &stop), [Err(Refusal::Stopped)]);
    assert!(!folder.exists());
}

#[test]
fn a_damaged_file_is_told_and_left() {
    let house = House::lived_in();
    let text = r#"{"version": 1, "data": {"items": [{"client_secret": "MARKED", ]}}"#;
    house.write(".storage/application_credentials", text);
    let Err(TargetError::Storage(told)) = observe(house.folder.path()) else { panic!("read") };
    assert!(told.contains("application_credentials: it is not JSON (line 1, "), "{told}");
    assert!(told.contains("restore it from a backup"), "{told}");
    assert!(!told.contains("MARKED"), "{told}");
    assert_eq!(reason(&house.execute(vec![create("a"), create("b")])), told);
    assert_eq!(fs::read_to_string(house.file()).unwrap(), text);
}

#[test]
fn a_write_that_fails_refuses_the_whole_batch() {
    let house = House::lived_in();
    let before = fs::read(house.file()).unwrap();
    fs::create_dir(house.path(".storage/.application_credentials.left.appcred-new")).unwrap();
    let outcomes = house.execute(vec![create("a"), create("b")]);
    assert!(reason(&outcomes).starts_with("cannot write "), "{outcomes:?}");
    assert_eq!(fs::read(house.file()).unwrap(), before);
}

#[test]
fn an_owner_stays_the_owner() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return; // Only root can give a file away.
    }
    let house = House::lived_in();
    chown(house.file(), Some(4321), Some(4322)).unwrap();
    house.execute(vec![create("a")]);
    let file = fs::metadata(house.file()).unwrap();
    assert_eq!((file.uid(), file.gid()), (4321, 4322));

    let house = House { folder: tempfile::tempdir().unwrap() };
    chown(house.folder.path(), Some(4321), Some(4322)).unwrap();
    house.execute(vec![create("a")]);
    for made in [".storage", ".storage/application_credentials", ".storage/.appcred.lock"] {
        assert_eq!(fs::metadata(house.path(made)).unwrap().uid(), 4321, "{made}");
    }
}

#[test]
fn a_newer_home_assistant_that_runs_is_left_alone() {
    let house = House::lived_in();
    let before = fs::read(house.file()).unwrap();
    house.write(
        ".ha_run.lock",
        r#"{"pid": 4711, "version": 1, "ha_version": "2026.11.0", "start_ts": 1.5}"#,
    );
    let lock = File::options().append(true).open(house.path(".ha_run.lock")).unwrap();
    lock.lock().unwrap();
    let outcomes = house.execute(vec![create("a"), Operation::Reload(EntryId::new("e1"))]);
    assert!(reason(&outcomes).contains("Home Assistant (2026.11.0, process 4711) is running on"));
    assert_eq!(fs::read(house.file()).unwrap(), before);
    assert_eq!(observe(house.folder.path()).unwrap().credentials.len(), 1, "reading is harmless");
}

/// A process that looks like Home Assistant and ends when its input does.
struct StandIn(Child);

impl StandIn {
    fn start(cwd: &Path, script: &str, arguments: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("hass");
        fs::write(&program, format!("{script}\necho ready\nread _\n")).unwrap();
        let mut child = Command::new("/bin/sh")
            .arg(&program)
            .args(arguments)
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn an_older_home_assistant_that_runs_is_left_alone() {
    let house = House::lived_in();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = house.folder.path().to_str().unwrap();
    let name = house.folder.path().file_name().unwrap().to_str().unwrap();
    let log = "exec 3>>home-assistant.log";
    for (cwd, script, arguments) in [
        (elsewhere.path(), "", vec!["-c", folder]),
        (elsewhere.path(), "", vec!["-v", &format!("--config={folder}")]),
        (house.folder.path().parent().unwrap(), "", vec!["--config", name]),
        (house.folder.path(), log, vec![]),
    ] {
        let running = StandIn::start(cwd, script, &arguments);
        let outcomes = house.execute(vec![create("a")]);
        let expected =
            format!("Home Assistant (process {}) is running on {folder}", running.0.id());
        assert!(reason(&outcomes).starts_with(&expected), "{outcomes:?}");
    }
    let other_house =
        StandIn::start(elsewhere.path(), log, &["-c", elsewhere.path().to_str().unwrap()]);
    assert!(house.execute(vec![create("a")])[0].is_ok());
    drop(other_house);
}

#[test]
fn runs_at_once_take_turns() {
    let (_above, folder) = House::unborn();
    thread::scope(|scope| {
        for run in 0..8 {
            let folder = &folder;
            scope.spawn(move || {
                let outcomes = execute(folder, vec![create(&run.to_string())], &Stop::new());
                assert!(outcomes[0].is_ok(), "{outcomes:?}");
            });
        }
    });
    assert_eq!(observe(&folder).unwrap().credentials.len(), 8);
}

const BATCH: usize = 40;

/// Not a test by itself: `a_kill_at_any_moment_leaves_a_whole_file` runs and kills it.
#[test]
#[ignore = "a process to be killed by another test; it takes its folder from its input"]
fn a_writer() {
    let mut folder = String::new();
    std::io::stdin().read_to_string(&mut folder).unwrap();
    if folder.is_empty() {
        return;
    }
    let folder = Path::new(&folder);
    for _ in 0..1_000 {
        execute(folder, (0..BATCH).map(|n| create(&n.to_string())).collect(), &Stop::new());
        let ours = observe(folder).unwrap().credentials.split_off(1);
        execute(folder, ours.iter().map(delete).collect(), &Stop::new());
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_file() {
    let house = House::lived_in();
    let left_over = house.path(".storage/.application_credentials.left.appcred-new");
    let foreign = observe(house.folder.path()).unwrap().credentials.remove(0);
    for round in 0..25 {
        let inode = fs::metadata(house.file()).unwrap().ino();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "config_dir::a_writer", "--ignored"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let folder = house.folder.path().to_str().unwrap();
        writer.stdin.take().unwrap().write_all(folder.as_bytes()).unwrap();
        while fs::metadata(house.file()).unwrap().ino() == inode {
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended by itself");
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(round * 371));
        writer.kill().unwrap();
        writer.wait().unwrap();

        let found = observe(house.folder.path()).unwrap().credentials;
        assert_eq!(found[0], foreign);
        assert!(found.len() == 1 || found.len() == 1 + BATCH, "half a batch: {}", found.len());
        fs::write(&left_over, "{\"version\": 1, \"data\": {\"it").unwrap();
        for outcome in house.execute(found[1..].iter().map(delete).collect()) {
            assert_eq!(outcome, Ok(Done::Deleted));
        }
        assert!(!left_over.exists());
        let left = observe(house.folder.path()).unwrap().credentials;
        assert_eq!(left, std::slice::from_ref(&foreign));
    }
}
