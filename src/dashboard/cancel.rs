//! Cancelling what waits: what a search has found or a form says, counted first, then begun. Its progress is a replay's.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled},
    messages::Choices,
    page::{Page, Shell},
    refused::Refused,
    replay_new::{Choice, Count, Draft, again, begin, chosen, unchosen},
    view::When,
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::get,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/cancel", get(form).post(start))
}

#[derive(Template)]
#[template(path = "dashboard/cancel.html")]
struct Cancel {
    shell: Shell,
    apps: Choices,
    endpoints: Vec<Choice>,
    types: Vec<String>,
    class: String,
    since: String,
    begins: Option<When>,
    asked: Fields,
    query: String,
    count: Option<Count>,
    refused: Refused,
}

/// What the API is asked for.
pub(super) fn request(asked: &Fields, since: &str, catalogue: &[String]) -> Result<Value, Problem> {
    let mut body = chosen(asked, since, catalogue, &[])?;
    let status = match asked.text("status") {
        "" | "pending" => "pending",
        "held" => "held",
        _ => return Err(unchosen()),
    };
    body.insert("statuses".into(), json!([status]));
    Ok(body.into())
}

/// The form, with a count once an application is chosen. It changes nothing, so its URL can be shared.
async fn form(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, badly: Refused) -> Shown {
    visitor.need(Role::Operator)?;
    let draft = Draft::of(&visitor, "/api/v1/cancel", request).await?;
    let shell = Shell::new(&visitor, "Cancel deliveries", "replays");
    let Draft { asked, query, apps, endpoints, types, class, since, begins, count, refused } = draft;
    let refused = badly.or(refused);
    let page = Cancel { shell, apps, endpoints, types, class, since, begins, asked, query, count, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn start(filled: Filled) -> Shown {
    match begin(&filled, "/api/v1/cancel", request, "cancelling").await {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(problem) => {
            let (visitor, refused) = again(filled, problem)?;
            page(visitor, refused).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::search::condition;
    use super::*;

    #[test]
    fn a_search_becomes_a_cancellation() {
        let asked = Fields::parse(b"app=a&status=held&type=order.placed&class=500&field=data.id&value=7");
        let body = request(&asked, "2026-01-02T03:04:00Z", &[]).unwrap();
        assert_eq!((&body["statuses"], &body["eventTypes"]), (&json!(["held"]), &json!(["order.placed"])));
        assert_eq!((&body["statusCodeClass"], &body["filter"]), (&json!(500), &condition("data.id", "7")));
        let any = request(&Fields::parse(b"app=a"), "", &[]).unwrap();
        assert_eq!((&any["statuses"], &any["filter"]), (&json!(["pending"]), &Value::Null));
        for refused in
            ["class=many", "code=503", "id=msg_1", "status=delivered", "status=in_flight", "value=7", "newest=a", "after=msg_1"]
        {
            assert!(request(&Fields::parse(format!("app=a&{refused}").as_bytes()), "", &[]).is_err(), "{refused}");
        }
    }
}
