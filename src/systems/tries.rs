//! What the systems that show their tries say in the same way.

use crate::{
    api::{Problem, Shared, Stamp},
    flow::{Entry, Sought, StandingWord},
    model::{AttemptId, Backoff, DeliveryId, EndpointId, Headers, MsgId, Outcome, RetryPolicy},
    routing::AppRoutes,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Entries of a page, unless something else is asked for.
const DEFAULT_LIMIT: u64 = 50;
/// Entries of a page at most.
const MAX_LIMIT: u64 = 250;

/// Which tries a list shows, beside those of an endpoint or an event type. Everything that is given must agree.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// With this status only.
    #[param(value_type = Option<String>, pattern = "pending|delivered|retrying|failed")]
    status: Option<StandingWord>,
    /// Begun at this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Stamp>,
    /// Begun before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Stamp>,
    /// Entries at most.
    #[param(minimum = 1, maximum = 250, default = 50)]
    limit: Option<u64>,
    /// The cursor that came with the page before.
    cursor: Option<String>,
}

impl Asked {
    /// What is sought.
    ///
    /// # Errors
    /// The limit is not 1 to [`MAX_LIMIT`], or the cursor none.
    pub(crate) fn sought(self, endpoint: Option<EndpointId>, event_type: Option<String>) -> Result<Sought, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::field(&["query", "limit"], "range", format!("From 1 to {MAX_LIMIT}.")));
        }
        let refused = |_| Problem::field(&["query", "cursor"], "cursor", "This is not a cursor of this log.");
        let cursor = self.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        Ok(Sought {
            endpoint,
            event_type,
            standing: self.status,
            since: self.since.map(|stamp| stamp.0),
            until: self.until.map(|stamp| stamp.0),
            after: cursor.map(str::parse).transpose().map_err(refused)?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        })
    }
}

/// One attempt, or a delivery that waits for its first, before a system gives it names.
#[derive(Debug)]
pub(crate) struct Try {
    /// The attempt; `None` before the first.
    pub(crate) attempt: Option<AttemptId>,
    /// The delivery, the same for all its attempts.
    pub(crate) delivery: DeliveryId,
    /// The endpoint.
    pub(crate) endpoint: EndpointId,
    /// The message.
    pub(crate) event: MsgId,
    /// The message's type.
    pub(crate) event_type: String,
    /// How it stands.
    pub(crate) status: StandingWord,
    /// The number of the attempt, from 1; 0 before the first.
    pub(crate) number: u32,
    /// What was sent, or will be.
    pub(crate) request: LoggedRequest,
    /// What came back.
    pub(crate) response: Option<LoggedResponse>,
    /// Why the attempt failed.
    pub(crate) error: Option<String>,
    /// How long the attempt took, in microseconds.
    pub(crate) took_us: Option<u32>,
    /// When the attempt began.
    pub(crate) begun: Option<Stamp>,
    /// When the next attempt is due.
    pub(crate) next: Option<Stamp>,
}

/// A request that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedRequest {
    /// Its method.
    pub(crate) method: String,
    /// Where it went.
    pub(crate) url: String,
    /// Its headers; the values of the endpoint's own are not shown.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body; null when the event's data is deleted by now.
    #[schema(value_type = Option<Object>)]
    pub(crate) body: Option<Box<RawValue>>,
}

/// An answer that came back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoggedResponse {
    /// Its status.
    pub(crate) status_code: u16,
    /// Its headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// Its body, as far as it is kept.
    pub(crate) body: String,
}

impl Try {
    fn new(entry: &Entry, app: &AppRoutes) -> Self {
        let (attempt, route) = (entry.attempt.as_ref(), app.route(entry.endpoint));
        let outcome = attempt.map(|attempt| &attempt.outcome);
        let url = attempt.map(|attempt| attempt.url.clone()).or_else(|| Some(route?.url.to_string()));
        let answered = |outcome: &Outcome| {
            let body = String::from_utf8_lossy(&outcome.body).into_owned();
            Some(LoggedResponse { status_code: outcome.status?, headers: by_name(&outcome.headers), body })
        };
        Try {
            attempt: attempt.map(|attempt| attempt.id),
            delivery: entry.delivery(),
            endpoint: entry.endpoint,
            event: entry.message.id,
            event_type: entry.message.event_type.clone(),
            status: entry.standing.word(),
            number: attempt.map_or(0, |attempt| attempt.number),
            request: LoggedRequest {
                method: route.map(|route| route.method.to_string()).unwrap_or_default(),
                url: url.unwrap_or_default(),
                headers: attempt.map(|attempt| by_name(&attempt.request_headers)).unwrap_or_default(),
                body: entry.body(app).and_then(|body| json_or_text(&body)),
            },
            response: outcome.and_then(answered),
            error: outcome.and_then(Outcome::error),
            took_us: outcome.map(|outcome| outcome.phases.total_us),
            begun: attempt.map(|attempt| Stamp(attempt.id.time())),
            next: entry.standing.next().map(Stamp),
        }
    }
}

/// A page of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogPage<T> {
    /// The entries, newest first.
    data: Vec<T>,
    /// Asks for the next page; null when there is none.
    next_cursor: Option<String>,
    /// Whether there is more.
    has_more: bool,
}

/// When failed deliveries are tried again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RetryPolicy)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retries {
    /// Retries after the first attempt.
    #[schema(minimum = 0, maximum = 50)]
    max_retries: Option<u32>,
    /// `exponential`: as documented, and beyond that twice as long each time, at most a day; `linear`: each delay longer than
    /// the one before by the first; `fixed`: always the first.
    #[schema(value_type = Option<String>, default = "exponential", pattern = "exponential|linear|fixed")]
    backoff: Option<Backoff>,
}

impl Retries {
    /// What is wished of an endpoint.
    pub(crate) fn wished(self) -> (Option<u32>, Option<Backoff>) {
        (self.max_retries, self.backoff)
    }

    /// What a policy says.
    pub(crate) fn of(policy: &RetryPolicy) -> Self {
        Retries { max_retries: Some(policy.retries()), backoff: Some(policy.backoff()) }
    }
}

/// A page of tries, newest first, each in a system's shape, and the cursor of the next page if there is one.
///
/// # Errors
/// The store is away or damaged.
pub(crate) async fn page<T: From<Try>>(
    api: &Shared,
    app: &AppRoutes,
    sought: &Sought,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let history = api.engine.history(app, sought).await?;
    let tries = history.entries.iter().map(|entry| T::from(Try::new(entry, app))).collect();
    Ok((tries, history.next.map(|place| place.to_string())))
}

/// A page of tries as a log.
///
/// # Errors
/// As [`page`].
pub(crate) async fn log<T: From<Try>>(api: &Shared, app: &AppRoutes, sought: &Sought) -> Result<axum::Json<LogPage<T>>, Problem> {
    let (data, next_cursor) = page(api, app, sought).await?;
    Ok(axum::Json(LogPage { data, has_more: next_cursor.is_some(), next_cursor }))
}

/// Headers by name; several of one name with commas between them.
fn by_name(headers: &Headers) -> BTreeMap<String, String> {
    let mut map = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter() {
        map.entry(name.to_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    map
}

/// A body as JSON: byte for byte when it is JSON, as a text otherwise.
pub(crate) fn json_or_text(body: &[u8]) -> Option<Box<RawValue>> {
    let text = String::from_utf8_lossy(body);
    let as_text = || serde_json::value::to_raw_value(&text).ok();
    RawValue::from_string(text.clone().into_owned()).ok().or_else(as_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_as_they_are() {
        let shown = |body: &[u8]| json_or_text(body).unwrap().get().to_owned();
        assert_eq!(shown(br#"{"a" : 1.0}"#), r#"{"a" : 1.0}"#);
        assert_eq!(shown(b"a=b"), r#""a=b""#);
    }

    #[test]
    fn bad_pages_are_refused() {
        let of = |limit, cursor: &str| Asked { limit, cursor: Some(cursor.to_owned()), ..Asked::default() }.sought(None, None);
        assert!(of(Some(0), "").is_err() && of(Some(251), "").is_err() && of(None, "x").is_err());
        assert!(of(None, "").is_ok_and(|sought| sought.limit == 50 && sought.after.is_none()));
    }
}
