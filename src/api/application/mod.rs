//! `/api/v1/app`: applications.

mod shape;

pub(super) use shape::limits;
pub use shape::{ApplicationIn, ApplicationOut, ApplicationPatch};

use super::{
    Api, Caller, Errors, Idempotent, Json, Patch, Path, Problem, Query, Shared,
    body::{json_text, to_text},
    page::{ListResponse, Ordering, PageQuery},
    profile,
    revise::revise,
};
use crate::{
    model::{Address, AppId, Application, Kind, Metadata, OPERATIONAL_UID, OrgId, Record, Scope},
    routing::AppRoutes,
    store::{Change, Conflict, StoreError},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where test endpoints of the field's hosted service live, which one of the list's filters names.
const PLAY_URL: &str = "https://play.svix.com/";

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, patch, delete))
}

/// What leaves applications out of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Excluded {
    /// Exclude applications that have no endpoints. Default is false.
    #[serde(default)]
    #[param(default = false)]
    exclude_apps_with_no_endpoints: bool,
    /// Exclude applications that have only disabled endpoints. Default is false.
    #[serde(default)]
    #[param(default = false)]
    exclude_apps_with_disabled_endpoints: bool,
    /// Exclude applications that only have Svix Play endpoints. Default is false.
    #[serde(default)]
    #[param(default = false)]
    exclude_apps_with_svix_play_endpoints: bool,
}

impl Excluded {
    fn keeps(&self, api: &Api, app: AppId) -> bool {
        let Some(app) = api.engine.routing.by_id(app) else { return true };
        let (any, routes) = (!app.routes.is_empty(), &app.routes);
        let disabled = any && routes.iter().all(|r| r.disabled.is_some());
        let playing = any && routes.iter().all(|r| r.url.starts_with(PLAY_URL));
        !(self.exclude_apps_with_no_endpoints && !any
            || self.exclude_apps_with_disabled_endpoints && disabled
            || self.exclude_apps_with_svix_play_endpoints && playing)
    }
}

/// List Applications.
///
/// List of all the organization's applications.
#[utoipa::path(
    get, path = "/api/v1/app", operation_id = "v1.application.list", tag = "Application", summary = "List Applications",
    params(Excluded, PageQuery),
    responses((status = 200, description = "A page of applications.", body = ListResponse<ApplicationOut>), Errors)
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(excluded): Query<Excluded>,
    Query(page): Query<PageQuery>,
) -> Result<axum::Json<ListResponse<ApplicationOut>>, Problem> {
    caller.manage()?;
    let page = page.check(Ordering::Ascending, |id| id.parse::<AppId>().is_ok())?;
    let keep = |record| match record {
        Record::Application(app) if excluded.keeps(&api, app.id) => Some(app),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Application, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |app| app.id.to_string(), |app| ApplicationOut::from(&app))))
}

/// What [`create`] may be told in its query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CreateQuery {
    /// Get an existing application, or create a new one if doesn't exist. It's two separate functions in the libs.
    #[serde(default)]
    #[param(default = false)]
    get_if_exists: bool,
}

/// Create Application.
///
/// Create a new application.
#[utoipa::path(
    post, path = "/api/v1/app", operation_id = "v1.application.create", tag = "Application", summary = "Create Application",
    params(CreateQuery, ("idempotency-key" = Option<String>, Header, description = "The request's idempotency key")),
    request_body = ApplicationIn,
    responses(
        (status = 200, description = "The application with this uid, which existed.", body = ApplicationOut),
        (status = 201, description = "The new application.", body = ApplicationOut),
        Errors
    )
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Query(query): Query<CreateQuery>,
    body: Json<ApplicationIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    body.value.check(&["body"])?;
    profile::check_named(&api, caller.org, &body.value.profile)?;
    let uid = body.value.uid.value().cloned().filter(|_| query.get_if_exists);
    if let Some(existing) = existing(&api, &caller, uid.as_deref()).await? {
        return idempotent.commit(&api, Vec::new(), StatusCode::OK, &existing).await;
    }
    let app = body.value.make(&api, caller.org);
    let out = ApplicationOut::from(&app);
    let created = idempotent.commit(&api, vec![Change::Insert(Record::Application(app))], StatusCode::CREATED, &out).await;
    match created {
        // Somebody else made it meanwhile.
        Err(Problem::Conflict(_)) if uid.is_some() => match existing(&api, &caller, uid.as_deref()).await? {
            Some(existing) => idempotent.commit(&api, Vec::new(), StatusCode::OK, &existing).await,
            None => created,
        },
        _ => created,
    }
}

async fn existing(api: &Api, caller: &Caller, uid: Option<&str>) -> Result<Option<ApplicationOut>, Problem> {
    let Some(uid) = uid else { return Ok(None) };
    let found = api.engine.app(caller.org, uid);
    Ok(found.map(|app| ApplicationOut::from(&app.application)))
}

/// Get Application.
///
/// Get an application.
#[utoipa::path(
    get, path = "/api/v1/app/{app_id}", operation_id = "v1.application.get", tag = "Application", summary = "Get Application",
    params(("app_id" = String, Path, description = "The application's ID or UID.")),
    responses((status = 200, description = "The application.", body = ApplicationOut), Errors)
)]
async fn get(State(api): State<Shared>, caller: Caller, Path(app_id): Path<String>) -> Result<Response, Problem> {
    let app = caller.application(&api, &app_id).await?;
    Ok(axum::Json(ApplicationOut::from(&app.application)).into_response())
}

/// Update Application.
///
/// Create or update an application. What is left out gets its default, except `profile` and `retryPolicy`, which stay as
/// they are, and a `uid` by which the application was named.
#[utoipa::path(
    put, path = "/api/v1/app/{app_id}", operation_id = "v1.application.update", tag = "Application",
    summary = "Update Application",
    params(("app_id" = String, Path, description = "The application's ID or UID.")), request_body = ApplicationIn,
    responses(
        (status = 200, description = "The application as it is now.", body = ApplicationOut),
        (status = 201, description = "The new application.", body = ApplicationOut),
        Errors
    )
)]
async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(app_id): Path<String>,
    body: Json<ApplicationIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    let mut form = body.value;
    form.uid = named(form.uid, &app_id);
    form.check(&["body"])?;
    profile::check_named(&api, caller.org, &form.profile)?;
    if let Some(made) = make_missing(&api, &caller, &app_id, &form).await? {
        return Ok(json_text(StatusCode::CREATED, to_text(&made)?));
    }
    let app = caller.application(&api, &app_id).await?;
    profile::check_worn(&api, &app.application, &form.profile).await?;
    edit(&api, &app.application, |app| form.clone().replace(app)).await
}

/// The uid that a form asks for; when it says nothing, the uid by which the request names the application.
fn named(uid: Patch<String>, app_id: &str) -> Patch<String> {
    match uid {
        Patch::Absent if app_id.parse::<AppId>().is_err() => Patch::Value(app_id.to_owned()),
        said => said,
    }
}

/// Makes the application that a request names by a uid, unless it is there.
async fn make_missing(api: &Api, caller: &Caller, app_id: &str, form: &ApplicationIn) -> Result<Option<ApplicationOut>, Problem> {
    if app_id.parse::<AppId>().is_ok() || api.engine.app(caller.org, app_id).is_some() {
        return Ok(None);
    }
    let app = form.clone().make(api, caller.org);
    let out = ApplicationOut::from(&app);
    match api.engine.change(vec![Change::Insert(Record::Application(app))]).await {
        Ok(()) => Ok(Some(out)),
        // Somebody else made it meanwhile.
        Err(StoreError::Conflict(Conflict::Record(Kind::Application))) if out.uid.as_deref() == Some(app_id) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The application that a request names; when it is not there and the request brings a form for it, it is made.
///
/// # Errors
/// 404 when it is not there and there is no form, 422 for a bad form, 403 for a portal token with one.
pub async fn ensure(api: &Api, caller: &Caller, app_id: &str, form: Option<&ApplicationIn>) -> Result<Arc<AppRoutes>, Problem> {
    if let Some(form) = form {
        caller.manage()?;
        let form = ApplicationIn { uid: named(form.uid.clone(), app_id), ..form.clone() };
        form.check(&["body", "application"])?;
        if api.engine.app(caller.org, app_id).is_none() {
            caller.holds(Scope::Manage)?;
            profile::check_named(api, caller.org, &form.profile)?;
            if let Some(made) = make_missing(api, caller, app_id, &form).await? {
                return caller.application(api, &made.id.to_string()).await;
            }
        }
    }
    caller.application(api, app_id).await
}

/// The organization's application with this uid; it is made when it is not there.
///
/// # Errors
/// The store is away.
pub(crate) async fn made_on_first_use(api: &Api, org: OrgId, uid: &str, name: &str) -> Result<Arc<AppRoutes>, Problem> {
    let known = || api.engine.app(org, uid);
    if let Some(app) = known() {
        return Ok(app);
    }
    let now = api.engine.clock.now();
    let application = Application {
        id: AppId(api.engine.random.id(now)),
        org,
        uid: Some(uid.to_owned()),
        name: name.to_owned(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: now,
        updated_at: now,
    };
    match api.engine.change(vec![Change::Insert(Record::Application(application))]).await {
        // Somebody else has just made it.
        Ok(()) | Err(StoreError::Conflict(Conflict::Record(_))) => {}
        Err(error) => return Err(error.into()),
    }
    known().ok_or(Problem::Unavailable)
}

/// Patch Application.
///
/// Partially update an application.
#[utoipa::path(
    patch, path = "/api/v1/app/{app_id}", operation_id = "patch_application", tag = "Application",
    summary = "Patch Application",
    params(("app_id" = String, Path, description = "The application's ID or UID.")), request_body = ApplicationPatch,
    responses((status = 200, description = "The application as it is now.", body = ApplicationOut), Errors)
)]
async fn patch(
    State(api): State<Shared>,
    caller: Caller,
    Path(app_id): Path<String>,
    body: Json<ApplicationPatch>,
) -> Result<Response, Problem> {
    caller.manage()?;
    body.value.check()?;
    profile::check_named(&api, caller.org, &body.value.profile)?;
    let app = caller.application(&api, &app_id).await?;
    profile::check_worn(&api, &app.application, &body.value.profile).await?;
    edit(&api, &app.application, |app| body.value.clone().apply(app)).await
}

async fn edit(api: &Api, app: &Application, change: impl Fn(&mut Application)) -> Result<Response, Problem> {
    let now = api.engine.clock.now();
    let address = Address::application(app.org, app.id);
    let edited = revise(&api.engine, &address, |record| {
        let Record::Application(app) = record else { return Err(Problem::Internal) };
        change(app);
        app.updated_at = now;
        Ok(ApplicationOut::from(&*app))
    });
    let out = edited.await?.ok_or_else(|| Problem::not_found("application"))?;
    Ok(axum::Json(out).into_response())
}

/// Delete Application.
///
/// Delete an application, with its endpoints, sources and messages. The organization's own ones, to which its own sources and
/// its operational messages go, are refused while they are in use.
#[utoipa::path(
    delete, path = "/api/v1/app/{app_id}", operation_id = "v1.application.delete", tag = "Application",
    summary = "Delete Application",
    params(("app_id" = String, Path, description = "The application's ID or UID.")),
    responses((status = 204, description = "It is deleted."), Errors)
)]
async fn delete(State(api): State<Shared>, caller: Caller, Path(app_id): Path<String>) -> Result<StatusCode, Problem> {
    caller.manage()?;
    let app = caller.application(&api, &app_id).await?;
    if api.inbound.sources.holds_own(app.application.id) {
        return Err(Problem::conflict("It gets what the organization's own sources receive. Delete those first."));
    }
    let operational = app.application.uid.as_deref() == Some(OPERATIONAL_UID);
    if operational && !app.routes.is_empty() {
        return Err(Problem::conflict("It holds the operational webhook endpoints. Delete those first."));
    }
    let address = Address::application(app.application.org, app.application.id);
    api.engine.change(vec![Change::Delete(address)]).await?;
    Ok(StatusCode::NO_CONTENT)
}
