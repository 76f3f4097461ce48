//! What `.sops.yaml` says of files that are not made yet: to whom they are encrypted.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use thiserror::Error;

use crate::files::{self, TEXT_LIMIT};
use crate::model::Visible;

/// How SOPS calls the file.
const NAMES: [&str; 2] = [".sops.yaml", ".sops.yml"];

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

#[derive(Deserialize)]
struct SopsRules {
    #[serde(default)]
    creation_rules: Vec<CreationRule>,
}

#[derive(Deserialize)]
struct CreationRule {
    path_regex: Option<String>,
    age: Option<KeyNames>,
    #[serde(default)]
    key_groups: Vec<KeyGroup>,
}

#[derive(Deserialize)]
struct KeyGroup {
    age: Option<KeyNames>,
}

/// Names in a list, or in one text with commas between.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeyNames {
    List(Vec<String>),
    Text(String),
}

/// The recipients of age of the first rule that is for a file, as SOPS finds it: in the nearest
/// `.sops.yaml`, from the file's folder upwards. `None` where no rule is, or where it names none.
///
/// # Errors
/// Where the rules cannot be read.
pub fn rule_recipients(file: &Path) -> Result<Option<RuleRecipients>, BadRules> {
    let path = absolute(file);
    let above = path.ancestors().skip(1);
    let Some(rules) =
        above.flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|rules| rules.is_file())
    else {
        return Ok(None);
    };
    let bad = |why: String| BadRules { file: rules.clone(), why };
    let text = files::read_text(&rules, TEXT_LIMIT).map_err(|why| bad(why.to_string()))?;
    // What serde says may repeat a value.
    let place = |error: serde_yaml::Error| match error.location() {
        Some(place) => format!("line {} is not as SOPS reads it", place.line()),
        None => "they are not as SOPS reads them".to_owned(),
    };
    let found: SopsRules = serde_yaml::from_str(&text).map_err(|error| bad(place(error)))?;
    let folder = files::folder_of(&rules);
    let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy();
    for rule in found.creation_rules {
        let regex = Regex::new(rule.path_regex.as_deref().unwrap_or_default())
            .map_err(|_| bad("a `path_regex` cannot be understood".to_owned()))?;
        if regex.is_match(&name) {
            let recipients = rule.recipients();
            let found = RuleRecipients { file: rules.clone(), recipients };
            return Ok(Some(found).filter(|found| !found.recipients.is_empty()));
        }
    }
    Ok(None)
}

impl CreationRule {
    fn recipients(self) -> Vec<String> {
        let groups = self.key_groups.into_iter().filter_map(|group| group.age);
        let mut recipients: Vec<String> = Vec::new();
        for names in self.age.into_iter().chain(groups) {
            let names = match names {
                KeyNames::List(names) => names,
                KeyNames::Text(text) => text.split(',').map(str::to_owned).collect(),
            };
            recipients.extend(names.iter().map(|name| name.trim().to_owned()));
        }
        recipients.retain(|name| !name.is_empty());
        recipients
    }
}

/// The file's path from the root; it may not be there yet.
fn absolute(file: &Path) -> PathBuf {
    let folder = files::folder_of(file);
    let there = folder.ancestors().find_map(|above| {
        let real = files::folder(above).canonicalize().ok()?;
        Some(real.join(folder.strip_prefix(above).ok()?))
    });
    there.unwrap_or_else(|| folder.to_owned()).join(file.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;

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
    shamir_threshold: 1
    key_groups:
      - age: [age1third]
        kms: [{arn: x}]
      - age:
          - age1fourth
      - pgp: [F]
  - path_regex: ^cloud/
    kms: arn:aws:kms:x
  - age: [age1rest]
";

    #[test]
    fn the_first_rule_for_a_file_names_its_recipients() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("house/credentials")).unwrap();
        fs::write(folder.path().join(".sops.yaml"), RULES).unwrap();
        let of = |file: &str| {
            let found = rule_recipients(&folder.path().join(file)).unwrap();
            found.map(|found| found.recipients.join(" "))
        };
        let named = |text: &str| Some(text.to_owned());
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
            rule_recipients(&folder.path().join("a.yaml")).unwrap_err().to_string()
        };
        for (rules, told) in [
            ("creation_rules:\n  - age: {a: AGE-SECRET-KEY-1X}\n", "as SOPS reads"),
            ("creation_rules: [\n", "as SOPS reads"),
            ("creation_rules: [{path_regex: '(', age: age1x}]\n", "`path_regex` cannot be"),
        ] {
            let why = why(rules);
            assert!(why.contains(".sops.yaml: ") && why.contains(told), "{why}");
            assert!(!why.contains("AGE-SECRET"), "{why}");
        }
    }
}
