//! `…/pause` and `…/resume`: a paused source records what it receives and routes none of it.

use super::{
    shape::SourceOut,
    store::{revise_with, shown},
};
use crate::{
    api::{Base, Caller, Errors, Path, Problem, Shared},
    model::Time,
};
use axum::extract::State;

/// Pauses a source: requests are verified, recorded and answered, and go to no endpoint until they are replayed.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/pause",
    operation_id = "v1.source.pause",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 200, description = "It is paused", body = SourceOut))
)]
pub(super) async fn pause(
    State(api): State<Shared>,
    caller: Caller,
    base: Base,
    Path(source): Path<String>,
) -> Result<axum::Json<SourceOut>, Problem> {
    let now = api.engine.clock.now();
    set(&api, (&caller, &base), &source, Some(now)).await
}

/// Lets a paused source route again. What it recorded meanwhile stays where it is: replay it.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/resume",
    operation_id = "v1.source.resume",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 200, description = "It routes", body = SourceOut))
)]
pub(super) async fn resume(
    State(api): State<Shared>,
    caller: Caller,
    base: Base,
    Path(source): Path<String>,
) -> Result<axum::Json<SourceOut>, Problem> {
    set(&api, (&caller, &base), &source, None).await
}

async fn set(
    api: &Shared,
    (caller, base): (&Caller, &Base),
    source: &str,
    paused: Option<Time>,
) -> Result<axum::Json<SourceOut>, Problem> {
    caller.write()?;
    let now = api.engine.clock.now();
    let source = revise_with(api, caller, source, |source| {
        // Who pauses what is paused already changes nothing: since when stays.
        if source.paused.is_some() != paused.is_some() {
            source.paused = paused;
            source.updated_at = now;
        }
        Ok((source.clone(), Vec::new()))
    });
    shown(api, (caller, base), source.await?).map(axum::Json)
}
