//! Any lines as the columns of an outbox's row.

use postrider::{model::Time, outbox::is_valid, store::postgres::OutboxRow};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut columns = text.split('\n').map(str::to_owned);
    let mut next = || columns.next();
    let list = |text: Option<String>| text.map(|text| text.split(',').map(str::to_owned).collect());
    let row = OutboxRow {
        id: "01234567-89ab-cdef-0123-456789abcdef".into(),
        application: "shop".into(),
        event_type: next().unwrap_or_default(),
        payload: next().map(|text| text.into_bytes().into()),
        event_id: next(),
        channels: list(next()),
        tags: list(next()),
        deliver_at: next().and_then(|text| text.parse().ok()).map(Time),
        retention_hours: next().and_then(|text| text.parse().ok()),
        ..OutboxRow::default()
    };
    let json = row.payload.as_ref().is_some_and(|payload| serde_json::from_slice::<&serde_json::value::RawValue>(payload).is_ok());
    assert!(json || !is_valid(row, Time(1_700_000_000_000), 1 << 20), "a payload that is not JSON was taken");
}
