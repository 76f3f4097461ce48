//! What holds for every plan of which a part is selected.

use std::collections::BTreeSet;

use appcred::model::{
    Adopt, ClientId, Completeness, Credential, CredentialId, Desired, DesiredCredential, Domain,
    Glob, Key, Policy, Prune, Secret, Selection,
};
use appcred::plan::{Plan, Why, plan};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use proptest::{collection, proptest};

use crate::laws::{cases, content, held, one_entry, policies, run, wanted};
use crate::shelf::Shelf;

const KEYS: [&str; 4] = ["k1", "k2", "k3", "k4"];
const DOMAINS: [&str; 2] = ["spotify", "twitch"];

fn globs(texts: Vec<&str>) -> Vec<Glob> {
    texts.into_iter().map(|text| Glob::new(text).unwrap()).collect()
}

fn of_keys(keys: Vec<&str>) -> Selection {
    Selection { keys: globs(keys), ..Selection::default() }
}

fn of_domains(domains: Vec<&str>) -> Selection {
    Selection { domains: globs(domains), ..Selection::default() }
}

fn selections() -> impl Strategy<Value = Selection> {
    let some = |texts: &'static [&'static str]| collection::vec(select(texts), 0..3);
    let keys = prop_oneof![Just(Vec::new()), some(&["k1", "k2", "k?", "k4"])];
    let parts = (keys, some(&["spotify", "t*"]), some(&["k1", "k3"]));
    parts.prop_map(|(keys, domains, excluded)| Selection {
        may_be_nothing: false,
        keys: globs(keys),
        domains: globs(domains),
        excluded: globs(excluded),
    })
}

/// All keys under which a credential is written down at the target, or is of an entry by the plan.
fn keys_of(credential: &Credential, shelf: &Shelf, whole: &Plan) -> BTreeSet<Key> {
    let own = credential.own_mark().map(|mark| mark.key);
    let is_claim = |other: &&Credential| {
        other.domain == credential.domain
            && other.client_id == credential.client_id
            && other
                .claim()
                .is_some_and(|claim| claim.implementation == credential.implementation())
    };
    let claims = shelf.credentials.iter().filter(is_claim);
    let claimed = claims.flat_map(|claim| keys_of(claim, shelf, whole));
    let states = whole.credential_states.iter().filter(|of| of.held == credential.held());
    let planned = states.filter_map(|of| of.state.key().cloned());
    own.into_iter().chain(claimed).chain(planned).collect()
}

/// All keys by which an entry may be meant: its own and earlier ones, whatever a target holds of it.
fn names_of(key: &Key, desired: &Desired) -> BTreeSet<Key> {
    let formerly = desired.credential(key).into_iter().flat_map(|entry| entry.formerly.clone());
    std::iter::once(key.clone()).chain(formerly).collect()
}

fn is_excluded(key: &Key, desired: &Desired, selection: &Selection) -> bool {
    let excluding = Selection { excluded: selection.excluded.clone(), ..Selection::default() };
    let entry = desired.credential(key);
    entry.is_some_and(|entry| !excluding.includes(entry.keys(), &entry.domain))
}

fn may_be_selected(keys: &BTreeSet<Key>, domain: &Domain, selection: &Selection) -> bool {
    let any = keys.iter().any(|key| selection.includes(Some(key), domain));
    any || keys.is_empty() && selection.includes(None, domain)
}

/// What was made by hand for the client of an entry may be adopted with that.
fn is_by_hand_of_selected(
    credential: &Credential,
    desired: &Desired,
    selection: &Selection,
) -> bool {
    desired.credentials.iter().any(|entry| {
        entry.domain == credential.domain
            && entry.client_id == credential.client_id
            && entry.keys().any(|key| selection.includes(Some(key), &entry.domain))
    })
}

/// With some that are protected or suspended.
fn keeping_policies() -> impl Strategy<Value = Policy> {
    let some = || collection::btree_set(select(&KEYS), 0..3);
    let keys =
        |texts: BTreeSet<&str>| texts.into_iter().map(|text| Key::new(text).unwrap()).collect();
    (policies(), some(), some()).prop_map(move |(policy, protected, suspended)| Policy {
        protected: keys(protected),
        suspended: keys(suspended),
        ..policy
    })
}

fn with(policy: &Policy, selection: &Selection) -> Policy {
    Policy { selection: selection.clone(), ..policy.clone() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_part_of_a_plan_has_nothing_that_the_whole_has_not(
        desired in wanted(), shelf in held(), policy in keeping_policies(), selection in selections()
    ) {
        let whole = plan(&desired, &shelf.observed(), &policy);
        let part = plan(&desired, &shelf.observed(), &with(&policy, &selection));
        for step in &part.steps {
            assert!(whole.steps.contains(step), "{step:?}");
            if let Some(wanted) = step.action.for_entry() {
                let names = names_of(&wanted.key, &desired);
                assert!(may_be_selected(&names, &wanted.domain, &selection), "{step:?}");
                assert!(!is_excluded(&wanted.key, &desired, &selection), "{step:?}");
            }
            let before = step.after.map(|after| part.steps.iter().any(|step| step.id == after));
            assert_ne!(before, Some(false), "{step:?} comes after what is left out");
        }
        for withheld in &part.withheld {
            let was_planned = || whole.steps.iter().any(|step| step.action == withheld.action);
            let is_left = matches!(withheld.why, Why::NotSelected { .. }) && was_planned();
            assert!(is_left || whole.withheld.contains(withheld), "{withheld:?}");
        }
        assert!(part.credential_states.iter().all(|of| whole.credential_states.contains(of)));
        if selection.is_whole() {
            assert_eq!(part, whole);
        }
    }

    #[test]
    fn what_is_not_selected_is_neither_created_changed_nor_deleted(
        desired in wanted(), mut shelf in held(), policy in keeping_policies(), selection in selections()
    ) {
        let before = shelf.clone();
        let whole = plan(&desired, &shelf.observed(), &policy);
        run(&mut shelf, &desired, &with(&policy, &selection));
        for credential in &before.credentials {
            let keys = keys_of(credential, &before, &whole);
            let mut states = whole.credential_states.iter().filter(|of| of.held == credential.held());
            let entry = states.find_map(|of| of.state.key()).filter(|key| desired.credential(key).is_some());
            let keys: BTreeSet<Key> = match entry {
                Some(entry) => names_of(entry, &desired),
                None => keys.iter().flat_map(|key| names_of(key, &desired)).chain(keys.iter().cloned()).collect(),
            };
            let is_own = |entry: &DesiredCredential, key: &Key| entry.key == *key || desired.credential(key).is_none();
            let goes_with = |entry: &DesiredCredential| entry.keys().any(|key| keys.contains(key) && is_own(entry, key)) && may_be_selected(&names_of(&entry.key, &desired), &entry.domain, &selection);
            if !may_be_selected(&keys, &credential.domain, &selection) && !desired.credentials.iter().any(goes_with) && !is_by_hand_of_selected(credential, &desired, &selection) {
                assert!(shelf.credentials.contains(credential), "{credential:?} {selection:?}");
            }
        }
        for credential in &shelf.credentials {
            if !before.credentials.contains(credential) {
                let by = whole.steps.iter().filter_map(|step| step.action.created());
                let mut by = by.filter(|wanted| may_be_selected(&names_of(&wanted.key, &desired), &wanted.domain, &selection));
                assert!(by.any(|wanted| wanted.domain == credential.domain && wanted.client_id == credential.client_id), "{credential:?}");
            }
        }
    }

    /// But for what another key has claimed since.
    #[test]
    fn what_is_written_down_for_an_excluded_entry_stays(
        desired in wanted(), mut shelf in held(), policy in policies(), selection in selections()
    ) {
        let before = shelf.clone();
        run(&mut shelf, &desired, &with(&policy, &selection));
        for credential in &before.credentials {
            let Some(mark) = credential.mark().filter(|mark| mark.owner == desired.owner) else { continue };
            let claims = |other: &&Credential| {
                other.domain == credential.domain
                    && other.claim().is_some_and(|claim| claim.implementation == credential.implementation())
            };
            let of = |entry: &&DesiredCredential| entry.keys().any(|key| *key == mark.key);
            let is_claimed = before.credentials.iter().any(|other| claims(&other));
            let mut entries = desired.credentials.iter().filter(of).peekable();
            if !is_claimed && entries.peek().is_some() && entries.all(|entry| is_excluded(&entry.key, &desired, &selection)) {
                assert!(shelf.credentials.contains(credential), "{credential:?} {selection:?}");
            }
        }
    }

    /// Each key alone, in any order, and all once more for what had to wait.
    #[test]
    fn one_key_after_the_other_arrives_where_all_at_once_do(
        desired in wanted(), shelf in held(), policy in policies(), order in Just(KEYS.to_vec()).prop_shuffle()
    ) {
        let policy = Policy { prune: if policy.prune == Prune::All { Prune::Managed } else { policy.prune }, ..policy };
        let (mut whole, mut parts) = (shelf.clone(), shelf);
        run(&mut whole, &desired, &policy);
        for one in order.iter().chain(&order) {
            run(&mut parts, &desired, &with(&policy, &of_keys(vec![one])));
        }
        assert_eq!(content(&parts), content(&whole));
        assert_eq!(plan(&desired, &parts.observed(), &policy).steps, []);
    }

    /// What goes with an entry of another integration may have to wait for that.
    #[test]
    fn one_integration_after_the_other_arrives_where_all_at_once_do(
        desired in wanted(), shelf in held(), policy in policies(), order in Just(DOMAINS.to_vec()).prop_shuffle()
    ) {
        let (mut whole, mut parts) = (shelf.clone(), shelf);
        run(&mut whole, &desired, &policy);
        for one in order.iter().chain(&order) {
            run(&mut parts, &desired, &with(&policy, &of_domains(vec![one])));
        }
        assert_eq!(content(&parts), content(&whole));
        assert_eq!(plan(&desired, &parts.observed(), &policy).steps, []);
    }

    /// What nobody manages and stays is in the way of what is selected, although `prune: all` would delete it.
    #[test]
    fn nothing_is_made_beside_what_was_made_by_hand_and_is_not_selected(
        desired in wanted(), mut shelf in held(), policy in policies(), selection in selections()
    ) {
        let policy = Policy { prune: Prune::All, ..policy };
        let before = shelf.clone();
        let whole = plan(&desired, &before.observed(), &policy);
        let unpruned = Policy { prune: Prune::Managed, ..policy.clone() };
        let possible = plan(&desired, &before.observed(), &unpruned);
        run(&mut shelf, &desired, &with(&policy, &selection));
        for made in shelf.credentials.iter().filter(|held| !before.credentials.contains(held)) {
            let is_pruned = |held: &&Credential| {
                let mut deletes = whole.steps.iter().filter(|step| step.action.for_entry().is_none());
                deletes.any(|step| step.foreign.contains(&held.held()))
            };
            let mut left = shelf.credentials.iter().filter(|held| {
                held.domain == made.domain && held.client_id == made.client_id
            });
            let mut created = possible.steps.iter().filter_map(|step| step.action.created());
            let is_possible = created.any(|wanted| {
                wanted.domain == made.domain && made.auth_domain.as_ref() == Some(&wanted.auth_domain)
            });
            assert!(is_possible || !left.any(|held| is_pruned(&held)), "{made:?} {selection:?}");
        }
    }
}

/// An account names the claim of what Home Assistant does not release: with another client it would be
/// nobody's, and keep the entry for its client from a credential.
#[test]
fn a_claim_that_an_account_names_stays_with_its_client_as_long_as_what_it_claims() {
    let claim = "appcred:house:k4:spotify_one";
    let held = |id: &str, auth_domain: Option<&str>| Credential {
        id: CredentialId::new(id),
        domain: Domain::new("spotify"),
        client_id: ClientId::new("one"),
        client_secret: Secret::new("s").into(),
        name: None,
        auth_domain: auth_domain.map(Into::into),
    };
    let all = vec![held("spotify_one", None), held("spotify_one_2", Some(claim))];
    let mut parts = Shelf::new(all, Vec::new());
    for account in [claim, "spotify_one"] {
        parts.link(&Domain::new("spotify"), account);
    }
    let mut desired = one_entry("two", Adopt::No, Completeness::Whole);
    desired.credentials[0].formerly = BTreeSet::from([Key::new("k4").unwrap()]);
    let other = one_entry("one", Adopt::No, Completeness::Whole).credentials.remove(0);
    desired.credentials.push(DesiredCredential { key: Key::new("k3").unwrap(), ..other });
    let (mut whole, policy) = (parts.clone(), Policy::default());
    run(&mut whole, &desired, &policy);
    for one in ["k1", "k3"] {
        run(&mut parts, &desired, &with(&policy, &of_keys(vec![one])));
    }
    assert_eq!(content(&parts), content(&whole));
}

fn marked(id: &str, domain: &str, client_id: &str, mark: &str) -> Credential {
    Credential {
        id: CredentialId::new(id),
        domain: Domain::new(domain),
        client_id: ClientId::new(client_id),
        client_secret: Secret::new("s").into(),
        name: None,
        auth_domain: Some(mark.into()),
    }
}

fn renamed(key: &str, formerly: &str) -> DesiredCredential {
    let entry = one_entry("one", Adopt::No, Completeness::Whole).credentials.remove(0);
    let formerly = BTreeSet::from([Key::new(formerly).unwrap()]);
    DesiredCredential { key: Key::new(key).unwrap(), formerly, ..entry }
}

fn excluding(key: &str) -> Policy {
    with(&Policy::default(), &Selection { excluded: globs(vec![key]), ..Selection::default() })
}

#[test]
fn what_an_excluded_entry_had_for_another_integration_under_an_earlier_key_stays() {
    let mut shelf = Shelf::new(vec![marked("t", "twitch", "one", "appcred:house:k4")], Vec::new());
    let mut desired = one_entry("one", Adopt::No, Completeness::Whole);
    desired.credentials = vec![renamed("k1", "k4")];
    let before = content(&shelf);
    run(&mut shelf, &desired, &excluding("k1"));
    assert_eq!(content(&shelf), before);
    run(&mut shelf, &desired, &Policy::default());
    assert!(shelf.credentials.iter().all(|held| held.domain == Domain::new("spotify")));
}

#[test]
fn what_is_written_down_for_an_excluded_entry_is_not_taken_for_its_client() {
    let held = marked("s", "spotify", "two", "appcred:house:k2");
    let mut shelf = Shelf::new(vec![held], Vec::new());
    let mut desired = one_entry("two", Adopt::No, Completeness::Whole);
    desired.credentials[0].key = Key::new("k3").unwrap();
    let excluded = renamed("k2", "k1");
    desired.credentials.push(DesiredCredential { domain: Domain::new("twitch"), ..excluded });
    let before = content(&shelf);
    let policy = excluding("k1");
    let part = plan(&desired, &shelf.observed(), &policy);
    let waits_for = |needed: &str| {
        let mut whys = part.withheld.iter().map(|withheld| &withheld.why);
        whys.any(|why| *why == Why::NotSelected { needed: needed.to_owned() })
    };
    assert!(waits_for("k2"), "{part:?}");
    run(&mut shelf, &desired, &policy);
    assert_eq!(content(&shelf), before);
}
