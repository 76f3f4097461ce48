//! Documents of SOPS in any form.

use super::{Parsed, SOPS, is_sops, lines, parse, parse_json, sops_parts};
use crate::model::sops::{Parts, SopsFault};

/// A form of documents other than YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherForm {
    Json,
    Dotenv,
    Ini,
}

impl OtherForm {
    /// The form of a text, and the text as a tree; nothing where SOPS says nothing of it.
    pub(crate) fn of(text: &str) -> Option<(Self, Parsed<'_>)> {
        if !text.contains(SOPS) {
            return None;
        }
        if text.trim_start().starts_with('{') {
            return Some((Self::Json, parse_json(text)?));
        }
        let dotenv = || Some((Self::Dotenv, lines::dotenv(text)?));
        dotenv().or_else(|| Some((Self::Ini, lines::ini(text)?)))
    }

    /// As SOPS calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Dotenv => "dotenv",
            Self::Ini => "ini",
        }
    }

    /// What a document of it is, as in "it is JSON".
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Json => "it is JSON",
            Self::Dotenv => "it is a dotenv file",
            Self::Ini => "it is an INI file",
        }
    }
}

/// The parts of a document that is not YAML; nothing where the text is none.
pub(crate) fn sops_in_other_form(text: &str) -> Option<Result<Parts, SopsFault>> {
    let (_, parsed) = OtherForm::of(text)?;
    sops_in_yaml(text, &parsed)
}

/// The parts of a document in YAML; nothing where SOPS says nothing of it.
pub(crate) fn sops_in_yaml(text: &str, parsed: &Parsed<'_>) -> Option<Result<Parts, SopsFault>> {
    is_sops(&parsed.documents).then(|| sops_parts(text, parsed, &mut |_, _| {}))
}

/// The parts of a document in any form; nothing where the text is none.
pub(crate) fn sops_in_text(text: &str) -> Option<Result<Parts, SopsFault>> {
    let in_yaml = || sops_in_yaml(text, &parse(text));
    sops_in_other_form(text).or_else(|| text.contains(SOPS).then(in_yaml).flatten())
}
