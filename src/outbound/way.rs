//! The way to a receiver, where it is not the plain one: through a proxy, with a client certificate, with trust anchors of
//! its own. Connections are shared by those that have the same way, so nobody's certificate serves another's requests.

use super::{
    proxy::Proxy,
    target::TargetError,
    tls::{RootsError, client_config_for, read_roots},
};
use crate::model::{ClientCertificate, OutgoingProxy};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};
use tokio_rustls::TlsConnector;

/// Why a way cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The client certificate is not PEM.
    #[error("the client certificate is not a PEM certificate chain")]
    Certificate,
    /// The private key is not PEM, or of a kind that TLS does not use.
    #[error("the private key is not a PEM key that TLS can use (RSA, ECDSA P-256 or P-384, Ed25519)")]
    Key,
    /// Certificate and key do not belong together.
    #[error("the private key does not belong to the first certificate")]
    Mismatch,
    /// The trust anchors cannot be used.
    #[error("the trust anchors cannot be used: {0}")]
    Roots(#[from] RootsError),
    /// The proxy's URL cannot be used.
    #[error("the proxy's url must be http://host:port or socks5://host:port, without user information, path or query")]
    Proxy,
    /// The token endpoint's URL cannot be used.
    #[error("the token endpoint's url cannot be used: {0}")]
    TokenUrl(TargetError),
    /// A text cannot stand in a header.
    #[error("a name, password or token holds characters that a header cannot carry")]
    Header,
}

/// A way that is not the plain one.
pub struct Way {
    /// SHA-256 over whose it is and all that it is made of.
    fingerprint: [u8; 32],
    pub(super) proxy: Option<Proxy>,
    tls: Option<OwnTls>,
}

struct OwnTls {
    identity: Option<Arc<CertifiedKey>>,
    roots: Option<Vec<CertificateDer<'static>>>,
    /// Whether the web's trust anchors count beside its own.
    beside_the_web: bool,
    /// Made at the first dial: most endpoints are not being dialled.
    connector: OnceLock<Option<TlsConnector>>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("proxy", &self.proxy.is_some()).field("tls", &self.tls.is_some()).finish()
    }
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Way {}

impl Hash for Way {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl Way {
    /// The way of one owner's requests; `None` when it is the plain one. Ways of different owners are never the same.
    ///
    /// # Errors
    /// Something that it is to be made of cannot be used.
    pub fn new(
        owner: &str,
        certificate: Option<&ClientCertificate>,
        ca: Option<&str>,
        proxy: Option<&OutgoingProxy>,
    ) -> Result<Option<Arc<Way>>, WayError> {
        Self::make(owner, (certificate, ca, false), proxy)
    }

    /// The way to an endpoint's token endpoint: as the endpoint's own, but the web's trust anchors count there too.
    ///
    /// # Errors
    /// As [`Way::new`].
    pub fn to_tokens(
        owner: &str,
        certificate: Option<&ClientCertificate>,
        ca: Option<&str>,
        proxy: Option<&OutgoingProxy>,
    ) -> Result<Option<Arc<Way>>, WayError> {
        Self::make(owner, (certificate, ca, true), proxy)
    }

    fn make(
        owner: &str,
        (certificate, ca, beside_the_web): (Option<&ClientCertificate>, Option<&str>, bool),
        proxy: Option<&OutgoingProxy>,
    ) -> Result<Option<Arc<Way>>, WayError> {
        if certificate.is_none() && ca.is_none() && proxy.is_none() {
            return Ok(None);
        }
        let tls = match (certificate, ca) {
            (None, None) => None,
            _ => Some(OwnTls {
                identity: certificate.map(identity).transpose()?,
                roots: ca.map(|pem| read_roots(pem.as_bytes())).transpose()?,
                beside_the_web,
                connector: OnceLock::new(),
            }),
        };
        let proxy = proxy.map(Proxy::parse).transpose()?;
        let mut digest = Sha256::new();
        let parts = [
            // A proxy alone is the organization's, whose endpoints share it; what proves who we are is one endpoint's.
            if tls.is_some() { owner } else { "" },
            certificate.map_or("", |c| &c.certificate),
            certificate.map_or("", |c| &c.private_key.0),
            ca.unwrap_or_default(),
            if beside_the_web { "web" } else { "" },
        ];
        parts.into_iter().chain(proxy.iter().flat_map(Proxy::parts)).for_each(|part| {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        });
        Ok(Some(Arc::new(Way { fingerprint: digest.finalize().into(), proxy, tls })))
    }

    /// What handshakes on this way are made with; `None` as everybody's.
    pub(super) fn connector(&self, web: &Arc<RootCertStore>) -> Option<&TlsConnector> {
        let own = self.tls.as_ref()?;
        let made = own.connector.get_or_init(|| {
            let roots = match &own.roots {
                None => Arc::clone(web),
                Some(extra) => {
                    let mut roots = if own.beside_the_web { (**web).clone() } else { RootCertStore::empty() };
                    roots.add_parsable_certificates(extra.iter().cloned());
                    Arc::new(roots)
                }
            };
            let config = client_config_for(roots, own.identity.clone());
            config.inspect_err(|error| tracing::error!(%error, "an endpoint's TLS cannot be set up")).ok().map(TlsConnector::from)
        });
        made.as_ref()
    }

    /// Whether handshakes on this way need something of its own.
    pub(super) fn has_own_tls(&self) -> bool {
        self.tls.is_some()
    }
}

fn identity(given: &ClientCertificate) -> Result<Arc<CertifiedKey>, WayError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(given.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| WayError::Certificate)?;
    if chain.is_empty() {
        return Err(WayError::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(given.private_key.0.as_bytes()).map_err(|_| WayError::Key)?;
    let key = rustls::crypto::ring::default_provider().key_provider.load_private_key(key).map_err(|_| WayError::Key)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(WayError::Mismatch),
        Err(_) => Err(WayError::Certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hidden, ResolvedBy};
    use base64::{Engine, engine::general_purpose::STANDARD};

    fn certificate() -> ClientCertificate {
        let made = rcgen::generate_simple_self_signed(["client.test".to_owned()]).unwrap();
        let pem = |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
        let private_key = Hidden(pem("PRIVATE KEY", &made.signing_key.serialize_der()));
        ClientCertificate { certificate: pem("CERTIFICATE", made.cert.der()), private_key }
    }

    fn proxy(password: &str) -> OutgoingProxy {
        OutgoingProxy {
            url: "http://proxy.test:3128".into(),
            username: Some("us".into()),
            password: Some(Hidden(password.into())),
            resolved_by: ResolvedBy::Us,
        }
    }

    #[test]
    fn the_plain_way_is_none() {
        assert!(Way::new("ep_1", None, None, None).unwrap().is_none());
    }

    #[test]
    fn ways_are_the_same_for_one_owner_and_the_same_things_only() {
        let (one, two) = (certificate(), certificate());
        let way = |owner, c: &ClientCertificate, p: Option<&OutgoingProxy>| Way::new(owner, Some(c), None, p).unwrap().unwrap();
        assert_eq!(way("a", &one, None), way("a", &one, None));
        assert_ne!(way("a", &one, None), way("b", &one, None));
        assert_ne!(way("a", &one, None), way("a", &two, None));
        assert_ne!(way("a", &one, None), way("a", &one, Some(&proxy("x"))));
        assert_ne!(way("a", &one, None), Way::to_tokens("a", Some(&one), None, None).unwrap().unwrap());
        let through = |owner, password| Way::new(owner, None, None, Some(&proxy(password))).unwrap().unwrap();
        assert_eq!(through("a", "x"), through("b", "x"));
        assert_ne!(through("a", "x"), through("a", "y"));
    }

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        let good = certificate();
        let bad = |certificate: &str, key: &str| {
            let given = ClientCertificate { certificate: certificate.into(), private_key: Hidden(key.into()) };
            Way::new("a", Some(&given), None, None).unwrap_err()
        };
        assert!(matches!(bad("", &good.private_key.0), WayError::Certificate));
        assert!(matches!(bad(&good.certificate, ""), WayError::Key));
        assert!(matches!(bad(&good.certificate, &certificate().private_key.0), WayError::Mismatch));
        assert!(matches!(Way::new("a", None, Some("x"), None).unwrap_err(), WayError::Roots(_)));
    }
}
