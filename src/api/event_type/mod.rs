//! `/api/v1/event-type`: the catalogue of events.

mod shape;

pub(super) use shape::limits;
pub use shape::{EventTypeIn, EventTypeOut, EventTypePatch, EventTypeUpdate};

use super::{
    Api, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
    body::{json_text, to_text},
    page::{ListResponse, Ordering, PageQuery},
    revise::{revise, revise_with},
    rules::{Check, is_name},
};
use crate::{
    model::{Address, EventType, Kind, Record},
    store::{Change, Conflict, StoreError},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, patch, delete))
}

fn missing() -> Problem {
    Problem::not_found("event type")
}

/// What a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Shown {
    /// When `true` archived (deleted but not expunged) items are included in the response
    #[serde(default)]
    #[param(default = false)]
    include_archived: bool,
    /// When `true` the full item (including the schema) is included in the response
    #[serde(default)]
    #[param(default = false)]
    with_content: bool,
}

/// List Event Types.
///
/// Return the list of event types.
#[utoipa::path(
    get, path = "/api/v1/event-type", operation_id = "v1.event-type.list", tag = "Event Type", summary = "List Event Types",
    params(PageQuery, Shown),
    responses((status = 200, description = "A page of event types, by name.", body = ListResponse<EventTypeOut>), Errors)
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(page): Query<PageQuery>,
    Query(shown): Query<Shown>,
) -> Result<axum::Json<ListResponse<EventTypeOut>>, Problem> {
    let page = page.check(Ordering::Ascending, is_name)?;
    let keep = |record| match record {
        Record::EventType(entry) if shown.include_archived || !entry.archived => {
            caller.shown(entry.feature_flags.as_deref()).then_some(entry)
        }
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::EventType, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |entry| entry.name.clone(), |entry| EventTypeOut::of(entry, shown.with_content))))
}

/// Create Event Type.
///
/// Create new or unarchive existing event type.
///
/// Unarchiving does not preserve the description and schemas. Endpoints that filtered on it before go on to do so.
#[utoipa::path(
    post, path = "/api/v1/event-type", operation_id = "v1.event-type.create", tag = "Event Type",
    summary = "Create Event Type",
    params(("idempotency-key" = Option<String>, Header, description = "The request's idempotency key")),
    request_body = EventTypeIn,
    responses((status = 201, description = "The event type.", body = EventTypeOut), Errors)
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<EventTypeIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let (name, form) = body.value.split();
    let mut check = Check::new();
    check.name(&["body", "name"], &name);
    check.done()?;
    form.check()?;
    let entry = form.make(caller.org, name, api.engine.clock.now());
    let archived = find(&api, &caller, &entry.name).await?.is_some_and(|known| known.archived);
    if archived {
        let revived = unarchive(&api, &idempotent, &entry).await;
        return idempotent.settle(&api, revived).await;
    }
    let out = EventTypeOut::of(entry.clone(), true);
    idempotent.commit(&api, vec![Change::Insert(Record::EventType(entry))], StatusCode::CREATED, &out).await
}

async fn unarchive(api: &Api, idempotent: &Idempotent, entry: &EventType) -> Result<Response, Problem> {
    let address = Address::event_type(entry.org, &entry.name);
    let revived = revise_with(&api.engine, &address, |record| {
        let Record::EventType(known) = record else { return Err(Problem::Internal) };
        if !known.archived {
            return Err(StoreError::Conflict(Conflict::Record(Kind::EventType)).into());
        }
        *known = EventType { created_at: known.created_at, ..entry.clone() };
        let out = to_text(&EventTypeOut::of(known.clone(), true))?;
        let answer = idempotent.answered(StatusCode::CREATED, out.clone()).map(Change::Insert);
        Ok((out, answer.into_iter().collect()))
    });
    revived.await?.map(|out| json_text(StatusCode::CREATED, out)).ok_or_else(missing)
}

/// The entry of that name, if the caller may see it.
async fn find(api: &Api, caller: &Caller, name: &str) -> Result<Option<EventType>, Problem> {
    let address = Address::event_type(caller.org, name);
    match api.engine.store.find(&address, api.engine.clock.now()).await?.map(|stored| stored.record) {
        Some(Record::EventType(entry)) => Ok(Some(entry).filter(|entry| caller.shown(entry.feature_flags.as_deref()))),
        _ => Ok(None),
    }
}

/// Get Event Type.
///
/// Get an event type.
#[utoipa::path(
    get, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.get", tag = "Event Type",
    summary = "Get Event Type",
    params(("event_type_name" = String, Path, description = "The event type's name")),
    responses((status = 200, description = "The event type.", body = EventTypeOut), Errors)
)]
async fn get(State(api): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let entry = find(&api, &caller, &name).await?.ok_or_else(missing)?;
    Ok(axum::Json(EventTypeOut::of(entry, true)).into_response())
}

/// Update Event Type.
///
/// Create or update an event type.
#[utoipa::path(
    put, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.update", tag = "Event Type",
    summary = "Update Event Type",
    params(("event_type_name" = String, Path, description = "The event type's name")), request_body = EventTypeUpdate,
    responses(
        (status = 200, description = "The event type as it is now.", body = EventTypeOut),
        (status = 201, description = "The new event type.", body = EventTypeOut),
        Errors
    )
)]
async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Json<EventTypeUpdate>,
) -> Result<Response, Problem> {
    caller.manage()?;
    let form = body.value;
    let mut check = Check::new();
    check.name(&["path", "event_type_name"], &name);
    check.done()?;
    form.check()?;
    let now = api.engine.clock.now();
    if let Some(out) = edit(&api, &caller, &name, |entry| form.clone().replace(entry, now)).await? {
        return Ok(axum::Json(out).into_response());
    }
    let entry = form.clone().make(caller.org, name.clone(), now);
    let made = json_text(StatusCode::CREATED, to_text(&EventTypeOut::of(entry.clone(), true))?);
    match api.engine.change(vec![Change::Insert(Record::EventType(entry))]).await {
        Ok(()) => Ok(made),
        // Somebody else made it meanwhile: what was asked for is an update then.
        Err(StoreError::Conflict(Conflict::Record(Kind::EventType))) => {
            let edited = edit(&api, &caller, &name, |entry| form.clone().replace(entry, now)).await?;
            Ok(axum::Json(edited.ok_or_else(missing)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Patch Event Type.
///
/// Partially update an event type.
#[utoipa::path(
    patch, path = "/api/v1/event-type/{event_type_name}", operation_id = "patch_event_type", tag = "Event Type",
    summary = "Patch Event Type",
    params(("event_type_name" = String, Path, description = "The event type's name")), request_body = EventTypePatch,
    responses((status = 200, description = "The event type as it is now.", body = EventTypeOut), Errors)
)]
async fn patch(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    body: Json<EventTypePatch>,
) -> Result<Response, Problem> {
    caller.manage()?;
    body.value.check()?;
    let now = api.engine.clock.now();
    let edited = edit(&api, &caller, &name, |entry| body.value.clone().apply(entry, now)).await?;
    Ok(axum::Json(edited.ok_or_else(missing)?).into_response())
}

async fn edit(api: &Api, caller: &Caller, name: &str, change: impl Fn(&mut EventType)) -> Result<Option<EventTypeOut>, Problem> {
    let address = Address::event_type(caller.org, name);
    let edited = revise(&api.engine, &address, |record| {
        let Record::EventType(entry) = record else { return Err(Problem::Internal) };
        change(entry);
        Ok(EventTypeOut::of(entry.clone(), true))
    });
    edited.await
}

/// What [`delete`] may be told in its query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// By default event types are archived when "deleted". Passing this to `true` deletes them entirely.
    #[serde(default)]
    #[param(default = false)]
    expunge: bool,
}

/// Delete Event Type.
///
/// Archive an event type.
///
/// Endpoints already configured to filter on an event type will continue to do so after archival.
/// An event type can be unarchived with the create operation.
#[utoipa::path(
    delete, path = "/api/v1/event-type/{event_type_name}", operation_id = "v1.event-type.delete", tag = "Event Type",
    summary = "Delete Event Type",
    params(("event_type_name" = String, Path, description = "The event type's name"), DeleteQuery),
    responses((status = 204, description = "It is archived, or deleted."), Errors)
)]
async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    caller.manage()?;
    if query.expunge {
        find(&api, &caller, &name).await?.ok_or_else(missing)?;
        api.engine.change(vec![Change::Delete(Address::event_type(caller.org, &name))]).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let now = api.engine.clock.now();
    let archive = |entry: &mut EventType| {
        entry.archived = true;
        entry.updated_at = now;
    };
    edit(&api, &caller, &name, archive).await?.ok_or_else(missing)?;
    Ok(StatusCode::NO_CONTENT)
}
