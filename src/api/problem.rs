//! Problems: every refusal of the API, by meaning, with the status and body that the compatible clients' contract gives it.

use crate::{
    model::Kind,
    store::{Conflict, StoreError},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{Ref, RefOr, ResponseBuilder, content::ContentBuilder, response},
};

/// When a client may come back after the store was away, or after too much at once, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// Body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "HttpError")]
pub struct HttpErrorOut {
    /// One word that stays the same: branch on it.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
}

/// Body of a refusal that names the fields at fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HTTPValidationError {
    /// One entry a fault.
    pub detail: Vec<ValidationErrorItem>,
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ValidationErrorItem {
    /// Where it is: `["body", "name"]`, `["query", "limit"]`, as deep as needed.
    pub loc: Vec<String>,
    /// The rule, as a sentence.
    pub msg: Cow<'static, str>,
    /// The rule, as a word: `missing`, `type_error`, `length`, `pattern`, `range`, …
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
}

/// Every refusal, by meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// 400: not understood at all.
    BadRequest(&'static str, Cow<'static, str>),
    /// 401: no token, or one that is unknown, revoked or expired.
    Unauthorized,
    /// 403: the token may not do this.
    Forbidden(Cow<'static, str>),
    /// 404: no such thing, or not the caller's.
    NotFound(Cow<'static, str>),
    /// 405
    MethodNotAllowed,
    /// 409
    Conflict(Cow<'static, str>),
    /// 409: the answer to this idempotency key was stored meanwhile. [`super::idempotency::Idempotent::settle`] replays it.
    Repeated,
    /// 413: a body over the limit.
    TooLarge,
    /// 415: a body that says it is not JSON.
    NotJson,
    /// 422: understood, but against a rule.
    Invalid(Vec<ValidationErrorItem>),
    /// 429: too much of it at once.
    TooMany(Cow<'static, str>),
    /// 500: we broke. The cause is in the log, never in the answer.
    Internal,
    /// 503: the store does not answer.
    Unavailable,
    /// 507: the disk is full.
    Full,
}

impl Problem {
    /// 404 for a kind of thing: `"endpoint"`.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Problem::NotFound(format!("There is no such {what}.").into())
    }

    /// 409, with a sentence.
    #[must_use]
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::Conflict(detail.into())
    }

    /// 403, with a sentence.
    #[must_use]
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::Forbidden(detail.into())
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Self {
        Problem::Unauthorized
    }

    /// 400, with a word and a sentence.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::BadRequest(code, detail.into())
    }

    /// 422 for one place: where it is, the rule's word, the rule's sentence.
    #[must_use]
    pub fn field(loc: &[&str], kind: &'static str, msg: impl Into<Cow<'static, str>>) -> Self {
        let loc = loc.iter().map(ToString::to_string).collect();
        Problem::Invalid(vec![ValidationErrorItem { loc, msg: msg.into(), kind: kind.into() }])
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::BadRequest(..) => StatusCode::BAD_REQUEST,
            Problem::Unauthorized => StatusCode::UNAUTHORIZED,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::NotFound(_) => StatusCode::NOT_FOUND,
            Problem::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Conflict(_) | Problem::Repeated => StatusCode::CONFLICT,
            Problem::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Problem::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Full => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// The word and the sentence.
    pub(crate) fn words(self) -> HttpErrorOut {
        let (code, detail): (&'static str, Cow<'static, str>) = match self {
            Problem::BadRequest(code, detail) => (code, detail),
            Problem::Unauthorized => ("authentication_failed", "Send a valid token: `Authorization: Bearer …`.".into()),
            Problem::Forbidden(detail) => ("permission_denied", detail),
            Problem::NotFound(detail) => ("not_found", detail),
            Problem::MethodNotAllowed => ("method_not_allowed", "This path does not take this method.".into()),
            Problem::Conflict(detail) => ("conflict", detail),
            Problem::Repeated => ("conflict", "A request with this idempotency key has just been answered; repeat it.".into()),
            Problem::TooLarge => ("payload_too_large", "The body is larger than this server accepts.".into()),
            Problem::NotJson => ("unsupported_media_type", "Send JSON: `Content-Type: application/json`.".into()),
            Problem::Invalid(_) => ("validation", "The request breaks a rule.".into()),
            Problem::TooMany(detail) => ("too_many_requests", detail),
            Problem::Internal => ("server_error", "Something went wrong on our side.".into()),
            Problem::Unavailable => ("unavailable", "The store does not answer; try again.".into()),
            Problem::Full => ("insufficient_storage", "The disk is full; nothing was stored.".into()),
        };
        HttpErrorOut { code: code.into(), detail }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let meaning = self.clone();
        let mut response = match self {
            Problem::Invalid(detail) => (status, axum::Json(HTTPValidationError { detail })).into_response(),
            other => (status, axum::Json(other.words())).into_response(),
        };
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // A surface with a form of its own says it again.
        response.extensions_mut().insert(meaning);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::Record(Kind::Answered)) => Problem::Repeated,
            StoreError::Conflict(conflict) => Problem::conflict(match conflict {
                Conflict::Record(Kind::Application) => "An application with this uid exists.",
                Conflict::Record(Kind::Endpoint) => "An endpoint of this application with this uid exists.",
                Conflict::Record(Kind::EventType) => "An event type with this name exists.",
                Conflict::Record(Kind::Source) => "A source with this uid exists.",
                Conflict::EventId => "A message of this application with this event id exists.",
                Conflict::Record(_) => "It exists.",
            }),
            StoreError::Stale => Problem::conflict("It was changed at the same moment; read it and try again."),
            StoreError::Full => Problem::Full,
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause, "the store is unavailable");
                Problem::Unavailable
            }
            error @ StoreError::Broken => {
                tracing::warn!(%error, "nothing is written");
                Problem::Unavailable
            }
            StoreError::Damaged(cause) => {
                tracing::error!(cause, "the store is damaged");
                Problem::Internal
            }
        }
    }
}

/// The refusals that every operation may answer with, for the OpenAPI document.
#[derive(Debug)]
pub struct Errors;

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let named = |schema: &str, text: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            RefOr::T(ResponseBuilder::new().description(text).content("application/json", content).build())
        };
        let plain = [
            ("400", "Bad request"),
            ("401", "Unauthorized"),
            ("403", "Forbidden"),
            ("404", "Not Found"),
            ("409", "Conflict"),
            ("413", "Payload Too Large"),
            ("429", "Too Many Requests"),
            ("503", "Store unavailable"),
            ("507", "Disk full"),
        ];
        let plain = plain.iter().map(|(status, text)| ((*status).to_owned(), named("HttpErrorOut", text)));
        plain.chain([("422".to_owned(), named("HTTPValidationError", "Validation Error"))]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn answer(problem: Problem) -> (u16, serde_json::Value) {
        let response = problem.into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn bodies_have_the_shape_of_the_contract() {
        let (status, body) = answer(Problem::not_found("endpoint")).await;
        assert_eq!(
            (status, body["code"].as_str(), body["detail"].as_str()),
            (404, Some("not_found"), Some("There is no such endpoint."))
        );
        let (status, body) = answer(Problem::field(&["body", "name"], "length", "too long")).await;
        assert_eq!(status, 422);
        assert_eq!(body, serde_json::json!({"detail": [{"loc": ["body", "name"], "msg": "too long", "type": "length"}]}));
    }

    #[tokio::test]
    async fn the_store_s_troubles_stay_inside() {
        let (status, body) = answer(StoreError::Damaged("secret path".into()).into()).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("secret"));
        let response = Problem::from(StoreError::Unavailable("x".into())).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(Problem::from(StoreError::Full).status().as_u16(), 507);
        assert_eq!(Problem::from(StoreError::Conflict(Conflict::Record(Kind::Answered))), Problem::Repeated);
    }
}
