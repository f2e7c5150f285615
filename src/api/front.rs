//! The front door: the two requests that come by the thousand, new messages and what third parties post, are recognised
//! before the router, whose layers would cost as much as what they lead to. Whatever is unusual about one of them takes
//! the router's way to the same handler.

use super::{
    Base, Idempotent, Path, Problem, Query, Shared,
    auth::Caller,
    body::{Incoming, RawJson, parse_query},
    house, message, receive,
    router::body_limit,
};
use crate::{inbound::linger, model::Scope};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{Method, request::Parts},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use futures_util::future::{BoxFuture, Either};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::{convert::Infallible, net::SocketAddr};

/// What stands before an application's id or uid where messages are posted.
const APPLICATION: &str = "/api/v1/app/";
/// What stands behind it.
const MESSAGES: &str = "/msg";
/// What stands before a source's token where third parties post.
const SOURCE: &str = "/in/";

/// Answers the requests of one connection, or of many.
#[derive(Clone)]
pub struct Front {
    api: Shared,
    router: TowerToHyperService<Router>,
    peer: Option<SocketAddr>,
}

/// Where a request goes.
enum Door {
    Message(String),
    Source(String),
    Router,
}

impl Front {
    /// Answers everything that the router answers.
    #[must_use]
    pub fn new(api: Shared, router: Router) -> Self {
        let router = router.layer(from_fn_with_state(api.clone(), house::rules));
        Front { api, router: TowerToHyperService::new(router), peer: None }
    }

    /// The same, for a connection to that peer.
    #[must_use]
    pub fn facing(self, peer: SocketAddr) -> Self {
        Front { peer: Some(peer), ..self }
    }
}

/// Names that need decoding take the router's way.
fn door(method: &Method, path: &str) -> Door {
    let plain = |name: &&str| !name.is_empty() && !name.contains(['/', '%']);
    if let Some(app) = path.strip_prefix(APPLICATION).and_then(|rest| rest.strip_suffix(MESSAGES)).filter(plain)
        && method == Method::POST
    {
        return Door::Message(app.to_owned());
    }
    match path.strip_prefix(SOURCE).filter(plain) {
        Some(token) => Door::Source(token.to_owned()),
        None => Door::Router,
    }
}

impl<B: Incoming> Service<Request<B>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<BoxFuture<'static, Result<Response, Infallible>>, <TowerToHyperService<Router> as Service<Request<B>>>::Future>;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        if let Err(problem) = house::names_its_host(request.version(), request.headers()) {
            return Either::Left(Box::pin(async move { Ok(house::careful(problem.into_response())) }));
        }
        let door = door(request.method(), request.uri().path());
        if let Some(peer) = self.peer.filter(|_| !matches!(door, Door::Message(_))) {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let api = self.api.clone();
        match door {
            Door::Message(app) => {
                let (parts, body) = request.into_parts();
                Either::Left(Box::pin(async move {
                    let answer = message(api, app, parts, body).await;
                    // No browser posts messages: what was accepted is said as shortly as it can be.
                    Ok(answer.unwrap_or_else(|problem| house::careful(problem.into_response())))
                }))
            }
            Door::Source(token) => Either::Left(Box::pin(async move { Ok(source(api, token, request.map(Body::new)).await) })),
            Door::Router => Either::Right(self.router.call(request)),
        }
    }
}

/// A new message. What is left of a refused one's body is read in the background.
async fn message<B: Incoming>(api: Shared, app: String, mut parts: Parts, mut body: B) -> Result<Response, Problem> {
    match taken(&api, &mut parts, &mut body).await {
        Ok((caller, idempotent, asked, body)) => {
            drop(parts);
            message::create(State(api), caller, idempotent, (Path(app), Query(asked)), body).await
        }
        Err(problem) => {
            linger(&parts.headers, body);
            Err(problem)
        }
    }
}

/// What the handler needs, taken in its own order, so that the same fault is found first.
async fn taken<B: Incoming>(
    api: &Shared,
    parts: &mut Parts,
    body: &mut B,
) -> Result<(Caller, Idempotent, message::Asked, RawJson), Problem> {
    let caller = api.bearer(parts).await?;
    caller.holds(Scope::Send)?;
    let idempotent = Idempotent::from_request_parts(parts, api).await?;
    let asked = parts.uri.query().map(parse_query).transpose()?.unwrap_or_default();
    let body = RawJson::read(&parts.headers, body, body_limit(api)).await?;
    Ok((caller, idempotent, asked, body))
}

async fn source(api: Shared, token: String, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(base) = Base::from_request_parts(&mut parts, &api).await;
    let answer = receive::receive(State(api), Path(token), base, Request::from_parts(parts, body)).await;
    if answer.status().is_success() { answer } else { house::careful(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plain_goes_past_the_router() {
        let told = |method, path| match door(&method, path) {
            Door::Message(app) => format!("message {app}"),
            Door::Source(token) => format!("source {token}"),
            Door::Router => "router".to_owned(),
        };
        assert_eq!(told(Method::POST, "/api/v1/app/app_1/msg"), "message app_1");
        assert_eq!(told(Method::GET, "/in/a-b_C"), "source a-b_C");
        let others =
            ["/api/v1/app//msg", "/api/v1/app/a%20b/msg", "/api/v1/app/a/b/msg", "/api/v1/app/a/msg/", "/in/", "/in/a/b", "/"];
        for path in others {
            assert_eq!(told(Method::POST, path), "router", "{path}");
        }
        assert_eq!(told(Method::GET, "/api/v1/app/app_1/msg"), "router");
    }
}
