//! What SOPS writes about a document, under its key `sops`.

use serde::Deserialize;

use super::SopsProblem;
use super::document::Document;
use super::selection::{Patterns, Rules, Selection};

/// What is needed to open a document.
pub(super) struct Metadata {
    /// The encrypted MAC.
    pub(super) mac: String,
    /// When it was last changed; the MAC is bound to it.
    pub(super) lastmodified: String,
    /// Whether values in clear are left out of the MAC.
    pub(super) mac_only_encrypted: bool,
    /// Which values are encrypted.
    pub(super) selection: Selection,
    keys: Group,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    mac: String,
    #[serde(default)]
    lastmodified: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    mac_only_encrypted: bool,
    #[serde(flatten)]
    rules: Rules,
    #[serde(flatten)]
    keys: Group,
    #[serde(default)]
    key_groups: Option<Vec<Group>>,
}

/// Keys each of which opens the document, or its share of it.
#[derive(Default, Deserialize)]
struct Group {
    #[serde(default)]
    age: Option<Vec<Recipient>>,
}

/// The data key, encrypted to somebody.
#[derive(Deserialize)]
pub(super) struct Recipient {
    #[serde(default)]
    pub(super) recipient: String,
    pub(super) enc: String,
}

impl Metadata {
    pub(super) fn read(document: &Document<'_>, patterns: &Patterns) -> Result<Self, SopsProblem> {
        let Some(metadata) = &document.metadata else {
            return Err(SopsProblem::Metadata("is missing"));
        };
        let written =
            Written::deserialize(metadata).map_err(|_| SopsProblem::Metadata("is damaged"))?;
        if written.version.is_empty() {
            return Err(SopsProblem::Metadata("names no version"));
        }
        if written.mac.is_empty() {
            return Err(SopsProblem::Metadata("has no MAC"));
        }
        Ok(Self {
            mac: written.mac,
            lastmodified: written.lastmodified,
            mac_only_encrypted: written.mac_only_encrypted,
            selection: Selection::new(&written.rules, patterns)?,
            keys: written.keys,
            groups: written.key_groups.unwrap_or_default(),
        })
    }

    /// Whether its recipients stand in key groups.
    pub(super) fn is_grouped(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The data key, encrypted to one recipient each.
    pub(super) fn recipients(&self) -> Result<Vec<&Recipient>, SopsProblem> {
        let group = match self.groups.as_slice() {
            [] => &self.keys,
            [only] => only,
            _ => return Err(SopsProblem::NoAge("its key is shared among several key groups")),
        };
        let recipients: Vec<_> = group.age.iter().flatten().collect();
        if recipients.is_empty() {
            return Err(SopsProblem::NoAge("it is encrypted with other key services only"));
        }
        Ok(recipients)
    }
}
