//! How a receiver verifies what one endpoint sends it, in six languages, with the endpoint's own header names.

use super::{
    super::{
        Dashboard,
        endpoint_edit::EndpointView,
        fields::{Fields, segment},
        page::Page,
    },
    guest::Guest,
    page::{Shell, Shown},
    snippets::{LANGUAGES, Recipe},
};
use crate::{api::Problem, model::EndpointId};
use askama::Template;
use axum::{Router, extract::Path, response::IntoResponse, routing::get};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/portal/{app}/endpoints/{endpoint}/verify", get(show))
}

#[derive(Template)]
#[template(path = "portal/verify.html")]
struct VerifyPage {
    shell: Shell,
    endpoint: EndpointView,
    recipe: Option<Recipe>,
    code: String,
    language: &'static str,
    languages: [(&'static str, &'static str); 6],
    scheme: String,
}

async fn show(guest: Guest, Path((_app, endpoint)): Path<(String, String)>) -> Shown {
    let endpoint: EndpointView = guest.desk.get(&format!("{}/endpoint/{}", guest.api(), segment(&endpoint))).await?;
    let id: EndpointId = endpoint.id.parse().map_err(|_| Problem::Internal)?;
    let (_, route) = guest.desk.engine().routing.endpoint(id).ok_or_else(|| Problem::not_found("endpoint"))?;
    let asked = Fields::parse(guest.query.as_bytes());
    let language = LANGUAGES.iter().find(|(word, _)| *word == asked.text("language")).map_or("javascript", |(word, _)| word);
    let recipe = Recipe::of(&route.profile.profile);
    let page = VerifyPage {
        shell: Shell::new(&guest, "Verify what you receive", "endpoints"),
        code: recipe.as_ref().and_then(|recipe| recipe.code(language)).unwrap_or_default(),
        recipe,
        language,
        languages: LANGUAGES,
        scheme: route.profile.profile.description.clone(),
        endpoint,
    };
    Ok(Page(page).into_response())
}
