//! One endpoint: how it does, its attempts, its secret, and what can be done with it.

use super::{
    super::{
        Dashboard,
        chart::Latency,
        endpoint::{
            AttemptRow, FILTER_NAMES, FORM_NAMES, Health, RECOVER, SecretRow, attempts_path, charted_from, examples, grace, health,
            lacks_example, newest, secrets, suggested, timed, window,
        },
        endpoint_edit::{EndpointView, Headers},
        fields::{Fields, segment},
        lane::Lane,
        page::Page,
        refused::Refused,
        view::{Listed, Pager},
    },
    guest::{Guest, Sent},
    page::{Shell, Shown},
};
use crate::{api::Problem, model::EndpointId};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    const ONE: &str = "/portal/{app}/endpoints/{endpoint}";
    Router::new()
        .route(ONE, get(show))
        .route(&format!("{ONE}/pause"), post(pause))
        .route(&format!("{ONE}/test"), post(test))
        .route(&format!("{ONE}/recover"), post(recover))
        .route(&format!("{ONE}/missing"), post(missing))
        .route(&format!("{ONE}/rotate"), post(rotate))
        .route(&format!("{ONE}/secret"), post(secret))
        .route(&format!("{ONE}/delete"), post(delete))
}

#[derive(Template)]
#[template(path = "portal/endpoint.html")]
struct EndpointPage {
    shell: Shell,
    endpoint: EndpointView,
    headers: Headers,
    health: Health,
    lane: Lane,
    chart: Option<Latency>,
    rows: Vec<AttemptRow>,
    pager: Pager,
    asked: Fields,
    secrets: Vec<SecretRow>,
    since: String,
    types: Vec<String>,
    secret: Option<String>,
    refused: Refused,
}

impl EndpointPage {
    /// The event type that a test suggests.
    fn suggested(&self) -> &str {
        suggested(&self.endpoint, &self.types)
    }
}

async fn show(guest: Guest, Path((_app, endpoint)): Path<(String, String)>) -> Shown {
    page(guest, &endpoint, None, Refused::default()).await
}

async fn page(guest: Guest, endpoint: &str, secret: Option<String>, refused: Refused) -> Shown {
    let desk = &guest.desk;
    let path = format!("{}/endpoint/{}", guest.api(), segment(endpoint));
    let endpoint: EndpointView = desk.get(&path).await?;
    let id: EndpointId = endpoint.id.parse().map_err(|_| Problem::Internal)?;
    let asked = Fields::parse(guest.query.as_bytes());
    let listed = match attempts_path(&guest.app.id, &endpoint.id, &asked) {
        Ok(path) => desk.get::<Listed<AttemptRow>>(&path).await,
        Err(problem) => Err(problem),
    };
    let (listed, badly) = Refused::filters(listed, &asked, &FILTER_NAMES)?;
    let now = desk.now();
    let attempts = newest(desk, id).await?;
    let (since, unlike) = Refused::filters(asked.time("since"), &asked, &[])?;
    let since = since.unwrap_or_else(|| now.minus(RECOVER));
    let page = EndpointPage {
        shell: Shell::new(&guest, endpoint.url.clone(), "endpoints"),
        headers: desk.get(&format!("{path}/headers")).await?,
        health: health(desk, id, &attempts, endpoint.disabled).await?,
        lane: Lane::of(desk, &path).await?,
        chart: Latency::of(&attempts, charted_from(&attempts, now), now),
        secrets: secrets(desk, &guest.app.id, &endpoint.id).await?,
        pager: listed.pager(&guest.query),
        rows: timed(desk, id, listed.data).await?,
        since: since.to_string(),
        types: super::super::event_types::names(desk).await?,
        endpoint,
        asked,
        secret,
        refused: refused.or(badly).or(unlike),
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// The API's path of an endpoint.
fn api_path(sent: &Sent, endpoint: &str) -> String {
    format!("{}/endpoint/{}", sent.guest.api(), segment(endpoint))
}

fn back(sent: &Sent, endpoint: &str, note: &str) -> Shown {
    Ok(Redirect::to(&format!("{}/endpoints/{}?note={note}", sent.guest.home(), segment(endpoint))).into_response())
}

/// Back to the endpoint's page after a form: with a note, or with the form and why it was refused.
async fn after(endpoint: &str, sent: Sent, done: Result<(), Problem>, (form, note): (&'static str, &str)) -> Shown {
    match done {
        Ok(()) => back(&sent, endpoint, note),
        Err(problem) => page(sent.guest, endpoint, None, Refused::new(form, problem, sent.fields, &FORM_NAMES)?).await,
    }
}

/// Holds its deliveries, or lets them go.
async fn pause(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    let disabled = sent.fields.truth("disabled")?;
    sent.change(Method::PATCH, &api_path(&sent, &endpoint), json!({ "disabled": disabled })).await?;
    back(&sent, &endpoint, if disabled { "paused" } else { "resumed" })
}

async fn test(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    let (path, [own, bare]) = (format!("{}/send-example", api_path(&sent, &endpoint)), examples(&sent.fields));
    let done = match sent.change(Method::POST, &path, own).await {
        Err(problem) if lacks_example(&problem) => sent.change(Method::POST, &path, bare).await,
        other => other,
    };
    after(&endpoint, sent, done, ("test", "tested")).await
}

/// Asks the API for what a form says, if it is understood.
async fn asked(sent: &Sent, path: &str, body: Result<Value, Problem>) -> Result<(), Problem> {
    sent.change(Method::POST, path, body?).await
}

/// Queues failed deliveries again.
async fn recover(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    let path = format!("{}/recover", api_path(&sent, &endpoint));
    let done = asked(&sent, &path, window(&sent.fields)).await;
    after(&endpoint, sent, done, ("recover", "recovered")).await
}

/// Sends what it was never to get and would get now.
async fn missing(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    let path = format!("{}/replay-missing", api_path(&sent, &endpoint));
    let done = asked(&sent, &path, window(&sent.fields)).await;
    after(&endpoint, sent, done, ("recover", "begun")).await
}

async fn rotate(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    let path = format!("{}/secret/rotate", api_path(&sent, &endpoint));
    let done = asked(&sent, &path, grace(&sent.fields)).await;
    after(&endpoint, sent, done, ("rotate", "rotated")).await
}

/// Shows the secret. A form, so that only who may change things sees it, and no history keeps it.
async fn secret(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    let key: Key = sent.guest.desk.get(&format!("{}/secret", api_path(&sent, &endpoint))).await?;
    page(sent.guest, &endpoint, Some(key.key), Refused::default()).await
}

async fn delete(Path((_app, endpoint)): Path<(String, String)>, sent: Sent) -> Shown {
    sent.change(Method::DELETE, &api_path(&sent, &endpoint), Value::Null).await?;
    Ok(Redirect::to(&format!("{}?note=deleted", sent.guest.home())).into_response())
}
