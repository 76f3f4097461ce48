//! age identities: who may decrypt.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use age::{Callbacks, Identity, ssh};
use age_core::format::Stanza;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use crate::diagnostic::{Diagnostic, ProblemCode};
use crate::files::{self, TEXT_LIMIT};

use super::ask::{Ask, Nobody, Person};
use super::env::{IdentitySources, holds_identity};
use super::locked::{BadLine, IdentityLine, LockedFile, LockedSsh, nothing_in, parse, words};
use super::own_recipients::OwnRecipients;
use super::remembered::{OpenedLast, Remembered};
use super::{program, seal, ssh_key};
use crate::model::{Secret, Visible};

/// No program prints more identities.
const MAX_BYTES: usize = 64 * 1024;

/// Why an identity could not be taken. The identity itself is never repeated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IdentityProblem {
    /// The file cannot be read.
    #[error("cannot read the age identities in {name}: {why}")]
    File {
        /// The file, or the variable that names it.
        name: String,
        /// The reason.
        why: String,
    },
    /// There is no such file, as on a machine that decrypts nothing.
    #[error("cannot read the age identities in {name}: there is no such file or folder")]
    Missing {
        /// The file, or the variable that names it.
        name: String,
    },
    /// The program gives nothing.
    #[error("the program that {variable} names {why}")]
    Program {
        /// The variable.
        variable: &'static str,
        /// The reason.
        why: String,
    },
    /// A line that is no identity.
    #[error("line {line} of {name} is not an age identity{}", why.map(|why| format!(": {why}")).unwrap_or_default())]
    Line {
        /// The file or variable.
        name: String,
        /// The line, from 1.
        line: usize,
        /// Why, where that can be seen.
        why: Option<&'static str>,
    },
    /// The program that keeps the identity is missing.
    #[error("line {line} of {name} needs the program {program}, which is not in PATH")]
    Plugin {
        /// The file or variable.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The program.
        program: String,
    },
    /// A program keeps the identity, and whoever wrote the file may start none.
    #[error(
        "line {line} of {name} needs a plugin of age, which is a program, and a project that was fetched may start none here"
    )]
    PluginRefused {
        /// The file.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// An SSH key of a kind that age cannot use.
    #[error("the key in {name} {why}")]
    Ssh {
        /// The file or variable.
        name: String,
        /// What is the matter.
        why: &'static str,
    },
    /// An encrypted file that asks for no passphrase.
    #[error("{name} is encrypted, but not with a passphrase")]
    Encrypted {
        /// The file.
        name: String,
    },
    /// Nothing in it.
    #[error("{name} contains no age identity")]
    Empty {
        /// The file or variable.
        name: String,
    },
}

impl IdentityProblem {
    /// The warning that is reported.
    pub fn warning(&self) -> Diagnostic {
        Diagnostic::warning(ProblemCode::Identity, self.to_string())
    }

    /// Whether the identity, or the program that keeps it, is merely not on this machine.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Plugin { .. })
    }
}

/// A file of identities.
pub struct IdentityFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it may name plugins.
    pub plugins: Plugins,
}

impl From<PathBuf> for IdentityFile {
    fn from(path: PathBuf) -> Self {
        Self { path, plugins: Plugins::Allowed }
    }
}

/// Whether an identity may be one that a plugin of age keeps, which is a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plugins {
    /// It may.
    Allowed,
    /// It may not: others can write the file.
    Refused,
}

/// The identities that may decrypt, and the person who may be asked for a passphrase.
pub struct Identities {
    /// Those that need no input, each with the recipient that it opens for.
    free: Vec<(Box<dyn Identity + Send + Sync>, Option<String>)>,
    /// Those that may ask, tried last.
    asking: Vec<Box<dyn Identity + Send + Sync>>,
    /// To whom is encrypted what those open that need no input.
    recipients: Vec<String>,
    /// The same for SSH keys under a passphrase.
    asking_recipients: Vec<String>,
    own: OwnRecipients,
    person: Person,
    /// The passphrase of files that have one instead of recipients: it is asked for once.
    passphrase: OnceLock<Option<SecretString>>,
    bad_line: BadLine,
    opened_last: OpenedLast,
}

impl Default for Identities {
    fn default() -> Self {
        Self::none(Nobody)
    }
}

impl Identities {
    fn none(person: impl Ask) -> Self {
        Self {
            free: Vec::new(),
            asking: Vec::new(),
            recipients: Vec::new(),
            asking_recipients: Vec::new(),
            own: OwnRecipients::default(),
            person: Person::new(person),
            passphrase: OnceLock::new(),
            bad_line: BadLine::default(),
            opened_last: OpenedLast::default(),
        }
    }

    /// Reads identity files (age's own, encrypted or not, or OpenSSH keys) and what the environment
    /// holds or names. What can be read is taken; the rest is reported.
    pub fn gather(
        files: &[IdentityFile],
        environment: &IdentitySources,
        person: impl Ask,
    ) -> (Self, Vec<IdentityProblem>) {
        let mut identities = Self::none(person);
        let mut problems = Vec::new();
        for IdentityFile { path, plugins } in files {
            identities.add_file(path, &name_of(path), *plugins, &mut problems);
        }
        for (variable, file) in &environment.files {
            let name = format!("the file that {variable} names");
            identities.add_file(file, &name, Plugins::Allowed, &mut problems);
        }
        for (name, text) in &environment.texts {
            identities.add(text.expose().as_bytes(), name, Plugins::Allowed, &mut problems);
        }
        for (variable, command) in &environment.programs {
            match printed(command) {
                Ok(bytes) => {
                    let name = format!("what the program that {variable} names prints");
                    identities.add(&bytes, &name, Plugins::Allowed, &mut problems);
                }
                Err(why) => problems.push(IdentityProblem::Program { variable, why }),
            }
        }
        // Nobody named these: what cannot be used of them is no problem, and nothing is encrypted to
        // them without being asked for.
        let named = (identities.recipients.clone(), identities.asking_recipients.clone());
        for file in &environment.ssh_keys {
            identities.add_file(file, &name_of(file), Plugins::Allowed, &mut Vec::new());
        }
        (identities.recipients, identities.asking_recipients) = named;
        // A variable may name a file that is read as well.
        for recipients in [&mut identities.recipients, &mut identities.asking_recipients] {
            let mut seen = BTreeSet::new();
            recipients.retain(|recipient| seen.insert(recipient.clone()));
        }
        (identities, problems)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.free.len() + self.asking.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To whom is encrypted what these identities shall open, without asking anybody if they can.
    pub fn recipients(&self) -> &[String] {
        if self.recipients.is_empty() { &self.asking_recipients } else { &self.recipients }
    }

    /// The recipients of all of them.
    pub(super) fn own_recipients(&self) -> &OwnRecipients {
        &self.own
    }

    /// Those that open without asking anybody, in the order in which they are tried.
    pub(super) fn free(&self) -> Vec<Remembered<'_>> {
        let free = self.free.iter().map(|(identity, _)| identity.as_ref() as &dyn Identity);
        self.opened_last.first(free)
    }

    /// Those that may ask somebody, which are tried after them.
    pub(super) fn asking(&self) -> impl Iterator<Item = &dyn Identity> {
        self.asking.iter().map(|identity| identity.as_ref() as &dyn Identity)
    }

    /// For whom a part of an age file is, if it is for one that needs no input.
    pub(super) fn recipient_of(&self, stanza: &Stanza) -> Option<String> {
        let opens = |(identity, _): &&(Box<dyn Identity + Send + Sync>, Option<String>)| {
            matches!(identity.unwrap_stanza(stanza), Some(Ok(_)))
        };
        self.free.iter().find(opens).and_then(|(_, recipient)| recipient.clone())
    }

    /// The passphrase of files that have no recipients.
    pub(super) fn passphrase(&self) -> Option<SecretString> {
        let ask = || self.person.request_passphrase("Passphrase for the encrypted secrets");
        self.passphrase.get_or_init(ask).clone()
    }

    /// Whether input was needed and none was given.
    pub(super) fn went_unanswered(&self) -> bool {
        self.person.was_silent()
    }

    /// What is wrong in an encrypted identity file that was opened.
    pub(super) fn bad_line(&self) -> Option<IdentityProblem> {
        self.bad_line.get().cloned()
    }

    fn add_file(
        &mut self,
        file: &Path,
        name: &str,
        plugins: Plugins,
        problems: &mut Vec<IdentityProblem>,
    ) {
        match files::read(file, TEXT_LIMIT) {
            Ok(bytes) => self.add(&bytes, name, plugins, problems),
            Err(_)
                if file
                    .file_name()
                    .is_some_and(|text| seal::is_recipient(&text.to_string_lossy())) =>
            {
                let why = "it is a recipient, which opens nothing: name the file of its identity";
                problems.push(IdentityProblem::File { name: name.to_owned(), why: why.to_owned() });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                problems.push(IdentityProblem::Missing { name: name.to_owned() });
            }
            Err(error) => {
                problems
                    .push(IdentityProblem::File { name: name.to_owned(), why: error.to_string() });
            }
        }
    }

    fn add(
        &mut self,
        bytes: &[u8],
        name: &str,
        plugins: Plugins,
        problems: &mut Vec<IdentityProblem>,
    ) {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        if super::age::is_file(bytes) {
            match LockedFile::new(bytes, name, &self.person, plugins, &self.bad_line) {
                Some(file) => {
                    self.asking.push(Box::new(file));
                    self.own.add(None);
                }
                None => problems.push(IdentityProblem::Encrypted { name: name.to_owned() }),
            }
            return;
        }
        let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
        if ssh_key::is_one(&text) {
            match self.ssh(&text, name) {
                Ok(()) => {}
                Err(why) => problems.push(IdentityProblem::Ssh { name: name.to_owned(), why }),
            }
            return;
        }
        let before = self.len() + problems.len();
        for (line, identity) in words(&text) {
            // One problem of a line is enough, however many words it has.
            let is_of_line = |problem: &IdentityProblem| matches!(problem, IdentityProblem::Line { name: of, line: at, .. } if of == name && *at == line);
            if let Err(problem) = self.add_line(identity, name, line, plugins)
                && !problems.iter().any(is_of_line)
            {
                problems.push(problem);
            }
        }
        if before == self.len() + problems.len() {
            problems.push(nothing_in(&text, name));
        }
    }

    fn add_line(
        &mut self,
        word: &str,
        name: &str,
        line: usize,
        plugins: Plugins,
    ) -> Result<(), IdentityProblem> {
        match parse(word, &self.person, plugins) {
            Ok(IdentityLine::Free { key, recipient }) => {
                self.recipients.push(recipient.clone());
                self.own.add(Some(recipient.clone()));
                self.free.push((key, Some(recipient)));
            }
            Ok(IdentityLine::Asking(identity)) => {
                self.asking.push(identity);
                self.own.add(None);
            }
            Err(why) => return Err(why.at(name, line)),
        }
        Ok(())
    }

    fn ssh(&mut self, text: &str, name: &str) -> Result<(), &'static str> {
        let identity = ssh_key::read(text)?;
        let recipient = ssh_key::recipient_of(&identity);
        if let ssh::Identity::Encrypted(key) = identity {
            let key = LockedSsh::new(key, name, &self.person).ok_or(ssh_key::OTHER_TYPE)?;
            self.asking.push(Box::new(key));
            self.own.add(recipient.clone());
            self.asking_recipients.extend(recipient);
            return Ok(());
        }
        self.own.add(recipient.clone());
        self.recipients.extend(recipient.clone());
        let is_too_short = recipient.is_none();
        self.free.push((Box::new(identity), recipient));
        if is_too_short { Err(ssh_key::TOO_SHORT) } else { Ok(()) }
    }
}

/// A file as messages name it, which is not repeated where an identity was written in its place.
fn name_of(file: &Path) -> String {
    let name = file.visible().into_owned();
    if holds_identity(&name) { "an identity that is no path".to_owned() } else { name }
}

/// What a program prints, whose line is split as a shell would.
fn printed(command: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
    let words = shell_words::split(command.expose()).map_err(|_| "has an unclosed quote")?;
    let (program, arguments) = words.split_first().ok_or("is empty")?;
    program::output_blocking(program, arguments, Path::new("."), MAX_BYTES)
        .map_err(|why| why.to_string())
}
