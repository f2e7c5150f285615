//! Rules of what comes in, said in the description of the API: what utoipa derives of a shape gets the bounds, patterns and words
//! by which handlers judge, from the same constants. What JSON Schema has no words for (that two fields fit together, grammars,
//! names that must exist) is told by refusals only; `tests/openapi` lists it and sees that it is all.

use super::{
    alert, application, authentication, branding, endpoint, erase, event_type, idempotency, key, message, profile, proxy, replay,
    rules::{MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_NAME, MAX_TEXT, NAME_PATTERN},
    source, user,
};
use crate::model::{MAX_DELAY_S, RetryPolicy, SEEN_PATTERN};
use serde_json::{Map, Value, json};

/// A schema's name, and what is said of its fields.
pub(super) type Limits = Vec<(&'static str, Value)>;

/// No NUL character.
const TEXT_PATTERN: &str = r"^[^\u0000]*$";
/// How an absolute URL begins.
const HTTP_PATTERN: &str = "^[hH][tT][tT][pP][sS]?://";
/// A header's name (RFC 9110, section 5.1).
const HEADER_PATTERN: &str = r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$";

/// An event type, event id, uid, channel of flags.
pub(super) fn name() -> Value {
    json!({ "minLength": 1, "maxLength": MAX_NAME, "pattern": NAME_PATTERN })
}

/// A list of names without repetition.
pub(super) fn names(least: usize, most: usize) -> Value {
    json!({ "minItems": least, "maxItems": most, "uniqueItems": true, "items": name() })
}

/// Any JSON.
pub(super) fn any() -> Value {
    json!({ "type": ["object", "array", "string", "number", "boolean", "null"] })
}

/// A list, or null for none.
pub(super) fn list_or_null() -> Value {
    json!({ "type": ["array", "null"] })
}

/// A name for people.
pub(super) fn title(least: usize, most: usize) -> Value {
    json!({ "minLength": least, "maxLength": most, "pattern": SEEN_PATTERN })
}

/// Text for people.
pub(super) fn text() -> Value {
    json!({ "maxLength": MAX_TEXT, "pattern": TEXT_PATTERN })
}

/// Text that is not empty, of so many bytes: at most so many characters.
pub(super) fn bytes(most: usize) -> Value {
    json!({ "minLength": 1, "maxLength": most })
}

/// A whole number.
pub(super) fn range(least: impl Into<u64>, most: impl Into<u64>) -> Value {
    json!({ "minimum": least.into(), "maximum": most.into() })
}

/// Deliveries a second.
pub(super) fn rate() -> Value {
    range(1_u64, u16::MAX)
}

/// The owner's notes.
pub(super) fn metadata() -> Value {
    json!({
        "maxProperties": MAX_METADATA,
        "propertyNames": { "minLength": 1, "maxLength": MAX_METADATA_KEY },
        "additionalProperties": { "maxLength": MAX_METADATA_VALUE },
    })
}

/// An absolute URL, as far as a pattern can tell one.
pub(super) fn url() -> Value {
    json!({ "pattern": HTTP_PATTERN })
}

/// Names of headers, of at most so many bytes.
pub(super) fn header(most: usize) -> Value {
    json!({ "minLength": 1, "maxLength": most, "pattern": HEADER_PATTERN })
}

/// One of these words, or null.
pub(super) fn words_or_null(words: &[&str]) -> Value {
    let all = words.iter().map(|word| json!(word)).chain([Value::Null]);
    json!({ "enum": all.collect::<Vec<_>>() })
}

/// A retry policy.
pub(super) fn retry_policy() -> Value {
    let delay = json!({ "type": "integer", "minimum": 0, "maximum": MAX_DELAY_S });
    let computed = json!({
        "type": "object",
        "required": ["max_retries", "backoff", "initial"],
        "properties": {
            "max_retries": { "type": "integer", "minimum": 0, "maximum": RetryPolicy::MAX_RETRIES },
            "backoff": { "type": "string", "enum": ["exponential", "linear", "fixed"] },
            "initial": delay,
            "factor": { "type": "number", "minimum": 1, "maximum": 100, "default": 2 },
            "max": delay,
        },
    });
    let listed = json!({ "type": "array", "maxItems": RetryPolicy::MAX_RETRIES, "items": delay });
    json!({ "anyOf": [listed, computed, { "type": "null" }] })
}

/// What is said of everything.
fn all() -> Limits {
    [
        alert::limits(),
        application::limits(),
        authentication::limits(),
        branding::limits(),
        endpoint::limits(),
        erase::limits(),
        event_type::limits(),
        key::limits(),
        message::limits(),
        profile::limits(),
        proxy::limits(),
        replay::limits(),
        source::limits(),
        user::limits(),
    ]
    .concat()
}

/// What is said of a parameter, wherever it is.
fn parameter(place: &str, name: &str) -> Option<Value> {
    match (place, name) {
        ("header", "idempotency-key") => Some(idempotency::limits()),
        // Ids are names too.
        ("path", "app_id" | "endpoint_id" | "event_type_name" | "msg_id" | "source_id") => Some(self::name()),
        ("query", "event_types") => Some(json!({ "items": self::name() })),
        ("query", "channel") => Some(message::labels::channel_limits()),
        ("query", "tag") => Some(message::labels::tag_limits()),
        ("query", "status_code_class") => Some(json!({ "enum": replay::CODE_CLASSES })),
        ("query", "reason") => Some(json!({ "enum": source::REASONS })),
        _ => None,
    }
}

/// What is said of whole shapes.
fn wholes() -> Limits {
    vec![("ProxyIn", proxy::whole())]
}

/// Shapes in several forms, of which none has other fields than are named; utoipa does not say so of forms.
const CLOSED: [&str; 2] = ["AuthenticationIn", "ConditionIn"];

/// Says all of it in a document, and lets bodies that may be left out be the shape or nothing.
pub(super) fn put(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        for (schema, fields) in all() {
            for (field, said) in fields.as_object().into_iter().flatten() {
                let found = schemas.get_mut(schema).and_then(|schema| schema.pointer_mut(&format!("/properties/{field}")));
                debug_assert!(found.is_some(), "{schema} has no {field}");
                found.into_iter().for_each(|found| merge(found, said));
            }
        }
        for name in CLOSED {
            let forms = schemas.get_mut(name).and_then(|schema| schema.get_mut("oneOf")).and_then(Value::as_array_mut);
            forms.into_iter().flatten().for_each(|form| merge(form, &json!({ "additionalProperties": false })));
        }
        for (schema, said) in wholes() {
            schemas.get_mut(schema).into_iter().for_each(|found| merge(found, &said));
        }
    }
    let operations = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        for found in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let word = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(said) = parameter(&word("in"), &word("name"))
                && let Some(schema) = found.get_mut("schema")
            {
                merge(schema, &said);
            }
        }
        if let Some(schema) = operation.pointer_mut("/requestBody/content/application~1json/schema")
            && let Some(shape) = schema.pointer_mut("/oneOf/0").filter(|shape| shape.get("$ref").is_some()).map(Value::take)
        {
            *schema = shape;
        }
    }
}

/// Puts what is said into a schema, field by field; of a shape that may be null too, into the shape.
fn merge(schema: &mut Value, said: &Value) {
    match (schema, said) {
        (Value::Object(schema), Value::Object(said)) => {
            for (name, said) in said {
                match schema.get_mut(name) {
                    Some(known) if known.is_object() && said.is_object() => merge(known, said),
                    _ => {
                        schema.insert(name.clone(), said.clone());
                    }
                }
            }
        }
        (schema, said) => *schema = said.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        crate::api::openapi::described(crate::api::router::resources().split_for_parts().1)
    }

    #[test]
    fn every_field_that_is_spoken_of_is_there() {
        let document = serde_json::to_value(crate::api::router::resources().split_for_parts().1).unwrap();
        for (schema, fields) in all() {
            for field in fields.as_object().unwrap().keys() {
                let place = format!("/components/schemas/{schema}/properties/{field}");
                assert!(document.pointer(&place).is_some(), "{place}");
            }
        }
    }

    #[test]
    fn rules_are_said_beside_what_was_derived() {
        let document = document();
        let name = &document["components"]["schemas"]["ApplicationIn"]["properties"]["name"];
        assert_eq!((&name["type"], &name["maxLength"]), (&json!("string"), &json!(MAX_TEXT)));
        assert!(name["description"].is_string() && name["pattern"] == SEEN_PATTERN);
        let types = &document["components"]["schemas"]["EventTypeIn"]["properties"]["featureFlags"];
        assert_eq!((&types["items"]["type"], &types["items"]["maxLength"]), (&json!("string"), &json!(MAX_NAME)));
        assert_eq!(types["type"], json!(["array", "null"]));
    }

    #[test]
    fn a_body_that_may_be_left_out_has_one_shape() {
        let document = document();
        let body = &document["paths"]["/api/v1/auth/app-portal-access/{app_id}"]["post"]["requestBody"];
        assert_eq!(body["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/AppPortalAccessIn");
        assert_ne!(body["required"], true);
    }
}
