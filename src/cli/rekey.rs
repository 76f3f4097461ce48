//! `rekey`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::codes::ChangeCode;
use crate::diagnostic::ProblemCode;
use crate::encrypted_file::{EncryptedFileError, Rekeyed, rekeyed};
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest::{Loaded, Project, secret_values};
use crate::model::{AGE_HEADER, Visible, counted};
use crate::recipients::UPDATE_KEYS;
use crate::report::changes::MadeChange;
use crate::secret::{SecretResolver, SopsWriteError, files_of, is_age_file, is_sops_document};

use super::encrypt::{distinct, in_all, project};
use super::exit::ExitStatus;
use super::gather::{load, resolver, show};
use super::locks::lock_project;
use super::recipients::{Recipients, of_file, recipients};
use super::{ChangesArgs, Global, console};

/// Encrypt secrets again, to the recipients that the project has now
///
/// Changes what is encrypted to other recipients than those under `age:` in appcred.yaml, in place, and
/// no other byte. Without FILE that is all manifests, appcred.yaml, and the files that they name by !file
/// and !secret. Of a SOPS document the recipients change as by `sops updatekeys`; its values stay.
/// What is encrypted with a passphrase stays so.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "What is compared: SOPS writes down its recipients, and so does appcred, as a \
digest in each age file. An age file of another program does not say for whom it is: it is left alone \
where the identities found and the tags of SSH keys show that it is for exactly these recipients, \
and encrypted again otherwise.

Whoever could decrypt until now still can from Git's history: after removing a recipient, make new
secrets at the providers.

Examples:
  appcred rekey
  appcred rekey credentials/spotify.yaml secrets.yaml.age
  appcred rekey --force"
)]
pub(super) struct Rekey {
    /// Manifests, SOPS documents or age files
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Re-encrypt everything, whatever its recipients
    #[arg(long)]
    force: bool,
    /// Continue even if none of the identities found could decrypt the result
    #[arg(long)]
    allow_lockout: bool,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) fn run(
    global: &Global,
    verb: &Rekey,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let _lock = lock_project(global)?;
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    let (resolver, _) = resolver(global, &project);
    let (mut changed, mut is_whole) = (0, true);
    let files = if verb.files.is_empty() {
        let loaded = load(global);
        let problems = loaded.problems.without(ProblemCode::PlainSecret);
        show(&problems);
        is_whole = !problems.has_errors();
        all_files(global, &loaded, &resolver)
    } else {
        distinct(verb.files.iter().cloned())
    };
    let of_file = |file: &Path| rekey(global, file, verb, &project, &resolver);
    let Some(mut all) = in_all(&files, of_file) else { return Ok(ExitStatus::Failure) };
    let changes: Vec<_> = all.iter_mut().filter_map(|of_file| of_file.change.take()).collect();
    files::change_all(&changes)?;
    for (file, Rewritten { count, plain, recipients, .. }) in files.iter().zip(all) {
        changed += count;
        if count > 0 {
            let secrets = counted(count, "secret");
            console::say(&format!("{}: {secrets} encrypted again\n", file.visible()))?;
            made.push(MadeChange::new(ChangeCode::SecretsReencrypted).file(file).count(count));
            recipients.say();
        }
        if plain > 0 {
            let secrets = counted(plain, "secret");
            console::message(format_args!(
                "{}: {secrets} in plain text: encrypt with `appcred encrypt`",
                file.visible()
            ));
        }
    }
    if changed > 0 {
        console::message(
            "Whoever could decrypt them until now still can from Git's history. If a recipient was removed, make new secrets at the providers: `appcred rotate KEY` enters each.",
        );
    }
    if changed == 0 && is_whole {
        console::say("All encrypted secrets are already encrypted to the project's recipients.\n")?;
    }
    Ok(if is_whole { ExitStatus::Success } else { ExitStatus::Failure })
}

/// A file with its values encrypted again.
struct Rewritten {
    change: Option<FileChange>,
    count: usize,
    plain: usize,
    recipients: Recipients,
}

fn rekey(
    global: &Global,
    file: &Path,
    verb: &Rekey,
    project: &Project,
    resolver: &SecretResolver,
) -> anyhow::Result<Rewritten> {
    let before = files::read(file, TEXT_LIMIT).context("cannot read it")?;
    let text = String::from_utf8_lossy(&before);
    let is_encrypted = is_age_file(&before) || text.contains(AGE_HEADER) || is_sops_document(&text);
    // Where nothing is encrypted, nobody need be named.
    let recipients = match is_encrypted {
        true => recipients(global, project, &[], file)?,
        false => of_file(&global.folder, project, file)?,
    };
    let is_lockout = is_encrypted && resolver.is_locked_out_by(&recipients.names);
    if is_lockout && !verb.allow_lockout {
        bail!(
            "none of the age identities found matches the recipients, so you could not decrypt the result: add your recipient under `age: recipients:` in appcred.yaml, or use --allow-lockout"
        );
    }
    let made = rekeyed(&before, &recipients.names, verb.force, resolver).map_err(|why| {
        let help = match why {
            EncryptedFileError::Sops(SopsWriteError::Form(_) | SopsWriteError::OtherKeys(_)) => {
                Some(UPDATE_KEYS)
            }
            _ => why.help(),
        };
        let error = anyhow::Error::from(why);
        match help {
            Some(help) => anyhow::anyhow!("{error:#}; {help}"),
            None => error,
        }
    })?;
    let Rekeyed { bytes, count, plain } = made;
    let path = file.to_owned();
    let change = bytes.map(|after| FileChange { path, before: Some(before), after });
    Ok(Rewritten { change, count, plain, recipients })
}

/// The project file, all manifests, and the files that they name.
pub(super) fn all_files(
    global: &Global,
    loaded: &Loaded,
    resolver: &SecretResolver,
) -> Vec<PathBuf> {
    let manifests = loaded.manifests.iter().cloned();
    let own = loaded.project.own_files().map(Path::to_owned).chain(manifests);
    let named = secret_values(&loaded.project, &loaded.entries)
        .flat_map(|secret| files_of(&secret.value.value, resolver))
        .map(|file| resolver.path_from(&global.folder, &file));
    distinct(own.chain(named))
}
