//! A document changed in place: what is new is encrypted under the document's own key, what is not
//! keeps every byte, and the MAC is made anew.

use secrecy::zeroize::Zeroizing;

use super::by_program;
use super::cipher::{COMMENT, EncryptedValue};
use super::decrypted::DecryptedDocument;
use super::document::{self, LeafContent, content};
use super::layout::Layout;
use super::mac::Mac;
use super::metadata::{self, Said};
use super::plain::{Plain, Plains};
use super::previous_ciphertext::{PreviousCiphertext, stretch};
use super::unlocked::{Places, UnlockedDocument, name};
use super::write_error::SopsWriteError;
use super::{Patterns, SopsProblem, scalar};
use crate::model::sops::{Leaf, Metadata, Parts, ScalarStyle, SopsFault, SopsRecipient, Tree};
use crate::secret::seal::{bare, seal};
use crate::secret::{SecretResolver, Unreadable};
use crate::yaml;
use crate::yaml_edit::geometry::{block_end, block_header, line_break, line_start};
use crate::yaml_edit::write::{indented, quoted, word};
use crate::yaml_edit::{TextChanges, YamlEditError, check_none_in_clear};

/// Whether a SOPS document has a form that is not written here: JSON, dotenv, INI, several documents in one file, values
/// that comments choose, or a key that is split.
pub fn is_changed_by_sops_alone(text: &str) -> bool {
    if document::other_form(text).is_some() {
        return true;
    }
    let parsed = yaml::parse(text);
    let parts = yaml::sops_in_yaml(text, &parsed);
    let metadata = parts.and_then(|parts| parts.ok()?.metadata);
    parsed.documents.len() > 1
        || metadata.is_some_and(|said| said.by_comment || said.groups.len() > 1)
}

/// A SOPS document that was opened to be changed.
pub struct OpenedSopsDocument<'t> {
    pub(super) text: &'t str,
    pub(super) parts: Parts,
    pub(super) layout: Layout,
    pub(super) unlocked: UnlockedDocument,
}

impl<'t> OpenedSopsDocument<'t> {
    /// Opens a document and checks its MAC; `None` where the text is no document of SOPS.
    ///
    /// # Errors
    /// Where it cannot be opened, or is no YAML.
    pub fn open(text: &'t str, resolver: &SecretResolver) -> Result<Option<Self>, SopsWriteError> {
        if let Some(form) = document::other_form(text) {
            return Err(SopsWriteError::Form(form.noun()));
        }
        if !text.contains(yaml::SOPS) {
            return Ok(None);
        }
        let parsed = yaml::parse(text);
        if !yaml::is_sops(&parsed.documents) {
            return Ok(None);
        }
        let (parts, layout) = document::laid_out(text, &parsed)?;
        let unlocked = UnlockedDocument::new(Tree { text, parts: &parts }, resolver);
        let unlocked = unlocked.map_err(|why| match &parts.metadata {
            Some(said) if by_program::is_for_others_alone(said) => {
                SopsWriteError::OtherKeys(said.other_keys.clone())
            }
            _ => why.into(),
        })?;
        if unlocked.selection.is_by_comment() {
            return Err(SopsWriteError::Form("it chooses values by their comments"));
        }
        Ok(Some(Self { text, parts, layout, unlocked }))
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        Tree { text: self.text, parts: &self.parts }
    }

    fn metadata(&self) -> Result<&Metadata, SopsProblem> {
        self.parts.metadata.as_ref().ok_or(SopsProblem::Metadata("is missing"))
    }

    /// Its values with what they are, and whether they are encrypted.
    fn values(&self) -> impl DoubleEndedIterator<Item = (&Leaf, Plain<'_>, bool)> {
        let values = self.unlocked.values();
        values.filter_map(|(known, plain)| {
            Some((self.parts.leaves.get(known.leaf)?, plain, known.encrypted))
        })
    }

    /// Where SOPS' own part begins: behind all else.
    fn tail(&self) -> Result<usize, SopsWriteError> {
        match self.layout.parts.as_slice() {
            [only] if self.layout.documents == 1 => {
                let last = self.values().next_back();
                if last.is_some_and(|(leaf, ..)| leaf.at as usize > only.start) {
                    return Err(SopsWriteError::Form("its `sops` part is not its last"));
                }
                Ok(only.start)
            }
            _ => Err(SopsWriteError::Form("it has several documents in one file")),
        }
    }

    /// The text without what SOPS says of it, its values encrypted still.
    ///
    /// # Errors
    /// Where that part is not where SOPS puts it.
    pub fn body(&self) -> Result<&'t str, SopsWriteError> {
        Ok(&self.text[..self.tail()?])
    }

    /// The text with all values and comments decrypted, and without SOPS' metadata.
    ///
    /// # Errors
    /// Where [`OpenedSopsDocument::seal`] could not bring back each byte from it.
    pub fn clear(&self) -> Result<Zeroizing<String>, SopsWriteError> {
        let body = self.body()?;
        let mut changes = TextChanges::new(body);
        for (leaf, plain, encrypted) in self.values() {
            if !encrypted || plain.bytes.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(plain.bytes).map_err(|_| Unreadable::NotUtf8)?;
            let written = match (plain.kind, leaf.form) {
                (_, ScalarStyle::Block | ScalarStyle::Strange) | ("bytes", _) => {
                    return Err(not_editable(body, leaf.at as usize).into());
                }
                ("str", _) => word(text),
                (kind, _) => scalar::written(kind, text),
            };
            changes.replace(stretch(leaf), written);
        }
        for span in yaml::comments(body) {
            let text = &body[span.start + 1..span.end];
            if let Some(plain) = self.comment(text, body, span.start) {
                changes.replace(span.start + 1..span.end, plain.as_str());
            }
        }
        let clear = changes.made().map(Zeroizing::new).ok_or_else(|| not_editable(body, 0))?;
        if *self.seal(&clear, "")? != *self.text {
            return Err(SopsWriteError::Form("its form is not the one that SOPS writes"));
        }
        Ok(clear)
    }

    /// Makes a SOPS document of a text such as [`OpenedSopsDocument::clear`] and [`OpenedSopsDocument::body`]
    /// give, changed or not. What should be encrypted is: with the old ciphertext where value and
    /// place are as they were. `now` is the time of the change, as in `2026-11-24T10:00:00Z`.
    ///
    /// # Errors
    /// Where the text is no document that SOPS could have, or not everything fits in its place.
    pub fn seal(&self, body: &str, now: &str) -> Result<String, SopsWriteError> {
        let (parts, layout) = document::laid_out(body, &yaml::parse(body))?;
        if parts.metadata.is_some() {
            return Err(SopsWriteError::Form("it has a part `sops` of its own"));
        }
        if body.trim_start().starts_with('{') {
            return Err(SopsWriteError::Form("it is a mapping in braces"));
        }
        if layout.documents > 1 {
            return Err(SopsWriteError::Form("it has several documents in one file"));
        }
        let tree = Tree { text: body, parts: &parts };
        let selected = self.unlocked.selection.of(tree);
        let mut places = Places::new(tree);
        let mut mac = Mac::new(self.metadata()?.mac_only_encrypted);
        let mut changes = TextChanges::new(body);
        self.seal_comments(tree, &layout, &mut changes)?;
        let mut old = PreviousCiphertext::new(self.tree(), self.values());
        let mut meant = Plains::with_room(parts.leaves.len(), body.len());
        for leaf in &parts.leaves {
            let Some(content) = content(leaf, body) else { continue };
            let encrypted = selected.has(leaf.path);
            let sealed = sealed_in(&content);
            if encrypted && sealed.as_ref().is_some_and(|sealed| sealed.kind == COMMENT) {
                continue;
            }
            if let Some(sealed) = &sealed {
                // It must be what it was for this place, even where it counts as it is written there.
                let mut elsewhere = Plains::default();
                let into = if encrypted { &mut meant } else { &mut elsewhere };
                into.push_sealed(sealed, places.of(leaf.path), &self.unlocked.key)
                    .ok_or_else(|| SopsProblem::Value(name(tree, leaf.path)))?;
            }
            if sealed.is_none() || !encrypted {
                meant.push_clear(&content);
            }
            let Some(plain) = meant.last() else { continue };
            mac.add(plain.bytes, encrypted);
            if encrypted && sealed.is_none() && !(plain.bytes.is_empty() && plain.kind == "str") {
                let sealed = match old.take(tree, leaf.path, plain) {
                    Some(sealed) => sealed.to_owned(),
                    None => self.sealed(plain.bytes, plain.kind, places.of(leaf.path))?,
                };
                put(&mut changes, body, leaf, &sealed)?;
            }
        }
        let mut made = changes.made().ok_or_else(|| not_editable(body, 0))?;
        let tail = self.tail()?;
        if made == self.text[..tail] {
            return Ok(self.text.to_owned());
        }
        if !made.is_empty() && !made.ends_with('\n') {
            made.push_str(line_break(self.text));
        }
        made.push_str(&self.signed(&mac.text(), now)?);
        self.check_written(&made, body, &meant)?;
        Ok(made)
    }

    /// Checks that what was written is read as it is meant, and has no secret in plain text.
    fn check_written(&self, made: &str, body: &str, meant: &Plains) -> Result<(), SopsWriteError> {
        let mut secrets: Vec<Zeroizing<String>> = Vec::new();
        let is_meant = self.read_again(made, |read, _| {
            let values = read.values().chain(self.unlocked.values());
            let encrypted = values.filter(|(known, plain)| known.encrypted && plain.kind == "str");
            let texts = encrypted.map(|(_, plain)| String::from_utf8_lossy(plain.bytes).into());
            secrets.extend(texts.map(Zeroizing::new));
            Ok(read.plains == *meant)
        });
        if !is_meant? {
            return Err(not_editable(body, 0).into());
        }
        let secrets = secrets.iter().map(|secret| secret.as_str());
        Ok(check_none_in_clear(secrets, self.text, body, made)?)
    }

    pub(super) fn sealed(
        &self,
        plain: &[u8],
        kind: &str,
        place: &str,
    ) -> Result<String, SopsWriteError> {
        let sealed = self.unlocked.key.seal(plain, kind, place.as_bytes());
        sealed.map_err(|_| SopsWriteError::NoRandom)
    }

    /// What SOPS says of the document, with a new MAC.
    fn signed(&self, mac: &str, now: &str) -> Result<String, SopsWriteError> {
        let tail = self.tail()?;
        let text = &self.text[tail..];
        let sealed = self.unlocked.key.seal(mac.as_bytes(), "str", now.as_bytes());
        let sealed = sealed.map_err(|_| SopsWriteError::NoRandom)?;
        let part = self.layout.parts.first();
        let places = part.and_then(|part| Some((part.mac.clone()?, part.lastmodified.clone()?)));
        let (mac, time) = places.ok_or(SopsWriteError::Form(
            "its `sops` part does not have the form that SOPS writes",
        ))?;
        let mut changes = TextChanges::new(text);
        changes.replace(mac.start - tail..mac.end - tail, sealed);
        changes.replace(time.start - tail..time.end - tail, quoted(now));
        Ok(changes.made().ok_or_else(|| not_editable(self.text, mac.start))?)
    }

    /// The text with other recipients in their list.
    fn with_recipients(&self, names: &[String], keys: &[String]) -> Result<String, SopsWriteError> {
        let line_break = line_break(self.text);
        let mut changes = TextChanges::new(self.text);
        for part in &self.layout.parts {
            let list = part.age.as_ref();
            let list = list.ok_or(SopsWriteError::Form(
                "its list of recipients does not have the form that SOPS writes",
            ))?;
            let lead = " ".repeat(list.dash);
            let mut lines = String::new();
            for (name, key) in names.iter().zip(keys) {
                lines.push_str(&format!(
                    "{lead}- recipient: {name}{line_break}{lead}  enc: |{line_break}{}",
                    indented(key, list.dash + 4, line_break)
                ));
            }
            changes.replace(list.lines.clone(), lines);
        }
        Ok(changes.made().ok_or_else(|| not_editable(self.text, 0))?)
    }

    /// Whether something holds for what was written, once it is read like any other document.
    fn read_again(
        &self,
        made: &str,
        holds: impl FnOnce(&DecryptedDocument, Tree<'_>) -> Result<bool, SopsProblem>,
    ) -> Result<bool, SopsWriteError> {
        let read = || {
            let parts =
                yaml::sops_in_yaml(made, &yaml::parse(made)).unwrap_or(Err(SopsFault::Syntax))?;
            let tree = Tree { text: made, parts: &parts };
            let said = Said::read(tree, &Patterns::default())?;
            holds(
                &UnlockedDocument::with_key(tree, said, self.unlocked.key.clone())?.document,
                tree,
            )
        };
        read().map_err(SopsWriteError::Wrong)
    }

    /// The document for these recipients, as `sops updatekeys` makes it: its key and all its values
    /// stay. `None` where they are its recipients already, unless all are to be written anew.
    ///
    /// # Errors
    /// Where its recipients are elsewhere than SOPS puts them.
    pub fn rekeyed(
        &self,
        recipients: &[String],
        anew: bool,
    ) -> Result<Option<String>, SopsWriteError> {
        if !self.metadata()?.groups.is_empty() {
            return Err(SopsWriteError::Form("its recipients are in key groups"));
        }
        let before = metadata::recipients(self.metadata()?)?;
        let named = |old: &SopsRecipient| bare(old.recipient.of(self.text));
        let mut wanted: Vec<String> = Vec::new();
        for recipient in recipients.iter().map(|recipient| bare(recipient)) {
            if !wanted.contains(&recipient) {
                wanted.push(recipient);
            }
        }
        let is_there = |recipient: &String| before.iter().any(|old| named(old) == *recipient);
        if !anew && before.len() == wanted.len() && wanted.iter().all(is_there) {
            return Ok(None);
        }
        let mut enclosed = Vec::with_capacity(wanted.len());
        for recipient in &wanted {
            let old = before.iter().find(|old| named(old) == *recipient && !anew);
            enclosed.push(match old {
                Some(old) => old.enc.of(self.text).to_owned(),
                None => seal(&self.unlocked.key.bytes, std::slice::from_ref(recipient))?,
            });
        }
        let made = self.with_recipients(&wanted, &enclosed)?;
        let is_meant = self.read_again(&made, |_, tree| {
            let after = tree.parts.metadata.iter().map(metadata::recipients).next();
            let after = after.unwrap_or(Ok(&[]))?;
            let named =
                |after: &SopsRecipient, wanted: &String| after.recipient.of(&made) == wanted;
            let is_same = |(after, wanted)| named(after, wanted);
            Ok(after.len() == wanted.len() && after.iter().zip(&wanted).all(is_same))
        });
        if is_meant? { Ok(Some(made)) } else { Err(not_editable(self.text, 0).into()) }
    }
}

/// The parts of an encrypted value.
fn sealed_in<'t>(content: &LeafContent<'t>) -> Option<EncryptedValue<'t>> {
    match content {
        LeafContent::Text(text) => EncryptedValue::parse(text),
        LeafContent::Other(_) => None,
    }
}

/// Puts ciphertext in the place of a value.
fn put(
    changes: &mut TextChanges<'_>,
    text: &str,
    leaf: &Leaf,
    sealed: &str,
) -> Result<(), YamlEditError> {
    let at = leaf.at as usize;
    match leaf.form {
        ScalarStyle::Word => changes.replace(stretch(leaf), sealed),
        ScalarStyle::Flow if sealed.starts_with(['"', '\'']) => {
            changes.replace(stretch(leaf), sealed)
        }
        ScalarStyle::Flow => changes.replace(stretch(leaf), quoted(sealed)),
        ScalarStyle::Block => {
            let header = block_header(text, at).ok_or_else(|| not_editable(text, at))?;
            changes.replace(header, sealed);
            changes.replace(line_start(text, at)..block_end(text, at), "");
        }
        ScalarStyle::Strange => return Err(not_editable(text, at)),
    }
    Ok(())
}

fn not_editable(text: &str, at: usize) -> YamlEditError {
    YamlEditError::unfit(text, at..at)
}
