//! Creating, reading, changing and deleting webhooks, and their secrets.

use super::{
    form::Refusals,
    id_of, receive_url,
    shape::{CUSTOM, WebhookIn, WebhookOut, WebhookPatch},
};
use crate::{
    api::{
        Api, Base, Idempotent, Json, Patch, Path, Problem, Shared, Stamp,
        endpoint::surface::{self as endpoints, Wanted},
        source::surface as sources,
    },
    model::{Address, Endpoint, EndpointId, Record, Source, SourceId, SourceScheme, System},
    outbound::Target,
    routing::AppRoutes,
    store::{Change, Window},
    systems::{KeyCaller, catalogue, home, options::Told, uuid},
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The longest body that is received, in bytes.
const MAX_BODY: u32 = 256 * 1024;
/// How third parties sign unless they have a way of their own.
const SCHEME: &str = r#"{
    "algorithm": "hmac-sha256",
    "signature": {"in": "header:X-Webhook-Signature", "prefix": "sha256=", "encoding": "hex"},
    "id": ["header:X-Webhook-Id", "header:webhook-id", "body:id"],
    "type": ["header:X-Webhook-Event", "body:type", "body:event"]
}"#;
/// The provider whose row is that of Standard Webhooks.
const STANDARD: &str = "standard-webhooks";

/// The ways in which a webhook's requests may be signed: that of the provider which its source names, ours, and that of
/// Standard Webhooks.
fn schemes(label: Option<&str>) -> Vec<SourceScheme> {
    let named = label.map(str::to_ascii_lowercase).filter(|name| name != CUSTOM);
    let known = named.filter(|name| postrider_signature::provider(name).is_some()).map(SourceScheme::Provider);
    let ours = [SourceScheme::Custom(SCHEME.to_owned()), SourceScheme::Provider(STANDARD.to_owned())];
    known.into_iter().chain(ours).collect()
}

/// The endpoint that forwards what a source receives, with its revision; somebody may have deleted it as an endpoint.
async fn forwarding(api: &Api, source: &Source) -> Result<Option<(Endpoint, u64)>, Problem> {
    match source.forward {
        Some(forward) => endpoints::stored(api, source.app, forward).await,
        None => Ok(None),
    }
}

/// A webhook as it is shown.
async fn shown(api: &Api, base: &Base, source: Source) -> Result<WebhookOut, Problem> {
    let made = source.created_at;
    let receive_url = receive_url(base, source.id);
    let Some((endpoint, _)) = forwarding(api, &source).await? else { return Ok(WebhookOut::new(source, receive_url, None)) };
    let forward = endpoint.id;
    let now = api.engine.clock.now();
    let stats = api.engine.store.stats(forward, made, now.plus(std::time::Duration::from_secs(60))).await?;
    let newest = Window { above: 0, below: u128::MAX, newest_first: true, limit: 1 };
    let last = api.engine.store.attempts(forward, newest).await?;
    Ok(WebhookOut {
        delivery_count: stats.delivered + stats.exhausted + stats.pending,
        last_delivery_at: last.first().map(|attempt| Stamp(attempt.id.time())),
        ..WebhookOut::new(source, receive_url, Some(endpoint.url))
    })
}

/// The outbound URL that a request asks for; `None`: the receive URL, which is nowhere.
///
/// # Errors
/// It is not a public HTTP(S) URL.
async fn outbound(api: &Api, asked: Option<&str>, own: &str) -> Result<Option<String>, Problem> {
    let Some(url) = asked.map(str::trim).filter(|url| !url.is_empty() && *url != own) else { return Ok(None) };
    let fault = |rule: String| Problem::field(&["body", "url"], "url", rule);
    let target = Target::parse(url).map_err(|error| fault(error.to_string()))?;
    match api.engine.outbound.forbidden(&target).await {
        Some(cause) => Err(fault(format!("It must be a public HTTP(S) URL. {}", cause.sentence()))),
        None => Ok(Some(url.to_owned())),
    }
}

/// A new endpoint that forwards what a source receives.
async fn forward(
    api: &Api,
    app: &AppRoutes,
    (told, source, secret): (&Told, SourceId, &str),
    url: String,
) -> Result<Endpoint, Problem> {
    let wanted = Wanted {
        url: Some(url),
        channels: Some(Some(vec![source.to_string()])),
        secret: Some(secret.to_owned()),
        ..Wanted::default()
    };
    endpoints::make(api, app, (System::Alumia, told.0.profile(System::Alumia)), wanted).await
}

/// List webhooks, the newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "Alumia", summary = "List webhooks",
    responses(Refusals, (status = 200, description = "The webhooks", body = [WebhookOut]))
)]
pub(super) async fn list(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    base: Base,
) -> Result<axum::Json<Vec<WebhookOut>>, Problem> {
    let mut all = Vec::new();
    for source in sources::of(&api, caller.org, System::Alumia).await? {
        all.push(shown(&api, &base, source).await?);
    }
    Ok(axum::Json(all))
}

/// Create a webhook.
///
/// The answer has the secret in plain text: it is shown this once.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "Alumia", summary = "Create a webhook", request_body = WebhookIn,
    responses(Refusals, (status = 201, description = "Created", body = WebhookOut))
)]
pub(super) async fn create(
    State(api): State<Shared>,
    (caller, told): (KeyCaller, Told),
    base: Base,
    mut idempotent: Idempotent,
    body: Json<WebhookIn>,
) -> Result<Response, Problem> {
    let caller = caller.0;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let form = body.value.into_patch();
    form.check()?;
    catalogue::on_first_use(&api, caller.org, super::CATALOGUE).await?;
    let app = home(&api, caller.org).await?;
    let (mut source, secret) = sources::make(&api, (System::Alumia, caller.org, app.application.id), schemes(None), MAX_BODY)?;
    source.id = SourceId(uuid::marked(source.id.0));
    form.apply(&mut source)?;
    let schemes = schemes(source.label.as_deref());
    sources::set_schemes(&api, &mut source, schemes)?;
    let mut changes = Vec::with_capacity(2);
    let url = outbound(&api, form.url.value().map(String::as_str), &receive_url(&base, source.id)).await?;
    if let Some(url) = &url {
        let endpoint = forward(&api, &app, (&told, source.id, &secret), url.clone()).await?;
        source.forward = Some(endpoint.id);
        changes.push(Change::Insert(Record::Endpoint(endpoint)));
    }
    let out = WebhookOut { secret: Some(secret), ..WebhookOut::new(source.clone(), receive_url(&base, source.id), url) };
    changes.insert(0, Change::Insert(Record::Source(source)));
    idempotent.commit_sealed(&api, changes, StatusCode::CREATED, &out).await
}

/// Get a webhook.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Get a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The webhook", body = WebhookOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    base: Base,
    Path(id): Path<String>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let source = sources::one(&api, caller.org, (System::Alumia, id_of(&id)?)).await?;
    shown(&api, &base, source).await.map(axum::Json)
}

/// Update a webhook. What is left out stays; a `url` that is null or empty resets it to the receive URL.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Update a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")), request_body = WebhookPatch,
    responses(Refusals, (status = 200, description = "Updated", body = WebhookOut))
)]
pub(super) async fn update(
    State(api): State<Shared>,
    (caller, told): (KeyCaller, Told),
    base: Base,
    Path(id): Path<String>,
    body: Json<WebhookPatch>,
) -> Result<axum::Json<WebhookOut>, Problem> {
    let (org, id, form) = (caller.0.org, id_of(&id)?, body.value);
    form.check()?;
    let known = sources::one(&api, org, (System::Alumia, id)).await?;
    let (forward, changes) = redirected(&api, &told, &known, (&form.url, &receive_url(&base, id))).await?;
    let now = api.engine.clock.now();
    let changed = sources::revised(&api, org, (System::Alumia, id), |source| {
        let before = source.clone();
        form.apply(source)?;
        if source.label != before.label {
            let schemes = schemes(source.label.as_deref());
            sources::set_schemes(&api, source, schemes)?;
        }
        source.forward = forward;
        if *source != before || !changes.is_empty() {
            source.updated_at = now;
        }
        Ok((source.clone(), changes.clone()))
    });
    shown(&api, &base, changed.await?).await.map(axum::Json)
}

/// The endpoint that a webhook forwards with after a change of its URL, and what is to be changed for that.
async fn redirected(
    api: &Api,
    told: &Told,
    source: &Source,
    (asked, own): (&Patch<String>, &str),
) -> Result<(Option<EndpointId>, Vec<Change>), Problem> {
    if *asked == Patch::Absent {
        return Ok((source.forward, Vec::new()));
    }
    match (outbound(api, asked.value().map(String::as_str), own).await?, forwarding(api, source).await?) {
        (None, None) => Ok((None, Vec::new())),
        (None, Some((old, _))) => Ok((None, vec![Change::Delete(Address::endpoint(source.app, old.id))])),
        (Some(url), Some((endpoint, revision))) => {
            let moved = Endpoint { url, updated_at: api.engine.clock.now(), ..endpoint };
            Ok((Some(moved.id), vec![Change::Replace(Record::Endpoint(moved), revision)]))
        }
        (Some(url), None) => {
            let app = home(api, source.org).await?;
            let secret = sources::secret(api, source)?;
            let endpoint = forward(api, &app, (told, source.id, &secret), url).await?;
            Ok((Some(endpoint.id), vec![Change::Insert(Record::Endpoint(endpoint))]))
        }
    }
}

/// What a deletion answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedOut {
    /// That it is gone.
    deleted: bool,
}

/// Delete a webhook for good. Its URL answers nobody any more, and nothing is forwarded, retries that are due included.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{webhook_id}", tag = "Alumia", summary = "Delete a webhook",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "Deleted", body = DeletedOut))
)]
pub(super) async fn delete(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
) -> Result<axum::Json<DeletedOut>, Problem> {
    let source = sources::one(&api, caller.org, (System::Alumia, id_of(&id)?)).await?;
    let forward = source.forward.map(|endpoint| Change::Delete(Address::endpoint(source.app, endpoint)));
    let gone = Change::Delete(Address::source(source.org, source.id));
    api.engine.change(std::iter::once(gone).chain(forward).collect()).await?;
    Ok(axum::Json(DeletedOut { deleted: true }))
}

/// A secret that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RotatedOut {
    /// The webhook.
    #[schema(format = "uuid")]
    id: String,
    /// The new secret in plain text. Shown this once.
    secret: String,
}

/// Rotate the signing secret. What is signed with the old one is refused from now on.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/rotate", tag = "Alumia", summary = "Rotate the signing secret",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(Refusals, (status = 200, description = "The new secret", body = RotatedOut))
)]
pub(super) async fn rotate(
    State(api): State<Shared>,
    KeyCaller(caller): KeyCaller,
    Path(id): Path<String>,
) -> Result<axum::Json<RotatedOut>, Problem> {
    let id = id_of(&id)?;
    let known = sources::one(&api, caller.org, (System::Alumia, id)).await?;
    let endpoint = forwarding(&api, &known).await?;
    let secret = sources::revised(&api, caller.org, (System::Alumia, id), |source| {
        let secret = sources::rotate(&api, source)?;
        let resealed = endpoint.clone().map(|(endpoint, revision)| {
            Ok::<_, Problem>(Change::Replace(Record::Endpoint(endpoints::secured(&api, endpoint, &secret)?), revision))
        });
        Ok((secret, resealed.transpose()?.into_iter().collect()))
    });
    Ok(axum::Json(RotatedOut { id: uuid::text(id.0), secret: secret.await? }))
}
