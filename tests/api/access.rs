//! Who may do what: keys, portal tokens, JWTs; organizations do not see each other.

use crate::fixture::{Tenant, id_of, texts};
use crate::support::{Api, JWT_SECRET, run};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use postrider::model::OrgId;
use serde_json::{Value, json};
use sha2::Sha256;

/// A JWT as compatible servers mint them.
fn jwt(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn hs256(claims: &Value) -> String {
    jwt(&json!({"alg": "HS256", "typ": "JWT"}), claims, JWT_SECRET)
}

/// The API as another organization sees it.
pub(crate) fn foreign(t: &Tenant) -> Api {
    t.api.with_token(&hs256(&json!({"sub": OrgId(77).to_string(), "exp": jiff::Timestamp::now().as_second() + 600})))
}

async fn portal(t: &Tenant, body: Value) -> Api {
    let path = format!("/api/v1/auth/app-portal-access/{}", t.app);
    let access = t.api.post(&path, &body.to_string()).await.expect(200);
    assert!(access["url"].as_str().unwrap().starts_with("http"));
    t.api.with_token(access["token"].as_str().unwrap())
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_shown() {
    let t = Tenant::start().await;
    let none = t.api.anonymous();
    assert_eq!(none.get("/api/v1/app").await.expect(401)["code"], "authentication_failed");
    for token in ["pr_wrong", "x", "a.b.c", "pr_\u{fc}"] {
        none.with_token(token).get("/api/v1/app").await.expect(401);
    }
    none.post("/api/v1/app", r#"{"name":"x"}"#).await.expect(401);
    none.post("/api/v1/app", "not even JSON").await.expect(401);
    none.get("/api/v1/health").await.expect(204);
    none.get("/openapi.json").await.expect(200);
    assert_eq!(none.get("/docs").await.status, 200);
    assert_eq!(texts(&t.api.get("/api/v1/app").await.expect(200)["data"], "id"), [t.app]);
}

#[tokio::test]
async fn a_portal_token_reaches_one_application() {
    let t = Tenant::start().await;
    let other = id_of(&t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201));
    let endpoint = t.endpoint("/a", json!({})).await;
    let api = portal(&t, json!({})).await;
    assert_eq!(texts(&api.get(&t.path("/endpoint")).await.expect(200)["data"], "id").join(","), endpoint);
    api.patch(&t.path(&format!("/endpoint/{endpoint}")), r#"{"description":"mine"}"#).await.expect(200);
    let body = json!({"url": t.receiver.url("/b")}).to_string();
    id_of(&api.post(&t.path("/endpoint"), &body).await.expect(201));
    let refused = |status: u16| assert!(matches!(status, 403 | 404), "{status}");
    refused(api.get(&format!("/api/v1/app/{other}")).await.status);
    refused(api.get(&format!("/api/v1/app/{other}/endpoint")).await.status);
    refused(api.post(&format!("/api/v1/app/{other}/endpoint"), &body).await.status);
    api.get("/api/v1/app").await.expect(403);
    api.post("/api/v1/app", r#"{"name":"x"}"#).await.expect(403);
    api.delete(&t.path("")).await.expect(403);
    api.post(&t.path("/msg"), r#"{"eventType":"a.b","payload":1}"#).await.expect(403);
    api.post("/api/v1/event-type", r#"{"name":"a.b","description":""}"#).await.expect(403);
    api.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), "{}").await.expect(403);
}

#[tokio::test]
async fn a_portal_token_that_may_only_look_changes_nothing() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    let message = t.send("a.b", &json!(1)).await;
    t.receiver.wait("/a", 1).await;
    let api = portal(&t, json!({"readOnly": true})).await;
    let before = t.look(&endpoint).await;
    let path = t.path(&format!("/endpoint/{endpoint}"));
    api.get(&path).await.expect(200);
    api.get(&t.path("/msg")).await.expect(200);
    api.post(&t.path("/endpoint"), &json!({"url": t.receiver.url("/b")}).to_string()).await.expect(403);
    api.patch(&path, r#"{"description":"x"}"#).await.expect(403);
    api.put(&path, &json!({"url": t.receiver.url("/b")}).to_string()).await.expect(403);
    api.delete(&path).await.expect(403);
    api.post(&format!("{path}/secret/rotate"), "{}").await.expect(403);
    api.put(&format!("{path}/headers"), r#"{"headers":{}}"#).await.expect(403);
    api.post(&t.path(&format!("/msg/{message}/endpoint/{endpoint}/resend")), "").await.expect(403);
    api.post(&format!("{path}/recover"), r#"{"since":"2026-01-01T00:00:00Z"}"#).await.expect(403);
    assert_eq!(t.look(&endpoint).await, before);
}

#[tokio::test]
async fn logout_revokes_a_portal_token_and_stays() {
    let mut t = Tenant::start().await;
    let (leaving, staying) = (portal(&t, json!({})).await, portal(&t, json!({})).await);
    leaving.post("/api/v1/auth/logout", "").await.expect(204);
    leaving.get(&t.path("/endpoint")).await.expect(401);
    staying.get(&t.path("/endpoint")).await.expect(200);
    let body = json!({"application": {"name": "Made", "uid": "made"}}).to_string();
    t.api.post("/api/v1/auth/app-portal-access/made", &body).await.expect(200);
    assert_eq!(t.api.get("/api/v1/app/made").await.expect(200)["name"], "Made");
    t.api.post("/api/v1/auth/app-portal-access/absent", "{}").await.expect(404);
    t.restart().await;
}

#[tokio::test]
async fn jwts_are_checked() {
    let t = Tenant::start().await;
    let now = jiff::Timestamp::now().as_second();
    let org = OrgId(1).to_string();
    let claims = json!({"sub": org, "exp": now + 600, "iat": now});
    let good = t.api.with_token(&hs256(&claims));
    assert_eq!(texts(&good.get("/api/v1/app").await.expect(200)["data"], "id").join(","), t.app);
    let app = t.api.with_token(&hs256(&json!({"sub": t.app, "exp": now + 600})));
    app.get(&t.path("/endpoint")).await.expect(200);
    app.get("/api/v1/app").await.expect(403);
    let hs = json!({"alg": "HS256"});
    for (why, token) in [
        ("another secret", jwt(&hs, &claims, "another secret")),
        ("expired", hs256(&json!({"sub": org, "exp": now - 600}))),
        ("not yet", hs256(&json!({"sub": org, "exp": now + 900, "nbf": now + 600}))),
        ("nobody", hs256(&json!({"sub": "org_x", "exp": now + 600}))),
        ("another algorithm", jwt(&json!({"alg": "HS512"}), &claims, JWT_SECRET)),
        ("no algorithm", jwt(&json!({"alg": "none"}), &claims, JWT_SECRET)),
        ("no signature", hs256(&claims).rsplit_once('.').map(|(signed, _)| format!("{signed}.")).unwrap()),
    ] {
        assert_eq!(t.api.with_token(&token).get("/api/v1/app").await.status, 401, "{why}");
    }
}

#[tokio::test]
async fn another_organization_sees_nothing() {
    let t = Tenant::start().await;
    let theirs = foreign(&t);
    t.api.post("/api/v1/event-type", r#"{"name":"our.own","description":"ours"}"#).await.expect(201);
    let endpoint = t.endpoint("/a", json!({"uid": "ep"})).await;
    let message = t.send("our.own", &json!(1)).await;
    t.receiver.wait("/a", 1).await;
    assert_eq!(theirs.get("/api/v1/app").await.expect(200)["data"], json!([]));
    assert_eq!(theirs.get("/api/v1/event-type").await.expect(200)["data"], json!([]));
    theirs.get("/api/v1/event-type/our.own").await.expect(404);
    for rest in ["", "/endpoint", "/msg", &format!("/endpoint/{endpoint}"), "/endpoint/ep/secret", &format!("/msg/{message}")] {
        theirs.get(&t.path(rest)).await.expect(404);
    }
    theirs.delete(&t.path("")).await.expect(404);
    theirs.post(&t.path("/msg"), r#"{"eventType":"a.b","payload":1}"#).await.expect(404);
    theirs.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), "{}").await.expect(404);
    // Names are an organization's own.
    t.api.patch(&t.path(""), r#"{"uid":"same"}"#).await.expect(200);
    let made = theirs.post("/api/v1/app", r#"{"name":"Theirs","uid":"same"}"#).await.expect(201);
    assert_eq!(t.api.get("/api/v1/app/same").await.expect(200)["id"], json!(t.app));
    assert_eq!(theirs.get("/api/v1/app/same").await.expect(200)["id"], made["id"]);
    // An endpoint of one application is not in another, even of the same organization.
    let other = id_of(&t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201));
    t.api.get(&format!("/api/v1/app/{other}/endpoint/{endpoint}")).await.expect(404);
    t.api.get(&format!("/api/v1/app/{other}/msg/{message}")).await.expect(404);
}

#[tokio::test]
async fn keys_are_made_and_revoked_on_the_command_line() {
    let t = Tenant::start().await;
    let url = t.server.url();
    let keys = |args: &[&str]| {
        let output = run(&[&["keys", "--url", &url, "--key", crate::support::ADMIN_KEY], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let made = keys(&["create", "--name", "ci"]);
    let key = made.split_whitespace().find(|word| word.starts_with("pr_")).unwrap_or_else(|| panic!("no key in {made}")).to_owned();
    let api = t.api.with_token(&key);
    api.get("/api/v1/app").await.expect(200);
    let listed = keys(&["list"]);
    let line = listed.lines().find(|line| line.contains("ci")).unwrap_or_else(|| panic!("not listed: {listed}"));
    assert!(!listed.contains(&key), "a key is shown once");
    let id = line.split_whitespace().find(|word| word.starts_with("key_")).unwrap_or_else(|| panic!("no id in {line}"));
    keys(&["revoke", id]);
    crate::support::eventually("the key is refused", || async { (api.get("/api/v1/app").await.status == 401).then_some(()) }).await;
}
