//! Any request before every handshake of the table.
#![no_main]

mod shape;

use libfuzzer_sys::fuzz_target;
use postrider_signature::{Settings, handshake, providers};

fuzz_target!(|data: &[u8]| {
    shape::request(data, |request| {
        for kind in providers().iter().filter_map(|provider| provider.handshake) {
            drop(handshake(kind, request, &["a secret"], &Settings::new(), true));
        }
    });
});
