//! Switches, documents, and the command that lists systems and seeds the catalogue.

use crate::{
    fixture::Site,
    support::{ADMIN_KEY, run},
};
use serde_json::json;

#[tokio::test]
async fn each_system_can_be_switched_off() {
    let site = Site::start_with(&[("SYSTEMS", "connect")]).await;
    let session = site.session().await;
    site.app("game").await;
    site.api.get("/api/connect/v1/webhooks").await.expect(200);
    site.api.get("/docs/connect").await.expect(200);
    session.get("/v1/apps/game/webhooks").await.expect(404);
    site.api.get("/api/v1/webhooks").await.expect(404);
    site.api.get("/docs/alumia").await.expect(404);
    site.api.get("/webhooks/configs").await.expect(404);
    site.api.get("/api/v2/admin/webhooks/configs").await.expect(404);
    site.api.get("/v1/integrations/webhooks").await.expect(404);
    site.api.get("/docs/ilara/ip-ranges").await.expect(404);
    let site = Site::start_with(&[("SYSTEMS", "none")]).await;
    site.api.get("/api/connect/v1/webhooks").await.expect(404);
    site.api.get("/api/v1/app").await.expect(200);
}

#[tokio::test]
async fn each_system_has_a_document_and_a_page() {
    let site = Site::start().await;
    let api = site.api.anonymous();
    for system in ["alakazam", "alumia", "nudj", "ilara", "connect"] {
        let path = format!("/docs/{system}");
        let document = api.get(&path).await.expect(200);
        assert_eq!(document, api.get(&format!("{path}/openapi.json")).await.expect(200));
        assert_eq!(document["openapi"], "3.1.0");
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let text = document.to_string();
        for target in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schemas.contains_key(target), "{system}: {target} is nowhere");
        }
        let page = api.send("GET", &path, &[("accept", "text/html,*/*")], "").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(document["info"]["title"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn the_command_lists_systems_and_seeds_the_catalogue() {
    let listed = run(&["systems", "list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    for line in [
        "alakazam  on",
        "alumia  on",
        "nudj  on",
        "ilara  on",
        "connect  on",
        "PUT /webhooks/configs",
        "GET /v1/integrations/webhooks/{id}/stats",
        "POST /v1/apps/{app_id}/webhooks",
        "/docs/alumia",
        "GET /api/connect/v1/webhooks",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let site = Site::start().await;
    for system in ["alakazam", "connect", "alumia", "nudj", "ilara"] {
        site.seed(system);
        site.seed(system);
    }
    let types = site.api.get("/api/v1/event-type?limit=250").await.expect(200);
    let names: Vec<_> = types["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    for name in ["world.generation.succeeded", "world.generation.failed", "session.ended", "event_attendee.ticket_success"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let reserved = site.api.get("/api/v1/event-type/session.ended").await.expect(200);
    assert_eq!(reserved["reserved"], json!(true));
    let unknown = run(&["systems", "seed", "nothing", "--url", &site.server.url(), "--key", ADMIN_KEY]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("alakazam"));
}

#[tokio::test]
async fn a_system_can_carry_another_brand() {
    let site = Site::start_with(&[("SYSTEM_PROFILES", "alakazam=acme")]).await;
    site.app("game").await;
    let session = site.session().await;
    let hooks = "/v1/apps/game/webhooks";
    let refused = session.post(hooks, r#"{"url": "https://example.com/hook"}"#).await.expect(400);
    assert!(refused.to_string().contains("acme"), "the profile is not there yet: {refused}");
    let changes = json!({
        "scheme": {
            "algorithm": "hmac-sha256", "signed": "{timestamp}.{body}", "timestamp": {"in": "field:t", "unit": "s"},
            "signature": {"in": "header:Acme-Signature", "between": ",", "label": "v1", "encoding": "hex"},
        },
        "secretPrefix": "acme_", "headers": {"Acme-Event": "{type}"},
    });
    let clone = json!({"name": "acme", "changes": changes}).to_string();
    site.api.post("/api/v1/profile/alakazam/clone", &clone).await.expect(201);
    let receiver = site.example("alakazam/receiver.py", &[]);
    let made = session.post(hooks, &json!({"url": receiver.url("/hook")}).to_string()).await.expect(201);
    assert!(made["secret"].as_str().unwrap().starts_with("acme_"), "{made}");
    site.send("game", "world.generation.failed", &json!({"jobId": "j", "error": "e"})).await;
    let headers = receiver.wait(1).await[0]["headers"].clone();
    assert_eq!(headers["acme-event"], "world.generation.failed");
    assert!(headers["acme-signature"].is_string() && headers.get("alakazam-signature").is_none(), "{headers}");
}
