//! Where reports go: printed, or into files, in as many formats as asked for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::files::{self, fetched};
use crate::model::Visible;
use crate::report::{self, FORMATS, Format, Report, Verb, markdown};

use super::links::LinkArgs;
use super::{Global, OutputFormat, candidates, console, environment, pager};

/// The format that is printed where none is asked for.
const TEXT: &str = "text";
/// The formats that can be printed one behind the other: the rest are whole documents.
const OF_LINES: [&str; 2] = [TEXT, "github"];

/// A format, and the file that it goes to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    format: &'static Format,
    file: Option<PathBuf>,
}

/// In which formats.
#[derive(Args, Debug, Default)]
pub(super) struct Outputs {
    /// The report's format, and the file to write it to; may be given several times
    #[arg(
        long = "format",
        value_name = "FORMAT[=FILE]",
        default_value = TEXT,
        add = candidates::formats(),
        long_help = long_help()
    )]
    outputs: Vec<Destination>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("name a file after the `=`".to_owned()),
            Some((format, "-")) => {
                return Err(format!("write `{format}` alone to print it: after the `=` is a file"));
            }
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = Format::named(format).ok_or_else(|| {
            let all: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            format!("unknown format `{format}`: it is one of {}", all.join(", "))
        })?;
        Ok(Self { format, file })
    }
}

impl Outputs {
    /// Whether text is printed.
    pub(super) fn print_text(&self) -> bool {
        let mut printed = self.outputs.iter().filter(|output| output.file.is_none()).peekable();
        printed.peek().is_none() || printed.any(|output| output.format.name == TEXT)
    }

    /// In which form a program reads what is printed.
    pub(super) fn printed_format(&self) -> OutputFormat {
        let mut printed = self.outputs.iter().filter(|output| output.file.is_none());
        let of = |output: &Destination| OutputFormat::from_str(output.format.name, false).ok();
        printed
            .find_map(|output| of(output).filter(|of| *of != OutputFormat::Text))
            .unwrap_or_default()
    }

    /// The files that are written.
    ///
    /// # Errors
    /// Where more than one document would be printed.
    pub(super) fn files(&self) -> anyhow::Result<impl Iterator<Item = &Path>> {
        let printed = self.outputs.iter().filter(|output| output.file.is_none());
        let printed: Vec<&str> = printed.map(|output| output.format.name).collect();
        let document = printed.iter().find(|name| !OF_LINES.contains(name));
        if let (Some(name), true) = (document, printed.len() > 1) {
            bail!(
                "only one format can be printed where one is `{name}`: write the others to files, as in `--format {name}=FILE`"
            );
        }
        Ok(self.outputs.iter().filter_map(|output| output.file.as_deref()))
    }

    /// Writes a report wherever it is asked for.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(super) fn write(&self, report: &Report<'_>, links: &LinkArgs) -> anyhow::Result<()> {
        let print = |format: &Format| -> anyhow::Result<()> {
            let rendered = (format.write)(report, links.printed())?;
            match report.verb == Verb::Plan && format.name == TEXT {
                true => pager::print(&rendered)?,
                false => console::print(&rendered)?,
            }
            Ok(())
        };
        if self.outputs.iter().all(|output| output.file.is_some()) {
            print(Format::named(TEXT).context("there is no format for people")?)?;
        }
        for Destination { format, file } in &self.outputs {
            match file {
                None => print(format)?,
                Some(file) => {
                    let rendered = (format.write)(report, links.in_file())?;
                    let plain = anstream::adapter::strip_str(&rendered).to_string();
                    files::write(file, fetched::named(&plain).as_bytes(), 0o644)
                        .with_context(|| format!("cannot write {}", file.visible()))?;
                }
            }
        }
        if let Some(file) = environment::job_summary() {
            let summary = markdown::summary(report);
            // What was done is done, and reported where it was asked for.
            if let Err(why) = files::append(&file, format!("{}\n", fetched::named(&summary))) {
                let (why, file) = (files::reason(&file, &why), file.visible());
                console::warning(format_args!("cannot write the job summary {file}: {why}"));
            }
        }
        Ok(())
    }
}

/// What files are called: as the repository names them where a CI system says where that is.
pub(super) fn names(global: &Global) -> report::FileNames {
    let here = environment::folder();
    let repository = match &global.fetched {
        Some(fetched) => fetched.root.clone(),
        None => environment::checkout().unwrap_or_else(|| here.clone()),
    };
    report::FileNames::new(here, repository, global.folder.clone())
}

/// The help of `--format`.
fn long_help() -> String {
    let mut help =
        "The report's format, and the file to write it to; may be given several times\n\n"
            .to_owned();
    for format in FORMATS {
        help.push_str(&format!("- {}: {}\n", format.name, format.about));
    }
    help + "\nWith =FILE it is written to that file; where all are, text is printed too. In GitHub Actions \
            the job summary is always written."
}

#[cfg(test)]
mod tests {
    use super::{Destination, Outputs, long_help};
    use crate::cli::links::LinkArgs;
    use crate::diagnostic::Diagnostics;
    use crate::report::{Details, FileNames, Report, Verb};

    #[test]
    fn a_format_is_a_file_and_a_line_in_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report");
        let destination: Destination = format!("line-count={}", file.display()).parse().unwrap();
        let text: Destination = "text".parse().unwrap();
        let report = Report {
            verb: Verb::Validate { entries: 0 },
            manifests: &["a.yaml".into(), "b.yaml".into()],
            problems: &Diagnostics::default(),
            targets: &[],
            names: &FileNames::new("/".into(), "/".into(), "".into()),
            selection: &crate::model::Selection::default(),
            commit: None,
            details: Details::All,
            undone: None,
        };
        let outputs = Outputs { outputs: vec![text, destination] };
        outputs.write(&report, &LinkArgs::default()).unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "2 manifests\n");
        assert!(long_help().contains("- line-count: for tests"));
        assert!("no-format".parse::<Destination>().unwrap_err().ends_with(", sarif, line-count"));
    }
}
