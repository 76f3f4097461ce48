//! What holds for every plan, whatever is wanted and whatever is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use appcred::model::{
    Adopt, ClientId, Completeness, ConfigEntry, Credential, CredentialId, Desired,
    DesiredCredential, Domain, EntryId, EntryState, Integration, Key, KnownSecret, Live, Mark,
    Observed, Owner, Place, Policy, Prune, Seal, Secret, Slip, UnreadAccounts,
};
use appcred::plan::{
    Action, ComparedCredential, CredentialState, Plan, Reason, Scope, Step, Wanted, Why, Withheld,
    import, plan,
};
use appcred::reconcile::{Outcome, StepOutcome, apply};
use appcred::target::Stop;
use futures_util::FutureExt;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::RngSeed;
use proptest::{collection, option, proptest};
use smol_str::SmolStr;

use crate::shelf::Shelf;

const SECRET: &str = "s3cr3t-";

pub(crate) fn cases() -> ProptestConfig {
    const EACH_TIME: u32 = 2_000;
    let config = ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() };
    // PROPTEST_CASES asks for more, which are others each time. Those of each change are always the
    // same, so that it fails for what it changed.
    if config.cases > EACH_TIME {
        config
    } else {
        ProptestConfig { cases: EACH_TIME, rng_seed: RngSeed::Fixed(1), ..config }
    }
}

fn domains() -> impl Strategy<Value = Domain> {
    select(vec!["spotify", "spotify", "twitch"]).prop_map(Domain::new)
}

/// One is a number, as Fitbit's are: its id looks like the second of a client without a name. One has the
/// id of another one's second credential.
fn clients() -> impl Strategy<Value = ClientId> {
    select(vec!["one", "two", "2", "one_2"]).prop_map(ClientId::new)
}

fn secrets() -> impl Strategy<Value = Secret> {
    select(vec!["a", "b"]).prop_map(|end| Secret::new(&format!("{SECRET}{end}")))
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn adoptions() -> impl Strategy<Value = Adopt> {
    let id = ids().prop_map(|id| Adopt::Id(CredentialId::new(id)));
    prop_oneof![2 => Just(Adopt::No), 2 => Just(Adopt::Only), 1 => id]
}

pub(crate) fn wanted() -> impl Strategy<Value = Desired> {
    wanted_by("house")
}

fn wanted_by(name: &'static str) -> impl Strategy<Value = Desired> {
    let all = ["k1", "k2", "k3"].map(|name| {
        let formerly = option::weighted(0.2, select(vec!["k1", "k2", "k3", "k4"]));
        (domains(), clients(), secrets(), select(vec!["N", "M"]), adoptions(), formerly).prop_map(
            move |(domain, client_id, client_secret, shown, adopt, formerly)| DesiredCredential {
                key: key(name),
                names_key: true,
                formerly: formerly.into_iter().map(key).collect(),
                domain,
                client_id,
                client_secret: client_secret.into(),
                name: shown.into(),
                adopt,
                integration: Integration::default(),
                place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
            },
        )
    });
    let previous =
        prop_oneof![3 => Just(Vec::new()), 1 => subsequence(vec!["default", "cabin"], 1..=2)];
    (all, any::<[bool; 3]>(), select(vec![true, true, false]), previous).prop_map(
        move |(all, chosen, whole, previous)| {
            let mut credentials: Vec<DesiredCredential> = Vec::new();
            for (credential, chosen) in all.into_iter().zip(chosen) {
                let same_client = |other: &DesiredCredential| {
                    other.domain == credential.domain && other.client_id == credential.client_id
                };
                if chosen && !credentials.iter().any(same_client) {
                    credentials.push(credential);
                }
            }
            Desired {
                owner: owner(name),
                previous_owners: previous.into_iter().map(owner).collect(),
                credentials,
                unidentified: Vec::new(),
                elsewhere: BTreeMap::new(),
                completeness: if whole { Completeness::Whole } else { Completeness::Partial },
            }
        },
    )
}

/// What Home Assistant, people, other programs, other owners and other versions of appcred write:
/// ids with and without a number, words, marks, claims of all these, and claims of claims.
fn auth_domains() -> impl Strategy<Value = String> {
    let word = select(vec!["spotify", "twitch", "my_import"]).prop_map(str::to_owned);
    let unreadable = select(vec![
        "appcred:you",
        "appcred2:house:k1",
        "appcred:house:k1:",
        "appcred:house:k 1",
        "Appcred:house:k1",
        " appcred:house:k1",
    ]);
    let unreadable = unreadable.prop_map(str::to_owned);
    let plain = prop_oneof![6 => marks(), 6 => ids(), 2 => word, 1 => unreadable];
    plain.prop_recursive(2, 4, 1, |implementation| {
        (marks(), implementation)
            .prop_map(|(mark, implementation)| format!("{mark}:{implementation}"))
    })
}

fn ids() -> impl Strategy<Value = String> {
    (domains(), clients(), select(vec!["", "_2", "_3"]))
        .prop_map(|(domain, client, number)| format!("{domain}_{client}{number}"))
}

fn marks() -> impl Strategy<Value = String> {
    let owners = select(vec!["house", "house", "cabin", "default"]);
    (owners, select(vec!["k1", "k2", "k3", "k4"]))
        .prop_map(|(owner, key)| format!("appcred:{owner}:{key}"))
}

pub(crate) fn held() -> impl Strategy<Value = Shelf> {
    let auth_domain = option::weighted(0.75, auth_domains());
    let credential =
        (domains(), clients(), secrets(), option::of(select(vec!["N", "M"])), auth_domain);
    let account = (domains(), auth_domains());
    // Accounts of what is there are more telling than accounts of anything.
    let linked = collection::vec(any::<Index>(), 0..3);
    // What is there may have several claims.
    let claims = collection::vec((marks(), any::<Index>(), secrets()), 0..3);
    let all = collection::vec(credential, 0..7);
    // Somebody deleted what an account uses.
    let lost = option::weighted(0.2, any::<Index>());
    (all, claims, collection::vec(account, 0..2), linked, lost).prop_map(
        |(credentials, claims, accounts, linked, lost)| {
            let mut shelf = Shelf::new(Vec::new(), Vec::new());
            for (domain, client_id, client_secret, name, auth_domain) in credentials {
                let id = shelf.next_id(&domain, &client_id);
                shelf.credentials.push(Credential {
                    id,
                    domain,
                    client_id,
                    client_secret: client_secret.into(),
                    name: name.map(SmolStr::from),
                    auth_domain: auth_domain.map(SmolStr::from),
                });
            }
            for (mark, of, secret) in claims {
                if shelf.credentials.is_empty() {
                    break;
                }
                let claimed = of.get(&shelf.credentials).clone();
                if claimed.claim().is_some() {
                    continue;
                }
                let auth_domain = format!("{mark}:{}", claimed.implementation());
                let id = shelf.next_id(&claimed.domain, &claimed.client_id);
                shelf.credentials.push(Credential {
                    id,
                    client_secret: secret.into(),
                    auth_domain: Some(auth_domain.into()),
                    ..claimed
                });
            }
            let of = |at: &Index| {
                let credential =
                    (!shelf.credentials.is_empty()).then(|| at.get(&shelf.credentials))?;
                Some((credential.domain.clone(), credential.implementation().to_owned()))
            };
            let lost = lost.as_ref().and_then(of);
            let linked: Vec<_> = linked.iter().filter_map(of).chain(lost.clone()).collect();
            for (domain, implementation) in accounts.into_iter().chain(linked) {
                shelf.link(&domain, &implementation);
            }
            if let Some((domain, implementation)) = lost {
                let is_lost = |held: &Credential| {
                    held.domain == domain && held.implementation() == implementation
                };
                shelf.credentials.retain(|held| !is_lost(held));
            }
            shelf
        },
    )
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

fn unread() -> impl Strategy<Value = UnreadAccounts> {
    let one = option::of(domains());
    let one = one.prop_map(|domain| UnreadAccounts::One { name: "number 1".to_owned(), domain });
    prop_oneof![3 => one, 1 => Just(UnreadAccounts::All)]
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    (select(vec![Prune::Managed, Prune::Nothing, Prune::All]), any::<bool>(), any::<bool>())
        .prop_map(|(prune, allow_empty, adopt_all)| Policy {
            prune,
            max_deletes: None,
            allow_empty,
            adopt_all,
            ..Policy::default()
        })
}

pub(crate) fn run(shelf: &mut Shelf, desired: &Desired, policy: &Policy) -> Vec<StepOutcome> {
    let plan = plan(desired, &shelf.observed(), policy);
    carry_out(&plan, desired, shelf)
}

pub(crate) fn carry_out(plan: &Plan, desired: &Desired, shelf: &mut Shelf) -> Vec<StepOutcome> {
    let stop = Stop::new();
    apply(plan, desired, shelf, &stop, &mut |_, _| {}).now_or_never().expect("a shelf never waits")
}

/// As what a credential is managed, written apart from the plan's own reading: as all who claim it, whoever
/// comes first, or else as what it is marked.
fn marks_of(credential: &Credential, shelf: &Shelf) -> BTreeSet<Mark> {
    let claims = shelf.credentials.iter().filter(|other| {
        other.domain == credential.domain
            && other.client_id == credential.client_id
            && other
                .claim()
                .is_some_and(|claim| claim.implementation == credential.implementation())
    });
    let claimed: BTreeSet<Mark> = claims.flat_map(|claim| marks_of(claim, shelf)).collect();
    if claimed.is_empty() { credential.own_mark().into_iter().collect() } else { claimed }
}

/// Whose a credential is.
fn owners_of(credential: &Credential, shelf: &Shelf) -> BTreeSet<Owner> {
    marks_of(credential, shelf).into_iter().map(|mark| mark.owner).collect()
}

/// What an account was linked with, as far as it is written: the clients, and the marks. Of what is lost that is
/// said by the claims of it, the credential with that id, and what the account names itself.
fn linked_with<'a>(account: &ConfigEntry, shelf: &'a Shelf) -> (Vec<&'a ClientId>, BTreeSet<Mark>) {
    if let Some(was) = shelf.in_force(account) {
        return (vec![&was.client_id], marks_of(was, shelf));
    }
    let name = account.implementation.as_deref().unwrap_or_default();
    let says_so = |held: &&Credential| {
        held.domain == account.domain
            && (held.id.as_str() == name
                || held.claim().is_some_and(|claim| claim.implementation == name))
    };
    let (mut clients, mut marks) = (Vec::new(), BTreeSet::from_iter(Mark::of_text(name)));
    for held in shelf.credentials.iter().filter(says_so) {
        clients.push(&held.client_id);
        marks.append(&mut marks_of(held, shelf));
    }
    (clients, marks)
}

/// The linked accounts that got the client of another key than they were linked for, though no manifest says
/// that this key was formerly that one.
pub(crate) fn mislinked<'a>(
    before: &'a Shelf,
    after: &Shelf,
    desired: &Desired,
) -> Vec<&'a ConfigEntry> {
    let is_mislinked = |account: &&ConfigEntry| {
        let Some(now) = after.in_force(account) else { return false };
        let (clients, marks) = linked_with(account, before);
        let is_lost = before.in_force(account).is_none();
        let is_unknown = is_lost && marks.is_empty();
        if is_unknown || clients.contains(&&now.client_id) {
            return false;
        }
        let Some(entry) = entry_of(now, desired) else { return false };
        let own = desired.mark(&entry.key);
        // An entry that has a key has said which client that is for.
        let is_anothers = |mark: &Mark| {
            *desired.present_name(&mark.owner) == desired.owner
                && *mark != own
                && !(is_lost && marks.contains(mark))
                && desired
                    .credential(&mark.key)
                    .is_none_or(|other| other.key == entry.key || other.domain != entry.domain)
        };
        let had_client = |other: &&Credential| {
            other.domain == now.domain
                && other.client_id == now.client_id
                && other.claim().is_none()
        };
        let is_of_another = |other: &Credential| {
            let marks = marks_of(other, before);
            !marks.is_empty() && marks.iter().all(is_anothers)
        };
        let is_linked_for = |mark: &Mark| {
            let owner = if is_lost { desired.present_name(&mark.owner) } else { &mark.owner };
            *owner == own.owner
                && (entry.formerly.contains(&mark.key)
                    || mark.key == own.key
                        && !before.credentials.iter().filter(had_client).any(is_of_another))
        };
        !marks.iter().any(is_linked_for)
    };
    before.config_entries.iter().filter(is_mislinked).collect()
}

/// Whether a text may be a mark that a person, or another version, has written.
fn is_like_a_mark(credential: &Credential) -> bool {
    let text = credential.auth_domain.as_deref().unwrap_or_default();
    text.trim().to_lowercase().starts_with("appcred")
}

fn is_by_hand(credential: &Credential, shelf: &Shelf) -> bool {
    owners_of(credential, shelf).is_empty() && !is_like_a_mark(credential)
}

/// Whether Home Assistant refuses to delete it.
fn must_stay(credential: &Credential, shelf: &Shelf) -> bool {
    shelf.config_entries.iter().any(|account| {
        account.domain == credential.domain
            && account.implementation.as_deref() == Some(credential.id.as_str())
    })
}

fn entry_of<'a>(credential: &Credential, desired: &'a Desired) -> Option<&'a DesiredCredential> {
    desired
        .credentials
        .iter()
        .find(|entry| entry.domain == credential.domain && entry.client_id == credential.client_id)
}

/// What of the credentials made by hand an entry asks for: one, and what cannot be parted from it.
fn is_adopted(
    credential: &Credential,
    shelf: &Shelf,
    entry: &DesiredCredential,
    policy: &Policy,
) -> bool {
    let by_hand: Vec<&Credential> = shelf
        .credentials
        .iter()
        .filter(|other| other.domain == entry.domain && other.client_id == entry.client_id)
        .filter(|other| is_by_hand(other, shelf))
        .collect();
    let is_named = |other: &&&Credential| match &entry.adopt {
        Adopt::Id(id) => by_hand
            .iter()
            .any(|named| named.id == *id && named.implementation() == other.implementation()),
        Adopt::Only => true,
        Adopt::No => policy.adopt_all,
    };
    let named: Vec<&&Credential> = by_hand.iter().filter(is_named).collect();
    named.contains(&&credential)
        && named.iter().all(|other| other.implementation() == credential.implementation())
        && named.iter().filter(|other| !must_stay(other, shelf)).count() <= 1
}

/// What is this owner's to change, by what the target says before the run and by what was asked for.
pub(crate) fn may_touch(
    credential: &Credential,
    shelf: &Shelf,
    desired: &Desired,
    policy: &Policy,
) -> bool {
    let entry = entry_of(credential, desired);
    if !is_by_hand(credential, shelf) {
        let is_our_name = |owner: &Owner| {
            *owner == desired.owner || desired.previous_owners.contains(owner) && entry.is_some()
        };
        let owners = owners_of(credential, shelf);
        let is_readable = credential.mark().is_some() || credential.claim().is_some();
        return !owners.is_empty()
            && owners.iter().all(is_our_name)
            && (is_readable || !is_like_a_mark(credential));
    }
    if policy.prune == Prune::All
        || entry.is_some_and(|it| is_adopted(credential, shelf, it, policy))
    {
        return true;
    }
    // What versions without claims left: an id of this client that an account names and that a
    // credential with the entry's secret has, and no other owner in sight.
    let same_client = || {
        let of_domain = shelf.credentials.iter().filter(|other| other.domain == credential.domain);
        of_domain.filter(|other| other.client_id == credential.client_id)
    };
    let stands_for = |shadow: &Credential| {
        let base = format!("{}_{}", credential.domain, credential.client_id);
        let name = credential.implementation();
        let secret = |secret: &KnownSecret| secret.clear().unwrap().expose().to_owned();
        shadow.auth_domain.as_deref() == Some(name)
            && is_by_hand(shadow, shelf)
            && entry.is_some_and(|it| secret(&it.client_secret) == secret(&shadow.client_secret))
            && [base.clone(), format!("{base}_2"), format!("{base}_3")].iter().any(|id| id == name)
    };
    same_client().any(stands_for)
        && shelf.users(credential) > 0
        && same_client().all(|other| {
            let owners = [other.mark(), other.claim().map(|claim| claim.mark)];
            owners.into_iter().flatten().all(|mark| mark.owner == desired.owner)
        })
}

/// What a target holds, ids and order aside.
pub(crate) fn content(shelf: &Shelf) -> Vec<String> {
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
    #![proptest_config(cases())]

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

    /// Neither what it would delete nor what an account gets from Home Assistant's look-up.
    #[test]
    fn no_plan_touches_what_its_owner_has_no_claim_to(desired in wanted(), mut shelf in held(), policy in policies()) {
        let before = shelf.clone();
        let planned = plan(&desired, &shelf.observed(), &policy);
        assert!(planned.withheld.iter().all(|withheld| withheld.why != Why::NotOwned), "{planned:?}");
        run(&mut shelf, &desired, &policy);
        // What it writes gives it no right to more.
        run(&mut shelf, &desired, &policy);
        for credential in &before.credentials {
            if !may_touch(credential, &before, &desired, &policy) {
                assert!(shelf.credentials.contains(credential), "{credential:?} was touched by {planned:?}");
            }
        }
        for account in &before.config_entries {
            let Some(was) = before.in_force(account) else { continue };
            if !may_touch(was, &before, &desired, &policy) {
                assert_eq!(shelf.in_force(account), Some(was), "{account:?} was changed by {planned:?}");
            }
        }
    }

    /// An account that cannot be read may use whatever its integration has.
    #[test]
    fn nothing_goes_that_an_unread_account_may_use(
        desired in wanted(), mut shelf in held(), policy in policies(), unread in collection::vec(unread(), 1..3)
    ) {
        let all = plan(&desired, &shelf.observed(), &policy);
        let observed = Observed { unread_accounts: unread.clone(), ..shelf.observed() };
        let planned = plan(&desired, &observed, &policy);
        let created = |plan: &Plan| {
            let actions = plan.steps.iter().map(|step| step.action.clone());
            actions.filter(|action| matches!(action, Action::Create { .. })).collect::<Vec<_>>()
        };
        assert_eq!(created(&planned), created(&all));
        let is_of = |unread: &UnreadAccounts, of: &Domain| match unread {
            UnreadAccounts::One { domain, .. } => domain.as_ref().is_none_or(|domain| domain == of),
            UnreadAccounts::All => false,
        };
        let before = shelf.credentials.clone();
        carry_out(&planned, &desired, &mut shelf);
        for credential in &before {
            if unread.iter().any(|unread| is_of(unread, &credential.domain)) {
                assert!(shelf.credentials.contains(credential), "{credential:?} by {planned:?}");
            }
        }
        let is_pruned = |step: &Step| {
            let Action::Delete { old, .. } = &step.action else { return false };
            !shelf.credentials.iter().any(|held| {
                held.domain == old.domain && held.implementation() == old.implementation()
            })
        };
        assert!(!unread.contains(&UnreadAccounts::All) || !planned.steps.iter().any(is_pruned), "{planned:?}");
    }

    /// Home Assistant has one credential in force for what accounts name: it cannot be two entries'.
    #[test]
    fn no_two_entries_take_the_same_for_their_own(desired in wanted(), shelf in held(), policy in policies()) {
        let planned = plan(&desired, &shelf.observed(), &policy);
        let mut taken: BTreeMap<(Domain, String), BTreeSet<Key>> = BTreeMap::new();
        for wanted in planned.steps.iter().filter_map(|step| step.action.created()) {
            let text = (wanted.domain.clone(), wanted.auth_domain.to_string());
            taken.entry(text).or_default().insert(wanted.key.clone());
        }
        assert!(taken.values().all(|keys| keys.len() == 1), "{taken:?} in {planned:?}");
    }

    /// As an account is named by what Home Assistant holds, whoever wrote it.
    #[test]
    fn a_linked_account_never_loses_its_credential(
        desired in wanted(), mut shelf in held(), policy in policies(), lives in 0_usize..10
    ) {
        let before = shelf.clone();
        for lives in [lives, usize::MAX] {
            shelf.lives = lives;
            run(&mut shelf, &desired, &policy);
            for account in &before.config_entries {
                assert!(before.in_force(account).is_none() || shelf.in_force(account).is_some(), "{account:?}");
            }
        }
    }

    /// Entries come and go and get other keys and clients, and accounts were linked with what they had before.
    #[test]
    fn no_account_gets_the_client_of_another_key(
        old in prop_oneof![3 => wanted(), 1 => wanted_by("cabin")], new in wanted(), mut shelf in held(),
        linked in collection::vec(any::<Index>(), 1..4), lost in option::weighted(0.3, any::<Index>()),
        policy in policies(), lives in 0_usize..10
    ) {
        run(&mut shelf, &old, &policy);
        if !shelf.credentials.is_empty() {
            for at in linked {
                let held = at.get(&shelf.credentials).clone();
                shelf.link(&held.domain, held.implementation());
            }
        }
        // Somebody deletes what an account uses.
        if let Some(lost) = lost.filter(|_| !shelf.config_entries.is_empty()) {
            let account = lost.get(&shelf.config_entries).clone();
            let is_its = |held: &Credential| {
                held.domain == account.domain && Some(held.implementation()) == account.implementation.as_deref()
            };
            shelf.credentials.retain(|held| !is_its(held));
        }
        let before = shelf.clone();
        for lives in [lives, usize::MAX] {
            shelf.lives = lives;
            let planned = plan(&new, &shelf.observed(), &policy);
            carry_out(&planned, &new, &mut shelf);
            let mislinked = mislinked(&before, &shelf, &new);
            assert!(mislinked.is_empty(), "{mislinked:?} by {planned:?}");
        }
    }

    #[test]
    fn two_owners_come_to_rest(
        house in wanted(), cabin in wanted_by("cabin"), mut shelf in held(), policies in (policies(), policies())
    ) {
        let mut house = house;
        house.previous_owners.clear();
        let cabin = Desired { previous_owners: BTreeSet::new(), ..cabin };
        let all = [(&house, &policies.0), (&cabin, &policies.1)];
        for _ in 0..3 {
            for (desired, policy) in all {
                run(&mut shelf, desired, policy);
            }
        }
        for (desired, policy) in all {
            assert_eq!(plan(desired, &shelf.observed(), policy).steps, []);
        }
    }

    /// Entries, an owner or both get other names; accounts were linked before, by whatever the
    /// entries held then.
    #[test]
    fn a_new_name_keeps_every_account(
        old in wanted(), mut shelf in held(), linked in collection::vec(any::<Index>(), 1..4),
        renamed in any::<[bool; 3]>(), says_so in any::<bool>(), owner_too in any::<bool>(),
        rotates in any::<bool>(), lives in 0_usize..12
    ) {
        let mut old = Desired { previous_owners: BTreeSet::new(), completeness: Completeness::Whole, ..old };
        old.credentials.iter_mut().for_each(|entry| entry.formerly.clear());
        let policy = Policy { adopt_all: true, ..Policy::default() };
        run(&mut shelf, &old, &policy);
        let is_held = |held: &&Credential| old.credentials.iter().any(|entry| {
            entry.domain == held.domain && entry.client_id == held.client_id && may_touch(held, &shelf, &old, &Policy::default())
        });
        let of_entries: Vec<Credential> = shelf.credentials.iter().filter(is_held).cloned().collect();
        if !of_entries.is_empty() {
            for at in linked {
                let held = at.get(&of_entries);
                shelf.link(&held.domain, held.implementation());
            }
        }
        run(&mut shelf, &old, &policy);
        let mut new = old.clone();
        for (entry, renamed) in new.credentials.iter_mut().zip(renamed) {
            if renamed {
                let was = entry.key.clone();
                entry.key = key(&format!("new-{was}"));
                entry.formerly = says_so.then_some(was).into_iter().collect();
            }
            if rotates {
                entry.client_secret = Secret::new(&format!("{SECRET}c")).into();
            }
        }
        if owner_too {
            new.previous_owners = BTreeSet::from([std::mem::replace(&mut new.owner, owner("villa"))]);
        }
        let policy = Policy { remove_integrations: true, ..Policy::default() };
        let entry_of = |held: &Credential| new.credentials.iter().position(|entry| {
            entry.domain == held.domain && entry.client_id == held.client_id
        });
        let before = shelf.clone();
        // What was withheld under the old name is withheld under the new one as well.
        let is_blocked = |why: &Why| {
            matches!(
                why,
                Why::OtherOwner { .. } | Why::OtherEntry { .. } | Why::Foreign { .. } | Why::Disputed { .. }
                    | Why::SeveralByHand { .. } | Why::SeveralRenamed { .. } | Why::ReusedKey { .. }
            )
        };
        let at_last = plan(&old, &shelf.observed(), &Policy::default());
        if at_last.withheld.iter().any(|withheld| is_blocked(&withheld.why)) {
            return Ok(());
        }
        let mut asks_nothing = old.clone();
        asks_nothing.credentials.iter_mut().for_each(|entry| entry.adopt = Adopt::No);
        let kept: Vec<(&ConfigEntry, usize)> = before.config_entries.iter().filter_map(|account| {
            let held = before.in_force(account)?;
            let entry = entry_of(held)?;
            // A claim of an entry that has another client now stays with the old one as long as that.
            let is_of_other = at_last.credential_states.iter().any(|of| {
                of.held == held.held() && match &of.state {
                    CredentialState::Undeclared => true,
                    CredentialState::Claim(of) => *of != old.credentials[entry].key,
                    _ => false,
                }
            });
            let is_owned = !is_of_other && may_touch(held, &before, &asks_nothing, &Policy::default());
            Some((account, Some(entry).filter(|_| is_owned)?))
        }).collect();
        let secret_of = |held: &Credential| held.client_secret.clear().unwrap().expose().to_owned();
        // What the entry was called may have to be asked.
        let is_asked = |withheld: &Withheld| matches!(withheld.why, Why::SeveralRenamed { .. });
        if plan(&new, &shelf.observed(), &policy).withheld.iter().any(is_asked) {
            return Ok(());
        }
        for lives in [lives, usize::MAX] {
            shelf.lives = lives;
            let planned = plan(&new, &shelf.observed(), &policy);
            carry_out(&planned, &new, &mut shelf);
            for (account, entry) in &kept {
                assert!(shelf.config_entries.contains(account), "{account:?} was removed by {planned:?}");
                let held = shelf.in_force(account).expect("an account keeps a credential");
                assert_eq!(entry_of(held), Some(*entry), "{account:?} by {planned:?}");
                let allowed = [&old, &new].map(|desired| desired.credentials[*entry].client_secret.clear().unwrap().expose().to_owned());
                assert!(allowed.contains(&secret_of(held)), "{account:?} by {planned:?}");
                if lives == usize::MAX {
                    assert_eq!(secret_of(held), allowed[1], "{account:?} by {planned:?}");
                }
            }
        }
        assert_eq!(plan(&new, &shelf.observed(), &policy).steps, []);
    }

    /// What an owner was called before need not be said for ever.
    #[test]
    fn a_previous_owner_leaves_nothing_behind(
        desired in wanted(), mut shelf in held(), policy in policies()
    ) {
        let desired = Desired { completeness: Completeness::Whole, ..desired };
        run(&mut shelf, &desired, &policy);
        let forgotten = Desired { previous_owners: BTreeSet::new(), ..desired.clone() };
        let told = |plan: &Plan| (plan.steps.clone(), plan.credential_states.clone());
        let (with, without) = (
            plan(&desired, &shelf.observed(), &policy),
            plan(&forgotten, &shelf.observed(), &policy),
        );
        if with.withheld.is_empty() && without.withheld.is_empty() {
            assert_eq!(told(&without), told(&with));
        }
        // With its earlier name an owner gives up the disputes in which only that takes part.
        // What it has not given up, since something else of that name is in force, is said.
        let is_of_both = |withheld: &Withheld| match &withheld.why {
            Why::Disputed { .. } | Why::PreviousOwner { .. } => true,
            Why::OtherOwner { by } | Why::ReusedKey { former: by, .. } => {
                desired.previous_owners.contains(&by.owner)
            }
            _ => false,
        };
        if !with.withheld.iter().any(is_of_both) {
            assert_eq!(without.steps, []);
        }
        // No claim of the old name is on what an entry holds.
        for ComparedCredential { held, state, .. } in &without.credential_states {
            let is_held = matches!(state, CredentialState::InSync(_) | CredentialState::Shadowed(_));
            let previous = shelf.credentials.iter().filter(|other| {
                other.claim().is_some_and(|claim| {
                    desired.previous_owners.contains(&claim.mark.owner)
                        && claim.implementation == held.auth_domain.as_deref().unwrap_or(held.id.as_str())
                }) && other.domain == held.domain && other.client_id == held.client_id
            });
            // Home Assistant, or an account that was linked with the claim itself, may keep one.
            let mut previous = previous
                .filter(|claim| !must_stay(claim, &shelf) && shelf.users(claim) == 0);
            assert!(!is_held || previous.next().is_none(), "{held:?}");
        }
    }

    #[test]
    fn where_a_claim_stands_in_the_list_never_matters(
        desired in wanted(), shelf in held(), policy in policies(), places in collection::vec(any::<Index>(), 10)
    ) {
        let is_moved = |held: &Credential| held.claim().is_some() && shelf.users(held) == 0;
        let (claims, mut rest): (Vec<Credential>, Vec<Credential>) =
            shelf.credentials.iter().cloned().partition(is_moved);
        for (claim, place) in claims.into_iter().zip(&places) {
            let text = |held: &Credential| held.implementation().to_owned();
            let place = place.index(rest.len() + 1);
            // Of several with one text the last is in force.
            if rest.iter().chain(&shelf.credentials).filter(|held| text(held) == text(&claim)).count() > 1 {
                return Ok(());
            }
            rest.insert(place, claim);
        }
        if rest.len() < shelf.credentials.len() {
            return Ok(());
        }
        let told = |shelf: &Shelf| {
            let planned = plan(&desired, &shelf.observed(), &policy);
            let line = |action: &Action| {
                let mut old: Vec<_> = action.old().iter().map(|old| old.id.to_string()).collect();
                old.sort();
                let wanted = action.created().map(|wanted| (&wanted.key, &wanted.auth_domain));
                format!("{} {wanted:?} {old:?}", action.verb())
            };
            let mut lines: Vec<String> = planned.steps.iter().map(|step| line(&step.action)).collect();
            lines.extend(planned.withheld.iter().map(|withheld| format!("not {}", line(&withheld.action))));
            lines.extend(planned.credential_states.iter().map(|of| format!("{} {:?}", of.held.id, of.state)));
            lines.sort();
            lines
        };
        assert_eq!(told(&Shelf { credentials: rest, ..shelf.clone() }), told(&shelf));
    }

    /// `adopt: true` is no licence for what somebody makes later.
    #[test]
    fn what_is_made_by_hand_after_an_adoption_is_left_alone(
        desired in wanted(), mut shelf in held(), adopt_all in any::<bool>(), secret in secrets(),
        auth_domain in option::of(Just("my_import"))
    ) {
        let policy = Policy { adopt_all, ..Policy::default() };
        let mut desired = Desired { completeness: Completeness::Whole, ..desired };
        for entry in desired.credentials.iter_mut().filter(|entry| matches!(entry.adopt, Adopt::Id(_))) {
            entry.adopt = Adopt::Only;
        }
        run(&mut shelf, &desired, &policy);
        let planned = plan(&desired, &shelf.observed(), &policy);
        let accounts = shelf.config_entries.clone();
        for entry in &desired.credentials {
            let is_held = planned.credential_states.iter().any(|of| of.state == CredentialState::InSync(entry.key.clone()));
            // What an account has named all along is another matter.
            let id = shelf.next_id(&entry.domain, &entry.client_id);
            let name = auth_domain.unwrap_or(id.as_str());
            if !is_held || accounts.iter().any(|account| account.implementation.as_deref() == Some(name))
                || shelf.credentials.iter().any(|held| held.implementation() == name
                    || held.claim().is_some_and(|claim| claim.implementation == name)) {
                continue;
            }
            let by_hand = Credential {
                id,
                domain: entry.domain.clone(),
                client_id: entry.client_id.clone(),
                client_secret: secret.clone().into(),
                name: None,
                auth_domain: auth_domain.map(SmolStr::from),
            };
            shelf.credentials.push(by_hand.clone());
            run(&mut shelf, &desired, &policy);
            assert!(shelf.credentials.contains(&by_hand), "{by_hand:?}");
        }
    }

    #[test]
    fn nothing_is_pruned_that_must_not_be(mut desired in wanted(), shelf in held(), mut policy in policies()) {
        policy.prune = Prune::Nothing;
        let undeclared = |reasons: &[Reason]| reasons.iter().any(|reason| matches!(reason, Reason::NotDesired | Reason::IntegrationDiffers));
        assert!(!plan(&desired, &shelf.observed(), &policy).steps.iter().any(|step| undeclared(&step.reasons)));
        policy.prune = Prune::Managed;
        let mut lost = Desired { completeness: Completeness::Whole, ..desired.clone() };
        lost.elsewhere = ["k1", "k2", "k3", "k4"].map(|name| (key(name), Some(Slip::NoLabels))).into();
        for entry in &desired.credentials {
            lost.elsewhere.remove(&entry.key);
        }
        policy.allow_empty = false;
        let of_gone = |step: &Step| step.reasons.iter().any(|reason| matches!(reason, Reason::NotDesired | Reason::NotForTarget));
        assert!(!plan(&lost, &shelf.observed(), &policy).steps.iter().any(of_gone));
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
        for (found, truth) in without.credential_states.iter().zip(&with_keys.credential_states) {
            if matches!(found.state, CredentialState::InSync(_)) {
                assert_eq!(found.state, truth.state, "{:?}", found.held);
            }
        }
        let is_unsure = |key: &Key| without.unknown.iter().any(|unknown| unknown.key == *key);
        for step in without.steps.iter().filter_map(|step| step.action.created()).filter(|wanted| !is_unsure(&wanted.key)) {
            let same = |other: &Step| other.action.created().is_some_and(|other| other.key == step.key);
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
            let wanted = step.action.for_entry().unwrap();
            let is_held = planned.credential_states.iter().any(|of| of.held.auth_domain.as_deref().unwrap_or(of.held.id.as_str()) == wanted.auth_domain);
            assert!(step.after.is_some() || is_held, "{step:?} has no credential");
        }
    }

    /// Accounts get after an import what they got before it, and the plan has nothing to do.
    #[test]
    fn what_is_imported_is_in_sync(mut declared in wanted(), mut shelf in held(), other_owners in any::<bool>()) {
        declared.credentials.truncate(1);
        declared.completeness = Completeness::Whole;
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
                names_key: true,
                formerly: BTreeSet::new(),
                domain: of.domain.clone(),
                client_id: of.client_id.clone(),
                client_secret: of.client_secret.clone(),
                name: entry.name.as_deref().unwrap_or(of.domain.as_str()).into(),
                adopt: entry.adopt.clone(),
                integration: Integration::default(),
                place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
            });
        }
        let policy = Policy { prune: Prune::Nothing, ..Policy::default() };
        let planned = plan(&desired, &shelf.observed(), &policy).only_credentials_of(&keys);
        carry_out(&planned, &desired, &mut shelf);
        let mut left = plan(&desired, &shelf.observed(), &policy).only_credentials_of(&keys);
        // A dispute that was there before is not ended by an import; it must not begin one.
        let was_claimed = |wanted: &Wanted| {
            before.credentials.iter().filter_map(Credential::claim).any(|claim| {
                *declared.present_name(&claim.mark.owner) == declared.owner
                    && claim.implementation == wanted.auth_domain
            })
        };
        left.withheld.retain(|withheld| match withheld.why {
            Why::UnreadableMark { .. } => false,
            // With the new entry there are two that an account may have been linked with.
            Why::SeveralEntries { .. } => false,
            // Nor is what would begin one written.
            Why::Disputed { .. } | Why::OtherOwner { .. } | Why::OtherEntry { .. } => {
                !withheld.action.for_entry().is_some_and(was_claimed)
            }
            _ => true,
        });
        assert_eq!((left.steps, left.withheld), (Vec::new(), Vec::new()));
        for account in &shelf.config_entries {
            let secret = |shelf: &Shelf| shelf.in_force(account).map(|held| held.client_secret.clone());
            assert!(secret(&before).is_none() || secret(&shelf) == secret(&before), "{account:?}");
        }
    }

    /// A secret is never printed, so that a look at the printed plan would see nothing. But a plan
    /// that held one would be another plan with other secrets.
    #[test]
    fn no_plan_holds_a_secret(desired in wanted(), shelf in held(), policy in policies()) {
        let other = |secret: &KnownSecret| {
            Secret::new(&format!("other-{}", secret.clear().unwrap().expose())).into()
        };
        let (mut other_desired, mut other_shelf) = (desired.clone(), shelf.clone());
        for entry in &mut other_desired.credentials {
            entry.client_secret = other(&entry.client_secret);
        }
        for credential in &mut other_shelf.credentials {
            credential.client_secret = other(&credential.client_secret);
        }
        let planned = plan(&desired, &shelf.observed(), &policy);
        assert_eq!(plan(&other_desired, &other_shelf.observed(), &policy), planned);
    }
}

/// The entry `k1`, and no other.
fn only(client_id: &str, secret: &str) -> Desired {
    let entry = DesiredCredential {
        key: key("k1"),
        names_key: true,
        formerly: BTreeSet::new(),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new(secret).into(),
        name: "N".into(),
        adopt: Adopt::No,
        integration: Integration::default(),
        place: Place { file: Path::new("m.yaml").into(), line: 1, column: 1 },
    };
    Desired {
        owner: owner("house"),
        previous_owners: BTreeSet::new(),
        credentials: vec![entry],
        unidentified: Vec::new(),
        elsewhere: BTreeMap::new(),
        completeness: Completeness::Whole,
    }
}

fn made(id: &str, client_id: &str, secret: &str, auth_domain: Option<&str>) -> Credential {
    Credential {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new(secret).into(),
        name: None,
        auth_domain: auth_domain.map(SmolStr::from),
    }
}

/// An account names an id that is free, and finds a credential of another client by that text.
/// Home Assistant gives the id to the claim that is written while one made by hand is taken over,
/// and does not let that go.
#[test]
fn a_claim_that_gets_an_id_which_an_account_names_stays_until_the_account_is_gone() {
    let all = vec![
        made("spotify_2", "2", "s", None),
        made("spotify_one", "one", "s", Some("spotify_2_2")),
    ];
    let mut shelf = Shelf::new(all, Vec::new());
    shelf.link(&Domain::new("spotify"), "spotify_2_2");
    let (desired, policy) = (only("2", "s"), Policy { adopt_all: true, ..Policy::default() });
    let texts = |shelf: &Shelf| {
        let text = |held: &Credential| format!("{} {}", held.id, held.implementation());
        shelf.credentials.iter().map(text).collect::<Vec<_>>()
    };
    let outcomes = run(&mut shelf, &desired, &policy);
    assert!(outcomes.iter().all(|step| step.outcome == Outcome::Done), "{outcomes:?}");
    let (other, mark) = ("spotify_one spotify_2_2", "spotify_2_3 appcred:house:k1");
    assert_eq!(texts(&shelf), [other, "spotify_2_2 appcred:house:k1:spotify_2", mark]);
    assert_eq!(plan(&desired, &shelf.observed(), &policy).steps, []);
    shelf.config_entries.clear();
    run(&mut shelf, &desired, &policy);
    assert_eq!(texts(&shelf), [other, mark]);
}

/// Cut short after any number of operations, the next run arrives at the same, and then nothing is left to
/// do; with every secret that makes a difference. Of what is held there are id, client and `auth_domain`.
fn comes_to_rest(
    held: &[(&str, &str, Option<&str>)],
    accounts: &[&str],
    desired: &Desired,
    policy: &Policy,
) {
    let secret = |secrets: u32, at: usize| if secrets >> at & 1 == 0 { "a" } else { "b" };
    for secrets in 0..1_u32 << (held.len() + 1) {
        let numbered = held.iter().enumerate();
        let all = numbered.map(|(at, (id, client, auth_domain))| {
            made(id, client, secret(secrets, at), *auth_domain)
        });
        let mut before = Shelf::new(all.collect(), Vec::new());
        for account in accounts {
            before.link(&Domain::new("spotify"), account);
        }
        let (mut desired, mut whole) = (desired.clone(), before.clone());
        desired.credentials[0].client_secret = Secret::new(secret(secrets, held.len())).into();
        let outcomes = run(&mut whole, &desired, policy);
        assert!(outcomes.iter().all(|step| step.outcome == Outcome::Done), "{outcomes:?}");
        assert_eq!(plan(&desired, &whole.observed(), policy).steps, [], "{before:?}");
        for lives in 0..16 {
            let mut cut = Shelf { lives, ..before.clone() };
            run(&mut cut, &desired, policy);
            cut.lives = usize::MAX;
            run(&mut cut, &desired, policy);
            assert_eq!(content(&cut), content(&whole), "{before:?} after {lives}");
            for account in &before.config_entries {
                assert!(before.in_force(account).is_none() || cut.in_force(account).is_some());
            }
        }
    }
}

/// The entry `k1`, as it is written here.
pub(crate) fn one_entry(client_id: &str, adopt: Adopt, completeness: Completeness) -> Desired {
    let mut desired = Desired { completeness, ..only(client_id, "s") };
    desired.credentials[0].adopt = adopt;
    desired
}

#[test]
fn an_id_that_is_also_the_auth_domain_of_its_client_comes_to_rest() {
    let held = [("spotify_one", "one", Some("spotify_one")), ("spotify_one_2", "one", None)];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    for prune in [Prune::Managed, Prune::All] {
        let policy = Policy { prune, adopt_all: true, ..Policy::default() };
        comes_to_rest(&held, &["spotify_one"], &desired, &policy);
    }
}

#[test]
fn a_lost_id_comes_to_rest_while_a_manifest_cannot_be_read() {
    let held = [
        ("spotify_two", "two", None),
        ("spotify_one", "one", None),
        ("spotify_one_2", "one", None),
    ];
    let desired = one_entry("two", Adopt::Only, Completeness::Partial);
    comes_to_rest(&held, &["spotify_two_2"], &desired, &Policy::default());
}

#[test]
fn a_claim_for_another_client_that_an_account_names_comes_to_rest() {
    let claim = "appcred:house:k1:spotify_2_3";
    let held = [
        ("spotify_one", "one", Some(claim)),
        ("spotify_2", "2", None),
        ("spotify_2_2", "2", None),
        ("spotify_2_3", "2", None),
    ];
    let desired = one_entry("2", Adopt::No, Completeness::Partial);
    for prune in [Prune::Managed, Prune::All] {
        comes_to_rest(&held, &[claim], &desired, &Policy { prune, ..Policy::default() });
    }
}

/// The claim of an entry that is gone, for another client, names what an account names and no credential has.
#[test]
fn a_claim_of_what_a_lost_account_names_stays_and_comes_to_rest() {
    let held = [
        ("spotify_one", "one", Some("appcred:house:k3")),
        ("spotify_two", "two", Some("appcred:house:k2:spotify_one")),
    ];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    comes_to_rest(&held, &["spotify_one"], &desired, &Policy::default());
}

/// Another entry has claimed the claim of what Home Assistant does not release.
#[test]
fn a_claim_of_a_claim_stays_as_long_as_that_and_comes_to_rest() {
    let held = [
        ("spotify_two", "two", None),
        ("spotify_one_3", "one", None),
        ("spotify_one_4", "one", Some("appcred:house:k3:appcred:house:k1:spotify_one_3")),
        ("spotify_one_5", "one", Some("appcred:house:k1:spotify_one_3")),
    ];
    let mut desired = one_entry("two", Adopt::No, Completeness::Whole);
    let other = one_entry("2", Adopt::No, Completeness::Whole).credentials.remove(0);
    desired.credentials.push(DesiredCredential { key: key("k3"), ..other });
    let policy = Policy { adopt_all: true, ..Policy::default() };
    comes_to_rest(&held, &["spotify_one_3"], &desired, &policy);
}

/// An account names the claim that is written while a credential is adopted.
#[test]
fn an_adoption_whose_claim_an_account_names_comes_to_rest() {
    let held = [
        ("spotify_one", "one", Some("appcred:house:k1:appcred:house:k1")),
        ("spotify_one_2", "one_2", None),
    ];
    let desired = one_entry("one_2", Adopt::No, Completeness::Whole);
    let policy = Policy { adopt_all: true, ..Policy::default() };
    comes_to_rest(&held, &["appcred:house:k1:spotify_one_2"], &desired, &policy);
}

/// Another key of this owner has claimed the claim that is written while a credential is adopted.
#[test]
fn an_adoption_whose_claim_is_claimed_already_comes_to_rest() {
    let claim = Some("appcred:house:k2:appcred:house:k1:spotify_one");
    let held = [("spotify_one", "one", None), ("spotify_one_2", "one", claim)];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    for prune in [Prune::Nothing, Prune::Managed, Prune::All] {
        let policy = Policy { prune, adopt_all: true, ..Policy::default() };
        comes_to_rest(&held, &["another"], &desired, &policy);
    }
}

/// A key that no entry has any more had claimed the mark of one, and an account names that claim.
#[test]
fn what_a_key_has_that_claimed_the_mark_of_an_entry_is_its_own_beside_an_adoption() {
    let claim = "appcred:house:k2:appcred:house:k1";
    let held = [("spotify_one", "one", Some(claim)), ("spotify_one_2", "one", None)];
    let adopt = Adopt::Id(CredentialId::new("spotify_one_2"));
    let desired = one_entry("one", adopt, Completeness::Whole);
    comes_to_rest(&held, &[claim, "spotify_one_2"], &desired, &Policy::default());
}

/// Only the client says that it was the entry's, which is known no more once the entry has adopted
/// something.
#[test]
fn what_is_taken_for_renamed_is_written_before_an_adoption() {
    let claim = "appcred:house:k3:appcred:house:k3";
    let held = [("spotify_one", "one", None), ("spotify_one_2", "one", Some(claim))];
    let adopt = Adopt::Id(CredentialId::new("spotify_one"));
    let desired = one_entry("one", adopt, Completeness::Whole);
    comes_to_rest(&held, &[claim, "spotify_one"], &desired, &Policy::default());
}

/// The claim of an entry that is gone, for another client, of the mark that an entry gets back.
#[test]
fn a_claim_of_the_mark_of_an_entry_goes_though_an_account_has_lost_that() {
    let held = [("spotify_two", "two", Some("appcred:house:k2:appcred:house:k1"))];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    for prune in [Prune::Managed, Prune::All] {
        let policy = Policy { prune, ..Policy::default() };
        comes_to_rest(&held, &["appcred:house:k1"], &desired, &policy);
    }
}

/// The entry has claimed the claim that an adoption writes, which says itself whose it is.
#[test]
fn a_claim_of_the_own_claim_of_an_adoption_is_not_kept() {
    let claim = Some("appcred:house:k1:appcred:house:k1:spotify_one");
    let held = [("spotify_one", "one", None), ("spotify_one_2", "one", claim)];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    let policy = Policy { adopt_all: true, ..Policy::default() };
    comes_to_rest(&held, &["spotify_one"], &desired, &policy);
}

/// What an older version shadowed is claimed also where another key of this owner has such a client.
#[test]
fn an_old_shadow_is_claimed_beside_what_is_undeclared() {
    let held = [
        ("spotify_one", "one", Some("spotify_one")),
        ("spotify_one_2", "one", Some("appcred:house:k3")),
        ("spotify_two", "two", Some("appcred:house:k1:appcred:house:k2")),
    ];
    let mut desired = one_entry("one", Adopt::No, Completeness::Whole);
    let other = one_entry("two", Adopt::No, Completeness::Whole).credentials.remove(0);
    desired.credentials.push(DesiredCredential { key: key("k2"), ..other });
    let accounts = ["appcred:house:k1:appcred:house:k2", "spotify_one"];
    comes_to_rest(&held, &accounts, &desired, &Policy::default());
}

/// The entry's claim of a claim that it replaces goes with that.
#[test]
fn a_claim_of_a_claim_that_is_replaced_goes_with_it() {
    let held = [
        ("spotify_one", "one", None),
        ("spotify_one_2", "one", Some("appcred:house:k4:spotify_one")),
        ("spotify_one_3", "one", Some("appcred:house:k1:appcred:house:k4:spotify_one")),
    ];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    comes_to_rest(&held, &["spotify_one"], &desired, &Policy::default());
}

/// Of a group that stays one is named in its place, whichever the target lists first.
#[test]
fn what_stays_is_represented_by_the_same_whatever_the_order() {
    let claim = |id: &str, client_id: &str| Credential {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new("s").into(),
        name: None,
        auth_domain: Some(format!("appcred:house:k4:{id}").into()),
    };
    let all = [claim("spotify_one_2", "one_2"), claim("spotify_one_3", "one")];
    let mut shelf = Shelf::new(all.to_vec(), Vec::new());
    shelf.link(&Domain::new("spotify"), "spotify_one_2");
    let desired = Desired { credentials: Vec::new(), ..only("two", "s") };
    let withheld = |shelf: &Shelf| {
        let planned = plan(&desired, &shelf.observed(), &Policy::default());
        planned.withheld.into_iter().map(|withheld| withheld.action).collect::<Vec<_>>()
    };
    let first = withheld(&shelf);
    assert_eq!(first.len(), 1);
    shelf.credentials.reverse();
    assert_eq!(withheld(&shelf), first);
}

/// One entry, linked and in sync, whose secret is then changed to one that the provider refuses.
#[test]
fn a_secret_that_does_not_work_leaves_the_old_one_in_force() {
    let desired = |secret| only("one", secret);
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
        "the linked account \"Anna\" does not run with the new credential (setup_error); the old credential is in force again"
    );
    assert_eq!(content(&shelf), before);
    let told = plan(&desired("wrong"), &shelf.observed(), &Policy::default());
    assert!(matches!(told.steps[0].action, Action::Replace { .. }));
}

/// A run was cut off between the new secret and the end of the first one, which a linked account used.
fn rotated_by_half() -> Shelf {
    let mut shelf = Shelf::new(Vec::new(), Vec::new());
    for secret in ["first", "second"] {
        let mut made = Shelf::new(Vec::new(), Vec::new());
        run(&mut made, &only("one", secret), &Policy::default());
        let id = shelf.next_id(&Domain::new("spotify"), &ClientId::new("one"));
        shelf.credentials.push(Credential { id, ..made.credentials.remove(0) });
    }
    shelf.link(&Domain::new("spotify"), "appcred:house:k1");
    shelf
}

/// A rotation was not finished since the account did not run, and is taken back: what is in force goes though the
/// account does not run with it.
#[test]
fn a_rotation_that_is_taken_back_leaves_the_first_secret_in_force() {
    let mut shelf = rotated_by_half();
    shelf.config_entries[0].state = EntryState::SetupRetry;
    shelf.wrong = Some("second");
    let outcomes = run(&mut shelf, &only("one", "first"), &Policy::default());
    assert!(matches!(outcomes[..], [StepOutcome { outcome: Outcome::Done, .. }]), "{outcomes:?}");
    let [held] = &shelf.credentials[..] else { panic!("{:?}", content(&shelf)) };
    assert_eq!(held.client_secret.clear().unwrap().expose(), "first");
}

/// A run was cut off after it had created the new secret, and the account did not run then.
#[test]
fn the_old_secret_stays_until_an_account_is_seen_to_run_with_the_new_one() {
    let mut shelf = rotated_by_half();
    shelf.is_slow = true;
    for state in [EntryState::SetupRetry, EntryState::SetupInProgress] {
        shelf.config_entries[0].state = state;
        let outcomes = run(&mut shelf, &only("one", "second"), &Policy::default());
        let Outcome::Unfinished(why) = &outcomes[0].outcome else { panic!("{outcomes:?}") };
        assert!(why.ends_with("so the old one stays"), "{why}");
        assert_eq!(shelf.credentials.len(), 2);
    }
    shelf.is_slow = false;
    run(&mut shelf, &only("one", "second"), &Policy::default());
    let [held] = &shelf.credentials[..] else { panic!("{:?}", content(&shelf)) };
    assert_eq!(held.client_secret.clear().unwrap().expose(), "second");
}

/// An account names this entry's claim of what a person made, which is gone; what another key's claim says of it is
/// left.
#[test]
fn a_lost_claim_of_what_was_made_by_hand_comes_to_rest() {
    let held = [
        ("spotify_one", "one", None),
        ("spotify_one_2", "one", Some("appcred:house:k2:appcred:house:k1:spotify_one")),
        ("spotify_one_3", "one", None),
    ];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    comes_to_rest(
        &held,
        &["appcred:house:k1:spotify_one", "spotify_one"],
        &desired,
        &Policy::default(),
    );
}

/// What has another entry's mark and the client of this one is replaced by that entry in the same run.
#[test]
fn what_another_entry_replaces_is_in_nobodys_way() {
    let held = [
        ("spotify_one", "one", None),
        ("spotify_one_2", "one", Some("appcred:house:k1")),
        ("spotify_two", "two", Some("appcred:house:k2:appcred:house:k1")),
        ("spotify_one_3", "one", None),
        ("spotify_one_4", "one", None),
        ("spotify_one_5", "one", Some("appcred:house:k1:spotify_one")),
    ];
    let mut desired = one_entry("two", Adopt::No, Completeness::Whole);
    let mut second = desired.credentials[0].clone();
    second.key = key("k2");
    second.client_id = ClientId::new("one");
    desired.credentials.push(second);
    comes_to_rest(&held, &["appcred:house:k2:appcred:house:k1"], &desired, &Policy::default());
}

/// What an older version shadowed is claimed beside a guess of a rename, which is not made again.
#[test]
fn a_guess_is_written_down_before_what_an_older_version_shadowed() {
    let held = [
        ("spotify_one", "one", Some("appcred:house:k2:appcred:house:k1")),
        ("spotify_2", "2", Some("spotify_2_2")),
        ("spotify_2_2", "2", Some("appcred:house:k2:appcred:cabin:k1")),
    ];
    let desired = one_entry("2", Adopt::No, Completeness::Whole);
    comes_to_rest(&held, &["spotify_2_2"], &desired, &Policy::default());
}

/// An account names a claim of another key that is gone; another owner has claimed the same since.
#[test]
fn a_lost_claim_that_would_begin_a_dispute_is_not_restored() {
    let all = [
        ("spotify_2", "appcred:house:k1:appcred:house:k2:my_import"),
        ("spotify_2_2", "appcred:cabin:k1:my_import"),
    ];
    let all = all.map(|(id, auth_domain)| Credential {
        name: Some("N".into()),
        ..made(id, "2", "s", Some(auth_domain))
    });
    let all = all.to_vec();
    let mut shelf = Shelf::new(all, Vec::new());
    shelf.link(&Domain::new("spotify"), "appcred:house:k2:my_import");
    let desired = one_entry("2", Adopt::No, Completeness::Whole);
    let planned = plan(&desired, &shelf.observed(), &Policy::default());
    assert_eq!(planned.steps, []);
    assert!(matches!(planned.withheld[..], [Withheld { why: Why::OtherOwner { .. }, .. }]));
}

/// Another owner has claimed the entry's mark. What the entry had for another client stays, with all that says so.
#[test]
fn claims_of_what_stays_stay_as_well() {
    let held = [
        ("spotify_one", "one", Some("appcred:cabin:k1:appcred:house:k1")),
        ("spotify_2", "2", None),
        ("spotify_2_2", "2", Some("appcred:house:k1:appcred:house:k4:spotify_2")),
        ("spotify_2_3", "2", Some("appcred:house:k4:spotify_2")),
    ];
    let desired = one_entry("one", Adopt::No, Completeness::Whole);
    comes_to_rest(&held, &[], &desired, &Policy::default());
}
