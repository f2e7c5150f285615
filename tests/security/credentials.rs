//! Endpoint credentials, as receivers see them and as the API shows them.

use crate::{
    peers::{Authority, secure},
    support::{Reply, database, eventually},
    tenant::Tenant,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

fn token(text: &str, lasts_s: u32) -> Reply {
    let body = json!({"access_token": text, "token_type": "Bearer", "expires_in": lasts_s});
    Reply::status(200).header("content-type", "application/json").body(&body.to_string())
}

fn oauth(t: &Tenant, more: Value) -> Value {
    let mut authentication =
        json!({"type": "oauth2", "tokenUrl": t.receiver.url("/token"), "clientId": "me@x", "clientSecret": "s p&cret-canary"});
    authentication.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"authentication": authentication})
}

#[tokio::test]
async fn basic_and_bearer_are_sent_and_not_shown() {
    let t = Tenant::start().await;
    let basic = json!({"authentication": {"type": "basic", "username": "ann", "password": "pass-canary:é"}});
    let bearer = json!({"authentication": {"type": "bearer", "token": "bearer-canary"}});
    let one = t.trusted(&t.receiver.url("/basic"), &basic).await;
    let two = t.trusted(&t.receiver.url("/bearer"), &bearer).await;
    let message = t.send().await;
    let sent = t.receiver.wait("/basic", 1).await.remove(0);
    let pair = format!("Basic {}", BASE64_STANDARD.encode("ann:pass-canary:é"));
    assert_eq!(sent.header("authorization"), pair);
    assert_eq!(t.receiver.wait("/bearer", 1).await[0].header("authorization"), "Bearer bearer-canary");

    let shown = |endpoint: &str| t.path(&format!("/endpoint/{endpoint}/credentials"));
    let basic = t.api.get(&shown(&one)).await.expect(200);
    assert_eq!(basic["authentication"], json!({"type": "basic", "username": "ann"}));
    assert_eq!(t.api.get(&shown(&two)).await.expect(200)["authentication"], json!({"type": "bearer"}));
    let attempt = t.attempts(&message, &one, 1).await[0].to_string();
    assert!(!attempt.contains("canary") && !attempt.contains(&pair[6..]), "{attempt}");

    t.api.delete(&shown(&one)).await.expect(204);
    assert_eq!(t.api.get(&shown(&one)).await.expect(200)["authentication"], Value::Null);
    t.send().await;
    let bare = t.receiver.wait("/basic", 2).await.remove(1);
    assert_eq!(bare.header("authorization"), "");
}

#[tokio::test]
async fn bad_credentials_are_refused_by_their_rule() {
    let t = Tenant::start().await;
    let endpoint = t.endpoint(&t.receiver.url("/a")).await;
    let (one, other) = (Authority::new().issue("a.test"), Authority::new().issue("a.test"));
    let certificate = |certificate: &str, key: &str| json!({"clientCertificate": {"certificate": certificate, "privateKey": key}});
    for (credentials, word, place) in [
        (json!({"authentication": {"type": "digest"}}), "digest", "authentication.type"),
        (json!({"authentication": {"type": "basic", "username": "a:b", "password": "x"}}), "colon", "authentication.username"),
        (json!({"authentication": {"type": "basic", "username": "", "password": "x"}}), "1 to", "authentication.username"),
        (json!({"authentication": {"type": "basic", "username": "a", "password": "x\n"}}), "control", "authentication.password"),
        (json!({"authentication": {"type": "bearer", "token": "a b"}}), "spaces", "authentication.token"),
        (json!({"authentication": {"type": "bearer", "token": "a\r\nx-evil: 1"}}), "token", "authentication.token"),
        (oauth(&t, json!({"tokenUrl": "ftp://x"})), "http", "authentication.tokenUrl"),
        (oauth(&t, json!({"tokenUrl": "http://u:p@x/"})), "user information", "authentication.tokenUrl"),
        (json!({"ca": "hello"}), "trust anchors", "ca"),
        (json!({"ca": ""}), "1 to", "ca"),
        (certificate(&one.certificate_pem(), &other.key_pem()), "does not belong", "clientCertificate.privateKey"),
        (certificate("x", &one.key_pem()), "PEM certificate", "clientCertificate.certificate"),
        (certificate("", &one.key_pem()), "1 to", "clientCertificate.certificate"),
        (certificate(&one.certificate_pem(), "x"), "private key", "clientCertificate.privateKey"),
        (json!({"surprise": 1}), "surprise", "surprise"),
    ] {
        let answer = t.give(&endpoint, &credentials).await;
        answer.refused(422, word);
        let named: Vec<_> = answer.json()["detail"][0]["loc"].as_array().unwrap().clone();
        let named: Vec<_> = named.iter().map(|part| part.as_str().unwrap()).collect();
        assert_eq!(named.join("."), format!("body.{place}"), "{}", answer.text());
    }
    let none = t.api.get(&t.path(&format!("/endpoint/{endpoint}/credentials"))).await.expect(200);
    assert_eq!(none, json!({"authentication": null, "clientCertificate": null, "ca": null}));
}

#[tokio::test]
async fn an_access_token_is_fetched_once_and_kept() {
    let t = Tenant::start().await;
    t.receiver.script("/token", [token("first", 3600)]);
    let credentials = oauth(&t, json!({"scope": "hooks:write", "audience": "acme"}));
    let endpoint = t.trusted(&t.receiver.url("/hook"), &credentials).await;
    for _ in 0..20 {
        t.send().await;
    }
    let sent = t.receiver.wait("/hook", 20).await;
    assert!(sent.iter().all(|arrival| arrival.header("authorization") == "Bearer first"));
    let fetched = t.receiver.at("/token");
    assert_eq!(fetched.len(), 1);
    let pair = BASE64_STANDARD.encode("me%40x:s+p%26cret-canary");
    assert_eq!(fetched[0].header("authorization"), format!("Basic {pair}"));
    assert_eq!(fetched[0].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(fetched[0].body, "grant_type=client_credentials&scope=hooks%3Awrite&audience=acme");

    // A change that does not touch the credentials keeps the token; another scope does not.
    t.api.patch(&t.path(&format!("/endpoint/{endpoint}")), r#"{"description": "x"}"#).await.expect(200);
    t.send().await;
    t.receiver.wait("/hook", 21).await;
    assert_eq!(t.receiver.at("/token").len(), 1);
    t.give(&endpoint, &oauth(&t, json!({"clientAuthentication": "body"}))).await.expect(204);
    t.send().await;
    t.receiver.wait("/hook", 22).await;
    let again = t.receiver.wait("/token", 2).await.remove(1);
    assert_eq!(again.header("authorization"), "");
    assert_eq!(again.body, "grant_type=client_credentials&client_id=me%40x&client_secret=s+p%26cret-canary");
}

#[tokio::test]
async fn a_token_is_replaced_when_it_is_refused_and_when_it_ends() {
    let t = Tenant::start().await;
    t.receiver.script("/token", [token("old", 3600), token("new", 1), token("newest", 3600)]);
    t.receiver.script("/hook", [Reply::status(200), Reply::status(401), Reply::status(200)]);
    let endpoint = t.trusted(&t.receiver.url("/hook"), &oauth(&t, json!({}))).await;
    t.send().await;
    t.receiver.wait("/hook", 1).await;
    // Refused: the same attempt goes out again with a fresh token.
    let message = t.send().await;
    let sent = t.receiver.wait("/hook", 3).await;
    let tokens: Vec<_> = sent.iter().map(|arrival| arrival.header("authorization").to_owned()).collect();
    assert_eq!(tokens, ["Bearer old", "Bearer old", "Bearer new"]);
    assert_eq!(t.attempts(&message, &endpoint, 1).await.len(), 1);
    // Ended: the next message after its second has another token.
    eventually("a token that has ended is replaced", || async {
        t.send().await;
        let newest = |arrival: &crate::support::Arrival| arrival.header("authorization") == "Bearer newest";
        t.receiver.at("/hook").iter().any(newest).then_some(())
    })
    .await;
    assert_eq!(t.receiver.at("/token").len(), 3);
}

#[tokio::test]
async fn without_a_token_the_attempt_says_why() {
    let t = Tenant::start().await;
    let invalid = Reply::status(401).body(r#"{"error": "invalid_client", "error_description": "canary"}"#);
    for (reply, words) in [
        (Reply::status(500), "the token endpoint answered 500"),
        (invalid, "the token endpoint answered 401 (invalid_client)"),
        (Reply::status(200).body("hello"), "holds no access token"),
        (Reply::status(302).header("location", "http://127.0.0.1/"), "the token endpoint answered 302"),
    ] {
        t.receiver.script("/token", [reply]);
        let endpoint = t.trusted(&t.receiver.url("/hook"), &oauth(&t, json!({}))).await;
        let failure = t.failure(&endpoint).await;
        assert!(failure.contains(words) && failure.contains("No access token"), "{failure}");
        assert!(!failure.contains("canary"), "{failure}");
        t.api.delete(&t.path(&format!("/endpoint/{endpoint}"))).await.expect(204);
    }
    let guarded = t.trusted(&t.receiver.url("/hook"), &oauth(&t, json!({"tokenUrl": "http://169.254.169.254/token"}))).await;
    let failure = t.failure(&guarded).await;
    assert!(failure.contains("link-local address, which is not allowed"), "{failure}");
    assert!(t.receiver.at("/hook").is_empty());
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_never_by_another_endpoint() {
    let t = Tenant::start().await;
    let (servers, clients) = (Authority::new(), Authority::new());
    let receiver = secure(&servers.issue("127.0.0.1"), Some(&clients)).await;
    let (ann, bob) = (clients.issue("ann"), clients.issue("bob"));
    let with = |who: &crate::peers::Identity| json!({"ca": servers.pem(), "clientCertificate": {"certificate": who.certificate_pem(), "privateKey": who.key_pem()}});
    let one = t.trusted(&receiver.url, &with(&ann)).await;
    let two = t.trusted(&receiver.url, &with(&bob)).await;
    for _ in 0..3 {
        let message = t.send().await;
        for endpoint in [&one, &two] {
            let attempt = t.attempts(&message, endpoint, 1).await.remove(0);
            assert_eq!(attempt["responseStatusCode"], 200, "{attempt}");
        }
    }
    let shown = receiver.shown.lock().unwrap().clone();
    let of = |who: &crate::peers::Identity| shown.iter().filter(|(_, shown)| shown.as_ref() == Some(&who.certificate)).count();
    assert_eq!((of(&ann), of(&bob)), (3, 3));
    let connections = |who: &crate::peers::Identity| {
        let all = shown.iter().filter(|(_, shown)| shown.as_ref() == Some(&who.certificate)).map(|(number, _)| *number);
        all.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(connections(&ann).is_disjoint(&connections(&bob)));
    let kept = t.api.get(&t.path(&format!("/endpoint/{one}/credentials"))).await.expect(200);
    assert_eq!(kept["clientCertificate"], json!({"certificate": ann.certificate_pem()}));

    // Without a certificate, with a stranger's, and without the CA, each attempt says why.
    let bare = t.trusted(&receiver.url, &json!({"ca": servers.pem()})).await;
    let failure = t.failure(&bare).await;
    assert!(failure.contains("CertificateRequired"), "{failure}");
    let stranger = t.trusted(&receiver.url, &with(&Authority::new().issue("eve"))).await;
    let failure = t.failure(&stranger).await;
    assert!(failure.contains("TLS alert"), "{failure}");
    let unknown = t.endpoint(&receiver.url).await;
    let failure = t.failure(&unknown).await;
    assert!(failure.contains("unknown issuer"), "{failure}");
}

#[tokio::test]
async fn a_private_ca_counts_for_its_endpoint_only_and_in_place_of_others() {
    let t = Tenant::start().await;
    let (own, other) = (Authority::new(), Authority::new());
    let receiver = secure(&own.issue("127.0.0.1"), None).await;
    let good = t.trusted(&receiver.url, &json!({"ca": own.pem()})).await;
    let wrong = t.trusted(&receiver.url, &json!({"ca": other.pem()})).await;
    let message = t.send().await;
    assert_eq!(t.attempts(&message, &good, 1).await[0]["responseStatusCode"], 200);
    assert!(t.attempts(&message, &wrong, 1).await[0].to_string().contains("bad_certificate"));
}

#[tokio::test]
async fn credentials_are_encrypted_at_rest_and_outlive_a_restart() {
    let mut t = Tenant::start().await;
    let basic = json!({"authentication": {"type": "basic", "username": "name-canary", "password": "pass-canary"}});
    let endpoint = t.trusted(&t.receiver.url("/basic"), &basic).await;
    t.send().await;
    t.receiver.wait("/basic", 1).await;
    assert_eq!(t.server.stop().await, 0);
    let kept = match t.server.database() {
        Some(url) => database::contents(url).await,
        None => files(&t.server.data().join("data")),
    };
    let has = |word: &str| kept.iter().any(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()));
    assert!(has(&endpoint) && !has("name-canary") && !has("pass-canary"));
    t.server.restart().await;
    t.api = t.server.api();
    t.send().await;
    let again = t.receiver.wait("/basic", 2).await.remove(1);
    assert_eq!(again.header("authorization"), format!("Basic {}", BASE64_STANDARD.encode("name-canary:pass-canary")));
}

/// Every file below a folder.
pub(crate) fn files(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(files(&entry.path())),
            false => all.push(std::fs::read(entry.path()).unwrap()),
        }
    }
    all
}
