//! The forms of refusals: `{"error": {"code", "message", "field"}}`. The code is a word for the rule that was broken, and the
//! field stands beside it; or, as one document has it, a word in capitals for the status, and the message names the field.

use super::refusal::said;
use crate::api::{Problem, Shared};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{ComponentsBuilder, OpenApiBuilder, Ref, RefOr, ResponseBuilder, content::ContentBuilder, response},
};
use utoipa_axum::router::OpenApiRouter;

/// A refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Refusal {
    error: RefusalDetail,
}

/// What was refused, and why.
#[derive(Serialize, ToSchema)]
struct RefusalDetail {
    /// One word that stays the same: branch on it.
    code: String,
    /// A sentence for people; it names the field.
    message: String,
    /// The field at fault, where codes are words for rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A problem, with a word for the rule that was broken.
pub(super) fn by_rule(problem: &Problem) -> Response {
    let said = said(problem);
    let error = RefusalDetail { code: said.code, message: said.message, field: said.field };
    (said.status, axum::Json(Refusal { error })).into_response()
}

/// A problem, with a word for the status.
pub(super) fn by_status(problem: &Problem) -> Response {
    let said = said(problem);
    of_status(said.status, said.message)
}

/// A refusal with this status, with a word for it.
pub(super) fn of_status(status: StatusCode, message: String) -> Response {
    let code = match status {
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
        status if status.is_server_error() => "UNAVAILABLE",
        _ => "BAD_REQUEST",
    };
    let error = RefusalDetail { code: code.to_owned(), message, field: None };
    (status, axum::Json(Refusal { error })).into_response()
}

/// A router whose document knows the form.
pub(super) fn router() -> OpenApiRouter<Shared> {
    let schemas =
        [(Refusal::name().into_owned(), Refusal::schema()), (RefusalDetail::name().into_owned(), RefusalDetail::schema())];
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(components)).build())
}

/// The refusals of every operation of management, for the OpenAPI document.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        described(&[
            ("400", "A field breaks its rule"),
            ("401", "No valid token"),
            ("403", "Not with this token"),
            ("404", "Not found"),
        ])
    }
}

/// The refusals of routes on which third parties post.
pub(super) struct ReceiveRefusals;

impl IntoResponses for ReceiveRefusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        described(&[
            ("401", "The signature is missing or bad"),
            ("403", "It is paused or disabled"),
            ("404", "There is no such receiver"),
            ("413", "The body is too long"),
        ])
    }
}

fn described(rows: &[(&str, &str)]) -> BTreeMap<String, RefOr<response::Response>> {
    let named = |text: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Refusal::name()))).build();
        RefOr::T(ResponseBuilder::new().description(text).content("application/json", content).build())
    };
    rows.iter().map(|(status, text)| ((*status).to_owned(), named(text))).collect()
}
