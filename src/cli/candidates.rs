//! What a shell offers while a command line is typed. Manifests are read, and no secret; nothing is reported.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::integrations;
use crate::manifest::{LoadRequest, Loaded, load, load_project, project_folder, schema};
use crate::model::is_hidden;
use crate::report::{FORMATS, explained};

use super::environment;

/// A word, and what it is.
type OfferedWord = (String, Option<String>);

/// The targets of the project.
pub(super) fn targets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let (project, _) = load_project(&request());
        plain(project.targets.keys().map(|name| (name.to_string(), None)))
    })
}

/// The labels of the targets, each with a value that it has.
pub(super) fn labels() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let (project, _) = load_project(&request());
        let labels = project.labels.values().flatten();
        let all: BTreeSet<_> = labels.map(|(label, value)| format!("{label}={value}")).collect();
        plain(all.into_iter().map(|label| (label, None)))
    })
}

/// The keys of the entries, each with its name.
pub(super) fn keys() -> ArgValueCandidates {
    of_entries(|loaded| {
        let entries = loaded.entries.iter();
        entries
            .map(|entry| (entry.key.value.to_string(), Some(entry.name.value.to_string())))
            .collect()
    })
}

/// The integrations of the entries.
pub(super) fn domains() -> ArgValueCandidates {
    of_entries(|loaded| {
        let domains: BTreeSet<_> = loaded.domains().map(|domain| &domain.value).collect();
        let name = |domain| integrations::name(domain).map(str::to_owned);
        domains.into_iter().map(|domain| (domain.to_string(), name(domain))).collect()
    })
}

/// The integrations that an entry can be for, each with the name that Home Assistant shows.
pub(super) fn known_domains() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let known = integrations::known().iter();
        plain(
            known.map(|domain| (domain.to_string(), integrations::name(domain).map(str::to_owned))),
        )
    })
}

/// The owner of the project, and those that it had before.
pub(super) fn owners() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let (project, _) = load_project(&request());
        let all = std::iter::once(&project.owner).chain(&project.previous_owners);
        plain(all.map(|owner| (owner.to_string(), None)))
    })
}

/// The formats of reports.
pub(super) fn formats() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        plain(FORMATS.iter().map(|format| (format.name.to_owned(), Some(format.about.to_owned()))))
    })
}

/// The fields of manifests and of the project file.
pub(super) fn fields() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let (manifest, project) = (schema::manifest().into(), schema::project().into());
        plain(explained::fields(&manifest, &project).into_iter().map(|field| (field, None)))
    })
}

fn of_entries(offered: fn(&Loaded) -> Vec<OfferedWord>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || plain(offered(&load(&request())).into_iter()))
}

/// Values with what they are. A shell shows them as they are, so that one with hidden characters is left out.
fn plain(values: impl Iterator<Item = OfferedWord>) -> Vec<CompletionCandidate> {
    let is_plain = |text: &String| !text.is_empty() && !text.chars().any(is_hidden);
    let plain = values.filter(|(value, _)| is_plain(value));
    let candidates = plain.map(|(value, about)| {
        CompletionCandidate::new(value).help(about.filter(is_plain).map(Into::into))
    });
    candidates.collect()
}

/// The project that the command line is about, as far as it is typed.
fn request() -> LoadRequest {
    let folder = folder_of(environment::arguments()).unwrap_or_else(|| PathBuf::from("."));
    LoadRequest { folder: project_folder(&folder), home: environment::home(), owner: None }
}

/// The folder that `-C` names.
fn folder_of(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    // Before the two dashes is what the shell's script calls.
    let mut words = words.skip_while(|word| word != "--").skip(1);
    let mut folder = None;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let behind = text.strip_prefix("--directory=").or_else(|| text.strip_prefix("-C"));
        match behind {
            Some("") => folder = words.next(),
            Some(behind) => folder = Some(behind.into()),
            None if text == "--directory" => folder = words.next(),
            None => {}
        }
    }
    folder.filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::folder_of;

    #[test]
    fn the_folder_is_found_however_it_is_written() {
        let of = |line: &str| folder_of(line.split(' ').map(Into::into));
        for line in ["-C house plan", "-Chouse", "plan --directory house", "x --directory=house"] {
            assert_eq!(of(&format!("-C no -- appcred {line} -t")), Some("house".into()), "{line}");
        }
        assert_eq!(of("appcred -- appcred plan -C "), None);
        assert_eq!(of("appcred -- appcred plan"), None);
    }
}
