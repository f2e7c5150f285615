//! Alakazam, from the top of its document to the bottom.

use crate::{
    example::Example,
    fixture::{Site, is_uuid, seconds},
    support::{Api, eventually},
};
use serde_json::{Value, json};

const SUCCEEDED: &str = "world.generation.succeeded";
const FAILED: &str = "world.generation.failed";

/// An application `game`, a user's session, and where its webhooks are.
struct Game {
    site: Site,
    session: Api,
    app: String,
    hooks: String,
}

impl Game {
    async fn start() -> Self {
        let site = Site::start().await;
        let app = site.app("game").await;
        let session = site.session().await;
        let hooks = format!("/v1/apps/{app}/webhooks");
        Game { site, session, app, hooks }
    }

    async fn register(&self, body: Value) -> Value {
        self.session.post(&self.hooks, &body.to_string()).await.expect(201)
    }

    async fn finish(&self, job: &str) -> String {
        self.site.send("game", SUCCEEDED, &json!({"worldId": format!("wld_{job}"), "jobId": job})).await
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("no {field} in {object}"))
}

#[tokio::test]
async fn endpoints_are_managed_with_a_user_session_and_not_with_an_api_key() {
    let game = Game::start().await;
    let body = json!({"url": "https://example.com/hook"}).to_string();
    let one = format!("{}/00000000-0000-7000-8000-000000000000", game.hooks);
    let routes =
        [("POST", game.hooks.clone()), ("GET", game.hooks.clone()), ("DELETE", one.clone()), ("POST", format!("{one}/delete"))];
    for (method, path) in &routes {
        let sent = if *method == "GET" { "" } else { body.as_str() };
        let refused = game.site.api.send(method, path, &[], sent).await.expect(403);
        assert!(text(&refused["error"], "message").contains("user session"), "{refused}");
        let refused = game.site.api.anonymous().send(method, path, &[], sent).await.expect(401);
        assert_eq!(refused["error"]["code"], "authentication_failed");
        let portal = format!("/api/v1/auth/app-portal-access/{}", game.app);
        let portal = game.site.api.post(&portal, "{}").await.expect(200);
        game.site.api.with_token(text(&portal, "token")).send(method, path, &[], sent).await.expect(403);
    }
}

#[tokio::test]
async fn an_endpoint_is_registered_once_with_its_secret() {
    let game = Game::start().await;
    let made = game.register(json!({"url": "https://example.com/hook"})).await;
    assert!(is_uuid(text(&made, "id")), "{made}");
    assert_eq!((&made["url"], &made["enabled"]), (&json!("https://example.com/hook"), &json!(true)));
    assert!(text(&made, "secret").starts_with("whsec_") && seconds(&made["created_at"]).is_some());
    let mut events: Vec<_> = made["events"].as_array().unwrap().clone();
    events.sort_by_key(ToString::to_string);
    assert_eq!(events, [FAILED, SUCCEEDED], "what is delivered today, the reserved one left out");

    let all = game.register(json!({"url": "https://example.com/all", "events": ["*"]})).await;
    assert_eq!(all["events"], json!(["*"]));
    let reserved = game.register(json!({"url": "https://example.com/later", "events": ["session.ended"]})).await;
    assert_eq!(reserved["events"], json!(["session.ended"]));

    let listed = game.session.get(&game.hooks).await.expect(200);
    let rows = listed["data"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["id"], made["id"]);
    for row in rows {
        assert!(row.get("secret").is_none(), "the secret is never shown again: {row}");
        let mut fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["created_at", "enabled", "events", "id", "url"]);
    }
    let by_uid = game.session.get("/v1/apps/game/webhooks").await.expect(200);
    assert_eq!(by_uid, listed, "an application is named by id or uid");
    assert!(!listed.to_string().contains(text(&made, "secret")));
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_name() {
    let game = Game::start().await;
    for (body, field, word) in [
        (json!({"url": "http://example.com/hook"}), "url", "https"),
        (json!({"url": "ftp://example.com/hook"}), "url", "https"),
        (json!({"url": "not a url"}), "url", "URL"),
        (json!({"url": "https://user:pass@example.com/"}), "url", "user information"),
        (json!({}), "url", "missing"),
        (json!({"url": 1}), "url", "string"),
        (json!({"url": "https://example.com", "events": ["world.exploded"]}), "events", "world.exploded"),
        (json!({"url": "https://example.com", "events": []}), "events", "At least one"),
        (json!({"url": "https://example.com", "events": "all"}), "events", "sequence"),
        (json!({"url": "https://example.com", "secret": "mine"}), "secret", "unknown"),
    ] {
        let refused = game.session.post(&game.hooks, &body.to_string()).await.expect(400);
        let error = &refused["error"];
        assert!(error.to_string().contains(word) && text(error, "message").contains(field), "{body}: {refused}");
    }
    game.session.post(&game.hooks, "{").await.expect(400);
    game.session.put(&game.hooks, "{}").await.expect(405);
    assert_eq!(game.session.get(&game.hooks).await.expect(200)["data"], json!([]), "nothing was half applied");
    let missing = game.session.get("/v1/apps/nobody/webhooks").await.expect(404);
    assert_eq!(missing["error"]["code"], "not_found");
}

#[tokio::test]
async fn an_event_is_delivered_as_documented() {
    let game = Game::start().await;
    for example in ["alakazam/receiver.py", "alakazam/receiver.mjs"] {
        let receiver = game.site.example(example, &[]);
        let made = game.register(json!({"url": receiver.url("/hook")})).await;
        receiver.trust(text(&made, "secret"));
        game.finish(example).await;
        let heard = receiver.wait(1).await;
        let event = &heard[0];
        assert_eq!((&event["status"], &event["verdict"]), (&json!(200), &json!("accepted")), "{event}");
        assert_eq!(event["headers"]["alakazam-event"], SUCCEEDED);
        let body: Value = serde_json::from_str(text(event, "body")).unwrap();
        let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["appId", "created", "data", "type"]);
        assert_eq!(body["type"], SUCCEEDED);
        assert_eq!(body["appId"], "game", "by the name that its owner gave it");
        assert_eq!(body["data"], json!({"worldId": format!("wld_{example}"), "jobId": example}));
        let age = jiff::Timestamp::now().as_second() - body["created"].as_i64().unwrap();
        assert!((0..120).contains(&age), "created is in seconds: {body}");
        receiver.trust("whsec_another");
        game.finish("another").await;
        assert_eq!(receiver.wait(2).await[1]["status"], 401, "another secret verifies nothing");
    }
}

#[tokio::test]
async fn events_are_a_snapshot_and_a_star_is_not() {
    let game = Game::start().await;
    let (receiver, star) = (game.site.example("alakazam/receiver.py", &[]), game.site.example("alakazam/receiver.mjs", &[]));
    let made = game.register(json!({"url": receiver.url("/snapshot")})).await;
    receiver.trust(text(&made, "secret"));
    let all = game.register(json!({"url": star.url("/star"), "events": ["*"]})).await;
    star.trust(text(&all, "secret"));
    let shipped = json!({"name": "world.exported", "description": "A world was exported."});
    game.site.api.post("/api/v1/event-type", &shipped.to_string()).await.expect(201);
    game.site.send("game", "world.exported", &json!({"jobId": "new"})).await;
    game.finish("known").await;
    let heard = star.wait(2).await;
    assert!(heard.iter().all(|event| event["verdict"] == "accepted"));
    assert!(heard.iter().any(|event| event["type"] == "world.exported"));
    let heard = receiver.wait(1).await;
    assert_eq!(heard.iter().map(|event| text(event, "type")).collect::<Vec<_>>(), [SUCCEEDED]);
    let later = game.register(json!({"url": "https://example.com/later"})).await;
    assert!(later["events"].to_string().contains("world.exported"), "today is another day: {later}");
}

#[tokio::test]
async fn a_reserved_event_is_not_sent() {
    let game = Game::start().await;
    game.site.seed("alakazam");
    game.register(json!({"url": "https://example.com/later", "events": ["session.ended"]})).await;
    let body = json!({"eventType": "session.ended", "payload": {}}).to_string();
    let refused = game.site.api.post("/api/v1/app/game/msg", &body).await;
    refused.refused(422, "reserved");
}

#[tokio::test]
async fn three_attempts_and_any_2xx_ends_them() {
    let game = Game::start().await;
    let receiver = game.site.example("alakazam/receiver.py", &["--answer", "500,302,204"]);
    let made = game.register(json!({"url": receiver.url("/hook"), "events": [SUCCEEDED]})).await;
    receiver.trust(text(&made, "secret"));
    game.finish("retried").await;
    let heard = receiver.wait(3).await;
    assert_eq!(heard.iter().map(|event| event["status"].clone()).collect::<Vec<_>>(), [json!(500), json!(302), json!(204)]);
    for event in &heard {
        let signature = text(&event["headers"], "alakazam-signature");
        assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    }

    let stubborn = game.site.example("alakazam/receiver.mjs", &["--answer", "503"]);
    let made = game.register(json!({"url": stubborn.url("/hook"), "events": [FAILED]})).await;
    stubborn.trust(text(&made, "secret"));
    let message = game.site.send("game", FAILED, &json!({"jobId": "j", "error": "no"})).await;
    stubborn.wait(3).await;
    let path = format!("/api/v1/app/game/msg/{message}/endpoint");
    let delivery = eventually("the delivery is exhausted", || async {
        let all = game.site.api.get(&path).await.expect(200);
        all["data"].as_array().unwrap().iter().find(|d| d["statusText"] == "fail").cloned()
    })
    .await;
    assert_eq!(delivery["nextAttempt"], Value::Null);
    assert_eq!(stubborn.heard().len(), 3, "up to three times, and no more");
}

#[tokio::test]
async fn the_timestamp_is_of_the_attempt() {
    // At the document's own pace the retries are seconds apart, and so are the timestamps.
    let game = Game { site: Site::start_with(&[("RETRY_SPEED", "5")]).await, ..Game::start().await };
    let app = game.site.app("game").await;
    let session = game.site.session().await;
    let receiver = game.site.example("alakazam/receiver.py", &["--answer", "500,200"]);
    let hooks = format!("/v1/apps/{app}/webhooks");
    let made = session.post(&hooks, &json!({"url": receiver.url("/hook")}).to_string()).await.expect(201);
    receiver.trust(text(&made, "secret"));
    game.site.send("game", SUCCEEDED, &json!({"jobId": "j"})).await;
    let heard = receiver.wait(2).await;
    let stamp =
        |event: &Value| text(&event["headers"], "alakazam-signature")[2..].split(',').next().unwrap().parse::<i64>().unwrap();
    assert!(stamp(&heard[1]) >= stamp(&heard[0]));
    assert_ne!(heard[0]["headers"]["alakazam-signature"], heard[1]["headers"]["alakazam-signature"], "each attempt is signed anew");
    assert_eq!(heard[0]["body"], heard[1]["body"], "the event itself stays as it is");
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_not_even_a_retry_that_is_due() {
    // The first retry is due seconds after the failure: there is time to delete the endpoints before.
    let site = Site::start_with(&[("RETRY_SPEED", "2")]).await;
    site.app("game").await;
    let session = site.session().await;
    let register = async |example: &str, event: &str| {
        let receiver = site.example(example, &["--answer", "500"]);
        let body = json!({"url": receiver.url("/hook"), "events": [event]}).to_string();
        let made = session.post("/v1/apps/game/webhooks", &body).await.expect(201);
        receiver.trust(text(&made, "secret"));
        (receiver, format!("/v1/apps/game/webhooks/{}", text(&made, "id")))
    };
    let (one, by_delete) = register("alakazam/receiver.py", SUCCEEDED).await;
    let (two, by_post) = register("alakazam/receiver.mjs", SUCCEEDED).await;
    let (witness, kept) = register("alakazam/receiver.mjs", FAILED).await;
    site.send("game", SUCCEEDED, &json!({"jobId": "j"})).await;
    one.wait(1).await;
    two.wait(1).await;
    for gone in [session.delete(&by_delete).await, session.post(&format!("{by_post}/delete"), "").await] {
        assert_eq!((gone.status, gone.text().as_str()), (204, ""));
    }
    site.send("game", SUCCEEDED, &json!({"jobId": "after"})).await;
    // The witness fails later and is tried again: by then the retries of the others would have come.
    site.send("game", FAILED, &json!({"jobId": "j", "error": "e"})).await;
    witness.wait(2).await;
    assert_eq!((one.heard().len(), two.heard().len()), (1, 1), "nothing came after the deletion, though a retry was due");
    session.delete(&by_delete).await.expect(404);
    session.post(&format!("{by_post}/delete"), "").await.expect(404);
    session.delete(&kept).await.expect(204);
    assert_eq!(session.get("/v1/apps/game/webhooks").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn only_its_own_endpoints_are_shown_and_deleted() {
    let game = Game::start().await;
    let made = game.site.api.post("/api/v1/app/game/endpoint", r#"{"url": "https://example.com/own"}"#).await.expect(201);
    assert_eq!(game.session.get(&game.hooks).await.expect(200)["data"], json!([]));
    game.session.delete(&format!("{}/{}", game.hooks, text(&made, "id"))).await.expect(404);
    let other = game.site.app("other").await;
    let hook = game.register(json!({"url": "https://example.com/hook"})).await;
    game.session.delete(&format!("/v1/apps/{other}/webhooks/{}", text(&hook, "id"))).await.expect(404);
    assert_eq!(game.session.get(&game.hooks).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_ends_in_an_event() {
    let game = Game::start().await;
    let receiver = game.site.example("alakazam/receiver.mjs", &[]);
    let made = game.register(json!({"url": receiver.url("/hook")})).await;
    receiver.trust(text(&made, "secret"));
    let producer = Example::program("alakazam/producer.py", &["--url", &game.site.server.url(), "--app", "game", "--port", "0"]);
    let jobs = Api::new(producer.url("").trim_start_matches("http://"), None);
    for (prompt, status) in [("an island", "succeeded"), ("fail, please", "failed")] {
        let started = jobs.post("/v1/worlds", &json!({"prompt": prompt, "async": true}).to_string()).await.expect(202);
        let job = text(&started, "jobId").to_owned();
        let done = eventually("the job ends", || async {
            Some(jobs.get(&format!("/v1/jobs/{job}")).await.expect(200)).filter(|told| told["status"] != "running")
        })
        .await;
        assert_eq!(done["status"], status);
        let heard = eventually("its event has come", || async {
            receiver.heard().into_iter().find(|event| event["data"]["jobId"] == job.as_str())
        })
        .await;
        assert_eq!((text(&heard, "type"), &heard["verdict"]), (format!("world.generation.{status}").as_str(), &json!("accepted")));
        let field = if status == "succeeded" { "worldId" } else { "error" };
        assert_eq!(heard["data"][field], done[field]);
    }
    jobs.get("/v1/jobs/nothing").await.expect(404);
    jobs.post("/v1/worlds", "{}").await.expect(400);
}
