//! Where third parties post, and how that is tried out.

use super::{MAX_BODY, id_of};
use crate::{
    api::{
        Base, Json, Path, Problem, Query, Shared,
        body::MaybeJson,
        receive::taken,
        source::surface::{self as sources, Standing},
    },
    model::System,
    systems::{
        form::{ReceiveRefusals, Refusals},
        home::home,
        options::Told,
        received::{
            self, DeliveryOut, EventOut, Hooks, Listed, ReceivedOut, Shown, TestIn, TestOut, VerifyIn, VerifyOut, answered, tried,
            verified,
        },
        uuid,
    },
};
use axum::{
    extract::{Request, State},
    response::Response,
};

/// The uid of Linear's source.
const LINEAR_UID: &str = "alumia.linear";

/// Receive an event. Public: who may send is told by the signature (`X-Webhook-Signature: sha256=<hex HMAC-SHA256 of the
/// body>`, the headers of Standard Webhooks, or those of the provider that the webhook's source names). 2xx once it is durable.
#[utoipa::path(
    post, path = "/api/v1/webhooks/receive/{webhook_id}", tag = "Alumia", summary = "Receive an event", security(()),
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses(ReceiveRefusals, (status = 200, description = "It is durable", body = ReceivedOut))
)]
pub(super) async fn receive(
    State(api): State<Shared>,
    Path(id): Path<String>,
    Base(base): Base,
    request: Request,
) -> Result<Response, Problem> {
    let source = id_of(&id).and_then(|id| api.inbound.sources.by_id(id));
    let source = source.filter(|source| source.source.system == Some(System::Alumia));
    let source = source.ok_or_else(|| Problem::not_found("source"))?;
    let (head, body) = taken(&api, base, request);
    Ok(answered(api.inbound.answer_for(&source, head, body).await))
}

/// Receive an event from Linear, signed with the secret that is configured.
#[utoipa::path(
    post, path = "/api/v1/webhooks/linear", tag = "Alumia", summary = "Receive an event from Linear", security(()),
    responses(ReceiveRefusals, (status = 200, description = "It is durable", body = ReceivedOut))
)]
pub(super) async fn linear(State(api): State<Shared>, told: Told, Base(base): Base, request: Request) -> Result<Response, Problem> {
    let Some(secret) = &told.0.linear_secret else { return Err(Problem::not_found("receiver: no secret is configured for it")) };
    let org = api.options.first_org;
    let app = home(&api, org).await?.application.id;
    let (name, provider) = ("Linear", "linear");
    let wanted = Standing { uid: LINEAR_UID, name, provider, secret, max_body: MAX_BODY, id: uuid::marked };
    let id = sources::standing(&api, (System::Alumia, org, app), wanted).await?;
    let source = api.inbound.sources.by_id(id).ok_or(Problem::Unavailable)?;
    let (head, body) = taken(&api, base, request);
    Ok(answered(api.inbound.answer_for(&source, head, body).await))
}

/// Verify a signed payload without receiving it.
#[utoipa::path(
    post, path = "/api/v1/webhooks/verify", tag = "Alumia", summary = "Verify a signed payload", request_body = VerifyIn,
    responses(Refusals, (status = 200, description = "The judgement", body = VerifyOut))
)]
pub(super) async fn verify(Hooks(hooks): Hooks, body: Json<VerifyIn>) -> Result<axum::Json<VerifyOut>, Problem> {
    let source = hooks.one(id_of(&body.value.webhook_id)).await?;
    verified(&hooks, &source, body.value)
}

/// Send a synthetic event, signed with the webhook's secret: it takes the path of any other.
#[utoipa::path(
    post, path = "/api/v1/webhooks/test", tag = "Alumia", summary = "Send a synthetic event", request_body = Option<TestIn>,
    responses(Refusals, (status = 200, description = "What became of it", body = TestOut))
)]
pub(super) async fn test(Hooks(hooks): Hooks, body: MaybeJson<TestIn>) -> Result<axum::Json<TestOut>, Problem> {
    let source = match &body.value.webhook_id {
        Some(id) => hooks.one(id_of(id)).await?,
        None => hooks.newest_open().await?,
    };
    tried(&hooks, &source, body.value).await
}

/// List a webhook's recorded events, the newest first, refused requests among them.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}/events", tag = "Alumia", summary = "List a webhook's events",
    params(("webhook_id" = String, Path, description = "The webhook's id"), Shown),
    responses(Refusals, (status = 200, description = "The events", body = [EventOut]))
)]
pub(super) async fn events(Hooks(hooks): Hooks, Path(id): Path<String>, Query(shown): Query<Shown>) -> Listed<EventOut> {
    received::events(&hooks, &[hooks.one(id_of(&id)).await?], &shown).await
}

/// Recent events across all webhooks of the organization, each with its webhook's name.
#[utoipa::path(
    get, path = "/api/v1/webhooks/events", tag = "Alumia", summary = "Recent events across all webhooks", params(Shown),
    responses(Refusals, (status = 200, description = "The events", body = [EventOut]))
)]
pub(super) async fn all(Hooks(hooks): Hooks, Query(shown): Query<Shown>) -> Listed<EventOut> {
    received::events(&hooks, &hooks.all().await?, &shown).await
}

/// List the attempts to forward a webhook's events, the newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}/deliveries", tag = "Alumia", summary = "List a webhook's outbound attempts",
    params(("webhook_id" = String, Path, description = "The webhook's id"), Shown),
    responses(Refusals, (status = 200, description = "The attempts", body = [DeliveryOut]))
)]
pub(super) async fn deliveries(Hooks(hooks): Hooks, Path(id): Path<String>, Query(shown): Query<Shown>) -> Listed<DeliveryOut> {
    received::deliveries(&hooks, &hooks.one(id_of(&id)).await?, &shown).await
}
