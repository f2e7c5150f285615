//! Making and changing an endpoint: its URL, the events it gets, by category, a filter with a trial, and headers.

use super::{
    super::{
        Dashboard,
        endpoint_edit::{EndpointView, Headers, body, fields_of, headers, judged, with_headers},
        error::reasons,
        event_types::TypeView,
        fields::{Fields, segment},
        page::Page,
        refused::sentence,
        view::Listed,
    },
    guest::{Guest, Sent},
    page::{Shell, Shown},
};
use crate::{api::Problem, model::CATEGORY};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::{Method, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Event types of one page of the API.
const LIMIT: usize = 250;
/// Pages of the catalogue that are read at most.
const MAX_PAGES: usize = 8;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/portal/{app}/endpoints/new", get(fresh).post(make))
        .route("/portal/{app}/endpoints/{endpoint}/edit", get(edit).post(save))
        .route("/portal/{app}/filter", post(judge))
}

/// Event types that belong together.
#[derive(Debug)]
pub(super) struct Category {
    /// Its name; empty: those without one.
    pub(super) name: String,
    /// What subscribes to all of it.
    pub(super) whole: String,
    /// Its event types.
    pub(super) types: Vec<TypeView>,
}

/// A subscription as people call it.
pub(in crate::dashboard) fn named(event_type: &str) -> String {
    event_type.strip_prefix(CATEGORY).map_or_else(|| event_type.to_owned(), |category| format!("all of {category}"))
}

/// The catalogue as the guest may see it, by category.
pub(super) async fn catalogue(guest: &Guest) -> Result<Vec<Category>, Problem> {
    let mut found = Vec::new();
    let mut from = String::new();
    for _ in 0..MAX_PAGES {
        let path = format!("/api/v1/event-type?with_content=true&limit={LIMIT}&iterator={}", segment(&from));
        let listed: Listed<TypeView> = guest.desk.get(&path).await?;
        let next = listed.next();
        found.extend(listed.data);
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(grouped(found))
}

/// Event types by category; those without one come last.
pub(super) fn grouped(types: Vec<TypeView>) -> Vec<Category> {
    let mut found: BTreeMap<String, Vec<TypeView>> = BTreeMap::new();
    for entry in types {
        found.entry(entry.group_name.clone().unwrap_or_default()).or_default().push(entry);
    }
    let category = |(name, types): (String, Vec<TypeView>)| Category { whole: format!("{CATEGORY}{name}"), name, types };
    let mut categories: Vec<Category> = found.into_iter().map(category).collect();
    categories.sort_by_key(|category| category.name.is_empty());
    categories
}

#[derive(Template)]
#[template(path = "portal/endpoint_edit.html")]
struct Edit {
    shell: Shell,
    /// The endpoint; empty: a new one.
    id: String,
    title: &'static str,
    faults: Vec<(&'static str, String)>,
    given: Fields,
    chosen: Vec<String>,
    categories: Vec<Category>,
    /// What is subscribed to and not in the catalogue.
    others: Vec<String>,
    sensitive: Vec<String>,
    verdict: Option<super::super::endpoint_edit::Verdict>,
}

impl Edit {
    /// What is wrong with a field; with `""`, with none of them.
    fn fault(&self, field: &str) -> Option<String> {
        let of_field = self.faults.iter().filter(|(place, _)| *place == field);
        let texts: Vec<&str> = of_field.map(|(_, text)| text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    }

    /// Whether it gets everything.
    fn all(&self) -> bool {
        self.chosen.is_empty()
    }
}

/// Fields of the form, by what the API calls them.
const PLACES: [(&str, &str); 6] = [
    ("url", "url"),
    ("description", "description"),
    ("eventTypes", "types"),
    ("filter", "filter"),
    ("headers", "headers"),
    ("channels", "channels"),
];

/// What is wrong, by field.
fn faults(problem: &Problem) -> Vec<(&'static str, String)> {
    let Problem::Invalid(items) = problem else {
        return reasons(problem).into_iter().map(|text| ("", text)).collect();
    };
    let of_item = |item: &crate::api::problem::ValidationErrorItem| {
        let place = item.loc.iter().find_map(|part| PLACES.iter().find(|(theirs, _)| theirs == part));
        match place {
            Some((_, ours)) => (*ours, sentence(&item.msg)),
            None => ("", reasons(&Problem::Invalid(vec![item.clone()])).join(" ")),
        }
    };
    items.iter().map(of_item).collect()
}

async fn fresh(guest: Guest) -> Shown {
    let asked = Fields::parse(guest.query.as_bytes());
    page(guest, "", (asked, Vec::new())).await
}

async fn page(guest: Guest, id: &str, (given, faults): (Fields, Vec<(&'static str, String)>)) -> Shown {
    guest.may_work()?;
    let sensitive = match id {
        "" => Vec::new(),
        id => guest.desk.get::<Headers>(&format!("{}/endpoint/{}/headers", guest.api(), segment(id))).await?.sensitive,
    };
    let title = if id.is_empty() { "Add an endpoint" } else { "Edit the endpoint" };
    let categories = catalogue(&guest).await?;
    let chosen = given.all("types");
    let known = |name: &String| categories.iter().any(|c| c.whole == *name || c.types.iter().any(|entry| entry.name == *name));
    let others = chosen.iter().filter(|name| !known(name)).cloned().collect();
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let shell = Shell::new(&guest, title, "endpoints");
    let page = Edit { shell, id: id.to_owned(), title, faults, given, chosen, categories, others, sensitive, verdict: None };
    Ok((status, Page(page)).into_response())
}

/// The endpoint that a form asks for: what the form does not have is not touched.
pub(in crate::dashboard) fn wanted(fields: &Fields) -> Result<Value, Problem> {
    let mut wanted = body(fields)?;
    if let Some(fields) = wanted.as_object_mut() {
        fields.retain(|name, _| matches!(name.as_str(), "url" | "description" | "eventTypes" | "filter"));
    }
    if fields.text("which") == "some" && fields.all("types").is_empty() && fields.words("more_types").is_none() {
        return Err(Problem::field(&["eventTypes"], "missing", "Choose at least one event type, or all of them."));
    }
    if fields.text("which") == "all"
        && let Some(fields) = wanted.as_object_mut()
    {
        fields.insert("eventTypes".into(), Value::Null);
    }
    Ok(wanted)
}

async fn make(Path(_app): Path<String>, sent: Sent) -> Shown {
    match try_make(&sent).await {
        Ok(made) => Ok(Redirect::to(&format!("{}/endpoints/{}?note=made", sent.guest.home(), made.id)).into_response()),
        Err(problem) => again(sent, "", &problem).await,
    }
}

async fn try_make(sent: &Sent) -> Result<EndpointView, Problem> {
    let mut wanted = wanted(&sent.fields)?;
    let headers = headers(sent.fields.raw("headers"))?;
    if let Some(wanted) = wanted.as_object_mut().filter(|_| !headers.is_empty()) {
        wanted.insert("headers".into(), Value::Object(headers));
    }
    sent.send(Method::POST, &format!("{}/endpoint", sent.guest.api()), wanted).await
}

/// The form once more, with what is wrong in it. What no other form would mend is a page of its own.
async fn again(sent: Sent, id: &str, problem: &Problem) -> Shown {
    match problem {
        Problem::Invalid(_) | Problem::BadRequest(..) | Problem::Conflict(_) => {
            page(sent.guest, id, (sent.fields, faults(problem))).await
        }
        other => Err(other.clone().into()),
    }
}

async fn edit(guest: Guest, Path((_app, endpoint)): Path<(String, String)>) -> Shown {
    guest.may_work()?;
    let path = format!("{}/endpoint/{}", guest.api(), segment(&endpoint));
    let found: EndpointView = guest.desk.get(&path).await?;
    let headers: Headers = guest.desk.get(&format!("{path}/headers")).await?;
    page(guest, &endpoint, (fields_of(&found, &headers), Vec::new())).await
}

async fn save(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    match try_save(&endpoint, &sent).await {
        Ok(()) => Ok(Redirect::to(&format!("{}/endpoints/{}?note=saved", sent.guest.home(), segment(&endpoint))).into_response()),
        Err(problem) => again(sent, &endpoint, &problem).await,
    }
}

async fn try_save(endpoint: &str, sent: &Sent) -> Result<(), Problem> {
    let path = format!("{}/endpoint/{}", sent.guest.api(), segment(endpoint));
    let change = with_headers(&sent.guest.desk, &path, wanted(&sent.fields)?, &sent.fields).await?;
    sent.change(Method::PATCH, &path, change).await
}

/// Judges a payload by a filter; nothing is changed.
async fn judge(sent: Sent) -> Response {
    judged(&sent.guest.desk, &sent.fields).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_says_which_events_it_means() {
        let read = |text: &str| wanted(&Fields::parse(text.as_bytes()));
        assert_eq!(read("url=https://a.example&which=all&types=a").unwrap()["eventTypes"], Value::Null);
        let some = read("url=https://a.example&which=some&types=a&types=category:b&retry=[1]&throttle=3&profile=x").unwrap();
        assert_eq!(some["eventTypes"], json!(["a", "category:b"]));
        assert_eq!(some.as_object().unwrap().len(), 4, "what the form has not is not touched: {some}");
        let Err(Problem::Invalid(items)) = read("url=https://a.example&which=some") else { panic!() };
        assert_eq!(faults(&Problem::Invalid(items))[0].0, "types");
    }

    #[test]
    fn faults_stand_at_their_fields() {
        let at = |loc: &[&str]| faults(&Problem::field(loc, "x", "Wrong."))[0].clone();
        assert_eq!(at(&["body", "url"]), ("url", "Wrong.".into()));
        assert_eq!(at(&["body", "headers", "X-A"]), ("headers", "Wrong.".into()));
        assert_eq!(at(&["body", "secret"]), ("", "secret: Wrong.".into()));
        assert_eq!(sentence("the URL has no host"), "The URL has no host.");
        assert_eq!(faults(&Problem::conflict("There."))[0], ("", "There.".into()));
    }
}
