//! An example payload from an event type's JSON schema: the one that the schema names, or else one made from its types.

use serde_json::{Map, Value, json};

/// How deep an example is made; what lies deeper is left empty (schemas may refer to themselves).
const MAX_DEPTH: usize = 12;
/// Values that an example has at most.
const MAX_VALUES: usize = 2_000;

/// Why there is no example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoExample {
    /// The event type has no schema.
    NoSchema,
    /// The schema names examples, but not so many.
    OutOfRange(usize),
}

/// The example of an event type: from the schema of its highest version, the `index`th of its `examples` if it has any.
///
/// # Errors
/// There is no schema, or no such example in it.
pub(super) fn example(schemas: Option<&Map<String, Value>>, index: usize) -> Result<Value, NoExample> {
    let schema = schemas.and_then(latest).ok_or(NoExample::NoSchema)?;
    if let Some(examples) = schema.get("examples").and_then(Value::as_array).filter(|e| !e.is_empty()) {
        return examples.get(index).cloned().ok_or(NoExample::OutOfRange(examples.len()));
    }
    let mut maker = Maker { root: schema, left: MAX_VALUES };
    Ok(maker.make(schema, 0))
}

/// Versions are numbers written as text; those that are not come first.
fn latest(schemas: &Map<String, Value>) -> Option<&Value> {
    schemas.iter().max_by_key(|(version, _)| (version.parse::<u64>().ok(), version.as_str())).map(|(_, schema)| schema)
}

struct Maker<'a> {
    root: &'a Value,
    left: usize,
}

impl<'a> Maker<'a> {
    fn make(&mut self, schema: &'a Value, depth: usize) -> Value {
        let Some(left) = self.left.checked_sub(1).filter(|_| depth < MAX_DEPTH) else { return Value::Null };
        self.left = left;
        if let Some(named) = named(schema) {
            return named.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.make(target, depth + 1));
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.merged(schema, parts, depth);
        }
        let choice = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key)?.as_array()?.first());
        if let Some(choice) = choice {
            return self.make(choice, depth + 1);
        }
        match kind(schema) {
            Some("object") => Value::Object(self.properties(schema, depth)),
            Some("array") => schema.get("items").map_or(json!([]), |items| json!([self.make(items, depth + 1)])),
            Some("string") => Value::String(text(schema)),
            Some("integer") => json!(schema.get("minimum").and_then(Value::as_i64).unwrap_or(1)),
            Some("number") => json!(schema.get("minimum").and_then(Value::as_f64).unwrap_or(1.5)),
            Some("boolean") => Value::Bool(true),
            _ => Value::Null,
        }
    }

    fn properties(&mut self, schema: &'a Value, depth: usize) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, part)| (name.clone(), self.make(part, depth + 1))).collect()
    }

    /// `allOf`: the members of every part in one object.
    fn merged(&mut self, schema: &'a Value, parts: &'a [Value], depth: usize) -> Value {
        let mut members = self.properties(schema, depth);
        for part in parts {
            match self.make(part, depth + 1) {
                Value::Object(part) => members.extend(part),
                Value::Null => {}
                other if members.is_empty() => return other,
                _ => {}
            }
        }
        Value::Object(members)
    }
}

/// The value that a schema itself gives.
fn named(schema: &Value) -> Option<&Value> {
    let first = |key: &str| schema.get(key)?.as_array()?.first();
    schema
        .get("example")
        .or_else(|| first("examples"))
        .or_else(|| schema.get("default"))
        .or_else(|| schema.get("const"))
        .or_else(|| first("enum"))
}

fn kind(schema: &Value) -> Option<&str> {
    let stated = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        stated => stated.and_then(Value::as_str),
    };
    stated.or_else(|| schema.get("properties").map(|_| "object")).or_else(|| schema.get("items").map(|_| "array"))
}

fn text(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-31T09:30:00Z",
        Some("date") => "2026-01-31",
        Some("time") => "09:30:00Z",
        Some("email") => "person@example.com",
        Some("uuid") => "0d4f5c1e-8a3b-4c62-9e57-1f2a3b4c5d6e",
        Some("uri" | "url") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        _ => "text",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(version: &str, schema: Value) -> Map<String, Value> {
        [("1".to_owned(), json!({"type": "string"})), (version.to_owned(), schema)].into_iter().collect()
    }

    #[test]
    fn the_schemas_own_examples_come_first() {
        let all = schemas("2", json!({"examples": [{"n": 1}, {"n": 2}], "type": "object"}));
        assert_eq!(example(Some(&all), 0), Ok(json!({"n": 1})));
        assert_eq!(example(Some(&all), 1), Ok(json!({"n": 2})));
        assert_eq!(example(Some(&all), 2), Err(NoExample::OutOfRange(2)));
        assert_eq!(example(None, 0), Err(NoExample::NoSchema));
        assert_eq!(example(Some(&schemas("2", json!({"default": {"d": 1}}))), 7), Ok(json!({"d": 1})));
    }

    #[test]
    fn the_highest_version_counts() {
        let all = schemas("10", json!({"example": 10}));
        assert_eq!(example(Some(&all), 0), Ok(json!(10)));
    }

    #[test]
    fn types_make_an_example() {
        let schema = json!({
            "type": "object",
            "$defs": {"money": {"type": "object", "properties": {"amount": {"type": "integer", "minimum": 5}}}},
            "properties": {
                "at": {"type": "string", "format": "date-time"},
                "total": {"$ref": "#/$defs/money"},
                "lines": {"type": "array", "items": {"enum": ["a", "b"]}},
                "paid": {"type": ["null", "boolean"]},
                "both": {"allOf": [{"properties": {"x": {"type": "number"}}}, {"properties": {"y": {"const": 1}}}]},
                "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]}
            }
        });
        let made = example(Some(&schemas("2", schema)), 0).unwrap();
        assert_eq!(
            made,
            json!({
                "at": "2026-01-31T09:30:00Z", "total": {"amount": 5}, "lines": ["a"], "paid": true,
                "both": {"x": 1.5, "y": 1}, "either": "text"
            })
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"type": "object", "properties": {
            "a": {"$ref": "#"}, "b": {"$ref": "#"}, "c": {"$ref": "#"}, "d": {"type": "array", "items": {"$ref": "#"}}
        }});
        let made = example(Some(&schemas("2", schema)), 0).unwrap();
        assert!(made.to_string().len() < 100_000, "{}", made.to_string().len());
    }
}
