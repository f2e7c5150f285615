//! Behind proxies: who sent a request, and under which URL, is what a trusted proxy says, and nobody else.

use crate::{
    fixture::Hub,
    signed::{SECRET, Signed, github, hubspot, now},
    support::Options,
};
use serde_json::json;

const FENCED: &str = "192.0.2.0/24";

async fn behind_proxy() -> Hub {
    let args = ["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8"].map(str::to_owned).to_vec();
    Hub::start_with(Options { args, ..Options::default() }).await
}

fn from(header: &str, value: &str) -> Signed {
    github("push", value, Signed::json("{}")).header(header, value)
}

#[tokio::test]
async fn a_trusted_proxy_tells_who_sent_a_request() {
    let hub = behind_proxy().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "allowCidrs": [FENCED]})).await;
    for (header, value, status, remote) in [
        ("x-forwarded-for", "192.0.2.7", 200, ""),
        ("x-forwarded-for", "203.0.113.1, 192.0.2.7, 10.1.1.1", 200, ""),
        ("forwarded", "for=\"192.0.2.8:4711\";proto=https", 200, ""),
        ("x-forwarded-for", "192.0.2.7, 203.0.113.1", 403, "203.0.113.1"),
        ("forwarded", "for=192.0.2.7, for=\"[2001:db8::1]\"", 403, "2001:db8::1"),
        ("forwarded", "for=unknown", 403, "0.0.0.0"),
        ("x-unrelated", "1", 403, "127.0.0.1"),
    ] {
        let answer = hub.deliver(&source.path, &from(header, value)).await;
        assert_eq!(answer.status, status, "{header}: {value}: {}", answer.text());
        if status == 403 {
            let rejection = &hub.rejections(&source).await[0];
            assert_eq!((&rejection["reason"], &rejection["remote"]), (&json!("address"), &json!(remote)));
        }
    }
}

#[tokio::test]
async fn without_the_setting_nobody_is_asked() {
    let hub = Hub::start().await;
    let source = hub.source(json!({"provider": "github", "secret": SECRET, "allowCidrs": [FENCED]})).await;
    for (header, value) in [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")] {
        assert_eq!(hub.deliver(&source.path, &from(header, value)).await.status, 403);
        assert_eq!(hub.rejections(&source).await[0]["remote"], "127.0.0.1");
    }
    // Nor under which URL: what is signed is the URL as it came in.
    let source = hub.source(json!({"provider": "hubspot-v3", "secret": SECRET})).await;
    let told = |request: Signed| request.header("x-forwarded-proto", "https").header("x-forwarded-host", "hooks.example");
    let public = format!("https://hooks.example{}", source.path);
    assert_eq!(hub.deliver(&source.path, &told(hubspot(&public, "[]", now()))).await.status, 401);
    assert_eq!(hub.deliver(&source.path, &told(hubspot(&hub.url(&source), "[]", now()))).await.status, 200);
}

#[tokio::test]
async fn a_trusted_proxy_tells_under_which_url_a_request_came() {
    let env = vec![("POSTRIDER_TRUSTED_PROXIES".to_owned(), "127.0.0.1, ::1".to_owned())];
    let hub = Hub::start_with(Options { env, ..Options::default() }).await;
    let source = hub.source(json!({"provider": "hubspot-v3", "secret": SECRET})).await;
    let public = format!("https://hooks.example:8443{}", source.path);
    let request = |header: &str, value: &str| hubspot(&public, "[]", now()).header(header, value);
    let told = request("x-forwarded-proto", "https").header("x-forwarded-host", "hooks.example:8443");
    assert_eq!(hub.deliver(&source.path, &told).await.status, 200);
    let told = request("forwarded", "for=192.0.2.1;proto=https;host=\"hooks.example:8443\"");
    assert_eq!(hub.deliver(&source.path, &told).await.status, 200);
    assert_eq!(hub.deliver(&source.path, &request("x-forwarded-proto", "https")).await.status, 401);
}
