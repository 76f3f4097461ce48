//! One target of the project file: which kind it is, and what that kind asks of its fields.

use std::path::{Path, PathBuf};

use super::decode::{Decoder, Site, plain_text};
use super::field::{Meaning, Refusal};
use super::meaning::BaseUrl;
use super::project::Paths;
use super::reference::Handling;
use crate::diagnostic::{Located, ProblemCode};
use crate::files;
use crate::model::Reference;
use crate::target::{Description, Endpoint, KINDS, ReadSettings, Reported, SettingProblem};
use crate::yaml::Pair;

/// The fields of one target.
struct TargetFields<'d, 'n, 'p> {
    decoder: &'d Decoder<'n>,
    site: Site<'n>,
    pairs: &'n [Pair<'n>],
    handling: &'p Handling,
    paths: Paths<'p>,
}

impl<'n> Decoder<'n> {
    /// A target of whatever kind.
    pub(super) fn target(
        &self,
        site: Site<'n>,
        handling: &Handling,
        paths: Paths<'_>,
    ) -> Option<Endpoint> {
        let pairs = self.accept(site, site.pairs().map_err(|why| why.of("a target")))?.value;
        let mut fields = TargetFields { decoder: self, site, pairs, handling, paths };
        let known = KINDS.iter().flat_map(|kind| (kind.fields)()).map(String::as_str);
        for pair in pairs {
            if !known.clone().any(|name| name == pair.key.text) {
                self.unknown_field(&pair.key, "a target", known.clone());
            }
        }
        let kind = fields.kind()?;
        let own = (kind.fields)();
        for other in KINDS {
            for field in (other.fields)().iter().filter(|name| !own.contains(name)) {
                if let Some(site) = fields.get(field) {
                    let why = format!("goes with `{}`, not with `{}`", other.field, kind.field);
                    self.refuse(
                        site,
                        Refusal::new(ProblemCode::UnfitField, why).at(site.key_span()),
                    );
                }
            }
        }
        (kind.decode)(&mut fields).ok()
    }
}

impl<'n> TargetFields<'_, 'n, '_> {
    fn get(&self, field: &str) -> Option<Site<'n>> {
        self.pairs.iter().find(|pair| pair.key.text == field).map(Site::of_pair)
    }

    /// The kind whose field is there.
    fn kind(&self) -> Option<&'static Description> {
        let mut given = KINDS.iter().filter_map(|kind| Some((kind, self.get(kind.field)?)));
        let selecting = |between: &str| {
            KINDS.iter().map(|kind| format!("`{}`", kind.field)).collect::<Vec<_>>().join(between)
        };
        let refusal = match (given.next(), given.next()) {
            (Some((kind, _)), None) => return Some(kind),
            (Some(_), Some((_, second))) => {
                let about = KINDS.iter().map(|kind| format!("`{}` is {}", kind.field, kind.about));
                Refusal::new(ProblemCode::UnfitField, format!("has either {}", selecting(" or ")))
                    .help(about.collect::<Vec<_>>().join(", "))
                    .at(second.key_span())
            }
            (None, _) => {
                Refusal::new(ProblemCode::MissingField, format!("has no {}", selecting(" and no ")))
                    .help("give it one of them")
                    .at(self.site.start())
            }
        };
        self.decoder.refuse(self.site, refusal.of("a target"));
        None
    }

    fn read<T>(
        &self,
        field: &str,
        read: impl FnOnce(Site<'n>) -> Option<T>,
    ) -> Result<Option<T>, Reported> {
        self.get(field).map(|site| read(site).ok_or(Reported)).transpose()
    }

    fn meaning<T: Meaning>(&self, site: Site<'n>) -> Option<Located<T>> {
        self.decoder.accept(site, plain_text(site.node).and_then(T::of))
    }
}

impl ReadSettings for TargetFields<'_, '_, '_> {
    fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, Reported> {
        self.read(field, |site| Some(self.meaning(site)?.value))
    }

    fn base_url(&mut self, field: &str) -> Result<Option<String>, Reported> {
        self.read(field, |site| Some(self.meaning::<BaseUrl>(site)?.value.0))
    }

    fn path(&mut self, field: &str) -> Result<Option<PathBuf>, Reported> {
        self.read(field, |site| {
            let text = self.meaning::<String>(site)?;
            self.decoder.resolved(self.paths, &text.value, text.spot.span)
        })
    }

    fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, Reported> {
        self.read(field, |site| {
            let items = self.decoder.accept(site, site.list())?.value;
            let texts: Vec<_> = items.map(|item| self.meaning(item)).collect();
            texts.into_iter().map(|text| Some(text?.value)).collect()
        })
    }

    fn secret(&mut self, field: &str) -> Result<Option<Located<Reference>>, Reported> {
        self.read(field, |site| self.decoder.secret(site, self.handling))
    }

    fn folder(&self) -> &Path {
        files::folder(self.paths.folder)
    }

    fn refuse(&mut self, field: &str, problem: SettingProblem) -> Reported {
        let SettingProblem { code, message, help, is_field } = problem;
        let span = match self.get(field) {
            Some(site) if is_field => site.key_span(),
            Some(site) => site.span(),
            None => self.site.start(),
        };
        let problem = self.decoder.error(code, span, message);
        self.decoder.report(match help {
            Some(help) => problem.help(help),
            None => problem,
        });
        Reported
    }
}
