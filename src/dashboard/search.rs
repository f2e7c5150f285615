//! Searching messages: over the applications of an organization, newest first, within a bounded amount of work. Where the
//! search stopped it says so, and the next request goes on from there.

use super::{fields::Fields, view::Badge};
use crate::{
    api::Problem,
    flow::Engine,
    model::{AppId, DeliveryState, EndpointId, Filter, Message, MsgId, Time},
    routing::AppRoutes,
    store::{StoreError, Window},
};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::{collections::VecDeque, slice, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Messages that one search looks at.
const ROWS: usize = 2_000;
/// Bytes of payloads that one search reads.
const BYTES: usize = 32 << 20;
/// Deliveries and attempts that one search reads; of the message at which it stops, all.
const READS: usize = 20_000;
/// How long one search goes on looking. What it counts takes microseconds in one store and a round trip each in another.
const PATIENCE: Duration = Duration::from_millis(100);
/// Applications that are searched together; more have to be chosen from.
pub(super) const MAX_APPS: usize = 50;
/// Messages fetched at once from all applications together, and at least from one.
const CHUNK: usize = 128;
const MIN_CHUNK: usize = 8;
/// Endpoints of one message whose deliveries are looked at where they decide nothing.
const SAMPLE: usize = 25;
/// Deliveries of a message that the store is asked for at once.
const AT_ONCE: usize = 32;
/// How deliveries can be asked for to stand.
pub(super) const STATES: [&str; 6] = ["delivered", "pending", "in_flight", "held", "failed", "cancelled"];

/// Everything that a search's URL says.
const NAMES: [&str; 14] =
    ["app", "endpoint", "status", "type", "code", "id", "tag", "field", "value", "since", "until", "before", "after", "note"];

/// What to look for. Everything that is given must agree.
#[derive(Clone, Debug, Default)]
pub(super) struct Sought {
    event_type: Option<String>,
    state: Option<String>,
    code: Option<u16>,
    endpoint: Option<EndpointId>,
    tag: Option<String>,
    field: Option<Filter>,
    since: Option<Time>,
    until: Option<Time>,
    /// Exclusive start.
    from: Option<MsgId>,
    /// From there to newer ones.
    newer: bool,
    /// Whether all deliveries of what is found are looked at.
    whole: bool,
}

/// A message that was found.
pub(super) struct Hit {
    /// Its application.
    pub(super) app: Arc<AppRoutes>,
    /// The message.
    pub(super) message: Message,
    /// Its deliveries that were looked at.
    pub(super) deliveries: Vec<Standing>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The endpoint.
    pub(super) endpoint: EndpointId,
    /// `delivered`, `pending`, `in_flight`, `held`, `exhausted` or `cancelled`.
    pub(super) state: &'static str,
    /// The last attempt's status, where it was asked for.
    pub(super) code: Option<u16>,
}

/// What a search found.
#[derive(Default)]
pub(super) struct Found {
    /// Newest first.
    pub(super) hits: Vec<Hit>,
    /// How many messages were looked at.
    pub(super) searched: usize,
    /// The last one that was looked at, when the search stopped for its bounds.
    pub(super) stopped: Option<MsgId>,
    /// Whether there is more in this direction.
    pub(super) more: bool,
}

impl Sought {
    /// What a query asks for.
    ///
    /// # Errors
    /// Something in it is not understood, or would be ignored.
    pub(super) fn read(asked: &Fields) -> Result<Self, Problem> {
        asked.only(&NAMES)?;
        let code =
            asked.given("code").map(|code| code.parse().map_err(|_| Problem::field(&["code"], "status", "This is not a status.")));
        let endpoint = asked
            .given("endpoint")
            .map(|id| id.parse().map_err(|_| Problem::field(&["endpoint"], "id", "This is not an endpoint's id.")));
        let id = |name: &str| match asked.given(name) {
            None => Ok(None),
            Some(text) => text.parse::<MsgId>().map(Some).map_err(|_| Problem::field(&[name], "id", "This is not a message's id.")),
        };
        let (before, after) = (id("before")?, id("after")?);
        if before.is_some() && after.is_some() {
            return Err(Problem::field(&[], "conflict", "A page begins before a message or after one, not both."));
        }
        if asked.given("status").is_some_and(|state| !STATES.contains(&state)) {
            return Err(Problem::field(&["status"], "enum", "Deliveries do not stand so. Choose one of the list."));
        }
        Ok(Sought {
            event_type: asked.given("type").map(str::to_owned),
            state: asked.given("status").map(str::to_owned),
            code: code.transpose()?,
            endpoint: endpoint.transpose()?,
            tag: asked.given("tag").map(str::to_owned),
            field: payload_field(asked)?.map(|(path, value)| field(path, value)).transpose()?,
            since: asked.time("since")?,
            until: asked.time("until")?,
            newer: after.is_some(),
            from: after.or(before),
            whole: false,
        })
    }

    /// Whether it is about one endpoint.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// The same, with all deliveries of each message that is found: for what acts on them.
    pub(super) fn whole(self) -> Self {
        Sought { whole: true, ..self }
    }

    /// The endpoints of a message whose deliveries are looked at: the one that is asked for; all, where how they stand decides;
    /// otherwise the first few.
    fn looked_at<'m>(&self, message: &'m Message) -> &'m [EndpointId] {
        match self.endpoint {
            Some(wanted) => message.endpoints.iter().find(|id| **id == wanted).map(slice::from_ref).unwrap_or_default(),
            None if self.whole || self.needs_deliveries() => &message.endpoints,
            None => message.endpoints.get(..SAMPLE).unwrap_or(&message.endpoints),
        }
    }

    /// Whether deliveries have to be looked at to decide.
    fn needs_deliveries(&self) -> bool {
        self.state.is_some() || self.code.is_some()
    }

    fn admits(&self, message: &Message) -> bool {
        let of_type = |wanted: &String| match wanted.strip_suffix('*') {
            Some(beginning) => message.event_type.starts_with(beginning),
            None => message.event_type == *wanted,
        };
        self.event_type.as_ref().is_none_or(of_type)
            && self.endpoint.is_none_or(|endpoint| message.endpoints.contains(&endpoint))
            && self.tag.as_ref().is_none_or(|tag| message.tags.contains(tag))
            && self.field.as_ref().is_none_or(|filter| {
                let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                filter.holds(&payload)
            })
    }

    fn admits_deliveries(&self, deliveries: &[Standing]) -> bool {
        deliveries.iter().any(|delivery| self.admits_delivery(delivery))
    }

    /// Whether this delivery is what is asked for.
    pub(super) fn admits_delivery(&self, delivery: &Standing) -> bool {
        self.endpoint.is_none_or(|endpoint| endpoint == delivery.endpoint)
            && self.state.as_deref().is_none_or(|wanted| delivery.state == if wanted == "failed" { "exhausted" } else { wanted })
            && self.code.is_none_or(|code| delivery.code == Some(code))
    }

    /// A message that was found by its id, if it is what else is asked for.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn hit(&self, engine: &Engine, app: Arc<AppRoutes>, message: Message) -> Result<Option<Hit>, StoreError> {
        let at = message.id.time();
        let when = self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until);
        if !when || !self.admits(&message) {
            return Ok(None);
        }
        let deliveries = standings(engine, (&app, &message), self.looked_at(&message), self.code.is_some()).await?;
        let wanted = !self.needs_deliveries() || self.admits_deliveries(&deliveries);
        Ok(wanted.then_some(Hit { app, message, deliveries }))
    }

    fn window(&self, limit: usize) -> Window {
        let lowest = |time: Time| MsgId::lowest_at(time).0;
        let mut window = Window {
            above: self.since.map_or(0, |since| lowest(since).saturating_sub(1)),
            below: self.until.map_or(u128::MAX, lowest),
            newest_first: !self.newer,
            limit,
        };
        match self.from {
            Some(from) if self.newer => window.above = window.above.max(from.0),
            Some(from) => window.below = window.below.min(from.0),
            None => {}
        }
        window
    }
}

/// A condition on one field of the payload. The value is compared as text, and as a number, truth or null if it reads as one.
pub(super) fn condition(path: &str, value: &str) -> Value {
    if value.is_empty() {
        return json!({ path: { "exists": true } });
    }
    let mut any = vec![json!({ path: { "eq": value } })];
    if let Ok(plain) = serde_json::from_str::<Value>(value)
        && !plain.is_object()
        && !plain.is_array()
        && !plain.is_string()
    {
        any.push(json!({ path: { "eq": plain } }));
    }
    json!({ "any": any })
}

/// The field of the payload that is asked for, and what it is to be.
///
/// # Errors
/// A value is given, and no field.
pub(super) fn payload_field(asked: &Fields) -> Result<Option<(&str, &str)>, Problem> {
    match (asked.given("field"), asked.text("value")) {
        (None, "") => Ok(None),
        (None, _) => Err(Problem::field(&["value"], "missing", "Of which field? Name it beside the value.")),
        (Some(path), value) => Ok(Some((path, value))),
    }
}

fn field(path: &str, value: &str) -> Result<Filter, Problem> {
    let refused = |error: crate::model::FilterError| Problem::field(&["field"], "path", error.rule);
    Filter::parse(condition(path, value)).map_err(refused)
}

/// The messages of one application that were fetched and not looked at yet.
struct List {
    app: Arc<AppRoutes>,
    rest: Window,
    rows: VecDeque<Message>,
    ended: bool,
}

impl List {
    async fn fetch(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let found = engine.store.messages(self.app.application.id, self.rest).await?;
        self.ended = found.len() < self.rest.limit;
        match found.last() {
            Some(last) if self.rest.newest_first => self.rest.below = last.id.0,
            Some(last) => self.rest.above = last.id.0,
            None => {}
        }
        self.rows = found.into();
        Ok(())
    }
}

/// Looks for messages of these applications; at most `limit` of them.
pub(super) async fn search(engine: &Engine, apps: &[AppId], sought: &Sought, limit: usize) -> Result<Found, Problem> {
    let chunk = (CHUNK / apps.len().max(1)).max(MIN_CHUNK);
    let routes = apps.iter().filter_map(|app| engine.routing.by_id(*app));
    let mut lists: Vec<List> =
        routes.map(|app| List { app, rest: sought.window(chunk), rows: VecDeque::new(), ended: false }).collect();
    let (mut found, mut bytes, mut reads) = (Found::default(), BYTES, READS);
    let until = Instant::now() + PATIENCE;
    while let Some((app, message)) = next(engine, &mut lists, sought.newer).await? {
        if found.hits.len() >= limit {
            found.more = true;
            break;
        }
        found.searched += 1;
        bytes = bytes.saturating_sub(message.payload.len());
        let id = message.id;
        if sought.admits(&message) {
            let ids = sought.looked_at(&message);
            reads = reads.saturating_sub(if sought.code.is_some() { ids.len() * 2 } else { ids.len() });
            let deliveries = standings(engine, (&app, &message), ids, sought.code.is_some()).await?;
            if !sought.needs_deliveries() || sought.admits_deliveries(&deliveries) {
                found.hits.push(Hit { app, message, deliveries });
            }
        }
        if found.searched >= ROWS || bytes == 0 || reads == 0 || Instant::now() >= until {
            found.stopped = Some(id);
            break;
        }
    }
    if sought.newer {
        found.hits.reverse();
    }
    Ok(found)
}

/// The newest row of all lists; the oldest when going to newer ones.
async fn next(engine: &Engine, lists: &mut [List], newer: bool) -> Result<Option<(Arc<AppRoutes>, Message)>, StoreError> {
    for list in lists.iter_mut().filter(|list| list.rows.is_empty() && !list.ended) {
        list.fetch(engine).await?;
    }
    let full = lists.iter_mut().filter(|list| !list.rows.is_empty());
    let number = |list: &&mut List| list.rows.front().map(|message| message.id);
    let list = if newer { full.min_by_key(number) } else { full.max_by_key(number) };
    Ok(list.and_then(|list| Some((list.app.clone(), list.rows.pop_front()?))))
}

/// How deliveries of a message stand, with the last attempts' statuses if they are asked for.
///
/// # Errors
/// As the store's.
pub(super) async fn standings(
    engine: &Engine,
    (app, message): (&AppRoutes, &Message),
    endpoints: &[EndpointId],
    with_code: bool,
) -> Result<Vec<Standing>, StoreError> {
    let mut standings = Vec::with_capacity(endpoints.len());
    for some in endpoints.chunks(AT_ONCE) {
        let found = try_join_all(some.iter().map(|endpoint| standing(engine, (app, message), *endpoint, with_code))).await?;
        standings.extend(found.into_iter().flatten());
    }
    Ok(standings)
}

async fn standing(
    engine: &Engine,
    (app, message): (&AppRoutes, &Message),
    endpoint: EndpointId,
    with_code: bool,
) -> Result<Option<Standing>, StoreError> {
    let Some(delivery) = engine.store.delivery(message, endpoint).await? else { return Ok(None) };
    let disabled = app.route(endpoint).is_some_and(|route| route.disabled.is_some());
    let state = state(engine, delivery.state, (endpoint, message.id), disabled);
    let mut code = None;
    if let Some(last) = delivery.attempts.last().filter(|_| with_code) {
        code = engine.store.attempt(endpoint, *last).await?.and_then(|attempt| attempt.outcome.status);
    }
    Ok(Some(Standing { endpoint, state, code }))
}

/// The word of a delivery's state.
pub(super) fn state(engine: &Engine, state: DeliveryState, (endpoint, msg): (EndpointId, MsgId), disabled: bool) -> &'static str {
    match state {
        DeliveryState::Delivered => "delivered",
        DeliveryState::Exhausted => "exhausted",
        DeliveryState::Cancelled => "cancelled",
        DeliveryState::Pending(_) if engine.in_flight(endpoint, msg) => "in_flight",
        DeliveryState::Pending(_) if disabled => "held",
        DeliveryState::Pending(_) => "pending",
    }
}

impl Hit {
    /// Endpoints that are to get it and were not looked at.
    pub(super) fn unseen(&self) -> usize {
        self.message.endpoints.len().saturating_sub(self.deliveries.len())
    }

    /// States with how often there are, worst first.
    pub(super) fn counts(&self) -> Vec<(Badge, usize)> {
        let order = ["exhausted", "held", "pending", "in_flight", "delivered", "cancelled"];
        let count = |word: &str| self.deliveries.iter().filter(|delivery| delivery.state == word).count();
        order.iter().map(|word| (Badge::state(word), count(word))).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(query: &str) -> Result<Sought, Problem> {
        Sought::read(&Fields::parse(query.as_bytes()))
    }

    fn message(payload: &str) -> Message {
        Message {
            id: MsgId(5 << 80),
            app: AppId(1),
            org: crate::model::OrgId(1),
            event_type: "invoice.paid".into(),
            event_id: None,
            channels: Vec::new(),
            tags: vec!["vip".into()],
            deliver_at: None,
            payload_expires_at: None,
            endpoints: Vec::new(),
            payload: payload.to_owned().into(),
            expunged: false,
            origin: None,
            ordering_key: None,
            ordered: Vec::new(),
        }
    }

    #[test]
    fn everything_that_is_asked_for_must_agree() {
        let admits = |query: &str| sought(query).unwrap().admits(&message(r#"{"a":{"b":[1,"x"]},"n":5}"#));
        assert!(admits("") && admits("type=invoice.paid&tag=vip") && admits("type=invoice.*"));
        assert!(!admits("type=invoice") && !admits("tag=v"));
        assert!(admits("field=a.b&value=x") && admits("field=n&value=5") && admits("field=n"));
        assert!(!admits("field=n&value=6") && !admits("field=none"));
    }

    #[test]
    fn deliveries_are_asked_for_by_word_and_code() {
        let standing = |state, code| Standing { endpoint: EndpointId(1), state, code };
        let all = [standing("delivered", Some(200)), standing("exhausted", Some(503))];
        let admits = |query: &str| sought(query).unwrap().admits_deliveries(&all);
        assert!(admits("status=failed") && admits("status=delivered") && admits("code=503") && admits("status=failed&code=503"));
        assert!(!admits("status=held") && !admits("status=delivered&code=503"));
    }

    #[test]
    fn the_endpoint_that_is_asked_for_is_looked_at_wherever_it_stands() {
        let many = Message { endpoints: (1..=101).map(EndpointId).collect(), ..message("{}") };
        let last = EndpointId(101);
        let looked_at = |query: &str| sought(query).unwrap().looked_at(&many).to_vec();
        assert_eq!((looked_at("").len(), looked_at("status=failed").len(), looked_at("code=503").len()), (SAMPLE, 101, 101));
        assert_eq!(looked_at(&format!("endpoint={last}&status=failed")), [last]);
        assert_eq!(looked_at(&format!("endpoint={}", EndpointId(102))), []);
        assert_eq!(sought("").unwrap().whole().looked_at(&many).len(), 101);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "code=x",
            "before=1",
            "since=yesterday",
            "field=..&value=1",
            "value=x",
            "status=zz",
            "status=exhausted",
            "class=500",
            "status=held&status=failed",
        ] {
            assert!(sought(bad).is_err(), "{bad}");
        }
        let window = sought(&format!("before={}&since=2026-01-01T00:00", MsgId(9 << 90))).unwrap().window(3);
        assert!(window.below == 9 << 90 && window.above > 0 && window.newest_first);
        assert!(!sought(&format!("after={}", MsgId(9))).unwrap().window(3).newest_first);
    }
}
