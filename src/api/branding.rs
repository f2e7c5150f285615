//! `/api/v1/branding`: how the organization's customers see its portal. Ours, not of the compatible contract.

use super::{
    Api, Caller, Errors, Json, Problem, Shared,
    limits::{self, Limits},
    rules::Check,
};
use crate::{
    model::{Address, Color, Logo, MAX_BRAND_NAME, MAX_ORIGINS, OrgId, OwnBranding, Record, read_origin},
    store::Change,
};
use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the description says beside the shapes.
pub(super) fn limits() -> Limits {
    let origins = json!({ "maxItems": MAX_ORIGINS, "items": { "minLength": 1 } });
    vec![
        ("BrandingIn", json!({ "name": limits::title(1, MAX_BRAND_NAME), "origins": origins })),
        ("LogoIn", json!({ "image": { "minLength": 1 } })),
    ]
}

/// The operations on branding.
pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(get, put)).routes(routes!(put_logo, delete_logo))
}

/// How the portal looks. What is null is as the server's configuration says.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BrandingIn {
    /// The operator's name.
    name: Option<String>,
    /// The accent of buttons and links. It is moved towards black until text in it and on it is legible (WCAG AA).
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#0a5c8f")]
    color: Option<String>,
    /// The same in the dark, moved towards white; null: as `color`.
    #[schema(pattern = "^#[0-9a-fA-F]{6}$", example = "#7ec8ff")]
    dark_color: Option<String>,
    /// Origins whose pages may put the portal into a frame; `https://*.example.com` stands for all below it. None: nobody.
    #[schema(example = json!(["https://app.example.com"]))]
    origins: Option<Vec<String>>,
}

/// A logo.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogoIn {
    /// A PNG, JPEG or WebP of at most 64 KiB and 2048 pixels a side, in base64.
    #[schema(example = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")]
    image: String,
}

/// How the portal looks, as the organization says it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BrandingOut {
    /// The operator's name.
    name: Option<String>,
    /// The accent.
    color: Option<String>,
    /// The accent in the dark.
    dark_color: Option<String>,
    /// Origins whose pages may put the portal into a frame.
    origins: Option<Vec<String>>,
    /// The logo.
    logo: Option<LogoOut>,
}

/// What is shown of a logo.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogoOut {
    /// Its media type.
    #[schema(value_type = String, example = "image/png")]
    media_type: &'static str,
    /// Its size.
    bytes: usize,
}

async fn read(api: &Api, org: OrgId) -> Result<(OwnBranding, Option<u64>), Problem> {
    let now = api.engine.clock.now();
    Ok(match api.engine.store.find(&Address::branding(org), now).await?.map(|found| (found.record, found.revision)) {
        Some((Record::Branding(own), revision)) => (*own, Some(revision)),
        _ => (OwnBranding::new(org, now), None),
    })
}

/// Writes what was edited; whoever comes in between wins, and the caller is told.
async fn edit(api: &Api, org: OrgId, edit: impl FnOnce(&mut OwnBranding)) -> Result<BrandingOut, Problem> {
    let (mut own, revision) = read(api, org).await?;
    edit(&mut own);
    own.updated_at = api.engine.clock.now();
    let out = shown(&own);
    let change = match revision {
        Some(_) if own.is_empty() => Change::Delete(Address::branding(org)),
        Some(revision) => Change::Replace(Record::Branding(Box::new(own)), revision),
        None if own.is_empty() => return Ok(out),
        None => Change::Insert(Record::Branding(Box::new(own))),
    };
    api.engine.change(vec![change]).await?;
    Ok(out)
}

fn shown(own: &OwnBranding) -> BrandingOut {
    BrandingOut {
        name: own.name.clone(),
        color: own.color.map(Color::css),
        dark_color: own.dark_color.map(Color::css),
        origins: own.origins.clone(),
        logo: own.logo.as_ref().map(|logo| LogoOut { media_type: logo.kind.media(), bytes: logo.bytes.len() }),
    }
}

/// How the organization's portal looks.
#[utoipa::path(
    get,
    path = "/api/v1/branding",
    operation_id = "v1.branding.get",
    tag = "Branding",
    responses(Errors, (status = 200, description = "The branding", body = BrandingOut))
)]
async fn get(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<BrandingOut>, Problem> {
    caller.manage()?;
    Ok(axum::Json(shown(&read(&api, caller.org).await?.0)))
}

/// Says how the organization's portal looks. The logo stays as it is.
#[utoipa::path(
    put,
    path = "/api/v1/branding",
    operation_id = "v1.branding.put",
    tag = "Branding",
    request_body = BrandingIn,
    responses(Errors, (status = 200, description = "The branding", body = BrandingOut))
)]
async fn put(State(api): State<Shared>, caller: Caller, body: Json<BrandingIn>) -> Result<axum::Json<BrandingOut>, Problem> {
    caller.manage()?;
    let BrandingIn { name, color, dark_color, origins } = body.value;
    let mut check = Check::new();
    if let Some(name) = &name {
        check.title(&["body", "name"], name, 1..=MAX_BRAND_NAME);
    }
    let read_color = |text: &Option<String>| text.as_deref().map(Color::read);
    let (light, dark) = (read_color(&color), read_color(&dark_color));
    for (place, read) in [("color", light), ("darkColor", dark)] {
        check.rule(read != Some(None), &["body", place], "color", "A colour as #0a5c8f.");
    }
    let count = origins.as_ref().map_or(0, Vec::len);
    check.rule(count <= MAX_ORIGINS, &["body", "origins"], "length", format!("It has at most {MAX_ORIGINS} entries."));
    let read: Option<Vec<Option<String>>> = origins.map(|all| all.iter().map(|origin| read_origin(origin)).collect());
    for (at, origin) in read.iter().flatten().enumerate() {
        let at = at.to_string();
        check.rule(origin.is_some(), &["body", "origins", &at], "origin", "An origin as https://app.example.com.");
    }
    check.done()?;
    let origins = read.map(|all| all.into_iter().flatten().collect::<Vec<_>>());
    let out = edit(&api, caller.org, |own| {
        (own.name, own.color, own.dark_color, own.origins) = (name, light.flatten(), dark.flatten(), origins);
    });
    Ok(axum::Json(out.await?))
}

/// Uploads the portal's logo.
#[utoipa::path(
    put,
    path = "/api/v1/branding/logo",
    operation_id = "v1.branding.put-logo",
    tag = "Branding",
    request_body = LogoIn,
    responses(Errors, (status = 200, description = "The branding", body = BrandingOut))
)]
async fn put_logo(State(api): State<Shared>, caller: Caller, body: Json<LogoIn>) -> Result<axum::Json<BrandingOut>, Problem> {
    caller.manage()?;
    let fault = |rule: &'static str| Problem::field(&["body", "image"], "image", rule);
    let bytes = STANDARD.decode(body.value.image.trim()).map_err(|_| fault("It is not base64."))?;
    let logo = Logo::uploaded(bytes).map_err(fault)?;
    Ok(axum::Json(edit(&api, caller.org, |own| own.logo = Some(logo)).await?))
}

/// Removes the portal's logo: the server's configuration says again which it is.
#[utoipa::path(
    delete,
    path = "/api/v1/branding/logo",
    operation_id = "v1.branding.delete-logo",
    tag = "Branding",
    responses(Errors, (status = 200, description = "The branding", body = BrandingOut))
)]
async fn delete_logo(State(api): State<Shared>, caller: Caller) -> Result<axum::Json<BrandingOut>, Problem> {
    caller.manage()?;
    Ok(axum::Json(edit(&api, caller.org, |own| own.logo = None).await?))
}
