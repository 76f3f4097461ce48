//! The targets of a project, in its file or in files of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::{Decoder, Site, wrong_kind};
use super::plain_text;
use super::project::{Paths, Project};
use super::schema::{ProjectTargetsInput, TargetFileInput};
use super::target::DecodedTarget;
use super::{discover, file, tags};
use crate::cores;
use crate::diagnostic::{Diagnostic, Diagnostics, Located, ProblemCode, SourceFile, Span};
use crate::field::{Field, FieldRefusal, Pairs, Raw, Text};
use crate::files;
use crate::target::TargetInput;
use crate::yaml::{self, Node, Value};

/// What to write in place of something that names a file, which is shown where it is a file of YAML.
fn list_instead(file: &Node<'_>) -> String {
    let file = named(file).unwrap_or("targets.yaml");
    format!(
        "write the targets here, or the list of their files, as in `targets: [{file}]`, each of which begins with `targets:`"
    )
}

/// The file of YAML that is named here.
fn named<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let is_path = |mark: char| mark.is_ascii_alphanumeric() || "-_./".contains(mark);
    let text: &str = &scalar.text;
    let is_yaml = text.ends_with(".yaml") || text.ends_with(".yml");
    (is_yaml && text.chars().all(is_path)).then_some(text)
}

impl Project {
    /// Its own files: that of the project, and those of its targets.
    pub fn own_files(&self) -> impl Iterator<Item = &Path> {
        let of_targets = self.target_files.iter().map(|file| file.path());
        self.file.as_deref().into_iter().chain(of_targets)
    }

    /// Whether a file is one of its own, whatever it is called here.
    pub fn is_own_file(&self, file: &Path) -> bool {
        self.own_files().any(|own| files::is_same(own, file))
    }

    /// Whether it names files that its targets are in.
    pub fn has_target_files(&self) -> bool {
        !self.target_places.is_empty()
    }

    /// Where these files are, from the project's folder.
    pub fn target_places(&self) -> &[PathBuf] {
        &self.target_places
    }

    /// Adds targets that were read; answers what is wrong with them together.
    fn add_targets(&mut self, targets: Vec<DecodedTarget>) -> Diagnostics {
        let mut problems = Diagnostics::default();
        for target in targets {
            let DecodedTarget { name, is_name_valid, spot, endpoint, suspended, labels, .. } =
                target;
            match target.unread_labels {
                Some(labels) => self.unread_labels.extend(labels),
                None => self.lacks_targets = true,
            }
            let error = |message: String| {
                let error = Diagnostic::error(ProblemCode::DuplicateTarget, message);
                error.at(&spot.file, spot.span)
            };
            if let Some(first) = self.target_spots.get(&name) {
                let problem = error(format!("the target `{name}` is there already"));
                let problem = problem.related(first.clone(), "the first one");
                problems.push(problem.help("remove one of them, or name it otherwise"));
                continue;
            }
            if let Some(endpoint) = endpoint.as_ref().filter(|_| is_name_valid) {
                let place = endpoint.place();
                match self.target_at.get(&place) {
                    Some(first) => {
                        let help =
                            "remove one of them: a run for one would delete what the other wants";
                        let message = format!(
                            "the targets `{first}` and `{name}` are the same Home Assistant"
                        );
                        problems.push(error(message).help(help));
                    }
                    None => drop(self.target_at.insert(place, name.clone())),
                }
            }
            self.suspended.extend(suspended.map(|spot| (name.clone(), spot)));
            let values = labels.iter().map(|(label, of)| (label.clone(), of.value.clone()));
            self.labels.insert(name.clone(), values.collect());
            self.label_spots
                .extend(labels.into_iter().map(|(label, of)| ((name.clone(), label), of.spot)));
            self.targets.extend(endpoint.map(|endpoint| (name.clone(), endpoint)));
            self.target_spots.insert(name, spot);
        }
        problems
    }
}

impl<'n> Decoder<'n> {
    /// The paths of a list, as far as they could be read: a wrong one hides nothing of the others. None where it is no list.
    pub(super) fn paths(&self, list: Site<'n>) -> Option<Vec<Located<String>>> {
        let field = list.key_text();
        let included = |site: Site<'n>| {
            let file = named(site.node).map_or(format!("{field}.yaml"), str::to_owned);
            let instead = format!("write its path without a tag, as in `{field}: [{file}]`");
            tags::included(site.node, &instead)
        };
        let path = |item: Site<'n>| {
            let text = match included(item) {
                Some(why) => Err(why),
                None => self.read::<Text<String>>(item)?.0,
            };
            let path = self.accept(item, text)?;
            self.is_path(&path.value, path.spot.span).then_some(path)
        };
        let items = included(list).map_or_else(|| list.list(), Err);
        Some(self.accept(list, items)?.value.filter_map(path).collect())
    }

    /// Reads the targets of a project, here or in the files that are named here.
    pub(super) fn targets(
        &self,
        targets: Option<Field<Raw<ProjectTargetsInput>>>,
        paths: Paths<'_>,
        project: &mut Project,
    ) {
        let Some(site) = targets.and_then(|targets| self.raw(&targets)) else { return };
        let is_list = matches!(&site.node.value, Value::Sequence(_)) && site.node.tag.is_none();
        let is_mapping = |item: &Site<'_>| matches!(&item.node.value, Value::Mapping(_));
        if let Some(item) = site.items().into_iter().flatten().find(is_mapping) {
            project.lacks_targets = true;
            let why = "is a target, and a list has the files of targets";
            let refusal = FieldRefusal::new(ProblemCode::WrongKind, why);
            self.refuse(item, refusal.help("write the name of each target and its fields below, without `- `, as in `home: {url: \"https://ha.example:8123\"}`"));
        } else if let Some(refusal) = tags::included(site.node, &list_instead(site.node)) {
            project.lacks_targets = true;
            self.refuse(site, refusal);
        } else if site.node.tag.is_none() && named(site.node).is_some() {
            project.lacks_targets = true;
            let refusal = wrong_kind(site.node, "a mapping");
            self.refuse(site, refusal.help(list_instead(site.node)));
        } else if is_list {
            let names = self.paths(site).unwrap_or_default();
            let TargetFiles { files, problems, is_whole } = read(&names, project, paths);
            let is_whole = is_whole && names.len() == site.items().into_iter().flatten().count();
            project.lacks_targets |= !is_whole;
            for file in files {
                self.report_all(project.add_targets(file.targets));
                project.target_files.push(file.source);
            }
            project.target_places = names.into_iter().map(|name| name.value.into()).collect();
            self.report_all(problems);
        } else if let Some(pairs) = self.read::<Pairs<Raw<TargetInput>>>(site) {
            let targets = self.decoded_targets(pairs, &project.handling(), paths);
            self.report_all(project.add_targets(targets));
        } else {
            project.lacks_targets = true;
        }
    }
}

/// What one file holds.
struct TargetFile {
    source: Arc<SourceFile>,
    targets: Vec<DecodedTarget>,
}

/// What all files hold.
struct TargetFiles {
    files: Vec<TargetFile>,
    problems: Diagnostics,
    /// Whether each could be read as a file of targets.
    is_whole: bool,
}

/// What is in the text of a file.
struct DecodedTargets {
    targets: Vec<DecodedTarget>,
    problems: Diagnostics,
    is_whole: bool,
}

/// Reads the files that a project names, on all cores; what comes back is in their order.
fn read(names: &[Located<String>], project: &Project, paths: Paths<'_>) -> TargetFiles {
    let mut problems = Diagnostics::default();
    let files = discover::target_files(paths.folder, names, &mut problems);
    let mut is_whole = !problems.has_errors();
    let read = cores::map(&files, |path| read_one(path, project, paths));
    let mut files = Vec::with_capacity(read.len());
    for file in read {
        match file {
            Ok((source, decoded)) => {
                files.push(TargetFile { source, targets: decoded.targets });
                problems.append(decoded.problems);
                is_whole &= decoded.is_whole;
            }
            Err(problem) => {
                problems.push(*problem);
                is_whole = false;
            }
        }
    }
    TargetFiles { files, problems, is_whole }
}

fn read_one(
    path: &Path,
    project: &Project,
    paths: Paths<'_>,
) -> Result<(Arc<SourceFile>, DecodedTargets), Box<Diagnostic>> {
    let source = file::read(path)?;
    let decoded = decode(&source, project, paths);
    Ok((source, decoded))
}

/// What is wrong with a text that is to be such a file.
pub(super) fn check(source: &Arc<SourceFile>, project: &Project, paths: Paths<'_>) -> Diagnostics {
    decode(source, project, paths).problems
}

fn decode(source: &Arc<SourceFile>, project: &Project, paths: Paths<'_>) -> DecodedTargets {
    let parsed = yaml::parse(source.text());
    let decoder = Decoder::new(source, &parsed);
    decoder.allow_placeholders.set(project.allow_placeholders);
    if let [_, second, ..] = parsed.documents.as_slice() {
        let message = "a file of targets has one document";
        decoder.report(decoder.error(ProblemCode::ManyDocuments, second.span, message));
    }
    let top = parsed.documents.first().map(Site::top).filter(|top| !top.is_null());
    let input: Option<TargetFileInput> = top.and_then(|top| decoder.read(top));
    let targets = input.and_then(|input| input.targets.value);
    let targets =
        targets.map(|targets| decoder.decoded_targets(targets, &project.handling(), paths));
    if parsed.is_empty() {
        let start = Span { line: 1, column: 1, ..Span::default() };
        let problem = decoder.error(ProblemCode::EmptyProject, start, "this file has no targets");
        let help = "write them below `targets:`, as in appcred.yaml, or remove the file";
        decoder.report(problem.help(help));
    }
    let mut problems = decoder.into_problems();
    if !project.allow_plaintext {
        problems.append(plain_text::check(source, &parsed.documents));
    }
    let is_whole = parsed.whole && targets.is_some();
    DecodedTargets { targets: targets.unwrap_or_default(), problems, is_whole }
}
