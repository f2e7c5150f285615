//! Clients that hang up while their message is made durable: what is stored is delivered all the same.

use crate::fixture::Tenant;
use crate::support::eventually;
use serde_json::json;
use std::{collections::HashSet, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Clients that hang up.
const CLIENTS: u32 = 240;
/// How much longer each client waits before it does, in microseconds; the longest wait is that of a commit.
const LATER_US: u64 = 15;
/// Messages of a page.
const PAGE: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_durable_is_delivered_although_nobody_waited_for_the_answer() {
    let t = Tenant::start().await;
    t.endpoint("/a", json!({})).await;
    let body = r#"{"eventType":"a.b","payload":{"n":1}}"#;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        t.path("/msg"),
        t.api.token(),
        body.len()
    );
    for client in 0..CLIENTS {
        let mut stream = TcpStream::connect(t.server.address()).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        // Not to wait for anything: to be gone at another moment each time.
        tokio::time::sleep(Duration::from_micros(LATER_US * u64::from(client))).await;
        drop(stream);
    }
    t.send("a.b", &json!({"n": 2})).await;
    let undelivered = || async {
        let stored = t.api.get(&t.path(&format!("/msg?limit={PAGE}"))).await.expect(200);
        let stored: HashSet<String> =
            stored["data"].as_array().unwrap().iter().filter_map(|message| message["id"].as_str().map(str::to_owned)).collect();
        let came: HashSet<String> = t.receiver.at("/a").iter().map(|a| a.header("webhook-id").to_owned()).collect();
        (stored.len() > 1 && stored.is_subset(&came)).then_some(stored.len())
    };
    let stored: usize = eventually("everything that is stored has arrived", undelivered).await;
    println!("{stored} stored of {CLIENTS}, all delivered");
}
