//! `/webhooks/configs`: where the organization's events go.

use crate::{
    api::{
        Api, Patch, Problem, Shared, Stamp,
        endpoint::{Placed, Put, Wish, put_all, surface},
    },
    model::{CATEGORY, Endpoint, EndpointId, RequestMethod},
    systems::{
        data::Data,
        form::Refusals,
        home::Home,
        listed::{MaybeListed, placed_in},
    },
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A configuration to make or update. Of one that exists, what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookConfigIn)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfigIn {
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
        let id = self.id.map(|id| id.parse()).transpose().map_err(|_| Problem::not_found("endpoint"))?;
        let wish = Wish {
            url: self.url,
            events: self.events.map(whole_categories),
            secret: self.secret,
            enabled: self.is_enabled,
            method: self.http_method,
            retries: Patch::given(self.max_retries.map(|retries| (Some(retries), None))),
            headers: self.headers,
            ..Wish::default()
        };
        Ok(Put { id, wish })
    }
}

/// The events that are asked for, where `reward.*` is the whole category: what the catalogue puts there, beside what is
/// called so.
fn whole_categories(events: Vec<String>) -> Vec<String> {
    let categories = events.iter().filter_map(|event| Some(format!("{CATEGORY}{}", event.strip_suffix(".*")?)));
    let categories: Vec<String> = categories.collect();
    events.into_iter().chain(categories).collect()
}

/// The events as they were asked for.
fn as_asked(events: Vec<String>) -> Vec<String> {
    let whole = |event: &String| event.strip_prefix(CATEGORY).is_some_and(|name| events.contains(&format!("{name}.*")));
    events.iter().filter(|event| !whole(event)).cloned().collect()
}

impl ConfigOut {
    fn new(endpoint: &Endpoint, api: &Api) -> Result<Self, Problem> {
        let (headers, hidden_headers) = surface::headers_of(api, endpoint)?;
        Ok(ConfigOut {
            id: endpoint.id,
            url: endpoint.url.clone(),
            events: as_asked(endpoint.event_types.clone().unwrap_or_default()),
            is_enabled: endpoint.disabled.is_none(),
            http_method: endpoint.method.unwrap_or(RequestMethod::Post),
            max_retries: surface::retry_policy(api, endpoint)?.retries(),
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
    responses(Refusals, (status = 200, description = "The configurations", body = Data<ConfigOut>))
)]
pub(super) async fn list(State(api): State<Shared>, home: Home) -> Result<axum::Json<Data<ConfigOut>>, Problem> {
    Data::shown(home.all(&api).await?, |endpoint| ConfigOut::new(&endpoint, &api))
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
    home: Home,
    MaybeListed { listed, entries }: MaybeListed<ConfigIn>,
) -> Result<Response, Problem> {
    let in_place = |problem, number| if listed { placed_in(problem, number) } else { problem };
    let puts = entries.into_iter().enumerate();
    let puts: Vec<Put> =
        puts.map(|(number, entry)| entry.put().map_err(|problem| in_place(problem, number))).collect::<Result<_, _>>()?;
    let placed = put_all(&api, &home.app, &home.brand, &puts).await;
    let placed = placed.map_err(|(number, problem)| in_place(problem, number))?;
    let Data { mut data } = Data::of(placed, |placed| ConfigOut::placed(&placed, &api))?;
    Ok(match data.pop() {
        Some(one) if !listed => axum::Json(one).into_response(),
        last => axum::Json(Data { data: data.into_iter().chain(last).collect() }).into_response(),
    })
}
