//! A receiver with plain hyper and a scheme of its own: `SECRET=… cargo run --example hyper`.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use postrider_signature::{Request, Scheme, Settings, Verifier};
use std::{convert::Infallible, env, error::Error, sync::Arc, time::UNIX_EPOCH};

/// The URL that the sender was given.
const PUBLIC: &str = "https://hooks.example.com";
/// Longest body, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// How our partner signs.
const SCHEME: &str = r#"{
    "algorithm": "hmac-sha256",
    "signature": {"in": "header:X-Partner-Signature", "prefix": "sha256=", "encoding": "hex"},
    "signed": "{timestamp}.{body}",
    "timestamp": {"in": "header:X-Partner-Timestamp", "unit": "s"},
    "id": "header:X-Partner-Event",
    "type": "body:type"
}"#;

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

async fn receive(verifier: Arc<Verifier>, request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long".to_owned()));
    };
    let (url, body) = (format!("{PUBLIC}{}", head.uri), body.to_bytes());
    let headers: Vec<(&str, &[u8])> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = Request { method: head.method.as_str(), url: &url, headers: &headers, body: &body };
    Ok(match verifier.verify(&request, now_ms()) {
        Ok(verified) => answer(StatusCode::OK, format!("{:?}\n", verified.event_type)),
        Err(refusal) => answer(StatusCode::UNAUTHORIZED, format!("{refusal}\n")),
    })
}

#[expect(clippy::disallowed_methods, reason = "an example takes the time from the system")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let verifier = Arc::new(Verifier::custom(&Scheme::from_json(SCHEME)?, &[&env::var("SECRET")?], &Settings::new())?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let verifier = verifier.clone();
        let serve = service_fn(move |request| receive(verifier.clone(), request));
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await {
                eprintln!("{error}");
            }
        });
    }
}
