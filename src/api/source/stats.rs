//! `…/stats`: what a source has had more than once.

use super::store;
use crate::{
    api::{Caller, Errors, Path, Problem, Shared, Stamp},
    model::SourceId,
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// How a source does.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceStatsOut {
    /// The source.
    #[schema(value_type = String)]
    source_id: SourceId,
    /// Events that came again within the source's window and were dropped, counted until none comes for 90 days. A crash of
    /// the server loses those of the last 5 seconds.
    #[schema(value_type = i64)]
    duplicates: u64,
    /// When the last of them came; null when there was none.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_duplicate_at: Option<Stamp>,
}

/// How often a source's events were repeated by their sender, and when last.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}/stats",
    operation_id = "v1.source.get-stats",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 200, description = "The counts", body = SourceStatsOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(source): Path<String>,
) -> Result<axum::Json<SourceStatsOut>, Problem> {
    let source_id = store::find(&api, &caller, &source).await?.id;
    let counted = api.inbound.duplicates(source_id).await?;
    let (duplicates, last) = counted.map_or((0, None), |(count, last)| (count, Some(last)));
    Ok(axum::Json(SourceStatsOut { source_id, duplicates, last_duplicate_at: last.map(Stamp) }))
}
