//! Signing in by an identity provider: who is let in as what, and every way in which it must not work.

use crate::{
    provider::{CLIENT, Next, Provider, SECRET},
    support::{Answer, Options, Server, eventually},
    visit::Visit,
};
use serde_json::{Value, json};

async fn start(provider: &Provider, more: &[&str]) -> Server {
    let mut args = vec![format!("--oidc-issuer={}", provider.issuer()), format!("--oidc-client-id={CLIENT}")];
    args.extend(more.iter().map(ToString::to_string));
    Server::start_with(Options { args, env: vec![("POSTRIDER_OIDC_CLIENT_SECRET".into(), SECRET.into())] }).await
}

/// Leaves for the provider; the query there.
async fn leave(visit: &mut Visit, provider: &Provider) -> String {
    let left = visit.get("/dashboard/oidc/start?next=%2Fdashboard%2Fmessages").await;
    assert_eq!(left.status, 303, "{}", left.text());
    let to = left.header("location").to_owned();
    let (place, query) = to.split_once('?').unwrap();
    assert_eq!(place, format!("{}/authorize", provider.issuer()));
    query.to_owned()
}

/// Goes to the provider and comes back as it says.
async fn go(visit: &mut Visit, provider: &Provider, next: Next) -> Answer {
    provider.next(next);
    let query = leave(visit, provider).await;
    let (code, state) = provider.visited(&query);
    visit.get(&format!("/dashboard/oidc/return?code={code}&state={state}")).await
}

fn claims(claims: Value) -> Next {
    Next { claims, alg: None }
}

#[tokio::test]
async fn somebody_new_is_let_in_with_the_role_of_their_groups_and_known_again() {
    let provider = Provider::start().await;
    let roles = ["--oidc-role-claim=groups", "--oidc-roles=ops=operator,root=admin", "--oidc-domains=example.com"];
    let server = start(&provider, &roles).await;
    let mut ann = Visit::of(&server);
    assert!(ann.get("/dashboard/sign-in").await.text().contains("Sign in with your organization"));
    let back = go(&mut ann, &provider, claims(json!({"groups": ["staff", "ops"]}))).await;
    assert_eq!((back.status, back.header("location")), (303, "/dashboard/messages"), "{}", back.text());
    assert_eq!(ann.role().await.as_deref(), Some("operator"));
    let users = server.api().get("/api/v1/user").await.expect(200);
    let made = &users["data"][1];
    assert_eq!(
        (made["login"].as_str(), made["name"].as_str(), made["hasPassword"].as_bool()),
        (Some("ann@example.com"), Some("Ann"), Some(false))
    );

    // By the subject alone, with another key, another role and another address.
    let mut again = Visit::of(&server);
    let next = Next { claims: json!({"groups": "root", "email": "new@example.com"}), alg: Some("ES256") };
    assert_eq!(go(&mut again, &provider, next).await.status, 303);
    assert_eq!(again.role().await.as_deref(), Some("admin"));
    assert_eq!(ann.role().await.as_deref(), Some("admin"), "it is the same user");
    // Who is in no group any more is not let in.
    let gone = go(&mut Visit::of(&server), &provider, claims(json!({"groups": []}))).await;
    assert!(gone.status == 403 && gone.text().contains("You have no role here"), "{}", gone.text());
    let users = server.api().get("/api/v1/user").await.expect(200);
    assert_eq!(users["data"].as_array().unwrap().len(), 2);
    // The provider cannot leave the organization without an admin.
    server.api().patch("/api/v1/user/admin", r#"{"role": "viewer"}"#).await.expect(200);
    let mut last = Visit::of(&server);
    assert_eq!(go(&mut last, &provider, claims(json!({"groups": "ops"}))).await.status, 303);
    assert_eq!(last.role().await.as_deref(), Some("admin"));
    // New keys are looked for.
    provider.rename_keys();
    eventually("the new keys are known", || async {
        let back = go(&mut Visit::of(&server), &provider, claims(json!({"groups": "root"}))).await;
        (back.status == 303).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_who_is_known_by_a_verified_address_keeps_their_role() {
    let provider = Provider::start().await;
    let server = start(&provider, &[]).await;
    let api = server.api();
    for user in ["ann@example.com", "bob@example.com"] {
        api.post("/api/v1/user", &json!({"login": user, "role": "operator"}).to_string()).await.expect(201);
    }
    let mut ann = Visit::of(&server);
    assert_eq!(go(&mut ann, &provider, claims(json!({}))).await.status, 303);
    assert_eq!(ann.role().await.as_deref(), Some("operator"));
    // Somebody whose address is not verified is not that user, and strangers have no role here.
    for stranger in [
        json!({"sub": "s2", "email": "bob@example.com", "email_verified": false}),
        json!({"sub": "s3", "email": "bob@example.com", "email_verified": null}),
        json!({"sub": "s4", "email": "carol@example.com"}),
    ] {
        let refused = go(&mut Visit::of(&server), &provider, claims(stranger.clone())).await;
        assert_eq!(refused.status, 403, "{stranger}: {}", refused.text());
    }
    // A user who was deleted does not come back by what the provider calls them.
    assert_eq!(api.delete("/api/v1/user/ann@example.com").await.status, 204);
    assert_eq!(ann.role().await, None);
    assert_eq!(go(&mut Visit::of(&server), &provider, claims(json!({}))).await.status, 403);
}

#[tokio::test]
async fn tokens_that_are_not_right_are_refused() {
    let provider = Provider::start().await;
    let server = start(&provider, &["--oidc-default-role=admin", "--oidc-domains=example.com"]).await;
    let past = 1_000_000_000;
    let bad: [(Next, &str); 11] = [
        (claims(json!({"nonce": "another"})), "answers another request"),
        (claims(json!({"nonce": null})), "answers another request"),
        (claims(json!({"aud": "somebody else"})), "for somebody else"),
        (claims(json!({"aud": [CLIENT, "x"], "azp": "x"})), "for somebody else"),
        (claims(json!({"iss": "https://evil.example"})), "another issuer"),
        (claims(json!({"exp": past})), "expired"),
        (claims(json!({"iat": 9_999_999_999u64})), "future"),
        (claims(json!({"sub": ""})), "names nobody"),
        (Next { claims: json!({}), alg: Some("none") }, "algorithm is not taken"),
        (Next { claims: json!({}), alg: Some("HS256") }, "algorithm is not taken"),
        (claims(json!({"email": "ann@evil.example"})), "let in here"),
    ];
    for (next, words) in bad {
        let mut visit = Visit::of(&server);
        let told = format!("{next:?}");
        let refused = go(&mut visit, &provider, next).await;
        assert!(refused.status == 403 && refused.text().contains(words), "{told}: {} {}", refused.status, refused.text());
        assert_eq!(visit.role().await, None, "{told}");
    }
    let users = server.api().get("/api/v1/user").await.expect(200);
    assert_eq!(users["data"].as_array().unwrap().len(), 1, "nobody was made");
    assert!(!server.log().iter().any(|line| line.contains(SECRET)), "the client's secret is in the log");
}

#[tokio::test]
async fn who_comes_back_must_be_who_left() {
    let provider = Provider::start().await;
    let server = start(&provider, &["--oidc-default-role=viewer"]).await;
    let (mut ann, mut eve) = (Visit::of(&server), Visit::of(&server));
    let stale = "began in another browser";
    let refuse = async |visit: &mut Visit, query: String| {
        let refused = visit.get(&format!("/dashboard/oidc/return?{query}")).await;
        assert!(refused.status == 403 && refused.text().contains(stale), "{query}: {} {}", refused.status, refused.text());
        assert_eq!(visit.role().await, None);
    };
    let eves = leave(&mut eve, &provider).await;
    let (code, state) = provider.visited(&eves);
    refuse(&mut ann, format!("code={code}&state={state}")).await;
    leave(&mut ann, &provider).await;
    refuse(&mut ann, format!("code={code}&state={state}")).await;
    refuse(&mut eve, format!("code={code}&state=x{state}")).await;
    refuse(&mut eve, format!("code={code}")).await;
    refuse(&mut eve, format!("code={code}&state={state}&iss=https://evil.example")).await;
    refuse(&mut eve, format!("state={state}")).await;
    let denied = eve.get(&format!("/dashboard/oidc/return?error=access_denied%3Cscript%3E&state={state}")).await;
    assert!(denied.status == 403 && denied.text().contains("refused: access_deniedscript."), "{}", denied.text());
    let good = eve.get(&format!("/dashboard/oidc/return?code={code}&state={state}")).await;
    assert_eq!(good.status, 303, "{}", good.text());
    assert_eq!(eve.role().await.as_deref(), Some("viewer"));
    // The same again: the provider has seen the code, and the cookie is gone.
    refuse(&mut ann, format!("code={code}&state={state}")).await;
    eve.forget("postrider_session");
    refuse(&mut eve, format!("code={code}&state={state}")).await;
}
