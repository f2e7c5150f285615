//! Finding, making and changing endpoints: what the endpoints of applications and the operational ones share.

use super::{
    edit::{Edit, MAX_EVENT_TYPES},
    headers::{self, EndpointHeadersPatchIn},
    secrets::Forge,
    shape::{EndpointIn, EndpointUpdate},
};
use crate::{
    api::{Api, Patch, Problem, revise},
    model::{Address, AppId, CATEGORY, DefaultEvents, Endpoint, EndpointId, Kind, OPERATIONAL_UID, OrgId, Record},
    routing::{AppRoutes, CompiledProfile, RouteError},
    store::{Change, ListPage, Stored},
};
use std::sync::Arc;

/// Endpoints that an application has at most.
const MAX_ENDPOINTS: usize = 10_000;

impl Api {
    pub(in crate::api) fn forge(&self) -> Forge<'_> {
        Forge { vault: &self.engine.vault, random: &self.engine.random, now: self.engine.clock.now() }
    }
}

/// The endpoint with this id or uid.
///
/// # Errors
/// There is none; the store is away.
pub(crate) async fn find(api: &Api, app: AppId, id_or_uid: &str) -> Result<Endpoint, Problem> {
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
pub(crate) async fn by_id(api: &Api, app: AppId, id: EndpointId) -> Result<Option<Endpoint>, Problem> {
    let found = api.engine.store.find(&Address::endpoint(app, id), api.engine.clock.now()).await?;
    Ok(found.and_then(|stored| match stored.record {
        Record::Endpoint(endpoint) => Some(endpoint),
        _ => None,
    }))
}

/// Refuses when the application is full.
///
/// # Errors
/// It is.
pub(super) fn room(app: &AppRoutes) -> Result<(), Problem> {
    room_for(app, 1)
}

/// Refuses when the application has no room for so many more.
///
/// # Errors
/// It has not.
pub(super) fn room_for(app: &AppRoutes, more: usize) -> Result<(), Problem> {
    if app.routes.len() + more <= MAX_ENDPOINTS {
        return Ok(());
    }
    Err(Problem::bad_request("limit_reached", format!("An application has at most {MAX_ENDPOINTS} endpoints.")))
}

/// A new endpoint of the application, not yet stored.
///
/// # Errors
/// A field breaks its rule, the application is full, an event type does not exist; the store is away.
pub(super) async fn fresh(api: &Api, app: &AppRoutes, body: EndpointIn) -> Result<Endpoint, Problem> {
    room(app)?;
    let forge = api.forge();
    let headers = headers::seal(body.headers.unwrap_or_default(), forge.vault, forge.random)?;
    let profile = match body.profile.as_deref() {
        Some(name) => known_profile(api, app.application.org, name)?,
        None => {
            let blank = Endpoint::new((app.application.org, app.application.id, EndpointId(0)), "", forge.now);
            api.engine.routing.profile_of(&app.application, &blank).map_err(refused)?
        }
    };
    let secret = forge.text("secret", body.secret.as_deref(), body.secret_type.unwrap_or_default(), &profile)?;
    let event_types = match (body.event_types, profile.defaults.events) {
        (None, DefaultEvents::Current) => current_event_types(api, app.application.org).await?,
        (given, _) => given,
    };
    let edit = Edit::update(EndpointUpdate {
        url: body.url,
        description: body.description,
        uid: body.uid,
        throttle_rate: body.throttle_rate,
        disabled: body.disabled.or(Some(!profile.defaults.enabled)),
        event_types,
        channels: body.channels,
        metadata: body.metadata,
        retry_policy: Patch::given(body.retry_policy),
        filter: Patch::given(body.filter),
        profile: Patch::given(body.profile),
        method: Patch::given(body.method),
        concurrency: Patch::given(body.concurrency),
        ordering: Patch::given(body.ordering),
    })?;
    check_event_types(api, app, &edit, None).await?;
    let mut endpoint = Endpoint {
        id: EndpointId(forge.random.id(forge.now)),
        app: app.application.id,
        org: app.application.org,
        uid: None,
        url: String::new(),
        name: None,
        description: String::new(),
        event_types: None,
        channels: None,
        filter: None,
        disabled: None,
        throttle_rate: None,
        concurrency: None,
        ordering: None,
        metadata: Default::default(),
        headers,
        credentials: None,
        secrets: vec![forge.seal(&secret)?],
        profile: None,
        method: None,
        system: None,
        retry_policy: None,
        created_at: forge.now,
        updated_at: forge.now,
    };
    edit.apply(&mut endpoint, forge.now);
    check_compiles(api, app, &endpoint)?;
    Ok(endpoint)
}

/// The profile of that name.
///
/// # Errors
/// There is none, neither built in nor the organization's own.
pub(in crate::api) fn known_profile(api: &Api, org: OrgId, name: &str) -> Result<Arc<CompiledProfile>, Problem> {
    api.engine.routing.profile(org, name).ok_or_else(|| refused(RouteError::Profile(name.chars().take(64).collect())))
}

/// What is said of an endpoint that could not be delivered to as its profile says.
pub(in crate::api) fn refused(error: RouteError) -> Problem {
    let rule = error.to_string();
    match error {
        RouteError::Url(_) | RouteError::NotHttps(_) => Problem::field(&["body", "url"], "url", rule),
        RouteError::Profile(_) => {
            Problem::field(&["body", "profile"], "unknown", format!("{rule}: GET /api/v1/profile lists them."))
        }
        RouteError::Key(_) | RouteError::Secret(_) => Problem::field(&["body", "profile"], "secret", rule),
        // No body that has an endpoint's URL or profile has these: they were set before, each by a request of its own.
        RouteError::Way(_) => Problem::conflict(rule),
        RouteError::Header => Problem::field(&["body", "headers"], "pattern", rule),
        RouteError::Sealed(error) => error.into(),
    }
}

/// Checks that an endpoint can be delivered to: its profile is there, and its URL and its secrets are such as that wants.
pub(super) fn check_compiles(api: &Api, app: &AppRoutes, endpoint: &Endpoint) -> Result<(), Problem> {
    compiles(api, app, endpoint).map_err(refused)
}

/// As [`check_compiles`], for requests with another body than an endpoint's.
pub(super) fn compiles(api: &Api, app: &AppRoutes, endpoint: &Endpoint) -> Result<(), RouteError> {
    api.engine.routing.compile(&app.application, endpoint, &api.engine.vault).map(drop)
}

/// The names of the event types that are delivered now; `None` when there are none yet, or more than an endpoint may name.
async fn current_event_types(api: &Api, org: OrgId) -> Result<Option<Vec<String>>, Problem> {
    let page = ListPage { after: None, backwards: false, limit: MAX_EVENT_TYPES + 1 };
    let found = api.engine.store.list(Kind::EventType, &org.to_string(), page, api.engine.clock.now()).await?;
    let names: Vec<String> = found
        .into_iter()
        .filter_map(|stored| match stored.record {
            Record::EventType(entry) if !entry.archived && !entry.reserved => Some(entry.name),
            _ => None,
        })
        .collect();
    Ok(Some(names).filter(|names| (1..=MAX_EVENT_TYPES).contains(&names.len())))
}

/// Checks that the event types an endpoint is to want beyond those it wants already are in the catalogue: a mistyped one
/// would never match anything. Operational event types are not in the organization's catalogue: any name is taken there.
///
/// # Errors
/// One is not there; the store is away.
pub(super) async fn check_event_types(api: &Api, app: &AppRoutes, edit: &Edit, known: Option<&[String]>) -> Result<(), Problem> {
    if app.application.uid.as_deref() == Some(OPERATIONAL_UID) {
        return Ok(());
    }
    let known = known.unwrap_or_default();
    for name in edit.event_types.iter().flatten().flatten().filter(|name| !known.contains(name) && !name.ends_with('*')) {
        if let Some(category) = name.strip_prefix(CATEGORY) {
            if !api.engine.routing.has_category(app.application.org, category) {
                let rule = format!("No event type is in the category {category}.");
                return Err(Problem::field(&["body", "eventTypes"], "unknown", rule));
            }
        } else if event_type(api, app.application.org, name).await?.is_none() {
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
    if let Some(Some(name)) = &edit.profile {
        known_profile(api, app.application.org, name)?;
    }
    let now = api.engine.clock.now();
    revise(api, id, id_or_uid, |endpoint| {
        edit.clone().apply(endpoint, now);
        if let Some(headers) = edit.headers.clone() {
            let (kept, engine) = (std::mem::take(&mut endpoint.headers), &api.engine);
            let patch = EndpointHeadersPatchIn { headers, delete_headers: Vec::new() };
            endpoint.headers = headers::patched(kept, patch, &engine.vault, &engine.random)?;
        }
        if edit.url.is_some() || edit.profile.is_some() { check_compiles(api, app, endpoint) } else { Ok(()) }
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
