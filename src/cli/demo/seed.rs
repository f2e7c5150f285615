//! The sample's application, event types and endpoints. Made again on every start, so each step takes what is there.

use super::{APP, BROKEN, receiver::Receiver, sample};
use crate::{
    cli::{client::Client, systems},
    systems::SURFACES,
};
use anyhow::Context;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// Anything that the API gives an id.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    /// The id.
    pub(super) id: String,
}

#[derive(Deserialize)]
struct SecretOut {
    key: String,
}

/// Makes everything that is not there, and tells the receiver what to verify with.
pub(super) async fn seed(client: &Client, receiver: &Receiver) -> anyhow::Result<()> {
    let app = json!({ "name": "Demo", "uid": APP }).to_string();
    let _made: Named = client.call(Method::POST, "/api/v1/app?get_if_exists=true", app).await?;
    for event_type in sample::event_types() {
        let answer = client.send(Method::POST, "/api/v1/event-type", event_type.to_string()).await?;
        if answer.status != StatusCode::CONFLICT {
            answer.accepted().context("an event type of the demonstration")?;
        }
    }
    for surface in SURFACES {
        systems::seed(client, surface).await?;
    }
    let voided = json!([sample::FAILING]);
    for (uid, path, description, more) in [
        ("everything", "/ok", "Gets every message", json!({})),
        ("invoices", "/ok/invoices", "Gets what happens to invoices", json!({ "eventTypes": sample::invoice_types() })),
        (BROKEN, "/broken", "Refuses every message once; no retries", json!({ "eventTypes": voided, "retryPolicy": [] })),
    ] {
        let mut endpoint = json!({ "uid": uid, "url": format!("http://{}{path}", receiver.address()), "description": description });
        if let (Some(endpoint), serde_json::Value::Object(more)) = (endpoint.as_object_mut(), more) {
            endpoint.extend(more);
        }
        let secret = place(client, uid, &endpoint).await.with_context(|| format!("the endpoint `{uid}`"))?;
        receiver.trust(path, &secret)?;
    }
    Ok(())
}

/// Makes an endpoint, or moves the one that is there to this start's receiver; its secret.
async fn place(client: &Client, uid: &str, endpoint: &serde_json::Value) -> anyhow::Result<String> {
    let endpoints = format!("/api/v1/app/{APP}/endpoint");
    let there = client.send(Method::GET, &format!("{endpoints}/{uid}"), String::new()).await?.status == StatusCode::OK;
    let (method, path) = if there { (Method::PATCH, format!("{endpoints}/{uid}")) } else { (Method::POST, endpoints.clone()) };
    let _made: Named = client.call(method, &path, endpoint.to_string()).await?;
    let secret: SecretOut = client.call(Method::GET, &format!("{endpoints}/{uid}/secret"), String::new()).await?;
    Ok(secret.key)
}
