//! The bytes that come in are the bytes that go out.

use crate::fixture::Tenant;
use crate::support::eventually;
use serde_json::json;

#[tokio::test]
async fn payloads_keep_every_byte() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    let payloads = [
        r#"{ "spaced" :  [ 1 ,2 ]	}"#,
        "{\n  \"lines\": true\n}",
        r#"{"numbers":[1.0,1e2,-0,0.10,12345678901234567890,1E+400,0.1000000000000000055511151231257827]}"#,
        r#"{"escapes":"\u00e9\u0041\/é\ud83d\ude00\u0000"}"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"[1, "two", null]"#,
        "42",
        "-0.0e-0",
        r#""text""#,
        "true",
        "{}",
        r#"{"payload":{"payload":"} , \"payload\": 1"}}"#,
    ];
    for (n, payload) in payloads.iter().enumerate() {
        let body = format!(r#"{{"eventType":"a.b", "eventId": "n{n}","payload":   {payload}  ,"tags":["x"]}}"#);
        let sent = t.api.post(&t.path("/msg?with_content=true"), &body).await;
        assert_eq!(sent.status, 202, "{payload}: {}", sent.text());
        let message = sent.text();
        assert!(message.contains(payload), "the answer shows {message}");
        let read = t.api.get(&t.path(&format!("/msg/n{n}"))).await.text();
        assert!(read.contains(payload), "the message shows {read}");
        let arrived = || async { t.receiver.at("/a").into_iter().find(|a| a.body == *payload) };
        eventually(&format!("exactly {payload}"), arrived).await;
    }
    assert_eq!(t.receiver.at("/a").len(), payloads.len());
}

#[tokio::test]
async fn a_payload_of_a_mebibyte_goes_through_and_one_more_byte_does_not() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    let body = |letters: usize| format!(r#"{{"eventType":"a.b","payload":"{}"}}"#, "x".repeat(letters));
    t.api.post(&t.path("/msg?with_content=false"), &body((1 << 20) - 2)).await.expect(202);
    assert_eq!(t.receiver.wait("/a", 1).await[0].body.len(), 1 << 20);
    let refused = t.api.post(&t.path("/msg"), &body((1 << 20) - 1)).await;
    assert_eq!(refused.expect(413)["code"], "payload_too_large");
    for _ in 0..5 {
        let huge = t.api.post(&t.path("/msg"), &body(10 << 20)).await;
        assert_eq!(huge.expect(413)["code"], "payload_too_large", "who sends it to its end sees why");
    }
    t.api.post(&t.path("/msg"), &body(1)).await.expect(202);
    t.receiver.wait("/a", 2).await;
    let listed = t.api.get(&t.path("/msg?with_content=false")).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "nothing of the refused is stored");
}
