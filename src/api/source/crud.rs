//! Making, reading, changing and deleting sources.

use super::{
    edit::Edit,
    shape::{SourceIn, SourceOut, SourcePatch},
    store::{self, shown, visible},
};
use crate::{
    api::{
        Api, Base, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
        body::OnlyQuery,
        page::{ListResponse, Ordering, PageQuery},
    },
    model::{Address, Kind, Record, Source, SourceId, SourceScheme},
    store::Change,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which sources a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SourceFilter {
    /// Only sources whose messages go to this application, by id or uid
    #[serde(rename = "appId")]
    app_id: Option<String>,
    /// Only sources of this provider
    provider: Option<String>,
    /// Only sources that are paused, or only those that are not
    paused: Option<bool>,
}

/// The sources of the organization, or of the portal's application.
#[utoipa::path(
    get,
    path = "/api/v1/source",
    operation_id = "v1.source.list",
    tag = "Source",
    params(PageQuery, SourceFilter),
    responses(Errors, (status = 200, description = "A page", body = ListResponse<SourceOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    OnlyQuery(page, filter): OnlyQuery<PageQuery, SourceFilter>,
) -> Result<axum::Json<ListResponse<SourceOut>>, Problem> {
    let page = page.check(Ordering::Ascending, |id| id.parse::<SourceId>().is_ok())?;
    if let Some(name) = filter.provider.as_ref().filter(|name| postrider_signature::provider(name).is_none()) {
        return Err(Problem::field(&["query", "provider"], "unknown", super::provider::unknown(name)));
    }
    let app = match &filter.app_id {
        Some(app) => Some(caller.application(&api, app).await?.application.id),
        None => None,
    };
    let keep = |source: &Source| {
        visible(&caller, source)
            && app.is_none_or(|app| source.app == app)
            && filter.paused.is_none_or(|paused| source.paused.is_some() == paused)
            && filter.provider.as_ref().is_none_or(|name| source.scheme == SourceScheme::Provider(name.clone()))
    };
    let org = caller.org.to_string();
    let rows = page.records(&api.engine, Kind::Source, &org, |record| match record {
        Record::Source(source) if keep(&source) => Some(source),
        _ => None,
    });
    let rows = rows.await?.into_iter().map(|source| shown(&api, (&caller, &base), source)).collect::<Result<Vec<_>, _>>()?;
    Ok(axum::Json(page.answer(rows, |source| source.id.to_string(), |source| source)))
}

/// What [`create`] may be told in its query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CreateSourceQuery {
    /// Answer with the source that has this uid, if there is one
    #[serde(default)]
    #[param(default = false)]
    get_if_exists: bool,
}

/// Makes a source. The answer has the URL to give to the third party, and the secret if one was made.
#[utoipa::path(
    post,
    path = "/api/v1/source",
    operation_id = "v1.source.create",
    tag = "Source",
    params(
        CreateSourceQuery,
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = SourceIn,
    responses(
        Errors,
        (status = 200, description = "The source with this uid, which existed", body = SourceOut),
        (status = 201, description = "Made", body = SourceOut)
    )
)]
pub(super) async fn create(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    mut idempotent: Idempotent,
    Query(query): Query<CreateSourceQuery>,
    body: Json<SourceIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let uid = body.value.uid.clone().filter(|_| query.get_if_exists);
    let app = body.value.app_id.clone();
    if let Some(existing) = existing(&api, &caller, (app.as_deref(), uid.as_deref())).await? {
        Edit::full(body.value)?;
        return idempotent.commit_sealed(&api, Vec::new(), StatusCode::OK, &shown(&api, (&caller, &base), existing)?).await;
    }
    let (source, out) = made(&api, (&caller, &base), body.value).await?;
    let created = idempotent.commit_sealed(&api, vec![insert(source)], StatusCode::CREATED, &out).await;
    match created {
        // Somebody else made it meanwhile.
        Err(Problem::Conflict(_)) if uid.is_some() => match existing(&api, &caller, (app.as_deref(), uid.as_deref())).await? {
            Some(existing) => {
                let out = shown(&api, (&caller, &base), existing)?;
                idempotent.commit_sealed(&api, Vec::new(), StatusCode::OK, &out).await
            }
            None => created,
        },
        _ => created,
    }
}

async fn existing(api: &Api, caller: &Caller, (app, uid): (Option<&str>, Option<&str>)) -> Result<Option<Source>, Problem> {
    let Some(uid) = uid else { return Ok(None) };
    there(store::find_owned(api, caller, (app, uid)).await)
}

/// What was found; nothing is no problem.
fn there(found: Result<Source, Problem>) -> Result<Option<Source>, Problem> {
    match found {
        Ok(source) => Ok(Some(source)),
        Err(Problem::NotFound(_)) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn insert(source: Source) -> Change {
    Change::Insert(Record::Source(source))
}

/// A new source, not yet stored, and how it is shown to whom made it.
async fn made(api: &Api, (caller, base): (&Caller, &Base), body: SourceIn) -> Result<(Source, SourceOut), Problem> {
    let (source, secret) = store::fresh(api, caller, body).await?;
    let mut out = shown(api, (caller, base), source.clone())?;
    out.secret = secret.map(|text| text.to_string());
    Ok((source, out))
}

/// A source.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}",
    operation_id = "v1.source.get",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 200, description = "The source", body = SourceOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    base: Base,
    Path(source): Path<String>,
) -> Result<axum::Json<SourceOut>, Problem> {
    shown(&api, (&caller, &base), store::find(&api, &caller, &source).await?).map(axum::Json)
}

/// Updates a source, or makes it when the path is a uid that no source has. Its URL stays; so do its secrets and settings,
/// unless they are named.
#[utoipa::path(
    put,
    path = "/api/v1/source/{source_id}",
    operation_id = "v1.source.update",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    request_body = SourceIn,
    responses(
        Errors,
        (status = 200, description = "Updated", body = SourceOut),
        (status = 201, description = "Made", body = SourceOut)
    )
)]
pub(super) async fn update(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Path(source): Path<String>,
    body: Json<SourceIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    let mut body = body.value;
    let by_uid = source.parse::<SourceId>().is_err();
    if by_uid {
        body.uid.get_or_insert_with(|| source.clone());
    }
    let edit = Edit::full(body.clone())?;
    let known = match &body.app_id {
        Some(app) if by_uid => store::find_owned(&api, &caller, (Some(app), &source)).await,
        _ => store::find(&api, &caller, &source).await,
    };
    if let Some(known) = there(known)? {
        same_owner(&api, &caller, &known, body.app_id.as_deref()).await?;
        let edited = store::edit(&api, &caller, &known.id.to_string(), &edit).await?;
        return Ok(axum::Json(shown(&api, (&caller, &base), edited)?).into_response());
    }
    if !by_uid {
        return Err(store::missing());
    }
    let (source, out) = made(&api, (&caller, &base), body).await?;
    api.engine.change(vec![insert(source)]).await?;
    Ok((StatusCode::CREATED, axum::Json(out)).into_response())
}

/// A source keeps its owner: its messages are its owner's.
async fn same_owner(api: &Api, caller: &Caller, source: &Source, app: Option<&str>) -> Result<(), Problem> {
    let Some(app) = app else { return Ok(()) };
    let same = caller.application(api, app).await.is_ok_and(|app| source.app_owned && app.application.id == source.app);
    let refused = || Problem::field(&["body", "appId"], "immutable", "A source keeps its owner: make another one.");
    if same { Ok(()) } else { Err(refused()) }
}

/// Changes what is named; what is absent stays, null asks for the default.
#[utoipa::path(
    patch,
    path = "/api/v1/source/{source_id}",
    operation_id = "v1.source.patch",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    request_body = SourcePatch,
    responses(Errors, (status = 200, description = "Changed", body = SourceOut))
)]
pub(super) async fn patch(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    Path(source): Path<String>,
    body: Json<SourcePatch>,
) -> Result<axum::Json<SourceOut>, Problem> {
    caller.write()?;
    let edited = store::edit(&api, &caller, &source, &Edit::patch(body.value)?).await?;
    shown(&api, (&caller, &base), edited).map(axum::Json)
}

/// Deletes a source: its URL answers nobody any more. The messages that it received stay.
#[utoipa::path(
    delete,
    path = "/api/v1/source/{source_id}",
    operation_id = "v1.source.delete",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 204, description = "Deleted"))
)]
pub(super) async fn delete(State(api): State<Shared>, caller: Caller, Path(source): Path<String>) -> Result<StatusCode, Problem> {
    caller.write()?;
    let source = store::find(&api, &caller, &source).await?;
    api.engine.change(vec![Change::Delete(Address::source(source.org, source.id))]).await?;
    Ok(StatusCode::NO_CONTENT)
}
