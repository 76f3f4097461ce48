//! A new client secret: typed, piped or read from a file.

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use crate::diagnostic::{Diagnostics, ProblemCode, Severity, Spot};
use crate::files::{self, TEXT_LIMIT};
use crate::manifest::Project;
use crate::model::{ClientPart, client_fault};

use super::console;
use super::encrypt::refuse;

/// A client secret from standard input, or from whoever is asked, who may correct what is refused; where nobody can be
/// asked, `instead` is needed.
pub(super) fn secret(
    from_stdin: bool,
    instead: &str,
    project: &Project,
    fits: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Zeroizing<String>> {
    let checked = |typed: &str| {
        let secret = checked(typed, project)?;
        fits(&secret).map(|()| secret)
    };
    if from_stdin {
        let typed = files::read_stream(&mut std::io::stdin(), TEXT_LIMIT);
        let typed = typed.context("cannot read standard input")?;
        // PowerShell puts a byte order mark before what it pipes.
        checked(typed.strip_prefix('\u{feff}').unwrap_or(&typed))
    } else if console::can_ask() {
        loop {
            let answer = console::ask_hidden("Client secret (not shown): ")?;
            match checked(answer.expose_secret()) {
                Ok(secret) => return Ok(secret),
                Err(why) => console::message(format_args!("{why:#}")),
            }
        }
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

/// Refuses what has errors, of which the first is named.
///
/// # Errors
/// Where it has some.
pub(super) fn refuse_problems(problems: &Diagnostics) -> anyhow::Result<()> {
    let mut errors = problems.sorted().into_iter();
    let Some(problem) = errors.find(|problem| problem.severity == Severity::Error) else {
        return Ok(());
    };
    let at = |(spot, what): &(Spot, String)| format!(", {what}: {}", spot.place());
    // Where the value itself is at fault, the other place is in the same entry.
    let related = problem.related.as_ref().filter(|_| problem.code != ProblemCode::UnfitValue);
    let related = related.map(at).unwrap_or_default();
    let said = format!("{}{related}", problem.message);
    let mark = if said.ends_with('?') { "" } else { ";" };
    let help = problem.help.as_ref().map(|help| format!("{mark} {help}")).unwrap_or_default();
    bail!("{said}{help}")
}
