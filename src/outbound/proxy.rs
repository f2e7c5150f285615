//! Proxies: a tunnel to the receiver by HTTP CONNECT (RFC 9110, section 9.3.6) or SOCKS 5 (RFC 1928 and 1929).
//!
//! Who resolves is told with the proxy. We, by default: the guard vets every address of the receiver's name, and the proxy
//! gets a vetted address and never the name, so it cannot be led elsewhere. Or the proxy: it gets the name, and the guard
//! is left with hosts that are addresses. The proxy's own address is always vetted by the guard.

use super::{WayError, failure::Failure, target::TargetHost};
use crate::model::{Cause, OutgoingProxy, ResolvedBy};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, join, sink};
use url::{Host, Url};
use zeroize::Zeroizing;

/// Bytes that a proxy's answer to CONNECT may have.
const ANSWER_BYTES: usize = 8 * 1024;
/// Where SOCKS proxies listen.
const SOCKS_PORT: u16 = 1080;
/// Bytes of a name or password, as SOCKS 5 counts them.
const SOCKS_TEXT: usize = 255;

/// A proxy, ready to be asked.
pub(super) struct Proxy {
    pub(super) host: TargetHost,
    pub(super) port: u16,
    /// Whether it is asked by SOCKS 5, and not by CONNECT.
    socks: bool,
    user: Option<(String, Zeroizing<String>)>,
    pub(super) resolves: bool,
    url: String,
}

/// What the proxy is to connect to.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    Address(SocketAddr),
    Name(String, u16),
}

/// A connection to a proxy.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire for S {}

/// Whether these bytes, as everything that a proxy says, open a tunnel. The entry point of fuzzing.
#[must_use]
pub fn opens_tunnel(given: &OutgoingProxy, said: &[u8]) -> bool {
    let Ok(proxy) = Proxy::parse(given) else { return false };
    let to = Destination::Name("receiver.test".into(), 443);
    // Bytes in memory are always there: the future never waits.
    let opened = proxy.tunnel(&mut join(said, sink()), &to).now_or_never();
    matches!(opened, Some(Ok(())))
}

fn failed(words: impl Into<String>) -> Failure {
    Failure::new(Cause::ProxyFailed, words)
}

impl Proxy {
    pub(super) fn parse(given: &OutgoingProxy) -> Result<Self, WayError> {
        let url = Url::parse(&given.url).map_err(|_| WayError::Proxy)?;
        let socks = match url.scheme() {
            "http" => false,
            "socks5" => true,
            _ => return Err(WayError::Proxy),
        };
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !bare || !matches!(url.path(), "" | "/") {
            return Err(WayError::Proxy);
        }
        let host = match url.host().ok_or(WayError::Proxy)? {
            // A scheme that the standard does not know leaves the host as it is written: an address may hide in it.
            Host::Domain(name) => match Host::parse(name).map_err(|_| WayError::Proxy)? {
                Host::Domain(name) => TargetHost::Domain(name),
                Host::Ipv4(ip) => TargetHost::Ip(ip.into()),
                Host::Ipv6(ip) => TargetHost::Ip(ip.into()),
            },
            Host::Ipv4(ip) => TargetHost::Ip(ip.into()),
            Host::Ipv6(ip) => TargetHost::Ip(ip.into()),
        };
        let port = url.port().unwrap_or(if socks { SOCKS_PORT } else { 80 });
        let password = given.password.as_ref().map_or("", |p| &p.0);
        let user = given.username.as_ref().map(|name| (name.clone(), Zeroizing::new(password.to_owned())));
        let fits = |text: &str| text.len() <= SOCKS_TEXT && !text.chars().any(char::is_control);
        if user.as_ref().is_some_and(|(name, password)| name.is_empty() || name.contains(':') || !fits(name) || !fits(password)) {
            return Err(WayError::Header);
        }
        Ok(Proxy { host, port, socks, user, resolves: given.resolved_by == ResolvedBy::Proxy, url: given.url.clone() })
    }

    /// What it is made of.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        let (name, password) = self.user.as_ref().map_or(("", ""), |(name, password)| (name.as_str(), password.as_str()));
        [self.url.as_str(), name, password, if self.resolves { "resolves" } else { "" }].into_iter()
    }

    /// Asks for a tunnel over a fresh connection to the proxy.
    pub(super) async fn tunnel<S: Wire>(&self, stream: &mut S, to: &Destination) -> Result<(), Failure> {
        if self.socks { self.socks5(stream, to).await } else { self.connect(stream, to).await }
    }

    async fn connect<S: Wire>(&self, stream: &mut S, to: &Destination) -> Result<(), Failure> {
        let authority = match to {
            Destination::Address(address) => address.to_string(),
            Destination::Name(name, port) => format!("{name}:{port}"),
        };
        let mut head = Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n"));
        if let Some((name, password)) = &self.user {
            let pair = Zeroizing::new(STANDARD.encode(format!("{name}:{}", **password)));
            head.push_str(&format!("proxy-authorization: Basic {}\r\n", *pair));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.map_err(broke)?;
        let mut answer = Vec::with_capacity(256);
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_BYTES {
                return Err(failed("the proxy's answer is larger than allowed"));
            }
            // Byte by byte: what follows the head is the receiver's.
            answer.push(stream.read_u8().await.map_err(broke)?);
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer).map(|_| response.code) {
            Ok(Some(200..=299)) => Ok(()),
            Ok(Some(407)) => Err(failed("the proxy wants another user name or password (407)")),
            Ok(Some(status)) => Err(failed(format!("the proxy answered {status}"))),
            _ => Err(failed("the proxy's answer is not HTTP/1")),
        }
    }

    async fn socks5<S: Wire>(&self, stream: &mut S, to: &Destination) -> Result<(), Failure> {
        let method = if self.user.is_some() { 2 } else { 0 };
        stream.write_all(&[5, 1, method]).await.map_err(broke)?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await.map_err(broke)?;
        match (chosen, &self.user) {
            ([5, 0], None) => {}
            ([5, 2], Some((name, password))) => sign_in(stream, name, password).await?,
            ([5, _], _) => return Err(failed("the proxy wants another way to sign in")),
            _ => return Err(failed("the proxy does not speak SOCKS 5")),
        }
        stream.write_all(&socks_request(to)?).await.map_err(broke)?;
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).await.map_err(broke)?;
        let [version, code, _, kind] = reply;
        if version != 5 {
            return Err(failed("the proxy does not speak SOCKS 5"));
        }
        if code != 0 {
            return Err(failed(socks_words(code)));
        }
        let rest = match kind {
            1 => 4 + 2,
            4 => 16 + 2,
            3 => usize::from(stream.read_u8().await.map_err(broke)?) + 2,
            _ => return Err(failed("the proxy does not speak SOCKS 5")),
        };
        // Where the proxy has bound its own end is of no interest.
        let mut bound = vec![0; rest];
        stream.read_exact(&mut bound).await.map_err(broke).map(drop)
    }
}

async fn sign_in<S: Wire>(stream: &mut S, name: &str, password: &str) -> Result<(), Failure> {
    let length = |text: &str| u8::try_from(text.len()).unwrap_or(u8::MAX);
    let mut request = Zeroizing::new(vec![1, length(name)]);
    request.extend_from_slice(name.as_bytes());
    request.push(length(password));
    request.extend_from_slice(password.as_bytes());
    stream.write_all(&request).await.map_err(broke)?;
    let mut reply = [0; 2];
    stream.read_exact(&mut reply).await.map_err(broke)?;
    if reply == [1, 0] { Ok(()) } else { Err(failed("the proxy wants another user name or password")) }
}

fn socks_request(to: &Destination) -> Result<Vec<u8>, Failure> {
    let mut request = vec![5, 1, 0];
    let port = match to {
        Destination::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Destination::Name(name, port) => {
            request.push(3);
            request.push(u8::try_from(name.len()).map_err(|_| failed("the host name is too long for SOCKS 5"))?);
            request.extend_from_slice(name.as_bytes());
            *port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

/// RFC 1928, section 6.
fn socks_words(code: u8) -> String {
    let words = match code {
        2 => "the proxy does not allow the connection",
        3 => "the proxy has no route to the receiver's network",
        4 => "the proxy cannot reach the receiver",
        5 => "nothing listens at the receiver's address, the proxy says",
        6 => "the proxy's connection to the receiver took too long",
        _ => return format!("the proxy answered with the SOCKS 5 code {code}"),
    };
    words.to_owned()
}

fn broke(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => failed("the proxy closed the connection"),
        _ => failed(format!("the connection to the proxy broke: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Hidden;

    fn parse(url: &str, user: Option<(&str, &str)>) -> Result<Proxy, WayError> {
        Proxy::parse(&OutgoingProxy {
            url: url.into(),
            username: user.map(|(name, _)| name.into()),
            password: user.map(|(_, password)| Hidden(password.into())),
            resolved_by: ResolvedBy::Us,
        })
    }

    #[test]
    fn urls_of_proxies_are_plain() {
        let good = parse("socks5://10.0.0.7", None).unwrap();
        assert_eq!((good.port, good.socks, &good.host), (1080, true, &TargetHost::Ip("10.0.0.7".parse().unwrap())));
        let hidden = parse("socks5://0x7f.1:9", None).unwrap();
        assert_eq!(hidden.host, TargetHost::Ip("127.0.0.1".parse().unwrap()));
        assert_eq!(parse("http://proxy.example:3128/", Some(("a", "b"))).unwrap().port, 3128);
        for bad in ["", "proxy:3128", "https://p:1", "socks4://p:1", "http://u:p@p:1", "http://p:1/x", "http://p:1?x", "socks5://"]
        {
            assert!(matches!(parse(bad, None), Err(WayError::Proxy)), "{bad}");
        }
        for (name, password) in [("", "x"), ("a:b", "x"), ("a\r\nb", "x"), ("a", "\n"), ("a", &"x".repeat(256))] {
            assert!(matches!(parse("http://p:1", Some((name, password))), Err(WayError::Header)), "{name}");
        }
    }

    #[test]
    fn socks_requests_carry_addresses_or_names() {
        let to = |text: &str| socks_request(&Destination::Address(text.parse().unwrap())).unwrap();
        assert_eq!(to("1.2.3.4:443"), [5, 1, 0, 1, 1, 2, 3, 4, 1, 187]);
        assert_eq!(to("[::1]:1").len(), 4 + 16 + 2);
        assert_eq!(socks_request(&Destination::Name("ab".into(), 80)).unwrap(), [5, 1, 0, 3, 2, b'a', b'b', 0, 80]);
    }
}
