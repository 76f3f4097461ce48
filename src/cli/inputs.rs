//! What is never overwritten by a report, a plan or a snapshot: what a project reads, and what is no earlier one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::files::{self, DATA_LIMIT, Stamp};
use crate::manifest::{self, Loaded, Project};
use crate::model::{PROJECT_FILE, Visible};
use crate::plan_file;
use crate::report::Format;
use crate::secret::{holds_identity, is_age_file, is_sops_document};
use crate::target::config_dir::{ConfigDirEndpoint, STORAGE};
use crate::target::{Endpoint, snapshot};

use super::gather::{load, non_interactive_resolver, request, workspace};
use super::rekey::all_files;
use super::{Global, environment};

/// Files that are read wherever they are.
const NAMES: [&str; 9] = [
    PROJECT_FILE,
    "secrets.yaml",
    "secrets.yml",
    "secrets.sops.yaml",
    "secrets.sops.yml",
    "secrets.json",
    "secrets.sops.json",
    ".sops.yaml",
    ".sops.yml",
];

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputKind {
    /// A report, of whatever form.
    Report,
    /// A saved plan.
    Plan,
    /// A snapshot.
    Snapshot,
}

impl OutputKind {
    fn noun(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Plan => "saved plan",
            Self::Snapshot => "snapshot",
        }
    }

    /// What a file holds, as far as that shows.
    fn of(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let kind = serde_json::from_slice(bytes).ok().map(|Kind { kind }| kind);
        match kind.as_deref() {
            Some(plan_file::KIND) => Some(Self::Plan),
            Some(snapshot::KIND) => Some(Self::Snapshot),
            _ => Format::any_wrote(std::str::from_utf8(bytes).ok()?).then_some(Self::Report),
        }
    }
}

/// Refuses to write over a file that is read, where one would be read, or over anything else than an earlier one of
/// its kind: such a name was mistyped. It is called before anything is done.
///
/// # Errors
/// Where it is one, or it does not show what it is.
pub(super) fn refuse_inputs<'f>(
    global: &Global,
    written: impl Iterator<Item = (OutputKind, &'f Path)>,
) -> anyhow::Result<()> {
    let written: Vec<_> = written.collect();
    let mut known = BTreeSet::new();
    if let Some((_, twice)) = written.iter().find(|(_, file)| !known.insert(files::resolved(file)))
    {
        bail!("{} would be written twice: choose a file for each", twice.visible());
    }
    if written.is_empty() {
        return Ok(());
    }
    let loaded = load(global);
    let inputs = inputs(global, &loaded);
    for (kind, file) in written {
        // What was done by then could not be reported.
        files::check_writable(file)
            .with_context(|| format!("nothing was done: cannot write {}", file.visible()))?;
        if !holds_something(file) {
            refuse_place(global, &loaded.project, &inputs, file)?;
            continue;
        }
        // A file with several names is written in place.
        let identity = |file: &Path| Stamp::of(file).map(|stamp| stamp.identity());
        let written = identity(file);
        let bytes = files::read_unchecked(file, DATA_LIMIT);
        let bytes = bytes.with_context(|| {
            format!(
                "cannot read {}, which was not overwritten: choose another file",
                file.visible()
            )
        })?;
        if is_input(file, &bytes) || inputs.iter().any(|input| identity(input) == written) {
            bail!(
                "{} holds a manifest, settings, secrets or a key, and was not overwritten: choose another file",
                file.visible()
            );
        }
        refuse_place(global, &loaded.project, &inputs, file)?;
        if OutputKind::of(&bytes) != Some(kind) {
            bail!(
                "{} does not hold an earlier {}, and was not overwritten: choose another file, or remove it",
                file.visible(),
                kind.noun()
            );
        }
    }
    Ok(())
}

/// Refuses a place that belongs to Git or a Home Assistant, or from which a project reads, whatever is there.
fn refuse_place(
    global: &Global,
    project: &Project,
    inputs: &[PathBuf],
    file: &Path,
) -> anyhow::Result<()> {
    let (named, real) = (files::absolute(file), files::resolved(file));
    let folder = files::resolved(&global.folder);
    let is_of_home_assistant = |config_dir: &Path| {
        let config_dir = files::resolved(config_dir);
        // The project may lie in the configuration folder.
        let is_of_project = folder.starts_with(&config_dir) && real.starts_with(&folder);
        real.starts_with(config_dir.join(STORAGE))
            || real.starts_with(&config_dir) && !is_of_project
    };
    let mut config_dirs = project.targets.values().filter_map(|target| match target {
        Endpoint::ConfigDir(ConfigDirEndpoint(folder)) => Some(folder),
        _ => None,
    });
    let why = if [&named, &real].iter().any(|path| path.iter().any(|part| part == ".git")) {
        "is in a folder of Git's own"
    } else if config_dirs.any(|config_dir| is_of_home_assistant(config_dir)) {
        "is in the configuration folder of a target"
    } else if has_known_name(file)
        || manifest::would_read(&request(global), project, file)
        || inputs.iter().any(|input| files::resolved(input) == real)
    {
        "would be read as a manifest, settings, secrets or a key"
    } else {
        return Ok(());
    };
    bail!("{} {why}, and was not written: choose another file", file.visible())
}

/// Whether it is read wherever it is.
fn has_known_name(file: &Path) -> bool {
    file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// Whether a file is there and not empty. What is no file, as a pipe, is not replaced.
fn holds_something(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// What a project reads: its own files, manifests, and what these name; and identities.
fn inputs(global: &Global, loaded: &Loaded) -> Vec<PathBuf> {
    let project = &loaded.project;
    let (resolver, _) = non_interactive_resolver(global, project);
    let environment = environment::read();
    let sessions = environment.sessions();
    let of_targets =
        project.targets.values().flat_map(|target| target.files(&resolver, sessions.as_ref()));
    let mut inputs = all_files(global, loaded, &resolver);
    inputs.extend(of_targets);
    inputs.extend(workspace(global).identity_files(project));
    inputs.extend(environment.identities.all_files().cloned());
    inputs
}

/// Whether it is seen by a file itself that it is read, by this project or another.
fn is_input(file: &Path, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let begins = |start: &str| text.lines().any(|line| line.starts_with(start));
    has_known_name(file)
        || is_age_file(bytes)
        || begins("application_credentials:")
        || begins("-----BEGIN ")
        || begins("sops:")
        || is_sops_document(text)
        || holds_identity(text)
        || is_manifest_in_braces(text)
}

/// Whether this is a manifest in JSON, or in the same form of YAML.
fn is_manifest_in_braces(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{').unwrap_or_default();
    let name = inside.trim_start().trim_start_matches(['"', '\'']);
    name.starts_with("application_credentials")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_input;

    #[test]
    fn what_is_read_is_seen_by_its_content_and_a_report_is_not_taken_for_it() {
        let sops = "{\"a\": \"ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\", \"sops\": {\"mac\": \"x\", \"version\": \"3.9.0\"}}";
        let with_mark = "\u{feff}application_credentials:\n";
        for (name, text, is_read) in [
            ("a.json", "{\"application_credentials\": []}", true),
            ("a.yaml", "{ application_credentials: [] }", true),
            ("b.yaml", with_mark, true),
            ("secrets.yaml", "name: value\n", true),
            ("c.json", sops, true),
            ("k.age", "age-encryption.org/v1\n-> X25519 a\n\0\u{1}", true),
            ("key.pem", "-----BEGIN PRIVATE KEY-----\n", true),
            ("plan.json", "{\"format_version\": 1, \"targets\": []}", false),
            ("plan.xml", "<?xml version=\"1.0\"?>\n<testsuites/>", false),
            ("plan.md", "### appcred\n\n`application_credentials.yaml`\n", false),
        ] {
            assert_eq!(is_input(Path::new(name), text.as_bytes()), is_read, "{name}");
        }
    }
}
