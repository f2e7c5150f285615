//! A checked change of an endpoint: what every way of writing one (create, update, patch) comes down to.

use super::shape::{EndpointPatch, EndpointUpdate};
use crate::{
    api::{
        message::{MAX_CHANNELS, labels},
        patch::Patch,
        problem::Problem,
        rules::Check,
    },
    model::{CATEGORY, DisabledBy, Endpoint, EndpointId, Filter, Metadata, Order, RequestMethod, RetryPolicy, Time},
    outbound::Target,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of an endpoint's URL at most, from the contract.
pub(super) const MAX_URL_BYTES: usize = 65_536;
/// Event types that an endpoint names at most; one that wants more names none and gets all.
pub(super) const MAX_EVENT_TYPES: usize = 1_000;
/// Attempts at once that an endpoint may be fixed to.
pub(super) const CONCURRENCY: std::ops::RangeInclusive<u16> = 1..=1_000;

/// What is to change. `None`: stays. All of it is checked, except that the event types exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    pub(super) url: Option<String>,
    pub(super) description: Option<String>,
    pub(super) uid: Option<Option<String>>,
    pub(super) throttle_rate: Option<Option<u16>>,
    pub(super) disabled: Option<bool>,
    /// Checked when they are sealed.
    pub(super) headers: Option<BTreeMap<String, Option<String>>>,
    pub(super) event_types: Option<Option<Vec<String>>>,
    pub(super) channels: Option<Option<Vec<String>>>,
    pub(super) metadata: Option<Metadata>,
    pub(super) retry_policy: Option<Option<RetryPolicy>>,
    pub(super) filter: Option<Option<Filter>>,
    pub(super) profile: Option<Option<String>>,
    pub(super) method: Option<Option<RequestMethod>>,
    pub(super) concurrency: Option<Option<u16>>,
    pub(super) ordering: Option<Option<Order>>,
}

impl Edit {
    /// Everything an update names or leaves at its default.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub(super) fn update(body: EndpointUpdate) -> Result<Self, Problem> {
        let full = EndpointPatch {
            url: Patch::Value(body.url),
            description: Patch::Value(body.description.unwrap_or_default()),
            uid: patch(body.uid),
            throttle_rate: patch(body.throttle_rate),
            disabled: Patch::Value(body.disabled.unwrap_or_default()),
            headers: Patch::Absent,
            event_types: patch(body.event_types),
            channels: patch(body.channels),
            metadata: Patch::Value(body.metadata.unwrap_or_default()),
            retry_policy: body.retry_policy,
            filter: body.filter,
            profile: body.profile,
            method: body.method,
            concurrency: body.concurrency,
            ordering: body.ordering,
        };
        // Zero removes the limit in a patch only: the contract's patch admits it, its other shapes begin at 1.
        if full.throttle_rate == Patch::Value(0) {
            return Err(Problem::field(&["body", "throttleRate"], "range", "At least 1."));
        }
        Self::patch(full)
    }

    /// What a patch names.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub(super) fn patch(body: EndpointPatch) -> Result<Self, Problem> {
        let edit = Edit {
            url: required("url", body.url)?,
            description: required("description", body.description)?,
            uid: optional(body.uid),
            throttle_rate: optional(body.throttle_rate).map(|rate| rate.filter(|rate| *rate > 0)),
            disabled: required("disabled", body.disabled)?,
            headers: required("headers", body.headers)?,
            event_types: list("eventTypes", body.event_types, MAX_EVENT_TYPES, event_types)?,
            channels: list("channels", body.channels, MAX_CHANNELS, labels::channel)?,
            metadata: required("metadata", body.metadata)?,
            retry_policy: match optional(body.retry_policy) {
                Some(Some(policy)) => Some(Some(retry_policy(&policy)?)),
                Some(None) => Some(None),
                None => None,
            },
            filter: match optional(body.filter) {
                Some(Some(filter)) => Some(Some(read_filter(filter)?)),
                Some(None) => Some(None),
                None => None,
            },
            profile: optional(body.profile),
            method: optional(body.method),
            concurrency: optional(body.concurrency),
            ordering: match optional(body.ordering) {
                Some(Some(order)) => Some(Some(ordering(order)?)),
                Some(None) => Some(None),
                None => None,
            },
        };
        edit.check()?;
        Ok(edit)
    }

    fn check(&self) -> Result<(), Problem> {
        if let Some(url) = &self.url {
            check_url(url)?;
        }
        let mut check = Check::new();
        self.description.iter().for_each(|text| check.text(&["body", "description"], text, 0));
        self.metadata.iter().for_each(|metadata| check.metadata(&["body", "metadata"], metadata));
        if let Some(uid) = self.uid.iter().flatten().next() {
            check_uid(uid)?;
        }
        let fixed = self.concurrency.iter().flatten().next();
        check.rule(
            fixed.is_none_or(|fixed| CONCURRENCY.contains(fixed)),
            &["body", "concurrency"],
            "range",
            "A number from 1 to 1,000; null: as many as it answers well.",
        );
        check.done()
    }

    /// Applies the change, but for headers, which are sealed.
    pub(super) fn apply(self, endpoint: &mut Endpoint, now: Time) {
        fn set<T>(slot: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *slot = value;
            }
        }
        set(&mut endpoint.url, self.url);
        set(&mut endpoint.description, self.description);
        set(&mut endpoint.uid, self.uid);
        set(&mut endpoint.throttle_rate, self.throttle_rate);
        set(&mut endpoint.event_types, self.event_types);
        set(&mut endpoint.channels, self.channels);
        set(&mut endpoint.metadata, self.metadata);
        set(&mut endpoint.retry_policy, self.retry_policy);
        set(&mut endpoint.filter, self.filter);
        set(&mut endpoint.profile, self.profile);
        set(&mut endpoint.method, self.method);
        set(&mut endpoint.concurrency, self.concurrency);
        set(&mut endpoint.ordering, self.ordering);
        endpoint.disabled = match self.disabled {
            None => endpoint.disabled,
            Some(false) => None,
            // Who disables what is disabled already changes nothing: the reason stays.
            Some(true) => endpoint.disabled.or(Some(DisabledBy::Owner)),
        };
        endpoint.updated_at = now;
    }
}

fn check_url(url: &str) -> Result<(), Problem> {
    if url.len() > MAX_URL_BYTES {
        return Err(Problem::field(&["body", "url"], "length", format!("At most {MAX_URL_BYTES} bytes.")));
    }
    Target::parse(url).map(|_| ()).map_err(|error| Problem::field(&["body", "url"], "url", error.to_string()))
}

/// A uid in the form of an id could never be found; in that of a mistyped id it would be made by mistake.
fn check_uid(uid: &str) -> Result<(), Problem> {
    labels::name(&["body", "uid"], uid)?;
    if EndpointId::looks_like(uid) {
        return Err(Problem::field(&["body", "uid"], "pattern", "A uid may not have the form of an endpoint's id."));
    }
    Ok(())
}

/// # Errors
/// Not a policy, or one that is absurd.
fn retry_policy(value: &Value) -> Result<RetryPolicy, Problem> {
    let shape = "A list of delays in seconds, or {max_retries, backoff: exponential | linear | fixed, initial, factor, max}.";
    let policy: RetryPolicy =
        serde_json::from_value(value.clone()).map_err(|_| Problem::field(&["body", "retryPolicy"], "type_error", shape))?;
    policy.check().map_err(|rule| Problem::field(&["body", "retryPolicy"], "range", rule))?;
    Ok(policy)
}

/// # Errors
/// Not an order.
fn ordering(value: Value) -> Result<Order, Problem> {
    let shape = "An object: {by: key}, {by: payload, path: a path into the payload} or {by: all}.";
    serde_json::from_value(value).map_err(|_| Problem::field(&["body", "ordering"], "type_error", shape))
}

/// # Errors
/// Not a filter; the place within it is named.
pub(in crate::api) fn read_filter(value: Value) -> Result<Filter, Problem> {
    Filter::parse(value).map_err(|error| {
        // What is wrong with the filter as a whole is not at a place within it.
        let place = if error.place == "filter" { vec!["body", "filter"] } else { vec!["body", "filter", &error.place] };
        Problem::field(&place, "filter", error.rule)
    })
}

/// An event type's name, `*` for all, `reward.*` for all that begin so, or `category:billing` for all of that category.
pub(super) fn event_types(loc: &[&str], text: &str) -> Result<(), Problem> {
    if let Some(category) = text.strip_prefix(CATEGORY) {
        return labels::name(loc, category);
    }
    match text.strip_suffix('*') {
        Some("") => Ok(()),
        Some(beginning) => match beginning.strip_suffix('.') {
            Some(category) => labels::name(loc, category),
            None => Err(Problem::field(loc, "pattern", "A star stands alone, or behind a dot at the end (`reward.*`).")),
        },
        None => labels::name(loc, text),
    }
}

fn patch<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Null, Patch::Value)
}

fn optional<T>(patch: Patch<T>) -> Option<Option<T>> {
    match patch {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(value) => Some(Some(value)),
    }
}

fn required<T>(field: &str, patch: Patch<T>) -> Result<Option<T>, Problem> {
    match patch {
        Patch::Absent => Ok(None),
        Patch::Null => Err(Problem::field(&["body", field], "type_error", "Cannot be null.")),
        Patch::Value(value) => Ok(Some(value)),
    }
}

/// A list that may be absent or null, but not empty: it would want nothing, which nobody means.
fn list(field: &str, patch: Patch<Vec<String>>, max: usize, rule: labels::Rule) -> Result<Option<Option<Vec<String>>>, Problem> {
    match optional(patch) {
        Some(Some(list)) if list.is_empty() => {
            Err(Problem::field(&["body", field], "length", "Not empty: null, or leaving it out, means all."))
        }
        Some(Some(list)) => Ok(Some(Some(labels::names(field, Some(list), max, rule)?))),
        cleared_or_absent => Ok(cleared_or_absent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppId, OrgId};

    fn endpoint() -> Endpoint {
        Endpoint {
            id: EndpointId(1),
            app: AppId(1),
            org: OrgId(1),
            uid: Some("u".into()),
            url: "https://example.com/".into(),
            name: None,
            description: "d".into(),
            event_types: Some(vec!["a".into()]),
            channels: Some(vec!["c".into()]),
            filter: None,
            disabled: Some(DisabledBy::Gone),
            throttle_rate: Some(5),
            concurrency: None,
            ordering: None,
            metadata: [("k".to_owned(), "v".to_owned())].into(),
            headers: Default::default(),
            credentials: None,
            secrets: Vec::new(),
            profile: None,
            method: None,
            system: None,
            retry_policy: Some(RetryPolicy::Delays(vec![1])),
            created_at: Time(1),
            updated_at: Time(1),
        }
    }

    fn patched(json: &str) -> Result<Endpoint, Problem> {
        let mut endpoint = endpoint();
        Edit::patch(serde_json::from_str(json).unwrap())?.apply(&mut endpoint, Time(9));
        Ok(endpoint)
    }

    fn updated(json: &str) -> Result<Endpoint, Problem> {
        let mut endpoint = endpoint();
        Edit::update(serde_json::from_str(json).unwrap())?.apply(&mut endpoint, Time(9));
        Ok(endpoint)
    }

    #[test]
    fn a_patch_keeps_what_is_absent_and_clears_what_is_null() {
        assert_eq!(patched("{}").unwrap(), Endpoint { updated_at: Time(9), ..endpoint() });
        let cleared = patched(r#"{"uid":null,"eventTypes":null,"channels":null,"throttleRate":null,"retryPolicy":null}"#).unwrap();
        assert_eq!((cleared.uid, cleared.event_types, cleared.channels), (None, None, None));
        assert_eq!((cleared.throttle_rate, cleared.retry_policy), (None, None));
        assert_eq!(patched(r#"{"throttleRate":0}"#).unwrap().throttle_rate, None);
        for field in ["url", "description", "disabled", "metadata"] {
            assert!(patched(&format!(r#"{{"{field}":null}}"#)).is_err(), "{field}");
        }
    }

    #[test]
    fn an_update_resets_what_is_absent_but_for_the_retry_policy() {
        let after = updated(r#"{"url":"https://example.com/new"}"#).unwrap();
        assert_eq!((after.url.as_str(), after.uid, after.description.as_str()), ("https://example.com/new", None, ""));
        assert_eq!((after.event_types, after.channels, after.throttle_rate, after.disabled), (None, None, None, None));
        assert!(after.metadata.is_empty());
        assert_eq!(after.retry_policy, endpoint().retry_policy);
        assert!(updated(r#"{"url":"https://example.com/","throttleRate":0}"#).is_err());
    }

    #[test]
    fn disabling_again_keeps_the_reason() {
        assert_eq!(patched(r#"{"disabled":true}"#).unwrap().disabled, Some(DisabledBy::Gone));
        assert_eq!(patched(r#"{"disabled":false}"#).unwrap().disabled, None);
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let id = EndpointId(7).to_string();
        for json in [
            r#"{"eventTypes":[]}"#.to_owned(),
            r#"{"eventTypes":["a b"]}"#.to_owned(),
            format!(r#"{{"eventTypes":[{}"a"]}}"#, "\"a\",".repeat(1_000_000)),
            format!(r#"{{"channels":[{}]}}"#, (0..11).map(|n| format!("\"c{n}\"")).collect::<Vec<_>>().join(",")),
            format!(r#"{{"uid":"{id}"}}"#),
            r#"{"uid":"a/b"}"#.to_owned(),
            format!(r#"{{"url":"https://example.com/{}"}}"#, "x".repeat(MAX_URL_BYTES)),
            format!(r#"{{"description":"{}"}}"#, "x".repeat(5_000)),
            r#"{"retryPolicy":"often"}"#.to_owned(),
            r#"{"retryPolicy":[99999999]}"#.to_owned(),
            r#"{"filter":{"a":{"near":1}}}"#.to_owned(),
            r#"{"filter":[]}"#.to_owned(),
            r#"{"eventTypes":["a*"]}"#.to_owned(),
            r#"{"eventTypes":["a.*.b"]}"#.to_owned(),
            r#"{"eventTypes":["**"]}"#.to_owned(),
            r#"{"eventTypes":["category:"]}"#.to_owned(),
            r#"{"eventTypes":["category:a b"]}"#.to_owned(),
            r#"{"eventTypes":["categories:a"]}"#.to_owned(),
            r#"{"concurrency":0}"#.to_owned(),
            r#"{"concurrency":1001}"#.to_owned(),
            r#"{"ordering":"key"}"#.to_owned(),
            r#"{"ordering":{"by":"payload","path":"a..b"}}"#.to_owned(),
        ] {
            assert!(patched(&json).is_err(), "{}", &json[..json.len().min(60)]);
        }
        let filtered = patched(r#"{"filter":{"a.b":{"gte":1}},"profile":"ilara","method":"PUT"}"#).unwrap();
        assert_eq!(filtered.filter.unwrap().as_json(), &serde_json::json!({"a.b": {"gte": 1}}));
        assert_eq!((filtered.profile.as_deref(), filtered.method), (Some("ilara"), Some(RequestMethod::Put)));
        let ordered = patched(r#"{"concurrency":3,"ordering":{"by":"key"}}"#).unwrap();
        assert_eq!((ordered.concurrency, ordered.ordering), (Some(3), Some(Order::Key)));
        assert!(patched(r#"{"eventTypes":["*","reward.*","a.b","category:billing"]}"#).is_ok());
        assert!(patched(r#"{"retryPolicy":{"max_retries":3,"backoff":"fixed","initial":5}}"#).is_ok());
    }
}
