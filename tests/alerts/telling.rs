//! Telling: once, with its end; gathered when many fail at once; again when the mail server is away.

use crate::{
    catcher::{Catcher, Mood},
    support::{Options, Reply, Server, eventually},
    tenant::{Tenant, text},
};
use serde_json::json;
use std::io::Write;

#[tokio::test]
async fn an_incident_is_told_once_and_its_end_once() {
    let t = Tenant::start().await;
    let rule = t.rule(json!({"type": "failing"}), json!({"name": "Down"})).await;
    t.receiver.script("/down", [Reply::status(503)]);
    let endpoint = t.endpoint("/down?token=hidden", json!({})).await;
    t.send().await;
    let letters = t.mail.wait(1).await;
    let letter = &letters[0];
    assert_eq!(
        (letter.to.as_slice(), letter.header("subject")),
        (["ann@example.com".to_owned()].as_slice(), "[Postrider] Down: 1 endpoint".into())
    );
    assert!(letter.header("from").contains("hooks@example.com") && letter.header("auto-submitted") == "auto-generated");
    let told = letter.text();
    assert!(told.contains("answered 503") && told.contains("/down") && !told.contains("hidden"), "{told}");
    assert!(told.contains("Acme & <b>Sons</b>") && told.contains("Acme &#38; &#60;b&#62;Sons"), "plain, and escaped: {told}");
    assert!(told.contains(&format!("https://hooks.example/dashboard/applications/{}/endpoints/{endpoint}", t.app)), "{told}");

    t.send().await;
    let shown = t.holding(&rule, 1).await;
    assert_eq!((shown["incidents"][0]["endpointId"].as_str(), &shown["incidents"][0]["told"]), (Some(&*endpoint), &json!(true)));
    t.receiver.script("/down", [Reply::status(200)]);
    t.send().await;
    let letters = t.mail.wait(2).await;
    assert_eq!(letters.len(), 2, "the second failure was not told");
    assert_eq!(letters[1].header("subject"), "[Postrider] Down: over for 1 endpoint");
    assert!(letters[1].text().contains("recovered"));
    assert_ne!(letters[0].header("message-id"), letters[1].header("message-id"));

    let notices = eventually("both are known to have gone", || async {
        Some(t.notices(&rule).await).filter(|notices| notices.iter().all(|notice| notice["emails"][0]["state"] == "sent"))
    })
    .await;
    assert_eq!(notices.len(), 2);
    assert!(notices.iter().all(|notice| notice["operational"]["state"] == "unused"));
}

#[tokio::test]
async fn hundreds_that_fail_at_once_are_two_letters_at_most() {
    const MANY: usize = 120;
    let t = Tenant::start().await;
    let rule = t.rule(json!({"type": "failing"}), json!({"cooldownSeconds": 5})).await;
    t.receiver.script("/down", [Reply::status(503)]);
    for _ in 0..MANY {
        t.endpoint("/down", json!({})).await;
    }
    t.send().await;
    t.holding(&rule, MANY as u64).await;
    let began = async || t.notices(&rule).await.iter().map(|notice| notice["began"].as_u64().unwrap()).sum::<u64>();
    eventually("all are told", || async { Some(began().await).filter(|began| *began == MANY as u64) }).await;
    let counted = || t.mail.caught().iter().any(|letter| letter.text().contains(" more."));
    eventually("those beyond fifty are counted", || async { counted().then_some(()) }).await;
    assert!(t.notices(&rule).await.len() <= 2 && t.mail.caught().len() <= 2, "{}", t.mail.caught().len());
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_tried_again_and_delays_nothing_else() {
    let t = Tenant::start().await;
    t.mail.mood(Mood::Busy);
    let rule = t.rule(json!({"type": "failing"}), json!({})).await;
    t.broken("/down").await;
    t.endpoint("/up", json!({})).await;
    t.send().await;
    let waiting = eventually("it waits", || async {
        t.notices(&rule).await.into_iter().next().filter(|notice| notice["emails"][0]["error"].is_string())
    })
    .await;
    assert_eq!(waiting["emails"][0]["state"], "waiting");
    assert!(text(&waiting["emails"][0], "error").contains("not now") && waiting["nextTry"].is_string(), "{waiting}");
    t.send().await;
    eventually("deliveries go on", || async { (t.receiver.at("/up").len() == 2).then_some(()) }).await;
    t.mail.mood(Mood::Takes);
    t.mail.wait(1).await;
    let sent =
        eventually("it went", || async { t.notices(&rule).await.into_iter().next().filter(|n| n["emails"][0]["state"] == "sent") })
            .await;
    assert!(sent["tries"].as_u64().unwrap() >= 2 && sent["nextTry"].is_null(), "{sent}");
}

#[tokio::test]
async fn an_address_that_is_refused_does_not_keep_others_from_theirs() {
    let t = Tenant::start().await;
    t.mail.mood(Mood::Refuses);
    let rule = t.rule(json!({"type": "failing"}), json!({"emails": ["ann@example.com", "bob@example.com"]})).await;
    t.broken("/down").await;
    t.send().await;
    let failed = eventually("it is refused", || async {
        t.notices(&rule).await.into_iter().next().filter(|notice| notice["emails"][1]["state"] == "failed")
    })
    .await;
    assert!(text(&failed["emails"][0], "error").contains("no such person"), "{failed}");
    assert!(failed["nextTry"].is_null(), "it is not tried again: {failed}");
}

#[tokio::test]
async fn operators_are_told_by_operational_messages() {
    let t = Tenant::start().await;
    let body = json!({"url": t.receiver.url("/operator"), "eventTypes": ["alert.triggered", "alert.recovered"]}).to_string();
    t.api.post("/api/v1/operational-webhook/endpoint", &body).await.expect(201);
    let rule = t.rule(json!({"type": "failing"}), json!({"operational": true, "emails": []})).await;
    let endpoint = t.broken("/down").await;
    t.send().await;
    let told = async |count: usize| {
        eventually("operational messages", || async { Some(t.receiver.at("/operator")).filter(|all| all.len() >= count) }).await
    };
    let first: serde_json::Value = serde_json::from_slice(&told(1).await[0].body).unwrap();
    assert_eq!((first["type"].as_str(), first["data"]["alertId"].as_str()), (Some("alert.triggered"), Some(&*rule)));
    assert_eq!(
        (first["data"]["count"].as_u64(), first["data"]["endpoints"][0]["endpointId"].as_str()),
        (Some(1), Some(&*endpoint))
    );
    t.receiver.script("/down", [Reply::status(200)]);
    t.send().await;
    let second: serde_json::Value = serde_json::from_slice(&told(2).await[1].body).unwrap();
    assert_eq!(
        (second["type"].as_str(), second["data"]["endpoints"][0]["ended"].as_str()),
        (Some("alert.recovered"), Some("recovered"))
    );
}

#[tokio::test]
async fn letters_go_by_tls_with_a_name_and_a_password_that_nobody_sees() {
    const PASSWORD: &str = "correct horse";
    let (mail, pem) = Catcher::secure().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let args =
        [format!("--smtp=smtp://localhost:{}", mail.port()), "--mail-from=hooks@example.com".into(), "--smtp-user=hooks".into()];
    let start = async |password: &str, trusted: bool| {
        let mut args = args.to_vec();
        if trusted {
            args.push(format!("--ca-file={}", file.path().display()));
        }
        Server::start_with(Options { args, env: vec![("POSTRIDER_SMTP_PASSWORD".into(), password.into())] }).await
    };
    let test = async |server: &Server| {
        let body = json!({"name": "x", "condition": {"type": "failing"}, "emails": ["ann@example.com"]}).to_string();
        let rule = text(&server.api().post("/api/v1/alert", &body).await.expect(201), "id");
        server.api().post(&format!("/api/v1/alert/{rule}/test"), "").await.expect(200)["emails"][0].clone()
    };
    let server = start(PASSWORD, true).await;
    let told = test(&server).await;
    assert_eq!(told["state"], "sent", "{told}");
    let letter = mail.wait(1).await.remove(0);
    assert!(
        letter.secure && letter.user.as_deref() == Some("hooks") && letter.header("subject").ends_with("x: a test"),
        "{letter:?}"
    );
    assert!(!server.log().iter().any(|line| line.contains(PASSWORD)), "it is in the log");

    let wrong = start("a wrong password", true).await;
    let told = test(&wrong).await;
    assert!(told["state"] == "failed" && text(&told, "error").contains("who are you"), "{told}");
    assert!(!told.to_string().contains("a wrong password") && !wrong.log().iter().any(|line| line.contains("a wrong password")));
    let stranger = start(PASSWORD, false).await;
    assert_eq!(test(&stranger).await["state"], "failed", "a certificate that nobody vouches for");
    assert_eq!(mail.caught().len(), 1);
}
