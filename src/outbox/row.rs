//! One row of an outbox: whose it is, whether it keeps the rules of the API, and what becomes of it.

use super::{Fate, Rules};
use crate::{
    api::{Problem, message::Given},
    flow::{Draft, Engine},
    model::{Address, AppId, Kind, OrgId, Time},
    routing::AppRoutes,
    store::{
        Conflict, StoreError,
        postgres::{OutboxRefusal, OutboxRow},
    },
};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What the row's application is.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// This one.
    Is(Arc<AppRoutes>),
    /// There is none: the column at fault, and the rule.
    Unknown(&'static str, &'static str),
    /// It is new, and has not reached this process yet; or the store does not answer.
    Later,
}

/// Why a row is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    field: String,
    rule: String,
}

impl Fault {
    fn new(field: &str, rule: impl Into<String>) -> Self {
        Fault { field: field.to_owned(), rule: rule.into() }
    }

    /// The first fault that a problem names, by its column.
    fn of(problem: Problem) -> Self {
        match problem {
            Problem::Invalid(items) => match items.into_iter().next() {
                Some(item) => {
                    let place: Vec<String> = item.loc.iter().skip(1).map(|part| snake(part)).collect();
                    Fault::new(&place.join("."), item.msg)
                }
                None => Fault::new("payload", "It breaks a rule."),
            },
            Problem::TooLarge => Fault::new("payload", "It is larger than this server accepts."),
            other => Fault::new("payload", other.words().detail),
        }
    }
}

/// The application that a row names.
pub(super) async fn application(engine: &Engine, row: &OutboxRow, rules: Rules) -> Owner {
    let org = match row.organization.as_deref().map(str::parse::<OrgId>) {
        None => rules.first_org,
        Some(Ok(org)) => org,
        Some(Err(_)) => return Owner::Unknown("organization", "It is not the id of an organization."),
    };
    let known = match row.application.parse::<AppId>() {
        Ok(id) if row.organization.is_none() => engine.routing.by_id(id),
        _ => engine.app(org, &row.application),
    };
    if let Some(app) = known {
        return Owner::Is(app);
    }
    let address = Address::new(Kind::Application, org, &row.application);
    match engine.store.find(&address, engine.clock.now()).await {
        Ok(None) => Owner::Unknown("application", "There is no such application."),
        Ok(Some(_)) | Err(_) => Owner::Later,
    }
}

/// Accepts the row's message, if it may be.
pub(super) async fn fate(engine: &Arc<Engine>, row: OutboxRow, app: Option<Owner>, rules: Rules) -> Fate {
    let seq = row.seq;
    let app = match app {
        Some(Owner::Is(app)) => app,
        Some(Owner::Unknown(field, rule)) => return refused(seq, Fault::new(field, rule)),
        Some(Owner::Later) | None => return Fate::Left,
    };
    let draft = match draft(row, engine.clock.now(), rules.max_payload) {
        Ok(draft) => draft,
        Err(fault) => return refused(seq, fault),
    };
    if engine.routing.is_reserved(app.application.org, &draft.event_type) {
        return refused(seq, Fault::new("event_type", "It is reserved: it may be subscribed to, and is not sent yet."));
    }
    let (event_type, payload) = (draft.event_type.clone(), draft.payload.clone());
    let event_id = draft.event_id.clone().unwrap_or_default();
    match engine.accept(&app, draft, None).await {
        Ok(_) => Fate::Accepted,
        Err(StoreError::Conflict(Conflict::EventId)) => {
            match engine.store.message_by_event_id(app.application.id, &event_id).await {
                Ok(Some(found)) if found.event_type == event_type && (found.expunged || found.payload == payload) => Fate::Repeated,
                Ok(Some(_)) => refused(seq, Fault::new("event_id", "Another message of the application has it.")),
                Ok(None) | Err(_) => Fate::Left,
            }
        }
        Err(error) => {
            tracing::debug!(%error, seq, "a row stays");
            Fate::Left
        }
    }
}

/// The draft of a row, by the rules of the API. Without an event id of its own the row's id is it.
fn draft(row: OutboxRow, now: Time, max_payload: usize) -> Result<Draft, Fault> {
    let payload = row.payload.ok_or_else(|| Fault::of(Problem::TooLarge))?;
    check_json(&payload)?;
    let hours = row.retention_hours.map(u64::try_from).transpose();
    let given = Given {
        event_type: row.event_type,
        event_id: Some(row.event_id.unwrap_or(row.id)),
        payload,
        channels: row.channels,
        tags: row.tags,
        deliver_at: row.deliver_at,
        ordering_key: row.ordering_key,
        retention_days: None,
        retention_hours: hours.map_err(|_| Fault::new("payload_retention_hours", "A number of hours from 1 to 2160."))?,
    };
    given.into_draft(now, max_payload).map_err(Fault::of)
}

/// Whether a row keeps the rules of the API.
#[must_use]
pub fn is_valid(row: OutboxRow, now: Time, max_payload: usize) -> bool {
    draft(row, now, max_payload).is_ok()
}

fn check_json(payload: &Bytes) -> Result<(), Fault> {
    match serde_json::from_slice::<&RawValue>(payload) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::new("payload", format!("It is not JSON: {error}."))),
    }
}

fn refused(seq: i64, fault: Fault) -> Fate {
    Fate::Refused(OutboxRefusal { seq, field: fault.field, rule: fault.rule })
}

/// A field of the API as the column is called.
fn snake(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 2);
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000);

    fn row() -> OutboxRow {
        OutboxRow {
            seq: 1,
            id: "01234567-89ab-cdef-0123-456789abcdef".into(),
            application: "shop".into(),
            event_type: "a.b".into(),
            payload: Some(Bytes::from_static(b" { \"a\" : 1.10 }\n")),
            ..OutboxRow::default()
        }
    }

    fn fault(row: OutboxRow) -> (String, String) {
        let Err(Fault { field, rule }) = draft(row, NOW, 64) else { panic!("not refused") };
        (field, rule)
    }

    #[test]
    fn the_payload_stays_as_it_is_and_the_row_s_id_is_the_event_s() {
        let draft = draft(row(), NOW, 64).unwrap();
        assert_eq!(draft.payload, " { \"a\" : 1.10 }\n");
        assert_eq!(draft.event_id.as_deref(), Some("01234567-89ab-cdef-0123-456789abcdef"));
        let own = super::draft(OutboxRow { event_id: Some("mine".into()), ..row() }, NOW, 64).unwrap();
        assert_eq!(own.event_id.as_deref(), Some("mine"));
    }

    #[test]
    fn a_fault_names_its_column() {
        let far = NOW.plus(std::time::Duration::from_secs(91 * 86_400));
        let long = Some(Bytes::from(format!("\"{}\"", "x".repeat(64))));
        for (row, field) in [
            (OutboxRow { event_type: "a b".into(), ..row() }, "event_type"),
            (OutboxRow { event_id: Some("é".into()), ..row() }, "event_id"),
            (OutboxRow { payload: None, ..row() }, "payload"),
            (OutboxRow { payload: long, ..row() }, "payload"),
            (OutboxRow { payload: Some(Bytes::from_static(b"{} {}")), ..row() }, "payload"),
            (OutboxRow { channels: Some(vec!["a".into(), "a b".into()]), ..row() }, "channels.1"),
            (OutboxRow { deliver_at: Some(far), ..row() }, "deliver_at"),
            (OutboxRow { retention_hours: Some(-1), ..row() }, "payload_retention_hours"),
            (OutboxRow { retention_hours: Some(0), ..row() }, "payload_retention_hours"),
            (OutboxRow { ordering_key: Some(String::new()), ..row() }, "ordering_key"),
            (OutboxRow { ordering_key: Some("k".repeat(257)), ..row() }, "ordering_key"),
        ] {
            assert_eq!(fault(row.clone()).0, field, "{row:?}");
        }
    }
}
