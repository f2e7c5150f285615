//! The reference page: the OpenAPI document as one page of HTML, made once at start-up. No script, no other host.

use askama::Template;
use serde_json::{Map, Value};

/// How deep an example body is written out.
const EXAMPLE_DEPTH: usize = 3;
/// The methods of an operation, in the order they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page.
#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    version: String,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

struct Group {
    name: String,
    anchor: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    anchor: String,
    method: &'static str,
    path: String,
    summary: String,
    text: Vec<Span>,
    params: Vec<Field>,
    body: Option<String>,
    fields: Vec<Field>,
    answers: Vec<Answer>,
    curl: String,
}

struct Answer {
    status: String,
    text: String,
    schema: Option<String>,
}

struct Schema {
    name: String,
    text: Vec<Span>,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    place: String,
    kind: String,
    link: Option<String>,
    required: bool,
    text: Vec<Span>,
    rule: String,
}

/// A piece of prose: code between backticks, or not.
struct Span {
    code: bool,
    text: String,
}

/// The page for a document.
///
/// # Errors
/// The template cannot be filled, which text in memory never causes.
pub(super) fn render(document: &Value) -> Result<String, askama::Error> {
    let version = text(document.get("info"), "version");
    let tags = list(document.get("tags"));
    let groups = tags.map(|tag| group(document, tag)).filter(|group| !group.operations.is_empty()).collect();
    let schemas = object(document.pointer("/components/schemas")).map(|(name, schema)| Schema {
        name: name.clone(),
        text: spans(&text(Some(schema), "description")),
        fields: fields(document, schema),
    });
    Docs { version, groups, schemas: schemas.collect() }.render()
}

fn group(document: &Value, tag: &Value) -> Group {
    let name = text(Some(tag), "name");
    let mut operations = Vec::new();
    for (path, item) in object(document.get("paths")) {
        for method in METHODS {
            let Some(found) = item.get(method) else { continue };
            if list(found.get("tags")).any(|tag| tag.as_str() == Some(&name)) {
                operations.push(operation(document, method, path, found));
            }
        }
    }
    Group { anchor: anchor(&name), description: text(Some(tag), "description"), name, operations }
}

fn operation(document: &Value, method: &'static str, path: &str, found: &Value) -> Operation {
    let body = found.pointer("/requestBody/content/application~1json/schema");
    let params = list(found.get("parameters")).map(|param| {
        let schema = param.get("schema").unwrap_or(&Value::Null);
        field(&text(Some(param), "name"), schema, param, &text(Some(param), "in"))
    });
    let answers = object(found.get("responses")).map(|(status, answer)| Answer {
        status: status.clone(),
        text: text(Some(answer), "description"),
        schema: answer.pointer("/content/application~1json/schema").and_then(reference).map(str::to_owned),
    });
    let summary = text(Some(found), "summary");
    Operation {
        anchor: anchor(&format!("{method} {path}")),
        method,
        path: path.to_owned(),
        text: spans(&text(Some(found), "description")),
        params: params.collect(),
        body: body.and_then(reference).map(str::to_owned),
        fields: body.map(|schema| fields(document, resolve(document, schema))).unwrap_or_default(),
        answers: answers.collect(),
        curl: curl(document, method, path, body),
        summary: summary.trim_end_matches('.').to_owned(),
    }
}

fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let required: Vec<&str> = list(schema.get("required")).filter_map(Value::as_str).collect();
    let named = object(schema.get("properties")).map(|(name, inner)| {
        let mut field = field(name, inner, resolve(document, inner), "");
        field.required = required.contains(&name.as_str());
        field
    });
    let mut fields: Vec<Field> = named.collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

fn field(name: &str, schema: &Value, described: &Value, place: &str) -> Field {
    let prose = [text(Some(schema), "description"), text(Some(described), "description")];
    Field {
        name: name.to_owned(),
        place: place.to_owned(),
        kind: kind(schema),
        link: linked(schema).map(str::to_owned),
        required: described.get("required").and_then(Value::as_bool).unwrap_or(false),
        text: spans(prose.iter().find(|prose| !prose.is_empty()).map_or("", String::as_str)),
        rule: rule(schema),
    }
}

/// What a value is, in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return name.to_owned();
    }
    for word in ["oneOf", "anyOf", "allOf"] {
        if schema.get(word).is_some() {
            return list(schema.get(word)).map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if schema.get("enum").is_some() {
        return list(schema.get("enum")).map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    let words = match schema.get("type") {
        Some(Value::String(word)) => vec![word.as_str()],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any JSON"],
    };
    let words = words.into_iter().map(|word| match (word, schema.get("items"), schema.get("format").and_then(Value::as_str)) {
        ("array", Some(items), _) => format!("array of {}", kind(items)),
        ("string", _, Some(format)) => format!("string, {format}"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// The limits of a value, in words.
fn rule(schema: &Value) -> String {
    let number = |name: &str| schema.get(name).map(ToString::to_string);
    let range = |least: Option<String>, most: Option<String>, unit: &str| match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (Some(least), None) if least != "0" => Some(format!("at least {least}{unit}")),
        _ => None,
    };
    let parts = [
        range(number("minLength"), number("maxLength"), " characters"),
        range(number("minimum"), number("maximum"), ""),
        range(number("minItems"), number("maxItems"), " entries"),
        schema.get("pattern").and_then(Value::as_str).map(|pattern| format!("matches {pattern}")),
        number("default").map(|value| format!("default {value}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn curl(document: &Value, method: &str, path: &str, body: Option<&Value>) -> String {
    let verb = if method == "get" { String::new() } else { format!(" -X {}", method.to_uppercase()) };
    let mut line = format!("curl{verb} \"$URL{path}\" \\\n  -H \"Authorization: Bearer $TOKEN\"");
    if let Some(schema) = body {
        let example = example(document, schema, EXAMPLE_DEPTH).to_string().replace('\'', "'\\''");
        line.push_str(&format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{example}'"));
    }
    line
}

/// A value that fits a schema: its required fields, by their examples.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(given) = schema.get("example") {
        return given.clone();
    }
    if let Some(first) = list(schema.get("enum")).next() {
        return first.clone();
    }
    match kind(schema).split([' ', ',']).next() {
        Some("object") if depth > 0 => {
            let required = list(schema.get("required")).filter_map(Value::as_str);
            let empty = Value::Null;
            let filled = required.map(|name| {
                let inner = schema.get("properties").and_then(|p| p.get(name)).unwrap_or(&empty);
                (name.to_owned(), example(document, inner, depth - 1))
            });
            Value::Object(filled.collect())
        }
        Some("array") => Value::Array(Vec::new()),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => Value::Bool(true),
        Some("string") if schema.get("format").and_then(Value::as_str) == Some("date-time") => "2026-01-01T00:00:00Z".into(),
        Some("string") => "text".into(),
        _ => Value::Object(Map::new()),
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// The schema that a value or its entries follow.
fn linked(schema: &Value) -> Option<&str> {
    let inner = || ["oneOf", "anyOf", "allOf"].iter().flat_map(|word| list(schema.get(*word))).find_map(reference);
    reference(schema).or_else(inner).or_else(|| schema.get("items").and_then(linked))
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let found = linked(schema).filter(|_| schema.get("items").is_none());
    found.and_then(|name| document.get("components")?.get("schemas")?.get(name)).unwrap_or(schema)
}

fn text(value: Option<&Value>, name: &str) -> String {
    value.and_then(|v| v.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn anchor(name: &str) -> String {
    let dashed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn spans(prose: &str) -> Vec<Span> {
    let pieces = prose.split('`').enumerate().map(|(at, text)| Span { code: at % 2 == 1, text: text.to_owned() });
    pieces.filter(|span| !span.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "info": {"version": "1"},
            "tags": [{"name": "Thing", "description": "Things."}, {"name": "Unused"}],
            "paths": {"/things/{id}": {"put": {
                "tags": ["Thing"], "summary": "Put <it>", "description": "Uses `code`.",
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "maxLength": 9}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingIn"}}}},
                "responses": {"200": {"description": "It.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingIn"}}}}},
            }}},
            "components": {"schemas": {"ThingIn": {
                "type": "object", "required": ["name"],
                "properties": {"name": {"type": "string", "example": "it's"}, "more": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/ThingIn"}}},
            }}},
        })
    }

    #[test]
    fn the_page_shows_every_operation_and_runs_nothing() {
        let page = render(&document()).unwrap();
        for part in [
            "/things/{id}",
            "Put &#60;it&#62;",
            "<code>code</code>",
            "at most 9 characters",
            "id=\"schema-ThingIn\"",
            "array of ThingIn",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://") && !page.contains("Unused"));
    }

    #[test]
    fn curl_lines_can_be_pasted() {
        let line = curl(&document(), "put", "/things/{id}", Some(&json!({"$ref": "#/components/schemas/ThingIn"})));
        assert!(line.starts_with("curl -X PUT \"$URL/things/{id}\""), "{line}");
        assert!(line.ends_with(r#"-d '{"name":"it'\''s"}'"#), "{line}");
    }
}
