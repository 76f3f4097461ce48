//! Each test begins in sync and changes one thing.

use std::collections::BTreeSet;

use super::{Action, Adoption, CredentialState, Plan, Why, plan};
use crate::model::{
    AccountName, Adopt, ClientId, Completeness, ConfigEntry, Credential, CredentialId, Desired,
    DesiredCredential, Domain, EntryId, EntryState, Key, KnownDomains, Live, Mark, MaxDeletes,
    NotedAccount, Observed, OnDelete, Owner, Policy, Prune, Secret, Slip, Unidentified,
    UnreadAccounts,
};

pub(super) fn wanted(key: &str) -> DesiredCredential {
    DesiredCredential {
        client_id: ClientId::new(format!("id-{key}")),
        client_secret: Secret::new("s1").into(),
        ..DesiredCredential::example(key)
    }
}

pub(super) fn desired(credentials: Vec<DesiredCredential>) -> Desired {
    Desired::example(credentials)
}

pub(super) fn held(id: &str, entry: &DesiredCredential, auth_domain: Option<&str>) -> Credential {
    Credential {
        id: CredentialId::new(id),
        domain: entry.domain.clone(),
        client_id: entry.client_id.clone(),
        client_secret: entry.client_secret.clone(),
        name: Some(entry.name.clone()),
        auth_domain: auth_domain.map(Into::into),
    }
}

pub(super) fn linked(implementation: &str) -> ConfigEntry {
    ConfigEntry {
        id: EntryId::new(format!("entry-{implementation}")),
        domain: Domain::new("spotify"),
        title: "Anna".into(),
        state: EntryState::Loaded,
        reason: None,
        implementation: Some(implementation.into()),
    }
}

/// Entries `a` and `b`, held as wanted.
fn in_sync() -> (Desired, Observed) {
    let desired = desired(vec![wanted("a"), wanted("b")]);
    let credentials = vec![
        held("spotify_id_a", &wanted("a"), Some("appcred:house:a")),
        held("spotify_id_b", &wanted("b"), Some("appcred:house:b")),
    ];
    (desired, observing(credentials))
}

pub(super) fn observing(credentials: Vec<Credential>) -> Observed {
    let domains = KnownDomains::Listed(BTreeSet::from(["spotify", "twitch"].map(Domain::new)));
    Observed { domains, credentials, ..Observed::example() }
}

pub(super) fn planned(change: impl FnOnce(&mut Desired, &mut Observed, &mut Policy)) -> Plan {
    let (mut desired, mut observed) = in_sync();
    let mut policy = Policy::default();
    change(&mut desired, &mut observed, &mut policy);
    plan(&desired, &observed, &policy)
}

/// `+ a`, `-/+ a`, `adopt a`, `shadow a`, `- id`, each with its reasons, and `! ...` for what is withheld.
fn summary(plan: &Plan) -> Vec<String> {
    let name = |action: &Action| match action {
        Action::Create { wanted } => format!("+ {}", wanted.key),
        Action::Replace { wanted, old } => format!("-/+ {} for {}", wanted.key, ids(old)),
        Action::Adopt { wanted, old, how: Adoption::TakeOver } => {
            format!("adopt {} for {}", wanted.key, ids(old))
        }
        Action::Adopt { wanted, old, how: Adoption::Shadow } => {
            format!("shadow {} for {}", wanted.auth_domain, ids(old))
        }
        Action::Claim { wanted, old } if old.is_empty() => format!("claim {}", wanted.auth_domain),
        Action::Claim { wanted, old } => format!("claim {} for {}", wanted.auth_domain, ids(old)),
        Action::Delete { old, remove } if remove.is_empty() => format!("- {}", old.id),
        Action::Delete { old, remove } => format!("- {} with {}", old.id, remove.len()),
        Action::SetUp { wanted, name, account, open } => {
            let name = name.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
            let again = account.as_ref().map(|account| format!(" again for {}", account.id));
            let open = open.as_ref().map(|flow| format!(" by {flow}"));
            format!(
                "> {}{name}{}{}",
                wanted.key,
                again.unwrap_or_default(),
                open.unwrap_or_default()
            )
        }
        Action::SetDeletePolicy { wanted, removes: true } => {
            format!("set delete policy of {}", wanted.key)
        }
        Action::SetDeletePolicy { wanted, removes: false } => {
            format!("clear delete policy of {}", wanted.key)
        }
        Action::Reload { wanted, account } => format!("reload {} for {}", wanted.key, account.id),
        Action::NoteAccount { wanted, name, account } => {
            format!("note {}/{name} for {}", wanted.key, account.id)
        }
        Action::RemoveAccount { wanted, name, account } => {
            format!("remove {}/{name} for {}", wanted.key, account.id)
        }
        Action::Abandon { flow } => format!("x {}", flow.id),
    };
    let steps = plan.steps.iter().map(|step| {
        let reload = if step.reload.is_empty() { "" } else { " reload" };
        format!("{} {:?}{reload}", name(&step.action), step.reasons)
    });
    let withheld = plan
        .withheld
        .iter()
        .map(|withheld| format!("! {} {}", name(&withheld.action), why(&withheld.why)));
    steps.chain(withheld).collect()
}

fn ids(held: &[crate::model::Held]) -> String {
    held.iter().map(|held| held.id.as_str()).collect::<Vec<_>>().join(",")
}

fn why(why: &Why) -> String {
    match why {
        Why::InUse { by } => format!("in use by {}", by.len()),
        Why::ReusedName { key, .. } => format!("{key} has its client"),
        Why::ReusedKey { former, by, is_lost, .. } => {
            let use_ = if *is_lost { "lost by" } else { "in use by" };
            format!("once {former}, {use_} {}", by.len())
        }
        Why::PreviousOwner { held, owner, by } => {
            format!("of {owner} {}, in use by {}", held.id, by.len())
        }
        Why::MayBeCloud { by } => format!("may be cloud {}", by.len()),
        Why::Foreign { held, .. } => format!("foreign {}", held.id),
        Why::OwnerDiffers { held, owner } => format!("of {owner} {}", held.id),
        Why::OtherEntry { key } => format!("of entry {key}"),
        Why::OtherOwner { by } => format!("claimed by {by}"),
        Why::SeveralByHand { held } => format!("one of {}", ids(held)),
        Why::UnreadAccounts { unread } => format!("unread {}", unread.len()),
        Why::SeveralEntries { id, keys } => {
            let keys: Vec<_> = keys.iter().map(Key::as_str).collect();
            format!("{id} of {}", keys.join(" or "))
        }
        Why::SeveralRenamed { keys } => {
            let keys = keys.iter().map(|(key, held)| format!("{key} {}", ids(held)));
            format!("once {}", keys.collect::<Vec<_>>().join(" or "))
        }
        Why::UnreadableMark { held } => format!("unreadable {}", held.id),
        Why::Disputed { by } => {
            let by: Vec<String> = by.iter().map(ToString::to_string).collect();
            format!("claimed by {}", by.join(" and "))
        }
        other => format!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn check(plan: &Plan, expected: &[&str]) {
    assert_eq!(summary(plan), expected);
}

#[test]
fn in_sync_is_nothing_to_do() {
    let plan = planned(|_, _, _| {});
    check(&plan, &[]);
    assert!(plan.is_in_sync());
}

#[test]
fn a_new_entry_is_created() {
    check(&planned(|desired, _, _| desired.credentials.push(wanted("c"))), &["+ c [NotObserved]"]);
}

#[test]
fn a_changed_secret_replaces_and_reloads() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].client_secret = Secret::new("s2").into();
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["-/+ a for spotify_id_a [SecretDiffers] reload"]);
}

#[test]
fn a_changed_name_replaces_and_reloads_nothing() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].name = "new".into();
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["-/+ a for spotify_id_a [NameDiffers]"]);
}

#[test]
fn a_changed_client_id_replaces() {
    let plan = planned(|desired, _, _| desired.credentials[0].client_id = ClientId::new("other"));
    check(&plan, &["-/+ a for spotify_id_a [ClientIdDiffers]"]);
}

#[test]
fn a_removed_entry_is_deleted() {
    let plan = planned(|desired, _, _| drop(desired.credentials.remove(0)));
    check(&plan, &["- spotify_id_a [NotDesired]"]);
}

#[test]
fn what_its_entry_keeps_for_other_targets_is_deleted_by_that_reason() {
    let gone = |slip: Option<Slip>, change: fn(&mut Policy)| {
        planned(|desired, _, policy| {
            let entry = desired.credentials.remove(0);
            desired.elsewhere.insert(entry.key, slip);
            change(policy);
        })
    };
    check(&gone(None, |_| {}), &["- spotify_id_a [NotForTarget]"]);
    let slip = || {
        let (written, meant) = ("ring: 10".into(), "ring: 1".into());
        Some(Slip::Label { written, meant })
    };
    let held_back = gone(slip(), |policy| policy.max_deletes = Some(MaxDeletes::Count(0)));
    assert_eq!(
        held_back.withheld[0].why.to_string(),
        "the entry `a` is for targets with the label `ring: 1`; this one has `ring: 10`, for which no entry asks"
    );
    assert!(held_back.steps.is_empty() && held_back.blocked() == 1 && !held_back.is_stopped());
    check(&gone(slip(), |policy| policy.allow_empty = true), &["- spotify_id_a [NotForTarget]"]);
    let off = gone(slip(), |policy| policy.prune = Prune::Nothing);
    assert_eq!(off.withheld[0].why, Why::PruneOff);
}

#[test]
fn a_removed_entry_in_use_is_kept() {
    let plan = planned(|desired, observed, _| {
        desired.credentials.remove(0);
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["! - spotify_id_a in use by 1"]);
    assert!(!plan.is_in_sync());
}

#[test]
fn where_the_keys_of_what_is_gone_are_known_nothing_else_is_deleted() {
    let plan = planned(|desired, _, policy| {
        desired.credentials.clear();
        policy.allow_empty = true;
        policy.gone = Some([(Key::new("a").unwrap(), OnDelete::Keep)].into());
    });
    assert_eq!(summary(&plan), ["- spotify_id_a [NotDesired]"]);
    let forgotten: Vec<&str> = plan.forgotten().map(|held| held.id.as_str()).collect();
    assert_eq!(forgotten, ["spotify_id_b"]);
}

#[test]
fn what_is_gone_with_its_account_leaves_it_to_another_entry_of_its_client() {
    let plan = planned(|desired, observed, policy| {
        desired.credentials[0].key = Key::new("c").unwrap();
        observed.config_entries.push(linked("appcred:house:a"));
        policy.gone = Some([(Key::new("a").unwrap(), OnDelete::RemoveIntegration)].into());
        policy.remove_integrations = true;
    });
    assert_eq!(plan.removed_accounts(), 0, "{plan:?}");
    assert!(
        plan.steps.iter().all(|step| !matches!(step.action, Action::Delete { .. })),
        "{plan:?}"
    );
}

#[test]
fn an_entry_that_moves_to_another_integration_is_created_and_deleted() {
    let plan = planned(|desired, _, _| desired.credentials[0].domain = Domain::new("twitch"));
    check(&plan, &["+ a [NotObserved]", "- spotify_id_a [IntegrationDiffers]"]);
}

#[test]
fn a_renamed_key_takes_over_what_no_account_uses() {
    let plan = planned(|desired, _, _| desired.credentials[0].key = Key::new("c").unwrap());
    check(&plan, &["-/+ c for spotify_id_a [TakenForRenamed]"]);
    let plan = planned(|desired, _, _| {
        desired.credentials[0].key = Key::new("c").unwrap();
        desired.credentials[0].client_secret = Secret::new("another").into();
    });
    check(&plan, &["-/+ c for spotify_id_a [TakenForRenamed, SecretDiffers]"]);
}

/// Home Assistant's config entry names the old mark, and nobody can change that.
#[test]
fn a_renamed_key_claims_the_mark_that_an_account_names() {
    let renamed = |desired: &mut Desired, observed: &mut Observed| {
        desired.credentials[0].key = Key::new("c").unwrap();
        observed.config_entries.push(linked("appcred:house:a"));
    };
    let plan = planned(|desired, observed, policy| {
        renamed(desired, observed);
        policy.remove_integrations = true;
    });
    check(&plan, &["claim appcred:house:c:appcred:house:a [TakenForRenamed]"]);
    let claimed = |desired: &mut Desired, observed: &mut Observed| {
        renamed(desired, observed);
        let claim = "appcred:house:c:appcred:house:a";
        observed.credentials.push(held("claim", &desired.credentials[0], Some(claim)));
    };
    check(&planned(|desired, observed, _| claimed(desired, observed)), &[]);
    let plan = planned(|desired, observed, _| {
        claimed(desired, observed);
        desired.credentials[0].client_secret = Secret::new("s2").into();
    });
    let rotated = [
        "-/+ c for spotify_id_a [SecretDiffers] reload",
        "claim appcred:house:c:appcred:house:a for claim [SecretDiffers]",
    ];
    check(&plan, &rotated);
    assert_eq!(plan.steps[0].action.created().unwrap().auth_domain, "appcred:house:a");
    let plan = planned(|desired, observed, _| {
        claimed(desired, observed);
        desired.credentials[0].client_id = ClientId::new("other");
    });
    let consents_again = [
        "claim appcred:house:c:appcred:house:a [ClientIdDiffers]",
        "-/+ c for spotify_id_a [ClientIdDiffers] reload",
        "- claim [Unclaimed]",
    ];
    check(&plan, &consents_again);
    let plan = planned(|desired, observed, _| {
        claimed(desired, observed);
        observed.config_entries.clear();
    });
    check(&plan, &["adopt c for spotify_id_a [LetGo]", "- claim [Unclaimed]"]);
}

#[test]
fn a_key_that_a_renamed_entry_still_needs_cannot_be_used_again() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].key = Key::new("c").unwrap();
        observed.config_entries.push(linked("appcred:house:a"));
        let claim = "appcred:house:c:appcred:house:a";
        observed.credentials.push(held("claim", &desired.credentials[0], Some(claim)));
        let again = DesiredCredential { client_id: ClientId::new("new"), ..wanted("a") };
        desired.credentials.push(again);
    });
    check(&plan, &["! + a of entry c"]);
}

/// The entry of account `a` was renamed, and a new one has its old name.
#[test]
fn no_account_gets_the_client_of_a_new_entry_that_took_over_the_name_of_its_own() {
    let plan = |names_key: bool, is_linked: bool| {
        planned(|desired, observed, _| {
            desired.credentials[0].key = Key::new("c").unwrap();
            let client_id = ClientId::new("new");
            desired.credentials.push(DesiredCredential { client_id, names_key, ..wanted("a") });
            observed.config_entries.extend(is_linked.then(|| linked("appcred:house:a")));
        })
    };
    let replaced = "-/+ a for spotify_id_a [ClientIdDiffers]";
    check(&plan(false, false), &[replaced, "+ c [NotObserved]"]);
    check(&plan(true, true), &[&format!("{replaced} reload"), "+ c [NotObserved]"]);
    let withheld = plan(false, true);
    check(&withheld, &["! -/+ a for spotify_id_a c has its client", "! + c c has its client"]);
    assert_eq!(withheld.blocked(), 2);
}

/// `b` is gone, `a` was renamed to that, and these accounts are linked: each was linked with a client of its own.
fn given_another_s_key(accounts: &[&str], change: &dyn Fn(&mut Desired, &mut Observed)) -> Plan {
    planned(|desired, observed, _| {
        let mut a = desired.credentials.remove(0);
        a.key = Key::new("b").unwrap();
        desired.credentials[0] = a;
        observed.config_entries = accounts.iter().map(|account| linked(account)).collect();
        change(desired, observed);
    })
}

fn formerly(desired: &mut Desired, keys: &[&str]) {
    let keys = keys.iter().map(|key| Key::new(key).unwrap());
    desired.credentials[0].formerly = keys.collect();
}

#[test]
fn no_account_gets_the_client_of_an_entry_that_was_given_its_key() {
    let plan = given_another_s_key;
    let (a, b) = ("appcred:house:a", "appcred:house:b");
    let once = "once appcred:house:a, in use by 1";
    let left = format!("! -/+ b for spotify_id_b {once}");
    let says_so = plan(&[a, b], &|desired, _| formerly(desired, &["a"]));
    assert!(says_so.steps.is_empty() && says_so.blocked() == 2, "{:?}", summary(&says_so));
    assert!(summary(&says_so).contains(&left), "{:?}", summary(&says_so));
    let text = says_so.withheld[0].why.to_string();
    assert_eq!(
        text,
        "the linked account \"Anna\" was linked under `b` with another client, and by its client or its `formerly` this entry was `a` before"
    );
    // It says so with whichever client.
    let renamed = plan(&[a, b], &|desired, _| {
        formerly(desired, &["a"]);
        desired.credentials[0].client_id = ClientId::new("new");
    });
    assert_eq!(renamed.steps, []);
    // Its client says so too, and that stays there until somebody decides.
    check(&plan(&[a, b], &|_, _| {}), &["! - spotify_id_a in use by 1", &left]);
    check(&plan(&[b], &|_, _| {}), &[&left, &format!("! - spotify_id_a {once}")]);
    // Also where something else keeps the entry from its credential.
    let claimed = plan(&[b], &|_, observed| {
        let claim = Some("appcred:cabin:x:appcred:house:b");
        observed.credentials.push(held("theirs", &wanted("a"), claim));
    });
    assert_eq!(claimed.steps, []);
    // What a previous owner had under the same key was another entry as well.
    let of_both_owners = plan(&[a, b], &|desired, observed| {
        desired.previous_owners = [Owner::new("cabin").unwrap()].into();
        observed.credentials[0].auth_domain = Some("appcred:cabin:b".into());
        observed.config_entries[0] = linked("appcred:cabin:b");
    });
    assert_eq!(of_both_owners.steps, []);
    let text = of_both_owners.withheld[0].why.to_string();
    assert!(text.ends_with("this entry was `b` of the owner `cabin` before"), "{text}");
    // Nobody uses what had the key.
    let of_a = plan(&[a], &|desired, _| formerly(desired, &["a"]));
    assert!(of_a.withheld.is_empty(), "{:?}", summary(&of_a));
    // That the accounts of both belong to one entry is said under its former key.
    let merged = plan(&[a, b], &|desired, _| {
        desired.credentials[0].key = Key::new("a").unwrap();
        formerly(desired, &["b"]);
    });
    let claimed = [
        "claim appcred:house:a:appcred:house:b [Renamed]",
        "-/+ a for spotify_id_b [ClientIdDiffers, NameDiffers] reload",
    ];
    check(&merged, &claimed);
}

/// `rename` writes the key that was another entry's under `formerly`.
#[test]
fn a_key_that_was_given_away_again_takes_no_account_along() {
    let renamed = |keys: &[&str]| {
        given_another_s_key(&["appcred:house:a", "appcred:house:b"], &|desired, _| {
            desired.credentials[0].key = Key::new("c").unwrap();
            formerly(desired, keys);
        })
    };
    let asked = renamed(&["a", "b"]);
    assert_eq!(asked.steps, []);
    let why = &asked.withheld[0].why;
    assert_eq!(
        why.to_string(),
        "the linked account \"Anna\" was linked under `b` with another client, and by its client or its `formerly` this entry was `a` before"
    );
    assert!(why.help().contains("remove the one that the account was linked under"), "{why}");
    // It is the other one's once the key is no longer there.
    let claimed = "claim appcred:house:c:appcred:house:a [Renamed]";
    check(&renamed(&["a"]), &[claimed, "! - spotify_id_b in use by 1"]);
}

/// `b` was lost in Home Assistant before its entry went: only what is left shows that the account was not this entry's.
#[test]
fn no_account_whose_credential_is_lost_gets_the_client_of_an_entry_that_was_given_its_key() {
    let lost = |accounts: &[&str], claim: Option<(&str, &str)>, keys: &[&str]| {
        given_another_s_key(accounts, &|desired, observed| {
            observed.credentials.truncate(1);
            let claim = claim.map(|(text, of)| held("claim", &wanted(of), Some(text)));
            observed.credentials.extend(claim);
            formerly(desired, keys);
        })
    };
    let (a, b) = ("appcred:house:a", "appcred:house:b");
    for (accounts, keys) in [(&[a, b][..], &["a"][..]), (&[a, b], &[]), (&[b], &["a"]), (&[b], &[])]
    {
        let plan = lost(accounts, None, keys);
        assert_eq!(plan.steps, [], "{accounts:?} {keys:?}");
        assert!(plan.blocked() > 0);
        assert_eq!(
            plan.withheld[0].why.to_string(),
            "the linked account \"Anna\" was linked under `b` with a credential that is lost, and by its client or its `formerly` this entry was `a` before"
        );
    }
    // What was made by hand was claimed for it.
    let by_hand = lost(&[a, "spotify_id_b"], Some(("appcred:house:b:spotify_id_b", "b")), &["a"]);
    assert_eq!(by_hand.steps, []);
    let once = "once appcred:house:a, lost by 1";
    assert!(summary(&by_hand).contains(&format!("! - claim {once}")), "{:?}", summary(&by_hand));
    // What is claimed for this client was this entry's under an earlier key.
    let own = lost(&[b], Some(("appcred:house:a:appcred:house:b", "a")), &["a"]);
    assert!(own.withheld.is_empty(), "{:?}", summary(&own));
    // Also with the key that it got after that.
    let renamed = |keys: &[&str], key: &str, previous: Option<&str>| {
        given_another_s_key(&[b], &|desired, observed| {
            observed.credentials.truncate(1);
            desired.credentials[0].key = Key::new(key).unwrap();
            desired.previous_owners = previous.and_then(Owner::new).into_iter().collect();
            if let Some(previous) = previous {
                observed.credentials[0].auth_domain = Some(format!("appcred:{previous}:a").into());
                observed.config_entries = vec![linked(&format!("appcred:{previous}:b"))];
            }
            formerly(desired, keys);
        })
    };
    assert_eq!(renamed(&["a", "b"], "c", None).steps, []);
    assert!(renamed(&["a"], "c", None).withheld.is_empty());
    // The owner was renamed as well.
    assert_eq!(renamed(&["a"], "b", Some("cabin")).steps, []);
    // It goes on under its own key, and says whose the account is now.
    let says_so = renamed(&["b"], "a", None);
    assert!(says_so.withheld.is_empty() && !says_so.steps.is_empty(), "{:?}", summary(&says_so));
}

/// Nothing shows that the entry was another one: its client was changed on purpose.
#[test]
fn an_entry_with_another_client_gets_back_what_was_lost() {
    let plan = planned(|desired, observed, _| {
        observed.credentials.remove(0);
        desired.credentials[0].client_id = ClientId::new("new");
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["+ a [NotObserved]"]);
}

/// The account names the id of what is there under a mark of its own.
#[test]
fn no_account_that_names_an_id_gets_the_client_of_an_entry_that_was_given_its_key() {
    let plan = given_another_s_key(&["appcred:house:a", "spotify_id_b"], &|_, _| {});
    let once = "once appcred:house:a, in use by 1";
    let claim = format!("! claim appcred:house:b:spotify_id_b {once}");
    check(&plan, &["! - spotify_id_a in use by 1", &claim, &format!("! + b {once}")]);
}

/// A running HA does not say what an account names that finds nothing.
#[test]
fn a_note_says_whose_an_account_was_whose_credential_is_lost() {
    let plan = |mark: &str| {
        given_another_s_key(&[], &|_, observed| {
            observed.credentials.truncate(1);
            let account = ConfigEntry { implementation: None, ..linked("x") };
            observed.live = Some(Live {
                accounts: BTreeSet::from([NotedAccount {
                    mark: Mark::parse(mark).unwrap(),
                    name: AccountName::new("Anna").unwrap(),
                    account: account.id.clone(),
                }]),
                missed: BTreeSet::from([account.id.clone()]),
                ..Live::default()
            });
            observed.config_entries = vec![account];
        })
    };
    assert_eq!(plan("appcred:house:b").steps, []);
    assert_ne!(plan("appcred:house:x").steps, []);
}

#[test]
fn two_entries_with_keys_of_their_own_may_exchange_their_clients() {
    let exchanged = |names_key: bool| {
        planned(|desired, observed, _| {
            observed.config_entries = vec![linked("appcred:house:a")];
            for (entry, client) in desired.credentials.iter_mut().zip(["id-b", "id-a"]) {
                (entry.client_id, entry.names_key) = (ClientId::new(client), names_key);
            }
        })
    };
    assert!(exchanged(true).withheld.is_empty());
    assert_eq!(exchanged(false).steps, []);
    // Of an entry whose key nobody wrote that does not say which account it is for.
    let plan = planned(|desired, observed, _| {
        observed.config_entries = vec![linked("appcred:house:a")];
        for (entry, client) in desired.credentials.iter_mut().zip(["id-b", "new"]) {
            (entry.client_id, entry.names_key) = (ClientId::new(client), false);
        }
    });
    let once = "once appcred:house:b, in use by 1";
    let left = ["a", "b"].map(|key| format!("! -/+ {key} for spotify_id_{key} {once}"));
    check(&plan, &left.each_ref().map(String::as_str));
}

#[test]
fn a_rename_is_seen_only_where_there_is_one_that_it_can_be() {
    let renamed = |formerly: &[&str], change: fn(&mut Observed)| {
        planned(|desired, observed, _| {
            let entry = &mut desired.credentials[0];
            entry.key = Key::new("c").unwrap();
            entry.formerly = formerly.iter().map(|key| Key::new(key).unwrap()).collect();
            observed.credentials.push(held(
                "spotify_id_a_2",
                &wanted("a"),
                Some("appcred:house:x"),
            ));
            change(observed);
        })
    };
    let asked = "! + c once a spotify_id_a or x spotify_id_a_2";
    check(&renamed(&[], |_| {}), &[asked]);
    check(
        &renamed(&[], |observed| observed.config_entries.push(linked("appcred:house:a"))),
        &[asked],
    );
    let taken = ["-/+ c for spotify_id_a [Renamed]", "- spotify_id_a_2 [NotDesired]"];
    check(&renamed(&["a"], |_| {}), &taken);
    let both = ["-/+ c for spotify_id_a,spotify_id_a_2 [Renamed]"];
    check(&renamed(&["a", "x"], |_| {}), &both);
}

/// An entry that has a credential under its own key was not called otherwise until now.
#[test]
fn only_a_new_entry_is_renamed() {
    let plan = |user: Option<&str>| {
        planned(|_, observed, _| {
            observed.credentials.push(held("old", &wanted("a"), Some("appcred:house:x")));
            observed.config_entries.extend(user.map(linked));
        })
    };
    check(&plan(Some("appcred:house:x")), &["! - old in use by 1"]);
    check(&plan(None), &["- old [NotDesired]"]);
}

#[test]
fn the_key_that_an_entry_had_is_the_last_one() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].key = Key::new("c").unwrap();
        desired.credentials[0].client_secret = Secret::new("s2").into();
        observed.config_entries.push(linked("appcred:house:a"));
        let claim = held("claim", &wanted("a"), Some("appcred:house:z:appcred:house:a"));
        observed.credentials.push(claim);
    });
    let steps = [
        "claim appcred:house:c:appcred:house:a [TakenForRenamed]",
        "-/+ c for spotify_id_a [SecretDiffers] reload",
        "- claim [Unclaimed]",
    ];
    check(&plan, &steps);
    assert_eq!(plan.steps[1].old_key.as_ref().map(Key::as_str), Some("z"));
}

#[test]
fn what_an_entry_was_called_before_moves_with_another_client_too() {
    let plan = planned(|desired, observed, _| {
        let entry = &mut desired.credentials[0];
        entry.key = Key::new("c").unwrap();
        entry.client_id = ClientId::new("other");
        entry.formerly = BTreeSet::from([Key::new("a").unwrap()]);
        observed.config_entries.push(linked("appcred:house:a"));
    });
    let moved = [
        "claim appcred:house:c:appcred:house:a [Renamed]",
        "-/+ c for spotify_id_a [ClientIdDiffers] reload",
    ];
    check(&plan, &moved);
}

#[test]
fn what_a_previous_owner_made_for_a_client_moves() {
    let of_cabin = |is_linked: bool, previous: &[&str]| {
        planned(|desired, observed, _| {
            observed.credentials[0].auth_domain = Some("appcred:cabin:x".into());
            observed.config_entries.extend(is_linked.then(|| linked("appcred:cabin:x")));
            desired.previous_owners = previous.iter().filter_map(|name| Owner::new(name)).collect();
            let theirs = held("theirs", &wanted("other"), Some("appcred:cabin:other"));
            observed.credentials.push(theirs);
        })
    };
    check(&of_cabin(true, &[]), &["+ a [BesideOtherOwner]"]);
    check(&of_cabin(true, &["cabin"]), &["claim appcred:house:a:appcred:cabin:x [Renamed]"]);
    check(&of_cabin(false, &["cabin"]), &["-/+ a for spotify_id_a [Renamed]"]);
}

/// As after an older state of the target was restored: the entry has another client since.
#[test]
fn an_adoption_that_finds_nothing_is_said_where_an_account_uses_what_nobody_manages() {
    let plan = |adopt: Adopt, user: Option<&str>, client: &str| {
        planned(|desired, observed, _| {
            desired.credentials[0].adopt = adopt;
            desired.credentials[0].client_id = ClientId::new(client);
            observed.credentials[0].auth_domain = None;
            observed.config_entries.extend(user.map(linked));
        })
    };
    let used = Some("spotify_id_a");
    check(&plan(Adopt::Only, used, "new"), &["+ a [NothingToAdopt]"]);
    check(&plan(Adopt::No, used, "new"), &["+ a [NotObserved]"]);
    check(&plan(Adopt::Only, None, "new"), &["+ a [NotObserved]"]);
    let taken = plan(Adopt::Only, used, "id-a");
    check(&taken, &["claim appcred:house:a:spotify_id_a [AdoptionAsked]"]);
}

/// Beside a new one the account would stay with what nobody manages any more.
#[test]
fn what_a_previous_owner_made_for_another_client_is_left_until_somebody_decides() {
    let of = |mark: &str, claim: Option<&str>, formerly: &[&str], is_linked: bool| {
        planned(|desired, observed, _| {
            desired.previous_owners = [Owner::new("cabin").unwrap()].into();
            observed.credentials[0].auth_domain = Some(mark.into());
            let claim = claim.map(|claim| held("claim", &wanted("a"), Some(claim)));
            observed.credentials.extend(claim);
            observed.config_entries.extend(is_linked.then(|| linked(mark)));
            desired.credentials[0].client_id = ClientId::new("new");
            let formerly = formerly.iter().map(|key| Key::new(key).unwrap());
            desired.credentials[0].formerly = formerly.collect();
        })
    };
    let left = "! + a of cabin spotify_id_a, in use by 1";
    check(&of("appcred:cabin:a", None, &[], true), &[left]);
    check(&of("appcred:cabin:x", None, &["x"], true), &[left]);
    let claim = Some("appcred:cabin:a:appcred:cabin:x");
    check(&of("appcred:cabin:x", claim, &[], true), &[left]);
    let plan = of("appcred:cabin:a", None, &[], true);
    assert_eq!(plan.blocked(), 1);
    assert_eq!(
        plan.withheld[0].why.to_string(),
        "the linked account \"Anna\" uses spotify_id_a, which has a key of this entry, another client, and the owner `cabin`, which `previous_owners` names"
    );
    // Another entry takes it over.
    let taken = planned(|desired, observed, _| {
        desired.previous_owners = [Owner::new("cabin").unwrap()].into();
        observed.credentials = vec![held("spotify_id_a", &wanted("a"), Some("appcred:cabin:b"))];
        observed.config_entries.push(linked("appcred:cabin:b"));
    });
    check(&taken, &["claim appcred:house:a:appcred:cabin:b [Renamed]", "+ b [NotObserved]"]);
    // Nobody uses it, or it has another key.
    let unused = of("appcred:cabin:a", None, &[], false);
    check(&unused, &["+ a [BesidePreviousOwner]"]);
    assert_eq!(unused.steps[0].reasons[0].code().as_str(), "not_observed");
    check(&of("appcred:cabin:x", None, &["x"], false), &["+ a [BesidePreviousOwner]"]);
    check(&of("appcred:cabin:x", None, &[], true), &["+ a [NotObserved]"]);
}

#[test]
fn what_an_owner_made_under_another_name_is_not_made_twice() {
    let of = |mark: &str, previous: &[&str]| {
        planned(|desired, observed, _| {
            observed.credentials[0].auth_domain = Some(mark.into());
            desired.previous_owners = previous.iter().filter_map(|name| Owner::new(name)).collect();
        })
    };
    for owner in ["default", "cabin"] {
        let mark = format!("appcred:{owner}:a");
        let withheld = format!("! + a of {owner} spotify_id_a");
        check(&of(&mark, &[]), &[&withheld]);
        check(&of(&mark, &["hut"]), &[&withheld]);
        check(&of(&mark, &[owner]), &["-/+ a for spotify_id_a [OwnerRenamed]"]);
    }
    check(&of("appcred:cabin:x", &[]), &["+ a [BesideOtherOwner]"]);
    let text = of("appcred:cabin:a", &[]).withheld[0].why.to_string();
    assert!(text.contains("`previous_owners: [cabin]`"), "{text}");
}

/// `spotify_id_a_2` is the id of a second credential of `id-a`, and of a first one of `id-a.2`.
#[test]
fn an_id_that_may_be_of_several_entries_is_left_until_one_says_so() {
    let lost = |adopts: &[usize], claim: Option<&str>| {
        planned(|desired, observed, _| {
            desired.credentials[1].client_id = ClientId::new("id-a.2");
            observed.credentials.pop();
            observed
                .credentials
                .extend(claim.map(|claim| held("claim", &desired.credentials[0], Some(claim))));
            observed.config_entries.push(linked("spotify_id_a_2"));
            for at in adopts {
                desired.credentials[*at].adopt = Adopt::Id(CredentialId::new("spotify_id_a_2"));
            }
        })
    };
    let withheld = |key: &str| format!("! + {key} spotify_id_a_2 of a or b");
    check(&lost(&[], None), &["+ b [NotObserved]", &withheld("a"), &withheld("b")]);
    check(&lost(&[0, 1], None), &["+ b [NotObserved]", &withheld("a"), &withheld("b")]);
    let of_a =
        ["claim appcred:house:a:spotify_id_a_2 [ReferencedById]", "+ a [NotObserved] reload"];
    let rest = ["- spotify_id_a [Superseded]", "+ b [NotObserved]"];
    check(&lost(&[0], None), &[of_a, rest].concat());
    let of_b =
        ["claim appcred:house:b:spotify_id_a_2 [ReferencedById]", "+ b [NotObserved] reload"];
    check(&lost(&[1], None), &of_b);
    // What is written says so as well.
    let written = lost(&[], Some("appcred:house:a:spotify_id_a_2"));
    assert!(written.withheld.is_empty(), "{:?}", summary(&written));
}

#[test]
fn what_an_unread_account_may_use_stays() {
    let unread = |domain: Option<&str>| UnreadAccounts::One {
        name: "number 1".to_owned(),
        domain: domain.map(Domain::new),
    };
    let of = |unread: UnreadAccounts| {
        planned(|desired, observed, _| {
            desired.credentials[0].client_secret = Secret::new("s2").into();
            desired.credentials[1] = wanted("c");
            observed.unread_accounts.push(unread);
        })
    };
    let stay = ["! -/+ a for spotify_id_a unread 1", "! - spotify_id_b unread 1"];
    for domain in [None, Some("spotify")] {
        check(&of(unread(domain)), &[&["+ c [NotObserved]"], &stay[..]].concat());
    }
    let replaced = "-/+ a for spotify_id_a [SecretDiffers]";
    let all = [replaced, "+ c [NotObserved]", "- spotify_id_b [NotDesired]"];
    check(&of(unread(Some("twitch"))), &all);
    check(&of(UnreadAccounts::All), &[&all[..2], &stay[1..]].concat());
}

#[test]
fn a_credential_that_an_account_names_by_its_id_is_shadowed() {
    let plan = planned(|_, observed, _| observed.config_entries.push(linked("spotify_id_a")));
    let shadowed =
        ["claim appcred:house:a:spotify_id_a [ReferencedById]", "+ a [NotObserved] reload"];
    check(&plan, &shadowed);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
    assert_eq!(plan.steps[1].action.created().unwrap().auth_domain, "spotify_id_a");
}

#[test]
fn what_an_entry_or_its_owner_was_called_is_created_again_where_all_is_lost_and_an_account_names_it()
 {
    for (account, change) in [
        (
            "appcred:house:a",
            (|desired: &mut Desired| {
                desired.credentials[0].key = Key::new("c").unwrap();
                desired.credentials[0].formerly = [Key::new("a").unwrap()].into();
            }) as fn(&mut Desired),
        ),
        ("appcred:old:a", |desired| desired.previous_owners = [Owner::new("old").unwrap()].into()),
    ] {
        let plan = planned(|desired, observed, _| {
            change(desired);
            observed.credentials.remove(0);
            observed.config_entries = vec![linked(account)];
        });
        let key = plan.steps[0].action.created().unwrap().key.clone();
        let why = if key.as_str() == "a" { "OwnerRenamed" } else { "Renamed" };
        let claim = format!("claim appcred:house:{key}:{account} [{why}]");
        check(&plan, &[&claim, &format!("+ {key} [NotObserved] reload")]);
        assert_eq!(plan.steps[1].action.created().unwrap().auth_domain, account);
    }
}

/// A running HA does not say what an account names that finds nothing.
#[test]
fn what_an_entry_has_claimed_and_somebody_deleted_is_created_again_for_an_account_that_finds_nothing()
 {
    let plan = |state: EntryState| {
        planned(|desired, observed, _| {
            desired.credentials[0].key = Key::new("c").unwrap();
            let claim = "appcred:house:c:appcred:house:a";
            observed.credentials[0] = held("claim", &desired.credentials[0], Some(claim));
            let account = linked("x");
            let account = ConfigEntry { state: state.clone(), implementation: None, ..account };
            observed.config_entries.push(account);
        })
    };
    check(&plan(EntryState::SetupError), &["+ c [NotObserved] reload"]);
    let created = plan(EntryState::SetupRetry);
    assert_eq!(created.steps[0].action.created().unwrap().auth_domain, "appcred:house:a");
    check(&plan(EntryState::Loaded), &["+ c [NotObserved]", "- claim [Unclaimed]"]);
}

#[test]
fn an_interrupted_rotation_is_finished() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].client_secret = Secret::new("s2").into();
        let new = held("spotify_id_a_2", &desired.credentials[0], Some("appcred:house:a"));
        observed.credentials.push(new);
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["- spotify_id_a [Superseded] reload"]);
}

#[test]
fn a_rotation_taken_back_puts_the_old_one_in_force() {
    let plan = planned(|desired, observed, _| {
        let mut other = held("spotify_id_a_2", &desired.credentials[0], Some("appcred:house:a"));
        other.client_secret = Secret::new("s2").into();
        observed.credentials.push(other);
    });
    check(&plan, &["- spotify_id_a_2 [TakenBack]"]);
}

#[test]
fn what_others_made_is_left_alone() {
    let plan = planned(|_, observed, _| {
        observed.credentials.push(held("spotify_x", &wanted("x"), None));
        observed.credentials.push(held("spotify_y", &wanted("y"), Some("appcred:cabin:y")));
        observed.credentials.push(held("spotify_z", &wanted("z"), Some("spotify")));
    });
    check(&plan, &[]);
    let credential_states: Vec<_> =
        plan.credential_states.iter().map(|of| of.state.clone()).skip(2).collect();
    let cabin = CredentialState::OtherOwner(Owner::new("cabin").unwrap());
    assert_eq!(credential_states, [CredentialState::Foreign, cabin, CredentialState::Foreign]);
}

#[test]
fn prune_all_deletes_what_was_made_by_hand_but_no_other_owners() {
    let plan = planned(|_, observed, policy| {
        policy.prune = Prune::All;
        observed.credentials.push(held("spotify_x", &wanted("x"), None));
        observed.credentials.push(held("spotify_y", &wanted("y"), Some("appcred:cabin:y")));
    });
    check(&plan, &["- spotify_x [NotDesired]"]);
}

#[test]
fn prune_all_deletes_nothing_that_several_owners_have_claimed() {
    let plan = planned(|_, observed, policy| {
        policy.prune = Prune::All;
        observed.credentials.push(held("by_hand", &wanted("x"), Some("by_hand")));
        for owner in ["house:gone", "kitchen:x", "lodge:y"] {
            let claim = format!("appcred:{owner}:by_hand");
            observed.credentials.push(held(owner, &wanted("x"), Some(&claim)));
        }
    });
    let kitchen = CredentialState::OtherOwner(Owner::new("kitchen").unwrap());
    assert_eq!(plan.credential_states[2].state, kitchen);
    check(&plan, &["- house:gone [NotDesired]"]);
}

/// Of two candidates none is taken; the one that an account uses changes nothing about that.
#[test]
fn what_an_entry_asks_to_adopt_is_never_pruned() {
    fn second(observed: &mut Observed) {
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), Some("my_import")));
    }
    for prune in [Prune::Nothing, Prune::Managed, Prune::All] {
        let adopting = |change: fn(&mut Desired, &mut Observed, &mut Policy)| {
            planned(|desired, observed, policy| {
                policy.prune = prune;
                desired.credentials[0].adopt = Adopt::Only;
                observed.credentials[0].auth_domain = None;
                change(desired, observed, policy);
            })
        };
        let adopted = ["adopt a for spotify_id_a [AdoptionAsked]"];
        check(&adopting(|_, _, _| {}), &adopted);
        let by_policy = |desired: &mut Desired, _: &mut Observed, policy: &mut Policy| {
            desired.credentials[0].adopt = Adopt::No;
            policy.adopt_all = true;
        };
        check(&adopting(by_policy), &adopted);
        let asked = ["! + a one of spotify_id_a,spotify_id_a_2"];
        check(&adopting(|_, observed, _| second(observed)), &asked);
        let in_use = |_: &mut Desired, observed: &mut Observed, policy: &mut Policy| {
            second(observed);
            observed.config_entries.push(linked("spotify_id_a"));
            policy.remove_integrations = true;
        };
        check(&adopting(in_use), &asked);
        let renamed = |desired: &mut Desired, observed: &mut Observed, _: &mut Policy| {
            desired.credentials[0].key = Key::new("c").unwrap();
            for key in ["x", "y"] {
                let mark = format!("appcred:house:{key}");
                observed.credentials.push(held(key, &wanted("a"), Some(&mark)));
            }
        };
        check(&adopting(renamed), &["! + c once x x or y y"]);
    }
    let gone = planned(|desired, observed, policy| {
        policy.prune = Prune::All;
        desired.credentials[0].adopt = Adopt::Id(CredentialId::new("spotify_gone"));
        observed.credentials[0].auth_domain = None;
    });
    check(&gone, &["+ a [NotObserved]", "- spotify_id_a [NotDesired]"]);
    let named = planned(|desired, observed, policy| {
        policy.prune = Prune::All;
        desired.credentials[0].adopt = Adopt::Id(CredentialId::new("spotify_id_a"));
        observed.credentials[0].auth_domain = None;
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), None));
    });
    let one = ["adopt a for spotify_id_a [AdoptionAsked]", "- spotify_id_a_2 [NotDesired]"];
    check(&named, &one);
}

#[test]
fn what_is_pruned_is_not_left_alone() {
    let left = |prune: Prune, limit: Option<MaxDeletes>| {
        let plan = planned(|_, observed, policy| {
            policy.prune = prune;
            policy.max_deletes = limit;
            for key in ["x", "y"] {
                observed.credentials.push(held(key, &wanted(key), None));
            }
            observed.credentials.push(held("z", &wanted("z"), Some("appcred:cabin:z")));
        });
        (plan.foreign(), plan.foreign_left_alone(), plan.of_other_owners())
    };
    assert_eq!(left(Prune::Managed, None), (2, 2, 1));
    assert_eq!(left(Prune::All, None), (0, 0, 1));
    // What is withheld counts as that.
    assert_eq!(left(Prune::All, Some(MaxDeletes::Count(0))), (2, 0, 1));
}

#[test]
fn what_another_owner_manages_is_not_adopted_and_the_reason_names_it() {
    for text in ["appcred:cabin:x", "appcred:cabin:x:spotify_gone"] {
        let beside = |adopt: Adopt, previous: &[&str]| {
            planned(|desired, observed, _| {
                desired.credentials[0].adopt = adopt;
                desired.previous_owners =
                    previous.iter().map(|name| Owner::new(name).unwrap()).collect();
                observed.credentials[0].auth_domain = Some(text.into());
            })
        };
        let withheld = ["! + a claimed by appcred:cabin:x"];
        check(&beside(Adopt::Only, &[]), &withheld);
        check(&beside(Adopt::Id(CredentialId::new("spotify_id_a")), &[]), &withheld);
        check(&beside(Adopt::No, &[]), &["+ a [BesideOtherOwner]"]);
        assert_eq!(beside(Adopt::Only, &["cabin"]).withheld, []);
    }
    // What the entry has already is no adoption.
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials.push(held("theirs", &wanted("a"), Some("appcred:cabin:x")));
    });
    check(&plan, &[]);
}

/// Every credential of the client is asked, not only the first that is claimed.
#[test]
fn the_claim_of_another_owner_is_seen_behind_one_of_ours() {
    for reversed in [false, true] {
        let plan = planned(|_, observed, _| {
            let texts = ["by_hand", "appcred:house:b:by_hand", "mine", "appcred:cabin:x:mine"];
            let all = texts.map(|text| held(text, &wanted("a"), Some(text)));
            observed.credentials.splice(..1, all);
            if reversed {
                observed.credentials.reverse();
            }
        });
        let expected = [
            "- by_hand [Superseded]",
            "- appcred:house:b:by_hand [Unclaimed]",
            "! + a claimed by appcred:cabin:x",
        ];
        check(&plan, &expected);
    }
}

/// An account names the mark, another one what the entry adopts: both are made right at once.
#[test]
fn adoption_is_no_obstacle_to_a_mark_that_an_account_names() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        observed.config_entries = ["spotify_id_a", "appcred:house:a"].map(linked).into();
    });
    check(&plan, &["claim appcred:house:a:spotify_id_a [AdoptionAsked]", "+ a [NotObserved]"]);
}

/// Each key is one that is written beside a key which the entry had; the last is on what the second has.
#[test]
fn all_keys_that_are_written_are_followed_in_one_run() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].formerly = BTreeSet::from([Key::new("k4").unwrap()]);
        let texts = [
            "by_hand",
            "appcred:house:k1:by_hand",
            "appcred:house:k4:by_hand",
            "appcred:house:k2:other",
        ];
        let more = ["appcred:house:k1:other", "other"];
        let all = texts.into_iter().chain(more).map(|text| held(text, &wanted("a"), Some(text)));
        observed.credentials.splice(..1, all);
        observed.config_entries =
            ["by_hand", "appcred:house:k4:by_hand", "other"].map(linked).into();
    });
    let claimed = ["by_hand", "other", "appcred:house:k4:by_hand"]
        .map(|text| format!("claim appcred:house:a:{text}"));
    for claim in claimed {
        let is_claimed = summary(&plan).iter().any(|line| line.starts_with(&claim));
        assert!(is_claimed, "{claim}: {:?}", summary(&plan));
    }
}

/// `b` cannot replace its claim, which an account names: what it claims is not free for `a`.
#[test]
fn a_claim_that_cannot_be_replaced_is_not_given_up() {
    let text = "appcred:house:b:appcred:house:a";
    let plan = planned(|_, observed, _| {
        observed.credentials = vec![
            held("theirs", &wanted("b"), Some(&format!("appcred:cabin:x:{text}"))),
            held("spotify_id_a", &wanted("a"), Some(text)),
        ];
        observed.config_entries = vec![linked(text)];
    });
    let replaced = format!("! claim {text} for spotify_id_a claimed by appcred:cabin:x");
    check(&plan, &["! + a of entry b", &replaced]);
}

/// With the client that the entry has now, the text would claim what somebody made by hand.
#[test]
fn a_claim_of_another_client_is_not_extended_to_what_nobody_gave() {
    let text = "appcred:house:old:spotify_id_a";
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].formerly = BTreeSet::from([Key::new("old").unwrap()]);
        observed.credentials[0].auth_domain = None;
        observed.credentials.push(held("spotify_two", &wanted("two"), Some(text)));
        observed.config_entries = ["spotify_id_a", text].map(linked).into();
    });
    check(&plan, &[&format!("! shadow {text} for spotify_two foreign spotify_id_a")]);
}

/// An idle claim of the mark under another key does not make the mark that key's.
#[test]
fn a_run_cut_short_between_mark_and_claims_is_finished() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        for text in ["x:appcred:house:a", "a:spotify_id_a", "a"] {
            let text = format!("appcred:house:{text}");
            observed.credentials.push(held(&text, &wanted("a"), Some(&text)));
        }
    });
    let expected = [
        "- spotify_id_a [Superseded]",
        "- appcred:house:a:spotify_id_a [Unclaimed]",
        "- appcred:house:x:appcred:house:a [Unclaimed]",
    ];
    check(&plan, &expected);
}

/// What another entry has claimed is that entry's, though it looks like an id of this one's client.
#[test]
fn a_lost_id_is_its_claims_before_it_is_its_clients() {
    let plan = planned(|_, observed, _| {
        observed.credentials.push(held(
            "claim",
            &wanted("b"),
            Some("appcred:house:b:spotify_id_a_2"),
        ));
        observed.config_entries = vec![linked("spotify_id_a_2")];
    });
    check(&plan, &["+ b [NotObserved] reload", "- spotify_id_b [Superseded]"]);
}

/// An account names a claim of a previous owner by its id, so that Home Assistant keeps it.
#[test]
fn a_previous_owners_claim_that_stays_is_claimed_as_well() {
    let theirs = "appcred:cabin:a:appcred:house:a";
    let plan = planned(|desired, observed, _| {
        desired.previous_owners = BTreeSet::from([Owner::new("cabin").unwrap()]);
        observed.credentials[0].auth_domain = Some(theirs.into());
        observed.config_entries = vec![linked("spotify_id_a")];
    });
    let claimed = format!("claim appcred:house:a:{theirs} [OwnerRenamed]");
    assert!(summary(&plan).contains(&claimed), "{:?}", summary(&plan));
}

/// Two keys have claimed it, one of an entry for another client, one of no entry: the entry for its
/// client takes it, in one run.
#[test]
fn what_a_key_without_entry_has_claimed_is_the_entrys_for_its_client() {
    let plan = planned(|_, observed, _| {
        observed.credentials[0].auth_domain = None;
        for text in ["b:spotify_id_a", "x:spotify_id_a"] {
            let text = format!("appcred:house:{text}");
            observed.credentials.push(held(&text, &wanted("a"), Some(&text)));
        }
        observed.config_entries =
            ["spotify_id_a", "appcred:house:x:spotify_id_a"].map(linked).into();
    });
    let expected = [
        "claim appcred:house:a:appcred:house:x:spotify_id_a [TakenForRenamed]",
        "claim appcred:house:a:spotify_id_a [TakenForRenamed]",
        "- appcred:house:b:spotify_id_a [Unclaimed]",
    ];
    check(&plan, &expected);
}

#[test]
fn a_claim_that_another_owner_has_claimed_is_withheld_with_that_reason() {
    let text = "appcred:house:b:by_hand";
    let plan = planned(|_, observed, _| {
        let claimed = format!("appcred:cabin:x:{text}");
        observed.credentials.push(held("theirs", &wanted("b"), Some(&claimed)));
        observed.credentials.push(held("claim", &wanted("old"), Some(text)));
        observed.config_entries = vec![linked(text)];
    });
    let withheld = format!("! claim {text} for claim claimed by appcred:cabin:x");
    assert!(summary(&plan).contains(&withheld), "{:?}", summary(&plan));
}

/// The account does not find what is adopted, but a credential of another client with that id.
#[test]
fn adoption_is_withheld_where_something_else_is_in_force() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = Some("spotify_two".into());
        observed.credentials.push(held("spotify_two", &wanted("two"), None));
        observed.config_entries = vec![linked("spotify_two")];
    });
    check(&plan, &["! shadow spotify_two for spotify_id_a foreign spotify_two"]);
}

#[test]
fn what_is_pruned_is_in_the_way_of_no_claim() {
    let text = "appcred:house:a:spotify_id_a";
    let plan = planned(|_, observed, policy| {
        policy.prune = Prune::All;
        observed.credentials[0].auth_domain = None;
        observed.credentials.push(held("claim", &wanted("old"), Some(text)));
        observed.config_entries = vec![linked(text)];
    });
    assert_eq!(plan.withheld, []);
}

#[test]
fn a_client_that_somebody_made_by_hand_is_not_made_twice() {
    let plan = planned(|_, observed, _| observed.credentials[0].auth_domain = None);
    check(&plan, &["! + a foreign spotify_id_a"]);
}

#[test]
fn adoption_takes_over_what_nobody_uses() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
    });
    check(&plan, &["adopt a for spotify_id_a [AdoptionAsked]"]);
}

#[test]
fn adoption_of_one_in_use_is_written_down_while_the_secret_is_right() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        observed.config_entries.push(linked("spotify_id_a"));
    });
    check(&plan, &["claim appcred:house:a:spotify_id_a [AdoptionAsked]"]);
}

/// `a` and a second credential of its client, with another secret, were made by hand.
fn two_by_hand(adopt: Adopt, user: Option<&str>) -> Plan {
    planned(|desired, observed, _| {
        desired.credentials[0].adopt = adopt;
        observed.credentials[0].auth_domain = None;
        let mut second = held("spotify_id_a_2", &wanted("a"), Some("my_import"));
        second.client_secret = Secret::new("other").into();
        observed.credentials.push(second);
        observed.config_entries.extend(user.map(linked));
    })
}

#[test]
fn adoption_takes_one_and_asks_which_where_there_are_several() {
    for user in [None, Some("spotify_id_a"), Some("my_import")] {
        check(&two_by_hand(Adopt::Only, user), &["! + a one of spotify_id_a,spotify_id_a_2"]);
    }
    let named = |id: &str, user| two_by_hand(Adopt::Id(CredentialId::new(id)), user);
    check(&named("spotify_id_a", None), &["adopt a for spotify_id_a [AdoptionAsked]"]);
    check(&named("spotify_id_a_2", None), &["adopt a for spotify_id_a_2 [AdoptionAsked]"]);
    let claim = "claim appcred:house:a:spotify_id_a [AdoptionAsked]";
    check(&named("spotify_id_a", Some("spotify_id_a")), &[claim]);
    check(&named("spotify_gone", None), &["! + a foreign spotify_id_a"]);
    let Why::SeveralByHand { .. } = &two_by_hand(Adopt::Only, None).withheld[0].why else {
        panic!("it is not asked which")
    };
    let why = two_by_hand(Adopt::Only, None).withheld[0].why.to_string();
    for expected in ["spotify_id_a \"a\"", "spotify_id_a_2 \"a\" (auth_domain `my_import`)"] {
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn what_is_taken_over_once_is_all_that_is_taken_over() {
    for user in [None, Some("my_import")] {
        let plan = planned(|desired, observed, policy| {
            desired.credentials[0].adopt = Adopt::Only;
            policy.adopt_all = true;
            let mut second = held("spotify_id_a_2", &wanted("a"), Some("my_import"));
            second.client_secret = Secret::new("other").into();
            observed.credentials.push(second);
            observed.config_entries.extend(user.map(linked));
        });
        check(&plan, &[]);
    }
}

/// What claims it meanwhile says after a cut that it was taken over.
#[test]
fn an_interrupted_adoption_is_finished() {
    let adopt = |desired: &mut Desired, observed: &mut Observed| {
        desired.credentials[0].adopt = Adopt::Only;
        desired.credentials[0].client_secret = Secret::new("s2").into();
        observed.credentials[0].auth_domain = None;
    };
    let plan = planned(|desired, observed, _| adopt(desired, observed));
    let claim = plan.steps[0].claim.clone().unwrap();
    assert_eq!(claim.auth_domain, CLAIM);
    let plan = planned(|desired, observed, _| {
        adopt(desired, observed);
        observed.credentials.push(held("claim", &desired.credentials[0], Some(CLAIM)));
    });
    check(&plan, &["adopt a for spotify_id_a [LetGo]", "- claim [Unclaimed]"]);
    let plan = planned(|desired, observed, _| {
        adopt(desired, observed);
        observed.credentials.push(held("claim", &desired.credentials[0], Some(CLAIM)));
        observed.credentials.push(held("new", &desired.credentials[0], Some("appcred:house:a")));
    });
    check(&plan, &["- spotify_id_a [Superseded]", "- claim [Unclaimed]"]);
}

#[test]
fn what_nobody_managed_counts_as_deleted() {
    let adopting = |limit: Option<MaxDeletes>| {
        planned(|desired, observed, policy| {
            desired.credentials[0].adopt = Adopt::Only;
            observed.credentials[0].auth_domain = None;
            policy.max_deletes = limit;
        })
    };
    let plan = adopting(None);
    assert_eq!(plan.deletes(), 1);
    assert_eq!(ids(&plan.steps[0].foreign), "spotify_id_a");
    let plan = adopting(Some(MaxDeletes::Count(0)));
    check(&plan, &["! adopt a for spotify_id_a TooManyDeletes { planned: 1, allowed: 0 }"]);
    assert!(plan.is_stopped());
    let adopted = ["adopt a for spotify_id_a [AdoptionAsked]"];
    check(&adopting(Some(MaxDeletes::Count(1))), &adopted);
    check(&adopting(Some(MaxDeletes::Percent(100))), &adopted);
    // It is of two, and `b` is the other one.
    check(&adopting(Some(MaxDeletes::Percent(50))), &adopted);
    // Adopted in use, and replaced at once.
    let plan = planned(|desired, observed, policy| {
        policy.max_deletes = Some(MaxDeletes::Count(0));
        desired.credentials[0].adopt = Adopt::Only;
        desired.credentials[0].client_secret = Secret::new("s2").into();
        observed.credentials[0].auth_domain = Some("spotify".into());
        observed.config_entries.push(linked("spotify"));
    });
    assert!(plan.is_stopped(), "{plan:?}");
    // What was this owner's is replaced as before.
    let plan = planned(|desired, _, policy| {
        policy.max_deletes = Some(MaxDeletes::Count(0));
        desired.credentials[0].client_secret = Secret::new("s2").into();
    });
    check(&plan, &["-/+ a for spotify_id_a [SecretDiffers]"]);
    assert_eq!(plan.deletes(), 0);
}

#[test]
fn what_is_like_a_mark_is_never_touched() {
    for text in [
        "appcred:you",
        "appcred2:house:a",
        "appcred:house:a:",
        "appcred:house:a b",
        "APPCRED:house:a",
        " appcred:house:a",
    ] {
        let with_mark = |change: fn(&mut Desired, &mut Policy), user: bool| {
            planned(|desired, observed, policy| {
                observed.credentials[0].auth_domain = Some(text.into());
                observed.config_entries.extend(user.then(|| linked(text)));
                change(desired, policy);
            })
        };
        for user in [true, false] {
            check(&with_mark(|_, _| {}, user), &["+ a [NotObserved]"]);
            let adopt = |desired: &mut Desired, _: &mut Policy| {
                desired.credentials[0].adopt = Adopt::Only;
            };
            let expected =
                ["+ a [NotObserved]", "! adopt a for spotify_id_a unreadable spotify_id_a"];
            let plan = with_mark(adopt, user);
            check(&plan, &expected);
            assert!(
                !plan.is_in_sync() && plan.blocked() == 1,
                "what the entry asks for is not done"
            );
            let prune = |desired: &mut Desired, policy: &mut Policy| {
                desired.credentials.remove(0);
                policy.prune = Prune::All;
                policy.remove_integrations = true;
            };
            let plan = with_mark(prune, user);
            check(&plan, &["! - spotify_id_a unreadable spotify_id_a"]);
            assert!(plan.is_in_sync(), "nothing that this project could do is left");
        }
    }
}

#[test]
fn adoption_of_one_in_use_shadows_it_when_the_secret_changes() {
    let plan = planned(|desired, observed, policy| {
        policy.adopt_all = true;
        desired.credentials[0].client_secret = Secret::new("s2").into();
        observed.credentials[0].auth_domain = None;
        observed.config_entries.push(linked("spotify_id_a"));
    });
    let shadowed = [
        "claim appcred:house:a:spotify_id_a [AdoptionAsked]",
        "shadow spotify_id_a for spotify_id_a [SecretDiffers] reload",
    ];
    check(&plan, &shadowed);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

/// Home Assistant names by the integration what it took over from YAML.
#[test]
fn adoption_of_one_from_yaml_keeps_the_name_that_accounts_find_it_by() {
    let from_yaml = |secret: &str| {
        planned(|desired, observed, _| {
            desired.credentials[0].adopt = Adopt::Only;
            desired.credentials[0].client_secret = Secret::new(secret).into();
            observed.credentials[0].auth_domain = Some("spotify".into());
            observed.config_entries.push(linked("spotify"));
        })
    };
    check(&from_yaml("s1"), &["claim appcred:house:a:spotify [AdoptionAsked]"]);
    let plan = from_yaml("s2");
    let replaced = [
        "claim appcred:house:a:spotify [AdoptionAsked]",
        "-/+ a for spotify_id_a [SecretDiffers] reload",
    ];
    check(&plan, &replaced);
    assert_eq!(plan.steps[1].action.created().unwrap().auth_domain, "spotify");
}

/// With a numeric client id its id looks as if the credential stood for another of its client.
#[test]
fn what_home_assistant_took_over_from_yaml_is_nobodys() {
    let from_yaml = |adopt: bool| {
        planned(|desired, observed, _| {
            for entry in &mut desired.credentials {
                entry.domain = Domain::new("fitbit");
            }
            desired.credentials.remove(0);
            observed.credentials.clear();
            observed.domains = KnownDomains::Listed(BTreeSet::from([Domain::new("fitbit")]));
            let theirs = DesiredCredential {
                domain: Domain::new("fitbit"),
                client_id: ClientId::new("12345"),
                ..wanted("theirs")
            };
            observed.credentials.push(held("fitbit_12345", &theirs, Some("fitbit")));
            let adopted = DesiredCredential { adopt: Adopt::Only, ..theirs };
            desired.credentials.extend(adopt.then_some(adopted));
        })
    };
    check(&from_yaml(false), &["+ b [NotObserved]"]);
    let adopted = ["+ b [NotObserved]", "adopt theirs for fitbit_12345 [AdoptionAsked]"];
    check(&from_yaml(true), &adopted);
}

/// `a` was made by hand, is in use, and is shadowed, as versions without claims have done it.
fn shadowed_without_claim(desired: &Desired, observed: &mut Observed) {
    observed.credentials[0].auth_domain = None;
    observed.credentials.push(held(
        "spotify_id_a_2",
        &desired.credentials[0],
        Some("spotify_id_a"),
    ));
    observed.credentials[0].client_secret = Secret::new("s0").into();
    observed.config_entries.push(linked("spotify_id_a"));
}

const CLAIM: &str = "appcred:house:a:spotify_id_a";

/// The same with its claim.
fn shadowed(desired: &Desired, observed: &mut Observed) {
    shadowed_without_claim(desired, observed);
    observed.credentials.insert(1, held("claim", &desired.credentials[0], Some(CLAIM)));
}

#[test]
fn a_shadow_is_in_sync() {
    check(&planned(|desired, observed, _| shadowed(desired, observed)), &[]);
}

#[test]
fn a_shadow_of_an_older_version_is_claimed_before_anything_else() {
    let plan = planned(|desired, observed, _| shadowed_without_claim(desired, observed));
    check(&plan, &["claim appcred:house:a:spotify_id_a [OldShadow]"]);
    let plan = planned(|desired, observed, policy| {
        shadowed_without_claim(desired, observed);
        desired.credentials[0].client_secret = Secret::new("s2").into();
        policy.adopt_all = true;
    });
    let rotated = [
        "claim appcred:house:a:spotify_id_a [AdoptionAsked]",
        "-/+ a for spotify_id_a_2 [SecretDiffers] reload",
    ];
    check(&plan, &rotated);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

#[test]
fn an_account_that_may_be_linked_through_cloud_is_not_removed() {
    let removed = |unclear: &[&str]| {
        planned(|desired, observed, policy| {
            desired.credentials.remove(0);
            observed.config_entries = ["appcred:house:a", "appcred:house:b"].map(linked).into();
            let cloud_or_own = unclear.iter().map(|id| EntryId::new(*id)).collect();
            observed.live = Some(Live { cloud_or_own, ..Live::default() });
            policy.remove_integrations = true;
        })
    };
    check(&removed(&["another"]), &["- spotify_id_a with 1 [NotDesired]"]);
    check(&removed(&["entry-appcred:house:a"]), &["! - spotify_id_a may be cloud 1"]);
}

#[test]
fn a_claim_stays_while_an_account_names_what_it_claims() {
    let claimed = |name: &str, goes: bool| {
        planned(|_, observed, policy| {
            let text = "appcred:house:gone:appcred:house:old";
            observed.credentials.push(held("claim", &wanted("gone"), Some(text)));
            let all = ["appcred:house:a", "appcred:house:b", name];
            observed.config_entries = all.map(linked).into();
            observed.live = Some(Live::default());
            policy.remove_integrations = goes;
        })
    };
    check(&claimed("appcred:house:old", false), &["! - claim in use by 1"]);
    check(&claimed("appcred:house:old", true), &["- claim with 1 [NotDesired]"]);
    check(&claimed("appcred:house:other", false), &["- claim [NotDesired]"]);
    // What another credential has now, the claim says nothing of.
    let plan = planned(|_, observed, _| {
        let text = "appcred:house:gone:appcred:house:a";
        observed.credentials.push(held("claim", &wanted("gone"), Some(text)));
        observed.config_entries.push(linked("appcred:house:a"));
    });
    check(&plan, &["- claim [NotDesired]"]);
}

#[test]
fn a_shadow_without_a_claim_may_be_anybodys() {
    let theirs = "appcred:cabin:x";
    let plan = planned(|desired, observed, _| {
        shadowed_without_claim(desired, observed);
        desired.credentials[0].client_secret = Secret::new("s2").into();
    });
    check(&plan, &["! + a foreign spotify_id_a"]);
    let plan = planned(|desired, observed, _| {
        shadowed_without_claim(desired, observed);
        observed.credentials.push(held("theirs", &wanted("a"), Some(theirs)));
    });
    check(&plan, &["! + a foreign spotify_id_a"]);
    let plan = planned(|desired, observed, _| {
        shadowed_without_claim(desired, observed);
        observed.config_entries.clear();
    });
    check(&plan, &["! + a foreign spotify_id_a"]);
    let plan = planned(|desired, observed, policy| {
        shadowed_without_claim(desired, observed);
        desired.credentials.remove(0);
        policy.remove_integrations = true;
    });
    check(&plan, &[]);
}

/// Two claims on one credential that an account uses, in both orders.
fn two_claims(change: fn(&mut Desired, &mut Observed, &mut Policy)) {
    let plans = [false, true].map(|reversed| {
        planned(|desired, observed, policy| {
            shadowed(desired, observed);
            let theirs = held("theirs", &wanted("a"), Some("appcred:cabin:x:spotify_id_a"));
            let at = if reversed { 0 } else { observed.credentials.len() };
            observed.credentials.insert(at, theirs);
            change(desired, observed, policy);
        })
    });
    assert_eq!(summary(&plans[0]), summary(&plans[1]));
}

#[test]
fn what_two_owners_claim_neither_changes() {
    let rotated = |is_house: bool, reversed: bool, user: bool| {
        planned(|desired, observed, _| {
            shadowed(desired, observed);
            if !user {
                observed.config_entries.clear();
            }
            let theirs = held("theirs", &wanted("a"), Some("appcred:cabin:a:spotify_id_a"));
            let at = if reversed { 0 } else { observed.credentials.len() };
            observed.credentials.insert(at, theirs);
            desired.credentials.truncate(1);
            desired.credentials[0].client_secret = Secret::new("s2").into();
            desired.credentials[0].adopt = Adopt::Only;
            if !is_house {
                desired.owner = Owner::new("cabin").unwrap();
            }
        })
    };
    for reversed in [false, true] {
        for user in [false, true] {
            for is_house in [false, true] {
                let plan = rotated(is_house, reversed, user);
                let of_house: Vec<_> = plan.steps.iter().map(|step| &step.action).collect();
                let is_delete_of_b =
                    |action: &&Action| action.old()[0].id.as_str() == "spotify_id_b";
                assert!(of_house.iter().all(is_delete_of_b), "{:?}", summary(&plan));
                let Why::Disputed { by } = &plan.withheld[0].why else { panic!("{plan:?}") };
                let by: Vec<String> = by.iter().map(ToString::to_string).collect();
                assert_eq!(by, ["appcred:cabin:a", "appcred:house:a"]);
            }
        }
    }
    two_claims(|_, _, _| {});
    two_claims(|desired, _, _| desired.credentials[0].client_secret = Secret::new("s2").into());
    two_claims(|_, observed, policy| {
        observed.config_entries.clear();
        policy.prune = Prune::All;
    });
}

#[test]
fn the_owner_that_gives_its_entry_up_ends_a_dispute() {
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        observed.credentials.push(held(
            "theirs",
            &wanted("a"),
            Some("appcred:cabin:a:spotify_id_a"),
        ));
        desired.credentials.remove(0);
    });
    check(&plan, &["- claim [NotDesired]"]);
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        let theirs = held("theirs", &wanted("a"), Some("appcred:villa:a:spotify_id_a"));
        observed.credentials.push(theirs);
        observed.config_entries.clear();
        desired.credentials.remove(0);
    });
    check(&plan, &["- claim [NotDesired]"]);
}

/// With the line or without it, nothing is left of the old name.
#[test]
fn what_a_previous_owner_has_claimed_is_claimed_anew() {
    let theirs = "appcred:cabin:x:spotify_id_a";
    let plan = planned(|desired, observed, _| {
        shadowed_without_claim(desired, observed);
        observed.credentials.insert(1, held("theirs", &wanted("a"), Some(theirs)));
        desired.previous_owners = BTreeSet::from([Owner::new("cabin").unwrap()]);
    });
    let moved = ["claim appcred:house:a:spotify_id_a [Renamed]", "- theirs [Unclaimed]"];
    check(&plan, &moved);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        observed.credentials.insert(1, held("theirs", &wanted("a"), Some(theirs)));
        desired.previous_owners = BTreeSet::from([Owner::new("cabin").unwrap()]);
    });
    check(&plan, &["- theirs [Unclaimed]"]);
}

#[test]
fn what_another_owner_has_claimed_is_not_adopted() {
    let plan = planned(|desired, observed, policy| {
        shadowed_without_claim(desired, observed);
        let theirs = "appcred:cabin:x:spotify_id_a";
        observed.credentials.insert(0, held("theirs", &wanted("a"), Some(theirs)));
        desired.credentials[0].client_secret = Secret::new("s2").into();
        policy.adopt_all = true;
    });
    check(&plan, &["! + a claimed by appcred:cabin:x"]);
}

#[test]
fn a_shadow_is_replaced_by_a_shadow() {
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        desired.credentials[0].client_secret = Secret::new("s2").into();
    });
    let replaced = [
        "-/+ a for spotify_id_a_2 [SecretDiffers] reload",
        "claim appcred:house:a:spotify_id_a for claim [SecretDiffers]",
    ];
    check(&plan, &replaced);
    assert_eq!(plan.steps[0].action.created().unwrap().auth_domain, "spotify_id_a");
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

#[test]
fn a_claim_without_its_shadow_is_gone_on_from() {
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        observed.credentials.pop();
    });
    check(&plan, &["shadow spotify_id_a for spotify_id_a [SecretDiffers] reload"]);
}

#[test]
fn a_shadow_gives_way_to_a_mark_when_ha_lets_go() {
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        observed.config_entries.clear();
    });
    let order = ["adopt a for spotify_id_a_2,spotify_id_a [LetGo]", "- claim [Unclaimed]"];
    check(&plan, &order);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

#[test]
fn a_shadow_goes_with_its_original_and_its_claim() {
    let removed = |is_linked: bool| {
        planned(|desired, observed, _| {
            shadowed(desired, observed);
            desired.credentials.remove(0);
            if !is_linked {
                observed.config_entries.clear();
            }
        })
    };
    check(&removed(true), &["! - spotify_id_a_2 in use by 1"]);
    let plan = removed(false);
    let order = ["- spotify_id_a_2", "- spotify_id_a", "- claim"]
        .map(|step| format!("{step} [NotDesired]"));
    check(&plan, &order.each_ref().map(String::as_str));
    assert_eq!(plan.steps[2].after, Some(plan.steps[1].id));
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

#[test]
fn prune_off_withholds() {
    let plan = planned(|desired, _, policy| {
        desired.credentials.pop();
        policy.prune = Prune::Nothing;
    });
    check(&plan, &["! - spotify_id_b PruneOff"]);
    assert!(plan.is_in_sync());
}

#[test]
fn too_many_deletes_stop_the_plan() {
    let plan = planned(|desired, _, policy| {
        desired.credentials.pop();
        policy.max_deletes = Some(MaxDeletes::Count(0));
    });
    check(&plan, &["! - spotify_id_b TooManyDeletes { planned: 1, allowed: 0 }"]);
    assert!(plan.is_stopped());
    // Nothing else is done either, and none of it looks as if it were.
    let beside = planned(|desired, _, policy| {
        desired.credentials.pop();
        desired.credentials[0].client_secret = Secret::new("s2").into();
        policy.max_deletes = Some(MaxDeletes::Count(0));
    });
    check(
        &beside,
        &[
            "! - spotify_id_b TooManyDeletes { planned: 1, allowed: 0 }",
            "! -/+ a for spotify_id_a TooManyDeletes { planned: 1, allowed: 0 }",
        ],
    );
    let half = |desired: &mut Desired, _: &mut Observed, policy: &mut Policy| {
        desired.credentials.pop();
        policy.max_deletes = Some(MaxDeletes::Percent(50));
    };
    check(&planned(half), &["- spotify_id_b [NotDesired]"]);
}

#[test]
fn all_that_belongs_to_an_entry_counts_as_one_deleted_credential() {
    let with_history = |limit| {
        planned(|desired, observed, policy| {
            desired.credentials.pop();
            let claim = "appcred:house:b:appcred:house:b";
            observed.credentials.push(held("claim", &wanted("b"), Some(claim)));
            observed.credentials.push(held("shadow", &wanted("b"), Some("appcred:house:b")));
            policy.max_deletes = Some(limit);
        })
    };
    assert_eq!(with_history(MaxDeletes::Count(1)).deletes(), 3);
    assert_eq!(with_history(MaxDeletes::Percent(50)).deletes(), 3, "that is one of two");
    let none = with_history(MaxDeletes::Count(0));
    assert!(none.is_stopped() && none.deletes() == 0);
    let why = Why::TooManyDeletes { planned: 1, allowed: 0 };
    assert!(none.withheld.iter().all(|withheld| withheld.why == why), "{none:?}");
}

#[test]
fn no_entry_left_is_taken_for_a_mistake_unless_asked_for() {
    let plan = planned(|desired, _, _| desired.credentials.clear());
    check(&plan, &["! - spotify_id_a NothingDesired", "! - spotify_id_b NothingDesired"]);
    let plan = planned(|desired, _, policy| {
        desired.credentials.clear();
        policy.allow_empty = true;
    });
    check(&plan, &["- spotify_id_a [NotDesired]", "- spotify_id_b [NotDesired]"]);
}

#[test]
fn nothing_is_deleted_while_a_manifest_is_unread() {
    let plan = planned(|desired, _, _| {
        desired.credentials.pop();
        desired.completeness = Completeness::Partial;
    });
    check(&plan, &["! - spotify_id_b Unread"]);
    let unknown = CredentialState::Unknown(Key::new("b").unwrap());
    assert_eq!(plan.credential_states[1].state, unknown);
}

#[test]
fn an_encrypted_client_id_keeps_what_its_entry_may_want_and_nothing_else() {
    let of = |domain: &str| {
        planned(|desired, _, _| {
            desired.credentials.remove(1);
            let key = Key::new("c").unwrap();
            let domain = Domain::new(domain);
            desired.unidentified.push(Unidentified { key, domain, name: "C".into() });
        })
    };
    let keys = r#"keys: {Key("c")}"#;
    check(&of("spotify"), &[&format!("! - spotify_id_b Unidentified {{ {keys} }}")]);
    check(&of("twitch"), &["- spotify_id_b [NotDesired]"]);
    let alone = planned(|desired, _, _| {
        desired.credentials.clear();
        let (key, domain) = (Key::new("c").unwrap(), Domain::new("twitch"));
        desired.unidentified.push(Unidentified { key, domain, name: "C".into() });
    });
    check(&alone, &["- spotify_id_a [NotDesired]", "- spotify_id_b [NotDesired]"]);
    // What may have been renamed to the entry is not taken for the one that is known.
    let renamed = planned(|desired, _, _| {
        desired.credentials[1] = DesiredCredential { key: Key::new("n").unwrap(), ..wanted("b") };
        let (key, domain) = (Key::new("c").unwrap(), Domain::new("spotify"));
        desired.unidentified.push(Unidentified { key, domain, name: "C".into() });
    });
    let stay =
        ["! + n", "! - spotify_id_b"].map(|what| format!("{what} Unidentified {{ {keys} }}"));
    check(&renamed, &stay.each_ref().map(String::as_str));
}

#[test]
fn nothing_is_deleted_while_a_place_is_empty_by_accident() {
    let place = std::path::PathBuf::from("credentials");
    let plan = planned(|desired, _, _| {
        desired.credentials.pop();
        desired.completeness = Completeness::Emptied(BTreeSet::from([place.clone()]));
    });
    check(&plan, &[r#"! - spotify_id_b Emptied { places: {"credentials"} }"#]);
}

/// Entry `b` with another integration.
fn with_integration(domain: &str) -> DesiredCredential {
    DesiredCredential { domain: Domain::new(domain), ..wanted("b") }
}

#[test]
fn an_unknown_integration_holds_up_its_own_entry_and_deletes() {
    let plan = planned(|desired, observed, _| {
        desired.credentials = vec![wanted("a"), with_integration("spotfy"), wanted("c")];
        observed.credentials[0].client_secret = Secret::new("old").into();
    });
    let guess = r#"! + b UnknownIntegration { domain: Domain("spotfy"), suggestion: Some(Domain("spotify")), is_listed: true }"#;
    check(
        &plan,
        &[
            "-/+ a for spotify_id_a [SecretDiffers]",
            "+ c [NotObserved]",
            guess,
            "! - spotify_id_b Unread",
        ],
    );
    assert!(!plan.is_in_sync());
}

#[test]
fn a_custom_integration_is_planned_for_where_the_target_does_not_list_its_own() {
    for (is_listed, expected) in [
        (
            true,
            r#"! + b UnknownIntegration { domain: Domain("mine"), suggestion: None, is_listed: true }"#,
        ),
        (false, "+ b [NotObserved]"),
    ] {
        let plan = planned(|desired, observed, policy| {
            desired.credentials = vec![wanted("a"), with_integration("mine")];
            observed.credentials.pop();
            policy.custom_integrations = BTreeSet::from([Domain::new("mine")]);
            if !is_listed {
                observed.domains = KnownDomains::Assumed(observed.domains.all().clone());
            }
        });
        check(&plan, &[expected]);
        for withheld in &plan.withheld {
            assert!(withheld.why.help().contains("install it if it is a custom one"));
        }
    }
}

#[test]
fn nothing_is_set_up_for_an_unknown_integration_and_its_credential_stays() {
    let plan = planned(|desired, observed, _| {
        let entry = with_integration("gone");
        observed.credentials[1].domain = entry.domain.clone();
        observed.live = Some(crate::model::Live::default());
        desired.credentials = vec![entry];
        observed.credentials.remove(0);
    });
    check(
        &plan,
        &[
            r#"! + b UnknownIntegration { domain: Domain("gone"), suggestion: None, is_listed: true }"#,
        ],
    );
    let state = &plan.credential_states[0].state;
    assert_eq!(*state, CredentialState::Unknown(crate::model::Key::new("b").unwrap()));
}

/// A claim of another entry that is not for its client any more, cut off between two steps: the
/// credential with the entry's own mark was created, the claim of it is still there.
#[test]
fn an_entrys_own_mark_for_its_own_client_is_not_taken_away_by_a_claim_of_the_same_owner() {
    let plan = planned(|desired, observed, _| {
        desired.completeness = Completeness::Partial;
        let claim = Some("appcred:house:b:appcred:house:a");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), claim));
    });
    check(&plan, &["- spotify_id_a_2 [Unclaimed]"]);
}

#[test]
fn another_owners_claim_of_a_mark_is_stronger_than_the_mark() {
    let plan = planned(|_, observed, _| {
        let claim = Some("appcred:cabin:b:appcred:house:a");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), claim));
    });
    check(&plan, &["! + a claimed by appcred:cabin:b"]);
}

/// What another owner claims is that owner's as soon as it is there.
#[test]
fn nothing_is_written_that_another_owner_has_claimed_before() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        let claim = Some("appcred:cabin:b:appcred:house:a:spotify_id_a");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), claim));
    });
    check(&plan, &["! + a claimed by appcred:cabin:b"]);
}

#[test]
fn an_entry_that_adopts_what_an_account_uses_gets_its_mark_beside_another_owner() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        let other = Some("appcred:cabin:b");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), other));
        observed.config_entries = vec![linked("spotify_id_a"), linked("appcred:house:a")];
    });
    let expected = ["claim appcred:house:a:spotify_id_a [AdoptionAsked]", "+ a [BesideOtherOwner]"];
    check(&plan, &expected);
}

/// If the run is cut after that, the guess is not made again; `adopt` with an id is as good then.
#[test]
fn what_was_taken_for_renamed_is_claimed_before_what_is_adopted_by_its_id() {
    let plan = planned(|desired, observed, _| {
        let by_hand = CredentialId::new("spotify_id_a");
        desired.credentials[0].adopt = Adopt::Id(by_hand);
        observed.credentials[0].auth_domain = None;
        observed.credentials.push(held("renamed", &wanted("a"), None));
        let claim = Some("appcred:house:old:renamed");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), claim));
    });
    let claim = plan.steps[0].claim.as_ref().map(|claim| claim.auth_domain.as_str());
    assert_eq!(claim, Some("appcred:house:a:renamed"), "{plan:?}");
}

/// An account was linked with a claim, whose entry is renamed and has another client now.
#[test]
fn a_claim_that_an_account_names_goes_after_what_it_claims() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].formerly.insert(Key::new("old").unwrap());
        let mut by_hand = held("by_hand", &wanted("a"), None);
        by_hand.client_id = ClientId::new("another");
        let claim = Some("appcred:house:old:by_hand".into());
        let id = CredentialId::new("claim");
        observed.credentials[0] = Credential { id, auth_domain: claim, ..by_hand.clone() };
        observed.credentials.insert(0, by_hand);
        observed.config_entries = vec![linked("appcred:house:old:by_hand")];
    });
    let expected = [
        "claim appcred:house:a:appcred:house:old:by_hand [Renamed]",
        "- by_hand [Superseded]",
        "-/+ a for claim [ClientIdDiffers] reload",
    ];
    check(&plan, &expected);
    assert_eq!(plan.steps[2].after, Some(plan.steps[1].id));
}

/// Another entry deletes in the same run what was in the way.
#[test]
fn a_claim_that_an_account_names_follows_its_entry_although_another_lets_one_like_it_go() {
    let plan = planned(|_, observed, _| {
        let claim = Some("appcred:house:a:appcred:house:b:x");
        let mut other = held("other", &wanted("a"), claim);
        other.client_id = ClientId::new("another");
        observed.credentials[0] = other;
        observed.credentials.push(held("idle", &wanted("a"), Some("appcred:house:b:x")));
        observed.config_entries = vec![linked("appcred:house:a:appcred:house:b:x")];
    });
    let replaced = "claim appcred:house:a:appcred:house:b:x for other [ClientIdDiffers] reload";
    check(&plan, &[replaced, "- idle [Unclaimed]"]);
}

/// Home Assistant does not let the last one go, so that what is right before it is never in force.
#[test]
fn what_is_right_but_not_in_force_is_made_anew_behind_what_stays() {
    let plan = planned(|_, observed, _| {
        let mut stays = held("spotify_id_a_2", &wanted("a"), Some("appcred:house:a"));
        stays.client_secret = Secret::new("old").into();
        observed.credentials.insert(1, stays);
        observed.config_entries = vec![linked("appcred:house:a"), linked("spotify_id_a_2")];
    });
    let replaced = "-/+ a for spotify_id_a [SecretDiffers] reload";
    assert!(summary(&plan).contains(&replaced.to_owned()), "{:?}", summary(&plan));
}

/// The same where an account uses it: its claim would be another owner's as soon as it is there.
#[test]
fn nothing_in_use_is_claimed_where_another_owner_has_claimed_the_claim() {
    let plan = planned(|desired, observed, _| {
        desired.credentials[0].adopt = Adopt::Only;
        observed.credentials[0].auth_domain = None;
        let claim = Some("appcred:cabin:b:appcred:house:a:spotify_id_a");
        observed.credentials.push(held("spotify_id_a_2", &wanted("a"), claim));
        observed.config_entries = vec![linked("spotify_id_a")];
    });
    check(&plan, &["! shadow spotify_id_a for spotify_id_a claimed by appcred:cabin:b"]);
}

/// A manifest that could not be read may declare the key that the entry seems to have had.
#[test]
fn nothing_is_taken_over_while_it_is_not_known_what_the_entry_was_called() {
    let of = |completeness: Completeness| {
        planned(|desired, observed, _| {
            desired.completeness = completeness;
            desired.credentials[0].adopt = Adopt::Only;
            observed.credentials[0].auth_domain = None;
            observed.credentials.push(held("old", &wanted("a"), Some("appcred:house:x")));
        })
    };
    check(&of(Completeness::Partial), &["! + a Unread", "! - old Unread"]);
    check(&of(Completeness::Whole), &["-/+ a for old [TakenForRenamed]"]);
}

#[test]
fn what_is_pruned_of_a_client_goes_after_the_new_one_has_come() {
    let plan = planned(|_, observed, policy| {
        observed.credentials[0].auth_domain = None;
        policy.prune = Prune::All;
    });
    check(&plan, &["+ a [NotObserved]", "- spotify_id_a [NotDesired]"]);
    assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
}

/// An account that names the id of a claim says nothing of what the entry has.
#[test]
fn an_entry_is_new_although_an_account_names_the_id_of_its_claim() {
    let with_user = |user: &str| {
        planned(|_, observed, _| {
            observed.credentials[0].auth_domain = Some("appcred:house:x".into());
            let claim = held("spotify_id_a_2", &wanted("a"), Some("appcred:house:a:gone"));
            observed.credentials.push(claim);
            observed.config_entries = vec![linked(user)];
        })
    };
    let taken = [
        "claim appcred:house:a:spotify_id_a_2 [ReferencedById]",
        "+ a [NotObserved] reload",
        "- spotify_id_a [Superseded]",
    ];
    check(&with_user("spotify_id_a_2"), &taken);
    let left = "- spotify_id_a [NotDesired]".to_owned();
    assert!(summary(&with_user("appcred:house:a:gone")).contains(&left));
}

/// Home Assistant spells an integration in one way; a storage that was changed by hand may not.
#[test]
fn an_account_of_an_integration_in_capitals_keeps_what_it_names() {
    let with_account = |domain: &str, name: Option<&str>, change: fn(&mut Desired, &mut Policy)| {
        planned(|desired, observed, policy| {
            let mut account = linked(name.unwrap_or_default());
            account.domain = Domain::new(domain);
            account.implementation = name.map(Into::into);
            observed.config_entries.push(account);
            observed.live = Some(Live::default());
            desired.credentials.iter_mut().for_each(|entry| entry.integration.setup = false);
            change(desired, policy);
        })
    };
    let (mark, id) = (Some("appcred:house:a"), Some("spotify_id_a"));
    let removed = |desired: &mut Desired, _: &mut Policy| drop(desired.credentials.remove(0));
    let with_accounts = |desired: &mut Desired, policy: &mut Policy| {
        desired.credentials.remove(0);
        policy.remove_integrations = true;
    };
    for domain in ["Spotify", "SPOTIFY ", " spotify", "spotify\n", "ｓｐｏｔｉｆｙ", "spótify"]
    {
        // Home Assistant is asked only for accounts of integrations that it spells so.
        for name in [mark, id, None] {
            let kept = ["! - spotify_id_a in use by 1"];
            check(&with_account(domain, name, removed), &kept);
            check(&with_account(domain, name, with_accounts), &kept);
        }
        let renamed = |desired: &mut Desired, _: &mut Policy| {
            desired.credentials[0].key = Key::new("c").unwrap();
        };
        let claimed = ["claim appcred:house:c:appcred:house:a [TakenForRenamed]"];
        check(&with_account(domain, mark, renamed), &claimed);
    }
    let gone = ["- spotify_id_a [NotDesired]"];
    for (domain, name) in [("spotify_2", mark), ("twitch", mark), ("Spotify", Some("other"))] {
        check(&with_account(domain, name, removed), &gone);
    }
    check(
        &with_account("spotify", Some("Appcred:house:a"), removed),
        &["! - spotify_id_a in use by 1"],
    );
}

#[test]
fn an_account_that_cannot_be_read_is_of_its_integration_however_that_is_spelt() {
    let plan = planned(|desired, observed, _| {
        desired.credentials.remove(0);
        let domain = Some(Domain::new("Spotify "));
        observed.unread_accounts.push(UnreadAccounts::One { name: "1".to_owned(), domain });
    });
    check(&plan, &["! - spotify_id_a unread 1"]);
}

/// Each entry of the integration would have made it its own.
#[test]
fn a_lost_id_that_is_claimed_for_no_entry_is_no_entrys() {
    let plan = planned(|desired, observed, _| {
        desired.completeness = Completeness::Partial;
        let mut claim = held("claim", &wanted("a"), Some("appcred:house:gone:spotify_id_x"));
        claim.client_id = ClientId::new("id-x");
        observed.credentials.push(claim);
        observed.config_entries.push(linked("spotify_id_x"));
    });
    check(&plan, &["! - claim in use by 1"]);
}

/// What accounts use is taken over unasked, since `prune: all` would have to delete it.
#[test]
fn prune_all_takes_over_what_an_account_uses() {
    let plan = planned(|_, observed, policy| {
        observed.credentials[0].auth_domain = None;
        observed.config_entries.push(linked("spotify_id_a"));
        policy.prune = Prune::All;
    });
    check(&plan, &["claim appcred:house:a:spotify_id_a [AdoptionAsked]"]);
}

#[test]
fn no_mark_is_made_beside_what_is_in_dispute() {
    let plan = planned(|desired, observed, _| {
        shadowed(desired, observed);
        let theirs = held("theirs", &wanted("a"), Some("appcred:cabin:a:spotify_id_a"));
        observed.credentials.push(theirs);
        observed.config_entries.clear();
    });
    let disputed = "claimed by appcred:cabin:a and appcred:house:a";
    check(&plan, &[&format!("! shadow spotify_id_a for  {disputed}")]);
}

/// What is written counts for more than the looks of an id.
#[test]
fn a_lost_id_that_another_owner_has_claimed_is_no_entrys() {
    let plan = planned(|_, observed, _| {
        let mut claim = held("claim", &wanted("z"), Some("appcred:cabin:z:spotify_id_a_2"));
        claim.client_id = ClientId::new("id-z");
        observed.credentials.push(claim);
        observed.config_entries.push(linked("spotify_id_a_2"));
    });
    check(&plan, &[]);
}

/// Whatever its looks: an account names it by that.
#[test]
fn an_id_that_the_entrys_credential_has_now_is_the_entrys() {
    let plan = planned(|_, observed, _| {
        observed.credentials[0].id = CredentialId::new("odd");
        observed.config_entries.push(linked("odd"));
    });
    check(&plan, &["claim appcred:house:a:odd [ReferencedById]", "+ a [NotObserved] reload"]);
}

/// Accounts find the new one by the same name.
#[test]
fn what_is_replaced_goes_although_no_list_of_accounts_is_there() {
    let plan = planned(|_, observed, _| {
        observed.credentials.insert(0, held("old", &wanted("a"), Some("appcred:house:a")));
        observed.unread_accounts.push(UnreadAccounts::All);
    });
    check(&plan, &["- old [Superseded]"]);
}

/// What an account names that nobody has is made first; then the entry has something of its own.
#[test]
fn nothing_is_adopted_by_an_entry_that_an_account_has_a_lost_id_of() {
    let with = |names: &[&str]| {
        planned(|desired, observed, _| {
            desired.credentials[0].adopt = Adopt::Only;
            observed.credentials[0].auth_domain = None;
            for name in names {
                observed.credentials.push(held("spotify_id_a_2", &wanted("a"), Some(name)));
            }
            observed.config_entries.push(linked("spotify_id_a_2"));
        })
    };
    let claim = "appcred:house:a:spotify_id_a_2";
    let made =
        ["claim appcred:house:a:spotify_id_a_2 [ReferencedById]", "+ a [NotObserved] reload"];
    check(&with(&[]), &made);
    // Cut short after the first step, to whose claim Home Assistant gave that id.
    check(&with(&[claim]), &made[1..]);
    check(&with(&[claim, "spotify_id_a_2"]), &[]);
}

/// An older version shadowed it: that is the entry's, and nothing else is taken over.
#[test]
fn nothing_is_adopted_by_an_entry_with_an_old_shadow() {
    let plan = planned(|desired, observed, policy| {
        shadowed_without_claim(desired, observed);
        observed.credentials.push(held("by_hand", &wanted("a"), None));
        policy.prune = Prune::All;
        policy.adopt_all = true;
    });
    check(&plan, &["claim appcred:house:a:spotify_id_a [OldShadow]", "- by_hand [NotDesired]"]);
}

/// A manifest cannot be read, so that `prune: all` deletes nothing: what is there is somebody's.
#[test]
fn what_is_pruned_later_is_in_the_way_of_a_claim() {
    let of = |completeness: Completeness| {
        planned(|desired, observed, policy| {
            desired.completeness = completeness;
            let mut claim = held("claim", &wanted("a"), Some("appcred:house:a:by_hand"));
            claim.client_id = ClientId::new("another");
            observed.credentials[0] = claim;
            observed.credentials.push(held("by_hand", &wanted("a"), None));
            observed.config_entries.push(linked("appcred:house:a:by_hand"));
            policy.prune = Prune::All;
        })
    };
    let replaced = "claim appcred:house:a:by_hand for claim [ClientIdDiffers] reload";
    check(&of(Completeness::Whole), &[replaced, "- by_hand [NotDesired]"]);
    let withheld =
        ["! claim appcred:house:a:by_hand for claim foreign by_hand", "! - by_hand Unread"];
    check(&of(Completeness::Partial), &withheld);
}

/// Writing the claim for the entry's present client would begin a dispute.
#[test]
fn a_claim_in_use_does_not_get_a_client_for_which_another_owner_has_claimed_the_same() {
    let plan = planned(|_, observed, _| {
        let text = "appcred:house:a:x";
        let mut claim = held("claim", &wanted("a"), Some(text));
        claim.client_id = ClientId::new("another");
        observed.credentials[0] = claim;
        observed.credentials.push(held("theirs", &wanted("a"), Some("appcred:cabin:z:x")));
        observed.config_entries.push(linked(text));
    });
    check(&plan, &["! claim appcred:house:a:x for claim claimed by appcred:cabin:z"]);
}
