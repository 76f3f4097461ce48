//! To whom the verbs encrypt.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::manifest::Project;
use crate::model::{AGE_HEADER, PROJECT_FILE, Visible};
use crate::secret::{
    BadRules, RuleRecipients, SecretResolver, is_age_file, is_sops_document, rule_recipients,
    rules_for,
};

use super::init::FIRST_MANIFEST;
use super::{Global, console};

/// Files that a project without manifests is likely to have; rules of SOPS may be for one of them alone.
const LIKELY: [&str; 3] =
    [FIRST_MANIFEST, "credentials/credentials.sops.yaml", "secrets.sops.yaml"];

/// Those to whom secrets are encrypted.
#[derive(Default)]
pub(super) struct Recipients {
    pub(super) names: Vec<String>,
    /// The rules that name them, where neither the project nor the person does.
    rules: Option<PathBuf>,
}

impl Recipients {
    /// Says whose they are once a file was encrypted to them.
    pub(super) fn say(&self) {
        if let Some(rules) = &self.rules {
            console::message(format_args!("The recipients are those of {}.", rules.visible()));
        }
    }

    /// The same of a file that may have nothing encrypted to them.
    pub(super) fn say_of(&self, written: &[u8]) {
        if self.are_used_in(written) {
            self.say();
        }
    }

    /// Whether something in such a file is encrypted to them: a SOPS document has its own recipients.
    pub(super) fn are_used_in(&self, written: &[u8]) -> bool {
        let text = String::from_utf8_lossy(written);
        (is_age_file(written) || text.contains(AGE_HEADER)) && !is_sops_document(&text)
    }

    /// Warns, before anything is written, where none of the identities found opens it then.
    pub(super) fn warn_of_lockout(&self, resolver: &SecretResolver) {
        if resolver.is_locked_out_by(&self.names) {
            let (named, place) = match &self.rules {
                Some(rules) => (rules.visible(), "in its rule"),
                None => (PROJECT_FILE.into(), "under `age: recipients:`"),
            };
            console::warning(format_args!(
                "none of the age identities found matches the recipients of {named}, so you could not decrypt the result: add your recipient {place}, or bring an identity that fits"
            ));
        }
    }
}

impl From<Vec<String>> for Recipients {
    fn from(names: Vec<String>) -> Self {
        Self { names, rules: None }
    }
}

impl From<RuleRecipients> for Recipients {
    fn from(RuleRecipients { file, recipients }: RuleRecipients) -> Self {
        Self { names: recipients, rules: Some(file) }
    }
}

/// Those to whom the secrets of a file are encrypted: the ones asked for, else the project's, else those
/// that the rules in `.sops.yaml` name for it.
///
/// # Errors
/// Where there is none, or the rules cannot be used.
pub(super) fn recipients(
    global: &Global,
    project: &Project,
    asked: &[String],
    file: &Path,
) -> anyhow::Result<Recipients> {
    if !asked.is_empty() {
        return Ok(asked.to_vec().into());
    }
    let found = of_file(&global.folder, project, file)?;
    if found.names.is_empty() {
        let unfit = rules_for(&global.folder, file).map(|rules| {
            format!(" (no rule of {} names one of age for {})", rules.visible(), file.visible())
        });
        bail!(
            "there is no recipient{}: `appcred keygen` makes an identity and prints its recipient; name it under `age: recipients:` in appcred.yaml, which `appcred init` writes, or in a rule of a .sops.yaml of the same Git repository",
            unfit.unwrap_or_default()
        );
    }
    Ok(found)
}

/// The same where none was asked for, and none may be needed.
///
/// # Errors
/// Where the rules cannot be used.
pub(super) fn of_file(
    folder: &Path,
    project: &Project,
    file: &Path,
) -> Result<Recipients, BadRules> {
    if !project.age.recipients.is_empty() {
        return Ok(project.age.recipients.clone().into());
    }
    Ok(rule_recipients(folder, file)?.map(Recipients::from).unwrap_or_default())
}

/// Those that the rules in `.sops.yaml` name for the manifests of a new project, and says so; or that none does.
///
/// # Errors
/// Where the rules cannot be read.
pub(super) fn of_new_project(folder: &Path) -> anyhow::Result<Option<Vec<String>>> {
    for file in LIKELY {
        if let Some(found) = rule_recipients(folder, &folder.join(file))? {
            let found = Recipients::from(found);
            found.say();
            return Ok(Some(found.names));
        }
    }
    if let Some(rules) = rules_for(folder, &folder.join(FIRST_MANIFEST)) {
        console::message(format_args!(
            "No rule of {} names a recipient of age for {FIRST_MANIFEST}: the recipients in appcred.yaml are those of your own identity.",
            rules.visible()
        ));
    }
    Ok(None)
}

/// Refuses to encrypt with age in a file that by its name is one of SOPS, as `credentials.sops.yaml`, and is no SOPS
/// document: `sops` could not read it then.
///
/// # Errors
/// Where the name is such a one.
pub(super) fn refuse_name_of_sops(file: &Path) -> anyhow::Result<()> {
    let last = file.file_stem().map(Path::new).and_then(Path::extension);
    if last.is_some_and(|last| last == "sops") {
        let shown = file.visible();
        bail!(
            "{shown} is by its name a file of SOPS, and no SOPS document: write its entries in plain text, and `sops encrypt --in-place {shown}` encrypts them by the rules in .sops.yaml; or take a name without `.sops`"
        );
    }
    Ok(())
}
