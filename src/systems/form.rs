//! The form of refusals of systems whose documents show none: `{"error": {"code", "message", "field"}}`.

use super::refusal::said;
use crate::api::{Problem, Shared};
use axum::response::{IntoResponse, Response};
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
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A problem in this form.
pub(super) fn refused(problem: &Problem) -> Response {
    let said = said(problem);
    let error = RefusalDetail { code: said.code, message: said.message, field: said.field };
    (said.status, axum::Json(Refusal { error })).into_response()
}

/// A router whose document knows the form.
pub(super) fn router() -> OpenApiRouter<Shared> {
    let schemas =
        [(Refusal::name().into_owned(), Refusal::schema()), (RefusalDetail::name().into_owned(), RefusalDetail::schema())];
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(components)).build())
}

/// The refusals of every operation, for the OpenAPI document.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        described(
            "Refusal",
            &[("400", "A field breaks its rule"), ("401", "No valid token"), ("403", "Not with this token"), ("404", "Not found")],
        )
    }
}

/// Refusals whose bodies are of a schema.
pub(super) fn described(schema: &str, rows: &[(&str, &str)]) -> BTreeMap<String, RefOr<response::Response>> {
    let named = |text: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        RefOr::T(ResponseBuilder::new().description(text).content("application/json", content).build())
    };
    rows.iter().map(|(status, text)| ((*status).to_owned(), named(text))).collect()
}
