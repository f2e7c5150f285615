//! Records: everything that is configured rather than flowing. One envelope for all kinds, so that a store keeps them
//! with one set of verbs, and a new kind costs a store nothing.

use super::{
    Alert, AlertId, AlertState, AppId, Application, AuditEntry, CatchUp, Duplicates, Endpoint, EndpointId, Erasure, EventType,
    Identity, KeyId, Notice, NoticeId, OrgId, OwnBranding, OwnProfile, Rejection, Replay, Retention, Sealed, Seen, Session, Source,
    SourceId, TaskId, Time, Token, Triage, User,
};
use serde::{Deserialize, Serialize};

/// Declares [`Kind`] with a list that no kind can be missing from.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a record is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, an owner before what it owns.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];
        }
    };
}

kinds! {
    /// [`Organization`]
    Organization,
    /// [`Token`]
    Token,
    /// [`OwnProfile`]
    Profile,
    /// [`AuditEntry`]
    Audit,
    /// [`Rotation`]
    Rotation,
    /// [`EventType`]
    EventType,
    /// [`Application`]
    Application,
    /// [`Endpoint`]
    Endpoint,
    /// [`Source`]
    Source,
    /// [`Failing`]
    Failing,
    /// [`Purge`]
    Purge,
    /// [`Answered`]
    Answered,
    /// [`Seen`]
    Seen,
    /// [`Rejection`]
    Rejection,
    /// [`Retention`]
    Retention,
    /// [`CatchUp`]
    CatchUp,
    /// [`Replay`]
    Replay,
    /// [`Erasure`]
    Erasure,
    /// [`User`]
    User,
    /// [`Session`]
    Session,
    /// [`Triage`]
    Triage,
    /// [`Identity`]
    Identity,
    /// [`Alert`]
    Alert,
    /// [`AlertState`]
    AlertState,
    /// [`Notice`]
    Notice,
    /// [`Duplicates`]
    Duplicates,
    /// [`OwnBranding`]
    Branding,
}

/// Owner of everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// Identifier.
    pub id: OrgId,
    /// For people.
    pub name: String,
    /// How deliveries look and behave unless an application or an endpoint says so itself. `None`: as `standard`.
    pub profile: Option<String>,
    /// The proxy through which its requests leave: [`super::OutgoingProxy`], encrypted.
    pub proxy: Option<Sealed>,
    /// When it was made.
    pub created_at: Time,
}

/// The answer that a request with an `Idempotency-Key` got, kept so that its repetition gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Owner.
    pub org: OrgId,
    /// SHA-256 over token, method, path and key, hex.
    pub key: String,
    /// SHA-256 of the request's body, hex: the same key with another body is refused.
    pub request: String,
    /// Status of the answer.
    pub status: u16,
    /// JSON body of the answer, as text; empty when it has none.
    pub body: String,
    /// From when on the key may be used anew.
    pub expires_at: Time,
}

/// An endpoint that has failed since its last success. Written at the first failure, deleted by the next success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Its application.
    pub app: AppId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// When the first failed attempt ended.
    pub since: Time,
    /// Whether `message.attempt.failing`-style warnings about the coming disablement were sent.
    pub warned: bool,
}

/// Flowing data left to be deleted after its endpoint or application was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// The application.
    pub app: AppId,
    /// The endpoint; `None` purges the application's messages too.
    pub endpoint: Option<EndpointId>,
    /// When it was ordered: what was on its way then may arrive later.
    pub ordered_at: Time,
}

/// A master key that is taking the place of another, or the last one that did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The new key's text: sealed under the old one, and once it has ended, under itself.
    pub key: Sealed,
    /// When it began.
    pub began_at: Time,
    /// Whether all is sealed under the new key. Until then both are needed.
    #[serde(default)]
    pub ended: bool,
}

/// A record of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// An organization.
    Organization(Organization),
    /// An application.
    Application(Application),
    /// An endpoint.
    Endpoint(Endpoint),
    /// An event type.
    EventType(EventType),
    /// A token.
    Token(Token),
    /// An answer kept for its repetition.
    Answered(Answered),
    /// A failing endpoint.
    Failing(Failing),
    /// Data to be deleted.
    Purge(Purge),
    /// A source.
    Source(Source),
    /// An event that a source has had.
    Seen(Seen),
    /// A refused request.
    Rejection(Rejection),
    /// A profile of an organization's own.
    Profile(Box<OwnProfile>),
    /// A replay.
    Replay(Box<Replay>),
    /// An erasure.
    Erasure(Box<Erasure>),
    /// How long messages are kept.
    Retention(Retention),
    /// An endpoint that is catching up.
    CatchUp(CatchUp),
    /// A change of configuration.
    Audit(AuditEntry),
    /// A master key that is taking the place of another.
    Rotation(Rotation),
    /// A user.
    User(User),
    /// A user's session.
    Session(Session),
    /// An issue that somebody has seen.
    Triage(Triage),
    /// A user as an identity provider knows them.
    Identity(Identity),
    /// A rule that tells how endpoints do.
    Alert(Box<Alert>),
    /// How such a rule stands.
    AlertState(Box<AlertState>),
    /// What such a rule had to tell.
    Notice(Box<Notice>),
    /// How many events a source has had more than once.
    Duplicates(Duplicates),
    /// How an organization's portal looks.
    Branding(Box<OwnBranding>),
}

/// Where a record is kept: its kind, its parent and its key within the parent. Lists are in the order of `key`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// What it is.
    pub kind: Kind,
    /// The parent's id, or empty for what has none.
    pub scope: String,
    /// Unique within kind and scope.
    pub key: String,
}

impl Address {
    /// An address from its parts.
    pub fn new(kind: Kind, scope: impl ToString, key: impl ToString) -> Self {
        Address { kind, scope: scope.to_string(), key: key.to_string() }
    }

    /// Of an application.
    #[must_use]
    pub fn application(org: OrgId, app: AppId) -> Self {
        Address::new(Kind::Application, org, app)
    }

    /// Of an endpoint.
    #[must_use]
    pub fn endpoint(app: AppId, endpoint: EndpointId) -> Self {
        Address::new(Kind::Endpoint, app, endpoint)
    }

    /// Of an event type.
    #[must_use]
    pub fn event_type(org: OrgId, name: &str) -> Self {
        Address::new(Kind::EventType, org, name)
    }

    /// Of a source.
    #[must_use]
    pub fn source(org: OrgId, source: SourceId) -> Self {
        Address::new(Kind::Source, org, source)
    }

    /// Of a profile of the organization's own.
    #[must_use]
    pub fn profile(org: OrgId, name: &str) -> Self {
        Address::new(Kind::Profile, org, name)
    }

    /// Of a replay.
    #[must_use]
    pub fn replay(org: OrgId, replay: TaskId) -> Self {
        Address::new(Kind::Replay, org, replay)
    }

    /// Of an erasure.
    #[must_use]
    pub fn erasure(org: OrgId, erasure: TaskId) -> Self {
        Address::new(Kind::Erasure, org, erasure)
    }

    /// Of an organization's retention, or an application's.
    #[must_use]
    pub fn retention(org: OrgId, app: Option<AppId>) -> Self {
        Address::new(Kind::Retention, org, app.map(|app| app.to_string()).unwrap_or_default())
    }

    /// Of an endpoint's catch-up.
    #[must_use]
    pub fn catch_up(app: AppId, endpoint: EndpointId) -> Self {
        Address::new(Kind::CatchUp, app, endpoint)
    }

    /// Of the one rotation that there can be.
    #[must_use]
    pub fn rotation() -> Self {
        Address::new(Kind::Rotation, "", "current")
    }

    /// Of a rule that tells how endpoints do.
    #[must_use]
    pub fn alert(org: OrgId, alert: AlertId) -> Self {
        Address::new(Kind::Alert, org, alert)
    }

    /// Of how such a rule stands.
    #[must_use]
    pub fn alert_state(org: OrgId, alert: AlertId) -> Self {
        Address::new(Kind::AlertState, org, alert)
    }

    /// Of what such a rule had to tell.
    #[must_use]
    pub fn notice(alert: AlertId, notice: NoticeId) -> Self {
        Address::new(Kind::Notice, alert, notice)
    }

    /// Of a user as an identity provider knows them.
    #[must_use]
    pub fn identity(key: &str) -> Self {
        Address::new(Kind::Identity, "", key)
    }

    /// Of how many events a source has had more than once.
    #[must_use]
    pub fn duplicates(source: SourceId) -> Self {
        Address::new(Kind::Duplicates, source, "")
    }

    /// Of how an organization's portal looks.
    #[must_use]
    pub fn branding(org: OrgId) -> Self {
        Address::new(Kind::Branding, org, "")
    }

    /// Of a token.
    #[must_use]
    pub fn token(org: OrgId, key: KeyId) -> Self {
        Address::new(Kind::Token, org, key)
    }
}

impl Record {
    /// Where it is kept.
    #[must_use]
    pub fn address(&self) -> Address {
        match self {
            Record::Organization(r) => Address::new(Kind::Organization, "", r.id),
            Record::Application(r) => Address::application(r.org, r.id),
            Record::Endpoint(r) => Address::endpoint(r.app, r.id),
            Record::EventType(r) => Address::event_type(r.org, &r.name),
            Record::Token(r) => Address::token(r.org, r.id),
            Record::Answered(r) => Address::new(Kind::Answered, r.org, &r.key),
            Record::Failing(r) => Address::new(Kind::Failing, r.app, r.endpoint),
            Record::Purge(r) => Address::new(Kind::Purge, r.app, r.endpoint.map(|e| e.to_string()).unwrap_or_default()),
            Record::Source(r) => Address::source(r.org, r.id),
            Record::Seen(r) => Address::new(Kind::Seen, r.source, &r.key),
            Record::Rejection(r) => Address::new(Kind::Rejection, r.source, r.id),
            Record::Profile(r) => Address::profile(r.org, &r.name),
            Record::Replay(r) => Address::replay(r.org, r.id),
            Record::Erasure(r) => Address::erasure(r.org, r.id),
            Record::Retention(r) => Address::retention(r.org, r.app),
            Record::CatchUp(r) => Address::catch_up(r.app, r.endpoint),
            Record::Audit(r) => Address::new(Kind::Audit, r.org, r.id),
            Record::Rotation(_) => Address::rotation(),
            Record::User(r) => Address::new(Kind::User, r.org, r.id),
            Record::Session(r) => Address::new(Kind::Session, r.org, r.id),
            Record::Triage(r) => Address::new(Kind::Triage, r.org, format!("{}.{}", r.endpoint, r.cause)),
            Record::Identity(r) => Address::identity(&r.key),
            Record::Alert(r) => Address::alert(r.org, r.id),
            Record::AlertState(r) => Address::alert_state(r.org, r.alert),
            Record::Notice(r) => Address::notice(r.alert, r.id),
            Record::Duplicates(r) => Address::duplicates(r.source),
            Record::Branding(r) => Address::branding(r.org),
        }
    }

    /// A second name, unique among records of its kind within the returned scope: an owner's uid, a token's hash (unique
    /// everywhere, hence the empty scope).
    #[must_use]
    pub fn alias(&self) -> Option<(String, &str)> {
        match self {
            Record::Application(r) => r.uid.as_deref().map(|uid| (r.org.to_string(), uid)),
            Record::Endpoint(r) => r.uid.as_deref().map(|uid| (r.app.to_string(), uid)),
            Record::Token(r) => Some((String::new(), &r.hash)),
            Record::Source(r) => r.uid.as_deref().map(|uid| (r.owner(), uid)),
            Record::User(r) => Some((r.org.to_string(), &r.login)),
            Record::Session(r) => Some((String::new(), &r.hash)),
            _ => None,
        }
    }

    /// From when on the store treats it as absent and may delete it.
    #[must_use]
    pub fn expires_at(&self) -> Option<Time> {
        match self {
            Record::Token(r) => r.expires_at,
            Record::Answered(r) => Some(r.expires_at),
            Record::Seen(r) => Some(r.expires_at),
            Record::Rejection(r) => Some(r.expires_at),
            Record::Replay(r) => r.expires_at,
            Record::Audit(r) => Some(r.expires_at),
            Record::Session(r) => Some(r.expires_at),
            Record::Notice(r) => Some(r.expires_at),
            Record::Duplicates(r) => Some(r.expires_at),
            _ => None,
        }
    }
}
