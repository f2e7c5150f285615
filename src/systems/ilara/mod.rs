//! Ilara's webhooks: an organization's endpoints with filters, and their monitoring.

mod monitor;
mod ranges;
mod shape;
mod trial;
mod webhook;

use super::{KeyCaller, Options, Seed, Surface, catalogue, form, home, refusal::renamed};
use crate::{
    api::{
        Problem, Shared,
        endpoint::{Brand, surface},
    },
    model::{Endpoint, EndpointId, MsgId, System},
    routing::AppRoutes,
};
use axum::{extract::FromRequestParts, http::request::Parts, response::Response};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the ids of webhooks start with.
const ID_PREFIX: &str = "whk_";
/// What the ids of events start with.
const EVENT_PREFIX: &str = "evt_";
/// What the types of tracked events start with.
const TRACKED: &str = "event.";
/// Our names of fields, and Ilara's.
const NAMES: [(&str, &str); 4] =
    [("eventTypes", "events"), ("disabled", "enabled"), ("filter", "filters"), ("retryPolicy", "retry_policy")];

/// The system.
pub(super) const SURFACE: Surface = Surface {
    system: System::Ilara,
    title: "Ilara Webhooks",
    about: "An organization's webhooks with filters, and their monitoring.",
    routes,
    refused,
    catalogue: CATALOGUE,
};

/// The event types of its document.
const CATALOGUE: &[Seed] = &[
    seed(
        "player.created",
        "New player identified",
        "player",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","external_id":"player_123"}"#,
    ),
    seed(
        "player.updated",
        "Player attributes changed",
        "player",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","changed":{"country":"DE"}}"#,
    ),
    seed(
        "player.lifecycle_changed",
        "Lifecycle stage transition",
        "player",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","from":"new","to":"active"}"#,
    ),
    seed(
        "player.segment_entered",
        "Player joined segment",
        "player",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","segment":"whales"}"#,
    ),
    seed(
        "player.segment_exited",
        "Player left segment",
        "player",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","segment":"whales"}"#,
    ),
    seed(
        "event.purchase_complete",
        "A purchase was completed (any tracked event is `event.` and its name)",
        "game",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","external_id":"player_123","event_name":"purchase_complete","properties":{"product_id":"gem_pack_100","amount":9.99,"currency":"USD"}}"#,
    ),
    seed(
        "event.session_end",
        "Session ended",
        "game",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","event_name":"session_end","properties":{"duration_s":1260}}"#,
    ),
    seed(
        "flag.evaluated",
        "Feature flag evaluation",
        "system",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","flag":"new_shop","value":true}"#,
    ),
    seed(
        "campaign.triggered",
        "Retention campaign triggered",
        "system",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","campaign":"win_back"}"#,
    ),
    seed(
        "churn.risk_high",
        "Player became high churn risk",
        "system",
        r#"{"player_id":"550e8400-e29b-41d4-a716-446655440000","risk":0.93}"#,
    ),
];

const fn seed(name: &'static str, description: &'static str, group: &'static str, example: &'static str) -> Seed {
    Seed { name, description, group, reserved: false, example }
}

fn routes(options: &Options) -> OpenApiRouter<Shared> {
    form::router()
        .routes(routes!(webhook::list, webhook::create))
        .routes(routes!(ranges::ip_ranges))
        .routes(routes!(webhook::get, webhook::update, webhook::delete))
        .routes(routes!(trial::test))
        .routes(routes!(monitor::logs))
        .routes(routes!(monitor::stats))
        .route(ranges::PAGE_PATH, ranges::page(&options.ip_ranges))
}

fn refused(problem: &Problem) -> Response {
    form::refused(&renamed(problem.clone(), &NAMES))
}

/// The application of the caller's webhooks.
struct Home(Arc<AppRoutes>);

impl FromRequestParts<Shared> for Home {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let KeyCaller(caller) = KeyCaller::from_request_parts(parts, api).await?;
        catalogue::on_first_use(api, caller.org, CATALOGUE).await?;
        Ok(Home(home(api, caller.org).await?))
    }
}

fn brand(profile: &str) -> Brand<'_> {
    Brand { system: System::Ilara, profile, by_url: false, uncatalogued: |name| name.starts_with(TRACKED) }
}

/// A webhook's id, as Ilara writes it.
fn id_text(id: EndpointId) -> String {
    id.to_string().replacen(EndpointId::PREFIX, ID_PREFIX, 1)
}

/// An event's id, as Ilara writes it.
fn event_id(id: MsgId) -> String {
    id.to_string().replacen(MsgId::PREFIX, EVENT_PREFIX, 1)
}

/// The webhook with this id.
async fn find(api: &Shared, app: &AppRoutes, id: &str) -> Result<Endpoint, Problem> {
    let digits = id.strip_prefix(ID_PREFIX).ok_or_else(|| Problem::not_found("webhook"))?;
    let id = format!("{}{digits}", EndpointId::PREFIX).parse().map_err(|_| Problem::not_found("webhook"))?;
    surface::one(api, app.application.id, (System::Ilara, id)).await
}
