//! Which endpoints a message goes to. Pure.

use crate::routing::{AppRoutes, Route};
use serde::Serialize;
use serde_json::Value;
use std::{cell::OnceCell, sync::Arc};

/// Why a message skips an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The endpoint does not subscribe to its event type.
    EventType,
    /// The endpoint wants channels that the message does not carry.
    Channel,
    /// The payload does not meet the endpoint's filter.
    Filter,
}

/// What is judged of a message. Its payload is parsed once, and only if an endpoint with a filter asks for it.
#[derive(Debug)]
pub struct Subject<'m> {
    event_type: &'m str,
    channels: &'m [String],
    payload: &'m [u8],
    parsed: OnceCell<Value>,
}

impl<'m> Subject<'m> {
    /// A message, before it is one.
    #[must_use]
    pub fn new(event_type: &'m str, channels: &'m [String], payload: &'m [u8]) -> Self {
        Subject { event_type, channels, payload, parsed: OnceCell::new() }
    }

    /// The payload's value; null when it is no JSON, so that every path is absent.
    fn payload(&self) -> &Value {
        self.parsed.get_or_init(|| serde_json::from_slice(self.payload).unwrap_or_default())
    }
}

/// Whether an endpoint wants a message, and if not, why.
///
/// # Errors
/// The reason why it is skipped.
pub fn judge(route: &Route, subject: &Subject<'_>) -> Result<(), Skip> {
    if route.event_types.as_ref().is_some_and(|wanted| !wanted.contains(subject.event_type)) {
        return Err(Skip::EventType);
    }
    let carries = |wanted: &Arc<[String]>| subject.channels.iter().any(|c| wanted.binary_search(c).is_ok());
    if route.channels.as_ref().is_some_and(|wanted| !carries(wanted)) {
        return Err(Skip::Channel);
    }
    if route.filter.as_ref().is_some_and(|filter| !filter.holds(subject.payload())) {
        return Err(Skip::Filter);
    }
    Ok(())
}

/// The endpoints that a message goes to, in the order of their ids.
pub fn matching<'a>(app: &'a AppRoutes, subject: &Subject<'_>) -> impl Iterator<Item = &'a Arc<Route>> {
    app.routes.iter().filter(move |route| judge(route, subject).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{AppId, Endpoint, EventType, Filter, OrgId},
        routing::{
            Routing,
            tests::{app, endpoint, event_type, vault},
        },
    };
    use serde_json::json;

    fn reached(endpoints: &[Endpoint], event_type: &str, channels: &[&str], payload: &str) -> Vec<u128> {
        let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
        let subject = Subject::new(event_type, &channels, payload.as_bytes());
        matching(&app(endpoints), &subject).map(|r| r.id.0).collect()
    }

    #[test]
    fn a_message_goes_where_type_and_channel_agree() {
        let endpoints = [endpoint(1, None, None), endpoint(2, Some(&["b.c", "a.b"]), None), endpoint(3, None, Some(&["eu", "us"]))];
        let to = |event_type: &str, channels: &[&str]| reached(&endpoints, event_type, channels, "{}");
        assert_eq!(to("a.b", &[]), [1, 2]);
        assert_eq!(to("a.b", &["eu"]), [1, 2, 3]);
        assert_eq!(to("a", &["asia", "us"]), [1, 3]);
        let app = app(&endpoints);
        let reason = |n: usize| judge(&app.routes[n], &Subject::new("x.y", &[], b"{}"));
        assert_eq!((reason(0), reason(1), reason(2)), (Ok(()), Err(Skip::EventType), Err(Skip::Channel)));
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_name() {
        let endpoints = [
            endpoint(1, Some(&["*"]), None),
            endpoint(2, Some(&["reward.*", "user.made"]), None),
            endpoint(3, Some(&["re*"]), None),
        ];
        let to = |event_type: &str| reached(&endpoints, event_type, &[], "{}");
        assert_eq!(to("reward.claimed"), [1, 2, 3]);
        assert_eq!(to("reward.x.y"), [1, 2, 3]);
        assert_eq!(to("user.made"), [1, 2]);
        assert_eq!(to("user.gone"), [1]);
        assert_eq!(to("rewards"), [1, 3]);
        assert_eq!(to("reward"), [1, 3]);
    }

    #[test]
    fn a_category_is_what_the_catalogue_says_at_that_moment() {
        let (routing, vault) = (Routing::default(), vault());
        routing.put_application(app(&[]).application.clone());
        for (id, wanted) in [(1, &["category:money"][..]), (2, &["category:people", "invoice.*"][..])] {
            routing.put_endpoint(&endpoint(id, Some(wanted), None), &vault).unwrap();
        }
        let app = routing.by_id(AppId(1)).unwrap();
        let to = |name: &str| matching(&app, &Subject::new(name, &[], b"{}")).map(|route| route.id.0).collect::<Vec<_>>();
        let say = |org, name: &str, category: Option<&str>| {
            routing.put_event_type(&EventType { group_name: category.map(str::to_owned), ..event_type(org, name) });
        };
        assert_eq!((to("paid"), to("invoice.paid"), to("money")), (vec![], vec![2], vec![]));
        say(OrgId(1), "paid", Some("money"));
        say(OrgId(2), "invoice.paid", Some("money"));
        assert_eq!((to("paid"), to("invoice.paid")), (vec![1], vec![2]), "another organization's catalogue says nothing here");
        say(OrgId(1), "paid", Some("people"));
        assert_eq!(to("paid"), [2]);
        say(OrgId(1), "paid", None);
        assert!(to("paid").is_empty() && !routing.has_category(OrgId(1), "people"));
    }

    #[test]
    fn a_filter_is_asked_last_and_the_payload_read_for_it_only() {
        let filter = |json| Some(Filter::parse(json).unwrap());
        let rich = Endpoint { filter: filter(json!({"properties.amount": {"gte": 50}})), ..endpoint(1, None, None) };
        let typed = Endpoint { filter: filter(json!({"x": {"exists": true}})), ..endpoint(2, Some(&["a"]), None) };
        let endpoints = [rich, typed, endpoint(3, None, None)];
        assert_eq!(reached(&endpoints, "b", &[], r#"{"properties":{"amount":50}}"#), [1, 3]);
        assert_eq!(reached(&endpoints, "b", &[], r#"{"properties":{"amount":49.9}}"#), [3]);
        assert_eq!(reached(&endpoints, "a", &[], "no json"), [3]);
        let app = app(&endpoints);
        let subject = Subject::new("b", &[], b"{}");
        assert_eq!(judge(&app.routes[1], &subject), Err(Skip::EventType));
        assert!(subject.parsed.get().is_none());
        assert_eq!(judge(&app.routes[0], &subject), Err(Skip::Filter));
        assert!(subject.parsed.get().is_some());
    }
}
