//! Whether what is encrypted fits those who should read it, as far as that is certain.
//!
//! What appcred encrypts is marked (see `recipients.rs`). Any other age file does not name those that it
//! is encrypted to by age's own recipients: it only has one stanza of their kind for each. SSH keys leave a
//! mark of four bytes, a SOPS document names all.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use age::Identity;
use age_core::format::Stanza;
use secrecy::zeroize::Zeroizing;

use super::hybrid::{self, HybridRecipient};
use super::recipients::{StanzaRecorder, is_grease, is_marked_for, ssh_mark};
use super::seal::bare;
use super::{Identities, SecretResolver, age as age_file, is_age_file};
use crate::model::sops::ParsedSops;
use crate::yaml::sops_in_text;

/// How what is there does not fit those who should read it. All of it is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientMismatch {
    /// None of them can open it.
    NoRecipient,
    /// These cannot.
    Missing(Vec<String>),
    /// Some of them cannot: there are fewer stanzas than recipients of age's own kind.
    TooFew {
        /// So many stanzas.
        stanzas: usize,
        /// So many recipients.
        recipients: usize,
    },
    /// These can, too.
    Strangers(Vec<String>),
    /// By its own mark it is encrypted to others.
    Others,
    /// Somebody else can, too.
    TooMany {
        /// So many stanzas.
        stanzas: usize,
        /// So many recipients.
        recipients: usize,
    },
}

/// The kinds of stanzas of age's own recipients that do not name them, and how those recipients begin.
const OWN: [(&str, &str); 2] = [(hybrid::TAG, hybrid::RECIPIENT), ("X25519", "age1")];

/// Which kind of stanza a recipient of age's own gets.
fn own_kind(recipient: &str) -> Option<usize> {
    let is_own = recipient.parse::<age::x25519::Recipient>().is_ok()
        || recipient.parse::<HybridRecipient>().is_ok();
    OWN.iter().position(|(_, start)| is_own && recipient.starts_with(start))
}

/// The stanzas of an age file by their kinds.
#[derive(Default)]
struct Stanzas {
    /// Of each kind of [`OWN`].
    own: [usize; OWN.len()],
    ssh: BTreeSet<String>,
    others: usize,
}

impl Stanzas {
    fn of(seen: &[Stanza]) -> Self {
        let mut stanzas = Self::default();
        for stanza in seen {
            if let Some(kind) = OWN.iter().position(|(tag, _)| stanza.tag == *tag) {
                stanzas.own[kind] += 1;
                continue;
            }
            match stanza.tag.as_str() {
                "ssh-ed25519" | "ssh-rsa" => stanzas.ssh.extend(stanza.args.first().cloned()),
                _ if is_grease(stanza) => {}
                _ => stanzas.others += 1,
            }
        }
        stanzas
    }
}

/// Compares a file with the recipients that it should have: an age file, or a document of SOPS.
///
/// `None` where it fits, where that cannot be determined, and where it is neither of these.
pub fn file_mismatch(
    file: &[u8],
    recipients: &[String],
    resolver: &SecretResolver,
) -> Option<RecipientMismatch> {
    if is_age_file(file) {
        // White space around an armored file is none of it.
        return age_mismatch(file.trim_ascii_start(), recipients, &resolver.identities);
    }
    let text = std::str::from_utf8(file).ok()?;
    let parts = sops_in_text(text)?;
    let text = Arc::new(Zeroizing::new(text.to_owned()));
    sops_mismatch(&ParsedSops::new(text, parts), recipients)
}

/// Compares an age file with the recipients that it should have. Identities that need no input
/// are tried; what they open is not answered, only that they open it.
///
/// `None` where it fits, where that cannot be determined, and where the file is damaged.
fn age_mismatch(
    file: impl AsRef<[u8]>,
    recipients: &[String],
    identities: &Identities,
) -> Option<RecipientMismatch> {
    if recipients.is_empty() {
        return None;
    }
    let open = || age_file::open(file.as_ref()).ok();
    let sealed = open()?;
    if sealed.is_scrypt() {
        return Some(RecipientMismatch::NoRecipient);
    }
    let recorder = StanzaRecorder::default();
    // It opens nothing, so that every part is shown to it.
    drop(sealed.decrypt([&recorder as &dyn Identity].into_iter()));
    let seen = recorder.seen();
    let is_meant = is_marked_for(&seen, recipients);
    // Mostly that is all, and nothing has been decrypted.
    if is_meant == Some(true) {
        return None;
    }
    let free = identities.free();
    let free = free.iter().map(|identity| identity as &dyn Identity);
    let is_opened = open()?.decrypt(free).is_ok();
    let stanzas = Stanzas::of(&seen);
    let (ssh, rest): (BTreeSet<&String>, BTreeSet<&String>) =
        recipients.iter().partition(|recipient| recipient.starts_with("ssh-"));
    let own: Vec<(usize, &String)> =
        rest.iter().filter_map(|recipient| Some((own_kind(recipient)?, *recipient))).collect();
    let has_plugins = own.len() < rest.len();
    let is_there =
        |recipient: &str| ssh_mark(recipient).is_none_or(|mark| stanzas.ssh.contains(&mark));
    let mut missing: Vec<&String> =
        ssh.iter().copied().filter(|recipient| !is_there(recipient)).collect();
    let is_missing = |kind: usize, recipient: &String| {
        stanzas.own[kind] == 0 || (!is_opened && identities.recipients().contains(recipient))
    };
    let missing_own = own.iter().filter(|(kind, recipient)| is_missing(*kind, recipient));
    missing.extend(missing_own.map(|(_, recipient)| *recipient));
    // A plugin writes stanzas of whatever kind it likes.
    let all_own: usize = stanzas.own.iter().sum();
    let is_certain = !has_plugins || stanzas.others + all_own == 0;
    if is_certain && missing.len() == ssh.len() + own.len() {
        return Some(RecipientMismatch::NoRecipient);
    }
    if !missing.is_empty() {
        return Some(RecipientMismatch::Missing(missing.into_iter().cloned().collect()));
    }
    let of_kind = |kind: usize| own.iter().filter(|(of, _)| *of == kind).count();
    let kinds = || stanzas.own.iter().enumerate().map(|(kind, found)| found.cmp(&of_kind(kind)));
    let (stanzas, recipients) = (all_own, own.len());
    if kinds().any(Ordering::is_lt) {
        return Some(RecipientMismatch::TooFew { stanzas, recipients });
    }
    if kinds().any(Ordering::is_gt) && !has_plugins {
        return Some(RecipientMismatch::TooMany { stanzas, recipients });
    }
    is_meant.map(|_| RecipientMismatch::Others)
}

/// The same for a SOPS document, which names its recipients.
pub fn sops_mismatch(document: &ParsedSops, recipients: &[String]) -> Option<RecipientMismatch> {
    let tree = document.tree().ok()?;
    let metadata = tree.parts.metadata.as_ref()?;
    let named: BTreeSet<_> = std::iter::once(&metadata.recipients)
        .chain(&metadata.groups)
        .flatten()
        .map(|named| bare(named.recipient.of(tree.text)))
        .collect();
    if named.is_empty() {
        return None;
    }
    let missing: Vec<_> =
        recipients.iter().filter(|recipient| !named.contains(&bare(recipient))).collect();
    let strangers =
        || named.iter().filter(|named| !recipients.iter().any(|other| bare(other) == **named));
    match missing.len() {
        // In key groups, one alone opens nothing.
        0 if metadata.groups.is_empty() && strangers().next().is_some() => {
            Some(RecipientMismatch::Strangers(strangers().cloned().collect()))
        }
        0 => None,
        all if all == recipients.len() => Some(RecipientMismatch::NoRecipient),
        _ => Some(RecipientMismatch::Missing(missing.into_iter().cloned().collect())),
    }
}

#[cfg(test)]
mod tests {
    use age::armor::{ArmoredWriter, Format};
    use age::{Encryptor, x25519};
    use secrecy::ExposeSecret;
    use std::io::Write;
    use std::path::PathBuf;

    use super::{Arc, RecipientMismatch, Zeroizing, age_mismatch, sops_mismatch};
    use crate::model::Secret;
    use crate::secret::env::IdentitySources;
    use crate::secret::seal::{parse_all, seal};
    use crate::secret::{Identities, Nobody};
    use crate::yaml;

    fn public(name: &str) -> String {
        let file = format!("tests/cases/keys/{name}.pub");
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn mismatch(
        of: &[&str],
        wanted: &[&str],
        at_hand: &[&x25519::Identity],
    ) -> Option<RecipientMismatch> {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let text = |key: &&x25519::Identity| Secret::new(key.to_string().expose_secret());
        let texts = at_hand.iter().map(|key| ("X", text(key))).collect();
        let sources = IdentitySources { texts, ..IdentitySources::default() };
        let (identities, _) = Identities::gather(&[], &sources, Nobody);
        age_mismatch(unmarked(&owned(of)), &owned(wanted), &identities)
    }

    /// As other programs encrypt.
    fn unmarked(recipients: &[String]) -> String {
        let all = parse_all(recipients).unwrap();
        let encryptor = Encryptor::with_recipients(all.iter().map(AsRef::as_ref)).unwrap();
        let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
        let mut writer = encryptor.wrap_output(armored).unwrap();
        writer.write_all(b"x").unwrap();
        String::from_utf8(writer.finish().unwrap().finish().unwrap()).unwrap()
    }

    #[test]
    fn what_is_marked_can_be_told_without_any_identity() {
        let [one, two] = [(); 2].map(|()| x25519::Identity::generate().to_public().to_string());
        let none = Identities::default();
        let sealed = seal(b"x", std::slice::from_ref(&one)).unwrap();
        assert_eq!(age_mismatch(&sealed, std::slice::from_ref(&one), &none), None);
        assert_eq!(
            age_mismatch(&sealed, std::slice::from_ref(&two), &none),
            Some(RecipientMismatch::Others)
        );
        let few = RecipientMismatch::TooFew { stanzas: 1, recipients: 2 };
        assert_eq!(age_mismatch(&sealed, &[one, two], &none), Some(few));
    }

    #[test]
    fn nothing_is_said_but_what_is_certain() {
        let keys = [(); 3].map(|()| x25519::Identity::generate());
        let all = keys.each_ref().map(|key| key.to_public().to_string());
        let [one, two, three] = all.each_ref().map(String::as_str);
        let (ssh, rsa) = (public("ed25519"), public("rsa"));
        let (ssh, rsa) = (ssh.as_str(), rsa.as_str());
        let missing = |all: &[&str]| {
            Some(RecipientMismatch::Missing(all.iter().map(|one| (*one).to_owned()).collect()))
        };

        assert_eq!(mismatch(&[one], &[one], &[]), None);
        assert_eq!(mismatch(&[one], &[two], &[]), None, "nobody can tell");
        assert_eq!(mismatch(&[one], &[two], &[&keys[1]]), Some(RecipientMismatch::NoRecipient));
        assert_eq!(mismatch(&[one], &[two, three], &[&keys[1]]), missing(&[two]));
        assert_eq!(mismatch(&[one], &[one, ssh], &[]), missing(&[ssh]));
        assert_eq!(mismatch(&[ssh], &[rsa], &[]), Some(RecipientMismatch::NoRecipient));
        assert_eq!(mismatch(&[ssh], &[one], &[]), Some(RecipientMismatch::NoRecipient));
        assert_eq!(mismatch(&[ssh, rsa, one], &[one, rsa, ssh], &[]), None);
        let few = RecipientMismatch::TooFew { stanzas: 1, recipients: 2 };
        assert_eq!(mismatch(&[one], &[one, two], &[&keys[0]]), Some(few));
        let many = RecipientMismatch::TooMany { stanzas: 2, recipients: 1 };
        assert_eq!(mismatch(&[one, two], &[one], &[&keys[2]]), Some(many));
        let plugin = "age1open1w3jhxaqgeyfpg";
        assert_eq!(mismatch(&[ssh], &[plugin], &[]), Some(RecipientMismatch::NoRecipient));
        assert_eq!(mismatch(&[one], &[plugin], &[]), None, "a plugin may write what it likes");
        assert_eq!(mismatch(&[one], &[one, plugin], &[]), None);
        assert_eq!(age_mismatch("no age file", &[one.to_owned()], &Identities::default()), None);
    }

    #[test]
    fn a_sops_document_names_its_recipients() {
        let document = "a: ENC[x]\nsops:\n  age:\n    - {recipient: age1a, enc: x}\n  key_groups:\n    - age: [{recipient: ssh-rsa AAA me, enc: x}]\n";
        let all = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let sops_mismatch = |text: &str, recipients: &[String]| {
            let document =
                yaml::sops_document(&Arc::new(Zeroizing::new(text.to_owned())), &yaml::parse(text))
                    .unwrap();
            sops_mismatch(&document, recipients)
        };
        assert_eq!(sops_mismatch(document, &all(&["age1a", "ssh-rsa AAA"])), None);
        assert_eq!(sops_mismatch(document, &all(&["age1b"])), Some(RecipientMismatch::NoRecipient));
        let missing = RecipientMismatch::Missing(all(&["age1b"]));
        assert_eq!(sops_mismatch(document, &all(&["age1a", "age1b"])), Some(missing));
        assert_eq!(sops_mismatch("a: b\nsops: {pgp: []}\n", &all(&["age1b"])), None);
        let flat = "a: ENC[x]\nsops:\n  age:\n    - {recipient: age1a, enc: x}\n    - {recipient: age1c, enc: x}\n";
        let strangers = RecipientMismatch::Strangers(all(&["age1c"]));
        assert_eq!(sops_mismatch(flat, &all(&["age1a"])), Some(strangers));
        assert_eq!(sops_mismatch(flat, &all(&["age1c", "age1a"])), None);
    }
}
