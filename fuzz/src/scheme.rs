//! Any text as a scheme (its grammar, its templates, its places), and a request before whatever was read from it.

use postrider_signature::{Request, Scheme, Settings, Verifier};

pub fn run(data: &[u8]) {
    let (text, body) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(scheme) = Scheme::from_json(text) else { return };
    let Ok(verifier) = Verifier::custom(&scheme, &["a secret"], &Settings::new()) else { return };
    let headers = [("x-signature", body), ("authorization", body)];
    let request = Request { method: "POST", url: "https://example.com/in/x?a=b", headers: &headers, body };
    drop(verifier.verify(&request, 1_700_000_000_000));
}
