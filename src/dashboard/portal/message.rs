//! One message: its payload, what every endpoint of the application did with it, every attempt, and sending it again.

use super::{
    super::{
        Dashboard,
        fields::{Fields, segment},
        message::{find, payload, resend_failed},
        page::Page,
        refused::Refused,
        spread::{Spread, spread},
        view::When,
    },
    guest::{Guest, Sent},
    page::{Shell, Shown},
};
use crate::model::Message;
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/portal/{app}/messages/{msg}", get(show))
        .route("/portal/{app}/messages/{msg}/resend", post(resend))
        .route("/portal/{app}/messages/{msg}/cancel", post(cancel))
}

#[derive(Template)]
#[template(path = "portal/message.html")]
struct MessagePage {
    shell: Shell,
    message: Message,
    at: When,
    deliver_at: Option<When>,
    payload: String,
    cut: bool,
    spread: Spread,
    asked: Fields,
    refused: Refused,
}

async fn show(guest: Guest, Path((_app, msg)): Path<(String, String)>) -> Shown {
    let (app, message) = find(&guest.desk, &guest.app.id, &msg).await?;
    let asked = Fields::parse(guest.query.as_bytes());
    let spread = spread(&guest.desk, (&app, &message), &guest.query).await;
    let (spread, refused) = Refused::filters(spread, &asked, &[])?;
    let (payload, cut) = payload(&message);
    let page = MessagePage {
        shell: Shell::new(&guest, message.event_type.clone(), "deliveries"),
        at: When(message.id.time()),
        deliver_at: message.deliver_at.map(When),
        payload,
        cut,
        spread,
        asked,
        refused,
        message,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Cancels what waits: at one endpoint, or at all.
async fn cancel(Path((_app, msg)): Path<(String, String)>, sent: Sent) -> Shown {
    let below = sent.fields.given("endpoint").map(|endpoint| format!("/endpoint/{}", segment(endpoint))).unwrap_or_default();
    let path = format!("{}/msg/{}{below}/cancel", sent.guest.api(), segment(&msg));
    sent.change(Method::POST, &path, Value::Null).await?;
    Ok(Redirect::to(&format!("{}/messages/{}?note=cancelled", sent.guest.home(), segment(&msg))).into_response())
}

/// Sends it to one endpoint again, or wherever it failed.
async fn resend(Path((_app, msg)): Path<(String, String)>, sent: Sent) -> Shown {
    sent.works()?;
    let (app, message) = find(&sent.guest.desk, &sent.guest.app.id, &msg).await?;
    match sent.fields.text("endpoint") {
        "failed" => resend_failed(&sent.guest.desk, &app, &message).await?,
        endpoint => {
            let path = format!("{}/msg/{}/endpoint/{}/resend", sent.guest.api(), message.id, segment(endpoint));
            sent.change(Method::POST, &path, Value::Null).await?;
        }
    }
    Ok(Redirect::to(&format!("{}/messages/{}?note=resent", sent.guest.home(), message.id)).into_response())
}
