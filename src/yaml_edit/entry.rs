//! An entry of a manifest that goes, or that gets another key.

use crate::yaml::{self, Node, Pair, Parsed, Value};

use super::YamlEditError;
use super::change::TextChanges;
use super::geometry::{is_flow, line_break, line_start, next_line, value_end};
use super::reread::agrees;
use super::same::same;
use super::write::word;

const LIST: &str = "application_credentials";

/// An entry in the tree of a manifest.
struct EntryNode<'p, 't> {
    document: usize,
    list: &'p Pair<'t>,
    items: &'p [Node<'t>],
    at: usize,
}

impl<'p, 't> EntryNode<'p, 't> {
    /// The entry that begins at this line and column.
    fn new(parsed: &'p Parsed<'t>, text: &str, place: (u32, u32)) -> Result<Self, YamlEditError> {
        if !parsed.faults.is_empty() {
            return Err(YamlEditError::NotYaml);
        }
        if yaml::is_sops(&parsed.documents) {
            return Err(YamlEditError::Sops);
        }
        for (document, node) in parsed.documents.iter().enumerate() {
            let Value::Mapping(pairs) = &node.value else { continue };
            for list in pairs.iter().filter(|pair| pair.key.text == LIST) {
                let Value::Sequence(items) = &list.value.value else { continue };
                let is_it = |item: &Node<'_>| begin(item) == place;
                if let Some(at) = items.iter().position(is_it) {
                    return Ok(Self { document, list, items, at });
                }
            }
        }
        let line = place.0.saturating_sub(1) as usize;
        let at = text.split_inclusive('\n').take(line).map(str::len).sum();
        Err(YamlEditError::unfit(text, at..at))
    }

    fn item(&self) -> &'p Node<'t> {
        &self.items[self.at]
    }

    /// Whether it, or the list, is written elsewhere.
    fn is_elsewhere(&self) -> bool {
        self.list.value.alias || self.list.merged || self.item().alias
    }
}

/// The line and column of an entry's first key, unless that is elsewhere in the file.
fn begin(item: &Node<'_>) -> (u32, u32) {
    let first = match &item.value {
        Value::Mapping(pairs) if !item.alias => pairs.first().filter(|first| !first.merged),
        _ => None,
    };
    let span = first.map_or(item.span, |first| first.key.span);
    (span.line, span.column)
}

/// The entry's list in another tree of the same form.
fn list_of<'n, 't>(parsed: &'n mut Parsed<'t>, document: usize) -> Option<&'n mut Vec<Node<'t>>> {
    let Value::Mapping(pairs) = &mut parsed.documents.get_mut(document)?.value else { return None };
    let list = pairs.iter_mut().find(|pair| pair.key.text == LIST)?;
    match &mut list.value.value {
        Value::Sequence(items) => Some(items),
        _ => None,
    }
}

/// Whether both hold the same, to our reader and to serde_yaml.
fn is_same(before: &Parsed<'_>, made: &str, after: &Parsed<'_>) -> bool {
    let documents = || before.documents.iter().zip(&after.documents);
    after.faults.is_empty()
        && before.documents.len() == after.documents.len()
        && documents().all(|(before, after)| same(before, after, &|_| None))
        && agrees(made, &yaml::parse(made))
}

/// Removes the entry that begins at this line and column. Comments beside it stay.
///
/// # Errors
/// Where more than that would change.
pub fn remove_entry(text: &str, place: (u32, u32)) -> Result<String, YamlEditError> {
    let parsed = yaml::parse(text);
    let found = EntryNode::new(&parsed, text, place)?;
    let unfit = YamlEditError::unfit(text, found.item().span.start..found.item().span.end);
    let (EntryNode { items, at, list, .. }, item) = (&found, found.item());
    if found.is_elsewhere() {
        return Err(unfit);
    }
    let mut changes = TextChanges::new(text);
    match (is_flow(&list.value, text), items.len()) {
        (true, 1) => {
            let start = text[..item.span.start].trim_end_matches(' ').len();
            let behind = &text[item.span.end..];
            let spaces = behind.len() - behind.trim_start_matches(' ').len();
            changes.replace(start..item.span.end + spaces, "");
        }
        (true, _) => changes.replace(
            match items.get(at + 1) {
                Some(next) => item.span.start..next.span.start,
                None => items[at - 1].span.end..item.span.end,
            },
            "",
        ),
        (false, count) => {
            let before = text[..item.span.start].trim_end();
            // An anchor goes with it; whoever uses that is found below.
            let before = match before.rsplit_once(char::is_whitespace) {
                Some((rest, anchor)) if anchor.starts_with('&') => rest.trim_end(),
                _ => before,
            };
            if !before.ends_with('-') {
                return Err(unfit);
            }
            if count == 1 {
                // An empty list must be written as one.
                let colon = text[list.key.span.end..].find(':').ok_or(unfit)?;
                changes.insert(list.key.span.end + colon + 1, " []");
            }
            changes.replace(line_start(text, before.len())..value_end(item, text), "");
        }
    }
    let made = changes.made().ok_or(unfit)?;
    let mut before = yaml::parse(text);
    list_of(&mut before, found.document).ok_or(unfit)?.remove(found.at);
    if is_same(&before, &made, &yaml::parse(&made)) { Ok(made) } else { Err(unfit) }
}

/// Gives the entry that begins at this line and column another key, and writes down the one that it had.
///
/// # Errors
/// Where more than that would change.
pub fn rename_entry(
    text: &str,
    place: (u32, u32),
    old: &str,
    new: &str,
) -> Result<String, YamlEditError> {
    let parsed = yaml::parse(text);
    let found = EntryNode::new(&parsed, text, place)?;
    let unfit = YamlEditError::unfit(text, found.item().span.start..found.item().span.end);
    let item = found.item();
    let Value::Mapping(pairs) = &item.value else { return Err(unfit) };
    let own = |name: &str| pairs.iter().find(|pair| pair.key.text == name && !pair.merged);
    let first = pairs.iter().find(|pair| !pair.merged).filter(|_| !found.is_elsewhere());
    let first = first.ok_or(unfit)?;
    // A key that it gets again is not one that it had.
    let mut formerly = own("formerly").map(|pair| texts(&pair.value)).unwrap_or_default();
    formerly.retain(|key| key != new && key != old);
    formerly.push(old.to_owned());
    let list: Vec<String> = formerly.iter().map(|key| word(key)).collect();
    let list = format!("[{}]", list.join(", "));
    let mut changes = TextChanges::new(text);
    let mut fields = Vec::new();
    match own("key") {
        Some(pair) => changes.replace(pair.value.span.start..pair.value.span.end, word(new)),
        None => fields.push(format!("key: {}", word(new))),
    }
    match own("formerly") {
        Some(pair) if is_flow(&pair.value, text) => {
            changes.replace(pair.value.span.start..pair.value.span.end, list);
        }
        Some(pair) => {
            let colon = text[pair.key.span.end..].find(':').ok_or(unfit)? + pair.key.span.end + 1;
            changes.insert(colon, format!(" {list}"));
            changes.replace(next_line(text, colon)..value_end(&pair.value, text), "");
        }
        None => fields.push(format!("formerly: {list}")),
    }
    if is_flow(item, text) {
        let fields: String = fields.iter().map(|field| format!("{field}, ")).collect();
        changes.insert(item.span.start + 1, fields);
    } else {
        let (at, line_break) = (value_end(&first.value, text), line_break(text));
        let column = first.key.span.start - line_start(text, first.key.span.start);
        let opened = if text[..at].ends_with('\n') { "" } else { line_break };
        let lines = fields.iter().map(|field| format!("{}{field}{line_break}", " ".repeat(column)));
        changes.insert(at, opened.to_owned() + &lines.collect::<String>());
    }
    let made = changes.made().ok_or(unfit)?;
    let (mut before, mut after) = (yaml::parse(text), yaml::parse(&made));
    let (document, at) = (found.document, found.at);
    take_names(&mut before, document, at).ok_or(unfit)?;
    let names = take_names(&mut after, document, at).ok_or(unfit)?;
    let is_meant = names == (vec![new.to_owned()], formerly);
    if is_meant && is_same(&before, &made, &after) { Ok(made) } else { Err(unfit) }
}

/// Takes an entry's key and its earlier keys out of a tree.
fn take_names(
    parsed: &mut Parsed<'_>,
    document: usize,
    at: usize,
) -> Option<(Vec<String>, Vec<String>)> {
    let item = list_of(parsed, document)?.get_mut(at)?;
    let Value::Mapping(pairs) = &mut item.value else { return None };
    let mut take = |name: &str| {
        let mut taken = pairs.extract_if(.., |pair| pair.key.text == name);
        let names = taken.next().map(|pair| texts(&pair.value)).unwrap_or_default();
        taken.next().is_none().then_some(names)
    };
    Some((take("key")?, take("formerly")?))
}

/// The texts of a list, or the one that is there.
pub(super) fn texts(node: &Node<'_>) -> Vec<String> {
    match &node.value {
        Value::Sequence(items) => items.iter().flat_map(texts).collect(),
        Value::Scalar(scalar) => vec![scalar.text.to_string()],
        Value::Null | Value::Invalid | Value::Mapping(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{begin, remove_entry, rename_entry};
    use crate::yaml::{self, Value};
    use crate::yaml_edit::Obstacle;
    use crate::yaml_edit::YamlEditError;

    /// Where the entries of a manifest begin.
    fn places(text: &str) -> Vec<(u32, u32)> {
        let parsed = yaml::parse(text);
        let lists = parsed.documents.iter().flat_map(|document| match &document.value {
            Value::Mapping(pairs) => pairs.iter().collect(),
            _ => Vec::new(),
        });
        let items = lists.flat_map(|list| match &list.value.value {
            Value::Sequence(items) => items.iter().collect(),
            _ => Vec::new(),
        });
        items.map(begin).collect()
    }

    #[track_caller]
    fn removed(text: &str, at: usize) -> Result<String, YamlEditError> {
        remove_entry(text, places(text)[at])
    }

    #[test]
    fn an_entry_goes_and_every_other_byte_stays() {
        let two = "# mine\napplication_credentials:   # all\n  # one\n  - domain: a\n    client_secret: |\n      x\n\n      y\n\n  -   {domain: b}  # flow\n";
        assert_eq!(
            removed(two, 0).unwrap(),
            "# mine\napplication_credentials:   # all\n  # one\n\n  -   {domain: b}  # flow\n"
        );
        let only_a = removed(two, 1).unwrap();
        assert!(two.starts_with(&only_a) && only_a.ends_with("y\n\n"), "{only_a}");
        assert_eq!(
            removed(&only_a, 0).unwrap(),
            "# mine\napplication_credentials: []   # all\n  # one\n\n"
        );
        let flow = "application_credentials: [{domain: a}, {domain: b},\r\n  {domain: c}]\r\n";
        for (at, expected) in [
            (0, "application_credentials: [{domain: b},\r\n  {domain: c}]\r\n"),
            (1, "application_credentials: [{domain: a}, {domain: c}]\r\n"),
            (2, "application_credentials: [{domain: a}, {domain: b}]\r\n"),
        ] {
            assert_eq!(removed(flow, at).unwrap(), expected);
        }
        assert_eq!(
            removed("application_credentials: [ {a: b} ]", 0).unwrap(),
            "application_credentials: []"
        );
        let several = "a: 1\n---\napplication_credentials:\n- domain: a\n- domain: b";
        assert_eq!(
            removed(several, 1).unwrap(),
            "a: 1\n---\napplication_credentials:\n- domain: a\n"
        );
    }

    #[test]
    fn what_others_refer_to_does_not_go() {
        let anchored = "application_credentials:\n  - &a {domain: a}\n  - {<<: *a, name: b}\n";
        assert_eq!(removed(anchored, 0), Err(YamlEditError::Line(2, Obstacle::Anchor)));
        let left = removed(anchored, 1).unwrap();
        assert_eq!(removed(&left, 0).unwrap(), "application_credentials: []\n");
    }

    #[track_caller]
    fn renamed(text: &str) -> String {
        rename_entry(text, places(text)[0], "old", "new").unwrap()
    }

    #[test]
    fn an_entry_gets_a_key_and_says_which_it_had() {
        let rest = "    client_secret: |\n      x\n  - {domain: b, key: old2}\n";
        for (before, after) in [
            ("domain: a # it\n", "domain: a # it\n    key: new\n    formerly: [old]\n"),
            (
                "domain: a\n    key: 'old' # k\n",
                "domain: a\n    formerly: [old]\n    key: new # k\n",
            ),
            (
                "key: old\n    formerly: [new, older]\n    domain: a\n",
                "key: new\n    formerly: [older, old]\n    domain: a\n",
            ),
            (
                "domain: a\n    formerly:\n      - older\n      - 'yes'\n",
                "domain: a\n    key: new\n    formerly: [older, \"yes\", old]\n",
            ),
        ] {
            let manifest = |entry: &str| format!("application_credentials:\n  - {entry}{rest}");
            assert_eq!(renamed(&manifest(before)), manifest(after));
        }
        assert_eq!(
            renamed("application_credentials: [{domain: a, name: old}]"),
            "application_credentials: [{key: new, formerly: [old], domain: a, name: old}]"
        );
        assert_eq!(
            renamed("application_credentials:\r\n- domain: a"),
            "application_credentials:\r\n- domain: a\r\n  key: new\r\n  formerly: [old]\r\n"
        );
    }

    #[test]
    fn a_key_that_comes_from_elsewhere_is_replaced_in_the_entry_alone() {
        let text = "k: &k old\napplication_credentials:\n  - {domain: a, key: *k}\n";
        let expected =
            "k: &k old\napplication_credentials:\n  - {formerly: [old], domain: a, key: new}\n";
        assert_eq!(renamed(text), expected);
        let merged =
            "application_credentials:\n  - &x {domain: a, key: old}\n  - {<<: *x, name: n}\n";
        let place = places(merged)[0];
        assert_eq!(
            rename_entry(merged, place, "old", "new"),
            Err(YamlEditError::Line(2, Obstacle::Anchor))
        );
    }
}
