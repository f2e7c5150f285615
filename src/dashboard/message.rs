//! One message: its payload, what every endpoint did with it and why, every attempt, and sending it again.

use super::{
    Dashboard,
    desk::Desk,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    search::{standings, state},
    spread::{Spread, spread},
    survey::sentence,
    view::{Badge, When, grouped, millis, pretty},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    flow::{
        matching::{Skip, Subject, judge},
        signing,
    },
    lanes::CircuitState,
    model::{Attempt, Cause, DeliveryState, EndpointId, Message, MsgId, Time, Trigger},
    routing::{AppRoutes, Route},
    store::Requeue,
};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use futures_util::future::try_join_all;
use serde_json::Value;
use std::sync::Arc;

/// Endpoints to which it is sent again at once.
const QUEUED_AT_ONCE: usize = 64;
/// Newest attempts that a page shows of each endpoint.
const MAX_ATTEMPTS: usize = 20;
/// Bytes of a payload that are shown; the whole is in the API.
const MAX_SHOWN: usize = 256 * 1024;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/applications/{app}/messages/{msg}", get(show))
        .route("/dashboard/applications/{app}/messages/{msg}/resend", post(resend))
        .route("/dashboard/applications/{app}/messages/{msg}/cancel", post(cancel))
        .route("/dashboard/applications/{app}/messages/{msg}/expunge", post(expunge))
}

#[derive(Template)]
#[template(path = "dashboard/message.html")]
struct MessagePage {
    shell: Shell,
    app: Arc<AppRoutes>,
    message: Message,
    at: When,
    deliver_at: Option<When>,
    payload: String,
    cut: bool,
    origin: Option<OriginView>,
    spread: Spread,
    asked: Fields,
    refused: Refused,
}

impl MessagePage {
    /// Bytes of its payload.
    fn size(&self) -> String {
        grouped(self.message.payload.len() as u64)
    }
}

struct OriginView {
    source: String,
    method: String,
    headers: Vec<(String, String)>,
}

/// What one endpoint did with it.
pub(super) struct Row {
    /// The endpoint.
    pub(super) id: EndpointId,
    /// `None`: it is deleted.
    pub(super) url: Option<String>,
    /// How it stands.
    pub(super) badge: Badge,
    /// Why.
    pub(super) why: String,
    /// The next attempt.
    pub(super) next: Option<When>,
    /// Until when the endpoint's circuit is open, if the attempt waits for that.
    pub(super) circuit: Option<When>,
    /// The newest attempts.
    pub(super) tries: Vec<Try>,
    /// How many older ones there are.
    pub(super) more_tries: usize,
    /// Whether there is a delivery at all.
    pub(super) sent: bool,
    /// Whether an attempt is owed, so that it can be cancelled.
    pub(super) owed: bool,
}

/// One attempt.
pub(super) struct Try {
    pub(super) id: String,
    pub(super) number: u32,
    pub(super) badge: Badge,
    pub(super) at: When,
    pub(super) manual: bool,
    pub(super) status: Option<u16>,
    pub(super) took: String,
    pub(super) sentence: String,
    pub(super) url: String,
    pub(super) method: String,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) request_body: String,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) response_body: String,
    pub(super) cut: bool,
    pub(super) bar: Vec<Piece>,
    pub(super) curl: String,
}

/// A part of an attempt's time: its name, its label, where it begins and how wide it is, in thousandths.
pub(super) struct Piece {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) from: u32,
    pub(super) width: u32,
    pub(super) took: String,
}

pub(super) async fn find(desk: &Desk, app: &str, msg: &str) -> Result<(Arc<AppRoutes>, Message), Problem> {
    let engine = desk.engine();
    let app = engine.app(desk.org(), app).ok_or_else(|| Problem::not_found("application"))?;
    let found = match msg.parse::<MsgId>() {
        Ok(id) => engine.store.message(app.application.id, id).await?,
        Err(_) => engine.store.message_by_event_id(app.application.id, msg).await?,
    };
    Ok((app, found.ok_or_else(|| Problem::not_found("message"))?))
}

async fn show(visitor: Visitor, Path((app, msg)): Path<(String, String)>) -> Shown {
    let (app, message) = find(&visitor.desk, &app, &msg).await?;
    let asked = Fields::parse(visitor.query.as_bytes());
    let spread = spread(&visitor.desk, (&app, &message), &visitor.query).await;
    let (spread, refused) = Refused::filters(spread, &asked, &[])?;
    let (payload, cut) = payload(&message);
    let origin = message.origin.as_ref().map(|origin| OriginView {
        source: origin.source.to_string(),
        method: origin.method.clone(),
        headers: origin.headers.iter().map(|(n, v)| (n.clone(), String::from_utf8_lossy(v).into_owned())).collect(),
    });
    let page = MessagePage {
        shell: Shell::new(&visitor, message.event_type.clone(), "messages"),
        at: When(message.id.time()),
        deliver_at: message.deliver_at.map(When),
        payload,
        cut,
        origin,
        spread,
        asked,
        refused,
        app,
        message,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// A payload as people read it, and whether it is cut.
pub(super) fn payload(message: &Message) -> (String, bool) {
    let text = String::from_utf8_lossy(&message.payload);
    let cut = text.len() > MAX_SHOWN;
    (if cut { text.chars().take(MAX_SHOWN).collect() } else { pretty(&text) }, cut)
}

/// What one endpoint did with it.
pub(super) async fn row(desk: &Desk, app: &AppRoutes, message: &Message, id: EndpointId) -> Result<Row, Problem> {
    let engine = desk.engine();
    let route = app.route(id);
    let url = route.map(|route| route.url.to_string());
    let delivery = match message.endpoints.contains(&id) {
        true => engine.store.delivery(message, id).await?,
        false => None,
    };
    let Some(delivery) = delivery else {
        let why = route.map_or("It is deleted.", |route| skipped(route, message));
        let tries = Vec::new();
        return Ok(Row {
            id,
            url,
            badge: Badge::state("skipped"),
            why: why.to_owned(),
            next: None,
            circuit: None,
            tries,
            more_tries: 0,
            sent: false,
            owed: false,
        });
    };
    let disabled = route.is_some_and(|route| route.disabled.is_some());
    let word = state(engine, delivery.state, (id, message.id), disabled);
    let mut tries = Vec::new();
    for attempt in delivery.attempts.iter().rev().take(MAX_ATTEMPTS) {
        if let Some(attempt) = engine.store.attempt(id, *attempt).await? {
            tries.push(Try::new(attempt, app, route, message));
        }
    }
    let last = tries.first().map(|newest| newest.sentence.clone()).unwrap_or_default();
    let circuit = engine.lane(id).map_or(CircuitState::Closed, |lane| lane.circuit);
    let (next, circuit) = match delivery.state {
        DeliveryState::Pending(due) if word == "pending" => next_attempt(due, circuit, desk.now()),
        _ => (None, None),
    };
    let why = match word {
        "held" => "The endpoint is disabled: its deliveries are kept until it is enabled.".to_owned(),
        "cancelled" => "It was cancelled: it is not sent any more.".to_owned(),
        "pending" if tries.is_empty() => "Waits for its first attempt.".to_owned(),
        _ => last,
    };
    let more_tries = delivery.attempts.len().saturating_sub(MAX_ATTEMPTS);
    let owed = route.is_some() && matches!(delivery.state, DeliveryState::Pending(_));
    Ok(Row { id, url, badge: Badge::state(word), why, next, circuit, tries, more_tries, sent: true, owed })
}

/// When an attempt that is due then is made, or until when it waits for the circuit. Neither is known while one attempt finds
/// out whether the endpoint is back.
fn next_attempt(due: Time, circuit: CircuitState, now: Time) -> (Option<When>, Option<When>) {
    match circuit {
        CircuitState::Open(until) if due < until => (None, Some(When(until))),
        CircuitState::HalfOpen if due <= now => (None, None),
        _ => (Some(When(due)), None),
    }
}

/// Why an endpoint did not get it, as its settings are now.
fn skipped(route: &Route, message: &Message) -> &'static str {
    if route.id.time() > message.id.time() {
        return "It was created after the message.";
    }
    match judge(route, &Subject::new(&message.event_type, &message.channels, &message.payload)) {
        Err(Skip::EventType) => "It does not subscribe to this event type.",
        Err(Skip::Channel) => "It wants channels that the message does not carry.",
        Err(Skip::Filter) => "The payload does not meet its filter.",
        Ok(()) => "It did not want this message when it came; as it is set now, it would.",
    }
}

impl Try {
    fn new(attempt: Attempt, app: &AppRoutes, route: Option<&Arc<Route>>, message: &Message) -> Self {
        let outcome = &attempt.outcome;
        let body = route
            .filter(|_| !message.expunged)
            .map(|route| signing::body(app, route, message, (attempt.id.time(), attempt.number)));
        let body = body.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&body).chars().take(MAX_SHOWN).collect();
        let method = route.map_or("POST".to_owned(), |route| route.method.to_string());
        let request_headers = attempt.request_headers.to_pairs();
        let curl = curl(&method, &attempt.url, &request_headers, &text);
        Try {
            number: attempt.number,
            badge: if outcome.succeeded() { Badge::state("delivered") } else { Badge::state("failed") },
            at: When(attempt.id.time()),
            manual: attempt.trigger == Trigger::Manual,
            status: outcome.status,
            took: millis(f64::from(outcome.phases.total_us) / 1000.0),
            sentence: match outcome.detail.as_str() {
                "" => sentence(&attempt),
                // The answer's own words for its status say nothing more.
                _ if outcome.status.is_some() && outcome.cause == Cause::BadStatus => sentence(&attempt),
                detail => format!("{} {detail}", sentence(&attempt)),
            },
            response_headers: outcome.headers.to_pairs(),
            response_body: pretty(&String::from_utf8_lossy(&outcome.body)),
            cut: outcome.body_cut,
            bar: bar(outcome.phases),
            id: attempt.id.to_string(),
            url: attempt.url,
            method,
            request_headers,
            request_body: pretty(&text),
            curl,
        }
    }
}

/// Where the time of an attempt went.
fn bar(phases: crate::model::Phases) -> Vec<Piece> {
    let before = phases.dns_us + phases.connect_us + phases.tls_us;
    let server = phases.first_byte_us.saturating_sub(before);
    let rest = phases.total_us.saturating_sub(phases.first_byte_us.max(before));
    let parts = [
        ("dns", "Name", phases.dns_us),
        ("connect", "Connect", phases.connect_us),
        ("tls", "TLS", phases.tls_us),
        ("server", "Receiver", server),
        ("body", "Body", rest),
    ];
    let total = parts.iter().map(|(.., us)| *us).sum::<u32>().max(1);
    let thousandths = |us: u32| u32::try_from(u64::from(us) * 1000 / u64::from(total)).unwrap_or(0);
    let mut from = 0;
    let mut pieces = Vec::new();
    for (name, label, us) in parts.into_iter().filter(|(.., us)| *us > 0) {
        let width = thousandths(us);
        pieces.push(Piece { name, label, from, width, took: millis(f64::from(us) / 1000.0) });
        from += width;
    }
    pieces
}

/// The request as a line for a shell. Headers of the connection are the tool's own to make. Nothing in it is more than text: braces
/// in a URL stand for no others, and a body that begins with `@` names no file.
fn curl(method: &str, url: &str, headers: &[(String, String)], body: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut line = format!("curl --globoff -X {method} {}", quoted(url));
    for (name, value) in headers.iter().filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection")) {
        // The tool takes a header without a value for one that is not to be sent, unless a semicolon ends its name.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        line.push_str(&format!(" \\\n  -H {}", quoted(&header)));
    }
    line.push_str(&format!(" \\\n  --data-raw {}", quoted(body)));
    line
}

/// Sends it again wherever it failed.
pub(super) async fn resend_failed(desk: &Desk, routes: &AppRoutes, message: &Message) -> Result<(), Problem> {
    let engine = &desk.api().engine;
    let live: Vec<EndpointId> = message.endpoints.iter().copied().filter(|id| routes.route(*id).is_some()).collect();
    for some in live.chunks(QUEUED_AT_ONCE) {
        let failed = standings(engine, (routes, message), some, false).await?.into_iter().filter(|one| one.state == "exhausted");
        let again = failed.map(|one| engine.requeue(routes.application.id, one.endpoint, Requeue::Once(message.id)));
        try_join_all(again).await?;
    }
    Ok(())
}

/// Sends it to one endpoint again.
async fn resend(Path((app, msg)): Path<(String, String)>, filled: Filled) -> Shown {
    let (routes, message) = find(&filled.visitor.desk, &app, &msg).await?;
    let endpoint = filled.fields.text("endpoint").to_owned();
    let path = format!("/api/v1/app/{}/msg/{}/endpoint/{}/resend", routes.application.id, message.id, segment(&endpoint));
    if endpoint == "failed" {
        resend_failed(&filled.visitor.desk, &routes, &message).await?;
    } else {
        filled.change(Method::POST, &path, Value::Null).await?;
    }
    Ok(Redirect::to(&format!("/dashboard/applications/{}/messages/{}?note=resent", routes.application.id, message.id))
        .into_response())
}

/// Cancels what it is owed: at one endpoint, or at all.
async fn cancel(Path((app, msg)): Path<(String, String)>, filled: Filled) -> Shown {
    let (app, message) = find(&filled.visitor.desk, &app, &msg).await?;
    let below = match filled.fields.given("endpoint") {
        Some(endpoint) => format!("/endpoint/{}", segment(endpoint)),
        None => String::new(),
    };
    let path = format!("/api/v1/app/{}/msg/{}{below}/cancel", app.application.id, message.id);
    filled.change(Method::POST, &path, Value::Null).await?;
    Ok(Redirect::to(&format!("/dashboard/applications/{}/messages/{}?note=cancelled", app.application.id, message.id))
        .into_response())
}

/// Deletes its payload.
async fn expunge(Path((app, msg)): Path<(String, String)>, filled: Filled) -> Shown {
    let (app, message) = find(&filled.visitor.desk, &app, &msg).await?;
    let path = format!("/api/v1/app/{}/msg/{}/content", app.application.id, message.id);
    filled.change(Method::DELETE, &path, Value::Null).await?;
    Ok(Redirect::to(&format!("/dashboard/applications/{}/messages/{}?note=expunged", app.application.id, message.id))
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phases;

    #[test]
    fn a_curl_line_can_be_pasted() {
        let headers = [("host".to_owned(), "x".to_owned()), ("webhook-id".to_owned(), "it's".to_owned())];
        let line = curl("POST", "https://a.example/x?y='", &headers, "{\"a\":\"b'c\"}");
        assert_eq!(
            line,
            "curl --globoff -X POST 'https://a.example/x?y='\\''' \\\n  -H 'webhook-id: it'\\''s' \\\n  --data-raw '{\"a\":\"b'\\''c\"}'"
        );
        let line = curl("POST", "https://a.example/{a,b}/[1-9]", &[("x-none".to_owned(), String::new())], "@/etc/passwd");
        let safe = "curl --globoff -X POST 'https://a.example/{a,b}/[1-9]' \\\n  -H 'x-none;' \\\n  --data-raw '@/etc/passwd'";
        assert_eq!(line, safe, "a body names no file, a URL no others");
    }

    #[test]
    fn time_is_split_into_its_parts() {
        let phases = Phases { dns_us: 100, connect_us: 200, tls_us: 0, first_byte_us: 900, total_us: 1000 };
        let pieces = bar(phases);
        let shown: Vec<_> = pieces.iter().map(|piece| (piece.name, piece.from, piece.width)).collect();
        assert_eq!(shown, [("dns", 0, 100), ("connect", 100, 200), ("server", 300, 600), ("body", 900, 100)]);
        assert!(bar(Phases::default()).is_empty());
    }
}
