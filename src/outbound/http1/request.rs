//! From a request to the bytes of its head.

use crate::outbound::{send::OutboundRequest, send::is_ours, target::Target};
use http::Method;
use std::io::Write;

/// Appends the head of a request. The body follows as it is.
pub(super) fn encode(into: &mut Vec<u8>, target: &Target, request: &OutboundRequest) {
    into.extend_from_slice(request.method.as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(target.path.path_and_query().map_or("/", |path| path.as_str()).as_bytes());
    into.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    into.extend_from_slice(target.host_header.as_bytes());
    if !request.body.is_empty() || matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
        // Writing to memory does not fail.
        let _ = write!(into, "\r\ncontent-length: {}", request.body.len());
    }
    for (name, value) in &request.headers {
        if !is_ours(name) {
            into.extend_from_slice(b"\r\n");
            into.extend_from_slice(name.as_str().as_bytes());
            into.extend_from_slice(b": ");
            into.extend_from_slice(value.as_bytes());
        }
    }
    into.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn encoded(method: Method, headers: &[(&'static str, &[u8])], body: &'static str) -> Vec<u8> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())).collect();
        let mut into = Vec::new();
        let target = Target::parse("http://Example.com:8080/a/b?c=%20d").unwrap();
        encode(&mut into, &target, &OutboundRequest { method, headers, body: body.into() });
        into
    }

    #[test]
    fn values_are_written_as_they_are() {
        let head = encoded(Method::POST, &[("x-a", b"\xff\tb"), ("x-a", b""), ("connection", b"close"), ("host", b"x")], "body");
        let expected = b"POST /a/b?c=%20d HTTP/1.1\r\nhost: example.com:8080\r\ncontent-length: 4\r\nx-a: \xff\tb\r\nx-a: \r\n\r\n";
        assert_eq!(head, expected);
    }

    #[test]
    fn a_length_is_told_where_a_body_is_expected() {
        for (method, body, length) in [
            (Method::POST, "", Some("0")),
            (Method::PUT, "", Some("0")),
            (Method::PATCH, "", Some("0")),
            (Method::GET, "", None),
            (Method::HEAD, "", None),
            (Method::DELETE, "", None),
            (Method::DELETE, "x", Some("1")),
        ] {
            let head = String::from_utf8(encoded(method, &[], body)).unwrap();
            assert_eq!(head.lines().find_map(|line| line.strip_prefix("content-length: ")), length, "{head}");
        }
    }
}
