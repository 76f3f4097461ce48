//! Where reports go: printed, or into files, in as many formats as asked for.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::files;
use crate::model::Links;
use crate::report::{self, Report, github, gitlab, junit, markdown, sarif};

use super::links::LinkArgs;
use super::{Global, console, environment};

/// How to write a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people.
    Text,
    /// For programs; `appcred schema` prints its form.
    Json,
    /// For job summaries and comments.
    Markdown,
    /// Annotations of GitHub Actions.
    Github,
    /// GitLab's code quality report.
    Gitlab,
    /// Test results: what is not as wanted has failed.
    Junit,
    /// For code scanning and editors.
    Sarif,
}

/// A format, and the file that it goes to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    format: ReportFormat,
    file: Option<PathBuf>,
}

/// In which formats.
#[derive(Args, Debug)]
pub(super) struct Outputs {
    /// How to write the report, and maybe where; may be given several times
    ///
    /// One of text, json, markdown, github (annotations), gitlab (code quality), junit and sarif. With
    /// =FILE it goes into that file; where all do, text is printed as well. In GitHub Actions the
    /// job's summary is written in any case.
    #[arg(long = "format", value_name = "FORMAT[=FILE]", default_value = "text")]
    outputs: Vec<Destination>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("name a file behind the `=`".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = ReportFormat::from_str(format, false).map_err(|_| {
            let all: Vec<String> = ReportFormat::value_variants()
                .iter()
                .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
                .collect();
            format!("there is no format `{format}`; there are {}", all.join(", "))
        })?;
        Ok(Self { format, file })
    }
}

impl Outputs {
    /// Whether text is printed.
    pub(super) fn print_text(&self) -> bool {
        let mut printed = self.outputs.iter().filter(|output| output.file.is_none()).peekable();
        printed.peek().is_none() || printed.any(|output| output.format == ReportFormat::Text)
    }

    /// Writes a report wherever it is asked for. Text and JSON are the verb's own.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(super) fn write(
        &self,
        report: &Report<'_>,
        links: &LinkArgs,
        text: &dyn Fn(Links) -> String,
        json: &dyn Fn(Links) -> serde_json::Result<String>,
    ) -> anyhow::Result<()> {
        let render = |format: ReportFormat, links: Links| -> anyhow::Result<String> {
            Ok(match format {
                ReportFormat::Text => text(links),
                ReportFormat::Json => json(links)?,
                ReportFormat::Markdown => markdown::summary(report),
                ReportFormat::Github => github::annotations(report),
                ReportFormat::Gitlab => gitlab::code_quality(report)?,
                ReportFormat::Junit => junit::suites(report)?,
                ReportFormat::Sarif => sarif::log(report)?,
            })
        };
        if self.outputs.iter().all(|output| output.file.is_some()) {
            console::print(&render(ReportFormat::Text, links.printed())?)?;
        }
        for Destination { format, file } in &self.outputs {
            match file {
                None => console::print(&render(*format, links.printed())?)?,
                Some(file) => {
                    let rendered = render(*format, links.in_file())?;
                    files::write(file, anstream::adapter::strip_str(&rendered).to_string(), 0o644)
                        .with_context(|| format!("cannot write {}", file.display()))?;
                }
            }
        }
        if let Some(file) = environment::job_summary() {
            let summary = markdown::summary(report);
            files::append(&file, format!("{summary}\n"))
                .with_context(|| format!("cannot write the job's summary {}", file.display()))?;
        }
        Ok(())
    }
}

/// What files are called: as the repository names them where a CI system says where that is.
pub(super) fn names(global: &Global) -> report::FileNames {
    let here = environment::folder();
    let repository = environment::checkout().unwrap_or_else(|| here.clone());
    report::FileNames::new(here, repository, global.folder.clone())
}
