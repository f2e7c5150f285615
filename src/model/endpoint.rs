//! An endpoint: a URL that receives an application's messages.

use super::{AppId, EndpointId, Filter, Metadata, Order, OrgId, RetryPolicy, System, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Stands before a category among the event types that an endpoint wants: `category:billing`. No event type's name has a
/// colon.
pub const CATEGORY: &str = "category:";

/// Bytes that the vault has encrypted; nothing else can read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub String);

/// A signing secret, as stored: the text that its owner sees (`whsec_…`, `whsk_…`), encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The secret's text, encrypted.
    pub sealed: Sealed,
    /// When it was made.
    pub created_at: Time,
    /// From when on it signs no longer. `None`: the current one.
    pub expires_at: Option<Time>,
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledBy {
    /// Its owner asked for it.
    Owner,
    /// It failed throughout the disabling period.
    Failing,
    /// It answered `410 Gone`.
    Gone,
}

/// The method of an endpoint's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RequestMethod {
    /// `POST`, unless an endpoint says otherwise.
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
}

/// A URL that receives an application's messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Identifier.
    pub id: EndpointId,
    /// Its application.
    pub app: AppId,
    /// Owner of the application.
    pub org: OrgId,
    /// The owner's own name for it, unique in the application.
    pub uid: Option<String>,
    /// Where deliveries go, absolute, `http` or `https`, without user information.
    pub url: String,
    /// A short title for people.
    pub name: Option<String>,
    /// For people.
    pub description: String,
    /// Event types it wants: names, `*` for all, a name with a star at its end (`reward.*`) for all that begin so, or a
    /// category (`category:billing`) for all that the catalogue puts there. `None`: all.
    pub event_types: Option<Vec<String>>,
    /// Channels it wants; a message must carry at least one of them. `None`: messages of any channel or none.
    pub channels: Option<Vec<String>>,
    /// What the payload must be like. `None`: anything.
    pub filter: Option<Filter>,
    /// Whether deliveries are held, and why.
    pub disabled: Option<DisabledBy>,
    /// Deliveries a second at most. `None`: the application's limit.
    pub throttle_rate: Option<u16>,
    /// Attempts at once at most. `None`: as many as it answers well.
    pub concurrency: Option<u16>,
    /// Which of its deliveries go one after the other. `None`: none has to.
    pub ordering: Option<Order>,
    /// The owner's notes.
    pub metadata: Metadata,
    /// Custom headers: names in lower case, values encrypted.
    pub headers: BTreeMap<String, Sealed>,
    /// How deliveries prove who sends them: [`super::Credentials`], encrypted.
    pub credentials: Option<Sealed>,
    /// Signing secrets, the current one last.
    pub secrets: Vec<Secret>,
    /// How its deliveries look and behave: a built-in profile or one of the organization's own. `None`: as the application
    /// says, else the organization, else `standard`.
    pub profile: Option<String>,
    /// The method of its deliveries. `None`: as its profile says, else `POST`.
    pub method: Option<RequestMethod>,
    /// The documented surface that made it. `None`: the engine's own.
    pub system: Option<System>,
    /// Its own retry policy.
    pub retry_policy: Option<RetryPolicy>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

impl Endpoint {
    /// An endpoint with nothing but an address: it gets every message of its application as its profile says, once it has
    /// a secret.
    #[must_use]
    pub fn new((org, app, id): (OrgId, AppId, EndpointId), url: impl Into<String>, now: Time) -> Self {
        Endpoint {
            id,
            app,
            org,
            uid: None,
            url: url.into(),
            name: None,
            description: String::new(),
            event_types: None,
            channels: None,
            filter: None,
            disabled: None,
            throttle_rate: None,
            concurrency: None,
            ordering: None,
            metadata: Metadata::new(),
            headers: BTreeMap::new(),
            credentials: None,
            secrets: Vec::new(),
            profile: None,
            method: None,
            system: None,
            retry_policy: None,
            created_at: now,
            updated_at: now,
        }
    }
}
