//! What holds for every plan of an entry that names its accounts, whatever is linked and noted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use appcred::model::{
    AccountName, Adopt, ClientId, Completeness, ConfigEntry, Credential, CredentialId, Desired,
    DesiredCredential, Domain, EntryId, EntryState, Integration, Key, KnownDomains, Live, Mark,
    NotedAccount, Observed, OnDelete, Owner, Place, Policy, Secret,
};
use appcred::plan::{Action, Plan, SetupState, plan};
use proptest::prelude::{ProptestConfig, Strategy};
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;
use proptest::{collection, option, proptest};

const NAMES: [&str; 3] = ["Ann", "Bob", "Carl"];
const OWN: &str = "appcred:house:k";

fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    if config.cases > 2_000 {
        config
    } else {
        ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(1), ..config }
    }
}

fn name(name: &str) -> AccountName {
    AccountName::new(name).unwrap()
}

/// What is linked: titles, each with a note of whichever entry and name.
type Linked = Vec<(&'static str, Option<(&'static str, &'static str)>)>;

fn linked() -> impl Strategy<Value = Linked> {
    let title = select(vec!["Ann", "Bob", "Carl", "Home", "ann"]);
    let mark = select(vec![OWN, OWN, "appcred:house:old", "appcred:cabin:k"]);
    let note = option::weighted(0.6, (mark, select(vec!["Ann", "Bob", "Carl", "Dora"])));
    collection::vec((title, note), 0..5)
}

fn observed(linked: &Linked) -> Observed {
    let domain = Domain::new("spotify");
    let accounts = linked.iter().enumerate().map(|(at, (title, _))| ConfigEntry {
        id: EntryId::new(at.to_string()),
        domain: domain.clone(),
        title: (*title).into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: Some(OWN.into()),
    });
    // Home Assistant keeps one note of a kind.
    let mut notes = BTreeMap::new();
    for (at, (_, note)) in linked.iter().enumerate() {
        notes.extend(note.map(|note| (note, EntryId::new(at.to_string()))));
    }
    let notes = notes.into_iter().map(|((mark, of), account)| NotedAccount {
        mark: Mark::parse(mark).unwrap(),
        name: name(of),
        account,
    });
    Observed {
        version: None,
        is_new: false,
        domains: KnownDomains::Listed([domain.clone()].into()),
        credentials: vec![Credential {
            id: CredentialId::new("spotify_c"),
            domain: domain.clone(),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("s").into(),
            name: Some("k".into()),
            auth_domain: Some(OWN.into()),
        }],
        config_entries: accounts.collect(),
        unread_accounts: Vec::new(),
        live: Some(Live { accounts: notes.collect(), ..Live::default() }),
    }
}

fn desired(names: &[&str], on_delete: OnDelete) -> Desired {
    let accounts = names.iter().map(|it| name(it)).collect();
    Desired {
        owner: Owner::new("house").unwrap(),
        previous_owners: BTreeSet::new(),
        credentials: vec![DesiredCredential {
            key: Key::new("k").unwrap(),
            names_key: true,
            formerly: BTreeSet::new(),
            domain: Domain::new("spotify"),
            client_id: ClientId::new("c"),
            client_secret: Secret::new("s").into(),
            name: "k".into(),
            adopt: Adopt::No,
            integration: Integration { accounts, on_delete, ..Integration::default() },
            place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
        }],
        unidentified: Vec::new(),
        elsewhere: BTreeMap::new(),
        completeness: Completeness::Whole,
    }
}

fn decided(names: &[&str], observed: &Observed, removes: bool) -> Plan {
    let on_delete = if removes { OnDelete::RemoveIntegration } else { OnDelete::Keep };
    plan(&desired(names, on_delete), observed, &Policy::default())
}

/// Which account each name is linked to.
fn links(plan: &Plan) -> BTreeMap<String, EntryId> {
    let link = |of: &appcred::plan::EntrySetup| match &of.state {
        SetupState::Linked(accounts) => {
            Some((of.id.account.as_ref()?.to_string(), accounts.first()?.id.clone()))
        }
        _ => None,
    };
    plan.setup_states.iter().filter_map(link).collect()
}

fn removed(plan: &Plan) -> Vec<(String, EntryId)> {
    let removal = |step: &appcred::plan::Step| match &step.action {
        Action::RemoveAccount { name, account, .. } => Some((name.to_string(), account.id.clone())),
        _ => None,
    };
    plan.steps.iter().filter_map(removal).collect()
}

/// What apply writes down, and what it removes.
fn carried_out(plan: &Plan, observed: &Observed) -> Observed {
    let mut after = observed.clone();
    let live = after.live.as_mut().unwrap();
    for step in &plan.steps {
        match &step.action {
            Action::NoteAccount { name, account, .. } => {
                let mark = Mark::parse(OWN).unwrap();
                live.accounts.retain(|note| {
                    let is_of_account = note.mark.owner == mark.owner && note.account == account.id;
                    let is_of_name = note.mark == mark && note.name == *name;
                    !is_of_account && !is_of_name
                });
                let (name, account) = (name.clone(), account.id.clone());
                live.accounts.insert(NotedAccount { mark, name, account });
            }
            Action::RemoveAccount { account, .. } => {
                after.config_entries.retain(|other| other.id != account.id);
                live.accounts.retain(|note| note.account != account.id);
            }
            _ => {}
        }
    }
    after
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn an_account_is_removed_only_where_a_note_of_ours_says_whose_it_was(
        linked in linked(), names in subsequence(NAMES.to_vec(), 1..=3), removes: bool
    ) {
        let observed = observed(&linked);
        let plan = decided(&names, &observed, removes);
        let kept = links(&plan);
        for (name, account) in removed(&plan) {
            assert!(removes);
            assert!(!names.contains(&name.as_str()), "{name} is wanted");
            assert!(!kept.values().any(|other| *other == account), "{account} is linked");
            let notes = &observed.live.as_ref().unwrap().accounts;
            let ours = |note: &&NotedAccount| note.mark.owner.as_str() == "house" && note.account == account;
            assert!(notes.iter().any(|note| ours(&note) && note.name.as_str() == name));
        }
        assert!(plan.steps.iter().all(|step| step.action.is_set_up()), "{plan:?}");
    }

    #[test]
    fn each_account_has_one_name_at_most_and_none_is_forgotten(
        linked in linked(), names in subsequence(NAMES.to_vec(), 1..=3), removes: bool
    ) {
        let plan = decided(&names, &observed(&linked), removes);
        let named: Vec<EntryId> = links(&plan).into_values().collect();
        let others = plan.undeclared_accounts.iter().map(|of| of.account.id.clone());
        let mut all: Vec<EntryId> = named.iter().cloned().chain(others).collect();
        all.sort();
        let expected: Vec<_> = (0..linked.len()).map(|at| EntryId::new(at.to_string())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn taking_one_name_away_never_touches_the_account_of_another(
        linked in linked(), names in subsequence(NAMES.to_vec(), 2..=3), gone: proptest::sample::Index
    ) {
        let observed = observed(&linked);
        let observed = carried_out(&decided(&names, &observed, false), &observed);
        let before = links(&decided(&names, &observed, true));
        let mut rest = names.clone();
        let gone = rest.remove(gone.index(names.len()));
        let plan = decided(&rest, &observed, true);
        let after = links(&plan);
        for (name, account) in before.iter().filter(|(name, _)| *name != gone) {
            assert_eq!(after.get(name), Some(account), "{name}");
        }
        for (name, account) in removed(&plan) {
            assert!(before.iter().all(|(other, of)| *of != account || *other == gone), "{name}");
        }
        let again = decided(&rest, &carried_out(&plan, &observed), true);
        assert_eq!(removed(&again), []);
        for (name, account) in before.iter().filter(|(name, _)| *name != gone) {
            assert_eq!(links(&again).get(name), Some(account), "{name}");
        }
    }

    #[test]
    fn once_noted_an_account_is_known_whatever_its_title(
        linked in linked(), names in subsequence(NAMES.to_vec(), 1..=3), titles: [u8; 5]
    ) {
        let observed = observed(&linked);
        let before = decided(&names, &observed, false);
        let mut after = carried_out(&before, &observed);
        for (account, title) in after.config_entries.iter_mut().zip(titles) {
            account.title = ["Ann", "Bob", "Carl", "x"][usize::from(title) % 4].into();
        }
        let again = links(&decided(&names, &after, false));
        for (name, account) in links(&before) {
            assert_eq!(again.get(&name), Some(&account), "{name}");
        }
    }
}
