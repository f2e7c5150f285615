//! `/webhooks/configs`: where the organization's events go.

use super::{Admin, brand, missing};
use crate::{
    api::{
        Api, Problem, Shared, Stamp,
        body::{RawJson, parse_json},
        endpoint::{
            Placed, Put, Wish, put_all,
            surface::{headers_of, of},
        },
    },
    model::{Endpoint, EndpointId, RequestMethod, RetryPolicy, System, built_in},
    systems::{form::Refusals, options::Told, refusal::of_entry},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Configurations that are put together at most.
const MAX_PUT: usize = 100;
/// A configuration to make or update. Of one that exists, what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookConfigIn)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigIn {
    /// Which one to update. Without it: the one with this `url`, or a new one.
    id: Option<String>,
    /// Where deliveries go; needed for a new one.
    url: Option<String>,
    /// Event types (`reward.claimed`) and categories (`reward.*`); `*` is all. Needed for a new one.
    #[schema(min_items = 1)]
    events: Option<Vec<String>>,
    /// Signs deliveries. A new configuration without one gets one, which is shown in this answer only.
    #[schema(min_length = 8, max_length = 256)]
    secret: Option<String>,
    /// Whether deliveries go out; otherwise they are kept until they may.
    #[schema(default = true)]
    is_enabled: Option<bool>,
    /// `POST`, `PUT` or `PATCH`.
    #[schema(value_type = Option<String>, default = "POST")]
    http_method: Option<RequestMethod>,
    /// Retries after the first attempt.
    #[schema(minimum = 0, maximum = 50, default = 3)]
    max_retries: Option<u32>,
    /// Headers of its deliveries, replaced as a whole. They cannot replace those of the signature.
    headers: Option<BTreeMap<String, String>>,
}

/// A configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookConfig)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigOut {
    /// Identifier.
    #[schema(value_type = String)]
    id: EndpointId,
    /// Where deliveries go.
    url: String,
    /// Event types and categories.
    events: Vec<String>,
    /// Whether deliveries go out.
    is_enabled: bool,
    /// The method of deliveries.
    #[schema(value_type = String)]
    http_method: RequestMethod,
    /// Retries after the first attempt.
    max_retries: u32,
    /// Headers of its deliveries, without those that look like credentials.
    headers: BTreeMap<String, String>,
    /// Names of headers whose values are not shown.
    hidden_headers: Vec<String>,
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

/// Configurations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookConfigs)]
pub(super) struct Configs {
    data: Vec<ConfigOut>,
}

/// One configuration or several.
#[derive(ToSchema)]
#[schema(as = WebhookConfigsIn)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a body that is read in two ways")]
enum ConfigsIn {
    One(ConfigIn),
    Several(Vec<ConfigIn>),
}

impl ConfigIn {
    fn put(self) -> Result<Put, Problem> {
        let id = self.id.map(|id| id.parse()).transpose().map_err(|_| missing())?;
        let wish = Wish {
            url: self.url,
            events: self.events,
            secret: self.secret,
            enabled: self.is_enabled,
            method: self.http_method,
            retry_policy: self.max_retries.map(|retries| Some(policy(retries))),
            headers: self.headers,
            ..Wish::default()
        };
        Ok(Put { id, wish })
    }
}

/// So many retries, at the pace of the system's profile.
fn policy(max_retries: u32) -> RetryPolicy {
    match documented() {
        RetryPolicy::Computed { backoff, initial, factor, max, .. } => {
            RetryPolicy::Computed { max_retries, backoff, initial, factor, max }
        }
        delays => delays,
    }
}

/// The retry policy of configurations that say nothing.
fn documented() -> RetryPolicy {
    built_in(System::Nudj.name()).and_then(|profile| profile.retry_policy.clone()).unwrap_or_default()
}

fn retries(policy: &RetryPolicy) -> u32 {
    match policy {
        RetryPolicy::Computed { max_retries, .. } => *max_retries,
        RetryPolicy::Delays(delays) => u32::try_from(delays.len()).unwrap_or(u32::MAX),
    }
}

impl ConfigOut {
    fn new(endpoint: &Endpoint, api: &Api) -> Result<Self, Problem> {
        let (headers, hidden_headers) = headers_of(api, endpoint)?;
        Ok(ConfigOut {
            id: endpoint.id,
            url: endpoint.url.clone(),
            events: endpoint.event_types.clone().unwrap_or_default(),
            is_enabled: endpoint.disabled.is_none(),
            http_method: endpoint.method.unwrap_or(RequestMethod::Post),
            max_retries: retries(endpoint.retry_policy.as_ref().unwrap_or(&documented())),
            headers,
            hidden_headers,
            created_at: Stamp(endpoint.created_at),
            updated_at: Stamp(endpoint.updated_at),
            secret: None,
        })
    }

    fn placed(placed: &Placed, api: &Api) -> Result<Self, Problem> {
        let secret = placed.made.as_ref().map(|text| text.to_string());
        Ok(ConfigOut { secret, ..Self::new(&placed.endpoint, api)? })
    }
}

/// Every webhook configuration of the organization.
#[utoipa::path(
    get,
    path = "/webhooks/configs",
    operation_id = "listWebhookConfigs",
    tag = "Nudj Admin API",
    responses(Refusals, (status = 200, description = "The configurations", body = Configs))
)]
pub(super) async fn list(State(api): State<Shared>, admin: Admin) -> Result<axum::Json<Configs>, Problem> {
    let found = of(&api, admin.app.application.id, System::Nudj).await?;
    let data = found.iter().map(|endpoint| ConfigOut::new(endpoint, &api)).collect::<Result<_, _>>()?;
    Ok(axum::Json(Configs { data }))
}

/// Makes or updates webhook configurations: one, or a list of which all are taken or none. The same request twice changes
/// nothing.
#[utoipa::path(
    put,
    path = "/webhooks/configs",
    operation_id = "putWebhookConfigs",
    tag = "Nudj Admin API",
    request_body = ConfigsIn,
    responses(
        Refusals,
        (status = 200, description = "The configuration, or `data` with all of them when a list was put", body = ConfigOut)
    )
)]
pub(super) async fn put(
    State(api): State<Shared>,
    Told(options): Told,
    admin: Admin,
    RawJson(bytes): RawJson,
) -> Result<Response, Problem> {
    let listed = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let placed_in = |problem, number| if listed { of_entry(problem, number) } else { problem };
    let mut puts = Vec::new();
    for (number, text) in entries(&bytes, listed)?.into_iter().enumerate() {
        let put = parse_json::<ConfigIn>(text.get().as_bytes()).and_then(ConfigIn::put);
        puts.push(put.map_err(|problem| placed_in(problem, number))?);
    }
    let profile = options.profile(System::Nudj);
    let placed = put_all(&api, &admin.app, brand(&profile), &puts).await;
    let placed = placed.map_err(|(number, problem)| match problem {
        Problem::NotFound(_) => missing(),
        problem => placed_in(problem, number),
    })?;
    let mut shown: Vec<ConfigOut> = placed.iter().map(|placed| ConfigOut::placed(placed, &api)).collect::<Result<_, _>>()?;
    Ok(match shown.pop() {
        Some(one) if !listed => axum::Json(one).into_response(),
        last => axum::Json(Configs { data: shown.into_iter().chain(last).collect() }).into_response(),
    })
}

/// The texts of the configurations in a body.
fn entries(bytes: &[u8], listed: bool) -> Result<Vec<Box<RawValue>>, Problem> {
    let malformed = |error: serde_json::Error| Problem::bad_request("malformed_json", format!("The body is not JSON: {error}."));
    if !listed {
        return serde_json::from_slice(bytes).map(|one| vec![one]).map_err(malformed);
    }
    let entries: Vec<Box<RawValue>> = serde_json::from_slice(bytes).map_err(malformed)?;
    if !(1..=MAX_PUT).contains(&entries.len()) {
        return Err(Problem::field(&["body"], "length", format!("A list has 1 to {MAX_PUT} configurations.")));
    }
    Ok(entries)
}
