//! What is never overwritten by a report, a plan or a snapshot: what a project reads.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::files::{self, DATA_LIMIT, Stamp};
use crate::model::{PROJECT_FILE, Visible};
use crate::secret::{holds_identity, is_age_file, is_sops_document};

use super::gather::{load, non_interactive_resolver, workspace};
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

/// Refuses to write over a file that is read: such a name was mistyped. It is called before anything is done.
///
/// # Errors
/// Where it is one, or it does not show what it is.
pub(super) fn refuse_inputs<'f>(
    global: &Global,
    written: impl Iterator<Item = &'f Path>,
) -> anyhow::Result<()> {
    let written: Vec<&Path> = written.filter(|file| holds_something(file)).collect();
    if written.is_empty() {
        return Ok(());
    }
    let inputs = inputs(global);
    for file in written {
        // A file with several names is written in place.
        let identity = |file: &Path| Stamp::of(file).map(|stamp| stamp.identity());
        let written = identity(file);
        if is_input(file)? || inputs.iter().any(|input| identity(input) == written) {
            bail!(
                "{} holds a manifest, settings, secrets or a key, and was not overwritten: choose another file",
                file.visible()
            );
        }
    }
    Ok(())
}

/// Whether a file is there and not empty. What is no file, as a pipe, is not replaced.
fn holds_something(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// What a project reads: its own files, manifests, and what these name; and identities.
fn inputs(global: &Global) -> Vec<PathBuf> {
    let loaded = load(global);
    let project = &loaded.project;
    let (resolver, _) = non_interactive_resolver(global, project);
    let environment = environment::read();
    let sessions = environment.sessions();
    let of_targets =
        project.targets.values().flat_map(|target| target.files(&resolver, sessions.as_ref()));
    let mut inputs = all_files(global, &loaded, &resolver);
    inputs.extend(of_targets);
    inputs.extend(workspace(global).identity_files(project));
    inputs.extend(environment.identities.all_files().cloned());
    inputs
}

/// Whether it is seen by a file itself that it is read, by this project or another.
fn is_input(file: &Path) -> anyhow::Result<bool> {
    if file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known)) {
        return Ok(true);
    }
    let bytes = files::read_unchecked(file, DATA_LIMIT).with_context(|| {
        format!("cannot read {}, which was not overwritten: choose another file", file.visible())
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let begins = |start: &str| text.lines().any(|line| line.starts_with(start));
    Ok(is_age_file(&bytes)
        || begins("application_credentials:")
        || begins("-----BEGIN ")
        || begins("sops:")
        || is_sops_document(text)
        || holds_identity(text)
        || is_manifest_in_braces(text))
}

/// Whether this is a manifest in JSON, or in the same form of YAML.
fn is_manifest_in_braces(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{').unwrap_or_default();
    let name = inside.trim_start().trim_start_matches(['"', '\'']);
    name.starts_with("application_credentials")
}

#[cfg(test)]
mod tests {
    use super::is_input;

    #[test]
    fn what_is_read_is_seen_by_its_content_and_a_report_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
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
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            assert_eq!(is_input(&file).unwrap(), is_read, "{name}");
        }
        let large = folder.path().join("large.json");
        let larger = std::fs::File::create(&large).unwrap();
        larger.set_len(super::DATA_LIMIT + 1).unwrap();
        assert!(is_input(&large).unwrap_err().to_string().contains("was not overwritten"));
    }
}
