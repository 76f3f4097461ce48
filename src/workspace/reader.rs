//! Reads the project again and again for the watcher, each time only what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::watch;

use crate::desired::{self, Needed, Resolved};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::files::{self, Stamp};
use crate::git;
use crate::lock::{TargetLock, WriteLock};
use crate::manifest::{self, Cache, Entry, Loaded, Project, check_lifetimes, load_again};
use crate::model::{
    Commit, OnDrift, PROJECT_FILE, Policy, PolicyOverrides, SealedClients, TargetName,
    TargetSelection, Visible, day,
};
use crate::secret::{AllowedPaths, Ask, SecretResolver};
use crate::status::{ManifestStatus, Mode, Revisions, SelectionStatus};
use crate::target::Endpoint;
use crate::watch::{Clock, ReadSpecs, Reading, TargetSpec};

use super::notices::notices;
use super::{Workspace, check_selection, select, selected_names};

/// So often a project is read whose folder leads elsewhere each time afterwards.
const MOST_READINGS: usize = 5;

/// What to read, and how to watch it.
pub struct ReaderSettings {
    /// The project.
    pub workspace: Workspace,
    /// Which targets.
    pub targets: TargetSelection,
    /// What is asked for instead of the project's policy.
    pub policy: PolicyOverrides,
    /// Whether nothing is changed at the targets.
    pub is_dry_run: bool,
    /// The clock.
    pub clock: Clock,
}

/// Reads a project again and again; what has not changed is kept from one reading to the next.
pub struct ProjectReader<P> {
    settings: ReaderSettings,
    /// Who is asked for passphrases.
    person: P,
    since: Timestamp,
    cache: Cache,
    known: Option<Decrypted>,
    /// A project file was read. Without one the environment names the target, and there is no policy.
    has_project_file: bool,
    /// Gets what secrets are read with, at each reading.
    resolvers: watch::Sender<Arc<SecretResolver>>,
}

/// What was decrypted, and what that depended on.
struct Decrypted {
    resolver: Arc<SecretResolver>,
    resolved: Resolved,
    /// What is wrong with identities, which matters where something cannot be read.
    notes: Diagnostics,
    /// The identity files, as they were.
    identities: Vec<(PathBuf, Option<Stamp>)>,
    /// Where secrets might come from.
    allowed: AllowedPaths,
    /// Where the project's folder led: a link may lead to another folder since.
    root: Option<PathBuf>,
}

impl<P: Ask + Clone> ProjectReader<P> {
    /// Nothing is read before it is asked for.
    pub fn new(settings: ReaderSettings, person: P) -> Self {
        let since = (settings.clock)();
        let (cache, known) = Default::default();
        let resolvers = watch::Sender::new(Arc::default());
        Self { settings, person, since, cache, known, has_project_file: false, resolvers }
    }

    /// What secrets are read with, always that of the last reading.
    pub fn resolvers(&self) -> watch::Receiver<Arc<SecretResolver>> {
        self.resolvers.subscribe()
    }
}

impl<P: Ask + Clone> ReadSpecs for ProjectReader<P> {
    fn restart(&mut self) {
        self.cache = Cache::default();
        self.known = None;
    }

    /// What a link leads to is changed as a whole: where it leads elsewhere afterwards, what was read may be of both.
    fn read(&mut self) -> Reading {
        for _ in 1..MOST_READINGS {
            let root = self.root();
            let reading = self.read_once();
            if self.root() == root {
                return reading;
            }
            self.restart();
        }
        self.read_once()
    }
}

impl<P: Ask + Clone> ProjectReader<P> {
    /// Where the project's folder leads to.
    fn root(&self) -> Option<PathBuf> {
        files::folder(&self.settings.workspace.folder).canonicalize().ok()
    }

    fn read_once(&mut self) -> Reading {
        let workspace = &self.settings.workspace;
        let now = (self.settings.clock)();
        let mut loaded = load_again(&workspace.request(), &mut self.cache, now);
        workspace.restrict(&mut loaded);
        workspace.hold_left_out(&mut loaded);
        match &loaded.project.file {
            Some(_) => self.has_project_file = true,
            None if self.has_project_file => {
                loaded.problems.push(missing_project(&workspace.folder))
            }
            None => {}
        }
        let mut places = places(&loaded, &workspace.folder);
        let commit = commit(&workspace.folder);
        let known = self.resolve(&loaded);
        // By a setting that could not be read, no secret is judged.
        let is_judged = !loaded.project_problems.has_errors();
        let Loaded { project, manifests: files, entries, mut problems, .. } = loaded;
        problems.append(check_lifetimes(&project, &entries, day(now)));
        problems.append(self.settings.workspace.environment.unknown_zone(&project));
        let mut manifests = ManifestStatus {
            read_at: Some(now),
            files: files.len(),
            entries: entries.len(),
            commit,
            ..ManifestStatus::default()
        };
        if is_judged && !known.resolved.problems.is_empty() {
            problems.append(known.resolved.problems.clone());
            problems.append(known.notes.clone());
        }
        let environment = &self.settings.workspace.environment;
        let specs = match select(&project, environment, &self.settings.targets) {
            Ok(targets) => {
                let specs = self.specs(&project, targets, &known, day(now), &mut problems);
                if !problems.has_errors() {
                    manifests.selection = self.selected(&specs, &mut problems);
                }
                places.extend(specs.values().flat_map(|spec| spec.inputs.keys().cloned()));
                Some(specs).filter(|_| !problems.has_errors())
            }
            Err(error) => {
                manifests.blocker = Some(error.to_string());
                None
            }
        };
        places.extend(known.identities.iter().map(|(file, _)| file.clone()));
        places.extend(known.resolver.files());
        problems.append(replaced_behind_mounts(places.iter().chain(&files)));
        manifests.problems = Arc::new(problems);
        self.resolvers.send_replace(Arc::clone(&known.resolver));
        self.known = Some(known);
        Reading { specs, rollout: project.rollout, places, manifests }
    }

    /// Decrypts what was not decrypted before.
    fn resolve(&mut self, loaded: &Loaded) -> Decrypted {
        let project = &loaded.project;
        let workspace = &self.settings.workspace;
        let mut files = project.age.identities.clone();
        files.extend(workspace.environment.identity_files.iter().cloned());
        files.extend(workspace.environment.identities.all_files().cloned());
        let stamped = files.into_iter().map(|file| {
            let stamp = Stamp::of(&file);
            (file, stamp)
        });
        let identities: Vec<(PathBuf, Option<Stamp>)> = stamped.collect();
        let root = self.root();
        let now = (self.settings.clock)();
        let is_settled =
            |(_, stamp): &(PathBuf, Option<Stamp>)| stamp.is_none_or(|stamp| stamp.is_settled(now));
        let earlier = self.known.take().filter(|known| {
            known.identities == identities
                && identities.iter().all(is_settled)
                && known.allowed == workspace.allowed(project)
                && known.root == root
        });
        let (resolver, notes) = match &earlier {
            Some(known) => (known.resolver.renewed(now), known.notes.clone()),
            None => {
                let (resolver, wrong) = workspace.resolver(project, self.person.clone());
                let mut notes = Diagnostics::default();
                for problem in wrong {
                    notes.push(problem.warning());
                }
                (resolver, notes)
            }
        };
        let resolver = Arc::new(resolver);
        let earlier = earlier.as_ref().map(|known| &known.resolved);
        // Other targets may be of people whose secrets cannot be read here. A mistyped one is reported where targets
        // are selected.
        let targets = selected_names(project, &self.settings.targets).ok();
        let needed = |entry: &Entry| match &targets {
            Some(targets) if !entry.targets.include_any(targets) => Needed::Nothing,
            _ => Needed::Client,
        };
        let resolved = desired::resolve_again(loaded, &resolver, earlier, needed);
        Decrypted {
            resolver,
            resolved,
            notes,
            identities,
            allowed: workspace.allowed(project),
            root,
        }
    }

    fn specs(
        &self,
        project: &Project,
        targets: BTreeMap<TargetName, Endpoint>,
        known: &Decrypted,
        today: Date,
        problems: &mut Diagnostics,
    ) -> BTreeMap<TargetName, TargetSpec> {
        let windows = self.settings.workspace.environment.windows(project);
        let mode = match (self.settings.is_dry_run, project.policy.on_drift) {
            (true, _) => Mode::Report,
            (false, OnDrift::Report) => Mode::ReportDrift,
            (false, OnDrift::Repair) => Mode::Repair,
        };
        let notices = notices(project, &known.resolver, problems);
        let sessions = self.settings.workspace.environment.sessions();
        let state_folder = self.settings.workspace.environment.state_folder.as_deref();
        let mut all = BTreeMap::new();
        for (name, endpoint) in targets {
            let (desired, twice) = known.resolved.for_target(project, &name, &SealedClients::new());
            problems.append(twice);
            let files = endpoint.files(&known.resolver, sessions.as_ref());
            let stamped = files.into_iter().map(|file| {
                let stamp = Stamp::of(&file);
                (file, stamp)
            });
            let entries = || known.resolved.entries_of(&name);
            let lifetime =
                |entry: &Arc<Entry>| (entry.key.value.clone(), entry.lifetime(project, today));
            let seals = |entry: &Arc<Entry>| (entry.key.value.clone(), desired::seals(entry));
            let domain = |entry: &Arc<Entry>| (entry.key.value.clone(), entry.domain.spot.clone());
            let spec = TargetSpec {
                lifetimes: entries().map(lifetime).collect(),
                domains: entries().map(domain).collect(),
                inputs: stamped.collect(),
                revisions: Revisions::default(),
                lock: self.lock(project, &endpoint),
                writing: WriteLock::of(&endpoint, state_folder),
                endpoint,
                desired,
                seals: entries().map(seals).collect(),
                policy: Policy {
                    windows: windows.clone(),
                    ..project.policy_at(&name).with(&self.settings.policy)
                },
                labels: project.labels.get(&name).cloned().unwrap_or_default(),
                is_suspended: project.suspended.contains_key(&name),
                mode,
                notices: notices.clone(),
            };
            all.insert(name, spec);
        }
        all
    }

    /// What of this is watched. A part of the selection that matches nothing is a problem: its entry may have been
    /// removed, or have another integration.
    fn selected(
        &self,
        specs: &BTreeMap<TargetName, TargetSpec>,
        problems: &mut Diagnostics,
    ) -> Option<SelectionStatus> {
        let selection = &self.settings.policy.selection;
        if selection.is_whole() {
            return None;
        }
        let entries = specs.values().flat_map(|spec| &spec.desired.credentials);
        let known = entries.clone().map(|entry| (entry.keys(), &entry.domain));
        let unmatched = check_selection(selection, known).err().map(|why| why.to_string());
        if let Some(why) = &unmatched {
            let message = format!("the selection does not match: {why}");
            let help = "start the watcher again with another selection";
            problems.push(Diagnostic::warning(ProblemCode::UnmatchedSelection, message).help(help));
        }
        let selected = entries.filter(|entry| selection.includes(entry.keys(), &entry.domain));
        let entries = selected.map(|entry| &entry.key).collect::<BTreeSet<_>>().len();
        Some(SelectionStatus { arguments: selection.arguments(), entries, unmatched })
    }

    /// One watcher for each owner's credentials at each target, on this machine and for this person. A
    /// dry run changes nothing and keeps nobody away.
    fn lock(&self, project: &Project, endpoint: &Endpoint) -> TargetLock {
        let environment = &self.settings.workspace.environment;
        let folder = environment.state_folder.as_ref().filter(|_| !self.settings.is_dry_run);
        TargetLock {
            file: folder.map(|folder| TargetLock::file(&project.owner, endpoint, folder)),
            holder: format!(
                "process {} since {:.0}, in {}",
                std::process::id(),
                self.since,
                environment.folder.visible()
            ),
        }
    }
}

fn missing_project(folder: &Path) -> Diagnostic {
    let message = format!("`{}` is gone", folder.join(PROJECT_FILE).visible());
    Diagnostic::error(ProblemCode::MissingProject, message)
        .help("put it back; to go on without a project file, start the watcher again")
}

/// The commit that the project is checked out at. Where Git says nothing, nothing is said of it: what is
/// read is the same.
fn commit(folder: &Path) -> Option<Commit> {
    if !git::is_repository(folder) {
        return None;
    }
    git::commit(folder).ok().flatten()
}

/// A file that is mounted on its own keeps showing what it was when its name was given to another one,
/// as an editor does when it saves: what is written there from then on is never seen.
fn replaced_behind_mounts<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for file in files.filter(|file| files::is_nameless(file)) {
        let message = format!(
            "{} was replaced outside of the container, and the new file is not seen here",
            file.visible()
        );
        let help = "it is mounted on its own: start the container again, and mount its folder";
        problems.push(Diagnostic::warning(ProblemCode::StaleMount, message).help(help));
    }
    problems
}

/// The files and folders that manifests came from, and where new ones would be found.
fn places(loaded: &Loaded, folder: &Path) -> BTreeSet<PathBuf> {
    let named = manifest::places(&loaded.project).into_iter();
    let mut places: BTreeSet<PathBuf> = named.map(|place| folder.join(place)).collect();
    // What lies elsewhere changes elsewhere.
    let of_targets = loaded.project.target_files.iter().map(|file| file.path());
    let files = loaded.manifests.iter().map(PathBuf::as_path).chain(of_targets);
    let links = files.filter(|file| file.is_symlink());
    places.extend(links.filter_map(|link| link.canonicalize().ok()));
    places
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use jiff::Timestamp;

    use super::{ProjectReader, ReaderSettings};
    use crate::diagnostic::ProblemCode;
    use crate::model::{PolicyOverrides, TargetSelection};
    use crate::secret::Nobody;
    use crate::target::Endpoint;
    use crate::target::config_dir::ConfigDirEndpoint;
    use crate::watch::{ReadSpecs, Reading};
    use crate::workspace::{Environment, Workspace};

    thread_local! {
        /// Where the link leads after each look at the clock.
        static NEXT: RefCell<(PathBuf, Vec<&'static str>)> = RefCell::default();
    }

    fn lead(link: &Path, to: &str) {
        let _missing = fs::remove_file(link);
        symlink(to, link).unwrap();
    }

    fn clock() -> Timestamp {
        NEXT.with_borrow_mut(|(link, next)| {
            if let Some(to) = next.pop() {
                lead(link, to);
            }
        });
        Timestamp::UNIX_EPOCH
    }

    #[test]
    fn a_folder_that_leads_elsewhere_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for (commit, entries) in [("old", 1), ("new", 2)] {
            let root = folder.path().join(commit);
            fs::create_dir(&root).unwrap();
            fs::write(
                root.join("appcred.yaml"),
                "allow_plaintext: true\ntargets: {a: {config_dir: /a}}\n",
            )
            .unwrap();
            let entry = |at| {
                format!(
                    "  - {{domain: spotify, key: k{at}, client_id: c{at}, client_secret: s3cr3t{at}}}\n"
                )
            };
            let entries: String = (0..entries).map(entry).collect();
            fs::write(
                root.join("credentials.yaml"),
                format!("application_credentials:\n{entries}"),
            )
            .unwrap();
        }
        let link = folder.path().join("link");
        lead(&link, "old");
        let settings = ReaderSettings {
            workspace: Workspace { folder: link.clone(), ..Workspace::default() },
            targets: TargetSelection::default(),
            policy: PolicyOverrides::default(),
            is_dry_run: true,
            clock,
        };
        let mut reader = ProjectReader::new(settings, Nobody);
        // Before the manifests are read, and behind that.
        NEXT.set((link, vec!["new", "old"]));
        let read = reader.read();
        assert_eq!(read.manifests.entries, 2);
        assert!(read.specs.is_some(), "{:?}", read.manifests.problems);
    }

    /// Or the target that the environment names would be changed without the project's policy, under another owner.
    #[test]
    fn a_project_file_that_is_gone_is_an_error_and_not_the_project_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("appcred.yaml");
        let endpoint = Endpoint::ConfigDir(ConfigDirEndpoint("/ha".into()));
        let environment = Environment { target: Some(Ok(endpoint)), ..Environment::default() };
        let settings = ReaderSettings {
            workspace: Workspace {
                folder: folder.path().to_owned(),
                environment,
                ..Workspace::default()
            },
            targets: TargetSelection::default(),
            policy: PolicyOverrides::default(),
            is_dry_run: false,
            clock: || Timestamp::UNIX_EPOCH,
        };
        fs::write(folder.path().join("credentials.yaml"), "application_credentials: []\n").unwrap();
        let mut reader = ProjectReader::new(settings, Nobody);
        let wrong = |read: &Reading| {
            assert!(read.specs.is_none());
            let codes = read.manifests.problems.sorted().into_iter().map(|problem| problem.code);
            codes.collect::<Vec<_>>()
        };
        assert!(reader.read().specs.is_some());
        fs::write(&file, "owner: house\npolicy: {prune: none}\n").unwrap();
        assert!(reader.read().specs.is_some());
        fs::remove_file(&file).unwrap();
        assert_eq!(wrong(&reader.read()), [ProblemCode::MissingProject]);
        fs::create_dir(&file).unwrap();
        assert!(!wrong(&reader.read()).contains(&ProblemCode::MissingProject));
        fs::remove_dir(&file).unwrap();
        fs::write(&file, "owner: house\n").unwrap();
        assert!(reader.read().specs.is_some());
    }
}
