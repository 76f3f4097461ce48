//! Reads the project again and again for the watcher, each time only what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::connect::Endpoint;
use crate::desired::{self, Resolved};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::Stamp;
use crate::manifest::{Cache, Entry, Loaded, Project, Target, Token, load_again};
use crate::model::{Completeness, Key, OnDrift, SealedClients, Seals, TargetName};
use crate::secret::{self, SecretResolver};
use crate::status::{Manifests, Mode};
use crate::target::home_assistant::canonical;
use crate::watch::{Notices, ReadSpecs, Reading, TargetLock, TargetSpec};
use crate::workspace::select;

use super::gather::{request, vault};
use super::selection::{PolicyArgs, Selection};
use super::{Global, environment};

/// What is kept from one reading to the next.
pub(super) struct Reader {
    pub(super) global: Global,
    pub(super) selection: Selection,
    pub(super) policy: PolicyArgs,
    pub(super) is_dry: bool,
    since: Timestamp,
    cache: Cache,
    known: Option<Known>,
    /// Gets what secrets are read with, at each reading.
    resolvers: watch::Sender<Arc<SecretResolver>>,
}

/// What was decrypted, and what that depended on.
struct Known {
    vault: Arc<SecretResolver>,
    resolved: Resolved,
    /// What is wrong with identities, which matters where something cannot be read.
    notes: Diagnostics,
    grounds: Vec<(PathBuf, Option<Stamp>)>,
    allow_outside: bool,
}

impl Reader {
    pub(super) fn new(
        global: Global,
        selection: Selection,
        policy: PolicyArgs,
        is_dry: bool,
    ) -> Self {
        let since = environment::now();
        let (cache, known) = Default::default();
        let resolvers = watch::Sender::new(Arc::default());
        Self { global, selection, policy, is_dry, since, cache, known, resolvers }
    }

    /// What secrets are read with, always that of the last reading.
    pub(super) fn resolvers(&self) -> watch::Receiver<Arc<SecretResolver>> {
        self.resolvers.subscribe()
    }
}

impl ReadSpecs for Reader {
    fn restart(&mut self) {
        self.cache = Cache::default();
        self.known = None;
    }

    fn read(&mut self) -> Reading {
        let now = environment::now();
        let loaded = load_again(&request(&self.global), &mut self.cache, now);
        let mut places = places(&loaded, &self.global.folder);
        let completeness = loaded.completeness();
        let Loaded { project, manifests: files, entries, mut problems, .. } = loaded;
        let seals: BTreeMap<Key, Seals> =
            entries.iter().map(|entry| (entry.key.value.clone(), desired::seals(entry))).collect();
        let mut manifests = Manifests {
            read_at: Some(now),
            files: files.len(),
            entries: entries.len(),
            ..Manifests::default()
        };
        let known = self.resolve(&project, entries, completeness);
        if !known.resolved.problems.is_empty() {
            problems.append(known.resolved.problems.clone());
            problems.append(known.notes.clone());
        }
        let specs = match select(&project, &environment::read(), &self.selection.targets) {
            Ok(_) if problems.has_errors() => None,
            Ok(targets) => {
                let specs = self.specs(&project, targets, &known, seals, &mut problems);
                places.extend(specs.values().flat_map(|spec| spec.inputs.keys().cloned()));
                Some(specs).filter(|_| !problems.has_errors())
            }
            Err(error) => {
                manifests.hindrance = Some(error.to_string());
                None
            }
        };
        places.extend(known.grounds.iter().map(|(file, _)| file.clone()));
        places.extend(known.vault.files());
        manifests.problems = Arc::new(problems);
        self.resolvers.send_replace(Arc::clone(&known.vault));
        self.known = Some(known);
        Reading { specs, places, manifests }
    }
}

impl Reader {
    /// Decrypts what was not decrypted before.
    fn resolve(
        &mut self,
        project: &Project,
        entries: Vec<Arc<Entry>>,
        completeness: Completeness,
    ) -> Known {
        let mut files = project.age.identities.clone();
        files.extend(environment::identity_files());
        files.extend(secret::env::identities().all_files().cloned());
        let stamped = files.into_iter().map(|file| {
            let stamp = Stamp::of(&file);
            (file, stamp)
        });
        let grounds: Vec<(PathBuf, Option<Stamp>)> = stamped.collect();
        let now = environment::now();
        let is_settled =
            |(_, stamp): &(PathBuf, Option<Stamp>)| stamp.is_none_or(|stamp| stamp.is_settled(now));
        let earlier = self.known.take().filter(|known| {
            known.grounds == grounds
                && grounds.iter().all(is_settled)
                && known.allow_outside == project.allow_outside_files
        });
        let (vault, notes) = match &earlier {
            Some(known) => (known.vault.renewed(now), known.notes.clone()),
            None => {
                let (vault, wrong) = vault(&self.global, project);
                let mut notes = Diagnostics::default();
                for problem in wrong {
                    notes.push(Diagnostic::warning("identity", problem.to_string()));
                }
                (vault, notes)
            }
        };
        let vault = Arc::new(vault);
        let earlier = earlier.as_ref().map(|known| &known.resolved);
        let resolved = desired::resolve_again(entries, &vault, completeness, earlier);
        Known { vault, resolved, notes, grounds, allow_outside: project.allow_outside_files }
    }

    fn specs(
        &self,
        project: &Project,
        targets: BTreeMap<TargetName, Endpoint>,
        known: &Known,
        seals: BTreeMap<Key, Seals>,
        problems: &mut Diagnostics,
    ) -> BTreeMap<TargetName, TargetSpec> {
        let policy = self.policy.over(&project.policy);
        let mode = match (self.is_dry, policy.on_drift) {
            (true, _) => Mode::Report,
            (false, OnDrift::Report) => Mode::ReportDrift,
            (false, OnDrift::Repair) => Mode::Repair,
        };
        let notices = notices(project, &known.vault, problems);
        let sessions = environment::read().sessions();
        let seals = Arc::new(seals);
        let mut all = BTreeMap::new();
        for (name, endpoint) in targets {
            let (desired, twice) = known.resolved.for_target(project, &name, &SealedClients::new());
            problems.append(twice);
            let files = endpoint.files(&known.vault, sessions.as_ref());
            let stamped = files.into_iter().map(|file| {
                let stamp = Stamp::of(&file);
                (file, stamp)
            });
            let spec = TargetSpec {
                inputs: stamped.collect(),
                lock: self.lock(project, &endpoint),
                endpoint,
                desired,
                seals: Arc::clone(&seals),
                policy: policy.clone(),
                mode,
                notices: notices.clone(),
            };
            all.insert(name, spec);
        }
        all
    }

    /// One watcher for each owner's credentials at each target, on this machine and for this person. A
    /// dry run changes nothing and keeps nobody away.
    fn lock(&self, project: &Project, endpoint: &Endpoint) -> TargetLock {
        let place = match endpoint {
            Endpoint::HomeAssistant(endpoint) => {
                canonical(&endpoint.url).unwrap_or_else(|_| endpoint.url.clone())
            }
            Endpoint::ConfigDir(folder) => real(folder).display().to_string(),
        };
        let digest = Sha256::digest(format!("{}\0{place}", project.owner));
        let digest: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let folder = environment::state_folder().filter(|_| !self.is_dry);
        TargetLock {
            file: folder.map(|folder| folder.join("watching").join(format!("{digest}.lock"))),
            holder: format!(
                "process {} since {:.0}, in {}",
                std::process::id(),
                self.since,
                environment::folder().display()
            ),
        }
    }
}

fn notices(project: &Project, vault: &SecretResolver, problems: &mut Diagnostics) -> Notices {
    let mut notices =
        Notices { home_assistant: project.notify.home_assistant, webhooks: Vec::new() };
    for webhook in &project.notify.webhooks {
        match secret::read(&webhook.value, vault) {
            Ok(address) if is_web(address.expose()) => notices.webhooks.push(address),
            Ok(_) => problems.push(
                Diagnostic::error(
                    "bad-url",
                    "the address of a webhook begins with http:// or https://",
                )
                .at(&webhook.spot.file, webhook.spot.span),
            ),
            Err(why) => problems.push(
                Diagnostic::error(
                    "unreadable-secret",
                    format!("cannot read the address of a webhook: {why}"),
                )
                .at(&webhook.spot.file, webhook.spot.span)
                .help(why.help()),
            ),
        }
    }
    notices
}

fn is_web(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// Where a path really leads, as far as that is there yet.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match found {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => path,
    }
}

/// The files and folders that the reading came from.
fn places(loaded: &Loaded, folder: &Path) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::from([folder.join("appcred.yaml")]);
    match &loaded.project.manifests {
        Some(named) => places.extend(named.iter().map(|named| folder.join(&named.value))),
        None => {
            let usual = ["credentials", "application_credentials"];
            places.extend(usual.map(|name| folder.join(name)));
            places.extend(usual.map(|name| folder.join(format!("{name}.yaml"))));
        }
    }
    // What lies elsewhere changes elsewhere.
    let links = loaded.manifests.iter().filter(|file| file.is_symlink());
    places.extend(links.filter_map(|link| link.canonicalize().ok()));
    for target in loaded.project.targets.values() {
        if let Target::HomeAssistant { token, network, .. } = target {
            places.extend(network.ca_file.clone());
            if let Token::File(file) = token {
                places.insert(file.clone());
            }
        }
    }
    places
}
