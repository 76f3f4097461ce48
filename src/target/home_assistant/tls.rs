//! One TLS configuration for both ways to HA.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::address::Address;
use crate::files::{self, TEXT_LIMIT};
use crate::target::TargetError;

/// Trusts the system's authorities, and those of the file.
pub(super) fn configuration(
    address: &Address,
    ca_file: Option<&Path>,
) -> Result<ClientConfig, TargetError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let fault = |why: String| TargetError::Unreachable { address: address.to_string(), why };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?;
    if !address.is_encrypted() {
        // A machine without any authorities must still reach HA over http.
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let extra = ca_file.map(read_certificates).transpose().map_err(fault)?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, provider)
        .map_err(|error| fault(format!("no certificate authority to trust: {error}")))?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |why: String| format!("the CA file {} cannot be used: {why}", file.display());
    let pem = files::read(file, TEXT_LIMIT).map_err(|error| fault(error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Address, configuration};

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let address = Address::parse("https://ha.example").unwrap();
        for text in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAA"] {
            fs::write(file.path(), text).unwrap();
            let said = configuration(&address, Some(file.path())).unwrap_err().to_string();
            assert!(said.contains("CA file"), "{said}");
        }
        assert!(configuration(&address, Some("/nowhere".as_ref())).is_err());
    }
}
