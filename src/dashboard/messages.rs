//! Messages: searched, watched as they come, and replayed by the many, with a count first.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled},
    page::{Page, Shell},
    search::{Found, Hit, MAX_APPS, Sought, search},
    view::{Badge, Pager, When, with},
    visitor::Visitor,
};
use crate::{
    api::Problem,
    model::{AppId, MsgId},
    routing::AppRoutes,
    store::Requeue,
};
use askama::Template;
use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use std::sync::Arc;

/// Messages of a page.
const LIMIT: usize = 50;
/// Messages that are replayed together at most.
const BULK: usize = 500;
/// What can be asked for.
const STATES: [&str; 6] = ["delivered", "pending", "in_flight", "held", "failed", "cancelled"];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/messages", get(list)).route("/dashboard/messages/replay", post(replay))
}

#[derive(Template)]
#[template(path = "dashboard/messages.html")]
struct Messages {
    shell: Shell,
    apps: Vec<(String, String)>,
    many: Option<usize>,
    asked: Fields,
    states: [&'static str; 6],
    rows: Vec<Row>,
    searched: usize,
    /// The query of the search that goes on.
    further: Option<String>,
    pager: Pager,
    query: String,
    filtered: bool,
}

impl Messages {
    /// Whether what is searched for may wait, so that it can be cancelled.
    fn may_wait(&self) -> bool {
        matches!(self.asked.text("status"), "" | "pending" | "in_flight" | "held")
    }
}

struct Row {
    id: MsgId,
    app: String,
    app_id: AppId,
    event_type: String,
    event_id: Option<String>,
    tags: Vec<String>,
    at: When,
    counts: Vec<(Badge, usize)>,
    unmatched: bool,
}

#[derive(Template)]
#[template(path = "dashboard/replay.html")]
struct Confirm {
    shell: Shell,
    query: String,
    messages: usize,
    deliveries: usize,
    every: bool,
    more: bool,
}

impl Row {
    fn new(hit: Hit) -> Self {
        let counts = hit.counts();
        Row {
            app: hit.app.application.name.clone(),
            app_id: hit.app.application.id,
            unmatched: hit.message.endpoints.is_empty(),
            id: hit.message.id,
            at: When(hit.message.id.time()),
            event_type: hit.message.event_type,
            event_id: hit.message.event_id,
            tags: hit.message.tags,
            counts,
        }
    }
}

/// The applications that a query is about, and how many there are when not all of them are searched.
fn applications(visitor: &Visitor, asked: &Fields) -> Result<(Vec<Arc<AppRoutes>>, Option<usize>), Problem> {
    let engine = &visitor.desk.api().engine;
    if let Some(app) = asked.given("app") {
        return match engine.app(visitor.user.org, app) {
            Some(app) => Ok((vec![app], None)),
            None => Err(Problem::not_found("application")),
        };
    }
    let mut ids = engine.routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let many = (ids.len() > MAX_APPS).then_some(ids.len());
    Ok((ids.into_iter().take(MAX_APPS).filter_map(|id| engine.routing.by_id(id)).collect(), many))
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let (apps, many) = applications(&visitor, &asked)?;
    let ids: Vec<AppId> = apps.iter().map(|app| app.application.id).collect();
    let found = match asked.given("id") {
        Some(id) => by_id(&visitor, &apps, id).await?,
        None => search(visitor.desk.engine(), &ids, &Sought::read(&asked)?, LIMIT).await?,
    };
    let (pager, further) = ways(&visitor.query, &asked, &found);
    let page = Messages {
        shell: Shell::new(&visitor, "Messages", "messages"),
        apps: names(&visitor),
        many,
        states: STATES,
        searched: found.searched,
        further,
        pager,
        query: visitor.query.clone(),
        filtered: asked.0.iter().any(|(name, value)| !matches!(name.as_str(), "before" | "after" | "note") && !value.is_empty()),
        rows: found.hits.into_iter().map(Row::new).collect(),
        asked,
    };
    Ok(Page(page).into_response())
}

/// Applications to choose from.
pub(super) fn names(visitor: &Visitor) -> Vec<(String, String)> {
    let routing = &visitor.desk.api().engine.routing;
    let mut ids = routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let apps = ids.into_iter().take(MAX_APPS).filter_map(|id| routing.by_id(id));
    apps.map(|app| (app.application.id.to_string(), app.application.name.clone())).collect()
}

/// The message with this id, or the messages with this event id.
async fn by_id(visitor: &Visitor, apps: &[Arc<AppRoutes>], id: &str) -> Result<Found, Problem> {
    let store = &visitor.desk.api().engine.store;
    let mut found = Found::default();
    for app in apps {
        let message = match id.parse::<MsgId>() {
            Ok(id) => store.message(app.application.id, id).await?,
            Err(_) => store.message_by_event_id(app.application.id, id).await?,
        };
        found.searched += 1;
        found.hits.extend(message.map(|message| Hit { app: app.clone(), message, deliveries: Vec::new() }));
    }
    Ok(found)
}

/// To the pages before and behind, and on with a search that stopped.
pub(super) fn ways(query: &str, asked: &Fields, found: &Found) -> (Pager, Option<String>) {
    if asked.given("id").is_some() {
        return (Pager::default(), None);
    }
    let newer = asked.given("after").is_some();
    let (plain, from_there) = (with(query, "before", ""), with(query, "after", ""));
    let older_than = |id: MsgId| with(from_there.trim_start_matches('?'), "before", &id.to_string());
    let newer_than = |id: MsgId| with(plain.trim_start_matches('?'), "after", &id.to_string());
    let (first, last) = (found.hits.first().map(|hit| hit.message.id), found.hits.last().map(|hit| hit.message.id));
    let started = asked.given("before").is_some();
    let (before, behind) = if newer { (found.more, true) } else { (started, found.more) };
    let pager = Pager { previous: first.filter(|_| before).map(newer_than), next: last.filter(|_| behind).map(older_than) };
    let further = found.stopped.map(|at| if newer { newer_than(at) } else { older_than(at) });
    (pager, further)
}

/// Replays what a search finds: first the count, then the deed.
async fn replay(Filled { visitor, fields }: Filled) -> Shown {
    let query = fields.raw("query").to_owned();
    let asked = Fields::parse(query.as_bytes());
    if asked.given("id").is_some() {
        // One message is resent from its own page.
        return Ok(Redirect::to(&format!("/dashboard/messages{}", with(&query, "note", "nothing"))).into_response());
    }
    let (apps, _) = applications(&visitor, &asked)?;
    let ids: Vec<AppId> = apps.iter().map(|app| app.application.id).collect();
    let found = search(visitor.desk.engine(), &ids, &Sought::read(&asked)?, BULK).await?;
    let every = fields.ticked("every");
    let wanted = |state: &str| every || matches!(state, "exhausted" | "cancelled");
    let picked: Vec<_> = found
        .hits
        .iter()
        .flat_map(|hit| {
            let live =
                hit.deliveries.iter().filter(|delivery| wanted(delivery.state) && hit.app.route(delivery.endpoint).is_some());
            live.map(|delivery| (hit.app.application.id, delivery.endpoint, hit.message.id))
        })
        .collect();
    if fields.ticked("sure") {
        let engine = visitor.desk.api().engine.clone();
        for (app, endpoint, msg) in &picked {
            engine.requeue(*app, *endpoint, Requeue::Once(*msg)).await?;
        }
        let note = if picked.is_empty() { "nothing" } else { "queued" };
        return Ok(Redirect::to(&format!("/dashboard/messages{}", with(&query, "note", note))).into_response());
    }
    let mut messages: Vec<MsgId> = picked.iter().map(|(_, _, msg)| *msg).collect();
    messages.dedup();
    let page = Confirm {
        shell: Shell::new(&visitor, "Replay messages", "messages"),
        query,
        messages: messages.len(),
        deliveries: picked.len(),
        every,
        more: found.more || found.stopped.is_some(),
    };
    Ok(Page(page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(query: &str, more: bool, stopped: Option<MsgId>) -> (Pager, Option<String>) {
        let asked = Fields::parse(query.as_bytes());
        ways(query, &asked, &Found { more, stopped, ..Found::default() })
    }

    #[test]
    fn a_search_that_stopped_goes_on_from_there() {
        let at = MsgId(77);
        let (pager, further) = pages("type=x&before=y", false, Some(at));
        assert_eq!((pager, further), (Pager::default(), Some(format!("?type=x&before={at}"))));
        let (_, further) = pages("type=x&after=y", false, Some(at));
        assert_eq!(further, Some(format!("?type=x&after={at}")));
        assert_eq!(pages("id=z", true, Some(at)), (Pager::default(), None));
    }
}
