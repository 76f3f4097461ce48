//! Whether a commit was signed by somebody whose key is known here.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::fetch_error::FetchError;
use super::limited::{self, Deadline};
use super::source::{Signers, succeeded};
use crate::files;
use crate::model::Visible;

/// Settings with which a signature of another kind is never valid.
const NO_OPENPGP: &str = "gpg.program=false";
const NO_SSH: &str = "gpg.ssh.program=false";
const NO_X509: &str = "gpg.x509.program=false";
/// Whoever is in the file of signers is trusted, and nobody else is. A keyring has nobody else.
const TRUST: &str = "gpg.minTrustLevel=fully";

/// Checks the signature of a commit.
///
/// # Errors
/// Where it has none of these signers, or that cannot be found out.
pub(super) fn verify(
    signers: &Signers,
    folder: &Path,
    git: impl Fn(&[String]) -> Command,
    id: &str,
    deadline: Deadline<'_>,
) -> Result<(), FetchError> {
    let unverified = |why: String| FetchError::Unverified { id: short(id), why };
    let (Signers::Ssh(file) | Signers::Gpg(file)) = signers;
    // What cannot be read must not be taken for a commit that is not signed.
    let keys = files::read(file, files::TEXT_LIMIT)
        .map_err(|why| unverified(format!("cannot read {}: {why}", file.visible())))?;
    if keys.trim_ascii().is_empty() {
        return Err(unverified(format!(
            "{} is empty, and must have the keys of the signers",
            file.visible()
        )));
    }
    let file = files::absolute(file);
    let keyring;
    let mut command = match signers {
        Signers::Ssh(_) => {
            let allowed = format!("gpg.ssh.allowedSignersFile={}", file.to_string_lossy());
            let own = [NO_OPENPGP, NO_X509, TRUST, "gpg.ssh.program=ssh-keygen", &allowed];
            git(&own.map(str::to_owned))
        }
        Signers::Gpg(_) => {
            keyring = keyring_of(&file, folder, deadline)?;
            let own = [
                NO_SSH,
                NO_X509,
                "gpg.minTrustLevel=undefined",
                "gpg.program=gpg",
                "gpg.openpgp.program=gpg",
            ];
            let mut command = git(&own.map(str::to_owned));
            command.env("GNUPGHOME", keyring.path());
            command
        }
    };
    let output = limited::output(command.args(["verify-commit", "--", id]), deadline)?;
    if output.status.success() {
        return Ok(());
    }
    // Nothing is said of a signature that could not be looked at.
    if let why @ FetchError::NoSpace(_) = FetchError::of(&output.stderr) {
        return Err(why);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said: Vec<_> = lines.map(|line| line.visible().into_owned()).collect();
    Err(unverified(match said.is_empty() {
        true => "it has no signature that is asked for".to_owned(),
        false => said.join("; "),
    }))
}

/// A keyring of its own, with nothing but the keys of the file.
fn keyring_of(
    file: &Path,
    folder: &Path,
    deadline: Deadline<'_>,
) -> Result<tempfile::TempDir, FetchError> {
    let not_made = |why: std::io::Error| match why.kind() {
        std::io::ErrorKind::StorageFull => FetchError::NoSpace(format!("a keyring: {why}")),
        _ => FetchError::NotWritten(format!("a keyring: {why}")),
    };
    let keyring = tempfile::Builder::new()
        .prefix("keyring-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(folder)
        .map_err(not_made)?;
    let mut settings = tempfile::NamedTempFile::new_in(keyring.path()).map_err(not_made)?;
    settings.write_all(b"trust-model always\nno-auto-check-trustdb\n").map_err(not_made)?;
    settings.persist(keyring.path().join("gpg.conf")).map_err(|why| not_made(why.error))?;
    let mut import = Command::new("gpg");
    import.args(["--batch", "--quiet", "--no-autostart", "--import", "--"]).arg(file);
    succeeded(import.env("GNUPGHOME", keyring.path()).env("LC_ALL", "C"), deadline)?;
    Ok(keyring)
}

/// So much of an id is shown.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
