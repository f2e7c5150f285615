//! `/in/{token}`: where third parties post. What comes is judged and recorded by [`crate::inbound`]; here it becomes HTTP.

use super::{Base, Path, Problem, Shared, problem::HttpErrorOut};
use crate::{
    inbound::{Head, Reason, Received},
    model::SourceAnswer,
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
    routing::any,
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// Stands for an address that is not known: on nobody's list.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// What a body of a source's own is, unless its owner says otherwise.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The receive route. It has no place in the description of the API: its callers are described by their own documents.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/in/{token}", any(receive))
}

pub(super) async fn receive(State(api): State<Shared>, Path(token): Path<String>, Base(base): Base, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let remote = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(NOWHERE, |ConnectInfo(peer)| peer.ip().to_canonical());
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let head = Head { method: parts.method, url: format!("{base}{path}"), headers: parts.headers, remote };
    match api.inbound.answer(&token, head, body).await {
        Received::Recorded(recorded) => own(&recorded.source.source.answer),
        Received::Shaken(reply) | Received::Refused(Reason::Handshake(reply)) => {
            respond(reply.status, reply.headers.iter().map(|(name, value)| (*name, value.as_str())), reply.body.into())
        }
        Received::Refused(reason) => refused(&reason),
        Received::Failed(error) => Problem::from(error).into_response(),
        Received::Unknown => Problem::not_found("source").into_response(),
    }
}

/// The answer that the source's owner has chosen.
fn own(answer: &SourceAnswer) -> Response {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut response = respond(answer.status, headers, answer.body.clone().into());
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
    response
}

fn respond<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
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
        let empty = own(&SourceAnswer { status: 204, headers: BTreeMap::new(), body: String::new() });
        assert!(empty.headers().is_empty());
    }

    #[test]
    fn a_method_that_is_refused_names_those_that_are_not() {
        let response = refused(&Reason::Method(vec!["POST".to_owned(), "PUT".to_owned()]));
        assert_eq!((response.status().as_u16(), &response.headers()[header::ALLOW]), (405, &HeaderValue::from_static("POST, PUT")));
    }
}
