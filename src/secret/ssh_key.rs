//! Why a key of SSH cannot be used as an identity, and what to do about it.

use age::ssh;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// That a key is of another type.
pub(super) const OTHER_TYPE: &str =
    "has a type that age cannot use: it takes Ed25519, and RSA of 2048 bits or more";
/// That a key is too short for anybody to encrypt to it.
pub(super) const TOO_SHORT: &str = "is an RSA key of fewer than 2048 bits, to which age does not encrypt: make a new one with `ssh-keygen -t ed25519`, and encrypt to that";

/// How a key of PuTTY begins.
const PUTTY: &str = "PuTTY-User-Key-File";
/// How the object identifier of a key's algorithm is written in PKCS#8.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Whether a text is a key of SSH or is meant to be one.
pub(super) fn is_one(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("-----BEGIN") || text.starts_with(PUTTY) || text.starts_with("---- BEGIN")
}

/// Reads a key, which may be under a passphrase.
///
/// # Errors
/// Where age cannot use it.
pub(super) fn read(text: &str) -> Result<ssh::Identity, &'static str> {
    match ssh::Identity::from_buffer(text.as_bytes(), None) {
        Ok(ssh::Identity::Unsupported(_)) if !text.contains("Proc-Type:") => Err(OTHER_TYPE),
        Ok(ssh::Identity::Unsupported(_)) | Err(_) => Err(fault(text)),
        Ok(identity) => Ok(identity),
    }
}

/// The public half of a key; none where age does not encrypt to it.
pub(super) fn recipient_of(identity: &ssh::Identity) -> Option<String> {
    ssh::Recipient::try_from(identity.clone()).ok().map(|recipient| recipient.to_string())
}

/// The public half of a key that needs no passphrase.
pub(super) fn open_recipient(text: &str) -> Option<String> {
    let identity = read(text).ok()?;
    if matches!(identity, ssh::Identity::Encrypted(_)) { None } else { recipient_of(&identity) }
}

/// Why a text is no key that age reads.
fn fault(text: &str) -> &'static str {
    if text.trim_start().starts_with(PUTTY) {
        return "is a key of PuTTY: `puttygen FILE -O private-openssh -o NEW` writes it in the format of OpenSSH";
    }
    let first = text.trim_start().lines().next().unwrap_or_default();
    let kind = first
        .trim()
        .trim_start_matches('-')
        .trim_start()
        .trim_start_matches("BEGIN ")
        .trim_end_matches('-');
    match kind {
        "PRIVATE KEY" => {
            let der: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let der = BASE64_STANDARD.decode(der.trim()).unwrap_or_default();
            let has = |part: &[u8]| der.windows(part.len()).any(|window| window == part);
            if has(RSA) {
                "is in the format PKCS#8, which age does not read: `ssh-keygen -p -f FILE` writes it in that of OpenSSH"
            } else if has(ED25519) {
                "is in the format PKCS#8, which neither age nor most releases of OpenSSH read: make a new one with `ssh-keygen -t ed25519`, and encrypt to that"
            } else {
                OTHER_TYPE
            }
        }
        "ENCRYPTED PRIVATE KEY" => {
            "is in the format PKCS#8 under a passphrase, which age does not read: `ssh-keygen -p -f FILE` writes it in that of OpenSSH if it is an RSA key"
        }
        "RSA PRIVATE KEY" if text.contains("ENCRYPTED") => {
            "is under a passphrase in an old format, which age does not read: `ssh-keygen -p -f FILE` writes it in that of OpenSSH"
        }
        "EC PARAMETERS" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" => OTHER_TYPE,
        kind if kind.contains("SSH2") => {
            "is in the format of another SSH: `ssh-keygen -i -f FILE` prints it in that of OpenSSH"
        }
        kind if kind.starts_with("PGP") => "is of GPG, and age needs one of its own or of SSH",
        kind if !kind.ends_with("PRIVATE KEY") => "is no private key",
        _ => "is damaged",
    }
}

/// Whether a recipient is an RSA key that is too short.
pub(super) fn is_too_short(recipient: &str) -> bool {
    matches!(
        recipient.parse::<ssh::Recipient>(),
        Err(ssh::ParseRecipientKeyError::RsaModulusTooSmall)
    )
}

#[cfg(test)]
mod tests {
    use super::{OTHER_TYPE, fault, is_one, read};

    #[test]
    fn what_is_no_key_of_openssh_is_named_with_what_to_do() {
        let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEILbS6Ks3IpthLBXvxxi5Cfn5olmXnuLZjCEHIYACzVpq\n-----END PRIVATE KEY-----\n";
        // The beginning of one.
        let rsa = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";
        let of_kind = |kind: &str, more: &str| {
            format!("-----BEGIN {kind}-----\n{more}YQ==\n-----END {kind}-----\n")
        };
        let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,4F5C\n\n";
        for (text, why) in [
            (ed25519, "`ssh-keygen -t ed25519`"),
            (rsa, "`ssh-keygen -p -f FILE` writes it in that of OpenSSH"),
            (&of_kind("ENCRYPTED PRIVATE KEY", ""), "PKCS#8 under a passphrase"),
            (&of_kind("RSA PRIVATE KEY", old), "under a passphrase in an old format"),
            (&of_kind("RSA PRIVATE KEY", ""), "is damaged"),
            (&of_kind("EC PRIVATE KEY", ""), OTHER_TYPE),
            (&of_kind("CERTIFICATE", ""), "is no private key"),
            (&of_kind("PGP PRIVATE KEY BLOCK", ""), "is of GPG"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen"),
            ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nx\n", "the format of another SSH"),
        ] {
            assert!(is_one(text), "{text}");
            assert_eq!(read(text).err(), Some(fault(text)), "{text}");
            assert!(fault(text).contains(why), "{text}: {}", fault(text));
        }
    }
}
