//! Which Leases a replica takes, renews and hands over, by what it sees of all of them. Nothing is asked or written here.
//!
//! Each shard has a Lease. All replicas look at all of them, and each takes what is free until it has its share: as many
//! shards as there would be for each of the replicas that hold some or ask for some. Who has two fewer than another one asks
//! that one for a shard, by an annotation of its Lease, and that one hands it over.
//!
//! The first Lease says how many shards there are, and the others are in force only as long as it has the same number. So
//! where that changes, its holder writes first that nobody's number is right, and waits until all have seen that.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt;

use super::replicas::LeaseSettings;

/// An annotation of the first Lease: how many shards there are.
const SHARDS: &str = "appcred.io/shards";
/// What it says while that changes.
const CHANGING: &str = "changing";
/// An annotation of a Lease: which replica asks for it.
const WANTED_BY: &str = "appcred.io/wanted-by";

/// The Leases, by shard.
pub(super) type Leases = BTreeMap<usize, Lease>;

/// What a replica knows of all Leases.
pub(super) struct Election {
    settings: LeaseSettings,
    /// What no other replica is called.
    identity: String,
    /// The Leases of other replicas, as they were seen last, by shard.
    seen: Vec<Option<SeenLease>>,
    /// What this replica waits for while the number of shards changes.
    changing: Option<NumberChange>,
}

/// A change of the number of shards, which the first Lease says.
#[derive(Clone, Copy)]
struct NumberChange {
    /// Since when; once it is written, since that.
    since: Duration,
    is_written: bool,
    /// How long whoever acts by another number may do so.
    lasts: Duration,
}

/// The Lease of another replica.
struct SeenLease {
    holder: String,
    /// Who has renewed it, and when; none where it is not there any more.
    version: Option<String>,
    /// Since when it is so.
    since: Duration,
    lasts: Duration,
}

/// What the replica has of a shard already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeldShard {
    /// Whether its term is on.
    pub(super) is_on: bool,
    /// Whether its Lease would be renewed too late at the next look.
    pub(super) is_due: bool,
    /// Whether it was said that it is handed over.
    pub(super) is_leaving: bool,
}

/// What becomes of a shard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LeaseStep {
    /// Its Lease is created or written so, and then it is this replica's.
    Take(Box<Lease>),
    /// The same, and the replica does not act by it yet, for this reason.
    Reserve(Box<Lease>, String),
    /// It is this replica's, and its Lease was renewed just before.
    Keep,
    /// The same, and another replica asks for it.
    Leave,
    /// Its Lease is written so, and then it is that replica's.
    HandOver(Box<Lease>, String),
    /// It is that replica's.
    Other(String),
    /// It is that replica's, and asked for by writing its Lease so.
    Ask(Box<Lease>, String),
    /// It is nobody's here, for this reason.
    Nobody(String),
}

impl LeaseStep {
    /// As what the Lease is written.
    pub(super) fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Take(lease)
            | Self::Reserve(lease, _)
            | Self::HandOver(lease, _)
            | Self::Ask(lease, _) => Some(lease),
            Self::Keep | Self::Leave | Self::Other(_) | Self::Nobody(_) => None,
        }
    }
}

/// Whose a Lease is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    Ours,
    Other(String),
    Free,
    /// There is none, and somebody may have had it.
    Missing,
}

impl Election {
    pub(super) fn new(settings: LeaseSettings) -> Self {
        Self {
            identity: format!("{}_{:016x}", settings.host, fastrand::u64(..)),
            seen: (0..settings.shards).map(|_| None).collect(),
            settings,
            changing: None,
        }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// The Leases could not be read: there may have been one since it was seen that there is none.
    pub(super) fn not_read(&mut self, now: Duration) {
        for seen in self.seen.iter_mut().flatten() {
            if seen.version.is_none() {
                seen.since = now;
            }
        }
    }

    /// It was written that the number of shards changes.
    pub(super) fn reserved(&mut self, now: Duration) {
        if let Some(change) = self.changing.as_mut().filter(|change| !change.is_written) {
            (change.since, change.is_written) = (now, true);
        }
    }

    /// What becomes of each shard. A replica that ends takes none that it does not have.
    pub(super) fn steps(
        &mut self,
        leases: &Leases,
        held: &[HeldShard],
        (now, time): (Duration, Timestamp),
        ends: bool,
    ) -> Vec<LeaseStep> {
        let shards = self.settings.shards;
        let holders: Vec<Holder> = (0..shards)
            .map(|shard| self.holder(shard, leases.get(&shard), held[shard].is_on, now))
            .collect();
        let ending = || LeaseStep::Nobody("this replica ends".to_owned());
        if let Some(steps) = self.disagreement(leases, &holders, (now, time)) {
            return if ends { vec![ending(); shards] } else { steps };
        }
        let mut counts = self.counts(leases, &holders);
        let most = shards.div_ceil(counts.len());
        // Not all begin with the same one.
        let first = usize::try_from(fastrand::u64(..)).unwrap_or_default() % shards;
        let mut steps: Vec<Option<LeaseStep>> = vec![None; shards];
        let mut takes_some = false;
        for shard in (first..shards).chain(0..first) {
            let lease = leases.get(&shard);
            let step = match &holders[shard] {
                Holder::Ours => self.own(shard, lease, held[shard], time),
                Holder::Free if ends => ending(),
                Holder::Free if counts[&self.identity] < most => {
                    *counts.entry(self.identity.clone()).or_default() += 1;
                    takes_some = true;
                    LeaseStep::Take(self.taken(shard, lease, time))
                }
                Holder::Free => {
                    LeaseStep::Nobody("it is left to a replica that has fewer shards".to_owned())
                }
                Holder::Missing => LeaseStep::Nobody(self.settings.missing()),
                Holder::Other(other) => LeaseStep::Other(other.clone()),
            };
            steps[shard] = Some(step);
        }
        if !takes_some && !ends {
            self.ask(leases, &counts, &mut steps, now);
        }
        steps.into_iter().flatten().collect()
    }

    /// Whose a Lease is.
    fn holder(
        &mut self,
        shard: usize,
        lease: Option<&Lease>,
        is_on: bool,
        now: Duration,
    ) -> Holder {
        let Some(lease) = lease else {
            // Within a term of this replica nobody else acts: who comes then waits.
            if is_on {
                return Holder::Free;
            }
            let seen = self.seen[shard].as_ref().map(|of| (of.holder.clone(), of.lasts));
            let (holder, lasts) = seen.unwrap_or((String::new(), self.settings.duration));
            let is_waited_for = self.is_waited_for(shard, (&holder, None, lasts), now);
            return if is_waited_for { Holder::Missing } else { Holder::Free };
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_ref());
        match spec.zip(holder.filter(|holder| !holder.is_empty())) {
            Some((_, holder)) if *holder == self.identity => {
                self.seen[shard] = None;
                Holder::Ours
            }
            None => {
                self.seen[shard] = None;
                Holder::Free
            }
            Some((spec, holder)) => {
                // Not the version: who asks for it writes it as well.
                let renewed = spec.renew_time.as_ref().map(|time| time.0.to_string());
                let version = Some(format!("{holder} {}", renewed.unwrap_or_default()));
                // Who is to act for longer than this one is waited for.
                let lasts = self.lasts(spec);
                match self.is_waited_for(shard, (holder, version, lasts), now) {
                    true => Holder::Other(holder.clone()),
                    false => Holder::Free,
                }
            }
        }
    }

    fn lasts(&self, spec: &LeaseSpec) -> Duration {
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.settings.duration, Duration::from_secs).max(self.settings.duration)
    }

    /// Whether a Lease was not seen unchanged for its duration.
    fn is_waited_for(
        &mut self,
        shard: usize,
        (holder, version, lasts): (&str, Option<String>, Duration),
        now: Duration,
    ) -> bool {
        let since = match &self.seen[shard] {
            Some(seen) if seen.version == version => seen.since,
            _ => now,
        };
        self.seen[shard] = Some(SeenLease { holder: holder.to_owned(), version, since, lasts });
        now.saturating_sub(since) < lasts
    }

    /// What is done where the first Lease has another number of shards; none where it has this replica's.
    fn disagreement(
        &mut self,
        leases: &Leases,
        holders: &[Holder],
        (now, time): (Duration, Timestamp),
    ) -> Option<Vec<LeaseStep>> {
        let shards = self.settings.shards;
        let first = leases.get(&0);
        // Without the annotation there is one.
        let number = first.map(|first| first.annotations().get(SHARDS).map_or("1", String::as_str));
        let all = |why: &str| vec![LeaseStep::Nobody(why.to_owned()); shards];
        let but_first = |why: &str, first| {
            let mut steps = all(why);
            steps[0] = first;
            Some(steps)
        };
        let number = match (number, &holders[0]) {
            (None, Holder::Free) => {
                let first = LeaseStep::Take(self.taken(0, None, time));
                return but_first("the Lease of the first shard must be there before", first);
            }
            (None, _) => return Some(all(&self.settings.missing())),
            (Some(number), _) if number == shards.to_string() => return None,
            (Some(number), _) => number,
        };
        if let Holder::Other(other) = &holders[0] {
            return Some(all(&format!(
                "the Lease of the replica {other} says that the number of shards is {number}, and this one has --shards {shards}: give all replicas the same one, or wait until that one has ended"
            )));
        }
        let lasts = self.lasts(&first.and_then(|first| first.spec.clone()).unwrap_or_default());
        let NumberChange { since, is_written, lasts } = match self.changing {
            Some(change) if number == CHANGING && holders[0] == Holder::Ours => change,
            _ => *self.changing.insert(NumberChange { since: now, is_written: false, lasts }),
        };
        let mut lease = self.taken(0, first, time);
        if is_written && now.saturating_sub(since) >= lasts {
            self.changing = None;
            return but_first("the number of shards has just changed", LeaseStep::Take(lease));
        }
        lease.annotations_mut().insert(SHARDS.to_owned(), CHANGING.to_owned());
        // Whoever goes on with that waits as long.
        let seconds = lasts.as_secs();
        lease.spec.get_or_insert_default().lease_duration_seconds = i32::try_from(seconds).ok();
        let why = format!(
            "the number of shards changes to {shards}: whoever acts by another one may do so for {seconds} seconds still"
        );
        but_first(&why.clone(), LeaseStep::Reserve(lease, why))
    }

    /// How many shards each replica has, once all is handed over that is asked for; this one is always among them.
    fn counts(&self, leases: &Leases, holders: &[Holder]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::from([(self.identity.clone(), 0)]);
        for (shard, holder) in holders.iter().enumerate() {
            let holder = match holder {
                Holder::Ours => &self.identity,
                Holder::Other(other) => other,
                Holder::Free | Holder::Missing => continue,
            };
            let wanted_by = leases.get(&shard).and_then(|lease| lease.annotations().get(WANTED_BY));
            *counts.entry(wanted_by.unwrap_or(holder).clone()).or_default() += 1;
        }
        counts
    }

    fn own(
        &self,
        shard: usize,
        lease: Option<&Lease>,
        held: HeldShard,
        time: Timestamp,
    ) -> LeaseStep {
        let wanted_by = lease.and_then(|lease| lease.annotations().get(WANTED_BY));
        match wanted_by.filter(|by| **by != self.identity) {
            // One round passes in between, in which what was begun ends.
            Some(by) if held.is_leaving || !held.is_on => {
                let mut lease = self.taken(shard, lease, time);
                let spec = lease.spec.get_or_insert_default();
                spec.holder_identity = Some(by.clone());
                spec.acquire_time.clone_from(&spec.renew_time);
                spec.lease_transitions = spec.lease_transitions.map(|number| number + 1);
                LeaseStep::HandOver(lease, by.clone())
            }
            Some(_) => LeaseStep::Leave,
            None if held.is_on && !held.is_due => LeaseStep::Keep,
            None => LeaseStep::Take(self.taken(shard, lease, time)),
        }
    }

    /// Asks for a shard of one that has at least two more than this one.
    fn ask(
        &self,
        leases: &Leases,
        counts: &BTreeMap<String, usize>,
        steps: &mut [Option<LeaseStep>],
        now: Duration,
    ) {
        for (shard, step) in steps.iter_mut().enumerate() {
            let Some(LeaseStep::Other(other)) = step else { continue };
            let Some(lease) = leases.get(&shard) else { continue };
            let is_asked_for = lease.annotations().contains_key(WANTED_BY);
            // Who does not renew it may be gone, and would hand nothing over.
            let is_late = |seen: &SeenLease| now.saturating_sub(seen.since) > seen.lasts * 2 / 3;
            let (ours, theirs) = (counts[&self.identity], counts.get(other.as_str()).copied());
            let has_more = theirs.is_some_and(|theirs| theirs >= ours + 2);
            if !has_more || is_asked_for || self.seen[shard].as_ref().is_some_and(is_late) {
                continue;
            }
            let mut lease = lease.clone();
            lease.annotations_mut().insert(WANTED_BY.to_owned(), self.identity.clone());
            *step = Some(LeaseStep::Ask(Box::new(lease), other.clone()));
            // One at a time: who asks may be gone soon, and then nobody acts for what it was given.
            return;
        }
    }

    /// The Lease of this replica, after that of another one or an earlier one of its own.
    fn taken(&self, shard: usize, before: Option<&Lease>, time: Timestamp) -> Box<Lease> {
        let new = || Lease {
            metadata: ObjectMeta { name: Some(self.settings.name(shard)), ..ObjectMeta::default() },
            spec: None,
        };
        let mut lease = before.cloned().unwrap_or_else(new);
        let now = MicroTime(time);
        let before = lease.spec.take().unwrap_or_default();
        let is_ours = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.duration.as_secs()).ok(),
            acquire_time: before.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions.saturating_add(i32::from(!is_ours))),
            ..before
        });
        let annotations = lease.annotations_mut();
        annotations.remove(WANTED_BY);
        if shard == 0 {
            annotations.insert(SHARDS.to_owned(), self.settings.shards.to_string());
        }
        Box::new(lease)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use kube::ResourceExt;

    use super::super::replicas::LeaseSettings;
    use super::{CHANGING, Election, HeldShard, LeaseStep, Leases, SHARDS, WANTED_BY};

    const LASTS: Duration = Duration::from_secs(15);

    fn election(shards: usize) -> Election {
        let settings =
            LeaseSettings { namespace: "ns".into(), duration: LASTS, host: "pod".into(), shards };
        Election::new(settings)
    }

    fn lease(holder: &str, version: i64, seconds: i32) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.to_string());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(seconds),
            renew_time: Some(MicroTime(Timestamp::from_second(version).unwrap())),
            ..LeaseSpec::default()
        });
        lease
    }

    fn seconds(of: u64) -> Duration {
        Duration::from_secs(1000 + of)
    }

    fn steps(of: &mut Election, leases: &Leases, held: &[HeldShard], at: u64) -> Vec<LeaseStep> {
        let time = Timestamp::from_second(i64::try_from(at).unwrap()).unwrap();
        of.steps(leases, held, (seconds(at), time), false)
    }

    const ON: HeldShard = HeldShard { is_on: true, is_due: true, is_leaving: false };

    /// What becomes of the only shard, which is not this replica's yet.
    fn only(of: &mut Election, lease: Option<Lease>, at: u64) -> LeaseStep {
        let leases = lease.into_iter().map(|lease| (0, lease)).collect();
        steps(of, &leases, &[HeldShard::default()], at).remove(0)
    }

    fn is_taken(step: &LeaseStep) -> bool {
        matches!(step, LeaseStep::Take(_))
    }

    #[test]
    fn a_lease_is_over_once_it_was_seen_unchanged_for_its_duration() {
        let mut of = election(1);
        let somebody = LeaseStep::Other("b".to_owned());
        let b = |version| Some(lease("b", version, 15));
        assert_eq!(only(&mut of, b(1), 0), somebody, "however long ago it says it was renewed");
        assert_eq!(only(&mut of, b(1), 14), somebody);
        assert_eq!(only(&mut of, b(2), 16), somebody, "it was renewed");
        assert!(is_taken(&only(&mut of, b(2), 31)));
        assert!(is_taken(&only(&mut of, Some(lease("", 3, 15)), 31)), "it was given back");
        let own = of.identity().to_owned();
        assert!(is_taken(&only(&mut of, Some(lease(&own, 4, 15)), 31)));
        assert_eq!(only(&mut of, Some(lease("b", 5, 60)), 40), somebody);
        assert_eq!(only(&mut of, Some(lease("b", 5, 60)), 70), somebody, "it acts for longer");
    }

    #[test]
    fn a_replica_that_ends_takes_and_asks_for_nothing_and_keeps_what_it_has() {
        let mut of = election(3);
        let own = of.identity().to_owned();
        let mut leases: Leases = [(0, lease(&own, 1, 15)), (1, lease("", 1, 15))].into();
        leases.insert(2, lease("b", 1, 15));
        leases.get_mut(&0).unwrap().annotations_mut().insert(SHARDS.to_owned(), "3".to_owned());
        let held = [ON, HeldShard::default(), HeldShard::default()];
        let mut steps = |leases: &Leases, ends| {
            of.steps(leases, &held, (seconds(0), Timestamp::UNIX_EPOCH), ends)
        };
        assert!(is_taken(&steps(&leases, false)[1]));
        let all = steps(&leases, true);
        assert!(is_taken(&all[0]), "what is in flight ends in its term");
        assert!(matches!(&all[1..], [LeaseStep::Nobody(_), LeaseStep::Other(_)]), "{all:?}");
        // Nor does it ask another one that has more, or change the number of shards.
        (0..3).for_each(|shard| drop(leases.insert(shard, lease("b", 1, 15))));
        leases.get_mut(&0).unwrap().annotations_mut().insert(SHARDS.to_owned(), "3".to_owned());
        assert!(steps(&leases, false).iter().any(|step| matches!(step, LeaseStep::Ask(..))));
        assert!(steps(&leases, true).iter().all(|step| step.lease().is_none()));
        leases.insert(0, lease("", 1, 15));
        assert!(matches!(steps(&leases, false)[0], LeaseStep::Reserve(..)));
        assert!(steps(&leases, true).iter().all(|step| step.lease().is_none()));
    }

    #[test]
    fn a_lease_that_somebody_deletes_is_taken_once_its_holder_has_stopped() {
        let mut of = election(1);
        let is_waited_for = |of: &mut Election, at| matches!(only(of, None, at), LeaseStep::Nobody(why) if why.contains("there is no Lease"));
        assert!(is_waited_for(&mut of, 0), "somebody may have had one whom nobody here has seen");
        assert!(is_waited_for(&mut of, 14));
        assert!(!is_waited_for(&mut of, 15));
        only(&mut of, Some(lease("b", 1, 60)), 20);
        assert!(is_waited_for(&mut of, 90), "it was renewed just before, maybe");
        assert!(is_waited_for(&mut of, 149), "that one acts for longer");
        assert!(!is_waited_for(&mut of, 150));
        of.not_read(seconds(150));
        assert!(is_waited_for(&mut of, 151), "one may have come and gone while nobody looked");
        let within_its_own = steps(&mut of, &Leases::new(), &[ON], 152).remove(0);
        assert!(is_taken(&within_its_own));
        assert!(is_waited_for(&mut of, 153), "another one may have begun since");
    }

    /// Replicas by number, which see and write these Leases one after the other.
    struct Group {
        shards: usize,
        leases: Leases,
        version: u64,
        replicas: BTreeMap<usize, (Election, Vec<HeldShard>)>,
        at: u64,
    }

    impl Group {
        fn new(shards: usize, replicas: usize) -> Self {
            let mut first = lease("", 1, 15);
            first.metadata.annotations = Some([(SHARDS.to_owned(), shards.to_string())].into());
            let mut leases: Leases = (1..shards).map(|shard| (shard, lease("", 1, 15))).collect();
            leases.insert(0, first);
            let mut group = Self { shards, leases, version: 1, replicas: BTreeMap::new(), at: 0 };
            (0..replicas).for_each(|number| group.begin(number, shards));
            group
        }

        fn begin(&mut self, number: usize, shards: usize) {
            self.replicas.insert(number, (election(shards), vec![HeldShard::default(); shards]));
        }

        /// All look once, every two seconds.
        fn round(&mut self) {
            self.at += 2;
            for (election, held) in self.replicas.values_mut() {
                let leases = self.leases.clone();
                let of = steps(election, &leases, held, self.at);
                for (shard, step) in of.into_iter().enumerate() {
                    let (mut write, mut now) = (None, HeldShard::default());
                    match step {
                        LeaseStep::Take(lease) => (write, now) = (Some(lease), ON),
                        LeaseStep::Reserve(lease, _) => {
                            election.reserved(seconds(self.at));
                            write = Some(lease);
                        }
                        LeaseStep::HandOver(lease, _) | LeaseStep::Ask(lease, _) => {
                            write = Some(lease)
                        }
                        LeaseStep::Keep => now = ON,
                        LeaseStep::Leave => now = HeldShard { is_leaving: true, ..ON },
                        LeaseStep::Other(_) | LeaseStep::Nobody(_) => {}
                    }
                    held[shard] = now;
                    if let Some(lease) = write {
                        self.version += 1;
                        let mut lease = *lease;
                        lease.metadata.resource_version = Some(self.version.to_string());
                        self.leases.insert(shard, lease);
                    }
                }
            }
        }

        /// How many shards each replica acts for; none for two.
        #[track_caller]
        fn counts(&self) -> Vec<usize> {
            for shard in 0..self.shards {
                let acting = self.replicas.values();
                let acting = acting.filter(|(_, held)| held.get(shard).is_some_and(|of| of.is_on));
                assert!(acting.count() <= 1, "the shard {shard}");
            }
            let on = |held: &Vec<HeldShard>| held.iter().filter(|of| of.is_on).count();
            self.replicas.values().map(|(_, held)| on(held)).collect()
        }

        fn rounds(&mut self, count: usize) {
            for _ in 0..count {
                self.round();
                self.counts();
            }
        }
    }

    #[test]
    fn replicas_come_and_go_and_each_has_its_share() {
        let mut group = Group::new(8, 1);
        group.rounds(1);
        assert_eq!(group.counts(), [8]);
        group.begin(1, 8);
        group.begin(2, 8);
        group.rounds(10);
        let mut counts = group.counts();
        counts.sort_unstable();
        assert_eq!(counts, [2, 3, 3]);
        let settled = group.leases.clone();
        group.rounds(20);
        let holders = |leases: &Leases| {
            let of = |lease: &Lease| lease.spec.clone().unwrap().holder_identity.unwrap();
            leases.values().map(of).collect::<Vec<_>>()
        };
        assert_eq!(holders(&group.leases), holders(&settled), "nothing goes back and forth");
        (3..5).for_each(|number| group.begin(number, 8));
        group.rounds(15);
        assert!(group.counts().iter().all(|count| (1..=2).contains(count)), "{:?}", group.counts());
        assert_eq!(group.counts().iter().sum::<usize>(), 8);
        // Three are killed.
        group.replicas.retain(|number, _| *number > 2);
        group.rounds(7);
        assert!(group.counts().iter().sum::<usize>() < 8, "they may act still");
        group.rounds(8);
        assert_eq!(group.counts(), [4, 4]);
    }

    #[test]
    fn who_goes_on_with_a_change_of_the_number_waits_as_long() {
        // Whose terms are longer than those of who comes next.
        let mut before = lease("", 1, 60);
        before.annotations_mut().insert(SHARDS.to_owned(), "4".to_owned());
        let reserved = |lease: Lease, at| match only(&mut election(1), Some(lease), at) {
            LeaseStep::Reserve(lease, _) => *lease,
            other => panic!("{other:?}"),
        };
        let lasts = |lease: &Lease| lease.spec.as_ref().unwrap().lease_duration_seconds;
        let mut lease = reserved(before, 0);
        assert_eq!(lasts(&lease), Some(60));
        // It was given back in the middle of that.
        lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
        let mut of = election(1);
        let own = of.identity().to_owned();
        let LeaseStep::Reserve(mut lease, _) = only(&mut of, Some(lease), 0) else { panic!() };
        assert_eq!(
            (lasts(&lease), lease.spec.as_ref().unwrap().holder_identity.as_ref()),
            (Some(60), Some(&own))
        );
        of.reserved(seconds(0));
        for at in [20, 59] {
            let LeaseStep::Reserve(next, _) = only(&mut of, Some(*lease), at) else {
                panic!("{at}")
            };
            lease = next;
        }
        let LeaseStep::Take(lease) = only(&mut of, Some(*lease), 60) else { panic!() };
        assert_eq!(lasts(&lease), Some(15));
    }

    #[test]
    fn more_replicas_than_shards_wait() {
        let mut group = Group::new(2, 5);
        group.rounds(20);
        let mut counts = group.counts();
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 0, 1, 1]);
    }

    #[test]
    fn who_was_asked_for_and_is_gone_is_waited_for_like_any_other() {
        let mut group = Group::new(4, 1);
        group.rounds(1);
        group.begin(1, 4);
        group.rounds(1);
        let asked = |group: &Group| {
            let is_asked = |lease: &&Lease| lease.annotations().contains_key(WANTED_BY);
            group.leases.values().filter(is_asked).count()
        };
        assert_eq!(asked(&group), 1, "one after the other");
        group.replicas.remove(&1);
        group.rounds(3);
        assert_eq!((group.counts(), asked(&group)), (vec![3], 0));
        group.rounds(8);
        assert_eq!(group.counts(), [4]);
    }

    #[test]
    fn replicas_that_disagree_about_the_number_of_shards_never_act_together() {
        let mut group = Group::new(4, 2);
        group.rounds(5);
        group.begin(9, 2);
        group.rounds(20);
        assert_eq!(group.counts(), [2, 2, 0], "the first Lease is held by others");
        let of_other = |group: &mut Group| {
            let leases = group.leases.clone();
            let (election, held) = group.replicas.get_mut(&9).unwrap();
            let held = held.clone();
            steps(election, &leases, &held, group.at)
        };
        let refused = of_other(&mut group);
        let is_said = |step: &LeaseStep| matches!(step, LeaseStep::Nobody(why) if why.contains("is 4, and this one has --shards 2"));
        assert!(refused.iter().all(is_said), "{refused:?}");
        // Who holds the first Lease ends. Whoever is faster then says how many there are.
        let (first, _) = group
            .replicas
            .iter()
            .find(|(_, (_, held))| held[0].is_on)
            .map(|(number, (_, held))| (*number, held.clone()))
            .unwrap();
        group.replicas.remove(&first);
        let other = group.replicas.remove(&(1 - first)).unwrap();
        group.leases.get_mut(&0).unwrap().spec.as_mut().unwrap().holder_identity = None;
        group.round();
        assert_eq!(group.leases[&0].annotations()[SHARDS], CHANGING);
        group.replicas.insert(1 - first, other);
        group.round();
        assert_eq!(group.counts(), [0, 0], "the one that acted stops, the other one waits");
        group.rounds(6);
        assert_eq!(group.counts(), [0, 0]);
        group.rounds(10);
        assert_eq!(group.leases[&0].annotations()[SHARDS], "2");
        assert_eq!(group.replicas[&9].1.iter().filter(|held| held.is_on).count(), 2);
        assert_eq!(group.replicas[&(1 - first)].1.iter().filter(|held| held.is_on).count(), 0);
    }
}
