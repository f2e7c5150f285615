//! The master key's rotation, while the server runs and when it is cut short.

use crate::{
    credentials::files,
    support::{ADMIN_KEY, database, eventually, run},
    tenant::Tenant,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/master-key/rotate";

fn master(t: &Tenant) -> Vec<String> {
    let text = std::fs::read_to_string(t.server.data().join("data/master.key")).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

async fn ended(t: &Tenant) -> Value {
    eventually("the rotation ends", || async { Some(t.api.get(PATH).await.expect(200)).filter(|state| state["running"] == false) })
        .await
}

async fn sealed(t: &Tenant) -> String {
    let basic = json!({"authentication": {"type": "basic", "username": "ann", "password": "secret"}});
    let endpoint = t.trusted(&t.receiver.url("/hook"), &basic).await;
    let headers = json!({"headers": {"x-plain": "value"}}).to_string();
    t.api.put(&t.path(&format!("/endpoint/{endpoint}/headers")), &headers).await.expect(204);
    endpoint
}

async fn delivers(t: &Tenant, count: usize) {
    t.send().await;
    let arrival = t.receiver.wait("/hook", count).await.remove(count - 1);
    assert_eq!(arrival.header("authorization"), format!("Basic {}", BASE64_STANDARD.encode("ann:secret")));
    assert_eq!(arrival.header("x-plain"), "value");
}

#[tokio::test]
async fn a_new_master_key_takes_over_while_the_server_runs() {
    let mut t = Tenant::start().await;
    let endpoint = sealed(&t).await;
    delivers(&t, 1).await;
    let old = master(&t);
    let data = t.server.data().join("data");
    let url = t.server.url();
    let rotated =
        tokio::task::spawn_blocking(move || run(&["keys", "rotate-master", "--data", data.to_str().unwrap(), "--url", &url]))
            .await
            .unwrap();
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let new = master(&t);
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_ne!(old, new);
    delivers(&t, 2).await;
    let secret = t.api.get(&t.path(&format!("/endpoint/{endpoint}/secret"))).await.expect(200);
    // All that is kept opens under the new key alone, over a restart.
    assert_eq!(t.server.stop().await, 0);
    t.server.restart().await;
    t.api = t.server.api();
    delivers(&t, 3).await;
    assert_eq!(t.api.get(&t.path(&format!("/endpoint/{endpoint}/secret"))).await.expect(200), secret);
    let kept = match t.server.database() {
        Some(url) => database::contents(url).await,
        None => files(&t.server.data().join("data")),
    };
    for key in old.iter().chain(&new) {
        let at = kept.iter().filter(|bytes| bytes.windows(key.len()).any(|part| part == key.as_bytes())).count();
        assert!(at <= usize::from(new.contains(key)), "a master key is kept in the store");
    }
    assert!(!t.server.log().iter().any(|line| line.contains(&old[0]) || line.contains(&new[0]) || line.contains(ADMIN_KEY)));
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_goes_on() {
    let mut t = Tenant::start().await;
    sealed(&t).await;
    delivers(&t, 1).await;
    let old = master(&t);
    t.api.post(PATH, "").await.expect(202);
    eventually("the new key is kept", || async { Some(master(&t)).filter(|keys| keys.len() == 2) }).await;
    t.server.kill();
    t.server.restart().await;
    t.api = t.server.api();
    delivers(&t, 2).await;
    assert_eq!(master(&t).len(), 2);
    let state = t.api.get(PATH).await.expect(200);
    assert_eq!((&state["running"], &state["unfinished"]), (&false.into(), &true.into()));
    t.api.post(PATH, "").await.expect(202);
    let state = ended(&t).await;
    assert_eq!((&state["done"], &state["unfinished"]), (&true.into(), &false.into()), "{state}");
    assert!(master(&t).len() == 1 && master(&t) != old);
    delivers(&t, 3).await;
}

#[tokio::test]
async fn of_two_that_are_asked_for_at_once_one_is_refused() {
    let mut t = Tenant::start().await;
    sealed(&t).await;
    let (one, two, three) = tokio::join!(t.api.post(PATH, ""), t.api.post(PATH, ""), t.api.post(PATH, ""));
    let mut answers = [one.status, two.status, three.status];
    answers.sort_unstable();
    assert_eq!(answers, [202, 409, 409]);
    for refused in [one, two, three].iter().filter(|answer| answer.status == 409) {
        refused.refused(409, "under way");
    }
    let (data, url) = (t.server.data().join("data"), t.server.url());
    let asked =
        tokio::task::spawn_blocking(move || run(&["keys", "rotate-master", "--data", data.to_str().unwrap(), "--url", &url]));
    let asked = asked.await.unwrap();
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(!asked.status.success() && said.contains("under way"), "{said}");
    assert_eq!(ended(&t).await["done"], true);
    let orders = t.api.get("/api/v1/audit?what=master_key").await.expect(200);
    assert_eq!(orders["data"].as_array().unwrap().len(), 1, "who was refused has ordered nothing: {orders}");
    delivers(&t, 1).await;
    assert_eq!(t.server.stop().await, 0);
    t.server.restart().await;
    t.api = t.server.api();
    delivers(&t, 2).await;
}

#[tokio::test]
async fn two_nodes_that_are_asked_at_once_leave_nothing_sealed_for_nobody() {
    if !database::wanted() {
        return;
    }
    let t = Tenant::start().await;
    let endpoint = sealed(&t).await;
    let beside = t.server.beside().await;
    let other = beside.api();
    let path = t.path(&format!("/endpoint/{endpoint}/secret"));
    let secret = t.api.get(&path).await.expect(200);
    for round in 1..=2 {
        let (here, there) = tokio::join!(t.api.post(PATH, ""), other.post(PATH, ""));
        assert!([here.status, there.status].iter().all(|status| [202, 409].contains(status)), "{here:?} {there:?}");
        // The first to end begins the next one while the other may still be at it.
        eventually("one of them has ended", || async {
            let (here, there) = (t.api.get(PATH).await.expect(200), other.get(PATH).await.expect(200));
            (here["running"] == false || there["running"] == false).then_some(())
        })
        .await;
        tokio::join!(t.api.post(PATH, ""), other.post(PATH, ""));
        eventually("both have ended", || async {
            let (here, there) = (t.api.get(PATH).await.expect(200), other.get(PATH).await.expect(200));
            if here["unfinished"] == true && here["running"] == false && there["running"] == false {
                t.api.post(PATH, "").await;
            }
            (here["running"] == false && there["running"] == false && here["unfinished"] == false).then_some(())
        })
        .await;
        for api in [&t.api, &other] {
            let same = eventually("the secret opens", || async { Some(api.get(&path).await).filter(|a| a.status == 200) }).await;
            assert_eq!(same.json(), secret, "round {round}");
        }
        delivers(&t, round).await;
    }
    let of = |server: &crate::support::Server| {
        let text = std::fs::read_to_string(server.data().join("data/master.key")).unwrap();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("both nodes have one key, and the same", || async {
        (of(&t.server).len() == 1 && of(&t.server) == of(&beside)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_the_operator_s_key_rotates() {
    let t = Tenant::start().await;
    let session = t.api.post("/api/v1/session", "{}").await.expect(201);
    let limited = t.api.post("/api/v1/key", r#"{"scopes": ["manage"]}"#).await.expect(201);
    for token in [&session["token"], &limited["token"]] {
        t.api.with_token(token.as_str().unwrap()).post(PATH, "").await.expect(403);
    }
}

#[tokio::test]
async fn every_node_takes_the_new_key_over() {
    if !database::wanted() {
        return;
    }
    let t = Tenant::start().await;
    sealed(&t).await;
    let beside = t.server.beside().await;
    let of = |server: &crate::support::Server| std::fs::read_to_string(server.data().join("data/master.key")).unwrap();
    let old = of(&beside);
    t.api.post(PATH, "").await.expect(202);
    assert_eq!(ended(&t).await["done"], true);
    eventually("the other node has the new key alone", || async {
        let text = of(&beside);
        (text != old && text.trim() == of(&t.server).trim()).then_some(())
    })
    .await;
    let made = beside.api().post(&t.path("/endpoint"), &json!({"url": t.receiver.url("/b")}).to_string()).await.expect(201);
    let path = t.path(&format!("/endpoint/{}/secret", made["id"].as_str().unwrap()));
    eventually("what one node seals, the other opens", || async {
        Some(t.api.get(&path).await).filter(|answer| answer.status == 200)
    })
    .await;
}
