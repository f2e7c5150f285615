//! Idempotent requests: the answer to a request that carries an `Idempotency-Key` is stored in the same commit as what it
//! did, and its repetition gets that answer.

use super::{
    Api, Shared,
    auth::{Caller, bearer},
    body::{json_text, to_text},
    problem::Problem,
};
use crate::{
    crypto::{fingerprint, hex},
    model::{Address, Answered, Kind, OrgId, Record, Time},
    store::{Change, StoreError},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(12 * 3600);
/// The longest key, in characters.
const MAX_KEY: usize = 256;
/// Carries the key.
const KEY_HEADER: &str = "idempotency-key";
/// Says that an answer is a stored one.
const REPLAYED_HEADER: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What the vault is told when it seals an answer.
pub(super) const ANSWER_PURPOSE: &str = "idempotent answer";
/// Stands before an answer that is sealed; no JSON starts so.
pub(super) const SEALED_MARK: &str = "sealed:";

/// What a key may be, for the description of the API.
pub(super) fn limits() -> Value {
    json!({ "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$" })
}

/// The idempotency key of a request, if it has one. Call [`Idempotent::begin`] first.
#[derive(Clone, Debug)]
pub struct Idempotent(Option<Keyed>);

/// A request with an idempotency key.
#[derive(Clone, Debug)]
pub struct Keyed {
    org: OrgId,
    key: String,
    request: String,
    expires_at: Time,
}

impl Keyed {
    /// What tells one part of the request's work from the others and from other requests, and until when it does: for marks
    /// of what was done when the request is repeated after it was cut off.
    #[must_use]
    pub fn part(&self, part: &str) -> (String, Time) {
        (digest(&["part", &self.key, part]), self.expires_at)
    }

    /// The answer, to be stored with what the request does.
    #[must_use]
    pub fn answered(&self, status: StatusCode, body: String) -> Answered {
        Answered {
            org: self.org,
            key: self.key.clone(),
            request: self.request.clone(),
            status: status.as_u16(),
            body,
            expires_at: self.expires_at,
        }
    }

    /// As [`Keyed::answered`], encrypted: for answers that hold a secret or a token.
    ///
    /// # Errors
    /// 500 when the vault has no key.
    pub fn answered_sealed(&self, api: &Api, status: StatusCode, body: &str) -> Result<Answered, Problem> {
        let sealed = api.engine.vault.seal(&api.engine.random, ANSWER_PURPOSE, body.as_bytes()).map_err(|error| {
            tracing::error!(%error, "an answer cannot be sealed");
            Problem::Internal
        })?;
        Ok(self.answered(status, format!("{SEALED_MARK}{}", sealed.0)))
    }

    fn address(&self) -> Address {
        Address::new(Kind::Answered, self.org, &self.key)
    }
}

impl FromRequestParts<Shared> for Idempotent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(KEY_HEADER) else { return Ok(Idempotent(None)) };
        let value = checked(value)?.to_owned();
        let caller = Caller::from_request_parts(parts, api).await?;
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let token = bearer(parts).ok_or(Problem::Unauthorized)?;
        let key = digest(&[token, parts.method.as_str(), path, &value]);
        let expires_at = api.engine.clock.now().plus(KEPT_FOR);
        Ok(Idempotent(Some(Keyed { org: caller.org, key, request: String::new(), expires_at })))
    }
}

fn checked(value: &HeaderValue) -> Result<&str, Problem> {
    let text = value.to_str().ok().filter(|text| (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()));
    let msg = "An idempotency key is 1 to 256 printable ASCII characters without blanks.";
    text.ok_or_else(|| Problem::field(&["header", KEY_HEADER], "pattern", msg))
}

/// SHA-256 over parts, hex; each part with its length in front, so that no two lists of parts look the same.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

impl Idempotent {
    /// The stored answer, when the request is a repetition. `body` is the request's.
    ///
    /// # Errors
    /// 409 when the key came with another body; the store is away.
    pub async fn begin(&mut self, api: &Api, body: &[u8]) -> Result<Option<Response>, Problem> {
        let Some(keyed) = &mut self.0 else { return Ok(None) };
        keyed.request = fingerprint(body);
        stored(api, keyed).await
    }

    /// The request's key, if it has one.
    #[must_use]
    pub fn keyed(&self) -> Option<&Keyed> {
        self.0.as_ref()
    }

    /// The answer as a record, for the commit that does what the request asks.
    #[must_use]
    pub fn answered(&self, status: StatusCode, body: String) -> Option<Record> {
        self.0.as_ref().map(|keyed| Record::Answered(keyed.answered(status, body)))
    }

    /// The answer of a request that was repeated while it ran: to be read when the commit says [`Problem::Repeated`].
    ///
    /// # Errors
    /// 409 when the key came with another body; the store is away.
    pub async fn replay(&self, api: &Api) -> Result<Response, Problem> {
        let Some(keyed) = &self.0 else { return Err(Problem::Repeated) };
        stored(api, keyed).await?.ok_or(Problem::Repeated)
    }

    /// The result of a request: its twin's answer when that came first.
    ///
    /// # Errors
    /// The request's own.
    pub async fn settle(&self, api: &Api, result: Result<Response, Problem>) -> Result<Response, Problem> {
        match result {
            Err(Problem::Repeated) => self.replay(api).await,
            other => other,
        }
    }

    /// Commits changes together with their answer, and answers.
    ///
    /// # Errors
    /// The commit's; never [`Problem::Repeated`] while the twin's answer can be read.
    pub async fn commit(
        &self,
        api: &Api,
        mut changes: Vec<Change>,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = to_text(body)?;
        changes.extend(self.answered(status, body.clone()).map(Change::Insert));
        self.finish(api, changes, status, body).await
    }

    /// As [`Idempotent::commit`], for answers that hold a secret or a token: they are stored encrypted.
    ///
    /// # Errors
    /// As [`Idempotent::commit`].
    pub async fn commit_sealed(
        &self,
        api: &Api,
        mut changes: Vec<Change>,
        status: StatusCode,
        body: &impl Serialize,
    ) -> Result<Response, Problem> {
        let body = to_text(body)?;
        if let Some(keyed) = &self.0 {
            changes.push(Change::Insert(Record::Answered(keyed.answered_sealed(api, status, &body)?)));
        }
        self.finish(api, changes, status, body).await
    }

    /// As [`Idempotent::commit`], for answers without a body.
    ///
    /// # Errors
    /// As [`Idempotent::commit`].
    pub async fn commit_empty(&self, api: &Api, mut changes: Vec<Change>, status: StatusCode) -> Result<Response, Problem> {
        changes.extend(self.answered(status, String::new()).map(Change::Insert));
        self.finish(api, changes, status, String::new()).await
    }

    async fn finish(&self, api: &Api, changes: Vec<Change>, status: StatusCode, body: String) -> Result<Response, Problem> {
        let result = if changes.is_empty() { Ok(()) } else { api.engine.change(changes).await };
        self.settle(api, result.map(|()| answer(status, body)).map_err(Problem::from)).await
    }
}

/// An answer with a JSON body, or none when the text is empty.
fn answer(status: StatusCode, body: String) -> Response {
    if body.is_empty() { status.into_response() } else { json_text(status, body) }
}

async fn stored(api: &Api, keyed: &Keyed) -> Result<Option<Response>, Problem> {
    let found: Result<_, StoreError> = api.engine.store.find(&keyed.address(), api.engine.clock.now()).await;
    let Some(Record::Answered(answered)) = found?.map(|stored| stored.record) else { return Ok(None) };
    if answered.request != keyed.request {
        return Err(Problem::conflict("This idempotency key came with another body before."));
    }
    let body = match answered.body.strip_prefix(SEALED_MARK) {
        Some(sealed) => open(api, sealed)?,
        None => answered.body,
    };
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = answer(status, body);
    response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    Ok(Some(response))
}

fn open(api: &Api, sealed: &str) -> Result<String, Problem> {
    let sealed = crate::model::Sealed(sealed.to_owned());
    api.engine.vault.open_text(ANSWER_PURPOSE, &sealed).map(|text| text.to_string()).map_err(|error| {
        tracing::error!(%error, "a stored answer does not open");
        Problem::Internal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_and_short() {
        let ok = |text: &str| checked(&HeaderValue::from_bytes(text.as_bytes()).unwrap()).is_ok();
        assert!(ok("auto_2a6c") && ok(&"k".repeat(256)));
        assert!(!ok("") && !ok(&"k".repeat(257)) && !ok("a b") && !ok("é") && !ok("a\tb"));
    }

    #[test]
    fn digests_keep_their_parts_apart() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_eq!(digest(&[]).len(), 64);
    }

    #[test]
    fn no_key_keeps_nothing() {
        assert!(Idempotent(None).answered(StatusCode::OK, "{}".into()).is_none());
        let keyed = Keyed { org: OrgId(1), key: "k".into(), request: "r".into(), expires_at: Time(9) };
        let Some(Record::Answered(kept)) = Idempotent(Some(keyed)).answered(StatusCode::CREATED, "{}".into()) else { panic!() };
        assert_eq!((kept.status, kept.body.as_str(), kept.expires_at), (201, "{}", Time(9)));
    }
}
