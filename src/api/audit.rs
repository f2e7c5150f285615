//! `/api/v1/audit`: who changed what, when and from where. Ours, not of the compatible contract.

use super::{
    Caller, Errors, Problem, Query, Shared, Stamp,
    page::{ListResponse, Ordering, PageQuery},
};
use crate::model::{AuditAction, AuditActor, AuditEntry, AuditId, AuditUser, Kind, Record, Time};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Entries a page, from 1 to 250.
    #[param(minimum = 1, maximum = 250)]
    limit: Option<u64>,
    /// The iterator of a page before.
    iterator: Option<String>,
    /// Made by this key, session or portal link.
    key: Option<String>,
    /// Made by this user of the dashboard, by id or by the name they sign in with.
    user: Option<String>,
    /// Of this object, by its id or name.
    id: Option<String>,
    /// Of this kind of object: `endpoint`, `application`, `event_type`, `key`, `source`, `profile`, `organization`,
    /// `user`, `session`, `issue`.
    what: Option<String>,
    /// Of this action: `created`, `updated`, `deleted`.
    action: Option<String>,
    /// Not before this instant (RFC 3339).
    after: Option<String>,
    /// Before this instant (RFC 3339).
    before: Option<String>,
}

/// A user of the dashboard.
#[derive(Debug, Serialize, ToSchema)]
struct AuditUserOut {
    /// The user's id.
    id: String,
    /// The name under which they signed in.
    login: String,
}

impl From<AuditUser> for AuditUserOut {
    fn from(user: AuditUser) -> Self {
        AuditUserOut { id: user.id.to_string(), login: user.login }
    }
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditOut {
    /// The entry's id.
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Stamp,
    /// Who asked for it: `key`, `session`, `portal`, `jwt` (kinds of tokens), or `user` (a person, in the dashboard).
    #[schema(value_type = String)]
    actor: AuditActor,
    /// Which token; null for a JWT and for a user.
    key: Option<String>,
    /// Which user; null for tokens.
    user: Option<AuditUserOut>,
    /// From where, past trusted proxies.
    from: Option<String>,
    /// What was done: `created`, `updated`, `deleted`.
    #[schema(value_type = String)]
    action: AuditAction,
    /// To what.
    what: String,
    /// Its id, or its name where it has none.
    object_id: String,
    /// The application that it belongs to.
    app_id: Option<String>,
    /// The names of the fields that changed.
    fields: Vec<String>,
}

impl From<AuditEntry> for AuditOut {
    fn from(entry: AuditEntry) -> Self {
        AuditOut {
            id: entry.id.to_string(),
            at: Stamp(entry.id.time()),
            actor: entry.actor,
            key: entry.key.map(|key| key.to_string()),
            user: entry.user.map(AuditUserOut::from),
            from: entry.from.map(|from| from.to_string()),
            action: entry.action,
            what: entry.what,
            object_id: entry.id_of,
            app_id: entry.app.map(|app| app.to_string()),
            fields: entry.fields,
        }
    }
}

impl AuditQuery {
    fn time(name: &'static str, text: Option<&String>) -> Result<Option<Time>, Problem> {
        let fault = || Problem::field(&["query", name], "date", "It is an instant as RFC 3339 writes it.");
        text.map(|text| Time::parse(text).ok_or_else(fault)).transpose()
    }

    fn keeps(&self, entry: &AuditEntry, (after, before): (Option<Time>, Option<Time>)) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let action = match entry.action {
            AuditAction::Created => "created",
            AuditAction::Updated => "updated",
            AuditAction::Deleted => "deleted",
        };
        let by = |wanted: &String| entry.user.as_ref().is_some_and(|user| user.login == *wanted || user.id.to_string() == *wanted);
        let at = entry.id.time();
        is(&self.what, &entry.what)
            && is(&self.id, &entry.id_of)
            && is(&self.action, action)
            && self.key.as_deref().is_none_or(|wanted| entry.key.is_some_and(|key| key.to_string() == wanted))
            && self.user.as_ref().is_none_or(by)
            && after.is_none_or(|after| at >= after)
            && before.is_none_or(|before| at < before)
    }
}

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List Audit Log.
///
/// Every change of the organization's configuration, the newest first: who, what, when, from where. Entries are kept for a
/// year. Values are not kept, so there are no secrets in it.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "v1.audit.list", tag = "Audit", summary = "List Audit Log",
    params(AuditQuery), responses(Errors, (status = 200, body = ListResponse<AuditOut>))
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<ListResponse<AuditOut>>, Problem> {
    caller.manage()?;
    let paged = PageQuery { limit: query.limit, iterator: query.iterator.clone(), order: None };
    let page = paged.check(Ordering::Descending, |id| id.parse::<AuditId>().is_ok())?;
    let span = (AuditQuery::time("after", query.after.as_ref())?, AuditQuery::time("before", query.before.as_ref())?);
    let keep = |record| match record {
        Record::Audit(entry) if query.keeps(&entry, span) => Some(entry),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Audit, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |entry| entry.id.to_string(), AuditOut::from)))
}
