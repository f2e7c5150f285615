//! `/api/v1/proxy`: the proxy through which an organization's requests leave. Ours, not of the compatible contract.

use super::{Caller, Errors, Json, Problem, Shared, limits::Limits, revise::revise, rules::Check};
use crate::{
    model::{Address, Hidden, Kind, OrgId, OutgoingProxy, Record, ResolvedBy, Sealed},
    outbound::Way,
    routing::{PROXY_PURPOSE, open_proxy},
    store::Stored,
};
use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Bytes of a proxy's URL at most.
const MAX_BYTES: usize = 2048;
/// Bytes of a name or password at most: what SOCKS5 carries (RFC 1929).
const MAX_TEXT_BYTES: usize = 255;

/// No control characters.
const TEXT_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// No colon either: what follows it would be taken for the password.
const NAME_PATTERN: &str = r"^[^\u0000-\u001f:\u007f-\u009f]*$";

/// Who resolves the names of receivers.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ResolvedByName {
    /// Postrider: its address guard vets every address, and the proxy is given a vetted one, never the name.
    #[default]
    Postrider,
    /// The proxy: it is given the name, and what it may reach is its own to guard.
    Proxy,
}

/// A proxy.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProxyIn {
    /// `http://host:port` (HTTP CONNECT) or `socks5://host:port`.
    #[schema(example = "http://proxy.example.com:3128")]
    url: String,
    /// For proxies that want one.
    username: Option<String>,
    /// Never shown again.
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Hidden>,
    /// Who resolves the names of receivers.
    #[serde(default)]
    resolved_by: ResolvedByName,
}

/// What is shown of a proxy.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProxyOut {
    /// Where it listens.
    url: String,
    /// The user name.
    username: Option<String>,
    /// Who resolves the names of receivers.
    resolved_by: ResolvedByName,
}

/// The rules below, for the description of the API.
pub(super) fn limits() -> Limits {
    let text = |pattern: &str| json!({ "minLength": 1, "maxLength": MAX_TEXT_BYTES, "pattern": pattern });
    let url = json!({ "minLength": 1, "maxLength": MAX_BYTES, "pattern": "^(http|socks5)://" });
    vec![("ProxyIn", json!({ "url": url, "username": text(NAME_PATTERN), "password": text(TEXT_PATTERN) }))]
}

/// A password needs a user name, for the description of the API.
pub(super) fn whole() -> Value {
    let is_text = |name: &str| json!({ "required": [name], "properties": { name: { "type": "string" } } });
    json!({ "if": is_text("password"), "then": is_text("username") })
}

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get, set, remove))
}

async fn current(api: &Shared, org: OrgId) -> Result<Option<Sealed>, Problem> {
    let found = api.engine.store.find(&Address::new(Kind::Organization, "", org), api.engine.clock.now()).await?;
    Ok(match found {
        Some(Stored { record: Record::Organization(organization), .. }) => organization.proxy,
        _ => None,
    })
}

/// Get Proxy.
///
/// The proxy through which the organization's requests leave, without its password.
#[utoipa::path(
    get, path = "/api/v1/proxy", operation_id = "v1.proxy.get", tag = "Proxy", summary = "Get Proxy",
    responses(Errors, (status = 200, description = "The proxy", body = ProxyOut))
)]
async fn get(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<ProxyOut>, Problem> {
    caller.manage()?;
    let sealed = current(&api, caller.org).await?.ok_or_else(|| Problem::not_found("proxy"))?;
    let proxy = open_proxy(&api.engine.vault, &sealed)?;
    let resolved_by = match proxy.resolved_by {
        ResolvedBy::Us => ResolvedByName::Postrider,
        ResolvedBy::Proxy => ResolvedByName::Proxy,
    };
    Ok(axum::Json(ProxyOut { url: proxy.url, username: proxy.username, resolved_by }))
}

/// Set Proxy.
///
/// From now on all requests of the organization leave through this proxy: deliveries, requests for access tokens, and
/// confirmations that sources send. The proxy's own address must be public, or allowed by the server's configuration.
#[utoipa::path(
    put, path = "/api/v1/proxy", operation_id = "v1.proxy.set", tag = "Proxy", summary = "Set Proxy",
    request_body = ProxyIn, responses(Errors, (status = 204, description = "Set"))
)]
async fn set(State(api): State<Shared>, caller: Caller, body: Json<ProxyIn>) -> Result<StatusCode, Problem> {
    caller.manage()?;
    let given = body.value;
    let mut check = Check::new();
    check.rule((1..=MAX_BYTES).contains(&given.url.len()), &["body", "url"], "length", format!("It has 1 to {MAX_BYTES} bytes."));
    let password = given.password.as_ref().map(|password| password.0.as_str());
    for (field, text) in [("username", given.username.as_deref()), ("password", password)] {
        let Some(text) = text else { continue };
        let fits = (1..=MAX_TEXT_BYTES).contains(&text.len());
        check.rule(fits, &["body", field], "length", format!("It has 1 to {MAX_TEXT_BYTES} bytes."));
        check.rule(!text.chars().any(char::is_control), &["body", field], "pattern", "It has no control characters.");
    }
    let plain = given.username.as_deref().is_none_or(|name| !name.contains(':'));
    check.rule(plain, &["body", "username"], "pattern", "It has no colon (RFC 7617).");
    let with_name = password.is_none() || given.username.is_some();
    check.rule(with_name, &["body", "username"], "missing", "A password needs a user name.");
    check.done()?;
    let resolved_by = match given.resolved_by {
        ResolvedByName::Postrider => ResolvedBy::Us,
        ResolvedByName::Proxy => ResolvedBy::Proxy,
    };
    let proxy = OutgoingProxy { url: given.url, username: given.username, password: given.password, resolved_by };
    Way::new("", None, None, Some(&proxy)).map_err(|error| Problem::field(&["body", "url"], "url", error.to_string()))?;
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&proxy).map_err(|_| Problem::Internal)?);
    let sealed = api.engine.vault.seal(&api.engine.random, PROXY_PURPOSE, &plain)?;
    put(&api, caller.org, Some(sealed)).await
}

/// Delete Proxy.
///
/// From now on the organization's requests leave directly.
#[utoipa::path(
    delete, path = "/api/v1/proxy", operation_id = "v1.proxy.delete", tag = "Proxy", summary = "Delete Proxy",
    responses(Errors, (status = 204, description = "Removed"))
)]
async fn remove(State(api): State<Shared>, caller: Caller) -> Result<StatusCode, Problem> {
    caller.manage()?;
    put(&api, caller.org, None).await
}

async fn put(api: &Shared, org: OrgId, sealed: Option<Sealed>) -> Result<StatusCode, Problem> {
    let address = Address::new(Kind::Organization, "", org);
    let done = revise(&api.engine, &address, |record| {
        if let Record::Organization(organization) = record {
            organization.proxy = sealed.clone();
        }
        Ok(())
    });
    done.await?.ok_or_else(|| Problem::not_found("organization"))?;
    Ok(StatusCode::NO_CONTENT)
}
