//! Who owns a source: names and limits are an owner's own, and what holds an organization's sources stays.

use crate::access::foreign;
use crate::fixture::{Tenant, id_of, texts};
use crate::sources::portal;
use crate::support::{ADMIN_KEY, Api, eventually};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

const SOURCES: &str = "/api/v1/source";
/// Sources that an application owns at most.
const MOST: usize = 1_000;

fn path(id: &str) -> String {
    format!("{SOURCES}/{id}")
}

async fn make(api: &Api, uid: &str, app: Option<&str>) -> Value {
    let mut body = json!({"provider": "github", "uid": uid});
    app.iter().for_each(|app| body["appId"] = json!(app));
    api.post(SOURCES, &body.to_string()).await.expect(201)
}

#[tokio::test]
async fn a_uid_is_its_owner_s_own() {
    let t = Tenant::start().await;
    let other = id_of(&t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201));
    let ours = make(&t.api, "hub", None).await;
    let theirs = make(&t.api, "hub", Some(&other)).await;
    let api = portal(&t, false).await;
    let own = make(&api, "hub", None).await;
    api.post(SOURCES, r#"{"provider":"github","uid":"hub"}"#).await.refused(409, "uid");
    assert_eq!(api.get(&path("hub")).await.expect(200)["id"], own["id"], "its application's");
    assert_eq!(t.api.get(&path("hub")).await.expect(200)["id"], ours["id"], "the organization's");
    api.patch(&path("hub"), r#"{"name":"Mine"}"#).await.expect(200);
    assert_eq!(t.api.get(&path(&id_of(&own))).await.expect(200)["name"], "Mine");

    t.api.delete(&path("hub")).await.expect(204);
    t.api.get(&path("hub")).await.refused(409, "id");
    for app in [&t.app, &other] {
        let body = json!({"provider": "github", "uid": "hub", "appId": app, "maxBody": 2048}).to_string();
        let found = t.api.post(&format!("{SOURCES}?get_if_exists=true"), &body).await.expect(200);
        assert_eq!(t.api.put(&path("hub"), &body).await.expect(200)["id"], found["id"]);
    }
    assert_eq!(t.api.get(&path(&id_of(&theirs))).await.expect(200)["maxBody"], 2048);
    t.api.delete(&path(&id_of(&theirs))).await.expect(204);
    assert_eq!(t.api.get(&path("hub")).await.expect(200)["id"], own["id"], "the only one that is left");
    make(&t.api, "hub", Some(&other)).await;
    t.api.patch(&path(&id_of(&own)), r#"{"uid":null}"#).await.expect(200);
    api.get(&path("hub")).await.expect(404);
}

#[tokio::test]
async fn one_application_cannot_use_up_the_sources_of_others() {
    let t = Tenant::start().await;
    let api = portal(&t, false).await;
    let body = json!({"provider": "github"}).to_string();
    stream::iter(0..MOST).for_each_concurrent(16, async |_| drop(api.post(SOURCES, &body).await.expect(201))).await;
    api.post(SOURCES, &body).await.refused(400, "1000");
    t.api.post(SOURCES, &json!({"provider": "github", "appId": t.app}).to_string()).await.refused(400, "1000");
    t.api.post(SOURCES, &body).await.expect(201);
    let other = id_of(&t.api.post("/api/v1/app", r#"{"name":"Other"}"#).await.expect(201));
    make(&t.api, "one", Some(&other)).await;
}

#[tokio::test]
async fn an_application_that_holds_the_organization_s_own_stays() {
    let t = Tenant::start().await;
    let source = make(&t.api, "hub", None).await;
    let holder = source["appId"].as_str().unwrap();
    for name in ["postrider.received", holder] {
        t.api.delete(&format!("/api/v1/app/{name}")).await.refused(409, "sources");
    }
    // Under another name it is still theirs.
    t.api.patch(&format!("/api/v1/app/{holder}"), r#"{"uid":"renamed"}"#).await.expect(200);
    t.api.delete("/api/v1/app/renamed").await.refused(409, "sources");
    assert_eq!(texts(&t.api.get(SOURCES).await.expect(200)["data"], "id"), [id_of(&source)]);
    t.api.delete(&path("hub")).await.expect(204);
    t.api.delete("/api/v1/app/renamed").await.expect(204);

    let operational = "/api/v1/operational-webhook/endpoint";
    let body = json!({"url": t.receiver.url("/operator")}).to_string();
    let endpoint = id_of(&t.api.post(operational, &body).await.expect(201));
    t.api.delete("/api/v1/app/postrider.operational").await.refused(409, "operational");
    t.api.delete(&format!("{operational}/{endpoint}")).await.expect(204);
    t.api.delete("/api/v1/app/postrider.operational").await.expect(204);
}

#[tokio::test]
async fn what_needs_no_body_takes_an_empty_one_of_any_type() {
    let t = Tenant::start().await;
    make(&t.api, "hub", Some(&t.app)).await;
    let post = async |rest: &str, kind: &str, body: &str| {
        t.api.send("POST", &format!("{}{rest}", path("hub")), &[("content-type", kind)], body).await
    };
    for rest in ["/url/rotate", "/secret/rotate", "/test", "/pause", "/resume"] {
        for kind in ["application/x-www-form-urlencoded", "text/plain", "application/json"] {
            post(rest, kind, "").await.expect(200);
        }
    }
    for rest in ["/url/rotate", "/secret/rotate", "/test"] {
        post(rest, "text/plain", "{}").await.expect(415);
        post(rest, "application/json", "{").await.expect(400);
    }
}

#[tokio::test]
async fn lists_refuse_what_they_do_not_know() {
    let t = Tenant::start().await;
    let source = make(&t.api, "hub", Some(&t.app)).await;
    let url = source["url"].as_str().unwrap();
    let receive = &url[url.find("/in/").unwrap()..];
    t.api.anonymous().post(receive, "{}").await.expect(401);
    t.api.anonymous().send("POST", receive, &[("x-hub-signature-256", "sha256=zz")], "{}").await.expect(401);
    let list = async |rest: &str| t.api.get(&format!("{}{rest}", path("hub"))).await;
    assert_eq!(texts(&list("/rejection").await.expect(200)["data"], "reason"), ["malformed", "missing_header"]);
    assert_eq!(texts(&list("/rejection?reason=malformed&limit=5").await.expect(200)["data"], "reason"), ["malformed"]);
    assert_eq!(list("/rejection?reason=stale").await.expect(200)["data"], json!([]));
    list("/rejection?reason=misspelt").await.refused(422, "reason");
    list("/rejection?cause=mismatch").await.refused(422, "cause");
    list("/event?eventId=1").await.refused(422, "eventId");
    list("/event?event_id=1&with_content=false").await.expect(200);
    list("/event?with_content=perhaps").await.refused(422, "with_content");
}

#[tokio::test]
async fn another_organization_s_token_finds_no_source() {
    let t = Tenant::start().await;
    let theirs = foreign(&t);
    let source = make(&t.api, "hub", None).await;
    let id = id_of(&source);
    t.api.post(&format!("{}/test", path(&id)), "").await.expect(200);
    let event = id_of(&t.api.get(&format!("{}/event", path(&id))).await.expect(200)["data"][0]);
    let url = source["url"].as_str().unwrap();
    t.api.anonymous().post(&url[url.find("/in/").unwrap()..], "{}").await.expect(401);
    let rejection = id_of(&t.api.get(&format!("{}/rejection", path(&id))).await.expect(200)["data"][0]);
    let (replay, refused) = (format!("/event/{event}/replay"), format!("/rejection/{rejection}"));
    let since = r#"{"since":"2026-01-01T00:00:00Z"}"#;
    for name in [id.as_str(), "hub"] {
        for (method, rest, body) in [
            ("GET", "", ""),
            ("PATCH", "", r#"{"name":"Theirs"}"#),
            ("DELETE", "", ""),
            ("GET", "/secret", ""),
            ("POST", "/secret/rotate", "{}"),
            ("POST", "/url/rotate", ""),
            ("POST", "/pause", ""),
            ("POST", "/resume", ""),
            ("POST", "/verify", r#"{"method":"POST","headers":{},"body":""}"#),
            ("POST", "/test", ""),
            ("GET", "/rejection", ""),
            ("GET", &refused, ""),
            ("GET", "/event", ""),
            ("POST", &replay, ""),
            ("POST", "/replay", since),
        ] {
            let answer = theirs.send(method, &format!("{}{rest}", path(name)), &[], body).await;
            assert_eq!(answer.status, 404, "{method} {rest}: {}", answer.text());
        }
    }
    theirs.put(&path(&id), r#"{"provider":"github"}"#).await.expect(404);
    assert_eq!(theirs.get(SOURCES).await.expect(200)["data"], json!([]));
    assert_eq!(t.api.get(&path("hub")).await.expect(200), {
        let mut shown = source.clone();
        shown.as_object_mut().unwrap().remove("secret");
        shown
    });
}

#[tokio::test]
async fn a_replay_that_was_cut_off_is_repeated_without_repeating_events() {
    let mut t = Tenant::start().await;
    let made = json!({"provider": "ably", "uid": "s", "split": true}).to_string();
    t.api.post(SOURCES, &made).await.expect(201);
    let batch = json!({"payload": {"items": vec![json!({"source": "x"}); MOST]}}).to_string();
    t.api.post(&format!("{}/test", path("s")), &batch).await.expect(200);
    let body = json!({"since": "2026-01-01T00:00:00Z"}).to_string();
    let (replay, headers) = (format!("{}/replay", path("s")), [("idempotency-key", "again")]);
    let api = t.api.with_token(ADMIN_KEY);
    let begun = eventually("the first replay", || async {
        let newest = t.api.get(&format!("{}/event?limit=1", path("s"))).await.expect(200);
        newest["data"][0]["origin"]["replays"].is_string().then_some(())
    });
    // The server is killed as soon as something was replayed.
    tokio::select! {
        () = begun => {}
        _ = api.try_send("POST", &replay, &headers, body.clone().into()) => {}
    }
    t.server.kill();
    t.server.restart().await;
    t.api = t.server.api();
    let told = t.api.send("POST", &replay, &headers, &body).await.expect(202);
    assert_eq!(told["replayed"], MOST);
    assert_eq!(t.api.send("POST", &replay, &headers, &body).await.expect(202), told);
    let (mut iterator, mut replays) = (String::new(), 0);
    loop {
        let page = t.api.get(&format!("{}/event?limit=250&with_content=false{iterator}", path("s"))).await.expect(200);
        replays += page["data"].as_array().unwrap().iter().filter(|event| event["origin"]["replays"].is_string()).count();
        if page["done"] == true {
            break;
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().unwrap());
    }
    assert_eq!(replays, MOST, "each event once");
}
