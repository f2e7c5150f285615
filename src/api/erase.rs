//! `…/erase`: deletes every trace of messages, and keeps a receipt.

use super::{
    Api, Caller, Errors, Idempotent, Json, Path, Problem, Query, Shared, Stamp,
    body::{json_text, to_text},
    endpoint::read_filter,
    limits::Limits,
    message::labels,
    page::{FixedPageQuery, ListResponse, Ordering},
};
use crate::{
    crypto::Vault,
    model::{Address, AppId, Doomed, Erasure, Kind, MsgId, Record, TaskId, Time},
    store::Change,
    upkeep::apps_of,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// From here on doubles stand for several whole numbers: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What the fingerprints of requests are for.
const ASKED: &str = "erase asked";

/// The rules below, for the description of the API.
pub(super) fn limits() -> Limits {
    let value = json!({ "type": ["string", "number", "boolean", "null"] });
    vec![("EraseIn", json!({ "tag": labels::tag_limits(), "value": value }))]
}

/// The operations on erasures.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get))
}

/// Which messages to erase: by tag, by a value in the payload, or by both.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EraseIn {
    /// Only in this application, by id or uid. Absent: in all of the organization.
    app_id: Option<String>,
    /// Messages with this tag.
    tag: Option<String>,
    /// Messages with `value` at this path of the payload (`user.id`).
    path: Option<String>,
    /// The value at `path`: a text, a number or a truth value.
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
}

/// An erasure; once it is finished, its receipt. What it was about is forgotten then, but for a digest.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EraseOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: TaskId,
    /// `running` or `finished`.
    status: &'static str,
    /// The application; null for all.
    #[schema(value_type = Option<String>)]
    app_id: Option<AppId>,
    /// HMAC-SHA-256, hex, of what was asked for (`{"appId", "tag", "path", "value"}` in this order, as JSON without spaces and
    /// without what is absent), under a key that is derived from the server's master key: nobody can find out from it what was
    /// asked for by trying. Until the master key is rotated, the same request has the same.
    asked: String,
    /// Messages erased.
    #[schema(value_type = i64)]
    count: u64,
    /// Messages that were left because their payloads are gone already, so that the path cannot be looked at: erase these by
    /// tag, or wait for their retention.
    #[schema(value_type = i64)]
    unreadable: u64,
    /// SHA-256, hex, over the ids: for each, of the digest before as text (empty at first) and the id. Empty when none was
    /// erased.
    digest: String,
    /// When it was asked for; messages made until then are erased.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When the last row was deleted: from then on it cannot be read through the server. Files of the store hold bytes of deleted
    /// rows longer: the ledger's page of the documentation says how long.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Stamp>,
}

impl From<&Erasure> for EraseOut {
    fn from(erasure: &Erasure) -> Self {
        EraseOut {
            id: erasure.id,
            status: if erasure.finished_at.is_some() { "finished" } else { "running" },
            app_id: erasure.app,
            asked: erasure.asked.clone(),
            count: erasure.count,
            unreadable: erasure.unreadable,
            digest: erasure.digest.clone(),
            created_at: Stamp(erasure.created_at),
            finished_at: erasure.finished_at.map(Stamp),
        }
    }
}

/// What is asked for, as a digest that names nobody.
fn asked(vault: &Vault, body: &EraseIn) -> Result<String, Problem> {
    let mut all = Map::new();
    let given = [("appId", body.app_id.clone().map(Value::from)), ("tag", body.tag.clone().map(Value::from))];
    let given = given.into_iter().chain([("path", body.path.clone().map(Value::from)), ("value", body.value.clone())]);
    all.extend(given.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    vault.fingerprint(ASKED, to_text(&all)?.as_bytes()).map_err(|_| Problem::Internal)
}

fn doomed(body: &EraseIn) -> Result<Doomed, Problem> {
    body.tag.as_deref().map_or(Ok(()), |tag| labels::tag(&["body", "tag"], tag))?;
    let filter = match (&body.path, &body.value) {
        (Some(path), _) if ["any", "all", "not"].contains(&path.as_str()) => {
            return Err(Problem::field(&["body", "path"], "pattern", "Write it in double quotes."));
        }
        // Beyond 64 bits whole numbers are compared as doubles, which would find others too.
        (Some(_), Some(Value::Number(number))) if number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= EXACT) => {
            return Err(Problem::field(&["body", "value"], "range", "A number is below 2^53, or a whole one of 64 bits."));
        }
        (Some(path), Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_)))) => {
            let written = json!({path.as_str(): {"eq": value}});
            Some(read_filter(written).map_err(|_| Problem::field(&["body", "path"], "pattern", "Keys with dots between them."))?)
        }
        (None, None) => None,
        (Some(_), _) => return Err(Problem::field(&["body", "value"], "type_error", "A text, a number or a truth value.")),
        (None, Some(_)) => return Err(Problem::field(&["body", "path"], "missing", "It says where the value stands.")),
    };
    if filter.is_none() && body.tag.is_none() {
        return Err(Problem::field(&["body", "tag"], "missing", "A tag, or a path with a value."));
    }
    Ok(Doomed { tag: body.tag.clone(), filter })
}

/// Erases messages: the messages, their payloads, deliveries, attempts and answers, in the background and through restarts.
/// Nothing else is asked first. An attempt that is under way at that moment may still arrive; answers kept for
/// idempotency keys go within 12 hours.
#[utoipa::path(
    post,
    path = "/api/v1/erase",
    operation_id = "v1.erase.create",
    tag = "Erase",
    params(("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer")),
    request_body = EraseIn,
    responses(Errors, (status = 202, description = "It has begun", body = EraseOut))
)]
async fn create(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    body: Json<EraseIn>,
) -> Result<Response, Problem> {
    caller.manage()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let app = match &body.value.app_id {
        Some(app) => Some(caller.application(&api, app).await?.application.id),
        None => None,
    };
    let now = api.engine.clock.now();
    let erasure = Erasure {
        id: TaskId(api.engine.random.id(now)),
        org: caller.org,
        app,
        doomed: Some(doomed(&body.value)?),
        asked: asked(&api.engine.vault, &body.value)?,
        apps: apps_of(&api.engine, caller.org, app),
        cursor: MsgId(0),
        doing: Vec::new(),
        count: 0,
        unreadable: 0,
        digest: String::new(),
        created_at: now,
        until: Time(now.0.saturating_add(1)),
        finished_at: None,
    };
    let text = to_text(&EraseOut::from(&erasure))?;
    let mut changes = vec![Change::Insert(Record::Erasure(Box::new(erasure)))];
    changes.extend(idempotent.answered(StatusCode::ACCEPTED, text.clone()).map(Change::Insert));
    let stored = api.engine.change(changes).await.map_err(Problem::from);
    api.engine.ask_for_upkeep();
    idempotent.settle(&api, stored.map(|()| json_text(StatusCode::ACCEPTED, text))).await
}

/// The organization's erasures, the newest first. Receipts are kept for good.
#[utoipa::path(
    get,
    path = "/api/v1/erase",
    operation_id = "v1.erase.list",
    tag = "Erase",
    params(FixedPageQuery),
    responses(Errors, (status = 200, description = "A page of erasures", body = ListResponse<EraseOut>))
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<EraseOut>>, Problem> {
    caller.manage()?;
    let page = query.check(Ordering::Descending, |id| id.parse::<TaskId>().is_ok())?;
    let keep = |record| match record {
        Record::Erasure(erasure) => Some(erasure),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Erasure, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |erasure| erasure.id.to_string(), |erasure| EraseOut::from(&*erasure))))
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Erasure, Problem> {
    let missing = || Problem::not_found("erasure");
    let id: TaskId = id.parse().map_err(|_| missing())?;
    let found = api.engine.store.find(&Address::erasure(caller.org, id), api.engine.clock.now()).await?;
    match found.map(|found| found.record) {
        Some(Record::Erasure(erasure)) => Ok(*erasure),
        _ => Err(missing()),
    }
}

/// An erasure; once it is finished, its receipt.
#[utoipa::path(
    get,
    path = "/api/v1/erase/{erase_id}",
    operation_id = "v1.erase.get",
    tag = "Erase",
    params(("erase_id" = String, Path, description = "The erasure's id")),
    responses(Errors, (status = 200, description = "The erasure", body = EraseOut))
)]
async fn get(State(api): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<axum::Json<EraseOut>, Problem> {
    caller.manage()?;
    Ok(axum::Json(EraseOut::from(&find(&api, &caller, &id).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> EraseIn {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn something_must_be_named() {
        for good in [json!({"tag": "x"}), json!({"path": "user.id", "value": 7}), json!({"tag": "x", "path": "a", "value": "b"})] {
            assert!(doomed(&body(good.clone())).is_ok(), "{good}");
        }
        for bad in [
            json!({}),
            json!({"path": "a"}),
            json!({"value": 1}),
            json!({"path": "a", "value": null}),
            json!({"path": "a", "value": {}}),
            json!({"path": "a..b", "value": 1}),
            json!({"path": "any", "value": 1}),
            json!({"tag": "no spaces"}),
        ] {
            assert!(doomed(&body(bad.clone())).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_digest_of_a_request_tells_requests_apart() {
        let vault = |seed| Vault::from_text(&Vault::new_key(&crate::random::Random::seeded(seed))).unwrap();
        let (ours, theirs) = (vault(1), vault(2));
        let digest = |vault: &Vault, value: Value| asked(vault, &body(value)).unwrap();
        let x = json!({"tag": "x"});
        assert_eq!(digest(&ours, x.clone()), digest(&ours, x.clone()));
        assert_ne!(digest(&ours, x.clone()), digest(&ours, json!({"tag": "y"})));
        assert_ne!(digest(&ours, x.clone()), digest(&theirs, x), "who has not the key cannot try");
    }
}
