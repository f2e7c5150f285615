//! The audit log, over every operation that the description of the API has: whatever can change something is done once, with
//! success, and must leave an entry of what it was; or it is excused below, with a reason. An operation that is neither fails,
//! and so does an excuse that is nobody's.

use crate::{
    support::{Answer, Api, eventually},
    tenant::{Tenant, id_of},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Operations that leave no entry, and why.
const EXCUSED: [(&str, &str); 17] = [
    ("POST /api/v1/app/{app_id}/msg", "accepting messages is the traffic itself: each is kept, with its time"),
    ("POST /api/v1/app/{app_id}/endpoint/{endpoint_id}/send-example", "a message as any other"),
    ("POST /api/v1/source/{source_id}/test", "a message as any other"),
    ("DELETE /in/{token}", "third parties: what they send is kept as a message or as a rejection"),
    ("GET /in/{token}", "third parties, as above"),
    ("HEAD /in/{token}", "third parties, as above"),
    ("OPTIONS /in/{token}", "third parties, as above"),
    ("PATCH /in/{token}", "third parties, as above"),
    ("POST /in/{token}", "third parties, as above"),
    ("PUT /in/{token}", "third parties, as above"),
    ("POST /api/v1/alert/{alert_id}/test", "changes nothing: it sends a letter that says it is a test"),
    ("POST /api/v1/app/{app_id}/endpoint/{endpoint_id}/preview", "changes nothing"),
    ("POST /api/v1/cancel/preview", "changes nothing"),
    ("POST /api/v1/filter/test", "changes nothing"),
    ("POST /api/v1/profile/preview", "changes nothing"),
    ("POST /api/v1/replay/preview", "changes nothing"),
    ("POST /api/v1/source/{source_id}/verify", "changes nothing"),
];

/// One walk over the operations.
struct Walk<'a> {
    t: &'a Tenant,
    /// What is put in place of the parameters of paths.
    names: BTreeMap<&'static str, String>,
    done: BTreeSet<String>,
    faults: Vec<String>,
}

impl Walk<'_> {
    async fn newest(&self) -> Vec<Value> {
        self.t.api.get("/api/v1/audit?limit=50").await.expect(200)["data"].as_array().unwrap().clone()
    }

    fn filled(&self, path: &str) -> String {
        self.names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
    }

    /// Does an operation, which must succeed and leave an entry of `what`.
    async fn does(&mut self, operation: &str, body: Value, what: &str) -> Value {
        self.does_as(&self.t.api.clone(), operation, body, what).await
    }

    async fn does_as(&mut self, api: &Api, operation: &str, body: Value, what: &str) -> Value {
        let before = self.newest().await.first().map(id_of);
        let (method, path) = operation.split_once(' ').unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer: Answer = api.send(method, &self.filled(path), &[], &body).await;
        assert!((200..300).contains(&answer.status), "{operation}: {} {}", answer.status, answer.text());
        let after = self.newest().await;
        let fresh: Vec<&str> =
            after.iter().take_while(|entry| Some(id_of(entry)) != before).map(|entry| entry["what"].as_str().unwrap()).collect();
        if !fresh.contains(&what) {
            self.faults.push(format!("{operation} left {fresh:?} and no entry of {what}"));
        }
        self.done.insert(operation.to_owned());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    fn named(&mut self, name: &'static str, made: &Value) {
        self.names.insert(name, id_of(made));
    }

    async fn message(&mut self) -> String {
        let sent = self.t.api.post(&self.filled("/api/v1/app/{app_id}/msg"), r#"{"eventType": "a.b", "payload": {"n": 1}}"#).await;
        let id = id_of(&sent.expect(202));
        self.names.insert("msg_id", id.clone());
        id
    }
}

/// Every operation of the description that may change something.
async fn operations(api: &Api) -> BTreeSet<String> {
    let document = api.get("/openapi.json").await.expect(200);
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Where third parties post any method may carry an event.
            let may_change = !["get", "head"].contains(&method.as_str()) || path.starts_with("/in/");
            if operation["responses"].is_object() && may_change {
                all.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    all
}

#[tokio::test]
async fn every_operation_that_changes_something_leaves_an_entry_or_is_excused() {
    let t = Tenant::start().await;
    let mut walk = Walk { t: &t, names: BTreeMap::new(), done: BTreeSet::new(), faults: Vec::new() };
    walk.names.insert("app_id", t.app.clone());
    catalogue(&mut walk).await;
    endpoints(&mut walk).await;
    messages(&mut walk).await;
    replays(&mut walk).await;
    sources(&mut walk).await;
    operational(&mut walk).await;
    people(&mut walk).await;
    settings(&mut walk).await;
    ends(&mut walk).await;

    let (all, mut faults) = (operations(&t.api).await, walk.faults);
    let excused: BTreeSet<String> = EXCUSED.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let told = |set: Vec<&String>, word: &str| set.into_iter().map(|one| format!("{one} {word}")).collect::<Vec<_>>();
    faults.extend(told(all.iter().filter(|one| !walk.done.contains(*one) && !excused.contains(*one)).collect(), "is not judged"));
    faults.extend(told(excused.difference(&all).collect(), "is excused and no operation"));
    faults.extend(told(excused.intersection(&walk.done).collect(), "is excused and judged"));
    faults.extend(told(walk.done.difference(&all).collect(), "was done and is not described"));
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(walk.done.len() > 60, "{}", walk.done.len());
}

async fn catalogue(walk: &mut Walk<'_>) {
    walk.names.insert("event_type_name", "walk.event".to_owned());
    walk.does("POST /api/v1/event-type", json!({"name": "walk.event", "description": "one"}), "event_type").await;
    walk.does("PUT /api/v1/event-type/{event_type_name}", json!({"description": "two"}), "event_type").await;
    walk.does("PATCH /api/v1/event-type/{event_type_name}", json!({"description": "three"}), "event_type").await;
    walk.does("DELETE /api/v1/event-type/{event_type_name}", Value::Null, "event_type").await;

    walk.names.insert("profile_name", "walk".to_owned());
    let profile = |title: &str| json!({"profile": {"provider": "github", "description": title}});
    walk.does("POST /api/v1/profile", json!({"name": "walk", "profile": {"provider": "github"}}), "profile").await;
    walk.does("POST /api/v1/profile/{profile_name}/clone", json!({"name": "cloned"}), "profile").await;
    walk.does("PUT /api/v1/profile/{profile_name}", profile("two"), "profile").await;
    walk.does("PATCH /api/v1/profile/{profile_name}", profile("three"), "profile").await;
    walk.does("PUT /api/v1/profile/default", json!({"profile": "walk"}), "organization").await;
    walk.does("PUT /api/v1/profile/default", json!({"profile": null}), "organization").await;
    walk.does("DELETE /api/v1/profile/{profile_name}", Value::Null, "profile").await;
}

async fn endpoints(walk: &mut Walk<'_>) {
    const ONE: &str = "/api/v1/app/{app_id}/endpoint/{endpoint_id}";
    let url = walk.t.receiver.url("/hook");
    let made = walk.does("POST /api/v1/app/{app_id}/endpoint", json!({"url": url, "description": "one"}), "endpoint").await;
    walk.named("endpoint_id", &made);
    walk.does(&format!("PUT {ONE}"), json!({"url": url, "description": "two"}), "endpoint").await;
    walk.does(&format!("PATCH {ONE}"), json!({"description": "three"}), "endpoint").await;
    walk.does(&format!("PUT {ONE}/headers"), json!({"headers": {"x-a": "1"}}), "endpoint").await;
    walk.does(&format!("PATCH {ONE}/headers"), json!({"headers": {"x-a": "2"}}), "endpoint").await;
    let basic = json!({"authentication": {"type": "basic", "username": "a", "password": "b"}});
    walk.does(&format!("PUT {ONE}/credentials"), basic, "endpoint").await;
    walk.does(&format!("DELETE {ONE}/credentials"), Value::Null, "endpoint").await;
    walk.does(&format!("POST {ONE}/secret/rotate"), Value::Null, "endpoint").await;
    // One that has nothing to catch up with would be over before it is ended.
    walk.t.api.patch(&walk.filled(ONE), r#"{"disabled": true}"#).await.expect(200);
    for _ in 0..30 {
        walk.message().await;
    }
    walk.does(&format!("PUT {ONE}/catch-up"), json!({"rate": 1}), "catch_up").await;
    walk.does(&format!("DELETE {ONE}/catch-up"), Value::Null, "catch_up").await;
}

async fn messages(walk: &mut Walk<'_>) {
    const ONE: &str = "/api/v1/app/{app_id}/msg/{msg_id}";
    let msg = walk.message().await;
    let attempts = walk.filled(&format!("/api/v1/app/{{app_id}}/attempt/msg/{msg}"));
    let api = walk.t.api.clone();
    let tried = eventually("it was tried", || async {
        let tried = api.get(&attempts).await.json();
        Some(tried["data"].as_array()?.first()?["id"].as_str()?.to_owned())
    });
    walk.names.insert("attempt_id", tried.await);
    walk.does(&format!("POST {ONE}/endpoint/{{endpoint_id}}/resend"), Value::Null, "resend").await;
    walk.does(&format!("DELETE {ONE}/attempt/{{attempt_id}}/content"), Value::Null, "attempt_content").await;
    walk.does(&format!("DELETE {ONE}/content"), Value::Null, "message_content").await;
    let endpoint = walk.filled("/api/v1/app/{app_id}/endpoint/{endpoint_id}");
    api.patch(&endpoint, r#"{"disabled": true}"#).await.expect(200);
    walk.message().await;
    walk.does(&format!("POST {ONE}/cancel"), Value::Null, "cancel").await;
    walk.message().await;
    walk.does(&format!("POST {ONE}/endpoint/{{endpoint_id}}/cancel"), Value::Null, "cancel").await;
}

async fn replays(walk: &mut Walk<'_>) {
    const ONE: &str = "/api/v1/app/{app_id}/endpoint/{endpoint_id}";
    let since = (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(600)).to_string();
    let app = walk.t.app.clone();
    walk.does("POST /api/v1/cancel", json!({"appId": app, "since": since}), "cancel").await;
    walk.t.api.patch(&walk.filled(ONE), r#"{"disabled": false}"#).await.expect(200);
    for _ in 0..30 {
        walk.message().await;
    }
    walk.t.receiver.wait("/hook", 30).await;
    walk.does(&format!("POST {ONE}/recover"), json!({"since": since}), "replay").await;
    walk.does(&format!("POST {ONE}/replay-missing"), json!({"since": since}), "replay").await;
    walk.does(&format!("POST {ONE}/bulk-replay"), json!({"since": since}), "replay").await;
    let slow = json!({"appId": app, "since": since, "statuses": ["delivered"], "rate": 1});
    let replay = walk.does("POST /api/v1/replay", slow, "replay").await;
    walk.named("replay_id", &replay);
    walk.does("POST /api/v1/replay/{replay_id}/abort", Value::Null, "replay").await;
    walk.does("POST /api/v1/erase", json!({"tag": "nobody"}), "erasure").await;
    walk.does("PUT /api/v1/retention", json!({"messageHours": 900}), "retention").await;
    walk.does("PUT /api/v1/app/{app_id}/retention", json!({"messageHours": 900}), "retention").await;
}

async fn sources(walk: &mut Walk<'_>) {
    const ONE: &str = "/api/v1/source/{source_id}";
    let body = |name: &str| json!({"uid": "walk", "name": name, "provider": "gitlab-token", "secret": "a token"});
    let made = walk.does("POST /api/v1/source", body("one"), "source").await;
    walk.named("source_id", &made);
    let path = made["url"].as_str().unwrap().split_once("/in/").map(|(_, token)| format!("/in/{token}")).unwrap();
    let headers = [("x-gitlab-token", "a token"), ("x-gitlab-event", "Push Hook"), ("idempotency-key", "1")];
    let posted = walk.t.api.anonymous().send("POST", &path, &headers, r#"{"object_kind": "push"}"#).await;
    assert_eq!(posted.status, 200, "{}", posted.text());
    let (api, events) = (walk.t.api.clone(), walk.filled(&format!("{ONE}/event")));
    let event = eventually("the event is there", || async {
        Some(api.get(&events).await.expect(200)["data"].as_array()?.first()?["id"].as_str()?.to_owned())
    });
    walk.names.insert("msg_id", event.await);
    walk.does(&format!("POST {ONE}/event/{{msg_id}}/replay"), Value::Null, "resend").await;
    let since = (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(600)).to_string();
    walk.does(&format!("POST {ONE}/replay"), json!({ "since": since }), "replay").await;
    walk.does(&format!("PUT {ONE}"), body("two"), "source").await;
    walk.does(&format!("PATCH {ONE}"), json!({"name": "three"}), "source").await;
    for rest in ["pause", "resume", "secret/rotate", "url/rotate"] {
        let given = if rest == "secret/rotate" { json!({"secret": "another token"}) } else { Value::Null };
        walk.does(&format!("POST {ONE}/{rest}"), given, "source").await;
    }
    walk.does(&format!("DELETE {ONE}"), Value::Null, "source").await;
}

async fn operational(walk: &mut Walk<'_>) {
    const ALL: &str = "/api/v1/operational-webhook/endpoint";
    let url = walk.t.receiver.url("/operational");
    let (one, theirs) = (format!("{ALL}/{{endpoint_id}}"), walk.names.get("endpoint_id").cloned().unwrap());
    let made = walk.does(&format!("POST {ALL}"), json!({"url": url, "description": "one"}), "endpoint").await;
    walk.named("endpoint_id", &made);
    walk.does(&format!("PUT {one}"), json!({"url": url, "description": "two"}), "endpoint").await;
    walk.does(&format!("PUT {one}/headers"), json!({"headers": {"x-a": "1"}}), "endpoint").await;
    walk.does(&format!("POST {one}/secret/rotate"), Value::Null, "endpoint").await;
    walk.does(&format!("DELETE {one}"), Value::Null, "endpoint").await;
    walk.names.insert("endpoint_id", theirs);
}

async fn people(walk: &mut Walk<'_>) {
    let key = walk.does("POST /api/v1/key", json!({"name": "walk"}), "key").await;
    walk.named("key_id", &key);
    walk.does("DELETE /api/v1/key/{key_id}", Value::Null, "key").await;
    let session = walk.does("POST /api/v1/session", Value::Null, "key").await;
    let session = walk.t.api.with_token(session["token"].as_str().unwrap());
    walk.does_as(&session, "POST /api/v1/auth/logout", Value::Null, "key").await;
    walk.does("POST /api/v1/auth/app-portal-access/{app_id}", json!({"sessionId": "s"}), "key").await;
    walk.does("POST /api/v1/auth/app/{app_id}/expire-all", json!({}), "key").await;
    walk.names.insert("user", "walker".to_owned());
    walk.does("POST /api/v1/user", json!({"login": "walker", "role": "viewer"}), "user").await;
    walk.does("PATCH /api/v1/user/{user}", json!({"role": "operator"}), "user").await;
    walk.does("POST /api/v1/user/{user}/link", Value::Null, "session").await;
    walk.does("DELETE /api/v1/user/{user}", Value::Null, "user").await;
}

async fn settings(walk: &mut Walk<'_>) {
    let rule = |name: &str| json!({"name": name, "condition": {"type": "failing"}});
    let alert = walk.does("POST /api/v1/alert", rule("one"), "alert").await;
    walk.named("alert_id", &alert);
    walk.does("PUT /api/v1/alert/{alert_id}", rule("two"), "alert").await;
    walk.does("DELETE /api/v1/alert/{alert_id}", Value::Null, "alert").await;
    walk.does("PUT /api/v1/branding", json!({"name": "Walk"}), "branding").await;
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
    walk.does("PUT /api/v1/branding/logo", json!({ "image": pixel }), "branding").await;
    walk.does("DELETE /api/v1/branding/logo", Value::Null, "branding").await;
    walk.does("PUT /api/v1/proxy", json!({"url": "http://127.0.0.1:9"}), "organization").await;
    walk.does("DELETE /api/v1/proxy", Value::Null, "organization").await;
    walk.does("POST /api/v1/master-key/rotate", Value::Null, "master_key").await;
}

async fn ends(walk: &mut Walk<'_>) {
    walk.does("DELETE /api/v1/app/{app_id}/endpoint/{endpoint_id}", Value::Null, "endpoint").await;
    let made = walk.does("POST /api/v1/app", json!({"name": "walk"}), "application").await;
    walk.named("app_id", &made);
    walk.does("PUT /api/v1/app/{app_id}", json!({"name": "two"}), "application").await;
    walk.does("PATCH /api/v1/app/{app_id}", json!({"name": "three"}), "application").await;
    walk.does("DELETE /api/v1/app/{app_id}", Value::Null, "application").await;
}
