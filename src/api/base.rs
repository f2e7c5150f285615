//! Where people and third parties reach this server: what links are made of.

use super::Shared;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts, uri::Authority},
};
use std::convert::Infallible;

/// The server's public URL without a slash at its end: as configured, otherwise as the request came in. The latter goes
/// back to the one who sent it and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(pub String);

impl FromRequestParts<Shared> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        let url = api.options.public_url.clone().unwrap_or_else(|| origin(&parts.headers, parts.uri.authority()));
        Ok(Base(url.trim_end_matches('/').to_owned()))
    }
}

/// The origin under which a request came in. HTTP/2 names the host in the URI, HTTP/1.1 in a header.
fn origin(headers: &HeaderMap, authority: Option<&Authority>) -> String {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let scheme = if text(HeaderName::from_static("x-forwarded-proto")) == Some("https") { "https" } else { "http" };
    let host = text(header::HOST).or(authority.map(Authority::as_str)).unwrap_or("localhost");
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_point_where_the_request_came_in() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "hooks.example:8080".parse().unwrap());
        assert_eq!(origin(&headers, None), "http://hooks.example:8080");
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert_eq!(origin(&headers, None), "https://hooks.example:8080");
        assert_eq!(origin(&HeaderMap::new(), Some(&Authority::from_static("h2.example"))), "http://h2.example");
    }
}
