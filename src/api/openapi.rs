//! The OpenAPI document: the frame around what the handlers declare, and where it is served.

use super::{
    Shared,
    problem::{HTTPValidationError, HttpErrorOut},
};
use axum::{Router, http::header, response::IntoResponse, routing::get};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What is true of all operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Sends, receives and operates webhooks.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(HttpErrorOut, HTTPValidationError)),
    security(("HTTPBearer" = [])),
    modifiers(&Bearer),
    tags(
        (name = "Application", description = "One consumer (tenant) of your webhooks."),
        (name = "Message", description = "Events that were posted, with their payloads."),
        (name = "Message Attempt", description = "Every HTTP try of every delivery."),
        (name = "Endpoint", description = "URLs that receive an application's messages."),
        (name = "Event Type", description = "The catalogue of events."),
        (name = "Authentication", description = "Portal links and tokens."),
        (name = "Health", description = "Whether the server works.")
    )
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let text = "HTTP Bearer token passed in the `Authorization` header";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("HTTPBearer", SecurityScheme::Http(scheme));
    }
}

/// The document without operations.
#[must_use]
pub fn frame() -> openapi::OpenApi {
    Frame::openapi()
}

/// Serves the document.
pub(super) fn routes(document: openapi::OpenApi) -> Router<Shared> {
    let text = serde_json::to_value(document).map(|mut document| {
        rename_lists(&mut document);
        document.to_string()
    });
    let text = Bytes::from(text.unwrap_or_default());
    let serve = get(move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() }
    });
    Router::new().route("/openapi.json", serve.clone()).route("/api/v1/openapi.json", serve)
}

/// Names list schemas as the contract does: `ListResponse_ApplicationOut_`.
fn rename_lists(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            let lists: Vec<String> = map.keys().filter(|key| key.starts_with("ListResponse_")).cloned().collect();
            for name in lists {
                if let Some(schema) = map.remove(&name) {
                    map.insert(format!("{name}_"), schema);
                }
            }
            for (key, inner) in map.iter_mut() {
                match inner {
                    serde_json::Value::String(target) if key == "$ref" && target.contains("/ListResponse_") => target.push('_'),
                    other => rename_lists(other),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(rename_lists),
        _ => {}
    }
}
