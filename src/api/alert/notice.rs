//! `/api/v1/alert/{id}/notice` and `/test`: what a rule has told, and whether letters arrive.

use super::crud::find;
use crate::{
    alerts,
    api::{
        Caller, Errors, Path, Problem, Query, Shared, Stamp,
        page::{FixedPageQuery, ListResponse, Ordering},
    },
    model::{AppId, Ended, EndpointId, Kind, Mail, Notice, NoticeId, NoticeLine, Record, Telling},
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// How far a notice is on one of its ways.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TellingOut {
    /// `unused`, `waiting`, `sent` or `failed`.
    state: &'static str,
    /// Why it has not gone, in words; the mail server's own where it said something.
    error: Option<String>,
    /// When it went.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Stamp>,
}

impl From<Telling> for TellingOut {
    fn from(telling: Telling) -> Self {
        let (state, error, sent_at) = match telling {
            Telling::Unused => ("unused", None, None),
            Telling::Waiting { error } => ("waiting", error, None),
            Telling::Sent(at) => ("sent", None, Some(Stamp(at))),
            Telling::Failed(error) => ("failed", Some(error), None),
        };
        TellingOut { state, error, sent_at }
    }
}

/// A letter.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AlertMailOut {
    /// For whom.
    to: String,
    /// How far it is.
    #[serde(flatten)]
    telling: TellingOut,
}

/// An endpoint of a notice.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NoticeLineOut {
    /// The application.
    #[schema(value_type = String)]
    app_id: AppId,
    /// The endpoint.
    #[schema(value_type = String)]
    endpoint_id: EndpointId,
    /// Its URL then, without its query.
    url: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Stamp,
    /// What was found, in words.
    finding: String,
    /// How it ended: `recovered`, `disabled` or `gone`; null: it went on.
    #[schema(value_type = Option<String>)]
    ended: Option<Ended>,
}

impl From<NoticeLine> for NoticeLineOut {
    fn from(line: NoticeLine) -> Self {
        let NoticeLine { app, endpoint, url, since, finding, ended, app_name: _ } = line;
        NoticeLineOut { app_id: app, endpoint_id: endpoint, url, since: Stamp(since), finding, ended }
    }
}

/// What an alert had to tell.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoticeOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: NoticeId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// For how many endpoints the condition began to hold.
    #[schema(value_type = i64)]
    began: u64,
    /// For how many it ended.
    #[schema(value_type = i64)]
    ended: u64,
    /// The first fifty of them.
    endpoints: Vec<NoticeLineOut>,
    /// By e-mail.
    emails: Vec<AlertMailOut>,
    /// By operational messages.
    operational: TellingOut,
    /// Tries so far.
    tries: u32,
    /// When it is tried next, if it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try: Option<Stamp>,
}

impl From<Notice> for NoticeOut {
    fn from(notice: Notice) -> Self {
        let next_try = notice.is_open().then_some(Stamp(notice.due_at));
        let mail = |mail: Mail| AlertMailOut { to: mail.to, telling: mail.telling.into() };
        NoticeOut {
            id: notice.id,
            created_at: Stamp(notice.id.time()),
            began: notice.began,
            ended: notice.over,
            endpoints: notice.lines.into_iter().map(NoticeLineOut::from).collect(),
            emails: notice.mails.into_iter().map(mail).collect(),
            operational: notice.message.into(),
            tries: notice.tries,
            next_try,
        }
    }
}

/// What an alert had to tell in the last 14 days, the newest first, and whether it went.
#[utoipa::path(
    get,
    path = "/api/v1/alert/{alert_id}/notice",
    operation_id = "v1.alert.list-notices",
    tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id"), FixedPageQuery),
    responses(Errors, (status = 200, description = "A page of notices", body = ListResponse<NoticeOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<FixedPageQuery>,
) -> Result<axum::Json<ListResponse<NoticeOut>>, Problem> {
    let alert = find(&api, &caller, &id).await?;
    let page = query.check(Ordering::Descending, |id| id.parse::<NoticeId>().is_ok())?;
    let keep = |record| match record {
        Record::Notice(notice) => Some(*notice),
        _ => None,
    };
    let rows = page.records(&api.engine, Kind::Notice, &alert.id.to_string(), keep).await?;
    Ok(axum::Json(page.answer(rows, |notice| notice.id.to_string(), NoticeOut::from)))
}

/// What came of a test.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertTestOut {
    /// One entry for each address.
    emails: Vec<AlertMailOut>,
}

/// Sends a letter that says that it is a test to each address of an alert, at once, and tells what the mail server answered.
#[utoipa::path(
    post,
    path = "/api/v1/alert/{alert_id}/test",
    operation_id = "v1.alert.test",
    tag = "Alert",
    params(("alert_id" = String, Path, description = "The alert's id")),
    responses(Errors, (status = 200, description = "What came of it", body = AlertTestOut))
)]
pub(super) async fn test(
    State(api): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<AlertTestOut>, Problem> {
    let alert = find(&api, &caller, &id).await?;
    let unset = || Problem::conflict("No mail server is configured: set `smtp` and `mail_from` where the server is started.");
    let mailer = api.options.mailer.clone().ok_or_else(unset)?;
    let now = api.engine.clock.now();
    let letters = alert.emails.into_iter().map(|to| {
        let letter = alerts::trial(&alert.name, &to, NoticeId(api.engine.random.id(now)).to_string());
        (to, letter)
    });
    let sent = letters.map(async |(to, letter)| {
        let telling = match mailer.send(&letter).await {
            Ok(()) => Telling::Sent(api.engine.clock.now()),
            Err(error) => Telling::Failed(error.to_string()),
        };
        AlertMailOut { to, telling: telling.into() }
    });
    let emails = futures_util::future::join_all(sent).await;
    Ok(axum::Json(AlertTestOut { emails }))
}
