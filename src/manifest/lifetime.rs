//! Until when the clients of entries may be used.

use std::sync::Arc;

use jiff::civil::Date;

use super::decode::{plain_text, wrong_kind};
use super::{Entry, Project};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode};
use crate::field::FieldRefusal;
use crate::model::{Due, Lifetime};
use crate::yaml::{Kind, Node, Value};

/// So many days before it expires, a client is reported.
fn within(project: &Project) -> u16 {
    project.expiring_within.unwrap_or(14)
}

/// A date, in quotes or not.
pub(super) fn date(node: &Node<'_>) -> Result<Date, FieldRefusal> {
    let text = match &node.value {
        Value::Scalar(scalar) if node.tag.is_none() && scalar.kind() == Kind::Date => &scalar.text,
        Value::Scalar(scalar) if scalar.kind() == Kind::Text => plain_text(node)?,
        _ => return Err(wrong_kind(node, "a date")),
    };
    // SOPS writes a date without quotes so when it changes the file.
    let day = text.strip_suffix("T00:00:00Z").unwrap_or(text);
    // Other forms that are read as dates too, such as 20270301, are not what the schema says.
    let date = day.parse::<Date>().ok().filter(|date| date.to_string() == day);
    date.ok_or_else(|| {
        FieldRefusal::new(ProblemCode::BadValue, "is not a date such as 2027-03-01").help(
            "write the day; a duration such as 90d would have no beginning, since nobody stores when a secret was made",
        )
    })
}

impl Entry {
    /// Until when its client may be used, and what of that is due.
    pub fn lifetime(&self, project: &Project, today: Date) -> Lifetime {
        self.dates().on(today, within(project))
    }

    /// Until when its client may be used.
    pub fn dates(&self) -> Lifetime {
        let value = |date: &Option<Located<Date>>| date.as_ref().map(|date| date.value);
        let (expires, rotate_after) = (value(&self.expires), value(&self.rotate_after));
        Lifetime { expires, rotate_after, due: None }
    }
}

/// Warns of clients that have expired, or do so soon, and of secrets that should be replaced.
pub fn check_lifetimes(project: &Project, entries: &[Arc<Entry>], today: Date) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let within = within(project);
    let dates = entries.iter().flat_map(|entry| {
        let date = |date: &Option<Located<Date>>| date.as_ref().map(|date| date.value);
        let expires = Lifetime { expires: date(&entry.expires), ..Lifetime::default() };
        let rotation = Lifetime { rotate_after: date(&entry.rotate_after), ..Lifetime::default() };
        [(entry, &entry.expires, expires), (entry, &entry.rotate_after, rotation)]
    });
    for (entry, date, lifetime) in dates {
        let lifetime = lifetime.on(today, within);
        let Some((due, notice)) = lifetime.due.zip(lifetime.notice()) else { continue };
        let code = match due {
            Due::Rotation => ProblemCode::RotationDue,
            Due::Expiring => ProblemCode::Expiring,
            Due::Expired => ProblemCode::Expired,
        };
        let Some(Located { spot, .. }) = date else { continue };
        let problem = Diagnostic::warning(code, format!("`{}`: {notice}", entry.key.value))
            .at(&spot.file, spot.span);
        problems.push(problem.help(
            "make a new secret at the provider, and change the secret and the date together: linked accounts stay linked",
        ));
    }
    problems
}
