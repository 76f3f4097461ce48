//! `!secret NAME`, as in HA: the nearest file of secrets that has the name, from the folder of the
//! file that asks up to the project's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files_of_secrets::{files_for, misnamed};
use super::resolver::SecretResolver;
use super::source::{SecretSource, StoredAt};
use super::{BrokenFile, FileFault, Unreadable, age, broken_file, file, sops};
use crate::diagnostic::{Diagnostic, Diagnostics, ProblemCode, Severity, Span};
use crate::files::{self, TEXT_LIMIT};
use crate::model::{self, Secret, ValueFault, encrypted_file, is_name};
use crate::suggest::nearest;
use crate::yaml::{self, Kind, Node, Parsed};
use crate::yaml_edit::clear_values;

pub(super) const SOURCE: SecretSource = SecretSource {
    tag: "secret",
    read,
    places: |name, base, resolver| {
        let at = |file| StoredAt { file, name: Some(name) };
        inside(base, resolver).into_iter().map(at).collect()
    },
};

/// What a file of secrets holds.
pub(super) type SecretsByName = BTreeMap<String, Result<Secret, Unreadable>>;

/// Reads `!secret NAME`, where `base` is the file that says so.
fn read(name: &str, base: &Path, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let (mut looked, mut near) = (Vec::new(), None);
    for file in files_for(base, resolver)?.iter() {
        let path = file.path.clone()?;
        resolver.note(&path);
        let found = resolver.stores.with(
            &path,
            || open(&path, resolver),
            |names| match names {
                Ok(names) => {
                    let known = names.get(name).cloned();
                    if known.is_none() && near.is_none() {
                        near = nearest_name(name, names.keys());
                    }
                    Ok(known)
                }
                // Names that can be read without its secrets may show that it is not the file.
                Err(why) if why.is_lacking() && has_name(name, &path, resolver) == Some(false) => {
                    Ok(None)
                }
                Err(why) => Err(why.clone()),
            },
        );
        let within = |why| Unreadable::within(resolver.shown(&path), why);
        match found.map_err(within)? {
            Some(secret) => {
                warn_of_others(name, &path, &file.beside, resolver);
                return secret.map_err(within);
            }
            None => looked.push(resolver.shown(&path)),
        }
    }
    let misnamed = misnamed(base, resolver);
    Err(Unreadable::NoSecret { name: name.to_owned(), looked: looked.into(), misnamed, near })
}

/// The name in a file of secrets that was most likely meant.
fn nearest_name<'n>(name: &str, known: impl Iterator<Item = &'n String>) -> Option<Box<str>> {
    // What has not the form of a name may be a secret.
    let known: Vec<_> = known.map(String::as_str).filter(|known| is_name(known)).collect();
    let within = known
        .iter()
        .copied()
        .find(|known| known.rsplit_once('/').is_some_and(|(_, last)| last == name));
    within.or_else(|| nearest(name, known)).map(Box::from)
}

/// Whether a file of secrets has a name, where that is seen without asking anybody.
fn has_name(name: &str, path: &Path, resolver: &SecretResolver) -> Option<bool> {
    let names = || names_without_asking(path, resolver);
    let path = path.to_owned();
    resolver.names.with(&path, names, |names| names.as_ref().map(|names| names.contains(name)))
}

/// Whether this is the name of a secret in a file of secrets, where that is seen without asking anybody.
pub(super) fn is_known(name: &str, base: &Path, resolver: &SecretResolver) -> bool {
    let Ok(files) = files_for(base, resolver) else { return false };
    let mut paths = files.iter().filter_map(|file| file.path.as_ref().ok());
    is_name(name) && paths.any(|path| has_name(name, path, resolver) == Some(true))
}

/// Warns of other files of secrets in the folder that have the name as well, as far as they can be read without
/// asking anybody: a copy that somebody forgot keeps an old secret in force.
fn warn_of_others(name: &str, used: &Path, others: &[PathBuf], resolver: &SecretResolver) {
    for path in others {
        if has_name(name, path, resolver) == Some(true) {
            let (used, other) = (resolver.shown(used), resolver.shown(path));
            let secret = model::named("secret", name);
            let message = format!("{used} and {other} both have the {secret}, and {used} is used");
            resolver.warn_once(
                Diagnostic::warning(ProblemCode::DuplicateSecret, message)
                    .help("remove it from the one that should not be used"),
            );
        }
    }
}

/// The secret of this name in a file that somebody names.
pub(super) fn read_of(
    path: &Path,
    name: &str,
    resolver: &SecretResolver,
) -> Result<Secret, Unreadable> {
    let shown = resolver.shown(path);
    let found = resolver.stores.with(
        path,
        || open(path, resolver),
        |names| match names {
            Ok(names) => names.get(name).cloned().ok_or_else(|| no_value(name, names)),
            Err(why) => Err(why.clone()),
        },
    );
    let within = |why| Unreadable::within(shown.clone(), why);
    found.map_err(within)?.map_err(within)
}

/// The same of a file that held this text.
pub(super) fn read_in(
    text: &str,
    name: &str,
    path: &Path,
    resolver: &SecretResolver,
) -> Result<Secret, Unreadable> {
    let mut names = in_text(text, path, resolver)?;
    let found = names.remove(name);
    super::checked(found.ok_or_else(|| no_value(name, &names))??, resolver)
}

fn no_value(name: &str, names: &SecretsByName) -> Unreadable {
    Unreadable::NoValue { name: name.to_owned(), near: nearest_name(name, names.keys()) }
}

/// The names in a file of secrets, without its secrets: SOPS does not encrypt names.
fn names_without_asking(path: &Path, resolver: &SecretResolver) -> Option<BTreeSet<String>> {
    fn collect(node: &Node<'_>, above: &str, names: &mut BTreeSet<String>) {
        let yaml::Value::Mapping(pairs) = &node.value else { return };
        for pair in pairs {
            let name = format!("{above}{}", pair.key.text);
            collect(&pair.value, &format!("{name}/"), names);
            names.insert(name);
        }
    }
    let bytes = files::read(path, TEXT_LIMIT).ok()?;
    let bytes = match age::is_file(&bytes) {
        true => age::decrypt_without_asking(&bytes, &resolver.identities)?,
        false => bytes,
    };
    let mut names = BTreeSet::new();
    for document in yaml::parse(std::str::from_utf8(&bytes).ok()?).documents {
        collect(&document, "", &mut names);
        yaml::wipe(document);
    }
    Some(names)
}

/// The files of secrets inside the project that `!secret` in this file may look into.
fn inside(base: &Path, resolver: &SecretResolver) -> Vec<PathBuf> {
    let Ok(files) = files_for(base, resolver) else { return Vec::new() };
    let paths = files.iter().filter_map(|file| file.path.clone().ok());
    paths.filter(|path| path.starts_with(&resolver.allowed.project)).collect()
}

/// Whether a file of secrets has a value that is not encrypted: under this name, or under any.
pub(super) fn holds_plain(path: &Path, name: Option<&str>) -> bool {
    // What cannot be read is reported by whoever reads it.
    let Ok(bytes) = files::read(path, TEXT_LIMIT) else { return false };
    let Ok(text) = std::str::from_utf8(&bytes) else { return false };
    // What the rules of SOPS leave readable is mostly no secret, unless one is read from there.
    if let (Some(name), Some(clear)) = (name, clear_values(text)) {
        return clear.iter().any(|value| value.name == name);
    }
    if age::is_file(&bytes) || yaml::sops_in_other_form(text).is_some() {
        return false;
    }
    // SOPS says something of each document that it encrypted.
    let documents = yaml::parse(text).documents;
    let mut plain =
        documents.iter().filter(|document| !yaml::is_sops(std::slice::from_ref(document)));
    plain.any(|document| has_plain(document, name))
}

/// Whether a mapping has a text that is not encrypted under this name, or under any.
fn has_plain(node: &Node<'_>, name: Option<&str>) -> bool {
    let yaml::Value::Mapping(pairs) = &node.value else { return false };
    pairs.iter().any(|pair| match &pair.value.value {
        yaml::Value::Scalar(scalar) => {
            name.is_none_or(|name| pair.key.text == name) && !age::is_file(scalar.text.as_bytes())
        }
        yaml::Value::Mapping(_) => match name {
            None => has_plain(&pair.value, None),
            Some(name) => name
                .strip_prefix(pair.key.text.as_ref())
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| has_plain(&pair.value, Some(rest))),
        },
        _ => false,
    })
}

fn open(path: &Path, resolver: &SecretResolver) -> Result<SecretsByName, Unreadable> {
    let of_file = |why| of_whole_file(path, why, resolver);
    let bytes = file::content(path, resolver).map_err(of_file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| of_file(Unreadable::NotUtf8))?;
    in_text(text, path, resolver)
}

/// What is wrong with all of a file is a problem of that file, however many secrets are read from it. What another clone
/// or machine may have is none.
fn of_whole_file(path: &Path, why: Unreadable, resolver: &SecretResolver) -> Unreadable {
    let problem = match &why {
        Unreadable::NotUtf8 => {
            let message = format!("{} is not UTF-8 text", resolver.shown(path));
            Diagnostic::error(ProblemCode::NotUtf8, message).help("save it as UTF-8")
        }
        Unreadable::Replaced { .. } | Unreadable::File { fault: FileFault::NoText, .. }
            if !why.is_lacking() =>
        {
            Diagnostic::error(why.code(), why.to_string()).help(why.help())
        }
        _ => return why,
    };
    let mut problems = Diagnostics::default();
    problems.push(problem);
    BrokenFile(Arc::new(problems)).into()
}

fn in_text(
    text: &str,
    path: &Path,
    resolver: &SecretResolver,
) -> Result<SecretsByName, Unreadable> {
    if let Some(parts) = yaml::sops_in_other_form(text) {
        return sops::by_name(text, parts, resolver);
    }
    let other = model::of_other_names(text);
    let not_names = |at: Span| not_names(path, text, at, other, resolver);
    let mut parsed = yaml::parse(text);
    if other.is_some() && !parsed.faults.is_empty() {
        return Err(not_names(Span::of(text, 0..0)));
    }
    check(path, text, &mut parsed, resolver)?;
    if let Some(parts) = yaml::sops_in_yaml(text, &parsed) {
        return sops::by_name(text, parts, resolver);
    }
    if let [_, second, ..] = parsed.documents.as_slice() {
        let message = "a second document begins here, and is not read".to_owned();
        let help = "write all names into one: remove the `---` before it";
        return Err(wrong_kind(path, text, second.span, (message, help), resolver));
    }
    let pairs = match parsed.documents.into_iter().next() {
        None | Some(Node { value: yaml::Value::Null, .. }) => Vec::new(),
        Some(Node { value: yaml::Value::Mapping(pairs), .. }) => pairs,
        Some(other) => return Err(not_names(other.span)),
    };
    let mut names = SecretsByName::new();
    add(&pairs, "", text, resolver, &mut names);
    pairs.into_iter().for_each(|pair| yaml::wipe(pair.value));
    Ok(names)
}

/// Something else than one mapping: this, where that is seen.
fn not_names(
    path: &Path,
    text: &str,
    at: Span,
    other: Option<&str>,
    resolver: &SecretResolver,
) -> Unreadable {
    let said = match (encrypted_file(text.as_bytes()), other) {
        (Some(kind), _) => (
            format!("it is {kind}, and is not read"),
            "decrypt it, and encrypt it with SOPS or age",
        ),
        (None, other) => {
            let other = other.map(|kind| format!(": {kind} is read only where SOPS encrypted it"));
            let other = other.unwrap_or_default();
            let message = format!("not a YAML mapping of names to secrets{other}");
            (message, "write one `name: secret` a line")
        }
    };
    wrong_kind(path, text, at, said, resolver)
}

/// A file that is of another kind than is read: what is wrong at a place of it, and what to do.
fn wrong_kind(
    path: &Path,
    text: &str,
    at: Span,
    (message, help): (String, &str),
    resolver: &SecretResolver,
) -> Unreadable {
    let source = broken_file::source(Path::new(&resolver.shown(path)), text);
    let problem = Diagnostic::error(ProblemCode::WrongKind, message).at(&source, at);
    let mut problems = Diagnostics::default();
    problems.push(problem.help(help));
    BrokenFile(Arc::new(problems)).into()
}

/// Reports what is wrong with the YAML of a file. A name that is there twice is no error to Home Assistant,
/// which takes the last; SOPS does not read such a file.
fn check(
    path: &Path,
    text: &str,
    parsed: &mut Parsed<'_>,
    resolver: &SecretResolver,
) -> Result<(), Unreadable> {
    let faults = std::mem::take(&mut parsed.faults);
    if faults.is_empty() {
        return Ok(());
    }
    let source = broken_file::source(Path::new(&resolver.shown(path)), text);
    let is_readable = parsed.whole
        && !yaml::is_sops(&parsed.documents)
        && faults.iter().all(yaml::YamlFault::is_duplicate_key);
    let mut problems = Diagnostics::default();
    for fault in faults {
        let mut problem = fault.into_diagnostic(&source);
        if is_readable {
            problem.severity = Severity::Warning;
            problem = problem.help("keep one of the two; Home Assistant takes the last");
        }
        problems.push(problem);
    }
    if is_readable {
        resolver.warn(problems);
        return Ok(());
    }
    Err(BrokenFile(Arc::new(problems)).into())
}

/// Adds all values, those of inner mappings under the names that lead there, as in `home/spotify`.
fn add(
    pairs: &[yaml::Pair<'_>],
    above: &str,
    text: &str,
    resolver: &SecretResolver,
    names: &mut SecretsByName,
) {
    for pair in pairs {
        let name = format!("{above}{}", pair.key.text);
        if let (yaml::Value::Mapping(inner), None) = (&pair.value.value, &pair.value.tag) {
            add(inner, &format!("{name}/"), text, resolver, names);
        }
        // A name that has a slash itself comes first.
        if above.is_empty() || !names.contains_key(&name) {
            names.insert(name, value(&pair.value, text, resolver));
        }
    }
}

fn scalar<'n, 't>(node: &'n Node<'t>) -> Result<&'n yaml::Scalar<'t>, Unreadable> {
    let (what, help) = match &node.value {
        _ if node.tag.is_some() => (
            "a value with a tag",
            "write the secret itself; text that begins with `!` needs quotes",
        ),
        yaml::Value::Scalar(scalar) if scalar.kind() == Kind::Text => return Ok(scalar),
        yaml::Value::Scalar(scalar) if scalar.kind() != Kind::Null => {
            (scalar.kind().name(), "quote it")
        }
        yaml::Value::Mapping(_) => (
            "a mapping",
            "name one value of it, as in `!secret spotify/client_secret`; text that begins with `{` needs quotes",
        ),
        yaml::Value::Sequence(_) => ("a list", "text that begins with `[` or `-` needs quotes"),
        yaml::Value::Null | yaml::Value::Invalid | yaml::Value::Scalar(_) => {
            ("empty", "write the secret; text that begins with `#`, `&` or `*` needs quotes")
        }
    };
    Err(Unreadable::NotText { line: node.span.line, what, help })
}

fn value(node: &Node<'_>, text: &str, resolver: &SecretResolver) -> Result<Secret, Unreadable> {
    let scalar = scalar(node)?;
    if yaml::is_cut_off(node, text) {
        return Err(Unreadable::Unfit(ValueFault::Comment));
    }
    if scalar.text.starts_with(sops::SEALED) {
        return Err(sops::SopsProblem::Metadata("is missing").into());
    }
    if age::is_file(scalar.text.as_bytes()) {
        return super::decrypt(&scalar.text, &resolver.identities);
    }
    Ok(Secret::new(&scalar.text))
}
