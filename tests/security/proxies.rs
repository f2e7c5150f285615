//! Outgoing proxies: who resolves, what the guard still holds for, and that nothing leaves by another way.

use crate::{
    peers::{Authority, Speaks, proxy, secure},
    tenant::Tenant,
};
use serde_json::json;

async fn set(t: &Tenant, body: serde_json::Value) {
    t.api.put("/api/v1/proxy", &body.to_string()).await.expect(204);
}

fn port(url: &str) -> String {
    url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn deliveries_leave_through_the_proxy() {
    for (speaks, scheme) in [(Speaks::Connect, "http"), (Speaks::Socks, "socks5")] {
        let t = Tenant::start().await;
        let (guarded, authority) = (proxy(speaks, Some(("us", "proxy-canary"))).await, Authority::new());
        let receiver = secure(&authority.issue("127.0.0.1"), None).await;
        t.api.get("/api/v1/proxy").await.expect(404);
        let plain = t.endpoint(&t.receiver.url("/hook")).await;
        let over_tls = t.trusted(&receiver.url, &json!({"ca": authority.pem()})).await;
        let before = t.send().await;
        t.attempts(&before, &plain, 1).await;
        t.attempts(&before, &over_tls, 1).await;
        assert!(guarded.asked.lock().unwrap().is_empty());

        let url = format!("{scheme}://{}", guarded.address);
        set(&t, json!({"url": url, "username": "us", "password": "proxy-canary"})).await;
        let shown = t.api.get("/api/v1/proxy").await.expect(200);
        assert_eq!(shown, json!({"url": url, "username": "us", "resolvedBy": "postrider"}));
        let message = t.send().await;
        for endpoint in [&plain, &over_tls] {
            let attempt = t.attempts(&message, endpoint, 1).await.remove(0);
            assert_eq!(attempt["responseStatusCode"], 200, "{attempt}");
        }
        let mut asked = guarded.asked.lock().unwrap().clone();
        let mut wanted = vec![format!("127.0.0.1:{}", port(&t.receiver.url("/"))), format!("127.0.0.1:{}", port(&receiver.url))];
        asked.sort();
        wanted.sort();
        assert_eq!(asked, wanted);

        set(&t, json!({"url": url, "username": "us", "password": "wrong"})).await;
        let failure = t.failure(&plain).await;
        assert!(failure.contains("another user name or password") && !failure.contains("canary"), "{failure}");
        t.api.delete("/api/v1/proxy").await.expect(204);
        let asked = guarded.asked.lock().unwrap().len();
        let after = t.send().await;
        assert_eq!(t.attempts(&after, &plain, 1).await[0]["responseStatusCode"], 200);
        assert_eq!(guarded.asked.lock().unwrap().len(), asked);
    }
}

#[tokio::test]
async fn the_guard_holds_behind_a_proxy_and_for_it() {
    let t = Tenant::start().await;
    let through = proxy(Speaks::Connect, None).await;
    set(&t, json!({"url": format!("http://{}", through.address)})).await;
    let private = t.endpoint("http://10.0.0.1/").await;
    let failure = t.failure(&private).await;
    assert!(failure.contains("private address, which is not allowed"), "{failure}");
    // We resolve: the proxy gets the vetted address.
    let local = t.endpoint(&format!("http://localhost:{}/hook", port(&t.receiver.url("/")))).await;
    let message = t.send().await;
    // A name that has ::1 too is refused, because the answer mixes what is allowed and what is not.
    let attempt = t.attempts(&message, &local, 1).await.remove(0);
    let mixed = attempt.to_string().contains("loopback address, which is not allowed");
    assert!(mixed || attempt["responseStatusCode"] == 200, "{attempt}");
    assert!(through.asked.lock().unwrap().iter().all(|to| to.starts_with("127.0.0.1:")));
    // The proxy resolves: it gets the name, and hosts that are addresses stay guarded.
    set(&t, json!({"url": format!("http://{}", through.address), "resolvedBy": "proxy"})).await;
    let message = t.send().await;
    assert_eq!(t.attempts(&message, &local, 1).await[0]["responseStatusCode"], 200);
    assert!(through.asked.lock().unwrap().iter().any(|to| to.starts_with("localhost:")));
    assert!(t.failure(&private).await.contains("private address, which is not allowed"));
    // The proxy's own address.
    set(&t, json!({"url": "socks5://169.254.169.254:1080"})).await;
    let plain = t.endpoint(&t.receiver.url("/hook")).await;
    let failure = t.failure(&plain).await;
    assert!(failure.contains("of the proxy itself") && failure.contains("link-local"), "{failure}");
}

#[tokio::test]
async fn proxies_are_refused_by_their_rule() {
    let t = Tenant::start().await;
    for (body, word) in [
        (json!({"url": "https://proxy.example:1"}), "socks5://"),
        (json!({"url": "http://u:p@proxy.example:1"}), "user information"),
        (json!({"url": "http://proxy.example:1", "password": "x"}), "needs a user name"),
        (json!({"url": "http://proxy.example:1", "username": "a\nb"}), "control characters"),
        (json!({"url": "http://proxy.example:1", "username": "a:b"}), "username"),
        (json!({"url": "http://proxy.example:1", "username": "a", "password": "x".repeat(256)}), "password"),
        (json!({"url": "http://proxy.example:1", "resolvedBy": "dns"}), "resolvedBy"),
    ] {
        t.api.put("/api/v1/proxy", &body.to_string()).await.refused(422, word);
    }
    let down = json!({"url": "http://127.0.0.1:1"});
    set(&t, down).await;
    let endpoint = t.endpoint(&t.receiver.url("/hook")).await;
    let failure = t.failure(&endpoint).await;
    assert!(failure.contains("proxy did not make the connection"), "{failure}");
    assert!(t.receiver.at("/hook").is_empty());
}

#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let env = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let env = env.iter().map(|name| (name.to_string(), "http://127.0.0.1:1".to_owned())).collect();
    let server = crate::support::Server::start_with(crate::support::Options { args: Vec::new(), env }).await;
    let (api, receiver) = (server.api(), crate::support::Receiver::start().await);
    api.post("/api/v1/app", r#"{"name": "a", "uid": "a"}"#).await.expect(201);
    api.post("/api/v1/app/a/endpoint", &json!({"url": receiver.url("/hook")}).to_string()).await.expect(201);
    api.post("/api/v1/app/a/msg", r#"{"eventType": "a.b", "payload": {}}"#).await.expect(202);
    receiver.wait("/hook", 1).await;
}
