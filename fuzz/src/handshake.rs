//! Any request before every handshake of the table.

use postrider_signature::{Settings, handshake, providers};

pub fn run(data: &[u8]) {
    super::shape::request(data, |request| {
        for kind in providers().iter().filter_map(|provider| provider.handshake) {
            drop(handshake(kind, request, &["a secret"], &Settings::new(), true));
        }
    });
}
