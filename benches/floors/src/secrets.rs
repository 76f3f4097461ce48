//! Projects whose secrets are age files in the manifests, and the bare decryption of the same secrets.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::Path;

use age::Decryptor;
use age::armor::ArmoredReader;
use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::records::{put, take};
use crate::{Done, on_all_cores};

const ENTRIES_A_FILE: usize = 100;
const END: &str = "-----END AGE ENCRYPTED FILE-----\n";

/// Writes a project, five identities of which the last one opens all, and the secrets for the floors.
pub(crate) fn make(folder: &Path, entries: usize) -> Done {
    let identity = Identity::generate();
    let key = identity.to_string();
    let mut five: String = (0..4)
        .map(|_| Identity::generate().to_string().expose_secret().to_owned() + "\n")
        .collect();
    five += key.expose_secret();
    fs::create_dir_all(folder.join("credentials"))?;
    fs::write(folder.join("identity.txt"), key.expose_secret())?;
    fs::write(folder.join("five.txt"), five)?;
    let mut numbers: Vec<(usize, String)> =
        (0..entries).map(|number| (number, String::new())).collect();
    let recipient = identity.to_public();
    for (number, armored) in &mut numbers {
        let secret = format!("the-secret-of-client-number-{number}");
        *armored = age::encrypt_and_armor(&recipient, secret.as_bytes())?;
    }
    let mut prepared = Vec::new();
    for (file, part) in numbers.chunks(ENTRIES_A_FILE).enumerate() {
        let mut text = "application_credentials:\n".to_owned();
        for (number, armored) in part {
            prepare(&mut prepared, armored)?;
            let armored = armored.trim_end().replace('\n', "\n      ");
            write!(
                text,
                "  - domain: spotify\n    name: Client {number}\n    client_id: client-{number}\n    integration: {{setup: false}}\n    client_secret: |\n      {armored}\n"
            )?;
        }
        fs::write(folder.join(format!("credentials/{file:05}.yaml")), text)?;
    }
    fs::write(folder.join("secrets.bin"), prepared)?;
    fs::write(
        folder.join("secrets.age"),
        numbers.into_iter().map(|(_, armored)| armored).collect::<String>(),
    )?;
    Ok(())
}

/// What is in an age file, without what it is written in.
pub(crate) fn prepare(prepared: &mut Vec<u8>, armored: &str) -> Done {
    let mut file = Vec::new();
    ArmoredReader::new(armored.as_bytes()).read_to_end(&mut file)?;
    let end = file.windows(4).position(|text| text == b"\n---").ok_or("no header")?;
    let header = std::str::from_utf8(&file[..end])?;
    let mut lines = header.lines().skip_while(|line| !line.starts_with("-> X25519 "));
    let share = lines.next().ok_or("no stanza")?.trim_start_matches("-> X25519 ");
    let body = lines.next().ok_or("no body")?;
    let payload =
        file[end + 1..].iter().position(|byte| *byte == b'\n').ok_or("no payload")? + end + 2;
    put(prepared, &STANDARD_NO_PAD.decode(share)?);
    put(prepared, &STANDARD_NO_PAD.decode(body)?);
    put(prepared, &file[payload..]);
    Ok(())
}

/// Decrypts all by the age crate.
pub(crate) fn by_the_crate(folder: &Path) -> Done {
    let identity: Identity = fs::read_to_string(folder.join("identity.txt"))?.parse()?;
    let text = fs::read_to_string(folder.join("secrets.age"))?;
    let files: Vec<&str> = text.split_inclusive(END).collect();
    on_all_cores(&files, |armored| {
        let plain = (|| {
            let file = Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes()))?;
            let mut plain = Vec::new();
            file.decrypt(std::iter::once(&identity as &dyn age::Identity))?
                .read_to_end(&mut plain)?;
            Ok::<_, age::DecryptError>(plain)
        })();
        assert!(std::hint::black_box(plain).is_ok_and(|plain| plain.starts_with(b"the-secret")));
    });
    Ok(())
}

/// Decrypts all by X25519, HKDF and ChaCha20-Poly1305 alone. The authentication code of the header is left out.
pub(crate) fn bare(folder: &Path) -> Done {
    let key = OwnKey::read(folder)?;
    let file = fs::read(folder.join("secrets.bin"))?;
    let (mut rest, mut secrets) = (file.as_slice(), Vec::new());
    while let (Some(share), Some(body), Some(payload)) =
        (take(&mut rest), take(&mut rest), take(&mut rest))
    {
        secrets.push((share, body, payload));
    }
    on_all_cores(&secrets, |(share, body, payload)| {
        let plain = key.unwrap(share, body).and_then(|file_key| open(&file_key, payload));
        assert!(std::hint::black_box(plain).is_some_and(|plain| plain.starts_with(b"the-secret")));
    });
    Ok(())
}

/// A key and its public half, which is computed once.
pub(crate) struct OwnKey {
    secret: StaticSecret,
    public: PublicKey,
}

impl OwnKey {
    pub(crate) fn read(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let text = fs::read_to_string(folder.join("identity.txt"))?;
        let secret = StaticSecret::from(of_bech32(text.trim()).ok_or("no identity")?);
        Ok(Self { public: PublicKey::from(&secret), secret })
    }

    /// The file key.
    pub(crate) fn unwrap(&self, share: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let share: [u8; 32] = share.try_into().ok()?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(share));
        let salt = [share, self.public.to_bytes()].concat();
        decrypt(&derived(&salt, shared.as_bytes(), b"age-encryption.org/v1/X25519")?, [0; 12], body)
    }
}

/// The text of a file of one chunk.
pub(crate) fn open(file_key: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let (nonce, chunk) = payload.split_at_checked(16)?;
    let mut last = [0; 12];
    last[11] = 1;
    decrypt(&derived(nonce, file_key, b"payload")?, last, chunk)
}

fn derived(salt: &[u8], key: &[u8], purpose: &[u8]) -> Option<[u8; 32]> {
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(purpose, &mut derived).ok()?;
    Some(derived)
}

fn decrypt(key: &[u8; 32], nonce: [u8; 12], text: &[u8]) -> Option<Vec<u8>> {
    ChaCha20Poly1305::new(Key::from_slice(key)).decrypt(Nonce::from_slice(&nonce), text).ok()
}

/// The 32 bytes of an identity; its checksum was written a moment ago.
fn of_bech32(text: &str) -> Option<[u8; 32]> {
    const LETTERS: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let words = text.strip_prefix("AGE-SECRET-KEY-1")?;
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in words[..words.len() - 6].chars() {
        bits = (bits << 5) | LETTERS.find(letter)? as u32;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes.try_into().ok()
}
