//! The project file, `appcred.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fields::{Decoder, Located};
use super::notify::Notify;
use super::reference::Handling;
use super::schema;
use crate::diagnostic::{Diagnostics, ProblemCode, SourceFile};
use crate::model::{Domain, Key, MaxDeletes, OnDrift, Owner, Policy, Prune, TargetName};
use crate::secret::holds_identity;
use crate::target::Endpoint;
use crate::yaml::{self, Kind, Node, Pair, Value};

/// What the project file says; all of it has a default.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The project file, where there is one.
    pub file: Option<PathBuf>,
    /// In whose name credentials are managed.
    pub owner: Owner,
    /// Names that the owner had before.
    pub previous_owners: BTreeSet<Owner>,
    /// The manifests it names; the usual places where it names none.
    pub manifests: Option<Vec<Located<String>>>,
    /// The targets by name; none where the environment names the only one.
    pub targets: BTreeMap<TargetName, Endpoint>,
    /// How secrets are encrypted.
    pub age: AgeConfig,
    /// What a plan may do.
    pub policy: Policy,
    /// Where a watcher sends notifications.
    pub notify: Notify,
    /// Whether secrets may be in plain text in manifests.
    pub allow_plaintext: bool,
    /// Whether `!file` may name files outside of the project.
    pub allow_outside_files: bool,
    /// All targets it names, those with problems too.
    pub(super) target_names: BTreeSet<TargetName>,
    /// Whether the file names the owner.
    pub(super) names_owner: bool,
    /// Whether the file itself could not be understood, so that nothing follows from what is missing.
    pub(super) broken: bool,
}

/// How secrets are encrypted.
#[derive(Clone, Debug, Default)]
pub struct AgeConfig {
    /// To whom.
    pub recipients: Vec<String>,
    /// The files of those who can decrypt.
    pub identities: Vec<PathBuf>,
}

impl Project {
    /// What holds when the project file could not be read.
    pub(super) fn broken() -> Self {
        Self { broken: true, ..Self::default() }
    }

    pub(super) fn handling(&self) -> Handling {
        Handling {
            allow_plaintext: self.allow_plaintext || self.broken,
            has_recipients: !self.age.recipients.is_empty(),
        }
    }
}

/// What paths in the project file are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<'p> {
    /// The folder of the project file.
    pub(super) folder: &'p Path,
    /// The home folder, for `~`.
    pub(super) home: Option<&'p Path>,
}

impl Paths<'_> {
    /// `None` where the path begins with `~` and no home is known.
    pub(super) fn resolve(&self, text: &str) -> Option<PathBuf> {
        match text.strip_prefix('~') {
            Some("") => self.home.map(Path::to_owned),
            Some(rest) if rest.starts_with('/') => {
                self.home.map(|home| home.join(rest.trim_start_matches('/')))
            }
            _ => Some(self.folder.join(text)),
        }
    }
}

/// Reads the project file.
pub(super) fn decode(file: &Arc<SourceFile>, paths: Paths<'_>) -> (Project, Diagnostics) {
    let parsed = yaml::parse(file.text());
    let whole = parsed.whole;
    let mut decoder = ProjectDecoder { fields: Decoder::new(file, &parsed), paths };
    for fault in parsed.faults {
        decoder.fields.problems.push(fault.into_diagnostic(file));
    }
    let mut project = match parsed.documents.as_slice() {
        [] => Project::default(),
        [first, rest @ ..] => {
            if let Some(second) = rest.first() {
                let message = "the project file has more than one document";
                decoder.fields.refuse(ProblemCode::ManyDocuments, second.span, message);
            }
            decoder.project(first)
        }
    };
    project.file = Some(file.path().to_owned());
    project.broken = !whole;
    (project, decoder.fields.problems)
}

struct ProjectDecoder<'f, 'p> {
    fields: Decoder<'f>,
    paths: Paths<'p>,
}

impl ProjectDecoder<'_, '_> {
    fn project(&mut self, node: &Node<'_>) -> Project {
        let mut project = Project::default();
        if matches!(node.value, Value::Null) && node.tag.is_none() {
            return project;
        }
        let Some(fields) = self.fields.fields::<schema::ProjectInput>(node, "the project file")
        else {
            return project;
        };
        if let Some(pair) = fields.get("allow_plaintext") {
            project.allow_plaintext = self.fields.flag(pair).unwrap_or_default();
        }
        if let Some(pair) = fields.get("allow_outside_files") {
            project.allow_outside_files = self.fields.flag(pair).unwrap_or_default();
        }
        if let Some(pair) = fields.get("owner") {
            project.owner = self.owner(pair).unwrap_or_default();
            project.names_owner = true;
        }
        if let Some(pair) = fields.get("previous_owners") {
            project.previous_owners = self.previous_owners(pair);
        }
        if let Some(pair) = fields.get("manifests") {
            project.manifests = self.fields.texts(pair);
        }
        if let Some(pair) = fields.get("age") {
            project.age = self.age(&pair.value).unwrap_or_default();
        }
        if let Some(pair) = fields.get("policy") {
            project.policy = self.policy(&pair.value).unwrap_or_default();
        }
        if let Some(pair) = fields.get("notify") {
            project.notify = self.fields.notify(pair);
        }
        if let Some(pair) = fields.get("custom_integrations") {
            project.policy.custom_integrations = self.custom_integrations(pair);
        }
        if let Some(pair) = fields.get("targets") {
            self.targets(&pair.value, &mut project);
        }
        project
    }

    fn owner(&mut self, pair: &Pair<'_>) -> Option<Owner> {
        let owner = Owner::new(self.fields.field_text(pair)?);
        if owner.is_none() {
            self.fields.bad_name("owner", pair.value.span);
        }
        owner
    }

    fn previous_owners(&mut self, pair: &Pair<'_>) -> BTreeSet<Owner> {
        let mut owners = BTreeSet::new();
        for text in self.fields.texts(pair).unwrap_or_default() {
            match Owner::new(&text.value) {
                Some(owner) => {
                    owners.insert(owner);
                }
                None => self.fields.bad_name("owner", text.spot.span),
            }
        }
        owners
    }

    fn custom_integrations(&mut self, pair: &Pair<'_>) -> BTreeSet<Domain> {
        let names = self.fields.texts(pair).unwrap_or_default();
        let domains =
            names.iter().filter_map(|name| self.fields.domain_text(&name.value, name.spot.span));
        domains.map(|domain| domain.value).collect()
    }

    fn age(&mut self, node: &Node<'_>) -> Option<AgeConfig> {
        let fields = self.fields.fields::<schema::AgeInput>(node, "`age`")?;
        let mut age = AgeConfig::default();
        if let Some(pair) = fields.get("recipients") {
            for recipient in self.fields.texts(pair).unwrap_or_default() {
                if self.recipient_fits(&recipient) {
                    age.recipients.push(recipient.value);
                }
            }
        }
        if let Some(pair) = fields.get("identities") {
            for path in self.fields.texts(pair).unwrap_or_default() {
                if holds_identity(&path.value) {
                    self.fields.refuse_with(
                        ProblemCode::IdentityAsPath,
                        path.spot.span,
                        "this is an identity, which is secret, and no path",
                        "move it into a file outside of the repository and name that here; if it was committed, make a new one",
                    );
                    continue;
                }
                age.identities.extend(self.fields.path_of(self.paths, &path));
            }
        }
        Some(age)
    }

    fn recipient_fits(&mut self, recipient: &Located<String>) -> bool {
        let span = recipient.spot.span;
        if recipient.value.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            self.fields.refuse_with(
                ProblemCode::IdentityAsRecipient,
                span,
                "this is an identity, which is secret, and no recipient",
                "take it out of this file and out of the history of the repository; \
                 `age-keygen -y FILE` shows the recipient that belongs to it",
            );
            return false;
        }
        let fits = ["age1", "ssh-ed25519 ", "ssh-rsa "]
            .iter()
            .any(|start| recipient.value.starts_with(start));
        if !fits {
            self.fields.refuse_with(
                ProblemCode::BadRecipient,
                span,
                "this is not an age recipient",
                "one begins with `age1`, `ssh-ed25519` or `ssh-rsa`",
            );
        }
        fits
    }

    fn policy(&mut self, node: &Node<'_>) -> Option<Policy> {
        let fields = self.fields.fields::<schema::PolicyInput>(node, "`policy`")?;
        let mut policy = Policy::default();
        if let Some(pair) = fields.get("prune") {
            let words =
                [("managed", Prune::Managed), ("none", Prune::Nothing), ("all", Prune::All)];
            policy.prune = self.fields.choice(pair, &words).unwrap_or_default();
        }
        if let Some(pair) = fields.get("max_deletes") {
            policy.max_deletes = self.max_deletes(pair);
        }
        if let Some(pair) = fields.get("allow_empty") {
            policy.allow_empty = self.fields.flag(pair).unwrap_or_default();
        }
        if let Some(pair) = fields.get("on_drift") {
            let words = [("repair", OnDrift::Repair), ("report", OnDrift::Report)];
            policy.on_drift = self.fields.choice(pair, &words).unwrap_or_default();
        }
        Some(policy)
    }

    fn max_deletes(&mut self, pair: &Pair<'_>) -> Option<MaxDeletes> {
        let scalar = match &pair.value.value {
            Value::Scalar(scalar) if pair.value.tag.is_none() => Some(scalar),
            _ => None,
        };
        let limit =
            scalar.and_then(|scalar| match (scalar.kind(), scalar.text.strip_suffix('%')) {
                (Kind::Number, _) => scalar.text.parse().ok().map(MaxDeletes::Count),
                (Kind::Text, Some(percent)) => {
                    percent.parse().ok().filter(|percent| *percent <= 100).map(MaxDeletes::Percent)
                }
                _ => None,
            });
        if limit.is_none() {
            self.fields.refuse_with(
                ProblemCode::BadLimit,
                pair.value.span,
                "`max_deletes` must be a number or a percentage",
                "write `3`, or `20%`; leave it out where there is no limit",
            );
        }
        limit
    }

    fn targets(&mut self, node: &Node<'_>, project: &mut Project) {
        let handling = project.handling();
        for pair in self.fields.pairs(node, "`targets`").unwrap_or_default() {
            if Key::new(&pair.key.text).is_none() {
                self.fields.bad_name("target's name", pair.key.span);
            }
            let name = TargetName::new(pair.key.text.clone());
            if let Some(target) = self.fields.target(&pair.value, &handling, self.paths) {
                project.targets.insert(name.clone(), target);
            }
            project.target_names.insert(name);
        }
    }
}
