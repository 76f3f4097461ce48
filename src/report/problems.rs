//! Problems, each where it is, as compilers show them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};

use crate::diagnostic::{
    Diagnostic, Diagnostics, ProblemCode, Redacted, Severity, SourceFile, Spot,
};
use crate::model::{Visible, counted};

/// Two places at most so many lines apart are shown in one piece.
const NEAR: u32 = 8;

/// All problems in order, and their count. Secrets in the lines shown are hidden.
pub fn render(problems: &Diagnostics, color: bool) -> String {
    let sorted = problems.sorted();
    if sorted.is_empty() {
        return String::new();
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut sources = Sources::default();
    let (mut text, mut shown) = (String::new(), BTreeSet::new());
    for problem in &sorted {
        sources.learn(problem);
        match cause(problem) {
            Some((what, why)) if !shown.insert((why, &problem.help)) => {
                let message = format!("{what}`: for the same reason");
                let problem = Diagnostic { message, help: None, ..(*problem).clone() };
                let lines = one(&problem, &sources, &renderer);
                text.extend(lines.lines().take(2).map(|line| format!("{line}\n")));
                text.push('\n');
            }
            _ => {
                text.push_str(&one(problem, &sources, &renderer));
                text.push_str("\n\n");
            }
        }
    }
    text.push_str(&count(&sorted));
    text.push('\n');
    text
}

/// What cannot be read, and why, which may be why many others cannot.
fn cause(problem: &Diagnostic) -> Option<(&str, &str)> {
    let is_unread = matches!(
        problem.code,
        ProblemCode::UnreadableSecret
            | ProblemCode::MissingSecret
            | ProblemCode::GitCrypt
            | ProblemCode::LfsPointer
            | ProblemCode::AnnexPointer
    );
    is_unread.then(|| problem.message.split_once("`: ")).flatten()
}

/// The lines that each of the first `most` problems is about, in the order of [`render`].
pub fn excerpts(problems: &Diagnostics, most: usize) -> Vec<String> {
    let mut sources = Sources::default();
    let shown = problems.sorted().into_iter().take(most).map(|problem| {
        sources.learn(problem);
        one(&Diagnostic { help: None, ..problem.clone() }, &sources, &Renderer::plain())
    });
    // The page has title and place of its own.
    shown.map(|text| text.lines().skip(2).collect::<Vec<_>>().join("\n")).collect()
}

/// The redacted text of each file that has a problem, made once.
#[derive(Default)]
struct Sources(BTreeMap<*const SourceFile, Redacted>);

impl Sources {
    fn learn(&mut self, problem: &Diagnostic) {
        for spot in problem.spots() {
            self.0.entry(Arc::as_ptr(&spot.file)).or_insert_with(|| spot.file.redacted());
        }
    }

    fn source(&self, spot: &Spot) -> Option<&Redacted> {
        self.0.get(&Arc::as_ptr(&spot.file))
    }
}

fn one(problem: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.message.as_str());
    let mut group = annotate_snippets::Group::with_title(title);
    if let Some(spot) = &problem.spot {
        let primary =
            Underline { spot, kind: AnnotationKind::Primary, label: problem.label.as_deref() };
        let related = problem.related.as_ref().map(|(spot, what)| Underline {
            spot,
            kind: AnnotationKind::Context,
            label: Some(what),
        });
        match related {
            Some(related) if primary.is_near(&related) => {
                group = group.element(snippet(&[primary, related], sources));
            }
            Some(related) => {
                group = group
                    .element(snippet(&[primary], sources))
                    .element(snippet(&[related], sources));
            }
            None => group = group.element(snippet(&[primary], sources)),
        }
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut text = renderer.render(&[group]);
    problem.spots().for_each(|spot| correct_column(&mut text, spot));
    text
}

/// Behind a mask, the line that is shown has other columns than the file: the place above it says those
/// of the file.
fn correct_column(text: &mut String, spot: &Spot) {
    let place = format!("{}:{}:", spot.file.path().visible(), spot.span.line);
    // The path of another file may end like this one.
    let is_whole = |at: &usize| [" ", "\u{1b}[0m"].iter().any(|end| text[..*at].ends_with(end));
    let mut found = text.match_indices(&place).map(|(at, _)| at);
    let Some(start) = found.find(is_whole).map(|at| at + place.len()) else { return };
    let shown = text[start..].bytes().take_while(u8::is_ascii_digit).count();
    text.replace_range(start..start + shown, &spot.span.column.to_string());
}

struct Underline<'a> {
    spot: &'a Spot,
    kind: AnnotationKind,
    label: Option<&'a str>,
}

impl Underline<'_> {
    fn is_near(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.spot.file, &other.spot.file)
            && self.spot.span.line.abs_diff(other.spot.span.line) <= NEAR
    }

    /// What to underline: no more than the rest of its first line.
    fn range(&self, source: &Redacted) -> Range<usize> {
        let text = source.text.as_str();
        let place = |byte: usize| source.position(byte).min(text.len());
        let start = place(self.spot.span.start);
        let range = text.get(start..place(self.spot.span.end)).unwrap_or_default();
        let line = range.lines().next().unwrap_or_default().trim_end();
        start..start + line.len()
    }
}

/// The lines with marks and those between. A manifest may be long, so nothing else is rendered.
fn snippet<'a>(marks: &[Underline<'a>], sources: &'a Sources) -> Snippet<'a, Annotation<'a>> {
    let Some(first) = marks.iter().min_by_key(|mark| mark.spot.span.start) else {
        return Snippet::source("");
    };
    let Some(source) = sources.source(first.spot) else { return Snippet::source("") };
    let text = source.text.as_str();
    let ranges = || marks.iter().map(|mark| mark.range(source));
    let start = ranges().map(|range| line_start(text, range.start)).min().unwrap_or_default();
    let end = ranges().map(|range| line_end(text, range.end)).max().unwrap_or_default();
    let path = first.spot.file.path().visible();
    Snippet::source(&text[start..end])
        .path(path)
        .line_start(first.spot.span.line as usize)
        .annotations(marks.iter().zip(ranges()).map(|(mark, range)| {
            mark.kind.span(range.start - start..range.end - start).label(mark.label)
        }))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |before| before + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

/// `2 errors, 1 warning`.
fn count(problems: &[&Diagnostic]) -> String {
    let of = |severity: Severity, name: &str| {
        let count = problems.iter().filter(|problem| problem.severity == severity).count();
        (count > 0).then(|| counted(count, name))
    };
    let counts = [of(Severity::Error, "error"), of(Severity::Warning, "warning")];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
