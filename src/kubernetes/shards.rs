//! Which replica acts for which object.
//!
//! Each object is in one shard, by a hash of its uid, and for each shard one replica acts. A HomeAssistant is changed, and an
//! object of either kind is written back, by the replica of its shard alone. What all are to hold is found out by each
//! replica for itself, from the same objects.

use super::freshness::AsOf;
use crate::target::Fence;

/// Who acts for a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ShardHolder {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// This replica.
    This(Term),
    /// This replica until another one takes over; nothing new is begun.
    Leaving(Term),
    /// That one.
    Other(String),
    /// Nobody here, for this reason, which ends in time or with another replica.
    Nobody(String),
    /// It cannot be found out, for this reason.
    Trouble(String),
}

impl ShardHolder {
    /// The term of this replica, on or over.
    pub(super) fn term(&self) -> Option<&Term> {
        match self {
            Self::This(term) | Self::Leaving(term) => Some(term),
            _ => None,
        }
    }
}

/// A time in which this replica acts for a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Term {
    /// Open as long as it acts. Each term has a fence of its own, which is never opened again.
    pub(super) fence: Fence,
    /// The version of the Lease with which it began: what others wrote in the cluster before is older.
    pub(super) begun: AsOf,
}

/// Who acts for each shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ShardHolders(pub(super) Vec<ShardHolder>);

impl ShardHolders {
    /// Whether it is known for all.
    pub(super) fn are_known(&self) -> bool {
        !self.0.contains(&ShardHolder::Unknown)
    }

    /// Whether this replica acts for an object, or will as soon as it knows enough.
    pub(super) fn has(&self, uid: &str) -> bool {
        matches!(self.0[shard_of(uid, self.0.len())], ShardHolder::This(_))
    }

    /// Ends all terms of this replica.
    pub(super) fn close(&self) {
        self.0.iter().filter_map(ShardHolder::term).for_each(|term| term.fence.close());
    }

    /// The version with which the latest term of this replica began.
    pub(super) fn begun(&self) -> AsOf {
        let terms = self.0.iter().map(|holder| match holder {
            ShardHolder::This(term) => term.begun,
            _ => AsOf::default(),
        });
        terms.max().unwrap_or_default()
    }
}

/// For which objects this replica acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acting {
    /// For all, and for ever: there is no other one.
    Alone,
    /// For those of these shards, as long as the fences of the terms are open.
    Shards(Vec<Option<Term>>),
}

impl Acting {
    /// For what this replica acts that knows the objects as of this version: of a term, what was written before it began
    /// must be known.
    pub(super) fn of(holders: &ShardHolders, as_of: AsOf) -> Self {
        let term = |holder: &ShardHolder| match holder {
            ShardHolder::This(term) if term.begun <= as_of => Some(term.clone()),
            _ => None,
        };
        Self::Shards(holders.0.iter().map(term).collect())
    }

    /// Whether it acts for nothing.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Shards(all) if all.iter().all(Option::is_none))
    }

    /// Whether it acts for an object.
    pub(super) fn includes(&self, uid: &str) -> bool {
        self.for_object(uid).is_some()
    }

    /// In which term it acts for an object, where it does: without one it does so for ever.
    #[expect(clippy::option_option, reason = "whether, and until when")]
    pub(super) fn for_object(&self, uid: &str) -> Option<Option<Term>> {
        match self {
            Self::Alone => Some(None),
            Self::Shards(all) => all[shard_of(uid, all.len())].clone().map(Some),
        }
    }
}

/// The shard of an object: a range of the FNV-1a hashes of uids each, as the API server's sharded lists (KEP-5866) have it.
pub(super) fn shard_of(uid: &str, shards: usize) -> usize {
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let shard = (u128::from(hash) * shards as u128) >> 64;
    // Less than the number of shards.
    usize::try_from(shard).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Acting, AsOf, ShardHolder, ShardHolders, Term, shard_of};
    use crate::target::Fence;

    #[test]
    fn each_object_is_in_one_shard_and_each_shard_has_its_part() {
        // The values of the authors of the hash: http://www.isthe.com/chongo/tech/comp/fnv/
        assert_eq!(shard_of("", 1 << 16), 0xcbf2);
        assert_eq!(shard_of("a", 1 << 16), 0xaf63);
        assert_eq!(shard_of("foobar", 1 << 16), 0x8594);
        let mut counts = [0; 8];
        for number in 0..8000_u128 {
            let uid = format!("{:08x}-0000-4000-8000-{:012x}", number * 7_919, number * 104_729);
            counts[shard_of(&uid, 8)] += 1;
            assert_eq!(shard_of(&uid, 1), 0);
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    fn uids() -> impl Iterator<Item = String> {
        (0..64).map(|number| format!("{number}-uid"))
    }

    #[test]
    fn nothing_is_done_by_what_was_known_before_a_term_began() {
        let as_of = |version| AsOf { state: 1, version };
        let term = |begun| Term { fence: Fence::default(), begun: as_of(begun) };
        let (first, second) = (term(5), term(9));
        let holders = ShardHolders(vec![
            ShardHolder::This(first.clone()),
            ShardHolder::This(second.clone()),
            ShardHolder::Leaving(term(1)),
            ShardHolder::Other("b".to_owned()),
        ]);
        assert_eq!(holders.begun(), as_of(9));
        let has = uids().filter(|uid| holders.has(uid));
        let of_both = uids().filter(|uid| shard_of(uid, 4) < 2);
        assert!(has.eq(of_both), "one that is handed over begins nothing");
        let of = |version| Acting::of(&holders, as_of(version));
        assert!(of(4).is_nothing());
        let before = AsOf { state: 0, version: 99 };
        assert!(Acting::of(&holders, before).is_nothing(), "that is of another state");
        assert_eq!(of(5), Acting::Shards(vec![Some(first.clone()), None, None, None]));
        assert_eq!(of(9), Acting::Shards(vec![Some(first), Some(second.clone()), None, None]));
        second.fence.open_until(Duration::from_secs(1));
        let included = uids().filter(|uid| of(9).includes(uid)).count();
        assert!((16..48).contains(&included), "{included}");
        assert!(uids().all(|uid| Acting::Alone.for_object(&uid) == Some(None)));
    }
}
