//! Nothing of one organization is visible to another: every route of every surface, with ids that are another's.

use crate::{
    alumia::management,
    fixture::{Site, session_of},
    support::Api,
};
use serde_json::{Value, json};

/// What a request with a foreign id must not say.
async fn unseen(api: &Api, (method, path): (&str, &str), body: &Value, secrets: &[&str]) {
    let body = if method == "GET" || method == "DELETE" { String::new() } else { body.to_string() };
    let answer = api.send(method, path, &[], &body).await;
    assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
    assert!(secrets.iter().all(|secret| !answer.text().contains(secret)), "{method} {path}");
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap_or_else(|| panic!("no id in {made}"))
}

#[tokio::test]
async fn alakazam_shows_strangers_nothing() {
    let site = Site::start().await;
    let app = site.app("game").await;
    let session = site.session().await;
    let hooks = format!("/v1/apps/{app}/webhooks");
    let made = session.post(&hooks, r#"{"url": "https://example.com/hook"}"#).await.expect(201);
    let stranger = session_of(&site.stranger()).await;
    let own = stranger_app(&site.stranger()).await;
    let body = json!({"url": "https://example.com/stolen"});
    for app in [app.as_str(), "game", own.as_str()] {
        let one = format!("/v1/apps/{app}/webhooks/{}", id(&made));
        for route in [("DELETE", one.as_str()), ("POST", &format!("{one}/delete"))] {
            unseen(&stranger, route, &body, &["example.com/hook"]).await;
        }
    }
    for route in
        [("GET", hooks.as_str()), ("POST", hooks.as_str()), ("GET", "/v1/apps/game/webhooks"), ("POST", "/v1/apps/game/webhooks")]
    {
        unseen(&stranger, route, &body, &["example.com/hook"]).await;
    }
    assert_eq!(session.get(&hooks).await.expect(200)["data"].as_array().unwrap().len(), 1, "it is still there, and alone");
}

/// An application of the stranger's own.
async fn stranger_app(api: &Api) -> String {
    let made = api.post("/api/v1/app", r#"{"name": "Stranger"}"#).await.expect(201);
    id(&made).to_owned()
}

#[tokio::test]
async fn alumia_shows_strangers_nothing() {
    let site = Site::start().await;
    let hooks = "/api/v1/webhooks";
    let made = site.api.post(hooks, r#"{"name": "Ours"}"#).await.expect(201);
    let id = id(&made);
    let told = site.api.post(&format!("{hooks}/test"), &json!({"webhookId": id}).to_string()).await.expect(200);
    let stranger = site.stranger();
    for (method, path) in management(id) {
        let body = match path.rsplit('/').next() {
            Some("test") => json!({"webhookId": id}),
            Some("verify") => json!({"webhookId": id, "payload": "x", "signature": "y"}),
            _ => json!({"name": "stolen"}),
        };
        if path.contains(id) || path.ends_with("/test") || path.ends_with("/verify") {
            unseen(&stranger, (method, &path), &body, &["Ours"]).await;
        }
    }
    for path in [hooks, "/api/v1/webhooks/events"] {
        assert_eq!(stranger.get(path).await.expect(200), json!([]));
    }
    let still = site.api.get(&format!("{hooks}/{id}")).await.expect(200);
    assert_eq!((&still["name"], &still["updatedAt"]), (&made["name"], &made["updatedAt"]));
    assert_eq!(site.api.get(&format!("{hooks}/{id}/events")).await.expect(200)[0]["id"], told["eventId"]);
}

#[tokio::test]
async fn connect_shows_strangers_nothing() {
    let site = Site::start().await;
    let hooks = "/api/connect/v1/webhooks";
    let body = json!({"url": "https://example.com/hook", "event_subscriptions": ["event_attendee.joined_event"]});
    let made = site.api.post(hooks, &body.to_string()).await.expect(201);
    let one = format!("{hooks}/{}", id(&made));
    let secret = site.api.get(&format!("{one}/secret")).await.expect(200);
    let stranger = site.stranger();
    let stolen = json!({"url": "https://example.com/stolen"});
    for route in [
        ("GET", one.clone()),
        ("PUT", one.clone()),
        ("DELETE", one.clone()),
        ("GET", format!("{one}/secret")),
        ("POST", format!("{one}/secret/rotate")),
    ] {
        unseen(&stranger, (route.0, &route.1), &stolen, &["example.com/hook", secret["key"].as_str().unwrap()]).await;
    }
    assert_eq!(stranger.get(hooks).await.expect(200), json!([]));
    assert_eq!(site.api.get(&one).await.expect(200), made);
    assert_eq!(site.api.get(&format!("{one}/secret")).await.expect(200), secret);
}

/// Every route that the documents describe is one that a test tries here (or in the file of its system), or has no id in it.
#[tokio::test]
async fn no_route_is_forgotten() {
    let site = Site::start().await;
    for (system, known) in [("alakazam", 4), ("alumia", 13), ("nudj", 3), ("ilara", 9), ("connect", 7)] {
        let document = site.api.get(&format!("/docs/{system}/openapi.json")).await.expect(200);
        let operations = document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum::<usize>();
        assert_eq!(operations, known, "{system}: a new route needs a line in this file");
    }
}
