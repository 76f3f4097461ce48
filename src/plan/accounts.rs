//! Which linked accounts are those that an entry names, and what is to be done about them.
//!
//! HA reports of an account its id and its title. The title may change, and an integration may give all of
//! its accounts the same one. So it is noted in HA which id a name is for: when the account is linked, or
//! else once it is found by its title. Where neither says which one it is, nobody guesses.

use std::collections::BTreeSet;

use smol_str::ToSmolStr;

use crate::model::{
    AccountName, ConfigEntry, DesiredCredential, Mark, NotedAccount, OnDelete, Owner, Policy,
    Purpose, SetUpId, SetUpOf,
};

use super::action::{Action, Reason, UndeclaredAccount};
use super::draft::PlanDraft;
use super::set_up::{Coming, SetUpCase};
use super::withheld::Why;

/// Which account has a name.
#[derive(Debug, PartialEq, Eq)]
enum NameMatch<'a> {
    /// This account.
    Noted(&'a ConfigEntry),
    /// This account, by its title alone.
    Titled(&'a ConfigEntry),
    /// Each of these has the name.
    Several(Vec<&'a ConfigEntry>),
    Nothing,
}

/// The linked accounts of one credential, and what is noted of them.
struct LinkedAccounts<'n, 'a> {
    linked: Vec<&'a ConfigEntry>,
    notes: Vec<&'n NotedAccount>,
    mark: &'n Mark,
    names: &'n [AccountName],
}

impl<'n, 'a> LinkedAccounts<'n, 'a> {
    fn new(
        names: &'n [AccountName],
        (mark, previous_owners): (&'n Mark, &BTreeSet<Owner>),
        linked: impl IntoIterator<Item = &'a ConfigEntry>,
        notes: &'n BTreeSet<NotedAccount>,
    ) -> Self {
        let notes = notes.iter().filter(|note| note.is_of(&mark.owner, previous_owners)).collect();
        Self { linked: linked.into_iter().collect(), notes, mark, names }
    }

    /// The noted name of an account.
    fn noted(&self, account: &ConfigEntry) -> Option<&'n AccountName> {
        NotedAccount::name_of(self.notes.iter().copied(), &account.id, self.mark)
    }

    fn is_declared(&self, name: &AccountName) -> bool {
        self.names.iter().any(|declared| declared.is_called(name.as_str()))
    }

    fn find(&self, name: &AccountName) -> NameMatch<'a> {
        let is_named = |account: &&&ConfigEntry| {
            self.noted(account).is_some_and(|noted| noted.is_called(name.as_str()))
        };
        let noted: Vec<_> = self.linked.iter().filter(is_named).copied().collect();
        if !noted.is_empty() {
            return one_of(noted, NameMatch::Noted);
        }
        let titled = self.linked.iter().filter(|account| name.is_called(&account.title)).copied();
        let (noted, fresh): (Vec<_>, Vec<_>) =
            titled.partition(|account| self.noted(account).is_some());
        if !fresh.is_empty() {
            return one_of(fresh, NameMatch::Titled);
        }
        // The account may be noted under a name that the entry no longer has: it was renamed.
        let is_free = |account: &&ConfigEntry| {
            !self.noted(account).is_some_and(|noted| self.is_declared(noted))
        };
        one_of(noted.into_iter().filter(is_free).collect(), NameMatch::Titled)
    }

    /// Whether this name is noted for it under the entry's present mark.
    fn is_noted_here(&self, name: &AccountName, account: &ConfigEntry) -> bool {
        let is_it = |note: &&NotedAccount| {
            note.mark == *self.mark && note.name == *name && note.account == account.id
        };
        self.notes.iter().any(is_it)
    }
}

fn one_of<'a>(
    found: Vec<&'a ConfigEntry>,
    is: fn(&'a ConfigEntry) -> NameMatch<'a>,
) -> NameMatch<'a> {
    match found.as_slice() {
        [] => NameMatch::Nothing,
        [one] => is(one),
        _ => NameMatch::Several(found),
    }
}

/// The account among these that is linked for a set-up of an entry: the one with the account's name, or the
/// first where the entry names none.
pub fn linked_account<'a>(
    (entry, previous_owners): (&DesiredCredential, &BTreeSet<Owner>),
    of: SetUpOf<'_>,
    linked: impl IntoIterator<Item = &'a ConfigEntry>,
    notes: &BTreeSet<NotedAccount>,
) -> Option<&'a ConfigEntry> {
    let Some(name) = of.account else { return linked.into_iter().next() };
    let names = &entry.integration.accounts;
    match LinkedAccounts::new(names, (of.mark, previous_owners), linked, notes).find(name) {
        NameMatch::Noted(account) | NameMatch::Titled(account) => Some(account),
        NameMatch::Several(_) | NameMatch::Nothing => None,
    }
}

/// The names of several accounts: what is noted of them for this owner, else their titles, as far as each
/// can be known by that.
pub(super) fn names_of(
    accounts: &[ConfigEntry],
    owner: &Owner,
    notes: Option<&BTreeSet<NotedAccount>>,
) -> Vec<AccountName> {
    let noted = |account: &ConfigEntry| {
        let is_its = |note: &&NotedAccount| note.account == account.id && note.mark.owner == *owner;
        notes?.iter().find(is_its).map(|note| note.name.clone())
    };
    let mut names: Vec<AccountName> = Vec::new();
    for account in accounts {
        match noted(account).or_else(|| AccountName::new(account.title.trim())) {
            Some(name) if !names.iter().any(|other| other.is_called(name.as_str())) => {
                names.push(name);
            }
            _ => return Vec::new(),
        }
    }
    if names.len() > 1 { names } else { Vec::new() }
}

impl SetUpCase<'_> {
    /// What each account that the entry names needs, and what becomes of the others. Returns the flows that are still
    /// needed.
    pub(super) fn named(
        &self,
        linked: &[ConfigEntry],
        coming: Option<&Coming>,
        (policy, previous_owners): (&Policy, &BTreeSet<Owner>),
        draft: &mut PlanDraft<'_>,
    ) -> Vec<usize> {
        let names = &self.entry.integration.accounts;
        let notes = &self.context.live.accounts;
        let accounts = LinkedAccounts::new(names, (&self.mark, previous_owners), linked, notes);
        let is_changed = !policy.leave_integrations && self.is_held();
        let mut flows = Vec::new();
        let mut others: Vec<&ConfigEntry> = linked.iter().collect();
        for name in names {
            let found = accounts.find(name);
            let account = match &found {
                NameMatch::Noted(account) | NameMatch::Titled(account) => {
                    std::slice::from_ref(*account)
                }
                NameMatch::Several(_) | NameMatch::Nothing => &[],
            };
            others.retain(|other| account.iter().all(|account| account.id != other.id));
            let purpose = Purpose::Account(self.mark.clone(), name.clone());
            let id = SetUpId { key: self.entry.key.clone(), account: Some(name.clone()) };
            draft.link(id, self.setup_state(account, &purpose), self.trouble(account));
            if !is_changed {
                continue;
            }
            if let [account] = account
                && !accounts.is_noted_here(name, account)
            {
                self.note(name, account, draft);
            }
            if self.entry.integration.setup {
                flows.extend(self.link_named(name, found, &accounts, coming, draft));
            }
        }
        for account in others {
            self.undeclared(account, accounts.noted(account), is_changed, policy, draft);
        }
        flows
    }

    fn link_named(
        &self,
        name: &AccountName,
        found: NameMatch<'_>,
        accounts: &LinkedAccounts<'_, '_>,
        coming: Option<&Coming>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<usize> {
        let wanted = || self.wanted(self.mark.to_smolstr());
        match found {
            NameMatch::Noted(account) | NameMatch::Titled(account) => {
                self.link_again(account.clone(), Some(name), coming, draft)
            }
            NameMatch::Several(several) => {
                let (name, open) = (Some(name.clone()), None);
                let action = Action::SetUp { wanted: wanted(), name, account: None, open };
                let accounts = several.into_iter().cloned().collect();
                draft.withhold(action, Why::SeveralAccounts { accounts });
                None
            }
            NameMatch::Nothing if self.is_the_only_one_taken(name, accounts) => {
                let (name, open) = (Some(name.clone()), None);
                let action = Action::SetUp { wanted: wanted(), name, account: None, open };
                draft.withhold(action, Why::OneAccount);
                None
            }
            NameMatch::Nothing => self.link_new(Some(name), coming, draft),
        }
    }

    /// Whether HA would refuse this account, since it links one only.
    fn is_the_only_one_taken(&self, name: &AccountName, accounts: &LinkedAccounts<'_, '_>) -> bool {
        self.context.live.one_account.contains(&self.entry.domain)
            && (!accounts.linked.is_empty() || accounts.names.first() != Some(name))
    }

    fn note(&self, name: &AccountName, account: &ConfigEntry, draft: &mut PlanDraft<'_>) {
        let action = Action::NoteAccount {
            wanted: self.wanted(self.mark.to_smolstr()),
            name: name.clone(),
            account: account.clone(),
        };
        draft.step(action, Reason::AccountNotNoted, None);
    }

    /// Only an account that is noted under a name of this entry is known to be the one that had it.
    fn undeclared(
        &self,
        account: &ConfigEntry,
        name: Option<&AccountName>,
        is_changed: bool,
        policy: &Policy,
        draft: &mut PlanDraft<'_>,
    ) {
        let integration = &self.entry.integration;
        let removes =
            policy.remove_integrations || integration.on_delete == OnDelete::RemoveIntegration;
        let is_declared =
            |name: &AccountName| integration.accounts.iter().any(|it| it.is_called(name.as_str()));
        if is_changed
            && removes
            && let Some(name) = name.filter(|name| !is_declared(name))
        {
            let (wanted, by) = (self.wanted(self.mark.to_smolstr()), vec![account.clone()]);
            let account = account.clone();
            let removal = Action::RemoveAccount { wanted, name: name.clone(), account };
            if self.context.live.cloud_or_own.contains(&by[0].id) {
                draft.withhold(removal, Why::MayBeCloud { by });
            } else {
                draft.remove_account(removal);
            }
        }
        let (key, name) = (self.entry.key.clone(), name.cloned());
        draft.leave_account(UndeclaredAccount { key, name, account: account.clone() });
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{
        AccountName, ClientId, ConfigEntry, Desired, EntryId, EntryState, FlowId, Live, Mark,
        MaxDeletes, NotedAccount, Observed, OnDelete, OpenFlow, Owner, Policy, Prune, Purpose,
    };
    use crate::plan::tests::{check, linked, planned, wanted};
    use crate::plan::{Plan, SetupState};

    const A: &str = "appcred:house:a";

    fn name(name: &str) -> AccountName {
        AccountName::new(name).unwrap()
    }

    fn account(id: &str, title: &str) -> ConfigEntry {
        ConfigEntry { id: EntryId::new(id), title: title.into(), ..linked(A) }
    }

    /// `a` names these accounts; these are linked (id, title) and noted (mark, name, id).
    fn named(
        names: &[&str],
        accounts: &[(&str, &str)],
        notes: &[(&str, &str, &str)],
        change: impl FnOnce(&mut Desired, &mut Observed, &mut Policy),
    ) -> Plan {
        planned(|desired, observed, policy| {
            desired.credentials[0].integration.accounts = names.iter().map(|it| name(it)).collect();
            let linked_b = linked("appcred:house:b");
            let accounts = accounts.iter().map(|(id, title)| account(id, title));
            observed.config_entries = accounts.chain([linked_b]).collect();
            let note = |(mark, of, id): &(&str, &str, &str)| NotedAccount {
                mark: Mark::parse(mark).unwrap(),
                name: name(of),
                account: EntryId::new(*id),
            };
            let accounts = notes.iter().map(note).collect();
            observed.live = Some(Live { accounts, ..Live::default() });
            change(desired, observed, policy);
        })
    }

    fn plain(names: &[&str], accounts: &[(&str, &str)], notes: &[(&str, &str, &str)]) -> Plan {
        named(names, accounts, notes, |_, _, _| {})
    }

    const BOTH: &[(&str, &str)] = &[("1", "ann@x"), ("2", "bob@x")];
    const BOTH_NOTED: &[(&str, &str, &str)] = &[(A, "Ann", "1"), (A, "Bob", "2")];

    #[test]
    fn each_account_that_is_named_is_linked_by_a_set_up_of_its_own() {
        let plan = plain(&["Ann", "Bob"], &[], &[]);
        check(&plan, &["> a/Ann [AccountNotLinked]", "> a/Bob [AccountNotLinked]"]);
        let states: Vec<_> = plan.setup_states.iter().map(|of| of.id.to_string()).collect();
        assert_eq!(states, ["a/Ann", "a/Bob", "b"]);
        let plan = plain(&["Ann", "Bob"], &BOTH[..1], &BOTH_NOTED[..1]);
        check(&plan, &["> a/Bob [AccountNotLinked]"]);
        let plan = plain(&["Ann", "Bob"], BOTH, BOTH_NOTED);
        check(&plan, &[]);
        assert!(plan.is_in_sync() && plan.undeclared_accounts.is_empty());
        let follows = named(&["Ann", "Bob"], &[], &[], |_, observed, _| {
            observed.credentials.remove(0);
        });
        let expected =
            ["+ a [NotObserved]", "> a/Ann [AccountNotLinked]", "> a/Bob [AccountNotLinked]"];
        check(&follows, &expected);
        assert!(follows.steps[1..].iter().all(|step| step.after == Some(follows.steps[0].id)));
    }

    #[test]
    fn an_account_is_known_by_its_title_until_that_is_noted_and_by_the_note_from_then_on() {
        let titled = [("1", " ANN "), ("2", "Bob")];
        let plan = plain(&["Ann", "Bob"], &titled, &[]);
        let expected = ["note a/Ann for 1 [AccountNotNoted]", "note a/Bob for 2 [AccountNotNoted]"];
        check(&plan, &expected);
        // Titles that were exchanged mislead nobody.
        let exchanged = [("1", "Bob"), ("2", "Ann")];
        check(&plain(&["Ann", "Bob"], &exchanged, BOTH_NOTED), &[]);
        // Nor does a second account whose title is the name of one that is noted.
        let plan = plain(&["Ann"], &[("1", "renamed"), ("2", "Ann")], &BOTH_NOTED[..1]);
        check(&plan, &[]);
        assert_eq!(plan.undeclared_accounts[0].account.id.as_str(), "2");
    }

    #[test]
    fn of_several_accounts_with_one_title_none_is_guessed() {
        let same = [("1", "Ann"), ("2", "Ann")];
        let plan = plain(&["Ann", "Bob"], &same, &[]);
        let several = "! > a/Ann SeveralAccounts";
        let found: Vec<_> = plan.withheld.iter().map(|it| it.why.code().as_str()).collect();
        assert_eq!(found, ["several_accounts"], "{several}");
        assert!(plan.withheld[0].why.to_string().contains("(1, 2)"), "{plan:?}");
        assert_eq!(plan.steps.len(), 1, "Bob's set-up: {plan:?}");
        // What is noted of one of them leaves the other.
        check(&plain(&["Ann"], &same, &[(A, "Ann", "2")]), &[]);
        let two_names = [(A, "Ann", "1"), (A, "Bob", "1")];
        let plan = plain(&["Ann", "Bob"], &BOTH[..1], &two_names);
        check(&plan, &["> a/Ann [AccountNotLinked]", "> a/Bob [AccountNotLinked]"]);
    }

    #[test]
    fn notes_of_an_earlier_key_or_owner_hold_and_those_of_others_do_not() {
        let earlier = [("appcred:house:old", "Ann", "1"), ("appcred:before:a", "Bob", "2")];
        let plan = named(&["Ann", "Bob"], BOTH, &earlier, |desired, _, _| {
            desired.previous_owners.insert(Owner::new("before").unwrap());
        });
        let expected = ["note a/Ann for 1 [AccountNotNoted]", "note a/Bob for 2 [AccountNotNoted]"];
        check(&plan, &expected);
        let plan = plain(&["Bob"], BOTH, &[("appcred:cabin:a", "Bob", "2")]);
        check(&plan, &["> a/Bob [AccountNotLinked]"]);
    }

    #[test]
    fn an_account_that_is_named_no_more_goes_only_where_that_is_asked_for_and_it_is_certain() {
        let plan = plain(&["Ann"], BOTH, BOTH_NOTED);
        check(&plan, &[]);
        let left = &plan.undeclared_accounts[0];
        assert_eq!((left.name.as_ref(), left.account.id.as_str()), (Some(&name("Bob")), "2"));
        let removes = |_: &mut Desired, _: &mut Observed, policy: &mut Policy| {
            policy.remove_integrations = true;
        };
        let removed = "remove a/Bob for 2 [AccountUndeclared]";
        check(&named(&["Ann"], BOTH, BOTH_NOTED, removes), &[removed]);
        let by_entry = named(&["Ann"], BOTH, BOTH_NOTED, |desired, observed, _| {
            desired.credentials[0].integration.on_delete = OnDelete::RemoveIntegration;
            let live = observed.live.as_mut().unwrap();
            live.removed_with_entry = Mark::parse(A).into_iter().collect();
        });
        check(&by_entry, &[removed]);
        // Its title alone says nothing, and another owner's note neither.
        let others = [(A, "Ann", "1"), ("appcred:cabin:a", "Bob", "2")];
        check(&named(&["Ann"], BOTH, &others, removes), &[]);
        check(&named(&["Ann"], BOTH, &BOTH_NOTED[..1], removes), &[]);
        // Where the entry names none, any account will do.
        check(&named(&[], BOTH, BOTH_NOTED, removes), &[]);
        let held_back: [fn(&mut Policy); 2] = [
            |policy| policy.prune = Prune::Nothing,
            |policy| policy.max_deletes = Some(MaxDeletes::Count(0)),
        ];
        for hold_back in held_back {
            let plan = named(&["Ann"], BOTH, BOTH_NOTED, |_, _, policy| {
                policy.remove_integrations = true;
                hold_back(policy);
            });
            assert!(plan.steps.is_empty() && plan.withheld.len() == 1, "{plan:?}");
        }
        let cloud = named(&["Ann"], BOTH, BOTH_NOTED, |_, observed, policy| {
            policy.remove_integrations = true;
            observed.live.as_mut().unwrap().cloud_or_own = [EntryId::new("2")].into();
        });
        check(&cloud, &["! remove a/Bob for 2 may be cloud 1"]);
    }

    #[test]
    fn linked_accounts_count_among_what_is_deleted() {
        let without_entry = |limit| {
            named(&[], BOTH, &[], |desired, _, policy| {
                desired.credentials.remove(0);
                policy.remove_integrations = true;
                policy.max_deletes = Some(MaxDeletes::Count(limit));
            })
        };
        let plan = without_entry(3);
        assert_eq!((plan.deletes(), plan.removed_accounts(), plan.is_stopped()), (1, 2, false));
        assert!(without_entry(2).is_stopped());
    }

    #[test]
    fn that_an_account_which_is_not_named_stays_down_is_no_failure() {
        let down = |id: &str| {
            named(&["Ann"], BOTH, BOTH_NOTED, |_, observed, _| {
                let mut accounts = observed.config_entries.iter_mut();
                accounts.find(|of| of.id.as_str() == id).unwrap().state = EntryState::SetupError;
            })
        };
        check(&down("1"), &["reload a for 1 [AccountDown]"]);
        assert!(!down("1").steps[0].is_optional());
        check(&down("2"), &["reload a for 2 [UnnamedAccountDown]"]);
        assert!(down("2").steps[0].is_optional());
    }

    #[test]
    fn a_name_that_is_changed_is_the_same_account_where_the_title_says_so() {
        let titled = [("1", "Anna"), ("2", "Bob")];
        let plan = plain(&["Anna", "Bob"], &titled, BOTH_NOTED);
        check(&plan, &["note a/Anna for 1 [AccountNotNoted]"]);
    }

    #[test]
    fn consent_is_asked_again_of_the_account_that_needs_it() {
        let asks = |_: &mut Desired, observed: &mut Observed, _: &mut Policy| {
            let purpose = Purpose::Again(EntryId::new("2"));
            let flow = OpenFlow { id: FlowId::new("f"), domain: wanted("a").domain, purpose };
            observed.live.as_mut().unwrap().flows.push(flow);
        };
        let plan = named(&["Ann", "Bob"], BOTH, BOTH_NOTED, asks);
        check(&plan, &["> a/Bob again for 2 by f [ConsentLost]"]);
        let states: Vec<_> = plan.setup_states.iter().map(|of| &of.state).collect();
        assert!(matches!(states[..2], [SetupState::Linked(_), SetupState::NeedsConsent]));
        let plan = named(&["Ann", "Bob"], BOTH, BOTH_NOTED, |desired, _, _| {
            desired.credentials[0].client_id = ClientId::new("other");
        });
        let expected = [
            "-/+ a for spotify_id_a [ClientIdDiffers] reload",
            "> a/Ann again for 1 [ClientIdDiffers]",
            "> a/Bob again for 2 [ClientIdDiffers]",
        ];
        check(&plan, &expected);
    }

    #[test]
    fn a_flow_goes_on_for_the_account_that_it_is_for_and_ends_where_that_is_named_no_more() {
        let flow = |id: &str, account: Option<&str>| {
            let mark = Mark::parse(A).unwrap();
            let purpose = match account {
                Some(account) => Purpose::Account(mark, name(account)),
                None => Purpose::Entry(mark),
            };
            OpenFlow { id: FlowId::new(id), domain: wanted("a").domain, purpose }
        };
        let plan = named(&["Ann", "Bob"], &[], &[], |_, observed, _| {
            let flows = vec![flow("1", Some("Bob")), flow("2", Some("Carl")), flow("3", None)];
            observed.live.as_mut().unwrap().flows = flows;
        });
        let expected = [
            "> a/Ann [AccountNotLinked]",
            "> a/Bob by 1 [AccountNotLinked]",
            "x 2 [LeftOver]",
            "x 3 [LeftOver]",
        ];
        check(&plan, &expected);
    }

    #[test]
    fn home_assistant_is_asked_for_no_second_account_where_it_links_one_only() {
        let one_only = |_: &mut Desired, observed: &mut Observed, _: &mut Policy| {
            observed.live.as_mut().unwrap().one_account = [wanted("a").domain].into();
        };
        let plan = named(&["Ann", "Bob"], &[], &[], one_only);
        check(&plan, &["> a/Ann [AccountNotLinked]", "! > a/Bob OneAccount"]);
        let plan = named(&["Ann", "Bob"], &BOTH[..1], &BOTH_NOTED[..1], one_only);
        check(&plan, &["! > a/Bob OneAccount"]);
        check(&named(&["Ann"], &BOTH[..1], &BOTH_NOTED[..1], one_only), &[]);
    }
}
