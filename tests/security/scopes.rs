//! What tokens may do: every route of every surface, asked with every kind of token.

use crate::{
    support::{Api, eventually},
    tenant::Tenant,
};
use serde_json::{Value, json};

/// `METHOD /path` of every operation of every document that the server has.
async fn operations(api: &Api) -> Vec<(String, String)> {
    let mut documents = vec!["/openapi.json".to_owned()];
    documents.extend(["alakazam", "alumia", "nudj", "ilara", "connect"].map(|name| format!("/docs/{name}/openapi.json")));
    let mut all = Vec::new();
    for document in documents {
        let document = api.get(&document).await.expect(200);
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                // What says of itself that anybody may call it: health, and where third parties post.
                if operation["security"] != json!([{}]) && ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                    all.push((method.to_uppercase(), path.clone()));
                }
            }
        }
    }
    all
}

/// The path with something for each of its parameters.
fn filled(path: &str, t: &Tenant, endpoint: &str) -> String {
    let mut filled = path.to_owned();
    while let Some((before, rest)) = filled.clone().split_once('{') {
        let (name, after) = rest.split_once('}').unwrap();
        let value = match name {
            "app_id" | "appId" => t.app.as_str(),
            "endpoint_id" => endpoint,
            _ => "x",
        };
        filled = format!("{before}{value}{after}");
    }
    filled
}

async fn key(t: &Tenant, scopes: &Value) -> Api {
    let made = t.api.post("/api/v1/key", &json!({"name": "limited", "scopes": scopes}).to_string()).await.expect(201);
    assert_eq!(made["scopes"], *scopes);
    t.api.with_token(made["token"].as_str().unwrap())
}

async fn link(t: &Tenant, body: Value) -> Api {
    let path = format!("/api/v1/auth/app-portal-access/{}", t.app);
    let made = t.api.post(&path, &body.to_string()).await.expect(200);
    t.api.with_token(made["token"].as_str().unwrap())
}

#[tokio::test]
async fn every_route_asks_for_a_token_and_for_its_scope() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint(&t.receiver.url("/hook")).await;
    let (read, send, portal) =
        (key(&t, &json!(["read"])).await, key(&t, &json!(["send"])).await, key(&t, &json!(["portal"])).await);
    let manage = key(&t, &json!(["manage"])).await;
    let looks = link(&t, json!({"readOnly": true})).await;
    let operations = operations(&t.api).await;
    assert!(operations.len() > 100, "{}", operations.len());
    let (mut asked, mut sends, mut links, mut faults) = (0, 0, 0, Vec::new());
    for (method, path) in &operations {
        let target = filled(path, &t, &endpoint);
        let body = if method == "GET" || method == "DELETE" { "" } else { "{}" };
        let status = async |api: &Api| api.send(method, &target, &[], body).await.status;
        let line = format!("{method} {target}");
        let mut check = |good: bool, who: &str, status: u16| {
            if !good {
                faults.push(format!("{line}, with {who}: {status}"));
            }
        };
        for (who, api) in [("nothing", t.api.anonymous()), ("an unknown token", t.api.with_token("pr_unknown"))] {
            let status = status(&api).await;
            check(status == 401, who, status);
        }
        let is_send = method == "POST" && (path == "/api/v1/app/{app_id}/msg" || path.ends_with("/send-example"));
        let is_link = method == "POST" && path.starts_with("/api/v1/auth/app");
        let (by_send, by_portal) = (status(&send).await, status(&portal).await);
        check((by_send != 403) == is_send, "the scope `send`", by_send);
        check((by_portal != 403) == is_link, "the scope `portal`", by_portal);
        if method != "GET" {
            let (by_read, by_look) = (status(&read).await, status(&looks).await);
            check(by_read == 403, "the scope `read`", by_read);
            // Some operations change nothing although they are a POST: there a link that may only look is answered.
            let harmless = path.ends_with("/logout") || path.ends_with("/validate") || path.contains("/preview");
            check(harmless || (400..500).contains(&by_look), "a link that may only look", by_look);
        }
        if is_send || is_link {
            let by_manage = status(&manage).await;
            check(by_manage == 403, "the scope `manage`", by_manage);
        }
        (asked, sends, links) = (asked + 1, sends + usize::from(is_send), links + usize::from(is_link));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(asked > 100 && sends == 2 && links == 2, "{asked} {sends} {links}");
}

#[tokio::test]
async fn scopes_open_what_they_name() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint(&t.receiver.url("/hook")).await;
    let one = t.path(&format!("/endpoint/{endpoint}"));
    let message = r#"{"eventType": "a.b", "payload": {}}"#;
    let read = key(&t, &json!(["read"])).await;
    read.get(&one).await.expect(200);
    read.get(&format!("{one}/secret")).await.refused(403, "manage");
    read.post(&t.path("/msg"), message).await.refused(403, "send");
    read.get("/api/v1/retention").await.expect(200);
    read.get(&t.path("/retention")).await.expect(200);
    read.get("/api/v1/erase").await.expect(200);
    read.get("/api/v1/user").await.refused(403, "manage");
    read.get("/api/v1/master-key/rotate").await.refused(403, "manage");
    read.put("/api/v1/retention", "{}").await.refused(403, "manage");
    let send = key(&t, &json!(["send"])).await;
    send.post(&t.path("/msg"), message).await.expect(202);
    send.get(&one).await.refused(403, "read");
    let both = key(&t, &json!(["read", "send"])).await;
    both.get(&one).await.expect(200);
    both.post(&t.path("/msg"), message).await.expect(202);
    let manage = key(&t, &json!(["manage"])).await;
    manage.patch(&one, r#"{"description": "x"}"#).await.expect(200);
    manage.get(&format!("{one}/secret")).await.expect(200);
    manage.post("/api/v1/key", "{}").await.refused(403, "API key");
    let portal = key(&t, &json!(["portal"])).await;
    portal.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), "{}").await.expect(200);
    portal.get(&one).await.expect(403);
    t.api.post("/api/v1/key", r#"{"scopes": []}"#).await.refused(422, "scope");
    t.api.post("/api/v1/key", r#"{"scopes": ["all"]}"#).await.refused(422, "scopes");
}

#[tokio::test]
async fn a_link_that_may_only_look_does_not_see_secrets() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint(&t.receiver.url("/hook")).await;
    let secret = t.path(&format!("/endpoint/{endpoint}/secret"));
    link(&t, json!({"readOnly": true})).await.get(&secret).await.refused(403, "only read");
    link(&t, json!({})).await.get(&secret).await.expect(200);
    // A signature of what one likes is as good as the secret.
    let (preview, body) = (t.path(&format!("/endpoint/{endpoint}/preview")), r#"{"eventType": "a.b", "payload": {}}"#);
    link(&t, json!({"readOnly": true})).await.post(&preview, body).await.refused(403, "only read");
    link(&t, json!({})).await.post(&preview, body).await.expect(200);
}

#[tokio::test]
async fn limited_keys_make_no_application_on_the_way_and_revoke_no_key_but_themselves() {
    let t = Tenant::start().await;
    let body = json!({"application": {"name": "new"}}).to_string();
    key(&t, &json!(["portal"])).await.post("/api/v1/auth/app-portal-access/new", &body).await.expect(403);
    let message = json!({"eventType": "a.b", "payload": {}, "application": {"name": "new"}}).to_string();
    key(&t, &json!(["send"])).await.post("/api/v1/app/new/msg", &message).await.expect(403);
    t.api.get("/api/v1/app/new").await.expect(404);
    key(&t, &json!(["portal"])).await.post(&format!("/api/v1/auth/app-portal-access/{}", t.app), &body).await.expect(200);
    let other = t.api.post("/api/v1/key", "").await.expect(201);
    let made = t.api.post("/api/v1/key", &json!({"scopes": ["manage"]}).to_string()).await.expect(201);
    let manage = t.api.with_token(made["token"].as_str().unwrap());
    manage.delete(&format!("/api/v1/key/{}", other["id"].as_str().unwrap())).await.expect(403);
    t.api.with_token(other["token"].as_str().unwrap()).get("/api/v1/app").await.expect(200);
    manage.delete(&format!("/api/v1/key/{}", made["id"].as_str().unwrap())).await.expect(204);
    manage.get("/api/v1/app").await.expect(401);
}

#[tokio::test]
async fn who_may_only_look_does_not_see_where_a_source_receives() {
    let t = Tenant::start().await;
    let body = json!({"uid": "own", "provider": "gitlab-token", "secret": "a token", "appId": t.app});
    let made = t.api.post("/api/v1/source", &body.to_string()).await.expect(201);
    let (url, id) = (made["url"].as_str().unwrap(), made["id"].as_str().unwrap());
    let (base, token) = url.rsplit_once('/').unwrap();
    assert!(base.ends_with("/in") && token.len() > 20, "{url}");
    let masked = json!(format!("{base}/***"));
    let shown = async |api: &Api| {
        let one = api.get(&format!("/api/v1/source/{id}")).await.expect(200);
        let all = api.get("/api/v1/source").await.expect(200);
        assert_eq!(all["data"][0]["url"], one["url"]);
        let text = format!("{one}{all}");
        assert_eq!(text.contains(token), one["url"] == json!(url), "{text}");
        one["url"].clone()
    };
    assert_eq!(shown(&key(&t, &json!(["read"])).await).await, masked);
    assert_eq!(shown(&key(&t, &json!(["read", "send", "portal"])).await).await, masked);
    assert_eq!(shown(&link(&t, json!({"readOnly": true})).await).await, masked);
    assert_eq!(shown(&key(&t, &json!(["manage"])).await).await, json!(url));
    assert_eq!(shown(&link(&t, json!({})).await).await, json!(url));
    assert_eq!(shown(&t.api).await, json!(url));
    // Nor what else is kept of the source says it.
    let path = format!("/in/{token}");
    t.api.anonymous().post(&path, "{}").await.expect(401);
    let headers = [("x-gitlab-token", "a token"), ("x-gitlab-event", "Push Hook"), ("idempotency-key", "1")];
    t.api.anonymous().send("POST", &path, &headers, r#"{"object_kind": "push"}"#).await.expect(200);
    let reads = key(&t, &json!(["read"])).await;
    let refused = eventually("the refusal is noted", || async {
        let rows = reads.get(&format!("/api/v1/source/{id}/rejection")).await.expect(200);
        rows["data"].as_array().unwrap().first().map(|row| row["id"].as_str().unwrap().to_owned())
    })
    .await;
    for rest in ["/rejection".to_owned(), format!("/rejection/{refused}"), "/event".to_owned(), "/stats".to_owned()] {
        let said = reads.get(&format!("/api/v1/source/{id}{rest}")).await;
        assert!(said.status == 200 && !said.text().contains(token), "{rest}: {}", said.text());
    }
    for path in ["/api/v1/audit?limit=250".to_owned(), t.path("/msg")] {
        assert!(!reads.get(&path).await.expect(200).to_string().contains(token), "{path}");
    }
}
