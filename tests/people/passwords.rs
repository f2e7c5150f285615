//! Passwords: set by whoever came by a link, also without the one before; and taken only where they are taken.

use crate::{
    support::{Options, Server},
    visit::Visit,
};

const OLD: &str = "correct horse battery";
const NEW: &str = "another horse battery";
const ACCOUNT: &str = "/dashboard/account";

#[tokio::test]
async fn who_forgot_the_password_sets_a_new_one_by_a_link() {
    let server = Server::start().await;
    let mut first = Visit::of(&server);
    first.enter(&server.link().await).await;
    let set = |password: &'static str| [("password", password)];
    assert_eq!(first.submit(ACCOUNT, "/dashboard/account/password", &set(OLD)).await.status, 303);
    let again = first.submit(ACCOUNT, "/dashboard/account/password", &set(NEW)).await;
    assert_eq!(again.status, 422, "the link was for one password");
    assert!(again.text().contains("The current password is wrong"));

    let mut elsewhere = Visit::of(&server);
    assert!(elsewhere.sign_in("admin", OLD).await);
    assert_eq!(elsewhere.submit(ACCOUNT, "/dashboard/account/password", &set(NEW)).await.status, 422, "not by password alone");

    let made = server.api().post("/api/v1/user/admin/link", "").await.expect(201);
    let mut forgetful = Visit::of(&server);
    let link = made["url"].as_str().unwrap();
    assert!(!forgetful.sign_in("admin", "no idea whatever").await);
    assert_eq!(forgetful.enter(link).await.status, 303);
    assert!(!forgetful.get(ACCOUNT).await.text().contains("Current password"));
    assert_eq!(forgetful.submit(ACCOUNT, "/dashboard/account/password", &set(NEW)).await.status, 303);
    assert!(forgetful.get(ACCOUNT).await.text().contains("Current password"));
    assert_eq!(elsewhere.role().await, None, "every other session has ended");
    let mut anew = Visit::of(&server);
    assert!(!anew.sign_in("admin", OLD).await && anew.sign_in("Admin", NEW).await);
    assert_eq!(Visit::of(&server).enter(link).await.status, 404, "the link worked once");
}

#[tokio::test]
async fn passwords_that_are_not_taken_are_not_asked_for() {
    let args = ["--password-sign-in=off", "--oidc-issuer=http://127.0.0.1:1", "--oidc-client-id=x", "--oidc-label=Sign in at home"];
    let server = Server::start_with(Options { args: args.map(str::to_owned).to_vec(), ..Options::default() }).await;
    let mut visit = Visit::of(&server);
    let page = visit.get("/dashboard/sign-in").await.text();
    assert!(page.contains("Sign in at home") && !page.contains("type=\"password\""), "{page}");
    assert_eq!(visit.post("/dashboard/sign-in", &[("login", "admin"), ("password", OLD)]).await.status, 403);
    let away = visit.get("/dashboard/oidc/start").await;
    assert_eq!(away.status, 403, "nobody listens there");
    assert!(away.text().contains("The identity provider cannot be asked"), "{}", away.text());
    visit.enter(&server.link().await).await;
    assert_eq!(visit.role().await.as_deref(), Some("admin"), "a link opens still");
    assert_eq!(Visit::of(&Server::start().await).get("/dashboard/oidc/start").await.status, 404, "without a provider");
}
