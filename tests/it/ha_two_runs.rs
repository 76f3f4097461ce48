//! Two runs at one Home Assistant that know nothing of each other, as in two pods: nothing is doubled,
//! and no code is taken twice.

use appcred::model::{FlowId, FlowStep};
use appcred::setup::drive::{self, FlowState};
use appcred::target::{Refusal, Stop};
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::answering_proxy::AnsweringProxy;
use crate::ha_apply::House;
use crate::ha_faults::open;
use crate::linking::{AnnasSetUp, Linking, link};
use crate::listener::Listener;
use crate::real::{Release, Socket, each_release};
use crate::watch::eventually;

const DOMAIN: &str = "linked_account";
const APPLY: &[&str] = &["apply", "--yes"];

impl Linking {
    /// The set-ups of our test integrations that are open in Home Assistant.
    #[track_caller]
    pub(crate) fn open_flows(&self) -> Vec<Value> {
        let asked = self.ha.call(json!({
            "type": "call_service", "domain": DOMAIN, "service": "flows", "return_response": true,
        }));
        serde_json::from_value(asked.unwrap()["response"]["flows"].clone()).unwrap()
    }

    /// The codes that the provider was asked to give tokens for.
    #[track_caller]
    pub(crate) fn codes_taken(&self) -> Vec<(String, u16)> {
        let log = self.provider.token_log().into_iter();
        let codes = log.filter(|request| request.grant == "authorization_code");
        let mut codes: Vec<_> =
            codes.map(|request| (request.client_id.unwrap(), request.status)).collect();
        codes.sort();
        codes
    }
}

fn notify(house: &House, owner: &str, listener: &Listener) {
    let hook = listener.url();
    house
        .project
        .write("appcred.yaml", &format!("owner: {owner}\nnotify: {{webhook: {hook:?}}}\n"));
}

fn pending_link(listener: &Listener) -> String {
    let notice = listener.next_of("consent_pending");
    notice["pending_consents"][0]["link"].as_str().unwrap().to_owned()
}

each_release!(ha_two_owners_watch_one_house_and_each_code_is_taken_once);
fn ha_two_owners_watch_one_house_and_each_code_is_taken_once(release: Release) {
    let linking = Linking::new(release);
    let other = House::new();
    let (ours, theirs) = (Listener::start(200), Listener::start(200));
    notify(&linking.house, "home", &ours);
    notify(&other, "cabin", &theirs);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    linking.provider.client("ben", "second");
    other.declare(&[other.entry_with_integration(DOMAIN, "Ben", "ben", "second")]);
    let watch = ["watch", "--resync", "1", "--listen=off"];
    let running =
        [&linking.house, &other].map(|house| house.appcred(&linking.ha).args(watch).spawn());
    let links = [pending_link(&ours), pending_link(&theirs)];

    // Whoever reads meanwhile carries nothing on.
    let reading = linking.appcred(&["plan"]).spawn();
    links.iter().for_each(|link| linking.consent(link));
    reading.finish();

    ours.next_of("consent_settled");
    theirs.next_of("consent_settled");
    let ok = |client: &str| (client.to_owned(), 200);
    assert_eq!(linking.codes_taken(), [ok("anna"), ok("ben")]);
    let accounts = linking.accounts(DOMAIN);
    let mut clients: Vec<_> = accounts.iter().map(|account| linking.client_of(account)).collect();
    clients.sort();
    assert_eq!(clients, ["anna", "ben"]);
    assert!(linking.open_flows().is_empty());
    for running in running {
        running.signal(Signal::TERM);
        let ran = running.finish();
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert!(!ran.stderr.contains("WARN"), "{}", ran.stderr);
    }
}

each_release!(ha_two_applies_from_two_state_folders_double_nothing);
fn ha_two_applies_from_two_state_folders_double_nothing(release: Release) {
    let linking = Linking::new(release);
    let names = ["Anna", "Ben", "Cora", "Dan"];
    let clients = names.map(str::to_lowercase);
    let entries = clients.each_ref().map(|client| linking.entry(DOMAIN, client, client, "hush"));
    for round in 1..=entries.len() {
        linking.house.declare(&entries[..round]);
        // Each has a home of its own, so none waits for the lock of the other.
        let runs = [(); 2].map(|()| linking.appcred(APPLY).spawn());
        let texts = runs.map(|run| {
            let ran = run.finish();
            ran.stdout + &ran.stderr
        });
        // What both have created or started at the same moment is gone after the next look.
        linking.apply();
        let (held, open) = (linking.ha.credentials(), linking.open_flows());
        assert_eq!((held.len(), open.len()), (round, round), "{held:#?} {open:#?} {texts:#?}");
    }
    let applied = linking.json(APPLY);
    let waiting = applied["steps"].as_array().unwrap().iter();
    for step in waiting.filter(|step| step["outcome"] == "waiting") {
        linking.consent(step["waits_for"]["link"].as_str().unwrap());
    }
    linking.apply();
    assert_eq!(linking.accounts(DOMAIN).len(), names.len());
    linking.appcred(&["plan", "--detailed-exitcode"]).status(0).run();
}

// Earlier versions started one each where two runs saw none; what the slower one sees then is brought about here.
each_release!(ha_flow_that_was_started_at_the_same_moment_is_ended_and_that_is_reported);
fn ha_flow_that_was_started_at_the_same_moment_is_ended_and_that_is_reported(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    let first = link(&linking.json(APPLY));
    // Another run's flow, noted under another key, which comes later in order.
    let start = json!({"handler": DOMAIN});
    let (_, flow) = linking.ha.rest("POST", "/api/config/config_entries/flow", Some(&start));
    let note = json!({"flow_id": flow["flow_id"], "domain": DOMAIN});
    linking
        .ha
        .call(json!({
            "type": "frontend/set_user_data", "key": "appcred:default:anna#flow.zz", "value": note,
        }))
        .unwrap();
    assert_eq!(linking.open_flows().len(), 2);
    let applied = linking.apply().stdout;
    assert!(applied.contains("abandon the set-up of linked_account"), "{applied}");
    assert_eq!(linking.open_flows().len(), 1);
    assert_eq!(link(&linking.json(APPLY)), first);
}

each_release!(ha_flow_that_another_run_has_noted_meanwhile_goes_on_as_long_as_it_is_there);
#[tokio::main(flavor = "current_thread")]
async fn ha_flow_that_another_run_has_noted_meanwhile_goes_on_as_long_as_it_is_there(
    release: Release,
) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    linking.appcred(APPLY).args(["--no-setup"]).run();
    let start = json!({"handler": DOMAIN});
    let (_, theirs) = linking.ha.rest("POST", "/api/config/config_entries/flow", Some(&start));
    let theirs = theirs["flow_id"].as_str().unwrap();
    let ha = open(&linking.ha.url(), linking.ha.token()).await.ok().unwrap();
    let set_up = AnnasSetUp::new(DOMAIN);
    let task = set_up.task(None);
    for noted in [theirs, "gone"] {
        let note = json!({"flow_id": noted, "domain": DOMAIN});
        linking
            .ha
            .call(json!({
                "type": "frontend/set_user_data", "key": "appcred:default:anna#flow", "value": note,
            }))
            .unwrap();
        let begun = drive::begin(&ha, &task, None, &linking.ha.url(), &Stop::new()).await.unwrap();
        let FlowState::Waits(flow, FlowStep::Consent(_)) = begun else { panic!("{begun:?}") };
        assert_eq!(flow.as_str() == theirs, noted == theirs, "{flow}");
        let open = linking.open_flows();
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!(open[0]["flow_id"], flow.as_str());
        drive::give_up(&ha, &flow).await.unwrap();
    }
    // A run whose plan is older than a restart of Home Assistant still knows the flow that was lost in that.
    let flow = |begun: Result<FlowState, Refusal>| match begun {
        Ok(FlowState::Waits(flow, FlowStep::Consent(_))) => flow,
        other => panic!("{other:?}"),
    };
    let (url, lost, go_on) = (linking.ha.url(), FlowId::new("lost"), Stop::new());
    let first = flow(drive::begin(&ha, &task, Some(&lost), &url, &go_on).await);
    let second = flow(drive::begin(&ha, &task, Some(&lost), &url, &go_on).await);
    assert_eq!(first, second);
    assert_eq!(linking.open_flows().len(), 1);
    drive::give_up(&ha, &first).await.unwrap();

    let stop = Stop::new();
    stop.cancel();
    let begun = drive::begin(&ha, &task, None, &linking.ha.url(), &stop).await;
    assert_eq!(begun, Err(Refusal::Stopped));
    assert_eq!(linking.open_flows(), Vec::<Value>::new());
}

each_release!(ha_set_up_that_two_runs_begin_at_the_same_moment_is_begun_once);
#[tokio::main(flavor = "current_thread")]
async fn ha_set_up_that_two_runs_begin_at_the_same_moment_is_begun_once(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    linking.appcred(APPLY).args(["--no-setup"]).run();
    let (url, stop) = (linking.ha.url(), Stop::new());
    let set_up = AnnasSetUp::new(DOMAIN);
    let task = set_up.task(None);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(open(&url, linking.ha.token()).await.ok().unwrap());
    }
    let begun = runs.iter().map(|ha| drive::begin(ha, &task, None, &url, &stop));
    let begun: Vec<_> = join_all(begun).await.into_iter().map(Result::unwrap).collect();
    let FlowState::Waits(flow, FlowStep::Consent(link)) = &begun[0] else { panic!("{begun:?}") };
    assert!(begun.iter().all(|other| *other == begun[0]), "{begun:#?}");
    let open = linking.open_flows();
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0]["flow_id"], flow.as_str());

    // A run that still knows of no flow and begins after the consent finds the account.
    linking.consent(link.page().unwrap().as_str());
    let followed = drive::follow(&runs[0], &task, flow, &url, &stop);
    let late = drive::begin(&runs[1], &task, None, &url, &stop);
    let (followed, late) = tokio::join!(followed, late);
    assert_eq!([followed, late], [Ok(FlowState::Linked), Ok(FlowState::Linked)]);
    assert_eq!(linking.codes_taken(), [("anna".to_owned(), 200)]);
    assert_eq!(linking.open_flows(), Vec::<Value>::new());
    assert_eq!(linking.accounts(DOMAIN).len(), 1);
}

each_release!(ha_flow_that_is_started_while_another_run_takes_the_turn_is_ended);
#[tokio::main(flavor = "current_thread")]
async fn ha_flow_that_is_started_while_another_run_takes_the_turn_is_ended(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    linking.appcred(APPLY).args(["--no-setup"]).run();
    let port = linking.ha.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let token = linking.ha.token().to_owned();
    let proxy = AnsweringProxy::before(&linking.ha, move |head| {
        if head.starts_with(b"POST /api/config/config_entries/flow ") {
            let (key, value) = ("appcred:default:anna#turn", "another run");
            let taken = json!({"type": "frontend/set_user_data", "key": key, "value": value});
            Socket::open(port, &token).call(taken).unwrap();
        }
        None
    });
    let ha = open(&proxy.url(), linking.ha.token()).await.ok().unwrap();
    let set_up = AnnasSetUp::new(DOMAIN);
    let task = set_up.task(None);
    let begun = drive::begin(&ha, &task, None, &linking.ha.url(), &Stop::new()).await;
    let Err(Refusal::Failed(why)) = begun else { panic!("{begun:?}") };
    assert!(why.contains("another appcred has gone on with this set-up"), "{why}");
    assert_eq!(linking.open_flows(), Vec::<Value>::new());
}

each_release!(ha_watcher_waits_for_an_apply_at_the_same_target);
fn ha_watcher_waits_for_an_apply_at_the_same_target(release: Release) {
    let linking = Linking::new(release);
    let state = tempfile::tempdir().unwrap();
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    let run = |args: &[&str]| linking.appcred(args).env("XDG_STATE_HOME", state.path());
    let runs = [
        run(&["watch", "--resync", "1", "--listen=off"]).spawn(),
        run(APPLY).spawn(),
        run(APPLY).spawn(),
    ];
    eventually("the set-up is begun", || !linking.open_flows().is_empty());
    let [watcher, applies @ ..] = runs;
    for apply in applies {
        let ran = apply.finish();
        assert_eq!(ran.status, Some(0), "{} {}", ran.stdout, ran.stderr);
    }
    assert_eq!((linking.ha.credentials().len(), linking.open_flows().len()), (1, 1));
    let consent = link(&linking.json(APPLY));
    linking.consent(&consent);
    eventually("the watcher finishes it", || linking.set_up("anna")["state"] == "loaded");
    assert_eq!(linking.codes_taken(), [("anna".to_owned(), 200)]);
    watcher.signal(Signal::TERM);
    assert_eq!(watcher.finish().status, Some(0));
}

const ROUNDS: usize = 8;

each_release!(ha_consent_that_two_runs_see_at_once_is_taken_once);
fn ha_consent_that_two_runs_see_at_once_is_taken_once(release: Release) {
    let linking = Linking::new(release);
    let mut entries = Vec::new();
    for round in 1..=ROUNDS {
        let client = format!("anna-{round}");
        entries.push(linking.entry(DOMAIN, &client, &client, "hush"));
        linking.house.declare(&entries);
        linking.consent(&link(&linking.json(APPLY)));
        // Each has a home of its own, so none waits for the lock of the other.
        let runs = [(); 2].map(|()| linking.appcred(APPLY).spawn());
        for run in runs {
            let ran = run.finish();
            assert_eq!(ran.status, Some(0), "{} {}", ran.stdout, ran.stderr);
        }
        assert_eq!(linking.accounts(DOMAIN).len(), round);
        assert!(linking.open_flows().is_empty());
    }
    let taken = linking.codes_taken();
    assert_eq!(taken.len(), ROUNDS, "{taken:?}");
    assert!(taken.iter().all(|(_, status)| *status == 200), "{taken:?}");
}

each_release!(ha_consent_that_two_watchers_of_one_owner_see_is_taken_once);
fn ha_consent_that_two_watchers_of_one_owner_see_is_taken_once(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    let consent = link(&linking.json(APPLY));
    let watch = ["watch", "--resync", "1", "--listen=off"];
    let watchers = [(); 2].map(|()| linking.appcred(&watch).spawn());
    for watcher in &watchers {
        eventually("it watches", || watcher.stderr().contains("not linked yet"));
    }
    linking.consent(&consent);
    eventually("it is linked", || linking.set_up("anna")["state"] == "loaded");
    for watcher in watchers {
        watcher.signal(Signal::TERM);
        let ran = watcher.finish();
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    }
    assert_eq!(linking.codes_taken(), [("anna".to_owned(), 200)]);
    assert_eq!(linking.accounts(DOMAIN).len(), 1);
}

each_release!(ha_set_up_of_a_run_that_was_cut_off_goes_on);
fn ha_set_up_of_a_run_that_was_cut_off_goes_on(release: Release) {
    let linking = Linking::new(release);
    linking.house.declare(&[linking.entry(DOMAIN, "Anna", "anna", "first")]);
    let consent = link(&linking.json(APPLY));
    let turn = |run: Value| {
        let key = "appcred:default:anna#turn";
        linking
            .ha
            .call(json!({"type": "frontend/set_user_data", "key": key, "value": run}))
            .unwrap()
    };
    turn(json!("of a run that has ended"));
    assert_eq!(link(&linking.json(APPLY)), consent);
}
