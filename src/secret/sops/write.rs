//! A document changed in place: what is new is encrypted under the document's own key, what is not
//! keeps every byte, and the MAC is made anew.

use std::collections::BTreeMap;
use std::rc::Rc;

use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use super::cipher::{COMMENT, Sealed};
use super::document::{self, Content, Document, Form, Leaf};
use super::mac::Mac;
use super::metadata::Metadata;
use super::unlocked::{Known, Plain, Unlocked, open, place};
use super::{Patterns, SopsProblem, scalar};
use crate::rewrite::geometry::{
    block_end, block_header, indented, line_break, line_start, quoted, word,
};
use crate::rewrite::{Changes, Unfit};
use crate::secret::seal::{Unsealed, bare, seal};
use crate::secret::{Unreadable, Vault};
use crate::yaml;

/// Why a SOPS document is not written.
#[derive(Debug, Error)]
pub enum Unwritten {
    /// It cannot be opened.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It cannot be changed in place.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// Its key could not be encrypted to somebody.
    #[error(transparent)]
    Unsealed(#[from] Unsealed),
    /// It has another form than those that are written here.
    #[error("{0}, which only `sops` itself changes")]
    Form(&'static str),
    /// What was written is not what it should be.
    #[error("it would not be read as it should be: {0}")]
    Wrong(SopsProblem),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl From<SopsProblem> for Unwritten {
    fn from(problem: SopsProblem) -> Self {
        Self::Unreadable(problem.into())
    }
}

/// A SOPS document that was opened to be changed.
pub struct SopsDocument<'t> {
    text: &'t str,
    unlocked: Unlocked<'t>,
}

impl<'t> SopsDocument<'t> {
    /// Opens a document and checks its MAC.
    ///
    /// # Errors
    /// Where it cannot be opened, or is no YAML.
    pub fn open(text: &'t str, vault: &Vault) -> Result<Self, Unwritten> {
        if document::is_json(text) {
            return Err(Unwritten::Form("it is JSON"));
        }
        let document = document::parse_laid_out(text)?;
        Ok(Self { text, unlocked: Unlocked::new(document, vault)? })
    }

    /// Where SOPS' own part begins: behind all else.
    fn tail(&self) -> Result<usize, Unwritten> {
        let layout = &self.unlocked.layout;
        match layout.parts.as_slice() {
            [only] if layout.documents == 1 => {
                let last = self.unlocked.values.last();
                if last.is_some_and(|known| known.leaf.at > only.start) {
                    return Err(Unwritten::Form("its `sops` part is not its last"));
                }
                Ok(only.start)
            }
            _ => Err(Unwritten::Form("it has several documents in one file")),
        }
    }

    /// The text without what SOPS says of it, its values encrypted still.
    ///
    /// # Errors
    /// Where that part does not stand where SOPS puts it.
    pub fn body(&self) -> Result<&'t str, Unwritten> {
        Ok(&self.text[..self.tail()?])
    }

    /// The text with all values and comments in clear, and without what SOPS says of it.
    ///
    /// # Errors
    /// Where [`SopsDocument::seal`] could not bring back each byte from it.
    pub fn clear(&self) -> Result<Zeroizing<String>, Unwritten> {
        let body = self.body()?;
        let mut changes = Changes::new(body);
        for Known { leaf, plain, encrypted } in &self.unlocked.values {
            if !encrypted || plain.bytes.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(&plain.bytes).map_err(|_| Unreadable::NotText)?;
            let written = match (plain.kind, leaf.form) {
                (_, Form::Block | Form::Strange) | ("bytes", _) => {
                    return Err(unfit(body, leaf.at).into());
                }
                ("str", _) => word(text),
                (kind, _) => scalar::written(kind, text),
            };
            changes.replace(leaf.at..leaf.end, written);
        }
        for span in yaml::comments(body) {
            let text = &body[span.start + 1..span.end];
            if let Some(plain) = self.comment(text, body, span.start) {
                changes.replace(span.start + 1..span.end, plain.as_str());
            }
        }
        let clear = changes.made().map(Zeroizing::new).ok_or_else(|| unfit(body, 0))?;
        if *self.seal(&clear, "")? != *self.text {
            return Err(Unwritten::Form("it is written in another way than SOPS does"));
        }
        Ok(clear)
    }

    /// What an encrypted comment says.
    fn comment(&self, text: &str, body: &str, at: usize) -> Option<Zeroizing<String>> {
        let sealed = Sealed::parse(text.trim_end()).filter(|sealed| sealed.kind == COMMENT)?;
        let layout = &self.unlocked.layout;
        let likely = layout.path_of_comment(body, at);
        // To which collection SOPS reckoned it shows by what opens it.
        let bytes = std::iter::once(likely)
            .chain(layout.paths())
            .find_map(|path| self.unlocked.key.open(&sealed, place(path).as_bytes()))?;
        let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains(['\n', '\r']))?;
        Some(Zeroizing::new(text.to_owned()))
    }

    /// Makes a SOPS document of a text such as [`SopsDocument::clear`] and [`SopsDocument::body`]
    /// give, changed or not. What should be encrypted is: with the old ciphertext where value and
    /// place are as they were. `now` is the time of the change, as in `2026-11-24T10:00:00Z`.
    ///
    /// # Errors
    /// Where the text is no document that SOPS could have, or not everything fits in its place.
    pub fn seal(&self, body: &str, now: &str) -> Result<String, Unwritten> {
        let document = document::parse_laid_out(body)?;
        if document.metadata.is_some() || document::is_json(body) {
            return Err(Unwritten::Form("it has a part `sops` of its own"));
        }
        if document.layout.documents > 1 {
            return Err(Unwritten::Form("it has several documents in one file"));
        }
        let mut mac = Mac::new(self.unlocked.metadata.mac_only_encrypted);
        let mut changes = Changes::new(body);
        self.seal_comments(&document, body, &mut changes)?;
        let mut old = Old::new(&self.unlocked.values, self.text);
        let mut meant = Vec::with_capacity(document.leaves.len());
        for leaf in &document.leaves {
            let encrypted = self.unlocked.metadata.selection.encrypts(&leaf.path);
            if encrypted && leaf.is_comment() {
                continue;
            }
            let plain = match self.still_sealed(leaf)? {
                Some(plain) if encrypted => plain,
                _ => {
                    let plain = Plain::in_clear(leaf);
                    if encrypted && !(plain.bytes.is_empty() && plain.kind == "str") {
                        let sealed = match old.take(leaf, &plain) {
                            Some(sealed) => sealed.to_owned(),
                            None => self.sealed(&plain.bytes, plain.kind, &leaf.path)?,
                        };
                        put(&mut changes, body, leaf, &sealed)?;
                    }
                    plain
                }
            };
            mac.add(&plain.bytes, encrypted);
            meant.push(plain);
        }
        let mut made = changes.made().ok_or_else(|| unfit(body, 0))?;
        let tail = self.tail()?;
        if made == self.text[..tail] {
            return Ok(self.text.to_owned());
        }
        if !made.is_empty() && !made.ends_with('\n') {
            made.push_str(line_break(self.text));
        }
        made.push_str(&self.signed(&mac.text(), now)?);
        let read = self.read_again(&made).map_err(Unwritten::Wrong)?;
        let is_meant = read.values.len() == meant.len()
            && read.values.iter().zip(&meant).all(|(known, meant)| known.plain == *meant);
        if is_meant { Ok(made) } else { Err(unfit(body, 0).into()) }
    }

    /// Encrypts the comments that SOPS would.
    fn seal_comments(
        &self,
        document: &Document<'_>,
        body: &str,
        changes: &mut Changes<'_>,
    ) -> Result<(), Unwritten> {
        let before = self.body()?;
        let mut old: Vec<(Zeroizing<String>, &str)> = Vec::new();
        for span in yaml::comments(before) {
            let text = &before[span.start + 1..span.end];
            let said = self.comment(text, before, span.start);
            // One that somebody left in clear stays so while nobody touches it.
            let said = said.unwrap_or_else(|| Zeroizing::new(text.to_owned()));
            old.push((said, text));
        }
        for span in yaml::comments(body) {
            let text = &body[span.start + 1..span.end];
            let path = document.layout.path_of_comment(body, span.start);
            let is_sealed = Sealed::parse(text.trim_end()).is_some();
            if text.is_empty() || is_sealed || !self.unlocked.metadata.selection.encrypts(path) {
                continue;
            }
            let same = old.iter().position(|(said, _)| **said == text);
            let sealed = match same {
                Some(same) => old.remove(same).1.to_owned(),
                None => self.sealed(text.as_bytes(), COMMENT, path)?,
            };
            changes.replace(span.start + 1..span.end, sealed);
        }
        Ok(())
    }

    /// What a value was that is still encrypted, for this place; `None` where it is in clear.
    fn still_sealed(&self, leaf: &Leaf<'_>) -> Result<Option<Plain>, SopsProblem> {
        let Content::Text(text) = &leaf.content else { return Ok(None) };
        let Some(sealed) = Sealed::parse(text) else { return Ok(None) };
        let plain = open(&sealed, leaf, &self.unlocked.key);
        plain.map(Some).ok_or_else(|| SopsProblem::Value(leaf.name()))
    }

    fn sealed(&self, plain: &[u8], kind: &str, path: &[Rc<str>]) -> Result<String, Unwritten> {
        let sealed = self.unlocked.key.seal(plain, kind, place(path).as_bytes());
        sealed.map_err(|_| Unwritten::NoRandom)
    }

    /// What SOPS says of the document, with a new MAC.
    fn signed(&self, mac: &str, now: &str) -> Result<String, Unwritten> {
        let tail = self.tail()?;
        let text = &self.text[tail..];
        let sealed = self.unlocked.key.seal(mac.as_bytes(), "str", now.as_bytes());
        let sealed = sealed.map_err(|_| Unwritten::NoRandom)?;
        let part = self.unlocked.layout.parts.first();
        let places = part.and_then(|part| Some((part.mac.clone()?, part.lastmodified.clone()?)));
        let (mac, time) =
            places.ok_or(Unwritten::Form("its `sops` part is not as SOPS writes it"))?;
        let mut changes = Changes::new(text);
        changes.replace(mac.start - tail..mac.end - tail, sealed);
        changes.replace(time.start - tail..time.end - tail, quoted(now));
        Ok(changes.made().ok_or_else(|| unfit(self.text, mac.start))?)
    }

    /// The text with other recipients in their list.
    fn with_recipients(&self, names: &[String], keys: &[String]) -> Result<String, Unwritten> {
        let line_break = line_break(self.text);
        let mut changes = Changes::new(self.text);
        for part in &self.unlocked.layout.parts {
            let list = part.age.as_ref();
            let list =
                list.ok_or(Unwritten::Form("its recipients are not written as SOPS does"))?;
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
        Ok(changes.made().ok_or_else(|| unfit(self.text, 0))?)
    }

    fn read_again<'m>(&self, made: &'m str) -> Result<Unlocked<'m>, SopsProblem> {
        let document = document::parse(made)?;
        let metadata = Metadata::read(&document, &Patterns::default())?;
        Unlocked::with_key(document, metadata, self.unlocked.key.clone())
    }

    /// The document for these recipients, as `sops updatekeys` makes it: its key and all its values
    /// stay. `None` where they are its recipients already, unless all are to be written anew.
    ///
    /// # Errors
    /// Where its recipients stand elsewhere than SOPS puts them.
    pub fn rekeyed(&self, recipients: &[String], anew: bool) -> Result<Option<String>, Unwritten> {
        if self.unlocked.metadata.is_grouped() {
            return Err(Unwritten::Form("its recipients stand in key groups"));
        }
        let before = self.unlocked.metadata.recipients()?;
        let mut wanted: Vec<String> = Vec::new();
        for recipient in recipients.iter().map(|recipient| bare(recipient)) {
            if !wanted.contains(&recipient) {
                wanted.push(recipient);
            }
        }
        let is_there =
            |recipient: &String| before.iter().any(|old| bare(&old.recipient) == *recipient);
        if !anew && before.len() == wanted.len() && wanted.iter().all(is_there) {
            return Ok(None);
        }
        let mut enclosed = Vec::with_capacity(wanted.len());
        for recipient in &wanted {
            let old = before.iter().find(|old| bare(&old.recipient) == *recipient && !anew);
            enclosed.push(match old {
                Some(old) => old.enc.clone(),
                None => seal(&self.unlocked.key.bytes, std::slice::from_ref(recipient))?,
            });
        }
        let made = self.with_recipients(&wanted, &enclosed)?;
        let read = self.read_again(&made).map_err(Unwritten::Wrong)?;
        let after = read.metadata.recipients()?;
        let is_meant = after.len() == wanted.len()
            && after.iter().zip(&wanted).all(|(after, wanted)| after.recipient == *wanted);
        if is_meant { Ok(Some(made)) } else { Err(unfit(self.text, 0).into()) }
    }
}

/// The ciphertext that was there, for what is there still.
struct Old<'o> {
    text: &'o str,
    by_path: BTreeMap<&'o [Rc<str>], Vec<&'o Known<'o>>>,
}

impl<'o> Old<'o> {
    fn new<'t: 'o>(values: &'o [Known<'t>], text: &'t str) -> Self {
        let mut by_path: BTreeMap<_, Vec<&'o Known<'o>>> = BTreeMap::new();
        for known in values.iter().filter(|known| known.encrypted && known.leaf.form != Form::Block)
        {
            by_path.entry(known.leaf.path.as_slice()).or_default().push(known);
        }
        Self { text, by_path }
    }

    /// Each once, so that two values never show that they are the same.
    fn take(&mut self, leaf: &Leaf<'_>, plain: &Plain) -> Option<&'o str> {
        let same = self.by_path.get_mut(leaf.path.as_slice())?;
        let found = same.iter().position(|known| known.plain == *plain)?;
        let known = same.remove(found);
        Some(&self.text[known.leaf.at..known.leaf.end])
    }
}

/// Puts ciphertext in the place of a value.
fn put(changes: &mut Changes<'_>, text: &str, leaf: &Leaf<'_>, sealed: &str) -> Result<(), Unfit> {
    match leaf.form {
        Form::Word => changes.replace(leaf.at..leaf.end, sealed),
        Form::Flow if sealed.starts_with(['"', '\'']) => {
            changes.replace(leaf.at..leaf.end, sealed);
        }
        Form::Flow => changes.replace(leaf.at..leaf.end, quoted(sealed)),
        Form::Block => {
            let header = block_header(text, leaf.at).ok_or_else(|| unfit(text, leaf.at))?;
            changes.replace(header, sealed);
            changes.replace(line_start(text, leaf.at)..block_end(text, leaf.at), "");
        }
        Form::Strange => return Err(unfit(text, leaf.at)),
    }
    Ok(())
}

fn unfit(text: &str, at: usize) -> Unfit {
    let line = text[..at].matches('\n').count() + 1;
    Unfit::Line(u32::try_from(line).unwrap_or(u32::MAX))
}
