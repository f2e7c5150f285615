//! `…/retention`: how long the organization, or one application, keeps messages and their payloads.

use super::{Api, Caller, Errors, Json, Path, Problem, Shared};
use crate::{
    flow::Outlives,
    model::{Address, AppId, OrgId, Record, Retention},
    store::Change,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Hours that something is kept at most: ten years.
const MAX_HOURS: u32 = 87_600;
/// Seconds in an hour.
const HOUR_S: u64 = 3600;

/// The operations on retentions.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get, put)).routes(routes!(get_of_app, put_of_app))
}

/// How long to keep.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetentionIn {
    /// Messages, with their deliveries and attempts: deleted after so many hours, once no attempt is owed. Null: as the
    /// organization says, else the server.
    #[schema(minimum = 1, maximum = 87600)]
    message_hours: Option<u32>,
    /// Payloads of messages that are posted from now on and do not say so themselves: deleted after so many hours, also when an
    /// attempt is owed. Null: as the organization says, else with the message. Not longer than messages are kept here, whoever says
    /// so; what a message itself asks for ends with the message at the latest.
    #[schema(minimum = 1, maximum = 87600)]
    payload_hours: Option<u32>,
}

/// How long messages and payloads are kept.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RetentionOut {
    /// What is said here of messages.
    message_hours: Option<u32>,
    /// What is said here of payloads.
    payload_hours: Option<u32>,
    in_force: InForce,
}

/// What follows, with what the organization and the server say.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InForce {
    /// Hours that messages are kept.
    #[schema(value_type = i64)]
    message_hours: u64,
    /// Hours that payloads are kept; null: as long as their messages.
    #[schema(value_type = Option<i64>)]
    payload_hours: Option<u64>,
}

async fn show(api: &Api, org: OrgId, app: Option<AppId>) -> Result<RetentionOut, Problem> {
    let found = api.engine.store.find(&Address::retention(org, app), api.engine.clock.now()).await?;
    let own = match found.map(|found| found.record) {
        Some(Record::Retention(retention)) => retention,
        _ => Retention { org, app, message_hours: None, payload_hours: None },
    };
    // No application has this number: what an organization says stands for those that say nothing.
    let asked = app.unwrap_or(AppId(0));
    let kept = &api.engine.retentions;
    let messages = kept.messages(org, asked).unwrap_or(api.engine.settings.retention);
    let in_force = InForce {
        message_hours: messages.as_secs() / HOUR_S,
        payload_hours: kept.payloads(org, asked).map(|kept| kept.as_secs() / HOUR_S),
    };
    Ok(RetentionOut { message_hours: own.message_hours, payload_hours: own.payload_hours, in_force })
}

async fn set(api: &Api, org: OrgId, app: Option<AppId>, body: RetentionIn) -> Result<RetentionOut, Problem> {
    let RetentionIn { message_hours, payload_hours } = body;
    for (name, hours) in [("messageHours", message_hours), ("payloadHours", payload_hours)] {
        if hours.is_some_and(|hours| !(1..=MAX_HOURS).contains(&hours)) {
            return Err(Problem::field(&["body", name], "range", "A number from 1 to 87,600."));
        }
    }
    let retention = Retention { org, app, message_hours, payload_hours };
    if let Some(late) = api.engine.retentions.outlives(retention, api.engine.settings.retention) {
        return Err(outliving(retention, late));
    }
    let change = match (message_hours, payload_hours) {
        (None, None) => Change::Delete(Address::retention(org, app)),
        _ => Change::Write(Record::Retention(retention)),
    };
    api.engine.change(vec![change]).await?;
    show(api, org, app).await
}

/// Payloads would be kept for longer than their messages, which nothing can do.
fn outliving(asked: Retention, Outlives { app, message_hours, payload_hours }: Outlives) -> Problem {
    let field = if asked.payload_hours.is_some() { "payloadHours" } else { "messageHours" };
    let whose = app.filter(|_| asked.app.is_none()).map_or(String::new(), |app| format!(" of the application {app}"));
    let rule =
        format!("Payloads{whose} would be kept for {payload_hours} hours and their messages for {message_hours}: not longer.");
    Problem::field(&["body", field], "range", rule)
}

/// How long the organization keeps messages and payloads.
#[utoipa::path(
    get,
    path = "/api/v1/retention",
    operation_id = "v1.retention.get",
    tag = "Retention",
    responses(Errors, (status = 200, description = "The retention", body = RetentionOut))
)]
async fn get(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<RetentionOut>, Problem> {
    caller.manage()?;
    Ok(axum::Json(show(&api, caller.org, None).await?))
}

/// Says how long the organization keeps messages and payloads, unless an application says so itself.
#[utoipa::path(
    put,
    path = "/api/v1/retention",
    operation_id = "v1.retention.put",
    tag = "Retention",
    request_body = RetentionIn,
    responses(Errors, (status = 200, description = "The retention", body = RetentionOut))
)]
async fn put(State(api): State<Shared>, caller: Caller, body: Json<RetentionIn>) -> Result<axum::Json<RetentionOut>, Problem> {
    caller.manage()?;
    Ok(axum::Json(set(&api, caller.org, None, body.value).await?))
}

/// How long an application keeps messages and payloads.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/retention",
    operation_id = "v1.application.get-retention",
    tag = "Retention",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    responses(Errors, (status = 200, description = "The retention", body = RetentionOut))
)]
async fn get_of_app(
    State(api): State<Shared>,
    caller: Caller,
    Path(app): Path<String>,
) -> Result<axum::Json<RetentionOut>, Problem> {
    let app = caller.application(&api, &app).await?.application.id;
    Ok(axum::Json(show(&api, caller.org, Some(app)).await?))
}

/// Says how long an application keeps messages and payloads.
#[utoipa::path(
    put,
    path = "/api/v1/app/{app_id}/retention",
    operation_id = "v1.application.put-retention",
    tag = "Retention",
    params(("app_id" = String, Path, description = "The application's id or uid")),
    request_body = RetentionIn,
    responses(Errors, (status = 200, description = "The retention", body = RetentionOut))
)]
async fn put_of_app(
    State(api): State<Shared>,
    caller: Caller,
    Path(app): Path<String>,
    body: Json<RetentionIn>,
) -> Result<axum::Json<RetentionOut>, Problem> {
    caller.manage()?;
    let app = caller.application(&api, &app).await?.application.id;
    Ok(axum::Json(set(&api, caller.org, Some(app), body.value).await?))
}
