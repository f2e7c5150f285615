//! Messages: searched, watched as they come, and replayed by the many, with a count first.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled},
    page::{Page, Shell},
    refused::Refused,
    search::{Found, Hit, MAX_APPS, STATES, Sought, Standing, search},
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
use futures_util::{StreamExt, future::try_join_all, stream};
use std::sync::Arc;

/// Messages of a page.
const LIMIT: usize = 50;
/// Messages that are replayed together at most.
const BULK: usize = 500;
/// Applications in which an id is looked for at most, and how many the store is asked about at once.
const MAX_ASKED: usize = 5_000;
const AT_ONCE: usize = 16;
/// Deliveries that are queued again at once.
const QUEUED_AT_ONCE: usize = 64;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/messages", get(list)).route("/dashboard/messages/replay", post(replay))
}

#[derive(Template)]
#[template(path = "dashboard/messages.html")]
struct Messages {
    shell: Shell,
    apps: Choices,
    /// How many applications there are, and how many of them were searched, when not all were.
    partly: Option<(usize, usize)>,
    asked: Fields,
    states: [&'static str; 6],
    rows: Vec<Row>,
    searched: usize,
    /// The query of the search that goes on.
    further: Option<String>,
    pager: Pager,
    query: String,
    filtered: bool,
    refused: Refused,
}

impl Messages {
    /// What is searched for, from its first page on.
    fn whole_query(&self) -> String {
        with(with(&self.query, "before", "").trim_start_matches('?'), "after", "")
    }

    /// Whether what is searched for may wait, so that it can be cancelled.
    fn may_wait(&self) -> bool {
        carried(&self.asked) && matches!(self.asked.text("status"), "" | "pending" | "held")
    }

    /// Whether a replay at a pace can be told of all that is searched for.
    fn paced(&self) -> bool {
        carried(&self.asked) && !self.asked.text("app").is_empty() && self.asked.text("status") != "in_flight"
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
    /// Endpoints whose deliveries were not looked at.
    unseen: usize,
    unmatched: bool,
}

#[derive(Template)]
#[template(path = "dashboard/replay.html")]
struct Confirm {
    shell: Shell,
    query: String,
    messages: u64,
    deliveries: u64,
    every: bool,
    more: bool,
}

impl Row {
    fn new(hit: Hit) -> Self {
        let (counts, unseen) = (hit.counts(), hit.unseen());
        Row {
            app: hit.app.application.name.clone(),
            app_id: hit.app.application.id,
            unmatched: hit.message.endpoints.is_empty(),
            id: hit.message.id,
            at: When(hit.message.id.time()),
            event_type: hit.message.event_type,
            event_id: hit.message.event_id,
            tags: hit.message.tags,
            unseen,
            counts,
        }
    }
}

/// Whether the API's replays and cancellations know everything that is asked for.
fn carried(asked: &Fields) -> bool {
    asked.given("code").is_none() && asked.given("id").is_none()
}

/// Applications, and how many there are and are searched when these are not all.
type Searched = (Vec<Arc<AppRoutes>>, Option<(usize, usize)>);

/// The applications that a query is about, and how many there are and are searched when these are not all.
fn applications(visitor: &Visitor, asked: &Fields) -> Result<Searched, Problem> {
    let engine = &visitor.desk.api().engine;
    if let Some(app) = asked.given("app") {
        return match engine.app(visitor.user.org, app) {
            Some(app) => Ok((vec![app], None)),
            None => Err(Problem::field(&["app"], "unknown", "There is no such application.")),
        };
    }
    let mut ids = engine.routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let most = if asked.given("id").is_some() { MAX_ASKED } else { MAX_APPS };
    let partly = (ids.len() > most).then_some((ids.len(), most));
    Ok((ids.into_iter().take(most).filter_map(|id| engine.routing.by_id(id)).collect(), partly))
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let ((found, partly), refused) = Refused::filters(found(&visitor, &asked).await, &asked, &[])?;
    let (pager, further) = ways(&visitor.query, &asked, &found);
    let page = Messages {
        shell: Shell::new(&visitor, "Messages", "messages"),
        apps: names(&visitor, &asked),
        partly,
        states: STATES,
        searched: found.searched,
        further,
        pager,
        query: visitor.query.clone(),
        filtered: asked.0.iter().any(|(name, value)| !matches!(name.as_str(), "before" | "after" | "note") && !value.is_empty()),
        rows: found.hits.into_iter().map(Row::new).collect(),
        asked,
        refused,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// What a search finds, and how many applications there are and were searched when these are not all.
async fn found(visitor: &Visitor, asked: &Fields) -> Result<(Found, Option<(usize, usize)>), Problem> {
    let (apps, partly) = applications(visitor, asked)?;
    let ids: Vec<AppId> = apps.iter().map(|app| app.application.id).collect();
    let sought = Sought::read(asked)?;
    let found = match asked.given("id") {
        Some(id) => by_id(visitor, &apps, (id, &sought)).await?,
        None => search(visitor.desk.engine(), &ids, &sought, LIMIT).await?,
    };
    Ok((found, partly))
}

/// Applications to choose from.
pub(super) struct Choices {
    /// The newest, by what is sent for them and their names; also the one that is asked for.
    pub(super) rows: Vec<(String, String)>,
    /// Whether there are more than these, so that they are searched.
    pub(super) more: bool,
    /// The name of the one that is asked for.
    pub(super) chosen: Option<String>,
}

/// Applications to choose from.
pub(super) fn names(visitor: &Visitor, asked: &Fields) -> Choices {
    let engine = visitor.desk.engine();
    let mut ids = engine.routing.apps_of(visitor.user.org);
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let more = ids.len() > MAX_APPS;
    let chosen = asked.given("app").and_then(|text| Some((text, engine.app(visitor.user.org, text)?)));
    let newest = ids.into_iter().take(MAX_APPS).filter_map(|id| engine.routing.by_id(id));
    let others = newest.filter(|app| chosen.as_ref().is_none_or(|(_, one)| one.application.id != app.application.id));
    let mut rows: Vec<(String, String)> =
        others.map(|app| (app.application.id.to_string(), app.application.name.clone())).collect();
    if let Some((text, app)) = &chosen {
        rows.insert(0, ((*text).to_owned(), app.application.name.clone()));
    }
    Choices { rows, more, chosen: chosen.map(|(_, app)| app.application.name.clone()) }
}

/// The message with this id, or the messages with this event id, if they are what else is asked for.
async fn by_id(visitor: &Visitor, apps: &[Arc<AppRoutes>], (id, sought): (&str, &Sought)) -> Result<Found, Problem> {
    let engine = visitor.desk.engine();
    let number = id.parse::<MsgId>().ok();
    let asked = apps.iter().cloned().map(|app| async move {
        let message = match number {
            Some(id) => engine.store.message(app.application.id, id).await,
            None => engine.store.message_by_event_id(app.application.id, id).await,
        };
        message.map(|message| message.map(|message| (app, message)))
    });
    let mut asked = stream::iter(asked.collect::<Vec<_>>()).buffered(AT_ONCE);
    let mut found = Found::default();
    while let Some(answer) = asked.next().await {
        let Some((app, message)) = answer? else { continue };
        found.searched += 1;
        found.hits.extend(sought.hit(engine, app, message).await?);
        // Of a message's id there is one, of an event's one in each application.
        if number.is_some() || found.hits.len() >= LIMIT {
            break;
        }
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
    let sought = Sought::read(&asked)?.whole();
    let found = search(visitor.desk.engine(), &ids, &sought, BULK).await?;
    let every = fields.ticked("every");
    let wanted = |one: &Standing| sought.admits_delivery(one) && (every || matches!(one.state, "exhausted" | "cancelled"));
    let picked: Vec<_> = found
        .hits
        .iter()
        .flat_map(|hit| {
            let live = hit.deliveries.iter().filter(|delivery| wanted(delivery) && hit.app.route(delivery.endpoint).is_some());
            live.map(|delivery| (hit.app.application.id, delivery.endpoint, hit.message.id))
        })
        .collect();
    if fields.ticked("sure") {
        let engine = visitor.desk.api().engine.clone();
        for some in picked.chunks(QUEUED_AT_ONCE) {
            let queued = some.iter().map(|(app, endpoint, msg)| engine.requeue(*app, *endpoint, Requeue::Once(*msg)));
            try_join_all(queued).await?;
        }
        let note = if picked.is_empty() { "nothing" } else { "queued" };
        return Ok(Redirect::to(&format!("/dashboard/messages{}", with(&query, "note", note))).into_response());
    }
    let mut messages: Vec<MsgId> = picked.iter().map(|(_, _, msg)| *msg).collect();
    messages.dedup();
    let page = Confirm {
        shell: Shell::new(&visitor, "Replay messages", "messages"),
        query,
        messages: messages.len() as u64,
        deliveries: picked.len() as u64,
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
