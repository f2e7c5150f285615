//! What proxies say of a request that they passed on: who sent it, and under which origin (`Forwarded`, RFC 7239; otherwise
//! `X-Forwarded-For`, `-Proto` and `-Host`). Anybody can write these headers, so that only what trusted proxies have written
//! counts: without any they are not read. Pure.

use crate::outbound::Cidr;
use axum::http::{HeaderMap, HeaderName, header::FORWARDED, uri::Authority};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Networks whose proxies are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<Cidr>);

/// The origin that a request was sent to, as far as trusted proxies tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
    /// Host, and port if it is not the scheme's own.
    pub host: Option<Authority>,
}

/// What one proxy says of what came to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    client: Option<String>,
    scheme: Option<String>,
    host: Option<String>,
}

impl TrustedProxies {
    /// Whether the address is a trusted proxy's.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(address))
    }

    /// Who sent a request that came over a connection from `peer`: the last address that is not a trusted proxy's. `None`:
    /// a trusted proxy passed it on and its sender cannot be told, since the headers are malformed or contradict each other.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let standard = headers.contains_key(FORWARDED).then(|| {
            let hops = hops(headers)?;
            self.last_stranger(hops.iter().rev().map(|hop| hop.client.as_deref().unwrap_or_default()))
        });
        let common = headers.contains_key(FORWARDED_FOR).then(|| {
            let nodes = items(headers, FORWARDED_FOR)?;
            self.last_stranger(nodes.into_iter().rev())
        });
        match (standard, common) {
            (None, None) => Some(peer),
            (Some(client), None) | (None, Some(client)) => client,
            // A proxy that writes one header may pass on the other as a stranger wrote it.
            (Some(one), Some(other)) => one.filter(|_| one == other),
        }
    }

    /// The first of the nodes, the nearest in front, that is not a trusted proxy; the farthest when all are.
    fn last_stranger<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Option<IpAddr> {
        let mut last = None;
        for node in nodes {
            let address = address(node)?;
            last = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }

    /// The origin that a request over a connection from `peer` was sent to. What a trusted proxy does not say, or says in two
    /// ways, is `None`.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> Origin {
        if !self.trusts(peer) {
            return Origin::default();
        }
        let standard = self.outermost(headers);
        let host = |text: &str| text.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'));
        let (nodes, outermost) = self.outermost_node(headers);
        let common = |name| {
            let items: Vec<&str> = items(headers, name)?;
            // Proxies that append to the one header as to the other leave an item for each node; others leave the last one.
            let from_end = if items.len() == nodes { outermost } else { 0 };
            items.into_iter().rev().nth(from_end)
        };
        Origin {
            scheme: agreed(standard.scheme.as_deref().and_then(scheme), common(FORWARDED_PROTO).and_then(scheme)),
            host: agreed(standard.host.as_deref().and_then(host), common(FORWARDED_HOST).and_then(host)),
        }
    }

    /// How many nodes `X-Forwarded-For` names, and which of them, counted from the end, the outermost trusted proxy wrote.
    fn outermost_node(&self, headers: &HeaderMap) -> (usize, usize) {
        let nodes = items(headers, FORWARDED_FOR).unwrap_or_default();
        let trusted = nodes.iter().rev().take_while(|node| address(node).is_some_and(|address| self.trusts(address))).count();
        (nodes.len(), trusted.min(nodes.len().saturating_sub(1)))
    }

    /// What the outermost trusted proxy wrote into `Forwarded`.
    fn outermost(&self, headers: &HeaderMap) -> Hop {
        let mut outermost = Hop::default();
        for hop in hops(headers).unwrap_or_default().into_iter().rev() {
            let inner = hop.client.as_deref().and_then(address).is_some_and(|address| self.trusts(address));
            outermost = hop;
            if !inner {
                break;
            }
        }
        outermost
    }
}

fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

/// The items of a list that may go over several lines. `None`: there are none, or some are not text.
fn items(headers: &HeaderMap, name: HeaderName) -> Option<Vec<&str>> {
    let lines: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    (!lines.is_empty()).then(|| lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect())
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(text))
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || node.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let found = node.parse::<IpAddr>().ok().or_else(bracketed).or_else(with_port);
    found.map(|address| address.to_canonical())
}

/// The elements of all `Forwarded` headers, in their order. `None`: there is a fault somewhere, so that nobody can say where
/// a stranger's part ends.
fn hops(headers: &HeaderMap) -> Option<Vec<Hop>> {
    let mut hops = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let mut rest = line.to_str().ok()?.trim();
        loop {
            let (hop, after) = hop(rest)?;
            hops.push(hop);
            match after.strip_prefix(',') {
                Some(more) => rest = more.trim_start(),
                None if after.is_empty() => break,
                None => return None,
            }
        }
    }
    Some(hops)
}

/// One element, and what comes behind it: `for=192.0.2.1;proto=https;host="a.example"`. Each name comes once.
fn hop(text: &str) -> Option<(Hop, &str)> {
    let (mut hop, mut rest) = (Hop::default(), text);
    loop {
        let (name, after) = rest.split_at_checked(rest.find('=')?)?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "for" => Some(&mut hop.client),
            "proto" => Some(&mut hop.scheme),
            "host" => Some(&mut hop.host),
            _ => None,
        };
        if let Some(slot) = slot
            && slot.replace(value).is_some()
        {
            return None;
        }
        let after = after.trim_start();
        match after.strip_prefix(';') {
            Some(more) => rest = more.trim_start(),
            None => return Some((hop, after)),
        }
    }
}

/// A token or a quoted text, and what comes behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Some proxies write addresses with a port or in brackets without the quotes that they need.
        let lenient = |byte: u8| is_token(byte) || matches!(byte, b':' | b'[' | b']');
        let end = text.bytes().position(|byte| !lenient(byte)).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).filter(|(value, _)| !value.is_empty())?;
        return Some((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return quoted.split_at_checked(at + 1).map(|(_, after)| (value, after)),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn trusted() -> TrustedProxies {
        TrustedProxies(["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().unwrap()).to_vec())
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy_s() {
        const F: &str = "forwarded";
        const X: &str = "x-forwarded-for";
        let cases: &[(Lines, Option<&str>)] = &[
            (&[], Some("10.0.0.1")),
            (&[(X, "192.0.2.1")], Some("192.0.2.1")),
            (&[(X, "203.0.113.9, 192.0.2.1")], Some("192.0.2.1")),
            (&[(X, "203.0.113.9,192.0.2.1 ,10.9.9.9")], Some("192.0.2.1")),
            (&[(X, "203.0.113.9"), (X, "192.0.2.1, 10.1.1.1")], Some("192.0.2.1")),
            (&[(X, "10.2.2.2, 10.1.1.1")], Some("10.2.2.2")),
            (&[(X, "nonsense, 192.0.2.1")], Some("192.0.2.1")),
            (&[(X, "192.0.2.1, nonsense")], None),
            (&[(X, "192.0.2.1, ")], None),
            (&[(X, "")], None),
            (&[(X, "192.0.2.1:4711")], Some("192.0.2.1")),
            (&[(X, "2001:db8::1")], Some("2001:db8::1")),
            (&[(X, "[2001:db8::1]:4711, fd00::7")], Some("2001:db8::1")),
            (&[(X, "::ffff:192.0.2.1")], Some("192.0.2.1")),
            (&[(X, "192.0.2.1, ::ffff:10.0.0.9")], Some("192.0.2.1")),
            (&[(F, "for=192.0.2.1")], Some("192.0.2.1")),
            (&[(F, "For=192.0.2.1;proto=https;by=203.0.113.43, for=10.3.3.3")], Some("192.0.2.1")),
            (&[(F, r#"for="[2001:db8:cafe::17]:4711""#)], Some("2001:db8:cafe::17")),
            (&[(F, r#"for="[2001:db8::17]" ; host="a,b;c""#)], Some("2001:db8::17")),
            (&[(F, r#"for="192.0.2.\1""#)], Some("192.0.2.1")),
            (&[(F, "for=[2001:db8::17]:80")], Some("2001:db8::17")),
            (&[(F, "for=203.0.113.9"), (F, "for=192.0.2.1")], Some("192.0.2.1")),
            (&[(F, "for=unknown")], None),
            (&[(F, "for=_hidden, for=10.0.0.3")], None),
            (&[(F, "for=_hidden, for=192.0.2.1")], Some("192.0.2.1")),
            (&[(F, "proto=https")], None),
            (&[(F, "for=192.0.2.1;for=192.0.2.2")], None),
            (&[(F, "")], None),
            // A stranger's open quote cannot swallow what a proxy has put behind it.
            (&[(F, r#"for=203.0.113.9;x=", for=192.0.2.1"#)], None),
            (&[(F, r#"for=203.0.113.9;x=", for="[2001:db8::1]""#)], None),
            (&[(F, "for=192.0.2.1"), (X, "192.0.2.1")], Some("192.0.2.1")),
            (&[(F, "for=203.0.113.9"), (X, "192.0.2.1")], None),
        ];
        for (lines, expected) in cases {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(trusted().client(PROXY, &headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn strangers_are_not_asked() {
        let stranger: IpAddr = "198.51.100.1".parse().unwrap();
        let said = headers(&[("forwarded", "for=192.0.2.1;proto=https;host=a"), ("x-forwarded-for", "192.0.2.1")]);
        assert_eq!(trusted().client(stranger, &said), Some(stranger));
        assert_eq!(trusted().origin(stranger, &said), Origin::default());
        assert_eq!(TrustedProxies::default().client(PROXY, &said), Some(PROXY));
        assert_eq!(trusted().client("::ffff:10.0.0.1".parse().unwrap(), &said), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn the_origin_is_the_one_that_the_outermost_proxy_saw() {
        const F: &str = "forwarded";
        const P: &str = "x-forwarded-proto";
        const H: &str = "x-forwarded-host";
        const X: &str = "x-forwarded-for";
        let cases: &[(Lines, Option<&str>, Option<&str>)] = &[
            (&[], None, None),
            (&[(P, "https"), (H, "hooks.example:8443")], Some("https"), Some("hooks.example:8443")),
            (&[(P, "http, HTTPS"), (H, "a.example, b.example")], Some("https"), Some("b.example")),
            (&[(X, "192.0.2.1, 10.1.1.1"), (P, "https, http"), (H, "a.example, b")], Some("https"), Some("a.example")),
            (&[(X, "203.0.113.9, 192.0.2.1, 10.1.1.1"), (P, "http,https"), (P, "http")], Some("https"), None),
            (&[(X, "192.0.2.1, 10.1.1.1"), (P, "https")], Some("https"), None),
            (&[(X, "192.0.2.1"), (P, "http, https")], Some("https"), None),
            (&[(X, "10.2.2.2, 10.1.1.1"), (P, "https, http")], Some("https"), None),
            (&[(P, "gopher"), (H, "a b")], None, None),
            (&[(H, "user@a.example")], None, None),
            (&[(F, r#"for=192.0.2.1;proto=https;host="a.example:8443""#)], Some("https"), Some("a.example:8443")),
            (&[(F, "for=192.0.2.1;proto=https;host=a.example, for=10.1.1.1;proto=http;host=b")], Some("https"), Some("a.example")),
            (&[(F, "for=203.0.113.9;proto=http;host=evil, for=192.0.2.1;proto=https;host=a")], Some("https"), Some("a")),
            (&[(F, "for=192.0.2.1;proto=https"), (P, "http")], None, None),
            (&[(F, "for=192.0.2.1;proto=https"), (P, "https"), (H, "a")], Some("https"), Some("a")),
            (&[(F, "proto=https;host=a;")], None, None),
        ];
        for (lines, scheme, host) in cases {
            let found = trusted().origin(PROXY, &headers(lines));
            assert_eq!((found.scheme, found.host.as_ref().map(Authority::as_str)), (*scheme, *host), "{lines:?}");
        }
    }
}
