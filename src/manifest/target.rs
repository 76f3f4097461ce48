//! One target of the project file: which kind it is, and what that kind asks of its fields.

use std::path::{Path, PathBuf};

use super::address;
use super::fields::{Decoder, Located, MappingFields};
use super::project::Paths;
use super::reference::Handling;
use crate::diagnostic::{Diagnostic, ProblemCode, shown};
use crate::model::Reference;
use crate::target::{
    Description, Endpoint, KINDS, ReadSettings, Reported, SettingProblem, TargetInput,
};
use crate::yaml::{Node, Pair};

/// The fields of one target.
struct TargetFields<'d, 'f, 'n, 't, 'p> {
    decoder: &'d mut Decoder<'f>,
    fields: MappingFields<'n, 't>,
    handling: &'p Handling,
    paths: Paths<'p>,
}

impl Decoder<'_> {
    /// A target of whatever kind.
    pub(super) fn target(
        &mut self,
        node: &Node<'_>,
        handling: &Handling,
        paths: Paths<'_>,
    ) -> Option<Endpoint> {
        let fields = self.fields::<TargetInput>(node, "a target")?;
        let kind = self.kind(&fields)?;
        let own = (kind.fields)();
        for other in KINDS {
            for name in (other.fields)().iter().filter(|name| !own.contains(name)) {
                if let Some(pair) = fields.get(name) {
                    let message =
                        format!("`{name}` goes with `{}`, not with `{}`", other.field, kind.field);
                    self.refuse(ProblemCode::UnfitField, pair.key.span, message);
                }
            }
        }
        (kind.decode)(&mut TargetFields { decoder: self, fields, handling, paths }).ok()
    }

    /// The kind whose field is there.
    fn kind(&mut self, fields: &MappingFields<'_, '_>) -> Option<&'static Description> {
        let mut given = KINDS.iter().filter_map(|kind| Some((kind, fields.get(kind.field)?)));
        let selecting = |between: &str| {
            KINDS.iter().map(|kind| format!("`{}`", kind.field)).collect::<Vec<_>>().join(between)
        };
        match (given.next(), given.next()) {
            (Some((kind, _)), None) => Some(kind),
            (Some(_), Some((_, second))) => {
                let message = format!("a target has either {}", selecting(" or "));
                let about = KINDS.iter().map(|kind| format!("`{}` is {}", kind.field, kind.about));
                let about = about.collect::<Vec<_>>().join(", ");
                self.refuse_with(ProblemCode::UnfitField, second.key.span, message, about);
                None
            }
            (None, _) => {
                let message = format!("a target has no {}", selecting(" and no "));
                self.refuse_with(
                    ProblemCode::MissingField,
                    fields.span,
                    message,
                    "give it one of them",
                );
                None
            }
        }
    }

    /// The path that a text is short for.
    pub(super) fn path_of(&mut self, paths: Paths<'_>, text: &Located<String>) -> Option<PathBuf> {
        let path = paths.resolve(&text.value);
        if path.is_none() {
            self.refuse_with(
                ProblemCode::NoHome,
                text.spot.span,
                "`~` is the home folder, which is unknown",
                "set `HOME`, or write the whole path",
            );
        }
        path
    }
}

impl<'n, 't> TargetFields<'_, '_, 'n, 't, '_> {
    fn read<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&mut Self, &'n Pair<'t>) -> Option<T>,
    ) -> Result<Option<T>, Reported> {
        let Some(pair) = self.fields.get(field) else { return Ok(None) };
        read(self, pair).map(Some).ok_or(Reported)
    }
}

impl ReadSettings for TargetFields<'_, '_, '_, '_, '_> {
    fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some()
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, Reported> {
        self.read(field, |all, pair| all.decoder.field_text(pair).map(str::to_owned))
    }

    fn base_url(&mut self, field: &str) -> Result<Option<String>, Reported> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        address::base(&text).map(Some).map_err(|why| {
            let (code, message) = (ProblemCode::BadUrl, format!("{} {why}", shown::field(field)));
            self.refuse(field, SettingProblem { code, message, help: None, is_field: false })
        })
    }

    fn path(&mut self, field: &str) -> Result<Option<PathBuf>, Reported> {
        self.read(field, |all, pair| {
            let text = all.decoder.field_text(pair)?.to_owned();
            all.decoder.path_of(all.paths, &all.decoder.located(text, pair.value.span))
        })
    }

    fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, Reported> {
        self.read(field, |all, pair| {
            let count = all.decoder.list(pair)?.len();
            let texts = all.decoder.texts(pair)?;
            (texts.len() == count).then(|| texts.into_iter().map(|text| text.value).collect())
        })
    }

    fn secret(&mut self, field: &str) -> Result<Option<Located<Reference>>, Reported> {
        self.read(field, |all, pair| all.decoder.secret(pair, all.handling))
    }

    fn folder(&self) -> &Path {
        let folder = self.paths.folder;
        if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
    }

    fn refuse(&mut self, field: &str, problem: SettingProblem) -> Reported {
        let SettingProblem { code, message, help, is_field } = problem;
        let pair = self.fields.get(field);
        let span =
            pair.map_or(
                self.fields.span,
                |pair| {
                    if is_field { pair.key.span } else { pair.value.span }
                },
            );
        let mut problem: Diagnostic = self.decoder.error(code, span, message);
        problem.help = help.map(str::to_owned);
        self.decoder.problems.push(problem);
        Reported
    }
}
