//! Entries: what a manifest is made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use smol_str::SmolStr;

use super::fields::{Decoder, Located};
use super::project::Project;
use super::reference::Handling;
use super::schema;
use super::targets::Targets;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, SourceFile, Span, shown};
use crate::model::{Domain, Integration, Key, Place, Reference, TargetName};
use crate::yaml::{self, Node, Pair};

/// Where fields are needed that have no default.
const EVERY: &str = "in every entry";

/// One wanted credential.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The integration.
    pub domain: Located<Domain>,
    /// As HA shows it. Located at the domain where it was left out.
    pub name: Located<SmolStr>,
    /// Stable and unique per owner. Located at the name or the domain where it was left out.
    pub key: Located<Key>,
    /// Keys that it had before.
    pub formerly: BTreeSet<Key>,
    /// The OAuth2 client id.
    pub client_id: Located<Reference>,
    /// The OAuth2 client secret.
    pub client_secret: Located<Reference>,
    /// Whether a credential of this client that was created by hand is taken over.
    pub adopt: bool,
    /// What to do with the integration itself.
    pub integration: Integration,
    /// Where it is wanted.
    pub targets: Targets,
    /// Where the entry begins.
    pub place: Place,
}

/// What one manifest holds.
#[derive(Default)]
pub(super) struct Decoded {
    pub(super) entries: Vec<Arc<Entry>>,
    /// The integrations of entries that have another problem, so that theirs is reported as well.
    pub(super) domains_of_broken: Vec<Located<Domain>>,
    pub(super) problems: Diagnostics,
    /// Whether it is readable, but no document says what its list of entries is: neither entries nor
    /// that there are none.
    pub(super) is_emptied: bool,
}

/// Reads all entries of one manifest.
pub(super) fn decode(file: &Arc<SourceFile>, project: &Project) -> Decoded {
    let parsed = yaml::parse(file.text());
    let mut decoder = EntryDecoder {
        fields: Decoder::new(file, &parsed),
        project,
        handling: project.handling(),
        domains_of_broken: Vec::new(),
        has_list: false,
    };
    for fault in parsed.faults {
        decoder.fields.problems.push(fault.into_diagnostic(file));
    }
    let mut entries = Vec::new();
    for document in &parsed.documents {
        decoder.document(document, &mut entries);
    }
    let is_emptied = !decoder.has_list && !decoder.fields.problems.has_errors();
    if is_emptied {
        let start = Span { line: 1, column: 1, ..Span::default() };
        let problem = Diagnostic::warning(ProblemCode::EmptyManifest, "this manifest has no list of entries")
            .at(file, start)
            .help("write `application_credentials: []` where no entry is wanted, or remove the file; nothing is deleted until then");
        decoder.fields.problems.push(problem);
    }
    Decoded {
        entries,
        domains_of_broken: decoder.domains_of_broken,
        problems: decoder.fields.problems,
        is_emptied,
    }
}

struct EntryDecoder<'f, 'p> {
    fields: Decoder<'f>,
    project: &'p Project,
    handling: Handling,
    domains_of_broken: Vec<Located<Domain>>,
    has_list: bool,
}

impl EntryDecoder<'_, '_> {
    fn document(&mut self, node: &Node<'_>, into: &mut Vec<Arc<Entry>>) {
        match &node.value {
            yaml::Value::Null | yaml::Value::Lost => return,
            yaml::Value::Mapping(_) => {}
            yaml::Value::Sequence(_) | yaml::Value::Scalar(_) => {
                self.fields.refuse_with(
                    ProblemCode::NotAManifest,
                    node.span,
                    "a manifest is a mapping",
                    "begin it with `application_credentials:` and put the list of entries under it",
                );
                return;
            }
        }
        let Some(fields) = self.fields.fields::<schema::ManifestInput>(node, "a manifest") else {
            return;
        };
        let Some(pair) = fields.get("application_credentials") else { return };
        // A file that was cut short ends like this: it does not say that the list is empty.
        if matches!(pair.value.value, yaml::Value::Null) && pair.value.tag.is_none() {
            return;
        }
        self.has_list = true;
        for item in self.fields.list(pair).unwrap_or_default() {
            into.extend(self.entry(item).map(Arc::new));
        }
    }

    fn entry(&mut self, node: &Node<'_>) -> Option<Entry> {
        let decoder = &mut self.fields;
        let fields = decoder.fields::<schema::EntryInput>(node, "an entry")?;
        let domain =
            decoder.required(&fields, "domain", EVERY).and_then(|pair| decoder.domain(pair));
        let name = match fields.get("name") {
            Some(pair) => {
                decoder.field_text(pair).map(|text| decoder.located(text.into(), pair.value.span))
            }
            None => domain.as_ref().map(|domain| Located {
                value: domain.value.as_str().into(),
                spot: domain.spot.clone(),
            }),
        };
        let key = match fields.get("key") {
            Some(pair) => decoder.key(pair),
            None => name.as_ref().and_then(|name| decoder.key_from(name)),
        };
        let formerly = match fields.get("formerly") {
            Some(pair) => decoder.keys(pair),
            None => Some(BTreeSet::new()),
        };
        let client_id =
            decoder.required(&fields, "client_id", EVERY).and_then(|pair| decoder.reference(pair));
        let client_secret = decoder
            .required(&fields, "client_secret", EVERY)
            .and_then(|pair| decoder.secret(pair, &self.handling));
        let adopt = match fields.get("adopt") {
            Some(pair) => decoder.flag(pair),
            None => Some(false),
        };
        let integration = match fields.get("integration") {
            Some(pair) => decoder.integration(&pair.value),
            None => Some(Integration::default()),
        };
        let targets = match fields.get("targets") {
            Some(pair) => self.targets(pair),
            None => Some(Targets::All),
        };
        let place = self.fields.place(fields.span);
        let whole = || {
            Some(Entry {
                domain: domain.clone()?,
                name: name?,
                key: key?,
                formerly: formerly?,
                client_id: client_id?,
                client_secret: client_secret?,
                adopt: adopt?,
                integration: integration?,
                targets: targets?,
                place,
            })
        };
        let entry = whole();
        if entry.is_none() {
            self.domains_of_broken.extend(domain);
        }
        entry
    }

    fn targets(&mut self, pair: &Pair<'_>) -> Option<Targets> {
        let names = self.fields.texts(pair)?;
        if names.is_empty() {
            self.fields.refuse_with(
                ProblemCode::NoTarget,
                pair.value.span,
                "`targets` is empty, so the entry is wanted nowhere",
                "leave it out where the entry is for every target",
            );
            return None;
        }
        let mut wanted = BTreeSet::new();
        for name in names {
            let target = TargetName::new(name.value);
            if !self.project.broken && !self.project.target_names.contains(&target) {
                let problem = unknown_target(&self.fields, self.project, &target, name.spot.span);
                self.fields.problems.push(problem);
            }
            wanted.insert(target);
        }
        Some(Targets::Only(wanted))
    }
}

fn unknown_target(
    decoder: &Decoder<'_>,
    project: &Project,
    target: &TargetName,
    span: crate::diagnostic::Span,
) -> crate::diagnostic::Diagnostic {
    let known = || project.target_names.iter().map(TargetName::as_str);
    let message = match crate::suggest::nearest(target.as_str(), known()) {
        Some(near) => format!("unknown target `{target}`: did you mean `{near}`?"),
        None => format!("unknown target {}", shown::field(target.as_str())),
    };
    let help = if project.target_names.is_empty() {
        "appcred.yaml names no targets: name them there, or leave `targets` out here".to_owned()
    } else {
        format!("appcred.yaml has {}", crate::suggest::listed(known()))
    };
    decoder.error(ProblemCode::UnknownTarget, span, message).help(help)
}

impl Decoder<'_> {
    pub(super) fn domain(&mut self, pair: &Pair<'_>) -> Option<Located<Domain>> {
        let text = self.field_text(pair)?;
        self.domain_text(text, pair.value.span)
    }

    /// An integration's name, as HA writes it.
    pub(super) fn domain_text(
        &mut self,
        text: &str,
        span: crate::diagnostic::Span,
    ) -> Option<Located<Domain>> {
        let fits = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !fits {
            self.refuse_with(
                ProblemCode::BadDomain,
                span,
                "this is not the name of an integration",
                "it has only `a` to `z`, digits and `_`, as in `home_connect`",
            );
            return None;
        }
        Some(self.located(Domain::new(text), span))
    }

    fn key(&mut self, pair: &Pair<'_>) -> Option<Located<Key>> {
        let text = self.field_text(pair)?;
        let key = Key::new(text);
        if key.is_none() {
            self.bad_name("key", pair.value.span);
        }
        key.map(|key| self.located(key, pair.value.span))
    }

    fn keys(&mut self, pair: &Pair<'_>) -> Option<BTreeSet<Key>> {
        let mut keys = BTreeSet::new();
        for text in self.texts(pair)? {
            match Key::new(&text.value) {
                Some(key) => {
                    keys.insert(key);
                }
                None => self.bad_name("key", text.spot.span),
            }
        }
        Some(keys)
    }

    fn key_from(&mut self, name: &Located<SmolStr>) -> Option<Located<Key>> {
        let key = Key::of_name(&name.value);
        if key.is_none() {
            self.refuse_with(
                ProblemCode::NoKey,
                name.spot.span,
                "no key can be made from this name",
                "give the entry a `key` of its own",
            );
        }
        key.map(|key| Located { value: key, spot: name.spot.clone() })
    }

    /// Says what keys, owners and names of targets are made of.
    pub(super) fn bad_name(&mut self, what: &str, span: crate::diagnostic::Span) {
        self.refuse_with(
            ProblemCode::BadName,
            span,
            format!("this cannot be {} {what}", if what.starts_with('o') { "an" } else { "a" }),
            "it has letters without accents, digits, `-`, `_` and `.`, 100 of them at most",
        );
    }
}
