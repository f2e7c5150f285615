//! Nothing secret comes out: a long flow in which every secret is a canary, with everything logged that can be, and none of
//! the canaries in the log, in an answer that shows objects, or in an attempt.

use crate::{
    peers::{Speaks, proxy},
    support::{ADMIN_KEY, JWT_SECRET, Reply},
    tenant::{Tenant, id_of},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

#[tokio::test]
async fn no_canary_sings() {
    let mut t = Tenant::start_with(&["--log", "trace"]).await;
    let through = proxy(Speaks::Connect, Some(("proxy", "canary-proxy-password"))).await;
    t.receiver.script(
        "/token",
        [
            Reply::status(500).body("canary-token-endpoint-says"),
            Reply::status(200).body(r#"{"access_token": "canary-access-token"}"#),
        ],
    );
    t.receiver.script("/fails", [Reply::status(500)]);
    let hook = t.receiver.url("/hook");
    let signing = format!("whsec_{}", BASE64_STANDARD.encode(*b"canary-signing-secret-32-bytes!!"));
    let body = json!({"url": hook, "secret": signing, "headers": {"x-api-key": "canary-header"}, "retryPolicy": [1]});
    let first = id_of(&t.api.post(&t.path("/endpoint"), &body.to_string()).await.expect(201));
    let basic = json!({"type": "basic", "username": "ann", "password": "canary-password"});
    let bearer = json!({"type": "bearer", "token": "canary-bearer"});
    let oauth =
        json!({"type": "oauth2", "tokenUrl": t.receiver.url("/token"), "clientId": "me", "clientSecret": "canary-client-secret"});
    let mut endpoints = vec![first];
    for (path, authentication) in [("/fails", &basic), ("/hook", &bearer), ("/hook", &oauth)] {
        endpoints.push(t.trusted(&t.receiver.url(path), &json!({"authentication": authentication})).await);
    }
    // Refusals quote nothing of what was given.
    let bad = json!({"authentication": {"type": "basic", "username": "a:b", "password": "canary-refused\n"}});
    let refusal = t.give(&endpoints[0], &bad).await.expect(422).to_string();
    let bad = json!({"clientCertificate": {"certificate": "canary-cert", "privateKey": "canary-key"}});
    let refusal = refusal + &t.give(&endpoints[0], &bad).await.expect(422).to_string();
    let bad = r#"{"authentication": {"type": "bearer", "token": {"canary": "canary-shape"}}}"#;
    let refusal = refusal + &t.api.put(&t.path(&format!("/endpoint/{}/credentials", endpoints[0])), bad).await.text();
    let set = json!({"url": format!("http://{}", through.address), "username": "proxy", "password": "canary-proxy-password"});
    t.api.put("/api/v1/proxy", &set.to_string()).await.expect(204);
    let source = t.api.post("/api/v1/source", r#"{"name": "in", "provider": "github", "secret": "canary-source-secret"}"#).await;
    let key = t.api.post("/api/v1/key", r#"{"name": "k"}"#).await.expect(201);
    let link = t.api.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), "{}").await.expect(200);
    for token in [&key["token"], &link["token"], &json!("canary-unknown-token")] {
        t.api.with_token(token.as_str().unwrap()).get(&t.path("/endpoint")).await;
    }
    let mut shown = refusal;
    for _ in 0..2 {
        let message = t.send().await;
        for endpoint in &endpoints {
            shown += &json!(t.attempts(&message, endpoint, 1).await).to_string();
        }
    }
    for endpoint in &endpoints {
        for rest in ["", "/headers", "/credentials"] {
            shown += &t.api.get(&t.path(&format!("/endpoint/{endpoint}{rest}"))).await.text();
        }
    }
    for path in ["/api/v1/proxy", "/api/v1/audit?limit=250", "/api/v1/key", "/api/v1/source"] {
        shown += &t.api.get(path).await.text();
    }
    assert_eq!(t.server.stop().await, 0);
    t.server.restart().await;
    assert_eq!(t.server.stop().await, 0);
    let log = t.server.log();
    assert!(log.len() > 10, "{log:?}");
    let access = BASE64_STANDARD.encode("ann:canary-password");
    let proxied = BASE64_STANDARD.encode("proxy:canary-proxy-password");
    let signing = signing.strip_prefix("whsec_").unwrap().to_owned();
    let master = std::fs::read_to_string(t.server.data().join("data/master.key")).unwrap().trim().to_owned();
    let tokens = [&key["token"], &link["token"]].map(|token| token.as_str().unwrap().to_owned());
    assert!(source.status < 500, "{}", source.text());
    let secrets = ["canary", ADMIN_KEY, JWT_SECRET, &access, &proxied, &signing, &master, &tokens[0], &tokens[1]];
    for secret in secrets {
        let line = log.iter().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
}
