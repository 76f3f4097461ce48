//! `keygen`

use std::path::{Path, PathBuf};

use age::x25519;
use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::codes::ChangeCode;
use crate::files::{self, NotWritten};
use crate::model::Visible;
use crate::report::changes::MadeChange;
use crate::secret::HybridIdentity;

use super::exit::ExitStatus;
use super::gather::load;
use super::{ChangesArgs, Global, console, environment};

/// Make an age identity, and print the recipient that belongs to it
///
/// The identity is written where appcred looks for it, readable by you alone; an existing file is
/// never overwritten. The recipient is public: it goes into appcred.yaml.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred keygen
  appcred keygen --pq
  appcred keygen --output /etc/appcred/identity.txt")]
pub(super) struct Keygen {
    /// Write the identity to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make a post-quantum identity, as age 1.3 does; older programs do not read it
    #[arg(long)]
    pq: bool,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) fn run(
    global: &Global,
    verb: &Keygen,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let file = match &verb.output {
        Some(file) => file.clone(),
        None => usual_file()?,
    };
    let loaded = load(global);
    let is_project = !loaded.manifests.is_empty() || loaded.project.own_files().next().is_some();
    let project = is_project.then_some(global.folder.as_path());
    let recipient = generate(&file, project, verb.pq)?;
    made.push(identity_created(&file, &recipient));
    console::message(format_args!(
        "The identity is in {}. Keep a copy of it safe: without it, what is encrypted to it cannot be decrypted.",
        file.visible()
    ));
    console::say(&format!("{recipient}\n"))?;
    Ok(ExitStatus::Success)
}

/// That an identity was made.
pub(super) fn identity_created(file: &Path, recipient: &str) -> MadeChange {
    MadeChange::new(ChangeCode::IdentityCreated).file(file).recipient(recipient)
}

/// Where appcred looks for an identity of its own.
pub(super) fn usual_file() -> anyhow::Result<PathBuf> {
    let first = environment::identity_files().into_iter().next();
    first.context("the home folder is not known: name a file with --output")
}

/// Writes a new identity and answers its recipient.
pub(super) fn generate(
    file: &Path,
    project: Option<&Path>,
    post_quantum: bool,
) -> anyhow::Result<String> {
    if let Some(repository) = repository_of(file, project) {
        bail!(
            "{} would be in the repository or project {}: never put an identity into a repository; name a file elsewhere",
            file.visible(),
            repository.visible()
        );
    }
    let (recipient, identity) = if post_quantum {
        let identity = HybridIdentity::generate();
        (identity.to_public().to_string(), identity.to_text())
    } else {
        let identity = x25519::Identity::generate();
        let text = Zeroizing::new(identity.to_string().expose_secret().to_owned());
        (identity.to_public().to_string(), text)
    };
    let text = Zeroizing::new(format!("# public key: {recipient}\n{}\n", *identity));
    match files::create(file, &text, 0o600) {
        Err(NotWritten::Exists) => {
            bail!(
                "{} already exists and was not changed: use the identity in it, or name another file with --output",
                file.visible()
            )
        }
        other => other.with_context(|| format!("cannot write {}", file.visible()))?,
    }
    Ok(recipient)
}

/// The repository or project that a file is in, or would be.
fn repository_of(file: &Path, project: Option<&Path>) -> Option<PathBuf> {
    let above = files::folder_of(file);
    let there = above.ancestors().find_map(|folder| files::folder(folder).canonicalize().ok())?;
    let project = project.and_then(|project| project.canonicalize().ok());
    let home = environment::home().and_then(|home| home.canonicalize().ok());
    there
        .ancestors()
        // A home folder may be kept in Git, or be the project; what is below it is distinguished.
        .take_while(|folder| home.as_deref() != Some(folder))
        .find(|folder| folder.join(".git").exists() || project.as_deref() == Some(folder))
        .map(Path::to_owned)
}
