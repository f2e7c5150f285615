//! `…/secret` and `…/secret/rotate`.

use super::{
    rules,
    seal::Text,
    store::{self, check, compiled, revise_with},
};
use crate::{
    api::{
        Caller, Errors, Idempotent, Path, Problem, Shared, Stamp,
        body::{MaybeJson, json_text, to_text},
        rules::Check,
    },
    inbound::SECRET_PURPOSE,
    model::Record,
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use utoipa::ToSchema;

/// Seconds for which what was replaced stays good when nothing is said: a day.
pub(super) const DEFAULT_GRACE_S: u32 = 86_400;
/// Seconds for which what was replaced may stay good: a week.
pub(super) const MAX_GRACE_S: u32 = 604_800;

/// A secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SourceSecretEntry {
    /// Its text.
    secret: String,
    /// When it was set.
    #[schema(value_type = String, format = DateTime)]
    created_at: Stamp,
    /// From when on it verifies nothing. Null: the current one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Stamp>,
}

/// A source's secrets and settings.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceSecretOut {
    /// The current secret; null when there is none.
    secret: Option<String>,
    /// All live ones, the current one last.
    secrets: Vec<SourceSecretEntry>,
    /// The settings.
    settings: BTreeMap<String, String>,
}

/// What to put in a secret's place.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceSecretRotateIn {
    /// The new secret. Absent: one is made, where a scheme lets the receiver choose.
    secret: Option<String>,
    /// Seconds for which the old secret verifies too. 0 ends all old secrets at once.
    #[schema(default = 86400, minimum = 0, maximum = 604_800)]
    grace_period_seconds: Option<u32>,
}

/// The grace period that a request asks for.
///
/// # Errors
/// It is too long.
pub(super) fn grace(asked: Option<u32>) -> Result<Duration, Problem> {
    let seconds = asked.unwrap_or(DEFAULT_GRACE_S);
    let rule = || Problem::field(&["body", "gracePeriodSeconds"], "range", format!("It is from 0 to {MAX_GRACE_S} seconds."));
    if seconds > MAX_GRACE_S { Err(rule()) } else { Ok(Duration::from_secs(seconds.into())) }
}

/// A source's live secrets, and its settings.
#[utoipa::path(
    get,
    path = "/api/v1/source/{source_id}/secret",
    operation_id = "v1.source.get-secret",
    tag = "Source",
    params(("source_id" = String, Path, description = "The source's id or uid")),
    responses(Errors, (status = 200, description = "The secrets", body = SourceSecretOut))
)]
pub(super) async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Path(source): Path<String>,
) -> Result<axum::Json<SourceSecretOut>, Problem> {
    caller.write()?;
    let source = store::find(&api, &caller, &source).await?;
    let forge = api.source_forge();
    let settings = source.settings.iter().map(|(name, sealed)| Ok((name.clone(), forge.setting(sealed)?)));
    let settings = settings.collect::<Result<BTreeMap<_, _>, Problem>>()?;
    let mut secrets = Vec::with_capacity(source.secrets.len());
    for secret in source.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| end > forge.now)) {
        secrets.push(SourceSecretEntry {
            secret: forge.open(SECRET_PURPOSE, secret)?.to_string(),
            created_at: Stamp(secret.created_at),
            expires_at: secret.expires_at.map(Stamp),
        });
    }
    let current = secrets.iter().rev().find(|entry| entry.expires_at.is_none()).map(|entry| entry.secret.clone());
    Ok(axum::Json(SourceSecretOut { secret: current, secrets, settings }))
}

/// A secret that was put in place.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SourceSecretRotatedOut {
    /// The current secret.
    secret: String,
}

/// Puts a new secret in place; the old one verifies for a grace period, so that the sender can change over. The body
/// may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/secret/rotate",
    operation_id = "v1.source.rotate-secret",
    tag = "Source",
    params(
        ("source_id" = String, Path, description = "The source's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = Option<SourceSecretRotateIn>,
    responses(Errors, (status = 200, description = "The new secret", body = SourceSecretRotatedOut))
)]
pub(super) async fn rotate(
    State(api): State<Shared>,
    caller: Caller,
    mut idempotent: Idempotent,
    Path(id): Path<String>,
    body: MaybeJson<SourceSecretRotateIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &body.bytes).await? {
        return Ok(answer);
    }
    let grace = grace(body.value.grace_period_seconds)?;
    let given = body.value.secret.map(Text::new);
    let mut faults = Check::new();
    given.iter().for_each(|text| rules::secrets(&mut faults, "secret", &[text.to_string()]));
    faults.done()?;
    let forge = api.source_forge();
    let result = revise_with(&api, &caller, &id, |source| {
        let before = source.clone();
        let text = match &given {
            Some(text) => text.clone(),
            None => {
                let compiled = compiled(&api, source)?;
                forge.make(&compiled.rules, &compiled.settings)?
            }
        };
        let fresh = forge.seal(SECRET_PURPOSE, &text)?;
        forge.rotate((SECRET_PURPOSE, &mut source.secrets), fresh, grace)?;
        source.awaits_secret = false;
        if *source != before {
            source.updated_at = forge.now;
            check(&api, source)?;
        }
        let answer = to_text(&SourceSecretRotatedOut { secret: text.to_string() })?;
        let keyed = idempotent.keyed().map(|keyed| keyed.answered_sealed(&api, StatusCode::OK, &answer)).transpose()?;
        Ok((answer, keyed.map(|kept| Change::Insert(Record::Answered(kept))).into_iter().collect()))
    });
    let result = result.await.map(|answer| json_text(StatusCode::OK, answer));
    idempotent.settle(&api, result).await
}
