//! Reading fields of a mapping: what is missing, unknown or of the wrong kind is reported where it is.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::reference::SOPS_HEADER;
use super::schema;
pub use crate::diagnostic::Located;
use crate::diagnostic::shown;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span, Spot};
use crate::model::{Place, hidden_character, sops};
use crate::suggest::{listed, nearest};
use crate::yaml::{self, Kind, Node, Pair, Parsed, Scalar, Style, Value};

/// A file being decoded, and what was found wrong in it.
pub(super) struct Decoder<'f> {
    pub(super) file: &'f Arc<SourceFile>,
    pub(super) problems: Diagnostics,
    pub(super) path: Arc<Path>,
    /// The file as SOPS sees it, where SOPS encrypted it.
    pub(super) sops: Option<Arc<sops::ParsedSops>>,
}

/// The fields of one mapping.
pub(super) struct MappingFields<'n, 't> {
    pairs: &'n [Pair<'t>],
    /// Those that are most likely there, but misspelt.
    misspelt: Vec<&'static str>,
    /// Where to say what is missing: the first key, or the mapping itself.
    pub(super) span: Span,
}

impl<'n, 't> MappingFields<'n, 't> {
    pub(super) fn get(&self, name: &str) -> Option<&'n Pair<'t>> {
        self.pairs.iter().find(|pair| pair.key.text == name)
    }
}

impl<'f> Decoder<'f> {
    pub(super) fn new(file: &'f Arc<SourceFile>, parsed: &Parsed<'_>) -> Self {
        let sops = yaml::sops_document(file.text(), parsed).map(Arc::new);
        Self { file, problems: Diagnostics::default(), path: file.path().into(), sops }
    }

    pub(super) fn spot(&self, span: Span) -> Spot {
        Spot { file: Arc::clone(self.file), span }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place { file: Arc::clone(&self.path), line: span.line, column: span.column }
    }

    pub(super) fn located<T>(&self, value: T, span: Span) -> Located<T> {
        Located { value, spot: self.spot(span) }
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

    /// Reports an error that needs no more words.
    pub(super) fn refuse(&mut self, code: ProblemCode, span: Span, message: impl Into<String>) {
        let problem = self.error(code, span, message);
        self.problems.push(problem);
    }

    /// The pairs of a mapping, whatever their keys.
    pub(super) fn pairs<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: impl Display,
    ) -> Option<&'n [Pair<'t>]> {
        match &node.value {
            Value::Mapping(pairs) if node.tag.is_none() => Some(pairs),
            _ => {
                self.wrong_kind(node, what, "a mapping");
                None
            }
        }
    }

    /// The fields of a mapping of this type; those that it does not have are reported.
    pub(super) fn fields<'n, 't, T: schema::FieldNames>(
        &mut self,
        node: &'n Node<'t>,
        what: &'static str,
    ) -> Option<MappingFields<'n, 't>> {
        let known = T::names();
        let pairs = self.pairs(node, what)?;
        let mut misspelt = Vec::new();
        for pair in pairs.iter().filter(|pair| !known.iter().any(|name| *name == pair.key.text)) {
            misspelt.extend(self.unknown_field(pair, what, known));
        }
        let span = match pairs.first() {
            Some(first) if !first.merged && !node.alias => first.key.span,
            _ => node.span,
        };
        Some(MappingFields { pairs, misspelt, span })
    }

    fn unknown_field(
        &mut self,
        pair: &Pair<'_>,
        what: impl Display,
        known: &'static [String],
    ) -> Option<&'static str> {
        let near = nearest(&pair.key.text, known.iter().map(String::as_str));
        let message = match (shown::is_telling(&pair.key.text), near) {
            (true, Some(near)) => {
                format!("unknown field `{}`: did you mean `{near}`?", pair.key.text)
            }
            (true, None) => format!("unknown field `{}`", pair.key.text),
            (false, _) => "unknown field".to_owned(),
        };
        let own = known.iter().map(String::as_str).filter(|name| *name != yaml::SOPS);
        let help = format!("{what} has {}", listed(own));
        let problem = self.error(ProblemCode::UnknownField, pair.key.span, message).help(help);
        self.problems.push(problem);
        near
    }

    /// A field that must be there; `place` says where, as in "in every entry".
    pub(super) fn required<'n, 't>(
        &mut self,
        fields: &MappingFields<'n, 't>,
        name: &str,
        place: &str,
    ) -> Option<&'n Pair<'t>> {
        let found = fields.get(name);
        if found.is_none() && !fields.misspelt.contains(&name) {
            let problem = self
                .error(ProblemCode::MissingField, fields.span, format!("`{name}` is missing"))
                .label(format!("it is needed {place}"));
            self.problems.push(problem);
        }
        found
    }

    /// A scalar without a tag that is text; its quotes are no part of it.
    pub(super) fn scalar<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: impl Display,
    ) -> Option<&'n Scalar<'t>> {
        match &node.value {
            Value::Scalar(scalar) if node.tag.is_none() && scalar.kind() == Kind::Text => {
                Some(scalar)
            }
            _ => {
                self.wrong_kind(node, what, "text");
                None
            }
        }
    }

    /// A text that is not empty.
    pub(super) fn text<'n>(&mut self, node: &'n Node<'_>, what: impl Display) -> Option<&'n str> {
        let scalar = self.scalar(node, &what)?;
        let text = unbroken(scalar);
        if text.trim().is_empty() {
            self.refuse(ProblemCode::EmptyValue, node.span, format!("{what} is empty"));
            return None;
        }
        if text.starts_with(SOPS_HEADER) {
            self.refuse_with(
                ProblemCode::SopsValue,
                node.span,
                format!("{what} is encrypted by SOPS, and is read without any key"),
                "let SOPS encrypt secrets only: `encrypted_regex: ^(client_id|client_secret|token)$` in .sops.yaml",
            );
            return None;
        }
        if let Some(which) = hidden_character(text) {
            self.refuse_with(
                ProblemCode::HiddenCharacter,
                node.span,
                format!("{what} has {which}"),
                "type the text again instead of copying it",
            );
            return None;
        }
        Some(text)
    }

    /// The text of a field.
    pub(super) fn field_text<'n>(&mut self, pair: &'n Pair<'_>) -> Option<&'n str> {
        self.text(&pair.value, shown::field(&pair.key.text))
    }

    /// `true` or `false`, in any of HA's spellings.
    pub(super) fn flag(&mut self, pair: &Pair<'_>) -> Option<bool> {
        let value = match &pair.value.value {
            Value::Scalar(scalar) if pair.value.tag.is_none() => scalar.boolean(),
            _ => None,
        };
        if value.is_none() {
            self.wrong_kind(&pair.value, shown::field(&pair.key.text), "`true` or `false`");
        }
        value
    }

    /// The items of a list.
    pub(super) fn list<'n, 't>(&mut self, pair: &'n Pair<'t>) -> Option<&'n [Node<'t>]> {
        match &pair.value.value {
            Value::Sequence(items) if pair.value.tag.is_none() => Some(items),
            _ => {
                self.wrong_kind(&pair.value, shown::field(&pair.key.text), "a list");
                None
            }
        }
    }

    /// A list of texts; those that are none are reported and left out.
    pub(super) fn texts(&mut self, pair: &Pair<'_>) -> Option<Vec<Located<String>>> {
        let items = self.list(pair)?;
        let what = format!("an item of {}", shown::field(&pair.key.text));
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            if let Some(text) = self.text(item, &what) {
                texts.push(self.located(text.to_owned(), item.span));
            }
        }
        Some(texts)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        pair: &Pair<'_>,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.field_text(pair)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let words = || choices.iter().map(|(word, _)| *word);
            let mut message = format!("{} cannot be this", shown::field(&pair.key.text));
            if let Some(near) = nearest(text, words()) {
                message = format!("{message}: did you mean `{near}`?");
            }
            let words = words().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
            let help = format!("it is {words}, or left out");
            self.refuse_with(ProblemCode::UnknownWord, pair.value.span, message, help);
        }
        found
    }

    /// Says that a value is of another kind than it must be.
    pub(super) fn wrong_kind(&mut self, node: &Node<'_>, what: impl Display, wanted: &str) {
        if let Some(tag) = &node.tag {
            let problem = self
                .error(ProblemCode::UnexpectedTag, tag.span, format!("{what} takes no tag"))
                .help("tags are for `client_id`, `client_secret` and `token`");
            self.problems.push(problem);
            return;
        }
        let (is, help) = match &node.value {
            Value::Lost => return,
            Value::Null => {
                let help = "give it a value".to_owned();
                return self.refuse_with(
                    ProblemCode::MissingValue,
                    node.span,
                    format!("{what} has no value"),
                    help,
                );
            }
            Value::Scalar(scalar) => match scalar.kind() {
                Kind::Text => ("text", None),
                kind => (kind.name(), (wanted == "text").then_some("quote it, as in \"…\"")),
            },
            Value::Sequence(_) => ("a list", None),
            Value::Mapping(_) => ("a mapping", None),
        };
        let help =
            help.or((wanted == "a list").then_some("write `[one, two]`, or one `- item` a line"));
        let mut problem = self.error(
            ProblemCode::WrongKind,
            node.span,
            format!("{what} must be {wanted}, not {is}"),
        );
        problem.help = help.map(str::to_owned);
        self.problems.push(problem);
    }

    /// Reports an error and what to do.
    pub(super) fn refuse_with(
        &mut self,
        code: ProblemCode,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = self.error(code, span, message).help(help);
        self.problems.push(problem);
    }
}

/// The text without the line break that ends every block scalar.
pub(super) fn unbroken<'n>(scalar: &'n Scalar<'_>) -> &'n str {
    match scalar.style {
        Style::Block => scalar.text.trim_end_matches('\n'),
        Style::Plain | Style::Quoted => &scalar.text,
    }
}
