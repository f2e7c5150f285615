//! Rows that are good: once each, as they were written, only when committed.

use crate::{
    SHOP, Site, each_once, messages, shop,
    support::{Api, Receiver, eventually},
};
use serde_json::json;

/// A rollback publishes nothing, a commit once, byte for byte; with every column.
async fn transactions(mut site: Site) {
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    let payload = "{ \"b\":1.10,\r\n  \"a\": \"\\u00e9é\" , \"b\": 2}";
    let insert = "INSERT INTO postrider.outbox (application, event_type, payload) VALUES ($1, $2, $3)";

    let undone = site.db.transaction().await.unwrap();
    undone.execute("CREATE TABLE orders (id int)", &[]).await.unwrap();
    undone.execute(insert, &[&SHOP, &"order.undone", &"{}"]).await.unwrap();
    undone.query("SELECT postrider.publish('shop', 'order.undone', '{}')", &[]).await.unwrap();
    undone.rollback().await.unwrap();

    let done = site.db.transaction().await.unwrap();
    done.execute("CREATE TABLE orders (id int)", &[]).await.unwrap();
    done.execute(insert, &[&SHOP, &"order.paid", &payload]).await.unwrap();
    done.commit().await.unwrap();
    let arrived = receiver.wait("/x", 1).await;
    assert_eq!(arrived[0].body, payload.as_bytes());

    let row = site
        .db
        .query_one(
            "SELECT postrider.publish(application => 'shop', event_type => 'order.sent', payload => '{\"n\": 1}'::jsonb, \
             channels => ARRAY['eu', 'eu', 'vip'], tags => ARRAY['t/1'], payload_retention_hours => 5)::text",
            &[],
        )
        .await
        .unwrap();
    let id: String = row.get(0);
    site.db.execute("SELECT postrider.publish('shop', 'order.raw', '\\x7b7d'::bytea, event_id => 'mine')", &[]).await.unwrap();
    receiver.wait("/x", 3).await;
    site.empty().await;
    let all = messages(&api).await;
    assert_eq!(all.len(), 3, "{all:?}");
    let of = |kind: &str| all.iter().find(|message| message["eventType"] == kind).unwrap();
    assert_eq!(of("order.sent")["eventId"], json!(id));
    assert_eq!(of("order.sent")["channels"], json!(["eu", "vip"]));
    assert_eq!(of("order.sent")["tags"], json!(["t/1"]));
    assert_eq!(of("order.raw")["eventId"], json!("mine"));
    assert_eq!((site.count("outbox").await, site.count("outbox_refused").await), (0, 0));
    assert_eq!(receiver.at("/x").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_publishes_and_a_rollback_does_not_in_our_database() {
    transactions(Site::own().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_publishes_and_a_rollback_does_not_in_the_application_s_database() {
    transactions(Site::beside().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_later_waits_for_its_time() {
    let site = Site::own().await;
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    let later = "SELECT postrider.publish('shop', 'order.later', '{}', deliver_at => now() + interval '1 hour')";
    site.db.execute(later, &[]).await.unwrap();
    site.empty().await;
    site.insert(0..1).await;
    let arrived = receiver.wait("/x", 1).await;
    assert_eq!(arrived[0].body, "{\"number\": 0}");
    let all = messages(&api).await;
    assert_eq!(all.len(), 2);
    assert_eq!(receiver.at("/x").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_notifications_looking_finds_the_rows() {
    let site = Site::own().await;
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    site.db.batch_execute("DROP TRIGGER outbox_filled ON postrider.outbox").await.unwrap();
    site.insert(0..50).await;
    receiver.wait("/x", 50).await;
    site.empty().await;
    each_once(&messages(&api).await, 0..50);
}

/// Waits until each node knows what was configured through the first of them: they hear of changes in their order, and one
/// that was made last has an effect at each.
async fn all_know(nodes: &[&Api], receiver: &Receiver) {
    nodes[0].post("/api/v1/app", r#"{"name": "known", "uid": "known"}"#).await.expect(201);
    let endpoint = format!(r#"{{"url": "{}"}}"#, receiver.url("/known"));
    nodes[0].post("/api/v1/app/known/endpoint", &endpoint).await.expect(201);
    for node in nodes {
        eventually("a node knows the endpoint", || async {
            let sent = node.post("/api/v1/app/known/msg", r#"{"eventType": "a.b", "payload": {}}"#).await;
            if sent.status == 404 {
                return None;
            }
            let sent = sent.expect(202);
            let ledger = node.get(&format!("/api/v1/app/known/msg/{}/ledger", sent["id"].as_str().unwrap())).await.expect(200);
            let state = ledger["data"][0]["state"].as_str().unwrap_or_default();
            (state != "skipped").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_share_one_outbox() {
    const ROWS: i32 = 4000;
    let site = Site::own().await;
    let (second, third) = (site.server.beside().await, site.server.beside().await);
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    all_know(&[&api, &second.api(), &third.api()], &receiver).await;
    for at in 0..ROWS / 400 {
        site.insert(at * 400..(at + 1) * 400).await;
    }
    let wanted = usize::try_from(ROWS).unwrap();
    receiver.wait("/x", wanted).await;
    site.empty().await;
    each_once(&messages(&second.api()).await, 0..ROWS);
    // An endpoint that a node did not know yet would have been missed, a row that two took would have come twice.
    assert_eq!(receiver.at("/x").len(), wanted);
    drop(third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_needs_no_more_than_one_right() {
    let site = Site::own().await;
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    let name = site.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_lowercase();
    let (inserts, calls) = (format!("inserts_{name}"), format!("calls_{name}"));
    let grants = format!(
        "CREATE ROLE {inserts} LOGIN; GRANT USAGE ON SCHEMA postrider TO {inserts}; GRANT INSERT ON postrider.outbox TO {inserts}; \
         CREATE ROLE {calls} LOGIN; GRANT USAGE ON SCHEMA postrider TO {calls}; \
         GRANT EXECUTE ON FUNCTION postrider.publish(text, text, text, text, text[], text[], timestamptz, int4, text, text) TO {calls}"
    );
    site.db.batch_execute(&grants).await.unwrap();
    let as_role = |role: &str| site.url.replace("postrider@", &format!("{role}@"));
    let (inserting, _) = crate::database::connect(&as_role(&inserts)).await;
    let insert = "INSERT INTO postrider.outbox (application, event_type, payload) VALUES ('shop', 'a.b', '{}')";
    inserting.execute(insert, &[]).await.unwrap();
    assert!(inserting.query("SELECT * FROM postrider.outbox", &[]).await.is_err(), "it may write and not read");
    let (calling, _) = crate::database::connect(&as_role(&calls)).await;
    calling.query("SELECT postrider.publish('shop', 'a.b', '{}')", &[]).await.unwrap();
    for refused in [insert, "SELECT * FROM postrider.outbox", "SELECT * FROM postrider.settings"] {
        assert!(calling.query(refused, &[]).await.is_err(), "{refused}");
    }
    assert!(inserting.query("SELECT postrider.publish('shop', 'a.b', '{}')", &[]).await.is_err());
    receiver.wait("/x", 2).await;
    drop((inserting, calling));
    site.db.batch_execute(&format!("DROP OWNED BY {inserts}, {calls}; DROP ROLE {inserts}, {calls}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_an_ordering_key_become_messages_in_their_order() {
    const KEYS: i64 = 7;
    const ROWS: i64 = 1400;
    let site = Site::own().await;
    let (second, third) = (site.server.beside().await, site.server.beside().await);
    let (api, receiver) = (site.server.api(), Receiver::start().await);
    shop(&api, &receiver.url("/x")).await;
    all_know(&[&api, &second.api(), &third.api()], &receiver).await;
    // Many small transactions, so that several servers are at it at the same time.
    let insert = "INSERT INTO postrider.outbox (application, event_type, payload, ordering_key) \
                  SELECT 'shop', 'order.paid', format('{\"number\": %s}', n), 'k' || n % $3::int8 FROM generate_series($1::int8, $2::int8) n";
    for at in (0..ROWS).step_by(70) {
        site.db.execute(insert, &[&at, &(at + 69), &KEYS]).await.unwrap();
    }
    let keyed = "SELECT postrider.publish('shop', 'order.keyed', '{}', ordering_key => 'one')";
    site.db.execute(keyed, &[]).await.unwrap();
    site.empty().await;
    // The newest first.
    let all = messages(&api).await;
    let ours: Vec<&serde_json::Value> = all.iter().filter(|message| message["eventType"] == "order.paid").collect();
    assert_eq!(ours.len(), usize::try_from(ROWS).unwrap());
    for key in 0..KEYS {
        let name = json!(format!("k{key}"));
        let of_key = ours.iter().filter(|message| message["orderingKey"] == name);
        let numbers: Vec<i64> = of_key.map(|message| message["payload"]["number"].as_i64().unwrap()).collect();
        let expected: Vec<i64> = (0..ROWS).rev().filter(|n| n % KEYS == key).collect();
        assert_eq!(numbers, expected, "{name}");
    }
    assert!(all.iter().any(|message| message["eventType"] == "order.keyed" && message["orderingKey"] == "one"));
}

/// What tables and functions were like before there were ordering keys.
const BEFORE: &str = "\
    ALTER TABLE postrider.outbox DROP COLUMN ordering_key; ALTER TABLE postrider.outbox_refused DROP COLUMN ordering_key; \
    DROP FUNCTION postrider.publish(text, text, text, text, text[], text[], timestamptz, int4, text, text); \
    CREATE FUNCTION postrider.publish(application text, event_type text, payload text, event_id text DEFAULT NULL, \
        channels text[] DEFAULT NULL, tags text[] DEFAULT NULL, deliver_at timestamptz DEFAULT NULL, \
        payload_retention_hours int4 DEFAULT NULL, organization text DEFAULT NULL) RETURNS uuid LANGUAGE sql SECURITY DEFINER AS \
        'INSERT INTO postrider.outbox (application, event_type, payload) VALUES ($1, $2, $3) RETURNING id'; \
    REVOKE ALL ON FUNCTION postrider.publish(text, text, text, text, text[], text[], timestamptz, int4, text) FROM PUBLIC; \
    INSERT INTO postrider.outbox (application, event_type, payload) VALUES ('shop', 'order.before', '{}')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_an_earlier_version_gets_what_it_lacks_and_roles_keep_their_rights() {
    let url = crate::database::fresh().await;
    let install = || {
        let installed = crate::support::run(&["outbox", "install", "--url", &url]);
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    };
    install();
    let (db, _) = crate::database::connect(&url).await;
    db.batch_execute(BEFORE).await.unwrap();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_lowercase();
    let role = format!("old_{name}");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA postrider TO {role}; \
         GRANT EXECUTE ON FUNCTION postrider.publish(text, text, text, text, text[], text[], timestamptz, int4, text) TO {role}"
    );
    db.batch_execute(&grants).await.unwrap();
    install();
    install();
    let (calling, _) = crate::database::connect(&url.replace("postrider@", &format!("{role}@"))).await;
    calling.query("SELECT postrider.publish('shop', 'order.after', '{}', ordering_key => 'k')", &[]).await.unwrap();
    let kept = db.query("SELECT event_type, ordering_key FROM postrider.outbox ORDER BY seq", &[]).await.unwrap();
    let kept: Vec<(String, Option<String>)> = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kept, [("order.before".into(), None), ("order.after".into(), Some("k".into()))]);
}
