//! What can be wrong with YAML itself.

use std::sync::Arc;

use granit_parser::{ErrorKind, ScanError};

use super::foreign::foreign_line;
use super::{INCLUDES, MAX_DEPTH, MAX_DOCUMENTS, Tag};
use crate::diagnostic::{Diagnostic, ProblemCode, SourceFile, Span, Spot};
use crate::model::{FieldName, MERGE_CONFLICT_HELP, conflict_marker};

/// How an age file and a key begin.
const BLOCK_BEGINS: &str = "-----BEGIN ";

/// A problem in a text of which only the text is known, not yet the file.
#[derive(Clone, Debug)]
pub(crate) struct YamlFault {
    code: ProblemCode,
    message: String,
    span: Span,
    related: Option<Box<(Span, &'static str)>>,
    help: Option<String>,
}

impl YamlFault {
    /// A fault at a place.
    pub(super) fn new(code: ProblemCode, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, related: None, help: None }
    }

    /// Says what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Names another place that matters.
    pub(super) fn related(self, span: Span, what: &'static str) -> Self {
        Self { related: Some(Box::new((span, what))), ..self }
    }

    /// The problem as it is reported.
    pub(crate) fn into_diagnostic(self, file: &Arc<SourceFile>) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.code, self.message).at(file, self.span);
        if let Some((span, what)) = self.related.map(|related| *related) {
            diagnostic = diagnostic.related(Spot { file: Arc::clone(file), span }, what);
        }
        diagnostic.help = self.help;
        diagnostic
    }

    /// The line that it is in.
    pub(crate) fn line(&self) -> u32 {
        self.span.line
    }

    /// Whether a key is there twice, and nothing else is wrong.
    pub(crate) fn is_duplicate_key(&self) -> bool {
        self.code == ProblemCode::DuplicateKey
    }

    pub(super) fn duplicate_key(key: &str, span: Span, first: Span) -> Self {
        Self::new(ProblemCode::DuplicateKey, span, format!("{} is given twice", FieldName(key)))
            .related(first, "first given here")
            .help("keep one of the two")
    }

    pub(super) fn merge_conflict(span: Span) -> Self {
        Self::new(ProblemCode::MergeConflict, span, "unresolved merge conflict")
            .help(MERGE_CONFLICT_HELP)
    }

    pub(super) fn key_not_text(span: Span) -> Self {
        Self::new(ProblemCode::KeyNotText, span, "a key must be text, not a list or a mapping")
    }

    pub(super) fn unknown_alias(span: Span) -> Self {
        Self::new(ProblemCode::UnknownAlias, span, "no anchor of this name is defined before this alias")
            .help("`&name` defines an anchor for the rest of its document; text that begins with `*` needs quotes")
    }

    pub(super) fn alias_in_itself(span: Span) -> Self {
        Self::new(
            ProblemCode::AliasInItself,
            span,
            "this alias is inside the value that it refers to",
        )
    }

    /// ESPHome's files of secrets take in those of Home Assistant in this way.
    pub(super) fn bad_merge(span: Span, tag: Option<Box<Tag>>) -> Self {
        match tag.map(|tag| *tag).filter(|tag| INCLUDES.contains(&tag.name.as_str())) {
            Some(Tag { name, span }) => {
                let message = format!("`<<` has `!{name}`, which appcred does not read");
                Self::new(ProblemCode::BadMerge, span, message).help("appcred includes no files: write here what that file holds; for secrets remove the line, since `!secret` looks into secrets.yaml of the folders above too")
            }
            None => Self::new(
                ProblemCode::BadMerge,
                span,
                "`<<` takes a mapping, or a list of mappings",
            )
            .help("name one by an alias, as in `<<: *name`, or write its fields here"),
        }
    }

    pub(super) fn too_deep(span: Span) -> Self {
        Self::new(ProblemCode::TooDeep, span, format!("nested more than {MAX_DEPTH} levels deep"))
    }

    pub(super) fn too_many_nodes(span: Span) -> Self {
        Self::new(ProblemCode::TooManyValues, span, "too many values once the aliases are expanded")
            .help("split the file, or write fewer aliases of aliases")
    }

    pub(super) fn too_many_documents(span: Span) -> Self {
        Self::new(
            ProblemCode::TooManyDocuments,
            span,
            format!("more than {MAX_DOCUMENTS} documents in one file"),
        )
        .help("split the file")
    }

    /// The parser's error, in words for users.
    pub(super) fn syntax(error: &ScanError, text: &str, span: Span) -> Self {
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return Self::too_deep(span);
        }
        let span = match is_tab(error.kind()) {
            true => indenting_tab(text, span.start).unwrap_or(span),
            false => span,
        };
        if let Some(conflict) = indented_conflict(text, span.start) {
            return Self::merge_conflict(conflict);
        }
        if let Some(fault) = foreign_line(text, span.start) {
            return fault;
        }
        if text.get(span.start..).is_some_and(|rest| rest.starts_with(BLOCK_BEGINS)) {
            let message =
                "not valid YAML: this block of text is not indented deeper than its field";
            return Self::new(ProblemCode::YamlSyntax, span, message)
                .help("indent each of its lines by two spaces more than the field, and end that one with `|`");
        }
        if let Some((span, character)) = other_space(text, span.start) {
            let message =
                format!("not valid YAML: U+{:04X} is not a space in YAML", u32::from(character));
            return Self::new(ProblemCode::YamlSyntax, span, message).help(
                "write a space in its place: editors show both alike, and web pages have it",
            );
        }
        if let Some((span, field)) = missing_space(text, span.start) {
            let message = format!("not valid YAML: a space is missing after `{field}:`");
            return Self::new(ProblemCode::YamlSyntax, span, message)
                .help("write a space between the field and its value");
        }
        if let Some(span) = missing_space_of_item(text, span.start) {
            let message = "not valid YAML: a space is missing after `-`";
            return Self::new(ProblemCode::YamlSyntax, span, message)
                .help("write `- ` before each item of a list");
        }
        let (message, mut help) = explain(error.kind());
        // The project that `init` makes has a list without entries.
        let before = text.get(..span.start).unwrap_or_default();
        let before = before.trim_end_matches(['-', ' ', '\t', '\n', '\r']);
        if before.ends_with("[]") || before.ends_with("{}") {
            help = Some("remove the `[]` or `{}` before it: that says that there is nothing in it");
        }
        let fault = Self::new(ProblemCode::YamlSyntax, span, format!("not valid YAML: {message}"));
        Self { help: help.map(str::to_owned), ..fault }
    }
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabNotAllowed
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart
    )
}

/// The first tab that indents from the line on in which the parser noticed it: it names the text before, which the tab
/// would go on.
fn indenting_tab(text: &str, noticed: usize) -> Option<Span> {
    let before = text.get(..noticed)?;
    let mut start = before.rfind('\n').map_or(0, |at| at + 1);
    for line in text[start..].split_inclusive('\n') {
        let indent = line.find(|sign: char| !matches!(sign, ' ' | '\t')).unwrap_or(0);
        if let Some(tab) = line[..indent].find('\t') {
            return Some(Span::of(text, start + tab..start + tab + 1));
        }
        start += line.len();
    }
    None
}

/// A character that looks like a space where YAML needs one, in the line in which the parser noticed something or the one
/// before: after the indentation, a `- ` or the name of a field.
fn other_space(text: &str, noticed: usize) -> Option<(Span, char)> {
    let is_other = |sign: char| !sign.is_ascii() && (sign.is_whitespace() || sign == '\u{200b}');
    lines_before(text, noticed).find_map(|(start, line)| {
        let named = line.match_indices(':').map(|(at, _)| at + 1);
        let mut places = std::iter::once(content(line)).chain(named);
        places.find_map(|at| {
            let sign = line[at..].chars().next().filter(|sign| is_other(*sign))?;
            Some((Span::of(text, start + at..start + at + sign.len_utf8()), sign))
        })
    })
}

/// The name of a field that its value follows at once, which makes both one text, in the same lines.
fn missing_space(text: &str, noticed: usize) -> Option<(Span, &str)> {
    lines_before(text, noticed).find_map(|(start, line)| {
        let at = content(line);
        let (field, value) = line[at..].split_once(':')?;
        let is_field = |sign: char| sign.is_ascii_lowercase() || sign == '_';
        let is_joined = !field.is_empty()
            && field.chars().all(is_field)
            && !value.contains(": ")
            && value.starts_with(|sign: char| !sign.is_whitespace() && sign != '/');
        is_joined.then(|| (Span::of(text, start + at..start + at + field.len() + 1), field))
    })
}

/// The `-` of an item that its first field follows at once, which makes both one text, in the same lines.
fn missing_space_of_item(text: &str, noticed: usize) -> Option<Span> {
    lines_before(text, noticed).find_map(|(start, line)| {
        let at = line.len() - line.trim_start_matches(' ').len();
        let field = line[at..].strip_prefix('-')?;
        let is_field =
            field.starts_with(|first: char| first.is_ascii_lowercase()) && field.contains(": ");
        is_field.then(|| Span::of(text, start + at..start + at + 1))
    })
}

/// The first marker of a conflict that is indented, up to the line in which the parser noticed something.
fn indented_conflict(text: &str, noticed: usize) -> Option<Span> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if start > noticed {
            return None;
        }
        let at = start + line.len() - line.trim_start_matches(' ').len();
        if let Some(marker) = conflict_marker(&text[at..start + line.len()]) {
            return Some(Span::of(text, at..at + marker.len()));
        }
        start += line.len();
    }
    None
}

/// The line in which the parser noticed something and the one before, which begins the text that it goes on with, with
/// where they begin.
fn lines_before(text: &str, noticed: usize) -> impl Iterator<Item = (usize, &str)> {
    let before = text.get(..noticed).unwrap_or_default();
    let line = before.rfind('\n').unwrap_or(0);
    let first = before[..line].rfind('\n').map_or(0, |at| at + 1);
    let lines = text[first..].split_inclusive('\n').take(2);
    lines.scan(first, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    })
}

/// Where a line has something behind its indentation and what begins an item of a list.
fn content(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}

fn explain(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let (message, help) = match kind {
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed", None),
        ErrorKind::UnclosedFlowCollection { open } => {
            return (format!("this `{open}` is never closed"), None);
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "`:` is not allowed here",
            Some("check the indentation, or quote the text if it holds a `: `"),
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected => (
            "`key: value` is expected here",
            Some("check the indentation: the fields of one entry begin in the same column"),
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            "another `- ` is expected here",
            Some(
                "check the indentation: the fields of one entry begin in the same column, and so do the `- ` of one list",
            ),
        ),
        kind if is_tab(kind) => ("a tab cannot indent", Some("indent with spaces")),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            return (
                format!(
                    "U+{:04X} is a control character, which YAML does not allow",
                    u32::from(*character)
                ),
                Some("remove it; in \"…\" it can be written as an escape"),
            );
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return (
                format!("text cannot begin with `{}`", character.escape_debug()),
                Some("quote the text"),
            );
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "unexpected text after the closing quote",
            Some("a `'` inside of '…' is written `''`, a `\"` inside of \"…\" is written `\\\"`"),
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            "this text has a `\\` that begins no valid escape",
            Some("write `\\\\` for a backslash, or use '…', which has no escapes"),
        ),
        ErrorKind::MissingAnchorOrAliasName => (
            "a `*` or `&` begins the name of an anchor, and has none here",
            Some("text that begins with `*` or `&` needs quotes, as in `\"*\"`"),
        ),
        ErrorKind::UndeclaredTagHandle => {
            ("this tag has two `!`, but its handle is not declared", None)
        }
        ErrorKind::ExpectedFlowMappingSeparator => ("`,` or `}` is expected here", None),
        ErrorKind::ExpectedFlowSequenceSeparator => ("`,` or `]` is expected here", None),
        other => return (other.to_string(), None),
    };
    (message.to_owned(), help)
}
