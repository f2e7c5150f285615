//! Which endpoints a message goes to. Pure.

use crate::routing::{AppRoutes, Route};
use serde::Serialize;
use std::sync::Arc;

/// Why a message skips an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// The endpoint does not subscribe to its event type.
    EventType,
    /// The endpoint wants channels that the message does not carry.
    Channel,
}

/// Whether an endpoint wants a message, and if not, why.
///
/// # Errors
/// The reason why it is skipped.
pub fn judge(route: &Route, event_type: &str, channels: &[String]) -> Result<(), Skip> {
    if route.event_types.as_ref().is_some_and(|wanted| wanted.binary_search_by(|w| w.as_str().cmp(event_type)).is_err()) {
        return Err(Skip::EventType);
    }
    let carries = |wanted: &Arc<[String]>| channels.iter().any(|c| wanted.binary_search(c).is_ok());
    if route.channels.as_ref().is_some_and(|wanted| !carries(wanted)) {
        return Err(Skip::Channel);
    }
    Ok(())
}

/// The endpoints that a message goes to, in the order of their ids.
pub fn matching<'a, 'm>(
    app: &'a AppRoutes,
    event_type: &'m str,
    channels: &'m [String],
) -> impl Iterator<Item = &'a Arc<Route>> + use<'a, 'm> {
    app.routes.iter().filter(move |route| judge(route, event_type, channels).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{app, endpoint};

    #[test]
    fn a_message_goes_where_type_and_channel_agree() {
        let all = endpoint(1, None, None);
        let typed = endpoint(2, Some(&["b.c", "a.b"]), None);
        let channelled = endpoint(3, None, Some(&["eu", "us"]));
        let app = app(&[all, typed, channelled]);
        let to = |event_type: &str, channels: &[&str]| {
            let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
            matching(&app, event_type, &channels).map(|r| r.id.0).collect::<Vec<_>>()
        };
        assert_eq!(to("a.b", &[]), [1, 2]);
        assert_eq!(to("a.b", &["eu"]), [1, 2, 3]);
        assert_eq!(to("a", &["asia", "us"]), [1, 3]);
        let reason = |n: usize| judge(&app.routes[n], "x.y", &[]);
        assert_eq!((reason(0), reason(1), reason(2)), (Ok(()), Err(Skip::EventType), Err(Skip::Channel)));
    }
}
