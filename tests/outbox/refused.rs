//! Rows that are bad: put aside at once with the column and the rule, in nobody's way, and put back when asked.

use crate::{
    Site, messages, shop,
    support::{self, Receiver, eventually},
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_are_put_aside_and_can_be_put_back() {
    let site = Site::beside().await;
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    api.post("/api/v1/app/shop/msg", &json!({"eventType": "a.b", "eventId": "taken", "payload": {"other": 1}}).to_string())
        .await
        .expect(202);
    let rows = "INSERT INTO postrider.outbox (organization, application, event_type, payload, event_id, channels, deliver_at) VALUES \
        (NULL, 'nobody', 'a.b', '{}', NULL, NULL, NULL), \
        ('somewhere', 'shop', 'a.b', '{}', NULL, NULL, NULL), \
        (NULL, 'shop', 'a b', '{}', NULL, NULL, NULL), \
        (NULL, 'shop', 'a.b', '{', NULL, NULL, NULL), \
        (NULL, 'shop', 'a.b', '\"' || repeat('x', 2000000) || '\"', NULL, NULL, NULL), \
        (NULL, 'shop', 'a.b', '{}', 'taken', NULL, NULL), \
        (NULL, 'shop', 'a.b', '{}', NULL, ARRAY['a', NULL], NULL), \
        (NULL, 'shop', 'a.b', '{}', NULL, ARRAY[['a'], ['b']], NULL), \
        (NULL, 'shop', 'a.b', '{}', NULL, ARRAY['a', 'a b'], NULL), \
        (NULL, 'shop', 'a.b', '{}', NULL, NULL, 'infinity'), \
        (NULL, 'shop', 'a.b', '{\"good\": 1}', NULL, NULL, '-infinity')";
    site.db.execute(rows, &[]).await.unwrap();
    let good = receiver.wait("/x", 2).await;
    assert!(good.iter().any(|arrival| arrival.body == "{\"good\": 1}"), "a good row is not held up by bad ones");
    site.empty().await;
    let found = site.db.query("SELECT field FROM postrider.outbox_refused ORDER BY seq", &[]).await.unwrap();
    let fields: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    let expected = [
        "application",
        "organization",
        "event_type",
        "payload",
        "payload",
        "event_id",
        "channels",
        "channels",
        "channels.1",
        "deliver_at",
    ];
    assert_eq!(fields, expected);

    let told = |args: &[&str]| {
        let output = support::run(&[&["outbox"], args, &["--url", &site.url]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = told(&["refused"]);
    assert_eq!(listed.lines().count(), expected.len());
    assert!(listed.contains("application: There is no such application."), "{listed}");
    assert!(told(&["status"]).contains("refused  10"), "{}", told(&["status"]));

    // What was wrong becomes right: the row that was first.
    api.post("/api/v1/app", &json!({"name": "nobody", "uid": "nobody"}).to_string()).await.expect(201);
    let seq: i64 = site.db.query_one("SELECT min(seq) FROM postrider.outbox_refused", &[]).await.unwrap().get(0);
    assert_eq!(told(&["retry", "--seq", &seq.to_string()]).trim(), "put back: 1");
    eventually("the row is a message", || async {
        let page = api.get("/api/v1/app/nobody/msg").await.expect(200);
        (page["data"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    assert_eq!(told(&["retry"]).trim(), "put back: 9");
    eventually("they are refused again", || async { (site.count("outbox_refused").await == 9).then_some(()) }).await;
    assert_eq!(messages(&api).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_comes_again_is_the_message_that_it_was() {
    let site = Site::beside().await;
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    let again = "INSERT INTO postrider.outbox (id, application, event_type, payload) VALUES \
        ('01234567-89ab-4def-8123-456789abcdef', 'shop', 'a.b', '{\"n\": 1}')";
    site.db.execute(again, &[]).await.unwrap();
    receiver.wait("/x", 1).await;
    site.empty().await;
    // As after a death between the acceptance and the deletion of the row.
    site.db.execute(again, &[]).await.unwrap();
    site.empty().await;
    assert_eq!((messages(&api).await.len(), site.count("outbox_refused").await), (1, 0));
    let sentinel = "INSERT INTO postrider.outbox (application, event_type, payload) VALUES ('shop', 'a.b', '{\"n\": 2}')";
    site.db.execute(sentinel, &[]).await.unwrap();
    assert_eq!(receiver.wait("/x", 2).await.len(), 2, "the repetition was not delivered");
}
