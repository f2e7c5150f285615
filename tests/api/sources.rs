//! Sources: their life, their secrets and URLs, who may see them, and what they have received.

use crate::fixture::{Tenant, id_of, texts};
use crate::secrets::stored;
use crate::support::{Answer, Api, Server};
use serde_json::{Value, json};

const SOURCES: &str = "/api/v1/source";
const TOKEN: &str = "a token that only the sender knows";

/// A source with a plain token as its secret; what making it answered.
async fn make(api: &Api, more: Value) -> Value {
    let mut body = json!({"provider": "gitlab-token", "secret": TOKEN});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    api.post(SOURCES, &body.to_string()).await.expect(201)
}

fn path(id: &str, rest: &str) -> String {
    format!("{SOURCES}/{id}{rest}")
}

/// The path of a receive URL.
fn receive_path(url: &Value) -> String {
    let url = url.as_str().unwrap_or_else(|| panic!("no URL: {url}"));
    url[url.find("/in/").unwrap()..].to_owned()
}

/// A third party posts an event of a kind.
async fn post(t: &Tenant, url: &Value, (kind, uuid, token): (&str, &str, &str)) -> Answer {
    let event = format!("{} Hook", kind[..1].to_uppercase() + &kind[1..]);
    let headers = [("x-gitlab-token", token), ("x-gitlab-event", &event), ("idempotency-key", uuid), ("x-extra", "kept")];
    let body = json!({"object_kind": kind, "uuid": uuid}).to_string();
    t.api.anonymous().send("POST", &receive_path(url), &headers, &body).await
}

pub(crate) async fn portal(t: &Tenant, read_only: bool) -> Api {
    let path = format!("/api/v1/auth/app-portal-access/{}", t.app);
    let access = t.api.post(&path, &json!({"readOnly": read_only}).to_string()).await.expect(200);
    t.api.with_token(access["token"].as_str().unwrap())
}

/// The ids of a list.
async fn ids(api: &Api, query: &str) -> Vec<String> {
    texts(&api.get(&format!("{SOURCES}?{query}")).await.expect(200)["data"], "id")
}

#[tokio::test]
async fn a_source_lives_and_dies() {
    let mut t = Tenant::start().await;
    let made = make(&t.api, json!({"uid": "lab", "name": "Lab"})).await;
    let id = id_of(&made);
    let expected = json!({
        "uid": "lab", "name": "Lab", "owner": "organization", "provider": "gitlab-token", "scheme": null, "settings": [],
        "methods": ["POST"], "maxBody": 262_144, "allowCidrs": [], "response": {"status": 200, "headers": {}, "body": ""},
        "dedupWindow": 86_400, "eventTypePrefix": "gitlab-token", "forwardHeaders": [], "split": false, "paused": false,
        "pausedAt": null, "awaitsSecret": false, "metadata": {},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    assert!(made.get("secret").is_none(), "one that was given is not shown");
    assert!(made["url"].as_str().unwrap().starts_with(&format!("{}/in/", t.server.url())), "{made}");
    assert_eq!(t.api.get(&path("lab", "")).await.expect(200), made);
    assert_eq!(t.api.get("/api/v1/app/postrider.received").await.expect(200)["id"], made["appId"]);

    let patch = json!({
        "name": "Renamed", "methods": ["POST", "PUT"], "maxBody": 1024, "allowCidrs": ["127.0.0.0/8"], "dedupWindow": 0,
        "response": {"status": 202, "headers": {"X-Seen": "yes"}, "body": "thanks"}, "eventTypePrefix": "lab",
        "forwardHeaders": ["X-Extra"], "metadata": {"team": "a"},
    });
    let changed = t.api.patch(&path(&id, ""), &patch.to_string()).await.expect(200);
    assert_eq!(changed["response"], json!({"status": 202, "headers": {"x-seen": "yes"}, "body": "thanks"}));
    assert_eq!((&changed["forwardHeaders"], &changed["uid"], &changed["url"]), (&json!(["x-extra"]), &json!("lab"), &made["url"]));
    let answer = post(&t, &made["url"], ("push", "1", TOKEN)).await;
    assert_eq!((answer.status, answer.text().as_str(), &answer.headers["x-seen"]), (202, "thanks", &"yes".parse().unwrap()));

    t.restart().await;
    let kept = t.api.get(&path(&id, "")).await.expect(200);
    assert_eq!((&kept["name"], &kept["maxBody"]), (&json!("Renamed"), &json!(1024)));
    assert_eq!(post(&t, &made["url"], ("push", "1", TOKEN)).await.status, 202, "the URL outlives a restart");
    let defaults = t.api.patch(&path(&id, ""), r#"{"methods":null,"maxBody":null,"response":null,"uid":null}"#).await.expect(200);
    assert_eq!((&defaults["methods"], &defaults["maxBody"], &defaults["uid"]), (&json!(["POST"]), &json!(262_144), &Value::Null));

    t.api.delete(&path(&id, "")).await.expect(204);
    t.api.get(&path(&id, "")).await.expect(404);
    t.api.delete(&path(&id, "")).await.expect(404);
    assert_eq!(post(&t, &made["url"], ("push", "2", TOKEN)).await.status, 404);
    assert!(ids(&t.api, "").await.is_empty());
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_name() {
    let t = Tenant::start().await;
    for (more, word) in [
        (json!({"provider": "gitub"}), "github"),
        (json!({"provider": null}), "provider"),
        (json!({"scheme": {"type": "x"}}), "scheme"),
        (json!({"provider": null, "scheme": {"nonsense": true}}), "scheme"),
        (json!({"provider": "discord", "secret": "not a public key"}), "secret"),
        (json!({"provider": "discord", "secret": null}), "secret"),
        (json!({"secrets": ["a", "b"]}), "secrets"),
        (json!({"secret": ""}), "secret"),
        (json!({"secret": null, "secrets": vec!["x"; 11]}), "secrets"),
        (json!({"methods": []}), "methods"),
        (json!({"methods": ["OPTIONS"]}), "methods"),
        (json!({"methods": ["post"]}), "methods"),
        (json!({"maxBody": 1023}), "maxBody"),
        (json!({"maxBody": 5_242_881}), "maxBody"),
        (json!({"maxBody": "1 MB"}), "maxBody"),
        (json!({"allowCidrs": ["10.0.0.1/8"]}), "allowCidrs"),
        (json!({"allowCidrs": ["everywhere"]}), "allowCidrs"),
        (json!({"response": {"status": 302}}), "status"),
        (json!({"response": {"status": 204, "body": "x"}}), "body"),
        (json!({"response": {"headers": {"Content-Length": "3"}}}), "Content-Length"),
        (json!({"response": {"headers": {"a b": "3"}}}), "a b"),
        (json!({"response": {"headers": {"x-a": "caf\u{e9}"}}}), "visible ASCII"),
        (json!({"response": {"header": {}}}), "header"),
        (json!({"response": {"body": "x".repeat(8193)}}), "8192"),
        (json!({"dedupWindow": 2_592_001}), "dedupWindow"),
        (json!({"dedupWindow": -1}), "dedupWindow"),
        (json!({"eventTypePrefix": "a b"}), "eventTypePrefix"),
        (json!({"eventTypePrefix": "a."}), "eventTypePrefix"),
        (json!({"forwardHeaders": ["transfer-encoding"]}), "forwardHeaders"),
        (json!({"forwardHeaders": ["webhook-id"]}), "forwardHeaders"),
        (json!({"forwardHeaders": ["X-A", "x-a"]}), "forwardHeaders"),
        (json!({"settings": {"Upper": "x"}}), "Upper"),
        (json!({"settings": {"a": ""}}), "settings"),
        (json!({"settings": {"verify_token": "x"}}), "verify_token"),
        (json!({"settings": {"tolerance_s": "0"}}), "tolerance_s"),
        (json!({"provider": "meta", "settings": {"verify_token": "x", "webhook_id": "x"}}), "webhook_id"),
        (json!({"split": true}), "split"),
        (json!({"provider": null, "scheme": {"algorithm": "token", "signature": {"in": "header:x-key"}}, "split": true}), "split"),
        (json!({"forwardHeaders": ["proxy-authorization"]}), "forwardHeaders"),
        (json!({"forwardHeaders": ["x_\u{e9}"]}), "forwardHeaders"),
        (json!({"uid": "provider"}), "uid"),
        (json!({"uid": "a b"}), "uid"),
        (json!({"metadata": {"": "x"}}), "metadata"),
        (json!({"appId": "nobody"}), "appId"),
        (json!({"colour": "blue"}), "colour"),
    ] {
        let mut body = json!({"provider": "gitlab-token", "secret": TOKEN});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        t.api.post(SOURCES, &body.to_string()).await.refused(422, word);
    }
    assert!(ids(&t.api, "").await.is_empty(), "nothing was made");
    let id = id_of(&make(&t.api, json!({})).await);
    let before = t.api.get(&path(&id, "")).await.expect(200);
    for (patch, word) in [
        (r#"{"provider": null}"#, "provider"),
        (r#"{"provider": "discord"}"#, "secret"),
        (r#"{"maxBody": 1}"#, "maxBody"),
        (r#"{"appId": "x"}"#, "appId"),
        (r#"{"secret": null}"#, "secret"),
        (r#"{"settings": {"label": "x"}}"#, "label"),
        (r#"{"split": true}"#, "split"),
        (r#"{"uid": "src_1srOrx2ZWZBpBUvZwXKQmoEYga2", "name": 3}"#, "name"),
    ] {
        t.api.patch(&path(&id, ""), patch).await.refused(422, word);
    }
    assert_eq!(t.api.get(&path(&id, "")).await.expect(200), before);
}

#[tokio::test]
async fn names_are_unique_and_repetitions_make_nothing() {
    let t = Tenant::start().await;
    let body = json!({"provider": "github", "uid": "one"}).to_string();
    let first = t.api.send("POST", SOURCES, &[("idempotency-key", "k")], &body).await.expect(201);
    assert!(first["secret"].as_str().unwrap().len() >= 32, "a secret is made: {first}");
    let again = t.api.send("POST", SOURCES, &[("idempotency-key", "k")], &body).await.expect(201);
    assert_eq!(again, first, "secret and URL too");
    t.api.post(SOURCES, &body).await.refused(409, "uid");
    let found = t.api.post(&format!("{SOURCES}?get_if_exists=true"), &body).await.expect(200);
    assert_eq!((&found["id"], found.get("secret")), (&first["id"], None));

    let put = json!({"provider": "gitlab-token", "secret": TOKEN, "name": "By name"}).to_string();
    let made = t.api.put(&path("two", ""), &put).await.expect(201);
    assert_eq!((&made["uid"], &made["name"]), (&json!("two"), &json!("By name")));
    let updated = t.api.put(&path("two", ""), r#"{"provider":"gitlab-token","maxBody":2048}"#).await.expect(200);
    assert_eq!((&updated["id"], &updated["url"], &updated["maxBody"]), (&made["id"], &made["url"], &json!(2048)));
    assert_eq!(t.api.get(&path("two", "/secret")).await.expect(200)["secret"], TOKEN, "an update leaves the secret");
    let moved = json!({"provider": "github", "appId": t.app}).to_string();
    t.api.put(&path(made["id"].as_str().unwrap(), ""), &moved).await.refused(422, "appId");
    t.api.put(&path("two", ""), "{}").await.refused(422, "provider");
    t.api.put(&path("src_1srOrx2ZWZBpBUvZwXKQmoEYga2", ""), &put).await.expect(201);
    let absent = first["id"].as_str().unwrap();
    t.api.delete(&path(absent, "")).await.expect(204);
    t.api.put(&path(absent, ""), &put).await.expect(404);
}

#[tokio::test]
async fn lists_go_both_ways_and_are_filtered() {
    let t = Tenant::start().await;
    let mut all = Vec::new();
    for number in 0..5 {
        let app = if number % 2 == 0 { json!({"appId": t.app}) } else { json!({}) };
        all.push(id_of(&make(&t.api, app).await));
    }
    t.api.patch(&path(&all[4], ""), r#"{"provider":"github"}"#).await.expect(200);
    t.api.post(&path(&all[1], "/pause"), "").await.expect(200);
    assert_eq!(ids(&t.api, "").await, all);
    assert_eq!(ids(&t.api, &format!("appId={}", t.app)).await, [&*all[0], &all[2], &all[4]]);
    assert_eq!(ids(&t.api, "provider=github").await, [&*all[4]]);
    assert_eq!(ids(&t.api, "paused=true").await, [&*all[1]]);
    assert_eq!(ids(&t.api, "paused=false&provider=gitlab-token").await, [&*all[0], &all[2], &all[3]]);
    let first = t.api.get(&format!("{SOURCES}?limit=2")).await.expect(200);
    let second = t.api.get(&format!("{SOURCES}?limit=2&iterator={}", first["iterator"].as_str().unwrap())).await.expect(200);
    assert_eq!(texts(&second["data"], "id"), all[2..4]);
    let back = t.api.get(&format!("{SOURCES}?limit=2&iterator={}", second["prevIterator"].as_str().unwrap())).await.expect(200);
    assert_eq!(texts(&back["data"], "id"), all[..2]);
    t.api.get(&format!("{SOURCES}?appId=nobody")).await.expect(404);
    t.api.get(&format!("{SOURCES}?iterator=x")).await.refused(422, "iterator");
    t.api.get(&format!("{SOURCES}?provider=gitub")).await.refused(422, "provider");
    t.api.get(&format!("{SOURCES}?app_id=x")).await.refused(422, "app_id");

    t.api.delete(&t.path("")).await.expect(204);
    assert_eq!(ids(&t.api, "").await, [&*all[1], &all[3]], "an application's sources go with it");
}

#[tokio::test]
async fn a_portal_manages_what_its_application_owns() {
    let t = Tenant::start().await;
    let ours = make(&t.api, json!({"uid": "ours"})).await;
    let other = id_of(&t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201));
    let others = make(&t.api, json!({"appId": other})).await;
    let api = portal(&t, false).await;
    let own = make(&api, json!({"uid": "own"})).await;
    assert_eq!((&own["owner"], &own["appId"]), (&json!("application"), &json!(t.app)));
    assert_eq!(ids(&api, "").await, [id_of(&own)]);
    assert_eq!(ids(&t.api, "").await.len(), 3);
    for id in ["ours".to_owned(), id_of(&ours), id_of(&others)] {
        for (method, rest, body) in [
            ("GET", "", ""),
            ("PATCH", "", "{}"),
            ("DELETE", "", ""),
            ("GET", "/secret", ""),
            ("POST", "/secret/rotate", "{}"),
            ("POST", "/url/rotate", ""),
            ("POST", "/pause", ""),
            ("POST", "/resume", ""),
            ("POST", "/verify", "{}"),
            ("GET", "/rejection", ""),
            ("GET", "/event", ""),
            ("POST", "/replay", r#"{"since":"2026-01-01T00:00:00Z"}"#),
        ] {
            assert_eq!(api.send(method, &path(&id, rest), &[], body).await.status, 404, "{method} {rest}");
        }
    }
    let body = json!({"provider": "github", "appId": other}).to_string();
    api.post(SOURCES, &body).await.refused(422, "appId");
    api.patch(&path("own", ""), r#"{"name":"Mine"}"#).await.expect(200);
    api.get(&path("own", "/secret")).await.expect(200);

    let looks = portal(&t, true).await;
    looks.get(&path("own", "")).await.expect(200);
    looks.get(&path("own", "/event")).await.expect(200);
    for (method, rest, body) in [
        ("PATCH", "", "{}"),
        ("PUT", "", r#"{"provider":"github"}"#),
        ("DELETE", "", ""),
        ("GET", "/secret", ""),
        ("POST", "/secret/rotate", "{}"),
        ("POST", "/url/rotate", ""),
        ("POST", "/pause", ""),
        ("POST", "/replay", r#"{"since":"2026-01-01T00:00:00Z"}"#),
    ] {
        assert_eq!(looks.send(method, &path("own", rest), &[], body).await.status, 403, "{method} {rest}");
    }
    looks.post(SOURCES, r#"{"provider":"github"}"#).await.expect(403);
    t.api.anonymous().get(SOURCES).await.expect(401);
}

#[tokio::test]
async fn secrets_are_shown_and_change_over_with_grace() {
    let t = Tenant::start().await;
    let made = make(&t.api, json!({"uid": "s", "settings": {"tolerance_s": "60"}})).await;
    assert_eq!(made["settings"], json!(["tolerance_s"]));
    let shown = t.api.get(&path("s", "/secret")).await.expect(200);
    assert_eq!((&shown["secret"], &shown["settings"]), (&json!(TOKEN), &json!({"tolerance_s": "60"})));
    assert!(!made.to_string().contains(TOKEN));

    let rotate = async |body: Value| t.api.post(&path("s", "/secret/rotate"), &body.to_string()).await;
    assert_eq!(rotate(json!({"secret": "the second"})).await.expect(200)["secret"], "the second");
    let secrets = t.api.get(&path("s", "/secret")).await.expect(200);
    assert_eq!(texts(&secrets["secrets"], "secret"), [TOKEN, "the second"]);
    assert!(secrets["secrets"][0]["expiresAt"].is_string() && secrets["secrets"][1]["expiresAt"].is_null());
    for (token, status) in [(TOKEN, 200), ("the second", 200), ("the third", 401)] {
        assert_eq!(post(&t, &made["url"], ("push", token, token)).await.status, status, "{token}");
    }
    let generated = rotate(json!({"gracePeriodSeconds": 0})).await.expect(200)["secret"].as_str().unwrap().to_owned();
    for (token, status) in [(TOKEN, 401), ("the second", 401), (&generated, 200)] {
        assert_eq!(post(&t, &made["url"], ("push", token, token)).await.status, status, "{token}");
    }
    rotate(json!({"gracePeriodSeconds": 604_801})).await.refused(422, "gracePeriodSeconds");
    rotate(json!({"grace": 1})).await.refused(422, "grace");
    for number in 0..9 {
        rotate(json!({"secret": format!("number {number}")})).await.expect(200);
    }
    rotate(json!({"secret": "one too many"})).await.refused(422, "gracePeriodSeconds");
    rotate(json!({"secret": "number 8"})).await.expect(200);
    rotate(json!({"secret": "all alone", "gracePeriodSeconds": 0})).await.expect(200);
    assert_eq!(t.api.get(&path("s", "/secret")).await.expect(200)["secrets"].as_array().unwrap().len(), 1);

    let keyed = async || t.api.send("POST", &path("s", "/secret/rotate"), &[("idempotency-key", "r")], "{}").await.expect(200);
    assert_eq!(keyed().await, keyed().await);
    let several = t.api.patch(&path("s", ""), r#"{"secrets":["one","two"]}"#).await.expect(200);
    assert!(several.get("secret").is_none());
    for (token, status) in [("one", 200), ("two", 200), ("all alone", 401)] {
        assert_eq!(post(&t, &made["url"], ("push", &format!("again {token}"), token)).await.status, status, "{token}");
    }
}

#[tokio::test]
async fn a_url_is_replaced_with_grace_or_at_once() {
    let t = Tenant::start().await;
    let made = make(&t.api, json!({"uid": "s"})).await;
    let first = &made["url"];
    let second = t.api.post(&path("s", "/url/rotate"), "").await.expect(200);
    assert!(second["oldExpiresAt"].is_string() && second["url"] != *first, "{second}");
    assert_eq!(t.api.get(&path("s", "")).await.expect(200)["url"], second["url"]);
    assert_eq!(post(&t, first, ("push", "1", TOKEN)).await.status, 200);
    assert_eq!(post(&t, &second["url"], ("push", "2", TOKEN)).await.status, 200);
    let third = t.api.post(&path("s", "/url/rotate"), r#"{"gracePeriodSeconds":0}"#).await.expect(200);
    assert!(third["oldExpiresAt"].is_null());
    for (url, status) in [(first, 404), (&second["url"], 404), (&third["url"], 200)] {
        assert_eq!(post(&t, url, ("push", "3", TOKEN)).await.status, status);
    }
}

#[tokio::test]
async fn what_a_source_keeps_secret_is_not_in_the_files() {
    let mut t = Tenant::start().await;
    let body = json!({"provider": "gitlab-token", "secret": "a-recognisable-token", "name": "a-plain-name"});
    make(&t.api, json!({"provider": "meta", "settings": {"verify_token": "a-recognisable-setting"}})).await;
    let made = t.api.send("POST", SOURCES, &[("idempotency-key", "k")], &body.to_string()).await.expect(201);
    post(&t, &made["url"], ("push", "1", "a-recognisable-token")).await.expect(200);
    post(&t, &made["url"], ("push", "2", "a-recognisable-guess")).await.expect(401);
    let url = receive_path(&made["url"]);
    assert_eq!(t.server.stop().await, 0);
    let files = stored(&t.server).await;
    let holds = |text: &str| files.iter().any(|file| file.windows(text.len()).any(|window| window == text.as_bytes()));
    assert!(holds("a-plain-name"), "the search finds what is plain");
    for secret in ["a-recognisable-token", "a-recognisable-setting", "a-recognisable-guess", url.trim_start_matches("/in/")] {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_provider_table_is_shown() {
    let t = Tenant::start().await;
    let listed = t.api.get(&format!("{SOURCES}/provider")).await.expect(200);
    let names = texts(&listed["data"], "name");
    assert!(names.is_sorted() && names.contains(&"github".to_owned()) && names.contains(&"gitlab-token".to_owned()), "{names:?}");
    for provider in listed["data"].as_array().unwrap() {
        assert!(provider["docs"].as_str().unwrap().starts_with("https://") && provider["title"] != "", "{provider}");
    }
}

#[tokio::test]
async fn a_request_is_judged_without_being_received() {
    let t = Tenant::start().await;
    make(&t.api, json!({"uid": "s"})).await;
    let judge = async |body: Value| t.api.post(&path("s", "/verify"), &body.to_string()).await;
    let headers = json!({"X-Gitlab-Token": TOKEN, "X-Gitlab-Event": "Push Hook"});
    let good = judge(json!({"headers": headers, "body": r#"{"object_kind":"push"}"#})).await.expect(200);
    assert_eq!((&good["valid"], &good["reason"]), (&json!(true), &Value::Null));
    assert!(good["eventType"].is_string(), "{good}");
    let pairs = json!([["x-gitlab-token", TOKEN], ["x-gitlab-event", "Push Hook"]]);
    assert_eq!(judge(json!({"headers": pairs, "bodyBase64": "e30="})).await.expect(200)["valid"], true);
    let bad = judge(json!({"headers": {"X-Gitlab-Token": "guessed"}, "body": "{}"})).await.expect(200);
    assert_eq!((&bad["valid"], &bad["reason"]), (&json!(false), &json!("mismatch")));
    assert!(bad["detail"].as_str().unwrap().len() > 3);
    assert_eq!(judge(json!({})).await.expect(200)["reason"], "missing_header");
    make(&t.api, json!({"uid": "hub", "provider": "github", "secret": "Convoy"})).await;
    // Published by another verifier's tests; once with a line end that somebody's editor has added.
    let signature = "sha256=d7a154547e7c35e31c4c820e20237650939c3d34dae136e30a7757ca61abb4cf";
    let published = async |body: &str| {
        let body = json!({"headers": {"X-Hub-Signature-256": signature}, "body": body}).to_string();
        t.api.post(&path("hub", "/verify"), &body).await.expect(200)
    };
    assert_eq!(published("Test Payload Body").await["valid"], true);
    let changed = published("Test Payload Body\n").await;
    assert_eq!((&changed["reason"], &changed["hints"][0]["code"]), (&json!("mismatch"), &json!("body_changed")));
    judge(json!({"headers": 3})).await.refused(422, "headers");
    judge(json!({"body": "x", "bodyBase64": "eA=="})).await.refused(422, "bodyBase64");
    judge(json!({"bodyBase64": "?"})).await.refused(422, "bodyBase64");
    judge(json!({"payload": "?"})).await.refused(422, "payload");
    assert_eq!(t.api.get(&path("s", "/event")).await.expect(200)["data"], json!([]), "nothing was received");
    assert_eq!(t.api.get(&path("s", "/rejection")).await.expect(200)["data"], json!([]), "nothing was refused");
}

#[tokio::test]
async fn rejections_are_listed() {
    let t = Tenant::start().await;
    let made = make(&t.api, json!({"uid": "s"})).await;
    for number in 0..3 {
        post(&t, &made["url"], ("push", &format!("{number}"), "guessed")).await.expect(401);
    }
    t.api.anonymous().send("POST", &receive_path(&made["url"]), &[], "no token").await.expect(401);
    let all = t.api.get(&path("s", "/rejection")).await.expect(200);
    assert_eq!(texts(&all["data"], "reason"), ["missing_header", "mismatch", "mismatch", "mismatch"]);
    assert!(!all.to_string().contains("guessed"), "no credential is kept");
    let newest = &all["data"][0];
    assert_eq!((&newest["body"], &newest["method"], &newest["remote"]), (&json!("no token"), &json!("POST"), &json!("127.0.0.1")));
    let id = newest["id"].as_str().unwrap();
    assert_eq!(t.api.get(&path("s", &format!("/rejection/{id}"))).await.expect(200), *newest);
    let filtered = async |query: &str| t.api.get(&path("s", &format!("/rejection?{query}"))).await.expect(200);
    assert_eq!(filtered("reason=missing_header").await["data"].as_array().unwrap().len(), 1);
    assert_eq!(filtered("before=2026-01-01T00:00:00Z").await["data"], json!([]));
    assert_eq!(filtered("after=2026-01-01T00:00:00Z&reason=mismatch").await["data"].as_array().unwrap().len(), 3);
    let first = filtered("limit=3").await;
    let second = filtered(&format!("limit=3&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!((texts(&second["data"], "id"), &second["done"]), (texts(&all["data"], "id")[3..].to_vec(), &json!(true)));
    let back = filtered(&format!("limit=3&iterator={}", second["prevIterator"].as_str().unwrap())).await;
    assert_eq!(back["data"], first["data"]);
    t.api.get(&path("s", "/rejection/rej_x")).await.expect(404);
    t.api.get(&path("s", "/rejection?after=soon")).await.refused(422, "after");
    make(&t.api, json!({"uid": "other"})).await;
    t.api.get(&path("other", &format!("/rejection/{id}"))).await.expect(404);
}

#[tokio::test]
async fn events_are_listed_and_replayed() {
    let t = Tenant::start().await;
    t.endpoint("/hook", json!({})).await;
    let source = make(&t.api, json!({"uid": "s", "appId": t.app, "forwardHeaders": ["x-extra"]})).await;
    make(&t.api, json!({"uid": "other", "appId": t.app})).await;
    t.send("their.own", &json!({})).await;
    for (kind, uuid) in [("push", "one"), ("issue", "two"), ("push", "three")] {
        post(&t, &source["url"], (kind, uuid, TOKEN)).await.expect(200);
    }
    post(&t, &source["url"], ("push", "one", TOKEN)).await.expect(200);
    t.receiver.wait("/hook", 4).await;
    let events = async |query: &str| t.api.get(&path("s", &format!("/event?{query}"))).await.expect(200);
    let all = events("").await;
    let received: Vec<Value> = all["data"].as_array().unwrap().clone();
    assert_eq!(received.len(), 3, "what came twice is one event: {all}");
    assert_eq!(t.api.get(&path("other", "/event")).await.expect(200)["data"], json!([]));
    let push = received[0]["eventType"].as_str().unwrap();
    assert_eq!(events(&format!("event_types={push}")).await["data"].as_array().unwrap().len(), 2);
    assert_eq!(events("event_id=two").await["data"], json!([received[1]]));
    assert_eq!(events("after=2026-01-01T00:00:00Z&limit=1").await["data"], json!([received[0]]));
    assert_eq!(events("before=2026-01-01T00:00:00Z").await["data"], json!([]));

    let oldest = id_of(&received[2]);
    let replayed = t.api.post(&path("s", &format!("/event/{oldest}/replay")), "").await.expect(202);
    assert_eq!(replayed["origin"]["replays"], json!(oldest));
    let deliveries = t.receiver.wait("/hook", 5).await;
    let fresh = deliveries.iter().find(|d| d.header("webhook-id") == id_of(&replayed)).unwrap();
    let first = deliveries.iter().find(|d| d.header("webhook-id") == oldest).unwrap();
    assert_eq!((&fresh.body, fresh.header("x-extra")), (&first.body, "kept"));

    let replay = async |body: Value| t.api.post(&path("s", "/replay"), &body.to_string()).await;
    let counted = replay(json!({"since": "2026-01-01T00:00:00Z"})).await.expect(202);
    assert_eq!(counted["replayed"], 3, "replays are not replayed");
    t.receiver.wait("/hook", 8).await;
    assert_eq!(replay(json!({"since": "2026-01-01T00:00:00Z", "eventTypes": [push]})).await.expect(202)["replayed"], 2);
    assert_eq!(replay(json!({"since": "2999-01-01T00:00:00Z", "until": "2999-01-02T00:00:00Z"})).await.expect(202)["replayed"], 0);
    replay(json!({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"})).await.refused(422, "until");
    replay(json!({})).await.refused(422, "since");
    t.api.delete(&t.path(&format!("/msg/{oldest}/content"))).await.expect(204);
    t.api.post(&path("s", &format!("/event/{oldest}/replay")), "").await.refused(409, "deleted");
    t.api.post(&path("other", &format!("/event/{oldest}/replay")), "").await.expect(404);
}

#[tokio::test]
async fn a_paused_source_keeps_what_it_receives_for_a_replay() {
    let t = Tenant::start().await;
    t.endpoint("/hook", json!({})).await;
    let source = make(&t.api, json!({"uid": "s", "appId": t.app})).await;
    let paused = t.api.post(&path("s", "/pause"), "").await.expect(200);
    assert!(paused["paused"] == true && paused["pausedAt"].is_string());
    assert_eq!(t.api.post(&path("s", "/pause"), "").await.expect(200)["pausedAt"], paused["pausedAt"]);
    post(&t, &source["url"], ("push", "one", TOKEN)).await.expect(200);
    let event = t.api.get(&path("s", "/event")).await.expect(200)["data"][0].clone();
    let attempts = t.api.get(&t.path(&format!("/attempt/msg/{}", id_of(&event)))).await.expect(200);
    assert_eq!(attempts["data"], json!([]));
    let resumed = t.api.post(&path("s", "/resume"), "").await.expect(200);
    assert!(resumed["paused"] == false && resumed["pausedAt"].is_null());
    post(&t, &source["url"], ("push", "two", TOKEN)).await.expect(200);
    assert_eq!(t.receiver.wait("/hook", 1).await.len(), 1, "only what came after");
    t.api.post(&path("s", &format!("/event/{}/replay", id_of(&event))), "").await.expect(202);
    assert_eq!(t.receiver.wait("/hook", 2).await.len(), 2);
}

#[tokio::test]
async fn a_synthetic_event_goes_the_real_way() {
    let t = Tenant::start().await;
    t.api.post("/api/v1/event-type", r#"{"name":"github.push","description":"a push"}"#).await.expect(201);
    t.endpoint("/hook", json!({"eventTypes": ["github.push"]})).await;
    let source = t.api.post(SOURCES, &json!({"provider": "github", "uid": "hub", "appId": t.app}).to_string()).await.expect(201);
    let test = async |id: &str, body: &str| t.api.post(&path(id, "/test"), body).await;
    let told = test("hub", r#"{"eventType":"push","payload":{"ref":"main"}}"#).await.expect(200);
    assert_eq!((&told["received"], &told["duplicates"], &told["reason"]), (&json!(true), &json!(0), &Value::Null));
    let arrival = t.receiver.wait("/hook", 1).await.remove(0);
    assert_eq!(
        (arrival.header("webhook-id"), &arrival.body[..]),
        (told["messages"][0].as_str().unwrap(), br#"{"ref":"main"}"#.as_slice())
    );
    let other = test("hub", "").await.expect(200);
    assert_eq!(other["received"], true, "{other}");
    let event = t.api.get(&path("hub", "/event")).await.expect(200)["data"][0].clone();
    assert_eq!((&event["id"], &event["origin"]["sourceId"]), (&other["messages"][0], &source["id"]));
    assert!(event["origin"]["eventId"].is_string(), "{event}");

    make(&t.api, json!({"uid": "lab"})).await;
    let once = json!({"eventType": "push", "payload": {"object_kind": "push"}}).to_string();
    for _ in 0..2 {
        assert_eq!(test("lab", &once).await.expect(200)["messages"].as_array().unwrap().len(), 1, "each test is an event");
    }
    let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    make(&t.api, json!({"uid": "discord", "provider": "discord", "secret": public})).await;
    test("discord", "").await.refused(409, "Only the sender");
    make(&t.api, json!({"uid": "asana", "provider": "asana", "secret": null})).await;
    test("asana", "").await.refused(409, "no secret");
    make(&t.api, json!({"uid": "small", "maxBody": 1024})).await;
    test("small", &json!({"payload": "x".repeat(2000)}).to_string()).await.refused(422, "maxBody");
    test("hub", r#"{"eventType":""}"#).await.refused(422, "eventType");
    test("hub", r#"{"type":"push"}"#).await.refused(422, "type");
    test("nobody", "").await.expect(404);
}

#[tokio::test]
async fn a_replay_is_bounded() {
    let t = Tenant::start().await;
    make(&t.api, json!({"uid": "s", "provider": "ably", "split": true})).await;
    let batch = |count: usize| json!({"payload": {"items": vec![json!({"source": "x"}); count]}}).to_string();
    let received = t.api.post(&path("s", "/test"), &batch(1000)).await.expect(200);
    assert_eq!(received["messages"].as_array().unwrap().len(), 1000, "one message for each element");
    let replay = async || t.api.post(&path("s", "/replay"), r#"{"since":"2026-01-01T00:00:00Z"}"#).await;
    assert_eq!(replay().await.expect(202)["replayed"], 1000);
    t.api.post(&path("s", "/test"), &batch(1)).await.expect(200);
    replay().await.refused(400, "1000");
    let newest = t.api.get(&path("s", "/event?limit=1")).await.expect(200);
    assert!(newest["data"][0]["origin"].get("replays").is_none_or(Value::is_null), "nothing was replayed: {newest}");
}

#[tokio::test]
async fn an_owner_s_own_scheme_is_used_and_its_faults_are_placed() {
    let t = Tenant::start().await;
    let own = |signature: &str| json!({"scheme": {"algorithm": "token", "signature": {"in": signature}, "id": "header:X-Id"}});
    t.api.post(SOURCES, &own("nowhere:X-Key").to_string()).await.refused(422, "signature");
    t.api.post(SOURCES, r#"{"scheme":{"algorithm":"rot13"}}"#).await.refused(422, "algorithm");
    let source = t.api.post(SOURCES, &own("header:X-Key").to_string()).await.expect(201);
    let secret = source["secret"].as_str().unwrap_or_else(|| panic!("a secret is made: {source}"));
    assert_eq!((&source["provider"], &source["eventTypePrefix"]), (&Value::Null, &json!("custom")));
    assert_eq!(source["scheme"], own("header:X-Key")["scheme"]);
    let send = async |key: &str| {
        t.api.anonymous().send("POST", &receive_path(&source["url"]), &[("x-key", key), ("x-id", "1")], "{}").await.status
    };
    assert_eq!((send(secret).await, send("guessed").await), (200, 401));
    let id = id_of(&source);
    let events = t.api.get(&path(&id, "/event")).await.expect(200);
    assert_eq!((&events["data"][0]["eventType"], &events["data"][0]["origin"]["eventId"]), (&json!("custom.unknown"), &json!("1")));
    let changed = t.api.patch(&path(&id, ""), r#"{"provider":"gitlab-token"}"#).await.expect(200);
    assert_eq!((&changed["provider"], &changed["scheme"]), (&json!("gitlab-token"), &Value::Null));
}

#[tokio::test]
async fn a_sender_that_brings_its_secret_is_awaited() {
    let t = Tenant::start().await;
    let source = t.api.post(SOURCES, r#"{"provider":"asana","uid":"a"}"#).await.expect(201);
    assert_eq!((&source["awaitsSecret"], source.get("secret")), (&json!(true), None));
    let shake = async |secret: &str| {
        t.api.anonymous().send("POST", &receive_path(&source["url"]), &[("x-hook-secret", secret)], "{}").await
    };
    let brought = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";
    let answer = shake(brought).await;
    assert_eq!((answer.status, &answer.headers["x-hook-secret"]), (200, &brought.parse().unwrap()));
    assert_eq!(t.api.get(&path("a", "")).await.expect(200)["awaitsSecret"], false);
    assert_eq!(t.api.get(&path("a", "/secret")).await.expect(200)["secret"], brought);
    assert_ne!(shake(&brought.replace('b', "c")).await.status, 200, "it comes once");
    let again = t.api.patch(&path("a", ""), r#"{"secret":null}"#).await.expect(200);
    assert_eq!(again["awaitsSecret"], true, "taken away, it is awaited anew");
    let given = t.api.patch(&path("a", ""), &json!({"secret": brought}).to_string()).await.expect(200);
    assert_eq!(given["awaitsSecret"], false);
}

#[tokio::test]
async fn what_can_be_set_is_shown_and_comes_back_the_same() {
    let server = Server::start().await;
    let api = server.api();
    let set = json!({
        "name": "Orders", "description": "From the shop", "label": "shop", "events": ["order.paid"], "status": "paused",
        "uid": "orders", "provider": "github", "methods": ["POST", "PUT"], "maxBody": 2048, "allowCidrs": ["127.0.0.0/8"],
        "response": {"status": 202, "headers": {"x-a": "b"}, "body": "ok"}, "dedupWindow": 60, "eventTypePrefix": "shop",
        "forwardHeaders": ["x-trace"], "split": false, "metadata": {"k": "v"},
    });
    let made = api.post("/api/v1/source", &set.to_string()).await.expect(201);
    let shown = api.get("/api/v1/source/orders").await.expect(200);
    let listed = api.get("/api/v1/source").await.expect(200)["data"][0].clone();
    for (field, value) in set.as_object().unwrap() {
        assert_eq!((&made[field], &shown[field], &listed[field]), (value, value, value), "{field}");
    }
    for (field, value, then) in [
        ("description", json!(null), json!(null)),
        ("label", json!("store"), json!("store")),
        ("events", json!([" A.b", "a.B", "c"]), json!(["a.b", "c"])),
        ("events", json!(null), json!([])),
        ("status", json!("disabled"), json!("disabled")),
        ("status", json!(null), json!("active")),
    ] {
        let patched = api.patch("/api/v1/source/orders", &json!({ field: value }).to_string()).await.expect(200);
        assert_eq!((&patched[field], &patched["name"]), (&then, &json!("Orders")), "{field}");
        assert_eq!(api.get("/api/v1/source/orders").await.expect(200), patched);
    }
    for (field, value) in [("status", json!("off")), ("events", json!(vec!["x"; 1001])), ("label", json!("x".repeat(4097)))] {
        let refused = api.patch("/api/v1/source/orders", &json!({ field: value }).to_string()).await.expect(422);
        assert_eq!(refused["detail"][0]["loc"], json!(["body", field]));
    }
}
