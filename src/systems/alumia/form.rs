//! The form of refusals: `{"error": {"code", "message"}}`, as its document shows it.

use crate::{
    api::{Problem, Shared},
    systems::{form::described, refusal::said},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{ComponentsBuilder, OpenApiBuilder, RefOr, response},
};
use utoipa_axum::router::OpenApiRouter;

/// A refusal.
#[derive(Serialize, ToSchema)]
struct AlumiaError {
    error: AlumiaErrorDetail,
}

/// What was refused, and why.
#[derive(Serialize, ToSchema)]
struct AlumiaErrorDetail {
    /// One word that stays the same: branch on it.
    #[schema(example = "BAD_REQUEST")]
    code: &'static str,
    /// A sentence for people; it names the field.
    message: String,
}

/// A problem in this form.
pub(super) fn refused(problem: &Problem) -> Response {
    let said = said(problem);
    answer(said.status, said.message)
}

/// A refusal with this status.
pub(super) fn answer(status: StatusCode, message: String) -> Response {
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
    (status, axum::Json(AlumiaError { error: AlumiaErrorDetail { code, message } })).into_response()
}

/// A router whose document knows the form.
pub(super) fn router() -> OpenApiRouter<Shared> {
    let schemas = [
        (AlumiaError::name().into_owned(), AlumiaError::schema()),
        (AlumiaErrorDetail::name().into_owned(), AlumiaErrorDetail::schema()),
    ];
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(components)).build())
}

/// The refusals of every operation, for the OpenAPI document.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let rows = [("400", "BAD_REQUEST: a field breaks its rule"), ("401", "UNAUTHORIZED: no API key"), ("404", "NOT_FOUND")];
        described("AlumiaError", &rows)
    }
}

/// The refusals of the receive routes.
pub(super) struct ReceiveRefusals;

impl IntoResponses for ReceiveRefusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let rows = [
            ("401", "UNAUTHORIZED: the signature is missing or bad"),
            ("403", "FORBIDDEN: the webhook is paused or disabled"),
            ("404", "NOT_FOUND: there is no such webhook"),
            ("413", "PAYLOAD_TOO_LARGE: over 256 KB"),
        ];
        described("AlumiaError", &rows)
    }
}
