//! Creating, reading, changing and deleting webhooks, and their secrets.

use super::id_of;
use crate::{
    api::{
        Idempotent, Json, Needs, New, Patch, Path, Problem, Stamp,
        patch::given,
        rules::Check,
        source::receivers::{CUSTOM, Forwarded, Receivers, SourceWish, forwarded},
    },
    model::{Closed, Source},
    systems::{
        form::Refusals,
        received::{DeletedOut, Hooks, Listed, RotatedOut},
        uuid,
    },
};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name, in characters.
const MAX_NAME: usize = 120;
/// The longest source, in characters.
const MAX_SOURCE: usize = 100;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2000;

/// A webhook to be created, or changes to one: what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookFields)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookIn {
    /// For people.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 120, example = "Stripe events")]
    name: Option<String>,
    /// Where events are forwarded to: public HTTP(S). Null or empty: the webhook's own receive URL, which is nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    url: Patch<String>,
    /// Event types that are routed; empty or null: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["payment_intent.succeeded"]))]
    events: Patch<Vec<String>>,
    /// Who sends: a known provider's name (its signature is taken too), or any other word; null: `custom`.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 100, default = "custom")]
    source: Patch<String>,
    /// For people, at more length; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000)]
    description: Patch<String>,
    /// Whether it receives; `status` keeps in step.
    enabled: Option<bool>,
    /// `active`, `paused` or `disabled`; `enabled` keeps in step.
    #[schema(example = "paused")]
    status: Option<String>,
}

/// A webhook to be made.
type NewWebhook = New<WebhookIn>;

impl Needs for WebhookIn {
    const NEEDED: &'static [&'static str] = &["name"];
}

impl WebhookIn {
    /// # Errors
    /// 400 naming the field.
    fn wish(self) -> Result<SourceWish, Problem> {
        let mut check = Check::new();
        let mut text = |field, text: Option<&String>, least, most| {
            text.into_iter().for_each(|text| check.characters(&["body", field], text.trim(), least..=most));
        };
        text("source", self.source.value(), 0, MAX_SOURCE);
        text("description", self.description.value(), 0, MAX_DESCRIPTION);
        self.name.iter().for_each(|name| check.title(&["body", "name"], name.trim(), 1..=MAX_NAME));
        check.done()?;
        let wish = SourceWish {
            name: self.name,
            description: self.description,
            label: self.source,
            listed: self.events,
            forward: self.url,
            ..SourceWish::default()
        };
        wish.opened(self.status.as_deref(), self.enabled)
    }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookOut {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// For people.
    name: String,
    /// Where events are forwarded to.
    url: String,
    /// Who sends.
    source: String,
    /// For people, at more length.
    description: Option<String>,
    /// Event types that are routed; empty: all.
    events: Vec<String>,
    /// `active`, `paused` or `disabled`.
    status: &'static str,
    /// Whether it receives.
    enabled: bool,
    /// Events that were forwarded, or wait for it.
    delivery_count: u64,
    /// When the last attempt to forward one began.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_delivery_at: Option<Stamp>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Stamp,
    /// Where third parties post to.
    receive_url: String,
    /// What third parties sign with. Shown when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

fn out(hooks: &Receivers, source: Source, forwarded: Forwarded) -> WebhookOut {
    let receive_url = hooks.url(source.id);
    WebhookOut {
        id: uuid::text(source.id.0),
        name: source.name,
        url: forwarded.url.unwrap_or_else(|| receive_url.clone()),
        source: source.label.unwrap_or_else(|| CUSTOM.to_owned()),
        description: source.description,
        events: source.listed,
        status: source.closed.map_or("active", Closed::name),
        enabled: source.closed.is_none(),
        delivery_count: forwarded.count,
        last_delivery_at: forwarded.last.map(Stamp),
        created_at: Stamp(source.created_at),
        updated_at: Stamp(source.updated_at),
        receive_url,
        secret: None,
    }
}

async fn shown(hooks: &Receivers, source: Source) -> Result<WebhookOut, Problem> {
    let forwarded = forwarded(&hooks.api, &source).await?;
    Ok(out(hooks, source, forwarded))
}

/// List webhooks, the newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "Alumia", summary = "List webhooks",
    responses(Refusals, (status = 200, description = "The webhooks", body = [WebhookOut]))
)]
pub(super) async fn list(Hooks(hooks): Hooks) -> Listed<WebhookOut> {
    let mut all = Vec::new();
    for source in hooks.all().await? {
        all.push(shown(&hooks, source).await?);
    }
    Ok(axum::Json(all))
}

/// Create a webhook.
///
/// The answer has the secret in plain text: it is shown this once.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "Alumia", summary = "Create a webhook", request_body = NewWebhook,
    responses(Refusals, (status = 201, description = "Created", body = WebhookOut))
)]
pub(super) async fn create(Hooks(hooks): Hooks, idempotent: Idempotent, body: NewWebhook) -> Result<Response, Problem> {
    let wish = body.value.wish()?;
    let shown = |source, forwarded, secret| WebhookOut { secret: Some(secret), ..out(&hooks, source, forwarded) };
    hooks.create(idempotent, (&body.bytes, &wish), shown).await
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Get a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn get(Hooks(hooks): Hooks, Path(id): Path<String>) -> Result<axum::Json<WebhookOut>, Problem> {
    shown(&hooks, hooks.one(id_of(&id)).await?).await.map(axum::Json)
}

/// Update a webhook. What is left out stays; a `url` that is null or empty resets it to the receive URL.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Update a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")), request_body = WebhookIn,
    responses(Refusals, (status = 200, description = "Updated", body = WebhookOut))
)]
pub(super) async fn update(
    Hooks(hooks): Hooks,
    Path(id): Path<String>,
    body: Json<WebhookIn>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    shown(&hooks, hooks.change(id_of(&id), &body.value.wish()?).await?).await.map(axum::Json)
}

/// Delete a webhook for good. Its URL answers nobody any more, and nothing is forwarded, retries that are due included.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Delete a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "Deleted", body = DeletedOut))
)]
pub(super) async fn delete(Hooks(hooks): Hooks, Path(id): Path<String>) -> Result<axum::Json<DeletedOut>, Problem> {
    hooks.delete(id_of(&id)).await?;
    Ok(axum::Json(DeletedOut { deleted: true }))
}

/// Rotate the signing secret. What is signed with the old one is refused from now on.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/rotate", tag = "Alumia", summary = "Rotate the signing secret",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The new secret", body = RotatedOut))
)]
pub(super) async fn rotate(Hooks(hooks): Hooks, Path(id): Path<String>) -> Result<axum::Json<RotatedOut>, Problem> {
    let (id, secret) = hooks.rotate(id_of(&id)).await?;
    Ok(axum::Json(RotatedOut { id: uuid::text(id.0), secret }))
}
