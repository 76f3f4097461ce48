//! A document of SOPS taken apart, before anything of it is opened.
//!
//! It borrows nothing, so that references may hold it for long, and is small: a text is a stretch of
//! the file wherever it is there as it is, and keys that lead to many values are there once. Nothing
//! of it can be printed: values in plain text may be secret.

use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

/// A document, with what it is made of.
#[derive(Clone)]
pub struct ParsedSops {
    text: Arc<Zeroizing<String>>,
    parts: Result<Parts, SopsFault>,
}

/// Why a document cannot be one that SOPS wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SopsFault {
    /// It is not whole.
    Syntax,
    /// It has aliases.
    Alias,
    /// What SOPS says of it is of other kinds than SOPS writes.
    Metadata,
}

/// What a document is made of. Its texts are to be looked up in the document: see [`Tree`].
#[derive(Clone, Default)]
pub struct Parts {
    /// The values in order.
    pub leaves: Vec<Leaf>,
    /// The keys that lead to them, each behind the one that it is under.
    pub keys: Vec<SopsKey>,
    /// What SOPS says of it.
    pub metadata: Option<Metadata>,
}

impl Parts {
    /// Which of the values begins at this byte.
    pub fn leaf_at(&self, at: usize) -> Option<usize> {
        self.leaves.binary_search_by_key(&at, |leaf| leaf.at as usize).ok()
    }
}

/// A value.
#[derive(Clone)]
pub struct Leaf {
    /// The first byte of its text.
    pub at: u32,
    /// Behind its last byte.
    pub end: u32,
    /// The keys that lead to it; places in lists do not count.
    pub path: Path,
    /// How it is written.
    pub form: ScalarStyle,
    /// Whether it is without quotes, and so may be a number, boolean or time.
    pub is_plain: bool,
    /// Whether it is in a list, so that others have the same path.
    pub in_list: bool,
    /// The value.
    pub text: SopsText,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarStyle {
    /// With or without quotes.
    Word,
    /// The same, in `{…}` or `[…]`.
    Flow,
    /// Literal or folded.
    Block,
    /// Behind a tag of somebody's own.
    Strange,
}

/// The keys that lead somewhere, known by the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(u32);

impl Path {
    /// The path behind the last of so many keys; that behind none is the document itself.
    pub fn behind(keys: usize) -> Self {
        Self(short(keys))
    }

    /// How many keys there are up to its last one, all others counted.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A key of a mapping; mappings at one path share theirs.
#[derive(Clone)]
pub struct SopsKey {
    /// The keys that lead to its mapping.
    pub under: Path,
    /// The key itself.
    pub text: SopsText,
}

/// A text of a document.
#[derive(Clone)]
pub enum SopsText {
    /// It is there as it is, from one byte to before another.
    Stretch(u32, u32),
    /// It is written there in some other way. It may be secret, in a document that is being edited.
    Own(Zeroizing<Box<str>>),
}

impl Default for SopsText {
    fn default() -> Self {
        Self::Stretch(0, 0)
    }
}

impl SopsText {
    /// The text itself, of a document with this text.
    pub fn of<'d>(&'d self, document: &'d str) -> &'d str {
        match self {
            Self::Stretch(start, end) => {
                document.get(*start as usize..*end as usize).unwrap_or_default()
            }
            Self::Own(text) => text,
        }
    }
}

/// What SOPS says of a document; what it does not say is empty.
#[derive(Clone, Default)]
pub struct Metadata {
    /// The encrypted MAC.
    pub mac: SopsText,
    /// When it was last changed.
    pub lastmodified: SopsText,
    /// By which SOPS.
    pub version: SopsText,
    /// Whether values in plain text are left out of the MAC.
    pub mac_only_encrypted: bool,
    /// Which keys are encrypted, by expression and by end.
    pub encrypted: Rule,
    /// Which keys are not.
    pub unencrypted: Rule,
    /// Whether it chooses values by their comments.
    pub by_comment: bool,
    /// To whom its key is encrypted.
    pub recipients: Vec<SopsRecipient>,
    /// The same, for each of the shares that its key was split into.
    pub groups: Vec<Vec<SopsRecipient>>,
    /// How many of these make the key; all where it is 0.
    pub threshold: usize,
    /// The other kinds of keys that its key is encrypted to, as people call them.
    pub other_keys: Vec<&'static str>,
}

/// A rule for keys.
#[derive(Clone, Default)]
pub struct Rule {
    /// A regular expression.
    pub regex: SopsText,
    /// What a key ends with.
    pub suffix: SopsText,
}

/// The key of a document, encrypted to somebody.
#[derive(Clone)]
pub struct SopsRecipient {
    /// Who that is.
    pub recipient: SopsText,
    /// The encrypted key.
    pub enc: SopsText,
}

/// The parts of a document with its text.
#[derive(Clone, Copy)]
pub struct Tree<'d> {
    /// The whole text.
    pub text: &'d str,
    /// The parts.
    pub parts: &'d Parts,
}

impl<'d> Tree<'d> {
    /// The keys of a path.
    pub fn keys(self, path: Path) -> Vec<&'d str> {
        let mut keys: Vec<_> = self.backwards(path).collect();
        keys.reverse();
        keys
    }

    /// The same, from the last to the first.
    pub fn backwards(self, path: Path) -> impl Iterator<Item = &'d str> {
        let key = move |path: Path| self.parts.keys.get(path.index().checked_sub(1)?);
        let keys = std::iter::successors(key(path), move |last| key(last.under));
        keys.map(move |key| key.text.of(self.text))
    }
}

impl ParsedSops {
    /// Keeps a document with the parts that were found in it.
    pub fn new(text: Arc<Zeroizing<String>>, parts: Result<Parts, SopsFault>) -> Self {
        Self { text, parts }
    }

    /// What it is made of.
    ///
    /// # Errors
    /// Where SOPS cannot have written it.
    pub fn tree(&self) -> Result<Tree<'_>, SopsFault> {
        match &self.parts {
            Ok(parts) => Ok(Tree { text: &self.text, parts }),
            Err(fault) => Err(*fault),
        }
    }
}

impl PartialEq for ParsedSops {
    /// The parts follow from the text.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ParsedSops {}

/// A place in a document, or a count of what is in it. No document is as long as would not fit.
pub fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
