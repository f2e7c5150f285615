//! TLS towards receivers: 1.2 and 1.3, the web's trust anchors and those that configuration adds.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::sync::Arc;

/// HTTP/2 as ALPN names it (RFC 9113).
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1 as ALPN names it (RFC 7301).
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Why trust anchors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A section of the file is broken.
    #[error("not a valid PEM file: {0}")]
    Pem(String),
    /// The file holds no certificate.
    #[error("the PEM file holds no certificate")]
    Empty,
    /// A certificate cannot be a trust anchor.
    #[error("certificate {number} of the file cannot be a trust anchor: {reason}")]
    Unusable {
        /// Its place in the file, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The certificates of a PEM file (`--ca-file`), each checked to be usable as a trust anchor.
///
/// # Errors
/// The file is not PEM, holds no certificate, or one that cannot be a trust anchor.
pub fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RootsError> {
    let roots: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| RootsError::Pem(format!("{error:?}")))?;
    if roots.is_empty() {
        return Err(RootsError::Empty);
    }
    add(&mut RootCertStore::empty(), &roots)?;
    Ok(roots)
}

fn add(store: &mut RootCertStore, roots: &[CertificateDer<'static>]) -> Result<(), RootsError> {
    for (number, root) in (1..).zip(roots) {
        store.add(root.clone()).map_err(|error| RootsError::Unusable { number, reason: error.to_string() })?;
    }
    Ok(())
}

/// The web's trust anchors and those that configuration adds.
pub(super) fn web_roots(extra_roots: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, RootsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    add(&mut roots, extra_roots)?;
    Ok(Arc::new(roots))
}

/// The client's side of handshakes, with these trust anchors and, if a receiver asks for one, this certificate.
pub(super) fn client_config_for(
    roots: Arc<RootCertStore>,
    identity: Option<Arc<CertifiedKey>>,
) -> Result<Arc<ClientConfig>, super::OutboundError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| super::OutboundError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
    };
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    }

    #[test]
    fn roots_are_read_from_pem() {
        let one = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap().cert;
        let two = rcgen::generate_simple_self_signed(["b.test".to_owned()]).unwrap().cert;
        let text = format!("# comment\n{}{}", pem(one.der()), pem(two.der()));
        assert_eq!(read_roots(text.as_bytes()).unwrap(), [one.der().clone(), two.der().clone()]);
    }

    #[test]
    fn a_bad_file_is_refused_by_its_rule() {
        let broken = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(read_roots(b""), Err(RootsError::Empty)));
        assert!(matches!(read_roots(broken.as_bytes()), Err(RootsError::Pem(_))));
        assert!(matches!(read_roots(pem(b"hello").as_bytes()), Err(RootsError::Unusable { number: 1, .. })));
    }
}
