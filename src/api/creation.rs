//! A form of which a new thing needs some fields that a change may leave out: one struct serves both.

use super::{
    body::{Json, parse_json},
    problem::Problem,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::{borrow::Cow, collections::HashMap};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

/// Says which fields a new thing needs, by their names in JSON.
pub trait Needs {
    /// The fields.
    const NEEDED: &'static [&'static str];
}

/// A JSON body that has all that a new thing needs.
#[derive(Debug)]
pub struct New<T> {
    /// What it says.
    pub value: T,
    /// As it was sent.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: DeserializeOwned + Needs> FromRequest<S> for New<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json { value, bytes } = Json::from_request(request, state).await?;
        complete::<T>(&bytes)?;
        Ok(New { value, bytes })
    }
}

/// Refuses a body without something that is needed; `null` is nothing.
fn complete<T: Needs>(bytes: &[u8]) -> Result<(), Problem> {
    let fields: HashMap<Cow<'_, str>, Option<IgnoredAny>> = parse_json(bytes)?;
    let lacking = T::NEEDED.iter().find(|field| !matches!(fields.get(**field), Some(Some(_))));
    lacking.map_or(Ok(()), |field| Err(Problem::field(&["body", field], "missing", format!("missing field `{field}`"))))
}

impl<T: ToSchema + Needs> ToSchema for New<T> {
    fn name() -> Cow<'static, str> {
        format!("New{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

impl<T: PartialSchema + Needs> PartialSchema for New<T> {
    fn schema() -> RefOr<Schema> {
        let mut schema = T::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required = T::NEEDED.iter().map(ToString::to_string).collect();
            for field in T::NEEDED {
                if let Some(RefOr::T(Schema::Object(field))) = object.properties.get_mut(*field) {
                    field.schema_type = never_null(field.schema_type.clone());
                } else if let Some(RefOr::T(Schema::Array(field))) = object.properties.get_mut(*field) {
                    field.schema_type = never_null(field.schema_type.clone());
                }
            }
        }
        schema
    }
}

fn never_null(of: SchemaType) -> SchemaType {
    let SchemaType::Array(mut types) = of else { return of };
    types.retain(|one| *one != Type::Null);
    match types.as_slice() {
        [only] => SchemaType::Type(only.clone()),
        _ => SchemaType::Array(types),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, ToSchema)]
    #[expect(dead_code, reason = "its schema is looked at")]
    struct Form {
        name: Option<String>,
        list: Option<Vec<String>>,
        more: Option<u32>,
    }

    impl Needs for Form {
        const NEEDED: &'static [&'static str] = &["name", "list"];
    }

    #[test]
    fn what_is_needed_is_asked_for() {
        assert!(complete::<Form>(br#"{"name": "x", "list": []}"#).is_ok());
        for (bad, field) in
            [("{}", "name"), (r#"{"name": null, "list": []}"#, "name"), (r#"{"name": "x"}"#, "list"), (r#"{"more": 1}"#, "name")]
        {
            let Err(Problem::Invalid(faults)) = complete::<Form>(bad.as_bytes()) else { panic!("{bad}") };
            assert_eq!((faults[0].loc.join("."), &*faults[0].kind), (format!("body.{field}"), "missing"));
        }
    }

    #[test]
    fn the_schema_says_so() {
        let schema = serde_json::to_value(New::<Form>::schema()).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["name", "list"]));
        assert_eq!(
            (&schema["properties"]["name"]["type"], &schema["properties"]["list"]["type"]),
            (&"string".into(), &"array".into())
        );
        assert_eq!(schema["properties"]["more"]["type"], serde_json::json!(["integer", "null"]));
        assert_eq!(New::<Form>::name(), "NewForm");
    }
}
