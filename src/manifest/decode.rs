//! A file that is being read: the places of its values, and what is wrong with them.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::deserialize::Reader;
use super::reference::SOPS_HEADER;
use super::schema;
use super::tags;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, SourceFile, Span, Spot};
use crate::field::{Field, FieldRefusal, Raw, TEMPLATE, Text, Texts};
use crate::model::{FieldName, Place, hidden_character, is_template, named, sops};
use crate::suggest::{listed, nearest};
use crate::yaml::{self, Kind, MappingKey, Node, Pair, Parsed, Scalar, Style, Value};

/// Where a value is.
#[derive(Clone, Copy)]
pub(super) struct Site<'n> {
    pub(super) node: &'n Node<'n>,
    /// The key that it has; in a list, that of the list.
    pub(super) key: Option<&'n MappingKey<'n>>,
    pub(super) is_item: bool,
}

impl<'n> Site<'n> {
    /// A document.
    pub(super) fn top(node: &'n Node<'n>) -> Self {
        Self { node, key: None, is_item: false }
    }

    pub(super) fn of_pair(pair: &'n Pair<'n>) -> Self {
        Self { node: &pair.value, key: Some(&pair.key), is_item: false }
    }

    /// The same without what its value is.
    pub(super) fn lost(self) -> Self {
        Self { node: &yaml::INVALID, ..self }
    }

    pub(super) fn span(&self) -> Span {
        self.node.span
    }

    pub(super) fn key_span(&self) -> Span {
        self.key.map_or(self.node.span, |key| key.span)
    }

    /// The key as it is written.
    pub(super) fn key_text(&self) -> &'n str {
        self.key.map_or("", |key| &key.text)
    }

    /// Where a mapping begins: at its first key, unless that is elsewhere in the file.
    pub(super) fn start(&self) -> Span {
        match &self.node.value {
            Value::Mapping(pairs) if !self.node.alias => pairs
                .first()
                .filter(|first| !first.merged)
                .map_or(self.node.span, |first| first.key.span),
            _ => self.node.span,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// The pairs of a mapping.
    pub(super) fn pairs(self) -> Result<&'n [Pair<'n>], FieldRefusal> {
        match &self.node.value {
            Value::Mapping(pairs) if self.node.tag.is_none() => Ok(pairs),
            _ => Err(wrong_kind(self.node, "a mapping")),
        }
    }

    /// The items of a list.
    pub(super) fn list(self) -> Result<impl Iterator<Item = Self>, FieldRefusal> {
        self.items().ok_or_else(|| wrong_kind(self.node, "a list"))
    }

    /// The items, where it is a list.
    pub(super) fn items(self) -> Option<impl Iterator<Item = Self>> {
        match &self.node.value {
            Value::Sequence(items) if self.node.tag.is_none() => {
                Some(items.iter().map(move |node| Self { node, is_item: true, ..self }))
            }
            _ => None,
        }
    }
}

/// As messages call the value.
impl Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_item {
            f.write_str("an item of ")?;
        }
        FieldName(self.key_text()).fmt(f)
    }
}

/// A file that is being read, and what was found wrong in it.
pub(super) struct Decoder<'n> {
    pub(super) file: &'n Arc<SourceFile>,
    pub(super) path: Arc<Path>,
    /// The file as SOPS sees it, where SOPS encrypted it.
    pub(super) sops: Option<Arc<sops::ParsedSops>>,
    /// Whether a value may look like a placeholder.
    pub(super) allow_placeholders: Cell<bool>,
    problems: RefCell<Diagnostics>,
    /// The places of the fields that were read. Serde cannot hand on a place, but a number.
    sites: RefCell<Vec<Site<'n>>>,
}

impl<'n> Decoder<'n> {
    /// Reads what a text is made of. The faults of YAML are reported at once.
    pub(super) fn new(file: &'n Arc<SourceFile>, parsed: &'n Parsed<'n>) -> Self {
        let decoder = Self {
            file,
            path: file.path().into(),
            sops: yaml::sops_document(file.text(), parsed).map(Arc::new),
            allow_placeholders: Cell::default(),
            problems: RefCell::default(),
            sites: RefCell::default(),
        };
        for fault in &parsed.faults {
            decoder.report(fault.clone().into_diagnostic(file));
        }
        decoder
    }

    /// Reports what was found elsewhere.
    pub(super) fn report_all(&self, problems: Diagnostics) {
        self.problems.borrow_mut().append(problems);
    }

    pub(super) fn into_problems(self) -> Diagnostics {
        self.problems.into_inner()
    }

    /// Reads a value as a type. What is wrong is reported.
    pub(super) fn read<T: Deserialize<'n>>(&self, site: Site<'n>) -> Option<T> {
        Field::deserialize(Reader::new(self, site)).ok()?.value
    }

    pub(super) fn keep(&self, site: Site<'n>) -> usize {
        let mut sites = self.sites.borrow_mut();
        sites.push(site);
        sites.len() - 1
    }

    pub(super) fn site<T>(&self, field: &Field<T>) -> Site<'n> {
        self.site_at(field.site)
    }

    pub(super) fn site_at(&self, number: usize) -> Site<'n> {
        self.sites.borrow()[number]
    }

    /// The place of a value that is read from its node, unless it is missing.
    pub(super) fn raw<S>(&self, field: &Field<Raw<S>>) -> Option<Site<'n>> {
        field.value.as_ref().map(|_| self.site(field))
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place { file: Arc::clone(&self.path), line: span.line, column: span.column }
    }

    pub(super) fn spot(&self, span: Span) -> Spot {
        Spot { file: Arc::clone(self.file), span }
    }

    /// Reports a problem.
    pub(super) fn report(&self, problem: Diagnostic) {
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.borrow().has_errors()
    }

    /// An error at a place of this file.
    pub(super) fn error(
        &self,
        code: ProblemCode,
        span: Span,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.file, span)
    }

    /// Reports a field that a mapping cannot have. The one that was most likely meant comes back.
    pub(super) fn unknown_field<'k>(
        &self,
        key: &MappingKey<'_>,
        mapping: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) -> Option<&'k str> {
        let near = nearest(&key.text, known.clone());
        let unknown = named("unknown field", &key.text);
        let message = match near {
            Some(near) => format!("{unknown}: did you mean `{near}`?"),
            None => unknown.to_string(),
        };
        let own = listed(known.filter(|name| *name != yaml::SOPS));
        let problem = self.error(ProblemCode::UnknownField, key.span, message);
        // What other programs keep in a field of its own for aliases.
        let behind = self.file.text().get(key.span.end..).unwrap_or_default();
        let has_anchor = behind.trim_start_matches([':', ' ']).starts_with('&');
        self.report(problem.help(match schema::mapping_with(&key.text) {
            Some(other) => {
                format!("`{}` is a field of {other}, not of {mapping}, which has {own}", key.text)
            }
            None if has_anchor => format!(
                "{mapping} has {own}; an anchor can be at the first value that is like the others"
            ),
            None => format!("{mapping} has {own}"),
        }));
        near
    }

    /// Reports why a value is refused.
    pub(super) fn refuse(&self, site: Site<'n>, refusal: FieldRefusal) {
        let FieldRefusal { code, what, why, help, span } = refusal;
        if span.is_none() && matches!(site.node.value, Value::Invalid) {
            return;
        }
        let message = match what {
            Some(what) => format!("{what} {why}"),
            None => format!("{site} {why}"),
        };
        let problem = self.error(code, span.unwrap_or(site.span()), message);
        self.report(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    /// A value with its place, unless it is refused, which is reported.
    pub(super) fn accept<T>(
        &self,
        site: Site<'n>,
        value: Result<T, FieldRefusal>,
    ) -> Option<Located<T>> {
        let spot = self.spot(site.span());
        value.map(|value| Located { value, spot }).map_err(|why| self.refuse(site, why)).ok()
    }

    /// What a text means.
    pub(super) fn text<T>(&self, field: Field<Text<T>>) -> Option<Located<T>> {
        let site = self.site(&field);
        self.accept(site, field.value?.0)
    }

    /// Whether a text is no template. One is reported, unless the project takes placeholders.
    pub(super) fn is_filled_in(&self, what: &str, text: &str, span: Span) -> bool {
        let is_filled_in = self.allow_placeholders.get() || !is_template(text);
        if !is_filled_in {
            let (why, help) = TEMPLATE;
            let message = format!("this {what} {why}");
            self.report(self.error(ProblemCode::UnfitValue, span, message).help(help));
        }
        is_filled_in
    }

    /// The texts of a list, as far as they could be read, and whether that is all that is meant.
    pub(super) fn known_texts<T>(&self, list: Option<Texts<T>>) -> (Vec<Located<T>>, bool) {
        let Some(list) = list else { return (Vec::new(), true) };
        let count = list.value.as_ref().map(Vec::len);
        let texts = self.texts(list).unwrap_or_default();
        let is_whole = count == Some(texts.len());
        (texts, is_whole)
    }

    /// The texts of a list. Those that are wrong are reported and left out.
    pub(super) fn texts<T>(&self, list: Texts<T>) -> Option<Vec<Located<T>>> {
        Some(list.value?.into_iter().filter_map(|item| self.text(item)).collect())
    }
}

/// A scalar without a tag that is text, and not empty; its quotes are no part of it.
pub(super) fn plain_text<'n>(node: &'n Node<'_>) -> Result<&'n str, FieldRefusal> {
    let text = match &node.value {
        Value::Scalar(scalar) if node.tag.is_none() && scalar.kind() == Kind::Text => {
            unbroken(scalar)
        }
        _ => return Err(wrong_kind(node, "text")),
    };
    if text.trim().is_empty() {
        return Err(FieldRefusal::new(ProblemCode::EmptyValue, "is empty"));
    }
    if text.starts_with(SOPS_HEADER) {
        return Err(encrypted_by_sops());
    }
    match hidden_character(text) {
        Some(which) => {
            let help = match text.contains(['\n', '\r']) {
                true => "write it in one line",
                false => "type the text again instead of copying it",
            };
            let why = format!("has {which}");
            Err(FieldRefusal::new(ProblemCode::HiddenCharacter, why).help(help))
        }
        None => Ok(text),
    }
}

fn encrypted_by_sops() -> FieldRefusal {
    let why = "is encrypted by SOPS, but must be readable without a key";
    FieldRefusal::new(ProblemCode::SopsValue, why)
        .help("in manifests and appcred.yaml, let SOPS encrypt secrets only: `encrypted_regex: ^(client_secret|token|headers|client_key|proxy|webhook)$` in .sops.yaml")
}

/// How many of several.
pub(super) enum Amount {
    Count(usize),
    /// So many percent.
    Percent(u8),
}

/// Reads `3` or `20%`; none where it is neither.
pub(super) fn amount(node: &Node<'_>) -> Option<Amount> {
    let Value::Scalar(scalar) = &node.value else { return None };
    match (scalar.kind(), scalar.text.strip_suffix('%')) {
        (Kind::Number, _) => scalar.text.parse().ok().map(Amount::Count),
        (Kind::Text, Some(percent)) => {
            percent.parse().ok().filter(|percent| *percent <= 100).map(Amount::Percent)
        }
        _ => None,
    }
}

/// Says that a value is of another kind than it must be.
pub(super) fn wrong_kind(node: &Node<'_>, wanted: &str) -> FieldRefusal {
    if let Some(tag) = &node.tag {
        return tags::unexpected(tag);
    }
    let (is, quotable) = match &node.value {
        Value::Null | Value::Invalid => {
            return FieldRefusal::new(ProblemCode::MissingValue, "has no value")
                .help("give it a value");
        }
        Value::Scalar(scalar) if scalar.text.starts_with(SOPS_HEADER) => {
            return encrypted_by_sops();
        }
        Value::Scalar(scalar) => (scalar.kind().name(), scalar.kind() != Kind::Text),
        Value::Sequence(_) => ("a list", false),
        Value::Mapping(_) => ("a mapping", false),
    };
    let refusal = FieldRefusal::new(ProblemCode::WrongKind, format!("must be {wanted}, not {is}"));
    match wanted {
        "text" if quotable => refusal.help("quote it, as in \"…\""),
        "a list" if is == "a mapping" => refusal.help("begin each item with `- `"),
        "a mapping" if is == "a list" => {
            refusal.help("write `name: value` on a line of its own for each, without `- `")
        }
        "a mapping" => refusal.help("write `name: value` below it, on a line of its own for each"),
        "a list" => refusal.help("write `[one, two]`, or each item on a line with `- ` before it"),
        _ => refusal,
    }
}

/// The text without the line break that ends every block scalar.
pub(super) fn unbroken<'n>(scalar: &'n Scalar<'_>) -> &'n str {
    match scalar.style {
        Style::Block => scalar.text.trim_end_matches('\n'),
        Style::Plain | Style::Quoted => &scalar.text,
    }
}
