//! What a plan shows of one target, change by change. How much of each is shown is up to whoever writes it.

use anstyle::Style;

use crate::model::{Claim, Held, Key, Mark, Place};
use crate::plan::{Action, Adoption, Plan, Reason, Step, Unknown, Wanted, Why, Withheld};

use super::text::{DIM, GREEN, RED, YELLOW};
use super::{TargetReport, key_of, mark_of, notices, words};

/// Something that is to be done, that is not, that is unknown, or that a person should know.
pub(super) struct Change {
    /// Three characters wide; the help of `plan` says what each means.
    pub(super) symbol: &'static str,
    pub(super) style: Style,
    /// What it is, in a line.
    pub(super) title: String,
    /// The key of its entry, where the title does not say it.
    pub(super) key: Option<String>,
    /// Where its entry is written, where it has one.
    pub(super) place: Option<String>,
    /// Fields, place, and whatever else there is to say.
    pub(super) details: Vec<Detail>,
}

/// A line about a change.
pub(super) struct Detail {
    pub(super) style: Style,
    pub(super) text: String,
    /// How much it matters where there is a line for each change.
    pub(super) kind: DetailKind,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DetailKind {
    /// A field or a place: whoever wrote the entry knows it.
    Field,
    /// What the title says already, as that what is created was not there.
    Expected,
    /// Why, or what happens besides.
    Note,
    /// What to do.
    Help,
}

impl Change {
    fn new((symbol, style): (&'static str, Style), title: String) -> Self {
        Self { symbol, style, title, key: None, place: None, details: Vec::new() }
    }

    /// Something that a person should know, and what to do.
    pub(super) fn notice(title: String, help: Option<String>) -> Self {
        let mut change = Self::new(("   ", YELLOW), title);
        if let Some(help) = help {
            change.add(DIM, help, DetailKind::Help);
        }
        change
    }

    fn add(&mut self, style: Style, text: String, kind: DetailKind) {
        self.details.push(Detail { style, text, kind });
    }

    fn field(&mut self, name: &str, value: &str) {
        self.add(Style::new(), format!("{name:<13} = {value}"), DetailKind::Field);
    }

    fn key(&mut self, key: &str) {
        self.field("key", key);
        self.key = Some(key.to_owned());
    }

    /// Which credential it is that goes: people know it by its key, as far as it has one.
    fn credential(&mut self, old: &Held) {
        if let Some(mark) = mark_of(old) {
            self.key(mark.key.as_str());
        }
        self.field("id", old.id.as_str());
    }

    fn note(&mut self, style: Style, text: impl Into<String>) {
        self.add(style, text.into(), DetailKind::Note);
    }

    fn place(&mut self, place: impl ToString) {
        let place = place.to_string();
        self.add(DIM, format!("at {place}"), DetailKind::Field);
        self.place = Some(place);
    }
}

impl Change {
    /// Where the entry is written by which this was made, and which is for other targets.
    fn place_elsewhere(&mut self, target: &TargetReport<'_>, old: &Held) {
        if let Some(place) = target.place_elsewhere(old) {
            self.place(place);
        }
    }
}

impl TargetReport<'_> {
    fn place_elsewhere(&self, old: &Held) -> Option<&Place> {
        mark_of(old).and_then(|mark| self.elsewhere.get(&mark.key))
    }
}

/// All of one target, in the order in which it is shown.
pub(super) fn changes(target: &TargetReport<'_>, plan: &Plan) -> Vec<Change> {
    let steps = plan.steps.iter().map(|step| of_step(target, step, plan));
    let withheld = plan.withheld.iter().map(|withheld| of_withheld(target, withheld));
    let unknown = plan.unknown.iter().map(|unknown| of_unknown(target, unknown));
    let expected = notices::expected_set_ups(target.expected_set_ups);
    let notices = notices::beside_steps(plan);
    steps.chain(withheld).chain(unknown).chain(notices).chain(expected).collect()
}

fn of_step(target: &TargetReport<'_>, step: &Step, plan: &Plan) -> Change {
    let mut change = Change::new(symbol(&step.action), step.action.summary());
    match &step.action {
        Action::Delete { old, remove } => {
            change.credential(old);
            if step.reasons.contains(&Reason::NotForTarget) {
                change.place_elsewhere(target, old);
            } else if let Some(place) = target.place_elsewhere(old) {
                change.note(
                    DIM,
                    format!(
                        "its entry is only in a backup or an example, which is not read: {place}"
                    ),
                );
            }
            if !remove.is_empty() {
                change.note(RED, format!("removes {} first", words::accounts(remove)));
            }
        }
        Action::SetUp { wanted, account, .. } => {
            change.key(wanted.key.as_str());
            if let Some(account) = account {
                change.field("account", &notices::account(account));
            }
        }
        Action::NoteAccount { wanted, account, .. }
        | Action::RemoveAccount { wanted, account, .. } => {
            change.key(wanted.key.as_str());
            change.field("account", &notices::account(account));
        }
        Action::Reload { wanted, account } => {
            change.key(wanted.key.as_str());
            change.field("account", &format!("{} ({})", notices::account(account), account.state));
        }
        Action::SetDeletePolicy { wanted, .. } => change.key(wanted.key.as_str()),
        // Its title says all.
        Action::Abandon { .. } => {}
        Action::Create { wanted }
        | Action::Replace { wanted, .. }
        | Action::Adopt { wanted, .. }
        | Action::Claim { wanted, .. } => {
            fields(&mut change, wanted, step);
            if let Some(written) = target.entries.get(&wanted.key) {
                change.place(&written.entry);
            }
        }
    }
    notes(&mut change, step, plan);
    change
}

/// Whether linked accounts use one of these.
fn is_used(plan: &Plan, held: &[Held]) -> bool {
    let ids: Vec<_> = held.iter().map(|held| &held.id).collect();
    let of_them = plan.credential_states.iter().filter(|of| ids.contains(&&of.held.id));
    of_them.map(|of| &of.users).any(|users| !users.is_empty())
}

fn notes(change: &mut Change, step: &Step, plan: &Plan) {
    for reason in &step.reasons {
        let is_expected = matches!(
            (&step.action, reason),
            (Action::Create { .. }, Reason::NotObserved)
                | (Action::SetUp { .. }, Reason::NotSetUp | Reason::AccountNotLinked)
        );
        let kind = if is_expected { DetailKind::Expected } else { DetailKind::Note };
        change.add(DIM, words::reason(*reason).to_owned(), kind);
    }
    let is = |meant: &[Reason]| step.reasons.iter().any(|reason| meant.contains(reason));
    let renamed = [Reason::Renamed, Reason::OwnerRenamed, Reason::TakenForRenamed];
    if is(&renamed) && !is(&[Reason::ClientIdDiffers]) && is_used(plan, step.action.outgoing()) {
        change.note(DIM, "linked accounts stay linked: no new consent is needed");
    }
    if let Action::Claim { wanted, .. } = &step.action
        && let Some(claim) = Claim::parse(&wanted.auth_domain)
    {
        change.note(
            DIM,
            format!(
                "a second credential for this client, which records who owns {}",
                claim.implementation
            ),
        );
    }
    if let Action::Adopt { how: Adoption::Shadow, old, .. } = &step.action {
        let ids: Vec<&str> = old.iter().map(|old| old.id.as_str()).collect();
        let ids = ids.join(", ");
        change.note(
            DIM,
            format!(
                "takes the place of {ids}, which Home Assistant does not delete while an account uses it"
            ),
        );
    }
    for old in step.foreign.iter().filter(|_| step.action.created().is_some()) {
        change.note(RED, format!("{}, made by hand, is deleted once this one is there", old.id));
    }
    if let Some(reloads) = words::reloads(&step.reload) {
        change.note(DIM, reloads);
    }
}

fn symbol(action: &Action) -> (&'static str, Style) {
    match action {
        Action::Create { .. } => ("  +", GREEN),
        Action::Replace { .. } => ("-/+", YELLOW),
        Action::Adopt { .. } => ("  ~", YELLOW),
        Action::Claim { .. } => ("  ~", YELLOW),
        Action::Delete { .. } => ("  -", RED),
        Action::SetUp { .. } => ("  >", GREEN),
        Action::Reload { .. } => ("  ^", YELLOW),
        Action::SetDeletePolicy { .. } | Action::NoteAccount { .. } => ("  ~", YELLOW),
        Action::RemoveAccount { .. } => ("  -", RED),
        Action::Abandon { .. } => ("  x", YELLOW),
    }
}

/// The previous one, for `old -> new`.
fn replaced(action: &Action) -> Option<&Held> {
    match action {
        Action::Replace { old, .. } | Action::Adopt { old, .. } | Action::Claim { old, .. } => {
            old.last()
        }
        Action::Create { .. }
        | Action::Delete { .. }
        | Action::SetUp { .. }
        | Action::Reload { .. }
        | Action::SetDeletePolicy { .. }
        | Action::NoteAccount { .. }
        | Action::RemoveAccount { .. }
        | Action::Abandon { .. } => None,
    }
}

/// The name that it had, where that is another one. What has none and gets that of its integration has no other.
fn other_name<'h>(old: &'h Held, wanted: &Wanted) -> Option<&'h str> {
    let is_named = old.name.is_some() || wanted.name != wanted.domain.as_str();
    Some(old.label()).filter(|name| is_named && *name != wanted.name)
}

fn fields(change: &mut Change, wanted: &Wanted, step: &Step) {
    let old = replaced(&step.action);
    let between = |old: Option<&str>, new: &str| match old {
        Some(old) if old != new => format!("\"{old}\" -> \"{new}\""),
        _ => format!("\"{new}\""),
    };
    match &step.old_key {
        None => change.key(wanted.key.as_str()),
        Some(old) => {
            change.field("key", &between(Some(old.as_str()), wanted.key.as_str()));
            change.key = Some(wanted.key.to_string());
        }
    }
    if let Some(name) = old.and_then(|old| other_name(old, wanted)) {
        change.field("name", &between(Some(name), &wanted.name));
    }
    change.field(
        "client_id",
        &between(old.map(|old| old.client_id.as_str()), wanted.client_id.as_str()),
    );
    let changed = [Reason::SecretDiffers, Reason::SecretReencrypted];
    let is_rotated = step.reasons.iter().any(|reason| changed.contains(reason));
    let secret = if is_rotated { "(sensitive) -> (sensitive)" } else { "(sensitive)" };
    change.field("client_secret", secret);
}

fn of_withheld(target: &TargetReport<'_>, withheld: &Withheld) -> Change {
    let style = if withheld.is_error() { RED } else { YELLOW };
    let title = format!("not done: {}", withheld.action.summary());
    let mut change = Change::new(("  !", style), title);
    let entry = withheld.action.created();
    change.key = key_of(&withheld.action).map(|key| key.to_string());
    if let Action::Delete { old, .. } = &withheld.action {
        change.credential(old);
    }
    if let Some(written) = entry.and_then(|wanted| target.entries.get(&wanted.key)) {
        change.place(match withheld.why {
            Why::UnknownIntegration { .. } => &written.domain,
            _ => &written.entry,
        });
    }
    if let (Action::Delete { old, .. }, Why::LostBySlip { .. }) = (&withheld.action, &withheld.why)
    {
        change.place_elsewhere(target, old);
    }
    if let Action::Replace { wanted, old } = &withheld.action {
        replacing(&mut change, wanted, old);
    }
    change.note(DIM, withheld.why.to_string());
    change.add(DIM, withheld.why.help().to_owned(), DetailKind::Help);
    change
}

/// What a replacement that is not done would change.
fn replacing(change: &mut Change, wanted: &Wanted, old: &[Held]) {
    let Some(old) = old.last() else { return };
    let mark = old.auth_domain.as_deref().and_then(Mark::of_text);
    let key = mark.map(|mark| mark.key).filter(|key| *key != wanted.key);
    let client = Some(old.client_id.as_str()).filter(|id| *id != wanted.client_id.as_str());
    let name = other_name(old, wanted);
    let changed = [
        ("key", key.as_ref().map(Key::as_str), wanted.key.as_str()),
        ("name", name, wanted.name.as_str()),
        ("client_id", client, wanted.client_id.as_str()),
    ];
    for (field, old, new) in changed {
        if let Some(old) = old {
            change.field(field, &format!("\"{old}\" -> \"{new}\""));
        }
    }
    if changed.iter().all(|(_, old, _)| old.is_none()) {
        change.field("client_secret", "(sensitive) -> (sensitive)");
    }
}

fn of_unknown(target: &TargetReport<'_>, unknown: &Unknown) -> Change {
    let title = format!("unknown: {} \"{}\"", unknown.domain, unknown.name);
    let mut change = Change::new(("  ?", YELLOW), title);
    change.key(unknown.key.as_str());
    if let Some(written) = target.entries.get(&unknown.key) {
        change.place(&written.entry);
    }
    let (what, help) = words::unknowable(unknown.what);
    change.note(DIM, what);
    change.add(DIM, help.to_owned(), DetailKind::Help);
    change
}
