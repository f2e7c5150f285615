//! A receiver with axum: `SECRET=… cargo run --example axum`, then point GitHub at http://localhost:8080/github.
//!
//! The extractor is `Bytes`: a signature covers the bytes that came, so JSON is read only after they are proved.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    routing::post,
};
use postrider_signature::{Request, Settings, Verifier, provider};
use std::{env, error::Error, sync::Arc, time::UNIX_EPOCH};

/// The URL that the sender was given; behind a proxy it is not the one that arrives here.
const PUBLIC: &str = "https://hooks.example.com";
/// Longest body, in bytes.
const MAX_BODY: usize = 256 * 1024;

async fn receive(
    State(verifier): State<Arc<Verifier>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let url = format!("{PUBLIC}{uri}");
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: method.as_str(), url: &url, headers: &headers, body: &body };
    match verifier.verify(&request, now_ms()) {
        Ok(verified) => {
            println!("{} {}", verified.event_type.as_deref().unwrap_or("?"), verified.event_id.as_deref().unwrap_or("?"));
            (StatusCode::NO_CONTENT, String::new())
        }
        Err(refusal) => (StatusCode::UNAUTHORIZED, refusal.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "an example takes the time from the system")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let github = provider("github").ok_or("there is no such provider")?;
    let verifier = Verifier::new(github, &[&env::var("SECRET")?], &Settings::new())?;
    let app = Router::new().route("/github", post(receive)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(Arc::new(verifier));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    Ok(axum::serve(listener, app).await?)
}
