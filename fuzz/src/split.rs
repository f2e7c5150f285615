//! Any body as a batch of every provider that sends batches.

use postrider_signature::{providers, split};

pub fn run(body: &[u8]) {
    for provider in providers().iter().filter(|provider| provider.batch.is_some()) {
        for element in split(provider, body).unwrap_or_default() {
            assert!(element.range.end <= body.len());
        }
    }
}
