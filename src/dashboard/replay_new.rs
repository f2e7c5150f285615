//! Asking for a replay: what a search has found or a form says, counted first, then begun.

use super::{
    Dashboard,
    error::{PageError, Shown},
    fields::{Fields, Filled, segment},
    messages::{Choices, names},
    page::{Page, Shell},
    refused::{FILTERS, Refused},
    search::{condition, payload_field},
    view::{Listed, When},
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// How far back an empty form reaches.
const REACH: Duration = Duration::from_secs(7 * 86_400);
/// How far back a search without a start reaches: as far as the API allows, but for the hour in which the count is looked at.
const WHOLE_REACH: Duration = Duration::from_secs(90 * 86_400 - 3600);
/// What a search and a form can say.
const SAID: [&str; 13] =
    ["app", "endpoint", "status", "class", "type", "since", "until", "tag", "channel", "field", "value", "note", "code"];
/// What only a replay's form can say.
const OF_REPLAYS: [&str; 4] = ["newest", "newest_key", "anew", "rate"];
/// Endpoints to choose from.
const OFFERED: usize = 250;
/// Which deliveries can be chosen: our words, the API's and those for people.
const STATES: [(&str, &str, &str); 6] = [
    ("failed", "exhausted", "that failed"),
    ("delivered", "delivered", "that were delivered"),
    ("pending", "pending", "that wait, held ones too"),
    ("held", "held", "that are held"),
    ("cancelled", "cancelled", "that were cancelled"),
    ("missing", "missing", "that there were never, and would be now"),
];

/// Fields of the form, by what the API calls them.
const NAMES: [(&str, &str); 9] = [
    ("appId", "app"),
    ("endpointId", "endpoint"),
    ("eventTypes", "type"),
    ("statuses", "status"),
    ("statusCodeClass", "class"),
    ("filter", "field"),
    ("newestPer", "newest"),
    ("newestPerOrderingKey", "newest_key"),
    ("code", "class"),
];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/replays/new", get(form).post(start))
}

/// An endpoint to choose.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) url: String,
}

/// What a replay would do, as the API counts it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Count {
    pub(super) messages_scanned: u64,
    pub(super) messages: u64,
    pub(super) deliveries: u64,
    pub(super) messages_expunged: u64,
    pub(super) complete: bool,
}

#[derive(Template)]
#[template(path = "dashboard/replay_new.html")]
struct New {
    shell: Shell,
    apps: Choices,
    endpoints: Vec<Choice>,
    types: Vec<String>,
    states: [(&'static str, &'static str, &'static str); 6],
    state: &'static str,
    class: String,
    since: String,
    begins: Option<When>,
    asked: Fields,
    query: String,
    count: Option<Count>,
    refused: Refused,
}

impl New {
    /// Whether this state is asked for.
    fn is(&self, word: &str) -> bool {
        self.state == word
    }
}

/// The state that is asked for: our word and the API's. Failed deliveries unless told otherwise; `None`: it cannot be asked for.
fn state(asked: &Fields) -> Option<(&'static str, &'static str)> {
    let word = asked.given("status").unwrap_or("failed");
    STATES.iter().find(|(ours, ..)| *ours == word).map(|(ours, theirs, _)| (*ours, *theirs))
}

/// Refuses what a search can say and this cannot: it would reach beyond the search.
fn carried(asked: &Fields, names: &[&str]) -> Result<(), Problem> {
    if asked.given("code").is_some() {
        return Err(Problem::field(&["code"], "unsupported", "One response code cannot be chosen here. Choose a class of them."));
    }
    if asked.given("id").is_some() {
        return Err(Problem::field(&["id"], "unsupported", "One message is replayed and cancelled on its own page."));
    }
    asked.only(&[SAID.as_slice(), names].concat())
}

/// That these deliveries cannot be chosen.
pub(super) fn unchosen() -> Problem {
    Problem::field(&["status"], "enum", "Deliveries that stand so cannot be chosen here. Choose others.")
}

/// The event types that are asked for; `invoice.*` is every one of the catalogue that begins so.
fn event_types(asked: &Fields, catalogue: &[String]) -> Result<Option<Vec<String>>, Problem> {
    let Some(wanted) = asked.words("type") else { return Ok(None) };
    let mut types = Vec::new();
    for word in wanted {
        match word.strip_suffix('*') {
            Some(beginning) => types.extend(catalogue.iter().filter(|name| name.starts_with(beginning)).cloned()),
            None => types.push(word),
        }
    }
    if types.is_empty() {
        return Err(Problem::field(&["type"], "pattern", "No event type of the catalogue begins so."));
    }
    Ok(Some(types))
}

/// A number of a form.
fn number(name: &'static str, text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| Problem::field(&[name], "type_error", "This is not a number."))
}

/// Which deliveries the API is asked for, but for how they stand.
/// `names` is what its form can say beside what every search can.
pub(super) fn chosen(asked: &Fields, since: &str, catalogue: &[String], names: &[&str]) -> Result<Map<String, Value>, Problem> {
    carried(asked, names)?;
    let body = [
        ("appId", json!(asked.text("app"))),
        ("endpointId", json!(asked.given("endpoint"))),
        ("since", json!(since)),
        ("until", json!(asked.time("until")?.map(|until| until.to_string()))),
        ("eventTypes", json!(event_types(asked, catalogue)?)),
        ("channel", json!(asked.given("channel"))),
        ("tag", json!(asked.given("tag"))),
        ("filter", json!(payload_field(asked)?.map(|(path, value)| condition(path, value)))),
        ("statusCodeClass", json!(asked.given("class").map(|class| number("class", class)).transpose()?)),
    ];
    Ok(body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What the API is asked for.
pub(super) fn request(asked: &Fields, since: &str, catalogue: &[String]) -> Result<Value, Problem> {
    let mut body = chosen(asked, since, catalogue, &OF_REPLAYS)?;
    let rate = asked.given("rate").map(|rate| number("rate", rate)).transpose()?;
    body.insert("statuses".into(), json!([state(asked).ok_or_else(unchosen)?.1]));
    body.insert("newestPer".into(), json!(asked.given("newest")));
    body.insert("newestPerOrderingKey".into(), json!(asked.ticked("newest_key")));
    body.insert("anew".into(), json!(asked.ticked("anew")));
    body.insert("rate".into(), json!(rate));
    Ok(body.into())
}

/// How a form becomes a request: from its fields, since when, and the catalogue's event types.
pub(super) type Request = fn(&Fields, &str, &[String]) -> Result<Value, Problem>;

/// A form as it was filled in, with a count once an application is chosen.
pub(super) struct Draft {
    pub(super) asked: Fields,
    pub(super) query: String,
    pub(super) apps: Choices,
    pub(super) endpoints: Vec<Choice>,
    pub(super) types: Vec<String>,
    pub(super) class: String,
    pub(super) since: String,
    /// Where it begins, when a search that named no start has led here.
    pub(super) begins: Option<When>,
    pub(super) count: Option<Count>,
    pub(super) refused: Refused,
}

impl Draft {
    /// What the URL asks for, counted by that resource.
    pub(super) async fn of(visitor: &Visitor, resource: &str, request: Request) -> Result<Self, PageError> {
        let asked = Fields::parse(visitor.query.as_bytes());
        let types = super::event_types::names(&visitor.desk).await?;
        let (mut count, mut endpoints) = (None, Vec::new());
        let (since, mut refused) = Refused::filters(asked.time("since"), &asked, &NAMES)?;
        let searched = asked.0.iter().any(|(name, value)| name != "note" && !value.trim().is_empty());
        let begins = (since.is_none() && searched).then(|| When(visitor.now().minus(WHOLE_REACH)));
        let since = since.or(begins.map(|at| at.0)).unwrap_or_else(|| visitor.now().minus(REACH)).to_string();
        if let Some(app) = asked.given("app") {
            let path = format!("/api/v1/app/{}/endpoint?limit={OFFERED}", segment(app));
            let found = visitor.desk.get::<Listed<Choice>>(&path).await.map_err(|problem| match problem {
                Problem::NotFound(_) => Problem::field(&["app"], "unknown", "There is no such application."),
                other => other,
            });
            let (found, unknown) = Refused::filters(found, &asked, &NAMES)?;
            (endpoints, refused) = (found.data, refused.or(unknown));
            // One that is asked for stays chosen, also beyond those that are offered.
            let chosen = asked.given("endpoint").filter(|wanted| endpoints.iter().all(|one| one.id != *wanted));
            endpoints.extend(chosen.map(|wanted| Choice { id: wanted.to_owned(), url: wanted.to_owned() }));
            let counted = async {
                let body = request(&asked, &since, &types)?;
                visitor.desk.call(Method::POST, &format!("{resource}/preview"), Some(body)).await
            };
            if !refused.any() {
                match counted.await {
                    Ok(found) => count = Some(found),
                    Err(problem) => refused = Refused::new(FILTERS, problem, asked.clone(), &NAMES)?,
                }
            }
        }
        let (class, query) = (asked.text("class").to_owned(), visitor.query.clone());
        let apps = names(visitor, &asked);
        Ok(Draft { asked, query, apps, endpoints, types, class, since, begins, count, refused })
    }
}

/// Begins what was counted: the form carries the query of the page that showed the count. It answers with the path of what has
/// begun.
pub(super) async fn begin(filled: &Filled, resource: &str, request: Request, note: &str) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Begun {
        id: String,
    }
    let asked = Fields::parse(filled.fields.raw("query").as_bytes());
    let since = filled.fields.time("since")?.ok_or_else(|| Problem::field(&["since"], "missing", "Since when?"))?.to_string();
    let types = super::event_types::names(&filled.visitor.desk).await?;
    let begun: Begun = filled.send(Method::POST, resource, request(&asked, &since, &types)?).await?;
    Ok(format!("/dashboard/replays/{}?note={note}", segment(&begun.id)))
}

/// Back to the form as it was counted, with why it was refused.
pub(super) fn again(filled: Filled, problem: Problem) -> Result<(Visitor, Refused), Problem> {
    let query = filled.fields.raw("query").to_owned();
    let refused = Refused::new(FILTERS, problem, Fields::parse(query.as_bytes()), &NAMES)?;
    Ok((Visitor { query, ..filled.visitor }, refused))
}

/// The form, with a count once an application is chosen. It changes nothing, so its URL can be shared.
async fn form(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, badly: Refused) -> Shown {
    visitor.need(Role::Operator)?;
    let draft = Draft::of(&visitor, "/api/v1/replay", request).await?;
    let shell = Shell::new(&visitor, "New replay", "replays");
    let Draft { asked, query, apps, endpoints, types, class, since, begins, count, refused } = draft;
    let refused = badly.or(refused);
    let state = state(&asked).map_or("failed", |(ours, _)| ours);
    let page = New { shell, apps, endpoints, types, states: STATES, state, class, since, begins, asked, query, count, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn start(filled: Filled) -> Shown {
    match begin(&filled, "/api/v1/replay", request, "begun").await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) => {
            let (visitor, refused) = again(filled, problem)?;
            page(visitor, refused).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_becomes_a_replay() {
        let asked = Fields::parse(b"app=a&status=held&type=order.*&class=500&field=data.id&value=7&rate=5&note=saved");
        let catalogue = ["order.placed".to_owned(), "user.made".to_owned()];
        let body = request(&asked, "2026-01-02T03:04:00Z", &catalogue).unwrap();
        assert_eq!((&body["statuses"], &body["eventTypes"]), (&json!(["held"]), &json!(["order.placed"])));
        assert_eq!((&body["statusCodeClass"], &body["rate"], &body["anew"]), (&json!(500), &json!(5), &json!(false)));
        assert_eq!(body["filter"], condition("data.id", "7"));
        assert!(request(&Fields::parse(b"app=a&type=nothing.*"), "", &catalogue).is_err());
        assert!(request(&Fields::parse(b"app=a&rate=fast"), "", &catalogue).is_err());
        for wider in
            ["code=503", "id=msg_1", "status=in_flight", "status=anything", "value=7", "before=msg_1", "state=held", "tag=a&tag=b"]
        {
            assert!(request(&Fields::parse(format!("app=a&{wider}").as_bytes()), "", &catalogue).is_err(), "{wider}");
        }
    }
}
