//! Audit: who changed what, when and from where.

use super::{
    Dashboard,
    error::Shown,
    fields::Fields,
    page::{Page, Shell},
    refused::Refused,
    view::{Badge, Listed, Pager, When},
    visitor::Visitor,
};
use askama::Template;
use axum::{Router, response::IntoResponse, routing::get};
use serde::Deserialize;
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;
/// What can be asked for.
const ACTIONS: [&str; 3] = ["created", "updated", "deleted"];
/// Kinds of objects.
const WHATS: [&str; 10] =
    ["application", "endpoint", "event_type", "issue", "key", "organization", "profile", "session", "source", "user"];

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/audit", get(list))
}

/// A change, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    at: When,
    actor: String,
    key: Option<String>,
    user: Option<By>,
    from: Option<String>,
    action: String,
    what: String,
    object_id: String,
    app_id: Option<String>,
    fields: Vec<String>,
}

/// A user, as an entry names them.
#[derive(Debug, Deserialize)]
struct By {
    login: String,
}

impl Entry {
    fn badge(&self) -> Badge {
        match self.action.as_str() {
            "created" => Badge("ok", "created"),
            "deleted" => Badge("bad", "deleted"),
            _ => Badge("wait", "updated"),
        }
    }

    /// What was changed, in words.
    fn object(&self) -> String {
        self.what.replace('_', " ")
    }

    /// Where the object is shown, while it is there.
    fn link(&self) -> Option<String> {
        let id = super::fields::segment(&self.object_id);
        if self.action == "deleted" {
            return None;
        }
        match (self.what.as_str(), &self.app_id) {
            ("endpoint", Some(app)) => Some(super::endpoint::page_path(app, &self.object_id)),
            ("application", _) => Some(format!("/dashboard/applications/{id}")),
            ("source", _) => Some(format!("/dashboard/sources/{id}")),
            ("event_type", _) => Some(format!("/dashboard/event-types/{id}")),
            _ => None,
        }
    }
}

#[derive(Template)]
#[template(path = "dashboard/audit.html")]
struct Audit {
    shell: Shell,
    rows: Vec<Entry>,
    pager: Pager,
    asked: Fields,
    actions: [&'static str; 3],
    whats: [&'static str; 10],
    filtered: bool,
    refused: Refused,
}

async fn list(visitor: Visitor) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let found = match path(&asked) {
        Ok(path) => visitor.desk.get::<Listed<Entry>>(&path).await,
        Err(problem) => Err(problem),
    };
    let (listed, refused) = Refused::filters(found, &asked, &[("after", "since"), ("before", "until")])?;
    let page = Audit {
        shell: Shell::new(&visitor, "Audit", "audit"),
        pager: listed.pager(&visitor.query),
        rows: listed.data,
        actions: ACTIONS,
        whats: WHATS,
        filtered: asked.0.iter().any(|(name, value)| !matches!(name.as_str(), "iterator" | "note") && !value.is_empty()),
        asked,
        refused,
    };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// The list that a query asks for.
pub(super) fn path(asked: &Fields) -> Result<String, crate::api::Problem> {
    let limit = LIMIT.to_string();
    let (after, before) = (asked.time("since")?, asked.time("until")?);
    let (after, before) = (after.map(|at| at.to_string()), before.map(|at| at.to_string()));
    let mut fixed = vec![("limit", limit.as_str())];
    fixed.extend(after.as_deref().map(|at| ("after", at)));
    fixed.extend(before.as_deref().map(|at| ("before", at)));
    let names = ["user", "key", "what", "action", "id", "iterator"].map(|name| (name, name));
    Ok(format!("/api/v1/audit?{}", asked.query(&fixed, &names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_reach_the_api_by_its_names() {
        let asked = Fields::parse(b"user=ann&what=key&action=&since=2026-01-02T03:04&iterator=x&note=saved");
        assert_eq!(path(&asked).unwrap(), "/api/v1/audit?limit=50&after=2026-01-02T03%3A04%3A00.000Z&user=ann&what=key&iterator=x");
    }
}
