//! What forms change: all that they say or nothing of it, and secrets shown to whoever may see them.

use crate::{
    forms::{admin, at_fault},
    support::{Receiver, Reply, eventually},
    visit::Visit,
};
use serde_json::json;

#[tokio::test]
async fn a_webhook_of_ilara_is_edited_and_what_is_emptied_goes() {
    let (server, mut visit, ..) = admin().await;
    let api = server.api();
    api.get("/v1/integrations/webhooks").await.expect(200);
    let body = json!({
        "name": "Shop", "url": "http://127.0.0.1:9/in", "events": ["event.purchase_complete"],
        "headers": {"X-Team": "shop", "Authorization": "Bearer abc"}, "retry_policy": {"max_retries": 2},
    });
    let made = api.post("/v1/integrations/webhooks", &body.to_string()).await.expect(201);
    let path = format!("/v1/integrations/webhooks/{}", made["id"].as_str().unwrap());
    let page = format!("/dashboard/settings/integrations/webhooks/{}", made["id"].as_str().unwrap());
    let text = visit.get(&page).await.text();
    assert!(text.contains("name=\"drop\" value=\"authorization\"") && !text.contains("Bearer abc"), "{text}");
    let named = |name: &'static str| {
        vec![("name", name), ("url", "http://127.0.0.1:9/in"), ("events", "event.purchase_complete"), ("hidden", "authorization")]
    };
    let form = [named("Renamed"), vec![("headers", "X-Team: two"), ("max_retries", "3"), ("enabled", "true")]].concat();
    assert_eq!(visit.submit(&page, &page, &form).await.status, 303);
    let now = api.get(&path).await.json();
    assert_eq!((&now["name"], &now["headers"]), (&json!("Renamed"), &json!({"x-team": "two"})));
    assert_eq!((&now["hidden_headers"], &now["retry_policy"]["max_retries"]), (&json!(["authorization"]), &json!(3)));
    let form = [named("Renamed"), vec![("headers", ""), ("max_retries", ""), ("backoff", "exponential")]].concat();
    assert_eq!(visit.submit(&page, &page, &form).await.status, 303);
    let now = api.get(&path).await.json();
    assert_eq!((&now["headers"], &now["hidden_headers"]), (&json!({}), &json!(["authorization"])));
    assert!(now["retry_policy"]["max_retries"] != 3 && now["enabled"] == false, "{now}");
    let form = [named("Renamed"), vec![("drop", "authorization")]].concat();
    assert_eq!(visit.submit(&page, &page, &form).await.status, 303);
    assert_eq!(api.get(&path).await.json()["hidden_headers"], json!([]));
}

/// The secret on a page that shows one.
#[track_caller]
fn secret(page: &str) -> String {
    let (_, after) = page.split_once("<code id=\"secret\">").unwrap_or_else(|| panic!("no secret: {page}"));
    after.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn secrets_that_are_made_are_shown() {
    let (server, mut visit, ..) = admin().await;
    let api = server.api();
    let list = "/dashboard/sources";
    let made = visit.submit(list, list, &[("name", "Kept"), ("provider", "github"), ("secret", "")]).await;
    let (status, text) = (made.status, made.text());
    let shown = secret(&text);
    let source = api.get("/api/v1/source").await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let current = async || api.get(&format!("/api/v1/source/{source}/secret")).await.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!((status, &shown), (200, &current().await), "{text}");
    let page = format!("{list}/{source}");
    assert!(text.contains(&format!("href=\"{page}?note=made\"")) && !visit.get(&page).await.text().contains(&shown));
    let rotated = secret(&visit.submit(&page, &format!("{page}/act"), &[("act", "rotate-secret"), ("secret", "")]).await.text());
    assert!(rotated != shown && rotated == current().await);
    let given = visit.submit(&page, &format!("{page}/act"), &[("act", "rotate-secret"), ("secret", "their own words")]).await;
    assert_eq!(given.status, 303, "who brings it knows it");
    assert_eq!(secret(&visit.submit(&page, &format!("{page}/secret"), &[]).await.text()), "their own words");
    assert_eq!(visit.get(&format!("{page}/secret")).await.status, 405, "no link shows it");

    api.post("/api/v1/user", r#"{"login": "eve", "role": "viewer"}"#).await.expect(201);
    let mut eve = Visit::of(&server);
    let link = api.post("/api/v1/user/eve/link", "").await.expect(201);
    assert_eq!(eve.enter(link["url"].as_str().unwrap()).await.status, 303);
    assert!(!eve.get(&page).await.text().contains("Show the secret"));
    assert_eq!(eve.submit("/dashboard/account", &format!("{page}/secret"), &[]).await.status, 403);

    let new = "/dashboard/settings/integrations/webhooks/new";
    let fields = [("name", "Shop"), ("url", "http://127.0.0.1:9/in"), ("events", "event.purchase_complete"), ("then", "test")];
    let made = visit.submit(new, new, &fields).await.text();
    assert!(secret(&made).len() >= 16 && made.contains("logs?note=tested"), "{made}");
    assert_eq!(visit.submit(new, new, &[&fields[..], &[("secret", "their own words")]].concat()).await.status, 303);
}

#[tokio::test]
async fn an_edit_that_is_refused_changes_nothing() {
    let (server, mut visit, app, endpoint) = admin().await;
    let api = server.api();
    let path = format!("/api/v1/app/{app}/endpoint/{endpoint}");
    let url = async || api.get(&path).await.json()["url"].as_str().unwrap().to_owned();
    let headers = async || api.get(&format!("{path}/headers")).await.json();
    api.put(&format!("{path}/headers"), r#"{"headers": {"X-A": "1", "X-B": "2", "Authorization": "s"}}"#).await.expect(204);
    let before = url().await;
    let page = format!("/dashboard/applications/{app}/endpoints/{endpoint}/edit");
    let form = [("url", "http://127.0.0.1:9/moved"), ("headers", "Content-Length: 5")];
    let refused = visit.submit(&page, &page, &form).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("/moved") && refused.text().contains("id=\"fault-endpoint-headers\""), "{}", refused.text());
    assert_eq!(url().await, before, "all or nothing");
    let form = [("url", "http://127.0.0.1:9/moved"), ("headers", "X-a: 3\nX-C: 4")];
    assert_eq!(visit.submit(&page, &page, &form).await.status, 303);
    assert_eq!(
        (url().await.as_str(), headers().await["headers"].clone()),
        ("http://127.0.0.1:9/moved", json!({"x-a": "3", "x-c": "4"}))
    );
    assert_eq!(headers().await["sensitive"], json!(["authorization"]));

    let refused = api.patch(&path, r#"{"url": "http://127.0.0.1:9/again", "headers": {"Content-Length": "5"}}"#).await;
    assert_eq!((refused.status, url().await.as_str()), (422, "http://127.0.0.1:9/moved"));
    let entry = api.post(&format!("/api/v1/auth/app-portal-access/{app}"), "{}").await.expect(200);
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let page = format!("/portal/{app}/endpoints/{endpoint}/edit");
    let send = async |method: &str, body: &str| {
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        api.anonymous().send(method, &page, &headers, body).await
    };
    let text = send("GET", "").await.text();
    let (_, token) = text.split_once("name=\"form_token\" value=\"").unwrap();
    let token = token.split('"').next().unwrap();
    let form = |headers: &str| format!("form_token={token}&which=all&url=http://127.0.0.1:9/portal&headers={headers}");
    let refused = send("POST", &form("Content-Length:+5")).await;
    assert_eq!((refused.status, url().await.as_str()), (422, "http://127.0.0.1:9/moved"));
    assert_eq!(send("POST", &form("X-C:+5")).await.status, 303);
    assert_eq!((url().await.as_str(), headers().await["headers"].clone()), ("http://127.0.0.1:9/portal", json!({"x-c": "5"})));
}

#[tokio::test]
async fn keys_are_named_and_may_be_limited() {
    let (server, mut visit, ..) = admin().await;
    let list = "/dashboard/keys";
    let made = visit.submit(list, list, &[("name", "looks"), ("may", "some"), ("scopes", "read")]).await.text();
    let (_, token) = made.split_once("<code id=\"token\">").unwrap();
    let limited = server.api().with_token(token.split('<').next().unwrap());
    limited.get("/api/v1/app").await.expect(200);
    limited.post("/api/v1/app", r#"{"name": "x"}"#).await.expect(403);
    assert!(made.contains("data-label=\"May\">read<"), "{made}");
    assert_eq!(visit.submit(list, list, &[("name", "all"), ("may", "all")]).await.status, 200);
    let keys = server.api().get("/api/v1/key").await.json();
    let of = |name: &str| keys["data"].as_array().unwrap().iter().find(|key| key["name"] == name).unwrap()["scopes"].clone();
    assert_eq!((of("looks"), of("all")), (json!(["read"]), json!(null)));
    at_fault(&visit.submit(list, list, &[("name", "  "), ("days", "3")]).await, "name", &["value=\"3\""]);
    at_fault(&visit.submit(list, list, &[("name", "kept"), ("may", "some")]).await, "may", &["value=\"kept\""]);
    let count = server.api().get("/api/v1/key").await.json()["data"].as_array().unwrap().len();
    assert_eq!(count, keys["data"].as_array().unwrap().len(), "what is refused is not made");
    server.api().post("/api/v1/key", r#"{"name": ""}"#).await.expect(422);
}

#[tokio::test]
async fn what_the_portal_refuses_stands_on_its_page() {
    let (server, _, app, endpoint) = admin().await;
    let entry = server.api().post(&format!("/api/v1/auth/app-portal-access/{app}"), "{}").await.expect(200);
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let page = format!("/portal/{app}/endpoints/{endpoint}");
    let send = async |method: &str, path: &str, body: &str| {
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        server.api().anonymous().send(method, path, &headers, body).await
    };
    let text = send("GET", &page, "").await.text();
    let (_, token) = text.split_once("name=\"form_token\" value=\"").unwrap();
    let token = token.split('"').next().unwrap();
    for grace in ["soon", "99999999"] {
        let refused = send("POST", &format!("{page}/rotate"), &format!("form_token={token}&grace={grace}")).await;
        let text = refused.text();
        assert_eq!(refused.status, 422, "{text}");
        assert!(text.contains("<p class=\"fault\" role=\"alert\">") && text.contains("All deliveries"), "{text}");
    }
}

#[tokio::test]
async fn the_portal_says_why_an_endpoint_was_disabled_and_what_to_do() {
    let (server, _, app, _) = admin().await;
    let api = server.api();
    let receiver = Receiver::start().await;
    receiver.script("/in", [Reply::status(410)]);
    let made = api.post(&format!("/api/v1/app/{app}/endpoint"), &json!({"url": receiver.url("/in")}).to_string()).await.expect(201);
    let endpoint = made["id"].as_str().unwrap();
    let path = format!("/api/v1/app/{app}/endpoint/{endpoint}");
    api.post("/api/v1/event-type", r#"{"name": "a.b", "description": "d"}"#).await.expect(201);
    api.post(&format!("/api/v1/app/{app}/msg"), r#"{"eventType": "a.b", "payload": {}}"#).await.expect(202);
    let entry = api.post(&format!("/api/v1/auth/app-portal-access/{app}"), "{}").await.expect(200);
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let page = async |path: &str| api.anonymous().send("GET", path, &[("cookie", cookie.as_str())], "").await.text();
    eventually("it is disabled", || async { (api.get(&path).await.json()["disabledReason"] == "gone").then_some(()) }).await;
    let text = page(&format!("/portal/{app}/endpoints/{endpoint}")).await;
    assert!(text.contains("because it answered 410 Gone") && text.contains("Mend your receiver"), "{text}");
    assert!(text.contains(">Enable</button>") && !text.contains("It is paused"), "{text}");
    assert!(page(&format!("/portal/{app}")).await.contains("<span class=\"badge bad\">disabled</span>"));
    api.patch(&path, r#"{"disabled": false}"#).await.expect(200);
    api.patch(&path, r#"{"disabled": true}"#).await.expect(200);
    let text = page(&format!("/portal/{app}/endpoints/{endpoint}")).await;
    assert!(text.contains("It is paused") && text.contains(">Resume</button>") && !text.contains("Mend your"), "{text}");
}
