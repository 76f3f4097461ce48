//! A problem in what a person wrote: what, where, why, and what to do. Nothing prints here.

mod source;

use std::sync::Arc;

pub use crate::codes::ProblemCode;
pub use source::{Mask, Redacted, SourceFile, Span};

use crate::model::{Place, Visible};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is done while there is one.
    Error,
    /// Worth knowing.
    Warning,
}

/// A range of a file.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The range.
    pub span: Span,
}

impl Spot {
    /// Where it begins.
    pub fn place(&self) -> Place {
        Place { file: self.file.path().into(), line: self.span.line, column: self.span.column }
    }
}

/// Two are the same where they name the same place: what else the file holds is no part of it.
impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        let at = |spot: &Self| (spot.span.line, spot.span.column);
        self.file.path() == other.file.path() && at(self) == at(other)
    }
}

impl Eq for Spot {}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub spot: Spot,
}

/// One problem. `message`, `label` and `help` never repeat a value that may be a secret.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name for the kind of problem, as in `unknown-field`.
    pub code: ProblemCode,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; none where a whole file or the command is at fault.
    pub spot: Option<Spot>,
    /// What to say at the place itself.
    pub label: Option<String>,
    /// Another place that matters, with what it is.
    pub related: Option<(Spot, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The places that it shows.
    pub fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.spot.iter().chain(self.related.iter().map(|(spot, _)| spot))
    }

    /// It on one line: where, what, and what to do.
    pub fn line(&self) -> String {
        let place = self.spot.as_ref().map(|spot| format!("{}: ", spot.place()));
        let help = self.help.as_ref().map(|help| format!(" ({help})"));
        format!("{}{}{}", place.unwrap_or_default(), self.message, help.unwrap_or_default())
    }

    /// An error without a place.
    pub fn error(code: ProblemCode, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: one_line(message),
            spot: None,
            label: None,
            related: None,
            help: None,
        }
    }

    /// A warning without a place.
    pub fn warning(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, file: &Arc<SourceFile>, span: Span) -> Self {
        self.spot = Some(Spot { file: Arc::clone(file), span });
        self
    }

    /// Says more at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(one_line(label));
        self
    }

    /// Names another place that matters.
    #[must_use]
    pub fn related(mut self, spot: Spot, what: impl Into<String>) -> Self {
        self.related = Some((spot, one_line(what)));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(help));
        self
    }
}

/// A message may repeat names of files and of things that others named.
fn one_line(text: impl Into<String>) -> String {
    text.into().visible().into_owned()
}

/// All problems found so far.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds another bag.
    pub fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The same with every warning as an error.
    #[must_use]
    pub fn into_strict(self) -> Self {
        self.with_severity(Severity::Error)
    }

    /// The same with every error as a warning.
    #[must_use]
    pub fn into_warnings(self) -> Self {
        self.with_severity(Severity::Warning)
    }

    fn with_severity(mut self, severity: Severity) -> Self {
        self.0.iter_mut().for_each(|diagnostic| diagnostic.severity = severity);
        self
    }

    /// All but those of one kind.
    #[must_use]
    pub fn without(&self, code: ProblemCode) -> Self {
        Self(self.0.iter().filter(|diagnostic| diagnostic.code != code).cloned().collect())
    }

    /// Only those for which something holds.
    #[must_use]
    pub fn only(mut self, holds: impl Fn(&Diagnostic) -> bool) -> Self {
        self.0.retain(holds);
        self
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Adds those that say something else, or of another place.
    pub fn merge(&mut self, other: &Self) {
        for problem in &other.0 {
            let is_same =
                |one: &Diagnostic| one.spot == problem.spot && one.message == problem.message;
            if !self.0.iter().any(is_same) {
                self.0.push(problem.clone());
            }
        }
    }

    /// How many errors and how many warnings there are.
    pub fn errors_and_warnings(&self) -> (usize, usize) {
        let is_error = |problem: &&Diagnostic| problem.severity == Severity::Error;
        let errors = self.0.iter().filter(is_error).count();
        (errors, self.0.len() - errors)
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by file, line and column; those without a place first.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by(|a, b| {
            let place = |d: &Diagnostic| d.spot.as_ref().map(Spot::place);
            place(a).cmp(&place(b)).then_with(|| a.message.cmp(&b.message))
        });
        all
    }
}
