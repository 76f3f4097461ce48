//! Which of a target's credentials become entries, and how those are written. Pure, as the plan is.
//!
//! An entry is found by its client, so of several credentials of one client one entry is made, from
//! the one in force. Where linked accounts depend on more than one of them, none is: one entry
//! cannot be for both.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AccountName, Adopt, ClientId, Credential, Desired, Domain, Held, Key, Mark, NotedAccount,
    Observed, Owner, SecretComparison,
};

use super::accounts::names_of;
use super::index::Index;
use super::left_out::{LeftOut, WhyLeftOut};
use super::ownership::{OwnedBy, Proof};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only these integrations; all where there is none.
    pub domains: BTreeSet<Domain>,
    /// Only what nobody manages.
    pub only_foreign: bool,
    /// Also what other owners manage.
    pub other_owners: bool,
    /// Integrations that are known beside those that the target knows.
    pub custom: BTreeSet<Domain>,
    /// The keys of entries that are forgotten.
    pub forgotten: BTreeSet<Key>,
}

/// What becomes of a target's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportPlan {
    /// The entries, by integration and then in the target's order.
    pub entries: Vec<Imported>,
    /// What is asked for and left out.
    pub left_out: Vec<LeftOut>,
}

/// A new entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The credential that it is made from.
    pub of: Held,
    /// Its name; none where Home Assistant is to show the integration's.
    pub name: Option<String>,
    /// Its key, which no other entry has.
    pub key: Key,
    /// Whether it takes over what nobody manages.
    pub adopt: Adopt,
    /// Whether an account is linked, so that its integration is to be set up in another house too.
    pub is_linked: bool,
    /// The accounts that are linked, where there are several, by their titles; none where these do not
    /// distinguish them.
    pub accounts: Vec<AccountName>,
}

/// Decides what becomes of each credential that is asked for. `taken` are the keys of all entries,
/// those for other targets too.
pub fn import(
    desired: &Desired,
    observed: &Observed,
    taken: &BTreeSet<Key>,
    scope: &Scope,
) -> ImportPlan {
    let index = Index::new(desired, observed);
    let mut clients: BTreeMap<&Domain, Vec<(&ClientId, Vec<usize>)>> = BTreeMap::new();
    for (at, credential) in index.all().iter().enumerate() {
        if !scope.domains.is_empty() && !scope.domains.contains(&credential.domain) {
            continue;
        }
        let of_domain = clients.entry(&credential.domain).or_default();
        match of_domain.iter_mut().find(|(client, _)| **client == credential.client_id) {
            Some((_, group)) => group.push(at),
            None => of_domain.push((&credential.client_id, vec![at])),
        }
    }
    let mut clients_of: BTreeMap<(&Domain, Mark), BTreeSet<&ClientId>> = BTreeMap::new();
    for (at, credential) in index.all().iter().enumerate() {
        if let Some(ownership) = index.ownership(at) {
            let of = (&credential.domain, ownership.mark.clone());
            clients_of.entry(of).or_default().insert(&credential.client_id);
        }
    }
    let mut draft = ImportPlanner {
        clients_of,
        desired,
        scope,
        index: &index,
        taken: taken.clone(),
        notes: observed.live.as_ref().map(|live| &live.accounts),
        made: ImportPlan::default(),
    };
    for of_domain in clients.values() {
        let nameless = of_domain
            .iter()
            .filter(|(_, group)| group.iter().any(|at| shown_name(index.get(*at)).is_none()));
        let is_only_nameless = nameless.count() < 2;
        for (_, group) in of_domain {
            draft.client(group, is_only_nameless);
        }
    }
    draft.made
}

struct ImportPlanner<'a> {
    desired: &'a Desired,
    scope: &'a Scope,
    index: &'a Index<'a>,
    /// The clients of all that is marked or claimed for an entry.
    clients_of: BTreeMap<(&'a Domain, Mark), BTreeSet<&'a ClientId>>,
    taken: BTreeSet<Key>,
    /// Which accounts are those that entries name.
    notes: Option<&'a BTreeSet<NotedAccount>>,
    made: ImportPlan,
}

impl ImportPlanner<'_> {
    /// Decides on all credentials of one client.
    fn client(&mut self, group: &[usize], is_only_nameless: bool) {
        let is_unreadable = |at: &&usize| *self.index.owned_by(**at) == OwnedBy::Unreadable;
        let (unreadable, group): (Vec<usize>, Vec<usize>) = group.iter().partition(is_unreadable);
        unreadable.into_iter().for_each(|at| self.leave_out(at, WhyLeftOut::UnreadableMark));
        let (others, own): (Vec<usize>, Vec<usize>) =
            group.into_iter().partition(|at| self.other_owner(*at).is_some());
        let own = self.leave_out_beside_managed(own);
        let is_foreign = |at: &usize| self.index.is_nobodys(*at);
        if self.scope.only_foreign && !own.iter().all(is_foreign) {
            return;
        }
        // What another owner has claimed is in use, and cannot be somebody else's as well.
        let is_claimed = |at: &usize| match self.index.owned_by(*at) {
            OwnedBy::One(ownership) => ownership.proof == Proof::Claimed,
            owned_by => matches!(owned_by, OwnedBy::Several(_)),
        };
        let claimed = others.iter().copied().find(is_claimed).and_then(|at| self.other_owner(at));
        let takes_others = own.is_empty() && self.scope.other_owners && claimed.is_none();
        if !takes_others && !self.scope.only_foreign {
            for at in &others {
                let owner = self.other_owner(*at);
                owner.into_iter().for_each(|owner| {
                    self.leave_out(*at, WhyLeftOut::OtherOwner(owner));
                });
            }
        }
        if let Some(owner) = claimed {
            own.iter().for_each(|at| self.leave_out(*at, WhyLeftOut::OtherOwner(owner.clone())));
            return;
        }
        let forgotten = own.iter().find_map(|at| {
            let key = &self.index.ownership(*at)?.mark.key;
            self.scope.forgotten.contains(key).then(|| key.clone())
        });
        if let Some(key) = forgotten {
            own.iter().for_each(|at| self.leave_out(*at, WhyLeftOut::Forgotten(key.clone())));
            return;
        }
        let candidates = if takes_others { &others } else { &own };
        match self.choose(candidates) {
            Err(why) => candidates.iter().for_each(|at| self.leave_out(*at, why.clone())),
            Ok(None) => {}
            Ok(Some(chosen)) => {
                for at in candidates.iter().filter(|at| **at != chosen) {
                    let chosen = self.index.get(chosen).id.clone();
                    self.leave_out(*at, WhyLeftOut::SameClient(chosen));
                }
                self.enter(chosen, candidates, is_only_nameless);
            }
        }
    }

    /// Leaves out what nobody manages beside what this owner does, where no entry is made from either.
    fn leave_out_beside_managed(&mut self, own: Vec<usize>) -> Vec<usize> {
        let (foreign, managed): (Vec<usize>, Vec<usize>) =
            own.iter().copied().partition(|at| self.index.is_nobodys(*at));
        let is_claim = |at: &&usize| self.index.get(**at).claim().is_some();
        let Some(beside) = managed.iter().find(|at| !is_claim(at)).or(managed.first()) else {
            return own;
        };
        let of = self.index.get(*beside);
        let entry = self.index.entry_of_client(&of.domain, &of.client_id);
        if entry.is_none() && !self.scope.only_foreign {
            return own;
        }
        // An entry may ask for one of these by its id.
        let is_asked_for = |at: &usize| {
            let id = &self.index.get(*at).id;
            entry.is_some_and(|entry| entry.adopt == Adopt::Id(id.clone()))
        };
        let (asked_for, left): (Vec<usize>, Vec<usize>) =
            foreign.into_iter().partition(is_asked_for);
        for at in left {
            self.leave_out(at, WhyLeftOut::BesideManaged(of.id.clone()));
        }
        managed.into_iter().chain(asked_for).collect()
    }

    /// The credential that an entry is made from: the one in force, first of all where it is in use.
    fn choose(&self, candidates: &[usize]) -> Result<Option<usize>, WhyLeftOut> {
        let Some(first) = candidates.first() else { return Ok(None) };
        if let Some(why) = self.obstacle(self.index.get(*first), candidates) {
            return Err(why);
        }
        // Of several with one implementation the last is in force.
        let mut in_force: BTreeMap<&str, usize> = BTreeMap::new();
        for at in candidates {
            in_force.insert(self.index.get(*at).implementation(), *at);
        }
        let used: Vec<usize> =
            in_force.values().copied().filter(|at| self.index.is_in_use(*at)).collect();
        let secret = |at: &usize| &self.index.get(*at).client_secret;
        let differ =
            |pair: &[usize]| secret(&pair[0]).compare(secret(&pair[1])) != SecretComparison::Same;
        if used.windows(2).any(differ) {
            return Err(WhyLeftOut::SeveralInUse);
        }
        let all = || in_force.values().copied();
        // A claim that no account uses says nothing alone.
        let is_idle =
            |at: &usize| self.index.get(*at).claim().is_some() && !self.index.is_in_use(*at);
        let managed = |at: &usize| self.index.ownership(*at).is_some() && !is_idle(at);
        let chosen = used
            .iter()
            .copied()
            .max()
            .or(all().filter(managed).max())
            .or(all().filter(|at| !is_idle(at)).max())
            .or(all().max());
        // What belongs to an entry for another client blocks none.
        let by_hand = candidates.iter().any(|at| self.index.is_nobodys(*at));
        let of = chosen.filter(|_| by_hand).and_then(|at| self.index.ownership(at));
        let is_key = |key: &Key| {
            let mut entries = self.desired.credentials.iter();
            entries.any(|entry| entry.key == *key || entry.formerly.contains(key))
        };
        if let Some(of) = of.filter(|of| of.mark.owner == self.desired.owner)
            && is_key(&of.mark.key)
        {
            return Err(WhyLeftOut::Declared(of.mark.key.clone()));
        }
        // Which of those is meant could not be said.
        let is_beside = |at: &&usize| {
            let name = |at: usize| self.index.get(at).implementation();
            self.index.is_nobodys(**at)
                && !self.index.is_referenced_by_id(self.index.get(**at))
                && chosen.is_some_and(|chosen| name(chosen) == name(**at))
        };
        if chosen.is_some_and(|at| self.index.is_nobodys(at))
            && candidates.iter().filter(is_beside).count() > 1
        {
            return Err(WhyLeftOut::SharedByHand);
        }
        let has_secret = |at: &usize| secret(at).clear().is_some_and(|it| !it.expose().is_empty());
        if !chosen.iter().all(has_secret) {
            return Err(WhyLeftOut::NoSecret);
        }
        Ok(chosen)
    }

    /// What keeps a client from being imported, whichever of its credentials is chosen.
    fn obstacle(
        &self,
        first: &crate::model::Credential,
        candidates: &[usize],
    ) -> Option<WhyLeftOut> {
        if let Some(entry) = self.index.entry_of_client(&first.domain, &first.client_id) {
            return Some(WhyLeftOut::Declared(entry.key.clone()));
        }
        if !self.index.knows(&first.domain) && !self.scope.custom.contains(&first.domain) {
            return Some(WhyLeftOut::UnknownIntegration);
        }
        // What is claimed can be distinguished, unless accounts find another client's by the text.
        let shares_name = |at: &usize| {
            let of = self.index.get(*at);
            let is_claimed = self.index.ownership(*at).is_some_and(|it| it.proof == Proof::Claimed);
            let in_force = self.index.implementing(&of.domain, of.implementation()).last();
            let is_in_force =
                in_force.is_some_and(|at| self.index.get(*at).client_id == of.client_id);
            let is_used = self.index.is_used(&of.domain, of.implementation());
            // An account that names its id, so that it stays, finds another client's by that.
            let named = self.index.implementing(&of.domain, of.id.as_str());
            let id_is_others = self.index.is_nobodys(*at)
                && self.index.is_referenced_by_id(of)
                && named.iter().any(|at| self.index.get(*at).client_id != of.client_id);
            id_is_others || self.index.shares_name(of) && !(is_claimed && (is_in_force || !is_used))
        };
        if candidates.iter().any(shares_name) {
            return Some(WhyLeftOut::SharedName);
        }
        None
    }

    fn enter(&mut self, at: usize, of_client: &[usize], is_only_nameless: bool) {
        let credential = self.index.get(at);
        let shown = shown_name(credential).filter(|name| *name != credential.domain.as_str());
        let key = self.key(at, shown);
        // Several without a name would all be shown as the integration.
        let is_alone = is_only_nameless || key.as_str() == credential.domain.as_str();
        let name = shown.or_else(|| (!is_alone).then(|| key.as_str())).map(str::to_owned);
        let own = of_client.iter().filter_map(|at| self.index.ownership(*at));
        let own = own.filter(|ownership| ownership.mark.owner == self.desired.owner);
        let own: BTreeSet<&Key> = own.map(|ownership| &ownership.mark.key).collect();
        if own.len() > 1 && !own.contains(&key) {
            of_client.iter().for_each(|at| self.leave_out(*at, WhyLeftOut::SeveralKeys));
            return;
        }
        self.taken.insert(key.clone());
        let adopt = match of_client {
            _ if !self.index.is_nobodys(at) => Adopt::No,
            [_] => Adopt::Only,
            _ => Adopt::Id(credential.id.clone()),
        };
        let is_other_owners = self.other_owner(at).is_some();
        let users = self.index.users(&credential.domain, credential.implementation());
        self.made.entries.push(Imported {
            of: credential.held(),
            name,
            key,
            adopt,
            // An account stays linked with the credential of the other owner.
            is_linked: self.index.is_in_use(at) && !is_other_owners,
            accounts: if is_other_owners {
                Vec::new()
            } else {
                names_of(&users, &self.desired.owner, self.notes)
            },
        });
    }

    /// The key of its mark, or one made from its name; with the integration or a number where that
    /// is taken.
    fn key(&self, at: usize, name: Option<&str>) -> Key {
        let marked = self.index.ownership(at).map(|ownership| ownership.mark.key.clone());
        let domain = self.index.get(at).domain.as_str();
        let named = Key::of_name(name.unwrap_or(domain));
        let longer = named.as_ref().and_then(|key| match name {
            Some(_) => Key::new(&format!("{domain}-{key}")),
            None => Some(key.clone()),
        });
        let free = |key: &Key| !self.taken.contains(key) && !self.is_of_another(at, key);
        let stem = longer.as_ref().map_or(domain, Key::as_str).to_owned();
        if let Some(key) = [marked, named, longer].into_iter().flatten().find(free) {
            return key;
        }
        let mut number = 1_u64;
        loop {
            number += 1;
            // The name may be too long for more.
            let numbered = Key::new(&format!("{stem}-{number}"));
            let key = numbered.or_else(|| Key::new(&format!("key-{number}"))).filter(free);
            if let Some(key) = key {
                return key;
            }
        }
    }

    /// Whether the target says of a credential of another client, or of none that is there, that it
    /// is of the entry with this key, or has the mark that this entry would need.
    fn is_of_another(&self, at: usize, key: &Key) -> bool {
        let mark = self.desired.mark(key);
        let credential = self.index.get(at);
        let text = mark.to_string();
        let is_other = |client: &&ClientId| **client != credential.client_id;
        // An entry or owner with another name may have claimed it.
        let has_other = |at: &usize| is_other(&&self.index.get(*at).client_id);
        let clients = self.clients_of.get(&(&credential.domain, mark.clone()));
        // What another owner made is not made again under its key.
        let of_client = self.index.of_client(&credential.domain, &credential.client_id);
        let is_same_entry = |at: &usize| {
            let of_key = self.index.ownership(*at).is_some_and(|of| of.mark.key == *key);
            of_key && self.other_owner(*at).is_some()
        };
        clients.is_some_and(|clients| clients.iter().any(is_other))
            || of_client.iter().any(is_same_entry)
            || self.index.claims(&credential.domain, &text, &credential.client_id).next().is_some()
            || self.index.implementing(&credential.domain, &text).iter().any(has_other)
    }

    fn other_owner(&self, at: usize) -> Option<Owner> {
        let mut owners = self.index.owned_by(at).marks().map(|mark| &mark.owner);
        owners.find(|owner| *self.desired.present_name(owner) != self.desired.owner).cloned()
    }

    fn leave_out(&mut self, at: usize, why: WhyLeftOut) {
        self.made.left_out.push(LeftOut { of: self.index.get(at).held(), why });
    }
}

/// What Home Assistant shows, where it is more than the client id.
fn shown_name(credential: &Credential) -> Option<&str> {
    credential.name.as_deref().filter(|name| !name.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ImportPlan, LeftOut, Scope, import, names_of};
    use crate::model::{
        AccountName, Adopt, ConfigEntry, Credential, CredentialId, Desired, Domain, EntryId, Key,
        Mark, NotedAccount, Observed, Owner, Secret,
    };
    use crate::plan::tests::{held, linked, observing, wanted};

    /// Titles may change, and what is noted stays.
    #[test]
    fn several_accounts_are_named_as_is_noted_and_else_by_their_titles() {
        let account = |id: &str, title: &str| ConfigEntry {
            id: EntryId::new(id),
            title: title.into(),
            ..linked("appcred:house:a")
        };
        let note = |owner: &str| NotedAccount {
            mark: Mark { owner: Owner::new(owner).unwrap(), key: Key::new("a").unwrap() },
            name: AccountName::new("Bob").unwrap(),
            account: EntryId::new("1"),
        };
        let accounts = [account("1", "Robert"), account("2", "Ann")];
        let named = |owner: &str| {
            let notes = BTreeSet::from([note(owner)]);
            let names = names_of(&accounts, &Owner::new("house").unwrap(), Some(&notes));
            names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named("house"), ["Bob", "Ann"]);
        assert_eq!(named("cabin"), ["Robert", "Ann"]);
    }

    /// What is found where there are no entries: `domain name as key`, then what is left out.
    fn imported(credentials: Vec<Credential>, users: &[&str], scope: &Scope) -> Vec<String> {
        let desired = Desired::example(Vec::new());
        let config_entries = users.iter().map(|user| linked(user)).collect();
        let observed = Observed { config_entries, ..observing(credentials) };
        let taken = BTreeSet::from([Key::new("taken").unwrap()]);
        let ImportPlan { entries, left_out } = import(&desired, &observed, &taken, scope);
        let entry = |entry: super::Imported| {
            let marks = [(entry.adopt != Adopt::No, " adopt"), (entry.is_linked, " linked")];
            let marks: String =
                marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
            format!("{} {:?} as {}{marks}", entry.of.id, entry.name.as_deref(), entry.key)
        };
        let left = |left: super::LeftOut| format!("! {} {:?}", left.of.id, left.why);
        entries.into_iter().map(entry).chain(left_out.into_iter().map(left)).collect()
    }

    fn named(id: &str, client: &str, name: Option<&str>, auth_domain: Option<&str>) -> Credential {
        let made = held(id, &wanted(client), auth_domain);
        Credential { name: name.map(Into::into), ..made }
    }

    #[test]
    fn keys_are_unique_whatever_names_are() {
        let long = "x".repeat(200);
        let names = ["Family", "Family", "Family", "Taken", "???", &long, "Ünïcode 42"];
        let made = names
            .iter()
            .enumerate()
            .map(|(at, name)| named(&format!("id{at}"), &format!("c{at}"), Some(name), None));
        let keys: Vec<_> = imported(made.collect(), &[], &Scope::default())
            .iter()
            .map(|line| line.split(" as ").nth(1).unwrap().replace(" adopt", ""))
            .collect();
        assert_eq!(
            keys,
            [
                "family",
                "spotify-family",
                "spotify-family-2",
                "spotify-taken",
                "spotify-2",
                "spotify-3",
                "unicode-42"
            ]
        );
    }

    /// The plan could not make that right, as it is not known whose the account is.
    #[test]
    fn what_is_claimed_is_left_where_accounts_find_another_client_by_its_text() {
        let claim = named("claim", "a", None, Some("appcred:house:k:shared"));
        let (claimed, other) = (
            named("claimed", "a", None, Some("shared")),
            named("other", "b", None, Some("shared")),
        );
        let lines = |all: &[&Credential], users| {
            let all = all.iter().map(|held| (*held).clone()).collect();
            imported(all, users, &Scope::default())
        };
        let left = "! other SharedName";
        let is_left = |lines: &[String]| lines.contains(&"! claimed SharedName".to_owned());
        let in_the_way = lines(&[&claim, &claimed, &other], &["shared"]);
        assert!(is_left(&in_the_way) && in_the_way.contains(&left.to_owned()), "{in_the_way:?}");
        for (all, users) in
            [([&claim, &other, &claimed], &["shared"][..]), ([&claim, &claimed, &other], &[])]
        {
            let lines = lines(&all, users);
            assert!(!is_left(&lines), "{lines:?}");
        }
    }

    /// Home Assistant keeps it, for an account that finds another client by its id.
    #[test]
    fn what_has_the_id_that_another_client_is_found_by_is_left_out() {
        let all = vec![
            named("mine", "one", None, None),
            named("named", "one", None, Some("other")),
            named("found", "two", None, Some("named")),
        ];
        let lines = imported(all, &["named"], &Scope::default());
        assert_eq!(
            lines,
            ["found None as spotify adopt linked", "! mine SharedName", "! named SharedName"]
        );
    }

    #[test]
    fn one_without_a_name_gets_none_and_of_several_each_is_shown_by_its_key() {
        let one = |id: &str| named(id, id, None, None);
        let scope = Scope::default();
        assert_eq!(imported(vec![one("a")], &[], &scope), ["a None as spotify adopt"]);
        assert_eq!(
            imported(vec![one("a"), one("b")], &[], &scope),
            ["a None as spotify adopt", "b Some(\"spotify-2\") as spotify-2 adopt"]
        );
    }

    #[test]
    fn an_entry_is_made_from_what_is_in_use() {
        let two = || vec![named("a", "c", Some("A"), None), named("b", "c", Some("B"), None)];
        let scope = Scope::default();
        assert_eq!(
            imported(two(), &["a"], &scope),
            [r#"a Some("A") as a adopt linked"#, r#"! b SameClient(CredentialId("a"))"#]
        );
        assert_eq!(imported(two(), &[], &scope)[0], r#"b Some("B") as b adopt"#);
        let mut differing = two();
        differing[1].client_secret = Secret::new("other").into();
        assert_eq!(
            imported(differing, &["a", "b"], &scope),
            ["! a SeveralInUse", "! b SeveralInUse"]
        );
    }

    #[test]
    fn what_is_managed_is_taken_as_far_as_that_is_asked_for() {
        let all = || {
            vec![
                named("ours", "a", Some("A"), Some("appcred:house:lost")),
                named("theirs", "b", Some("B"), Some("appcred:cabin:b")),
                named("yaml", "c", Some("C"), Some("spotify")),
            ]
        };
        let users = ["appcred:cabin:b", "spotify"];
        let scope = Scope::default();
        assert_eq!(
            imported(all(), &users, &scope),
            [
                r#"ours Some("A") as lost"#,
                r#"yaml Some("C") as c adopt linked"#,
                r#"! theirs OtherOwner(Owner("cabin"))"#
            ]
        );
        let others = Scope { other_owners: true, ..Scope::default() };
        assert_eq!(imported(all(), &users, &others)[1], r#"theirs Some("B") as spotify-b"#);
        let foreign = Scope { only_foreign: true, ..Scope::default() };
        assert_eq!(imported(all(), &users, &foreign), [r#"yaml Some("C") as c adopt linked"#]);
        let elsewhere = Scope { domains: [Domain::new("netatmo")].into(), ..Scope::default() };
        assert_eq!(imported(all(), &users, &elsewhere), [""; 0]);
    }

    /// Under the key `k4` the second would want the text that the account of the first names.
    #[test]
    fn a_key_whose_mark_another_client_carries_is_not_given() {
        let two = |id: &str, text: &str| named(id, "two", None, Some(text));
        let all = vec![
            named("first", "one", None, Some("appcred:house:k4")),
            named("its_claim", "one", None, Some("appcred:house:k1:appcred:house:k4")),
            two("second", "appcred:house:k4:appcred:house:k1"),
        ];
        let [first, second, ..] = &imported(all, &["appcred:house:k4"], &Scope::default())[..]
        else {
            panic!("two entries are made")
        };
        assert_eq!(first, r#"first Some("k1") as k1 linked"#);
        assert_eq!(second, r#"second None as spotify"#);
    }

    #[test]
    fn what_no_entry_could_be_for_is_left_out() {
        let mut lost = named("lost", "a", None, None);
        lost.domain = Domain::new("gone");
        let mut empty = named("empty", "b", None, None);
        empty.client_secret = Secret::new("").into();
        let imported = imported(vec![lost, empty], &[], &Scope::default());
        assert_eq!(imported, ["! lost UnknownIntegration", "! empty NoSecret"]);
    }

    #[test]
    fn what_nobody_manages_beside_what_an_entry_has_is_left_out_with_a_reason() {
        let left_out = |with_entry: bool, adopt: Adopt, only_foreign: bool| {
            let mut entry = wanted("a");
            entry.adopt = adopt;
            let desired = crate::plan::tests::desired(
                with_entry.then(|| entry.clone()).into_iter().collect(),
            );
            let ours = held("ours", &entry, Some("appcred:house:a"));
            let by_hand = held("by_hand", &entry, None);
            let scope = Scope { only_foreign, ..Scope::default() };
            let found = import(&desired, &observing(vec![ours, by_hand]), &BTreeSet::new(), &scope);
            let line = |left: LeftOut| format!("{} {:?}", left.of.id, left.why);
            found.left_out.into_iter().map(line).collect::<Vec<_>>()
        };
        let beside = "by_hand BesideManaged(CredentialId(\"ours\"))";
        let declared = |id: &str| format!("{id} Declared(Key(\"a\"))");
        assert_eq!(left_out(true, Adopt::Only, true), [beside]);
        assert_eq!(left_out(false, Adopt::No, true), [beside]);
        assert_eq!(left_out(true, Adopt::Only, false), [beside.to_owned(), declared("ours")]);
        let asked_for = Adopt::Id(CredentialId::new("by_hand"));
        let both = [declared("ours"), declared("by_hand")];
        assert_eq!(left_out(true, asked_for, false), both);
    }
}
