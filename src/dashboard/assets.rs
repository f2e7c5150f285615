//! The style and the script, in the binary, under names that change with their content: a browser keeps them for good.
//!
//! They are sent as they are: both together are smaller than what compressing them would save over one round trip.

use super::Dashboard;
use crate::crypto::short_fingerprint;
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::{Arc, LazyLock};

/// For good: another content has another name.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// A file in the binary.
struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(name: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let hash: String = short_fingerprint(text.as_bytes()).chars().take(12).collect();
        Asset { path: format!("/dashboard/assets/{name}-{hash}.{ending}"), kind, text }
    }
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("dashboard", "css", "text/css; charset=utf-8", include_str!("assets/dashboard.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("dashboard", "js", "text/javascript; charset=utf-8", include_str!("assets/dashboard.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Where the style is.
pub(super) fn style() -> &'static str {
    &STYLE.path
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    &SCRIPT.path
}

/// Where the icon is.
pub(super) fn icon() -> &'static str {
    &ICON.path
}

pub(super) fn routes() -> Router<Arc<Dashboard>> {
    Router::new().route("/dashboard/assets/{name}", get(asset))
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    match all.into_iter().find(|asset| asset.path.rsplit('/').next() == Some(&name)) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_GOOD)], asset.text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
