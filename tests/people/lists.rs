//! Lists: each has filters that the server applies, pages both ways, and a URL that shows the same again.

use crate::{
    support::{Api, Server},
    visit::Visit,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt::Write as _;

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

/// How often a text is on a page.
async fn count(visit: &mut Visit, page: &str, text: &str) -> usize {
    let answer = visit.get(page).await;
    assert_eq!(answer.status, 200, "{page}");
    answer.text().matches(text).count()
}

/// Where a page's link leads: `rel="next"`.
fn way(text: &str, rel: &str) -> Option<String> {
    let (_, after) = text.split_once(&format!("rel=\"{rel}\" href=\""))?;
    after.split('"').next().map(|link| link.replace("&#38;", "&"))
}

#[tokio::test]
async fn applications_that_are_searched_for_are_paged_both_ways() {
    let server = Server::start().await;
    let api = server.api();
    for n in 0..53 {
        make(&api, "/api/v1/app", json!({"name": format!("Customer {n:02}")})).await;
    }
    make(&api, "/api/v1/app", json!({"name": "Somebody else"})).await;
    let mut visit = admin(&server).await;
    let page = "/dashboard/applications";
    let first = visit.get(&format!("{page}?name=customer")).await.text();
    assert_eq!((first.matches(">Customer ").count(), way(&first, "prev")), (50, None));
    let next = way(&first, "next").unwrap();
    let second = visit.get(&format!("{page}{next}")).await.text();
    assert_eq!((second.matches(">Customer ").count(), way(&second, "next")), (3, None));
    assert_eq!(visit.get(&format!("{page}{}", way(&second, "prev").unwrap())).await.text().matches(">Customer ").count(), 50);
    // More than fifty can be chosen from: what is typed is looked for among all of them.
    let form = visit.get("/dashboard/alerts/new").await.text();
    assert!(form.contains("data-pick=\"/dashboard/pick/applications\""), "{form}");
    assert_eq!(count(&mut visit, "/dashboard/pick/applications", "<option").await, 50);
    assert_eq!(count(&mut visit, "/dashboard/pick/applications?q=customer+00", "<option").await, 1);
    assert_eq!(count(&mut visit, "/dashboard/pick/applications?q=customer+00", ">Customer 00<").await, 1);
}

#[tokio::test]
async fn endpoints_of_any_number_are_found() {
    let server = Server::start().await;
    let api = server.api();
    let app = make(&api, "/api/v1/app", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    for n in 0..52 {
        make(&api, &format!("/api/v1/app/{app}/endpoint"), json!({"url": format!("http://127.0.0.1:9/n{n}/"), "disabled": true}))
            .await;
    }
    make(&api, "/api/v1/event-type", json!({"name": "a.b", "description": "d"})).await;
    let message = make(&api, &format!("/api/v1/app/{app}/msg"), json!({"eventType": "a.b", "payload": {}})).await;
    let mut visit = admin(&server).await;
    let page = format!("/dashboard/applications/{app}/messages/{}", message["id"].as_str().unwrap());
    let rows = "<article class=\"attempt\">";
    let first = visit.get(&page).await.text();
    assert_eq!((first.matches(rows).count(), way(&first, "prev")), (50, None));
    let second = visit.get(&format!("{page}{}", way(&first, "next").unwrap())).await.text();
    assert_eq!(second.matches(rows).count(), 2);
    assert_eq!(count(&mut visit, &format!("{page}{}", way(&second, "prev").unwrap()), rows).await, 50);
    assert_eq!(count(&mut visit, &format!("{page}?q=/N51/"), rows).await, 1);
    assert_eq!(count(&mut visit, &format!("/dashboard/pick/endpoints?app={app}&q=/n51/"), "<option").await, 1);
    assert_eq!(count(&mut visit, "/dashboard/pick/endpoints?app=nobody&q=n", "<option").await, 0);
}

#[tokio::test]
async fn webhooks_sources_and_what_they_received_are_filtered() {
    let server = Server::start().await;
    let api = server.api();
    for (name, url) in [("Shop", "http://127.0.0.1:9/shop"), ("Desk", "http://127.0.0.1:9/desk")] {
        let hook = json!({"name": name, "url": url, "events": ["event.purchase_complete"], "enabled": name == "Shop"});
        make(&api, "/v1/integrations/webhooks", hook).await;
    }
    let mut visit = admin(&server).await;
    let hooks = "/dashboard/settings/integrations/webhooks";
    for (query, found) in
        [("", 2), ("?q=SHOP", 1), ("?q=127.0.0.1", 2), ("?state=disabled", 1), ("?state=disabled&q=shop", 0), ("?event=none", 0)]
    {
        assert_eq!(count(&mut visit, &format!("{hooks}{query}"), "/logs\">").await, found, "{query}");
    }
    let source = make(&api, "/api/v1/source", json!({"name": "Repository", "provider": "github", "secret": "s3cr3t"})).await;
    make(&api, "/api/v1/source", json!({"name": "Other", "provider": "github", "secret": "s3cr3t"})).await;
    for (query, found) in [("", 2), ("?q=reposit", 1), ("?q=reposit&paused=true", 0), ("?provider=github", 2)] {
        assert_eq!(
            count(&mut visit, &format!("/dashboard/sources{query}"), "<a href=\"/dashboard/sources/src").await,
            found,
            "{query}"
        );
    }
    let path = source["url"].as_str().unwrap().replace(&server.url(), "");
    for (delivery, kind) in [("72d3162e-1", "push"), ("72d3162e-2", "fork")] {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cr3t").unwrap();
        mac.update(b"{}");
        let mut signature = "sha256=".to_owned();
        mac.finalize().into_bytes().iter().for_each(|byte| write!(signature, "{byte:02x}").unwrap());
        let headers = [("x-github-event", kind), ("x-github-delivery", delivery), ("x-hub-signature-256", signature.as_str())];
        assert_eq!(api.anonymous().send("POST", &path, &headers, "{}").await.status, 200);
    }
    let page = format!("/dashboard/sources/{}", source["id"].as_str().unwrap());
    for (query, found) in [("", 2), ("?their_id=72d3162e-2", 1), ("?their_id=none", 0)] {
        assert_eq!(count(&mut visit, &format!("{page}{query}"), "<code>72d3162e-").await, found, "{query}");
    }
    let types = visit.get(&format!("{page}?their_id=72d3162e-2")).await.text();
    assert!(types.contains("fork") && !types.contains(">push<"), "{types}");
}

#[tokio::test]
async fn the_portals_event_types_are_searched_and_paged() {
    let server = Server::start().await;
    let api = server.api();
    let app = make(&api, "/api/v1/app", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    for n in 0..103 {
        let group = if n % 2 == 0 { "Even" } else { "Odd" };
        make(&api, "/api/v1/event-type", json!({"name": format!("bulk.n{n:03}"), "description": "d", "groupName": group})).await;
    }
    let entry = make(&api, &format!("/api/v1/auth/app-portal-access/{app}"), json!({})).await;
    let cookie = format!("postrider_portal={}", entry["token"].as_str().unwrap());
    let page = format!("/portal/{app}/event-types");
    let get = async |query: &str| {
        let answer = api.anonymous().send("GET", &format!("{page}{query}"), &[("cookie", cookie.as_str())], "").await;
        assert_eq!(answer.status, 200, "{query}");
        answer.text()
    };
    let rows = |text: &str| text.matches("<code>bulk.n").count();
    let first = get("").await;
    assert_eq!((rows(&first), way(&first, "prev")), (100, None));
    let second = get(&way(&first, "next").unwrap()).await;
    assert_eq!(rows(&second), 3);
    assert_eq!(rows(&get(&way(&second, "prev").unwrap()).await), 100);
    assert_eq!((rows(&get("?q=N007").await), rows(&get("?category=odd").await), rows(&get("?q=none").await)), (1, 51, 0));
}
