//! SOPS documents that the real `sops` wrote, and their bare cryptography: the data key is unwrapped once a document.

use std::fs;
use std::path::Path;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, Nonce, Tag};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use sha2::{Digest, Sha512};

use crate::records::{put, take};
use crate::secrets::{self, OwnKey};
use crate::{Done, manifests, on_all_cores};

/// Takes the documents apart, so that nothing but cryptography is left to do.
pub(crate) fn prepare(folder: &Path) -> Done {
    let mut prepared = Vec::new();
    for file in manifests(folder)? {
        let tree: Value = serde_yaml::from_str(&fs::read_to_string(file)?)?;
        let mut document = Vec::new();
        let word = |value: &Value| value.as_str().map(str::to_owned).ok_or("no text");
        secrets::prepare(&mut document, &word(&tree["sops"]["age"][0]["enc"])?)?;
        put(&mut document, word(&tree["sops"]["lastmodified"])?.as_bytes());
        put_sealed(&mut document, &word(&tree["sops"]["mac"])?)?;
        let entries = tree["application_credentials"].as_sequence().ok_or("no entries")?;
        for value in
            entries.iter().flat_map(|entry| entry.as_mapping()).flat_map(|entry| entry.values())
        {
            put_sealed(&mut document, &word(value)?)?;
        }
        put(&mut prepared, &document);
    }
    Ok(fs::write(folder.join("documents.bin"), prepared)?)
}

/// Three fields; of what is not encrypted the last two are empty.
fn put_sealed(document: &mut Vec<u8>, text: &str) -> Done {
    let Some(parts) = text.strip_prefix("ENC[AES256_GCM,").and_then(|text| text.strip_suffix(']'))
    else {
        [text, "", ""].iter().for_each(|field| put(document, field.as_bytes()));
        return Ok(());
    };
    for part in parts.split(',').take(3) {
        put(document, &STANDARD.decode(part.split_once(':').ok_or("no part")?.1)?);
    }
    Ok(())
}

pub(crate) fn open(folder: &Path) -> Done {
    let key = OwnKey::read(folder)?;
    let file = fs::read(folder.join("documents.bin"))?;
    let (mut rest, mut documents) = (file.as_slice(), Vec::new());
    while let Some(document) = take(&mut rest) {
        documents.push(document);
    }
    on_all_cores(&documents, |document| assert!(open_one(&key, document).is_some()));
    Ok(())
}

fn open_one(key: &OwnKey, document: &[u8]) -> Option<()> {
    let mut rest = document;
    let file_key = key.unwrap(take(&mut rest)?, take(&mut rest)?)?;
    let data_key = secrets::open(&file_key, take(&mut rest)?)?;
    let cipher = AesGcm::<Aes256, U32>::new_from_slice(&data_key).ok()?;
    let time = take(&mut rest)?;
    let mac = opened(&cipher, time, &mut rest)?;
    let mut hash = Sha512::new();
    while !rest.is_empty() {
        hash.update(opened(&cipher, b"application_credentials:client_secret:", &mut rest)?);
    }
    (mac == format!("{:X}", hash.finalize()).as_bytes()).then_some(())
}

fn opened(cipher: &AesGcm<Aes256, U32>, place: &[u8], rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut plain = take(rest)?.to_vec();
    let (nonce, tag) = (take(rest)?, take(rest)?);
    if !nonce.is_empty() {
        let (nonce, tag) = (Nonce::from_slice(nonce), Tag::from_slice(tag));
        cipher.decrypt_in_place_detached(nonce, place, &mut plain, tag).ok()?;
    }
    Some(plain)
}
