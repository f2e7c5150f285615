//! Making a connection: resolve, vet, dial the vetted addresses themselves, TLS, HTTP.

use super::{
    Failure, Outbound,
    guard::vet,
    pool::Lease,
    target::{Target, TargetHost},
};
use crate::model::{Cause, Phases};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout},
};

/// The largest answer head (status line and headers), in bytes.
const MAX_HEAD: usize = 64 << 10;
/// The most headers that an answer may have.
const MAX_HEADERS: usize = 128;
/// Between two pings on an HTTP/2 connection, and how long one may take: a dead connection is noticed.
const H2_PING: Duration = Duration::from_secs(20);
/// What the other side names itself with, by ALPN, to speak HTTP/2.
const H2: &[u8] = b"h2";

impl Outbound {
    /// A new connection to the target.
    pub(super) async fn dial(&self, target: &Target, phases: &mut Phases) -> Result<Lease, Failure> {
        let started = Instant::now();
        let addresses = self.addresses(target).await?;
        phases.dns_us = micros(started);
        let dialling = Instant::now();
        let stream = self.connect(&addresses).await?;
        phases.connect_us = micros(dialling);
        let Some(name) = &target.server_name else { return handshake1(stream).await };
        let shaking = Instant::now();
        let stream = self.tls.connect(name.clone(), stream).await.map_err(|error| tls_failure(&error, name))?;
        phases.tls_us = micros(shaking);
        if stream.get_ref().1.alpn_protocol() == Some(H2) {
            self.handshake2(target, stream).await
        } else {
            handshake1(stream).await
        }
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = match &target.origin.host {
            TargetHost::Address(ip) => vec![*ip],
            TargetHost::Name(name) => self.resolver.resolve(name).await?,
        };
        if addresses.is_empty() {
            return Err((Cause::NameNotFound, String::new()));
        }
        vet(&addresses, &self.allow).map_err(|class| (Cause::Blocked(class), blocked(&addresses)))?;
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, target.origin.port)).collect())
    }

    /// The first address that answers; each gets its share of the time.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
        let share = self.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut last = (Cause::ConnectTimeout, String::new());
        for address in addresses {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it small requests wait for acknowledgements; a socket that refuses works all the same.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = (connect_cause(&error), error.to_string()),
                Err(_) => last = (Cause::ConnectTimeout, String::new()),
            }
        }
        Err(last)
    }

    async fn handshake2(&self, target: &Target, stream: impl Stream) -> Result<Lease, Failure> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(H2_PING)
            .max_header_list_size(MAX_HEAD as u32);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // How it ends is told to whoever waits for an answer on it.
        tokio::spawn(async move { drop(connection.await) });
        self.pool.share(target, sender.clone(), Instant::now());
        Ok(Lease::Http2(sender))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

async fn handshake1(stream: impl Stream) -> Result<Lease, Failure> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Lease::Http1(sender, Instant::now()))
}

fn broken(error: hyper::Error) -> Failure {
    (Cause::Disconnected, error.to_string())
}

fn blocked(addresses: &[IpAddr]) -> String {
    addresses.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn connect_cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::ConnectionRefused,
        io::ErrorKind::TimedOut => Cause::ConnectTimeout,
        _ => Cause::ConnectionFailed,
    }
}

fn tls_failure(error: &io::Error, name: &ServerName<'_>) -> Failure {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let rustls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let cause = match rustls {
        Some(InvalidCertificate(_) | NoCertificatesPresented) => Cause::BadCertificate,
        _ => Cause::TlsFailed,
    };
    (cause, format!("{}: {error}", name.to_str()))
}

/// Microseconds since then, as phases count them.
pub(super) fn micros(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}
