//! The project file, `appcred.yaml`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smol_str::SmolStr;

use super::decode::{Amount, Decoder, Site, amount};
use super::entry::{Entry, given};
use super::mistyped::AskedTargets;
use super::notify::Notify;
use super::plain_text;
use super::reference::Handling;
use super::schema::{AgeInput, PolicyInput, ProjectInput};
use super::tags;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, SourceFile, Span, Spot};
use crate::field::{Days, Field, FieldRefusal, Text, Texts};
use crate::model::{
    Key, Labels, MaxDeletes, OnDrift, Owner, PathFault, Place, Policy, Prune, Rollout, TargetName,
};
use crate::secret::seal::{MIXED, mixture, shown};
use crate::secret::{SecretProgram, SecretPrograms};
use crate::target::Endpoint;
use crate::yaml::{self, Node};

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
    /// Those of the targets at which nothing is changed for now, and where that is said.
    pub suspended: BTreeMap<TargetName, Spot>,
    /// The labels of each target.
    pub labels: BTreeMap<TargetName, Labels>,
    /// In which order the targets are changed.
    pub rollout: Rollout,
    /// How secrets are encrypted.
    pub age: AgeConfig,
    /// What a plan may do.
    pub policy: Policy,
    /// So many days before it expires, a client is reported, where the project says so.
    pub(super) expiring_within: Option<u16>,
    /// Where a watcher sends notifications.
    pub notify: Notify,
    /// The programs that may be asked for secrets.
    pub sources: SecretPrograms,
    /// SOPS, where it may be run.
    pub sops_program: Option<SecretProgram>,
    /// Whether one of these could not be understood or is not allowed, so that nothing follows from what is missing.
    pub lacks_programs: bool,
    /// Whether secrets may be in plain text in manifests.
    pub allow_plaintext: bool,
    /// Whether `!file` may name files outside of the project.
    pub allow_outside_files: bool,
    /// Whether values may look like placeholders.
    pub allow_placeholders: bool,
    /// The keys that it protects, whatever entries say.
    pub protected_keys: Vec<Located<Key>>,
    /// The keys that it has forgotten.
    pub(super) forgotten_keys: Vec<Located<Key>>,
    /// The files that its targets are in, where they are not in that of the project.
    pub target_files: Vec<Arc<SourceFile>>,
    /// Where these are looked for, from the project's folder.
    pub(super) target_places: Vec<PathBuf>,
    /// Which target is at each place.
    pub(super) target_at: HashMap<String, TargetName>,
    /// What entries choose targets by.
    pub(super) asked: AskedTargets,
    /// The keys of entries in files that are not read and may be meant to be.
    pub not_read: BTreeMap<Key, PathBuf>,
    /// Where backups have entries that no manifest has.
    pub set_aside: BTreeMap<Key, Place>,
    /// The entries with a key of one that is protected or suspended.
    pub(super) entries_of_kept_keys: Vec<Arc<Entry>>,
    /// Where it names each target, those with problems too.
    pub(super) target_spots: BTreeMap<TargetName, Spot>,
    /// Where it names each label.
    pub(super) label_spots: BTreeMap<(TargetName, SmolStr), Spot>,
    /// Where it names programs that are started for secrets.
    pub(super) program_spots: Vec<Spot>,
    /// Whether the file names the owner.
    pub(super) names_owner: bool,
    /// Whether custom integrations could not be understood, so that nothing follows from what is missing.
    pub(super) lacks_integrations: bool,
    /// Whether it names manifests and none could be understood.
    pub(super) lacks_manifests: bool,
    /// Whether targets, or all labels of one, could not be understood.
    pub(super) lacks_targets: bool,
    /// The labels of which a value could not be understood.
    pub(super) unread_labels: BTreeSet<SmolStr>,
}

/// How secrets are encrypted.
#[derive(Clone, Debug, Default)]
pub struct AgeConfig {
    /// To whom.
    pub recipients: Vec<String>,
    /// Whether one of them could not be understood, so that nothing follows from those that are known.
    pub(crate) lacks_recipients: bool,
    /// The files of those who can decrypt.
    pub identities: Vec<PathBuf>,
}

impl Project {
    /// What holds when the project file could not be read: nothing is judged by what it may say.
    pub(super) fn unread() -> Self {
        Self {
            age: AgeConfig { lacks_recipients: true, ..AgeConfig::default() },
            expiring_within: Some(0),
            allow_plaintext: true,
            allow_outside_files: true,
            allow_placeholders: true,
            lacks_integrations: true,
            lacks_manifests: true,
            lacks_programs: true,
            lacks_targets: true,
            ..Self::default()
        }
    }

    /// Whether all targets and their labels are known, so that something follows from what none of them has.
    pub(super) fn knows_targets(&self) -> bool {
        !self.lacks_targets
    }

    /// Whether each target that it names could be understood.
    pub fn has_read_targets(&self) -> bool {
        self.knows_targets() && self.target_spots.keys().all(|name| self.targets.contains_key(name))
    }

    /// Where a target is named.
    pub fn target_place(&self, target: &TargetName) -> Option<Place> {
        self.target_spots.get(target).map(Spot::place)
    }

    /// What is forgotten and declared again is forgotten again once its entry is gone, which nobody expects.
    pub(super) fn check_forgotten(&self, entries: &[Arc<Entry>]) -> Diagnostics {
        let mut problems = Diagnostics::default();
        for key in &self.forgotten_keys {
            let Some(entry) = entries.iter().find(|entry| entry.has_one_of([&key.value])) else {
                continue;
            };
            let message = format!(
                "`forgotten` has `{}`, and so has an entry ({}): when that entry is removed, its credential stays at the targets",
                key.value, entry.place
            );
            let problem = Diagnostic::warning(ProblemCode::PolicyKey, message);
            let problem = problem.at(&key.spot.file, key.spot.span);
            problems.push(
                problem.help("remove it under `forgotten`: the entry manages the credential again"),
            );
        }
        problems
    }

    pub(super) fn handling(&self) -> Handling {
        Handling {
            allow_plaintext: self.allow_plaintext,
            has_recipients: self.age.lacks_recipients || !self.age.recipients.is_empty(),
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
    let decoder = Decoder::new(file, &parsed);
    if let [_, second, ..] = parsed.documents.as_slice() {
        let message = "the project file has more than one document";
        decoder.report(decoder.error(ProblemCode::ManyDocuments, second.span, message));
    }
    let top = parsed.documents.first().map(Site::top).filter(|top| !top.is_null());
    let project = top.and_then(|top| decoder.read(top)).map(|input| decoder.project(input, paths));
    let mut project = project.filter(|_| parsed.whole).unwrap_or_else(Project::unread);
    project.file = Some(file.path().to_owned());
    if parsed.is_empty() {
        let start = Span { line: 1, column: 1, ..Span::default() };
        let problem = decoder.error(ProblemCode::EmptyProject, start, "the project file is empty");
        decoder.report(
            problem
                .help("restore its content; write `{}` to have every default, or remove the file"),
        );
    }
    let mut problems = decoder.into_problems();
    if !project.allow_plaintext {
        problems.append(plain_text::check(file, &parsed.documents));
    }
    (project, problems)
}

impl<'n> Decoder<'n> {
    fn project(&self, input: ProjectInput, paths: Paths<'_>) -> Project {
        let program_spots = self.program_spots(&input);
        let allow_placeholders = allowed(input.allow_placeholders);
        self.allow_placeholders.set(allow_placeholders);
        let (sources, is_whole) = self.sources(input.sources);
        let sops_program =
            input.sops_program.map_or(Some(None), |program| self.sops_program(program).map(Some));
        let manifests = input.manifests.as_ref().and_then(|field| self.paths(self.raw(field)?));
        let mut project = Project {
            allow_placeholders,
            program_spots,
            names_owner: input.owner.is_some(),
            owner: input
                .owner
                .and_then(|owner| self.text(owner))
                .map(unlocated)
                .unwrap_or_default(),
            previous_owners: self.each(input.previous_owners).collect(),
            lacks_manifests: input.manifests.is_some() && manifests.is_none(),
            manifests,
            age: input
                .age
                .map(|age| match age.value {
                    Some(age) => self.age(age, paths),
                    None => Project::unread().age,
                })
                .unwrap_or_default(),
            expiring_within: input.expiring_within.map(|days| self.days(days)),
            notify: input.notify.map(|notify| self.notify(self.site(&notify))).unwrap_or_default(),
            lacks_programs: !is_whole || sops_program.is_none(),
            sources,
            sops_program: sops_program.flatten(),
            allow_plaintext: allowed(input.allow_plaintext),
            allow_outside_files: allowed(input.allow_outside_files),
            ..Project::default()
        };
        let mut rollout = None;
        if let Some(mut policy) = input.policy.and_then(|policy| policy.value) {
            rollout = policy.rollout.take().and_then(|rollout| rollout.value);
            project.policy = self.policy(policy, &mut project);
        }
        let (integrations, is_whole) = self.known_texts(input.custom_integrations);
        project.policy.custom_integrations = integrations.into_iter().map(unlocated).collect();
        project.lacks_integrations = !is_whole;
        self.targets(input.targets, paths, &mut project);
        if let Some(rollout) = rollout {
            project.rollout = self.rollout(rollout, &project);
        }
        project
    }

    fn program_spots(&self, input: &ProjectInput) -> Vec<Spot> {
        let sources = input.sources.as_ref().map(|sources| self.site(sources));
        let sops = input.sops_program.as_ref().map(|program| self.site(program));
        sources.into_iter().chain(sops).map(|site| self.spot(site.key_span())).collect()
    }

    /// No days where it could not be read: nothing follows from it.
    fn days(&self, field: Field<Text<Days>>) -> u16 {
        self.text(field).map(|days| days.value.0).unwrap_or_default()
    }

    /// The texts of a list, without their places.
    pub(super) fn each<T>(&self, list: Option<Texts<T>>) -> impl Iterator<Item = T> {
        list.and_then(|list| self.texts(list)).into_iter().flatten().map(unlocated)
    }

    fn age(&self, input: AgeInput, paths: Paths<'_>) -> AgeConfig {
        let identities = input.identities.and_then(|identities| self.texts(identities));
        let (located, is_whole) = self.known_texts(input.recipients);
        let recipients: Vec<String> = located.iter().map(|one| one.value.0.clone()).collect();
        if let Some((post_quantum, other)) = mixture(&recipients)
            && let Some(place) = located.iter().find(|one| one.value.0 == other)
        {
            let message =
                format!("{} is not post-quantum, and {} is", shown(other), shown(post_quantum));
            let problem = self.error(ProblemCode::BadRecipient, place.spot.span, message);
            self.report(problem.help(MIXED));
        }
        for (at, place) in located.iter().enumerate() {
            if recipients[..at].contains(&place.value.0) {
                let message = format!("{} is a recipient twice", shown(&place.value.0));
                let problem = Diagnostic::warning(ProblemCode::DuplicateRecipient, message);
                let help = "remove it once; while one of the two is left, it is encrypted to";
                self.report(problem.at(&place.spot.file, place.spot.span).help(help));
            }
        }
        AgeConfig {
            recipients,
            lacks_recipients: !is_whole,
            identities: identities
                .into_iter()
                .flatten()
                .filter_map(|path| self.resolved(paths, &path.value.0, path.spot.span))
                .collect(),
        }
    }

    fn policy(&self, input: PolicyInput, project: &mut Project) -> Policy {
        let keys = |list: Option<Texts<Key>>| list.and_then(|list| self.texts(list));
        project.protected_keys = keys(input.protect).unwrap_or_default();
        project.forgotten_keys = keys(input.forgotten).unwrap_or_default();
        let values = |keys: &[Located<Key>]| keys.iter().map(|key| key.value.clone()).collect();
        Policy {
            prune: given(input.prune, Prune::default()).unwrap_or_default(),
            max_deletes: input.max_deletes.and_then(|limit| {
                let site = self.site(&limit);
                self.accept(site, max_deletes(site.node)).map(unlocated)
            }),
            allow_empty: given(input.allow_empty, false).unwrap_or_default(),
            protected: values(&project.protected_keys),
            forgotten: values(&project.forgotten_keys),
            windows: input.windows.map(|windows| self.windows(&windows)).unwrap_or_default(),
            on_drift: given(input.on_drift, OnDrift::default()).unwrap_or_default(),
            ..Policy::default()
        }
    }

    /// Whether a text can be a path. An address, which may hold a secret, is refused and not repeated; a template would
    /// be the name of a folder that is made.
    pub(super) fn is_path(&self, text: &str, span: Span) -> bool {
        let is_address = text.contains("://");
        if is_address {
            let message = "this is an address, and the path of a file or folder is needed";
            self.report(self.error(ProblemCode::BadValue, span, message));
        }
        if is_address || !self.is_filled_in("path", text, span) {
            return false;
        }
        let fault = PathFault::of(text, self.allow_placeholders.get());
        if let Some(fault) = fault {
            let problem = self.error(ProblemCode::BadValue, span, format!("this path {fault}"));
            self.report(problem.help(fault.help()));
        }
        fault.is_none()
    }

    /// The path that a text is short for.
    pub(super) fn resolved(&self, paths: Paths<'_>, text: &str, span: Span) -> Option<PathBuf> {
        if !self.is_path(text, span) {
            return None;
        }
        let path = paths.resolve(text);
        if path.is_none() {
            let message = "`~` is the home folder, which is unknown";
            let problem = self.error(ProblemCode::NoHome, span, message);
            self.report(problem.help("set `HOME`, or write the whole path"));
        }
        path
    }
}

fn max_deletes(node: &Node<'_>) -> Result<MaxDeletes, FieldRefusal> {
    if let Some(tag) = &node.tag {
        return Err(tags::unexpected(tag));
    }
    let limit = amount(node).map(|amount| match amount {
        Amount::Count(count) => MaxDeletes::Count(count),
        Amount::Percent(percent) => MaxDeletes::Percent(percent),
    });
    limit.ok_or_else(|| {
        FieldRefusal::new(ProblemCode::BadLimit, "must be a number or a percentage")
            .help("write `3` without quotes, or `20%`; leave it out where there is no limit")
    })
}

/// What could not be read forbids nothing.
fn allowed(field: Option<Field<bool>>) -> bool {
    given(field, false).unwrap_or(true)
}

fn unlocated<T>(located: Located<T>) -> T {
    located.value
}
