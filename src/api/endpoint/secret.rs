//! `…/secret` and `…/secret/rotate`.

use super::{
    secrets::{kind, shown},
    shape::SecretType,
    store,
};
use crate::{
    api::{
        Caller, Errors, Idempotent, Path, Problem, Shared,
        body::{MaybeJson, json_text, to_text},
        revise::revise_with,
    },
    model::{Address, AppId, Kind, Record},
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Seconds for which an old secret signs on when nothing is said: a day.
const DEFAULT_GRACE_S: u32 = 86_400;
/// Seconds for which an old secret may sign on: a week.
const MAX_GRACE_S: u32 = 604_800;

/// A signing secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::api) struct EndpointSecretOut {
    /// What receivers verify with: the secret (`whsec_…`), or the public key (`whpk_…`) where it is an Ed25519 key.
    pub(in crate::api) key: String,
}

/// What to put in a signing secret's place.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointSecretRotateIn {
    /// The new secret: base64, after `whsec_` or `whsk_`. Absent: one of the same kind is made.
    key: Option<String>,
    /// Seconds for which the old secret signs on, beside the new one. 0 ends all old secrets at once.
    #[schema(default = 86400, minimum = 0, maximum = 604_800)]
    grace_period_seconds: Option<u32>,
    /// The kind of secret to make, when it is to change. Not in the compatible contract.
    secret_type: Option<SecretType>,
}

/// An endpoint's signing secret.
#[utoipa::path(
    get,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret",
    operation_id = "v1.endpoint.get-secret",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    responses(Errors, (status = 200, description = "The secret", body = EndpointSecretOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
) -> Result<axum::Json<EndpointSecretOut>, Problem> {
    // Whoever has the secret can sign: that is more than to look.
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    current(&api, app, &endpoint).await.map(axum::Json)
}

/// The current secret of an endpoint, as it is shown.
///
/// # Errors
/// There is no such endpoint; its secret does not open; the store is away.
pub(in crate::api) async fn current(api: &Shared, app: AppId, id_or_uid: &str) -> Result<EndpointSecretOut, Problem> {
    let endpoint = store::find(api, app, id_or_uid).await?;
    Ok(EndpointSecretOut { key: shown(&api.forge().current(&endpoint)?) })
}

/// Puts a new secret in place; the old one signs on for a grace period, so that receivers can change over.
// The contract answers 204 without a body. Current clients read `{"key"}` from a 200, older ones do not look at the
// body and take any 2xx: 200 serves both.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    operation_id = "v1.endpoint.rotate-secret",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = Option<EndpointSecretRotateIn>,
    responses(Errors, (status = 200, description = "The new secret", body = EndpointSecretOut))
)]
pub(super) async fn rotate(
    State(api): State<Shared>,
    caller: Caller,
    idempotent: Idempotent,
    Path((app, endpoint)): Path<(String, String)>,
    body: MaybeJson<EndpointSecretRotateIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    let app = caller.application(&api, &app).await?.application.id;
    rotated(&api, app, &endpoint, idempotent, body).await
}

/// Rotates the secret of an endpoint.
///
/// # Errors
/// The key is not one, the grace period is too long, too many secrets are live; there is no such endpoint; the store is
/// away.
pub(in crate::api) async fn rotated(
    api: &Shared,
    app: AppId,
    id_or_uid: &str,
    mut idempotent: Idempotent,
    MaybeJson { value: body, bytes }: MaybeJson<EndpointSecretRotateIn>,
) -> Result<Response, Problem> {
    if let Some(answer) = idempotent.begin(api, &bytes).await? {
        return Ok(answer);
    }
    let grace = body.grace_period_seconds.unwrap_or(DEFAULT_GRACE_S);
    if grace > MAX_GRACE_S {
        let rule = format!("From 0 to {MAX_GRACE_S} seconds.");
        return Err(Problem::field(&["body", "gracePeriodSeconds"], "range", rule));
    }
    let forge = api.forge();
    let address = Address::new(Kind::Endpoint, app, id_or_uid);
    let routes = api.engine.routing.by_id(app).ok_or_else(|| Problem::not_found("application"))?;
    let result = revise_with(&api.engine, &address, |record| {
        let Record::Endpoint(endpoint) = record else { return Err(Problem::not_found("endpoint")) };
        let kind = body.secret_type.unwrap_or(kind(&forge.current(endpoint)?));
        let profile = api.engine.routing.profile_of(&routes.application, endpoint);
        let profile = profile.map_err(|error| Problem::conflict(error.to_string()))?;
        let text = forge.text("key", body.key.as_deref(), kind, &profile)?;
        forge.rotate(endpoint, &text, Duration::from_secs(grace.into()))?;
        let answer = to_text(&EndpointSecretOut { key: shown(&text) })?;
        let keyed = idempotent.keyed().map(|keyed| keyed.answered_sealed(api, StatusCode::OK, &answer)).transpose()?;
        Ok((answer, keyed.map(|kept| Change::Insert(Record::Answered(kept))).into_iter().collect()))
    });
    let result = match result.await {
        Ok(answer) => answer.map(|answer| json_text(StatusCode::OK, answer)).ok_or_else(|| Problem::not_found("endpoint")),
        Err(problem) => Err(problem),
    };
    idempotent.settle(api, result).await
}

/// Puts a new secret of the same kind in place; the old one signs on for a day. Answers with the new one.
///
/// # Errors
/// As [`rotated`].
pub(crate) async fn rotated_by_default(
    api: &Shared,
    app: AppId,
    id_or_uid: &str,
    idempotent: Idempotent,
) -> Result<Response, Problem> {
    let body = MaybeJson { value: EndpointSecretRotateIn::default(), bytes: Bytes::new() };
    rotated(api, app, id_or_uid, idempotent, body).await
}
