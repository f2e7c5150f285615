//! Nudj's Admin API: an organization's webhook configurations, and a log of every attempt.

mod config;
mod log;

use super::{Options, Seed, Surface, catalogue, form, home, refusal::renamed};
use crate::{
    api::{
        Caller, Problem, Shared,
        endpoint::{Brand, surface},
    },
    model::{EndpointId, System},
    routing::AppRoutes,
};
use axum::{Router, extract::FromRequestParts, http::request::Parts, response::Response};
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Carries the API key; a bearer token does as well.
const TOKEN_HEADER: &str = "x-api-token";
/// Our names of fields, and Nudj's.
const NAMES: [(&str, &str); 5] = [
    ("eventTypes", "events"),
    ("disabled", "isEnabled"),
    ("method", "httpMethod"),
    ("retryPolicy", "maxRetries"),
    ("endpoint", "configId"),
];

/// The system.
pub(super) const SURFACE: Surface = Surface {
    system: System::Nudj,
    title: "Nudj Admin API",
    about: "An organization's webhook configurations, and a log of every attempt.",
    routes,
    refused,
    catalogue: CATALOGUE,
};

/// The event types of its document: it names what happens, and we name the types after it.
const CATALOGUE: &[Seed] = &[
    seed("user.created", "A profile was created.", "user"),
    seed("user.authenticated", "A user has signed in.", "user"),
    seed("user.community_joined", "A user has joined a community.", "user"),
    seed("user.opted_in", "A user has opted in.", "user"),
    seed("user.opted_out", "A user has opted out.", "user"),
    seed("action.completed", "An action was completed.", "action"),
    seed("action.hint_revealed", "A hint of an action was revealed.", "action"),
    seed("action.milestone_reached", "A repeatable action has reached a milestone.", "action"),
    seed("challenge.started", "A challenge was started.", "challenge"),
    seed("challenge.completed", "A challenge was completed.", "challenge"),
    seed("challenge.recap_generated", "The recap of a challenge was generated.", "challenge"),
    seed("reward.distributed", "A reward was distributed.", "reward"),
    seed("reward.claimed", "A reward was claimed.", "reward"),
    seed("reward.redeemed", "A reward was redeemed.", "reward"),
    seed("reward.expired", "A reward has expired.", "reward"),
    seed("achievement.unlocked", "An achievement was unlocked.", "achievement"),
    seed("achievement.tier_progressed", "A user has gone up a tier.", "achievement"),
    seed("achievement.streak_milestone", "A streak has reached a milestone.", "achievement"),
    seed("referral.clicked", "A referral link was clicked.", "referral"),
    seed("referral.converted", "A referral was converted.", "referral"),
    seed("referral.reward_distributed", "Referrer or referee got a reward.", "referral"),
];

const fn seed(name: &'static str, description: &'static str, group: &'static str) -> Seed {
    Seed { name, description, group, reserved: false, example: "" }
}

/// Both ways of showing the key.
#[derive(OpenApi)]
#[openapi(modifiers(&Token))]
struct Frame;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(TOKEN_HEADER)));
        document.components.get_or_insert_default().add_security_scheme("ApiToken", scheme);
    }
}

fn routes(options: &Options) -> OpenApiRouter<Shared> {
    let operations = || OpenApiRouter::new().routes(routes!(config::list, config::put)).routes(routes!(log::list));
    let documented = OpenApiRouter::with_openapi(Frame::openapi()).merge(form::router()).merge(operations());
    if options.nudj_prefix.is_empty() {
        return documented;
    }
    let again: Router<Shared> = operations().split_for_parts().0;
    documented.merge(OpenApiRouter::from(Router::new().nest(&options.nudj_prefix, again)))
}

fn refused(problem: &Problem) -> Response {
    form::refused(&renamed(problem.clone(), &NAMES))
}

/// Who asks, and the application of the organization's configurations.
struct Admin {
    app: Arc<AppRoutes>,
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let caller = match parts.headers.get(TOKEN_HEADER) {
            Some(token) => api.caller(token.to_str().unwrap_or_default().trim()).await?,
            None => Caller::from_request_parts(parts, api).await?,
        };
        caller.manage()?;
        catalogue::on_first_use(api, caller.org, CATALOGUE).await?;
        Ok(Admin { app: home(api, caller.org).await? })
    }
}

fn brand(profile: &str) -> Brand<'_> {
    Brand { system: System::Nudj, profile, by_url: true, uncatalogued: |_| false }
}

fn missing() -> Problem {
    Problem::not_found("webhook config")
}

/// The id of a configuration that is there.
async fn config_id(api: &Shared, app: &AppRoutes, id: &str) -> Result<EndpointId, Problem> {
    let id = id.parse().map_err(|_| missing())?;
    let found = surface::one(api, app.application.id, (System::Nudj, id)).await;
    found.map(|endpoint| endpoint.id).map_err(|_| missing())
}
