//! Bodies of any content type are kept, shown and sent on as they are, with the headers that the owner has chosen.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, github},
};
use bytes::Bytes;
use serde_json::json;

#[tokio::test]
async fn what_is_not_json_is_forwarded_as_it_is() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    hub.endpoint("/hook", json!({})).await;
    let binary = Bytes::from_static(b"\x00\xff\xfe\r\n\x80{");
    for (at, (kind, body, shown)) in [
        ("application/x-www-form-urlencoded", Bytes::from_static(b"a=1&b=%20+&a=2"), json!("a=1&b=%20+&a=2")),
        (
            "text/xml; charset=utf-8",
            Bytes::from("<?xml version=\"1.0\"?>\r\n<a>\u{e4}</a>"),
            json!("<?xml version=\"1.0\"?>\r\n<a>ä</a>"),
        ),
        ("application/octet-stream", binary, json!({"$base64": "AP/+DQqAew=="})),
        ("application/json", Bytes::from_static(b"{\"a\" : 1.0, \"a\":2}"), json!({"a": 2})),
        ("application/json", Bytes::from_static(b"{not json"), json!("{not json")),
    ]
    .into_iter()
    .enumerate()
    {
        let request = github("push", &format!("delivery-{at}"), Signed::new("POST", body.clone()).header("content-type", kind));
        assert_eq!(hub.deliver(&source.path, &request).await.status, 200, "{kind}");
        let arrival = hub.receiver.wait("/hook", at + 1).await.pop().unwrap();
        assert_eq!((&arrival.body, arrival.header("content-type")), (&body, kind));
        let event = &hub.events(&source).await[0];
        assert_eq!((&event["payload"], &event["origin"]["contentType"]), (&shown, &json!(kind)));
        assert_eq!(event["origin"]["eventId"], format!("delivery-{at}"));
    }
}

#[tokio::test]
async fn an_empty_body_without_a_type_is_an_event_too() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET})).await;
    hub.endpoint("/hook", json!({})).await;
    let request = github("push", "1", Signed::new("POST", Bytes::new()));
    assert_eq!(hub.deliver(&source.path, &request).await.status, 200);
    assert_eq!(hub.receiver.wait("/hook", 1).await[0].body, "");
    assert_eq!(hub.events(&source).await[0]["payload"], "");
}

#[tokio::test]
async fn chosen_headers_and_the_query_are_kept_and_the_answer_is_the_owner_s() {
    let hub = Hub::start().await;
    let source = hub
        .source(json!({
            "provider": "github", "secret": SECRET, "eventTypePrefix": "code", "methods": ["PUT"],
            "forwardHeaders": ["x-many", "X_Low", "authorization", "x-absent"],
            "response": {"status": 202, "headers": {"X-Answer": "yes", "content-type": "application/xml"}, "body": "<ok/>"},
        }))
        .await;
    hub.endpoint("/hook", json!({"headers": {"x-own": "1"}})).await;
    let mut request = github("", "1", Signed::new("PUT", "x"))
        .header("x-many", "one")
        .header("x-many", "two, three")
        .header("x-other", "not chosen")
        .header("x_low", "a mark")
        .header("x-low", "another name")
        .header("authorization", "Basic YTpi")
        .header("content-encoding", "identity");
    request.query = "?tenant=7&x=%2F".into();
    for _ in 0..2 {
        let answer = hub.deliver(&source.path, &request).await;
        assert_eq!((answer.status, answer.text().as_str()), (202, "<ok/>"));
        assert_eq!((answer.header("x-answer"), answer.header("content-type")), ("yes", "application/xml"));
    }
    let arrival = &hub.receiver.wait("/hook", 1).await[0];
    let many: Vec<_> = arrival.headers.get_all("x-many").iter().collect();
    assert_eq!(many, ["one", "two, three"]);
    assert_eq!((arrival.header("x_low"), arrival.header("x-low")), ("a mark", ""));
    assert_eq!((arrival.header("authorization"), arrival.header("x-other")), ("Basic YTpi", ""));
    assert_eq!((arrival.header("content-encoding"), arrival.header("content-type")), ("identity", "application/json"));
    let event = &hub.events(&source).await[0];
    assert_eq!((&event["eventType"], &event["origin"]["method"]), (&json!("code.unknown"), &json!("PUT")));
    assert_eq!(event["origin"]["query"], "tenant=7&x=%2F");
    let kept = json!([
        ["x-many", "one"],
        ["x-many", "two, three"],
        ["x_low", "a mark"],
        ["authorization", "Basic YTpi"],
        ["content-encoding", "identity"]
    ]);
    assert_eq!(event["origin"]["headers"], kept);
}
