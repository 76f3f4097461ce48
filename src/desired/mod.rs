//! Entries and their secrets -> what one target should hold.

mod check;
mod elsewhere;
mod needed;
mod take;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::manifest::{Entry, Loaded, Project, check_in_clear};
use crate::model::{
    ClientId, ClientPart, Completeness, Desired, DesiredCredential, Domain, KnownSecret, Reference,
    Seal, SealedClients, Seals, Secret, TargetName, Unidentified,
};
use crate::secret::{self, SecretResolver, Unreadable};

use check::SUSPECT;
pub use check::{check_client, check_secrets};
pub use needed::Needed;
use needed::OpenedDocuments;
use take::{Unread, take};

/// Entries as far as they are known, and what could not be read.
#[derive(Debug)]
pub struct Resolved {
    entries: Vec<(Arc<Entry>, KnownClient, KnownSecret)>,
    completeness: Completeness,
    /// Every secret that could not be read, at its place.
    pub problems: Diagnostics,
    /// Those of the problems that no other identity, variable or file would solve, and as warnings those that are
    /// mostly a mistake.
    wrong: Diagnostics,
}

/// For which client an entry is.
#[derive(Clone, Debug)]
enum KnownClient {
    Clear(ClientId),
    /// Only its ciphertext is known.
    Sealed(Seal),
    Unknown,
}

impl KnownClient {
    fn of(id: &Secret) -> Self {
        Self::Clear(ClientId::new(id.expose()))
    }

    fn id<'a>(&'a self, domain: &Domain, sealed: &'a SealedClients) -> Option<&'a ClientId> {
        match self {
            Self::Clear(client_id) => Some(client_id),
            Self::Sealed(seal) => sealed.get(&(domain.clone(), *seal)),
            Self::Unknown => None,
        }
    }
}

/// Takes entries without decrypting anything: what is encrypted is known by its ciphertext, and what
/// is kept elsewhere not at all.
///
/// `completeness` says whether `entries` are all that the manifests hold.
pub fn seal(entries: Vec<Arc<Entry>>, completeness: Completeness) -> Resolved {
    let references: Vec<&Reference> = entries
        .iter()
        .flat_map(|entry| [&entry.client_id.value, &entry.client_secret.value])
        .collect();
    let mut seals = secret::seal_all(&references).into_iter();
    let mut sealed = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (client_id, secret) = (seals.next().flatten(), seals.next().flatten());
        let client_id = match &entry.client_id.value {
            Reference::Plain(text) => KnownClient::of(text),
            _ => client_id.map_or(KnownClient::Unknown, KnownClient::Sealed),
        };
        let secret = secret.map_or(KnownSecret::Unknown, KnownSecret::Sealed);
        sealed.push((Arc::clone(entry), client_id, secret));
    }
    Resolved { entries: sealed, ..Resolved::new(completeness) }
}

/// What replaces an entry's texts in a file that anyone may read.
pub fn seals(entry: &Entry) -> Seals {
    Seals {
        client_id: secret::seal(&entry.client_id.value),
        client_secret: secret::seal(&entry.client_secret.value),
    }
}

/// What an entry wants, its client id and secret being known.
pub fn wanted(entry: &Entry, client_id: ClientId, client_secret: KnownSecret) -> DesiredCredential {
    DesiredCredential {
        key: entry.key.value.clone(),
        names_key: entry.names_key(),
        formerly: entry.formerly.clone(),
        domain: entry.domain.value.clone(),
        client_id,
        client_secret,
        name: entry.name.value.clone(),
        adopt: entry.adopt.clone(),
        integration: entry.integration.clone(),
        place: entry.place.clone(),
    }
}

/// Reads the client ids and secrets of all entries, on all cores, and finds those that are in plain text
/// elsewhere in the project.
pub fn resolve(loaded: &Loaded, resolver: &SecretResolver) -> Resolved {
    resolve_needed(loaded, resolver, |_| Needed::Client)
}

/// The same, but reads of each entry only what is `needed`. Of entries that were resolved `earlier` with the same
/// identities, only what is outside of their own file is read again.
pub fn resolve_again(
    loaded: &Loaded,
    resolver: &SecretResolver,
    earlier: Option<&Resolved>,
    needed: impl Fn(&Entry) -> Needed,
) -> Resolved {
    resolve_those(loaded, resolver, earlier, &needed)
}

/// The same where nothing was resolved earlier.
pub fn resolve_needed(
    loaded: &Loaded,
    resolver: &SecretResolver,
    needed: impl Fn(&Entry) -> Needed,
) -> Resolved {
    resolve_those(loaded, resolver, None, &needed)
}

fn resolve_those(
    loaded: &Loaded,
    resolver: &SecretResolver,
    earlier: Option<&Resolved>,
    needed: &dyn Fn(&Entry) -> Needed,
) -> Resolved {
    let known = known(earlier, needed);
    let is_new = |entry: &&Arc<Entry>| !known.contains_key(&Arc::as_ptr(entry));
    let entries = &loaded.entries;
    let opened = &OpenedDocuments::of(entries, needed);
    let references: Vec<&Reference> = entries
        .iter()
        .filter(is_new)
        .flat_map(|entry| {
            let (needed, id, secret) =
                (needed(entry), &entry.client_id.value, &entry.client_secret.value);
            let parts = [(id, ClientPart::Id), (secret, ClientPart::Secret)];
            parts.into_iter().filter(move |(of, part)| needed.includes(of, *part, opened))
        })
        .map(|(reference, _)| reference)
        .filter(|reference| !matches!(reference, Reference::Plain(_)))
        .collect();
    let mut answers = secret::read_all(&references, resolver).into_iter();
    let mut resolved = Resolved::new(loaded.completeness());
    let warnings = resolver.take_warnings();
    resolved.report(Unread { problems: warnings, is_lacking: false });
    let mut broken = Vec::new();
    for entry in entries {
        if let Some((client, secret)) = known.get(&Arc::as_ptr(entry)) {
            resolved.entries.push((Arc::clone(entry), (*client).clone(), (*secret).clone()));
            continue;
        }
        if needed(entry) != Needed::Client {
            let is_read = needed(entry).includes(&entry.client_id.value, ClientPart::Id, opened);
            let client = resolved.id_alone(entry, is_read, &mut answers, resolver);
            resolved.entries.push((Arc::clone(entry), client, KnownSecret::Unknown));
            continue;
        }
        let mut take = |part| {
            let taken = take(&mut answers, entry, part, resolver, &mut broken);
            taken.map_err(|unread| resolved.report(unread)).ok()
        };
        let (client_id, secret) = (take(ClientPart::Id), take(ClientPart::Secret));
        match client_id.zip(secret) {
            Some((client_id, secret)) if client_id == secret && !resolver.allows_placeholders() => {
                resolved.report(same_texts(entry));
            }
            Some((client_id, secret)) if take::are_joined(&client_id, &secret, resolver) => {
                resolved.report(take::joined(entry));
            }
            Some((client_id, secret)) => {
                let client = KnownClient::of(&client_id);
                resolved.entries.push((Arc::clone(entry), client, secret.into_owned().into()));
            }
            None => {}
        }
    }
    if resolved.entries.len() < entries.len() {
        resolved.completeness = Completeness::Partial;
    }
    let in_clear = resolved.in_clear(loaded);
    resolved.report(Unread { problems: in_clear, is_lacking: false });
    resolved
}

/// What was resolved earlier and is still valid.
fn known<'e>(
    earlier: Option<&'e Resolved>,
    needed: &dyn Fn(&Entry) -> Needed,
) -> HashMap<*const Entry, (&'e KnownClient, &'e KnownSecret)> {
    let entries = earlier.into_iter().flat_map(|earlier| &earlier.entries);
    let is_enough = |entry, secret: &KnownSecret| {
        *secret != KnownSecret::Unknown || needed(entry) != Needed::Client
    };
    entries
        .filter(|(entry, _, secret)| stands_alone(entry) && is_enough(entry, secret))
        .map(|(entry, client, secret)| (Arc::as_ptr(entry), (client, secret)))
        .collect()
}

fn same_texts(entry: &Entry) -> Unread {
    let spot = &entry.client_secret.spot;
    let message =
        format!("the client secret of `{}` is the same text as its client id", entry.key.value);
    let mut problems = Diagnostics::default();
    problems.push(
        Diagnostic::error(ProblemCode::UnfitValue, message)
            .at(&spot.file, spot.span)
            .related(entry.client_id.spot.clone(), "the client id")
            .help("write the secret that the provider issued; if it issued these two, `allow_placeholders: true` in appcred.yaml accepts them"),
    );
    Unread { problems, is_lacking: false }
}

/// Whether all of an entry is in its own file.
fn stands_alone(entry: &Entry) -> bool {
    let is_inside = |reference: &Reference| !matches!(reference, Reference::Tagged { .. });
    is_inside(&entry.client_id.value) && is_inside(&entry.client_secret.value)
}

impl Resolved {
    fn new(completeness: Completeness) -> Self {
        let (problems, wrong) = Default::default();
        Self { entries: Vec::new(), completeness, problems, wrong }
    }

    /// The secrets that are in plain text in a file of the project as well.
    fn in_clear(&self, loaded: &Loaded) -> Diagnostics {
        if loaded.project.allow_plaintext {
            return Diagnostics::default();
        }
        let secrets = self.clients().filter(|(_, client_id, secret)| {
            // Some providers issue one text for both.
            client_id.as_str() != secret.expose()
        });
        let secrets = secrets.map(|(entry, _, secret)| (Some(&entry.client_secret.spot), secret));
        check_in_clear(&loaded.files, secrets)
    }

    /// The client of an entry whose secret is not needed.
    fn id_alone(
        &mut self,
        entry: &Entry,
        is_read: bool,
        answers: &mut impl Iterator<Item = Result<Secret, Unreadable>>,
        resolver: &SecretResolver,
    ) -> KnownClient {
        if !is_read && !matches!(entry.client_id.value, Reference::Plain(_)) {
            return KnownClient::Unknown;
        }
        // What is wrong with a file is an error where a selected entry is read from it as well.
        match take(answers, entry, ClientPart::Id, resolver, &mut Vec::new()) {
            Ok(id) => KnownClient::of(&id),
            Err(Unread { problems, is_lacking }) => {
                self.report(Unread { problems: problems.into_warnings(), is_lacking });
                KnownClient::Unknown
            }
        }
    }

    fn report(&mut self, unread: Unread) {
        let wrong = unread.problems.clone();
        self.wrong.append(match unread.is_lacking {
            true => wrong.only(|problem| SUSPECT.contains(&problem.code)).into_warnings(),
            false => wrong,
        });
        self.problems.append(unread.problems);
    }

    /// What one target should hold, and the entries that would make one client there twice.
    /// `clients` has the encrypted client ids that are known without being decrypted.
    pub fn for_target(
        &self,
        project: &Project,
        target: &TargetName,
        clients: &SealedClients,
    ) -> (Desired, Diagnostics) {
        let mut problems = Diagnostics::default();
        let mut seen: BTreeMap<(&Domain, &ClientId), &Entry> = BTreeMap::new();
        let mut desired = Desired {
            owner: project.owner.clone(),
            previous_owners: project.previous_owners.clone(),
            credentials: Vec::new(),
            unidentified: Vec::new(),
            elsewhere: self.elsewhere(project, target),
            completeness: self.completeness.clone(),
        };
        let is_in_clear = self
            .entries
            .iter()
            .all(|(entry, ..)| matches!(entry.client_id.value, Reference::Plain(_)));
        for (entry, client, secret) in
            self.entries.iter().filter(|(entry, ..)| entry.targets.include(target))
        {
            let Some(client_id) = client.id(&entry.domain.value, clients) else {
                desired.unidentified.push(Unidentified {
                    key: entry.key.value.clone(),
                    domain: entry.domain.value.clone(),
                    name: entry.name.value.clone(),
                });
                continue;
            };
            // Client ids in plain text were compared when the manifests were read.
            if !is_in_clear
                && let Some(first) = seen.insert((&entry.domain.value, client_id), entry)
            {
                problems.push(same_client(entry, first));
            }
            desired.credentials.push(wanted(entry, client_id.clone(), secret.clone()));
        }
        // It is kept as long as the target is watched.
        desired.credentials.shrink_to_fit();
        (desired, problems)
    }

    /// Every entry whose client id and secret are known, with both.
    pub fn clients(&self) -> impl Iterator<Item = (&Entry, &ClientId, &Secret)> {
        self.entries.iter().filter_map(|(entry, client, secret)| match client {
            KnownClient::Clear(client_id) => Some((entry.as_ref(), client_id, secret.clear()?)),
            KnownClient::Sealed(_) | KnownClient::Unknown => None,
        })
    }
}

fn same_client(entry: &Entry, first: &Entry) -> Diagnostic {
    let spot = &entry.client_id.spot;
    Diagnostic::error(
        ProblemCode::DuplicateClient,
        format!("two entries of {} have the same client id", entry.domain.value),
    )
    .at(&spot.file, spot.span)
    .related(first.client_id.spot.clone(), "the first one")
    .help("keep one of them, or give them different `targets`")
}
