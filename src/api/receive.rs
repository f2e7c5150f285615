//! `/in/{token}`: where third parties post. What comes is judged and recorded by [`crate::inbound`]; here it becomes HTTP.

use super::{
    Base, Path, Problem, Shared,
    base::{NOWHERE, peer},
    problem::HttpErrorOut,
};
use crate::{
    inbound::{Head, Reason, Received},
    model::SourceAnswer,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
    routing::any,
};
use postrider_signature::Reply;
use std::borrow::Cow;
use utoipa::{OpenApi, openapi};

/// What a body of a source's own is, unless its owner says otherwise.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// What the owner of a source has chosen, or a sender makes us repeat, is no page of this server: a browser that is led to it runs
/// nothing of it, and takes it for what it is said to be.
const HARMLESS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];
/// When a sender may come back for whom there was no room, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

#[derive(OpenApi)]
#[openapi(paths(receive))]
struct Receiving;

/// The description of the receive route: the same operation by every method that carries events or handshakes.
pub(super) fn description() -> openapi::OpenApi {
    let mut description = Receiving::openapi();
    for item in description.paths.paths.values_mut() {
        let Some(post) = item.post.take() else { continue };
        let by = |method: &str| {
            let mut operation = post.clone();
            operation.operation_id = Some(format!("v1.receive.{method}"));
            operation.request_body = operation.request_body.filter(|_| !matches!(method, "get" | "head" | "options"));
            Some(operation)
        };
        (item.post, item.put, item.patch, item.delete) = (by("post"), by("put"), by("patch"), by("delete"));
        (item.get, item.head, item.options) = (by("get"), by("head"), by("options"));
    }
    description
}

/// The receive route.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/in/{token}", any(receive))
}

/// Where third parties post: no token of the API is needed, the request is judged by its source's scheme. Which methods carry
/// events the source says; GET, HEAD, OPTIONS and POST carry handshakes of providers that have them. A 2xx means that the event
/// is durable, now or since before; whatever is no 2xx is best sent again, but for 404, 405 and 413.
#[utoipa::path(
    post,
    path = "/in/{token}",
    operation_id = "v1.receive.post",
    tag = "Source",
    summary = "Receive",
    security(()),
    params(("token" = String, Path, description = "The token of the source's URL")),
    request_body(content = String, content_type = "*/*", description = "Whatever the third party sends, up to the source's `maxBody`"),
    responses(
        (status = "2XX", description = "Recorded: the status, headers and body that the source's owner has chosen, 200 and empty by default. A handshake: what the provider expects"),
        (status = 400, description = "The body ended early, or is not the batch that it should be", body = HttpErrorOut),
        (status = 401, description = "The signature is missing, malformed, stale or wrong: `code` says which", body = HttpErrorOut),
        (status = 403, description = "The address is not on the source's list, or a handshake is not for this source", body = HttpErrorOut),
        (status = 404, description = "No source has this token", body = HttpErrorOut),
        (status = 405, description = "The source takes other methods: `Allow` names them", body = HttpErrorOut),
        (status = 408, description = "The body did not come in time", body = HttpErrorOut),
        (status = 413, description = "The body, or the batch, is larger than the source takes", body = HttpErrorOut),
        (status = 429, description = "Handshakes that anybody can ask for come too often", body = HttpErrorOut),
        (status = 500, description = "The source is not set up yet", body = HttpErrorOut),
        (status = 503, description = "Too many bodies are being received, or the store does not answer: send it again after `Retry-After`", body = HttpErrorOut),
        (status = 507, description = "The disk is full; nothing was stored", body = HttpErrorOut)
    )
)]
pub(super) async fn receive(State(api): State<Shared>, Path(token): Path<String>, Base(base): Base, request: Request) -> Response {
    let (head, body) = taken(&api, base, request);
    match api.inbound.answer(&token, head, body).await {
        Received::Recorded(recorded) => own(&recorded.source.source.answer),
        Received::Shaken(reply) | Received::Refused(Reason::Handshake(reply)) => shaken(reply),
        Received::Refused(reason) => refused(&reason),
        Received::Failed(error) => Problem::from(error).into_response(),
        Received::Unknown => Problem::not_found("source").into_response(),
    }
}

/// A request, as receiving takes it.
pub(crate) fn taken(api: &Shared, base: String, request: Request) -> (Head, Body) {
    let (parts, body) = request.into_parts();
    let remote = api.options.trusted_proxies.client(peer(&parts), &parts.headers).unwrap_or(NOWHERE);
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    (Head { method: parts.method, url: format!("{base}{path}"), headers: parts.headers, remote }, body)
}

/// What a handshake is answered with.
pub(crate) fn shaken(reply: Reply) -> Response {
    respond(reply.status, reply.headers.iter().map(|(name, value)| (*name, value.as_str())), reply.body)
}

/// The answer that the source's owner has chosen.
fn own(answer: &SourceAnswer) -> Response {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut response = respond(answer.status, headers, answer.body.clone());
    if !answer.body.is_empty() {
        response.headers_mut().entry(header::CONTENT_TYPE).or_insert(PLAIN);
    }
    response
}

fn refused(reason: &Reason) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let problem = HttpErrorOut { code: Cow::Borrowed(reason.code()), detail: reason.detail() };
    let mut response = (status, axum::Json(problem)).into_response();
    if let Reason::Method(methods) = reason
        && let Ok(allow) = HeaderValue::try_from(methods.join(", "))
    {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if matches!(reason, Reason::Busy | Reason::TooOften) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S);
    }
    response
}

fn respond<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>, body: impl Into<Bytes>) -> Response {
    let body = body.into();
    let bare = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if !bare {
        response.headers_mut().extend(HARMLESS);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_owner_s_answer_is_given_as_it_is() {
        let headers = BTreeMap::from([("x-a".to_owned(), "1".to_owned())]);
        let response = own(&SourceAnswer { status: 202, headers, body: "ok".to_owned() });
        assert_eq!((response.status().as_u16(), &response.headers()["x-a"]), (202, &HeaderValue::from_static("1")));
        assert_eq!(response.headers()["content-type"], PLAIN);
        let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
        let response = own(&SourceAnswer { status: 200, headers, body: "{}".to_owned() });
        assert_eq!(response.headers()["content-type"], "application/json");
        assert!(response.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox;"));
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let empty = own(&SourceAnswer { status: 204, headers: BTreeMap::new(), body: String::new() });
        assert!(empty.headers().is_empty());
    }

    #[test]
    fn what_is_answered_is_described() {
        use postrider_signature::Refusal;
        use std::time::Duration;
        let description = serde_json::to_value(description()).unwrap();
        let item = &description["paths"]["/in/{token}"];
        let ids: std::collections::BTreeSet<_> = item.as_object().unwrap().values().map(|o| o["operationId"].to_string()).collect();
        assert_eq!(ids.len(), 7, "{ids:?}");
        let refusals = [
            Reason::Method(Vec::new()),
            Reason::Address,
            Reason::TooLarge(1),
            Reason::Busy,
            Reason::Slow(Duration::ZERO),
            Reason::Broken,
            Reason::Signature(Refusal::Mismatch),
            Reason::Signature(Refusal::BadSecret("")),
            Reason::TooOften,
            Reason::Secret,
            Reason::Batch(Refusal::Mismatch),
            Reason::Elements(1),
        ];
        for method in ["post", "get", "options"] {
            for status in refusals.iter().map(Reason::status).chain([404, 503, 507]) {
                assert!(item[method]["responses"][status.to_string()].is_object(), "{method}: {status}");
            }
            assert_eq!(item[method]["security"], serde_json::json!([{}]));
        }
        assert!(item["post"]["requestBody"].is_object() && item["get"]["requestBody"].is_null());
    }

    #[test]
    fn who_has_no_room_says_when_to_come_back() {
        let response = refused(&Reason::Busy);
        assert_eq!((response.status().as_u16(), &response.headers()[header::RETRY_AFTER]), (503, &RETRY_AFTER_S));
    }

    #[test]
    fn a_method_that_is_refused_names_those_that_are_not() {
        let response = refused(&Reason::Method(vec!["POST".to_owned(), "PUT".to_owned()]));
        assert_eq!((response.status().as_u16(), &response.headers()[header::ALLOW]), (405, &HeaderValue::from_static("POST, PUT")));
    }
}
