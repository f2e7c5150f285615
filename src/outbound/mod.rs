//! The hostile network. One try of a request towards a receiver that may be broken, slow or malicious: every address is
//! vetted before it is dialled, one deadline covers everything, what is read and kept is bounded, and whatever happens is
//! an [`Outcome`](crate::model::Outcome).
//!
//! Absent on purpose: redirects (the owner of the endpoint corrects its URL), proxies from the environment (they would
//! dial for us what the guard has not seen), cookies, decompression, and repeats of a request that may have arrived. Nor is
//! there a limit on dials: the lanes bound the attempts that run, and one here would let endpoints that do not answer hold
//! what others need.

mod answer;
mod cidr;
mod dial;
mod failure;
mod guard;
mod http1;
mod http2;
#[cfg(test)]
pub(crate) mod model;
mod oauth;
mod pool;
mod proxy;
mod resolve;
mod send;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod way;

pub use answer::{HEADER_BYTES_KEPT, HEADERS_KEPT, KEEP_LIMIT, READ_LIMIT};
pub use cidr::{Cidr, CidrError};
pub use guard::classify;
pub use http1::decode_answer;
pub use oauth::{TokenSource, decode_token};
pub use proxy::opens_tunnel;
pub use resolve::{Resolve, ResolveError, SystemResolver};
pub use send::OutboundRequest;
pub use target::{Target, TargetError, URL_LIMIT};
pub use tls::{RootsError, read_roots};
pub use way::{Way, WayError};

use crate::{clock::Clock, model::Cause};
use dial::Dialer;
use pool::{Limits, Pool};
use rustls::pki_types::CertificateDer;
use std::{fmt, sync::Arc, time::Duration};

/// How long it may take to find out whether a target may be dialled.
const VET_WITHIN: Duration = Duration::from_secs(5);
/// Bytes that an answer's status line and headers may have.
const HEAD_LIMIT: usize = 32 * 1024;

/// What can be set of the client.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// Addresses that may be dialled although they are not public.
    pub allow: Vec<Cidr>,
    /// Trust anchors beside those of the web.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Time for TCP connect and TLS handshake together; the deadline of a try bounds it too.
    pub connect_timeout: Duration,
    /// HTTP/1.1 connections at rest that are kept for one origin (scheme, host and port).
    pub idle_per_origin: usize,
    /// HTTP/1.1 connections at rest that are kept in all. Each holds a file descriptor.
    pub idle_total: usize,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        OutboundConfig {
            allow: Vec::new(),
            extra_roots: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_per_origin: 128,
            idle_total: 4096,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// A trust anchor is not usable.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The TLS library does not accept its configuration.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The resolver cannot be built.
    #[error("the resolver cannot be set up: {0}")]
    Resolver(String),
}

/// The client. To be shared in an `Arc`.
pub struct Outbound {
    dialer: Dialer,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    /// Answers in place of the network.
    #[cfg(test)]
    model: Option<Arc<dyn model::ModelReceiver>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound")
    }
}

impl Outbound {
    /// A client that resolves names as the system does.
    ///
    /// # Errors
    /// A trust anchor is not usable, or TLS or the resolver cannot be set up.
    pub fn new(config: OutboundConfig, clock: Arc<dyn Clock>) -> Result<Self, OutboundError> {
        Self::with_resolver(config, clock, Arc::new(SystemResolver::new()?))
    }

    /// Why a target may not be dialled, by the address that it has. `None`: it may be dialled, or it is not known yet (a
    /// name that does not resolve may do so later). Every attempt is vetted anew.
    pub async fn forbidden(&self, target: &Target) -> Option<Cause> {
        if target.is_resolved_elsewhere() {
            return None;
        }
        match tokio::time::timeout(VET_WITHIN, self.dialer.vetted(target.origin())).await {
            Ok(Err(failure)) => Some(failure.cause).filter(|cause| matches!(cause, Cause::Blocked(_))),
            _ => None,
        }
    }

    /// A client with its own way to resolve names.
    ///
    /// # Errors
    /// A trust anchor is not usable, or TLS cannot be set up.
    pub fn with_resolver(config: OutboundConfig, clock: Arc<dyn Clock>, resolver: Arc<dyn Resolve>) -> Result<Self, OutboundError> {
        let limits =
            Limits { idle_per_origin: config.idle_per_origin, idle_total: config.idle_total, idle_timeout: config.idle_timeout };
        Ok(Outbound {
            dialer: Dialer::new(config, resolver)?,
            pool: Arc::new(Pool::new(limits)),
            clock,
            #[cfg(test)]
            model: None,
        })
    }
}
