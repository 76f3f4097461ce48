//! What is logged of who acts.

use std::collections::BTreeMap;

use super::shards::{ShardHolder, ShardHolders};

/// What is logged of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LogLine {
    Ends,
    HandsOver,
    Acts,
    Other,
    Nobody,
    Trouble,
}

/// Logs what differs, in a line for each kind of it.
pub(super) fn log(before: &ShardHolders, new: &ShardHolders, identity: &str) {
    let mut lines: BTreeMap<(LogLine, String), Vec<usize>> = BTreeMap::new();
    for (shard, (before, new)) in before.0.iter().zip(&new.0).enumerate() {
        if before == new {
            continue;
        }
        let mut add = |line, text: &str| {
            lines.entry((line, text.to_owned())).or_default().push(shard);
        };
        if let (ShardHolder::This(_), true) = (before, !matches!(new, ShardHolder::Leaving(_))) {
            add(LogLine::Ends, "");
        }
        match new {
            ShardHolder::This(_) => add(LogLine::Acts, identity),
            ShardHolder::Leaving(_) => add(LogLine::HandsOver, ""),
            ShardHolder::Other(other) => add(LogLine::Other, other),
            ShardHolder::Nobody(why) => add(LogLine::Nobody, why),
            ShardHolder::Trouble(why) => add(LogLine::Trouble, why),
            ShardHolder::Unknown => {}
        }
    }
    for ((line, text), shards) in lines {
        let shards = in_words(&shards, new.0.len());
        match line {
            LogLine::Ends => tracing::warn!("this replica no longer acts{shards}"),
            LogLine::HandsOver => {
                tracing::info!("this replica soon stops acting{shards}: another one asked for that")
            }
            LogLine::Acts => tracing::info!("this replica acts{shards}: {text}"),
            LogLine::Other => tracing::info!("the replica {text} acts{shards}"),
            LogLine::Nobody if shards.is_empty() => tracing::info!("{text}"),
            LogLine::Nobody => tracing::info!("nobody here acts{shards}: {text}"),
            LogLine::Trouble => tracing::error!("{text}"),
        }
    }
}

/// For which shards; nothing where there is only one.
fn in_words(shards: &[usize], all: usize) -> String {
    match (all, shards) {
        (1, _) => String::new(),
        (all, [one]) => format!(" for the shard {one} of {all}"),
        (all, _) => {
            let shards: Vec<String> = shards.iter().map(ToString::to_string).collect();
            format!(" for the shards {} of {all}", shards.join(", "))
        }
    }
}
