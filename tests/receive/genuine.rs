//! Genuine requests: received, recognised when they come again, routed by event type and by source, and replayed.

use crate::{
    fixture::{Hub, Source, text},
    signed::{SECRET, SNS_CERTIFICATE, Signed, github, now, slack, sns, stripe},
};
use serde_json::json;

/// Two endpoints of the hub: one that wants one event type, and one that wants everything of one source.
struct Two<'a> {
    hub: &'a Hub,
    source: &'a Source,
}

impl Two<'_> {
    async fn endpoints(&self, event_type: &str) {
        self.hub.endpoint("/typed", json!({"eventTypes": [event_type]})).await;
        self.hub.endpoint("/sourced", json!({"channels": [self.source.id]})).await;
    }

    /// Delivers a request twice and then another one. Each must arrive once at every endpoint that wants it. Then the first is
    /// replayed.
    async fn receive(&self, first: (&Signed, &str), second: (&Signed, &str)) {
        let Two { hub, source } = self;
        for _ in 0..2 {
            let answer = hub.deliver(&source.path, first.0).await;
            assert_eq!((answer.status, answer.text()), (200, String::new()));
        }
        assert_eq!(hub.deliver(&source.path, second.0).await.status, 200);

        // The second came last: when it is there, a repetition of the first would be too.
        let arrivals = hub.receiver.wait("/sourced", 2).await;
        assert_eq!(arrivals.len(), 2);
        for (request, _) in [first, second] {
            assert!(arrivals.iter().any(|arrival| arrival.body == request.body), "{request:?}");
        }
        let wanted = [first, second].iter().filter(|(_, kind)| *kind == first.1).count();
        let typed = hub.receiver.wait("/typed", wanted).await;
        assert_eq!((typed.len(), typed.iter().filter(|arrival| arrival.body == first.0.body).count()), (wanted, 1));

        let events = hub.events(source).await;
        let types: Vec<String> = events.iter().map(|event| text(event, "eventType")).collect();
        assert_eq!(types, [second.1, first.1]);
        assert_eq!(events[1]["channels"], json!([source.id]));
        assert_eq!((&events[1]["origin"]["sourceId"], &events[1]["origin"]["method"]), (&json!(source.id), &json!("POST")));

        let replay = format!("/api/v1/source/{}/event/{}/replay", source.id, text(&events[1], "id"));
        let fresh = hub.api.post(&replay, "").await.expect(202);
        assert_eq!(fresh["origin"]["replays"], events[1]["id"]);
        let replayed = hub.receiver.wait("/typed", wanted + 1).await;
        let last = replayed.last().unwrap();
        assert_eq!((&last.body, last.header("webhook-id")), (&first.0.body, &*text(&fresh, "id")));
        assert_eq!(hub.receiver.wait("/sourced", 3).await.len(), 3);
    }
}

#[tokio::test]
async fn as_github_sends() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "forwardHeaders": ["x-github-event"]})).await;
    let two = Two { hub: &hub, source: &source };
    two.endpoints("github.push").await;
    let push = github("push", "72d3162e-cc78-11e3-81ab-4c9367dc0958", Signed::json("{ \"ref\":\"refs/heads/main\",\"n\": 1.0}"));
    let star = github("star.created", "82d3162e-cc78-11e3-81ab-4c9367dc0958", Signed::json(r#"{"action":"created"}"#));
    two.receive((&push, "github.push"), (&star, "github.star.created")).await;
    let arrival = &hub.receiver.at("/typed")[0];
    assert_eq!((arrival.header("x-github-event"), arrival.header("x-hub-signature-256")), ("push", ""));
    assert!(arrival.header("webhook-signature").starts_with("v1,"));
}

#[tokio::test]
async fn as_stripe_sends() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "stripe", "secret": SECRET})).await;
    let two = Two { hub: &hub, source: &source };
    two.endpoints("stripe.invoice.paid").await;
    let paid = stripe(r#"{"id":"evt_1","object":"event","type":"invoice.paid"}"#, now());
    let made = stripe(r#"{"id":"evt_2","object":"event","type":"customer.created"}"#, now());
    two.receive((&paid, "stripe.invoice.paid"), (&made, "stripe.customer.created")).await;
}

#[tokio::test]
async fn as_slack_sends() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "slack", "secret": SECRET})).await;
    let two = Two { hub: &hub, source: &source };
    let event = |id: &str, kind: &str| {
        let body = json!({"type": "event_callback", "event_id": id, "event": {"type": kind}});
        slack(SECRET, Signed::json(&body.to_string()), now())
    };
    let (mention, message) = (event("Ev1", "app_mention"), event("Ev2", "message"));
    two.endpoints("slack.app_mention").await;
    two.receive((&mention, "slack.app_mention"), (&message, "slack.message")).await;
}

#[tokio::test]
async fn as_sns_sends() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "aws-sns", "secret": SNS_CERTIFICATE})).await;
    let two = Two { hub: &hub, source: &source };
    let note = |id: &str| sns("Notification", id, json!({"Subject": "A", "Message": "{\"a\": 1}"}));
    two.endpoints("aws-sns.Notification").await;
    let (first, second) = (note("11111111-1111-1111-1111-111111111111"), note("22222222-2222-2222-2222-222222222222"));
    two.receive((&first, "aws-sns.Notification"), (&second, "aws-sns.Notification")).await;
    assert_eq!(hub.receiver.at("/sourced")[0].header("content-type"), "text/plain; charset=UTF-8");
}
