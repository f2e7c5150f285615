//! The API, called in the process: the same handlers, the same checks and the same refusals, with a visitor's rights.

use super::Dashboard;
use crate::{
    api::{Api, Caller, Problem},
    flow::Engine,
    model::{OrgId, Time},
};
use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode, header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{borrow::Cow, net::SocketAddr, sync::Arc};
use tower::ServiceExt;

/// Bytes of an answer at most: more than the largest page of the API.
const MAX_ANSWER_BYTES: usize = 512 << 20;
/// Headers that say where the request came in, and so what links look like.
const PASSED: [&str; 4] = ["host", "forwarded", "x-forwarded-proto", "x-forwarded-host"];

/// The API for one visitor.
pub(super) struct Desk {
    dashboard: Arc<Dashboard>,
    caller: Caller,
    headers: HeaderMap,
    peer: Option<ConnectInfo<SocketAddr>>,
}

impl Desk {
    pub(super) fn new(dashboard: Arc<Dashboard>, caller: Caller, parts: &Parts) -> Self {
        let passed = parts.headers.iter().filter(|(name, _)| PASSED.contains(&name.as_str()));
        let headers = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        Desk { dashboard, caller, headers, peer: parts.extensions.get().copied() }
    }

    /// What the API shares.
    pub(super) fn api(&self) -> &Api {
        &self.dashboard.api
    }

    /// The engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.dashboard.api.engine
    }

    /// Now.
    pub(super) fn now(&self) -> Time {
        self.engine().clock.now()
    }

    /// The visitor's organization.
    pub(super) fn org(&self) -> OrgId {
        self.caller.org
    }

    /// What the pages share.
    pub(super) fn dashboard(&self) -> &Arc<Dashboard> {
        &self.dashboard
    }

    /// What the API answers to a `GET`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.call(Method::GET, path, None).await
    }

    /// The same, or `None` where there is nothing.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Problem> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Problem::NotFound(_)) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// What the API answers. Only [`super::fields::Filled`] calls it with anything but `GET` and what changes nothing.
    pub(super) async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Value>) -> Result<T, Problem> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.headers.clone());
        }
        let request = match &body {
            Some(json) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(json.to_string())),
            None => request.body(Body::empty()),
        };
        let mut request = request.map_err(|_| Problem::not_found("page"))?;
        request.extensions_mut().insert(self.caller.clone());
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let Ok(response) = self.dashboard.service.clone().oneshot(request).await;
        if let Some(problem) = response.extensions().get::<Problem>() {
            return Err(problem.clone());
        }
        let status = response.status();
        let bytes = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await.map_err(|_| Problem::Internal)?;
        if !status.is_success() && status != StatusCode::NOT_MODIFIED {
            return Err(told(status, &bytes));
        }
        let read = if bytes.is_empty() { serde_json::from_value(Value::Null) } else { serde_json::from_slice(&bytes) };
        read.map_err(|error| {
            tracing::error!(%error, path, "an answer that the dashboard does not understand");
            Problem::Internal
        })
    }
}

/// What a surface with a form of its own refused: `{"error": {"message": …}}`, where the message names the field.
fn told(status: StatusCode, body: &[u8]) -> Problem {
    #[derive(Deserialize)]
    struct Refusal {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        message: String,
        #[serde(default)]
        field: Option<String>,
    }
    let said = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| refusal.error);
    if let Some(Detail { message, field: Some(field) }) = said.as_ref().filter(|_| status.is_client_error()) {
        let rule = message.strip_prefix(field.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message);
        let place: Vec<&str> = field.split('.').collect();
        return Problem::field(&place, "refused", rule.to_owned());
    }
    let said = said.map(|detail| detail.message);
    let or = |plain: &'static str| said.clone().map_or(Cow::Borrowed(plain), Cow::Owned);
    match status {
        StatusCode::UNAUTHORIZED => Problem::Unauthorized,
        StatusCode::FORBIDDEN => Problem::Forbidden(or("You may not do this.")),
        StatusCode::NOT_FOUND => Problem::NotFound(or("There is no such thing.")),
        StatusCode::CONFLICT => Problem::Conflict(or("Something is in the way.")),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
        StatusCode::SERVICE_UNAVAILABLE => Problem::Unavailable,
        StatusCode::INSUFFICIENT_STORAGE => Problem::Full,
        status if status.is_client_error() => Problem::BadRequest("refused", or("It was refused.")),
        status => {
            tracing::warn!(%status, "an answer without a meaning");
            Problem::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_surface_refuses_is_told_in_its_words() {
        let body = br#"{"error":{"code":"length","message":"name: It is empty.","field":"name"}}"#;
        assert_eq!(told(StatusCode::BAD_REQUEST, body), Problem::field(&["name"], "refused", "It is empty."));
        let problem = told(StatusCode::BAD_REQUEST, br#"{"error":{"message":"It is none."}}"#);
        assert_eq!((problem.status(), problem.words().detail.as_ref()), (StatusCode::BAD_REQUEST, "It is none."));
        let problem = told(StatusCode::NOT_FOUND, b"");
        assert_eq!((problem.status(), problem.words().detail.as_ref()), (StatusCode::NOT_FOUND, "There is no such thing."));
        assert_eq!(told(StatusCode::BAD_GATEWAY, body), Problem::Internal);
    }
}
