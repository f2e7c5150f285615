//! The OpenAPI document: the frame around what the handlers declare, and where it is served.

use super::{
    Shared, docs, limits,
    page::Ordering,
    problem::{HTTPValidationError, HttpErrorOut},
    receive,
};
use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The reference page brings its own style, and nothing else is loaded.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// The content type of documents.
pub(crate) const JSON: &str = "application/json";
/// The content type of pages.
pub(crate) const PAGE: &str = "text/html; charset=utf-8";

/// What is true of all operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Sends, receives and operates webhooks.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(HttpErrorOut, HTTPValidationError, Ordering)),
    modifiers(&Bearer),
    tags(
        (name = "Application", description = "One consumer (tenant) of your webhooks."),
        (name = "Message", description = "Events that were posted, with their payloads."),
        (name = "Message Attempt", description = "Every HTTP try of every delivery."),
        (name = "Endpoint", description = "URLs that receive an application's messages."),
        (name = "Ledger", description = "What became of each message at each endpoint, so that a receiver can ask whether it has everything."),
        (name = "Replay", description = "Sending again what was selected, at a pace, behind live traffic."),
        (name = "Retention", description = "How long messages and their payloads are kept."),
        (name = "Erase", description = "Deleting every trace of chosen messages, with a receipt."),
        (name = "Event Type", description = "The catalogue of events."),
        (name = "Profile", description = "How deliveries look and behave: signature, headers, envelope, retries."),
        (name = "Filter", description = "Conditions on payloads, tried out."),
        (name = "Authentication", description = "Portal links and tokens."),
        (name = "Key", description = "API keys, sessions, and the master key."),
        (name = "User", description = "People who sign in to the dashboard."),
        (name = "Proxy", description = "The proxy through which requests leave."),
        (name = "Branding", description = "How your customers see the portal: name, logo, colours, and who may frame it."),
        (name = "Audit", description = "Who changed what, when and from where."),
        (name = "Alert", description = "Rules on how endpoints do, told by e-mail and by operational messages."),
        (name = "Operational Webhook Endpoint", description = "URLs that receive your organization's own messages, such as a disabled endpoint."),
        (name = "Source", description = "Public URLs that receive third parties' webhooks; what they accept becomes messages."),
        (name = "Health", description = "Whether the server works.")
    )
)]
struct Frame;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        secured(document);
    }
}

/// Declares that operations take a bearer token.
pub(crate) fn secured(document: &mut openapi::OpenApi) {
    let text = "HTTP Bearer token passed in the `Authorization` header";
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("HTTPBearer", SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new("HTTPBearer", [""; 0])]);
}

/// The document without operations, but those of third parties.
#[must_use]
pub fn frame() -> openapi::OpenApi {
    let mut frame = Frame::openapi();
    frame.merge(receive::description());
    frame
}

/// Serves the document, and the reference page made from it.
pub(super) fn routes(document: openapi::OpenApi) -> Router<Shared> {
    let document = described(document);
    let page = always(page(&document), PAGE);
    let json = always(Bytes::from(document.to_string()), JSON);
    Router::new().route("/openapi.json", json.clone()).route("/api/v1/openapi.json", json).route("/docs", page)
}

/// The document of this API as it is served, with the rules that handlers judge by.
pub(super) fn described(document: openapi::OpenApi) -> Value {
    let mut document = finished(document);
    limits::put(&mut document);
    document
}

/// The reference page of a document.
pub(crate) fn page(document: &Value) -> Bytes {
    let page = docs::render(document).unwrap_or_else(|error| {
        tracing::error!(%error, "the reference page cannot be made");
        String::new()
    });
    Bytes::from(page)
}

/// Always the same answer.
fn always(body: Bytes, kind: &'static str) -> MethodRouter<Shared> {
    get(move || {
        let answer = fixed(body.clone(), kind);
        async move { answer }
    })
}

/// An answer that loads nothing.
pub(crate) fn fixed(body: Bytes, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], body).into_response()
}

/// The document as it is served: lists are named, and refer to their entries, as in the contract.
pub(crate) fn finished(document: openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        refer_to_entries(schemas);
    }
    rename_lists(&mut document);
    document
}

/// Entries of lists by reference instead of written out.
fn refer_to_entries(schemas: &mut Map<String, Value>) {
    let mut entries = Vec::new();
    for (name, schema) in schemas.iter_mut() {
        let Some(entry) = name.strip_prefix("ListResponse_") else { continue };
        if let Some(items) = schema.pointer_mut("/properties/data/items") {
            let written = std::mem::replace(items, json!({ "$ref": format!("#/components/schemas/{entry}") }));
            entries.push((entry.to_owned(), written));
        }
    }
    for (entry, written) in entries {
        schemas.entry(entry).or_insert(written);
    }
}

/// Names list schemas as the contract does: `ListResponse_ApplicationOut_`.
fn rename_lists(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let lists: Vec<String> = map.keys().filter(|key| key.starts_with("ListResponse_")).cloned().collect();
            for name in lists {
                if let Some(schema) = map.remove(&name) {
                    map.insert(format!("{name}_"), schema);
                }
            }
            for (key, inner) in map.iter_mut() {
                match inner {
                    Value::String(target) if key == "$ref" && target.contains("/ListResponse_") => target.push('_'),
                    other => rename_lists(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(rename_lists),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_named_as_in_the_contract() {
        let mut document = serde_json::json!({
            "schemas": {"ListResponse_X": {"items": {"$ref": "#/components/schemas/X"}}},
            "paths": [{"$ref": "#/components/schemas/ListResponse_X"}],
        });
        rename_lists(&mut document);
        assert!(document["schemas"]["ListResponse_X_"].is_object() && document["schemas"]["ListResponse_X"].is_null());
        assert_eq!(document["paths"][0]["$ref"], "#/components/schemas/ListResponse_X_");
        assert_eq!(document["schemas"]["ListResponse_X_"]["items"]["$ref"], "#/components/schemas/X");
    }

    /// Calls `visit` with every object inside.
    fn walk(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(map) => {
                visit(map);
                map.values().for_each(|inner| walk(inner, visit));
            }
            Value::Array(list) => list.iter().for_each(|inner| walk(inner, visit)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_whole() {
        let document = finished(crate::api::router::resources().split_for_parts().1);
        let tags: Vec<_> = document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
        let mut ids = Vec::new();
        walk(&document, &mut |map| {
            if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} is nowhere");
            }
            if map.contains_key("responses") && map.contains_key("operationId") {
                assert!(map["summary"].is_string(), "{}", map["operationId"]);
                assert!(tags.contains(&map["tags"][0].as_str().unwrap()), "{} is in no group", map["operationId"]);
                ids.push(map["operationId"].to_string());
            }
        });
        assert!(ids.len() >= 15, "{ids:?}");
        assert!(document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer");
        assert_eq!(document["openapi"], "3.1.0");
    }
}
