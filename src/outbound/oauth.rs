//! Access tokens by the client credentials grant (RFC 6749, section 4.4): fetched once for all that need it, kept until
//! shortly before its end, fetched again when a receiver refuses it. The token endpoint is a target like any other: guarded,
//! bounded, and its failures are data.

use super::{Outbound, OutboundRequest, Target, Way, WayError};
use crate::model::{Cause, ClientGrant, Outcome, Placement};
use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use parking_lot::Mutex as Lock;
use serde::Deserialize;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

/// One deadline for a request for a token; that of the attempt bounds it too.
const FETCH_WITHIN: Duration = Duration::from_secs(10);
/// A token of which no end is told is used for so long.
const LASTS_BY_DEFAULT: Duration = Duration::from_secs(300);
/// The longest that a token is used.
const LASTS_AT_MOST: Duration = Duration::from_secs(86_400);
/// A token is fetched anew so long before its end, or in the last tenth of its life if that is shorter.
const EARLY: Duration = Duration::from_secs(60);
/// How long attempts share a failure before the token endpoint is asked again.
const FAILURE_SHARED: Duration = Duration::from_secs(1);
/// Bytes of a token at most.
const TOKEN_BYTES: usize = 16 * 1024;
/// Characters of the token endpoint's own word for an error that are shown.
const ERROR_CHARS: usize = 64;
/// The status by which a receiver refuses a token.
const UNAUTHORIZED: u16 = 401;

/// Where an endpoint's tokens come from, and the one it has.
pub struct TokenSource {
    grant: ClientGrant,
    target: Target,
    request: OutboundRequest,
    held: ArcSwapOption<Held>,
    fetching: Mutex<()>,
    failed: Lock<Option<(Instant, String)>>,
}

struct Held {
    header: HeaderValue,
    /// From then on somebody fetches the next one.
    renew_at: Instant,
    ends_at: Instant,
}

/// What a token endpoint answers (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<f64>,
}

/// What it answers when it does not (section 5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// A source without a token yet.
    ///
    /// # Errors
    /// The URL cannot be used, or the client's name or secret cannot be sent.
    pub fn new(grant: &ClientGrant, way: Option<Arc<Way>>) -> Result<Self, WayError> {
        let target = Target::parse(&grant.token_url).map_err(WayError::TokenUrl)?.by(way);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(grant.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(grant.audience.iter().map(|audience| ("audience", audience)));
        match grant.placed {
            Placement::Header => {
                // Each is form-encoded before they are joined (RFC 6749, section 2.3.1).
                let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", coded(&grant.client_id), coded(&grant.client_secret.0));
                let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).map_err(|_| WayError::Header)?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Placement::Body => {
                form.append_pair("client_id", &grant.client_id);
                form.append_pair("client_secret", &grant.client_secret.0);
            }
        }
        let request = OutboundRequest { method: Method::POST, headers, body: Bytes::from(form.finish()) };
        let (held, fetching, failed) = (ArcSwapOption::empty(), Mutex::new(()), Lock::new(None));
        Ok(TokenSource { grant: grant.clone(), target, request, held, fetching, failed })
    }

    /// Whether both ask the same of the same token endpoint by the same way.
    #[must_use]
    pub fn is_same(&self, other: &TokenSource) -> bool {
        self.grant == other.grant && self.target.origin == other.target.origin
    }

    /// One try of a request with a token. A token that the receiver refuses, and that was not fetched for this very try, is
    /// replaced, and the request sent once more: a receiver that answers 401 has not taken it. The outcome says so.
    pub async fn send(&self, outbound: &Outbound, target: &Target, request: OutboundRequest, deadline: Duration) -> Outcome {
        let begun = Instant::now();
        let end = begun + deadline;
        let (first, fresh) = match self.token(outbound, end).await {
            Ok(token) => token,
            Err(words) => return Outcome::failed(Cause::NoToken, words),
        };
        let outcome = self.send_with(outbound, (target, &first.header), request.clone(), end).await;
        if outcome.status != Some(UNAUTHORIZED) {
            return outcome;
        }
        self.forget(&first);
        if fresh {
            return outcome;
        }
        let next = match self.token(outbound, end).await {
            Ok((next, _)) => next,
            Err(words) => {
                return Outcome {
                    cause: Cause::NoToken,
                    detail: format!("the receiver answered 401, and then {words}"),
                    ..outcome
                };
            }
        };
        let mut again = self.send_with(outbound, (target, &next.header), request, end).await;
        if again.status == Some(UNAUTHORIZED) {
            self.forget(&next);
        }
        let separator = if again.detail.is_empty() { "" } else { "; " };
        again.detail = format!("{}{separator}sent again with a fresh token after a 401", again.detail);
        again.phases.total_us = super::send::micros(begun);
        again
    }

    async fn send_with(
        &self,
        outbound: &Outbound,
        (target, header): (&Target, &HeaderValue),
        mut request: OutboundRequest,
        end: Instant,
    ) -> Outcome {
        request.headers.insert(AUTHORIZATION, header.clone());
        outbound.send(target, request, end.saturating_duration_since(Instant::now())).await
    }

    /// A token, and whether it was fetched just now.
    async fn token(&self, outbound: &Outbound, end: Instant) -> Result<(Arc<Held>, bool), String> {
        let now = Instant::now();
        if let Some(held) = self.held.load_full().filter(|held| now < held.ends_at) {
            if now < held.renew_at {
                return Ok((held, false));
            }
            // It is good still: one goes for the next, the others need not wait.
            let Ok(_turn) = self.fetching.try_lock() else { return Ok((held, false)) };
            return Ok(self.fetch(outbound, end).await.map_or((held, false), |next| (next, true)));
        }
        let Ok(_turn) = timeout_at(end, self.fetching.lock()).await else {
            return Err("the token endpoint did not answer within the time allowed".to_owned());
        };
        if let Some(held) = self.held.load_full().filter(|held| Instant::now() < held.renew_at) {
            return Ok((held, true));
        }
        if let Some((_, words)) = self.failed.lock().as_ref().filter(|(at, _)| at.elapsed() < FAILURE_SHARED) {
            return Err(words.clone());
        }
        let fetched = self.fetch(outbound, end).await.map(|next| (next, true));
        *self.failed.lock() = fetched.as_ref().err().map(|words| (Instant::now(), words.clone()));
        fetched
    }

    fn forget(&self, refused: &Arc<Held>) {
        let mine = |held: &Option<Arc<Held>>| held.as_ref().is_some_and(|held| Arc::ptr_eq(held, refused));
        self.held.rcu(|held| if mine(held) { None } else { held.clone() });
    }

    async fn fetch(&self, outbound: &Outbound, end: Instant) -> Result<Arc<Held>, String> {
        let within = end.saturating_duration_since(Instant::now()).min(FETCH_WITHIN);
        let outcome = outbound.send(&self.target, self.request.clone(), within).await;
        let held = Arc::new(read(&outcome, Instant::now())?);
        self.held.store(Some(Arc::clone(&held)));
        Ok(held)
    }
}

fn read(outcome: &Outcome, now: Instant) -> Result<Held, String> {
    let Some(status) = outcome.status else { return Err(format!("of the token endpoint: {}", outcome.cause.sentence())) };
    let (header, lasts) = understand((status, outcome.succeeded()), &outcome.body)?;
    Ok(Held { header, renew_at: now + lasts - EARLY.min(lasts / 10), ends_at: now + lasts })
}

/// What an answer of a token endpoint means: the header to send, and for how long it is used.
///
/// # Errors
/// There is no token in it that can be used; why, in words for people.
pub fn decode_token(status: u16, body: &[u8]) -> Result<(HeaderValue, Duration), String> {
    understand((status, (200..300).contains(&status)), body)
}

fn understand((status, succeeded): (u16, bool), body: &[u8]) -> Result<(HeaderValue, Duration), String> {
    if !succeeded {
        let word = serde_json::from_slice::<Refused>(body).ok().map(|refused| refused.error);
        // The word is for people and may be anything: only what is plain is shown.
        let plain = |word: &String| word.len() <= ERROR_CHARS && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return Err(match word.filter(plain) {
            Some(word) => format!("the token endpoint answered {status} ({word})"),
            None => format!("the token endpoint answered {status}"),
        });
    }
    let strange = |what: &str| Err(format!("the token endpoint's answer {what}"));
    let Ok(granted) = serde_json::from_slice::<Granted>(body) else { return strange("holds no access token") };
    if granted.token_type.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return strange("holds a token that is not a bearer token");
    }
    let graphic = granted.access_token.bytes().all(|b| b.is_ascii_graphic());
    if granted.access_token.is_empty() || granted.access_token.len() > TOKEN_BYTES || !graphic {
        return strange("holds a token that a header cannot carry");
    }
    let lasts = match granted.expires_in {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
            Duration::try_from_secs_f64(seconds).unwrap_or(LASTS_AT_MOST).min(LASTS_AT_MOST)
        }
        Some(_) => Duration::ZERO,
        None => LASTS_BY_DEFAULT,
    };
    let Ok(mut header) = HeaderValue::try_from(format!("Bearer {}", granted.access_token)) else {
        return strange("holds a token that a header cannot carry");
    };
    header.set_sensitive(true);
    Ok((header, lasts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &'static str) -> Outcome {
        let cause = if status == 200 { Cause::Success } else { Cause::BadStatus };
        Outcome { status: Some(status), body: Bytes::from_static(body.as_bytes()), ..Outcome::failed(cause, "") }
    }

    fn words(outcome: &Outcome) -> String {
        read(outcome, Instant::now()).err().unwrap()
    }

    #[tokio::test]
    async fn answers_are_read_with_care() {
        let now = Instant::now();
        let held = read(&answered(200, r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#), now).unwrap();
        assert_eq!(held.header, "Bearer abc");
        assert!(held.header.is_sensitive());
        assert_eq!((held.renew_at - now, held.ends_at - now), (Duration::from_secs(3540), Duration::from_secs(3600)));
        let brief = read(&answered(200, r#"{"access_token":"abc","expires_in":10}"#), now).unwrap();
        assert_eq!(brief.renew_at - now, Duration::from_secs(9));
        assert_eq!(words(&answered(500, "boom")), "the token endpoint answered 500");
        assert_eq!(words(&answered(401, r#"{"error":"invalid_client"}"#)), "the token endpoint answered 401 (invalid_client)");
        assert_eq!(words(&answered(400, r#"{"error":"<script>"}"#)), "the token endpoint answered 400");
        assert!(words(&answered(200, "{}")).contains("no access token"));
        assert!(words(&answered(200, r#"{"access_token":"a","token_type":"mac"}"#)).contains("not a bearer"));
        assert!(words(&answered(200, r#"{"access_token":"a\r\nx: y"}"#)).contains("cannot carry"));
        assert!(words(&Outcome::failed(Cause::NameNotFound, "")).contains("does not resolve"));
    }
}
