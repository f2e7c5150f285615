//! Keys: of the API, made, listed and revoked. For admins.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled, segment},
    page::{Page, Shell},
    refused::Refused,
    sift::{Sifted, has},
    view::{Pager, When},
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    extract::Path,
    http::Method,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries of a page.
const LIMIT: usize = 50;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/keys", get(list).post(make)).route("/dashboard/keys/{key}/revoke", post(revoke))
}

/// A key, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyView {
    id: String,
    name: String,
    kind: String,
    created_at: When,
    /// What it may do; `None`: everything.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    expires_at: Option<When>,
}

/// What a key may be limited to, and what that is for people.
const SCOPES: [(&str, &str); 4] = [
    ("read", "look at everything but secrets"),
    ("send", "send messages"),
    ("manage", "look at and change everything but keys"),
    ("portal", "make and revoke links to the portal"),
];

#[derive(Template)]
#[template(path = "dashboard/keys.html")]
struct Keys {
    shell: Shell,
    rows: Vec<KeyView>,
    pager: Pager,
    asked: Fields,
    token: Option<String>,
    refused: Refused,
    /// The choices of the form: word, meaning, and whether it is ticked.
    scopes: Vec<(&'static str, &'static str, bool)>,
}

async fn list(visitor: Visitor) -> Shown {
    page(visitor, None, Refused::default()).await
}

async fn page(visitor: Visitor, token: Option<String>, refused: Refused) -> Shown {
    let asked = Fields::parse(visitor.query.as_bytes());
    let sifted = Sifted { path: "/api/v1/key?", from: asked.text("iterator"), limit: LIMIT, id: |row: &KeyView| &row.id };
    let part = asked.text("q");
    let found = sifted.rows(&visitor.desk, |row| has(&row.name, part) || row.id == part).await;
    let (listed, badly) = Refused::filters(found, &asked, &[])?;
    let (pager, refused) = (listed.pager(&visitor.query), refused.or(badly));
    let ticked = refused.given().all("scopes");
    let scopes = SCOPES.iter().map(|(word, meaning)| (*word, *meaning, ticked.iter().any(|one| one == word))).collect();
    let page = Keys { shell: Shell::new(&visitor, "Keys", "keys"), rows: listed.data, pager, asked, token, refused, scopes };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Makes a key and shows it, once.
async fn make(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    match try_make(&filled).await {
        Ok(token) => page(filled.visitor, Some(token), Refused::default()).await,
        Err(problem) => {
            let refused = Refused::new("make", problem, filled.fields, &[("expiresIn", "days"), ("scopes", "scopes")])?;
            page(filled.visitor, None, refused).await
        }
    }
}

async fn try_make(filled: &Filled) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Made {
        token: String,
    }
    let body = body(&filled.fields)?;
    Ok(filled.send::<Made>(Method::POST, "/api/v1/key", body).await?.token)
}

/// The key that a form asks for.
fn body(fields: &Fields) -> Result<Value, Problem> {
    let days = fields.given("days").map(str::parse::<u64>).transpose();
    let days = days.map_err(|_| Problem::field(&["days"], "type_error", "This is not a number."))?;
    let name = fields.given("name").ok_or_else(|| Problem::field(&["name"], "missing", "A name tells keys apart."))?;
    let mut body = json!({ "name": name, "expiresIn": days.map(|days| days.saturating_mul(86_400)) });
    let scopes = fields.all("scopes");
    // What is ticked limits it, whatever stands beside: a key never gets more than somebody has seen chosen.
    if let Some(body) = body.as_object_mut().filter(|_| fields.text("may") == "some" || !scopes.is_empty()) {
        if scopes.is_empty() {
            return Err(Problem::field(&["scopes"], "missing", "Choose at least one."));
        }
        body.insert("scopes".into(), json!(scopes));
    }
    Ok(body)
}

async fn revoke(Path(key): Path<String>, filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    filled.change(Method::DELETE, &format!("/api/v1/key/{}", segment(&key)), Value::Null).await?;
    Ok(Redirect::to("/dashboard/keys?note=revoked").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_do_everything_unless_it_is_limited() {
        let read = |text: &str| body(&Fields::parse(text.as_bytes()));
        assert_eq!(read("name=ci&may=all&days=2").unwrap(), json!({"name": "ci", "expiresIn": 172_800}));
        assert_eq!(read("name=ci&may=some&scopes=read&scopes=send").unwrap()["scopes"], json!(["read", "send"]));
        assert_eq!(read("name=ci&may=all&scopes=read").unwrap()["scopes"], json!(["read"]));
        assert!(read("name=ci&may=some").is_err() && read("name=+").is_err() && read("name=ci&days=soon").is_err());
    }
}
