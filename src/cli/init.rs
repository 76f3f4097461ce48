//! `init`

use std::fs::ReadDir;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::zeroize::Zeroizing;
use serde_yaml::Value;
use serde_yaml::value::{Tag, TaggedValue};

use crate::codes::ChangeCode;
use crate::files::{self, FileChange, TEXT_LIMIT};
use crate::manifest;
use crate::model::{Owner, PROJECT_FILE, Visible};
use crate::report::changes::MadeChange;
use crate::secret::{Identities, IdentityFile, Nobody, env};
use crate::yaml_edit::{document, new_manifest};

use super::exit::ExitStatus;
#[cfg(feature = "kubernetes")]
use super::from_resources;
use super::gather::{request, show};
use super::keygen::{generate, identity_created, usual_file};
use super::locks::lock_project;
use super::unsaved_copy::UNSAVED;
use super::{ChangesArgs, Global, console, environment, recipients};

/// How many random characters the name of an owner gets.
const RANDOM: usize = 5;
pub(super) const FIRST_MANIFEST: &str = "credentials/credentials.yaml";
const SCHEMA: &str = "# yaml-language-server: $schema=https://raw.githubusercontent.com/appcred/appcred/main/schema/appcred.schema.json";

/// What never goes into Git: secrets in plain text, also where Home Assistant keeps them, saved plans, and what a killed
/// run leaves behind.
const IGNORED: &[&str] = &["secrets.yaml", ".storage/", "*.plan", ".*.appcred-new", UNSAVED];

/// Begin a project: its file, an age identity, a first folder
///
/// Writes appcred.yaml and credentials/credentials.yaml, adds to .gitignore what never goes into Git,
/// and makes an age identity where there is none yet. Existing files are not overwritten.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  appcred init
  appcred init --owner home-gitops --url https://ha.example:8123
  appcred init --config-dir ./config
  appcred init --recipient age1... --recipient \"ssh-ed25519 AAAA...\"")]
pub(super) struct Init {
    /// In whose name credentials are managed
    #[arg(long, value_name = "NAME", value_parser = owner)]
    owner: Option<String>,
    /// The address of a running Home Assistant, to which `login` signs in; with HASS_TOKEN set, that is its
    /// token. Else the address that HASS_SERVER has
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The configuration folder of a Home Assistant that is stopped; a relative path begins in the project's folder
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    config_dir: Option<String>,
    /// Encrypt to this recipient; may be given several times. Else to those in SOPS_AGE_RECIPIENTS, those of a rule in
    /// .sops.yaml, or an identity of your own
    #[arg(long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// Begin with what the resources in this file declare, as `kubectl get hass,acred -o yaml` prints them; `-` is
    /// standard input
    ///
    /// Its owner is `kubernetes.NAMESPACE`, whose credentials they are, so that the project takes over all that
    /// `appcred controller` has created. No secret is read. Standard error lists which values to write into which files,
    /// and what a project cannot express.
    #[cfg(feature = "kubernetes")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "config_dir"])]
    resources: Option<PathBuf>,
    #[command(flatten)]
    pub(super) changes: ChangesArgs,
}

fn owner(text: &str) -> Result<String, String> {
    match Owner::new(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("it consists of letters without accents, digits, `-`, `_` and `.`".to_owned()),
    }
}

/// Refuses to begin a project beside the file of one that has another name, and would be forgotten.
fn refuse_beside_misnamed(folder: &Path) -> anyhow::Result<()> {
    if let Some(misnamed) = manifest::misnamed_project(folder) {
        bail!(
            "{} exists and would not be read: rename it to {PROJECT_FILE}, or remove it",
            misnamed.visible()
        );
    }
    Ok(())
}

pub(super) fn run(
    global: &Global,
    verb: &Init,
    changes: &mut Vec<MadeChange>,
) -> anyhow::Result<ExitStatus> {
    let folder = &global.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.visible()))?;
    let _lock = lock_project(global)?;
    let project_file = folder.join(PROJECT_FILE);
    if project_file.symlink_metadata().is_ok() {
        bail!(
            "{} already exists and was not changed: `appcred add` adds entries to the project, `appcred edit` changes its file",
            project_file.visible()
        );
    }
    refuse_beside_misnamed(folder)?;
    warn_of_project_above(folder);
    let content = content(verb)?;
    let recipients = recipients_of(verb, changes, folder)?;
    let owner = verb.owner.as_deref().and_then(Owner::new).or_else(|| content.owner.clone());
    let owner = owner.unwrap_or_else(|| new_owner(folder));
    let text = project(&owner, &content, &recipients)?;
    let problems = manifest::check_project(&request(global), &project_file, &text);
    if problems.has_errors() {
        show(&problems);
        bail!("nothing was written");
    }
    let new = |path: &Path, after: String| FileChange {
        path: path.to_owned(),
        before: None,
        after: after.into_bytes(),
    };
    let (mut made, mut files_made) = (vec![PathBuf::from(PROJECT_FILE)], Vec::new());
    for (path, text) in &content.manifests {
        if folder.join(path).symlink_metadata().is_ok() {
            bail!("{} already exists: nothing was written", folder.join(path).visible());
        }
        files_made.push(new(&folder.join(path), text.clone()));
        made.push(path.clone());
    }
    let is_empty = |mut entries: ReadDir| entries.next().is_none();
    if made.len() == 1 && folder.join("credentials").read_dir().map_or(true, is_empty) {
        files_made.push(new(&folder.join(FIRST_MANIFEST), new_manifest(&[])?));
        made.push(FIRST_MANIFEST.into());
    }
    if let Some(change) = ignore(folder, content.ignored).context("cannot write .gitignore")? {
        files_made.push(change);
        made.push(".gitignore".into());
    }
    // The project file comes last: where something before fails, `init` can be run again.
    files_made.push(new(&project_file, text));
    files::change_all(&files_made)?;
    let names: Vec<_> = made.iter().map(|name| name.visible()).collect();
    console::say(&format!("Created {}.\n", names.join(", ")))?;
    let written =
        made.iter().map(|name| MadeChange::new(ChangeCode::FileWritten).file(&folder.join(name)));
    changes.extend(written);
    match content.said {
        Some(said) => said.into_iter().for_each(console::message),
        None => say_what_is_next(url(verb).as_deref(), content.targets.is_some()),
    }
    Ok(if content.is_whole { ExitStatus::Success } else { ExitStatus::Failure })
}

/// What a project begins with, beside its recipients.
pub(super) struct ProjectContent {
    /// Its owner, unless another one is asked for.
    pub(super) owner: Option<Owner>,
    /// Its targets.
    pub(super) targets: Option<Value>,
    /// Its policy.
    pub(super) policy: Option<Value>,
    /// Its manifests, by their paths in it.
    pub(super) manifests: Vec<(PathBuf, String)>,
    /// What Git ignores in it, beside the usual.
    pub(super) ignored: &'static [&'static str],
    /// What is said of it, in the place of what is said of others.
    pub(super) said: Option<Vec<String>>,
    /// Whether nothing is missing in it that was asked for.
    pub(super) is_whole: bool,
}

/// The address of its target; none where that is a folder.
fn url(verb: &Init) -> Option<String> {
    let named = || verb.url.clone().or_else(environment::server);
    if verb.config_dir.is_some() { None } else { named() }
}

fn content(verb: &Init) -> anyhow::Result<ProjectContent> {
    #[cfg(feature = "kubernetes")]
    if let Some(file) = &verb.resources {
        return from_resources::content(file, verb.owner.is_some());
    }
    Ok(ProjectContent {
        owner: None,
        targets: match &verb.config_dir {
            Some(folder) => {
                let home = mapping(vec![("config_dir", folder.as_str().into())]);
                Some(mapping(vec![("home", home)]))
            }
            None => url(verb).map(|url| home(&url)),
        },
        policy: None,
        manifests: Vec::new(),
        ignored: &[],
        said: None,
        is_whole: true,
    })
}

fn mapping(pairs: Vec<(&str, Value)>) -> Value {
    Value::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

/// The one target with this address.
fn home(url: &str) -> Value {
    let token = TaggedValue { tag: Tag::new("env_var"), value: "HASS_TOKEN".into() };
    let token = ("token", Value::Tagged(Box::new(token)));
    // Where there is none, a token in the file would be in the way of `login`.
    let token = environment::has_token().then_some(token);
    let home = mapping([("url", url.into())].into_iter().chain(token).collect());
    mapping(vec![("home", home)])
}

fn say_what_is_next(url: Option<&str>, has_target: bool) {
    if !has_target {
        console::message(
            "There is no target yet. Add one to appcred.yaml: `targets: {home: {url: https://ha.example:8123}}` for a running Home Assistant, or `targets: {home: {config_dir: ./config}}` for the configuration folder of one that is stopped; or set HASS_SERVER and HASS_TOKEN.",
        );
    }
    if url.is_some() && environment::has_token() {
        console::message(
            "appcred.yaml says `token: !env_var HASS_TOKEN`, since that variable is set: the token is read from it, and is in no file. `appcred login` would store one of its own instead, without that line.",
        );
    }
    let login = match url {
        Some(url) if !environment::has_token() => {
            format!("`appcred login` signs in to {}, ", url.visible())
        }
        _ => String::new(),
    };
    console::message(format_args!(
        "Next: {login}`appcred add` writes a first entry, `appcred plan` shows what would happen."
    ));
}

/// A project may be meant that is there already.
fn warn_of_project_above(folder: &Path) {
    let above = manifest::project_folder(folder);
    if above != *folder {
        console::warning(format_args!(
            "this folder gets a project of its own, and no longer belongs to that of {}",
            above.join(PROJECT_FILE).visible()
        ));
    }
}

/// The recipients that are named, those of `.sops.yaml`, or the person's own.
fn recipients_of(
    verb: &Init,
    changes: &mut Vec<MadeChange>,
    folder: &Path,
) -> anyhow::Result<Vec<String>> {
    if !verb.recipients.is_empty() {
        return Ok(verb.recipients.clone());
    }
    if let Some(named) = environment::sops_recipients() {
        let separated = |part: char| part == ',' || part == '\n';
        let names = named.split(separated).map(str::trim).filter(|name| !name.is_empty());
        console::message("The recipients are those of SOPS_AGE_RECIPIENTS.");
        return Ok(names.map(str::to_owned).collect());
    }
    match recipients::of_new_project(folder)? {
        Some(ruled) => Ok(ruled),
        None => own_recipients(folder, changes),
    }
}

/// The recipients of the person's own identities, of which one is made where there is none.
fn own_recipients(folder: &Path, changes: &mut Vec<MadeChange>) -> anyhow::Result<Vec<String>> {
    let named = env::identities();
    let is_named = !(named.texts.is_empty() && named.files.is_empty() && named.programs.is_empty());
    let files = environment::identity_files();
    let files: Vec<_> = files.into_iter().filter(|file| file.exists()).collect();
    if files.is_empty() && !is_named {
        let file = usual_file()?;
        let recipient = generate(&file, Some(folder), false)?;
        changes.push(identity_created(&file, &recipient));
        console::message(format_args!(
            "Created the identity {}. Keep a copy of it safe.",
            file.visible()
        ));
        let ssh = environment::home().map(|home| home.join(".ssh/id_ed25519"));
        if let Some(ssh) = ssh.filter(|ssh| ssh.exists()) {
            let ssh = ssh.visible();
            console::message(format_args!(
                "To encrypt to your SSH key as well, add the line of {ssh}.pub to `age: recipients:` in {PROJECT_FILE}."
            ));
        }
        return Ok(vec![recipient]);
    }
    let files: Vec<IdentityFile> = files.into_iter().map(Into::into).collect();
    let (identities, problems) = Identities::gather(&files, &named, Nobody);
    if let Some(problem) = problems.first() {
        bail!("{problem}: name recipients with --recipient");
    }
    if identities.recipients().is_empty() {
        bail!("the age identities found name no recipient: give one with --recipient");
    }
    Ok(identities.recipients().to_vec())
}

/// The project file.
fn project(
    owner: &Owner,
    content: &ProjectContent,
    recipients: &[String],
) -> anyhow::Result<String> {
    let mut project =
        vec![("owner", owner.as_str().into()), ("manifests", vec!["credentials"].into())];
    project.extend(content.targets.clone().map(|targets| ("targets", targets)));
    project.extend(content.policy.clone().map(|policy| ("policy", policy)));
    project.push(("age", mapping(vec![("recipients", recipients.to_vec().into())])));
    Ok(format!("{SCHEMA}\n{}", document(&mapping(project))?))
}

/// A name that no other project has: that of the repository or folder, and a few random characters.
fn new_owner(folder: &Path) -> Owner {
    let name = manifest::project_name(folder);
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(RANDOM).collect();
    let short: String = name.as_str().chars().take(80).collect();
    Owner::new(&format!("{short}-{}", random.to_ascii_lowercase())).unwrap_or(name)
}

/// What is missing in `.gitignore`, added to it; none where nothing is.
fn ignore(folder: &Path, more: &[&str]) -> anyhow::Result<Option<FileChange>> {
    let file = folder.join(".gitignore");
    let before = files::optional(files::read_text(&file, TEXT_LIMIT))?;
    let text = before.as_ref().map_or("", |text| text.as_str());
    let missing: Vec<_> = IGNORED
        .iter()
        .chain(more)
        .filter(|line| !text.lines().any(|there| there.trim() == **line))
        .collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let mut after = text.to_owned();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    missing.iter().for_each(|line| after.push_str(&format!("{line}\n")));
    let before = before.map(|text| Zeroizing::new(text.as_bytes().to_vec()));
    Ok(Some(FileChange { path: file, before, after: after.into_bytes() }))
}
