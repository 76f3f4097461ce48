//! Whom a connection trusts, and by what certificate we identify ourselves: one configuration for every
//! kind of connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::client::WantsClientCert;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::files::{self, TEXT_LIMIT};
use crate::model::{Secret, Visible};

/// After the end of every certificate: the year 10000.
const FAR_FUTURE: Duration = Duration::from_secs(253_402_300_800);

/// The system's authorities are read again for a connection that is made later than this.
const READ_AGAIN: Duration = Duration::from_secs(3_600);

/// A certificate of ours (mTLS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The file of the certificate (PEM), and of those between it and an authority.
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: Secret,
    /// Where the key comes from, for messages.
    pub key_place: String,
}

/// Trusts the system's authorities, and these. Connections that trust the same share one configuration: to know all
/// authorities takes more memory than a connection has else.
pub(super) fn configuration(
    authorities: &[CertificateDer<'static>],
    client: Option<&ClientIdentity>,
) -> Result<Arc<ClientConfig>, String> {
    let shared = SharedTls::of(authorities)?;
    let Some(client) = client else { return Ok(shared.configuration) };
    // A session that is resumed has the identity of whoever began it.
    let (chain, key) = client.read()?;
    let configuration = trusting(shared.verifier)?.with_client_auth_cert(chain, key);
    configuration.map(Arc::new).map_err(|error| client.fault(&error))
}

/// What connections share that trust the same authorities.
struct SharedTls {
    verifier: Arc<Verifier>,
    configuration: Arc<ClientConfig>,
}

/// The same, as long as a connection has it.
struct KeptTls {
    extra: Vec<CertificateDer<'static>>,
    since: Instant,
    verifier: Weak<Verifier>,
    configuration: Weak<ClientConfig>,
}

static KEPT: Mutex<Vec<KeptTls>> = Mutex::new(Vec::new());

impl SharedTls {
    /// That of the system's authorities and these.
    fn of(extra: &[CertificateDer<'static>]) -> Result<Self, String> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| {
            kept.since.elapsed() < READ_AGAIN && kept.configuration.strong_count() > 0
        });
        let known = kept.iter().find(|kept| kept.extra == extra);
        if let Some((verifier, configuration)) =
            known.and_then(|kept| kept.verifier.upgrade().zip(kept.configuration.upgrade()))
        {
            return Ok(Self { verifier, configuration });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra.to_vec(), provider)
            .map_err(|error| format!("no certificate authority to trust: {error}"))?;
        let verifier = Arc::new(verifier);
        let configuration = Arc::new(trusting(Arc::clone(&verifier))?.with_no_client_auth());
        kept.push(KeptTls {
            extra: extra.to_vec(),
            since: Instant::now(),
            verifier: Arc::downgrade(&verifier),
            configuration: Arc::downgrade(&configuration),
        });
        Ok(Self { verifier, configuration })
    }
}

fn trusting(
    verifier: Arc<Verifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

/// The authorities in a file.
///
/// # Errors
/// Where it cannot be used.
pub fn authorities_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    read_certificates(file, "CA file")
}

/// Checks a certificate of ours and its key.
///
/// # Errors
/// Where one of them cannot be used.
pub fn check_client(client: &ClientIdentity) -> Result<(), String> {
    let (chain, key) = client.read()?;
    let configuration = without_authorities()?.with_client_auth_cert(chain, key);
    configuration.map(drop).map_err(|error| client.fault(&error))
}

/// The last moment of a server's certificate; `None` where it cannot be read, or never ends.
pub fn certificate_end(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    // The dates are looked at before whoever signed it.
    match checked_at(certificate, UnixTime::since_unix_epoch(FAR_FUTURE)) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => Some(not_after),
        _ => None,
    }
}

/// Whether a certificate is valid at a moment, before its authority is looked at: none is trusted.
fn checked_at(certificate: &CertificateDer<'_>, moment: UnixTime) -> Result<(), rustls::Error> {
    let provider = rustls::crypto::ring::default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let certificate = ParsedCertificate::try_from(certificate)?;
    let authorities = RootCertStore::empty();
    verify_server_cert_signed_by_trust_anchor(&certificate, &authorities, &[], moment, algorithms)
}

/// Trusts no authority: a machine without any authorities must still reach what speaks plain HTTP.
pub(super) fn trusting_nobody() -> Result<Arc<ClientConfig>, String> {
    static NOBODY: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(nobody) = NOBODY.get() {
        return Ok(Arc::clone(nobody));
    }
    let made = Arc::new(without_authorities()?.with_no_client_auth());
    Ok(Arc::clone(NOBODY.get_or_init(|| made)))
}

fn without_authorities() -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(RootCertStore::empty()))
}

impl ClientIdentity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let chain = read_certificates(&self.certificate, "client certificate")?;
        if let Some(first) = chain.first() {
            self.refuse_expired(first)?;
        }
        let (place, pem) = (&self.key_place, self.key.expose());
        if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || pem.contains(",ENCRYPTED") {
            return Err(format!(
                "the client key ({place}) has a passphrase, which nobody can enter here; remove it with `openssl pkey -in KEY -out NEW`, and encrypt the file with age instead"
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            format!("the client key ({place}) contains no private key in PEM form; name the file that begins with `-----BEGIN PRIVATE KEY-----`")
        })?;
        Ok((chain, key))
    }

    /// The server would end the handshake, and hardly ever says why. What else is wrong with the certificate
    /// is for the server to say: only the dates are looked at here, which come first.
    fn refuse_expired(&self, certificate: &CertificateDer<'_>) -> Result<(), String> {
        let file = self.certificate.visible();
        ParsedCertificate::try_from(certificate)
            .map_err(|error| format!("the client certificate {file} cannot be used: {error}"))?;
        match checked_at(certificate, UnixTime::now()) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => Err(format!(
                "the client certificate {file} has expired; have a new one made, and check the clock of this machine"
            )),
            _ => Ok(()),
        }
    }

    fn fault(&self, error: &rustls::Error) -> String {
        let (file, place) = (self.certificate.visible(), &self.key_place);
        match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "the client key ({place}) is not the key of the client certificate {file}; name the two that were made together"
            ),
            other => format!(
                "the client certificate {file} and its key ({place}) cannot be used: {other}"
            ),
        }
    }
}

fn read_certificates(file: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |why: String| format!("the {what} {} cannot be used: {why}", file.visible());
    let pem = files::read(file, TEXT_LIMIT).map_err(|error| fault(error.to_string()))?;
    of_pem(&pem).map_err(fault)
}

/// The certificates in a text.
///
/// # Errors
/// Where it has none, or one that cannot be read.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    of_pem(pem.as_bytes()).map_err(|why| format!("the CA certificate cannot be used: {why}"))
}

fn of_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it contains no certificate in PEM form".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair};

    use super::{ClientIdentity, authorities_in, certificate_end, configuration};
    use crate::model::Secret;

    /// A client's certificate that is valid until this year, and this key.
    fn identity(until: i32, key: impl Fn(&KeyPair) -> String) -> Result<(), String> {
        let made = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), params.self_signed(&made).unwrap().pem()).unwrap();
        let (certificate, key_place) = (file.path().to_owned(), "client.key".to_owned());
        let identity = ClientIdentity { certificate, key: Secret::new(&key(&made)), key_place };
        configuration(&[], Some(&identity)).map(drop)
    }

    #[test]
    fn connections_that_trust_the_same_share_what_they_trust() {
        let folder = tempfile::tempdir().unwrap();
        let ca = |name: &str| {
            let authority = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            let path = folder.path().join(name);
            fs::write(&path, authority.cert.pem()).unwrap();
            path
        };
        let (one, other) = (ca("one"), ca("other"));
        let of = |ca: &Path| configuration(&authorities_in(ca).unwrap(), None).unwrap();
        let (first, second) = (of(&one), of(&one));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &of(&other)));
        // What the file holds counts, and not what it is called.
        fs::copy(&other, &one).unwrap();
        assert!(!Arc::ptr_eq(&first, &of(&one)));
        fs::copy(&other, folder.path().join("third")).unwrap();
        let third = of(&other);
        assert!(Arc::ptr_eq(&third, &of(&folder.path().join("third"))));
    }

    #[test]
    fn a_client_certificate_and_its_key_belong_together() {
        assert_eq!(identity(4000, KeyPair::serialize_pem), Ok(()));
        let other = identity(4000, |_| KeyPair::generate().unwrap().serialize_pem()).unwrap_err();
        assert!(other.contains("client.key) is not the key of"), "{other}");
        let old = identity(2001, KeyPair::serialize_pem).unwrap_err();
        assert!(old.contains("has expired"), "{old}");
        for (pem, why) in [
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhush", "has a passphrase"),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nhush", "has a passphrase"),
            ("hush", "no private key in PEM form"),
            ("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----", "(client.key)"),
        ] {
            let error = identity(4000, |_| pem.to_owned()).unwrap_err();
            assert!(error.contains(why) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let key = KeyPair::generate().unwrap();
        for year in [2001, 2049, 2050, 4000] {
            let mut params = CertificateParams::new(vec!["ha".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 3, 1);
            let end = params.not_after.unix_timestamp();
            let made = params.self_signed(&key).unwrap();
            let read = certificate_end(made.der()).unwrap();
            assert_eq!(read.as_secs(), u64::try_from(end).unwrap(), "{year}");
        }
        assert_eq!(certificate_end(&vec![0x30].into()), None);
    }

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAA"] {
            fs::write(file.path(), text).unwrap();
            let error = authorities_in(file.path()).unwrap_err();
            assert!(error.contains("CA file"), "{error}");
        }
        assert!(authorities_in("/nowhere".as_ref()).is_err());
    }
}
