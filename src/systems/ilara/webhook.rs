//! `/v1/integrations/webhooks`: making, reading, changing, trying and deleting webhooks.

use super::{TRACKED, event_id, id_of, id_text};
use crate::{
    api::{
        Api, Idempotent, Json, Needs, New, Patch, Path, Problem, Shared, Stamp,
        body::MaybeJson,
        endpoint::{Wish, surface},
        patch::given,
    },
    model::Endpoint,
    systems::{
        data::Data,
        form::Refusals,
        home::Home,
        trial::{self, Sent, Trial},
        tries::Retries,
    },
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A webhook to make, or what to change of one: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookFields)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookIn {
    /// For people.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
    /// Where deliveries go.
    #[serde(default, deserialize_with = "given")]
    url: Option<String>,
    /// Event types; `event.*` is every tracked event, and `purchase_complete` the tracked event of that name.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_items = 1)]
    events: Option<Vec<String>>,
    /// Signs deliveries, as it is given. A new webhook without one gets one, which is shown in that answer only. Of a change,
    /// the new one: the old one signs no more.
    #[schema(min_length = 8, max_length = 256)]
    secret: Option<String>,
    /// Whether deliveries go out.
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Headers of its deliveries, replaced as a whole.
    headers: Option<BTreeMap<String, String>>,
    /// Of headers that are replaced, the names of those that stay although their values are not shown.
    hidden_headers: Option<Vec<String>>,
    /// When failed deliveries are tried again; null: as documented.
    #[serde(default)]
    #[schema(value_type = Option<Retries>)]
    retry_policy: Patch<Retries>,
    /// Which events trigger it, by paths into their data; null: all.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filters: Patch<Value>,
}

/// A webhook to be made.
type NewWebhook = New<WebhookIn>;

impl Needs for WebhookIn {
    const NEEDED: &'static [&'static str] = &["name", "url", "events"];
}

impl WebhookIn {
    fn wish(self) -> Wish {
        Wish {
            name: self.name,
            url: self.url,
            events: self.events.map(|events| events.into_iter().map(full_name).collect()),
            secret: self.secret,
            enabled: self.enabled,
            headers: self.headers,
            kept_headers: self.hidden_headers.unwrap_or_default(),
            retries: self.retry_policy.map(Retries::wished),
            filter: self.filters,
            ..Wish::default()
        }
    }
}

/// The event type that a name stands for: a bare one is that of a tracked event.
fn full_name(name: String) -> String {
    if name.contains(['.', ':']) || name == "*" { name } else { format!("{TRACKED}{name}") }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookOut {
    /// Identifier, `whk_…`.
    id: String,
    /// For people.
    name: String,
    /// Where deliveries go.
    url: String,
    /// Event types.
    events: Vec<String>,
    /// Whether deliveries go out.
    enabled: bool,
    /// Headers of its deliveries, without those that look like credentials.
    headers: BTreeMap<String, String>,
    /// Names of headers whose values are not shown.
    hidden_headers: Vec<String>,
    /// When failed deliveries are tried again.
    retry_policy: Retries,
    /// Which events trigger it; null: all.
    #[schema(value_type = Option<Object>)]
    filters: Option<Value>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    /// The signing secret that was made; in the answer that made it only.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn out(api: &Api, endpoint: Endpoint) -> Result<WebhookOut, Problem> {
    let (headers, hidden_headers) = surface::headers_of(api, &endpoint)?;
    let retry_policy = Retries::of(&surface::retry_policy(api, &endpoint)?);
    Ok(WebhookOut {
        id: id_text(endpoint.id),
        name: endpoint.name.unwrap_or_default(),
        url: endpoint.url,
        events: endpoint.event_types.unwrap_or_default(),
        enabled: endpoint.disabled.is_none(),
        headers,
        hidden_headers,
        retry_policy,
        filters: endpoint.filter.map(|filter| filter.as_json().clone()),
        created_at: Stamp(endpoint.created_at),
        updated_at: Stamp(endpoint.updated_at),
        secret: None,
    })
}

/// The organization's webhooks.
#[utoipa::path(
    get, path = "/v1/integrations/webhooks", operation_id = "listWebhooks", tag = "Ilara Webhooks",
    responses(Refusals, (status = 200, description = "The webhooks", body = Data<WebhookOut>))
)]
pub(super) async fn list(State(api): State<Shared>, home: Home) -> Result<axum::Json<Data<WebhookOut>>, Problem> {
    Data::shown(home.all(&api).await?, |endpoint| out(&api, endpoint))
}

/// Makes a webhook.
#[utoipa::path(
    post, path = "/v1/integrations/webhooks", operation_id = "createWebhook", tag = "Ilara Webhooks",
    request_body = NewWebhook,
    responses(Refusals, (status = 201, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    home: Home,
    idempotent: Idempotent,
    body: NewWebhook,
) -> Result<Response, Problem> {
    let shown = |endpoint, secret| Ok(WebhookOut { secret, ..out(&api, endpoint)? });
    home.create(&api, idempotent, (&body.bytes, body.value.wish()), shown).await
}

/// A webhook.
#[utoipa::path(
    get, path = "/v1/integrations/webhooks/{id}", operation_id = "getWebhook", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn get(State(api): State<Shared>, home: Home, Path(id): Path<String>) -> Result<axum::Json<WebhookOut>, Problem> {
    out(&api, home.one(&api, id_of(&id)).await?).map(axum::Json)
}

/// Changes a webhook: what is left out stays.
#[utoipa::path(
    patch, path = "/v1/integrations/webhooks/{id}", operation_id = "updateWebhook", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")), request_body = WebhookIn,
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn update(
    State(api): State<Shared>,
    home: Home,
    Path(id): Path<String>,
    body: Json<WebhookIn>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    out(&api, home.change(&api, id_of(&id), &body.value.wish()).await?).map(axum::Json)
}

/// Deletes a webhook. What has not been delivered to it is cancelled.
#[utoipa::path(
    delete, path = "/v1/integrations/webhooks/{id}", operation_id = "deleteWebhook", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")),
    responses(Refusals, (status = 204, description = "Deleted"))
)]
pub(super) async fn delete(State(api): State<Shared>, home: Home, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    home.delete(&api, id_of(&id)).await
}

/// Sends the webhook, and no other, an event, whatever its events and filters say. Its log shows what comes of it.
#[utoipa::path(
    post, path = "/v1/integrations/webhooks/{id}/test", operation_id = "testWebhook", tag = "Ilara Webhooks",
    params(("id" = String, Path, description = "The webhook's id, `whk_…`")), request_body = Option<Trial>,
    responses(Refusals, (status = 202, description = "The event", body = Sent))
)]
pub(super) async fn test(
    State(api): State<Shared>,
    home: Home,
    Path(id): Path<String>,
    body: MaybeJson<Trial>,
) -> Result<(StatusCode, axum::Json<Sent>), Problem> {
    let endpoint = home.one(&api, id_of(&id)).await?;
    let sent = trial::send(&api, &home, &endpoint, body.value).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(Sent { event_id: event_id(sent.id), event_type: sent.event_type.clone() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_that_of_a_tracked_event() {
        let full = |name: &str| full_name(name.to_owned());
        assert_eq!(
            (full("purchase_complete"), full("event.x"), full("player.created")),
            ("event.purchase_complete".into(), "event.x".into(), "player.created".into())
        );
        assert_eq!((full("*"), full("event.*"), full("category:game")), ("*".into(), "event.*".into(), "category:game".into()));
    }
}
