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
    #[serde(default)]
    expires_at: Option<When>,
}

#[derive(Template)]
#[template(path = "dashboard/keys.html")]
struct Keys {
    shell: Shell,
    rows: Vec<KeyView>,
    pager: Pager,
    asked: Fields,
    token: Option<String>,
    refused: Refused,
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
    let page = Keys { shell: Shell::new(&visitor, "Keys", "keys"), rows: listed.data, pager, asked, token, refused };
    Ok((page.refused.status(), Page(page)).into_response())
}

/// Makes a key and shows it, once.
async fn make(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    match try_make(&filled).await {
        Ok(token) => page(filled.visitor, Some(token), Refused::default()).await,
        Err(problem) => {
            let refused = Refused::new("make", problem, filled.fields, &[("expiresIn", "days")])?;
            page(filled.visitor, None, refused).await
        }
    }
}

async fn try_make(filled: &Filled) -> Result<String, Problem> {
    #[derive(Deserialize)]
    struct Made {
        token: String,
    }
    let days = filled.fields.given("days").map(str::parse::<u64>).transpose();
    let days = days.map_err(|_| Problem::field(&["days"], "type_error", "This is not a number."))?;
    let body = json!({ "name": filled.fields.text("name"), "expiresIn": days.map(|days| days.saturating_mul(86_400)) });
    Ok(filled.send::<Made>(Method::POST, "/api/v1/key", body).await?.token)
}

async fn revoke(Path(key): Path<String>, filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    filled.change(Method::DELETE, &format!("/api/v1/key/{}", segment(&key)), Value::Null).await?;
    Ok(Redirect::to("/dashboard/keys?note=revoked").into_response())
}
