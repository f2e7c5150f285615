//! How a message stands at each endpoint of its application: failures first, sifted by state and URL, in pages. All its deliveries
//! are looked at for that, for a bounded time; where the looking stopped the page says so, and a link goes on from there.

use super::{
    desk::Desk,
    fields::Fields,
    message::{Row, row},
    search::{Standing, standings},
    sift::{has, paged},
    view::{Badge, Pager, with},
};
use crate::{
    api::Problem,
    model::{EndpointId, Message},
    routing::AppRoutes,
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// Endpoints that one page shows.
const MAX_ENDPOINTS: usize = 50;
/// Endpoints that need no search.
const UNSEARCHED: usize = 10;
/// Deliveries that are looked at between two looks at the clock.
const CHUNK: usize = 256;
/// How long a page goes on looking: longer than reading the deliveries of as many endpoints as there can be takes an embedded store.
const PATIENCE: Duration = Duration::from_secs(1);
/// What can be asked for, worst first: our words, and those of the deliveries' states.
const STATES: [(&str, &str); 7] = [
    ("failed", "exhausted"),
    ("held", "held"),
    ("pending", "pending"),
    ("in_flight", "in_flight"),
    ("delivered", "delivered"),
    ("cancelled", "cancelled"),
    ("skipped", "skipped"),
];

/// How many endpoints stand so.
pub(super) struct Tally {
    /// What is asked for to see them.
    pub(super) word: &'static str,
    /// For people.
    pub(super) label: &'static str,
    /// How many.
    pub(super) count: usize,
    /// Whether they are asked for.
    pub(super) chosen: bool,
}

/// A page of how a message stands at its application's endpoints.
#[derive(Default)]
pub(super) struct Spread {
    /// Failures first.
    pub(super) rows: Vec<Row>,
    /// To the pages before and behind.
    pub(super) pager: Pager,
    /// The states that there are.
    pub(super) tallies: Vec<Tally>,
    /// Whether it failed anywhere where it can be sent again.
    pub(super) failed: bool,
    /// Whether any endpoint is owed it.
    pub(super) owed: bool,
    /// Whether there are so many endpoints that they are searched.
    pub(super) many: bool,
    /// Where the looking stopped.
    pub(super) stopped: Option<Stopped>,
}

/// Where the looking stopped.
pub(super) struct Stopped {
    /// Up to which delivery, of how many.
    pub(super) looked: usize,
    /// How many there are.
    pub(super) all: usize,
    /// The query that goes on.
    pub(super) further: String,
}

/// How deliveries stand, from the given one on, until the time is over.
async fn look(desk: &Desk, of: (&AppRoutes, &Message), from: usize) -> Result<(Vec<Standing>, usize), Problem> {
    let until = Instant::now() + PATIENCE;
    let (mut found, mut looked) = (Vec::new(), from);
    for some in of.1.endpoints.get(from..).unwrap_or_default().chunks(CHUNK) {
        found.extend(standings(desk.engine(), of, some, false).await?);
        looked += some.len();
        if Instant::now() >= until {
            break;
        }
    }
    Ok((found, looked))
}

/// The state that is asked for, if any.
fn wanted(asked: &Fields) -> Result<Option<&'static str>, Problem> {
    let Some(word) = asked.given("state") else { return Ok(None) };
    let known = STATES.iter().find(|(ours, _)| *ours == word).map(|(_, state)| Some(*state));
    known.ok_or_else(|| Problem::field(&["state"], "enum", "There is no such state."))
}

/// A page of what the application's endpoints did with a message: of those that stand as the query's `state` says, and whose URL
/// has what its `q` says.
///
/// # Errors
/// The state is not known; as the store's.
pub(super) async fn spread(desk: &Desk, (app, message): (&AppRoutes, &Message), query: &str) -> Result<Spread, Problem> {
    let asked = Fields::parse(query.as_bytes());
    let (wanted, part) = (wanted(&asked)?, asked.text("q"));
    let from: usize = asked.text("skip").parse().unwrap_or(0);
    let (found, looked) = look(desk, (app, message), from).await?;
    let all = message.endpoints.len();
    let states: HashMap<EndpointId, &'static str> = found.iter().map(|one| (one.endpoint, one.state)).collect();
    let owed: HashSet<EndpointId> = message.endpoints.iter().copied().collect();
    let never = app.routes.iter().map(|route| route.id).filter(|id| !owed.contains(id)).map(|id| (id, "skipped"));
    let mut ids: Vec<(EndpointId, &'static str)> = states.into_iter().chain(never).collect();
    let named =
        |id: &EndpointId| part.is_empty() || id.to_string() == part || app.route(*id).is_some_and(|route| has(&route.url, part));
    let there = |words: &[&str]| ids.iter().any(|(id, state)| words.contains(state) && app.route(*id).is_some());
    let partly = looked < all || from > 0;
    let (failed, owed) = (partly || there(&["exhausted"]), partly || there(&["pending", "held", "in_flight"]));
    ids.retain(|(id, _)| named(id));
    let tally = |(word, state): (&'static str, &'static str)| Tally {
        word,
        label: Badge::state(state).1,
        count: ids.iter().filter(|(_, is)| *is == state).count(),
        chosen: wanted == Some(state),
    };
    let tallies = STATES.into_iter().map(tally).filter(|tally| tally.count > 0 || tally.chosen).collect();
    let searched = asked.given("q").is_some() || wanted.is_some();
    let many = ids.len() > UNSEARCHED || searched || partly;
    ids.retain(|(_, state)| wanted.is_none_or(|wanted| wanted == *state));
    ids.sort_unstable_by_key(|(id, state)| (STATES.iter().position(|(_, known)| known == state), *id));
    let (ids, pager) = paged(ids, query, MAX_ENDPOINTS);
    let mut rows = Vec::new();
    for (id, _) in ids {
        rows.push(row(desk, app, message, id).await?);
    }
    let on = || with(with(query, "from", "").trim_start_matches('?'), "skip", &looked.to_string());
    let stopped = (looked < all).then(|| Stopped { looked, all, further: on() });
    Ok(Spread { rows, pager, tallies, failed, owed, many, stopped })
}
