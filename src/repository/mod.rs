//! Whether Git keeps secrets of a project in plain text: identities, files that hold secrets, and old
//! versions of the manifests. What cannot be checked is reported.

mod history;
mod variables;

use std::collections::BTreeSet;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use history::check_history;

use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode};
use crate::files::{self, TEXT_LIMIT};
use crate::git::{
    self, GitError, NamedFiles, NamedSecret, OldContent, OldVersion, OtherProjects, PrivateKey,
};
use crate::manifest::{Entry, Loaded, Project, SecretValue, secret_values};
use crate::model::{PlainText, Visible, has_merge_conflict};
use crate::secret::{
    SecretResolver, StoredAt, is_age_file, is_plain_store, is_sops_document, places_of,
    plain_place, ssh_recipient,
};

const PLAIN_FILE_HELP: &str = "encrypt it with SOPS or age, or remove it from Git with `git rm --cached` and list it in .gitignore; then replace the secrets at the providers, since everybody with the repository has them";

const CLEAR_VALUE_HELP: &str = "let the rule of .sops.yaml choose its key as well, such as by `encrypted_regex`, and encrypt the file anew with `sops`; then replace the secret at the provider, since everybody with the repository has it";

const TARGET_FILE_HELP: &str = "remove it from Git with `git rm --cached` and list it in .gitignore, or keep it encrypted: a token as `token`, which `appcred encrypt` encrypts, a key in a file of age; then replace it, since everybody with the repository has it";

const STORAGE_HELP: &str = "list its folder `.storage` in .gitignore; if Git tracks it, remove it with `git rm -r --cached` and replace the secrets at the providers, since everybody with the repository has them";

const COPY_HELP: &str = "remove it from Git with `git rm`, and replace the secret at the provider, since everybody with the repository has it";

/// Warns of age identities and of secrets in plain text that Git tracks or would take in. Where there
/// is no repository, there is nothing to warn of.
pub fn check(folder: &Path, loaded: &Loaded, resolver: &SecretResolver) -> Diagnostics {
    let (project, entries) = (&loaded.project, loaded.entries.as_slice());
    let mut problems = Diagnostics::default();
    // A configuration folder may be in a repository of its own.
    let mut checked = stored_by_targets(project, &mut problems);
    let repositories = git::repositories(folders(folder, entries));
    if !repositories.is_empty() {
        checked = checked.and_then(|()| {
            let others = repositories.iter().map(|folder| git::other_projects(folder));
            let others: Vec<_> = others.collect::<Result<_, _>>()?;
            let known: Vec<_> = repositories.iter().copied().zip(&others).collect();
            identities(&known, project, resolver, &mut problems)?;
            plain_files(&repositories, project, entries, resolver, &mut problems)?;
            copies(&known, loaded, &mut problems)?;
            variables::check(&known, project, entries, &mut problems)?;
            unmerged(&repositories, loaded, &mut problems)?;
            staged(folder, &known, project, entries, resolver, &mut problems)
        });
    }
    if let Err(why) = checked {
        problems.push(not_checked(&why));
    }
    problems
}

/// Warns of what targets store in plain text where Git would take it in. What cannot be checked is reported by
/// [`check`], but for a Git that was waited for in vain.
pub fn check_stored(project: &Project) -> Diagnostics {
    let mut problems = Diagnostics::default();
    if let Err(why @ GitError::TooSlow { .. }) = stored_by_targets(project, &mut problems) {
        problems.push(not_checked(&why));
    }
    problems
}

fn not_checked(why: &GitError) -> Diagnostic {
    let message = format!("cannot check whether Git tracks secrets in plain text: {why}");
    Diagnostic::warning(ProblemCode::RepositoryNotChecked, message).help(why.help())
}

/// The folders of the project and of its manifests, which may be in other repositories, as submodules are.
fn folders<'f>(folder: &'f Path, entries: &'f [Arc<Entry>]) -> impl Iterator<Item = &'f Path> {
    let of_entries = entries.iter().filter_map(|entry| entry.domain.spot.file.path().parent());
    iter::once(folder).chain(of_entries)
}

/// What targets store in plain text, where Git tracks it or would take it in.
fn stored_by_targets(project: &Project, problems: &mut Diagnostics) -> Result<(), GitError> {
    if project.allow_plaintext {
        return Ok(());
    }
    let mut found = Vec::new();
    for (name, target) in &project.targets {
        let Some(file) = target.plain_file() else { continue };
        if !file.ancestors().nth(2).is_some_and(Path::is_dir) {
            continue;
        }
        // What cannot be resolved is reported by whoever reads it.
        let real = files::real_path(&file).unwrap_or_else(|_| file.clone());
        if git::would_store_as_it_is(&real)? {
            let file = file.strip_prefix(".").unwrap_or(&file).visible().into_owned();
            found.push((name, file));
        }
    }
    let message = match found.as_slice() {
        [] => return Ok(()),
        [(name, file)] => format!(
            "the target `{name}` stores its secrets in plain text in {file}, and Git does not ignore it"
        ),
        several => {
            let each = several.iter().map(|(name, file)| format!("{file} (`{name}`)"));
            let all = each.collect::<Vec<_>>().join(", ");
            let count = several.len();
            format!(
                "{count} targets store their secrets in plain text in files that Git does not ignore: {all}"
            )
        }
    };
    let problem = Diagnostic::warning(ProblemCode::PlainFileInRepository, message);
    problems.push(problem.help(STORAGE_HELP));
    Ok(())
}

/// Identities that Git would take in.
fn identities(
    repositories: &[(&Path, &OtherProjects)],
    project: &Project,
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    let mut found = Vec::new();
    for (folder, others) in repositories {
        for (file, key) in git::identities(folder, others)? {
            let opens = key == PrivateKey::Age || is_of_recipient(&file, project);
            // What a filter such as git-crypt encrypts is not in Git as it is here.
            if opens && git::would_store_as_it_is(&file)? {
                found.push(file);
            }
        }
    }
    for file in &project.age.identities {
        let is_there = found.iter().any(|other| files::is_same(other, file));
        let is_in_repository = file.parent().is_some_and(git::is_repository);
        // An age file of identities, under a passphrase, is kept in Git on purpose.
        if !is_there && is_in_repository && is_key(file) && git::would_store_as_it_is(file)? {
            found.push(file.clone());
        }
    }
    for file in found {
        // The paths of other folders lead over them.
        let file = file.canonicalize().unwrap_or(file);
        let file = resolver.shown(&file);
        let message = format!("{file} contains an age identity, and Git does not ignore it");
        let problem = Diagnostic::warning(ProblemCode::IdentityInRepository, message);
        problems.push(problem.help("move it out of the repository; if it was committed, make a new one, encrypt to that, and replace the secrets at the providers"));
    }
    Ok(())
}

/// Whether a file holds a key of SSH, under no passphrase, to which the project encrypts.
fn is_of_recipient(file: &Path, project: &Project) -> bool {
    let Ok(text) = files::read_text(file, TEXT_LIMIT) else { return false };
    let key = |recipient: &str| recipient.split_whitespace().nth(1).map(str::to_owned);
    let own = ssh_recipient(&text).as_deref().and_then(key);
    own.is_some() && project.age.recipients.iter().any(|recipient| key(recipient) == own)
}

/// Whether a file holds an identity of age, or a private key of SSH.
fn is_key(file: &Path) -> bool {
    // What cannot be read is reported by whoever reads it.
    let Ok(text) = files::read(file, TEXT_LIMIT) else { return false };
    let text = String::from_utf8_lossy(&text);
    let is_ssh = text.trim_start().starts_with("-----BEGIN") && text.contains("PRIVATE KEY-----");
    is_ssh || text.contains("AGE-SECRET-KEY-")
}

/// Files with secrets in plain text that Git tracks.
fn plain_files(
    repositories: &[&Path],
    project: &Project,
    entries: &[Arc<Entry>],
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    if project.allow_plaintext {
        return Ok(());
    }
    files_of_targets(project, resolver, problems)?;
    let mut seen: BTreeSet<(PathBuf, Option<&str>)> = BTreeSet::new();
    for SecretValue { field, value } in secret_values(project, entries) {
        if field.plain_text == PlainText::Usual {
            continue;
        }
        let Some(StoredAt { file, name }) = plain_place(&value.value, resolver) else { continue };
        let is_sops = is_of_sops(&file);
        let name = name.filter(|_| is_sops);
        let is_in_repository = file.parent().is_some_and(git::is_repository);
        if !is_in_repository || !seen.insert((file.clone(), name)) || !git::stores_as_it_is(&file)?
        {
            continue;
        }
        let (what, help) = match is_sops {
            true => ("where SOPS left it in plain text", CLEAR_VALUE_HELP),
            false => ("which is in plain text", PLAIN_FILE_HELP),
        };
        let (noun, shown) = (field.noun(), resolver.shown(&file));
        let message = format!("the {noun} here is read from `{shown}`, {what}, and Git tracks it");
        let problem = Diagnostic::warning(ProblemCode::PlainFileInRepository, message)
            .at(&value.spot.file, value.spot.span);
        problems.push(problem.help(help));
    }
    let mut stores = Vec::new();
    for folder in repositories {
        stores.append(&mut git::tracked(folder, "secrets.yaml")?);
    }
    for file in stores {
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        let is_seen = seen.iter().any(|(file, _)| *file == real);
        if is_seen || !is_plain_store(&real) || !git::stores_as_it_is(&real)? {
            continue;
        }
        let message = format!("`{}` is in plain text, and Git tracks it", resolver.shown(&real));
        problems.push(
            Diagnostic::warning(ProblemCode::PlainFileInRepository, message).help(PLAIN_FILE_HELP),
        );
    }
    Ok(())
}

fn is_of_sops(file: &Path) -> bool {
    // What cannot be read is reported by whoever reads it.
    files::read_text(file, TEXT_LIMIT).is_ok_and(|text| is_sops_document(&text))
}

/// Copies of manifests with a secret in plain text that Git tracks. What is read as a manifest is checked as one.
fn copies(
    repositories: &[(&Path, &OtherProjects)],
    loaded: &Loaded,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    if loaded.project.allow_plaintext {
        return Ok(());
    }
    let stored = loaded.project.targets.values().filter_map(|target| target.plain_file());
    let read = loaded.manifests.iter().cloned().chain(stored);
    let known: BTreeSet<PathBuf> = read.filter_map(|file| file.canonicalize().ok()).collect();
    for (folder, others) in repositories {
        let root = git::root(folder).unwrap_or_default();
        for file in git::copies(folder, others)? {
            let real = root.join(&file);
            if known.contains(&real.canonicalize().unwrap_or(real)) {
                continue;
            }
            let file = file.visible();
            let message = format!("{file} has a `client_secret` in plain text, and Git tracks it");
            let problem = Diagnostic::warning(ProblemCode::PlainFileInRepository, message);
            problems.push(problem.help(COPY_HELP));
        }
    }
    Ok(())
}

/// Files that a merge left unmerged without a sign of that in their text: one side has deleted the file, or
/// `.gitattributes` says that Git writes no markers into it.
fn unmerged(
    repositories: &[&Path],
    loaded: &Loaded,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    let mut unmerged = BTreeSet::new();
    for folder in repositories {
        let found = git::unmerged(folder)?;
        unmerged.extend(found.iter().filter_map(|file| file.canonicalize().ok()));
    }
    for file in loaded.files.iter().filter(|file| !has_merge_conflict(file.text())) {
        if file.path().canonicalize().is_ok_and(|real| unmerged.contains(&real)) {
            let file = file.path().visible();
            let message = format!("Git has not finished the merge of `{file}`");
            problems.push(Diagnostic::warning(ProblemCode::MergeConflict, message).help(
                "what is read is one of two versions: make it what you want, then `git add` or `git rm` it",
            ));
        }
    }
    Ok(())
}

/// Files with an access token or the key of a client certificate that Git tracks.
fn files_of_targets(
    project: &Project,
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    for (name, target) in &project.targets {
        for (what, file) in target.secret_files() {
            // What cannot be read is reported by whoever reads it.
            let Ok(file) = file.canonicalize() else { continue };
            let is_in_repository = file.parent().is_some_and(git::is_repository);
            if is_in_repository && !is_encrypted(&file) && git::stores_as_it_is(&file)? {
                let message = format!(
                    "the target `{name}` reads its {what} from `{}`, which is in plain text, and Git tracks it",
                    resolver.shown(&file)
                );
                let problem = Diagnostic::warning(ProblemCode::PlainFileInRepository, message);
                problems.push(problem.help(TARGET_FILE_HELP));
            }
        }
    }
    Ok(())
}

fn is_encrypted(file: &Path) -> bool {
    files::read(file, TEXT_LIMIT).is_ok_and(|bytes| is_age_file(&bytes))
}

/// Secrets in plain text that are staged, where the work tree has something else by now.
fn staged(
    folder: &Path,
    repositories: &[(&Path, &OtherProjects)],
    project: &Project,
    entries: &[Arc<Entry>],
    resolver: &SecretResolver,
    problems: &mut Diagnostics,
) -> Result<(), GitError> {
    if project.allow_plaintext {
        return Ok(());
    }
    let files = named_files(folder, project, entries, resolver);
    for (folder, others) in repositories {
        let found = git::staged_plain_secrets(folder, others, &files)?;
        for OldVersion { file, content, .. } in found {
            let file = file.visible();
            let message = match content {
                OldContent::Secret { line, field } => {
                    format!(
                        "the staged version of {file} has a `{field}` in plain text on line {line}"
                    )
                }
                OldContent::Exposed { line, field } => format!(
                    "the staged version of {file} has a secret in plain text in `{field}` on line {line}"
                ),
                OldContent::PlainFile => format!("the staged version of {file} is in plain text"),
                // What cannot be searched now is mostly being worked on; identities are looked for in the work tree.
                OldContent::Name { .. } | OldContent::Invalid | OldContent::Identity => continue,
            };
            let help = "stage the file as it is now with `git add`: the next commit would contain the secret";
            problems.push(Diagnostic::warning(ProblemCode::PlainSecret, message).help(help));
        }
    }
    Ok(())
}

/// The files that secrets are read from, and those of targets.
fn named_files(
    folder: &Path,
    project: &Project,
    entries: &[Arc<Entry>],
    resolver: &SecretResolver,
) -> NamedFiles {
    let secret = |value: &SecretValue<'_>| value.field.plain_text != PlainText::Usual;
    let of_targets = project.targets.values().flat_map(|target| target.secret_files());
    // What cannot be resolved is reported by whoever reads it.
    let of_targets = of_targets.filter_map(|(_, file)| files::real_path(file).ok());
    let of_targets = of_targets.map(|file| NamedSecret { file, name: None });
    let of_secrets: BTreeSet<NamedSecret> = secret_values(project, entries)
        .filter(secret)
        .flat_map(|value| places_of(&value.value.value, resolver))
        .map(|StoredAt { file, name }| NamedSecret { file, name: name.map(str::to_owned) })
        .chain(of_targets)
        .collect();
    let folder = files::real_path(folder).unwrap_or_else(|_| folder.to_owned());
    NamedFiles {
        of_secrets: of_secrets.into_iter().collect(),
        of_targets: project.target_places().iter().map(|place| folder.join(place)).collect(),
    }
}
