//! From the many ways in which a network breaks to a cause and a few words for people.

use crate::model::Cause;
use rustls::{CertificateError, Error as TlsError};
use std::{error::Error, io};

/// Characters that a detail has at most.
const DETAIL_LIMIT: usize = 200;

/// How the verifier calls a certificate of an authority that a server shows as its own.
const CA_AS_END_ENTITY: &str = "CaUsedAsEndEntity";

/// Why there was no answer, or no whole one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_LIMIT) {
            detail.truncate(end);
        }
        Failure { cause, detail }
    }

    /// A TCP connection that could not be made.
    pub(super) fn from_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::new(Cause::ConnectionRefused, ""),
            io::ErrorKind::TimedOut => Failure::new(Cause::ConnectTimeout, ""),
            _ => Failure::new(Cause::ConnectionFailed, error.to_string()),
        }
    }

    /// A TLS handshake that failed.
    pub(super) fn from_tls(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            return Failure::from_rustls(tls);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Failure::new(Cause::TlsFailed, "the receiver closed the connection during the TLS handshake")
            }
            _ => Failure::new(Cause::TlsFailed, error.to_string()),
        }
    }

    fn from_rustls(error: &TlsError) -> Self {
        match error {
            TlsError::InvalidCertificate(why) => Failure::new(Cause::BadCertificate, certificate_words(why)),
            TlsError::NoCertificatesPresented => Failure::new(Cause::BadCertificate, "the receiver showed no certificate"),
            TlsError::InvalidMessage(_) => Failure::new(Cause::TlsFailed, "the receiver does not speak TLS on this port"),
            TlsError::AlertReceived(alert) => Failure::new(Cause::TlsFailed, format!("the receiver sent the TLS alert {alert:?}")),
            other => Failure::new(Cause::TlsFailed, other.to_string()),
        }
    }

    /// A connection that broke.
    pub(super) fn from_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            Some(tls) => Failure::from_rustls(tls),
            None => Failure::new(Cause::Disconnected, error.to_string()),
        }
    }

    /// An exchange over HTTP/2 that broke off.
    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        if let Some(io) = sources(error).find_map(|source| source.downcast_ref::<io::Error>()) {
            return Failure::from_io(io);
        }
        if error.is_user() {
            tracing::error!(%error, "the HTTP client refused a request");
            return Failure::new(Cause::Internal, "");
        }
        let words = sources(error).last().map_or_else(|| error.to_string(), ToString::to_string);
        Failure::new(Cause::Disconnected, words)
    }
}

fn sources<'a>(error: &'a hyper::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (*error).source())
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "certificate of an unknown issuer".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate not valid yet".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate for another name".into()
        }
        CertificateError::Revoked => "certificate revoked".into(),
        CertificateError::BadEncoding => "certificate that cannot be read".into(),
        CertificateError::BadSignature => "certificate with a wrong signature".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate that is not for servers".into()
        }
        // What rustls has no word of its own for comes as the verifier's error.
        CertificateError::Other(inner) if inner.to_string().contains(CA_AS_END_ENTITY) => {
            "certificate of an authority, used as a server's own; a server needs one that is not an authority's".into()
        }
        other => other.to_string(),
    }
}
