//! Saved plans: `plan --out` and `apply FILE`.

use std::path::Path;

use anyhow::{Context, anyhow};

use crate::files::{self, DATA_LIMIT};
use crate::manifest::Project;
use crate::model::{PolicyOverrides, TargetName, Visible};
use crate::plan_file::PlanFile;
use crate::workspace::{TargetView, planned};

use super::console;

/// Writes what is planned for all targets.
///
/// # Errors
/// Where a target is not known, secrets have no digest, or the file cannot be written.
pub(super) fn write(
    views: &[TargetView],
    policy: &PolicyOverrides,
    file: &Path,
) -> anyhow::Result<()> {
    let text = planned(views, policy)?.to_text()?;
    let shown = file.visible();
    files::write(file, &text, 0o644).with_context(|| format!("cannot write {shown}"))?;
    let quoted = shell_words::quote(&shown);
    console::message(format_args!(
        "Saved the plan: `appcred apply {quoted}` applies exactly that."
    ));
    if file.extension().is_none_or(|end| end != "plan") {
        console::message(
            "Keep it out of Git: the .gitignore of `appcred init` ignores plans whose names end with `.plan`.",
        );
    }
    Ok(())
}

/// Reports that there is no new plan: one that was saved before could be taken for it.
pub(super) fn say_unsaved(file: &Path) {
    let shown = file.visible();
    let earlier =
        if file.exists() { format!(": {shown} is an earlier one") } else { String::new() };
    console::message(format_args!("No plan was saved{earlier}."));
}

/// Reads a saved plan.
///
/// # Errors
/// Where it is not a saved plan.
pub(super) fn read(file: &Path) -> anyhow::Result<PlanFile> {
    let named = file.visible();
    let text =
        files::read_text(file, DATA_LIMIT).with_context(|| format!("cannot read {named}"))?;
    PlanFile::parse(&text).map_err(|damage| anyhow!("cannot use {named}: {damage}"))
}

/// The command that plans anew what the plan in `file` is about: the same targets, with the same arguments.
pub(super) fn command(saved: &PlanFile, file: &Path, project: &Project) -> String {
    let targets: Vec<&str> = saved.targets().collect();
    let is_left_out = |name: &&TargetName| {
        !project.suspended.contains_key(*name) && !targets.contains(&name.as_str())
    };
    let selects = !targets.is_empty() && project.targets.keys().any(|name| is_left_out(&name));
    let targets = selects.then(|| format!("--target={}", targets.join(",")));
    let written = |argument: &String| match argument.split_once('=') {
        Some((name, value)) => format!(" {name} {}", shell_words::quote(value)),
        None => format!(" {argument}"),
    };
    let arguments = targets.iter().chain(saved.arguments()).map(written);
    let shown = file.visible();
    format!("appcred plan --out {}{}", shell_words::quote(&shown), arguments.collect::<String>())
}

/// Whether exactly what was saved would be done now; reports what differs, and that `command` plans anew.
///
/// # Errors
/// Where a target is not known.
pub(super) fn is_up_to_date(
    saved: &PlanFile,
    views: &[TargetView],
    policy: &PolicyOverrides,
    command: &str,
) -> anyhow::Result<bool> {
    let now = planned(views, policy)?;
    let differences = saved.differences(&now);
    let missing = |argument: &&String| !now.arguments().contains(argument);
    let missing: Vec<&str> = saved.arguments().iter().filter(missing).map(String::as_str).collect();
    if !differences.is_empty() && !missing.is_empty() {
        console::error(format_args!(
            "the saved plan was made with {}: give that to `apply` as well. Nothing was changed",
            missing.join(" ").visible()
        ));
    } else if !differences.is_empty() {
        console::error("the saved plan is out of date, so nothing was changed");
        for difference in &differences {
            console::message(format_args!("  {}", difference.visible()));
        }
        console::message(format_args!("Plan again with `{}`.", command.visible()));
    }
    Ok(differences.is_empty())
}
