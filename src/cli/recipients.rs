//! To whom the verbs encrypt.

use std::path::Path;

use anyhow::bail;

use crate::manifest::Project;
use crate::model::Visible;
use crate::secret::{BadRules, rule_recipients};

use super::console;

/// Files that a project without manifests is likely to have; rules of SOPS may be for one of them alone.
const LIKELY: [&str; 3] =
    ["credentials/credentials.yaml", "credentials/credentials.sops.yaml", "secrets.sops.yaml"];

/// Those to whom the secrets of a file are encrypted: the ones asked for, else the project's, else those
/// that the rules in `.sops.yaml` name for it.
///
/// # Errors
/// Where there is none, or the rules cannot be read.
pub(super) fn recipients(
    project: &Project,
    asked: &[String],
    file: &Path,
) -> anyhow::Result<Vec<String>> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let found = of_file(project, file)?;
    if found.is_empty() {
        bail!(
            "there is no recipient: name some under `age: recipients:` in appcred.yaml, which `appcred init` writes, or in a rule of .sops.yaml"
        );
    }
    Ok(found)
}

/// The same where none was asked for, and none may be needed.
///
/// # Errors
/// Where the rules cannot be read.
pub(super) fn of_file(project: &Project, file: &Path) -> Result<Vec<String>, BadRules> {
    if !project.age.recipients.is_empty() {
        return Ok(project.age.recipients.clone());
    }
    Ok(rule_recipients(file)?.map(|found| found.recipients).unwrap_or_default())
}

/// Those that the rules in `.sops.yaml` name for the manifests of a new project, and says so.
///
/// # Errors
/// Where the rules cannot be read.
pub(super) fn of_new_project(folder: &Path) -> anyhow::Result<Option<Vec<String>>> {
    for file in LIKELY {
        if let Some(found) = rule_recipients(&folder.join(file))? {
            console::message(format_args!("The recipients are those of {}.", found.file.visible()));
            return Ok(Some(found.recipients));
        }
    }
    Ok(None)
}
