//! How verbs write their result: one form for people, and one document for programs, however the run ends.

use clap::{Args, ValueEnum};

use crate::report::changes::{self, MadeChange};
use crate::report::{failed, yaml};

use super::exit::ExitStatus;
use super::{VerbArgs, console, interrupt, pager};

/// In which form to print the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// What json has, in YAML.
    Yaml,
}

impl OutputFormat {
    /// A report in this format.
    ///
    /// # Errors
    /// None in practice: every report can be written as JSON and as YAML.
    fn of(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> serde_json::Result<String>,
    ) -> serde_json::Result<String> {
        match self {
            Self::Text => Ok(text()),
            Self::Json => json(),
            Self::Yaml => yaml::of_json(&json()?),
        }
    }

    /// Prints a report in this format; what is long for a person goes through the pager.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn print(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> serde_json::Result<String>,
    ) -> anyhow::Result<()> {
        let written = self.of(text, json)?;
        match self {
            Self::Text => pager::print(&written)?,
            Self::Json | Self::Yaml => console::print(&written)?,
        }
        Ok(())
    }
}

/// In which form `import` prints its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ImportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// What json has, in YAML.
    Yaml,
    /// Write no manifest, take nothing over, and print resources of a Kubernetes cluster, without any secret.
    #[cfg(feature = "kubernetes")]
    Crd,
}

impl ImportFormat {
    /// How it is written what was done.
    pub(super) fn of_changes(self) -> OutputFormat {
        match self {
            Self::Json => OutputFormat::Json,
            Self::Yaml => OutputFormat::Yaml,
            _ => OutputFormat::Text,
        }
    }
}

/// How a verb that changes something writes what it has done.
#[derive(Args, Debug, Default)]
pub(super) struct ChangesArgs {
    /// How to write what was done; messages for people go to standard error where this is not text
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: OutputFormat,
}

/// A verb whose standard output is one document for a program.
pub(super) struct ForProgram {
    verb: &'static str,
    format: OutputFormat,
    /// Whether it lists what it has changed, and else writes a report of its own.
    has_changes: bool,
}

impl VerbArgs {
    /// What writes for a program; none where people read it.
    pub(super) fn for_program(&self) -> Option<ForProgram> {
        let changing = |verb, ChangesArgs { format }: &ChangesArgs| (verb, *format, true);
        let (verb, format, has_changes) = match self {
            Self::Init(verb) => changing("init", &verb.changes),
            Self::Keygen(verb) => changing("keygen", &verb.changes),
            Self::Add(verb) => changing("add", &verb.changes),
            Self::Encrypt(verb) => changing("encrypt", &verb.changes),
            Self::Rotate(verb) => changing("rotate", &verb.then.changes),
            Self::Rename(verb) => changing("rename", &verb.then.changes),
            Self::Rm(verb) => changing("rm", &verb.then.changes),
            Self::Forget(verb) => changing("forget", &verb.changes),
            Self::Rekey(verb) => changing("rekey", &verb.changes),
            Self::Authorize(verb) => changing("authorize", &verb.changes),
            Self::Import(verb) => changing("import", &verb.changes()),
            Self::Login(verb) => changing("login", &verb.changes),
            Self::Logout(verb) => changing("logout", &verb.changes),
            Self::Validate(verb) => ("validate", verb.outputs.printed_format(), false),
            Self::Plan(verb) => ("plan", verb.outputs.printed_format(), false),
            Self::Apply(verb) => ("apply", verb.outputs.printed_format(), false),
            Self::List(verb) => ("list", verb.format, false),
            Self::Verify(verb) => ("verify", verb.format, false),
            Self::Doctor(verb) => ("doctor", verb.format, false),
            _ => return None,
        };
        let asked = ForProgram { verb, format, has_changes };
        (format != OutputFormat::Text).then_some(asked)
    }
}

impl ForProgram {
    /// Keeps standard output for the document.
    pub(super) fn begin(&self) {
        if self.has_changes {
            console::keep_for_program();
        }
    }

    /// Writes the document that the run owes: what was changed before an error too, or why there is no report.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn finish(
        self,
        result: &anyhow::Result<ExitStatus>,
        made: &[MadeChange],
    ) -> anyhow::Result<()> {
        let why = match result {
            Err(why) => Some(format!("{why:#}")),
            Ok(ExitStatus::Success) => None,
            Ok(_) if self.has_changes => Some(why_failed()),
            Ok(_) => Some(no_report().to_owned()),
        };
        let document = || match self.has_changes {
            true => Some(changes::json(self.verb, made, why.as_deref())),
            false => failed(self.verb, why.as_deref().unwrap_or(no_report())),
        };
        if !console::has_printed()
            && let Some(document) = document()
        {
            console::print(&self.format.of(String::new, || document)?)?;
        }
        Ok(())
    }
}

/// Why a run failed that reported its errors to people.
fn why_failed() -> String {
    match interrupt::was_pressed() {
        true => "interrupted".to_owned(),
        false => console::failures().unwrap_or_else(|| "not all was done".to_owned()),
    }
}

/// Why a run that reported its errors to people has no report.
fn no_report() -> &'static str {
    match interrupt::was_pressed() {
        true => "interrupted",
        false => "the project has errors: `appcred validate --format json` lists them",
    }
}
