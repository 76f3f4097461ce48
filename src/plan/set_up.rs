//! What the integrations of a running HA need once their credentials are right.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use smol_str::{SmolStr, ToSmolStr};

use crate::model::{
    AccountName, Claim, ConfigEntry, Credential, DesiredCredential, Domain, Implementation, Key,
    Live, Mark, NoSetUp, NotedAccount, OnDelete, OpenFlow, Owner, Policy, Purpose, SetUpId,
};

use super::action::{Action, Reason, SetupState, StepId, Wanted};
use super::context::PlanContext;
use super::draft::PlanDraft;
use super::index::Index;
use super::trouble::Trouble;
use super::withheld::Why;

pub(super) fn decide(
    live: &Live,
    PlanContext { desired, policy, index, entries, assignment, .. }: &PlanContext<'_>,
    draft: &mut PlanDraft<'_>,
) {
    let context = SetUpContext::new(live, draft);
    let mut needed: BTreeSet<usize> = BTreeSet::new();
    for entry in entries {
        let case = SetUpCase { entry, mark: desired.mark(&entry.key), context: &context, index };
        needed.extend(case.decide(policy, &desired.previous_owners, draft));
    }
    if policy.leave_integrations {
        return;
    }
    let is_declared = |mark: &Mark, domain: &Domain| {
        entries.iter().any(|entry| entry.key == mark.key && entry.domain == *domain)
    };
    // Of these entries nothing is changed.
    let is_left = |mark: &Mark, domain: &Domain| {
        let mut left = desired.unidentified.iter().map(|entry| (&entry.key, &entry.domain));
        let mut all = desired.credentials.iter().map(|entry| (&entry.key, &entry.domain));
        let entry = (&mark.key, domain);
        left.any(|left| left == entry) || all.any(|one| one == entry)
    };
    for (at, flow) in live.flows.iter().enumerate() {
        let Some(mark) = flow.purpose.mark() else { continue };
        if mark.owner != desired.owner || needed.contains(&at) {
            continue;
        }
        let is_kept = |at: usize| assignment.is_doubtful(at) || draft.is_unknown(at);
        if is_declared(mark, &flow.domain) {
            draft.step(Action::Abandon { flow: flow.clone() }, Reason::LeftOver, None);
        } else if !policy.keeps(&mark.key)
            && !is_left(mark, &flow.domain)
            && !index.of_mark(&flow.domain, mark).any(is_kept)
        {
            draft.prune_set_up(flow.clone());
        }
    }
}

/// The step that makes an entry's credential, where one is needed.
pub(super) struct Coming {
    step: StepId,
    client_id_differs: bool,
}

/// What is known before any set-up is decided, arranged by what an entry asks for.
pub(super) struct SetUpContext<'a> {
    pub(super) live: &'a Live,
    flows: IndexMap<(&'a Purpose, &'a Domain), usize>,
    coming: IndexMap<Key, Coming>,
    /// Under which texts an entry gets credentials.
    created: IndexMap<Key, Vec<SmolStr>>,
    /// The credentials that are of an entry.
    held: IndexMap<Key, Vec<usize>>,
}

impl<'a> SetUpContext<'a> {
    fn new(live: &'a Live, draft: &PlanDraft<'_>) -> Self {
        let mut flows = IndexMap::new();
        for (at, flow) in live.flows.iter().enumerate() {
            flows.entry((&flow.purpose, &flow.domain)).or_insert(at);
        }
        let coming = draft.creations().map(|(step, wanted)| {
            let client_id_differs = step.reasons.contains(&Reason::ClientIdDiffers);
            (wanted.key.clone(), Coming { step: step.id, client_id_differs })
        });
        let coming = coming.collect();
        let mut created: IndexMap<Key, Vec<SmolStr>> = IndexMap::new();
        for (_, wanted) in draft.creations() {
            created.entry(wanted.key.clone()).or_default().push(wanted.auth_domain.clone());
        }
        let mut held: IndexMap<Key, Vec<usize>> = IndexMap::new();
        for (at, key) in draft.held() {
            held.entry(key.clone()).or_default().push(at);
        }
        Self { live, flows, coming, created, held }
    }
}

pub(super) struct SetUpCase<'a> {
    pub(super) entry: &'a DesiredCredential,
    pub(super) mark: Mark,
    pub(super) context: &'a SetUpContext<'a>,
    index: &'a Index<'a>,
}

impl SetUpCase<'_> {
    /// Answers the flows that are needed still.
    fn decide(
        &self,
        policy: &Policy,
        previous_owners: &BTreeSet<Owner>,
        draft: &mut PlanDraft<'_>,
    ) -> Vec<usize> {
        let accounts = self.accounts();
        let coming = self.context.coming.get(&self.entry.key);
        if self.is_held() {
            self.delete_policy(coming, draft);
        }
        if let Some(coming) = coming
            && (policy.leave_integrations || !self.entry.integration.setup)
            && self.may_any_be_lost()
        {
            draft.also(coming.step, Reason::PerhapsLinked);
        }
        if !self.entry.integration.accounts.is_empty() {
            return self.named(&accounts, coming, (policy, previous_owners), draft);
        }
        let id = SetUpId { key: self.entry.key.clone(), account: None };
        let state = self.setup_state(&accounts, &Purpose::Entry(self.mark.clone()));
        draft.link(id, state, self.trouble(&accounts));
        if policy.leave_integrations || !self.entry.integration.setup || !self.is_held() {
            return Vec::new();
        }
        if accounts.is_empty() {
            return self.link_new(None, coming, draft).into_iter().collect();
        }
        let again = |account| self.link_again(account, None, coming, draft);
        accounts.into_iter().filter_map(again).collect()
    }

    /// What is wrong with the first of these accounts that has anything.
    pub(super) fn trouble(&self, accounts: &[ConfigEntry]) -> Option<Trouble> {
        accounts.iter().find_map(|account| {
            let is_held = account.implementation.as_ref().is_none_or(|implementation| {
                !self.index.implementing(&self.entry.domain, implementation).is_empty()
            });
            Trouble::of(account, self.context.live, is_held)
        })
    }

    /// Whether the entry has a credential, or gets one.
    pub(super) fn is_held(&self) -> bool {
        let key = &self.entry.key;
        self.context.coming.contains_key(key) || self.context.held.contains_key(key)
    }

    /// The accounts that are linked as the entry wants it.
    fn accounts(&self) -> Vec<ConfigEntry> {
        let domain = &self.entry.domain;
        if self.entry.integration.implementation == Implementation::Cloud {
            return self.index.users_of_none(domain);
        }
        let mark = self.mark.to_string();
        let mut implementations = BTreeSet::from([mark.as_str()]);
        implementations.extend(self.created());
        let held = self.held();
        implementations.extend(
            held.flat_map(|credential| [credential.implementation(), credential.id.as_str()]),
        );
        implementations
            .into_iter()
            .flat_map(|implementation| self.index.users(domain, implementation))
            .collect()
    }

    /// Under which texts the entry gets credentials.
    fn created(&self) -> impl Iterator<Item = &str> {
        let created = self.context.created.get(&self.entry.key);
        created.into_iter().flatten().map(SmolStr::as_str)
    }

    fn held(&self) -> impl Iterator<Item = &Credential> {
        let held = self.context.held.get(&self.entry.key).into_iter().flatten();
        held.map(|at| self.index.get(*at))
            .filter(|credential| credential.domain == self.entry.domain)
    }

    /// The text by which a new account is linked: the mark, or what accounts name since the entry had another key
    /// or took over what was made by hand. None where nothing is there, as the mark may be withheld.
    fn offered(&self) -> Option<SmolStr> {
        let mark = self.mark.to_smolstr();
        let held = self.held().map(Credential::implementation);
        let all: Vec<&str> = self.created().chain(held).collect();
        if all.contains(&mark.as_str()) {
            return Some(mark);
        }
        all.into_iter().find(|text| Claim::parse(text).is_none()).map(SmolStr::from)
    }

    fn flow_of(&self, purpose: &Purpose) -> Option<(usize, &OpenFlow)> {
        let at = *self.context.flows.get(&(purpose, &self.entry.domain))?;
        Some((at, self.context.live.flows.get(at)?))
    }

    /// The flow in which HA asks for a consent to this account that is needed.
    fn asked_again(&self, account: &ConfigEntry) -> Option<(usize, &OpenFlow)> {
        let flow = self.flow_of(&Purpose::Again(account.id.clone()))?;
        (!self.context.live.has_credential_again(account)).then_some(flow)
    }

    /// How far the set-up is that a flow of this purpose carries on.
    pub(super) fn setup_state(&self, accounts: &[ConfigEntry], purpose: &Purpose) -> SetupState {
        if accounts.iter().any(|account| self.asked_again(account).is_some()) {
            return SetupState::NeedsConsent;
        }
        if !accounts.is_empty() {
            return match self.entry.integration.implementation {
                Implementation::Cloud => SetupState::Cloud(accounts.to_vec()),
                Implementation::Credential | Implementation::Ask => {
                    SetupState::Linked(accounts.to_vec())
                }
            };
        }
        match self.flow_of(purpose) {
            Some(_) => SetupState::InProgress,
            None if self.entry.integration.setup => SetupState::NotSetUp,
            None => SetupState::NotWanted,
        }
    }

    /// An entry that is gone can say nothing any more, so what it says of that is noted in HA.
    fn delete_policy(&self, coming: Option<&Coming>, draft: &mut PlanDraft<'_>) {
        let removes = self.entry.integration.on_delete == OnDelete::RemoveIntegration;
        if removes != self.context.live.removed_with_entry.contains(&self.mark) {
            let action =
                Action::SetDeletePolicy { wanted: self.wanted(self.mark.to_smolstr()), removes };
            draft.step(action, Reason::OnDeleteDiffers, coming.map(|coming| coming.step));
        }
    }

    /// Links an account, the one with this name where the entry names its accounts. A flow that was begun
    /// with a credential that is replaced now would go on with the old one.
    pub(super) fn link_new(
        &self,
        name: Option<&AccountName>,
        coming: Option<&Coming>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<usize> {
        let offered = self.offered()?;
        let (purpose, reason) = match name {
            Some(name) => {
                (Purpose::Account(self.mark.clone(), name.clone()), Reason::AccountNotLinked)
            }
            None => (Purpose::Entry(self.mark.clone()), Reason::NotSetUp),
        };
        let is_perhaps_linked = coming.is_some() && self.may_be_lost(name);
        let reason = if is_perhaps_linked { Reason::PerhapsLinked } else { reason };
        let open = self.flow_of(&purpose).filter(|_| coming.is_none());
        let action = Action::SetUp {
            wanted: self.wanted(offered),
            name: name.cloned(),
            account: None,
            open: open.map(|(_, flow)| flow.id.clone()),
        };
        self.set_up(action, reason, coming, draft);
        open.map(|(at, _)| at)
    }

    /// Whether an account does not find its credential that may have been linked with this entry's: where the entry names
    /// its accounts, the one that is noted under the name, or has it as its title where none is noted.
    fn may_be_lost(&self, name: Option<&AccountName>) -> bool {
        let live = self.context.live;
        let is_of_name = |account: &ConfigEntry, name: &AccountName| {
            let mut notes = live.accounts.iter().filter(|note| note.account == account.id);
            let is_its = |note: &NotedAccount| note.mark == self.mark && note.name == *name;
            match notes.clone().next() {
                Some(_) => notes.any(is_its),
                None => name.is_called(&account.title),
            }
        };
        let lost = self.index.users_of_none(&self.entry.domain);
        lost.iter().any(|account| {
            live.missed.contains(&account.id) && name.is_none_or(|name| is_of_name(account, name))
        })
    }

    /// The same of all accounts of the entry.
    fn may_any_be_lost(&self) -> bool {
        match self.entry.integration.accounts.as_slice() {
            [] => self.may_be_lost(None),
            names => names.iter().any(|name| self.may_be_lost(Some(name))),
        }
    }

    fn set_up(
        &self,
        action: Action,
        reason: Reason,
        coming: Option<&Coming>,
        draft: &mut PlanDraft<'_>,
    ) {
        match self.context.live.no_set_up.get(&self.entry.domain) {
            Some(NoSetUp::NeedsCloud) => draft.withhold(action, Why::NeedsCloud),
            Some(NoSetUp::IgnoresClient) => draft.withhold(action, Why::IgnoresClient),
            None => {
                draft.step(action, reason, coming.map(|coming| coming.step));
            }
        }
    }

    /// A changed secret alone needs no consent: HA asks once more if it does.
    pub(super) fn link_again(
        &self,
        account: ConfigEntry,
        name: Option<&AccountName>,
        coming: Option<&Coming>,
        draft: &mut PlanDraft<'_>,
    ) -> Option<usize> {
        let asked = self.asked_again(&account);
        let client_id_differs = coming.is_some_and(|coming| coming.client_id_differs);
        let reason = match (client_id_differs, coming, asked) {
            (true, ..) => Reason::ClientIdDiffers,
            (false, None, Some(_)) => Reason::ConsentLost,
            _ => return None,
        };
        let open = asked.filter(|_| coming.is_none());
        let implementation =
            account.implementation.clone().unwrap_or_else(|| self.mark.to_smolstr());
        let action = Action::SetUp {
            wanted: self.wanted(implementation),
            name: name.cloned(),
            account: Some(account),
            open: open.map(|(_, flow)| flow.id.clone()),
        };
        self.set_up(action, reason, coming, draft);
        open.map(|(at, _)| at)
    }

    pub(super) fn wanted(&self, auth_domain: SmolStr) -> Wanted {
        Wanted::of(self.entry, auth_domain)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{
        AccountName, ClientId, ConfigEntry, Desired, Domain, FlowId, Implementation, Key, Live,
        Mark, MaxDeletes, NoSetUp, Observed, OnDelete, OpenFlow, Policy, Prune, Purpose, Secret,
        Unidentified,
    };
    use crate::plan::tests::{check, linked, planned, wanted};
    use crate::plan::{Action, Plan, SetupState, Step};

    const A: &str = "appcred:house:a";

    fn flow(id: &str, purpose: Purpose) -> OpenFlow {
        OpenFlow { id: FlowId::new(id), domain: wanted("a").domain, purpose }
    }

    fn ours(id: &str, mark: &str) -> OpenFlow {
        flow(id, Purpose::Entry(Mark::parse(mark).unwrap()))
    }

    fn again() -> OpenFlow {
        flow("f", Purpose::Again(linked(A).id))
    }

    /// `b` is linked, and HA runs.
    fn runs(observed: &mut Observed, flows: Vec<OpenFlow>) {
        observed.config_entries.push(linked("appcred:house:b"));
        observed.live = Some(Live { flows, ..Live::default() });
    }

    fn of_a(plan: &Plan) -> &SetupState {
        &plan.setup_states.iter().find(|of| of.id.key.as_str() == "a").unwrap().state
    }

    #[test]
    fn what_uses_a_client_of_its_own_is_not_set_up_for_a_credential() {
        let plan = planned(|_, observed, _| {
            runs(observed, Vec::new());
            let no_set_up = [(wanted("a").domain, NoSetUp::IgnoresClient)].into();
            observed.live = Some(Live { no_set_up, ..Live::default() });
        });
        check(&plan, &["! > a IgnoresClient"]);
    }

    #[test]
    fn what_needs_the_integration_cloud_is_not_begun_without_it() {
        let plan = planned(|_, observed, _| {
            runs(observed, Vec::new());
            observed.credentials.remove(0);
            let no_set_up = [(wanted("a").domain, NoSetUp::NeedsCloud)].into();
            observed.live = Some(Live { no_set_up, ..Live::default() });
        });
        check(&plan, &["+ a [NotObserved]", "! > a NeedsCloud"]);
        let plan = planned(|_, observed, _| {
            observed.config_entries.push(linked("appcred:house:b"));
            observed.config_entries.push(linked(A));
            let no_set_up = [(wanted("a").domain, NoSetUp::NeedsCloud)].into();
            observed.live = Some(Live { no_set_up, ..Live::default() });
        });
        check(&plan, &[]);
    }

    #[test]
    fn what_is_not_linked_is_set_up_once_its_credential_is_there() {
        let plan = planned(|_, observed, _| runs(observed, Vec::new()));
        check(&plan, &["> a [NotSetUp]"]);
        assert_eq!(*of_a(&plan), SetupState::NotSetUp);
        let plan = planned(|_, observed, _| {
            runs(observed, Vec::new());
            observed.credentials.remove(0);
        });
        check(&plan, &["+ a [NotObserved]", "> a [NotSetUp]"]);
        assert_eq!(plan.steps[1].after, Some(plan.steps[0].id));
        let plan = planned(|_, observed, _| {
            runs(observed, Vec::new());
            observed.credentials[0].auth_domain = None;
        });
        check(&plan, &["! + a foreign spotify_id_a"]);
    }

    /// Home Assistant says that an account does not find its credential, and not which that was.
    #[test]
    fn an_account_without_its_credential_may_be_that_of_an_entry_whose_credential_is_lost() {
        let plan = |accounts: &[&str], title: &str, is_lost: bool| {
            planned(|desired, observed, _| {
                let named = accounts.iter().filter_map(|name| AccountName::new(name));
                desired.credentials[0].integration.accounts = named.collect();
                desired.credentials.pop();
                observed.credentials.truncate(1);
                if is_lost {
                    observed.credentials.clear();
                }
                let account = linked("x");
                let account = ConfigEntry { implementation: None, title: title.into(), ..account };
                let missed = [account.id.clone()].into();
                observed.config_entries.push(account);
                observed.live = Some(Live { missed, ..Live::default() });
            })
        };
        check(&plan(&[], "Ann", true), &["+ a [NotObserved]", "> a [PerhapsLinked]"]);
        check(&plan(&[], "Ann", false), &["> a [NotSetUp]"]);
        let named = ["+ a [NotObserved]", "> a/Ann [PerhapsLinked]", "> a/Bob [AccountNotLinked]"];
        check(&plan(&["Ann", "Bob"], "ann", true), &named);
    }

    /// It is reloaded once it finds its credential again, also where nothing is set up.
    #[test]
    fn an_account_that_may_find_its_credential_again_is_said_where_nothing_is_set_up() {
        let plan = |accounts: &[&str], is_lost: bool, leaves: bool| {
            planned(|desired, observed, policy| {
                let named = accounts.iter().filter_map(|name| AccountName::new(name));
                desired.credentials[0].integration.accounts = named.collect();
                desired.credentials[0].integration.setup = leaves;
                policy.leave_integrations = leaves;
                desired.credentials.pop();
                observed.credentials.clear();
                let account = ConfigEntry { implementation: None, ..linked("x") };
                let missed = is_lost.then(|| account.id.clone()).into_iter().collect();
                observed.config_entries.push(account);
                observed.live = Some(Live { missed, ..Live::default() });
            })
        };
        let may_be_its = ["+ a [NotObserved, PerhapsLinked]"];
        check(&plan(&[], true, false), &may_be_its);
        check(&plan(&[], true, true), &may_be_its);
        check(&plan(&["Anna", "Bob"], true, true), &may_be_its);
        check(&plan(&["Bob"], true, true), &["+ a [NotObserved]"]);
        check(&plan(&[], false, false), &["+ a [NotObserved]"]);
    }

    #[test]
    fn who_does_not_wish_it_is_left_alone() {
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].integration.setup = false;
            runs(observed, Vec::new());
        });
        check(&plan, &[]);
        assert_eq!(*of_a(&plan), SetupState::NotWanted);
        let plan = planned(|desired, observed, policy| {
            policy.suspended.insert(desired.credentials[0].key.clone());
            runs(observed, vec![ours("f", A)]);
        });
        check(&plan, &["! > a by f Suspended"]);
        assert!(plan.setup_states.iter().all(|of| of.id.key.as_str() != "a"));
        let plan = planned(|_, observed, policy| {
            policy.leave_integrations = true;
            runs(observed, vec![ours("f", "appcred:house:b")]);
        });
        check(&plan, &[]);
    }

    #[test]
    fn an_open_flow_goes_on_and_one_left_over_is_ended() {
        let plan = planned(|_, observed, _| runs(observed, vec![ours("f", A)]));
        check(&plan, &["> a by f [NotSetUp]"]);
        assert_eq!(*of_a(&plan), SetupState::InProgress);
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].client_secret = Secret::new("s2").into();
            runs(observed, vec![ours("f", A)]);
        });
        check(
            &plan,
            &["-/+ a for spotify_id_a [SecretDiffers]", "> a [NotSetUp]", "x f [LeftOver]"],
        );
        let plan = planned(|desired, observed, policy| {
            desired.credentials[0].client_secret = Secret::new("s2").into();
            policy.protected.insert(desired.credentials[0].key.clone());
            runs(observed, vec![ours("f", A)]);
        });
        let why = "Protected { keys: {Key(\"a\")} }";
        let all = ["-/+ a for spotify_id_a", "> a", "x f"].map(|step| format!("! {step} {why}"));
        check(&plan, &all.each_ref().map(String::as_str));
        let plan = planned(|_, observed, _| {
            observed.config_entries.push(linked(A));
            let flows = ["b", "gone"].map(|key| ours(key, &format!("appcred:house:{key}")));
            let other = ours("theirs", "appcred:cabin:b");
            runs(observed, flows.into_iter().chain([other]).collect());
        });
        check(&plan, &["x b [LeftOver]", "x gone [LeftOver]"]);
    }

    /// Whatever keeps a credential from being deleted keeps its set-up as well.
    #[test]
    fn the_set_up_of_a_credential_that_is_protected_goes_on() {
        type Change = fn(&mut Desired, &mut Policy);
        let protected = |change: Change| {
            planned(|desired, observed, policy| {
                observed.live = Some(Live { flows: vec![ours("f", A)], ..Live::default() });
                observed.credentials.truncate(1);
                change(desired, policy);
            })
        };
        let flows = |plan: &Plan| {
            let is_left_over = |step: &&Step| matches!(step.action, Action::Abandon { .. });
            plan.steps.iter().filter(is_left_over).count()
        };
        let all: [Change; 6] = [
            |desired, _| desired.credentials.clear(),
            |desired, policy| {
                desired.credentials.remove(0);
                policy.prune = Prune::Nothing;
            },
            |desired, policy| {
                desired.credentials.remove(0);
                policy.max_deletes = Some(MaxDeletes::Count(0));
            },
            |desired, _| desired.credentials[0].domain = Domain::new("spotfy"),
            |desired, policy| {
                desired.credentials[0].domain = Domain::new("twitch");
                policy.prune = Prune::Nothing;
            },
            |desired, _| {
                let entry = desired.credentials.remove(0);
                let (key, domain, name) = (entry.key, entry.domain, entry.name);
                desired.unidentified.push(Unidentified { key, domain, name });
            },
        ];
        for (number, change) in all.into_iter().enumerate() {
            let plan = protected(change);
            assert_eq!(flows(&plan), 0, "{number}: {plan:?}");
        }
        // Where its credential is gone, the flow is all that is left of it.
        let without_credential = planned(|desired, observed, policy| {
            observed.live = Some(Live { flows: vec![ours("f", A)], ..Live::default() });
            observed.credentials.clear();
            all[5](desired, policy);
        });
        assert_eq!(flows(&without_credential), 0, "{without_credential:?}");
        let doubtful = planned(|desired, observed, _| {
            desired.credentials[0].key = crate::model::Key::new("c").unwrap();
            runs(observed, vec![ours("f", A)]);
            let mut second = observed.credentials[0].clone();
            second.id = crate::model::CredentialId::new("second");
            second.auth_domain = Some("appcred:house:x".into());
            observed.credentials.push(second);
        });
        check(&doubtful, &["! + c once a spotify_id_a or x second"]);
        let plan = protected(|desired, policy| {
            desired.credentials.clear();
            policy.allow_empty = true;
        });
        check(&plan, &["x f [LeftOver]", "- spotify_id_a [NotDesired]"]);
    }

    #[test]
    fn of_two_flows_of_one_entry_the_first_goes_on() {
        let plan = planned(|_, observed, _| runs(observed, vec![ours("f", A), ours("g", A)]));
        check(&plan, &["> a by f [NotSetUp]", "x g [LeftOver]"]);
    }

    #[test]
    fn ha_asking_again_is_answered_and_a_changed_client_id_makes_it_ask() {
        let asks = |observed: &mut Observed| {
            observed.config_entries.push(linked(A));
            runs(observed, vec![again()]);
        };
        let plan = planned(|_, observed, _| asks(observed));
        check(&plan, &["> a again for entry-appcred:house:a by f [ConsentLost]"]);
        assert!(matches!(of_a(&plan), SetupState::NeedsConsent));
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].client_secret = Secret::new("s2").into();
            asks(observed);
        });
        check(&plan, &["-/+ a for spotify_id_a [SecretDiffers] reload"]);
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].client_id = ClientId::new("other");
            asks(observed);
        });
        let replaced = "-/+ a for spotify_id_a [ClientIdDiffers] reload";
        check(&plan, &[replaced, "> a again for entry-appcred:house:a [ClientIdDiffers]"]);
    }

    #[test]
    fn cloud_is_what_uses_no_credential() {
        let cloud = |linked: bool| {
            planned(|desired, observed, _| {
                desired.credentials[0].integration.implementation = Implementation::Cloud;
                runs(observed, Vec::new());
                if linked {
                    let mut account = crate::plan::tests::linked(A);
                    account.implementation = None;
                    observed.config_entries.push(account);
                }
            })
        };
        check(&cloud(false), &["> a [NotSetUp]"]);
        check(&cloud(true), &[]);
        assert!(matches!(of_a(&cloud(true)), SetupState::Cloud(_)));
    }

    #[test]
    fn accounts_go_with_their_credential_where_that_is_asked_for() {
        let plan = planned(|desired, observed, policy| {
            desired.credentials.remove(1);
            observed.config_entries.push(linked(A));
            runs(observed, Vec::new());
            policy.remove_integrations = true;
        });
        check(&plan, &["- spotify_id_b with 1 [NotDesired]"]);
        let moved = |on_delete| {
            planned(|desired, observed, policy| {
                desired.credentials[1].domain = crate::model::Domain::new("twitch");
                desired.credentials[1].integration.on_delete = on_delete;
                observed.config_entries.push(linked(A));
                runs(observed, Vec::new());
                policy.leave_integrations = true;
            })
        };
        let created = "+ b [NotObserved]";
        check(&moved(OnDelete::Keep), &[created, "! - spotify_id_b in use by 1"]);
        let expected = [
            created,
            "set delete policy of b [OnDeleteDiffers]",
            "- spotify_id_b with 1 [IntegrationDiffers]",
        ];
        check(&moved(OnDelete::RemoveIntegration), &expected);
    }
    #[test]
    fn what_an_entry_said_of_its_end_is_remembered() {
        let removes = |observed: &mut Observed| {
            observed.config_entries.push(linked(A));
            runs(observed, Vec::new());
            let removed_with_entry = Mark::parse(A).into_iter().collect();
            observed.live = Some(Live { removed_with_entry, ..Live::default() });
        };
        let plan = planned(|desired, observed, _| {
            desired.credentials.remove(0);
            removes(observed);
        });
        check(&plan, &["- spotify_id_a with 1 [NotDesired]"]);
        check(
            &planned(|_, observed, _| removes(observed)),
            &["clear delete policy of a [OnDeleteDiffers]"],
        );
        let plan = planned(|desired, observed, policy| {
            desired.credentials.remove(0);
            policy.gone = Some([(Key::new("a").unwrap(), OnDelete::Keep)].into());
            removes(observed);
        });
        check(&plan, &["! - spotify_id_a in use by 1"]);
        let plan = planned(|desired, observed, _| {
            desired.credentials[0].integration.on_delete = OnDelete::RemoveIntegration;
            removes(observed);
        });
        check(&plan, &[]);
    }
}
