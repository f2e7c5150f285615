//! Where a request goes: a URL, taken apart and checked once, used for each send.

use super::way::Way;
use http::{HeaderValue, Uri, uri::PathAndQuery};
use rustls::pki_types::ServerName;
use std::{net::IpAddr, sync::Arc};
use url::{Host, Url};

/// Bytes that a URL may have.
pub const URL_LIMIT: usize = 65_536;

/// A checked URL, in the forms in which sending needs it.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) origin: Arc<Origin>,
    /// For HTTP/1.1: path and query.
    pub(super) path: Uri,
    /// For HTTP/2: the whole URL.
    pub(super) whole: Uri,
    pub(super) host_header: HeaderValue,
}

/// What a connection is made to, and shared by.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) host: TargetHost,
    pub(super) port: u16,
    /// The name that the certificate must carry. `None`: plain HTTP.
    pub(super) tls: Option<ServerName<'static>>,
    /// The way there. `None`: the plain one.
    pub(super) way: Option<Arc<Way>>,
}

/// A host as the URL names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TargetHost {
    Domain(String),
    Ip(IpAddr),
}

/// Why a URL cannot be a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Over [`URL_LIMIT`].
    #[error("the URL is longer than {URL_LIMIT} bytes")]
    TooLong,
    /// Something that readers of URLs disagree about.
    #[error("the URL must not contain spaces, control characters or backslashes; percent-encode them")]
    Characters,
    /// Not `http://` or `https://`.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// `user:password@`.
    #[error("the URL must not contain user information; use a header instead")]
    UserInfo,
    /// No host, or none that can be looked up.
    #[error("the URL's host is missing or not a valid name or address")]
    Host,
    /// A port that nothing listens on.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
    /// Another fault.
    #[error("the URL cannot be used: {0}")]
    Other(String),
}

impl Target {
    /// Takes a URL apart by the WHATWG rules, stricter where readers of URLs disagree. A fragment is dropped, a name in
    /// Unicode becomes its ASCII form, and numbers that mean an IPv4 address (`0x7f.1`) become that address.
    ///
    /// # Errors
    /// The rule that the URL breaks.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        let mut url = checked(text)?;
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(TargetError::Port)?;
        let host = match url.host().ok_or(TargetError::Host)? {
            Host::Domain(name) => TargetHost::Domain(checked_name(name)?.to_owned()),
            Host::Ipv4(ip) => TargetHost::Ip(ip.into()),
            Host::Ipv6(ip) => TargetHost::Ip(ip.into()),
        };
        let tls = if url.scheme() == "https" { Some(host.server_name()?) } else { None };
        let host_header = match (url.host_str(), url.port()) {
            (Some(name), None) => HeaderValue::try_from(name),
            (Some(name), Some(port)) => HeaderValue::try_from(format!("{name}:{port}")),
            (None, _) => return Err(TargetError::Host),
        };
        let path: PathAndQuery = match url.query() {
            None => url.path().parse(),
            Some(query) => format!("{}?{query}", url.path()).parse(),
        }
        .map_err(other)?;
        Ok(Target {
            origin: Arc::new(Origin { host, port, tls, way: None }),
            path: Uri::from(path),
            whole: url.as_str().parse().map_err(other)?,
            host_header: host_header.map_err(other)?,
        })
    }

    /// The same target, reached by that way.
    #[must_use]
    pub fn by(self, way: Option<Arc<Way>>) -> Self {
        if way.is_none() {
            return self;
        }
        let Origin { host, port, tls, .. } = &*self.origin;
        let origin = Origin { host: host.clone(), port: *port, tls: tls.clone(), way };
        Target { origin: Arc::new(origin), ..self }
    }

    /// Whether it has a name that a proxy resolves, so that we do not know its addresses.
    pub(super) fn is_resolved_elsewhere(&self) -> bool {
        let proxy = self.origin.way.as_ref().and_then(|way| way.proxy.as_ref());
        matches!(self.origin.host, TargetHost::Domain(_)) && proxy.is_some_and(|proxy| proxy.resolves)
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The whole URL, as it is called.
    #[must_use]
    pub fn url(&self) -> String {
        self.whole.to_string()
    }

    /// Whether it is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.tls.is_some()
    }
}

fn other(error: impl std::fmt::Display) -> TargetError {
    TargetError::Other(error.to_string())
}

/// The URL, if it has no part that the standard's parser would silently repair or ignore.
fn checked(text: &str) -> Result<Url, TargetError> {
    if text.len() > URL_LIMIT {
        return Err(TargetError::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(TargetError::Characters);
    }
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(TargetError::Scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    if authority.is_empty() {
        return Err(TargetError::Host);
    }
    Url::parse(text).map_err(|error| match error {
        url::ParseError::InvalidPort => TargetError::Port,
        url::ParseError::EmptyHost
        | url::ParseError::IdnaError
        | url::ParseError::InvalidIpv4Address
        | url::ParseError::InvalidIpv6Address
        | url::ParseError::InvalidDomainCharacter => TargetError::Host,
        error => other(error),
    })
}

/// The name, if each label has from 1 to 63 bytes and all have at most 253 (RFC 1035); one final dot is allowed.
fn checked_name(name: &str) -> Result<&str, TargetError> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let labels = bare.split('.').all(|label| (1..=63).contains(&label.len()));
    if labels && bare.len() <= 253 { Ok(name) } else { Err(TargetError::Host) }
}

impl TargetHost {
    fn server_name(&self) -> Result<ServerName<'static>, TargetError> {
        match self {
            TargetHost::Domain(name) => {
                let bare = name.strip_suffix('.').unwrap_or(name);
                ServerName::try_from(bare.to_owned()).map_err(|_| TargetError::Host)
            }
            TargetHost::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_url_is_taken_apart() {
        let target = parse("HTTPS://Example.com:8443/a%20b/../c?d=1&d=2#e");
        assert!(target.is_https());
        assert_eq!(target.path.to_string(), "/c?d=1&d=2");
        assert_eq!(target.whole.to_string(), "https://example.com:8443/c?d=1&d=2");
        assert_eq!(target.host_header, "example.com:8443");
        assert_eq!((target.origin.port, &target.origin.host), (8443, &TargetHost::Domain("example.com".into())));
        let plain = parse("http://example.com:80");
        assert_eq!((plain.host_header.as_bytes(), plain.path.path()), (&b"example.com"[..], "/"));
        assert!(!plain.is_https());
    }

    #[test]
    fn hosts_are_normalised() {
        for (text, host) in [
            ("http://127.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.0.0.1/", "127.0.0.1"),
            ("http://0177.0.0.01/", "127.0.0.1"),
            ("http://127.0.0.1./", "127.0.0.1"),
            ("http://%31%32%37.0.0.1/", "127.0.0.1"),
            ("http://１２７.0.0.1/", "127.0.0.1"),
            ("http://127。0。0。1/", "127.0.0.1"),
            ("http://0300.0250.1/", "192.168.0.1"),
            ("http://0xA9FEA9FE/", "169.254.169.254"),
            ("http://017700000001/", "127.0.0.1"),
            ("http://[::FFFF:127.0.0.1]/", "::ffff:127.0.0.1"),
            ("http://[::127.0.0.1]/", "::7f00:1"),
            ("http://[64:ff9b::10.0.0.1]/", "64:ff9b::a00:1"),
        ] {
            assert_eq!(parse(text).origin.host, TargetHost::Ip(host.parse().unwrap()), "{text}");
        }
        assert_eq!(parse("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/").origin.host, TargetHost::Domain("localhost".into()));
        assert_eq!(parse("http://LocalHost/").origin.host, TargetHost::Domain("localhost".into()));
        assert_eq!(parse("https://bücher.example/").host_header, "xn--bcher-kva.example");
        assert_eq!(parse("https://example.com./").origin.tls, Some(ServerName::try_from("example.com").unwrap()));
    }

    #[test]
    fn a_bad_url_is_refused_by_its_rule() {
        let long = format!("http://example.com/{}", "a".repeat(URL_LIMIT));
        let label = format!("http://{}.com/", "a".repeat(64));
        for (text, error) in [
            ("", TargetError::Scheme),
            ("example.com", TargetError::Scheme),
            ("ftp://example.com/", TargetError::Scheme),
            ("file:///etc/passwd", TargetError::Scheme),
            ("http:example.com", TargetError::Scheme),
            ("http://", TargetError::Host),
            ("http:///path", TargetError::Host),
            ("http://?x", TargetError::Host),
            ("http://.", TargetError::Host),
            ("http://a..b/", TargetError::Host),
            ("http://256.256.256.256/", TargetError::Host),
            ("http://[::1/", TargetError::Host),
            ("http://exa%23mple/", TargetError::Host),
            (&label, TargetError::Host),
            ("http://user@example.com/", TargetError::UserInfo),
            ("http://user:pass@example.com/", TargetError::UserInfo),
            ("http://@example.com/", TargetError::UserInfo),
            ("http://example.com:0/", TargetError::Port),
            ("http://example.com:65536/", TargetError::Port),
            ("http://example.com:x/", TargetError::Port),
            ("http://exa mple.com/", TargetError::Characters),
            ("http://example.com/\r\nX: 1", TargetError::Characters),
            ("http:\\\\example.com", TargetError::Characters),
            (&long, TargetError::TooLong),
        ] {
            assert_eq!(Target::parse(text).err(), Some(error), "{text}");
        }
    }
}
