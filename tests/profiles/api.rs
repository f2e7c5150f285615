//! The resource: made, read, changed, copied, previewed, refused and deleted.

use crate::fixture::Tenant;
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test]
async fn profiles_are_listed_copied_changed_and_deleted() {
    let t = Tenant::start().await;
    let all = t.api.get("/api/v1/profile").await.expect(200);
    let names: Vec<&str> = all["data"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 12);
    assert!(["standard", "svix", "alakazam", "alumia", "nudj", "ilara", "connect", "rfc9421"].iter().all(|n| names.contains(n)));

    let made = t.api.post("/api/v1/profile/ilara/clone", r#"{"name":"mine","changes":{"timeoutSeconds":7}}"#).await.expect(201);
    assert_eq!((&made["builtIn"], &made["profile"]["timeoutSeconds"]), (&json!(false), &json!(7)));
    t.api.post("/api/v1/profile/ilara/clone", r#"{"name":"mine"}"#).await.expect(409);
    let own = json!({"name": "other", "profile": made["profile"]});
    t.api.post("/api/v1/profile", &own.to_string()).await.expect(201);
    assert_eq!(t.api.get("/api/v1/profile").await.expect(200)["data"].as_array().unwrap().len(), 14);

    let patched = t.api.patch("/api/v1/profile/mine", r#"{"profile":{"timeoutSeconds":null,"final":["4xx"]}}"#).await.expect(200);
    assert_eq!((&patched["profile"]["timeoutSeconds"], &patched["profile"]["final"]), (&json!(null), &json!(["4xx"])));
    let put = t.api.put("/api/v1/profile/mine", &json!({"profile": own["profile"]}).to_string()).await.expect(200);
    assert_eq!(put["profile"], own["profile"]);
    assert_eq!(t.api.get("/api/v1/profile/mine").await.expect(200), put);

    let endpoint = t.endpoint("/a", json!({"profile": "mine"})).await;
    let refused = t.api.delete("/api/v1/profile/mine").await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains(&endpoint), "{refused}");
    t.change(&endpoint, json!({"profile": null})).await;
    t.api.delete("/api/v1/profile/mine").await.expect(204);
    t.api.get("/api/v1/profile/mine").await.expect(404);
}

#[tokio::test]
async fn what_is_no_profile_is_refused_where_it_is_wrong() {
    let t = Tenant::start().await;
    let loc = |answer: Value| answer["detail"][0]["loc"].clone();
    let cases = [
        (json!({"headers": {"Content-Length": "1"}}), json!(["body", "changes", "headers", "Content-Length"])),
        (json!({"envelope": "{\"a\":\"{nothing}\"}"}), json!(["body", "changes", "envelope"])),
        (json!({"scheme": {"algorithm": "md5"}}), json!(["body", "changes", "scheme", "algorithm"])),
        (json!({"timeoutSeconds": 1000}), json!(["body", "changes", "timeoutSeconds"])),
    ];
    for (changes, expected) in cases {
        let body = json!({"name": "mine", "changes": changes}).to_string();
        assert_eq!(loc(t.api.post("/api/v1/profile/ilara/clone", &body).await.expect(422)), expected, "{body}");
    }
    for name in ["standard", "default", "preview"] {
        t.api.post("/api/v1/profile/ilara/clone", &json!({"name": name}).to_string()).await.expect(409);
    }
    t.api.post("/api/v1/profile/ilara/clone", r#"{"name":"Not A Name"}"#).await.expect(422);
    t.api.post("/api/v1/profile/nothing/clone", r#"{"name":"mine"}"#).await.expect(404);
    t.api.patch("/api/v1/profile/ilara", r#"{"profile":{}}"#).await.expect(409);
    t.api.delete("/api/v1/profile/ilara").await.expect(409);
    t.api.put("/api/v1/profile/default", r#"{"profile":"nothing"}"#).await.expect(422);
    t.api.patch(&t.path(""), r#"{"profile":"nothing"}"#).await.expect(422);
    t.api.post("/api/v1/app", r#"{"name":"x","profile":"nothing"}"#).await.expect(422);
    t.api.anonymous().get("/api/v1/profile").await.expect(401);
}

#[tokio::test]
async fn an_endpoint_has_what_its_profile_wants() {
    let t = Tenant::start().await;
    let create = async |body: Value| t.api.post(&t.path("/endpoint"), &body.to_string()).await;
    let http = t.receiver.url("/x");
    let refused = create(json!({"url": http, "profile": "alakazam"})).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "url"]));
    let refused = create(json!({"url": http, "profile": "nothing"})).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "profile"]));
    create(json!({"url": http, "secret": "not base64!"})).await.expect(422);
    create(json!({"url": http, "secret": "not base64!", "profile": "ilara"})).await.expect(201);

    let connect = create(json!({"url": "https://receiver.example/", "profile": "connect"})).await.expect(201);
    assert_eq!(connect["disabled"], json!(true), "a profile may say that endpoints begin disabled");
    let path = t.path(&format!("/endpoint/{}", connect["id"].as_str().unwrap()));
    t.api.patch(&path, &json!({"url": http}).to_string()).await.expect(422);
    t.api.patch(&path, &json!({"url": http, "profile": "svix"}).to_string()).await.expect(200);

    let odd = t.endpoint("/odd", json!({"profile": "ilara", "secret": "as given"})).await;
    let refused = t.api.patch(&t.path(&format!("/endpoint/{odd}")), r#"{"profile":"standard"}"#).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "profile"]), "its secret cannot sign so");
    let secret = t.api.get(&t.path(&format!("/endpoint/{odd}/secret"))).await.expect(200);
    assert_eq!(secret["key"], "as given");

    let name = "wears";
    t.api.post("/api/v1/profile/ilara/clone", &json!({"name": name}).to_string()).await.expect(201);
    t.change(&odd, json!({"profile": name})).await;
    let refused = t.api.patch("/api/v1/profile/wears", r#"{"profile":{"httpsOnly":true}}"#).await.expect(422);
    assert!(refused.to_string().contains(&odd), "{refused}");
}

#[tokio::test]
async fn current_events_are_a_snapshot() {
    let t = Tenant::start().await;
    for name in ["world.made", "world.lost"] {
        t.api.post("/api/v1/event-type", &json!({"name": name, "description": "d"}).to_string()).await.expect(201);
    }
    let url = "https://receiver.example/";
    let made = t.api.post(&t.path("/endpoint"), &json!({"url": url, "profile": "alakazam"}).to_string()).await.expect(201);
    assert_eq!(made["eventTypes"], json!(["world.lost", "world.made"]));
    let all = json!({"url": url, "profile": "alakazam", "eventTypes": ["*"]});
    assert_eq!(t.api.post(&t.path("/endpoint"), &all.to_string()).await.expect(201)["eventTypes"], json!(["*"]));
}

#[tokio::test]
async fn an_endpoint_s_preview_is_what_is_sent() {
    let t = Tenant::start().await;
    let more = json!({"profile": "ilara", "secret": "s", "method": "PUT", "headers": {"X-Token": "hush-hush", "X-Ilara-Signature": "mine"}});
    let endpoint = t.endpoint("/a", more).await;
    let path = t.path(&format!("/endpoint/{endpoint}/preview"));
    let asked = r#"{"eventType":"event.x","payload":{"b":  1.0},"attempt":3}"#;
    let made = t.api.post(&path, asked).await.expect(200);
    assert_eq!(
        (&made["method"], &made["profile"], &made["headers"]["x-token"]),
        (&json!("PUT"), &json!("ilara"), &json!("(hidden)"))
    );
    assert!(made["headers"]["x-ilara-signature"].as_str().unwrap().starts_with("sha256="));
    let body = made["body"].as_str().unwrap();
    assert!(body.contains(r#""data":{"b":1}"#) && body.contains(r#""delivery_attempt":3"#), "{body}");
    let none = t.api.post(&path, r#"{"attempt":0}"#).await.expect(422);
    assert_eq!(none["detail"][0]["loc"], json!(["body", "attempt"]));
    assert_eq!(t.receiver.requests().len(), 0, "nothing is sent");
    t.send("event.x", &json!({})).await;
    let sent = t.receiver.wait("/a", 1).await.remove(0);
    assert_eq!(sent.header("x-token"), "hush-hush");
    assert!(sent.header("x-ilara-signature").starts_with("sha256="), "a custom header cannot replace the signature");
}

#[tokio::test]
async fn the_command_line_lists_shows_copies_and_previews() {
    let t = Tenant::start().await;
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .arg("profiles")
            .args(args)
            .args(["--url", &t.server.url(), "--key", crate::support::ADMIN_KEY])
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["list"]).lines().any(|line| line.starts_with("ilara ") && line.contains("built-in")));
    let shown: Value = serde_json::from_str(&run(&["show", "ilara"])).unwrap();
    assert_eq!(shown["timeoutSeconds"], 30);
    assert_eq!(run(&["clone", "ilara", "mine", "--changes", r#"{"timeoutSeconds":9}"#]).trim(), "mine");
    assert_eq!(run(&["create", "again", "--profile", &shown.to_string()]).trim(), "again");
    let preview = run(&["preview", "mine", "--type", "a.b", "--payload", r#"{"x":1}"#]);
    assert!(
        preview.starts_with("POST https://example.com/webhook\n") && preview.contains("x-ilara-signature: sha256="),
        "{preview}"
    );
    let endpoint = t.endpoint("/a", json!({})).await;
    assert!(run(&["preview", "--app", &t.app, "--endpoint", &endpoint]).contains("webhook-signature: v1,"));
    run(&["delete", "again"]);
    assert!(!run(&["list"]).contains("again"));
}
