//! A request that came to a source's URL, as far as it has been read.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use postrider_signature::Request;
use std::net::IpAddr;

/// What is known of a request before its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its method.
    pub method: Method,
    /// The absolute URL that the sender called: behind a proxy the public one.
    pub url: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// From where it came.
    pub remote: IpAddr,
}

/// A whole request.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What came first.
    pub head: Head,
    /// The exact bytes of its body.
    pub body: Bytes,
}

impl Head {
    /// The query of its URL, without the question mark.
    #[must_use]
    pub fn query(&self) -> &str {
        self.url.split_once('?').map(|(_, query)| query).unwrap_or_default()
    }

    /// Its headers as a signature sees them. Values of one name are in the order in which they came.
    pub(super) fn fields(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), HeaderValue::as_bytes(value))).collect()
    }
}

impl Arrival {
    /// The request as a signature sees it, with its headers from [`Head::fields`].
    pub(super) fn request<'a>(&'a self, fields: &'a [(&'a str, &'a [u8])]) -> Request<'a> {
        Request { method: self.head.method.as_str(), url: &self.head.url, headers: fields, body: &self.body }
    }
}
