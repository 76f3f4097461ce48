//! All that secrets are read with in one run.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;

use super::file_cache::FileCache;
use super::files_of_secrets::FileOfSecrets;
use super::from::{SecretProgram, SecretPrograms};
use super::named::SecretsByName;
use super::once_map::OnceMap;
use super::recipients::{self, RecipientComparison};
use super::sops::{DecryptedDocument, Patterns};
use super::{Identities, Unreadable, age};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files;
use crate::model::sops::ParsedSops;
use crate::model::{ClientPart, Secret, ValueFault, Visible, client_fault};

/// Which files secrets may come from, and what they may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedPaths {
    /// The project's folder.
    pub project: PathBuf,
    /// Where systemd has put credentials for this process.
    pub credentials: Option<PathBuf>,
    /// Whether files outside of both may be read.
    pub allow_outside: bool,
    /// Whether a value may look like a placeholder.
    pub allow_placeholders: bool,
    /// The programs that may be asked for secrets.
    pub sources: SecretPrograms,
    /// SOPS, where it may be run for documents that no age identity opens.
    pub sops_program: Option<SecretProgram>,
    /// Whether there may be others, which could not be read.
    pub lacks_programs: bool,
    /// Whether none of them is run.
    pub no_programs: bool,
    /// The identity files of this machine, where somebody else writes the project: it may read neither these nor the
    /// variables that hold identities, since whoever has one can decrypt whatever was encrypted to it.
    pub withheld: Option<Vec<PathBuf>>,
}

/// Identities, the files that may be read, and what was opened already: each file once a run.
#[derive(Default)]
pub struct SecretResolver {
    pub(super) identities: Arc<Identities>,
    pub(super) allowed: AllowedPaths,
    pub(super) stores: FileCache<SecretsByName>,
    pub(super) singles: FileCache<Secret>,
    /// The files of secrets that are there, by the folder of the file that asks.
    pub(super) files_of_secrets: OnceMap<PathBuf, Result<Arc<[FileOfSecrets]>, Unreadable>>,
    /// The names in files of secrets that were not opened, where they can be read.
    pub(super) names: OnceMap<PathBuf, Option<BTreeSet<String>>>,
    /// The regular expressions of SOPS documents.
    pub(super) patterns: Arc<Patterns>,
    /// What programs answered, by the source and what it was asked for.
    pub(super) answers: OnceMap<(String, String), Result<Secret, Unreadable>>,
    documents: OnceMap<ByAddress, Result<DecryptedDocument, Unreadable>>,
    files: Mutex<BTreeSet<PathBuf>>,
    warnings: Mutex<Diagnostics>,
}

impl SecretResolver {
    /// A resolver of which nothing is opened yet.
    pub fn new(identities: Identities, allowed: AllowedPaths) -> Self {
        // Where the folder cannot be resolved, nothing in it can be read either.
        let project = files::folder(&allowed.project)
            .canonicalize()
            .unwrap_or_else(|_| allowed.project.clone());
        let credentials = allowed.credentials.map(|folder| folder.canonicalize().unwrap_or(folder));
        let allowed = AllowedPaths { project, credentials, ..allowed };
        Self { identities: Arc::new(identities), allowed, ..Self::default() }
    }

    /// For the next run with the same identities and allowed paths: only files that have changed since are
    /// read again.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Self {
        Self {
            identities: Arc::clone(&self.identities),
            patterns: Arc::clone(&self.patterns),
            allowed: self.allowed.clone(),
            stores: self.stores.renewed(now),
            singles: self.singles.renewed(now),
            ..Self::default()
        }
    }

    /// What is wrong with one half of a client.
    pub fn client_fault(&self, value: &Secret, part: ClientPart) -> Option<ValueFault> {
        client_fault(value.expose(), part, self.allowed.allow_placeholders)
    }

    /// Whether a value may look like a placeholder.
    pub fn allows_placeholders(&self) -> bool {
        self.allowed.allow_placeholders
    }

    /// Keeps what is worth knowing of a file that can be read.
    pub(super) fn warn(&self, warnings: Diagnostics) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).append(warnings);
    }

    /// Keeps a warning that many entries may cause.
    pub(super) fn warn_once(&self, warning: Diagnostic) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |known: &Diagnostic| known.message == warning.message;
        if warnings.clone().only(is_known).is_empty() {
            warnings.push(warning);
        }
    }

    /// What was found so far, once.
    pub fn take_warnings(&self) -> Diagnostics {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// To whom is encrypted what shall be read here again.
    pub fn recipients(&self) -> &[String] {
        self.identities.recipients()
    }

    /// Whether a recipient is that of an identity found.
    pub fn owns(&self, recipient: &str) -> bool {
        self.identities.own_recipients().has(recipient)
    }

    /// Whether none of the identities found opens what is encrypted to these recipients, as far as that is known without
    /// asking anybody.
    pub fn is_locked_out_by(&self, recipients: &[String]) -> bool {
        self.identities.own_recipients().are_locked_out_by(recipients)
    }

    /// Decrypts an age file, armored or not.
    ///
    /// # Errors
    /// Where none of the identities opens it, or it is damaged.
    pub fn open(&self, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        age::decrypt(file, &self.identities)
    }

    /// Compares those whom an age file is encrypted to with those who are wanted.
    ///
    /// # Errors
    /// Where it is none.
    pub fn sealed_to(
        &self,
        file: &[u8],
        wanted: &[String],
    ) -> Result<RecipientComparison, Unreadable> {
        recipients::compare(file, wanted, &self.identities)
    }

    /// The files that were read so far; what they hold is not read again.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Notes that a file was read.
    pub(super) fn note(&self, file: &Path) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned());
    }

    /// The value of a SOPS document that begins at this byte.
    pub(super) fn value(
        &self,
        document: &Arc<ParsedSops>,
        at: usize,
    ) -> Result<Secret, Unreadable> {
        let open = || DecryptedDocument::of(document, self);
        self.documents.with(&ByAddress(Arc::clone(document)), open, |opened| match opened {
            Ok(opened) => opened.at(at, document),
            Err(why) => Err(why.clone()),
        })
    }

    /// A file of the project as it is reached through this name of the project's folder.
    pub fn path_from(&self, folder: &Path, path: &Path) -> PathBuf {
        let Ok(inside) = path.strip_prefix(&self.allowed.project) else { return path.to_owned() };
        if folder == Path::new(".") { inside.to_owned() } else { folder.join(inside) }
    }

    /// A path as a person in the project would write it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.allowed.project).unwrap_or(path).visible().into_owned()
    }
}

/// A document, distinguished from others by its address in memory: comparing the texts would
/// compare the whole file for each of its values.
#[derive(Clone)]
struct ByAddress(Arc<ParsedSops>);

impl ByAddress {
    fn address(&self) -> *const ParsedSops {
        Arc::as_ptr(&self.0)
    }
}

impl PartialEq for ByAddress {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for ByAddress {}

impl PartialOrd for ByAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.address().cmp(&other.address())
    }
}
