//! `POST /api/v1/filter/test`: how a filter judges a payload, clause by clause.

use super::{Caller, Errors, Json, Problem, Shared, endpoint::read_filter};
use crate::model::Finding;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(test))
}

/// A filter and a payload to try it on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FilterTestIn {
    /// The filter.
    #[schema(value_type = Object, example = json!({"properties.amount": {"gte": 50}}))]
    filter: Value,
    /// The payload.
    #[serde(default)]
    payload: Value,
}

/// How the filter judges the payload.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FilterTestOut {
    /// Whether the payload meets the filter.
    matches: bool,
    /// Each clause: whether it holds, what it asks for and what it found.
    #[schema(value_type = Object)]
    explanation: Finding,
}

/// Tries a filter on a payload and tells of each clause whether it holds.
#[utoipa::path(
    post,
    path = "/api/v1/filter/test",
    operation_id = "v1.filter.test",
    tag = "Filter",
    request_body = FilterTestIn,
    responses(Errors, (status = 200, description = "How it was judged", body = FilterTestOut))
)]
async fn test(_caller: Caller, body: Json<FilterTestIn>) -> Result<axum::Json<FilterTestOut>, Problem> {
    let filter = read_filter(body.value.filter)?;
    let explanation = filter.explain(&body.value.payload);
    Ok(axum::Json(FilterTestOut { matches: explanation.holds, explanation }))
}
