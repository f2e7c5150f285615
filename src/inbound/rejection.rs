//! Rejections: what was refused is recorded, so that its owner can see why, and never so often or so long that a stranger
//! could fill the disk with it.

use super::{Compiled, Head, Reason, State, Throttle};
use crate::{
    flow::Engine,
    model::{Record, Rejection, RejectionId, Time},
    store::Change,
};
use bytes::Bytes;
use http::HeaderMap;
use std::{sync::Arc, time::Duration};

/// How long a rejection is kept: 7 days.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Bytes of names and values of the headers that are kept.
const HEADER_BYTES: usize = 8 * 1024;
/// Bytes of the body that are kept.
const BODY_BYTES: usize = 1024;
/// Bytes of the reason in words that are kept.
const DETAIL_BYTES: usize = 512;
/// Put in place of a credential.
const LEFT_OUT: Bytes = Bytes::from_static(b"(left out)");
/// In a body, the name of a secret that its sender brings (Notion).
const BROUGHT: &str = "verification_token";
/// A header whose name contains one of these is taken for a credential's.
const SENSITIVE: [&str; 9] =
    ["authorization", "auth-token", "access-key", "api-key", "apikey", "cookie", "password", "secret", "token"];

/// Of all sources together: so many at once, then ten a second.
const AT_ONCE: (u64, Duration) = (200, Duration::from_millis(100));
/// Of all sources in the long run: so many, then one every ten seconds. Some 80,000 in the time for which they are kept,
/// of ten kilobytes each at most.
const IN_THE_LONG_RUN: (u64, Duration) = (20_000, Duration::from_secs(10));
/// Of one source: twenty at once, then one a second.
const OWN_AT_ONCE: (u64, Duration) = (20, Duration::from_secs(1));
/// Of one source in the long run: two thousand, then one a minute.
const OWN_IN_THE_LONG_RUN: (u64, Duration) = (2000, Duration::from_secs(60));

/// What one source may have recorded.
#[derive(Debug)]
pub(super) struct Allowance {
    at_once: Throttle,
    in_the_long_run: Throttle,
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance { at_once: Throttle::new(OWN_AT_ONCE), in_the_long_run: Throttle::new(OWN_IN_THE_LONG_RUN) }
    }
}

/// Records rejections.
pub(super) struct Rejections {
    engine: Arc<Engine>,
    at_once: Throttle,
    in_the_long_run: Throttle,
}

impl Rejections {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Rejections { engine, at_once: Throttle::new(AT_ONCE), in_the_long_run: Throttle::new(IN_THE_LONG_RUN) }
    }

    /// Records why a request was refused, if there is room for it; otherwise it is counted. `body`: as far as it was read.
    pub(super) async fn record(&self, source: &Compiled, head: &Head, body: &Bytes, reason: &Reason) {
        State::count(&source.state.rejected);
        let now = self.engine.clock.now();
        if !self.has_room(&source.state.allowance) {
            return State::count(&source.state.unrecorded);
        }
        let mut detail = reason.inside().into_owned();
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES));
        let rejection = Rejection {
            id: RejectionId(self.engine.random.id(now)),
            source: source.source.id,
            reason: reason.code().to_owned(),
            detail,
            method: head.method.as_str().chars().take(32).collect(),
            remote: head.remote.to_string(),
            headers: kept(&head.headers, &source.secrets(now)),
            body: if tells_secret(body, source, now) { LEFT_OUT } else { first(body) },
            expires_at: now.plus(KEPT),
        };
        if let Err(error) = self.engine.store.change(vec![Change::Write(Record::Rejection(rejection))], now).await {
            State::count(&source.state.unrecorded);
            tracing::warn!(%error, source = %source.source.id, "a rejection is not recorded");
        }
    }

    fn has_room(&self, own: &Allowance) -> bool {
        let now = self.engine.clock.now();
        let throttles = [&own.at_once, &own.in_the_long_run, &self.at_once, &self.in_the_long_run];
        let passed = throttles.iter().take_while(|throttle| throttle.pass(now)).count();
        if passed < throttles.len() {
            throttles.iter().take(passed).for_each(|throttle| throttle.give_back());
        }
        passed == throttles.len()
    }
}

fn first(body: &Bytes) -> Bytes {
    Bytes::copy_from_slice(body.get(..BODY_BYTES).unwrap_or(body))
}

/// Whether the body holds a live secret, or one that a sender brings in a handshake.
fn tells_secret(body: &Bytes, source: &Compiled, now: Time) -> bool {
    holds(body, &source.secrets(now)) || holds(body, &[BROUGHT])
}

/// Whether any of the texts stands in the bytes.
fn holds(bytes: &[u8], texts: &[&str]) -> bool {
    texts.iter().filter(|text| !text.is_empty()).any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// The headers, up to the bound, without credentials.
fn kept(headers: &HeaderMap, secrets: &[&str]) -> Vec<(String, Bytes)> {
    let mut room = HEADER_BYTES;
    let mut kept = Vec::new();
    for (name, value) in headers {
        let name = name.as_str();
        let value = match SENSITIVE.iter().any(|part| name.contains(part)) || holds(value.as_bytes(), secrets) {
            true => LEFT_OUT,
            false => Bytes::copy_from_slice(value.as_bytes()),
        };
        let Some(left) = room.checked_sub(name.len() + value.len()) else { continue };
        room = left;
        kept.push((name.to_owned(), value));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_headers_are_bounded_and_name_no_credential() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer x".parse().unwrap());
        headers.insert("x-gitlab-token", "x".parse().unwrap());
        headers.insert("x-long", "a".repeat(HEADER_BYTES).parse().unwrap());
        headers.insert("x-signature", "sha256=1".parse().unwrap());
        headers.insert("x-hook-key", "Bearer custom".parse().unwrap());
        let kept = kept(&headers, &["custom"]);
        assert_eq!(
            kept,
            [
                ("authorization".to_owned(), LEFT_OUT),
                ("x-gitlab-token".to_owned(), LEFT_OUT),
                ("x-signature".to_owned(), Bytes::from_static(b"sha256=1")),
                ("x-hook-key".to_owned(), LEFT_OUT),
            ]
        );
    }
}
