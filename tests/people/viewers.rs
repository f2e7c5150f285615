//! What people see who may only look: every page that a link leads to, and on none of them a control that would be refused.

use crate::{
    support::{Answer, Server, eventually},
    visit::Visit,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What anybody may send who is signed in.
const OWN: [&str; 4] = ["/dashboard/account/password", "/dashboard/account/revoke", "/dashboard/sign-out", "/dashboard/theme"];
/// Queries of one path that a walk follows.
const MAX_QUERIES: usize = 3;

/// Where a walk has been.
#[derive(Default)]
struct Walk {
    pages: BTreeSet<String>,
    /// Where forms are sent, and on which page the first of them is.
    actions: BTreeMap<String, String>,
    wait: Vec<String>,
}

/// The values of an attribute.
fn attributes(text: &str, name: &str) -> Vec<String> {
    let begin = format!(" {name}=\"");
    let values = text.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|value| value.replace("&amp;", "&").replace("&#38;", "&")).collect()
}

impl Walk {
    fn from(start: &str) -> Self {
        Walk { wait: vec![start.to_owned()], ..Walk::default() }
    }

    /// The next page, unless everything was seen.
    fn next(&mut self) -> Option<String> {
        while let Some(page) = self.wait.pop() {
            let path = page.split('?').next().unwrap();
            let seen = self.pages.iter().filter(|seen| seen.split('?').next() == Some(path)).count();
            if !self.pages.contains(&page) && seen < MAX_QUERIES {
                self.pages.insert(page.clone());
                return Some(page);
            }
        }
        None
    }

    #[track_caller]
    fn saw(&mut self, page: &str, answer: &Answer, home: &str) {
        let text = answer.text();
        assert_eq!(answer.status, 200, "a link leads to {page}: {text}");
        for form in text.split("<form").skip(1).filter_map(|rest| rest.split('>').next()) {
            if form.contains("method=\"post\"") {
                let action = attributes(form, "action").pop().unwrap_or_else(|| page.to_owned());
                self.actions.entry(action).or_insert_with(|| page.to_owned());
            }
        }
        for action in attributes(&text, "formaction") {
            self.actions.entry(action).or_insert_with(|| page.to_owned());
        }
        let path = page.split('?').next().unwrap();
        for link in attributes(&text, "href") {
            let link = link.split('#').next().unwrap().to_owned();
            let link = if link.starts_with('?') { format!("{path}{link}") } else { link };
            if link.starts_with(home) && !link.contains("/assets/") && !link.contains("/brand/") {
                self.wait.push(link);
            }
        }
    }
}

/// One of everything: a failing endpoint and one that holds, a source with a rejection, an alert, a replay, a webhook.
async fn furnished() -> (Server, String) {
    let server = Server::start().await;
    let api = server.api();
    let make = async |path: &str, body: Value| {
        let made = api.post(path, &body.to_string()).await;
        assert!(made.status < 300, "{path}: {}", made.text());
        made.json()
    };
    make("/api/v1/event-type", json!({"name": "order.placed", "description": "d", "groupName": "Orders"})).await;
    let app = make("/api/v1/app", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let endpoints = format!("/api/v1/app/{app}/endpoint");
    make(&endpoints, json!({"url": "http://127.0.0.1:9/fails", "retryPolicy": []})).await;
    make(&endpoints, json!({"url": "http://127.0.0.1:9/held", "disabled": true, "headers": {"x-a": "b"}})).await;
    make(&format!("/api/v1/app/{app}/msg"), json!({"eventType": "order.placed", "payload": {}})).await;
    let source = make("/api/v1/source", json!({"provider": "github", "secret": "s3cr3t", "appId": app})).await;
    let url = source["url"].as_str().unwrap().replace(&server.url(), "");
    assert_eq!(api.anonymous().send("POST", &url, &[("x-hub-signature-256", "sha256=00")], "{}").await.status, 401);
    make("/api/v1/alert", json!({"name": "Held", "condition": {"type": "held", "count": 1}, "operational": true})).await;
    make("/api/v1/profile/standard/clone", json!({"name": "mine", "changes": {}})).await;
    let hook = json!({"name": "Hook", "url": "http://127.0.0.1:9/ilara", "events": ["event.purchase_complete"]});
    make("/v1/integrations/webhooks", hook).await;
    let message = make(&format!("/api/v1/app/{app}/msg"), json!({"eventType": "order.placed", "payload": {}})).await;
    let attempts = format!("/api/v1/app/{app}/attempt/msg/{}", message["id"].as_str().unwrap());
    eventually("it failed", || async {
        let found = api.get(&attempts).await.expect(200);
        found["data"].as_array().filter(|rows| !rows.is_empty()).map(|_| ())
    })
    .await;
    let since = message["timestamp"].as_str().unwrap();
    make("/api/v1/replay", json!({"appId": app, "since": since, "statuses": ["delivered"]})).await;
    (server, app)
}

/// Somebody with a role, signed in.
async fn somebody(server: &Server, role: &str) -> Visit {
    let body = json!({"login": role, "name": "", "role": role}).to_string();
    let made = server.api().post("/api/v1/user", &body).await.expect(201);
    let mut visit = Visit::of(server);
    assert_eq!(visit.enter(made["url"].as_str().unwrap()).await.status, 303);
    visit
}

async fn walked(visit: &mut Visit) -> Walk {
    let mut walk = Walk::from("/dashboard");
    while let Some(page) = walk.next() {
        let answer = visit.get(&page).await;
        if answer.status == 303 {
            walk.wait.push(answer.header("location").to_owned());
        } else {
            walk.saw(&page, &answer, "/dashboard");
        }
    }
    walk
}

#[tokio::test]
async fn a_viewer_meets_no_control_that_is_refused() {
    let (server, app) = furnished().await;
    let mut viewer = somebody(&server, "viewer").await;
    assert!(viewer.get("/dashboard/issues").await.text().contains("Newest failure"));
    let seen = walked(&mut viewer).await;
    let theirs: BTreeSet<&str> = seen.actions.keys().map(String::as_str).collect();
    assert!(theirs.is_subset(&OWN.into()), "{:?}", seen.actions);
    for section in
        ["issues", "alerts", "messages", "applications", "sources", "event-types", "replays", "keys", "audit", "settings"]
    {
        assert!(seen.pages.contains(&format!("/dashboard/{section}")), "{section} of {:?}", seen.pages);
    }
    for part in ["/endpoints/ep_", "/messages/msg_", "/rejections/", "/profiles/mine", "/logs", "/alerts/", "/sources/"] {
        assert!(seen.pages.iter().any(|page| page.contains(part)), "{part} of {:?}", seen.pages);
    }
    let edits = ["alerts/new", "replays/new", "cancel", "users", "settings/integrations/webhooks/new"];
    for page in edits.map(str::to_owned).into_iter().chain([format!("applications/{app}/endpoints/new")]) {
        assert_eq!(viewer.get(&format!("/dashboard/{page}")).await.status, 403, "{page}");
    }
    // Who may do more meets more, and nothing above their role either.
    let operator = walked(&mut somebody(&server, "operator").await).await;
    let admins = [
        "/dashboard/users",
        "/dashboard/keys",
        "/dashboard/settings/profile",
        "/dashboard/settings/retention",
        "/dashboard/settings/portal",
    ];
    let above = |action: &&String| admins.iter().any(|admins| action.starts_with(admins));
    assert_eq!(operator.actions.keys().find(above), None);
    assert!(operator.actions.len() > OWN.len() + 15, "{:?}", operator.actions);
    let mut admin = Visit::of(&server);
    assert_eq!(admin.enter(&server.link().await).await.status, 303);
    let admin = walked(&mut admin).await;
    assert!(admin.actions.keys().filter(above).count() >= 5, "{:?}", admin.actions);
}

#[tokio::test]
async fn a_link_that_only_looks_meets_no_control_that_is_refused() {
    let (server, app) = furnished().await;
    let walk = async |options: &str| {
        let entry = server.api().post(&format!("/api/v1/auth/app-portal-access/{app}"), options).await.expect(200);
        let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
        let (home, api) = (format!("/portal/{app}"), server.api().anonymous());
        let mut walk = Walk::from(&home);
        while let Some(page) = walk.next() {
            let answer = api.send("GET", &page, &[("cookie", cookie.as_str())], "").await;
            walk.saw(&page, &answer, &home);
        }
        walk
    };
    let looks = walk(r#"{"readOnly": true}"#).await;
    let own = BTreeSet::from([format!("/portal/{app}/theme"), format!("/portal/{app}/leave")]);
    assert_eq!(looks.actions.keys().cloned().collect::<BTreeSet<_>>(), own, "{:?}", looks.actions);
    assert!(looks.pages.len() > 10 && looks.pages.iter().any(|page| page.contains("/messages/")), "{:?}", looks.pages);
    assert!(walk("{}").await.actions.len() > own.len() + 8);
}
