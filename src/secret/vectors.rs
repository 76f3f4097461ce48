//! The published test vectors of the age format (C2SP's CCTV).

use std::fs;
use std::io::Read;

use flate2::read::ZlibDecoder;
use sha2::{Digest, Sha256};

use super::age::decrypt;
use super::env::IdentitySources;
use super::tests::Knows;
use super::{Identities, Unreadable};
use crate::model::Secret;

/// What the `age` crate reads though the specification refuses it: stanzas as early versions of age
/// wrote them, without the short line at their end. The header's MAC holds them together all the same.
const LENIENT: &[&str] = &["stanza_missing_body", "stanza_missing_final_line"];

/// One vector: its header, and the age file.
struct Vector {
    fields: Vec<(String, String)>,
    file: Vec<u8>,
}

impl Vector {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let fields: Vec<_> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut vector = Self { fields, file: bytes[end + 2..].to_vec() };
        if vector.field("compressed") == Some("zlib") {
            let mut file = Vec::new();
            ZlibDecoder::new(vector.file.as_slice()).read_to_end(&mut file).unwrap();
            vector.file = file;
        }
        vector
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.fields.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// What our reader says, in the terms of the vectors.
    fn outcome(&self) -> String {
        let texts = self.all("identity").map(|text| ("X", Secret::new(text))).collect();
        let passphrase = self.field("passphrase").map(str::to_owned);
        let sources = IdentitySources { texts, ..IdentitySources::default() };
        let (identities, problems) =
            Identities::gather(&[], &sources, Knows { passphrase, ..Knows::default() });
        assert_eq!(problems, []);
        match decrypt(&self.file, &identities) {
            Ok(plain) => {
                let hash: Vec<_> =
                    Sha256::digest(&*plain).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("success {}", hash.concat())
            }
            Err(
                Unreadable::NotForUs { .. }
                | Unreadable::NoIdentity { .. }
                | Unreadable::WrongPassphrase,
            ) => "no match".to_owned(),
            Err(Unreadable::Damaged(_) | Unreadable::TooMuchWork) => "failure".to_owned(),
            Err(other) => format!("{other:?}"),
        }
    }

    fn expected(&self) -> String {
        match self.field("expect").unwrap() {
            "success" => format!("success {}", self.field("payload").unwrap()),
            "no match" => "no match".to_owned(),
            failure if failure.ends_with(" failure") => "failure".to_owned(),
            other => panic!("nobody knows what `{other}` is"),
        }
    }
}

/// Where `tests/real/age/set_up` brought them.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/age/current/vectors");

#[test]
fn every_published_vector_is_read_or_refused_as_it_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(VECTORS).expect("`tests/run` brings them") {
        let path = entry.unwrap().path();
        let vector = Vector::read(&fs::read(&path).unwrap());
        count += 1;
        let name = path.file_name().unwrap().display().to_string();
        let (outcome, expected) = (vector.outcome(), vector.expected());
        if outcome != expected && !LENIENT.contains(&name.as_str()) {
            wrong.push(format!("{name}: {outcome}, expected {expected}"));
        }
    }
    assert!(count > 140, "{count} vectors only");
    assert_eq!(wrong, [""; 0]);
}
