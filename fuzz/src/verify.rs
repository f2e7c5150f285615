//! Any request before any provider of the table: the first byte chooses.

use postrider_signature::{Settings, Verifier, providers};
use std::sync::LazyLock;

/// Secrets in the forms that schemes read, so that every row gets a verifier.
const SECRETS: [&str; 5] = [
    "a secret",
    "user:password",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
];

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let settings: Settings = providers()
        .iter()
        .flat_map(|provider| &provider.settings)
        .filter(|setting| setting.required)
        .map(|setting| (setting.name.clone(), "https://example.com/".to_owned()))
        .collect();
    let usable = |provider| SECRETS.iter().find_map(|secret| Verifier::new(provider, &[secret], &settings).ok());
    providers().iter().filter_map(usable).collect()
});

pub fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some(verifier) = VERIFIERS.get(usize::from(*choice) % VERIFIERS.len()) else { return };
    super::shape::request(rest, |request| drop(verifier.verify(request, 1_700_000_000_000)));
}
