//! Endpoints of the documented systems: made, found and changed by the rules of all endpoints. Each belongs to the surface
//! that made it, and no other surface finds it.

use super::{
    edit::Edit,
    headers, secrets,
    shape::{EndpointIn, EndpointPatch, SecretType},
    store,
};
use crate::{
    api::{Api, Patch, Problem, page::MAX_LIMIT},
    model::{Address, AppId, Endpoint, EndpointId, Kind, Record, System},
    routing::AppRoutes,
    store::{Change, ListPage, Stored},
};
use std::collections::BTreeMap;

/// What a surface is told of an endpoint. `None`: its default, or as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Where deliveries go.
    pub(crate) url: Option<String>,
    /// For people.
    pub(crate) description: Option<String>,
    /// Event types; `Some(None)` is all.
    pub(crate) event_types: Option<Option<Vec<String>>>,
    /// Channels; `Some(None)` is any.
    pub(crate) channels: Option<Option<Vec<String>>>,
    /// Whether it gets deliveries.
    pub(crate) enabled: Option<bool>,
    /// The secret of a new endpoint, in place of one that is made.
    pub(crate) secret: Option<String>,
    /// All its custom headers.
    pub(crate) headers: Option<BTreeMap<String, String>>,
}

/// A new endpoint of a system, not yet stored, with a secret that was made.
///
/// # Errors
/// A field breaks its rule, the application is full, an event type does not exist; the store is away.
pub(crate) async fn make(
    api: &Api,
    app: &AppRoutes,
    (system, profile): (System, String),
    wanted: Wanted,
) -> Result<Endpoint, Problem> {
    let body = EndpointIn {
        url: wanted.url.unwrap_or_default(),
        description: wanted.description,
        event_types: wanted.event_types.flatten(),
        channels: wanted.channels.flatten(),
        disabled: wanted.enabled.map(|enabled| !enabled),
        secret: wanted.secret,
        headers: wanted.headers,
        profile: Some(profile),
        ..EndpointIn::default()
    };
    Ok(Endpoint { system: Some(system), ..store::fresh(api, app, body).await? })
}

/// Changes an endpoint of a system: what is named, and nothing else.
///
/// # Errors
/// A field breaks its rule, an event type does not exist; there is no such endpoint of that system; the store is away.
pub(crate) async fn change(
    api: &Api,
    app: &AppRoutes,
    (system, id): (System, EndpointId),
    wanted: Wanted,
) -> Result<Endpoint, Problem> {
    let app_id = app.application.id;
    let known = one(api, app_id, (system, id)).await?;
    let edit = Edit::patch(EndpointPatch {
        url: Patch::given(wanted.url),
        description: Patch::given(wanted.description),
        event_types: Patch::nullable(wanted.event_types),
        channels: Patch::nullable(wanted.channels),
        disabled: Patch::given(wanted.enabled.map(|enabled| !enabled)),
        ..EndpointPatch::default()
    })?;
    store::check_event_types(api, app, &edit, known.event_types.as_deref()).await?;
    let headers = wanted.headers.map(|headers| headers::seal(headers, &api.engine.vault, &api.engine.random)).transpose()?;
    let now = api.engine.clock.now();
    store::revise(api, app_id, &id.to_string(), |endpoint| {
        edit.clone().apply(endpoint, now);
        headers.iter().for_each(|headers| endpoint.headers.clone_from(headers));
        Ok(())
    })
    .await
}

/// The endpoint with this id, if that system made it.
///
/// # Errors
/// There is none; the store is away.
pub(crate) async fn one(api: &Api, app: AppId, (system, id): (System, EndpointId)) -> Result<Endpoint, Problem> {
    let found = store::by_id(api, app, id).await?.filter(|endpoint| endpoint.system == Some(system));
    found.ok_or_else(|| Problem::not_found("webhook"))
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

/// An endpoint's custom headers by name, and the names of those whose values are not shown again.
///
/// # Errors
/// A value does not open.
pub(crate) fn headers_of(api: &Api, endpoint: &Endpoint) -> Result<(BTreeMap<String, String>, Vec<String>), Problem> {
    let shown = headers::shown(endpoint, &api.engine.vault)?;
    Ok((shown.headers, shown.sensitive))
}
