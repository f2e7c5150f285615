//! Event types: the catalogue, by category, with schema and example.

use super::{
    Dashboard,
    desk::Desk,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has},
    view::{Listed, Pager, When, pretty},
    visitor::Visitor,
};
use crate::api::Problem;
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 100;
/// Names that other pages offer.
const OFFERED: usize = 250;
/// Fields of the forms, by what the API calls them.
const NAMES: [(&str, &str); 2] = [("groupName", "group"), ("schemas", "schema")];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route("/dashboard/event-types", get(list).post(make))
        .route("/dashboard/event-types/{name}", get(show).post(edit))
        .route("/dashboard/event-types/{name}/archive", post(archive))
}

/// An event type, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypeView {
    /// Its name.
    pub(super) name: String,
    /// For people.
    pub(super) description: String,
    archived: bool,
    #[serde(default)]
    deprecated: bool,
    #[serde(default)]
    reserved: bool,
    #[serde(default)]
    pub(super) group_name: Option<String>,
    #[serde(default)]
    schemas: Option<Map<String, Value>>,
    created_at: When,
}

impl TypeView {
    /// Its category.
    pub(super) fn group(&self) -> &str {
        self.group_name.as_deref().unwrap_or("–")
    }

    /// Its state: class and word.
    pub(super) fn state(&self) -> (&'static str, &'static str) {
        match (self.archived, self.reserved, self.deprecated) {
            (true, ..) => ("dim", "archived"),
            (_, true, _) => ("held", "reserved"),
            (_, _, true) => ("wait", "deprecated"),
            _ => ("ok", "active"),
        }
    }

    /// The newest schema.
    pub(super) fn schema(&self) -> Option<(&String, &Value)> {
        self.schemas.as_ref()?.iter().max_by_key(|(version, _)| (version.parse::<u64>().ok(), *version))
    }

    /// The newest schema as people read it.
    pub(super) fn schema_text(&self) -> String {
        self.schema().map(|(_, schema)| pretty(&schema.to_string())).unwrap_or_default()
    }

    /// Its schema's first example, or none.
    pub(super) fn example(&self) -> Option<String> {
        let (_, schema) = self.schema()?;
        let example = schema.get("examples").and_then(|all| all.get(0)).or_else(|| schema.get("example"))?;
        Some(pretty(&example.to_string()))
    }
}

#[derive(Template)]
#[template(path = "dashboard/event_types.html")]
struct EventTypes {
    shell: Shell,
    rows: Vec<TypeView>,
    pager: Pager,
    asked: Fields,
    archived: bool,
    refused: Refused,
}

#[derive(Template)]
#[template(path = "dashboard/event_type.html")]
struct EventTypePage {
    shell: Shell,
    row: TypeView,
    refused: Refused,
}

/// Names of event types, for forms of other pages.
pub(super) async fn names(desk: &Desk) -> Result<Vec<String>, Problem> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let all: Listed<Named> = desk.get(&format!("/api/v1/event-type?limit={OFFERED}")).await?;
    Ok(all.data.into_iter().map(|named| named.name).collect())
}

async fn list(visitor: Visitor) -> Shown {
    page(visitor, Refused::default()).await
}

async fn page(visitor: Visitor, refused: Refused) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let archived = asked.ticked("archived");
    let path = format!("/api/v1/event-type?include_archived={archived}");
    let sifted = Sifted { path: &path, from: asked.text("iterator"), limit: LIMIT, id: |row: &TypeView| &row.name };
    let part = asked.text("q");
    let parts = |row: &TypeView| has(&row.name, part) || has(&row.description, part) || has(row.group(), part);
    let (listed, badly) = Refused::filters(sifted.rows(&visitor.desk, parts).await, &asked, &[])?;
    let (pager, refused) = (listed.pager(&visitor.query), refused.or(badly));
    let shell = Shell::new(&visitor, "Event types", "event-types");
    Ok((refused.status(), Page(EventTypes { shell, rows: listed.data, pager, asked, archived, refused })).into_response())
}

async fn make(filled: Filled) -> Shown {
    match try_make(&filled).await {
        Ok(()) => Ok(Redirect::to("/dashboard/event-types?note=made").into_response()),
        Err(problem) => page(filled.visitor, Refused::new("make", problem, filled.fields, &NAMES)?).await,
    }
}

async fn try_make(filled: &Filled) -> Result<(), Problem> {
    let fields = &filled.fields;
    let schemas = fields.json("schema")?.map(|schema| json!({ "1": schema }));
    let body = json!({
        "name": fields.text("name"), "description": fields.text("description"),
        "groupName": fields.given("group"), "schemas": schemas,
    });
    filled.change(Method::POST, "/api/v1/event-type", body).await
}

async fn show(visitor: Visitor, Path(name): Path<String>) -> Shown {
    one(visitor, &name, Refused::default()).await
}

async fn one(visitor: Visitor, name: &str, refused: Refused) -> Shown {
    let row: TypeView = visitor.desk.get(&format!("/api/v1/event-type/{}", segment(name))).await?;
    let shell = Shell::new(&visitor, row.name.clone(), "event-types");
    Ok((refused.status(), Page(EventTypePage { shell, row, refused })).into_response())
}

/// All schemas with this version as it is now. `None`: it is removed.
fn merged(schemas: Option<Map<String, Value>>, version: &str, schema: Option<Value>) -> Value {
    let mut schemas = schemas.unwrap_or_default();
    match schema {
        Some(schema) => schemas.insert(version.to_owned(), schema),
        None => schemas.remove(version),
    };
    if schemas.is_empty() { Value::Null } else { schemas.into() }
}

async fn edit(Path(name): Path<String>, filled: Filled) -> Shown {
    match try_edit(&name, &filled).await {
        Ok(()) => Ok(Redirect::to(&format!("/dashboard/event-types/{}?note=saved", segment(&name))).into_response()),
        Err(problem) => one(filled.visitor, &name, Refused::new("edit", problem, filled.fields, &NAMES)?).await,
    }
}

async fn try_edit(name: &str, filled: &Filled) -> Result<(), Problem> {
    let fields = &filled.fields;
    let mut body = json!({ "description": fields.text("description"), "groupName": fields.given("group") });
    let schema = fields.json("schema")?;
    if let Some(body) = body.as_object_mut().filter(|_| schema.is_some() || fields.given("version").is_some()) {
        let row: TypeView = filled.visitor.desk.get(&format!("/api/v1/event-type/{}", segment(name))).await?;
        body.insert("schemas".into(), merged(row.schemas, fields.given("version").unwrap_or("1"), schema));
    }
    filled.change(Method::PATCH, &format!("/api/v1/event-type/{}", segment(name)), body).await
}

async fn archive(Path(name): Path<String>, filled: Filled) -> Shown {
    let archived = filled.fields.truth("archived")?;
    filled.change(Method::PATCH, &format!("/api/v1/event-type/{}", segment(&name)), json!({ "archived": archived })).await?;
    Ok(Redirect::to(&format!("/dashboard/event-types/{}?note=saved", segment(&name))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_of_a_schema_stay() {
        let there = || json!({ "1": { "a": 1 }, "10": {}, "2": {} }).as_object().cloned();
        assert_eq!(merged(there(), "10", Some(json!({ "b": 2 }))), json!({ "1": { "a": 1 }, "10": { "b": 2 }, "2": {} }));
        assert_eq!(merged(there(), "10", None), json!({ "1": { "a": 1 }, "2": {} }));
        assert_eq!(merged(json!({ "1": {} }).as_object().cloned(), "1", None), Value::Null);
        assert_eq!(merged(None, "1", Some(json!({}))), json!({ "1": {} }));
        let view =
            json!({ "name": "a", "description": "", "archived": false, "schemas": there(), "createdAt": "2026-01-01T00:00:00Z" });
        let view: TypeView = serde_json::from_value(view).unwrap();
        assert_eq!(view.schema().unwrap().0, "10");
    }
}
