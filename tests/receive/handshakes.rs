//! Every handshake of `tests/vectors/handshakes.json` over HTTP: answered as stated, and no event. Signatures over a time are
//! made anew for the time of the test.

use crate::{
    fixture::{Hub, text},
    signed::{SECRET, SNS_CERTIFICATE, Signed, discord, discord_key, hex_mac, now, slack, sns, xero, zoom},
};
use serde_json::{Value, json};

const PAIRS: &str = include_str!("../vectors/handshakes.json");
/// A secret of the sender's choice, and one of somebody else's.
const GIVEN: &str = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";
const THIEF: &str = "c537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81";

/// An address that the handshake takes for the sender's, in a region that there is not: no test calls anybody.
const NOBODY: &str = "https://sns.zz-nowhere-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc";

fn subscription(url: &str) -> Signed {
    let fields = json!({"Message": "You have chosen to subscribe.", "Token": "abc", "SubscribeURL": url});
    sns("SubscriptionConfirmation", "33333333-3333-3333-3333-333333333333", fields)
}

/// The request of a pair, as it stands there.
fn stated(pair: &Value) -> Signed {
    let request = &pair["request"];
    let url = text(request, "url");
    let headers = request["headers"].as_object().unwrap();
    let mut signed = Signed::new(&text(request, "method"), text(request, "body"));
    signed.query = url.find('?').map(|at| url[at..].to_owned()).unwrap_or_default();
    signed.headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    signed
}

/// The source that a pair speaks to, and its request.
fn prepared(pair: &Value) -> (Value, Signed) {
    let (provider, request) = (text(pair, "provider"), stated(pair));
    let secret = pair["secret"].as_str().unwrap_or(SECRET);
    let source = |secret: &str| json!({"provider": provider, "secret": secret});
    let with = |settings: Value| json!({"provider": provider, "secret": secret, "settings": settings});
    match &*provider {
        "slack" => {
            (source(secret), slack(secret, request.without("x-slack-signature").without("x-slack-request-timestamp"), now()))
        }
        "zoom" => (source(secret), zoom(secret, request.without("x-zm-signature").without("x-zm-request-timestamp"), now())),
        "meta" => (json!({"provider": "meta", "secret": SECRET, "settings": {"verify_token": secret}}), request),
        "discord" => (source(&discord_key()), discord(request, now())),
        "aws-sns" => (source(SNS_CERTIFICATE), subscription(NOBODY)),
        "asana" | "notion" => (json!({"provider": provider}), request),
        "trello" => (with(json!({"callback_url": "https://hooks.example.com/in/src_1"})), request),
        "xero" => (source(SECRET), request),
        _ => (source(secret), request),
    }
}

#[tokio::test]
async fn every_handshake_is_answered_and_no_event() {
    let hub = Hub::start().await;
    let pairs: Vec<Value> = serde_json::from_str(PAIRS).unwrap();
    assert_eq!(pairs.len(), 16);
    for pair in &pairs {
        let (fields, request) = prepared(pair);
        let source = hub.source(fields).await;
        let answer = hub.deliver(&source.path, &request).await;
        let (stated, provider) = (&pair["response"], &pair["provider"]);
        assert_eq!(json!(answer.status), stated["status"], "{provider}: {}", answer.text());
        for (name, value) in stated["headers"].as_object().unwrap() {
            let given = answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(given.starts_with(value.as_str().unwrap()), "{provider}: {name}: {given}");
        }
        if answer.status == 200 {
            assert_eq!(answer.text(), text(stated, "body"), "{provider}");
        } else {
            assert_eq!(hub.rejections(&source).await.len(), usize::from(answer.status != 204), "{provider}");
        }
        assert!(hub.events(&source).await.is_empty(), "{provider}");
    }
}

#[tokio::test]
async fn a_secret_is_taken_once_and_only_while_it_is_awaited() {
    let mut hub = Hub::start().await;
    let source = hub.source(json!({"provider": "asana"})).await;
    let shake = |secret: &str| Signed::new("POST", "").header("x-hook-secret", secret);
    let event = |secret: &str| {
        let body = r#"{"events":[{"action":"changed"}]}"#;
        Signed::json(body).header("x-hook-signature", hex_mac(secret, &[body.as_bytes()]))
    };
    let look = async |hub: &Hub| hub.api.get(&format!("/api/v1/source/{}", source.id)).await.expect(200)["awaitsSecret"].clone();
    assert_eq!(look(&hub).await, true);
    assert_eq!(hub.deliver(&source.path, &event(GIVEN)).await.status / 100, 5, "there is no secret yet");
    let answer = hub.deliver(&source.path, &shake(GIVEN)).await;
    assert_eq!((answer.status, answer.header("x-hook-secret")), (200, GIVEN));
    assert_eq!(look(&hub).await, false);
    assert_eq!(hub.deliver(&source.path, &event(GIVEN)).await.status, 200);

    let thief = hub.deliver(&source.path, &shake(THIEF)).await;
    assert!((400..500).contains(&thief.status) && !thief.headers.contains_key("x-hook-secret"), "{thief:?}");
    assert_eq!(hub.deliver(&source.path, &event(THIEF)).await.status, 401);
    hub.server.kill();
    hub.server.restart().await;
    hub.follow();
    assert_eq!(hub.deliver(&source.path, &event(GIVEN)).await.status, 200);
}

#[tokio::test]
async fn a_good_intent_is_confirmed_and_a_forged_one_is_not() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "xero", "secret": SECRET})).await;
    let body = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"x"}"#;
    let good = hub.deliver(&source.path, &xero(body)).await;
    assert_eq!((good.status, good.text()), (200, String::new()));
    assert_eq!(hub.deliver(&source.path, &xero(body).body("{}")).await.status, 401);

    let forged = discord(Signed::json(r#"{"type":1}"#), now()).body(r#"{"type": 1}"#);
    let source = hub.source(json!({"provider": "discord", "secret": discord_key()})).await;
    assert_eq!(hub.deliver(&source.path, &forged).await.status, 401);
}

#[tokio::test]
async fn a_confirmation_calls_nobody_but_the_sender_and_tells_when_it_fails() {
    let mut hub = Hub::start().await;
    let source = hub.source(json!({"provider": "aws-sns", "secret": SNS_CERTIFICATE})).await;
    let answer = hub.deliver(&source.path, &subscription(&hub.receiver.url("/confirm"))).await;
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    assert_eq!(hub.deliver(&source.path, &subscription(NOBODY)).await.status, 200);
    // What is under way when the server ends is given up, and its owner is told.
    assert_eq!(hub.server.stop().await, 0);
    hub.server.restart().await;
    hub.follow();
    let rejections = hub.rejections(&source).await;
    assert_eq!((rejections.len(), &rejections[0]["reason"]), (2, &json!("confirmation")));
    assert!(text(&rejections[0], "detail").contains("given up"), "{rejections:?}");
    assert!(hub.receiver.at("/confirm").is_empty());
}

#[tokio::test]
async fn nobody_is_given_answers_to_unsigned_questions_without_end() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "x-twitter", "secret": SECRET})).await;
    let mut answered = 0;
    for token in 0..60 {
        let mut question = Signed::new("GET", "");
        question.query = format!("?crc_token={token}");
        match hub.deliver(&source.path, &question).await.status {
            200 => answered += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert!((20..50).contains(&answered), "{answered}");
}

#[tokio::test]
async fn what_a_handshake_signs_for_anybody_is_no_event() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "x-twitter", "secret": SECRET})).await;
    for (token, body) in [("[1,2]", "[1,2]"), ("forged", "forged"), ("%22forged%22", "\"forged\"")] {
        let mut question = Signed::new("GET", "");
        question.query = format!("?crc_token={token}");
        let reply = hub.deliver(&source.path, &question).await.json();
        let event = Signed::json(body).header("x-twitter-webhooks-signature", text(&reply, "response_token"));
        assert_eq!(hub.deliver(&source.path, &event).await.status, 401, "{body}");
    }
    assert!(hub.events(&source).await.is_empty());
}

#[tokio::test]
async fn a_refused_request_s_secrets_are_not_kept() {
    let hub = Hub::start().await;
    let scheme = json!({"algorithm": "token", "signature": {"in": "header:X-Hook"}});
    let fields = json!({"name": "own", "scheme": scheme, "secret": "in-the-clear", "allowCidrs": ["10.0.0.0/8"]});
    let source = hub.source(fields).await;
    let request = Signed::json(r#"{"again":"in-the-clear"}"#).header("x-hook", "in-the-clear");
    assert_eq!(hub.deliver(&source.path, &request).await.status, 403);
    let kept = hub.refused(&source, 1).await;
    assert!(!kept[0].to_string().contains("in-the-clear"), "{}", kept[0]);
}

#[tokio::test]
async fn an_sns_message_that_names_foreign_hosts_is_refused() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "aws-sns", "secret": SNS_CERTIFICATE})).await;
    let hosts = [
        "https://evil.example/",
        "http://sns.us-east-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com.evil.example/",
        "https://sns.us-east-1.amazonaws.com@evil.example/",
        "https://evil.example#sns.us-east-1.amazonaws.com/",
        "https://evilsns.us-east-1.amazonaws.com/",
        "https://s3.us-east-1.amazonaws.com/",
        "https://sns.us-east-1.amazonaws.com:8443/",
        "https://127.0.0.1/",
    ];
    for host in hosts {
        let url = format!("{host}SimpleNotificationService-0.pem");
        let note = sns("Notification", "1", json!({"Message": "x", "SigningCertURL": url}));
        let answer = hub.deliver(&source.path, &note).await;
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("foreign_address")), "{url}");
        // The address to be called is signed here, as a topic of an attacker's own would be.
        let answer = hub.deliver(&source.path, &subscription(&format!("{host}?Action=ConfirmSubscription"))).await;
        assert!((400..500).contains(&answer.status), "{host}: {} {}", answer.status, answer.text());
    }
    assert!(hub.events(&source).await.is_empty());
    let rejections = hub.rejections(&source).await;
    assert_eq!(rejections.len(), 2 * hosts.len());
    assert!(rejections.iter().all(|rejection| rejection["reason"] != "confirmation"), "nobody is called: {rejections:?}");
}
