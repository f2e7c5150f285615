//! `…/url/rotate`: a receive URL that has become known is replaced.

use super::{
    secret::grace,
    store::{self, revise_with},
};
use crate::{
    api::{
        Base, Caller, Errors, Idempotent, Path, Problem, Shared, Stamp,
        body::{MaybeJson, json_text, to_text},
    },
    inbound::TOKEN_PURPOSE,
    model::Record,
    store::Change,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to replace a receive URL.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SourceUrlRotateIn {
    /// Seconds for which the old URL receives too. 0 ends all old URLs at once.
    #[schema(default = 86400, minimum = 0, maximum = 604_800)]
    grace_period_seconds: Option<u32>,
}

/// A receive URL.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceUrlOut {
    /// Where the third party is to post from now on.
    #[schema(format = "uri")]
    url: String,
    /// Until when the old URL receives; null when it receives no longer.
    #[schema(value_type = Option<String>, format = DateTime)]
    old_expires_at: Option<Stamp>,
}

/// Gives a source a new receive URL; the old one receives for a grace period, so that the sender can change over. The body
/// may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/source/{source_id}/url/rotate",
    operation_id = "v1.source.rotate-url",
    tag = "Source",
    params(
        ("source_id" = String, Path, description = "The source's id or uid"),
        ("idempotency-key" = Option<String>, Header, description = "The same key gives the same answer"),
    ),
    request_body = Option<SourceUrlRotateIn>,
    responses(Errors, (status = 200, description = "The new URL", body = SourceUrlOut))
)]
pub(super) async fn rotate(
    State(api): State<Shared>,
    (caller, base): (Caller, Base),
    mut idempotent: Idempotent,
    Path(id): Path<String>,
    MaybeJson { value: body, bytes }: MaybeJson<SourceUrlRotateIn>,
) -> Result<Response, Problem> {
    caller.write()?;
    if let Some(answer) = idempotent.begin(&api, &bytes).await? {
        return Ok(answer);
    }
    let grace = grace(body.grace_period_seconds)?;
    let forge = api.source_forge();
    let fresh = forge.token()?;
    let result = revise_with(&api, &caller, &id, |source| {
        forge.rotate((TOKEN_PURPOSE, &mut source.tokens), fresh.clone(), grace)?;
        source.updated_at = forge.now;
        let old = source.tokens.iter().rev().nth(1).and_then(|token| token.expires_at);
        let url = store::url(&api, &base, source)?.to_string();
        let answer = to_text(&SourceUrlOut { url, old_expires_at: old.map(Stamp) })?;
        let keyed = idempotent.keyed().map(|keyed| keyed.answered_sealed(&api, StatusCode::OK, &answer)).transpose()?;
        Ok((answer, keyed.map(|kept| Change::Insert(Record::Answered(kept))).into_iter().collect()))
    });
    let result = result.await.map(|answer| json_text(StatusCode::OK, answer));
    idempotent.settle(&api, result).await
}
