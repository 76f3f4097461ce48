//! Which files are manifests.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::file::unreadable;
use super::project::Project;
use super::strays::{lists_entries, may_list_entries};
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, Spot};
use crate::files;
use crate::model::{PROJECT_FILE, Visible, hidden_character};

/// Where manifests are looked for when the project names none.
const USUAL: &[&str] =
    &["credentials", "credentials.yaml", "application_credentials", "application_credentials.yaml"];

/// What is looked for, where that is not a file of targets.
const MANIFEST: &str = "manifest";

/// Files of secrets that may lie beside manifests.
const SECRETS: &[&str] = &["secrets.yaml", "secrets.yml", "secrets.sops.yaml", "secrets.sops.yml"];

/// How deep folders may be nested; more is a mistake.
const MAX_FOLDERS: usize = 64;

/// What a search for manifests found.
pub(super) struct Discovered {
    /// The manifests, in order.
    pub(super) manifests: Vec<PathBuf>,
    /// Folders in which manifests are expected, and none is.
    pub(super) emptied: BTreeSet<PathBuf>,
    /// Files in folders of manifests that list entries, but do not have the name of a manifest.
    pub(super) passed_over: Vec<PathBuf>,
}

/// Finds the manifests of a project, in order: as they are named, and in a folder by name.
pub(super) fn discover(folder: &Path, project: &Project, problems: &mut Diagnostics) -> Discovered {
    let named = places(project).iter().map(|place| folder.join(place)).collect();
    let mut search = Search::new(MANIFEST, named, problems);
    // A file of targets is no manifest, wherever it is.
    let of_targets = project.target_places.iter().map(|place| folder.join(place));
    search.seen.extend(of_targets.filter_map(|place| place.canonicalize().ok()));
    match &project.manifests {
        Some(named) => {
            for name in named {
                search.look_at_own(&folder.join(&name.value), Some(&name.spot));
            }
        }
        None => {
            let usual: Vec<_> = USUAL.iter().map(|name| folder.join(name)).collect();
            let usual: Vec<_> =
                usual.into_iter().filter(|path| path.symlink_metadata().is_ok()).collect();
            if usual.is_empty() && !project.lacks_manifests {
                search.problems.push(nothing_there(folder));
            }
            for path in usual {
                search.look_at_own(&path, None);
            }
        }
    }
    let Search { found, emptied, passed_over, .. } = search;
    Discovered { manifests: found, emptied, passed_over }
}

/// Finds the files of targets that a project names, in the same order.
pub(super) fn target_files(
    folder: &Path,
    names: &[Located<String>],
    problems: &mut Diagnostics,
) -> Vec<PathBuf> {
    let named = names.iter().map(|name| folder.join(&name.value)).collect();
    let mut search = Search::new("file of targets", named, problems);
    for name in names {
        search.look_at(&folder.join(&name.value), Some(&name.spot));
    }
    search.found
}

/// Whether a file of this path is found in these places, or would be if it were there.
pub(super) fn would_find(folder: &Path, places: &[PathBuf], path: &Path) -> bool {
    let is_below = |path: &Path, root: &Path| match path.strip_prefix(root) {
        Ok(below) if below.as_os_str().is_empty() => true,
        Ok(below) => {
            let mut parts = below.iter().map(OsStr::to_string_lossy);
            let is_passed_over = |name: &str| is_other(name) || hidden_character(name).is_some();
            is_yaml(path) && !root.is_file() && !parts.any(|name| is_passed_over(&name))
        }
        Err(_) => false,
    };
    let roots: Vec<_> = places.iter().map(|place| folder.join(place)).collect();
    // A folder below a root may be a link to somewhere else, and is looked into all the same.
    roots.iter().any(|root| {
        is_below(&files::resolved(path), &files::resolved(root))
            || is_below(&files::absolute(path), &files::absolute(root))
    })
}

/// Where manifests are looked for, from the project's folder.
pub(super) fn places(project: &Project) -> Vec<PathBuf> {
    match &project.manifests {
        Some(named) => named.iter().map(|name| PathBuf::from(&name.value)).collect(),
        None => USUAL.iter().map(PathBuf::from).collect(),
    }
}

fn nothing_there(folder: &Path) -> Diagnostic {
    let named = files::folder(folder);
    let problem = Diagnostic::error(
        ProblemCode::NoManifest,
        format!("no manifests in `{}`", named.visible()),
    );
    let usual = "`credentials/`, `credentials.yaml`, `application_credentials/` or `application_credentials.yaml`";
    let above = files::absolute(files::folder(folder));
    let above = above.ancestors().skip(1).find(|above| above.join(PROJECT_FILE).is_file());
    if let Some(above) = above {
        return problem.help(format!(
            "a project begins in `{}`: run it there, or with `-C`",
            above.visible()
        ));
    }
    problem.help(match moved_to(folder, &[]) {
        Some(there) => {
            let there = there.visible();
            format!("`{there}` lists entries: name it under `manifests` in appcred.yaml, or rename it {usual}")
        }
        None => format!(
            "put them into {usual}, or name them under `manifests` in appcred.yaml; `appcred init` begins a project"
        ),
    })
}

/// A file of this folder that lists entries, or a folder with one: manifests that have been renamed.
fn moved_to(folder: &Path, named: &[PathBuf]) -> Option<PathBuf> {
    let lists = |path: &PathBuf| is_yaml(path) && path.is_file() && lists_entries(path);
    let found = |(path, _): (PathBuf, FileType)| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let is_candidate = !is_other(&name)
            && hidden_character(&name).is_none()
            && !named.iter().any(|named| files::is_same(named, &path));
        let inside = || entries_of(&path).unwrap_or_default().into_iter().map(|(path, _)| path);
        let is_moved =
            is_candidate && (lists(&path) || path.is_dir() && inside().any(|path| lists(&path)));
        is_moved.then(|| path.strip_prefix(".").unwrap_or(&path).to_owned())
    };
    entries_of(files::folder(folder)).unwrap_or_default().into_iter().find_map(found)
}

struct Search<'p> {
    /// What is looked for.
    what: &'static str,
    problems: &'p mut Diagnostics,
    /// The files and folders that the project names.
    named: Vec<PathBuf>,
    found: Vec<PathBuf>,
    emptied: BTreeSet<PathBuf>,
    passed_over: Vec<PathBuf>,
    /// Files and folders already seen, by their real paths: one may be named twice, or linked to.
    seen: HashSet<PathBuf>,
    /// How many manifests were met, those seen before included.
    met: usize,
    /// How many files and folders were met that had been seen before.
    again: usize,
    /// The real paths of the folders that are being looked through.
    above: Vec<PathBuf>,
}

impl<'p> Search<'p> {
    fn new(what: &'static str, named: Vec<PathBuf>, problems: &'p mut Diagnostics) -> Self {
        let (found, emptied, passed_over, seen, met, again, above) = Default::default();
        Self { what, problems, named, found, emptied, passed_over, seen, met, again, above }
    }

    /// Looks at a place of manifests. One that has none of its own, and none beside it has in it, was most likely made a
    /// link to the other by mistake: to take its manifests for removed ones would delete their credentials.
    fn look_at_own(&mut self, path: &Path, spot: Option<&Spot>) {
        let before = (self.found.len(), self.again);
        self.look_at(path, spot);
        let is_above =
            |one: &Path, other: &Path| files::absolute(one).starts_with(files::absolute(other));
        let related = |other: &&PathBuf| is_above(path, other) || is_above(other, path);
        let shares = self.named.iter().filter(related).count() > 1;
        if self.found.len() > before.0 || self.again == before.1 || shares {
            return;
        }
        self.emptied.insert(path.to_owned());
        let message = format!("`{}` leads to manifests that are read already", path.visible());
        let problem = Diagnostic::warning(ProblemCode::NoManifest, message).help(
            "if it became a link by mistake, put its own files back; otherwise remove it: nothing is deleted as long as it has no manifest of its own",
        );
        self.problems.push(match spot {
            Some(spot) => problem.at(&spot.file, spot.span),
            None => problem,
        });
    }

    /// Looks at a file or folder that the project names at `spot`, or that is one of the usual ones.
    fn look_at(&mut self, path: &Path, spot: Option<&Spot>) {
        let at = |problem: Diagnostic| match spot {
            Some(spot) => problem.at(&spot.file, spot.span),
            None => problem,
        };
        let before = self.met;
        match fs::metadata(path) {
            Ok(data) if data.is_dir() => {
                self.folder(path);
                if self.met == before {
                    let problem = self.empty_folder(path);
                    self.problems.push(at(problem));
                }
            }
            Ok(_) => self.file(path),
            Err(error) => {
                let problem = at(unreadable(path, &error));
                let is_gone = error.kind() == ErrorKind::NotFound && !path.is_symlink();
                let is_gone = is_gone && self.what == MANIFEST;
                let moved =
                    is_gone.then(|| moved_to(path.parent().unwrap_or(path), &self.named)).flatten();
                let is_pattern =
                    path.iter().any(|part| part == "~") || path.to_string_lossy().contains('*');
                self.problems.push(match moved {
                    _ if is_gone && is_pattern => problem.help("name a file or a folder, of which all manifests are read: `*` and `~` are part of a name here"),
                    Some(there) => problem.help(format!(
                        "`{}` lists entries: if this was renamed, name that under `manifests`",
                        there.visible()
                    )),
                    None => problem,
                });
            }
        }
    }

    fn empty_folder(&mut self, path: &Path) -> Diagnostic {
        self.emptied.insert(path.to_owned());
        let what = self.what;
        let message = format!("there is no {what} in the folder `{}`", path.visible());
        Diagnostic::warning(ProblemCode::NoManifest, message).help(format!(
            "a {what} ends with `.yaml` or `.yml`; nothing is deleted as long as the folder is empty",
        ))
    }

    /// A folder below one that was named. Git keeps no empty folder: an empty one is a submodule or a mount that is missing.
    /// A folder with the name `house.yaml` is a file that was not mounted.
    fn inner_folder(&mut self, path: &Path) {
        let before = self.met;
        self.folder(path);
        let is_hidden = |(path, _): &(PathBuf, FileType)| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        };
        let is_empty = || entries_of(path).is_ok_and(|entries| entries.iter().all(is_hidden));
        if self.met == before && (is_yaml(path) || is_empty()) {
            let problem = self.empty_folder(path);
            self.problems.push(problem);
        }
    }

    fn file(&mut self, path: &Path) {
        match path.canonicalize() {
            Ok(real) => self.real_file(path, real),
            Err(error) => self.unread(path, &error),
        }
    }

    fn unread(&mut self, path: &Path, error: &io::Error) {
        self.met += 1;
        self.problems.push(unreadable(path, error));
    }

    fn real_file(&mut self, path: &Path, real: PathBuf) {
        self.met += 1;
        if self.seen.insert(real) {
            self.found.push(path.to_owned());
        } else {
            self.again += 1;
        }
    }

    fn folder(&mut self, path: &Path) {
        match path.canonicalize() {
            Ok(real) if self.above.contains(&real) => {
                let message =
                    format!("`{}` is a symbolic link to a folder that it lies in", path.visible());
                let problem =
                    Diagnostic::error(ProblemCode::SymlinkLoop, message).help("remove the link");
                self.problems.push(problem);
            }
            Ok(_) if self.above.len() >= MAX_FOLDERS => {
                let message =
                    format!("`{}` lies in more than {MAX_FOLDERS} folders", path.visible());
                self.problems.push(Diagnostic::error(ProblemCode::TooDeep, message));
            }
            // Several links may lead to the same folder.
            Ok(real) if !self.seen.insert(real.clone()) => {
                self.met += 1;
                self.again += 1;
            }
            Ok(real) => {
                self.above.push(real);
                match entries_of(path) {
                    Ok(entries) => {
                        entries.iter().for_each(|(path, kind)| self.in_folder(path, *kind))
                    }
                    Err(error) => self.unread(path, &error),
                }
                self.above.pop();
            }
            Err(error) => self.unread(path, &error),
        }
    }

    /// A name with such a character can look like another, or forge a line of a log.
    fn hidden_name(&mut self, path: &Path, kind: FileType, which: &str) {
        if kind.is_dir() || is_yaml(path) {
            self.met += 1;
            let message = format!("the name of `{}` has {which}", path.visible());
            let problem = Diagnostic::error(ProblemCode::HiddenCharacter, message);
            self.problems.push(problem.help("rename it: it is not read"));
        }
    }

    /// A file that lists entries but does not have the name of a manifest was renamed by mistake: to take it for
    /// a removed manifest would delete its credentials.
    fn passed_over(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = name.trim();
        let is_age = stem.strip_suffix(".age").is_some_and(|stem| is_yaml(Path::new(stem)));
        let is_meant = is_yaml(Path::new(stem)) || stem.ends_with(".json");
        if is_age && !SECRETS.contains(&stem.trim_end_matches(".age")) {
            let message = format!("`{}` is encrypted as a whole, and is not read", path.visible());
            self.problems.push(Diagnostic::error(ProblemCode::NotAManifest, message).help(
                "encrypt the values in a manifest, with `appcred encrypt`; if `!file` reads it, name it without `.yaml`",
            ));
        } else if is_meant && lists_entries(path) {
            let message = format!("`{}` lists entries, and is not read", path.visible());
            self.problems.push(Diagnostic::error(ProblemCode::NotAManifest, message).help(
                "name it as a manifest is: no dot first, `.yaml` last, and not `secrets`; to disable it, remove it or add `.disabled`",
            ));
        } else if may_list_entries(path) {
            self.passed_over.push(path.to_owned());
        }
    }

    fn in_folder(&mut self, path: &Path, kind: FileType) {
        let name = path.file_name().unwrap_or_default();
        let is_other = is_other(&name.to_string_lossy());
        if is_other || !kind.is_dir() && !is_yaml(path) {
            self.passed_over(path);
        }
        if is_other {
            return;
        }
        if let Some(which) = hidden_character(&name.to_string_lossy()) {
            return self.hidden_name(path, kind, &which);
        }
        // The real path of what is no link is that of its folder and its name, without a system call.
        if let Some(folder) = self.above.last().filter(|_| kind.is_file()) {
            if is_yaml(path) {
                self.real_file(path, folder.join(name));
            }
            return;
        }
        match fs::metadata(path) {
            Ok(data) if data.is_dir() => self.inner_folder(path),
            Ok(_) if is_yaml(path) => self.file(path),
            Ok(_) => {}
            Err(error) => self.unread(path, &error),
        }
    }
}

/// Whether a file or folder of this name is skipped.
pub(super) fn is_other(name: &str) -> bool {
    name.starts_with('.') || name == PROJECT_FILE || SECRETS.contains(&name)
}

pub(super) fn is_yaml(path: &Path) -> bool {
    let is = |end: &OsStr, other: &str| end.eq_ignore_ascii_case(other);
    path.extension().is_some_and(|end| is(end, "yaml") || is(end, "yml"))
}

pub(super) fn entries_of(folder: &Path) -> std::io::Result<Vec<(PathBuf, FileType)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}
