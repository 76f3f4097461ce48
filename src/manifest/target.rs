//! One target of the project file: which kind it is, and what that kind asks of its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use super::decode::{Decoder, Site, plain_text};
use super::project::Paths;
use super::reference::Handling;
use super::targets::label_value;
use crate::diagnostic::{Located, ProblemCode, Spot};
use crate::field::{Field, FieldRefusal, NAME_HELP, Pairs, Raw, SecretText, Text};
use crate::files;
use crate::model::{Key, Reference, TargetName, header_fault, value_fault};
use crate::target::{
    Description, Endpoint, FieldContext, HeaderContext, KINDS, ReadTarget, TARGET, TargetInput,
    TargetKind,
};
use crate::yaml::{Node, Pair, Value};

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
        let known = KINDS.iter().flat_map(|kind| (kind.fields)()).copied();
        let pairs = site.pairs().map_err(|why| {
            let why = why.of(TARGET);
            let is_field = known.clone().any(|name| name == site.key_text());
            match site.is_null() || is_field {
                true => why
                    .help("write the fields of a target below its name, indented further than it"),
                false => why,
            }
        });
        let pairs = self.accept(site, pairs)?.value;
        let fields = TargetFields { decoder: self, site, pairs, handling, paths };
        for pair in pairs {
            if !known.clone().any(|name| name == pair.key.text) {
                self.unknown_field(&pair.key, TARGET, known.clone());
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
                        FieldRefusal::new(ProblemCode::UnfitField, why).at(site.key_span()),
                    );
                }
            }
        }
        Endpoint::read(kind, &fields)
    }
}

/// A target as it was read, with what could be understood of it.
pub(super) struct DecodedTarget {
    pub(super) name: TargetName,
    pub(super) is_name_valid: bool,
    /// Where it is named.
    pub(super) spot: Spot,
    pub(super) endpoint: Option<Endpoint>,
    /// Where it says that nothing is changed there for now.
    pub(super) suspended: Option<Spot>,
    pub(super) labels: BTreeMap<SmolStr, Located<SmolStr>>,
    /// The labels whose values could not be understood; none where that is so of all.
    pub(super) unread_labels: Option<BTreeSet<SmolStr>>,
}

impl<'n> Decoder<'n> {
    /// Targets by their names.
    pub(super) fn decoded_targets(
        &self,
        targets: Pairs<Raw<TargetInput>>,
        handling: &Handling,
        paths: Paths<'_>,
    ) -> Vec<DecodedTarget> {
        let decoded = |target: Field<Raw<TargetInput>>| {
            let site = self.site(&target);
            let is_name_valid = Key::new(site.key_text()).is_some();
            if !is_name_valid {
                let message = "this is not a valid name for a target";
                let problem = self.error(ProblemCode::BadName, site.key_span(), message);
                self.report(problem.help(NAME_HELP));
            }
            let (labels, unread_labels) = self.labels(site);
            DecodedTarget {
                name: TargetName::new(site.key_text()),
                is_name_valid,
                spot: self.spot(site.key_span()),
                endpoint: self.target(site, handling, paths),
                suspended: self.suspended(site),
                labels,
                unread_labels,
            }
        };
        targets.0.into_iter().map(decoded).collect()
    }

    /// Where a target says that nothing is changed there for now. What is no boolean is reported with the other
    /// fields.
    pub(super) fn suspended(&self, site: Site<'n>) -> Option<Spot> {
        let pairs = site.pairs().ok()?;
        let pair = pairs.iter().find(|pair| pair.key.text == "suspend")?;
        let Value::Scalar(scalar) = &pair.value.value else { return None };
        let is_suspended = scalar.boolean() == Some(true);
        is_suspended.then(|| self.spot(Site::of_pair(pair).key_span()))
    }

    /// The labels of a target, each located where its name is, and those that cannot be understood; none where that is so
    /// of all. What is no text is reported with the other fields.
    fn labels(
        &self,
        site: Site<'n>,
    ) -> (BTreeMap<SmolStr, Located<SmolStr>>, Option<BTreeSet<SmolStr>>) {
        let field = |pairs: &'n [Pair<'n>]| pairs.iter().find(|pair| pair.key.text == "labels");
        let Ok(pairs) = site.pairs() else { return (BTreeMap::new(), None) };
        let Some(labels) = field(pairs).map(Site::of_pair) else {
            return (BTreeMap::new(), Some(BTreeSet::new()));
        };
        let Ok(labels) = labels.pairs() else { return (BTreeMap::new(), None) };
        let mut read = BTreeMap::new();
        for label in labels.iter().map(Site::of_pair) {
            if Key::new(label.key_text()).is_none() {
                let message = "this is not a valid name for a label";
                let problem = self.error(ProblemCode::BadName, label.key_span(), message);
                self.report(problem.help(NAME_HELP));
                continue;
            }
            let Ok(value) = plain_text(label.node) else { continue };
            if let Some(value) = self.accept(label, label_value(value)) {
                let value = SmolStr::new(value.value.as_str());
                let spot = self.spot(label.key_span());
                read.insert(label.key_text().into(), Located { value, spot });
            }
        }
        let names = labels.iter().map(|label| SmolStr::new(&label.key.text));
        let unread = names.filter(|name| !read.contains_key(name)).collect();
        (read, Some(unread))
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
                FieldRefusal::new(
                    ProblemCode::UnfitField,
                    format!("has either {}", selecting(" or ")),
                )
                .help(about.collect::<Vec<_>>().join(", "))
                .at(second.key_span())
            }
            (None, _) => FieldRefusal::new(
                ProblemCode::MissingField,
                format!("has no {}", selecting(" and no ")),
            )
            .help("give it one of them")
            .at(self.site.start()),
        };
        self.decoder.refuse(self.site, refusal.of(TARGET));
        None
    }
}

impl ReadTarget for TargetFields<'_, '_, '_> {
    fn read<K: TargetKind>(&self) -> Option<K> {
        K::new(self.decoder.read(self.site)?, self)
    }
}

impl FieldContext for TargetFields<'_, '_, '_> {
    fn secret(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>> {
        self.decoder.secret(self.decoder.raw(field)?, self.handling, value_fault)
    }

    fn reference(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>> {
        self.decoder.setting(self.decoder.raw(field)?)
    }

    fn path(&self, field: Field<Text<String>>) -> Option<Located<PathBuf>> {
        let Located { value, spot } = self.decoder.text(field)?;
        let value = self.decoder.resolved(self.paths, &value, spot.span)?;
        Some(Located { value, spot })
    }

    fn resolved(&self, text: &str, site: usize) -> Option<PathBuf> {
        self.decoder.resolved(self.paths, text, self.decoder.site_at(site).span())
    }

    fn plain_text(&self, site: usize) -> Option<&str> {
        match self.decoder.site_at(site).node {
            Node { value: Value::Scalar(scalar), tag: None, .. } => Some(&scalar.text),
            _ => None,
        }
    }

    fn folder(&self) -> &Path {
        files::folder(self.paths.folder)
    }

    fn refuse(&self, site: usize, why: FieldRefusal) {
        self.decoder.refuse(self.decoder.site_at(site), why);
    }
}

impl HeaderContext for Decoder<'_> {
    fn header(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>> {
        self.reference_unless(self.raw(field)?, header_fault)
    }

    fn key(&self, site: usize) -> &str {
        self.site_at(site).key_text()
    }

    fn refuse_field(&self, site: usize, why: FieldRefusal) {
        let site = self.site_at(site);
        self.refuse(site, why.at(site.key_span()));
    }
}

impl HeaderContext for TargetFields<'_, '_, '_> {
    fn header(&self, field: &Field<Raw<SecretText>>) -> Option<Located<Reference>> {
        self.decoder.header(field)
    }

    fn key(&self, site: usize) -> &str {
        self.decoder.key(site)
    }

    fn refuse_field(&self, site: usize, why: FieldRefusal) {
        self.decoder.refuse_field(site, why);
    }
}
