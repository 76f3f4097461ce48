//! `encrypt`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;

use crate::codes::ChangeCode;
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Severity, SourceFile, Spot};
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest::{
    PlainSecrets, Project, check, check_in_clear, check_names, discover, entries, load_project,
    mask,
};
use crate::model::{Secret, ValueFault, Visible, counted, value_fault};
use crate::report::changes::MadeChange;
use crate::secret::is_sops_document;
use crate::secret::seal::seal;
use crate::yaml_edit::{NewValue, SlotValue, put, slots};

use super::exit::ExitStatus;
use super::gather::{load, non_interactive_resolver, request, show};
use super::init::FIRST_MANIFEST;
use super::locks::lock_project;
use super::recipients::{Recipients, recipients, refuse_name_of_sops};
use super::{ChangesArgs, Global, OutputFormat, console};

/// Encrypt the plain-text secrets of manifests
///
/// Each is encrypted in its place with age, to the recipients that appcred.yaml or else .sops.yaml names,
/// post-quantum ones (`age1pq1...`) too; every other byte of the file stays as it is. Without FILE that is done
/// in all manifests, appcred.yaml and files of targets. With `-` one secret is read from standard input, and the age file for it
/// is written to standard output. In a SOPS document, `appcred edit` enters secrets; what a program keeps
/// needs no encryption: name it with `!from`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred encrypt
  appcred encrypt credentials/spotify.yaml
  pbpaste | appcred encrypt -")]
pub(super) struct Encrypt {
    /// Manifests, or `-`
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Encrypt to this recipient instead; may be given several times
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

pub(super) fn run(
    global: &Global,
    verb: &Encrypt,
    made: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    if verb.files.iter().any(|file| file == Path::new("-")) {
        return encrypt_stdin(global, verb);
    }
    let _lock = lock_project(global)?;
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    let (files, mut is_whole) = files(global, &project, &verb.files);
    if !all_fit(&files, &project) {
        return Ok(ExitStatus::Failure);
    }
    let of_file = |file: &Path| encrypt(global, file, verb, &project);
    let Some(mut all) = in_all(&files, of_file) else { return Ok(ExitStatus::Failure) };
    warn_of_lockout(global, &project, verb, &all);
    let changes: Vec<_> = all.iter_mut().filter_map(|of_file| of_file.change.take()).collect();
    files::change_all(&changes)?;
    let mut encrypted = Vec::new();
    for (file, Encrypted { mut secrets, left, recipients, .. }) in files.iter().zip(all) {
        if !secrets.is_empty() {
            let count = secrets.len();
            made.push(MadeChange::new(ChangeCode::SecretsEncrypted).file(file).count(count));
            let secrets = counted(count, "secret");
            console::say(&format!("{}: {secrets} encrypted\n", file.visible()))?;
            recipients.say();
        }
        encrypted.append(&mut secrets);
        for why in left {
            is_whole = false;
            console::error(format_args!("{}: {why}", file.visible()));
        }
    }
    let loaded = load(global);
    let (resolver, _) = non_interactive_resolver(global, &loaded.project);
    let mut suspects = check_names(&loaded.project, &loaded.entries, &resolver);
    suspects.append(check_in_clear(
        &sources(&files, loaded.files),
        encrypted.iter().map(|secret| (None, secret)),
    ));
    is_whole &= suspects.is_empty();
    show(&suspects);
    let is_warning = |problem: &Diagnostic| {
        problem.code == ProblemCode::PlainSecret && problem.severity == Severity::Warning
    };
    let in_comments = loaded.problems.only(is_warning);
    show(&in_comments);
    if encrypted.is_empty() && is_whole && in_comments.is_empty() {
        console::say("No secret is in plain text.\n")?;
    } else if !encrypted.is_empty() {
        console::message(
            "What was ever committed in plain text is still in Git's history: replace the secrets at the providers.",
        );
    }
    Ok(if is_whole { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Encrypts one secret from standard input to standard output.
fn encrypt_stdin(global: &Global, verb: &Encrypt) -> anyhow::Result<ExitStatus> {
    if verb.files.len() > 1 {
        bail!("`-` cannot be combined with files");
    }
    if verb.changes.format != OutputFormat::Text {
        bail!("with `-` the result is an age file, which has one form: leave out --format");
    }
    let secret = files::read_stream(&mut std::io::stdin(), TEXT_LIMIT)
        .context("cannot read standard input")?;
    // Who may read it is what the project says by now.
    let Some(project) = project(global) else { return Ok(ExitStatus::Failure) };
    refuse("standard input", value_fault(secret.trim(), project.allow_placeholders))?;
    let place = global.folder.join(FIRST_MANIFEST);
    let recipients = recipients(global, &project, &verb.recipients, &place)?;
    console::print(&seal(secret.trim().as_bytes(), &recipients.names)?)?;
    recipients.say();
    Ok(ExitStatus::Success)
}

/// Warns where none of the identities found opens what is encrypted, unless the recipient was named for this run.
fn warn_of_lockout(global: &Global, project: &Project, verb: &Encrypt, all: &[Encrypted]) {
    if !verb.recipients.is_empty() {
        return;
    }
    let (resolver, _) = non_interactive_resolver(global, project);
    let mut all = all.iter().map(|of_file| &of_file.recipients);
    if let Some(others) = all.find(|of| resolver.is_locked_out_by(&of.names)) {
        others.warn_of_lockout(&resolver);
    }
}

/// What is made of each of these files, before any of them is written; none where something cannot be made, and
/// nothing is to be written then.
pub(super) fn in_all<T>(
    files: &[PathBuf],
    make: impl Fn(&Path) -> anyhow::Result<T>,
) -> Option<Vec<T>> {
    let report = |file: &PathBuf| {
        let made = make(file);
        made.map_err(|why| console::error(format_args!("{}: {why:#}", file.visible()))).ok()
    };
    let made: Vec<Option<T>> = files.iter().map(report).collect();
    let made: Option<Vec<T>> = made.into_iter().collect();
    if made.is_none() && files.len() > 1 {
        console::message("Nothing was changed: correct the errors above first.");
    }
    made
}

/// The project, where its file is in order; what is wrong with it is reported.
pub(super) fn project(global: &Global) -> Option<Project> {
    let (project, problems) = load_project(&request(global));
    // A token in plain text is what is to be encrypted.
    let problems = problems.without(ProblemCode::PlainSecret);
    show(&problems);
    (!problems.has_errors()).then_some(project)
}

/// Refuses a value with this fault.
///
/// # Errors
/// Where it has one, with what to do.
pub(super) fn refuse(name: &str, fault: Option<ValueFault>) -> anyhow::Result<()> {
    match fault {
        Some(why) => bail!("{name} {why}; {}", why.help()),
        None => Ok(()),
    }
}

/// The files asked for, else those of the project and all manifests.
pub(super) fn files(global: &Global, project: &Project, asked: &[PathBuf]) -> (Vec<PathBuf>, bool) {
    if !asked.is_empty() {
        return (distinct(asked.iter().cloned()), true);
    }
    let (manifests, mut problems) = discover(&request(global), project);
    if project.file.is_some() {
        // That file has secrets too.
        problems = problems.without(ProblemCode::NoManifest);
    }
    show(&problems);
    let all = project.own_files().map(Path::to_owned).chain(manifests);
    (distinct(all), !problems.has_errors())
}

/// Each file once, whatever it is called.
pub(super) fn distinct(files: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut known = BTreeSet::new();
    let is_new =
        |file: &PathBuf| known.insert(file.canonicalize().unwrap_or_else(|_| file.clone()));
    files.filter(is_new).collect()
}

/// Whether a text that is to be a manifest has a secret in plain text that the project does not allow.
pub(super) fn has_plain_secret(global: &Global, file: &Path, text: &str) -> bool {
    let problems = check(&request(global), file, text, PlainSecrets::AsUsual);
    !problems.only(|problem| problem.code == ProblemCode::PlainSecret).is_empty()
}

/// Whether all can be secrets that would be encrypted: once they are, nobody sees that without an identity. What is
/// wrong is shown.
fn all_fit(files: &[PathBuf], project: &Project) -> bool {
    let mut problems = Diagnostics::default();
    for file in files {
        // What cannot be read or changed is reported where that is done.
        let Ok(text) = files::read_text(file, TEXT_LIMIT) else { continue };
        let slots = slots(&text).unwrap_or_default();
        let is_slot = |at: &Spot| {
            let mut plain = slots.iter().filter(|slot| slot.plain().is_some());
            plain.any(|slot| slot.span.start == at.span.start)
        };
        let (_, found) = entries(file, &text, project);
        problems.append(found.without(ProblemCode::PlainSecret).only(|problem| {
            problem.severity == Severity::Error && problem.spot.as_ref().is_some_and(is_slot)
        }));
    }
    show(&problems);
    if !problems.is_empty() {
        console::message("Nothing was changed: correct the errors above first.");
    }
    problems.is_empty()
}

/// The files of the project, and those of the files asked for that are none of it. What cannot be read was
/// reported before.
fn sources(asked: &[PathBuf], mut all: Vec<Arc<SourceFile>>) -> Vec<Arc<SourceFile>> {
    for file in asked {
        if !all.iter().any(|known| files::is_same(known.path(), file))
            && let Ok(text) = files::read_text(file, TEXT_LIMIT)
        {
            all.push(Arc::new(SourceFile::new(file.clone(), text.as_str(), mask)));
        }
    }
    all
}

/// Whether this is neither a file of the project nor a manifest, so that nothing in it would be encrypted.
fn is_other_file(file: &Path, text: &str, project: &Project) -> bool {
    let (entries, found) = entries(file, text, project);
    let is_other = [ProblemCode::NotAManifest, ProblemCode::UnknownField];
    let found = found.only(|problem| is_other.contains(&problem.code));
    !project.is_own_file(file) && entries.is_empty() && !found.is_empty()
}

/// What became of the secrets of a file.
#[derive(Default)]
struct Encrypted {
    /// What was encrypted.
    secrets: Vec<Secret>,
    /// Why some stay in plain text.
    left: Vec<String>,
    change: Option<FileChange>,
    recipients: Recipients,
}

/// Encrypts what is in plain text in one file.
fn encrypt(
    global: &Global,
    file: &Path,
    verb: &Encrypt,
    project: &Project,
) -> anyhow::Result<Encrypted> {
    let text = files::read_text(file, TEXT_LIMIT).context("cannot read it")?;
    if is_sops_document(&text) {
        if has_plain_secret(global, file, &text) {
            bail!(
                "a secret is in plain text in this SOPS document: make its `encrypted_regex` match the key, and enter the secret with `appcred edit`"
            );
        }
        return Ok(Encrypted::default());
    }
    let slots = slots(&text)?;
    if slots.is_empty() && !verb.files.is_empty() && is_other_file(file, &text, project) {
        bail!(
            "it has no `application_credentials`, and `encrypt` finds secrets in manifests, appcred.yaml and files of targets alone: put each secret into its manifest in place of its tag, or encrypt the whole file, as in `sops encrypt --age RECIPIENT secrets.yaml > secrets.sops.yaml` or `age -a -r RECIPIENT -o secrets.yaml.age secrets.yaml`, and remove the old one"
        );
    }
    // Where nothing is to be encrypted, nobody need be named.
    let recipients = match slots.iter().any(|slot| slot.plain().is_some()) {
        true => {
            refuse_name_of_sops(file)?;
            recipients(global, project, &verb.recipients, file)?
        }
        false => Recipients::default(),
    };
    let (mut new, mut left) = (Vec::new(), Vec::new());
    for slot in &slots {
        match &slot.held {
            SlotValue::Plain(secret) => {
                new.push((slot, seal(secret.expose().as_bytes(), &recipients.names)?));
            }
            SlotValue::Default(_) if !project.allow_plaintext => left.push(format!(
                "line {}, column {}: `{}` has more after `!env_var` than the name of a variable, which may be a secret in plain text: write the name alone, or the secret alone without the tag",
                slot.span.line,
                slot.span.column,
                slot.field
            )),
            SlotValue::Age(_) | SlotValue::Default(_) => {}
        }
    }
    if new.is_empty() {
        return Ok(Encrypted { left, ..Encrypted::default() });
    }
    let changes: Vec<_> =
        new.iter().map(|(slot, armored)| (*slot, NewValue::Age(armored))).collect();
    let (after, before) = (put(&text, &changes)?.into_bytes(), text.as_bytes().to_vec());
    let before = Some(Zeroizing::new(before));
    let change = Some(FileChange { path: file.to_owned(), before, after });
    let secrets = new.iter().filter_map(|(slot, _)| slot.plain().cloned()).collect();
    Ok(Encrypted { secrets, left, change, recipients })
}
