//! Each system's OpenAPI document, and where it is served: `/docs/{system}` is a page for browsers and the document for
//! everybody else, `/docs/{system}/openapi.json` always the document.

use super::Surface;
use crate::api::{Shared, openapi};
use axum::{
    Router,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::Value;
use utoipa::openapi::{
    InfoBuilder, OpenApi, OpenApiBuilder,
    security::{ApiKey, ApiKeyValue, SecurityScheme},
    tag::TagBuilder,
};
use utoipa_axum::router::OpenApiRouter;

/// Methods of operations.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes of a system, and its document.
pub(super) fn split(surface: &Surface, routes: OpenApiRouter<Shared>) -> (Router<Shared>, Value) {
    let (routes, document) = OpenApiRouter::with_openapi(frame(surface)).merge(routes).split_for_parts();
    (routes, openapi::finished(document))
}

/// The document alone.
pub(super) fn document(surface: &Surface, routes: OpenApiRouter<Shared>) -> Value {
    split(surface, routes).1
}

fn frame(surface: &Surface) -> OpenApi {
    let info = InfoBuilder::new().title(surface.title).version(env!("CARGO_PKG_VERSION")).description(Some(surface.about)).build();
    let tag = TagBuilder::new().name(surface.title).description(Some(surface.about)).build();
    let mut document = OpenApiBuilder::new().info(info).tags(Some([tag])).build();
    openapi::secured(&mut document);
    if let Some(header) = surface.token_header {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header)));
        document.components.get_or_insert_default().add_security_scheme("ApiToken", scheme);
    }
    document
}

/// The operations of a document as `METHOD /path`.
pub(super) fn operations(document: &Value) -> Vec<String> {
    let paths = document.get("paths").and_then(Value::as_object);
    let lines = paths.into_iter().flatten().flat_map(|(path, item)| {
        let methods = METHODS.iter().filter(|method| item.get(**method).is_some());
        methods.map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
    });
    lines.collect()
}

/// Serves the document.
pub(super) fn routes(surface: &Surface, document: Value) -> Router {
    let page = openapi::page(&document);
    let json = Bytes::from(document.to_string());
    let always = json.clone();
    let either = get(move |headers: HeaderMap| {
        let answer = if wants_page(&headers) {
            openapi::fixed(page.clone(), openapi::PAGE)
        } else {
            openapi::fixed(json.clone(), openapi::JSON)
        };
        async move { vary(answer) }
    });
    let document = get(move || {
        let answer = openapi::fixed(always.clone(), openapi::JSON);
        async move { answer }
    });
    Router::new()
        .route(&format!("/docs/{}", surface.name()), either)
        .route(&format!("/docs/{}/openapi.json", surface.name()), document)
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

fn vary(answer: Response) -> Response {
    ([(header::VARY, "accept")], answer).into_response()
}
