//! Tags of YAML: those that name where a secret is, and those that Home Assistant reads and appcred does not.

use crate::diagnostic::ProblemCode;
use crate::field::FieldRefusal;
use crate::model::SECRET_FIELDS;
use crate::secret;
use crate::suggest::{listed, nearest};
use crate::yaml::{INCLUDES, Node, Tag};

/// Home Assistant's tag for what a blueprint is given.
const INPUT: &str = "input";

fn of_home_assistant() -> impl Iterator<Item = &'static str> {
    INCLUDES.iter().copied().chain([INPUT])
}

/// Whether a tag is one that appcred or Home Assistant reads.
fn is_known(name: &str) -> bool {
    secret::tags().chain(of_home_assistant()).any(|known| known == name)
}

/// Whether the name of a tag can be shown: a secret that begins with `!` looks like a tag.
pub(super) fn is_shown(name: &str) -> bool {
    meant(name).is_some() || nearest(name, of_home_assistant()).is_some()
}

/// The tag that was most likely meant.
fn meant(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "env" | "environment" | "var" => Some("env_var"),
        "vault" | "pass" | "op" | "bw" => Some("from"),
        _ => nearest(name, secret::tags()),
    }
}

/// That a field takes no tag.
pub(super) fn unexpected(tag: &Tag) -> FieldRefusal {
    let fields = SECRET_FIELDS.iter().map(|field| field.name);
    let name = tag.name.as_str();
    let (why, help) = if INCLUDES.contains(&name) {
        let help = "appcred includes no files: write here what that file holds";
        (format!("has `!{name}`, which appcred does not read"), help.to_owned())
    } else if name == INPUT {
        let help = "write the value itself: `!input` is for Home Assistant's blueprints";
        (format!("has `!{name}`, which appcred does not read"), help.to_owned())
    } else {
        let text = match is_known(name) {
            true => "",
            false => "; text that begins with `!` needs quotes",
        };
        let help = format!("write the value itself: tags are for {}{text}", listed(fields));
        ("takes no tag".to_owned(), help)
    };
    FieldRefusal::new(ProblemCode::UnexpectedTag, why).help(help).at(tag.span)
}

/// That a value is to be read from another file by Home Assistant's tag; `instead` says how appcred reads such files.
pub(super) fn included(node: &Node<'_>, instead: &str) -> Option<FieldRefusal> {
    let tag = node.tag.as_ref().filter(|tag| INCLUDES.contains(&tag.name.as_str()))?;
    Some(unexpected(tag).help(format!("appcred includes no files: {instead}")))
}

/// That no secret is read by such a tag.
pub(super) fn unknown(tag: &Tag) -> FieldRefusal {
    let name = tag.name.as_str();
    let known: Vec<_> = secret::tags().map(|tag| format!("!{tag}")).collect();
    let known = listed(known.iter().map(String::as_str));
    let (why, help) = match meant(name) {
        _ if INCLUDES.contains(&name) => (
            format!("has `!{name}`, which appcred does not read"),
            format!("`!file FILE` reads a secret from a file; the tags are {known}"),
        ),
        Some(near) => (
            format!("has the unknown tag `!{name}`: did you mean `!{near}`?"),
            match name {
                "vault" => "`!from SOURCE WHAT` reads what a program such as HashiCorp's prints, whose command `sources` in appcred.yaml has; decrypt a value of Ansible Vault with `ansible-vault`, and run `appcred encrypt`".to_owned(),
                _ => format!("the tags are {known}; text that begins with `!` needs quotes"),
            },
        ),
        None => (
            match is_shown(name) {
                true => format!("has the unknown tag `!{name}`"),
                false => "has an unknown tag".to_owned(),
            },
            format!("the tags are {known}; text that begins with `!` needs quotes"),
        ),
    };
    FieldRefusal::new(ProblemCode::UnknownTag, why).help(help).at(tag.span)
}
