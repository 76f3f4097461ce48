//! Secrets that live elsewhere: `!from op vault/item` is what the program prints that `sources: {op: …}` in
//! the project file names. A manifest names a program, and never says what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use super::env;
use super::program::{Capture, ProgramError, capture};
use super::source::{SecretSource, is_argument};
use super::{AllowedPaths, SecretResolver, Unreadable, said};
use crate::model::{Reference, Secret, Visible, hidden_character};
use crate::suggest;

pub(super) const SOURCE: SecretSource =
    SecretSource { tag: "from", read, places: |_, _, _| Vec::new() };

/// What in an argument of a command is replaced by what a manifest asks for.
pub const ASKED: &str = "{}";
/// No secret is longer.
const MAX_BYTES: usize = 64 * 1024;
/// So many programs run at once: each mostly waits for an answer from elsewhere.
const AT_ONCE: usize = 8;
/// What runs a text as a script, on this machine or on another one.
const SHELLS: [&str; 13] = [
    "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox", "ssh", "rsh", "su",
    "eval",
];
/// What means something to a shell, in quotes or not.
const SHELL_MARKS: &str = ";&|$`\\\"'<>(){}[]*?!#~^";
/// A program that the project names as a source of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretProgram {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The variables of the environment that it gets beside the usual ones.
    pub environment: Vec<String>,
}

/// The programs by the names that manifests use.
pub type SecretPrograms = BTreeMap<String, SecretProgram>;

/// What a program of the project file is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramRole {
    /// The source of this name.
    Source(String),
    /// Opening SOPS documents.
    Sops,
}

impl fmt::Display for ProgramRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => write!(f, "the program of the source `{name}`"),
            Self::Sops => f.write_str("the program of `sops_program`"),
        }
    }
}

/// Why a program gave no secret. None of it repeats what the program printed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceProblem {
    /// Nothing says what the program is asked for.
    #[error("`!from` names a source, but not what to read from it")]
    NothingAsked,
    /// It may be one of the programs that could not be read, or are not allowed.
    #[error("the programs that appcred.yaml names are not known")]
    NotRead,
    /// No source has the name.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be asked for this.
    #[error("the argument of `!from` {0}")]
    Asked(&'static str),
    /// No program is run here.
    #[error("{0} is not run here")]
    NotAsked(ProgramRole),
    /// The program cannot be started.
    #[error("{0} {1}")]
    NotRun(ProgramRole, String),
    /// It says that it failed.
    #[error("{role} ended with {status}{}", said(.stderr))]
    Failed {
        /// Which it is.
        role: ProgramRole,
        /// How it ended.
        status: String,
        /// What it wrote to its standard error, without what may be secret.
        stderr: String,
    },
    /// It takes too long.
    #[error("{0} did not end within {1} seconds and was killed")]
    TooSlow(ProgramRole, u64),
    /// It prints too much.
    #[error("{role} prints more than {} KiB", limit / 1024)]
    TooMuch {
        /// Which it is.
        role: ProgramRole,
        /// How many bytes it may print.
        limit: usize,
    },
    /// It prints nothing.
    #[error("{0} printed nothing")]
    Nothing(ProgramRole),
    /// It prints something else than a SOPS document decrypted.
    #[error("{0} did not print the values of the document")]
    OtherValues(ProgramRole),
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl SourceProblem {
    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::NothingAsked | Self::Asked(_) => {
                "write the source and what to read from it, as in `!from op vault/item/field`"
            }
            Self::Unknown(_) => {
                "name it under `sources` in appcred.yaml, as in `sources: {op: {command: [op, read, \"{}\"]}}`"
            }
            Self::NotAsked(_) => "`plan` asks it",
            Self::NotRead => "correct appcred.yaml first",
            Self::NotRun(ProgramRole::Source(_), _) => {
                "install it, or correct `command` under `sources` in appcred.yaml"
            }
            Self::NotRun(ProgramRole::Sops, _) => {
                "install it, or correct `command` under `sops_program` in appcred.yaml"
            }
            Self::Failed { role: ProgramRole::Source(_), .. } | Self::Nothing(_) => {
                "run the command yourself; if it needs variables of the environment, list them under `environment` of the source"
            }
            Self::Failed { role: ProgramRole::Sops, .. } => {
                "run `sops decrypt FILE` yourself; if it needs variables of the environment, list them under `environment` of `sops_program`"
            }
            Self::OtherValues(_) => {
                "let `command` of `sops_program` in appcred.yaml be SOPS, as in `[sops]`"
            }
            Self::TooSlow(..) => {
                "it cannot ask for anything on this terminal: unlock it first, or give it a longer `timeout` in appcred.yaml"
            }
            Self::TooMuch { .. } => "let it print one secret alone",
        }
    }
}

/// What a manifest asks a source for.
struct SourceQuestion<'q> {
    name: &'q str,
    program: &'q SecretProgram,
    asked: &'q str,
}

impl<'q> SourceQuestion<'q> {
    fn new(argument: &'q str, allowed: &'q AllowedPaths) -> Result<Self, SourceProblem> {
        let sources = &allowed.sources;
        let (name, asked) =
            argument.split_once(char::is_whitespace).ok_or(SourceProblem::NothingAsked)?;
        let asked = asked.trim();
        let program = sources.get(name).ok_or_else(|| {
            if allowed.lacks_programs {
                return SourceProblem::NotRead;
            }
            let known = sources.keys().map(String::as_str);
            // It may be a secret that was typed in the place of a name.
            let unknown = if is_argument(name) {
                suggest::missing("source", name, known)
            } else {
                "there is no source of that name".to_owned()
            };
            SourceProblem::Unknown(unknown)
        })?;
        if asked.starts_with('-') {
            return Err(SourceProblem::Asked(
                "begins with `-`, so the program would take it as an option",
            ));
        }
        if asked.split(['/', '\\']).any(|part| part == "..") {
            return Err(SourceProblem::Asked("leads to a parent folder with `..`"));
        }
        if hidden_character(asked).is_some() || asked.contains(char::is_control) {
            return Err(SourceProblem::Asked("has a character that cannot be seen"));
        }
        let is_marked = asked.contains(|mark: char| SHELL_MARKS.contains(mark));
        if may_reach_shell(&program.command) && (is_marked || asked.contains(" -")) {
            return Err(SourceProblem::Asked(
                "has characters that mean something to a shell, which the source's command may run",
            ));
        }
        Ok(Self { name, program, asked })
    }

    fn answer(&self, folder: &Path) -> Result<Secret, Unreadable> {
        let words: Vec<String> =
            self.program.command.iter().map(|word| word.replace(ASKED, self.asked)).collect();
        let printed = Run {
            role: self.role(),
            program: self.program,
            command: &words,
            folder,
            input: None,
            limit: MAX_BYTES,
        };
        let printed = printed.printed()?;
        let text = std::str::from_utf8(&printed).map_err(|_| Unreadable::NotUtf8)?;
        let secret = Secret::new(text);
        match secret.expose() {
            "" => Err(SourceProblem::Nothing(self.role()).into()),
            _ => Ok(secret),
        }
    }

    fn role(&self) -> ProgramRole {
        ProgramRole::Source(self.name.to_owned())
    }
}

/// A program of the project file that is to print something secret.
pub(super) struct Run<'r> {
    pub(super) role: ProgramRole,
    pub(super) program: &'r SecretProgram,
    /// The program and its arguments as they are now.
    pub(super) command: &'r [String],
    pub(super) folder: &'r Path,
    pub(super) input: Option<&'r [u8]>,
    /// How many bytes it may print.
    pub(super) limit: usize,
}

impl Run<'_> {
    /// Runs it, and gives what it prints.
    pub(super) fn printed(self) -> Result<Zeroizing<Vec<u8>>, SourceProblem> {
        let Self { role, program, command, folder, input, limit } = self;
        let Some((name, arguments)) = command.split_first() else {
            return Err(SourceProblem::NotRun(role, "has no name".to_owned()));
        };
        let named = &program.environment;
        let environment = env::passed(named);
        let timeout = program.timeout;
        let program = name;
        let asked = Capture { program, arguments, folder, input, limit, timeout, environment };
        let captured = match capture(asked) {
            Ok(captured) => captured,
            Err(ProgramError::NotRun(why)) if why.kind() == ErrorKind::NotFound => {
                let why = format!("`{}` was not found", name.visible());
                return Err(SourceProblem::NotRun(role, why));
            }
            Err(ProgramError::TooSlow(seconds)) => {
                return Err(SourceProblem::TooSlow(role, seconds));
            }
            Err(why) => return Err(SourceProblem::NotRun(role, why.to_string())),
        };
        if captured.stdout.len() > limit {
            return Err(SourceProblem::TooMuch { role, limit });
        }
        if !captured.status.success() {
            let value = |name: &String| env::variable(name)?.into_string().ok();
            let given: Vec<String> = named.iter().filter_map(value).collect();
            let stderr = said::masked(&captured.stderr, &captured.stdout, &given, &role);
            let status = captured.status.to_string();
            return Err(SourceProblem::Failed { role, status, stderr });
        }
        Ok(captured.stdout)
    }
}

fn read(argument: &str, _: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let question = SourceQuestion::new(argument, &resolver.allowed)?;
    if resolver.allowed.no_programs {
        return Err(SourceProblem::NotAsked(question.role()).into());
    }
    let key = (question.name.to_owned(), question.asked.to_owned());
    let folder = &resolver.allowed.project;
    resolver.answers.with(&key, || question.answer(folder), Clone::clone)
}

/// Asks the programs of all these references, several at once, so that who reads them waits for none.
pub(super) fn ask_all(references: &[&Reference], resolver: &SecretResolver) {
    let asked: BTreeSet<&str> = references.iter().filter_map(|one| argument_of(one)).collect();
    let workers = asked.len().min(AT_ONCE);
    let questions = Mutex::new(asked.into_iter());
    let next = || questions.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..workers {
            let work = || {
                while let Some(argument) = next() {
                    // The answer is kept, and an error reported by who reads it.
                    drop(read(argument, Path::new(""), resolver));
                }
            };
            // With fewer threads it takes longer: who reads them asks for the rest.
            if let Err(why) = thread::Builder::new().spawn_scoped(scope, work) {
                tracing::debug!(%why, "a thread that asks programs cannot be started");
                break;
            }
        }
    });
}

/// What follows the tag of such a reference.
fn argument_of(reference: &Reference) -> Option<&str> {
    match reference {
        Reference::Tagged { tag, argument, .. } if tag == SOURCE.tag => Some(argument),
        _ => None,
    }
}

/// Whether a program is asked for a secret.
pub fn is_from_program(reference: &Reference) -> bool {
    argument_of(reference).is_some()
}

/// Whether a shell may read the arguments of this command, such as that of a remote machine.
fn may_reach_shell(command: &[String]) -> bool {
    let is_shell = |word: &str| word.rsplit('/').next().is_some_and(|name| SHELLS.contains(&name));
    command.iter().any(|word| word.split_whitespace().any(is_shell))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::SecretProgram;
    use crate::model::{Reference, Secret};
    use crate::secret::{AllowedPaths, Identities, SecretResolver, read, read_all};

    #[test]
    fn an_answer_is_kept_for_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let command = ["cat", "{}"].map(str::to_owned).to_vec();
        let program =
            SecretProgram { command, timeout: Duration::from_secs(60), environment: Vec::new() };
        let allowed = AllowedPaths {
            project: folder.path().to_owned(),
            sources: [("disk".to_owned(), program)].into(),
            ..AllowedPaths::default()
        };
        let from = |argument: &str| Reference::Tagged {
            tag: "from".to_owned(),
            argument: argument.to_owned(),
            base: Path::new("a.yaml").into(),
        };
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let resolver = SecretResolver::new(Identities::default(), allowed);
        let all: Vec<_> = (0..20).map(|number| from(&format!("disk f{number}"))).collect();
        (0..20).for_each(|number| write(&format!("f{number}"), &format!("hunter{number}\n")));
        let answers = read_all(&all.iter().collect::<Vec<_>>(), &resolver);
        let wanted = |number| Ok(Secret::new(&format!("hunter{number}")));
        assert_eq!(answers, (0..20).map(wanted).collect::<Vec<_>>());

        write("f3", "changed\n");
        assert_eq!(read(&from("disk f3"), &resolver), wanted(3));
        let next = resolver.renewed(Timestamp::UNIX_EPOCH);
        assert_eq!(read(&from("disk   f3"), &next), Ok(Secret::new("changed")));
    }
}
