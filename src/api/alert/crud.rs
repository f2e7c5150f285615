//! `/api/v1/alert`: rules, made, listed, changed and deleted.

use super::shape::{AlertIn, AlertOut, Asked};
use crate::{
    alerts::MAX_ALERTS,
    api::{
        Api, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared,
        page::{FixedPageQuery, ListResponse, Ordering},
        revise::revise_with,
    },
    model::{Address, Alert, AlertId, AlertState, Kind, OrgId, Record},
    store::{Change, ListPage},
};
use axum::{extract::State, http::StatusCode, response::Response};

fn missing() -> Problem {
    Problem::not_found("alert")
}

async fn state_of(api: &Api, org: OrgId, alert: AlertId) -> Result<Option<AlertState>, Problem> {
    let found = api.engine.store.find(&Address::alert_state(org, alert), api.engine.clock.now()).await?;
    Ok(found.and_then(|found| if let Record::AlertState(state) = found.record { Some(*state) } else { None }))
}

/// The caller's rule with this id.
pub(super) async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Alert, Problem> {
    caller.manage()?;
    let id: AlertId = id.parse().map_err(|_| missing())?;
    let found = api.engine.store.find(&Address::alert(caller.org, id), api.engine.clock.now()).await?;
    found.and_then(|found| if let Record::Alert(alert) = found.record { Some(*alert) } else { None }).ok_or_else(missing)
}

/// The organization's alerts, the oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/alert",
    operation_id = "v1.alert.list",
    tag = "Alert",
    params(FixedPageQuery),
    responses(Errors, (status = 200, description = "A page of alerts", body = ListResponse<AlertOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<AlertOut>>, Problem> {
    caller.manage()?;
    let page = query.check(Ordering::Ascending, |id| id.parse::<AlertId>().is_ok())?;
    let keep = |record| match record {
        Record::Alert(alert) => Some(alert),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Alert, &caller.org.to_string(), keep).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for alert in rows {
        let state = state_of(&api, caller.org, alert.id).await?;
        shown.push(AlertOut::new(&api, &alert, state.as_ref()));
    }
    Ok(axum::Json(page.answer(shown, |alert| alert.id.to_string(), |alert| alert)))
}

/// Makes an alert. It is looked at within seconds: endpoints for which its condition holds already are told of at once.
#[utoipa::path(
    post,
    path = "/api/v1/alert",
    operation_id = "v1.alert.create",
    tag = "Alert",
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer")),
    request_body = AlertIn,
    responses(Errors, (status = 201, description = "Made", body = AlertOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<AlertIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let Asked { name, app, endpoint, condition, emails, operational, cooldown_s, muted } = body.value.read(&api, &caller).await?;
    let now = api.engine.clock.now();
    let page = ListPage { after: None, backwards: false, limit: MAX_ALERTS };
    if api.engine.store.list(Kind::Alert, &caller.org.to_string(), page, now).await?.len() >= MAX_ALERTS {
        return Err(Problem::conflict(format!("There are {MAX_ALERTS} alerts, which is the most there can be.")));
    }
    let (id, org) = (AlertId(api.engine.random.id(now)), caller.org);
    let (created_at, updated_at) = (now, now);
    let alert = Alert { id, org, name, app, endpoint, condition, emails, operational, cooldown_s, muted, created_at, updated_at };
    let out = AlertOut::new(&api, &alert, None);
    let made = idempotent.commit(&api, vec![Change::Insert(Record::Alert(Box::new(alert)))], StatusCode::CREATED, &out).await;
    api.engine.note_trouble();
    made
}

/// An alert, and the endpoints for which its condition holds.
#[utoipa::path(
    get,
    path = "/api/v1/alert/{alert_id}",
    operation_id = "v1.alert.get",
    tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id")),
    responses(Errors, (status = 200, description = "The alert", body = AlertOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<AlertOut>, Problem> {
    let alert = find(&api, &caller, &id).await?;
    let state = state_of(&api, caller.org, alert.id).await?;
    Ok(axum::Json(AlertOut::new(&api, &alert, state.as_ref())))
}

/// Changes an alert; what is left out gets its default. With another condition, or about other endpoints, it begins anew: what
/// it had found is forgotten, and no end of it is told.
#[utoipa::path(
    put,
    path = "/api/v1/alert/{alert_id}",
    operation_id = "v1.alert.update",
    tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id")),
    request_body = AlertIn,
    responses(Errors, (status = 200, description = "The alert as it is now", body = AlertOut))
)]
pub(super) async fn update(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Json<AlertIn>,
) -> Result<axum::Json<AlertOut>, Problem> {
    let id = find(&api, &caller, &id).await?.id;
    let asked = body.value.read(&api, &caller).await?;
    let now = api.engine.clock.now();
    let address = Address::alert(caller.org, id);
    let revised = revise_with(&api.engine, &address, |record| {
        let Record::Alert(alert) = record else { return Err(Problem::Internal) };
        let asked = asked.clone();
        let anew = (alert.app, alert.endpoint, alert.condition) != (asked.app, asked.endpoint, asked.condition);
        let Asked { name, app, endpoint, condition, emails, operational, cooldown_s, muted } = asked;
        let (id, org, created_at) = (alert.id, alert.org, alert.created_at);
        **alert =
            Alert { id, org, name, app, endpoint, condition, emails, operational, cooldown_s, muted, created_at, updated_at: now };
        let forget = anew.then(|| Change::Delete(Address::alert_state(org, id)));
        Ok(((**alert).clone(), forget.into_iter().collect()))
    });
    let alert = revised.await?.ok_or_else(missing)?;
    api.engine.note_trouble();
    let state = state_of(&api, caller.org, alert.id).await?;
    Ok(axum::Json(AlertOut::new(&api, &alert, state.as_ref())))
}

/// Deletes an alert. What it still had to tell is not told.
#[utoipa::path(
    delete,
    path = "/api/v1/alert/{alert_id}",
    operation_id = "v1.alert.delete",
    tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id")),
    responses(Errors, (status = 204, description = "It is deleted"))
)]
pub(super) async fn delete(State(api): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let alert = find(&api, &caller, &id).await?;
    let addresses = [Address::alert(alert.org, alert.id), Address::alert_state(alert.org, alert.id)];
    api.engine.change(addresses.map(Change::Delete).to_vec()).await?;
    Ok(StatusCode::NO_CONTENT)
}
