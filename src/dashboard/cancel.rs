//! Cancelling what waits: what a search has found or a form says, counted first, then begun. Its progress is a replay's.

use super::{
    Dashboard,
    error::{Shown, reasons},
    fields::{Fields, Filled, segment},
    messages::names,
    page::{Page, Shell},
    replay_new::{Choice, Count, OFFERED, class, event_types, since},
    search::condition,
    view::Listed,
    visitor::Visitor,
};
use crate::api::Problem;
use askama::Template;
use axum::{
    Router,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/cancel", get(form).post(start))
}

#[derive(Template)]
#[template(path = "dashboard/cancel.html")]
struct Cancel {
    shell: Shell,
    apps: Vec<(String, String)>,
    endpoints: Vec<Choice>,
    types: Vec<String>,
    class: String,
    since: String,
    asked: Fields,
    query: String,
    count: Option<Count>,
    fault: Vec<String>,
}

/// What the API is asked for.
fn request(asked: &Fields, since: &str, catalogue: &[String]) -> Result<Value, Problem> {
    let class = class(asked);
    let number = |text: &str| -> Result<u32, Problem> {
        text.parse().map_err(|_| Problem::field(&["class"], "type_error", "This is not a number."))
    };
    let status = if asked.text("status") == "held" { "held" } else { "pending" };
    Ok(json!({
        "appId": asked.text("app"),
        "endpointId": asked.given("endpoint"),
        "since": since,
        "until": asked.time("until")?.map(|until| until.to_string()),
        "eventTypes": event_types(asked, catalogue)?,
        "channel": asked.given("channel"),
        "tag": asked.given("tag"),
        "filter": asked.given("field").map(|path| condition(path, asked.text("value"))),
        "statuses": [status],
        "statusCodeClass": (!class.is_empty()).then(|| number(&class)).transpose()?,
    }))
}

/// The form, with a count once an application is chosen. It changes nothing, so its URL can be shared.
async fn form(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let types = super::event_types::names(&visitor.desk).await?;
    let (mut count, mut fault, mut endpoints) = (None, Vec::new(), Vec::new());
    let since = since(&visitor, &asked)?;
    if let Some(app) = asked.given("app") {
        let path = format!("/api/v1/app/{}/endpoint?limit={OFFERED}", segment(app));
        endpoints = visitor.desk.get::<Listed<Choice>>(&path).await?.data;
        match counted(&visitor, request(&asked, &since, &types)).await {
            Ok(found) => count = Some(found),
            Err(problem) => fault = reasons(&problem),
        }
    }
    let page = Cancel {
        shell: Shell::new(&visitor, "Cancel deliveries", "replays"),
        apps: names(&visitor),
        endpoints,
        types,
        class: class(&asked),
        since,
        query: visitor.query.clone(),
        asked,
        count,
        fault,
    };
    Ok(Page(page).into_response())
}

async fn counted(visitor: &Visitor, request: Result<Value, Problem>) -> Result<Count, Problem> {
    visitor.desk.call(Method::POST, "/api/v1/cancel/preview", Some(request?)).await
}

/// Begins what was counted: the form carries the query of the page that showed the count.
async fn start(filled: Filled) -> Shown {
    #[derive(Deserialize)]
    struct Begun {
        id: String,
    }
    let asked = Fields::parse(filled.fields.raw("query").as_bytes());
    let since = filled.fields.time("since")?.ok_or_else(|| Problem::field(&["since"], "missing", "Since when?"))?.to_string();
    let types = super::event_types::names(&filled.visitor.desk).await?;
    let begun: Begun = filled.send(Method::POST, "/api/v1/cancel", request(&asked, &since, &types)?).await?;
    Ok(Redirect::to(&format!("/dashboard/replays/{}?note=cancelling", segment(&begun.id))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_becomes_a_cancellation() {
        let asked = Fields::parse(b"app=a&status=held&type=order.placed&code=503&field=data.id&value=7");
        let body = request(&asked, "2026-01-02T03:04:00Z", &[]).unwrap();
        assert_eq!((&body["statuses"], &body["eventTypes"]), (&json!(["held"]), &json!(["order.placed"])));
        assert_eq!((&body["statusCodeClass"], &body["filter"]), (&json!(500), &condition("data.id", "7")));
        let any = request(&Fields::parse(b"app=a"), "", &[]).unwrap();
        assert_eq!((&any["statuses"], &any["filter"]), (&json!(["pending"]), &Value::Null));
        assert!(request(&Fields::parse(b"app=a&class=many"), "", &[]).is_err());
    }
}
