//! From the tree to a document of SOPS.

use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::build::parse_unmerged;
use super::{Node, Pair, Parsed, Style, Value};
use crate::model::sops::{
    Leaf, Metadata, ParsedSops, Parts, Path, Rule, ScalarStyle, SopsFault, SopsKey, SopsRecipient,
    SopsText, short,
};

/// The key under which SOPS keeps what it needs itself.
pub(crate) const SOPS: &str = "sops";

/// A text as a document of SOPS; `None` where SOPS says nothing of it.
pub(crate) fn sops_document(
    text: &Arc<Zeroizing<String>>,
    parsed: &Parsed<'_>,
) -> Option<ParsedSops> {
    is_sops(&parsed.documents).then(|| {
        let parts = sops_parts(text, parsed, &mut |_, _| {});
        ParsedSops::new(Arc::clone(text), parts)
    })
}

/// Whether SOPS says something of one of these documents.
pub(crate) fn is_sops(documents: &[Node<'_>]) -> bool {
    documents.iter().any(|document| field(document, SOPS).is_some())
}

/// What a document of SOPS is made of. `note` is called with the place where each key and each item of
/// a list begins, and the collection that it belongs to.
pub(crate) fn sops_parts(
    text: &str,
    parsed: &Parsed<'_>,
    note: &mut impl FnMut(usize, Path),
) -> Result<Parts, SopsFault> {
    if !parsed.whole || !parsed.faults.is_empty() {
        return Err(SopsFault::Syntax);
    }
    if parsed.merges {
        // SOPS takes `<<` for a key as any other, and binds what is under it to it.
        return sops_parts(text, &parse_unmerged(text), note);
    }
    let mut reader = PartsReader { text, parts: Parts::default(), next: 0, in_list: false, note };
    for document in &parsed.documents {
        reader.document(document)?;
    }
    let said = parsed.documents.iter().find_map(|document| field(document, SOPS));
    reader.parts.metadata = said.map(|said| metadata(said, text)).transpose()?;
    reader.parts.leaves.shrink_to_fit();
    reader.parts.keys.shrink_to_fit();
    Ok(reader.parts)
}

struct PartsReader<'r, N> {
    text: &'r str,
    parts: Parts,
    /// Where the next key is, if it was met behind the last one before.
    next: usize,
    in_list: bool,
    note: &'r mut N,
}

impl<N: FnMut(usize, Path)> PartsReader<'_, N> {
    /// One of several documents in a file.
    fn document(&mut self, node: &Node<'_>) -> Result<(), SopsFault> {
        let Value::Mapping(pairs) = &node.value else {
            return self.node(node, Path::default(), false);
        };
        let is_flow = self.is_flow(node);
        for pair in pairs.iter().filter(|pair| pair.key.text != SOPS) {
            self.pair(pair, Path::default(), is_flow)?;
        }
        Ok(())
    }

    fn is_flow(&self, node: &Node<'_>) -> bool {
        self.text[node.span.start..].starts_with(['{', '['])
    }

    fn pair(&mut self, pair: &Pair<'_>, under: Path, is_flow: bool) -> Result<(), SopsFault> {
        (self.note)(pair.key.span.start, under);
        let path = self.key(pair, under);
        self.node(&pair.value, path, is_flow)
    }

    /// Finds the key where it was met before, as in each mapping of a list, or adds it.
    fn key(&mut self, pair: &Pair<'_>, under: Path) -> Path {
        let keys = &mut self.parts.keys;
        let is_there = keys
            .get(self.next)
            .is_some_and(|key| key.under == under && key.text.of(self.text) == pair.key.text);
        if !is_there {
            self.next = keys.len();
            let text = text(&pair.key.text, pair.key.span.start, pair.key.span.end, self.text);
            keys.push(SopsKey { under, text });
        }
        self.next += 1;
        Path::behind(self.next)
    }

    fn node(&mut self, node: &Node<'_>, path: Path, is_flow: bool) -> Result<(), SopsFault> {
        if node.alias {
            return Err(SopsFault::Alias);
        }
        let is_flow = is_flow || self.is_flow(node);
        match &node.value {
            Value::Null | Value::Invalid => {}
            Value::Scalar(scalar) => {
                let form = match scalar.style {
                    _ if node.tag.is_some() => ScalarStyle::Strange,
                    Style::Block => ScalarStyle::Block,
                    _ if is_flow => ScalarStyle::Flow,
                    _ => ScalarStyle::Word,
                };
                self.parts.leaves.push(Leaf {
                    at: short(node.span.start),
                    end: short(node.span.end),
                    path,
                    form,
                    is_plain: scalar.style == Style::Plain,
                    in_list: self.in_list,
                    text: text(&scalar.text, node.span.start, node.span.end, self.text),
                });
            }
            Value::Sequence(items) => {
                let first = self.parts.keys.len();
                let in_list = std::mem::replace(&mut self.in_list, true);
                for item in items {
                    (self.note)(item.span.start, path);
                    self.next = first;
                    self.node(item, path, is_flow)?;
                }
                self.in_list = in_list;
            }
            Value::Mapping(pairs) => {
                for pair in pairs {
                    self.pair(pair, path, is_flow)?;
                }
            }
        }
        Ok(())
    }
}

/// A text that is written from one byte to before another, with or without quotes.
fn text(said: &str, start: usize, end: usize, document: &str) -> SopsText {
    let is_there = |start: usize, end: usize| document.get(start..end) == Some(said);
    if is_there(start, end) {
        SopsText::Stretch(short(start), short(end))
    } else if is_there(start + 1, end.saturating_sub(1)) {
        SopsText::Stretch(short(start + 1), short(end - 1))
    } else {
        SopsText::Own(Zeroizing::new(said.into()))
    }
}

/// What SOPS says, as far as it is asked for.
fn metadata(node: &Node<'_>, text: &str) -> Result<Metadata, SopsFault> {
    let Value::Mapping(_) = &node.value else { return Err(SopsFault::Metadata) };
    let word = |name| Ok(word(node, name, text)?.unwrap_or_default());
    let by_comment = [word("encrypted_comment_regex")?, word("unencrypted_comment_regex")?];
    let groups = items(node, "key_groups")?.iter();
    Ok(Metadata {
        mac: word("mac")?,
        lastmodified: word("lastmodified")?,
        version: word("version")?,
        mac_only_encrypted: match field(node, "mac_only_encrypted").map(|node| &node.value) {
            None | Some(Value::Null) => false,
            Some(Value::Scalar(scalar)) => scalar.boolean().ok_or(SopsFault::Metadata)?,
            Some(_) => return Err(SopsFault::Metadata),
        },
        encrypted: Rule { regex: word("encrypted_regex")?, suffix: word("encrypted_suffix")? },
        unencrypted: Rule {
            regex: word("unencrypted_regex")?,
            suffix: word("unencrypted_suffix")?,
        },
        by_comment: by_comment.iter().any(|rule| !rule.of(text).is_empty()),
        recipients: recipients(node, text)?,
        groups: groups.map(|group| recipients(group, text)).collect::<Result<_, _>>()?,
        other_keys: other_keys(node)?,
        threshold: match word("shamir_threshold")?.of(text) {
            "" => 0,
            number => number.parse().map_err(|_| SopsFault::Metadata)?,
        },
    })
}

/// The fields of SOPS for keys that no age identity opens, and what people call these.
const OTHER_KEYS: &[(&str, &str)] = &[
    ("pgp", "PGP"),
    ("kms", "AWS KMS"),
    ("gcp_kms", "Google Cloud KMS"),
    ("azure_kv", "Azure Key Vault"),
    ("hc_vault", "HashiCorp Vault"),
    ("hckms", "Huawei Cloud KMS"),
];

fn other_keys(node: &Node<'_>) -> Result<Vec<&'static str>, SopsFault> {
    let mut found = Vec::new();
    for group in std::iter::once(node).chain(items(node, "key_groups")?) {
        for (field, name) in OTHER_KEYS {
            if !items(group, field)?.is_empty() && !found.contains(name) {
                found.push(*name);
            }
        }
    }
    Ok(found)
}

fn recipients(group: &Node<'_>, text: &str) -> Result<Vec<SopsRecipient>, SopsFault> {
    let recipient = |node| {
        Ok(SopsRecipient {
            recipient: word(node, "recipient", text)?.unwrap_or_default(),
            enc: word(node, "enc", text)?.ok_or(SopsFault::Metadata)?,
        })
    };
    items(group, "age")?.iter().map(recipient).collect()
}

/// The text of a field; a boolean is none.
fn word(node: &Node<'_>, name: &str, document: &str) -> Result<Option<SopsText>, SopsFault> {
    let Some(found) = field(node, name) else { return Ok(None) };
    match &found.value {
        Value::Null => Ok(None),
        Value::Scalar(scalar) if scalar.boolean().is_none() => {
            Ok(Some(text(&scalar.text, found.span.start, found.span.end, document)))
        }
        _ => Err(SopsFault::Metadata),
    }
}

fn items<'n, 't>(node: &'n Node<'t>, name: &str) -> Result<&'n [Node<'t>], SopsFault> {
    match field(node, name).map(|node| &node.value) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Sequence(items)) => Ok(items),
        Some(_) => Err(SopsFault::Metadata),
    }
}

fn field<'n, 't>(node: &'n Node<'t>, name: &str) -> Option<&'n Node<'t>> {
    let Value::Mapping(pairs) = &node.value else { return None };
    pairs.iter().find(|pair| pair.key.text == name).map(|pair| &pair.value)
}
