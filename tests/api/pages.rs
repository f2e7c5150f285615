//! Lists, page by page: forwards, and back again.

use crate::fixture::{Tenant, texts};
use serde_json::{Value, json};

/// Walks a list to its end and back to its start, two at a time; the ids in order.
async fn walk(t: &Tenant, path: &str, field: &str, count: usize) -> Vec<String> {
    let join = if path.contains('?') { '&' } else { '?' };
    let page = async |iterator: &Value| {
        let iterator = iterator.as_str().map(|i| format!("&iterator={i}")).unwrap_or_default();
        t.api.get(&format!("{path}{join}limit=2{iterator}")).await.expect(200)
    };
    let mut all = Vec::new();
    let mut pages = vec![page(&Value::Null).await];
    loop {
        let last = pages.last().unwrap();
        all.extend(texts(&last["data"], field));
        assert!(last["iterator"].is_string() || last["data"] == json!([]), "{path}: iterator is always there: {last}");
        if last["done"] == true {
            break;
        }
        assert!(pages.len() <= count, "{path} never ends");
        let next = page(&last["iterator"]).await;
        pages.push(next);
    }
    assert_eq!(all.len(), count, "{path}: {all:?}");
    let mut unique = all.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), count, "{path} repeats: {all:?}");
    // And back: each page's prevIterator gives the page before it.
    let full: Vec<_> = pages.iter().filter(|page| page["data"] != json!([])).collect();
    for pair in full.windows(2) {
        let back = page(&pair[1]["prevIterator"]).await;
        assert_eq!(texts(&back["data"], field), texts(&pair[0]["data"], field), "{path}: back");
    }
    for bad in ["nonsense!", "%00", "app_123", "-"] {
        t.api.get(&format!("{path}{join}iterator={bad}")).await.refused(422, "iterator");
    }
    for limit in ["0", "251", "-1", "x"] {
        t.api.get(&format!("{path}{join}limit={limit}")).await.refused(422, "limit");
    }
    all
}

fn reversed(mut ids: Vec<String>) -> Vec<String> {
    ids.reverse();
    ids
}

#[tokio::test]
async fn applications_endpoints_and_event_types_have_an_order() {
    let t = Tenant::start().await;
    for n in 0..4 {
        t.api.post("/api/v1/app", &json!({"name": format!("n{n}")}).to_string()).await.expect(201);
        t.endpoint(&format!("/{n}"), json!({})).await;
        t.api.post("/api/v1/event-type", &json!({"name": format!("type.{n}"), "description": ""}).to_string()).await.expect(201);
    }
    for (path, field, count) in [("/api/v1/app".to_owned(), "id", 5), (t.path("/endpoint"), "id", 4)] {
        let plain = walk(&t, &path, field, count).await;
        let ascending = walk(&t, &format!("{path}?order=ascending"), field, count).await;
        let descending = walk(&t, &format!("{path}?order=descending"), field, count).await;
        assert_eq!(ascending, reversed(descending.clone()));
        assert!(plain == ascending || plain == descending);
        assert!(ascending.is_sorted(), "ids sort by age: {ascending:?}");
        t.api.get(&format!("{path}?order=sideways")).await.refused(422, "order");
    }
    let names = async |query: &str| texts(&t.api.get(&format!("/api/v1/event-type{query}")).await.expect(200)["data"], "name");
    assert_eq!(names("?order=ascending").await, ["type.0", "type.1", "type.2", "type.3"]);
    assert_eq!(names("?order=descending").await, ["type.3", "type.2", "type.1", "type.0"]);
    let first = t.api.get("/api/v1/event-type?order=ascending&limit=3").await.expect(200);
    let rest = format!("/api/v1/event-type?order=ascending&limit=3&iterator={}", first["iterator"].as_str().unwrap());
    let rest = t.api.get(&rest).await.expect(200);
    assert_eq!((texts(&rest["data"], "name"), &rest["done"]), (vec!["type.3".to_owned()], &json!(true)));
    let back = format!("/api/v1/event-type?order=ascending&limit=3&iterator={}", rest["prevIterator"].as_str().unwrap());
    assert_eq!(texts(&t.api.get(&back).await.expect(200)["data"], "name"), ["type.0", "type.1", "type.2"]);
}

#[tokio::test]
async fn messages_and_attempts_come_newest_first() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({})).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(
            t.post(&json!({"eventType": if n % 2 == 0 { "even.type" } else { "odd.type" }, "payload": n, "tags": ["t"]})).await,
        );
    }
    t.receiver.wait("/a", 5).await;
    for message in &sent {
        t.attempted(message, &endpoint, 1).await;
    }
    sent.reverse();
    assert_eq!(walk(&t, &t.path("/msg"), "id", 5).await, sent);
    assert_eq!(walk(&t, &t.path(&format!("/endpoint/{endpoint}/msg")), "id", 5).await, sent);
    walk(&t, &t.path(&format!("/attempt/endpoint/{endpoint}")), "id", 5).await;
    let even = walk(&t, &t.path("/msg?event_types=even.type"), "id", 3).await;
    assert_eq!(even, [sent[0].clone(), sent[2].clone(), sent[4].clone()]);
    walk(&t, &t.path(&format!("/attempt/endpoint/{endpoint}?event_types=odd.type&tag=t")), "id", 2).await;
    walk(&t, &t.path(&format!("/endpoint/{endpoint}/msg?event_types=odd.type")), "id", 2).await;

    let message = &sent[0];
    for count in 2..=5 {
        t.api.post(&t.path(&format!("/msg/{message}/endpoint/{endpoint}/resend")), "").await.expect(202);
        t.attempted(message, &endpoint, count).await;
    }
    walk(&t, &t.path(&format!("/attempt/msg/{message}")), "id", 5).await;
    for n in 1..4 {
        t.endpoint(&format!("/{n}"), json!({})).await;
    }
    let wide = t.send("a.b", &json!(1)).await;
    for n in 1..4 {
        t.receiver.wait(&format!("/{n}"), 1).await;
    }
    let path = t.path(&format!("/msg/{wide}/endpoint"));
    crate::support::eventually("four destinations", || async {
        let listed = t.api.get(&path).await.expect(200);
        (listed["data"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;
    walk(&t, &path, "id", 4).await;
}

#[tokio::test]
async fn a_list_is_bounded_by_time() {
    let t = Tenant::start().await;
    t.send("a.b", &json!(1)).await;
    let now = jiff::Timestamp::now();
    let hour = std::time::Duration::from_secs(3600);
    let count =
        async |query: String| t.api.get(&t.path(&format!("/msg?{query}"))).await.expect(200)["data"].as_array().unwrap().len();
    assert_eq!(count(format!("before={}", now + hour)).await, 1);
    assert_eq!(count(format!("before={}", now - hour)).await, 0);
    assert_eq!(count(format!("after={}", now - hour)).await, 1);
    assert_eq!(count(format!("after={}", now + hour)).await, 0);
    t.api.get(&t.path("/msg?before=yesterday")).await.refused(422, "before");
}
