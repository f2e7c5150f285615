//! Where people and third parties reach this server: what links are made of.

use super::{Shared, forwarded::Origin};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts, uri::Authority},
};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Stands for an address that is not known: on nobody's list.
pub(super) const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The server's public URL without a slash at its end: as configured, otherwise as the request came in: through a trusted
/// proxy as that says. The latter goes back to the one who sent it and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(pub String);

impl FromRequestParts<Shared> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        let said = || {
            let told = api.options.trusted_proxies.origin(peer(parts), &parts.headers);
            let told = Origin { scheme: told.scheme.or(Some(api.options.scheme)), ..told };
            origin(&told, &parts.headers, parts.uri.authority())
        };
        let url = api.options.public_url.clone().unwrap_or_else(said);
        Ok(Base(url.trim_end_matches('/').to_owned()))
    }
}

/// The other side of the connection.
pub(super) fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(NOWHERE, |ConnectInfo(peer)| peer.ip().to_canonical())
}

/// The other side of a request's connection, if it is known.
pub(super) fn peer_of(extensions: &axum::http::Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

/// The origin under which a request came in. HTTP/2 names the host in the URI, HTTP/1.1 in a header.
fn origin(told: &Origin, headers: &HeaderMap, authority: Option<&Authority>) -> String {
    let own = || headers.get(header::HOST).and_then(|value| value.to_str().ok()).or(authority.map(Authority::as_str));
    let host = told.host.as_ref().map(Authority::as_str).or_else(own).unwrap_or("localhost");
    format!("{}://{host}", told.scheme.unwrap_or("http"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_point_where_the_request_came_in() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "hooks.example:8080".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let untold = Origin::default();
        assert_eq!(origin(&untold, &headers, None), "http://hooks.example:8080");
        let told = Origin { scheme: Some("https"), host: None };
        assert_eq!(origin(&told, &headers, None), "https://hooks.example:8080");
        let told = Origin { scheme: Some("https"), host: Some(Authority::from_static("public.example")) };
        assert_eq!(origin(&told, &headers, None), "https://public.example");
        assert_eq!(origin(&untold, &HeaderMap::new(), Some(&Authority::from_static("h2.example"))), "http://h2.example");
    }
}
