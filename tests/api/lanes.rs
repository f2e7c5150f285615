//! An endpoint's lane, seen from outside.

use crate::fixture::Tenant;
use crate::support::{Reply, eventually};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

impl Tenant {
    async fn lane(&self, endpoint: &str) -> Value {
        self.api.get(&self.path(&format!("/endpoint/{endpoint}/lane"))).await.expect(200)
    }
}

#[tokio::test]
async fn a_lane_shows_what_waits_and_its_limits() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"disabled": true, "throttleRate": 7})).await;
    let lane = t.lane(&endpoint).await;
    assert_eq!((&lane["depth"], &lane["held"], &lane["circuit"]), (&json!(0), &json!(true), &json!("closed")));
    assert_eq!(
        (&lane["limits"]["rate"], &lane["oldestAgeSeconds"], &lane["drainSeconds"]),
        (&json!(7), &Value::Null, &Value::Null)
    );
    for n in 0..3 {
        t.send("a.b", &json!(n)).await;
    }
    assert_eq!(t.lane(&endpoint).await["depth"], 3);
    t.change(&endpoint, json!({"disabled": false})).await;
    t.receiver.wait("/a", 3).await;
    let lane = eventually("nothing waits", || async { Some(t.lane(&endpoint).await).filter(|lane| lane["depth"] == 0) }).await;
    assert_eq!((&lane["held"], &lane["drainSeconds"]), (&json!(false), &json!(0.0)));
}

#[tokio::test]
async fn what_was_held_is_caught_up_at_a_pace_beside_fresh_messages() {
    let mut t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"disabled": true})).await;
    for n in 0..12 {
        t.send("a.b", &json!(n)).await;
    }
    let path = t.path(&format!("/endpoint/{endpoint}/catch-up"));
    t.api.get(&path).await.expect(404);
    t.api.put(&path, r#"{"rate": 0}"#).await.refused(422, "rate");
    let began = Instant::now();
    t.api.put(&path, r#"{"rate": 3}"#).await.expect(200);
    assert_eq!(t.look(&endpoint).await["disabled"], false);
    let fresh = t.send("a.b", &json!("fresh")).await;
    t.settled(&fresh, &endpoint, "success").await;
    assert!(t.receiver.at("/a").len() < 12, "the fresh one did not wait for those that were held");
    t.restart().await;
    assert_eq!(t.api.get(&path).await.expect(200)["rate"], 3, "it survives a restart");
    t.receiver.wait("/a", 10).await;
    assert!(began.elapsed() >= Duration::from_millis(2000), "nine at three a second: {:?}", began.elapsed());
    assert_eq!(t.api.delete(&path).await.status, 204);
    t.receiver.wait("/a", 13).await;
    t.api.get(&path).await.expect(404);
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_comes_back() {
    let t = Tenant::start().await;
    t.receiver.script("/a", [vec![Reply::status(500); 22], vec![Reply::status(200)]].concat());
    let endpoint = t.endpoint("/a", json!({"retryPolicy": [1, 1, 1, 1, 1, 1, 1, 1]})).await;
    for n in 0..11 {
        t.send("a.b", &json!(n)).await;
    }
    let open =
        eventually("the circuit opens", || async { Some(t.lane(&endpoint).await).filter(|l| l["circuit"] != "closed") }).await;
    assert!(open["depth"].as_u64().unwrap() > 0 && open["slow"] == true, "{open}");
    eventually("everything is delivered", || async { Some(t.lane(&endpoint).await).filter(|l| l["depth"] == 0) }).await;
    assert_eq!(t.lane(&endpoint).await["circuit"], "closed");
}

#[tokio::test]
async fn a_catch_up_ends_with_the_endpoint_s_disabling() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint("/a", json!({"disabled": true})).await;
    for n in 0..9 {
        t.send("a.b", &json!(n)).await;
    }
    let path = t.path(&format!("/endpoint/{endpoint}/catch-up"));
    t.api.put(&path, r#"{"rate": 1}"#).await.expect(200);
    t.api.get(&path).await.expect(200);
    t.change(&endpoint, json!({"description": "as it goes on"})).await;
    t.api.get(&path).await.expect(200);
    t.change(&endpoint, json!({"disabled": true})).await;
    t.api.get(&path).await.expect(404);
    // Enabled without a word about a pace, it comes at none.
    let began = Instant::now();
    t.change(&endpoint, json!({"disabled": false})).await;
    t.api.get(&path).await.expect(404);
    t.receiver.wait("/a", 9).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
