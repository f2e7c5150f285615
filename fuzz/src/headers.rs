//! Any lines as headers of a request to us: cookies, and what proxies say of the client and of the outside.

use http::{HeaderMap, HeaderName, HeaderValue};
use postrider::{api::TrustedProxies, dashboard::cookies};

/// Headers that are taken apart.
const NAMES: [&str; 5] = ["cookie", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];

pub fn run(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((choice, value)) = line.split_first() else { continue };
        let name = HeaderName::from_static(NAMES[usize::from(*choice) % NAMES.len()]);
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    for name in ["postrider_session", "a", ""] {
        if let Some(value) = cookies::read(&headers, name) {
            assert!(!value.contains(';'));
        }
    }
    let (proxies, strangers) = (TrustedProxies(vec!["10.0.0.0/8".parse().unwrap()]), TrustedProxies(Vec::new()));
    for peer in ["10.1.2.3", "192.0.2.1", "::1"] {
        let peer = peer.parse().unwrap();
        drop(proxies.origin(peer, &headers));
        if let Some(client) = proxies.client(peer, &headers) {
            assert!(client == peer || proxies.trusts(peer), "a stranger was believed");
        }
        assert!(strangers.client(peer, &headers).is_none_or(|client| client == peer));
    }
}
