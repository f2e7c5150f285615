//! From an origin to a connection: resolve, vet every address, connect to a vetted one, agree on TLS and on HTTP's version.

use super::{
    OutboundConfig, OutboundError,
    cidr::Cidr,
    failure::Failure,
    guard::classify,
    http1::Http1,
    http2::Http2,
    pool::Connection,
    resolve::{Resolve, ResolveError},
    send::{Phase, Progress, micros},
    stream::Stream,
    target::{Origin, TargetHost},
    tls::{ALPN_HTTP2, client_config},
};
use crate::model::{AddressClass, Cause};
use rustls::pki_types::ServerName;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

/// Addresses of one answer that are tried.
const ADDRESSES_TRIED: usize = 8;

/// Makes connections.
pub(super) struct Dialer {
    resolver: Arc<dyn Resolve>,
    allow: Vec<Cidr>,
    tls: TlsConnector,
    connect_timeout: Duration,
}

impl Dialer {
    pub(super) fn new(config: OutboundConfig, resolver: Arc<dyn Resolve>) -> Result<Self, OutboundError> {
        let tls = TlsConnector::from(client_config(&config.extra_roots)?);
        Ok(Dialer { resolver, allow: config.allow, tls, connect_timeout: config.connect_timeout })
    }

    /// A fresh connection to the origin.
    pub(super) async fn dial(&self, origin: &Origin, progress: &mut Progress) -> Result<Connection, Failure> {
        progress.phase = Phase::Resolve;
        let begun = Instant::now();
        let addresses = self.vetted(origin).await?;
        if matches!(origin.host, TargetHost::Domain(_)) {
            progress.phases.dns_us = micros(begun);
        }

        progress.phase = Phase::Connect;
        let begun = Instant::now();
        let end = begun + self.connect_timeout;
        let stream = connect(&addresses, end).await?;
        progress.phases.connect_us = micros(begun);

        let Some(name) = &origin.tls else {
            return Ok(Connection::Http1(Http1::open(Stream::Plain(stream))));
        };
        progress.phase = Phase::Tls;
        let begun = Instant::now();
        let connection = self.secure(stream, name, end).await;
        progress.phases.tls_us = micros(begun);
        connection
    }

    /// The addresses of the host, if every one of them may be dialled.
    pub(super) async fn vetted(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
        let mut found = match &origin.host {
            TargetHost::Ip(ip) => vec![*ip],
            TargetHost::Domain(name) => self.resolver.resolve(name).await.map_err(|error| match error {
                ResolveError::NotFound => Failure::new(Cause::NameNotFound, ""),
                ResolveError::Failed(words) => Failure::new(Cause::ResolverFailed, words),
            })?,
        };
        if found.is_empty() {
            return Err(Failure::new(Cause::NameNotFound, ""));
        }
        for ip in &found {
            let class = classify(*ip);
            if class != AddressClass::Public && !self.allow.iter().any(|cidr| cidr.contains(*ip)) {
                return Err(Failure::new(Cause::Blocked(class), ""));
            }
        }
        // A host without a route to IPv6 is more common than a receiver without IPv4.
        found.sort_by_key(IpAddr::is_ipv6);
        Ok(found.into_iter().take(ADDRESSES_TRIED).map(|ip| SocketAddr::new(ip, origin.port)).collect())
    }

    async fn secure(&self, stream: TcpStream, name: &ServerName<'static>, end: Instant) -> Result<Connection, Failure> {
        let stream = match timeout_at(end, self.tls.connect(name.clone(), stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::from_tls(&error)),
            Err(_) => return Err(Failure::new(Cause::ConnectTimeout, "the TLS handshake took too long")),
        };
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
        let stream = Stream::Tls(Box::new(stream));
        if speaks_http2 {
            let http2 = Http2::open(stream).await.map_err(|error| Failure::from_hyper(&error))?;
            Ok(Connection::Http2(http2))
        } else {
            Ok(Connection::Http1(Http1::open(stream)))
        }
    }
}

/// Tries the addresses one after another, each with an equal share of the time left.
async fn connect(addresses: &[SocketAddr], end: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(Cause::ConnectionFailed, "");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let share = end.saturating_duration_since(now) / u32::try_from(left).unwrap_or(1);
        last = match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Only a matter of speed: a stream that cannot be told works all the same.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => Failure::from_connect(&error),
            Err(_) => Failure::new(Cause::ConnectTimeout, ""),
        };
    }
    Err(last)
}
