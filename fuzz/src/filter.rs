//! Any JSON as a filter, before any JSON as a payload: what is explained is what is judged.

use postrider::model::Filter;

pub fn run(data: &[u8]) {
    let (filter, payload) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    let Ok(filter) = serde_json::from_slice(filter) else { return };
    let Ok(filter) = Filter::parse(filter) else { return };
    let payload = serde_json::from_slice(payload).unwrap_or_default();
    assert_eq!(filter.holds(&payload), filter.explain(&payload).holds);
}
