//! A new entry at the end of a manifest's list.

use jiff::civil::Date;
use secrecy::zeroize::Zeroizing;
use serde::{Serialize, Serializer};

use crate::model::Adopt;
use crate::yaml::{self, Node, Pair, Value};

use super::change::TextChanges;
use super::geometry::{dash_column, is_flow, line_break, line_start, next_line, value_end};
use super::reread::{agrees, same as same_value};
use super::same::same;
use super::slots::SlotValue;
use super::write::{document, flow, indented};
use super::{Obstacle, YamlEditError};

/// Where the schema is that editors check manifests by.
const SCHEMA: &str = "# yaml-language-server: $schema=https://raw.githubusercontent.com/appcred/appcred/main/schema/manifest.schema.json";

/// An entry to be written.
#[derive(Clone, Debug, Default)]
pub struct NewEntry {
    /// The integration.
    pub domain: String,
    /// What Home Assistant shows; left out where it is the domain.
    pub name: Option<String>,
    /// Its key.
    pub key: String,
    /// The OAuth2 client id.
    pub client_id: String,
    /// The OAuth2 client secret; in plain text only where the result is encrypted as a whole.
    pub client_secret: SlotValue,
    /// Whether a credential made by hand is taken over.
    pub adopt: Adopt,
    /// The first day on which its provider does not accept it.
    pub expires: Option<Date>,
    /// The first day on which its secret should be replaced.
    pub rotate_after: Option<Date>,
    /// The accounts that it names; none where any one will do.
    pub accounts: Vec<String>,
    /// Whether its integration is left as it is.
    pub leave_integration: bool,
    /// The targets that want it; all where there is none.
    pub targets: Vec<String>,
}

impl Serialize for NewEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct IntegrationYaml {
            setup: bool,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum AdoptYaml<'e> {
            Flag(bool),
            Id(&'e str),
        }
        #[derive(Serialize)]
        struct EntryYaml<'e> {
            domain: &'e str,
            #[serde(skip_serializing_if = "Option::is_none")]
            name: Option<&'e str>,
            key: &'e str,
            client_id: &'e str,
            #[serde(skip_serializing_if = "Option::is_none")]
            adopt: Option<AdoptYaml<'e>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            expires: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rotate_after: Option<String>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            accounts: &'e [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            integration: Option<IntegrationYaml>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            targets: &'e [String],
            client_secret: &'e str,
        }
        let secret = Zeroizing::new(match &self.client_secret {
            SlotValue::Plain(secret) | SlotValue::Default(secret) => secret.expose().to_owned(),
            SlotValue::Age(armored) => format!("{}\n", armored.trim_end()),
        });
        let fields = EntryYaml {
            domain: &self.domain,
            name: self.name.as_deref(),
            key: &self.key,
            client_id: &self.client_id,
            adopt: match &self.adopt {
                Adopt::No => None,
                Adopt::Only => Some(AdoptYaml::Flag(true)),
                Adopt::Id(id) => Some(AdoptYaml::Id(id.as_str())),
            },
            expires: self.expires.map(|date| date.to_string()),
            rotate_after: self.rotate_after.map(|date| date.to_string()),
            accounts: &self.accounts,
            integration: self.leave_integration.then_some(IntegrationYaml { setup: false }),
            targets: &self.targets,
            client_secret: &secret,
        };
        fields.serialize(serializer)
    }
}

/// The lines of new items, their dashes in this column.
fn lines(
    entries: &[NewEntry],
    dash: usize,
    line_break: &str,
) -> Result<Zeroizing<String>, YamlEditError> {
    let text = Zeroizing::new(document(&entries).map_err(|_| YamlEditError::Unwritable)?);
    Ok(Zeroizing::new(indented(&text, dash, line_break)))
}

/// A manifest with these entries.
///
/// # Errors
/// Where an entry cannot be written.
pub fn new_manifest(entries: &[NewEntry]) -> Result<String, YamlEditError> {
    let empty = format!("{SCHEMA}\napplication_credentials: []\n");
    if entries.is_empty() { Ok(empty) } else { append(&empty, entries) }
}

/// Adds entries behind the last one of a manifest.
///
/// # Errors
/// Where the text has no list that can be added to in place.
pub fn append(text: &str, entries: &[NewEntry]) -> Result<String, YamlEditError> {
    let parsed = yaml::parse(text);
    if !parsed.faults.is_empty() {
        return Err(YamlEditError::NotYaml);
    }
    if yaml::is_sops(&parsed.documents) {
        return Err(YamlEditError::Sops);
    }
    let line_break = line_break(text);
    let Some(document) = parsed.documents.last().filter(|node| !matches!(node.value, Value::Null))
    else {
        let mut made = with_line_break(text, line_break);
        made.push_str(&format!("application_credentials:{line_break}"));
        made.push_str(&lines(entries, 2, line_break)?);
        return if holds(&made, entries) { Ok(made) } else { Err(YamlEditError::Unwritable) };
    };
    let list = match &document.value {
        Value::Mapping(pairs) => {
            pairs.iter().find(|pair| pair.key.text == "application_credentials")
        }
        _ => None,
    };
    let list = list.ok_or(YamlEditError::NoList)?;
    let node = &list.value;
    let unfit = YamlEditError::unfit(text, list.key.span.start..list.key.span.end);
    if node.alias || node.tag.is_some() {
        return Err(unfit);
    }
    let made = with_entries(text, list, entries)?.ok_or(unfit)?;
    match grew_by(document, text, &made, entries.len()) {
        true if holds(&made, entries) => Ok(made),
        true if !matches!(unfit, YamlEditError::Line(_, Obstacle::Tab)) => {
            Err(YamlEditError::Unwritable)
        }
        _ => Err(unfit),
    }
}

/// The text with entries at the end of this list; none where that cannot be done in place.
fn with_entries(
    text: &str,
    list: &Pair<'_>,
    entries: &[NewEntry],
) -> Result<Option<String>, YamlEditError> {
    let (node, line_break) = (&list.value, line_break(text));
    let mut changes = TextChanges::new(text);
    match &node.value {
        // Of a comment in it, nobody knows to which item it belongs.
        Value::Sequence(_)
            if is_flow(node, text) && has_comment(&text[node.span.start..node.span.end]) =>
        {
            return Ok(None);
        }
        Value::Sequence(items) if is_flow(node, text) && !items.is_empty() => {
            let last = items.last().map_or(node.span.end, |item| item.span.end);
            changes.insert(last, flow_items(entries, last, text)?);
        }
        Value::Sequence(items) if !items.is_empty() => {
            let Some(dash) = dash_column(items, text) else { return Ok(None) };
            let at = items.last().map_or(node.span.end, |item| value_end(item, text));
            changes.insert(at, closed(text, at, &lines(entries, dash, line_break)?));
        }
        Value::Sequence(_) | Value::Null => {
            // `[]`, `~` or nothing. A space before it would end the line.
            let span = node.span.start.max(list.key.span.end)..node.span.end.max(list.key.span.end);
            if !span.is_empty() {
                let start = text[..span.start].trim_end_matches([' ', '\t']).len();
                changes.replace(start..span.end, "");
            }
            let dash = list.key.span.start - line_start(text, list.key.span.start) + 2;
            let at = next_line(text, span.end);
            changes.insert(at, closed(text, at, &lines(entries, dash, line_break)?));
        }
        _ => return Ok(None),
    }
    Ok(changes.made())
}

/// New items behind the one that ends here, in a list in brackets.
fn flow_items(entries: &[NewEntry], last: usize, text: &str) -> Result<String, YamlEditError> {
    let start = line_start(text, last);
    let lead = &text[start..last];
    let indent = &lead[..lead.len() - lead.trim_start_matches(' ').len()];
    // One item a line, as those before.
    let separator = match indent {
        "" => ", ".to_owned(),
        indent => format!(",{}{indent}", line_break(text)),
    };
    let mut items = String::new();
    for entry in entries {
        let entry = serde_yaml::to_value(entry).map_err(|_| YamlEditError::Unwritable)?;
        items.push_str(&separator);
        items.push_str(&flow(&entry));
    }
    Ok(items)
}

/// Whether a list in brackets may have a comment; a `#` in quotes counts too.
fn has_comment(list: &str) -> bool {
    list.lines().any(|line| line.trim_start().starts_with('#') || line.contains(" #"))
}

/// Lines that begin here, behind a line break.
fn closed(text: &str, at: usize, lines: &str) -> String {
    let is_closed = text[..at].ends_with('\n');
    if is_closed { lines.to_owned() } else { format!("{}{lines}", line_break(text)) }
}

/// Whether the last items of the list are these entries, for our reader and for serde_yaml.
fn holds(made: &str, entries: &[NewEntry]) -> bool {
    let parsed = yaml::parse(made);
    let Some(Node { value: Value::Mapping(pairs), .. }) = parsed.documents.last() else {
        return false;
    };
    let list = pairs.iter().find(|pair| pair.key.text == "application_credentials");
    let Some(Value::Sequence(items)) = list.map(|list| &list.value.value) else { return false };
    let Some(old) = items.len().checked_sub(entries.len()) else { return false };
    let is_meant = |(item, entry): (&Node<'_>, &NewEntry)| {
        serde_yaml::to_value(entry).is_ok_and(|meant| same_value(item, &meant))
    };
    parsed.faults.is_empty()
        && agrees(made, &parsed)
        && items[old..].iter().zip(entries).all(is_meant)
}

fn with_line_break(text: &str, line_break: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}{line_break}")
    }
}

/// Whether the list only has new items.
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
