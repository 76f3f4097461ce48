//! A new client secret: typed, piped or read from a file.

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::files::{self, TEXT_LIMIT};
use crate::manifest::Project;
use crate::model::{ClientPart, client_fault};

use super::console;
use super::encrypt::refuse;

/// A client secret from standard input, or from whoever is asked; where nobody can be, `instead` is needed.
pub(super) fn secret(
    from_stdin: bool,
    instead: &str,
    project: &Project,
) -> anyhow::Result<Zeroizing<String>> {
    if from_stdin {
        let typed = files::read_stream(&mut std::io::stdin(), TEXT_LIMIT);
        checked(&typed.context("cannot read standard input")?, project)
    } else if console::can_ask() {
        let answer = console::ask_hidden("Client secret (not shown): ")?;
        checked(answer.expose_secret(), project)
    } else {
        bail!("{instead} is needed where there is no terminal to ask on");
    }
}

/// What can be a client secret, without the white space around it.
///
/// # Errors
/// Where it cannot.
pub(super) fn checked(secret: &str, project: &Project) -> anyhow::Result<Zeroizing<String>> {
    let secret = Zeroizing::new(secret.trim().to_owned());
    let fault = client_fault(&secret, ClientPart::Secret, project.allow_placeholders);
    refuse("the client secret", fault)?;
    Ok(secret)
}

/// Refuses a secret that is the client id, as where the wrong line was copied.
///
/// # Errors
/// Where it is.
pub(super) fn refuse_client_id(secret: &str, id: &str, project: &Project) -> anyhow::Result<()> {
    if secret == id && !project.allow_placeholders {
        bail!("the client secret is the same text as the client id: copy the secret");
    }
    Ok(())
}
