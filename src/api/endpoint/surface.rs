//! Endpoints of the documented systems: found, shown and deleted. Each belongs to the surface that made it, and no other
//! surface finds it. How they are made and changed, [`super::wish`] says.

use super::{headers, secrets, shape::SecretType, store};
use crate::{
    api::{Api, Problem, page::MAX_LIMIT},
    model::{Address, AppId, Endpoint, EndpointId, Kind, Record, RetryPolicy, System},
    store::{Change, ListPage, Stored},
};
use std::collections::BTreeMap;

/// The endpoint with this id, if that system made it.
///
/// # Errors
/// There is none; the store is away.
pub(crate) async fn one(api: &Api, app: AppId, (system, id): (System, EndpointId)) -> Result<Endpoint, Problem> {
    let found = store::by_id(api, app, id).await?.filter(|endpoint| endpoint.system == Some(system));
    found.ok_or_else(|| Problem::not_found("endpoint"))
}

/// The endpoints of an application that a system made, oldest first.
///
/// # Errors
/// The store is away.
pub(crate) async fn of(api: &Api, app: AppId, system: System) -> Result<Vec<Endpoint>, Problem> {
    let (scope, now) = (app.to_string(), api.engine.clock.now());
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = ListPage { after: after.as_deref(), backwards: false, limit: MAX_LIMIT };
        let found = api.engine.store.list(Kind::Endpoint, &scope, page, now).await?;
        let last = found.len() < MAX_LIMIT;
        after = found.last().map(|stored| stored.record.address().key);
        all.extend(found.into_iter().filter_map(|stored| match stored.record {
            Record::Endpoint(endpoint) if endpoint.system == Some(system) => Some(endpoint),
            _ => None,
        }));
        if last {
            return Ok(all);
        }
    }
}

/// Deletes an endpoint of a system: nothing is delivered to it any more, retries that are due included.
///
/// # Errors
/// There is none; the store is away.
pub(crate) async fn delete(api: &Api, app: AppId, (system, id): (System, EndpointId)) -> Result<(), Problem> {
    one(api, app, (system, id)).await?;
    Ok(api.engine.change(vec![Change::Delete(Address::endpoint(app, id))]).await?)
}

/// The endpoint with this secret and no other.
///
/// # Errors
/// It is no secret; the vault refuses.
pub(crate) fn secured(api: &Api, endpoint: Endpoint, text: &str) -> Result<Endpoint, Problem> {
    let forge = api.forge();
    let app = api.engine.routing.by_id(endpoint.app).ok_or_else(|| Problem::not_found("application"))?;
    let profile = api.engine.routing.profile_of(&app.application, &endpoint).map_err(store::refused)?;
    let text = forge.text("secret", Some(text), SecretType::Hmac, &profile)?;
    Ok(Endpoint { secrets: vec![forge.seal(&text)?], updated_at: forge.now, ..endpoint })
}

/// An endpoint with the revision under which it was read, if it is there.
///
/// # Errors
/// The store is away.
pub(crate) async fn stored(api: &Api, app: AppId, id: EndpointId) -> Result<Option<(Endpoint, u64)>, Problem> {
    let found = api.engine.store.find(&Address::endpoint(app, id), api.engine.clock.now()).await?;
    match found {
        Some(Stored { record: Record::Endpoint(endpoint), revision }) => Ok(Some((endpoint, revision))),
        _ => Ok(None),
    }
}

/// The text of an endpoint's current secret.
///
/// # Errors
/// It does not open.
pub(crate) fn secret(api: &Api, endpoint: &Endpoint) -> Result<String, Problem> {
    Ok(secrets::shown(&api.forge().current(endpoint)?))
}

/// When failed deliveries of an endpoint are tried again: as it says, or its profile.
///
/// # Errors
/// Its profile is not there.
pub(crate) fn retry_policy(api: &Api, endpoint: &Endpoint) -> Result<RetryPolicy, Problem> {
    if let Some(own) = &endpoint.retry_policy {
        return Ok(own.clone());
    }
    let app = api.engine.routing.by_id(endpoint.app).ok_or_else(|| Problem::not_found("application"))?;
    let profile = api.engine.routing.profile_of(&app.application, endpoint).map_err(store::refused)?;
    Ok(profile.profile.retry_policy.clone().unwrap_or_default())
}

/// An endpoint's custom headers by name, and the names of those whose values are not shown again.
///
/// # Errors
/// A value does not open.
pub(crate) fn headers_of(api: &Api, endpoint: &Endpoint) -> Result<(BTreeMap<String, String>, Vec<String>), Problem> {
    let shown = headers::shown(endpoint, &api.engine.vault)?;
    Ok((shown.headers, shown.sensitive))
}
