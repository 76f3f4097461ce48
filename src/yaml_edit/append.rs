//! A new entry at the end of a manifest's list.

use crate::yaml::{self, Node, Value};

use super::Unfit;
use super::change::Changes;
use super::geometry::{
    dash_column, indented, is_flow, line_break, line_start, next_line, value_end, word,
};
use super::same::same;
use super::slots::Held;

/// Where the schema is that editors check manifests by.
const SCHEMA: &str = "# yaml-language-server: $schema=https://raw.githubusercontent.com/appcred/appcred/main/schema/manifest.schema.json";

/// An entry to be written.
#[derive(Clone, Debug, Default)]
pub struct NewEntry {
    /// The integration.
    pub domain: String,
    /// What Home Assistant shows; left out where it is the domain.
    pub name: Option<String>,
    /// Its key; left out where it follows from the name.
    pub key: Option<String>,
    /// The OAuth2 client id.
    pub client_id: String,
    /// The OAuth2 client secret; in clear only where what is made is encrypted as a whole.
    pub client_secret: Held,
    /// Whether a credential made by hand is taken over.
    pub adopt: bool,
    /// Whether its integration is left as it is.
    pub leave_integration: bool,
    /// The targets that want it; all where there is none.
    pub targets: Vec<String>,
}

impl NewEntry {
    /// The entry's lines, its dash in this column.
    fn lines(&self, dash: usize, line_break: &str) -> String {
        let mut lines = String::new();
        let lead = " ".repeat(dash);
        let mut first = true;
        let mut field = |name: &str, value: &str| {
            let mark = if std::mem::take(&mut first) { "- " } else { "  " };
            lines.push_str(&format!("{lead}{mark}{name}: {value}{line_break}"));
        };
        field("domain", &word(&self.domain));
        if let Some(name) = &self.name {
            field("name", &word(name));
        }
        if let Some(key) = &self.key {
            field("key", &word(key));
        }
        field("client_id", &word(&self.client_id));
        if self.adopt {
            field("adopt", "true");
        }
        if self.leave_integration {
            field("integration", "{setup: false}");
        }
        if !self.targets.is_empty() {
            let names: Vec<_> = self.targets.iter().map(|name| word(name)).collect();
            field("targets", &format!("[{}]", names.join(", ")));
        }
        match &self.client_secret {
            Held::Plain(secret) => field("client_secret", &word(secret.expose())),
            Held::Age(armored) => {
                field("client_secret", "|");
                lines.push_str(&indented(armored, dash + 4, line_break));
            }
        }
        lines
    }
}

/// A manifest with these entries.
pub fn new_manifest(entries: &[NewEntry]) -> String {
    let mut text = format!("{SCHEMA}\napplication_credentials:\n");
    for entry in entries {
        text.push_str(&entry.lines(2, "\n"));
    }
    text
}

/// Adds entries behind the last one of a manifest.
///
/// # Errors
/// Where the text has no list that can be added to in place.
pub fn append(text: &str, entries: &[NewEntry]) -> Result<String, Unfit> {
    let parsed = yaml::parse(text);
    if !parsed.faults.is_empty() {
        return Err(Unfit::NotYaml);
    }
    if yaml::is_sops(&parsed.documents) {
        return Err(Unfit::Sops);
    }
    let line_break = line_break(text);
    let Some(document) = parsed.documents.last().filter(|node| !matches!(node.value, Value::Null))
    else {
        let mut made = with_line_break(text, line_break);
        made.push_str(&format!("application_credentials:{line_break}"));
        entries.iter().for_each(|entry| made.push_str(&entry.lines(2, line_break)));
        return Ok(made);
    };
    let list = match &document.value {
        Value::Mapping(pairs) => {
            pairs.iter().find(|pair| pair.key.text == "application_credentials")
        }
        _ => None,
    };
    let list = list.ok_or(Unfit::NoList)?;
    let node = &list.value;
    let unfit = Unfit::Line(node.span.line);
    let render = |dash: usize| -> String {
        entries.iter().map(|entry| entry.lines(dash, line_break)).collect()
    };
    let mut changes = Changes::new(text);
    let at = match &node.value {
        _ if node.alias || node.tag.is_some() => return Err(unfit),
        Value::Sequence(items) if items.is_empty() => {
            changes.replace(node.span.start..node.span.end, "");
            next_line(text, node.span.end)
        }
        Value::Sequence(items) if !is_flow(node, text) => {
            items.last().map_or(node.span.end, |item| value_end(item, text))
        }
        Value::Null => next_line(text, node.span.end.max(list.key.span.end)),
        _ => return Err(unfit),
    };
    let dash = match &node.value {
        Value::Sequence(items) if !items.is_empty() => dash_column(items, text).ok_or(unfit)?,
        _ => list.key.span.start - line_start(text, list.key.span.start) + 2,
    };
    let lines = render(dash);
    let is_closed = text[..at].ends_with('\n');
    changes.insert(at, if is_closed { lines } else { format!("{line_break}{lines}") });
    let made = changes.made().ok_or(unfit)?;
    if grew_by(document, text, &made, entries.len()) { Ok(made) } else { Err(unfit) }
}

fn with_line_break(text: &str, line_break: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}{line_break}")
    }
}

/// Whether nothing but new items came to the list.
fn grew_by(document: &Node<'_>, before: &str, made: &str, count: usize) -> bool {
    let mut after = yaml::parse(made);
    let count_of = yaml::parse(before).documents.len();
    if !after.faults.is_empty() || after.documents.len() != count_of {
        return false;
    }
    let Some(Node { value: Value::Mapping(pairs), .. }) = after.documents.last_mut() else {
        return false;
    };
    let Some(list) = pairs.iter_mut().find(|pair| pair.key.text == "application_credentials")
    else {
        return false;
    };
    let Value::Sequence(items) = &mut list.value.value else { return false };
    let Some(old) = items.len().checked_sub(count) else { return false };
    items.truncate(old);
    let was_nothing = matches!(&document.value, Value::Mapping(pairs) if pairs.iter().any(|pair| {
        pair.key.text == "application_credentials" && matches!(pair.value.value, Value::Null)
    }));
    if was_nothing {
        list.value.value = Value::Null;
    }
    after.documents.last().is_some_and(|after| same(document, after, &|_| None))
}
