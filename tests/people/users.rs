//! Users by the API.

use crate::{
    support::{Answer, Api, Server},
    visit::Visit,
};
use serde_json::{Value, json};

async fn make(api: &Api, login: &str, role: &str) -> Value {
    api.post("/api/v1/user", &json!({"login": login, "name": "N", "role": role}).to_string()).await.expect(201)
}

async fn list(api: &Api, query: &str) -> Value {
    api.get(&format!("/api/v1/user{query}")).await.expect(200)
}

fn logins(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|user| user["login"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_are_made_listed_changed_and_deleted() {
    let server = Server::start().await;
    let api = server.api();
    let made = make(&api, "Ann@Example.com", "operator").await;
    assert_eq!((made["user"]["login"].as_str(), made["user"]["hasPassword"].as_bool()), (Some("ann@example.com"), Some(false)));
    for login in ["bob", "cid"] {
        make(&api, login, "viewer").await;
    }
    let first = list(&api, "?limit=2").await;
    assert_eq!((logins(&first), first["done"].as_bool()), (vec!["admin", "ann@example.com"], Some(false)));
    let second = list(&api, &format!("?limit=2&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!((logins(&second), second["done"].as_bool()), (vec!["bob", "cid"], Some(true)));
    let back = list(&api, &format!("?limit=2&iterator={}", second["prevIterator"].as_str().unwrap())).await;
    assert_eq!(logins(&back), ["admin", "ann@example.com"]);

    let changed = api.patch("/api/v1/user/bob", r#"{"role": "operator", "name": " Bob "}"#).await.expect(200);
    assert_eq!((changed["role"].as_str(), changed["name"].as_str()), (Some("operator"), Some("Bob")));
    let id = changed["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/api/v1/user/{id}")).await.expect(200)["login"], "bob");
    assert_eq!(api.delete("/api/v1/user/bob").await.status, 204);
    assert_eq!((api.get("/api/v1/user/bob").await.status, api.delete(&format!("/api/v1/user/{id}")).await.status), (404, 404));
    let audit = api.get("/api/v1/audit?limit=250").await.expect(200);
    let trace = |action: &str| audit["data"].as_array().unwrap().iter().any(|e| e["what"] == "user" && e["action"] == action);
    assert!(trace("created") && trace("updated") && trace("deleted"), "{audit}");
}

#[tokio::test]
async fn what_cannot_be_a_user_is_refused() {
    let server = Server::start().await;
    let api = server.api();
    let refuse = async |body: Value, place: &str| {
        let refused = api.post("/api/v1/user", &body.to_string()).await.expect(422);
        assert!(refused.to_string().contains(place), "{body}: {refused}");
    };
    for login in ["", " ", "a b", "a\u{0}b", "a\nb", &"x".repeat(101)] {
        refuse(json!({"login": login, "role": "viewer"}), "login").await;
    }
    for name in ["a\u{0}b".to_owned(), "a\nb".into(), "x".repeat(101)] {
        refuse(json!({"login": "x", "name": name, "role": "viewer"}), "name").await;
    }
    refuse(json!({"login": "x", "role": "root"}), "role").await;
    make(&api, "ann", "viewer").await;
    assert_eq!(api.post("/api/v1/user", r#"{"login": "ANN", "role": "viewer"}"#).await.status, 409, "one's own are known anyway");
    assert_eq!(api.patch("/api/v1/user/ann", r#"{"name": "a\u0000b"}"#).await.status, 422);
    let scoped = api.post("/api/v1/key", r#"{"name": "m", "scopes": ["manage"]}"#).await.expect(201);
    let scoped = api.with_token(scoped["token"].as_str().unwrap());
    assert_eq!(scoped.post("/api/v1/user", r#"{"login": "x", "role": "admin"}"#).await.status, 403);
    assert_eq!(scoped.patch("/api/v1/user/ann", r#"{"role": "admin"}"#).await.status, 403);
    assert_eq!(scoped.delete("/api/v1/user/ann").await.status, 403);
}

#[tokio::test]
async fn an_admin_is_always_left() {
    let server = Server::start().await;
    let api = server.api();
    let demote = async |login: &str| api.patch(&format!("/api/v1/user/{login}"), r#"{"role": "viewer"}"#).await;
    for refused in [demote("admin").await, api.delete("/api/v1/user/admin").await] {
        assert_eq!(refused.status, 409);
        assert!(refused.text().contains("last admin"), "{}", refused.text());
    }
    // Two who take each other's role away at the same moment, again and again: one is always too late.
    for round in 0..10 {
        let other = format!("other{round}");
        make(&api, &other, "admin").await;
        let path = format!("/api/v1/user/{other}");
        let (one, two): (Answer, Answer) = match round % 3 {
            0 => tokio::join!(demote("admin"), demote(&other)),
            1 => tokio::join!(demote("admin"), api.delete(&path)),
            _ => tokio::join!(api.delete("/api/v1/user/admin"), api.delete(&path)),
        };
        let users = list(&api, "?limit=250").await;
        let admins: Vec<_> = users["data"].as_array().unwrap().iter().filter(|user| user["role"] == "admin").collect();
        assert_eq!(admins.len(), 1, "round {round}: {} and {}: {users}", one.status, two.status);
        assert!([one.status, two.status].contains(&409), "{} and {}", one.status, two.status);
        let left = admins[0]["login"].as_str().unwrap().to_owned();
        if left != "admin" {
            if api.get("/api/v1/user/admin").await.status == 404 {
                make(&api, "admin", "viewer").await;
            }
            api.patch("/api/v1/user/admin", r#"{"role": "admin"}"#).await.expect(200);
            api.patch(&format!("/api/v1/user/{left}"), r#"{"role": "viewer"}"#).await.expect(200);
        }
    }
}

#[tokio::test]
async fn who_is_deleted_is_signed_out() {
    let server = Server::start().await;
    let api = server.api();
    let link = make(&api, "ann", "operator").await["url"].as_str().unwrap().to_owned();
    let mut ann = Visit::of(&server);
    assert_eq!(ann.enter(&link).await.status, 303);
    assert_eq!(ann.role().await.as_deref(), Some("operator"));
    assert_eq!(api.delete("/api/v1/user/ann").await.status, 204);
    assert_eq!(ann.role().await, None);
}

#[tokio::test]
async fn a_viewer_sees_every_page_and_no_token_of_a_source() {
    let server = Server::start().await;
    let api = server.api();
    let made = api.post("/api/v1/source", r#"{"provider": "gitlab-token", "secret": "a token"}"#).await.expect(201);
    let token = made["url"].as_str().unwrap().rsplit('/').next().unwrap();
    let source = format!("/dashboard/sources/{}", made["id"].as_str().unwrap());
    for (role, sees) in [("viewer", false), ("operator", true), ("admin", true)] {
        let link = make(&api, &format!("some-{role}"), role).await["url"].as_str().unwrap().to_owned();
        let mut visit = Visit::of(&server);
        assert_eq!(visit.enter(&link).await.status, 303);
        for path in ["/dashboard/sources", source.as_str()] {
            let page = visit.get(path).await;
            assert_eq!((page.status, page.text().contains(token)), (200, sees), "{role} {path}");
            assert_eq!(page.text().contains("/in/***"), !sees, "{role} {path}");
        }
        for page in ["", "/applications", "/messages", "/event-types", "/replays", "/alerts", "/issues", "/settings"] {
            let answer = visit.get(&format!("/dashboard{page}")).await;
            assert_eq!(answer.status, 200, "{role} {page}: {}", answer.text());
        }
    }
}
