//! Finding, making and changing endpoints: what the endpoints of applications and the operational ones share.

use super::{
    edit::Edit,
    headers,
    secrets::Forge,
    shape::{EndpointIn, EndpointUpdate},
};
use crate::{
    api::{Api, Patch, Problem, revise},
    model::{Address, AppId, Endpoint, EndpointId, Kind, OPERATIONAL_UID, OrgId, Record},
    routing::AppRoutes,
    store::{Change, Stored},
};

/// Endpoints that an application has at most.
const MAX_ENDPOINTS: usize = 10_000;

impl Api {
    pub(super) fn forge(&self) -> Forge<'_> {
        Forge { vault: &self.engine.vault, random: &self.engine.random, now: self.engine.clock.now() }
    }
}

/// The endpoint with this id or uid.
///
/// # Errors
/// There is none; the store is away.
pub(in crate::api) async fn find(api: &Api, app: AppId, id_or_uid: &str) -> Result<Endpoint, Problem> {
    let address = Address::new(Kind::Endpoint, app, id_or_uid);
    match api.engine.store.find(&address, api.engine.clock.now()).await? {
        Some(Stored { record: Record::Endpoint(endpoint), .. }) => Ok(endpoint),
        _ => Err(Problem::not_found("endpoint")),
    }
}

/// The endpoint with this id, if it is still there.
///
/// # Errors
/// The store is away.
pub(in crate::api) async fn by_id(api: &Api, app: AppId, id: EndpointId) -> Result<Option<Endpoint>, Problem> {
    let found = api.engine.store.find(&Address::endpoint(app, id), api.engine.clock.now()).await?;
    Ok(found.and_then(|stored| match stored.record {
        Record::Endpoint(endpoint) => Some(endpoint),
        _ => None,
    }))
}

/// A new endpoint of the application, not yet stored.
///
/// # Errors
/// A field breaks its rule, the application is full, an event type does not exist; the store is away.
pub(super) async fn fresh(api: &Api, app: &AppRoutes, body: EndpointIn) -> Result<Endpoint, Problem> {
    if app.routes.len() >= MAX_ENDPOINTS {
        let rule = format!("An application has at most {MAX_ENDPOINTS} endpoints.");
        return Err(Problem::bad_request("limit_reached", rule));
    }
    let forge = api.forge();
    let headers = headers::seal(body.headers.unwrap_or_default(), forge.vault, forge.random)?;
    let secret = forge.text("secret", body.secret.as_deref(), body.secret_type.unwrap_or_default())?;
    let edit = Edit::update(EndpointUpdate {
        url: body.url,
        description: body.description,
        uid: body.uid,
        throttle_rate: body.throttle_rate,
        disabled: body.disabled,
        event_types: body.event_types,
        channels: body.channels,
        metadata: body.metadata,
        retry_policy: body.retry_policy.map_or(Patch::Absent, Patch::Value),
    })?;
    check_event_types(api, app, &edit, None).await?;
    let mut endpoint = Endpoint {
        id: EndpointId(forge.random.id(forge.now)),
        app: app.application.id,
        org: app.application.org,
        uid: None,
        url: String::new(),
        description: String::new(),
        event_types: None,
        channels: None,
        disabled: None,
        throttle_rate: None,
        metadata: Default::default(),
        headers,
        secrets: vec![forge.seal(&secret)?],
        retry_policy: None,
        created_at: forge.now,
        updated_at: forge.now,
    };
    edit.apply(&mut endpoint, forge.now);
    Ok(endpoint)
}

/// Checks that the event types an endpoint is to want beyond those it wants already are in the catalogue: a mistyped one
/// would never match anything. Operational event types are not in the organization's catalogue: any name is taken there.
///
/// # Errors
/// One is not there; the store is away.
async fn check_event_types(api: &Api, app: &AppRoutes, edit: &Edit, known: Option<&[String]>) -> Result<(), Problem> {
    if app.application.uid.as_deref() == Some(OPERATIONAL_UID) {
        return Ok(());
    }
    let known = known.unwrap_or_default();
    for name in edit.event_types.iter().flatten().flatten().filter(|name| !known.contains(name)) {
        if event_type(api, app.application.org, name).await?.is_none() {
            let rule = format!("There is no event type {name}.");
            return Err(Problem::field(&["body", "eventTypes"], "unknown", rule));
        }
    }
    Ok(())
}

/// Puts the endpoint's new form in place of the one that `change` is given; again, when it was changed in between.
///
/// # Errors
/// What `change` refuses; there is no such endpoint; its uid is taken; the store is away.
pub(super) async fn revise(
    api: &Api,
    app: AppId,
    id_or_uid: &str,
    change: impl Fn(&mut Endpoint) -> Result<(), Problem>,
) -> Result<Endpoint, Problem> {
    let missing = || Problem::not_found("endpoint");
    let address = Address::new(Kind::Endpoint, app, id_or_uid);
    let revised = revise::revise(&api.engine, &address, |record| {
        let Record::Endpoint(endpoint) = record else { return Err(missing()) };
        change(endpoint)?;
        Ok(endpoint.clone())
    });
    revised.await?.ok_or_else(missing)
}

/// Applies an edit to an endpoint that is there.
///
/// # Errors
/// As [`revise`]; an event type does not exist.
pub(super) async fn edit(api: &Api, app: &AppRoutes, id_or_uid: &str, edit: Edit) -> Result<Endpoint, Problem> {
    let id = app.application.id;
    let known = find(api, id, id_or_uid).await?.event_types;
    check_event_types(api, app, &edit, known.as_deref()).await?;
    let now = api.engine.clock.now();
    revise(api, id, id_or_uid, |endpoint| {
        edit.clone().apply(endpoint, now);
        Ok(())
    })
    .await
}

/// The endpoint after an update, and whether it is new. What the path names by uid keeps that uid unless the body has
/// another; a path that is an id can update only.
///
/// # Errors
/// As [`fresh`] and [`edit`].
pub(super) async fn upsert(
    api: &Api,
    app: &AppRoutes,
    id_or_uid: &str,
    mut body: EndpointUpdate,
) -> Result<(Endpoint, bool), Problem> {
    if id_or_uid.parse::<EndpointId>().is_err() {
        body.uid.get_or_insert_with(|| id_or_uid.to_owned());
    }
    let update = Edit::update(body.clone())?;
    match edit(api, app, id_or_uid, update).await {
        Ok(endpoint) => return Ok((endpoint, false)),
        Err(Problem::NotFound(_)) if id_or_uid.parse::<EndpointId>().is_err() => {}
        Err(problem) => return Err(problem),
    }
    let endpoint = fresh(api, app, body.into()).await?;
    api.engine.change(vec![Change::Insert(Record::Endpoint(endpoint.clone()))]).await?;
    Ok((endpoint, true))
}

/// The catalogue's entry of that name.
///
/// # Errors
/// The store is away.
pub(super) async fn event_type(api: &Api, org: OrgId, name: &str) -> Result<Option<crate::model::EventType>, Problem> {
    let found = api.engine.store.find(&Address::event_type(org, name), api.engine.clock.now()).await?;
    Ok(found.and_then(|stored| match stored.record {
        Record::EventType(event_type) => Some(event_type),
        _ => None,
    }))
}
