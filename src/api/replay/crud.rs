//! `…/replay`: asking for replays, counting first what they would do, watching and stopping them.

use super::shape::{ReplayOut, ReplayPreviewOut, ReplayRequest};
use crate::{
    api::{
        Api, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
        body::{json_text, to_text},
        endpoint,
        page::{FixedPageQuery, ListResponse, MAX_LIMIT, Ordering},
    },
    model::{Kind, Record, Replay, ReplayState, TaskId},
    routing::AppRoutes,
    store::{Change, ListPage},
};
use axum::{extract::State, http::StatusCode, response::Response};
use std::sync::Arc;

/// Replays of an application that run at once, at most: each walks through its messages.
const MAX_RUNNING: usize = 20;
/// The newest replays of an organization among which those that run are counted.
const MAX_COUNTED: usize = 2_000;

fn missing() -> Problem {
    Problem::not_found("replay")
}

/// The replay that is asked for, and its application.
async fn read(api: &Shared, caller: &Caller, asked: ReplayRequest) -> Result<(Arc<AppRoutes>, Replay), Problem> {
    let app = caller.application(api, &asked.app_id).await?;
    let endpoint = match &asked.endpoint_id {
        Some(endpoint) => Some(endpoint::find(api, app.application.id, endpoint).await?.id),
        None => None,
    };
    let replay = asked.read(api, (app.application.org, app.application.id), endpoint)?;
    Ok((app, replay))
}

/// Refuses when so many of the application's run already.
async fn room(api: &Api, replay: &Replay) -> Result<(), Problem> {
    let runs =
        |record: &Record| matches!(record, Record::Replay(other) if other.app == replay.app && other.state == ReplayState::Running);
    let (scope, now) = (replay.org.to_string(), api.engine.clock.now());
    let (mut running, mut counted, mut after) = (0, 0, None::<String>);
    while counted < MAX_COUNTED {
        let page = ListPage { after: after.as_deref(), backwards: true, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::Replay, &scope, page, now).await?;
        running += found.iter().filter(|stored| runs(&stored.record)).count();
        if running >= MAX_RUNNING {
            let rule =
                format!("At most {MAX_RUNNING} replays and cancellations of an application run at once: abort one, or wait.");
            return Err(Problem::conflict(rule));
        }
        if found.len() < MAX_LIMIT {
            break;
        }
        counted += found.len();
        after = found.last().map(|stored| stored.record.address().key);
    }
    Ok(())
}

/// Stores the replay with its answer, and lets it go on.
pub(super) async fn start(api: &Api, idempotent: &Idempotent, replay: Replay) -> Result<Response, Problem> {
    room(api, &replay).await?;
    let body = to_text(&ReplayOut::from(&replay))?;
    let with: Vec<Change> = idempotent.answered(StatusCode::ACCEPTED, body.clone()).map(Change::Insert).into_iter().collect();
    let started = api.engine.start_replay(replay, with).await.map_err(Problem::from);
    idempotent.settle(api, started.map(|()| json_text(StatusCode::ACCEPTED, body))).await
}

/// Makes deliveries once more, in the background: at the rate that is asked for, behind live traffic, through restarts,
/// until all are queued or somebody aborts it. Each gets one attempt, a manual one, whose failure counts for nothing;
/// with `anew` exhausted deliveries get their whole schedule.
#[utoipa::path(
    post,
    path = "/api/v1/replay",
    operation_id = "v1.replay.create",
    tag = "Replay",
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer")),
    request_body = ReplayRequest,
    responses(Errors, (status = 202, description = "It has begun", body = ReplayOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<ReplayRequest>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let (_, replay) = read(&api, &caller, body.value).await?;
    start(&api, &idempotent, replay).await
}

/// What it would do.
///
/// # Errors
/// 429 while others of the organization are being counted.
pub(super) async fn previewed(api: &Api, app: &Arc<AppRoutes>, replay: &Replay) -> Result<axum::Json<ReplayPreviewOut>, Problem> {
    let counted = api.engine.preview_replay(app, replay).await?;
    let crowded = || Problem::TooMany("The organization's other previews are still counting: come back in a moment.".into());
    Ok(axum::Json(counted.ok_or_else(crowded)?.into()))
}

/// Counts what a replay would do, and does nothing.
#[utoipa::path(
    post,
    path = "/api/v1/replay/preview",
    operation_id = "v1.replay.preview",
    tag = "Replay",
    request_body = ReplayRequest,
    responses(Errors, (status = 200, description = "What it would do", body = ReplayPreviewOut))
)]
pub(super) async fn preview(
    State(api): State<Shared>,
    caller: Caller,
    body: Json<ReplayRequest>,
) -> Result<axum::Json<ReplayPreviewOut>, Problem> {
    let (app, replay) = read(&api, &caller, body.value).await?;
    previewed(&api, &app, &replay).await
}

/// The organization's replays, the newest first: those that run, and those that ended in the last 30 days.
#[utoipa::path(
    get,
    path = "/api/v1/replay",
    operation_id = "v1.replay.list",
    tag = "Replay",
    params(FixedPageQuery),
    responses(Errors, (status = 200, description = "A page of replays", body = ListResponse<ReplayOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<ReplayOut>>, Problem> {
    caller.manage()?;
    let page = query.check(Ordering::Descending, |id| id.parse::<TaskId>().is_ok())?;
    let keep = |record| match record {
        Record::Replay(replay) => Some(replay),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Replay, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |replay| replay.id.to_string(), |replay| ReplayOut::from(&*replay))))
}

/// The caller's replay with this id; a cancellation by the many is one.
async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Replay, Problem> {
    let id: TaskId = id.parse().map_err(|_| missing())?;
    let replay = api.engine.replay(caller.org, id).await?.ok_or_else(missing)?;
    // A portal token sees its own application's.
    let seen = caller.manage().is_ok() || caller.application(api, &replay.app.to_string()).await.is_ok();
    if seen { Ok(replay) } else { Err(missing()) }
}

/// A replay: where it stands and how far it is.
#[utoipa::path(
    get,
    path = "/api/v1/replay/{replay_id}",
    operation_id = "v1.replay.get",
    tag = "Replay",
    params(("replay_id" = String, Path, description = "The replay's id")),
    responses(Errors, (status = 200, description = "The replay", body = ReplayOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<ReplayOut>, Problem> {
    Ok(axum::Json(ReplayOut::from(&find(&api, &caller, &id).await?)))
}

/// Stops a replay. What it has queued until then is delivered still. One that has ended stays as it is.
#[utoipa::path(
    post,
    path = "/api/v1/replay/{replay_id}/abort",
    operation_id = "v1.replay.abort",
    tag = "Replay",
    params(("replay_id" = String, Path, description = "The replay's id")),
    responses(Errors, (status = 200, description = "The replay as it is then", body = ReplayOut))
)]
pub(super) async fn abort(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<ReplayOut>, Problem> {
    caller.write()?;
    let replay = find(&api, &caller, &id).await?;
    let replay = api.engine.abort_replay(replay.org, replay.id).await?.ok_or_else(missing)?;
    Ok(axum::Json(ReplayOut::from(&replay)))
}
