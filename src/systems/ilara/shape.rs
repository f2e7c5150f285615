//! Webhooks as Ilara's requests and answers carry them.

use super::{TRACKED, id_text};
use crate::{
    api::{
        Api, Patch, Problem, Stamp,
        endpoint::{Wish, surface::headers_of},
    },
    model::{Backoff, Endpoint, Filter, RetryPolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The longest name, in characters.
const MAX_NAME: usize = 256;
/// The documented delays before retries, in seconds: 1 min, 5 min, 30 min, 2 h.
const DELAYS_S: [u32; 4] = [60, 300, 1800, 7200];
/// Beyond the documented ones a delay is twice the one before, at most a day, in seconds.
const MAX_DELAY_S: u32 = 86_400;
/// The delay of a fixed policy, and the step of a linear one, in seconds.
const STEP_S: u32 = 60;

/// A webhook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookIn)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookIn {
    /// For people.
    #[schema(min_length = 1, max_length = 256)]
    name: String,
    /// Where deliveries go.
    url: String,
    /// Event types; `event.*` is every tracked event, and `purchase_complete` the tracked event of that name.
    #[schema(min_items = 1)]
    events: Vec<String>,
    /// Signs deliveries, as it is given. Without one, one is made and shown in this answer only.
    #[schema(min_length = 8, max_length = 256)]
    secret: Option<String>,
    /// Whether deliveries go out.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Headers of its deliveries.
    headers: Option<BTreeMap<String, String>>,
    /// When failed deliveries are tried again.
    retry_policy: Option<Retries>,
    /// Which events trigger it, by paths into their data.
    #[schema(value_type = Option<Object>)]
    filters: Option<Value>,
}

/// What to change of a webhook: what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = WebhookPatch)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookPatch {
    /// For people.
    name: Option<String>,
    /// Where deliveries go.
    url: Option<String>,
    /// Event types.
    events: Option<Vec<String>>,
    /// The new secret; the old one signs no more.
    secret: Option<String>,
    /// Whether deliveries go out.
    enabled: Option<bool>,
    /// Headers of its deliveries, replaced as a whole.
    headers: Option<BTreeMap<String, String>>,
    /// When failed deliveries are tried again; null: as documented.
    #[serde(default)]
    #[schema(value_type = Option<Retries>)]
    retry_policy: Patch<Retries>,
    /// Which events trigger it; null: all.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Patch<Value>,
}

/// When failed deliveries are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RetryPolicy)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    /// Retries after the first attempt.
    #[serde(default = "documented_retries")]
    #[schema(minimum = 0, maximum = 50, default = 4)]
    max_retries: u32,
    /// `exponential`: after 1 min, 5 min, 30 min, 2 h, and then twice as long each time, at most a day; `linear`: after
    /// 1 min, 2 min, 3 min, …; `fixed`: every minute.
    #[serde(default = "documented_backoff")]
    #[schema(value_type = String, default = "exponential")]
    backoff: Backoff,
}

fn documented_retries() -> u32 {
    u32::try_from(DELAYS_S.len()).unwrap_or(0)
}

fn documented_backoff() -> Backoff {
    Backoff::Exponential
}

impl Retries {
    fn policy(self) -> RetryPolicy {
        let Retries { max_retries, backoff } = self;
        match backoff {
            Backoff::Exponential => {
                let last = DELAYS_S.last().copied().unwrap_or(STEP_S);
                let doubled = std::iter::successors(Some(last), |delay| Some((delay * 2).min(MAX_DELAY_S))).skip(1);
                let delays = DELAYS_S.into_iter().chain(doubled);
                // One more than allowed is enough to be refused.
                let count = usize::try_from(max_retries).unwrap_or(usize::MAX).min(RetryPolicy::MAX_RETRIES + 1);
                RetryPolicy::Delays(delays.take(count).collect())
            }
            backoff => RetryPolicy::Computed { max_retries, backoff, initial: STEP_S, factor: 1.0, max: MAX_DELAY_S },
        }
    }

    fn of(policy: Option<&RetryPolicy>) -> Self {
        let (max_retries, backoff) = match policy {
            None => (documented_retries(), documented_backoff()),
            Some(RetryPolicy::Delays(delays)) => (u32::try_from(delays.len()).unwrap_or(u32::MAX), Backoff::Exponential),
            Some(RetryPolicy::Computed { max_retries, backoff, .. }) => (*max_retries, *backoff),
        };
        Retries { max_retries, backoff }
    }
}

impl WebhookIn {
    pub(super) fn wish(self) -> Result<Wish, Problem> {
        let patch = WebhookPatch {
            name: Some(self.name),
            url: Some(self.url),
            events: Some(self.events),
            secret: self.secret,
            enabled: self.enabled,
            headers: self.headers,
            retry_policy: Patch::given(self.retry_policy),
            filters: Patch::given(self.filters),
        };
        patch.wish()
    }
}

impl WebhookPatch {
    pub(super) fn wish(self) -> Result<Wish, Problem> {
        if self.name.as_ref().is_some_and(|name| !(1..=MAX_NAME).contains(&name.trim().chars().count())) {
            return Err(Problem::field(&["body", "name"], "length", format!("It has 1 to {MAX_NAME} characters.")));
        }
        let filter = match self.filters {
            Patch::Absent => None,
            Patch::Null => Some(None),
            Patch::Value(written) => Some(Some(filter(written)?)),
        };
        Ok(Wish {
            name: self.name.map(|name| name.trim().to_owned()),
            url: self.url,
            events: self.events.map(|events| events.into_iter().map(full_name).collect()),
            secret: self.secret,
            enabled: self.enabled,
            headers: self.headers,
            retry_policy: match self.retry_policy {
                Patch::Absent => None,
                Patch::Null => Some(None),
                Patch::Value(retries) => Some(Some(retries.policy())),
            },
            filter,
            ..Wish::default()
        })
    }
}

/// # Errors
/// Not a filter; the problem names the operator or the place.
fn filter(written: Value) -> Result<Filter, Problem> {
    Filter::parse(written).map_err(|error| {
        let place = if error.place == "filter" { vec!["body", "filter"] } else { vec!["body", "filter", &error.place] };
        Problem::field(&place, "filter", error.rule)
    })
}

/// The event type that a name stands for: a bare one is that of a tracked event.
fn full_name(name: String) -> String {
    if name.contains('.') || name == "*" { name } else { format!("{TRACKED}{name}") }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookOut {
    /// Identifier, `whk_…`.
    id: String,
    /// For people.
    name: String,
    /// Where deliveries go.
    url: String,
    /// Event types.
    events: Vec<String>,
    /// Whether deliveries go out.
    enabled: bool,
    /// Headers of its deliveries, without those that look like credentials.
    headers: BTreeMap<String, String>,
    /// Names of headers whose values are not shown.
    hidden_headers: Vec<String>,
    /// When failed deliveries are tried again.
    retry_policy: Retries,
    /// Which events trigger it; null: all.
    #[schema(value_type = Option<Object>)]
    filters: Option<Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    /// The signing secret that was made; in the answer that made it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookOut {
    pub(super) fn new(endpoint: &Endpoint, made: Option<&str>, api: &Api) -> Result<Self, Problem> {
        let (headers, hidden_headers) = headers_of(api, endpoint)?;
        Ok(WebhookOut {
            id: id_text(endpoint.id),
            name: endpoint.name.clone().unwrap_or_default(),
            url: endpoint.url.clone(),
            events: endpoint.event_types.clone().unwrap_or_default(),
            enabled: endpoint.disabled.is_none(),
            headers,
            hidden_headers,
            retry_policy: Retries::of(endpoint.retry_policy.as_ref()),
            filters: endpoint.filter.as_ref().map(|filter| filter.as_json().clone()),
            created_at: Stamp(endpoint.created_at),
            updated_at: Stamp(endpoint.updated_at),
            secret: made.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_follow_the_documented_table_and_go_round() {
        let retries = |max_retries, backoff| Retries { max_retries, backoff };
        assert_eq!(retries(4, Backoff::Exponential).policy(), RetryPolicy::Delays(vec![60, 300, 1800, 7200]));
        assert_eq!(retries(2, Backoff::Exponential).policy(), RetryPolicy::Delays(vec![60, 300]));
        assert_eq!(
            retries(7, Backoff::Exponential).policy(),
            RetryPolicy::Delays(vec![60, 300, 1800, 7200, 14_400, 28_800, 57_600])
        );
        assert!(retries(u32::MAX, Backoff::Exponential).policy().check().is_err());
        let linear = retries(3, Backoff::Linear).policy();
        assert_eq!(
            (1..5).map(|n| linear.delay_after(n).map(|d| d.as_secs())).collect::<Vec<_>>(),
            [Some(60), Some(120), Some(180), None]
        );
        for some in [retries(0, Backoff::Exponential), retries(9, Backoff::Linear), retries(50, Backoff::Fixed)] {
            assert_eq!(Retries::of(Some(&some.policy())), some);
        }
    }

    #[test]
    fn a_bare_name_is_that_of_a_tracked_event() {
        let full = |name: &str| full_name(name.to_owned());
        assert_eq!(
            (full("purchase_complete"), full("event.x"), full("player.created")),
            ("event.purchase_complete".into(), "event.x".into(), "player.created".into())
        );
        assert_eq!((full("*"), full("event.*")), ("*".into(), "event.*".into()));
    }
}
