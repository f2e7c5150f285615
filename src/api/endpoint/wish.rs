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
    api::{Api, Patch, Problem, rules::Check},
    crypto::fingerprint,
    model::{Address, Backoff, Endpoint, EndpointId, Kind, Record, RequestMethod, Sealed, System},
    routing::{AppRoutes, CompiledProfile, HEADER_PURPOSE},
    store::{Change, StoreError, Stored},
};
use http::HeaderName;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

/// How often a change that others cross is tried.
const TRIES: usize = 8;
/// Bytes of a secret that its owner brings.
const GIVEN_BYTES: std::ops::RangeInclusive<usize> = 8..=256;
/// The longest title, in characters.
const MAX_TITLE: usize = 256;
/// Digits of a URL's fingerprint in the uid of its endpoint.
const UID_DIGITS: usize = 32;

/// Whose endpoints they are, and what is particular to them.
#[derive(Clone, Debug)]
pub(crate) struct Brand {
    /// The system.
    pub(crate) system: System,
    /// The profile of its new endpoints.
    pub(crate) profile: String,
    /// Its rules.
    pub(crate) rules: BrandRules,
}

/// What is particular to the endpoints of a system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrandRules {
    /// Whether it has one endpoint a URL, which can be named by it.
    pub(crate) by_url: bool,
    /// Whether a new one says which events it wants; otherwise, without a word, all.
    pub(crate) names_events: bool,
    /// Event types that may be subscribed to without being in the catalogue.
    pub(crate) uncatalogued: fn(&str) -> bool,
}

/// What an endpoint is to be. `None` and `Absent`: as it is; of a new one, the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Where deliveries go.
    pub(crate) url: Option<String>,
    /// A title.
    pub(crate) name: Option<String>,
    /// For people.
    pub(crate) description: Option<String>,
    /// Event types, patterns of them and categories.
    pub(crate) events: Option<Vec<String>>,
    /// Channels.
    pub(crate) channels: Option<Vec<String>>,
    /// Whether it gets deliveries.
    pub(crate) enabled: Option<bool>,
    /// The method of its deliveries.
    pub(crate) method: Option<RequestMethod>,
    /// All its custom headers.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Of headers that are replaced, the names of those that stay as they are.
    pub(crate) kept_headers: Vec<String>,
    /// How often and at what growing pace failed deliveries are tried again, where that differs from the profile; null: as
    /// the profile says.
    pub(crate) retries: Patch<(Option<u32>, Option<Backoff>)>,
    /// What payloads must be like, as it is written; null: anything.
    pub(crate) filter: Patch<Value>,
    /// Its secret, in place of one that is made.
    pub(crate) secret: Option<String>,
}

impl Wish {
    /// A new endpoint, not yet stored, and its secret if one was made for it.
    ///
    /// # Errors
    /// A field breaks its rule; the application is full; the store is away.
    pub(crate) async fn make(self, api: &Api, app: &AppRoutes, brand: &Brand) -> Result<(Endpoint, Option<Text>), Problem> {
        self.make_named(api, app, (brand, None)).await
    }

    async fn make_named(
        mut self,
        api: &Api,
        app: &AppRoutes,
        (brand, uid): (&Brand, Option<String>),
    ) -> Result<(Endpoint, Option<Text>), Problem> {
        let missing = |field: &str| Err(Problem::field(&["body", field], "missing", "A new one needs it."));
        match (&self.url, &self.events) {
            (None, _) => return missing("url"),
            (_, None) if brand.rules.names_events => return missing("eventTypes"),
            _ => store::room(app)?,
        }
        let forge = api.forge();
        let given = self.secret.take();
        let profile = known_profile(api, app.application.org, &brand.profile)?;
        let text = secret(&forge, given.as_deref(), &profile)?;
        let owner = (app.application.org, app.application.id, EndpointId(forge.random.id(forge.now)));
        let mut endpoint = Endpoint::new(owner, "", forge.now);
        endpoint.uid = uid;
        endpoint.system = Some(brand.system);
        endpoint.profile = Some(brand.profile.clone());
        endpoint.secrets = vec![forge.seal(&text)?];
        self.enabled.get_or_insert(profile.defaults.enabled);
        let endpoint = self.applied(api, app, (brand, &endpoint)).await?;
        Ok((endpoint, given.is_none().then_some(text)))
    }

    /// The endpoint as it is wished. What is so already stays, to the byte: an endpoint that equals the one before needs no
    /// change.
    ///
    /// # Errors
    /// A field breaks its rule; the store is away.
    pub(crate) async fn applied(
        self,
        api: &Api,
        app: &AppRoutes,
        (brand, before): (&Brand, &Endpoint),
    ) -> Result<Endpoint, Problem> {
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::field(&["body", "eventTypes"], "length", "At least one."));
        }
        let free = self.events.iter().flatten().filter(|name| (brand.rules.uncatalogued)(name)).cloned();
        let known: Vec<String> = before.event_types.iter().flatten().cloned().chain(free).collect();
        let edit = Edit::patch(EndpointPatch {
            url: Patch::given(self.url),
            description: Patch::given(self.description),
            event_types: Patch::given(self.events),
            channels: Patch::given(self.channels),
            disabled: Patch::given(self.enabled.map(|enabled| !enabled)),
            filter: self.filter,
            method: Patch::given(self.method),
            ..EndpointPatch::default()
        })?;
        check_event_types(api, app, &edit, Some(&known)).await?;
        let forge = api.forge();
        let profile = api.engine.routing.profile_of(&app.application, before).map_err(refused)?;
        let mut endpoint = before.clone();
        edit.apply(&mut endpoint, before.updated_at);
        if let Some(name) = self.name {
            endpoint.name = Some(title(&name)?);
        }
        let documented = profile.profile.retry_policy.clone().unwrap_or_default();
        let retries = self.retries.map(|(retries, growth)| documented.adapted(retries, growth));
        if let Some(policy) = retries.value() {
            policy.check().map_err(|rule| Problem::field(&["body", "retryPolicy"], "range", rule))?;
        }
        retries.apply(&mut endpoint.retry_policy);
        if let Some(wanted) = self.headers {
            let is_kept = |name: &str| self.kept_headers.iter().any(|one| one.eq_ignore_ascii_case(name));
            let is_given = |name: &str| wanted.keys().any(|one| one.eq_ignore_ascii_case(name));
            let (kept, other) = endpoint.headers.into_iter().partition(|(name, _)| is_kept(name) && !is_given(name));
            endpoint.headers = match holds(api, &other, &wanted) {
                true => other,
                false => {
                    unsigned(&wanted, &profile)?;
                    headers::seal(wanted, forge.vault, forge.random)?
                }
            };
            headers::add(&mut endpoint.headers, kept)?;
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

/// A title without the blanks around it.
fn title(text: &str) -> Result<String, Problem> {
    let mut check = Check::new();
    check.title(&["body", "name"], text.trim(), 1..=MAX_TITLE);
    check.done().map(|()| text.trim().to_owned())
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
pub(crate) async fn put_all(api: &Api, app: &AppRoutes, brand: &Brand, puts: &[Put]) -> Result<Vec<Placed>, (usize, Problem)> {
    for _ in 0..TRIES {
        let (mut placed, mut changes, mut met) = (Vec::with_capacity(puts.len()), Vec::new(), HashSet::new());
        for (number, put) in puts.iter().enumerate() {
            let (entry, change) = place(api, app, brand, put).await.map_err(|problem| (number, problem))?;
            if brand.rules.by_url && !met.insert(entry.endpoint.uid.clone()) {
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

async fn place(api: &Api, app: &AppRoutes, brand: &Brand, put: &Put) -> Result<(Placed, Option<Change>), Problem> {
    let wish = put.wish.clone();
    let uid = wish.url.as_ref().filter(|_| brand.rules.by_url).map(|url| uid_of(brand.system, url));
    let id = app.application.id;
    let address = match (put.id, &uid) {
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
            let named = Endpoint { uid: uid.or_else(|| before.uid.clone()), ..before.clone() };
            let endpoint = wish.applied(api, app, (brand, &named)).await?;
            let change = (endpoint != before).then(|| Change::Replace(Record::Endpoint(endpoint.clone()), revision));
            Ok((Placed { endpoint, made: None }, change))
        }
        _ if put.id.is_some() => Err(Problem::not_found("endpoint")),
        _ => {
            let (endpoint, made) = wish.make_named(api, app, (brand, uid)).await?;
            let change = Change::Insert(Record::Endpoint(endpoint.clone()));
            Ok((Placed { endpoint, made }, Some(change)))
        }
    }
}

/// Changes an endpoint to what is wished; again, when it was changed in between.
///
/// # Errors
/// As [`Wish::applied`]; it is gone; 409 when others were first every time.
pub(crate) async fn revise_wished(
    api: &Api,
    app: &AppRoutes,
    brand: &Brand,
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
