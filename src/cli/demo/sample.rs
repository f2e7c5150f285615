//! What the sample's tenant sends: a few kinds of events with a bounded variety of payloads.

use serde_json::{Value, json};

/// The event type that the failing endpoint wants.
pub(super) const FAILING: &str = "invoice.voided";
/// Different customers.
const CUSTOMERS: [&str; 5] = ["Ada Byron", "Grace Murray", "Edsger W.", "Barbara L.", "Donald K."];
/// Different amounts, in cents.
const AMOUNTS: [u64; 7] = [900, 1_250, 4_990, 12_000, 300, 75_025, 2_700];
/// After so many events their order begins anew.
const ROUND: u64 = 6;

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    /// Its type.
    pub(super) event_type: &'static str,
    /// Its payload.
    pub(super) payload: Value,
}

/// The event types that are about invoices and delivered at once.
pub(super) fn invoice_types() -> [&'static str; 2] {
    ["invoice.created", "invoice.paid"]
}

/// The `number`th event, from 1.
pub(super) fn event(number: u64) -> Event {
    let pick = usize::try_from(number).unwrap_or(0);
    let customer = CUSTOMERS.get(pick % CUSTOMERS.len()).copied().unwrap_or_default();
    let amount = AMOUNTS.get(pick % AMOUNTS.len()).copied().unwrap_or_default();
    let invoice = json!({ "id": format!("in_{number}"), "customer": customer, "amount": amount, "currency": "eur" });
    match number % ROUND {
        1 => Event { event_type: "customer.created", payload: json!({ "id": format!("cus_{number}"), "name": customer }) },
        2 | 4 => Event { event_type: "invoice.created", payload: invoice },
        3 => Event { event_type: FAILING, payload: invoice },
        5 => Event { event_type: "invoice.paid", payload: invoice },
        _ => {
            let payload = json!({ "id": format!("sub_{number}"), "customer": customer, "plan": "team", "seats": 1 + number % 20 });
            Event { event_type: "subscription.renewed", payload }
        }
    }
}

/// The catalogue, as the API takes it.
pub(super) fn event_types() -> Vec<Value> {
    let text = json!({ "type": "string" });
    let invoice = json!({ "id": text, "customer": text, "amount": { "type": "integer" }, "currency": text });
    let rows = [
        ("customer.created", "A customer has signed up", json!({ "id": text, "name": text }), 1),
        ("invoice.created", "An invoice was sent", invoice.clone(), 2),
        ("invoice.paid", "An invoice was paid in full", invoice.clone(), 5),
        (FAILING, "An invoice was withdrawn", invoice, 3),
        (
            "subscription.renewed",
            "A subscription goes on",
            json!({ "id": text, "customer": text, "plan": text, "seats": { "type": "integer" } }),
            6,
        ),
    ];
    let entry = |(name, description, properties, example): (&str, &str, Value, u64)| {
        let required: Vec<&String> = properties.as_object().map(|p| p.keys().collect()).unwrap_or_default();
        let schema = json!({
            "type": "object", "title": name, "required": required, "properties": properties, "examples": [event(example).payload],
        });
        json!({ "name": name, "description": description, "groupName": "demo", "schemas": { "1": schema } })
    };
    rows.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_type_in_the_catalogue_and_an_example() {
        let types = event_types();
        let names: Vec<_> = types.iter().map(|t| t["name"].as_str().unwrap()).collect();
        for number in 1..=ROUND {
            assert!(names.contains(&event(number).event_type), "{number}");
        }
        for entry in &types {
            let schema = &entry["schemas"]["1"];
            let example = schema["examples"][0].as_object().unwrap();
            assert!(schema["properties"].as_object().unwrap().keys().eq(example.keys()), "{entry}");
        }
        assert!(invoice_types().iter().all(|name| names.contains(name)));
    }
}
