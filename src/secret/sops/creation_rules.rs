//! What `.sops.yaml` says of files that are not made yet: to whom they are encrypted.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::Regex;
use thiserror::Error;

use crate::files::{self, TEXT_LIMIT};
use crate::model::Visible;
use crate::secret::seal::{is_recipient, recipient_fault};
use crate::secret::source::is_argument;
use crate::yaml::{self, Node, Pair, Value};

/// How SOPS calls the file. It reads none of another name, as `.sops.yml`.
const NAME: &str = ".sops.yaml";

/// Recipients, and the file of rules that names them.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleRecipients {
    /// The file.
    pub file: PathBuf,
    /// The recipients.
    pub recipients: Vec<String>,
}

/// Why the rules say nothing.
#[derive(Debug, Error)]
#[error("cannot read the rules in {}: {why}", file.visible())]
pub struct BadRules {
    file: PathBuf,
    why: String,
}

/// What a rule may say beside the recipients of age: for which files it is, and what of them SOPS encrypts.
const HARMLESS: [&str; 9] = [
    "path_regex",
    "encrypted_regex",
    "unencrypted_regex",
    "encrypted_suffix",
    "unencrypted_suffix",
    "encrypted_comment_regex",
    "unencrypted_comment_regex",
    "mac_only_encrypted",
    "aws_profile",
];

/// The recipients of age of the first rule that is for a file, as SOPS finds it: in the nearest
/// `.sops.yaml`, from the file's folder upwards. What is above the Git repository of the project, or above
/// the project where it is in none, may be somebody else's and is not read. `None` where no rule is for the
/// file, or where it names no recipient of age.
///
/// # Errors
/// Where the rules cannot be read, belong to another user, or ask for more than recipients of age.
pub fn rule_recipients(project: &Path, file: &Path) -> Result<Option<RuleRecipients>, BadRules> {
    let path = absolute(file);
    let Some(rules) = rules_for(project, file) else {
        return Ok(None);
    };
    let bad = |why: String| BadRules { file: rules.clone(), why };
    if let Some(user) = other_owner(&rules).map_err(|why| bad(why.to_string()))? {
        return Err(bad(format!(
            "it belongs to another user ({user}), who would decide who can decrypt: name the recipients under `age: recipients:` in appcred.yaml, or make the file your own"
        )));
    }
    let text = files::read_text(&rules, TEXT_LIMIT).map_err(|why| bad(why.to_string()))?;
    // What is in the file is not repeated.
    let unreadable = |line: u32| bad(format!("line {line} does not have the form that SOPS reads"));
    let parsed = yaml::parse(&text);
    if let Some(fault) = parsed.faults.first() {
        return Err(unreadable(fault.line()));
    }
    let name = path.strip_prefix(files::folder_of(&rules)).unwrap_or(&path).to_string_lossy();
    let Some(document) = parsed.documents.first() else { return Ok(None) };
    let listed = match field(pairs(document).map_err(unreadable)?, "creation_rules") {
        Some(listed) => items(listed).map_err(unreadable)?,
        None => &[],
    };
    for rule in listed {
        let rule = pairs(rule).map_err(unreadable)?;
        let regex = match field(rule, "path_regex") {
            Some(regex) => text_of(regex).map_err(unreadable)?,
            None => "",
        };
        let regex =
            Regex::new(regex).map_err(|_| bad("a `path_regex` cannot be understood".to_owned()))?;
        if regex.is_match(&name) {
            let rule = RuleKeys::of(rule).map_err(unreadable)?;
            if rule.recipients.is_empty() {
                return Ok(None);
            }
            return match (rule.beyond, rule.unfit) {
                (None, None) => {
                    Ok(Some(RuleRecipients { recipients: rule.recipients, file: rules }))
                }
                (None, Some((why, line))) => Err(bad(format!(
                    "line {line} has something else than a recipient of age: {why}"
                ))),
                (Some((what, line)), _) => Err(bad(format!(
                    "line {line} has {what}, which appcred cannot honour, and nothing is encrypted to a part of a rule: encrypt the file with `sops`, or name recipients under `age: recipients:` in appcred.yaml"
                ))),
            };
        }
    }
    Ok(None)
}

/// The file of rules that counts for a file, whatever it says.
pub fn rules_for(project: &Path, file: &Path) -> Option<PathBuf> {
    let boundary = boundary(project);
    let path = absolute(file);
    let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&boundary));
    let mut places = above.map(|folder| folder.join(NAME));
    places.find(|rules| rules.is_file())
}

/// The folder up to which rules are looked for: that of the Git repository, or the project's own.
fn boundary(project: &Path) -> PathBuf {
    let folder = files::folder(project);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    files::repository_of(&folder).unwrap_or(&folder).to_owned()
}

/// The user that a file belongs to, or the link that leads to it, where it is neither this one nor root.
fn other_owner(file: &Path) -> io::Result<Option<u32>> {
    let own = rustix::process::geteuid().as_raw();
    let owners = [file.symlink_metadata()?.uid(), file.metadata()?.uid()];
    Ok(owners.into_iter().find(|owner| ![own, 0].contains(owner)))
}

/// To whom a rule says that files are encrypted.
#[derive(Default)]
struct RuleKeys {
    recipients: Vec<String>,
    /// The first thing that is more than recipients of age, and its line.
    beyond: Option<(String, u32)>,
    /// Why the first one that is no recipient is none, and its line.
    unfit: Option<(&'static str, u32)>,
}

impl RuleKeys {
    /// The error is the line that does not have the form that SOPS reads.
    fn of(rule: &[Pair<'_>]) -> Result<Self, u32> {
        let mut keys = Self::default();
        // Beside groups, SOPS does not read it.
        let has_groups = field(rule, "key_groups").is_some_and(|groups| !says_nothing(groups));
        for pair in rule.iter().filter(|pair| !says_nothing(&pair.value)) {
            match &*pair.key.text {
                "age" if has_groups => {}
                "age" => keys.add(&pair.value)?,
                "key_groups" => keys.add_groups(pair)?,
                name if HARMLESS.contains(&name) => {}
                _ => keys.refuse(pair, String::new()),
            }
        }
        Ok(keys)
    }

    fn add_groups(&mut self, groups: &Pair<'_>) -> Result<(), u32> {
        let listed = items(&groups.value)?;
        // A key of each group is needed.
        if listed.len() > 1 {
            self.refuse(groups, format!("{} ", listed.len()));
        }
        for group in listed {
            for pair in pairs(group)?.iter().filter(|pair| !says_nothing(&pair.value)) {
                match &*pair.key.text {
                    "age" => self.add(&pair.value)?,
                    _ => self.refuse(pair, String::new()),
                }
            }
        }
        Ok(())
    }

    /// Names in a list, or in one text with commas between.
    fn add(&mut self, names: &Node<'_>) -> Result<(), u32> {
        let one = std::slice::from_ref(names);
        let listed = if matches!(names.value, Value::Sequence(_)) { items(names)? } else { one };
        for names in listed {
            let line = names.span.line;
            let names = text_of(names)?.split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                if !is_recipient(name) {
                    self.unfit.get_or_insert_with(|| (recipient_fault(name), line));
                }
                self.recipients.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn refuse(&mut self, pair: &Pair<'_>, how_many: String) {
        // A name that SOPS does not have may be anything.
        let name = match is_argument(&pair.key.text) {
            true => format!("`{}`", pair.key.text),
            false => "a field".to_owned(),
        };
        self.beyond.get_or_insert_with(|| (format!("{how_many}{name}"), pair.key.span.line));
    }
}

/// Whether a field is there for nothing, as `pgp: ''`.
fn says_nothing(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Null | Value::Invalid => true,
        Value::Scalar(scalar) => scalar.text.trim().is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(pairs) => pairs.is_empty(),
    }
}

fn field<'n, 't>(pairs: &'n [Pair<'t>], name: &str) -> Option<&'n Node<'t>> {
    pairs.iter().find(|pair| pair.key.text == name).map(|pair| &pair.value)
}

fn pairs<'n, 't>(node: &'n Node<'t>) -> Result<&'n [Pair<'t>], u32> {
    match &node.value {
        Value::Mapping(pairs) => Ok(pairs),
        Value::Null => Ok(&[]),
        _ => Err(node.span.line),
    }
}

fn items<'n, 't>(node: &'n Node<'t>) -> Result<&'n [Node<'t>], u32> {
    match &node.value {
        Value::Sequence(items) => Ok(items),
        Value::Null => Ok(&[]),
        _ => Err(node.span.line),
    }
}

fn text_of<'n>(node: &'n Node<'_>) -> Result<&'n str, u32> {
    match &node.value {
        Value::Scalar(scalar) => Ok(&scalar.text),
        Value::Null => Ok(""),
        _ => Err(node.span.line),
    }
}

/// The file's path from the root; it may not be there yet, and may be a link itself.
fn absolute(file: &Path) -> PathBuf {
    files::resolved(files::folder_of(file)).join(file.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use age::x25519;

    use super::rule_recipients;

    const RULES: &str = "# ours
stores: {yaml: {indent: 2}}
creation_rules:
  - path_regex: credentials/.*\\.sops\\.ya?ml$
    encrypted_regex: ^client_secret$
    age: >-
      age1first,
      age1second
  - path_regex: ^grouped/
    pgp: ''
    key_groups:
      - kms: []
        age:
          - age1third
          - age1fourth
  - path_regex: ^cloud/
    kms: arn:aws:kms:x
  - age: [age1rest]
";

    #[test]
    fn the_first_rule_for_a_file_names_its_recipients() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("house/credentials")).unwrap();
        let names = ["first", "second", "third", "fourth", "rest"];
        let names = names.map(|name| (format!("age1{name}"), x25519::Identity::generate()));
        let with_recipients = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, identity)| {
                text.replace(name.as_str(), &identity.to_public().to_string())
            })
        };
        fs::write(folder.path().join(".sops.yaml"), with_recipients(RULES)).unwrap();
        let of = |file: &str| {
            let found = rule_recipients(folder.path(), &folder.path().join(file)).unwrap();
            found.map(|found| found.recipients.join(" "))
        };
        let named = |text: &str| Some(with_recipients(text));
        assert_eq!(of("house/credentials/a.sops.yaml"), named("age1first age1second"));
        assert_eq!(of("credentials/not/there/yet.sops.yml"), named("age1first age1second"));
        assert_eq!(of("grouped/a.yaml"), named("age1third age1fourth"));
        assert_eq!(of("cloud/a.yaml"), None);
        assert_eq!(of("house/grouped/a.yaml"), named("age1rest"));
        fs::write(folder.path().join("house/.sops.yaml"), "creation_rules: []\n").unwrap();
        assert_eq!(of("house/grouped/a.yaml"), None, "the nearest one alone is read");
    }

    #[test]
    fn rules_that_cannot_be_read_are_named_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let why = |rules: &str| {
            fs::write(folder.path().join(".sops.yaml"), rules).unwrap();
            rule_recipients(folder.path(), &folder.path().join("a.yaml")).unwrap_err().to_string()
        };
        for (rules, told) in [
            ("creation_rules:\n  - age: {a: AGE-SECRET-KEY-1X}\n", "that SOPS reads"),
            ("creation_rules: [\n", "that SOPS reads"),
            ("creation_rules: [{path_regex: '(', age: age1x}]\n", "`path_regex` cannot be"),
            ("creation_rules: [{age: a,\n shamir_threshold: 2}]", "line 2 has `shamir_threshold`,"),
            ("creation_rules: [{age: a,\n pgp: F}]", "line 2 has `pgp`,"),
            ("creation_rules: [{kms: [{arn: x}],\n age: a}]", "line 1 has `kms`,"),
            ("creation_rules: [{gcp_kms: x, age: a}]", "line 1 has `gcp_kms`,"),
            ("creation_rules: [{azure_keyvault: x, age: a}]", "line 1 has `azure_keyvault`,"),
            ("creation_rules: [{hc_vault_transit_uri: x, age: a}]", "`hc_vault_transit_uri`,"),
            ("creation_rules: [{of_tomorrow: x, age: a}]", "line 1 has `of_tomorrow`,"),
            (
                "creation_rules:\n- key_groups:\n  - {age: [a]}\n  - {pgp: [F]}",
                "line 2 has 2 `key_groups`,",
            ),
            ("creation_rules: [{key_groups: [{age: [a],\n hc_vault: [x]}]}]", "2 has `hc_vault`,"),
            ("creation_rules: [{key_groups: [{age: [a], merge: [{pgp: [F]}]}]}]", "has `merge`,"),
            ("creation_rules:\n- age: ${AGE}", "line 2 has something else than a recipient of age"),
            ("creation_rules:\n- age: >-\n   age1\n", "of age: its checksum is wrong"),
        ] {
            let why = why(rules);
            assert!(why.contains(".sops.yaml: ") && why.contains(told), "{why}");
            assert!(!why.contains("AGE-SECRET"), "{why}");
        }
    }
}
