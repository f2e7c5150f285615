//! From an origin to a connection: resolve, vet every address, connect to a vetted one, agree on TLS and on HTTP's version.

use super::{
    OutboundConfig, OutboundError,
    cidr::Cidr,
    failure::Failure,
    guard::classify,
    http1::Http1,
    http2::Http2,
    pool::Connection,
    proxy::{Destination, Proxy},
    resolve::{Resolve, ResolveError},
    send::{Phase, Progress, micros},
    stream::Stream,
    target::{Origin, TargetHost},
    tls::{ALPN_HTTP2, client_config_for, web_roots},
};
use crate::model::{AddressClass, Cause};
use rustix::io::Errno;
use rustls::{RootCertStore, pki_types::ServerName};
use std::{
    io,
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
/// What the system says when this process, or all together, have too many files and connections open.
const NO_DESCRIPTOR: [Option<i32>; 2] = [Some(Errno::MFILE.raw_os_error()), Some(Errno::NFILE.raw_os_error())];
/// The pause before a connection is tried once more for which there was no descriptor.
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(100);

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialer {
    resolver: Arc<dyn Resolve>,
    allow: Vec<Cidr>,
    tls: TlsConnector,
    roots: Arc<RootCertStore>,
    connect_timeout: Duration,
}

impl Dialer {
    pub(super) fn new(config: OutboundConfig, resolver: Arc<dyn Resolve>) -> Result<Self, OutboundError> {
        let roots = web_roots(&config.extra_roots)?;
        let tls = TlsConnector::from(client_config_for(Arc::clone(&roots), None)?);
        Ok(Dialer { resolver, allow: config.allow, tls, roots, connect_timeout: config.connect_timeout })
    }

    /// A fresh connection to the origin.
    pub(super) async fn dial(&self, origin: &Origin, progress: &mut Progress) -> Result<Connection, Failure> {
        progress.phase = Phase::Resolve;
        let begun = Instant::now();
        let proxy = origin.way.as_ref().and_then(|way| way.proxy.as_ref());
        let (addresses, through) = match proxy {
            None => (self.vetted(origin).await?, None),
            Some(proxy) => {
                let (addresses, to) = self.through(proxy, origin).await?;
                (addresses, Some((proxy, to)))
            }
        };
        if matches!(origin.host, TargetHost::Domain(_)) {
            progress.phases.dns_us = micros(begun);
        }

        progress.phase = Phase::Connect;
        let begun = Instant::now();
        let end = begun + self.connect_timeout;
        let stream = match through {
            None => connect(&addresses, end).await?,
            Some((proxy, to)) => tunnelled(proxy, &addresses, &to, end).await?,
        };
        progress.phases.connect_us = micros(begun);

        let Some(name) = &origin.tls else {
            return Ok(Connection::Http1(Http1::open(Stream::Plain(stream))));
        };
        progress.phase = Phase::Tls;
        let begun = Instant::now();
        let connection = self.secure(stream, (name, origin), end).await;
        progress.phases.tls_us = micros(begun);
        connection
    }

    /// The addresses of the receiver, if every one of them may be dialled.
    pub(super) async fn vetted(&self, origin: &Origin) -> Result<Vec<SocketAddr>, Failure> {
        self.vetted_host(&origin.host, origin.port).await
    }

    async fn vetted_host(&self, host: &TargetHost, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let mut found = match host {
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
        Ok(found.into_iter().take(ADDRESSES_TRIED).map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// The proxy's vetted addresses, and what it is to connect to: one of the vetted addresses, or the name if the proxy resolves.
    async fn through(&self, proxy: &Proxy, origin: &Origin) -> Result<(Vec<SocketAddr>, Vec<Destination>), Failure> {
        let to = match &origin.host {
            TargetHost::Domain(name) if proxy.resolves => vec![Destination::Name(name.clone(), origin.port)],
            _ => self.vetted(origin).await?.into_iter().map(Destination::Address).collect(),
        };
        let addresses = self.vetted_host(&proxy.host, proxy.port).await.map_err(|failure| {
            let sentence = failure.cause.sentence();
            Failure::new(Cause::ProxyFailed, format!("of the proxy itself: {sentence}"))
        })?;
        Ok((addresses, to))
    }

    async fn secure(
        &self,
        stream: TcpStream,
        (name, origin): (&ServerName<'static>, &Origin),
        end: Instant,
    ) -> Result<Connection, Failure> {
        let own = origin.way.as_deref().filter(|way| way.has_own_tls());
        let tls = match own {
            None => &self.tls,
            Some(way) => way.connector(&self.roots).ok_or_else(|| Failure::new(Cause::Internal, ""))?,
        };
        let stream = match timeout_at(end, tls.connect(name.clone(), stream)).await {
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

/// A stream to the receiver that the proxy passes on: to the first of its addresses to which the proxy makes one, each with an
/// equal share of the time left.
async fn tunnelled(proxy: &Proxy, addresses: &[SocketAddr], to: &[Destination], end: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(Cause::ConnectionFailed, "");
    for (to, left) in to.iter().zip((1..=to.len()).rev()) {
        let now = Instant::now();
        let end = now + end.saturating_duration_since(now) / u32::try_from(left).unwrap_or(1);
        let mut stream = connect(addresses, end)
            .await
            .map_err(|failure| Failure::new(Cause::ProxyFailed, format!("of the proxy itself: {}", failure.cause.sentence())))?;
        last = match timeout_at(end, proxy.tunnel(&mut stream, to)).await {
            Ok(Ok(())) => return Ok(stream),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(Cause::ConnectTimeout, "the proxy made no connection within the time allowed"),
        };
    }
    Err(last)
}

/// Tries the addresses one after another, each with an equal share of the time left.
async fn connect(addresses: &[SocketAddr], end: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(Cause::ConnectionFailed, "");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let share = end.saturating_duration_since(now) / u32::try_from(left).unwrap_or(1);
        last = match timeout_at(now + share, patiently(*address)).await {
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

/// Waits for a descriptor when there is none: that is no fault of the receiver's, and one becomes free when an attempt ends.
async fn patiently(address: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            Err(error) if NO_DESCRIPTOR.contains(&error.raw_os_error()) => tokio::time::sleep(DESCRIPTOR_PAUSE).await,
            connected => return connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OutgoingProxy, ResolvedBy};
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    /// A proxy that reaches one address only.
    async fn proxy(reaches: &'static str) -> (Proxy, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut first, mut line) = (String::new(), String::from("-"));
                stream.read_line(&mut first).await.unwrap();
                while !line.trim().is_empty() {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                }
                let status = if first.contains(reaches) { "200 Connected" } else { "502 Bad Gateway" };
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
            }
        });
        let url = format!("http://{address}");
        let given = OutgoingProxy { url, username: None, password: None, resolved_by: ResolvedBy::Us };
        (Proxy::parse(&given).unwrap(), address)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_one_address_after_the_other() {
        let (proxy, address) = proxy("192.0.2.3:443").await;
        let to = |last: u8| Destination::Address(([192, 0, 2, last], 443).into());
        let end = Instant::now() + Duration::from_secs(60);
        assert!(tunnelled(&proxy, &[address], &[to(1), to(2), to(3)], end).await.is_ok());
        let refused = tunnelled(&proxy, &[address], &[to(1), to(2)], end).await;
        assert!(refused.is_err_and(|failure| failure.cause == Cause::ProxyFailed));
    }
}
