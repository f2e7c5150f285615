//! Fields: what templates can say of a message, its application, its endpoint and the attempt.

use crate::model::{AppId, Application, DeliveryId, EndpointId, Message, MsgId, Time};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What the fields of a template are filled from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its application.
    pub application: &'a Application,
    /// The endpoint that it goes to.
    pub endpoint: EndpointId,
    /// When the attempt begins.
    pub sent: Time,
    /// The attempt's number, from 1.
    pub attempt: u32,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Something that a template can say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $name,)*
        }

        impl Field {
            /// All fields, with their names in templates.
            pub const ALL: &'static [(&'static str, Field)] = &[$(($text, Field::$name),)*];
        }
    };
}

fields! {
    /// The message's id (`msg_…`).
    Id = "id",
    /// The message's id without its prefix, for another one (`evt_{id.digits}`).
    IdDigits = "id.digits",
    /// The producer's own id of the event, else the message's.
    EventId = "event.id",
    /// 32 hexadecimal digits that are a function of the organization and of the producer's own id of the event, else of the
    /// message's id: the same event sent again has the same.
    Nonce = "nonce",
    /// The event type's name.
    Type = "type",
    /// When the message was accepted, RFC 3339.
    Time = "time",
    /// The same in seconds since the epoch.
    TimeSeconds = "time.s",
    /// The same in milliseconds since the epoch.
    TimeMillis = "time.ms",
    /// When the attempt begins, RFC 3339.
    Sent = "sent",
    /// The same in seconds since the epoch.
    SentSeconds = "sent.s",
    /// The same in milliseconds since the epoch.
    SentMillis = "sent.ms",
    /// The payload, byte for byte.
    Data = "data",
    /// The payload as JavaScript's `JSON.stringify` writes it, for receivers that sign what they have parsed.
    DataStringified = "data.stringified",
    /// The application's uid, else its id.
    App = "app",
    /// The application's id (`app_…`).
    AppId = "app.id",
    /// The application's name.
    AppName = "app.name",
    /// The organization's id (`org_…`).
    Org = "org",
    /// The endpoint's id (`ep_…`).
    Endpoint = "endpoint",
    /// The endpoint's id without its prefix, for another one (`whk_{endpoint.digits}`).
    EndpointDigits = "endpoint.digits",
    /// The delivery's id (`dlv_…`), the same in each of its attempts.
    Delivery = "delivery",
    /// The attempt's number, from 1.
    Attempt = "attempt",
}

impl Field {
    /// The field of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Field> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// Whether it is a number, which JSON writes without quotes.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Field::TimeSeconds | Field::TimeMillis | Field::SentSeconds | Field::SentMillis | Field::Attempt)
    }

    /// Whether it is the payload, which only an envelope can hold.
    #[must_use]
    pub fn is_payload(self) -> bool {
        matches!(self, Field::Data | Field::DataStringified)
    }

    /// Adds its text; of the payload nothing, which is bytes.
    pub fn write(self, facts: &Facts<'_>, text: &mut String) {
        let Facts { message, application, endpoint, sent, attempt } = facts;
        let time = message.id.time();
        // Writing to a string never fails.
        let _written = match self {
            Field::Id => write!(text, "{}", message.id),
            Field::IdDigits => digits(message.id, MsgId::PREFIX, text),
            Field::EventId => match &message.event_id {
                Some(id) => text.write_str(id),
                None => write!(text, "{}", message.id),
            },
            Field::Nonce => nonce(message, text),
            Field::Type => text.write_str(&message.event_type),
            Field::Time => write!(text, "{time}"),
            Field::TimeSeconds => write!(text, "{}", time.seconds()),
            Field::TimeMillis => write!(text, "{}", time.0),
            Field::Sent => write!(text, "{sent}"),
            Field::SentSeconds => write!(text, "{}", sent.seconds()),
            Field::SentMillis => write!(text, "{}", sent.0),
            Field::Data | Field::DataStringified => Ok(()),
            Field::App => match &application.uid {
                Some(uid) => text.write_str(uid),
                None => write!(text, "{}", application.id),
            },
            Field::AppId => app(application.id, text),
            Field::AppName => text.write_str(&application.name),
            Field::Org => write!(text, "{}", message.org),
            Field::Endpoint => write!(text, "{endpoint}"),
            Field::EndpointDigits => digits(endpoint, EndpointId::PREFIX, text),
            Field::Delivery => write!(text, "{}", DeliveryId::of(message.id, *endpoint)),
            Field::Attempt => write!(text, "{attempt}"),
        };
    }
}

fn app(id: AppId, text: &mut String) -> std::fmt::Result {
    write!(text, "{id}")
}

/// An identifier without its prefix.
fn digits(id: impl std::fmt::Display, prefix: &str, text: &mut String) -> std::fmt::Result {
    let id = id.to_string();
    text.write_str(id.strip_prefix(prefix).unwrap_or(&id))
}

fn nonce(message: &Message, text: &mut String) -> std::fmt::Result {
    let mut hash = Sha256::new();
    hash.update(message.org.bytes());
    match &message.event_id {
        Some(id) => hash.update([b"e", id.as_bytes()].concat()),
        None => hash.update([b"m".as_slice(), &message.id.bytes()].concat()),
    }
    hash.finalize().iter().take(16).try_for_each(|byte| write!(text, "{byte:02x}"))
}
