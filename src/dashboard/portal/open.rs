//! Opening a link: the token is in the URL's fragment, which browsers send to nobody. The page's module takes it out of the
//! address, and hands it over in a body for a cookie.

use super::{
    super::{
        Dashboard,
        fields::{Fields, dashboard_host, same_site},
        page::Page,
    },
    brand::Brand,
    guest::{begin, dress, theme},
    page::{PREFIX, Shell, Shown},
};
use crate::{
    api::{Base, Problem},
    model::Grant,
};
use askama::Template;
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use std::sync::Arc;

/// The longest form, in bytes: a token and a word.
const MAX_FORM_BYTES: usize = 16 << 10;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route(PREFIX, get(page)).route("/portal/open", post(open))
}

#[derive(Template)]
#[template(path = "portal/open.html")]
struct OpenPage {
    shell: Shell,
    ended: bool,
}

async fn page(Extension(brand): Extension<Arc<Brand>>, request: Request) -> Response {
    let ended = Fields::parse(request.uri().query().unwrap_or_default().as_bytes()).ticked("ended");
    let shell = Shell::bare(&brand, "Webhooks", theme(request.headers()));
    Page(OpenPage { shell, ended }).into_response()
}

/// Takes a token, and says where its pages are.
async fn open(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap, request: Request) -> Shown {
    same_site(&headers, &dashboard_host(&headers))?;
    let (mut parts, body) = request.into_parts();
    let Ok(Base(base)) = Base::from_request_parts(&mut parts, &dashboard.api).await;
    let bytes: Bytes = axum::body::to_bytes(body, MAX_FORM_BYTES).await.map_err(|_| Problem::TooLarge)?;
    let fields = Fields::parse(&bytes);
    let token = fields.text("key");
    let plain = !token.is_empty() && token.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
    if !plain {
        return Err(Problem::Unauthorized.into());
    }
    let caller = dashboard.api.caller(token).await?;
    let Grant::Portal { app, .. } = caller.grant else { return Err(Problem::Unauthorized.into()) };
    let app = app.to_string();
    let mut response = Json(json!({ "to": format!("{PREFIX}/{app}") })).into_response();
    begin(&mut response, token, &app, &base);
    if let Some(theme) = fields.given("theme") {
        dress(&mut response, theme, &app, &base);
    }
    Ok(response)
}
