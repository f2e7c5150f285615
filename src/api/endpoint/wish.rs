//! What a surface wants an endpoint to be: the one way in which the documented systems make and change endpoints. They
//! check, seal and keep nothing themselves.

use super::{
    edit::Edit,
    headers,
    secrets::{Forge, Text},
    shape::{EndpointPatch, SecretType},
    store::{self, check_compiles, check_event_types, known_profile, refused},
};
use crate::{
    api::{Api, Patch, Problem},
    crypto::fingerprint,
    model::{Address, Endpoint, EndpointId, Filter, Kind, Record, RequestMethod, RetryPolicy, Sealed, System},
    routing::{AppRoutes, CompiledProfile, HEADER_PURPOSE},
    store::{Change, StoreError, Stored},
};
use http::HeaderName;
use std::{
    collections::{BTreeMap, HashSet},
    mem::take,
    time::Duration,
};

/// How often a change that others cross is tried.
const TRIES: usize = 8;
/// Bytes of a secret that its owner brings.
const GIVEN_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// Digits of a URL's fingerprint in the uid of its endpoint.
const UID_DIGITS: usize = 32;

/// Whose endpoints they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brand<'a> {
    /// The system.
    pub(crate) system: System,
    /// The profile of its new endpoints.
    pub(crate) profile: &'a str,
    /// Whether it has one endpoint a URL, which can be named by it.
    pub(crate) by_url: bool,
    /// Event types that may be subscribed to without being in the catalogue.
    pub(crate) uncatalogued: fn(&str) -> bool,
}

/// What an endpoint is to be. `None`: as it is; of a new one, the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) uid: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) events: Option<Vec<String>>,
    pub(crate) enabled: Option<bool>,
    pub(crate) method: Option<RequestMethod>,
    pub(crate) headers: Option<BTreeMap<String, String>>,
    pub(crate) retry_policy: Option<Option<RetryPolicy>>,
    pub(crate) filter: Option<Option<Filter>>,
    pub(crate) secret: Option<String>,
}

impl Wish {
    /// A new endpoint, not yet stored, and its secret if one was made for it.
    ///
    /// # Errors
    /// A field breaks its rule; the application is full; the store is away.
    pub(crate) async fn make(mut self, api: &Api, app: &AppRoutes, brand: Brand<'_>) -> Result<(Endpoint, Option<Text>), Problem> {
        let missing = |field: &str| Err(Problem::field(&["body", field], "missing", format!("missing field `{field}`")));
        match (&self.url, &self.events) {
            (None, _) => return missing("url"),
            (_, None) => return missing("eventTypes"),
            _ => store::room(app)?,
        }
        let forge = api.forge();
        let given = self.secret.take();
        let profile = known_profile(api, app.application.org, brand.profile)?;
        let text = secret(&forge, given.as_deref(), &profile)?;
        let owner = (app.application.org, app.application.id, EndpointId(forge.random.id(forge.now)));
        let mut endpoint = Endpoint::new(owner, "", forge.now);
        endpoint.system = Some(brand.system);
        endpoint.profile = Some(brand.profile.to_owned());
        endpoint.secrets = vec![forge.seal(&text)?];
        let endpoint = self.applied(api, app, brand, &endpoint).await?;
        Ok((endpoint, given.is_none().then_some(text)))
    }

    /// The endpoint as it is wished. What is so already stays, to the byte: an endpoint that equals the one before needs no
    /// change.
    ///
    /// # Errors
    /// A field breaks its rule; the store is away.
    pub(crate) async fn applied(
        mut self,
        api: &Api,
        app: &AppRoutes,
        brand: Brand<'_>,
        before: &Endpoint,
    ) -> Result<Endpoint, Problem> {
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::field(&["body", "eventTypes"], "length", "At least one."));
        }
        let edit = Edit::patch(EndpointPatch {
            url: Patch::given(take(&mut self.url)),
            uid: Patch::given(take(&mut self.uid)),
            description: Patch::given(take(&mut self.description)),
            event_types: Patch::given(self.events.clone()),
            disabled: Patch::given(self.enabled.map(|enabled| !enabled)),
            ..EndpointPatch::default()
        })?;
        let free = self.events.into_iter().flatten().filter(|name| (brand.uncatalogued)(name));
        let known: Vec<String> = before.event_types.iter().flatten().cloned().chain(free).collect();
        check_event_types(api, app, &edit, Some(&known)).await?;
        let forge = api.forge();
        let profile = api.engine.routing.profile_of(&app.application, before).map_err(refused)?;
        let mut endpoint = before.clone();
        edit.apply(&mut endpoint, before.updated_at);
        set(&mut endpoint.name, self.name.map(Some));
        set(&mut endpoint.method, self.method.map(Some));
        set(&mut endpoint.filter, self.filter);
        if let Some(policy) = self.retry_policy {
            policy.iter().try_for_each(check_policy)?;
            endpoint.retry_policy = policy;
        }
        if let Some(headers) = self.headers
            && !holds(api, &endpoint.headers, &headers)
        {
            unsigned(&headers, &profile)?;
            endpoint.headers = headers::seal(headers, forge.vault, forge.random)?;
        }
        if let Some(given) = self.secret {
            let text = secret(&forge, Some(&given), &profile)?;
            forge.rotate(&mut endpoint, &text, Duration::ZERO)?;
        }
        if endpoint != *before {
            endpoint.updated_at = forge.now;
            check_compiles(api, app, &endpoint)?;
        }
        Ok(endpoint)
    }
}

/// The text of the secret: as it is given, or a new one.
fn secret(forge: &Forge<'_>, given: Option<&str>, profile: &CompiledProfile) -> Result<Text, Problem> {
    let good = |text: &str| text.trim() == text && !text.contains(char::is_control) && GIVEN_BYTES.contains(&text.len());
    if given.is_some_and(|given| !good(given)) {
        let rule = format!("{} to {} bytes of text in one line.", GIVEN_BYTES.start(), GIVEN_BYTES.end());
        return Err(Problem::field(&["body", "secret"], "length", rule));
    }
    forge.text("secret", given, SecretType::Hmac, profile)
}

/// Refuses headers that the profile writes: a custom one would never be sent.
fn unsigned(headers: &BTreeMap<String, String>, profile: &CompiledProfile) -> Result<(), Problem> {
    let written = headers.keys().find(|name| HeaderName::try_from(name.as_str()).is_ok_and(|name| profile.writes(&name)));
    let rule = "This header is set for every delivery, and cannot be custom.";
    written.map_or(Ok(()), |name| Err(Problem::field(&["body", "headers", name], "pattern", rule)))
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn check_policy(policy: &RetryPolicy) -> Result<(), Problem> {
    policy.check().map_err(|rule| Problem::field(&["body", "retryPolicy"], "range", rule))
}

/// One of the endpoints that are put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Put {
    /// Which one it is. `None`: the one with the wished URL, or a new one.
    pub(crate) id: Option<EndpointId>,
    /// What it is to be.
    pub(crate) wish: Wish,
}

/// An endpoint that was put.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// The endpoint as it is now.
    pub(crate) endpoint: Endpoint,
    /// The secret that was made for it.
    pub(crate) made: Option<Text>,
}

/// Makes or updates endpoints, all or none. A system has one endpoint a URL here; what is so already is not written.
///
/// # Errors
/// An entry breaks a rule: its number and the problem; 409 when others were first every time; the store is away.
pub(crate) async fn put_all(api: &Api, app: &AppRoutes, brand: Brand<'_>, puts: &[Put]) -> Result<Vec<Placed>, (usize, Problem)> {
    for _ in 0..TRIES {
        let (mut placed, mut changes, mut met) = (Vec::with_capacity(puts.len()), Vec::new(), HashSet::new());
        for (number, put) in puts.iter().enumerate() {
            let (entry, change) = place(api, app, brand, put).await.map_err(|problem| (number, problem))?;
            if brand.by_url && !met.insert(entry.endpoint.uid.clone()) {
                return Err((number, Problem::field(&["body", "url"], "unique", "An earlier entry has this URL.")));
            }
            changes.extend(change);
            placed.push(entry);
        }
        let new = changes.iter().filter(|change| matches!(change, Change::Insert(_))).count();
        store::room_for(app, new).map_err(|problem| (0, problem))?;
        if changes.is_empty() {
            return Ok(placed);
        }
        match api.engine.change(changes).await {
            Ok(()) => return Ok(placed),
            // Changed, or made, by somebody else at the same moment.
            Err(StoreError::Stale | StoreError::Conflict(_)) => {}
            Err(error) => return Err((0, error.into())),
        }
    }
    Err((0, Problem::conflict("Another endpoint has this URL, or they are changed at the same moment; read them and try again.")))
}

async fn place(api: &Api, app: &AppRoutes, brand: Brand<'_>, put: &Put) -> Result<(Placed, Option<Change>), Problem> {
    let mut wish = put.wish.clone();
    wish.uid = wish.url.as_ref().filter(|_| brand.by_url).map(|url| uid_of(brand.system, url));
    let id = app.application.id;
    let address = match (put.id, &wish.uid) {
        (Some(endpoint), _) => Some(Address::endpoint(id, endpoint)),
        (None, Some(uid)) => Some(Address::new(Kind::Endpoint, id, uid)),
        (None, None) => None,
    };
    let found = match &address {
        Some(address) => api.engine.store.find(address, api.engine.clock.now()).await?,
        None => None,
    };
    match found {
        Some(Stored { record: Record::Endpoint(before), revision }) if before.system == Some(brand.system) => {
            let endpoint = wish.applied(api, app, brand, &before).await?;
            let change = (endpoint != before).then(|| Change::Replace(Record::Endpoint(endpoint.clone()), revision));
            Ok((Placed { endpoint, made: None }, change))
        }
        _ if put.id.is_some() => Err(Problem::not_found("endpoint")),
        _ => {
            let (endpoint, made) = wish.make(api, app, brand).await?;
            let change = Change::Insert(Record::Endpoint(endpoint.clone()));
            Ok((Placed { endpoint, made }, Some(change)))
        }
    }
}

/// Makes an endpoint as it is wished.
///
/// # Errors
/// As [`Wish::make`].
pub(crate) async fn insert_made(api: &Api, app: &AppRoutes, brand: Brand<'_>, wish: Wish) -> Result<Placed, Problem> {
    let (endpoint, made) = wish.make(api, app, brand).await?;
    api.engine.change(vec![Change::Insert(Record::Endpoint(endpoint.clone()))]).await?;
    Ok(Placed { endpoint, made })
}

/// Changes an endpoint to what is wished; again, when it was changed in between.
///
/// # Errors
/// As [`Wish::applied`]; it is gone; 409 when others were first every time.
pub(crate) async fn revise_wished(
    api: &Api,
    app: &AppRoutes,
    brand: Brand<'_>,
    id: EndpointId,
    wish: &Wish,
) -> Result<Endpoint, Problem> {
    let put = Put { id: Some(id), wish: wish.clone() };
    let mut placed = put_all(api, app, brand, &[put]).await.map_err(|(_, problem)| problem)?;
    placed.pop().map(|placed| placed.endpoint).ok_or_else(|| Problem::not_found("endpoint"))
}

/// The name by which a system's endpoint with this URL is found, and which no second one can have.
fn uid_of(system: System, url: &str) -> String {
    let digest = fingerprint(url.trim().as_bytes());
    format!("{system}-{}", digest.get(..UID_DIGITS).unwrap_or(&digest))
}

/// Whether the sealed headers are these already.
fn holds(api: &Api, sealed: &BTreeMap<String, Sealed>, headers: &BTreeMap<String, String>) -> bool {
    sealed.len() == headers.len()
        && headers.iter().all(|(name, value)| {
            let kept = sealed.get(&name.to_ascii_lowercase());
            kept.and_then(|kept| api.engine.vault.open_text(HEADER_PURPOSE, kept).ok()).is_some_and(|kept| **kept == **value)
        })
}
