//! `…/rejection`: requests that a source refused, kept for seven days.

use super::store;
use crate::{
    api::{
        Caller, Errors, Path, Problem, Shared, Stamp,
        attempt::open,
        body::OnlyQuery,
        page::{FixedPageQuery, ListResponse},
    },
    inbound::Reason,
    model::{Address, Kind, MsgId, Record, Rejection, RejectionId, SourceId, Time},
    store::{ListPage, Store, StoreError, Window},
};
use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which rejections a list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RejectionFilter {
    /// Only this reason: `mismatch`, `stale`, `address`, …
    reason: Option<String>,
    /// Only what was refused before this instant
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Stamp>,
    /// Only what was refused after this instant
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Stamp>,
}

/// A request that a source refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceRejectionOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: RejectionId,
    /// The source.
    #[schema(value_type = String)]
    source_id: SourceId,
    /// When it was refused.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Stamp,
    /// Why: a word that stays the same.
    reason: String,
    /// Why, in words.
    detail: String,
    /// The method.
    method: String,
    /// From where it came.
    remote: String,
    /// Its headers as pairs, cut to a bound; credentials are left out. What is no text is shown as far as it is.
    #[schema(value_type = Vec<Vec<String>>)]
    headers: Vec<(String, String)>,
    /// The first bytes of its body, when they are text.
    body: Option<String>,
    /// The first bytes of its body in base64, when they are no text.
    body_base64: Option<String>,
    /// When this record is deleted.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Stamp,
}

impl From<Rejection> for SourceRejectionOut {
    fn from(rejection: Rejection) -> Self {
        let (body, body_base64) = match text_of(&rejection.body) {
            Some(text) => (Some(text), None),
            None => (None, Some(STANDARD.encode(&rejection.body))),
        };
        let headers = rejection.headers.into_iter();
        SourceRejectionOut {
            id: rejection.id,
            source_id: rejection.source,
            timestamp: Stamp(rejection.id.time()),
            reason: rejection.reason,
            detail: rejection.detail,
            method: rejection.method,
            remote: rejection.remote,
            headers: headers.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect(),
            body,
            body_base64,
            expires_at: Stamp(rejection.expires_at),
        }
    }
}

/// Bytes as text; a last letter that was cut in the middle is left out.
fn text_of(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if error.error_len().is_none() => {
            let (whole, _) = bytes.split_at_checked(error.valid_up_to())?;
            String::from_utf8(whole.to_vec()).ok()
        }
        Err(_) => None,
    }
}

/// The requests that a source refused, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}/rejection",
    operation_id = "v1.source.list-rejections",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid"), FixedPageQuery, RejectionFilter),
    responses(Errors, (status = 200, description = "A page", body = ListResponse<SourceRejectionOut>))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Path(source): Path<String>,
    OnlyQuery(page, filter): OnlyQuery<FixedPageQuery, RejectionFilter>,
) -> Result<axum::Json<ListResponse<SourceRejectionOut>>, Problem> {
    let source = store::find(&api, &caller, &source).await?.id;
    if filter.reason.as_ref().is_some_and(|reason| !Reason::CODES.contains(&reason.as_str())) {
        let rule = format!("There is no such reason; there are: {}.", Reason::CODES.join(", "));
        return Err(Problem::field(&["query", "reason"], "unknown", rule));
    }
    let (page, mut scan) = open(&page, bounds(filter.after, filter.before), |id: RejectionId| id.0)?;
    let now = api.engine.clock.now();
    while let Some(chunk) = scan.next().await {
        let rows = read(&*api.engine.store, source, chunk, now).await?;
        let count = rows.len();
        for rejection in rows {
            let (id, bytes) = (rejection.id.0, rejection.body.len());
            let wanted = filter.reason.as_ref().is_none_or(|reason| *reason == rejection.reason);
            if !scan.offer(id, bytes, wanted.then(|| SourceRejectionOut::from(rejection))) {
                break;
            }
        }
        scan.fetched(chunk, count);
    }
    Ok(axum::Json(scan.answer(&page, |rejection| rejection.id, RejectionId)))
}

/// Exclusive bounds of ids for instants that are exclusive too: above and below.
pub(super) fn bounds(after: Option<Stamp>, before: Option<Stamp>) -> (u128, u128) {
    let lowest = |time: Time| MsgId::lowest_at(time).0;
    let above = after.map_or(0, |after| lowest(Time(after.0.0.saturating_add(1))).saturating_sub(1));
    (above, before.map_or(u128::MAX, |before| lowest(before.0)))
}

/// Rejections of a source within a window of ids.
pub(super) async fn read(store: &dyn Store, source: SourceId, window: Window, now: Time) -> Result<Vec<Rejection>, StoreError> {
    let start = if window.newest_first { window.below } else { window.above };
    let unbounded = start == u128::MAX || start == 0;
    let after = (!unbounded).then(|| RejectionId(start).to_string());
    let page = ListPage { after: after.as_deref(), backwards: window.newest_first, limit: window.limit };
    let found = store.list(Kind::Rejection, &source.to_string(), page, now).await?;
    let inside = |id: u128| id > window.above && id < window.below;
    let rows = found.into_iter().filter_map(|stored| match stored.record {
        Record::Rejection(rejection) if inside(rejection.id.0) => Some(rejection),
        _ => None,
    });
    Ok(rows.collect())
}

/// A request that a source refused.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}/rejection/{rejection_id}",
    operation_id = "v1.source.get-rejection",
    tag = "Source",
    params(
        ("source_id" = String, Path, description = "The source's id or uid"),
        ("rejection_id" = String, Path, description = "The rejection's id"),
    ),
    responses(Errors, (status = 200, description = "The rejection", body = SourceRejectionOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((source, rejection)): Path<(String, String)>,
) -> Result<axum::Json<SourceRejectionOut>, Problem> {
    let source = store::find(&api, &caller, &source).await?.id;
    let missing = || Problem::not_found("rejection");
    let id: RejectionId = rejection.parse().map_err(|_| missing())?;
    let address = Address::new(Kind::Rejection, source, id);
    let found = api.engine.store.find(&address, api.engine.clock.now()).await?;
    match found.map(|stored| stored.record) {
        Some(Record::Rejection(rejection)) => Ok(axum::Json(rejection.into())),
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_cut_stays_text() {
        assert_eq!(text_of("aé".as_bytes()).as_deref(), Some("aé"));
        assert_eq!(text_of(&"aé".as_bytes()[..2]).as_deref(), Some("a"));
        assert_eq!(text_of(&[b'a', 0xff, b'b']), None);
        assert_eq!(text_of(b"").as_deref(), Some(""));
    }
}
