//! From the parser's events to the tree.

use std::borrow::Cow;
use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StructureStyle};

use super::foreign::faults_of_no_yaml;
use super::scalar::Kind;
use super::{
    MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, MERGE, MappingKey, Node, Pair, Parsed, Scalar, Style, Tag,
    Value, YamlFault,
};
use crate::diagnostic::Span;

/// Up to so many keys are compared one with another; beyond that they are put in order.
const FEW_KEYS: usize = 16;

/// Reads all documents of a text. After a syntax problem it goes on at the next document.
pub(crate) fn parse(text: &str) -> Parsed<'_> {
    parse_as(text, true)
}

/// The same, where `<<` is a key as any other.
pub(crate) fn parse_unmerged(text: &str) -> Parsed<'_> {
    parse_as(text, false)
}

fn parse_as(text: &str, merging: bool) -> Parsed<'_> {
    if let Some(faults) = faults_of_no_yaml(text) {
        return Parsed { faults, ..Parsed::default() };
    }
    let mut parser = parser(text, false);
    let mut builder = Builder {
        parsed: Parsed { whole: true, ..Parsed::default() },
        merging,
        ..Builder::default()
    };
    loop {
        let broken = match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => builder.take(event, &span).err(),
            Some(Err(error)) => Some(builder.syntax(text, &error)),
        };
        let Some(fault) = broken else { continue };
        builder.abandon(fault);
        let goes_on = builder.spent <= MAX_NODES && builder.documents <= MAX_DOCUMENTS;
        if !goes_on || !matches!(parser.proceed_next_document(), Ok(true)) {
            break;
        }
    }
    builder.parsed
}

/// The places of the comments of a text, each from its `#` to the end of its line.
pub(crate) fn comments(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut parser = parser(text, true);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::StreamEnd => break,
            Event::Comment(..) => found.push(span_of(&span)),
            _ => {}
        }
    }
    found
}

fn parser(text: &str, with_comments: bool) -> Parser<'_, granit_parser::StrInput<'_>> {
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    options.set_emit_comments(with_comments);
    Parser::new_from_str_with_options(text, options)
}

#[derive(Default)]
struct Builder<'t> {
    parsed: Parsed<'t>,
    open: Vec<OpenCollection<'t>>,
    anchors: BTreeMap<usize, Anchored<'t>>,
    /// Nodes so far, in this and earlier documents.
    spent: usize,
    documents: usize,
    /// Whether `<<` merges what is under it.
    merging: bool,
}

/// A collection whose end has not been seen.
struct OpenCollection<'t> {
    span: Span,
    tag: Option<Box<Tag>>,
    anchor: usize,
    flow: bool,
    items: OpenItems<'t>,
    /// Its size and height so far.
    extent: Extent,
}

enum OpenItems<'t> {
    Sequence(Vec<Node<'t>>),
    Mapping { pairs: Vec<Pair<'t>>, key: Option<MappingKey<'t>>, merged: Option<(Span, Node<'t>)> },
}

#[derive(Clone, Copy, Default)]
struct Extent {
    size: usize,
    height: usize,
}

struct Anchored<'t> {
    node: Node<'t>,
    extent: Extent,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, at: &granit_parser::Span) -> Result<(), YamlFault> {
        let span = span_of(at);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                self.anchors.clear();
                if self.documents > MAX_DOCUMENTS {
                    return Err(YamlFault::too_many_documents(span));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = NodeTag::new(tag.as_deref(), at);
                let extent = Extent { size: 1 + text.len() / 64, height: 0 };
                let node = scalar(text, style, tag, span);
                self.spend(extent.size, span)?;
                self.finish(node, anchor, extent)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.begin(OpenItems::Sequence(Vec::new()), style, anchor, tag.as_deref(), at)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let items = OpenItems::Mapping { pairs: Vec::new(), key: None, merged: None };
                self.begin(items, style, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(anchor) => self.expand(anchor, span)?,
            Event::UnresolvedAlias(_) => {
                self.parsed.faults.push(YamlFault::unknown_alias(span));
                let node = Node { value: Value::Invalid, tag: None, span, alias: true };
                self.finish(node, 0, Extent { size: 1, height: 0 })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        items: OpenItems<'t>,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        at: &granit_parser::Span,
    ) -> Result<(), YamlFault> {
        let span = span_of(at);
        if self.open.len() >= MAX_DEPTH {
            return Err(YamlFault::too_deep(span));
        }
        self.spend(1, span)?;
        let tag = match NodeTag::new(tag, at) {
            NodeTag::Custom(tag) => Some(tag),
            NodeTag::None | NodeTag::Text | NodeTag::Core => None,
        };
        let flow = style == StructureStyle::Flow;
        let extent = Extent { size: 1, height: 1 };
        self.open.push(OpenCollection { span, tag, anchor, flow, items, extent });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), YamlFault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, last) = match open.items {
            OpenItems::Sequence(items) => {
                let last = items.last().map(|node| node.span.end);
                (Value::Sequence(items), last)
            }
            OpenItems::Mapping { mut pairs, merged, .. } => {
                self.find_duplicates(&pairs);
                let last = pairs.last().map(|pair| pair.value.span.end.max(pair.key.span.end));
                let last = last.max(merged.as_ref().map(|(_, node)| node.span.end));
                if let Some((_, node)) = merged {
                    self.merge(&mut pairs, node);
                }
                (Value::Mapping(pairs), last)
            }
        };
        // The end event of a block collection is where the next value begins.
        let end = if open.flow { end.end } else { last.unwrap_or(open.span.end) };
        let node = Node { value, tag: open.tag, span: Span { end, ..open.span }, alias: false };
        self.finish(node, open.anchor, open.extent)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node<'t>, anchor: usize, extent: Extent) -> Result<(), YamlFault> {
        if anchor != 0 {
            self.spend(extent.size, node.span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), extent });
        }
        let Some(parent) = self.open.last_mut() else {
            self.parsed.documents.push(node);
            return Ok(());
        };
        parent.extent.size += extent.size;
        parent.extent.height = parent.extent.height.max(extent.height + 1);
        match &mut parent.items {
            OpenItems::Sequence(items) => items.push(node),
            OpenItems::Mapping { pairs, key, merged } => match key.take() {
                None => *key = Some(self.parsed.key(node)),
                Some(key) if key.lost => {}
                Some(key) if self.merging && key.text == MERGE => {
                    self.parsed.merges = true;
                    if let Some((first, _)) = merged {
                        let first = *first;
                        self.parsed.faults.push(YamlFault::duplicate_key(MERGE, key.span, first));
                    } else {
                        *merged = Some((key.span, node));
                    }
                }
                Some(key) => pairs.push(Pair { key, value: node, merged: false }),
            },
        }
        Ok(())
    }

    fn expand(&mut self, anchor: usize, span: Span) -> Result<(), YamlFault> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(YamlFault::alias_in_itself(span));
        };
        let extent = anchored.extent;
        if self.open.len() + extent.height > MAX_DEPTH {
            return Err(YamlFault::too_deep(span));
        }
        self.spend(extent.size, span)?;
        let Some(anchored) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = Node { span, alias: true, ..anchored.node.clone() };
        self.finish(node, 0, extent)
    }

    fn spend(&mut self, size: usize, span: Span) -> Result<(), YamlFault> {
        self.spent += size;
        if self.spent > MAX_NODES { Err(YamlFault::too_many_nodes(span)) } else { Ok(()) }
    }

    fn find_duplicates(&mut self, pairs: &[Pair<'t>]) {
        let mut report = |pair: &Pair<'t>, first: Span| {
            let fault = YamlFault::duplicate_key(&pair.key.text, pair.key.span, first);
            self.parsed.faults.push(fault);
        };
        if pairs.len() <= FEW_KEYS {
            for (at, pair) in pairs.iter().enumerate() {
                let first = pairs[..at].iter().find(|earlier| earlier.key.text == pair.key.text);
                if let Some(first) = first {
                    report(pair, first.key.span);
                }
            }
            return;
        }
        let mut seen = BTreeMap::new();
        for pair in pairs {
            match seen.get(&*pair.key.text) {
                Some(first) => report(pair, *first),
                None => {
                    seen.insert(&*pair.key.text, pair.key.span);
                }
            }
        }
    }

    /// Adds the pairs of `<<`; what the mapping has itself, or what is earlier in a list of
    /// mappings, goes first.
    fn merge(&mut self, pairs: &mut Vec<Pair<'t>>, from: Node<'t>) {
        let span = from.span;
        let sources = match from.value {
            Value::Mapping(source) => vec![source],
            Value::Sequence(items) => {
                let mut sources = Vec::with_capacity(items.len());
                for item in items {
                    match item.value {
                        Value::Mapping(source) => sources.push(source),
                        _ => self.parsed.faults.push(YamlFault::bad_merge(item.span, item.tag)),
                    }
                }
                sources
            }
            _ => {
                self.parsed.faults.push(YamlFault::bad_merge(span, from.tag));
                return;
            }
        };
        let mut have: std::collections::BTreeSet<_> =
            pairs.iter().map(|pair| pair.key.text.clone()).collect();
        for pair in sources.into_iter().flatten() {
            if have.insert(pair.key.text.clone()) {
                pairs.push(Pair { merged: true, ..pair });
            }
        }
    }

    fn syntax(&self, text: &str, error: &granit_parser::ScanError) -> YamlFault {
        let at = *error.marker();
        let fault = YamlFault::syntax(error, text, span_of(&granit_parser::Span::empty(at)));
        match self.open.last() {
            Some(open) if open.flow && at.line() > open.span.line as usize => {
                fault.related(open.span, "opened here, and not closed before")
            }
            _ => fault,
        }
    }

    fn abandon(&mut self, fault: YamlFault) {
        self.parsed.faults.push(fault);
        self.parsed.whole = false;
        self.open.clear();
        self.anchors.clear();
    }
}

impl<'t> Parsed<'t> {
    fn key(&mut self, node: Node<'t>) -> MappingKey<'t> {
        let span = node.span;
        let (text, lost) = match node.value {
            Value::Scalar(scalar) => (scalar.text, false),
            Value::Null => (Cow::Borrowed(""), false),
            Value::Invalid => (Cow::Borrowed(""), true),
            Value::Sequence(_) | Value::Mapping(_) => {
                self.faults.push(YamlFault::key_not_text(span));
                (Cow::Borrowed(""), true)
            }
        };
        MappingKey { text, span, lost }
    }
}

/// A tag, as far as it matters.
enum NodeTag {
    None,
    /// `!` or `!!str`: the value is text.
    Text,
    /// Another of YAML's own, which says what the value shows anyway.
    Core,
    Custom(Box<Tag>),
}

impl NodeTag {
    fn new(tag: Option<&granit_parser::Tag>, at: &granit_parser::Span) -> Self {
        let Some(tag) = tag else { return Self::None };
        if tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!") {
            return Self::Text;
        }
        if tag.is_yaml_core_schema() {
            return Self::Core;
        }
        let span = at.tag_span().as_ref().map_or_else(|| span_of(at), span_of);
        let mut name = tag.original();
        name.drain(..usize::from(name.starts_with('!')));
        Self::Custom(Box::new(Tag { name, span }))
    }
}

fn scalar<'t>(text: Cow<'t, str>, style: ScalarStyle, tag: NodeTag, span: Span) -> Node<'t> {
    let style = match (style, &tag) {
        (ScalarStyle::Plain, NodeTag::Text) => Style::Quoted,
        (ScalarStyle::Plain, _) => Style::Plain,
        (ScalarStyle::Literal | ScalarStyle::Folded, _) => Style::Block,
        _ => Style::Quoted,
    };
    let tag = match tag {
        NodeTag::Custom(tag) => Some(tag),
        NodeTag::None | NodeTag::Text | NodeTag::Core => None,
    };
    // The parser puts `~` for a missing value.
    let text =
        if span.start == span.end && style == Style::Plain { Cow::Borrowed("") } else { text };
    let scalar = Scalar { text, style };
    let value = if tag.is_none() && scalar.kind() == Kind::Null {
        Value::Null
    } else {
        Value::Scalar(scalar)
    };
    Node { value, tag, span, alias: false }
}

fn span_of(span: &granit_parser::Span) -> Span {
    let byte = |marker: Marker| marker.byte_offset().unwrap_or_default();
    Span {
        start: byte(span.start),
        end: byte(span.end),
        line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
        column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
    }
}
