//! The nouns, and what is true of them alone. No I/O, no clock, no chance.

mod alert;
mod application;
mod attempt;
mod audit;
mod branding;
mod catch_up;
mod credentials;
mod delivery;
mod endpoint;
mod erasure;
mod event_type;
mod filter;
mod headers;
mod id;
mod message;
mod order;
mod outcome;
mod policy;
mod profile;
mod record;
mod replay;
mod retention;
mod source;
mod stringify;
mod system;
mod time;
mod token;
mod user;
mod words;

pub use alert::{Alert, AlertState, Condition, Ended, Incident, Mail, Notice, NoticeLine, Telling};
pub use application::{Application, Metadata, OPERATIONAL_UID};
pub use attempt::Attempt;
pub use audit::{AuditAction, AuditActor, AuditEntry, AuditUser};
pub use branding::{Color, Logo, LogoKind, MAX_BRAND_NAME, MAX_ORIGINS, OwnBranding, read_origin};
pub use catch_up::CatchUp;
pub use credentials::{Authentication, ClientCertificate, ClientGrant, Credentials, Hidden, OutgoingProxy, Placement, ResolvedBy};
pub use delivery::{Delivery, DeliveryState, Trigger, Verdict};
pub use endpoint::{CATEGORY, DisabledBy, Endpoint, RequestMethod, Sealed, Secret};
pub use erasure::{Doomed, Erasure};
pub use event_type::EventType;
pub use filter::{Filter, FilterError, Finding, MAX_FILTER_BYTES, MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, PayloadPath};
pub use headers::{Headers, is_of_the_connection};
pub use id::{
    AlertId, AppId, AttemptId, AuditId, DeliveryId, EndpointId, EventTypeId, KeyId, MsgId, NotAnId, NoticeId, OrgId, RejectionId,
    SessionId, SourceId, TaskId, UserId, next_number,
};
pub use message::Message;
pub use order::{MAX_ORDERING_KEY, Order, OrderKey};
pub use outcome::{AddressClass, Cause, Outcome, Phases};
pub use policy::{Backoff, MAX_DELAY_S, RetryPolicy};
pub use profile::{
    BUILT_IN_PROFILES, DEFAULT_PROFILE, DefaultEvents, Defaults, Envelope, Facts, Field, Finals, HandshakeOrigin,
    MAX_ENVELOPE_BYTES, MAX_PROFILE_NAME, MAX_TEMPLATE_BYTES, OwnProfile, PROFILE_NAME_PATTERN, Profile, ProfileError, Template,
    built_in, check_profile_name,
};
pub use record::{Address, Answered, Failing, Kind, Organization, Purge, Record, Rotation};
pub use replay::{Replay, ReplayState, ReplayStatus, ReplayTask, Selection};
pub use retention::Retention;
pub use source::{Closed, Duplicates, IGNORED_TAG, Origin, RECEIVED_UID, Rejection, Seen, Source, SourceAnswer, SourceScheme};
pub use stringify::stringify;
pub use system::System;
pub use time::{LATEST, Time};
pub use token::{Grant, Scope, Token};
pub use user::{Identity, Opens, Role, Session, Triage, TriageState, User};
pub use words::{SEEN_PATTERN, is_unseen};
