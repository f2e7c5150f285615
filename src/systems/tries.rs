//! What the systems that show their tries say in the same way.

use crate::{
    api::{Problem, Stamp},
    flow::{Sought, StandingWord},
    model::{EndpointId, Outcome},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

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

/// The body of an answer, if there was one.
pub(crate) fn answer(outcome: &Outcome) -> Option<String> {
    outcome.status.map(|_| String::from_utf8_lossy(&outcome.body).into_owned())
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
