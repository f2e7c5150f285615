//! Pages without their script: filters stay, the theme's buttons lead back, and what cannot be undone is asked for first. And what a
//! bulk action concerns is what was searched for.

use crate::{
    support::{Api, Server},
    visit::Visit,
};
use serde_json::{Value, json};

async fn make(api: &Api, path: &str, body: Value) -> Value {
    let made = api.post(path, &body.to_string()).await;
    assert!(made.status < 300, "{path}: {}", made.text());
    made.json()
}

async fn admin(server: &Server) -> Visit {
    let mut visit = Visit::of(server);
    assert_eq!(visit.enter(&server.link().await).await.status, 303);
    visit
}

/// An application with an endpoint that holds one message.
async fn held(api: &Api) -> (String, String) {
    let app = make(api, "/api/v1/app", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let endpoint = json!({"url": "http://127.0.0.1:9/x", "disabled": true});
    let endpoint = make(api, &format!("/api/v1/app/{app}/endpoint"), endpoint).await["id"].as_str().unwrap().to_owned();
    make(api, "/api/v1/event-type", json!({"name": "a.b", "description": "d"})).await;
    make(api, &format!("/api/v1/app/{app}/msg"), json!({"eventType": "a.b", "payload": {}})).await;
    (app, endpoint)
}

#[tokio::test]
async fn a_filter_that_would_be_ignored_is_refused_and_nothing_is_done() {
    let server = Server::start().await;
    let (app, endpoint) = held(&server.api()).await;
    let mut visit = admin(&server).await;
    for (query, field) in [("value=nonexistent-zzz", "value"), ("status=zz", "status")] {
        let answer = visit.get(&format!("/dashboard/messages?{query}")).await;
        let text = answer.text();
        assert_eq!(answer.status, 422, "{text}");
        assert!(text.contains(&format!("aria-describedby=\"fault-filters-{field}\"")) && !text.contains("Replay all"), "{text}");
        let fields = [("query", query), ("every", "1"), ("sure", "1")];
        let done = visit.submit("/dashboard/messages", "/dashboard/messages/replay", &fields);
        assert_eq!(done.await.status, 422, "{query}");
    }
    for page in [
        format!("/dashboard/replays/new?app={app}&value=x"),
        format!("/dashboard/cancel?app={app}&value=x"),
        format!("/dashboard/cancel?app={app}&before=msg_x"),
        "/dashboard/messages?class=500".to_owned(),
        "/dashboard/messages?tag=a&tag=b".into(),
        "/dashboard/alerts?state=zz".into(),
        "/dashboard/users?role=zz".into(),
        "/dashboard/replays?state=zz".into(),
        format!("/dashboard/applications/{app}?state=zz"),
        format!("/dashboard/applications/{app}/endpoints/{endpoint}?status=zz"),
        "/dashboard/settings/integrations/webhooks?state=zz".into(),
    ] {
        let answer = visit.get(&page).await;
        assert_eq!((answer.status, answer.text().contains("role=\"alert\"")), (422, true), "{page}");
    }
}

#[tokio::test]
async fn an_action_on_a_search_says_where_it_begins_before_it_counts() {
    let server = Server::start().await;
    let (app, endpoint) = held(&server.api()).await;
    let mut visit = admin(&server).await;
    let found = visit.get(&format!("/dashboard/messages?app={app}&endpoint={endpoint}&status=held&after=msg_0")).await;
    assert_eq!(found.status, 422);
    let query = format!("app={app}&endpoint={endpoint}&status=held");
    let found = visit.get(&format!("/dashboard/messages?{query}")).await.text();
    let wanted = format!("/dashboard/cancel?{}", query.replace('&', "&#38;"));
    assert!(found.contains(&wanted), "{wanted}: {found}");
    for page in ["/dashboard/cancel", "/dashboard/replays/new"] {
        let text = visit.get(&format!("{page}?{query}")).await.text();
        let (said, count) = (text.find("reaches back 90 days"), text.find("id=\"count-head\""));
        assert!(said.is_some() && said < count && text.contains("<strong>1</strong> delivery"), "{text}");
        let text = visit.get(&format!("{page}?{query}&since=2026-01-01T00:00")).await.text();
        assert!(!text.contains("reaches back 90 days"), "{text}");
    }
}

#[tokio::test]
async fn times_that_were_searched_for_stay_in_their_fields_in_utc() {
    let server = Server::start().await;
    let (app, _) = held(&server.api()).await;
    let entry = make(&server.api(), &format!("/api/v1/auth/app-portal-access/{app}"), json!({})).await;
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let mut visit = admin(&server).await;
    let query = "since=2026-01-02T03:04&until=2027-01-02T03:04:00.000Z";
    for page in ["/dashboard/messages".to_owned(), "/dashboard/audit".into(), format!("/portal/{app}/deliveries")] {
        let path = format!("{page}?{query}");
        let answer = match page.starts_with("/portal") {
            true => server.api().anonymous().send("GET", &path, &[("cookie", cookie.as_str())], "").await,
            false => visit.get(&path).await,
        };
        let text = answer.text();
        assert!(text.contains(" value=\"2026-01-02T03:04\"") && text.contains(" value=\"2027-01-02T03:04\""), "{page}: {text}");
        assert_eq!(text.matches("data-zone>(UTC)<").count(), 2, "{page}");
    }
}

#[tokio::test]
async fn themes_lead_back_to_the_page() {
    let server = Server::start().await;
    let mut visit = admin(&server).await;
    let page = "/dashboard/issues?state=muted&app=Acme";
    let text = visit.get(page).await.text();
    assert!(text.contains("name=\"back\" value=\"/dashboard/issues?state=muted&#38;app=Acme\""), "{text}");
    let answer = visit.post("/dashboard/theme", &[("theme", "dark"), ("back", page)]).await;
    assert_eq!((answer.status, answer.header("location")), (303, page));
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_for_first() {
    let server = Server::start().await;
    let api = server.api();
    let (app, _) = held(&api).await;
    let mut visit = admin(&server).await;
    let page = format!("/dashboard/applications/{app}");
    let text = visit.get(&page).await.text();
    let (_, form) = text.split_once("/delete\" data-confirm>").unwrap();
    let (_, question) = form.split_once("name=\"ask\" value=\"").unwrap();
    let question = question.split('"').next().unwrap().to_owned();
    let answer = visit.submit(&page, &format!("{page}/delete"), &[("ask", &question), ("kept", "<b>")]).await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains(&format!("<h1>{question}</h1>")) && text.contains("name=\"kept\" value=\"&#60;b&#62;\""), "{text}");
    assert!(!text.contains("name=\"ask\"") && text.contains(&format!("action=\"{page}/delete\"")), "{text}");
    api.get(&format!("/api/v1/app/{app}")).await.expect(200);
    assert_eq!(visit.submit(&page, &format!("{page}/delete"), &[]).await.status, 303);
    assert_eq!(api.get(&format!("/api/v1/app/{app}")).await.status, 404);
}

#[tokio::test]
async fn a_test_of_a_disabled_webhook_is_said_to_be_held_and_its_name_hides_nothing() {
    let server = Server::start().await;
    let mut visit = admin(&server).await;
    let hooks = "/dashboard/settings/integrations/webhooks";
    let form = |name| {
        [
            ("name", name),
            ("url", "http://127.0.0.1:9/x"),
            ("events", "event.purchase_complete"),
            ("secret", "0123456789abcdef"),
            ("then", "test"),
        ]
    };
    let made = visit.submit(&format!("{hooks}/new"), &format!("{hooks}/new"), &form("Shop")).await;
    assert!(made.status == 303 && made.header("location").ends_with("/logs?note=tested-held"), "{}", made.header("location"));
    let text = visit.get(made.header("location")).await.text();
    assert!(text.contains("held until it is enabled"), "{text}");
    let refused = visit.submit(&format!("{hooks}/new"), &format!("{hooks}/new"), &form("pay\u{202e}lap")).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
}
