//! What is refused, before anything has moved.

use crate::{
    Tenant, copied, copy, folder, path, receiver, refused,
    support::{self, Options, Server, database},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_wrong_is_refused() {
    let receiver = receiver().await;
    let mut server = Server::start_as(Options::default()).await;
    let tenant = Tenant::make(&server.api(), &receiver).await;
    tenant.send(&server.api(), 0..3).await;
    let (from, url, temp) = (folder(&server), database::fresh().await, tempfile::tempdir().unwrap());
    let at = |name: &str| path(&temp.path().join(name));
    refused(&copy(&from, &url, &[]), "is a server running on it");
    assert_eq!(server.stop().await, 0);

    refused(&copy(&at("nothing"), &url, &[]), "there is no store");
    refused(&copy(&from, &from, &[]), "the same");
    refused(&copy(&from, "mysql://x/y", &[]), "neither");
    refused(&copy(&from, &url, &["--resume"]), "no copy to go on with");

    // Somebody else's data: in a database that a server uses, in one that it used, and in a folder.
    let mut other = Server::start_on_postgres(&[], 1000).await;
    let theirs = other.database().unwrap().to_owned();
    refused(&copy(&from, &theirs, &[]), "in use by 1 servers");
    assert_eq!(other.stop().await, 0);
    refused(&copy(&from, &theirs, &[]), "another master key");
    let mine = format!("{from}/master.key");
    std::fs::write(at("wrong.key"), "00".repeat(32)).unwrap();
    refused(&copy(&from, &url, &["--master-key", &at("wrong.key")]), "do not open");
    let mut third = Server::start_as(Options::default()).await;
    assert_eq!(third.stop().await, 0);
    refused(&copy(&from, &folder(&third), &[]), "another master key");
    std::fs::copy(&mine, format!("{}/master.key", folder(&third))).unwrap();
    refused(&copy(&from, &folder(&third), &[]), "other data");

    // Nothing of that has touched the source: it can be served, and copied.
    server.restart().await;
    assert_eq!(tenant.messages(&server.api()).await, 3);
    assert_eq!(server.stop().await, 0);
    copied(&from, &url, &[]);

    // A source that has moved is neither served nor copied again, unless that is said.
    refused(&copy(&from, &at("second"), &[]), "copied to postgres://");
    refused(&copy(&from, &url, &[]), "already");
    let serve = support::run(&["serve", "--data", &from, "--listen", "127.0.0.1:0"]);
    refused(&serve, "serve that one");
    assert!(support::run(&["copy", "--from", &from, "--abandon"]).status.success());
    refused(&copy(&from, &url, &[]), "other data");
    copied(&from, &at("second"), &[]);
}
