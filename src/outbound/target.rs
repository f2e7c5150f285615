//! Where a delivery goes: a URL, parsed and checked once, when its endpoint is compiled.

use http::{HeaderValue, Uri, uri::PathAndQuery};
use rustls::pki_types::ServerName;
use std::{net::IpAddr, sync::Arc};
use url::{Host, Url};

/// The longest URL, in bytes.
pub const MAX_URL: usize = 65_536;

/// Why a URL cannot be an endpoint's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL at all.
    #[error("not an absolute URL: {0}")]
    NotAUrl(String),
    /// Another scheme than http and https.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// A user name or password in it.
    #[error("user information in the URL is not allowed; use a custom header")]
    UserInfo,
    /// A port that cannot be dialled.
    #[error("port 0 cannot be dialled")]
    Port,
    /// Longer than [`MAX_URL`].
    #[error("a URL has at most 65536 bytes")]
    TooLong,
    /// Something in it cannot be sent.
    #[error("the URL's host or path cannot be sent")]
    Unsendable,
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TargetHost {
    /// A name, to be resolved.
    Name(String),
    /// An address, as the URL standard reads it: `0x7f.1` is `127.0.0.1`, and judged as that.
    Address(IpAddr),
}

/// What connections are shared by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) https: bool,
    pub(super) host: TargetHost,
    pub(super) port: u16,
}

/// A checked URL, ready to be dialled.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) origin: Arc<Origin>,
    pub(super) path: Uri,
    pub(super) absolute: Uri,
    pub(super) authority: HeaderValue,
    pub(super) server_name: Option<ServerName<'static>>,
}

impl Target {
    /// Parses and checks an endpoint's URL the way browsers read URLs (WHATWG), so that no spelling of a host means one
    /// thing here and another to the guard. A fragment is dropped.
    ///
    /// # Errors
    /// Not absolute, not http or https, user information, port 0, too long.
    pub fn parse(url: &str) -> Result<Target, TargetError> {
        if url.len() > MAX_URL {
            return Err(TargetError::TooLong);
        }
        let mut url = Url::parse(url).map_err(|error| TargetError::NotAUrl(error.to_string()))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(TargetError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|p| *p != 0).ok_or(TargetError::Port)?;
        let host = match url.host() {
            Some(Host::Domain(name)) => TargetHost::Name(name.to_owned()),
            Some(Host::Ipv4(ip)) => TargetHost::Address(ip.into()),
            Some(Host::Ipv6(ip)) => TargetHost::Address(ip.into()),
            None => return Err(TargetError::Unsendable),
        };
        let server_name = match &host {
            TargetHost::Name(name) if https => Some(ServerName::try_from(name.trim_end_matches('.').to_owned())),
            TargetHost::Address(ip) if https => Some(Ok(ServerName::IpAddress((*ip).into()))),
            _ => None,
        };
        let path = &url[url::Position::BeforePath..];
        let path: PathAndQuery = path.parse().map_err(|_| TargetError::Unsendable)?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        Ok(Target {
            origin: Arc::new(Origin { https, host, port }),
            path: Uri::from(path),
            absolute: url.as_str().parse().map_err(|_| TargetError::Unsendable)?,
            authority: HeaderValue::from_str(authority).map_err(|_| TargetError::Unsendable)?,
            server_name: server_name.transpose().map_err(|_| TargetError::Unsendable)?,
        })
    }

    /// Whether it is dialled with TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.https
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Option<IpAddr> {
        match Target::parse(url).unwrap().origin.host {
            TargetHost::Address(ip) => Some(ip),
            TargetHost::Name(_) => None,
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        for url in
            ["http://127.0.0.1/", "http://0x7f.1", "http://2130706433", "http://0177.0.0.1", "http://127.1", "http://１２７.0.0.1"]
        {
            assert_eq!(address(url), Some("127.0.0.1".parse().unwrap()), "{url}");
        }
        assert_eq!(address("http://[::ffff:127.0.0.1]/"), Some("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn unicode_hosts_become_their_ascii_form() {
        let target = Target::parse("https://bücher.example:8443/a?b=c#d").unwrap();
        assert_eq!(target.origin.host, TargetHost::Name("xn--bcher-kva.example".into()));
        assert_eq!(target.authority, "xn--bcher-kva.example:8443");
        assert_eq!((target.path.to_string().as_str(), target.origin.port, target.is_https()), ("/a?b=c", 8443, true));
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused() {
        let refused = |url: &str| Target::parse(url).unwrap_err();
        assert!(matches!(refused("example.com/x"), TargetError::NotAUrl(_)));
        assert!(matches!(refused("https://"), TargetError::NotAUrl(_)));
        assert_eq!(refused("ftp://example.com"), TargetError::Scheme);
        assert_eq!(refused("file:///etc/passwd"), TargetError::Scheme);
        assert_eq!(refused("https://user@example.com"), TargetError::UserInfo);
        assert_eq!(refused("https://:secret@example.com"), TargetError::UserInfo);
        assert_eq!(refused("https://example.com:0/"), TargetError::Port);
        assert_eq!(refused(&format!("https://example.com/{}", "a".repeat(MAX_URL))), TargetError::TooLong);
        assert!(Target::parse("https://example.com:99999/").is_err());
    }
}
