use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use age::armor::{ArmoredWriter, Format};
use age::{Encryptor, Recipient, scrypt, ssh, x25519};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::age::decrypt_without_asking;
use super::env::IdentitySources;
use super::{
    AllowedPaths, Ask, Identities, IdentityProblem, Nobody, SecretResolver, Unreadable, read,
    read_all,
};
use crate::model::{Reference, Secret, ValueFault};

fn encrypt(text: &[u8], recipients: &[&dyn Recipient]) -> Reference {
    let encryptor = Encryptor::with_recipients(recipients.iter().copied()).unwrap();
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
    let mut output = encryptor.wrap_output(armor).unwrap();
    output.write_all(text).unwrap();
    Reference::Age(String::from_utf8(output.finish().unwrap().finish().unwrap()).unwrap())
}

fn gather(
    files: &[PathBuf],
    texts: &[&str],
    person: impl Ask,
) -> (SecretResolver, Vec<IdentityProblem>) {
    let texts = texts.iter().map(|text| ("SOPS_AGE_KEY", Secret::new(text))).collect();
    let sources = IdentitySources { texts, ..IdentitySources::default() };
    let (identities, problems) = Identities::gather(
        &files.iter().cloned().map(Into::into).collect::<Vec<_>>(),
        &sources,
        person,
    );
    (SecretResolver::new(identities, AllowedPaths::default()), problems)
}

fn holding(texts: &[&str]) -> SecretResolver {
    let (resolver, problems) = gather(&[], texts, Nobody);
    assert_eq!(problems, []);
    resolver
}

fn text_of(identity: &x25519::Identity) -> String {
    use secrecy::ExposeSecret;
    identity.to_string().expose_secret().to_owned()
}

fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/keys").join(name)
}

#[test]
fn an_identity_that_is_given_twice_is_one_recipient() {
    let identity = x25519::Identity::generate();
    let text = text_of(&identity);
    let recipients = holding(&[&text, &text]).identities.recipients().to_vec();
    assert_eq!(recipients, [identity.to_public().to_string()]);
}

#[test]
fn a_file_with_thousands_of_recipients_is_refused_before_they_are_tried() {
    let ours = x25519::Identity::generate();
    let recipient = ours.to_public();
    let many = |count: usize| encrypt(b"hunter2", &vec![&recipient as &dyn Recipient; count]);
    let identities = holding(&[&text_of(&ours)]);
    assert_eq!(read(&many(10), &identities), Ok(Secret::new("hunter2")));
    assert_eq!(read(&many(600), &identities), Err(Unreadable::TooManyRecipients));
    // So many that to read the header alone would take age minutes.
    let header = format!("age-encryption.org/v1\n{}--- x\n", "-> X25519 a\nb\n".repeat(100_000));
    let opened = identities.open(header.as_bytes());
    assert_eq!(opened.err(), Some(Unreadable::TooManyRecipients));
    assert!(decrypt_without_asking(header.as_bytes(), &identities.identities).is_none());
}

#[test]
fn any_of_several_identities_opens() {
    let (ours, other) = (x25519::Identity::generate(), x25519::Identity::generate());
    let sealed =
        encrypt(b"hunter2\n", &[&x25519::Identity::generate().to_public(), &ours.to_public()]);
    let identities = holding(&[&text_of(&other), &format!("# a comment\n\n{}\n", text_of(&ours))]);
    assert_eq!(read(&sealed, &identities), Ok(Secret::new("hunter2")));
}

#[test]
fn ssh_keys_open() {
    for name in ["ed25519", "rsa"] {
        let public = std::fs::read_to_string(key_file(&format!("{name}.pub"))).unwrap();
        let sealed = encrypt(b"hunter2", &[&ssh::Recipient::from_str(&public).unwrap()]);
        let (identities, problems) = gather(&[key_file(name)], &[], Nobody);
        assert_eq!(
            (read(&sealed, &identities), problems),
            (Ok(Secret::new("hunter2")), vec![]),
            "{name}"
        );
    }
}

#[test]
fn a_missing_and_a_wrong_identity_are_told_with_the_recipients_count() {
    let sealed = encrypt(
        b"x",
        &[&x25519::Identity::generate().to_public(), &x25519::Identity::generate().to_public()],
    );
    assert_eq!(
        read(&sealed, &SecretResolver::default()),
        Err(Unreadable::NoIdentity { recipients: 2 })
    );
    let wrong = holding(&[&text_of(&x25519::Identity::generate())]);
    assert_eq!(read(&sealed, &wrong), Err(Unreadable::NotForUs { recipients: 2, identities: 1 }));
}

#[test]
fn damage_is_told_and_never_a_panic() {
    let ours = x25519::Identity::generate();
    let identities = holding(&[&text_of(&ours)]);
    let Reference::Age(whole) = encrypt(b"hunter2", &[&ours.to_public()]) else { panic!() };
    for cut in 0..whole.trim_end().len() {
        let answer = read(&Reference::Age(whole[..cut].to_owned()), &identities);
        assert!(matches!(answer, Err(Unreadable::Damaged(_))), "cut at {cut}: {answer:?}");
    }
}

/// A person with one passphrase or none, and counts how often it is asked for.
#[derive(Default)]
pub(super) struct Knows {
    pub(super) passphrase: Option<String>,
    pub(super) asked: Arc<AtomicUsize>,
}

impl Knows {
    fn one(passphrase: &str) -> Self {
        Self { passphrase: Some(passphrase.to_owned()), ..Self::default() }
    }

    fn counted(passphrase: &str, asked: &Arc<AtomicUsize>) -> Self {
        Self { asked: Arc::clone(asked), ..Self::one(passphrase) }
    }
}

impl Ask for Knows {
    fn show_message(&self, _: &str) {}

    fn choose(&self, _: &str, _: &str, _: &str) -> Option<bool> {
        None
    }

    fn line(&self, _: &str) -> Option<String> {
        None
    }

    fn passphrase(&self, _: &str) -> Option<SecretString> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.passphrase.clone().map(SecretString::from)
    }
}

fn under_passphrase(text: &[u8], passphrase: &str, work: u8) -> Reference {
    let mut recipient = scrypt::Recipient::new(passphrase.into());
    recipient.set_work_factor(work);
    encrypt(text, &[&recipient])
}

#[test]
fn a_passphrase_is_asked_for_once() {
    let sealed = [b"one", b"two"].map(|text| under_passphrase(text, "p", 2));
    let asked = Arc::new(AtomicUsize::new(0));
    let (resolver, _) = gather(&[], &[], Knows::counted("p", &asked));
    let answers = read_all(&sealed.iter().collect::<Vec<_>>(), &resolver);
    assert_eq!(answers, [Ok(Secret::new("one")), Ok(Secret::new("two"))]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (resolver, _) = gather(&[], &[], Knows::one("q"));
    assert_eq!(read(&sealed[0], &resolver), Err(Unreadable::WrongPassphrase));
    assert_eq!(read(&sealed[0], &SecretResolver::default()), Err(Unreadable::Passphrase));
}

#[test]
fn a_passphrase_that_costs_too_much_is_refused() {
    let Reference::Age(sealed) = under_passphrase(b"x", "p", 2) else { panic!() };
    let body: String = sealed.lines().filter(|line| !line.starts_with('-')).collect();
    let mut bytes = STANDARD.decode(body).unwrap();
    let at = bytes.windows(3).position(|three| three == b" 2\n").unwrap();
    bytes.splice(at..at + 2, *b" 21");
    let sealed = format!(
        "-----BEGIN AGE ENCRYPTED FILE-----\n{}\n-----END AGE ENCRYPTED FILE-----\n",
        wrapped(&STANDARD.encode(bytes))
    );
    let (resolver, _) = gather(&[], &[], Knows::one("p"));
    assert_eq!(read(&Reference::Age(sealed), &resolver), Err(Unreadable::TooMuchWork));
}

fn wrapped(text: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

#[test]
fn an_ssh_key_under_a_passphrase_is_unlocked_once_and_only_for_its_own_files() {
    let public = std::fs::read_to_string(key_file("ed25519-passphrase.pub")).unwrap();
    let recipient = ssh::Recipient::from_str(&public).unwrap();
    let sealed = [b"one", b"two"].map(|text| encrypt(text, &[&recipient]));
    let asked = Arc::new(AtomicUsize::new(0));
    let file = [key_file("ed25519-passphrase")];
    let (resolver, problems) = gather(&file, &[], Knows::counted("passphrase", &asked));
    assert_eq!(problems, []);
    let foreign = encrypt(b"x", &[&x25519::Identity::generate().to_public()]);
    let not_for_us = Err(Unreadable::NotForUs { recipients: 1, identities: 1 });
    assert_eq!(read(&foreign, &resolver), not_for_us);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    for (sealed, text) in sealed.iter().zip(["one", "two"]) {
        assert_eq!(read(sealed, &resolver), Ok(Secret::new(text)));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (resolver, _) = gather(&file, &[], Knows::one("wrong"));
    assert_eq!(read(&sealed[0], &resolver), Err(Unreadable::WrongPassphrase));
    let (resolver, _) = gather(&file, &[], Nobody);
    assert_eq!(read(&sealed[0], &resolver), Err(Unreadable::Unanswered));
}

#[test]
fn an_identity_file_under_a_passphrase_is_unlocked_once() {
    let ours = x25519::Identity::generate();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("identity.txt.age");
    let text = format!("# mine\n{}\n", text_of(&ours));
    let Reference::Age(locked) = under_passphrase(text.as_bytes(), "p", 2) else { panic!() };
    std::fs::write(&file, locked).unwrap();
    let sealed = [b"one", b"two"].map(|text| encrypt(text, &[&ours.to_public()]));
    let asked = Arc::new(AtomicUsize::new(0));
    let (resolver, problems) =
        gather(std::slice::from_ref(&file), &[], Knows::counted("p", &asked));
    assert_eq!(problems, []);
    let answers = read_all(&sealed.iter().collect::<Vec<_>>(), &resolver);
    assert_eq!(answers, [Ok(Secret::new("one")), Ok(Secret::new("two"))]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (resolver, _) = gather(&[file], &[], Knows::one("q"));
    assert_eq!(read(&sealed[0], &resolver), Err(Unreadable::WrongPassphrase));
}

#[test]
fn a_bad_line_in_an_encrypted_identity_file_is_named() {
    let (right, other) = (x25519::Identity::generate(), x25519::Identity::generate());
    let sealed = encrypt(b"x", &[&right.to_public()]);
    let resolver = |text: String| {
        let Reference::Age(locked) = under_passphrase(text.as_bytes(), "p", 2) else { panic!() };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("locked.age");
        std::fs::write(&file, locked).unwrap();
        gather(&[file], &[], Knows::one("p")).0
    };
    let refused = read(&sealed, &resolver(format!("# mine\nHUSH\n{}\n", text_of(&other))));
    let said = refused.unwrap_err().to_string();
    assert!(said.starts_with("line 2 of ") && said.contains("locked.age"), "{said}");
    assert!(said.ends_with(" is not an age identity") && !said.contains("HUSH"), "{said}");
    let good = read(&sealed, &resolver(format!("HUSH\n{}\n", text_of(&right))));
    assert_eq!(good, Ok(Secret::new("x")), "the others are tried all the same");
}

#[test]
fn nothing_and_no_text_are_refused() {
    let ours = x25519::Identity::generate();
    let identities = holding(&[&text_of(&ours)]);
    assert_eq!(
        read(&encrypt(b" \n", &[&ours.to_public()]), &identities),
        Err(Unreadable::Unfit(ValueFault::Empty))
    );
    assert_eq!(
        read(&encrypt(&[0xff, 0xfe], &[&ours.to_public()]), &identities),
        Err(Unreadable::NotUtf8)
    );
}

#[test]
fn what_is_no_identity_is_named_and_not_repeated() {
    let texts = vec![
        ("SOPS_AGE_KEY", Secret::new("# ok\nAGE-SECRET-KEY-1BROKEN")),
        ("APPCRED_AGE_IDENTITY", Secret::new("# nothing")),
    ];
    let sources = IdentitySources { texts, ..IdentitySources::default() };
    let (identities, problems) = Identities::gather(&[key_file("none").into()], &sources, Nobody);
    assert!(identities.is_empty());
    let [IdentityProblem::Missing { .. }, line, empty] = problems.as_slice() else {
        panic!("{problems:?}");
    };
    assert_eq!(
        line.to_string(),
        "line 2 of SOPS_AGE_KEY is not an age identity: it has a character that no key has, or no `1`"
    );
    assert_eq!(empty.to_string(), "APPCRED_AGE_IDENTITY contains no age identity");
}

#[test]
fn an_identity_in_a_comment_is_told() {
    let key = text_of(&x25519::Identity::generate());
    let said = |text: &str| {
        let texts = vec![("SOPS_AGE_KEY", Secret::new(text))];
        let sources = IdentitySources { texts, ..IdentitySources::default() };
        let (_, problems) = Identities::gather(&[], &sources, Nobody);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for text in [
        format!("# created: 2026-01-01 # public key: age1 {key}"),
        format!("# created: 2026-01-01\\n{key}\\n"),
        format!("# created: 2026-01-01\r{key}\r"),
    ] {
        let said = said(&text);
        let [line] = said.as_slice() else { panic!("{said:?}") };
        let is_told = line.starts_with("line 1 of SOPS_AGE_KEY") && line.contains("in a comment");
        assert!(is_told && !line.contains(&key), "{line}");
    }
    // An old key may stay in a comment beside the one in use.
    assert!(said(&format!("# {key}\n{key}\n")).is_empty());
}

#[test]
fn many_are_read_in_their_order() {
    let ours = x25519::Identity::generate();
    let identities = holding(&[&text_of(&ours)]);
    let same = encrypt(b"same", &[&ours.to_public()]);
    let mut references: Vec<Reference> =
        (0..50).map(|n| encrypt(format!("s{n}").as_bytes(), &[&ours.to_public()])).collect();
    references.insert(10, same.clone());
    references.push(same);
    let answers = read_all(&references.iter().collect::<Vec<_>>(), &identities);
    let alone: Vec<_> = references.iter().map(|reference| read(reference, &identities)).collect();
    assert_eq!(answers, alone);
    assert_eq!(answers[10], Ok(Secret::new("same")));
}
