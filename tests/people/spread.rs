//! One failure among many endpoints: found, shown first, and sent again; also from the portal.

use crate::{
    support::{Api, Receiver, Reply, Server, eventually},
    visit::Visit,
};
use serde_json::{Value, json};

/// Endpoints of the application; the last one fails.
const MANY: usize = 101;

async fn make(api: &Api, path: &str, body: Value) -> Value {
    let made = api.post(path, &body.to_string()).await;
    assert!(made.status < 300, "{path}: {}", made.text());
    made.json()
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_failure_at_the_last_of_many_endpoints_is_found_shown_and_sent_again() {
    let (server, receiver) = (Server::start().await, Receiver::start().await);
    let api = server.api();
    receiver.script("/last", [Reply::status(503)]);
    let app = id(&make(&api, "/api/v1/app", json!({"name": "Acme"})).await);
    make(&api, "/api/v1/event-type", json!({"name": "a.b", "description": "d"})).await;
    let of_app = format!("/api/v1/app/{app}");
    let mut last = String::new();
    for n in 1..=MANY {
        let path = if n == MANY { "/last".to_owned() } else { format!("/n{n}") };
        let body = json!({"url": receiver.url(&path), "retryPolicy": []});
        last = id(&make(&api, &format!("{of_app}/endpoint"), body).await);
    }
    let msg = id(&make(&api, &format!("{of_app}/msg"), json!({"eventType": "a.b", "payload": {}})).await);
    let mut visit = Visit::of(&server);
    assert_eq!(visit.enter(&server.link().await).await.status, 303);
    let search = "/dashboard/messages";
    let page = format!("/dashboard/applications/{app}/messages/{msg}");
    eventually("the last attempt", || async {
        let tried = api.get(&format!("{of_app}/attempt/endpoint/{last}")).await.json();
        tried["data"].as_array().filter(|tried| !tried.is_empty()).map(drop)
    })
    .await;
    let row = format!("<tr id=\"{msg}\">");
    for query in [
        "status=failed".to_owned(),
        "code=503".into(),
        format!("id={msg}&status=failed"),
        format!("status=failed&endpoint={last}"),
        format!("endpoint={last}"),
    ] {
        assert_eq!(visit.get(&format!("{search}?{query}")).await.text().matches(&row).count(), 1, "{query}");
    }
    assert!(!visit.get(&format!("{search}?status=held")).await.text().contains(&row));
    let plain = visit.get(search).await.text();
    assert!(plain.contains(">76 more<"), "{plain}");
    let asked = visit.submit(search, "/dashboard/messages/replay", &[("query", "")]).await.text();
    assert!(asked.contains("Replay 1</button>"), "{asked}");

    let shown = visit.get(&page).await.text();
    let first = shown.split("<article class=\"attempt\">").nth(1).unwrap();
    assert!(first.contains("/last</a>") && first.contains("badge bad"), "{first}");
    assert!(shown.contains("Resend where it failed") && shown.contains("failed (1)"), "{shown}");
    let articles = |text: &str| text.matches("<article class=\"attempt\">").count();
    assert_eq!(articles(&visit.get(&format!("{page}?state=failed")).await.text()), 1);
    assert_eq!(articles(&visit.get(&format!("{page}?state=delivered&from=50")).await.text()), 50);
    let odd = visit.get(&format!("{page}?state=zz")).await;
    assert_eq!((odd.status, odd.text().contains("aria-invalid")), (422, true));
    let before = receiver.at("/last").len();
    assert_eq!(visit.submit(&page, &format!("{page}/resend"), &[("endpoint", "failed")]).await.status, 303);
    receiver.wait("/last", before + 1).await;

    let entry = make(&api, &format!("/api/v1/auth/app-portal-access/{app}"), json!({})).await;
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    for (query, status, found) in
        [(format!("endpoint={last}&status=failed"), 200, 1), ("status=failed".into(), 200, 1), ("status=zz".into(), 422, 0)]
    {
        let path = format!("/portal/{app}/deliveries?{query}");
        let answer = api.anonymous().send("GET", &path, &[("cookie", cookie.as_str())], "").await;
        assert_eq!((answer.status, answer.text().matches(&row).count()), (status, found), "{query}");
    }
}
