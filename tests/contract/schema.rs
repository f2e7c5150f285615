//! JSON schemas, as far as the comparison needs them: references and compositions resolved into one flat view.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A schema's flat view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat<'d> {
    /// JSON types it allows; empty: any.
    pub(crate) types: BTreeSet<String>,
    /// An object's fields.
    pub(crate) fields: BTreeMap<String, &'d Value>,
    /// Fields that are always there.
    pub(crate) required: BTreeSet<String>,
    /// An array's items.
    pub(crate) items: Option<&'d Value>,
}

/// What a reference inside `document` stands for.
pub(crate) fn resolve<'d>(document: &'d Value, mut value: &'d Value) -> &'d Value {
    while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("not a local reference: {reference}"));
        value = document.pointer(pointer).unwrap_or_else(|| panic!("a reference to nothing: {reference}"));
    }
    value
}

/// The flat view of a schema.
pub(crate) fn flat<'d>(document: &'d Value, schema: &'d Value) -> Flat<'d> {
    let schema = resolve(document, schema);
    let mut flat = Flat { types: types(schema), ..Flat::default() };
    flat.fields.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.clone(), field)));
    flat.required.extend(schema["required"].as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_owned)));
    flat.items = schema.get("items");
    for all in schema["allOf"].as_array().into_iter().flatten() {
        flat.merge(self::flat(document, all));
    }
    for one in ["oneOf", "anyOf"].iter().flat_map(|key| schema[*key].as_array().into_iter().flatten()) {
        flat.merge(self::flat(document, one));
    }
    if schema["nullable"] == true && !flat.types.is_empty() {
        flat.types.insert("null".into());
    }
    flat
}

impl<'d> Flat<'d> {
    /// Takes in a part: of a conjunction (all its rules hold), or of a choice where the other part is null.
    fn merge(&mut self, part: Flat<'d>) {
        self.types.extend(part.types);
        self.fields.extend(part.fields);
        self.required.extend(part.required);
        self.items = self.items.or(part.items);
    }
}

fn types(schema: &Value) -> BTreeSet<String> {
    match &schema["type"] {
        Value::String(one) => [one.clone()].into(),
        Value::Array(some) => some.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect(),
        _ => BTreeSet::new(),
    }
}
