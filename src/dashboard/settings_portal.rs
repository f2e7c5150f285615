//! Settings → Portal: the organization's name, logo, colours, and who may frame its portal.

use super::{
    Dashboard,
    error::Shown,
    fields::{Fields, Filled},
    page::{Page, Shell},
    portal::{Shades, own_branding, shades},
    refused::Refused,
    visitor::Visitor,
};
use crate::{api::Problem, model::Role};
use askama::Template;
use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where it is.
const PATH: &str = "/dashboard/settings/portal";

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new()
        .route(PATH, get(show).post(save))
        .route(&format!("{PATH}/logo"), get(logo))
        .route(&format!("{PATH}/logo/set"), post(set_logo))
}

/// The branding, as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrandingView {
    name: Option<String>,
    color: Option<String>,
    dark_color: Option<String>,
    origins: Option<Vec<String>>,
    logo: Option<LogoView>,
}

#[derive(Debug, Deserialize)]
struct LogoView {
    bytes: u64,
}

#[derive(Template)]
#[template(path = "dashboard/settings_portal.html")]
struct Portal {
    shell: Shell,
    given: Fields,
    refused: Refused,
    logo: Option<LogoView>,
    /// How its colours are shown.
    shades: Vec<(&'static str, Shades)>,
}

async fn show(visitor: Visitor) -> Shown {
    page(visitor, None, Refused::default()).await
}

/// `given` is what was just refused.
async fn page(visitor: Visitor, given: Option<Fields>, refused: Refused) -> Shown {
    let view: BrandingView = visitor.desk.get("/api/v1/branding").await?;
    let shades = shades(view.color.as_deref(), view.dark_color.as_deref());
    let given = given.unwrap_or_else(|| {
        let framing = match view.origins.as_deref() {
            None => "server",
            Some([]) => "nobody",
            Some(_) => "these",
        };
        let origins = view.origins.unwrap_or_default().join("\n");
        let pairs = [
            ("name", view.name),
            ("color", view.color),
            ("dark_color", view.dark_color),
            ("framing", Some(framing.to_owned())),
            ("origins", Some(origins)),
        ];
        Fields(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default())).collect())
    });
    let page = Portal { shell: Shell::new(&visitor, "Portal", "settings"), given, refused, logo: view.logo, shades };
    Ok((page.refused.status(), Page(page)).into_response())
}

async fn save(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    let fields = &filled.fields;
    let result = match origins(fields) {
        Ok(origins) => {
            let body = json!({
                "name": fields.given("name"), "color": fields.given("color"), "darkColor": fields.given("dark_color"),
                "origins": origins,
            });
            filled.change(Method::PUT, "/api/v1/branding", body).await
        }
        Err(problem) => Err(problem),
    };
    done(result, filled).await
}

/// Who may frame the portal: as the server's configuration says, nobody, or these.
fn origins(fields: &Fields) -> Result<Value, Problem> {
    let named = fields.words("origins").filter(|words| !words.is_empty());
    match (fields.text("framing"), named) {
        ("server", _) => Ok(Value::Null),
        ("nobody", _) => Ok(json!([])),
        ("these", Some(named)) => Ok(json!(named)),
        ("these", None) => Err(Problem::field(&["origins"], "missing", "Name a page, or choose nobody.")),
        _ => Err(Problem::field(&["framing"], "enum", "server, these or nobody.")),
    }
}

/// Takes a logo, which the page's script has read from its file, or removes the one there is.
async fn set_logo(filled: Filled) -> Shown {
    filled.visitor.need(Role::Admin)?;
    let image = filled.fields.text("image");
    let result = match (filled.fields.text("act"), image) {
        ("remove", _) => filled.change(Method::DELETE, "/api/v1/branding/logo", Value::Null).await,
        (_, "") => Err(Problem::field(&["image"], "missing", "Choose a file.")),
        (_, image) => filled.change(Method::PUT, "/api/v1/branding/logo", json!({ "image": image })).await,
    };
    match result {
        Ok(()) => Ok(Redirect::to(&format!("{PATH}?note=saved")).into_response()),
        // What the other form of the page says is as it was.
        Err(problem) => page(filled.visitor, None, Refused::new("logo", problem, filled.fields, &[])?).await,
    }
}

async fn done(result: Result<(), Problem>, filled: Filled) -> Shown {
    match result {
        Ok(()) => Ok(Redirect::to(&format!("{PATH}?note=saved")).into_response()),
        Err(problem) => {
            let given = filled.fields.clone();
            let refused = Refused::new("brand", problem, filled.fields, &[("darkColor", "dark_color")])?;
            page(filled.visitor, Some(given), refused).await
        }
    }
}

/// The organization's logo.
async fn logo(visitor: Visitor) -> Response {
    let own = own_branding(visitor.desk.dashboard(), visitor.user.org).await.and_then(|own| own.logo);
    match own {
        Some(logo) => ([(header::CONTENT_TYPE, HeaderValue::from_static(logo.kind.media()))], logo.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_not_as_the_server_says() {
        let asked = |text: &str| origins(&Fields::parse(text.as_bytes()));
        assert_eq!(asked("framing=nobody&origins=https://a.example"), Ok(json!([])));
        assert_eq!(asked("framing=server"), Ok(Value::Null));
        assert_eq!(asked("framing=these&origins=https://a.example"), Ok(json!(["https://a.example"])));
        assert!(asked("framing=these&origins=").is_err() && asked("framing=all").is_err());
    }
}
