//! The nouns, and what is true of them alone. No I/O, no clock, no chance.

mod application;
mod attempt;
mod delivery;
mod endpoint;
mod event_type;
mod headers;
mod id;
mod message;
mod outcome;
mod policy;
mod profile;
mod record;
mod source;
mod time;
mod token;

pub use application::{Application, Metadata, OPERATIONAL_UID};
pub use attempt::Attempt;
pub use delivery::{Delivery, DeliveryState, Trigger, Verdict};
pub use endpoint::{DisabledBy, Endpoint, Sealed, Secret};
pub use event_type::EventType;
pub use headers::Headers;
pub use id::{AppId, AttemptId, EndpointId, EventTypeId, KeyId, MsgId, NotAnId, OrgId, RejectionId, SourceId, TaskId, next_number};
pub use message::Message;
pub use outcome::{AddressClass, Cause, Outcome, Phases};
pub use policy::{Backoff, RetryPolicy};
pub use profile::{Profile, ProfileName};
pub use record::{Address, Answered, Failing, Kind, Organization, Purge, Record};
pub use source::{Origin, RECEIVED_UID, Rejection, Seen, Source, SourceAnswer, SourceScheme};
pub use time::{LATEST, Time};
pub use token::{Grant, Token};
