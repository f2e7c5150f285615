//! Previews: the request that a message would become, made by the code that sends.

use super::worn::{named_or_given, unwearable};
use crate::{
    api::{
        Api, Caller, Errors, Json, Path, Problem, Shared,
        body::MaybeJson,
        endpoint::{SecretType, find},
        message::labels,
    },
    flow::signing,
    model::{AppId, Application, Endpoint, EndpointId, Message, Metadata, MsgId, OrgId},
    outbound::OutboundRequest,
    routing::{AppRoutes, Route},
};
use axum::extract::State;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// The URL of a preview that names none.
const URL: &str = "https://example.com/webhook";
/// The event type of a preview that names none.
const EVENT_TYPE: &str = "invoice.paid";
/// The payload of a preview that brings none.
const PAYLOAD: &[u8] = br#"{"id":"inv_1","amount":4200}"#;
/// Stands for a value that may be a credential.
const HIDDEN: &str = "(hidden)";

/// A message that is not sent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewMessage {
    /// Name of its event type.
    #[schema(default = "invoice.paid")]
    event_type: Option<String>,
    /// Its payload.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// The producer's own id.
    event_id: Option<String>,
    /// The number of the attempt.
    #[schema(default = 1, minimum = 1)]
    attempt: Option<u32>,
}

/// A profile to try, on a message that is not sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfilePreviewIn {
    /// The name of a profile, or one in full.
    #[schema(value_type = Object)]
    profile: serde_json::Value,
    /// Where it would go.
    #[schema(default = "https://example.com/webhook")]
    url: Option<String>,
    /// The secret that signs; one is made if it is absent.
    secret: Option<String>,
    /// The message.
    message: Option<PreviewMessage>,
}

/// The request that a message would become.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewOut {
    /// The profile by which it is made.
    profile: String,
    /// The method.
    method: String,
    /// The URL.
    url: String,
    /// The headers; the values of custom headers, which may be credentials, are hidden.
    headers: BTreeMap<String, String>,
    /// The body.
    body: String,
    /// The secret that signed, where the preview was not of an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What a message would look like with a profile. Nothing is sent or kept.
#[utoipa::path(
    post,
    path = "/api/v1/profile/preview",
    operation_id = "v1.profile.preview",
    tag = "Profile",
    request_body = ProfilePreviewIn,
    responses(Errors, (status = 200, description = "The request", body = PreviewOut))
)]
pub(super) async fn preview(
    State(api): State<Shared>,
    caller: Caller,
    body: Json<ProfilePreviewIn>,
) -> Result<axum::Json<PreviewOut>, Problem> {
    caller.manage()?;
    let body = body.value;
    let profile = named_or_given(&api, caller.org, body.profile)?;
    let forge = api.forge();
    let secret = forge.text("secret", body.secret.as_deref(), SecretType::default(), &profile)?;
    let app = AppRoutes { application: example(caller.org, forge.now), routes: Vec::new() };
    let url = body.url.as_deref().unwrap_or(URL);
    let mut endpoint = Endpoint::new((caller.org, app.application.id, EndpointId(forge.random.id(forge.now))), url, forge.now);
    endpoint.secrets.push(forge.seal(&secret)?);
    let route = api.engine.routing.compile_as(&endpoint, profile, &api.engine.vault).map_err(unwearable)?;
    let made = made(&api, &app, &route, body.message.unwrap_or_default())?;
    Ok(axum::Json(PreviewOut { secret: Some(secret.to_string()), ..made }))
}

/// What a message would look like to an endpoint. Nothing is sent or kept.
#[utoipa::path(
    post,
    path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/preview",
    operation_id = "v1.endpoint.preview",
    tag = "Endpoint",
    params(
        ("app_id" = String, Path, description = "The application's id or uid"),
        ("endpoint_id" = String, Path, description = "The endpoint's id or uid"),
    ),
    request_body = Option<PreviewMessage>,
    responses(Errors, (status = 200, description = "The request", body = PreviewOut))
)]
pub(super) async fn preview_endpoint(
    State(api): State<Shared>,
    caller: Caller,
    Path((app, endpoint)): Path<(String, String)>,
    body: MaybeJson<PreviewMessage>,
) -> Result<axum::Json<PreviewOut>, Problem> {
    // The signature of a body of the caller's choice is as good as the secret, which is not for tokens that may only look.
    caller.write()?;
    let app = caller.application(&api, &app).await?;
    let id = find(&api, app.application.id, &endpoint).await?.id;
    let route = app.route(id).ok_or_else(|| Problem::not_found("endpoint"))?;
    made(&api, &app, route, body.value).map(axum::Json)
}

fn example(org: OrgId, now: crate::model::Time) -> Application {
    Application {
        id: AppId(1),
        org,
        uid: Some("example".into()),
        name: "Example".into(),
        throttle_rate: None,
        metadata: Metadata::new(),
        profile: None,
        retry_policy: None,
        created_at: now,
        updated_at: now,
    }
}

fn made(api: &Api, app: &AppRoutes, route: &Route, given: PreviewMessage) -> Result<PreviewOut, Problem> {
    let event_type = given.event_type.unwrap_or_else(|| EVENT_TYPE.to_owned());
    labels::name(&["body", "eventType"], &event_type)?;
    if let Some(id) = &given.event_id {
        labels::name(&["body", "eventId"], id)?;
    }
    let attempt = given.attempt.unwrap_or(1);
    if attempt == 0 {
        return Err(Problem::field(&["body", "attempt"], "range", "Attempts are counted from 1."));
    }
    let now = api.engine.clock.now();
    let payload = given.payload.map_or(Bytes::from_static(PAYLOAD), |payload| payload.get().to_owned().into());
    let message = Message {
        id: MsgId(api.engine.random.id(now)),
        app: app.application.id,
        org: app.application.org,
        event_type,
        event_id: given.event_id,
        channels: Vec::new(),
        tags: Vec::new(),
        deliver_at: None,
        payload_expires_at: None,
        endpoints: Vec::new(),
        payload,
        expunged: false,
        origin: None,
        ordering_key: None,
        ordered: Vec::new(),
    };
    let request = signing::request(app, route, &message, (now, attempt))
        .map_err(|refusal| Problem::field(&["body", "profile"], "unsigned", refusal.to_string()))?;
    Ok(shown(route, &request))
}

fn shown(route: &Route, request: &OutboundRequest) -> PreviewOut {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &request.headers {
        let value = if value.is_sensitive() { HIDDEN.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        let shown = headers.entry(name.as_str().to_owned()).or_default();
        let comma = if shown.is_empty() { "" } else { ", " };
        *shown = format!("{shown}{comma}{value}");
    }
    PreviewOut {
        profile: Arc::clone(&route.profile.name).to_string(),
        method: request.method.to_string(),
        url: route.sending.target.url(),
        headers,
        body: String::from_utf8_lossy(&request.body).into_owned(),
        secret: None,
    }
}
