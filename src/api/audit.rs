//! `/api/v1/audit`: who changed what, when and from where. Ours, not of the compatible contract.

use super::{
    Caller, Errors, Problem, Shared, Stamp,
    body::OnlyQuery,
    page::{FixedPageQuery, ListResponse, Ordering},
};
use crate::flow::AUDITED;
use crate::model::{AuditAction, AuditActor, AuditEntry, AuditId, AuditUser, Kind, Record, Time};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Which entries. Parameters that are not named here are refused.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Made by this key, session or portal link.
    key: Option<String>,
    /// Made by this user of the dashboard, by id or by the name they sign in with.
    user: Option<String>,
    /// Of this object, by its id or name.
    id: Option<String>,
    /// Of this kind of object.
    #[param(value_type = Option<AuditWhat>, inline)]
    what: Option<String>,
    /// Of this action.
    #[param(inline)]
    action: Option<AuditActionName>,
    /// Not before this instant (RFC 3339).
    #[param(format = DateTime)]
    after: Option<String>,
    /// Before this instant (RFC 3339).
    #[param(format = DateTime)]
    before: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AuditActionName {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted, or revoked.
    Deleted,
}

/// The words of [`AUDITED`], for the description of the API.
struct AuditWhat;

impl PartialSchema for AuditWhat {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(AUDITED)).into()
    }
}

impl ToSchema for AuditWhat {}

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

    fn check(&self) -> Result<(), Problem> {
        if self.what.as_ref().is_some_and(|what| !AUDITED.contains(&what.as_str())) {
            let rule = format!("There is no such kind of object; there are: {}.", AUDITED.join(", "));
            return Err(Problem::field(&["query", "what"], "unknown", rule));
        }
        Ok(())
    }

    fn keeps(&self, entry: &AuditEntry, (after, before): (Option<Time>, Option<Time>)) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_deref().is_none_or(|wanted| wanted == text);
        let action = match entry.action {
            AuditAction::Created => AuditActionName::Created,
            AuditAction::Updated => AuditActionName::Updated,
            AuditAction::Deleted => AuditActionName::Deleted,
        };
        let by = |wanted: &String| entry.user.as_ref().is_some_and(|user| user.login == *wanted || user.id.to_string() == *wanted);
        let at = entry.id.time();
        is(&self.what, &entry.what)
            && is(&self.id, &entry.id_of)
            && self.action.is_none_or(|wanted| wanted == action)
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
    params(FixedPageQuery, AuditQuery), responses(Errors, (status = 200, body = ListResponse<AuditOut>))
)]
async fn list(
    State(api): State<Shared>,
    caller: Caller,
    OnlyQuery(page, query): OnlyQuery<FixedPageQuery, AuditQuery>,
) -> Result<axum::Json<ListResponse<AuditOut>>, Problem> {
    caller.manage()?;
    let page = page.check(Ordering::Descending, |id| id.parse::<AuditId>().is_ok())?;
    query.check()?;
    let span = (AuditQuery::time("after", query.after.as_ref())?, AuditQuery::time("before", query.before.as_ref())?);
    let keep = |record| match record {
        Record::Audit(entry) if query.keeps(&entry, span) => Some(entry),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Audit, &caller.org.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |entry| entry.id.to_string(), AuditOut::from)))
}
