//! Whether a Git host that sends a webhook knows its secret. Compared in a time that says nothing of the secret.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::{Secret, hex};

use super::sessions::Fingerprint;

/// Headers that hold a hexadecimal HMAC-SHA256 of the body: of GitHub, Gitea and Forgejo, which send the first
/// one as well since 2022.
const SIGNATURES: [&str; 3] = ["x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature"];
/// The header in which GitLab sends its secret token itself.
const GITLAB_TOKEN: &str = "x-gitlab-token";
/// Those of Standard Webhooks, which GitLab sends where the webhook has a signing token.
const STANDARD_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
/// How a signing token begins.
const SIGNING_TOKEN: &str = "whsec_";
/// What was signed longer ago is refused: somebody may have kept it.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Whether one of the ways in which Git hosts prove that they know the secret is right.
pub(super) fn is_signed(headers: &HeaderMap, body: &[u8], secret: &Secret, now: Timestamp) -> bool {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_token = value(GITLAB_TOKEN)
        .is_some_and(|token| Fingerprint::of(token).is_same(&Fingerprint::of(secret.expose())));
    let is_of_body = SIGNATURES.into_iter().find_map(value).is_some_and(|signature| {
        let theirs = signature.strip_prefix("sha256=").unwrap_or(signature);
        let ours = signature_of(secret.expose().as_bytes(), &[body]);
        ours.is_some_and(|ours| is_same(&hex(&ours), theirs))
    });
    let standard = STANDARD_HEADERS.map(value);
    is_token || is_of_body || is_standard(standard, body, secret, now).unwrap_or_default()
}

/// Whether a signature of Standard Webhooks is right; none where there is none, or the secret is no signing token.
fn is_standard(
    [id, timestamp, signatures]: [Option<&str>; 3],
    body: &[u8],
    secret: &Secret,
    now: Timestamp,
) -> Option<bool> {
    let (id, timestamp, signatures) = (id?, timestamp?, signatures?);
    let at = Timestamp::from_second(timestamp.parse().ok()?).ok()?;
    if now.duration_since(at).abs() > TOLERANCE {
        return Some(false);
    }
    let key = Zeroizing::new(STANDARD.decode(secret.expose().strip_prefix(SIGNING_TOKEN)?).ok()?);
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let ours = STANDARD.encode(signature_of(&key, &signed)?);
    let mut theirs = signatures.split(' ').filter_map(|theirs| theirs.strip_prefix("v1,"));
    Some(theirs.any(|theirs| is_same(&ours, theirs)))
}

fn signature_of(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().to_vec())
}

fn is_same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use jiff::Timestamp;

    use super::is_signed;
    use crate::model::Secret;

    fn check_at(now: i64, sent: &[(&'static str, &str)], body: &str, secret: &str) -> bool {
        let sent = sent.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let (headers, now): (HeaderMap, _) = (sent.collect(), Timestamp::from_second(now).unwrap());
        is_signed(&headers, body.as_bytes(), &Secret::new(secret), now)
    }

    fn check(name: &'static str, value: &str, body: &str, secret: &str) -> bool {
        check_at(0, &[(name, value)], body, secret)
    }

    /// The example of GitHub's documentation, "Validating webhook deliveries".
    #[test]
    fn a_signature_is_that_of_github() {
        let (secret, body) = ("It's a Secret to Everybody", "Hello, World!");
        let right = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let whole = format!("sha256={right}");
        assert!(check("x-hub-signature-256", &whole, body, secret));
        assert!(check("x-gitea-signature", right, body, secret));
        assert!(check("x-forgejo-signature", right, body, secret));
        assert!(check("x-gitlab-token", secret, body, secret));
        assert!(!check("x-hub-signature-256", &whole, "Hello, World?", secret));
        assert!(!check("x-hub-signature-256", &whole, body, "another secret"));
        for wrong in ["", "sha256=", &whole[..20], &whole.replace('7', "8")] {
            assert!(!check("x-hub-signature-256", wrong, body, secret), "{wrong}");
        }
        assert!(!check("x-gitlab-token", "", body, secret));
        assert!(!check("x-hub-signature", "sha1=x", body, secret));
        assert!(!check_at(0, &[], body, secret));
    }

    fn sent(signature: &str) -> [(&'static str, &str); 3] {
        let id = ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        [id, ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)]
    }

    /// As the library `standardwebhooks` of PyPI signs it.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        const AT: i64 = 1_614_265_330;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for seconds in [-300, 0, 300] {
            assert!(check_at(AT + seconds, &sent(right), body, secret), "{seconds}");
        }
        assert!(check_at(AT, &sent(&format!("v1a,AAAA v1,AAAA {right}")), body, secret));
        // A wrong token beside it is that of another webhook.
        let [id, at, signature] = sent(right);
        assert!(check_at(AT, &[id, at, signature, ("x-gitlab-token", "another")], body, secret));
        for seconds in [-301, 301] {
            assert!(!check_at(AT + seconds, &sent(right), body, secret), "{seconds}");
        }
        for wrong in ["", "v1,", "v1,AAAA", &right[3..], &right.replace("v1,", "v2,")] {
            assert!(!check_at(AT, &sent(wrong), body, secret), "{wrong}");
        }
        assert!(!check_at(AT, &sent(right), "{}", secret));
        assert!(!check_at(AT, &sent(right), body, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert!(!check_at(AT, &sent(right), body, &secret[6..]), "it is no signing token");
        assert!(!check_at(AT, &[id, signature], body, secret));
        assert!(!check_at(AT, &[("webhook-id", "msg_other"), at, signature], body, secret));
    }
}
