//! What an import would write, for people.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use crate::model::{Held, Visible};
use crate::plan::{Imported, LeftOut, WhyLeftOut};

use super::text::{DIM, GREEN, YELLOW, line};

/// The new entries of one file.
pub struct NewEntries<'a> {
    /// The file.
    pub file: &'a Path,
    /// Whether it is there already.
    pub exists: bool,
    /// The entries, in their order.
    pub entries: Vec<&'a Imported>,
}

/// What would be written, file by file, and what is left out; `pruned` is what the next apply deletes.
pub fn preview(files: &[NewEntries<'_>], left_out: &[LeftOut], pruned: &[&Held]) -> String {
    let mut out = String::new();
    for NewEntries { file, exists, entries } in files {
        let new = if *exists { "" } else { " (new)" };
        let _ = writeln!(out, "{}{new}", file.visible());
        for entry in entries {
            let shown = entry.name.as_deref().unwrap_or(entry.of.domain.as_str());
            let accounts: Vec<_> = entry.accounts.iter().map(ToString::to_string).collect();
            let linked = match entry.is_linked {
                false => ", not set up".to_owned(),
                true if accounts.is_empty() => String::new(),
                true => format!(", accounts {}", accounts.join(", ")),
            };
            line(
                &mut out,
                GREEN,
                &format!("  + {} \"{shown}\", key {}{linked}", entry.of.domain, entry.key),
            );
        }
        out.push('\n');
    }
    let new = || files.iter().flat_map(|file| &file.entries);
    if new().any(|entry| !entry.is_linked) {
        line(&mut out, DIM, "# Where no account is linked, the entry says `setup: false`.");
    }
    self::left_out(&mut out, left_out, pruned);
    out
}

fn left_out(out: &mut String, left_out: &[LeftOut], pruned: &[&Held]) {
    let declared: BTreeSet<_> = left_out
        .iter()
        .filter_map(|left| match &left.why {
            WhyLeftOut::Declared(key) => Some(key.as_str()),
            _ => None,
        })
        .collect();
    if !declared.is_empty() {
        let keys: Vec<_> = declared.into_iter().collect();
        line(out, DIM, &format!("Already declared, and skipped: {}.", keys.join(", ")));
    }
    for LeftOut { of, why } in left_out {
        let Some(why) = reason(why) else { continue };
        let head = format!("! left out: {} \"{}\" ({})", of.domain, of.label(), of.id);
        line(out, YELLOW, &head);
        line(out, DIM, &format!("    # {why}"));
        let is_it = |held: &&Held| (&held.id, &held.domain) == (&of.id, &of.domain);
        if pruned.iter().any(is_it) {
            let fate = "    # it has this project's mark, so the next `apply` deletes it unless an entry declares it; `apply --prune none` keeps it";
            line(out, YELLOW, fate);
        }
    }
    if !left_out.is_empty() {
        out.push('\n');
    }
}

/// Why it is left out; none where one line reports all of them.
fn reason(why: &WhyLeftOut) -> Option<String> {
    Some(match why {
        WhyLeftOut::Declared(_) => return None,
        WhyLeftOut::SameClient(id) => {
            format!("{id} has the same client, and the entry is made from that")
        }
        WhyLeftOut::BesideManaged(id) => format!(
            "{id} has the same client, and this project manages that: an entry is for one only; delete this one in Home Assistant if no account uses it"
        ),
        WhyLeftOut::SeveralInUse => "linked accounts use several credentials of this client, with different secrets: an entry can represent only one".to_owned(),
        WhyLeftOut::OtherOwner(owner) => {
            format!("`{owner}` manages it; --other-owners makes an entry anyway")
        }
        WhyLeftOut::SharedName => "accounts find a credential of another client under the same `auth_domain` or id: Home Assistant uses only the last of them".to_owned(),
        WhyLeftOut::UnknownIntegration => {
            "the target does not have this integration".to_owned()
        }
        WhyLeftOut::SeveralKeys => "entries of several keys had this client: write one entry by hand, with those keys under `formerly`".to_owned(),
        WhyLeftOut::UnreadableMark => {
            "it has a mark that cannot be read, so it may be another owner's".to_owned()
        }
        WhyLeftOut::SharedByHand => "another of this client has the same `auth_domain`: delete one of them in Home Assistant".to_owned(),
        WhyLeftOut::Forgotten(key) => format!(
            "`{key}` has this client, and the policy has that key under `forgotten`: remove it there to manage it again"
        ),
        WhyLeftOut::NoSecret => "it has no client secret".to_owned(),
        WhyLeftOut::Refused(why) => format!("an entry for it would be refused: {}", why.visible()),
    })
}
