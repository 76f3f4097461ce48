//! What holds for every plan, whatever is wanted and whatever is there.

use std::collections::BTreeSet;
use std::path::Path;

use appcred::model::{
    ClientId, Completeness, ConfigEntry, Credential, CredentialId, Desired, DesiredCredential,
    Domain, EntryId, EntryState, Integration, Key, KnownSecret, Live, Observed, Owner, Place,
    Policy, Prune, Seal, Secret,
};
use appcred::plan::{Action, CredentialState, Plan, Reason, Scope, Step, import, plan};
use appcred::reconcile::{Outcome, StepOutcome, apply};
use appcred::target::Stop;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::{collection, option, proptest};
use smol_str::SmolStr;

use crate::shelf::Shelf;

const SECRET: &str = "s3cr3t-";

fn domains() -> impl Strategy<Value = Domain> {
    select(vec!["spotify", "twitch"]).prop_map(Domain::new)
}

fn clients() -> impl Strategy<Value = ClientId> {
    select(vec!["one", "two", "three"]).prop_map(ClientId::new)
}

fn secrets() -> impl Strategy<Value = Secret> {
    select(vec!["a", "b"]).prop_map(|end| Secret::new(&format!("{SECRET}{end}")))
}

fn wanted() -> impl Strategy<Value = Desired> {
    let all = ["k1", "k2", "k3"].map(|key| {
        (domains(), clients(), secrets(), select(vec!["N", "M"]), any::<bool>()).prop_map(
            move |(domain, client_id, client_secret, name, adopt)| DesiredCredential {
                key: Key::new(key).unwrap(),
                formerly: BTreeSet::new(),
                domain,
                client_id,
                client_secret: client_secret.into(),
                name: name.into(),
                adopt,
                integration: Integration::default(),
                place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
            },
        )
    });
    (all, any::<[bool; 3]>(), any::<bool>()).prop_map(|(all, chosen, whole)| {
        let mut credentials: Vec<DesiredCredential> = Vec::new();
        for (credential, chosen) in all.into_iter().zip(chosen) {
            let same_client = |other: &DesiredCredential| {
                other.domain == credential.domain && other.client_id == credential.client_id
            };
            if chosen && !credentials.iter().any(same_client) {
                credentials.push(credential);
            }
        }
        let completeness = if whole { Completeness::Whole } else { Completeness::Partial };
        Desired {
            owner: Owner::new("house").unwrap(),
            previous_owners: BTreeSet::new(),
            credentials,
            unidentified: Vec::new(),
            completeness,
        }
    })
}

/// Marks of ours and of others, ids of hand-made ones, and words that other programs write.
fn auth_domains() -> impl Strategy<Value = Option<SmolStr>> {
    let id = (domains(), clients(), select(vec!["", "_2"]))
        .prop_map(|(domain, client, number)| format!("{domain}_{client}{number}"));
    let mark = (select(vec!["house", "cabin"]), select(vec!["k1", "k2", "k3", "k4"]))
        .prop_map(|(owner, key)| format!("appcred:{owner}:{key}"));
    option::weighted(0.7, prop_oneof![mark, id, Just("spotify".to_owned())].prop_map(SmolStr::from))
}

fn held() -> impl Strategy<Value = Shelf> {
    let credential =
        (domains(), clients(), secrets(), option::of(select(vec!["N", "M"])), auth_domains());
    let entry = (domains(), auth_domains());
    (collection::vec(credential, 0..6), collection::vec(entry, 0..3)).prop_map(
        |(credentials, entries)| {
            let mut shelf = Shelf::new(Vec::new(), Vec::new());
            for (domain, client_id, client_secret, name, auth_domain) in credentials {
                let base = format!("{domain}_{client_id}");
                let same = shelf
                    .credentials
                    .iter()
                    .filter(|credential| credential.id.as_str().starts_with(&base))
                    .count();
                let id = if same == 0 { base } else { format!("{base}_{}", same + 1) };
                let name = name.map(SmolStr::from);
                let id = CredentialId::new(id);
                shelf.credentials.push(Credential {
                    id,
                    domain,
                    client_id,
                    client_secret: client_secret.into(),
                    name,
                    auth_domain,
                });
            }
            leave_out_crossed_shadows(&mut shelf);
            for (number, (domain, implementation)) in entries.into_iter().enumerate() {
                let entry = ConfigEntry {
                    id: EntryId::new(number.to_string()),
                    domain,
                    title: "Anna".into(),
                    state: EntryState::NotLoaded,
                    reason: None,
                    implementation,
                };
                if shelf.in_force(&entry).is_some() {
                    shelf.config_entries.push(entry);
                }
            }
            shelf
        },
    )
}

/// HA puts what is new behind what is there, so a shadow comes behind what it shadows; and nobody
/// shadows a shadow. Whoever writes HA's storage by hand can do either, and gets no laws.
fn leave_out_crossed_shadows(shelf: &mut Shelf) {
    let all = shelf.credentials.clone();
    let place = |id: &str| all.iter().position(|credential| credential.id.as_str() == id);
    let mut at = 0;
    shelf.credentials.retain(|credential| {
        let shadowed = credential.auth_domain.as_deref().and_then(place);
        let is_made_in_turn = shadowed.is_none_or(|shadowed| {
            shadowed == at || shadowed < at && all[shadowed].auth_domain.is_none()
        });
        at += 1;
        is_made_in_turn
    });
}

/// What somebody knows of the entries who has no key.
fn sealed(desired: &Desired) -> Desired {
    let mut desired = desired.clone();
    for credential in &mut desired.credentials {
        credential.client_secret = seal(&credential.client_secret);
    }
    desired
}

/// What a snapshot tells of a target; of the secrets of some it tells nothing.
fn observed_without_keys(shelf: &Shelf, unknown: &[usize]) -> Observed {
    let mut observed = shelf.observed();
    for (at, credential) in observed.credentials.iter_mut().enumerate() {
        credential.client_secret = match unknown.contains(&at) {
            true => KnownSecret::Unknown,
            false => seal(&credential.client_secret),
        };
    }
    observed
}

fn seal(secret: &KnownSecret) -> KnownSecret {
    KnownSecret::Sealed(Seal::of_ciphertext(secret.clear().unwrap().expose()))
}

fn policies() -> impl Strategy<Value = Policy> {
    (select(vec![Prune::Managed, Prune::Nothing, Prune::All]), any::<bool>(), any::<bool>())
        .prop_map(|(prune, allow_empty, adopt_all)| Policy {
            prune,
            max_deletes: None,
            allow_empty,
            adopt_all,
            ..Policy::default()
        })
}

fn run(shelf: &mut Shelf, desired: &Desired, policy: &Policy) -> Vec<StepOutcome> {
    let plan = plan(desired, &shelf.observed(), policy);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(apply(&plan, desired, shelf, &Stop::new(), &mut |_, _| {}))
}

/// What a target holds, ids and order aside.
fn content(shelf: &Shelf) -> Vec<String> {
    let told = |credential: &Credential| {
        let (secret, name) =
            (credential.client_secret.clear().unwrap().expose(), credential.name.as_deref());
        let (domain, client, auth) =
            (&credential.domain, &credential.client_id, credential.auth_domain.as_deref());
        format!("{domain} {client} {secret} {name:?} {auth:?}")
    };
    let mut all: Vec<_> = shelf.credentials.iter().map(told).collect();
    all.sort();
    all
}

proptest! {
    #[test]
    fn applied_and_planned_again_nothing_is_left_to_do(desired in wanted(), mut shelf in held(), policy in policies()) {
        let outcomes = run(&mut shelf, &desired, &policy);
        assert!(outcomes.iter().all(|step| step.outcome == Outcome::Done), "{outcomes:?}");
        let again = plan(&desired, &shelf.observed(), &policy);
        assert_eq!(again.steps, []);
    }

    #[test]
    fn cut_short_anywhere_the_next_run_arrives_at_the_same(
        desired in wanted(), shelf in held(), policy in policies(), lives in 0_usize..8
    ) {
        let (mut whole, mut cut) = (shelf.clone(), shelf);
        run(&mut whole, &desired, &policy);
        cut.lives = lives;
        run(&mut cut, &desired, &policy);
        cut.lives = usize::MAX;
        run(&mut cut, &desired, &policy);
        assert_eq!(content(&cut), content(&whole));
    }

    #[test]
    fn what_is_not_ours_stays_as_it_is(desired in wanted(), mut shelf in held(), policy in policies()) {
        let before = plan(&desired, &shelf.observed(), &policy);
        let adopts = policy.adopt_all || policy.prune == Prune::All;
        let is_adopted = |id: &CredentialId| shelf.credentials.iter().filter(|held| held.id == *id).any(|held| {
            desired.credentials.iter().any(|wanted| wanted.adopt && wanted.domain == held.domain && wanted.client_id == held.client_id)
        });
        let is_shadowed = |id: &CredentialId| shelf.credentials.iter().any(|other| other.auth_domain.as_deref() == Some(id.as_str()));
        let foreign: Vec<Credential> = before.credential_states.iter().filter(|(held, standing, _)| match standing {
            CredentialState::OtherOwner(_) => true,
            _ => held.auth_domain.is_none() && !adopts && !is_adopted(&held.id) && !is_shadowed(&held.id),
        }).map(|(held, _, _)| shelf.credentials.iter().find(|credential| credential.id == held.id).unwrap().clone()).collect();
        run(&mut shelf, &desired, &policy);
        for credential in foreign {
            assert!(shelf.credentials.contains(&credential), "{credential:?} was touched");
        }
    }

    #[test]
    fn a_linked_account_never_loses_its_credential(desired in wanted(), mut shelf in held(), policy in policies()) {
        run(&mut shelf, &desired, &policy);
        for entry in &shelf.config_entries {
            assert!(shelf.in_force(entry).is_some(), "{entry:?}");
        }
    }

    #[test]
    fn nothing_is_pruned_that_must_not_be(mut desired in wanted(), shelf in held(), mut policy in policies()) {
        policy.prune = Prune::Nothing;
        let undeclared = |reasons: &[Reason]| reasons.iter().any(|reason| matches!(reason, Reason::NotDesired | Reason::IntegrationDiffers));
        assert!(!plan(&desired, &shelf.observed(), &policy).steps.iter().any(|step| undeclared(&step.reasons)));
        policy.prune = Prune::Managed;
        desired.completeness = Completeness::Partial;
        assert!(!plan(&desired, &shelf.observed(), &policy).steps.iter().any(|step| undeclared(&step.reasons)));
    }

    #[test]
    fn the_order_of_entries_never_matters(
        desired in wanted(), shelf in held(), policy in policies(), order in subsequence(vec![0, 1, 2], 3).prop_shuffle()
    ) {
        let mut other = desired.clone();
        other.credentials = order.iter().filter_map(|at| desired.credentials.get(*at).cloned()).collect();
        assert_eq!(plan(&other, &shelf.observed(), &policy), plan(&desired, &shelf.observed(), &policy));
    }

    #[test]
    fn a_target_that_holds_what_is_wanted_needs_nothing(desired in wanted(), policy in policies()) {
        let mut shelf = Shelf::new(Vec::new(), Vec::new());
        run(&mut shelf, &desired, &policy);
        assert_eq!(shelf.credentials.len(), desired.credentials.len());
        assert!(plan(&desired, &shelf.observed(), &policy).is_in_sync());
    }

    #[test]
    fn a_plan_without_keys_says_what_the_plan_with_keys_says(desired in wanted(), shelf in held(), policy in policies()) {
        let with_keys = plan(&desired, &shelf.observed(), &policy);
        let without = plan(&sealed(&desired), &observed_without_keys(&shelf, &[]), &policy);
        assert_eq!(without.unknown, []);
        assert_eq!(without.withheld, with_keys.withheld);
        assert_eq!(without.credential_states, with_keys.credential_states);
        let told = |plan: &Plan| {
            let mut steps = plan.steps.clone();
            for reason in steps.iter_mut().flat_map(|step| &mut step.reasons) {
                if *reason == Reason::SecretReencrypted {
                    *reason = Reason::SecretDiffers;
                }
            }
            steps
        };
        assert_eq!(told(&without), told(&with_keys));
    }

    #[test]
    fn what_is_not_known_is_never_guessed(
        desired in wanted(), shelf in held(), policy in policies(), unknown in subsequence(vec![0, 1, 2, 3, 4, 5], 0..6)
    ) {
        let with_keys = plan(&desired, &shelf.observed(), &policy);
        let without = plan(&sealed(&desired), &observed_without_keys(&shelf, &unknown), &policy);
        for ((held, standing, _), (_, truth, _)) in without.credential_states.iter().zip(&with_keys.credential_states) {
            if matches!(standing, CredentialState::InSync(_)) {
                assert_eq!(standing, truth, "{held:?}");
            }
        }
        let is_unsure = |key: &Key| without.unknown.iter().any(|unknown| unknown.key == *key);
        for step in without.steps.iter().filter_map(|step| step.action.wanted()).filter(|wanted| !is_unsure(&wanted.key)) {
            let same = |other: &Step| other.action.wanted().is_some_and(|other| other.key == step.key);
            assert!(with_keys.steps.iter().any(same), "{step:?}");
        }
    }

    #[test]
    fn what_is_set_up_changes_nothing_about_credentials(desired in wanted(), shelf in held(), policy in policies()) {
        let at_rest = shelf.observed();
        let runs = Observed { live: Some(Live::default()), ..at_rest.clone() };
        let of_credentials = |observed: &Observed| {
            let steps = plan(&desired, observed, &policy).steps;
            let told = |step: Step| (!step.action.is_set_up()).then_some((step.action, step.reasons, step.reload));
            steps.into_iter().filter_map(told).collect::<Vec<_>>()
        };
        assert_eq!(of_credentials(&runs), of_credentials(&at_rest));
        let planned = plan(&desired, &runs, &policy);
        for step in planned.steps.iter().filter(|step| step.action.is_set_up()) {
            let wanted = step.action.entry().unwrap();
            let is_held = planned.credential_states.iter().any(|(held, ..)| held.auth_domain.as_deref() == Some(&wanted.auth_domain));
            assert!(step.after.is_some() || is_held, "{step:?} has no credential");
        }
    }

    /// Accounts get after an import what they got before it, and the plan has nothing to do.
    #[test]
    fn what_is_imported_is_in_sync(mut declared in wanted(), mut shelf in held(), other_owners in any::<bool>()) {
        declared.credentials.truncate(1);
        let before = shelf.clone();
        let scope = Scope { other_owners, ..Scope::default() };
        let taken = declared.credentials.iter().map(|entry| entry.key.clone()).collect();
        let found = import(&declared, &shelf.observed(), &taken, &scope);
        let again = import(&declared, &shelf.observed(), &taken, &scope);
        assert_eq!(found, again);
        let keys: BTreeSet<_> = found.entries.iter().map(|entry| entry.key.clone()).collect();
        assert_eq!((keys.len(), keys.intersection(&taken).count()), (found.entries.len(), 0));
        let mut desired = declared.clone();
        for entry in &found.entries {
            let of = shelf.credentials.iter().find(|held| held.id == entry.of.id).unwrap();
            desired.credentials.push(DesiredCredential {
                key: entry.key.clone(),
                formerly: BTreeSet::new(),
                domain: of.domain.clone(),
                client_id: of.client_id.clone(),
                client_secret: of.client_secret.clone(),
                name: entry.name.as_deref().unwrap_or(of.domain.as_str()).into(),
                adopt: entry.adopt,
                integration: Integration::default(),
                place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
            });
        }
        let policy = Policy { prune: Prune::Nothing, ..Policy::default() };
        let planned = plan(&desired, &shelf.observed(), &policy).only_credentials_of(&keys);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(apply(&planned, &desired, &mut shelf, &Stop::new(), &mut |_, _| {}));
        let left = plan(&desired, &shelf.observed(), &policy).only_credentials_of(&keys);
        assert_eq!((left.steps, left.withheld), (Vec::new(), Vec::new()));
        for account in &shelf.config_entries {
            let secret = |shelf: &Shelf| shelf.in_force(account).map(|held| held.client_secret.clone());
            assert_eq!(secret(&shelf), secret(&before), "{account:?}");
        }
    }

    #[test]
    fn no_plan_holds_a_secret(desired in wanted(), shelf in held(), policy in policies()) {
        assert!(!format!("{:?}", plan(&desired, &shelf.observed(), &policy)).contains(SECRET));
    }
}

/// One entry, linked and in sync, whose secret is then changed to one that the provider refuses.
#[test]
fn a_secret_that_does_not_work_leaves_the_old_one_in_force() {
    let owner = Owner::new("house").unwrap();
    let entry = |secret: &str| DesiredCredential {
        key: Key::new("k1").unwrap(),
        formerly: BTreeSet::new(),
        domain: Domain::new("spotify"),
        client_id: ClientId::new("one"),
        client_secret: Secret::new(secret).into(),
        name: "N".into(),
        adopt: false,
        integration: Integration::default(),
        place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
    };
    let desired = |secret| Desired {
        owner: owner.clone(),
        previous_owners: BTreeSet::new(),
        credentials: vec![entry(secret)],
        unidentified: Vec::new(),
        completeness: Completeness::Whole,
    };
    let mut shelf = Shelf::new(Vec::new(), Vec::new());
    run(&mut shelf, &desired("right"), &Policy::default());
    shelf.config_entries.push(ConfigEntry {
        id: EntryId::new("1"),
        domain: Domain::new("spotify"),
        title: "Anna".into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: Some("appcred:house:k1".into()),
    });
    shelf.wrong = Some("wrong");
    let before = content(&shelf);
    let outcomes = run(&mut shelf, &desired("wrong"), &Policy::default());
    let Outcome::Failed(why) = &outcomes[0].outcome else { panic!("{outcomes:?}") };
    assert_eq!(
        why,
        "the linked account \"Anna\" does not run with it (setup_error); the old credential is in force again"
    );
    assert_eq!(content(&shelf), before);
    let told = plan(&desired("wrong"), &shelf.observed(), &Policy::default());
    assert!(matches!(told.steps[0].action, Action::Replace { .. }));
}
